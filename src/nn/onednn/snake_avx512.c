/* Snakes of 16 floats at a time. */
#include "nn/onednn/simd_avx512.h"
#include "nn/onednn/snake_body.h"
#include "nn/onednn/simd_end.h"
