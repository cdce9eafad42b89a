/* analyze: one record for each sound. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "engine/engine.h"

typedef struct {
    const char *form;
    double max_seconds, time_limit_s, bpm_min, bpm_max, embed_hop_s;
    int64_t top;
} analyze_args;

static const sm_option analyze_options[] = {
    { 0, "format", SM_OPT_CHOICE, offsetof(analyze_args, form), "record|essentia",
      "names and nesting of the JSON: flat records, or like Essentia's music extractor (default: record)", 0 },
    { 0, "max-seconds", SM_OPT_NUMBER, offsetof(analyze_args, max_seconds), "0..",
      "analyse only so much of each file; the record then says \"truncated\" (default: all)", 0 },
    { 0, "time-limit", SM_OPT_NUMBER, offsetof(analyze_args, time_limit_s), "0..",
      "give a file up after so many seconds of work (default: never)", 0 },
    { 0, "bpm-min", SM_OPT_NUMBER, offsetof(analyze_args, bpm_min), "1..", "slowest tempo (default: 40)", 0 },
    { 0, "bpm-max", SM_OPT_NUMBER, offsetof(analyze_args, bpm_max), "1..", "fastest tempo (default: 240)", 0 },
    { 0, "embed-hop", SM_OPT_NUMBER, offsetof(analyze_args, embed_hop_s), "0.001..3600",
      "seconds between windows of OpenL3 (default: 1, so that a one-shot is one)", 0 },
    { 0, "top", SM_OPT_INT, offsetof(analyze_args, top), "1..1000", "classes that each model reports (default: 5)", 0 },
    { 0 }
};

/* What the sink needs while records come in. */
typedef struct {
    sm_cli *cli;
    const analyze_args *args;
    sm_progress *bar;
    sm_table *table;
    size_t n_files, n_written, n_failed;
    bool header_written; /* csv */
} analysis;

/* ---- one record on its way out ---- */

static const char *json_of(const analysis *a, const sm_record *r)
{
    return !strcmp(a->args->form, "essentia") ? sm_record_json_essentia(r) : sm_record_json(r);
}

/* The record reduced to --fields, in their order; the caller's (jansson). NULL: no memory. */
static json_t *selected(const analysis *a, const sm_record *r)
{
    json_t *whole = json_loads(json_of(a, r), 0, NULL), *out = json_object();
    for (size_t i = 0; whole && out && i < a->cli->common.fields.length; i++) {
        const char *name = a->cli->common.fields.items[i];
        json_t *value = json_object_get(whole, name);
        json_object_set_new(out, name, value ? json_incref(value) : json_null());
    }
    json_decref(whole);
    return out;
}

