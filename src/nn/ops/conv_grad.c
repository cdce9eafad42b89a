/* Gradients of a convolution: by its input (the transposed convolution of the upstream gradient) and by its weights and bias (correlation
 * of input and upstream gradient). */
#include "nn/ops/conv_geometry.h"

#include <string.h>

/* ---- by the input: upstream [N, K, OH, OW], w -> attrs.conv_grad.shape ---- */

static int infer_x(const nn_graph *g, nn_node *n)
{
    int err = nn_need_rank(g, n, 0, 3, 4);
    if (err < 0)
        return err;
    n->shape = n->attrs.conv_grad.shape;
    const nn_shape dy = nn_in(g, n, 0)->shape, w = nn_in(g, n, 1)->shape;
    if (n->shape.rank != dy.rank || w.rank != dy.rank || n->shape.dim[0] != dy.dim[0] || w.dim[0] != dy.dim[1] ||
        w.dim[1] * n->attrs.conv_grad.conv.groups != n->shape.dim[1])
        return sm_fail(SM_EFORMAT, "not the shapes of a convolution");
    return 0;
}

/* Gives one row of upstream numbers to the row of input sums that its taps read. */
static void give_row(const nn_conv_geometry *d, const float *dy, const float *w, double *sum)
{
    for (int64_t j = 0; j < d->kw; j++) {
        const int64_t offset = j * d->dw - d->pw;
        int64_t from, to;
        nn_conv_columns(d, offset, &from, &to);
        for (int64_t o = from; o < to; o++)
            sum[o * d->sw + offset] += (double)w[j] * (double)dy[o];
    }
}

static void ref_x(const nn_call *c)
{
    const nn_conv_geometry d =
        nn_conv_measure(&c->attrs->conv_grad.conv, &c->out.shape, &c->in[1].shape, &c->in[0].shape);
    const float *dy = c->in[0].data, *w = c->in[1].data;
    const int64_t cg = d.c / d.groups, kg = d.k / d.groups;
    double *sum = c->scratch;
    float *dx = c->out.data;
    for (int64_t row = 0; row < d.n * d.c * d.h; row++) {
        const int64_t h = row % d.h, ic = row / d.h % d.c, n = row / d.h / d.c;
        memset(sum, 0, (size_t)d.w * sizeof *sum);
        for (int64_t q = 0; q < kg * d.kh; q++) {
            const int64_t k = ic / cg * kg + q / d.kh, i = q % d.kh, at = h + d.ph - i * d.dh, oh = at / d.sh;
            if (at >= 0 && at % d.sh == 0 && oh < d.oh)
                give_row(&d, dy + ((n * d.k + k) * d.oh + oh) * d.ow, w + ((k * cg + ic % cg) * d.kh + i) * d.kw, sum);
        }
        for (int64_t x = 0; x < d.w; x++)
            dx[row * d.w + x] = (float)sum[x];
    }
}

static size_t scratch_x(const nn_call *c)
{
    return (size_t)c->out.shape.dim[c->out.shape.rank - 1] * sizeof(double);
}

static double macs_x(const nn_graph *g, const nn_node *n)
{
    const nn_shape *w = &nn_in(g, n, 1)->shape;
    return (double)nn_elements(&nn_in(g, n, 0)->shape) * (double)nn_product(w, 1, w->rank);
}

/* ---- by weights and bias: x, upstream -> one row of numbers, the weights' in C order, then the bias' ---- */

static int infer_w(const nn_graph *g, nn_node *n)
{
    int err = nn_need_rank(g, n, 0, 3, 4);
    if (err < 0)
        return err;
    const nn_shape w = n->attrs.conv_grad.shape, x = nn_in(g, n, 0)->shape, dy = nn_in(g, n, 1)->shape;
    if (w.rank != x.rank || dy.rank != x.rank || dy.dim[0] != x.dim[0] || w.dim[0] != dy.dim[1] ||
        w.dim[1] * n->attrs.conv_grad.conv.groups != x.dim[1])
        return sm_fail(SM_EFORMAT, "not the shapes of a convolution");
    n->shape = NN_SHAPE(nn_elements(&w) + (n->attrs.conv_grad.bias ? w.dim[0] : 0));
    return 0;
}

