/* Steps of training that are loops of our own: gradients of max pools, batch norm with the batch's statistics, dropout. They read channels
 * last or blocked, whatever the activations are in. */
#include "nn/onednn/onednn.h"
#include "nn/onednn/train_loops.h"

#include <math.h>
#include <string.h>

static const nn_train_loops *best(void)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    if (cpu.avx512)
        return &nn_train_loops_avx512;
    return cpu.avx2 && cpu.fma ? &nn_train_loops_avx2 : &nn_train_loops_base;
}

/* Channels last unless a value is blocked already. */
static nn_dnnl_form image_form(nn_compiler *c, nn_id id)
{
    return nn_dnnl_form_of(c, id) == NN_FORM_BLOCKED ? NN_FORM_BLOCKED : NN_FORM_LAST;
}

static nn_train_rows rows_of(const nn_shape *s, nn_dnnl_form form)
{
    const int64_t places = nn_product(s, 2, s->rank);
    if (form == NN_FORM_BLOCKED && nn_dnnl_layout_for(s, form, false))
        return (nn_train_rows){ s->dim[0] * s->dim[1] / NN_BLOCK, places, NN_BLOCK, s->dim[1] / NN_BLOCK };
    return (nn_train_rows){ s->dim[0], places, s->dim[1], 1 };
}

/* ---- max pools ---- */

typedef struct {
    const nn_train_loops *loops;
    nn_train_pool pool;
} pool_state;

static int run_max_pool_grad(const nn_step *step, nn_exec *x)
{
    const pool_state *s = step->state;
    s->loops->max_pool_grad(&s->pool, x->data[step->in[0]], x->data[step->in[1]], x->data[step->out]);
    return 0;
}

int nn_dnnl_max_pool_grad_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    const nn_pool_attrs *a = &n.attrs.pool_grad.pool;
    const nn_shape from = nn_at(nn_compiler_graph(c), n.inputs[1])->shape;
    const nn_dnnl_form form = image_form(c, n.inputs[0]);
    const nn_train_rows r = rows_of(&n.shape, form);
    const bool flat = n.shape.rank == 3;
    const int v = flat ? 0 : 1;
    pool_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);

    if (!s)
        return SM_ENOMEM;
    s->loops = best();
    s->pool = (nn_train_pool){ .outer = r.outer,
                               .lanes = r.lanes,
                               .h = flat ? 1 : n.shape.dim[2],
                               .w = n.shape.dim[n.shape.rank - 1],
                               .oh = flat ? 1 : from.dim[2],
                               .ow = from.dim[from.rank - 1],
                               .kh = flat ? 1 : a->kernel[0],
                               .kw = a->kernel[v],
                               .sh = flat ? 1 : a->stride[0],
                               .sw = a->stride[v],
                               .ph = flat ? 0 : a->pad_before[0],
                               .pw = a->pad_before[v],
                               .relu = n.attrs.pool_grad.relu };
    const nn_train_pool *p = &s->pool;
    s->pool.exact = p->kh == 2 && p->kw == 2 && p->sh == 2 && p->sw == 2 && p->ph == 0 && p->pw == 0 &&
                    2 * p->oh == p->h && 2 * p->ow == p->w;
    for (int i = 0; i < 2; i++) {
        const int32_t value = nn_dnnl_want(c, out, n.inputs[i], form, false);
        if (value < 0)
            return value;
    }
    nn_dnnl_gives(c, out, node, form, false);
    out->run = run_max_pool_grad;
    out->state = s;
    out->kernel = s->loops->name;
    return 0;
}

/* ---- batch norm: four operators ---- */

typedef struct {
    const nn_train_loops *loops;
    nn_train_rows rows;
    int64_t channels;
    double eps, count;
    int stats, sums, upstream, gamma, beta; /* in the step's inputs; -1: not there */
    int residual;                           /* added behind */
    bool relu;                              /* behind that */
} norm_state;

static const float *operand(const nn_step *step, nn_exec *x, int i)
{
    return i < 0 ? NULL : x->data[step->in[i]];
}

