/* The graph: a list of nodes, the first error, names. Operators add themselves with nn_add. */
#include "nn/graph_type.h"

#include <string.h>

/* ---- table of operators ---- */

#define NN_OP(NAME) &nn_op_##NAME,
const nn_op *const nn_ops[] = {
#include "nn/ops/ops.def"
};
#undef NN_OP

size_t nn_ops_count(void)
{
    return SM_LENGTH(nn_ops);
}

/* ---- life ---- */

nn_graph *nn_graph_new(void)
{
    nn_graph *g = sm_alloc_zero(1, sizeof *g);
    if (!g)
        return NULL;
    g->arena = sm_arena_new();
    g->scope = "";
    if (!g->arena) {
        sm_free(g);
        return NULL;
    }
    return g;
}

void nn_graph_free(nn_graph *g)
{
    if (!g)
        return;
    sm_free(g->nodes);
    sm_free(g->outputs);
    sm_free(g->taps);
    sm_free(g->inputs);
    sm_arena_free(g->arena);
    sm_free(g);
}

sm_arena *nn_graph_arena(nn_graph *g)
{
    return g->arena;
}

/* ---- errors: the first one stays ---- */

int nn_graph_error(const nn_graph *g)
{
    return g->error ? sm_fail(g->error, "%s", g->message) : 0;
}

int nn_graph_fail(nn_graph *g, int code, const char *format, ...)
{
    if (!g->error) {
        char text[sizeof g->message];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        g->error = code;
        snprintf(g->message, sizeof g->message, "%.120s%s%.380s", g->scope, *g->scope ? ": " : "", text);
    }
    return sm_fail(g->error, "%s", g->message);
}

/* Remembers what a function below has put into sm_last_error(). */
static nn_id latch(nn_graph *g, int code, const char *op)
{
    char text[400];
    snprintf(text, sizeof text, "%s", sm_last_error());
    nn_graph_fail(g, code, "%s%s%s", op, *op ? ": " : "", text);
    return NN_NONE;
}

/* ---- names ---- */

static const char *format_name(nn_graph *g, const char *format, va_list args)
{
    char text[256];
    vsnprintf(text, sizeof text, format, args);
    return sm_arena_strdup(g->arena, text);
}

void nn_scope(nn_graph *g, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *name = format_name(g, format, args);
    va_end(args);
    if (name)
        g->scope = name;
    else
        latch(g, SM_ENOMEM, "");
}

void nn_scope_like(nn_graph *g, nn_id id)
{
    g->scope = g->nodes[id].scope;
}

const char *nn_name(nn_graph *g, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *name = format_name(g, format, args);
    va_end(args);
    if (!name)
        latch(g, SM_ENOMEM, "");
    return name ? name : "";
}

const char *nn_node_text(const nn_graph *g, const nn_node *n, char out[160])
{
    (void)g;
    const char *name = n->name ? n->name : n->scope;
    if (*name)
        snprintf(out, 160, "%s '%.120s'", n->op->name, name);
    else
        snprintf(out, 160, "%s", n->op->name);
    return out;
}

const char *nn_operand_text(const nn_node *n, char out[256])
{
    char shape[96];
    nn_shape_text(&n->shape, shape);
    if (n->name)
        snprintf(out, 256, "'%.120s' %s", n->name, shape);
    else
        snprintf(out, 256, "the output of %s%s%.100s %s", n->op->name, *n->scope ? " in " : "", n->scope, shape);
    return out;
}

/* ---- reading ---- */

int nn_graph_size(const nn_graph *g)
{
    return (int)g->n;
}

const nn_node *nn_at(const nn_graph *g, nn_id id)
{
    return id >= 0 && (size_t)id < g->n ? &g->nodes[id] : NULL;
}

nn_node *nn_edit(nn_graph *g, nn_id id)
{
    return &g->nodes[id];
}

const nn_node *nn_in(const nn_graph *g, const nn_node *n, int i)
{
    return i < n->n_inputs ? nn_at(g, n->inputs[i]) : NULL;
}

bool nn_is(const nn_graph *g, nn_id id, const nn_op *op)
{
    const nn_node *n = nn_at(g, id);
    return n && n->op == op;
}

bool nn_is_constant(const nn_graph *g, nn_id id)
{
    const nn_node *n = nn_at(g, id);
    return n && n->identity;
}

bool nn_has_effect(const nn_graph *g, const nn_node *n)
{
    for (int i = 0; i < n->n_own && i < 32; i++) /* the mask has 32 bits */
        if (n->op->states >> i & 1 && nn_in(g, n, i))
            return true;
    return false;
}

int nn_uses(const nn_graph *g, nn_id id)
{
    const nn_node *n = nn_at(g, id);
    return n ? n->uses : 0;
}

