/* Foreign layers with weights: convolutions, matrix products, pools, norms, LSTM. */
#include <string.h>

#include "models/import.h"

/* ---- convolutions ---- */
static void copy_pair(const int64_t *from, int n, int *to)
{
    for (int i = 0; i < n && i < 2; i++)
        to[i] = (int)SM_CLAMP(from[i], INT32_MIN, INT32_MAX);
}

/* ONNX's padding: explicit, or "same" with the odd element after (UPPER) or before (LOWER). axes: 1 or 2. */
static int onnx_pads(importer *m, const nn_shape *x, const int *kernel, const int *stride, const int *dilation,
                     int axes, int *before, int *after, bool *same_tf)
{
    const char *mode = imp_attr_text(m, "auto_pad", "NOTSET");
    int64_t pads[8] = { 0 };
    *same_tf = !strcmp(mode, "SAME_UPPER");
    if (!strcmp(mode, "NOTSET")) {
        imp_attr_ints(m, "pads", pads, 2 * axes);
        copy_pair(pads, axes, before);
        copy_pair(pads + axes, axes, after);
    } else if (!strcmp(mode, "SAME_LOWER")) {
        for (int k = 0; k < axes; k++) {
            if (stride[k] < 1)
                return imp_fail(m, "a stride of %d", stride[k]);
            const int64_t size = x->dim[2 + k], out = (size + stride[k] - 1) / stride[k];
            const int64_t total = SM_MAX((out - 1) * stride[k] + (kernel[k] - 1) * dilation[k] + 1 - size, 0);
            before[k] = (int)(total - total / 2);
            after[k] = (int)(total / 2);
        }
    }
    return 0;
}

static void onnx_steps(const importer *m, int axes, int *stride, int *dilation)
{
    int64_t v[4];
    for (int k = 0; k < 2; k++)
        stride[k] = dilation[k] = 1;
    copy_pair(v, SM_MIN(imp_attr_ints(m, "strides", v, 4), axes), stride);
    copy_pair(v, SM_MIN(imp_attr_ints(m, "dilations", v, 4), axes), dilation);
}

/* x, w and their spatial rank, which must be 1 or 2. */
static int conv_operands(importer *m, imp_value **x, imp_value **w, int *axes, int kernel[2])
{
    int err;
    if ((err = imp_need(m, 0, x)) < 0 || (err = imp_need(m, 1, w)) < 0)
        return err;
    *axes = (*x)->shape.rank - 2;
    if (*axes < 1 || *axes > 2 || (*w)->shape.rank != (*x)->shape.rank)
        return imp_fail(m, "over %d axes", *axes);
    for (int k = 0; k < *axes; k++)
        kernel[k] = (int)(*w)->shape.dim[2 + k];
    return 0;
}

int imp_conv_onnx(importer *m, const imp_op *op)
{
    imp_value *x, *w, *b = imp_in(m, 2);
    nn_conv_attrs a = { .groups = (int)imp_attr_int(m, "group", 1) };
    int axes, kernel[2] = { 1, 1 }, err;
    (void)op;
    if ((err = conv_operands(m, &x, &w, &axes, kernel)) < 0)
        return err;
    onnx_steps(m, axes, a.stride, a.dilation);
    if ((err = onnx_pads(m, &x->shape, kernel, a.stride, a.dilation, axes, a.pad_before, a.pad_after, &a.same_tf)) < 0)
        return err;
    return imp_given(m,
                     imp_give(m, 0, nn_conv(m->g, imp_node(m, x), imp_node(m, w), b ? imp_node(m, b) : NN_NONE, &a)));
}

int imp_conv_transpose(importer *m, const imp_op *op)
{
    imp_value *x, *w, *b = imp_in(m, 2);
    nn_conv_transpose_attrs a = { .groups = (int)imp_attr_int(m, "group", 1) };
    int64_t extra[4];
    bool same = false;
    int axes, kernel[2] = { 1, 1 }, err;
    (void)op;
    if ((err = conv_operands(m, &x, &w, &axes, kernel)) < 0)
        return err;
    if (imp_attr_ints(m, "output_shape", extra, 4) || strcmp(imp_attr_text(m, "auto_pad", "NOTSET"), "NOTSET"))
        return imp_fail(m, "with a given output shape or automatic padding");
    onnx_steps(m, axes, a.stride, a.dilation);
    if ((err = onnx_pads(m, &x->shape, kernel, a.stride, a.dilation, axes, a.pad_before, a.pad_after, &same)) < 0)
        return err;
    copy_pair(extra, imp_attr_ints(m, "output_padding", extra, 4), a.output_pad);
    return imp_given(
        m, imp_give(m, 0, nn_conv_transpose(m->g, imp_node(m, x), imp_node(m, w), b ? imp_node(m, b) : NN_NONE, &a)));
}

