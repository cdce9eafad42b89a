/* The rows of a file of vectors in the order of cells.
 *
 * The cells' own file is a file of vectors, too: a row for each cell, its centre, whose number is the cell's first row + 1. Its `fit` is
 * the layout that the file of vectors names, `puts` how many cells are looked at, `replaced` the recall in millionths. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/cells.h"
#include "library/kmeans.h"

enum { ROUNDS = 8, SAMPLE_A_CELL = 40, CHUNK = 1024, LEAST = 16, MOST = 8192, TRIALS = 200, TRIAL_LIMIT = 10 };
static const char space[] = "cells/1";
static const double millionth = 1e-6;

struct sm_cells {
    sm_vectors *centres;
    size_t sorted; /* rows behind are in no cell */
};

typedef struct {
    const sm_vectors *v;
    sm_pool *pool;
    size_t dims, n, cells;
    const uint32_t *rows; /* [n]: those that are not removed */
    float *centres;       /* [cells][dims] */
    uint32_t *cell;       /* [n] */
} clustering;

static void values_of(const void *user, uint32_t row, float *out)
{
    const clustering *c = user;
    memcpy(out, sm_vectors_row(c->v, row), c->dims * sizeof *out);
}

static int sort_into_cells(clustering *c)
{
    const sm_kmeans k = { .row = values_of,
                          .user = c,
                          .rows = c->rows,
                          .n = c->n,
                          .dims = c->dims,
                          .cells = c->cells,
                          .rounds = ROUNDS,
                          .sample_a_cell = SAMPLE_A_CELL,
                          .near = 1,
                          .pool = c->pool };
    return sm_kmeans_run(&k, c->centres, c->cell);
}

/* ---- writing ---- */

/* Rows of the same cell side by side; starts[cell] is where it begins, starts[cells] = n. */
static void sort_rows(const clustering *c, size_t *starts, uint32_t *order)
{
    memset(starts, 0, (c->cells + 1) * sizeof *starts);
    for (size_t i = 0; i < c->n; i++)
        starts[c->cell[i] + 1]++;
    for (size_t k = 0; k < c->cells; k++)
        starts[k + 1] += starts[k];
    for (size_t i = 0; i < c->n; i++)
        order[starts[c->cell[i]]++] = c->rows[i];
    memmove(starts + 1, starts, c->cells * sizeof *starts);
    starts[0] = 0;
}

static int write_rows(const clustering *c, const uint32_t *order, uint64_t layout, const char *path, sm_vectors **out)
{
    int64_t *ids = sm_alloc(CHUNK, sizeof *ids);
    float *rows = sm_alloc(CHUNK * c->dims, sizeof *rows);
    int err = ids && rows ? sm_vectors_create(path, sm_vectors_about(c->v), out) : SM_ENOMEM;

    for (size_t first = 0; first < c->n && err == 0; first += CHUNK) {
        const size_t n = SM_MIN((size_t)CHUNK, c->n - first);
        for (size_t i = 0; i < n; i++) {
            ids[i] = sm_vectors_id(c->v, order[first + i]);
            memcpy(rows + i * c->dims, sm_vectors_row(c->v, order[first + i]), c->dims * sizeof *rows);
        }
        err = sm_vectors_append(*out, ids, rows, n);
    }
    if (err == 0)
        err = sm_vectors_set_layout(*out, c->n, layout);
    sm_free(ids);
    sm_free(rows);
    return err;
}

static int write_centres(const clustering *c, const size_t *starts, const sm_vectors_info *info, const char *path,
                         sm_vectors **out)
{
    int err = sm_vectors_create(path, info, out);

    int64_t *ids = sm_alloc(c->cells, sizeof *ids);
    float *rows = sm_alloc(c->cells * c->dims, sizeof *rows);
    size_t n = 0;
    if (err == 0 && (!ids || !rows))
        err = SM_ENOMEM;
    for (size_t k = 0; k < c->cells && err == 0; k++)
        if (starts[k + 1] > starts[k]) {
            ids[n] = (int64_t)starts[k] + 1;
            memcpy(rows + n++ * c->dims, c->centres + k * c->dims, c->dims * sizeof *rows);
        }
    if (err == 0)
        err = sm_vectors_append(*out, ids, rows, n);
    sm_free(ids);
    sm_free(rows);
    return err;
}

