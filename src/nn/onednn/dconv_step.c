/* DConv (dconv.c) with channels last, an item at a time, in three passes over blocks of steps, none of which writes the wide tensor:
 *
 *     A   u = w1 * x + b1, kept (C / 8 channels), and its mean and variance
 *     B   g = GELU(norm1(u)) in place, and its sums s and second moments M = sum of g g^T
 *     C   x + scale * GLU(norm2(w2 g + b2)), gate and residual while the product is in cache
 *
 * The statistics of norm2 need no wide tensor either: over steps and channels k, with rows w_k of w2 and g centred, the sum over t of
 * (w_k (g - mean g))^2 is w_k V w_k^T, so that of all channels is the inner product of V with w2^T w2, a matrix of weights. Blocks do
 * not depend on threads and their sums are added in order, so neither do results. Items run side by side while there are enough of
 * them, else the blocks of one item do. */
#include "nn/onednn/dconv.h"
#include "nn/onednn/tiles.h"

#include <math.h>
#include <string.h>

typedef struct {
    const float *w1, *w2;                 /* panels */
    const float *b1, *gamma1, *beta1;     /* [width] */
    const float *b2, *gamma2, *beta2;     /* [groups][2][lanes] */
    const float *scale;                   /* [groups][lanes] */
    const double *gram, *row_sum, *row_b; /* w2^T w2 [h][h]; sums over the rows of w2 and of b2 times them, [h] */
    double b_sum, b_square;
    int64_t *slab, *own_slab; /* of its dilation, in x's memory; and gathered */
    int dilation;
} dconv_branch;

typedef struct {
    const nn_tiles *tiles;
    nn_dconv_shape shape;
    int width, groups, branches; /* hidden, rounded up to lanes; groups of lanes of the result */
    int64_t step, blocks;        /* steps of a block */
    float eps;
    bool by_item;
    dconv_branch *branch;
    size_t sums; /* floats of a block's statistics: [2] of pass A, then s and M of pass B */
    size_t item_floats, work_floats;
} dconv;

/* One item on its way through one branch. */
typedef struct {
    const dconv *d;
    const dconv_branch *b;
    const float *x; /* [steps][channels] */
    float *y;
    float *u, *sums, *affine1, *affine2; /* [steps][width], [blocks][sums], [2][width], [2][groups][2][lanes] */
} item;

typedef void (*pass)(const item *i, int64_t block, float *work);

