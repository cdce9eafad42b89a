/* Convolution (cross-correlation) over the last one or two axes, grouped, strided, dilated. */
#include "nn/ops/conv_geometry.h"

#include <string.h>

nn_conv_geometry nn_conv_measure(const nn_conv_attrs *a, const nn_shape *x, const nn_shape *w, const nn_shape *y)
{
    const bool flat = x->rank == 3;
    const int v = flat ? 0 : 1; /* where attributes of the width are */
    return (nn_conv_geometry){
        .n = x->dim[0],
        .c = x->dim[1],
        .k = y->dim[1],
        .groups = a->groups,
        .h = flat ? 1 : x->dim[2],
        .w = x->dim[x->rank - 1],
        .kh = flat ? 1 : w->dim[2],
        .kw = w->dim[w->rank - 1],
        .oh = flat ? 1 : y->dim[2],
        .ow = y->dim[y->rank - 1],
        .sh = flat ? 1 : a->stride[0],
        .sw = a->stride[v],
        .dh = flat ? 1 : a->dilation[0],
        .dw = a->dilation[v],
        .ph = flat ? 0 : a->pad_before[0],
        .pw = a->pad_before[v],
    };
}

static int resolve(nn_conv_attrs *a, const nn_shape *x, const nn_shape *w)
{
    const int axes = x->rank - 2;
    for (int i = 0; i < 2; i++) {
        a->stride[i] = a->stride[i] ? a->stride[i] : 1;
        a->dilation[i] = a->dilation[i] ? a->dilation[i] : 1;
        if (i >= axes)
            a->pad_before[i] = a->pad_after[i] = 0, a->stride[i] = a->dilation[i] = 1;
        else if (a->same_tf)
            nn_same_pads(x->dim[2 + i], w->dim[2 + i], a->stride[i], a->dilation[i], &a->pad_before[i],
                         &a->pad_after[i]);
        if (a->stride[i] < 1 || a->dilation[i] < 1 || a->pad_before[i] < 0 || a->pad_after[i] < 0)
            return sm_fail(SM_EUSAGE, "stride %d, dilation %d, padding %d and %d", a->stride[i], a->dilation[i],
                           a->pad_before[i], a->pad_after[i]);
    }
    a->same_tf = false;
    a->groups = a->groups ? a->groups : 1;
    return 0;
}

static int infer(const nn_graph *g, nn_node *n)
{
    nn_conv_attrs *a = &n->attrs.conv;
    char tx[256], tw[256];
    int err = nn_need_rank(g, n, 0, 3, 4);
    if (err < 0)
        return err;
    const nn_node *x = nn_in(g, n, 0), *w = nn_in(g, n, 1);
    if ((err = nn_need_rank(g, n, 1, x->shape.rank, x->shape.rank)) < 0 || (err = resolve(a, &x->shape, &w->shape)) < 0)
        return err;
    if (a->groups < 1 || w->shape.dim[1] * a->groups != x->shape.dim[1] || w->shape.dim[0] % a->groups)
        return sm_fail(SM_EFORMAT, "%s does not fit %s in %d groups", nn_operand_text(w, tw), nn_operand_text(x, tx),
                       a->groups);
    n->shape = x->shape;
    n->shape.dim[1] = w->shape.dim[0];
    for (int i = 0; i < x->shape.rank - 2; i++)
        n->shape.dim[2 + i] = nn_window_out(x->shape.dim[2 + i], w->shape.dim[2 + i], a->stride[i], a->dilation[i],
                                            a->pad_before[i], a->pad_after[i], false);
    return nn_need_shape(g, n, 2, NN_SHAPE(w->shape.dim[0]));
}

void nn_conv_columns(const nn_conv_geometry *d, int64_t offset, int64_t *from, int64_t *to)
{
    *from = offset >= 0 ? 0 : (-offset + d->sw - 1) / d->sw;
    *to = d->w - offset <= 0 ? 0 : (d->w - offset + d->sw - 1) / d->sw;
    *to = SM_MIN(*to, d->ow);
}

