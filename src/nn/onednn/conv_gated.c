/* A convolution whose second half of channels gates the first (GLU): one node, because the two halves of a result stand side by side
 * in registers and the wide tensor need never be written. */
#include "nn/onednn/onednn.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    const int err = nn_op_conv.infer(g, n);
    if (err < 0)
        return err;
    if (n->shape.dim[1] % 2)
        return sm_fail(SM_EINTERNAL, "a gated convolution of %lld filters", (long long)n->shape.dim[1]);
    n->shape.dim[1] /= 2;
    return 0;
}

static nn_shape wide_shape(const nn_call *c)
{
    nn_shape s = c->out.shape;
    s.dim[1] *= 2;
    return s;
}

static size_t wide_bytes(const nn_call *c)
{
    const nn_shape s = wide_shape(c);
    return ((size_t)nn_elements(&s) * sizeof(float) + 63) / 64 * 64;
}

static void ref(const nn_call *c)
{
    nn_attrs axis;
    nn_call conv = *c, glu = *c;

    memset(&axis, 0, sizeof axis);
    axis.axis.axis = 1;
    conv.out = (nn_operand){ NN_F32, wide_shape(c), c->scratch };
    conv.scratch = (char *)c->scratch + wide_bytes(c);
    nn_op_conv.ref(&conv);
    glu.attrs = &axis;
    glu.in = &conv.out;
    glu.n_in = 1;
    nn_op_glu.ref(&glu);
}

static size_t scratch(const nn_call *c)
{
    return wide_bytes(c) + nn_op_conv.scratch(c);
}

static double macs(const nn_graph *g, const nn_node *n)
{
    return 2 * nn_op_conv.macs(g, n);
}

const nn_op nn_op_conv_gated = {
    .name = "conv_gated", .min_in = 2, .max_in = 3, .infer = infer, .ref = ref, .scratch = scratch, .macs = macs
};

int nn_dnnl_fuse_gate(nn_graph *g, nn_id id)
{
    const nn_node n = *nn_at(g, id);

    if (n.op != &nn_op_glu || n.attrs.axis.axis != 1 || n.n_posts || !nn_is(g, n.inputs[0], &nn_op_conv) ||
        nn_uses(g, n.inputs[0]) != 1)
        return 0;
    const nn_node conv = *nn_at(g, n.inputs[0]);
    if (conv.n_posts || conv.attrs.conv.groups != 1 || !nn_is_constant(g, conv.inputs[1]) ||
        (conv.inputs[2] != NN_NONE && !nn_is_constant(g, conv.inputs[2])))
        return 0;
    const nn_id fused = nn_add(g, &nn_op_conv_gated, &conv.attrs, conv.inputs, 3);
    if (fused == NN_NONE)
        return nn_graph_error(g);
    nn_edit(g, fused)->scope = n.scope;
    nn_replace(g, id, fused);
    return 0;
}