int nn_users(const nn_graph *g, nn_id id, nn_id *users, int max)
{
    int found = 0;
    for (size_t u = 0; u < g->n; u++)
        for (int i = 0; i < g->nodes[u].n_inputs; i++)
            if (g->nodes[u].inputs[i] == id) {
                if (found < max)
                    users[found] = (nn_id)u;
                found++;
                break;
            }
    return found;
}

nn_id nn_only_user(const nn_graph *g, nn_id id)
{
    nn_id user = NN_NONE;
    return nn_uses(g, id) == 1 && nn_users(g, id, &user, 1) == 1 ? user : NN_NONE;
}

nn_shape nn_shape_of(const nn_graph *g, nn_id x)
{
    const nn_node *n = nn_at(g, x);
    return n ? n->shape : NN_SCALAR;
}

size_t nn_graph_outputs(const nn_graph *g, const nn_named **out)
{
    *out = g->outputs;
    return g->n_outputs;
}

size_t nn_graph_taps(const nn_graph *g, const nn_named **out)
{
    *out = g->taps;
    return g->n_taps;
}

size_t nn_graph_inputs(const nn_graph *g, const nn_id **out)
{
    *out = g->inputs;
    return g->n_inputs;
}

/* ---- adding ---- */

/* A constant's identity: what was computed from which numbers. */
static uint64_t expression_identity(const nn_graph *g, const nn_node *n)
{
    struct {
        uint64_t in[NN_OP_MAX_IN * 2], op;
        nn_attrs attrs;
        nn_shape shape;
    } key;
    if (n->n_inputs == 0 || n->op->states)
        return 0;
    memset(&key, 0, sizeof key);
    for (int i = 0; i < n->n_inputs; i++) {
        const nn_node *x = nn_in(g, n, i);
        if (x && !x->identity)
            return 0;
        const int slot = i % (int)SM_LENGTH(key.in);
        const uint64_t pair[2] = { key.in[slot], x ? x->identity : (uint64_t)i };
        key.in[slot] = sm_fnv1a64(pair, sizeof pair);
    }
    key.op = sm_fnv1a64(n->op->name, strlen(n->op->name));
    memcpy(&key.attrs, &n->attrs, sizeof key.attrs);
    key.shape.rank = n->shape.rank;
    for (int i = 0; i < n->shape.rank; i++)
        key.shape.dim[i] = n->shape.dim[i];
    return sm_fnv1a64(&key, sizeof key) | 1;
}

static int check_operands(const nn_graph *g, const nn_node *n)
{
    char text[256];
    for (int i = 0; i < n->n_own; i++) {
        const nn_node *x = nn_in(g, n, i);
        if (!x)
            continue;
        const nn_type expected = i < 32 && n->op->ints >> i & 1 ? NN_I32 : NN_F32;
        const bool half = n->op->half_states && n->op->states >> i & 1 && x->type == NN_F16;
        if (!half && (n->op->any_type ? x->type != nn_in(g, n, 0)->type : x->type != expected))
            return sm_fail(SM_EFORMAT, "%s: %s, but %s is expected", nn_operand_text(x, text), nn_type_name(x->type),
                           nn_type_name(n->op->any_type ? nn_in(g, n, 0)->type : expected));
        if (i < 32 && n->op->states >> i & 1 && x->op != &nn_op_state && !x->op->gives_state)
            return sm_fail(SM_EUSAGE, "%s: a state is expected", nn_operand_text(x, text));
    }
    return 0;
}

static int check_shape(const nn_node *n)
{
    char text[96];
    const int64_t elements = nn_elements(&n->shape);
    if (elements <= 0 || elements > INT64_MAX / 8)
        return sm_fail(SM_EFORMAT, "the result would have the shape %s", nn_shape_text(&n->shape, text));
    return 0;
}

/* Puts a finished node into the list; its inputs are counted as used. */
static nn_id append(nn_graph *g, const nn_node *n)
{
    if (g->n >= INT32_MAX || sm_grow(&g->nodes, &g->cap, g->n + 1, sizeof *g->nodes) < 0)
        return latch(g, SM_ENOMEM, "");
    g->nodes[g->n] = *n;
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] != NN_NONE)
            g->nodes[n->inputs[i]].uses++;
    return (nn_id)g->n++;
}

