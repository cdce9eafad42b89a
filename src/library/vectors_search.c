/* Exact search in one reading of the bytes.
 *
 * A row x is s q + e with bytes q and a known length of e; the query y is t p + f. So x . y = s t (q . p) + (s q) . f + e . y, and by
 * Cauchy and Schwarz the bytes' answer is off by at most |s q| |f| + |e| |y|. While the bytes are read, a row is kept if its score
 * may be as high as the k-th highest of what the scores must be at least; the few that are left in the end are judged in f32 rows and
 * double sums. Nothing that belongs to the answer can be lost, whatever the data. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/vectors.h"

enum { ITEM_ROWS = 16 * SM_VECTORS_BLOCK, ALONE_BYTES = 1 << 20, LEAST_ROOM = 4096, APART = 64 };

typedef struct {
    uint32_t row;
    float most; /* its score is at most this */
} candidate;

/* What one thread has found; a cache line of its own. */
typedef struct {
    candidate *candidates;
    size_t n, room;
    float *least; /* heap, smallest on top: the `limit` highest lower bounds so far */
    size_t n_least;
    float bar; /* least[0] when the heap is full */
    char apart[APART];
} finder;

typedef struct {
    const sm_vectors *v;
    const sm_vectors_query *q;
    const sm_dots *dots;
    sm_dots_query *query;
    size_t padded;
    float by, row_error, fixed; /* score = by * scale * dot; error = row_error * errors[i] + fixed */
    float by_scale;             /* rows that are not of length 1: error grows with their scale */
    finder *finders;
    const sm_vectors_range *items;
    size_t n_items;
    candidate *left; /* of all finders */
    sm_hit *hits;    /* [n_left] */
    size_t n_left;
} search;

