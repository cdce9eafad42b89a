/* The kernels of attention.h, in terms of simd_*.h, vmath_body.h and tile_body.h. Included once by each instruction set. */
#include "nn/onednn/attention.h"

#include <string.h>

enum { PANEL = 2 * LANES, KEYS = 256 }; /* keys side by side in a packed panel; keys of a block of scores */
_Static_assert(KEYS % PANEL == 0 && 64 % PANEL == 0, "whole panels");

static int64_t padded(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static int64_t cells(int64_t numbers)
{
    return (numbers + CELL_NUMBERS - 1) / CELL_NUMBERS;
}

#ifdef SIMD_BF16
/* Rounded to the nearest, ties to even. */
V_INLINE uint32_t bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return x != x ? 0x7fc0 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

V_INLINE tile_cell cell_of(float a, float b)
{
    return bf16(a) | bf16(b) << 16;
}
#else
V_INLINE tile_cell cell_of(float a, float b)
{
    (void)b;
    return a;
}
#endif

/* ---- packing ---- */

/* Values lie in panels of `columns` vectors: as few panels as can be, equally wide. */
static void value_panels(int64_t dv, int *panels, int *columns)
{
    const int vectors = (int)SM_MAX((dv + LANES - 1) / LANES, 1);
    *panels = (vectors + TILE_MOST_COLUMNS - 1) / TILE_MOST_COLUMNS;
    *columns = (vectors + *panels - 1) / *panels;
}

static size_t packed_keys(int64_t tk, int64_t d)
{
    return (size_t)(padded(tk, PANEL) * cells(d));
}

static size_t packed_values(int64_t tk, int64_t dv)
{
    int panels, columns;
    value_panels(dv, &panels, &columns);
    return (size_t)(cells(tk) * panels * columns * LANES);
}

/* [panel][cells of d][PANEL], zeros behind the last key */
static void pack_panel(const nn_attention_head *h, int64_t first, tile_cell *to)
{
    const int count = (int)SM_MIN(h->visible - first, PANEL);
    const float *from = h->k + first * h->k_row;

    for (int64_t e = 0; e < h->d; e += CELL_NUMBERS, to += PANEL) {
        const bool pair = e + 1 < h->d;
        for (int j = 0; j < count; j++)
            to[j] = cell_of(from[j * h->k_row + e], pair ? from[j * h->k_row + e + 1] : 0);
        for (int j = count; j < PANEL; j++)
            to[j] = 0;
    }
}

/* A vector of numbers at..at+LANES-1 of one value, or of two as pairs; zeros where there are none. */
V_INLINE void pack_value(const nn_attention_head *h, int64_t key, int64_t at, tile_cell *to)
{
    const int count = (int)SM_CLAMP(h->dv - at, 0, LANES);
    const float *v = h->v + key * h->v_row + (count ? at : 0);
#ifdef SIMD_BF16
    const int more = key + 1 < h->visible ? count : 0;
    const __m512i a = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(v_load_part(v, count)));
    const __m512i b = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(v_load_part(more ? v + h->v_row : v, more)));
    _mm512_storeu_si512(to, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
#else
    v_store(to, v_load_part(v, count));
#endif
}

/* [panel][cells of tk][columns * LANES], zeros behind dv */
static void pack_values(const nn_attention_head *h, int64_t first, int64_t last, tile_cell *values)
{
    int panels, columns;

    value_panels(h->dv, &panels, &columns);
    for (int p = 0; p < panels; p++)
        for (int64_t j = first; j < last; j += CELL_NUMBERS)
            for (int c = 0; c < columns; c++)
                pack_value(h, j, (p * columns + c) * LANES,
                           values + ((p * cells(h->tk) + j / CELL_NUMBERS) * columns + c) * LANES);
}

static void pack(const nn_attention_head *h, int64_t first, int64_t last, float *keys, float *values)
{
    last = SM_MIN(last, h->visible);
    for (int64_t j = first; j < last; j += PANEL)
        pack_panel(h, j, (tile_cell *)(void *)keys + j * cells(h->d));
    pack_values(h, first, last, (tile_cell *)(void *)values);
}

/* ---- softmax ---- */

/* Keys that query i sees. */
static int64_t seen_by(const nn_attention_head *h, int64_t i)
{
    return h->causal ? SM_CLAMP(i + h->visible - h->tq + 1, 0, h->visible) : h->visible;
}

#define LOG2_E 1.44269504f /* scores are kept in powers of two */

static void add_mask(const float *mask, int64_t step, int64_t n, float *score)
{
    if (step == 1)
        for (int64_t j = 0; j < n; j++)
            score[j] += mask[j] * LOG2_E;
    else
        for (int64_t j = 0; j < n; j++)
            score[j] += mask[j * step] * LOG2_E;
}

