/* Repeats along axes of length 1 until the shape is the wanted one: what gradients of sums and means are made of. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    char text[256], wanted[96];
    const nn_node *x = nn_in(g, n, 0);
    nn_shape both;
    if (nn_broadcast(&x->shape, &n->attrs.reshape, &both) < 0 || !nn_shape_equal(&both, &n->attrs.reshape))
        return sm_fail(SM_EFORMAT, "%s does not expand to %s", nn_operand_text(x, text),
                       nn_shape_text(&n->attrs.reshape, wanted));
    n->shape = n->attrs.reshape;
    return 0;
}

static void ref(const nn_call *c)
{
    const int32_t *x = c->in[0].data;
    int32_t *y = c->out.data;
    const int64_t n = nn_elements(&c->out.shape);
    nn_walk w;
    nn_walk_start(&w, &c->out.shape);
    nn_broadcast_strides(&c->in[0].shape, &c->out.shape, w.stride[0]);
    for (int64_t i = 0; i < n; i++, nn_walk_next(&w))
        y[i] = x[w.at[0]];
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    inputs[0] = nn_sum_to(g, upstream, nn_shape_of(g, nn_at(g, node)->inputs[0]));
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 1, 4) }, to;
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = nn_random_int(r, 1, 9);
    to = s;
    for (int i = 0; i < s.rank; i++)
        if (nn_random_int(r, 0, 1))
            s.dim[i] = 1;
    s.dim[0] = 1; /* so that there is something to do */
    to.dim[0] = nn_random_int(r, 2, 5);
    return nn_expand(g, nn_random_input(g, r, s, -1, 1), to);
}

const nn_op nn_op_expand = { .name = "expand",
                             .min_in = 1,
                             .max_in = 1,
                             .any_type = true,
                             .infer = infer,
                             .ref = ref,
                             .gradient = gradient,
                             .random = generate };
