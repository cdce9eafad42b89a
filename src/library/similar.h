/* Sounds like a sound: which ones, how near, in which respects. */
#ifndef SM_LIBRARY_SIMILAR_H
#define SM_LIBRARY_SIMILAR_H

#include "library/space_index.h"

typedef struct {
    const char *path;  /* a file, of the library or not (then it is analysed now); or NULL and */
    int64_t content;   /* a content of the library */
    const char *space; /* NULL: see sm_space_index_open */
    const char *
        by; /* "timbre=1,pitch=0.5": weights of overall, timbre, pitch, envelope, rhythm. NULL: overall=1. What is not named
                        * counts 0, or 1 where all that is named is 0 */
    bool exact;       /* never by cells */
    bool all_parts;   /* sm_similar_parts knows also what has no weight, where the library has it */
    const char *home; /* of models, for a file that is analysed now; NULL: the default */
} sm_similar_query;

typedef struct sm_similar sm_similar; /* a sound that others are compared with */
/* Errors: SM_EUSAGE (`by`), SM_ENOTFOUND (no such file or content; no vectors in the library; the sound has none, as silence), and
 * those of analysing. s must outlive it. pool may be NULL. */
int sm_similar_open(sm_store *s, sm_pool *pool, const sm_similar_query *q, sm_similar **out);
void sm_similar_close(sm_similar *x);              /* accepts NULL */
int64_t sm_similar_content(const sm_similar *x);   /* the sound's own, 0: not in the library */
const char *sm_similar_space(const sm_similar *x); /* "samplemind@.../1" */

/* The `limit` contents that are most alike, of those whose bit is set in wanted (bit id % 64 of word id / 64, ids from n_bits on are
 * not wanted; NULL: all), never the sound itself. hits: room for `limit`; score -1..1, of equals the smaller id first. */
int sm_similar_best(sm_similar *x, const uint64_t *wanted, size_t n_bits, size_t limit, sm_hit *hits, size_t *n,
                    bool *approximate);
/* How alike one content is: overall, then the aspects; NAN: not known. */
enum { SM_SIMILARITIES = 1 + SM_ASPECTS };
int sm_similar_parts(sm_similar *x, int64_t content, double out[SM_SIMILARITIES]);
const char *sm_similar_part_name(int i); /* "overall", "timbre", .. */
/* A score as it is shown: 0 (nothing in common) .. 1 (the same). */
double sm_similarity(double score);

/* For a search that ranks by itself: similarity[id] of every wanted content, NAN where there is no vector or it is not wanted.
 * Exact. */
int sm_similar_scores(sm_store *s, sm_pool *pool, const sm_similar_query *q, const uint64_t *wanted, size_t n_bits,
                      float *similarity, bool *approximate);

/* The contents that a query finds, as bits; query NULL: *wanted stays NULL, which is all. The caller's: sm_free. */
int sm_similar_where(sm_store *s, const char *query, uint64_t **wanted, size_t *n_bits);
/* The library of a folder (NULL: the default), to be written if that is possible. */
int sm_library_open_store(const char *folder, sm_store **out);

#endif
