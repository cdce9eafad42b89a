/* Samplers of the v objective: DPM-Solver++ (Lu, Zhou and others 2022) in its multistep forms as k-diffusion has them, Heun (Karras and
 * others 2022, algorithm 1 without churn), and DDIM on v (Salimans, Ho 2022). */
#include <math.h>
#include <string.h>

#include "models/stable_audio_sampler.h"

/* d = D(x, sigma) = x / q^2 - sigma / q v(x / q, t(sigma)), q^2 = sigma^2 + 1. x / q lies in d meanwhile. */
static int denoise(const sa_run *r, const float *x, double sigma, float *d)
{
    const double q = sqrt(sigma * sigma + 1), keep = 1 / (q * q), by = sigma / q;
    for (size_t k = 0; k < r->n; k++)
        d[k] = (float)((double)x[k] / q);
    const int err = r->with->model(r->with->user, d, sa_time_of_sigma(sigma), r->v);
    for (size_t k = 0; k < r->n && err == 0; k++)
        d[k] = (float)(keep * (double)x[k] - by * (double)r->v[k]);
    return err;
}

/* The estimates of the last two steps, and their lengths. */
typedef struct {
    int steps;
    double h1, h2;
} history;

static void remember(sa_run *r, history *past, double h)
{
    float *oldest = r->last[1];
    r->last[1] = r->last[0];
    r->last[0] = r->d;
    r->d = oldest;
    past->h2 = past->h1;
    past->h1 = h;
    past->steps++;
}

/* One step of a multistep method, from at[i] to at[i + 1] > 0, given d; h = ln(at[i] / at[i + 1]). */
typedef int (*multistep)(sa_run *r, const history *past, int i, double h);

static int add_noise(const sa_run *r, int i, double h)
{
    const double by = r->at[i + 1] * sqrt(-expm1(-2 * h));
    const int err = sa_run_normals(r, SA_NOISE_STEP, i);
    for (size_t k = 0; k < r->n && err == 0; k++)
        r->x[k] = (float)((double)r->x[k] + by * (double)r->noise[k]);
    return err;
}

static int step_3m_sde(sa_run *r, const history *past, int i, double h)
{
    const double e = 2 * h, decay = exp(-e), push = -expm1(-e), phi2 = expm1(-e) / e + 1, phi3 = phi2 / e - 0.5;
    const double r0 = past->h1 / h, r1 = past->h2 / h;
    for (size_t k = 0; k < r->n; k++) {
        const double d = (double)r->d[k];
        double x = decay * (double)r->x[k] + push * d;
        if (past->steps > 1) {
            const double a = (d - (double)r->last[0][k]) / r0, b = ((double)r->last[0][k] - (double)r->last[1][k]) / r1;
            x += phi2 * (a + (a - b) * r0 / (r0 + r1)) - phi3 * (a - b) / (r0 + r1);
        } else if (past->steps == 1) {
            x += phi2 * (d - (double)r->last[0][k]) / r0;
        }
        r->x[k] = (float)x;
    }
    return add_noise(r, i, h);
}

static int step_2m_sde(sa_run *r, const history *past, int i, double h)
{
    const double decay = r->at[i + 1] / r->at[i] * exp(-h), push = -expm1(-2 * h),
                 more = past->steps > 0 ? 0.5 * push * h / past->h1 : 0;
    for (size_t k = 0; k < r->n; k++) {
        const double d = (double)r->d[k];
        r->x[k] = (float)(decay * (double)r->x[k] + push * d + more * (d - (double)r->last[0][k]));
    }
    return add_noise(r, i, h);
}

static int step_2m(sa_run *r, const history *past, int i, double h)
{
    const double decay = r->at[i + 1] / r->at[i], push = -expm1(-h), more = past->steps > 0 ? h / (2 * past->h1) : 0;
    for (size_t k = 0; k < r->n; k++) {
        const double d = (1 + more) * (double)r->d[k] - more * (double)r->last[0][k];
        r->x[k] = (float)(decay * (double)r->x[k] + push * d);
    }
    return 0;
}

