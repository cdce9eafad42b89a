/* The models of this user: where they lie, how they come and go. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/download.h"
#include "engine/engine.h"

/* HOME/FOLDER/NAME ENDING; the caller's. */
static char *home_path(const char *home, const char *folder, const char *name, const char *ending)
{
    char *own = home && *home ? sm_strdup(home) : sm_data_directory();
    char *path = own ? sm_printf_new("%s/%s%s%s%s", own, folder, *name ? "/" : "", name, ending) : NULL;
    sm_free(own);
    return path;
}

char *sm_installed_path(const char *home, const char *name)
{
    return home_path(home, "models", name, ".safetensors");
}

char *sm_model_path(const char *home, const char *name, bool *there)
{
    size_t size = 0;
    char *path = sm_installed_path(home, name);
    bool found = path && access(path, F_OK) == 0;
    if (!found && sm_model_shipped(name, &size)) {
        sm_free(path);
        path = sm_printf_new("%s%s", SM_BUILT_IN, name);
        found = path != NULL;
    }
    if (there)
        *there = found;
    return path;
}

int sm_not_installed(int code, const sm_model *m)
{
    return m->n_sources > 0
               ? sm_fail(code, "its weights are not installed; get them with: samplemind models pull %s", m->name)
               : sm_fail(code, "its weights are not installed; if you have them: samplemind models import FILE");
}

int sm_model_named(const char *name, const sm_model **out)
{
    size_t n = 0;
    const sm_model *const *all = sm_models(&n);
    *out = sm_model_find(name);
    if (*out)
        return 0;
    const char **names = sm_alloc(n, sizeof *names);
    if (!names)
        return SM_ENOMEM;
    for (size_t i = 0; i < n; i++)
        names[i] = all[i]->name;
    const char *near = sm_text_nearest(name, names, n);
    sm_free(names);
    return near ? sm_fail(SM_EUSAGE, "there is no model \"%s\"; did you mean \"%s\"?", name, near)
                : sm_fail(SM_EUSAGE, "there is no model \"%s\"; samplemind models list shows all", name);
}

/* ---- pins: two lines, "source HEX" and "file HEX" ---- */

static int pin_write(const char *home, const sm_model *m, const char *source, const char *file)
{
    char *path = home_path(home, "models", m->name, ".pin");
    sm_outfile *f = NULL;
    int err = path ? sm_outfile_open(path, &f) : SM_ENOMEM;
    if (err == 0) {
        fprintf(sm_outfile_stream(f), "source %s\nfile %s\n", source, file);
        err = sm_outfile_commit(f);
    }
    sm_free(path);
    return err;
}

static int pin_read(const char *home, const sm_model *m, char source[65], char file[65])
{
    sm_buffer text = { 0 };
    char *path = home_path(home, "models", m->name, ".pin");
    int err = path ? sm_file_read(path, 4096, &text) : SM_ENOMEM;
    source[0] = file[0] = 0;
    if (err == 0 && sscanf(text.data, "source %64s file %64s", source, file) != 2)
        err = sm_fail(SM_EFORMAT, "%s: not two lines \"source HASH\" and \"file HASH\"; import the model again", path);
    sm_buffer_free(&text);
    sm_free(path);
    return err;
}

/* ---- what is installed ---- */

void sm_installed_free(sm_installed *i)
{
    sm_free(i->path);
    *i = (sm_installed){ 0 };
}

static void copy_meta(const sm_weights *w, const char *key, char *out, size_t size)
{
    const char *text = sm_weights_meta(w, key);
    snprintf(out, size, "%s", text ? text : "");
}

static int read_shipped(const sm_model *m, sm_installed *i)
{
    sm_weights *w = NULL;
    size_t size = 0;
    const void *data = sm_model_shipped(m->name, &size);
    const int err = sm_weights_open_memory(data, size, i->path, &w);
    if (err == 0) {
        i->bytes = (int64_t)size;
        copy_meta(w, "variant", i->variant, sizeof i->variant);
        snprintf(i->source_format, sizeof i->source_format, "built in");
    }
    sm_weights_close(w);
    return err;
}

static int read_installed(const char *home, const sm_model *m, sm_installed *i)
{
    struct stat s;
    sm_weights *w = NULL;
    if (stat(i->path, &s) < 0)
        return sm_fail_prefix(sm_not_installed(SM_ENOTFOUND, m), "%s", m->name);
    int err = sm_weights_open(i->path, &w);
    if (err == 0) {
        i->bytes = s.st_size;
        copy_meta(w, "variant", i->variant, sizeof i->variant);
        copy_meta(w, "source_format", i->source_format, sizeof i->source_format);
        const int unpinned = pin_read(home, m, i->source_sha256, i->file_sha256);
        if (unpinned == SM_ENOMEM)
            err = SM_ENOMEM;
        else if (unpinned < 0)
            copy_meta(w, "source_sha256", i->source_sha256, sizeof i->source_sha256);
    }
    sm_weights_close(w);
    return err;
}

