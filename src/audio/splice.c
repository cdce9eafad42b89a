/* A file with some of its bytes replaced. */
#include <string.h>

#include "audio/tag_parts.h"

int sm_splice_add(sm_splice *s, int64_t at, int64_t remove, const void *bytes, size_t n)
{
    size_t place = s->n;
    uint8_t *copy = sm_alloc(SM_MAX(n, (size_t)1), 1);
    if (!copy || sm_grow(&s->parts, &s->capacity, s->n + 1, sizeof *s->parts) < 0) {
        sm_free(copy);
        return SM_ENOMEM;
    }
    if (n > 0)
        memcpy(copy, bytes, n);
    while (place > 0 && s->parts[place - 1].at > at)
        place--;
    memmove(s->parts + place + 1, s->parts + place, (s->n - place) * sizeof *s->parts);
    s->parts[place] = (sm_splice_part){ at, remove, copy, n };
    s->n++;
    return 0;
}

void sm_splice_free(sm_splice *s)
{
    for (size_t i = 0; i < s->n; i++)
        sm_free(s->parts[i].bytes);
    sm_free(s->parts);
    *s = (sm_splice){ 0 };
}

int sm_read_block(sm_source *s, int64_t at, int64_t n, uint8_t **out)
{
    *out = NULL;
    if (n < 0 || n > SM_TAG_BLOCK)
        return sm_fail(SM_ELIMIT, "a block of %lld bytes of tags", (long long)n);
    *out = sm_alloc((size_t)SM_MAX(n, 1), 1);
    if (!*out)
        return SM_ENOMEM;
    if (sm_source_read_at(s, at, *out, (size_t)n) == (size_t)n)
        return 0;
    sm_free(*out);
    *out = NULL;
    return sm_fail(SM_EIO, "the file ends while it is read");
}

int sm_hash_range(sm_source *s, sm_hasher *h, int64_t at, int64_t n)
{
    enum { PIECE = 1 << 16 };
    uint8_t *piece = sm_alloc(PIECE, 1);
    int err = piece ? 0 : SM_ENOMEM;
    while (err == 0 && n > 0) {
        const size_t now = (size_t)SM_MIN(n, (int64_t)PIECE);
        if (sm_source_read_at(s, at, piece, now) != now)
            err = sm_fail(SM_EIO, "the file ends while it is read");
        else
            sm_hasher_add(h, piece, now);
        at += (int64_t)now;
        n -= (int64_t)now;
    }
    sm_free(piece);
    return err;
}

void sm_put_le(sm_buffer *b, uint64_t value, int bytes)
{
    uint8_t p[8];
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(value >> 8 * i);
    sm_buffer_add(b, p, (size_t)bytes);
}

void sm_put_be(sm_buffer *b, uint64_t value, int bytes)
{
    uint8_t p[8];
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    sm_buffer_add(b, p, (size_t)bytes);
}
