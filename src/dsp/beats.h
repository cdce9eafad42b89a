/* Where the beats are, once the tempo is known. Private to this room. */
#ifndef DSP_BEATS_H
#define DSP_BEATS_H

#include "dsp/tempogram.h"

/* A grid of one period: the time of its first beat at or after start_s (minus a tenth of a beat). */
double beats_phase(const tempogram *t, double bpm, double start_s);
/* Share of 12 s windows whose own tempo is within 2 % of bpm; 1 for shorter sounds. */
double beats_stability(const tempogram *t, double bpm);
/* Beat times of a steady tempo. *out is the caller's: sm_free(). */
int beats_grid(double bpm, double phase_s, double end_s, double **out, size_t *n);
/* Beat times that follow the onsets, after Ellis, "Beat tracking by dynamic programming" (2007). */
int beats_follow(const tempogram *t, double bpm, double start_s, double end_s, double **out, size_t *n);

#endif
