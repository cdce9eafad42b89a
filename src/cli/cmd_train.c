/* train: sounds with labels in, a classifier out. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "library/library.h"
#include "train/dataset.h"
#include "train/dataset_tools.h"
#include "train/train.h"

typedef struct {
    const char *arch, *front_end, *dataset, *teacher, *report, *augment, *licences, *sources, *families, *split, *note,
        *weights;
    int64_t epochs, batch, patience, stop_after, fold;
    double rate, warmup, decay, smoothing, clip, ema, balance, class_weight, family_weight, teacher_weight, held_out,
        base_keep;
    const char *on;
    double base_rate, base_slower;
    int64_t base_frozen;
    bool tune, resume, from_corrections, list;
    sm_strings average;
} train_args;

#define AT(field) offsetof(train_args, field)
static const sm_option train_options[] = {
    { 'a', "arch", SM_OPT_STRING, AT(arch), "NAME",
      "architecture (default: res-freq, with --tune what --on has; --list shows all)", 0 },
    { 0, "on", SM_OPT_STRING, AT(on), "MODEL",
      "instead: one layer on this model's embedding (yamnet), learned in a minute", 0 },
    { 0, "tune", SM_OPT_FLAG, AT(tune), NULL,
      "with --on (also efficientat): its convolutions learn on as well; one of ours learns on whole", 0 },
    { 0, "base-lr", SM_OPT_NUMBER, AT(base_rate), "RATE",
      "with --tune: highest rate of its convolutions (default: 0.0002)", 0 },
    { 0, "base-slower", SM_OPT_NUMBER, AT(base_slower), "0..1",
      "with --tune: each layer below learns by this factor slower (default: 1)", 0 },
    { 0, "freeze", SM_OPT_INT, AT(base_frozen), "0..",
      "with --tune: its lowest layers, that stay as they are (YAMNet has 14, EfficientAT 17; default: 0)", 0 },
    { 0, "keep", SM_OPT_NUMBER, AT(base_keep), "0..1",
      "with --tune: at the end so much of what it was before comes back, for other sources (default: 0)", 0 },
    { 0, "average", SM_OPT_LIST, AT(average), "FILE,FILE,..",
      "learn nothing: the mean of these networks' weights, that learned on from the same ones", 0 },
    { 0, "dataset", SM_OPT_PATH, AT(dataset), "FILE", "a dataset, when no other data is named (default: the own one)",
      0 },
    { 'e', "epochs", SM_OPT_INT, AT(epochs), "1..100000", "times through all sounds (default: 40; with --tune 16)", 0 },
    { 'b', "batch", SM_OPT_INT, AT(batch), "1..4096", "sounds a step, in shards of 32 (default: 64)", 0 },
    { 0, "lr", SM_OPT_NUMBER, AT(rate), "RATE", "highest learning rate (default: 0.002; with --tune 0.001)", 0 },
    { 0, "warmup", SM_OPT_NUMBER, AT(warmup), "0..1", "share of all steps in which it rises (default: 0.05)", 0 },
    { 0, "weight-decay", SM_OPT_NUMBER, AT(decay), "DECAY", "of kernels and matrices (default: 0.05)", 0 },
    { 0, "smoothing", SM_OPT_NUMBER, AT(smoothing), "0..0.9", "of labels (default: 0.05)", 0 },
    { 0, "clip", SM_OPT_NUMBER, AT(clip), "NORM", "longest gradient; 0: any (default: 5)", 0 },
    { 0, "ema", SM_OPT_NUMBER, AT(ema), "0..0.9999", "decay of the averaged weights (default: 0.998)", 0 },
    { 0, "balance", SM_OPT_NUMBER, AT(balance), "0..1",
      "0: sounds as they come, 1: all classes equally often (default: 0.5)", 0 },
    { 0, "class-weights", SM_OPT_NUMBER, AT(class_weight), "0..1", "the same as weights of the loss (default: 0)", 0 },
    { 0, "family-weights", SM_OPT_NUMBER, AT(family_weight), "0..1",
      "1: all families of a class equally often (default: 0.5)", 0 },
    { 0, "augment", SM_OPT_STRING, AT(augment), "NAME=P[:LOW:HIGH],..",
      "change the table of augmentations, or none (--list shows it)", 0 },
    { 0, "teacher", SM_OPT_STRING, AT(teacher), "MODEL|FILE", "also learn this model's answers (yamnet)", 0 },
    { 0, "teacher-weight", SM_OPT_NUMBER, AT(teacher_weight), "WEIGHT", "of its part of the loss (default: 0.5)", 0 },
    { 0, "front-end", SM_OPT_STRING, AT(front_end), "NAME", "row of the mel front ends (default: samplemind)", 0 },
    { 0, "held-out", SM_OPT_NUMBER, AT(held_out), "0..0.9",
      "share of train families that choose the epoch and the temperature (default: 0.1)", 0 },
    { 0, "fold", SM_OPT_INT, AT(fold), "0..1000000", "which families those are: another number, others (default: 0)",
      0 },
    { 0, "patience", SM_OPT_INT, AT(patience), "0..100000",
      "stop after so many epochs without gain; 0: never (default: 0)", 0 },
    { 0, "split", SM_OPT_CHOICE, AT(split), "family|random",
      "random: the naive split by file, which flatters (default: family)", 0 },
    { 0, "licences", SM_OPT_STRING, AT(licences), "LIST", "only sounds under these: CC0,CC-BY* or -*GPL*", 0 },
    { 0, "sources", SM_OPT_STRING, AT(sources), "LIST", "only sounds from these sources", 0 },
    { 0, "families", SM_OPT_STRING, AT(families), "LIST", "only sounds of these families", 0 },
    { 0, "from-corrections", SM_OPT_FLAG, AT(from_corrections), NULL,
      "only sounds whose label you confirmed: corrections of the library, dataset verify", 0 },
    { 0, "weights", SM_OPT_CHOICE, AT(weights), "f16|f32", "numbers in the file (default: f16)", 0 },
    { 0, "report", SM_OPT_PATH, AT(report), "FILE.html", "where the report goes (default: beside the model)", 0 },
    { 0, "note", SM_OPT_STRING, AT(note), "TEXT", "what the data is: kept in the file", 0 },
    { 0, "resume", SM_OPT_FLAG, AT(resume), NULL, "go on where a run with the same options was stopped or killed", 0 },
    { 0, "stop-after", SM_OPT_INT, AT(stop_after), "1..100000",
      "stop after so many epochs of this call; --resume goes on", 0 },
    { 0, "list", SM_OPT_FLAG, AT(list), NULL, "show architectures and augmentations, and train nothing", 0 },
    { 0 }
};

static int list(sm_cli *cli)
{
    size_t n;
    const sm_classifier_arch *a = sm_classifier_archs(&n);
    fprintf(cli->out, "architectures (--arch)\n");
    for (size_t i = 0; i < n; i++)
        fprintf(cli->out, "  %-18s %s\n", a[i].name, a[i].summary);
    const sm_augment_text *t = sm_augment_texts(&n);
    fprintf(cli->out, "augmentations (--augment NAME=P:LOW:HIGH)\n");
    for (size_t i = 0; i < n; i++)
        fprintf(cli->out, "  %-18s %4.2f : %g .. %g %s\t%s\n", t[i].name, t[i].standard.p, t[i].standard.low,
                t[i].standard.high, t[i].unit, t[i].sentence);
    return 0;
}

/* ---- progress: a line that is drawn over itself, and one for each epoch ---- */
typedef struct {
    sm_cli *cli;
    double drawn_s;
    bool on_screen, json;
} shown;

