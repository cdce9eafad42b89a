/* search: sounds of the library by words, numbers and likeness. */
#include <math.h>
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

typedef struct {
    int64_t limit;
    const char *sort, *like, *by, *cursor;
    bool explain, no_thesaurus, paths, thesaurus;
} search_args;

static const sm_option search_options[] = {
    { 'n', "limit", SM_OPT_INT, offsetof(search_args, limit), "0..", "results a page; 0: all (default: 50)", 0 },
    { 0, "sort", SM_OPT_STRING, offsetof(search_args, sort), "FIELD[-],..",
      "order by these instead of the best first; a - behind a field: the largest first", 0 },
    { 0, "like", SM_OPT_PATH, offsetof(search_args, like), "FILE|#ID", "rank what is left by likeness to this sound",
      0 },
    { 0, "by", SM_OPT_STRING, offsetof(search_args, by), "ASPECT=WEIGHT,..",
      "what likeness means: timbre, pitch, envelope, rhythm", 0 },
    { 0, "cursor", SM_OPT_STRING, offsetof(search_args, cursor), "CURSOR", "the page after the one that ended there",
      0 },
    { 0, "explain", SM_OPT_FLAG, offsetof(search_args, explain), NULL,
      "say how the query was understood, and why each result ranks where it does", 0 },
    { 0, "no-thesaurus", SM_OPT_FLAG, offsetof(search_args, no_thesaurus), NULL,
      "look for words in names, tags and folders only", 0 },
    { 0, "paths", SM_OPT_FLAG, offsetof(search_args, paths), NULL, "print only paths, one a line", 0 },
    { 0, "thesaurus", SM_OPT_FLAG, offsetof(search_args, thesaurus), NULL,
      "print the table of meanings as CSV, to start an own thesaurus.csv from, and end", 0 },
    { 0 }
};

/* ---- forms of output ---- */

typedef struct {
    sm_cli *cli;
    const search_args *args;
    sm_search *found;
} output;

static int print_paths(const output *o)
{
    for (size_t i = 0; i < sm_search_hits(o->found); i++)
        fprintf(o->cli->out, "%s\n", sm_search_path(o->found, i));
    return 0;
}

static int print_lines(const output *o)
{
    int err = 0;
    for (size_t i = 0; i < sm_search_hits(o->found) && err == 0; i++) {
        const char *json;
        err = sm_search_json(o->found, i, &json);
        if (err == 0)
            fprintf(o->cli->out, "%s\n", json);
    }
    return err;
}

static void json_lines(sm_json *j, const char *text)
{
    sm_json_begin_array(j);
    for (const char *end; *text; text = end + (*end != 0)) {
        end = text + strcspn(text, "\n");
        char *line = sm_strndup(text, (size_t)(end - text));
        sm_json_string(j, line);
        j->out->failed |= !line;
        sm_free(line);
    }
    sm_json_end_array(j);
}

static int print_json(const output *o)
{
    sm_buffer text = { 0 };
    sm_json j;
    int err = 0;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "count");
    sm_json_int(&j, (int64_t)sm_search_count(o->found));
    if (sm_search_waiting(o->found) > 0) {
        sm_json_key(&j, "not_analysed");
        sm_json_int(&j, (int64_t)sm_search_waiting(o->found));
    }
    sm_json_key(&j, "query");
    sm_json_string(&j, sm_search_understood(o->found));
    if (o->args->explain) {
        sm_json_key(&j, "explanation");
        json_lines(&j, sm_search_explained(o->found));
    }
    if (sm_search_approximate(o->found)) {
        sm_json_key(&j, "approximate");
        sm_json_bool(&j, true);
    }
    sm_json_key(&j, "results");
    sm_json_begin_array(&j);
    for (size_t i = 0; i < sm_search_hits(o->found) && err == 0; i++) {
        const char *one;
        err = sm_search_json(o->found, i, &one);
        if (err == 0)
            sm_json_raw(&j, one);
    }
    sm_json_end_array(&j);
    sm_json_key(&j, "cursor");
    sm_json_string(&j, sm_search_cursor(o->found));
    sm_json_end_object(&j);
    if (err == 0 && text.failed)
        err = SM_ENOMEM;
    if (err == 0)
        fprintf(o->cli->out, "%s\n", text.data);
    sm_buffer_free(&text);
    return err;
}

