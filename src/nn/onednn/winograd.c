/* 3 x 3 convolutions (and of 3 along one axis) with stride 1 by Winograd's F(4 x 4, 3 x 3): 36 products of channels a tile of 16 results,
 * a quarter of the direct multiplications (one axis: half). Lavin and Gray 2015 (arXiv 1509.09308), with the points of tiles_body.h. Tiles
 * are taken in blocks: transforms, products and finishing of one block stay in the second cache. */
#include "nn/onednn/tile_finish.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    nn_tile_finish finish;
    const float *weights;
    int64_t batch, in[2], out[2], tiles[2], total; /* total: tiles of all items */
    int axes, channels, width, pad[2];             /* width: channels, rounded up to lanes */
    int block, bins;                               /* tiles of a block; products a tile: 6 or 36 */
    size_t part[4];                                /* floats: transformed input, products, results; all of a worker */
} winograd;

/* ---- weights ---- */

/* Six numbers of three: g evaluated at 0, +-1/sqrt 2, +-sqrt 2 and infinity, over the products of differences of the points. */
static void spread_filter(const double g[3], double u[6])
{
    static const double point[5] = { 0, 0.70710678118654752440, -0.70710678118654752440, 1.41421356237309504880,
                                     -1.41421356237309504880 };
    for (int i = 0; i < 5; i++) {
        double over = 1;
        for (int k = 0; k < 5; k++)
            over *= k == i ? 1 : point[i] - point[k];
        u[i] = (g[0] + point[i] * (g[1] + point[i] * g[2])) / over;
    }
    u[5] = g[2];
}

static void transform_filter(int axes, const float *w, double u[36])
{
    double rows[3][6], g[3], column[6];

    for (int i = 0; i < (axes == 2 ? 3 : 1); i++) {
        for (int j = 0; j < 3; j++)
            g[j] = (double)w[3 * i + j];
        spread_filter(g, rows[i]);
    }
    for (int j = 0; j < 6; j++) {
        if (axes == 1) {
            u[j] = rows[0][j];
            continue;
        }
        for (int i = 0; i < 3; i++)
            g[i] = rows[i][j];
        spread_filter(g, column);
        for (int i = 0; i < 6; i++)
            u[6 * i + j] = column[i];
    }
}

typedef struct {
    nn_id id;
    const winograd *s;
} pack_job;

/* [panels][bins][channels][columns][lanes] */
static int fill_weights(nn_compiler *c, void *user, void *data)
{
    const pack_job *job = user;
    const winograd *s = job->s;
    const nn_tile_finish *f = &s->finish;
    const int lanes = f->tiles->lanes, taps = s->axes == 2 ? 9 : 3;
    float *to = data;
    double u[36];
    nn_tensor w;
    const int err = nn_compiler_constant(c, job->id, &w);

    if (err < 0)
        return err;
    for (int p = 0; p < nn_tile_panels(f); p++) {
        int group;
        const int columns = nn_tile_panel(f, p, &group);
        const int64_t bin = (int64_t)s->channels * columns * lanes;
        for (int i = 0; i < s->channels; i++)
            for (int j = 0; j < columns; j++)
                for (int l = 0; l < lanes; l++, to++) {
                    const int k = (f->gated ? group : group + j) * lanes + l;
                    const int64_t row = k + (f->gated && j ? f->filters : 0);
                    memset(u, 0, sizeof u);
                    if (k < f->filters)
                        transform_filter(s->axes, (const float *)w.data + (row * s->channels + i) * taps, u);
                    for (int b = 0; b < s->bins; b++)
                        to[b * bin] = (float)u[b];
                }
        to += bin * (s->bins - 1);
    }
    return 0;
}

static int pack(nn_compiler *c, nn_id id, winograd *s)
{
    const nn_tile_finish *f = &s->finish;
    const size_t columns = (size_t)(f->groups * f->tiles->lanes * (f->gated ? 2 : 1));
    pack_job job = { id, s };
    const void *data = NULL;
    char key[48];

    snprintf(key, sizeof key, "winograd %d lanes %d%s", s->axes, f->tiles->lanes, f->gated ? " gated" : "");
    const int err = nn_pack_get(c, id, key, columns * (size_t)s->channels * (size_t)s->bins * sizeof(float),
                                fill_weights, &job, &data);
    s->weights = data;
    return err;
}

/* ---- running ---- */

typedef struct {
    const winograd *s;
    const nn_step *step;
    nn_exec *x;
} wino_job;

/* Tile t's place: item, and its first row and column of results. */
static int64_t locate(const winograd *s, int64_t t, int64_t *y, int64_t *z)
{
    const int high = s->axes == 2 ? NN_WINO_OUT : 1;
    *z = t % s->tiles[1] * NN_WINO_OUT;
    *y = t / s->tiles[1] % s->tiles[0] * high;
    return t / (s->tiles[0] * s->tiles[1]);
}

