/* Bytes of a sound file; see source.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/source.h"

static int fail_errno(const char *path)
{
    return sm_fail(errno == ENOENT || errno == ENOTDIR ? SM_ENOTFOUND : SM_EIO, "%s: %s", path, strerror(errno));
}

static const char *file_type(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISREG(mode)  ? NULL
                            : "a device";
}

int sm_source_open(const char *path, sm_source *out, double *mtime_s)
{
    struct stat st;
    int err = 0;

    *out = (sm_source){ .fd = -1 };
    /* O_NONBLOCK: opening a pipe that nobody writes to must not wait */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(path);
    if (fstat(fd, &st) < 0)
        err = fail_errno(path);
    else if (file_type(st.st_mode))
        err = sm_fail(SM_EIO, "%s: is %s, not a sound file", path, file_type(st.st_mode));
    else if (st.st_size == 0)
        err = sm_fail(SM_EFORMAT, "%s: the file is empty", path);
    if (err == 0) {
        out->cache = sm_alloc(SM_SOURCE_CACHE, 1);
        err = out->cache ? 0 : SM_ENOMEM;
    }
    if (err < 0) {
        close(fd);
        return err;
    }
    out->fd = fd;
    out->size = st.st_size;
    if (mtime_s)
        *mtime_s = (double)st.st_mtim.tv_sec + 1e-9 * (double)st.st_mtim.tv_nsec;
    return 0;
}

void sm_source_memory(const void *data, size_t size, sm_source *out)
{
    *out = (sm_source){ .fd = -1, .memory = data, .size = (int64_t)size };
}

void sm_source_close(sm_source *s)
{
    if (s->fd >= 0)
        close(s->fd);
    sm_free(s->cache);
    *s = (sm_source){ .fd = -1 };
}

/* pread until all is there, the file ends, or reading fails. */
static size_t read_file(sm_source *s, int64_t at, uint8_t *out, size_t n)
{
    size_t got = 0;
    while (got < n) {
        const ssize_t k = pread(s->fd, out + got, n - got, (off_t)(s->start + at) + (off_t)got);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            s->read_errno = errno;
        if (k <= 0)
            break;
        got += (size_t)k;
    }
    return got;
}

/* Small reads go through the cache: parsers ask for eight bytes at a time, mp3's search for one. */
static size_t read_cached(sm_source *s, int64_t at, uint8_t *out, size_t n)
{
    if (n >= SM_SOURCE_CACHE / 2)
        return read_file(s, at, out, n);
    if (at < s->cache_at || at + (int64_t)n > s->cache_at + (int64_t)s->cached) {
        s->cache_at = at;
        s->cached = read_file(s, at, s->cache, SM_SOURCE_CACHE);
    }
    const size_t from = (size_t)(at - s->cache_at);
    n = SM_MIN(n, s->cached - SM_MIN(from, s->cached));
    memcpy(out, s->cache + from, n);
    return n;
}

size_t sm_source_read_at(sm_source *s, int64_t at, void *out, size_t n)
{
    if (at < 0 || at >= s->size)
        return 0;
    n = (size_t)SM_MIN((uint64_t)n, (uint64_t)(s->size - at));
    if (s->memory)
        memcpy(out, s->memory + s->start + at, n);
    else
        n = read_cached(s, at, out, n);
    for (size_t i = 0; i < s->n_patches; i++) {
        const sm_source_patch *p = &s->patches[i];
        for (size_t j = 0; j < p->n; j++)
            if (p->at + (int64_t)j >= at && p->at + (int64_t)j < at + (int64_t)n)
                ((uint8_t *)out)[p->at + (int64_t)j - at] = p->bytes[j];
    }
    return n;
}

bool sm_source_has(sm_source *s, int64_t at, const void *bytes, size_t n)
{
    uint8_t found[32];
    return n <= sizeof found && sm_source_read_at(s, at, found, n) == n && memcmp(found, bytes, n) == 0;
}

size_t sm_source_read(sm_source *s, void *out, size_t n)
{
    n = sm_source_read_at(s, s->cursor, out, n);
    s->cursor += (int64_t)n;
    return n;
}

int64_t sm_source_seek(sm_source *s, int64_t offset, int whence)
{
    const int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s->cursor : s->size;
    int64_t to;

    if (__builtin_add_overflow(from, offset, &to) || to < 0)
        return -1;
    s->cursor = to;
    return to;
}

void sm_source_skip(sm_source *s, int64_t start)
{
    start = SM_CLAMP(start, 0, s->size);
    s->start += start;
    s->size -= start;
    s->cursor = 0;
    s->cached = 0;
    s->cache_at = 0;
}

void sm_source_patch_add(sm_source *s, int64_t at, const void *bytes, size_t n)
{
    if (s->n_patches == SM_SOURCE_PATCHES || n > sizeof s->patches->bytes)
        return;
    sm_source_patch *p = &s->patches[s->n_patches++];
    p->at = at;
    p->n = n;
    memcpy(p->bytes, bytes, n);
}