int sm_installed_read(const char *home, const sm_model *m, sm_installed *out)
{
    sm_installed i = { .model = m, .path = sm_model_path(home, m->name, NULL) };
    *out = (sm_installed){ 0 };
    if (!i.path)
        return SM_ENOMEM;
    const bool built_in = !strncmp(i.path, SM_BUILT_IN, strlen(SM_BUILT_IN));
    const int err = built_in ? read_shipped(m, &i) : read_installed(home, m, &i);
    if (err == 0)
        *out = i;
    else
        sm_free(i.path);
    return err;
}

int sm_models_verify(const char *home, const sm_model *m)
{
    char source[65], pinned[65], now[65];
    char *path = sm_model_path(home, m->name, NULL);
    int err = path ? 0 : SM_ENOMEM;
    if (path && !strncmp(path, SM_BUILT_IN, strlen(SM_BUILT_IN))) { /* as whole as the program itself */
        sm_free(path);
        return 0;
    }
    if (err == 0 && access(path, F_OK) != 0)
        err = sm_fail_prefix(sm_not_installed(SM_ENOTFOUND, m), "%s", m->name);
    if (err == 0)
        err = pin_read(home, m, source, pinned);
    if (err == 0 && (err = sm_hash_file(SM_HASH_SHA256, path, now)) == 0 && strcmp(pinned, now) != 0)
        err = sm_fail(SM_EFORMAT,
                      "%s: %s has changed since it was imported (SHA-256 %.12s..., was %.12s...); get it again with: "
                      "samplemind models pull --force %s",
                      m->name, path, now, pinned, m->name);
    sm_free(path);
    return err;
}

int sm_models_remove(const char *home, const sm_model *m)
{
    char *path = sm_installed_path(home, m->name), *pin = home_path(home, "models", m->name, ".pin");
    int err = path && pin ? 0 : SM_ENOMEM;
    if (err == 0 && unlink(path) < 0)
        err = errno == ENOENT ? sm_fail(SM_ENOTFOUND, "%s: is not installed", m->name)
                              : sm_fail(SM_EIO, "%s: %s", path, strerror(errno));
    if (err == 0)
        unlink(pin);
    sm_free(path);
    sm_free(pin);
    return err;
}

/* ---- coming in ---- */

/* The first file that came in for a model is remembered; another one is only taken on purpose. */
static int check_pin(const char *home, const sm_model *m, const char *source, bool replace)
{
    char pinned[65], file[65];
    char *path = home_path(home, "models", m->name, ".pin");
    int err = path ? 0 : SM_ENOMEM;
    if (err == 0 && !replace && access(path, F_OK) == 0 && (err = pin_read(home, m, pinned, file)) == 0 &&
        strcmp(pinned, source) != 0)
        err = sm_fail(
            SM_EFORMAT,
            "%s: another file (SHA-256 %.12s...) than the one that was imported before (%.12s...); --force takes it",
            m->name, source, pinned);
    sm_free(path);
    return err;
}

int sm_hash_source(sm_hash_kind kind, const char *path, char out[65])
{
    sm_strings files = { 0 };
    sm_hasher *h = NULL;
    char one[65];
    if (!sm_is_directory(path))
        return sm_hash_file(kind, path, out);
    int err = sm_weights_folder_files(path, &files);
    if (err == 0)
        err = sm_hasher_new(kind, &h);
    for (size_t i = 0; i < files.length && err == 0; i++)
        if ((err = sm_hash_file(kind, files.items[i], one)) == 0)
            sm_hasher_add(h, one, strlen(one));
    if (err == 0)
        sm_hasher_hex(h, out);
    sm_hasher_free(h);
    sm_strings_free(&files);
    return err;
}

/* What a family needs besides, and often has in the same file or folder; `beside`: a file's name there. */
static const struct {
    const char *family;
    struct {
        const char *model, *beside;
    } needs[SM_COMPANIONS];
} companions[] = {
    { "musicgen-", { { "t5-base", NULL }, { "encodec", "compression_state_dict.bin" } } },
    { "stable-audio-", { { "t5-base", NULL } } },
};

