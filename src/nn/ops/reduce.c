/* Sum, mean, largest or smallest over any set of axes. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    const nn_shape *x = &nn_in(g, n, 0)->shape;
    char text[256];
    if ((unsigned)n->attrs.reduce.kind >= NN_REDUCE_KINDS)
        return sm_fail(SM_EUSAGE, "no such reduction: %d", (int)n->attrs.reduce.kind);
    if (n->attrs.reduce.axes >> x->rank)
        return sm_fail(SM_EUSAGE, "%s has no axes of mask %#x", nn_operand_text(nn_in(g, n, 0), text),
                       n->attrs.reduce.axes);
    for (int i = 0; i < x->rank; i++)
        if (!(n->attrs.reduce.axes >> i & 1))
            n->shape.dim[n->shape.rank++] = x->dim[i];
        else if (n->attrs.reduce.keep)
            n->shape.dim[n->shape.rank++] = 1;
    return 0;
}

/* Splits x's axes: `outer` walks those that stay (stride 0 of w), `inner` those that go. */
static void split(const nn_call *c, nn_walk *outer, nn_walk *inner)
{
    const nn_shape *x = &c->in[0].shape;
    int64_t stride[NN_MAX_RANK] = { 0 };
    nn_shape stay = { 0 }, go = { 0 };
    nn_walk_start(outer, &stay);
    nn_walk_start(inner, &go);
    nn_strides(x, stride);
    for (int i = 0; i < x->rank; i++) {
        nn_walk *w = c->attrs->reduce.axes >> i & 1 ? inner : outer;
        w->stride[0][w->shape.rank] = stride[i];
        w->shape.dim[w->shape.rank++] = x->dim[i];
    }
}

static void ref(const nn_call *c)
{
    const nn_reduce_kind kind = c->attrs->reduce.kind;
    const float *x = c->in[0].data;
    float *y = c->out.data;
    nn_walk outer, inner;
    split(c, &outer, &inner);
    const int64_t rows = nn_elements(&outer.shape), length = nn_elements(&inner.shape);
    for (int64_t r = 0; r < rows; r++, nn_walk_next(&outer)) {
        double sum = 0, low = INFINITY, high = -INFINITY;
        for (int64_t i = 0; i < length; i++, nn_walk_next(&inner)) {
            const double v = (double)x[outer.at[0] + inner.at[0]];
            sum += v;
            low = v < low || v != v ? v : low;
            high = v > high || v != v ? v : high;
        }
        const double results[NN_REDUCE_KINDS] = { [NN_REDUCE_SUM] = sum,
                                                  [NN_REDUCE_MEAN] = sum / (double)length,
                                                  [NN_REDUCE_MAX] = high,
                                                  [NN_REDUCE_MIN] = low };
        y[r] = (float)results[kind];
    }
}

nn_id nn_reduce(nn_graph *g, nn_reduce_kind kind, nn_id x, uint32_t axes, bool keep)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.reduce.kind = kind;
    a.reduce.axes = axes;
    a.reduce.keep = keep;
    return nn_add(g, &nn_op_reduce, &a, &x, 1);
}

/* Axes are renamed; those that stay keep their permuted order. */
static nn_id sink(nn_graph *g, nn_id node, const int *order)
{
    const nn_node n = *nn_at(g, node);
    const int rank = nn_in(g, &n, 0)->shape.rank;
    const nn_id x = nn_unpermuted(g, n.inputs[0], order, rank);
    uint32_t axes = 0;
    int left[NN_MAX_RANK], kept = 0;
    if (x == NN_NONE)
        return NN_NONE;
    for (int i = 0; i < rank; i++)
        if (n.attrs.reduce.axes >> i & 1)
            axes |= 1u << order[i];
    const nn_id y = nn_reduce(g, n.attrs.reduce.kind, x, axes, n.attrs.reduce.keep);
    if (n.attrs.reduce.keep)
        return nn_permute(g, y, order);
    for (int i = 0; i < rank; i++) {
        if (axes >> order[i] & 1)
            continue;
        left[kept] = order[i]; /* its place among the source's axes that stay */
        for (int k = 0; k < order[i]; k++)
            left[kept] -= (int)(axes >> k & 1);
        kept++;
    }
    return nn_permute(g, y, left);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const nn_reduce_kind kind = n.attrs.reduce.kind;
    nn_shape s = nn_shape_of(g, n.inputs[0]);
    double length = 1;
    for (int i = 0; i < s.rank; i++)
        if (n.attrs.reduce.axes >> i & 1) {
            length *= (double)s.dim[i];
            s.dim[i] = 1;
        }
    const nn_id kept = n.attrs.reduce.keep ? upstream : nn_reshape(g, upstream, s);
    if (kind == NN_REDUCE_SUM || kind == NN_REDUCE_MEAN)
        inputs[0] = kind == NN_REDUCE_SUM ? kept : nn_scaled(g, kept, 1 / length);
    else
        inputs[0] = nn_add(g, &nn_op_reduce_grad, &n.attrs, (nn_id[]){ n.inputs[0], kept }, 2);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 1, 5) };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = nn_random_int(r, 1, 9);
    const nn_id x = nn_random_input(g, r, s, 0.1, 1);
    const uint32_t axes = (uint32_t)nn_random_int(r, 1, (1 << s.rank) - 1);
    return nn_reduce(g, (nn_reduce_kind)nn_random_int(r, 0, NN_REDUCE_KINDS - 1), x, axes, nn_random_int(r, 0, 1));
}

const nn_op nn_op_reduce = { .name = "reduce",
                             .min_in = 1,
                             .max_in = 1,
                             .infer = infer,
                             .ref = ref,
                             .sink = sink,
                             .gradient = gradient,
                             .random = generate };
