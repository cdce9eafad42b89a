/* dupes: files that are the same, and which of them to keep. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "library/library.h"

typedef struct {
    const char *level, *keep, *move_to, *where;
    double least;
    bool plan, undo;
} dupes_args;

static const char *const level_names[] = { "bytes", "audio", "sound", "variant" };
static const char *const keep_names[] = { "best", "oldest", "newest", "largest", "smallest", "shortest-path" };

static const sm_option dupes_options[] = {
    { 'l', "level", SM_OPT_CHOICE, offsetof(dupes_args, level), "bytes|audio|sound|variant",
      "how alike: same bytes, same samples, same recording, or much alike (default: sound)", 0 },
    { 'k', "keep", SM_OPT_CHOICE, offsetof(dupes_args, keep), "best|oldest|newest|largest|smallest|shortest-path",
      "which of a group is kept (default: best)", 0 },
    { 0, "least", SM_OPT_NUMBER, offsetof(dupes_args, least), "0..1",
      "smallest correlation of waveforms that proves the same recording (default: 0.85)", 0 },
    SM_OPTION_WHERE(dupes_args),
    { 0, "plan", SM_OPT_FLAG, offsetof(dupes_args, plan), NULL,
      "with --move-to: print what would be moved; change nothing", 0 },
    { 0, "move-to", SM_OPT_PATH, offsetof(dupes_args, move_to), "DIR",
      "move all but the kept ones below DIR, in the folders that they lay in", 0 },
    { 0, "undo", SM_OPT_FLAG, offsetof(dupes_args, undo), NULL, "take the last --move-to back", 0 },
    { 0 }
};

static size_t place_of(const char *name, const char *const *names, size_t n)
{
    size_t i = 0;
    while (i + 1 < n && strcmp(names[i], name) != 0)
        i++;
    return i;
}

/* ---- what is printed ---- */

static void json_file(sm_json *j, const sm_dupe_file *f)
{
    sm_json_begin_object(j);
    sm_record_write_path(j, f->path);
    sm_json_key(j, "keep");
    sm_json_bool(j, !f->like);
    sm_json_key(j, "file_bytes");
    sm_json_int(j, f->bytes);
    sm_json_key(j, "duration_s");
    sm_json_f32(j, f->duration_s);
    sm_json_key(j, "container");
    sm_json_string(j, *f->container ? f->container : NULL);
    sm_json_key(j, "codec");
    sm_json_string(j, *f->codec ? f->codec : NULL);
    sm_json_key(j, "sample_rate_hz");
    sm_json_int(j, f->sample_rate_hz);
    sm_json_key(j, "channels");
    sm_json_int(j, f->channels);
    sm_json_key(j, "bit_depth");
    sm_json_int(j, f->bit_depth);
    if (f->like) {
        sm_json_key(j, "like");
        sm_json_string(j, f->like);
        sm_json_key(j, "level");
        sm_json_string(j, level_names[f->level]);
        sm_json_key(j, "similarity");
        sm_json_f32(j, f->similarity);
        sm_json_key(j, "correlation");
        sm_json_f32(j, f->correlation);
        sm_json_key(j, "offset_s");
        sm_json_f32(j, f->offset_s);
        sm_json_key(j, "gain_db");
        sm_json_f32(j, f->gain_db);
    }
    sm_json_end_object(j);
}

static int64_t bytes_to_free(const sm_dupes *d)
{
    int64_t sum = 0;
    for (size_t i = 0, n = 0; i < sm_dupes_groups(d); i++) {
        const sm_dupe_file *f = sm_dupes_group(d, i, &n);
        for (size_t k = 1; k < n; k++)
            sum += f[k].bytes;
    }
    return sum;
}

static int print_json(sm_cli *cli, const sm_dupes *d)
{
    sm_buffer text = { 0 };
    const bool lines = !strcmp(cli->common.format, "jsonl");
    sm_json j;
    sm_buffer_text(&text, "");
    sm_json_init(&j, &text, false);
    if (!lines) {
        sm_json_begin_object(&j);
        sm_json_key(&j, "files");
        sm_json_int(&j, (int64_t)sm_dupes_files(d));
        sm_json_key(&j, "bytes_to_free");
        sm_json_int(&j, bytes_to_free(d));
        sm_json_key(&j, "groups");
        sm_json_begin_array(&j);
    }
    for (size_t i = 0, n = 0; i < sm_dupes_groups(d); i++) {
        const sm_dupe_file *f = sm_dupes_group(d, i, &n);
        sm_json_begin_array(&j);
        for (size_t k = 0; k < n; k++)
            json_file(&j, &f[k]);
        sm_json_end_array(&j);
        if (lines) {
            sm_buffer_text(&text, "\n");
            sm_json_init(&j, &text, false);
        }
    }
    if (!lines) {
        sm_json_end_array(&j);
        sm_json_end_object(&j);
        sm_buffer_text(&text, "\n");
    }
    return sm_cli_put(cli, &text);
}

