/* Functions of 16 floats at a time. */
#include "nn/onednn/simd_avx512.h"
#include "nn/onednn/vmath_body.h"
#include "nn/onednn/vmath_array.h"
#include "nn/onednn/simd_end.h"
