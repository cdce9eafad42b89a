/* Attention without permutations: models cut heads out of the tokens [N, T, H D] of a projection by slice, reshape and permute, and
 * put the result together the same way. The fused node reads each operand where it lies, by strides, and writes tokens. */
#include "nn/onednn/onednn.h"

#include <string.h>

/* ---- the fused operator ---- */

static int infer(const nn_graph *g, nn_node *n)
{
    (void)g;
    n->shape = n->attrs.attention_view.tokens ? NN_SHAPE(n->attrs.attention_view.batch, n->attrs.attention_view.tq,
                                                         n->attrs.attention_view.heads, n->attrs.attention_view.dv)
                                              : NN_SHAPE(n->attrs.attention_view.batch, n->attrs.attention_view.heads,
                                                         n->attrs.attention_view.tq, n->attrs.attention_view.dv);
    return 0;
}

static double macs(const nn_graph *g, const nn_node *n)
{
    (void)g;
    return (double)nn_elements(&n->shape) / (double)n->attrs.attention_view.dv * (double)n->attrs.attention_view.tk *
           (double)(n->attrs.attention_view.d + n->attrs.attention_view.dv);
}

/* No reference: the backend's step takes every one of them. */
const nn_op nn_op_attention_view = {
    .name = "attention", .min_in = 3, .max_in = 5, .ints = 1 << 4, .infer = infer, .macs = macs
};

/* ---- values as strided views of others ---- */

typedef struct {
    nn_id source;
    int64_t offset;
    nn_shape shape;
    int64_t stride[NN_MAX_RANK];
} strided;

static void whole(const nn_graph *g, nn_id id, strided *v)
{
    memset(v, 0, sizeof *v);
    v->source = id;
    v->shape = nn_at(g, id)->shape;
    nn_strides(&v->shape, v->stride);
}

/* The view in another shape: each run of new axes must cover a run of old ones that lie as one. */
static bool reshape_view(strided *v, const nn_shape *to)
{
    int64_t dim[NN_MAX_RANK] = { 0 }, step[NN_MAX_RANK] = { 0 }, stride[NN_MAX_RANK] = { 0 };
    int n = 0, o = 0, i = 0;

    for (int k = 0; k < v->shape.rank; k++)
        if (v->shape.dim[k] != 1) {
            dim[n] = v->shape.dim[k];
            step[n++] = v->stride[k];
        }
    while (i < to->rank && o < n) {
        int64_t covers = to->dim[i], covered = dim[o];
        int i_end = i + 1, o_end = o + 1;
        while (covers != covered) {
            if (covers < covered && i_end < to->rank)
                covers *= to->dim[i_end++];
            else if (covers > covered && o_end < n)
                covered *= dim[o_end++];
            else
                return false;
        }
        for (int k = o; k + 1 < o_end; k++)
            if (step[k] != dim[k + 1] * step[k + 1])
                return false;
        stride[i_end - 1] = step[o_end - 1];
        for (int k = i_end - 1; k > i; k--)
            stride[k - 1] = stride[k] * to->dim[k];
        i = i_end;
        o = o_end;
    }
    v->shape = *to;
    memcpy(v->stride, stride, sizeof v->stride);
    return true;
}

/* Follows views towards their source, `depth` of them at most. False: one on the way is none. */
static bool follow(const nn_graph *g, nn_id id, int depth, strided *v)
{
    const nn_node *n = nn_at(g, id);
    strided from;

    whole(g, id, v);
    if (depth == 0)
        return true;
    if (n->identity || n->n_posts || (n->op != &nn_op_permute && n->op != &nn_op_slice && n->op != &nn_op_reshape))
        return false;
    if (!follow(g, n->inputs[0], depth - 1, &from))
        return false;
    if (n->op == &nn_op_reshape) {
        *v = from;
        return reshape_view(v, &n->shape);
    }
    v->source = from.source;
    v->offset = from.offset;
    for (int i = 0; i < n->shape.rank; i++)
        v->stride[i] = from.stride[n->op == &nn_op_permute ? n->attrs.permute.order[i] : i];
    if (n->op == &nn_op_slice) {
        v->offset += n->attrs.slice.begin * v->stride[n->attrs.slice.axis];
        v->stride[n->attrs.slice.axis] *= n->attrs.slice.step;
    }
    return true;
}

/* The furthest source of which the operand [N, H, T, D] is a view with contiguous vectors. */
static void source_of(const nn_graph *g, nn_id id, strided *v)
{
    enum { DEEPEST = 6 };

    for (int depth = DEEPEST; depth > 0; depth--)
        if (follow(g, id, depth, v) && (v->stride[3] == 1 || v->shape.dim[3] == 1))
            return;
    whole(g, id, v);
}

/* ---- the pattern ---- */

static bool swaps_heads_and_tokens(const nn_node *n)
{
    static const int order[4] = { 0, 2, 1, 3 };

    return n->op == &nn_op_permute && !n->n_posts && !memcmp(n->attrs.permute.order, order, sizeof order);
}

static int fuse(nn_graph *g, nn_id id)
{
    const nn_node n = *nn_at(g, id);
    const nn_shape q = nn_in(g, &n, 0)->shape, k = nn_in(g, &n, 1)->shape;
    const nn_id user = nn_only_user(g, id);
    const bool tokens = user != NN_NONE && swaps_heads_and_tokens(nn_at(g, user));
    nn_id inputs[5] = { NN_NONE, NN_NONE, NN_NONE, n.inputs[3], n.inputs[4] };
    bool gains = tokens;
    nn_attrs a;

    memset(&a, 0, sizeof a);
    a.attention_view.attention = n.attrs.attention;
    a.attention_view.batch = q.dim[0];
    a.attention_view.heads = q.dim[1];
    a.attention_view.kv_heads = k.dim[1];
    a.attention_view.tq = q.dim[2];
    a.attention_view.tk = k.dim[2];
    a.attention_view.d = q.dim[3];
    a.attention_view.dv = n.shape.dim[3];
    a.attention_view.tokens = tokens;
    for (int i = 0; i < 3; i++) {
        strided v;
        source_of(g, n.inputs[i], &v);
        inputs[i] = v.source;
        gains = gains || v.source != n.inputs[i];
        a.attention_view.view[i].offset = v.offset;
        a.attention_view.view[i].n = v.stride[0];
        a.attention_view.view[i].h = v.stride[1];
        a.attention_view.view[i].t = v.stride[2];
    }
    if (!gains)
        return 0;
    nn_scope_like(g, id);
    const nn_id fused = nn_add(g, &nn_op_attention_view, &a, inputs, 5);
    if (fused == NN_NONE)
        return nn_graph_error(g);
    nn_replace(g, tokens ? user : id, fused);
    return 0;
}

int nn_dnnl_rewrite_attention(nn_graph *g)
{
    const int size = nn_graph_size(g);
    int err = 0;

    for (nn_id id = 0; id < size && err == 0; id++)
        if (nn_is(g, id, &nn_op_attention) && !nn_at(g, id)->n_posts && nn_uses(g, id) > 0)
            err = fuse(g, id);
    return err;
}
