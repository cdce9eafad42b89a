/* The parts of the analysis, private to this room. Each: new, push as often as wanted, finish once, free. Results do not depend
 * on how the audio was cut. After an error only free is allowed. Mono parts run at DSP_RATE. */
#ifndef DSP_PARTS_H
#define DSP_PARTS_H

#include "dsp/dsp.h"

/* levels.c: any rate, 1 to 8 channels in WAVE's order, finite samples. */
typedef struct dsp_levels_state dsp_levels_state;
int dsp_levels_new(int rate_hz, int channels, dsp_levels_state **out);
int dsp_levels_push(dsp_levels_state *s, const float *interleaved, size_t frames);
int dsp_levels_finish(dsp_levels_state *s, dsp_levels *out);
void dsp_levels_free(dsp_levels_state *s);

/* envelope.c */
enum { DSP_ENVELOPE_STEP = 44 }; /* samples: 0.998 ms */
typedef struct {
    double attack_s, decay_s;   /* 20 to 90 % of the peak; peak to 20 dB below, NAN if the end comes first */
    double temporal_centroid_s; /* of the energy */
    double beating;             /* depth of modulation at 15..300 Hz, weighted for roughness; 1: a full beat at 70 Hz */
    double tail_db;             /* peak of the last 30 ms against the whole; at least -100 */
    bool tail;                  /* the end decays clearly more slowly than the sound */
} dsp_shape;
typedef struct dsp_envelope dsp_envelope;
int dsp_envelope_new(dsp_envelope **out);
int dsp_envelope_push(dsp_envelope *e, const float *mono, size_t n);
int dsp_envelope_finish(dsp_envelope *e, dsp_shape *out); /* silence: NANs */
void dsp_envelope_free(dsp_envelope *e);
/* Largest jump from sample to sample within a step of the last second; 0 outside. */
float dsp_envelope_jump(const dsp_envelope *e, int64_t step);

/* onset.c: fed by spectrum.c. The envelope must be ahead of the spectra by what was pushed, at most 0.5 s. */
typedef struct dsp_onsets dsp_onsets;
int dsp_onsets_new(const dsp_envelope *envelope, int fft, int hop, dsp_onsets **out);
int dsp_onsets_frame(dsp_onsets *o, const float *power);
int dsp_onsets_finish(dsp_onsets *o, double duration_s, double **times,
                      size_t *n); /* *times: the caller's, sm_free() */
void dsp_onsets_free(dsp_onsets *o);

/* spectrum.c */
enum { DSP_SPECTRUM_FRAME = 2048, DSP_SPECTRUM_HOP = 441 };
typedef struct {
    double centroid_hz, spread_hz, rolloff_hz, flatness, entropy, crossing_rate; /* means over frames by their energy */
    double attack_centroid_hz;                                                   /* of the first 0.12 s of sound */
    double low_length_s;                           /* how long what lies below 250 Hz sounds */
    double mean_power[DSP_SPECTRUM_FRAME / 2 + 1]; /* summed over frames */
} dsp_spectral;
typedef struct dsp_spectrum dsp_spectrum;
int dsp_spectrum_new(dsp_onsets *onsets, dsp_spectrum **out);
int dsp_spectrum_push(dsp_spectrum *s, const float *mono, size_t n);
int dsp_spectrum_finish(dsp_spectrum *s, dsp_spectral *out); /* silence: NANs */
void dsp_spectrum_free(dsp_spectrum *s);

/* timbre.c */
void dsp_words(const dsp_spectral *s, const dsp_shape *shape, dsp_timbre *out); /* the seven words; silence: NANs */
double dsp_energy(const dsp_levels *l, double onsets_a_second, double brightness);

/* kind.c */
typedef struct {
    bool silent;
    double duration_s;
    size_t onsets;
    const double *onset_times_s;
    double tail_db;       /* of dsp_shape */
    double beats_in_file; /* NAN: no tempo */
    double named_beats;   /* by the tempo in the file's name or acid chunk; NAN: none */
} dsp_kind_facts;
void dsp_kind_of(const dsp_kind_facts *f, const dsp_evidence *evidence,
                 dsp_timbre *out); /* kind and what goes with it */

/* pitch.c: the first 30 s */
typedef struct dsp_pitch_state dsp_pitch_state;
int dsp_pitch_new(dsp_pitch_state **out);
int dsp_pitch_push(dsp_pitch_state *p, const float *mono, size_t n);
int dsp_pitch_finish(dsp_pitch_state *p, dsp_pitch *out); /* no clear pitch: NAN, and note -1 */
void dsp_pitch_free(dsp_pitch_state *p);

#endif
