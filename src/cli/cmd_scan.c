/* scan: puts folders into the library. */
#include <inttypes.h>
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

typedef struct {
    bool errors, no_analyze, watch, again, retry;
    double time_limit_s, embed_hop_s;
} scan_args;

static const sm_option scan_options[] = {
    { 0, "errors", SM_OPT_FLAG, offsetof(scan_args, errors), NULL,
      "list the files that are broken, and why; scan nothing", 0 },
    { 0, "no-analyze", SM_OPT_FLAG, offsetof(scan_args, no_analyze), NULL,
      "only list names, sizes and times; the next scan analyses", 0 },
    { 0, "watch", SM_OPT_FLAG, offsetof(scan_args, watch), NULL,
      "then follow what happens in the folders, until Ctrl-C", 0 },
    { 0, "full", SM_OPT_FLAG, offsetof(scan_args, again), NULL, "analyse everything again", 0 },
    { 0, "retry", SM_OPT_FLAG, offsetof(scan_args, retry), NULL, "try files again that were broken", 0 },
    { 0, "time-limit", SM_OPT_NUMBER, offsetof(scan_args, time_limit_s), "0..",
      "give a file up after so many seconds of work (default: never)", 0 },
    { 0, "embed-hop", SM_OPT_NUMBER, offsetof(scan_args, embed_hop_s), "0..3600",
      "seconds between windows of OpenL3 and its like (default: one window; a one-shot costs one)", 0 },
    { 0 }
};

typedef struct {
    sm_cli *cli;
    sm_progress *bar;
    size_t problems;
    bool analysing;
} scanning;

static int on_progress(void *user, const sm_progress_info *p)
{
    scanning *s = user;
    if (p->total > 0 && !s->analysing) { /* the rate of listing says nothing about analysing */
        s->analysing = true;
        sm_progress_free(s->bar);
        if (sm_progress_new(s->cli, "analysing", p->total, "files", &s->bar) < 0)
            return 1;
    }
    if (p->total > 0)
        sm_progress_set_total(s->bar, p->total);
    sm_progress_file(s->bar, p->what, p->done, p->total);
    sm_progress_set(s->bar, p->done);
    return sm_cancelled();
}

static void on_problem(void *user, const char *path, const char *reason)
{
    enum { TOLD = 20 };
    scanning *s = user;
    s->problems++;
    sm_progress_finish(s->bar, path, reason);
    if (s->problems > TOLD && s->cli->common.verbose == 0)
        return;
    sm_progress_clear(s->bar);
    sm_cli_warn(s->cli, "%s: %s", path, reason);
    if (s->problems == TOLD && s->cli->common.verbose == 0)
        sm_cli_warn(s->cli,
                    "more of these are only counted; \"samplemind scan --errors\" lists broken files, -v tells all");
}

/* ---- results ---- */

static int print_errors_row(void *user, const char *path, const char *reason)
{
    sm_cli *cli = user;
    if (!strcmp(cli->common.format, "table")) {
        fprintf(cli->out, "%s: %s\n", path, reason);
        return 0;
    }
    sm_buffer line = { 0 };
    sm_json j;
    sm_json_init(&j, &line, false);
    sm_json_begin_object(&j);
    sm_record_write_path(&j, path);
    sm_json_key(&j, "reason");
    sm_json_string(&j, reason);
    sm_json_end_object(&j);
    const int err = line.failed ? SM_ENOMEM : 0;
    if (err == 0)
        fprintf(cli->out, "%s\n", line.data);
    sm_buffer_free(&line);
    return err;
}

static int print_result(sm_cli *cli, const sm_scan_result *r)
{
    const struct {
        const char *name, *text;
        int64_t value;
        bool always;
    } figures[] = {
        { "files", "files", r->files, true },
        { "folders", "folders", r->folders, true },
        { "added", "new", r->added, false },
        { "changed", "changed", r->changed, false },
        { "gone", "gone", r->gone, false },
        { "returned", "back again", r->returned, false },
        { "analysed", "analysed", r->analysed, true },
        { "known", "known already", r->known, false },
        { "moved", "of these moved", r->moved, false },
        { "refreshed", "completed", r->refreshed, false },
        { "broken", "broken", r->broken, false },
        { "unreadable_folders", "folders unreadable", r->unreadable_folders, false },
        { "waiting", "waiting to be analysed", r->waiting, false },
    };
    if (!strcmp(cli->common.format, "table")) {
        for (size_t i = 0; i < SM_LENGTH(figures); i++)
            if (figures[i].value || figures[i].always)
                fprintf(cli->out, "%s%" PRId64 " %s", i > 0 ? ", " : "", figures[i].value, figures[i].text);
        fprintf(cli->out, "; listed in %.2f s", r->list_s);
        if (r->analyse_s > 0 && r->analysed > 0)
            fprintf(cli->out, ", analysed in %.1f s", r->analyse_s);
        fputc('\n', cli->out);
        return 0;
    }
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    for (size_t i = 0; i < SM_LENGTH(figures); i++) {
        sm_json_key(&j, figures[i].name);
        sm_json_int(&j, figures[i].value);
    }
    sm_json_key(&j, "list_s");
    sm_json_f32(&j, r->list_s);
    sm_json_key(&j, "analyse_s");
    sm_json_f32(&j, r->analyse_s);
    sm_json_end_object(&j);
    const int err = text.failed ? sm_fail(SM_ENOMEM, "no memory for the result") : 0;
    if (err == 0)
        fprintf(cli->out, "%s\n", text.data);
    sm_buffer_free(&text);
    return err;
}

