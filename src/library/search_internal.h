/* What the files search*.c share: the state of one search. */
#ifndef SM_LIBRARY_SEARCH_INTERNAL_H
#define SM_LIBRARY_SEARCH_INTERNAL_H

#include "library/columns.h"
#include "library/rank.h"
#include "library/search.h"

typedef struct {
    const char *name;
    float *values;    /* NULL: not kept */
    rank_field *rank; /* made when first asked for */
} search_column;

/* A row of the thesaurus, ready to be applied. */
typedef struct {
    const thesaurus_row *row;
    const float *values;
    const rank_field *rank; /* of + and -; NULL: the value itself (booleans) */
    const uint8_t *codes;   /* [n_texts] of values of texts: those that fit */
} search_term;

/* What is kept of a word or test, for saying why. */
typedef struct {
    const query_node *node;
    search_term *terms;
    size_t n_terms;
    uint8_t *text; /* [n] 0..100: where the text was found; NULL: not looked for */
} search_leaf;

struct search {
    sm_store *store;
    sm_arena *arena;
    thesaurus *words;
    query *q;
    sm_pool *pool;
    size_t n, n_bits; /* ids, words of bits */
    uint64_t *alive;
    search_column *columns;
    size_t n_columns, c_columns;
    const char *const *texts; /* by code */
    size_t n_texts;
    rank_groups groups;
    bool grouped;
    search_leaf *leaves; /* [q->n_leaves] */
    float *score;        /* [n] or NULL: all 1 */
    float *similarity;   /* [n] or NULL */
    uint64_t *found;
    size_t count;
    bool approximate;
    search_hit *hits;
    size_t n_hits, n_waiting; /* of n_waiting only some are hits */
    char *cursor;
    sm_buffer understood, explained;
};

/* NULL where it is not kept. */
int search_column_get(search *r, const char *name, const float **values);
int search_rank_get(search *r, const char *name, const rank_field **out);

/* A leaf's terms, and where its text stands (search_terms.c). */
int search_terms(search *r, search_leaf *leaf);
/* 0..1 of a sound, by the meaning alone. */
float search_meaning(const search *r, const search_leaf *leaf, size_t i);
float search_text_score(const search_leaf *leaf, size_t i);

/* Which sounds the tree lets through, and how well they fit (search_eval.c): fills found and score. */
int search_eval(search *r);
/* A word of a class is only met by sounds that have a tenth of it. */
bool search_names_class(const query_node *n);

/* How much what was found sounds like q->like (search_like.c): fills similarity, and takes away what cannot be compared. */
int search_likeness(search *r);

/* The page (search_order.c): fills hits and cursor. */
int search_order(search *r, const search_options *o);
/* Does this folder pass a folder: test? */
bool search_folder_matches(const char *folder, const char *wanted);
/* Is a file in this folder meant, or only a copy of it elsewhere? */
bool search_place_passes(const search *r, const char *folder);

/* Which query it is, in cursors. */
uint64_t search_mark(const search *r);
/* Files that are not analysed yet behind what is (search_waiting.c): adds hits and sets the cursor where there is room on the page. */
int search_waiting(search *r, const search_options *o);
/* The last page ended among them, at this file (0: before the first). */
bool search_cursor_is_waiting(const search *r, const char *cursor, int64_t *after);

static inline bool search_bit(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static inline void search_set(uint64_t *bits, size_t i)
{
    bits[i / 64] |= (uint64_t)1 << i % 64;
}

#endif
