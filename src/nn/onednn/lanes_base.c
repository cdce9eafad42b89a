/* Lane kernels in baseline x86-64: 4 lanes, no fused multiply-add. */
#include "nn/onednn/lanes.h"
#include "nn/onednn/simd_base.h"

enum { TILE_ROWS = 6, TILE_COLUMNS = 2 };
#include "nn/onednn/lanes_body.h"
#include "nn/onednn/simd_end.h"
