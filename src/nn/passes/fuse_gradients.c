/* A pass over a whole picture less: the gradient of a ReLU whose result goes into a largest-of pool is zero where the largest is, so the
 * pool's gradient takes care of it. */
#include "nn/pass.h"

static nn_id pooled(nn_graph *g, const nn_node *n)
{
    const nn_id from = n->inputs[1];
    if (n->attrs.unary.kind != NN_RELU || !nn_is(g, from, &nn_op_max_pool_grad) || nn_uses(g, from) != 1)
        return NN_NONE;
    const nn_node pool = *nn_at(g, from);
    if (pool.inputs[0] != n->inputs[0] || pool.n_posts)
        return NN_NONE;
    nn_attrs attrs = pool.attrs;
    attrs.pool_grad.relu = true;
    return nn_add(g, pool.op, &attrs, pool.inputs, pool.n_own);
}

static int run(nn_graph *g, const nn_pass_context *p)
{
    (void)p;
    const nn_id size = nn_graph_size(g);
    for (nn_id id = 0; id < size; id++) {
        const nn_node n = *nn_at(g, id);
        if (n.op != &nn_op_unary_grad || n.identity || n.n_posts)
            continue;
        nn_scope_like(g, id);
        const nn_id better = pooled(g, &n);
        if (better != NN_NONE)
            nn_replace(g, id, better);
    }
    return nn_graph_error(g);
}

const nn_pass nn_pass_fuse_gradients = { "fuse gradients", run };
