/* TensorFlow Lite: a FlatBuffer with identifier TFL3. Tensors of the first subgraph that have data become weights (int8 with
 * their scales), its operators become the graph. Field numbers are those of TensorFlow's schema.fbs. */
#include "weights/store.h"

/* ---- FlatBuffers ----
 * A table starts with an i32 distance back to its vtable: u16 size of the vtable, u16 size of the table, u16 offset of each
 * field (0: absent). Vectors and strings: u32 offset to u32 count and items. */
typedef struct {
    const uint8_t *data;
    size_t size;
    bool damaged; /* set by the first offset that leaves the file; what is read then is empty */
} flat;

typedef struct {
    size_t at, vtable;
    size_t n_vtable, n_table;
} table;

typedef struct {
    size_t at; /* of the first item */
    size_t n;
} vector;

static uint32_t read_u32(flat *f, size_t at)
{
    if (w_inside(at, 4, f->size))
        return w_u32(f->data + at);
    f->damaged = true;
    return 0;
}

static table table_at(flat *f, size_t at)
{
    table t = { 0 };
    const int64_t vtable = (int64_t)at - (int32_t)read_u32(f, at);
    if (f->damaged || vtable < 0 || !w_inside((uint64_t)vtable, 4, f->size))
        goto damaged;
    t = (table){ at, (size_t)vtable, w_u16(f->data + vtable), w_u16(f->data + vtable + 2) };
    if (t.n_vtable < 4 || !w_inside(t.vtable, t.n_vtable, f->size) || !w_inside(at, t.n_table, f->size))
        goto damaged;
    return t;
damaged:
    f->damaged = true;
    return (table){ 0 };
}

/* Where field i stands if it is there and has room for n bytes; 0: absent. */
static size_t field_at(flat *f, table t, int i, size_t n)
{
    const size_t slot = 4 + 2 * (size_t)i;
    if (slot + 2 > t.n_vtable)
        return 0;
    const size_t offset = w_u16(f->data + t.vtable + slot);
    if (offset == 0)
        return 0;
    if (!w_inside(offset, n, t.n_table)) {
        f->damaged = true;
        return 0;
    }
    return t.at + offset;
}

static int64_t field_i32(flat *f, table t, int i, int64_t otherwise)
{
    const size_t at = field_at(f, t, i, 4);
    return at ? (int32_t)w_u32(f->data + at) : otherwise;
}

static int field_i8(flat *f, table t, int i, int otherwise)
{
    const size_t at = field_at(f, t, i, 1);
    return at ? (int8_t)f->data[at] : otherwise;
}

static size_t reference(flat *f, table t, int i)
{
    const size_t at = field_at(f, t, i, 4);
    return at ? at + w_u32(f->data + at) : 0;
}

/* A vector of items of `size` bytes; empty when absent. */
static vector field_vector(flat *f, table t, int i, size_t size)
{
    const size_t at = reference(f, t, i);
    if (!at)
        return (vector){ 0, 0 };
    const size_t n = read_u32(f, at);
    if (f->damaged || !w_inside(at + 4, (uint64_t)n * size, f->size)) {
        f->damaged = true;
        return (vector){ 0, 0 };
    }
    return (vector){ at + 4, n };
}

static table field_table(flat *f, table t, int i)
{
    const size_t at = reference(f, t, i);
    return at ? table_at(f, at) : (table){ 0 };
}

static table item_table(flat *f, vector v, size_t i)
{
    const size_t at = v.at + 4 * i;
    return i < v.n ? table_at(f, at + read_u32(f, at)) : (table){ 0 };
}

static int32_t item_i32(const flat *f, vector v, size_t i)
{
    return (int32_t)w_u32(f->data + v.at + 4 * i);
}

/* ---- the model ---- */

enum { MODEL_CODES = 1, MODEL_SUBGRAPHS = 2, MODEL_DESCRIPTION = 3, MODEL_BUFFERS = 4 };
enum { SUBGRAPH_TENSORS, SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS, SUBGRAPH_OPERATORS };
enum {
    TENSOR_SHAPE,
    TENSOR_TYPE,
    TENSOR_BUFFER,
    TENSOR_NAME,
    TENSOR_QUANTIZATION,
    TENSOR_VARIABLE,
    TENSOR_SPARSITY,
    TENSOR_SIGNATURE
};
enum { QUANT_SCALE = 2, QUANT_ZERO = 3, QUANT_DIMENSION = 6 };
enum { OP_CODE, OP_INPUTS, OP_OUTPUTS, OP_OPTIONS_TYPE, OP_OPTIONS };
enum { CODE_SHORT = 0, CODE_CUSTOM = 1, CODE_BUILTIN = 3 };

