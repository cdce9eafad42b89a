/* dataset import, debian, freesound: sounds come in. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd_dataset.h"
#include "train/freesound.h"

typedef struct {
    const char *dataset, *label, *source, *family, *licence, *attribution, *url, *split;
    bool own_classes, again;
} import_args;

static const sm_option import_options[] = {
    DATASET_OPTION(import_args),
    { 'l', "label", SM_OPT_STRING, offsetof(import_args, label), "CLASS",
      "all of these are CLASS, whatever their names say", 0 },
    { 0, "licence", SM_OPT_STRING, offsetof(import_args, licence), "TEXT", "their licence: CC0, CC-BY-4.0, own", 0 },
    { 0, "source", SM_OPT_STRING, offsetof(import_args, source), "TEXT",
      "where they come from (default: the folder's name)", 0 },
    { 0, "attribution", SM_OPT_STRING, offsetof(import_args, attribution), "TEXT", "who is to be named", 0 },
    { 0, "url", SM_OPT_STRING, offsetof(import_args, url), "URL", "where they are to be had", 0 },
    { 0, "family", SM_OPT_STRING, offsetof(import_args, family), "TEXT",
      "all are of one recording run (default: by pack)", 0 },
    { 0, "split", SM_OPT_CHOICE, offsetof(import_args, split), "train|val|test", "all stand on this side of the split",
      0 },
    { 0, "own-classes", SM_OPT_FLAG, offsetof(import_args, own_classes), NULL,
      "folders' names are the classes, whatever they are", 0 },
    { 0, "again", SM_OPT_FLAG, offsetof(import_args, again), NULL, "read files also when they have not changed", 0 },
    { 0 }
};

static int print_result(sm_cli *cli, const char *what, const sm_dataset_result *r)
{
    const dataset_figure figures[] = { { "added", "added", r->added, true },
                                       { "updated", "read again because they changed", r->updated, false },
                                       { "unchanged", "as they were", r->unchanged, false },
                                       { "unlabelled", "of the new without a label", r->unlabelled, false },
                                       { "doubtful", "of the new with a doubtful label", r->doubtful, false },
                                       { "broken", "left out because they are broken", r->broken, false },
                                       { "missing", "rows of packages that are not installed", r->missing, false } };
    return dataset_print_figures(cli, what, figures, SM_LENGTH(figures));
}

/* 0, 1 or 3: what came of so many files. */
static int exit_of(const sm_dataset_result *r)
{
    return sm_exit_of_batch((size_t)(r->added + r->updated + r->unchanged), (size_t)(r->broken + r->missing));
}

static void add_up(sm_dataset_result *sum, const sm_dataset_result *r)
{
    sum->added += r->added;
    sum->updated += r->updated;
    sum->unchanged += r->unchanged;
    sum->broken += r->broken;
    sum->unlabelled += r->unlabelled;
    sum->doubtful += r->doubtful;
    sum->missing += r->missing;
}

static sm_dataset_import_options options_of(const import_args *a, const dataset_working *w)
{
    return (sm_dataset_import_options){ .work = w->work,
                                        .label = a->label,
                                        .source = a->source,
                                        .family = a->family,
                                        .licence = a->licence,
                                        .attribution = a->attribution,
                                        .url = a->url,
                                        .split = a->split,
                                        .own_classes = a->own_classes,
                                        .again = a->again };
}

static int import_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const import_args *a = args;
    sm_dataset *d = NULL;
    dataset_working w;
    sm_dataset_result sum = { 0 }, r;
    int err = dataset_open(a->dataset, SM_DATASET_CREATE, &d);
    size_t failed = 0;
    if (err < 0)
        return err;
    err = dataset_work_begin(cli, "import", &w);
    const sm_dataset_import_options o = options_of(a, &w);
    for (size_t i = 0; i < n && err == 0; i++) {
        err = sm_dataset_import(d, operands[i], &o, &r);
        add_up(&sum, &r);
        if (n > 1 && (err == SM_ENOTFOUND || err == SM_EFORMAT)) { /* the others are not to blame */
            sm_cli_error(cli, "%s", sm_last_error());
            failed++;
            err = 0;
        }
    }
    dataset_work_end(&w);
    sm_dataset_close(d);
    if (err < 0 && err != SM_ECANCELLED)
        return err;
    const int printed = print_result(cli, "import", &sum);
    sum.broken += (int64_t)failed;
    return err < 0 ? err : printed < 0 ? printed : exit_of(&sum);
}

