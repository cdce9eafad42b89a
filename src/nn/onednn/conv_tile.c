/* Convolutions as products in tiles, their input read where it lies: with channels last the numbers under a filter row are one run, so
 * each row of the left operand is a few runs ("slabs"), and rows lie stride x channels apart. Only rows that reach over the edge are
 * gathered; of few channels, lines are copied with zeros around them. A transposed convolution whose filter is a multiple of its stride is the same: output stride * q + r is the sum over
 * i of x[q - i] W[r + stride * i], so position q has `stride` phases of channels and nothing is added up afterwards. */
#include "nn/onednn/tile_finish.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t batch, in[2], out[2];
    int64_t grid[2]; /* positions that are computed; out, but for transposed ones */
    int channels;
    int kernel[2], stride[2], dilation[2], pad[2];
    int phases, axis, crop; /* transposed: results a position along this axis, and results dropped in front */
    bool transposed;
} conv_shape;

typedef struct {
    conv_shape shape;
    nn_tile_finish finish;
    const float *weights;
    int64_t *slab;                 /* of x's memory */
    int64_t *own_slab;             /* of gathered rows */
    int slabs, depth, slabs_a_row; /* slabs of one filter row */
    int64_t lead, tail;            /* positions of a line whose filters reach over its ends */
    int64_t step, segments;        /* rows of a segment between them; segments of a line */
    int64_t width;                 /* of lines that are copied, in positions; 0: rows are gathered */
    size_t worker_floats;
} tile_conv;

/* ---- shape ---- */

/* 1-D is an image of one row. */
static void spread(const int from[2], int axes, int one, int to[2])
{
    to[0] = axes == 1 ? one : from[0];
    to[1] = axes == 1 ? from[0] : from[1];
}

static void read_image(const nn_node *n, const nn_shape *x, const nn_shape *w, conv_shape *s)
{
    const int axes = x->rank - 2;

    s->batch = x->dim[0];
    s->channels = (int)x->dim[1];
    s->phases = 1;
    for (int i = 0; i < 2; i++) {
        const int at = axes == 1 ? (i == 0 ? -1 : 2) : 2 + i;
        s->in[i] = at < 0 ? 1 : x->dim[at];
        s->grid[i] = s->out[i] = at < 0 ? 1 : n->shape.dim[at];
        s->kernel[i] = at < 0 ? 1 : (int)w->dim[at];
    }
}

static bool read_conv(const nn_node *n, const nn_shape *x, const nn_shape *w, conv_shape *s)
{
    const nn_conv_attrs *a = &n->attrs.conv;

    if (a->groups != 1)
        return false;
    read_image(n, x, w, s);
    spread(a->stride, x->rank - 2, 1, s->stride);
    spread(a->dilation, x->rank - 2, 1, s->dilation);
    spread(a->pad_before, x->rank - 2, 0, s->pad);
    if (nn_product(w, 2, w->rank) == 1 && s->stride[0] == 1 && s->stride[1] == 1 &&
        nn_product(x, 2, x->rank) == nn_product(&n->shape, 2, x->rank)) { /* all positions are one line */
        s->in[1] = s->out[1] = s->grid[1] = s->batch * s->in[0] * s->in[1];
        s->batch = s->in[0] = s->out[0] = s->grid[0] = 1;
    }
    return true;
}

static bool read_transposed(const nn_node *n, const nn_shape *x, const nn_shape *w, conv_shape *s)
{
    const nn_conv_transpose_attrs *a = &n->attrs.conv_transpose;
    int before[2], after[2], more[2];

    if (a->groups != 1)
        return false;
    read_image(n, x, w, s);
    spread(a->stride, x->rank - 2, 1, s->stride);
    spread(a->dilation, x->rank - 2, 1, s->dilation);
    spread(a->pad_before, x->rank - 2, 0, before);
    spread(a->pad_after, x->rank - 2, 0, after);
    spread(a->output_pad, x->rank - 2, 0, more);
    s->transposed = true;
    s->axis = s->kernel[0] > 1 ? 0 : 1;
    const int other = 1 - s->axis, stride = s->stride[s->axis], taps = s->kernel[s->axis] / stride;
    if (s->kernel[other] != 1 || s->stride[other] != 1 || before[other] || after[other] || more[other] ||
        s->dilation[s->axis] != 1 || s->kernel[s->axis] % stride || more[s->axis] > after[s->axis])
        return false;
    s->phases = stride;
    s->crop = before[s->axis];
    s->stride[s->axis] = 1;
    s->kernel[s->axis] = taps;
    s->pad[s->axis] = taps - 1;
    s->grid[s->axis] = s->in[s->axis] + taps - 1;
    return true;
}