typedef struct {
    sm_weights *w;
    flat f;
    vector codes, buffers, tensors, operators;
    const char **names; /* of the tensors */
    w_graph graph;
} model;

static int damaged(const char *what)
{
    return sm_fail(SM_EFORMAT, "%s: an offset leaves the file", what);
}

bool w_tflite_probe(const uint8_t *d, size_t n)
{
    return n >= 8 && memcmp(d + 4, "TFL3", 4) == 0;
}

static bool type_of(int code, nn_type *out)
{
    static const struct {
        int code;
        nn_type type;
    } types[] = { { 0, NN_F32 },  { 1, NN_F16 }, { 2, NN_I32 }, { 3, NN_U8 },   { 4, NN_I64 },
                  { 6, NN_BOOL }, { 7, NN_I16 }, { 9, NN_I8 },  { 10, NN_F64 }, { 16, NN_U16 } };
    for (size_t i = 0; i < SM_LENGTH(types); i++) {
        if (types[i].code == code) {
            *out = types[i].type;
            return true;
        }
    }
    return false;
}

/* shape_signature has -1 where a size is open; `shape` then holds 1. */
static int shape_of(model *m, table t, int field, const char *name, nn_shape *out)
{
    vector dims = field_vector(&m->f, t, field, 4);
    if (dims.n == 0 && field == TENSOR_SIGNATURE)
        dims = field_vector(&m->f, t, TENSOR_SHAPE, 4);
    if (dims.n > NN_MAX_RANK)
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" has %zu axes, at most %d are supported", name, dims.n,
                       NN_MAX_RANK);
    memset(out, 0, sizeof *out);
    out->rank = (int)dims.n;
    for (size_t i = 0; i < dims.n; i++)
        out->dim[i] = item_i32(&m->f, dims, i);
    return 0;
}

static int copy_zeros(sm_weights *w, const flat *f, vector v, const int32_t **out)
{
    int32_t *zero = sm_arena_get(w->arena, v.n, sizeof *zero, 8);
    if (!zero)
        return w_no_memory();
    for (size_t i = 0; i < v.n; i++) {
        const int64_t z = (int64_t)w_u64(f->data + v.at + 8 * i);
        if (z < INT32_MIN || z > INT32_MAX)
            return sm_fail(SM_EFORMAT, "a zero point of %lld", (long long)z);
        zero[i] = (int32_t)z;
    }
    *out = zero;
    return 0;
}

static int read_quantization(model *m, table tensor, w_tensor *t)
{
    flat *f = &m->f;
    const table q = field_table(f, tensor, TENSOR_QUANTIZATION);
    const vector scales = field_vector(f, q, QUANT_SCALE, 4), zeros = field_vector(f, q, QUANT_ZERO, 8);
    const int64_t axis = field_i32(f, q, QUANT_DIMENSION, 0);
    int err;
    if (f->damaged)
        return damaged(t->name);
    if (scales.n == 0 || t->type == NN_F32 || t->type == NN_F16 || t->type == NN_F64)
        return 0;
    if (scales.n > 1 && (axis < 0 || axis >= t->shape.rank || t->shape.dim[axis] != (int64_t)scales.n))
        return sm_fail(SM_EFORMAT, "tensor \"%s\" has %zu scales, which fit no axis", t->name, scales.n);
    if (zeros.n && zeros.n != scales.n && zeros.n != 1)
        return sm_fail(SM_EFORMAT, "tensor \"%s\" has %zu scales and %zu zero points", t->name, scales.n, zeros.n);
    float *scale = sm_arena_get(m->w->arena, scales.n, sizeof *scale, 8);
    if (!scale)
        return w_no_memory();
    for (size_t i = 0; i < scales.n; i++)
        scale[i] = w_f32(f->data + scales.at + 4 * i);
    if (zeros.n == scales.n && (err = copy_zeros(m->w, f, zeros, &t->zero)) < 0)
        return err;
    if (zeros.n == 1 && scales.n > 1 && w_u64(f->data + zeros.at) != 0)
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" has one zero point for %zu scales", t->name, scales.n);
    t->scale = scale;
    t->scale_axis = scales.n > 1 ? (int)axis : -1;
    return 0;
}

