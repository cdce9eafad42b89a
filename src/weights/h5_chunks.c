/* Chunked data: a B-tree (version 1) of chunks, each through a pipeline of filters, put at its place. */
#include <zlib.h>

#include "weights/h5.h"

enum { MAX_LEVEL = 16 };

int h5_read_filters(const uint8_t *p, size_t n, h5_chunks *out)
{
    if (n < 2 || (p[0] != 1 && p[0] != 2))
        return sm_fail(SM_EFORMAT, "a filter pipeline of an unknown version");
    const int version = p[0], count = p[1];
    size_t at = version == 1 ? 8 : 2;
    if (count > (int)SM_LENGTH(out->filters))
        return sm_fail(SM_EUNSUPPORTED, "%d filters", count);
    for (int i = 0; i < count; i++) {
        if (n < at + 8)
            return sm_fail(SM_EFORMAT, "a filter pipeline is cut short");
        const int id = w_u16(p + at);
        const bool has_name = version == 1 || id >= 256;
        const size_t name = has_name ? w_u16(p + at + 2) : 0;
        const size_t values = w_u16(p + at + (has_name ? 6 : 4));
        at += has_name ? 8 : 6;
        at += version == 1 ? (name + 7) / 8 * 8 : name;
        if (n < at || n - at < 4 * values)
            return sm_fail(SM_EFORMAT, "a filter pipeline is cut short");
        if (id < 1 || id > 3)
            return sm_fail(SM_EUNSUPPORTED, "compressed by filter %d, which is not supported", id);
        out->filters[i] = (h5_filter){ id, values ? w_u32(p + at) : out->unit };
        at += 4 * values + (version == 1 && values % 2 ? 4 : 0);
    }
    out->n_filters = count;
    return 0;
}

/* Scratch of one data set: the chunk at each step of the pipeline. */
typedef struct {
    const h5_chunks *c;
    uint8_t *out;
    uint8_t *a, *b;  /* chunk_bytes + 4 each */
    uint64_t budget; /* tree nodes that may still be read */
    size_t work;     /* bytes of chunks that may still be unpacked: a damaged index may name a large chunk many times */
} job;

static int inflate_chunk(const job *j, const uint8_t *src, size_t n, uint8_t *dst, size_t *length)
{
    uLongf out = (uLongf)*length;
    const int code = uncompress(dst, &out, src, (uLong)n);
    if (code == Z_MEM_ERROR)
        return w_no_memory();
    if (code != Z_OK)
        return sm_fail(SM_EFORMAT, "a chunk cannot be decompressed");
    (void)j;
    *length = out;
    return 0;
}

/* Byte k of all elements stood together; a rest that fills no element stays as it is. */
static void unshuffle(const uint8_t *src, size_t n, uint32_t unit, uint8_t *dst)
{
    const size_t count = n / unit;
    for (size_t k = 0; k < unit && count > 0; k++) /* an element larger than the chunk: nothing to sort */
        for (size_t i = 0; i < count; i++)
            dst[i * unit + k] = src[k * count + i];
    memcpy(dst + count * unit, src + count * unit, n - count * unit);
}

/* Runs the pipeline backwards; *chunk then is the plain chunk. */
static int unfilter(const job *j, const uint8_t *src, size_t n, uint32_t mask, const uint8_t **chunk)
{
    const h5_chunks *c = j->c;
    int err = 0;
    for (int i = c->n_filters; i-- > 0 && err == 0;) {
        uint8_t *dst = src == j->a ? j->b : j->a;
        if (mask >> i & 1)
            continue;
        if (c->filters[i].id == 1) {
            size_t length = c->chunk_bytes + 4;
            err = inflate_chunk(j, src, n, dst, &length);
            n = length;
            src = dst;
        } else if (c->filters[i].id == 2) {
            if (n > c->chunk_bytes + 4 || c->filters[i].unit == 0)
                return sm_fail(SM_EFORMAT, "a chunk has %zu bytes, expected %zu", n, c->chunk_bytes);
            unshuffle(src, n, c->filters[i].unit, dst);
            src = dst;
        } else if (n < 4) {
            return sm_fail(SM_EFORMAT, "a chunk has no checksum");
        } else {
            n -= 4;
        }
    }
    if (err == 0 && n != c->chunk_bytes)
        return sm_fail(SM_EFORMAT, "a chunk has %zu bytes, expected %zu", n, c->chunk_bytes);
    *chunk = src;
    return err;
}

