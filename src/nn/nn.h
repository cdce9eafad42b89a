/* nn: tensors, the graph, its operators, compiling to a plan, running it. Knows nothing of audio, files or models.
 *
 *     nn_graph *g = nn_graph_new();
 *     nn_id x = nn_input(g, "mel", NN_SHAPE(n, 1, 96, 64));
 *     x = nn_conv(g, x, nn_weight(g, w, "conv.weight", NN_SHAPE(32, 1, 3, 3)), nn_weight(g, w, "conv.bias", NN_SHAPE(32)), &conv);
 *     nn_output(g, "scores", nn_unary(g, NN_SIGMOID, x));
 *     if ((err = nn_graph_error(g)) < 0) ...            // the first bad shape or missing tensor, by name
 *     err = nn_compile(g, &options, &plan);             // fold, fuse, choose layouts, pack weights, plan memory
 *     err = nn_run(plan, run, inputs, outputs);         // no allocation of ours, no shape logic
 *
 * Logical layout of tensors is C order: images [N, C, H, W], sequences [N, C, T], tokens [N, T, C]; backends may keep other
 * layouts inside a plan. Building never fails half-way: after the first error each call returns NN_NONE. */
#ifndef SM_NN_H
#define SM_NN_H

#include "base/base.h"

/* ---- tensors ---- */
typedef enum {
    NN_F32,
    NN_F64,
    NN_F16,
    NN_BF16,
    NN_I8,
    NN_U8,
    NN_I16,
    NN_U16,
    NN_I32,
    NN_I64,
    NN_BOOL,
    NN_TYPES
} nn_type;
size_t nn_type_size(nn_type t);
const char *nn_type_name(nn_type t); /* "f32" */

enum { NN_MAX_RANK = 6 };
typedef struct {
    int rank;
    int64_t dim[NN_MAX_RANK];
} nn_shape;
/* NN_SHAPE(2, 3): a shape of rank 2. NN_SCALAR: rank 0. */
#define NN_SHAPE(...) ((nn_shape){ (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), { __VA_ARGS__ } })
#define NN_SCALAR     ((nn_shape){ 0, { 0 } })
int64_t nn_elements(const nn_shape *s); /* 1 for a scalar; -1 on overflow */
bool nn_shape_equal(const nn_shape *a, const nn_shape *b);
const char *nn_shape_text(const nn_shape *s, char out[96]); /* "[2, 3]" */

/* A dense tensor in C order. Who owns `data` is said where it is passed. */
typedef struct {
    nn_type type;
    nn_shape shape;
    const void *data;
    const float
        *scale; /* integer types: value = scale * (q - zero); NULL: plain numbers. One entry, or dim[scale_axis] */
    const int32_t *zero; /* as many as scale, or NULL: all 0 */
    int scale_axis;      /* -1: one scale for all */
} nn_tensor;

/* Where weights come from (the weights room implements it; tests do too). get() fills *out with a tensor that is borrowed
 * and lives as long as the source. expected NULL: any shape. Errors: SM_ENOTFOUND, SM_EFORMAT (another shape), SM_ENOMEM. */
typedef struct {
    int (*get)(void *user, const char *name, const nn_shape *expected, nn_tensor *out);
    void *user;
    const char *label; /* for messages: the file's name */
} nn_source;

/* ---- building a graph ---- */
typedef struct nn_graph nn_graph;
typedef int32_t nn_id;
enum { NN_NONE = -1 };

nn_graph *nn_graph_new(void); /* NULL: no memory */
void nn_graph_free(nn_graph *g);
int nn_graph_error(const nn_graph *g); /* 0, or the code of the first failure; sm_last_error() is set to its message */
int nn_graph_fail(nn_graph *g, int code, const char *format, ...)
    SM_PRINTF(3, 4); /* what builders and importers report with */
/* Names what is being built, for messages: nn_scope(g, "layer%d", i). Copied; replaces the last one. */
void nn_scope(nn_graph *g, const char *format, ...) SM_PRINTF(2, 3);
const char *nn_name(nn_graph *g, const char *format, ...)
    SM_PRINTF(2, 3);                              /* a formatted name that lives with the graph */
