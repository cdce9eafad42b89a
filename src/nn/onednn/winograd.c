/* Convolutions of three taps with stride 1 by Winograd's F(4, 3), along one axis (half of the direct multiplications) or two (3 x 3:
 * 36 products of channels a tile of 16 results, a quarter); Lavin and Gray 2015 (arXiv 1509.09308), with the points of tiles_body.h.
 *
 * And of two taps by F(3, 2), two thirds: a convolution whose filter is twice its stride has two taps over positions of `stride`
 * numbers (Encodec's, Oobleck's, Demucs'), a transposed one two taps that each give `stride` results ("phases").
 *
 * Tiles are taken in blocks: transforms, products and finishing of one block stay in the second cache. */
#include "nn/onednn/tile_finish.h"

#include <stdio.h>
#include <string.h>

enum { MOST_PHASES = 8 };

typedef struct {
    nn_tile_finish finish;
    const float *weights;
    int64_t batch, in[2], out[2], grid[2]; /* grid: positions that are computed */
    int64_t tiles[2], total;               /* total: of all items */
    int axes, axis;                        /* of the transforms; which, if it is one */
    int taps, each[2];                     /* along an axis: of the filter, 2 or 3; results of a tile */
    int channels, phases, pad[2];          /* phases: numbers of the input that a position has along the axis */
    int depth, width;                      /* channels of all phases; rounded up to lanes */
    int crop;                              /* transposed: results dropped in front */
    bool transposed;
    int block, bins;  /* tiles of a block; products a tile: 4, 6 or 36 */
    int some, pieces; /* tiles that are finished at a time, and how often */
    size_t part[5];   /* floats: transformed input, products, results, places; all of a worker */
} winograd;

/* ---- weights ---- */

/* Six numbers of three: g evaluated at 0, +-1/sqrt 2, +-sqrt 2 and infinity, over the products of differences of the points. Four of two,
 * by 0, +-1 and infinity. */
static void spread_filter(const double *g, int taps, double *u)
{
    static const double two[3] = { 0, 1, -1 };
    static const double three[5] = { 0, 0.70710678118654752440, -0.70710678118654752440, 1.41421356237309504880,
                                     -1.41421356237309504880 };
    const int n = taps == 2 ? 3 : 5;
    const double *point = taps == 2 ? two : three;

    for (int i = 0; i < n; i++) {
        double over = 1, sum = 0;
        for (int k = 0; k < n; k++)
            over *= k == i ? 1 : point[i] - point[k];
        for (int k = taps - 1; k >= 0; k--)
            sum = sum * point[i] + g[k];
        u[i] = sum / over;
    }
    u[n] = g[taps - 1];
}

/* The same as a matrix: numbers of each tap alone. */
typedef struct {
    double of[3][6];
} spread;

static spread spread_taps(int taps)
{
    spread m = { 0 };
    for (int k = 0; k < taps; k++) {
        double g[3] = { 0 };
        g[k] = 1;
        spread_filter(g, taps, m.of[k]);
    }
    return m;
}

static void transform_filter(const spread *m, int axes, int taps, const double *w, double u[36])
{
    double rows[3][6] = { 0 };

    for (int i = 0; i < (axes == 1 ? 1 : taps); i++)
        for (int k = 0; k < taps; k++)
            for (int j = 0; j < 6; j++)
                rows[i][j] += w[taps * i + k] * m->of[k][j];
    if (axes == 1) {
        memcpy(u, rows[0], sizeof rows[0]);
        return;
    }
    memset(u, 0, 36 * sizeof *u);
    for (int k = 0; k < taps; k++)
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 6; j++)
                u[6 * i + j] += rows[k][j] * m->of[k][i];
}

typedef struct {
    nn_id id;
    const winograd *s;
    spread spread;
} pack_job;

static int all_taps(const winograd *s)
{
    return s->axes == 2 ? s->taps * s->taps : s->taps;
}

/* Of filter `row`, which gives results of phase r, at place d of the depth: phases of the input, then channels. */
static double weight_at(const winograd *s, const float *w, int64_t row, int r, int d, int tap)
{
    const int c = d % s->channels, own = d / s->channels, r_all = s->finish.phases;

    if (s->transposed)
        return (double)w[((int64_t)c * s->finish.filters + row) * s->taps * r_all + r + r_all * (s->taps - 1 - tap)];
    return (double)w[(row * s->channels + c) * all_taps(s) * s->phases + tap * s->phases + own];
}