/* How many of the nearest rows of some rows are found in so many cells. */
static int measure(const sm_cells *c, const sm_vectors *v, sm_pool *pool, const sm_hit *truth, size_t probes,
                   double *recall)
{
    const size_t trials = SM_MIN((size_t)TRIALS, sm_vectors_rows(v));
    size_t found = 0, all = 0;
    int err = 0;

    for (size_t t = 0; t < trials && err == 0; t++) {
        const size_t row = t * sm_vectors_rows(v) / trials;
        const sm_vectors_query q = {
            .vector = sm_vectors_row(v, row), .weight = 1, .except = sm_vectors_id(v, row), .limit = TRIAL_LIMIT
        };
        sm_hit hits[TRIAL_LIMIT];
        size_t n = 0;
        err = sm_cells_search(c, v, pool, &q, probes, hits, &n);
        for (size_t i = 0; i < TRIAL_LIMIT && truth[t * TRIAL_LIMIT + i].id; i++, all++)
            for (size_t j = 0; j < n; j++)
                found += hits[j].id == truth[t * TRIAL_LIMIT + i].id;
    }
    *recall = all ? (double)found / (double)all : 1;
    return err;
}

static int choose_probes(const sm_cells *c, const sm_vectors *v, sm_pool *pool, double wanted, size_t *probes,
                         double *recall)
{
    sm_hit *truth = sm_alloc_zero(TRIALS * TRIAL_LIMIT, sizeof *truth);
    const size_t cells = sm_vectors_rows(c->centres), trials = SM_MIN((size_t)TRIALS, sm_vectors_rows(v));
    int err = truth ? 0 : SM_ENOMEM;

    for (size_t t = 0; t < trials && err == 0; t++) {
        const size_t row = t * sm_vectors_rows(v) / trials;
        const sm_vectors_query q = {
            .vector = sm_vectors_row(v, row), .weight = 1, .except = sm_vectors_id(v, row), .limit = TRIAL_LIMIT
        };
        size_t n;
        err = sm_vectors_search(v, pool, &q, truth + t * TRIAL_LIMIT, &n);
    }
    *recall = 0;
    for (*probes = 1; err == 0; *probes += SM_MAX(*probes / 2, (size_t)1)) {
        *probes = SM_MIN(*probes, cells);
        err = measure(c, v, pool, truth, *probes, recall);
        if (*recall >= wanted || *probes == cells)
            break;
    }
    sm_free(truth);
    return err;
}

static int build(clustering *c, double wanted, const char *path, const char *cells_path)
{
    size_t *starts = sm_alloc(c->cells + 1, sizeof *starts), probes = 1;
    uint32_t *order = sm_alloc(c->n, sizeof *order);
    sm_vectors *sorted = NULL, *written = NULL;
    sm_cells cells = { .sorted = c->n };
    double recall = 0;
    int err = starts && order ? 0 : SM_ENOMEM;

    if (err == 0)
        sort_rows(c, starts, order);
    sm_vectors_info info = { .dims = (int)c->dims, .unit = true };
    info.fit = sm_fnv1a64(c->centres, c->cells * c->dims * sizeof *c->centres) ^ c->n;
    memcpy(info.space, space, sizeof space);
    if (err == 0)
        err = write_rows(c, order, info.fit, path, &sorted);
    if (err == 0) /* a first time to measure with, then with what came out */
        err = write_centres(c, starts, &info, cells_path, &cells.centres);
    if (err == 0)
        err = choose_probes(&cells, sorted, c->pool, wanted, &probes, &recall);
    sm_vectors_close(cells.centres);
    info.puts = probes;
    info.replaced = (uint64_t)llrint(recall / millionth);
    if (err == 0)
        err = write_centres(c, starts, &info, cells_path, &written);
    if (err == 0)
        err = sm_vectors_commit(sorted);
    if (err == 0)
        err = sm_vectors_commit(written);
    sm_vectors_close(written);
    sm_vectors_close(sorted);
    sm_free(starts);
    sm_free(order);
    return err;
}

