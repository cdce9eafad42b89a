/* Batch norm as it is trained (Ioffe and Szegedy 2015): statistics are the batch's, and the gradient goes through them.
 * Four operators, so that each is one pass over the activations: channel_stats, batch_norm_train; backwards batch_norm_sums, batch_norm_grad. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

static int64_t channels_of(const nn_shape *s)
{
    return s->dim[1];
}

static int need_image(const nn_graph *g, nn_node *n)
{
    const int err = nn_need_rank(g, n, 0, 2, NN_MAX_RANK);
    n->shape = nn_in(g, n, 0)->shape;
    return err;
}

/* ---- x -> [2, C]: mean and biased variance over all axes but 1 ---- */

static int infer_stats(const nn_graph *g, nn_node *n)
{
    const int err = need_image(g, n);
    n->shape = NN_SHAPE(2, channels_of(&n->shape));
    return err;
}

static void ref_stats(const nn_call *c)
{
    const nn_shape *s = &c->in[0].shape;
    const int64_t inner = nn_product(s, 2, s->rank), channels = s->dim[1], count = s->dim[0] * inner;
    const float *x = c->in[0].data;
    float *y = c->out.data;
    for (int64_t k = 0; k < channels; k++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < count; i++)
            sum += (double)x[(i / inner * channels + k) * inner + i % inner];
        const double mean = sum / (double)count;
        for (int64_t i = 0; i < count; i++) {
            const double v = (double)x[(i / inner * channels + k) * inner + i % inner] - mean;
            squares += v * v;
        }
        y[k] = (float)mean;
        y[channels + k] = (float)(squares / (double)count);
    }
}

/* Of mean and variance as such (batch_norm_train takes care of its own): dx = dmean / M + dvar 2 (x - mean) / M. */
static void gradient_stats(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_id x = nn_at(g, node)->inputs[0];
    const nn_shape s = nn_shape_of(g, x);
    nn_shape vector = { s.rank, { 1, 1, 1, 1, 1, 1 } };
    vector.dim[1] = s.dim[1];
    const double count = (double)(nn_elements(&s) / s.dim[1]);
    const nn_id mean = nn_reshape(g, nn_slice(g, node, 0, 0, 1, 1), vector);
    const nn_id dmean = nn_reshape(g, nn_slice(g, upstream, 0, 0, 1, 1), vector);
    const nn_id dvar = nn_reshape(g, nn_slice(g, upstream, 0, 1, 2, 1), vector);
    const nn_id along = nn_binary(g, NN_MUL, nn_binary(g, NN_SUB, x, mean), nn_scaled(g, dvar, 2 / count));
    inputs[0] = nn_binary(g, NN_ADD, along, nn_scaled(g, dmean, 1 / count));
}

/* ---- forward: x, stats, gamma, beta ---- */

static int infer(const nn_graph *g, nn_node *n)
{
    int err = need_image(g, n);
    const int64_t channels = err < 0 ? 0 : channels_of(&n->shape);
    if (err < 0 || (err = nn_need_shape(g, n, 1, NN_SHAPE(2, channels))) < 0 ||
        (err = nn_need_shape(g, n, 2, NN_SHAPE(channels))) < 0)
        return err;
    return nn_need_shape(g, n, 3, NN_SHAPE(channels));
}

static double inverse_of(const nn_call *c, const float *stats, int64_t channels, int64_t k)
{
    return 1 / sqrt((double)stats[channels + k] + (double)c->attrs->norm.eps);
}

static void ref(const nn_call *c)
{
    const float *x = c->in[0].data, *stats = c->in[1].data;
    const float *gamma = c->n_in > 2 ? c->in[2].data : NULL, *beta = c->n_in > 3 ? c->in[3].data : NULL;
    float *y = c->out.data;
    const int64_t inner = nn_product(&c->out.shape, 2, c->out.shape.rank), channels = channels_of(&c->out.shape);
    const int64_t n = nn_elements(&c->out.shape);
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = i / inner % channels;
        const double v = ((double)x[i] - (double)stats[k]) * inverse_of(c, stats, channels, k);
        y[i] = (float)(v * (gamma ? (double)gamma[k] : 1) + (beta ? (double)beta[k] : 0));
    }
}

/* ---- sums for the gradient: x, stats, upstream -> [2, C]: of upstream, and of upstream xhat ---- */

static int infer_sums(const nn_graph *g, nn_node *n)
{
    int err = need_image(g, n);
    const nn_shape s = n->shape;
    n->shape = NN_SHAPE(2, channels_of(&s));
    if (err < 0 || (err = nn_need_shape(g, n, 1, n->shape)) < 0)
        return err;
    return nn_need_shape(g, n, 2, s);
}

static void ref_sums(const nn_call *c)
{
    const nn_shape *s = &c->in[0].shape;
    const int64_t inner = nn_product(s, 2, s->rank), channels = s->dim[1], count = s->dim[0] * inner;
    const float *x = c->in[0].data, *stats = c->in[1].data, *upstream = c->in[2].data;
    float *y = c->out.data;
    for (int64_t k = 0; k < channels; k++) {
        double sum = 0, along = 0;
        for (int64_t i = 0; i < count; i++) {
            const int64_t at = (i / inner * channels + k) * inner + i % inner;
            sum += (double)upstream[at];
            along += (double)upstream[at] * ((double)x[at] - (double)stats[k]);
        }
        y[k] = (float)sum;
        y[channels + k] = (float)(along * inverse_of(c, stats, channels, k));
    }
}

/* ---- x, stats, sums, upstream, gamma -> dx = gamma / sigma (upstream - (sum(upstream) + xhat sum(upstream xhat)) / M) ---- */

