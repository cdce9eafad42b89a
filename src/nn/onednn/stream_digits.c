/* Products of 8-bit weights where the CPU multiplies bytes (AVX-512 VNNI). A row x becomes whole numbers of 24 bits, in units of its largest
 * magnitude / (2^23 - 2), and each of these three digits to base 256; the products of digits and weights are added up exactly:
 *
 *     u[k] = round(x[k] / unit) + 2^23 = d0[k] + 256 d1[k] + 65536 d2[k]
 *     y[o] = unit scale[o] (sum of d0 w + 256 sum of d1 w + 65536 sum of d2 w - 2^23 sum of w)
 *
 * So nothing is lost beside f32, whose own numbers have 24 bits, and the order of summation does not matter. */
#include "nn/onednn/stream.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512vnni,avx512bw,avx512dq,avx512vl,avx512f,fma,avx2"))),        \
                             apply_to = function)
#else
#pragma GCC target("avx512vnni,avx512bw,avx512dq,avx512vl,avx512f,fma,avx2,prefer-vector-width=512")
#endif

#define S_INLINE static inline __attribute__((always_inline))

enum {
    LINE = 64,
    AHEAD = 4096,
    DIGITS = 3,
    OUTPUTS = 4,
    ROWS = 2,
    MIDDLE = 1 << 23,
    MOST = MIDDLE - 2 /* rounding may add 1 */
};

/* ---- rows to digits ---- */

/* A row: its unit, then its digits, [depth / LINE, rounded up][DIGITS][LINE]. */
static int64_t row_bytes(int64_t depth)
{
    return LINE + DIGITS * ((depth + LINE - 1) / LINE * LINE);
}

static size_t room(int64_t rows, int64_t depth)
{
    return (size_t)(rows * row_bytes(depth));
}

S_INLINE __m512 load_some(const float *x, int64_t n)
{
    return n >= 16 ? _mm512_loadu_ps(x) : _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), x);
}

/* NaN when not all numbers are finite. */
static float largest(const float *x, int64_t n)
{
    const __m512 infinite = _mm512_set1_ps(INFINITY);
    __m512 top = _mm512_setzero_ps();
    __mmask16 bad = 0;
    for (int64_t k = 0; k < n; k += 16) {
        const __m512 v = _mm512_abs_ps(load_some(x + k, n - k));
        bad |= _mm512_cmp_ps_mask(v, infinite, _CMP_NLT_UQ);
        top = _mm512_max_ps(top, v);
    }
    return bad ? NAN : _mm512_reduce_max_ps(top);
}

static void split_row(const float *x, int64_t depth, uint8_t *to)
{
    const float top = largest(x, depth);
    const double unit = (double)top / MOST;
    /* numbers so small that their inverse is infinite count as zero */
    const float inverse = top > 1e-30f ? (float)(MOST / (double)top) : 0;
    memcpy(to, &unit, sizeof unit);
    to += LINE;
    for (int64_t k = 0; k < (depth + LINE - 1) / LINE * LINE; k += 16) {
        uint8_t *at = to + k / LINE * LINE * DIGITS + k % LINE;
        const int64_t left = SM_CLAMP(depth - k, 0, 16);
        const __mmask16 some = (__mmask16)((1u << left) - 1);
        const __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(some, x + k), _mm512_set1_ps(inverse));
        const __m512i u = _mm512_maskz_add_epi32(some, _mm512_cvtps_epi32(v), _mm512_set1_epi32(MIDDLE));
        _mm_storeu_si128((__m128i *)at, _mm512_cvtepi32_epi8(u));
        _mm_storeu_si128((__m128i *)(at + LINE), _mm512_cvtepi32_epi8(_mm512_srli_epi32(u, 8)));
        _mm_storeu_si128((__m128i *)(at + 2 * LINE), _mm512_cvtepi32_epi8(_mm512_srli_epi32(u, 16)));
    }
}

static void split(const float *x, int64_t rows, int64_t depth, void *digits)
{
    for (int64_t i = 0; i < rows; i++)
        split_row(x + i * depth, depth, (uint8_t *)digits + i * row_bytes(depth));
}

/* ---- products ---- */

/* Sums of four vectors. */
S_INLINE __m128i sums_of_four(__m512i a, __m512i b, __m512i c, __m512i d)
{
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b)),
                  cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* sum += products of u's bytes and v's, four to a number. In words of its own because gcc 12 moves the sums of the intrinsic to the stack. */