/* The steps that TensorFlow hides in a fused node, after the bias. */
static int fused_activation(importer *m, nn_id *x)
{
    const sm_foreign_attr *a = sm_foreign_attr_find(m->node, "fused_ops");
    for (size_t i = 0; a && a->kind == SM_ATTR_STRINGS && i < a->n; i++) {
        const char *s = a->strings[i];
        if (!strcmp(s, "BiasAdd"))
            continue;
        if (!strcmp(s, "Relu"))
            *x = nn_unary(m->g, NN_RELU, *x);
        else if (!strcmp(s, "Relu6"))
            *x = nn_unary_with(m->g, NN_CLIP, *x, 0, 6);
        else if (!strcmp(s, "Elu"))
            *x = nn_unary_with(m->g, NN_ELU, *x, 1, 0);
        else if (!strcmp(s, "Sigmoid"))
            *x = nn_unary(m->g, NN_SIGMOID, *x);
        else if (!strcmp(s, "Tanh"))
            *x = nn_unary(m->g, NN_TANH, *x);
        else
            return imp_fail(m, "fused with %s", s);
    }
    return 0;
}

static bool has_activation(const importer *m)
{
    const sm_foreign_attr *a = sm_foreign_attr_find(m->node, "fused_ops");
    return a && a->kind == SM_ATTR_STRINGS && a->n > 1;
}

/* [kh, kw, C, K] as ours [K, C, kh, kw]; depthwise [kh, kw, C, M] as [C M, 1, kh, kw]. */
static nn_id kernel_from_tf(importer *m, imp_value *w, bool depthwise)
{
    const int64_t *d = w->shape.dim;
    const int order[4] = { depthwise ? 2 : 3, depthwise ? 3 : 2, 0, 1 };
    const nn_shape s = depthwise ? NN_SHAPE(d[2] * d[3], 1, d[0], d[1]) : NN_SHAPE(d[3], d[2], d[0], d[1]);
    if (w->source && !strchr(w->source, '#'))
        return nn_weight(m->g, m->w, nn_name(m->g, "%s#%d%d%d%d", w->source, order[0], order[1], order[2], order[3]),
                         s);
    const nn_id k = nn_permute(m->g, imp_node(m, w), order);
    return depthwise ? nn_reshape(m->g, k, s) : k;
}

static int tf_geometry(importer *m, const imp_value *x, const imp_value *w, nn_conv_attrs *a)
{
    const char *padding = imp_attr_text(m, "padding", "VALID"), *format = imp_attr_text(m, "data_format", "NHWC");
    int64_t s[4] = { 1, 1, 1, 1 }, d[4] = { 1, 1, 1, 1 }, p[8];
    if (x->shape.rank != 4 || w->shape.rank != 4 || strcmp(format, "NHWC"))
        return imp_fail(m, "of rank %d, layout %s", x->shape.rank, format);
    imp_attr_ints(m, "strides", s, 4);
    imp_attr_ints(m, "dilations", d, 4);
    copy_pair(s + 1, 2, a->stride);
    copy_pair(d + 1, 2, a->dilation);
    if (!strcmp(padding, "SAME"))
        a->same_tf = true;
    else if (!strcmp(padding, "EXPLICIT") && imp_attr_ints(m, "explicit_paddings", p, 8) == 8)
        for (int k = 0; k < 2; k++) {
            a->pad_before[k] = (int)p[2 + 2 * k];
            a->pad_after[k] = (int)p[3 + 2 * k];
        }
    else if (strcmp(padding, "VALID"))
        return imp_fail(m, "padding %s", padding);
    return 0;
}

/* A kernel that is as wide as the picture sees its columns as channels: [N, H, W, C] is [N, H, 1, W C] in the same memory, and a
 * convolution over H alone does the work that one input channel would waste. */
