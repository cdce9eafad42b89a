/* dataset synth, dataset soundfont: sounds that we make ourselves. */
#include <string.h>

#include "cli/cmd_dataset.h"
#include "train/synth.h"

static int print_made(sm_cli *cli, const char *what, const sm_dataset_result *r)
{
    const dataset_figure figures[] = { { "added", "added", r->added, true },
                                       { "updated", "read again because they changed", r->updated, false },
                                       { "unchanged", "as they were", r->unchanged, false },
                                       { "broken", "left out", r->broken, false },
                                       { "missing", "presets of packages that are not installed", r->missing, false } };
    return dataset_print_figures(cli, what, figures, SM_LENGTH(figures));
}

/* The folder that is written to: --out, or DATA/datasets/NAME. The caller's. */
static int made_folder(const char *out, const char *name, char **folder)
{
    char *data = out ? NULL : sm_data_directory();
    *folder = out ? sm_strdup(out) : data ? sm_printf_new("%s/datasets/%s", data, name) : NULL;
    sm_free(data);
    if (*folder)
        return 0;
    return out ? SM_ENOMEM : sm_fail(SM_ENOTFOUND, "no home folder is known; say where the sounds go with --out");
}

/* ---- synth ---- */

typedef struct {
    const char *dataset, *labels, *split;
    int64_t each, rate;
    bool list;
} synth_args;

static const sm_option synth_options[] = {
    DATASET_OPTION(synth_args),
    { 'n', "each", SM_OPT_INT, offsetof(synth_args, each), "1..1000000", "sounds of each recipe (default: 40)", 0 },
    { 'l', "label", SM_OPT_STRING, offsetof(synth_args, labels), "LIST", "only these classes: kick,snare", 0 },
    { 0, "split", SM_OPT_CHOICE, offsetof(synth_args, split), "train|val|test", "their side (default: train)", 0 },
    { 0, "rate", SM_OPT_INT, offsetof(synth_args, rate), "8000..192000", "Hz (default: 44100)", 0 },
    { 0, "list", SM_OPT_FLAG, offsetof(synth_args, list), NULL, "show the recipes and make nothing", 0 },
    { 0 }
};

static int list_recipes(sm_cli *cli)
{
    static const char *const headings[] = { "class", "recipe", "method", "what it is" };
    size_t n = 0;
    const sm_synth_recipe *r = sm_synth_recipes(&n);
    sm_table *t = NULL;
    int err = sm_table_new(headings, SM_LENGTH(headings), &t);
    for (size_t i = 0; i < n && err == 0; i++) {
        sm_table_text(t, r[i].label);
        sm_table_text(t, r[i].name);
        sm_table_text(t, r[i].method);
        sm_table_text(t, r[i].says);
    }
    if (err == 0)
        err = sm_table_print(t, cli->out);
    sm_table_free(t);
    return err;
}

static int synth_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const synth_args *a = args;
    sm_dataset *d = NULL;
    dataset_working w;
    sm_dataset_result r = { 0 };
    char *folder = NULL;
    (void)operands, (void)n;
    if (a->list)
        return list_recipes(cli);
    int err = made_folder(cli->common.out, "synth", &folder);
    if (err == 0)
        err = dataset_open(a->dataset, SM_DATASET_CREATE, &d);
    if (err == 0 && (err = dataset_work_begin(cli, "synth", &w)) == 0) {
        const sm_dataset_synth_options o = { .work = w.work,
                                             .folder = folder,
                                             .labels = a->labels,
                                             .each = a->each,
                                             .seed = (uint64_t)cli->common.seed,
                                             .rate_hz = (int)a->rate,
                                             .split = a->split };
        err = sm_dataset_synth(d, &o, &r);
        dataset_work_end(&w);
    }
    sm_dataset_close(d);
    sm_free(folder);
    return err < 0 ? err : print_made(cli, "synth", &r);
}

const sm_command sm_cmd_dataset_synth = {
    .name = "synth",
    .summary = "make labelled sounds by our own synthesis",
    .description = "Drums, subtractive, FM and additive voices, plucked strings, modes, formants, noise and pure "
                   "waveforms. A sound is a\n"
                   "recipe and a seed: the same two give the same sound. What is known exactly (pitch, attack, decay, "
                   "brightness) is\n"
                   "kept with it. Files are FLAC, below --out or datasets/synth in the data folder.",
    .options = synth_options,
    .common = SM_COMMON_OUT | SM_COMMON_SEED | SM_COMMON_JOBS | SM_COMMON_PROGRESS | SM_COMMON_FORMAT,
    .args_size = sizeof(synth_args),
    .defaults = &(const synth_args){ .each = 40, .rate = 44100 },
    .examples =
        (const sm_example[]){
            { "samplemind dataset synth --list", "what there is to make" },
            { "samplemind dataset synth -n 200 --label kick,snare,clap", "200 of each recipe of these classes" },
            { "samplemind dataset synth -n 10 --split val --seed 100000 -o unseen", "others, to judge with" },
            { 0 } },
    .run = synth_run,
};