/* Adds one filter row's taps over one input row to a row of sums. */
static void add_row(const nn_conv_geometry *d, const float *x, const float *w, double *sum)
{
    for (int64_t j = 0; j < d->kw; j++) {
        const int64_t offset = j * d->dw - d->pw;
        const double factor = (double)w[j];
        int64_t from, to;
        nn_conv_columns(d, offset, &from, &to);
        for (int64_t o = from; o < to; o++)
            sum[o] += factor * (double)x[o * d->sw + offset];
    }
}

static void ref(const nn_call *c)
{
    const nn_conv_geometry d = nn_conv_measure(&c->attrs->conv, &c->in[0].shape, &c->in[1].shape, &c->out.shape);
    const float *x = c->in[0].data, *w = c->in[1].data, *b = c->n_in > 2 ? c->in[2].data : NULL;
    const int64_t cg = d.c / d.groups, kg = d.k / d.groups;
    double *sum = c->scratch;
    float *y = c->out.data;
    for (int64_t row = 0; row < d.n * d.k * d.oh; row++) {
        const int64_t oh = row % d.oh, k = row / d.oh % d.k, n = row / d.oh / d.k;
        for (int64_t o = 0; o < d.ow; o++)
            sum[o] = b ? (double)b[k] : 0;
        for (int64_t q = 0; q < cg * d.kh; q++) {
            const int64_t ic = q / d.kh, ih = oh * d.sh + q % d.kh * d.dh - d.ph;
            if (ih >= 0 && ih < d.h)
                add_row(&d, x + ((n * d.c + k / kg * cg + ic) * d.h + ih) * d.w, w + (k * cg * d.kh + q) * d.kw, sum);
        }
        for (int64_t o = 0; o < d.ow; o++)
            y[row * d.ow + o] = (float)sum[o];
    }
}

static size_t scratch(const nn_call *c)
{
    return (size_t)c->out.shape.dim[c->out.shape.rank - 1] * sizeof(double);
}

static double macs(const nn_graph *g, const nn_node *n)
{
    const nn_shape *w = &nn_in(g, n, 1)->shape;
    return (double)nn_elements(&n->shape) * (double)nn_product(w, 1, w->rank);
}

nn_id nn_conv(nn_graph *g, nn_id x, nn_id w, nn_id b, const nn_conv_attrs *a)
{
    nn_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    for (int i = 0; a && i < 2; i++) {
        attrs.conv.stride[i] = a->stride[i];
        attrs.conv.dilation[i] = a->dilation[i];
        attrs.conv.pad_before[i] = a->pad_before[i];
        attrs.conv.pad_after[i] = a->pad_after[i];
    }
    if (a) {
        attrs.conv.groups = a->groups;
        attrs.conv.same_tf = a->same_tf;
    }
    return nn_add(g, &nn_op_conv, &attrs, (nn_id[]){ x, w, b }, 3);
}

static bool fixed(const nn_graph *g, const nn_node *n)
{
    return !n->n_posts && nn_in(g, n, 1)->identity && (!nn_in(g, n, 2) || nn_in(g, n, 2)->identity);
}

static nn_id fold_after(nn_graph *g, nn_id node, nn_id scale, nn_id offset)
{
    const nn_node n = *nn_at(g, node);
    nn_shape per_filter = { nn_in(g, &n, 1)->shape.rank, { -1, 1, 1, 1 } };
    if (!fixed(g, &n))
        return NN_NONE;
    const nn_id w = nn_mul_constants(g, n.inputs[1], nn_reshape(g, scale, per_filter));
    const nn_id b = nn_in(g, &n, 2) ? nn_mul_constants(g, n.inputs[2], scale) : NN_NONE;
    return nn_conv(g, n.inputs[0], w, nn_add_constants(g, b, offset), &n.attrs.conv);
}

/* w (s x + o) + b = (w s) x + (sum of w o + b): only where every tap reads x, not padding, which stands for 0 after the
 * offset. Weights are seen as [groups, K / groups, C / groups, taps]. */