static bool columns_are_channels(const imp_value *x, const imp_value *w, const nn_conv_attrs *a)
{
    return w->shape.dim[1] > 1 && w->shape.dim[1] == x->shape.dim[2] && w->shape.dim[2] == x->shape.dim[3] &&
           !a->same_tf && !a->pad_before[1] && !a->pad_after[1] && a->dilation[1] == 1 && w->source &&
           !strchr(w->source, '#');
}

static nn_id conv_columns(importer *m, imp_value *x, imp_value *w, nn_id b, const nn_conv_attrs *a)
{
    const int64_t *s = x->shape.dim, *k = w->shape.dim;
    const int to_twin[4] = { 0, 3, 1, 2 };
    const nn_id flat = nn_reshape(m->g, imp_node(m, x), NN_SHAPE(s[0], s[1], 1, s[2] * s[3]));
    const nn_id kernel =
        nn_weight(m->g, m->w, nn_name(m->g, "%s#3120", w->source), NN_SHAPE(k[3], k[1] * k[2], k[0], 1));
    nn_conv_attrs c = *a;
    c.stride[1] = 1;
    return nn_conv(m->g, nn_permute(m->g, flat, to_twin), kernel, b, &c);
}

int imp_conv_tf(importer *m, const imp_op *op)
{
    const bool depthwise = op->kind == 1;
    imp_value *x, *w, *b, *out;
    nn_conv_attrs a = { .groups = 1 };
    nn_id in, kernel, bias = NN_NONE, y;
    int err;
    if ((err = imp_need(m, 0, &x)) < 0 || (err = imp_need(m, 1, &w)) < 0 || (err = tf_geometry(m, x, w, &a)) < 0)
        return err;
    if ((b = imp_in(m, 2)))
        bias = imp_node(m, b);
    if (!depthwise && columns_are_channels(x, w, &a)) {
        y = conv_columns(m, x, w, bias, &a);
        err = fused_activation(m, &y);
        return err < 0 ? err : imp_given(m, imp_give_twin(m, 0, y));
    }
    a.groups = depthwise ? (int)x->shape.dim[3] : (int)(x->shape.dim[3] / SM_MAX(w->shape.dim[2], 1));
    kernel = kernel_from_tf(m, w, depthwise);
    in = imp_twin(m, x);
    if (x->padded_from != NN_NONE && !a.same_tf) {
        in = x->padded_from;
        for (int k = 0; k < 2; k++) {
            a.pad_before[k] += x->pad_before[k];
            a.pad_after[k] += x->pad_after[k];
        }
    }
    y = nn_conv(m->g, in, kernel, bias, &a);
    if ((err = fused_activation(m, &y)) < 0)
        return err;
    out = imp_give_twin(m, 0, y);
    if (out && bias == NN_NONE && !has_activation(m)) {
        imp_conv *c = sm_arena_get(m->arena, 1, sizeof *c, 16);
        if (!c)
            return SM_ENOMEM;
        *c = (imp_conv){ in, kernel, a };
        out->conv = c;
    }
    return imp_given(m, out);
}

int imp_bias_add(importer *m, const imp_op *op)
{
    imp_value *x, *b;
    int err;
    (void)op;
    if ((err = imp_need(m, 0, &x)) < 0 || (err = imp_need(m, 1, &b)) < 0)
        return err;
    if (x->conv)
        return imp_given(m,
                         imp_give_twin(m, 0, nn_conv(m->g, x->conv->x, x->conv->w, imp_node(m, b), &x->conv->attrs)));
    if (x->twin != NN_NONE) {
        nn_shape s = { .rank = x->shape.rank - 1, .dim = { b->shape.dim[0], 1, 1, 1, 1, 1 } };
        const nn_id bias = nn_reshape(m->g, imp_node(m, b), s);
        return imp_given(m, imp_give_twin(m, 0, nn_binary(m->g, NN_ADD, x->twin, bias)));
    }
    return imp_given(m, imp_give(m, 0, nn_binary(m->g, NN_ADD, imp_node(m, x), imp_node(m, b))));
}

