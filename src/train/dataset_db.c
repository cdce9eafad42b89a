/* The dataset's file: opening, versions, transactions, and SQLite's failures in our words. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "train/dataset_db.h"

/* "SMDS": tells our files from other SQLite files. */
enum { APPLICATION_ID = 0x534d4453, BUSY_MS = 10000 };

/* versions[v] brings a file of version v to v + 1. A version that was released is never changed: a new row is added. */
static const char *const versions[] = {
    "CREATE TABLE items ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, root TEXT NOT NULL, path TEXT NOT NULL,"
    " label TEXT, label_from TEXT, confidence REAL, verified INTEGER NOT NULL DEFAULT 0,"
    " rejected INTEGER NOT NULL DEFAULT 0, family TEXT, source TEXT, licence TEXT, attribution TEXT, url TEXT,"
    " original_name TEXT, sha256 TEXT, bytes INTEGER, mtime_s REAL, duration_s REAL, rate_hz INTEGER,"
    " channels INTEGER, split TEXT, split_given INTEGER NOT NULL DEFAULT 0, random_split TEXT, twin_of INTEGER,"
    " genre TEXT, mood TEXT, energy REAL, pitch_midi REAL, brightness REAL, extra TEXT, UNIQUE (root, path));"
    "CREATE INDEX items_label ON items (label);"
    "CREATE INDEX items_family ON items (family);"
    "CREATE TABLE proposals ("
    " item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE, model TEXT NOT NULL, label TEXT NOT NULL,"
    " confidence REAL NOT NULL, top TEXT, PRIMARY KEY (item, model)) WITHOUT ROWID;"
    "CREATE TABLE broken ("
    " root TEXT NOT NULL, path TEXT NOT NULL, bytes INTEGER, mtime_s REAL, reason TEXT NOT NULL,"
    " PRIMARY KEY (root, path)) WITHOUT ROWID;"
    "CREATE TABLE fingerprints ("
    " item INTEGER PRIMARY KEY REFERENCES items ON DELETE CASCADE, version INTEGER NOT NULL, sha256 TEXT,"
    " print BLOB);"
    "CREATE TABLE twins ("
    " a INTEGER NOT NULL REFERENCES items ON DELETE CASCADE, b INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,"
    " cosine REAL NOT NULL, correlation REAL NOT NULL, PRIMARY KEY (a, b)) WITHOUT ROWID;"
    "CREATE INDEX twins_b ON twins (b);"
    "CREATE TABLE history ("
    " id INTEGER PRIMARY KEY, item INTEGER NOT NULL, time_s INTEGER NOT NULL DEFAULT (strftime('%s', 'now')),"
    " why TEXT NOT NULL, label_before TEXT, label_after TEXT, rejected INTEGER NOT NULL);"
    "CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;",
};

int ds_fail(sm_dataset *d, const char *doing)
{
    const int sqlite = sqlite3_errcode(d->db);
    const char *path = d->path;
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
        return sm_fail(SM_EFORMAT, "%s: not a dataset", path);
    case SQLITE_CORRUPT:
        return sm_fail(SM_EFORMAT, "%s: damaged (%s)", path, sqlite3_errmsg(d->db));
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM:
        return sm_fail(SM_EIO, "%s: cannot %s: %s", path, doing, sqlite3_errmsg(d->db));
    default:
        return sm_fail(SM_EINTERNAL, "%s: cannot %s: %s", path, doing, sqlite3_errmsg(d->db));
    }
}

int ds_exec(sm_dataset *d, const char *sql)
{
    return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : ds_fail(d, "change it");
}

int ds_prepare(sm_dataset *d, const char *sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v2(d->db, sql, -1, out, NULL) == SQLITE_OK ? 0 : ds_fail(d, "read it");
}

int ds_step(sm_dataset *d, sqlite3_stmt *s)
{
    const int code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        return 1;
    return code == SQLITE_DONE ? 0 : ds_fail(d, sqlite3_stmt_readonly(s) ? "read it" : "write to it");
}

int ds_run(sm_dataset *d, sqlite3_stmt *s)
{
    const int err = ds_step(d, s);
    sqlite3_reset(s);
    return SM_MIN(err, 0);
}