/* Hides scores n.. of a row of whole vectors; the largest of the others. */
V_INLINE float top_score(float *score, int64_t n, int64_t length)
{
    vec a = v_set1(-INFINITY), b = a;
    int64_t j = 0;

    for (int64_t i = n; i < length; i++)
        score[i] = -INFINITY;
    for (; j + 2 * LANES <= length; j += 2 * LANES) {
        a = v_max(a, v_load(score + j));
        b = v_max(b, v_load(score + j + LANES));
    }
    if (j < length)
        a = v_max(a, v_load(score + j));
    return v_top(v_max(a, b));
}

/* Scores to weights 2^(score - top); their sum. */
V_INLINE float weigh(float *score, int64_t length, float top)
{
    const vec t = v_set1(top);
    vec sum = v_zero();

    for (int64_t j = 0; j < length; j += LANES) {
        const vec p = v_exp2(v_load(score + j) - t);
        v_store(score + j, p);
        sum += p;
    }
    return v_sum(sum);
}

typedef struct {
    float top, total; /* largest score so far, sum of weights relative to it */
} running;

/* A row of scores of keys first..first+n-1 to weights; what was summed before is scaled to the new maximum. */
static void soften(const nn_attention_head *h, int64_t query, int64_t first, int64_t n, float *score, running *r,
                   float *out, int64_t width)
{
    const int64_t length = padded(n, LANES), seen = SM_CLAMP(seen_by(h, query) - first, 0, n);

    if (h->mask)
        add_mask(h->mask + query * h->mask_row + first * h->mask_key, h->mask_key, seen, score);
    const float top = top_score(score, seen, length);
    if (top > r->top) {
        float factor[LANES];
        v_store(factor, v_exp2(v_set1(r->top - top)));
        for (int64_t e = 0; e < width; e += LANES)
            v_store(out + e, v_load(out + e) * v_set1(factor[0]));
        r->total *= factor[0];
        r->top = top;
    }
    if (r->top == -INFINITY) { /* nothing seen yet */
        for (int64_t j = 0; j < length; j++)
            score[j] = 0;
        return;
    }
    r->total += weigh(score, length, r->top);
}

/* ---- blocks of queries ---- */

static size_t block_work(int64_t d, int64_t dv)
{
    int panels, columns;
    value_panels(dv, &panels, &columns);
    return (size_t)(NN_ATTENTION_BLOCK * (cells(d) + panels * columns * LANES + 2) + 2 * TILE_GROUP * KEYS + 64);
}

typedef struct {
    float *out, *score; /* [queries][width], [TILE_GROUP][KEYS] */
    tile_cell *q, *weight;
    running *row;
    int panels, columns;
    int64_t width;
} block_memory;

/* Scores, which softmax has made weights, as products read them. */
V_INLINE const tile_cell *weights_of(const block_memory *w, int64_t n)
{
#ifdef SIMD_BF16
    for (int i = 0; i < TILE_GROUP; i++)
        for (int64_t j = 0; j < n; j += LANES)
            _mm256_storeu_si256((__m256i *)(void *)(w->weight + (i * KEYS + j) / CELL_NUMBERS),
                                (__m256i)_mm512_cvtneps_pbh(v_load(w->score + i * KEYS + j)));
    return w->weight;
#else
    (void)n;
    return w->score;
#endif
}

/* Keys first..first+n-1 for the queries of a group. */
static void group_and_keys(const nn_attention_head *h, const tile_cell *keys, const tile_cell *values, int64_t query,
                           int count, int64_t first, int64_t n, const block_memory *w, int64_t at)
{
    const int64_t vectors = w->columns * LANES, deep = cells(h->d);

    for (int64_t j = 0; j < n; j += PANEL)
        tile_group(2, deep, w->q + at * deep, deep, keys + (first + j) * deep, w->score + j, KEYS, false);
    for (int i = 0; i < count; i++)
        soften(h, query + i, first, n, w->score + i * KEYS, w->row + at + i, w->out + (at + i) * w->width, w->width);
    const tile_cell *weight = weights_of(w, n);
    for (int p = 0; p < w->panels; p++)
        tile_group(w->columns, cells(n), weight, KEYS / CELL_NUMBERS,
                   values + (p * cells(h->tk) + first / CELL_NUMBERS) * vectors, w->out + at * w->width + p * vectors,
                   w->width, true);
}

