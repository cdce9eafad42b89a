/* What a pass is: it rewrites the graph so that the same values are cheaper. Private to the nn room; passes.def lists them in
 * order, one file each in passes/. A pass keeps three rules: a value that is an output or a tap still exists afterwards (it
 * is replaced by an equal one, or swallowed only when nn_uses is 1); states are read and written in the same order; shapes
 * of named values stay. */
#ifndef SM_NN_PASS_H
#define SM_NN_PASS_H

#include "nn/backend.h"

typedef struct {
    const nn_backend *backend;
    const nn_compile_options *options;
} nn_pass_context;

typedef struct {
    const char *name;
    int (*run)(nn_graph *g, const nn_pass_context *p); /* 0 or an error; nodes that nothing uses may stay behind */
} nn_pass;

#define NN_PASS(NAME) extern const nn_pass nn_pass_##NAME;
#include "nn/passes/passes.def"
#undef NN_PASS

/* Fuses `user`, the only user of `node`, behind it: adds the post, and node takes user's place. 1: done, 0: may not, < 0: error. */
int nn_fuse(nn_graph *g, const nn_pass_context *p, nn_id node, nn_id user, const nn_post *post, const nn_id *operands,
            int n);
/* Is this node one that posts can be fused behind? */
bool nn_takes_posts(const nn_node *n);
/* Constants' arithmetic: nodes that are computed once, when packed. */
nn_id nn_constant_reshape(nn_graph *g, nn_id x, nn_shape shape);

#endif
