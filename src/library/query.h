/* The query language: text -> a checked tree of words and tests, and back. Knows the fields, not the library. docs/search.md is its manual.
 *
 *   query = or ; or = and { "|" and } ; and = item { item }
 *   item  = ["-"] ( "(" or ")" | field test | word | '"' text '"' ) ; words and quotes joined by | without spaces are alternatives
 *   test  = ":" | (":" span | "~" | ">" | "<" | ">=" | "<=" | "=") value { "|" value } */
#ifndef SM_LIBRARY_QUERY_H
#define SM_LIBRARY_QUERY_H

#include "library/thesaurus.h"

/* ---- fields (query_fields.c; rows beyond dsp/descriptors.def: query_fields.def) ---- */
typedef enum {
    QUERY_NUMBER,
    QUERY_INTEGER,
    QUERY_BOOLEAN,
    QUERY_TEXT, /* a word among few: kind, instrument, container */
    QUERY_KEY,
    QUERY_NOTE,   /* tested on note_midi */
    QUERY_LOOP,   /* loop:yes is kind:loop */
    QUERY_NAME,   /* words of the file's name */
    QUERY_FOLDER, /* parts of its folder's path */
    QUERY_TAG,
    QUERY_COLLECTION,
    QUERY_FAVOURITE,
    QUERY_LIKE, /* from here on no test but an instruction */
    QUERY_BY,
    QUERY_SORT
} query_type;

typedef struct {
    const char *name;
    query_type type;
    const char *unit;     /* "s", "Hz", "0..1" ...; "" */
    double low, high;     /* NAN: open */
    const char *sentence; /* for documentation */
} query_field;

/* By name or alias, case does not count. False: no such field. */
bool query_field_find(const char *name, query_field *out);
/* SM_EUSAGE that names the nearest. */
int query_field_unknown(const char *name);
/* The i-th field; false past the end. */
bool query_field_at(size_t i, query_field *out);
size_t query_field_aliases(const char *name, const char **aliases, size_t most);
/* Fields whose values can be ordered: numbers, texts, keys, notes; also "score", "path", "similarity". */
bool query_field_sorts(const query_field *f);

/* ---- values (query_value.c) ---- */
typedef enum {
    QUERY_KNOWN, /* any value */
    QUERY_IS,    /* a number to as many digits as were written, a text, a key, a note */
    QUERY_RANGE,
    QUERY_NEAR
} query_op;

typedef struct {
    query_op op;
    double low, high;  /* RANGE: may be infinite. IS and NEAR of a number: low is the value */
    bool above, below; /* RANGE: low, high themselves are outside */
    int decimals;      /* IS, NEAR: digits that were written after the point, in the field's unit */
    const char *text;  /* of texts; else NULL */
    /* keys: bit 12 * minor + tonic of what is meant, compatible keys included. Notes without octave: bit of the pitch class */
    uint32_t set;
    int tonic, mode; /* of a key as written: tonic -1: any; mode 0 major, 1 minor. Of a note without octave: tonic */
} query_span;

/* One alternative of a test, without quotes. `op` is what stood before it: ":", "~", "<", "<=", ">", ">=", "=". Text is copied to the arena.
 * SM_EUSAGE names field and value. */
int query_span_read(sm_arena *a, const query_field *f, const char *op, const char *value, query_span *out);
void query_span_print(const query_field *f, const query_span *s, sm_buffer *out);
/* In words, for --explain: "from 120 to 130". */
void query_span_say(const query_field *f, const query_span *s, sm_buffer *out);
bool query_key_read(const char *text, int *tonic, int *minor); /* dsp_key_read */
/* Keys that mix with it: the same number and its neighbours on the Camelot wheel. As span.set */
uint32_t query_key_compatible(int tonic, int minor);
/* Does a number pass? NAN never does. Of NEAR on "beats a minute": 2 % around half, once and twice the value. */
bool query_span_accepts(const query_field *f, const query_span *s, double value);
/* How near a number is to the target of NEAR: 1 there, falling to 0. NAN: 0. */
double query_span_nearness(const query_field *f, const query_span *s, double value);
/* NEAR ranks rather than excludes: numbers but for the tempo. */
bool query_span_is_target(const query_field *f, const query_span *s);
/* A text value against what was asked: equal, or its words stand in it, case and - _ aside: "house" is in "Electronic---Deep House". */
bool query_text_matches(const char *value, const char *wanted);

/* ---- the tree (query_parse.c, query_print.c) ---- */
typedef enum { QUERY_AND, QUERY_OR, QUERY_WORD, QUERY_PHRASE, QUERY_TEST } query_kind;
typedef struct query_node query_node;
struct query_node {
    query_kind kind;
    bool negated;
    query_node *child, *next;
    const char *text;              /* WORD: as understood; PHRASE: literal */
    const thesaurus_word *meaning; /* WORD: NULL: only a text, and must be found as one */
    query_field field;             /* TEST */
    const query_span *spans;       /* TEST: any of them */
    size_t n_spans;
    size_t index; /* of all words and tests of the query, in order */
};

enum { QUERY_MOST_SORTS = 4, QUERY_MOST_ASPECTS = 8, QUERY_MOST_ITEMS = 256, QUERY_MOST_DEPTH = 32 };
typedef struct {
    sm_arena *arena;
    query_node *root; /* NULL: everything */
    size_t n_leaves;
    struct {
        query_field field; /* or name "score", "similarity", "path" with type QUERY_SORT */
        bool descending;
    } sorts[QUERY_MOST_SORTS];
    size_t n_sorts;
    const char *like; /* file, or id as "#12"; NULL: none */
    struct {
        const char *name;
        double weight;
    } aspects[QUERY_MOST_ASPECTS];
    size_t n_aspects;
    sm_strings notes; /* what was left out or taken for something else, one sentence each */
} query;

/* t NULL: no thesaurus, words are only texts; else it outlives the query. SM_EUSAGE: what is wrong and where; SM_ELIMIT: too long, too
 * many items, too deep. An empty query is one (everything). */
int query_parse(const char *text, const thesaurus *t, query **out);
void query_free(query *q);
/* The query as understood, in the language itself: it parses to the same again. */
void query_print(const query *q, sm_buffer *out);
/* A sort as written: "brightness-". Added to what the query has; the same for a program's options. */
int query_add_sort(query *q, const char *text);
/* "timbre=1,pitch=0.5" */
int query_add_aspects(query *q, const char *text);
/* In words, a line an item, for --explain. */
void query_explain(const query *q, sm_buffer *out);

#endif
