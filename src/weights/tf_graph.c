#include "weights/tf_graph.h"

enum { MAX_DEPTH = 16, MAX_ALIASES = 4096 };

static const struct {
    int number;
    const char *name;
    int type; /* -1: not a number here */
} types[] = {
    { 1, "DT_FLOAT", NN_F32 }, { 2, "DT_DOUBLE", NN_F64 },     { 3, "DT_INT32", NN_I32 },   { 4, "DT_UINT8", NN_U8 },
    { 5, "DT_INT16", NN_I16 }, { 6, "DT_INT8", NN_I8 },        { 7, "DT_STRING", -1 },      { 8, "DT_COMPLEX64", -1 },
    { 9, "DT_INT64", NN_I64 }, { 10, "DT_BOOL", NN_BOOL },     { 11, "DT_QINT8", -1 },      { 12, "DT_QUINT8", -1 },
    { 13, "DT_QINT32", -1 },   { 14, "DT_BFLOAT16", NN_BF16 }, { 17, "DT_UINT16", NN_U16 }, { 18, "DT_COMPLEX128", -1 },
    { 19, "DT_HALF", NN_F16 }, { 20, "DT_RESOURCE", -1 },      { 21, "DT_VARIANT", -1 },    { 22, "DT_UINT32", -1 },
    { 23, "DT_UINT64", -1 },
};

bool tf_type(int64_t number, nn_type *out)
{
    for (size_t i = 0; i < SM_LENGTH(types); i++) {
        if (types[i].number == number && types[i].type >= 0) {
            *out = (nn_type)types[i].type;
            return true;
        }
    }
    return false;
}

const char *tf_type_name(int64_t number)
{
    for (size_t i = 0; i < SM_LENGTH(types); i++)
        if (types[i].number == number)
            return types[i].name;
    return NULL;
}

