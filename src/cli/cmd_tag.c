/* tag: what is known of sounds, written into their files; and taken back. */
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

typedef struct {
    sm_strings set, unset, add, remove, only;
    const char *where;
    double least;
    int64_t decimals;
    bool dry_run, keep_mtime, no_measured, in_library, undo;
} tag_args;

static const sm_option tag_options[] = {
    { 's', "set", SM_OPT_LIST, offsetof(tag_args, set), "FIELD=VALUE",
      "your word: remembered, beats a model's, and is written in any case; empty: there is none", 0 },
    { 0, "unset", SM_OPT_LIST, offsetof(tag_args, unset), "FIELD", "take your word back: the measured one counts again",
      0 },
    { 0, "add", SM_OPT_LIST, offsetof(tag_args, add), "WORD", "give the sounds words in the library", 0 },
    { 0, "remove", SM_OPT_LIST, offsetof(tag_args, remove), "WORD", "take words away", 0 },
    { 0, "only", SM_OPT_LIST, offsetof(tag_args, only), "FIELD",
      "write only these, as bpm,key,genre,mood,instrument,comment,keywords,acid,smpl,inst (default: all)", 0 },
    { 0, "in-library", SM_OPT_FLAG, offsetof(tag_args, in_library), NULL,
      "your word is kept in the library alone; no file is written", 0 },
    SM_OPTION_WHERE(tag_args),
    { 0, "set-only", SM_OPT_FLAG, offsetof(tag_args, no_measured), NULL, "write what --set says and nothing else", 0 },
    { 0, "least", SM_OPT_NUMBER, offsetof(tag_args, least), "0..1",
      "smallest confidence of what is written (default: 0.5)", 0 },
    { 0, "bpm-decimals", SM_OPT_INT, offsetof(tag_args, decimals), "0..6", "decimals of the tempo (default: 0)", 0 },
    { 'n', "dry-run", SM_OPT_FLAG, offsetof(tag_args, dry_run), NULL, "print what would change; change nothing", 0 },
    { 0, "keep-mtime", SM_OPT_FLAG, offsetof(tag_args, keep_mtime), NULL, "the files' time of change stays", 0 },
    { 0, "undo", SM_OPT_FLAG, offsetof(tag_args, undo), NULL, "put back the bytes that the last `tag` replaced", 0 },
    { 0 }
};

/* ---- what is printed ---- */

typedef struct {
    sm_cli *cli;
    sm_buffer text; /* one file's JSON */
    sm_json json;
    const char *path; /* of the last line */
    bool lines, csv;
} printer;

static void print_line(printer *p, const char *path, const sm_tag_told *c)
{
    FILE *out = p->cli->out;
    if (!p->path || strcmp(p->path, path) != 0)
        fprintf(out, "%s\n", path);
    p->path = path;
    if (c->kept && !strcmp(c->where, "library"))
        fprintf(out,
                "    %-10s %s is not remembered: the library does not know this file; samplemind scan takes it in\n",
                c->field, c->after);
    else if (c->kept)
        fprintf(out, "    %-10s stays %s (--overwrite yes writes %s)\n", c->field, c->before, c->after);
    else
        fprintf(out, "    %-10s %s -> %s   [%s]\n", c->field, c->before ? c->before : "-", *c->after ? c->after : "-",
                c->where);
}

static void print_json(printer *p, const sm_tag_told *c)
{
    sm_json *j = &p->json;
    sm_json_begin_object(j);
    sm_json_key(j, "field");
    sm_json_string(j, c->field);
    sm_json_key(j, "where");
    sm_json_string(j, c->where);
    sm_json_key(j, "before");
    sm_json_string(j, c->before);
    sm_json_key(j, "after");
    sm_json_string(j, c->after);
    sm_json_key(j, "kept");
    sm_json_bool(j, c->kept);
    sm_json_end_object(j);
}

