/* Attention with products of bf16 numbers and sums of 16 floats. */
#define SIMD_BF16
#include "nn/onednn/simd_avx512.h"
#include "nn/onednn/vmath_body.h"
#include "nn/onednn/tile_body.h"
#include "nn/onednn/attention_body.h"
#include "nn/onednn/simd_end.h"
