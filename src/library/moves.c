/* Moving files so that it can be taken back: the journal first, then one rename after the other; nothing is ever replaced. */
#include "library/moves.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void problem(sm_moves *m, const char *path, const char *reason)
{
    m->failed++;
    if (m->problem)
        m->problem(m->user, path, reason);
}

/* ---- one file ---- */

static int make_parent(const char *path)
{
    char *folder = sm_strndup(path, (size_t)(sm_path_name(path) - path));
    const int err = folder ? sm_make_directories(*folder ? folder : "/") : SM_ENOMEM;
    sm_free(folder);
    return err;
}

static int copy_bytes(FILE *in, FILE *out, const char *path)
{
    char block[65536];
    size_t n;
    while ((n = fread(block, 1, sizeof block, in)) > 0)
        if (fwrite(block, 1, n, out) != n)
            return sm_fail(SM_EIO, "%s: %s", path, strerror(errno));
    return ferror(in) ? sm_fail(SM_EIO, "%s: %s", path, strerror(errno)) : 0;
}

/* To another file system: a copy that is whole and on the disk before the old file goes. */
static int move_across(const char *from, const char *to)
{
    struct stat st;
    sm_outfile *out = NULL;
    FILE *in = fopen(from, "rb");
    int err = in && fstat(fileno(in), &st) == 0 ? 0 : sm_fail(SM_EIO, "%s: %s", from, strerror(errno));
    if (err == 0)
        err = sm_outfile_open(to, &out);
    if (err == 0)
        err = copy_bytes(in, sm_outfile_stream(out), to);
    if (err == 0) {
        const struct timespec times[2] = { st.st_atim, st.st_mtim };
        const int fd = fileno(sm_outfile_stream(out));
        fflush(sm_outfile_stream(out));
        if (fchmod(fd, st.st_mode & 07777) < 0 || futimens(fd, times) < 0)
            err = sm_fail(SM_EIO, "%s: %s", to, strerror(errno));
    }
    if (err == 0)
        err = sm_outfile_commit(out);
    else
        sm_outfile_abandon(out);
    if (err == 0 && unlink(from) < 0)
        err = sm_fail(SM_EIO, "%s: copied to %s, but could not be removed: %s", from, to, strerror(errno));
    if (in)
        fclose(in);
    return err;
}

static int move_file(const char *from, const char *to)
{
    struct stat st;
    int err = make_parent(to);
    if (err < 0)
        return err;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EEXIST || lstat(to, &st) == 0)
        return sm_fail(SM_EIO, "%s is there already", to);
    if (errno == EXDEV)
        return move_across(from, to);
    if ((errno == EINVAL || errno == ENOSYS) && rename(from, to) == 0) /* a file system that cannot refuse to replace */
        return 0;
    return sm_fail(errno == ENOENT ? SM_ENOTFOUND : SM_EIO, "cannot be moved to %s: %s", to, strerror(errno));
}

/* ---- what the library knows of it ---- */

typedef struct {
    int64_t id;
} found;

static int note_id(void *user, const sm_file_row *f)
{
    ((found *)user)->id = f->id;
    return 0;
}

static int move_row(sm_store *s, const char *from, const char *to)
{
    found f = { 0 };
    int64_t id = 0;
    const int err = sm_store_file_find(s, from, note_id, &f);
    if (err == SM_ENOTFOUND)
        return 0;
    return err < 0 ? err : sm_store_file_move(s, f.id, to, &id);
}

static int move_one(sm_store *s, const char *from, const char *to, sm_moves *m)
{
    if (m->told)
        m->told(m->user, from, to);
    int err = move_file(from, to);
    if (err == SM_ENOMEM)
        return err;
    if (err < 0) {
        problem(m, from, sm_last_error());
        return 0;
    }
    m->moved++;
    return move_row(s, from, to);
}

/* ---- many ---- */

static int write_journal(sm_store *s, const char *what, const sm_strings *from, const sm_strings *to, int64_t *id)
{
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "moves");
    sm_json_begin_array(&j);
    for (size_t i = 0; i < from->length; i++) {
        sm_json_begin_object(&j);
        sm_json_path(&j, "from", from->items[i]);
        sm_json_path(&j, "to", to->items[i]);
        sm_json_end_object(&j);
    }
    sm_json_end_array(&j);
    sm_json_end_object(&j);
    const int err = text.failed ? SM_ENOMEM : sm_store_journal_add(s, what, text.data, id);
    sm_buffer_free(&text);
    return err;
}

int sm_moves_run(sm_store *s, const char *what, const sm_strings *from, const sm_strings *to, sm_moves *m)
{
    int64_t id = 0;
    int err = 0;
    m->moved = m->failed = 0;
    if (from->length == 0)
        return 0;
    err = write_journal(s, what, from, to, &id);
    for (size_t i = 0; err == 0 && i < from->length; i++)
        err = move_one(s, from->items[i], to->items[i], m);
    if (err == 0 && m->moved == 0)
        err = sm_store_journal_remove(s, id);
    return err;
}

/* ---- and back ---- */

typedef struct {
    int64_t id;
    json_t *json;
} entry;

static int take_entry(void *user, int64_t id, double time_s, const char *what, const char *json)
{
    entry *e = user;
    (void)time_s;
    (void)what;
    e->id = id;
    e->json = json_loads(json, 0, NULL);
    return e->json ? 0 : sm_fail(SM_EFORMAT, "entry %lld of the journal is damaged", (long long)id);
}

/* What was never moved, because something stood in its way or all was cut short, is where it was: nothing to do. */
static int move_back(sm_store *s, const json_t *move, sm_moves *m)
{
    sm_buffer from = { 0 }, to = { 0 };
    struct stat st;
    int err = 0;
    if (!sm_json_bytes_in(move, "from", &from) || !sm_json_bytes_in(move, "to", &to))
        err = sm_fail(SM_EFORMAT, "a move in the journal lacks its names");
    else if (from.failed || to.failed)
        err = SM_ENOMEM;
    else if (lstat(to.data, &st) == 0)
        err = move_one(s, to.data, from.data, m);
    else if (lstat(from.data, &st) < 0)
        problem(m, to.data, "is not there any more");
    sm_buffer_free(&from);
    sm_buffer_free(&to);
    return err;
}

int sm_moves_undo(const char *library, const char *what, sm_moves *m)
{
    sm_store *s = NULL;
    entry e = { 0 };
    m->moved = m->failed = 0;
    int err = sm_store_open(library, SM_STORE_WRITE, &s);
    if (err == 0)
        err = sm_store_journal_each(s, what, 1, take_entry, &e);
    if (err == 0 && !e.json)
        err = sm_fail(SM_ENOTFOUND, "%s: the journal has no \"%s\" that could be taken back", library, what);
    const json_t *moves = json_object_get(e.json, "moves");
    for (size_t i = json_array_size(moves); err == 0 && i-- > 0;)
        err = move_back(s, json_array_get(moves, i), m);
    if (err == 0 && m->failed == 0)
        err = sm_store_journal_remove(s, e.id);
    json_decref(e.json);
    sm_store_close(s);
    return err;
}
