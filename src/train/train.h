/* train: sounds with labels in, a classifier out; and how good a classifier is.
 *
 *     sm_sounds *sounds = NULL;
 *     sm_trained done;
 *     sm_train_options options;
 *     sm_train_options_init(&options);
 *     options.out = "mine.safetensors";
 *     if (sm_sounds_open("my-sounds", NULL, &sounds) < 0 || sm_train(sounds, &options, &done) < 0)
 *         fprintf(stderr, "%s\n", sm_last_error());
 *     sm_sounds_close(sounds);
 *
 * Everything random is drawn by counting (seed, epoch, item), gradients are summed in a fixed order: the same call gives the
 * same bytes on any number of threads, and a run that was killed and resumed those of one that was not. */
#ifndef SM_TRAIN_H
#define SM_TRAIN_H

#include "models/classifier.h"

/* ---- sounds with labels (sounds.c) ---- */
enum { SM_SOUND_HEADS = 4 };
typedef enum { SM_HEAD_INSTRUMENT, SM_HEAD_GENRE, SM_HEAD_MOOD, SM_HEAD_ENERGY } sm_sound_head;
extern const char *const sm_sound_heads[SM_SOUND_HEADS]; /* "instrument", "genre", "mood", "energy" */

typedef enum { SM_SIDE_TRAIN, SM_SIDE_VAL, SM_SIDE_TEST, SM_SIDE_NONE } sm_side;

/* All texts belong to the collection. What is not known is NULL. */
typedef struct {
    const char *path, *family, *source, *licence;
    const char *label[SM_SOUND_HEADS]; /* by sm_sound_head; energy as "low", "medium", "high" */
    double confidence;                 /* of the label, 0..1 */
    sm_side side, random_side;         /* by family; naive, by file: near twins stand on both sides */
    double duration_s;                 /* of what was read */
    int16_t *samples;                  /* mono at the collection's rate; NULL: not read */
    size_t length;
    float scale; /* sample = samples[i] * scale */
} sm_sound;

typedef struct {
    const char *licences, *sources, *families; /* lists of patterns, "CC0,CC-BY*" or "-*GPL*"; NULL: all */
    double least_confidence;                   /* of a label; 0: any */
    bool verified;                             /* only what a person has confirmed */
} sm_sounds_filter;

typedef struct sm_sounds sm_sounds;
/* Reads the list, not the sounds. `data` is a dataset (a file that sm_dataset_open takes), a table (*.csv with the columns path,class and
 * maybe split,family,source,licence, genre, mood, energy; paths below the table's folder), or a folder with one folder a class
 * (family: the folder below that, else the file's name without its last number). Where no split is given, families are dealt
 * 80/10/10 by a hash of their name. SM_ENOTFOUND; SM_EFORMAT naming the line; SM_EUSAGE: nothing in it. */
int sm_sounds_open(const char *data, const sm_sounds_filter *filter, sm_sounds **out);
void sm_sounds_close(sm_sounds *s);
size_t sm_sounds_count(const sm_sounds *s);
sm_sound *sm_sounds_at(sm_sounds *s, size_t i);
/* Decodes all that are not yet read, as mono at rate_hz, at most max_s of each, on `threads`. What cannot be read stays without samples and
 * is told in problems (NULL: not told). SM_ENOMEM, SM_ECANCELLED (progress asked to stop). */
int sm_sounds_load(sm_sounds *s, int rate_hz, double max_s, int threads, sm_progress_fn progress, void *user,
                   sm_strings *problems);
int sm_sounds_rate(const sm_sounds *s); /* 0: none read */
/* Classes of a folder whose sounds all seem to be of one source. Whole on one side, such a class would be learned and not judged, or judged
 * and not learned: so each of its sounds counts as a source, which flatters. */
size_t sm_sounds_lone_classes(const sm_sounds *s);
/* Class names of a head that occur, sorted. Names live in the collection; the list is the caller's (sm_free). */
int sm_sounds_classes(const sm_sounds *s, sm_sound_head head, const char ***names, size_t *n);

