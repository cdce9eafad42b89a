/* Attributes of groups become metadata: one string as it is, everything else as JSON. */
#include "weights/h5.h"

typedef struct {
    const char *name;
    h5_type type;
    h5_space space;
    const uint8_t *data;
    size_t n_data;
} attribute;

static size_t padded(size_t n, bool pad)
{
    return pad ? (n + 7) / 8 * 8 : n;
}

/* *known: false for what has no use here (shared types, odd versions). */
static int read_attribute(sm_weights *w, const h5_file *f, const uint8_t *p, size_t n, attribute *a, bool *known)
{
    int err;
    *known = false;
    if (n < 8)
        return sm_fail(SM_EFORMAT, "an attribute of %zu bytes", n);
    const int version = p[0];
    const size_t name = w_u16(p + 2), type = w_u16(p + 4), space = w_u16(p + 6);
    const bool pad = version == 1;
    size_t at = version == 3 ? 9 : 8;
    if (version < 1 || version > 3 || (version > 1 && p[1] & 3))
        return 0;
    const size_t need = at + padded(name, pad) + padded(type, pad) + padded(space, pad);
    if (need > n || name == 0)
        return sm_fail(SM_EFORMAT, "an attribute is cut short");
    if ((err = w_text(w, p + at, strnlen((const char *)p + at, name), "an attribute's name", &a->name)) < 0)
        return err;
    at += padded(name, pad);
    if ((err = h5_read_type(p + at, type, &a->type)) < 0)
        return err;
    at += padded(type, pad);
    if ((err = h5_read_space(f, p + at, space, &a->space)) < 0)
        return err;
    a->data = p + need;
    a->n_data = n - need;
    *known = true;
    return 0;
}

/* Object `index` of the global heap collection at `address`. */
static int heap_object(sm_weights *w, const h5_file *f, uint64_t address, uint32_t index, const uint8_t **out,
                       uint64_t *length)
{
    const size_t head = 8 + (size_t)f->length_size;
    const uint8_t *p = h5_at(f, address, head, "a heap of strings");
    if (!p)
        return SM_EFORMAT;
    const uint64_t size = h5_uint(p + 8, f->length_size);
    if (memcmp(p, "GCOL", 4) != 0 || !h5_at(f, address, size, "a heap of strings") || size < head)
        return sm_fail(SM_EFORMAT, "a heap of strings is damaged");
    int err = 0;
    for (uint64_t at = head; size - at >= head && (err = w_spend(w, 8)) == 0;) {
        const uint64_t n = h5_uint(p + at + 8, f->length_size);
        const uint32_t this = w_u16(p + at);
        if (this == 0 || n > size - at - head)
            break;
        if (this == index) {
            *out = p + at + head;
            *length = n;
            return 0;
        }
        const uint64_t step = head + (n + 7) / 8 * 8;
        if (step > size - at)
            break;
        at += step;
    }
    return err < 0 ? err : sm_fail(SM_EFORMAT, "a string is not in its heap");
}

/* Element i as text; its length without padding. */
static int string_at(sm_weights *w, const h5_file *f, const attribute *a, size_t i, const uint8_t **out, uint64_t *n)
{
    const uint8_t *p = a->data + i * a->type.size;
    if (a->type.string) {
        *out = p;
        *n = strnlen((const char *)p, a->type.size);
    } else {
        const uint64_t length = w_u32(p), address = h5_address(f, p + 4);
        *n = 0;
        *out = p;
        if (length == 0 || address == 0)
            return 0;
        const int err = heap_object(w, f, address, w_u32(p + 4 + f->offset_size), out, n);
        if (err < 0)
            return err;
        *n = strnlen((const char *)*out, (size_t)SM_MIN(*n, length));
    }
    while (a->type.space_padded && *n && (*out)[*n - 1] == ' ')
        --*n;
    return 0;
}

static int add_string(sm_weights *w, const h5_file *f, const attribute *a, size_t i, sm_json *j, sm_buffer *raw)
{
    const uint8_t *text;
    uint64_t n;
    int err = string_at(w, f, a, i, &text, &n);
    if (err < 0 || (err = w_spend(w, (size_t)n)) < 0)
        return err;
    if (!j) {
        sm_buffer_add(raw, text, (size_t)n);
        return 0;
    }
    char *copy = sm_strndup((const char *)text, (size_t)n);
    if (!copy)
        return w_no_memory();
    sm_json_string(j, copy);
    sm_free(copy);
    return 0;
}

static void add_number(const attribute *a, size_t i, sm_json *j)
{
    const uint8_t *p = a->data + i * a->type.size;
    float f;
    if (a->type.type == NN_I64)
        sm_json_int(j, (int64_t)w_u64(p));
    else if (a->type.type == NN_I32)
        sm_json_int(j, (int32_t)w_u32(p));
    else if (a->type.type == NN_F64)
        sm_json_f64(j, w_f64(p));
    else {
        w_to_f32(a->type.type, p, 1, &f);
        sm_json_f32(j, f);
    }
}

static int value_text(sm_weights *w, const h5_file *f, const attribute *a, sm_buffer *out)
{
    size_t n = a->space.null ? 0 : 1;
    int err = 0;
    sm_json json, *j = NULL;
    for (int i = 0; i < a->space.rank; i++)
        if (a->space.dim[i] > SIZE_MAX || sm_mul_overflow(n, (size_t)a->space.dim[i], &n))
            return sm_fail(SM_EFORMAT, "attribute \"%s\" has an impossible size", a->name);
    if (a->type.vlen_string && a->type.size < 8 + (uint32_t)f->offset_size)
        return sm_fail(SM_EFORMAT, "attribute \"%s\" is damaged", a->name);
    if (n > a->n_data / a->type.size)
        return sm_fail(SM_EFORMAT, "attribute \"%s\" is cut short", a->name);
    if (a->type.number || a->space.rank || n != 1) {
        j = &json;
        sm_json_init(j, out, false);
        if (a->space.rank)
            sm_json_begin_array(j);
    }
    for (size_t i = 0; i < n && err == 0; i++) {
        if (a->type.number)
            add_number(a, i, j);
        else
            err = add_string(w, f, a, i, j, out);
    }
    if (a->space.rank)
        sm_json_end_array(j);
    return err < 0 ? err : out->failed ? w_no_memory() : 0;
}

int h5_add_attribute(sm_weights *w, const h5_file *f, const char *group, const uint8_t *p, size_t n)
{
    attribute a;
    bool known;
    sm_buffer text = { 0 };
    int err = read_attribute(w, f, p, n, &a, &known);
    if (err < 0 || !known || (!a.type.number && !a.type.string && !a.type.vlen_string))
        return err;
    err = value_text(w, f, &a, &text);
    if (err == 0 && sm_utf8_valid(text.data ? text.data : "", text.length)) {
        const char *key = *group ? sm_arena_printf(w->arena, "%s:%s", a.name, group) : a.name;
        err = key ? w_meta(w, key, text.data ? text.data : "") : w_no_memory();
    }
    sm_buffer_free(&text);
    return err;
}
