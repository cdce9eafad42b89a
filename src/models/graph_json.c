/* A foreign graph as JSON, which a converted safetensors file keeps in its metadata: tensors there are plain, the graph is this text.
 *
 *   {"dialect": "onnx", "opset": 17, "inputs": [["x", "f32", [-1, 3]]], "outputs": [...],
 *    "nodes": [{"name": "", "op": "Conv", "in": ["x", "w"], "out": ["y"], "attr": {"strides": {"ints": [1, 1]}}}]} */
#include <jansson.h>
#include <string.h>

#include "models/essentia.h"

enum { TENSOR_LIMIT = 4096, NODE_LIMIT = 200000, LIST_LIMIT = 65536 };

static const char *const kinds[] = { "int", "float", "text", "ints", "floats", "tensor", "type", "texts" };

/* ---- writing ---- */
static void write_shape(sm_json *j, const nn_shape *s)
{
    sm_json_begin_array(j);
    for (int k = 0; k < s->rank; k++)
        sm_json_int(j, SM_MAX(s->dim[k], -1)); /* any negative size is an unknown one */
    sm_json_end_array(j);
}

static void write_texts(sm_json *j, const char *const *list, size_t n)
{
    sm_json_begin_array(j);
    for (size_t i = 0; i < n; i++)
        sm_json_string(j, list[i] ? list[i] : "");
    sm_json_end_array(j);
}

static double number_at(const nn_tensor *t, int64_t i)
{
    switch (t->type) {
    case NN_F32:
        return ((const float *)t->data)[i];
    case NN_F64:
        return ((const double *)t->data)[i];
    case NN_I64:
        return (double)((const int64_t *)t->data)[i];
    case NN_I32:
        return ((const int32_t *)t->data)[i];
    default:
        return ((const uint8_t *)t->data)[i];
    }
}

static int write_tensor(sm_json *j, const nn_tensor *t)
{
    const int64_t n = nn_elements(&t->shape);
    const bool plain = t->type == NN_F32 || t->type == NN_F64 || t->type == NN_I64 || t->type == NN_I32 ||
                       t->type == NN_U8 || t->type == NN_BOOL;
    if (n < 0 || n > TENSOR_LIMIT || !plain)
        return sm_fail(SM_EUNSUPPORTED, "an attribute is a tensor of %lld %s", (long long)n, nn_type_name(t->type));
    sm_json_begin_array(j);
    sm_json_string(j, nn_type_name(t->type));
    write_shape(j, &t->shape);
    sm_json_begin_array(j);
    for (int64_t i = 0; i < n; i++)
        sm_json_f64(j, number_at(t, i));
    sm_json_end_array(j);
    sm_json_end_array(j);
    return 0;
}

static int write_attr(sm_json *j, const sm_foreign_attr *a)
{
    int err = 0;
    sm_json_key(j, a->name);
    sm_json_begin_object(j);
    sm_json_key(j, kinds[a->kind]);
    if (a->kind == SM_ATTR_INT || a->kind == SM_ATTR_TYPE)
        sm_json_int(j, a->i);
    else if (a->kind == SM_ATTR_FLOAT)
        sm_json_f64(j, a->f);
    else if (a->kind == SM_ATTR_STRING)
        sm_json_string(j, a->s);
    else if (a->kind == SM_ATTR_STRINGS)
        write_texts(j, a->strings, a->n);
    else if (a->kind == SM_ATTR_TENSOR)
        err = write_tensor(j, &a->tensor);
    else {
        sm_json_begin_array(j);
        for (size_t i = 0; i < a->n; i++) {
            if (a->kind == SM_ATTR_INTS)
                sm_json_int(j, a->ints[i]);
            else
                sm_json_f32(j, a->floats[i]);
        }
        sm_json_end_array(j);
    }
    sm_json_end_object(j);
    return err;
}

static void write_values(sm_json *j, const char *key, const sm_foreign_value *v, size_t n)
{
    sm_json_key(j, key);
    sm_json_begin_array(j);
    for (size_t i = 0; i < n; i++) {
        sm_json_begin_array(j);
        sm_json_string(j, v[i].name);
        sm_json_string(j, nn_type_name(v[i].type));
        write_shape(j, &v[i].shape);
        sm_json_end_array(j);
    }
    sm_json_end_array(j);
}

