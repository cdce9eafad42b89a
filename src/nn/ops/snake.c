/* Snake of Oobleck: x + sin^2(alpha x) / beta, one alpha and beta a channel (axis 1). The model takes exponentials first. */
#include "nn/graph.h"

#include <math.h>

static int infer(const nn_graph *g, nn_node *n)
{
    int err = nn_need_rank(g, n, 0, 2, NN_MAX_RANK);
    if (err < 0)
        return err;
    n->shape = nn_in(g, n, 0)->shape;
    const nn_shape channels = NN_SHAPE(n->shape.dim[1]);
    return (err = nn_need_shape(g, n, 1, channels)) < 0 ? err : nn_need_shape(g, n, 2, channels);
}

static void ref(const nn_call *c)
{
    const float *x = c->in[0].data, *alpha = c->in[1].data, *beta = c->in[2].data;
    float *y = c->out.data;
    const int64_t inner = nn_product(&c->out.shape, 2, c->out.shape.rank), n = nn_elements(&c->out.shape);
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = i / inner % c->out.shape.dim[1];
        const double s = sin((double)alpha[k] * (double)x[i]);
        y[i] = (float)((double)x[i] + s * s / (double)beta[k]);
    }
}

nn_id nn_snake(nn_graph *g, nn_id x, nn_id alpha, nn_id beta)
{
    return nn_add(g, &nn_op_snake, NULL, (nn_id[]){ x, alpha, beta }, 3);
}

/* With w = 2 a x: sin^2(a x) = (1 - cos w) / 2, and its slopes are a sin w by x, x sin w by a. */
static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const nn_shape v = NN_SHAPE(n.shape.dim[1]);
    nn_shape vector = { n.shape.rank, { 1, 1, 1, 1, 1, 1 } };
    vector.dim[1] = v.dim[0];
    const nn_id x = n.inputs[0], alpha = nn_reshape(g, n.inputs[1], vector), beta = nn_reshape(g, n.inputs[2], vector);
    const nn_id ax = nn_binary(g, NN_MUL, x, alpha), s = nn_unary(g, NN_SIN, nn_scaled(g, ax, 2));
    const nn_id u = nn_binary(g, NN_DIV, upstream, beta), us = nn_binary(g, NN_MUL, u, s);
    inputs[0] = nn_binary(g, NN_ADD, upstream, nn_binary(g, NN_MUL, us, alpha));
    if (inputs[1] != NN_NONE)
        inputs[1] = nn_reshape(g, nn_sum_to(g, nn_binary(g, NN_MUL, us, x), vector), v);
    if (inputs[2] != NN_NONE) {
        const nn_id squares = nn_binary(g, NN_DIV, nn_unary(g, NN_SQUARE, nn_unary(g, NN_SIN, ax)), beta);
        inputs[2] = nn_reshape(g, nn_unary(g, NN_NEG, nn_sum_to(g, nn_binary(g, NN_MUL, u, squares), vector)), v);
    }
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int channels = nn_random_int(r, 1, 20);
    const nn_id x = nn_random_input(g, r, NN_SHAPE(nn_random_int(r, 1, 3), channels, nn_random_int(r, 1, 50)), -3, 3);
    const nn_id alpha = nn_random_weight(g, r, NN_SHAPE(channels), 0.3, 3);
    return nn_snake(g, x, alpha, nn_random_weight(g, r, NN_SHAPE(channels), 0.3, 3));
}

const nn_op nn_op_snake = { .name = "snake",
                            .min_in = 3,
                            .max_in = 3,
                            .inplace = true,
                            .infer = infer,
                            .ref = ref,
                            .gradient = gradient,
                            .random = generate };
