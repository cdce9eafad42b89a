/* safetensors: u64 length of a JSON header, the header, then the tensors' bytes without gaps. Read in place. */
#include <stdlib.h>

#include "weights/json_in.h"

enum { MAX_HEADER = 100 << 20 }; /* the format's own limit */

static const struct {
    const char *name;
    nn_type type;
} types[] = {
    { "F32", NN_F32 }, { "F64", NN_F64 }, { "F16", NN_F16 }, { "BF16", NN_BF16 }, { "I8", NN_I8 },     { "U8", NN_U8 },
    { "I16", NN_I16 }, { "U16", NN_U16 }, { "I32", NN_I32 }, { "I64", NN_I64 },   { "BOOL", NN_BOOL },
};

const char *w_safetensors_type(nn_type type)
{
    for (size_t i = 0; i < SM_LENGTH(types); i++)
        if (types[i].type == type)
            return types[i].name;
    return NULL;
}

bool w_safetensors_probe(const uint8_t *d, size_t n)
{
    return n >= 9 && d[8] == '{' && w_u64(d) <= MAX_HEADER;
}

typedef struct {
    uint64_t begin, end;
} span;

static int by_begin(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The spans must tile the data, so that no byte is hidden and none is told twice. */
static int check_tiling(span *spans, size_t n, uint64_t size)
{
    uint64_t at = 0;
    qsort(spans, n, sizeof *spans, by_begin);
    for (size_t i = 0; i < n; i++) {
        if (spans[i].begin != at)
            return sm_fail(SM_EFORMAT, "the tensors leave a gap or overlap at byte %llu of the data",
                           (unsigned long long)SM_MIN(at, spans[i].begin));
        at = spans[i].end;
    }
    if (at != size)
        return sm_fail(SM_EFORMAT, "the tensors need %llu bytes, the file holds %llu", (unsigned long long)at,
                       (unsigned long long)size);
    return 0;
}

static int read_tensor(sm_weights *w, const char *name, const json_t *j, const uint8_t *data, uint64_t size, span *out)
{
    w_tensor t = { .scale_axis = -1 };
    const char *dtype = json_string_value(json_object_get(j, "dtype"));
    const json_t *offsets = json_object_get(j, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    size_t i = 0;
    int err;
    if (!dtype)
        return sm_fail(SM_EFORMAT, "tensor \"%s\" has no dtype", name);
    while (i < SM_LENGTH(types) && strcmp(types[i].name, dtype) != 0)
        i++;
    if (i == SM_LENGTH(types))
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" has the type %.20s, which is not supported", name, dtype);
    t.type = types[i].type;
    if ((err = w_text(w, name, strlen(name), "a tensor's name", &t.name)) < 0 ||
        (err = w_json_shape(json_object_get(j, "shape"), name, &t.shape)) < 0 ||
        (err = w_check_shape(name, t.type, &t.shape)) < 0)
        return err;
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return sm_fail(SM_EFORMAT, "tensor \"%s\" has no proper data_offsets", name);
    *out = (span){ (uint64_t)json_integer_value(begin), (uint64_t)json_integer_value(end) };
    if (out->end > size)
        return sm_fail(SM_EFORMAT, "tensor \"%s\" ends at byte %llu of the data, the file holds %llu", name,
                       (unsigned long long)out->end, (unsigned long long)size);
    if (out->end - out->begin != w_tensor_bytes(&t)) {
        char text[96];
        return sm_fail(SM_EFORMAT, "tensor \"%s\" is %s %s but has %llu bytes", name, nn_shape_text(&t.shape, text),
                       dtype, (unsigned long long)(out->end - out->begin));
    }
    t.bytes = data + out->begin;
    return w_add(w, &t);
}

static int read_metadata(sm_weights *w, json_t *meta)
{
    const char *key;
    json_t *value;
    int err = 0;
    if (!json_is_object(meta))
        return sm_fail(SM_EFORMAT, "__metadata__ is no object");
    json_object_foreach(meta, key, value)
    {
        if (!json_is_string(value))
            return sm_fail(SM_EFORMAT, "__metadata__ \"%s\" is no string", key);
        if ((err = w_meta(w, key, json_string_value(value))) < 0)
            return err;
    }
    return 0;
}

/* Joins what our writer parted: NAME@scale, NAME@zero and the axis in the metadata. Foreign files with such names by chance
 * lack the metadata and stay as they are. */
static int join_scales(sm_weights *w)
{
    for (size_t i = 0; i < w->n_tensors; i++) {
        w_tensor *t = &w->tensors[i];
        char key[512];
        if (snprintf(key, sizeof key, "%s@axis", t->name) >= (int)sizeof key || !sm_weights_meta(w, key))
            continue;
        int64_t axis;
        if (!sm_parse_int(sm_weights_meta(w, key), &axis) || axis < -1 || axis >= t->shape.rank)
            return sm_fail(SM_EFORMAT, "tensor \"%s\" has no proper axis of its scales", t->name);
        const int64_t n = axis < 0 ? 1 : t->shape.dim[axis];
        snprintf(key, sizeof key, "%s@scale", t->name);
        w_tensor *scale = w_find(w, key);
        snprintf(key, sizeof key, "%s@zero", t->name);
        w_tensor *zero = w_find(w, key);
        if (!scale || scale == t || scale->type != NN_F32 || nn_elements(&scale->shape) != n ||
            (zero && (zero == t || zero->type != NN_I32 || nn_elements(&zero->shape) != n)))
            return sm_fail(SM_EFORMAT, "tensor \"%s\" has no proper scales", t->name);
        int err = w_ready(w, scale);
        if (err < 0 || (zero && (err = w_ready(w, zero)) < 0))
            return err;
        t->scale = scale->made ? scale->made : (const void *)scale->bytes;
        if (zero)
            t->zero = zero->made ? zero->made : (const void *)zero->bytes;
        t->scale_axis = (int)axis;
    }
    return 0;
}

int w_safetensors_open(sm_weights *w)
{
    const uint64_t header = w_u64(w->data);
    json_t *root = NULL;
    span *spans = NULL;
    size_t n = 0;
    const char *key;
    json_t *value;
    int err = 0;

    if (header > w->size - 8)
        return sm_fail(SM_EFORMAT, "the header claims %llu bytes, the file has %zu", (unsigned long long)header,
                       w->size);
    if ((err = w_json_parse(w->data + 8, header, "the header", &root)) < 0)
        return err;
    if (!json_is_object(root)) {
        err = sm_fail(SM_EFORMAT, "the header is no JSON object");
        goto out;
    }
    spans = sm_alloc(json_object_size(root), sizeof *spans);
    if (!spans) {
        err = w_no_memory();
        goto out;
    }
    const uint8_t *data = w->data + 8 + header;
    const uint64_t size = w->size - 8 - header;
    json_object_foreach(root, key, value)
    {
        err = strcmp(key, "__metadata__") == 0 ? read_metadata(w, value)
                                               : read_tensor(w, key, value, data, size, &spans[n]);
        if (err < 0)
            goto out;
        n += strcmp(key, "__metadata__") != 0;
    }
    if ((err = check_tiling(spans, n, size)) == 0)
        err = join_scales(w);
out:
    sm_free(spans);
    json_decref(root);
    return err;
}