static void clock_text(double s, char out[32])
{
    const long n = isfinite(s) ? lround(s) : 0;
    if (n >= 3600)
        snprintf(out, 32, "%ld:%02ld:%02ld", n / 3600, n / 60 % 60, n % 60);
    else
        snprintf(out, 32, "%ld:%02ld", n / 60, n % 60);
}

static void percent(double x, char out[16])
{
    if (isfinite(x))
        snprintf(out, 16, "%.1f %%", 100 * x);
    else
        snprintf(out, 16, "-");
}

static void epoch_line(const shown *s, const sm_train_progress *p)
{
    char held[16], val[16], left[32];
    percent(p->held_top1, held);
    percent(p->val_top1, val);
    clock_text(p->left_s, left);
    fprintf(s->cli->err, "epoch %d/%d  loss %.4f  held out %s (loss %.3f)  val %s  %.0f sounds/s  left %s%s\n",
            p->epoch + 1, p->epochs, p->loss, held, p->held_loss, val, p->sounds_per_s, left, p->best ? "  *" : "");
}

static void json_line(const shown *s, const sm_train_progress *p)
{
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    const struct {
        const char *key;
        double value;
    } rows[] = { { "epoch", p->epoch + 1 },     { "epochs", p->epochs },
                 { "loss", p->loss },           { "held_top1", p->held_top1 },
                 { "held_loss", p->held_loss }, { "val_top1", p->val_top1 },
                 { "left_s", p->left_s },       { "sounds_per_s", p->sounds_per_s } };
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_json_key(&j, rows[i].key);
        sm_json_f32(&j, rows[i].value);
    }
    sm_json_end_object(&j);
    if (!text.failed)
        fprintf(s->cli->err, "%s\n", text.data);
    sm_buffer_free(&text);
}