static void transform_input(const winograd *s, const float *x, int64_t first, int count, float *v)
{
    const int64_t step = (int64_t)s->block * s->width;
    int64_t at[NN_WINO_IN * NN_WINO_IN], y, z;

    for (int t = 0; t < count; t++, v += s->width) {
        const int64_t item = locate(s, first + t, &y, &z);
        const float *from = x + item * s->in[0] * s->in[1] * s->channels;
        for (int i = 0; i < s->bins; i++) {
            const int64_t row = y - s->pad[0] + i / NN_WINO_IN, column = z - s->pad[1] + i % NN_WINO_IN;
            const bool inside = row >= 0 && row < s->in[0] && column >= 0 && column < s->in[1];
            at[i] = inside ? (row * s->in[1] + column) * s->channels : -1;
        }
        s->finish.tiles->wino_input(s->axes, from, at, s->channels, v, step);
    }
}

/* Where each result of a tile goes; -1: outside of the image. */
static void place_tile(const winograd *s, int64_t t, int64_t *at)
{
    int64_t y, z;
    const int64_t item = locate(s, t, &y, &z);

    for (int i = 0; i < (s->axes == 2 ? NN_WINO_OUT : 1); i++)
        for (int j = 0; j < NN_WINO_OUT; j++)
            *at++ = y + i < s->out[0] && z + j < s->out[1]
                        ? ((item * s->out[0] + y + i) * s->out[1] + z + j) * s->finish.filters
                        : -1;
}

/* From products [bins][columns][ldc] of one panel to results, a few tiles at a time: NN_TILE_BLOCK rows. */
static void finish_panel(const wino_job *j, int panel, const float *products, int64_t ldc, int64_t first, int count,
                         float *results)
{
    const winograd *s = j->s;
    const nn_tile_finish *f = &s->finish;
    const int lanes = f->tiles->lanes, each = s->axes == 2 ? NN_WINO_OUT * NN_WINO_OUT : NN_WINO_OUT;
    const int64_t ldr = (int64_t)NN_TILE_BLOCK * lanes;
    int64_t at[NN_TILE_BLOCK];
    int group;
    const int columns = nn_tile_panel(f, panel, &group);
    const float *bias = f->bias ? f->bias + (int64_t)group * lanes * (f->gated ? 2 : 1) : NULL;

    for (int t = 0; t < count; t += NN_TILE_BLOCK / each) {
        const int some = SM_MIN(count - t, NN_TILE_BLOCK / each);
        for (int k = 0; k < some; k++) {
            for (int c = 0; c < columns; c++)
                f->tiles->wino_output(s->axes, products + c * ldc + (int64_t)(t + k) * lanes, columns * ldc,
                                      bias ? bias + c * lanes : NULL, results + c * ldr + (int64_t)k * each * lanes);
            place_tile(s, first + t + k, at + k * each);
        }
        nn_tile_finish_panel(f, panel, results, ldr, some * each, at, j->step, j->x);
    }
}

static int run_block(void *user, size_t i, int worker)
{
    static const int64_t here = 0;
    const wino_job *j = user;
    const winograd *s = j->s;
    const nn_tiles *tiles = s->finish.tiles;
    float *v = (float *)j->x->scratch + (size_t)worker * s->part[3], *products = v + s->part[0],
          *results = products + s->part[1];
    const int64_t first = (int64_t)i * s->block, ldc = (int64_t)s->block * tiles->lanes;
    const int count = (int)SM_MIN(s->total - first, s->block);
    const float *b = s->weights;

    transform_input(s, j->x->data[j->step->in[0]], first, count, v);
    for (int p = 0; p < nn_tile_panels(&s->finish); p++) {
        int group;
        const int columns = nn_tile_panel(&s->finish, p, &group);
        for (int k = 0; k < s->bins; k++, b += (int64_t)s->channels * columns * tiles->lanes) {
            const nn_tile_rows a = { .data = v + (int64_t)k * s->block * s->width,
                                     .row = s->width,
                                     .rows = count,
                                     .slab = &here,
                                     .slabs = 1,
                                     .depth = s->channels };
            tiles->product(&a, b, NULL, columns, products + k * columns * ldc, ldc);
        }
        finish_panel(j, p, products, ldc, first, count, results);
    }
    return 0;
}

static int run_winograd(const nn_step *step, nn_exec *x)
{
    const winograd *s = step->state;
    wino_job j = { s, step, x };
    return nn_dnnl_parallel(x, (size_t)((s->total + s->block - 1) / s->block), run_block, &j);
}

