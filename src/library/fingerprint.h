/* The fingerprint by which a sound is known again in another format, louder or softer, resampled, or with silence around it. */
#ifndef SM_LIBRARY_FINGERPRINT_H
#define SM_LIBRARY_FINGERPRINT_H

#include "dsp/dsp.h"

enum {
    PRINT_VERSION = 1, /* of the bytes of a kept fingerprint */
    PRINT_RATE = 22050,
    PRINT_HOP = 128, /* 5.8 ms */
    PRINT_BANDS = 32,
    PRINT_MOST = 3 * PRINT_RATE, /* samples of a sound that are looked at */
    PRINT_READ_S = 10,           /* the sound begins within this */
    PRINT_SHIFT = 8,             /* frames by which two may lie apart */
    PRINT_SLICES = 16,           /* of the vector */
    PRINT_VECTOR = PRINT_SLICES * PRINT_BANDS
};

/* [frames][PRINT_BANDS] levels: 255 the loudest cell, 0 what lies 50 dB below it or lower. frames 0: silence. */
typedef struct {
    int frames;
    uint8_t *cells;
} sm_print;

/* The beginning of a sound as it is compared: mono at PRINT_RATE, from where it first is above -50 dB of its peak to where it last
 * is, at most PRINT_MOST samples, peak 1. Silence is of length 0. The errors of sm_audio_open. */
typedef struct {
    float peak;     /* that it was divided by */
    double start_s; /* how much was cut off in front */
} sm_print_cut;
int sm_print_wave(const char *path, sm_floats *wave, sm_print_cut *cut);
sm_print_cut sm_print_trim(sm_floats *wave); /* the same of mono samples that are there already, in place */
int sm_print_of(const float *wave, size_t n, sm_print *out); /* of such a wave; the caller's: sm_print_free */
void sm_print_free(sm_print *p);                             /* leaves it empty */

/* As bytes for the store, and back. SM_EFORMAT: not of this version. */
int sm_print_pack(const sm_print *p, sm_buffer *out);
int sm_print_unpack(const void *data, size_t size, sm_print *out);

/* Mean levels of 16 slices of time that grow longer, 0..127: the cosine of near twins is near 1. Returns one over its length; 0:
 * silence. */
float sm_print_vector(const sm_print *p, int8_t out[PRINT_VECTOR]);
/* 0..1, 1: the same. The best over PRINT_SHIFT frames to either side of
 *     1 - sum |a - b| max(a, b) / sum max(a, b)^2,  where a sound is 0 outside of itself. */
int sm_print_similarity(const sm_print *a, const sm_print *b, double *out);

/* What the waveforms of two say. */
typedef struct {
    double correlation; /* of the whole: absolute value, 0..1 */
    double
        click; /* of the differences between samples in the first 50 ms: the settings of a drum machine differ there */
    double lag_s;   /* by how much later things happen in a than in b */
    double gain_db; /* by how much a is louder */
    bool inverted;
} sm_print_proof;
int sm_print_prove(const sm_floats *a, const sm_floats *b, sm_print_proof *out);

#endif
