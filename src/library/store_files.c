/* Folders and files. */
#include <string.h>

#include "library/store_internal.h"

enum { FOLDER_SHIFT = 24 }; /* files.id = folder << 24 | number */
#define FILE_COLUMNS "id, name, size, mtime_ns, state, added_s, content, reason"

static int64_t first_id(int64_t folder)
{
    return folder << FOLDER_SHIFT;
}

static int64_t last_id(int64_t folder)
{
    return (folder << FOLDER_SHIFT) | ((1 << FOLDER_SHIFT) - 1);
}

/* ---- folders ---- */

int sm_store_folder_id(sm_store *s, const char *path, bool create, int64_t *id)
{
    sqlite3_stmt *st = NULL;
    *id = 0;
    int err = sql_cached(&s->sql, "SELECT id FROM folders WHERE path = ?", &st);
    if (err < 0)
        return err;
    sql_bind_bytes(st, 1, path, strlen(path));
    err = store_ask(s, st, id);
    if (err < 0 || *id > 0 || !create)
        return err;
    if ((err = store_change(s, "INSERT INTO folders (path) VALUES (?)", &st)) < 0)
        return err;
    sql_bind_bytes(st, 1, path, strlen(path));
    if ((err = store_done(s, st)) == 0)
        *id = sqlite3_last_insert_rowid(s->sql.db);
    return err;
}

