/* Batch norm with constant statistics is an affine: scale = gamma / sqrt(var + eps), offset = beta - mean scale. */
#include "nn/pass.h"

static nn_id as_affine(nn_graph *g, const nn_node *n)
{
    const nn_id mean = n->inputs[1], var = n->inputs[2];
    const nn_id gamma = nn_in(g, n, 3) ? n->inputs[3] : NN_NONE, beta = nn_in(g, n, 4) ? n->inputs[4] : NN_NONE;
    const nn_id inverse = nn_unary(g, NN_RSQRT, nn_binary(g, NN_ADD, var, nn_const_scalar(g, n->attrs.norm.eps)));
    const nn_id scale = gamma == NN_NONE ? inverse : nn_binary(g, NN_MUL, gamma, inverse);
    const nn_id moved = nn_unary(g, NN_NEG, nn_binary(g, NN_MUL, mean, scale));
    return nn_affine(g, n->inputs[0], scale, beta == NN_NONE ? moved : nn_binary(g, NN_ADD, beta, moved), 1);
}

static int run(nn_graph *g, const nn_pass_context *p)
{
    (void)p;
    const nn_id size = nn_graph_size(g);
    for (nn_id id = 0; id < size; id++) {
        const nn_node n = *nn_at(g, id);
        bool constant = n.op == &nn_op_batch_norm && !n.identity;
        for (int i = 1; constant && i < n.n_own; i++)
            constant = !nn_in(g, &n, i) || nn_in(g, &n, i)->identity;
        if (!constant)
            continue;
        nn_scope_like(g, id);
        nn_replace(g, id, as_affine(g, &n));
    }
    return 0;
}

const nn_pass nn_pass_batch_norm = { "batch norm", run };
