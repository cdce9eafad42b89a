/* Steps of convolutions in the frequency domain: which of the two ways (conv_fft1.c, conv_fft.c), along which axis, or neither. */
#include "nn/onednn/conv_fft.h"
#include "nn/onednn/conv_fft1.h"
#include "nn/onednn/onednn.h"

#include <stdio.h>
#include <string.h>

/* What a node asks for, whichever of the two operators it is. */
typedef struct {
    nn_conv_shape shape;
    nn_id x, w, bias, scale, offset;
    bool relu;
} request;

typedef enum { WAY_DIRECT, WAY_FEW, WAY_MANY } way;
typedef struct {
    way way;
    int axis;
    nn_conv_shape shape; /* with the fold in the terms of that way */
} choice;

static void fill_shape(const nn_graph *g, const nn_node *n, const nn_conv_attrs *a, nn_conv_shape *s)
{
    const nn_shape *x = &nn_in(g, n, 0)->shape, *w = &nn_in(g, n, 1)->shape;

    *s = (nn_conv_shape){ .batch = (int)x->dim[0], .channels = (int)x->dim[1], .filters = (int)w->dim[0] };
    for (int i = 0; i < 2; i++) {
        const bool there = i < x->rank - 2;
        s->in[i] = there ? (int)x->dim[2 + i] : 1;
        s->kernel[i] = there ? (int)w->dim[2 + i] : 1;
        s->stride[i] = there ? a->stride[i] : 1;
        s->pad[i] = there ? a->pad_before[i] : 0;
        s->out[i] = there ? (s->in[i] + s->pad[i] + a->pad_after[i] - s->kernel[i]) / s->stride[i] + 1 : 1;
    }
}

static bool is_plain(const nn_conv_attrs *a)
{
    return a->groups == 1 && a->dilation[0] == 1 && a->dilation[1] == 1;
}

/* A fold along `axis` of the image, as a way that transforms `transformed` sees it. false: it cannot. */
static bool set_fold(nn_conv_shape *s, int fold, int axis, int transformed)
{
    s->fold = fold == NN_FOLD_ALL && axis != transformed ? NN_FOLD_ROWS : (nn_fold)fold;
    s->fold_axis = axis;
    if (fold == NN_FOLD_POOL2 && axis != transformed)
        return false;
    /* rows must lie one behind the other in the result */
    return transformed == 1 || s->out[1] == 1 || s->fold == NN_FOLD_ROWS;
}

/* The cheapest way, in vector operations. A direct convolution runs at about one multiply-add a cycle, in bf16 at
 * one and a half as many or more; one with a single input channel at about two thirds of that, in bf16 no faster. */
static choice choose(const nn_conv_shape *asked, int fold, int axis, bool bf16)
{
    nn_conv_shape typical = *asked;
    const nn_conv_shape *s = &typical;
    typical.batch = SM_MAX(asked->batch, NN_TYPICAL_BATCH);
    const int lanes = nn_lanes_best()->lanes;
    const double macs =
        (double)s->batch * s->out[0] * s->out[1] * s->kernel[0] * s->kernel[1] * s->channels * s->filters;
    double least = 0.8 * macs / lanes / (bf16 && s->channels > 1 ? 1.5 : 1) * (s->channels == 1 ? 1.5 : 1);
    choice best = { .way = WAY_DIRECT };

    if (macs < 1e5)
        return best;
    for (int transformed = 0; transformed < 2; transformed++) {
        nn_conv_shape t = *s;
        if (!set_fold(&t, fold, axis, transformed))
            continue;
        const double cost = nn_conv_fft1_cost(&t, transformed, lanes);
        if (cost >= 0 && cost < least) {
            least = cost;
            best = (choice){ WAY_FEW, transformed, t };
        }
    }
    nn_conv_shape t = *s;
    if (set_fold(&t, fold, axis, 0) && t.fold != NN_FOLD_ALL) {
        const double cost = nn_conv_fft_cost(&t, lanes);
        if (cost >= 0 && cost < 0.75 * least) /* memory costs more here than is counted */
            best = (choice){ WAY_MANY, 0, t };
    }
    best.shape.batch = asked->batch;
    return best;
}

