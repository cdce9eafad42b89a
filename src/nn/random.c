/* Random shapes and numbers for the operators' test generators. */
#include "nn/graph.h"

/* splitmix64 */
static uint64_t next(nn_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int nn_random_int(nn_random *r, int low, int high)
{
    return low + (int)(next(r) % (uint64_t)(high - low + 1));
}

float nn_random_float(nn_random *r, double low, double high)
{
    return (float)(low + (high - low) * (double)(next(r) >> 40) / (double)(1 << 24));
}

static nn_id add_input(nn_graph *g, nn_random *r, nn_type type, nn_shape shape, double low, double high)
{
    if (r->n == NN_RANDOM_INPUTS) {
        nn_graph_fail(g, SM_EINTERNAL, "too many random inputs");
        return NN_NONE;
    }
    r->range[r->n].low = low;
    r->range[r->n].high = high;
    r->n++;
    return nn_input_typed(g, nn_name(g, "x%d", r->n), type, shape);
}

nn_id nn_random_input(nn_graph *g, nn_random *r, nn_shape shape, double low, double high)
{
    return add_input(g, r, NN_F32, shape, low, high);
}

nn_id nn_random_ids(nn_graph *g, nn_random *r, nn_shape shape, int low, int high)
{
    return add_input(g, r, NN_I32, shape, low, high);
}

nn_id nn_random_weight(nn_graph *g, nn_random *r, nn_shape shape, double low, double high)
{
    if (r->vary)
        return nn_random_input(g, r, shape, low, high);
    const int64_t n = nn_elements(&shape);
    float *v = sm_alloc((size_t)SM_MAX(n, 1), sizeof *v);
    if (!v) {
        nn_graph_fail(g, SM_ENOMEM, "no memory for random numbers");
        return NN_NONE;
    }
    for (int64_t i = 0; i < n; i++)
        v[i] = nn_random_float(r, low, high);
    const nn_id id = nn_const_f32(g, shape, v);
    sm_free(v);
    return id;
}
