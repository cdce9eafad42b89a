/* A TensorFlow graph while it is read, from protobuf or from TensorFlow.js's JSON; then flat: functions are inlined, constants
 * are weights, values are renamed to "node" (output 0) and "node:k". */
#ifndef SM_WEIGHTS_TF_GRAPH_H
#define SM_WEIGHTS_TF_GRAPH_H

#include "weights/store.h"

typedef struct {
    const char *name, *op;
    const char **inputs; /* as in the file: "x", "x:1", "^control"; inside functions "x:out:0" */
    size_t n_inputs;
    const sm_foreign_attr *attrs;
    size_t n_attrs;
    const char *function; /* attribute "f": whose body a PartitionedCall runs */
    bool has_value;       /* a Const whose tensor is `value` (its name is the node's) */
    w_tensor value;
} tf_node;

typedef struct {
    tf_node *nodes;
    size_t n, cap;
} tf_nodes;

typedef struct {
    const char *name;
    const char **arguments; /* names inside the body */
    size_t n_arguments;
    const char **results; /* references inside the body, in the order of the outputs */
    size_t n_results;
    tf_nodes body;
} tf_function;

typedef struct {
    sm_weights *w;
    tf_nodes main;
    tf_function *functions;
    size_t n_functions, cap_functions;
    const char **outputs; /* what a signature names; none: all values that nothing uses */
    size_t n_outputs;
} tf_graph;

int tf_add_node(tf_nodes *list, const tf_node *n);
int tf_add_function(tf_graph *g, const tf_function *f);
void tf_graph_free(tf_graph *g);
/* Sets w->graph and adds the constants. */
int tf_graph_finish(tf_graph *g);

/* DataType by number or name ("DT_FLOAT"). False: a type that is no number here. */
bool tf_type(int64_t number, nn_type *out);
const char *tf_type_name(int64_t number); /* "DT_FLOAT"; "DT_23" has no name: NULL */
int64_t tf_type_number(const char *name); /* -1: unknown */

#endif
