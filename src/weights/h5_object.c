/* Object headers, and the two small message bodies that both data sets and attributes use. */
#include "weights/h5.h"

const uint8_t *h5_at(const h5_file *f, uint64_t address, uint64_t n, const char *what)
{
    if (w_inside(address, n, f->size))
        return f->data + address;
    sm_fail(SM_EFORMAT, "%s lies at byte %llu, outside the file of %llu", what, (unsigned long long)address,
            (unsigned long long)f->size);
    return NULL;
}

uint64_t h5_uint(const uint8_t *p, int size)
{
    uint64_t v = 0;
    for (int i = size; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

uint64_t h5_address(const h5_file *f, const uint8_t *p)
{
    return h5_uint(p, f->offset_size);
}

bool h5_undefined(const h5_file *f, uint64_t address)
{
    return address == UINT64_MAX >> (64 - 8 * f->offset_size);
}

/* ---- messages ---- */

enum { MAX_BLOCKS = 1024 };

typedef struct {
    uint64_t address, length;
} block;

/* One header being read, and its blocks that are still to come. */
typedef struct {
    const h5_file *f;
    bool v2, has_order; /* version 2 and its creation order field */
    block blocks[MAX_BLOCKS];
    size_t n_blocks;
} header;

static int add_block(header *h, uint64_t address, uint64_t length)
{
    if (h->n_blocks == MAX_BLOCKS || length + 16 > *h->f->work)
        return sm_fail(SM_EFORMAT, "the object headers go on without end");
    *h->f->work -= length + 16;
    h->blocks[h->n_blocks++] = (block){ address, length };
    return 0;
}

static int continuation(header *h, const uint8_t *body, size_t n)
{
    const h5_file *f = h->f;
    if (n < (size_t)(f->offset_size + f->length_size))
        return sm_fail(SM_EFORMAT, "an object header's continuation is too short");
    uint64_t address = h5_address(f, body), length = h5_uint(body + f->offset_size, f->length_size);
    if (h->v2) {
        const uint8_t *p = h5_at(f, address, length, "a part of an object header");
        if (!p)
            return SM_EFORMAT;
        if (length < 8 || memcmp(p, "OCHK", 4) != 0)
            return sm_fail(SM_EFORMAT, "a part of an object header has no signature");
        address += 4;
        length -= 8; /* signature and checksum */
    }
    return add_block(h, address, length);
}

static int read_block(header *h, block b, h5_message each, void *user)
{
    const uint8_t *p = h5_at(h->f, b.address, b.length, "a part of an object header");
    const size_t head = h->v2 ? (h->has_order ? 6 : 4) : 8;
    int err = 0;
    if (!p)
        return SM_EFORMAT;
    for (uint64_t left = b.length; left >= head && err == 0;) {
        const unsigned type = h->v2 ? p[0] : w_u16(p);
        const size_t n = w_u16(p + (h->v2 ? 1 : 2));
        const unsigned flags = p[h->v2 ? 3 : 4];
        if (n > left - head)
            return sm_fail(SM_EFORMAT, "a message of an object header is longer than the header");
        if (type == H5_CONTINUATION)
            err = continuation(h, p + head, n);
        else
            err = each(user, type, flags, p + head, n);
        p += head + n;
        left -= head + n;
    }
    return err;
}

static int open_v1(header *h, uint64_t address)
{
    const uint8_t *p = h5_at(h->f, address, 16, "an object header");
    if (!p)
        return SM_EFORMAT;
    return add_block(h, address + 16, w_u32(p + 8));
}

static int open_v2(header *h, uint64_t address)
{
    const uint8_t *p = h5_at(h->f, address, 6, "an object header");
    if (!p)
        return SM_EFORMAT;
    const unsigned flags = p[5];
    const int width = 1 << (flags & 3);
    const size_t at = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
    if (p[4] != 2)
        return sm_fail(SM_EUNSUPPORTED, "an object header of version %d", p[4]);
    p = h5_at(h->f, address, at + (size_t)width, "an object header");
    if (!p)
        return SM_EFORMAT;
    h->v2 = true;
    h->has_order = flags & 4;
    return add_block(h, address + at + (size_t)width, h5_uint(p + at, width));
}

int h5_messages(const h5_file *f, uint64_t address, h5_message each, void *user)
{
    const uint8_t *p = h5_at(f, address, 4, "an object header");
    if (!p)
        return SM_EFORMAT;
    header *h = sm_alloc(1, sizeof *h);
    if (!h)
        return w_no_memory();
    h->f = f;
    h->v2 = h->has_order = false;
    h->n_blocks = 0;
    int err;
    if (memcmp(p, "OHDR", 4) == 0)
        err = open_v2(h, address);
    else if (p[0] == 1)
        err = open_v1(h, address);
    else
        err = sm_fail(SM_EFORMAT, "no object header at byte %llu", (unsigned long long)address);
    for (size_t i = 0; err == 0 && i < h->n_blocks; i++)
        err = read_block(h, h->blocks[i], each, user);
    sm_free(h);
    return err;
}

/* ---- datatype ---- */

static int integer_type(uint32_t size, bool is_signed, h5_type *out)
{
    out->number = true;
    switch (size) {
    case 1:
        out->type = is_signed ? NN_I8 : NN_U8;
        return 0;
    case 2:
        out->type = is_signed ? NN_I16 : NN_U16;
        return 0;
    case 4:
        out->type = NN_I32;
        out->number = is_signed;
        return 0;
    case 8:
        out->type = NN_I64; /* Keras counts in u64 too; beyond 2^63 nothing counts */
        return 0;
    default:
        out->number = false;
        return 0;
    }
}

static void float_type(uint32_t size, int exponent_bits, h5_type *out)
{
    static const struct {
        uint32_t size;
        int exponent_bits;
        nn_type type;
    } floats[] = { { 2, 5, NN_F16 }, { 2, 8, NN_BF16 }, { 4, 8, NN_F32 }, { 8, 11, NN_F64 } };
    for (size_t i = 0; i < SM_LENGTH(floats); i++) {
        if (floats[i].size == size && floats[i].exponent_bits == exponent_bits) {
            out->number = true;
            out->type = floats[i].type;
        }
    }
}

int h5_read_type(const uint8_t *p, size_t n, h5_type *out)
{
    memset(out, 0, sizeof *out);
    if (n < 8)
        return sm_fail(SM_EFORMAT, "a datatype of %zu bytes", n);
    const int class = p[0] & 15;
    const bool big_endian = p[1] & 1;
    out->size = w_u32(p + 4);
    if (out->size == 0)
        return sm_fail(SM_EFORMAT, "a datatype of size 0");
    switch (class) {
    case 0:
        if (n < 12)
            return sm_fail(SM_EFORMAT, "an integer type of %zu bytes", n);
        if (big_endian && out->size > 1)
            return 0;
        return integer_type(out->size, p[1] & 8, out);
    case 1:
        if (n < 20)
            return sm_fail(SM_EFORMAT, "a floating-point type of %zu bytes", n);
        if (!big_endian)
            float_type(out->size, p[13], out);
        return 0;
    case 3:
        out->string = true;
        out->space_padded = (p[1] & 15) == 2;
        return 0;
    case 8: /* numpy's bool: an enumeration over i8 */
        if (out->size == 1) {
            out->number = true;
            out->type = NN_BOOL;
        }
        return 0;
    case 9:
        out->vlen_string = (p[1] & 15) == 1;
        return 0;
    default:
        return 0;
    }
}

/* ---- dataspace ---- */

int h5_read_space(const h5_file *f, const uint8_t *p, size_t n, h5_space *out)
{
    memset(out, 0, sizeof *out);
    if (n < 4 || (p[0] != 1 && p[0] != 2))
        return sm_fail(SM_EFORMAT, "a dataspace of an unknown version");
    const size_t head = p[0] == 1 ? 8 : 4;
    out->rank = p[1];
    out->null = p[0] == 2 && p[3] == 2;
    if (out->rank > (int)SM_LENGTH(out->dim))
        return sm_fail(SM_EFORMAT, "a dataspace of %d axes", out->rank);
    if (n < head + (size_t)out->rank * (size_t)f->length_size)
        return sm_fail(SM_EFORMAT, "a dataspace is cut short");
    for (int i = 0; i < out->rank; i++)
        out->dim[i] = h5_uint(p + head + (size_t)(i * f->length_size), f->length_size);
    return 0;
}
