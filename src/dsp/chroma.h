/* Pitch classes of a sound over time, by register, and the chords they make. Private to this room. */
#ifndef DSP_CHROMA_H
#define DSP_CHROMA_H

#include "dsp/halver.h"

enum {
    CHROMA_FINE = 120,    /* bins an octave: a tenth of a semitone */
    CHROMA_REGISTERS = 3, /* 27-196 Hz, 196-784 Hz, 784-2960 Hz */
    CHROMA_CHORDS = 24,   /* major triads on C .. B, then minor triads */
    CHROMA_MOVES = 6      /* how the bass and the chord come to a root, see chroma.c */
};

/* All are sums over frames of square roots of amplitudes; index 0 is C. Empty (all zero) for silence. */
typedef struct {
    float all[CHROMA_REGISTERS][12];
    float first[CHROMA_REGISTERS][12]; /* of the first 1.5 s that sound */
    float last[CHROMA_REGISTERS][12];  /* of the last 1.5 s that sound */
    float chords[CHROMA_CHORDS];       /* seconds each was the best match, weighted by how well it matched */
    float first_chord[CHROMA_CHORDS], last_chord[CHROMA_CHORDS];
    float moves[CHROMA_MOVES][12]; /* by the root arrived at */
    double tuning_hz;              /* of A4, 427 to 453; 440 when unknown */
    double tuning_sure;            /* 0..1: how well the partials agree about it */
    double tonal;                  /* 0..1: share of the spectrum that stands in peaks */
    double sounding_s;
} chroma_view;

typedef struct chroma chroma;
int chroma_new(chroma **out);
int chroma_push(chroma *c, const float *mono, size_t n);
int chroma_finish(chroma *c, chroma_view *out);
void chroma_free(chroma *c);

#endif
