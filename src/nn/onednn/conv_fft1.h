/* Convolution of few input channels with long kernels, by transforms along one axis; see conv_fft1.c. */
#ifndef SM_NN_ONEDNN_CONV_FFT1_H
#define SM_NN_ONEDNN_CONV_FFT1_H

#include "nn/onednn/conv_shape.h"

typedef struct {
    nn_conv_shape shape;
    int axis; /* of the transform */
    const nn_lanes *lanes;
    nn_fft fft;
    int taps;          /* signals that a row reads: channels * kernel of the other axis * stride of this one */
    int first_tap;     /* (most negative offset of a tap along the axis) / stride, rounded down */
    int rows, signals; /* of the whole batch; signal number `signals` is silence */
    int groups;        /* of lanes, of the filters */
    int32_t *signal;   /* [rows][taps] */
} nn_conv_fft1;

/* Vector operations per run, to compare with other ways (a direct convolution needs macs / lanes); < 0: not possible. */
double nn_conv_fft1_cost(const nn_conv_shape *s, int axis, int lanes);
int nn_conv_fft1_init(nn_conv_fft1 *p, const nn_conv_shape *s, int axis, const nn_lanes *lanes, sm_arena *arena);
size_t nn_conv_fft1_weight_floats(const nn_conv_fft1 *p);
/* weights [filters][channels][kernel0][kernel1], multiplied by sign[filter]. SM_ENOMEM. */
int nn_conv_fft1_pack(const nn_conv_fft1 *p, const float *weights, const float *sign, float *out);
size_t nn_conv_fft1_spectra_floats(const nn_conv_fft1 *p);
size_t nn_conv_fft1_work_floats(const nn_conv_fft1 *p); /* of one worker */
/* x [batch][channels][in0][in1]. Part `part` of `parts` of the signals into spectra. */
void nn_conv_fft1_spectra(const nn_conv_fft1 *p, const float *x, int part, int parts, float *work, float *spectra);
/* All rows of group g (or, of `parts` parts of them, one). */
void nn_conv_fft1_rows(const nn_conv_fft1 *p, int g, int part, int parts, const float *spectra, const float *weights,
                       const nn_conv_finish *finish, float *work, float *out, const nn_out_strides *strides);

#endif
