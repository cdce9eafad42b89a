/* A library that is open: where it is, what it says of a file. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "library/correction.h"
#include "library/library.h"
#include "library/scan.h"

char *sm_library_path(const char *given)
{
    if (given)
        return sm_strdup(given);
    char *data = sm_data_directory();
    char *path = data ? sm_printf_new("%s/library", data) : NULL;
    sm_free(data);
    return path;
}

int sm_library_open(const char *folder, sm_library_mode mode, sm_library **out)
{
    static const sm_store_mode modes[] = {
        [SM_LIBRARY_READ] = SM_STORE_READ, [SM_LIBRARY_WRITE] = SM_STORE_WRITE, [SM_LIBRARY_CREATE] = SM_STORE_CREATE
    };
    *out = NULL;
    if ((size_t)mode >= SM_LENGTH(modes))
        return sm_fail(SM_EUSAGE, "no mode %d of opening a library", (int)mode);
    char *path = sm_library_path(folder);
    sm_library *l = path ? sm_alloc_zero(1, sizeof *l) : NULL;
    int err = l ? 0 : path ? SM_ENOMEM : sm_fail(SM_ENOTFOUND, "no home folder is known; name the library's folder");
    if (err == 0)
        err = sm_store_open(path, modes[mode], &l->store);
    sm_free(path);
    if (err < 0)
        sm_library_close(l);
    else
        *out = l;
    return err;
}

void sm_library_close(sm_library *l)
{
    if (!l)
        return;
    sm_store_close(l->store);
    sm_buffer_free(&l->text);
    sm_free(l);
}

const char *sm_library_folder(const sm_library *l)
{
    return sm_store_folder(l->store);
}

sm_store *sm_library_store(sm_library *l)
{
    return l->store;
}

/* ---- the record of a file ---- */

typedef struct {
    sm_file_row row;
    char reason[256];
} found_file;

static int take_file(void *user, const sm_file_row *f)
{
    found_file *out = user;
    out->row = *f;
    snprintf(out->reason, sizeof out->reason, "%s", f->reason ? f->reason : "");
    return 0;
}

int library_content(sm_library *l, const char *path, int64_t *content)
{
    found_file f = { 0 };
    char *real = realpath(path, NULL);
    const int err = sm_store_file_find(l->store, real ? real : path, take_file, &f);
    free(real);
    *content = f.row.content;
    if (err < 0)
        return err;
    if (f.row.state == SM_FILE_BROKEN)
        return sm_fail(SM_ENOTFOUND, "%s: it is broken: %s", path, f.reason);
    if (f.row.state == SM_FILE_LISTED || *content == 0)
        return sm_fail(SM_ENOTFOUND, "%s: it is in the library, and not analysed yet; samplemind scan does it", path);
    return 0;
}

int sm_library_record(sm_library *l, const char *path, const char **json)
{
    sm_buffer kept = { 0 };
    json_t *record = NULL;
    char *text = NULL;
    int64_t content = 0;
    *json = NULL;
    int err = library_content(l, path, &content);
    if (err == 0)
        err = sm_store_record(l->store, content, &kept);
    if (err == 0 && !(record = json_loads(kept.data, 0, NULL)))
        err = sm_fail(SM_EFORMAT, "%s: its record is damaged", path);
    if (err == 0 && sm_utf8_valid(path, strlen(path))) /* it was analysed under the name of a copy, perhaps */
        json_object_set_new(record, "path", json_string(path));
    if (err == 0)
        err = sm_corrections_apply(l->store, content, record);
    if (err == 0 && !(text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(9))))
        err = sm_fail(SM_ENOMEM, "%s: no memory for its record", path);
    if (err == 0) {
        l->text.length = 0;
        sm_buffer_text(&l->text, text);
        err = l->text.failed ? SM_ENOMEM : 0;
    }
    if (err == 0)
        *json = l->text.data;
    free(text);
    json_decref(record);
    sm_buffer_free(&kept);
    return err;
}

/* ---- broken files ---- */

typedef struct {
    sm_library *library;
    sm_broken_fn fn;
    void *user;
} broken_walk;

static int give_broken(void *user, const sm_file_row *f)
{
    const broken_walk *w = user;
    sm_buffer path = { 0 };
    int err = sm_store_file_path(w->library->store, f->id, &path);
    if (err == 0)
        err = w->fn(w->user, path.data, f->reason ? f->reason : "");
    sm_buffer_free(&path);
    return err;
}

int sm_library_each_broken(sm_library *l, sm_broken_fn fn, void *user)
{
    broken_walk w = { l, fn, user };
    return sm_store_files_in_state(l->store, SM_FILE_BROKEN, give_broken, &w);
}

int sm_library_check(sm_library *l, sm_sentence_fn fn, void *user)
{
    sm_strings problems = { 0 };
    int err = sm_store_check(l->store, &problems);
    for (size_t i = 0; i < problems.length && err >= 0; i++)
        err = fn(user, problems.items[i]);
    sm_strings_free(&problems);
    return err < 0 ? err : 0;
}
