#include "nn/onednn/simd_base.h"
#include "nn/onednn/vmath_body.h"
#include "nn/onednn/stream_body.h"
#include "nn/onednn/simd_end.h"
