/* The kernels of stream.h, in terms of simd_*.h. Included once by each instruction set. */
#include "nn/half.h"
#include "nn/onednn/stream.h"

#include <math.h>

#define S_INLINE static inline __attribute__((always_inline))

/* OUTPUTS weight rows are read side by side for up to ROWS rows of x: all sums stay in registers. */
#if LANES_BITS == 512
enum { OUTPUTS = 4, ROWS = 6 };
#else
enum { OUTPUTS = 2, ROWS = 6 };
#endif
/* Bytes that are asked for before they are needed; into the second cache: rows 4 KB apart would drive each other out of the first. */
enum { LINE = 64, AHEAD = 4096 };

/* ---- numbers as they are stored ---- */

S_INLINE vec load_half(const uint16_t *p)
{
#if LANES_BITS == 512
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif LANES_BITS == 256
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#else
    return _mm_setr_ps(nn_of_half(p[0]), nn_of_half(p[1]), nn_of_half(p[2]), nn_of_half(p[3]));
#endif
}

S_INLINE vec load_bf16(const uint16_t *p)
{
#if LANES_BITS == 512
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
#elif LANES_BITS == 256
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
#else
    return _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64((const __m128i *)p)));
#endif
}

S_INLINE vec load_i8(const int8_t *p)
{
#if LANES_BITS == 512
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
#elif LANES_BITS == 256
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
#else
    return _mm_setr_ps(p[0], p[1], p[2], p[3]);
#endif
}

S_INLINE void store_half(uint16_t *p, vec v)
{
#if LANES_BITS == 512
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
#elif LANES_BITS == 256
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
#else
    float f[LANES];
    v_store(f, v);
    for (int i = 0; i < LANES; i++)
        p[i] = nn_to_half(f[i]);
#endif
}

/* `type` is a constant where these are inlined. */
S_INLINE vec load_as(nn_type type, const char *p, int64_t i)
{
    if (type == NN_F16)
        return load_half((const uint16_t *)(const void *)p + i);
    if (type == NN_BF16)
        return load_bf16((const uint16_t *)(const void *)p + i);
    if (type == NN_I8)
        return load_i8((const int8_t *)p + i);
    return v_load((const float *)(const void *)p + i);
}

S_INLINE float one_as(nn_type type, const char *p, int64_t i)
{
    if (type == NN_F16)
        return nn_of_half(((const uint16_t *)(const void *)p)[i]);
    if (type == NN_BF16)
        return nn_of_bf16(((const uint16_t *)(const void *)p)[i]);
    if (type == NN_I8)
        return ((const int8_t *)p)[i];
    return ((const float *)(const void *)p)[i];
}

S_INLINE int64_t size_of(nn_type type)
{
    return type == NN_F32 ? 4 : type == NN_I8 ? 1 : 2;
}

/* ---- products ---- */

/* `vectors` lanes of numbers k.. of each output, into the sums. type, rows, outputs and vectors are constants where this is inlined. */
S_INLINE void take(nn_type type, int rows, int outputs, int vectors, int64_t stride, int64_t depth, const char *p,
                   const float *x, int64_t k, vec sum[ROWS][OUTPUTS])
{
#pragma GCC unroll 2
    for (int u = 0; u < vectors; u++, k += LANES) {
        vec v[OUTPUTS];
#pragma GCC unroll 4
        for (int j = 0; j < outputs; j++)
            v[j] = load_as(type, p + j * stride, k);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            const vec a = v_load(x + i * depth + k);
#pragma GCC unroll 4
            for (int j = 0; j < outputs; j++)
                sum[i][j] = v_fma(a, v[j], sum[i][j]);
        }
    }
}

/* Rows of weights lie one behind the other, and a tile reads `outputs` of them side by side: what is asked for ahead is the same place of
 * a tile further on, so that the memory is walked through without a gap where a row ends. */
