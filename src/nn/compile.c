/* From graph to plan: copy, passes, the backend's rewriting, a step a node, outputs, taps, memory. */
#include "nn/plan_type.h"

#include <string.h>

struct nn_held {
    nn_id id;
    nn_tensor tensor;
    void *owned;
};

#define NN_BACKEND(NAME) extern const nn_backend nn_backend_##NAME;
#include "nn/backends.def"
#undef NN_BACKEND
#define NN_BACKEND(NAME) &nn_backend_##NAME,
static const nn_backend *const backends[] = {
#include "nn/backends.def"
};
#undef NN_BACKEND

const nn_backend *nn_find_backend(const char *name)
{
    char known[160] = "";
    if (!name)
        return backends[0];
    for (size_t i = 0; i < SM_LENGTH(backends); i++)
        if (!strcmp(backends[i]->name, name))
            return backends[i];
    for (size_t i = 0; i < SM_LENGTH(backends); i++) {
        strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, backends[i]->name, sizeof known - strlen(known) - 1);
    }
    sm_fail(SM_EUSAGE, "no backend '%s'; there are: %s", name, known);
    return NULL;
}

/* ---- what steps ask ---- */

const nn_graph *nn_compiler_graph(const nn_compiler *c)
{
    return c->graph;
}

const nn_compile_options *nn_compiler_options(const nn_compiler *c)
{
    return &c->options;
}

sm_arena *nn_compiler_arena(nn_compiler *c)
{
    return c->plan->arena;
}

const nn_value *nn_value_at(const nn_compiler *c, int32_t value)
{
    return &c->plan->values[value];
}

int nn_compiler_constant(nn_compiler *c, nn_id id, nn_tensor *out)
{
    int err;
    for (size_t i = 0; i < c->n_held; i++)
        if (c->held[i].id == id) {
            *out = c->held[i].tensor;
            return 0;
        }
    if ((err = sm_grow(&c->held, &c->cap_held, c->n_held + 1, sizeof *c->held)) < 0)
        return err;
    nn_held *h = &c->held[c->n_held];
    h->id = id;
    if ((err = nn_constant(c->graph, id, &h->tensor, &h->owned)) < 0)
        return err;
    c->n_held++;
    *out = h->tensor;
    return 0;
}

int nn_pack_get(nn_compiler *c, nn_id id, const char *key, size_t bytes,
                int (*fill)(nn_compiler *c, void *user, void *data), void *user, const void **data)
{
    const nn_node *n = nn_at(c->graph, id);
    if (!n || !n->identity) {
        *data = NULL;
        return sm_fail(SM_EINTERNAL, "only constants can be packed");
    }
    return nn_pack_find(c->plan->pack, n->identity, key, bytes, fill, c, user, data);
}

/* ---- values ---- */

int32_t nn_new_value(nn_compiler *c, nn_id id, nn_place place)
{
    nn_plan *p = c->plan;
    const nn_node *n = nn_at(c->graph, id);
    if (p->n_values >= INT32_MAX || sm_grow(&p->values, &p->cap_values, p->n_values + 1, sizeof *p->values) < 0 ||
        sm_grow(&p->slots, &p->cap_slots, p->n_values + 1, sizeof *p->slots) < 0)
        return SM_ENOMEM;
    p->values[p->n_values] =
        (nn_value){ n->type, n->shape, NULL, (size_t)nn_elements(&n->shape) * nn_type_size(n->type) };
    p->slots[p->n_values] =
        (nn_slot){ .place = place, .node = id, .alias = -1, .next_form = -1, .first = -1, .last = -1 };
    return (int32_t)p->n_values++;
}

static int fill_plain(nn_compiler *c, void *user, void *data)
{
    nn_tensor t;
    const nn_id id = *(const nn_id *)user;
    const int err = nn_compiler_constant(c, id, &t);
    if (err == 0)
        memcpy(data, t.data, (size_t)nn_elements(&t.shape) * 4);
    return err;
}

/* Numbers of a constant for steps that read them plain: where they lie if they are plain there, else in the pack. */
static int fix_constant(nn_compiler *c, nn_id id, int32_t v)
{
    const nn_node *n = nn_at(c->graph, id);
    if (n->op == &nn_op_const && n->tensor.type == n->type && !n->tensor.scale && (uintptr_t)n->tensor.data % 4 == 0) {
        c->plan->slots[v].fixed = n->tensor.data;
        return 0;
    }
    const void *data = NULL;
    const int err = nn_pack_get(c, id, "plain", c->plan->values[v].bytes, fill_plain, &id, &data);
    c->plan->slots[v].fixed = data;
    return err;
}