/* ---- soundfont ---- */

typedef struct {
    const char *dataset, *licence, *split;
    int64_t step, velocities, rate;
} soundfont_args;

static const sm_option soundfont_options[] = {
    DATASET_OPTION(soundfont_args),
    { 0, "licence", SM_OPT_STRING, offsetof(soundfont_args, licence), "TEXT", "of a .sf2; a list says it by itself",
      0 },
    { 0, "split", SM_OPT_CHOICE, offsetof(soundfont_args, split), "train|val|test", "likewise", 0 },
    { 0, "step", SM_OPT_INT, offsetof(soundfont_args, step), "1..48", "semitones between notes (default: 6)", 0 },
    { 0, "velocities", SM_OPT_INT, offsetof(soundfont_args, velocities), "1..2", "1: 100; 2: 60 and 110 (default: 2)",
      0 },
    { 0, "rate", SM_OPT_INT, offsetof(soundfont_args, rate), "8000..192000", "Hz (default: 44100)", 0 },
    { 0 }
};

static int tell_missing(sm_cli *cli, const sm_strings *missing)
{
    sm_buffer text = { 0 };
    if (missing->length == 0)
        return 0;
    for (size_t i = 0; i < missing->length; i++)
        sm_buffer_printf(&text, " %s", missing->items[i]);
    sm_cli_error(cli, "not installed; get them with: sudo apt-get install%s", text.data ? text.data : "");
    sm_buffer_free(&text);
    return SM_EXIT_SOME_FAILED;
}

static int soundfont_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const soundfont_args *a = args;
    sm_dataset *d = NULL;
    dataset_working w;
    sm_dataset_result sum = { 0 };
    sm_strings missing = { 0 };
    char *folder = NULL;
    int err = made_folder(cli->common.out, "soundfonts", &folder);
    if (err == 0)
        err = dataset_open(a->dataset, SM_DATASET_CREATE, &d);
    if (err == 0 && (err = dataset_work_begin(cli, "soundfont", &w)) == 0) {
        const sm_dataset_soundfont_options o = { .work = w.work,
                                                 .folder = folder,
                                                 .licence = a->licence,
                                                 .split = a->split,
                                                 .step = (int)a->step,
                                                 .velocities = (int)a->velocities,
                                                 .rate_hz = (int)a->rate };
        for (size_t i = 0; i < n && err == 0; i++) {
            sm_dataset_result r;
            err = sm_dataset_soundfont(d, operands[i], &o, &missing, &r);
            sum.added += r.added;
            sum.updated += r.updated;
            sum.unchanged += r.unchanged;
            sum.broken += r.broken;
            sum.missing += r.missing;
        }
        dataset_work_end(&w);
    }
    sm_dataset_close(d);
    sm_free(folder);
    if (err == 0)
        err = print_made(cli, "soundfont", &sum);
    if (err == 0)
        err = tell_missing(cli, &missing);
    sm_strings_free(&missing);
    return err;
}

const sm_command sm_cmd_dataset_soundfont = {
    .name = "soundfont",
    .summary = "render the notes of SoundFonts as labelled sounds",
    .description = "Of a .sf2 its General MIDI programs and its drum kit; of a list of Debian packages (as dataset "
                   "debian reads) the rows of\n"
                   "presets, which say class, family, side and licence. Needs the package libfluidsynth3. Files are "
                   "FLAC, below --out or\n"
                   "datasets/soundfonts in the data folder.",
    .operands = "FILE.sf2|LIST.csv...",
    .least_operands = 1,
    .options = soundfont_options,
    .common = SM_COMMON_OUT | SM_COMMON_JOBS | SM_COMMON_PROGRESS | SM_COMMON_FORMAT,
    .args_size = sizeof(soundfont_args),
    .defaults = &(const soundfont_args){ .step = 6, .velocities = 2, .rate = 44100 },
    .examples =
        (const sm_example[]){
            { "samplemind dataset soundfont /usr/share/sounds/sf2/FluidR3_GM.sf2 --licence MIT --split train",
              "a whole font" },
            { "samplemind dataset soundfont debian.csv --step 3", "what a list asks for, every third note" },
            { 0 } },
    .run = soundfont_run,
};
