/* Frozen TensorFlow graphs: a GraphDef in protobuf. Field numbers are those of tensorflow/core/framework (graph, node_def,
 * attr_value, tensor, tensor_shape, types, function, op_def). */
#include "weights/protobuf.h"
#include "weights/tf_graph.h"

static const pb_type tensor_types[] = {
    { 1, NN_F32, 5, PB_FIXED32 }, { 2, NN_F64, 6, PB_FIXED64 },   { 3, NN_I32, 7, PB_VARINT },
    { 4, NN_U8, 7, PB_VARINT },   { 5, NN_I16, 7, PB_VARINT },    { 6, NN_I8, 7, PB_VARINT },
    { 9, NN_I64, 10, PB_VARINT }, { 10, NN_BOOL, 11, PB_VARINT }, { 14, NN_BF16, 13, PB_VARINT },
    { 17, NN_U16, 7, PB_VARINT }, { 19, NN_F16, 13, PB_VARINT },
};

/* The first field of a GraphDef is a node (1, with a name inside) or, of a SavedModel, its version (1, a number) and graphs (2). */
bool w_tf_pb_probe(const uint8_t *d, size_t n)
{
    uint64_t length;
    if (n < 4)
        return false;
    pb_bytes m = { d + 1, d + n };
    if (d[0] == 0x08 && d[1] == 0x01 && d[2] == 0x12)
        return true;
    return d[0] == 0x0A && pb_varint(&m, &length) && length > 2 && m.p != m.end && (*m.p == 0x0A || *m.p == 0x12);
}

/* ---- shapes and tensors ---- */

/* *n: sizes found, at most `room` are kept; -1 for an unknown rank. */
static int read_dims(pb_bytes m, int64_t *dims, size_t room, int64_t *n)
{
    pb_field f, g;
    int got;
    *n = 0;
    while ((got = pb_next(&m, &f)) > 0) {
        if (f.number == 3 && f.wire == PB_VARINT && f.value)
            *n = -1;
        if (f.number != 2 || f.wire != PB_BYTES || *n < 0)
            continue;
        int64_t size = 0;
        int inner;
        while ((inner = pb_next(&f.bytes, &g)) > 0)
            if (g.number == 1 && g.wire == PB_VARINT)
                size = (int64_t)g.value;
        if (inner < 0)
            return inner;
        if ((size_t)*n < room)
            dims[*n] = size;
        ++*n;
    }
    return got;
}

/* A Const's TensorProto. *known stays false for text and other things that are no numbers. */
static int read_tensor(sm_weights *w, pb_bytes m, const char *name, w_tensor *t, bool *known)
{
    pb_bytes fields = m, content = { NULL, NULL };
    int64_t dtype = 0, rank = 0;
    pb_field f;
    int got, err = 0;
    *t = (w_tensor){ .name = name, .scale_axis = -1 };
    *known = false;
    while ((got = pb_next(&fields, &f)) > 0 && err == 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            dtype = (int64_t)f.value;
        else if (f.number == 2 && f.wire == PB_BYTES)
            err = read_dims(f.bytes, t->shape.dim, NN_MAX_RANK, &rank);
        else if (f.number == 4 && f.wire == PB_BYTES)
            content = f.bytes;
    }
    if (got < 0 || err < 0)
        return got < 0 ? got : err;
    const pb_type *type = NULL;
    for (size_t i = 0; i < SM_LENGTH(tensor_types); i++)
        if (tensor_types[i].dtype == dtype)
            type = &tensor_types[i];
    if (!type)
        return 0;
    if (rank < 0 || rank > NN_MAX_RANK)
        return sm_fail(SM_EUNSUPPORTED, "constant \"%s\" has %lld axes, at most %d are supported", name,
                       (long long)rank, NN_MAX_RANK);
    t->type = type->type;
    t->shape.rank = (int)rank;
    *known = true;
    return pb_tensor_data(w, m, content, type, true, t);
}

/* ---- attributes ---- */

