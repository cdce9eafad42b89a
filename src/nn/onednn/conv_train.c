/* Convolutions whose weights are no constants, and their gradients, by oneDNN. Blocked channels where there are 16 of them, because
 * Winograd's algorithm (Lavin and Gray 2016; tiles of 4 x 4, less than half of the multiplications for 3 x 3 filters) wants them; else
 * channels last. All three operators choose alike, so that between them nothing is reordered. */
#include "nn/onednn/onednn.h"

#include <string.h>

/* What the three operators have in common: which of their ports is what. */
typedef struct {
    nn_shape x, w, y;
    const nn_conv_attrs *attrs;
    bool bias;
    dnnl_prop_kind_t kind; /* dnnl_forward_training, dnnl_backward_data, dnnl_backward_weights */
} problem;

typedef struct {
    nn_dnnl_form x_form, y_form;
    dnnl_memory_desc_t x, w, b, y;
    dnnl_memory_desc_t plain; /* the weights as they are outside */
} described;

static problem read_problem(const nn_graph *g, const nn_node *n)
{
    problem p = { .attrs = &n->attrs.conv_grad.conv };
    if (n->op == &nn_op_conv) {
        p = (problem){ nn_in(g, n, 0)->shape, nn_in(g, n, 1)->shape,  n->shape,
                       &n->attrs.conv,        nn_in(g, n, 2) != NULL, dnnl_forward_training };
    } else if (n->op == &nn_op_conv_grad_x) {
        p.x = n->shape;
        p.w = nn_in(g, n, 1)->shape;
        p.y = nn_in(g, n, 0)->shape;
        p.kind = dnnl_backward_data;
    } else {
        p.x = nn_in(g, n, 0)->shape;
        p.w = n->attrs.conv_grad.shape;
        p.y = nn_in(g, n, 1)->shape;
        p.bias = n->attrs.conv_grad.bias;
        p.kind = dnnl_backward_weights;
    }
    return p;
}

static bool describe(const problem *p, bool blocked, described *d)
{
    dnnl_dims_t dims;
    int rank = 0;
    const int groups = p->attrs->groups;

    d->x_form = d->y_form = blocked ? NN_FORM_BLOCKED : NN_FORM_LAST;
    if (blocked && p->x.dim[1] <= 3 && groups == 1)
        d->x_form = NN_FORM_PLAIN; /* the first layer: oneDNN's kernels for pictures */
    if (blocked && ((d->x_form == NN_FORM_BLOCKED && p->x.dim[1] % NN_BLOCK) || p->y.dim[1] % NN_BLOCK))
        return false;
    if (groups > 1)
        dims[rank++] = groups;
    dims[rank++] = p->w.dim[0] / groups;
    for (int i = 1; i < p->w.rank; i++)
        dims[rank++] = p->w.dim[i];
    nn_dnnl_describe_dims(&d->plain, rank, dims, NN_FORM_PLAIN, false);
    dnnl_memory_desc_init_by_tag(&d->w, rank, dims, dnnl_f32, dnnl_format_tag_any);
    nn_dnnl_describe_dims(&d->b, 1, &p->w.dim[0], NN_FORM_PLAIN, false);
    nn_dnnl_describe_dims(&d->x, p->x.rank, p->x.dim, d->x_form, false);
    nn_dnnl_describe_dims(&d->y, p->y.rank, p->y.dim, d->y_form, false);
    return true;
}

static dnnl_status_t init_desc(const problem *p, const described *d, dnnl_alg_kind_t alg, dnnl_convolution_desc_t *desc)
{
    const nn_conv_attrs *a = p->attrs;
    const dnnl_memory_desc_t *b = p->bias ? &d->b : NULL;
    dnnl_dims_t stride, dilation, before, after;

    for (int i = 0; i < 2; i++) {
        stride[i] = a->stride[i];
        dilation[i] = a->dilation[i] - 1;
        before[i] = a->pad_before[i];
        after[i] = a->pad_after[i];
    }
    for (int i = 0; i < p->x.rank - 2; i++) /* what the last window does not reach is no padding */
        after[i] = (p->y.dim[2 + i] - 1) * stride[i] + (p->w.dim[2 + i] - 1) * (dilation[i] + 1) + 1 - p->x.dim[2 + i] -
                   before[i];
    if (p->kind == dnnl_forward_training)
        return dnnl_dilated_convolution_forward_desc_init(desc, p->kind, alg, &d->x, &d->w, b, &d->y, stride, dilation,
                                                          before, after);
    if (p->kind == dnnl_backward_data)
        return dnnl_dilated_convolution_backward_data_desc_init(desc, alg, &d->x, &d->w, &d->y, stride, dilation,
                                                                before, after);
    return dnnl_dilated_convolution_backward_weights_desc_init(desc, alg, &d->x, &d->w, b, &d->y, stride, dilation,
                                                               before, after);
}