nn_shape nn_shape_of(const nn_graph *g, nn_id x); /* rank 0 for NN_NONE */

nn_id nn_input(nn_graph *g, const char *name, nn_shape shape);
nn_id nn_input_typed(nn_graph *g, const char *name, nn_type type, nn_shape shape); /* NN_F32 or NN_I32 (token ids) */
/* A tensor of the weights file, of this exact shape. Borrowed: the source must outlive the graph and its plans. */
nn_id nn_weight(nn_graph *g, const nn_source *w, const char *name, nn_shape shape);
nn_id nn_const(nn_graph *g, const nn_tensor *t);                 /* copied */
nn_id nn_const_f32(nn_graph *g, nn_shape shape, const float *v); /* copied */
nn_id nn_const_scalar(nn_graph *g, float v);
/* In-place state that lives between runs (KV cache, LSTM state), zeroed by nn_run_reset. */
nn_id nn_state(nn_graph *g, const char *name, nn_shape shape);
nn_id nn_state_typed(nn_graph *g, const char *name, nn_type type, nn_shape shape); /* NN_F32, NN_F16 */
void nn_output(nn_graph *g, const char *name, nn_id x);
/* Names an inner tensor for traces. Costs nothing unless the plan is compiled with taps. */
nn_id nn_tap(nn_graph *g, const char *name, nn_id x);

/* Convolution over the last 1 or 2 axes. x [N, C, (H,) W], w [K, C/groups, (kh,) kw], b [K] or NN_NONE.
 * Arrays: [0] is H and [1] is W for images; 1-D uses [0]. Zero means the default: stride 1, dilation 1, groups 1. */
typedef struct {
    int stride[2], dilation[2];
    int pad_before[2], pad_after[2]; /* zeros; ignored when same_tf */
    int groups;
    bool same_tf; /* TensorFlow's SAME: out = ceil(in / stride), smaller half of the padding before */
} nn_conv_attrs;
nn_id nn_conv(nn_graph *g, nn_id x, nn_id w, nn_id b, const nn_conv_attrs *a);
/* Transposed: w [C, K/groups, (kh,) kw]; pad_before/after are cut from the full result; output_pad extends it at the end. */
typedef struct {
    int stride[2], dilation[2], pad_before[2], pad_after[2], output_pad[2];
    int groups;
} nn_conv_transpose_attrs;
nn_id nn_conv_transpose(nn_graph *g, nn_id x, nn_id w, nn_id b, const nn_conv_transpose_attrs *a);

/* y = x w^T + b over the last axis. x [..., in], w [out, in], b [out] or NN_NONE. */
nn_id nn_linear(nn_graph *g, nn_id x, nn_id w, nn_id b);
nn_id nn_matmul(nn_graph *g, nn_id a, nn_id b, bool transpose_a,
                bool transpose_b); /* batched, leading axes broadcast */

typedef enum {
    NN_RELU,
    NN_LEAKY_RELU /* alpha */,
    NN_ELU /* alpha */,
    NN_SIGMOID,
    NN_TANH,
    NN_GELU /* erf */,
    NN_GELU_TANH,
    NN_SWISH,
    NN_EXP,
    NN_LOG,
    NN_SQRT,
    NN_RSQRT,
    NN_ABS,
    NN_NEG,
    NN_SQUARE,
    NN_ERF,
    NN_SIN,
    NN_COS,
    NN_CLIP /* alpha..beta */,
    NN_HARD_SIGMOID /* alpha x + beta in 0..1 */,
    NN_HARD_SWISH /* x (x + 3) / 6, its factor in 0..1; Howard et al. 2019 */,
    NN_RECIPROCAL,
    NN_SOFTPLUS,
    NN_UNARY_KINDS
} nn_unary_kind;
nn_id nn_unary(nn_graph *g, nn_unary_kind kind, nn_id x);
nn_id nn_unary_with(nn_graph *g, nn_unary_kind kind, nn_id x, float alpha, float beta);
typedef enum { NN_ADD, NN_SUB, NN_MUL, NN_DIV, NN_MAX, NN_MIN, NN_POW, NN_BINARY_KINDS } nn_binary_kind;
nn_id nn_binary(nn_graph *g, nn_binary_kind kind, nn_id a, nn_id b); /* numpy broadcasting */
nn_id nn_snake(nn_graph *g, nn_id x, nn_id alpha,
               nn_id beta);                   /* x + sin^2(alpha x) / beta, [C] over axis 1; Oobleck's */
