/* .npz as numpy.savez writes it: entries NAME.npy, stored, in the classic zip form (APPNOTE 4.3). */
#include <string.h>
#include <zlib.h>

#include "cli/npz.h"

enum { HEADER = 128, MOST = 8, LOCAL = 30, CENTRAL = 46, END = 22, DOS_DATE = 0x21 /* 1 January 1980 */ };

static void put(uint8_t *p, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

/* Format 1.0: magic, version, length of the text, text padded so that data begin at a multiple of 64. */
static void npy_header(const sm_npz_array *a, uint8_t out[HEADER])
{
    char shape[48], text[HEADER];
    if (a->rank == 1)
        snprintf(shape, sizeof shape, "(%zu,)", a->dim[0]);
    else
        snprintf(shape, sizeof shape, "(%zu, %zu)", a->dim[0], a->dim[1]);
    const int n = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", a->type, shape);
    memset(out, ' ', HEADER);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    put(out + 8, HEADER - 10, 2);
    memcpy(out + 10, text, (size_t)n);
    out[HEADER - 1] = '\n';
}

typedef struct {
    uint32_t at, crc, bytes;
} entry;

/* What local and central headers share: version, flags, method, time, date, crc, sizes, length of the name. */
static void put_common(uint8_t *p, const entry *e, size_t name)
{
    put(p, 20, 2);
    put(p + 8, DOS_DATE, 2);
    put(p + 10, e->crc, 4);
    put(p + 14, e->bytes, 4);
    put(p + 18, e->bytes, 4);
    put(p + 22, (uint32_t)name, 2);
}

static uint32_t write_entry(FILE *f, const sm_npz_array *a, uint32_t at, entry *e)
{
    uint8_t header[HEADER], local[LOCAL] = { 'P', 'K', 3, 4 };
    const size_t name = strlen(a->name) + 4;
    npy_header(a, header);
    e->at = at;
    e->bytes = (uint32_t)(HEADER + a->bytes);
    e->crc = (uint32_t)crc32(crc32(0, header, HEADER), a->data, (uInt)a->bytes);
    put_common(local + 4, e, name);
    fwrite(local, 1, LOCAL, f);
    fprintf(f, "%s.npy", a->name);
    fwrite(header, 1, HEADER, f);
    fwrite(a->data, 1, a->bytes, f);
    return at + LOCAL + (uint32_t)name + e->bytes;
}

static void write_directory(FILE *f, const sm_npz_array *arrays, const entry *entries, size_t n, uint32_t at)
{
    uint8_t end[END] = { 'P', 'K', 5, 6 };
    uint32_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t central[CENTRAL] = { 'P', 'K', 1, 2, 20 };
        const size_t name = strlen(arrays[i].name) + 4;
        put_common(central + 6, &entries[i], name);
        put(central + 42, entries[i].at, 4);
        fwrite(central, 1, CENTRAL, f);
        fprintf(f, "%s.npy", arrays[i].name);
        bytes += CENTRAL + (uint32_t)name;
    }
    put(end + 8, (uint32_t)n, 2);
    put(end + 10, (uint32_t)n, 2);
    put(end + 12, bytes, 4);
    put(end + 16, at, 4);
    fwrite(end, 1, END, f);
}

int sm_npz_write(const char *path, const sm_npz_array *arrays, size_t n)
{
    sm_outfile *out = NULL;
    entry entries[MOST];
    uint32_t at = 0;
    uint64_t all = 0;
    for (size_t i = 0; i < n; i++)
        all += arrays[i].bytes + 1024;
    if (n > MOST || all > UINT32_MAX)
        return sm_fail(SM_ELIMIT, "%s: %llu bytes; an npz of less than 4 GiB is possible: choose a larger hop", path,
                       (unsigned long long)all);
    const int err = sm_outfile_open(path, &out);
    if (err < 0)
        return err;
    FILE *f = sm_outfile_stream(out);
    for (size_t i = 0; i < n; i++)
        at = write_entry(f, &arrays[i], at, &entries[i]);
    write_directory(f, arrays, entries, n, at);
    return sm_outfile_commit(out);
}
