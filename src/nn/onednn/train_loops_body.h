/* The loops of train_loops.h, for the instruction set of the simd_*.h that was included before. Plain C in tiles of 16 channels: compilers
 * make vectors of it. */
#include "nn/onednn/train_loops.h"

#include "nn/graph.h"

#include <math.h>
#include <string.h>

#define TRAIN_INLINE static inline __attribute__((always_inline))
enum { TILE = 16, CHUNK = 64 };
#define LEAST -1.7e38f

/* ---- max pools ---- */

/* A whole window of 2 x 2 places a b / c d: the usual one. A number that has been given is zero for later places. */
TRAIN_INLINE void give_four(const float *restrict x, const float *restrict upstream, float *restrict dx, int64_t right,
                            int64_t below, int64_t lanes, float least)
{
    for (int64_t l = 0; l < lanes; l++) {
        const float a = x[l], b = x[right + l], c = x[below + l], d = x[below + right + l];
        const float ab = a > b ? a : b, cd = c > d ? c : d, most = ab > cd ? ab : cd;
        float u = most > least ? upstream[l] : 0;
        dx[l] = a == most ? u : 0;
        u = a == most ? 0 : u;
        dx[right + l] = b == most ? u : 0;
        u = b == most ? 0 : u;
        dx[below + l] = c == most ? u : 0;
        u = c == most ? 0 : u;
        dx[below + right + l] = d == most ? u : 0;
    }
}

/* Any window, `lanes` <= TILE channels. */
TRAIN_INLINE void give(const nn_train_pool *p, const float *restrict x, const float *restrict upstream,
                       float *restrict dx, const int64_t rows[2], const int64_t columns[2], int lanes, float least)
{
    float most[TILE], u[TILE];
    for (int l = 0; l < lanes; l++)
        most[l] = LEAST;
    for (int64_t i = rows[0]; i < rows[1]; i++)
        for (int64_t j = columns[0]; j < columns[1]; j++)
            for (int l = 0; l < lanes; l++) {
                const float v = x[(i * p->w + j) * p->lanes + l];
                most[l] = v > most[l] ? v : most[l];
            }
    for (int l = 0; l < lanes; l++)
        u[l] = most[l] > least ? upstream[l] : 0;
    for (int64_t i = rows[0]; i < rows[1]; i++)
        for (int64_t j = columns[0]; j < columns[1]; j++) {
            const int64_t at = (i * p->w + j) * p->lanes;
            for (int l = 0; l < lanes; l++) {
                const bool here = x[at + l] == most[l];
                dx[at + l] += here ? u[l] : 0;
                u[l] = here ? 0 : u[l];
            }
        }
}

static void give_window(const nn_train_pool *p, const float *x, const float *upstream, float *dx, int64_t i, int64_t j)
{
    const int64_t y = i * p->sh - p->ph, z = j * p->sw - p->pw;
    const int64_t rows[2] = { SM_MAX(y, 0), SM_MIN(y + p->kh, p->h) },
                  columns[2] = { SM_MAX(z, 0), SM_MIN(z + p->kw, p->w) };
    const float least = p->relu ? 0 : -INFINITY;
    int64_t l = 0;
    for (; l + TILE <= p->lanes; l += TILE)
        give(p, x + l, upstream + l, dx + l, rows, columns, TILE, least);
    if (l < p->lanes)
        give(p, x + l, upstream + l, dx + l, rows, columns, (int)(p->lanes - l), least);
}

/* A row of exact 2 x 2 windows. */
static void give_row(const nn_train_pool *p, const float *x, const float *upstream, float *dx)
{
    const int64_t below = p->w * p->lanes;
    const float least = p->relu ? 0 : -INFINITY;
    for (int64_t j = 0; j < p->ow; j++, x += 2 * p->lanes, dx += 2 * p->lanes, upstream += p->lanes)
        if (p->lanes == TILE)
            give_four(x, upstream, dx, TILE, below, TILE, least);
        else
            give_four(x, upstream, dx, p->lanes, below, p->lanes, least);
}

static void max_pool_grad(const nn_train_pool *p, const float *x, const float *upstream, float *dx)
{
    const int64_t size = p->h * p->w * p->lanes, row = p->ow * p->lanes;
    if (!p->exact)
        memset(dx, 0, (size_t)(p->outer * size) * sizeof *dx);
    for (int64_t o = 0; o < p->outer; o++, x += size, dx += size)
        for (int64_t i = 0; i < p->oh; i++, upstream += row)
            if (p->exact)
                give_row(p, x + 2 * i * p->w * p->lanes, upstream, dx + 2 * i * p->w * p->lanes);
            else
                for (int64_t j = 0; j < p->ow; j++)
                    give_window(p, x, upstream + j * p->lanes, dx, i, j);
}