static void print_csv(printer *p, const char *path, const sm_tag_told *c)
{
    const char *const cells[] = { path, c->field, c->where, c->before ? c->before : "", c->after };
    for (size_t i = 0; i < SM_LENGTH(cells); i++) {
        sm_cli_csv(p->cli->out, cells[i]);
        fputc(',', p->cli->out);
    }
    fprintf(p->cli->out, "%d\n", c->kept != 0);
}

static void tell_change(void *user, const char *path, const sm_tag_told *c)
{
    printer *p = user;
    if (p->csv)
        print_csv(p, path, c);
    else if (p->lines)
        print_line(p, path, c);
    else
        print_json(p, c);
}

/* ---- one file ---- */

static void begin_file(printer *p, const char *path)
{
    p->text.length = 0;
    sm_json_init(&p->json, &p->text, false);
    sm_json_begin_object(&p->json);
    sm_record_write_path(&p->json, path);
    sm_json_key(&p->json, "changes");
    sm_json_begin_array(&p->json);
}

static int end_file(printer *p, bool first)
{
    sm_json_end_array(&p->json);
    sm_json_end_object(&p->json);
    if (p->text.failed)
        return SM_ENOMEM;
    const bool array = !strcmp(p->cli->common.format, "json");
    fprintf(p->cli->out, "%s%s", array ? (first ? "[\n" : ",\n") : "", p->text.data);
    if (!array)
        fputc('\n', p->cli->out);
    return sm_cli_flush(p->cli);
}

/* Nothing to do is no failure: the query found nothing, the folder is empty. */
static int all_files(sm_cli *cli, sm_tagger *t, const sm_strings *files, size_t problems)
{
    const char *format = cli->common.format;
    printer p = { .cli = cli, .csv = !strcmp(format, "csv") };
    p.lines = p.csv || !strcmp(format, "table");
    if (p.csv)
        fputs("path,field,where,before,after,kept\n", cli->out);
    size_t done = 0, failed = problems;
    int err = 0;
    for (size_t i = 0; err == 0 && i < files->length && !sm_cancelled(); i++) {
        begin_file(&p, files->items[i]);
        const int tagged = sm_tagger_file(t, files->items[i], tell_change, &p);
        if (tagged == SM_ENOMEM || tagged == SM_ECANCELLED)
            err = tagged;
        else if (tagged < 0) {
            sm_cli_error(cli, "%s", sm_last_error());
            failed++;
        } else {
            if (!p.lines)
                err = end_file(&p, done == 0);
            done++;
        }
    }
    if (!strcmp(cli->common.format, "json"))
        fputs(done > 0 ? "\n]\n" : "[]\n", cli->out);
    sm_buffer_free(&p.text);
    if (err == 0 && sm_cancelled())
        return SM_EXIT_INTERRUPTED;
    return err < 0 ? err : sm_exit_of_batch(done, failed);
}

/* ---- the run ---- */

static void tell_restored(void *user, const char *from, const char *to)
{
    const sm_cli *cli = user;
    (void)to;
    if (!cli->common.quiet)
        fprintf(cli->out, "%s\n", from);
}

static void tell_problem(void *user, const char *path, const char *reason)
{
    (void)path;
    sm_cli_error(user, "%s", reason);
}

static int undo(sm_cli *cli, const char *library)
{
    sm_moves m = { .told = tell_restored, .problem = tell_problem, .user = cli };
    const int err = sm_tag_undo(library, &m);
    if (err < 0)
        return err;
    sm_cli_warn(cli, "%zu file%s as before", m.moved, m.moved == 1 ? " is" : "s are");
    return sm_exit_of_batch(m.moved, m.failed);
}

static char *joined(const sm_strings *list)
{
    sm_buffer text = { 0 };
    sm_buffer_text(&text, "");
    for (size_t i = 0; i < list->length; i++)
        sm_buffer_printf(&text, "%s%s", i ? "," : "", list->items[i]);
    if (text.failed)
        sm_buffer_free(&text);
    return text.data;
}