nn_id nn_add(nn_graph *g, const nn_op *op, const nn_attrs *attrs, const nn_id *inputs, int n)
{
    nn_node node;
    int err = 0;

    if (g->error)
        return NN_NONE;
    memset(&node, 0, sizeof node);
    node.op = op;
    node.scope = g->scope;
    if (attrs)
        memcpy(&node.attrs, attrs, sizeof node.attrs);
    if (n < op->min_in || (op->max_in >= 0 && n > op->max_in)) {
        nn_graph_fail(g, SM_EUSAGE, "%s: %d inputs", op->name, n);
        return NN_NONE;
    }
    for (int i = 0; i < n; i++)
        if ((i < op->min_in || op->max_in < 0 || inputs[i] != NN_NONE) && !nn_at(g, inputs[i])) {
            nn_graph_fail(g, SM_EUSAGE, "%s: input %d is not there", op->name, i);
            return NN_NONE;
        }
    node.n_inputs = node.n_own = n;
    node.inputs = sm_arena_get(g->arena, (size_t)SM_MAX(n, 1), sizeof *node.inputs, sizeof *node.inputs);
    if (!node.inputs)
        return latch(g, SM_ENOMEM, op->name);
    for (int i = 0; i < n; i++)
        node.inputs[i] = inputs[i];
    node.type = op->any_type && n > 0 ? g->nodes[inputs[0]].type : NN_F32;
    if ((err = check_operands(g, &node)) < 0 || (err = op->infer(g, &node)) < 0 || (err = check_shape(&node)) < 0)
        return latch(g, err, op->name);
    node.identity = expression_identity(g, &node);
    return append(g, &node);
}

/* ---- leaves ---- */

static nn_id add_leaf(nn_graph *g, const nn_op *op, const char *name, nn_type type, nn_shape shape,
                      const nn_tensor *tensor, uint64_t identity)
{
    nn_node node;
    int err = 0;
    memset(&node, 0, sizeof node);
    node.op = op;
    node.scope = g->scope;
    node.type = type;
    node.shape.rank = shape.rank;
    for (int i = 0; i < shape.rank; i++)
        node.shape.dim[i] = shape.dim[i];
    node.identity = identity;
    if (tensor)
        node.tensor = *tensor;
    if (name && !(node.name = sm_arena_strdup(g->arena, name)))
        return latch(g, SM_ENOMEM, op->name);
    if (shape.rank < 0 || shape.rank > NN_MAX_RANK || (err = check_shape(&node)) < 0)
        return latch(g, err < 0 ? err : sm_fail(SM_EFORMAT, "%d dimensions", shape.rank), name ? name : op->name);
    return append(g, &node);
}

nn_id nn_input_typed(nn_graph *g, const char *name, nn_type type, nn_shape shape)
{
    if (g->error)
        return NN_NONE;
    if (type != NN_F32 && type != NN_I32) {
        nn_graph_fail(g, SM_EUNSUPPORTED, "input '%s': type %s; f32 or i32 is expected", name, nn_type_name(type));
        return NN_NONE;
    }
    if (sm_grow(&g->inputs, &g->cap_inputs, g->n_inputs + 1, sizeof *g->inputs) < 0)
        return latch(g, SM_ENOMEM, "input");
    const nn_id id = add_leaf(g, &nn_op_input, name, type, shape, NULL, 0);
    if (id != NN_NONE) {
        g->nodes[id].uses++; /* an input stays even when nothing reads it */
        g->inputs[g->n_inputs++] = id;
    }
    return id;
}

nn_id nn_input(nn_graph *g, const char *name, nn_shape shape)
{
    return nn_input_typed(g, name, NN_F32, shape);
}

nn_id nn_state_typed(nn_graph *g, const char *name, nn_type type, nn_shape shape)
{
    if (type != NN_F32 && type != NN_F16) {
        nn_graph_fail(g, SM_EUSAGE, "state '%s': %s, but f32 or f16 is expected", name, nn_type_name(type));
        return NN_NONE;
    }
    return g->error ? NN_NONE : add_leaf(g, &nn_op_state, name, type, shape, NULL, 0);
}

nn_id nn_state(nn_graph *g, const char *name, nn_shape shape)
{
    return nn_state_typed(g, name, NN_F32, shape);
}

/* Numbers that mean f32 (floats, quantised integers) or i32 (plain integers). */
static nn_type logical_type(const nn_tensor *t)
{
    const bool floats = t->type == NN_F32 || t->type == NN_F64 || t->type == NN_F16 || t->type == NN_BF16;
    return floats || t->scale ? NN_F32 : NN_I32;
}

/* The input that stands for a weight in training; one for all who ask for the name. */
static nn_id parameter(nn_graph *g, const char *name, nn_shape shape)
{
    char found[96], expected[96];
    for (size_t i = 0; i < g->n_inputs; i++) {
        const nn_node *n = &g->nodes[g->inputs[i]];
        if (strcmp(n->name, name) != 0)
            continue;
        if (n->parameter && nn_shape_equal(&n->shape, &shape))
            return g->inputs[i];
        nn_graph_fail(g, SM_EUSAGE, "the parameter '%s' %s meets an input of that name %s", name,
                      nn_shape_text(&shape, expected), nn_shape_text(&n->shape, found));
        return NN_NONE;
    }
    const nn_id id = nn_input(g, name, shape);
    if (id != NN_NONE)
        g->nodes[id].parameter = true;
    return id;
}

