/* A part of an axis, every step-th. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    char text[256];
    const nn_node *x = nn_in(g, n, 0);
    const int axis = nn_axis(n->attrs.slice.axis, x->shape.rank);
    int64_t begin = n->attrs.slice.begin, end = n->attrs.slice.end;
    if (axis < 0)
        return sm_fail(SM_EUSAGE, "%s has no axis %d", nn_operand_text(x, text), n->attrs.slice.axis);
    const int64_t dim = x->shape.dim[axis];
    begin = SM_CLAMP(begin < 0 ? begin + dim : begin, 0, dim);
    end = SM_CLAMP(end < 0 ? end + dim : end, 0, dim);
    if (n->attrs.slice.step < 1 || begin >= end)
        return sm_fail(SM_EFORMAT, "%s: nothing lies in %lld to %lld by %lld along axis %d", nn_operand_text(x, text),
                       (long long)n->attrs.slice.begin, (long long)n->attrs.slice.end, (long long)n->attrs.slice.step,
                       axis);
    n->attrs.slice.axis = axis;
    n->attrs.slice.begin = begin;
    n->attrs.slice.end = end;
    n->shape = x->shape;
    n->shape.dim[axis] = (end - begin + n->attrs.slice.step - 1) / n->attrs.slice.step;
    return 0;
}

static void ref(const nn_call *c)
{
    const nn_shape *xs = &c->in[0].shape;
    const int axis = c->attrs->slice.axis;
    const int64_t inner = nn_product(xs, axis + 1, xs->rank), outer = nn_product(xs, 0, axis),
                  length = c->out.shape.dim[axis];
    int32_t *y = c->out.data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < length; i++, y += inner) {
            const int64_t from = o * xs->dim[axis] + c->attrs->slice.begin + i * c->attrs->slice.step;
            memcpy(y, (const int32_t *)c->in[0].data + from * inner, (size_t)inner * 4);
        }
}

nn_id nn_slice(nn_graph *g, nn_id x, int axis, int64_t begin, int64_t end, int64_t step)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.slice.axis = axis;
    a.slice.begin = begin;
    a.slice.end = end;
    a.slice.step = step;
    return nn_add(g, &nn_op_slice, &a, &x, 1);
}

static nn_id sink(nn_graph *g, nn_id node, const int *order)
{
    const nn_node n = *nn_at(g, node);
    const nn_id x = nn_unpermuted(g, n.inputs[0], order, n.shape.rank);
    if (x == NN_NONE)
        return NN_NONE;
    const nn_id y =
        nn_slice(g, x, order[n.attrs.slice.axis], n.attrs.slice.begin, n.attrs.slice.end, n.attrs.slice.step);
    return nn_permute(g, y, order);
}

static bool view(const nn_graph *g, const nn_node *n, int64_t *offset)
{
    const nn_shape *x = &nn_in(g, n, 0)->shape;
    const int axis = n->attrs.slice.axis;
    *offset = n->attrs.slice.begin * nn_product(x, axis + 1, x->rank);
    return n->attrs.slice.step == 1 && nn_product(x, 0, axis) == 1;
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const int axis = n.attrs.slice.axis;
    const int64_t length = nn_shape_of(g, n.inputs[0]).dim[axis], begin = n.attrs.slice.begin;
    nn_attrs a;
    if (n.attrs.slice.step == 1) {
        inputs[0] = nn_pad(g, upstream, NN_PAD_ZERO, axis, begin, length - begin - n.shape.dim[axis]);
        return;
    }
    memset(&a, 0, sizeof a);
    a.spread.axis = axis;
    a.spread.length = length;
    a.spread.begin = begin;
    a.spread.step = n.attrs.slice.step;
    inputs[0] = nn_add(g, &nn_op_slice_grad, &a, &upstream, 1);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 1, 4) };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = nn_random_int(r, 1, 9);
    const int axis = nn_random_int(r, 0, s.rank - 1), begin = nn_random_int(r, 0, (int)s.dim[axis] - 1);
    const int end = nn_random_int(r, begin + 1, (int)s.dim[axis]);
    const nn_id x = nn_unary(g, NN_NEG, nn_random_input(g, r, s, -1, 1));
    return nn_slice(g, x, axis, begin, end, nn_random_int(r, 1, 3));
}

const nn_op nn_op_slice = { .name = "slice",
                            .min_in = 1,
                            .max_in = 1,
                            .any_type = true,
                            .infer = infer,
                            .ref = ref,
                            .view = view,
                            .sink = sink,
                            .gradient = gradient,
                            .random = generate };