bool nn_dnnl_conv_fft_pays(const nn_graph *g, nn_id node, int fold, int fold_axis, bool bf16)
{
    const nn_node *n = nn_at(g, node);
    nn_conv_shape s;

    if (!is_plain(&n->attrs.conv) || !nn_is_constant(g, n->inputs[1]))
        return false;
    fill_shape(g, n, &n->attrs.conv, &s);
    return choose(&s, fold, fold_axis, bf16).way != WAY_DIRECT;
}

/* Posts must be [ReLU] [affine] with constants. */
static bool read_request(const nn_graph *g, const nn_node *n, request *r)
{
    const bool folded = n->op == &nn_op_conv_fold;
    int i = 0;

    *r = (request){ .x = n->inputs[0], .w = n->inputs[1], .bias = n->inputs[2], .scale = NN_NONE, .offset = NN_NONE };
    fill_shape(g, n, folded ? &n->attrs.conv_fold.conv : &n->attrs.conv, &r->shape);
    if (folded) {
        r->relu = n->attrs.conv_fold.relu;
        r->scale = n->inputs[3];
        r->offset = n->inputs[4];
    } else {
        if (!is_plain(&n->attrs.conv))
            return false;
        if (i < n->n_posts && n->posts[i].kind == NN_POST_UNARY && n->posts[i].unary == NN_RELU)
            r->relu = i++ == 0;
        if (i < n->n_posts && n->posts[i].kind == NN_POST_AFFINE) {
            r->scale = n->inputs[n->posts[i].input];
            r->offset = n->inputs[n->posts[i].input + 1];
            i++;
        }
        if (i < n->n_posts)
            return false;
    }
    return nn_is_constant(g, r->w) && (r->bias == NN_NONE || nn_is_constant(g, r->bias)) &&
           (r->scale == NN_NONE || (nn_is_constant(g, r->scale) && nn_is_constant(g, r->offset)));
}

/* ---- state ---- */

typedef struct {
    way way;
    nn_conv_fft1 few;
    nn_conv_fft many;
    const float *weights;
    nn_conv_finish finish;
    nn_out_strides in, out;
    size_t part[3]; /* floats of the scratch: spectra, products, work of one worker */
} fft_state;

static int read_vector(nn_compiler *c, nn_id id, float *to, int n)
{
    nn_tensor t;
    const int err = id == NN_NONE ? 0 : nn_compiler_constant(c, id, &t);

    if (id != NN_NONE && err == 0)
        memcpy(to, t.data, (size_t)n * sizeof *to);
    return err;
}

static int make_finish(nn_compiler *c, const request *r, bool folds, nn_conv_finish *f)
{
    const size_t n = (size_t)r->shape.filters + NN_MAX_LANES;
    float *all = sm_arena_zero(nn_compiler_arena(c), 4 * n, sizeof *all);
    int err;

    if (!all)
        return SM_ENOMEM;
    *f = (nn_conv_finish){ all, all + n, all + 2 * n, all + 3 * n, r->relu };
    for (int i = 0; i < r->shape.filters; i++)
        f->scale[i] = 1;
    if ((err = read_vector(c, r->bias, f->bias, r->shape.filters)) < 0 ||
        (err = read_vector(c, r->scale, f->scale, r->shape.filters)) < 0 ||
        (err = read_vector(c, r->offset, f->offset, r->shape.filters)) < 0)
        return err;
    for (int i = 0; i < r->shape.filters; i++)
        f->sign[i] = folds && f->scale[i] < 0 ? -1 : 1;
    return 0;
}

typedef struct {
    nn_id id;
    const fft_state *state;
} pack_job;

static int fill_weights(nn_compiler *c, void *user, void *data)
{
    const pack_job *job = user;
    nn_tensor t;
    int err = nn_compiler_constant(c, job->id, &t);

    if (err < 0)
        return err;
    if (job->state->way == WAY_FEW)
        err = nn_conv_fft1_pack(&job->state->few, t.data, job->state->finish.sign, data);
    else
        err = nn_conv_fft_pack(&job->state->many, t.data, job->state->finish.sign, data);
    return err == SM_ENOMEM ? sm_fail(err, "no memory to transform weights") : err;
}

