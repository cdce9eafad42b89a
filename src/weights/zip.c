/* Zip after PKWARE's APPNOTE: the end record, perhaps its 64-bit form, the central directory, local headers. */
#include <stdlib.h>

#include "weights/zip.h"

enum { END = 22, END64 = 56, LOCATOR = 20, CENTRAL = 46, LOCAL = 30, LONGEST_COMMENT = 65535 };

static int damaged(const char *what)
{
    return sm_fail(SM_EFORMAT, "the zip archive is damaged or cut short: %s", what);
}

static const uint8_t *find_end(const uint8_t *d, size_t n)
{
    for (size_t back = END; back <= n && back <= END + LONGEST_COMMENT; back++)
        if (w_u32(d + n - back) == 0x06054B50)
            return d + n - back;
    return NULL;
}

typedef struct {
    uint64_t n, size, offset;
} directory;

static int read_end(const uint8_t *d, size_t n, directory *out)
{
    const uint8_t *end = find_end(d, n);
    if (!end)
        return damaged("it has no directory");
    *out = (directory){ w_u16(end + 10), w_u32(end + 12), w_u32(end + 16) };
    const bool wide = out->n == 0xFFFF || out->size == UINT32_MAX || out->offset == UINT32_MAX;
    if (wide && end - d >= LOCATOR && w_u32(end - LOCATOR) == 0x07064B50) {
        const uint64_t at = w_u64(end - LOCATOR + 8);
        if (!w_inside(at, END64, n) || w_u32(d + at) != 0x06064B50)
            return damaged("its 64-bit directory is not where it should be");
        *out = (directory){ w_u64(d + at + 32), w_u64(d + at + 40), w_u64(d + at + 48) };
    }
    if (!w_inside(out->offset, out->size, n) || out->n > out->size / CENTRAL)
        return damaged("its directory lies outside the file");
    return 0;
}

/* The extra field 1 holds, in this order, those of the three numbers that did not fit. */
static int read_wide(const uint8_t *extra, size_t n, uint64_t *size, uint64_t *packed, uint64_t *offset)
{
    uint64_t *const fields[] = { size, packed, offset };
    while (n >= 4) {
        const size_t length = w_u16(extra + 2);
        if (length > n - 4)
            return damaged("an extra field is too long");
        if (w_u16(extra) == 1) {
            size_t at = 4;
            for (size_t i = 0; i < SM_LENGTH(fields); i++) {
                if (*fields[i] != UINT32_MAX)
                    continue;
                if (at + 8 > 4 + length)
                    return damaged("a 64-bit size is missing");
                *fields[i] = w_u64(extra + at);
                at += 8;
            }
            return 0;
        }
        extra += 4 + length;
        n -= 4 + length;
    }
    return 0;
}

static int read_entry(const uint8_t *d, size_t n, const uint8_t *c, size_t left, zip_entry *out, size_t *used)
{
    if (left < CENTRAL || w_u32(c) != 0x02014B50)
        return damaged("an entry of its directory is missing");
    const size_t n_name = w_u16(c + 28), n_extra = w_u16(c + 30), n_comment = w_u16(c + 32);
    uint64_t packed = w_u32(c + 20), size = w_u32(c + 24), offset = w_u32(c + 42);
    *used = CENTRAL + n_name + n_extra + n_comment;
    if (*used > left)
        return damaged("an entry of its directory is too long");
    int err = read_wide(c + CENTRAL + n_name, n_extra, &size, &packed, &offset);
    if (err < 0)
        return err;
    *out = (zip_entry){ .name = (const char *)c + CENTRAL, .n_name = n_name, .crc = w_u32(c + 16), .size = size };
    if (w_u16(c + 8) & 1 || w_u16(c + 10) != 0 || packed != size) /* TorchScript compresses its code */
        return 0;
    if (!w_inside(offset, LOCAL, n) || w_u32(d + offset) != 0x04034B50)
        return damaged("an entry is not where its directory says");
    const uint64_t start = offset + LOCAL + w_u16(d + offset + 26) + w_u16(d + offset + 28);
    if (!w_inside(start, size, n))
        return damaged("an entry goes beyond the end");
    out->data = d + start;
    return 0;
}

static int compare(const char *a, size_t na, const char *b, size_t nb)
{
    const int c = memcmp(a, b, SM_MIN(na, nb));
    return c ? c : na < nb ? -1 : na > nb;
}

static int by_name(const void *a, const void *b)
{
    const zip_entry *x = a, *y = b;
    return compare(x->name, x->n_name, y->name, y->n_name);
}

int zip_open(const uint8_t *data, size_t size, zip_archive *out)
{
    directory dir = { 0 };
    *out = (zip_archive){ 0 };
    int err = read_end(data, size, &dir);
    if (err < 0)
        return err;
    out->entries = sm_alloc((size_t)dir.n, sizeof *out->entries);
    if (!out->entries)
        return w_no_memory();
    size_t at = (size_t)dir.offset, left = (size_t)dir.size, used = 0;
    for (; out->n < dir.n && err == 0; out->n++) {
        err = read_entry(data, size, data + at, left, &out->entries[out->n], &used);
        at += used;
        left -= err < 0 ? 0 : used;
    }
    if (err < 0)
        return err;
    qsort(out->entries, out->n, sizeof *out->entries, by_name);
    return 0;
}

void zip_close(zip_archive *z)
{
    sm_free(z->entries);
    z->entries = NULL;
}

const zip_entry *zip_find(const zip_archive *z, const char *name, size_t n)
{
    size_t low = 0, high = z->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int c = compare(name, n, z->entries[middle].name, z->entries[middle].n_name);
        if (c == 0)
            return &z->entries[middle];
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int zip_readable(const zip_entry *e)
{
    if (e->data)
        return 0;
    return sm_fail(SM_EUNSUPPORTED, "%.*s in the zip archive is compressed or encrypted, PyTorch stores plainly",
                   (int)SM_MIN(e->n_name, (size_t)80), e->name);
}
