/* Patterns that foreign graphs spell out, to the operators that backends are good at:
 *   x * sigmoid(x)                       -> swish
 *   x (+ - * /) vector along one axis    -> affine
 *   x matrix, the matrix a weight        -> linear */
#include "nn/pass.h"

static bool is_unary(const nn_graph *g, nn_id id, nn_unary_kind kind)
{
    return nn_is(g, id, &nn_op_unary) && nn_at(g, id)->attrs.unary.kind == kind && !nn_at(g, id)->n_posts;
}

static nn_id swish(nn_graph *g, const nn_node *n)
{
    if (n->attrs.binary.kind != NN_MUL)
        return NN_NONE;
    for (int i = 0; i < 2; i++)
        if (is_unary(g, n->inputs[i], NN_SIGMOID) && nn_at(g, n->inputs[i])->inputs[0] == n->inputs[1 - i])
            return nn_unary(g, NN_SWISH, n->inputs[1 - i]);
    return NN_NONE;
}

/* The axis of `out` that a constant varies along, if it is at most one. For a single number: the channels of what comes
 * before, so that it can be folded there. -1: not a vector. */
static int vector_axis(const nn_graph *g, const nn_shape *constant, const nn_node *out, nn_id x)
{
    int axis = -1;
    for (int i = 0; i < constant->rank; i++)
        if (constant->dim[i] != 1) {
            if (axis >= 0)
                return -1;
            axis = i + out->shape.rank - constant->rank;
        }
    if (axis >= 0 || out->shape.rank == 0)
        return axis;
    const nn_node *from = nn_at(g, x);
    while (from && (from->op == &nn_op_unary || from->op == &nn_op_affine))
        from = nn_in(g, from, 0);
    const int channels = from ? nn_channel_axis(from) : -1;
    return channels >= 0 && channels < out->shape.rank ? channels : out->shape.rank - 1;
}

static nn_id affine(nn_graph *g, const nn_node *n)
{
    const nn_binary_kind kind = n->attrs.binary.kind;
    const int c = nn_is_constant(g, n->inputs[1]) ? 1 : 0; /* which operand is constant */
    const nn_id x = n->inputs[1 - c];
    if (!nn_is_constant(g, n->inputs[c]) || kind > NN_DIV || (kind == NN_DIV && c == 0) ||
        !nn_shape_equal(&nn_at(g, x)->shape, &n->shape))
        return NN_NONE;
    const int axis = vector_axis(g, &nn_at(g, n->inputs[c])->shape, n, x);
    if (axis < 0)
        return NN_NONE;
    const nn_shape shape = NN_SHAPE(n->shape.dim[axis]);
    nn_id v = n->inputs[c];
    v = nn_elements(&nn_at(g, v)->shape) == shape.dim[0]
            ? nn_reshape(g, v, shape)
            : nn_binary(g, NN_MUL, nn_filled(g, shape, 1), nn_reshape(g, v, NN_SHAPE(1)));
    if (kind == NN_MUL)
        return nn_affine(g, x, v, nn_filled(g, shape, 0), axis);
    if (kind == NN_DIV)
        return nn_affine(g, x, nn_unary(g, NN_RECIPROCAL, v), nn_filled(g, shape, 0), axis);
    if (kind == NN_SUB && c == 1)
        v = nn_unary(g, NN_NEG, v);
    return nn_affine(g, x, nn_filled(g, shape, kind == NN_SUB && c == 0 ? -1 : 1), v, axis);
}

static nn_id linear(nn_graph *g, const nn_node *n)
{
    const nn_id w = n->inputs[1];
    if (n->attrs.transpose.a || !nn_is_constant(g, w) || nn_at(g, w)->shape.rank != 2)
        return NN_NONE;
    return nn_linear(g, n->inputs[0], n->attrs.transpose.b ? w : nn_permute(g, w, (const int[]){ 1, 0 }), NN_NONE);
}

static int run(nn_graph *g, const nn_pass_context *p)
{
    (void)p;
    const nn_id size = nn_graph_size(g);
    for (nn_id id = 0; id < size; id++) {
        const nn_node n = *nn_at(g, id);
        nn_id better = NN_NONE;
        if (n.identity || n.n_posts)
            continue;
        nn_scope_like(g, id);
        if (n.op == &nn_op_binary && (better = swish(g, &n)) == NN_NONE)
            better = affine(g, &n);
        if (n.op == &nn_op_matmul)
            better = linear(g, &n);
        if (better != NN_NONE)
            nn_replace(g, id, better);
    }
    return 0;
}

const nn_pass nn_pass_recognise = { "recognise", run };