S_INLINE void tile(nn_type type, int rows, int outputs, const nn_stream_weights *w, const float *x, int64_t o, float *y,
                   int64_t ldy)
{
    const int64_t depth = w->depth, stride = depth * size_of(type), line = LINE / size_of(type);
    const int64_t ahead = (AHEAD / (outputs * stride) + 1) * outputs * stride;
    const char *p = (const char *)w->data + o * stride;
    vec sum[ROWS][OUTPUTS];
    int64_t k = 0;

#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < outputs; j++)
            sum[i][j] = v_zero();
    for (; k + line <= depth; k += line) {
#pragma GCC unroll 4
        for (int j = 0; j < outputs; j++)
            _mm_prefetch(p + j * stride + k * size_of(type) + ahead, _MM_HINT_T1);
        take(type, rows, outputs, (int)(line / LANES), stride, depth, p, x, k, sum);
    }
    for (; k + LANES <= depth; k += LANES)
        take(type, rows, outputs, 1, stride, depth, p, x, k, sum);
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < outputs; j++) {
            float s = v_sum(sum[i][j]);
            for (int64_t r = k; r < depth; r++)
                s += x[i * depth + r] * one_as(type, p + j * stride, r);
            y[i * ldy + o + j] = type == NN_I8 ? s * w->scale[o + j] : s;
        }
}

S_INLINE void tiles(nn_type type, int outputs, const nn_stream_weights *w, const float *x, int64_t rows, int64_t o,
                    float *y, int64_t ldy)
{
    for (; rows > 0; rows -= ROWS, x += ROWS * w->depth, y += ROWS * ldy) {
        if (rows >= 6)
            tile(type, 6, outputs, w, x, o, y, ldy);
        else if (rows == 5)
            tile(type, 5, outputs, w, x, o, y, ldy);
        else if (rows == 4)
            tile(type, 4, outputs, w, x, o, y, ldy);
        else if (rows == 3)
            tile(type, 3, outputs, w, x, o, y, ldy);
        else if (rows == 2)
            tile(type, 2, outputs, w, x, o, y, ldy);
        else
            tile(type, 1, outputs, w, x, o, y, ldy);
    }
}

#define PRODUCT_OF(TYPE, NAME)                                                                                         \
    static void NAME(const nn_stream_weights *w, const float *x, int64_t rows, int64_t first, int64_t last, float *y,  \
                     int64_t ldy)                                                                                      \
    {                                                                                                                  \
        for (; first + OUTPUTS <= last; first += OUTPUTS)                                                              \
            tiles(TYPE, OUTPUTS, w, x, rows, first, y, ldy);                                                           \
        for (; first < last; first++)                                                                                  \
            tiles(TYPE, 1, w, x, rows, first, y, ldy);                                                                 \
    }
PRODUCT_OF(NN_F32, product_f32)
PRODUCT_OF(NN_F16, product_f16)
PRODUCT_OF(NN_BF16, product_bf16)
PRODUCT_OF(NN_I8, product_i8)

static void product(const nn_stream_weights *w, const float *x, int64_t rows, int64_t first, int64_t last, float *y,
                    int64_t ldy)
{
    if (w->type == NN_F16)
        product_f16(w, x, rows, first, last, y, ldy);
    else if (w->type == NN_BF16)
        product_bf16(w, x, rows, first, last, y, ldy);
    else if (w->type == NN_I8)
        product_i8(w, x, rows, first, last, y, ldy);
    else
        product_f32(w, x, rows, first, last, y, ldy);
}

/* ---- to 8 bits ---- */

S_INLINE void quantise_row(nn_type type, const char *p, int64_t depth, int8_t *out, float *scale, int32_t *sum)
{
    float top = 0;
    for (int64_t k = 0; k < depth; k++)
        top = SM_MAX(top, fabsf(one_as(type, p, k)));
    const float inverse = top > 0 ? 127 / top : 0;
    *scale = top / 127;
    *sum = 0;
    for (int64_t k = 0; k < depth; k++)
        *sum += out[k] = (int8_t)lrintf(SM_CLAMP(one_as(type, p, k) * inverse, -127.0f, 127.0f));
}

