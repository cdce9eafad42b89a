/* Functions of two numbers, broadcast as numpy does. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

double nn_binary_value(nn_binary_kind kind, double a, double b)
{
    switch (kind) {
    case NN_ADD:
        return a + b;
    case NN_SUB:
        return a - b;
    case NN_MUL:
        return a * b;
    case NN_DIV:
        return a / b;
    case NN_MAX:
        return a > b || a != a ? a : b;
    case NN_MIN:
        return a < b || a != a ? a : b;
    default:
        return pow(a, b);
    }
}

static int infer(const nn_graph *g, nn_node *n)
{
    const nn_node *a = nn_in(g, n, 0), *b = nn_in(g, n, 1);
    char ta[256], tb[256];
    if ((unsigned)n->attrs.binary.kind >= NN_BINARY_KINDS)
        return sm_fail(SM_EUSAGE, "no such function: %d", (int)n->attrs.binary.kind);
    if (nn_broadcast(&a->shape, &b->shape, &n->shape) < 0)
        return sm_fail(SM_EFORMAT, "%s does not broadcast with %s", nn_operand_text(a, ta), nn_operand_text(b, tb));
    return 0;
}

static void ref(const nn_call *c)
{
    const float *a = c->in[0].data, *b = c->in[1].data;
    float *y = c->out.data;
    const int64_t n = nn_elements(&c->out.shape);
    const nn_binary_kind kind = c->attrs->binary.kind;
    nn_walk w;
    nn_walk_start(&w, &c->out.shape);
    nn_broadcast_strides(&c->in[0].shape, &c->out.shape, w.stride[0]);
    nn_broadcast_strides(&c->in[1].shape, &c->out.shape, w.stride[1]);
    for (int64_t i = 0; i < n; i++, nn_walk_next(&w))
        y[i] = (float)nn_binary_value(kind, (double)a[w.at[0]], (double)b[w.at[1]]);
}

nn_id nn_binary(nn_graph *g, nn_binary_kind kind, nn_id a, nn_id b)
{
    nn_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    attrs.binary.kind = kind;
    return nn_add(g, &nn_op_binary, &attrs, (nn_id[]){ a, b }, 2);
}

static nn_id sink(nn_graph *g, nn_id node, const int *order)
{
    const nn_node n = *nn_at(g, node);
    nn_id in[2];
    for (int i = 0; i < 2; i++)
        if ((in[i] = nn_unpermuted(g, n.inputs[i], order, n.shape.rank)) == NN_NONE)
            return NN_NONE;
    return nn_permute(g, nn_add(g, n.op, &n.attrs, in, 2), order);
}

/* u where a > b, else 0 (ReLU's slope at a - b) */
static nn_id where_greater(nn_graph *g, nn_id a, nn_id b, nn_id u)
{
    nn_attrs relu;
    memset(&relu, 0, sizeof relu);
    relu.unary.kind = NN_RELU;
    const nn_id difference = nn_binary(g, NN_SUB, a, b);
    return nn_unary_grad(g, &relu, difference, u);
}

/* By both operands, of the result's shape. */
static void slopes(nn_graph *g, const nn_node *n, nn_id y, nn_id u, nn_id by[2])
{
    const nn_id a = n->inputs[0], b = n->inputs[1];
    const nn_binary_kind kind = n->attrs.binary.kind;
    by[0] = by[1] = u;
    if (kind == NN_SUB) {
        by[1] = nn_unary(g, NN_NEG, u);
    } else if (kind == NN_MUL) {
        by[0] = nn_binary(g, NN_MUL, u, b);
        by[1] = nn_binary(g, NN_MUL, u, a);
    } else if (kind == NN_DIV) {
        by[0] = nn_binary(g, NN_DIV, u, b);
        by[1] = nn_unary(g, NN_NEG, nn_binary(g, NN_MUL, by[0], y));
    } else if (kind == NN_MAX || kind == NN_MIN) {
        by[0] = kind == NN_MAX ? where_greater(g, a, b, u) : where_greater(g, b, a, u);
        by[1] = nn_binary(g, NN_SUB, u, by[0]);
    } else if (kind == NN_POW) { /* a^b: b a^(b - 1), a^b log a */
        const nn_id less = nn_binary(g, NN_SUB, b, nn_const_scalar(g, 1));
        by[0] = nn_binary(g, NN_MUL, u, nn_binary(g, NN_MUL, b, nn_binary(g, NN_POW, a, less)));
        by[1] = nn_binary(g, NN_MUL, u, nn_binary(g, NN_MUL, y, nn_unary(g, NN_LOG, a)));
    }
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    nn_id by[2];
    slopes(g, &n, node, upstream, by);
    for (int i = 0; i < 2; i++)
        if (inputs[i] != NN_NONE)
            inputs[i] = nn_sum_to(g, by[i], nn_shape_of(g, n.inputs[i]));
}

/* Shapes that broadcast: each axis of either operand may be 1, the second may have fewer. */
static nn_id generate(nn_graph *g, nn_random *r)
{
    const nn_binary_kind kind = (nn_binary_kind)nn_random_int(r, 0, NN_BINARY_KINDS - 1);
    const int rank = nn_random_int(r, 1, 4), less = nn_random_int(r, 0, 2) ? 0 : nn_random_int(r, 0, rank);
    nn_shape a = { .rank = rank }, b = { .rank = rank - less };
    for (int i = 0; i < rank; i++) {
        const int64_t dim = nn_random_int(r, 1, 9);
        a.dim[i] = nn_random_int(r, 0, 5) ? dim : 1;
        if (i >= less)
            b.dim[i - less] = nn_random_int(r, 0, 3) ? dim : 1;
    }
    const nn_id x = nn_random_input(g, r, a, 0.5, 3);
    const nn_id y = nn_random_int(r, 0, 1) ? nn_random_input(g, r, b, 0.5, 2) : nn_random_weight(g, r, b, 0.5, 2);
    return nn_random_int(r, 0, 3) ? nn_binary(g, kind, x, y) : nn_binary(g, kind, y, x);
}

const nn_op nn_op_binary = { .name = "binary",
                             .min_in = 2,
                             .max_in = 2,
                             .inplace = true,
                             .infer = infer,
                             .ref = ref,
                             .sink = sink,
                             .gradient = gradient,
                             .random = generate };