/* In an order that does not depend on the compiler: eight sums. */
double sm_vectors_dot(const float *a, const float *b, size_t n)
{
    double sum[8] = { 0 };
    size_t j = 0;

    for (; j + 8 <= n; j += 8)
        for (size_t l = 0; l < 8; l++)
            sum[l] += (double)a[j + l] * (double)b[j + l];
    for (; j < n; j++)
        sum[0] += (double)a[j] * (double)b[j];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

int sm_hit_order(const void *a, const void *b)
{
    const sm_hit *x = a, *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* ---- candidates ---- */

static void sift_down(float *heap, size_t n, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n)
            return;
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[at] <= heap[child])
            return;
        const float swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

static void add_least(finder *f, size_t limit, float least)
{
    if (f->n_least == limit) {
        if (least <= f->least[0])
            return;
        f->least[0] = least;
        sift_down(f->least, limit, 0);
    } else {
        size_t at = f->n_least++;
        for (; at > 0 && f->least[(at - 1) / 2] > least; at = (at - 1) / 2)
            f->least[at] = f->least[(at - 1) / 2];
        f->least[at] = least;
    }
    if (f->n_least == limit)
        f->bar = f->least[0];
}

/* Those that the bar has overtaken go; if most stay, there is more room. */
static int make_room(finder *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (f->candidates[i].most >= f->bar)
            f->candidates[n++] = f->candidates[i];
    f->n = n;
    return 2 * n > f->room || f->room == 0
               ? sm_grow(&f->candidates, &f->room, SM_MAX(2 * n, (size_t)LEAST_ROOM), sizeof *f->candidates)
               : 0;
}

static int add_candidate(const search *s, finder *f, const sm_vectors_block *b, size_t row, float score, float error)
{
    const int64_t id = b->ids[row % SM_VECTORS_BLOCK];

    if (id < 1 || id == s->q->except)
        return 0;
    if (f->n == f->room) {
        const int err = make_room(f);
        if (err < 0)
            return err;
    }
    f->candidates[f->n++] = (candidate){ (uint32_t)row, score + error };
    add_least(f, s->q->limit, score - error);
    return 0;
}

/* ---- one run of rows of a block ---- */

static float extra_of(const search *s, size_t row)
{
    return s->q->extra ? s->q->extra[row] : 0;
}

static float error_of(const search *s, const sm_vectors_block *b, size_t i, float extra)
{
    return s->row_error * b->errors[i] + s->by_scale * b->scales[i] + s->fixed + 1e-6f * fabsf(extra);
}

static bool kept(const uint64_t *keep, size_t row)
{
    return !keep || (keep[row / 64] >> row % 64 & 1);
}

static int scan_all(const search *s, finder *f, const sm_vectors_block *b, size_t row, size_t n)
{
    float dot[SM_VECTORS_BLOCK], most[SM_VECTORS_BLOCK];
    const size_t at = row % SM_VECTORS_BLOCK;
    int err = 0;

    s->dots->dots(b->bytes + at * s->padded, s->padded, n, s->query, dot);
    for (size_t i = 0; i < n; i++) {
        dot[i] *= s->by * b->scales[at + i];
        most[i] = dot[i] + s->row_error * b->errors[at + i] + s->by_scale * b->scales[at + i] + s->fixed;
    }
    if (s->q->extra)
        for (size_t i = 0; i < n; i++) {
            const float extra = s->q->extra[row + i];
            dot[i] += extra;
            most[i] += extra + 1e-6f * fabsf(extra);
        }
    for (size_t i = 0; i < n && err == 0; i++)
        if (most[i] >= f->bar && kept(s->q->keep, row + i))
            err = add_candidate(s, f, b, row + i, dot[i], error_of(s, b, at + i, extra_of(s, row + i)));
    return err;
}

/* Only the rows whose bits are set are read. */
static int scan_kept(const search *s, finder *f, const sm_vectors_block *b, size_t row, size_t n)
{
    const size_t end = row + n, start = row - row % SM_VECTORS_BLOCK;
    int err = 0;

    for (size_t word = row / 64; word * 64 < end && err == 0; word++) {
        uint64_t bits = s->q->keep[word];
        if (word == row / 64)
            bits &= ~UINT64_C(0) << row % 64;
        if (end < (word + 1) * 64)
            bits &= (UINT64_C(1) << end % 64) - 1;
        for (; bits && err == 0; bits &= bits - 1) {
            const size_t r = word * 64 + (size_t)__builtin_ctzll(bits), i = r - start;
            float dot;
            s->dots->dots(b->bytes + i * s->padded, s->padded, 1, s->query, &dot);
            const float extra = extra_of(s, r), score = dot * (s->by * b->scales[i]) + extra;
            const float error = error_of(s, b, i, extra);
            if (score + error >= f->bar)
                err = add_candidate(s, f, b, r, score, error);
        }
    }
    return err;
}

static size_t count_kept(const uint64_t *keep, size_t row, size_t n)
{
    size_t sum = 0;
    for (size_t word = row / 64; word <= (row + n - 1) / 64; word++)
        sum += (size_t)__builtin_popcountll(keep[word]);
    return sum;
}

static int scan_item(void *user, size_t item, int worker)
{
    const search *s = user;
    finder *f = &s->finders[worker];
    size_t row = s->items[item].first, left = s->items[item].count;
    int err = 0;

    while (left > 0 && err == 0) {
        const size_t n = SM_MIN(left, SM_VECTORS_BLOCK - row % SM_VECTORS_BLOCK);
        sm_vectors_block b;
        sm_vectors_block_of(s->v, row / SM_VECTORS_BLOCK, &b);
        const size_t some = s->q->keep ? count_kept(s->q->keep, row, n) : n;
        if (4 * some > n)
            err = scan_all(s, f, &b, row, n);
        else if (some > 0)
            err = scan_kept(s, f, &b, row, n);
        row += n;
        left -= n;
    }
    return err;
}

/* ---- judging what is left ---- */

static int judge(void *user, size_t i, int worker)
{
    const search *s = user;
    const size_t row = s->left[i].row, dims = (size_t)sm_vectors_about(s->v)->dims;

    (void)worker;
    if (!sm_vectors_sound(s->v, row))
        return sm_fail(SM_EFORMAT, "%s: row %zu of the vectors is damaged", sm_vectors_about(s->v)->space, row);
    const double dot = s->q->weight > 0 ? sm_vectors_dot(sm_vectors_row(s->v, row), s->q->vector, dims) : 0;
    s->hits[i] = (sm_hit){ sm_vectors_id(s->v, row), row, s->q->weight * dot + (double)extra_of(s, row) };
    return 0;
}

static int falling(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* The k-th highest lower bound of all threads; -FLT_MAX: fewer than k rows. */
static int common_bar(const search *s, int threads, float *bar)
{
    size_t n = 0;
    for (int t = 0; t < threads; t++)
        n += s->finders[t].n_least;
    float *all = sm_alloc(n, sizeof *all);
    if (!all)
        return SM_ENOMEM;
    n = 0;
    for (int t = 0; t < threads; t++) {
        memcpy(all + n, s->finders[t].least, s->finders[t].n_least * sizeof *all);
        n += s->finders[t].n_least;
    }
    qsort(all, n, sizeof *all, falling);
    *bar = n >= s->q->limit ? all[s->q->limit - 1] : -FLT_MAX;
    sm_free(all);
    return 0;
}

static int collect(search *s, int threads)
{
    size_t n = 0;
    float bar;
    int err = common_bar(s, threads, &bar);

    for (int t = 0; t < threads && err == 0; t++)
        n += s->finders[t].n;
    if (err < 0)
        return err;
    s->left = sm_alloc(n, sizeof *s->left);
    if (!s->left)
        return SM_ENOMEM;
    for (int t = 0; t < threads; t++)
        for (size_t i = 0; i < s->finders[t].n; i++)
            if (s->finders[t].candidates[i].most >= bar)
                s->left[s->n_left++] = s->finders[t].candidates[i];
    s->hits = sm_alloc(s->n_left, sizeof *s->hits);
    return s->hits ? 0 : SM_ENOMEM;
}

/* ---- the search ---- */

static int run_items(sm_pool *pool, size_t n, int (*fn)(void *, size_t, int), search *s)
{
    int err = 0;
    if (pool)
        return sm_pool_run(pool, n, fn, s);
    for (size_t i = 0; i < n && err == 0; i++)
        err = fn(s, i, 0);
    return err;
}

static int prepare(search *s, int threads)
{
    const sm_vectors_info *about = sm_vectors_about(s->v);
    const size_t dims = (size_t)about->dims;

    for (size_t j = 0; j < dims && s->q->weight > 0; j++)
        if (!isfinite(s->q->vector[j]))
            return sm_fail(SM_EUSAGE, "%s: searched by a value that is not finite", about->space);
    s->query = sm_alloc(1, sizeof *s->query);
    s->finders = sm_alloc_zero((size_t)threads, sizeof *s->finders);
    if (!s->query || !s->finders)
        return SM_ENOMEM;
    s->padded = sm_vectors_padded(s->v);
    sm_dots_query_make(s->query, s->q->vector, s->q->weight > 0 ? dims : 0, s->padded);
    const double w = s->q->weight, norm = w > 0 ? s->query->norm : 0, off = s->query->error;
    s->by = (float)(w * s->query->scale);
    /* floats are rounded: a few 1e-7 of the largest terms */
    const double rounding = 1e-6 * norm, both = w * (off + rounding);
    s->row_error = (float)(w * norm * (1 + 1e-6) + both);
    s->fixed = about->unit ? (float)(both * (1 + 1e-6)) : 0;
    s->by_scale = about->unit ? 0 : (float)(both * 128 * sqrt((double)dims));
    for (int t = 0; t < threads; t++) {
        s->finders[t].bar = -FLT_MAX;
        s->finders[t].least = sm_alloc(s->q->limit, sizeof *s->finders[t].least);
        if (!s->finders[t].least)
            return SM_ENOMEM;
    }
    return 0;
}

int sm_vectors_search_ranges(const sm_vectors *v, sm_pool *pool, const sm_vectors_query *q,
                             const sm_vectors_range *ranges, size_t n_ranges, sm_hit *hits, size_t *n)
{
    sm_vectors_query query = *q;
    search s = { .v = v, .q = &query, .items = ranges, .n_items = n_ranges };
    size_t rows = 0;
    int err;

    *n = 0;
    for (size_t i = 0; i < n_ranges; i++)
        rows += ranges[i].count;
    query.limit = SM_MIN(q->limit, rows);
    if (query.limit == 0)
        return 0;
    if (rows * sm_vectors_padded(v) < ALONE_BYTES)
        pool = NULL; /* over before a helper is awake */
    const int threads = pool ? sm_pool_threads(pool) : 1;
    s.dots = q->dots ? q->dots : sm_vectors_dots(v);
    err = prepare(&s, threads);
    if (err == 0)
        err = run_items(pool, n_ranges, scan_item, &s);
    if (err == 0)
        err = collect(&s, threads);
    if (err == 0)
        err = run_items(s.n_left > 1000 ? pool : NULL, s.n_left, judge, &s);
    if (err == 0) {
        qsort(s.hits, s.n_left, sizeof *s.hits, sm_hit_order);
        *n = SM_MIN(s.n_left, query.limit);
        memcpy(hits, s.hits, *n * sizeof *hits);
    }
    for (int t = 0; t < threads && s.finders; t++) {
        sm_free(s.finders[t].candidates);
        sm_free(s.finders[t].least);
    }
    sm_free(s.finders);
    sm_free(s.query);
    sm_free(s.left);
    sm_free(s.hits);
    return err;
}

int sm_vectors_search(const sm_vectors *v, sm_pool *pool, const sm_vectors_query *q, sm_hit *hits, size_t *n)
{
    const size_t rows = sm_vectors_rows(v), n_items = (rows + ITEM_ROWS - 1) / ITEM_ROWS;
    sm_vectors_range *items = sm_alloc(n_items, sizeof *items);

    *n = 0;
    if (!items)
        return SM_ENOMEM;
    for (size_t i = 0; i < n_items; i++)
        items[i] = (sm_vectors_range){ i * ITEM_ROWS, SM_MIN((size_t)ITEM_ROWS, rows - i * ITEM_ROWS) };
    const int err = sm_vectors_search_ranges(v, pool, q, items, n_items, hits, n);
    sm_free(items);
    return err;
}
