/* Inside of the graph: nodes, operator descriptors, and what passes and backends do with them. Private to the nn room.
 *
 * A node has one output. Its id is its place in the list; inputs come before their users. Weights, constants, inputs and
 * states are nodes too (operators without a kernel). A value is constant when everything it depends on is: constant
 * expressions are never computed while a graph is rewritten, only when a step asks for the numbers (constant.c), so that
 * plans which share a pack share that work as well.
 *
 * `posts` are small operations that a pass has fused behind the node's own (bias is an input, not a post). They are applied
 * to its result in order. Their operands stand in `inputs` behind the operator's own. */
#ifndef SM_NN_GRAPH_H
#define SM_NN_GRAPH_H

#include "nn/nn.h"

typedef struct nn_node nn_node;
typedef struct nn_random nn_random;

enum { NN_DCONV_BRANCHES = 4 };

/* Attributes of every operator that has any. Cleared before it is filled, so that equal ones compare equal. */
typedef union {
    nn_conv_attrs conv; /* same_tf already resolved into pads, zeros into defaults */
    nn_conv_transpose_attrs conv_transpose;
    nn_pool_attrs pool; /* same */
    nn_attention_attrs attention;
    struct {
        nn_unary_kind kind;
        float alpha, beta;
    } unary;
    struct {
        nn_binary_kind kind;
    } binary;
    struct {
        bool a, b;
    } transpose; /* matmul */
    struct {
        int axis;
    } axis; /* glu, softmax, affine, concat */
    struct {
        int groups;
        float eps;
    } norm; /* batch_norm, layer_norm, rms_norm, group_norm */
    struct {
        nn_reduce_kind kind;
        uint32_t axes;
        bool keep;
    } reduce;
    struct {
        int order[NN_MAX_RANK];
    } permute;
    struct {
        int axis;
        int64_t begin, end, step; /* resolved: 0 <= begin <= end <= dim, step >= 1 */
    } slice;
    struct {
        nn_pad_kind kind;
        int axis;
        int64_t before, after;
    } pad;
    struct {
        int rotated;
    } rotary;
    nn_shape
        reshape; /* the shape asked for; after infer without -1. expand: the shape of the result; gather_grad: of the table */
    struct {
        nn_conv_attrs conv;
        nn_shape shape; /* of what the gradient is of: the input, or the weights */
        bool bias;      /* of weights: the bias' gradient behind theirs */
    } conv_grad;
    struct {
        nn_pool_attrs pool;
        nn_shape shape; /* of the pool's input */
        bool relu;      /* max_pool_grad: and through the ReLU whose result was pooled */
    } pool_grad;
    struct {
        int axis;
        int64_t length, begin, step; /* where along `axis` of that length the numbers were */
    } spread;                        /* slice_grad */
    struct {
        float rate;
        int number; /* of dropouts before it in the graph */
    } dropout;
    struct {
        nn_conv_attrs conv;
        int fold, axis; /* nn_fold of the onednn backend, along this axis of the image */
        bool relu, keep;
    } conv_fold; /* the onednn backend's own operator */
    struct {
        nn_attention_attrs attention;
        int64_t batch, heads, kv_heads, tq, tk, d, dv;
        struct {
            int64_t offset, n, h, t; /* in the source: its first number; strides of batch, head, token */
        } view[3];                   /* q, k, v */
        bool tokens;                 /* the result is [N, Tq, H, Dv] */
    } attention_view;                /* another of its own */
    struct {
        int dilation[NN_DCONV_BRANCHES];
        float eps;
    } dconv; /* and another */
} nn_attrs;

/* One operand of a reference kernel: dense, C order. data NULL: an optional input that is not there. */
typedef struct {
    nn_type type; /* NN_F32 or NN_I32; states also NN_F16 */
    nn_shape shape;
    void *data; /* const but for states and the output */
} nn_operand;

typedef struct {
    const nn_attrs *attrs;
    const nn_operand *in;
    int n_in;
    nn_operand out;
    void *scratch; /* op->scratch() bytes, 64-byte aligned */
} nn_call;

enum { NN_OP_MAX_IN = 8 }; /* of a node's own inputs; concat has any number */