nn_id nn_glu(nn_graph *g, nn_id x, int axis); /* first half * sigmoid(second half) */
nn_id nn_softmax(nn_graph *g, nn_id x, int axis);

/* y = (x - mean) / sqrt(var + eps) * gamma + beta over axis 1; gamma, beta may be NN_NONE. Folded or made affine by compile. */
nn_id nn_batch_norm(nn_graph *g, nn_id x, nn_id gamma, nn_id beta, nn_id mean, nn_id var, float eps);
nn_id nn_affine(nn_graph *g, nn_id x, nn_id scale, nn_id offset,
                int axis); /* x * scale + offset, vectors along `axis` */
nn_id nn_layer_norm(nn_graph *g, nn_id x, nn_id gamma, nn_id beta, float eps); /* over the last axis */
nn_id nn_rms_norm(nn_graph *g, nn_id x, nn_id gamma, float eps);               /* over the last axis */
nn_id nn_group_norm(nn_graph *g, nn_id x, nn_id gamma, nn_id beta, int groups,
                    float eps); /* axis 1 in groups, all of the rest */

typedef struct {
    int kernel[2], stride[2], pad_before[2], pad_after[2]; /* stride 0: kernel */
    bool same_tf, ceil_mode, count_padding;
} nn_pool_attrs;
nn_id nn_max_pool(nn_graph *g, nn_id x, const nn_pool_attrs *a);
nn_id nn_avg_pool(nn_graph *g, nn_id x, const nn_pool_attrs *a);
typedef enum { NN_REDUCE_SUM, NN_REDUCE_MEAN, NN_REDUCE_MAX, NN_REDUCE_MIN, NN_REDUCE_KINDS } nn_reduce_kind;
nn_id nn_reduce(nn_graph *g, nn_reduce_kind kind, nn_id x, uint32_t axes, bool keep); /* axes: bit i = axis i */

nn_id nn_reshape(nn_graph *g, nn_id x, nn_shape shape); /* one dim may be -1 */
nn_id nn_permute(nn_graph *g, nn_id x, const int *order);
nn_id nn_concat(nn_graph *g, const nn_id *parts, int n, int axis);
nn_id nn_slice(nn_graph *g, nn_id x, int axis, int64_t begin, int64_t end, int64_t step); /* negative: from the end */
typedef enum { NN_PAD_ZERO, NN_PAD_REFLECT, NN_PAD_EDGE } nn_pad_kind;
nn_id nn_pad(nn_graph *g, nn_id x, nn_pad_kind kind, int axis, int64_t before, int64_t after);
nn_id nn_gather(nn_graph *g, nn_id table,
                nn_id ids); /* rows of table [V, D] at i32 ids [...] -> [..., D]; zeros outside */

/* softmax(q k^T * scale + mask) v. q [N, H, Tq, D], k, v [N, Hkv, Tk, D] (H a multiple of Hkv), mask NN_NONE or broadcastable
 * to [N, H, Tq, Tk] (added). causal: query i sees keys up to i + Tk - Tq. length: i32 [1], only the first so many keys count, and causality
 * then counts from it instead of Tk. */
typedef struct {
    float scale;
    bool causal;
} nn_attention_attrs;
nn_id nn_attention(nn_graph *g, nn_id q, nn_id k, nn_id v, nn_id mask, nn_id length, const nn_attention_attrs *a);
/* Rotary position: the first `rotated` features of the last axis, pairs (i, i + rotated/2); cos, sin [T, rotated/2]. x [N, H, T, D]. */
nn_id nn_rotary(nn_graph *g, nn_id x, nn_id cos_table, nn_id sin_table, int rotated);
/* Writes x [N, H, T, D] into the state [N, H, Tmax, D] at position i32 [1]; gives the state (in place). KV cache. Read what was
 * written through the value that this gives: a node that reads the state itself may run before or after. Steps that would
 * lie outside of the state are left out. */
