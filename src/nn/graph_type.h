/* The graph's own struct, for graph.c, graph_edit.c, constant.c and backward.c only. */
#ifndef SM_NN_GRAPH_TYPE_H
#define SM_NN_GRAPH_TYPE_H

#include "nn/graph.h"

struct nn_graph {
    sm_arena *arena; /* names, inputs' ids, copied numbers */
    nn_node *nodes;
    size_t n, cap;
    nn_named *outputs, *taps;
    size_t n_outputs, cap_outputs, n_taps, cap_taps;
    nn_id *inputs;
    size_t n_inputs, cap_inputs;
    const char *scope;
    bool trains;
    int n_dropouts;
    int error;
    char message[512];
};

extern const nn_op nn_op_dead; /* what nn_replace leaves of a node that nothing uses any more */

#endif
