/* What the files store*.c share. */
#ifndef SM_LIBRARY_STORE_INTERNAL_H
#define SM_LIBRARY_STORE_INTERNAL_H

#include <jansson.h>

#include "library/store.h"
#include "library/store_sql.h"

struct sm_store {
    sm_sql sql;
    char *folder;
    char *put_properties; /* SQL */
    char *text;           /* what sm_store_text gave last */
};

extern const sql_kind store_kind; /* store_schema.c */
/* Adds the columns of properties that the file does not have yet. */
int store_properties_migrate(sm_store *s);

/* Starts a statement that changes something, in a transaction if none is open; runs it; one value a bind. For the many accessors
 * that are one statement: err = store_change(s, SQL, &st); bind...; return store_done(s, st). */
int store_change(sm_store *s, const char *sql, sqlite3_stmt **out);
int store_done(sm_store *s, sqlite3_stmt *st);
/* Asks, and gives the first row's first column; *out untouched without a row. The statement is reset. */
int store_ask(sm_store *s, sqlite3_stmt *st, int64_t *out);
/* Gives each row of a prepared statement, until one is refused. */
int store_rows(sm_store *s, sqlite3_stmt *st, int (*row)(void *user, sqlite3_stmt *st), void *user);
/* The same, and finalizes it (not a cached one: callbacks may ask the same again). */
int store_walk(sm_store *s, sqlite3_stmt *st, int (*row)(void *user, sqlite3_stmt *st), void *user);
/* Both for rows that are one id. */
int store_rows_ids(sm_store *s, sqlite3_stmt *st, sm_id_fn fn, void *user);
int store_walk_ids(sm_store *s, sqlite3_stmt *st, sm_id_fn fn, void *user);
/* Sets the properties that the user corrected over those of the record. */
int store_apply_corrections(sm_store *s, int64_t content);
/* The record's values into properties. */
int store_properties_put(sm_store *s, int64_t content, const json_t *record);

/* ---- store_pack.c: records as they are kept: deflated, with the names that are in every record known beforehand ---- */
int store_pack(const char *text, sm_buffer *out);                  /* appended */
int store_unpack(const void *packed, size_t size, sm_buffer *out); /* appended; SM_EFORMAT */

#endif
