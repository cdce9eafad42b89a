/* Data sets: where their bytes are. Contiguous and compact data are used in place, chunks are put together when asked for. */
#include "weights/h5.h"

static int shape_of(const h5_dataset *d, const char *name, nn_shape *out)
{
    if (d->space.rank > NN_MAX_RANK)
        return sm_fail(SM_EUNSUPPORTED, "\"%s\" has %d axes, at most %d are supported", name, d->space.rank,
                       NN_MAX_RANK);
    out->rank = d->space.rank;
    for (int i = 0; i < out->rank; i++) {
        if (d->space.dim[i] > INT64_MAX)
            return sm_fail(SM_EFORMAT, "\"%s\" has an impossible size", name);
        out->dim[i] = (int64_t)d->space.dim[i];
    }
    return w_check_shape(name, d->type.type, out);
}

static int too_short(const char *name)
{
    return sm_fail(SM_EFORMAT, "the layout of \"%s\" is cut short", name);
}

/* The value of what was never written: the fill value message, or zero. */
static void read_fill(const h5_dataset *d, uint8_t out[8])
{
    const uint8_t *p = d->fill;
    size_t at = 0;
    memset(out, 0, 8);
    if (d->n_fill < 8 || d->type.size > 8)
        return;
    if (p[0] == 3 && p[1] & 0x20)
        at = 2;
    else if (p[0] == 1 || (p[0] == 2 && p[3]))
        at = 4;
    if (at && w_u32(p + at) == d->type.size && d->n_fill >= at + 4 + d->type.size)
        memcpy(out, p + at + 4, d->type.size);
}

static int fill_constant(const sm_weights *w, const w_tensor *t, void *out)
{
    (void)w;
    const size_t unit = nn_type_size(t->type), n = (size_t)nn_elements(&t->shape);
    for (size_t i = 0; i < n; i++)
        memcpy((uint8_t *)out + i * unit, t->how, unit);
    return 0;
}

static int never_written(sm_weights *w, const h5_dataset *d, w_tensor *t)
{
    uint8_t fill[8];
    read_fill(d, fill);
    uint8_t *kept = sm_arena_get(w->arena, 1, sizeof fill, 8);
    if (!kept)
        return w_no_memory();
    memcpy(kept, fill, sizeof fill);
    t->how = kept;
    t->fill = fill_constant;
    return 0;
}

static int contiguous(sm_weights *w, const h5_dataset *d, uint64_t address, w_tensor *t)
{
    if (h5_undefined(d->file, address))
        return never_written(w, d, t);
    const size_t n = w_tensor_bytes(t);
    t->bytes = h5_at(d->file, address, n, "a data set");
    return t->bytes ? 0 : sm_fail_prefix(SM_EFORMAT, "\"%s\"", t->name);
}

static int compact(const uint8_t *p, size_t n, const w_tensor *t, const uint8_t **out)
{
    if (n < w_tensor_bytes(t))
        return sm_fail(SM_EFORMAT, "\"%s\" has %zu bytes of data, expected %zu", t->name, n, w_tensor_bytes(t));
    *out = p;
    return 0;
}

/* What all versions of chunked layouts share: the chunk's shape at p, `width` bytes a number, rank + 1 of them. */
static int chunked(sm_weights *w, const h5_dataset *d, h5_chunks *c, const uint8_t *p, int width, int dimensions,
                   w_tensor *t)
{
    if (dimensions != d->space.rank + 1)
        return sm_fail(SM_EFORMAT, "\"%s\" has %d axes but chunks of %d", t->name, d->space.rank, dimensions - 1);
    c->file = *d->file;
    c->rank = d->space.rank;
    c->unit = d->type.size;
    c->chunk_bytes = c->unit;
    for (int i = 0; i < c->rank; i++) {
        const uint64_t n = h5_uint(p + i * width, width);
        c->dim[i] = d->space.dim[i];
        c->chunk[i] = (uint32_t)n;
        if (n == 0 || n > UINT32_MAX || sm_mul_overflow(c->chunk_bytes, n, &c->chunk_bytes))
            return sm_fail(SM_EFORMAT, "\"%s\" has chunks of an impossible size", t->name);
    }
    if (c->chunk_bytes > w->budget)
        return sm_fail(SM_ELIMIT, "\"%s\" has chunks of %zu bytes in a file of %zu", t->name, c->chunk_bytes, w->size);
    if (d->filters) {
        const int err = h5_read_filters(d->filters, d->n_filters, c);
        if (err < 0)
            return sm_fail_prefix(err, "\"%s\"", t->name);
    }
    if (h5_undefined(d->file, c->address))
        return never_written(w, d, t);
    read_fill(d, c->fill);
    t->how = c;
    t->fill = h5_fill_chunks;
    return 0;
}