static int on_progress(void *user, const sm_train_progress *p)
{
    shown *s = user;
    const double now = sm_now_s();
    const char *mode = s->cli->common.progress;
    const bool none = s->cli->common.quiet || (mode && !strcmp(mode, "none"));
    if (sm_cancelled())
        return 1;
    if (none)
        return 0;
    if (p->epoch_done) {
        if (s->on_screen)
            fputs("\r\033[K", s->cli->err);
        s->on_screen = false;
        (s->json ? json_line : epoch_line)(s, p);
        fflush(s->cli->err);
    } else if (!s->json && s->cli->err_is_terminal && now - s->drawn_s > 0.2) {
        char left[32];
        clock_text(p->left_s, left);
        fprintf(s->cli->err, "\r\033[Kepoch %d/%d  %zu/%zu  loss %.4f  %.0f sounds/s  left %s", p->epoch + 1, p->epochs,
                p->done, p->total, p->loss, p->sounds_per_s, left);
        fflush(s->cli->err);
        s->drawn_s = now;
        s->on_screen = true;
    }
    return 0;
}

static int on_load(void *user, const sm_progress_info *p)
{
    sm_progress_set_total(user, p->total);
    sm_progress_set(user, p->done);
    return sm_cancelled();
}

/* ---- the run ---- */

/* What was corrected in the library since (`tag --set instrument=`) joins the dataset. Without a library there is nothing to take. */
static int take_corrections(sm_cli *cli, const char *dataset)
{
    const sm_dataset_work work = { .jobs = (int)cli->common.jobs };
    sm_dataset_result r = { 0 };
    sm_dataset_split_result split;
    sm_dataset *d = NULL;
    sm_library *l = NULL;
    char *library = sm_library_path(cli->common.library), *own = dataset ? NULL : sm_dataset_default_path();
    int err = library && (dataset || own) ? sm_library_open(library, SM_LIBRARY_READ, &l) : SM_ENOMEM;
    sm_library_close(l);
    if (err == SM_ENOTFOUND && !cli->common.library) {
        err = 0;
        goto out;
    }
    if (err == 0)
        err = sm_dataset_open(dataset ? dataset : own, SM_DATASET_CREATE, &d);
    if (err == 0)
        err = sm_dataset_take_corrections(d, library, &work, &r);
    if (err == 0 && r.added > 0) /* the new ones; what has a side keeps it */
        err = sm_dataset_split(d, &(const sm_dataset_split_options){ 0 }, &split);
    if (err == 0 && r.added + r.updated > 0)
        sm_cli_warn(cli, "%lld sounds that were corrected in the library join the dataset",
                    (long long)(r.added + r.updated));
out:
    sm_dataset_close(d);
    sm_free(library);
    sm_free(own);
    return err;
}