/* ---- sums per channel ---- */

/* Few at a time in float, then in double. */
TRAIN_INLINE void tile_sums(const float *x, const float *upstream, const float *shift, int64_t places, int64_t stride,
                            int width, double *first, double *second)
{
    for (int64_t start = 0; start < places; start += CHUNK) {
        const int64_t end = SM_MIN(start + CHUNK, places);
        float s[TILE] = { 0 }, q[TILE] = { 0 };
        for (int64_t i = start; i < end; i++)
            for (int l = 0; l < width; l++) {
                const float d = x[i * stride + l] - shift[l], u = upstream ? upstream[i * stride + l] : d;
                s[l] += u;
                q[l] += u * d;
            }
        for (int l = 0; l < width; l++) {
            first[l] += (double)s[l];
            second[l] += (double)q[l];
        }
    }
}

static void channel_sums(const nn_train_rows *r, const float *x, const float *upstream, const float *shift,
                         double *sums)
{
    const int64_t channels = r->lanes * r->blocks;
    memset(sums, 0, 2 * (size_t)channels * sizeof *sums);
    for (int64_t o = 0; o < r->outer; o++)
        for (int64_t l = 0; l < r->lanes; l += TILE) {
            const int64_t k = o % r->blocks * r->lanes + l, at = o * r->places * r->lanes + l;
            const float *u = upstream ? upstream + at : NULL;
            if (l + TILE <= r->lanes && u)
                tile_sums(x + at, u, shift + k, r->places, r->lanes, TILE, sums + k, sums + channels + k);
            else if (l + TILE <= r->lanes)
                tile_sums(x + at, NULL, shift + k, r->places, r->lanes, TILE, sums + k, sums + channels + k);
            else
                tile_sums(x + at, u, shift + k, r->places, r->lanes, (int)(r->lanes - l), sums + k,
                          sums + channels + k);
        }
}

/* ---- affine per channel ---- */

TRAIN_INLINE void affine_place(const float *x, const float *u, const float *shift, const float *a, const float *b,
                               const float *c, bool relu, int64_t lanes, float *y)
{
    for (int64_t l = 0; l < lanes; l++) {
        const float v = (x[l] - shift[l]) * a[l] + b[l] + (u ? c[l] * u[l] : 0);
        y[l] = relu && !(v > 0) ? 0 : v;
    }
}

TRAIN_INLINE void affine_places(const nn_train_rows *r, const float *x, const float *u, const float *shift,
                                const float *a, const float *b, const float *c, bool relu, int64_t lanes, float *y)
{
    for (int64_t i = 0; i < r->places; i++, x += lanes, u += u ? lanes : 0, y += lanes)
        affine_place(x, u, shift, a, b, c, relu, lanes, y);
}

static void channel_affine(const nn_train_rows *r, const float *x, const float *upstream, const float *shift,
                           const float *a, const float *b, const float *c, bool relu, float *y)
{
    for (int64_t o = 0; o < r->outer; o++) {
        const int64_t k = o % r->blocks * r->lanes, at = o * r->places * r->lanes;
        const float *u = upstream ? upstream + at : NULL;
        if (r->lanes == TILE && u)
            affine_places(r, x + at, u, shift + k, a + k, b + k, c + k, relu, TILE, y + at);
        else if (r->lanes == TILE)
            affine_places(r, x + at, NULL, shift + k, a + k, b + k, NULL, relu, TILE, y + at);
        else if (u)
            affine_places(r, x + at, u, shift + k, a + k, b + k, c + k, relu, r->lanes, y + at);
        else
            affine_places(r, x + at, NULL, shift + k, a + k, b + k, NULL, relu, r->lanes, y + at);
    }
}

/* ---- dropout ---- */

static void dropout(const nn_train_rows *r, uint32_t key, uint32_t threshold, float scale, const float *x, float *y)
{
    const uint32_t places = (uint32_t)r->places;
    for (int64_t o = 0; o < r->outer; o++)
        for (int64_t i = 0; i < r->places; i++, x += r->lanes, y += r->lanes) {
            const uint32_t first = (uint32_t)(o * r->lanes * r->places + i);
            for (int64_t l = 0; l < r->lanes; l++)
                y[l] = nn_dropout_keeps(key, threshold, first + (uint32_t)l * places) ? x[l] * scale : 0;
        }
}

const nn_train_loops SIMD(nn_train_loops) = {
    .name = SIMD_TEXT,
    .max_pool_grad = max_pool_grad,
    .channel_sums = channel_sums,
    .channel_affine = channel_affine,
    .dropout = dropout,
};
