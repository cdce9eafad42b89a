/* What a backend is: it turns nodes into steps. Private to the nn room; src/nn/backends.def lists them.
 *
 * nn_compile clones the graph, runs the passes (passes.def), lets the backend rewrite, then asks it for a step a node, in order:
 *
 *     step()  looks at the node, chooses a kernel, asks for its inputs in the layout it wants (nn_want: a reorder step is put
 *             in front when needed, once for all who want the same), packs constants (nn_pack_get), says what it reads
 *             (nn_reads) and, when its result is not in plain C order, in which layout it is (nn_gives).
 *
 * A node that the backend does not want (returns 1) is taken by `ref`, whose inputs and outputs are plain; so every graph runs
 * on every backend. Views (reshape, outer slices, outer concat) are made by the plan without a step when the values are plain.
 *
 * Plans are immutable and run by many threads: what a step changes while it runs belongs to the run state (open/close). */
#ifndef SM_NN_BACKEND_H
#define SM_NN_BACKEND_H

#include "nn/graph.h"

typedef struct nn_compiler nn_compiler;
typedef struct nn_exec nn_exec;
typedef struct nn_step nn_step;
typedef struct nn_backend nn_backend;

/* A tensor at run time. Its number is what steps remember; its memory is chosen after all steps are known. */
typedef struct {
    nn_type type; /* of the plain form */
    nn_shape shape;
    const void *layout; /* the backend's own; NULL: plain C order of `type` */
    size_t bytes;       /* in that layout */
} nn_value;

/* One run state's view: what run() may use. Everything in it belongs to this thread during nn_run. */
struct nn_exec {
    void **data;   /* by value number; those of inputs and outputs may change from run to run */
    void **own;    /* by step index: what open() made */
    void *scratch; /* the largest scratch any step asked for; 64-byte aligned */
    int threads;
    sm_pool *pool; /* of `threads` workers, for a backend's own loops; NULL when threads is 1 */
    nn_run_state *run;
};

struct nn_step {
    /* ---- the backend fills ---- */
    int (*run)(const nn_step *s, nn_exec *x);
    void *state;                     /* read-only after compile */
    void (*free_state)(void *state); /* NULL: nothing to free (made in nn_compiler_arena, say) */
    /* Optional: made once a run state, with all pointers but those of inputs and outputs already in x->data. */
    int (*open)(const nn_step *s, nn_exec *x, void **own);
    void (*close)(void *own);
    const char *kernel; /* for profiles: "brgemm 1x1"; lives as long as the plan */
    size_t scratch;     /* bytes */
    int inplace; /* an input value whose memory the output may take over (same bytes, read once, dies here); -1: none */
    /* ---- the plan fills ---- */
    int index;   /* in x->own */
    int32_t out; /* value number of the result */
    int32_t *in; /* value numbers, in the order of nn_reads */
    int n_in;
    const char *op, *where;
    double macs;
    double streamed; /* the backend may fill: bytes of weights that a run reads once, so that memory bounds it */
};

struct nn_backend {
    const char *name;
    /* 0, or SM_EUNSUPPORTED with a message that says what is missing. May turn AUTO into what it is here. */
    int (*precision)(nn_precision *p, bool emulate);
    /* May `post` be fused behind the posts that the node already has? NULL: any may. operand: the other value of BINARY. */
    bool (*can_fuse)(const nn_graph *g, nn_id node, const nn_post *post, nn_id operand);
    int (*rewrite)(nn_graph *g, const nn_compile_options *o); /* own fusions, after the passes; may be NULL */
    /* 0: made; 1: not mine; < 0: error. */
    int (*step)(nn_compiler *c, nn_id node, nn_step *out);
    bool (*layout_equal)(const void *a, const void *b); /* neither NULL; NULL function: never asked */
    int (*reorder)(nn_compiler *c, int32_t from, int32_t to, nn_step *out); /* between layouts of one tensor */
};
extern const nn_backend nn_backend_ref;

/* ---- for step() and reorder() ---- */
const nn_graph *nn_compiler_graph(const nn_compiler *c);
const nn_compile_options *nn_compiler_options(const nn_compiler *c); /* precision and threads resolved */
sm_arena *nn_compiler_arena(nn_compiler *c);                         /* lives as long as the plan */
/* Number of a node's value in the layout it is in now (constants: plain). < 0: error (no memory). */
int32_t nn_value_of(nn_compiler *c, nn_id id);
const nn_value *nn_value_at(const nn_compiler *c, int32_t value); /* valid until the next value is made */
/* The same tensor in `layout` (NULL: plain): as it is, or by a reorder step. < 0: error. */
int32_t nn_want(nn_compiler *c, nn_id id, const void *layout, size_t bytes);
/* The step that is being made reads this value. 0 or SM_ENOMEM. */
int nn_reads(nn_compiler *c, nn_step *s, int32_t value);
/* Its result is in this layout. Without a call it is plain. s->out is the number in either case. */
void nn_gives(nn_compiler *c, nn_step *s, const void *layout, size_t bytes);

/* Numbers of a constant node in C order, f32 or i32; they live until compile ends (weights of a source: longer). */
int nn_compiler_constant(nn_compiler *c, nn_id id, nn_tensor *out);
/* Finds or makes a packed form of constant `id`. `key` names the form and must say all that the bytes depend on beside the
 * numbers themselves. fill() writes it, reading numbers with nn_compiler_constant; it is called only when the pack lacks
 * the form. *data lives as long as the pack, 64-byte aligned. More than one constant in a form (weights and bias): name the
 * others' identity (nn_node.identity) in the key. */
int nn_pack_get(nn_compiler *c, nn_id id, const char *key, size_t bytes,
                int (*fill)(nn_compiler *c, void *user, void *data), void *user, const void **data);

/* A step of `ref` for this node (inputs plain): for backends that decide late. */
int nn_ref_step(nn_compiler *c, nn_id node, nn_step *out);

#endif
