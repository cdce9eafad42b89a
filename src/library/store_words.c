/* The word index (FTS5), and sets of contents by what the user said or where their files are. */
#include <string.h>

#include "library/columns.h"
#include "library/store_internal.h"
#include "library/words.h"

/* A file that may be shown: listed or analysed, with its content known. */
#define LIVE "state IN (0, 1)"

/* ---- ids and places ---- */

static int each_id(sm_store *s, const char *sql, const char *text, sm_id_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    const int err = sql_prepare(&s->sql, sql, &st);
    if (err < 0)
        return err;
    if (text)
        sql_bind_text(st, 1, text);
    return store_walk_ids(s, st, fn, user);
}

int sm_store_tagged(sm_store *s, const char *tag, sm_id_fn fn, void *user)
{
    return each_id(s,
                   tag ? "SELECT DISTINCT content FROM tags WHERE tag = ? COLLATE NOCASE"
                       : "SELECT DISTINCT content FROM tags",
                   tag, fn, user);
}

int sm_store_collected(sm_store *s, const char *collection, sm_id_fn fn, void *user)
{
    return each_id(s,
                   collection ? "SELECT i.content FROM collections c JOIN collection_items i ON i.collection = c.id"
                                " WHERE c.name = ? COLLATE NOCASE"
                              : "SELECT DISTINCT content FROM collection_items",
                   collection, fn, user);
}

int sm_store_favourites(sm_store *s, sm_id_fn fn, void *user)
{
    return each_id(s, "SELECT content FROM favourites", NULL, fn, user);
}

static void bind_folder(sqlite3_stmt *st, int64_t folder)
{
    sqlite3_bind_int64(st, 1, folder << 24);
    sqlite3_bind_int64(st, 2, (folder + 1) << 24);
}

int sm_store_in_folder(sm_store *s, int64_t folder, sm_id_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    int err = sql_cached(&s->sql,
                         "SELECT content FROM files WHERE id >= ? AND id < ? AND content IS NOT NULL AND " LIVE, &st);
    if (err < 0)
        return err;
    bind_folder(st, folder);
    err = store_rows_ids(s, st, fn, user);
    sqlite3_reset(st);
    return err;
}

typedef struct {
    sm_place_fn place;
    sm_member_fn member;
    void *user;
} place_walk;

static int give_place(void *user, sqlite3_stmt *st)
{
    const place_walk *w = user;
    return w->place(w->user, sql_text(st, 0), sql_text(st, 1));
}

int sm_store_places(sm_store *s, int64_t content, sm_place_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    place_walk w = { .place = fn, .user = user };
    int err = sql_cached(&s->sql,
                         "SELECT d.path, f.name FROM files f JOIN folders d ON d.id = f.id >> 24"
                         " WHERE f.content = ? AND f." LIVE,
                         &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    err = store_rows(s, st, give_place, &w);
    sqlite3_reset(st);
    return err;
}

static int give_member(void *user, sqlite3_stmt *st)
{
    const place_walk *w = user;
    return w->member(w->user, sqlite3_column_int64(st, 0), sql_text(st, 1));
}

int sm_store_members(sm_store *s, int64_t folder, sm_member_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    place_walk w = { .member = fn, .user = user };
    int err = sql_cached(&s->sql,
                         "SELECT content, name FROM files WHERE id >= ? AND id < ? AND content IS NOT NULL AND " LIVE
                         " ORDER BY name",
                         &st);
    if (err < 0)
        return err;
    bind_folder(st, folder);
    err = store_rows(s, st, give_member, &w);
    sqlite3_reset(st);
    return err;
}

/* ---- asking the index ---- */

int sm_store_words_find(sm_store *s, unsigned in, const char *expression, sm_id_fn fn, void *user)
{
    static const char *const columns[] = { "tags", "description", "name", "folder" };
    sm_buffer match = { 0 };
    sm_buffer_text(&match, "{");
    for (size_t c = 0; c < SM_LENGTH(columns); c++)
        if (in >> c & 1)
            sm_buffer_printf(&match, " %s", columns[c]);
    sm_buffer_printf(&match, " } : (%s)", expression);
    const int err =
        match.failed ? SM_ENOMEM : each_id(s, "SELECT rowid FROM words WHERE words MATCH ?", match.data, fn, user);
    sm_buffer_free(&match);
    return err;
}

/* ---- filling it ---- */

typedef struct {
    const thesaurus *t;
    sm_strings roots;
    sm_buffer name, folder;
} place_words;

static int note_root(void *user, const char *path)
{
    return sm_strings_add(user, path);
}

/* Of a folder's path what lies in the folder that was scanned, and the last part of that one's own name; of others the last three. */
static const char *telling_part(const sm_strings *roots, const char *folder)
{
    const char *best = NULL, *at;
    for (size_t i = 0; i < roots->length; i++) {
        const size_t n = strlen(roots->items[i]);
        if (n > 1 && !strncmp(folder, roots->items[i], n) && (!folder[n] || folder[n] == '/') &&
            (!best || folder + n > best))
            best = folder + n;
    }
    at = best ? best : folder + strlen(folder);
    for (int parts = best ? 1 : 3; at > folder && parts > 0;)
        parts -= *--at == '/';
    return at;
}

static int add_place(void *user, const char *folder, const char *name)
{
    place_words *w = user;
    words_cut_name(name, w->t, &w->name);
    words_cut(telling_part(&w->roots, folder), w->t, &w->folder);
    return w->name.failed || w->folder.failed ? SM_ENOMEM : 0;
}

typedef struct {
    const thesaurus *t;
    sm_buffer *text;
} tag_words;

static int add_tag(void *user, int64_t content, const char *tag, const char *by)
{
    tag_words *w = user;
    (void)content;
    (void)by;
    words_cut(tag, w->t, w->text);
    return w->text->failed ? SM_ENOMEM : 0;
}

/* Title, comment, genre and the like of the file itself. Most records have none, which is seen without reading them whole. */
static int describe(sm_store *s, int64_t content, const thesaurus *t, sm_buffer *out)
{
    static const char *const keys[] = { "title", "comment", "description", "genre",   "artist",
                                        "album", "mood",    "keywords",    "grouping" };
    sm_buffer json = { 0 };
    int err = sm_store_record(s, content, &json);
    if (err == SM_ENOTFOUND)
        err = 0;
    const char *at = err == 0 && json.data ? strstr(json.data, "\"file_tags\":[") : NULL;
    json_t *tags = at ? json_loads(at + strlen("\"file_tags\":"), JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *key = json_string_value(json_array_get(json_array_get(tags, i), 0));
        const char *value = json_string_value(json_array_get(json_array_get(tags, i), 1));
        for (size_t k = 0; k < SM_LENGTH(keys) && key && value && strlen(value) < 4096; k++)
            if (!strcmp(key, keys[k]))
                words_cut(value, t, out);
    }
    json_decref(tags);
    sm_buffer_free(&json);
    return err < 0 ? err : out->failed ? SM_ENOMEM : 0;
}

static int replace(sm_store *s, int64_t content, const place_words *w, const sm_buffer *tags,
                   const sm_buffer *description)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "DELETE FROM words WHERE rowid = ?", &st);
    if (err == 0) {
        sqlite3_bind_int64(st, 1, content);
        err = store_done(s, st);
    }
    if (err < 0 || !w->name.data)
        return err;
    err = store_change(s, "INSERT INTO words (rowid, tags, description, name, folder) VALUES (?, ?, ?, ?, ?)", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    sql_bind_text(st, 2, tags->data);
    sql_bind_text(st, 3, description->data);
    sql_bind_text(st, 4, w->name.data);
    sql_bind_text(st, 5, w->folder.data);
    return store_done(s, st);
}

