#include "weights/protobuf.h"

int pb_last(pb_bytes m, uint32_t number, pb_bytes *out)
{
    pb_field f;
    int got;
    *out = (pb_bytes){ NULL, NULL };
    while ((got = pb_next(&m, &f)) > 0)
        if (f.number == number && f.wire == PB_BYTES)
            *out = f.bytes;
    return got;
}

int pb_count(pb_bytes m, uint32_t number, size_t *n)
{
    pb_field f;
    int got;
    *n = 0;
    while ((got = pb_next(&m, &f)) > 0)
        *n += f.number == number && f.wire == PB_BYTES;
    return got;
}

int pb_text(sm_weights *w, pb_field f, const char *what, const char **out)
{
    if (f.wire != PB_BYTES)
        return sm_fail(SM_EFORMAT, "%s is no text", what);
    return w_text(w, f.bytes.p, pb_size(f.bytes), what, out);
}

bool pb_varint(pb_bytes *m, uint64_t *out)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && m->p < m->end; shift += 7) {
        const uint8_t b = *m->p++;
        v |= (uint64_t)(b & 0x7F) << shift;
        if (!(b & 0x80)) {
            *out = v;
            return true;
        }
    }
    return false;
}

static bool fixed(pb_bytes *m, size_t n, uint64_t *out)
{
    if (pb_size(*m) < n)
        return false;
    *out = n == 4 ? w_u32(m->p) : w_u64(m->p);
    m->p += n;
    return true;
}

int pb_next(pb_bytes *m, pb_field *out)
{
    uint64_t key = 0, n = 0;
    bool whole;
    if (m->p == m->end)
        return 0;
    memset(out, 0, sizeof *out);
    if (!pb_varint(m, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return sm_fail(SM_EFORMAT, "damaged or cut short: no field where one should start");
    out->number = (uint32_t)(key >> 3);
    out->wire = (int)(key & 7);
    switch (out->wire) {
    case PB_VARINT:
        whole = pb_varint(m, &out->value);
        break;
    case PB_FIXED64:
        whole = fixed(m, 8, &out->value);
        break;
    case PB_FIXED32:
        whole = fixed(m, 4, &out->value);
        break;
    case PB_BYTES:
        whole = pb_varint(m, &n) && n <= pb_size(*m);
        if (whole) {
            out->bytes = (pb_bytes){ m->p, m->p + n };
            m->p += n;
        }
        break;
    default:
        return sm_fail(SM_EFORMAT, "damaged: a field of wire type %d", out->wire);
    }
    return whole ? 1 : sm_fail(SM_EFORMAT, "damaged or cut short: field %u goes beyond the end", out->number);
}

static bool one_number(pb_bytes *m, int wire, uint64_t *out)
{
    return wire == PB_VARINT ? pb_varint(m, out) : fixed(m, wire == PB_FIXED32 ? 4 : 8, out);
}

int pb_numbers_next(pb_numbers *n, uint64_t *out)
{
    pb_field f;
    int got;
    for (;;) {
        if (n->packed.p != n->packed.end)
            return one_number(&n->packed, n->wire, out) ? 1 : sm_fail(SM_EFORMAT, "a list of numbers is cut short");
        if ((got = pb_next(&n->message, &f)) <= 0)
            return got;
        if (f.number != n->number)
            continue;
        if (f.wire == PB_BYTES) {
            n->packed = f.bytes;
        } else if (f.wire == n->wire) {
            *out = f.value;
            return 1;
        } else {
            return sm_fail(SM_EFORMAT, "a list of numbers holds something else");
        }
    }
}

/* ---- tensors ---- */

/* The lowest bytes are the number, for all types: floats come as their bits, halves as 16 bits of a varint. */
static void store(nn_type type, uint64_t value, uint8_t *out)
{
    if (type == NN_BOOL)
        value = value != 0;
    for (size_t i = 0; i < nn_type_size(type); i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static int fill_list(const sm_weights *w, const w_tensor *t, void *out)
{
    pb_numbers numbers = *(const pb_numbers *)t->how;
    const size_t n = (size_t)nn_elements(&t->shape), unit = nn_type_size(t->type);
    uint8_t *to = out;
    uint64_t value = 0;
    int got = 1;
    (void)w;
    for (size_t i = 0; i < n; i++, to += unit) {
        if (got > 0) {
            uint64_t next;
            got = pb_numbers_next(&numbers, &next);
            if (got < 0)
                return got;
            if (got > 0)
                value = next;
        }
        store(t->type, value, to);
    }
    return 0;
}

static int count(pb_numbers numbers, uint64_t *n)
{
    uint64_t value;
    int got;
    *n = 0;
    while ((got = pb_numbers_next(&numbers, &value)) > 0)
        ++*n;
    return got;
}

int pb_tensor_data(sm_weights *w, pb_bytes message, pb_bytes raw, const pb_type *type, bool repeat, w_tensor *t)
{
    uint64_t n = 0;
    int err = w_check_shape(t->name, t->type, &t->shape);
    if (err < 0)
        return err;
    const size_t bytes = w_tensor_bytes(t), wanted = (size_t)nn_elements(&t->shape);
    if (raw.p != raw.end || wanted == 0) {
        if (pb_size(raw) != bytes)
            return sm_fail(SM_EFORMAT, "tensor \"%s\" has %zu bytes, expected %zu", t->name, pb_size(raw), bytes);
        t->bytes = wanted ? raw.p : w->data;
        return 0;
    }
    pb_numbers *list = sm_arena_get(w->arena, 1, sizeof *list, 8);
    if (!list)
        return w_no_memory();
    *list = (pb_numbers){ message, { NULL, NULL }, type->field, type->wire };
    if ((err = count(*list, &n)) < 0)
        return sm_fail_prefix(err, "tensor \"%s\"", t->name);
    if (repeat ? n > wanted : n != wanted)
        return sm_fail(SM_EFORMAT, "tensor \"%s\" has %llu values, expected %zu", t->name, (unsigned long long)n,
                       wanted);
    t->how = list;
    t->fill = fill_list;
    return 0;
}
