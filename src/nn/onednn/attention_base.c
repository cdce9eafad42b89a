/* Attention with vectors of 4 floats. */
#include "nn/onednn/simd_base.h"
#include "nn/onednn/vmath_body.h"
#include "nn/onednn/tile_body.h"
#include "nn/onednn/attention_body.h"
