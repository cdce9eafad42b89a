/* Lane kernels in baseline x86-64: 4 lanes, no fused multiply-add. */
#include "nn/onednn/lanes.h"

#include <immintrin.h>

typedef __m128 vec;
enum { LANES = 4, TILE_ROWS = 6, TILE_COLUMNS = 2 };
#define LANES_NAME      nn_lanes_base
#define LANES_TEXT      "sse2"
#define v_set1(x)       _mm_set1_ps(x)
#define v_load(p)       _mm_loadu_ps(p)
#define v_store(p, v)   _mm_storeu_ps(p, v)
#define v_fma(a, b, c)  _mm_add_ps(_mm_mul_ps(a, b), c)
#define v_fnma(a, b, c) _mm_sub_ps(c, _mm_mul_ps(a, b))
#define v_max(a, b)     _mm_max_ps(a, b)
#define v_zero()        _mm_setzero_ps()
#include "nn/onednn/lanes_body.h"
