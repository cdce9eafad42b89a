/* Making sound from words: what the families of generating models share. Which families there are is the table in generate.c; each is a file
 * generate_FAMILY.c that fills planes of samples. What is done to these afterwards (loops, levels, tempo and key) is in generate_out.c and
 * generate_result.c and the same for all. What other programs may use is in samplemind.h. */
#ifndef SM_ENGINE_GENERATE_H
#define SM_ENGINE_GENERATE_H

#include "engine/engine.h"
#include "models/t5.h"

enum { SM_SOUND_SEAMS = 32 };

/* A sound on its way. */
typedef struct {
    float *samples; /* [channels][frames] */
    int channels, rate_hz;
    int64_t frames;
    double peak; /* before it was levelled */
    double bpm;  /* measured; NAN: none */
    char key[16];
    double key_confidence;
    int tonic; /* of the key; -1: none */
    bool minor;
    double fade_s;    /* of a loop's seam; 0: it is no loop */
    double loop_jump; /* step from its last sample to its first, in rms steps */
    sm_generate_seam seams[SM_SOUND_SEAMS];
    size_t n_seams;
} sm_sound;
void sm_sound_free(sm_sound *s); /* leaves it empty */

/* ---- the families ---- */
typedef struct {
    const sm_model *model;
    sm_weights *weights;
    const char *home, *text_encoder; /* as in sm_generate_options */
    nn_precision precision;
    const char *backend;
    int threads;
} sm_generator_parts;

/* Sounds that are made side by side. */
typedef struct {
    const sm_generate_request *request;
    double seconds; /* of each: what is wanted, margins for a loop's seam included */
    uint64_t seed;  /* of the first; the others follow */
    int n;          /* at most the family's side_by_side */
    /* Before each step of all; negative: stop with it. done and total in steps. */
    int (*moved)(void *user, double done, double total);
    /* Sound i goes on by so many frames; planes[c] are its channels. Negative: stop with it. */
    int (*stream)(void *user, int i, const float *const *planes, size_t frames);
    void *user;
    sm_sound *sounds; /* [n]: samples, channels, rate, frames and seams are filled */
    bool partial;     /* filled: SM_ECANCELLED, and the sounds hold what of them is final */
} sm_generator_job;

typedef struct {
    const char *model;
    int rate_hz, channels;
    double standard_s; /* as long as it makes at once */
    int side_by_side;  /* most sounds of a job */
} sm_generator_facts;

typedef struct {
    bool (*makes)(const sm_model *m);
    int (*open)(const sm_generator_parts *p, void **state, sm_generator_facts *facts);
    void (*close)(void *state);
    /* seconds: as in a job */
    int (*check)(void *state, const sm_generate_request *r, double seconds);
    int (*memory)(void *state, const sm_generate_request *r, double seconds, int n, double *bytes);
    int (*run)(void *state, sm_generator_job *job);
    void (*recipe)(void *state, const sm_generate_request *r,
                   sm_json *j); /* adds keys: the options as they were taken */
} sm_generator_family;
extern const sm_generator_family sm_generator_stable_audio, sm_generator_musicgen;

/* T5 as both families use it (generate_text.c). */
typedef struct {
    sm_weights *weights;
    sm_t5_tokens *tokens;
    sm_t5 *encoder;
} sm_text_encoder;
int sm_text_encoder_open(const char *home, const char *path, const char *backend, int threads, sm_text_encoder *out);
void sm_text_encoder_close(sm_text_encoder *t); /* leaves it empty */
/* States [*n][width] of a text's tokens, at most `most` (the last then being the end's); the caller's: sm_free. */
int sm_text_encoder_run(sm_text_encoder *t, const char *text, size_t most, float **states, size_t *n);

/* A sound file as two channels at a rate: [2][*frames], at most `most` frames; the caller's. `kind`: the original's resampler. */
int sm_stereo_read(const char *path, int rate_hz, sm_resample_kind kind, int64_t most, float **out, int64_t *frames);

/* ---- what is done to sound (generate_out.c) ---- */
/* Cuts `length` frames out of s, beginning at its first sound, and fades the seam so that the end runs into what followed it. s must have a
 * margin behind; SM_EINTERNAL if not. */
int sm_sound_loop(sm_sound *s, int64_t length);
void sm_sound_level(sm_sound *s, const char *level);
double sm_sound_level_step(const sm_sound *s, int64_t at); /* dB across a place */
int sm_sound_measure(sm_sound *s);                         /* its tempo and key */

/* ---- what the caller gets (generate_result.c) ---- */
typedef struct {
    const sm_generator_family *family;
    void *state;
    const sm_model *model;
    const char *weights; /* hash of them */
    const sm_generate_request *request;
    size_t index;
    bool partial;
} sm_result_parts;
/* Of a sound that is done; its samples are taken over, interleaved. */
int sm_generate_result_new(const sm_result_parts *p, sm_sound *s, sm_generate_result **out);
bool sm_generate_is_loop(const sm_generate_request *r);

#endif