/* Names must be unique, since the graph goes by them. */
static int name_tensor(model *m, w_names *taken, size_t i)
{
    const table t = item_table(&m->f, m->tensors, i);
    const vector text = field_vector(&m->f, t, TENSOR_NAME, 1);
    const char *name = NULL;
    size_t other;
    if (m->f.damaged)
        return damaged("the tensors");
    const int err = w_text(m->w, m->f.data + text.at, text.n, "a tensor's name", &name);
    if (err < 0)
        return err;
    if (!*name || w_names_get(taken, name, &other))
        name = sm_arena_printf(m->w->arena, "%s#%zu", name, i);
    if (!name)
        return w_no_memory();
    m->names[i] = name;
    return w_names_put(taken, name, i);
}

static int name_tensors(model *m)
{
    w_names taken = { 0 };
    int err = 0;
    for (size_t i = 0; i < m->tensors.n && err == 0; i++)
        err = name_tensor(m, &taken, i);
    w_names_clear(&taken);
    return err;
}

static int add_tensor(model *m, size_t i)
{
    flat *f = &m->f;
    const table t = item_table(f, m->tensors, i);
    const int64_t buffer = field_i32(f, t, TENSOR_BUFFER, 0);
    w_tensor out = { .name = m->names[i], .scale_axis = -1 };
    int err;
    if (buffer <= 0)
        return 0;
    if ((size_t)buffer >= m->buffers.n)
        return sm_fail(SM_EFORMAT, "tensor \"%s\" wants buffer %lld of %zu", out.name, (long long)buffer, m->buffers.n);
    const table b = item_table(f, m->buffers, (size_t)buffer);
    const vector data = field_vector(f, b, 0, 1);
    if (f->damaged)
        return damaged(out.name);
    if (data.n == 0)
        return 0;
    const int code = field_i8(f, t, TENSOR_TYPE, 0);
    if (code == 5) /* text */
        return 0;
    if (!type_of(code, &out.type))
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" has type number %d, which is not supported", out.name, code);
    if (reference(f, t, TENSOR_SPARSITY))
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" is sparse, which is not supported", out.name);
    if ((err = shape_of(m, t, TENSOR_SHAPE, out.name, &out.shape)) < 0 ||
        (err = w_check_shape(out.name, out.type, &out.shape)) < 0)
        return err;
    if (data.n != w_tensor_bytes(&out)) {
        char text[96];
        return sm_fail(SM_EFORMAT, "tensor \"%s\" is %s of %s but has %zu bytes", out.name,
                       nn_shape_text(&out.shape, text), nn_type_name(out.type), data.n);
    }
    out.bytes = f->data + data.at;
    if ((err = read_quantization(m, t, &out)) < 0)
        return err;
    return w_add(m->w, &out);
}

/* ---- operators ---- */

typedef enum { KIND_INT, KIND_INT_ONE, KIND_BYTE, KIND_FLOAT, KIND_PADDING, KIND_ACTIVATION, KIND_INTS } field_kind;
enum options {
    OPT_none,
    OPT_add,
    OPT_activation,
    OPT_pool,
    OPT_concatenation,
    OPT_conv,
    OPT_depthwise,
    OPT_block,
    OPT_fully_connected,
    OPT_reshape,
    OPT_resize,
    OPT_resize_nearest,
    OPT_softmax,
    OPT_gather,
    OPT_reducer,
    OPT_squeeze,
    OPT_strided_slice,
    OPT_split,
    OPT_cast,
    OPT_transpose_conv,
    OPT_pack,
    OPT_unpack,
    OPT_leaky_relu,
    OPT_mirror_pad,
    OPT_batch_matmul,
    OPT_gelu
};

static const struct {
    int code;
    const char *name;
    enum options options;
} operators[] = {
#define TFLITE_OP(code, name, options) { code, #name, OPT_##options },
#include "weights/tflite_ops.def"
#undef TFLITE_OP
};

