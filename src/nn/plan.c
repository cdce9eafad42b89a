/* A plan's own: freeing it, and what it says about itself. */
#include "nn/plan_type.h"

void nn_plan_free(nn_plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].free_state)
            p->steps[i].free_state(p->steps[i].state);
    sm_free(p->steps);
    sm_free(p->values);
    sm_free(p->slots);
    nn_graph_free(p->graph);
    if (p->own_pack)
        nn_pack_free(p->pack);
    sm_arena_free(p->arena);
    sm_free(p);
}

void nn_plan_memory(const nn_plan *p, nn_memory *out)
{
    *out = (nn_memory){ nn_pack_bytes(p->pack), p->states, p->activations, p->scratch };
}

double nn_plan_macs(const nn_plan *p)
{
    return p->macs;
}

double nn_plan_streamed(const nn_plan *p)
{
    double bytes = 0;
    for (size_t i = 0; i < p->n_steps; i++)
        bytes += p->steps[i].streamed;
    return bytes;
}

int nn_plan_inputs(const nn_plan *p)
{
    return p->n_inputs;
}

int nn_plan_outputs(const nn_plan *p)
{
    return p->n_outputs;
}

int nn_plan_taps(const nn_plan *p)
{
    return p->n_taps;
}

const char *nn_plan_input_name(const nn_plan *p, int i)
{
    return p->inputs[i].name;
}

const char *nn_plan_output_name(const nn_plan *p, int i)
{
    return p->outputs[i].name;
}

nn_shape nn_plan_input_shape(const nn_plan *p, int i)
{
    return p->inputs[i].shape;
}

nn_shape nn_plan_output_shape(const nn_plan *p, int i)
{
    return p->outputs[i].shape;
}

nn_type nn_plan_input_type(const nn_plan *p, int i)
{
    return p->inputs[i].type;
}