int sm_graph_write(const sm_foreign_graph *f, sm_buffer *out)
{
    sm_json j;
    int err = 0;
    sm_json_init(&j, out, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "dialect");
    sm_json_string(&j, f->dialect);
    sm_json_key(&j, "opset");
    sm_json_int(&j, f->opset);
    write_values(&j, "inputs", f->inputs, f->n_inputs);
    write_values(&j, "outputs", f->outputs, f->n_outputs);
    sm_json_key(&j, "nodes");
    sm_json_begin_array(&j);
    for (size_t i = 0; i < f->n_nodes && err == 0; i++) {
        const sm_foreign_node *n = &f->nodes[i];
        sm_json_begin_object(&j);
        sm_json_key(&j, "name");
        sm_json_string(&j, n->name);
        sm_json_key(&j, "op");
        sm_json_string(&j, n->op);
        sm_json_key(&j, "in");
        write_texts(&j, n->inputs, n->n_inputs);
        sm_json_key(&j, "out");
        write_texts(&j, n->outputs, n->n_outputs);
        sm_json_key(&j, "attr");
        sm_json_begin_object(&j);
        for (size_t k = 0; k < n->n_attrs && err == 0; k++)
            err = write_attr(&j, &n->attrs[k]);
        sm_json_end_object(&j);
        sm_json_end_object(&j);
    }
    sm_json_end_array(&j);
    sm_json_end_object(&j);
    return err < 0 ? err : out->failed ? sm_fail(SM_ENOMEM, "no memory for a graph's text") : 0;
}

/* ---- reading ---- */
typedef struct {
    sm_arena *a;
    int err;
} reader;

static void *room(reader *r, size_t n, size_t size)
{
    void *p = r->err < 0 ? NULL : sm_arena_zero(r->a, SM_MAX(n, 1), size);
    if (!p && r->err == 0)
        r->err = SM_ENOMEM;
    return p;
}

static void wrong(reader *r, const char *what)
{
    if (r->err == 0)
        r->err = sm_fail(SM_EFORMAT, "graph: %s", what);
}

static const char *read_text(reader *r, const json_t *x, const char *what)
{
    const char *s = json_string_value(x);
    if (!s)
        return wrong(r, what), "";
    s = sm_arena_strdup(r->a, s);
    if (!s)
        r->err = SM_ENOMEM;
    return s ? s : "";
}

static const char *const *read_texts(reader *r, const json_t *list, size_t *n)
{
    const size_t count = json_array_size(list);
    const char **out;
    if (!json_is_array(list) || count > LIST_LIMIT)
        wrong(r, "a list of names is expected");
    out = room(r, count, sizeof *out);
    for (size_t i = 0; out && i < count && r->err == 0; i++)
        out[i] = read_text(r, json_array_get(list, i), "a name is expected");
    *n = r->err == 0 ? count : 0;
    return out;
}

static nn_shape read_shape(reader *r, const json_t *list)
{
    nn_shape s = { .rank = (int)SM_MIN(json_array_size(list), (size_t)NN_MAX_RANK) };
    if (!json_is_array(list) || json_array_size(list) > NN_MAX_RANK)
        wrong(r, "a shape is expected");
    for (int k = 0; k < s.rank; k++) {
        const json_t *d = json_array_get(list, (size_t)k);
        s.dim[k] = json_integer_value(d);
        if (!json_is_integer(d) || s.dim[k] < -1)
            wrong(r, "a size is expected");
    }
    return s;
}

static nn_type read_type(reader *r, const json_t *x)
{
    const char *name = json_string_value(x);
    for (int t = 0; name && t < NN_TYPES; t++)
        if (!strcmp(nn_type_name((nn_type)t), name))
            return (nn_type)t;
    wrong(r, "a type is expected");
    return NN_F32;
}

static void read_tensor(reader *r, const json_t *x, nn_tensor *t)
{
    const json_t *list = json_array_get(x, 2);
    const size_t n = json_array_size(list);
    double *v;
    t->type = read_type(r, json_array_get(x, 0));
    t->shape = read_shape(r, json_array_get(x, 1));
    t->scale_axis = -1;
    if (r->err == 0 && (n > TENSOR_LIMIT || nn_elements(&t->shape) != (int64_t)n))
        wrong(r, "a tensor's values do not fit its shape");
    v = room(r, n, sizeof *v);
    for (size_t i = 0; v && i < n; i++)
        v[i] = json_number_value(json_array_get(list, i));
    if (t->type == NN_F32) {
        float *f = room(r, n, sizeof *f);
        for (size_t i = 0; f && v && i < n; i++)
            f[i] = (float)v[i];
        t->data = f;
    } else if (t->type == NN_F64)
        t->data = v;
    else { /* whole numbers of any width are kept as the widest */
        int64_t *k = room(r, n, sizeof *k);
        for (size_t i = 0; k && v && i < n; i++)
            k[i] = v[i] > -9e15 && v[i] < 9e15 ? (int64_t)v[i] : 0;
        t->type = NN_I64;
        t->data = k;
    }
}

