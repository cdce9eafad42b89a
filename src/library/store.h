/* The store: the one interface to a library's database. Private to this room. No type of a database shows here, so that another
 * one fits behind it; SQL lives in store*.c only (new accessors: a file store_YOURPART.c of your own).
 *
 * What is what: a *file* is a name in a folder. Its bytes are a *content*; copies share one. All that is known or said about a
 * sound belongs to its content, so moving, renaming and copying lose nothing. Ids are positive; 0 means none.
 * A handle is for one thread at a time. Callbacks get rows whose texts are valid during the call; a callback's negative return
 * stops the walk and is returned; inside a callback other accessors may be called, but not the one that is walking. */
#ifndef SM_LIBRARY_STORE_H
#define SM_LIBRARY_STORE_H

#include "base/base.h"

typedef struct sm_store sm_store;
typedef enum { SM_STORE_READ, SM_STORE_WRITE, SM_STORE_CREATE } sm_store_mode;
/* folder: of the library; library.db is in it. Errors: SM_ENOTFOUND (no library there; not with CREATE), SM_EIO, SM_EFORMAT. */
int sm_store_open(const char *folder, sm_store_mode mode, sm_store **out);
void sm_store_close(sm_store *s); /* accepts NULL; takes an open transaction back */
const char *sm_store_folder(const sm_store *s);
bool sm_store_is_writable(const sm_store *s);
/* Everything between is kept whole or not at all. begin sets *own when no transaction was open yet; end commits if own and err is
 * 0, takes all back if err < 0, and gives err (or why committing failed). Without one, every accessor is its own. */
int sm_store_begin(sm_store *s, bool *own);
int sm_store_end(sm_store *s, bool own, int err);
/* Adds a sentence for each thing that does not hold: pages, references, ids, states. 0 also when there are some. */
int sm_store_check(sm_store *s, sm_strings *problems);
/* Bytes of the database with its log. */
int64_t sm_store_bytes(sm_store *s);

typedef int (*sm_id_fn)(void *user, int64_t id);

/* ---- folders and files (store_files.c) ---- */
typedef enum { SM_FILE_LISTED, SM_FILE_ANALYSED, SM_FILE_BROKEN, SM_FILE_GONE } sm_file_state;
typedef struct {
    int64_t id, folder, content; /* content 0: not read yet. Of a listed file: what it was before it changed */
    const char *name;            /* bytes, as on disk */
    int64_t size, mtime_ns;
    sm_file_state state;
    const char *reason; /* of a broken one, or NULL */
    double added_s;     /* when it was first seen, seconds since 1970 */
} sm_file_row;
typedef int (*sm_file_fn)(void *user, const sm_file_row *f);
/* A folder's id by its absolute path; made when create is true, else 0 where there is none. */
int sm_store_folder_id(sm_store *s, const char *path, bool create, int64_t *id);
int sm_store_folder_path(sm_store *s, int64_t id, sm_buffer *out); /* appended; SM_ENOTFOUND */
typedef int (*sm_folder_fn)(void *user, int64_t id, const char *path);
/* Folders at `below` and under it (NULL: all), by path. */
int sm_store_each_folder(sm_store *s, const char *below, sm_folder_fn fn, void *user);
int sm_store_file_get(sm_store *s, int64_t id, sm_file_fn fn, void *user);        /* SM_ENOTFOUND */
int sm_store_file_path(sm_store *s, int64_t id, sm_buffer *out);                  /* appended; SM_ENOTFOUND */
int sm_store_file_find(sm_store *s, const char *path, sm_file_fn fn, void *user); /* absolute; SM_ENOTFOUND */
int sm_store_files_in(sm_store *s, int64_t folder, sm_file_fn fn, void *user);    /* of one folder, also gone ones */
int sm_store_files_of(sm_store *s, int64_t content, sm_file_fn fn,
                      void *user); /* analysed ones: its copies as far as is known */
int sm_store_files_in_state(sm_store *s, sm_file_state state, sm_file_fn fn, void *user);
/* f->id 0: one is chosen; else the one that sm_store_file_next gave, or a following one (many files at once). */
int sm_store_file_add(sm_store *s, const sm_file_row *f, int64_t *id);
int sm_store_file_next(sm_store *s, int64_t folder, int64_t *id);
int sm_store_file_set(sm_store *s, const sm_file_row *f); /* size, mtime, content, state, reason of f->id */
int sm_store_file_remove(sm_store *s, int64_t id);
int sm_store_folder_gone(sm_store *s, int64_t folder, int64_t *n); /* its files; *n: how many were not gone before */
int sm_store_gone_copy(sm_store *s, int64_t content, int64_t *id); /* a gone file that had this content; 0: none */
/* The file has another place (rename, move): keeps everything but its id. *id: the new one. */
int sm_store_file_move(sm_store *s, int64_t id, const char *path, int64_t *new_id);

