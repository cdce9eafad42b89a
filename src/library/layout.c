/* The layout of UMAP (McInnes, Healy and Melville 2018): weights of neighbours that are fuzzy memberships, and a descent that draws
 * neighbours together and pushes random others apart. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/layout.h"
#include "nn/nn.h"

enum {
    K = SM_LAYOUT_NEIGHBOURS,
    BATCH = 4096,
    EPOCHS = 300,
    EPOCHS_MANY = 200,
    MANY = 10000,
    EPOCHS_NEW = 30,
    NEGATIVES = 5
};
enum { TRUST_MOST = 2000 };
/* the curve 1 / (1 + a d^2b) for a least distance of 0.1 */
static const double curve_a = 1.577, curve_b = 0.895, most_step = 4, extent = 10;

/* ---- neighbours ---- */

static int neighbours_of_all(const sm_vectors *v, sm_pool *pool, const uint32_t *rows, size_t n, int32_t *near,
                             float *cosines)
{
    const size_t dims = (size_t)sm_vectors_about(v)->dims, batch = SM_MIN(n, (size_t)BATCH);
    float *queries = sm_alloc_aligned(batch * dims, sizeof *queries);
    int64_t *except = sm_alloc(batch, sizeof *except);
    sm_hit *hits = sm_alloc(batch * K, sizeof *hits);
    size_t *counts = sm_alloc(batch, sizeof *counts);
    int32_t *place = sm_alloc(sm_vectors_rows(v), sizeof *place);
    int err = queries && except && hits && counts && place ? 0 : SM_ENOMEM;

    for (size_t i = 0; i < n && err == 0; i++)
        place[rows[i]] = (int32_t)i;
    for (size_t first = 0; first < n && err == 0; first += batch) {
        const size_t now = SM_MIN(batch, n - first);
        for (size_t i = 0; i < now; i++) {
            memcpy(queries + i * dims, sm_vectors_row(v, rows[first + i]), dims * sizeof *queries);
            except[i] = sm_vectors_id(v, rows[first + i]);
        }
        err = sm_vectors_search_many(v, pool, queries, now, except, K, hits, counts);
        for (size_t i = 0; i < now * K && err == 0; i++) {
            const bool there = i % K < counts[i / K];
            near[first * K + i] = there ? place[hits[i].row] : -1;
            cosines[first * K + i] = there ? (float)hits[i].score : 0;
        }
    }
    sm_free(queries);
    sm_free(except);
    sm_free(hits);
    sm_free(counts);
    sm_free(place);
    return err;
}

int sm_layout_neighbours(const sm_vectors *v, sm_pool *pool, const uint32_t *rows, size_t n, int32_t *near,
                         float *cosines)
{
    return n < SM_LAYOUT_CELLS_LEAST ? neighbours_of_all(v, pool, rows, n, near, cosines)
                                     : sm_layout_neighbours_in_cells(v, pool, rows, n, near, cosines);
}

/* ---- weights ---- */

/* exp(-(distance - nearest) / width), the width such that the weights add up to log2(K). */
static void memberships(const int32_t *near, const float *cosines, float *weights)
{
    double nearest = INFINITY, low = 0, high = INFINITY, width = 1;

    for (int k = 0; k < K; k++)
        if (near[k] >= 0)
            nearest = fmin(nearest, fmax(0, 1 - (double)cosines[k]));
    for (int step = 0; step < 64; step++) {
        double sum = 0;
        for (int k = 0; k < K; k++)
            if (near[k] >= 0)
                sum += exp(-fmax(0, 1 - (double)cosines[k] - nearest) / width);
        if (sum > log2(K))
            high = width;
        else
            low = width;
        width = isinf(high) ? 2 * width : (low + high) / 2;
        if (width > 1e6 || width < 1e-9)
            break;
    }
    for (int k = 0; k < K; k++)
        weights[k] = near[k] < 0 ? 0 : (float)exp(-fmax(0, 1 - (double)cosines[k] - nearest) / SM_MAX(width, 1e-9));
}

