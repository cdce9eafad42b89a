/* More at the ends of an axis: zeros, a mirror image without the edge, or the edge again. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    char text[256];
    const nn_node *x = nn_in(g, n, 0);
    const int axis = nn_axis(n->attrs.pad.axis, x->shape.rank);
    const int64_t before = n->attrs.pad.before, after = n->attrs.pad.after;
    if (axis < 0 || before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX)
        return sm_fail(SM_EUSAGE, "%s: %lld and %lld along axis %d", nn_operand_text(x, text), (long long)before,
                       (long long)after, n->attrs.pad.axis);
    if (n->attrs.pad.kind == NN_PAD_REFLECT && SM_MAX(before, after) >= x->shape.dim[axis])
        return sm_fail(SM_EFORMAT, "%s is too short to be reflected by %lld", nn_operand_text(x, text),
                       (long long)SM_MAX(before, after));
    n->attrs.pad.axis = axis;
    n->shape = x->shape;
    n->shape.dim[axis] += before + after;
    return 0;
}

int64_t nn_pad_source(nn_pad_kind kind, int64_t i, int64_t dim)
{
    if (i >= 0 && i < dim)
        return i;
    if (kind == NN_PAD_ZERO)
        return -1;
    if (kind == NN_PAD_EDGE)
        return i < 0 ? 0 : dim - 1;
    return i < 0 ? -i : 2 * (dim - 1) - i;
}

static void ref(const nn_call *c)
{
    const nn_shape *xs = &c->in[0].shape;
    const int axis = c->attrs->pad.axis;
    const int64_t inner = nn_product(xs, axis + 1, xs->rank), outer = nn_product(xs, 0, axis),
                  length = c->out.shape.dim[axis];
    int32_t *y = c->out.data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < length; i++, y += inner) {
            const int64_t from = nn_pad_source(c->attrs->pad.kind, i - c->attrs->pad.before, xs->dim[axis]);
            if (from < 0)
                memset(y, 0, (size_t)inner * 4);
            else
                memcpy(y, (const int32_t *)c->in[0].data + (o * xs->dim[axis] + from) * inner, (size_t)inner * 4);
        }
}

nn_id nn_pad(nn_graph *g, nn_id x, nn_pad_kind kind, int axis, int64_t before, int64_t after)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.pad.kind = kind;
    a.pad.axis = axis;
    a.pad.before = before;
    a.pad.after = after;
    return nn_add(g, &nn_op_pad, &a, &x, 1);
}

static nn_id sink(nn_graph *g, nn_id node, const int *order)
{
    const nn_node n = *nn_at(g, node);
    const nn_id x = nn_unpermuted(g, n.inputs[0], order, n.shape.rank);
    if (x == NN_NONE)
        return NN_NONE;
    const nn_id y = nn_pad(g, x, n.attrs.pad.kind, order[n.attrs.pad.axis], n.attrs.pad.before, n.attrs.pad.after);
    return nn_permute(g, y, order);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const int axis = n.attrs.pad.axis;
    const int64_t length = nn_shape_of(g, n.inputs[0]).dim[axis], before = n.attrs.pad.before;
    inputs[0] = n.attrs.pad.kind == NN_PAD_ZERO ? nn_slice(g, upstream, axis, before, before + length, 1)
                                                : nn_add(g, &nn_op_pad_grad, &n.attrs, &upstream, 1);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 1, 4) };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = nn_random_int(r, 1, 9);
    const int axis = nn_random_int(r, 0, s.rank - 1);
    const nn_pad_kind kind = (nn_pad_kind)nn_random_int(r, 0, NN_PAD_EDGE);
    const int most = kind == NN_PAD_REFLECT ? (int)s.dim[axis] - 1 : 5;
    const nn_id x = nn_random_input(g, r, s, -1, 1);
    return nn_pad(g, x, kind, axis, nn_random_int(r, 0, most), nn_random_int(r, 0, most));
}

const nn_op nn_op_pad = { .name = "pad",
                          .min_in = 1,
                          .max_in = 1,
                          .any_type = true,
                          .infer = infer,
                          .ref = ref,
                          .sink = sink,
                          .gradient = gradient,
                          .random = generate };