/* ---- contents: what is known of a sound (store_contents.c) ---- */
enum { SM_HASH_BYTES = 16 };
bool sm_hash_from_hex(const char *hex, uint8_t out[SM_HASH_BYTES]); /* false: not 32 digits */
typedef struct {
    int64_t id;
    uint8_t hash[SM_HASH_BYTES];       /* xxh128 of the file's bytes */
    uint8_t audio_hash[SM_HASH_BYTES]; /* xxh128 of the decoded samples, as in the record */
    double duration_s;
    int pipeline; /* version of what analysed it */
} sm_content_row;
typedef int (*sm_content_fn)(void *user, const sm_content_row *c);
int sm_store_content_find(sm_store *s, const uint8_t hash[SM_HASH_BYTES], sm_content_row *out); /* id 0: none */
int sm_store_content_get(sm_store *s, int64_t id, sm_content_row *out);                         /* SM_ENOTFOUND */
int sm_store_each_content(sm_store *s, sm_content_fn fn, void *user);                           /* by id */
int sm_store_record(sm_store *s, int64_t content, sm_buffer *json); /* appended: the record as analysed; SM_ENOTFOUND */
/* A content with its record: made, or its record, properties and duration replaced. c->id is set; c->audio_hash and
 * c->duration_s are taken from the record. Corrections are applied to the properties again. */
int sm_store_content_put(sm_store *s, sm_content_row *c, const char *record_json);
int sm_store_content_remove(sm_store *s, int64_t id); /* with all that belongs to it */

/* Columns of properties: every NUMBER, INTEGER, BOOLEAN and TEXT of dsp/descriptors.def, then those of models and of the file. A
 * boolean is 0 or 1. */
typedef struct {
    const char *name, *alias; /* alias or NULL */
    bool text;
    const char *unit; /* or NULL */
    double low, high; /* NAN: open */
} sm_property;
size_t sm_properties(const sm_property **out);
const sm_property *sm_property_find(const char *name_or_alias); /* NULL: none */
/* One content's; numbers NAN and texts NULL (borrowed until the next call on s) where not known. SM_ENOTFOUND: no such content. */
int sm_store_number(sm_store *s, int64_t content, const sm_property *p, double *out);
int sm_store_text(sm_store *s, int64_t content, const sm_property *p, const char **out);
/* Some columns of all contents, by id: values[i] belongs to columns[i]. */
typedef struct {
    double number;    /* NAN: not known */
    const char *text; /* NULL: not known */
} sm_value;
typedef int (*sm_values_fn)(void *user, int64_t content, const sm_value *values);
int sm_store_each_values(sm_store *s, const sm_property *const *columns, size_t n, sm_values_fn fn, void *user);

/* ---- what each model said (store_outputs.c): scores as numbers; its whole object is in the record ---- */
typedef struct {
    const char *model;   /* "yamnet" */
    const char *weights; /* hash of its weights, 16 hex digits */
    size_t n;            /* classes; 0: it has none */
    const float *scores; /* [n] mean over the sound, in the order of the model's classes; NULL: n is 0 */
} sm_output_row;
typedef int (*sm_output_fn)(void *user, int64_t content, const sm_output_row *o);
int sm_store_output_put(sm_store *s, int64_t content, const sm_output_row *o, const char *const *classes);
int sm_store_outputs_of(sm_store *s, int64_t content, sm_output_fn fn, void *user);
int sm_store_each_output(sm_store *s, const char *model, sm_output_fn fn, void *user); /* of one model, by content */
int sm_store_output_remove(sm_store *s, int64_t content, const char *model);
/* Contents of which this model with these weights has said nothing, by id. A model that was heard and had nothing to say has a row
 * without scores. Parts of the scan are kept in the same way: "#fingerprint" with its version for weights (outputs_of leaves these out). */
int sm_store_lacking_output(sm_store *s, const char *model, const char *weights, sm_id_fn fn, void *user);
int sm_store_of_other_pipelines(sm_store *s, int pipeline, sm_id_fn fn, void *user);
/* The class names of a model's outputs, added to the list; none known: nothing is added. */
int sm_store_model_classes(sm_store *s, const char *model, const char *weights, sm_strings *out);

