/* Snakes of 4 floats at a time. */
#include "nn/onednn/simd_base.h"
#include "nn/onednn/snake_body.h"
#include "nn/onednn/simd_end.h"
