/* Answering a query from a library. Private to this room; others use sm_library_search. */
#ifndef SM_LIBRARY_SEARCH_H
#define SM_LIBRARY_SEARCH_H

#include "library/query.h"
#include "library/store.h"

typedef struct {
    size_t limit;       /* hits a page; 0: all */
    const char *cursor; /* where the last page ended; NULL: the first */
    bool no_thesaurus;
    const char *sort, *like, *by; /* as if they stood in the query; NULL: no */
    int threads;                  /* 0: one for each core */
} search_options;

typedef struct {
    int64_t content;
    const char *path;  /* of several copies the first that the query lets through */
    size_t copies;     /* files with this content */
    double score;      /* 0..1: how well the words fit; 1 where only tests were asked */
    double similarity; /* NAN without like: */
    int64_t bytes;     /* of a file that is not analysed yet (content 0) */
} search_hit;

/* What ships, and over it the user's thesaurus.csv in the library's folder. */
int search_thesaurus(const sm_store *s, thesaurus **out);

typedef struct search search;
/* Errors: those of query_parse; SM_EUSAGE: a cursor of another query; SM_ENOTFOUND: what like: names is not there. The store
 * must stay open while the answer is used. */
int search_run(sm_store *s, const char *text, const search_options *o, search **out);
void search_free(search *r);

size_t search_count(const search *r);         /* sounds that the query finds, on all pages */
size_t search_waiting_count(const search *r); /* files not analysed yet whose names fit, likewise, not among those */
size_t search_hits(const search *r);          /* on this page */
const search_hit *search_hit_at(const search *r, size_t i);
/* Every file of the sounds of this page, copies too where the query lets their folders through; by sound. */
typedef int (*search_path_fn)(void *user, const char *path);
int search_each_path(search *r, search_path_fn fn, void *user);
const char *search_cursor(const search *r);     /* NULL: nothing follows */
const char *search_understood(const search *r); /* the query as it was understood, in the language itself */
const char *search_explained(const search *r);  /* in words, a line an item */
bool search_approximate(const search *r);

/* Why a hit is where it is: one entry a word or target, in the order of the query. `by` in words: "brightness: 12th percentile of bass". */
typedef int (*search_why_fn)(void *user, const char *item, double score, const char *by);
int search_why(search *r, size_t hit, search_why_fn fn, void *user);
/* A hit as a JSON object. fields: names of properties (NULL: the usual ones); why: with reasons. */
int search_hit_json(search *r, size_t i, const char *const *fields, size_t n_fields, bool why, sm_json *j);
/* One value of a hit: a number (NAN) or a text (NULL). SM_EUSAGE: no such field. */
int search_value(search *r, size_t i, const char *field, double *number, const char **text);

#endif
