/* Samplers of Stable Audio: from noise to latents by asking a network some times. Private to the models room.
 *
 * The state is n floats. What the network is, where normal numbers come from and who watches are the caller's functions, so the
 * same code serves the pipeline and the goldens. Coefficients are doubles, the state is float, as in k-diffusion and stable-audio-tools. */
#ifndef SM_MODELS_STABLE_AUDIO_SAMPLER_H
#define SM_MODELS_STABLE_AUDIO_SAMPLER_H

#include "base/base.h"

enum { SA_MAX_STEPS = 10000 };

typedef struct {
    int steps;
    /* of the v objective: sigmas from max to min, spaced by rho in their logarithm */
    double sigma_min, sigma_max, rho;
    double start;     /* rectified flow and v-ddim: the first time, 0 < start <= 1 */
    int shift_length; /* rk4: latents whose number shifts the times; 0: no shift */
    bool unit_start;  /* diffusers' scheduler: starts from noise * sqrt(sigma_max^2 + 1) */
} sa_schedule;

typedef enum { SA_NOISE_STEP, SA_NOISE_KEEP } sa_noise_use;

typedef struct {
    /* v = network(x, t), all n floats */
    int (*model)(void *user, const float *x, double t, float *v);
    /* n unit normal numbers, independent of all others: those that step i adds, or those of what is kept at step i */
    int (*noise)(void *user, sa_noise_use use, int i, float *out);
    /* Before each step (i < steps) and at the end (i = steps). Not 0: stop with SM_ECANCELLED. May be NULL. */
    int (*progress)(void *user, int i, int steps);
    /* Tests: the state at step i with its sigma (or time) and the network's estimate of the result. May be NULL. */
    void (*watch)(void *user, int i, double sigma, const float *x, const float *estimate);
    void *user;
    const float *keep, *mask; /* n each: what stays where mask is 1 (outpainting, inpainting); NULL: nothing */
} sa_sampling;

typedef struct sa_sampler sa_sampler;
struct sa_sampler {
    const char *name;
    bool flow;       /* for networks of the rectified flow; else of the v objective */
    int evaluations; /* of the network in a step */
    int (*run)(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n);
};
const sa_sampler *const *sa_samplers(size_t *n);
const sa_sampler *sa_sampler_find(const char *name); /* NULL: unknown */

/* The state before the first step: noise, or with init (latents of some audio) what the sampler starts from for it. In place over
 * the noise. */
void sa_start(const sa_sampler *s, const sa_schedule *o, const float *init, float *noise, size_t n);
/* From the start to the result, in place. SM_EUSAGE: a schedule outside its ranges. */
int sa_sample(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n);

/* sigma[0..steps]: the last is 0. */
void sa_sigmas(const sa_schedule *o, double *sigma);
double sa_time_of_sigma(double sigma);
/* t[0..steps] of the flow samplers but rk4; of rk4 (and linear ones), with its shift. */
void sa_flow_times(const sa_schedule *o, double *t);
void sa_linear_times(const sa_schedule *o, double *t);

/* ---- shared by the samplers' files ---- */
typedef struct {
    const sa_schedule *o;
    const sa_sampling *with;
    size_t n;
    float *x, *v, *d, *noise;
    float *last[3]; /* earlier estimates, or scratch */
    double *at;     /* sigmas or times, steps + 1 */
    float *memory;
} sa_run;
int sa_run_begin(sa_run *r, const sa_schedule *o, const sa_sampling *with, float *x, size_t n);
void sa_run_end(sa_run *r);
int sa_run_step(const sa_run *r, int i);                      /* progress, cancelling */
int sa_run_normals(const sa_run *r, sa_noise_use use, int i); /* into r->noise */
/* Where mask is 1, x becomes signal * keep + sigma * noise: what is kept, as noisy as the state is. */
int sa_run_keep(const sa_run *r, int i, double signal, double sigma);
void sa_run_watch(const sa_run *r, int i, double sigma, const float *x, const float *d);

extern const sa_sampler sa_dpmpp_3m_sde, sa_dpmpp_2m_sde, sa_dpmpp_2m, sa_k_heun, sa_v_ddim;
extern const sa_sampler sa_pingpong, sa_euler, sa_dpmpp, sa_rk4;

#endif
