/* Vectors of one space, in a file beside the database: rows of bytes to search through, the same rows in f32 to judge by.
 *
 * The file can be made anew from the database at any time; nothing is only here. It grows by rows behind the last one, and a reader that
 * has it open meanwhile goes on seeing what it saw. One thread writes; several may search with one handle. */
#ifndef SM_LIBRARY_VECTORS_H
#define SM_LIBRARY_VECTORS_H

#include "library/vectors_dots.h"

enum { SM_VECTORS_BLOCK = 1024, SM_VECTORS_SPACE = 64 };

typedef struct sm_vectors sm_vectors;

typedef struct {
    char space[SM_VECTORS_SPACE]; /* "samplemind/1" */
    uint64_t fit;                 /* which fit of the space made the rows; see space.h */
    int dims;                     /* 1..SM_DOTS_MOST */
    uint64_t puts, replaced;      /* how often the database was changed until then; see space_index.h */
    bool unit;                    /* rows are brought to length 1 (a row of zeros stays one) */
} sm_vectors_info;

/* Opens for searching, or (writable) for changing, which waits for another program that changes it. Errors: SM_ENOTFOUND (no file),
 * SM_EFORMAT (not ours, of another version, cut, or a damaged head): make it anew. */
int sm_vectors_open(const char *path, bool writable, sm_vectors **out);
/* An empty one that is at `path` only after sm_vectors_commit. */
int sm_vectors_create(const char *path, const sm_vectors_info *info, sm_vectors **out);
int sm_vectors_commit(sm_vectors *v);
void sm_vectors_close(sm_vectors *v); /* accepts NULL; what was created and not committed is gone */

const sm_vectors_info *sm_vectors_about(const sm_vectors *v);
size_t sm_vectors_rows(const sm_vectors *v); /* rows, removed ones included */
/* Of a row: whose it is (0: removed), and its `dims` values. */
int64_t sm_vectors_id(const sm_vectors *v, size_t row);
const float *sm_vectors_row(const sm_vectors *v, size_t row);

/* n rows of dims values behind the last one; ids > 0. On the disk when it returns; after a failure or a crash, the file is as it
 * was. SM_EUSAGE: a value that is not finite, or an id < 1. */
int sm_vectors_append(sm_vectors *v, const int64_t *ids, const float *values, size_t n);
/* Removes a row, or writes it anew (repair). Not atomic: a crash leaves a row that sm_vectors_sound calls damaged. */
int sm_vectors_remove(sm_vectors *v, size_t row);
int sm_vectors_put(sm_vectors *v, size_t row, int64_t id, const float *values);
int sm_vectors_set_seen(sm_vectors *v, uint64_t puts);
/* Whether the row is as it was written. */
bool sm_vectors_sound(const sm_vectors *v, size_t row);

/* Rows by id: a table that is made by the first call, so not from several threads at first. SM_ENOTFOUND (no message): none. */
int sm_vectors_find(sm_vectors *v, int64_t id, size_t *row);
size_t sm_vectors_alive(const sm_vectors *v); /* rows that are not removed; reads all ids */

/* ---- searching (vectors_search.c) ---- */
typedef struct {
    int64_t id;
    size_t row;
    double score;
} sm_hit;

/* The score of a row is weight * (row . vector) + extra[row]; the best come first, of equals the smaller id. */
typedef struct {
    const float *vector;  /* [dims], finite; of length 1 where rows are */
    double weight;        /* >= 0 */
    const float *extra;   /* [rows] or NULL */
    const uint64_t *keep; /* bit row % 64 of keep[row / 64]: rows that may be answers; NULL: all */
    int64_t except;       /* an id that is no answer; 0: none */
    size_t limit;         /* most answers */
    const sm_dots *dots;  /* NULL: the best of this CPU */
} sm_vectors_query;

/* A run of rows. */
typedef struct {
    size_t first, count;
} sm_vectors_range;

/* The exact answer: as if all scores had been computed in double precision (rows of f32, sums in double). hits: room for `limit`;
 * *n: how many there are, fewer than limit only if no more rows are allowed. pool may be NULL. SM_EFORMAT: a damaged row. */
int sm_vectors_search(const sm_vectors *v, sm_pool *pool, const sm_vectors_query *q, sm_hit *hits, size_t *n);
/* The same within these ranges, which do not overlap. */
int sm_vectors_search_ranges(const sm_vectors *v, sm_pool *pool, const sm_vectors_query *q,
                             const sm_vectors_range *ranges, size_t n_ranges, sm_hit *hits, size_t *n);

/* ---- many at once (vectors_many.c) ---- */
/* For each of n queries [n][dims] the best `limit` rows, as matrix products: hits[i * limit ..], count[i] of them. except: [n] ids or
 * NULL. Scores are in double; rows whose f32 scores are within rounding of each other may be chosen otherwise than by _search. */
int sm_vectors_search_many(const sm_vectors *v, sm_pool *pool, const float *queries, size_t n, const int64_t *except,
                           size_t limit, sm_hit *hits, size_t *counts);

/* ---- inside the room ---- */
/* One block as it lies in the file. */
typedef struct {
    const int64_t *ids;
    const uint64_t *checks;
    const float *scales;  /* row = scale * (byte - 128), about */
    const float *errors;  /* length of what that leaves */
    const uint8_t *bytes; /* [BLOCK][padded] */
    const float *values;  /* [BLOCK][dims] */
} sm_vectors_block;
void sm_vectors_block_of(const sm_vectors *v, size_t block, sm_vectors_block *out);
size_t sm_vectors_padded(const sm_vectors *v);
const sm_dots *sm_vectors_dots(const sm_vectors *v); /* this CPU's best */
/* The order of answers: by score downwards, then by id. For qsort. */
int sm_hit_order(const void *a, const void *b);
double sm_vectors_dot(const float *a, const float *b, size_t n); /* in double, in a fixed order */
/* Rows [0, sorted) are in the order of the cells of `layout`; 0, 0: none. See cells.h. */
void sm_vectors_layout(const sm_vectors *v, uint64_t *sorted, uint64_t *layout);
int sm_vectors_set_layout(sm_vectors *v, uint64_t sorted, uint64_t layout);

#endif
