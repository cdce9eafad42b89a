/* dataset dupes, dataset split: what keeps a score honest. */
#include <inttypes.h>
#include <string.h>

#include "cli/cmd_dataset.h"

/* ---- dupes ---- */

typedef struct {
    const char *dataset;
    double cosine, correlation;
    bool list;
} dupes_args;

static const sm_option dupes_options[] = { DATASET_OPTION(dupes_args),
                                           { 0, "cosine", SM_OPT_NUMBER, offsetof(dupes_args, cosine), "0..1",
                                             "fingerprints this alike are compared (default: 0.95)", 0 },
                                           { 0, "correlation", SM_OPT_NUMBER, offsetof(dupes_args, correlation), "0..1",
                                             "waveforms this alike are twins (default: 0.93)", 0 },
                                           { 0, "list", SM_OPT_FLAG, offsetof(dupes_args, list), NULL,
                                             "print the pairs that the last search found; search nothing", 0 },
                                           { 0 } };

static int list_pair(sm_cli *cli, sm_dataset *d, const sm_dataset_twin *t, sm_arena *a)
{
    sm_item x, y;
    sm_buffer text = { 0 };
    sm_json j;
    int err = sm_dataset_get(d, t->a, a, &x);
    if (err == 0)
        err = sm_dataset_get(d, t->b, a, &y);
    if (err < 0)
        return err;
    if (!strcmp(cli->common.format, "table")) {
        fprintf(cli->out, "%.3f  %s/%s (%s)\n       %s/%s (%s)\n", t->correlation, x.root, x.path,
                x.label ? x.label : "-", y.root, y.path, y.label ? y.label : "-");
        return 0;
    }
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    const sm_item *const both[] = { &x, &y };
    for (int k = 0; k < 2; k++) {
        char *file = sm_item_file(both[k]);
        sm_json_key(&j, k ? "b" : "a");
        sm_json_string(&j, file);
        sm_json_key(&j, k ? "b_class" : "a_class");
        sm_json_string(&j, both[k]->label);
        sm_json_key(&j, k ? "b_family" : "a_family");
        sm_json_string(&j, both[k]->family);
        sm_free(file);
    }
    sm_json_key(&j, "cosine");
    sm_json_f32(&j, t->cosine);
    sm_json_key(&j, "correlation");
    sm_json_f32(&j, t->correlation);
    sm_json_end_object(&j);
    return dataset_print_json(cli, &text);
}

static int list_pairs(sm_cli *cli, sm_dataset *d)
{
    sm_arena *a = sm_arena_new();
    sm_dataset_twin *twins = NULL;
    size_t n = 0;
    int err = a ? sm_dataset_twins(d, a, &twins, &n) : SM_ENOMEM;
    for (size_t i = 0; i < n && err == 0; i++)
        err = list_pair(cli, d, &twins[i], a);
    sm_arena_free(a);
    return err;
}

static int dupes_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const dupes_args *a = args;
    sm_dataset *d = NULL;
    dataset_working w;
    sm_dataset_twins_result r;
    int err = dataset_open(a->dataset, a->list ? SM_DATASET_READ : SM_DATASET_WRITE, &d);
    (void)operands, (void)n;
    if (err < 0)
        return err;
    if (a->list) {
        err = list_pairs(cli, d);
        sm_dataset_close(d);
        return err;
    }
    err = dataset_work_begin(cli, "dupes", &w);
    const sm_dataset_twins_options o = { .work = w.work,
                                         .least_cosine = a->cosine,
                                         .least_correlation = a->correlation };
    if (err == 0)
        err = sm_dataset_find_twins(d, &o, &r);
    dataset_work_end(&w);
    sm_dataset_close(d);
    if (err < 0)
        return err;
    if (r.torn > 0)
        sm_cli_warn(cli,
                    "%" PRId64 " pairs stand on two sides of the split; \"dataset split --again\" puts them together",
                    r.torn);
    const dataset_figure figures[] = { { "read", "sounds read", r.read, false },
                                       { "candidates", "pairs look alike", r.candidates, true },
                                       { "pairs", "of them are twins", r.pairs, true },
                                       { "across", "of these across families", r.across, true },
                                       { "groups", "groups", r.kept, true },
                                       { "marked", "sounds marked as the twin of one that is kept", r.marked, true },
                                       { "torn", "pairs on two sides of the split", r.torn, false } };
    return dataset_print_figures(cli, "dupes", figures, SM_LENGTH(figures));
}

