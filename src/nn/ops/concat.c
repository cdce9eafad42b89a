/* Parts one behind the other along an axis. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    char ta[256], tb[256];
    const nn_node *first = nn_in(g, n, 0);
    const int axis = nn_axis(n->attrs.axis.axis, first->shape.rank);
    if (axis < 0)
        return sm_fail(SM_EUSAGE, "%s has no axis %d", nn_operand_text(first, ta), n->attrs.axis.axis);
    n->attrs.axis.axis = axis;
    n->shape = first->shape;
    for (int i = 1; i < n->n_own; i++) {
        nn_shape s = nn_in(g, n, i)->shape;
        const int64_t length = s.rank > axis ? s.dim[axis] : 0;
        s.dim[axis] = first->shape.dim[axis];
        if (!nn_shape_equal(&s, &first->shape))
            return sm_fail(SM_EFORMAT, "%s does not fit %s", nn_operand_text(nn_in(g, n, i), tb),
                           nn_operand_text(first, ta));
        n->shape.dim[axis] += length;
    }
    return 0;
}

static void ref(const nn_call *c)
{
    const nn_shape *s = &c->out.shape;
    const int axis = c->attrs->axis.axis;
    const int64_t outer = nn_product(s, 0, axis), row = nn_product(s, axis, s->rank);
    int64_t at = 0;
    for (int i = 0; i < c->n_in; i++) {
        const int64_t run = nn_product(&c->in[i].shape, axis, s->rank);
        for (int64_t o = 0; o < outer; o++)
            memcpy((int32_t *)c->out.data + o * row + at, (const int32_t *)c->in[i].data + o * run, (size_t)run * 4);
        at += run;
    }
}

nn_id nn_concat(nn_graph *g, const nn_id *parts, int n, int axis)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.axis.axis = axis;
    return nn_add(g, &nn_op_concat, &a, parts, n);
}

static nn_id sink(nn_graph *g, nn_id node, const int *order)
{
    const nn_node n = *nn_at(g, node);
    nn_id parts[32];
    if (n.n_own > (int)SM_LENGTH(parts))
        return NN_NONE;
    for (int i = 0; i < n.n_own; i++)
        if ((parts[i] = nn_unpermuted(g, n.inputs[i], order, n.shape.rank)) == NN_NONE)
            return NN_NONE;
    return nn_permute(g, nn_concat(g, parts, n.n_own, order[n.attrs.axis.axis]), order);
}

static bool joins(const nn_graph *g, const nn_node *n)
{
    (void)g;
    return nn_product(&n->shape, 0, n->attrs.axis.axis) == 1;
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const int axis = n.attrs.axis.axis;
    int64_t at = 0;
    for (int i = 0; i < n.n_own; i++) {
        const int64_t length = nn_shape_of(g, n.inputs[i]).dim[axis];
        if (inputs[i] != NN_NONE)
            inputs[i] = nn_slice(g, upstream, axis, at, at + length, 1);
        at += length;
    }
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int n = nn_random_int(r, 1, 4), rank = nn_random_int(r, 1, 4), axis = nn_random_int(r, 0, rank - 1);
    nn_shape s = { .rank = rank };
    nn_id parts[4];
    for (int i = 0; i < rank; i++)
        s.dim[i] = nn_random_int(r, 1, 6);
    for (int i = 0; i < n; i++) {
        s.dim[axis] = nn_random_int(r, 1, 9);
        parts[i] = nn_random_input(g, r, s, -1, 1);
        if (nn_random_int(r, 0, 1))
            parts[i] = nn_unary(g, NN_ABS, parts[i]);
    }
    return nn_concat(g, parts, n, axis);
}

const nn_op nn_op_concat = { .name = "concat",
                             .min_in = 1,
                             .max_in = -1,
                             .any_type = true,
                             .infer = infer,
                             .ref = ref,
                             .joins = joins,
                             .sink = sink,
                             .gradient = gradient,
                             .random = generate };
