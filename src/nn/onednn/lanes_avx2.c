/* Lane kernels, 256 bit: 8 lanes. Chosen by lanes.c where the CPU has AVX2 and FMA. */
#include "nn/onednn/lanes.h"
#include "nn/onednn/simd_avx2.h"

enum { TILE_ROWS = 6, TILE_COLUMNS = 2 };
#include "nn/onednn/lanes_body.h"
#include "nn/onednn/simd_end.h"