typedef struct nn_op {
    const char *name;
    int min_in,
        max_in;       /* own inputs; the first min_in must be there, the others may be NN_NONE. max_in -1: any number */
    uint32_t states;  /* bit i: input i must be a state, which the node changes in place */
    uint32_t ints;    /* bit i: input i is i32; the others are f32 */
    bool half_states; /* its states may also be f16 */
    bool any_type;    /* moves numbers only: i32 as well, the output has the type of input 0 */
    bool gives_state; /* the output is input 0's memory (state_write) */
    bool inplace;     /* ref may write over input 0 when it has the output's shape */
    /* Sets n->shape and n->type, makes attributes explicit. Returns 0 or sm_fail(...) with a message about the operands. */
    int (*infer)(const nn_graph *g, nn_node *n);
    void (*ref)(const nn_call *c);                       /* the judge: plain C, sums in double. NULL: a leaf */
    size_t (*scratch)(const nn_call *c);                 /* of ref, bytes; NULL: none */
    double (*macs)(const nn_graph *g, const nn_node *n); /* multiply-adds of the plain definition; NULL: 0 */
    int posts; /* 0: nothing is fused behind it; 1: posts may be, channels are axis 1; -1: channels are the last axis */
    /* The same with weights changed so that the output is y * scale + offset, or the input is x * scale + offset, per
     * channel; NN_NONE: not possible (weights that are not constant, zero padding). */
    nn_id (*fold_after)(nn_graph *g, nn_id node, nn_id scale, nn_id offset);
    nn_id (*fold_before)(nn_graph *g, nn_id node, nn_id scale, nn_id offset);
    /* Input(s) x are permute(x', order): the same value as nn_permute of this operation on the x', so that permutations
     * move towards the outputs, meet and cancel. NN_NONE: not possible here. NULL: never. */
    nn_id (*sink)(nn_graph *g, nn_id node, const int *order);
    /* Is the output, in C order, a run of input 0's numbers, from *offset elements on? Then it needs no step. NULL: never. */
    bool (*view)(const nn_graph *g, const nn_node *n, int64_t *offset);
    /* Are the inputs, in C order, runs of the output, one behind the other? NULL: never. */
    bool (*joins)(const nn_graph *g, const nn_node *n);
    /* Appends the gradients of the loss by the node's inputs, given that by its output (of the output's shape). inputs[i] comes as
     * NN_WANTED or NN_NONE (nobody needs it) and is set to the gradient: of input i's shape, or of its rank with axes of 1 along which it repeats;
     * NN_NONE: zero. What stays NN_WANTED has no gradient. NULL: none has. Wrong shapes and the like latch in the graph. */
    void (*gradient)(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs);
    nn_id (*random)(nn_graph *g,
                    nn_random *r); /* a node of random shape on random inputs, for tests; NULL for leaves */
} nn_op;

typedef enum { NN_POST_UNARY, NN_POST_AFFINE, NN_POST_BINARY } nn_post_kind;
typedef struct {
    nn_post_kind kind;
    int input; /* AFFINE: inputs[input] scale, inputs[input + 1] offset; BINARY: the other operand, same shape */
    int axis;  /* AFFINE: of the output */
    nn_unary_kind unary;
    float alpha, beta;
    nn_binary_kind binary; /* NN_ADD, NN_SUB (result - other), NN_MUL, NN_MAX, NN_MIN */
} nn_post;
enum { NN_MAX_POSTS = 6 };

struct nn_node {
    const nn_op *op;
    nn_attrs attrs;
    nn_id *inputs; /* NN_NONE: not there */
    int n_inputs;  /* with those of posts */
    int n_own;     /* of the operator */
    nn_post posts[NN_MAX_POSTS];
    int n_posts;
    nn_type type; /* NN_F32 or NN_I32; states also NN_F16 */
    nn_shape shape;
    const char *name;  /* inputs, states, weights; else NULL */
    const char *scope; /* what was being built; "" when nothing was said */
    nn_tensor tensor;  /* op const: its numbers as stored (any type, quantised); borrowed or of the graph's arena */
    int uses;          /* by nodes, outputs, taps */
    bool parameter;    /* an input that nn_backward gives the gradient of */
    uint64_t identity; /* of a constant: equal numbers in graphs that share weights; 0: not constant */
};

typedef struct {
    const char *name;
    nn_id id;
} nn_named;

/* ---- operators: one file each in ops/, one row each in ops.def ---- */
#define NN_OP(NAME) extern const nn_op nn_op_##NAME;
#include "nn/ops/ops.def"
#undef NN_OP
extern const nn_op *const nn_ops[];
size_t nn_ops_count(void);

