/* What the files of the dataset share: the handle, and SQLite with our errors. */
#ifndef SM_TRAIN_DATASET_DB_H
#define SM_TRAIN_DATASET_DB_H

#include <sqlite3.h>

#include "train/dataset.h"

struct sm_dataset {
    sqlite3 *db;
    char *path;
    bool writable;
    int depth;                       /* of transactions: 1 inside sm_dataset_begin */
    sqlite3_stmt *put, *find, *byid; /* made at first use */
};

/* The code of SQLite's last failure, with a message that begins with the dataset's name. */
int ds_fail(sm_dataset *d, const char *doing);
int ds_exec(sm_dataset *d, const char *sql);
int ds_prepare(sm_dataset *d, const char *sql, sqlite3_stmt **out);
/* 1: a row; 0: done; negative: failed. */
int ds_step(sm_dataset *d, sqlite3_stmt *s);
/* Runs a statement without rows to its end and resets it. */
int ds_run(sm_dataset *d, sqlite3_stmt *s);
/* SM_EIO with a sentence when this handle may only read. */
int ds_writable(sm_dataset *d);
/* A transaction of this call's own, unless the caller has begun one; ds_end commits, or takes all back when err < 0. */
int ds_begin(sm_dataset *d, bool *own);
int ds_end(sm_dataset *d, bool own, int err);

void ds_bind_text(sqlite3_stmt *s, int at, const char *text); /* NULL: null; the text stays until the reset */
const char *ds_text(sqlite3_stmt *s, int column);             /* NULL: null */
double ds_number(sqlite3_stmt *s, int column);                /* NAN: null */

/* Small things that are remembered by name: how far a search came, a seed. */
int ds_state_get(sm_dataset *d, const char *name, sm_arena *a, const char **value); /* NULL: never set */
int ds_state_set(sm_dataset *d, const char *name, const char *value);

/* The rows of items, columns in the order of ds_item_columns, for statements that other files make:
 * "SELECT " ds_item_columns() " FROM items WHERE ...". Texts are valid until the next step. */
const char *ds_item_columns(void);
void ds_item_read(sqlite3_stmt *s, sm_item *out);

/* The condition of a filter: SQL for after WHERE into `sql`, with its values to be bound in the order of `values`. */
int ds_filter_sql(const sm_dataset_filter *f, sm_buffer *sql, sm_strings *values);
int ds_filter_prepare(sm_dataset *d, const char *select, const sm_dataset_filter *f, const char *tail,
                      sqlite3_stmt **out);

#endif
