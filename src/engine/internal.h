/* What the files of this room share. */
#ifndef SM_ENGINE_INTERNAL_H
#define SM_ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/engine.h"
#include "engine/record.h"

/* An opened model. */
typedef struct {
    const sm_model *model;
    char *path;    /* its weights file */
    char hash[17]; /* first 16 digits of the weights' hash, for analyzed_by */
    sm_weights *weights;
    sm_card *card;
    sm_model_handle *handle;
    sm_model_worker **workers; /* [engine.jobs], made at first use by the thread that owns the slot */
    int front;                 /* index of its front end; -1: a head */
    int backbone;              /* index of the model that feeds it; -1: none */
    bool hidden;               /* opened only because a head needs it */
} engine_model;

/* The union of what the models hear: each rate and each front end is made once a file. */
typedef struct {
    int rate_hz;
    sm_resample_kind kind;
} engine_rate;
/* A resampler between two sounds: its filters take longer to make than a short sound takes to convert. */
typedef struct {
    int from_hz; /* 0: none */
    sm_resampler *resampler;
} engine_spare;
typedef struct {
    int rate;         /* index into rates */
    const char *name; /* dsp_mel's; NULL: the samples themselves */
} engine_front;

struct sm_engine {
    sm_options options; /* strings owned */
    int jobs;
    sm_pool *pool;
    engine_model *models; /* backbones come before their heads */
    size_t n_models;
    engine_rate *rates;
    size_t n_rates;
    engine_spare *spares; /* [jobs][n_rates], each of the thread that owns the slot */
    engine_front *fronts;
    size_t n_fronts;
    dsp_mel **mels; /* [jobs][n_fronts], the same: front ends between two sounds; NULL: none */
    sm_failure *missing;
    size_t n_missing, missing_capacity;
    pthread_mutex_t progress_lock; /* of the two below; the callback runs under it */
    sm_progress_info progress;
    double last_report_s;
    atomic_bool cancelled;
};

/* ---- open.c ---- */
int engine_open_models(sm_engine *e);
void engine_close_models(sm_engine *e);
int engine_failure_add(sm_failure **list, size_t *n, size_t *capacity, const char *what, const char *reason);
void engine_failures_free(sm_failure *list, size_t n);

/* ---- mono.c ----
 * The sound of a file, downmixed and at this rate, in pieces; a negative return of sink ends it. progress may be NULL. */
typedef int (*engine_mono_sink)(void *user, const float *mono, size_t n);
int engine_mono(const char *path, sm_resample_kind kind, int rate_hz, sm_progress_fn progress, void *progress_user,
                engine_mono_sink sink, void *user);

/* ---- analyze.c: the way of a few files through everything ---- */
typedef struct {
    const char *path;   /* of a file, or the name of a buffer */
    bool in_memory;     /* false: read the file */
    const float *audio; /* a buffer: interleaved */
    size_t frames;
    int rate_hz, channels;
    sm_record *record; /* out: made also when the sound failed */
    int err;           /* out: 0 or why it failed */
    double audio_s;    /* out: seconds of audio read */
} engine_sound;
/* Analyses n sounds together, so that their patches share batches. slot: whose workers to use (0..jobs-1). inner: threads for one
 * sound's models side by side, or NULL. Fails only when nothing can go on (no memory, cancelled). */
int engine_analyze(sm_engine *e, engine_sound *sounds, size_t n, int slot, sm_pool *inner);
/* Moves the progress on by `done` units and audio_s seconds of audio, and now and then asks the caller's callback. SM_ECANCELLED
 * when that wants to stop. Any thread. */
int engine_progress(sm_engine *e, const char *what, double done, double audio_s);

#endif