/* Winograd's transforms pay from some channels on, and their tiles want to be filled. */
static bool winograd_pays(const problem *p)
{
    const nn_conv_attrs *a = p->attrs;
    return p->x.rank == 4 && a->groups == 1 && p->w.dim[2] == 3 && p->w.dim[3] == 3 && a->stride[0] == 1 &&
           a->stride[1] == 1 && a->dilation[0] == 1 && a->dilation[1] == 1 && p->x.dim[1] >= 32 && p->y.dim[1] >= 32 &&
           p->y.dim[2] >= 8 && p->y.dim[3] >= 8;
}

/* The first way that oneDNN has a kernel for. SM_EUNSUPPORTED: none. */
static int create(nn_dnnl_primitive *prim, const problem *p, dnnl_primitive_attr_t attr, described *d)
{
    static const struct {
        bool blocked;
        dnnl_alg_kind_t alg;
    } ways[] = { { true, dnnl_convolution_winograd },
                 { true, dnnl_convolution_direct },
                 { false, dnnl_convolution_direct } };
    const int sum_in = prim->sum_in;
    dnnl_convolution_desc_t desc;

    for (size_t i = 0; i < SM_LENGTH(ways); i++) {
        if ((ways[i].alg == dnnl_convolution_winograd && !winograd_pays(p)) || !describe(p, ways[i].blocked, d) ||
            init_desc(p, d, ways[i].alg, &desc) != dnnl_success)
            continue;
        const int err = nn_dnnl_create(prim, &desc, attr, false);
        prim->sum_in = sum_in;
        if (err != SM_EUNSUPPORTED)
            return err;
        nn_dnnl_destroy(prim);
    }
    return SM_EUNSUPPORTED;
}

static int want_in(nn_compiler *c, nn_dnnl_primitive *p, nn_step *out, int arg, nn_id id, nn_dnnl_form form,
                   const dnnl_memory_desc_t *desc)
{
    nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = arg, .place = NN_ARG_IN, .in = out->n_in, .whole = true, .desc = *desc });
    const int32_t v = nn_dnnl_want(c, out, id, form, false);
    return v < 0 ? v : 0;
}

static int want_weights(nn_compiler *c, nn_dnnl_primitive *p, nn_step *out, nn_id id, const described *d)
{
    const dnnl_memory_desc_t wanted = *nn_dnnl_query(p, dnnl_query_weights_md, 0);
    nn_dnnl_add_arg(p,
                    (nn_dnnl_arg){
                        .arg = DNNL_ARG_WEIGHTS, .place = NN_ARG_IN, .in = out->n_in, .whole = true, .desc = wanted });
    return nn_dnnl_want_packed(c, out, id, &d->plain, &wanted);
}

/* ---- forward ---- */

static int make_forward(nn_compiler *c, nn_id node, const problem *p, nn_dnnl_primitive *prim, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    nn_dnnl_posts posts = { 0 };
    described d;
    int err;

    nn_dnnl_add_arg(prim, (nn_dnnl_arg){ .arg = DNNL_ARG_DST, .place = NN_ARG_OUT });
    /* A residual that is added is wanted in the form of the result, which oneDNN decides only afterwards: try without it. */
    err = create(prim, p, NULL, &d);
    if (err == 0 && n.n_posts) {
        const nn_dnnl_form form = d.y_form;
        nn_dnnl_destroy(prim);
        if ((err = nn_dnnl_posts_make(c, &n, out, prim, form, false, &posts)) == 0)
            err = create(prim, p, posts.attr, &d);
        nn_dnnl_posts_free(&posts);
        if (err == 0 && d.y_form != form)
            err = SM_EUNSUPPORTED;
    }
    if (err == 0)
        err = want_in(c, prim, out, DNNL_ARG_SRC, n.inputs[0], d.x_form, &d.x);
    if (err == 0)
        err = want_weights(c, prim, out, n.inputs[1], &d);
    if (err == 0 && p->bias)
        err = want_in(c, prim, out, DNNL_ARG_BIAS, n.inputs[2], NN_FORM_PLAIN, &d.b);
    if (err != 0)
        return err;
    prim->args[0].desc = d.y;
    nn_dnnl_gives(c, out, node, d.y_form, false);
    return 0;
}

/* ---- backward ---- */

static int make_grad_x(nn_compiler *c, nn_id node, const problem *p, nn_dnnl_primitive *prim, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    described d;
    int err = create(prim, p, NULL, &d);

    if (err == 0)
        err = want_in(c, prim, out, DNNL_ARG_DIFF_DST, n.inputs[0], d.y_form, &d.y);
    if (err == 0)
        err = want_weights(c, prim, out, n.inputs[1], &d);
    if (err != 0)
        return err;
    nn_dnnl_add_arg(prim, (nn_dnnl_arg){ .arg = DNNL_ARG_DIFF_SRC, .place = NN_ARG_OUT, .desc = d.x });
    nn_dnnl_gives(c, out, node, d.x_form, false);
    return 0;
}

