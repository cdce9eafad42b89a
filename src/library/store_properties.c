/* properties: a row a content, a column a field. The columns come from dsp/descriptors.def and the table here, and are added to older
 * files when these grow. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "dsp/dsp.h"
#include "library/correction.h"
#include "library/store_internal.h"

enum { MOST = 128 };

#define NUMBER(name, alias, unit, low, high, group, sentence, value)  { #name, alias, false, unit, low, high },
#define INTEGER(name, alias, unit, low, high, group, sentence, value) { #name, alias, false, unit, low, high },
#define BOOLEAN(name, alias, group, sentence, known, value)           { #name, alias, false, "0 or 1", 0, 1 },
#define TEXT(name, alias, group, sentence, value)                     { #name, alias, true, NULL, NAN, NAN },
#define LIST(name, alias, unit, group, sentence, writer)
static const sm_property properties[] = {
#include "dsp/descriptors.def"
    /* what a record says besides the descriptors */
    { "instrument", NULL, true, NULL, NAN, NAN },
    { "instrument_confidence", NULL, false, "0..1", 0, 1 },
    { "genre", NULL, true, NULL, NAN, NAN },
    { "genre_confidence", NULL, false, "0..1", 0, 1 },
    { "mood", NULL, true, NULL, NAN, NAN },
    { "mood_confidence", NULL, false, "0..1", 0, 1 },
    { "container", "type", true, NULL, NAN, NAN },
    { "codec", NULL, true, NULL, NAN, NAN },
    { "sample_rate_hz", "samplerate", false, "Hz", 0, NAN },
    { "channels", NULL, false, "channels", 0, NAN },
    { "bit_depth", "bitdepth", false, "bits", 0, NAN },
    { "bitrate_bps", NULL, false, "bit/s", 0, NAN },
    { "file_bytes", "filesize", false, "bytes", 0, NAN },
};

size_t sm_properties(const sm_property **out)
{
    *out = properties;
    return SM_LENGTH(properties);
}

const sm_property *sm_property_find(const char *name)
{
    for (size_t i = 0; i < SM_LENGTH(properties); i++)
        if (!strcmp(properties[i].name, name) || (properties[i].alias && !strcmp(properties[i].alias, name)))
            return &properties[i];
    return NULL;
}

/* ---- the table's columns ---- */

static int note_column(void *user, sqlite3_stmt *st)
{
    return sm_strings_add(user, sql_text(st, 1));
}

static bool has(const sm_strings *list, const char *name)
{
    for (size_t i = 0; i < list->length; i++)
        if (!strcmp(list->items[i], name))
            return true;
    return false;
}

static int columns_there(sm_store *s, sm_strings *there)
{
    sqlite3_stmt *st = NULL;
    const int err = sql_prepare(&s->sql, "PRAGMA table_info(properties)", &st);
    return err < 0 ? err : store_walk(s, st, note_column, there);
}

static int add_columns(sm_store *s, const sm_strings *there)
{
    int err = 0;
    for (size_t i = 0; i < SM_LENGTH(properties) && err == 0; i++) {
        char sql[160];
        if (has(there, properties[i].name))
            continue;
        snprintf(sql, sizeof sql, "ALTER TABLE properties ADD COLUMN \"%s\" %s", properties[i].name,
                 properties[i].text ? "TEXT" : "REAL");
        err = sql_exec(&s->sql, sql);
    }
    return err;
}

int store_properties_migrate(sm_store *s)
{
    sm_strings there = { 0 };
    bool own = false;
    int err = columns_there(s, &there);
    if (err == 0 && there.length < 1 + SM_LENGTH(properties)) {
        sm_strings_free(&there);
        err = sm_store_begin(s, &own);
        if (err == 0)
            err = columns_there(s, &there); /* somebody else may have added them while this one waited */
        if (err == 0)
            err = add_columns(s, &there);
        err = sm_store_end(s, own, err);
    }
    sm_strings_free(&there);
    return err;
}

/* ---- values in ---- */

static int make_put_sql(sm_store *s)
{
    sm_buffer sql = { 0 };
    sm_buffer_text(&sql, "INSERT OR REPLACE INTO properties (content");
    for (size_t i = 0; i < SM_LENGTH(properties); i++)
        sm_buffer_printf(&sql, ", \"%s\"", properties[i].name);
    sm_buffer_text(&sql, ") VALUES (?");
    for (size_t i = 0; i < SM_LENGTH(properties); i++)
        sm_buffer_text(&sql, ", ?");
    sm_buffer_text(&sql, ")");
    if (sql.failed)
        sm_buffer_free(&sql);
    s->put_properties = sql.data;
    return sql.data ? 0 : SM_ENOMEM;
}

