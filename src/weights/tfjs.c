/* TensorFlow.js: model.json with a graph and a manifest of weights, whose bytes stand in shards beside it. */
#include <math.h>
#include <stdlib.h>

#include "weights/json_in.h"
#include "weights/tf_graph.h"

bool w_tfjs_probe(const uint8_t *d, size_t n)
{
    size_t i = 0;
    while (i < n && (d[i] == ' ' || d[i] == '\t' || d[i] == '\r' || d[i] == '\n'))
        i++;
    return i < n && d[i] == '{';
}

/* ---- weights ---- */

typedef struct {
    nn_type stored;
    double scale, min;
    bool quantised; /* value = q * scale + min, in double, then float32 */
} coding;

typedef struct {
    const uint8_t *data;
    coding c;
} quantised;

static int fill_quantised(const sm_weights *w, const w_tensor *t, void *out)
{
    const quantised *q = t->how;
    const size_t n = (size_t)nn_elements(&t->shape), unit = nn_type_size(q->c.stored);
    (void)w;
    for (size_t i = 0; i < n; i++) {
        const double code = unit == 1 ? q->data[i] : w_u16(q->data + 2 * i), value = code * q->c.scale + q->c.min;
        if (t->type == NN_F32)
            ((float *)out)[i] = (float)value;
        else
            ((int32_t *)out)[i] = (int32_t)SM_CLAMP(floor(value + 0.5), -2147483648.0, 2147483647.0);
    }
    return 0;
}

static int read_coding(const json_t *j, const char *name, nn_type type, coding *out)
{
    const json_t *q = json_object_get(j, "quantization");
    *out = (coding){ .stored = type };
    if (!q)
        return 0;
    const char *dtype = json_string_value(json_object_get(q, "dtype"));
    const json_t *scale = json_object_get(q, "scale"), *min = json_object_get(q, "min");
    if (dtype && strcmp(dtype, "float16") == 0 && type == NN_F32) {
        out->stored = NN_F16;
        return 0;
    }
    if (!dtype || (strcmp(dtype, "uint8") != 0 && strcmp(dtype, "uint16") != 0) || !json_is_number(scale) ||
        !json_is_number(min) || (type != NN_F32 && type != NN_I32))
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" is quantised in a way that is not supported", name);
    out->stored = strcmp(dtype, "uint8") == 0 ? NN_U8 : NN_U16;
    out->scale = json_number_value(scale);
    out->min = json_number_value(min);
    out->quantised = true;
    return fabs(out->scale) < 1e30 && fabs(out->min) < 1e30
               ? 0
               : sm_fail(SM_EFORMAT, "tensor \"%s\" has a scale that makes no sense", name);
}

/* Everything of a manifest's entry but its bytes, and how many these are. */
static int read_entry(sm_weights *w, const json_t *j, w_tensor *t, coding *c, size_t *bytes)
{
    static const struct {
        const char *name;
        nn_type type;
    } dtypes[] = {
        { "float32", NN_F32 }, { "int32", NN_I32 }, { "bool", NN_BOOL }, { "uint8", NN_U8 }, { "float16", NN_F16 }
    };
    const char *name = json_string_value(json_object_get(j, "name")),
               *dtype = json_string_value(json_object_get(j, "dtype"));
    size_t i = 0;
    int err;
    if (!name || !dtype)
        return sm_fail(SM_EFORMAT, "the manifest has a tensor without a name or dtype");
    *t = (w_tensor){ .scale_axis = -1 };
    if ((err = w_text(w, name, strlen(name), "a tensor's name", &t->name)) < 0)
        return err;
    while (i < SM_LENGTH(dtypes) && strcmp(dtypes[i].name, dtype) != 0)
        i++;
    if (i == SM_LENGTH(dtypes))
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" has the type %.20s, which is not supported", name, dtype);
    t->type = dtypes[i].type;
    if ((err = w_json_shape(json_object_get(j, "shape"), name, &t->shape)) < 0 ||
        (err = w_check_shape(name, NN_F64, &t->shape)) < 0 || (err = read_coding(j, name, t->type, c)) < 0)
        return err;
    *bytes = (size_t)nn_elements(&t->shape) * nn_type_size(c->stored);
    return 0;
}