/* a + b - a b of both directions; an edge is kept by its smaller end, or by the only one that knows it (else 0). */
static void make_symmetric(const int32_t *near, const float *one, size_t n, float *both)
{
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < K; k++) {
            const int32_t j = near[i * K + (size_t)k];
            const float a = one[i * K + (size_t)k];
            float b = 0;
            bool mutual = false;
            for (int l = 0; j >= 0 && l < K; l++)
                if (near[(size_t)j * K + (size_t)l] == (int32_t)i) {
                    b = one[(size_t)j * K + (size_t)l];
                    mutual = true;
                }
            both[i * K + (size_t)k] = j < 0 || (mutual && (size_t)j < i) ? 0 : a + b - a * b;
        }
}

/* ---- descent ---- */

/* What the slope of the curve multiplies a difference by, by the square of the distance. Two powers a step would be half the time of all:
 * a table of 64 places an octave, with lines between (within 1e-4), is as good. */
enum { LOWEST = -20, OCTAVES = 34, STEP_BITS = 6, PLACES = OCTAVES << STEP_BITS };

typedef struct {
    float attraction[PLACES + 1], repulsion[PLACES + 1];
} forces;

static double attraction(double square)
{
    const double power = pow(square, curve_b);
    return -2 * curve_a * curve_b * power / square / (1 + curve_a * power);
}

static double repulsion(double square)
{
    return 2 * curve_b / ((0.001 + square) * (1 + curve_a * pow(square, curve_b)));
}

static void make_forces(forces *f)
{
    for (int i = 0; i <= PLACES; i++) {
        const double within = (double)(i & ((1 << STEP_BITS) - 1)) / (1 << STEP_BITS);
        const double square = ldexp(1 + within, LOWEST + (i >> STEP_BITS));
        f->attraction[i] = (float)attraction(square);
        f->repulsion[i] = (float)repulsion(square);
    }
}

/* Of a positive square; outside of the table by the formula. */
static double force_of(const float *table, double (*formula)(double), double square)
{
    const float x = (float)square;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int32_t at = (int32_t)(bits >> (23 - STEP_BITS)) - ((127 + LOWEST) << STEP_BITS);
    if (at < 0 || at >= PLACES)
        return formula(square);
    const float part = (float)(bits & ((1u << (23 - STEP_BITS)) - 1)) / (1 << (23 - STEP_BITS));
    return (double)(table[at] + part * (table[at + 1] - table[at]));
}

typedef struct {
    const sm_layout_options *o;
    const forces *forces;
    const int32_t *near;
    const float *weights;
    float *places;
    size_t n;
    uint64_t random;
    double rate;
} descent;