nn_id nn_state_write(nn_graph *g, nn_id state, nn_id x, nn_id position);
/* Causal attention of T new tokens to themselves and to those before. x [N, T, 3 H D]: queries, keys, values of H heads, side by side;
 * cache: a state [2, N, H, Tmax, D] (keys, then values; f32 or f16), into which the new ones go at position i32 [1] .. + T - 1.
 * Token t sees what is at 0 .. position + t. Gives [N, T, H D]. Tokens that would lie outside are left out. */
nn_id nn_cached_attention(nn_graph *g, nn_id x, nn_id cache, nn_id position, float scale);
/* One LSTM layer, forward. x [N, T, C], w_ih [4H, C], w_hh [4H, H], b [4H], gates in PyTorch's order i, f, g, o; h, c: states
 * [N, H] or NN_NONE (zeros). Gives [N, T, H]. */
nn_id nn_lstm(nn_graph *g, nn_id x, nn_id w_ih, nn_id w_hh, nn_id b, nn_id h, nn_id c);

/* ---- training ----
 *
 *     nn_graph_train(g);                                // before building: weights become parameters
 *     nn_id logits = model_build(g, source, x);         // the function that builds it for inference
 *     nn_id loss = nn_cross_entropy(g, logits, nn_input(g, "targets", NN_SHAPE(n, classes)), NN_NONE);
 *     nn_output(g, "loss", loss);
 *     err = nn_backward(g, loss);                       // outputs "grad.NAME" for each parameter NAME
 *     err = nn_compile(g, &options, &plan);             // one thread a plan; several run states side by side
 *
 * The plan's inputs are the graph's own, each parameter by its name in the weights, and "dropout_seed" if anything drops out. */

/* From now on nn_weight() makes a parameter: a plan input of that name (the same node for the same name), whose first value the
 * caller takes from the source. Tensors of whole numbers stay constants. nn_batch_norm then uses mean and biased variance of
 * the batch; its running mean and variance are no inputs, but the graph gives the batch's, as outputs "stat.NAME" under the
 * names of the running ones. */
void nn_graph_train(nn_graph *g);
bool nn_graph_trains(const nn_graph *g);
/* x * mask / (1 - rate), 0 <= rate < 1, in a graph that trains; else x itself. The mask is a function of the i32 input
 * "dropout_seed" [1], of how many dropouts the graph had before, and of the place in x: the same on any number of threads. */
nn_id nn_dropout(nn_graph *g, nn_id x, float rate);
/* A scalar: the mean over n of weights[n] H(targets[n], softmax(logits[n])). logits, targets [N, C]: rows of targets are
 * distributions (label smoothing, mixup); weights [N] or NN_NONE: 1. Differentiable in the logits only. */
nn_id nn_cross_entropy(nn_graph *g, nn_id logits, nn_id targets, nn_id weights);
/* Appends the gradients of `loss` (one element) and an output "grad.NAME" of the parameter's shape for each parameter; zeros where
 * the loss does not depend on it. SM_EUNSUPPORTED naming an operator on the way that has no gradient. */
int nn_backward(nn_graph *g, nn_id loss);

/* ---- compiling and running ---- */
typedef enum { NN_PRECISION_AUTO, NN_PRECISION_F32, NN_PRECISION_BF16, NN_PRECISION_INT8 } nn_precision;
typedef struct nn_pack
    nn_pack; /* packed weights, shared by all plans of one model (several batch sizes); thread-safe */
typedef struct nn_plan
    nn_plan; /* immutable once made: any number of threads may run it, each with its own nn_run_state */
typedef struct nn_run_state nn_run_state;

typedef struct {
    const char *backend; /* "onednn" (also NULL), "ref" */
    nn_precision
        precision; /* BF16 where the CPU has it natively; else SM_EUNSUPPORTED unless `emulate`. INT8: the weights of linear
                             * layers are rounded to 8 bits with a scale for each output, all else is f32 */
    int threads;           /* inside one network; 0: 1 */
    bool taps;             /* keep tapped tensors: nn_plan_tap_*; they are then exact, but fusions stop at them */
    const char *taps_with; /* only those whose name contains this; NULL: all. Each costs its memory */
    bool emulate;
    bool plain;    /* no rewriting: the graph as it was built. With "ref" the judge of everything else */
    nn_pack *pack; /* NULL: the plan has its own */
} nn_compile_options;