static int add_weight(sm_weights *w, w_tensor *t, const coding *c, const uint8_t *data)
{
    if (!c->quantised) {
        t->type = c->stored;
        t->bytes = data;
        return w_add(w, t);
    }
    quantised *q = sm_arena_get(w->arena, 1, sizeof *q, 8);
    if (!q)
        return w_no_memory();
    *q = (quantised){ data, *c };
    t->how = q;
    t->fill = fill_quantised;
    return w_add(w, t);
}

/* A name that leads out of the folder is not a shard's. */
static bool name_is_safe(const char *name)
{
    for (const char *p = name; (p = strstr(p, "..")) != NULL; p++)
        if ((p == name || p[-1] == '/') && (p[2] == 0 || p[2] == '/'))
            return false;
    return *name && *name != '/' && !strchr(name, '\\');
}

static int read_shards(sm_weights *w, const json_t *paths, size_t bytes, sm_buffer *out)
{
    size_t i;
    json_t *path;
    int err = 0;
    json_array_foreach(paths, i, path)
    {
        const char *name = json_string_value(path);
        if (!name || !name_is_safe(name))
            return sm_fail(SM_EFORMAT, "the manifest names a shard \"%.80s\", which is no file beside it",
                           name ? name : "");
        if (!w->read_part)
            return sm_fail(SM_ENOTFOUND, "the shard %s stands in a file of its own", name);
        if ((err = w->read_part(w, name, bytes - out->length, out)) < 0)
            return err == SM_ELIMIT ? sm_fail(SM_EFORMAT, "shard %s has more bytes than the manifest tells", name)
                                    : err;
    }
    if (out->length != bytes)
        return sm_fail(SM_EFORMAT, "the shards hold %zu bytes, the manifest tells %zu", out->length, bytes);
    return 0;
}

/* One group: its shards joined hold its weights one after the other; a weight may straddle two shards. */
static int read_group(sm_weights *w, const json_t *group, sm_buffer *out)
{
    const json_t *list = json_object_get(group, "weights"), *paths = json_object_get(group, "paths");
    size_t total = 0, bytes, i;
    json_t *entry;
    w_tensor t;
    coding c;
    int err;
    if (!json_is_array(list) || !json_is_array(paths))
        return sm_fail(SM_EFORMAT, "the manifest has a group without weights or paths");
    json_array_foreach(list, i, entry)
    {
        if ((err = read_entry(w, entry, &t, &c, &bytes)) < 0)
            return err;
        if (sm_add_overflow(total, bytes, &total))
            return sm_fail(SM_EFORMAT, "the manifest tells an impossible size");
    }
    if ((err = read_shards(w, paths, total, out)) < 0)
        return err;
    w->budget += SM_MIN(out->length, SIZE_MAX / 16) * 8; /* one byte may become four */
    const uint8_t *at = (const uint8_t *)(out->data ? out->data : "");
    json_array_foreach(list, i, entry)
    {
        if ((err = read_entry(w, entry, &t, &c, &bytes)) < 0 || (err = add_weight(w, &t, &c, at)) < 0)
            return err;
        at += bytes;
    }
    return 0;
}

static int read_manifest(sm_weights *w, const json_t *manifest)
{
    const size_t n = json_array_size(manifest);
    int err = 0;
    if (!json_is_array(manifest))
        return sm_fail(SM_EFORMAT, "no model.json of TensorFlow.js: it has no weightsManifest");
    w->parts = sm_alloc_zero(n, sizeof *w->parts);
    if (!w->parts)
        return w_no_memory();
    w->n_parts = n;
    for (size_t i = 0; i < n && err == 0; i++)
        err = read_group(w, json_array_get(manifest, i), &w->parts[i]);
    return err;
}

