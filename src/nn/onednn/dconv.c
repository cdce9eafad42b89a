/* DConv: residual branches along the last axis, each item (and each row of an image) by itself:
 *     x + scale * GLU(norm2(w2 GELU(norm1(w1 * x + b1)) + b2)),  the norms over all of an item's channels and steps.
 * Defossez 2021 (arXiv 2111.03600), as HTDemucs has it. Models spell it out; here the parts become one node, of which dconv_step.c never
 * writes the wide tensors. */
#include "nn/onednn/dconv.h"

#include "nn/ops/norm_rows.h"

#include <string.h>

/* ---- the operator ---- */

static int infer(const nn_graph *g, nn_node *n)
{
    n->shape = nn_in(g, n, 0)->shape;
    return 0;
}

void nn_dconv_measure(const nn_shape *x, const nn_shape *w1, nn_dconv_shape *out)
{
    *out = (nn_dconv_shape){
        .channels = (int)x->dim[1], .hidden = (int)w1->dim[0], .taps = (int)w1->dim[2], .steps = x->dim[x->rank - 1]
    };
    out->rows = x->rank == 4 ? x->dim[2] : 1;
    out->items = x->dim[0] * out->rows;
}

/* Item i's channel c in plain order. */
static float *line(const nn_dconv_shape *s, void *data, int64_t i, int64_t c)
{
    return (float *)data + ((i / s->rows * s->channels + c) * s->rows + i % s->rows) * s->steps;
}

static void normalise(float *v, int64_t rows, int64_t steps, const float *gamma, const float *beta, float eps)
{
    double mean, inverse;

    nn_row_statistics(v, rows * steps, (double)eps, &mean, &inverse);
    for (int64_t i = 0; i < rows * steps; i++)
        v[i] = (float)(((double)v[i] - mean) * inverse * (double)gamma[i / steps] + (double)beta[i / steps]);
}

/* u [hidden][steps] and y [2 channels][steps] are work; x is one item, in place. */
static void branch(const nn_dconv_shape *s, void *x, int64_t item, const nn_operand *in, int dilation, float eps,
                   float *u, float *y)
{
    const float *w1 = in[NN_DCONV_W1].data, *b1 = in[NN_DCONV_B1].data, *w2 = in[NN_DCONV_W2].data,
                *b2 = in[NN_DCONV_B2].data, *scale = in[NN_DCONV_SCALE].data;

    for (int64_t k = 0; k < s->hidden; k++)
        for (int64_t t = 0; t < s->steps; t++) {
            double sum = (double)b1[k];
            for (int64_t c = 0; c < s->channels; c++)
                for (int q = 0; q < s->taps; q++) {
                    const int64_t at = t + (int64_t)(q - s->taps / 2) * dilation;
                    if (at >= 0 && at < s->steps)
                        sum += (double)w1[(k * s->channels + c) * s->taps + q] * (double)line(s, x, item, c)[at];
                }
            u[k * s->steps + t] = (float)sum;
        }
    normalise(u, s->hidden, s->steps, in[NN_DCONV_GAMMA1].data, in[NN_DCONV_BETA1].data, eps);
    for (int64_t i = 0; i < s->hidden * s->steps; i++)
        u[i] = (float)nn_unary_value(NN_GELU, (double)u[i], 0, 0);
    for (int64_t k = 0; k < 2 * s->channels; k++)
        for (int64_t t = 0; t < s->steps; t++) {
            double sum = (double)b2[k];
            for (int64_t h = 0; h < s->hidden; h++)
                sum += (double)w2[k * s->hidden + h] * (double)u[h * s->steps + t];
            y[k * s->steps + t] = (float)sum;
        }
    normalise(y, 2 * s->channels, s->steps, in[NN_DCONV_GAMMA2].data, in[NN_DCONV_BETA2].data, eps);
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t t = 0; t < s->steps; t++)
            line(s, x, item, c)[t] +=
                (float)((double)scale[c] * (double)y[c * s->steps + t] *
                        nn_unary_value(NN_SIGMOID, (double)y[(s->channels + c) * s->steps + t], 0, 0));
}

