/* Constants made from constants by passes. Nothing is computed here: these are nodes, computed when a step packs them. */
#include "nn/graph.h"

bool nn_is_filled(const nn_graph *g, nn_id id, float v)
{
    const nn_node *n = nn_at(g, id);
    while (n && n->op == &nn_op_reshape)
        n = nn_in(g, n, 0);
    if (!n || n->op != &nn_op_const || n->name || n->tensor.type != NN_F32 || n->tensor.scale)
        return false;
    const float *data = n->tensor.data;
    const int64_t count = nn_elements(&n->shape);
    for (int64_t i = 0; i < count; i++)
        if (data[i] != v)
            return false;
    return true;
}

nn_id nn_filled(nn_graph *g, nn_shape shape, float v)
{
    const int64_t n = nn_elements(&shape);
    float *data = sm_alloc((size_t)SM_MAX(n, 1), sizeof *data);
    if (!data) {
        nn_graph_fail(g, SM_ENOMEM, "no memory for a constant");
        return NN_NONE;
    }
    for (int64_t i = 0; i < n; i++)
        data[i] = v;
    const nn_id id = nn_const_f32(g, shape, data);
    sm_free(data);
    return id;
}

/* Leaves out one operand if what is left has the shape of the result. */
static bool spared(const nn_graph *g, nn_id neutral, nn_id other, float v)
{
    const nn_shape a = nn_shape_of(g, neutral), b = nn_shape_of(g, other);
    nn_shape both;
    return nn_is_filled(g, neutral, v) && nn_broadcast(&a, &b, &both) == 0 && nn_shape_equal(&both, &b);
}

nn_id nn_mul_constants(nn_graph *g, nn_id a, nn_id b)
{
    if (spared(g, b, a, 1))
        return a;
    if (spared(g, a, b, 1))
        return b;
    return nn_binary(g, NN_MUL, a, b);
}

nn_id nn_add_constants(nn_graph *g, nn_id a, nn_id b)
{
    if (a == NN_NONE || b == NN_NONE)
        return a == NN_NONE ? b : a;
    if (spared(g, b, a, 0))
        return a;
    if (spared(g, a, b, 0))
        return b;
    return nn_binary(g, NN_ADD, a, b);
}
