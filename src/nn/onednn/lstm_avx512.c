/* LSTM steps with vectors of 16 floats. */
#include "nn/onednn/simd_avx512.h"
#include "nn/onednn/vmath_body.h"
#include "nn/onednn/lstm_body.h"
#include "nn/onednn/simd_end.h"
