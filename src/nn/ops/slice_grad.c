/* Gradient of a slice with steps: zeros, and the upstream numbers where they were taken from. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    const int axis = n->attrs.spread.axis;
    const nn_node *x = nn_in(g, n, 0);
    n->shape = x->shape;
    if (axis < 0 || axis >= n->shape.rank || n->attrs.spread.step < 1 || n->attrs.spread.begin < 0 ||
        n->attrs.spread.begin + (x->shape.dim[axis] - 1) * n->attrs.spread.step >= n->attrs.spread.length)
        return sm_fail(SM_EUSAGE, "not where a slice is from");
    n->shape.dim[axis] = n->attrs.spread.length;
    return 0;
}

static void ref(const nn_call *c)
{
    const nn_shape *s = &c->in[0].shape;
    const int axis = c->attrs->spread.axis;
    const int64_t inner = nn_product(s, axis + 1, s->rank), outer = nn_product(s, 0, axis), length = s->dim[axis];
    const float *x = c->in[0].data;
    float *y = c->out.data;
    memset(y, 0, (size_t)nn_elements(&c->out.shape) * sizeof *y);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < length; i++, x += inner)
            memcpy(y + (o * c->attrs->spread.length + c->attrs->spread.begin + i * c->attrs->spread.step) * inner, x,
                   (size_t)inner * sizeof *y);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const int axis = n.attrs.spread.axis;
    const int64_t length = nn_shape_of(g, n.inputs[0]).dim[axis];
    inputs[0] = nn_slice(g, upstream, axis, n.attrs.spread.begin,
                         n.attrs.spread.begin + (length - 1) * n.attrs.spread.step + 1, n.attrs.spread.step);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const nn_node n = *nn_at(g, nn_op_slice.random(g, r));
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.spread.axis = n.attrs.slice.axis;
    a.spread.begin = n.attrs.slice.begin;
    a.spread.step = n.attrs.slice.step;
    a.spread.length = nn_shape_of(g, n.inputs[0]).dim[n.attrs.slice.axis];
    return nn_add(g, &nn_op_slice_grad, &a, (nn_id[]){ nn_random_input(g, r, n.shape, -1, 1) }, 1);
}

const nn_op nn_op_slice_grad = {
    .name = "slice_grad", .min_in = 1, .max_in = 1, .infer = infer, .ref = ref, .gradient = gradient, .random = generate
};
