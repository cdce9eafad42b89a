/* Convolution by oneDNN's direct kernels, channels last; posts fused. */
#include "nn/onednn/onednn.h"

#include <string.h>

/* Dims of a convolution's weights as oneDNN counts them: a leading axis for groups. */
static int weight_dims(const nn_shape *w, int groups, bool transposed, dnnl_dims_t dims)
{
    int rank = 0;

    if (groups > 1) {
        dims[rank++] = groups;
        dims[rank++] = w->dim[0] / groups;
    } else {
        dims[rank++] = w->dim[0];
    }
    for (int i = 1; i < w->rank; i++)
        dims[rank++] = w->dim[i];
    if (transposed) { /* ours [C, K/g, ...], theirs [(g,) K/g, C/g, ...] */
        const int at = groups > 1;
        const int64_t c = dims[at];
        dims[at] = dims[at + 1];
        dims[at + 1] = c;
    }
    return rank;
}

/* Plain numbers of our weights, described with oneDNN's axes. */
static void describe_weights(dnnl_memory_desc_t *d, const nn_shape *w, int groups, bool transposed)
{
    dnnl_dims_t dims;
    const int rank = weight_dims(w, groups, transposed, dims);

    nn_dnnl_describe_dims(d, rank, dims, false, false);
    if (!transposed)
        return;
    const int at = groups > 1;
    int64_t inner = 1;
    for (int i = at + 2; i < rank; i++)
        inner *= dims[i];
    d->format_desc.blocking.strides[at] = inner;                /* K/g */
    d->format_desc.blocking.strides[at + 1] = inner * dims[at]; /* C/g */
    if (at)
        d->format_desc.blocking.strides[0] = inner * dims[at] * dims[at + 1];
}

typedef struct {
    dnnl_memory_desc_t x, w, b, y;
    dnnl_dims_t stride, dilation, before, after;
} conv_parts;

/* One image whose positions do not know of each other is as good as a batch of them. 0: it is not so; else how many there are. */
static int64_t lone_positions(const nn_node *n, const nn_node *x, const nn_node *w)
{
    const nn_conv_attrs *a = &n->attrs.conv;
    const int64_t positions = nn_product(&n->shape, 2, n->shape.rank);

    if (n->op != &nn_op_conv || n->shape.dim[0] != 1 || nn_product(&w->shape, 2, w->shape.rank) != 1 || a->groups != 1)
        return 0;
    return nn_product(&x->shape, 2, x->shape.rank) == positions && a->stride[0] == 1 && a->stride[1] == 1 ? positions
                                                                                                          : 0;
}

static void fill_parts(conv_parts *d, const nn_node *n, const nn_node *x, const nn_node *w, int groups, bool transposed,
                       int parts, bool bf16, bool bf16_out)
{
    nn_shape in = x->shape, result = n->shape; /* of a part */
    dnnl_dims_t dims;
    const int rank = weight_dims(&w->shape, groups, transposed, dims);

    if (lone_positions(n, x, w) > 0 && parts > 1) {
        for (int i = 2; i < in.rank; i++)
            in.dim[i] = result.dim[i] = i == in.rank - 1 ? lone_positions(n, x, w) / parts : 1;
    } else {
        in.dim[0] /= parts;
        result.dim[0] /= parts;
    }
    nn_dnnl_describe_dims(&d->x, in.rank, in.dim, true, bf16);
    nn_dnnl_describe_dims(&d->y, result.rank, result.dim, true, bf16_out);
    nn_dnnl_describe_dims(&d->b, 1, &n->shape.dim[1], false, false);
    dnnl_memory_desc_init_by_tag(&d->w, rank, dims, bf16 ? dnnl_bf16 : dnnl_f32, dnnl_format_tag_any);
}

/* Results stay in bf16 only where everyone who reads them would round them to it anyway. */
static bool readers_take_bf16(const nn_graph *g, nn_id node)
{
    nn_id users[16];
    const int n = nn_users(g, node, users, 16);

    if (n == 0 || n > 16 || n != nn_uses(g, node))
        return false;
    for (int i = 0; i < n; i++) {
        const nn_node *u = nn_at(g, users[i]);
        if (u->op != &nn_op_conv && u->op != &nn_op_conv_transpose && u->op != &nn_op_max_pool)
            return false;
    }
    return true;
}

/* Adds source, weights, bias behind the destination (which must be first) and the step's own reads. */
static int add_operands(nn_compiler *c, nn_id node, nn_dnnl_primitive *p, const conv_parts *d, int groups,
                        bool transposed, bool bf16, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    const nn_node w = *nn_at(nn_compiler_graph(c), n.inputs[1]);
    dnnl_memory_desc_t from;
    const void *packed = NULL;
    int err;

    const int at = out->n_in;
    const int32_t x = nn_dnnl_want(c, out, n.inputs[0], true, bf16);
    if (x < 0)
        return x;
    nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = DNNL_ARG_SRC, .place = NN_ARG_IN, .in = at, .desc = d->x });
    const dnnl_memory_desc_t wanted = *nn_dnnl_query(p, dnnl_query_weights_md, 0);
    describe_weights(&from, &w.shape, groups, transposed);
    if ((err = nn_dnnl_pack(c, n.inputs[1], &from, &wanted, &packed)) < 0)
        return err;
    nn_dnnl_add_arg(
        p, (nn_dnnl_arg){
               .arg = DNNL_ARG_WEIGHTS, .place = NN_ARG_FIXED, .whole = true, .fixed = packed, .desc = wanted });
    if (n.inputs[2] == NN_NONE)
        return 0;
    const int bias_at = out->n_in;
    const int32_t b = nn_dnnl_want(c, out, n.inputs[2], false, false);
    if (b < 0)
        return b;
    nn_dnnl_add_arg(p, (nn_dnnl_arg){
                           .arg = DNNL_ARG_BIAS, .place = NN_ARG_IN, .whole = true, .in = bias_at, .desc = d->b });
    return 0;
}

