/* LSTM steps with vectors of 8 floats. */
#include "nn/onednn/simd_avx2.h"
#include "nn/onednn/vmath_body.h"
#include "nn/onednn/lstm_body.h"
#include "nn/onednn/simd_end.h"