static int layout_1_2(sm_weights *w, const h5_dataset *d, h5_chunks *c, w_tensor *t)
{
    const uint8_t *p = d->layout;
    const int offset = d->file->offset_size, dimensions = p[1], class = p[2];
    const size_t head = 8 + (class ? (size_t)offset : 0), need = head + 4 * (size_t)dimensions;
    if (d->n_layout < need)
        return too_short(t->name);
    if (class == 0) {
        if (d->n_layout < need + 4 || w_u32(p + need) > d->n_layout - need - 4)
            return too_short(t->name);
        return compact(p + need + 4, w_u32(p + need), t, &t->bytes);
    }
    if (class == 1)
        return contiguous(w, d, h5_address(d->file, p + 8), t);
    c->address = h5_address(d->file, p + 8);
    c->tree = true;
    return chunked(w, d, c, p + head, 4, dimensions, t);
}

/* Version 4's chunks have five kinds of index; the one for data of a single chunk is simple, the others need HDF5's newest
 * structures, which Keras never writes. */
static int layout_4_chunks(sm_weights *w, const h5_dataset *d, h5_chunks *c, w_tensor *t)
{
    const uint8_t *p = d->layout;
    const int offset = d->file->offset_size, length = d->file->length_size;
    if (d->n_layout < 5)
        return too_short(t->name);
    const unsigned flags = p[2], dimensions = p[3], width = p[4];
    const size_t at = 5 + (size_t)dimensions * width, filtered = flags & 2 ? (size_t)length + 4 : 0;
    if (width < 1 || width > 8)
        return sm_fail(SM_EFORMAT, "\"%s\" has a layout that makes no sense", t->name);
    if (d->n_layout < at + 1)
        return too_short(t->name);
    if (p[at] != 1)
        return sm_fail(SM_EUNSUPPORTED, "\"%s\" has a chunk index of kind %d, which is not supported", t->name, p[at]);
    if (d->n_layout < at + 1 + filtered + (size_t)offset)
        return too_short(t->name);
    c->address = h5_address(d->file, p + at + 1 + filtered);
    if (filtered) {
        c->stored = h5_uint(p + at + 1, length);
        c->mask = w_u32(p + at + 1 + length);
    }
    const int err = chunked(w, d, c, p + 5, (int)width, (int)dimensions, t);
    if (err == 0 && !filtered)
        c->stored = c->chunk_bytes;
    return err;
}

static int layout_3_4(sm_weights *w, const h5_dataset *d, h5_chunks *c, w_tensor *t)
{
    const uint8_t *p = d->layout;
    const int offset = d->file->offset_size;
    switch (p[1]) {
    case 0:
        if (d->n_layout < 4 || w_u16(p + 2) > d->n_layout - 4)
            return too_short(t->name);
        return compact(p + 4, w_u16(p + 2), t, &t->bytes);
    case 1:
        if (d->n_layout < 2 + (size_t)offset)
            return too_short(t->name);
        return contiguous(w, d, h5_address(d->file, p + 2), t);
    case 2:
        if (p[0] == 4)
            return layout_4_chunks(w, d, c, t);
        if (d->n_layout < 3 + (size_t)offset + 4 * (size_t)p[2])
            return too_short(t->name);
        c->address = h5_address(d->file, p + 3);
        c->tree = true;
        return chunked(w, d, c, p + 3 + offset, 4, p[2], t);
    default:
        return sm_fail(SM_EUNSUPPORTED, "\"%s\" has a layout of kind %d, which is not supported", t->name, p[1]);
    }
}

int h5_add_dataset(sm_weights *w, const h5_dataset *d, const char *name)
{
    w_tensor t = { .name = name, .scale_axis = -1 };
    int err;
    if (d->shared)
        return sm_fail(SM_EUNSUPPORTED, "\"%s\" has a shared datatype", name);
    if (!d->has_space || !d->has_type || !d->has_layout)
        return sm_fail(SM_EFORMAT, "\"%s\" lacks a part of its description", name);
    if (!d->type.number || d->space.null)
        return 0;
    t.type = d->type.type;
    if ((err = shape_of(d, name, &t.shape)) < 0)
        return err;
    h5_chunks *c = sm_arena_zero(w->arena, 1, sizeof *c);
    if (!c)
        return w_no_memory();
    if (d->n_layout < 3)
        err = too_short(name);
    else if (d->layout[0] == 1 || d->layout[0] == 2)
        err = layout_1_2(w, d, c, &t);
    else if (d->layout[0] == 3 || d->layout[0] == 4)
        err = layout_3_4(w, d, c, &t);
    else
        err = sm_fail(SM_EUNSUPPORTED, "\"%s\" has a layout of version %d", name, d->layout[0]);
    return err < 0 ? err : w_add(w, &t);
}