int ds_writable(sm_dataset *d)
{
    return d->writable ? 0 : sm_fail(SM_EIO, "%s: was opened for reading only", d->path);
}

int ds_begin(sm_dataset *d, bool *own)
{
    int err = ds_writable(d);
    *own = false;
    if (err == 0 && d->depth == 0 && (err = ds_exec(d, "BEGIN IMMEDIATE")) == 0)
        *own = true;
    return err;
}

int ds_end(sm_dataset *d, bool own, int err)
{
    if (!own)
        return err;
    if (err == 0)
        err = ds_exec(d, "COMMIT");
    if (err < 0)
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

int sm_dataset_begin(sm_dataset *d)
{
    bool own;
    if (d->depth > 0)
        return sm_fail(SM_EUSAGE, "%s: a transaction is open already", d->path);
    const int err = ds_begin(d, &own);
    d->depth = err == 0;
    return err;
}

int sm_dataset_commit(sm_dataset *d)
{
    if (d->depth == 0)
        return sm_fail(SM_EUSAGE, "%s: no transaction is open", d->path);
    d->depth = 0;
    return ds_end(d, true, 0);
}

void sm_dataset_rollback(sm_dataset *d)
{
    if (d->depth > 0)
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    d->depth = 0;
}

void ds_bind_text(sqlite3_stmt *s, int at, const char *text)
{
    if (text)
        sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(s, at);
}

const char *ds_text(sqlite3_stmt *s, int column)
{
    return (const char *)sqlite3_column_text(s, column);
}

double ds_number(sqlite3_stmt *s, int column)
{
    return sqlite3_column_type(s, column) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(s, column);
}

int ds_state_get(sm_dataset *d, const char *name, sm_arena *a, const char **value)
{
    sqlite3_stmt *s = NULL;
    int err = ds_prepare(d, "SELECT value FROM state WHERE name = ?", &s);
    *value = NULL;
    if (err == 0) {
        ds_bind_text(s, 1, name);
        err = ds_step(d, s);
        if (err == 1 && ds_text(s, 0))
            err = (*value = sm_arena_strdup(a, ds_text(s, 0))) ? 0 : SM_ENOMEM;
    }
    sqlite3_finalize(s);
    return SM_MIN(err, 0);
}

int ds_state_set(sm_dataset *d, const char *name, const char *value)
{
    sqlite3_stmt *s = NULL;
    int err = ds_writable(d);
    if (err == 0)
        err = ds_prepare(d, "INSERT INTO state VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", &s);
    if (err == 0) {
        ds_bind_text(s, 1, name);
        ds_bind_text(s, 2, value);
        err = ds_run(d, s);
    }
    sqlite3_finalize(s);
    return err;
}

/* ---- opening ---- */

static int read_number(sm_dataset *d, const char *sql, int *out)
{
    sqlite3_stmt *s = NULL;
    int err = ds_prepare(d, sql, &s);
    if (err == 0 && (err = ds_step(d, s)) == 1)
        *out = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return SM_MIN(err, 0);
}

/* Brings the file to the present version; a new file has version 0. */
static int migrate(sm_dataset *d)
{
    const int newest = (int)SM_LENGTH(versions);
    int application = 0, version = 0, tables = 0;
    bool own = false;
    char sql[96];
    int err = read_number(d, "PRAGMA application_id", &application);
    if (err == 0)
        err = read_number(d, "PRAGMA user_version", &version);
    if (err == 0)
        err = read_number(d, "SELECT count(*) FROM sqlite_master", &tables);
    if (err < 0)
        return err;
    if (application != APPLICATION_ID && (tables > 0 || !d->writable))
        return sm_fail(SM_EFORMAT, "%s: not a dataset, but another program's SQLite file", d->path);
    if (version > newest)
        return sm_fail(SM_EFORMAT, "%s: a dataset of version %d; this program knows versions up to %d", d->path,
                       version, newest);
    if (version == newest)
        return 0;
    if (!d->writable)
        return sm_fail(SM_EFORMAT, "%s: a dataset of version %d; a command that writes to it brings it to %d", d->path,
                       version, newest);
    err = ds_begin(d, &own);
    /* somebody else may have done it while this one waited */
    if (err == 0)
        err = read_number(d, "PRAGMA user_version", &version);
    for (int v = version; v < newest && err == 0; v++)
        err = ds_exec(d, versions[v]);
    if (err == 0) {
        snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID, newest);
        err = ds_exec(d, sql);
    }
    return ds_end(d, own, err);
}

