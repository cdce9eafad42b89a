/* An affine per channel vanishes into the weights of the operation before it or, where no padding lies between, behind it;
 * two affines in a row are one. */
#include "nn/pass.h"

/* (x s1 + o1) s2 + o2 */
static nn_id merge(nn_graph *g, const nn_node *first, const nn_node *second)
{
    const nn_id s1 = first->inputs[1], o1 = first->inputs[2], s2 = second->inputs[1], o2 = second->inputs[2];
    const nn_id scale = nn_mul_constants(g, s1, s2);
    const nn_id offset = nn_add_constants(g, nn_is_filled(g, o1, 0) ? NN_NONE : nn_mul_constants(g, o1, s2), o2);
    return nn_affine(g, first->inputs[0], scale, offset, second->attrs.axis.axis);
}

static bool constant_affine(const nn_graph *g, const nn_node *n)
{
    return n && n->op == &nn_op_affine && !n->identity && !n->n_posts && nn_in(g, n, 1)->identity &&
           nn_in(g, n, 2)->identity;
}

/* Into what comes before. */
static nn_id backwards(nn_graph *g, const nn_node *n)
{
    const nn_node before = *nn_in(g, n, 0);
    if (before.uses != 1 || before.identity)
        return NN_NONE;
    if (constant_affine(g, &before) && before.attrs.axis.axis == n->attrs.axis.axis)
        return merge(g, &before, n);
    if (before.op->fold_after && nn_channel_axis(&before) == n->attrs.axis.axis)
        return before.op->fold_after(g, n->inputs[0], n->inputs[1], n->inputs[2]);
    return NN_NONE;
}

/* Into what comes behind: only if that is the one user. Returns the user, *better what replaces it. */
static nn_id forwards(nn_graph *g, nn_id id, const nn_node *n, nn_id *better)
{
    const nn_id user = nn_only_user(g, id);
    if (user == NN_NONE)
        return NN_NONE;
    const nn_node *u = nn_at(g, user);
    if (!u->op->fold_before || u->inputs[0] != id ||
        (u->op->posts < 0 ? n->shape.rank - 1 : u->op->posts) != n->attrs.axis.axis)
        return NN_NONE;
    *better = u->op->fold_before(g, user, n->inputs[1], n->inputs[2]);
    return user;
}

static int run(nn_graph *g, const nn_pass_context *p)
{
    (void)p;
    for (nn_id id = 0; id < nn_graph_size(g); id++) {
        const nn_node n = *nn_at(g, id);
        if (!constant_affine(g, &n) || n.uses == 0)
            continue;
        nn_scope_like(g, id);
        nn_id better = backwards(g, &n);
        if (better != NN_NONE) {
            nn_replace(g, id, better);
            continue;
        }
        const nn_id user = forwards(g, id, &n, &better);
        if (user != NN_NONE && better != NN_NONE)
            nn_replace(g, user, better);
        if (nn_graph_error(g) < 0)
            return nn_graph_error(g);
    }
    return 0;
}

const nn_pass nn_pass_fold_affine = { "fold affine", run };
