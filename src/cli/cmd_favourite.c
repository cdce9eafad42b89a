/* favourite: sounds that are liked best. */
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

typedef struct {
    const char *where;
    bool remove, list;
} favourite_args;

static const sm_option favourite_options[] = {
    SM_OPTION_WHERE(favourite_args),
    { 0, "remove", SM_OPT_FLAG, offsetof(favourite_args, remove), NULL, "they are favourites no more", 0 },
    { 0, "list", SM_OPT_FLAG, offsetof(favourite_args, list), NULL, "print the paths of all, one a line", 0 },
    { 0 }
};

static int change(void *user, sm_library *l, const char *path)
{
    const favourite_args *a = user;
    return sm_library_favourite(l, path, !a->remove);
}

static int print_path(void *user, const char *path)
{
    sm_cli *cli = user;
    fprintf(cli->out, "%s\n", path);
    return 0;
}

static int list(sm_cli *cli)
{
    sm_library *l = NULL;
    int err = sm_cli_open_library(cli, &l);
    if (err == 0)
        err = sm_library_each_found(l, "favourite:yes", print_path, cli);
    sm_library_close(l);
    return err;
}

static int favourite_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    favourite_args a = *(const favourite_args *)args;
    sm_strings files = { 0 };
    size_t problems = 0;
    if (a.list)
        return list(cli);
    if (n == 0 && !a.where)
        return sm_cli_usage(cli, "favourite needs FILE|DIR|@LIST|-, --where QUERY, or --list");
    int err = sm_cli_sounds(cli, operands, n, a.where, &files, &problems);
    if (err == 0)
        err = sm_cli_change(cli, &files, problems, change, &a,
                            a.remove            ? "no favourite any more"
                            : files.length == 1 ? "is a favourite"
                                                : "are favourites");
    sm_strings_free(&files);
    return err;
}

const sm_command sm_cmd_favourite = {
    .name = "favourite",
    .summary = "mark sounds as favourites, and list them",
    .description =
        "The mark belongs to the sound: its copies have it too, and it stays when a file is moved, renamed or "
        "tagged. `search fav:yes`\nfinds favourites, together with anything else that is asked.",
    .operands = "[FILE|DIR|@LIST|-]...",
    .paths = true,
    .options = favourite_options,
    .common = SM_COMMON_LIBRARY,
    .examples = (const sm_example[]){ { "samplemind favourite kick.wav snare.wav", "from now on" },
                                      { "samplemind search 'fav:yes bass bpm:120..130'", "among favourites" },
                                      { "samplemind favourite --remove --where 'fav:yes name:old'", "not any more" },
                                      { "samplemind export --where fav:yes --as m3u8 -o best.m3u8", "as a playlist" },
                                      { 0 } },
    .args_size = sizeof(favourite_args),
    .run = favourite_run,
};