static nn_id fold_before(nn_graph *g, nn_id node, nn_id scale, nn_id offset)
{
    const nn_node n = *nn_at(g, node);
    const nn_conv_attrs *a = &n.attrs.conv;
    const nn_shape shape = nn_in(g, &n, 1)->shape;
    const nn_shape split =
        NN_SHAPE(a->groups, shape.dim[0] / a->groups, shape.dim[1], nn_product(&shape, 2, shape.rank));
    const nn_shape per_channel = NN_SHAPE(a->groups, 1, shape.dim[1], 1);
    if (!fixed(g, &n) || a->pad_before[0] || a->pad_before[1] || a->pad_after[0] || a->pad_after[1])
        return NN_NONE;
    const nn_id w = nn_reshape(g, n.inputs[1], split);
    const nn_id scaled = nn_reshape(g, nn_mul_constants(g, w, nn_reshape(g, scale, per_channel)), shape);
    nn_id moved = NN_NONE;
    if (!nn_is_filled(g, offset, 0)) {
        moved = nn_reduce(g, NN_REDUCE_SUM, nn_mul_constants(g, w, nn_reshape(g, offset, per_channel)), 4 | 8, false);
        moved = nn_reshape(g, moved, NN_SHAPE(shape.dim[0]));
    }
    return nn_conv(g, nn_at(g, n.inputs[0])->inputs[0], scaled,
                   nn_add_constants(g, nn_in(g, &n, 2) ? n.inputs[2] : NN_NONE, moved), a);
}

/* Weights and bias together: one pass over the activations gives both. */
static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const nn_shape w = nn_shape_of(g, n.inputs[1]);
    const int64_t count = nn_elements(&w);
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.conv_grad.conv = n.attrs.conv;
    if (inputs[0] != NN_NONE) {
        a.conv_grad.shape = nn_shape_of(g, n.inputs[0]);
        inputs[0] = nn_add(g, &nn_op_conv_grad_x, &a, (nn_id[]){ upstream, n.inputs[1] }, 2);
    }
    if (inputs[1] == NN_NONE && inputs[2] == NN_NONE)
        return;
    a.conv_grad.shape = w;
    a.conv_grad.bias = inputs[2] != NN_NONE;
    const nn_id both = nn_add(g, &nn_op_conv_grad_w, &a, (nn_id[]){ n.inputs[0], upstream }, 2);
    if (inputs[1] != NN_NONE)
        inputs[1] = nn_reshape(g, nn_slice(g, both, 0, 0, count, 1), w);
    if (inputs[2] != NN_NONE)
        inputs[2] = nn_slice(g, both, 0, count, count + w.dim[0], 1);
}

/* 1-D and 2-D; dense, grouped, depthwise; any stride, dilation and padding; sometimes SAME. */
static nn_id generate(nn_graph *g, nn_random *r)
{
    const int axes = nn_random_int(r, 1, 2);
    const int groups = nn_random_int(r, 0, 2) ? 1 : nn_random_int(r, 1, 8);
    const int cg = groups > 4 ? 1 : nn_random_int(r, 1, 9), kg = groups > 4 ? 1 : nn_random_int(r, 1, 20);
    nn_conv_attrs a = { .groups = groups, .same_tf = nn_random_int(r, 0, 3) == 0 };
    nn_shape x = { 2 + axes, { nn_random_int(r, 1, 3), groups * cg } }, w = { 2 + axes, { groups * kg, cg } };
    for (int i = 0; i < axes; i++) {
        w.dim[2 + i] = nn_random_int(r, 1, 5);
        a.stride[i] = nn_random_int(r, 1, 3);
        a.dilation[i] = nn_random_int(r, 0, 3) ? 1 : nn_random_int(r, 1, 3);
        a.pad_before[i] = nn_random_int(r, 0, 2);
        a.pad_after[i] = nn_random_int(r, 0, 2);
        x.dim[2 + i] = (w.dim[2 + i] - 1) * a.dilation[i] + nn_random_int(r, 1, 14);
    }
    const nn_id in = nn_random_input(g, r, x, -1, 1), weight = nn_random_weight(g, r, w, -1, 1);
    const nn_id bias = nn_random_int(r, 0, 1) ? nn_random_weight(g, r, NN_SHAPE(w.dim[0]), -1, 1) : NN_NONE;
    return nn_conv(g, in, weight, bias, &a);
}

const nn_op nn_op_conv = { .name = "conv",
                           .min_in = 2,
                           .max_in = 3,
                           .infer = infer,
                           .posts = 1,
                           .fold_after = fold_after,
                           .fold_before = fold_before,
                           .ref = ref,
                           .scratch = scratch,
                           .macs = macs,
                           .gradient = gradient,
                           .random = generate };
