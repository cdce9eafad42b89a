/* dataset stats, label, remove: looking at a choice of items, and changing it. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/cmd_dataset.h"
#include "models/model.h"

/* ---- stats ---- */

typedef struct {
    const char *dataset, *by;
    dataset_choice choice;
    bool broken;
} stats_args;

static const sm_option stats_options[] = { DATASET_OPTION(stats_args),
                                           { 0, "by", SM_OPT_CHOICE, offsetof(stats_args, by),
                                             "label|source|licence|family|split|random_split|label_from",
                                             "what to count by (default: label)", 0 },
                                           { 0, "broken", SM_OPT_FLAG, offsetof(stats_args, broken), NULL,
                                             "list the files that could not be read, and why", 0 },
                                           DATASET_CHOICE_OPTIONS(stats_args),
                                           { 0 } };

static void tally_json(sm_json *j, const char *by, const sm_dataset_tally *t)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = { { "sounds", t->items }, { "families", t->families }, { "train", t->train },      { "val", t->val },
                    { "test", t->test },    { "verified", t->verified }, { "doubtful", t->doubtful } };
    sm_json_begin_object(j);
    sm_json_key(j, by);
    sm_json_string(j, t->value);
    for (size_t i = 0; i < SM_LENGTH(numbers); i++) {
        sm_json_key(j, numbers[i].name);
        sm_json_int(j, numbers[i].value);
    }
    sm_json_key(j, "seconds");
    sm_json_f64(j, t->seconds);
    sm_json_end_object(j);
}

static void add_tally(sm_dataset_tally *sum, const sm_dataset_tally *t)
{
    sum->items += t->items;
    sum->train += t->train;
    sum->val += t->val;
    sum->test += t->test;
    sum->verified += t->verified;
    sum->doubtful += t->doubtful;
    sum->seconds += t->seconds;
}

static void tally_row(sm_table *t, const sm_dataset_tally *row, const char *name, bool families)
{
    sm_table_text(t, name);
    sm_table_number(t, (double)row->items, 0);
    sm_table_number(t, families ? (double)row->families : (double)NAN, 0);
    sm_table_number(t, (double)row->train, 0);
    sm_table_number(t, (double)row->val, 0);
    sm_table_number(t, (double)row->test, 0);
    sm_table_number(t, (double)row->verified, 0);
    sm_table_number(t, (double)row->doubtful, 0);
    sm_table_number(t, row->seconds / 60, 1);
}

static int print_tallies(sm_cli *cli, const char *by, const sm_dataset_tally *rows, size_t n)
{
    const char *const headings[] = {
        by, "sounds", "families", "train", "val", "test", "verified", "doubtful", "minutes"
    };
    sm_dataset_tally sum = { 0 };
    sm_table *t = NULL;
    sm_buffer text = { 0 };
    sm_json j;
    if (!strcmp(cli->common.format, "table")) {
        int err = sm_table_new(headings, SM_LENGTH(headings), &t);
        for (size_t i = 0; i < n && err == 0; i++) {
            tally_row(t, &rows[i], rows[i].value ? rows[i].value : "(none)", true);
            add_tally(&sum, &rows[i]);
        }
        if (err == 0) {
            tally_row(t, &sum, "all", false);
            err = sm_table_print(t, cli->out);
        }
        sm_table_free(t);
        return err;
    }
    sm_json_init(&j, &text, false);
    sm_json_begin_array(&j);
    for (size_t i = 0; i < n; i++)
        tally_json(&j, by, &rows[i]);
    sm_json_end_array(&j);
    return dataset_print_json(cli, &text);
}

static int print_broken(sm_cli *cli, sm_dataset *d, sm_arena *a)
{
    const char *const *paths, *const *reasons;
    size_t n = 0;
    sm_buffer text = { 0 };
    sm_json j;
    const int err = sm_dataset_broken(d, a, &paths, &reasons, &n);
    const bool table = !strcmp(cli->common.format, "table");
    sm_json_init(&j, &text, false);
    sm_json_begin_array(&j);
    for (size_t i = 0; i < n && err == 0; i++) {
        if (table)
            fprintf(cli->out, "%s: %s\n", paths[i], reasons[i]);
        sm_json_begin_object(&j);
        sm_json_key(&j, "path");
        sm_json_string(&j, paths[i]);
        sm_json_key(&j, "reason");
        sm_json_string(&j, reasons[i]);
        sm_json_end_object(&j);
    }
    sm_json_end_array(&j);
    if (err == 0 && !table)
        return dataset_print_json(cli, &text);
    sm_buffer_free(&text);
    return err;
}

static int stats_run(sm_cli *cli, const void *args, char *const *operands, size_t n_operands)
{
    const stats_args *a = args;
    const sm_dataset_filter f = dataset_filter(&a->choice);
    sm_dataset *d = NULL;
    sm_arena *arena = sm_arena_new();
    sm_dataset_tally *rows = NULL;
    size_t n = 0;
    int err = arena ? dataset_open(a->dataset, SM_DATASET_READ, &d) : SM_ENOMEM;
    (void)operands, (void)n_operands;
    if (err == 0 && a->broken)
        err = print_broken(cli, d, arena);
    else if (err == 0 && (err = sm_dataset_tallies(d, a->by, &f, arena, &rows, &n)) == 0)
        err = print_tallies(cli, a->by, rows, n);
    sm_dataset_close(d);
    sm_arena_free(arena);
    return err;
}

