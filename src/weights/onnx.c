/* ONNX: a ModelProto in protobuf. Initialisers and Constant nodes are weights under their value names, the other nodes the
 * graph. Field numbers are those of onnx.proto. */
#include "weights/protobuf.h"

static const pb_type tensor_types[] = {
    { 1, NN_F32, 4, PB_FIXED32 },   { 2, NN_U8, 5, PB_VARINT },    { 3, NN_I8, 5, PB_VARINT },
    { 4, NN_U16, 5, PB_VARINT },    { 5, NN_I16, 5, PB_VARINT },   { 6, NN_I32, 5, PB_VARINT },
    { 7, NN_I64, 7, PB_VARINT },    { 9, NN_BOOL, 5, PB_VARINT },  { 10, NN_F16, 5, PB_VARINT },
    { 11, NN_F64, 10, PB_FIXED64 }, { 16, NN_BF16, 5, PB_VARINT },
};

static const pb_type *type_by_number(uint64_t number)
{
    for (size_t i = 0; i < SM_LENGTH(tensor_types); i++)
        if ((uint64_t)tensor_types[i].dtype == number)
            return &tensor_types[i];
    return NULL;
}

enum { MODEL_IR = 1, MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_PROPS = 14, MODEL_LAST = 25 };

/* A ModelProto's fields are few, and its graph is among them; a cut file still shows the fields before the cut. */
bool w_onnx_probe(const uint8_t *d, size_t n)
{
    pb_bytes m = { d, n ? d + n : d };
    uint64_t key, value;
    while (n >= 4 && m.p < m.end && pb_varint(&m, &key)) {
        const uint64_t number = key >> 3;
        const int wire = (int)(key & 7);
        if (number == MODEL_GRAPH && wire == PB_BYTES)
            return true;
        if (number == 0 || number > MODEL_LAST || (wire != PB_VARINT && wire != PB_BYTES) || !pb_varint(&m, &value))
            return false;
        if (wire == PB_BYTES && value > pb_size(m))
            return false;
        m.p += wire == PB_BYTES ? value : 0;
    }
    return false;
}

typedef struct {
    sm_weights *w;
    w_graph out;
    int64_t opset;
} model;

/* ---- tensors ---- */

/* TensorProto: dims 1, data_type 2, name 8, raw_data 9, external_data 13, data_location 14. `name` NULL: its own. */
static int read_tensor(sm_weights *w, pb_bytes m, const char *name, w_tensor *t)
{
    pb_bytes fields = m, raw = { NULL, NULL };
    pb_numbers dims = { m, { NULL, NULL }, 1, PB_VARINT };
    uint64_t dtype = 0, dim;
    bool external = false;
    pb_field f;
    int got, err = 0;
    *t = (w_tensor){ .name = name ? name : "", .scale_axis = -1 };
    while (err == 0 && (got = pb_next(&fields, &f)) > 0) {
        if (f.number == 2 && f.wire == PB_VARINT)
            dtype = f.value;
        else if (f.number == 8 && !name)
            err = pb_text(w, f, "a tensor's name", &t->name);
        else if (f.number == 9 && f.wire == PB_BYTES)
            raw = f.bytes;
        else if (f.number == 13 || (f.number == 14 && f.value == 1))
            external = true;
    }
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    const pb_type *type = type_by_number(dtype);
    if (external)
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" keeps its data in another file, which is not supported",
                       t->name);
    if (!type)
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" has type number %llu, which is not supported", t->name,
                       (unsigned long long)dtype);
    while ((got = pb_numbers_next(&dims, &dim)) > 0) {
        if (t->shape.rank == NN_MAX_RANK)
            return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" has more than %d axes", t->name, NN_MAX_RANK);
        t->shape.dim[t->shape.rank++] = (int64_t)dim;
    }
    if (got < 0)
        return got;
    t->type = type->type;
    return pb_tensor_data(w, m, raw, type, false, t);
}

static int add_tensor(sm_weights *w, pb_bytes m, const char *name)
{
    w_tensor t;
    const int err = read_tensor(w, m, name, &t);
    return err < 0 ? err : w_add(w, &t);
}