static void quantise(const nn_stream_weights *w, int64_t first, int64_t last, int8_t *out, float *scale, int32_t *sum)
{
    for (int64_t o = first; o < last; o++) {
        const char *p = (const char *)w->data + o * w->depth * size_of(w->type);
        int8_t *to = out + o * w->depth;
        if (w->type == NN_F16)
            quantise_row(NN_F16, p, w->depth, to, &scale[o], &sum[o]);
        else if (w->type == NN_BF16)
            quantise_row(NN_BF16, p, w->depth, to, &scale[o], &sum[o]);
        else
            quantise_row(NN_F32, p, w->depth, to, &scale[o], &sum[o]);
    }
}

/* ---- attention ---- */

static void keep(const nn_stream_cache *c, int64_t at, const float *x)
{
    if (!c->half) {
        memcpy((float *)c->data + at * c->d, x, (size_t)c->d * sizeof *x);
        return;
    }
    uint16_t *to = (uint16_t *)c->data + at * c->d;
    int64_t e = 0;
    for (; e + LANES <= c->d; e += LANES)
        store_half(to + e, v_load(x + e));
    for (; e < c->d; e++)
        to[e] = nn_to_half(x[e]);
}

/* Sums of four vectors. */
S_INLINE __m128 sums_of_four(vec a, vec b, vec c, vec d)
{
#if LANES_BITS == 512
    const __m512 ab = _mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b),
                 cd = _mm512_unpacklo_ps(c, d) + _mm512_unpackhi_ps(c, d);
    const __m512 all = _mm512_shuffle_ps(ab, cd, 0x44) + _mm512_shuffle_ps(ab, cd, 0xEE);
    const __m512 two = all + _mm512_shuffle_f32x4(all, all, 0x4E);
    const __m512 one = two + _mm512_shuffle_f32x4(two, two, 0xB1);
    return _mm512_castps512_ps128(one);
#elif LANES_BITS == 256
    const __m256 all = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm256_castps256_ps128(all) + _mm256_extractf128_ps(all, 1);
#else
    _MM_TRANSPOSE4_PS(a, b, c, d);
    return (a + b) + (c + d);
#endif
}

enum { KEYS = 4 };

/* q with KEYS keys, one behind the other. */
S_INLINE void dots_as(nn_type type, const float *q, const char *k, int64_t d, float scale, float *score)
{
    const int64_t row = d * size_of(type);
    vec sum[KEYS];
    int64_t e = 0;
    for (int64_t at = 0; at < KEYS * row; at += LINE)
        _mm_prefetch(k + AHEAD + at, _MM_HINT_T1);
#pragma GCC unroll 4
    for (int j = 0; j < KEYS; j++)
        sum[j] = v_zero();
    for (; e + LANES <= d; e += LANES) {
        const vec a = v_load(q + e);
#pragma GCC unroll 4
        for (int j = 0; j < KEYS; j++)
            sum[j] = v_fma(a, load_as(type, k + j * row, e), sum[j]);
    }
    __m128 s = sums_of_four(sum[0], sum[1], sum[2], sum[3]);
    for (; e < d; e++)
        s += _mm_set1_ps(q[e]) * _mm_setr_ps(one_as(type, k, e), one_as(type, k + row, e), one_as(type, k + 2 * row, e),
                                             one_as(type, k + 3 * row, e));
    _mm_storeu_ps(score, s * _mm_set1_ps(scale));
}

S_INLINE float dot_as(nn_type type, const float *q, const char *k, int64_t d)
{
    vec sum = v_zero();
    int64_t e = 0;
    for (; e + LANES <= d; e += LANES)
        sum = v_fma(v_load(q + e), load_as(type, k, e), sum);
    float s = v_sum(sum);
    for (; e < d; e++)
        s += q[e] * one_as(type, k, e);
    return s;
}

