/* What producers' words mean: classes, descriptors, outputs of models, other words. Rows ship in thesaurus.def; a user's file overrides
 * them row by row. */
#ifndef SM_LIBRARY_THESAURUS_H
#define SM_LIBRARY_THESAURUS_H

#include "base/base.h"

typedef enum { THESAURUS_CLASS, THESAURUS_DESCRIPTOR, THESAURUS_OUTPUT, THESAURUS_TEXT } thesaurus_kind;
typedef enum { THESAURUS_MORE, THESAURUS_LESS, THESAURUS_RANGE, THESAURUS_VALUE } thesaurus_direction;

typedef struct {
    thesaurus_kind kind;
    const char *target; /* "bass", "brightness", "yamnet:Rain", "bd" */
    thesaurus_direction direction;
    double low, high;  /* RANGE: may be infinite */
    const char *value; /* VALUE: "loop"; else NULL */
    double weight;     /* 0 < weight <= 1 */
    const char *as_written;
} thesaurus_row;

typedef struct {
    const char *word;
    const thesaurus_row *rows;
    size_t n_rows;
} thesaurus_word;

typedef struct thesaurus thesaurus;
/* file: of the user, columns word,kind,target,direction,weight (others are not read); NULL or missing: only what ships. A row with
 * weight 0 takes the shipped row of that word, kind and target away. SM_EFORMAT: names file, line and what is wrong. */
int thesaurus_open(const char *file, thesaurus **out);
void thesaurus_free(thesaurus *t);
size_t thesaurus_words(const thesaurus *t);
const thesaurus_word *thesaurus_at(const thesaurus *t, size_t i); /* sorted by word */
/* ASCII case does not count; NULL: not known. */
const thesaurus_word *thesaurus_find(const thesaurus *t, const char *word, size_t length);
/* The same, and if it is not known: without plural s or es, -y, -ish, -ing. */
const thesaurus_word *thesaurus_find_form(const thesaurus *t, const char *word, size_t length);
const char *thesaurus_kind_name(thesaurus_kind kind);
/* As a file that thesaurus_open reads. */
void thesaurus_csv(const thesaurus *t, sm_buffer *out);

#endif
