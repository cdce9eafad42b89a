/* Goldens: tensors by name from a safetensors file that we trust (the reader that trusts nothing is in src/weights). */
#ifndef SM_TEST_GOLDEN_H
#define SM_TEST_GOLDEN_H

#include "support/support.h"

/* The F32 tensor `name`, its number of values in *n; fails the test if it is not there. The caller's: free(). */
float *test_golden_f32(const char *path, const char *name, size_t *n);

#endif
