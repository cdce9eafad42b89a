#include "fuzz_weights.h"

FUZZ_READER(onnx)
