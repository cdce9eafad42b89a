/* Lane kernels, 256 bit: 8 lanes. Chosen by lanes.c where the CPU has AVX2 and FMA. */
#include "nn/onednn/lanes.h"

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("fma,avx2"))), apply_to = function)
#else
#pragma GCC target("fma,avx2")
#endif

typedef __m256 vec;
enum { LANES = 8, TILE_ROWS = 6, TILE_COLUMNS = 2 };
#define LANES_NAME      nn_lanes_avx2
#define LANES_TEXT      "avx2"
#define v_set1(x)       _mm256_set1_ps(x)
#define v_load(p)       _mm256_loadu_ps(p)
#define v_store(p, v)   _mm256_storeu_ps(p, v)
#define v_fma(a, b, c)  _mm256_fmadd_ps(a, b, c)
#define v_fnma(a, b, c) _mm256_fnmadd_ps(a, b, c)
#define v_max(a, b)     _mm256_max_ps(a, b)
#define v_zero()        _mm256_setzero_ps()
#include "nn/onednn/lanes_body.h"

#ifdef __clang__
#pragma clang attribute pop
#endif
