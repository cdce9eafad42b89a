/* The store's life: opening, transactions, checking; and what the other store*.c are written with. */
#include <string.h>
#include <sys/stat.h>

#include "library/store_internal.h"

int sm_store_open(const char *folder, sm_store_mode mode, sm_store **out)
{
    static const sql_mode modes[] = {
        [SM_STORE_READ] = SQL_READ, [SM_STORE_WRITE] = SQL_WRITE, [SM_STORE_CREATE] = SQL_CREATE
    };
    sm_store *s = sm_alloc_zero(1, sizeof *s);
    char *path = NULL;
    int err = s && (s->folder = sm_strdup(folder)) && (path = sm_printf_new("%s/library.db", folder)) ? 0 : SM_ENOMEM;
    *out = NULL;
    if (err == 0)
        err = sql_open(&s->sql, path, &store_kind, modes[mode]);
    if (err == 0 && mode != SM_STORE_READ)
        err = store_properties_migrate(s);
    sm_free(path);
    if (err < 0)
        sm_store_close(s);
    else
        *out = s;
    return err;
}

void sm_store_close(sm_store *s)
{
    if (!s)
        return;
    sql_close(&s->sql);
    sm_free(s->folder);
    sm_free(s->put_properties);
    sm_free(s->text);
    sm_free(s);
}

const char *sm_store_folder(const sm_store *s)
{
    return s->folder;
}

bool sm_store_is_writable(const sm_store *s)
{
    return s->sql.writable;
}

int sm_store_begin(sm_store *s, bool *own)
{
    return sql_begin(&s->sql, own);
}

int sm_store_end(sm_store *s, bool own, int err)
{
    return sql_end(&s->sql, own, err);
}

int64_t sm_store_bytes(sm_store *s)
{
    static const char *const endings[] = { "", "-wal" };
    int64_t bytes = 0;
    for (size_t i = 0; i < SM_LENGTH(endings); i++) {
        struct stat st;
        char *path = sm_printf_new("%s%s", s->sql.path, endings[i]);
        if (path && stat(path, &st) == 0)
            bytes += st.st_size;
        sm_free(path);
    }
    return bytes;
}

/* ---- for the other files ---- */

int store_change(sm_store *s, const char *sql, sqlite3_stmt **out)
{
    const int err = sql_writable(&s->sql);
    *out = NULL;
    return err < 0 ? err : sql_cached(&s->sql, sql, out);
}

int store_done(sm_store *s, sqlite3_stmt *st)
{
    const int err = sql_run(&s->sql, st);
    sqlite3_clear_bindings(st); /* what was bound belongs to the caller */
    return err;
}

int store_ask(sm_store *s, sqlite3_stmt *st, int64_t *out)
{
    const int err = sql_step(&s->sql, st);
    if (err == 1)
        *out = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return SM_MIN(err, 0);
}

int store_rows(sm_store *s, sqlite3_stmt *st, int (*row)(void *user, sqlite3_stmt *st), void *user)
{
    int err = 0;
    while ((err = sql_step(&s->sql, st)) == 1) {
        err = row(user, st);
        if (err < 0)
            return err;
    }
    return err;
}

int store_walk(sm_store *s, sqlite3_stmt *st, int (*row)(void *user, sqlite3_stmt *st), void *user)
{
    const int err = store_rows(s, st, row, user);
    sqlite3_finalize(st);
    return err;
}

typedef struct {
    sm_id_fn fn;
    void *user;
} id_walk;

static int give_id(void *user, sqlite3_stmt *st)
{
    const id_walk *w = user;
    return w->fn(w->user, sqlite3_column_int64(st, 0));
}

int store_rows_ids(sm_store *s, sqlite3_stmt *st, sm_id_fn fn, void *user)
{
    id_walk w = { fn, user };
    return store_rows(s, st, give_id, &w);
}

int store_walk_ids(sm_store *s, sqlite3_stmt *st, sm_id_fn fn, void *user)
{
    id_walk w = { fn, user };
    return store_walk(s, st, give_id, &w);
}

/* ---- checking ---- */

static int note_text(void *user, sqlite3_stmt *st)
{
    const char *text = sql_text(st, 0);
    return text && strcmp(text, "ok") != 0 ? sm_strings_add(user, text) : 0;
}

static int note_reference(void *user, sqlite3_stmt *st)
{
    char *line = sm_printf_new("%s: row %lld refers to a row of %s that is not there", sql_text(st, 0),
                               (long long)sqlite3_column_int64(st, 1), sql_text(st, 2));
    const int err = line ? sm_strings_add(user, line) : SM_ENOMEM;
    sm_free(line);
    return err;
}

/* Each gives a number that is to be 0, and what it counts. */
static const struct {
    const char *sql, *what;
} rules[] = {
    { "SELECT count(*) FROM files WHERE NOT EXISTS (SELECT 1 FROM folders WHERE folders.id = files.id >> 24)",
      "files in folders that are not there" },
    { "SELECT count(*) FROM (SELECT 1 FROM files GROUP BY id >> 24, name HAVING count(*) > 1)",
      "names that stand twice in a folder" },
    { "SELECT count(*) FROM files WHERE state = 1 AND content IS NULL", "analysed files without a content" },
    { "SELECT count(*) FROM files WHERE state = 2 AND reason IS NULL", "broken files without a reason" },
    { "SELECT count(*) FROM files WHERE state NOT BETWEEN 0 AND 3", "files in an unknown state" },
    { "SELECT count(*) FROM contents WHERE id NOT IN (SELECT content FROM records)", "contents without a record" },
    { "SELECT count(*) FROM contents WHERE id NOT IN (SELECT content FROM properties)", "contents without properties" },
    { "SELECT count(*) FROM embeddings e JOIN spaces s ON s.id = e.space WHERE length(e.vector) != 4 * s.dims",
      "vectors of another length than their space" },
};

int sm_store_check(sm_store *s, sm_strings *problems)
{
    sqlite3_stmt *st = NULL;
    int err = sql_prepare(&s->sql, "PRAGMA integrity_check", &st);
    if (err == 0)
        err = store_walk(s, st, note_text, problems);
    if (err == 0 && (err = sql_prepare(&s->sql, "PRAGMA foreign_key_check", &st)) == 0)
        err = store_walk(s, st, note_reference, problems);
    for (size_t i = 0; i < SM_LENGTH(rules) && err == 0; i++) {
        int64_t n = 0;
        char line[128];
        err = sql_number(&s->sql, rules[i].sql, &n);
        snprintf(line, sizeof line, "%lld %s", (long long)n, rules[i].what);
        if (err == 0 && n > 0)
            err = sm_strings_add(problems, line);
    }
    return err;
}
