/* Snakes of 8 floats at a time. */
#include "nn/onednn/simd_avx2.h"
#include "nn/onednn/snake_body.h"
#include "nn/onednn/simd_end.h"
