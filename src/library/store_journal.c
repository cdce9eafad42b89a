/* What was done to files and can be undone; and small things that are remembered by name. */
#include <string.h>
#include <time.h>

#include "library/store_internal.h"

int sm_store_journal_add(sm_store *s, const char *what, const char *json, int64_t *id)
{
    sqlite3_stmt *st = NULL;
    struct timespec now;
    *id = 0;
    int err = store_change(s, "INSERT INTO journal (time_s, what, json) VALUES (?, ?, ?)", &st);
    if (err < 0)
        return err;
    clock_gettime(CLOCK_REALTIME, &now);
    sqlite3_bind_double(st, 1, (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
    sql_bind_text(st, 2, what);
    sql_bind_text(st, 3, json);
    if ((err = store_done(s, st)) == 0)
        *id = sqlite3_last_insert_rowid(s->sql.db);
    return err;
}

typedef struct {
    sm_journal_fn fn;
    void *user;
} journal_walk;

static int give_entry(void *user, sqlite3_stmt *st)
{
    const journal_walk *w = user;
    return w->fn(w->user, sqlite3_column_int64(st, 0), sqlite3_column_double(st, 1), sql_text(st, 2), sql_text(st, 3));
}

int sm_store_journal_each(sm_store *s, const char *what, int at_most, sm_journal_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    journal_walk w = { fn, user };
    const int err = sql_prepare(&s->sql,
                                "SELECT id, time_s, what, json FROM journal WHERE what = coalesce(?, what)"
                                " ORDER BY id DESC LIMIT ?",
                                &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, what);
    sqlite3_bind_int(st, 2, at_most > 0 ? at_most : -1);
    return store_walk(s, st, give_entry, &w);
}

int sm_store_journal_remove(sm_store *s, int64_t id)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "DELETE FROM journal WHERE id = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, id);
    return store_done(s, st);
}

int sm_store_state_get(sm_store *s, const char *name, sm_buffer *value)
{
    sqlite3_stmt *st = NULL;
    int err = sql_cached(&s->sql, "SELECT value FROM state WHERE name = ?", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, name);
    err = sql_step(&s->sql, st);
    if (err == 1 && sql_text(st, 0))
        sm_buffer_text(value, sql_text(st, 0));
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return value->failed ? SM_ENOMEM : SM_MIN(err, 0);
}

int sm_store_state_set(sm_store *s, const char *name, const char *value)
{
    sqlite3_stmt *st = NULL;
    int err = value ? store_change(s, "INSERT OR REPLACE INTO state (name, value) VALUES (?1, ?2)", &st)
                    : store_change(s, "DELETE FROM state WHERE name = ?1", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, name);
    if (value)
        sql_bind_text(st, 2, value);
    return store_done(s, st);
}

int sm_store_state_count(sm_store *s, const char *name, int64_t more)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s,
                           "INSERT INTO state (name, value) VALUES (?1, ?2)"
                           " ON CONFLICT (name) DO UPDATE SET value = value + ?2",
                           &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, name);
    sqlite3_bind_int64(st, 2, more);
    return store_done(s, st);
}

int sm_store_root_put(sm_store *s, const char *path, bool in)
{
    sqlite3_stmt *st = NULL;
    int err = in ? store_change(s, "INSERT OR IGNORE INTO roots (path) VALUES (?)", &st)
                 : store_change(s, "DELETE FROM roots WHERE path = ?", &st);
    if (err < 0)
        return err;
    sql_bind_bytes(st, 1, path, strlen(path));
    return store_done(s, st);
}

typedef struct {
    int (*fn)(void *user, const char *path);
    void *user;
} root_walk;

static int give_root(void *user, sqlite3_stmt *st)
{
    const root_walk *w = user;
    return w->fn(w->user, sql_text(st, 0));
}

int sm_store_each_root(sm_store *s, int (*fn)(void *user, const char *path), void *user)
{
    sqlite3_stmt *st = NULL;
    root_walk w = { fn, user };
    const int err = sql_prepare(&s->sql, "SELECT path FROM roots ORDER BY path", &st);
    return err < 0 ? err : store_walk(s, st, give_root, &w);
}
