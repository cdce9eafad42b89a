/* 16 bytes at a time, widened to 16 bits: vpmaddubsw would saturate. */
#include <immintrin.h>

#include "library/vectors_dots.h"

/* A lane takes padded / 16 sums of two products: 256 * 2 * 255 * 16256 < 2^31. */
__attribute__((target("avx2"))) static int64_t dot(const uint8_t *row, size_t padded, const int16_t *value)
{
    __m256i a = _mm256_setzero_si256(), b = a;

    for (size_t j = 0; j < padded; j += 32) {
        const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(row + j)));
        const __m256i y = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(row + j + 16)));
        const __m256i p = _mm256_loadu_si256((const __m256i *)(const void *)(value + j));
        const __m256i q = _mm256_loadu_si256((const __m256i *)(const void *)(value + j + 16));
        a = _mm256_add_epi32(a, _mm256_madd_epi16(x, p));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(y, q));
    }
    /* in 64 bits: the lanes' sum may be longer than 32 */
    const __m256i low = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(a)),
                                         _mm256_cvtepi32_epi64(_mm256_extracti128_si256(a, 1)));
    const __m256i high = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(b)),
                                          _mm256_cvtepi32_epi64(_mm256_extracti128_si256(b, 1)));
    const __m256i both = _mm256_add_epi64(low, high);
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    return (int64_t)_mm_cvtsi128_si64(two) + (int64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(two, two));
}

static void dots_avx2(const uint8_t *rows, size_t padded, size_t n, const sm_dots_query *q, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(dot(rows + i * padded, padded, q->value) - q->bias);
}

const sm_dots sm_dots_avx2 = { "avx2", dots_avx2 };