/* ---- attributes ---- */

/* AttributeProto: name 1, f 2, i 3, s 4, t 5, g 6, floats 7, ints 8, strings 9. */
typedef struct {
    const char *name;
    bool has_f, has_i, has_s, has_t;
    uint64_t f, i;
    pb_field s;
    pb_bytes t, all;
    size_t n_floats, n_ints, n_strings;
} attribute;

static float float_of(uint64_t bits)
{
    const uint32_t low = (uint32_t)bits;
    float v;
    memcpy(&v, &low, sizeof v);
    return v;
}

static int scan_attribute(sm_weights *w, pb_bytes m, attribute *a)
{
    pb_field f;
    int got = 0, err = 0;
    *a = (attribute){ .all = m };
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        const bool bytes = f.wire == PB_BYTES;
        const size_t room = bytes ? pb_size(f.bytes) : 1; /* packed numbers: no more than their bytes */
        switch (f.number) {
        case 1:
            err = pb_text(w, f, "an attribute's name", &a->name);
            break;
        case 2:
            a->has_f = f.wire == PB_FIXED32;
            a->f = f.value;
            break;
        case 3:
            a->has_i = f.wire == PB_VARINT;
            a->i = f.value;
            break;
        case 4:
            a->has_s = bytes;
            a->s = f;
            break;
        case 5:
            a->has_t = bytes;
            a->t = f.bytes;
            break;
        case 7:
            a->n_floats += room;
            break;
        case 8:
            a->n_ints += room;
            break;
        case 9:
            a->n_strings += bytes;
            break;
        default:
            break;
        }
    }
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    return a->name ? 0 : sm_fail(SM_EFORMAT, "an attribute without a name");
}

static int read_ints(sm_weights *w, const attribute *a, sm_foreign_attr *out)
{
    pb_numbers numbers = { a->all, { NULL, NULL }, 8, PB_VARINT };
    int64_t *ints = sm_arena_get(w->arena, a->n_ints, sizeof *ints, 8);
    uint64_t v;
    int got;
    if (!ints)
        return w_no_memory();
    while ((got = pb_numbers_next(&numbers, &v)) > 0)
        ints[out->n++] = (int64_t)v;
    out->kind = SM_ATTR_INTS;
    out->ints = ints;
    return got;
}

static int read_floats(sm_weights *w, const attribute *a, sm_foreign_attr *out)
{
    pb_numbers numbers = { a->all, { NULL, NULL }, 7, PB_FIXED32 };
    float *floats = sm_arena_get(w->arena, a->n_floats, sizeof *floats, 8);
    uint64_t v;
    int got;
    if (!floats)
        return w_no_memory();
    while ((got = pb_numbers_next(&numbers, &v)) > 0)
        floats[out->n++] = float_of(v);
    out->kind = SM_ATTR_FLOATS;
    out->floats = floats;
    return got;
}

static int read_strings(sm_weights *w, const attribute *a, sm_foreign_attr *out)
{
    pb_bytes m = a->all;
    pb_field f;
    int got, err = 0;
    const char **strings = sm_arena_get(w->arena, a->n_strings, sizeof *strings, 8);
    if (!strings)
        return w_no_memory();
    while (err == 0 && (got = pb_next(&m, &f)) > 0)
        if (f.number == 9 && f.wire == PB_BYTES)
            err = pb_text(w, f, "an attribute", &strings[out->n++]);
    out->kind = SM_ATTR_STRINGS;
    out->strings = strings;
    return err;
}

/* A tensor attribute (ConstantOfShape's value) is small: made at once. */
static int read_tensor_attr(sm_weights *w, const attribute *a, sm_foreign_attr *out)
{
    w_tensor t;
    int err = read_tensor(w, a->t, a->name, &t);
    if (err < 0)
        return err;
    const size_t n = w_tensor_bytes(&t);
    if ((err = w_spend(w, n)) < 0)
        return err;
    uint8_t *data = sm_arena_get(w->arena, n, 1, 16);
    if (!data)
        return w_no_memory();
    if (t.bytes)
        memcpy(data, t.bytes, n);
    else
        err = t.fill(w, &t, data);
    out->kind = SM_ATTR_TENSOR;
    out->tensor = (nn_tensor){ t.type, t.shape, data, NULL, NULL, -1 };
    return err;
}