/* Copies the part of a chunk that lies inside the data, row by row of the last axis. */
static void place(const job *j, const uint8_t *chunk, const uint64_t *offset)
{
    const h5_chunks *c = j->c;
    uint64_t count[NN_MAX_RANK] = { 0 }, at[NN_MAX_RANK] = { 0 };
    for (int i = 0; i < c->rank; i++) {
        if (offset[i] >= c->dim[i])
            return;
        count[i] = SM_MIN(c->dim[i] - offset[i], c->chunk[i]);
    }
    const int last = c->rank - 1;
    const size_t row = (c->rank ? (size_t)count[last] : 1) * c->unit;
    for (;;) {
        size_t from = 0, to = 0;
        for (int i = 0; i < c->rank; i++) {
            from = from * c->chunk[i] + (size_t)at[i];
            to = to * (size_t)c->dim[i] + (size_t)(offset[i] + at[i]);
        }
        memcpy(j->out + to * c->unit, chunk + from * c->unit, row);
        int axis = last - 1;
        while (axis >= 0 && ++at[axis] == count[axis])
            at[axis--] = 0;
        if (axis < 0)
            return;
    }
}

static int one_chunk(job *j, uint64_t address, uint64_t stored, uint32_t mask, const uint64_t *offset)
{
    const uint8_t *chunk = NULL, *src = h5_at(&j->c->file, address, stored, "a chunk");
    if (!src)
        return SM_EFORMAT;
    if (j->c->chunk_bytes > j->work)
        return sm_fail(SM_EFORMAT, "its chunks hold far more than the data");
    j->work -= j->c->chunk_bytes;
    const int err = unfilter(j, src, (size_t)stored, mask, &chunk);
    if (err == 0)
        place(j, chunk, offset);
    return err;
}

static int walk(job *j, uint64_t address, int level_above)
{
    const h5_chunks *c = j->c;
    const h5_file *f = &c->file;
    const size_t head = 8 + 2 * (size_t)f->offset_size, key = 8 + 8 * ((size_t)c->rank + 1),
                 entry = key + (size_t)f->offset_size;
    const uint8_t *p = h5_at(f, address, head, "an index of chunks");
    int err = 0;
    if (!p)
        return SM_EFORMAT;
    const int level = p[5];
    const size_t n = w_u16(p + 6);
    if (memcmp(p, "TREE", 4) != 0 || p[4] != 1 || level >= level_above || j->budget < n + 1)
        return sm_fail(SM_EFORMAT, "an index of chunks is damaged");
    j->budget -= n + 1;
    p = h5_at(f, address, head + n * entry, "an index of chunks");
    if (!p)
        return SM_EFORMAT;
    for (size_t i = 0; i < n && err == 0; i++) {
        const uint8_t *k = p + head + i * entry;
        const uint64_t child = h5_address(f, k + key);
        uint64_t offset[NN_MAX_RANK];
        for (int d = 0; d < c->rank; d++)
            offset[d] = w_u64(k + 8 + 8 * d);
        err = level ? walk(j, child, level) : one_chunk(j, child, w_u32(k), w_u32(k + 4), offset);
    }
    return err;
}

int h5_fill_chunks(const sm_weights *w, const w_tensor *t, void *out)
{
    const h5_chunks *c = t->how;
    static const uint64_t origin[NN_MAX_RANK];
    const size_t n = (size_t)nn_elements(&t->shape);
    /* whole chunks at the edges, in up to two axes, and one large chunk of little data */
    job j = {
        .c = c, .out = out, .budget = w->size / 8, .work = 4 * n * c->unit + SM_MAX(c->chunk_bytes, (size_t)1 << 20)
    };
    int err = 0;
    /* the fill value, by copies of what is filled already */
    for (size_t done = 0, size = n * c->unit; done < size;) {
        const size_t piece = done == 0 ? c->unit : SM_MIN(done, size - done);
        memcpy(j.out + done, done == 0 ? (const uint8_t *)c->fill : j.out, piece);
        done += piece;
    }
    j.a = sm_alloc(1, c->chunk_bytes + 4);
    j.b = sm_alloc(1, c->chunk_bytes + 4);
    if (!j.a || !j.b)
        err = w_no_memory();
    else if (n)
        err = c->tree ? walk(&j, c->address, MAX_LEVEL + 1) : one_chunk(&j, c->address, c->stored, c->mask, origin);
    sm_free(j.a);
    sm_free(j.b);
    return err;
}
