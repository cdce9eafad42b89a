/* Shape rules and walks that operators share. */
#include "nn/graph.h"

#include <string.h>

int64_t nn_product(const nn_shape *s, int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= s->dim[i];
    return n;
}

int nn_axis(int axis, int rank)
{
    const int a = axis < 0 ? axis + rank : axis;
    return a >= 0 && a < rank ? a : -1;
}

int nn_broadcast(const nn_shape *a, const nn_shape *b, nn_shape *out)
{
    const int rank = SM_MAX(a->rank, b->rank);
    out->rank = rank;
    for (int i = 1; i <= rank; i++) {
        const int64_t da = i <= a->rank ? a->dim[a->rank - i] : 1, db = i <= b->rank ? b->dim[b->rank - i] : 1;
        if (da != db && da != 1 && db != 1)
            return -1;
        out->dim[rank - i] = da == 1 ? db : da;
    }
    return 0;
}

void nn_strides(const nn_shape *s, int64_t stride[NN_MAX_RANK])
{
    int64_t n = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = n;
        n *= s->dim[i];
    }
}

void nn_broadcast_strides(const nn_shape *s, const nn_shape *to, int64_t stride[NN_MAX_RANK])
{
    int64_t own[NN_MAX_RANK] = { 0 };
    nn_strides(s, own);
    for (int i = 0; i < to->rank; i++) {
        const int k = i - (to->rank - s->rank);
        stride[i] = k >= 0 && s->dim[k] != 1 ? own[k] : 0;
    }
}

void nn_walk_start(nn_walk *w, const nn_shape *shape)
{
    memset(w, 0, sizeof *w);
    w->shape = *shape;
}

void nn_walk_next(nn_walk *w)
{
    for (int i = w->shape.rank - 1; i >= 0; i--) {
        for (int k = 0; k < 3; k++)
            w->at[k] += w->stride[k][i];
        if (++w->index[i] < w->shape.dim[i])
            return;
        w->index[i] = 0;
        for (int k = 0; k < 3; k++)
            w->at[k] -= w->stride[k][i] * w->shape.dim[i];
    }
}

/* ---- windows of convolutions and pools ---- */

int64_t nn_window_out(int64_t in, int64_t kernel, int stride, int dilation, int64_t before, int64_t after,
                      bool ceil_mode)
{
    const int64_t room = in + before + after - (dilation * (kernel - 1) + 1);
    if (room < 0)
        return 0;
    int64_t out = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    /* PyTorch's rule: a window that would start in the padding behind is left out */
    if (ceil_mode && (out - 1) * stride >= in + before)
        out--;
    return out;
}

void nn_same_pads(int64_t in, int64_t kernel, int stride, int dilation, int *before, int *after)
{
    const int64_t out = (in + stride - 1) / stride;
    const int64_t total = SM_MAX((out - 1) * stride + dilation * (kernel - 1) + 1 - in, 0);
    *before = (int)(total / 2);
    *after = (int)(total - total / 2);
}

/* ---- what infer functions share ---- */

int nn_need_rank(const nn_graph *g, const nn_node *n, int i, int low, int high)
{
    char text[256];
    const nn_node *x = nn_in(g, n, i);
    if (x->shape.rank >= low && x->shape.rank <= high)
        return 0;
    if (low == high)
        return sm_fail(SM_EFORMAT, "%s: %d dimensions expected", nn_operand_text(x, text), low);
    return sm_fail(SM_EFORMAT, "%s: %d to %d dimensions expected", nn_operand_text(x, text), low, high);
}

int nn_need_shape(const nn_graph *g, const nn_node *n, int i, nn_shape expected)
{
    char text[256], shape[96];
    const nn_node *x = nn_in(g, n, i);
    if (!x || nn_shape_equal(&x->shape, &expected))
        return 0;
    return sm_fail(SM_EFORMAT, "%s: %s expected", nn_operand_text(x, text), nn_shape_text(&expected, shape));
}
