/* Runs the passes in the order of passes.def, tidying after each. */
#include "nn/pass.h"
#include "nn/plan_type.h"

#define NN_PASS(NAME) &nn_pass_##NAME,
static const nn_pass *const passes[] = {
#include "nn/passes/passes.def"
    NULL,
};
#undef NN_PASS

int nn_channel_axis(const nn_node *n)
{
    return n->op->posts == 0 ? -1 : n->op->posts < 0 ? n->shape.rank - 1 : n->op->posts;
}

int nn_run_passes(nn_graph *g, const nn_backend *b, const nn_compile_options *o)
{
    const nn_pass_context context = { b, o };
    int err = nn_graph_tidy(g);
    for (size_t i = 0; err == 0 && passes[i]; i++) {
        if ((err = passes[i]->run(g, &context)) == 0)
            err = nn_graph_error(g);
        if (err == 0)
            err = nn_graph_tidy(g);
    }
    return err;
}