static const char *const usual_fields[] = { "score", "duration_s", "kind",          "instrument", "bpm",
                                            "key",   "note_name",  "loudness_lufs", "path" };
static const char *const usual_headings[] = { "score", "length", "kind", "instrument", "BPM",
                                              "key",   "note",   "LUFS", "file" };

static void add_cell(sm_table *t, const char *field, double number, const char *text)
{
    static const struct {
        const char *field;
        int decimals;
    } known[] = { { "score", 2 },         { "similarity", 2 }, { "duration_s", 2 }, { "bpm", 1 },
                  { "loudness_lufs", 1 }, { "id", 0 },         { "copies", 0 } };
    int decimals = fabs(number) >= 100 ? 0 : 2;
    for (size_t i = 0; i < SM_LENGTH(known); i++)
        if (!strcmp(known[i].field, field))
            decimals = known[i].decimals;
    if (text || isnan(number))
        sm_table_text(t, text);
    else
        sm_table_number(t, number, decimals);
}

typedef struct {
    FILE *out;
} why_line;

static int print_why(void *user, const char *word, double score, const char *by)
{
    const why_line *w = user;
    fprintf(w->out, "    %-16s %.2f  %s\n", word, score, *by ? by : "nothing");
    return 0;
}

/* With reasons a table would have no room: a block a result. */
static int print_blocks(const output *o)
{
    why_line w = { o->cli->out };
    int err = 0;
    fputs(sm_search_explained(o->found), o->cli->out);
    for (size_t i = 0; i < sm_search_hits(o->found) && err == 0; i++) {
        fprintf(o->cli->out, "\n%.2f  %s\n", sm_search_score(o->found, i), sm_search_path(o->found, i));
        if (!isnan(sm_search_similarity(o->found, i)))
            fprintf(o->cli->out, "    %-16s %.2f\n", "likeness", sm_search_similarity(o->found, i));
        err = sm_search_each_why(o->found, i, print_why, &w);
    }
    return err;
}

static void print_counts(const output *o)
{
    const size_t waiting = sm_search_waiting(o->found), all = sm_search_count(o->found) + waiting;
    if (all == 0)
        fputs("nothing found; --explain says how the query was understood\n", o->cli->err);
    if (all > sm_search_hits(o->found))
        fprintf(o->cli->err, "%zu of %zu\n", sm_search_hits(o->found), all);
    if (waiting > 0)
        fprintf(o->cli->err, "%zu file%s found by name alone, not analysed yet: samplemind scan\n", waiting,
                waiting == 1 ? " was" : "s were");
}

static int print_table(const output *o, const char *const *fields, const char *const *headings, size_t n)
{
    sm_table *t = NULL;
    int err = sm_table_new(headings, n, &t);
    for (size_t i = 0; i < sm_search_hits(o->found) && err == 0; i++)
        for (size_t k = 0; k < n && err == 0; k++) {
            double number;
            const char *text;
            const bool likeness = !strcmp(fields[k], "score") && !isnan(sm_search_similarity(o->found, i));
            err = sm_search_value(o->found, i, likeness ? "similarity" : fields[k], &number, &text);
            if (err == 0 && !strcmp(fields[k], "kind") && !sm_search_analysed(o->found, i))
                text = "(not analysed)";
            if (err == 0)
                add_cell(t, fields[k], number, text);
        }
    if (err == 0)
        err = sm_table_print(t, o->cli->out);
    sm_table_free(t);
    if (err == 0 && !o->cli->common.quiet)
        print_counts(o);
    return err;
}