static int load(sm_cli *cli, const train_args *a, const char *data, int rate, sm_sounds **out)
{
    const sm_sounds_filter f = {
        .licences = a->licences, .sources = a->sources, .families = a->families, .verified = a->from_corrections
    };
    sm_strings problems = { 0 };
    sm_progress *bar = NULL;
    char *own = data ? NULL : sm_dataset_default_path();
    int err = data || own ? sm_sounds_open(data ? data : own, &f, out) : SM_ENOMEM;
    if (err == 0)
        err = sm_progress_new(cli, "reading", (double)sm_sounds_count(*out), "files", &bar);
    if (err == 0)
        err = sm_sounds_load(*out, rate, 4, (int)cli->common.jobs, on_load, bar, &problems);
    sm_progress_free(bar);
    for (size_t i = 0; i < problems.length; i++)
        sm_cli_warn(cli, "%s; it is left out", problems.items[i]);
    if (err == 0 && sm_sounds_lone_classes(*out) > 0)
        sm_cli_warn(
            cli,
            "%zu classes are of one source each, for all that folders and names say: they are split by file, and "
            "what is measured flatters. Put the sounds of each pack into a folder of its own below the class",
            sm_sounds_lone_classes(*out));
    sm_strings_free(&problems);
    sm_free(own);
    return err;
}

/* "mine.safetensors" -> "mine.html" */
static char *report_path(const char *out)
{
    const char *name = sm_path_name(out), *dot = strrchr(name, '.');
    const int stem = (int)(dot && dot > name ? dot - out : (ptrdiff_t)strlen(out));
    return sm_printf_new("%.*s.html", stem, out);
}

/* What it is worth on the validation side, for the page. Without such sounds there is a page with the curves only; without training
 * (done NULL) with the scores only. */
static int report(sm_cli *cli, const train_args *a, sm_sounds *s, const sm_train_options *o, const sm_trained *done)
{
    const sm_evaluate_options e = { .threads = o->threads, .side = SM_SIDE_VAL, .random_split = o->random_split };
    sm_scores scores = { 0 };
    char *path = a->report ? sm_strdup(a->report) : report_path(o->out);
    int err = path ? 0 : SM_ENOMEM;
    const bool judged = err == 0 && (!done || done->val_sounds > 0) && sm_evaluate(s, o->out, &e, &scores) == 0;
    if (err == 0)
        err = sm_report_write(path, sm_path_name(o->out), s, done, judged ? &scores : NULL,
                              o->random_split ? "val (random split: flatters)" : "val (families never trained on)");
    if (err == 0 && judged && !cli->common.quiet)
        fprintf(cli->err, "val: top-1 %.1f %% (%.1f to %.1f), top-3 %.1f %%, balanced %.1f %%, ECE %.3f\n",
                100 * scores.top1.value, 100 * scores.top1.low, 100 * scores.top1.high, 100 * scores.top3.value,
                100 * scores.macro_recall.value, scores.ece);
    if (err == 0)
        fprintf(cli->out, "%s\n%s\n", o->out, path);
    sm_scores_free(&scores);
    sm_free(path);
    return err;
}

