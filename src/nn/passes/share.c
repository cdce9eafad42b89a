/* Equal operations on equal inputs are computed once. What reads or changes a state is never equal to another. */
#include "nn/pass.h"

#include <string.h>

static uint64_t hash_of(const nn_node *n)
{
    uint64_t h = sm_fnv1a64(&n->attrs, sizeof n->attrs) ^ (uint64_t)(uintptr_t)n->op;
    for (int i = 0; i < n->n_inputs; i++)
        h = (h ^ (uint64_t)(uint32_t)n->inputs[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static bool equal(const nn_node *a, const nn_node *b)
{
    if (a->op != b->op || a->n_inputs != b->n_inputs || memcmp(&a->attrs, &b->attrs, sizeof a->attrs) != 0)
        return false;
    for (int i = 0; i < a->n_inputs; i++)
        if (a->inputs[i] != b->inputs[i])
            return false;
    return true;
}

/* Leaves are their own, but constants of the same numbers are one. */
static bool can_be_shared(const nn_graph *g, const nn_node *n)
{
    if (!n->op->ref || n->n_posts || n->op->states)
        return false;
    for (int i = 0; i < n->n_inputs; i++) {
        const nn_node *x = nn_in(g, n, i);
        if (x && (x->op == &nn_op_state || x->op->gives_state))
            return false;
    }
    return true;
}

static bool same_constant(const nn_node *a, const nn_node *b)
{
    return a->op == &nn_op_const && b->op == &nn_op_const && a->identity == b->identity &&
           nn_shape_equal(&a->shape, &b->shape);
}

static int run(nn_graph *g, const nn_pass_context *p)
{
    const nn_id size = nn_graph_size(g);
    size_t slots = 16;
    while (slots < 2 * (size_t)size)
        slots *= 2;
    nn_id *table = sm_alloc(slots, sizeof *table);
    (void)p;
    if (!table)
        return SM_ENOMEM;
    for (size_t i = 0; i < slots; i++)
        table[i] = NN_NONE;
    for (nn_id id = 0; id < size; id++) {
        const nn_node *n = nn_at(g, id);
        const bool leaf = n->op == &nn_op_const;
        if (!leaf && !can_be_shared(g, n))
            continue;
        size_t at = (size_t)(leaf ? n->identity : hash_of(n)) & (slots - 1);
        while (table[at] != NN_NONE && !(leaf ? same_constant(nn_at(g, table[at]), n) : equal(nn_at(g, table[at]), n)))
            at = (at + 1) & (slots - 1);
        if (table[at] == NN_NONE)
            table[at] = id;
        else
            nn_replace(g, id, table[at]);
    }
    sm_free(table);
    return 0;
}

const nn_pass nn_pass_share = { "share", run };
