/* Operators that are one oneDNN primitive: pools, activations on their own, softmax. */
#include "nn/onednn/onednn.h"

#include <string.h>

/* A cleared primitive as the step's state. */
static nn_dnnl_primitive *start(nn_compiler *c, nn_step *out)
{
    nn_dnnl_primitive *p = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *p);

    if (p) {
        p->sum_in = -1;
        out->state = p;
        out->free_state = nn_dnnl_destroy;
    }
    return p;
}

/* ---- pools ---- */

static bool pool_desc(const nn_node *n, const nn_shape *x, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                      dnnl_pooling_desc_t *desc)
{
    const nn_pool_attrs *a = &n->attrs.pool;
    const bool largest = n->op == &nn_op_max_pool;
    dnnl_dims_t stride, kernel, before, after;

    for (int i = 0; i < x->rank - 2; i++) {
        stride[i] = a->stride[i];
        kernel[i] = a->kernel[i];
        before[i] = a->pad_before[i];
        after[i] = (n->shape.dim[2 + i] - 1) * stride[i] + kernel[i] - x->dim[2 + i] - before[i];
        if (!largest && after[i] > a->pad_after[i])
            return false; /* a window beyond the padding: what it is divided by differs between libraries */
        if (before[i] >= kernel[i])
            return false;
    }
    const dnnl_alg_kind_t alg = largest            ? dnnl_pooling_max
                                : a->count_padding ? dnnl_pooling_avg_include_padding
                                                   : dnnl_pooling_avg_exclude_padding;
    return dnnl_pooling_forward_desc_init(desc, dnnl_forward_inference, alg, from, to, stride, kernel, before, after) ==
           dnnl_success;
}

int nn_dnnl_pool_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const nn_shape x_shape = nn_in(g, &n, 0)->shape;
    const bool bf16 = n.op == &nn_op_max_pool && nn_dnnl_is_bf16(c, n.inputs[0]);
    dnnl_pooling_desc_t desc;
    nn_dnnl_arg x = { .arg = DNNL_ARG_SRC, .place = NN_ARG_IN, .in = 0 },
                y = { .arg = DNNL_ARG_DST, .place = NN_ARG_OUT };
    int err;

    if (n.n_posts)
        return 1;
    nn_shape in = x_shape, result = n.shape; /* of a part */
    const int parts = nn_dnnl_parts(c, in.dim[0]);
    in.dim[0] /= parts;
    result.dim[0] /= parts;
    const nn_dnnl_form form = nn_dnnl_form_of(c, n.inputs[0]) == NN_FORM_BLOCKED ? NN_FORM_BLOCKED : NN_FORM_LAST;
    nn_dnnl_describe_dims(&x.desc, in.rank, in.dim, form, bf16);
    nn_dnnl_describe_dims(&y.desc, result.rank, result.dim, form, bf16);
    if (!pool_desc(&n, &x_shape, &x.desc, &y.desc, &desc))
        return 1;
    nn_dnnl_primitive *p = start(c, out);
    if (!p)
        return SM_ENOMEM;
    p->parts = parts;
    if ((err = nn_dnnl_create(p, &desc, NULL, false)) < 0)
        return nn_dnnl_decline(p, out, err);
    nn_dnnl_add_arg(p, y);
    nn_dnnl_add_arg(p, x);
    const int32_t v = nn_dnnl_want(c, out, n.inputs[0], form, bf16);
    if (v < 0)
        return v;
    nn_dnnl_gives(c, out, node, form, bf16);
    nn_dnnl_finish_step(c, p, out);
    return 0;
}

/* ---- activations ---- */

int nn_dnnl_unary_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    const nn_dnnl_form form = nn_dnnl_form_of(c, n.inputs[0]);
    const int parts = nn_dnnl_parts(c, n.shape.rank > 0 ? n.shape.dim[0] : 1);
    const int64_t size = nn_elements(&n.shape) / parts;
    nn_dnnl_arg x = { .arg = DNNL_ARG_SRC, .place = NN_ARG_IN, .in = 0 },
                y = { .arg = DNNL_ARG_DST, .place = NN_ARG_OUT };
    dnnl_eltwise_desc_t desc;
    dnnl_alg_kind_t alg;
    float alpha, beta;
    int err;

    if (n.n_posts || !nn_dnnl_eltwise(n.attrs.unary.kind, n.attrs.unary.alpha, n.attrs.unary.beta, &alg, &alpha, &beta))
        return 1;
    nn_dnnl_describe_dims(&x.desc, 1, &size, false, false);
    y.desc = x.desc;
    nn_dnnl_primitive *p = start(c, out);
    if (!p)
        return SM_ENOMEM;
    p->parts = parts;
    if (dnnl_eltwise_forward_desc_init(&desc, dnnl_forward_inference, alg, &x.desc, alpha, beta) != dnnl_success)
        return nn_dnnl_decline(p, out, SM_EUNSUPPORTED);
    if ((err = nn_dnnl_create(p, &desc, NULL, false)) < 0)
        return nn_dnnl_decline(p, out, err);
    nn_dnnl_add_arg(p, y);
    nn_dnnl_add_arg(p, x);
    out->inplace = nn_dnnl_want(c, out, n.inputs[0], form, false);
    if (out->inplace < 0)
        return out->inplace;
    nn_dnnl_gives(c, out, node, form, false);
    nn_dnnl_finish_step(c, p, out);
    return 0;
}

/* ---- softmax ---- */

int nn_dnnl_softmax_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    nn_dnnl_arg x = { .arg = DNNL_ARG_SRC, .place = NN_ARG_IN, .in = 0 },
                y = { .arg = DNNL_ARG_DST, .place = NN_ARG_OUT };
    dnnl_softmax_desc_t desc;
    int err;

    if (n.n_posts)
        return 1;
    nn_dnnl_primitive *p = start(c, out);
    if (!p)
        return SM_ENOMEM;
    nn_dnnl_describe(&x.desc, &n.shape, NULL);
    y.desc = x.desc;
    if (dnnl_softmax_forward_desc_init(&desc, dnnl_forward_inference, &x.desc, n.attrs.axis.axis) != dnnl_success)
        return nn_dnnl_decline(p, out, SM_EUNSUPPORTED);
    if ((err = nn_dnnl_create(p, &desc, NULL, false)) < 0)
        return nn_dnnl_decline(p, out, err);
    nn_dnnl_add_arg(p, y);
    nn_dnnl_add_arg(p, x);
    out->inplace = nn_dnnl_want(c, out, n.inputs[0], false, false);
    if (out->inplace < 0)
        return out->inplace;
    nn_dnnl_finish_step(c, p, out);
    return 0;
}
