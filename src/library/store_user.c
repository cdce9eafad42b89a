/* What the user says: corrections, tags, favourites, collections. */
#include <string.h>
#include <time.h>

#include "library/correction.h"
#include "library/store_internal.h"

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What is said of one, or of all where id is 0: two statements, so that the first goes by its index. */
static int prepare_of(sm_store *s, int64_t id, const char *of_one, const char *of_all, sqlite3_stmt **st)
{
    const int err = sql_prepare(&s->sql, id > 0 ? of_one : of_all, st);
    if (err == 0 && id > 0)
        sqlite3_bind_int64(*st, 1, id);
    return err;
}

/* ---- corrections ---- */

/* The record's own values again, before what is left of the corrections goes over them. */
static int properties_of_record(sm_store *s, int64_t content)
{
    sm_buffer json = { 0 };
    int err = sm_store_record(s, content, &json);
    json_t *record = err == 0 ? json_loads(json.data, 0, NULL) : NULL;
    if (err == 0)
        err = record ? store_properties_put(s, content, record) : SM_EFORMAT;
    json_decref(record);
    sm_buffer_free(&json);
    return err;
}

static int put_correction(sm_store *s, int64_t content, const char *field, const char *value)
{
    sqlite3_stmt *st = NULL;
    int err = value ? store_change(s,
                                   "INSERT OR REPLACE INTO corrections (content, field, value, time_s)"
                                   " VALUES (?1, ?2, ?3, ?4)",
                                   &st)
                    : store_change(s, "DELETE FROM corrections WHERE content = ?1 AND field = ?2", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    sql_bind_text(st, 2, field);
    if (value) {
        sql_bind_text(st, 3, value);
        sqlite3_bind_double(st, 4, now_s());
    }
    return store_done(s, st);
}

int sm_store_correct(sm_store *s, int64_t content, const char *field, const char *value)
{
    char kept[SM_CORRECTION_SIZE];
    const sm_property *p = NULL;
    bool own = false;
    int err = sm_correction_read(field, value ? value : "", &p, kept);
    if (err == 0)
        err = sm_store_begin(s, &own);
    if (err == 0)
        err = put_correction(s, content, p->name, value ? kept : NULL);
    if (err == 0 && !value)
        err = properties_of_record(s, content);
    if (err == 0)
        err = store_apply_corrections(s, content);
    return sm_store_end(s, own, err);
}

typedef struct {
    sm_correction_fn fn;
    void *user;
} correction_walk;

static int give_correction(void *user, sqlite3_stmt *st)
{
    const correction_walk *w = user;
    return w->fn(w->user, sqlite3_column_int64(st, 0), sql_text(st, 1), sql_text(st, 2), sqlite3_column_double(st, 3));
}

int sm_store_corrections_of(sm_store *s, int64_t content, sm_correction_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    correction_walk w = { fn, user };
    const int err =
        prepare_of(s, content, "SELECT content, field, value, time_s FROM corrections WHERE content = ? ORDER BY field",
                   "SELECT content, field, value, time_s FROM corrections ORDER BY content, field", &st);
    return err < 0 ? err : store_walk(s, st, give_correction, &w);
}

/* ---- tags ---- */

int sm_store_tag_add(sm_store *s, int64_t content, const char *tag, const char *by)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "INSERT OR IGNORE INTO tags (content, tag, by) VALUES (?, ?, ?)", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    sql_bind_text(st, 2, tag);
    sql_bind_text(st, 3, by);
    return store_done(s, st);
}

int sm_store_tag_remove(sm_store *s, int64_t content, const char *tag, const char *by)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "DELETE FROM tags WHERE content = ? AND tag = ? AND by = coalesce(?, by)", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    sql_bind_text(st, 2, tag);
    sql_bind_text(st, 3, by);
    return store_done(s, st);
}

typedef struct {
    sm_tag_fn fn;
    void *user;
} tag_walk;

static int give_tag(void *user, sqlite3_stmt *st)
{
    const tag_walk *w = user;
    return w->fn(w->user, sqlite3_column_int64(st, 0), sql_text(st, 1), sql_text(st, 2));
}

int sm_store_tags_of(sm_store *s, int64_t content, sm_tag_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    tag_walk w = { fn, user };
    const int err = prepare_of(s, content, "SELECT content, tag, by FROM tags WHERE content = ? ORDER BY tag, by",
                               "SELECT content, tag, by FROM tags ORDER BY content, tag, by", &st);
    return err < 0 ? err : store_walk(s, st, give_tag, &w);
}

