/* Spaces and their vectors, fingerprints, positions on maps. */
#include <string.h>

#include "library/store_internal.h"

/* ---- spaces ---- */

int sm_store_space(sm_store *s, const char *name, int version, int dims, int64_t *id)
{
    sqlite3_stmt *st = NULL;
    int there = 0;
    *id = 0;
    int err = sql_cached(&s->sql, "SELECT id, dims FROM spaces WHERE name = ? AND version = ?", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, name);
    sqlite3_bind_int(st, 2, version);
    err = sql_step(&s->sql, st);
    if (err == 1) {
        *id = sqlite3_column_int64(st, 0);
        there = sqlite3_column_int(st, 1);
        err = 0;
    }
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    if (err < 0 || (*id == 0 && dims <= 0))
        return err;
    if (*id > 0 && dims > 0 && there != dims) {
        *id = 0;
        return sm_fail(SM_EFORMAT, "%s: the space %s/%d has %d dimensions, not %d", s->sql.path, name, version, there,
                       dims);
    }
    if (*id > 0)
        return 0;
    if ((err = store_change(s, "INSERT INTO spaces (name, version, dims) VALUES (?, ?, ?)", &st)) < 0)
        return err;
    sql_bind_text(st, 1, name);
    sqlite3_bind_int(st, 2, version);
    sqlite3_bind_int(st, 3, dims);
    if ((err = store_done(s, st)) == 0)
        *id = sqlite3_last_insert_rowid(s->sql.db);
    return err;
}

typedef struct {
    int (*fn)(void *user, const sm_space_row *space, int64_t vectors);
    void *user;
} space_walk;

static int give_space(void *user, sqlite3_stmt *st)
{
    const space_walk *w = user;
    const sm_space_row row = { .id = sqlite3_column_int64(st, 0),
                               .name = sql_text(st, 1),
                               .version = sqlite3_column_int(st, 2),
                               .dims = sqlite3_column_int(st, 3) };
    return w->fn(w->user, &row, sqlite3_column_int64(st, 4));
}

int sm_store_each_space(sm_store *s, int (*fn)(void *user, const sm_space_row *space, int64_t vectors), void *user)
{
    sqlite3_stmt *st = NULL;
    space_walk w = { fn, user };
    const int err = sql_prepare(&s->sql,
                                "SELECT id, name, version, dims,"
                                " (SELECT count(*) FROM embeddings WHERE space = spaces.id) FROM spaces ORDER BY id",
                                &st);
    return err < 0 ? err : store_walk(s, st, give_space, &w);
}

/* ---- vectors ---- */

int sm_store_vector_put(sm_store *s, int64_t content, int64_t space, const float *vector, int dims)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s,
                           "INSERT INTO embeddings (content, space, vector) VALUES (?, ?, ?)"
                           " ON CONFLICT (space, content) DO UPDATE SET vector = excluded.vector",
                           &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    sqlite3_bind_int64(st, 2, space);
    sql_bind_bytes(st, 3, vector, (size_t)dims * sizeof *vector);
    return store_done(s, st);
}

