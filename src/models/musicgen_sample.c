/* Choosing a token from logits: temperature, top k, top p, and a draw that is told from outside, so that the same seed gives the same tokens. */
#include <math.h>
#include <stdlib.h>

#include "models/musicgen.h"

typedef struct {
    double p;
    int index;
} ranked;

size_t sm_musicgen_sample_work(int n)
{
    return (size_t)n * (sizeof(double) + sizeof(ranked));
}

static int most_likely(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static void soften(const float *logits, int n, double temperature, double *p)
{
    const double top = (double)logits[most_likely(logits, n)];
    double total = 0;
    for (int i = 0; i < n; i++)
        total += p[i] = exp(((double)logits[i] - top) / temperature);
    for (int i = 0; i < n; i++)
        p[i] /= total;
}

/* Falling; equal ones in the order of their indices. */
static int by_p(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->p != y->p ? (x->p > y->p ? -1 : 1) : (x->index > y->index) - (x->index < y->index);
}

static void rank(const double *p, int n, ranked *r)
{
    for (int i = 0; i < n; i++)
        r[i] = (ranked){ p[i], i };
    qsort(r, (size_t)n, sizeof *r, by_p);
}

/* The first i whose sum of weights up to it passes u of the whole; rounding apart, so the last that weighs anything. */
static int draw(const double *p, int n, double u)
{
    double total = 0, sum = 0;
    int last = 0;
    for (int i = 0; i < n; i++)
        total += p[i];
    for (int i = 0; i < n; i++) {
        sum += p[i];
        if (p[i] > 0)
            last = i;
        if (sum > u * total)
            return i;
    }
    return last;
}

/* Nucleus: tokens before which less than top_p lies, drawn in falling order. */
static int draw_top_p(double *p, int n, double top_p, double u, ranked *r)
{
    double sum = 0;
    rank(p, n, r);
    for (int i = 0; i < n; i++) {
        p[i] = sum > top_p ? 0 : r[i].p;
        sum += r[i].p;
    }
    return r[draw(p, n, u)].index;
}

int sm_musicgen_sample(const float *logits, int n, const sm_musicgen_sampling *s, double u, void *work)
{
    double *p = work;
    ranked *r = (ranked *)(void *)(p + n);
    if (s->greedy || s->temperature <= 0)
        return most_likely(logits, n);
    soften(logits, n, s->temperature, p);
    if (s->top_p > 0)
        return draw_top_p(p, n, s->top_p, u, r);
    if (s->top_k > 0 && s->top_k < n) {
        rank(p, n, r);
        const double least = r[s->top_k - 1].p;
        for (int i = 0; i < n; i++)
            if (p[i] < least)
                p[i] = 0;
    }
    return draw(p, n, u);
}

/* SplitMix64's finaliser over seed, window, column and codebook: no state, so the order in which tokens are drawn does not matter. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

double sm_musicgen_draw(uint64_t seed, int64_t window, int64_t column, int codebook)
{
    uint64_t x = mix(seed + 0x9E3779B97F4A7C15u);
    x = mix(x + (uint64_t)window * 0x9E3779B97F4A7C15u);
    x = mix(x + (uint64_t)column * 0x9E3779B97F4A7C15u);
    x = mix(x + (uint64_t)codebook * 0x9E3779B97F4A7C15u);
    return (double)(x >> 11) * 0x1p-53;
}
