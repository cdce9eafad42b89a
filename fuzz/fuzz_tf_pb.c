#include "fuzz_weights.h"

FUZZ_READER(tf_pb)
