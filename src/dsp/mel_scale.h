/* Mel scales and the triangles over them, in double. Private to dsp. */
#ifndef DSP_MEL_SCALE_H
#define DSP_MEL_SCALE_H

#include "dsp/dsp.h"

static inline double mel_of_hz(int scale, double hz)
{
    if (scale == DSP_MEL_HTK)
        return 2595 * log10(1 + hz / 700);
    return hz < 1000 ? 3 * hz / 200 : 15 + log(hz / 1000) / (log(6.4) / 27);
}

static inline double hz_of_mel(int scale, double mel)
{
    if (scale == DSP_MEL_HTK)
        return 700 * (pow(10, mel / 2595) - 1);
    return mel < 15 ? 200 * mel / 3 : 1000 * exp((mel - 15) * (log(6.4) / 27));
}

/* Weight of the triangle over edges e[0..2] at x, in whatever unit the triangle is linear. */
static inline double mel_triangle(const double e[3], double x)
{
    return SM_MAX(0, SM_MIN((x - e[0]) / (e[1] - e[0]), (e[2] - x) / (e[2] - e[1])));
}

#endif
