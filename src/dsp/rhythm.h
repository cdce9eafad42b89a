/* What of a sound carries rhythm: how much new energy appears in each band, 86 times a second. Private to this room. */
#ifndef DSP_RHYTHM_H
#define DSP_RHYTHM_H

#include "dsp/halver.h"

enum {
    RHYTHM_BANDS = 8,
    RHYTHM_HARMONY =
        RHYTHM_BANDS, /* column of change over a tenth of a second, 65 to 2600 Hz: chords without an attack */
    RHYTHM_COLUMNS,
    RHYTHM_FRAME = 1024, /* at half of DSP_RATE: 46 ms */
    RHYTHM_HOP = 256,    /* 11.6 ms */
    RHYTHM_BLOCK = 64,   /* samples at DSP_RATE a peak value is kept for */
    RHYTHM_LOOP_S = 120  /* longer sounds are no loops: peaks are kept this long */
};
#define RHYTHM_FPS (0.5 * DSP_RATE / RHYTHM_HOP)

typedef struct rhythm rhythm;
typedef struct {
    const float *
        flux; /* [frames][RHYTHM_COLUMNS], >= 0, scales with the square root of the gain; frame t tells of time t / RHYTHM_FPS */
    size_t frames;
    double duration_s;
    double start_s,
        end_s; /* first and last moment within 46 dB of the peak; of sounds longer than RHYTHM_LOOP_S only the start */
    float peak;
} rhythm_view;

int rhythm_new(rhythm **out);
int rhythm_push(rhythm *r, const float *mono, size_t n);
int rhythm_finish(rhythm *r);
void rhythm_see(const rhythm *r, rhythm_view *out); /* after finish; borrowed from r */
void rhythm_free(rhythm *r);

#endif