static void read_attr(reader *r, const char *name, json_t *object, sm_foreign_attr *a)
{
    void *at = json_object_iter(object);
    const char *kind = at ? json_object_iter_key(at) : "";
    json_t *x = at ? json_object_iter_value(at) : NULL;
    size_t k = 0;
    while (k < SM_LENGTH(kinds) && strcmp(kinds[k], kind))
        k++;
    if (k == SM_LENGTH(kinds)) {
        wrong(r, "an attribute of an unknown kind");
        return;
    }
    a->kind = (sm_attr_kind)k;
    a->name = sm_arena_strdup(r->a, name);
    if (!a->name)
        r->err = SM_ENOMEM;
    a->n = json_is_array(x) ? json_array_size(x) : 0;
    if (a->n > LIST_LIMIT)
        wrong(r, "a list that is too long");
    else if (a->kind == SM_ATTR_INT || a->kind == SM_ATTR_TYPE)
        a->i = json_integer_value(x);
    else if (a->kind == SM_ATTR_FLOAT)
        a->f = json_number_value(x);
    else if (a->kind == SM_ATTR_STRING)
        a->s = read_text(r, x, "a text is expected");
    else if (a->kind == SM_ATTR_STRINGS)
        a->strings = read_texts(r, x, &a->n);
    else if (a->kind == SM_ATTR_TENSOR)
        read_tensor(r, x, &a->tensor);
    else if (a->kind == SM_ATTR_INTS) {
        int64_t *v = room(r, a->n, sizeof *v);
        for (size_t i = 0; v && i < a->n; i++)
            v[i] = json_integer_value(json_array_get(x, i));
        a->ints = v;
    } else {
        float *v = room(r, a->n, sizeof *v);
        for (size_t i = 0; v && i < a->n; i++)
            v[i] = (float)json_number_value(json_array_get(x, i));
        a->floats = v;
    }
}

static void read_node(reader *r, const json_t *x, sm_foreign_node *n)
{
    json_t *attrs = json_object_get(x, "attr"), *value;
    sm_foreign_attr *list;
    const char *key;
    size_t i = 0;
    n->name = read_text(r, json_object_get(x, "name"), "a node's name is expected");
    n->op = read_text(r, json_object_get(x, "op"), "an operator is expected");
    n->inputs = read_texts(r, json_object_get(x, "in"), &n->n_inputs);
    n->outputs = read_texts(r, json_object_get(x, "out"), &n->n_outputs);
    n->n_attrs = json_object_size(attrs);
    n->attrs = list = room(r, n->n_attrs, sizeof *list);
    json_object_foreach(attrs, key, value)
    {
        if (list && r->err == 0)
            read_attr(r, key, value, &list[i++]);
    }
}

static const sm_foreign_value *read_values(reader *r, const json_t *list, size_t *n)
{
    const size_t count = json_array_size(list);
    sm_foreign_value *v;
    if (!json_is_array(list) || count > LIST_LIMIT)
        wrong(r, "inputs and outputs are expected");
    v = room(r, count, sizeof *v);
    for (size_t i = 0; v && i < count && r->err == 0; i++) {
        const json_t *x = json_array_get(list, i);
        v[i].name = read_text(r, json_array_get(x, 0), "a name is expected");
        v[i].type = read_type(r, json_array_get(x, 1));
        v[i].shape = read_shape(r, json_array_get(x, 2));
    }
    *n = r->err == 0 ? count : 0;
    return v;
}

int sm_graph_read(const char *json, size_t length, sm_arena *arena, const sm_foreign_graph **out)
{
    reader r = { arena, 0 };
    json_error_t problem;
    json_t *root = json_loadb(json, length, 0, &problem), *nodes = json_object_get(root, "nodes");
    sm_foreign_graph *f = room(&r, 1, sizeof *f);
    sm_foreign_node *list;
    const size_t n = json_array_size(nodes);

    *out = NULL;
    if (!root)
        wrong(&r, problem.text);
    else if (!json_is_array(nodes) || n > NODE_LIMIT)
        wrong(&r, "nodes are expected");
    if (r.err == 0) {
        f->dialect = read_text(&r, json_object_get(root, "dialect"), "a dialect is expected");
        f->opset = json_integer_value(json_object_get(root, "opset"));
        f->inputs = read_values(&r, json_object_get(root, "inputs"), &f->n_inputs);
        f->outputs = read_values(&r, json_object_get(root, "outputs"), &f->n_outputs);
        f->nodes = list = room(&r, n, sizeof *list);
        for (size_t i = 0; list && i < n && r.err == 0; i++)
            read_node(&r, json_array_get(nodes, i), &list[i]);
        f->n_nodes = n;
    }
    json_decref(root);
    if (r.err == 0)
        *out = f;
    return r.err;
}
