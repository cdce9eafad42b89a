/* Vectors window by window, as openl3 and edgel3 write them. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "engine/internal.h"

struct sm_embedder {
    sm_embed_options options; /* texts not kept */
    double hop_s;
    int hop; /* samples at the model's rate */
    sm_weights *weights;
    sm_card *card;
    sm_model_handle *handle;
    sm_model_worker *worker;
};

void sm_embed_options_init(sm_embed_options *o)
{
    *o = (sm_embed_options){ .size = sizeof *o };
}

void sm_embed_result_free(sm_embed_result *r)
{
    sm_free(r->values);
    sm_free(r->time_s);
    *r = (sm_embed_result){ 0 };
}

/* ---- opening ---- */

static int check(const sm_embed_options *o, sm_embedder *e)
{
    if (o->size != sizeof *o)
        return sm_fail(SM_EUSAGE, "options of %zu bytes: sm_embed_options_init has not been called", o->size);
    if (o->dims != 0 && o->dims != 512 && o->dims != 6144)
        return sm_fail(SM_EUSAGE, "an embedding of %d values, 512 or 6144 are possible", o->dims);
    e->hop_s = o->hop_s > 0 ? o->hop_s : 0.1;
    if (!(o->hop_s >= 0) || e->hop_s < 0.001 || e->hop_s > 3600)
        return sm_fail(SM_EUSAGE, "a window every %g s, 0.001 to 3600 is possible", o->hop_s);
    return 0;
}

/* The weights of NAME or NAME=FILE. */
static int open_weights(sm_embedder *e, const char *name, const char *home, const sm_model **model, char variant[32])
{
    const char *file = strchr(name, '=');
    const sm_model *m = NULL;
    char *path = NULL, *own = sm_strndup(name, file ? (size_t)(file - name) : strlen(name));
    int err = own ? sm_model_named(own, &m) : SM_ENOMEM;
    if (err == 0 && m->task != SM_TASK_EMBEDDING)
        err =
            sm_fail(SM_EUSAGE, "the model %s does not embed sounds; openl3-mel256-music and its relatives do", m->name);
    if (err == 0 && !(path = file ? sm_strdup(file + 1) : sm_installed_path(home, m->name)))
        err = SM_ENOMEM;
    if (err == 0 && !file && access(path, F_OK) != 0)
        err = sm_fail_prefix(sm_not_installed(SM_ENOTFOUND, m), "%s", m->name);
    if (err == 0)
        err = sm_model_open_file(path, &e->weights, &e->card, model, variant);
    if (err == 0 && *model != m)
        err = sm_fail(SM_EFORMAT, "%s: holds the model %s, expected %s", path, (*model)->name, m->name);
    sm_free(own);
    sm_free(path);
    return err;
}

static int open_model(sm_embedder *e, const sm_embed_options *o)
{
    const sm_model *m = NULL;
    char variant[32], config[96];
    int err = open_weights(e, o->model ? o->model : "openl3-mel256-music", o->home, &m, variant);
    if (err < 0)
        return err;
    snprintf(config, sizeof config, "size=%d,front=%.32s", o->dims > 0 ? o->dims : 512,
             o->front_end ? o->front_end : "kapre01");
    const sm_model_options options = { .backend = o->backend,
                                       .threads = o->threads > 0 ? o->threads : sm_cpu_count(),
                                       .variant = variant,
                                       .config = config };
    if ((err = sm_model_open(m, e->weights, &options, &e->handle)) < 0)
        return err;
    e->hop = (int)floor(e->hop_s * sm_model_needs(e->handle)->rate_hz);
    return sm_model_worker_new(e->handle, &e->worker);
}

int sm_embed_open(const sm_embed_options *options, sm_embedder **out)
{
    *out = NULL;
    sm_embedder *e = sm_alloc_zero(1, sizeof *e);
    if (!e)
        return SM_ENOMEM;
    int err = check(options, e);
    if (err == 0)
        err = open_model(e, options);
    if (err < 0) {
        sm_embed_close(e);
        return err;
    }
    e->options = *options;
    e->options.home = e->options.model = e->options.front_end = e->options.backend = NULL;
    *out = e;
    return 0;
}

void sm_embed_close(sm_embedder *e)
{
    if (!e)
        return;
    sm_model_worker_free(e->worker);
    sm_model_close(e->handle);
    sm_card_free(e->card);
    sm_weights_close(e->weights);
    sm_free(e);
}

/* ---- one file ---- */

typedef struct {
    sm_embedder *e;
    sm_stream *stream;
    size_t samples;
    bool silent;
} embed_feed;

static int feed(void *user, const float *mono, size_t n)
{
    embed_feed *f = user;
    int err = sm_stream_push(f->stream, mono, n);
    for (size_t i = 0; i < n && f->silent; i++)
        f->silent = mono[i] == 0;
    f->samples += n;
    if (err == 0 && sm_stream_ready(f->stream) >= (size_t)sm_model_batch(f->e->handle))
        err = sm_streams_run(f->e->worker, &f->stream, 1, false);
    return err;
}

static int take_result(const sm_embedder *e, sm_model_result *m, sm_embed_result *r)
{
    r->windows = m->patches;
    r->dims = m->n_embedding;
    r->values = m->embeddings;
    m->embeddings = NULL;
    r->time_s = sm_alloc(SM_MAX(r->windows, 1), sizeof *r->time_s);
    for (size_t i = 0; r->time_s && i < r->windows; i++)
        r->time_s[i] = (double)i * e->hop_s;
    return r->time_s ? 0 : SM_ENOMEM;
}

int sm_embed_file(sm_embedder *e, const char *path, sm_embed_result *out)
{
    const sm_needs *needs = sm_model_needs(e->handle);
    const sm_stream_options o = {
        .curve = true, .whole = true, .hop = e->hop, .lead = e->options.no_centering ? 0 : needs->patch / 2
    };
    embed_feed f = { .e = e, .silent = true };
    sm_model_result m = { 0 };
    sm_embed_result r = { 0 };
    *out = r;
    int err = sm_stream_new(e->handle, &o, &f.stream);
    if (err == 0)
        err = engine_mono(path, needs->resample, needs->rate_hz, e->options.progress, e->options.user, feed, &f);
    if (err == 0 && f.samples == 0)
        err = sm_fail(SM_EUNSUPPORTED, "%s: a sound without samples has no embedding", path);
    if (err == 0)
        err = sm_stream_end(f.stream);
    if (err == 0)
        err = sm_streams_run(e->worker, &f.stream, 1, true);
    if (err == 0)
        err = sm_stream_finish(f.stream, &m);
    if (err == 0)
        err = take_result(e, &m, &r);
    r.silent = f.silent;
    sm_model_result_free(&m);
    sm_stream_free(f.stream);
    if (err < 0)
        sm_embed_result_free(&r);
    else
        *out = r;
    return err;
}
