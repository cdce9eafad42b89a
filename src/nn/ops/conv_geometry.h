/* A convolution's sizes, the same for 1-D (height 1) and 2-D: for its reference kernel and those of its gradients. */
#ifndef SM_NN_CONV_GEOMETRY_H
#define SM_NN_CONV_GEOMETRY_H

#include "nn/graph.h"

typedef struct {
    int64_t n, c, h, w, k, kh, kw, oh, ow, groups;
    int sh, sw, dh, dw, ph, pw;
} nn_conv_geometry;

nn_conv_geometry nn_conv_measure(const nn_conv_attrs *a, const nn_shape *x, const nn_shape *w, const nn_shape *y);
/* First output column whose tap at `offset` lies inside the input, and the one behind the last. */
void nn_conv_columns(const nn_conv_geometry *d, int64_t offset, int64_t *from, int64_t *to);

#endif
