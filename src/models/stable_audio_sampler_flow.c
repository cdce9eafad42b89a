/* Samplers of rectified flow: x_t = (1 - t) x_0 + t e, the network gives v = e - x_0 and so x_0 = x - t v. "Ping-pong" goes to the estimate
 * and back to fresh noise (Novack and others 2025, for the distilled model); the others solve the equation dx/dt = v. */
#include <math.h>
#include <string.h>

#include "models/stable_audio_sampler.h"

/* v and d = x - t v */
static int estimate(const sa_run *r, int i)
{
    const int err = r->with->model(r->with->user, r->x, r->at[i], r->v);
    for (size_t k = 0; k < r->n && err == 0; k++)
        r->d[k] = (float)((double)r->x[k] - r->at[i] * (double)r->v[k]);
    return err;
}

typedef int (*flow_step)(sa_run *r, int i);

static int run_flow(const sa_schedule *o, const sa_sampling *with, float *x, size_t n,
                    void (*times)(const sa_schedule *o, double *t), flow_step step)
{
    sa_run r;
    int err = sa_run_begin(&r, o, with, x, n);
    if (err == 0)
        times(o, r.at);
    for (int i = 0; i < o->steps && err == 0; i++)
        if ((err = sa_run_step(&r, i)) == 0 && (err = sa_run_keep(&r, i, 1 - r.at[i], r.at[i])) == 0)
            err = step(&r, i);
    sa_run_end(&r);
    return err;
}

/* The library draws at the last step, too, and multiplies by 0: so do we, that the next draw is the same. */
static int pingpong_step(sa_run *r, int i)
{
    const double t = r->at[i + 1];
    int err = estimate(r, i);
    if (err < 0)
        return err;
    sa_run_watch(r, i, r->at[i], r->x, r->d);
    err = sa_run_normals(r, SA_NOISE_STEP, i);
    for (size_t k = 0; k < r->n && err == 0; k++)
        r->x[k] = (float)((1 - t) * (double)r->d[k] + t * (double)r->noise[k]);
    return err;
}

static int euler_step(sa_run *r, int i)
{
    const double dt = r->at[i + 1] - r->at[i];
    const int err = r->with->model(r->with->user, r->x, r->at[i], r->v);
    for (size_t k = 0; k < r->n && err == 0; k++) {
        r->x[k] = (float)((double)r->x[k] + dt * (double)r->v[k]);
        r->d[k] = (float)((double)r->x[k] - r->at[i + 1] * (double)r->v[k]);
    }
    if (err == 0)
        sa_run_watch(r, i, r->at[i], r->x, r->d);
    return err;
}

/* Half of the logarithm of the signal-to-noise ratio, twice; -infinity at t = 1. */
static double log_ratio(double t)
{
    return log((1 - t) / t);
}

static int dpmpp_step(sa_run *r, int i)
{
    const double t = r->at[i], next = r->at[i + 1];
    const double h = next > 0 ? log_ratio(next) - log_ratio(t) : INFINITY, push = -(1 - next) * expm1(-h);
    /* behind t = 1 the last step was infinitely long: nothing is taken from its estimate */
    const double more = i > 0 && next > 0 ? h / (2 * (log_ratio(t) - log_ratio(r->at[i - 1]))) : 0;
    const int err = estimate(r, i);
    float *old = r->last[0];
    if (err < 0)
        return err;
    sa_run_watch(r, i, t, r->x, r->d);
    for (size_t k = 0; k < r->n; k++) {
        const double d = (1 + more) * (double)r->d[k] - more * (double)old[k];
        r->x[k] = (float)(next / t * (double)r->x[k] + push * d);
    }
    r->last[0] = r->d;
    r->d = old;
    return 0;
}

/* Slope number j of the classical Runge-Kutta method into v; x' is made in d. */
static int slope(sa_run *r, double t, const float *before, double by)
{
    for (size_t k = 0; k < r->n; k++)
        r->d[k] = (float)((double)r->x[k] + (before ? by * (double)before[k] : 0));
    return r->with->model(r->with->user, r->d, t, r->v);
}

static int rk4_step(sa_run *r, int i)
{
    static const double weight[4] = { 1. / 6, 1. / 3, 1. / 3, 1. / 6 }, place[4] = { 0, 0.5, 0.5, 1 };
    const double dt = r->at[i + 1] - r->at[i];
    float *sum = r->last[0], *before = r->last[1];
    int err = 0;
    memset(sum, 0, r->n * sizeof *sum);
    for (int j = 0; j < 4 && err == 0; j++) {
        err = slope(r, r->at[i] + place[j] * dt, j ? before : NULL, place[j] * dt);
        for (size_t k = 0; k < r->n && err == 0; k++)
            sum[k] += (float)(weight[j] * (double)r->v[k]);
        memcpy(before, r->v, r->n * sizeof *before);
    }
    for (size_t k = 0; k < r->n && err == 0; k++) {
        r->x[k] = (float)((double)r->x[k] + dt * (double)sum[k]);
        r->d[k] = (float)((double)r->x[k] - r->at[i + 1] * (double)sum[k]);
    }
    if (err == 0)
        sa_run_watch(r, i, r->at[i], r->x, r->d);
    return err;
}

static int run_pingpong(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    (void)s;
    return run_flow(o, with, x, n, sa_flow_times, pingpong_step);
}

static int run_euler(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    (void)s;
    return run_flow(o, with, x, n, sa_flow_times, euler_step);
}

static int run_dpmpp(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    (void)s;
    return run_flow(o, with, x, n, sa_flow_times, dpmpp_step);
}

static int run_rk4(const sa_sampler *s, const sa_schedule *o, const sa_sampling *with, float *x, size_t n)
{
    (void)s;
    return run_flow(o, with, x, n, sa_linear_times, rk4_step);
}

const sa_sampler sa_pingpong = { "pingpong", true, 1, run_pingpong };
const sa_sampler sa_euler = { "euler", true, 1, run_euler };
const sa_sampler sa_dpmpp = { "dpmpp", true, 1, run_dpmpp };
const sa_sampler sa_rk4 = { "rk4", true, 4, run_rk4 };