static int infer_grad(const nn_graph *g, nn_node *n)
{
    int err = need_image(g, n);
    const int64_t channels = err < 0 ? 0 : channels_of(&n->shape);
    if (err < 0 || (err = nn_need_shape(g, n, 1, NN_SHAPE(2, channels))) < 0 ||
        (err = nn_need_shape(g, n, 2, NN_SHAPE(2, channels))) < 0 || (err = nn_need_shape(g, n, 3, n->shape)) < 0)
        return err;
    return nn_need_shape(g, n, 4, NN_SHAPE(channels));
}

static void ref_grad(const nn_call *c)
{
    const float *x = c->in[0].data, *stats = c->in[1].data, *sums = c->in[2].data, *upstream = c->in[3].data;
    const float *gamma = c->n_in > 4 ? c->in[4].data : NULL;
    float *d = c->out.data;
    const int64_t inner = nn_product(&c->out.shape, 2, c->out.shape.rank), channels = channels_of(&c->out.shape);
    const int64_t n = nn_elements(&c->out.shape);
    const double count = (double)(n / channels);
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = i / inner % channels;
        const double inverse = inverse_of(c, stats, channels, k), xhat = ((double)x[i] - (double)stats[k]) * inverse;
        const double rest = (double)upstream[i] - ((double)sums[k] + xhat * (double)sums[channels + k]) / count;
        d[i] = (float)(rest * inverse * (gamma ? (double)gamma[k] : 1));
    }
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const nn_id x = n.inputs[0], stats = n.inputs[1], gamma = n.inputs[2];
    const nn_shape v = NN_SHAPE(n.shape.dim[1]);
    const nn_id sums = nn_add(g, &nn_op_batch_norm_sums, &n.attrs, (nn_id[]){ x, stats, upstream }, 3);
    if (inputs[0] != NN_NONE)
        inputs[0] = nn_add(g, &nn_op_batch_norm_grad, &n.attrs, (nn_id[]){ x, stats, sums, upstream, gamma }, 5);
    inputs[1] = NN_NONE; /* what goes through the statistics is in inputs[0] */
    if (inputs[2] != NN_NONE)
        inputs[2] = nn_reshape(g, nn_slice(g, sums, 0, 1, 2, 1), v);
    if (inputs[3] != NN_NONE)
        inputs[3] = nn_reshape(g, nn_slice(g, sums, 0, 0, 1, 1), v);
}

/* ---- random cases ---- */

static nn_shape random_image(nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 2, 4) };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = i == 1 ? nn_random_int(r, 0, 1) ? 16 * nn_random_int(r, 1, 2) : nn_random_int(r, 1, 12)
                          : nn_random_int(r, 2, 9);
    return s;
}

static nn_id generate_stats(nn_graph *g, nn_random *r)
{
    return nn_add(g, &nn_op_channel_stats, NULL, (nn_id[]){ nn_random_input(g, r, random_image(r), -2, 3) }, 1);
}

static nn_attrs some_eps(void)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.norm.eps = 1e-3f;
    return a;
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const nn_attrs a = some_eps();
    const nn_id x = nn_random_input(g, r, random_image(r), -2, 3);
    const nn_shape v = NN_SHAPE(nn_shape_of(g, x).dim[1]);
    const nn_id stats = nn_add(g, &nn_op_channel_stats, NULL, &x, 1);
    const nn_id gamma = nn_random_int(r, 0, 2) ? nn_random_input(g, r, v, 0.5, 2) : NN_NONE;
    const nn_id beta = nn_random_int(r, 0, 2) ? nn_random_input(g, r, v, -1, 1) : NN_NONE;
    return nn_add(g, &nn_op_batch_norm_train, &a, (nn_id[]){ x, stats, gamma, beta }, 4);
}

static nn_id generate_sums(nn_graph *g, nn_random *r)
{
    const nn_attrs a = some_eps();
    const nn_id x = nn_random_input(g, r, random_image(r), -2, 3);
    const nn_id stats = nn_add(g, &nn_op_channel_stats, NULL, &x, 1);
    const nn_id upstream = nn_random_input(g, r, nn_shape_of(g, x), -1, 1);
    return nn_add(g, &nn_op_batch_norm_sums, &a, (nn_id[]){ x, stats, upstream }, 3);
}

static nn_id generate_grad(nn_graph *g, nn_random *r)
{
    const nn_id sums = generate_sums(g, r);
    const nn_node n = *nn_at(g, sums);
    const nn_shape v = NN_SHAPE(nn_shape_of(g, n.inputs[0]).dim[1]);
    const nn_id gamma = nn_random_int(r, 0, 2) ? nn_random_input(g, r, v, 0.5, 2) : NN_NONE;
    return nn_add(g, &nn_op_batch_norm_grad, &n.attrs, (nn_id[]){ n.inputs[0], n.inputs[1], sums, n.inputs[2], gamma },
                  5);
}

const nn_op nn_op_channel_stats = { .name = "channel_stats",
                                    .min_in = 1,
                                    .max_in = 1,
                                    .infer = infer_stats,
                                    .ref = ref_stats,
                                    .gradient = gradient_stats,
                                    .random = generate_stats };
const nn_op nn_op_batch_norm_train = { .name = "batch_norm_train",
                                       .min_in = 2,
                                       .max_in = 4,
                                       .posts = 1,
                                       .infer = infer,
                                       .ref = ref,
                                       .gradient = gradient,
                                       .random = generate };
const nn_op nn_op_batch_norm_sums = {
    .name = "batch_norm_sums", .min_in = 3, .max_in = 3, .infer = infer_sums, .ref = ref_sums, .random = generate_sums
};
const nn_op nn_op_batch_norm_grad = {
    .name = "batch_norm_grad", .min_in = 4, .max_in = 5, .infer = infer_grad, .ref = ref_grad, .random = generate_grad
};