static const struct {
    enum options options;
    int field;
    const char *name;
    field_kind kind;
} fields[] = {
#define TFLITE_FIELD(options, field, name, kind) { OPT_##options, field, name, KIND_##kind },
#include "weights/tflite_ops.def"
#undef TFLITE_FIELD
};

static const char *choice(const char *const *names, size_t n, int i)
{
    return i >= 0 && (size_t)i < n ? names[i] : "?";
}

static int read_ints(model *m, table t, int field, sm_foreign_attr *a)
{
    const vector v = field_vector(&m->f, t, field, 4);
    int64_t *ints = sm_arena_get(m->w->arena, v.n, sizeof *ints, 8);
    if (!ints)
        return w_no_memory();
    for (size_t i = 0; i < v.n; i++)
        ints[i] = item_i32(&m->f, v, i);
    a->kind = SM_ATTR_INTS;
    a->ints = ints;
    a->n = v.n;
    return 0;
}

static int read_option(model *m, table t, size_t row, sm_foreign_attr *a)
{
    static const char *const paddings[] = { "SAME", "VALID" };
    static const char *const activations[] = { "NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT" };
    flat *f = &m->f;
    const int field = fields[row].field;
    size_t at;
    memset(a, 0, sizeof *a);
    a->name = fields[row].name;
    switch (fields[row].kind) {
    case KIND_INT:
        a->i = field_i32(f, t, field, 0);
        break;
    case KIND_INT_ONE:
        a->i = field_i32(f, t, field, 1);
        break;
    case KIND_BYTE:
        a->i = field_i8(f, t, field, 0);
        break;
    case KIND_FLOAT:
        a->kind = SM_ATTR_FLOAT;
        at = field_at(f, t, field, 4);
        a->f = at ? (double)w_f32(f->data + at) : 0;
        break;
    case KIND_PADDING:
        a->kind = SM_ATTR_STRING;
        a->s = choice(paddings, SM_LENGTH(paddings), field_i8(f, t, field, 0));
        break;
    case KIND_ACTIVATION:
        a->kind = SM_ATTR_STRING;
        a->s = choice(activations, SM_LENGTH(activations), field_i8(f, t, field, 0));
        break;
    case KIND_INTS:
        return read_ints(m, t, field, a);
    }
    return 0;
}

static int read_options(model *m, table op, enum options options, sm_foreign_node *node)
{
    const table t = field_table(&m->f, op, OP_OPTIONS);
    size_t n = 0;
    for (size_t i = 0; i < SM_LENGTH(fields); i++)
        n += fields[i].options == options;
    sm_foreign_attr *attrs = sm_arena_get(m->w->arena, n, sizeof *attrs, 16);
    if (!attrs)
        return w_no_memory();
    node->attrs = attrs;
    for (size_t i = 0; i < SM_LENGTH(fields); i++) {
        if (fields[i].options != options)
            continue;
        const int err = read_option(m, t, i, &attrs[node->n_attrs++]);
        if (err < 0)
            return err;
    }
    return 0;
}

static int value_names(model *m, vector v, size_t *n, const char *const **out)
{
    const char **names = sm_arena_get(m->w->arena, v.n, sizeof *names, 8);
    if (!names)
        return w_no_memory();
    for (size_t i = 0; i < v.n; i++) {
        const int32_t at = item_i32(&m->f, v, i);
        if (at < -1 || (at >= 0 && (size_t)at >= m->tensors.n))
            return sm_fail(SM_EFORMAT, "an operator wants tensor %d of %zu", at, m->tensors.n);
        names[i] = at < 0 ? "" : m->names[at];
    }
    *n = v.n;
    *out = names;
    return 0;
}

static int name_operator(model *m, table op, sm_foreign_node *node, enum options *options)
{
    flat *f = &m->f;
    const table code = item_table(f, m->codes, (size_t)field_i32(f, op, OP_CODE, 0));
    const int64_t small = field_i8(f, code, CODE_SHORT, 0), number = SM_MAX(small, field_i32(f, code, CODE_BUILTIN, 0));
    *options = OPT_none;
    if (number == 32) {
        const vector custom = field_vector(f, code, CODE_CUSTOM, 1);
        return w_text(m->w, f->data + custom.at, custom.n, "an operator's name", &node->op);
    }
    for (size_t i = 0; i < SM_LENGTH(operators); i++) {
        if (operators[i].code == number) {
            node->op = operators[i].name;
            *options = operators[i].options;
            return 0;
        }
    }
    node->op = sm_arena_printf(m->w->arena, "BUILTIN_%d", (int)number);
    return node->op ? 0 : w_no_memory();
}

