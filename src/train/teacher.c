/* A teacher: another network's answers to the sounds as they are, learned beside the labels by a head of its own (Hinton et al. 2015).
 * What a large network has heard in other data comes along; the head is dropped in the end. */
#include <math.h>
#include <string.h>

#include "engine/engine.h"
#include "train/trainer.h"

typedef struct {
    trainer *t;
    sm_model_handle *handle;
    sm_model_worker **workers;
    const dsp_mel_spec *mel;
    float *soft;
    size_t classes;
} teaching;

static int rows_of(const teaching *p, const sm_sound *s, sm_floats *rows)
{
    const sm_needs *need = sm_model_needs(p->handle);
    sm_floats x = { 0 }, y = { 0 };
    sm_resampler *r = NULL;
    dsp_mel *mel = NULL;
    int err = sm_floats_add(&x, NULL, s->length);
    for (size_t i = 0; i < s->length && err == 0; i++)
        x.data[i] = s->scale * s->samples[i];
    if (err == 0)
        err = sm_resampler_new(need->resample, sm_sounds_rate(p->t->sounds), need->rate_hz, 1, &r);
    if (err == 0)
        err = sm_resampler_push(r, x.data, x.length, &y);
    if (err == 0)
        err = sm_resampler_finish(r, &y);
    if (err == 0)
        err = dsp_mel_new(p->mel, &mel);
    if (err == 0)
        err = dsp_mel_push(mel, y.data, y.length, rows);
    if (err == 0)
        err = dsp_mel_finish(mel, rows);
    dsp_mel_free(mel);
    sm_resampler_free(r);
    sm_floats_free(&x);
    sm_floats_free(&y);
    return err;
}

/* The mean answer as a distribution: independent scores are sharpened a little, so that the many small ones do not drown the few. */
static void distribution(const float *mean, size_t n, float *out)
{
    double sum = 0;
    for (size_t c = 0; c < n; c++)
        sum += pow((double)SM_MAX(mean[c], 0), 1.25);
    for (size_t c = 0; c < n; c++)
        out[c] = sum > 0 ? (float)(pow((double)SM_MAX(mean[c], 0), 1.25) / sum) : 1.0f / (float)n;
}

static int ask(void *user, size_t i, int worker)
{
    teaching *p = user;
    const sm_sound *s = sm_sounds_at(p->t->sounds, p->t->learned.sound[i]);
    const size_t bands = (size_t)sm_model_needs(p->handle)->bands;
    sm_stream *stream = NULL;
    sm_model_result r = { 0 };
    sm_floats rows = { 0 };
    int err = rows_of(p, s, &rows);
    if (err == 0)
        err = sm_stream_new(p->handle, NULL, &stream);
    if (err == 0)
        err = sm_stream_push(stream, rows.data, rows.length / bands);
    if (err == 0)
        err = sm_stream_end(stream);
    if (err == 0)
        err = sm_streams_run(p->workers[worker], &stream, 1, true);
    if (err == 0)
        err = sm_stream_finish(stream, &r);
    if (err == 0 && r.mean)
        distribution(r.mean, p->classes, p->soft + p->t->learned.sound[i] * p->classes);
    sm_model_result_free(&r);
    sm_stream_free(stream);
    sm_floats_free(&rows);
    return err;
}

int trainer_open_model(const char *name, sm_weights **w, sm_card **card, const sm_model **m, char variant[32])
{
    const sm_model *known = sm_model_find(name);
    char *path = known ? sm_model_path(NULL, name, &(bool){ false }) : sm_strdup(name);
    const int err = path ? sm_model_open_file(path, w, card, m, variant) : SM_ENOMEM;
    sm_free(path);
    return err == SM_ENOTFOUND && known ? sm_not_installed(err, known) : err;
}

int trainer_teach(trainer *t, float **soft, size_t *classes)
{
    teaching p = { .t = t };
    sm_weights *w = NULL;
    sm_card *card = NULL;
    const sm_model *m = NULL;
    char variant[32] = "";
    *soft = NULL;
    int err = trainer_open_model(t->o->teacher, &w, &card, &m, variant);
    if (err == 0 && (!m->needs.front_end || m->task != SM_TASK_TAGS))
        err = sm_fail(SM_EUSAGE, "%s: gives no scores of classes from a mel front end", m->name);
    if (err == 0)
        err = sm_model_open(m, w, &(sm_model_options){ .variant = variant, .card = card }, &p.handle);
    const sm_classes *names = err == 0 ? sm_model_classes(p.handle) : NULL;
    if (err == 0 && (!names || names->n > 4096))
        err = sm_fail(SM_EUSAGE, "%s: as a teacher it needs named classes, 4096 at most", m->name);
    if (err == 0) {
        p.classes = names->n;
        p.mel = dsp_mel_find(sm_model_needs(p.handle)->front_end);
        p.soft = sm_alloc_zero(sm_sounds_count(t->sounds) * p.classes, sizeof *p.soft);
        p.workers = sm_alloc_zero((size_t)t->threads, sizeof(sm_model_worker *));
        err = p.soft && p.workers ? 0 : SM_ENOMEM;
    }
    for (int i = 0; i < t->threads && err == 0; i++)
        err = sm_model_worker_new(p.handle, &p.workers[i]);
    if (err == 0)
        err = sm_pool_run(t->pool, t->learned.n, ask, &p);
    for (int i = 0; i < t->threads && p.workers; i++)
        sm_model_worker_free(p.workers[i]);
    sm_free(p.workers);
    sm_model_close(p.handle);
    sm_card_free(card);
    sm_weights_close(w);
    if (err < 0) {
        sm_free(p.soft);
        return sm_fail_prefix(err, "teacher %s", t->o->teacher);
    }
    *soft = p.soft;
    *classes = p.classes;
    return 0;
}