/* From the primitive's form of the weights, in scratch memory, to the plain one at the head of the result. */
static int unpack(nn_dnnl_primitive *prim, nn_compiler *c, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                  size_t at, size_t *scratch)
{
    nn_dnnl_primitive *r = prim->next = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *r);
    dnnl_primitive_attr_t attr = NULL;
    int err;

    if (!r)
        return SM_ENOMEM;
    r->sum_in = -1;
    if ((err = nn_dnnl_check(dnnl_engine_create(&r->engine, dnnl_cpu, 0), "an engine")) < 0 ||
        (err = nn_dnnl_check(dnnl_primitive_attr_create(&attr), "attributes")) < 0)
        return err;
    dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    err =
        nn_dnnl_check(dnnl_reorder_primitive_desc_create(&r->desc, from, r->engine, to, r->engine, attr), "a reorder");
    dnnl_primitive_attr_destroy(attr);
    if (err < 0 || (err = nn_dnnl_check(dnnl_primitive_create(&r->primitive, r->desc), "a reorder")) < 0)
        return err;
    nn_dnnl_add_arg(r, (nn_dnnl_arg){ .arg = DNNL_ARG_FROM, .place = NN_ARG_SCRATCH, .at = at, .desc = *from });
    nn_dnnl_add_arg(r, (nn_dnnl_arg){ .arg = DNNL_ARG_TO, .place = NN_ARG_OUT, .desc = *to });
    const dnnl_memory_desc_t *pad = nn_dnnl_query(r, dnnl_query_scratchpad_md, 0);
    *scratch = at + (dnnl_memory_desc_get_size(from) + 63) / 64 * 64;
    if (pad && dnnl_memory_desc_get_size(pad)) {
        nn_dnnl_add_arg(r, (nn_dnnl_arg){
                               .arg = DNNL_ARG_SCRATCHPAD, .place = NN_ARG_SCRATCH, .at = *scratch, .desc = *pad });
        *scratch += dnnl_memory_desc_get_size(pad);
    }
    return 0;
}

static int make_grad_w(nn_compiler *c, nn_id node, const problem *p, nn_dnnl_primitive *prim, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    described d;
    int err = create(prim, p, NULL, &d);

    if (err == 0)
        err = want_in(c, prim, out, DNNL_ARG_SRC, n.inputs[0], d.x_form, &d.x);
    if (err == 0)
        err = want_in(c, prim, out, DNNL_ARG_DIFF_DST, n.inputs[1], d.y_form, &d.y);
    if (err != 0)
        return err;
    const dnnl_memory_desc_t form = *nn_dnnl_query(prim, dnnl_query_diff_weights_md, 0);
    const bool plain = dnnl_memory_desc_equal(&form, &d.plain);
    const dnnl_memory_desc_t *pad = nn_dnnl_query(prim, dnnl_query_scratchpad_md, 0);
    const size_t at = pad ? (dnnl_memory_desc_get_size(pad) + 63) / 64 * 64 : 0;
    nn_dnnl_add_arg(prim, (nn_dnnl_arg){ .arg = DNNL_ARG_DIFF_WEIGHTS,
                                         .place = plain ? NN_ARG_OUT : NN_ARG_SCRATCH,
                                         .at = plain ? 0 : at,
                                         .desc = form });
    if (p->bias)
        nn_dnnl_add_arg(prim, (nn_dnnl_arg){ .arg = DNNL_ARG_DIFF_BIAS,
                                             .place = NN_ARG_OUT,
                                             .at = (size_t)nn_elements(&p->w) * sizeof(float),
                                             .desc = d.b });
    nn_dnnl_gives(c, out, node, NN_FORM_PLAIN, false);
    return plain ? 0 : unpack(prim, c, &form, &d.plain, at, &out->scratch);
}

int nn_dnnl_conv_train_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const problem p = read_problem(g, &n);
    nn_dnnl_primitive *prim = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *prim);
    int err;

    if (!prim)
        return SM_ENOMEM;
    prim->sum_in = -1;
    out->state = prim;
    out->free_state = nn_dnnl_destroy;
    if (p.kind == dnnl_forward_training)
        err = make_forward(c, node, &p, prim, out);
    else
        err = p.kind == dnnl_backward_data ? make_grad_x(c, node, &p, prim, out) : make_grad_w(c, node, &p, prim, out);
    if (err != 0)
        return nn_dnnl_decline(prim, out, err);
    const size_t scratch = out->scratch;
    nn_dnnl_finish_step(c, prim, out);
    out->scratch = SM_MAX(out->scratch, scratch);
    return 0;
}