const sm_command sm_cmd_dataset_stats = {
    .name = "stats",
    .summary = "count sounds by class, source, licence or split",
    .description = "doubtful: labels with a confidence below 0.7.",
    .options = stats_options,
    .common = SM_COMMON_FORMAT,
    .args_size = sizeof(stats_args),
    .defaults = &(const stats_args){ .by = "label" },
    .examples =
        (const sm_example[]){ { "samplemind dataset stats", "by class" },
                              { "samplemind dataset stats --by licence --json", "for scripts" },
                              { "samplemind dataset stats --label kick --by source", "where the kicks come from" },
                              { 0 } },
    .run = stats_run,
};

/* ---- label, remove: one item after the other of a choice ---- */

typedef struct {
    const char *dataset;
    dataset_choice choice;
    bool dry_run, reject, all;
} change_args;

/* --all is needed where nothing narrows the choice: a slip would change everything. */
static bool is_narrow(const dataset_choice *c)
{
    return c->labels || c->licences || c->sources || c->families || c->paths || c->from || c->split || c->verified ||
           c->unverified || c->labelled || c->unlabelled || c->rejected || c->no_twins || c->confidence_at_most > 0;
}

typedef int (*change_fn)(sm_dataset *d, const sm_item *i, const char *label, bool reject);

static int change_items(sm_cli *cli, const change_args *a, const char *label, change_fn change, const char *what)
{
    const sm_dataset_filter f = dataset_filter(&a->choice);
    sm_arena *arena = sm_arena_new();
    sm_dataset *d = NULL;
    sm_item *items = NULL;
    size_t n = 0;
    if (!is_narrow(&a->choice) && !a->all) {
        sm_arena_free(arena);
        return sm_cli_usage(cli, "%s needs --path, --source or another choice; --all means every sound", what);
    }
    int err = arena ? dataset_open(a->dataset, SM_DATASET_WRITE, &d) : SM_ENOMEM;
    if (err == 0)
        err = sm_dataset_list(d, &f, arena, &items, &n);
    if (err == 0 && !a->dry_run)
        err = sm_dataset_begin(d);
    for (size_t i = 0; i < n && err == 0; i++) {
        if (a->dry_run)
            fprintf(cli->out, "%s/%s\n", items[i].root, items[i].path);
        else
            err = change(d, &items[i], label, a->reject);
    }
    if (err == 0 && !a->dry_run)
        err = sm_dataset_commit(d);
    sm_dataset_close(d);
    sm_arena_free(arena);
    if (err < 0 || a->dry_run)
        return err;
    const dataset_figure figures[] = { { "changed", "changed", (int64_t)n, true } };
    return dataset_print_figures(cli, what, figures, 1);
}

static int label_one(sm_dataset *d, const sm_item *i, const char *label, bool reject)
{
    return sm_dataset_decide(d, i->id, label, reject, "label");
}

static int label_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const change_args *a = args;
    if (n == 0 && !a->reject)
        return sm_cli_usage(cli, "label needs a CLASS, or --reject");
    if (n > 0 && a->reject)
        return sm_cli_usage(cli, "a CLASS and --reject contradict each other");
    return change_items(cli, a, n ? operands[0] : NULL, label_one, "label");
}

static int remove_one(sm_dataset *d, const sm_item *i, const char *label, bool reject)
{
    (void)label, (void)reject;
    return sm_dataset_remove(d, i->id);
}

static int remove_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    (void)operands, (void)n;
    return change_items(cli, args, NULL, remove_one, "remove");
}

#define CHANGE_OPTIONS                                                                                                 \
    DATASET_OPTION(change_args),                                                                                       \
        { 'n', "dry-run", SM_OPT_FLAG, offsetof(change_args, dry_run), NULL, "print the files; change nothing", 0 },   \
        { 0, "all", SM_OPT_FLAG, offsetof(change_args, all), NULL, "every sound, when nothing else chooses", 0 },      \
        DATASET_CHOICE_OPTIONS(change_args)

static const sm_option label_options[] = { { 0, "reject", SM_OPT_FLAG, offsetof(change_args, reject), NULL,
                                             "throw them out: no list and no training has them", 0 },
                                           CHANGE_OPTIONS,
                                           { 0 } };
static const sm_option remove_options[] = { CHANGE_OPTIONS, { 0 } };

const sm_command sm_cmd_dataset_label = {
    .name = "label",
    .summary = "give a choice of sounds a class, as a person's word",
    .description =
        "The classes: bass brass clap cymbal foley fx guitar hand-drum hihat-closed hihat-open keys kick "
        "mallet-bell organ\npad perc pluck rim shaker snare strings synth-lead tom vocal woodwind; any other word "
        "makes a class of your own.\nWhat is labelled so counts as verified: imports and models leave it alone.",
    .operands = "[CLASS]",
    .most_operands = 1,
    .options = label_options,
    .common = SM_COMMON_FORMAT,
    .args_size = sizeof(change_args),
    .examples = (const sm_example[]){ { "samplemind dataset label rim --path \"*/Sidesticks/*\"",
                                        "a folder that names do not tell" },
                                      { "samplemind dataset label --reject --path \"*loop*\"", "no loops" },
                                      { 0 } },
    .run = label_run,
};
const sm_command sm_cmd_dataset_remove = {
    .name = "remove",
    .summary = "forget a choice of sounds; the files stay where they are",
    .options = remove_options,
    .common = SM_COMMON_FORMAT,
    .args_size = sizeof(change_args),
    .examples =
        (const sm_example[]){ { "samplemind dataset remove --source \"old pack\" --dry-run", "what would go" }, { 0 } },
    .run = remove_run,
};