const sm_command sm_cmd_dataset_import = {
    .name = "import",
    .summary = "take in folders of sounds, or a table of labels",
    .description =
        "A folder is searched for sounds; their labels come from what files and folders are called (docs/dataset.md "
        "has the rules), in\nthe 25 classes. What names do not say stays unlabelled; what they say twice is doubtful. "
        "A "
        ".csv needs the columns path and\nclass; split, family, source, licence, attribution, url, original_name, "
        "genre, "
        "mood, energy, pitch_midi, ... are read when\nthey are there. Files that have not changed are not read again. "
        "Broken files are named and left out (exit code 3).",
    .operands = "DIR|FILE|TABLE.csv...",
    .least_operands = 1,
    .paths = true,
    .options = import_options,
    .common = SM_COMMON_JOBS | SM_COMMON_PROGRESS | SM_COMMON_FORMAT,
    .args_size = sizeof(import_args),
    .examples =
        (const sm_example[]){
            { "samplemind dataset import ~/Samples --licence own", "a folder of packs" },
            { "samplemind dataset import labels.csv", "a table with classes, splits and licences" },
            { "samplemind dataset import Claps --label clap --licence CC0 --source \"my field recorder\"",
              "names say nothing, but you know" },
            { 0 } },
    .run = import_run,
};

/* ---- debian ---- */

typedef struct {
    const char *dataset, *prefix;
    bool again;
} debian_args;

static const sm_option debian_options[] = {
    DATASET_OPTION(debian_args),
    { 0, "prefix", SM_OPT_PATH, offsetof(debian_args, prefix), "DIR", "where the Debian system lies (default: /)", 0 },
    { 0, "again", SM_OPT_FLAG, offsetof(debian_args, again), NULL, "read files also when they have not changed", 0 },
    { 0 }
};

static void say_missing(const sm_cli *cli, const sm_strings *missing)
{
    sm_buffer names = { 0 };
    for (size_t i = 0; i < missing->length; i++)
        sm_buffer_printf(&names, " %s", missing->items[i]);
    if (missing->length > 0)
        sm_cli_error(cli, "not installed; get them with: sudo apt-get install%s", names.failed ? "" : names.data);
    sm_buffer_free(&names);
}

static int debian_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const debian_args *a = args;
    sm_dataset *d = NULL;
    dataset_working w;
    sm_strings missing = { 0 };
    sm_dataset_result sum = { 0 }, r;
    int err = dataset_open(a->dataset, SM_DATASET_CREATE, &d);
    if (err < 0)
        return err;
    err = dataset_work_begin(cli, "debian", &w);
    const sm_dataset_import_options o = { .work = w.work, .again = a->again };
    for (size_t i = 0; i < n && err == 0; i++) {
        err = sm_dataset_debian(d, operands[i], a->prefix, &o, &missing, &r);
        add_up(&sum, &r);
    }
    dataset_work_end(&w);
    sm_dataset_close(d);
    if (err == 0 || err == SM_ECANCELLED)
        say_missing(cli, &missing);
    sm_strings_free(&missing);
    if (err < 0 && err != SM_ECANCELLED)
        return err;
    const int printed = print_result(cli, "debian", &sum);
    return err < 0 ? err : printed < 0 ? printed : exit_of(&sum);
}

const sm_command sm_cmd_dataset_debian = {
    .name = "debian",
    .summary = "take in sounds that installed Debian packages carry, after a list",
    .description = "LIST.csv has the columns package, path, class, split, family, licence; path is an extended regular "
                   "expression on "
                   "the whole\npath of a file that the package installed. Packages that are not there are named with "
                   "the command that "
                   "installs them\n(exit code 3). Rows of soundfont presets (FILE.sf2#bank0:program40) are left to "
                   "\"dataset synth\".",
    .operands = "LIST.csv...",
    .least_operands = 1,
    .paths = true,
    .options = debian_options,
    .common = SM_COMMON_JOBS | SM_COMMON_PROGRESS | SM_COMMON_FORMAT,
    .args_size = sizeof(debian_args),
    .examples =
        (const sm_example[]){ { "samplemind dataset debian debian.csv", "what is installed of the list" }, { 0 } },
    .run = debian_run,
};

/* ---- freesound ---- */

typedef struct {
    const char *dataset, *token, *oauth, *filter, *licences, *label, *folder;
    int64_t most;
} freesound_args;

