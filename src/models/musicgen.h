/* MusicGen (Copet et al. 2023, "Simple and controllable music generation"): a language model over the codes of EnCodec, 50 frames a second,
 * conditioned on a text, a melody, and what was played before.
 *
 *     sm_musicgen_open(weights, &options, &m);                       // any size; what it is follows from the file
 *     sm_musicgen_project(m, t5_states, n, condition);               // the text as the model takes it
 *     sm_musicgen_generate(m, &request, codes);                      // one window, at most 30 s
 *
 * Codes are [variation][codebook][frame]; frames 50 a second; stereo models have codebooks 1 left, 1 right, 2 left ... */
#ifndef SM_MODELS_MUSICGEN_H
#define SM_MODELS_MUSICGEN_H

#include "models/model.h"

enum {
    SM_MUSICGEN_MAX_BOOKS = 16,
    SM_MUSICGEN_RATE = 32000, /* Hz, of its sound */
    SM_MUSICGEN_FRAMES = 50,  /* a second */
    SM_MUSICGEN_HOP = 640,
    SM_MUSICGEN_CHROMA = 12,
    SM_MUSICGEN_MAX_VARIATIONS = 16,
};

typedef struct {
    int width, heads, hidden, layers; /* of the decoder */
    int codebooks, card;              /* 4 or 8 of 2048; the token `card` stands for nothing */
    int text_width;                   /* of T5's states */
    bool melody;                      /* chroma and text stand in front of the tokens; else text is attended to */
    int delays[SM_MUSICGEN_MAX_BOOKS];
    int chroma_frames; /* 235 */
    double window_s;   /* 30 */
} sm_musicgen_size;
/* From the tensors' shapes, and what the file says beside them (AudioCraft's "xp.cfg", our own metadata). SM_EUNSUPPORTED: a variant that
 * would run wrong (rotary positions, shared keys, ...). */
int sm_musicgen_size_of(sm_weights *w, sm_musicgen_size *out);

typedef struct {
    const char *backend;          /* NULL: "onednn" */
    nn_precision precision;       /* of the weights: AUTO as they are stored, BF16, INT8 */
    int threads;                  /* 0: 1 */
    bool exact_cache;             /* keys and values in f32 instead of f16 */
    bool taps;                    /* keep "layer.N" */
    const sm_musicgen_size *size; /* NULL: sm_musicgen_size_of (made-up weights have no shapes) */
} sm_musicgen_options;

typedef struct sm_musicgen sm_musicgen;
/* w borrowed. */
int sm_musicgen_open(sm_weights *w, const sm_musicgen_options *options, sm_musicgen **out);
void sm_musicgen_free(sm_musicgen *m);
const sm_musicgen_size *sm_musicgen_size_in(const sm_musicgen *m);
/* T5's states [n, text_width] -> condition [n, width]. */
int sm_musicgen_project(sm_musicgen *m, const float *states, size_t n, float *condition);

/* ---- choosing tokens (musicgen_sample.c) ---- */
typedef struct {
    bool greedy;        /* the most likely one */
    int top_k;          /* 0: all */
    double top_p;       /* > 0: instead of top_k */
    double temperature; /* <= 0: greedy */
} sm_musicgen_sampling;
/* A token of logits [n] by u in [0, 1); work: 2 n floats and n ints as doubles: sm_musicgen_sample_work(n) bytes. */
int sm_musicgen_sample(const float *logits, int n, const sm_musicgen_sampling *s, double u, void *work);
size_t sm_musicgen_sample_work(int n);
/* The draw of codebook k in column `column` of a window, for this seed: the same whatever else is generated beside it. */
double sm_musicgen_draw(uint64_t seed, int64_t window, int64_t column, int codebook);

/* ---- one window ---- */
typedef struct {
    const float *condition; /* [n_condition, width]; NULL: no text */
    size_t n_condition;
    const uint8_t *chroma; /* melody models: class 0..11 of each of chroma_frames frames; NULL: none */
    int variations;        /* side by side: they share every read of the weights */
    const uint64_t *seeds; /* [variations] */
    int64_t window;        /* number of this window, for the draws */
    int frames;            /* of the result, with the prefix */
    const int32_t *prefix; /* [variations][codebooks][n_prefix] known codes */
    int n_prefix;          /* < frames */
    double guidance;       /* 3; 1: none */
    double guidance_beta;  /* > 0: double guidance (melody models): how much more the text counts than the melody */
    sm_musicgen_sampling sampling;
    const double *uniform; /* [steps][variations][codebooks] draws instead of seeds'; NULL: none */
    /* After each step: frames 0..n_frames-1 of all variations are final in `codes`. A negative answer ends the run with that code. */
    int (*progress)(void *user, int step, int steps, int n_frames);
    /* The rows' logits of each step, [rows][codebooks][card]; rows: conditional ones, then (melody only,) null ones. */
    int (*watch)(void *user, int step, const float *logits, int rows);
    void *user;
} sm_musicgen_request;

/* codes [variations][codebooks][frames]. Plans are kept for the next call of the same sizes. Not for two threads at once. */
int sm_musicgen_generate(sm_musicgen *m, const sm_musicgen_request *r, int32_t *codes);
/* Bytes beside the weights as they lie in the file: packed weights, cache, work, for requests of this size. */
size_t sm_musicgen_memory(const sm_musicgen *m, const sm_musicgen_request *r);
/* Bytes of weights that one step reads. */
double sm_musicgen_step_bytes(const sm_musicgen *m);
/* After a step of a request with options.taps, within `watch`: tap i, [rows, 1, width]. SM_EUSAGE: there is none. */
int sm_musicgen_tap(sm_musicgen *m, int i, const char **name, nn_tensor *out);

/* ---- the delay pattern (musicgen_pattern.c) ---- */
/* Columns of T frames: T + the longest delay + 1. */
int sm_musicgen_columns(const sm_musicgen_size *s, int frames);
/* The frame of codebook k in column c; -1: none (the token there is `card`). */
int sm_musicgen_frame(const sm_musicgen_size *s, int k, int column, int frames);

/* ---- more than one window (musicgen_pattern.c) ---- */
typedef struct {
    int64_t offset;       /* frames before it */
    int prefix, frames;   /* known frames at its beginning; all of its frames */
    int64_t melody_start; /* sample of the melody, at 32 kHz, before it wraps around */
} sm_musicgen_window;
/* Window number `i` of `duration_s` seconds with n_prefix known frames and a stride of stride_s < window_s; false: there is none. */
bool sm_musicgen_window_at(double duration_s, double window_s, double stride_s, int64_t n_prefix, int i,
                           sm_musicgen_window *out);

/* ---- melody (musicgen_chroma.c) ---- */
/* Chroma classes (0 = C) of a mono sound at 32 kHz, cut or repeated to `frames` frames: out [frames]. raw: NULL, or where [n, 12] energies
 * divided by each frame's largest go; it is the caller's (sm_free), *n_raw of them. An empty sound has no chroma: class 0 throughout. */
int sm_musicgen_chroma(const float *samples, size_t n, int frames, uint8_t *out, float **raw, size_t *n_raw);

#endif