/* ---- attributes ---- */

static int text_of(sm_weights *w, const json_t *j, const char *what, const char **out)
{
    if (!json_is_string(j))
        return sm_fail(SM_EFORMAT, "%s is no text", what);
    return w_text(w, json_string_value(j), json_string_length(j), what, out);
}

/* Numbers are written as numbers or, being int64, as text. */
static bool int_of(const json_t *j, int64_t *out)
{
    if (json_is_integer(j)) {
        *out = json_integer_value(j);
        return true;
    }
    return json_is_string(j) && sm_parse_int(json_string_value(j), out);
}

/* Protobuf's bytes stand in JSON as base64. */
static int base64_of(sm_weights *w, const json_t *j, const char **out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *s = json_string_value(j);
    uint32_t bits = 0;
    size_t n = 0, have = 0;
    if (!s)
        return sm_fail(SM_EFORMAT, "an attribute is no text");
    char *text = sm_alloc(json_string_length(j), 1);
    if (!text)
        return w_no_memory();
    for (; *s && *s != '='; s++) {
        const char *digit = strchr(digits, *s == '-' ? '+' : *s == '_' ? '/' : *s);
        if (!digit) {
            sm_free(text);
            return sm_fail(SM_EFORMAT, "an attribute is not base64");
        }
        bits = bits << 6 | (uint32_t)(digit - digits);
        if ((have += 6) >= 8)
            text[n++] = (char)(bits >> (have -= 8));
    }
    const int err = w_text(w, text, n, "an attribute", out);
    sm_free(text);
    return err;
}

static int type_attr(sm_weights *w, const json_t *j, sm_foreign_attr *a)
{
    nn_type type;
    int64_t number = -1;
    int err = 0;
    if (int_of(j, &number)) {
        a->s = tf_type_name(number);
        a->s = a->s ? a->s : "?";
    } else if ((err = text_of(w, j, "a type", &a->s)) == 0) {
        number = tf_type_number(a->s);
    }
    a->kind = SM_ATTR_TYPE;
    a->i = tf_type(number, &type) ? (int64_t)type : -1;
    return err;
}

static int shape_attr(sm_weights *w, const json_t *j, sm_foreign_attr *a)
{
    const json_t *dims = json_object_get(j, "dim");
    const size_t n = json_array_size(dims);
    a->kind = SM_ATTR_INTS;
    if (json_is_true(json_object_get(j, "unknownRank")))
        return 0;
    int64_t *ints = sm_arena_get(w->arena, n, sizeof *ints, 8);
    if (!ints)
        return w_no_memory();
    for (size_t i = 0; i < n; i++) {
        ints[i] = 0;
        const json_t *size = json_object_get(json_array_get(dims, i), "size");
        if (size && !int_of(size, &ints[i]))
            return sm_fail(SM_EFORMAT, "a shape holds something that is no size");
    }
    a->ints = ints;
    a->n = n;
    return 0;
}

static int list_attr(sm_weights *w, const json_t *j, sm_foreign_attr *a)
{
    const json_t *s = json_object_get(j, "s"), *f = json_object_get(j, "f"), *i = json_object_get(j, "i");
    const size_t n = json_array_size(s ? s : f ? f : i);
    int err = 0;
    const char **strings = sm_arena_get(w->arena, n, sizeof *strings, 8);
    float *floats = sm_arena_get(w->arena, n, sizeof *floats, 8);
    int64_t *ints = sm_arena_get(w->arena, n, sizeof *ints, 8);
    if (!strings || !floats || !ints)
        return w_no_memory();
    a->kind = s ? SM_ATTR_STRINGS : f ? SM_ATTR_FLOATS : SM_ATTR_INTS;
    for (size_t k = 0; k < n && err == 0; k++) {
        if (s)
            err = base64_of(w, json_array_get(s, k), &strings[k]);
        else if (f)
            floats[k] = (float)json_number_value(json_array_get(f, k));
        else if (!int_of(json_array_get(i, k), &ints[k]))
            err = sm_fail(SM_EFORMAT, "a list of integers holds something else");
    }
    a->strings = s ? strings : NULL;
    a->floats = !s && f ? floats : NULL;
    a->ints = !s && !f ? ints : NULL;
    a->n = n;
    return err;
}