static void take_options(const sm_cli *cli, const train_args *a, sm_train_options *o)
{
    o->arch = a->arch ? a->arch : "res-freq";
    o->base = a->tune ? a->on : NULL;
    o->base_rate = a->base_rate;
    o->base_slower = a->base_slower;
    o->base_keep = a->base_keep;
    o->base_frozen = (int)a->base_frozen;
    o->front_end = a->front_end;
    o->out = cli->common.out ? cli->common.out : "classifier.safetensors";
    o->teacher = a->teacher;
    o->note = a->note;
    o->epochs = a->epochs > 0 ? (int)a->epochs : a->tune ? 16 : 40;
    o->batch = (int)a->batch;
    o->threads = (int)cli->common.jobs;
    o->rate = a->rate > 0 ? a->rate : a->tune ? 1e-3 : 2e-3;
    o->warmup = a->warmup;
    o->decay = a->decay;
    o->smoothing = a->smoothing;
    o->clip = a->clip;
    o->ema = a->ema;
    o->balance = a->balance;
    o->class_weight = a->class_weight;
    o->family_weight = a->family_weight;
    o->teacher_weight = a->teacher_weight;
    o->held_out = a->held_out;
    o->fold = (int)a->fold;
    o->patience = (int)a->patience;
    o->seed = (uint64_t)cli->common.seed;
    o->random_split = !strcmp(a->split, "random");
    o->resume = a->resume;
    o->f16 = !strcmp(a->weights, "f16");
    o->stop_after = (int)a->stop_after;
}

/* --on: what it stands on hears every sound once, then numbers are fitted. */
static int train_on(sm_cli *cli, const train_args *a, const char *data)
{
    const sm_sounds_filter f = {
        .licences = a->licences, .sources = a->sources, .families = a->families, .verified = a->from_corrections
    };
    sm_probe_options o;
    sm_probed done = { 0 };
    sm_sounds *sounds = NULL;
    sm_progress *bar = NULL;
    char *own = data ? NULL : sm_dataset_default_path(), held[16], val[16], third[16];
    sm_probe_options_init(&o);
    o.on = a->on;
    o.out = cli->common.out ? cli->common.out : "classifier.safetensors";
    o.note = a->note;
    o.threads = (int)cli->common.jobs;
    o.smoothing = a->smoothing;
    o.held_out = a->held_out;
    o.f16 = !strcmp(a->weights, "f16");
    o.progress = on_load;
    int err = data || own ? sm_sounds_open(data ? data : own, &f, &sounds) : SM_ENOMEM;
    if (err == 0)
        err = sm_progress_new(cli, "hearing", (double)sm_sounds_count(sounds), "files", &bar);
    o.user = bar;
    if (err == 0)
        err = sm_probe_train(sounds, &o, &done);
    sm_progress_free(bar);
    percent(done.held_top1, held);
    percent(done.val_top1, val);
    percent(done.val_top3, third);
    if (err == 0 && !cli->common.quiet)
        fprintf(cli->err, "%zu sounds learned; held out: top-1 %s; val: top-1 %s, top-3 %s\n", done.sounds, held, val,
                third);
    if (err == 0)
        fprintf(cli->out, "%s\n", o.out);
    sm_sounds_close(sounds);
    sm_free(own);
    return err;
}

/* --average: sounds are needed only to say what it is worth. */
static int average(sm_cli *cli, const train_args *a, const char *data)
{
    const sm_sounds_filter f = { .licences = a->licences, .sources = a->sources, .families = a->families };
    sm_train_options o;
    sm_sounds *sounds = NULL;
    sm_train_options_init(&o);
    take_options(cli, a, &o);
    int err =
        sm_train_average((const char *const *)a->average.items, a->average.length, a->note, o.out, &o.random_split);
    if (err == 0 && !data)
        fprintf(cli->out, "%s\n", o.out);
    else if (err == 0 && (err = sm_sounds_open(data, &f, &sounds)) == 0)
        err = report(cli, a, sounds, &o, NULL);
    sm_sounds_close(sounds);
    return err;
}

