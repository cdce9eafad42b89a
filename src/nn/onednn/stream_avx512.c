#include "nn/onednn/simd_avx512.h"
#include "nn/onednn/vmath_body.h"
#include "nn/onednn/stream_body.h"
#include "nn/onednn/simd_end.h"
