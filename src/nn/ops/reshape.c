/* The same numbers with another shape; a view wherever the value is in C order. The shape asked for travels in the node. */
#include "nn/graph.h"

#include <string.h>

/* nn_reshape has put the wanted shape into attrs.reshape. */
static int infer(const nn_graph *g, nn_node *n)
{
    char text[256], shape[96];
    const nn_node *x = nn_in(g, n, 0);
    const int64_t count = nn_elements(&x->shape);
    int open = -1;
    int64_t known = 1;
    nn_shape want = n->attrs.reshape;
    for (int i = 0; i < want.rank; i++) {
        if (want.dim[i] == -1 && open < 0)
            open = i;
        else if (want.dim[i] < 1 || __builtin_mul_overflow(known, want.dim[i], &known))
            return sm_fail(SM_EFORMAT, "no such shape: %s", nn_shape_text(&want, shape));
    }
    if (open >= 0)
        want.dim[open] = count / known;
    if (nn_elements(&want) != count)
        return sm_fail(SM_EFORMAT, "%s does not reshape to %s", nn_operand_text(x, text),
                       nn_shape_text(&n->attrs.reshape, shape));
    n->shape = n->attrs.reshape = want;
    return 0;
}

static void ref(const nn_call *c)
{
    memcpy(c->out.data, c->in[0].data, (size_t)nn_elements(&c->out.shape) * 4);
}

nn_id nn_reshape(nn_graph *g, nn_id x, nn_shape shape)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.reshape.rank = SM_CLAMP(shape.rank, 0, NN_MAX_RANK);
    for (int i = 0; i < a.reshape.rank; i++)
        a.reshape.dim[i] = shape.dim[i];
    return nn_add(g, &nn_op_reshape, &a, &x, 1);
}

static bool view(const nn_graph *g, const nn_node *n, int64_t *offset)
{
    (void)g;
    (void)n;
    *offset = 0;
    return true;
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    inputs[0] = nn_reshape(g, upstream, nn_shape_of(g, nn_at(g, node)->inputs[0]));
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int a = nn_random_int(r, 1, 9), b = nn_random_int(r, 1, 9), c = nn_random_int(r, 1, 9);
    const nn_id x = nn_unary(g, NN_RELU, nn_random_input(g, r, NN_SHAPE(a, b, c), -1, 1));
    return nn_random_int(r, 0, 1) ? nn_reshape(g, x, NN_SHAPE(a * b, -1)) : nn_reshape(g, x, NN_SHAPE(c, 1, b, a));
}

const nn_op nn_op_reshape = { .name = "reshape",
                              .min_in = 1,
                              .max_in = 1,
                              .any_type = true,
                              .infer = infer,
                              .ref = ref,
                              .view = view,
                              .gradient = gradient,
                              .random = generate };
