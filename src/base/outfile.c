/* Files out: they appear under their name only when whole. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

struct sm_outfile {
    char *path;      /* where it will be */
    char *temporary; /* where it is written; NULL: directly to path, which is a device or a pipe */
    FILE *stream;
};

static void outfile_free(sm_outfile *f)
{
    if (!f)
        return;
    if (f->stream)
        fclose(f->stream);
    sm_free(f->path);
    sm_free(f->temporary);
    sm_free(f);
}

#define LONGEST_NAME 200 /* of NAME in ".NAME.XXXXXX.part"; file systems stop at 255 bytes */

/* "dir/.NAME.XXXXXX.part" with six random letters. */
static char *temporary_name(const char *path)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    const char *name = sm_path_name(path);
    unsigned char random[6] = { 0 };
    char tag[7] = "";

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        sm_fail(SM_EIO, "%s: no random numbers for a temporary name: %s", path, strerror(errno));
        return NULL;
    }
    for (size_t i = 0; i < sizeof random; i++)
        tag[i] = letters[random[i] % 32];
    return sm_printf_new("%.*s.%.*s.%s.part", (int)(name - path), path, LONGEST_NAME, name, tag);
}

/* open() with O_CREAT rather than mkstemp: the mode is then 0666 less the umask, as a user expects of a result. */
static int open_temporary(sm_outfile *f)
{
    int fd = -1;

    for (int attempt = 0; fd < 0 && attempt < 16; attempt++) {
        sm_free(f->temporary);
        f->temporary = temporary_name(f->path);
        if (!f->temporary)
            return SM_ENOMEM;
        fd = open(f->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd < 0) {
        const int code = errno == ENOENT || errno == ENOTDIR ? SM_ENOTFOUND : SM_EIO;
        sm_fail(code, "%s: cannot write there: %s", f->path, strerror(errno));
        sm_free(f->temporary);
        f->temporary = NULL; /* not made, not to be removed */
        return code;
    }
    f->stream = fdopen(fd, "w+b");
    if (f->stream)
        return 0;
    close(fd);
    return sm_fail(SM_ENOMEM, "%s: %s", f->path, strerror(errno));
}

int sm_outfile_open(const char *path, sm_outfile **out)
{
    sm_outfile *f = NULL;
    struct stat st;
    bool exists;
    int err = 0;

    *out = NULL;
    exists = stat(path, &st) == 0;
    if ((exists && S_ISDIR(st.st_mode)) || sm_path_name(path)[0] == 0)
        return sm_fail(SM_EIO, "%s: is a directory", path);
    f = sm_alloc_zero(1, sizeof *f);
    if (!f)
        return SM_ENOMEM;
    f->path = sm_strdup(path);
    if (!f->path) {
        err = SM_ENOMEM;
    } else if (exists && !S_ISREG(st.st_mode)) {
        f->stream = fopen(path, "wb");
        if (!f->stream)
            err = sm_fail(SM_EIO, "%s: %s", path, strerror(errno));
    } else {
        err = open_temporary(f);
    }
    if (err < 0)
        sm_outfile_abandon(f);
    else
        *out = f;
    return err;
}

FILE *sm_outfile_stream(sm_outfile *f)
{
    return f->stream;
}

const char *sm_outfile_path(const sm_outfile *f)
{
    return f->temporary ? f->temporary : f->path;
}

int sm_outfile_commit(sm_outfile *f)
{
    const bool was_bad = ferror(f->stream) != 0;
    bool bad = fflush(f->stream) != 0 || was_bad;

    if (!bad && f->temporary)
        bad = fsync(fileno(f->stream)) != 0;
    if (!bad) {
        FILE *stream = f->stream;
        f->stream = NULL;
        bad = fclose(stream) != 0;
    }
    if (!bad && f->temporary)
        bad = rename(f->temporary, f->path) != 0;
    if (bad) {
        sm_fail(SM_EIO, "%s: %s", f->path, was_bad ? "writing failed" : strerror(errno));
        sm_outfile_abandon(f);
        return SM_EIO;
    }
    outfile_free(f);
    return 0;
}

void sm_outfile_abandon(sm_outfile *f)
{
    if (f && f->temporary)
        unlink(f->temporary);
    outfile_free(f);
}
