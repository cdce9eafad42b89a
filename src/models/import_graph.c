/* Foreign graphs become ours: values, the walk over the nodes, and the table of operators (foreign_ops.def). Shapes are concrete
 * at import, so whatever the file computes of shapes is computed here, and only arithmetic on data becomes nodes. */
#include <string.h>

#include "models/import.h"

#define SM_FOREIGN(dialect, name, handler, kind) { dialect, name, handler, kind },
static const imp_op operators[] = {
#include "models/foreign_ops.def"
};
#undef SM_FOREIGN

/* ---- values by name ---- */
static imp_value **slot_of(const importer *m, const char *name)
{
    size_t i = sm_fnv1a64(name, strlen(name)) & (m->n_slots - 1);
    while (m->slots[i] && strcmp(m->slots[i]->name, name))
        i = (i + 1) & (m->n_slots - 1);
    return &m->slots[i];
}

static imp_value *new_value(importer *m, const char *name)
{
    imp_value **slot = slot_of(m, name);
    imp_value *v = *slot ? NULL : sm_arena_zero(m->arena, 1, sizeof *v);
    if (!v) {
        nn_graph_fail(m->g, *slot ? SM_EFORMAT : SM_ENOMEM, "value %s: %s", name, *slot ? "made twice" : "no memory");
        return NULL;
    }
    *v = (imp_value){
        .name = name, .id = NN_NONE, .twin = NN_NONE, .padded_from = NN_NONE, .scaled_from = NN_NONE, .scale = NN_NONE
    };
    return *slot = v;
}

/* Values of this name: made by a node before, or a tensor of the file. */
static imp_value *value_of(importer *m, const char *name)
{
    imp_value *v = *slot_of(m, name);
    nn_tensor t;
    if (v)
        return v;
    if (m->w->get(m->w->user, name, NULL, &t) < 0) {
        nn_graph_fail(m->g, SM_EFORMAT, "%s: value %s, which %s needs, is nowhere", m->w->label, name,
                      m->node ? m->node->name : "the graph");
        return NULL;
    }
    v = new_value(m, name);
    if (v) {
        v->source = name;
        v->shape = t.shape;
    }
    return v;
}

/* ---- asking ---- */
size_t imp_inputs(const importer *m)
{
    return m->node->n_inputs;
}

imp_value *imp_in(importer *m, size_t i)
{
    const char *name = i < m->node->n_inputs ? m->node->inputs[i] : NULL;
    return name && *name ? value_of(m, name) : NULL;
}

int imp_need(importer *m, size_t i, imp_value **out)
{
    *out = imp_in(m, i);
    if (*out)
        return 0;
    return nn_graph_error(m->g) < 0
               ? nn_graph_error(m->g)
               : nn_graph_fail(m->g, SM_EFORMAT, "%s %s: input %zu is missing", m->node->op, m->node->name, i);
}

static nn_id const_of(importer *m, const double *x, const nn_shape *shape)
{
    const int64_t n = nn_elements(shape);
    float *v = sm_arena_get(m->arena, (size_t)SM_MAX(n, 1), sizeof *v, 64);
    if (!v)
        return nn_graph_fail(m->g, SM_ENOMEM, "no memory for a constant"), NN_NONE;
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)x[i];
    return nn_const_f32(m->g, *shape, v);
}

/* [0, 2, 3, 1] for rank 4: channels from the second to the last place; inverse: the other way. */
static void twin_order(int rank, bool inverse, int order[NN_MAX_RANK])
{
    order[0] = 0;
    for (int k = 1; k < rank; k++)
        order[k] = inverse ? (k == 1 ? rank - 1 : k - 1) : (k == rank - 1 ? 1 : k + 1);
}

nn_id imp_node(importer *m, imp_value *v)
{
    int order[NN_MAX_RANK];
    if (!v || v->id != NN_NONE)
        return v ? v->id : NN_NONE;
    if (v->source)
        v->id = nn_weight(m->g, m->w, v->source, v->shape);
    else if (v->numbers)
        v->id = const_of(m, v->numbers, &v->shape);
    else if (v->twin != NN_NONE) {
        twin_order(v->shape.rank, false, order);
        v->id = nn_permute(m->g, v->twin, order);
    }
    return v->id;
}

nn_id imp_twin(importer *m, imp_value *v)
{
    int order[NN_MAX_RANK];
    if (v && v->twin == NN_NONE) {
        twin_order(v->shape.rank, true, order);
        v->twin = nn_permute(m->g, imp_node(m, v), order);
    }
    return v ? v->twin : NN_NONE;
}

