/* Matrix products by oneDNN: linear layers with packed weights, batched products of activations. */
#include "nn/onednn/onednn.h"

#include <string.h>

enum { MIN_TO_CUT = 1 << 18 }; /* multiply-adds below which threads are not worth waking */

/* y [m, out] = x [m, in] w^T + b; threads take rows. */
int nn_dnnl_linear_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const int streamed = nn_dnnl_stream_step(c, node, out);
    nn_dnnl_primitive *p = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *p);
    const bool bf16 = nn_dnnl_uses_bf16(c), bias = n.inputs[2] != NN_NONE;
    const int64_t width = n.shape.dim[n.shape.rank - 1], depth = nn_in(g, &n, 1)->shape.dim[1];
    const int64_t all = nn_product(&n.shape, 0, n.shape.rank - 1);
    const int parts = nn_dnnl_parts(c, all * depth * width < MIN_TO_CUT ? 1 : all);
    const int64_t rows = all / parts;
    const dnnl_dims_t x_dims = { rows, depth }, w_dims = { depth, width }, y_dims = { rows, width },
                      b_dims = { 1, width };
    dnnl_memory_desc_t x, w, from, b, y;
    nn_dnnl_posts posts = { 0 };
    dnnl_matmul_desc_t desc;
    const void *packed = NULL;
    int err;

    if (streamed != 1)
        return streamed;
    if (!p)
        return SM_ENOMEM;
    const bool constant =
        nn_is_constant(g, n.inputs[1]); /* else as it lies: packing would cost as much as the product */
    if (!constant && (bf16 || parts > 1))
        return 1;
    out->state = p;
    out->free_state = nn_dnnl_destroy;
    p->parts = parts;
    nn_dnnl_describe_dims(&x, 2, x_dims, false, bf16);
    nn_dnnl_describe_dims(&y, 2, y_dims, false, false);
    nn_dnnl_describe_dims(&b, 2, b_dims, false, false);
    nn_dnnl_describe_dims(&from, 2, w_dims, true, false); /* [out, in] in memory: the second axis is the slow one */
    from.format_desc.blocking.strides[0] = 1;
    from.format_desc.blocking.strides[1] = depth;
    w = from;
    if (constant)
        dnnl_memory_desc_init_by_tag(&w, 2, w_dims, bf16 ? dnnl_bf16 : dnnl_f32, dnnl_format_tag_any);
    nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = DNNL_ARG_DST, .place = NN_ARG_OUT, .desc = y });
    if ((err = nn_dnnl_posts_make(c, &n, out, p, false, false, &posts)) == 0) {
        const int sum_in = p->sum_in;
        err = dnnl_matmul_desc_init(&desc, &x, &w, bias ? &b : NULL, &y) == dnnl_success
                  ? nn_dnnl_create(p, &desc, posts.attr, false)
                  : SM_EUNSUPPORTED;
        p->sum_in = sum_in;
    }
    nn_dnnl_posts_free(&posts);
    if (err != 0)
        return nn_dnnl_decline(p, out, err);
    const dnnl_memory_desc_t wanted = *nn_dnnl_query(p, dnnl_query_weights_md, 0);
    nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = DNNL_ARG_SRC, .place = NN_ARG_IN, .in = out->n_in, .desc = x });
    if (nn_dnnl_want(c, out, n.inputs[0], false, bf16) < 0)
        return SM_ENOMEM;
    nn_dnnl_arg weights = { .arg = DNNL_ARG_WEIGHTS, .place = NN_ARG_IN, .whole = true, .in = out->n_in, .desc = w };
    if (!constant && nn_dnnl_want(c, out, n.inputs[1], NN_FORM_PLAIN, false) < 0)
        return SM_ENOMEM;
    if (constant) {
        if ((err = nn_dnnl_pack(c, n.inputs[1], &from, &wanted, &packed)) < 0)
            return err;
        weights.place = NN_ARG_FIXED;
        weights.fixed = packed;
        weights.desc = wanted;
    }
    nn_dnnl_add_arg(p, weights);
    if (bias) {
        nn_dnnl_add_arg(p, (nn_dnnl_arg){
                               .arg = DNNL_ARG_BIAS, .place = NN_ARG_IN, .whole = true, .in = out->n_in, .desc = b });
        if (nn_dnnl_want(c, out, n.inputs[2], false, false) < 0)
            return SM_ENOMEM;
    }
    nn_dnnl_finish_step(c, p, out);
    return 0;
}

/* An operand's last two axes, swapped when it is transposed, behind `rank` - 2 batch axes (1 where it is repeated). */
static void describe_operand(dnnl_memory_desc_t *d, const nn_shape *s, int rank, bool transpose)
{
    dnnl_dims_t dims, stride;
    int64_t step = 1;

    for (int i = rank - 1; i >= 0; i--) {
        const int k = i - (rank - s->rank);
        dims[i] = k >= 0 ? s->dim[k] : 1;
        stride[i] = step;
        step *= dims[i];
    }
    if (transpose) {
        const int64_t dim = dims[rank - 1], across = stride[rank - 1];
        dims[rank - 1] = dims[rank - 2];
        dims[rank - 2] = dim;
        stride[rank - 1] = stride[rank - 2];
        stride[rank - 2] = across;
    }
    dnnl_memory_desc_init_by_strides(d, rank, dims, dnnl_f32, stride);
}

int nn_dnnl_matmul_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const nn_shape a_shape = nn_in(g, &n, 0)->shape, b_shape = nn_in(g, &n, 1)->shape;
    const int rank = SM_MAX(a_shape.rank, b_shape.rank);
    nn_dnnl_primitive *p;
    dnnl_memory_desc_t a, b, y;
    dnnl_matmul_desc_t desc;
    int err;

    if (n.n_posts || a_shape.rank < 2 || b_shape.rank < 2 || nn_elements(&n.shape) == 0 || n.shape.rank != rank)
        return 1;
    p = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *p);
    if (!p)
        return SM_ENOMEM;
    out->state = p;
    out->free_state = nn_dnnl_destroy;
    describe_operand(&a, &a_shape, rank, n.attrs.transpose.a);
    describe_operand(&b, &b_shape, rank, n.attrs.transpose.b);
    describe_operand(&y, &n.shape, rank, false);
    if (dnnl_matmul_desc_init(&desc, &a, &b, NULL, &y) != dnnl_success)
        return nn_dnnl_decline(p, out, SM_EUNSUPPORTED);
    if ((err = nn_dnnl_create(p, &desc, NULL, false)) < 0)
        return nn_dnnl_decline(p, out, err);
    nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = DNNL_ARG_DST, .place = NN_ARG_OUT, .desc = y });
    nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = DNNL_ARG_SRC, .place = NN_ARG_IN, .in = 0, .desc = a });
    nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = DNNL_ARG_WEIGHTS, .place = NN_ARG_IN, .in = 1, .desc = b });
    for (int i = 0; i < 2; i++) {
        const int32_t v = nn_dnnl_want(c, out, n.inputs[i], false, false);
        if (v < 0)
            return v;
    }
    nn_dnnl_finish_step(c, p, out);
    return 0;
}