/* ---- matrix products ---- */
/* w as [out, in]: transposed when it lies as [in, out]. */
static nn_id linear_weight(importer *m, imp_value *w, bool is_in_out)
{
    static const int swap[2] = { 1, 0 };
    const int64_t *d = w->shape.dim;
    if (!is_in_out)
        return imp_node(m, w);
    if (w->source && !strchr(w->source, '#'))
        return nn_weight(m->g, m->w, nn_name(m->g, "%s#10", w->source), NN_SHAPE(d[1], d[0]));
    return nn_permute(m->g, imp_node(m, w), swap);
}

int imp_gemm(importer *m, const imp_op *op)
{
    const double alpha = imp_attr_float(m, "alpha", 1), beta = imp_attr_float(m, "beta", 1);
    static const int swap[2] = { 1, 0 };
    imp_value *x, *w, *c = imp_in(m, 2);
    nn_id in, y, bias = NN_NONE;
    int err;
    (void)op;
    if ((err = imp_need(m, 0, &x)) < 0 || (err = imp_need(m, 1, &w)) < 0)
        return err;
    if (x->shape.rank != 2 || w->shape.rank != 2)
        return imp_fail(m, "of ranks %d and %d", x->shape.rank, w->shape.rank);
    in = imp_node(m, x);
    if (imp_attr_int(m, "transA", 0))
        in = nn_permute(m->g, in, swap);
    if (c && c->shape.rank == 1 && alpha == 1 && beta == 1)
        bias = imp_node(m, c);
    y = nn_linear(m->g, in, linear_weight(m, w, !imp_attr_int(m, "transB", 0)), bias);
    if (alpha != 1)
        y = nn_binary(m->g, NN_MUL, y, nn_const_scalar(m->g, (float)alpha));
    if (c && bias == NN_NONE) {
        nn_id add = imp_node(m, c);
        if (beta != 1)
            add = nn_binary(m->g, NN_MUL, add, nn_const_scalar(m->g, (float)beta));
        y = nn_binary(m->g, NN_ADD, y, add);
    }
    return imp_given(m, imp_give(m, 0, y));
}

int imp_matmul(importer *m, const imp_op *op)
{
    imp_value *a, *b;
    int err;
    (void)op;
    if ((err = imp_need(m, 0, &a)) < 0 || (err = imp_need(m, 1, &b)) < 0)
        return err;
    if (b->shape.rank == 2 && (b->source || b->numbers) && a->shape.rank >= 2)
        return imp_given(m, imp_give(m, 0, nn_linear(m->g, imp_node(m, a), linear_weight(m, b, true), NN_NONE)));
    return imp_given(m, imp_give(m, 0, nn_matmul(m->g, imp_node(m, a), imp_node(m, b), false, false)));
}

int imp_matmul_tf(importer *m, const imp_op *op)
{
    const bool ta = imp_attr_int(m, op->kind ? "adj_x" : "transpose_a", 0),
               tb = imp_attr_int(m, op->kind ? "adj_y" : "transpose_b", 0);
    imp_value *a, *b, *c = imp_in(m, 2);
    nn_id y;
    int err;
    if ((err = imp_need(m, 0, &a)) < 0 || (err = imp_need(m, 1, &b)) < 0)
        return err;
    if (op->kind == 0 && !ta && b->shape.rank == 2)
        y = nn_linear(m->g, imp_node(m, a), linear_weight(m, b, !tb), c ? imp_node(m, c) : NN_NONE);
    else {
        y = nn_matmul(m->g, imp_node(m, a), imp_node(m, b), ta, tb);
        if (c)
            y = nn_binary(m->g, NN_ADD, y, imp_node(m, c));
    }
    /* MusiCNN's embedding is the sum before the ReLU, which some files hide in the fused node */
    if (c && has_activation(m) && (err = imp_give_inner(m, "BiasAdd", y)) < 0)
        return err;
    if ((err = fused_activation(m, &y)) < 0)
        return err;
    return imp_given(m, imp_give(m, 0, y));
}