/* The key says all that the packed numbers depend on: transform, order of taps, lanes, signs. */
static int pack(nn_compiler *c, nn_id id, fft_state *s)
{
    const nn_conv_shape *shape = s->way == WAY_FEW ? &s->few.shape : &s->many.shape;
    const uint64_t signs = sm_fnv1a64(s->finish.sign, (size_t)shape->filters * sizeof *s->finish.sign);
    pack_job job = { id, s };
    const void *data = NULL;
    char key[160];
    size_t floats;

    if (s->way == WAY_FEW) {
        floats = nn_conv_fft1_weight_floats(&s->few);
        snprintf(key, sizeof key, "fft1 %d axis %d taps %d from %d stride %d pad %d lanes %d signs %016llx",
                 s->few.fft.n, s->few.axis, s->few.taps, s->few.first_tap, shape->stride[s->few.axis],
                 shape->pad[s->few.axis], s->few.lanes->lanes, (unsigned long long)signs);
    } else {
        floats = nn_conv_fft_weight_floats(&s->many);
        snprintf(key, sizeof key, "fft %d taps %d..%d of %d lanes %d signs %016llx", s->many.fft.n, s->many.first_tap,
                 s->many.last_tap, s->many.origin, s->many.lanes->lanes, (unsigned long long)signs);
    }
    const int err = nn_pack_get(c, id, key, floats * sizeof(float), fill_weights, &job, &data);
    s->weights = data;
    return err;
}

/* ---- running ---- */

typedef struct {
    const fft_state *s;
    const float *x;
    float *spectra, *products, *work, *out;
    int parts;
    nn_conv_fft_run many;
} job;

static float *work_of(const job *j, int worker)
{
    return j->work + (size_t)worker * j->s->part[2];
}

static int few_spectra(void *user, size_t i, int worker)
{
    const job *j = user;
    nn_conv_fft1_spectra(&j->s->few, j->x, (int)i, j->parts, work_of(j, worker), j->spectra);
    return 0;
}

static int few_rows(void *user, size_t i, int worker)
{
    const job *j = user;
    nn_conv_fft1_rows(&j->s->few, (int)i / j->parts, (int)i % j->parts, j->parts, j->spectra, j->s->weights,
                      &j->s->finish, work_of(j, worker), j->out, &j->s->out);
    return 0;
}

static int run_few(nn_exec *x, job *j)
{
    int err;

    j->parts = x->threads > 1 ? 4 * x->threads : 1;
    if ((err = nn_dnnl_parallel(x, (size_t)j->parts, few_spectra, j)) < 0)
        return err;
    j->parts = x->threads > 1 && j->s->few.groups < 8 * x->threads ? SM_MIN(4, j->s->few.shape.batch) : 1;
    return nn_dnnl_parallel(x, (size_t)j->s->few.groups * (size_t)j->parts, few_rows, j);
}

static int many_spectra(void *user, size_t i, int worker)
{
    const job *j = user;
    nn_conv_fft_spectra_item(&j->many, (int)i, work_of(j, worker));
    return 0;
}

static int many_product(void *user, size_t i, int worker)
{
    const job *j = user;
    (void)worker;
    nn_conv_fft_product_item(&j->many, (int)i);
    return 0;
}

static int many_result(void *user, size_t i, int worker)
{
    const job *j = user;
    nn_conv_fft_result_item(&j->many, (int)i, work_of(j, worker));
    return 0;
}

static int run_many(nn_exec *x, job *j)
{
    const nn_conv_fft *p = &j->s->many;
    nn_conv_fft_run *r = &j->many;
    int err = 0;

    for (r->first_row = 0; r->first_row < p->rows; r->first_row += p->group) {
        for (r->first_channel = 0; r->first_channel < p->shape.channels; r->first_channel += p->chunk)
            if ((err = nn_dnnl_parallel(x, (size_t)nn_conv_fft_spectra_items(r), many_spectra, j)) < 0 ||
                (err = nn_dnnl_parallel(x, (size_t)nn_conv_fft_product_items(r), many_product, j)) < 0)
                return err;
        if ((err = nn_dnnl_parallel(x, (size_t)nn_conv_fft_result_items(r), many_result, j)) < 0)
            return err;
    }
    return err;
}

