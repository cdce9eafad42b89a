#include <math.h>
#include <string.h>

#include "library/kmeans.h"
#include "nn/nn.h"

enum { CHUNK = 1024 };

typedef struct {
    const sm_kmeans *k;
    const uint32_t *rows; /* [n]: those in hand, the sample or all */
    size_t n;
    int wanted; /* cells of each */
    float *centres;
    uint32_t *near;         /* [n][wanted] */
    float *cosine;          /* [n]: of the nearest */
    float *gathered, *dots; /* [threads][CHUNK][dims], [threads][CHUNK][cells] */
} clustering;

/* ---- which centres are nearest ---- */

/* The `wanted` highest of n, of equals the first; near[0] the highest. */
static void choose(const float *dots, size_t n, int wanted, uint32_t *near)
{
    float best[SM_KMEANS_NEAR];
    int have = 0;

    for (size_t j = 0; j < n; j++) {
        if (have == wanted && dots[j] <= best[have - 1])
            continue;
        int at = have < wanted ? have++ : have - 1;
        for (; at > 0 && dots[j] > best[at - 1]; at--) {
            best[at] = best[at - 1];
            near[at] = near[at - 1];
        }
        best[at] = dots[j];
        near[at] = (uint32_t)j;
    }
}

static int assign_chunk(void *user, size_t chunk, int worker)
{
    const clustering *c = user;
    const size_t dims = c->k->dims, cells = c->k->cells, first = chunk * CHUNK, n = SM_MIN((size_t)CHUNK, c->n - first);
    float *rows = c->gathered + (size_t)worker * CHUNK * dims, *dots = c->dots + (size_t)worker * CHUNK * cells;

    for (size_t i = 0; i < n; i++)
        c->k->row(c->k->user, c->rows[first + i], rows + i * dims);
    const int err = nn_sgemm(true, (int64_t)n, (int64_t)cells, (int64_t)dims, rows, (int64_t)dims, c->centres,
                             (int64_t)dims, dots, (int64_t)cells);
    for (size_t i = 0; i < n && err == 0; i++) {
        uint32_t *near = c->near + (first + i) * (size_t)c->wanted;
        choose(dots + i * cells, cells, c->wanted, near);
        c->cosine[first + i] = dots[i * cells + near[0]];
    }
    return err;
}

static int assign(clustering *c)
{
    const size_t chunks = (c->n + CHUNK - 1) / CHUNK;
    int err = 0;

    if (c->k->pool)
        return sm_pool_run(c->k->pool, chunks, assign_chunk, c);
    for (size_t i = 0; i < chunks && err == 0; i++)
        err = assign_chunk(c, i, 0);
    return err;
}

/* ---- centres ---- */

static void set_unit(float *out, const double *sum, size_t dims)
{
    double square = 0;
    for (size_t j = 0; j < dims; j++)
        square += sum[j] * sum[j];
    for (size_t j = 0; j < dims; j++)
        out[j] = square > 0 ? (float)(sum[j] / sqrt(square)) : 0;
}

/* The row that is farthest from its centre starts a cell anew that has none. */
static void fill_empty(clustering *c, size_t cell)
{
    size_t worst = 0;
    for (size_t i = 1; i < c->n; i++)
        if (c->cosine[i] < c->cosine[worst])
            worst = i;
    c->k->row(c->k->user, c->rows[worst], c->centres + cell * c->k->dims);
    c->cosine[worst] = INFINITY;
}

static int move_centres(clustering *c)
{
    const size_t dims = c->k->dims, cells = c->k->cells;
    double *sums = sm_alloc_zero(cells * dims, sizeof *sums);
    size_t *counts = sm_alloc_zero(cells, sizeof *counts);
    const int err = sums && counts ? 0 : SM_ENOMEM;

    for (size_t i = 0; i < c->n && err == 0; i++) {
        double *sum = sums + c->near[i] * dims;
        counts[c->near[i]]++;
        c->k->row(c->k->user, c->rows[i], c->gathered);
        for (size_t j = 0; j < dims; j++)
            sum[j] += (double)c->gathered[j];
    }
    for (size_t cell = 0; cell < cells && err == 0; cell++)
        if (counts[cell])
            set_unit(c->centres + cell * dims, sums + cell * dims, dims);
        else
            fill_empty(c, cell);
    sm_free(sums);
    sm_free(counts);
    return err;
}

static int train(clustering *c)
{
    const sm_kmeans *k = c->k;
    const size_t every = k->n / SM_MIN(k->n, SM_MAX(k->cells * k->sample_a_cell, (size_t)1));
    uint32_t *sampled = sm_alloc(k->n / every + 1, sizeof *sampled);
    int err = sampled ? 0 : SM_ENOMEM;

    c->wanted = 1;
    c->n = 0;
    for (size_t i = 0; i < k->n && err == 0; i += every)
        sampled[c->n++] = k->rows[i];
    c->rows = sampled;
    for (size_t cell = 0; cell < k->cells && err == 0; cell++) /* evenly through the sample */
        k->row(k->user, sampled[cell * c->n / k->cells], c->centres + cell * k->dims);
    for (int round = 0; round < k->rounds && err == 0; round++) {
        err = assign(c);
        if (err == 0)
            err = move_centres(c);
    }
    sm_free(sampled);
    c->rows = k->rows;
    c->n = k->n;
    c->wanted = k->near;
    return err;
}

int sm_kmeans_run(const sm_kmeans *k, float *centres, uint32_t *near)
{
    const size_t threads = k->pool ? (size_t)sm_pool_threads(k->pool) : 1;
    clustering c = { .k = k, .centres = centres, .near = near };
    int err;

    c.cosine = sm_alloc(k->n, sizeof *c.cosine);
    c.gathered = sm_alloc_aligned(threads * CHUNK * k->dims, sizeof *c.gathered);
    c.dots = sm_alloc_aligned(threads * CHUNK * k->cells, sizeof *c.dots);
    err = c.cosine && c.gathered && c.dots ? train(&c) : SM_ENOMEM;
    if (err == 0)
        err = assign(&c);
    sm_free(c.cosine);
    sm_free(c.gathered);
    sm_free(c.dots);
    return err;
}
