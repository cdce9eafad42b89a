/* Layer norm: each vector along the last axis to mean 0 and variance 1, then gamma and beta. */
#include "nn/ops/norm_rows.h"

#include <math.h>
#include <string.h>

void nn_row_statistics(const float *x, int64_t n, double eps, double *mean, double *inverse)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += ((double)x[i] - *mean) * ((double)x[i] - *mean);
    *inverse = 1 / sqrt(squares / (double)n + eps);
}

static int infer(const nn_graph *g, nn_node *n)
{
    int err = nn_need_rank(g, n, 0, 1, NN_MAX_RANK);
    if (err < 0)
        return err;
    n->shape = nn_in(g, n, 0)->shape;
    const nn_shape last = NN_SHAPE(n->shape.dim[n->shape.rank - 1]);
    return (err = nn_need_shape(g, n, 1, last)) < 0 ? err : nn_need_shape(g, n, 2, last);
}

static void ref(const nn_call *c)
{
    const float *gamma = c->n_in > 1 ? c->in[1].data : NULL, *beta = c->n_in > 2 ? c->in[2].data : NULL;
    const int64_t d = c->out.shape.dim[c->out.shape.rank - 1], rows = nn_elements(&c->out.shape) / d;
    for (int64_t r = 0; r < rows; r++) {
        const float *x = (const float *)c->in[0].data + r * d;
        float *y = (float *)c->out.data + r * d;
        double mean, inverse;
        nn_row_statistics(x, d, (double)c->attrs->norm.eps, &mean, &inverse);
        for (int64_t i = 0; i < d; i++)
            y[i] = (float)(((double)x[i] - mean) * inverse * (gamma ? (double)gamma[i] : 1) +
                           (beta ? (double)beta[i] : 0));
    }
}

nn_id nn_layer_norm(nn_graph *g, nn_id x, nn_id gamma, nn_id beta, float eps)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.norm.eps = eps;
    return nn_add(g, &nn_op_layer_norm, &a, (nn_id[]){ x, gamma, beta }, 3);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const uint32_t last = 1u << (n.shape.rank - 1);
    const nn_shape v = NN_SHAPE(n.shape.dim[n.shape.rank - 1]);
    nn_id inverse;
    const nn_id xhat = nn_standardised(g, n.inputs[0], last, (double)n.attrs.norm.eps, true, &inverse);
    if (inputs[0] != NN_NONE) {
        const nn_id u = n.inputs[1] == NN_NONE ? upstream : nn_binary(g, NN_MUL, upstream, n.inputs[1]);
        inputs[0] = nn_standardised_grad(g, xhat, inverse, last, true, u);
    }
    if (inputs[1] != NN_NONE)
        inputs[1] = nn_sum_to(g, nn_binary(g, NN_MUL, upstream, xhat), v);
    if (inputs[2] != NN_NONE)
        inputs[2] = nn_sum_to(g, upstream, v);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 1, 4) };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = nn_random_int(r, i == s.rank - 1 ? 4 : 1, 20);
    const nn_shape v = NN_SHAPE(s.dim[s.rank - 1]);
    const nn_id x = nn_random_input(g, r, s, -2, 3);
    const nn_id gamma = nn_random_int(r, 0, 2) ? nn_random_weight(g, r, v, 0.5, 2) : NN_NONE;
    return nn_layer_norm(g, x, gamma, nn_random_int(r, 0, 2) ? nn_random_weight(g, r, v, -1, 1) : NN_NONE, 1e-5f);
}

const nn_op nn_op_layer_norm = { .name = "layer_norm",
                                 .min_in = 1,
                                 .max_in = 3,
                                 .inplace = true,
                                 .infer = infer,
                                 .ref = ref,
                                 .gradient = gradient,
                                 .random = generate };
