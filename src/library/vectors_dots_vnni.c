/* 64 bytes at a time by vpdpbusd, unsigned rows times signed query, its two halves apart. */
#include <immintrin.h>

#include "library/vectors_dots.h"

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

VNNI static inline __m512i bytes(const void *p)
{
    return _mm512_loadu_si512(p);
}

/* Sums of the lanes of four registers, in order. */
VNNI static inline __m128i four_sums(__m512i a, __m512i b, __m512i c, __m512i d)
{
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* One row times the two halves of the query. */
VNNI static inline void row_times(const uint8_t *row, size_t padded, const sm_dots_query *q, __m512i *high,
                                  __m512i *low)
{
    __m512i h = _mm512_setzero_si512(), l = h;

    for (size_t j = 0; j < padded; j += 64) {
        const __m512i x = bytes(row + j);
        h = _mm512_dpbusd_epi32(h, x, bytes(q->high + j));
        l = _mm512_dpbusd_epi32(l, x, bytes(q->low + j));
    }
    *high = h;
    *low = l;
}

/* Four rows share the sums at the end; one is read after the other, as memory likes it best (rows side by side ran at half the
 * speed). A lane takes padded / 16 products, and all lanes together 4096 * 255 * 127 < 2^31. */
VNNI static void four_rows(const uint8_t *row, size_t padded, const sm_dots_query *q, float *out)
{
    __m512i h[4], l[4];

    for (size_t r = 0; r < 4; r++)
        row_times(row + r * padded, padded, q, &h[r], &l[r]);
    const __m256i high = _mm256_slli_epi64(_mm256_cvtepi32_epi64(four_sums(h[0], h[1], h[2], h[3])), 7);
    const __m256i low = _mm256_cvtepi32_epi64(four_sums(l[0], l[1], l[2], l[3]));
    int64_t sums[4];
    _mm256_storeu_si256((__m256i *)(void *)sums,
                        _mm256_sub_epi64(_mm256_add_epi64(high, low), _mm256_set1_epi64x(q->bias)));
    for (size_t r = 0; r < 4; r++)
        out[r] = (float)sums[r];
}

VNNI static void one_row(const uint8_t *row, size_t padded, const sm_dots_query *q, float *out)
{
    __m512i h, l;

    row_times(row, padded, q, &h, &l);
    *out = (float)(128 * (int64_t)_mm512_reduce_add_epi32(h) + _mm512_reduce_add_epi32(l) - q->bias);
}

static void dots_vnni(const uint8_t *rows, size_t padded, size_t n, const sm_dots_query *q, float *out)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        four_rows(rows + i * padded, padded, q, out + i);
    for (; i < n; i++)
        one_row(rows + i * padded, padded, q, out + i);
}

const sm_dots sm_dots_vnni = { "avx512 vnni", dots_vnni };
