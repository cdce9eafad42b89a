/* Axes in another order: out.dim[i] = in.dim[order[i]]. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    const nn_shape *x = &nn_in(g, n, 0)->shape;
    unsigned seen = 0;
    for (int i = 0; i < x->rank; i++) {
        const int k = n->attrs.permute.order[i];
        if (k < 0 || k >= x->rank || seen >> k & 1)
            return sm_fail(SM_EUSAGE, "not an order of %d axes", x->rank);
        seen |= 1u << k;
        n->shape.dim[i] = x->dim[k];
    }
    for (int i = x->rank; i < NN_MAX_RANK; i++)
        n->attrs.permute.order[i] = 0;
    n->shape.rank = x->rank;
    return 0;
}

static void ref(const nn_call *c)
{
    const int32_t *x = c->in[0].data;
    int32_t *y = c->out.data;
    int64_t stride[NN_MAX_RANK] = { 0 };
    nn_walk w;
    nn_walk_start(&w, &c->out.shape);
    nn_strides(&c->in[0].shape, stride);
    for (int i = 0; i < c->out.shape.rank; i++)
        w.stride[0][i] = stride[c->attrs->permute.order[i]];
    const int64_t n = nn_elements(&c->out.shape);
    for (int64_t i = 0; i < n; i++, nn_walk_next(&w))
        y[i] = x[w.at[0]];
}

nn_id nn_permute(nn_graph *g, nn_id x, const int *order)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    for (int i = 0; i < nn_shape_of(g, x).rank; i++)
        a.permute.order[i] = order[i];
    return nn_add(g, &nn_op_permute, &a, &x, 1);
}

/* Two in a row are one, or none. */
static nn_id sink(nn_graph *g, nn_id node, const int *order)
{
    const nn_node n = *nn_at(g, node);
    const nn_id x = nn_unpermuted(g, n.inputs[0], order, n.shape.rank);
    int both[NN_MAX_RANK] = { 0 };
    bool same = true;
    for (int i = 0; i < n.shape.rank; i++) {
        both[i] = order[n.attrs.permute.order[i]];
        same = same && both[i] == i;
    }
    return same || x == NN_NONE ? x : nn_permute(g, x, both);
}

/* Only axes of length 1 move. */
static bool view(const nn_graph *g, const nn_node *n, int64_t *offset)
{
    const nn_shape *x = &nn_in(g, n, 0)->shape;
    int last = -1;
    *offset = 0;
    for (int i = 0; i < x->rank; i++) {
        const int k = n->attrs.permute.order[i];
        if (x->dim[k] != 1 && k < last)
            return false;
        last = x->dim[k] != 1 ? k : last;
    }
    return true;
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node *n = nn_at(g, node);
    int back[NN_MAX_RANK] = { 0 };
    for (int i = 0; i < n->shape.rank; i++)
        back[n->attrs.permute.order[i]] = i;
    inputs[0] = nn_permute(g, upstream, back);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 1, 5) };
    int order[NN_MAX_RANK] = { 0 };
    for (int i = 0; i < s.rank; i++) {
        s.dim[i] = nn_random_int(r, 1, 8);
        const int k = nn_random_int(r, 0, i); /* Fisher and Yates, inside out */
        order[i] = order[k];
        order[k] = i;
    }
    return nn_permute(g, nn_random_input(g, r, s, -1, 1), order);
}

const nn_op nn_op_permute = { .name = "permute",
                              .min_in = 1,
                              .max_in = 1,
                              .any_type = true,
                              .infer = infer,
                              .ref = ref,
                              .view = view,
                              .sink = sink,
                              .gradient = gradient,
                              .random = generate };
