/* Vectors of 8 floats (AVX2, FMA and, as every CPU with these has it, F16C). See simd_base.h for what each operation promises. simd_end.h closes what this opens. */
#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("f16c,fma,avx2"))), apply_to = function)
#else
#pragma GCC target("f16c,fma,avx2")
#endif

typedef __m256 vec;
typedef __m256 vmask;
enum { LANES = 8 };
#define SIMD(NAME)        NAME##_avx2
#define LANES_BITS        256
#define SIMD_TEXT         "avx2"
#define v_set1(x)         _mm256_set1_ps(x)
#define v_load(p)         _mm256_loadu_ps(p)
#define v_store(p, v)     _mm256_storeu_ps(p, v)
#define v_fma(a, b, c)    _mm256_fmadd_ps(a, b, c)
#define v_fnma(a, b, c)   _mm256_fnmadd_ps(a, b, c)
#define v_max(a, b)       _mm256_max_ps(a, b)
#define v_min(a, b)       _mm256_min_ps(a, b)
#define v_zero()          _mm256_setzero_ps()
#define v_sqrt(x)         _mm256_sqrt_ps(x)
#define v_round(x)        _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define v_less(a, b)      _mm256_cmp_ps(a, b, _CMP_LT_OQ)
#define v_any(m)          (_mm256_movemask_ps(m) != 0)
#define v_choose(m, a, b) _mm256_blendv_ps(b, a, m)
#define v_abs(x)          _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x)
#define v_sign_of(x, s)                                                                                                \
    _mm256_or_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), x), _mm256_and_ps(_mm256_set1_ps(-0.0f), s))

static inline __attribute__((always_inline)) vec v_scale2(vec p, vec n)
{
    const __m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1), bias = _mm256_set1_epi32(127);
    const __m256i low = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i high = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(i, half), bias), 23);
    return p * _mm256_castsi256_ps(low) * _mm256_castsi256_ps(high);
}

static inline __attribute__((always_inline)) float v_sum(vec v)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

static inline __attribute__((always_inline)) float v_top(vec v)
{
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

static inline __attribute__((always_inline)) __m256i v_part(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline __attribute__((always_inline)) vec v_load_part(const float *p, int n)
{
    return _mm256_maskload_ps(p, v_part(n));
}

static inline __attribute__((always_inline)) void v_store_part(float *p, vec v, int n)
{
    _mm256_maskstore_ps(p, v_part(n), v);
}

static inline __attribute__((always_inline)) void v_quadrant(vec n, vmask *odd, vmask *upper)
{
    const __m256i i = _mm256_cvtps_epi32(n);
    *odd = _mm256_castsi256_ps(_mm256_slli_epi32(i, 31));
    *upper = _mm256_castsi256_ps(_mm256_slli_epi32(i, 30));
}
