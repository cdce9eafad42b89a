/* Stable Audio at work: what a prompt's T5 states and some numbers become, as latents and as stereo samples.
 *
 *     sm_stable_audio_open(model, weights, &options, &a);
 *     sm_stable_audio_request r = sm_stable_audio_defaults(a);
 *     r.prompt = states, r.n_prompt = n, r.seconds_total = 10, r.seed = 42;
 *     sm_stable_audio_sample(a, &r, latents);                       // [channels, r.latents]
 *     sm_stable_audio_decode(a, latents, r.latents, 0, to, out, ...);
 *
 * The same seed gives the same numbers on any number of threads, and, for samplers without a Brownian path, those of the original on a CPU
 * (its path's generator is not reproduced; increments come from the same generator as all else). */
#ifndef SM_MODELS_STABLE_AUDIO_RUN_H
#define SM_MODELS_STABLE_AUDIO_RUN_H

#include "models/model.h"
#include "models/stable_audio_sampler.h"

typedef struct sm_stable_audio sm_stable_audio;

typedef struct {
    const char *backend;    /* NULL: "onednn" */
    nn_precision precision; /* of the transformer; AUTO: f32. The autoencoder is f32 */
    int threads;            /* 0: 1 */
    bool emulate;
    const char *config; /* other sizes, for made-up weights; NULL: what the weights say */
} sm_stable_audio_options;

/* w outlives it. SM_EUNSUPPORTED, SM_EFORMAT as sa_size_read. */
int sm_stable_audio_open(const sm_model *m, sm_weights *w, const sm_stable_audio_options *o, sm_stable_audio **out);
void sm_stable_audio_close(sm_stable_audio *a);

typedef struct {
    bool flow;          /* rectified flow: pingpong, euler, dpmpp, rk4; else dpmpp-3m-sde ... */
    int channels;       /* of latents */
    int text_width;     /* of a T5 state */
    int prompt_tokens;  /* most of a prompt */
    bool has_start;     /* may be told where a piece begins */
    double seconds_max; /* largest number that it was told */
    int rate_hz;        /* 44100 */
    int64_t ratio;      /* samples of a latent */
    int64_t canvas;     /* latents */
} sm_stable_audio_facts;
void sm_stable_audio_look(const sm_stable_audio *a, sm_stable_audio_facts *out);

typedef struct {
    /* T5 states of the words, [n, text_width], without padding; negative NULL: none */
    const float *prompt, *negative;
    int n_prompt, n_negative;
    double seconds_start, seconds_total; /* of the piece, of which this is a part */
    int64_t latents;                     /* to make; the canvas is what it was trained on */
    uint32_t seed;
    const char *sampler;
    int steps;
    double cfg;              /* guidance; 1: none */
    double cfg_rescale;      /* 0..1 */
    double cfg_from, cfg_to; /* guided while the noise's share is between them */
    double sigma_min, sigma_max, rho;
    /* a sound to start from: [2][init_samples], cut or filled with zeros to init_canvas samples */
    const float *init;
    int64_t init_samples, init_canvas; /* init_canvas 0: latents * ratio */
    double init_noise;                 /* v objective: sigma_max; flow and v-ddim: the share of noise, 0..1 */
    bool init_mean;                    /* the middle of what the encoder says, not a random one */
    /* latents that stay where mask [latents] is 1: [channels, latents] */
    const float *keep, *keep_mask;
    /* Before each step and at the end; not 0: stop with SM_ECANCELLED. */
    int (*progress)(void *user, int step, int steps);
    void *user;
    /* Tests: noise of step i instead of our own; NULL: ours. */
    int (*noise)(void *user, sa_noise_use use, int i, float *out);
} sm_stable_audio_request;
/* The published recipe of the model, its whole canvas, seed 0, no prompt. */
sm_stable_audio_request sm_stable_audio_defaults(const sm_stable_audio *a);

/* SM_EUSAGE: a sampler of the other objective, numbers outside their ranges. Not for two threads at once. */
int sm_stable_audio_sample(sm_stable_audio *a, const sm_stable_audio_request *r, float *latents);
/* Latents from..to-1 of n as samples: out [2][(to - from) * ratio]; not clipped. progress: 0..1. */
int sm_stable_audio_decode(sm_stable_audio *a, const float *latents, int64_t n, int64_t from, int64_t to, float *out,
                           int (*progress)(void *user, double done), void *user);
/* audio [2][samples] -> latents [channels][samples / ratio]: the means. */
int sm_stable_audio_encode(sm_stable_audio *a, const float *audio, int64_t samples, float *latents);
/* About how many bytes a request takes: packed weights, and the larger of the network's and the autoencoder's activations. Nothing is
 * computed. */
int sm_stable_audio_memory(sm_stable_audio *a, const sm_stable_audio_request *r, size_t *weights, size_t *work);

#endif
