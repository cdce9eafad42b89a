/* eval: how good a classifier is on sounds whose class is known. */
#include <math.h>
#include <string.h>

#include "cli/command.h"
#include "engine/engine.h"
#include "train/train.h"

typedef struct {
    const char *side, *split, *report, *licences, *sources;
    double held_out;
    int64_t fold;
    bool no_latency;
} eval_args;

#define AT(field) offsetof(eval_args, field)
static const sm_option eval_options[] = {
    { 0, "side", SM_OPT_CHOICE, AT(side), "train|held-out|val|test|all",
      "side of the split; held-out: train families kept from learning (default: val)", 0 },
    { 0, "held-out", SM_OPT_NUMBER, AT(held_out), "0..0.9", "with --side held-out: as it was for train (default: 0.1)",
      0 },
    { 0, "fold", SM_OPT_INT, AT(fold), "0..1000000", "with --side held-out: as it was for train (default: 0)", 0 },
    { 0, "split", SM_OPT_CHOICE, AT(split), "auto|family|random",
      "auto: the one that the model was trained with (default: auto)", 0 },
    { 0, "report", SM_OPT_PATH, AT(report), "FILE.html", "also write a page about the first model", 0 },
    { 0, "licences", SM_OPT_STRING, AT(licences), "LIST", "only sounds under these: CC0,CC-BY* or -*GPL*", 0 },
    { 0, "sources", SM_OPT_STRING, AT(sources), "LIST", "only sounds from these sources", 0 },
    { 0, "no-latency", SM_OPT_FLAG, AT(no_latency), NULL, "do not measure time", 0 },
    { 0 }
};

enum { MODELS = 2 };
typedef struct {
    const char *name;
    char *path;
    bool random_split; /* how it was trained */
    sm_scores scores;  /* on its own side */
} judged;

/* "analyze" or "analyze=MODELS": what these say together. */
static bool is_analyze(const char *name)
{
    return !strcmp(name, "analyze") || !strncmp(name, "analyze=", 8);
}

/* A file, or a model that is installed or ships. */
static int find_model(judged *j)
{
    const sm_model *known = sm_model_find(j->name), *model = NULL;
    sm_weights *w = NULL;
    sm_card *card = NULL;
    char variant[32];
    int err = 0;
    j->path = known ? sm_model_path(NULL, j->name, &(bool){ false }) : sm_strdup(j->name);
    if (!j->path)
        return SM_ENOMEM;
    if ((err = sm_model_open_file(j->path, &w, &card, &model, variant)) == SM_ENOTFOUND && known)
        return sm_fail_prefix(sm_not_installed(err, known), "%s", j->name);
    if (err == 0) {
        const char *split = sm_weights_meta(w, "split");
        j->random_split = split && !strcmp(split, "random");
    }
    sm_card_free(card);
    sm_weights_close(w);
    return err;
}

static sm_side side_of(const char *name)
{
    return !strcmp(name, "train") || !strcmp(name, "held-out") ? SM_SIDE_TRAIN
           : !strcmp(name, "val")                              ? SM_SIDE_VAL
           : !strcmp(name, "test")                             ? SM_SIDE_TEST
                                                               : SM_SIDE_NONE;
}

/* ---- showing ---- */
static void figure(sm_cli *cli, const char *name, const sm_figure *x)
{
    if (isfinite(x->value))
        fprintf(cli->out, "  %-16s %5.1f %%   (%.1f to %.1f)\n", name, 100 * x->value, 100 * x->low, 100 * x->high);
}

static void taken_for(const sm_scores *s, size_t c, char *out, size_t size)
{
    const size_t *row = s->confusion + c * s->n_classes;
    size_t last[3], n = 0;
    *out = 0;
    while (n < 3) {
        size_t best = c;
        for (size_t k = 0; k < s->n_classes; k++) {
            bool taken = k == c || row[k] == 0;
            for (size_t i = 0; i < n; i++)
                taken |= last[i] == k;
            if (!taken && (best == c || row[k] > row[best]))
                best = k;
        }
        if (best == c)
            return;
        const size_t at = strlen(out);
        snprintf(out + at, size - at, "%s%s %zu", n ? ", " : "", s->classes[best], row[best]);
        last[n++] = best;
    }
}