nn_id nn_weight(nn_graph *g, const nn_source *w, const char *name, nn_shape shape)
{
    nn_tensor t;
    char expected[96], found[96];

    if (g->error)
        return NN_NONE;
    memset(&t, 0, sizeof t);
    const int err = w->get(w->user, name, &shape, &t);
    if (err < 0)
        return latch(g, err, "");
    if (!nn_shape_equal(&t.shape, &shape) || (unsigned)t.type >= NN_TYPES || !t.data) {
        nn_graph_fail(g, SM_EFORMAT, "%s: '%s' is %s; %s is expected", w->label ? w->label : "weights", name,
                      nn_shape_text(&t.shape, found), nn_shape_text(&shape, expected));
        return NN_NONE;
    }
    if (g->trains && logical_type(&t) == NN_F32)
        return parameter(g, name, shape);
    /* weights do not move while plans use them, so the place says which numbers they are */
    const uint64_t key[4] = { (uint64_t)(uintptr_t)t.data, (uint64_t)t.type, (uint64_t)(uintptr_t)t.scale,
                              (uint64_t)nn_elements(&t.shape) };
    return add_leaf(g, &nn_op_const, name, logical_type(&t), shape, &t, sm_fnv1a64(key, sizeof key) | 1);
}

nn_id nn_const(nn_graph *g, const nn_tensor *t)
{
    nn_tensor copy = *t;
    const int64_t n = nn_elements(&t->shape);
    const size_t scales = !t->scale ? 0 : t->scale_axis < 0 ? 1 : (size_t)t->shape.dim[t->scale_axis];

    if (g->error)
        return NN_NONE;
    if (n <= 0 || (unsigned)t->type >= NN_TYPES) {
        nn_graph_fail(g, SM_EFORMAT, "a constant without numbers");
        return NN_NONE;
    }
    void *data = sm_arena_get(g->arena, (size_t)n, nn_type_size(t->type), 64);
    float *scale = sm_arena_get(g->arena, scales + 1, sizeof *scale, 64);
    int32_t *zero = sm_arena_get(g->arena, scales + 1, sizeof *zero, 64);
    if (!data || !scale || !zero)
        return latch(g, SM_ENOMEM, "const");
    memcpy(data, t->data, (size_t)n * nn_type_size(t->type));
    copy.data = data;
    copy.scale = NULL;
    copy.zero = NULL;
    uint64_t key[4] = { sm_fnv1a64(data, (size_t)n * nn_type_size(t->type)), (uint64_t)n, (uint64_t)t->type, 0 };
    if (scales) {
        memcpy(scale, t->scale, scales * sizeof *scale);
        copy.scale = scale;
        key[3] = sm_fnv1a64(scale, scales * sizeof *scale);
        if (t->zero) {
            memcpy(zero, t->zero, scales * sizeof *zero);
            copy.zero = zero;
            key[3] ^= sm_fnv1a64(zero, scales * sizeof *zero);
        }
    }
    return add_leaf(g, &nn_op_const, NULL, logical_type(t), t->shape, &copy, sm_fnv1a64(key, sizeof key) | 1);
}

nn_id nn_const_f32(nn_graph *g, nn_shape shape, const float *v)
{
    const nn_tensor t = { .type = NN_F32, .shape = shape, .data = v, .scale_axis = -1 };
    return nn_const(g, &t);
}

nn_id nn_const_scalar(nn_graph *g, float v)
{
    return nn_const_f32(g, NN_SCALAR, &v);
}

/* ---- outputs and taps ---- */

static int add_named(nn_graph *g, nn_named **list, size_t *n, size_t *cap, const char *name, nn_id x)
{
    if (g->error)
        return g->error;
    if (!nn_at(g, x))
        return nn_graph_fail(g, SM_EUSAGE, "'%s': nothing to name", name);
    const char *copy = sm_arena_strdup(g->arena, name);
    if (!copy || sm_grow(list, cap, *n + 1, sizeof **list) < 0)
        return nn_graph_fail(g, SM_ENOMEM, "no memory for the name '%s'", name);
    (*list)[(*n)++] = (nn_named){ copy, x };
    g->nodes[x].uses++;
    return 0;
}

void nn_output(nn_graph *g, const char *name, nn_id x)
{
    if (nn_at(g, x) && g->nodes[x].type != NN_F32)
        nn_graph_fail(g, SM_EUNSUPPORTED, "output '%s' is %s; f32 is expected", name, nn_type_name(g->nodes[x].type));
    add_named(g, &g->outputs, &g->n_outputs, &g->cap_outputs, name, x);
}

nn_id nn_tap(nn_graph *g, const char *name, nn_id x)
{
    return add_named(g, &g->taps, &g->n_taps, &g->cap_taps, name, x) < 0 ? NN_NONE : x;
}
