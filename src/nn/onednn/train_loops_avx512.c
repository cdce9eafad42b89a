/* Loops of training, for one instruction set. */
#include "nn/onednn/simd_avx512.h"
#include "nn/onednn/train_loops_body.h"
#include "nn/onednn/simd_end.h"
