/* collection: sounds that belong together, by a name. */
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

typedef struct {
    const char *where;
} collection_args;

static const sm_option change_options[] = { SM_OPTION_WHERE(collection_args), { 0 } };

typedef struct {
    const char *name;
    bool in;
} change_job;

static int change(void *user, sm_library *l, const char *path)
{
    const change_job *job = user;
    return sm_library_collect(l, job->name, path, job->in);
}

static int change_run(sm_cli *cli, const collection_args *a, char *const *operands, size_t n, bool in)
{
    change_job job = { operands[0], in };
    sm_strings paths = { 0 }, files = { 0 };
    size_t problems = 0;
    if (n == 1 && !a->where)
        return sm_cli_usage(cli, "which sounds? FILE|DIR|@LIST|-, or --where QUERY");
    int err = sm_cli_expand(operands + 1, n - 1, &paths);
    if (err == 0)
        err = sm_cli_sounds(cli, paths.items, paths.length, a->where, &files, &problems);
    if (err == 0)
        err = sm_cli_change(cli, &files, problems, change, &job, in ? "in it" : "taken out");
    sm_strings_free(&paths);
    sm_strings_free(&files);
    return err;
}

static int add_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    return change_run(cli, args, operands, n, true);
}

static int remove_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    return change_run(cli, args, operands, n, false);
}

static const sm_command add = { .name = "add",
                                .summary = "put sounds into a collection, which is made when it is new",
                                .operands = "NAME [FILE|DIR|@LIST|-]...",
                                .least_operands = 1,
                                .options = change_options,
                                .common = SM_COMMON_LIBRARY,
                                .args_size = sizeof(collection_args),
                                .run = add_run };
static const sm_command remove_some = { .name = "remove",
                                        .summary = "take sounds out of a collection",
                                        .operands = "NAME [FILE|DIR|@LIST|-]...",
                                        .least_operands = 1,
                                        .options = change_options,
                                        .common = SM_COMMON_LIBRARY,
                                        .args_size = sizeof(collection_args),
                                        .run = remove_run };

/* ---- deleting ---- */

static int delete_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    sm_library *l = NULL;
    (void)args;
    (void)n;
    int err = sm_library_open(cli->common.library, SM_LIBRARY_WRITE, &l);
    if (err == 0)
        err = sm_library_collection_remove(l, operands[0]);
    sm_library_close(l);
    return err;
}

static const sm_command delete_all = { .name = "delete",
                                       .summary = "forget a collection; its sounds stay",
                                       .operands = "NAME",
                                       .least_operands = 1,
                                       .most_operands = 1,
                                       .common = SM_COMMON_LIBRARY,
                                       .run = delete_run };

/* ---- listing ---- */

typedef struct {
    sm_cli *cli;
    sm_table *table;
    sm_buffer text;
    sm_json json;
    bool lines;
} name_list;

static int list_name(void *user, const char *name, int64_t sounds)
{
    name_list *l = user;
    if (l->table) {
        sm_table_text(l->table, name);
        sm_table_number(l->table, (double)sounds, 0);
        return 0;
    }
    if (!strcmp(l->cli->common.format, "csv")) {
        sm_cli_csv(l->cli->out, name);
        fprintf(l->cli->out, ",%lld\n", (long long)sounds);
        return 0;
    }
    if (l->lines)
        sm_json_init(&l->json, &l->text, false);
    sm_json_begin_object(&l->json);
    sm_json_key(&l->json, "collection");
    sm_json_string(&l->json, name);
    sm_json_key(&l->json, "sounds");
    sm_json_int(&l->json, sounds);
    sm_json_end_object(&l->json);
    if (l->lines)
        sm_buffer_text(&l->text, "\n");
    return 0;
}

static int list_names(sm_cli *cli, sm_library *library)
{
    static const char *const headings[] = { "collection", "sounds" };
    const char *format = cli->common.format;
    name_list l = { .cli = cli, .lines = !strcmp(format, "jsonl") };
    int err = !strcmp(format, "table") ? sm_table_new(headings, SM_LENGTH(headings), &l.table) : 0;
    if (!strcmp(format, "csv"))
        fputs("collection,sounds\n", cli->out);
    if (!strcmp(format, "json")) {
        sm_json_init(&l.json, &l.text, false);
        sm_json_begin_array(&l.json);
    }
    if (err == 0)
        err = sm_library_each_collection(library, list_name, &l);
    if (!strcmp(format, "json")) {
        sm_json_end_array(&l.json);
        sm_buffer_text(&l.text, "\n");
    }
    if (err == 0 && l.table)
        err = sm_table_print(l.table, cli->out);
    sm_table_free(l.table);
    return err < 0 ? err : sm_cli_put(cli, &l.text);
}

static int print_path(void *user, const char *path)
{
    sm_cli *cli = user;
    fprintf(cli->out, "%s\n", path);
    return 0;
}

static int list_files(sm_cli *cli, sm_library *library, const char *name)
{
    if (strchr(name, '"')) /* no name has one */
        return sm_fail(SM_ENOTFOUND, "there is no collection \"%s\"", name);
    char *query = sm_printf_new("collection:\"%s\"", name);
    const int err = query ? sm_library_each_found(library, query, print_path, cli) : SM_ENOMEM;
    sm_free(query);
    return err;
}

static int list_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    sm_library *l = NULL;
    (void)args;
    int err = sm_cli_open_library(cli, &l);
    if (err == 0)
        err = n == 0 ? list_names(cli, l) : list_files(cli, l, operands[0]);
    sm_library_close(l);
    return err;
}

static const sm_command list = { .name = "list",
                                 .summary = "print the collections, or the paths of one",
                                 .operands = "[NAME]",
                                 .most_operands = 1,
                                 .common = SM_COMMON_LIBRARY | SM_COMMON_FORMAT,
                                 .run = list_run };

static const sm_command *const subcommands[] = { &add, &delete_all, &list, &remove_some, NULL };

const sm_command sm_cmd_collection = {
    .name = "collection",
    .summary = "keep sounds together by a name: for a track, a kit, a client",
    .description =
        "A collection holds sounds, not files: copies belong to it too, and it stays whole when files are moved, "
        "renamed or tagged.\n`search 'in:\"Track 7\"'` looks within it, and `export --where` hands it on.",
    .examples =
        (const sm_example[]){ { "samplemind collection add 'Track 7' kick.wav pads/", "is made when it is new" },
                              { "samplemind collection add Kit --where 'kick dark length:<1s'", "what a search finds" },
                              { "samplemind search 'in:Kit bpm:120..130'", "within it" },
                              { "samplemind export --where in:Kit --as m3u8 --name Kit -o kit.m3u8", "as a playlist" },
                              { 0 } },
    .subcommands = subcommands,
};