/* Sum over images and places of upstream numbers of filter k times what tap (i, j) of channel ic read. */
static double tap(const nn_conv_geometry *d, const float *x, const float *dy, int64_t k, int64_t ic, int64_t i,
                  int64_t j)
{
    const int64_t offset = j * d->dw - d->pw;
    double sum = 0;
    int64_t from, to;
    nn_conv_columns(d, offset, &from, &to);
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t oh = 0; oh < d->oh; oh++) {
            const int64_t h = oh * d->sh + i * d->dh - d->ph;
            if (h < 0 || h >= d->h)
                continue;
            const float *row = x + ((n * d->c + ic) * d->h + h) * d->w + offset;
            const float *up = dy + ((n * d->k + k) * d->oh + oh) * d->ow;
            for (int64_t o = from; o < to; o++)
                sum += (double)up[o] * (double)row[o * d->sw];
        }
    return sum;
}

static void ref_w(const nn_call *c)
{
    const nn_shape *w = &c->attrs->conv_grad.shape;
    const nn_conv_geometry d = nn_conv_measure(&c->attrs->conv_grad.conv, &c->in[0].shape, w, &c->in[1].shape);
    const float *x = c->in[0].data, *dy = c->in[1].data;
    const int64_t cg = d.c / d.groups, kg = d.k / d.groups, area = d.oh * d.ow, taps = d.kh * d.kw;
    float *dw = c->out.data;
    for (int64_t q = 0; q < d.k * cg * taps; q++) {
        const int64_t k = q / taps / cg, ic = k / kg * cg + q / taps % cg;
        dw[q] = (float)tap(&d, x, dy, k, ic, q % taps / d.kw, q % d.kw);
    }
    for (int64_t k = 0; c->attrs->conv_grad.bias && k < d.k; k++) {
        double sum = 0;
        for (int64_t i = 0; i < d.n * area; i++)
            sum += (double)dy[(i / area * d.k + k) * area + i % area];
        dw[d.k * cg * taps + k] = (float)sum;
    }
}

static double macs_w(const nn_graph *g, const nn_node *n)
{
    const nn_shape *w = &n->attrs.conv_grad.shape;
    return (double)nn_elements(&nn_in(g, n, 1)->shape) * (double)nn_product(w, 1, w->rank);
}

/* ---- random cases: of a random convolution ---- */

static nn_id generate(nn_graph *g, nn_random *r, bool weights)
{
    const nn_node n = *nn_at(g, nn_op_conv.random(g, r));
    const nn_id upstream = nn_random_input(g, r, n.shape, -1, 1);
    nn_id in[4] = { NN_WANTED, NN_WANTED, n.inputs[2] == NN_NONE ? NN_NONE : NN_WANTED, NN_NONE };
    nn_attrs a;
    if (nn_graph_error(g) < 0)
        return NN_NONE;
    memset(&a, 0, sizeof a);
    a.conv_grad.conv = n.attrs.conv;
    a.conv_grad.shape = nn_shape_of(g, n.inputs[weights]);
    a.conv_grad.bias = weights && in[2] != NN_NONE;
    in[0] = weights ? n.inputs[0] : upstream;
    in[1] = weights ? upstream : n.inputs[1];
    return nn_add(g, weights ? &nn_op_conv_grad_w : &nn_op_conv_grad_x, &a, in, 2);
}

static nn_id generate_x(nn_graph *g, nn_random *r)
{
    return generate(g, r, false);
}

static nn_id generate_w(nn_graph *g, nn_random *r)
{
    return generate(g, r, true);
}

const nn_op nn_op_conv_grad_x = { .name = "conv_grad_x",
                                  .min_in = 2,
                                  .max_in = 2,
                                  .infer = infer_x,
                                  .ref = ref_x,
                                  .scratch = scratch_x,
                                  .macs = macs_x,
                                  .random = generate_x };
const nn_op nn_op_conv_grad_w = { .name = "conv_grad_w",
                                  .min_in = 2,
                                  .max_in = 2,
                                  .infer = infer_w,
                                  .ref = ref_w,
                                  .macs = macs_w,
                                  .random = generate_w };
