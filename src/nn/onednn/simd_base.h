/* Vectors of 4 floats (SSE2, which every x86-64 has). simd_avx2.h and simd_avx512.h define the same for wider registers, so that a
 * body that is written once in these terms is compiled for each:
 *
 *     #include "nn/onednn/simd_avx512.h"      // or _avx2, _base
 *     #include "nn/onednn/X_body.h"           // its names made different by SIMD(name)
 *     #include "nn/onednn/simd_end.h"
 *
 * vec, LANES; v_fma(a, b, c) = a b + c (rounded twice here), v_fnma = c - a b; v_max and v_min give b when one is NaN;
 * v_round: to the nearest whole number, |x| < 2^31; v_scale2(p, n): p 2^n for whole n in -252..254; v_choose(m, a, b): a where m;
 * v_load_part, v_store_part: 0 <= n <= LANES numbers, the others 0 and untouched; v_sign_of(x, s): |x| with the sign of s. */
#include <immintrin.h>

typedef __m128 vec;
typedef __m128 vmask;
enum { LANES = 4 };
#define SIMD(NAME)      NAME##_base
#define LANES_BITS      128
#define SIMD_TEXT       "sse2"
#define v_set1(x)       _mm_set1_ps(x)
#define v_load(p)       _mm_loadu_ps(p)
#define v_store(p, v)   _mm_storeu_ps(p, v)
#define v_fma(a, b, c)  _mm_add_ps(_mm_mul_ps(a, b), c)
#define v_fnma(a, b, c) _mm_sub_ps(c, _mm_mul_ps(a, b))
#define v_max(a, b)     _mm_max_ps(a, b)
#define v_min(a, b)     _mm_min_ps(a, b)
#define v_zero()        _mm_setzero_ps()
#define v_sqrt(x)       _mm_sqrt_ps(x)
#define v_round(x)      _mm_cvtepi32_ps(_mm_cvtps_epi32(x))
#define v_less(a, b)    _mm_cmplt_ps(a, b)
#define v_any(m)        (_mm_movemask_ps(m) != 0)
#define v_abs(x)        _mm_andnot_ps(_mm_set1_ps(-0.0f), x)
#define v_sign_of(x, s) _mm_or_ps(_mm_andnot_ps(_mm_set1_ps(-0.0f), x), _mm_and_ps(_mm_set1_ps(-0.0f), s))

static inline __attribute__((always_inline)) vec v_choose(vmask m, vec a, vec b)
{
    return _mm_or_ps(_mm_and_ps(m, a), _mm_andnot_ps(m, b));
}

static inline __attribute__((always_inline)) vec v_scale2(vec p, vec n)
{
    const __m128i i = _mm_cvtps_epi32(n), half = _mm_srai_epi32(i, 1), bias = _mm_set1_epi32(127);
    const __m128i low = _mm_slli_epi32(_mm_add_epi32(half, bias), 23);
    const __m128i high = _mm_slli_epi32(_mm_add_epi32(_mm_sub_epi32(i, half), bias), 23);
    return p * _mm_castsi128_ps(low) * _mm_castsi128_ps(high);
}

static inline __attribute__((always_inline)) float v_sum(vec v)
{
    const __m128 x = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}

static inline __attribute__((always_inline)) float v_top(vec v)
{
    const __m128 x = _mm_max_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
}

static inline __attribute__((always_inline)) vec v_load_part(const float *p, int n)
{
    float part[4] = { 0 };
    for (int i = 0; i < n; i++)
        part[i] = p[i];
    return _mm_loadu_ps(part);
}

static inline __attribute__((always_inline)) void v_store_part(float *p, vec v, int n)
{
    float part[4];
    _mm_storeu_ps(part, v);
    for (int i = 0; i < n; i++)
        p[i] = part[i];
}

/* Whole numbers mod 4: which are odd, which are 2 or 3. */
static inline __attribute__((always_inline)) void v_quadrant(vec n, vmask *odd, vmask *upper)
{
    const __m128i i = _mm_cvtps_epi32(n);
    *odd = _mm_castsi128_ps(_mm_srai_epi32(_mm_slli_epi32(i, 31), 31));
    *upper = _mm_castsi128_ps(_mm_srai_epi32(_mm_slli_epi32(i, 30), 31));
}
