/* Fusion across a convolution and the maximum behind it: conv, then ReLU, then affine, then the largest over a whole axis or over pairs
 * becomes one conv_fold node where the frequency domain pays, because there the unfolded result need never be written. */
#include "nn/onednn/onednn.h"

#include "nn/onednn/conv_shape.h"

#include <math.h>
#include <string.h>

/* ---- the operator ---- */

enum { IN_X, IN_W, IN_BIAS, IN_SCALE, IN_OFFSET };

static void unfolded_dims(const nn_shape *x, const nn_shape *w, const nn_conv_attrs *a, int64_t dims[2])
{
    dims[1] = 1;
    for (int i = 0; i < x->rank - 2; i++)
        dims[i] = (x->dim[2 + i] + a->pad_before[i] + a->pad_after[i] - w->dim[2 + i]) / a->stride[i] + 1;
}

static int infer(const nn_graph *g, nn_node *n)
{
    const nn_shape *x = &nn_in(g, n, IN_X)->shape, *w = &nn_in(g, n, IN_W)->shape;
    const int axis = n->attrs.conv_fold.axis;
    int64_t dims[2];

    unfolded_dims(x, w, &n->attrs.conv_fold.conv, dims);
    dims[axis] = n->attrs.conv_fold.fold == NN_FOLD_POOL2 ? dims[axis] / 2 : 1;
    n->shape = (nn_shape){ 2, { x->dim[0], w->dim[0] } };
    for (int i = 0; i < x->rank - 2; i++)
        if (i != axis || n->attrs.conv_fold.keep || n->attrs.conv_fold.fold == NN_FOLD_POOL2)
            n->shape.dim[n->shape.rank++] = dims[i];
    return 0;
}

/* One result before folding: filter k of item b at place (i, j). */
static double unfolded(const nn_call *c, int64_t b, int64_t k, int64_t i, int64_t j)
{
    const nn_conv_attrs *a = &c->attrs->conv_fold.conv;
    const nn_shape *x = &c->in[IN_X].shape, *w = &c->in[IN_W].shape;
    const int64_t height = x->dim[2], width = x->rank > 3 ? x->dim[3] : 1, kh = w->dim[2],
                  kw = w->rank > 3 ? w->dim[3] : 1;
    const float *bias = c->in[IN_BIAS].data, *scale = c->in[IN_SCALE].data, *offset = c->in[IN_OFFSET].data;
    double sum = bias ? (double)bias[k] : 0;

    for (int64_t channel = 0; channel < w->dim[1]; channel++) {
        const float *from = (const float *)c->in[IN_X].data + (b * w->dim[1] + channel) * height * width;
        const float *weight = (const float *)c->in[IN_W].data + (k * w->dim[1] + channel) * kh * kw;
        for (int64_t p = 0; p < kh; p++)
            for (int64_t q = 0; q < kw; q++) {
                const int64_t y = i * a->stride[0] + p - a->pad_before[0], z = j * a->stride[1] + q - a->pad_before[1];
                if (y >= 0 && y < height && z >= 0 && z < width)
                    sum += (double)from[y * width + z] * (double)weight[p * kw + q];
            }
    }
    if (c->attrs->conv_fold.relu)
        sum = fmax(sum, 0);
    return sum * (scale ? (double)scale[k] : 1) + (offset ? (double)offset[k] : 0);
}

static void ref(const nn_call *c)
{
    const int axis = c->attrs->conv_fold.axis, fold = c->attrs->conv_fold.fold;
    float *y = c->out.data;
    int64_t dims[2], folded[2];

    unfolded_dims(&c->in[IN_X].shape, &c->in[IN_W].shape, &c->attrs->conv_fold.conv, dims);
    const int64_t length = fold == NN_FOLD_POOL2 ? 2 : dims[axis];
    for (int i = 0; i < 2; i++)
        folded[i] = i == axis ? dims[i] / length : dims[i];
    for (int64_t b = 0; b < c->out.shape.dim[0]; b++)
        for (int64_t k = 0; k < c->out.shape.dim[1]; k++)
            for (int64_t i = 0; i < folded[0]; i++)
                for (int64_t j = 0; j < folded[1]; j++) {
                    double most = -INFINITY;
                    for (int64_t s = 0; s < length; s++)
                        most = fmax(most,
                                    unfolded(c, b, k, axis == 0 ? i * length + s : i, axis == 1 ? j * length + s : j));
                    *y++ = (float)most;
                }
}

