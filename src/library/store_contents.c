/* Contents and their records. */
#include <math.h>
#include <string.h>

#include "library/store_internal.h"

#define CONTENT_COLUMNS "id, hash, audio_hash, duration_s, pipeline"

static void take_bytes(sqlite3_stmt *st, int column, uint8_t out[SM_HASH_BYTES])
{
    memset(out, 0, SM_HASH_BYTES);
    if (sqlite3_column_bytes(st, column) == SM_HASH_BYTES)
        memcpy(out, sqlite3_column_blob(st, column), SM_HASH_BYTES);
}

static sm_content_row read_content(sqlite3_stmt *st)
{
    sm_content_row c = { .id = sqlite3_column_int64(st, 0),
                         .duration_s = sql_double(st, 3),
                         .pipeline = sqlite3_column_int(st, 4) };
    take_bytes(st, 1, c.hash);
    take_bytes(st, 2, c.audio_hash);
    return c;
}

static int one_content(sm_store *s, sqlite3_stmt *st, sm_content_row *out)
{
    const int err = sql_step(&s->sql, st);
    if (err == 1)
        *out = read_content(st);
    sqlite3_reset(st);
    return SM_MIN(err, 0);
}

int sm_store_content_find(sm_store *s, const uint8_t hash[SM_HASH_BYTES], sm_content_row *out)
{
    sqlite3_stmt *st = NULL;
    *out = (sm_content_row){ 0 };
    int err = sql_cached(&s->sql, "SELECT " CONTENT_COLUMNS " FROM contents WHERE hash = ?", &st);
    if (err < 0)
        return err;
    sql_bind_bytes(st, 1, hash, SM_HASH_BYTES);
    return one_content(s, st, out);
}

int sm_store_content_get(sm_store *s, int64_t id, sm_content_row *out)
{
    sqlite3_stmt *st = NULL;
    *out = (sm_content_row){ 0 };
    int err = sql_cached(&s->sql, "SELECT " CONTENT_COLUMNS " FROM contents WHERE id = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, id);
    err = one_content(s, st, out);
    return err == 0 && out->id == 0 ? sm_fail(SM_ENOTFOUND, "%s: no content %lld", s->sql.path, (long long)id) : err;
}

typedef struct {
    sm_content_fn fn;
    void *user;
} content_walk;

static int give_content(void *user, sqlite3_stmt *st)
{
    const content_walk *w = user;
    const sm_content_row c = read_content(st);
    return w->fn(w->user, &c);
}

int sm_store_each_content(sm_store *s, sm_content_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    content_walk w = { fn, user };
    const int err = sql_prepare(&s->sql, "SELECT " CONTENT_COLUMNS " FROM contents ORDER BY id", &st);
    return err < 0 ? err : store_walk(s, st, give_content, &w);
}

int sm_store_record(sm_store *s, int64_t content, sm_buffer *json)
{
    sqlite3_stmt *st = NULL;
    int err = sql_cached(&s->sql, "SELECT json FROM records WHERE content = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    err = sql_step(&s->sql, st);
    if (err == 1)
        err = store_unpack(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), json);
    else if (err == 0)
        err = sm_fail(SM_ENOTFOUND, "%s: no content %lld", s->sql.path, (long long)content);
    sqlite3_reset(st);
    return err;
}

/* ---- putting ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sm_hash_from_hex(const char *hex, uint8_t out[SM_HASH_BYTES])
{
    memset(out, 0, SM_HASH_BYTES);
    if (!hex || strlen(hex) != 2 * SM_HASH_BYTES)
        return false;
    for (int i = 0; i < SM_HASH_BYTES; i++) {
        const int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int put_row(sm_store *s, sm_content_row *c)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s,
                           "INSERT INTO contents (hash, audio_hash, duration_s, pipeline) VALUES (?, ?, ?, ?)"
                           " ON CONFLICT (hash) DO UPDATE SET audio_hash = excluded.audio_hash,"
                           " duration_s = excluded.duration_s, pipeline = excluded.pipeline RETURNING id",
                           &st);
    if (err < 0)
        return err;
    sql_bind_bytes(st, 1, c->hash, SM_HASH_BYTES);
    sql_bind_bytes(st, 2, c->audio_hash, SM_HASH_BYTES);
    sql_bind_number(st, 3, c->duration_s);
    sqlite3_bind_int(st, 4, c->pipeline);
    err = sql_step(&s->sql, st);
    if (err == 1) {
        c->id = sqlite3_column_int64(st, 0);
        err = sql_step(&s->sql, st);
    }
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return err;
}

static int put_record(sm_store *s, int64_t content, const char *json)
{
    sqlite3_stmt *st = NULL;
    sm_buffer packed = { 0 };
    int err = store_pack(json, &packed);
    if (err == 0)
        err = store_change(s, "INSERT OR REPLACE INTO records (content, json) VALUES (?, ?)", &st);
    if (err == 0) {
        sqlite3_bind_int64(st, 1, content);
        sql_bind_bytes(st, 2, packed.data, packed.length);
        err = store_done(s, st);
    }
    sm_buffer_free(&packed);
    return err;
}

int sm_store_content_put(sm_store *s, sm_content_row *c, const char *record_json)
{
    bool own = false;
    json_error_t why;
    json_t *record = json_loads(record_json, 0, &why);
    int err = record ? 0 : sm_fail(SM_EFORMAT, "a record that is no JSON: %s", why.text);
    if (err == 0 && !sm_hash_from_hex(json_string_value(json_object_get(record, "audio_xxh128")), c->audio_hash))
        err = sm_fail(SM_EFORMAT, "a record without audio_xxh128");
    if (err == 0) {
        const json_t *duration = json_object_get(record, "duration_s");
        c->duration_s = json_is_number(duration) ? json_number_value(duration) : (double)NAN;
        err = sm_store_begin(s, &own);
    }
    if (err == 0)
        err = put_row(s, c);
    if (err == 0)
        err = put_record(s, c->id, record_json);
    if (err == 0)
        err = store_properties_put(s, c->id, record);
    if (err == 0)
        err = store_apply_corrections(s, c->id);
    err = sm_store_end(s, own, err);
    json_decref(record);
    return err;
}

int sm_store_content_remove(sm_store *s, int64_t id)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "DELETE FROM contents WHERE id = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, id);
    return store_done(s, st);
}
