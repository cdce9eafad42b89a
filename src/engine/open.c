/* Opening the models that are wanted: which, where from, what they need to hear. */
#include <string.h>

#include "engine/internal.h"

int engine_failure_add(sm_failure **list, size_t *n, size_t *capacity, const char *what, const char *reason)
{
    if (sm_grow(list, capacity, *n + 1, sizeof **list) < 0)
        return SM_ENOMEM;
    sm_failure f = { sm_strdup(what), sm_strdup(reason) };
    if (!f.what || !f.reason) {
        sm_free(f.what);
        sm_free(f.reason);
        return SM_ENOMEM;
    }
    (*list)[(*n)++] = f;
    return 0;
}

void engine_failures_free(sm_failure *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sm_free(list[i].what);
        sm_free(list[i].reason);
    }
    sm_free(list);
}

/* A model that was asked for by name and is not to be had: kept with what sm_last_error() says. */
static int missing(sm_engine *e, const char *name, int err)
{
    if (err == SM_ENOMEM)
        return err;
    return engine_failure_add(&e->missing, &e->n_missing, &e->missing_capacity, name, sm_last_error());
}

/* ---- one model ---- */

static void close_model(engine_model *m, int jobs)
{
    for (int i = 0; m->workers && i < jobs; i++)
        sm_model_worker_free(m->workers[i]);
    sm_free(m->workers);
    sm_model_close(m->handle);
    sm_card_free(m->card);
    sm_weights_close(m->weights);
    sm_free(m->path);
    *m = (engine_model){ 0 };
}

static nn_precision precision_of(const char *name)
{
    if (name && !strcmp(name, "f32"))
        return NN_PRECISION_F32;
    return name && !strcmp(name, "bf16") ? NN_PRECISION_BF16 : NN_PRECISION_AUTO;
}

/* Index of the front end that the model hears, made if nobody asked for it yet. */
static int front_of(sm_engine *e, const sm_needs *needs)
{
    size_t r = 0, f = 0;
    while (r < e->n_rates && (e->rates[r].rate_hz != needs->rate_hz || e->rates[r].kind != needs->resample))
        r++;
    if (r == e->n_rates)
        e->rates[e->n_rates++] = (engine_rate){ needs->rate_hz, needs->resample };
    for (; f < e->n_fronts; f++) {
        const char *name = e->fronts[f].name;
        if (e->fronts[f].rate == (int)r &&
            (name == needs->front_end || (name && needs->front_end && !strcmp(name, needs->front_end))))
            return (int)f;
    }
    e->fronts[e->n_fronts] = (engine_front){ (int)r, needs->front_end };
    return (int)e->n_fronts++;
}

static int find_open(const sm_engine *e, const sm_model *m)
{
    for (size_t i = 0; i < e->n_models; i++)
        if (e->models[i].model == m)
            return (int)i;
    return -1;
}

static int shipped_hash(const char *path, char out[65])
{
    sm_hasher *h = NULL;
    size_t size = 0;
    const void *data = sm_model_shipped(path + strlen(SM_BUILT_IN), &size);
    const int err = sm_hasher_new(SM_HASH_SHA256, &h);
    if (err == 0) {
        sm_hasher_add(h, data, size);
        sm_hasher_hex(h, out);
        sm_hasher_free(h);
    }
    return err;
}

/* The first digits of the official file's SHA-256: kept by an import, else of the file itself. */
static int weights_hash(const sm_weights *w, const char *path, char out[17])
{
    char own[65] = "";
    const char *hash = sm_weights_meta(w, "source_sha256");
    const bool built_in = !strncmp(path, SM_BUILT_IN, strlen(SM_BUILT_IN));
    const int err = hash ? 0 : built_in ? shipped_hash(path, own) : sm_hash_file(SM_HASH_SHA256, path, own);
    snprintf(out, 17, "%s", hash ? hash : own);
    return err;
}

/* Opens `path` and appends the model. expected NULL: whatever model the file is. */
static int open_model(sm_engine *e, const char *path, const sm_model *expected, bool hidden)
{
    engine_model m = { .front = -1, .backbone = -1, .hidden = hidden };
    char variant[32];
    int err = 0;
    m.path = sm_strdup(path);
    m.workers = sm_alloc_zero((size_t)e->jobs, sizeof *m.workers);
    if (!m.path || !m.workers) {
        err = SM_ENOMEM;
        goto out;
    }
    if ((err = sm_model_open_file(path, &m.weights, &m.card, &m.model, variant)) < 0)
        goto out;
    if (expected && m.model != expected) {
        err = sm_fail(SM_EFORMAT, "%s: holds the model %s, expected %s", path, m.model->name, expected->name);
        goto out;
    }
    if (find_open(e, m.model) >= 0) {
        err = sm_fail(SM_EUSAGE, "%s: the model %s is open already", path, m.model->name);
        goto out;
    }
    if ((err = weights_hash(m.weights, path, m.hash)) < 0)
        goto out;
    const sm_model_options o = { .backend = e->options.backend,
                                 .precision = precision_of(e->options.precision),
                                 .threads = 1,
                                 .variant = variant,
                                 .card = m.card };
    if ((err = sm_model_open(m.model, m.weights, &o, &m.handle)) < 0)
        goto out;
    const sm_needs *needs = sm_model_needs(m.handle);
    if (needs->backbone) {
        const sm_model *backbone = sm_model_find(needs->backbone);
        m.backbone = backbone ? find_open(e, backbone) : -1;
        if (m.backbone < 0) {
            err = sm_fail(SM_ENOTFOUND, "it needs the model %s; get it with: samplemind models pull %s",
                          needs->backbone, needs->backbone);
            goto out;
        }
    } else {
        m.front = front_of(e, needs);
    }
    e->models[e->n_models++] = m;
out:
    if (err < 0)
        close_model(&m, e->jobs);
    return err;
}