/* ---- lines and their segments ---- */

static int64_t rounded(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static void cut_line(tile_conv *t)
{
    const conv_shape *s = &t->shape;
    const int64_t tile = t->finish.tiles->rows, line = s->grid[1];
    const int64_t reach = s->in[1] - 1 + s->pad[1] - (int64_t)(s->kernel[1] - 1) * s->dilation[1];
    const int64_t first = (s->pad[1] + s->stride[1] - 1) / s->stride[1];
    const int64_t last = reach < 0 ? -1 : reach / s->stride[1]; /* the last position that lies inside */

    t->lead = last < first || t->width ? line : SM_MIN(line, rounded(first, tile));
    t->tail = SM_MIN(line - t->lead, rounded(SM_MAX(line - 1 - last, 0), tile));
    const int64_t between = line - t->lead - t->tail, pieces = (between + NN_TILE_BLOCK - 1) / NN_TILE_BLOCK;
    t->step = pieces ? rounded((between + pieces - 1) / pieces, tile) : tile;
    t->segments = (t->lead + NN_TILE_BLOCK - 1) / NN_TILE_BLOCK + (between + t->step - 1) / t->step +
                  (t->tail + NN_TILE_BLOCK - 1) / NN_TILE_BLOCK;
}

/* Positions first..first+rows-1 of a line; are they gathered? */
static bool segment(const tile_conv *t, int64_t i, int64_t *first, int *rows)
{
    const int64_t line = t->shape.grid[1], leads = (t->lead + NN_TILE_BLOCK - 1) / NN_TILE_BLOCK;
    const int64_t inner = (line - t->lead - t->tail + t->step - 1) / t->step;
    int64_t end = line;

    if (i < leads) {
        *first = i * NN_TILE_BLOCK;
        end = SM_MIN(t->lead, *first + NN_TILE_BLOCK);
    } else if (i < leads + inner) {
        *first = t->lead + (i - leads) * t->step;
        end = SM_MIN(line - t->tail, *first + t->step);
    } else {
        *first = line - t->tail + (i - leads - inner) * NN_TILE_BLOCK;
        end = SM_MIN(line, *first + NN_TILE_BLOCK);
    }
    *rows = (int)(end - *first);
    return i < leads || i >= leads + inner;
}

/* ---- running ---- */

typedef struct {
    const tile_conv *t;
    const nn_step *step;
    nn_exec *x;
    size_t items, parts, slices; /* slices: of the panels, where segments are too few for the threads */
} tile_job;

/* The rows under the filters, gathered: [rows][slabs][depth], zeros where a filter reaches over the edge. */
static void gather(const tile_conv *t, const float *x, int64_t y0, int64_t first, int rows, float *to)
{
    const conv_shape *s = &t->shape;

    for (int i = 0; i < rows; i++)
        for (int p = 0; p < s->kernel[0]; p++)
            for (int q = 0; q < s->kernel[1]; q++, to += s->channels) {
                const int64_t y = y0 + (int64_t)p * s->dilation[0],
                              z = (first + i) * s->stride[1] - s->pad[1] + (int64_t)q * s->dilation[1];
                if (y < 0 || y >= s->in[0] || z < 0 || z >= s->in[1])
                    memset(to, 0, (size_t)s->channels * sizeof *to);
                else
                    memcpy(to, x + (y * s->in[1] + z) * s->channels, (size_t)s->channels * sizeof *to);
            }
}

/* The lines under the filters of these rows, with zeros around the image: [slabs][width][channels]. */
static void copy_lines(const tile_conv *t, const float *x, int64_t y0, int64_t first, int rows, float *to)
{
    const conv_shape *s = &t->shape;
    const int64_t z0 = first * s->stride[1] - s->pad[1];
    const int64_t width = (int64_t)(rows - 1) * s->stride[1] + (int64_t)(s->kernel[1] - 1) * s->dilation[1] + 1;
    const int64_t before = SM_CLAMP(-z0, 0, width), inside = SM_CLAMP(s->in[1] - z0 - before, 0, width - before);
    const size_t number = (size_t)s->channels * sizeof *to;

    for (int p = 0; p < s->kernel[0]; p++, to += t->width * s->channels) {
        const int64_t y = y0 + (int64_t)p * s->dilation[0];
        if (y < 0 || y >= s->in[0]) {
            memset(to, 0, (size_t)width * number);
            continue;
        }
        memset(to, 0, (size_t)before * number);
        memcpy(to + before * s->channels, x + (y * s->in[1] + z0 + before) * s->channels, (size_t)inside * number);
        memset(to + (before + inside) * s->channels, 0, (size_t)(width - before - inside) * number);
    }
}

/* Where the rows of each phase go: [phases][NN_TILE_BLOCK]. */
static void place_rows(const tile_conv *t, int64_t item, int64_t line, int64_t first, int rows, int64_t *at)
{
    const conv_shape *s = &t->shape;
    const int64_t filters = t->finish.filters, image = item * s->out[0] * s->out[1];

    for (int r = 0; r < s->phases; r++, at += NN_TILE_BLOCK)
        for (int i = 0; i < rows; i++) {
            int64_t y = line, z = first + i;
            if (s->transposed)
                *(s->axis == 0 ? &y : &z) = (s->axis == 0 ? y : z) * s->phases + r - s->crop;
            const bool inside = y >= 0 && y < s->out[0] && z >= 0 && z < s->out[1];
            at[i] = inside ? (image + y * s->out[1] + z) * filters : -1;
        }
}

/* Filter rows first..last-1 lie inside the image, for a line whose first filter row is at y0. */
static void filter_rows(const conv_shape *s, int64_t y0, int *first, int *last)
{
    *first = 0;
    *last = s->kernel[0];
    while (*first < *last && y0 + (int64_t)*first * s->dilation[0] < 0)
        ++*first;
    while (*last > *first && y0 + (int64_t)(*last - 1) * s->dilation[0] >= s->in[0])
        --*last;
}

/* Panels first_panel..last_panel-1 of a segment. */
static void run_segment(const tile_job *j, int64_t item, int64_t line, int64_t i, int first_panel, int last_panel,
                        float *work)
{
    const tile_conv *t = j->t;
    const conv_shape *s = &t->shape;
    const nn_tiles *tiles = t->finish.tiles;
    const int64_t ldc = (int64_t)NN_TILE_BLOCK * tiles->lanes, y0 = line * s->stride[0] - s->pad[0];
    const float *x = (const float *)j->x->data[j->step->in[0]] + item * s->in[0] * s->in[1] * s->channels;
    int64_t *at = (int64_t *)(void *)(work + NN_TILE_COLUMNS * ldc), first;
    float *gathered = (float *)(void *)(at + s->phases * NN_TILE_BLOCK);
    int rows, row0 = 0, row1 = s->kernel[0];
    nn_tile_rows a = { .depth = t->depth };

    if (segment(t, i, &first, &rows)) {
        (t->width ? copy_lines : gather)(t, x, y0, first, rows, gathered);
        a.data = gathered;
        a.row = t->width ? (int64_t)s->stride[1] * s->channels : (int64_t)t->slabs * t->depth;
        a.slab = t->own_slab;
    } else {
        filter_rows(s, y0, &row0, &row1);
        a.data = x + (y0 * s->in[1] + first * s->stride[1] - s->pad[1]) * s->channels;
        a.row = (int64_t)s->stride[1] * s->channels;
        a.slab = t->slab + row0 * t->slabs_a_row;
    }
    a.rows = rows;
    a.slabs = (row1 - row0) * t->slabs_a_row;
    place_rows(t, item, line, first, rows, at);
    const int64_t panel =
        (int64_t)t->slabs * t->depth * NN_TILE_COLUMNS * tiles->lanes; /* all but the last have all columns */
    for (int p = first_panel; p < last_panel; p++) {
        int group;
        const int columns = nn_tile_panel(&t->finish, p, &group), width = columns * tiles->lanes;
        const float *b = t->weights + p * panel;
        const float *bias = t->finish.bias;
        tiles->product(&a, b + (int64_t)row0 * t->slabs_a_row * t->depth * width,
                       bias ? bias + (int64_t)group * tiles->lanes * (t->finish.gated ? 2 : 1) : NULL, columns, work,
                       ldc);
        nn_tile_finish_panel(&t->finish, p, work, ldc, rows, at, j->step, j->x);
    }
}

static int run_part(void *user, size_t part, int worker)
{
    const tile_job *j = user;
    const tile_conv *t = j->t;
    float *work = (float *)j->x->scratch + (size_t)worker * t->worker_floats;

    const size_t panels = (size_t)nn_tile_panels(&t->finish);
    for (size_t i = j->items * part / j->parts; i < j->items * (part + 1) / j->parts; i++) {
        const int64_t segment = (int64_t)(i / j->slices), line = segment / t->segments;
        const size_t slice = i % j->slices;
        run_segment(j, line / t->shape.grid[0], line % t->shape.grid[0], segment % t->segments,
                    (int)(panels * slice / j->slices), (int)(panels * (slice + 1) / j->slices), work);
    }
    return 0;
}

static int run_tiles(const nn_step *step, nn_exec *x)
{
    const tile_conv *t = step->state;
    tile_job j = { .t = t, .step = step, .x = x, .slices = 1 };

    j.items = (size_t)(t->shape.batch * t->shape.grid[0] * t->segments);
    if (x->threads > 1 && j.items < (size_t)x->threads * 4) {
        j.slices = SM_MIN((size_t)nn_tile_panels(&t->finish), (size_t)x->threads * 2);
        j.items *= j.slices;
    }
    j.parts = x->threads > 1 ? SM_MIN(j.items, (size_t)x->threads * 16) : 1;
    return nn_dnnl_parallel(x, j.parts, run_part, &j);
}

/* ---- weights ---- */

typedef struct {
    nn_id id;
    const tile_conv *t;
} pack_job;

/* Weight of filter `k` (gated: of both halves), phase r, at place p of the depth: filter row, filter column, channel. */
static float weight_at(const tile_conv *t, const float *w, int k, int r, int p)
{
    const conv_shape *s = &t->shape;
    const int c = p % s->channels, tap = p / s->channels, taps = s->kernel[0] * s->kernel[1];

    if (s->transposed) {
        const int64_t place = (int64_t)c * t->finish.filters + k;
        return w[place * taps * s->phases + r + s->phases * (taps - 1 - tap)];
    }
    return w[((int64_t)k * s->channels + c) * taps + tap];
}

static int fill_panels(nn_compiler *c, void *user, void *data)
{
    const pack_job *job = user;
    const tile_conv *t = job->t;
    const nn_tile_finish *f = &t->finish;
    const int lanes = f->tiles->lanes;
    float *to = data;
    nn_tensor w;
    const int err = nn_compiler_constant(c, job->id, &w);

    if (err < 0)
        return err;
    for (int p = 0; p < nn_tile_panels(f); p++) {
        int group;
        const int columns = nn_tile_panel(f, p, &group);
        for (int d = 0; d < t->slabs * t->depth; d++)
            for (int j = 0; j < columns; j++)
                for (int l = 0; l < lanes; l++, to++) {
                    const int g = f->gated ? group : group + j, k = g % f->groups * lanes + l;
                    *to =
                        k < f->filters ? weight_at(t, w.data, f->gated ? k + j * f->filters : k, g / f->groups, d) : 0;
                }
    }
    return 0;
}

static int pack(nn_compiler *c, nn_id id, tile_conv *t)
{
    const nn_tile_finish *f = &t->finish;
    pack_job job = { id, t };
    const void *data = NULL;
    char key[96];

    snprintf(key, sizeof key, "tiles lanes %d depth %d kernel %d %d phases %d%s%s", f->tiles->lanes,
             t->slabs * t->depth, t->shape.kernel[0], t->shape.kernel[1], f->phases, f->gated ? " gated" : "",
             t->shape.transposed ? " transposed" : "");
    const size_t columns = (size_t)(f->groups * f->phases * f->tiles->lanes * (f->gated ? 2 : 1));
    const int err = nn_pack_get(c, id, key, columns * (size_t)t->slabs * (size_t)t->depth * sizeof(float), fill_panels,
                                &job, &data);
    t->weights = data;
    return err;
}

/* ---- the step ---- */

enum { FEW_CHANNELS = 16 }; /* to gather rows would be more calls than numbers */

static int plan_slabs(nn_compiler *c, tile_conv *t)
{
    const conv_shape *s = &t->shape;
    const bool joined = s->dilation[1] == 1 || s->kernel[1] == 1; /* a filter row is one run */
    const int lanes = t->finish.tiles->lanes;

    t->slabs_a_row = joined ? 1 : s->kernel[1];
    t->depth = joined ? s->kernel[1] * s->channels : s->channels;
    t->slabs = s->kernel[0] * t->slabs_a_row;
    t->slab = sm_arena_get(nn_compiler_arena(c), (size_t)t->slabs * 2, sizeof *t->slab, sizeof *t->slab);
    if (!t->slab)
        return SM_ENOMEM;
    t->own_slab = t->slab + t->slabs;
    t->width = joined && s->kernel[1] > 1 && s->channels < FEW_CHANNELS
                   ? (int64_t)(SM_MIN(s->grid[1], NN_TILE_BLOCK) - 1) * s->stride[1] + s->kernel[1]
                   : 0;
    for (int i = 0; i < t->slabs; i++) {
        const int64_t y = (int64_t)(i / t->slabs_a_row) * s->dilation[0],
                      z = (int64_t)(i % t->slabs_a_row) * s->dilation[1];
        t->slab[i] = (y * s->in[1] + z) * s->channels;
        t->own_slab[i] = (int64_t)i * (t->width ? t->width * s->channels : t->depth);
    }
    cut_line(t);
    const int64_t gathered = t->width             ? t->slabs * t->width * s->channels
                             : t->lead || t->tail ? (int64_t)NN_TILE_BLOCK * t->slabs * t->depth
                                                  : 0;
    t->worker_floats =
        (size_t)rounded((int64_t)NN_TILE_BLOCK * (NN_TILE_COLUMNS * lanes + 2 * s->phases) + gathered, 16) +
        NN_TILE_APART;
    return 0;
}

enum { SMALL_IMAGE = 1024 }; /* positions */

/* Against oneDNN's direct kernels: short lines and few filters waste rows and lanes of tiles; filters of one number are faster there
 * (some 10 % in YAMNet), unless a function of some cost stands behind them (EffNet). Of one small image alone they are not: there threads
 * share panels of filters, while of oneDNN's kernels there would be too few rows to share. The number of threads itself changes nothing:
 * the same bits. */
static bool pays(const conv_shape *s, const nn_node *n, bool alone)
{
    bool function = false;

    if (alone && s->grid[1] >= nn_tiles_best()->rows / 2 && s->grid[1] <= SMALL_IMAGE && n->shape.dim[1] >= 16)
        return true;
    for (int i = 0; i < n->n_posts; i++)
        function = function || (n->posts[i].kind == NN_POST_UNARY && n->posts[i].unary != NN_RELU);
    return s->grid[1] >= 48 && n->shape.dim[1] >= 8 && (s->kernel[0] * s->kernel[1] * s->phases > 1 || function);
}

int nn_dnnl_conv_tile_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const bool gated = n.op == &nn_op_conv_gated, transposed = n.op == &nn_op_conv_transpose;
    const nn_shape x = nn_in(g, &n, 0)->shape, w = nn_in(g, &n, 1)->shape;
    tile_conv *t = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *t);
    int err;

    if (!t)
        return SM_ENOMEM;
    if (!nn_is_constant(g, n.inputs[1]) ||
        !(transposed ? read_transposed(&n, &x, &w, &t->shape) : read_conv(&n, &x, &w, &t->shape)))
        return 1;
    /* bf16: oneDNN's convolutions are twice as fast, its transposed ones ten times slower */
    const bool alone = x.dim[0] == 1;
    if (!gated && ((nn_dnnl_uses_bf16(c) && !transposed) || !pays(&t->shape, &n, alone)))
        return 1;
    const int32_t from = nn_dnnl_want(c, out, n.inputs[0], true, false);
    if (from < 0)
        return from;
    if ((err = nn_tile_finish_make(c, node, t->shape.phases, gated, out, &t->finish)) != 0 ||
        (err = plan_slabs(c, t)) < 0 || (err = pack(c, n.inputs[1], t)) < 0) {
        if (err == 1) { /* what was noted belongs to the step that is made instead */
            out->n_in = 0;
            out->inplace = -1;
        }
        return err;
    }
    nn_dnnl_gives(c, out, node, true, false);
    out->run = run_tiles;
    out->state = t;
    out->kernel = gated ? "tiles, gated" : transposed ? "tiles, transposed" : "tiles";
    out->scratch = t->worker_floats * (size_t)nn_compiler_options(c)->threads * sizeof(float);
    return 0;
}