static int open_tagger(sm_cli *cli, const tag_args *a, const char *library, const char *models, const char *fields,
                       sm_tagger **out)
{
    const bool words = a->add.length + a->remove.length > 0;
    sm_tagger_options o;
    sm_tagger_options_init(&o);
    o.library = library;
    o.models = models;
    o.fields = a->only.length ? fields : NULL;
    o.measured = !a->no_measured && !(words && a->set.length == 0 && a->only.length == 0);
    o.set = (const char *const *)a->set.items;
    o.n_set = a->set.length;
    o.unset = (const char *const *)a->unset.items;
    o.n_unset = a->unset.length;
    o.in_library = a->in_library;
    o.add = (const char *const *)a->add.items;
    o.n_add = a->add.length;
    o.remove = (const char *const *)a->remove.items;
    o.n_remove = a->remove.length;
    o.least_confidence = a->least;
    o.bpm_decimals = (int)a->decimals;
    o.overwrite = !strcmp(cli->common.overwrite, "yes");
    o.dry_run = a->dry_run;
    o.keep_mtime = a->keep_mtime;
    return sm_tagger_open(&o, out);
}

static int tag_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const tag_args *a = args;
    sm_strings files = { 0 };
    sm_tagger *t = NULL;
    size_t problems = 0;
    char *library = sm_library_path(cli->common.library), *models = joined(&cli->common.models),
         *fields = joined(&a->only);
    int err = library && models && fields ? 0 : SM_ENOMEM;
    if (err == 0 && (a->undo || (n == 1 && !strcmp(operands[0], "undo")))) {
        err = undo(cli, library);
        goto out;
    }
    if (err == 0 && n == 0 && !a->where)
        err = sm_cli_usage(cli, "tag needs FILE|DIR|@LIST|-, --where QUERY, or --undo");
    if (err == 0 && a->in_library && a->set.length + a->unset.length + a->add.length + a->remove.length == 0)
        err = sm_cli_usage(cli, "--in-library keeps your word; say it with --set, --unset, --add or --remove");
    if (err == 0)
        err = open_tagger(cli, a, library, cli->common.no_models || cli->common.models.length ? models : NULL, fields,
                          &t);
    if (err == 0)
        err = sm_cli_sounds(cli, operands, n, a->where, &files, &problems);
    sm_cancel_install();
    if (err == 0)
        err = all_files(cli, t, &files, problems);
out:
    sm_tagger_close(t);
    sm_strings_free(&files);
    sm_free(library);
    sm_free(models);
    sm_free(fields);
    return err;
}

const sm_command sm_cmd_tag = {
    .name = "tag",
    .summary = "correct what is known of sounds, and write it into their files",
    .description =
        "Writes what is known of each file into it: chunks acid, smpl, inst, LIST INFO and id3 of wav, ID3 of aiff and "
        "mp3, comments of\n"
        "flac and Ogg. The library says what is known, your own word (--set) first; other files are analysed now. "
        "Fields "
        "that have a value\n"
        "stay, but with --overwrite yes or --set. The audio keeps every bit: that is checked before a new file takes "
        "the "
        "old one's place.\n"
        "The library's journal keeps the old bytes for --undo.",
    .operands = "[FILE|DIR|@LIST|-]...",
    .paths = true,
    .options = tag_options,
    .common = SM_COMMON_FORMAT | SM_COMMON_LIBRARY | SM_COMMON_OVERWRITE | SM_COMMON_MODELS,
    .examples =
        (const sm_example[]){ { "samplemind tag ~/Samples --dry-run", "what would be written where" },
                              { "samplemind tag loop.wav --set bpm=174 --set key=Am", "your word counts" },
                              { "samplemind tag rim.wav --set instrument=rim --in-library",
                                "the classifier was wrong; the file stays as it is" },
                              { "samplemind tag --where 'kick name:techno' --set genre=techno", "what a search finds" },
                              { "samplemind tag kicks/ --only acid,smpl --keep-mtime", "for samplers" },
                              { "samplemind tag --undo", "all bytes as they were" },
                              { 0 } },
    .args_size = sizeof(tag_args),
    .defaults = &(const tag_args){ .least = 0.5 },
    .run = tag_run,
};
