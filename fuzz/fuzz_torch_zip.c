#include "fuzz_weights.h"

FUZZ_READER(torch_zip)