int sm_store_words_put(sm_store *s, int64_t content, const thesaurus *t)
{
    place_words w = { .t = t };
    sm_buffer tags = { 0 }, description = { 0 };
    tag_words tag = { t, &tags };
    int err = sm_store_each_root(s, note_root, &w.roots);
    if (err == 0)
        err = sm_store_places(s, content, add_place, &w);
    if (err == 0 && w.name.data)
        err = sm_store_tags_of(s, content, add_tag, &tag);
    if (err == 0 && w.name.data)
        err = describe(s, content, t, &description);
    if (err == 0)
        err = replace(s, content, &w, &tags, &description);
    sm_strings_free(&w.roots);
    sm_buffer_free(&w.name);
    sm_buffer_free(&w.folder);
    sm_buffer_free(&tags);
    sm_buffer_free(&description);
    return err;
}

/* ---- what is not in it: files that wait for their analysis ---- */

typedef struct {
    place_words words;
    int64_t folder_id; /* whose words are in words.folder */
    sm_waiting_fn fn;
    void *user;
} waiting_walk;

static int give_waiting(void *user, sqlite3_stmt *st)
{
    waiting_walk *w = user;
    const sm_waiting_file f = { .id = sqlite3_column_int64(st, 0),
                                .size = sqlite3_column_int64(st, 1),
                                .name = sql_text(st, 2),
                                .folder = sql_text(st, 3) };
    sm_waiting_file out = f;
    if (f.id >> 24 != w->folder_id) {
        w->folder_id = f.id >> 24;
        w->words.folder.length = 0;
        sm_buffer_text(&w->words.folder, "");
        words_cut(telling_part(&w->words.roots, f.folder), w->words.t, &w->words.folder);
    }
    w->words.name.length = 0;
    sm_buffer_text(&w->words.name, "");
    words_cut_name(f.name, w->words.t, &w->words.name);
    if (w->words.name.failed || w->words.folder.failed)
        return SM_ENOMEM;
    out.folder_words = w->words.folder.data;
    out.name_words = w->words.name.data;
    return w->fn(w->user, &out);
}

int sm_store_each_waiting(sm_store *s, const thesaurus *t, sm_waiting_fn fn, void *user)
{
    waiting_walk w = { .words = { .t = t }, .fn = fn, .user = user };
    sm_buffer state = { 0 };
    sqlite3_stmt *st = NULL;
    int err = sm_store_state_get(s, SM_WAITING_STATE, &state);
    const bool some = err == 0 && state.data && !strcmp(state.data, "1");
    sm_buffer_free(&state);
    if (err < 0 || !some)
        return err;
    err = sm_store_each_root(s, note_root, &w.words.roots);
    if (err == 0)
        err = sql_prepare(&s->sql,
                          "SELECT f.id, f.size, f.name, d.path FROM files f JOIN folders d ON d.id = f.id >> 24"
                          " WHERE f.state = 0 AND f.content IS NULL ORDER BY f.id",
                          &st);
    if (err == 0)
        err = store_walk(s, st, give_waiting, &w);
    sm_strings_free(&w.words.roots);
    sm_buffer_free(&w.words.name);
    sm_buffer_free(&w.words.folder);
    return err;
}
