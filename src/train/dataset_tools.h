/* What is done with a dataset: filling it, cleaning it, splitting it, handing it on. One function a subcommand of
 * `samplemind dataset`; all can be stopped at any time and go on where they were. */
#ifndef SM_TRAIN_DATASET_TOOLS_H
#define SM_TRAIN_DATASET_TOOLS_H

#include "train/dataset.h"

/* A file (or a row of a list) that was left out, and why. Called on the caller's thread. */
typedef void (*sm_dataset_problem_fn)(void *user, const char *path, const char *reason);

/* What all of them take. progress and problem get `user`. */
typedef struct {
    int jobs; /* threads; 0: one for each core */
    sm_progress_fn progress;
    sm_dataset_problem_fn problem;
    void *user;
} sm_dataset_work;

/* ---- filling ---- */
typedef struct {
    sm_dataset_work work;
    const char *label;  /* all files are this; NULL: what names say */
    const char *source; /* NULL: the folder's name */
    const char *family; /* NULL: by pack (see docs/dataset.md); else all files are of this one */
    const char *licence, *attribution, *url, *split;
    bool own_classes; /* labels need not be of sm_instruments; without `label` the nearest folder is the class */
    bool again;       /* read files also when they look unchanged */
} sm_dataset_import_options;
typedef struct {
    int64_t added, updated, unchanged; /* items; unchanged: their sound was not read again */
    int64_t broken;                    /* files that could not be read, or rows that make no sense */
    int64_t unlabelled, doubtful;      /* of the added and updated: names said nothing, or two things */
    int64_t missing;                   /* rows of a list whose package is not installed */
} sm_dataset_result;
/* A folder, a sound file, or a .csv (columns as sm_dataset_export_csv writes them; paths below the file's folder). SM_ENOTFOUND;
 * SM_EFORMAT: a table without the columns path and class. */
int sm_dataset_import(sm_dataset *d, const char *path, const sm_dataset_import_options *o, sm_dataset_result *out);

/* Every sound whose instrument the user corrected in a library (its folder), as a label that a person has confirmed; items that are there
 * already get it too. The errors of opening a library. */
int sm_dataset_take_corrections(sm_dataset *d, const char *library, const sm_dataset_work *work,
                                sm_dataset_result *out);

/* A list of what Debian packages install: package,path,class,split,family,licence; path is an extended regular expression on the
 * whole path of an installed file. Packages that are not installed are added to `missing`. Rows of soundfont presets are left out
 * (sm_dataset_debian_presets has them). prefix: where the system's files lie; NULL: "/". */
int sm_dataset_debian(sm_dataset *d, const char *list, const char *prefix, const sm_dataset_import_options *o,
                      sm_strings *missing, sm_dataset_result *out);
/* The rows "FILE.sf2#bank0:program16-21,23" of such a list, one entry for each program of each file, for the renderer. */
typedef struct {
    const char *package, *file;           /* the soundfont's whole path; what the list says where it is not installed */
    int bank, program;                    /* bank 128: the drums, program 0 */
    const char *label;                    /* "": by the General MIDI drum map, note by note */
    const char *split, *family, *licence; /* or NULL */
    bool installed;
} sm_dataset_preset;
int sm_dataset_debian_presets(const char *list, const char *prefix, sm_arena *a, sm_dataset_preset **out, size_t *n);

/* ---- making (synth_set.c) ----
 * Writes sounds as 16-bit FLAC below `folder` (CLASS/NAME_SEED.flac) and takes them in, labels and exact parameters with them (as
 * `extra`: recipe, seed, pitch_hz, attack_s, decay_s, brightness_hz). What is there already is not made again. */
typedef struct {
    sm_dataset_work work;
    const char *folder;
    const char *labels; /* "kick,snare": only these; NULL: all that have a recipe */
    int64_t each;       /* sounds a recipe */
    uint64_t seed;      /* of the first; the others count on */
    int rate_hz;        /* 0: 44,100 */
    const char *split;  /* NULL: "train" */
} sm_dataset_synth_options;
/* SM_EUSAGE: a class without a recipe. */
int sm_dataset_synth(sm_dataset *d, const sm_dataset_synth_options *o, sm_dataset_result *out);

/* Notes of SoundFonts. `source` is a .sf2 (its General MIDI programs and drums; licence and split as given), or a list as
 * sm_dataset_debian reads, whose preset rows say class, family, split and licence. */
