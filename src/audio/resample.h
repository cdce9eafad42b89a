/* Inside the resamplers: a bank of FIR filters for a ratio, dot products, and libsoxr's stream. Private to audio. */
#ifndef SM_AUDIO_RESAMPLE_H
#define SM_AUDIO_RESAMPLE_H

#include "audio/audio.h"

/* With g = gcd(from, to), a = from / g and b = to / g, every resampler but libsoxr is
 *
 *     y[q b + i] = sum over j of row_i[j] x[q a + start_i + j],      i = 0 .. b-1
 *
 * with x continued past its ends by zeros or by its edge samples. A row is computed in double and kept in float32. */
typedef struct {
    int64_t a, b;
    int taps;    /* of every row, a multiple of SM_DOT_STEP; rows end in zeros */
    int left;    /* -start_i at most */
    int right;   /* start_i + taps at most, counted from x[q a] */
    float *rows; /* [b, taps], or NULL: too large, each row is computed when it is needed */
    int *starts; /* [b] or NULL */
    const struct sm_fir_design *design;
} sm_fir_bank;

#define SM_DOT_STEP 16 /* what the widest dot product takes at a time */

/* How a kind's rows are made. `start` and the number of used taps come back; unused taps are zero. */
typedef struct sm_fir_design {
    int zeros;          /* zero crossings a side */
    int per_zero;       /* resampy: entries of the original's table a zero crossing; 0: a plain windowed sinc */
    double rolloff;     /* pass band, share of the lower Nyquist */
    double beta;        /* of the Kaiser window (resampy); unused for the cosine-squared ones */
    bool normalise;     /* each row sums to 1 (julius) */
    bool adds_up;       /* resampy 0.2: the time of an output is a running sum of 1 / ratio, rounding included */
    bool repeats_edges; /* beyond its ends x stays at its edge samples rather than 0 (julius) */
} sm_fir_design;

int sm_fir_bank_new(const sm_fir_design *design, int from_hz, int to_hz, size_t max_bytes, sm_fir_bank **out);
void sm_fir_bank_free(sm_fir_bank *bank);
/* Row i into out[taps] (zero-filled); returns start_i. resampy's row -1: row 0 as it is when the running sum of times comes out just
 * below a whole number, the sample before it a whole step away (and with truncated steps that is another filter). */
int sm_fir_bank_row(const sm_fir_bank *bank, int64_t i, float *out);

/* Sum of a[k] b[k], n a multiple of SM_DOT_STEP. */
typedef float (*sm_dot_function)(const float *a, const float *b, int n);
typedef struct {
    const char *name;
    bool (*usable)(const sm_cpu_info *cpu);
    sm_dot_function dot;
} sm_dot_row;
extern const sm_dot_row sm_dot_table[]; /* fastest first; the last one, plain C, always works; ends with a NULL name */
sm_dot_function sm_dot_best(void);

/* libsoxr, high quality. `finish` gives exactly ceil(frames * to / from) frames in all. */
typedef struct sm_soxr_stream sm_soxr_stream;
int sm_soxr_stream_new(int from_hz, int to_hz, int channels, sm_soxr_stream **out);
int sm_soxr_stream_push(sm_soxr_stream *s, const float *in, size_t frames, sm_floats *out);
int sm_soxr_stream_finish(sm_soxr_stream *s, int64_t total, sm_floats *out);
int sm_soxr_stream_reset(sm_soxr_stream *s);
void sm_soxr_stream_free(sm_soxr_stream *s);

#endif
