/* Making sound from words: one interface over the families of generating models. Which there are is the table in generate.c; each is a file
 * generate_FAMILY.c. What is done to their sound afterwards (loops, levels, files) is in generate_out.c and the same for all.
 *
 *     sm_generator_open(&options, &g);                 // the model's weights and the text encoder's
 *     sm_sound_request r = sm_sound_request_defaults;
 *     r.prompt = "warm house loop", r.bars = 8, r.bpm = 124;
 *     sm_generator_memory(g, &r, &bytes);
 *     sm_generator_run(g, &r, &sound);                 // planar floats
 *     sm_sound_write(&sound, path, SM_SAMPLE_F32);     // with all that is needed to make it again in its comment
 *     sm_sound_free(&sound); */
#ifndef SM_ENGINE_GENERATE_H
#define SM_ENGINE_GENERATE_H

#include "engine/engine.h"
#include "models/t5.h"

typedef struct {
    const char *prompt, *negative; /* negative NULL or "": none */
    double seconds;                /* 0: as long as the model likes best */
    double bars, bpm;              /* both above 0: exactly so many bars of four beats, as a loop */
    uint64_t seed;
    double cfg;        /* guidance; NAN: the model's own */
    const char *level; /* "auto": divided by the peak when that is above 1; "peak": always; "none" */
    /* models of diffusion */
    int steps;           /* 0: the model's own */
    const char *sampler; /* NULL: likewise */
    double rescale;      /* of guidance, 0..1 */
    const char *init;    /* a sound file to start from; NULL: noise */
    double init_noise;   /* NAN: the sampler's middle way */
    const char *keep;    /* a sound file that the piece begins with, and goes on from; NULL: none */
    /* language models */
    int top_k;              /* 0: all */
    double top_p;           /* > 0: instead of top_k */
    double temperature;     /* <= 0: always the most likely */
    double extend_stride_s; /* how much of a further window is new; 0: the model's own */
    bool only_new;          /* with keep: the kept sound is heard by the model, but is no part of the piece */
    const char *melody;     /* a sound file whose melody is followed; NULL: none */
    bool fast_canvas;       /* no longer a canvas than the piece: quicker, another sound for the same seed */
    /* Called before each step of all; not 0: stop with SM_ECANCELLED. done and total in steps. */
    int (*progress)(void *user, double done, double total);
    void *user;
} sm_sound_request;
extern const sm_sound_request sm_sound_request_defaults;

typedef struct {
    double at_s;
    double jump;     /* distance of the latents across it, in medians of neighbours' distances */
    double level_db; /* loudness behind it over that in front, a quarter of a second each */
} sm_sound_seam;
enum { SM_SOUND_SEAMS = 32 };

typedef struct {
    float *samples; /* [channels][frames] */
    int channels, rate_hz;
    int64_t frames;
    double peak;            /* before it was levelled */
    double bpm, wanted_bpm; /* measured; NAN: none */
    double fade_s;          /* of a loop's seam; 0: it is no loop */
    double loop_jump;       /* step from its last sample to its first, in rms steps */
    sm_sound_seam seams[SM_SOUND_SEAMS];
    size_t n_seams;
    char *recipe; /* JSON: model, weights, prompt, seed, every option: what makes this sound again */
} sm_sound;
void sm_sound_free(sm_sound *s); /* leaves it empty */

typedef struct {
    const char *home;  /* NULL: the user's own */
    const char *model; /* "stable-audio-small", or "NAME=FILE" */
    const char
        *t5; /* file of the text encoder (spiece.model beside it, unless it carries one); NULL: the installed t5-base */
    const char *precision, *backend;
    int threads; /* 0: 1 */
} sm_generator_options;
typedef struct sm_generator sm_generator;

/* SM_EUSAGE: no model of that name makes sound; SM_ENOTFOUND: its weights, or the text encoder's, are not here. */
int sm_generator_open(const sm_generator_options *o, sm_generator **out);
void sm_generator_close(sm_generator *g);
const sm_model *sm_generator_model(const sm_generator *g);
/* SM_EUSAGE says what of the request cannot be, in a sentence; nothing is computed. */
int sm_generator_check(sm_generator *g, const sm_sound_request *r);
/* Bytes of everything: weights as packed, and the largest working set. */
int sm_generator_memory(sm_generator *g, const sm_sound_request *r, size_t *bytes);
int sm_generator_run(sm_generator *g, const sm_sound_request *r, sm_sound *out);
/* By the name's ending, with the recipe as comment. */
int sm_sound_write(const sm_sound *s, const char *path, sm_sample_format format);

/* ---- what goes with a loop (generate_like.c) ---- */
typedef struct {
    double length_s, bpm; /* of the loop; the tempo that makes it whole bars */
    int bars;
    char key[32]; /* "": none that is sure */
    char *prompt; /* the words, then what was heard: "words, genre, instrument, energetic, 128 BPM, 4/4, A minor" */
} sm_like;
/* Analyses the loop with all models that are installed. SM_EUSAGE: silent or too short. Free it also after a failure. */
int sm_like_read(const char *home, const char *path, const char *words, sm_like *out);
void sm_like_free(sm_like *l);

/* ---- for the families ---- */
typedef struct {
    const sm_model *model;
    sm_weights *weights;
    const char *home, *t5; /* as in sm_generator_options */
    nn_precision precision;
    const char *backend;
    int threads;
} sm_generator_parts;

typedef struct {
    bool (*makes)(const sm_model *m);
    int (*open)(const sm_generator_parts *p, void **state);
    void (*close)(void *state);
    int (*check)(void *state, const sm_sound_request *r);
    int (*memory)(void *state, const sm_sound_request *r, size_t *bytes);
    /* seconds: what is wanted, margins for a loop's seam included. Fills samples, channels, rate, frames, seams. */
    int (*run)(void *state, const sm_sound_request *r, double seconds, sm_sound *out);
    double (*standard_s)(void *state);
    void (*recipe)(void *state, const sm_sound_request *r, sm_json *j); /* adds keys: the options as they were taken */
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
int sm_sound_measure(sm_sound *s);                         /* its tempo */

#endif
