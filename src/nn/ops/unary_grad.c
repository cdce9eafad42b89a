/* upstream * f'(x) of a function of one number, from its result where that says the slope. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    if ((unsigned)n->attrs.unary.kind >= NN_UNARY_KINDS)
        return sm_fail(SM_EUSAGE, "no such function: %d", (int)n->attrs.unary.kind);
    n->shape = nn_in(g, n, 0)->shape;
    return nn_need_shape(g, n, 1, n->shape);
}

static void ref(const nn_call *c)
{
    const float *v = c->in[0].data, *upstream = c->in[1].data;
    float *d = c->out.data;
    const int64_t n = nn_elements(&c->out.shape);
    const double alpha = (double)c->attrs->unary.alpha, beta = (double)c->attrs->unary.beta;
    for (int64_t i = 0; i < n; i++)
        d[i] = (float)((double)upstream[i] * nn_unary_slope(c->attrs->unary.kind, (double)v[i], alpha, beta));
}

nn_id nn_unary_grad(nn_graph *g, const nn_attrs *unary, nn_id v, nn_id upstream)
{
    return nn_add(g, &nn_op_unary_grad, unary, (nn_id[]){ v, upstream }, 2);
}

/* On the argument or result of a random function, so that every slope is asked for where it is defined. */
static nn_id generate(nn_graph *g, nn_random *r)
{
    const nn_id y = nn_op_unary.random(g, r);
    const nn_node n = *nn_at(g, y);
    const nn_id v = nn_unary_by_result(n.attrs.unary.kind) ? y : n.inputs[0];
    return nn_unary_grad(g, &n.attrs, v, nn_random_input(g, r, n.shape, -1, 1));
}

const nn_op nn_op_unary_grad = {
    .name = "unary_grad", .min_in = 2, .max_in = 2, .inplace = true, .infer = infer, .ref = ref, .random = generate
};