static int print_csv(const output *o, const char *const *fields, size_t n)
{
    char number_text[32];
    int err = 0;
    for (size_t k = 0; k < n; k++)
        fprintf(o->cli->out, "%s%s", k > 0 ? "," : "", fields[k]);
    fputc('\n', o->cli->out);
    for (size_t i = 0; i < sm_search_hits(o->found) && err == 0; i++) {
        for (size_t k = 0; k < n && err == 0; k++) {
            double number;
            const char *text;
            err = sm_search_value(o->found, i, fields[k], &number, &text);
            fputs(k > 0 ? "," : "", o->cli->out);
            if (err == 0 && text)
                sm_cli_csv(o->cli->out, text);
            else if (err == 0 && !isnan(number)) {
                sm_format_f32((float)number, number_text);
                fputs(number_text, o->cli->out);
            }
        }
        fputc('\n', o->cli->out);
    }
    return err;
}

static int print_found(const output *o)
{
    const sm_strings *asked = &o->cli->common.fields;
    const bool own = asked->length > 0;
    const char *const *fields = own ? (const char *const *)asked->items : usual_fields;
    const size_t n = own ? asked->length : SM_LENGTH(usual_fields);
    const char *format = o->cli->common.format;
    if (o->args->paths)
        return print_paths(o);
    if (!strcmp(format, "jsonl"))
        return print_lines(o);
    if (!strcmp(format, "json"))
        return print_json(o);
    if (!strcmp(format, "csv"))
        return print_csv(o, fields, n);
    if (o->args->explain)
        return print_blocks(o);
    return print_table(o, fields, own ? fields : usual_headings, n);
}

/* ---- the command ---- */

static int join(char *const *words, size_t n, const char *between, sm_buffer *out)
{
    sm_buffer_text(out, "");
    for (size_t i = 0; i < n; i++)
        sm_buffer_printf(out, "%s%s", i > 0 ? between : "", words[i]);
    return out->failed ? SM_ENOMEM : 0;
}

static int search_run_command(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const search_args *a = args;
    sm_library *library = NULL;
    sm_buffer text = { 0 }, fields = { 0 };
    output o = { .cli = cli, .args = a };
    if (a->thesaurus) {
        int err = sm_library_thesaurus(&text);
        if (err == 0)
            fputs(text.data, cli->out);
        sm_buffer_free(&text);
        return err;
    }
    sm_search_options options;
    sm_search_options_init(&options);
    int err = join(operands, n, " ", &text);
    if (err == 0)
        err = join(cli->common.fields.items, cli->common.fields.length, ",", &fields);
    options.limit = (size_t)a->limit;
    options.sort = a->sort;
    options.like = a->like;
    options.by = a->by;
    options.cursor = a->cursor;
    options.no_thesaurus = a->no_thesaurus;
    options.why = a->explain;
    options.fields = fields.data;
    if (err == 0)
        err = sm_cli_open_library(cli, &library);
    if (err == 0)
        err = sm_library_search(library, text.data, &options, &o.found);
    if (err == 0)
        err = print_found(&o);
    if (err == 0)
        err = sm_cli_flush(cli);
    sm_search_free(o.found);
    sm_library_close(library);
    sm_buffer_free(&text);
    sm_buffer_free(&fields);
    return err;
}

const sm_command sm_cmd_search = {
    .name = "search",
    .summary = "find sounds in the library by words, numbers and likeness",
    .description =
        "Words are met by names, tags and folders, and by what they mean: dark, punchy, hat, 808. Numbers are tests:\n"
        "bpm:120..130, length:<1s, key:~Am, loudness:>-14, brightness:~70. -word leaves out, \"...\" is literal, a | b "
        "is\n"
        "either. docs/search.md has the whole language. A query that begins with - stands behind --.",
    .operands = "QUERY...",
    .options = search_options,
    .common = SM_COMMON_FORMAT | SM_COMMON_FIELDS | SM_COMMON_LIBRARY,
    .examples =
        (const sm_example[]){
            { "samplemind search \"dark aggressive basslines bpm:120..130\"", "the best fifty, as a table" },
            { "samplemind search kick -n 5 --explain", "and why they are the best" },
            { "samplemind search \"instrument:bass key:~Am loop:yes\" --paths", "paths for another program" },
            { "samplemind search pad --like hum.wav --by pitch=1 --json", "pads that are like a hummed note" },
            { 0 } },
    .args_size = sizeof(search_args),
    .defaults = &(const search_args){ .limit = 50 },
    .run = search_run_command,
};