int32_t nn_value_of(nn_compiler *c, nn_id id)
{
    const nn_node *n = nn_at(c->graph, id);
    if (c->value_of[id] >= 0)
        return c->value_of[id];
    if (!n->identity && n->op != &nn_op_state)
        return sm_fail(SM_EINTERNAL, "%s is read before it is computed", n->op->name);
    const int32_t v = nn_new_value(c, id, n->identity ? NN_IN_PLAN : NN_IN_STATE);
    if (v < 0)
        return v;
    if (n->identity) {
        const int err = fix_constant(c, id, v);
        if (err < 0)
            return err;
    }
    return c->value_of[id] = v;
}

static bool same_layout(const nn_backend *b, const void *x, const void *y)
{
    return x == y || (x && y && b->layout_equal && b->layout_equal(x, y));
}

int32_t nn_want(nn_compiler *c, nn_id id, const void *layout, size_t bytes)
{
    nn_plan *p = c->plan;
    nn_step s = { .inplace = -1 };
    int32_t from = nn_value_of(c, id), last = from;
    int err = 0;

    for (int32_t v = from; v >= 0; last = v, v = p->slots[v].next_form)
        if (same_layout(p->backend, p->values[v].layout, layout))
            return v;
    if (from < 0)
        return from;
    const int32_t to = nn_new_value(c, id, NN_IN_ARENA);
    if (to < 0)
        return to;
    if (layout) {
        p->values[to].layout = layout;
        p->values[to].bytes = bytes;
    }
    s.out = to;
    if ((err = nn_reads(c, &s, from)) < 0 || (err = p->backend->reorder(c, from, to, &s)) < 0) {
        if (s.free_state)
            s.free_state(s.state);
        return err;
    }
    s.op = "reorder";
    s.where = nn_at(c->graph, id)->scope;
    if ((err = nn_append_step(c, &s)) < 0)
        return err;
    p->slots[last].next_form = to;
    return to;
}

/* ---- steps ---- */

int nn_reads(nn_compiler *c, nn_step *s, int32_t value)
{
    if (value < 0)
        return value;
    if ((s->n_in & (s->n_in - 1)) == 0) { /* full at 0, 1, 2, 4, ... */
        const int cap = SM_MAX(2 * s->n_in, 1);
        int32_t *more = sm_arena_get(c->plan->arena, (size_t)cap, sizeof *more, sizeof *more);
        if (!more)
            return SM_ENOMEM;
        if (s->n_in)
            memcpy(more, s->in, (size_t)s->n_in * sizeof *more);
        s->in = more;
    }
    s->in[s->n_in++] = value;
    return 0;
}

void nn_gives(nn_compiler *c, nn_step *s, const void *layout, size_t bytes)
{
    c->plan->values[s->out].layout = layout;
    if (layout)
        c->plan->values[s->out].bytes = bytes;
}

int nn_append_step(nn_compiler *c, const nn_step *s)
{
    nn_plan *p = c->plan;
    const int err = sm_grow(&p->steps, &p->cap_steps, p->n_steps + 1, sizeof *p->steps);
    if (err < 0) {
        if (s->free_state)
            s->free_state(s->state);
        return err;
    }
    p->steps[p->n_steps] = *s;
    p->steps[p->n_steps].index = (int)p->n_steps;
    p->n_steps++;
    return 0;
}

static int copy_run(const nn_step *s, nn_exec *x)
{
    memcpy(x->data[s->out], x->data[s->in[0]], *(const size_t *)s->state);
    return 0;
}

int nn_copy_value(nn_compiler *c, int32_t from, int32_t to)
{
    nn_step s = { .run = copy_run, .kernel = "copy", .op = "copy", .inplace = -1, .out = to };
    size_t *bytes = sm_arena_get(c->plan->arena, 1, sizeof *bytes, sizeof *bytes);
    int err;
    if (!bytes)
        return SM_ENOMEM;
    *bytes = c->plan->values[from].bytes;
    s.state = bytes;
    s.where = nn_at(c->graph, c->plan->slots[from].node)->scope;
    if ((err = nn_reads(c, &s, from)) < 0)
        return err;
    return nn_append_step(c, &s);
}

static const char *where_of(const nn_graph *g, nn_id id)
{
    const nn_named *taps, *outputs;
    const size_t n = nn_graph_taps(g, &taps), m = nn_graph_outputs(g, &outputs);
    for (size_t i = 0; i < n; i++)
        if (taps[i].id == id)
            return taps[i].name;
    const char *scope = nn_at(g, id)->scope;
    for (size_t i = 0; i < m && !*scope; i++)
        if (outputs[i].id == id)
            return outputs[i].name;
    return scope;
}

