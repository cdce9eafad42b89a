/* export: what is known, for spreadsheets, players and DJ programs. */
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

typedef struct {
    const char *as, *name, *where;
} export_args;

static const char *const kind_names[] = { "csv", "json", "jsonl", "m3u8", "rekordbox", "ableton" };

static const sm_option export_options[] = {
    { 0, "as", SM_OPT_CHOICE, offsetof(export_args, as), "csv|json|jsonl|m3u8|rekordbox|ableton",
      "table, records, playlist, Rekordbox's XML, or Live's folder XMP (default: csv)", 0 },
    SM_OPTION_WHERE(export_args),
    { 0, "name", SM_OPT_STRING, offsetof(export_args, name), "NAME", "of the playlist", 0 },
    { 0 }
};

typedef struct {
    sm_cli *cli;
    sm_progress *bar;
} work;

static int on_progress(void *user, const sm_progress_info *p)
{
    work *w = user;
    sm_progress_set_total(w->bar, p->total);
    sm_progress_set(w->bar, p->done);
    return sm_cancelled();
}

static void on_problem(void *user, const char *path, const char *reason)
{
    work *w = user;
    (void)path;
    sm_progress_clear(w->bar);
    sm_cli_error(w->cli, "%s", reason);
}

static int write_out(sm_cli *cli, sm_export_kind kind, const sm_strings *files, const sm_export_options *o,
                     size_t *failed)
{
    const char *path = cli->common.out;
    sm_outfile *out = NULL;
    if (!path || !strcmp(path, "-"))
        return sm_export(kind, (const char *const *)files->items, files->length, o, cli->out, failed);
    int err = sm_outfile_open(path, &out);
    if (err == 0)
        err = sm_export(kind, (const char *const *)files->items, files->length, o, sm_outfile_stream(out), failed);
    if (err == 0)
        return sm_outfile_commit(out);
    sm_outfile_abandon(out);
    return err;
}

static int export_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const export_args *a = args;
    sm_strings files = { 0 };
    work w = { .cli = cli };
    size_t kind = 0, failed = 0, problems = 0;
    char *library = sm_library_path(cli->common.library);
    int err = library ? sm_progress_new(cli, "export", 0, "files", &w.bar) : SM_ENOMEM;
    while (kind + 1 < SM_LENGTH(kind_names) && strcmp(kind_names[kind], a->as) != 0)
        kind++;
    if (err == 0)
        err = sm_cli_sounds(cli, operands, n, a->where, &files, &problems);
    if (err == 0 && n > 0 && !a->where && files.length == 0)
        err = problems ? SM_EXIT_FAILED : sm_fail(SM_ENOTFOUND, "no sounds there");
    if (err == 0) {
        sm_export_options o;
        sm_export_options_init(&o);
        o.library = library;
        o.models = cli->common.no_models ? "" : NULL;
        o.fields = (const char *const *)cli->common.fields.items;
        o.n_fields = cli->common.fields.length;
        o.only_these = n > 0 || a->where;
        o.name = a->name;
        o.progress = on_progress;
        o.problem = on_problem;
        o.user = &w;
        sm_cancel_install();
        err = write_out(cli, (sm_export_kind)kind, &files, &o, &failed);
    }
    if (err == 0 && failed + problems > 0)
        err = sm_exit_of_batch(SM_MAX(files.length, failed + 1) - failed, failed + problems);
    sm_progress_free(w.bar);
    sm_strings_free(&files);
    sm_free(library);
    return err;
}

const sm_command sm_cmd_export = {
    .name = "export",
    .summary = "hand on what is known: CSV, JSON, playlists, Rekordbox and Live",
    .description = "Writes the whole library, what a query finds, or the files that are named. What the library does "
                   "not know is analysed "
                   "now. Nothing "
                   "is written into\nsound files; see `tag` for that.",
    .operands = "[FILE|DIR|@LIST|-]...",
    .paths = true,
    .options = export_options,
    .common = SM_COMMON_OUT | SM_COMMON_LIBRARY | SM_COMMON_FIELDS | SM_COMMON_PROGRESS | SM_COMMON_MODELS,
    .examples = (const sm_example[]){ { "samplemind export -o samples.csv", "the whole library as a table" },
                                      { "samplemind export loops/ --as rekordbox -o loops.xml", "for Rekordbox" },
                                      { "samplemind export --where 'fav:yes sort:bpm' --as m3u8 -o best.m3u8",
                                        "a playlist, in the order of the search" },
                                      { "samplemind export loops/ --as m3u8 --name Loops -o loops.m3u8", "a playlist" },
                                      { 0 } },
    .args_size = sizeof(export_args),
    .defaults = &(const export_args){ .as = "csv" },
    .run = export_run,
};