/* *known: false for graphs and what else has no place here. Both plain and empty lists are told from the declared type (20) by
 * what is there. */
static int read_attribute(sm_weights *w, pb_bytes m, sm_foreign_attr *out, bool *known)
{
    attribute a;
    int err = scan_attribute(w, m, &a);
    if (err < 0)
        return err;
    memset(out, 0, sizeof *out);
    out->name = a.name;
    *known = true;
    if (a.n_ints)
        return read_ints(w, &a, out);
    if (a.n_floats)
        return read_floats(w, &a, out);
    if (a.n_strings)
        return read_strings(w, &a, out);
    if (a.has_t)
        return read_tensor_attr(w, &a, out);
    if (a.has_s) {
        out->kind = SM_ATTR_STRING;
        return pb_text(w, a.s, "an attribute", &out->s);
    }
    if (a.has_f) {
        out->kind = SM_ATTR_FLOAT;
        out->f = (double)float_of(a.f);
    } else if (a.has_i) {
        out->kind = SM_ATTR_INT;
        out->i = (int64_t)a.i;
    } else {
        *known = false;
    }
    return 0;
}

/* ---- nodes ---- */

/* A Constant's only attribute says what it is: value, value_float(s), value_int(s). */
static int add_constant(model *k, pb_bytes m, const sm_foreign_node *n)
{
    attribute a;
    w_tensor t = { .scale_axis = -1, .type = NN_I64 };
    static const pb_type f32 = { 1, NN_F32, 7, PB_FIXED32 }, i64 = { 7, NN_I64, 8, PB_VARINT };
    static const pb_type one_f32 = { 1, NN_F32, 2, PB_FIXED32 }, one_i64 = { 7, NN_I64, 3, PB_VARINT };
    const pb_type *type;
    uint64_t v;
    pb_field f;
    int got, err = 0;
    while ((got = pb_next(&m, &f)) > 0 && (f.number != 5 || f.wire != PB_BYTES))
        ;
    if (got <= 0 || n->n_outputs != 1)
        return got < 0 ? got : sm_fail(SM_EFORMAT, "a Constant without a value or output");
    if ((err = scan_attribute(k->w, f.bytes, &a)) < 0)
        return err;
    if (a.has_t)
        return add_tensor(k->w, a.t, n->outputs[0]);
    type = a.n_floats ? &f32 : a.n_ints ? &i64 : a.has_f ? &one_f32 : a.has_i ? &one_i64 : NULL;
    if (!type)
        return sm_fail(SM_EUNSUPPORTED, "constant \"%s\" holds no numbers", n->outputs[0]);
    t.name = n->outputs[0];
    t.type = type->type;
    if (a.n_floats || a.n_ints) {
        pb_numbers numbers = { a.all, { NULL, NULL }, type->field, type->wire };
        t.shape.rank = 1;
        while ((got = pb_numbers_next(&numbers, &v)) > 0)
            t.shape.dim[0]++;
        if (got < 0)
            return got;
    }
    err = pb_tensor_data(k->w, a.all, (pb_bytes){ NULL, NULL }, type, false, &t);
    return err < 0 ? err : w_add(k->w, &t);
}