/* Lets the backend make a step, or ref. */
static int make_step(nn_compiler *c, nn_id id)
{
    nn_plan *p = c->plan;
    const nn_node *n = nn_at(c->graph, id);
    const int32_t out = nn_new_value(c, id, NN_IN_ARENA);
    nn_step s = { .inplace = -1, .out = out };
    int err = out < 0 ? out : p->backend->step(c, id, &s);
    if (err == 1 && (err = nn_try_view(c, id, true)) != 0)
        return err < 0 ? err : 0; /* the value made above is simply never used */
    if (err == 0 && !s.run) {
        s = (nn_step){ .inplace = -1, .out = out };
        nn_gives(c, &s, NULL, 0);
        p->values[out].bytes = (size_t)nn_elements(&n->shape) * nn_type_size(n->type);
        err = nn_ref_step(c, id, &s);
    }
    if (err < 0) {
        char text[160];
        if (s.free_state)
            s.free_state(s.state);
        return err == SM_ENOMEM ? err : sm_fail_prefix(err, "%s: ", nn_node_text(c->graph, n, text));
    }
    s.op = n->op->name;
    s.where = where_of(c->graph, id);
    s.macs = n->op->macs ? n->op->macs(c->graph, n) : 0;
    c->value_of[id] = out;
    if (n->op->gives_state) {
        p->slots[out].alias = nn_value_of(c, n->inputs[0]);
        if (p->slots[out].alias < 0)
            return p->slots[out].alias;
    }
    return nn_append_step(c, &s);
}

static int make_steps(nn_compiler *c)
{
    const int size = nn_graph_size(c->graph);
    const nn_id *inputs;
    const size_t n_inputs = nn_graph_inputs(c->graph, &inputs);
    for (size_t i = 0; i < n_inputs; i++) {
        const int32_t v = nn_new_value(c, inputs[i], NN_IN_INPUT);
        if (v < 0)
            return v;
        c->plan->slots[v].index = (int)i;
        c->value_of[inputs[i]] = v;
    }
    for (nn_id id = 0; id < size; id++) {
        const nn_node *n = nn_at(c->graph, id);
        if (n->identity || n->n_inputs == 0)
            continue;
        int err = nn_try_view(c, id, false);
        if (err == 0)
            err = make_step(c, id);
        if (err < 0)
            return err;
    }
    return 0;
}

/* ---- inputs, outputs, taps ---- */

static int make_ports(nn_compiler *c, const nn_named *list, size_t n, nn_port **out, int *count)
{
    *out = sm_arena_zero(c->plan->arena, n + 1, sizeof **out);
    if (!*out)
        return SM_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const nn_node *x = nn_at(c->graph, list[i].id);
        const int32_t v = nn_want(c, list[i].id, NULL, 0);
        if (v < 0)
            return v;
        (*out)[i] = (nn_port){ list[i].name, x->shape, x->type, v };
    }
    *count = (int)n;
    return 0;
}

/* An output is written where the caller wants it if it has memory of its own; else it is copied at the end. */
static int place_output(nn_compiler *c, int i)
{
    nn_plan *p = c->plan;
    nn_port *port = &p->outputs[i];
    size_t at = 0;
    const int32_t root = nn_root(p, port->value, &at);
    if (p->slots[root].place == NN_IN_ARENA && at == 0 && p->values[root].bytes == p->values[port->value].bytes) {
        p->slots[root].place = NN_IN_OUTPUT;
        p->slots[root].index = i;
        return 0;
    }
    const int32_t copy = nn_new_value(c, p->slots[port->value].node, NN_IN_OUTPUT);
    if (copy < 0)
        return copy;
    p->slots[copy].index = i;
    const int32_t from = port->value;
    port->value = copy;
    return nn_copy_value(c, from, copy);
}

/* A tap stays readable after the run: it must not lie in the caller's memory. */
static int place_tap(nn_compiler *c, int i)
{
    nn_plan *p = c->plan;
    nn_port *port = &p->taps[i];
    const int32_t root = nn_root(p, port->value, NULL);
    if (p->slots[root].place == NN_IN_PLAN)
        return 0;
    if (p->slots[root].place == NN_IN_ARENA) {
        p->slots[root].pinned = true;
        return 0;
    }
    const int32_t copy = nn_new_value(c, p->slots[port->value].node, NN_IN_ARENA);
    if (copy < 0)
        return copy;
    p->slots[copy].pinned = true;
    const int32_t from = port->value;
    port->value = copy;
    return nn_copy_value(c, from, copy);
}

