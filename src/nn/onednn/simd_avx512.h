/* Vectors of 16 floats (AVX-512F; with SIMD_BF16 defined, also products of bf16). See simd_base.h for what each operation promises. simd_end.h closes what this opens. */
#include <immintrin.h>

#if defined(__clang__) && defined(SIMD_BF16)
#pragma clang attribute push(__attribute__((target("avx512bf16,avx512f,fma,avx2"))), apply_to = function)
#elif defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,fma,avx2"))), apply_to = function)
#elif defined(SIMD_BF16)
#pragma GCC target("avx512bf16,avx512f,fma,avx2,prefer-vector-width=512")
#else
#pragma GCC target("avx512f,fma,avx2,prefer-vector-width=512")
#endif

typedef __m512 vec;
typedef __mmask16 vmask;
enum { LANES = 16 };
#define LANES_BITS 512
#ifdef SIMD_BF16
#define SIMD(NAME) NAME##_avx512_bf16
#define SIMD_TEXT  "avx512 bf16"
#else
#define SIMD(NAME) NAME##_avx512
#define SIMD_TEXT  "avx512"
#endif
#define v_set1(x)         _mm512_set1_ps(x)
#define v_load(p)         _mm512_loadu_ps(p)
#define v_store(p, v)     _mm512_storeu_ps(p, v)
#define v_fma(a, b, c)    _mm512_fmadd_ps(a, b, c)
#define v_fnma(a, b, c)   _mm512_fnmadd_ps(a, b, c)
#define v_max(a, b)       _mm512_max_ps(a, b)
#define v_min(a, b)       _mm512_min_ps(a, b)
#define v_zero()          _mm512_setzero_ps()
#define v_sqrt(x)         _mm512_sqrt_ps(x)
#define v_round(x)        _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define v_less(a, b)      _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ)
#define v_any(m)          ((m) != 0)
#define v_choose(m, a, b) _mm512_mask_blend_ps(m, b, a)
#define v_scale2(p, n)    _mm512_scalef_ps(p, n)
#define v_sum(v)          _mm512_reduce_add_ps(v)
#define v_top(v)          _mm512_reduce_max_ps(v)
#define v_abs(x)          _mm512_abs_ps(x)
#define v_sign_of(x, s)                                                                                                \
    _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(x), _mm512_castps_si512(s),                      \
                                                  _mm512_set1_epi32((int)0x80000000u), 0xd8))

static inline __attribute__((always_inline)) vec v_load_part(const float *p, int n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

static inline __attribute__((always_inline)) void v_store_part(float *p, vec v, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
}

/* Whole numbers mod 4, as vmask of "is odd" and of "2 or 3". */
static inline __attribute__((always_inline)) void v_quadrant(vec n, vmask *odd, vmask *upper)
{
    const __m512i i = _mm512_cvtps_epi32(n);
    *odd = _mm512_test_epi32_mask(i, _mm512_set1_epi32(1));
    *upper = _mm512_test_epi32_mask(i, _mm512_set1_epi32(2));
}