typedef struct {
    sm_dataset_work work;
    const char *folder;
    const char *licence, *split; /* of a .sf2; NULL: not known, and left to dataset split */
    int step;                    /* semitones between notes of a program; 0: 6 */
    int velocities;              /* 1: 100; 2 (also 0): 60 and 110 */
    int rate_hz;                 /* 0: 44,100 */
} sm_dataset_soundfont_options;
/* SM_EUNSUPPORTED: FluidSynth's library is not installed. Fonts of packages that are not installed count as missing. */
int sm_dataset_soundfont(sm_dataset *d, const char *source, const sm_dataset_soundfont_options *o, sm_strings *missing,
                         sm_dataset_result *out);

/* ---- near twins ---- */
typedef struct {
    sm_dataset_work work;
    double least_cosine;      /* 0: .95 */
    double least_correlation; /* 0: .93 */
} sm_dataset_twins_options;
typedef struct {
    int64_t read, candidates, pairs,
        across;           /* sounds read; pairs that the fingerprint found, that were confirmed, of two families */
    int64_t kept, marked; /* groups; items that are a twin of the one that is kept */
    int64_t torn;         /* pairs that given splits put on two sides */
} sm_dataset_twins_result;
int sm_dataset_find_twins(sm_dataset *d, const sm_dataset_twins_options *o, sm_dataset_twins_result *out);
/* Every confirmed pair, ordered by ids. */
typedef struct {
    int64_t a, b;
    double cosine, correlation;
} sm_dataset_twin;
int sm_dataset_twins(sm_dataset *d, sm_arena *a, sm_dataset_twin **out, size_t *n);

/* ---- the split ---- */
typedef struct {
    double val, test; /* shares; both 0: .1 and .1 */
    uint64_t seed;
    bool again; /* also what was given or split before */
} sm_dataset_split_options;
typedef struct {
    int64_t kept, assigned;   /* items whose split was there; that got one */
    int64_t families, groups; /* groups: families tied by near twins count once */
    int64_t torn;             /* families that given splits put on two sides */
} sm_dataset_split_result;
/* By family: groups of families go to the side that lacks their classes most. And random_split, item by item. */
int sm_dataset_split(sm_dataset *d, const sm_dataset_split_options *o, sm_dataset_split_result *out);

/* ---- models propose ---- */
typedef struct {
    sm_dataset_work work;
    const char *models; /* NULL: all that can name an instrument */
    double below;       /* items whose confidence is at most this; 0: .8 */
    bool all;           /* all items */
    double take;        /* unlabelled items get a label from proposals of at least this confidence; 0: none do */
} sm_dataset_autolabel_options;
typedef struct {
    int64_t heard, proposed, agreed, taken, failed;
} sm_dataset_autolabel_result;
/* SM_ENOTFOUND: no model that is installed names instruments. */
int sm_dataset_autolabel(sm_dataset *d, const sm_dataset_autolabel_options *o, sm_dataset_autolabel_result *out);

/* ---- looking at it, handing it on ---- */
/* Counts of a column: "label", "source", "licence", "family", "split", "random_split", "label_from". value NULL: none. */
typedef struct {
    const char *value;
    int64_t items, families, train, val, test, verified, doubtful;
    double seconds;
} sm_dataset_tally;
int sm_dataset_tallies(sm_dataset *d, const char *column, const sm_dataset_filter *f, sm_arena *a,
                       sm_dataset_tally **out, size_t *n);
/* Files that could not be read: path and reason. */
int sm_dataset_broken(sm_dataset *d, sm_arena *a, const char *const **paths, const char *const **reasons, size_t *n);

/* The table labels.csv: path,class,split,family,source,licence,... Paths below `root` where they are, else absolute. */
int sm_dataset_export_csv(sm_dataset *d, const sm_dataset_filter *f, const char *file, int64_t *rows);
typedef enum { SM_DATASET_COPY, SM_DATASET_LINK, SM_DATASET_HARDLINK } sm_dataset_export_kind;
/* FOLDER/CLASS/NAME for every item, FOLDER/labels.csv and FOLDER/ATTRIBUTION.txt. Files that are there are left. */
int sm_dataset_export_folder(sm_dataset *d, const sm_dataset_filter *f, const char *folder, sm_dataset_export_kind kind,
                             const sm_dataset_work *work, int64_t *files);
/* Who is to be named: a line for each source with its licence and attribution. */
int sm_dataset_attribution(sm_dataset *d, const sm_dataset_filter *f, sm_buffer *out);

#endif
