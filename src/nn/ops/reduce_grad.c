/* Gradient of a largest or smallest: the upstream number where the first such input is. (Sums and means need no operator.) */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n) /* x; upstream with the reduced axes kept */
{
    nn_shape s = n->shape = nn_in(g, n, 0)->shape;
    for (int i = 0; i < s.rank; i++)
        if (n->attrs.reduce.axes >> i & 1)
            s.dim[i] = 1;
    return nn_need_shape(g, n, 1, s);
}

static void ref(const nn_call *c)
{
    const nn_shape *s = &c->in[0].shape;
    const bool largest = c->attrs->reduce.kind == NN_REDUCE_MAX;
    const float *x = c->in[0].data, *upstream = c->in[1].data;
    float *dx = c->out.data;
    int64_t stride[NN_MAX_RANK] = { 0 };
    nn_shape stay = { 0 }, go = { 0 };
    nn_walk outer, inner;
    nn_walk_start(&outer, &stay);
    nn_walk_start(&inner, &go);
    nn_strides(s, stride);
    for (int i = 0; i < s->rank; i++) {
        nn_walk *w = c->attrs->reduce.axes >> i & 1 ? &inner : &outer;
        w->stride[0][w->shape.rank] = stride[i];
        w->shape.dim[w->shape.rank++] = s->dim[i];
    }
    const int64_t rows = nn_elements(&outer.shape), length = nn_elements(&inner.shape);
    memset(dx, 0, (size_t)nn_elements(s) * sizeof *dx);
    for (int64_t r = 0; r < rows; r++, nn_walk_next(&outer)) {
        int64_t best = -1;
        for (int64_t i = 0; i < length; i++, nn_walk_next(&inner)) {
            const int64_t at = outer.at[0] + inner.at[0];
            if (best < 0 || (largest ? x[at] > x[best] : x[at] < x[best]))
                best = at;
        }
        dx[best] = upstream[r];
    }
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const nn_id y = nn_op_reduce.random(g, r);
    const nn_node n = *nn_at(g, y);
    nn_shape s = nn_shape_of(g, n.inputs[0]);
    nn_attrs a = n.attrs;
    a.reduce.kind = nn_random_int(r, 0, 1) ? NN_REDUCE_MAX : NN_REDUCE_MIN;
    for (int i = 0; i < s.rank; i++)
        if (a.reduce.axes >> i & 1)
            s.dim[i] = 1;
    return nn_add(g, &nn_op_reduce_grad, &a, (nn_id[]){ n.inputs[0], nn_random_input(g, r, s, -1, 1) }, 2);
}

const nn_op nn_op_reduce_grad = {
    .name = "reduce_grad", .min_in = 2, .max_in = 2, .infer = infer, .ref = ref, .random = generate
};
