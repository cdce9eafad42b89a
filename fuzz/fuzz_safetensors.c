#include "fuzz_weights.h"

FUZZ_READER(safetensors)