static int make_all_ports(nn_compiler *c)
{
    nn_plan *p = c->plan;
    const nn_id *inputs;
    const nn_named *named;
    int err = 0;

    p->n_inputs = (int)nn_graph_inputs(c->graph, &inputs);
    p->inputs = sm_arena_zero(p->arena, (size_t)p->n_inputs + 1, sizeof *p->inputs);
    if (!p->inputs)
        return SM_ENOMEM;
    for (int i = 0; i < p->n_inputs; i++) {
        const nn_node *x = nn_at(c->graph, inputs[i]);
        p->inputs[i] = (nn_port){ x->name, x->shape, x->type, c->value_of[inputs[i]] };
    }
    size_t n = nn_graph_outputs(c->graph, &named);
    if ((err = make_ports(c, named, n, &p->outputs, &p->n_outputs)) < 0)
        return err;
    n = nn_graph_taps(c->graph, &named);
    if ((err = make_ports(c, named, n, &p->taps, &p->n_taps)) < 0)
        return err;
    for (int i = 0; i < p->n_outputs; i++)
        if ((err = place_output(c, i)) < 0)
            return err;
    for (int i = 0; i < p->n_taps; i++)
        if ((err = place_tap(c, i)) < 0)
            return err;
    return 0;
}

/* ---- the whole ---- */

static double count_macs(const nn_graph *g)
{
    double sum = 0;
    for (nn_id id = 0; id < nn_graph_size(g); id++) {
        const nn_node *n = nn_at(g, id);
        if (!n->identity && n->op->macs)
            sum += n->op->macs(g, n);
    }
    return sum;
}

static int start(nn_compiler *c, const nn_graph *g, const nn_compile_options *o)
{
    nn_plan *p = c->plan = sm_alloc_zero(1, sizeof *p);
    int err = 0;
    if (!p || !(p->arena = sm_arena_new()))
        return SM_ENOMEM;
    if (o)
        c->options = *o;
    if (!(p->backend = nn_find_backend(c->options.backend)))
        return SM_EUSAGE;
    if ((err = p->backend->precision(&c->options.precision, c->options.emulate)) < 0)
        return err;
    p->threads = c->options.threads = SM_MAX(c->options.threads, 1);
    p->pack = c->options.pack;
    if (!p->pack) {
        if ((err = nn_pack_new(&p->pack)) < 0)
            return err;
        p->own_pack = true;
    }
    if ((err = nn_graph_clone(g, &p->graph)) < 0)
        return err;
    c->graph = p->graph;
    nn_graph_keep_taps(c->graph, c->options.taps ? c->options.taps_with ? c->options.taps_with : "" : NULL);
    if ((err = nn_graph_tidy(c->graph)) < 0) /* what only taps needed does not count */
        return err;
    p->macs = count_macs(c->graph);
    return 0;
}

static int rewrite(nn_compiler *c)
{
    int err = c->options.plain ? nn_graph_tidy(c->graph) : nn_run_passes(c->graph, c->plan->backend, &c->options);
    if (err == 0 && !c->options.plain && c->plan->backend->rewrite) {
        if ((err = c->plan->backend->rewrite(c->graph, &c->options)) == 0)
            err = nn_graph_tidy(c->graph);
    }
    if (err < 0)
        return err;
    c->value_of = sm_alloc((size_t)nn_graph_size(c->graph) + 1, sizeof *c->value_of);
    if (!c->value_of)
        return SM_ENOMEM;
    for (int i = 0; i < nn_graph_size(c->graph); i++)
        c->value_of[i] = -1;
    return 0;
}

int nn_compile(const nn_graph *g, const nn_compile_options *options, nn_plan **out)
{
    nn_compiler c = { 0 };
    int err = 0;

    *out = NULL;
    if ((err = nn_graph_error(g)) < 0)
        return err;
    if ((err = start(&c, g, options)) < 0 || (err = rewrite(&c)) < 0 || (err = make_steps(&c)) < 0 ||
        (err = make_all_ports(&c)) < 0 || (err = nn_plan_places(c.plan)) < 0)
        goto out;
    *out = c.plan;

out:
    for (size_t i = 0; i < c.n_held; i++)
        sm_free(c.held[i].owned);
    sm_free(c.held);
    sm_free(c.value_of);
    if (err < 0)
        nn_plan_free(c.plan);
    return err;
}