/* One vector of columns at one depth: group g of lanes, or its gates. */
static void fill_vector(const pack_job *job, const float *w, int g, bool gates, int d, int64_t bin, float *to)
{
    const winograd *s = job->s;
    const nn_tile_finish *f = &s->finish;
    float all[36][NN_TILE_LANES] = { 0 };
    double u[36], own[9];

    for (int l = 0; l < f->tiles->lanes; l++) {
        const int k = g % f->groups * f->tiles->lanes + l;
        if (k >= f->filters)
            break;
        for (int t = 0; t < all_taps(s); t++)
            own[t] = weight_at(s, w, k + (gates ? f->filters : 0), g / f->groups, d, t);
        transform_filter(&job->spread, s->axes, s->taps, own, u);
        for (int b = 0; b < s->bins; b++)
            all[b][l] = (float)u[b];
    }
    for (int b = 0; b < s->bins; b++)
        memcpy(to + b * bin, all[b], (size_t)f->tiles->lanes * sizeof *to);
}

/* [panels][bins][depth][columns][lanes] */
static int fill_weights(nn_compiler *c, void *user, void *data)
{
    const pack_job *job = user;
    const winograd *s = job->s;
    const nn_tile_finish *f = &s->finish;
    const int lanes = f->tiles->lanes;
    float *to = data;
    nn_tensor w;
    const int err = nn_compiler_constant(c, job->id, &w);

    if (err < 0)
        return err;
    for (int p = 0; p < nn_tile_panels(f); p++) {
        int group;
        const int columns = nn_tile_panel(f, p, &group);
        const int64_t bin = (int64_t)s->depth * columns * lanes;
        for (int d = 0; d < s->depth; d++)
            for (int j = 0; j < columns; j++, to += lanes)
                fill_vector(job, w.data, f->gated ? group : group + j, f->gated && j, d, bin, to);
        to += bin * (s->bins - 1);
    }
    return 0;
}

static int pack(nn_compiler *c, nn_id id, winograd *s)
{
    const nn_tile_finish *f = &s->finish;
    const size_t columns = (size_t)(f->groups * f->phases * f->tiles->lanes * (f->gated ? 2 : 1));
    pack_job job = { id, s, spread_taps(s->taps) };
    const void *data = NULL;
    char key[80];

    snprintf(key, sizeof key, "winograd %d taps %d phases %d %d lanes %d%s%s", s->axes, s->taps, s->phases, f->phases,
             f->tiles->lanes, f->gated ? " gated" : "", s->transposed ? " transposed" : "");
    const int err = nn_pack_get(c, id, key, columns * (size_t)s->depth * (size_t)s->bins * sizeof(float), fill_weights,
                                &job, &data);
    s->weights = data;
    return err;
}

/* ---- running ---- */

typedef struct {
    const winograd *s;
    const nn_step *step;
    nn_exec *x;
    int slices; /* of the panels, where blocks are too few for the threads: each transforms the input for itself */
} wino_job;

/* Tile t's place: item, and its first row and column of positions. */
static int64_t locate(const winograd *s, int64_t t, int64_t *y, int64_t *z)
{
    *z = t % s->tiles[1] * s->each[1];
    *y = t / s->tiles[1] % s->tiles[0] * s->each[0];
    return t / (s->tiles[0] * s->tiles[1]);
}

static void transform_input(const winograd *s, const float *x, int64_t first, int count, float *v)
{
    const int64_t step = (int64_t)s->block * s->width;
    int64_t at[NN_WINO_IN * NN_WINO_IN], y, z;

    for (int t = 0; t < count; t++, v += s->width) {
        const int64_t item = locate(s, first + t, &y, &z);
        const float *from = x + item * s->in[0] * s->in[1] * s->channels;
        for (int r = 0; r < s->phases; r++) {
            for (int i = 0; i < s->bins; i++) {
                const int down = s->axes == 2 ? i / NN_WINO_IN : s->axis == 0 ? i : 0;
                const int right = s->axes == 2 ? i % NN_WINO_IN : i - down;
                int64_t row = y + down, column = z + right;
                *(s->axis == 0 ? &row : &column) = (s->axis == 0 ? row : column) * s->phases + r;
                row -= s->pad[0];
                column -= s->pad[1];
                const bool inside = row >= 0 && row < s->in[0] && column >= 0 && column < s->in[1];
                at[i] = inside ? (row * s->in[1] + column) * s->channels : -1;
            }
            /* zeros behind the last channel are the next phase's place */
            s->finish.tiles->wino_input(s->axes, s->taps, from, at, s->channels, v + r * s->channels, step);
        }
    }
}

