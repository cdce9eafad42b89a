/* The numbers of a softmax regression: convex, so there is one answer, and it is found without a rate or a seed. */
#include <math.h>
#include <string.h>

#include "train/probe.h"

enum {
    PARTS = 16,
    POWER_STEPS = 20
}; /* sums are made in so many parts and added in order: the same on any number of threads */

static float dot(const float *a, const float *b, size_t n)
{
    float sum[8] = { 0 };
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

static void add_scaled(float *a, const float *b, float by, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] += by * b[i];
}

void probe_logits(const float *x, size_t n, size_t width, size_t classes, const float *w, const float *b, float *logits)
{
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < classes; c++)
            logits[i * classes + c] = b[c] + dot(x + i * width, w + c * width, width);
}

typedef struct {
    const probe_data *d;
    const float *w, *b; /* where the gradient is taken */
    float *gradient;    /* [PARTS, classes * width + classes] */
    float *row;         /* [PARTS, classes] */
    const float *v;     /* of the power iteration: [width] */
    float *image;       /* [PARTS, width] */
} work;

static void part_of(const work *k, size_t part, size_t *from, size_t *to)
{
    *from = k->d->n * part / PARTS;
    *to = k->d->n * (part + 1) / PARTS;
}

static int gradient_part(void *user, size_t part, int worker)
{
    const work *k = user;
    const probe_data *d = k->d;
    const size_t length = d->classes * d->width + d->classes;
    float *g = k->gradient + part * length, *p = k->row + part * d->classes;
    size_t from, to;
    (void)worker;
    part_of(k, part, &from, &to);
    memset(g, 0, length * sizeof *g);
    for (size_t i = from; i < to; i++) {
        const float *x = d->x + i * d->width;
        float top, sum = 0;
        probe_logits(x, 1, d->width, d->classes, k->w, k->b, p);
        top = p[0];
        for (size_t c = 1; c < d->classes; c++)
            top = p[c] > top ? p[c] : top;
        for (size_t c = 0; c < d->classes; c++)
            sum += p[c] = expf(p[c] - top);
        for (size_t c = 0; c < d->classes; c++) {
            const double target = d->smoothing / (double)d->classes + (c == d->truth[i] ? 1 - d->smoothing : 0);
            const float e = (float)(d->weight[i] * ((double)(p[c] / sum) - target));
            add_scaled(g + c * d->width, x, e, d->width);
            g[d->classes * d->width + c] += e;
        }
    }
    return 0;
}

static int image_part(void *user, size_t part, int worker)
{
    const work *k = user;
    const probe_data *d = k->d;
    size_t from, to;
    (void)worker;
    part_of(k, part, &from, &to);
    memset(k->image + part * d->width, 0, d->width * sizeof *k->image);
    for (size_t i = from; i < to; i++) {
        const float *x = d->x + i * d->width;
        add_scaled(k->image + part * d->width, x, (float)d->weight[i] * dot(x, k->v, d->width), d->width);
    }
    return 0;
}

/* Largest eigenvalue of sum_i weight_i x_i x_i^T, by power iteration. */
static int curvature(work *k, sm_pool *pool, float *v, double *out)
{
    const size_t n = k->d->width;
    int err = 0;
    *out = 0;
    for (size_t i = 0; i < n; i++)
        v[i] = (float)sm_unit(sm_unit_hash("probe", 0), i);
    k->v = v;
    for (int step = 0; step < POWER_STEPS && err == 0; step++) {
        double norm = 0;
        err = sm_pool_run(pool, PARTS, image_part, k);
        for (size_t p = 1; p < PARTS; p++)
            add_scaled(k->image, k->image + p * n, 1, n);
        for (size_t i = 0; i < n; i++)
            norm += (double)k->image[i] * (double)k->image[i];
        norm = sqrt(norm);
        *out = norm;
        for (size_t i = 0; i < n && norm > 0; i++)
            v[i] = (float)((double)k->image[i] / norm);
    }
    return err;
}

int probe_fit(const probe_data *d, double decay, int steps, sm_pool *pool, float *w, float *b)
{
    const size_t n = d->classes * d->width, length = n + d->classes;
    float *at = sm_alloc_zero(length, sizeof *at), *v = sm_alloc_zero(d->width, sizeof *v);
    double bound = 0;
    work k = { .d = d, .w = at, .b = at ? at + n : NULL };
    k.gradient = sm_alloc(PARTS * length, sizeof *k.gradient);
    k.row = sm_alloc(PARTS * d->classes, sizeof *k.row);
    k.image = sm_alloc(PARTS * d->width, sizeof *k.image);
    int err = at && v && k.gradient && k.row && k.image ? curvature(&k, pool, v, &bound) : SM_ENOMEM;
    if (err == 0) {
        memcpy(at, w, n * sizeof *at);
        memcpy(at + n, b, d->classes * sizeof *at);
    }
    /* the Hessian of cross-entropy is at most half of the data's second moment (Boehning 1992); power iteration comes from below */
    const float rate = (float)(1 / (0.55 * (bound + 1) + decay));
    for (int step = 0; step < steps && err == 0; step++) {
        const float momentum = (float)step / (float)(step + 3);
        if ((err = sm_pool_run(pool, PARTS, gradient_part, &k)) < 0)
            break;
        for (size_t p = 1; p < PARTS; p++)
            add_scaled(k.gradient, k.gradient + p * length, 1, length);
        for (size_t i = 0; i < length; i++) {
            float *x = i < n ? &w[i] : &b[i - n];
            const float next = at[i] - rate * (k.gradient[i] + (i < n ? (float)decay * at[i] : 0));
            at[i] = next + momentum * (next - *x);
            *x = next;
        }
    }
    sm_free(at);
    sm_free(v);
    sm_free(k.gradient);
    sm_free(k.row);
    sm_free(k.image);
    return err;
}
