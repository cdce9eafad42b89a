/* stats: what a library has. */
#include <jansson.h>
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

static double number(const json_t *stats, const char *name)
{
    return json_number_value(json_object_get(stats, name));
}

typedef struct {
    bool check;
} stats_args;

static const sm_option stats_options[] = {
    { 0, "check", SM_OPT_FLAG, offsetof(stats_args, check), NULL,
      "look through the whole database instead; the exit status is 1 when something in it does not hold", 0 },
    { 0 }
};

typedef struct {
    sm_cli *cli;
    size_t n;
} checking;

static int on_sentence(void *user, const char *sentence)
{
    checking *c = user;
    c->n++;
    fprintf(c->cli->out, "%s\n", sentence);
    return 0;
}

static int check(sm_cli *cli, sm_library *l)
{
    checking c = { cli, 0 };
    const int err = sm_library_check(l, on_sentence, &c);
    if (err < 0)
        return err;
    if (c.n == 0)
        fputs("all is well\n", cli->out);
    return c.n > 0 ? SM_EXIT_FAILED : 0;
}

/* "kick 12, snare 9, ..." */
static void print_classes(FILE *out, const json_t *stats, const char *name)
{
    enum { SHOWN = 12 };
    const char *value;
    json_t *n, *classes = json_object_get(stats, name);
    size_t i = 0;
    if (json_object_size(classes) == 0)
        return;
    fprintf(out, "%-12s", name);
    json_object_foreach(classes, value, n)
    {
        if (i++ == SHOWN) {
            fprintf(out, ", and %zu more", json_object_size(classes) - SHOWN);
            break;
        }
        fprintf(out, "%s%s %lld", i > 1 ? ", " : "", value, (long long)json_integer_value(n));
    }
    fputc('\n', out);
}

static void print_table(FILE *out, const json_t *stats)
{
    static const char *const classes[] = { "kind", "instrument", "genre", "mood", "key" };
    size_t i;
    const json_t *row;
    fprintf(out, "%-12s%s\n", "library", json_string_value(json_object_get(stats, "library")));
    json_array_foreach(json_object_get(stats, "scanned"), i, row)
        fprintf(out, "%-12s%s\n", i == 0 ? "scanned" : "", json_string_value(row));
    fprintf(out, "%-12s%.0f in %.0f folders, %.1f MB: %.0f analysed, %.0f waiting, %.0f broken; %.0f gone\n", "files",
            number(stats, "files"), number(stats, "folders"), number(stats, "file_bytes") / 1e6,
            number(stats, "analysed"), number(stats, "waiting"), number(stats, "broken"), number(stats, "gone"));
    fprintf(out, "%-12s%.0f, %.1f h\n", "sounds", number(stats, "sounds"), number(stats, "duration_s") / 3600);
    fprintf(out, "%-12s%.0f tags, %.0f corrections, %.0f favourites, %.0f collections\n", "yours",
            number(stats, "tags"), number(stats, "corrections"), number(stats, "favourites"),
            number(stats, "collections"));
    fprintf(out, "%-12s%.1f MB\n", "database", number(stats, "database_bytes") / 1e6);
    for (i = 0; i < SM_LENGTH(classes); i++)
        print_classes(out, stats, classes[i]);
    json_array_foreach(json_object_get(stats, "models"), i, row)
        fprintf(out, "%-12s%s (%s), %.0f sounds\n", i == 0 ? "models" : "",
                json_string_value(json_object_get(row, "model")), json_string_value(json_object_get(row, "weights")),
                number(row, "sounds"));
    json_array_foreach(json_object_get(stats, "spaces"), i, row)
        fprintf(out, "%-12s%s, %.0f dimensions, %.0f sounds\n", i == 0 ? "spaces" : "",
                json_string_value(json_object_get(row, "space")), number(row, "dims"), number(row, "sounds"));
}

static int print_stats(sm_cli *cli, sm_library *l)
{
    const char *text = NULL;
    int err = sm_library_stats(l, &text);
    if (err < 0)
        return err;
    if (strcmp(cli->common.format, "table") != 0) {
        fprintf(cli->out, "%s\n", text);
        return 0;
    }
    json_t *stats = json_loads(text, 0, NULL);
    if (!stats)
        return sm_fail(SM_ENOMEM, "no memory for the figures");
    print_table(cli->out, stats);
    json_decref(stats);
    return 0;
}

static int stats_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const stats_args *a = args;
    sm_library *l = NULL;
    char *path = sm_library_path(cli->common.library);
    int err = path ? sm_library_open(path, SM_LIBRARY_READ, &l)
                   : sm_fail(SM_ENOTFOUND, "no home folder is known; name the library with --library");
    (void)operands;
    (void)n;
    if (err == 0)
        err = a->check ? check(cli, l) : print_stats(cli, l);
    sm_library_close(l);
    sm_free(path);
    return err;
}

const sm_command sm_cmd_stats = {
    .name = "stats",
    .summary = "what the library has: files, sounds, classes, models, sizes",
    .options = stats_options,
    .common = SM_COMMON_FORMAT | SM_COMMON_LIBRARY,
    .examples = (const sm_example[]){ { "samplemind stats --json", "as one object" }, { 0 } },
    .args_size = sizeof(stats_args),
    .run = stats_run,
};