static double macs(const nn_graph *g, const nn_node *n)
{
    const nn_shape *x = &nn_in(g, n, IN_X)->shape, *w = &nn_in(g, n, IN_W)->shape;
    int64_t dims[2];

    unfolded_dims(x, w, &n->attrs.conv_fold.conv, dims);
    return (double)x->dim[0] * (double)dims[0] * (double)dims[1] * (double)nn_elements(w);
}

const nn_op nn_op_conv_fold = {
    .name = "conv_fold", .min_in = 2, .max_in = 5, .infer = infer, .ref = ref, .macs = macs
};

/* ---- the pattern ---- */

/* Posts that the fused node can carry: [ReLU] [affine]; *affine: its post or NULL. */
static bool simple_posts(const nn_node *n, bool *relu, const nn_post **affine)
{
    int i = 0;

    *relu = i < n->n_posts && n->posts[i].kind == NN_POST_UNARY && n->posts[i].unary == NN_RELU;
    i += *relu;
    *affine = i < n->n_posts && n->posts[i].kind == NN_POST_AFFINE ? &n->posts[i] : NULL;
    return i + (*affine != NULL) == n->n_posts;
}

/* Is the node a maximum over one whole image axis, or over pairs along one? */
static bool is_fold(const nn_node *n, const nn_node *x, int *fold, int *axis)
{
    if (n->n_posts)
        return false;
    if (n->op == &nn_op_reduce) {
        const uint32_t axes = n->attrs.reduce.axes;
        *fold = NN_FOLD_ALL;
        *axis = axes == 8 ? 1 : 0;
        return n->attrs.reduce.kind == NN_REDUCE_MAX && (axes == 4 || axes == 8);
    }
    if (n->op != &nn_op_max_pool)
        return false;
    int active = 0;
    for (int i = 0; i < x->shape.rank - 2; i++) {
        const nn_pool_attrs *a = &n->attrs.pool;
        if (a->pad_before[i] || a->pad_after[i])
            return false;
        if (a->kernel[i] == 1 && a->stride[i] == 1)
            continue;
        active++;
        *axis = i;
        *fold = a->kernel[i] == x->shape.dim[2 + i] ? NN_FOLD_ALL : NN_FOLD_POOL2;
        if (*fold == NN_FOLD_POOL2 && (a->kernel[i] != 2 || a->stride[i] != 2 || a->ceil_mode))
            return false;
    }
    return active == 1;
}

static int fuse(nn_graph *g, nn_id id, bool bf16)
{
    const nn_node n = *nn_at(g, id);
    const nn_post *affine;
    nn_attrs attrs;
    bool relu;
    int fold = 0, axis = 0;

    if (n.n_inputs < 1 || !nn_is(g, n.inputs[0], &nn_op_conv) || nn_uses(g, n.inputs[0]) != 1)
        return 0;
    const nn_node conv = *nn_at(g, n.inputs[0]);
    if (!is_fold(&n, &conv, &fold, &axis) || !simple_posts(&conv, &relu, &affine) ||
        !nn_dnnl_conv_fft_pays(g, n.inputs[0], fold, axis, bf16))
        return 0;
    memset(&attrs, 0, sizeof attrs);
    attrs.conv_fold.conv = conv.attrs.conv;
    attrs.conv_fold.fold = fold;
    attrs.conv_fold.axis = axis;
    attrs.conv_fold.relu = relu;
    attrs.conv_fold.keep = n.op == &nn_op_max_pool || n.attrs.reduce.keep;
    const nn_id inputs[5] = { conv.inputs[0], conv.inputs[1], conv.inputs[2],
                              affine ? conv.inputs[affine->input] : NN_NONE,
                              affine ? conv.inputs[affine->input + 1] : NN_NONE };
    const nn_id fused = nn_add(g, &nn_op_conv_fold, &attrs, inputs, 5);
    if (fused == NN_NONE)
        return nn_graph_error(g);
    nn_node *made = nn_edit(g, fused);
    made->scope = conv.scope;
    nn_replace(g, id, fused);
    return 0;
}

int nn_dnnl_rewrite(nn_graph *g, const nn_compile_options *o)
{
    const int size = nn_graph_size(g);
    int err = 0;

    for (nn_id id = 0; id < size && err == 0; id++) {
        err = fuse(g, id, o->precision == NN_PRECISION_BF16);
        if (err == 0)
            err = nn_dnnl_fuse_gate(g, id);
        if (err == 0)
            err = nn_dnnl_fuse_dconv(g, id);
    }
    if (err == 0)
        err = nn_dnnl_rewrite_attention(g);
    return err < 0 ? err : nn_dnnl_rewrite_norm(g);
}
