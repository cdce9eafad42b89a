/* engine: opens the models that are installed, plans what each file needs, runs them side by side, and makes one record a file.
 * What other programs may use is in samplemind.h; here is what the command line needs besides. */
#ifndef SM_ENGINE_H
#define SM_ENGINE_H

#include "models/model.h"

/* ---- which files (walk.c) ----
 * Adds `path` itself, or, for a folder, every sound below it (by ending, sorted, hidden ones left out, symbolic links followed
 * without loops). Folders that cannot be read become a line each in `problems`. 0 or SM_ENOMEM. */
int sm_walk(const char *path, sm_strings *files, sm_strings *problems);
bool sm_is_sound_name(const char *name); /* has an ending that a folder is searched for */

/* ---- which models are there (registry.c) ----
 * Weights live in HOME/models/NAME.safetensors, converted once from the official file; beside each a NAME.pin keeps the SHA-256 of
 * the official file and of ours. home NULL: sm_data_directory(). */
char *sm_installed_path(const char *home, const char *name); /* the caller's; NULL: no memory, or no home folder */

/* The file that is used: the installed one, else the one that comes with the program (SM_BUILT_IN "NAME"), else where it would be
 * installed. *there (or NULL): whether there is one. The caller's; NULL as above. */
char *sm_model_path(const char *home, const char *name, bool *there);

typedef struct {
    const sm_model *model;
    char *path;
    int64_t bytes;
    char variant[32], source_format[24];
    char source_sha256[65], file_sha256[65]; /* as pinned; "" where not known */
} sm_installed;
/* SM_ENOTFOUND: not installed (the message names the command that gets it). */
int sm_installed_read(const char *home, const sm_model *m, sm_installed *out);
void sm_installed_free(sm_installed *i);

/* Recognises the file or folder by its content, converts it, and pins it. replace: also where another file was pinned before. What the
 * model needs besides and is not installed yet is taken from the same place where it is there; others (or NULL): the names of these.
 * Errors: SM_ENOTFOUND (of no model), SM_EFORMAT (damaged; or another file than the pinned one), SM_EIO; with *model set, only of what
 * is needed besides. */
int sm_models_import(const char *home, const char *path, bool replace, const sm_model **model, sm_strings *others);
/* The models that m needs besides its own weights; beside (or NULL): a file that has it beside m's own, or NULL. Returns how many. */
enum { SM_COMPANIONS = 2 };
size_t sm_model_companions(const sm_model *m, const sm_model *out[SM_COMPANIONS], const char *beside[SM_COMPANIONS]);
/* Downloads the official file (and its .json), checks it, imports it. `token`: HF_TOKEN; mirror: SAMPLEMIND_MIRROR. */
typedef struct {
    const char *mirror, *hf_token;
    bool replace;        /* also when it is installed */
    double retry_wait_s; /* 0: default */
    sm_progress_fn progress;
    void *user;
} sm_pull_options;
int sm_models_pull(const char *home, const sm_model *m, const sm_pull_options *o);
/* Of a file; of a folder of weights: of its files' hashes. */
int sm_hash_source(sm_hash_kind kind, const char *path, char out[65]);
/* Reads the whole file and compares it with its pin. SM_EFORMAT: it differs. */
int sm_models_verify(const char *home, const sm_model *m);
int sm_models_remove(const char *home, const sm_model *m);
/* Says that the weights are missing and which command gets them; returns code. */
int sm_not_installed(int code, const sm_model *m);
/* By name, or SM_EUSAGE with the nearest right one. */
int sm_model_named(const char *name, const sm_model **out);

/* "path", and "path_base64" when it is not UTF-8 (record.c). */
void sm_record_write_path(sm_json *j, const char *path);

/* ---- analysing for a library (engine.c, open.c, record.c) ----
 * Another version means that records of before are to be made again. */
enum { SM_PIPELINE_VERSION = 1 };
/* sm_analyze_files with the caller's groups: group g is paths[starts[g]] up to paths[starts[g + 1]], of n_groups; starts[n_groups]
 * is the number of paths. Sounds of one group share batches of patches, on which the last bits of their numbers depend: the same group
 * gives the same record whatever is analysed beside it. At most SM_GROUP_FILES a group. */
enum { SM_GROUP_FILES = 16, SM_GROUP_BYTES = 4 << 20 };
int sm_analyze_groups(sm_engine *e, const char *const *paths, const size_t *starts, size_t n_groups,
                      sm_record_sink sink, void *user);
/* First 16 digits of the hash of a model's weights, i as in sm_engine_model; NULL past the end. */
const char *sm_engine_model_weights(const sm_engine *e, size_t i);

/* ---- what each model of classes said, for those who keep it (record.c) ----
 * Borrowed from the record. false past the end. */
typedef struct {
    const char *model, *weights; /* "yamnet"; first 16 hex digits of the hash of its weights */
    size_t n_classes;
    const char *const *classes; /* [n_classes]; NULL: it has none */
    const float *scores;        /* [n_classes] mean over the sound, or NULL */
} sm_model_opinion;
bool sm_record_opinion(const sm_record *r, size_t i, sm_model_opinion *out);
/* Our classifiers that speak of the instrument, i = 0, 1 .. (meaning.c); NULL: no more. */
const char *sm_meaning_expert(size_t i);
/* A JSON object with the verdicts (instrument, genre, mood, their confidences, scores and votes) that follow from what models said at
 * different times. Models that are not known by name are passed over. */
int sm_opinions_judge(const sm_model_opinion *o, size_t n, sm_buffer *json);

#endif
