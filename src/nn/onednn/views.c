/* Reshapes and permutations of channels-last values that move no number: axes of length 1 come and go, and [N, C, T] with its channels
 * last already lies as the plain [N, T, C]. A copy that is not made when the result takes over the memory. */
#include "nn/onednn/onednn.h"

#include <string.h>

static int run_copy(const nn_step *step, nn_exec *x)
{
    if (x->data[step->out] != x->data[step->in[0]])
        memcpy(x->data[step->out], x->data[step->in[0]], *(const size_t *)step->state);
    return 0;
}

/* The step: input as it lies, result in the given layout. */
static int make_view(nn_compiler *c, nn_id node, bool last, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    const bool bf16 = nn_dnnl_is_bf16(c, n.inputs[0]);
    size_t *bytes = sm_arena_get(nn_compiler_arena(c), 1, sizeof *bytes, sizeof *bytes);

    if (!bytes)
        return SM_ENOMEM;
    *bytes = (size_t)nn_elements(&n.shape) * (bf16 ? 2 : 4);
    out->inplace = nn_dnnl_want(c, out, n.inputs[0], true, bf16);
    if (out->inplace < 0)
        return out->inplace;
    nn_dnnl_gives(c, out, node, last, bf16);
    out->run = run_copy;
    out->state = bytes;
    out->kernel = "view";
    return 0;
}

/* Positions lie in front of the channels: how they are cut into axes does not matter. */
int nn_dnnl_reshape_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const nn_shape x = nn_in(g, &n, 0)->shape;

    if (n.n_posts || !nn_dnnl_is_last(c, n.inputs[0]) || n.shape.rank < 3 || n.shape.rank > 5 ||
        n.shape.dim[0] != x.dim[0] || n.shape.dim[1] != x.dim[1])
        return 1;
    return make_view(c, node, true, out);
}

/* Does an order of axes leave the numbers in place? `memory` is the result's order of reading: its axes as places of x's memory. */
static bool is_identity(const nn_shape *memory, const int *order, int rank)
{
    int last = -1;
    for (int i = 0; i < rank; i++) {
        if (memory->dim[order[i]] == 1)
            continue;
        if (order[i] < last)
            return false;
        last = order[i];
    }
    return true;
}

int nn_dnnl_permute_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const nn_shape x = nn_in(g, &n, 0)->shape;
    const nn_shape memory = nn_dnnl_memory_shape(&x, true);
    int plain[NN_MAX_RANK], last[NN_MAX_RANK];

    if (!nn_dnnl_is_last(c, n.inputs[0]) || n.n_posts)
        return nn_dnnl_move_permute_step(c, node, out);
    for (int i = 0; i < x.rank; i++) {
        plain[i] = nn_dnnl_memory_axis(n.attrs.permute.order[i], x.rank, true);
        last[nn_dnnl_memory_axis(i, x.rank, true)] = plain[i];
    }
    if (is_identity(&memory, plain, x.rank))
        return make_view(c, node, false, out);
    return is_identity(&memory, last, x.rank) ? make_view(c, node, true, out) : nn_dnnl_move_permute_step(c, node, out);
}