/* ---- augmentation (augment.c): what happens to a sound before it is learned from; rows of augment.def ---- */
typedef struct {
    double p, low, high; /* probability; range of its strength, in the unit of its row */
} sm_augment_row;
typedef enum {
#define SM_AUGMENT(NAME, ...) SM_AUGMENT_##NAME,
#include "train/augment.def"
#undef SM_AUGMENT
    SM_AUGMENTS
} sm_augment_kind;
typedef struct {
    sm_augment_row row[SM_AUGMENTS];
} sm_augment;
typedef struct {
    const char *name, *unit, *sentence;
    sm_augment_row standard;
} sm_augment_text;
const sm_augment_text *sm_augment_texts(size_t *n);
void sm_augment_init(sm_augment *a); /* the standard strengths */
/* "pitch=0.8,reverb=0.3:0.2:1.5,mixup=0" : NAME=P or NAME=P:LOW:HIGH; "none" and "all" stand for every row. SM_EUSAGE. */
int sm_augment_parse(sm_augment *a, const char *text);
/* Changes a mono sound; out gets the new one. Deterministic in (seed, epoch, item). `other` (may be NULL): a sound that noise may come from. */
typedef struct sm_augmenter sm_augmenter; /* scratch of one thread */
int sm_augmenter_new(const sm_augment *a, int rate_hz, sm_augmenter **out);
void sm_augmenter_free(sm_augmenter *m);
int sm_augment_sound(sm_augmenter *m, uint64_t seed, uint64_t epoch, uint64_t item, const float *x, size_t n,
                     const sm_sound *other, sm_floats *out);
/* Masks of time and frequency on a picture [rows, bands], in place (SpecAugment); masked is what sounds like `silence`. */
void sm_augment_picture(const sm_augment *a, uint64_t seed, uint64_t epoch, uint64_t item, float *picture, size_t rows,
                        size_t bands, float silence);

/* ---- training (trainer.c) ---- */
typedef struct {
    int epoch, epochs;
    size_t done, total; /* sounds of this epoch */
    double sounds_per_s, left_s;
    double loss, rate;          /* of the epoch so far; learning rate */
    double held_top1, val_top1; /* after the epoch; NAN before, or without such sounds */
    double held_loss;
    bool epoch_done, best;
} sm_train_progress;

typedef struct {
    const char *arch;      /* row of sm_classifier_archs; NULL: "res-freq" */
    const char *front_end; /* row of dsp_mel's table; NULL: the model's own */
    const char *out;       /* the model; OUT.checkpoint.safetensors stands beside it while training */
    const char *report;    /* HTML; NULL: none */
    const char *base;    /* model that is there (or FILE) that learns on: what arch stands on, or a network of the same
                                 * arch, whose heads stay where the classes are the same; NULL: all begins at random */
    const char *teacher; /* model that is installed (or FILE) whose answers are learned too; NULL: none */
    const char *note;    /* what the data is: kept in the file */
    int epochs, batch, threads; /* threads 0: all cores */
    double rate;                /* highest learning rate of AdamW */
    double base_rate;           /* the same of the base's last layer */
    double base_slower;         /* each layer below learns by this factor slower; 1: alike */
    int base_frozen;            /* the lowest so many of its layers do not learn */
    double base_keep;           /* 0..1: by this share its numbers go back to what they were, when all is learned */
    double warmup;              /* share of all steps in which it rises */
    double decay;               /* weight decay of matrices and kernels */
    double smoothing;           /* of labels */
    double clip;                /* largest norm of the gradient; 0: none */
    double ema;                 /* decay of the averaged weights, 0: none */
    double balance; /* 0: sounds as they come .. 1: every class equally often (share of sampling weight 1/n^balance) */
    double class_weight;  /* likewise as a weight of the loss */
    double family_weight; /* 0: each sound counts the same .. 1: each family does (sampling weight 1/n^x) */
    double teacher_weight;
    double held_out; /* share of the train families kept for choosing the epoch and the temperature */
    int fold;        /* which families those are: another number, others */
    int patience;    /* epochs without gain on the held out before it stops; 0: never */
    uint64_t seed;
    bool random_split; /* the naive split by file, to see how much it flatters */
    bool resume;       /* go on from the checkpoint if there is one */
    bool f16;          /* weights on disk */
    int stop_after;    /* ends after so many epochs of this call as if killed (for tests); 0: never */
    sm_augment augment;
    int (*progress)(void *user, const sm_train_progress *p); /* not 0: stop after the checkpoint, SM_ECANCELLED */
    void *user;
} sm_train_options;
void sm_train_options_init(sm_train_options *o);

typedef struct {
    int epochs, best_epoch;
    double *loss, *held_loss, *held_top1, *val_top1; /* [epochs] */
    double temperature, seconds, sounds_per_s;
    size_t sounds, families, held_sounds, val_sounds;
} sm_trained;
void sm_trained_free(sm_trained *t);
/* The architecture in which `base` (as in sm_train_options) learns on: its own, or the first that stands on it. */
int sm_train_arch_on(const char *base, const char **arch);
/* Sounds are read if they are not (at the front end's rate). */
int sm_train(sm_sounds *s, const sm_train_options *o, sm_trained *out);

/* The mean of the weights of n (2 or more) networks that learned on from the same weights, each in its own way: on sounds of other sources it
 * is right more often than they are, and takes the time of one (Wortsman et al. 2022, "Model soups"). average.c. Its temperature is the
 * geometric mean of theirs, each weighted by how many held-out sounds it was fitted on, of those with at least half as many as
 * the most; note may be NULL. *random_split: they learned from the
 * naive split, and are judged on its side. SM_EUSAGE: not of one architecture, split or list of classes, or of one
 * that stands on no other network, or with norms (whose statistics would fit none). */
