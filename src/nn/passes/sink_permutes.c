/* Graphs from TensorFlow are NHWC with a permutation around each convolution. Each operation that can be done on either side
 * of a permutation is done before it (op->sink): permutations move towards the outputs, meet their inverse and cancel. */
#include "nn/pass.h"

/* Does permuting a value of this shape by `order` leave the numbers in place? */
static bool is_free(const nn_shape *s, const int *order)
{
    int last = -1;
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[order[i]] != 1 && order[i] < last)
            return false;
        last = s->dim[order[i]] != 1 ? order[i] : last;
    }
    return true;
}

static bool same_order(const nn_node *n, const int *order)
{
    for (int i = 0; i < n->shape.rank; i++)
        if (n->attrs.permute.order[i] != order[i])
            return false;
    return true;
}

nn_id nn_unpermuted(nn_graph *g, nn_id x, const int *order, int rank)
{
    const nn_node *n = nn_at(g, x);
    int inverse[NN_MAX_RANK] = { 0 };
    nn_shape full = { .rank = rank };
    if (!n)
        return NN_NONE;
    if (n->op == &nn_op_permute && n->shape.rank == rank && same_order(n, order) && !n->identity)
        return n->inputs[0];
    for (int i = 0; i < rank; i++) {
        const int k = i - (rank - n->shape.rank);
        inverse[order[i]] = i;
        full.dim[i] = k >= 0 ? n->shape.dim[k] : 1;
    }
    if (!n->identity && !is_free(&full, inverse))
        return NN_NONE;
    return nn_permute(g, n->shape.rank == rank ? x : nn_reshape(g, x, full), inverse);
}

/* The first input that is a permutation of something computed; *padded: its order at the node's rank. */
static const nn_node *permuted_input(const nn_graph *g, const nn_node *n, int order[NN_MAX_RANK])
{
    for (int i = 0; i < n->n_own; i++) {
        const nn_node *x = nn_in(g, n, i);
        if (!x || x->op != &nn_op_permute || x->identity)
            continue;
        for (int k = 0; k < x->shape.rank; k++)
            order[k] = x->attrs.permute.order[k];
        /* those that move nothing are views, not worth pushing: but two in a row are one */
        if (n->op == &nn_op_permute || !is_free(&nn_in(g, x, 0)->shape, order))
            return x;
    }
    return NULL;
}

/* Binary operations may broadcast a permuted value to more axes: leave those. */
static bool same_rank(const nn_node *n, const nn_node *x)
{
    return n->op == &nn_op_reduce || n->shape.rank == x->shape.rank;
}

static int run(nn_graph *g, const nn_pass_context *p)
{
    (void)p;
    for (nn_id id = 0; id < nn_graph_size(g); id++) {
        const nn_node *n = nn_at(g, id);
        int order[NN_MAX_RANK] = { 0 };
        if (!n->op->sink || n->identity || n->n_posts || !nn_uses(g, id))
            continue;
        const nn_node *x = permuted_input(g, n, order);
        if (!x || !same_rank(n, x))
            continue;
        nn_scope_like(g, id);
        const nn_id better = n->op->sink(g, id, order);
        if (better != NN_NONE)
            nn_replace(g, id, better);
        if (nn_graph_error(g) < 0)
            return nn_graph_error(g);
    }
    return 0;
}

const nn_pass nn_pass_sink_permutes = { "sink permutes", run };
