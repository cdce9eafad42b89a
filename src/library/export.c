/* Tables, JSON and playlists of what is known; and the walk over the files that all forms share. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/export_parts.h"

static const char *const columns[] = { "path",       "kind",          "duration_s", "sample_rate_hz",
                                       "channels",   "bpm",           "key",        "key_camelot",
                                       "note_name",  "loudness_lufs", "energy",     "brightness",
                                       "instrument", "genre",         "mood",       "audio_xxh128" };

static void no_more(sm_exporter *x)
{
    (void)x;
}

/* ---- CSV ---- */

static size_t columns_of(const sm_exporter *x, const char *const **names)
{
    *names = x->o->n_fields ? x->o->fields : columns;
    return x->o->n_fields ? x->o->n_fields : SM_LENGTH(columns);
}

static void csv_begin(sm_exporter *x)
{
    const char *const *names;
    const size_t n = columns_of(x, &names);
    for (size_t i = 0; i < n; i++)
        sm_buffer_printf(x->out, "%s%s", names[i], i + 1 < n ? "," : "\r\n");
}

/* RFC 4180. */
static void csv_cell(sm_buffer *b, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        sm_buffer_text(b, text);
        return;
    }
    sm_buffer_text(b, "\"");
    for (; *text; text++)
        sm_buffer_add(b, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    sm_buffer_text(b, "\"");
}

static void csv_file(sm_exporter *x, const char *path, const json_t *record)
{
    const char *const *names;
    const size_t n = columns_of(x, &names);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_object_get(record, names[i]);
        char *text = v && !json_is_null(v) && !json_is_string(v)
                         ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9))
                         : NULL;
        if (!strcmp(names[i], "path"))
            csv_cell(x->out, path);
        else if (json_is_string(v))
            csv_cell(x->out, json_string_value(v));
        else if (text)
            csv_cell(x->out, text);
        free(text); /* of jansson */
        sm_buffer_text(x->out, i + 1 < n ? "," : "\r\n");
    }
}

/* ---- JSON ---- */

static void jsonl_file(sm_exporter *x, const char *path, const json_t *record)
{
    json_t *some = x->o->n_fields ? json_object() : NULL;
    (void)path;
    for (size_t i = 0; some && i < x->o->n_fields; i++) {
        json_t *v = json_object_get(record, x->o->fields[i]);
        json_object_set_new(some, x->o->fields[i], v ? json_incref(v) : json_null());
    }
    char *text = json_dumps(some ? some : record, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (text)
        sm_buffer_text(x->out, text);
    else
        x->out->failed = true;
    sm_buffer_text(x->out, "\n");
    free(text);
    json_decref(some);
}

static void json_begin(sm_exporter *x)
{
    sm_buffer_text(x->out, "[\n");
}

static void json_file(sm_exporter *x, const char *path, const json_t *record)
{
    if (x->done > 0)
        sm_buffer_text(x->out, ",");
    jsonl_file(x, path, record);
}

static void json_end(sm_exporter *x)
{
    sm_buffer_text(x->out, "]\n");
}

/* ---- m3u8: UTF-8, or whatever bytes the names have ---- */

static void m3u8_begin(sm_exporter *x)
{
    sm_buffer_text(x->out, "#EXTM3U\n");
    if (x->o->name)
        sm_buffer_printf(x->out, "#PLAYLIST:%s\n", x->o->name);
}

static void m3u8_file(sm_exporter *x, const char *path, const json_t *record)
{
    const double seconds = sm_known_number(record, "duration_s");
    sm_buffer_printf(x->out, "#EXTINF:%.0f,%s\n%s\n", isfinite(seconds) ? seconds : -1, sm_path_name(path), path);
}

static const sm_export_form csv = { csv_begin, csv_file, no_more }, json = { json_begin, json_file, json_end },
                            jsonl = { no_more, jsonl_file, no_more }, m3u8 = { m3u8_begin, m3u8_file, no_more };
static const sm_export_form *const forms[] = { [SM_EXPORT_CSV] = &csv,
                                               [SM_EXPORT_JSON] = &json,
                                               [SM_EXPORT_JSONL] = &jsonl,
                                               [SM_EXPORT_M3U8] = &m3u8,
                                               [SM_EXPORT_REKORDBOX] = &sm_export_rekordbox,
                                               [SM_EXPORT_ABLETON] = &sm_export_ableton };

/* ---- the walk ---- */

static int flush(sm_exporter *x, FILE *out)
{
    if (x->out->failed || x->later.failed)
        return SM_ENOMEM;
    if (x->out->length > 0 && fwrite(x->out->data, 1, x->out->length, out) != x->out->length)
        return sm_fail(SM_EIO, "writing failed: %s", strerror(errno));
    x->out->length = 0;
    return 0;
}

/* Absolute: what is written is read from anywhere. */
static int absolute_paths(const char *const *paths, size_t n, sm_strings *out)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < n; i++) {
        char *real = realpath(paths[i], NULL); /* memory of the C library */
        err = sm_strings_add(out, real ? real : paths[i]);
        free(real);
    }
    return err;
}

