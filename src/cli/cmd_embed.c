/* embed: OpenL3's vectors of sounds, with openl3's options and files. */
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/npz.h"
#include "engine/engine.h"

typedef struct {
    const char *output, *suffix, *repr, *content, *front_end, *model;
    bool no_centering, overwrite;
    int64_t dims, batch;
    double hop_s;
} embed_args;

#define AT(FIELD) offsetof(embed_args, FIELD)
static const sm_option embed_options[] = {
    { 'o', "output-dir", SM_OPT_PATH, AT(output), "DIR", "folder of the files written (default: beside the input)", 0 },
    { 'x', "suffix", SM_OPT_STRING, AT(suffix), "TEXT", "write NAME_TEXT.npz", 0 },
    { 'i', "input-repr", SM_OPT_CHOICE, AT(repr), "linear|mel128|mel256", "what the network sees (default: mel256)",
      0 },
    { 'c', "content-type", SM_OPT_CHOICE, AT(content), "music|env", "what it was trained on (default: music)", 0 },
    { 's', "audio-embedding-size", SM_OPT_INT, AT(dims), "512..6144", "values a window: 6144 or 512 (default: 6144)",
      0 },
    { 'n', "no-audio-centering", SM_OPT_FLAG, AT(no_centering), NULL,
      "windows begin at their time instead of being centred on it", 0 },
    { 't', "audio-hop-size", SM_OPT_NUMBER, AT(hop_s), "0.001..3600", "seconds between windows (default: 0.1)", 0 },
    { 'b', "audio-batch-size", SM_OPT_INT, AT(batch), "1..",
      "accepted and not needed: batches are chosen by themselves", 0 },
    { 'f', "audio-frontend", SM_OPT_CHOICE, AT(front_end), "kapre01|kapre|librosa",
      "kapre01: what the weights were trained with; the others are openl3 0.4's (default: kapre01)", 0 },
    { 'w', "overwrite", SM_OPT_FLAG, AT(overwrite), NULL, "write files that exist already anew", 0 },
    { 0, "model", SM_OPT_STRING, AT(model), "NAME|NAME=FILE", "another model (edgel3, edgel3-sea), or a weights file",
      0 },
    { 0 }
};

/* openl3's names: the input's without ending, "_SUFFIX", ".npz". */
static char *output_path(const embed_args *a, const char *input)
{
    const char *name = sm_path_name(input), *dot = strrchr(name, '.');
    const int stem = (int)(dot && dot > name ? dot - name : (ptrdiff_t)strlen(name));
    const char *under = a->suffix && *a->suffix ? "_" : "", *suffix = a->suffix ? a->suffix : "";
    if (a->output)
        return sm_printf_new("%s/%.*s%s%s.npz", a->output, stem, name, under, suffix);
    return sm_printf_new("%.*s%.*s%s%s.npz", (int)(name - input), input, stem, name, under, suffix);
}

typedef struct {
    const embed_args *args;
    sm_embedder *e;
} batch;

static int one_file(void *user, sm_cli *cli, const char *input)
{
    const batch *b = user;
    const embed_args *a = b->args;
    sm_embed_result r = { 0 };
    char *path = output_path(a, input);
    int err = path ? 0 : SM_ENOMEM;
    if (err == 0 && !a->overwrite && access(path, F_OK) == 0) {
        sm_cli_warn(cli, "%s is there already; --overwrite writes it anew", path);
        sm_free(path);
        return 0;
    }
    if (err == 0)
        err = sm_embed_file(b->e, input, &r);
    if (err == 0 && r.silent)
        sm_cli_warn(cli, "%s is silent: its embedding means nothing", input);
    if (err == 0) {
        const sm_npz_array arrays[] = {
            { "embedding", "<f4", 2, { r.windows, r.dims }, r.values, r.windows * r.dims * sizeof *r.values },
            { "timestamps", "<f8", 1, { r.windows }, r.time_s, r.windows * sizeof *r.time_s },
        };
        err = sm_npz_write(path, arrays, SM_LENGTH(arrays));
    }
    sm_embed_result_free(&r);
    sm_free(path);
    return err;
}

static int bar_moves(void *user, const sm_progress_info *p)
{
    sm_progress_set_total(user, p->total);
    sm_progress_set(user, p->done);
    return sm_cancelled();
}

static int open_embedder(sm_cli *cli, const embed_args *a, sm_progress *bar, sm_embedder **out)
{
    char name[64];
    sm_embed_options o;
    sm_embed_options_init(&o);
    snprintf(name, sizeof name, "openl3-%s-%s", a->repr, a->content);
    o.model = a->model ? a->model : name;
    o.front_end = a->front_end;
    o.dims = (int)a->dims;
    if (a->model && !strncmp(a->model, "edgel3", 6))
        o.dims = 512;
    o.hop_s = a->hop_s;
    o.no_centering = a->no_centering;
    o.threads = (int)cli->common.threads;
    o.progress = bar_moves;
    o.user = bar;
    sm_cancel_install();
    return sm_cli_no_model(cli, sm_embed_open(&o, out));
}

static int embed_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const embed_args *a = args;
    sm_strings files = { 0 };
    size_t n_problems = 0;
    sm_embedder *e = NULL;
    sm_progress *bar = NULL;
    int err = 0;
    if (a->output && (err = sm_make_directories(a->output)) < 0)
        return err;
    err = sm_cli_sounds(cli, operands, n, NULL, &files, &n_problems);
    if (err == 0)
        err = sm_progress_new(cli, "embed", 0, "s of audio", &bar);
    if (err == 0)
        err = open_embedder(cli, a, bar, &e);
    if (err == 0) {
        batch b = { a, e };
        err = sm_cli_each(cli, &files, n_problems, one_file, &b);
    }
    sm_progress_free(bar);
    sm_embed_close(e);
    sm_strings_free(&files);
    return err;
}

const sm_command sm_cmd_embed = {
    .name = "embed",
    .summary = "write OpenL3's vectors of sounds, as openl3 does",
    .description =
        "Writes NAME.npz beside each input, with the arrays `embedding` (windows x values) and `timestamps` (seconds), "
        "which numpy.load reads.\nOptions and files are those of \"openl3 audio\"; its -as, -ab, -af and -ow are -s, "
        "-b, -f "
        "and -w here. Files that exist\nalready are left as they are. The library (scan) stores one vector a sound by "
        "itself.",
    .operands = "FILE|DIR|@LIST|-...",
    .least_operands = 1,
    .paths = true,
    .options = embed_options,
    .common = SM_COMMON_THREADS | SM_COMMON_PROGRESS,
    .examples = (const sm_example[]){ { "samplemind embed kick.wav", "kick.npz: 6144 values every 0.1 s" },
                                      { "samplemind embed Samples -i mel128 -s 512 -t 0.5 -o vectors",
                                        "a folder, smaller and quicker" },
                                      { 0 } },
    .args_size = sizeof(embed_args),
    .defaults =
        &(const embed_args){ .repr = "mel256", .content = "music", .front_end = "kapre01", .dims = 6144, .hop_s = 0.1 },
    .run = embed_run,
};