int store_properties_put(sm_store *s, int64_t content, const json_t *record)
{
    sqlite3_stmt *st = NULL;
    int err = s->put_properties ? 0 : make_put_sql(s);
    if (err == 0)
        err = store_change(s, s->put_properties, &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    for (size_t i = 0; i < SM_LENGTH(properties); i++) {
        const json_t *v = json_object_get(record, properties[i].name);
        const int at = (int)i + 2;
        if (properties[i].text)
            sql_bind_text(st, at, json_string_value(v));
        else if (json_is_boolean(v))
            sqlite3_bind_double(st, at, json_is_true(v));
        else
            sql_bind_number(st, at, json_is_number(v) ? json_number_value(v) : (double)NAN);
    }
    return store_done(s, st);
}

/* ---- values out ---- */

static bool is_ours(const sm_property *p)
{
    return p >= properties && p < properties + SM_LENGTH(properties);
}

/* The one value; the statement is the caller's, on its row. */
static int select_one(sm_store *s, int64_t content, const sm_property *p, sqlite3_stmt **out)
{
    char sql[128];
    *out = NULL;
    if (!is_ours(p))
        return sm_fail(SM_EUSAGE, "a property that is not in the table");
    snprintf(sql, sizeof sql, "SELECT \"%s\" FROM properties WHERE content = ?", p->name);
    int err = sql_prepare(&s->sql, sql, out);
    if (err < 0)
        return err;
    sqlite3_bind_int64(*out, 1, content);
    err = sql_step(&s->sql, *out);
    if (err == 1)
        return 0;
    sqlite3_finalize(*out);
    *out = NULL;
    return err < 0 ? err : sm_fail(SM_ENOTFOUND, "%s: no content %lld", s->sql.path, (long long)content);
}

int sm_store_number(sm_store *s, int64_t content, const sm_property *p, double *out)
{
    sqlite3_stmt *st = NULL;
    const int err = select_one(s, content, p, &st);
    *out = err == 0 && !p->text ? sql_double(st, 0) : (double)NAN;
    sqlite3_finalize(st);
    return err;
}

int sm_store_text(sm_store *s, int64_t content, const sm_property *p, const char **out)
{
    sqlite3_stmt *st = NULL;
    int err = select_one(s, content, p, &st);
    *out = NULL;
    if (err == 0 && p->text && sql_text(st, 0)) {
        sm_free(s->text);
        s->text = sm_strdup(sql_text(st, 0));
        err = s->text ? 0 : SM_ENOMEM;
        *out = s->text;
    }
    sqlite3_finalize(st);
    return err;
}

typedef struct {
    const sm_property *const *columns;
    size_t n;
    sm_values_fn fn;
    void *user;
} values_walk;

static int give_values(void *user, sqlite3_stmt *st)
{
    const values_walk *w = user;
    sm_value values[MOST];
    for (size_t i = 0; i < w->n; i++)
        values[i] = (sm_value){ .number = w->columns[i]->text ? (double)NAN : sql_double(st, (int)i + 1),
                                .text = w->columns[i]->text ? sql_text(st, (int)i + 1) : NULL };
    return w->fn(w->user, sqlite3_column_int64(st, 0), values);
}

int sm_store_each_values(sm_store *s, const sm_property *const *columns, size_t n, sm_values_fn fn, void *user)
{
    values_walk w = { columns, n, fn, user };
    sqlite3_stmt *st = NULL;
    sm_buffer sql = { 0 };
    int err = n > MOST ? sm_fail(SM_ELIMIT, "more than %d columns at a time", MOST) : 0;
    sm_buffer_text(&sql, "SELECT content");
    for (size_t i = 0; i < n && err == 0; i++) {
        sm_buffer_printf(&sql, ", \"%s\"", columns[i]->name);
        if (!is_ours(columns[i]))
            err = sm_fail(SM_EUSAGE, "a property that is not in the table");
    }
    sm_buffer_text(&sql, " FROM properties ORDER BY content");
    if (err == 0 && sql.failed)
        err = SM_ENOMEM;
    if (err == 0)
        err = sql_prepare(&s->sql, sql.data, &st);
    sm_buffer_free(&sql);
    return err < 0 ? err : store_walk(s, st, give_values, &w);
}

/* ---- the user's word over the record's ---- */

typedef struct {
    sm_store *s;
    int64_t content;
} applied;

static int apply_value(void *user, const sm_property *p, const char *value)
{
    const applied *a = user;
    sqlite3_stmt *st = NULL;
    char sql[128];
    double number = 0;
    snprintf(sql, sizeof sql, "UPDATE properties SET \"%s\" = ? WHERE content = ?", p->name);
    int err = sql_prepare(&a->s->sql, sql, &st);
    if (err < 0)
        return err;
    if (p->text)
        sql_bind_text(st, 1, value[0] ? value : NULL);
    else
        sql_bind_number(st, 1, sm_parse_double(value, &number) ? number : (double)NAN);
    sqlite3_bind_int64(st, 2, a->content);
    err = sql_step(&a->s->sql, st);
    sqlite3_finalize(st);
    return SM_MIN(err, 0);
}

static int apply_one(void *user, int64_t content, const char *field, const char *value, double time_s)
{
    applied a = { user, content };
    (void)time_s;
    return sm_correction_each(field, value, apply_value, &a);
}

int store_apply_corrections(sm_store *s, int64_t content)
{
    return sm_store_corrections_of(s, content, apply_one, s);
}
