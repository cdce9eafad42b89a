/* Zeros put around an image before a convolution are the convolution's own padding. */
#include "nn/pass.h"

#include <string.h>

static nn_id with_padding(nn_graph *g, const nn_node *n)
{
    const nn_node *pad = nn_in(g, n, 0);
    const int axis = pad->attrs.pad.axis - 2;
    nn_conv_attrs a = n->attrs.conv;
    if (pad->op != &nn_op_pad || pad->attrs.pad.kind != NN_PAD_ZERO || axis < 0 || pad->identity)
        return NN_NONE;
    const int64_t before = a.pad_before[axis] + pad->attrs.pad.before, after = a.pad_after[axis] + pad->attrs.pad.after;
    if (before > INT32_MAX || after > INT32_MAX)
        return NN_NONE;
    a.pad_before[axis] = (int)before;
    a.pad_after[axis] = (int)after;
    return nn_conv(g, pad->inputs[0], n->inputs[1], n->n_own > 2 ? n->inputs[2] : NN_NONE, &a);
}

static int run(nn_graph *g, const nn_pass_context *p)
{
    (void)p;
    for (nn_id id = 0; id < nn_graph_size(g); id++) { /* new nodes too: one pad an axis */
        const nn_node n = *nn_at(g, id);
        if (n.op != &nn_op_conv || n.identity || n.n_posts || !nn_uses(g, id))
            continue;
        nn_scope_like(g, id);
        const nn_id better = with_padding(g, &n);
        if (better != NN_NONE)
            nn_replace(g, id, better);
    }
    return 0;
}

const nn_pass nn_pass_fold_pad = { "fold pad", run };
