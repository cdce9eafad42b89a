/* What the norms over runs of numbers share. */
#ifndef SM_NN_NORM_ROWS_H
#define SM_NN_NORM_ROWS_H

#include "nn/graph.h"

/* Mean and 1 / sqrt(biased variance + eps) of n numbers, in two passes. */
void nn_row_statistics(const float *x, int64_t n, double eps, double *mean, double *inverse);

#endif