static size_t common_folder(const sm_strings *paths)
{
    size_t n = paths->length ? (size_t)(sm_path_name(paths->items[0]) - paths->items[0]) : 0;
    for (size_t i = 1; i < paths->length; i++) {
        size_t same = 0;
        while (same < n && paths->items[i][same] == paths->items[0][same])
            same++;
        while (same > 0 && paths->items[0][same - 1] != '/')
            same--;
        n = same;
    }
    return n;
}

static int one_file(const sm_export_form *form, sm_exporter *x, sm_known *k, const char *path, size_t *failed)
{
    json_t *record = NULL;
    int64_t content = 0;
    const int err = sm_known_record(k, path, &record, &content);
    if (err == 0) {
        form->file(x, path, record);
        x->done++;
    } else if (err != SM_ENOMEM && err != SM_ECANCELLED) {
        ++*failed;
        if (x->o->problem)
            x->o->problem(x->o->user, path, sm_last_error());
    }
    json_decref(record);
    return err == SM_ENOMEM || err == SM_ECANCELLED ? err : 0;
}

void sm_export_options_init(sm_export_options *o)
{
    *o = (sm_export_options){ .size = sizeof *o };
}

int sm_export(sm_export_kind kind, const char *const *paths, size_t n, const sm_export_options *o, FILE *out,
              size_t *failed)
{
    sm_buffer text = { 0 };
    sm_exporter x = { .o = o, .out = &text };
    sm_strings all = { 0 };
    sm_known *k = NULL;
    size_t left_out = 0;
    if (failed)
        *failed = 0;
    if ((size_t)kind >= SM_LENGTH(forms))
        return sm_fail(SM_EUSAGE, "there is no form of export %d", (int)kind);
    const sm_export_form *form = forms[kind];
    int err = sm_known_open(o->library, false, o->models, &k);
    if (err == 0)
        err = n > 0 || o->only_these ? absolute_paths(paths, n, &all) : sm_known_files(k, &all);
    x.paths = (const char *const *)all.items;
    x.n = all.length;
    x.common = common_folder(&all);
    if (err == 0)
        form->begin(&x);
    for (size_t i = 0; err == 0 && i < all.length; i++) {
        const sm_progress_info p = { all.items[i], (double)i, (double)all.length, "files", 0 };
        if (o->progress && o->progress(o->user, &p))
            err = sm_fail(SM_ECANCELLED, "stopped");
        else
            err = one_file(form, &x, k, all.items[i], &left_out);
        if (err == 0)
            err = flush(&x, out);
    }
    if (err == 0) {
        form->end(&x);
        err = flush(&x, out);
    }
    if (failed)
        *failed = left_out;
    sm_known_close(k);
    sm_strings_free(&all);
    sm_buffer_free(&text);
    sm_buffer_free(&x.later);
    return err;
}
