/* Products in tiles. Vectors of 16: 12 x 2 sums leave eight of the 32 registers for operands. */
#include "nn/onednn/simd_avx512.h"
#include "nn/onednn/vmath_body.h"
enum { TILE_ROWS = 12 };
#include "nn/onednn/tiles_body.h"
#include "nn/onednn/simd_end.h"
