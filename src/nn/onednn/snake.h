/* The snake over vectors: x + sin^2(alpha x) / beta. sin^2 has the period pi, so that one polynomial serves every place. */
#ifndef SM_NN_ONEDNN_SNAKE_H
#define SM_NN_ONEDNN_SNAKE_H

#include "nn/nn.h"

typedef struct {
    const char *name;
    /* y = x + sin^2(alpha x) inverse; inverse = 1 / beta; y may be x. */
    void (*run)(const float *x, float *y, int64_t n, float alpha, float inverse); /* of one channel */
    void (*rows)(const float *x, float *y, int64_t rows, int64_t channels, const float *alpha,
                 const float *inverse); /* channels last */
} nn_snake_kernel;

extern const nn_snake_kernel nn_snake_base, nn_snake_avx2, nn_snake_avx512;
const nn_snake_kernel *nn_snake_best(void); /* on this CPU */

#endif
