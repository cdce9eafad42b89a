/* y = x w^T + b over the last axis. */
#include "nn/graph.h"

static int infer(const nn_graph *g, nn_node *n)
{
    char tx[256], tw[256];
    int err;
    if ((err = nn_need_rank(g, n, 0, 1, NN_MAX_RANK)) < 0 || (err = nn_need_rank(g, n, 1, 2, 2)) < 0)
        return err;
    const nn_node *x = nn_in(g, n, 0), *w = nn_in(g, n, 1);
    const int last = x->shape.rank - 1;
    if (x->shape.dim[last] != w->shape.dim[1])
        return sm_fail(SM_EFORMAT, "%s does not fit %s", nn_operand_text(w, tw), nn_operand_text(x, tx));
    n->shape = x->shape;
    n->shape.dim[last] = w->shape.dim[0];
    return nn_need_shape(g, n, 2, NN_SHAPE(w->shape.dim[0]));
}

static void ref(const nn_call *c)
{
    const float *x = c->in[0].data, *w = c->in[1].data, *b = c->n_in > 2 ? c->in[2].data : NULL;
    float *y = c->out.data;
    const int64_t out = c->in[1].shape.dim[0], in = c->in[1].shape.dim[1], n = nn_elements(&c->out.shape);
    for (int64_t i = 0; i < n; i++) {
        const float *row = x + i / out * in, *column = w + i % out * in;
        double sum = b ? (double)b[i % out] : 0;
        for (int64_t k = 0; k < in; k++)
            sum += (double)row[k] * (double)column[k];
        y[i] = (float)sum;
    }
}

static double macs(const nn_graph *g, const nn_node *n)
{
    return (double)nn_elements(&n->shape) * (double)nn_in(g, n, 1)->shape.dim[1];
}

nn_id nn_linear(nn_graph *g, nn_id x, nn_id w, nn_id b)
{
    return nn_add(g, &nn_op_linear, NULL, (nn_id[]){ x, w, b }, 3);
}

static bool fixed(const nn_graph *g, const nn_node *n)
{
    return !n->n_posts && nn_in(g, n, 1)->identity && (!nn_in(g, n, 2) || nn_in(g, n, 2)->identity);
}

static nn_id fold_after(nn_graph *g, nn_id node, nn_id scale, nn_id offset)
{
    const nn_node n = *nn_at(g, node);
    if (!fixed(g, &n))
        return NN_NONE;
    const nn_id w = nn_mul_constants(g, n.inputs[1], nn_reshape(g, scale, NN_SHAPE(-1, 1)));
    const nn_id b = nn_in(g, &n, 2) ? nn_mul_constants(g, n.inputs[2], scale) : NN_NONE;
    return nn_linear(g, n.inputs[0], w, nn_add_constants(g, b, offset));
}

/* w (s x + o) + b = (w s) x + (w o + b) */
static nn_id fold_before(nn_graph *g, nn_id node, nn_id scale, nn_id offset)
{
    const nn_node n = *nn_at(g, node);
    if (!fixed(g, &n))
        return NN_NONE;
    const nn_id w = nn_mul_constants(g, n.inputs[1], scale);
    const nn_id moved = nn_is_filled(g, offset, 0) ? NN_NONE : nn_linear(g, offset, n.inputs[1], NN_NONE);
    return nn_linear(g, nn_at(g, n.inputs[0])->inputs[0], w,
                     nn_add_constants(g, nn_in(g, &n, 2) ? n.inputs[2] : NN_NONE, moved));
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const nn_shape x = nn_shape_of(g, n.inputs[0]), w = nn_shape_of(g, n.inputs[1]);
    const nn_id up = nn_reshape(g, upstream, NN_SHAPE(-1, w.dim[0])); /* rows */
    if (inputs[0] != NN_NONE)
        inputs[0] = nn_reshape(g, nn_matmul(g, up, n.inputs[1], false, false), x);
    if (inputs[1] != NN_NONE)
        inputs[1] = nn_matmul(g, up, nn_reshape(g, n.inputs[0], NN_SHAPE(-1, w.dim[1])), true, false);
    if (inputs[2] != NN_NONE)
        inputs[2] = nn_reduce(g, NN_REDUCE_SUM, up, 1, false);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int in = nn_random_int(r, 1, 70), out = nn_random_int(r, 1, 40);
    nn_shape x = { .rank = nn_random_int(r, 1, 4) };
    for (int i = 0; i < x.rank; i++)
        x.dim[i] = i == x.rank - 1 ? in : nn_random_int(r, 1, 7);
    const nn_id a = nn_random_input(g, r, x, -1, 1), w = nn_random_weight(g, r, NN_SHAPE(out, in), -1, 1);
    return nn_linear(g, a, w, nn_random_int(r, 0, 1) ? nn_random_weight(g, r, NN_SHAPE(out), -1, 1) : NN_NONE);
}

const nn_op nn_op_linear = { .name = "linear",
                             .min_in = 2,
                             .max_in = 3,
                             .infer = infer,
                             .posts = -1,
                             .fold_after = fold_after,
                             .fold_before = fold_before,
                             .ref = ref,
                             .macs = macs,
                             .gradient = gradient,
                             .random = generate };