/* Where each result of a tile goes, for each phase of a transposed one: [phases][NN_TILE_BLOCK]; -1: outside of the image. */
static void place_tile(const winograd *s, int64_t t, int64_t *at)
{
    int64_t y0, z0;
    const int64_t item = locate(s, t, &y0, &z0), image = item * s->out[0] * s->out[1];

    for (int r = 0; r < s->finish.phases; r++, at += NN_TILE_BLOCK)
        for (int i = 0; i < s->each[0]; i++)
            for (int j = 0; j < s->each[1]; j++) {
                int64_t y = y0 + i, z = z0 + j;
                if (s->transposed)
                    *(s->axis == 0 ? &y : &z) = (s->axis == 0 ? y : z) * s->finish.phases + r - s->crop;
                const bool inside = y >= 0 && y < s->out[0] && z >= 0 && z < s->out[1];
                at[i * s->each[1] + j] = inside ? (image + y * s->out[1] + z) * s->finish.filters : -1;
            }
}

/* From products [bins][columns][ldc] of one panel to results, a few tiles at a time: NN_TILE_BLOCK rows. at: [pieces][phases]
 * [NN_TILE_BLOCK]. */
static void finish_panel(const wino_job *j, int panel, const float *products, int64_t ldc, int count, const int64_t *at,
                         float *results)
{
    const winograd *s = j->s;
    const nn_tile_finish *f = &s->finish;
    const int lanes = f->tiles->lanes, each = s->each[0] * s->each[1];
    const int64_t ldr = (int64_t)NN_TILE_BLOCK * lanes;
    int group;
    const int columns = nn_tile_panel(f, panel, &group);
    const float *bias = f->bias ? f->bias + (int64_t)group * lanes * (f->gated ? 2 : 1) : NULL;

    for (int t = 0; t < count; t += s->some, at += f->phases * NN_TILE_BLOCK) {
        const int some = SM_MIN(count - t, s->some);
        for (int k = 0; k < some; k++)
            for (int c = 0; c < columns; c++)
                f->tiles->wino_output(s->axes, s->taps, products + c * ldc + (int64_t)(t + k) * lanes, columns * ldc,
                                      bias ? bias + c * lanes : NULL, results + c * ldr + (int64_t)k * each * lanes);
        nn_tile_finish_panel(f, panel, results, ldr, some * each, at, j->step, j->x);
    }
}

static int run_block(void *user, size_t item, int worker)
{
    static const int64_t here = 0;
    const wino_job *j = user;
    const winograd *s = j->s;
    const nn_tiles *tiles = s->finish.tiles;
    float *v = (float *)j->x->scratch + (size_t)worker * s->part[4], *products = v + s->part[0],
          *results = products + s->part[1];
    int64_t *at = (int64_t *)(void *)(results + s->part[2]);
    const int64_t first = (int64_t)item / j->slices * s->block, ldc = (int64_t)s->block * tiles->lanes;
    const int count = (int)SM_MIN(s->total - first, s->block), each = s->each[0] * s->each[1];
    const int panels = nn_tile_panels(&s->finish), slice = (int)(item % (size_t)j->slices);
    const int from = panels * slice / j->slices, end = panels * (slice + 1) / j->slices;
    const float *b = s->weights + (int64_t)from * s->bins * s->depth * NN_TILE_COLUMNS * tiles->lanes;

    transform_input(s, j->x->data[j->step->in[0]], first, count, v);
    for (int t = 0; t < count; t++)
        place_tile(s, first + t, at + (int64_t)(t / s->some) * s->finish.phases * NN_TILE_BLOCK + t % s->some * each);
    for (int p = from; p < end; p++) {
        int group;
        const int columns = nn_tile_panel(&s->finish, p, &group);
        for (int k = 0; k < s->bins; k++, b += (int64_t)s->depth * columns * tiles->lanes) {
            const nn_tile_rows a = { .data = v + (int64_t)k * s->block * s->width,
                                     .row = s->width,
                                     .rows = count,
                                     .slab = &here,
                                     .slabs = 1,
                                     .depth = s->depth };
            tiles->product(&a, b, NULL, columns, products + k * columns * ldc, ldc);
        }
        finish_panel(j, p, products, ldc, count, at, results);
    }
    return 0;
}

static int run_winograd(const nn_step *step, nn_exec *x)
{
    const winograd *s = step->state;
    const int64_t blocks = (s->total + s->block - 1) / s->block;
    wino_job j = { s, step, x, 1 };

    if (blocks < x->threads)
        j.slices = SM_MIN(nn_tile_panels(&s->finish), x->threads);
    return nn_dnnl_parallel(x, (size_t)(blocks * j.slices), run_block, &j);
}