int sm_store_vector_get(sm_store *s, int64_t content, int64_t space, float *vector, int dims)
{
    sqlite3_stmt *st = NULL;
    int err = sql_cached(&s->sql, "SELECT vector FROM embeddings WHERE space = ? AND content = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, space);
    sqlite3_bind_int64(st, 2, content);
    err = sql_step(&s->sql, st);
    if (err == 1) {
        const int bytes = sqlite3_column_bytes(st, 0);
        err = bytes == dims * (int)sizeof *vector
                  ? 0
                  : sm_fail(SM_EFORMAT, "%s: a vector of %d bytes where %d dimensions were expected", s->sql.path,
                            bytes, dims);
        if (err == 0)
            memcpy(vector, sqlite3_column_blob(st, 0), (size_t)bytes);
    } else if (err == 0) {
        err =
            sm_fail(SM_ENOTFOUND, "%s: the content %lld has no vector in this space", s->sql.path, (long long)content);
    }
    sqlite3_reset(st);
    return err;
}

typedef struct {
    sm_vector_fn fn;
    void *user;
    sm_buffer copy; /* aligned */
} vector_walk;

static int give_vector(void *user, sqlite3_stmt *st)
{
    vector_walk *w = user;
    const size_t bytes = (size_t)sqlite3_column_bytes(st, 1);
    w->copy.length = 0;
    sm_buffer_add(&w->copy, bytes > 0 ? sqlite3_column_blob(st, 1) : "", bytes);
    if (w->copy.failed)
        return SM_ENOMEM;
    return w->fn(w->user, sqlite3_column_int64(st, 0), (const float *)(const void *)w->copy.data,
                 (int)(bytes / sizeof(float)));
}

int sm_store_each_vector(sm_store *s, int64_t space, int64_t after, sm_vector_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    vector_walk w = { .fn = fn, .user = user };
    int err =
        sql_prepare(&s->sql, "SELECT content, vector FROM embeddings WHERE space = ? AND content > ? ORDER BY content",
                    &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, space);
    sqlite3_bind_int64(st, 2, after);
    err = store_walk(s, st, give_vector, &w);
    sm_buffer_free(&w.copy);
    return err;
}

int sm_store_vector_count(sm_store *s, int64_t space, int64_t *count)
{
    sqlite3_stmt *st = NULL;
    *count = 0;
    int err = sql_cached(&s->sql, "SELECT count(*) FROM embeddings WHERE space = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, space);
    return store_ask(s, st, count);
}

/* ---- fingerprints ---- */

int sm_store_print_put(sm_store *s, int64_t content, int version, const void *print, size_t size)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "INSERT OR REPLACE INTO fingerprints (content, version, print) VALUES (?, ?, ?)", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    sqlite3_bind_int(st, 2, version);
    sql_bind_bytes(st, 3, size > 0 ? print : "", size);
    return store_done(s, st);
}

typedef struct {
    sm_print_fn fn;
    void *user;
} print_walk;

static int give_print(void *user, sqlite3_stmt *st)
{
    const print_walk *w = user;
    const int bytes = sqlite3_column_bytes(st, 1);
    return w->fn(w->user, sqlite3_column_int64(st, 0), bytes > 0 ? sqlite3_column_blob(st, 1) : "", (size_t)bytes);
}

int sm_store_each_print(sm_store *s, int version, sm_print_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    print_walk w = { fn, user };
    const int err =
        sql_prepare(&s->sql, "SELECT content, print FROM fingerprints WHERE version = ? ORDER BY content", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int(st, 1, version);
    return store_walk(s, st, give_print, &w);
}

/* ---- positions ---- */

int sm_store_position_put(sm_store *s, int64_t content, const char *layout, double x, double y)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "INSERT OR REPLACE INTO positions (content, layout, x, y) VALUES (?, ?, ?, ?)", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    sql_bind_text(st, 2, layout);
    sqlite3_bind_double(st, 3, x);
    sqlite3_bind_double(st, 4, y);
    return store_done(s, st);
}

typedef struct {
    sm_position_fn fn;
    void *user;
} position_walk;

static int give_position(void *user, sqlite3_stmt *st)
{
    const position_walk *w = user;
    return w->fn(w->user, sqlite3_column_int64(st, 0), sqlite3_column_double(st, 1), sqlite3_column_double(st, 2));
}

int sm_store_each_position(sm_store *s, const char *layout, sm_position_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    position_walk w = { fn, user };
    const int err = sql_prepare(&s->sql, "SELECT content, x, y FROM positions WHERE layout = ? ORDER BY content", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, layout);
    return store_walk(s, st, give_position, &w);
}

int sm_store_positions_remove(sm_store *s, const char *layout)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "DELETE FROM positions WHERE layout = ?", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, layout);
    return store_done(s, st);
}

/* ---- what is lacking ---- */

typedef struct {
    int (*fn)(void *user, int64_t content);
    void *user;
} content_walk;

static int give_content(void *user, sqlite3_stmt *st)
{
    const content_walk *w = user;
    return w->fn(w->user, sqlite3_column_int64(st, 0));
}

int sm_store_lacking(sm_store *s, int64_t space, int print_version, int (*fn)(void *user, int64_t content), void *user)
{
    sqlite3_stmt *st = NULL;
    content_walk w = { fn, user };
    const int err =
        sql_prepare(&s->sql,
                    "SELECT id FROM contents WHERE"
                    " (?1 > 0 AND NOT EXISTS (SELECT 1 FROM embeddings WHERE space = ?1 AND content = contents.id)) OR"
                    " (?2 > 0 AND NOT EXISTS (SELECT 1 FROM fingerprints WHERE version = ?2 AND content = contents.id))"
                    " ORDER BY id",
                    &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, space);
    sqlite3_bind_int(st, 2, print_version);
    return store_walk(s, st, give_content, &w);
}
