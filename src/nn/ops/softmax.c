/* exp(x - max) / sum along one axis. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    char text[256];
    const nn_node *x = nn_in(g, n, 0);
    const int axis = nn_axis(n->attrs.axis.axis, x->shape.rank);
    if (axis < 0)
        return sm_fail(SM_EUSAGE, "%s has no axis %d", nn_operand_text(x, text), n->attrs.axis.axis);
    n->attrs.axis.axis = axis;
    n->shape = x->shape;
    return 0;
}

static void ref(const nn_call *c)
{
    const nn_shape *s = &c->out.shape;
    const int axis = c->attrs->axis.axis;
    const int64_t inner = nn_product(s, axis + 1, s->rank), length = s->dim[axis], rows = nn_elements(s) / length;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t start = row / inner * inner * length + row % inner;
        const float *x = (const float *)c->in[0].data + start;
        float *y = (float *)c->out.data + start;
        double top = -INFINITY, sum = 0;
        for (int64_t i = 0; i < length; i++)
            top = (double)x[i * inner] > top ? (double)x[i * inner] : top;
        for (int64_t i = 0; i < length; i++)
            sum += exp((double)x[i * inner] - top);
        for (int64_t i = 0; i < length; i++)
            y[i * inner] = (float)(exp((double)x[i * inner] - top) / sum);
    }
}

nn_id nn_softmax(nn_graph *g, nn_id x, int axis)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.axis.axis = axis;
    return nn_add(g, &nn_op_softmax, &a, &x, 1);
}

static nn_id sink(nn_graph *g, nn_id node, const int *order)
{
    const nn_node n = *nn_at(g, node);
    const nn_id x = nn_unpermuted(g, n.inputs[0], order, n.shape.rank);
    return x == NN_NONE ? NN_NONE : nn_permute(g, nn_softmax(g, x, order[n.attrs.axis.axis]), order);
}

/* dx = y (u - sum(u y)) */
static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const uint32_t axis = 1u << nn_at(g, node)->attrs.axis.axis;
    const nn_id along = nn_reduce(g, NN_REDUCE_SUM, nn_binary(g, NN_MUL, upstream, node), axis, true);
    inputs[0] = nn_binary(g, NN_MUL, node, nn_binary(g, NN_SUB, upstream, along));
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 1, 4) };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = nn_random_int(r, 1, 12);
    const int axis = nn_random_int(r, 0, s.rank - 1);
    return nn_softmax(g, nn_random_input(g, r, s, -6, 6), axis);
}

const nn_op nn_op_softmax = { .name = "softmax",
                              .min_in = 1,
                              .max_in = 1,
                              .inplace = true,
                              .infer = infer,
                              .ref = ref,
                              .sink = sink,
                              .gradient = gradient,
                              .random = generate };