/* ---- which ones ---- */

/* The file of an installed model. SM_ENOTFOUND tells how to get it. */
static int installed_path(const sm_engine *e, const sm_model *m, char **out)
{
    bool there = false;
    *out = sm_model_path(e->options.home, m->name, &there);
    if (!*out)
        return SM_ENOMEM;
    if (there)
        return 0;
    sm_free(*out);
    *out = NULL;
    return sm_not_installed(SM_ENOTFOUND, m);
}

static int open_installed(sm_engine *e, const sm_model *m, bool hidden)
{
    char *path = NULL;
    int err = 0;
    if (find_open(e, m) >= 0)
        return 0;
    if (m->needs.backbone) {
        const sm_model *backbone = sm_model_find(m->needs.backbone);
        if (backbone && find_open(e, backbone) < 0 && (err = open_installed(e, backbone, true)) < 0)
            return err == SM_ENOMEM ? err : sm_fail_prefix(err, "%s", backbone->name);
    }
    if ((err = installed_path(e, m, &path)) == 0)
        err = open_model(e, path, m, hidden);
    sm_free(path);
    return err;
}

/* One item of --models: NAME or NAME=FILE. Only a name that no model has is an error of the call. */
static int open_wanted(sm_engine *e, char *item)
{
    char *file = strchr(item, '=');
    if (file)
        *file++ = 0;
    const sm_model *m = NULL;
    int err = sm_model_named(item, &m);
    if (err < 0)
        return err;
    const int at = find_open(e, m);
    if (at >= 0) {
        e->models[at].hidden = false; /* opened for a head before it was named */
        return 0;
    }
    err = file ? open_model(e, file, m, false) : open_installed(e, m, false);
    return err < 0 ? missing(e, m->name, err) : 0;
}

static int open_list(sm_engine *e, const char *list)
{
    char *copy = sm_strdup(list);
    int err = copy ? 0 : SM_ENOMEM;
    char *save = NULL;
    for (char *item = copy ? strtok_r(copy, ",", &save) : NULL; item && err == 0; item = strtok_r(NULL, ",", &save))
        err = open_wanted(e, item);
    sm_free(copy);
    return err;
}

static bool task_is_open(const sm_engine *e, sm_task task)
{
    for (size_t i = 0; i < e->n_models; i++)
        if (e->models[i].model->task == task && !e->models[i].hidden)
            return true;
    return false;
}

/* A head that comes with the program waits until somebody installs what it stands on. */
static int stands(const sm_engine *e, const sm_model *m, bool *there)
{
    if (!*there || !m->needs.backbone || !sm_model_shipped(m->name, &(size_t){ 0 }))
        return 0;
    char *path = sm_model_path(e->options.home, m->needs.backbone, there);
    sm_free(path);
    return path ? 0 : SM_ENOMEM;
}

/* All that are installed; of several that track pitch or tempo, or embed, only the first in the table: they answer the same. */
static int open_all_installed(sm_engine *e)
{
    size_t n = 0;
    const sm_model *const *all = sm_models(&n);
    for (size_t i = 0; i < n; i++) {
        const sm_task task = all[i]->task;
        const bool alike = task == SM_TASK_PITCH || task == SM_TASK_TEMPO || task == SM_TASK_EMBEDDING;
        bool there = false;
        char *path = sm_model_path(e->options.home, all[i]->name, &there);
        if (!path)
            return SM_ENOMEM;
        sm_free(path);
        if (stands(e, all[i], &there) < 0)
            return SM_ENOMEM;
        if (!there || task >= SM_TASK_STEMS || (alike && task_is_open(e, task)))
            continue;
        const int err = open_installed(e, all[i], false);
        if (err < 0 &&
            engine_failure_add(&e->missing, &e->n_missing, &e->missing_capacity, all[i]->name, sm_last_error()) < 0)
            return SM_ENOMEM;
    }
    return 0;
}

int engine_open_models(sm_engine *e)
{
    size_t n = 0;
    sm_models(&n);
    e->models = sm_alloc_zero(n, sizeof *e->models);
    e->rates = sm_alloc_zero(n, sizeof *e->rates);
    e->fronts = sm_alloc_zero(n, sizeof *e->fronts);
    if (!e->models || !e->rates || !e->fronts)
        return SM_ENOMEM;
    const int err = e->options.models ? open_list(e, e->options.models) : open_all_installed(e);
    if (err < 0)
        return err;
    e->spares = sm_alloc_zero((size_t)e->jobs * e->n_rates, sizeof *e->spares);
    e->mels = sm_alloc_zero((size_t)e->jobs * e->n_fronts, sizeof(dsp_mel *));
    return e->spares && e->mels ? 0 : SM_ENOMEM;
}

void engine_close_models(sm_engine *e)
{
    for (size_t i = e->n_models; i-- > 0;)
        close_model(&e->models[i], e->jobs);
    for (size_t i = 0; e->spares && i < (size_t)e->jobs * e->n_rates; i++)
        sm_resampler_free(e->spares[i].resampler);
    sm_free(e->spares);
    for (size_t i = 0; e->mels && i < (size_t)e->jobs * e->n_fronts; i++)
        dsp_mel_free(e->mels[i]);
    sm_free(e->mels);
    sm_free(e->models);
    sm_free(e->rates);
    sm_free(e->fronts);
}