int sm_cells_build(const sm_vectors *from, sm_pool *pool, double recall, const char *path, const char *cells_path)
{
    const size_t rows = sm_vectors_rows(from);
    clustering c = { .v = from, .pool = pool, .dims = (size_t)sm_vectors_about(from)->dims, .cells = LEAST };
    uint32_t *alive = sm_alloc(rows, sizeof *alive);
    int err = alive ? 0 : SM_ENOMEM;

    for (size_t row = 0; row < rows && err == 0; row++)
        if (sm_vectors_id(from, row) > 0)
            alive[c.n++] = (uint32_t)row;
    c.rows = alive;
    if (err == 0 && c.n == 0)
        err = sm_fail(SM_EUSAGE, "%s: no vectors to sort into cells", sm_vectors_about(from)->space);
    while (c.cells < MOST && (double)(c.cells * c.cells) < 3 * (double)c.n)
        c.cells *= 2;
    c.cells = SM_MIN(c.cells, SM_MAX(c.n, (size_t)1));
    c.centres = sm_alloc_aligned(c.cells * c.dims, sizeof *c.centres);
    c.cell = sm_alloc(c.n, sizeof *c.cell);
    if (err == 0 && (!c.centres || !c.cell))
        err = SM_ENOMEM;
    if (err == 0)
        err = sort_into_cells(&c);
    if (err == 0)
        err = build(&c, recall, path, cells_path);
    sm_free(alive);
    sm_free(c.centres);
    sm_free(c.cell);
    return err;
}

/* ---- using them ---- */

/* Every row sound, cells one behind the other from row 0 on. */
static bool usable(const sm_cells *c, const sm_vectors *v, uint64_t layout)
{
    const sm_vectors_info *about = sm_vectors_about(c->centres);
    const size_t n = sm_vectors_rows(c->centres);

    if (strcmp(about->space, space) != 0 || about->fit != layout || about->dims != sm_vectors_about(v)->dims || n == 0)
        return false;
    for (size_t k = 0; k < n; k++) {
        const int64_t first = sm_vectors_id(c->centres, k), before = k ? sm_vectors_id(c->centres, k - 1) : 0;
        if (!sm_vectors_sound(c->centres, k) || first <= before || (size_t)first > c->sorted || (k == 0 && first != 1))
            return false;
    }
    return true;
}

int sm_cells_open(const char *path, const sm_vectors *v, sm_cells **out)
{
    uint64_t sorted, layout;
    sm_cells *c = sm_alloc_zero(1, sizeof *c);
    int err = c ? sm_vectors_open(path, false, &c->centres) : SM_ENOMEM;

    *out = NULL;
    if (err == 0) {
        sm_vectors_layout(v, &sorted, &layout);
        c->sorted = (size_t)sorted;
        if (!usable(c, v, layout))
            err = sm_fail(SM_EFORMAT, "%s: damaged, or the cells of other vectors", path);
    }
    if (err < 0)
        sm_cells_close(c);
    else
        *out = c;
    return err;
}

void sm_cells_close(sm_cells *c)
{
    if (c)
        sm_vectors_close(c->centres);
    sm_free(c);
}

size_t sm_cells_count(const sm_cells *c)
{
    return sm_vectors_rows(c->centres);
}

size_t sm_cells_probes(const sm_cells *c)
{
    return (size_t)sm_vectors_about(c->centres)->puts;
}

double sm_cells_recall(const sm_cells *c)
{
    return millionth * (double)sm_vectors_about(c->centres)->replaced;
}

int sm_cells_search(const sm_cells *c, const sm_vectors *v, sm_pool *pool, const sm_vectors_query *q, size_t probes,
                    sm_hit *hits, size_t *n)
{
    const size_t cells = sm_vectors_rows(c->centres), rows = sm_vectors_rows(v);
    const size_t most = SM_CLAMP(probes ? probes : sm_cells_probes(c), 1, cells);
    const sm_vectors_query nearest = { .vector = q->vector, .weight = 1, .limit = most, .dots = q->dots };
    sm_hit *chosen = sm_alloc(most, sizeof *chosen);
    sm_vectors_range *ranges = sm_alloc(most + 1, sizeof *ranges);
    size_t found = 0;
    int err = chosen && ranges ? 0 : SM_ENOMEM;

    *n = 0;
    if (err == 0)
        err = sm_vectors_search(c->centres, NULL, &nearest, chosen, &found);
    for (size_t i = 0; i < found && err == 0; i++) {
        const size_t cell = chosen[i].row, first = (size_t)chosen[i].id - 1;
        const size_t end = cell + 1 < cells ? (size_t)sm_vectors_id(c->centres, cell + 1) - 1 : c->sorted;
        ranges[i] = (sm_vectors_range){ first, end - first };
    }
    if (err == 0) {
        ranges[found] = (sm_vectors_range){ c->sorted, rows - c->sorted };
        err = sm_vectors_search_ranges(v, pool, q, ranges, found + (rows > c->sorted), hits, n);
    }
    sm_free(chosen);
    sm_free(ranges);
    return err;
}