S_INLINE void add_products(__m512i *sum, __m512i u, __m512i v)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(u), "v"(v));
}

/* Adds the products of 64 places to all sums. rows is a constant where this is inlined. */
S_INLINE void take(int rows, const __m512i v[OUTPUTS], const uint8_t *digits, int64_t row,
                   __m512i sum[ROWS][DIGITS][OUTPUTS])
{
#pragma GCC unroll 2
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
        for (int d = 0; d < DIGITS; d++) {
            const __m512i u = _mm512_loadu_si512(digits + i * row + d * LINE);
#pragma GCC unroll 4
            for (int j = 0; j < OUTPUTS; j++)
                add_products(&sum[i][d][j], u, v[j]);
        }
}

/* rows x OUTPUTS results; what lies behind the last of `outputs` is the first again. rows is a constant where this is inlined. */
S_INLINE void tile(int rows, int64_t outputs, const nn_stream_weights *w, const uint8_t *digits, int64_t o, float *y,
                   int64_t ldy)
{
    const int64_t depth = w->depth, row = row_bytes(depth);
    const int64_t ahead = (AHEAD / (OUTPUTS * depth) + 1) * OUTPUTS * depth;
    const int8_t *p[OUTPUTS];
    __m512i sum[ROWS][DIGITS][OUTPUTS], v[OUTPUTS];
    int64_t k = 0;

#pragma GCC unroll 4
    for (int j = 0; j < OUTPUTS; j++)
        p[j] = (const int8_t *)w->data + (o + (j < outputs ? j : 0)) * depth;
#pragma GCC unroll 2
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
        for (int d = 0; d < DIGITS; d++)
#pragma GCC unroll 4
            for (int j = 0; j < OUTPUTS; j++)
                sum[i][d][j] = _mm512_setzero_si512();
    for (; k + LINE <= depth; k += LINE) {
#pragma GCC unroll 4
        for (int j = 0; j < OUTPUTS; j++) {
            _mm_prefetch((const char *)p[j] + k + ahead, _MM_HINT_T1);
            v[j] = _mm512_loadu_si512(p[j] + k);
        }
        take(rows, v, digits + LINE + DIGITS * k, row, sum);
    }
    if (k < depth) { /* bytes behind the row are the next one's, and behind the last row nobody's */
        const __mmask64 some = ((__mmask64)1 << (depth - k)) - 1;
#pragma GCC unroll 4
        for (int j = 0; j < OUTPUTS; j++)
            v[j] = _mm512_maskz_loadu_epi8(some, p[j] + k);
        take(rows, v, digits + LINE + DIGITS * k, row, sum);
    }
#pragma GCC unroll 2
    for (int i = 0; i < rows; i++) {
        int32_t s[DIGITS][OUTPUTS];
        double unit;
        memcpy(&unit, digits + i * row, sizeof unit);
#pragma GCC unroll 3
        for (int d = 0; d < DIGITS; d++)
            _mm_storeu_si128((__m128i *)s[d], sums_of_four(sum[i][d][0], sum[i][d][1], sum[i][d][2], sum[i][d][3]));
        for (int64_t j = 0; j < outputs; j++) {
            const double whole = s[0][j] + 256.0 * s[1][j] + 65536.0 * s[2][j] - (double)MIDDLE * w->sum[o + j];
            y[i * ldy + o + j] = (float)(unit * (double)w->scale[o + j] * whole);
        }
    }
}

static void product(const nn_stream_weights *w, const void *digits, int64_t rows, int64_t first, int64_t last, float *y,
                    int64_t ldy)
{
    const int64_t row = row_bytes(w->depth);
    for (int64_t o = first; o < last; o += OUTPUTS) {
        const int64_t outputs = SM_MIN(last - o, OUTPUTS);
        int64_t i = 0;
        for (; i + ROWS <= rows; i += ROWS)
            tile(ROWS, outputs, w, (const uint8_t *)digits + i * row, o, y + i * ldy, ldy);
        if (i < rows)
            tile(1, outputs, w, (const uint8_t *)digits + i * row, o, y + i * ldy, ldy);
    }
}

#if defined(__clang__)
#pragma clang attribute pop
#endif

const nn_stream_digits nn_stream_vnni = {
    .name = "stream avx512 vnni",
    .room = room,
    .split = split,
    .product = product,
};
