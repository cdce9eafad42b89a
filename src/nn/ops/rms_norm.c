/* Root mean square norm (T5's layer norm): x / sqrt(mean(x^2) + eps) * gamma over the last axis. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    const int err = nn_need_rank(g, n, 0, 1, NN_MAX_RANK);
    if (err < 0)
        return err;
    n->shape = nn_in(g, n, 0)->shape;
    return nn_need_shape(g, n, 1, NN_SHAPE(n->shape.dim[n->shape.rank - 1]));
}

static void ref(const nn_call *c)
{
    const float *gamma = c->n_in > 1 ? c->in[1].data : NULL;
    const int64_t d = c->out.shape.dim[c->out.shape.rank - 1], rows = nn_elements(&c->out.shape) / d;
    for (int64_t r = 0; r < rows; r++) {
        const float *x = (const float *)c->in[0].data + r * d;
        float *y = (float *)c->out.data + r * d;
        double squares = 0;
        for (int64_t i = 0; i < d; i++)
            squares += (double)x[i] * (double)x[i];
        const double inverse = 1 / sqrt(squares / (double)d + (double)c->attrs->norm.eps);
        for (int64_t i = 0; i < d; i++)
            y[i] = (float)((double)x[i] * inverse * (gamma ? (double)gamma[i] : 1));
    }
}

nn_id nn_rms_norm(nn_graph *g, nn_id x, nn_id gamma, float eps)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.norm.eps = eps;
    return nn_add(g, &nn_op_rms_norm, &a, (nn_id[]){ x, gamma }, 2);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const uint32_t last = 1u << (n.shape.rank - 1);
    nn_id inverse;
    const nn_id xhat = nn_standardised(g, n.inputs[0], last, (double)n.attrs.norm.eps, false, &inverse);
    if (inputs[0] != NN_NONE) {
        const nn_id u = n.inputs[1] == NN_NONE ? upstream : nn_binary(g, NN_MUL, upstream, n.inputs[1]);
        inputs[0] = nn_standardised_grad(g, xhat, inverse, last, false, u);
    }
    if (inputs[1] != NN_NONE)
        inputs[1] = nn_sum_to(g, nn_binary(g, NN_MUL, upstream, xhat), NN_SHAPE(n.shape.dim[n.shape.rank - 1]));
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int d = nn_random_int(r, 2, 60);
    const nn_id x = nn_random_input(g, r, NN_SHAPE(nn_random_int(r, 1, 4), nn_random_int(r, 1, 9), d), -2, 2);
    return nn_rms_norm(g, x, nn_random_int(r, 0, 2) ? nn_random_weight(g, r, NN_SHAPE(d), 0.5, 2) : NN_NONE, 1e-6f);
}

const nn_op nn_op_rms_norm = { .name = "rms_norm",
                               .min_in = 1,
                               .max_in = 2,
                               .inplace = true,
                               .infer = infer,
                               .ref = ref,
                               .gradient = gradient,
                               .random = generate };
