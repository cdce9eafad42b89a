/* Vectors of 8 as two of 4, which every x86-64 has. */
#define FFT_KERNEL dsp_fft_base
#include "dsp/fft_body.h"