/* ---- spaces and vectors, prints, positions (store_vectors.c) ---- */
typedef struct {
    int64_t id;
    const char *name; /* "openl3-mel256-music-512-kapre01" */
    int version, dims;
} sm_space_row;
/* By name and version; made when dims > 0 and it is not there (else id 0). SM_EFORMAT: it is there with other dims. */
int sm_store_space(sm_store *s, const char *name, int version, int dims, int64_t *id);
int sm_store_each_space(sm_store *s, int (*fn)(void *user, const sm_space_row *space, int64_t vectors), void *user);
int sm_store_vector_put(sm_store *s, int64_t content, int64_t space, const float *vector, int dims);
/* SM_ENOTFOUND: it has none in that space. */
int sm_store_vector_get(sm_store *s, int64_t content, int64_t space, float *vector, int dims);
typedef int (*sm_vector_fn)(void *user, int64_t content, const float *vector, int dims);
int sm_store_each_vector(sm_store *s, int64_t space, int64_t after, sm_vector_fn fn, void *user); /* content > after */
int sm_store_vector_count(sm_store *s, int64_t space, int64_t *count);
int sm_store_print_put(sm_store *s, int64_t content, int version, const void *print, size_t size);
typedef int (*sm_print_fn)(void *user, int64_t content, const void *print, size_t size);
int sm_store_each_print(sm_store *s, int version, sm_print_fn fn, void *user);
int sm_store_position_put(sm_store *s, int64_t content, const char *layout, double x, double y);
typedef int (*sm_position_fn)(void *user, int64_t content, double x, double y);
int sm_store_each_position(sm_store *s, const char *layout, sm_position_fn fn, void *user);
int sm_store_positions_remove(sm_store *s, const char *layout);
/* Contents that lack something: a vector in this space (0: not asked), a print of this version (0: not asked). By id. */
int sm_store_lacking(sm_store *s, int64_t space, int print_version, int (*fn)(void *user, int64_t content), void *user);

/* ---- the user's word (store_user.c) ----
 * A correction replaces the property wherever it is asked for, and stays through every new analysis; value NULL takes it back. */
int sm_store_correct(sm_store *s, int64_t content, const char *field, const char *value);
typedef int (*sm_correction_fn)(void *user, int64_t content, const char *field, const char *value, double time_s);
int sm_store_corrections_of(sm_store *s, int64_t content, sm_correction_fn fn, void *user); /* content 0: all */
int sm_store_tag_add(sm_store *s, int64_t content, const char *tag, const char *by); /* by: "user", "file", a model */
int sm_store_tag_remove(sm_store *s, int64_t content, const char *tag, const char *by); /* by NULL: whoever said so */
typedef int (*sm_tag_fn)(void *user, int64_t content, const char *tag, const char *by);
int sm_store_tags_of(sm_store *s, int64_t content, sm_tag_fn fn, void *user); /* content 0: all */
int sm_store_favourite(sm_store *s, int64_t content, bool on);
int sm_store_is_favourite(sm_store *s, int64_t content, bool *out);
int sm_store_collection(sm_store *s, const char *name, bool create, int64_t *id); /* 0: none */
int sm_store_collection_remove(sm_store *s, int64_t id);
int sm_store_collection_put(sm_store *s, int64_t id, int64_t content, bool in); /* in false: takes it out */
typedef int (*sm_collection_fn)(void *user, int64_t id, const char *name, int64_t contents);
int sm_store_each_collection(sm_store *s, sm_collection_fn fn, void *user);
int sm_store_collection_items(sm_store *s, int64_t id, sm_id_fn fn, void *user); /* id 0: favourites */
/* What the user said of `from` is also said of `to`, where that has nothing of its own (a file was edited in place). */
int sm_store_inherit(sm_store *s, int64_t from, int64_t to);

/* ---- journal and state (store_journal.c) ---- */
int sm_store_journal_add(sm_store *s, const char *what, const char *json, int64_t *id);
typedef int (*sm_journal_fn)(void *user, int64_t id, double time_s, const char *what, const char *json);
/* Newest first. what NULL: all. at_most 0: all. */
int sm_store_journal_each(sm_store *s, const char *what, int at_most, sm_journal_fn fn, void *user);
int sm_store_journal_remove(sm_store *s, int64_t id);
int sm_store_state_get(sm_store *s, const char *name, sm_buffer *value);  /* nothing appended: never set */
int sm_store_state_set(sm_store *s, const char *name, const char *value); /* NULL: forgets it */
int sm_store_state_count(sm_store *s, const char *name, int64_t more);    /* a number that grows; 0 at first */
int sm_store_root_put(sm_store *s, const char *path, bool in);            /* folders that were scanned */
int sm_store_each_root(sm_store *s, int (*fn)(void *user, const char *path), void *user);

/* ---- how many there are (store_stats.c) ---- */
typedef struct {
    sm_file_state state;
    int64_t files, bytes;
} sm_file_totals;
int sm_store_count_files(sm_store *s, int (*fn)(void *user, const sm_file_totals *t), void *user);
typedef struct {
    int64_t folders, contents, corrections, tags, collections, favourites;
    double duration_s;
} sm_store_totals;
int sm_store_count(sm_store *s, sm_store_totals *out);
/* Values of a property that is text, the most frequent first. */
int sm_store_count_values(sm_store *s, const sm_property *p, int (*fn)(void *user, const char *value, int64_t contents),
                          void *user);
int sm_store_count_outputs(sm_store *s, int (*fn)(void *user, const char *model, const char *weights, int64_t contents),
                           void *user);

#endif
