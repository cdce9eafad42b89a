/* similar: the sounds of the library that are nearest to one. */
#include <math.h>
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

typedef struct {
    int64_t limit;
    const char *by, *space, *where;
    bool exact;
} similar_args;

static const sm_option similar_options[] = {
    { 'n', "limit", SM_OPT_INT, offsetof(similar_args, limit), "1..1000000", "how many (default: 10)", 0 },
    { 'b', "by", SM_OPT_STRING, offsetof(similar_args, by), "ASPECT=WEIGHT,..",
      "what counts: overall, timbre, pitch, envelope, rhythm (default: overall=1)", 0 },
    { 'w', "where", SM_OPT_STRING, offsetof(similar_args, where), "QUERY", "only sounds that this query finds", 0 },
    { 0, "space", SM_OPT_STRING, offsetof(similar_args, space), "MODEL",
      "whose embedding is compared (default: that of the classifier that ships)", 0 },
    { 0, "exact", SM_OPT_FLAG, offsetof(similar_args, exact), NULL,
      "compare with every sound, also in very large libraries", 0 },
    { 0 }
};

static void json_number(sm_json *j, const char *key, double value)
{
    sm_json_key(j, key);
    sm_json_f32(j, value);
}

static void json_sound(sm_json *j, const sm_similar_sound *s)
{
    sm_json_begin_object(j);
    sm_record_write_path(j, s->path);
    sm_json_key(j, "id");
    sm_json_int(j, s->id);
    json_number(j, "distance", s->distance);
    json_number(j, "similarity", s->similarity);
    json_number(j, "overall", s->overall);
    json_number(j, "timbre", s->timbre);
    json_number(j, "pitch", s->pitch);
    json_number(j, "envelope", s->envelope);
    json_number(j, "rhythm", s->rhythm);
    sm_json_end_object(j);
}

static int print_json(sm_cli *cli, const char *path, const sm_similar_list *list)
{
    const bool lines = !strcmp(cli->common.format, "jsonl");
    sm_buffer text = { 0 };
    size_t n;
    const sm_similar_sound *sounds = sm_similar_list_sounds(list, &n);
    sm_json j;

    sm_buffer_text(&text, "");
    sm_json_init(&j, &text, false);
    if (!lines) {
        sm_json_begin_object(&j);
        sm_record_write_path(&j, path);
        sm_json_key(&j, "space");
        sm_json_string(&j, sm_similar_list_space(list));
        sm_json_key(&j, "approximate");
        sm_json_bool(&j, sm_similar_list_approximate(list));
        sm_json_key(&j, "count");
        sm_json_int(&j, (int64_t)n);
        sm_json_key(&j, "results");
        sm_json_begin_array(&j);
    }
    for (size_t i = 0; i < n; i++) {
        json_sound(&j, &sounds[i]);
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

enum { PARTS = 5 };
static const char *const part_names[PARTS] = { "overall", "timbre", "pitch", "envelope", "rhythm" };

static void parts_of(const sm_similar_sound *s, double out[PARTS])
{
    const double parts[PARTS] = { s->overall, s->timbre, s->pitch, s->envelope, s->rhythm };
    memcpy(out, parts, sizeof parts);
}

static void csv_number(FILE *out, double value)
{
    char text[32] = "";
    if (isfinite(value))
        sm_format_f32((float)value, text);
    fprintf(out, ",%s", text);
}

static int print_csv(sm_cli *cli, const sm_similar_list *list)
{
    size_t n;
    const sm_similar_sound *sounds = sm_similar_list_sounds(list, &n);

    fputs("path,id,distance,similarity", cli->out);
    for (int k = 0; k < PARTS; k++)
        fprintf(cli->out, ",%s", part_names[k]);
    fputc('\n', cli->out);
    for (size_t i = 0; i < n; i++) {
        double parts[PARTS];
        parts_of(&sounds[i], parts);
        sm_cli_csv(cli->out, sounds[i].path);
        fprintf(cli->out, ",%lld", (long long)sounds[i].id);
        csv_number(cli->out, sounds[i].distance);
        csv_number(cli->out, sounds[i].similarity);
        for (int k = 0; k < PARTS; k++)
            csv_number(cli->out, parts[k]);
        fputc('\n', cli->out);
    }
    return 0;
}

static int print_table(sm_cli *cli, const sm_similar_list *list)
{
    static const char *const headings[] = { "similarity", "overall", "timbre", "pitch", "envelope", "rhythm", "path" };
    size_t n;
    const sm_similar_sound *sounds = sm_similar_list_sounds(list, &n);
    sm_table *t = NULL;
    int err = sm_table_new(headings, SM_LENGTH(headings), &t);

    for (size_t i = 0; i < n && err == 0; i++) {
        double parts[PARTS];
        parts_of(&sounds[i], parts);
        sm_table_number(t, sounds[i].similarity, 3);
        for (int k = 0; k < PARTS; k++)
            sm_table_number(t, parts[k], 2);
        sm_table_text(t, sounds[i].path);
    }
    if (err == 0)
        err = sm_table_print(t, cli->out);
    sm_table_free(t);
    if (err == 0 && sm_similar_list_approximate(list))
        sm_cli_warn(cli, "approximate: some of the nearest may be missing; --exact compares with every sound");
    return err;
}

static int similar_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const similar_args *a = args;
    const char *format = cli->common.format;
    sm_similar_options o;
    sm_similar_list *list = NULL;

    (void)n;
    sm_similar_options_init(&o);
    o.library = cli->common.library;
    o.by = a->by;
    o.space = a->space;
    o.where = a->where;
    o.exact = a->exact;
    o.limit = (size_t)a->limit;
    o.jobs = (int)cli->common.jobs;
    int err = sm_similar_find(&o, operands[0], &list);
    if (err == 0 && format && !strcmp(format, "csv"))
        err = print_csv(cli, list);
    else if (err == 0 && format && !strncmp(format, "json", 4))
        err = print_json(cli, operands[0], list);
    else if (err == 0)
        err = print_table(cli, list);
    sm_similar_list_free(list);
    return err;
}

const sm_command sm_cmd_similar = {
    .name = "similar",
    .summary = "find the sounds of the library that are nearest to one",
    .description =
        "Compares a file, which need not be of the library, or the file of an id with all sounds of the library, and "
        "shows the\n"
        "nearest. The sound itself and its copies are left out. --by weighs what counts: overall (the embedding of a "
        "model),\n"
        "timbre, pitch, envelope and rhythm (descriptors); what is not named counts nothing, or, where only zeros are "
        "named,\n"
        "everything else counts.",
    .operands = "FILE|ID",
    .least_operands = 1,
    .most_operands = 1,
    .options = similar_options,
    .common = SM_COMMON_FORMAT | SM_COMMON_JOBS | SM_COMMON_LIBRARY,
    .examples =
        (const sm_example[]){
            { "samplemind similar kick.wav", "ten sounds like this one, and how like in each aspect" },
            { "samplemind similar kick.wav --by timbre=1,pitch=0", "of the same timbre, at any pitch" },
            { "samplemind similar kick.wav -n 50 --json", "for other programs" },
            { 0 } },
    .args_size = sizeof(similar_args),
    .defaults = &(const similar_args){ .limit = 10 },
    .run = similar_run,
};
