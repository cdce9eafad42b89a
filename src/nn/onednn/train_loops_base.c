/* Loops of training, for one instruction set. */
#include "nn/onednn/simd_base.h"
#include "nn/onednn/train_loops_body.h"
#include "nn/onednn/simd_end.h"
