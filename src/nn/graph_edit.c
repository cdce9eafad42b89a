/* What passes do to a graph: copy, replace, fuse behind, tidy. */
#include "nn/graph_type.h"

#include <string.h>

static int infer_nothing(const nn_graph *g, nn_node *n)
{
    (void)g;
    (void)n;
    return 0;
}

const nn_op nn_op_dead = { .name = "dead", .infer = infer_nothing };

/* Takes a node's inputs away from it; those that nothing needs any more go the same way. */
static void release(nn_graph *g, nn_id id)
{
    /* inputs of dead nodes form a tree of single uses: a list of what is to do threads through their `uses` */
    nn_id todo = id;
    g->nodes[id].uses = NN_NONE;
    while (todo != NN_NONE) {
        nn_node *n = &g->nodes[todo];
        nn_id next = n->uses;
        for (int i = 0; i < n->n_inputs; i++) {
            const nn_id x = n->inputs[i];
            if (x == NN_NONE || --g->nodes[x].uses > 0 || nn_has_effect(g, &g->nodes[x]))
                continue;
            g->nodes[x].uses = next;
            next = x;
        }
        n->op = &nn_op_dead;
        n->n_inputs = n->n_own = n->n_posts = 0;
        n->identity = 0;
        n->uses = 0;
        todo = next;
    }
}

static void rename_in(nn_named *list, size_t n, nn_id old_id, nn_id new_id, int *moved)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].id == old_id) {
            list[i].id = new_id;
            ++*moved;
        }
}

void nn_replace(nn_graph *g, nn_id old_id, nn_id new_id)
{
    int moved = 0;
    if (old_id == new_id || !nn_at(g, old_id) || !nn_at(g, new_id))
        return;
    for (size_t u = 0; u < g->n; u++) {
        if ((nn_id)u == new_id)
            continue; /* the new value may be made from the old one */
        for (int i = 0; i < g->nodes[u].n_inputs; i++)
            if (g->nodes[u].inputs[i] == old_id) {
                g->nodes[u].inputs[i] = new_id;
                moved++;
            }
    }
    rename_in(g->outputs, g->n_outputs, old_id, new_id, &moved);
    rename_in(g->taps, g->n_taps, old_id, new_id, &moved);
    g->nodes[old_id].uses -= moved;
    g->nodes[new_id].uses += moved;
    if (g->nodes[old_id].uses == 0 && !nn_has_effect(g, &g->nodes[old_id]))
        release(g, old_id);
}

int nn_add_post(nn_graph *g, nn_id node, const nn_post *post, const nn_id *operands, int n)
{
    nn_node *x = &g->nodes[node];
    if (x->n_posts == NN_MAX_POSTS)
        return sm_fail(SM_EINTERNAL, "%s: too many posts", x->op->name);
    nn_id *inputs = sm_arena_get(g->arena, (size_t)(x->n_inputs + n + 1), sizeof *inputs, sizeof *inputs);
    if (!inputs)
        return nn_graph_fail(g, SM_ENOMEM, "no memory for a node");
    memcpy(inputs, x->inputs, (size_t)x->n_inputs * sizeof *inputs);
    for (int i = 0; i < n; i++) {
        inputs[x->n_inputs + i] = operands[i];
        g->nodes[operands[i]].uses++;
    }
    x->posts[x->n_posts] = *post;
    x->posts[x->n_posts].input = x->n_inputs;
    x->n_posts++;
    x->inputs = inputs;
    x->n_inputs += n;
    return 0;
}

/* ---- copies ---- */

static int copy_tensor(nn_graph *to, nn_node *n)
{
    nn_tensor *t = &n->tensor;
    const size_t bytes = (size_t)nn_elements(&t->shape) * nn_type_size(t->type);
    const size_t scales = !t->scale ? 0 : t->scale_axis < 0 ? 1 : (size_t)t->shape.dim[t->scale_axis];
    void *data = sm_arena_get(to->arena, bytes, 1, 64);
    float *scale = sm_arena_get(to->arena, scales + 1, sizeof *scale, 64);
    int32_t *zero = sm_arena_get(to->arena, scales + 1, sizeof *zero, 64);
    if (!data || !scale || !zero)
        return sm_fail(SM_ENOMEM, "no memory for a copy of a constant");
    t->data = memcpy(data, t->data, bytes);
    if (t->scale)
        t->scale = memcpy(scale, t->scale, scales * sizeof *scale);
    if (t->zero)
        t->zero = memcpy(zero, t->zero, scales * sizeof *zero);
    return 0;
}