const double *imp_numbers_up_to(importer *m, imp_value *v, int64_t most)
{
    nn_tensor t;
    int64_t n;
    double *x;
    if (!v || v->numbers || !v->source)
        return v ? v->numbers : NULL;
    n = nn_elements(&v->shape);
    if (n < 0 || n > most || m->w->get(m->w->user, v->source, NULL, &t) < 0 || !(x = imp_room(m, n)))
        return NULL;
    for (int64_t i = 0; i < n; i++)
        x[i] = ((const float *)t.data)[i];
    return v->numbers = x;
}

const double *imp_numbers(importer *m, imp_value *v)
{
    return imp_numbers_up_to(m, v, IMP_KNOWN_LIMIT);
}

int imp_ints(importer *m, size_t i, int64_t *out, int most)
{
    imp_value *v;
    const double *x;
    int64_t n;
    int err = imp_need(m, i, &v);
    if (err < 0)
        return err;
    n = nn_elements(&v->shape);
    if (!(x = imp_numbers(m, v)) || n > most)
        return imp_fail(m, "input %zu (%s) must be known before running, of at most %d numbers", i, v->name, most);
    for (int64_t k = 0; k < n; k++)
        out[k] = (int64_t)SM_CLAMP(x[k], -9e18, 9e18);
    return (int)n;
}

int imp_fail(importer *m, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return nn_graph_fail(m->g, SM_EUNSUPPORTED, "%s: operator %s of node %s: %s", m->w->label, m->node->op,
                         m->node->name, text);
}

int64_t imp_attr_int(const importer *m, const char *name, int64_t standard)
{
    const sm_foreign_attr *a = sm_foreign_attr_find(m->node, name);
    return a && (a->kind == SM_ATTR_INT || a->kind == SM_ATTR_TYPE) ? a->i : standard;
}

double imp_attr_float(const importer *m, const char *name, double standard)
{
    const sm_foreign_attr *a = sm_foreign_attr_find(m->node, name);
    return a && a->kind == SM_ATTR_FLOAT ? a->f : a && a->kind == SM_ATTR_INT ? (double)a->i : standard;
}

const char *imp_attr_text(const importer *m, const char *name, const char *standard)
{
    const sm_foreign_attr *a = sm_foreign_attr_find(m->node, name);
    return a && a->kind == SM_ATTR_STRING && a->s ? a->s : standard;
}

int imp_attr_ints(const importer *m, const char *name, int64_t *out, int most)
{
    const sm_foreign_attr *a = sm_foreign_attr_find(m->node, name);
    const int n = a && a->kind == SM_ATTR_INTS ? (int)SM_MIN(a->n, (size_t)most) : 0;
    for (int i = 0; i < n; i++)
        out[i] = a->ints[i];
    return n;
}

bool imp_is_tf(const importer *m)
{
    return m->f->dialect && !strcmp(m->f->dialect, "tf");
}

int imp_axis(importer *m, int64_t axis, int rank, int *out)
{
    const int64_t a = axis < 0 ? axis + rank : axis;
    if (a < 0 || a >= SM_MAX(rank, 1))
        return nn_graph_fail(m->g, SM_EFORMAT, "%s %s: axis %lld of a tensor of rank %d", m->node->op, m->node->name,
                             (long long)axis, rank);
    *out = (int)a;
    return 0;
}

/* ---- giving ---- */
static imp_value *give(importer *m, size_t output)
{
    static const char nobody[] = "";
    const char *name = output < m->node->n_outputs ? m->node->outputs[output] : NULL;
    if (!name || !*name) { /* an optional output that nobody reads */
        imp_value *v = sm_arena_zero(m->arena, 1, sizeof *v);
        if (v)
            *v = (imp_value){ nobody, .id = NN_NONE, .twin = NN_NONE, .padded_from = NN_NONE, .scaled_from = NN_NONE };
        return v;
    }
    return new_value(m, name);
}

static imp_value *tapped(importer *m, imp_value *v)
{
    if (m->o->tap_all && v && *v->name)
        nn_tap(m->g, v->name, imp_node(m, v));
    return v;
}

imp_value *imp_give(importer *m, size_t output, nn_id id)
{
    imp_value *v = id == NN_NONE ? NULL : give(m, output);
    if (v) {
        v->id = id;
        v->shape = nn_shape_of(m->g, id);
    }
    return tapped(m, v);
}

