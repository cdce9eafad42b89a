/* Transposed convolution over the last one or two axes: each input number spreads the filter over the output. */
#include "nn/graph.h"

#include <string.h>

static int resolve(nn_conv_transpose_attrs *a, int axes)
{
    for (int i = 0; i < 2; i++) {
        a->stride[i] = a->stride[i] && i < axes ? a->stride[i] : 1;
        a->dilation[i] = a->dilation[i] && i < axes ? a->dilation[i] : 1;
        if (i >= axes)
            a->pad_before[i] = a->pad_after[i] = a->output_pad[i] = 0;
        if (a->stride[i] < 1 || a->dilation[i] < 1 || a->pad_before[i] < 0 || a->pad_after[i] < 0 ||
            a->output_pad[i] < 0)
            return sm_fail(SM_EUSAGE, "stride %d, dilation %d, padding %d and %d, output padding %d", a->stride[i],
                           a->dilation[i], a->pad_before[i], a->pad_after[i], a->output_pad[i]);
    }
    a->groups = a->groups ? a->groups : 1;
    return 0;
}

static int infer(const nn_graph *g, nn_node *n)
{
    nn_conv_transpose_attrs *a = &n->attrs.conv_transpose;
    char tx[256], tw[256];
    int err = nn_need_rank(g, n, 0, 3, 4);
    if (err < 0)
        return err;
    const nn_node *x = nn_in(g, n, 0), *w = nn_in(g, n, 1);
    if ((err = nn_need_rank(g, n, 1, x->shape.rank, x->shape.rank)) < 0 || (err = resolve(a, x->shape.rank - 2)) < 0)
        return err;
    if (a->groups < 1 || w->shape.dim[0] != x->shape.dim[1] || w->shape.dim[0] % a->groups)
        return sm_fail(SM_EFORMAT, "%s does not fit %s in %d groups", nn_operand_text(w, tw), nn_operand_text(x, tx),
                       a->groups);
    n->shape = x->shape;
    n->shape.dim[1] = w->shape.dim[1] * a->groups;
    for (int i = 0; i < x->shape.rank - 2; i++)
        n->shape.dim[2 + i] = (x->shape.dim[2 + i] - 1) * a->stride[i] + a->dilation[i] * (w->shape.dim[2 + i] - 1) +
                              1 + a->output_pad[i] - a->pad_before[i] - a->pad_after[i];
    return nn_need_shape(g, n, 2, NN_SHAPE(n->shape.dim[1]));
}

/* One output plane [oh, ow] of image n, channel k, summed in double. */
static void plane(const nn_call *c, int64_t n, int64_t k, double *sum)
{
    const nn_conv_transpose_attrs *a = &c->attrs->conv_transpose;
    const nn_shape *xs = &c->in[0].shape, *ws = &c->in[1].shape, *ys = &c->out.shape;
    const bool flat = xs->rank == 3;
    const int v = flat ? 0 : 1;
    const int64_t h = flat ? 1 : xs->dim[2], w = xs->dim[xs->rank - 1], kh = flat ? 1 : ws->dim[2],
                  kw = ws->dim[ws->rank - 1];
    const int64_t oh = flat ? 1 : ys->dim[2], ow = ys->dim[ys->rank - 1], channels = xs->dim[1];
    const int64_t cg = channels / a->groups, kg = ws->dim[1], first = k / kg * cg;
    for (int64_t ic = first; ic < first + cg; ic++) {
        const float *x = (const float *)c->in[0].data + (n * channels + ic) * h * w;
        const float *f = (const float *)c->in[1].data + (ic * kg + k % kg) * kh * kw;
        for (int64_t q = 0; q < h * kh; q++) {
            const int64_t y = flat ? 0 : q / kh * a->stride[0] + q % kh * a->dilation[0] - a->pad_before[0];
            if (y < 0 || y >= oh)
                continue;
            for (int64_t j = 0; j < kw; j++)
                for (int64_t i = 0; i < w; i++) {
                    const int64_t o = i * a->stride[v] + j * a->dilation[v] - a->pad_before[v];
                    if (o >= 0 && o < ow)
                        sum[y * ow + o] += (double)x[q / kh * w + i] * (double)f[q % kh * kw + j];
                }
        }
    }
}

static void ref(const nn_call *c)
{
    const float *b = c->n_in > 2 ? c->in[2].data : NULL;
    const int64_t channels = c->out.shape.dim[1], area = nn_product(&c->out.shape, 2, c->out.shape.rank);
    double *sum = c->scratch;
    for (int64_t p = 0; p < c->out.shape.dim[0] * channels; p++) {
        float *y = (float *)c->out.data + p * area;
        for (int64_t i = 0; i < area; i++)
            sum[i] = b ? (double)b[p % channels] : 0;
        plane(c, p / channels, p % channels, sum);
        for (int64_t i = 0; i < area; i++)
            y[i] = (float)sum[i];
    }
}

static size_t scratch(const nn_call *c)
{
    return (size_t)nn_product(&c->out.shape, 2, c->out.shape.rank) * sizeof(double);
}

static double macs(const nn_graph *g, const nn_node *n)
{
    const nn_shape *w = &nn_in(g, n, 1)->shape;
    return (double)nn_elements(&nn_in(g, n, 0)->shape) * (double)nn_product(w, 1, w->rank);
}