/* ---- running ---- */

/* "a,b" of the list; NULL: all that are installed. The caller's. */
static int model_list(const sm_cli *cli, char **out)
{
    sm_buffer list = { 0 };
    *out = NULL;
    if (!cli->common.no_models && cli->common.models.length == 0)
        return 0;
    sm_buffer_text(&list, "");
    for (size_t i = 0; !cli->common.no_models && i < cli->common.models.length; i++)
        sm_buffer_printf(&list, "%s%s", i > 0 ? "," : "", cli->common.models.items[i]);
    if (list.failed)
        return SM_ENOMEM;
    *out = list.data ? list.data : sm_strdup("");
    return *out ? 0 : SM_ENOMEM;
}

static int scan(sm_cli *cli, const scan_args *args, sm_library *l, char *const *paths, size_t n)
{
    scanning s = { .cli = cli };
    sm_scan_options o;
    sm_scan_result result = { 0 };
    char *models = NULL;
    sm_scan_options_init(&o);
    int err = model_list(cli, &models);
    o.models = models;
    o.precision = cli->common.precision;
    o.jobs = (int)cli->common.jobs;
    o.time_limit_s = args->time_limit_s;
    o.embed_hop_s = args->embed_hop_s;
    o.list_only = args->no_analyze;
    o.again = args->again;
    o.retry = args->retry;
    o.progress = on_progress;
    o.problem = on_problem;
    o.user = &s;
    sm_cancel_install();
    const char *const *const list = n > 0 ? (const char *const *)paths : NULL;
    if (err == 0)
        err = sm_progress_new(cli, "listing", 0, "files", &s.bar);
    if (err == 0)
        err = args->watch ? sm_library_watch(l, list, n, &o) : sm_library_scan(l, list, n, &o, &result);
    sm_progress_free(s.bar);
    sm_free(models);
    if ((err == 0 || err == SM_ECANCELLED) && !args->watch && print_result(cli, &result) < 0)
        err = SM_ENOMEM;
    if (err == 0 && result.broken + result.unreadable_folders > 0)
        return SM_EXIT_SOME_FAILED;
    return err;
}

static int scan_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const scan_args *a = args;
    sm_library *l = NULL;
    char *path = sm_library_path(cli->common.library);
    int err = path ? sm_library_open(path, a->errors ? SM_LIBRARY_READ : SM_LIBRARY_CREATE, &l)
                   : sm_fail(SM_ENOTFOUND, "no home folder is known; name the library with --library");
    if (err == 0)
        err = a->errors ? sm_library_each_broken(l, print_errors_row, cli) : scan(cli, a, l, operands, n);
    sm_library_close(l);
    sm_free(path);
    return err;
}

const sm_command sm_cmd_scan = {
    .name = "scan",
    .summary = "put folders of sounds into the library, or bring it up to date",
    .description =
        "First lists what is there (names, sizes, times), then analyses what is new, small files first. Every result "
        "is "
        "kept as it\ncomes: after Ctrl-C, a crash or a power cut the next scan goes on from there. A file that is "
        "unchanged, moved or\ncopied is never analysed twice, and a model that was installed later analyses only its "
        "part. "
        "Without DIR all folders that\nwere scanned before are brought up to date.\n\n"
        "Broken files are kept in a list (--errors) and not tried again until they change. The exit status is 3 when "
        "there "
        "were\nsuch files or folders that could not be read.",
    .operands = "[DIR]...",
    .options = scan_options,
    .common = SM_COMMON_FORMAT | SM_COMMON_JOBS | SM_COMMON_PROGRESS | SM_COMMON_MODELS | SM_COMMON_LIBRARY |
              SM_COMMON_DEVICE,
    .examples = (const sm_example[]){ { "samplemind scan ~/Samples", "a first scan, or the next one" },
                                      { "samplemind scan", "everything that was scanned before" },
                                      { "samplemind scan --watch -q &", "keeps the library current" },
                                      { "samplemind scan --errors", "which files are broken, and why" },
                                      { 0 } },
    .args_size = sizeof(scan_args),
    .run = scan_run,
};
