/* Lane kernels, 512 bit: 16 lanes. Chosen by lanes.c where the CPU has AVX-512F; valgrind's has not. */
#include "nn/onednn/lanes.h"
#include "nn/onednn/simd_avx512.h"

enum { TILE_ROWS = 12, TILE_COLUMNS = 2 };
#include "nn/onednn/lanes_body.h"
#include "nn/onednn/simd_end.h"
