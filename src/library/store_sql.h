/* SQLite for the files of ours that are databases: opening, versions, transactions, statements, and its failures in our words.
 * Only files called store*.c (and train's dataset*.c) include this: whoever stands above knows tables, not SQL. */
#ifndef SM_LIBRARY_STORE_SQL_H
#define SM_LIBRARY_STORE_SQL_H

#include <sqlite3.h>

#include "base/base.h"

enum { SQL_CACHED = 96 };

typedef struct {
    sqlite3 *db;
    char *path;
    const char *noun; /* "library", "dataset": for messages */
    bool writable;
    int depth; /* of transactions */
    struct {
        const char *sql;
        sqlite3_stmt *statement;
    } cache[SQL_CACHED];
    size_t n_cached;
} sm_sql;

typedef enum { SQL_READ, SQL_WRITE, SQL_CREATE } sql_mode;

/* What a kind of file is: versions[v] brings a file of version v to v + 1. */
typedef struct {
    const char *noun, *how_to_make; /* "samplemind scan makes one" */
    int application_id;             /* tells our files from other SQLite files */
    const char *const *versions;
    int newest;
} sql_kind;

/* Opens and brings the file to its newest version. Errors: SM_ENOTFOUND (no such file; not with SQL_CREATE), SM_EIO (may not be read
 * or written, disk full, held by another program for 10 s), SM_EFORMAT (another kind of file, damaged, of a later version).
 * *q is zeroed; sql_close also after a failure. */
int sql_open(sm_sql *q, const char *path, const sql_kind *kind, sql_mode mode);
void sql_close(sm_sql *q); /* an open transaction is taken back */

/* The code of SQLite's last failure, with a message that begins with the file's name. */
int sql_fail(sm_sql *q, const char *doing);
int sql_exec(sm_sql *q, const char *sql);
int sql_prepare(sm_sql *q, const char *sql, sqlite3_stmt **out); /* the caller's: sqlite3_finalize */
/* A statement that is prepared once and kept; `sql` must be a literal. Reset, without values. Not to be used twice at a time. */
int sql_cached(sm_sql *q, const char *sql, sqlite3_stmt **out);
int sql_step(sm_sql *q, sqlite3_stmt *s);                 /* 1: a row; 0: done; negative: failed */
int sql_run(sm_sql *q, sqlite3_stmt *s);                  /* a statement without rows, to its end; reset */
int sql_number(sm_sql *q, const char *sql, int64_t *out); /* of the first row; untouched without one */
int sql_writable(sm_sql *q);                              /* SM_EIO with a sentence when this handle may only read */
/* A transaction of this call's own, unless one is open; sql_end commits it, or takes all back when err < 0; gives err. */
int sql_begin(sm_sql *q, bool *own);
int sql_end(sm_sql *q, bool own, int err);

void sql_bind_text(sqlite3_stmt *s, int at, const char *text); /* NULL: null; the text stays until the reset */
void sql_bind_bytes(sqlite3_stmt *s, int at, const void *data, size_t size); /* as a BLOB, likewise */
void sql_bind_number(sqlite3_stmt *s, int at, double value);                 /* not finite: null */
const char *sql_text(sqlite3_stmt *s, int column);                           /* NULL: null; also of a BLOB */
double sql_double(sqlite3_stmt *s, int column);                              /* NAN: null */

#endif
