/* Lane kernels, 512 bit: 16 lanes. Chosen by lanes.c where the CPU has AVX-512F; valgrind's has not. */
#include "nn/onednn/lanes.h"

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,fma,avx2"))), apply_to = function)
#else
#pragma GCC target("avx512f,fma,avx2,prefer-vector-width=512")
#endif

typedef __m512 vec;
enum { LANES = 16, TILE_ROWS = 12, TILE_COLUMNS = 2 };
#define LANES_NAME      nn_lanes_avx512
#define LANES_TEXT      "avx512"
#define v_set1(x)       _mm512_set1_ps(x)
#define v_load(p)       _mm512_loadu_ps(p)
#define v_store(p, v)   _mm512_storeu_ps(p, v)
#define v_fma(a, b, c)  _mm512_fmadd_ps(a, b, c)
#define v_fnma(a, b, c) _mm512_fnmadd_ps(a, b, c)
#define v_max(a, b)     _mm512_max_ps(a, b)
#define v_zero()        _mm512_setzero_ps()
#include "nn/onednn/lanes_body.h"

#ifdef __clang__
#pragma clang attribute pop
#endif
