/* rename: names made of what is known. */
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

typedef struct {
    const char *pattern, *where;
    bool dry_run, undo;
} rename_args;

static const sm_option rename_options[] = {
    { 'p', "pattern", SM_OPT_STRING, offsetof(rename_args, pattern), "PATTERN",
      "{name} and any field in braces (default: {bpm}_{key}_{instrument}_{name})", 0 },
    SM_OPTION_WHERE(rename_args),
    { 'n', "dry-run", SM_OPT_FLAG, offsetof(rename_args, dry_run), NULL, "print the new names; change nothing", 0 },
    { 0, "undo", SM_OPT_FLAG, offsetof(rename_args, undo), NULL, "give the files of the last `rename` their names back",
      0 },
    { 0 }
};

static void tell_move(void *user, const char *from, const char *to)
{
    const sm_cli *cli = user;
    if (!cli->common.quiet)
        fprintf(cli->out, "%s -> %s\n", from, sm_path_name(to));
}

static void tell_problem(void *user, const char *path, const char *reason)
{
    sm_cli_error(user, "%s: %s", path, reason);
}

static int rename_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const rename_args *a = args;
    sm_moves m = { .told = tell_move, .problem = tell_problem, .user = cli };
    sm_strings files = { 0 };
    size_t problems = 0;
    char *library = sm_library_path(cli->common.library);
    int err = library ? 0 : SM_ENOMEM;
    if (err == 0 && !a->undo && n == 0 && !a->where)
        err = sm_cli_usage(cli, "rename needs FILE|DIR|@LIST|-, --where QUERY, or --undo");
    if (err == 0 && !a->undo)
        err = sm_cli_sounds(cli, operands, n, a->where, &files, &problems);
    if (err == 0 && a->undo)
        err = sm_moves_undo(library, "rename", &m);
    else if (err == 0)
        err = sm_rename_files(library, cli->common.no_models ? "" : NULL, a->pattern, (const char *const *)files.items,
                              files.length, a->dry_run, &m);
    if (err == 0 && !a->dry_run)
        sm_cli_warn(cli, "%zu file%s renamed", m.moved, m.moved == 1 ? "" : "s");
    if (err == 0)
        err =
            sm_exit_of_batch(a->dry_run ? files.length - SM_MIN(m.failed, files.length) : m.moved, m.failed + problems);
    sm_strings_free(&files);
    sm_free(library);
    return err;
}

const sm_command sm_cmd_rename = {
    .name = "rename",
    .summary = "give files names made of what is known of them",
    .description = "The ending stays, and so does the folder. What is not known of a file is left out of its name "
                   "together with the "
                   "separator behind it.\nNo file is ever replaced; --undo gives the old names back.",
    .operands = "[FILE|DIR|@LIST|-]...",
    .paths = true,
    .options = rename_options,
    .common = SM_COMMON_LIBRARY | SM_COMMON_MODELS,
    .examples = (const sm_example[]){ { "samplemind rename loops/ --dry-run", "128_Am_bass_old name.wav" },
                                      { "samplemind rename loops/ -p '{name} {bpm}bpm {key}'", "another pattern" },
                                      { "samplemind rename --where 'in:Kit' -p 'Kit {instrument} {name}' -n",
                                        "what a search finds" },
                                      { "samplemind rename --undo", "the old names" },
                                      { 0 } },
    .args_size = sizeof(rename_args),
    .defaults = &(const rename_args){ .pattern = "{bpm}_{key}_{instrument}_{name}" },
    .run = rename_run,
};