static int read_attr(sm_weights *w, const json_t *j, tf_node *node, sm_foreign_attr *a, bool *known)
{
    const json_t *v;
    *known = true;
    if ((v = json_object_get(j, "i"))) {
        a->kind = SM_ATTR_INT;
        return int_of(v, &a->i) ? 0 : sm_fail(SM_EFORMAT, "attribute \"%s\" is no integer", a->name);
    }
    if ((v = json_object_get(j, "b"))) {
        a->kind = SM_ATTR_INT;
        a->i = json_is_true(v);
        return 0;
    }
    if ((v = json_object_get(j, "f"))) {
        a->kind = SM_ATTR_FLOAT;
        a->f = json_number_value(v);
        return 0;
    }
    if ((v = json_object_get(j, "s"))) {
        a->kind = SM_ATTR_STRING;
        return base64_of(w, v, &a->s);
    }
    if ((v = json_object_get(j, "type")))
        return type_attr(w, v, a);
    if ((v = json_object_get(j, "shape")))
        return shape_attr(w, v, a);
    if ((v = json_object_get(j, "list")))
        return list_attr(w, v, a);
    *known = false;
    if ((v = json_object_get(j, "func")))
        return text_of(w, json_object_get(v, "name"), "a function's name", &node->function);
    return 0;
}

/* ---- nodes and functions ---- */

static int read_node(sm_weights *w, const json_t *j, tf_nodes *list)
{
    tf_node n = { 0 };
    const json_t *inputs = json_object_get(j, "input");
    json_t *attr_json = json_object_get(j, "attr"), *value;
    const char *key;
    int err;
    if ((err = text_of(w, json_object_get(j, "name"), "a node's name", &n.name)) < 0 ||
        (err = text_of(w, json_object_get(j, "op"), "a node's operator", &n.op)) < 0)
        return err;
    n.inputs = sm_arena_get(w->arena, json_array_size(inputs), sizeof *n.inputs, 8);
    sm_foreign_attr *attrs = sm_arena_zero(w->arena, json_object_size(attr_json), sizeof *attrs);
    if (!n.inputs || !attrs)
        return w_no_memory();
    for (size_t i = 0; i < json_array_size(inputs) && err == 0; i++)
        err = text_of(w, json_array_get(inputs, i), "a node's input", &n.inputs[n.n_inputs++]);
    json_object_foreach(attr_json, key, value)
    {
        bool known = false;
        if (err == 0 && strcmp(key, "value") != 0 &&
            (err = w_text(w, key, strlen(key), "an attribute's name", &attrs[n.n_attrs].name)) == 0)
            err = read_attr(w, value, &n, &attrs[n.n_attrs], &known);
        n.n_attrs += err == 0 && known;
    }
    n.attrs = attrs;
    return err < 0 ? sm_fail_prefix(err, "node \"%s\"", n.name) : tf_add_node(list, &n);
}

static int read_arguments(sm_weights *w, const json_t *list, const char ***out, size_t *n)
{
    int err = 0;
    *out = sm_arena_get(w->arena, json_array_size(list), sizeof **out, 8);
    *n = 0;
    if (!*out)
        return w_no_memory();
    for (size_t i = 0; i < json_array_size(list) && err == 0; i++)
        err = text_of(w, json_object_get(json_array_get(list, i), "name"), "an argument's name", &(*out)[(*n)++]);
    return err;
}