/* "wav pcm_s16, 44100 Hz, 2 channels, 1.234 s" */
static void describe(const sm_dupe_file *f, char out[128])
{
    if (!*f->container)
        snprintf(out, 128, "%lld bytes", (long long)f->bytes);
    else
        snprintf(out, 128, "%s %s, %d Hz, %d channel%s, %.3f s", f->container, f->codec, f->sample_rate_hz, f->channels,
                 f->channels == 1 ? "" : "s", f->duration_s);
}

static void print_groups(sm_cli *cli, const sm_dupes *d)
{
    size_t others = 0;
    for (size_t i = 0, n = 0; i < sm_dupes_groups(d); i++) {
        const sm_dupe_file *f = sm_dupes_group(d, i, &n);
        others += n - 1;
        for (size_t k = 0; k < n; k++) {
            char words[128];
            describe(&f[k], words);
            fprintf(cli->out, "%s %s\n         %s", k == 0 ? "keep    " : "        ", f[k].path, words);
            if (k > 0 && isfinite(f[k].correlation))
                fprintf(cli->out, "; %s, similarity %.3f, correlation %.3f, %+.1f dB", level_names[f[k].level],
                        f[k].similarity, f[k].correlation, f[k].gain_db + 0.0);
            else if (k > 0)
                fprintf(cli->out, "; same %s", level_names[f[k].level]);
            fputc('\n', cli->out);
        }
        fputc('\n', cli->out);
    }
    fprintf(cli->out, "%zu files compared: %zu in %zu groups are not needed, %.1f MB\n", sm_dupes_files(d), others,
            sm_dupes_groups(d), (double)bytes_to_free(d) / 1e6);
}

static void print_csv(sm_cli *cli, const sm_dupes *d)
{
    fputs("group,keep,path,level,similarity,correlation,gain_db,file_bytes,duration_s\n", cli->out);
    for (size_t i = 0, n = 0; i < sm_dupes_groups(d); i++) {
        const sm_dupe_file *f = sm_dupes_group(d, i, &n);
        for (size_t k = 0; k < n; k++) {
            char numbers[3][32] = { "", "", "" };
            fprintf(cli->out, "%zu,%d,", i + 1, k == 0);
            sm_cli_csv(cli->out, f[k].path);
            sm_format_f32((float)f[k].similarity, numbers[0]);
            if (isfinite(f[k].correlation)) {
                sm_format_f32((float)f[k].correlation, numbers[1]);
                sm_format_f32((float)f[k].gain_db, numbers[2]);
            }
            fprintf(cli->out, ",%s,%s,%s,%s,%lld,", k ? level_names[f[k].level] : "", k ? numbers[0] : "", numbers[1],
                    numbers[2], (long long)f[k].bytes);
            if (isfinite(f[k].duration_s))
                fprintf(cli->out, "%.6g", f[k].duration_s);
            fputc('\n', cli->out);
        }
    }
}

static int print(sm_cli *cli, const sm_dupes *d)
{
    if (!strcmp(cli->common.format, "table"))
        print_groups(cli, d);
    else if (!strcmp(cli->common.format, "csv"))
        print_csv(cli, d);
    else
        return print_json(cli, d);
    return 0;
}

/* ---- moving ---- */

static void tell_move(void *user, const char *from, const char *to)
{
    const sm_cli *cli = user;
    if (!cli->common.quiet)
        fprintf(cli->out, "%s -> %s\n", from, to);
}

static void tell_problem(void *user, const char *path, const char *reason)
{
    sm_cli_error(user, "%s: %s", path, reason);
}

static int after_moves(sm_cli *cli, int err, const sm_moves *m, const char *done)
{
    if (err < 0)
        return err;
    sm_cli_warn(cli, "%zu file%s %s", m->moved, m->moved == 1 ? "" : "s", done);
    return sm_exit_of_batch(m->moved, m->failed);
}

/* ---- the run ---- */

static int bar_moves(void *user, const sm_progress_info *p)
{
    sm_progress_set_total(user, p->total);
    sm_progress_set(user, p->done);
    return sm_cancelled();
}

/* Whether `path` lies below `folder`; files that were moved away before are not looked at again. */
static bool is_below(const char *path, const char *folder)
{
    const size_t n = folder ? strlen(folder) : 0;
    return n > 0 && !strncmp(path, folder, n) && (path[n] == '/' || folder[n - 1] == '/');
}

