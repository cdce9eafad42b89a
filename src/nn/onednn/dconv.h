/* What the operator and its step share (dconv.c, dconv_step.c). */
#ifndef SM_NN_ONEDNN_DCONV_H
#define SM_NN_ONEDNN_DCONV_H

#include "nn/onednn/onednn.h"

enum { NN_DCONV_MAX_HIDDEN = 128 };
/* Inputs: x [N, C, T] or [N, C, F, T] (then every row is an item), and of each branch these, all constants. */
enum {
    NN_DCONV_W1, /* [h, C, taps] */
    NN_DCONV_B1,
    NN_DCONV_GAMMA1, /* [h] */
    NN_DCONV_BETA1,
    NN_DCONV_W2, /* [2C, h, 1] */
    NN_DCONV_B2,
    NN_DCONV_GAMMA2, /* [2C] */
    NN_DCONV_BETA2,
    NN_DCONV_SCALE, /* [C] */
    NN_DCONV_INPUTS
};

typedef struct {
    int64_t items, rows, steps; /* rows: of an image, 1 without */
    int channels, hidden, taps;
} nn_dconv_shape;

void nn_dconv_measure(const nn_shape *x, const nn_shape *w1, nn_dconv_shape *out);

#endif