imp_value *imp_give_twin(importer *m, size_t output, nn_id twin)
{
    imp_value *v = twin == NN_NONE ? NULL : give(m, output);
    int order[NN_MAX_RANK];
    if (v) {
        const nn_shape s = nn_shape_of(m->g, twin);
        v->twin = twin;
        v->shape.rank = s.rank;
        twin_order(s.rank, false, order);
        for (int k = 0; k < s.rank; k++)
            v->shape.dim[k] = s.dim[order[k]];
    }
    return tapped(m, v);
}

int imp_given(importer *m, const imp_value *v)
{
    if (v)
        return 0;
    return nn_graph_error(m->g) < 0 ? nn_graph_error(m->g) : sm_fail(SM_ENOMEM, "no memory for an imported graph");
}

int imp_give_numbers(importer *m, size_t output, const nn_shape *shape, const double *numbers, bool is_int)
{
    imp_value *v = numbers ? give(m, output) : NULL;
    if (v) {
        v->shape = *shape;
        v->numbers = numbers;
        v->is_int = is_int;
    }
    return imp_given(m, v);
}

int imp_give_alias(importer *m, size_t output, imp_value *v)
{
    imp_value *copy = give(m, output);
    if (copy) {
        const char *name = copy->name;
        *copy = *v;
        copy->name = name;
        if (!copy->source && !copy->numbers)
            tapped(m, copy);
    }
    return imp_given(m, copy);
}

int imp_give_inner(importer *m, const char *op, nn_id id)
{
    const char *name = m->node->name, *slash = strrchr(name, '/');
    const char *inner = sm_arena_printf(m->arena, "%.*s%s", slash ? (int)(slash - name + 1) : 0, name, op);
    imp_value *v;
    if (!inner || *slot_of(m, inner))
        return inner ? 0 : SM_ENOMEM;
    v = new_value(m, inner);
    if (v) {
        v->id = id;
        v->shape = nn_shape_of(m->g, id);
    }
    return imp_given(m, v);
}

/* ---- the walk ---- */
static const imp_op *find_operator(const char *dialect, const char *op)
{
    for (size_t i = 0; i < SM_LENGTH(operators); i++)
        if (!strcmp(operators[i].name, op) && !strcmp(operators[i].dialect, dialect))
            return &operators[i];
    return NULL;
}

/* Which nodes the outputs depend on. A wanted name may also be an inner value that a fused node will give. */
typedef struct {
    const char **names;
    size_t n_slots;
} name_set;

static bool set_has(const name_set *s, const char *name, bool add)
{
    size_t i = sm_fnv1a64(name, strlen(name)) & (s->n_slots - 1);
    while (s->names[i] && strcmp(s->names[i], name))
        i = (i + 1) & (s->n_slots - 1);
    if (s->names[i])
        return true;
    if (add)
        s->names[i] = name;
    return false;
}

/* True when `wanted` may be the hidden step of a fused node: "model/dense/BiasAdd" of "model/dense/Relu". */
static bool hides(const sm_foreign_node *n, const char *wanted)
{
    const char *slash = strrchr(n->name, '/'), *other = strrchr(wanted, '/');
    const size_t folder = slash ? (size_t)(slash - n->name) : 0;
    return !strncmp(n->op, "_Fused", 6) && slash && other && (size_t)(other - wanted) == folder &&
           !strncmp(n->name, wanted, folder);
}

bool sm_import_has(const sm_foreign_graph *f, const char *name)
{
    for (size_t i = 0; i < f->n_nodes; i++) {
        for (size_t k = 0; k < f->nodes[i].n_outputs; k++)
            if (f->nodes[i].outputs[k] && !strcmp(f->nodes[i].outputs[k], name))
                return true;
        if (sm_text_has_suffix(name, "/BiasAdd") && hides(&f->nodes[i], name))
            return true;
    }
    return false;
}

static int mark_needed(importer *m, const char *const *outputs, name_set *needed, bool *run)
{
    const sm_foreign_graph *f = m->f;
    size_t all = 64;
    for (size_t i = 0; i < f->n_nodes; i++)
        all += f->nodes[i].n_inputs + f->nodes[i].n_outputs;
    for (needed->n_slots = 64; needed->n_slots < 2 * all;)
        needed->n_slots *= 2;
    needed->names = sm_arena_zero(m->arena, needed->n_slots, sizeof *needed->names);
    if (!needed->names)
        return SM_ENOMEM;
    for (size_t i = 0; outputs[i]; i++)
        set_has(needed, outputs[i], true);
    for (size_t i = f->n_nodes; i-- > 0;) {
        const sm_foreign_node *n = &f->nodes[i];
        for (size_t k = 0; k < n->n_outputs && !run[i]; k++)
            run[i] = n->outputs[k] && *n->outputs[k] && set_has(needed, n->outputs[k], false);
        for (size_t k = 0; outputs[k] && !run[i]; k++)
            run[i] = hides(n, outputs[k]);
        for (size_t k = 0; run[i] && k < n->n_inputs; k++)
            if (n->inputs[k] && *n->inputs[k])
                set_has(needed, n->inputs[k], true);
    }
    return 0;
}