static int run_multistep(const sa_schedule *o, const sa_sampling *with, float *x, size_t n, multistep step)
{
    history past = { 0 };
    sa_run r;
    int err = sa_run_begin(&r, o, with, x, n);
    if (err == 0)
        sa_sigmas(o, r.at);
    for (int i = 0; i < o->steps && err == 0; i++) {
        if ((err = sa_run_step(&r, i)) < 0 || (err = sa_run_keep(&r, i, 1, r.at[i])) < 0 ||
            (err = denoise(&r, x, r.at[i], r.d)) < 0)
            break;
        sa_run_watch(&r, i, r.at[i], x, r.d);
        if (r.at[i + 1] == 0) {
            memcpy(x, r.d, n * sizeof *x);
            break;
        }
        const double h = log(r.at[i] / r.at[i + 1]);
        err = step(&r, &past, i, h);
        remember(&r, &past, h);
    }
    sa_run_end(&r);
    return err;
}

static int run_3m_sde(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    (void)s;
    return run_multistep(o, with, x, n, step_3m_sde);
}

static int run_2m_sde(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    (void)s;
    return run_multistep(o, with, x, n, step_2m_sde);
}

static int run_2m(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    (void)s;
    return run_multistep(o, with, x, n, step_2m);
}

/* x' = x + g dt; g' at x'; x += (g + g') / 2 dt. */
static int heun_step(sa_run *r, int i)
{
    const double now = r->at[i], then = r->at[i + 1], dt = then - now;
    float *ahead = r->last[0], *d2 = r->last[1];
    for (size_t k = 0; k < r->n; k++) {
        const double x = (double)r->x[k];
        ahead[k] = (float)(x + (x - (double)r->d[k]) / now * dt);
    }
    const int err = denoise(r, ahead, then, d2);
    for (size_t k = 0; k < r->n && err == 0; k++) {
        const double x = (double)r->x[k], g = (x - (double)r->d[k]) / now,
                     g2 = ((double)ahead[k] - (double)d2[k]) / then;
        r->x[k] = (float)(x + 0.5 * (g + g2) * dt);
    }
    return err;
}

static int run_heun(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    sa_run r;
    int err = sa_run_begin(&r, o, with, x, n);
    (void)s;
    if (err == 0)
        sa_sigmas(o, r.at);
    for (int i = 0; i < o->steps && err == 0; i++) {
        if ((err = sa_run_step(&r, i)) < 0 || (err = sa_run_keep(&r, i, 1, r.at[i])) < 0 ||
            (err = denoise(&r, x, r.at[i], r.d)) < 0)
            break;
        sa_run_watch(&r, i, r.at[i], x, r.d);
        if (r.at[i + 1] == 0)
            memcpy(x, r.d, n * sizeof *x);
        else
            err = heun_step(&r, i);
    }
    sa_run_end(&r);
    return err;
}

static int run_ddim(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    const double quarter = 1.57079632679489661923;
    sa_run r;
    int err = sa_run_begin(&r, o, with, x, n);
    (void)s;
    for (int i = 0; i <= o->steps && err == 0; i++)
        r.at[i] = o->start * (1 - (double)i / o->steps);
    for (int i = 0; i < o->steps && err == 0; i++) {
        const double alpha = cos(r.at[i] * quarter), sigma = sin(r.at[i] * quarter),
                     next_alpha = cos(r.at[i + 1] * quarter), next_sigma = sin(r.at[i + 1] * quarter);
        const bool last = i + 1 == o->steps;
        if ((err = sa_run_step(&r, i)) < 0 || (err = sa_run_keep(&r, i, alpha, sigma)) < 0 ||
            (err = with->model(with->user, x, r.at[i], r.v)) < 0)
            break;
        for (size_t k = 0; k < n; k++) {
            const double p = alpha * (double)x[k] - sigma * (double)r.v[k],
                         e = sigma * (double)x[k] + alpha * (double)r.v[k];
            r.d[k] = (float)p;
            x[k] = (float)(last ? p : next_alpha * p + next_sigma * e);
        }
        sa_run_watch(&r, i, r.at[i], x, r.d);
    }
    sa_run_end(&r);
    return err;
}

const sa_sampler sa_dpmpp_3m_sde = { "dpmpp-3m-sde", false, 1, run_3m_sde };
const sa_sampler sa_dpmpp_2m_sde = { "dpmpp-2m-sde", false, 1, run_2m_sde };
const sa_sampler sa_dpmpp_2m = { "dpmpp-2m", false, 1, run_2m };
const sa_sampler sa_k_heun = { "k-heun", false, 2, run_heun };
const sa_sampler sa_v_ddim = { "v-ddim", false, 1, run_ddim };