static int read_type(int64_t number, sm_weights *w, sm_foreign_attr *a)
{
    nn_type type;
    a->kind = SM_ATTR_TYPE;
    a->i = tf_type(number, &type) ? (int64_t)type : -1;
    a->s = tf_type_name(number);
    if (!a->s)
        a->s = sm_arena_printf(w->arena, "DT_%lld", (long long)number);
    return a->s ? 0 : w_no_memory();
}

static int read_shape(sm_weights *w, pb_bytes m, sm_foreign_attr *a)
{
    int64_t n = 0;
    int err = read_dims(m, NULL, 0, &n);
    if (err < 0)
        return err;
    a->kind = SM_ATTR_INTS;
    if (n < 0) /* unknown rank: ints stays NULL */
        return 0;
    int64_t *dims = sm_arena_get(w->arena, (size_t)n, sizeof *dims, 8);
    if (!dims)
        return w_no_memory();
    a->ints = dims;
    a->n = (size_t)n;
    return read_dims(m, dims, (size_t)n, &n);
}

static int read_list_numbers(sm_weights *w, pb_bytes m, uint32_t field, int wire, size_t n, sm_foreign_attr *a)
{
    pb_numbers numbers = { m, { NULL, NULL }, field, wire };
    int64_t *ints = sm_arena_get(w->arena, n, sizeof *ints, 8);
    float *floats = sm_arena_get(w->arena, n, sizeof *floats, 8);
    uint64_t value;
    int got;
    if (!ints || !floats)
        return w_no_memory();
    a->n = 0;
    while (a->n < n && (got = pb_numbers_next(&numbers, &value)) > 0) {
        const uint32_t bits = (uint32_t)value;
        memcpy(&floats[a->n], &bits, sizeof bits);
        ints[a->n++] = (int64_t)value;
    }
    a->kind = wire == PB_FIXED32 ? SM_ATTR_FLOATS : SM_ATTR_INTS;
    a->ints = ints;
    a->floats = floats;
    return 0;
}

static int read_list_texts(sm_weights *w, pb_bytes m, size_t n, sm_foreign_attr *a)
{
    const char **strings = sm_arena_get(w->arena, n, sizeof *strings, 8);
    pb_field f;
    int got, err = 0;
    if (!strings)
        return w_no_memory();
    a->n = 0;
    while (err == 0 && (got = pb_next(&m, &f)) > 0)
        if (f.number == 2 && f.wire == PB_BYTES && a->n < n)
            err = pb_text(w, f, "an attribute", &strings[a->n++]);
    a->kind = SM_ATTR_STRINGS;
    a->strings = strings;
    return err;
}

/* AttrValue.ListValue: texts (2), ints (3), floats (4), bools (5), types (6); shapes, tensors and functions are left out. */
static int read_list(sm_weights *w, pb_bytes m, sm_foreign_attr *a, bool *known)
{
    size_t n[7] = { 0 };
    pb_bytes fields = m;
    pb_field f;
    int got;
    while ((got = pb_next(&fields, &f)) > 0)
        if (f.number < SM_LENGTH(n))
            n[f.number] +=
                f.wire == PB_BYTES && f.number > 2 ? pb_size(f.bytes) : 1; /* packed: no more than its bytes */
    if (got < 0)
        return got;
    *known = true;
    if (n[2])
        return read_list_texts(w, m, n[2], a);
    for (uint32_t i = 3; i <= 6; i++)
        if (n[i])
            return read_list_numbers(w, m, i, i == 4 ? PB_FIXED32 : PB_VARINT, n[i], a);
    a->kind = SM_ATTR_INTS; /* an empty list */
    return 0;
}

