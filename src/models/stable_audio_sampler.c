/* What all samplers share: schedules, the start, what is kept while the rest is made. */
#include "models/stable_audio_sampler.h"

#include <math.h>
#include <string.h>

static const sa_sampler *const table[] = { &sa_dpmpp_3m_sde, &sa_dpmpp_2m_sde, &sa_dpmpp_2m, &sa_k_heun, &sa_v_ddim,
                                           &sa_pingpong,     &sa_euler,        &sa_dpmpp,    &sa_rk4 };

const sa_sampler *const *sa_samplers(size_t *n)
{
    *n = SM_LENGTH(table);
    return table;
}

const sa_sampler *sa_sampler_find(const char *name)
{
    for (size_t i = 0; i < SM_LENGTH(table); i++)
        if (!strcmp(table[i]->name, name))
            return table[i];
    return NULL;
}

/* ---- schedules ---- */

void sa_sigmas(const sa_schedule *o, double *sigma)
{
    const double low = log(o->sigma_min), high = log(o->sigma_max);
    for (int i = 0; i < o->steps; i++) {
        const double r = o->steps > 1 ? pow(1 - (double)i / (o->steps - 1), o->rho) : 1;
        sigma[i] = exp(low + r * (high - low));
    }
    sigma[o->steps] = 0;
}

double sa_time_of_sigma(double sigma)
{
    return 0.63661977236758134308 * atan(sigma);
}

void sa_flow_times(const sa_schedule *o, double *t)
{
    const double first = o->start >= 1 ? -6 : log((1 - o->start) / o->start + 1e-6);
    for (int i = 0; i <= o->steps; i++)
        t[i] = 1 / (1 + exp(first + (2 - first) * i / o->steps));
    t[0] = o->start;
    t[o->steps] = 0;
}

/* The more latents, the longer the times stay high (distribution_shift_options of the library, its defaults). */
static double shifted(double t, int length)
{
    const double m = SM_CLAMP(length, 256, 4096), by = exp(-(0.5 + 0.65 * (m - 256) / (4096 - 256)));
    return t >= 1 ? 1 : 1 - by / (by + 1 / (1 - t) - 1);
}

void sa_linear_times(const sa_schedule *o, double *t)
{
    for (int i = 0; i <= o->steps; i++) {
        t[i] = o->start * (1 - (double)i / o->steps);
        if (o->shift_length > 0)
            t[i] = shifted(t[i], o->shift_length);
    }
}

void sa_start(const sa_sampler *s, const sa_schedule *o, const float *init, float *noise, size_t n)
{
    const double quarter = 1.57079632679489661923 * o->start;
    double signal = 1, sigma = o->unit_start ? sqrt(o->sigma_max * o->sigma_max + 1) : o->sigma_max;
    if (s->flow) {
        signal = 1 - o->start;
        sigma = o->start;
    } else if (s == &sa_v_ddim) {
        signal = cos(quarter);
        sigma = sin(quarter);
    }
    if (!init && (s->flow || s == &sa_v_ddim))
        sigma = 1; /* without audio the state is plain noise */
    for (size_t i = 0; i < n; i++)
        noise[i] = (float)(sigma * (double)noise[i] + (init ? signal * (double)init[i] : 0));
}

int sa_sample(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    if (o->steps < 1 || o->steps > SA_MAX_STEPS)
        return sm_fail(SM_EUSAGE, "%d steps; 1 to %d are possible", o->steps, SA_MAX_STEPS);
    if ((s->flow || s == &sa_v_ddim) && !(o->start > 0 && o->start <= 1))
        return sm_fail(SM_EUSAGE, "a noise level of %g; with %s it is above 0 and at most 1", o->start, s->name);
    if (!s->flow && s != &sa_v_ddim &&
        !(o->sigma_min > 0 && o->sigma_max > o->sigma_min && o->sigma_max <= 1e6 && o->rho > 0 && o->rho <= 100))
        return sm_fail(SM_EUSAGE, "noise from %g down to %g; with %s it must start above where it ends, both above 0",
                       o->sigma_max, o->sigma_min, s->name);
    const int err = s->run(s, o, with, x, n);
    if (err == 0 && with->keep)
        for (size_t i = 0; i < n; i++)
            x[i] = with->mask[i] * with->keep[i] + (1 - with->mask[i]) * x[i];
    return err == 0 && with->progress && with->progress(with->user, o->steps, o->steps)
               ? sm_fail(SM_ECANCELLED, "interrupted")
               : err;
}

/* ---- a run ---- */

int sa_run_begin(sa_run *r, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    enum { VECTORS = 6 };
    *r = (sa_run){ .o = o, .with = with, .n = n, .x = x };
    r->memory = sm_alloc_zero(VECTORS * n, sizeof *r->memory);
    r->at = sm_alloc((size_t)o->steps + 1, sizeof *r->at);
    if (!r->memory || !r->at)
        return SM_ENOMEM;
    r->v = r->memory;
    r->d = r->memory + n;
    r->noise = r->memory + 2 * n;
    for (int i = 0; i < 3; i++)
        r->last[i] = r->memory + (size_t)(3 + i) * n;
    return 0;
}

void sa_run_end(sa_run *r)
{
    sm_free(r->memory);
    sm_free(r->at);
}

int sa_run_step(const sa_run *r, int i)
{
    return r->with->progress && r->with->progress(r->with->user, i, r->o->steps) ? sm_fail(SM_ECANCELLED, "interrupted")
                                                                                 : 0;
}

int sa_run_normals(const sa_run *r, sa_noise_use use, int i)
{
    return r->with->noise(r->with->user, use, i, r->noise);
}

int sa_run_keep(const sa_run *r, int i, double signal, double sigma)
{
    const float *m = r->with->mask, *keep = r->with->keep;
    int err;
    if (!keep)
        return 0;
    if ((err = sa_run_normals(r, SA_NOISE_KEEP, i)) < 0)
        return err;
    for (size_t k = 0; k < r->n; k++) {
        const double old = signal * (double)keep[k] + sigma * (double)r->noise[k];
        r->x[k] = (float)((double)m[k] * old + (1 - (double)m[k]) * (double)r->x[k]);
    }
    return 0;
}

void sa_run_watch(const sa_run *r, int i, double sigma, const float *x, const float *d)
{
    if (r->with->watch)
        r->with->watch(r->with->user, i, sigma, x, d);
}
