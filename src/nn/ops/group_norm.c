/* Group norm: axis 1 in groups; mean and variance over a group and all axes behind. One group: over everything of an item. */
#include "nn/ops/norm_rows.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    char text[256];
    int err = nn_need_rank(g, n, 0, 2, NN_MAX_RANK);
    if (err < 0)
        return err;
    const nn_node *x = nn_in(g, n, 0);
    if (n->attrs.norm.groups < 1 || x->shape.dim[1] % n->attrs.norm.groups)
        return sm_fail(SM_EFORMAT, "%s does not split into %d groups", nn_operand_text(x, text), n->attrs.norm.groups);
    n->shape = x->shape;
    const nn_shape v = NN_SHAPE(n->shape.dim[1]);
    return (err = nn_need_shape(g, n, 1, v)) < 0 ? err : nn_need_shape(g, n, 2, v);
}

static void ref(const nn_call *c)
{
    const float *gamma = c->n_in > 1 ? c->in[1].data : NULL, *beta = c->n_in > 2 ? c->in[2].data : NULL;
    const int64_t inner = nn_product(&c->out.shape, 2, c->out.shape.rank), channels = c->out.shape.dim[1];
    const int64_t run = channels / c->attrs->norm.groups * inner, rows = c->out.shape.dim[0] * c->attrs->norm.groups;
    for (int64_t r = 0; r < rows; r++) {
        const float *x = (const float *)c->in[0].data + r * run;
        float *y = (float *)c->out.data + r * run;
        double mean, inverse;
        nn_row_statistics(x, run, (double)c->attrs->norm.eps, &mean, &inverse);
        for (int64_t i = 0; i < run; i++) {
            const int64_t k = (r * run + i) / inner % channels;
            y[i] = (float)(((double)x[i] - mean) * inverse * (gamma ? (double)gamma[k] : 1) +
                           (beta ? (double)beta[k] : 0));
        }
    }
}

nn_id nn_group_norm(nn_graph *g, nn_id x, nn_id gamma, nn_id beta, int groups, float eps)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.norm.groups = groups;
    a.norm.eps = eps;
    return nn_add(g, &nn_op_group_norm, &a, (nn_id[]){ x, gamma, beta }, 3);
}

/* Seen as [N, groups, channels, places]: a group is the last two axes. */
static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const int groups = n.attrs.norm.groups;
    const nn_shape split = NN_SHAPE(n.shape.dim[0], groups, n.shape.dim[1] / groups, -1);
    const nn_shape vector = NN_SHAPE(1, groups, n.shape.dim[1] / groups, 1), v = NN_SHAPE(n.shape.dim[1]);
    const nn_id x = nn_reshape(g, n.inputs[0], split), up = nn_reshape(g, upstream, split);
    nn_id inverse;
    const nn_id xhat = nn_standardised(g, x, 4 | 8, (double)n.attrs.norm.eps, true, &inverse);
    if (inputs[0] != NN_NONE) {
        const nn_id u = n.inputs[1] == NN_NONE ? up : nn_binary(g, NN_MUL, up, nn_reshape(g, n.inputs[1], vector));
        inputs[0] = nn_reshape(g, nn_standardised_grad(g, xhat, inverse, 4 | 8, true, u), n.shape);
    }
    if (inputs[1] != NN_NONE)
        inputs[1] = nn_reshape(g, nn_sum_to(g, nn_binary(g, NN_MUL, up, xhat), vector), v);
    if (inputs[2] != NN_NONE)
        inputs[2] = nn_reshape(g, nn_sum_to(g, up, vector), v);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int groups = nn_random_int(r, 1, 4);
    nn_shape s = { .rank = nn_random_int(r, 2, 4) };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = i == 1 ? groups * nn_random_int(r, 2, 6) : nn_random_int(r, 1, 9);
    const nn_shape v = NN_SHAPE(s.dim[1]);
    const nn_id x = nn_random_input(g, r, s, -2, 3);
    const nn_id gamma = nn_random_int(r, 0, 2) ? nn_random_weight(g, r, v, 0.5, 2) : NN_NONE;
    return nn_group_norm(g, x, gamma, nn_random_int(r, 0, 2) ? nn_random_weight(g, r, v, -1, 1) : NN_NONE, groups,
                         1e-5f);
}

const nn_op nn_op_group_norm = {
    .name = "group_norm", .min_in = 1, .max_in = 3, .infer = infer, .ref = ref, .gradient = gradient, .random = generate
};
