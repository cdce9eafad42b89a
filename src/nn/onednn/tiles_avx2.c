/* Products in tiles. Vectors of 8: 6 x 2 sums and the operands are the 16 registers. */
#include "nn/onednn/simd_avx2.h"
#include "nn/onednn/vmath_body.h"
enum { TILE_ROWS = 6 };
#include "nn/onednn/tiles_body.h"
#include "nn/onednn/simd_end.h"
