/* The oneDNN backend: which function makes the step of which operator, and what this CPU is asked to do. */
#include "nn/onednn/onednn.h"

static const struct {
    const nn_op *op;
    int (*step)(nn_compiler *c, nn_id node, nn_step *out);
} steps[] = {
    { &nn_op_conv, nn_dnnl_conv_step },
    { &nn_op_conv_fold, nn_dnnl_conv_fft_step },
    { &nn_op_conv_gated, nn_dnnl_conv_gated_step },
    { &nn_op_dconv, nn_dnnl_dconv_step },
    { &nn_op_conv_transpose, nn_dnnl_conv_transpose_step },
    { &nn_op_linear, nn_dnnl_linear_step },
    { &nn_op_matmul, nn_dnnl_matmul_step },
    { &nn_op_max_pool, nn_dnnl_pool_step },
    { &nn_op_avg_pool, nn_dnnl_pool_step },
    { &nn_op_unary, nn_dnnl_unary_step },
    { &nn_op_binary, nn_dnnl_binary_step },
    { &nn_op_affine, nn_dnnl_affine_step },
    { &nn_op_lstm, nn_dnnl_lstm_step },
    { &nn_op_softmax, nn_dnnl_softmax_step },
    { &nn_op_layer_norm, nn_dnnl_norm_step },
    { &nn_op_rms_norm, nn_dnnl_norm_step },
    { &nn_op_token_norm, nn_dnnl_norm_step },
    { &nn_op_group_norm, nn_dnnl_group_norm_step },
    { &nn_op_glu, nn_dnnl_glu_step },
    { &nn_op_snake, nn_dnnl_snake_step },
    { &nn_op_reduce, nn_dnnl_reduce_step },
    { &nn_op_reshape, nn_dnnl_reshape_step },
    { &nn_op_permute, nn_dnnl_permute_step },
    { &nn_op_slice, nn_dnnl_slice_step },
    { &nn_op_concat, nn_dnnl_concat_step },
    { &nn_op_attention, nn_dnnl_attention_step },
    { &nn_op_cached_attention, nn_dnnl_cached_attention_step },
    { &nn_op_attention_view, nn_dnnl_attention_step },
    { &nn_op_conv_grad_x, nn_dnnl_conv_train_step },
    { &nn_op_conv_grad_w, nn_dnnl_conv_train_step },
    { &nn_op_unary_grad, nn_dnnl_unary_grad_step },
    { &nn_op_avg_pool_grad, nn_dnnl_avg_pool_grad_step },
    { &nn_op_max_pool_grad, nn_dnnl_max_pool_grad_step },
    { &nn_op_channel_stats, nn_dnnl_batch_norm_step },
    { &nn_op_batch_norm_train, nn_dnnl_batch_norm_step },
    { &nn_op_batch_norm_sums, nn_dnnl_batch_norm_step },
    { &nn_op_batch_norm_grad, nn_dnnl_batch_norm_step },
    { &nn_op_dropout, nn_dnnl_dropout_step },
    { &nn_op_expand, nn_dnnl_expand_step },
};

static int onednn_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_node *n = nn_at(nn_compiler_graph(c), node);

    if (n->type != NN_F32 || nn_elements(&n->shape) == 0)
        return 1;
    omp_set_num_threads(1); /* see nn_dnnl_primitive */
    for (size_t i = 0; i < SM_LENGTH(steps); i++)
        if (steps[i].op == n->op)
            return steps[i].step(c, node, out);
    return 1;
}

bool nn_dnnl_uses_bf16(nn_compiler *c)
{
    return nn_compiler_options(c)->precision == NN_PRECISION_BF16;
}

/* AUTO is f32: bf16 keeps a model's accuracy bar only where the model says so, which a backend cannot know. */
static int onednn_precision(nn_precision *p, bool emulate)
{
    if (*p == NN_PRECISION_AUTO)
        *p = NN_PRECISION_F32;
    if (*p == NN_PRECISION_F32 || *p == NN_PRECISION_INT8) /* 8 bits: weights of linear layers only */
        return 0;
    if (*p != NN_PRECISION_BF16)
        return sm_fail(SM_EUNSUPPORTED, "the onednn backend computes in f32, in bf16, and with weights of 8 bits");
    if (!nn_precision_native(*p) && !emulate)
        return sm_fail(SM_EUNSUPPORTED, "this CPU has no bf16 arithmetic (AVX512-BF16 or AMX)");
    return 0;
}

const nn_backend nn_backend_onednn = {
    .name = "onednn",
    .precision = onednn_precision,
    .can_fuse = nn_dnnl_can_post,
    .rewrite = nn_dnnl_rewrite,
    .step = onednn_step,
    .layout_equal = nn_dnnl_layout_equal,
    .reorder = nn_dnnl_reorder,
};
