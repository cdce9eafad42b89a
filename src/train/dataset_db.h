/* What the files of the dataset share: the handle, and SQLite with our errors. */
#ifndef SM_TRAIN_DATASET_DB_H
#define SM_TRAIN_DATASET_DB_H

#include "library/store_sql.h"
#include "train/dataset.h"

struct sm_dataset {
    sm_sql sql;
    sqlite3_stmt *put, *find, *byid; /* made at first use */
};

/* Those of store_sql.h, with a dataset. */
static inline int ds_fail(sm_dataset *d, const char *doing)
{
    return sql_fail(&d->sql, doing);
}
static inline int ds_exec(sm_dataset *d, const char *sql)
{
    return sql_exec(&d->sql, sql);
}
static inline int ds_prepare(sm_dataset *d, const char *sql, sqlite3_stmt **out)
{
    return sql_prepare(&d->sql, sql, out);
}
static inline int ds_step(sm_dataset *d, sqlite3_stmt *s)
{
    return sql_step(&d->sql, s);
}
static inline int ds_run(sm_dataset *d, sqlite3_stmt *s)
{
    return sql_run(&d->sql, s);
}
static inline int ds_writable(sm_dataset *d)
{
    return sql_writable(&d->sql);
}
static inline int ds_begin(sm_dataset *d, bool *own)
{
    return sql_begin(&d->sql, own);
}
static inline int ds_end(sm_dataset *d, bool own, int err)
{
    return sql_end(&d->sql, own, err);
}
static inline void ds_bind_text(sqlite3_stmt *s, int at, const char *text)
{
    sql_bind_text(s, at, text);
}
static inline const char *ds_text(sqlite3_stmt *s, int column)
{
    return sql_text(s, column);
}
static inline double ds_number(sqlite3_stmt *s, int column)
{
    return sql_double(s, column);
}

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