size_t sm_model_companions(const sm_model *m, const sm_model *out[SM_COMPANIONS], const char *beside[SM_COMPANIONS])
{
    size_t n = 0;
    for (size_t i = 0; i < SM_LENGTH(companions); i++)
        for (size_t k = 0; k < SM_COMPANIONS && !strncmp(m->name, companions[i].family, strlen(companions[i].family));
             k++)
            if (companions[i].needs[k].model && (out[n] = sm_model_find(companions[i].needs[k].model))) {
                if (beside)
                    beside[n] = companions[i].needs[k].beside;
                n++;
            }
    return n;
}

static int install(const char *home, const sm_model *m, sm_weights *w, const char *variant, const sm_card *card,
                   const char *source, bool replace)
{
    char file[65];
    char *folder = home_path(home, "models", "", ""), *to = sm_installed_path(home, m->name);
    int err = folder && to ? check_pin(home, m, source, replace) : SM_ENOMEM;
    if (err == 0)
        err = sm_make_directories(folder);
    if (err == 0)
        err = sm_model_convert(m, w, variant, card, source, to);
    if (err == 0 && (err = sm_hash_file(SM_HASH_SHA256, to, file)) == 0)
        err = pin_write(home, m, source, file);
    sm_free(folder);
    sm_free(to);
    return err;
}

/* A companion from a file of its own beside the model's; not there, or one that only names another place: nothing to do. */
static int import_beside(const char *home, const sm_model *m, const sm_weights *w, const char *name, bool *done)
{
    sm_weights *own = NULL;
    sm_card *card = NULL;
    const sm_model *found = NULL;
    char variant[32], source[65];
    char *path = sm_weights_beside(w, name);
    int err = path ? 0 : SM_ENOMEM;
    if (err == 0 && access(path, F_OK) == 0 && (err = sm_weights_open(path, &own)) == 0 &&
        !sm_weights_meta(own, "pretrained")) {
        sm_weights_close(own);
        own = NULL;
        err = sm_model_open_file(path, &own, &card, &found, variant);
        if (err == 0 && found != m)
            err = sm_fail(SM_EFORMAT, "%s: %s holds the model %s", m->name, path, found->name);
        if (err == 0 && (err = sm_hash_source(SM_HASH_SHA256, path, source)) == 0)
            err = install(home, m, own, variant, card, source, true);
        *done = err == 0;
    }
    sm_card_free(card);
    sm_weights_close(own);
    sm_free(path);
    return err;
}

/* What the model needs besides and is not installed yet, from the same weights or beside them. */
static int import_companions(const char *home, const sm_model *m, sm_weights *w, const char *source, sm_strings *others)
{
    const sm_model *needs[SM_COMPANIONS];
    const char *beside[SM_COMPANIONS];
    const size_t n = sm_model_companions(m, needs, beside);
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        char variant[32] = "";
        bool there = true, done = false;
        sm_free(sm_model_path(home, needs[i]->name, &there));
        if (there)
            continue;
        if (needs[i]->recognise(needs[i], w, NULL, NULL, variant)) {
            err = install(home, needs[i], w, variant, NULL, source, true);
            done = err == 0;
        } else if (beside[i]) {
            err = import_beside(home, needs[i], w, beside[i], &done);
        }
        if (err < 0)
            err = sm_fail_prefix(err, "%s is imported, but not %s from the same place", m->name, needs[i]->name);
        else if (done && others)
            err = sm_strings_add(others, needs[i]->name);
    }
    return err;
}

/* AudioCraft's file of the codec may hold no more than the name of the place where it is. */
static int only_a_name(const char *path, int err)
{
    sm_weights *w = NULL;
    if (sm_weights_open(path, &w) == 0 && sm_weights_meta(w, "pretrained"))
        err =
            sm_fail(SM_EFORMAT, "%s holds no weights, it only names %s; get these with: samplemind models pull encodec",
                    path, sm_weights_meta(w, "pretrained"));
    sm_weights_close(w);
    return err;
}

/* A tfjs model is a folder's model.json and shards: the hash is of the json, which names the shards and their sizes. */
static int import_as(const char *home, const char *path, const sm_model *expected, bool replace, const sm_model **model,
                     sm_strings *others)
{
    sm_weights *w = NULL;
    sm_card *card = NULL;
    char variant[32], source[65];
    *model = NULL;
    int err = sm_hash_source(SM_HASH_SHA256, path, source);
    if (err == 0 && (err = sm_model_open_file(path, &w, &card, model, variant)) == SM_ENOTFOUND)
        err = only_a_name(path, err);
    if (err == 0 && expected && *model != expected)
        err = sm_fail(SM_EFORMAT, "%s: %s holds the model %s", expected->name, path, (*model)->name);
    if (err == 0)
        err = install(home, *model, w, variant, card, source, replace);
    if (err < 0)
        *model = NULL;
    else if (!expected)
        err = import_companions(home, *model, w, source, others);
    sm_card_free(card);
    sm_weights_close(w);
    return err;
}

