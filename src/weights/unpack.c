/* .gz and .bz2 around another container, unpacked into memory. What comes out is bounded: weights do not shrink a hundredfold,
 * bombs do. */
#include <bzlib.h>
#include <zlib.h>

#include "weights/store.h"

enum { CHUNK = 1 << 18, MAX_RATIO = 100 };
static const size_t SLACK = (size_t)16 << 20, MAX_UNPACKED = (size_t)8 << 30;

static size_t limit_for(size_t packed)
{
    size_t limit;
    if (sm_mul_overflow(packed, MAX_RATIO, &limit) || sm_add_overflow(limit, SLACK, &limit) || limit > MAX_UNPACKED)
        return MAX_UNPACKED;
    return limit;
}

static int keep(sm_weights *w, const uint8_t *chunk, size_t n)
{
    if (n > limit_for(w->size) - w->unpacked.length)
        return sm_fail(SM_ELIMIT, "%zu packed bytes unpack to more than %zu", w->size, limit_for(w->size));
    sm_buffer_add(&w->unpacked, chunk, n);
    return w->unpacked.failed ? w_no_memory() : 0;
}

/* What was unpacked takes the place of the packed file. One wrapping only: a second one is a bomb or a mistake. */
static int dispatch_unpacked(sm_weights *w)
{
    w_set_data(w, (const uint8_t *)w->unpacked.data, w->unpacked.length);
    return w_dispatch(w);
}

bool w_gzip_probe(const uint8_t *d, size_t n)
{
    return n >= 3 && d[0] == 0x1F && d[1] == 0x8B && d[2] == 8;
}

static int inflate_all(sm_weights *w, uint8_t *chunk)
{
    z_stream z = { 0 };
    const uint8_t *at = w->data;
    size_t left = w->size;
    int err = 0, code = Z_OK;
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return w_no_memory();
    while (err == 0) {
        if (z.avail_in == 0 && left) {
            z.next_in = (Bytef *)(uintptr_t)at;
            z.avail_in = (uInt)SM_MIN(left, (size_t)1 << 30);
            at += z.avail_in;
            left -= z.avail_in;
        }
        z.next_out = chunk;
        z.avail_out = CHUNK;
        code = inflate(&z, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END) {
            err = code == Z_MEM_ERROR
                      ? w_no_memory()
                      : sm_fail(SM_EFORMAT, "the gzip data is %s", z.avail_in || left ? "damaged" : "cut short");
            break;
        }
        err = keep(w, chunk, CHUNK - z.avail_out);
        if (code == Z_STREAM_END) {
            if (z.avail_in + left == 0)
                break;
            if (err == 0 && inflateReset(&z) != Z_OK) /* another member follows */
                err = w_no_memory();
        }
    }
    inflateEnd(&z);
    return err;
}

int w_gzip_open(sm_weights *w)
{
    if (w->unpacked.data)
        return sm_fail(SM_EUNSUPPORTED, "packed twice");
    uint8_t *chunk = sm_alloc(1, CHUNK);
    if (!chunk)
        return w_no_memory();
    const int err = inflate_all(w, chunk);
    sm_free(chunk);
    return err < 0 ? err : dispatch_unpacked(w);
}

bool w_bzip2_probe(const uint8_t *d, size_t n)
{
    return n >= 10 && memcmp(d, "BZh", 3) == 0 && d[3] >= '1' && d[3] <= '9' &&
           (memcmp(d + 4, "1AY&SY", 6) == 0 || memcmp(d + 4, "\x17rE8P\x90", 6) == 0);
}

static int bunzip_all(sm_weights *w, uint8_t *chunk)
{
    bz_stream z = { 0 };
    const uint8_t *at = w->data;
    size_t left = w->size;
    int err = 0;
    if (BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
        return w_no_memory();
    while (err == 0) {
        if (z.avail_in == 0 && left) {
            z.next_in = (char *)(uintptr_t)at;
            z.avail_in = (unsigned)SM_MIN(left, (size_t)1 << 30);
            at += z.avail_in;
            left -= z.avail_in;
        }
        z.next_out = (char *)chunk;
        z.avail_out = CHUNK;
        const int code = BZ2_bzDecompress(&z);
        if (code != BZ_OK && code != BZ_STREAM_END) {
            err = code == BZ_MEM_ERROR ? w_no_memory() : sm_fail(SM_EFORMAT, "the bzip2 data is damaged");
            break;
        }
        err = keep(w, chunk, CHUNK - z.avail_out);
        if (code == BZ_STREAM_END) {
            if (err == 0 && z.avail_in + left)
                err = sm_fail(SM_EUNSUPPORTED, "%zu bytes follow the bzip2 stream", z.avail_in + left);
            break;
        }
        if (err == 0 && z.avail_in + left == 0 && z.avail_out == CHUNK)
            err = sm_fail(SM_EFORMAT, "the bzip2 data is cut short");
    }
    BZ2_bzDecompressEnd(&z);
    return err;
}

int w_bzip2_open(sm_weights *w)
{
    if (w->unpacked.data)
        return sm_fail(SM_EUNSUPPORTED, "packed twice");
    uint8_t *chunk = sm_alloc(1, CHUNK);
    if (!chunk)
        return w_no_memory();
    const int err = bunzip_all(w, chunk);
    sm_free(chunk);
    return err < 0 ? err : dispatch_unpacked(w);
}