static void ref(const nn_call *c)
{
    const int branches = (c->n_in - 1) / NN_DCONV_INPUTS;
    nn_dconv_shape s;

    nn_dconv_measure(&c->in[0].shape, &c->in[1].shape, &s);
    memcpy(c->out.data, c->in[0].data, (size_t)nn_elements(&c->out.shape) * sizeof(float));
    for (int64_t i = 0; i < s.items; i++)
        for (int b = 0; b < branches; b++)
            branch(&s, c->out.data, i, c->in + 1 + b * NN_DCONV_INPUTS, c->attrs->dconv.dilation[b],
                   c->attrs->dconv.eps, c->scratch, (float *)c->scratch + s.hidden * s.steps);
}

static size_t scratch(const nn_call *c)
{
    nn_dconv_shape s;
    nn_dconv_measure(&c->in[0].shape, &c->in[1].shape, &s);
    return (size_t)((s.hidden + 2 * s.channels) * s.steps) * sizeof(float);
}

static double macs(const nn_graph *g, const nn_node *n)
{
    nn_dconv_shape s;
    nn_dconv_measure(&nn_in(g, n, 0)->shape, &nn_in(g, n, 1)->shape, &s);
    return (double)((n->n_own - 1) / NN_DCONV_INPUTS) * (double)s.items * (double)s.steps * s.channels * s.hidden *
           (s.taps + 2);
}

const nn_op nn_op_dconv = { .name = "dconv",
                            .min_in = 1 + NN_DCONV_INPUTS,
                            .max_in = -1,
                            .infer = infer,
                            .ref = ref,
                            .scratch = scratch,
                            .macs = macs };

/* ---- the pattern ---- */

/* The node, if it is of this kind and nothing else sees its value. */
static const nn_node *alone(const nn_graph *g, nn_id id, const nn_op *op)
{
    return nn_is(g, id, op) && nn_uses(g, id) == 1 && nn_at(g, id)->n_posts == 0 ? nn_at(g, id) : NULL;
}

static bool constants(const nn_graph *g, const nn_id *ids, int n)
{
    for (int i = 0; i < n; i++)
        if (ids[i] == NN_NONE || !nn_is_constant(g, ids[i]))
            return false;
    return true;
}

/* A convolution that keeps the length: kernel odd, zeros on both sides. */
static bool keeps_length(const nn_graph *g, const nn_node *n)
{
    const nn_conv_attrs *a = &n->attrs.conv;
    const nn_shape *w = &nn_in(g, n, 1)->shape;
    const int pad = (int)(w->dim[w->rank - 1] / 2) * a->dilation[0];

    return w->rank == 3 && w->dim[2] % 2 && a->groups == 1 && a->stride[0] == 1 && a->pad_before[0] == pad &&
           a->pad_after[0] == pad;
}

/* Reads the branch that ends in `gated` (the scaled GLU) and starts at x: its inputs, in order. */
static bool read_branch(const nn_graph *g, nn_id x, nn_id gated, nn_id in[NN_DCONV_INPUTS], nn_attrs *attrs)
{
    const nn_node *scale = alone(g, gated, &nn_op_affine);
    const nn_node *glu = scale && scale->attrs.axis.axis == 1 ? alone(g, scale->inputs[0], &nn_op_glu) : NULL;
    const nn_node *norm2 = glu && glu->attrs.axis.axis == 1 ? alone(g, glu->inputs[0], &nn_op_group_norm) : NULL;
    const nn_node *conv2 = norm2 ? alone(g, norm2->inputs[0], &nn_op_conv) : NULL;
    const nn_node *gelu = conv2 ? alone(g, conv2->inputs[0], &nn_op_unary) : NULL;
    const nn_node *norm1 =
        gelu && gelu->attrs.unary.kind == NN_GELU ? alone(g, gelu->inputs[0], &nn_op_group_norm) : NULL;
    const nn_node *conv1 = norm1 ? alone(g, norm1->inputs[0], &nn_op_conv) : NULL;

    if (!conv1 || conv1->inputs[0] != x || conv1->shape.rank != 3 || !keeps_length(g, conv1) ||
        !keeps_length(g, conv2) || nn_in(g, conv2, 1)->shape.dim[2] != 1 || norm1->attrs.norm.groups != 1 ||
        norm2->attrs.norm.groups != 1 || norm1->attrs.norm.eps != norm2->attrs.norm.eps ||
        !nn_is_filled(g, scale->inputs[2], 0) || conv1->shape.dim[1] > NN_DCONV_MAX_HIDDEN)
        return false;
    attrs->dconv.dilation[0] = conv1->attrs.conv.dilation[0];
    attrs->dconv.eps = norm1->attrs.norm.eps;
    const nn_id found[NN_DCONV_INPUTS] = { conv1->inputs[1], conv1->inputs[2], norm1->inputs[1],
                                           norm1->inputs[2], conv2->inputs[1], conv2->inputs[2],
                                           norm2->inputs[1], norm2->inputs[2], scale->inputs[1] };
    memcpy(in, found, sizeof found);
    return constants(g, in, NN_DCONV_INPUTS);
}