static int read_value(sm_weights *w, pb_bytes m, tf_node *node, sm_foreign_attr *a, bool *known)
{
    pb_field f, g;
    int got, err = 0;
    *known = false;
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        const bool bytes = f.wire == PB_BYTES;
        if (f.number == 1 && bytes) {
            err = read_list(w, f.bytes, a, known);
        } else if (f.number == 2 && bytes) {
            a->kind = SM_ATTR_STRING;
            *known = pb_text(w, f, "an attribute", &a->s) == 0; /* serialised messages hide in some: no text, no use */
        } else if ((f.number == 3 || f.number == 5) && f.wire == PB_VARINT) {
            a->kind = SM_ATTR_INT;
            a->i = (int64_t)f.value;
            *known = true;
        } else if (f.number == 4 && f.wire == PB_FIXED32) {
            const uint32_t bits = (uint32_t)f.value;
            float value;
            memcpy(&value, &bits, sizeof value);
            a->kind = SM_ATTR_FLOAT;
            a->f = (double)value;
            *known = true;
        } else if (f.number == 6 && f.wire == PB_VARINT) {
            err = read_type((int64_t)f.value, w, a);
            *known = true;
        } else if (f.number == 7 && bytes) {
            err = read_shape(w, f.bytes, a);
            *known = true;
        } else if (f.number == 8 && bytes && strcmp(node->op, "Const") == 0) {
            err = read_tensor(w, f.bytes, node->name, &node->value, &node->has_value);
        } else if (f.number == 10 && bytes) {
            while (err == 0 && (got = pb_next(&f.bytes, &g)) > 0)
                if (g.number == 1)
                    err = pb_text(w, g, "a function's name", &node->function);
        }
        if (got < 0)
            break;
    }
    return got < 0 ? got : err;
}

/* A map entry: key 1, value 2. */
static int read_attr(sm_weights *w, pb_bytes m, tf_node *node, sm_foreign_attr *a, bool *known)
{
    pb_bytes value = { NULL, NULL };
    pb_field f;
    int got, err = 0;
    memset(a, 0, sizeof *a);
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        if (f.number == 1)
            err = pb_text(w, f, "an attribute's name", &a->name);
        else if (f.number == 2 && f.wire == PB_BYTES)
            value = f.bytes;
    }
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    if (!a->name)
        return sm_fail(SM_EFORMAT, "node \"%s\" has an attribute without a name", node->name);
    return read_value(w, value, node, a, known);
}

/* ---- nodes ---- */

/* NodeDef: name 1, op 2, input 3, attr 5. */
static int read_node(sm_weights *w, pb_bytes m, tf_nodes *list)
{
    tf_node n = { 0 };
    size_t n_inputs, n_attrs;
    pb_bytes fields = m;
    pb_field f;
    int got = 0, err = 0;
    if ((err = pb_count(m, 3, &n_inputs)) < 0 || (err = pb_count(m, 5, &n_attrs)) < 0)
        return err;
    sm_foreign_attr *attrs = sm_arena_get(w->arena, n_attrs, sizeof *attrs, 16);
    n.inputs = sm_arena_get(w->arena, n_inputs, sizeof *n.inputs, 8);
    if (!attrs || !n.inputs)
        return w_no_memory();
    while (err == 0 && (got = pb_next(&fields, &f)) > 0) {
        if (f.number == 1)
            err = pb_text(w, f, "a node's name", &n.name);
        else if (f.number == 2)
            err = pb_text(w, f, "a node's operator", &n.op);
        else if (f.number == 3 && f.wire == PB_BYTES)
            err = pb_text(w, f, "a node's input", &n.inputs[n.n_inputs++]);
    }
    if (err < 0)
        return err;
    if (!n.name || !*n.name || !n.op)
        return sm_fail(SM_EFORMAT, "a node without a name or operator");
    n.attrs = attrs;
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        bool known = false;
        if (f.number == 5 && f.wire == PB_BYTES && (err = read_attr(w, f.bytes, &n, &attrs[n.n_attrs], &known)) == 0 &&
            known)
            n.n_attrs++;
    }
    return err < 0 ? err : tf_add_node(list, &n);
}

/* ---- functions ---- */

/* OpDef: name 1, input_arg 2, output_arg 3 (each an ArgDef with its name in 1). */
static int read_argument(sm_weights *w, pb_bytes m, const char **out)
{
    pb_field f;
    int got, err = 0;
    *out = NULL;
    while (err == 0 && (got = pb_next(&m, &f)) > 0)
        if (f.number == 1)
            err = pb_text(w, f, "an argument's name", out);
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    return *out ? 0 : sm_fail(SM_EFORMAT, "a function has an argument without a name");
}

