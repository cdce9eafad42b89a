/* Rotary position: pairs (i, i + rotated/2) of the last axis turn by an angle that depends on the place in time. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    char text[256];
    int err = nn_need_rank(g, n, 0, 4, 4);
    if (err < 0)
        return err;
    const nn_node *x = nn_in(g, n, 0);
    const int rotated = n->attrs.rotary.rotated;
    if (rotated < 2 || rotated % 2 || rotated > x->shape.dim[3])
        return sm_fail(SM_EFORMAT, "%s has no %d features to rotate", nn_operand_text(x, text), rotated);
    n->shape = x->shape;
    const nn_shape table = NN_SHAPE(x->shape.dim[2], rotated / 2);
    return (err = nn_need_shape(g, n, 1, table)) < 0 ? err : nn_need_shape(g, n, 2, table);
}

static void ref(const nn_call *c)
{
    const int64_t t = c->out.shape.dim[2], d = c->out.shape.dim[3], half = c->attrs->rotary.rotated / 2;
    const int64_t rows = nn_product(&c->out.shape, 0, 3);
    for (int64_t r = 0; r < rows; r++) {
        const float *x = (const float *)c->in[0].data + r * d;
        const float *cosine = (const float *)c->in[1].data + r % t * half,
                    *sine = (const float *)c->in[2].data + r % t * half;
        float *y = (float *)c->out.data + r * d;
        for (int64_t i = 0; i < half; i++) {
            const double a = (double)x[i], b = (double)x[half + i];
            y[i] = (float)(a * (double)cosine[i] - b * (double)sine[i]);
            y[half + i] = (float)(b * (double)cosine[i] + a * (double)sine[i]);
        }
        for (int64_t i = 2 * half; i < d; i++)
            y[i] = x[i];
    }
}

nn_id nn_rotary(nn_graph *g, nn_id x, nn_id cos_table, nn_id sin_table, int rotated)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.rotary.rotated = rotated;
    return nn_add(g, &nn_op_rotary, &a, (nn_id[]){ x, cos_table, sin_table }, 3);
}

/* A rotation's gradient is the rotation back. The tables are not learnt. */
static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    inputs[0] = nn_rotary(g, upstream, n.inputs[1], nn_unary(g, NN_NEG, n.inputs[2]), n.attrs.rotary.rotated);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int half = nn_random_int(r, 1, 8), d = 2 * half + nn_random_int(r, 0, 5), t = nn_random_int(r, 1, 9);
    const nn_id x = nn_random_input(g, r, NN_SHAPE(nn_random_int(r, 1, 2), nn_random_int(r, 1, 3), t, d), -1, 1);
    nn_random fixed = { .state = r->state ^ 0x5bd1e995u }; /* tables are not learnt */
    const nn_id cosine = nn_random_weight(g, &fixed, NN_SHAPE(t, half), -1, 1);
    return nn_rotary(g, x, cosine, nn_random_weight(g, &fixed, NN_SHAPE(t, half), -1, 1), 2 * half);
}

const nn_op nn_op_rotary = {
    .name = "rotary", .min_in = 3, .max_in = 3, .infer = infer, .ref = ref, .gradient = gradient, .random = generate
};