/* `vectors` lanes of the weighted sum of rows, in two sums each. type and vectors are constants where this is inlined. */
S_INLINE void weigh_some(nn_type type, int vectors, const char *v, const float *p, int64_t seen, int64_t row, int64_t e,
                         float *y)
{
    vec even[4], odd[4];
    int64_t j = 0;
#pragma GCC unroll 4
    for (int i = 0; i < vectors; i++)
        even[i] = odd[i] = v_zero();
    for (; j + 2 <= seen; j += 2) {
        const vec a = v_set1(p[j]), b = v_set1(p[j + 1]);
        const char *at = v + j * row;
        for (int64_t line = 0; line < 2 * row; line += LINE)
            _mm_prefetch(at + AHEAD + line, _MM_HINT_T1);
#pragma GCC unroll 4
        for (int i = 0; i < vectors; i++) {
            even[i] = v_fma(a, load_as(type, at, e + i * LANES), even[i]);
            odd[i] = v_fma(b, load_as(type, at + row, e + i * LANES), odd[i]);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < vectors; i++) {
        if (j < seen)
            even[i] = v_fma(v_set1(p[j]), load_as(type, v + j * row, e + i * LANES), even[i]);
        v_store(y + e + i * LANES, even[i] + odd[i]);
    }
}

S_INLINE void weigh_as(nn_type type, const char *v, const float *p, int64_t seen, int64_t d, float *y)
{
    const int64_t row = d * size_of(type);
    int64_t e = 0;
    for (; e + 4 * LANES <= d; e += 4 * LANES)
        weigh_some(type, 4, v, p, seen, row, e, y);
    for (; e + LANES <= d; e += LANES)
        weigh_some(type, 1, v, p, seen, row, e, y);
    for (; e < d; e++) {
        float a = 0;
        for (int64_t j = 0; j < seen; j++)
            a += p[j] * one_as(type, v + j * row, e);
        y[e] = a;
    }
}

/* Scores to weights that add up to 1. */
S_INLINE void soften(float *score, int64_t n)
{
    const int64_t padded = (n + LANES - 1) / LANES * LANES;
    vec top = v_set1(-INFINITY), total = v_zero();
    for (int64_t j = n; j < padded; j++)
        score[j] = -INFINITY;
    for (int64_t j = 0; j < padded; j += LANES)
        top = v_max(top, v_load(score + j));
    const vec most = v_set1(v_top(top));
    for (int64_t j = 0; j < padded; j += LANES) {
        const vec p = v_exp(v_load(score + j) - most);
        v_store(score + j, p);
    }
    for (int64_t j = n; j < padded; j++)
        score[j] = 0;
    for (int64_t j = 0; j < padded; j += LANES)
        total += v_load(score + j);
    const vec scale = v_set1(1 / v_sum(total));
    for (int64_t j = 0; j < padded; j += LANES)
        v_store(score + j, v_load(score + j) * scale);
}

S_INLINE void attend_as(nn_type type, const nn_stream_cache *k, const nn_stream_cache *v, const float *q, int64_t seen,
                        float scale, float *work, float *y)
{
    const int64_t row = k->d * size_of(type);
    int64_t j = 0;
    for (; j + KEYS <= seen; j += KEYS)
        dots_as(type, q, (const char *)k->data + j * row, k->d, scale, work + j);
    for (; j < seen; j++)
        work[j] = dot_as(type, q, (const char *)k->data + j * row, k->d) * scale;
    soften(work, seen);
    weigh_as(type, v->data, work, seen, k->d, y);
}

static void attend(const nn_stream_cache *k, const nn_stream_cache *v, const float *q, int64_t seen, float scale,
                   float *work, float *y)
{
    if (k->half)
        attend_as(NN_F16, k, v, q, seen, scale, work, y);
    else
        attend_as(NN_F32, k, v, q, seen, scale, work, y);
}

/* ---- a plain read ---- */

static float sum(const float *x, int64_t n)
{
    vec s[8];
    float rest = 0;
    int64_t k = 0;
    for (int i = 0; i < 8; i++)
        s[i] = v_zero();
    for (; k + 8 * LANES <= n; k += 8 * LANES)
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            s[i] += v_load(x + k + i * LANES);
    for (; k < n; k++)
        rest += x[k];
    for (int i = 1; i < 8; i++)
        s[0] += s[i];
    return v_sum(s[0]) + rest;
}

const nn_stream_kernel SIMD(nn_stream) = {
    .name = "stream " SIMD_TEXT,
    .product = product,
    .quantise = quantise,
    .keep = keep,
    .attend = attend,
    .sum = sum,
};
