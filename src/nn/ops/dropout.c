/* Dropout (Srivastava et al. 2014), scaled while training: x * mask / (1 - rate). The mask is a counter-based generator's, so it does
 * not depend on who computes which part, and the gradient is the same operator on the same seed. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

uint32_t nn_dropout_threshold(float rate)
{
    return (uint32_t)SM_CLAMP(rint((double)rate * 4294967296.0), 0, 4294967295.0);
}

uint32_t nn_dropout_key(int32_t seed, int number)
{
    uint64_t z = ((uint64_t)(uint32_t)seed << 32 | (uint32_t)number) + 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z ^ z >> 31);
}

static int infer(const nn_graph *g, nn_node *n)
{
    const float rate = n->attrs.dropout.rate;
    if (!(rate >= 0 && rate < 1))
        return sm_fail(SM_EUSAGE, "a rate of %g; 0 to below 1 is expected", (double)rate);
    n->shape = nn_in(g, n, 0)->shape;
    return nn_need_shape(g, n, 1, NN_SHAPE(1));
}

static void ref(const nn_call *c)
{
    const float *x = c->in[0].data;
    float *y = c->out.data;
    const uint32_t threshold = nn_dropout_threshold(c->attrs->dropout.rate);
    const uint32_t key = nn_dropout_key(*(const int32_t *)c->in[1].data, c->attrs->dropout.number);
    const float scale = (float)(1 / (1 - (double)c->attrs->dropout.rate));
    const int64_t n = nn_elements(&c->out.shape);
    for (int64_t i = 0; i < n; i++)
        y[i] = nn_dropout_keeps(key, threshold, (uint32_t)i) ? x[i] * scale : 0;
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    inputs[0] = nn_add(g, n.op, &n.attrs, (nn_id[]){ upstream, n.inputs[1] }, 2);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_shape s = { .rank = nn_random_int(r, 1, 4) };
    nn_attrs a;
    memset(&a, 0, sizeof a);
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = nn_random_int(r, 1, 20);
    a.dropout.rate = nn_random_float(r, 0, 0.9);
    a.dropout.number = nn_random_int(r, 0, 5);
    const nn_id x = nn_random_input(g, r, s, -1, 1);
    return nn_add(g, &nn_op_dropout, &a, (nn_id[]){ x, nn_random_ids(g, r, NN_SHAPE(1), -1000, 1000) }, 2);
}

const nn_op nn_op_dropout = { .name = "dropout",
                              .min_in = 2,
                              .max_in = 2,
                              .ints = 2,
                              .inplace = true,
                              .infer = infer,
                              .ref = ref,
                              .gradient = gradient,
                              .random = generate };