/* ---- pools ---- */
int imp_pool_onnx(importer *m, const imp_op *op)
{
    nn_pool_attrs a = { .ceil_mode = imp_attr_int(m, "ceil_mode", 0),
                        .count_padding = imp_attr_int(m, "count_include_pad", 0) };
    int64_t kernel[4];
    int dilation[2], axes, err;
    imp_value *x;
    if ((err = imp_need(m, 0, &x)) < 0)
        return err;
    axes = x->shape.rank - 2;
    if (axes < 1 || axes > 2 || imp_attr_ints(m, "kernel_shape", kernel, 4) != axes)
        return imp_fail(m, "over %d axes", axes);
    copy_pair(kernel, axes, a.kernel);
    onnx_steps(m, axes, a.stride, dilation);
    if (dilation[0] != 1 || dilation[1] != 1)
        return imp_fail(m, "with dilation");
    if ((err = onnx_pads(m, &x->shape, a.kernel, a.stride, dilation, axes, a.pad_before, a.pad_after, &a.same_tf)) < 0)
        return err;
    return imp_given(m, imp_give(m, 0, (op->kind ? nn_avg_pool : nn_max_pool)(m->g, imp_node(m, x), &a)));
}

int imp_pool_tf(importer *m, const imp_op *op)
{
    nn_pool_attrs a = { .same_tf = !strcmp(imp_attr_text(m, "padding", "VALID"), "SAME") };
    int64_t k[4] = { 1, 1, 1, 1 }, s[4] = { 1, 1, 1, 1 };
    imp_value *x;
    int err;
    if ((err = imp_need(m, 0, &x)) < 0)
        return err;
    imp_attr_ints(m, "ksize", k, 4);
    imp_attr_ints(m, "strides", s, 4);
    if (x->shape.rank != 4 || k[0] != 1 || k[3] != 1 || strcmp(imp_attr_text(m, "data_format", "NHWC"), "NHWC"))
        return imp_fail(m, "over batch or channels");
    copy_pair(k + 1, 2, a.kernel);
    copy_pair(s + 1, 2, a.stride);
    return imp_given(m, imp_give_twin(m, 0, (op->kind ? nn_avg_pool : nn_max_pool)(m->g, imp_twin(m, x), &a)));
}

int imp_global_pool(importer *m, const imp_op *op)
{
    imp_value *x;
    int err = imp_need(m, 0, &x);
    if (err < 0)
        return err;
    return imp_given(m, imp_give(m, 0,
                                 nn_reduce(m->g, op->kind, imp_node(m, x), ((1u << x->shape.rank) - 1) & ~3u, true)));
}

/* ---- norms ---- */
static int norm_operands(importer *m, nn_id p[4])
{
    for (size_t i = 0; i < 4; i++) {
        imp_value *v;
        const int err = imp_need(m, 1 + i, &v);
        if (err < 0)
            return err;
        p[i] = imp_node(m, v);
    }
    return 0;
}

int imp_batch_norm_onnx(importer *m, const imp_op *op)
{
    const float eps = (float)imp_attr_float(m, "epsilon", 1e-5);
    imp_value *x;
    nn_id p[4];
    int err;
    (void)op;
    if ((err = imp_need(m, 0, &x)) < 0 || (err = norm_operands(m, p)) < 0)
        return err;
    return imp_given(m, imp_give(m, 0, nn_batch_norm(m->g, imp_node(m, x), p[0], p[1], p[2], p[3], eps)));
}

int imp_batch_norm_tf(importer *m, const imp_op *op)
{
    const float eps = (float)imp_attr_float(m, "epsilon", 1e-4);
    imp_value *x;
    nn_id p[4];
    int err;
    (void)op;
    if ((err = imp_need(m, 0, &x)) < 0 || (err = norm_operands(m, p)) < 0)
        return err;
    if (x->shape.rank != 4 || strcmp(imp_attr_text(m, "data_format", "NHWC"), "NHWC") ||
        imp_attr_int(m, "is_training", 1))
        return imp_fail(m, "while training, or of rank %d", x->shape.rank);
    return imp_given(m, imp_give_twin(m, 0, nn_batch_norm(m->g, imp_twin(m, x), p[0], p[1], p[2], p[3], eps)));
}

int imp_layer_norm(importer *m, const imp_op *op)
{
    imp_value *x, *gamma = imp_in(m, 1), *beta = imp_in(m, 2);
    int err, axis;
    (void)op;
    if ((err = imp_need(m, 0, &x)) < 0 || (err = imp_axis(m, imp_attr_int(m, "axis", -1), x->shape.rank, &axis)) < 0)
        return err;
    if (axis != x->shape.rank - 1)
        return imp_fail(m, "over more than the last axis");
    return imp_given(m, imp_give(m, 0,
                                 nn_layer_norm(m->g, imp_node(m, x), gamma ? imp_node(m, gamma) : NN_NONE,
                                               beta ? imp_node(m, beta) : NN_NONE,
                                               (float)imp_attr_float(m, "epsilon", 1e-5))));
}