static int make(nn_graph *g, nn_id old, const nn_attrs *attrs, const nn_id *inputs, int n)
{
    nn_scope_like(g, old);
    const nn_id made = nn_add(g, &nn_op_dconv, attrs, inputs, n);
    if (made == NN_NONE)
        return nn_graph_error(g);
    nn_replace(g, old, made);
    return 0;
}

/* A sum of x and a branch of x: a node, or one branch more of the node that x is. */
static int fuse_branch(nn_graph *g, nn_id id)
{
    const nn_node n = *nn_at(g, id);
    nn_id in[1 + NN_DCONV_BRANCHES * NN_DCONV_INPUTS];
    nn_attrs attrs;
    int from = 0;

    memset(&attrs, 0, sizeof attrs);
    if (n.attrs.binary.kind != NN_ADD || n.n_posts || n.shape.rank != 3)
        return 0;
    while (from < 2 && !read_branch(g, n.inputs[from], n.inputs[1 - from], in + 1, &attrs))
        from++;
    if (from == 2)
        return 0;
    in[0] = n.inputs[from];
    const nn_node x = *nn_at(g, in[0]);
    const int before = x.op == &nn_op_dconv ? (x.n_own - 1) / NN_DCONV_INPUTS : 0;
    if (before == 0 || before == NN_DCONV_BRANCHES || x.attrs.dconv.eps != attrs.dconv.eps ||
        nn_uses(g, in[0]) != 2) /* of this sum and of this branch */
        return make(g, id, &attrs, in, 1 + NN_DCONV_INPUTS);
    memmove(in + x.n_own, in + 1, NN_DCONV_INPUTS * sizeof *in);
    memcpy(in, x.inputs, (size_t)x.n_own * sizeof *in);
    const int dilation = attrs.dconv.dilation[0];
    attrs = x.attrs;
    attrs.dconv.dilation[before] = dilation;
    return make(g, id, &attrs, in, x.n_own + NN_DCONV_INPUTS);
}

static const nn_node *rows_first(const nn_graph *g, nn_id id)
{
    static const int order[4] = { 0, 2, 1, 3 };
    const nn_node *n = nn_is(g, id, &nn_op_permute) ? nn_at(g, id) : NULL;
    return n && n->shape.rank == 4 && !memcmp(n->attrs.permute.order, order, sizeof order) ? n : NULL;
}

/* Rows of an image as items, [B, C, F, T] -> [B, F, C, T] -> [B F, C, T] and back: the node takes the image as it is. */
static int take_image(nn_graph *g, nn_id id)
{
    const nn_node *back = rows_first(g, id);
    const nn_node *wide = back ? alone(g, back->inputs[0], &nn_op_reshape) : NULL;
    const nn_node *n = wide ? alone(g, wide->inputs[0], &nn_op_dconv) : NULL;
    const nn_node *flat = n ? alone(g, n->inputs[0], &nn_op_reshape) : NULL;
    const nn_node *forth = flat ? rows_first(g, flat->inputs[0]) : NULL;
    nn_id in[1 + NN_DCONV_BRANCHES * NN_DCONV_INPUTS];

    if (!forth || !nn_shape_equal(&forth->shape, &wide->shape) || n->shape.dim[1] != forth->shape.dim[2] ||
        n->shape.dim[2] != forth->shape.dim[3])
        return 0;
    const nn_attrs attrs = n->attrs;
    const int count = n->n_own;
    memcpy(in, n->inputs, (size_t)count * sizeof *in);
    in[0] = forth->inputs[0];
    return make(g, id, &attrs, in, count);
}

int nn_dnnl_fuse_dconv(nn_graph *g, nn_id id)
{
    if (nn_is(g, id, &nn_op_binary))
        return fuse_branch(g, id);
    return nn_is(g, id, &nn_op_permute) ? take_image(g, id) : 0;
}
