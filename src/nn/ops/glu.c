/* Gated linear unit: the first half of an axis times the sigmoid of the second. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    char text[256];
    const nn_node *x = nn_in(g, n, 0);
    const int axis = nn_axis(n->attrs.axis.axis, x->shape.rank);
    if (axis < 0 || x->shape.dim[axis] % 2)
        return sm_fail(SM_EFORMAT, "%s has no halves along axis %d", nn_operand_text(x, text), n->attrs.axis.axis);
    n->attrs.axis.axis = axis;
    n->shape = x->shape;
    n->shape.dim[axis] /= 2;
    return 0;
}

static void ref(const nn_call *c)
{
    const int axis = c->attrs->axis.axis;
    const int64_t half = nn_product(&c->out.shape, axis, c->out.shape.rank), outer = nn_product(&c->out.shape, 0, axis);
    const float *x = c->in[0].data;
    float *y = c->out.data;
    for (int64_t o = 0; o < outer; o++, x += 2 * half, y += half)
        for (int64_t i = 0; i < half; i++)
            y[i] = (float)((double)x[i] * nn_unary_value(NN_SIGMOID, (double)x[half + i], 0, 0));
}

nn_id nn_glu(nn_graph *g, nn_id x, int axis)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.axis.axis = axis;
    return nn_add(g, &nn_op_glu, &a, &x, 1);
}

static nn_id sink(nn_graph *g, nn_id node, const int *order)
{
    const nn_node n = *nn_at(g, node);
    const nn_id x = nn_unpermuted(g, n.inputs[0], order, n.shape.rank);
    return x == NN_NONE ? NN_NONE : nn_permute(g, nn_glu(g, x, order[n.attrs.axis.axis]), order);
}

/* a s(b): s(b) u and a s'(b) u */
static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const int axis = n.attrs.axis.axis;
    const int64_t half = n.shape.dim[axis];
    const nn_id a = nn_slice(g, n.inputs[0], axis, 0, half, 1);
    const nn_id s = nn_unary(g, NN_SIGMOID, nn_slice(g, n.inputs[0], axis, half, 2 * half, 1));
    nn_attrs sigmoid;
    memset(&sigmoid, 0, sizeof sigmoid);
    sigmoid.unary.kind = NN_SIGMOID;
    const nn_id gate = nn_unary_grad(g, &sigmoid, s, nn_binary(g, NN_MUL, upstream, a));
    inputs[0] = nn_concat(g, (nn_id[]){ nn_binary(g, NN_MUL, upstream, s), gate }, 2, axis);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 1, 4) };
    const int axis = nn_random_int(r, 0, s.rank - 1);
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = nn_random_int(r, 1, 9) * (i == axis ? 2 : 1);
    return nn_glu(g, nn_random_input(g, r, s, -3, 3), axis);
}

const nn_op nn_op_glu = { .name = "glu",
                          .min_in = 1,
                          .max_in = 1,
                          .infer = infer,
                          .ref = ref,
                          .sink = sink,
                          .gradient = gradient,
                          .random = generate };