/* ---- favourites and collections ---- */

int sm_store_favourite(sm_store *s, int64_t content, bool on)
{
    sqlite3_stmt *st = NULL;
    int err = on ? store_change(s, "INSERT OR IGNORE INTO favourites (content, time_s) VALUES (?1, ?2)", &st)
                 : store_change(s, "DELETE FROM favourites WHERE content = ?1", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    if (on)
        sqlite3_bind_double(st, 2, now_s());
    return store_done(s, st);
}

int sm_store_is_favourite(sm_store *s, int64_t content, bool *out)
{
    sqlite3_stmt *st = NULL;
    int64_t n = 0;
    int err = sql_cached(&s->sql, "SELECT count(*) FROM favourites WHERE content = ?", &st);
    *out = false;
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    err = store_ask(s, st, &n);
    *out = n > 0;
    return err;
}

int sm_store_collection(sm_store *s, const char *name, bool create, int64_t *id)
{
    sqlite3_stmt *st = NULL;
    *id = 0;
    int err = sql_cached(&s->sql, "SELECT id FROM collections WHERE name = ?", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, name);
    err = store_ask(s, st, id);
    if (err < 0 || *id > 0 || !create)
        return err;
    if ((err = store_change(s, "INSERT INTO collections (name) VALUES (?)", &st)) < 0)
        return err;
    sql_bind_text(st, 1, name);
    if ((err = store_done(s, st)) == 0)
        *id = sqlite3_last_insert_rowid(s->sql.db);
    return err;
}

int sm_store_collection_remove(sm_store *s, int64_t id)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "DELETE FROM collections WHERE id = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, id);
    return store_done(s, st);
}

int sm_store_collection_put(sm_store *s, int64_t id, int64_t content, bool in)
{
    sqlite3_stmt *st = NULL;
    int err = in ? store_change(s, "INSERT OR IGNORE INTO collection_items (collection, content) VALUES (?, ?)", &st)
                 : store_change(s, "DELETE FROM collection_items WHERE collection = ? AND content = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, id);
    sqlite3_bind_int64(st, 2, content);
    return store_done(s, st);
}

typedef struct {
    sm_collection_fn fn;
    void *user;
} collection_walk;

static int give_collection(void *user, sqlite3_stmt *st)
{
    const collection_walk *w = user;
    return w->fn(w->user, sqlite3_column_int64(st, 0), sql_text(st, 1), sqlite3_column_int64(st, 2));
}

int sm_store_each_collection(sm_store *s, sm_collection_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    collection_walk w = { fn, user };
    const int err = sql_prepare(&s->sql,
                                "SELECT id, name, (SELECT count(*) FROM collection_items WHERE collection = id)"
                                " FROM collections ORDER BY name",
                                &st);
    return err < 0 ? err : store_walk(s, st, give_collection, &w);
}

int sm_store_collection_items(sm_store *s, int64_t id, sm_id_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    const int err = prepare_of(s, id, "SELECT content FROM collection_items WHERE collection = ? ORDER BY content",
                               "SELECT content FROM favourites ORDER BY time_s, content", &st);
    return err < 0 ? err : store_walk_ids(s, st, fn, user);
}

/* ---- a file that was edited in place ---- */

int sm_store_inherit(sm_store *s, int64_t from, int64_t to)
{
    static const char *const copies[] = {
        "INSERT OR IGNORE INTO corrections SELECT ?2, field, value, time_s FROM corrections WHERE content = ?1",
        "INSERT OR IGNORE INTO tags SELECT ?2, tag, by FROM tags WHERE content = ?1",
        "INSERT OR IGNORE INTO favourites SELECT ?2, time_s FROM favourites WHERE content = ?1",
        "INSERT OR IGNORE INTO collection_items SELECT collection, ?2 FROM collection_items WHERE content = ?1",
    };
    bool own = false;
    int err = sm_store_begin(s, &own);
    for (size_t i = 0; i < SM_LENGTH(copies) && err == 0; i++) {
        sqlite3_stmt *st = NULL;
        if ((err = store_change(s, copies[i], &st)) < 0)
            break;
        sqlite3_bind_int64(st, 1, from);
        sqlite3_bind_int64(st, 2, to);
        err = store_done(s, st);
    }
    if (err == 0)
        err = store_apply_corrections(s, to);
    return sm_store_end(s, own, err);
}
