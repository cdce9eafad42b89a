/* Rows of a table by number: embeddings. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    int err;
    if ((err = nn_need_rank(g, n, 0, 2, 2)) < 0 || (err = nn_need_rank(g, n, 1, 0, NN_MAX_RANK - 1)) < 0)
        return err;
    n->shape = nn_in(g, n, 1)->shape;
    n->shape.dim[n->shape.rank++] = nn_in(g, n, 0)->shape.dim[1];
    return 0;
}

/* A number outside the table gives a row of zeros: the caller checks ids where they come from. */
static void ref(const nn_call *c)
{
    const int64_t rows = c->in[0].shape.dim[0], d = c->in[0].shape.dim[1], n = nn_elements(&c->in[1].shape);
    const int32_t *ids = c->in[1].data;
    const float *table = c->in[0].data;
    float *y = c->out.data;
    for (int64_t i = 0; i < n; i++, y += d)
        if (ids[i] >= 0 && ids[i] < rows)
            memcpy(y, table + ids[i] * d, (size_t)d * sizeof *y);
        else
            memset(y, 0, (size_t)d * sizeof *y);
}

nn_id nn_gather(nn_graph *g, nn_id table, nn_id ids)
{
    return nn_add(g, &nn_op_gather, NULL, (nn_id[]){ table, ids }, 2);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.reshape = nn_shape_of(g, n.inputs[0]);
    inputs[0] = nn_add(g, &nn_op_gather_grad, &a, (nn_id[]){ n.inputs[1], upstream }, 2);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int rows = nn_random_int(r, 1, 30), d = nn_random_int(r, 1, 20);
    const nn_id table = nn_random_weight(g, r, NN_SHAPE(rows, d), -1, 1);
    return nn_gather(g, table,
                     nn_random_ids(g, r, NN_SHAPE(nn_random_int(r, 1, 4), nn_random_int(r, 1, 7)), 0, rows - 1));
}

const nn_op nn_op_gather = { .name = "gather",
                             .min_in = 2,
                             .max_in = 2,
                             .ints = 2,
                             .infer = infer,
                             .ref = ref,
                             .gradient = gradient,
                             .random = generate };