/* ---- reading ---- */
int nn_graph_size(const nn_graph *g);
const nn_node *nn_at(const nn_graph *g, nn_id id);                /* NULL for NN_NONE */
const nn_node *nn_in(const nn_graph *g, const nn_node *n, int i); /* its i-th input; NULL when it is not there */
bool nn_is(const nn_graph *g, nn_id id, const nn_op *op);         /* false for NN_NONE */
bool nn_is_constant(const nn_graph *g, nn_id id);
/* Whether it changes a state: such nodes stay, in order. */
bool nn_has_effect(const nn_graph *g, const nn_node *n);
/* How often a value is used: by nodes, as an output, as a tap. A pass may swallow a value only if this is 1. */
int nn_uses(const nn_graph *g, nn_id id);
/* The node that alone uses it, once; NN_NONE if there are others, or an output or tap of it. */
nn_id nn_only_user(const nn_graph *g, nn_id id);
/* The nodes that use it, up to `max`; returns how many there are (outputs and taps not counted). */
int nn_users(const nn_graph *g, nn_id id, nn_id *users, int max);
size_t nn_graph_outputs(const nn_graph *g, const nn_named **out);
size_t nn_graph_taps(const nn_graph *g, const nn_named **out);
size_t nn_graph_inputs(const nn_graph *g, const nn_id **out); /* in the order of nn_input */
/* "conv 'layer3/depthwise'" and "'conv1.weight' [32, 1, 3, 3]" for messages; in `out`, which is returned. */
const char *nn_node_text(const nn_graph *g, const nn_node *n, char out[160]);
const char *nn_operand_text(const nn_node *n, char out[256]);

/* ---- writing ---- */
sm_arena *nn_graph_arena(nn_graph *g);
/* A node of `op`. Checks that inputs are there, infers; on failure the graph's error is set and NN_NONE comes back. */
nn_id nn_add(nn_graph *g, const nn_op *op, const nn_attrs *attrs, const nn_id *inputs, int n);
/* What is added next belongs to the same place of the model as this node. */
void nn_scope_like(nn_graph *g, nn_id id);
nn_node *nn_edit(nn_graph *g, nn_id id);                  /* for passes; valid until the next nn_add */
void nn_replace(nn_graph *g, nn_id old_id, nn_id new_id); /* all uses of old_id become new_id's; of equal shape */
/* Appends inputs and a post to a node; n operands (0, 1 or 2). */
int nn_add_post(nn_graph *g, nn_id node, const nn_post *post, const nn_id *operands, int n);
/* A copy for passes to change; the stored tensors of const nodes are copied unless they belong to a source. */
int nn_graph_clone(const nn_graph *g, nn_graph **out);
/* Removes what nothing needs, and puts inputs before users again, keeping the order otherwise. All ids change. */
int nn_graph_tidy(nn_graph *g);
void nn_graph_keep_taps(nn_graph *g, const char *part); /* only those whose name contains it; NULL: none */

/* ---- gradients (backward.c) ---- */
enum { NN_WANTED = -2 };
nn_id nn_expand(nn_graph *g, nn_id x,
                nn_shape shape); /* x repeated along its axes of length 1; itself when it has the shape */
/* The gradient by an operand that was broadcast: summed where it was repeated, of shape `shape`. */
nn_id nn_sum_to(nn_graph *g, nn_id x, nn_shape shape);
nn_id nn_scaled(nn_graph *g, nn_id x, double factor);
nn_id nn_unary_grad(nn_graph *g, const nn_attrs *unary, nn_id v, nn_id upstream); /* v: nn_unary_slope's */
/* In a graph that trains: the statistics of a batch, given as output "stat.NAME" of the running ones, which are no input any more. */
void nn_graph_statistic(nn_graph *g, nn_id running, nn_id batch);
/* Of xhat = (x - mean) / sqrt(variance + eps) along the axes of a mask: xhat, and x's gradient given xhat's. mean false: without the mean (rms norm). */
nn_id nn_standardised(nn_graph *g, nn_id x, uint32_t axes, double eps, bool mean, nn_id *inverse);
nn_id nn_standardised_grad(nn_graph *g, nn_id xhat, nn_id inverse, uint32_t axes, bool mean, nn_id upstream);

/* For op->sink: x' of x = permute(x', order), padded in front to the rank of `order` if it has fewer axes: the source when x
 * is that permutation, an inverse permutation when that costs nothing (constants; only axes of length 1 move). Else NN_NONE. */
nn_id nn_unpermuted(nn_graph *g, nn_id x, const int *order, int rank);

/* ---- shapes ---- */
int nn_axis(int axis, int rank);                                       /* negative from the end; -1: outside */
int nn_broadcast(const nn_shape *a, const nn_shape *b, nn_shape *out); /* numpy's rule; 0, or -1 */
void nn_strides(const nn_shape *s, int64_t stride[NN_MAX_RANK]);       /* of C order */
/* Strides of s read as if broadcast to `to` (aligned at the end, 0 where repeated). */
void nn_broadcast_strides(const nn_shape *s, const nn_shape *to, int64_t stride[NN_MAX_RANK]);
int64_t nn_product(const nn_shape *s, int from, int to); /* of dims from..to-1 */

