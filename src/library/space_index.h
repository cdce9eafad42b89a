/* A space of a library, ready to be searched: its fit and its file of vectors, brought up to date with the database.
 *
 * Beside the database lie NAME-VERSION.fit and NAME-VERSION.vectors, made of its embeddings alone. The database counts, for each space, how
 * often a vector was put and how often one was replaced; the file knows up to where it has seen that. */
#ifndef SM_LIBRARY_SPACE_INDEX_H
#define SM_LIBRARY_SPACE_INDEX_H

#include "engine/engine.h"
#include "library/cells.h"
#include "library/space.h"
#include "library/store.h"

typedef struct {
    int64_t id;
    char name[SM_VECTORS_SPACE]; /* "samplemind@0123456789abcdef/1": model's space, weights, version */
    int dims;
    int64_t count; /* vectors in the database */
    sm_space_fit *fit;
    sm_vectors *vectors;
    sm_cells *cells; /* or NULL: not so many that it pays */
} sm_space_index;

/* name: "samplemind", "samplemind@WEIGHTS" or with "/VERSION"; NULL: the one that comes with the program, else that of most sounds. The
 * files are made or mended as needed; where the library may not be written, what is there is used. Errors: SM_ENOTFOUND (no such
 * space, or no sound in it: the message says what there is), SM_EIO. */
int sm_space_index_open(sm_store *s, sm_pool *pool, const char *name, sm_space_index *out);
void sm_space_index_close(sm_space_index *x); /* leaves it empty */
/* Makes the files anew, whatever they hold: after a search met a damaged row. */
int sm_space_index_mend(sm_store *s, sm_pool *pool, sm_space_index *x);
/* All spaces of the library: after a scan. */
int sm_space_index_refresh_all(sm_store *s, sm_pool *pool);

/* Keeps a vector of a content, and counts that. space: "samplemind/1"; weights: or NULL. */
int sm_space_put(sm_store *s, int64_t content, const char *space, const char *weights, const float *vector, int dims);
/* "samplemind/1", "0123.." -> "samplemind@0123..", 1. False: not of that form. */
bool sm_space_name(const char *space, const char *weights, char name[SM_VECTORS_SPACE], int *version);
/* The descriptors of a record as a vector of SM_ASPECT_SPACE. */
void sm_space_aspects_of(const sm_record *r, float out[SM_ASPECT_VALUES]);

/* store_similar.c */
int sm_store_each_vector_id(sm_store *s, int64_t space, sm_id_fn fn, void *user); /* contents with a vector, by id */
bool sm_store_has_vector(sm_store *s, int64_t content, int64_t space);

#endif