static int add_inputs(importer *m, const name_set *needed)
{
    nn_tensor t;
    for (size_t i = 0; i < m->f->n_inputs; i++) {
        const sm_foreign_value *in = &m->f->inputs[i];
        imp_value *v;
        nn_shape s = m->o->input_shapes ? m->o->input_shapes[i] : in->shape;
        if (!set_has(needed, in->name, false) || m->w->get(m->w->user, in->name, NULL, &t) == 0)
            continue; /* nobody reads it, or an old ONNX file that lists its initialisers as inputs */
        if (s.rank > 0 && s.dim[0] < 0)
            s.dim[0] = SM_MAX(m->o->batch, 1);
        for (int k = 0; k < s.rank; k++)
            if (s.dim[k] < 0)
                return nn_graph_fail(m->g, SM_EUNSUPPORTED, "%s: input %s has no size along axis %d; give one",
                                     m->w->label, in->name, k);
        if (!(v = new_value(m, in->name)))
            return nn_graph_error(m->g);
        v->shape = s;
        if (in->type == NN_BOOL) { /* a training flag */
            v->numbers = imp_room(m, nn_elements(&s));
            if (!v->numbers)
                return SM_ENOMEM;
            continue;
        }
        v->id = nn_input_typed(m->g, in->name, in->type == NN_I64 || in->type == NN_I32 ? NN_I32 : NN_F32, s);
    }
    sm_clear_error();
    return nn_graph_error(m->g);
}

static int run_nodes(importer *m, const bool *run)
{
    for (size_t i = 0; i < m->f->n_nodes; i++) {
        const imp_op *op;
        int err;
        if (!run[i])
            continue;
        m->node = &m->f->nodes[i];
        op = find_operator(m->f->dialect, m->node->op);
        if (!op)
            return imp_fail(m, "not one of ours");
        nn_scope(m->g, "%s", m->node->name);
        err = op->make(m, op);
        if (err == 0)
            err = nn_graph_error(m->g);
        if (err < 0)
            return nn_graph_error(m->g) < 0
                       ? nn_graph_error(m->g)
                       : nn_graph_fail(m->g, err, "%s %s: %s", m->node->op, m->node->name, sm_last_error());
    }
    m->node = NULL;
    return 0;
}

static int give_outputs(importer *m, const char *const *outputs)
{
    for (size_t i = 0; outputs[i]; i++) {
        imp_value *v = value_of(m, outputs[i]);
        nn_id id = imp_node(m, v);
        if (id == NN_NONE)
            return nn_graph_error(m->g) < 0 ? nn_graph_error(m->g) : SM_EINTERNAL;
        nn_output(m->g, m->o->names ? m->o->names[i] : outputs[i], id);
    }
    return nn_graph_error(m->g);
}

int sm_import_graph(nn_graph *g, const sm_foreign_graph *f, const nn_source *w, const sm_import_options *o)
{
    importer m = { .g = g, .f = f, .w = w, .o = o, .arena = sm_arena_new() };
    const char *const *outputs = o->outputs;
    name_set needed = { 0 };
    bool *run;
    int err = SM_ENOMEM;

    if (!m.arena)
        goto out;
    run = sm_arena_zero(m.arena, f->n_nodes + 1, sizeof *run);
    if (!outputs) {
        const char **names = sm_arena_zero(m.arena, f->n_outputs + 1, sizeof *names);
        for (size_t i = 0; names && i < f->n_outputs; i++)
            names[i] = f->outputs[i].name;
        outputs = names;
    }
    if (!run || !outputs)
        goto out;
    if ((err = mark_needed(&m, outputs, &needed, run)) < 0)
        goto out;
    m.n_slots = 2 * needed.n_slots; /* every input and output of a node, and the hidden steps */
    m.slots = sm_arena_zero(m.arena, m.n_slots, sizeof *m.slots);
    if (!m.slots) {
        err = SM_ENOMEM;
        goto out;
    }
    if ((err = add_inputs(&m, &needed)) < 0 || (err = run_nodes(&m, run)) < 0)
        goto out;
    err = give_outputs(&m, outputs);
out:
    sm_arena_free(m.arena);
    return err < 0 && nn_graph_error(g) == 0 ? nn_graph_fail(g, err, "%s", sm_last_error()) : err;
}