static void block(const nn_attention_head *h, const float *packed_k, const float *packed_v, int64_t first,
                  int64_t count, float *work)
{
    const int64_t rows = padded(count, TILE_GROUP), last = seen_by(h, first + count - 1), deep = cells(h->d);
    const tile_cell *keys = (const tile_cell *)(const void *)packed_k,
                    *values = (const tile_cell *)(const void *)packed_v;
    const float scale = h->scale * LOG2_E;
    block_memory w = { .score = work };

    value_panels(h->dv, &w.panels, &w.columns);
    w.width = w.panels * w.columns * LANES;
    w.out = w.score + TILE_GROUP * KEYS;
    w.q = (tile_cell *)(void *)(w.out + NN_ATTENTION_BLOCK * w.width);
    w.weight = w.q + NN_ATTENTION_BLOCK * deep;
    w.row = (running *)(void *)(w.weight + TILE_GROUP * KEYS);
    for (int64_t i = 0; i < rows; i++) {
        const float *q = h->q + (first + i) * h->q_row;
        for (int64_t e = 0; e < deep; e++) {
            const int64_t at = e * CELL_NUMBERS, next = at + 1;
            w.q[i * deep + e] =
                i < count ? cell_of(q[at] * scale, CELL_NUMBERS == 2 && next < h->d ? q[next] * scale : 0) : 0;
        }
        for (int64_t e = 0; e < w.width; e += LANES)
            v_store(w.out + i * w.width + e, v_zero());
        w.row[i] = (running){ -INFINITY, 0 };
    }
    for (int64_t j = 0; j < last; j += KEYS)
        for (int64_t i = 0; i < rows; i += TILE_GROUP) {
            const int64_t inside = SM_MIN(count - i, TILE_GROUP);
            if (seen_by(h, first + i + inside - 1) > j)
                group_and_keys(h, keys, values, first + i, (int)inside, j, SM_MIN(h->visible - j, KEYS), &w, i);
        }
    for (int64_t i = 0; i < count; i++) {
        const vec scale_out = v_set1(w.row[i].total != 0 ? 1 / w.row[i].total : 0);
        for (int64_t e = 0; e < h->dv; e += LANES)
            v_store_part(h->out + (first + i) * h->out_row + e, v_load(w.out + i * w.width + e) * scale_out,
                         (int)SM_MIN(h->dv - e, LANES));
    }
}

/* ---- single queries ---- */

static float dot(const float *a, const float *b, int64_t n)
{
    vec sum = v_zero();
    int64_t e = 0;

    for (; e + LANES <= n; e += LANES)
        sum = v_fma(v_load(a + e), v_load(b + e), sum);
    if (e < n)
        sum = v_fma(v_load_part(a + e, (int)(n - e)), v_load_part(b + e, (int)(n - e)), sum);
    return v_sum(sum);
}

/* One vector of the result: weights times a column of the values. */
V_INLINE vec weighted(const float *weight, const float *v, int64_t row, int64_t n, int count)
{
    vec a = v_zero(), b = a;
    int64_t j = 0;

    if (count < LANES) {
        for (; j < n; j++)
            a = v_fma(v_set1(weight[j]), v_load_part(v + j * row, count), a);
        return a;
    }
    for (; j + 2 <= n; j += 2) {
        a = v_fma(v_set1(weight[j]), v_load(v + j * row), a);
        b = v_fma(v_set1(weight[j + 1]), v_load(v + (j + 1) * row), b);
    }
    if (j < n)
        a = v_fma(v_set1(weight[j]), v_load(v + j * row), a);
    return a + b;
}

static void row(const nn_attention_head *h, int64_t query, float *work)
{
    const int64_t seen = seen_by(h, query), length = padded(seen, LANES);
    const float scale = h->scale * LOG2_E;
    float top, total = 0;

    for (int64_t j = 0; j < seen; j++)
        work[j] = dot(h->q + query * h->q_row, h->k + j * h->k_row, h->d) * scale;
    if (h->mask)
        add_mask(h->mask + query * h->mask_row, h->mask_key, seen, work);
    top = top_score(work, seen, length);
    if (top > -INFINITY)
        total = weigh(work, length, top);
    for (int64_t e = 0; e < h->dv; e += LANES) {
        const int count = (int)SM_MIN(h->dv - e, LANES);
        vec y = v_zero();
        if (total != 0)
            y = weighted(work, h->v + e, h->v_row, seen, count) / v_set1(total);
        v_store_part(h->out + query * h->out_row + e, y, count);
    }
}

const nn_attention_kernel SIMD(nn_attention) = {
    .name = "attention " SIMD_TEXT,
    .packed_keys = packed_keys,
    .packed_values = packed_values,
    .pack = pack,
    .block_work = block_work,
    .block = block,
    .row = row,
};