int sm_models_import(const char *home, const char *path, bool replace, const sm_model **model, sm_strings *others)
{
    return import_as(home, path, NULL, replace, model, others);
}

/* ---- pull ---- */

static int fetch(const char *home, const sm_model *m, const sm_model_source_file *f, const char *file_name,
                 const sm_download_options *d, char **path)
{
    const bool git = f->sha256 && strlen(f->sha256) == 40;
    const sm_remote_file remote = { .name = m->name,
                                    .url = f->url,
                                    .bytes = f->bytes,
                                    .sha256 = git ? NULL : f->sha256,
                                    .git_sha1 = git ? f->sha256 : NULL };
    *path = home_path(home, "downloads", file_name, "");
    return *path ? sm_download(&remote, *path, d) : SM_ENOMEM;
}

/* The card has the name of the weights file with .json for its ending. */
static char *card_name(const char *file_name)
{
    const char *dot = strrchr(file_name, '.');
    return sm_printf_new("%.*s.json", (int)(dot ? dot - file_name : (ptrdiff_t)strlen(file_name)), file_name);
}

/* What must lie beside the weights (a tokenizer), under its own name; afterwards it is in the converted file. */
static int fetch_companions(const char *home, const sm_model *m, const sm_download_options *d)
{
    int err = 0;
    for (size_t i = 1; m->task == SM_TASK_SOUND && i < m->n_sources && err == 0; i++) {
        char *path = NULL;
        err = fetch(home, m, &m->sources[i], sm_path_name(m->sources[i].url), d, &path);
        sm_free(path);
    }
    return err;
}

static void drop_companions(const char *home, const sm_model *m)
{
    for (size_t i = 1; m->task == SM_TASK_SOUND && i < m->n_sources; i++) {
        char *path = home_path(home, "downloads", sm_path_name(m->sources[i].url), "");
        if (path)
            unlink(path);
        sm_free(path);
    }
}

int sm_models_pull(const char *home, const sm_model *m, const sm_pull_options *o)
{
    const sm_download_options d = { .mirror = o->mirror,
                                    .hf_token = o->hf_token,
                                    .retry_wait_s = o->retry_wait_s,
                                    .progress = o->progress,
                                    .user = o->user };
    const sm_model *got = NULL;
    char *installed = NULL, *folder = NULL, *weights = NULL, *card = NULL, *json = NULL;
    int err = 0;
    if (m->n_sources == 0)
        return sm_fail(SM_EUNSUPPORTED,
                       "%s: has no official download; import a file with: samplemind models import FILE", m->name);
    const sm_model_source_file *source = &m->sources[0];
    const char *file_name = sm_path_name(source->url);
    char own_name[160];
    if (m->task == SM_TASK_SOUND) { /* "model.safetensors" is what many publishers call theirs */
        snprintf(own_name, sizeof own_name, "%s-%s", m->name, file_name);
        file_name = own_name;
    }
    installed = sm_installed_path(home, m->name);
    folder = home_path(home, "downloads", "", "");
    json = card_name(file_name);
    if (!installed || !folder || !json)
        err = SM_ENOMEM;
    if (err == 0 && !o->replace && access(installed, F_OK) == 0)
        goto out; /* there already */
    if (err == 0)
        err = sm_make_directories(folder);
    if (err == 0)
        err = fetch(home, m, source, file_name, &d, &weights);
    if (err == 0 && source->card)
        err = fetch(home, m, &(const sm_model_source_file){ .url = source->card }, json, &d, &card);
    if (err == 0)
        err = fetch_companions(home, m, &d);
    const bool whole = err == 0;
    if (err == 0 && (err = import_as(home, weights, m, o->replace, &got, NULL)) == SM_ENOTFOUND)
        err = sm_fail(SM_EFORMAT, "%s: what came from %s is not this model's weights", m->name, source->url);
    if (err == 0 || err == SM_EFORMAT || (whole && err == SM_EUNSUPPORTED)) { /* used, or wrong: of no more use */
        if (weights)
            unlink(weights);
        if (card)
            unlink(card);
        drop_companions(home, m);
    }
out:
    sm_free(installed);
    sm_free(folder);
    sm_free(weights);
    sm_free(card);
    sm_free(json);
    return err;
}
