/* The neighbours of so many fingerprint vectors that not all can be compared with all: they are sorted into some 2 sqrt(n) cells by k-means,
 * and each is compared with what lies in the cells whose centres are nearest to it. Near twins lie near the same centres. */
#include <math.h>
#include <string.h>

#include "library/dupes.h"
#include "library/kmeans.h"

enum { PROBES = 12, ROUNDS = 3, SAMPLE_A_CELL = 24, STEP = 64, LEAST = 16 };

typedef struct {
    const sm_print_search *o;
    size_t n, cells;
    int probes;
    uint32_t *alive; /* [n]: rows that are not silent */
    float *centres;
    uint32_t *cells_of; /* [n][probes], the nearest first */
    size_t *starts;     /* [cells + 1]: where each cell begins in: */
    uint32_t *order;    /* [n], places in `alive`; rows of a cell rise */
    sm_print_row *sorted;
    size_t largest, first; /* cell; place in `order` of the batch in hand */
    int32_t *products;     /* [threads][largest] */
    sm_print_products product;
    size_t *near;
    float *cosines;
} search;

static void values_of(const void *user, uint32_t row, float *out)
{
    const sm_print_row *r = &((const search *)user)->o->rows[row];
    for (int i = 0; i < PRINT_VECTOR; i++)
        out[i] = r->scale * (float)r->values[i];
}

static int make_cells(search *s)
{
    const sm_kmeans k = { .row = values_of,
                          .user = s,
                          .rows = s->alive,
                          .n = s->n,
                          .dims = PRINT_VECTOR,
                          .cells = s->cells,
                          .rounds = ROUNDS,
                          .sample_a_cell = SAMPLE_A_CELL,
                          .near = s->probes,
                          .pool = s->o->pool };
    s->centres = sm_alloc_aligned(s->cells * PRINT_VECTOR, sizeof *s->centres);
    s->cells_of = sm_alloc(s->n * (size_t)s->probes, sizeof *s->cells_of);
    return s->centres && s->cells_of ? sm_kmeans_run(&k, s->centres, s->cells_of) : SM_ENOMEM;
}

static int sort_rows(search *s)
{
    s->starts = sm_alloc_zero(s->cells + 2, sizeof *s->starts);
    s->order = sm_alloc(s->n, sizeof *s->order);
    s->sorted = sm_alloc_aligned(s->n, sizeof *s->sorted);
    if (!s->starts || !s->order || !s->sorted)
        return SM_ENOMEM;
    size_t *next = s->starts + 1; /* while filling: where the next row of a cell goes */
    for (size_t i = 0; i < s->n; i++)
        s->starts[s->cells_of[i * (size_t)s->probes] + 2]++;
    for (size_t c = 2; c < s->cells + 2; c++) {
        s->largest = SM_MAX(s->largest, s->starts[c]);
        s->starts[c] += s->starts[c - 1];
    }
    for (size_t i = 0; i < s->n; i++) {
        const size_t at = next[s->cells_of[i * (size_t)s->probes]]++;
        s->order[at] = (uint32_t)i;
        s->sorted[at] = s->o->rows[s->alive[i]];
    }
    return 0;
}

/* Rows that lie side by side look into much the same cells. */
static int look_around(void *user, size_t item, int worker)
{
    search *s = user;
    const size_t from = s->first + item * STEP, to = SM_MIN(from + STEP, s->n), k = (size_t)s->o->k;
    int32_t *products = s->products + (size_t)worker * s->largest;
    for (size_t at = from; at < to; at++) {
        const size_t row = s->alive[s->order[at]];
        for (int p = 0; p < s->probes; p++) {
            const size_t cell = s->cells_of[s->order[at] * (size_t)s->probes + (size_t)p], start = s->starts[cell];
            const size_t there = s->starts[cell + 1] - start;
            s->product(&s->sorted[at], s->sorted + start, there, products);
            for (size_t j = 0; j < there; j++)
                if (start + j != at)
                    sm_print_offer(s->o->k, s->near + row * k, s->cosines + row * k, s->alive[s->order[start + j]],
                                   (float)products[j] * s->sorted[at].scale * s->sorted[start + j].scale);
        }
    }
    return 0;
}

static int look(search *s)
{
    const size_t threads = (size_t)sm_pool_threads(s->o->pool), at_once = 16 * threads * STEP;
    int err = 0;
    s->products = sm_alloc(threads * s->largest, sizeof *s->products);
    if (!s->products)
        return SM_ENOMEM;
    for (; err == 0 && s->first < s->n; s->first += at_once) {
        const sm_progress_info p = { "comparing fingerprints", (double)s->first, (double)s->n, "sounds", 0 };
        const size_t left = (s->n - s->first + STEP - 1) / STEP;
        if (s->o->progress && s->o->progress(s->o->user, &p))
            err = sm_fail(SM_ECANCELLED, "stopped");
        else
            err = sm_pool_run(s->o->pool, SM_MIN(left, at_once / STEP), look_around, s);
    }
    return err;
}

int sm_print_neighbours_in_cells(const sm_print_search *o, size_t *near, float *cosines)
{
    search s = { .o = o, .near = near, .cosines = cosines, .product = sm_print_products_best() };
    int err = (s.alive = sm_alloc(o->n, sizeof *s.alive)) ? 0 : SM_ENOMEM;
    for (size_t i = 0; err == 0 && i < o->n; i++)
        if (o->rows[i].scale > 0)
            s.alive[s.n++] = (uint32_t)i;
    for (size_t i = 0; err == 0 && i < o->n * (size_t)o->k; i++) {
        near[i] = SIZE_MAX;
        cosines[i] = o->least;
    }
    s.cells = SM_MIN(SM_MAX((size_t)LEAST, (size_t)(2 * sqrt((double)s.n))), s.n);
    s.probes = (int)SM_MIN((size_t)PROBES, s.cells);
    if (s.n > 0) {
        err = err < 0 ? err : make_cells(&s);
        err = err < 0 ? err : sort_rows(&s);
        err = err < 0 ? err : look(&s);
    }
    sm_free(s.alive);
    sm_free(s.centres);
    sm_free(s.cells_of);
    sm_free(s.starts);
    sm_free(s.order);
    sm_free(s.sorted);
    sm_free(s.products);
    return err;
}