enum { FEW_POSITIONS = 256 }; /* not worth sharing among threads by rows */

/* Asks oneDNN for the operation. */
typedef int (*create_fn)(nn_dnnl_primitive *p, const nn_node *n, conv_parts *d, bool bias, dnnl_primitive_attr_t attr);

static int make(nn_compiler *c, nn_id node, int groups, bool transposed, create_fn create, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    nn_dnnl_primitive *p = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *p);
    const bool bf16 = nn_dnnl_uses_bf16(c), bf16_out = bf16 && readers_take_bf16(g, node);
    nn_dnnl_posts posts = { 0 };
    conv_parts d;
    int err;

    if (!p)
        return SM_ENOMEM;
    if (!nn_is_constant(g, n.inputs[1]))
        return 1;
    out->state = p;
    out->free_state = nn_dnnl_destroy;
    const int64_t lone = lone_positions(&n, nn_at(g, n.inputs[0]), nn_at(g, n.inputs[1]));
    p->parts = nn_dnnl_parts(c, lone >= FEW_POSITIONS ? lone : n.shape.dim[0]);
    memset(&d, 0, sizeof d);
    fill_parts(&d, &n, nn_at(g, n.inputs[0]), nn_at(g, n.inputs[1]), groups, transposed, p->parts, bf16, bf16_out);
    nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = DNNL_ARG_DST, .place = NN_ARG_OUT, .desc = d.y });
    if ((err = nn_dnnl_posts_make(c, &n, out, p, true, bf16_out, &posts)) == 0) {
        const int sum_in = p->sum_in;
        err = create(p, &n, &d, n.inputs[2] != NN_NONE, posts.attr);
        p->sum_in = sum_in;
    }
    nn_dnnl_posts_free(&posts);
    if (err == 0)
        err = add_operands(c, node, p, &d, groups, transposed, bf16, out);
    if (err != 0)
        return nn_dnnl_decline(p, out, err);
    nn_dnnl_gives(c, out, node, true, bf16_out);
    nn_dnnl_finish_step(c, p, out);
    return 0;
}

static int create_conv(nn_dnnl_primitive *p, const nn_node *n, conv_parts *d, bool bias, dnnl_primitive_attr_t attr)
{
    const nn_conv_attrs *a = &n->attrs.conv;
    dnnl_convolution_desc_t desc;

    for (int i = 0; i < 2; i++) {
        d->stride[i] = a->stride[i];
        d->dilation[i] = a->dilation[i] - 1;
        d->before[i] = a->pad_before[i];
        d->after[i] = a->pad_after[i];
    }
    const dnnl_status_t status =
        dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct, &d->x, &d->w,
                                                   bias ? &d->b : NULL, &d->y, d->stride, d->dilation, d->before,
                                                   d->after);
    return status == dnnl_success ? nn_dnnl_create(p, &desc, attr, false) : SM_EUNSUPPORTED;
}

int nn_dnnl_conv_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    if (!nn_is_constant(g, nn_at(g, node)->inputs[1]))
        return nn_dnnl_conv_train_step(c, node, out);
    int err = nn_dnnl_conv_fft_step(c, node, out);
    if (err == 1)
        err = nn_dnnl_winograd_step(c, node, out);
    if (err == 1)
        err = nn_dnnl_conv_tile_step(c, node, out);
    if (err == 1)
        err = nn_dnnl_conv_depth_step(c, node, out);
    if (err != 1)
        return err;
    return make(c, node, nn_at(nn_compiler_graph(c), node)->attrs.conv.groups, false, create_conv, out);
}

static int create_conv_transpose(nn_dnnl_primitive *p, const nn_node *n, conv_parts *d, bool bias,
                                 dnnl_primitive_attr_t attr)
{
    const nn_conv_transpose_attrs *a = &n->attrs.conv_transpose;
    dnnl_deconvolution_desc_t desc;

    for (int i = 0; i < 2; i++) {
        d->stride[i] = a->stride[i];
        d->dilation[i] = a->dilation[i] - 1;
        d->before[i] = a->pad_before[i];
        d->after[i] = a->pad_after[i] - a->output_pad[i];
    }
    const dnnl_status_t status =
        dnnl_dilated_deconvolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_deconvolution_direct, &d->x,
                                                     &d->w, bias ? &d->b : NULL, &d->y, d->stride, d->dilation,
                                                     d->before, d->after);
    return status == dnnl_success ? nn_dnnl_create(p, &desc, attr, false) : SM_EUNSUPPORTED;
}

int nn_dnnl_conv_gated_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const int err = nn_dnnl_winograd_step(c, node, out);
    return err != 1 ? err : nn_dnnl_conv_tile_step(c, node, out);
}

int nn_dnnl_conv_transpose_step(nn_compiler *c, nn_id node, nn_step *out)
{
    int err = nn_dnnl_winograd_step(c, node, out);
    if (err == 1)
        err = nn_dnnl_conv_tile_step(c, node, out);
    if (err != 1)
        return err;
    return make(c, node, nn_at(nn_compiler_graph(c), node)->attrs.conv_transpose.groups, true, create_conv_transpose,
                out);
}
