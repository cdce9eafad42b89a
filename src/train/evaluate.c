/* A model's file asked about sounds whose class is known, through the same streams as `analyze`. */
#include <math.h>
#include <string.h>

#include "train/sounds.h"
#include "train/trainer.h"

typedef struct {
    sm_sounds *sounds;
    const sm_evaluate_options *o;
    sm_weights *weights;
    sm_card *card;
    sm_model_handle *handle;
    const sm_model *model;
    sm_pool *pool;
    int threads;
    sm_model_worker **workers;
    dsp_mel **mels;
    const sm_classes *classes;
    bool evidence;            /* YAMNet: its classes speak for instruments through a table */
    const char *const *names; /* of the classes that are judged */
    size_t n_names;
    size_t *sound, *truth, n; /* who is asked */
    float *probability;       /* [n, n_names] */
} evaluation;

/* ---- one sound ---- */
static int rows_of(evaluation *e, const sm_sound *s, int worker, sm_floats *rows)
{
    sm_floats x = { 0 };
    int err = sm_floats_add(&x, NULL, s->length);
    for (size_t i = 0; i < s->length && err == 0; i++)
        x.data[i] = s->scale * s->samples[i];
    if (err == 0)
        err = dsp_mel_push(e->mels[worker], x.data, x.length, rows);
    if (err == 0)
        err = dsp_mel_finish(e->mels[worker], rows);
    sm_floats_free(&x);
    return err;
}

static void take_answer(const evaluation *e, const sm_model_result *r, float *to)
{
    double sum = 0;
    if (!r->mean) {
        memset(to, 0, e->n_names * sizeof *to);
        return;
    }
    if (!e->evidence) {
        memcpy(to, r->mean, e->n_names * sizeof *to);
        return;
    }
    sm_yamnet_instruments(r->mean, to);
    for (size_t c = 0; c < e->n_names; c++)
        sum += (double)to[c];
    for (size_t c = 0; c < e->n_names && sum > 0; c++)
        to[c] /= (float)sum;
}

/* Answers to several sounds in common batches. */
static int ask(evaluation *e, size_t first, size_t n, int worker)
{
    enum { MOST = 64 };
    sm_stream *streams[MOST] = { NULL };
    const size_t bands = (size_t)sm_model_needs(e->handle)->bands;
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        sm_floats rows = { 0 };
        err = rows_of(e, sm_sounds_at(e->sounds, e->sound[first + i]), worker, &rows);
        if (err == 0)
            err = sm_stream_new(e->handle, NULL, &streams[i]);
        if (err == 0)
            err = sm_stream_push(streams[i], rows.data, rows.length / bands);
        if (err == 0)
            err = sm_stream_end(streams[i]);
        sm_floats_free(&rows);
    }
    if (err == 0)
        err = sm_streams_run(e->workers[worker], streams, n, true);
    for (size_t i = 0; i < n && err == 0; i++) {
        float *to = e->probability + (first + i) * e->n_names;
        sm_model_result r = { 0 };
        err = sm_stream_finish(streams[i], &r);
        if (err == 0)
            take_answer(e, &r, to);
        sm_model_result_free(&r);
    }
    for (size_t i = 0; i < n; i++)
        sm_stream_free(streams[i]);
    return err;
}

enum { GROUP = 32 };

static int ask_group(void *user, size_t i, int worker)
{
    evaluation *e = user;
    const size_t first = i * GROUP;
    if (worker == 0 && e->o->progress) {
        const sm_progress_info p = { "eval", (double)first, (double)e->n, "files", 0 };
        if (e->o->progress(e->o->user, &p))
            return sm_fail(SM_ECANCELLED, "interrupted");
    }
    return ask(e, first, SM_MIN((size_t)GROUP, e->n - first), worker);
}

/* ---- opening ---- */

/* What is judged: the model's classes, or the instruments that YAMNet's classes speak for. */
static void name_classes(evaluation *e)
{
    e->evidence = !strcmp(e->model->name, "yamnet");
    e->names = e->evidence ? sm_instruments : e->classes->names;
    e->n_names = e->evidence ? SM_INSTRUMENTS : e->classes->n;
}

static int choose(evaluation *e)
{
    const size_t n = sm_sounds_count(e->sounds);
    e->sound = sm_alloc(n, sizeof *e->sound);
    e->truth = sm_alloc(n, sizeof *e->truth);
    if (!e->sound || !e->truth)
        return SM_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const sm_sound *s = sm_sounds_at(e->sounds, i);
        const sm_side side = e->o->random_split ? s->random_side : s->side;
        size_t c = 0;
        if (!s->samples || (e->o->side != SM_SIDE_NONE && side != e->o->side))
            continue;
        if (e->o->held_out > 0 &&
            !trainer_is_held(e->o->random_split ? sm_path_name(s->path) : s->family, e->o->held_out, e->o->fold))
            continue;
        while (c < e->n_names && strcmp(e->names[c], s->label[0]) != 0)
            c++;
        if (c < e->n_names) {
            e->sound[e->n] = i;
            e->truth[e->n++] = c;
        }
    }
    return e->n > 0 ? 0
                    : sm_fail(SM_EUSAGE, "%s: none of the sounds has a class that this model knows",
                              sm_weights_label(e->weights));
}

