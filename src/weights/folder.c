/* A folder of weights, as publishers lay them out: the files of one model side by side (model.safetensors, its shards, or a checkpoint), else
 * one folder a part, as diffusers keeps a pipeline. Of parts the tensors are called PART/NAME, of shards as in the files. */
#include <string.h>
#include <unistd.h>

#include "weights/store.h"

enum { MOST_FILES = 64 };

/* DIR/PART/x.safetensors for each part that has exactly one; sorted. */
static int find_files(const char *dir, sm_strings *paths, sm_strings *names)
{
    sm_strings parts = { 0 };
    int err = sm_list_directory(dir, &parts);
    for (size_t i = 0; i < parts.length && err == 0; i++) {
        sm_strings files = { 0 };
        char *part = sm_printf_new("%s/%s", dir, parts.items[i]), *file = NULL;
        size_t found = 0;
        err = !part ? SM_ENOMEM : sm_is_directory(part) ? sm_list_directory(part, &files) : 0;
        for (size_t k = 0; k < files.length; k++)
            if (sm_text_has_suffix(files.items[k], ".safetensors") && found++ == 0)
                file = sm_printf_new("%s/%s", part, files.items[k]);
        if (err == 0 && found > 0 && !file)
            err = SM_ENOMEM;
        if (err == 0 && found > 1)
            err = sm_fail(SM_EUNSUPPORTED, "%s holds %zu files of weights; one is expected", part, found);
        if (err == 0 && found == 1 && (err = sm_strings_add(paths, file)) == 0)
            err = sm_strings_add(names, parts.items[i]);
        sm_free(file);
        sm_free(part);
        sm_strings_free(&files);
    }
    sm_strings_free(&parts);
    if (err == 0 && paths->length > MOST_FILES)
        err = sm_fail(SM_ELIMIT, "%s: %zu files of weights", dir, paths->length);
    if (err == 0 && paths->length == 0)
        err = sm_fail(SM_EIO, "%s is a folder without a file of weights, or folders with one each, in it", dir);
    return err;
}

/* "model-00002-of-00003.safetensors": which of how many; false: no such name. */
static bool shard_number(const char *name, int *which, int *of)
{
    const char *dash = strstr(name, "-of-");
    int length = 0;
    if (!dash || dash - name < 6 || !sm_text_has_suffix(name, ".safetensors"))
        return false;
    return sscanf(dash - 6, "-%5d-of-%5d%n", which, of, &length) == 2 && !strcmp(dash - 6 + length, ".safetensors") &&
           *which > 0 && *which <= *of;
}

/* The files that lie in the folder itself, none or: one, or all shards. */
static int find_beside(const char *dir, sm_strings *paths)
{
    static const char *const checkpoints[] = { "model.ckpt", "state_dict.bin", "pytorch_model.bin" };
    sm_strings files = { 0 };
    const char *one = NULL;
    size_t n_others = 0;
    int which, of, expected = 0, n_shards = 0, err = sm_list_directory(dir, &files);
    for (size_t i = 0; i < files.length && err == 0; i++) {
        const char *name = files.items[i];
        if (shard_number(name, &which, &of)) {
            expected = of;
            n_shards++;
        } else if (sm_text_has_suffix(name, ".safetensors")) {
            n_others++;
            if (!one || !strcmp(name, "model.safetensors"))
                one = name;
        }
    }
    const bool named = one && !strcmp(one, "model.safetensors");
    if (err == 0 && one && n_others > 1 && !named)
        err = sm_fail(SM_EUNSUPPORTED, "%s holds %zu files of weights; name one of them", dir, n_others);
    if (err == 0 && !one && n_shards != expected)
        err = sm_fail(SM_EFORMAT, "%s holds %d of the %d files of its weights", dir, n_shards, expected);
    for (size_t k = 0; k < SM_LENGTH(checkpoints) && err == 0 && !one && n_shards == 0; k++)
        for (size_t i = 0; i < files.length && !one; i++)
            if (!strcmp(files.items[i], checkpoints[k]))
                one = files.items[i];
    for (size_t i = 0; i < files.length && err == 0; i++)
        if (one ? files.items[i] == one : shard_number(files.items[i], &which, &of)) {
            char *path = sm_printf_new("%s/%s", dir, files.items[i]);
            err = path ? sm_strings_add(paths, path) : SM_ENOMEM;
            sm_free(path);
        }
    sm_strings_free(&files);
    return err;
}

int sm_weights_folder_files(const char *dir, sm_strings *paths)
{
    sm_strings names = { 0 };
    int err = find_beside(dir, paths);
    if (err == 0 && paths->length == 0)
        err = find_files(dir, paths, &names);
    sm_strings_free(&names);
    return err;
}

char *sm_weights_beside(const sm_weights *w, const char *name)
{
    const char *own = sm_path_name(w->label);
    return sm_is_directory(w->label) ? sm_printf_new("%s/%s", w->label, name)
                                     : sm_printf_new("%.*s%s", (int)(own - w->label), w->label, name);
}

/* All tensors of a part, which w keeps open. */
static int take_part(sm_weights *w, sm_weights *part, const char *name)
{
    int err = 0;
    for (size_t i = 0; i < sm_weights_count(part) && err == 0; i++) {
        nn_tensor t;
        w_tensor own = { .scale_axis = -1 };
        if ((err = sm_weights_at(part, i, &t)) < 0)
            break;
        own.name = sm_arena_printf(w->arena, "%s%s%s", name, *name ? "/" : "", sm_weights_name(part, i));
        own.type = t.type;
        own.shape = t.shape;
        own.bytes = t.data;
        own.scale = t.scale;
        own.zero = t.zero;
        own.scale_axis = t.scale_axis;
        err = own.name ? w_add(w, &own) : w_no_memory();
    }
    return err;
}

int w_folder_open(const char *dir, sm_weights **out)
{
    sm_strings paths = { 0 }, names = { 0 };
    sm_weights *w = NULL;
    size_t size = 0;
    *out = NULL;
    int err = find_beside(dir, &paths);
    if (err == 0 && paths.length == 1) { /* as if it had been named itself */
        err = sm_weights_open(paths.items[0], out);
        sm_strings_free(&paths);
        return err;
    }
    for (size_t i = 0; i < paths.length && err == 0; i++)
        err = sm_strings_add(&names, "");
    if (err == 0 && paths.length == 0)
        err = find_files(dir, &paths, &names);
    if (err == 0 && paths.length > MOST_FILES)
        err = sm_fail(SM_ELIMIT, "%s: %zu files of weights", dir, paths.length);
    if (err == 0 && !(w = w_new(dir)))
        err = w_no_memory();
    if (err == 0 && !(w->joined = sm_alloc_zero(paths.length, sizeof(sm_weights *))))
        err = SM_ENOMEM;
    for (size_t i = 0; i < paths.length && err == 0; i++)
        if ((err = sm_weights_open(paths.items[i], &w->joined[i])) == 0) {
            w->n_joined++;
            size += w->joined[i]->size;
        }
    if (err == 0) {
        w->format = "safetensors";
        w_set_data(w, NULL, size); /* only for the budget: every tensor lies in its part's file */
    }
    for (size_t i = 0; i < paths.length && err == 0; i++)
        err = take_part(w, w->joined[i], names.items[i]);
    sm_strings_free(&paths);
    sm_strings_free(&names);
    if (err < 0)
        sm_weights_close(w);
    else
        *out = w;
    return err;
}