static int read_function(tf_graph *g, const json_t *j)
{
    sm_weights *w = g->w;
    const json_t *signature = json_object_get(j, "signature"), *nodes = json_object_get(j, "nodeDef"),
                 *ret = json_object_get(j, "ret");
    tf_function fn = { 0 };
    int err;
    if ((err = text_of(w, json_object_get(signature, "name"), "a function's name", &fn.name)) < 0 ||
        (err = read_arguments(w, json_object_get(signature, "inputArg"), &fn.arguments, &fn.n_arguments)) < 0 ||
        (err = read_arguments(w, json_object_get(signature, "outputArg"), &fn.results, &fn.n_results)) < 0)
        return err;
    for (size_t i = 0; i < fn.n_results && err == 0; i++)
        err = text_of(w, json_object_get(ret, fn.results[i]), "a function's result", &fn.results[i]);
    for (size_t i = 0; i < json_array_size(nodes) && err == 0; i++)
        err = read_node(w, json_array_get(nodes, i), &fn.body);
    if (err == 0)
        err = tf_add_function(g, &fn);
    if (err < 0)
        sm_free(fn.body.nodes);
    return err;
}

/* The signature's outputs, when it names any; "x:0" is "x". */
static int read_outputs(tf_graph *g, json_t *signature)
{
    json_t *outputs = json_object_get(signature, "outputs"), *value;
    const char *key;
    int err = 0;
    g->outputs = sm_arena_get(g->w->arena, json_object_size(outputs), sizeof *g->outputs, 8);
    if (!g->outputs)
        return w_no_memory();
    json_object_foreach(outputs, key, value)
    {
        const char *name = NULL;
        if (err < 0 || !json_object_get(value, "name"))
            continue;
        err = text_of(g->w, json_object_get(value, "name"), "an output's name", &name);
        if (err == 0 && sm_text_has_suffix(name, ":0")) {
            name = sm_arena_strndup(g->w->arena, name, strlen(name) - 2);
            err = name ? 0 : w_no_memory();
        }
        g->outputs[g->n_outputs++] = name;
    }
    return err;
}

static int read_topology(tf_graph *g, const json_t *topology, json_t *signature)
{
    const json_t *nodes = json_object_get(topology, "node"),
                 *functions = json_object_get(json_object_get(topology, "library"), "function");
    int err = 0;
    for (size_t i = 0; i < json_array_size(nodes) && err == 0; i++)
        err = read_node(g->w, json_array_get(nodes, i), &g->main);
    for (size_t i = 0; i < json_array_size(functions) && err == 0; i++)
        err = read_function(g, json_array_get(functions, i));
    if (err == 0)
        err = read_outputs(g, signature);
    return err < 0 ? err : tf_graph_finish(g);
}

static int keep_meta(sm_weights *w, const json_t *root, const char *key)
{
    const json_t *v = json_object_get(root, key);
    if (json_is_string(v))
        return w_meta(w, key, json_string_value(v));
    if (!v)
        return 0;
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        return w_no_memory();
    const int err = w_meta(w, key, text);
    free(text); /* jansson's */
    return err;
}

static int read_model(sm_weights *w, const json_t *root)
{
    static const char *const kept[] = { "format", "generatedBy", "convertedBy", "userDefinedMetadata", "signature" };
    const json_t *topology = json_object_get(root, "modelTopology"),
                 *meta = json_object_get(root, "userDefinedMetadata");
    json_t *signature = json_object_get(root, "signature");
    tf_graph g = { .w = w };
    int err = read_manifest(w, json_object_get(root, "weightsManifest"));
    for (size_t i = 0; i < SM_LENGTH(kept) && err == 0; i++)
        err = keep_meta(w, root, kept[i]);
    if (!signature)
        signature = json_object_get(meta, "signature");
    if (err == 0 && json_object_get(topology, "node")) /* else a layers model: weights only */
        err = read_topology(&g, topology, signature);
    tf_graph_free(&g);
    return err;
}

int w_tfjs_open(sm_weights *w)
{
    json_t *root = NULL;
    int err = w_json_parse(w->data, w->size, "the file", &root);
    if (err == 0)
        err = read_model(w, root);
    json_decref(root);
    return err;
}
