/* Products in tiles. Vectors of 4: 6 x 2 sums. */
#include "nn/onednn/simd_base.h"
#include "nn/onednn/vmath_body.h"
enum { TILE_ROWS = 6 };
#include "nn/onednn/tiles_body.h"
#include "nn/onednn/simd_end.h"