/* Scopes are shared by many nodes in a row: one copy each. */
static int copy_node(nn_graph *to, const nn_node *from, const nn_node *before, nn_node *out)
{
    *out = *from;
    out->inputs = sm_arena_get(to->arena, (size_t)SM_MAX(from->n_inputs, 1), sizeof *out->inputs, sizeof *out->inputs);
    if (!out->inputs)
        return SM_ENOMEM;
    for (int i = 0; i < from->n_inputs; i++)
        out->inputs[i] = from->inputs[i];
    if (from->name && !(out->name = sm_arena_strdup(to->arena, from->name)))
        return SM_ENOMEM;
    if (before && from[-1].scope == from->scope)
        out->scope = before->scope;
    else if (!(out->scope = sm_arena_strdup(to->arena, from->scope)))
        return SM_ENOMEM;
    if (from->op == &nn_op_const && !from->name) /* weights of a source have a name and stay where they are */
        return copy_tensor(to, out);
    return 0;
}

static int copy_named(nn_graph *to, const nn_named *from, size_t n, nn_named **out, size_t *count, size_t *cap)
{
    if (sm_grow(out, cap, n + 1, sizeof **out) < 0)
        return SM_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *name = sm_arena_strdup(to->arena, from[i].name);
        if (!name)
            return SM_ENOMEM;
        (*out)[i] = (nn_named){ name, from[i].id };
    }
    *count = n;
    return 0;
}

int nn_graph_clone(const nn_graph *g, nn_graph **out)
{
    nn_graph *c = NULL;
    int err = 0;

    *out = NULL;
    if ((err = nn_graph_error(g)) < 0)
        return err;
    c = nn_graph_new();
    if (!c || sm_grow(&c->nodes, &c->cap, g->n + 1, sizeof *c->nodes) < 0 ||
        sm_grow(&c->inputs, &c->cap_inputs, g->n_inputs + 1, sizeof *c->inputs) < 0) {
        err = SM_ENOMEM;
        goto out;
    }
    for (size_t i = 0; i < g->n; i++) {
        if ((err = copy_node(c, &g->nodes[i], i ? &c->nodes[i - 1] : NULL, &c->nodes[i])) < 0)
            goto out;
        c->n = i + 1;
    }
    c->trains = g->trains;
    c->n_dropouts = g->n_dropouts;
    if (g->n_inputs)
        memcpy(c->inputs, g->inputs, g->n_inputs * sizeof *c->inputs);
    c->n_inputs = g->n_inputs;
    if ((err = copy_named(c, g->outputs, g->n_outputs, &c->outputs, &c->n_outputs, &c->cap_outputs)) < 0)
        goto out;
    err = copy_named(c, g->taps, g->n_taps, &c->taps, &c->n_taps, &c->cap_taps);

out:
    if (err < 0)
        nn_graph_free(c);
    else
        *out = c;
    return err;
}

void nn_graph_keep_taps(nn_graph *g, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_taps; i++)
        if (part && strstr(g->taps[i].name, part))
            g->taps[n++] = g->taps[i];
        else
            g->nodes[g->taps[i].id].uses--;
    g->n_taps = n;
}

/* ---- tidying ---- */

typedef struct {
    nn_graph *g;
    nn_id *place; /* new id by old id; NN_NONE: not reached; VISITING: on the stack */
    nn_id *stack; /* of old ids */
    nn_node *nodes;
    size_t n;
} tidy;
enum { VISITING = -2 };

