/* From onset strength to tempo hypotheses: correlation of groups of bands over time, candidates, and what a judge needs to know of each.
 * Private to this room. */
#ifndef DSP_TEMPOGRAM_H
#define DSP_TEMPOGRAM_H

#include "dsp/rhythm.h"

enum {
    TEMPO_GROUPS = 4,         /* low (kick, bass), low mid, high mid, high (hats) */
    TEMPO_ALL = TEMPO_GROUPS, /* their mean */
    TEMPO_HARMONY,            /* changes of chord */
    TEMPO_SERIES,
    TEMPO_PAIRS = 3,  /* low with low mid, low with high, low mid with high */
    TEMPO_LAGS = 900, /* frames: 10.4 s */
    TEMPO_RATIOS = 18,
    TEMPO_CROSS_RATIOS = 9,
    TEMPO_PRIOR = 14,
    TEMPO_LOOP_FEATURES = 9,
    TEMPO_FEATURES = TEMPO_SERIES * TEMPO_RATIOS + TEMPO_PAIRS * TEMPO_CROSS_RATIOS + TEMPO_PRIOR +
                     TEMPO_LOOP_FEATURES + TEMPO_SERIES + 2,
    TEMPO_CANDIDATES = 48
};

typedef struct {
    size_t frames, lags;
    float *onset; /* [TEMPO_SERIES][frames], loudness and long trends removed */
    float *self;  /* [TEMPO_SERIES][TEMPO_LAGS]: correlation with itself, 1 at lag 0; 0 from `lags` on */
    float *cross; /* [TEMPO_PAIRS][TEMPO_LAGS]: both orders */
    float peaks_per_frame[TEMPO_SERIES];
    size_t onsets;             /* peaks of TEMPO_ALL */
    double duration_s, loop_s; /* loop_s: from the first sound to the end, NAN: too long to be a loop */
} tempogram;

int tempogram_new(const rhythm_view *see, tempogram **out);
void tempogram_free(tempogram *t);
/* Correlation of group g at a lag in frames, the best within its tolerance; 0 where unknown. */
float tempogram_at(const tempogram *t, int group, double lag);
float tempogram_cross(const tempogram *t, int pair, double lag);

typedef struct {
    double bpm;
    double salience; /* mean correlation at the first four multiples of the period */
    int loop_beats;  /* beats that the loop would have; 0: length does not fit */
    float score;     /* of the judge */
    float features[TEMPO_FEATURES];
} tempo_candidate;

/* Peaks of the tempogram between the bounds and their simple multiples, at least 2.5 % apart, loudest first. Returns how many. */
size_t tempogram_candidates(const tempogram *t, double bpm_min, double bpm_max, tempo_candidate out[TEMPO_CANDIDATES]);
/* 0..1: how well the loop holds loop_beats beats of this tempo; half a percent off counts next to nothing. */
double tempo_loop_fit(const tempogram *t, const tempo_candidate *c);

#endif
