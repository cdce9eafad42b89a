/* What the user corrected in a library, as labels that a person has confirmed. */
#include <string.h>

#include "engine/engine.h"
#include "train/dataset_parts.h"

typedef struct {
    sm_strings paths, labels;
} corrections;

static int note(void *user, const char *path, const char *field, const char *value)
{
    corrections *c = user;
    if (strcmp(field, "instrument") != 0 || !*value)
        return 0;
    const int err = sm_strings_add(&c->paths, path);
    return err < 0 ? err : sm_strings_add(&c->labels, value);
}

static int read_library(const char *folder, corrections *c)
{
    sm_library *l = NULL;
    int err = sm_library_open(folder, SM_LIBRARY_READ, &l);
    if (err == 0)
        err = sm_library_each_correction(l, note, c);
    sm_library_close(l);
    return err;
}

/* The person's word over what names say, once. */
static int confirm(sm_dataset *d, const char *path, const char *label)
{
    const char *name = sm_path_name(path);
    sm_item item;
    sm_arena *a = sm_arena_new();
    char *root = sm_strndup(path, SM_MAX((size_t)(name - path), 2) - 1);
    int err = a && root ? sm_dataset_find(d, root, name, a, &item) : SM_ENOMEM;
    if (err == 0 && !(item.verified && item.label && !strcmp(item.label, label)))
        err = sm_dataset_decide(d, item.id, label, false, "library");
    sm_free(root);
    sm_arena_free(a);
    return err == SM_ENOTFOUND ? 0 : err; /* left out as broken */
}

int sm_dataset_take_corrections(sm_dataset *d, const char *library, const sm_dataset_work *work, sm_dataset_result *out)
{
    corrections c = { 0 };
    *out = (sm_dataset_result){ 0 };
    int err = read_library(library, &c);
    for (size_t i = 0; i < c.paths.length && err == 0; i++) {
        const sm_dataset_import_options o = { .work = *work, .label = c.labels.items[i], .licence = "own" };
        sm_dataset_result r;
        err = sm_dataset_import(d, c.paths.items[i], &o, &r);
        out->added += r.added;
        out->updated += r.updated;
        out->unchanged += r.unchanged;
        out->broken += r.broken;
        if (err == 0)
            err = confirm(d, c.paths.items[i], c.labels.items[i]);
    }
    sm_strings_free(&c.paths);
    sm_strings_free(&c.labels);
    return err;
}
