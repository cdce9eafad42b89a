/* What a search reads instead of rows: columns, one number for each content, as arrays by content id; and the word index. Both follow
 * from the store's tables; refreshing brings them up to date. SQL is in store_columns.c and store_words.c. */
#ifndef SM_LIBRARY_COLUMNS_H
#define SM_LIBRARY_COLUMNS_H

#include "library/store.h"
#include "library/thesaurus.h"

/* Names of columns:
 *   live           how many files have this content; NAN or 0: none, it is no answer
 *   a property     as in sm_properties: numbers; of texts a code for sm_store_column_texts
 *   onset_rate_hz, pitch_range_st   made of properties
 *   class:NAME     probability of an instrument, the user's word being certain
 *   output:MODEL:CLASS   score of a model; MODEL is its name or the beginning of it before a - */

/* Words and columns of all contents that changed; also columns that this version or thesaurus wants and that are not there yet.
 * patient false: gives up without an error when another program is writing. t: for words that are joined and the outputs that it
 * names. Does nothing where the store may only be read. */
int sm_store_columns_refresh(sm_store *s, const thesaurus *t, bool patient);
/* How many contents wait for that. */
int sm_store_columns_stale(sm_store *s, int64_t *contents);

/* values[id] for ids < *n, NAN: not known; the caller's (sm_free). *n is one more than the largest id, the same for all columns until
 * something is written. A column that is not kept: NULL. */
int sm_store_column(sm_store *s, const char *name, float **values, size_t *n);
/* The texts behind the codes of text columns: texts[code], NULL where there is none; from the arena. */
int sm_store_column_texts(sm_store *s, sm_arena *a, const char *const **texts, size_t *n);

/* ---- the word index (store_words.c) ---- */
typedef enum { SM_WORDS_TAGS = 1, SM_WORDS_DESCRIPTION = 2, SM_WORDS_NAME = 4, SM_WORDS_FOLDER = 8 } sm_words_in;
/* Contents whose words match an expression of words_expression (several joined by OR) in these columns. */
int sm_store_words_find(sm_store *s, unsigned in, const char *expression, sm_id_fn fn, void *user);
/* Indexes one content anew, or takes it out if it has no live file. */
int sm_store_words_put(sm_store *s, int64_t content, const thesaurus *t);

/* A file that is listed and was never analysed; its words as the index would have them. Texts are valid during the call. */
typedef struct {
    int64_t id, size;
    const char *folder, *name;
    const char *folder_words, *name_words;
} sm_waiting_file;
typedef int (*sm_waiting_fn)(void *user, const sm_waiting_file *f);
/* Nothing is read where the last scan left none (SM_WAITING_STATE). */
#define SM_WAITING_STATE "waiting" /* sm_store_state: "1" while files may be listed and not analysed */
int sm_store_each_waiting(sm_store *s, const thesaurus *t, sm_waiting_fn fn, void *user);

/* ---- sets of contents ---- */
int sm_store_tagged(sm_store *s, const char *tag, sm_id_fn fn,
                    void *user); /* NULL: any tag; ASCII case does not count */
int sm_store_collected(sm_store *s, const char *collection, sm_id_fn fn, void *user); /* NULL: any; likewise */
int sm_store_favourites(sm_store *s, sm_id_fn fn, void *user);
int sm_store_in_folder(sm_store *s, int64_t folder, sm_id_fn fn, void *user); /* once for each live file in it */
/* Live files of a content: folder's path and name. */
typedef int (*sm_place_fn)(void *user, const char *folder, const char *name);
int sm_store_places(sm_store *s, int64_t content, sm_place_fn fn, void *user);
/* Live files of a folder by name, with their contents. */
typedef int (*sm_member_fn)(void *user, int64_t content, const char *name);
int sm_store_members(sm_store *s, int64_t folder, sm_member_fn fn, void *user);

#endif
