/* Bytes of a sound file: read at any place, from a file or from memory, bounded, never mapped (a file that shrinks while it is
 * read gives a short read, not a signal). Private to audio. */
#ifndef SM_AUDIO_SOURCE_H
#define SM_AUDIO_SOURCE_H

#include "base/base.h"

enum { SM_SOURCE_CACHE = 1 << 16, SM_SOURCE_PATCHES = 4 };

typedef struct {
    int64_t at;
    uint8_t bytes[8];
    size_t n;
} sm_source_patch;

typedef struct {
    int fd;                /* -1: memory */
    const uint8_t *memory; /* borrowed */
    int64_t size;          /* of the content */
    int64_t start;         /* where the content begins in the file: behind an ID3 tag that does not belong there */
    int64_t cursor;        /* for the libraries' read, seek and tell */
    int read_errno;        /* of the last read that failed; 0: none did */
    uint8_t *cache;        /* SM_SOURCE_CACHE bytes, or NULL (memory) */
    int64_t cache_at;
    size_t cached;
    /* What the libraries are shown instead of what the file has there: the repaired sizes of a lying header. */
    sm_source_patch patches[SM_SOURCE_PATCHES];
    size_t n_patches;
} sm_source;

/* A regular file. SM_ENOTFOUND, SM_EIO (directory, pipe, device, permission), SM_ENOMEM; one sentence naming the file.
 * mtime_s: may be NULL. */
int sm_source_open(const char *path, sm_source *out, double *mtime_s);
void sm_source_memory(const void *data, size_t size, sm_source *out);
void sm_source_close(sm_source *s);

/* Up to n bytes at `at`; fewer at the end of the file or when reading fails. */
size_t sm_source_read_at(sm_source *s, int64_t at, void *out, size_t n);
bool sm_source_has(sm_source *s, int64_t at, const void *bytes, size_t n);
/* As a library's stream. */
size_t sm_source_read(sm_source *s, void *out, size_t n);
int64_t sm_source_seek(sm_source *s, int64_t offset, int whence); /* new place, -1: not there */
/* Everything before `start` is gone; sizes and places count from there. */
void sm_source_skip(sm_source *s, int64_t start);
void sm_source_patch_add(sm_source *s, int64_t at, const void *bytes, size_t n); /* n <= 8 */

/* Numbers in a file's bytes. */
static inline uint16_t sm_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t sm_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t sm_le64(const uint8_t *p)
{
    return (uint64_t)sm_le32(p) | (uint64_t)sm_le32(p + 4) << 32;
}
static inline uint16_t sm_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t sm_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}
static inline uint64_t sm_be64(const uint8_t *p)
{
    return (uint64_t)sm_be32(p) << 32 | (uint64_t)sm_be32(p + 4);
}

#endif