/* NodeProto: input 1, output 2, name 3, op_type 4, attribute 5, domain 7. */
static int read_names(sm_weights *w, pb_bytes m, sm_foreign_node *n)
{
    size_t n_inputs, n_outputs;
    const char *domain = "";
    pb_field f;
    int got, err;
    if ((err = pb_count(m, 1, &n_inputs)) < 0 || (err = pb_count(m, 2, &n_outputs)) < 0)
        return err;
    const char **inputs = sm_arena_get(w->arena, n_inputs, sizeof *inputs, 8),
               **outputs = sm_arena_get(w->arena, n_outputs, sizeof *outputs, 8);
    if (!inputs || !outputs)
        return w_no_memory();
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_BYTES)
            err = pb_text(w, f, "a node's input", &inputs[n->n_inputs++]);
        else if (f.number == 2 && f.wire == PB_BYTES)
            err = pb_text(w, f, "a node's output", &outputs[n->n_outputs++]);
        else if (f.number == 3)
            err = pb_text(w, f, "a node's name", &n->name);
        else if (f.number == 4)
            err = pb_text(w, f, "a node's operator", &n->op);
        else if (f.number == 7)
            err = pb_text(w, f, "a node's domain", &domain);
    }
    n->inputs = inputs;
    n->outputs = outputs;
    if (err < 0)
        return err;
    if (!n->op)
        return sm_fail(SM_EFORMAT, "a node without an operator");
    if (!n->name || !*n->name)
        n->name = n->n_outputs ? outputs[0] : n->op;
    if (*domain && strcmp(domain, "ai.onnx") != 0)
        n->op = sm_arena_printf(w->arena, "%s:%s", domain, n->op);
    return n->op ? 0 : w_no_memory();
}

static int read_node(model *k, pb_bytes m)
{
    sm_foreign_node n = { 0 };
    size_t n_attrs;
    pb_bytes fields = m;
    pb_field f;
    int got, err;
    if ((err = read_names(k->w, m, &n)) < 0)
        return err;
    if (strcmp(n.op, "Constant") == 0)
        return add_constant(k, m, &n);
    if ((err = pb_count(m, 5, &n_attrs)) < 0)
        return err;
    sm_foreign_attr *attrs = sm_arena_get(k->w->arena, n_attrs, sizeof *attrs, 16);
    if (!attrs)
        return w_no_memory();
    while (err == 0 && (got = pb_next(&fields, &f)) > 0) {
        bool known = false;
        if (f.number == 5 && f.wire == PB_BYTES &&
            (err = read_attribute(k->w, f.bytes, &attrs[n.n_attrs], &known)) == 0)
            n.n_attrs += known;
    }
    n.attrs = attrs;
    return err < 0 ? sm_fail_prefix(err, "node \"%s\"", n.name) : w_graph_node(&k->out, &n);
}

/* ---- the graph's ends ---- */

/* TensorShapeProto: dim 1, each with dim_value 1 or dim_param 2 (a name: open). */
static int read_shape(pb_bytes m, const char *name, nn_shape *out)
{
    pb_field f, g;
    int got;
    out->rank = 0;
    while ((got = pb_next(&m, &f)) > 0) {
        if (f.number != 1 || f.wire != PB_BYTES)
            continue;
        if (out->rank == NN_MAX_RANK)
            return sm_fail(SM_EUNSUPPORTED, "\"%s\" has more than %d axes", name, NN_MAX_RANK);
        int64_t size = -1;
        int inner;
        while ((inner = pb_next(&f.bytes, &g)) > 0)
            if (g.number == 1 && g.wire == PB_VARINT)
                size = (int64_t)g.value;
        if (inner < 0)
            return inner;
        out->dim[out->rank++] = SM_MAX(size, -1);
    }
    return got;
}

/* ValueInfoProto: name 1, type 2 -> tensor_type 1 -> elem_type 1, shape 2. */
static int read_value(sm_weights *w, pb_bytes m, sm_foreign_value *v)
{
    pb_bytes type = { NULL, NULL }, tensor = { NULL, NULL };
    pb_field f;
    int got, err = 0;
    *v = (sm_foreign_value){ .type = NN_F32, .shape = { .rank = -1 } };
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        if (f.number == 1)
            err = pb_text(w, f, "a value's name", &v->name);
        else if (f.number == 2 && f.wire == PB_BYTES)
            type = f.bytes;
    }
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    if ((err = pb_last(type, 1, &tensor)) < 0)
        return err;
    while (err == 0 && (got = pb_next(&tensor, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT && type_by_number(f.value))
            v->type = type_by_number(f.value)->type;
        else if (f.number == 2 && f.wire == PB_BYTES)
            err = read_shape(f.bytes, v->name ? v->name : "", &v->shape);
    }
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    return v->name ? 0 : sm_fail(SM_EFORMAT, "a value without a name");
}

