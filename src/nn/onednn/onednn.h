/* Inside of the oneDNN backend: layouts, primitives as steps, and the table of kernels an operator can be run by.
 *
 * There is one layout beside plain C order: channels last ([N, H, W, C] for [N, C, H, W]), in f32 or bf16. oneDNN's kernels of
 * every instruction set take it at full speed, and own kernels read it as they would read plain tensors. Values whose numbers
 * lie the same way in both orders (one channel, or one position) always count as plain. */
#ifndef SM_NN_ONEDNN_ONEDNN_H
#define SM_NN_ONEDNN_ONEDNN_H

#include "nn/backend.h"

#include <dnnl.h>

/* Of libgomp, on which oneDNN runs: how many threads the calling thread's primitives use. (omp.h belongs to compilers.) */
void omp_set_num_threads(int threads);

/* ---- layouts (layout.c) ---- */
/* BLOCKED only in graphs that train: channels in blocks of 16, [N, C / 16, H, W, 16], which oneDNN's Winograd kernels want. It reads like
 * channels last of N C / 16 images with 16 channels. */
typedef enum { NN_FORM_PLAIN, NN_FORM_LAST, NN_FORM_BLOCKED } nn_dnnl_form;
enum { NN_BLOCK = 16 };
typedef struct {
    nn_dnnl_form form;
    bool bf16;
    const dnnl_memory_desc_t *packed,
        *plain; /* weights that change from run to run: as a primitive wants them, and as they are */
} nn_dnnl_layout;

/* The layout of a value of this shape (NULL: plain f32) that is nearest to what is asked for. */
const nn_dnnl_layout *nn_dnnl_layout_for(const nn_shape *s, nn_dnnl_form form, bool bf16);
size_t nn_dnnl_bytes(const nn_shape *s, const nn_dnnl_layout *layout);
bool nn_dnnl_layout_equal(const void *a, const void *b);
/* Value of an input in that layout, noted as read by the step. < 0: error. */
int32_t nn_dnnl_want(nn_compiler *c, nn_step *s, nn_id id, nn_dnnl_form form, bool bf16);
void nn_dnnl_gives(nn_compiler *c, nn_step *s, nn_id node, nn_dnnl_form form, bool bf16);
/* Is the value of this node (as it is now) channels last? */
bool nn_dnnl_is_last(nn_compiler *c, nn_id id);
nn_dnnl_form nn_dnnl_form_of(nn_compiler *c, nn_id id);
bool nn_dnnl_is_bf16(nn_compiler *c, nn_id id);
int nn_dnnl_reorder(nn_compiler *c, int32_t from, int32_t to, nn_step *out);

/* Value of weights `id` (plain numbers of dims `plain`) in the form that a primitive wants, noted as read by the step: reordered in every run, once
 * for all steps that want the same. 1: they are not plain. */
int32_t nn_dnnl_want_packed(nn_compiler *c, nn_step *s, nn_id id, const dnnl_memory_desc_t *plain,
                            const dnnl_memory_desc_t *packed);

/* Shape in the order in which the numbers lie: dims of `s`, channels (axis 1) moved to the end when last. */
nn_shape nn_dnnl_memory_shape(const nn_shape *s, bool last);
/* The same for any form; BLOCKED has one axis more (one channel stays one). */
nn_shape nn_dnnl_form_shape(const nn_shape *s, nn_dnnl_form form);
/* Position of axis `axis` in that order. */
int nn_dnnl_memory_axis(int axis, int rank, bool last);

/* ---- primitives (primitive.c) ---- */
enum { NN_DNNL_MAX_ARGS = 12 };
/* Bytes between the scratch of two workers: one core's prefetcher runs on into what follows, up to the end of its page, and
 * lines that another core is writing are then sent to and fro (transforms took half as long again). */
enum { NN_DNNL_APART = 4096 };
/* Where an argument's data are at run time. SCRATCH: oneDNN's scratchpad, one a worker. */
typedef enum { NN_ARG_IN, NN_ARG_OUT, NN_ARG_FIXED, NN_ARG_SCRATCH } nn_arg_place;
typedef struct {
    int arg; /* DNNL_ARG_... */
    nn_arg_place place;
    int in; /* IN: index in the step's inputs */
    const void *fixed;
    size_t at;  /* bytes from where they begin: OUT and SCRATCH */
    bool whole; /* the same for every part: vectors, weights */
    dnnl_memory_desc_t desc;
} nn_dnnl_arg;

/* A oneDNN primitive with its arguments; the state of most steps. With several threads and a batch, the primitive is made for a
 * part of the batch and workers run the parts side by side. Every primitive runs on one thread: OpenMP's idle threads spin for
 * milliseconds, on the cores that our own pool's need. */
typedef struct nn_dnnl_primitive {
    dnnl_engine_t engine;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    nn_dnnl_arg args[NN_DNNL_MAX_ARGS];
    int n_args;
    int parts; /* the primitive runs so often, each time further on in the arguments that are not `whole`; 0: 1 */
    struct nn_dnnl_primitive *next; /* runs behind it, in the same step */
    int sum_in; /* input whose numbers must be in the output before it runs (post-op sum); -1: none */
} nn_dnnl_primitive;

int nn_dnnl_check(dnnl_status_t status, const char *what); /* 0 or sm_fail */
/* Descriptor of a value as it lies in memory; dims as in the graph. */
void nn_dnnl_describe(dnnl_memory_desc_t *d, const nn_shape *s, const nn_dnnl_layout *layout);
void nn_dnnl_describe_dims(dnnl_memory_desc_t *d, int rank, const int64_t *dims, nn_dnnl_form form, bool bf16);
/* Creates the primitive of an operation descriptor. *p must be cleared. attr may be NULL and stays the caller's.
 * SM_EUNSUPPORTED without a message when oneDNN has only its reference code for it (`allow_slow` false) or nothing. */