static const sm_option freesound_options[] = { DATASET_OPTION(freesound_args),
                                               { 0, "token", SM_OPT_STRING, offsetof(freesound_args, token), "TOKEN",
                                                 "of your API credentials (default: FREESOUND_TOKEN)", 0 },
                                               { 0, "oauth", SM_OPT_STRING, offsetof(freesound_args, oauth), "TOKEN",
                                                 "OAuth2 token: fetch originals instead of previews", 0 },
                                               { 0, "filter", SM_OPT_STRING, offsetof(freesound_args, filter), "TEXT",
                                                 "Freesound's own filter: \"duration:[0 TO 2] tag:kick\"", 0 },
                                               { 0, "licences", SM_OPT_STRING, offsetof(freesound_args, licences),
                                                 "LIST", "which are taken (default: \"CC0,CC-BY-?.0\")", 0 },
                                               { 'l', "label", SM_OPT_STRING, offsetof(freesound_args, label), "CLASS",
                                                 "class of all that is found (default: what names say)", 0 },
                                               { 0, "folder", SM_OPT_PATH, offsetof(freesound_args, folder), "DIR",
                                                 "where files go (default: datasets/freesound in the data folder)", 0 },
                                               { 'n', "most", SM_OPT_INT, offsetof(freesound_args, most), "0..1000000",
                                                 "so many sounds; 0: all that is found (default: 0)", 0 },
                                               { 0 } };

static char *freesound_folder(const char *given)
{
    char *data = given ? NULL : sm_data_directory();
    char *folder = given ? sm_strdup(given) : data ? sm_printf_new("%s/datasets/freesound", data) : NULL;
    sm_free(data);
    return folder;
}

static int freesound_print(sm_cli *cli, const sm_freesound_result *r)
{
    const dataset_figure figures[] = { { "added", "added", r->items.added, true },
                                       { "unchanged", "there already", r->items.unchanged, false },
                                       { "refused", "left out for their licence", r->refused, false },
                                       { "broken", "that could not be fetched or read", r->items.broken, false },
                                       { "unlabelled", "without a label", r->items.unlabelled, false },
                                       { "found", "found in all", r->found, true },
                                       { "requests", "requests", r->requests, true },
                                       { "more", "more pages (run it again)", r->more, false } };
    return dataset_print_figures(cli, "freesound", figures, SM_LENGTH(figures));
}

static int freesound_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const freesound_args *a = args;
    char *folder = freesound_folder(a->folder);
    sm_dataset *d = NULL;
    dataset_working w;
    sm_freesound_result r;
    (void)n;
    int err = folder ? dataset_open(a->dataset, SM_DATASET_CREATE, &d)
                     : sm_fail(SM_ENOTFOUND, "no home folder is known; name one with --folder");
    if (err < 0)
        goto out;
    err = dataset_work_begin(cli, "freesound", &w);
    const sm_freesound_options o = { .work = w.work,
                                     .token = a->token ? a->token : getenv("FREESOUND_TOKEN"),
                                     .oauth_token = a->oauth,
                                     .query = operands[0],
                                     .filter = a->filter,
                                     .licences = a->licences,
                                     .label = a->label,
                                     .folder = folder,
                                     .most = a->most,
                                     .mirror = getenv("SAMPLEMIND_MIRROR") };
    if (err == 0)
        err = sm_dataset_freesound(d, &o, &r);
    dataset_work_end(&w);
    if (err == 0)
        err = freesound_print(cli, &r);
    if (err == 0)
        err = sm_exit_of_batch((size_t)(r.items.added + r.items.unchanged), (size_t)r.items.broken);
out:
    sm_dataset_close(d);
    sm_free(folder);
    return err;
}

const sm_command sm_cmd_dataset_freesound = {
    .name = "freesound",
    .summary = "search Freesound, fetch what is found with its licence and author",
    .description = "Needs a token of your own (https://freesound.org/apiv2/apply), given by --token or "
                   "FREESOUND_TOKEN; it fetches "
                   "previews in\nhigh quality (Ogg). Freesound allows 60 requests a minute and 2000 a day: they are "
                   "counted, and a run "
                   "that stops goes on where\nit was. Licence, author and address are kept with each sound; \"export "
                   "--attribution\" "
                   "prints them. Sounds of one author are\none family.",
    .operands = "QUERY",
    .least_operands = 1,
    .most_operands = 1,
    .options = freesound_options,
    .common = SM_COMMON_JOBS | SM_COMMON_PROGRESS | SM_COMMON_FORMAT,
    .args_size = sizeof(freesound_args),
    .examples =
        (const sm_example[]){
            { "samplemind dataset freesound \"rim shot\" --label rim --filter \"duration:[0 TO 1]\" -n 200",
              "200 short ones" },
            { "samplemind dataset freesound kick --licences CC0", "nothing that asks for credit" },
            { 0 } },
    .run = freesound_run,
};