/* Walks all indices of a shape in C order while keeping up to three offsets into strided tensors. */
typedef struct {
    nn_shape shape;
    int64_t index[NN_MAX_RANK];
    int64_t stride[3][NN_MAX_RANK];
    int64_t at[3]; /* offsets of the current element */
} nn_walk;
void nn_walk_start(nn_walk *w, const nn_shape *shape); /* strides are the caller's to fill afterwards */
void nn_walk_next(nn_walk *w);

/* ---- what infer functions share: 0 or sm_fail naming the operand ---- */
int nn_need_rank(const nn_graph *g, const nn_node *n, int i, int low, int high);
int nn_need_shape(const nn_graph *g, const nn_node *n, int i,
                  nn_shape expected); /* nothing to say when input i is not there */
/* An attribute array of 2 where 0 stands for `fallback`; a window along one axis. */
int64_t nn_window_out(int64_t in, int64_t kernel, int stride, int dilation, int64_t before, int64_t after,
                      bool ceil_mode);
void nn_same_pads(int64_t in, int64_t kernel, int stride, int dilation, int *before,
                  int *after); /* TensorFlow's SAME */

/* ---- numbers of a constant expression (constant.c) ---- */
/* Computes node `id` (nn_is_constant) into *out: f32 or i32, C order, made with sm_alloc_aligned when *owned comes back
 * non-NULL (sm_free it), else borrowed from where the weights are. SM_ENOMEM, SM_EUNSUPPORTED. */
int nn_constant(const nn_graph *g, nn_id id, nn_tensor *out, void **owned);
/* The single number of a constant of one element; false if it is none (or no memory). */
bool nn_constant_scalar(const nn_graph *g, nn_id id, double *out);

/* Constants made from constants, without work that ones and zeros spare; NN_NONE counts as 0 in add. (constant_math.c) */
nn_id nn_mul_constants(nn_graph *g, nn_id a, nn_id b);
nn_id nn_add_constants(nn_graph *g, nn_id a, nn_id b);
nn_id nn_filled(nn_graph *g, nn_shape shape, float v);
bool nn_is_filled(const nn_graph *g, nn_id id, float v); /* sees plain constants only */

/* ---- what reference kernels share ---- */
double nn_unary_value(nn_unary_kind kind, double x, double alpha, double beta);
/* The slope, as a function of the result where that says it (so that the argument need not be kept), else of the argument. */
bool nn_unary_by_result(nn_unary_kind kind);
double nn_unary_slope(nn_unary_kind kind, double v, double alpha, double beta);
/* Whether dropout keeps element i: the same everywhere. `threshold`: nn_dropout_threshold(rate). */
uint32_t nn_dropout_threshold(float rate);
uint32_t nn_dropout_key(int32_t seed, int number);
static inline bool nn_dropout_keeps(uint32_t key, uint32_t threshold, uint32_t i)
{
    uint32_t h = i ^ key; /* "lowbias32" of Ellis' hash prospector, twice keyed */
    h = (h ^ h >> 16) * 0x7feb352du;
    h = (h ^ h >> 15) * 0x846ca68bu;
    h = (h ^ h >> 16) + key * 0x9e3779b9u;
    h = (h ^ h >> 16) * 0x7feb352du;
    return (h ^ h >> 15) >= threshold;
}
double nn_binary_value(nn_binary_kind kind, double a, double b);
int64_t nn_pad_source(nn_pad_kind kind, int64_t i,
                      int64_t dim); /* where place i of a padded axis comes from; -1: a zero */
/* Applies a node's posts to out in place: in[] are the operands of the whole node. */
void nn_apply_posts(const nn_post *posts, int n, const nn_operand *in, nn_operand out);

/* ---- random graphs for tests ---- */
enum { NN_RANDOM_INPUTS = 16 };
struct nn_random {
    uint64_t state; /* seed */
    bool vary;      /* weights are inputs as well: gradients by them are checked */
    int n;          /* inputs made so far, each with the range its numbers must come from */
    struct {
        double low, high;
    } range[NN_RANDOM_INPUTS];
};
int nn_random_int(nn_random *r, int low, int high); /* low..high, both possible */
float nn_random_float(nn_random *r, double low, double high);
nn_id nn_random_input(nn_graph *g, nn_random *r, nn_shape shape, double low, double high);
nn_id nn_random_ids(nn_graph *g, nn_random *r, nn_shape shape, int low, int high); /* i32 input */
nn_id nn_random_weight(nn_graph *g, nn_random *r, nn_shape shape, double low, double high);

#endif
