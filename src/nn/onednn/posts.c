/* A node's posts as oneDNN post-ops. */
#include "nn/onednn/onednn.h"

static const struct {
    dnnl_alg_kind_t alg;
    bool has_alpha, has_beta;
    float alpha, beta; /* where they are not the node's */
} eltwise[NN_UNARY_KINDS] = {
    [NN_RELU] = { dnnl_eltwise_relu, false, false, 0, 0 },
    [NN_LEAKY_RELU] = { dnnl_eltwise_relu, true, false, 0, 0 },
    [NN_ELU] = { dnnl_eltwise_elu, true, false, 0, 0 },
    [NN_SIGMOID] = { dnnl_eltwise_logistic, false, false, 0, 0 },
    [NN_TANH] = { dnnl_eltwise_tanh, false, false, 0, 0 },
    [NN_GELU] = { dnnl_eltwise_gelu_erf, false, false, 0, 0 },
    [NN_GELU_TANH] = { dnnl_eltwise_gelu_tanh, false, false, 0, 0 },
    [NN_SWISH] = { dnnl_eltwise_swish, false, false, 1, 0 },
    [NN_EXP] = { dnnl_eltwise_exp, false, false, 0, 0 },
    [NN_LOG] = { dnnl_eltwise_log, false, false, 0, 0 },
    [NN_SQRT] = { dnnl_eltwise_sqrt, false, false, 0, 0 },
    [NN_ABS] = { dnnl_eltwise_abs, false, false, 0, 0 },
    [NN_NEG] = { dnnl_eltwise_linear, false, false, -1, 0 },
    [NN_SQUARE] = { dnnl_eltwise_square, false, false, 0, 0 },
    [NN_HARD_SWISH] = { dnnl_eltwise_hardswish, false, false, 0, 0 },
    [NN_CLIP] = { dnnl_eltwise_clip, true, true, 0, 0 },
};

bool nn_dnnl_eltwise(nn_unary_kind kind, float alpha, float beta, dnnl_alg_kind_t *alg, float *a, float *b)
{
    if (eltwise[kind].alg == dnnl_alg_kind_undef)
        return false;
    *alg = eltwise[kind].alg;
    *a = eltwise[kind].has_alpha ? alpha : eltwise[kind].alpha;
    *b = eltwise[kind].has_beta ? beta : eltwise[kind].beta;
    return true;
}

/* The axis along which this operator's kernels take a vector. */
static int vector_axis(const nn_node *n)
{
    return n->op == &nn_op_conv || n->op == &nn_op_conv_transpose ? 1 : n->shape.rank - 1;
}

bool nn_dnnl_can_post(const nn_graph *g, nn_id node, const nn_post *post, nn_id operand)
{
    const nn_node *n = nn_at(g, node);
    dnnl_alg_kind_t alg;
    float a, b;

    if (n->op == &nn_op_batch_norm_train) { /* a sum, then ReLU */
        if (post->kind == NN_POST_UNARY)
            return post->unary == NN_RELU && (n->n_posts == 0 || n->posts[n->n_posts - 1].kind == NN_POST_BINARY);
        return post->kind == NN_POST_BINARY && post->binary == NN_ADD && n->n_posts == 0 && !nn_is_constant(g, operand);
    }
    if (n->op != &nn_op_conv && n->op != &nn_op_conv_transpose && n->op != &nn_op_linear)
        return false;
    if (post->kind == NN_POST_UNARY)
        return nn_dnnl_eltwise(post->unary, post->alpha, post->beta, &alg, &a, &b);
    if (post->kind == NN_POST_AFFINE)
        return post->axis == vector_axis(n);
    for (int i = 0; i < n->n_posts; i++)
        if (n->posts[i].kind == NN_POST_BINARY)
            return false;
    return post->binary == NN_ADD && !nn_is_constant(g, operand);
}

/* x * scale + offset: two binary post-ops with vectors along the node's vector axis. */
static int add_affine(nn_compiler *c, const nn_node *n, const nn_post *post, nn_step *s, nn_dnnl_primitive *p, int rank,
                      int axis, nn_dnnl_posts *out)
{
    static const dnnl_alg_kind_t algs[2] = { dnnl_binary_mul, dnnl_binary_add };
    int64_t dims[NN_MAX_RANK];

    for (int i = 0; i < rank; i++)
        dims[i] = i == axis ? n->shape.dim[post->axis] : 1;
    for (int i = 0; i < 2; i++) {
        nn_dnnl_arg a = { .place = NN_ARG_IN, .in = s->n_in, .whole = true };
        const int32_t v = nn_dnnl_want(c, s, n->inputs[post->input + i], false, false);
        if (v < 0)
            return v;
        nn_dnnl_describe_dims(&a.desc, rank, dims, false, false);
        a.arg = DNNL_ARG_ATTR_MULTIPLE_POST_OP(dnnl_post_ops_len(out->ops)) | DNNL_ARG_SRC_1;
        const int err =
            nn_dnnl_check(dnnl_post_ops_append_binary(out->ops, algs[i], &a.desc), "a scale behind an operator");
        if (err < 0)
            return err;
        nn_dnnl_add_arg(p, a);
    }
    return 0;
}

static int add_post(nn_compiler *c, const nn_node *n, const nn_post *post, nn_step *s, nn_dnnl_primitive *p,
                    nn_dnnl_form form, bool bf16, nn_dnnl_posts *out)
{
    dnnl_alg_kind_t alg;
    float a, b;

    if (post->kind == NN_POST_UNARY) {
        if (!nn_dnnl_eltwise(post->unary, post->alpha, post->beta, &alg, &a, &b))
            return 1;
        return nn_dnnl_check(dnnl_post_ops_append_eltwise(out->ops, 1, alg, a, b), "an activation");
    }
    if (post->kind == NN_POST_AFFINE) /* linear runs as a matrix of two axes */
        return add_affine(c, n, post, s, p, form ? n->shape.rank : 2, 1, out);
    if (post->binary != NN_ADD || p->sum_in >= 0)
        return 1;
    p->sum_in = s->n_in;
    const int32_t v = nn_dnnl_want(c, s, n->inputs[post->input], form, bf16);
    if (v < 0)
        return v;
    s->inplace = v;
    return nn_dnnl_check(dnnl_post_ops_append_sum(out->ops, 1), "a sum");
}

int nn_dnnl_posts_make(nn_compiler *c, const nn_node *n, nn_step *s, nn_dnnl_primitive *p, nn_dnnl_form form, bool bf16,
                       nn_dnnl_posts *out)
{
    const nn_node node = *n; /* nn_want may move the list */
    int err;

    *out = (nn_dnnl_posts){ 0 };
    p->sum_in = -1;
    if ((err = nn_dnnl_check(dnnl_primitive_attr_create(&out->attr), "attributes")) < 0 ||
        (err = nn_dnnl_check(dnnl_post_ops_create(&out->ops), "attributes")) < 0)
        return err;
    for (int i = 0; i < node.n_posts; i++)
        if ((err = add_post(c, &node, &node.posts[i], s, p, form, bf16, out)) != 0)
            return err;
    return nn_dnnl_check(dnnl_primitive_attr_set_post_ops(out->attr, out->ops), "attributes");
}

void nn_dnnl_posts_free(nn_dnnl_posts *posts)
{
    dnnl_primitive_attr_destroy(posts->attr);
    dnnl_post_ops_destroy(posts->ops);
}