int nn_dnnl_create(nn_dnnl_primitive *p, const void *op_desc, dnnl_primitive_attr_t attr, bool allow_slow);
const dnnl_memory_desc_t *nn_dnnl_query(const nn_dnnl_primitive *p, dnnl_query_t what, int index);
void nn_dnnl_add_arg(nn_dnnl_primitive *p, nn_dnnl_arg arg);
/* Fills run, open, close, free_state, kernel, scratch of a step whose state is *p (in the plan's arena). */
void nn_dnnl_finish_step(nn_compiler *c, nn_dnnl_primitive *p, nn_step *out);
void nn_dnnl_destroy(void *p);
/* Into how many equal parts a batch is cut for this plan's threads; 1: not at all. */
int nn_dnnl_parts(nn_compiler *c, int64_t batch);
/* What a step function returns after `err`: 1 with everything freed when oneDNN cannot do it, else the error. */
int nn_dnnl_decline(nn_dnnl_primitive *p, nn_step *out, int err);

/* Constant `id` as plain numbers of dims `from` (C order), packed in `to`. key_extra: what else they depend on. */
int nn_dnnl_pack(nn_compiler *c, nn_id id, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                 const void **data);

/* ---- posts (posts.c) ---- */
/* Post-ops of node n's posts from `first` on, for a result of n's shape; operands are added to the step's reads and p's args
 * (p NULL: nothing is recorded). 1: cannot be expressed. */
typedef struct {
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t ops;
} nn_dnnl_posts;
bool nn_dnnl_can_post(const nn_graph *g, nn_id node, const nn_post *post, nn_id operand);
int nn_dnnl_posts_make(nn_compiler *c, const nn_node *n, nn_step *s, nn_dnnl_primitive *p, nn_dnnl_form form, bool bf16,
                       nn_dnnl_posts *out);
void nn_dnnl_posts_free(nn_dnnl_posts *posts);
/* oneDNN's name of a unary operation; false: it has none. */
bool nn_dnnl_eltwise(nn_unary_kind kind, float alpha, float beta, dnnl_alg_kind_t *alg, float *a, float *b);

/* ---- operators: 0 made, 1 not mine, < 0 error ---- */
int nn_dnnl_conv_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_conv_fold_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_conv_transpose_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_linear_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_matmul_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_pool_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_unary_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_binary_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_affine_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_lstm_step(nn_compiler *c, nn_id node, nn_step *out); /* lstm.c */
int nn_dnnl_softmax_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_norm_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_reduce_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_reshape_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_permute_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_move_permute_step(nn_compiler *c, nn_id node, nn_step *out); /* of the former, where numbers move */
int nn_dnnl_slice_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_concat_step(nn_compiler *c, nn_id node, nn_step *out);

/* Training: convolutions whose weights change from run to run, and their gradients (conv_train.c). */
int nn_dnnl_conv_train_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_unary_grad_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_avg_pool_grad_step(nn_compiler *c, nn_id node, nn_step *out);
/* own loops (train_loops.c) */
int nn_dnnl_max_pool_grad_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_batch_norm_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_dropout_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_expand_step(nn_compiler *c, nn_id node, nn_step *out);

/* Products in tiles (conv_tile.c, winograd.c), for conv, conv_gated and conv_transpose. 1: oneDNN's are better. */
int nn_dnnl_conv_tile_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_winograd_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_conv_depth_step(nn_compiler *c, nn_id node, nn_step *out); /* conv_depth.c */
int nn_dnnl_conv_gated_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_dconv_step(nn_compiler *c, nn_id node, nn_step *out);
/* What of it stands alone: own loops (group_norm.c, glu.c). */
int nn_dnnl_group_norm_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_glu_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_snake_step(nn_compiler *c, nn_id node, nn_step *out);

/* Long kernels in the frequency domain (conv_fft_step.c), for conv and conv_fold nodes. 1: another way is cheaper. */
int nn_dnnl_conv_fft_step(nn_compiler *c, nn_id node, nn_step *out);
/* Would it be taken if the results were folded so? fold: nn_fold (conv_shape.h). */
bool nn_dnnl_conv_fft_pays(const nn_graph *g, nn_id node, int fold, int fold_axis, bool bf16);

/* Few rows, many weights (stream_step.c), for linear. 1: oneDNN's product is better. */
int nn_dnnl_stream_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_cached_attention_step(nn_compiler *c, nn_id node, nn_step *out);
int nn_dnnl_attention_step(nn_compiler *c, nn_id node, nn_step *out);

/* Fused nodes of this backend (rewrite.c, attention_view.c, norm.c) */
extern const nn_op nn_op_conv_fold, nn_op_attention_view, nn_op_token_norm, nn_op_conv_gated, nn_op_dconv;
int nn_dnnl_fuse_gate(nn_graph *g, nn_id glu);
int nn_dnnl_fuse_dconv(nn_graph *g, nn_id node);
int nn_dnnl_rewrite(nn_graph *g, const nn_compile_options *o);
/* Reads heads where they lie in the tokens, without permutations around attention. */
int nn_dnnl_rewrite_attention(nn_graph *g);
int nn_dnnl_rewrite_norm(nn_graph *g);

/* Runs items 0..n-1 on the run's threads, each with oneDNN kept to one thread. */
int nn_dnnl_parallel(nn_exec *x, size_t n, int (*item)(void *user, size_t i, int worker), void *user);
bool nn_dnnl_uses_bf16(nn_compiler *c);

#endif