static int train_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const train_args *a = args;
    sm_train_options o;
    sm_trained done = { 0 };
    sm_sounds *sounds = NULL;
    shown s = { .cli = cli, .json = cli->common.progress && !strcmp(cli->common.progress, "json") };
    int err = 0;
    if (a->list)
        return list(cli);
    if (a->tune && !a->on)
        return sm_cli_usage(cli, "--tune needs --on: whose convolutions learn on");
    if (a->average.length > 0) {
        if (a->on || a->arch)
            return sm_cli_usage(
                cli, "--average learns nothing: --on, --tune and --arch are of the networks that it is given");
        sm_cancel_install();
        return average(cli, a, n > 0 ? operands[0] : a->dataset);
    }
    if (a->from_corrections && n == 0 && (err = take_corrections(cli, a->dataset)) < 0)
        return err;
    if (a->on && !a->tune) {
        sm_cancel_install();
        return train_on(cli, a, n > 0 ? operands[0] : a->dataset);
    }
    sm_train_options_init(&o);
    take_options(cli, a, &o);
    if (a->tune && !a->arch)
        err = sm_train_arch_on(a->on, &o.arch);
    if (err == 0 && a->augment)
        err = sm_augment_parse(&o.augment, a->augment);
    o.progress = on_progress;
    o.user = &s;
    const sm_classifier_arch *arch = err == 0 ? sm_classifier_arch_find(o.arch) : NULL;
    if (err == 0 && !arch)
        err = sm_cli_usage(cli, "there is no architecture \"%s\"; --list shows all", o.arch);
    const char *front_end = a->front_end || !arch ? a->front_end : sm_model_find(arch->model)->needs.front_end;
    const dsp_mel_spec *spec = front_end ? dsp_mel_find(front_end) : NULL;
    if (err == 0 && !spec)
        err = sm_cli_usage(cli, "there is no front end \"%s\"", front_end);
    sm_cancel_install();
    if (err == 0)
        err = load(cli, a, n > 0 ? operands[0] : a->dataset, spec->rate_hz, &sounds);
    if (err == 0)
        err = sm_train(sounds, &o, &done);
    if (err == 0)
        err = report(cli, a, sounds, &o, &done);
    sm_trained_free(&done);
    sm_sounds_close(sounds);
    return err;
}

const sm_command sm_cmd_train = {
    .name = "train",
    .summary = "teach a classifier what your sounds are",
    .description = "DATA is a folder with one folder for each class, a table (path,class and maybe "
                   "split,family,source,licence), or a dataset.\n"
                   "Writes the model (-o) and a report beside it. Sounds of one family are never on both sides of the "
                   "split. The same seed gives\n"
                   "the same model on any number of threads; a run that was killed goes on with --resume.",
    .operands = "[DATA]",
    .most_operands = 1,
    .options = train_options,
    .common = SM_COMMON_OUT | SM_COMMON_JOBS | SM_COMMON_SEED | SM_COMMON_PROGRESS | SM_COMMON_LIBRARY,
    .examples = (const sm_example[]){ { "samplemind train my-sounds -o mine.safetensors", "one folder a class" },
                                      { "samplemind train labels.csv --arch cnn --epochs 20",
                                        "the simplest network, from a table" },
                                      { "samplemind train my-sounds --on yamnet -o mine.safetensors",
                                        "from few sounds: on what YAMNet has learned" },
                                      { "samplemind train my-sounds --on yamnet --tune -o mine.safetensors",
                                        "from some hundred sounds on: what YAMNet has learned learns on" },
                                      { "samplemind train my-sounds --on samplemind --tune -e 10 -o mine.safetensors",
                                        "what comes with the program goes on, with your sounds" },
                                      { "samplemind train --average a.safetensors,b.safetensors -o mean.safetensors",
                                        "two that learned on with other seeds: better on other sources, no slower" },
                                      { "samplemind train --from-corrections",
                                        "from what you corrected in the library, and confirmed in dataset verify" },
                                      { 0 } },
    .args_size = sizeof(train_args),
    .defaults = &(const train_args){ .batch = 64,
                                     .base_rate = 2e-4,
                                     .base_slower = 1,
                                     .warmup = 0.05,
                                     .decay = 0.05,
                                     .smoothing = 0.05,
                                     .clip = 5,
                                     .ema = 0.998,
                                     .balance = 0.5,
                                     .family_weight = 0.5,
                                     .teacher_weight = 0.5,
                                     .held_out = 0.1,
                                     .split = "family",
                                     .weights = "f16" },
    .run = train_run,
};