/* Squares are of differences from some number of the channel, so that a large mean does not cancel them. */
static int run_stats(const nn_step *step, nn_exec *x)
{
    const norm_state *s = step->state;
    const float *in = x->data[step->in[0]];
    double *sums = x->scratch;
    float *shift = (float *)(sums + 2 * s->channels), *y = x->data[step->out];

    for (int64_t b = 0; b < s->rows.blocks; b++)
        memcpy(shift + b * s->rows.lanes, in + b * s->rows.places * s->rows.lanes,
               (size_t)s->rows.lanes * sizeof *shift);
    s->loops->channel_sums(&s->rows, in, NULL, shift, sums);
    for (int64_t k = 0; k < s->channels; k++) {
        const double mean = sums[k] / s->count;
        y[k] = (float)((double)shift[k] + mean);
        y[s->channels + k] = (float)SM_MAX(sums[s->channels + k] / s->count - mean * mean, 0);
    }
    return 0;
}

static double inverse_of(const norm_state *s, const float *stats, int64_t k)
{
    return 1 / sqrt((double)stats[s->channels + k] + s->eps);
}

static int run_norm(const nn_step *step, nn_exec *x)
{
    const norm_state *s = step->state;
    const float *stats = operand(step, x, s->stats), *gamma = operand(step, x, s->gamma),
                *beta = operand(step, x, s->beta);
    float *a = x->scratch, *b = a + s->channels, *c = b + s->channels;

    for (int64_t k = 0; k < s->channels; k++) {
        a[k] = (float)(inverse_of(s, stats, k) * (gamma ? (double)gamma[k] : 1));
        b[k] = beta ? beta[k] : 0;
        c[k] = 1;
    }
    s->loops->channel_affine(&s->rows, x->data[step->in[0]], operand(step, x, s->residual), stats, a, b, c, s->relu,
                             x->data[step->out]);
    return 0;
}

static int run_sums(const nn_step *step, nn_exec *x)
{
    const norm_state *s = step->state;
    const float *stats = operand(step, x, s->stats);
    double *sums = x->scratch;
    float *y = x->data[step->out];

    s->loops->channel_sums(&s->rows, x->data[step->in[0]], operand(step, x, s->upstream), stats, sums);
    for (int64_t k = 0; k < s->channels; k++) {
        y[k] = (float)sums[k];
        y[s->channels + k] = (float)(sums[s->channels + k] * inverse_of(s, stats, k));
    }
    return 0;
}

static int run_norm_grad(const nn_step *step, nn_exec *x)
{
    const norm_state *s = step->state;
    const float *stats = operand(step, x, s->stats), *sums = operand(step, x, s->sums),
                *gamma = operand(step, x, s->gamma);
    float *a = x->scratch, *b = a + s->channels, *c = b + s->channels;

    for (int64_t k = 0; k < s->channels; k++) {
        const double inverse = inverse_of(s, stats, k), scale = inverse * (gamma ? (double)gamma[k] : 1);
        a[k] = (float)(-scale * inverse * (double)sums[s->channels + k] / s->count);
        b[k] = (float)(-scale * (double)sums[k] / s->count);
        c[k] = (float)scale;
    }
    s->loops->channel_affine(&s->rows, x->data[step->in[0]], operand(step, x, s->upstream), stats, a, b, c, false,
                             x->data[step->out]);
    return 0;
}

static const struct {
    const nn_op *op;
    int (*run)(const nn_step *step, nn_exec *x);
    int stats, sums, upstream, gamma, beta; /* which of the node's inputs; 0: none */
    bool image;                             /* gives one; else two vectors */
} norms[] = {
    { &nn_op_channel_stats, run_stats, 0, 0, 0, 0, 0, false },
    { &nn_op_batch_norm_train, run_norm, 1, 0, 0, 2, 3, true },
    { &nn_op_batch_norm_sums, run_sums, 1, 0, 2, 0, 0, false },
    { &nn_op_batch_norm_grad, run_norm_grad, 1, 2, 3, 4, 0, true },
};

