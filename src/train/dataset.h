/* The dataset: which sounds there are to learn from, what they are, where they come from and under which licence, and on which
 * side of the split they stand. One SQLite file; every call that changes it is a transaction, so that a kill loses the sound in
 * hand at most, and what was done is not done again.
 *
 *     sm_dataset *d = NULL;
 *     const sm_dataset_filter train = { .split = "train", .labelled = 1 };
 *     if (sm_dataset_open("drums.dataset", SM_DATASET_READ, &d) < 0 || sm_dataset_each(d, &train, take, user) < 0)
 *         fprintf(stderr, "%s\n", sm_last_error());
 *     sm_dataset_close(d);
 *
 * A dataset belongs to one thread at a time. Errors of all functions: SM_EIO (disk full, locked by another for 10 s, read-only),
 * SM_EFORMAT (not a dataset, damaged, of a newer version), SM_ENOMEM. */
#ifndef SM_TRAIN_DATASET_H
#define SM_TRAIN_DATASET_H

#include "audio/audio.h"

typedef struct sm_dataset sm_dataset;
typedef enum {
    SM_DATASET_READ,  /* SM_ENOTFOUND: no such file */
    SM_DATASET_WRITE, /* the same; older versions are brought up to date */
    SM_DATASET_CREATE /* made when it is not there, its folder too */
} sm_dataset_mode;
int sm_dataset_open(const char *path, sm_dataset_mode mode, sm_dataset **out);
void sm_dataset_close(sm_dataset *d); /* accepts NULL */
/* DATA/datasets/default.dataset, DATA as sm_data_directory; the caller's. NULL: no memory, or no home. */
char *sm_dataset_default_path(void);

/* Many changes as one transaction (a thousand are then as fast as one). Not nested. */
int sm_dataset_begin(sm_dataset *d);
int sm_dataset_commit(sm_dataset *d);
void sm_dataset_rollback(sm_dataset *d); /* nothing when none is open */

/* ---- items ----
 * One sound. A text that is not known is NULL, a number NAN, a size 0. The sound lies at ROOT/PATH; the two together are unique. */
typedef struct {
    int64_t id;              /* given by the dataset, 1.. in the order of coming; 0: new */
    const char *root, *path; /* folder (absolute) and the path below it */
    const char *label;       /* one of sm_instruments, or a class of the user's own */
    const char *label_from;  /* "folder", "name", "csv", "debian", "freesound", "synth", "model", "user" */
    double confidence;       /* of the label, 0..1; 0 without a label */
    bool verified;           /* a person looked at it: nothing else changes its label any more */
    bool rejected;           /* a person threw it out: in no list that does not ask for it */
    const char *family;      /* recording run, instrument, machine: never on two sides of the split */
    const char *source, *licence, *attribution, *url, *original_name;
    const char *sha256; /* of the file's bytes */
    int64_t bytes;
    double mtime_s;    /* bytes and mtime as they were when it was read */
    double duration_s; /* as the decoded sound is */
    int rate_hz, channels;
    const char *split;        /* "train", "val", "test": by family */
    bool split_given;         /* came with the data: kept by sm_dataset_split unless `again` */
    const char *random_split; /* the naive one, which flatters: near twins stand on both sides */
    int64_t twin_of;          /* a near twin of this item, which is kept instead; 0: none */
    /* other heads */
    const char *genre, *mood;
    double energy;     /* 0..10 */
    double pitch_midi; /* with fractions */
    double brightness; /* 0..100 */
    const char *extra; /* a JSON object: the exact parameters of a synthesised sound */
} sm_item;
void sm_item_init(sm_item *i); /* nothing known */
/* Copies into an arena; every text of the copy belongs to it. */
int sm_item_copy(sm_arena *a, const sm_item *from, sm_item *to);
char *sm_item_file(const sm_item *i); /* "ROOT/PATH", the caller's; NULL: no memory */

/* Adds the item, or updates the one of the same root and path (its id goes to item->id). What is not known in *item stays as it
 * was; label, label_from and confidence change together, and not at all once verified. SM_EUSAGE: no path; label_from missing;
 * a number out of range; a split of another name. */
int sm_dataset_put(sm_dataset *d, sm_item *item);
/* By id, or by root and path. SM_ENOTFOUND. Texts live in the arena. */
int sm_dataset_get(sm_dataset *d, int64_t id, sm_arena *a, sm_item *out);
int sm_dataset_find(sm_dataset *d, const char *root, const char *path, sm_arena *a, sm_item *out);
/* A person's word: label (NULL: the present one), verified, or rejected. `why` is kept in the history ("verify", "label"). */
int sm_dataset_decide(sm_dataset *d, int64_t id, const char *label, bool rejected, const char *why);
/* Puts label, label_from, confidence, verified and rejected back to what `before` says (undo). */
int sm_dataset_restore(sm_dataset *d, const sm_item *before);
int sm_dataset_remove(sm_dataset *d, int64_t id); /* the item, not the file */

/* Which items. A zeroed filter means all that are not rejected. Patterns know * and ?, ASCII case does not count; a list is
 * separated by commas, and what begins with "-" is taken out: "CC0,CC-BY*", "-*GPL*". */
typedef struct {
    const char *split;         /* "train", "val", "test", or "none": without one */
    bool by_random_split;      /* split is that of random_split */
    const char *labels;        /* list of patterns */
    const char *licences;      /* list of patterns; an item without a licence matches none but "-" ones */
    const char *sources;       /* list of patterns */
    const char *families;      /* list of patterns */
    const char *paths;         /* list of patterns on ROOT/PATH */
    const char *label_from;    /* list of patterns */
    int labelled, verified;    /* 1: only such, -1: only others, 0: both */
    int rejected;              /* 1: only such, 0: none, -1: both */
    bool without_twins;        /* of near twins only the one that is kept */
    double confidence_at_most; /* 0: any */
} sm_dataset_filter;

/* Calls fn for each, ordered by id. The item is valid during the call. fn may not change the dataset (collect ids for that); not
 * 0: stop, and that is returned. */
int sm_dataset_each(sm_dataset *d, const sm_dataset_filter *f, int (*fn)(void *user, const sm_item *item), void *user);
int sm_dataset_count(sm_dataset *d, const sm_dataset_filter *f, int64_t *out);
/* All at once, in an arena. */
int sm_dataset_list(sm_dataset *d, const sm_dataset_filter *f, sm_arena *a, sm_item **items, size_t *n);

/* ---- proposals: what models think; never a label by themselves ---- */
typedef struct {
    int64_t item;
    const char *model; /* "yamnet", "instrument" */
    const char *label; /* best class */
    double confidence; /* 0..1 */
    const char *top;   /* JSON [[class, p], ...], or NULL */
} sm_proposal;
int sm_dataset_propose(sm_dataset *d, const sm_proposal *p); /* replaces what this model said before */
int sm_dataset_proposals(sm_dataset *d, int64_t item, sm_arena *a, sm_proposal **out, size_t *n); /* by model's name */

#endif