static int64_t rounded(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static int64_t block_rows(const dconv *d, int64_t block)
{
    return SM_MIN(d->step, d->shape.steps - block * d->step);
}

/* ---- pass A ---- */

/* Rows first..first+rows-1 of u. Those whose taps reach over an end are gathered first. */
static void convolve(const item *i, int64_t first, int rows, bool gathered, float *work)
{
    const dconv *d = i->d;
    const nn_tiles *tiles = d->tiles;
    const int64_t ldc = (int64_t)NN_TILE_BLOCK * tiles->lanes, channels = d->shape.channels;
    const int reach = d->shape.taps / 2 * i->b->dilation, groups = d->width / tiles->lanes;
    float *gather = work + NN_TILE_COLUMNS * ldc, *to = gather;
    int64_t at[NN_TILE_BLOCK];
    nn_tile_rows a = { .data = i->x + (first - reach) * channels,
                       .row = channels,
                       .rows = rows,
                       .slab = i->b->slab,
                       .slabs = d->shape.taps,
                       .depth = (int)channels };

    for (int r = 0; r < rows && gathered; r++)
        for (int q = 0; q < d->shape.taps; q++, to += channels) {
            const int64_t t = first + r - reach + (int64_t)q * i->b->dilation;
            if (t < 0 || t >= d->shape.steps)
                memset(to, 0, (size_t)channels * sizeof *to);
            else
                memcpy(to, i->x + t * channels, (size_t)channels * sizeof *to);
        }
    if (gathered) {
        a.data = gather;
        a.row = d->shape.taps * channels;
        a.slab = i->b->own_slab;
    }
    for (int r = 0; r < rows; r++)
        at[r] = (first + r) * d->width;
    const float *w = i->b->w1;
    for (int g = 0; g < groups; g += NN_TILE_COLUMNS) {
        const int columns = SM_MIN(NN_TILE_COLUMNS, groups - g);
        tiles->product(&a, w, i->b->b1 + g * tiles->lanes, columns, work, ldc);
        w += (int64_t)d->shape.taps * channels * columns * tiles->lanes;
        for (int j = 0; j < columns; j++)
            tiles->store(work + j * ldc, rows, &(nn_tile_place){ i->u + (g + j) * tiles->lanes, at, tiles->lanes });
    }
}

/* Sum, and squares of differences from the block's own mean. Lanes without a channel hold zeros. */
static void pass_a(const item *i, int64_t block, float *work)
{
    const dconv *d = i->d;
    const int64_t tile = d->tiles->rows, first = block * d->step, rows = block_rows(d, block);
    const int64_t reach = (int64_t)(d->shape.taps / 2) * i->b->dilation;
    const int64_t lead = SM_MIN(rows, rounded(SM_MAX(reach - first, 0), tile));
    const int64_t tail = SM_MIN(rows - lead, rounded(SM_MAX(first + rows + reach - d->shape.steps, 0), tile));
    const float *u = i->u + first * d->width;
    float sum[NN_DCONV_MAX_HIDDEN], mean[NN_DCONV_MAX_HIDDEN] = { 0 };
    double all = 0, squares = 0;

    if (lead)
        convolve(i, first, (int)lead, true, work);
    if (rows > lead + tail)
        convolve(i, first + lead, (int)(rows - lead - tail), false, work);
    if (tail)
        convolve(i, first + rows - tail, (int)tail, true, work);
    d->tiles->sums(u, rows, d->width, sum);
    for (int k = 0; k < d->shape.hidden; k++)
        all += (double)sum[k];
    for (int k = 0; k < d->shape.hidden; k++)
        mean[k] = (float)(all / (double)(rows * d->shape.hidden));
    d->tiles->squares(u, rows, d->width, mean, sum);
    for (int k = 0; k < d->shape.hidden; k++)
        squares += (double)sum[k];
    i->sums[(size_t)block * d->sums] = (float)all;
    i->sums[(size_t)block * d->sums + 1] = (float)squares;
}

/* Mean and variance of all blocks from those of each (Chan, Golub and LeVeque 1979), and norm1 as an affine. */
static void finish_a(const item *i)
{
    const dconv *d = i->d;
    double mean = 0, squares = 0;

    for (int64_t b = 0; b < d->blocks; b++)
        mean += (double)i->sums[(size_t)b * d->sums];
    mean /= (double)(d->shape.steps * d->shape.hidden);
    for (int64_t b = 0; b < d->blocks; b++) {
        const double n = (double)(block_rows(d, b) * d->shape.hidden);
        const double off = (double)i->sums[(size_t)b * d->sums] / n - mean;
        squares += (double)i->sums[(size_t)b * d->sums + 1] + n * off * off;
    }
    const double inverse = 1 / sqrt(squares / (double)(d->shape.steps * d->shape.hidden) + (double)d->eps);
    for (int k = 0; k < d->width; k++) {
        const double scale = inverse * (double)i->b->gamma1[k];
        i->affine1[k] = (float)scale;
        i->affine1[d->width + k] = (float)((double)i->b->beta1[k] - mean * scale);
    }
}

/* ---- pass B ---- */

static void pass_b(const item *i, int64_t block, float *work)
{
    const dconv *d = i->d;
    const int64_t rows = block_rows(d, block);
    float *u = i->u + block * d->step * d->width, *sums = i->sums + (size_t)block * d->sums;

    (void)work;
    d->tiles->affine_gelu(u, rows, d->width, i->affine1, i->affine1 + d->width);
    d->tiles->sums(u, rows, d->width, sums);
    d->tiles->moments(u, rows, d->width, d->shape.hidden, sums + d->width);
}

/* norm2 as an affine of the product without its bias. */
static void finish_b(const item *i, float *work)
{
    const dconv *d = i->d;
    const int h = d->shape.hidden, lanes = d->tiles->lanes, count = d->groups * 2 * lanes;
    const double n = (double)d->shape.steps, channels = 2.0 * d->shape.channels;
    double *s = (double *)(void *)work, *m = s + h; /* sums over all blocks: mean of g, and V */
    double mean = i->b->b_sum, squares = i->b->b_square, spread = 0;

    memset(s, 0, (size_t)(h + h * h) * sizeof *s);
    for (int64_t b = 0; b < d->blocks; b++) {
        const float *sums = i->sums + (size_t)b * d->sums;
        for (int k = 0; k < h; k++)
            s[k] += (double)sums[k];
        for (int k = 0; k < h; k++)
            for (int j = 0; j < h; j++)
                m[k * h + j] += (double)sums[(1 + k) * d->width + j];
    }
    for (int k = 0; k < h; k++)
        s[k] /= n;
    for (int k = 0; k < h; k++) {
        mean += s[k] * i->b->row_sum[k];
        squares += 2 * s[k] * i->b->row_b[k];
        for (int j = 0; j < h; j++) {
            squares += s[k] * s[j] * i->b->gram[k * h + j];
            spread += (m[k * h + j] / n - s[k] * s[j]) * i->b->gram[k * h + j];
        }
    }
    mean /= channels;
    const double variance = SM_MAX((squares + spread) / channels - mean * mean, 0);
    const double inverse = 1 / sqrt(variance + (double)d->eps);
    for (int k = 0; k < count; k++) {
        const double scale = inverse * (double)i->b->gamma2[k];
        i->affine2[k] = (float)scale;
        i->affine2[count + k] = (float)(((double)i->b->b2[k] - mean) * scale + (double)i->b->beta2[k]);
    }
}

/* ---- pass C ---- */

static void pass_c(const item *i, int64_t block, float *work)
{
    static const int64_t here = 0;
    const dconv *d = i->d;
    const nn_tiles *tiles = d->tiles;
    const int lanes = tiles->lanes, count = d->groups * 2 * lanes, rows = (int)block_rows(d, block);
    const int64_t ldc = (int64_t)NN_TILE_BLOCK * lanes, first = block * d->step, channels = d->shape.channels;
    const nn_tile_rows a = { .data = i->u + first * d->width,
                             .row = d->width,
                             .rows = rows,
                             .slab = &here,
                             .slabs = 1,
                             .depth = d->shape.hidden };
    int64_t at[NN_TILE_BLOCK];

    for (int r = 0; r < rows; r++)
        at[r] = (first + r) * channels;
    for (int g = 0; g < d->groups; g++) {
        const float *scale = i->affine2 + g * 2 * lanes, *offset = scale + count;
        tiles->product(&a, i->b->w2 + (int64_t)g * d->shape.hidden * 2 * lanes, NULL, 2, work, ldc);
        const nn_tile_gate gate = { scale,           offset, scale + lanes, offset + lanes, i->b->scale + g * lanes,
                                    i->x + g * lanes };
        const nn_tile_place place = { i->y + g * lanes, at, (int)SM_MIN(lanes, channels - g * lanes) };
        tiles->gate_store(work, work + ldc, rows, &gate, &place);
    }
}

/* ---- running ---- */

typedef struct {
    const dconv *d;
    const nn_step *step;
    nn_exec *x;
    item item;
    pass pass;
    float *work;
    int64_t parts;
} dconv_job;

static void start_item(const dconv_job *j, int64_t number, int branch, float *state, item *i)
{
    const dconv *d = j->d;
    const int64_t size = d->shape.steps * d->shape.channels;

    i->d = d;
    i->b = &d->branch[branch];
    i->y = (float *)j->x->data[j->step->out] + number * size;
    i->x = branch ? i->y : (const float *)j->x->data[j->step->in[0]] + number * size;
    i->affine1 = state;
    i->affine2 = i->affine1 + 2 * d->width;
    i->sums = i->affine2 + 4 * d->groups * d->tiles->lanes;
    i->u = i->sums + d->sums * (size_t)d->blocks;
}

/* Items side by side: each goes through all passes while it is in its core's cache. */
static int run_item(void *user, size_t number, int worker)
{
    const dconv_job *j = user;
    const dconv *d = j->d;
    float *state = (float *)j->x->scratch + (size_t)worker * (d->item_floats + d->work_floats),
          *work = state + d->item_floats;

    for (int b = 0; b < d->branches; b++) {
        item i;
        start_item(j, (int64_t)number, b, state, &i);
        for (int64_t k = 0; k < d->blocks; k++)
            pass_a(&i, k, work);
        finish_a(&i);
        for (int64_t k = 0; k < d->blocks; k++)
            pass_b(&i, k, work);
        finish_b(&i, work);
        for (int64_t k = 0; k < d->blocks; k++)
            pass_c(&i, k, work);
    }
    return 0;
}

static int run_blocks(void *user, size_t part, int worker)
{
    const dconv_job *j = user;

    for (int64_t k = j->d->blocks * (int64_t)part / j->parts; k < j->d->blocks * (int64_t)(part + 1) / j->parts; k++)
        j->pass(&j->item, k, j->work + (size_t)worker * j->d->work_floats);
    return 0;
}

static int run_pass(dconv_job *j, pass p)
{
    j->pass = p;
    return nn_dnnl_parallel(j->x, (size_t)j->parts, run_blocks, j);
}

static int run_dconv(const nn_step *step, nn_exec *x)
{
    const dconv *d = step->state;
    dconv_job j = { .d = d, .step = step, .x = x };
    int err = 0;

    if (d->by_item)
        return nn_dnnl_parallel(x, (size_t)d->shape.items, run_item, &j);
    j.work = (float *)x->scratch + d->item_floats;
    j.parts = SM_MIN(d->blocks, 4 * x->threads);
    for (int64_t number = 0; number < d->shape.items && err == 0; number++)
        for (int b = 0; b < d->branches && err == 0; b++) {
            start_item(&j, number, b, x->scratch, &j.item);
            if ((err = run_pass(&j, pass_a)) < 0)
                break;
            finish_a(&j.item);
            if ((err = run_pass(&j, pass_b)) < 0)
                break;
            finish_b(&j.item, j.work);
            err = run_pass(&j, pass_c);
        }
    return err;
}

/* ---- weights ---- */

/* Panels of w1: [taps][channels] deep; of w2: pairs of the two halves, as a gated product wants them. */
static float *pack_w1(nn_compiler *c, const dconv *d, const float *w)
{
    const int lanes = d->tiles->lanes, groups = d->width / lanes, depth = d->shape.taps * d->shape.channels;
    float *packed = sm_arena_zero(nn_compiler_arena(c), (size_t)depth * (size_t)d->width, sizeof *packed), *to = packed;

    for (int g = 0; packed && g < groups; g += NN_TILE_COLUMNS)
        for (int k = 0; k < depth; k++)
            for (int l = 0; l < SM_MIN(NN_TILE_COLUMNS, groups - g) * lanes; l++, to++) {
                const int64_t row = g * lanes + l, channel = k % d->shape.channels, tap = k / d->shape.channels;
                if (row < d->shape.hidden)
                    *to = w[(row * d->shape.channels + channel) * d->shape.taps + tap];
            }
    return packed;
}

/* Vectors (depth 1) and matrices of 2 channels rows as [groups][depth][2][lanes]. */
static float *pack_halves(nn_compiler *c, const dconv *d, const float *w, int depth, int halves)
{
    const int lanes = d->tiles->lanes;
    float *packed = sm_arena_zero(nn_compiler_arena(c), (size_t)(depth * d->groups * halves * lanes), sizeof *packed);

    for (int k = 0; packed && k < d->shape.channels; k++)
        for (int j = 0; j < halves; j++)
            for (int p = 0; p < depth; p++)
                packed[((k / lanes * depth + p) * halves + j) * lanes + k % lanes] =
                    w[(int64_t)(k + j * d->shape.channels) * depth + p];
    return packed;
}

static float *pack_vector(nn_compiler *c, const dconv *d, const float *v)
{
    float *packed = sm_arena_zero(nn_compiler_arena(c), (size_t)d->width, sizeof *packed);
    if (packed)
        memcpy(packed, v, (size_t)d->shape.hidden * sizeof *packed);
    return packed;
}

/* What the statistics of w2 g + b2 depend on. */
static int sum_weights(nn_compiler *c, const dconv *d, const float *w, const float *bias, dconv_branch *b)
{
    const int h = d->shape.hidden;
    double *all = sm_arena_zero(nn_compiler_arena(c), (size_t)(h * h + 2 * h), sizeof *all);

    if (!all)
        return SM_ENOMEM;
    b->gram = all;
    b->row_sum = all + h * h;
    b->row_b = all + h * h + h;
    for (int k = 0; k < 2 * d->shape.channels; k++, w += h) {
        for (int i = 0; i < h; i++) {
            all[h * h + i] += (double)w[i];
            all[h * h + h + i] += (double)bias[k] * (double)w[i];
            for (int j = 0; j < h; j++)
                all[i * h + j] += (double)w[i] * (double)w[j];
        }
        b->b_sum += (double)bias[k];
        b->b_square += (double)bias[k] * (double)bias[k];
    }
    return 0;
}

static int read_branch(nn_compiler *c, const dconv *d, const nn_id *in, int dilation, dconv_branch *b)
{
    nn_tensor t[NN_DCONV_INPUTS];
    const float *v[NN_DCONV_INPUTS];
    const int64_t row = d->shape.channels, taps = d->shape.taps;
    int err;

    for (int i = 0; i < NN_DCONV_INPUTS; i++) {
        if ((err = nn_compiler_constant(c, in[i], &t[i])) < 0)
            return err;
        v[i] = t[i].data;
    }
    b->dilation = dilation;
    b->w1 = pack_w1(c, d, v[NN_DCONV_W1]);
    b->b1 = pack_vector(c, d, v[NN_DCONV_B1]);
    b->gamma1 = pack_vector(c, d, v[NN_DCONV_GAMMA1]);
    b->beta1 = pack_vector(c, d, v[NN_DCONV_BETA1]);
    b->w2 = pack_halves(c, d, v[NN_DCONV_W2], d->shape.hidden, 2);
    b->b2 = pack_halves(c, d, v[NN_DCONV_B2], 1, 2);
    b->gamma2 = pack_halves(c, d, v[NN_DCONV_GAMMA2], 1, 2);
    b->beta2 = pack_halves(c, d, v[NN_DCONV_BETA2], 1, 2);
    b->scale = pack_halves(c, d, v[NN_DCONV_SCALE], 1, 1);
    b->slab = sm_arena_get(nn_compiler_arena(c), (size_t)(2 * taps), sizeof *b->slab, sizeof *b->slab);
    if (!b->w1 || !b->b1 || !b->gamma1 || !b->beta1 || !b->w2 || !b->b2 || !b->gamma2 || !b->beta2 || !b->scale ||
        !b->slab)
        return SM_ENOMEM;
    b->own_slab = b->slab + taps;
    for (int64_t q = 0; q < taps; q++) {
        b->slab[q] = q * dilation * row;
        b->own_slab[q] = q * row;
    }
    return sum_weights(c, d, v[NN_DCONV_W2], v[NN_DCONV_B2], b);
}

/* ---- the step ---- */

static void plan(nn_compiler *c, dconv *d)
{
    const nn_dconv_shape *s = &d->shape;
    const int64_t lanes = d->tiles->lanes, tile = d->tiles->rows, threads = nn_compiler_options(c)->threads;
    const int64_t doubles = 2 * (s->hidden + (int64_t)s->hidden * s->hidden),
                  gathered = (int64_t)NN_TILE_BLOCK * s->taps * s->channels;

    d->width = (int)rounded(s->hidden, lanes);
    d->groups = (int)((s->channels + lanes - 1) / lanes);
    d->blocks = (s->steps + NN_TILE_BLOCK - 1) / NN_TILE_BLOCK;
    d->step = rounded((s->steps + d->blocks - 1) / d->blocks, tile);
    d->blocks = (s->steps + d->step - 1) / d->step;
    d->sums = (size_t)rounded((1 + rounded(s->hidden, tile)) * d->width, 16);
    d->by_item = threads == 1 || s->items >= 4 * threads;
    d->item_floats = (size_t)rounded(2 * d->width + 4 * d->groups * lanes + (int64_t)d->sums * d->blocks +
                                         rounded(s->steps, d->step) * d->width,
                                     16) +
                     NN_TILE_APART;
    d->work_floats =
        (size_t)rounded(SM_MAX(NN_TILE_COLUMNS * NN_TILE_BLOCK * lanes + gathered, doubles), 16) + NN_TILE_APART;
}

int nn_dnnl_dconv_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const size_t threads = (size_t)nn_compiler_options(c)->threads;
    dconv *d = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *d);
    int err = 0;

    if (!d)
        return SM_ENOMEM;
    d->tiles = nn_tiles_best();
    d->eps = n.attrs.dconv.eps;
    d->branches = (n.n_own - 1) / NN_DCONV_INPUTS;
    nn_dconv_measure(&nn_in(g, &n, 0)->shape, &nn_in(g, &n, 1)->shape, &d->shape);
    plan(c, d);
    d->branch = sm_arena_zero(nn_compiler_arena(c), (size_t)d->branches, sizeof *d->branch);
    if (!d->branch)
        return SM_ENOMEM;
    for (int b = 0; b < d->branches && err == 0; b++)
        err = read_branch(c, d, n.inputs + 1 + b * NN_DCONV_INPUTS, n.attrs.dconv.dilation[b], &d->branch[b]);
    if (err < 0)
        return err;
    const int32_t x = nn_dnnl_want(c, out, n.inputs[0], true, false);
    if (x < 0)
        return x;
    nn_dnnl_gives(c, out, node, true, false);
    out->inplace = x;
    out->run = run_dconv;
    out->state = d;
    out->kernel = d->by_item ? "dconv, items" : "dconv, blocks";
    out->scratch =
        (d->by_item ? (d->item_floats + d->work_floats) * threads : d->item_floats + d->work_floats * threads) *
        sizeof(float);
    return 0;
}
