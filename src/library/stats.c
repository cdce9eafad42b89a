/* What a library has, as a JSON object. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/library.h"
#include "library/scan.h"

static void count(sm_json *j, const char *name, int64_t n)
{
    sm_json_key(j, name);
    sm_json_int(j, n);
}

typedef struct {
    int64_t files[4], bytes; /* by state; of those that are there */
} file_counts;

static int count_file(void *user, const sm_file_totals *t)
{
    file_counts *c = user;
    if ((size_t)t->state < SM_LENGTH(c->files)) {
        c->files[t->state] = t->files;
        c->bytes += t->state != SM_FILE_GONE ? t->bytes : 0;
    }
    return 0;
}

static int write_class(void *user, const char *value, int64_t contents)
{
    count(user, value, contents);
    return 0;
}

static int write_model(void *user, const char *name, const char *weights, int64_t contents)
{
    sm_json *j = user;
    if (name[0] == '#')
        return 0; /* a part of the scan */
    sm_json_begin_object(j);
    sm_json_key(j, "model");
    sm_json_string(j, name);
    sm_json_key(j, "weights");
    sm_json_string(j, weights);
    count(j, "sounds", contents);
    sm_json_end_object(j);
    return 0;
}

static int write_space(void *user, const sm_space_row *space, int64_t vectors)
{
    sm_json *j = user;
    sm_json_begin_object(j);
    sm_json_key(j, "space");
    sm_json_string(j, space->name);
    count(j, "version", space->version);
    count(j, "dims", space->dims);
    count(j, "sounds", vectors);
    sm_json_end_object(j);
    return 0;
}

static int write_root(void *user, const char *path)
{
    sm_json_string(user, path);
    return 0;
}

static int write_counts(sm_store *s, sm_json *j)
{
    file_counts c = { 0 };
    sm_store_totals t = { 0 };
    int err = sm_store_count_files(s, count_file, &c);
    if (err == 0)
        err = sm_store_count(s, &t);
    if (err < 0)
        return err;
    count(j, "files", c.files[SM_FILE_LISTED] + c.files[SM_FILE_ANALYSED] + c.files[SM_FILE_BROKEN]);
    count(j, "analysed", c.files[SM_FILE_ANALYSED]);
    count(j, "waiting", c.files[SM_FILE_LISTED]);
    count(j, "broken", c.files[SM_FILE_BROKEN]);
    count(j, "gone", c.files[SM_FILE_GONE]);
    count(j, "file_bytes", c.bytes);
    count(j, "folders", t.folders);
    count(j, "sounds", t.contents);
    sm_json_key(j, "duration_s");
    sm_json_f64(j, t.duration_s);
    count(j, "corrections", t.corrections);
    count(j, "tags", t.tags);
    count(j, "collections", t.collections);
    count(j, "favourites", t.favourites);
    count(j, "database_bytes", sm_store_bytes(s));
    return 0;
}

static int write_classes(sm_store *s, sm_json *j)
{
    static const char *const fields[] = { "kind", "instrument", "genre", "mood", "key" };
    int err = 0;
    for (size_t i = 0; i < SM_LENGTH(fields) && err == 0; i++) {
        sm_json_key(j, fields[i]);
        sm_json_begin_object(j);
        err = sm_store_count_values(s, sm_property_find(fields[i]), write_class, j);
        sm_json_end_object(j);
    }
    return err;
}

int sm_library_stats(sm_library *l, const char **json)
{
    sm_json j;
    *json = NULL;
    l->text.length = 0;
    sm_json_init(&j, &l->text, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "library");
    sm_json_string(&j, sm_store_folder(l->store));
    sm_json_key(&j, "scanned");
    sm_json_begin_array(&j);
    int err = sm_store_each_root(l->store, write_root, &j);
    sm_json_end_array(&j);
    if (err == 0)
        err = write_counts(l->store, &j);
    if (err == 0)
        err = write_classes(l->store, &j);
    sm_json_key(&j, "models");
    sm_json_begin_array(&j);
    if (err == 0)
        err = sm_store_count_outputs(l->store, write_model, &j);
    sm_json_end_array(&j);
    sm_json_key(&j, "spaces");
    sm_json_begin_array(&j);
    if (err == 0)
        err = sm_store_each_space(l->store, write_space, &j);
    sm_json_end_array(&j);
    sm_json_end_object(&j);
    if (err == 0 && l->text.failed)
        err = sm_fail(SM_ENOMEM, "no memory for the figures of a library");
    if (err == 0)
        *json = l->text.data;
    return err;
}
