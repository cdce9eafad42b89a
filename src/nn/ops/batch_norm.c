/* Batch norm as a trained network applies it: statistics are weights. Compiling turns it into an affine and folds it. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    int err = nn_need_rank(g, n, 0, 2, NN_MAX_RANK);
    if (err < 0)
        return err;
    n->shape = nn_in(g, n, 0)->shape;
    for (int i = 1; i <= 4; i++)
        if ((err = nn_need_shape(g, n, i, NN_SHAPE(n->shape.dim[1]))) < 0)
            return err;
    return 0;
}

/* inputs: x, mean, var, gamma, beta; the last two may be missing */
static void ref(const nn_call *c)
{
    const float *x = c->in[0].data, *mean = c->in[1].data, *var = c->in[2].data;
    const float *gamma = c->n_in > 3 ? c->in[3].data : NULL, *beta = c->n_in > 4 ? c->in[4].data : NULL;
    float *y = c->out.data;
    const int64_t inner = nn_product(&c->out.shape, 2, c->out.shape.rank), n = nn_elements(&c->out.shape);
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = i / inner % c->out.shape.dim[1];
        const double v = ((double)x[i] - (double)mean[k]) / sqrt((double)var[k] + (double)c->attrs->norm.eps);
        y[i] = (float)(v * (gamma ? (double)gamma[k] : 1) + (beta ? (double)beta[k] : 0));
    }
}

/* With the statistics of the batch, from which the caller of the plan moves the running ones. */
static nn_id train(nn_graph *g, nn_id x, nn_id gamma, nn_id beta, nn_id mean, nn_id var, const nn_attrs *a)
{
    const nn_id stats = nn_add(g, &nn_op_channel_stats, NULL, &x, 1);
    const nn_shape v = NN_SHAPE(nn_shape_of(g, stats).dim[1]);
    nn_graph_statistic(g, mean, nn_reshape(g, nn_slice(g, stats, 0, 0, 1, 1), v));
    nn_graph_statistic(g, var, nn_reshape(g, nn_slice(g, stats, 0, 1, 2, 1), v));
    return nn_add(g, &nn_op_batch_norm_train, a, (nn_id[]){ x, stats, gamma, beta }, 4);
}

nn_id nn_batch_norm(nn_graph *g, nn_id x, nn_id gamma, nn_id beta, nn_id mean, nn_id var, float eps)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.norm.eps = eps;
    if (nn_graph_trains(g))
        return train(g, x, gamma, beta, mean, var, &a);
    return nn_add(g, &nn_op_batch_norm, &a, (nn_id[]){ x, mean, var, gamma, beta }, 5);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 2, 4) };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = nn_random_int(r, 1, 12);
    const nn_shape v = NN_SHAPE(s.dim[1]);
    const nn_id x = nn_random_input(g, r, s, -2, 2), mean = nn_random_weight(g, r, v, -1, 1),
                var = nn_random_weight(g, r, v, 0.3, 2);
    const nn_id gamma = nn_random_int(r, 0, 2) ? nn_random_weight(g, r, v, 0.5, 2) : NN_NONE;
    const nn_id beta = nn_random_int(r, 0, 2) ? nn_random_weight(g, r, v, -1, 1) : NN_NONE;
    return nn_batch_norm(g, x, gamma, beta, mean, var, 1e-3f);
}

const nn_op nn_op_batch_norm = {
    .name = "batch_norm", .min_in = 3, .max_in = 5, .inplace = true, .infer = infer, .ref = ref, .random = generate
};
