/* Gradients that are one oneDNN primitive: of activations, of average pools. */
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

/* ---- activations ---- */

/* What oneDNN calls the slope of a function of the result. */
static bool by_result(nn_unary_kind kind, dnnl_alg_kind_t *alg)
{
    static const struct {
        nn_unary_kind kind;
        dnnl_alg_kind_t alg;
    } names[] = {
        { NN_RELU, dnnl_eltwise_relu_use_dst_for_bwd }, { NN_SIGMOID, dnnl_eltwise_logistic_use_dst_for_bwd },
        { NN_TANH, dnnl_eltwise_tanh_use_dst_for_bwd }, { NN_EXP, dnnl_eltwise_exp_use_dst_for_bwd },
        { NN_SQRT, dnnl_eltwise_sqrt_use_dst_for_bwd },
    };
    for (size_t i = 0; i < SM_LENGTH(names); i++)
        if (names[i].kind == kind) {
            *alg = names[i].alg;
            return true;
        }
    return false;
}

int nn_dnnl_unary_grad_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    const nn_unary_kind kind = n.attrs.unary.kind;
    const nn_dnnl_form form_v = nn_dnnl_form_of(c, n.inputs[0]), form_u = nn_dnnl_form_of(c, n.inputs[1]);
    const nn_dnnl_form form = SM_MAX(form_v, form_u);
    const int64_t size = nn_elements(&n.shape);
    nn_dnnl_arg v = { .arg = nn_unary_by_result(kind) ? DNNL_ARG_DST : DNNL_ARG_SRC, .place = NN_ARG_IN, .in = 0 };
    nn_dnnl_arg u = { .arg = DNNL_ARG_DIFF_DST, .place = NN_ARG_IN, .in = 1 };
    nn_dnnl_arg d = { .arg = DNNL_ARG_DIFF_SRC, .place = NN_ARG_OUT };
    dnnl_eltwise_desc_t desc;
    dnnl_alg_kind_t alg;
    float alpha, beta;
    int err;

    if (n.n_posts || !nn_dnnl_eltwise(kind, n.attrs.unary.alpha, n.attrs.unary.beta, &alg, &alpha, &beta) ||
        (nn_unary_by_result(kind) && !by_result(kind, &alg)))
        return 1;
    nn_dnnl_describe_dims(&v.desc, 1, &size, NN_FORM_PLAIN, false);
    u.desc = d.desc = v.desc;
    nn_dnnl_primitive *p = start(c, out);
    if (!p)
        return SM_ENOMEM;
    if (dnnl_eltwise_backward_desc_init(&desc, alg, &u.desc, &v.desc, alpha, beta) != dnnl_success)
        return nn_dnnl_decline(p, out, SM_EUNSUPPORTED);
    if ((err = nn_dnnl_create(p, &desc, NULL, false)) < 0)
        return nn_dnnl_decline(p, out, err);
    nn_dnnl_add_arg(p, d);
    nn_dnnl_add_arg(p, v);
    nn_dnnl_add_arg(p, u);
    const int32_t first = nn_dnnl_want(c, out, n.inputs[0], form, false);
    out->inplace = first < 0 ? first : nn_dnnl_want(c, out, n.inputs[1], form, false);
    if (out->inplace < 0)
        return out->inplace;
    nn_dnnl_gives(c, out, node, form, false);
    nn_dnnl_finish_step(c, p, out);
    return 0;
}

/* ---- average pools ---- */

int nn_dnnl_avg_pool_grad_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    const nn_pool_attrs *a = &n.attrs.pool_grad.pool;
    const nn_shape from = nn_at(nn_compiler_graph(c), n.inputs[0])->shape;
    const nn_dnnl_form form = nn_dnnl_form_of(c, n.inputs[0]) == NN_FORM_BLOCKED ? NN_FORM_BLOCKED : NN_FORM_LAST;
    nn_dnnl_arg u = { .arg = DNNL_ARG_DIFF_DST, .place = NN_ARG_IN, .in = 0 };
    nn_dnnl_arg d = { .arg = DNNL_ARG_DIFF_SRC, .place = NN_ARG_OUT };
    dnnl_dims_t stride, kernel, before, after;
    dnnl_pooling_desc_t desc;
    int err;

    for (int i = 0; i < n.shape.rank - 2; i++) {
        stride[i] = a->stride[i];
        kernel[i] = a->kernel[i];
        before[i] = a->pad_before[i];
        after[i] = (from.dim[2 + i] - 1) * stride[i] + kernel[i] - n.shape.dim[2 + i] - before[i];
        if (after[i] > a->pad_after[i] || before[i] >= kernel[i])
            return 1;
    }
    nn_dnnl_describe_dims(&u.desc, from.rank, from.dim, form, false);
    nn_dnnl_describe_dims(&d.desc, n.shape.rank, n.shape.dim, form, false);
    nn_dnnl_primitive *p = start(c, out);
    if (!p)
        return SM_ENOMEM;
    if (dnnl_pooling_backward_desc_init(&desc,
                                        a->count_padding ? dnnl_pooling_avg_include_padding
                                                         : dnnl_pooling_avg_exclude_padding,
                                        &d.desc, &u.desc, stride, kernel, before, after) != dnnl_success)
        return nn_dnnl_decline(p, out, SM_EUNSUPPORTED);
    if ((err = nn_dnnl_create(p, &desc, NULL, false)) < 0)
        return nn_dnnl_decline(p, out, err);
    nn_dnnl_add_arg(p, d);
    nn_dnnl_add_arg(p, u);
    const int32_t v = nn_dnnl_want(c, out, n.inputs[0], form, false);
    if (v < 0)
        return v;
    nn_dnnl_gives(c, out, node, form, false);
    nn_dnnl_finish_step(c, p, out);
    return 0;
}
