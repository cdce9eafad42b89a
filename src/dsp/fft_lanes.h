/* Real DFTs in double, several at once: number i of transform l is x[i * DSP_FFT_LANES + l]. Private to dsp. */
#ifndef DSP_FFT_LANES_H
#define DSP_FFT_LANES_H

#include "dsp/dsp.h"

enum { DSP_FFT_LANES = 4 };

typedef struct dsp_fft_lanes dsp_fft_lanes;
int dsp_fft_lanes_new(int n, dsp_fft_lanes **out); /* n: a power of two, 16 to 65536 */
void dsp_fft_lanes_free(dsp_fft_lanes *f);
/* power [n / 2 + 1][lanes]: squared magnitudes. x [n][lanes] is used up; work [n][lanes]. */
void dsp_fft_lanes_power(const dsp_fft_lanes *f, double *x, double *work, double *power);

#endif
