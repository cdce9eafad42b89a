/* The dataset's file: its tables, opening, transactions. SQLite and its failures in our words are library/store_sql.h's. */
#include <string.h>

#include "train/dataset_db.h"

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

int sm_dataset_begin(sm_dataset *d)
{
    bool own;
    if (d->sql.depth > 0)
        return sm_fail(SM_EUSAGE, "%s: a transaction is open already", d->sql.path);
    return sql_begin(&d->sql, &own);
}

int sm_dataset_commit(sm_dataset *d)
{
    if (d->sql.depth == 0)
        return sm_fail(SM_EUSAGE, "%s: no transaction is open", d->sql.path);
    return sql_end(&d->sql, true, 0);
}

void sm_dataset_rollback(sm_dataset *d)
{
    sql_end(&d->sql, d->sql.depth > 0, SM_ECANCELLED);
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

/* "SMDS" */
static const sql_kind kind = { .noun = "dataset",
                               .how_to_make = "samplemind dataset import makes one",
                               .application_id = 0x534d4453,
                               .versions = versions,
                               .newest = (int)SM_LENGTH(versions) };

int sm_dataset_open(const char *path, sm_dataset_mode mode, sm_dataset **out)
{
    static const sql_mode modes[] = {
        [SM_DATASET_READ] = SQL_READ, [SM_DATASET_WRITE] = SQL_WRITE, [SM_DATASET_CREATE] = SQL_CREATE
    };
    sm_dataset *d = sm_alloc_zero(1, sizeof *d);
    const int err = d ? sql_open(&d->sql, path, &kind, modes[mode]) : SM_ENOMEM;
    *out = NULL;
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
    sqlite3_finalize(d->put);
    sqlite3_finalize(d->find);
    sqlite3_finalize(d->byid);
    sql_close(&d->sql);
    sm_free(d);
}

char *sm_dataset_default_path(void)
{
    char *data = sm_data_directory();
    char *path = data ? sm_printf_new("%s/datasets/default.dataset", data) : NULL;
    sm_free(data);
    return path;
}
