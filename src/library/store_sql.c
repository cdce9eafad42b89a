/* SQLite with our errors: opening, versions, transactions, statements. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "library/store_sql.h"

enum { BUSY_MS = 10000 };

int sql_fail(sm_sql *q, const char *doing)
{
    const int sqlite = q->db ? sqlite3_errcode(q->db) : SQLITE_NOMEM;
    const char *path = q->path;
    switch (sqlite & 0xff) {
    case SQLITE_NOMEM:
        return sm_fail(SM_ENOMEM, "%s: no memory to %s", path, doing);
    case SQLITE_FULL:
        return sm_fail(SM_EIO, "%s: cannot %s: the disk is full", path, doing);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return sm_fail(SM_EIO, "%s: cannot %s: another program has held it for %d s", path, doing, BUSY_MS / 1000);
    case SQLITE_READONLY:
        return sm_fail(SM_EIO, "%s: cannot %s: it may only be read", path, doing);
    case SQLITE_NOTADB:
        return sm_fail(SM_EFORMAT, "%s: not a %s", path, q->noun);
    case SQLITE_CORRUPT:
        return sm_fail(SM_EFORMAT, "%s: damaged (%s)", path, sqlite3_errmsg(q->db));
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM:
        if (sqlite3_system_errno(q->db) == ENOSPC)
            return sm_fail(SM_EIO, "%s: cannot %s: the disk is full", path, doing);
        return sm_fail(SM_EIO, "%s: cannot %s: %s", path, doing, sqlite3_errmsg(q->db));
    default:
        return sm_fail(SM_EINTERNAL, "%s: cannot %s: %s", path, doing, sqlite3_errmsg(q->db));
    }
}

/* ---- statements ---- */