/* ---- the step ---- */

static int64_t rounded(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* 3 x 3, 1 x 3, or 3 of a 1-D convolution; false: something else. */
static bool read_shape(const nn_node *n, const nn_shape *x, const nn_shape *w, winograd *s)
{
    const nn_conv_attrs *a = &n->attrs.conv;
    const int axes = x->rank - 2, last = axes - 1;

    if (a->groups != 1 || a->stride[0] != 1 || a->stride[1] != 1 || a->dilation[0] != 1 || a->dilation[1] != 1 ||
        w->dim[w->rank - 1] != 3 || (axes == 2 && w->dim[2] != 3 && w->dim[2] != 1))
        return false;
    s->axes = axes == 2 && w->dim[2] == 3 ? 2 : 1;
    s->batch = x->dim[0];
    s->channels = (int)x->dim[1];
    s->in[0] = axes == 2 ? x->dim[2] : 1;
    s->out[0] = axes == 2 ? n->shape.dim[2] : 1;
    s->in[1] = x->dim[x->rank - 1];
    s->out[1] = n->shape.dim[x->rank - 1];
    s->pad[0] = axes == 2 ? a->pad_before[0] : 0;
    s->pad[1] = a->pad_before[last];
    s->bins = s->axes == 2 ? NN_WINO_IN * NN_WINO_IN : NN_WINO_IN;
    s->tiles[0] = s->axes == 2 ? (s->out[0] + NN_WINO_OUT - 1) / NN_WINO_OUT : s->out[0];
    s->tiles[1] = (s->out[1] + NN_WINO_OUT - 1) / NN_WINO_OUT;
    s->total = s->batch * s->tiles[0] * s->tiles[1];
    return true;
}

/* In vector multiply-adds: products, and some for each number that is transformed; against those of a direct convolution. Weights are four
 * times as many: they pay from some dozens of tiles on. */
static bool pays(const winograd *s, int columns)
{
    const double tiles = (double)s->total, c = s->channels, k = columns;
    const double direct = (double)(s->batch * s->out[0] * s->out[1]) * (s->axes == 2 ? 9 : 3) * c * k;
    const double transforms = s->axes == 2 ? 250 * c + 200 * k : 25 * c + 25 * k;

    return s->total >= 48 && s->channels >= 8 && columns >= 8 && tiles * (s->bins * c * k + transforms) < 0.85 * direct;
}

static void plan_memory(nn_compiler *c, winograd *s)
{
    const int64_t tile = s->finish.tiles->rows, threads = nn_compiler_options(c)->threads,
                  lanes = s->finish.tiles->lanes;
    int64_t blocks = (s->total + NN_TILE_BLOCK - 1) / NN_TILE_BLOCK;

    blocks = rounded(blocks, SM_MIN(threads, s->total / tile + 1)); /* all threads end together */
    s->block = (int)rounded((s->total + blocks - 1) / blocks, tile);
    s->width = (int)rounded(s->channels, lanes);
    s->part[0] = (size_t)rounded((int64_t)s->bins * s->block * s->width, 16);
    s->part[1] = (size_t)(s->bins * NN_TILE_COLUMNS * s->block * lanes);
    s->part[2] = (size_t)(NN_TILE_COLUMNS * NN_TILE_BLOCK * lanes);
    s->part[3] = (size_t)rounded((int64_t)(s->part[0] + s->part[1] + s->part[2]), 16) + NN_TILE_APART;
}

int nn_dnnl_winograd_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const bool gated = n.op == &nn_op_conv_gated;
    const nn_shape x = nn_in(g, &n, 0)->shape, w = nn_in(g, &n, 1)->shape;
    winograd *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    int err;

    if (!s)
        return SM_ENOMEM;
    if (!nn_is_constant(g, n.inputs[1]) || (!gated && nn_dnnl_uses_bf16(c)) || !read_shape(&n, &x, &w, s) ||
        !pays(s, (int)w.dim[0]))
        return 1;
    const int32_t from = nn_dnnl_want(c, out, n.inputs[0], true, false);
    if (from < 0)
        return from;
    if ((err = nn_tile_finish_make(c, node, 1, gated, out, &s->finish)) != 0) {
        out->n_in = 0;
        out->inplace = -1;
        return err;
    }
    plan_memory(c, s);
    if ((err = pack(c, n.inputs[1], s)) < 0)
        return err;
    nn_dnnl_gives(c, out, node, true, false);
    out->run = run_winograd;
    out->state = s;
    out->kernel = gated ? "winograd, gated" : "winograd";
    out->scratch = s->part[3] * (size_t)nn_compiler_options(c)->threads * sizeof(float);
    return 0;
}
