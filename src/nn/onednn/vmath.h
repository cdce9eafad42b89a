/* Functions of one number over arrays, with the vectors of this CPU. Own kernels that need them inside a loop include
 * vmath_body.h instead; the errors are the same. */
#ifndef SM_NN_ONEDNN_VMATH_H
#define SM_NN_ONEDNN_VMATH_H

#include "nn/nn.h"

/* y[i] = f(x[i]), i < n; y may be x. */
typedef void (*nn_vmath_function)(const float *x, float *y, int64_t n);

typedef struct {
    const char *name;
    int lanes;
    nn_vmath_function
        unary[NN_UNARY_KINDS]; /* NULL: not here (kinds with parameters, and those that need no polynomial) */
} nn_vmath;

extern const nn_vmath nn_vmath_base, nn_vmath_avx2, nn_vmath_avx512;
const nn_vmath *nn_vmath_best(void); /* on this CPU */

#endif
