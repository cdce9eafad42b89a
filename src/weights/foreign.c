/* The graph of a foreign file: nodes as they come, sorted so that inputs come first. */
#include "weights/store.h"

const sm_foreign_attr *sm_foreign_attr_find(const sm_foreign_node *n, const char *name)
{
    for (size_t i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0)
            return &n->attrs[i];
    return NULL;
}

void w_graph_free(w_graph *g)
{
    sm_free(g->nodes);
    sm_free(g->inputs);
    sm_free(g->outputs);
    memset(g, 0, sizeof *g);
}

int w_graph_node(w_graph *g, const sm_foreign_node *n)
{
    const int err = sm_grow(&g->nodes, &g->cap, g->n + 1, sizeof *g->nodes);
    if (err == 0)
        g->nodes[g->n++] = *n;
    return err;
}

int w_graph_input(w_graph *g, const sm_foreign_value *v)
{
    const int err = sm_grow(&g->inputs, &g->cap_inputs, g->n_inputs + 1, sizeof *g->inputs);
    if (err == 0)
        g->inputs[g->n_inputs++] = *v;
    return err;
}

int w_graph_output(w_graph *g, const sm_foreign_value *v)
{
    const int err = sm_grow(&g->outputs, &g->cap_outputs, g->n_outputs + 1, sizeof *g->outputs);
    if (err == 0)
        g->outputs[g->n_outputs++] = *v;
    return err;
}

/* ---- sorting ---- */

#define GIVEN SIZE_MAX

typedef struct {
    const sm_weights *w;
    const w_graph *g;
    w_names makers; /* which node makes a value; GIVEN: an input of the graph */
    struct {
        size_t node, next; /* next input to look at */
    } * stack;
    uint8_t *state; /* of a node: 0 untouched, 1 on the stack, 2 placed */
    sm_foreign_node *sorted;
    size_t n_sorted;
} sorter;

static int add_maker(sorter *s, const char *name, size_t node)
{
    size_t other;
    if (!name || !*name)
        return 0;
    if (w_names_get(&s->makers, name, &other) && other != GIVEN)
        return sm_fail(SM_EFORMAT, "two operators of the graph make \"%s\"", name);
    return w_names_put(&s->makers, name, node);
}

static int index_makers(sorter *s)
{
    const w_graph *g = s->g;
    int err = 0;
    for (size_t i = 0; i < g->n_inputs && err == 0; i++)
        err = add_maker(s, g->inputs[i].name, GIVEN);
    for (size_t i = 0; i < g->n && err == 0; i++)
        for (size_t k = 0; k < g->nodes[i].n_outputs && err == 0; k++)
            err = add_maker(s, g->nodes[i].outputs[k], i);
    return err;
}

/* Depth first from one node, without recursion: graphs are thousands of nodes deep. */
static int place(sorter *s, size_t start)
{
    const w_graph *g = s->g;
    size_t depth = 0;
    s->stack[depth].node = start;
    s->stack[depth++].next = 0;
    s->state[start] = 1;
    while (depth) {
        const size_t at = s->stack[depth - 1].node;
        const sm_foreign_node *n = &g->nodes[at];
        if (s->stack[depth - 1].next == n->n_inputs) {
            s->state[at] = 2;
            s->sorted[s->n_sorted++] = *n;
            depth--;
            continue;
        }
        const char *name = n->inputs[s->stack[depth - 1].next++];
        if (!name || !*name)
            continue;
        size_t maker = GIVEN;
        if (!w_names_get(&s->makers, name, &maker) && !w_find(s->w, name))
            return sm_fail(SM_EFORMAT, "operator \"%s\" (%s) wants \"%s\", which nothing makes", n->name, n->op, name);
        if (maker == GIVEN)
            continue;
        if (s->state[maker] == 1)
            return sm_fail(SM_EUNSUPPORTED, "the graph has a loop through \"%s\"", name);
        if (s->state[maker] == 0) {
            s->state[maker] = 1;
            s->stack[depth].node = maker;
            s->stack[depth++].next = 0;
        }
    }
    return 0;
}

static int sort(sm_weights *w, const w_graph *g, sm_foreign_node *sorted)
{
    sorter s = { .w = w, .g = g, .sorted = sorted };
    int err = index_makers(&s);
    if (err == 0) {
        s.stack = sm_alloc(g->n, sizeof *s.stack);
        s.state = sm_alloc_zero(g->n, 1);
        if (!s.stack || !s.state)
            err = w_no_memory();
    }
    for (size_t i = 0; i < g->n && err == 0; i++)
        if (s.state[i] == 0)
            err = place(&s, i);
    for (size_t i = 0; i < g->n_outputs && err == 0; i++) {
        const char *name = g->outputs[i].name;
        size_t maker;
        if (!w_names_get(&s.makers, name, &maker) && !w_find(w, name))
            err = sm_fail(SM_EFORMAT, "the graph's output \"%s\" is made by nothing", name);
    }
    w_names_clear(&s.makers);
    sm_free(s.stack);
    sm_free(s.state);
    return err;
}

static void *keep(sm_arena *a, const void *items, size_t n, size_t size)
{
    void *copy = sm_arena_get(a, n, size, 16);
    if (copy && n)
        memcpy(copy, items, n * size);
    return copy;
}

int w_graph_finish(sm_weights *w, w_graph *g, const char *dialect, int64_t opset)
{
    sm_foreign_graph *out = sm_arena_zero(w->arena, 1, sizeof *out);
    sm_foreign_node *nodes = sm_arena_get(w->arena, g->n, sizeof *nodes, 16);
    if (!out || !nodes)
        return w_no_memory();
    const int err = sort(w, g, nodes);
    if (err < 0)
        return err;
    *out = (sm_foreign_graph){
        .dialect = dialect, .opset = opset, .n_nodes = g->n, .n_inputs = g->n_inputs, .n_outputs = g->n_outputs
    };
    out->nodes = nodes;
    out->inputs = keep(w->arena, g->inputs, g->n_inputs, sizeof *g->inputs);
    out->outputs = keep(w->arena, g->outputs, g->n_outputs, sizeof *g->outputs);
    if (!out->inputs || !out->outputs)
        return w_no_memory();
    w->graph = out;
    return 0;
}