/* Notes input i of the node as read; *at: its place among the step's. */
static int read_input(nn_compiler *c, const nn_node *n, nn_step *out, int i, nn_dnnl_form form, int *at)
{
    *at = -1;
    if (i == 0 || i >= n->n_own || n->inputs[i] == NN_NONE)
        return 0;
    *at = out->n_in;
    const int32_t v = nn_dnnl_want(c, out, n->inputs[i], form, false);
    return v < 0 ? v : 0;
}

int nn_dnnl_batch_norm_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    const nn_shape x = nn_at(nn_compiler_graph(c), n.inputs[0])->shape;
    const nn_dnnl_form form = image_form(c, n.inputs[0]);
    norm_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    size_t kind = 0;
    int err = 0;

    if (!s)
        return SM_ENOMEM;
    while (norms[kind].op != n.op)
        kind++;
    s->loops = best();
    s->rows = rows_of(&x, form);
    s->channels = x.dim[1];
    s->eps = (double)n.attrs.norm.eps;
    s->count = (double)(nn_elements(&x) / x.dim[1]);
    const bool adds = n.n_posts > 0 && n.posts[0].kind == NN_POST_BINARY;
    s->residual = -1;
    s->relu = n.n_posts > adds;
    const int32_t v = nn_dnnl_want(c, out, n.inputs[0], form, false);
    if (v < 0 || (err = read_input(c, &n, out, norms[kind].stats, NN_FORM_PLAIN, &s->stats)) < 0 ||
        (err = read_input(c, &n, out, norms[kind].sums, NN_FORM_PLAIN, &s->sums)) < 0 ||
        (err = read_input(c, &n, out, norms[kind].upstream, form, &s->upstream)) < 0 ||
        (err = read_input(c, &n, out, norms[kind].gamma, NN_FORM_PLAIN, &s->gamma)) < 0 ||
        (err = read_input(c, &n, out, norms[kind].beta, NN_FORM_PLAIN, &s->beta)) < 0)
        return v < 0 ? v : err;
    if (adds) {
        s->residual = out->n_in;
        out->inplace = nn_dnnl_want(c, out, n.inputs[n.posts[0].input], form, false);
        if (out->inplace < 0)
            return out->inplace;
    }
    if (n.op == &nn_op_batch_norm_grad) /* the input is read by others, too: by what comes before */
        out->inplace = out->in[s->upstream];
    nn_dnnl_gives(c, out, node, norms[kind].image ? form : NN_FORM_PLAIN, false);
    out->scratch = (size_t)s->channels * (2 * sizeof(double) + sizeof(float));
    out->run = norms[kind].run;
    out->state = s;
    out->kernel = s->loops->name;
    return 0;
}

/* ---- dropout ---- */

typedef struct {
    const nn_train_loops *loops;
    nn_train_rows rows;
    uint32_t threshold;
    int number;
    float scale;
} dropout_state;

static int run_dropout(const nn_step *step, nn_exec *x)
{
    const dropout_state *s = step->state;
    const uint32_t key = nn_dropout_key(*(const int32_t *)x->data[step->in[1]], s->number);
    s->loops->dropout(&s->rows, key, s->threshold, s->scale, x->data[step->in[0]], x->data[step->out]);
    return 0;
}

int nn_dnnl_dropout_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    const nn_dnnl_form form = nn_dnnl_form_of(c, n.inputs[0]);
    dropout_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);

    if (!s)
        return SM_ENOMEM;
    s->loops = best();
    s->rows = form == NN_FORM_PLAIN ? (nn_train_rows){ 1, 1, nn_elements(&n.shape), 1 } : rows_of(&n.shape, form);
    s->threshold = nn_dropout_threshold(n.attrs.dropout.rate);
    s->number = n.attrs.dropout.number;
    s->scale = (float)(1 / (1 - (double)n.attrs.dropout.rate));
    const int32_t v = nn_dnnl_want(c, out, n.inputs[0], form, false);
    const int32_t seed = v < 0 ? v : nn_dnnl_want(c, out, n.inputs[1], NN_FORM_PLAIN, false);
    if (seed < 0)
        return seed;
    out->inplace = v;
    nn_dnnl_gives(c, out, node, form, false);
    out->run = run_dropout;
    out->state = s;
    out->kernel = s->loops->name;
    return 0;
}