int64_t tf_type_number(const char *name)
{
    for (size_t i = 0; i < SM_LENGTH(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].number;
    return -1;
}

int tf_add_node(tf_nodes *list, const tf_node *n)
{
    const int err = sm_grow(&list->nodes, &list->cap, list->n + 1, sizeof *list->nodes);
    if (err == 0)
        list->nodes[list->n++] = *n;
    return err;
}

int tf_add_function(tf_graph *g, const tf_function *f)
{
    const int err = sm_grow(&g->functions, &g->cap_functions, g->n_functions + 1, sizeof *g->functions);
    if (err == 0)
        g->functions[g->n_functions++] = *f;
    return err;
}

void tf_graph_free(tf_graph *g)
{
    for (size_t i = 0; i < g->n_functions; i++)
        sm_free(g->functions[i].body.nodes);
    sm_free(g->functions);
    sm_free(g->main.nodes);
}

/* ---- flattening ---- */

typedef struct {
    tf_graph *g;
    w_graph out;
    w_names functions;
    w_names aliases; /* a value that is another one: index into `targets` */
    const char **targets;
    size_t n_targets, cap_targets;
    size_t left;     /* nodes that may still be made: functions that call each other would make exponentially many */
    w_names node_of; /* a node's name: its index in out */
    uint32_t *n_outputs; /* of each node of out: one more than the highest that is used */
    bool *used;
} flattener;

static int add_alias(flattener *f, const char *name, const char *target)
{
    int err = sm_grow(&f->targets, &f->cap_targets, f->n_targets + 1, sizeof *f->targets);
    if (err < 0)
        return err;
    f->targets[f->n_targets] = target;
    return w_names_put(&f->aliases, name, f->n_targets++);
}

/* What a value is in the end. NULL: in a circle, or after far too many steps. */
static const char *resolve(const flattener *f, const char *name)
{
    size_t at;
    for (size_t steps = 0; w_names_get(&f->aliases, name, &at); steps++) {
        if (steps == MAX_ALIASES)
            return NULL;
        name = f->targets[at];
    }
    return name;
}

/* In function bodies outputs go by name: "bn:y:0", "split:output:2". Operators with one output list need only the number;
 * these have several. */
static int64_t output_base(const char *op, const char *output)
{
    static const struct {
        const char *op, *output;
        int base;
    } bases[] = { { "FusedBatchNorm", "batch_mean", 1 },
                  { "FusedBatchNorm", "batch_variance", 2 },
                  { "FusedBatchNorm", "reserve_space_1", 3 },
                  { "FusedBatchNorm", "reserve_space_2", 4 },
                  { "FusedBatchNorm", "reserve_space_3", 5 },
                  { "TopK", "indices", 1 },
                  { "Unique", "idx", 1 } };
    for (size_t i = 0; op && i < SM_LENGTH(bases); i++)
        if (strncmp(op, bases[i].op, strlen(bases[i].op)) == 0 && strcmp(output, bases[i].output) == 0)
            return bases[i].base;
    return 0;
}

static const char *op_of(const tf_nodes *scope, const w_names *index, const char *name)
{
    size_t at;
    return w_names_get(index, name, &at) ? scope->nodes[at].op : NULL;
}

/* A reference of the file as the name of a value of the flat graph: PREFIX, then "node" or "node:k". */
static int value_name(flattener *f, const char *prefix, const tf_nodes *scope, const w_names *index,
                      const char *reference, const char **out)
{
    const char *first = strchr(reference, ':'), *last = strrchr(reference, ':');
    sm_arena *a = f->g->w->arena;
    int64_t k = 0;
    if (w_spend(f->g->w, strlen(prefix) + strlen(reference)) < 0)
        return SM_ELIMIT;
    if (!first) {
        *out = *prefix ? sm_arena_printf(a, "%s%s", prefix, reference) : reference;
        return *out ? 0 : w_no_memory();
    }
    if (!sm_parse_int(last + 1, &k) || k < 0 || k > 65535)
        return sm_fail(SM_EFORMAT, "\"%s\" is no reference to a value", reference);
    const char *node = sm_arena_strndup(a, reference, (size_t)(first - reference));
    if (!node)
        return w_no_memory();
    if (last > first) {
        const char *output = sm_arena_strndup(a, first + 1, (size_t)(last - first - 1));
        if (!output)
            return w_no_memory();
        k += output_base(op_of(scope, index, node), output);
    }
    *out = k ? sm_arena_printf(a, "%s%s:%d", prefix, node, (int)k) : sm_arena_printf(a, "%s%s", prefix, node);
    return *out ? 0 : w_no_memory();
}

static int flatten(flattener *f, const tf_nodes *scope, const char *prefix, int depth);

/* A call becomes the function's body under the call's name: its arguments are the call's inputs, its outputs the body's. */
static int inline_call(flattener *f, const tf_node *n, const char *name, const char *const *inputs, size_t n_inputs,
                       int depth)
{
    sm_arena *a = f->g->w->arena;
    w_names index = { 0 };
    size_t at = 0;
    int err = 0;
    if (!w_names_get(&f->functions, n->function, &at))
        return sm_fail(SM_EFORMAT, "\"%s\" calls the function \"%s\", which the file lacks", name, n->function);
    const tf_function *function = &f->g->functions[at];
    if (depth >= MAX_DEPTH)
        return sm_fail(SM_ELIMIT, "functions call each other more than %d deep", MAX_DEPTH);
    if (n_inputs != function->n_arguments)
        return sm_fail(SM_EFORMAT, "\"%s\" calls \"%s\" with %zu inputs, it takes %zu", name, n->function, n_inputs,
                       function->n_arguments);
    const char *prefix = sm_arena_printf(a, "%s/", name);
    if (!prefix)
        return w_no_memory();
    for (size_t i = 0; i < n_inputs && err == 0; i++) {
        const char *argument = sm_arena_printf(a, "%s%s", prefix, function->arguments[i]);
        err = argument ? add_alias(f, argument, inputs[i]) : w_no_memory();
    }
    for (size_t i = 0; i < function->body.n && err == 0; i++)
        err = w_names_put(&index, function->body.nodes[i].name, i);
    for (size_t i = 0; i < function->n_results && err == 0; i++) {
        const char *result, *output = i ? sm_arena_printf(a, "%s:%zu", name, i) : name;
        err = value_name(f, prefix, &function->body, &index, function->results[i], &result);
        if (err == 0)
            err = output ? add_alias(f, output, result) : w_no_memory();
    }
    w_names_clear(&index);
    return err < 0 ? err : flatten(f, &function->body, prefix, depth + 1);
}

static int add_input(flattener *f, const tf_node *n, const char *name)
{
    sm_foreign_value v = { .name = name, .type = NN_F32, .shape = { .rank = -1 } };
    for (size_t i = 0; i < n->n_attrs; i++) {
        const sm_foreign_attr *a = &n->attrs[i];
        if (strcmp(a->name, "dtype") == 0 && a->kind == SM_ATTR_TYPE && a->i >= 0)
            v.type = (nn_type)a->i;
        if (strcmp(a->name, "shape") != 0 || a->kind != SM_ATTR_INTS || !a->ints)
            continue;
        if (a->n > NN_MAX_RANK)
            return sm_fail(SM_EUNSUPPORTED, "input \"%s\" has %zu axes, at most %d are supported", name, a->n,
                           NN_MAX_RANK);
        v.shape.rank = (int)a->n;
        for (size_t d = 0; d < a->n; d++)
            v.shape.dim[d] = a->ints[d];
    }
    return w_graph_input(&f->out, &v);
}

static int add_constant(flattener *f, const tf_node *n, const char *name)
{
    w_tensor t = n->value;
    t.name = name;
    return w_add(f->g->w, &t);
}

static int add_node(flattener *f, const tf_node *n, const char *name, const char *const *inputs, size_t n_inputs)
{
    const sm_foreign_node node = {
        .name = name, .op = n->op, .n_inputs = n_inputs, .n_attrs = n->n_attrs, .inputs = inputs, .attrs = n->attrs
    };
    size_t other;
    if (w_names_get(&f->node_of, name, &other))
        return sm_fail(SM_EFORMAT, "two nodes are called \"%s\"", name);
    const int err = w_names_put(&f->node_of, name, f->out.n);
    return err < 0 ? err : w_graph_node(&f->out, &node);
}

static int flatten_node(flattener *f, const tf_nodes *scope, const w_names *index, const tf_node *n, const char *prefix,
                        int depth)
{
    sm_weights *w = f->g->w;
    if (w_spend(w, strlen(prefix) + strlen(n->name) + n->n_inputs * sizeof(char *)) < 0)
        return SM_ELIMIT;
    const char *name = *prefix ? sm_arena_printf(w->arena, "%s%s", prefix, n->name) : n->name;
    const char **inputs = sm_arena_get(w->arena, n->n_inputs, sizeof *inputs, 8);
    size_t n_inputs = 0;
    int err = 0;
    if (!name || !inputs)
        return w_no_memory();
    if (f->left == 0)
        return sm_fail(SM_ELIMIT, "the functions unfold to more nodes than such a file may have");
    f->left--;
    if (n->has_value || w_find(w, name)) /* the latter: TensorFlow.js keeps values apart */
        return n->has_value ? add_constant(f, n, name) : 0;
    if (depth == 0 && strcmp(n->op, "Placeholder") == 0)
        return add_input(f, n, name);
    for (size_t i = 0; i < n->n_inputs && err == 0; i++)
        if (n->inputs[i][0] != '^')
            err = value_name(f, prefix, scope, index, n->inputs[i], &inputs[n_inputs++]);
    if (err < 0)
        return err;
    if (n->function && sm_text_has_suffix(n->op, "PartitionedCall"))
        return inline_call(f, n, name, inputs, n_inputs, depth);
    return add_node(f, n, name, inputs, n_inputs);
}

static int flatten(flattener *f, const tf_nodes *scope, const char *prefix, int depth)
{
    w_names index = { 0 };
    int err = 0;
    for (size_t i = 0; i < scope->n && err == 0; i++)
        err = w_names_put(&index, scope->nodes[i].name, i);
    for (size_t i = 0; i < scope->n && err == 0; i++)
        err = flatten_node(f, scope, &index, &scope->nodes[i], prefix, depth);
    w_names_clear(&index);
    return err;
}

/* ---- outputs ---- */

/* The node that makes a value and which output it is; false: no node does. */
static bool maker(const flattener *f, const char *value, size_t *node, uint32_t *k)
{
    char name[512];
    int64_t number;
    const char *colon = strrchr(value, ':');
    *k = 0;
    if (w_names_get(&f->node_of, value, node))
        return true;
    if (!colon || (size_t)(colon - value) >= sizeof name || !sm_parse_int(colon + 1, &number) || number < 0 ||
        number > 65535)
        return false;
    memcpy(name, value, (size_t)(colon - value));
    name[colon - value] = 0;
    *k = (uint32_t)number;
    return w_names_get(&f->node_of, name, node);
}

static int use(flattener *f, const char **value)
{
    size_t node;
    uint32_t k;
    const char *resolved = resolve(f, *value);
    if (!resolved)
        return sm_fail(SM_EFORMAT, "\"%s\" is defined by itself", *value);
    *value = resolved;
    if (maker(f, resolved, &node, &k)) {
        f->n_outputs[node] = SM_MAX(f->n_outputs[node], k + 1);
        f->used[node] = true;
    }
    return 0;
}

static int name_outputs(flattener *f, size_t i)
{
    sm_foreign_node *n = &f->out.nodes[i];
    const char **names = sm_arena_get(f->g->w->arena, f->n_outputs[i], sizeof *names, 8);
    if (!names)
        return w_no_memory();
    if (w_spend(f->g->w, f->n_outputs[i] * (strlen(n->name) + 8)) < 0)
        return SM_ELIMIT;
    for (uint32_t k = 0; k < f->n_outputs[i]; k++) {
        names[k] = k ? sm_arena_printf(f->g->w->arena, "%s:%u", n->name, k) : n->name;
        if (!names[k])
            return w_no_memory();
    }
    n->outputs = names;
    n->n_outputs = f->n_outputs[i];
    return 0;
}

static int add_output(flattener *f, const char *name)
{
    const sm_foreign_value v = { .name = name, .type = NN_F32, .shape = { .rank = -1 } };
    return w_graph_output(&f->out, &v);
}

static int connect(flattener *f)
{
    const tf_graph *g = f->g;
    int err = 0;
    f->n_outputs = sm_alloc(f->out.n, sizeof *f->n_outputs);
    f->used = sm_alloc_zero(f->out.n, sizeof *f->used);
    if (!f->n_outputs || !f->used)
        return w_no_memory();
    for (size_t i = 0; i < f->out.n; i++)
        f->n_outputs[i] = 1;
    for (size_t i = 0; i < f->out.n && err == 0; i++) {
        const char **inputs = (const char **)(uintptr_t)f->out.nodes[i].inputs; /* ours, made by flatten_node */
        for (size_t k = 0; k < f->out.nodes[i].n_inputs && err == 0; k++)
            err = use(f, &inputs[k]);
    }
    for (size_t i = 0; i < g->n_outputs && err == 0; i++) {
        const char *name = g->outputs[i];
        err = use(f, &name);
        if (err == 0)
            err = add_output(f, name);
    }
    for (size_t i = 0; i < f->out.n && err == 0; i++) {
        const sm_foreign_node *n = &f->out.nodes[i];
        if (g->n_outputs == 0 && !f->used[i] && strcmp(n->op, "NoOp") != 0 && strcmp(n->op, "Const") != 0)
            err = add_output(f, n->name);
        if (err == 0)
            err = name_outputs(f, i);
    }
    return err;
}

int tf_graph_finish(tf_graph *g)
{
    flattener f = { .g = g, .left = 1000 + g->w->size / 4 };
    int err = 0;
    for (size_t i = 0; i < g->n_functions && err == 0; i++)
        err = w_names_put(&f.functions, g->functions[i].name, i);
    if (err == 0)
        err = flatten(&f, &g->main, "", 0);
    if (err == 0)
        err = connect(&f);
    if (err == 0)
        err = w_graph_finish(g->w, &f.out, "tf", 0);
    w_graph_free(&f.out);
    w_names_clear(&f.functions);
    w_names_clear(&f.aliases);
    w_names_clear(&f.node_of);
    sm_free(f.targets);
    sm_free(f.n_outputs);
    sm_free(f.used);
    return err;
}