int sm_store_folder_path(sm_store *s, int64_t id, sm_buffer *out)
{
    sqlite3_stmt *st = NULL;
    int err = sql_cached(&s->sql, "SELECT path FROM folders WHERE id = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, id);
    err = sql_step(&s->sql, st);
    if (err == 1)
        sm_buffer_text(out, sql_text(st, 0));
    sqlite3_reset(st);
    if (err == 0)
        return sm_fail(SM_ENOTFOUND, "%s: no folder %lld", s->sql.path, (long long)id);
    return out->failed ? SM_ENOMEM : SM_MIN(err, 0);
}

typedef struct {
    sm_folder_fn fn;
    void *user;
} folder_walk;

static int give_folder(void *user, sqlite3_stmt *st)
{
    const folder_walk *w = user;
    return w->fn(w->user, sqlite3_column_int64(st, 0), sql_text(st, 1));
}

int sm_store_each_folder(sm_store *s, const char *below, sm_folder_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    folder_walk w = { fn, user };
    size_t n = below ? strlen(below) : 0;
    while (n > 0 && below[n - 1] == '/')
        n--; /* "/" itself: everything */
    int err = n == 0 ? sql_prepare(&s->sql, "SELECT id, path FROM folders ORDER BY path", &st)
                     : sql_prepare(&s->sql,
                                   "SELECT id, path FROM folders WHERE path = ?1 OR (path > ?2 AND path < ?3)"
                                   " ORDER BY path",
                                   &st);
    if (err < 0)
        return err;
    sm_buffer bounds = { 0 }; /* everything below "a/b" lies between "a/b/" and "a/b0" */
    sm_buffer_add(&bounds, below, n);
    sm_buffer_text(&bounds, "/");
    sm_buffer_add(&bounds, below, n);
    sm_buffer_text(&bounds, "0");
    if (n > 0 && !bounds.failed) {
        sql_bind_bytes(st, 1, below, n);
        sql_bind_bytes(st, 2, bounds.data, n + 1);
        sql_bind_bytes(st, 3, bounds.data + n + 1, n + 1);
    }
    if (bounds.failed)
        sqlite3_finalize(st);
    err = bounds.failed ? SM_ENOMEM : store_walk(s, st, give_folder, &w);
    sm_buffer_free(&bounds);
    return err;
}

/* ---- files ---- */

typedef struct {
    sm_file_fn fn;
    void *user;
    size_t n;
} file_walk;

static int give_file(void *user, sqlite3_stmt *st)
{
    file_walk *w = user;
    const sm_file_row f = { .id = sqlite3_column_int64(st, 0),
                            .folder = sqlite3_column_int64(st, 0) >> FOLDER_SHIFT,
                            .name = sql_text(st, 1),
                            .size = sqlite3_column_int64(st, 2),
                            .mtime_ns = sqlite3_column_int64(st, 3),
                            .state = (sm_file_state)sqlite3_column_int(st, 4),
                            .added_s = sqlite3_column_double(st, 5),
                            .content = sqlite3_column_int64(st, 6),
                            .reason = sql_text(st, 7) };
    w->n++;
    return f.name ? w->fn(w->user, &f) : SM_ENOMEM;
}

/* SELECT of FILE_COLUMNS with one number; *n: how many rows. */
static int walk_files(sm_store *s, const char *sql, int64_t value, sm_file_fn fn, void *user, size_t *n)
{
    sqlite3_stmt *st = NULL;
    file_walk w = { fn, user, 0 };
    int err = sql_prepare(&s->sql, sql, &st);
    if (err == 0) {
        sqlite3_bind_int64(st, 1, value);
        err = store_walk(s, st, give_file, &w);
    }
    if (n)
        *n = w.n;
    return err;
}

int sm_store_file_get(sm_store *s, int64_t id, sm_file_fn fn, void *user)
{
    size_t n = 0;
    const int err = walk_files(s, "SELECT " FILE_COLUMNS " FROM files WHERE id = ?", id, fn, user, &n);
    return err == 0 && n == 0 ? sm_fail(SM_ENOTFOUND, "%s: no file %lld", s->sql.path, (long long)id) : err;
}

int sm_store_file_path(sm_store *s, int64_t id, sm_buffer *out)
{
    sqlite3_stmt *st = NULL;
    int err = sql_cached(
        &s->sql,
        "SELECT folders.path, files.name FROM files JOIN folders ON folders.id = files.id >> 24 WHERE files.id = ?",
        &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, id);
    err = sql_step(&s->sql, st);
    if (err == 1) {
        const char *folder = sql_text(st, 0);
        sm_buffer_text(out, folder);
        if (strcmp(folder, "/") != 0)
            sm_buffer_text(out, "/");
        sm_buffer_text(out, sql_text(st, 1));
    }
    sqlite3_reset(st);
    if (err == 0)
        return sm_fail(SM_ENOTFOUND, "%s: no file %lld", s->sql.path, (long long)id);
    return out->failed ? SM_ENOMEM : SM_MIN(err, 0);
}

/* The folder of an absolute path: "/" for "/x". The caller's. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? sm_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : sm_strdup("");
}

int sm_store_file_find(sm_store *s, const char *path, sm_file_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    file_walk w = { fn, user, 0 };
    int64_t folder = 0;
    char *of = folder_of(path);
    int err = of ? sm_store_folder_id(s, of, false, &folder) : SM_ENOMEM;
    sm_free(of);
    if (err == 0 && folder > 0)
        err = sql_prepare(&s->sql, "SELECT " FILE_COLUMNS " FROM files WHERE id BETWEEN ? AND ? AND name = ?", &st);
    if (err == 0 && folder > 0) {
        const char *name = sm_path_name(path);
        sqlite3_bind_int64(st, 1, first_id(folder));
        sqlite3_bind_int64(st, 2, last_id(folder));
        sql_bind_bytes(st, 3, name, strlen(name));
        err = store_walk(s, st, give_file, &w);
    }
    return err == 0 && w.n == 0 ? sm_fail(SM_ENOTFOUND, "%s: not in the library %s", path, s->folder) : err;
}

int sm_store_files_in(sm_store *s, int64_t folder, sm_file_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    file_walk w = { fn, user, 0 };
    int err = sql_cached(&s->sql, "SELECT " FILE_COLUMNS " FROM files WHERE id BETWEEN ? AND ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, first_id(folder));
    sqlite3_bind_int64(st, 2, last_id(folder));
    err = store_rows(s, st, give_file, &w);
    sqlite3_reset(st);
    return err;
}

int sm_store_files_of(sm_store *s, int64_t content, sm_file_fn fn, void *user)
{
    return walk_files(s, "SELECT " FILE_COLUMNS " FROM files WHERE content = ? AND state = 1", content, fn, user, NULL);
}

int sm_store_files_in_state(sm_store *s, sm_file_state state, sm_file_fn fn, void *user)
{
    return walk_files(s, "SELECT " FILE_COLUMNS " FROM files WHERE state = ?", state, fn, user, NULL);
}

static void bind_file(sqlite3_stmt *st, const sm_file_row *f)
{
    sqlite3_bind_int64(st, 2, f->size);
    sqlite3_bind_int64(st, 3, f->mtime_ns);
    sqlite3_bind_int(st, 4, f->state);
    if (f->content > 0)
        sqlite3_bind_int64(st, 5, f->content);
    sql_bind_text(st, 6, f->reason);
}

int sm_store_file_next(sm_store *s, int64_t folder, int64_t *id)
{
    sqlite3_stmt *st = NULL;
    int err = sql_cached(&s->sql, "SELECT max(id) FROM files WHERE id BETWEEN ? AND ?", &st);
    *id = first_id(folder);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, first_id(folder));
    sqlite3_bind_int64(st, 2, last_id(folder));
    int64_t last = 0;
    err = store_ask(s, st, &last);
    *id = SM_MAX(*id, last) + 1;
    return err;
}

int sm_store_file_add(sm_store *s, const sm_file_row *f, int64_t *id)
{
    sqlite3_stmt *st = NULL;
    int64_t next = f->id;
    *id = 0;
    int err = next > 0 ? 0 : sm_store_file_next(s, f->folder, &next);
    if (err == 0 && next > last_id(f->folder))
        err = sm_fail(SM_ELIMIT, "%s: a folder of more than %d files", s->sql.path, 1 << FOLDER_SHIFT);
    if (err < 0)
        return err;
    err = store_change(s,
                       "INSERT INTO files (id, size, mtime_ns, state, content, reason, name, added_s)"
                       " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                       &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, next);
    bind_file(st, f);
    sql_bind_bytes(st, 7, f->name, strlen(f->name));
    sqlite3_bind_int64(st, 8, (int64_t)f->added_s);
    if ((err = store_done(s, st)) == 0)
        *id = next;
    return err;
}

int sm_store_file_set(sm_store *s, const sm_file_row *f)
{
    sqlite3_stmt *st = NULL;
    int err =
        store_change(s,
                     "UPDATE files SET size = ?2, mtime_ns = ?3, state = ?4, content = ?5, reason = ?6 WHERE id = ?1",
                     &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, f->id);
    bind_file(st, f);
    return store_done(s, st);
}

int sm_store_folder_gone(sm_store *s, int64_t folder, int64_t *n)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "UPDATE files SET state = 3 WHERE id BETWEEN ? AND ? AND state != 3", &st);
    *n = 0;
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, first_id(folder));
    sqlite3_bind_int64(st, 2, last_id(folder));
    if ((err = store_done(s, st)) == 0)
        *n = sqlite3_changes(s->sql.db);
    return err;
}

int sm_store_gone_copy(sm_store *s, int64_t content, int64_t *id)
{
    sqlite3_stmt *st = NULL;
    *id = 0;
    int err = sql_cached(&s->sql, "SELECT id FROM files WHERE content = ? AND state = 3 ORDER BY id LIMIT 1", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    return store_ask(s, st, id);
}

int sm_store_file_remove(sm_store *s, int64_t id)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "DELETE FROM files WHERE id = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, id);
    return store_done(s, st);
}

/* A row that outlives its callback. */
typedef struct {
    sm_file_row row;
    char *name, *reason;
} kept_file;

static int keep_file(void *user, const sm_file_row *f)
{
    kept_file *k = user;
    k->row = *f;
    k->name = sm_strdup(f->name);
    k->reason = f->reason ? sm_strdup(f->reason) : NULL;
    return k->name && (k->reason || !f->reason) ? 0 : SM_ENOMEM;
}

static int remove_other(void *user, const sm_file_row *f)
{
    return sm_store_file_remove(user, f->id);
}

int sm_store_file_move(sm_store *s, int64_t id, const char *path, int64_t *new_id)
{
    kept_file k = { 0 };
    bool own = false;
    char *of = folder_of(path);
    *new_id = 0;
    int err = of ? sm_store_begin(s, &own) : SM_ENOMEM;
    if (err == 0)
        err = sm_store_file_get(s, id, keep_file, &k);
    if (err == 0)
        err = sm_store_folder_id(s, of, true, &k.row.folder);
    if (err == 0)
        err = sm_store_file_remove(s, id);
    if (err == 0) { /* a row that stood there before is overwritten, as the file was */
        err = sm_store_file_find(s, path, remove_other, s);
        err = err == SM_ENOTFOUND ? 0 : err;
    }
    if (err == 0) {
        k.row.id = 0; /* a new one */
        k.row.name = sm_path_name(path);
        k.row.reason = k.reason;
        err = sm_store_file_add(s, &k.row, new_id);
    }
    err = sm_store_end(s, own, err);
    sm_free(k.name);
    sm_free(k.reason);
    sm_free(of);
    return err;
}
