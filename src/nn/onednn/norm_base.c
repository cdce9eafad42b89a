/* Norms with vectors of 4 floats. */
#include "nn/onednn/simd_base.h"
#include "nn/onednn/norm_body.h"
