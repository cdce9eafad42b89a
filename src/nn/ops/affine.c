/* x * scale + offset with vectors along one axis: what batch norm, biases and constant factors become. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    const nn_node *x = nn_in(g, n, 0);
    char text[256];
    const int axis = nn_axis(n->attrs.axis.axis, x->shape.rank);
    if (axis < 0)
        return sm_fail(SM_EUSAGE, "%s has no axis %d", nn_operand_text(x, text), n->attrs.axis.axis);
    n->attrs.axis.axis = axis;
    n->shape = x->shape;
    const int err = nn_need_shape(g, n, 1, NN_SHAPE(x->shape.dim[axis]));
    return err < 0 ? err : nn_need_shape(g, n, 2, NN_SHAPE(x->shape.dim[axis]));
}

static void ref(const nn_call *c)
{
    const float *x = c->in[0].data, *scale = c->in[1].data, *offset = c->in[2].data;
    float *y = c->out.data;
    const int64_t inner = nn_product(&c->out.shape, c->attrs->axis.axis + 1, c->out.shape.rank);
    const int64_t channels = c->out.shape.dim[c->attrs->axis.axis], n = nn_elements(&c->out.shape);
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = i / inner % channels;
        y[i] = (float)((double)x[i] * (double)scale[k] + (double)offset[k]);
    }
}

nn_id nn_affine(nn_graph *g, nn_id x, nn_id scale, nn_id offset, int axis)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.axis.axis = axis;
    return nn_add(g, &nn_op_affine, &a, (nn_id[]){ x, scale, offset }, 3);
}

static nn_id sink(nn_graph *g, nn_id node, const int *order)
{
    const nn_node n = *nn_at(g, node);
    const nn_id x = nn_unpermuted(g, n.inputs[0], order, n.shape.rank);
    if (x == NN_NONE)
        return NN_NONE;
    return nn_permute(g, nn_affine(g, x, n.inputs[1], n.inputs[2], order[n.attrs.axis.axis]), order);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const int axis = n.attrs.axis.axis;
    const uint32_t others = ((1u << n.shape.rank) - 1) & ~(1u << axis);
    nn_shape vector = { n.shape.rank, { 1, 1, 1, 1, 1, 1 } };
    vector.dim[axis] = n.shape.dim[axis];
    if (inputs[0] != NN_NONE)
        inputs[0] = nn_binary(g, NN_MUL, upstream, nn_reshape(g, n.inputs[1], vector));
    if (inputs[1] != NN_NONE)
        inputs[1] = nn_reduce(g, NN_REDUCE_SUM, nn_binary(g, NN_MUL, upstream, n.inputs[0]), others, false);
    if (inputs[2] != NN_NONE)
        inputs[2] = nn_reduce(g, NN_REDUCE_SUM, upstream, others, false);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 1, 4) };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = nn_random_int(r, 1, 17);
    const int axis = nn_random_int(r, 0, s.rank - 1);
    const nn_id x = nn_random_input(g, r, s, -1, 1);
    const nn_id scale = nn_random_weight(g, r, NN_SHAPE(s.dim[axis]), 0.5, 2);
    return nn_affine(g, x, scale, nn_random_weight(g, r, NN_SHAPE(s.dim[axis]), -1, 1), axis);
}

const nn_op nn_op_affine = { .name = "affine",
                             .min_in = 3,
                             .max_in = 3,
                             .inplace = true,
                             .infer = infer,
                             .ref = ref,
                             .sink = sink,
                             .gradient = gradient,
                             .random = generate };
