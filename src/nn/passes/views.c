/* What moves no numbers costs nothing and must not stand between operations that could be fused: permutations of axes of
 * length 1 are reshapes, two reshapes are one, operations that do nothing vanish, and functions of single numbers are
 * applied before a reshape. */
#include "nn/pass.h"

static bool is_reshape(const nn_graph *g, nn_id id)
{
    return nn_is(g, id, &nn_op_reshape) && !nn_is_constant(g, id);
}

/* A value that is already this node's, or NN_NONE. */
static nn_id nothing(const nn_graph *g, const nn_node *n)
{
    int64_t offset = 0;
    const nn_node *x = nn_in(g, n, 0);
    if (!x || !nn_shape_equal(&x->shape, &n->shape))
        return NN_NONE;
    if (n->op->view && n->op->view(g, n, &offset))
        return n->inputs[0]; /* all of it, in order: same shape, so offset is 0 */
    if (n->op == &nn_op_pad || (n->op == &nn_op_concat && n->n_own == 1))
        return n->inputs[0];
    return NN_NONE;
}

/* Reductions over axes of length 1 and permutations that keep the order. */
static nn_id as_reshape(nn_graph *g, const nn_node *n)
{
    int64_t offset = 0;
    const nn_node *x = nn_in(g, n, 0);
    if (n->op == &nn_op_permute && n->op->view(g, n, &offset))
        return nn_reshape(g, n->inputs[0], n->shape);
    if (n->op == &nn_op_reduce && nn_elements(&x->shape) == nn_elements(&n->shape))
        return nn_reshape(g, n->inputs[0], n->shape);
    if (n->op == &nn_op_reshape && is_reshape(g, n->inputs[0]))
        return nn_reshape(g, x->inputs[0], n->shape);
    return NN_NONE;
}

/* The axis of `before` that is `axis` of `after`, its reshape: as long, with as many numbers in front. */
static int same_axis(const nn_shape *before, const nn_shape *after, int axis)
{
    for (int i = 0; i < before->rank; i++)
        if (before->dim[i] == after->dim[axis] && nn_product(before, 0, i) == nn_product(after, 0, axis))
            return i;
    return -1;
}

static nn_id behind(nn_graph *g, const nn_node *n)
{
    if (n->n_own < 1 || n->inputs[0] == NN_NONE || !is_reshape(g, n->inputs[0]))
        return NN_NONE;
    const nn_id x = nn_at(g, n->inputs[0])->inputs[0];
    if (n->op == &nn_op_unary)
        return nn_reshape(g, nn_add(g, n->op, &n->attrs, &x, 1), n->shape);
    if (n->op == &nn_op_affine) {
        const int axis = same_axis(&nn_at(g, x)->shape, &n->shape, n->attrs.axis.axis);
        if (axis >= 0)
            return nn_reshape(g, nn_affine(g, x, n->inputs[1], n->inputs[2], axis), n->shape);
    }
    return NN_NONE;
}

/* New nodes are looked at as well: a reshape of a reshape may come of it. */
static int run(nn_graph *g, const nn_pass_context *p)
{
    (void)p;
    for (nn_id id = 0; id < nn_graph_size(g); id++) {
        const nn_node n = *nn_at(g, id);
        if (n.identity || n.n_posts || n.n_own == 0 || !nn_uses(g, id))
            continue;
        nn_scope_like(g, id);
        nn_id better = nothing(g, &n);
        if (better == NN_NONE)
            better = as_reshape(g, &n);
        if (better == NN_NONE)
            better = behind(g, &n);
        if (better != NN_NONE)
            nn_replace(g, id, better);
        if (nn_graph_error(g) < 0)
            return nn_graph_error(g);
    }
    return 0;
}

const nn_pass nn_pass_views = { "views", run };
