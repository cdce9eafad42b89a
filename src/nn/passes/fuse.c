/* Activations, affines and residual additions become posts of the convolution or product before them, as far as the backend
 * can do them there. Later nodes first: of two branches that are added, the later one does it. */
#include "nn/pass.h"

#include <string.h>

/* Describes `user` as a post behind `node`; the number of operands, or -1: it is none. */
static int as_post(const nn_graph *g, nn_id node, nn_id user, nn_post *post, nn_id operands[2])
{
    const nn_node *n = nn_at(g, node), *u = nn_at(g, user);
    memset(post, 0, sizeof *post);
    if (u->n_posts || !nn_shape_equal(&u->shape, &n->shape))
        return -1;
    if (u->op == &nn_op_unary) {
        post->kind = NN_POST_UNARY;
        post->unary = u->attrs.unary.kind;
        post->alpha = u->attrs.unary.alpha;
        post->beta = u->attrs.unary.beta;
        return 0;
    }
    if (u->op == &nn_op_affine && u->inputs[0] == node && u->attrs.axis.axis == nn_channel_axis(n) &&
        nn_in(g, u, 1)->identity && nn_in(g, u, 2)->identity) {
        post->kind = NN_POST_AFFINE;
        post->axis = u->attrs.axis.axis;
        operands[0] = u->inputs[1];
        operands[1] = u->inputs[2];
        return 2;
    }
    if (u->op != &nn_op_binary)
        return -1;
    const int other = u->inputs[0] == node ? 1 : 0;
    const nn_binary_kind kind = u->attrs.binary.kind;
    post->kind = NN_POST_BINARY;
    post->binary = kind;
    operands[0] = u->inputs[other];
    const bool ordered = kind == NN_SUB || kind == NN_DIV || kind == NN_POW;
    return (ordered && other == 0) || kind == NN_DIV || kind == NN_POW ||
                   !nn_shape_equal(&nn_at(g, operands[0])->shape, &n->shape)
               ? -1
               : 1;
}

static int fuse_behind(nn_graph *g, const nn_pass_context *p, nn_id node)
{
    for (;;) {
        nn_post post;
        nn_id operands[2] = { NN_NONE, NN_NONE };
        const nn_id user = nn_only_user(g, node);
        if (user == NN_NONE || nn_at(g, node)->n_posts == NN_MAX_POSTS)
            return 0;
        const int n = as_post(g, node, user, &post, operands);
        if (n < 0 || (p->backend->can_fuse && !p->backend->can_fuse(g, node, &post, operands[0])))
            return 0;
        const int err = nn_add_post(g, node, &post, operands, n);
        if (err < 0)
            return err;
        nn_replace(g, user, node);
    }
}

static int run(nn_graph *g, const nn_pass_context *p)
{
    for (nn_id id = nn_graph_size(g) - 1; id >= 0; id--) {
        const nn_node *n = nn_at(g, id);
        if (!n->op->posts || n->identity)
            continue;
        const int err = fuse_behind(g, p, id);
        if (err < 0)
            return err;
    }
    return 0;
}

const nn_pass nn_pass_fuse = { "fuse", run };