/* InstanceNormalization: a group a channel. GroupNormalization as of opset 21: gamma and beta by channel. */
int imp_group_norm(importer *m, const imp_op *op)
{
    imp_value *x, *gamma, *beta;
    int err;
    if ((err = imp_need(m, 0, &x)) < 0 || (err = imp_need(m, 1, &gamma)) < 0 || (err = imp_need(m, 2, &beta)) < 0)
        return err;
    if (x->shape.rank < 2 || gamma->shape.dim[0] != x->shape.dim[1])
        return imp_fail(m, "of rank %d with %lld scales", x->shape.rank, (long long)gamma->shape.dim[0]);
    const int groups = op->kind ? (int)imp_attr_int(m, "num_groups", 1) : (int)x->shape.dim[1];
    return imp_given(m, imp_give(m, 0,
                                 nn_group_norm(m->g, imp_node(m, x), imp_node(m, gamma), imp_node(m, beta), groups,
                                               (float)imp_attr_float(m, "epsilon", 1e-5))));
}

/* ---- LSTM, forward, one direction: x [T, N, C] to Y [T, 1, N, H] ---- */
/* ONNX orders gates i, o, f, c; ours are i, f, g (its c), o. Takes block `from` of [1, 4H, ...]. */
static nn_id gates(importer *m, imp_value *w, int64_t h, int64_t offset)
{
    static const int order[4] = { 0, 2, 3, 1 };
    const int rank = w->shape.rank;
    nn_shape s = { .rank = rank - 1, .dim = { 4 * h, w->shape.dim[2] } };
    nn_id parts[4], flat = nn_slice(m->g, imp_node(m, w), 1, offset, offset + 4 * h, 1);
    flat = nn_reshape(m->g, flat, s);
    for (int k = 0; k < 4; k++)
        parts[k] = nn_slice(m->g, flat, 0, order[k] * h, (order[k] + 1) * h, 1);
    return nn_concat(m->g, parts, 4, 0);
}

int imp_lstm(importer *m, const imp_op *op)
{
    static const int swap[3] = { 1, 0, 2 };
    const int64_t h = imp_attr_int(m, "hidden_size", 0);
    imp_value *x, *w, *r, *b = imp_in(m, 3);
    nn_id bias, y;
    int err;
    (void)op;
    if ((err = imp_need(m, 0, &x)) < 0 || (err = imp_need(m, 1, &w)) < 0 || (err = imp_need(m, 2, &r)) < 0)
        return err;
    if (strcmp(imp_attr_text(m, "direction", "forward"), "forward") || imp_attr_int(m, "layout", 0) || imp_in(m, 5) ||
        imp_in(m, 6) || imp_in(m, 7) || sm_foreign_attr_find(m->node, "activations") || x->shape.rank != 3 ||
        w->shape.rank != 3 || w->shape.dim[0] != 1 || w->shape.dim[1] != 4 * h)
        return imp_fail(m, "with two directions, a given state, peepholes or other activations");
    if (b)
        bias = nn_binary(m->g, NN_ADD, gates(m, b, h, 0), gates(m, b, h, 4 * h));
    else {
        double *zeros = imp_room(m, 4 * h);
        imp_value none = { .name = "", .shape = NN_SHAPE(4 * h), .numbers = zeros, .id = NN_NONE, .twin = NN_NONE };
        bias = zeros ? imp_node(m, &none) : NN_NONE;
    }
    y = nn_lstm(m->g, nn_permute(m->g, imp_node(m, x), swap), gates(m, w, h, 0), gates(m, r, h, 0), bias, NN_NONE,
                NN_NONE);
    y = nn_permute(m->g, y, swap);
    const nn_shape s = nn_shape_of(m->g, y);
    return imp_given(m, imp_give(m, 0, nn_reshape(m->g, y, NN_SHAPE(s.dim[0], 1, s.dim[1], s.dim[2]))));
}