const sm_command sm_cmd_dataset_dupes = {
    .name = "dupes",
    .summary = "find near twins, also in different packs",
    .description = "Twins are the same recording louder, resampled, coded or with silence in front: fingerprints of "
                   "the first 0.55 s "
                   "that are\nalike, confirmed on the waveform. Nothing is removed: of a group one is kept (a verified "
                   "one, the surest, "
                   "the first) and the\nothers are marked; \"split\" keeps families with a common twin on one side, "
                   "and --no-twins leaves "
                   "the marked ones out.\nFingerprints are kept, so that the next search reads only what is new.",
    .options = dupes_options,
    .common = SM_COMMON_JOBS | SM_COMMON_PROGRESS | SM_COMMON_FORMAT,
    .args_size = sizeof(dupes_args),
    .examples = (const sm_example[]){ { "samplemind dataset dupes", "search" },
                                      { "samplemind dataset dupes --list --table", "look at what was found" },
                                      { 0 } },
    .run = dupes_run,
};

/* ---- split ---- */

typedef struct {
    const char *dataset;
    double val, test;
    bool again;
} split_args;

static const sm_option split_options[] = {
    DATASET_OPTION(split_args),
    { 0, "val", SM_OPT_NUMBER, offsetof(split_args, val), "0..1", "share that judges training (default: 0.1)", 0 },
    { 0, "test", SM_OPT_NUMBER, offsetof(split_args, test), "0..1", "share that judges the result (default: 0.1)", 0 },
    { 0, "again", SM_OPT_FLAG, offsetof(split_args, again), NULL, "split anew, also what came with a split", 0 },
    { 0 }
};

static int split_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const split_args *a = args;
    sm_dataset *d = NULL;
    sm_dataset_split_result r;
    const sm_dataset_split_options o = {
        .val = a->val, .test = a->test, .seed = (uint64_t)cli->common.seed, .again = a->again
    };
    int err = dataset_open(a->dataset, SM_DATASET_WRITE, &d);
    (void)operands, (void)n;
    if (err == 0)
        err = sm_dataset_split(d, &o, &r);
    sm_dataset_close(d);
    if (err < 0)
        return err;
    if (r.torn > 0)
        sm_cli_warn(cli, "%" PRId64 " groups of families were on two sides before; --again puts each on one", r.torn);
    const dataset_figure figures[] = { { "assigned", "sounds split", r.assigned, true },
                                       { "kept", "kept where they were", r.kept, true },
                                       { "families", "families", r.families, true },
                                       { "groups", "groups of families without a common twin", r.groups, true },
                                       { "torn", "groups on two sides", r.torn, false } };
    return dataset_print_figures(cli, "split", figures, SM_LENGTH(figures));
}

const sm_command sm_cmd_dataset_split = {
    .name = "split",
    .summary = "divide into train, val and test by family",
    .description =
        "80/10/10 unless told otherwise, for each class as far as its families allow; a family (a recording run, an "
        "instrument, a\nmachine) is never on two sides, nor are families with a common twin (run \"dupes\" before). "
        "Sounds "
        "that have a side keep it.\nBeside it stands the naive random split, sound by sound: it flatters by tens of "
        "points, "
        "since near twins are on both sides,\nand is there to show that.",
    .options = split_options,
    .common = SM_COMMON_SEED | SM_COMMON_FORMAT,
    .args_size = sizeof(split_args),
    .examples =
        (const sm_example[]){ { "samplemind dataset split", "what has no side yet" },
                              { "samplemind dataset split --again --val 0.15 --test 0.15 --seed 7", "all anew" },
                              { 0 } },
    .run = split_run,
};