int sql_exec(sm_sql *q, const char *sql)
{
    return sqlite3_exec(q->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_fail(q, "change it");
}

int sql_prepare(sm_sql *q, const char *sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v2(q->db, sql, -1, out, NULL) == SQLITE_OK ? 0 : sql_fail(q, "read it");
}

int sql_cached(sm_sql *q, const char *sql, sqlite3_stmt **out)
{
    *out = NULL;
    for (size_t i = 0; i < q->n_cached; i++)
        if (q->cache[i].sql == sql) {
            *out = q->cache[i].statement;
            sqlite3_reset(*out);
            sqlite3_clear_bindings(*out);
            return 0;
        }
    if (q->n_cached == SQL_CACHED)
        return sm_fail(SM_EINTERNAL, "%s: more than %d kinds of statements", q->path, SQL_CACHED);
    if (sqlite3_prepare_v3(q->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
        return sql_fail(q, "read it");
    q->cache[q->n_cached].sql = sql;
    q->cache[q->n_cached++].statement = *out;
    return 0;
}

int sql_step(sm_sql *q, sqlite3_stmt *s)
{
    const int code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        return 1;
    return code == SQLITE_DONE ? 0 : sql_fail(q, sqlite3_stmt_readonly(s) ? "read it" : "write to it");
}

int sql_run(sm_sql *q, sqlite3_stmt *s)
{
    const int err = sql_step(q, s);
    sqlite3_reset(s);
    return SM_MIN(err, 0);
}

int sql_number(sm_sql *q, const char *sql, int64_t *out)
{
    sqlite3_stmt *s = NULL;
    int err = sql_prepare(q, sql, &s);
    if (err == 0 && (err = sql_step(q, s)) == 1)
        *out = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return SM_MIN(err, 0);
}

void sql_bind_text(sqlite3_stmt *s, int at, const char *text)
{
    if (text)
        sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(s, at);
}

void sql_bind_bytes(sqlite3_stmt *s, int at, const void *data, size_t size)
{
    if (data)
        sqlite3_bind_blob64(s, at, data, size, SQLITE_STATIC);
    else
        sqlite3_bind_null(s, at);
}

void sql_bind_number(sqlite3_stmt *s, int at, double value)
{
    if (isfinite(value))
        sqlite3_bind_double(s, at, value);
    else
        sqlite3_bind_null(s, at);
}

const char *sql_text(sqlite3_stmt *s, int column)
{
    return (const char *)sqlite3_column_text(s, column);
}

double sql_double(sqlite3_stmt *s, int column)
{
    return sqlite3_column_type(s, column) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(s, column);
}

/* ---- transactions ---- */

int sql_writable(sm_sql *q)
{
    return q->writable ? 0 : sm_fail(SM_EIO, "%s: was opened for reading only", q->path);
}

int sql_begin(sm_sql *q, bool *own)
{
    int err = sql_writable(q);
    *own = false;
    if (err == 0 && q->depth == 0 && (err = sql_exec(q, "BEGIN IMMEDIATE")) == 0) {
        *own = true;
        q->depth = 1;
    }
    return err;
}

int sql_end(sm_sql *q, bool own, int err)
{
    if (!own)
        return err;
    q->depth = 0;
    if (err == 0)
        err = sql_exec(q, "COMMIT");
    if (err < 0)
        sqlite3_exec(q->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

/* ---- opening ---- */

/* Brings the file to the present version; a new file has version 0. */
static int migrate(sm_sql *q, const sql_kind *k)
{
    int64_t application = 0, version = 0, tables = 0;
    bool own = false;
    char sql[96];
    int err = sql_number(q, "PRAGMA application_id", &application);
    if (err == 0)
        err = sql_number(q, "PRAGMA user_version", &version);
    if (err == 0)
        err = sql_number(q, "SELECT count(*) FROM sqlite_master", &tables);
    if (err < 0)
        return err;
    if (tables == 0 && version == 0 && !q->writable) /* whoever made it was ended before it had any */
        return sm_fail(SM_ENOTFOUND, "%s: an empty %s; %s", q->path, k->noun, k->how_to_make);
    if (application != k->application_id && (tables > 0 || !q->writable))
        return sm_fail(SM_EFORMAT, "%s: not a %s, but another program's SQLite file", q->path, k->noun);
    if (version > k->newest)
        return sm_fail(SM_EFORMAT, "%s: a %s of version %d; this program knows versions up to %d", q->path, k->noun,
                       (int)version, k->newest);
    if (version == k->newest)
        return 0;
    if (!q->writable)
        return sm_fail(SM_EFORMAT, "%s: a %s of version %d; a command that writes to it brings it to %d", q->path,
                       k->noun, (int)version, k->newest);
    err = sql_begin(q, &own);
    /* somebody else may have done it while this one waited */
    if (err == 0)
        err = sql_number(q, "PRAGMA user_version", &version);
    for (int v = (int)version; v < k->newest && err == 0; v++)
        err = sql_exec(q, k->versions[v]);
    if (err == 0) {
        snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", k->application_id, k->newest);
        err = sql_exec(q, sql);
    }
    return sql_end(q, own, err);
}

/* A file with a write-ahead log cannot be opened in a folder that may not be written, unless it is said not to change. */
static int open_immutable(sm_sql *q)
{
    sm_buffer uri = { 0 };
    sm_buffer_text(&uri, "file:");
    for (const char *p = q->path; *p; p++)
        if (strchr("?#%", *p))
            sm_buffer_printf(&uri, "%%%02x", (unsigned)(unsigned char)*p);
        else
            sm_buffer_add(&uri, p, 1);
    sm_buffer_text(&uri, "?immutable=1");
    int err = uri.failed ? SM_ENOMEM : 0;
    sqlite3_close_v2(q->db);
    q->db = NULL;
    if (err == 0 && sqlite3_open_v2(uri.data, &q->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) != SQLITE_OK)
        err = sql_fail(q, "open it");
    sm_buffer_free(&uri);
    return err;
}

static int open_file(sm_sql *q, const sql_kind *k, sql_mode mode)
{
    static const int flags[] = { [SQL_READ] = SQLITE_OPEN_READONLY,
                                 [SQL_WRITE] = SQLITE_OPEN_READWRITE,
                                 [SQL_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE };
    int64_t ignored = 0;
    if (mode != SQL_CREATE && access(q->path, F_OK) != 0)
        return sm_fail(SM_ENOTFOUND, "%s: there is no such %s; %s", q->path, k->noun, k->how_to_make);
    if (sqlite3_open_v2(q->path, &q->db, flags[mode] | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return sql_fail(q, "open it");
    sqlite3_busy_timeout(q->db, BUSY_MS);
    sqlite3_extended_result_codes(q->db, 0);
    int err = sql_number(q, "PRAGMA schema_version", &ignored);
    if (err == SM_EIO && mode == SQL_READ)
        err = open_immutable(q);
    /* a file with a log is not opened at all where that cannot be written */
    if ((err == SM_EIO && q->writable && access(q->path, W_OK) != 0) ||
        (err == 0 && q->writable && sqlite3_db_readonly(q->db, "main") == 1))
        err = sm_fail(SM_EIO, "%s: cannot be written: it may only be read", q->path);
    return err;
}

int sql_open(sm_sql *q, const char *path, const sql_kind *k, sql_mode mode)
{
    const char *slash = strrchr(path, '/');
    *q = (sm_sql){ .noun = k->noun, .writable = mode != SQL_READ, .path = sm_strdup(path) };
    int err = q->path ? 0 : SM_ENOMEM;
    if (err == 0 && mode == SQL_CREATE && slash && slash > path) {
        char *folder = sm_strndup(path, (size_t)(slash - path));
        err = folder ? sm_make_directories(folder) : SM_ENOMEM;
        sm_free(folder);
    }
    if (err == 0)
        err = open_file(q, k, mode);
    if (err == 0)
        err = migrate(q, k);
    /* WAL: readers and a writer do not wait for each other; a commit that the power cut off is lost, nothing else */
    if (err == 0 && q->writable)
        err = sql_exec(q, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
    return err;
}

void sql_close(sm_sql *q)
{
    if (q->db && q->depth > 0)
        sqlite3_exec(q->db, "ROLLBACK", NULL, NULL, NULL);
    for (size_t i = 0; i < q->n_cached; i++)
        sqlite3_finalize(q->cache[i].statement);
    sqlite3_close(q->db);
    sm_free(q->path);
    *q = (sm_sql){ 0 };
}