int nn_pack_new(nn_pack **out);
void nn_pack_free(nn_pack *p); /* after its plans */
size_t nn_pack_bytes(const nn_pack *p);

/* The graph may be freed afterwards (the weights' source must stay). */
int nn_compile(const nn_graph *g, const nn_compile_options *options, nn_plan **out);
void nn_plan_free(nn_plan *p);

typedef struct {
    size_t weights, state, activations, scratch; /* bytes; weights: of the pack */
} nn_memory;
void nn_plan_memory(const nn_plan *p, nn_memory *out);
double nn_plan_macs(const nn_plan *p); /* multiply-adds of the plain definition of the graph */
/* Bytes of weights that a run reads once, for few rows each: what bounds such a plan is the memory's rate. */
double nn_plan_streamed(const nn_plan *p);
int nn_plan_inputs(const nn_plan *p);
int nn_plan_outputs(const nn_plan *p);
const char *nn_plan_input_name(const nn_plan *p, int i);
const char *nn_plan_output_name(const nn_plan *p, int i);
nn_shape nn_plan_input_shape(const nn_plan *p, int i);
nn_shape nn_plan_output_shape(const nn_plan *p, int i);
nn_type nn_plan_input_type(const nn_plan *p, int i);

int nn_run_state_new(const nn_plan *p, nn_run_state **out); /* activations, scratch, state tensors of one runner */
/* The same on the caller's threads: a pool of as many as the plan was compiled for, borrowed, not running when nn_run is called. */
int nn_run_state_new_on(const nn_plan *p, sm_pool *pool, nn_run_state **out);
/* The same with the activations and scratch of `host` (which outlives it) where they are large enough: for networks of which one
 * runs after the other. What host keeps from a run is lost when this one runs. */
int nn_run_state_new_beside(const nn_plan *p, nn_run_state *host, nn_run_state **out);
/* The same with host's states too: both plans have the same ones, in the same order (many tokens at once, then one by one). SM_EUSAGE:
 * they have not. A reset of either clears them for both. */
int nn_run_state_new_sharing(const nn_plan *p, nn_run_state *host, nn_run_state **out);
void nn_run_state_free(nn_run_state *r);
void nn_run_reset(nn_run_state *r); /* state tensors to zero */
/* inputs/outputs: dense C order, in the plan's order; outputs f32. Allocates nothing through our allocator. */
int nn_run(const nn_plan *p, nn_run_state *r, const void *const *inputs, float *const *outputs);
/* After a run of a plan with taps: tensor i by name. Data are borrowed until the next run. */
int nn_plan_taps(const nn_plan *p);
int nn_run_tap(const nn_plan *p, nn_run_state *r, int i, const char **name, nn_tensor *out);

/* Time per step of the last runs (set on before running), for bench and docs. */
typedef struct {
    const char *op, *kernel; /* "conv", "dnnl brgemm 1x1" */
    const char *where;       /* scope or tap name */
    double seconds, macs;
    long calls;
} nn_profile_row;
void nn_run_profile(nn_run_state *r, bool on);
size_t nn_run_profile_rows(const nn_run_state *r, const nn_profile_row **rows);

/* c [m][ldc] = a [m][lda] times b: [k][ldb], or transposed_b: [n][ldb]. Row-major, on the caller's thread. SM_ENOMEM. */
int nn_sgemm(bool transposed_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
             int64_t ldb, float *c, int64_t ldc);

/* Machine limits, measured now: oneDNN sgemm n^3 GFLOP/s (multiply-add = 2) at this thread count, best of `runs`. */
double nn_measure_sgemm_gflops(int n, int threads, int runs);
double nn_measure_copy_gbps(size_t bytes, int runs);
/* Reading these bytes once, in a row on each of the pool's threads (NULL: on the caller's). */
double nn_measure_read_gbps(const float *data, size_t bytes, sm_pool *pool);
bool nn_precision_native(nn_precision p);   /* on this CPU */
const char *nn_backend_text(char out[128]); /* "onednn 2.6.3 (AVX-512 with BF16)" */

#endif