/* ---- the step ---- */

static int64_t rounded(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static void read_image(const nn_node *n, const nn_shape *x, winograd *s)
{
    const int axes = x->rank - 2;

    s->batch = x->dim[0];
    s->channels = (int)x->dim[1];
    s->in[0] = axes == 2 ? x->dim[2] : 1;
    s->out[0] = axes == 2 ? n->shape.dim[2] : 1;
    s->in[1] = x->dim[x->rank - 1];
    s->out[1] = n->shape.dim[x->rank - 1];
    for (int i = 0; i < 2; i++) {
        s->grid[i] = s->out[i];
        s->each[i] = 1;
    }
}

/* 3 x 3, 1 x 3, or 3 of a 1-D convolution; false: something else. */
static bool read_three(const nn_node *n, const nn_shape *x, const nn_shape *w, winograd *s)
{
    const nn_conv_attrs *a = &n->attrs.conv;
    const int axes = x->rank - 2, last = axes - 1;

    if (a->groups != 1 || a->stride[0] != 1 || a->stride[1] != 1 || a->dilation[0] != 1 || a->dilation[1] != 1 ||
        w->dim[w->rank - 1] != 3 || (axes == 2 && w->dim[2] != 3 && w->dim[2] != 1))
        return false;
    read_image(n, x, s);
    s->taps = 3;
    s->axes = axes == 2 && w->dim[2] == 3 ? 2 : 1;
    s->axis = 1;
    s->each[1] = 4;
    s->each[0] = s->axes == 2 ? 4 : 1;
    s->pad[0] = axes == 2 ? a->pad_before[0] : 0;
    s->pad[1] = a->pad_before[last];
    return true;
}

/* The only axis along which a filter is longer than 1 is twice as long as its stride there, `stride`; -1: it is not so. */
static int two_taps_axis(const nn_shape *w, const int *stride, const int *dilation)
{
    const int axes = w->rank - 2;
    int axis = -1;

    for (int i = 0; i < axes; i++) {
        if (w->dim[2 + i] == 1 && stride[i] == 1)
            continue;
        if (axis >= 0 || w->dim[2 + i] != 2 * (int64_t)stride[i] || stride[i] > MOST_PHASES || dilation[i] != 1)
            return -1;
        axis = i;
    }
    return axis;
}

static bool read_two(const nn_node *n, const nn_shape *x, const nn_shape *w, winograd *s)
{
    const nn_conv_attrs *a = &n->attrs.conv;
    const int axes = x->rank - 2, axis = two_taps_axis(w, a->stride, a->dilation);

    if (a->groups != 1 || axis < 0 || (axes == 2 && (a->pad_before[1 - axis] || a->pad_after[1 - axis])))
        return false;
    read_image(n, x, s);
    s->taps = 2;
    s->axes = 1;
    s->axis = axis + 2 - axes;
    s->each[s->axis] = 3;
    s->phases = a->stride[axis];
    s->pad[s->axis] = a->pad_before[axis];
    return true;
}

static bool read_transposed(const nn_node *n, const nn_shape *x, const nn_shape *w, winograd *s, int *phases)
{
    const nn_conv_transpose_attrs *a = &n->attrs.conv_transpose;
    const int axes = x->rank - 2, axis = two_taps_axis(w, a->stride, a->dilation);

    if (a->groups != 1 || axis < 0 || a->output_pad[axis] > a->pad_after[axis] ||
        (axes == 2 && (a->pad_before[1 - axis] || a->pad_after[1 - axis] || a->output_pad[1 - axis])))
        return false;
    read_image(n, x, s);
    s->transposed = true;
    s->taps = 2;
    s->axes = 1;
    s->axis = axis + 2 - axes;
    s->each[s->axis] = 3;
    s->pad[s->axis] = 1;
    s->grid[s->axis] = s->in[s->axis] + 1;
    s->crop = a->pad_before[axis];
    *phases = a->stride[axis];
    return true;
}

/* phases: of the result. */
static bool read_shape(const nn_node *n, const nn_shape *x, const nn_shape *w, winograd *s, int *phases)
{
    s->phases = *phases = 1;
    if (n->op == &nn_op_conv_transpose ? !read_transposed(n, x, w, s, phases)
                                       : !read_three(n, x, w, s) && !read_two(n, x, w, s))
        return false;
    s->bins = s->taps == 2 ? NN_WINO_IN2 : s->axes == 2 ? NN_WINO_IN * NN_WINO_IN : NN_WINO_IN;
    s->depth = s->phases * s->channels;
    s->total = s->batch;
    for (int i = 0; i < 2; i++) {
        s->tiles[i] = (s->grid[i] + s->each[i] - 1) / s->each[i];
        s->total *= s->tiles[i];
    }
    return true;
}

/* In vector multiply-adds: products, and some for each number that is transformed; against those of a direct convolution, whose lines are
 * rounded up to whole tiles. Weights are several times as many, and each costs as much to read as some products: along one axis they pay
 * from some dozens of tiles on, along two (a quarter of the products) from a few. */
static bool pays(const winograd *s, int columns)
{
    const int64_t rows = nn_tiles_best()->rows;
    const double tiles = (double)s->total, c = s->depth, k = columns, read = s->axes == 2 ? 8 : 0;
    const double lines = (double)(s->batch * s->grid[0] * (s->axes == 2 ? rounded(s->grid[1], rows) : s->grid[1]));
    const double products = s->axes == 2 ? (double)rounded(s->total, rows) : tiles;
    const double direct = (lines + read) * all_taps(s) * c * k;
    const double transforms = s->axes == 2 ? 250 * c + 200 * k : 25 * c + 25 * k;

    return s->channels >= 8 && columns >= 8 && s->total >= (s->axes == 2 ? 4 : 48) &&
           (products + read) * s->bins * c * k + tiles * transforms < 0.85 * direct;
}

static void plan_memory(nn_compiler *c, winograd *s)
{
    const int64_t tile = s->finish.tiles->rows, threads = nn_compiler_options(c)->threads,
                  lanes = s->finish.tiles->lanes;
    enum {
        INPUT_FLOATS = 65536
    }; /* of one axis: a quarter of a second cache. Of two the weights are what has to be read seldom */
    const int64_t most = s->axes == 2 ? NN_TILE_BLOCK : INPUT_FLOATS / (s->bins * (int64_t)s->depth) / tile * tile;
    const int64_t block = SM_CLAMP(most, 2 * tile, NN_TILE_BLOCK);
    int64_t blocks = (s->total + block - 1) / block;

    blocks = rounded(blocks, SM_MIN(threads, s->total / tile + 1)); /* all threads end together */
    s->block = (int)rounded((s->total + blocks - 1) / blocks, tile);
    s->width = (int)((s->phases - 1) * s->channels + rounded(s->channels, lanes));
    s->width = (int)rounded(s->width, lanes);
    s->some = NN_TILE_BLOCK / (s->each[0] * s->each[1]);
    s->pieces = (s->block + s->some - 1) / s->some;
    s->part[0] = (size_t)rounded((int64_t)s->bins * s->block * s->width, 16);
    s->part[1] = (size_t)(s->bins * NN_TILE_COLUMNS * s->block * lanes);
    s->part[2] = (size_t)(NN_TILE_COLUMNS * NN_TILE_BLOCK * lanes);
    s->part[3] = (size_t)(s->pieces * s->finish.phases * NN_TILE_BLOCK) * (sizeof(int64_t) / sizeof(float));
    s->part[4] = (size_t)rounded((int64_t)(s->part[0] + s->part[1] + s->part[2] + s->part[3]), 16) + NN_TILE_APART;
}

int nn_dnnl_winograd_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const bool gated = n.op == &nn_op_conv_gated, transposed = n.op == &nn_op_conv_transpose;
    const nn_shape x = nn_in(g, &n, 0)->shape, w = nn_in(g, &n, 1)->shape;
    winograd *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    int err, phases;

    if (!s)
        return SM_ENOMEM;
    /* bf16: oneDNN's convolutions are faster, its transposed ones are not */
    if (!nn_is_constant(g, n.inputs[1]) || (!gated && !transposed && nn_dnnl_uses_bf16(c)) ||
        !read_shape(&n, &x, &w, s, &phases) || !pays(s, (int)w.dim[transposed ? 1 : 0] * phases))
        return 1;
    const int32_t from = nn_dnnl_want(c, out, n.inputs[0], true, false);
    if (from < 0)
        return from;
    if ((err = nn_tile_finish_make(c, node, phases, gated, out, &s->finish)) != 0) {
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
    out->kernel = gated ? "winograd, gated" : transposed ? "winograd, transposed" : "winograd";
    out->scratch = s->part[4] * (size_t)nn_compiler_options(c)->threads * sizeof(float);
    return 0;
}
