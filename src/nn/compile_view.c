/* Values that need no step: parts of another value's memory (reshape, outer slices), or made of their parts (outer concat). */
#include "nn/plan_type.h"

int32_t nn_root(const nn_plan *p, int32_t v, size_t *at)
{
    size_t sum = 0;
    while (p->slots[v].alias >= 0) {
        sum += p->slots[v].alias_at;
        v = p->slots[v].alias;
    }
    if (at)
        *at = sum;
    return v;
}

/* Does a node behind `id` change the state whose memory this is? Then a view would change under its readers. */
static bool changes_later(const nn_compiler *c, nn_id id, int32_t root)
{
    for (nn_id later = id + 1; later < nn_graph_size(c->graph); later++) {
        const nn_node *n = nn_at(c->graph, later);
        for (int i = 0; i < n->n_own; i++)
            if (n->op->states >> i & 1 && n->inputs[i] != NN_NONE && c->value_of[n->inputs[i]] >= 0 &&
                nn_root(c->plan, c->value_of[n->inputs[i]], NULL) == root)
                return true;
    }
    return false;
}

static int view(nn_compiler *c, nn_id id, int64_t offset, bool reorder_first)
{
    const nn_node *n = nn_at(c->graph, id);
    const int32_t from = reorder_first ? nn_want(c, n->inputs[0], NULL, 0) : nn_value_of(c, n->inputs[0]);
    if (from < 0)
        return from;
    if (c->plan->values[from].layout)
        return 0;
    const int32_t root = nn_root(c->plan, from, NULL);
    if (c->plan->slots[root].place == NN_IN_STATE && changes_later(c, id, root))
        return 0;
    const int32_t v = nn_new_value(c, id, NN_IN_ARENA);
    if (v < 0)
        return v;
    c->plan->slots[v].alias = from;
    c->plan->slots[v].alias_at = (size_t)offset * nn_type_size(n->type);
    c->value_of[id] = v;
    return 1;
}

/* A part must be computed value of its own, used as part only here. */
static bool can_be_part(const nn_compiler *c, const nn_node *n, int i)
{
    const int32_t v = c->value_of[n->inputs[i]];
    if (v < 0 || c->plan->values[v].layout || c->plan->slots[v].alias >= 0 || c->plan->slots[v].place != NN_IN_ARENA)
        return false;
    for (int k = 0; k < i; k++)
        if (n->inputs[k] == n->inputs[i])
            return false;
    return true;
}

static int join(nn_compiler *c, nn_id id)
{
    const nn_node *n = nn_at(c->graph, id);
    size_t at = 0;
    for (int i = 0; i < n->n_own; i++)
        if (!can_be_part(c, n, i))
            return 0;
    const int32_t v = nn_new_value(c, id, NN_IN_ARENA);
    if (v < 0)
        return v;
    for (int i = 0; i < n->n_own; i++) {
        nn_slot *part = &c->plan->slots[c->value_of[n->inputs[i]]];
        part->alias = v;
        part->alias_at = at;
        at += c->plan->values[c->value_of[n->inputs[i]]].bytes;
    }
    c->value_of[id] = v;
    return 1;
}

int nn_try_view(nn_compiler *c, nn_id id, bool reorder_first)
{
    const nn_node *n = nn_at(c->graph, id);
    int64_t offset = 0;
    if (n->n_posts)
        return 0;
    if (n->op->view && n->op->view(c->graph, n, &offset))
        return view(c, id, offset, reorder_first);
    if (n->op->joins && n->op->joins(c->graph, n))
        return join(c, id);
    return 0;
}