/* Old exporters list initialisers among the inputs: those are weights. */
static int read_end(model *k, pb_field f)
{
    sm_foreign_value v;
    const int err = read_value(k->w, f.bytes, &v);
    if (err < 0)
        return err;
    if (f.number == 12)
        return w_graph_output(&k->out, &v);
    return w_find(k->w, v.name) ? 0 : w_graph_input(&k->out, &v);
}

/* GraphProto: node 1, name 2, initializer 5, input 11, output 12, sparse_initializer 15. */
static int read_graph(model *k, pb_bytes m)
{
    pb_bytes again = m;
    pb_field f;
    const char *name;
    int got, err = 0;
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        if (f.number == 2 && (err = pb_text(k->w, f, "the graph's name", &name)) == 0)
            err = w_meta(k->w, "graph", name);
        else if (f.number == 5 && f.wire == PB_BYTES)
            err = add_tensor(k->w, f.bytes, NULL);
        else if (f.number == 1 && f.wire == PB_BYTES)
            err = read_node(k, f.bytes);
        else if (f.number == 15)
            err = sm_fail(SM_EUNSUPPORTED, "sparse initialisers are not supported");
    }
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    while (err == 0 && (got = pb_next(&again, &f)) > 0)
        if ((f.number == 11 || f.number == 12) && f.wire == PB_BYTES)
            err = read_end(k, f);
    return err < 0 ? err : w_graph_finish(k->w, &k->out, "onnx", k->opset);
}

/* OperatorSetIdProto: domain 1 (absent: ONNX's own), version 2. */
static int read_opset(model *k, pb_bytes m)
{
    const char *domain = "";
    int64_t version = 0;
    pb_field f;
    int got, err = 0;
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        if (f.number == 1)
            err = pb_text(k->w, f, "a domain", &domain);
        else if (f.number == 2 && f.wire == PB_VARINT)
            version = (int64_t)f.value;
    }
    if (err == 0 && (!*domain || strcmp(domain, "ai.onnx") == 0))
        k->opset = version;
    return err < 0 ? err : got;
}

/* StringStringEntryProto: key 1, value 2. */
static int read_prop(model *k, pb_bytes m)
{
    const char *key = "", *value = "";
    pb_field f;
    int got, err = 0;
    while (err == 0 && (got = pb_next(&m, &f)) > 0)
        if (f.number == 1 || f.number == 2)
            err = pb_text(k->w, f, "metadata", f.number == 1 ? &key : &value);
    return err < 0 ? err : got < 0 ? got : w_meta(k->w, key, value);
}

static int read_model(model *k)
{
    static const char *const texts[] = {
        NULL, NULL, "producer_name", "producer_version", "domain", NULL, "doc_string"
    };
    pb_bytes m = { k->w->data, k->w->data + k->w->size }, graph = { NULL, NULL };
    const char *text;
    pb_field f;
    int got = 0, err = 0;
    while (err == 0 && (got = pb_next(&m, &f)) > 0) {
        if (f.number < SM_LENGTH(texts) && texts[f.number]) {
            if ((err = pb_text(k->w, f, texts[f.number], &text)) == 0)
                err = w_meta(k->w, texts[f.number], text);
        } else if (f.number == MODEL_GRAPH && f.wire == PB_BYTES) {
            graph = f.bytes;
        } else if (f.number == MODEL_OPSET && f.wire == PB_BYTES) {
            err = read_opset(k, f.bytes);
        } else if (f.number == MODEL_PROPS && f.wire == PB_BYTES) {
            err = read_prop(k, f.bytes);
        }
    }
    if (err < 0 || got < 0)
        return err < 0 ? err : got;
    return graph.p ? read_graph(k, graph) : sm_fail(SM_EFORMAT, "an ONNX model without a graph");
}

int w_onnx_open(sm_weights *w)
{
    model k = { .w = w };
    const int err = read_model(&k);
    w_graph_free(&k.out);
    return err;
}