static int add_operator(model *m, size_t i)
{
    flat *f = &m->f;
    const table op = item_table(f, m->operators, i);
    sm_foreign_node node = { 0 };
    enum options options;
    int err;
    if (f->damaged)
        return damaged("the operators");
    if ((err = name_operator(m, op, &node, &options)) < 0 || (err = read_options(m, op, options, &node)) < 0 ||
        (err = value_names(m, field_vector(f, op, OP_INPUTS, 4), &node.n_inputs, &node.inputs)) < 0 ||
        (err = value_names(m, field_vector(f, op, OP_OUTPUTS, 4), &node.n_outputs, &node.outputs)) < 0)
        return err;
    if (f->damaged)
        return damaged("an operator");
    node.name = node.n_outputs ? node.outputs[0] : "";
    return w_graph_node(&m->graph, &node);
}

static int add_ends(model *m, vector v, int (*add)(w_graph *, const sm_foreign_value *))
{
    int err = 0;
    for (size_t i = 0; i < v.n && err == 0; i++) {
        const int32_t at = item_i32(&m->f, v, i);
        if (at < 0 || (size_t)at >= m->tensors.n)
            return sm_fail(SM_EFORMAT, "the graph wants tensor %d of %zu", at, m->tensors.n);
        const table t = item_table(&m->f, m->tensors, (size_t)at);
        sm_foreign_value value = { .name = m->names[at], .type = NN_F32 };
        type_of(field_i8(&m->f, t, TENSOR_TYPE, 0), &value.type);
        err = shape_of(m, t, TENSOR_SIGNATURE, value.name, &value.shape);
        if (err == 0)
            err = add(&m->graph, &value);
    }
    return err;
}

static int read_model(model *m)
{
    flat *f = &m->f;
    const table root = table_at(f, read_u32(f, 0));
    const vector subgraphs = field_vector(f, root, MODEL_SUBGRAPHS, 4),
                 text = field_vector(f, root, MODEL_DESCRIPTION, 1);
    const table graph = item_table(f, subgraphs, 0);
    const char *description;
    int err;
    m->codes = field_vector(f, root, MODEL_CODES, 4);
    m->buffers = field_vector(f, root, MODEL_BUFFERS, 4);
    m->tensors = field_vector(f, graph, SUBGRAPH_TENSORS, 4);
    m->operators = field_vector(f, graph, SUBGRAPH_OPERATORS, 4);
    if (f->damaged)
        return damaged("the model");
    if (subgraphs.n == 0)
        return sm_fail(SM_EFORMAT, "the model has no graph");
    if ((err = w_text(m->w, f->data + text.at, text.n, "the description", &description)) < 0 ||
        (err = w_meta(m->w, "description", description)) < 0)
        return err;
    m->names = sm_arena_zero(m->w->arena, m->tensors.n, sizeof *m->names);
    if (!m->names)
        return w_no_memory();
    err = name_tensors(m);
    for (size_t i = 0; i < m->tensors.n && err == 0; i++)
        err = add_tensor(m, i);
    for (size_t i = 0; i < m->operators.n && err == 0; i++)
        err = add_operator(m, i);
    if (err == 0)
        err = add_ends(m, field_vector(f, graph, SUBGRAPH_INPUTS, 4), w_graph_input);
    if (err == 0)
        err = add_ends(m, field_vector(f, graph, SUBGRAPH_OUTPUTS, 4), w_graph_output);
    if (err == 0 && f->damaged)
        err = damaged("the model");
    return err < 0 ? err : w_graph_finish(m->w, &m->graph, "tflite", 0);
}

int w_tflite_open(sm_weights *w)
{
    model m = { .w = w, .f = { w->data, w->size, false } };
    const int err = read_model(&m);
    w_graph_free(&m.graph);
    return err;
}