/* Places a node behind all of its inputs (depth first, own stack: foreign graphs may be deep). */
static int place_node(tidy *t, nn_id root)
{
    size_t depth = 0;
    if (t->place[root] == NN_NONE) {
        t->stack[depth++] = root;
        t->place[root] = VISITING;
    }
    while (depth > 0) {
        const nn_id id = t->stack[depth - 1];
        const nn_node *n = &t->g->nodes[id];
        bool ready = true;
        for (int i = 0; i < n->n_inputs && ready; i++) {
            const nn_id x = n->inputs[i];
            if (x == NN_NONE || t->place[x] >= 0)
                continue;
            if (t->place[x] == VISITING)
                return sm_fail(SM_EINTERNAL, "the graph has a circle through %s", n->op->name);
            t->place[x] = VISITING;
            t->stack[depth++] = x;
            ready = false;
        }
        if (!ready)
            continue;
        t->place[id] = (nn_id)t->n;
        t->nodes[t->n++] = *n;
        depth--;
    }
    return 0;
}

/* Marks what outputs, taps and effects need; `place` is used for the marks. */
static void mark_needed(const nn_graph *g, bool *needed, nn_id *stack)
{
    size_t depth = 0;
    for (size_t i = 0; i < g->n; i++)
        needed[i] = g->nodes[i].op == &nn_op_input || nn_has_effect(g, &g->nodes[i]);
    for (size_t i = 0; i < g->n_outputs; i++)
        needed[g->outputs[i].id] = true;
    for (size_t i = 0; i < g->n_taps; i++)
        needed[g->taps[i].id] = true;
    for (size_t i = 0; i < g->n; i++)
        if (needed[i])
            stack[depth++] = (nn_id)i;
    while (depth > 0) {
        const nn_node *n = &g->nodes[stack[--depth]];
        for (int i = 0; i < n->n_inputs; i++)
            if (n->inputs[i] != NN_NONE && !needed[n->inputs[i]]) {
                needed[n->inputs[i]] = true;
                stack[depth++] = n->inputs[i];
            }
    }
}

static void renumber(nn_graph *g, const tidy *t)
{
    for (size_t i = 0; i < t->n; i++)
        t->nodes[i].uses = t->nodes[i].op == &nn_op_input;
    for (size_t i = 0; i < t->n; i++)
        for (int k = 0; k < t->nodes[i].n_inputs; k++)
            if (t->nodes[i].inputs[k] != NN_NONE) {
                t->nodes[i].inputs[k] = t->place[t->nodes[i].inputs[k]];
                t->nodes[t->nodes[i].inputs[k]].uses++;
            }
    for (size_t i = 0; i < g->n_outputs; i++)
        t->nodes[g->outputs[i].id = t->place[g->outputs[i].id]].uses++;
    for (size_t i = 0; i < g->n_taps; i++)
        t->nodes[g->taps[i].id = t->place[g->taps[i].id]].uses++;
    for (size_t i = 0; i < g->n_inputs; i++)
        g->inputs[i] = t->place[g->inputs[i]];
}

int nn_graph_tidy(nn_graph *g)
{
    tidy t = { .g = g };
    bool *needed = NULL;
    int err = 0;

    if ((err = nn_graph_error(g)) < 0)
        return err;
    needed = sm_alloc_zero(g->n + 1, sizeof *needed);
    t.place = sm_alloc(g->n + 1, sizeof *t.place);
    t.stack = sm_alloc(g->n + 1, sizeof *t.stack);
    t.nodes = sm_alloc(g->n + 1, sizeof *t.nodes);
    if (!needed || !t.place || !t.stack || !t.nodes) {
        err = SM_ENOMEM;
        goto out;
    }
    mark_needed(g, needed, t.stack);
    for (size_t i = 0; i < g->n; i++)
        t.place[i] = NN_NONE;
    for (size_t i = 0; i < g->n; i++)
        if (needed[i] && (err = place_node(&t, (nn_id)i)) < 0)
            goto out;
    renumber(g, &t);
    sm_free(g->nodes);
    g->nodes = t.nodes;
    g->cap = g->n + 1;
    g->n = t.n;
    t.nodes = NULL;

out:
    sm_free(needed);
    sm_free(t.place);
    sm_free(t.stack);
    sm_free(t.nodes);
    return err;
}
