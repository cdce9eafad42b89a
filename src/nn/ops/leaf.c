/* Leaves: inputs, constants, states. graph.c makes their nodes. */
#include "nn/graph.h"

static int infer(const nn_graph *g, nn_node *n)
{
    (void)g;
    (void)n;
    return 0;
}

const nn_op nn_op_input = { .name = "input", .infer = infer };
const nn_op nn_op_const = { .name = "const", .infer = infer };
const nn_op nn_op_state = { .name = "state", .infer = infer };