static int run_fft(const nn_step *step, nn_exec *x)
{
    const fft_state *s = step->state;
    float *scratch = x->scratch;
    job j = { .s = s,
              .x = x->data[step->in[0]],
              .out = x->data[step->out],
              .spectra = scratch,
              .products = scratch + s->part[0],
              .work = scratch + s->part[0] + s->part[1] };

    j.many = (nn_conv_fft_run){ .conv = &s->many,
                                .x = j.x,
                                .in = s->in,
                                .weights = s->weights,
                                .finish = &s->finish,
                                .out = j.out,
                                .to = s->out,
                                .spectra = j.spectra,
                                .products = j.products };
    return s->way == WAY_FEW ? run_few(x, &j) : run_many(x, &j);
}

/* ---- making the step ---- */

static size_t rounded(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

/* Room for one worker: prefetching beyond its end must not take lines from the next worker's core. */
static size_t apart(size_t floats)
{
    return rounded(floats) + NN_DNNL_APART / sizeof(float);
}

static int init_way(nn_compiler *c, const choice *ch, fft_state *s)
{
    enum { SPECTRA_CACHE = 16 << 20 }; /* half of a usual last-level cache */
    const nn_lanes *lanes = nn_lanes_best();
    sm_arena *arena = nn_compiler_arena(c);
    const nn_conv_shape *shape = &ch->shape;
    const int positions =
        shape->fold == NN_FOLD_ALL ? 1 : shape->out[ch->axis] / (shape->fold == NN_FOLD_POOL2 ? 2 : 1);
    nn_conv_fft_memory memory;
    int err;

    s->way = ch->way;
    s->out = (nn_out_strides){ (int64_t)positions * shape->filters, shape->filters, lanes->lanes };
    if (ch->way == WAY_FEW) {
        err = nn_conv_fft1_init(&s->few, shape, ch->axis, lanes, arena);
        s->part[0] = err < 0 ? 0 : rounded(nn_conv_fft1_spectra_floats(&s->few));
        s->part[2] = err < 0 ? 0 : apart(nn_conv_fft1_work_floats(&s->few));
    } else {
        err = nn_conv_fft_init(&s->many, shape, lanes, SPECTRA_CACHE, arena);
        s->in = (nn_out_strides){ (int64_t)shape->in[0] * shape->channels, shape->channels, lanes->lanes };
        if (err == 0) {
            nn_conv_fft_sizes(&s->many, &memory);
            s->part[0] = rounded(memory.spectra);
            s->part[1] = rounded(memory.products);
            s->part[2] = apart(memory.work);
        }
    }
    return err == SM_ENOMEM ? sm_fail(err, "no memory for a transform") : err;
}

int nn_dnnl_conv_fft_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const bool folded = n.op == &nn_op_conv_fold;
    request r;
    int err;

    if (!read_request(g, &n, &r))
        return 1;
    const choice ch = choose(&r.shape, folded ? n.attrs.conv_fold.fold : NN_FOLD_NONE,
                             folded ? n.attrs.conv_fold.axis : 0, nn_dnnl_uses_bf16(c));
    if (ch.way == WAY_DIRECT)
        return 1;
    fft_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    if (!s)
        return SM_ENOMEM;
    if ((err = make_finish(c, &r, ch.shape.fold != NN_FOLD_NONE, &s->finish)) < 0 || (err = init_way(c, &ch, s)) < 0 ||
        (err = pack(c, r.w, s)) < 0)
        return err;
    const int32_t x = nn_dnnl_want(c, out, r.x, ch.way == WAY_MANY, false);
    if (x < 0)
        return x;
    nn_dnnl_gives(c, out, node, true, false);
    out->run = run_fft;
    out->state = s;
    out->kernel = ch.way == WAY_FEW ? "fft, few channels" : "fft and products";
    out->scratch = (s->part[0] + s->part[1] + s->part[2] * (size_t)nn_compiler_options(c)->threads) * sizeof(float);
    return 0;
}
