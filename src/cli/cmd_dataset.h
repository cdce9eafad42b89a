/* What the subcommands of `samplemind dataset` share. */
#ifndef SM_CLI_CMD_DATASET_H
#define SM_CLI_CMD_DATASET_H

#include "cli/command.h"
#include "train/dataset_tools.h"

/* The row of --dataset in a command's table of options; `type` has a member `const char *dataset`. */
#define DATASET_OPTION(type)                                                                                           \
    {                                                                                                                  \
        'D', "dataset", SM_OPT_PATH, offsetof(type, dataset), "FILE",                                                  \
            "the dataset (default: datasets/default.dataset in the data folder)", 0                                    \
    }
/* Opens it: path NULL is the default one, whose folder is made with SM_DATASET_CREATE. */
int dataset_open(const char *path, sm_dataset_mode mode, sm_dataset **out);

/* Which items a command means. Its args have a member `dataset_choice choice`. */
typedef struct {
    const char *labels, *licences, *sources, *families, *paths, *from, *split;
    bool verified, unverified, labelled, unlabelled, rejected, no_twins;
    double confidence_at_most;
} dataset_choice;
#define DATASET_CHOICE_OPTIONS(type)                                                                                     \
    { 0, "label", SM_OPT_STRING, offsetof(type, choice.labels), "LIST", "only these classes: kick,snare or -fx", 0 },    \
        { 0,                                                                                                             \
          "licences",                                                                                                    \
          SM_OPT_STRING,                                                                                                 \
          offsetof(type, choice.licences),                                                                               \
          "LIST",                                                                                                        \
          "only these licences: \"CC0,CC-BY*\" or \"-*GPL*\"",                                                           \
          0 },                                                                                                           \
        { 0, "source", SM_OPT_STRING, offsetof(type, choice.sources), "LIST", "only these sources", 0 },                 \
        { 0, "family", SM_OPT_STRING, offsetof(type, choice.families), "LIST", "only these families", 0 },               \
        { 0,                                                                                                             \
          "path",                                                                                                        \
          SM_OPT_STRING,                                                                                                 \
          offsetof(type, choice.paths),                                                                                  \
          "LIST",                                                                                                        \
          "only files whose whole path matches: \"*/Kicks/*\"",                                                          \
          0 },                                                                                                           \
        { 0,                                                                                                             \
          "from",                                                                                                        \
          SM_OPT_STRING,                                                                                                 \
          offsetof(type, choice.from),                                                                                   \
          "LIST",                                                                                                        \
          "only labels from folder,name,csv,user,model,synth",                                                           \
          0 },                                                                                                           \
        { 0, "split", SM_OPT_CHOICE, offsetof(type, choice.split), "train|val|test|none", "only this side of the split", \
          0 },                                                                                                           \
        { 0, "verified", SM_OPT_FLAG, offsetof(type, choice.verified), NULL, "only what a person has verified", 0 },     \
        { 0, "unverified", SM_OPT_FLAG, offsetof(type, choice.unverified), NULL, "only what nobody has verified", 0 },   \
        { 0, "labelled", SM_OPT_FLAG, offsetof(type, choice.labelled), NULL, "only with a label", 0 },                   \
        { 0, "unlabelled", SM_OPT_FLAG, offsetof(type, choice.unlabelled), NULL, "only without a label", 0 },            \
        { 0,                                                                                                             \
          "rejected",                                                                                                    \
          SM_OPT_FLAG,                                                                                                   \
          offsetof(type, choice.rejected),                                                                               \
          NULL,                                                                                                          \
          "only what was rejected (else: none of it)",                                                                   \
          0 },                                                                                                           \
        { 0, "no-twins", SM_OPT_FLAG, offsetof(type, choice.no_twins), NULL, "of near twins only the one that is kept",  \
          0 },                                                                                                           \
    {                                                                                                                    \
        0, "confidence-at-most", SM_OPT_NUMBER, offsetof(type, choice.confidence_at_most), "0..1",                       \
            "only labels that are this doubtful", 0                                                                      \
    }
sm_dataset_filter dataset_filter(const dataset_choice *c);

/* Work with a bar on standard error and problems told there; dataset_work_end takes the bar away. */
typedef struct {
    sm_cli *cli;
    sm_progress *bar;
    sm_dataset_work work;
    int64_t problems; /* told so far; from the 20th on only with -v */
} dataset_working;
int dataset_work_begin(sm_cli *cli, const char *what, dataset_working *w);
void dataset_work_end(dataset_working *w);

/* A result of named numbers: one JSON object, or a line of "12 added, 3 broken". */
typedef struct {
    const char *name; /* JSON key */
    const char *text; /* "added" */
    int64_t value;
    bool always; /* also in the line when it is 0 */
} dataset_figure;
int dataset_print_figures(sm_cli *cli, const char *what, const dataset_figure *f, size_t n);
/* The start of a JSON object that the caller ends and prints with dataset_print_json. */
int dataset_print_json(sm_cli *cli, sm_buffer *text);

#endif
