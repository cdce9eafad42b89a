/* Gradient of gather by its table: rows are added up where they were taken from. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n) /* ids, upstream -> attrs.reshape */
{
    nn_shape s = nn_in(g, n, 0)->shape;
    s.dim[s.rank++] = n->attrs.reshape.dim[1];
    n->shape = n->attrs.reshape;
    return nn_need_shape(g, n, 1, s);
}

static void ref(const nn_call *c)
{
    const int64_t rows = c->out.shape.dim[0], d = c->out.shape.dim[1], n = nn_elements(&c->in[0].shape);
    const int32_t *ids = c->in[0].data;
    const float *upstream = c->in[1].data;
    float *table = c->out.data;
    memset(table, 0, (size_t)(rows * d) * sizeof *table);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; ids[i] >= 0 && ids[i] < rows && k < d; k++)
            table[ids[i] * d + k] += upstream[i * d + k];
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const nn_node n = *nn_at(g, nn_op_gather.random(g, r));
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.reshape = nn_shape_of(g, n.inputs[0]);
    return nn_add(g, &nn_op_gather_grad, &a, (nn_id[]){ n.inputs[1], nn_random_input(g, r, n.shape, -1, 1) }, 2);
}

const nn_op nn_op_gather_grad = {
    .name = "gather_grad", .min_in = 2, .max_in = 2, .ints = 1, .infer = infer, .ref = ref, .random = generate
};
