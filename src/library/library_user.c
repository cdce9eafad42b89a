/* The user's word through the library: corrections, words, favourites, collections. */
#include <string.h>

#include "library/library.h"
#include "library/scan.h"

int sm_library_correct(sm_library *l, const char *path, const char *field, const char *value)
{
    int64_t content = 0;
    const int err = library_content(l, path, &content);
    return err < 0 ? err : sm_store_correct(l->store, content, field, value);
}

int sm_library_tag(sm_library *l, const char *path, const char *word, int in)
{
    int64_t content = 0;
    const int err = library_content(l, path, &content);
    if (err < 0)
        return err;
    return in ? sm_store_tag_add(l->store, content, word, "user") : sm_store_tag_remove(l->store, content, word, NULL);
}

int sm_library_favourite(sm_library *l, const char *path, int in)
{
    int64_t content = 0;
    const int err = library_content(l, path, &content);
    return err < 0 ? err : sm_store_favourite(l->store, content, in != 0);
}

/* ---- collections ---- */

static int find_collection(sm_library *l, const char *name, bool create, int64_t *id)
{
    if (!*name || strchr(name, '"') || !sm_utf8_valid(name, strlen(name))) /* queries quote it */
        return sm_fail(SM_EUSAGE, "a collection's name is a text of UTF-8 without quotes");
    const int err = sm_store_collection(l->store, name, create, id);
    return err == 0 && *id == 0 ? sm_fail(SM_ENOTFOUND, "there is no collection \"%s\"", name) : err;
}

int sm_library_collect(sm_library *l, const char *collection, const char *path, int in)
{
    int64_t content = 0, id = 0;
    int err = library_content(l, path, &content); /* first: a file that is not known makes no collection */
    if (err == 0)
        err = find_collection(l, collection, in != 0, &id);
    return err < 0 ? err : sm_store_collection_put(l->store, id, content, in != 0);
}

int sm_library_collection_remove(sm_library *l, const char *collection)
{
    int64_t id = 0;
    const int err = find_collection(l, collection, false, &id);
    return err < 0 ? err : sm_store_collection_remove(l->store, id);
}

typedef struct {
    sm_collection_name_fn fn;
    void *user;
} name_walk;

static int give_name(void *user, int64_t id, const char *name, int64_t contents)
{
    const name_walk *w = user;
    (void)id;
    return w->fn(w->user, name, contents);
}

int sm_library_each_collection(sm_library *l, sm_collection_name_fn fn, void *user)
{
    name_walk w = { fn, user };
    return sm_store_each_collection(l->store, give_name, &w);
}

/* ---- corrections ---- */

typedef struct {
    sm_store *store;
    sm_corrected_fn fn;
    void *user;
} correction_walk;

static int first_file(void *user, const sm_file_row *f)
{
    int64_t *id = user;
    if (*id == 0)
        *id = f->id;
    return 0;
}

static int give_correction(void *user, int64_t content, const char *field, const char *value, double time_s)
{
    const correction_walk *w = user;
    sm_buffer path = { 0 };
    int64_t file = 0;
    (void)time_s;
    int err = sm_store_files_of(w->store, content, first_file, &file);
    if (err < 0 || file == 0)
        return err;
    err = sm_store_file_path(w->store, file, &path);
    if (err == 0)
        err = w->fn(w->user, path.data, field, value);
    sm_buffer_free(&path);
    return err;
}

int sm_library_each_correction(sm_library *l, sm_corrected_fn fn, void *user)
{
    correction_walk w = { l->store, fn, user };
    return sm_store_corrections_of(l->store, 0, give_correction, &w);
}
