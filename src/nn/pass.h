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

/* The channel axis that a node's posts and folded vectors count along; -1: it takes none. */
int nn_channel_axis(const nn_node *n);

#endif