static int print_json(analysis *a, const sm_record *r)
{
    FILE *out = a->cli->out;
    if (!strcmp(a->cli->common.format, "json") && a->n_files > 1)
        fputs(a->n_written == 0 ? "[\n" : ",\n", out);
    if (a->cli->common.fields.length > 0) {
        json_t *some = selected(a, r);
        char *text = some ? json_dumps(some, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
        json_decref(some);
        if (!text)
            return sm_fail(SM_ENOMEM, "no memory for the fields of %s", sm_record_path(r));
        fputs(text, out);
        free(text);
    } else {
        fputs(json_of(a, r), out);
    }
    if (!strcmp(a->cli->common.format, "json"))
        return 0;
    fputc('\n', out);
    return sm_cli_flush(a->cli);
}

/* RFC 4180: quoted where needed; lists and objects as JSON; null is empty. */
static void print_csv_value(FILE *out, const json_t *v)
{
    char *dumped = NULL;
    const char *text = "";
    if (json_is_string(v))
        text = json_string_value(v);
    else if (v && !json_is_null(v))
        text = dumped = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    if (text && text[strcspn(text, ",\"\r\n")]) {
        fputc('"', out);
        for (const char *p = text; *p; p++) {
            if (*p == '"')
                fputc('"', out);
            fputc(*p, out);
        }
        fputc('"', out);
    } else {
        fputs(text ? text : "", out);
    }
    free(dumped);
}

static const char *const default_columns[] = { "path",           "kind",          "duration_s",     "sample_rate_hz",
                                               "channels",       "loudness_lufs", "true_peak_dbtp", "bpm",
                                               "bpm_confidence", "key",           "key_confidence", "key_camelot",
                                               "pitch_hz",       "note_name",     "note_cents",     "energy",
                                               "brightness",     "instrument",    "genre",          "mood" };

static int print_csv(analysis *a, const sm_record *r)
{
    const sm_strings *fields = &a->cli->common.fields;
    const char *const *names = fields->length > 0 ? (const char *const *)fields->items : default_columns;
    const size_t n = fields->length > 0 ? fields->length : SM_LENGTH(default_columns);
    FILE *out = a->cli->out;
    json_t *whole = json_loads(sm_record_json(r), 0, NULL);
    if (!whole)
        return sm_fail(SM_ENOMEM, "no memory for the fields of %s", sm_record_path(r));
    for (size_t i = 0; !a->header_written && i < n; i++)
        fprintf(out, "%s%s", names[i], i + 1 < n ? "," : "\n");
    a->header_written = true;
    for (size_t i = 0; i < n; i++) {
        print_csv_value(out, json_object_get(whole, names[i]));
        fputc(i + 1 < n ? ',' : '\n', out);
    }
    json_decref(whole);
    return sm_cli_flush(a->cli);
}

/* ---- tables for people ---- */

static const char *const headings[] = { "file", "kind",   "length",     "LUFS",  "BPM", "key",
                                        "note", "energy", "instrument", "genre", "mood" };

/* A row has no room for a confidence: a key that is hardly one (of a lone note) is left out. */
static const double least_key_shown = 0.3;

static void add_row(analysis *a, const sm_record *r)
{
    const sm_summary *s = sm_record_summary(r);
    sm_table_text(a->table, sm_path_name(sm_record_path(r)));
    sm_table_text(a->table, s->kind);
    sm_table_number(a->table, s->duration_s, 2);
    sm_table_number(a->table, s->loudness_lufs, 1);
    sm_table_number(a->table, s->bpm, 1);
    sm_table_text(a->table, s->key_confidence >= least_key_shown ? s->key : NULL);
    sm_table_text(a->table, s->note_name);
    sm_table_number(a->table, s->energy, 1);
    sm_table_text(a->table, s->instrument);
    sm_table_text(a->table, s->genre);
    sm_table_text(a->table, s->mood);
}

static void line(FILE *out, const char *name, const char *format, ...) SM_PRINTF(3, 4);
static void line(FILE *out, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(out, "  %-12s ", name);
    vfprintf(out, format, args);
    fputc('\n', out);
    va_end(args);
}

static void percent_line(FILE *out, const char *name, const char *what, double confidence)
{
    if (what)
        line(out, name, "%s (%.0f %%)", what, 100 * confidence);
}

/* Only what was measured: a short sound has no loudness range, a very quiet one no loudness. */
static void print_levels(FILE *out, const sm_summary *s)
{
    const struct {
        const char *format;
        double value;
    } parts[] = { { "%.1f LUFS", s->loudness_lufs },
                  { "true peak %.1f dBTP", s->true_peak_dbtp },
                  { "range %.1f LU", s->loudness_range_lu },
                  { "dynamics %.1f dB", s->dynamic_range_db } };
    char text[160] = "";
    for (size_t i = 0; i < SM_LENGTH(parts); i++) {
        const size_t n = strlen(text);
        if (!isfinite(parts[i].value))
            continue;
        snprintf(text + n, sizeof text - n, "%s", n ? ", " : "");
        snprintf(text + strlen(text), sizeof text - strlen(text), parts[i].format, parts[i].value);
    }
    if (*text)
        line(out, "loudness", "%s", text);
}

/* What was wrong with a file that could still be read. JSON has it as a field. */
static void tell_warning(const analysis *a, const sm_record *r)
{
    json_t *whole = json_loads(sm_record_json(r), 0, NULL);
    const char *warning = json_string_value(json_object_get(whole, "warning"));
    if (warning)
        sm_cli_warn(a->cli, "%s", warning);
    json_decref(whole);
}

/* One file alone: a line a property. What does not apply is not shown. */
static void print_sheet(FILE *out, const sm_record *r)
{
    const sm_summary *s = sm_record_summary(r);
    fprintf(out, "%s\n", sm_record_path(r));
    percent_line(out, "kind", s->kind, s->kind_confidence);
    line(out, "length", "%.3f s, %d Hz, %d channel%s", s->duration_s, s->sample_rate_hz, s->channels,
         s->channels == 1 ? "" : "s");
    print_levels(out, s);
    if (isfinite(s->bpm))
        line(out, "tempo", "%.2f BPM (%.0f %%), %zu beats", s->bpm, 100 * s->bpm_confidence, s->n_beats);
    if (s->key)
        line(out, "key", "%s, Camelot %s (%.0f %%)", s->key, s->key_camelot, 100 * s->key_confidence);
    if (isfinite(s->pitch_hz))
        line(out, "pitch", "%.2f Hz, %s %+.0f cents (%.0f %%)", s->pitch_hz, s->note_name ? s->note_name : "?",
             round(s->note_cents) + 0.0, 100 * s->pitch_confidence); /* + 0: no "-0 cents" */
    if (isfinite(s->energy))
        line(out, "energy", "%.1f of 10, brightness %.0f of 100", s->energy, s->brightness);
    percent_line(out, "instrument", s->instrument, s->instrument_confidence);
    percent_line(out, "genre", s->genre, s->genre_confidence);
    percent_line(out, "mood", s->mood, s->mood_confidence);
    for (size_t i = 0; i < sm_record_failures(r); i++) {
        const char *what, *reason;
        sm_record_failure(r, i, &what, &reason);
        line(out, "failed", "%s: %s", what, reason);
    }
}

static int print_record(analysis *a, const sm_record *r, int err)
{
    const char *format = a->cli->common.format;
    sm_progress_clear(a->bar);
    if (err < 0) {
        const char *what, *reason;
        sm_record_failure(r, sm_record_failures(r) - 1, &what, &reason);
        sm_cli_error(a->cli, "%s", reason);
    }
    if (!strcmp(format, "csv"))
        return err < 0 ? 0 : print_csv(a, r);
    if (strcmp(format, "table") != 0)
        return print_json(a, r);
    if (err < 0)
        return 0; /* the error line has said it */
    tell_warning(a, r);
    if (a->n_files == 1)
        print_sheet(a->cli->out, r);
    else
        add_row(a, r);
    return 0;
}

static int on_record(void *user, size_t index, sm_record *record, int err)
{
    analysis *a = user;
    (void)index;
    sm_progress_finish(a->bar, sm_record_path(record), err < 0 ? "failed" : NULL);
    const int failed = print_record(a, record, err);
    a->n_written++;
    a->n_failed += err < 0;
    sm_record_free(record);
    return failed;
}

static int on_progress(void *user, const sm_progress_info *p)
{
    analysis *a = user;
    sm_progress_set(a->bar, p->done);
    return sm_cancelled();
}

/* ---- the run ---- */

/* All files of the operands; unreadable folders are told and count as failures. */
static char *models_text(const sm_common *c)
{
    sm_buffer text = { 0 };
    sm_buffer_text(&text, "");
    for (size_t i = 0; i < c->models.length; i++)
        sm_buffer_printf(&text, "%s%s", i ? "," : "", c->models.items[i]);
    return text.data; /* NULL: no memory */
}

static int open_engine(sm_cli *cli, const analyze_args *args, analysis *a, size_t n_files, char **models,
                       sm_engine **out)
{
    const sm_common *c = &cli->common;
    sm_options o;
    sm_options_init(&o);
    if (c->no_models || c->models.length > 0) {
        if (!(*models = models_text(c)))
            return SM_ENOMEM;
        o.models = *models;
    }
    o.precision = c->precision;
    o.key_notation = c->key_notation;
    o.jobs = (int)SM_MIN(c->jobs, 1024);
    o.max_seconds = args->max_seconds;
    o.time_limit_s = args->time_limit_s;
    o.bpm_min = args->bpm_min;
    o.bpm_max = args->bpm_max;
    o.embed_hop_s = args->embed_hop_s;
    o.top = (int)args->top;
    o.progress = on_progress;
    o.user = a;
    int err = sm_engine_open(&o, out);
    if (err == 0 && (err = sm_progress_new(cli, "analyze", (double)n_files, "files", &a->bar)) < 0) {
        sm_engine_close(*out);
        *out = NULL;
    }
    return err;
}

static int exit_code(const analysis *a, const sm_engine *e, size_t n_problems)
{
    for (size_t i = 0; i < sm_engine_missing(e); i++) {
        const char *reason, *name = sm_engine_missing_model(e, i, &reason);
        sm_cli_error(a->cli, "%s: %s", name, reason);
    }
    if (sm_engine_missing(e) > 0 && a->cli->common.models.length > 0)
        return SM_EXIT_NO_MODEL;
    return sm_exit_of_batch(a->n_written - a->n_failed, a->n_failed + n_problems);
}

/* Keys of a record that are not in the table of fields, nor names of models. */
static const char *const other_fields[] = { "path",
                                            "path_base64",
                                            "file_bytes",
                                            "mtime_s",
                                            "container",
                                            "codec",
                                            "bit_depth",
                                            "bitrate_bps",
                                            "sample_rate_hz",
                                            "channels",
                                            "audio_xxh128",
                                            "truncated",
                                            "warning",
                                            "instrument",
                                            "instrument_scores",
                                            "genre",
                                            "instrument_confidence",
                                            "instrument_top",
                                            "instrument_votes",
                                            "genre_confidence",
                                            "mood_confidence",
                                            "genre_scores",
                                            "mood",
                                            "mood_scores",
                                            "acid",
                                            "smpl",
                                            "cues",
                                            "file_tags",
                                            "analyzed_by",
                                            "failed",
                                            "metadata",
                                            "lowlevel",
                                            "rhythm",
                                            "tonal",
                                            "highlevel" };

/* All names that --fields may have; the caller's. NULL: no memory. */
static const char **field_names(size_t *n)
{
    const dsp_field *fields = NULL;
    size_t n_models = 0;
    const size_t n_fields = dsp_fields(&fields);
    const sm_model *const *models = sm_models(&n_models);
    const char **names = sm_alloc(SM_LENGTH(other_fields) + n_fields + n_models, sizeof *names);
    *n = 0;
    for (size_t i = 0; names && i < SM_LENGTH(other_fields); i++)
        names[(*n)++] = other_fields[i];
    for (size_t i = 0; names && i < n_fields; i++)
        names[(*n)++] = fields[i].name;
    for (size_t i = 0; names && i < n_models; i++)
        names[(*n)++] = models[i]->name;
    return names;
}

/* A field that no record has is a slip of the finger, not a column of nothing. */
static int check_fields(const sm_cli *cli)
{
    size_t n = 0;
    const char **names = field_names(&n);
    int err = names ? 0 : SM_ENOMEM;
    for (size_t i = 0; err == 0 && i < cli->common.fields.length; i++) {
        const char *field = cli->common.fields.items[i];
        size_t k = 0;
        while (k < n && strcmp(names[k], field) != 0)
            k++;
        if (k < n)
            continue;
        const char *near = sm_text_nearest(field, names, n);
        err = sm_cli_usage(cli, "--fields: a record has no field %s%s%s%s", field, near ? "; did you mean " : "",
                           near ? near : "", near ? "?" : "");
    }
    sm_free(names);
    return err;
}

static int analyze_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    analysis a = { .cli = cli, .args = args };
    sm_strings files = { 0 };
    sm_engine *engine = NULL;
    char *models = NULL;
    size_t n_problems = 0;
    int err = check_fields(cli);
    if (err == 0)
        err = sm_cli_sounds(cli, operands, n, NULL, &files, &n_problems);
    a.n_files = files.length;
    if (err == 0 && files.length == 0 && n_problems == 0) {
        if (!strcmp(cli->common.format, "json"))
            fputs("[]\n", cli->out);
        goto out;
    }
    if (err == 0 && !strcmp(cli->common.format, "table") && files.length > 1)
        err = sm_table_new(headings, SM_LENGTH(headings), &a.table);
    if (err == 0)
        err = open_engine(cli, args, &a, files.length, &models, &engine);
    if (err == 0) {
        sm_cancel_install();
        err = sm_analyze_files(engine, (const char *const *)files.items, files.length, on_record, &a, NULL);
    }
    if (a.bar)
        sm_progress_clear(a.bar);
    if (!strcmp(cli->common.format, "json") &&
        a.n_written > 0) /* also when it was interrupted: what is there is whole */
        fputs(a.n_files > 1 ? "\n]\n" : "\n", cli->out);
    if (a.table && sm_table_print(a.table, cli->out) < 0 && err == 0)
        err = SM_ENOMEM;
    if (err == 0)
        err = exit_code(&a, engine, n_problems);
out:
    sm_progress_free(a.bar);
    sm_table_free(a.table);
    sm_engine_close(engine);
    sm_free(models);
    sm_strings_free(&files);
    return err;
}

