/* Functions of 4 floats at a time. */
#include "nn/onednn/simd_base.h"
#include "nn/onednn/vmath_body.h"
#include "nn/onednn/vmath_array.h"
#include "nn/onednn/simd_end.h"
