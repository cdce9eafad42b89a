/* Loops of training, for one instruction set. */
#include "nn/onednn/simd_avx2.h"
#include "nn/onednn/train_loops_body.h"
#include "nn/onednn/simd_end.h"