nn_id nn_conv_transpose(nn_graph *g, nn_id x, nn_id w, nn_id b, const nn_conv_transpose_attrs *a)
{
    nn_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    for (int i = 0; a && i < 2; i++) {
        attrs.conv_transpose.stride[i] = a->stride[i];
        attrs.conv_transpose.dilation[i] = a->dilation[i];
        attrs.conv_transpose.pad_before[i] = a->pad_before[i];
        attrs.conv_transpose.pad_after[i] = a->pad_after[i];
        attrs.conv_transpose.output_pad[i] = a->output_pad[i];
    }
    attrs.conv_transpose.groups = a ? a->groups : 1;
    return nn_add(g, &nn_op_conv_transpose, &attrs, (nn_id[]){ x, w, b }, 3);
}

/* Weights are [groups, C / groups, K / groups, taps]. */
static nn_id fold_after(nn_graph *g, nn_id node, nn_id scale, nn_id offset)
{
    const nn_node n = *nn_at(g, node);
    const nn_shape shape = nn_in(g, &n, 1)->shape;
    const int64_t groups = n.attrs.conv_transpose.groups;
    const nn_shape split = NN_SHAPE(groups, shape.dim[0] / groups, shape.dim[1], nn_product(&shape, 2, shape.rank));
    if (n.n_posts || !nn_in(g, &n, 1)->identity || (nn_in(g, &n, 2) && !nn_in(g, &n, 2)->identity))
        return NN_NONE;
    nn_id w = n.inputs[1];
    if (!nn_is_filled(g, scale, 1)) {
        const nn_id factors = nn_reshape(g, scale, NN_SHAPE(groups, 1, shape.dim[1], 1));
        w = nn_reshape(g, nn_mul_constants(g, nn_reshape(g, w, split), factors), shape);
    }
    const nn_id b = nn_in(g, &n, 2) ? nn_mul_constants(g, n.inputs[2], scale) : NN_NONE;
    return nn_conv_transpose(g, n.inputs[0], w, nn_add_constants(g, b, offset), &n.attrs.conv_transpose);
}

/* It is the transposed map of a convolution, whose gradients are that convolution, and its own by the weights with input and
 * upstream gradient in each other's place. */
static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const nn_conv_transpose_attrs *t = &n.attrs.conv_transpose;
    nn_conv_attrs conv;
    memset(&conv, 0, sizeof conv);
    for (int i = 0; i < 2; i++) {
        conv.stride[i] = t->stride[i];
        conv.dilation[i] = t->dilation[i];
        conv.pad_before[i] = t->pad_before[i];
        conv.pad_after[i] = SM_MAX(t->pad_after[i] - t->output_pad[i], 0);
    }
    conv.groups = t->groups;
    const nn_id back = nn_conv(g, upstream, n.inputs[1], NN_NONE, &conv);
    if (inputs[1] != NN_NONE) {
        nn_attrs a = nn_at(g, back) ? nn_at(g, back)->attrs : n.attrs;
        const nn_conv_attrs resolved = a.conv;
        memset(&a, 0, sizeof a);
        a.conv_grad.conv = resolved;
        a.conv_grad.shape = nn_shape_of(g, n.inputs[1]);
        inputs[1] =
            nn_reshape(g, nn_add(g, &nn_op_conv_grad_w, &a, (nn_id[]){ upstream, n.inputs[0] }, 2), a.conv_grad.shape);
    }
    inputs[0] = back;
    if (inputs[2] != NN_NONE)
        inputs[2] = nn_reduce(g, NN_REDUCE_SUM, upstream, n.shape.rank == 3 ? 1 | 4 : 1 | 4 | 8, false);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int axes = nn_random_int(r, 1, 2), groups = nn_random_int(r, 0, 2) ? 1 : nn_random_int(r, 2, 3);
    const int cg = nn_random_int(r, 1, 9), kg = nn_random_int(r, 1, 9);
    nn_conv_transpose_attrs a = { .groups = groups };
    nn_shape x = { 2 + axes, { nn_random_int(r, 1, 3), groups * cg } }, w = { 2 + axes, { groups * cg, kg } };
    for (int i = 0; i < axes; i++) {
        x.dim[2 + i] = nn_random_int(r, 2, 9);
        w.dim[2 + i] = nn_random_int(r, 1, 8);
        a.stride[i] = nn_random_int(r, 1, 4);
        a.dilation[i] = nn_random_int(r, 0, 3) ? 1 : 2;
        a.pad_before[i] = nn_random_int(r, 0, SM_MIN((int)w.dim[2 + i] / 2, 2));
        a.pad_after[i] = nn_random_int(r, 0, SM_MIN((int)w.dim[2 + i] / 2, 2));
        a.output_pad[i] = nn_random_int(r, 0, a.stride[i] - 1);
    }
    const nn_id in = nn_random_input(g, r, x, -1, 1), weight = nn_random_weight(g, r, w, -1, 1);
    const nn_id bias = nn_random_int(r, 0, 1) ? nn_random_weight(g, r, NN_SHAPE(groups * kg), -1, 1) : NN_NONE;
    return nn_conv_transpose(g, in, weight, bias, &a);
}

const nn_op nn_op_conv_transpose = { .name = "conv_transpose",
                                     .min_in = 2,
                                     .max_in = 3,
                                     .infer = infer,
                                     .posts = 1,
                                     .fold_after = fold_after,
                                     .ref = ref,
                                     .scratch = scratch,
                                     .macs = macs,
                                     .gradient = gradient,
                                     .random = generate };
