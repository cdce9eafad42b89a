/* A small network that weighs what was measured: one hidden layer. Private to this room. */
#ifndef DSP_JUDGE_H
#define DSP_JUDGE_H

#include "dsp/dsp.h"

enum { JUDGE_HIDDEN_MAX = 64 };

/* out = w2' tanh(w1' (x - mean) * scale + b1) + b2. Made by scripts/loops/fit.py. */
typedef struct {
    int features, hidden, outputs;
    const float *mean, *scale; /* [features] */
    const float *w1;           /* [features][hidden] */
    const float *b1;           /* [hidden] */
    const float *w2;           /* [outputs][hidden] */
    const float *b2;           /* [outputs] */
} judge;

extern const judge judge_tempo; /* one output: how much this hypothesis is the beat that a listener taps */
extern const judge
    judge_key; /* two outputs: how much the pitch class that was rotated to 0 is the tonic of a major, of a minor key */

void judge_run(const judge *j, const float *x, float *out);
/* Turns scores into shares that sum to 1. */
void judge_softmax(float *scores, size_t n);

#endif