static int open_model(evaluation *e, const char *path)
{
    char variant[32];
    int err = sm_model_open_file(path, &e->weights, &e->card, &e->model, variant);
    if (err == 0) {
        const sm_model_options o = { .backend = e->o->backend, .variant = variant, .card = e->card };
        err = sm_model_open(e->model, e->weights, &o, &e->handle);
    }
    if (err == 0 && (!(e->classes = sm_model_classes(e->handle)) || !sm_model_needs(e->handle)->front_end))
        err = sm_fail(SM_EUSAGE, "%s: no classes to compare with", path);
    return err;
}

static int open_threads(evaluation *e)
{
    const dsp_mel_spec *spec = dsp_mel_find(sm_model_needs(e->handle)->front_end);
    e->threads = e->o->threads > 0 ? e->o->threads : sm_cpu_count();
    int err = sm_pool_new(e->threads, &e->pool);
    e->workers = sm_alloc_zero((size_t)e->threads, sizeof(sm_model_worker *));
    e->mels = sm_alloc_zero((size_t)e->threads, sizeof(dsp_mel *));
    if (err == 0 && (!e->workers || !e->mels))
        err = SM_ENOMEM;
    for (int i = 0; i < e->threads && err == 0; i++) {
        err = sm_model_worker_new(e->handle, &e->workers[i]);
        if (err == 0)
            err = dsp_mel_new(spec, &e->mels[i]);
    }
    return err;
}

static void close_all(evaluation *e)
{
    for (int i = 0; i < e->threads; i++) {
        sm_model_worker_free(e->workers ? e->workers[i] : NULL);
        dsp_mel_free(e->mels ? e->mels[i] : NULL);
    }
    sm_free(e->workers);
    sm_free(e->mels);
    sm_pool_free(e->pool);
    sm_model_close(e->handle);
    sm_card_free(e->card);
    sm_weights_close(e->weights);
    sm_free(e->sound);
    sm_free(e->truth);
    sm_free(e->probability);
}

/* ---- judging ---- */

/* Names outlive the model: taken from the collection's labels, or from the list of instruments. */
static const char *lasting(const sm_sounds *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->items[i].label[0], name))
            return s->items[i].label[0];
    for (size_t i = 0; i < SM_INSTRUMENTS; i++)
        if (!strcmp(sm_instruments[i], name))
            return sm_instruments[i];
    return "?";
}

static double temperature_of(const sm_weights *w)
{
    sm_classifier_head heads[SM_CLASSIFIER_HEADS];
    sm_arena *a = sm_arena_new();
    size_t n = 0;
    const double t =
        a && sm_weights_meta(w, "heads") && sm_classifier_heads(w, a, heads, &n) == 0 ? heads[0].temperature : 1;
    sm_arena_free(a);
    return t;
}

static int judge(evaluation *e, sm_scores *out)
{
    size_t *family = sm_alloc(e->n, sizeof *family);
    const char **names = sm_alloc(e->n_names, sizeof *names);
    int err = family && names ? 0 : SM_ENOMEM;
    for (size_t i = 0; i < e->n && err == 0; i++) {
        const char *text = sm_sounds_at(e->sounds, e->sound[i])->family;
        family[i] = (size_t)sm_fnv1a64(text, strlen(text));
    }
    for (size_t c = 0; c < e->n_names && err == 0; c++)
        names[c] = lasting(e->sounds, e->names[c]);
    if (err == 0)
        err =
            sm_scores_make(e->probability, e->truth, family, e->n, e->n_names, names, temperature_of(e->weights), out);
    sm_free(family);
    sm_free(names);
    if (err < 0)
        return err;
    out->sound = e->sound;
    e->sound = NULL;
    return 0;
}

/* Best of a few runs over the first sounds on one thread, features included: one by one, and in a batch. */
static int latency(evaluation *e, sm_scores *out)
{
    const size_t batch = SM_MIN((size_t)GROUP, e->n);
    int err = 0;
    out->single_ms = out->batch_ms = HUGE_VAL;
    for (int run = 0; run < 5 && err == 0; run++) {
        double start = sm_now_s();
        for (size_t i = 0; i < batch && err == 0; i++)
            err = ask(e, i, 1, 0);
        out->single_ms = SM_MIN(out->single_ms, 1e3 * (sm_now_s() - start) / (double)batch);
        start = sm_now_s();
        if (err == 0)
            err = ask(e, 0, batch, 0);
        out->batch_ms = SM_MIN(out->batch_ms, 1e3 * (sm_now_s() - start) / (double)batch);
    }
    return err;
}

int sm_evaluate(sm_sounds *s, const char *model_path, const sm_evaluate_options *o, sm_scores *out)
{
    evaluation e = { .sounds = s, .o = o };
    *out = (sm_scores){ 0 };
    int err = open_model(&e, model_path);
    if (err == 0 && sm_sounds_rate(s) != sm_model_needs(e.handle)->rate_hz)
        err = sm_sounds_load(s, sm_model_needs(e.handle)->rate_hz, 30, o->threads, o->progress, o->user, NULL);
    if (err == 0) {
        name_classes(&e);
        err = choose(&e);
    }
    if (err == 0)
        err = open_threads(&e);
    if (err == 0 && !(e.probability = sm_alloc(e.n * e.n_names, sizeof *e.probability)))
        err = SM_ENOMEM;
    if (err == 0)
        err = sm_pool_run(e.pool, (e.n + GROUP - 1) / GROUP, ask_group, &e);
    if (err == 0)
        err = judge(&e, out);
    if (err == 0 && o->latency) {
        size_t *keep = out->sound;
        e.sound = keep;
        err = latency(&e, out);
        e.sound = NULL;
    }
    close_all(&e);
    if (err < 0)
        sm_scores_free(out);
    return err;
}
