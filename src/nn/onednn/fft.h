/* Small complex Fourier transforms for convolution: no reordering passes, because a convolution does not care in which order
 * the bins stand. Forward is decimation in frequency (natural order in, digit-reversed out), inverse the exact way back. */
#ifndef SM_NN_ONEDNN_FFT_H
#define SM_NN_ONEDNN_FFT_H

#include "base/base.h"

enum { NN_FFT_MAX_PASSES = 12, NN_FFT_MAX = 4096 };

typedef struct {
    int n;
    int passes;
    int radix[NN_FFT_MAX_PASSES]; /* of the first pass, which has the longest stride, first */
    const float
        *twiddle[NN_FFT_MAX_PASSES]; /* [m][radix - 1][2]: cos, -sin of 2 pi j q / (m radix), m = length / radix */
    const int32_t *bin_at;           /* [n] bin that stands at a position */
    const int32_t *position;         /* [n] its inverse */
} nn_fft;

/* The smallest length >= n that has a transform (factors 2, 3, 5); -1: larger than NN_FFT_MAX. */
int nn_fft_length(int n);
/* Butterfly operations (vector instructions, about) of one complex transform. */
double nn_fft_cost(int n);
/* Makes the tables in an arena. n must be nn_fft_length(n), even. 0 or SM_ENOMEM. */
int nn_fft_init(nn_fft *f, int n, sm_arena *arena);

#endif