static int collect(sm_cli *cli, const dupes_args *a, char *const *operands, size_t n, sm_strings *files,
                   size_t *problems)
{
    sm_strings all = { 0 };
    int err = sm_cli_sounds(cli, operands, n, a->where, &all, problems);
    for (size_t i = 0; i < all.length && err == 0; i++)
        if (!is_below(all.items[i], a->move_to))
            err = sm_strings_add(files, all.items[i]);
    sm_strings_free(&all);
    return err;
}

/* Whether there is a library whose fingerprints can help; one that was named must be there. */
static bool has_library(const sm_cli *cli, const char *library)
{
    struct stat st;
    char *file = sm_printf_new("%s/library.db", library);
    const bool there = file && stat(file, &st) == 0;
    sm_free(file);
    return there || cli->common.library;
}

static int find(sm_cli *cli, const dupes_args *a, const char *library, const sm_strings *files, sm_dupes **out)
{
    sm_dupes_options o;
    sm_progress *bar = NULL;
    int err = sm_progress_new(cli, "dupes", 0, "files", &bar);
    sm_dupes_options_init(&o);
    o.level = (sm_dupe_level)place_of(a->level, level_names, SM_LENGTH(level_names));
    o.keep = (sm_keep_rule)place_of(a->keep, keep_names, SM_LENGTH(keep_names));
    o.least_correlation = a->least;
    o.library = files->length == 0 || has_library(cli, library) ? library : NULL;
    o.jobs = (int)SM_MIN(cli->common.jobs, 1024);
    o.progress = bar_moves;
    o.user = bar;
    sm_cancel_install();
    if (err == 0)
        err = sm_dupes_find(&o, (const char *const *)files->items, files->length, out);
    sm_progress_free(bar);
    return err;
}

static int dupes_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const dupes_args *a = args;
    sm_moves moves = { .told = tell_move, .problem = tell_problem, .user = cli };
    sm_strings files = { 0 };
    sm_dupes *d = NULL;
    size_t problems = 0;
    char *library = sm_library_path(cli->common.library);
    int err = library ? 0 : SM_ENOMEM;
    if (err == 0 && a->undo) {
        err = after_moves(cli, sm_moves_undo(library, "dupes", &moves), &moves, "moved back");
        goto out;
    }
    if (err == 0 && a->plan && !a->move_to)
        err = sm_cli_usage(cli, "--plan shows what --move-to DIR would do; without it nothing is changed anyway");
    if (err == 0)
        err = collect(cli, a, operands, n, &files, &problems);
    if (err == 0 && (n > 0 || a->where) && files.length == 0) {
        if (!a->where)
            sm_cli_warn(cli, "no sounds there");
        err = problems > 0 ? SM_EXIT_FAILED : 0;
        goto out;
    }
    if (err == 0)
        err = find(cli, a, library, &files, &d);
    for (size_t i = 0; err == 0 && sm_dupes_problem(d, i); i++, problems++)
        sm_cli_error(cli, "%s", sm_dupes_problem(d, i));
    if (err == 0 && a->move_to)
        err = after_moves(cli, sm_dupes_move(d, library, a->move_to, a->plan, &moves), &moves, "moved");
    else if (err == 0)
        err = print(cli, d);
    if (err == 0 && problems > 0)
        err = sm_exit_of_batch(sm_dupes_files(d), problems);
out:
    sm_dupes_free(d);
    sm_strings_free(&files);
    sm_free(library);
    return err;
}

const sm_command sm_cmd_dupes = {
    .name = "dupes",
    .summary = "find files that are the same sound, and say which to keep",
    .description =
        "Compares files, or without any the whole library: the same bytes; the same samples in another container or "
        "with "
        "other tags; the\n"
        "same recording in another format, at another rate or level, or with silence around it (its waveforms are held "
        "against each other); or\n"
        "sounds that are much alike. Of each group the file that is worth keeping comes first. Nothing is ever "
        "deleted; "
        "--move-to moves, and\n"
        "--undo takes that back. Fingerprints of a library that was scanned are used, so that its files need not be "
        "read "
        "again.",
    .operands = "[FILE|DIR|@LIST|-]...",
    .paths = true,
    .options = dupes_options,
    .common = SM_COMMON_JOBS | SM_COMMON_FORMAT | SM_COMMON_PROGRESS | SM_COMMON_LIBRARY,
    .examples =
        (const sm_example[]){ { "samplemind dupes ~/Samples", "groups of the same sound, the one to keep first" },
                              { "samplemind dupes --level bytes --json", "of the whole library, only exact copies" },
                              { "samplemind dupes ~/Samples --move-to ~/Doubles --plan", "what would be moved" },
                              { "samplemind dupes --undo", "moves the files back" },
                              { 0 } },
    .args_size = sizeof(dupes_args),
    .defaults = &(const dupes_args){ .level = "sound", .keep = "best" },
    .run = dupes_run,
};
