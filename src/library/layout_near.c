/* The neighbours of so many sounds that not all can be compared with all: they are sorted into some 2 sqrt(n) cells by k-means, and those of
 * a cell are compared with what lies in it and in the cells beside it, as matrix products. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "library/kmeans.h"
#include "library/layout.h"
#include "nn/nn.h"

enum { K = SM_LAYOUT_NEIGHBOURS, PROBES = 32, ROUNDS = 4, SAMPLE_A_CELL = 32, QUERIES = 64, TILE = 256 };

typedef struct {
    const sm_vectors *v;
    const uint32_t *rows; /* [n] */
    size_t n, dims, cells, probes;
    float *centres;
    uint32_t *cell;   /* [n] */
    uint32_t *around; /* [cells][probes]: itself, and those whose centres are nearest */
    size_t *starts;   /* [cells + 1]: where each begins in: */
    uint32_t *order;  /* [n]: places in `rows` */
    float *room;      /* [threads][(QUERIES + TILE) dims + QUERIES TILE] */
    int32_t *near;
    float *cosines;
} search;

static void values_of(const void *user, uint32_t row, float *out)
{
    const search *s = user;
    memcpy(out, sm_vectors_row(s->v, row), s->dims * sizeof *out);
}

static void centre_of(const void *user, uint32_t cell, float *out)
{
    const search *s = user;
    memcpy(out, s->centres + cell * s->dims, s->dims * sizeof *out);
}

static int make_cells(search *s, sm_pool *pool)
{
    sm_kmeans k = { .row = values_of,
                    .user = s,
                    .rows = s->rows,
                    .n = s->n,
                    .dims = s->dims,
                    .cells = s->cells,
                    .rounds = ROUNDS,
                    .sample_a_cell = SAMPLE_A_CELL,
                    .near = 1,
                    .pool = pool };
    uint32_t *all = sm_alloc(s->cells, sizeof *all);
    float *same = sm_alloc_aligned(s->cells * s->dims, sizeof *same);
    int err = all && same ? sm_kmeans_run(&k, s->centres, s->cell) : SM_ENOMEM;
    for (uint32_t c = 0; c < s->cells && err == 0; c++)
        all[c] = c;
    /* without a round, centres of as many cells as rows are the rows themselves */
    k.row = centre_of;
    k.rows = all;
    k.n = s->cells;
    k.rounds = 0;
    k.near = (int)s->probes;
    if (err == 0)
        err = sm_kmeans_run(&k, same, s->around);
    sm_free(all);
    sm_free(same);
    return err;
}

static void sort_places(search *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->starts[s->cell[i] + 2]++;
    for (size_t c = 2; c < s->cells + 2; c++)
        s->starts[c] += s->starts[c - 1];
    for (size_t i = 0; i < s->n; i++) /* starts[c + 1]: where the next of cell c goes */
        s->order[s->starts[s->cell[i] + 1]++] = (uint32_t)i;
}

static void offer(const search *s, size_t place, size_t other, float cosine)
{
    int32_t *near = s->near + place * K;
    float *cosines = s->cosines + place * K;
    int at = K - 1;
    if (cosine <= cosines[at])
        return;
    for (; at > 0 && cosine > cosines[at - 1]; at--) {
        near[at] = near[at - 1];
        cosines[at] = cosines[at - 1];
    }
    near[at] = (int32_t)other;
    cosines[at] = cosine;
}

static void gather(const search *s, size_t at, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        values_of(s, s->rows[s->order[at + i]], out + i * s->dims);
}

/* Some rows of one cell against all of another. */
static int compare(const search *s, size_t at, size_t n, size_t cell, float *room)
{
    const int64_t dims = (int64_t)s->dims;
    float *others = room + QUERIES * s->dims, *dots = others + TILE * s->dims;
    int err = 0;
    for (size_t from = s->starts[cell]; from < s->starts[cell + 1] && err == 0; from += TILE) {
        const size_t there = SM_MIN((size_t)TILE, s->starts[cell + 1] - from);
        gather(s, from, there, others);
        err = nn_sgemm(true, (int64_t)n, (int64_t)there, dims, room, dims, others, dims, dots, TILE);
        for (size_t i = 0; i < n && err == 0; i++)
            for (size_t j = 0; j < there; j++)
                if (at + i != from + j)
                    offer(s, s->order[at + i], s->order[from + j], dots[i * TILE + j]);
    }
    return err;
}

static int one_cell(void *user, size_t cell, int worker)
{
    const search *s = user;
    float *room = s->room + (size_t)worker * ((QUERIES + TILE) * s->dims + QUERIES * TILE);
    int err = 0;
    for (size_t at = s->starts[cell]; at < s->starts[cell + 1] && err == 0; at += QUERIES) {
        const size_t n = SM_MIN((size_t)QUERIES, s->starts[cell + 1] - at);
        gather(s, at, n, room);
        for (size_t p = 0; p < s->probes && err == 0; p++)
            err = compare(s, at, n, s->around[cell * s->probes + p], room);
    }
    return err;
}

int sm_layout_neighbours_in_cells(const sm_vectors *v, sm_pool *pool, const uint32_t *rows, size_t n, int32_t *near,
                                  float *cosines)
{
    const size_t threads = pool ? (size_t)sm_pool_threads(pool) : 1;
    search s = { .v = v, .rows = rows, .n = n, .near = near, .cosines = cosines };
    s.dims = (size_t)sm_vectors_about(v)->dims;
    s.cells = SM_CLAMP((size_t)(2 * sqrt((double)n)), (size_t)1, SM_MAX(n, (size_t)1));
    s.probes = SM_MIN((size_t)PROBES, s.cells);
    s.centres = sm_alloc_aligned(s.cells * s.dims, sizeof *s.centres);
    s.cell = sm_alloc(n, sizeof *s.cell);
    s.around = sm_alloc(s.cells * s.probes, sizeof *s.around);
    s.starts = sm_alloc_zero(s.cells + 2, sizeof *s.starts);
    s.order = sm_alloc(n, sizeof *s.order);
    s.room = sm_alloc_aligned(threads * ((QUERIES + TILE) * s.dims + QUERIES * TILE), sizeof *s.room);
    int err = s.centres && s.cell && s.around && s.starts && s.order && s.room ? 0 : SM_ENOMEM;
    for (size_t i = 0; i < n * K && err == 0; i++) {
        near[i] = -1;
        cosines[i] = -FLT_MAX;
    }
    if (err == 0 && n > 0)
        err = make_cells(&s, pool);
    if (err == 0) {
        sort_places(&s);
        if (pool)
            err = sm_pool_run(pool, s.cells, one_cell, &s);
        for (size_t c = 0; c < s.cells && !pool && err == 0; c++)
            err = one_cell(&s, c, 0);
    }
    for (size_t i = 0; i < n * K && err == 0; i++)
        cosines[i] = near[i] < 0 ? 0 : cosines[i];
    sm_free(s.centres);
    sm_free(s.cell);
    sm_free(s.around);
    sm_free(s.starts);
    sm_free(s.order);
    sm_free(s.room);
    return err;
}