/* A file with a write-ahead log cannot be opened in a folder that may not be written, unless it is said not to change. */
static int open_immutable(sm_dataset *d)
{
    sm_buffer uri = { 0 };
    sm_buffer_text(&uri, "file:");
    for (const char *p = d->path; *p; p++)
        if (strchr("?#%", *p))
            sm_buffer_printf(&uri, "%%%02x", (unsigned)(unsigned char)*p);
        else
            sm_buffer_add(&uri, p, 1);
    sm_buffer_text(&uri, "?immutable=1");
    int err = uri.failed ? SM_ENOMEM : 0;
    sqlite3_close_v2(d->db);
    d->db = NULL;
    if (err == 0 && sqlite3_open_v2(uri.data, &d->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) != SQLITE_OK)
        err = d->db ? ds_fail(d, "open it") : sm_fail(SM_ENOMEM, "%s: no memory to open it", d->path);
    sm_buffer_free(&uri);
    return err;
}

static int open_file(sm_dataset *d, sm_dataset_mode mode)
{
    static const int flags[] = { [SM_DATASET_READ] = SQLITE_OPEN_READONLY,
                                 [SM_DATASET_WRITE] = SQLITE_OPEN_READWRITE,
                                 [SM_DATASET_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE };
    int ignored = 0;
    if (mode != SM_DATASET_CREATE && access(d->path, F_OK) != 0)
        return sm_fail(SM_ENOTFOUND, "%s: there is no such dataset; samplemind dataset import makes one", d->path);
    if (sqlite3_open_v2(d->path, &d->db, flags[mode] | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return d->db ? ds_fail(d, "open it") : sm_fail(SM_ENOMEM, "%s: no memory to open it", d->path);
    sqlite3_busy_timeout(d->db, BUSY_MS);
    sqlite3_extended_result_codes(d->db, 0);
    int err = read_number(d, "PRAGMA schema_version", &ignored);
    if (err == SM_EIO && mode == SM_DATASET_READ)
        err = open_immutable(d);
    if (err == 0 && d->writable && sqlite3_db_readonly(d->db, "main") == 1)
        err = sm_fail(SM_EIO, "%s: cannot be written: it may only be read", d->path);
    return err;
}

int sm_dataset_open(const char *path, sm_dataset_mode mode, sm_dataset **out)
{
    sm_dataset *d = sm_alloc_zero(1, sizeof *d);
    const char *slash = strrchr(path, '/');
    int err = d && (d->path = sm_strdup(path)) ? 0 : SM_ENOMEM;
    *out = NULL;
    if (err == 0)
        d->writable = mode != SM_DATASET_READ;
    if (err == 0 && mode == SM_DATASET_CREATE && slash && slash > path) {
        char *folder = sm_strndup(path, (size_t)(slash - path));
        err = folder ? sm_make_directories(folder) : SM_ENOMEM;
        sm_free(folder);
    }
    if (err == 0)
        err = open_file(d, mode);
    if (err == 0)
        err = migrate(d);
    /* WAL: readers and a writer do not wait for each other; a commit that the power cut off is lost, nothing else */
    if (err == 0 && d->writable)
        err = ds_exec(d, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
    if (err < 0)
        sm_dataset_close(d);
    else
        *out = d;
    return err;
}

void sm_dataset_close(sm_dataset *d)
{
    if (!d)
        return;
    sm_dataset_rollback(d);
    sqlite3_finalize(d->put);
    sqlite3_finalize(d->find);
    sqlite3_finalize(d->byid);
    sqlite3_close(d->db);
    sm_free(d->path);
    sm_free(d);
}

char *sm_dataset_default_path(void)
{
    char *data = sm_data_directory();
    char *path = data ? sm_printf_new("%s/datasets/default.dataset", data) : NULL;
    sm_free(data);
    return path;
}