static int read_signature(sm_weights *w, pb_bytes m, tf_function *fn)
{
    size_t n_in, n_out;
    pb_field f;
    int got, err = 0;
    if ((err = pb_count(m, 2, &n_in)) < 0 || (err = pb_count(m, 3, &n_out)) < 0)
        return err;
    fn->n_arguments = fn->n_results = 0; /* a second signature replaces the first */
    fn->arguments = sm_arena_get(w->arena, n_in, sizeof *fn->arguments, 8);
    fn->results = sm_arena_get(w->arena, n_out, sizeof *fn->results, 8);
    if (!fn->arguments || !fn->results)
        return w_no_memory();
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        if (f.number == 1)
            err = pb_text(w, f, "a function's name", &fn->name);
        else if (f.number == 2 && f.wire == PB_BYTES)
            err = read_argument(w, f.bytes, &fn->arguments[fn->n_arguments++]);
        else if (f.number == 3 && f.wire == PB_BYTES)
            err = read_argument(w, f.bytes, &fn->results[fn->n_results++]);
    }
    return err;
}

/* A `ret` entry: output argument 1 is the value 2 of the body. Until here results[] holds the arguments' names. */
static int read_result(sm_weights *w, pb_bytes m, w_names *results, tf_function *fn)
{
    const char *key = NULL, *value = NULL;
    pb_field f;
    size_t at;
    int got, err = 0;
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        if (f.number == 1)
            err = pb_text(w, f, "a result's name", &key);
        else if (f.number == 2)
            err = pb_text(w, f, "a result's value", &value);
    }
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    if (!key || !value || !w_names_get(results, key, &at))
        return sm_fail(SM_EFORMAT, "function \"%s\" has a result that its signature lacks", fn->name);
    fn->results[at] = value;
    return 0;
}

/* FunctionDef: signature 1, node_def 3, ret 4. */
static int read_function_fields(sm_weights *w, pb_bytes m, tf_function *fn, w_names *results)
{
    pb_bytes fields = m;
    pb_field f;
    int got, err = 0;
    while (err == 0 && (got = pb_next(&fields, &f)) > 0)
        if (f.number == 1 && f.wire == PB_BYTES)
            err = read_signature(w, f.bytes, fn);
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    if (!fn->name)
        return sm_fail(SM_EFORMAT, "a function without a name");
    for (size_t i = 0; i < fn->n_results && err == 0; i++)
        err = w_names_put(results, fn->results[i], i);
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        if (f.number == 3 && f.wire == PB_BYTES)
            err = read_node(w, f.bytes, &fn->body);
        else if (f.number == 4 && f.wire == PB_BYTES)
            err = read_result(w, f.bytes, results, fn);
    }
    return err;
}

/* FunctionDefLibrary: function 1. */
static int read_library(tf_graph *g, pb_bytes m)
{
    pb_field f;
    int got, err = 0;
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        tf_function fn = { 0 };
        w_names results = { 0 };
        if (f.number != 1 || f.wire != PB_BYTES)
            continue;
        err = read_function_fields(g->w, f.bytes, &fn, &results);
        if (err == 0)
            err = tf_add_function(g, &fn);
        if (err < 0)
            sm_free(fn.body.nodes);
        w_names_clear(&results);
    }
    return err < 0 ? err : got;
}

static int read_graph(tf_graph *g)
{
    pb_bytes m = { g->w->data, g->w->data + g->w->size };
    pb_field f;
    int got = 0, err = 0;
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            return sm_fail(
                SM_EUNSUPPORTED,
                "a SavedModel keeps its weights in other files; a frozen graph, ONNX or TensorFlow.js file is needed");
        if (f.number == 1 && f.wire == PB_BYTES)
            err = read_node(g->w, f.bytes, &g->main);
        else if (f.number == 2 && f.wire == PB_BYTES)
            err = read_library(g, f.bytes);
    }
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    return g->main.n ? tf_graph_finish(g) : sm_fail(SM_EFORMAT, "a graph without nodes");
}

int w_tf_pb_open(sm_weights *w)
{
    tf_graph g = { .w = w };
    const int err = read_graph(&g);
    tf_graph_free(&g);
    return err;
}