static int show(sm_cli *cli, const judged *j, const char *side)
{
    static const char *const headings[] = { "class", "sounds", "recall", "precision", "taken for" };
    const sm_scores *s = &j->scores;
    sm_table *t = NULL;
    char text[128];
    fprintf(cli->out, "%s: %s, %s; %zu sounds of %zu families (95 %% by bootstrap over families)\n", j->name, side,
            j->random_split ? "random split: near twins were trained on, this flatters" : "families never trained on",
            s->n, s->n_families);
    figure(cli, "top-1", &s->top1);
    figure(cli, "top-3", &s->top3);
    figure(cli, "balanced", &s->macro_recall);
    figure(cli, "macro F1", &s->macro_f1);
    figure(cli, "drums together", &s->drums);
    fprintf(cli->out, "  %-16s %.3f (%.3f at temperature 1; fitted: %.3f)\n", "ECE", s->ece, s->ece_before,
            s->temperature);
    if (isfinite(s->ece))
        fprintf(cli->out, "  %-16s %.3f   (%.3f to %.3f): by chance, on so many sounds\n", "  if calibrated",
                s->ece_by_chance.value, s->ece_by_chance.low, s->ece_by_chance.high);
    if (isfinite(s->single_ms))
        fprintf(cli->out, "  %-16s %.1f ms alone, %.1f ms in a batch of 32, features included\n", "a sound",
                s->single_ms, s->batch_ms);
    int err = sm_table_new(headings, SM_LENGTH(headings), &t);
    for (size_t c = 0; c < s->n_classes && err == 0; c++) {
        if (s->support[c] == 0)
            continue;
        sm_table_text(t, s->classes[c]);
        sm_table_number(t, (double)s->support[c], 0);
        sm_table_number(t, 100 * s->recall[c], 0);
        sm_table_number(t, 100 * s->precision[c], 0);
        taken_for(s, c, text, sizeof text);
        sm_table_text(t, text);
    }
    if (err == 0)
        err = sm_table_print(t, cli->out);
    sm_table_free(t);
    return err;
}

static void json_figure(sm_json *j, const char *key, const sm_figure *x)
{
    sm_json_key(j, key);
    sm_json_begin_array(j);
    sm_json_f32(j, x->value);
    sm_json_f32(j, x->low);
    sm_json_f32(j, x->high);
    sm_json_end_array(j);
}

static void json_classes(sm_json *j, const sm_scores *s)
{
    sm_json_key(j, "classes");
    sm_json_begin_array(j);
    for (size_t c = 0; c < s->n_classes; c++) {
        sm_json_begin_object(j);
        sm_json_key(j, "class");
        sm_json_string(j, s->classes[c]);
        sm_json_key(j, "sounds");
        sm_json_int(j, (int64_t)s->support[c]);
        sm_json_key(j, "recall");
        sm_json_f32(j, s->recall[c]);
        sm_json_key(j, "precision");
        sm_json_f32(j, s->precision[c]);
        sm_json_key(j, "said");
        sm_json_begin_array(j);
        for (size_t k = 0; k < s->n_classes; k++)
            sm_json_int(j, (int64_t)s->confusion[c * s->n_classes + k]);
        sm_json_end_array(j);
        sm_json_end_object(j);
    }
    sm_json_end_array(j);
}

static void json_model(sm_json *j, const judged *m, const char *side)
{
    const sm_scores *s = &m->scores;
    const struct {
        const char *key;
        double value;
    } numbers[] = { { "ece", s->ece }, { "ece_before", s->ece_before }, { "temperature", s->temperature },
                    { "nll", s->nll }, { "single_ms", s->single_ms },   { "batch_ms", s->batch_ms } };
    sm_json_begin_object(j);
    sm_json_key(j, "model");
    sm_json_string(j, m->name);
    sm_json_key(j, "side");
    sm_json_string(j, side);
    sm_json_key(j, "split");
    sm_json_string(j, m->random_split ? "random" : "family");
    sm_json_key(j, "sounds");
    sm_json_int(j, (int64_t)s->n);
    sm_json_key(j, "families");
    sm_json_int(j, (int64_t)s->n_families);
    json_figure(j, "top1", &s->top1);
    json_figure(j, "top3", &s->top3);
    json_figure(j, "macro_recall", &s->macro_recall);
    json_figure(j, "macro_f1", &s->macro_f1);
    json_figure(j, "drums", &s->drums);
    json_figure(j, "ece_by_chance", &s->ece_by_chance);
    for (size_t i = 0; i < SM_LENGTH(numbers); i++) {
        sm_json_key(j, numbers[i].key);
        sm_json_f32(j, numbers[i].value);
    }
    json_classes(j, s);
    sm_json_end_object(j);
}

static int show_json(sm_cli *cli, const judged *list, size_t n, const char *side, const sm_figure *gain)
{
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, true);
    sm_json_begin_object(&j);
    sm_json_key(&j, "models");
    sm_json_begin_array(&j);
    for (size_t i = 0; i < n; i++)
        json_model(&j, &list[i], side);
    sm_json_end_array(&j);
    if (isfinite(gain->value))
        json_figure(&j, "top1_gain", gain);
    sm_json_end_object(&j);
    const int err = text.failed ? SM_ENOMEM : 0;
    if (err == 0)
        fprintf(cli->out, "%s\n", text.data);
    sm_buffer_free(&text);
    return err;
}

