/* LSTM steps with vectors of 4 floats. */
#include "nn/onednn/simd_base.h"
#include "nn/onednn/vmath_body.h"
#include "nn/onednn/lstm_body.h"
#include "nn/onednn/simd_end.h"