int sm_train_average(const char *const *files, size_t n, const char *note, const char *out, bool *random_split);

/* ---- a classifier on another network's embedding (probe.c) ---- */
typedef struct {
    const char *on;   /* the backbone: "yamnet"; it must be installed */
    const char *out;  /* the file: the model samplemind-yamnet */
    const char *note; /* what the data is: kept in the file */
    int threads;      /* 0: all cores */
    double smoothing, held_out;
    bool f16;
    sm_progress_fn progress;
    void *user;
} sm_probe_options;
void sm_probe_options_init(sm_probe_options *o);
typedef struct {
    size_t sounds, held_sounds, val_sounds;
    double decay, temperature; /* chosen on the held-out families */
    double held_top1, held_loss, val_top1, val_top3;
} sm_probed;
/* SM_EUSAGE (no such backbone, one class), SM_ENOTFOUND (its weights are not installed), SM_ENOMEM, SM_ECANCELLED. */
int sm_probe_train(sm_sounds *s, const sm_probe_options *o, sm_probed *out);

/* Training's speed on made-up sounds (bench.c): whole steps on `threads` (0: all cores), parts on one. */
typedef struct {
    double sounds_per_s;   /* best step */
    double network_ms;     /* a sound forwards and backwards */
    double picture_ms;     /* a sound augmented and drawn, mean */
    double network_gflops; /* of the plain definitions' multiply-adds */
} sm_train_speed;
int sm_train_measure(const char *arch, int threads, double seconds, sm_train_speed *out);

/* ---- judging (metrics.c, evaluate.c) ---- */
typedef struct {
    double value, low, high; /* 95 % interval: bootstrap over families; NAN where nothing was counted */
} sm_figure;

typedef struct {
    size_t n, n_classes, n_families;
    const char **classes; /* [n_classes]; the names are borrowed */
    sm_figure top1, top3, macro_recall, drums, macro_f1;
    double ece, ece_before, nll, temperature; /* before: with temperature 1 */
    sm_figure ece_by_chance;                  /* what so many sounds show of one that is calibrated: mean, 95 % */
    size_t *confusion;                        /* [n_classes (true), n_classes (said)] */
    size_t *support;                          /* [n_classes] */
    double *recall, *precision;               /* [n_classes], NAN where none */
    size_t reliability_n[15];                 /* bins of confidence */
    double reliability_confidence[15], reliability_right[15];
    /* each sound */
    size_t *sound, *truth, *said; /* [n]: number in the collection, classes */
    float *probability;           /* [n, n_classes] */
    double single_ms, batch_ms; /* of a sound from memory with its features, alone and in batches; NAN: not measured */
} sm_scores;
void sm_scores_free(sm_scores *s);
/* Judges probabilities [n, classes] (at temperature T; undone for ece_before). family[i]: any number per family. */
int sm_scores_make(const float *probability, const size_t *truth, const size_t *family, size_t n, size_t n_classes,
                   const char *const *classes, double temperature, sm_scores *out);
/* Of two models on the same sounds: top1 of b less that of a, with its interval (paired bootstrap over families). */
int sm_scores_compare(const sm_scores *a, const sm_scores *b, const size_t *family, sm_figure *out);
/* The temperature that makes softmax(logits / T) most likely; logits [n, classes]. 1 without sounds. */
double sm_fit_temperature(const float *logits, const size_t *truth, size_t n, size_t classes);

typedef struct {
    const char *backend;
    int threads;
    bool latency;      /* measure single_ms, batch_ms */
    bool random_split; /* judge the naive split's side */
    sm_side side;      /* which sounds; SM_SIDE_NONE: all */
    double held_out;   /* of these only the families that training with this share and fold held out; 0: all */
    int fold;
    sm_progress_fn progress;
    void *user;
} sm_evaluate_options;
/* Runs a model's file (any model with classes of instruments: ours, or one of scores named so) over the sounds of a side, as analyze would. */
int sm_evaluate(sm_sounds *s, const char *model_path, const sm_evaluate_options *o, sm_scores *out);

/* The same of what `analyze` says with these models together (a list as for sm_options.models; NULL: those installed that speak of the
 * instrument). Beyond the scores that a record shows the rest is spread over the other classes. SM_ENOTFOUND: a model is not there. */
int sm_evaluate_analyze(sm_sounds *s, const char *models, const sm_evaluate_options *o, sm_scores *out);

/* ---- the page (report.c) ---- one HTML file without anything from outside. trained may be NULL. */
int sm_report_write(const char *path, const char *title, const sm_sounds *s, const sm_trained *trained,
                    const sm_scores *scores, const char *side);

#endif
