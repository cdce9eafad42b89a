/* Dot products for the resamplers, chosen once per resampler by what the CPU has. */
#include "audio/resample.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Sixteen partial sums: the compiler vectorises them for the baseline, and the order of adding is fixed. */
static float dot_plain(const float *a, const float *b, int n)
{
    float part[SM_DOT_STEP] = { 0 };
    for (int k = 0; k < n; k += SM_DOT_STEP)
        for (int j = 0; j < SM_DOT_STEP; j++)
            part[j] += a[k + j] * b[k + j];
    for (int width = SM_DOT_STEP / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++)
            part[j] += part[j + width];
    return part[0];
}

static bool always(const sm_cpu_info *cpu)
{
    (void)cpu;
    return true;
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static float dot_avx2(const float *a, const float *b, int n)
{
    __m256 even = _mm256_setzero_ps(), odd = _mm256_setzero_ps();
    for (int k = 0; k < n; k += 16) {
        even = _mm256_fmadd_ps(_mm256_loadu_ps(a + k), _mm256_loadu_ps(b + k), even);
        odd = _mm256_fmadd_ps(_mm256_loadu_ps(a + k + 8), _mm256_loadu_ps(b + k + 8), odd);
    }
    const __m256 both = _mm256_add_ps(even, odd);
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    sum = _mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1));
    return _mm_cvtss_f32(sum);
}

static bool has_avx2(const sm_cpu_info *cpu)
{
    return cpu->avx2 && cpu->fma;
}
#endif

const sm_dot_row sm_dot_table[] = {
#if defined(__x86_64__)
    { "avx2", has_avx2, dot_avx2 },
#endif
    { "plain", always, dot_plain },
    { NULL, NULL, NULL },
};

sm_dot_function sm_dot_best(void)
{
    sm_cpu_info cpu;
    const sm_dot_row *row = sm_dot_table;

    sm_cpu_detect(&cpu);
    while (!row->usable(&cpu))
        row++;
    return row->dot;
}
