/* One step of learning. */
#include <math.h>
#include <string.h>

#include "train/optimiser.h"

enum { CHUNK = 1 << 15 };
static const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;

int train_state_new(const train_network *n, train_state *s)
{
    *s = (train_state){ .length = n->length, .stats_length = n->stats_length };
    float **rows[] = { &s->parameters, &s->m, &s->v, &s->average };
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        if (!(*rows[i] = sm_alloc_aligned(n->length, sizeof(float))))
            return SM_ENOMEM;
        memset(*rows[i], 0, n->length * sizeof(float));
    }
    s->stats = sm_alloc_aligned(n->stats_length + 1, sizeof(float));
    return s->stats ? 0 : SM_ENOMEM;
}

void train_state_free(train_state *s)
{
    sm_free(s->parameters);
    sm_free(s->m);
    sm_free(s->v);
    sm_free(s->average);
    sm_free(s->stats);
    *s = (train_state){ 0 };
}

double train_rate_at(double rate, double warmup, int64_t step, int64_t steps)
{
    const double rise = warmup * (double)steps, at = (double)step;
    if (at < rise)
        return rate * (at + 1) / (rise + 1);
    const double part = steps > rise ? (at - rise) / ((double)steps - rise) : 1;
    return rate * (0.01 + 0.99 * (0.5 + 0.5 * cos(M_PI * SM_MIN(part, 1))));
}

typedef struct {
    train_state *s;
    const train_network *n;
    const train_shard *shards;
    size_t n_shards;
    const train_step *o;
    double *squares; /* by chunk */
    float scale;     /* of the gradient, by clipping */
    double correct1, correct2;
    float keep; /* of the average */
} stepping;

/* The mean gradient of a chunk, into the first shard's row; and its square. */
static int sum_chunk(void *user, size_t chunk, int worker)
{
    stepping *p = user;
    const size_t from = chunk * CHUNK, to = SM_MIN(from + CHUNK, p->s->length);
    const float share = 1.0f / (float)p->n_shards;
    float *sum = p->shards[0].gradients;
    double square = 0;
    (void)worker;
    for (size_t k = 1; k < p->n_shards; k++) {
        const float *g = p->shards[k].gradients;
        for (size_t i = from; i < to; i++)
            sum[i] += g[i];
    }
    for (size_t i = from; i < to; i++) {
        sum[i] *= share;
        square += (double)sum[i] * (double)sum[i];
    }
    p->squares[chunk] = square;
    return 0;
}

/* The row's part [from, to) where all have the same decay. */
static void adam(const stepping *p, size_t from, size_t to, double decay, double pace)
{
    const float b1 = (float)beta1, b2 = (float)beta2, rate = (float)(pace * p->o->rate / p->correct1),
                root = (float)(1 / sqrt(p->correct2)), shrink = (float)(1 - pace * p->o->rate * decay),
                eps = (float)epsilon;
    const float *g = p->shards[0].gradients;
    float *w = p->s->parameters, *m = p->s->m, *v = p->s->v, *average = p->s->average;
    for (size_t i = from; i < to; i++) {
        const float x = g[i] * p->scale;
        m[i] = b1 * m[i] + (1 - b1) * x;
        v[i] = b2 * v[i] + (1 - b2) * x * x;
        w[i] = w[i] * shrink - rate * m[i] / (sqrtf(v[i]) * root + eps);
        average[i] = p->keep * average[i] + (1 - p->keep) * w[i];
    }
}

static int step_chunk(void *user, size_t chunk, int worker)
{
    const stepping *p = user;
    const size_t from = chunk * CHUNK, to = SM_MIN(from + CHUNK, p->s->length);
    (void)worker;
    for (size_t i = 0; i < p->n->n_parameters; i++) {
        const train_tensor *t = &p->n->parameters[i];
        const size_t a = SM_MAX(from, t->at), b = SM_MIN(to, t->at + t->n);
        if (a < b && t->pace > 0)
            adam(p, a, b, t->decays ? p->o->decay : 0, (double)t->pace);
    }
    return 0;
}

/* Mean over shards; the variance of the whole batch is the mean of the shards' and what their means differ. Then the running ones
 * follow by a twentieth. */
static void follow_stats(train_state *s, const train_network *n, const train_shard *shards, size_t n_shards)
{
    const double follow = 0.05, share = 1 / (double)n_shards;
    for (size_t k = 0; k < n->n_stats; k++) {
        const train_tensor *t = &n->stats[k], *mean = NULL;
        const size_t stem = strlen(t->name) - SM_MIN(strlen("running_var"), strlen(t->name));
        for (size_t i = 0; i < n->n_stats && sm_text_has_suffix(t->name, "running_var"); i++)
            if (!strncmp(n->stats[i].name, t->name, stem) && !strcmp(n->stats[i].name + stem, "running_mean"))
                mean = &n->stats[i];
        for (size_t c = 0; c < t->n; c++) {
            double sum = 0, between = 0, middle = 0;
            for (size_t i = 0; i < n_shards; i++) {
                sum += share * (double)shards[i].stats[t->at + c];
                middle += mean ? share * (double)shards[i].stats[mean->at + c] : 0;
            }
            for (size_t i = 0; i < n_shards && mean; i++) {
                const double d = (double)shards[i].stats[mean->at + c] - middle;
                between += share * d * d;
            }
            float *running = &s->stats[t->at + c];
            *running = (float)((1 - follow) * (double)*running + follow * (sum + between));
        }
    }
}

int train_state_step(train_state *s, const train_network *n, const train_shard *shards, size_t n_shards,
                     const train_step *o, sm_pool *pool)
{
    const size_t chunks = (s->length + CHUNK - 1) / CHUNK;
    stepping p = { .s = s, .n = n, .shards = shards, .n_shards = n_shards, .o = o, .scale = 1 };
    double square = 0;
    p.squares = sm_alloc(chunks, sizeof *p.squares);
    if (!p.squares)
        return SM_ENOMEM;
    int err = sm_pool_run(pool, chunks, sum_chunk, &p);
    for (size_t i = 0; i < chunks && err == 0; i++)
        square += p.squares[i];
    if (err == 0 && !isfinite(square))
        err = sm_fail(SM_EUNSUPPORTED,
                      "training went astray at step %lld: the gradient is not finite; a lower --lr helps",
                      (long long)s->step);
    if (err == 0) {
        const double norm = sqrt(square), done = (double)++s->step;
        if (o->clip > 0 && norm > o->clip)
            p.scale = (float)(o->clip / norm);
        p.correct1 = 1 - pow(beta1, done);
        p.correct2 = 1 - pow(beta2, done);
        p.keep = (float)SM_MIN(o->ema, (1 + done) / (10 + done)); /* young averages forget faster */
        err = sm_pool_run(pool, chunks, step_chunk, &p);
    }
    if (err == 0)
        follow_stats(s, n, shards, n_shards);
    sm_free(p.squares);
    return err;
}