static uint64_t draw(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool is_fixed(const descent *d, size_t i)
{
    return d->o->fixed && d->o->fixed[i];
}

static void step(descent *d, size_t i, double by, double dx, double dy)
{
    if (is_fixed(d, i))
        return;
    d->places[2 * i] += (float)(d->rate * SM_CLAMP(by * dx, -most_step, most_step));
    d->places[2 * i + 1] += (float)(d->rate * SM_CLAMP(by * dy, -most_step, most_step));
}

static void attract(descent *d, size_t i, size_t j)
{
    const double dx = (double)(d->places[2 * i] - d->places[2 * j]);
    const double dy = (double)(d->places[2 * i + 1] - d->places[2 * j + 1]), square = dx * dx + dy * dy;

    if (square <= 0)
        return;
    const double by = force_of(d->forces->attraction, attraction, square);
    step(d, i, by, dx, dy);
    step(d, j, -by, dx, dy);
}

static void repel(descent *d, size_t i)
{
    if (is_fixed(d, i))
        return;
    for (int k = 0; k < NEGATIVES; k++) {
        const size_t j = (size_t)(draw(&d->random) % d->n);
        const double dx = (double)(d->places[2 * i] - d->places[2 * j]);
        const double dy = (double)(d->places[2 * i + 1] - d->places[2 * j + 1]), square = dx * dx + dy * dy;
        if (i == j)
            continue;
        if (square > 0)
            step(d, i, force_of(d->forces->repulsion, repulsion, square), dx, dy);
        else
            step(d, i, 1, most_step, k % 2 ? most_step : -most_step);
    }
}

static int descend(descent *d, int epochs)
{
    float largest = 0, *due = sm_alloc_zero(d->n * K, sizeof *due);

    if (!due)
        return SM_ENOMEM;
    for (size_t e = 0; e < d->n * K; e++)
        largest = SM_MAX(largest, d->weights[e]);
    for (int epoch = 0; epoch < epochs; epoch++) {
        d->rate = 1 - (double)epoch / epochs;
        /* each edge as often as its weight says, in a fixed order */
        for (size_t e = 0; e < d->n * K && largest > 0; e++) {
            const size_t i = e / K;
            due[e] += d->weights[e] / largest;
            if (due[e] < 1)
                continue;
            due[e] -= 1;
            const size_t j = (size_t)d->near[e];
            attract(d, i, j);
            repel(d, i);
            attract(d, j, i);
            repel(d, j);
        }
        if (d->o->progress && d->o->progress(d->o->user, (epoch + 1.0) / epochs)) {
            sm_free(due);
            return sm_fail(SM_ECANCELLED, "the map was cancelled");
        }
    }
    sm_free(due);
    return 0;
}

/* The first two values of the rows are their main directions. */
static void start_from_rows(const sm_vectors *v, const uint32_t *rows, size_t n, float *places)
{
    const int dims = sm_vectors_about(v)->dims;
    float largest = 1e-9f;

    for (size_t i = 0; i < n; i++) {
        const float *row = sm_vectors_row(v, rows[i]);
        places[2 * i] = row[0];
        places[2 * i + 1] = dims > 1 ? row[1] : 0;
        largest = SM_MAX(largest, SM_MAX(fabsf(places[2 * i]), fabsf(places[2 * i + 1])));
    }
    for (size_t i = 0; i < 2 * n; i++) {
        uint64_t state = i; /* copies of a sound would never part */
        places[i] = (float)extent * places[i] / largest + 1e-3f * (float)(draw(&state) % 1000) / 1000;
    }
}

/* New ones in the middle of the neighbours that have a place; without any they stay where they are. */
static void start_among_neighbours(const int32_t *near, const float *cosines, const bool *placed, size_t n,
                                   float *places)
{
    for (size_t i = 0; i < n; i++) {
        double x = 0, y = 0, sum = 0;
        for (int k = 0; k < K && !placed[i]; k++) {
            const int32_t j = near[i * K + (size_t)k];
            if (j < 0 || !placed[j])
                continue;
            const double w = exp(8 * ((double)cosines[i * K + (size_t)k] - 1));
            x += w * (double)places[2 * j];
            y += w * (double)places[2 * j + 1];
            sum += w;
        }
        if (sum > 0) {
            uint64_t state = i;
            places[2 * i] = (float)(x / sum) + 1e-2f * (float)(draw(&state) % 1000) / 1000;
            places[2 * i + 1] = (float)(y / sum) + 1e-2f * (float)(draw(&state) % 1000) / 1000;
        }
    }
}

int sm_layout_run(const sm_vectors *v, const uint32_t *rows, size_t n, const int32_t *near, const float *cosines,
                  const sm_layout_options *o, float *places)
{
    float *one = sm_alloc(n * K, sizeof *one), *both = sm_alloc(n * K, sizeof *both);
    forces *slopes = sm_alloc(1, sizeof *slopes);
    descent d = { .o = o,
                  .forces = slopes,
                  .near = near,
                  .weights = both,
                  .places = places,
                  .n = n,
                  .random = o->seed ^ 0x5bd1e995u };
    int epochs = o->epochs ? o->epochs : n > MANY ? EPOCHS_MANY : EPOCHS, err = one && both && slopes ? 0 : SM_ENOMEM;

    if (err == 0) {
        make_forces(slopes);
        for (size_t i = 0; i < n; i++)
            memberships(near + i * K, cosines + i * K, one + i * K);
        make_symmetric(near, one, n, both);
        if (o->fixed) {
            start_among_neighbours(near, cosines, o->fixed, n, places);
            epochs = EPOCHS_NEW;
        } else if (!o->from_places) {
            start_from_rows(v, rows, n, places);
        }
        err = descend(&d, epochs);
    }
    sm_free(slopes);
    sm_free(one);
    sm_free(both);
    return err;
}

/* ---- alignment: the best similarity of the plane, in complex numbers ---- */

/* sum of conj(z) w and of |z|^2, z about its mean; mirrored: z's imaginary part turned round. */
typedef struct {
    double re, im, square;
} overlap;

static overlap overlap_of(const float *z, const float *w, const bool *known, size_t n, const double m[4], double sign)
{
    overlap o = { 0, 0, 0 };
    for (size_t i = 0; i < n; i++)
        if (known[i]) {
            const double a = (double)z[2 * i] - m[0], b = sign * ((double)z[2 * i + 1] - m[1]);
            const double c = (double)w[2 * i] - m[2], d = (double)w[2 * i + 1] - m[3];
            o.re += a * c + b * d;
            o.im += a * d - b * c;
            o.square += a * a + b * b;
        }
    return o;
}

void sm_layout_align(float *places, const float *old, const bool *known, size_t n)
{
    double m[4] = { 0 }, count = 0;

    for (size_t i = 0; i < n; i++)
        if (known[i]) {
            m[0] += (double)places[2 * i];
            m[1] += (double)places[2 * i + 1];
            m[2] += (double)old[2 * i];
            m[3] += (double)old[2 * i + 1];
            count++;
        }
    if (count < 2)
        return;
    for (int k = 0; k < 4; k++)
        m[k] /= count;
    const overlap plain = overlap_of(places, old, known, n, m, 1), mirrored = overlap_of(places, old, known, n, m, -1);
    const bool mirror = hypot(mirrored.re, mirrored.im) > hypot(plain.re, plain.im);
    const overlap o = mirror ? mirrored : plain;
    if (!(o.square > 0))
        return;
    const double re = o.re / o.square, im = o.im / o.square, sign = mirror ? -1 : 1;
    for (size_t i = 0; i < n; i++) {
        const double a = (double)places[2 * i] - m[0], b = sign * ((double)places[2 * i + 1] - m[1]);
        places[2 * i] = (float)(m[2] + re * a - im * b);
        places[2 * i + 1] = (float)(m[3] + im * a + re * b);
    }
}

/* ---- trustworthiness ---- */

typedef struct {
    double far;
    size_t j;
} ranked;

static int by_distance(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->far != y->far ? (x->far < y->far ? -1 : 1) : (x->j > y->j) - (x->j < y->j);
}

int sm_layout_trust(const sm_vectors *v, const uint32_t *rows, size_t n, const float *places, double *out)
{
    const size_t m = SM_MIN(n, (size_t)TRUST_MOST), dims = (size_t)sm_vectors_about(v)->dims;
    ranked *truth = sm_alloc(m, sizeof *truth), *drawn = sm_alloc(m, sizeof *drawn);
    size_t *rank = sm_alloc(m, sizeof *rank);
    float *sample = sm_alloc_aligned(m * dims, sizeof *sample), *dots = sm_alloc_aligned(m, sizeof *dots);
    int err = truth && drawn && rank && sample && dots ? 0 : SM_ENOMEM;
    double sum = 0;

    *out = (double)NAN;
    for (size_t i = 0; i < m && err == 0; i++)
        memcpy(sample + i * dims, sm_vectors_row(v, rows[i * n / m]), dims * sizeof *sample);
    for (size_t i = 0; i < m && err == 0; i++) {
        const float *p = places + 2 * (i * n / m);
        err = nn_sgemm(true, 1, (int64_t)m, (int64_t)dims, sample + i * dims, (int64_t)dims, sample, (int64_t)dims,
                       dots, (int64_t)m);
        for (size_t j = 0; j < m; j++) {
            const float *q = places + 2 * (j * n / m);
            truth[j] = (ranked){ j == i ? -INFINITY : -(double)dots[j], j };
            drawn[j] = (ranked){ j == i ? -1 : hypot((double)(p[0] - q[0]), (double)(p[1] - q[1])), j };
        }
        qsort(truth, m, sizeof *truth, by_distance);
        qsort(drawn, m, sizeof *drawn, by_distance);
        for (size_t j = 0; j < m; j++)
            rank[truth[j].j] = j; /* itself: 0 */
        for (size_t k = 1; k <= K && k < m; k++)
            sum += rank[drawn[k].j] > K ? (double)(rank[drawn[k].j] - K) : 0;
    }
    if (err == 0 && 2 * m > 3 * K + 1)
        *out = 1 - 2 * sum / ((double)m * K * (double)(2 * m - 3 * K - 1));
    sm_free(truth);
    sm_free(drawn);
    sm_free(rank);
    sm_free(sample);
    sm_free(dots);
    return err;
}
