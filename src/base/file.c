/* Files in: mapped, read whole, listed. Directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

struct sm_map {
    void *data; /* NULL when size is 0 */
    size_t size;
};

static int fail_errno(const char *path)
{
    return sm_fail(errno == ENOENT || errno == ENOTDIR ? SM_ENOTFOUND
                   : errno == ENOMEM                   ? SM_ENOMEM
                                                       : SM_EIO,
                   "%s: %s", path, strerror(errno));
}

/* Opens for reading and looks at what it is; -1 and the error is set. */
static int open_to_read(const char *path, struct stat *st)
{
    /* O_NONBLOCK: a pipe without a writer must not hang us */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, st) < 0) {
        const int err = fail_errno(path);
        if (fd >= 0)
            close(fd);
        return err;
    }
    if (S_ISDIR(st->st_mode)) {
        close(fd);
        return sm_fail(SM_EIO, "%s: is a directory", path);
    }
    return fd;
}

int sm_map_open(const char *path, sm_map **out)
{
    sm_map *m = NULL;
    struct stat st;
    int err = 0, fd;

    *out = NULL;
    fd = open_to_read(path, &st);
    if (fd < 0)
        return fd;
    if (!S_ISREG(st.st_mode)) {
        err = sm_fail(SM_EIO, "%s: not a regular file", path);
        goto out;
    }
    m = sm_alloc_zero(1, sizeof *m);
    if (!m) {
        err = SM_ENOMEM;
        goto out;
    }
    if (st.st_size > 0) {
        m->data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (m->data == MAP_FAILED) {
            m->data = NULL;
            err = fail_errno(path);
            goto out;
        }
        m->size = (size_t)st.st_size;
    }

out:
    close(fd);
    if (err < 0)
        sm_map_close(m);
    else
        *out = m;
    return err;
}

const uint8_t *sm_map_data(const sm_map *m)
{
    return m->data;
}

size_t sm_map_size(const sm_map *m)
{
    return m->size;
}

void sm_map_close(sm_map *m)
{
    if (!m)
        return;
    if (m->data)
        munmap(m->data, m->size);
    sm_free(m);
}

int sm_file_read(const char *path, size_t limit, sm_buffer *out)
{
    char piece[16384];
    struct stat st;
    ssize_t n = 0;
    int err = 0, fd;

    fd = open_to_read(path, &st);
    if (fd < 0)
        return fd;
    fcntl(fd, F_SETFL, 0); /* and now it may wait: a pipe has a writer */
    const size_t before = out->length;
    while (err == 0 && (n = read(fd, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = fail_errno(path);
        else if ((size_t)n > limit - (out->length - before))
            err = sm_fail(SM_ELIMIT, "%s: larger than %zu bytes", path, limit);
        else
            sm_buffer_add(out, piece, (size_t)n);
        if (out->failed)
            err = SM_ENOMEM;
    }
    if (err == 0) {
        sm_buffer_add(out, "", 0); /* data is text even when empty */
        err = out->failed ? SM_ENOMEM : 0;
    }
    close(fd);
    return err;
}

int sm_make_directories(const char *path)
{
    char *part = sm_strdup(path);
    int err = 0;

    if (!part)
        return SM_ENOMEM;
    for (char *p = part; err == 0 && *p; p++) {
        const char next = p[1];
        if (*p == '/' ? next != 0 : next != '/' && next != 0)
            continue;
        p[1] = 0; /* at the end of a name: everything up to it must exist */
        if (mkdir(part, 0777) < 0 && !sm_is_directory(part))
            err = sm_fail(SM_EIO, "%s: %s", part, strerror(errno));
        p[1] = next;
    }
    sm_free(part);
    return err;
}

bool sm_is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int sm_list_directory(const char *path, sm_strings *out)
{
    sm_strings names = { 0 };
    struct dirent *entry;
    DIR *d = opendir(path);
    int err = 0;

    if (!d)
        return fail_errno(path);
    errno = 0;
    while (err == 0 && (entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = sm_strings_add(&names, entry->d_name);
        errno = 0;
    }
    if (err == 0 && errno != 0)
        err = fail_errno(path);
    closedir(d);
    sm_strings_sort(&names);
    if (err == 0)
        err = sm_grow(&out->items, &out->capacity, out->length + names.length, sizeof *out->items);
    for (size_t i = 0; err == 0 && i < names.length; i++) {
        out->items[out->length++] = names.items[i];
        names.items[i] = NULL; /* moved */
    }
    sm_strings_free(&names);
    return err;
}

char *sm_data_directory(void)
{
    const char *own = getenv("SAMPLEMIND_HOME"), *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (own && own[0])
        return sm_strdup(own);
    if (xdg && xdg[0] == '/') /* the XDG specification: ignore a relative path */
        return sm_printf_new("%s/samplemind", xdg);
    if (home && home[0])
        return sm_printf_new("%s/.local/share/samplemind", home);
    sm_fail(SM_ENOTFOUND, "no folder for models: neither SAMPLEMIND_HOME nor HOME is set");
    return NULL;
}
