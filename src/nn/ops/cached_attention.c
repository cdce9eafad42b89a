/* Causal attention of new tokens to themselves and to all before them, whose keys and values lie in a state: one step of a language model. */
#include <math.h>
#include <string.h>

#include "nn/graph.h"
#include "nn/half.h"

static int infer(const nn_graph *g, nn_node *n)
{
    char tx[256], tc[256];
    int err;
    if ((err = nn_need_rank(g, n, 0, 3, 3)) < 0 || (err = nn_need_rank(g, n, 1, 5, 5)) < 0 ||
        (err = nn_need_shape(g, n, 2, NN_SHAPE(1))) < 0)
        return err;
    const nn_node *x = nn_in(g, n, 0), *c = nn_in(g, n, 1);
    const int64_t *d = c->shape.dim, width = d[2] * d[4];
    if (d[0] != 2 || d[1] != x->shape.dim[0] || x->shape.dim[2] != 3 * width || x->shape.dim[1] > d[3])
        return sm_fail(SM_EFORMAT, "%s does not fit the cache %s", nn_operand_text(x, tx), nn_operand_text(c, tc));
    n->shape = x->shape;
    n->shape.dim[2] = width;
    return 0;
}

typedef struct {
    char *data;
    bool half;
    int64_t n, heads, room, d;
} cache;

/* Where key (0) or value (1) `at` of a head begins, in elements. */
static int64_t place(const cache *c, int what, int64_t row, int64_t head, int64_t at)
{
    return ((((int64_t)what * c->n + row) * c->heads + head) * c->room + at) * c->d;
}

static double get(const cache *c, int64_t i)
{
    float v;
    uint16_t h;
    if (!c->half) {
        memcpy(&v, c->data + 4 * i, sizeof v);
        return (double)v;
    }
    memcpy(&h, c->data + 2 * i, sizeof h);
    return (double)nn_of_half(h);
}

static void put(const cache *c, int64_t i, float v)
{
    const uint16_t h = nn_to_half(v);
    if (c->half)
        memcpy(c->data + 2 * i, &h, sizeof h);
    else
        memcpy(c->data + 4 * i, &v, sizeof v);
}

/* q and y: d numbers. */
static void attend(const cache *c, const float *q, int64_t row, int64_t head, int64_t seen, float scale, double *score,
                   float *y)
{
    double top = -INFINITY, total = 0;
    for (int64_t j = 0; j < seen; j++) {
        double dot = 0;
        for (int64_t e = 0; e < c->d; e++)
            dot += (double)q[e] * get(c, place(c, 0, row, head, j) + e);
        score[j] = dot * (double)scale;
        top = SM_MAX(top, score[j]);
    }
    for (int64_t j = 0; j < seen; j++)
        total += score[j] = exp(score[j] - top);
    for (int64_t e = 0; e < c->d; e++) {
        double sum = 0;
        for (int64_t j = 0; j < seen; j++)
            sum += score[j] * get(c, place(c, 1, row, head, j) + e);
        y[e] = total > 0 ? (float)(sum / total) : 0;
    }
}

/* Tokens that would lie outside are left out, as in state_write. */
static void ref(const nn_call *call)
{
    const nn_operand *x = &call->in[0];
    const int64_t *d = call->in[1].shape.dim, tokens = x->shape.dim[1], at = *(const int32_t *)call->in[2].data;
    const cache c = { call->in[1].data, call->in[1].type == NN_F16, d[1], d[2], d[3], d[4] };
    const int64_t width = c.heads * c.d;
    for (int64_t n = 0; n < c.n; n++)
        for (int64_t h = 0; h < c.heads; h++) {
            for (int64_t t = 0; t < tokens; t++)
                for (int64_t e = 0; e < 2 * c.d && at + t >= 0 && at + t < c.room; e++)
                    put(&c, place(&c, e >= c.d, n, h, at + t) + e % c.d,
                        ((const float *)
                             x->data)[(n * tokens + t) * 3 * width + (e < c.d ? 1 : 2) * width + h * c.d + e % c.d]);
            for (int64_t t = 0; t < tokens; t++)
                attend(&c, (const float *)x->data + (n * tokens + t) * 3 * width + h * c.d, n, h,
                       SM_CLAMP(at + t + 1, 0, c.room), call->attrs->attention.scale, call->scratch,
                       (float *)call->out.data + (n * tokens + t) * width + h * c.d);
        }
}

static size_t scratch(const nn_call *c)
{
    return (size_t)c->in[1].shape.dim[3] * sizeof(double);
}

/* Of a full cache. */
static double macs(const nn_graph *g, const nn_node *n)
{
    return 2 * (double)nn_elements(&n->shape) * (double)nn_in(g, n, 1)->shape.dim[3];
}

nn_id nn_cached_attention(nn_graph *g, nn_id x, nn_id cache_state, nn_id position, float scale)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.attention.scale = scale;
    a.attention.causal = true;
    return nn_add(g, &nn_op_cached_attention, &a, (nn_id[]){ x, cache_state, position }, 3);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int n = nn_random_int(r, 1, 3), h = nn_random_int(r, 1, 4), room = nn_random_int(r, 1, 40),
              d = nn_random_int(r, 1, 40), t = nn_random_int(r, 1, SM_MIN(room, 5));
    const nn_id c = nn_state_typed(g, "cache", nn_random_int(r, 0, 1) ? NN_F16 : NN_F32, NN_SHAPE(2, n, h, room, d));
    const nn_id x = nn_random_input(g, r, NN_SHAPE(n, t, 3 * h * d), -1, 1);
    return nn_cached_attention(g, x, c, nn_random_ids(g, r, NN_SHAPE(1), 0, room - t), nn_random_float(r, 0.1, 1));
}

const nn_op nn_op_cached_attention = { .name = "cached_attention",
                                       .min_in = 3,
                                       .max_in = 3,
                                       .ints = 1 << 2,
                                       .states = 1 << 1,
                                       .half_states = true,
                                       .infer = infer,
                                       .ref = ref,
                                       .scratch = scratch,
                                       .macs = macs,
                                       .random = generate };