static const sm_example analyze_examples[] = {
    { "samplemind analyze kick.wav", "one sound, all that is known about it" },
    { "samplemind analyze ~/Samples --jsonl > samples.jsonl", "a whole collection, one JSON object a line" },
    { "samplemind analyze loop.flac --no-models --json", "only what needs no neural network" },
    { "samplemind analyze loop.flac --models yamnet,crepe-tiny", "these models; exit code 4 if one is missing" },
    { "samplemind analyze song.mp3 --format essentia --json", "for programs that read Essentia's extractor" },
    { 0 }
};

const sm_command sm_cmd_analyze = {
    .name = "analyze",
    .summary = "say what is known about sounds: tempo, key, pitch, loudness, classes",
    .description = "Reads each file (wav, aiff, caf, flac, mp3, ogg, opus, m4a; folders are searched) and writes one "
                   "record for it: technical\n"
                   "properties, tempo and beats, key, pitch and note, descriptors of the sound, and the answers of all "
                   "installed models. A file\n"
                   "that cannot be read, and a model that fails, are named in `failed`; the rest goes on. "
                   "docs/fields.md explains each field.",
    .operands = "FILE|DIR|@LIST|-...",
    .least_operands = 1,
    .paths = true,
    .options = analyze_options,
    .common = SM_COMMON_JOBS | SM_COMMON_DEVICE | SM_COMMON_FORMAT | SM_COMMON_PROGRESS | SM_COMMON_FIELDS |
              SM_COMMON_KEYS | SM_COMMON_MODELS,
    .examples = analyze_examples,
    .args_size = sizeof(analyze_args),
    .defaults = &(const analyze_args){ .form = "record" },
    .run = analyze_run,
};