/* ---- two models ---- */
static int compare(const sm_sounds *s, const judged *list, sm_figure *gain)
{
    const sm_scores *a = &list[0].scores, *b = &list[1].scores;
    size_t *family = sm_alloc(a->n, sizeof *family);
    int err = family ? 0 : SM_ENOMEM;
    for (size_t i = 0; i < a->n && err == 0; i++) {
        const char *text = sm_sounds_at((sm_sounds *)(uintptr_t)s, a->sound[i])->family;
        family[i] = (size_t)sm_fnv1a64(text, strlen(text));
    }
    if (err == 0)
        err = sm_scores_compare(a, b, family, gain);
    sm_free(family);
    return err;
}

static int on_load(void *user, const sm_progress_info *p)
{
    sm_progress_set_total(user, p->total);
    sm_progress_set(user, p->done);
    return sm_cancelled();
}

static int judge_all(sm_cli *cli, const eval_args *a, sm_sounds *sounds, judged *list, size_t n)
{
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        sm_progress *bar = NULL;
        if (!is_analyze(list[i].name) && (err = find_model(&list[i])) < 0)
            break;
        if (strcmp(a->split, "auto") != 0)
            list[i].random_split = !strcmp(a->split, "random");
        err = sm_progress_new(cli, "eval", (double)sm_sounds_count(sounds), "files", &bar);
        const sm_evaluate_options o = { .threads = (int)cli->common.jobs,
                                        .latency = !a->no_latency,
                                        .random_split = list[i].random_split,
                                        .side = side_of(a->side),
                                        .held_out = !strcmp(a->side, "held-out") ? a->held_out : 0,
                                        .fold = (int)a->fold,
                                        .progress = on_load,
                                        .user = bar };
        if (err == 0)
            err = list[i].path
                      ? sm_evaluate(sounds, list[i].path, &o, &list[i].scores)
                      : sm_evaluate_analyze(sounds, list[i].name[7] ? list[i].name + 8 : NULL, &o, &list[i].scores);
        sm_progress_free(bar);
    }
    return err;
}

static int eval_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const eval_args *a = args;
    const sm_sounds_filter f = { .licences = a->licences, .sources = a->sources };
    judged list[MODELS] = { { .name = operands[0] }, { .name = n > 2 ? operands[2] : NULL } };
    const size_t models = n > 2 ? 2 : 1;
    sm_figure gain = { NAN, NAN, NAN };
    sm_sounds *sounds = NULL;
    sm_cancel_install();
    int err = sm_sounds_open(operands[1], &f, &sounds);
    if (err == 0)
        err = judge_all(cli, a, sounds, list, models);
    if (err == 0 && models == 2 && list[0].random_split == list[1].random_split)
        err = compare(sounds, list, &gain);
    if (err == 0 && !strcmp(cli->common.format, "table")) {
        for (size_t i = 0; i < models && err == 0; i++)
            err = show(cli, &list[i], a->side);
        if (err == 0 && isfinite(gain.value))
            fprintf(cli->out, "top-1 of %s less that of %s: %+.1f points (%+.1f to %+.1f)\n", list[1].name,
                    list[0].name, 100 * gain.value, 100 * gain.low, 100 * gain.high);
    } else if (err == 0)
        err = show_json(cli, list, models, a->side, &gain);
    if (err == 0 && a->report)
        err = sm_report_write(a->report, sm_path_name(list[0].path ? list[0].path : list[0].name), sounds, NULL,
                              &list[0].scores, a->side);
    for (size_t i = 0; i < models; i++) {
        sm_scores_free(&list[i].scores);
        sm_free(list[i].path);
    }
    sm_sounds_close(sounds);
    return err;
}

const sm_command sm_cmd_eval = {
    .name = "eval",
    .summary = "judge a classifier on sounds whose class is known",
    .description =
        "MODEL is a file or the name of an installed model; DATA as for train. Each figure stands with its 95 % "
        "interval (bootstrap\n"
        "over families: sounds of one source fail together). With a second model the two are compared on the same "
        "sounds; one that\n"
        "was trained on the random split is judged on that one's side, so that the two splits stand side by side.\n"
        "MODEL may also be `analyze`: what all models together say to the user, or `analyze=LIST` with a list as for "
        "analyze --models.",
    .operands = "MODEL DATA [MODEL2]",
    .least_operands = 2,
    .most_operands = 3,
    .options = eval_options,
    .common = SM_COMMON_JOBS | SM_COMMON_FORMAT | SM_COMMON_PROGRESS,
    .examples =
        (const sm_example[]){
            { "samplemind eval mine.safetensors my-sounds", "how good, and what it confuses" },
            { "samplemind eval analyze labels.csv", "the answer that analyze gives, all models together" },
            { "samplemind eval a.safetensors labels.csv b.safetensors", "which is better, and how sure that is" },
            { 0 } },
    .args_size = sizeof(eval_args),
    .defaults = &(const eval_args){ .side = "val", .held_out = 0.1, .split = "auto" },
    .run = eval_run,
};
