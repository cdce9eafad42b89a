/* Real DFTs of one signal, powers of two: all that dsp_fft_forward and dsp_fft_inverse run on where the size allows. Private to dsp.
 *
 * n real numbers are n / 2 complex ones; those are cut into DSP_FFT_WIDE interleaved signals (number 8 m + l is number m of signal l), which
 * are transformed side by side in the lanes of vectors, and joined by DFTs of eight across the lanes (Bailey's four steps). So every
 * inner loop is the same arithmetic on whole vectors, whatever the size. One body (fft_body.h), compiled for each instruction set; there
 * are no fused multiply-adds in it, so all give the same bits. */
#ifndef DSP_FFT_H
#define DSP_FFT_H

#include "dsp/dsp.h"

enum { DSP_FFT_WIDE = 8, DSP_FFT_LEAST = 256, DSP_FFT_MOST = 1 << 16 };

typedef struct {
    int half, each;      /* n / 2; of one lane: half / 8 */
    const float *steps;  /* of each step of four: [length / 4][cos, -sin of one, two, three turns p / length] */
    const float *join;   /* [each][2][8]: cos, -sin of l k / half */
    const float *unpack; /* [2][half / 2]: cos, -sin of k / n for k = 1 .. half / 2 */
    float *work[2];      /* [2 half] */
} dsp_fft_plan;

typedef struct {
    void (*forward)(const dsp_fft_plan *f, const float *x, float *re_im);
    void (*inverse)(const dsp_fft_plan *f, const float *re_im, float *x); /* unscaled: n / 2 times the signal */
} dsp_fft_kernel;

extern const dsp_fft_kernel dsp_fft_base, dsp_fft_avx2;

/* n: a power of two, DSP_FFT_LEAST to DSP_FFT_MOST. Tables and work are in `memory` [dsp_fft_plan_floats(n)], which stays the caller's
 * and is aligned to 64 bytes. */
size_t dsp_fft_plan_floats(int n);
void dsp_fft_plan_fill(dsp_fft_plan *f, int n, float *memory);
const dsp_fft_kernel *dsp_fft_best(void); /* on this CPU */

#endif
