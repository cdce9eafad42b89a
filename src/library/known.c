/* Records of files, from the library or made now. */
#include "library/known.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/engine.h"
#include "library/correction.h"
#include "library/dupes_parts.h"

struct sm_known {
    sm_store *store;
    sm_engine *engine; /* opened when the first file has to be analysed */
    char *models;
};

int sm_known_open(const char *library, bool create, const char *models, sm_known **out)
{
    sm_known *k = *out = sm_alloc_zero(1, sizeof *k);
    int err = k ? 0 : SM_ENOMEM;
    *out = NULL;
    if (err == 0 && models && !(k->models = sm_strdup(models)))
        err = SM_ENOMEM;
    if (err == 0 && library) {
        err = sm_store_open(library, create ? SM_STORE_CREATE : SM_STORE_READ, &k->store);
        if (err == SM_ENOTFOUND && !create)
            err = 0;
    }
    if (err < 0)
        sm_known_close(k);
    else
        *out = k;
    return err;
}

void sm_known_close(sm_known *k)
{
    if (!k)
        return;
    sm_engine_close(k->engine);
    sm_store_close(k->store);
    sm_free(k->models);
    sm_free(k);
}

sm_store *sm_known_store(sm_known *k)
{
    return k->store;
}

/* ---- the library's word ---- */

typedef struct {
    struct stat st;
    int64_t content, before; /* of the file as it is; what it was when it was analysed */
} match;

static int compare_file(void *user, const sm_file_row *f)
{
    match *m = user;
    const int64_t mtime = (int64_t)m->st.st_mtim.tv_sec * 1000000000 + m->st.st_mtim.tv_nsec;
    if (f->state == SM_FILE_ANALYSED && f->size == m->st.st_size && f->mtime_ns == mtime)
        m->content = f->content;
    else if (f->state == SM_FILE_ANALYSED || f->state == SM_FILE_LISTED)
        m->before = f->content;
    return 0;
}

/* Other bytes, the same sound: only its tags differ, and all that is known of it holds. */
static int sounds_as_before(sm_known *k, const char *path, match *m)
{
    sm_dupe_sound now = { 0 };
    sm_content_row row;
    uint8_t hash[SM_HASH_BYTES];
    int err = sm_store_content_get(k->store, m->before, &row);
    if (err == 0)
        err = sm_dupe_read(path, &now);
    if (err == 0 && sm_hash_from_hex(now.audio_hash, hash) && !memcmp(hash, row.audio_hash, SM_HASH_BYTES))
        m->content = m->before;
    sm_print_free(&now.print);
    return err == SM_ENOMEM ? err : 0; /* what cannot be read is told by who wants to read it */
}

int sm_known_content(sm_known *k, const char *path, int64_t *content)
{
    match m = { .content = 0 };
    *content = 0;
    if (!k->store || stat(path, &m.st) < 0)
        return 0;
    char *absolute = realpath(path, NULL); /* memory of the C library */
    int err = absolute ? sm_store_file_find(k->store, absolute, compare_file, &m) : SM_ENOTFOUND;
    free(absolute);
    if (err == 0 && m.content == 0 && m.before > 0)
        err = sounds_as_before(k, path, &m);
    *content = m.content;
    return err == SM_ENOTFOUND ? 0 : err;
}

static int parse(const char *text, json_t **out)
{
    *out = json_loads(text, 0, NULL);
    return *out ? 0 : sm_fail(SM_EFORMAT, "a record that is no JSON");
}

static int recall(sm_known *k, int64_t content, const char *path, json_t **out)
{
    sm_buffer text = { 0 };
    struct stat st;
    int err = sm_store_record(k->store, content, &text);
    if (err == 0)
        err = text.failed ? SM_ENOMEM : parse(text.data, out);
    if (err == 0)
        err = sm_corrections_apply(k->store, content, *out);
    if (err == 0 && sm_utf8_valid(path, strlen(path)))
        json_object_set_new(*out, "path", json_string(path)); /* a copy has the first one's record */
    if (err == 0 && stat(path, &st) == 0)                     /* and one with other tags the old one's size */
        json_object_set_new(*out, "file_bytes", json_integer(st.st_size));
    if (err < 0) {
        json_decref(*out);
        *out = NULL;
    }
    sm_buffer_free(&text);
    return err;
}

static int analyse(sm_known *k, const char *path, json_t **out)
{
    sm_record *record = NULL;
    int err = 0;
    if (!k->engine) {
        sm_options o;
        sm_options_init(&o);
        o.models = k->models;
        err = sm_engine_open(&o, &k->engine);
    }
    if (err == 0)
        err = sm_analyze_file(k->engine, path, &record);
    if (err == 0)
        err = parse(sm_record_json(record), out);
    sm_record_free(record);
    return err;
}

int sm_known_record_of(sm_known *k, const char *path, int64_t content, json_t **out)
{
    *out = NULL;
    return content > 0 ? recall(k, content, path, out) : analyse(k, path, out);
}

int sm_known_record(sm_known *k, const char *path, json_t **out, int64_t *content)
{
    *out = NULL;
    const int err = sm_known_content(k, path, content);
    return err < 0 ? err : sm_known_record_of(k, path, *content, out);
}

/* ---- all of it ---- */

typedef struct {
    sm_known *k;
    sm_strings *out;
    char *folder;
} listing;

static int add_file(void *user, const sm_file_row *f)
{
    listing *l = user;
    if (f->state != SM_FILE_ANALYSED && f->state != SM_FILE_LISTED)
        return 0;
    char *path = sm_printf_new("%s/%s", strcmp(l->folder, "/") ? l->folder : "", f->name);
    const int err = path ? sm_strings_add(l->out, path) : SM_ENOMEM;
    sm_free(path);
    return err;
}

static int add_folder(void *user, int64_t id, const char *path)
{
    listing *l = user;
    l->folder = sm_strdup(path); /* the walk's own may go while files are asked for */
    const int err = l->folder ? sm_store_files_in(l->k->store, id, add_file, l) : SM_ENOMEM;
    sm_free(l->folder);
    return err;
}

int sm_known_files(sm_known *k, sm_strings *out)
{
    listing l = { .k = k, .out = out };
    if (!k->store)
        return sm_fail(SM_ENOTFOUND, "there is no library; samplemind scan DIR makes one");
    const int err = sm_store_each_folder(k->store, NULL, add_folder, &l);
    if (err == 0)
        sm_strings_sort(out);
    return err;
}

/* ---- values ---- */

const char *sm_known_text(const json_t *record, const char *field)
{
    return json_string_value(json_object_get(record, field));
}

double sm_known_number(const json_t *record, const char *field)
{
    const json_t *v = json_object_get(record, field);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

void sm_key_short(const char *key, char out[8])
{
    const char *space = key ? strchr(key, ' ') : NULL;
    out[0] = 0;
    if (key && !space)
        snprintf(out, 8, "%.3s", key); /* as the user wrote it: "Am" */
    else if (key && (!strcmp(space, " minor") || !strcmp(space, " major")) && space - key <= 2)
        snprintf(out, 8, "%.*s%s", (int)(space - key), key, space[2] == 'i' ? "m" : "");
}
