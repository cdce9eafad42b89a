/* A sound's way through a model: rows in, patches out of them, answers pooled; and patches of many sounds run in common batches. */
#include <math.h>
#include <string.h>

#include "models/batch.h"
#include "models/handle.h"
#include "models/pooling.h"

struct sm_stream {
    sm_model_handle *handle;
    const sm_pooling *pooling;
    sm_pool_state pool;
    sm_floats rows; /* not yet left behind by the next patch */
    size_t at;      /* row in `rows` where the next patch starts */
    size_t pushed;  /* rows of the sound, without padding */
    int hop;
    bool skipped;      /* silence before the sound */
    bool ended, tiled; /* tiled: the whole sound fits in one patch and has been repeated or extended to fill it */
    sm_stream *head, *next,
        *backbone; /* the first head that it feeds; the next head of the same backbone; whose head it is */
};

/* ---- streams ---- */
/* The zeros in front of the sound. */
static size_t lead_rows(const sm_stream *s)
{
    const sm_stream_options *o = &s->pool.options;
    return (size_t)SM_MAX(o->lead, 0) + (o->no_padding ? 0 : (size_t)s->handle->needs.pad_before);
}

static int add_lead(sm_stream *s)
{
    return sm_floats_add(&s->rows, NULL, lead_rows(s) * (size_t)s->handle->needs.bands);
}

int sm_stream_new(sm_model_handle *h, const sm_stream_options *o, sm_stream **out)
{
    sm_stream *s = sm_alloc_zero(1, sizeof *s);
    int err = SM_ENOMEM;
    *out = NULL;
    if (!s)
        return SM_ENOMEM;
    s->handle = h;
    s->pooling = h->model->pooling ? h->model->pooling : &sm_mean_pooling;
    s->pool = (sm_pool_state){ .model = h->model, .n_scores = h->n_scores, .n_embedding = h->n_embedding };
    if (o)
        s->pool.options = *o;
    s->hop = s->pool.options.hop > 0 ? s->pool.options.hop : h->needs.hop;
    s->pool.sum = sm_alloc_zero(h->n_scores, sizeof *s->pool.sum);
    s->pool.max = sm_alloc_zero(h->n_scores, sizeof *s->pool.max);
    s->pool.embedding_sum = sm_alloc_zero(h->n_embedding, sizeof *s->pool.embedding_sum);
    if (s->pool.sum && s->pool.max && s->pool.embedding_sum)
        err = s->pooling->open(&s->pool);
    if (err == 0)
        err = add_lead(s);
    if (err < 0)
        sm_stream_free(s);
    else
        *out = s;
    return err;
}

/* Takes s out of its backbone's list. */
static void detach(sm_stream *s)
{
    sm_stream **at = s->backbone ? &s->backbone->head : NULL;
    while (at && *at && *at != s)
        at = &(*at)->next;
    if (at && *at)
        *at = s->next;
    s->backbone = s->next = NULL;
}

void sm_stream_free(sm_stream *s)
{
    if (!s)
        return;
    detach(s);
    while (s->head)
        detach(s->head);
    s->pooling->close(&s->pool);
    sm_free(s->pool.sum);
    sm_free(s->pool.max);
    sm_free(s->pool.embedding_sum);
    sm_floats_free(&s->pool.curve);
    sm_floats_free(&s->pool.embeddings);
    sm_floats_free(&s->rows);
    sm_free(s);
}

int sm_stream_feed(sm_stream *backbone, sm_stream *head)
{
    if (backbone->handle->n_embedding != (size_t)head->handle->needs.bands || backbone == head || head->backbone)
        return sm_fail(SM_EUSAGE, "%s gives %zu values, %s takes %d", backbone->handle->model->name,
                       backbone->handle->n_embedding, head->handle->model->name, head->handle->needs.bands);
    head->backbone = backbone;
    head->next = backbone->head;
    backbone->head = head;
    return 0;
}

static size_t bands_of(const sm_stream *s)
{
    return (size_t)s->handle->needs.bands;
}

/* Rows from the next patch's start on. */
static size_t rows_left(const sm_stream *s)
{
    const size_t n = s->rows.length / bands_of(s);
    return n > s->at ? n - s->at : 0;
}

/* What earlier patches have left behind is dropped when it is more than what is kept: each row moves at most once or twice. */
void stream_forget(sm_stream *s)
{
    const size_t n = s->rows.length / bands_of(s), gone = SM_MIN(s->at, n);
    if (gone > n / 2) {
        sm_floats_drop(&s->rows, gone * bands_of(s));
        s->at -= gone;
    }
}

/* Rows of silence before the sound, so that its beginning is where a patch begins. */
static size_t silent_rows(const sm_stream *s, const float *rows, size_t n)
{
    const float least = s->pool.options.whole ? 0 : s->handle->needs.skip_below;
    size_t i = 0;
    for (; i < n && least > 0 && s->pushed == 0; i++)
        for (size_t b = 0; b < bands_of(s); b++)
            if (fabsf(rows[i * bands_of(s) + b]) >= least)
                return i;
    return i;
}

int sm_stream_push(sm_stream *s, const float *rows, size_t n)
{
    const size_t silent = silent_rows(s, rows, n);
    size_t floats;
    if (s->ended)
        return sm_fail(SM_EUSAGE, "%s: rows after the end", s->handle->model->name);
    if (sm_mul_overflow(n, bands_of(s), &floats))
        return sm_fail(SM_ENOMEM, "%s: %zu rows", s->handle->model->name, n);
    s->skipped |= silent > 0;
    rows += silent * bands_of(s);
    n -= silent;
    floats -= silent * bands_of(s);
    if (n == 0)
        return 0;
    stream_forget(s);
    s->pushed += n;
    return sm_floats_add(&s->rows, rows, floats);
}

size_t sm_stream_ready(const sm_stream *s)
{
    const sm_needs *need = &s->handle->needs;
    const size_t left = rows_left(s), patch = (size_t)need->patch, kept = s->tiled ? 0 : (size_t)need->drop_last;
    if (left < patch + kept)
        return 0;
    return s->tiled ? 1 : 1 + (left - kept - patch) / (size_t)s->hop;
}

/* A sound that fills no patch: tiled from its own beginning (Essentia's "repeat"), or followed by zeros. */
static int extend_short(sm_stream *s)
{
    const sm_needs *need = &s->handle->needs;
    const size_t bands = bands_of(s), have = rows_left(s), patch = (size_t)need->patch;
    int err = 0;
    s->tiled = true;
    if (have >= patch)
        return 0; /* whole, but one row fewer than the rule about the last row asks for */
    if (need->when_short == SM_SHORT_ZERO)
        return sm_floats_add(&s->rows, NULL, (patch - have) * bands);
    for (size_t i = have; i < patch && err == 0; i++) {
        float *row;
        if ((err = sm_floats_add(&s->rows, NULL, bands)) < 0)
            break;
        row = s->rows.data + (s->at + i) * bands;
        memcpy(row, row - have * bands, bands * sizeof *row);
    }
    return err;
}

/* Zeros up to the end of the last patch that has any of the sound in it: a patch every hop until all rows are in one. */
static int fill_last(sm_stream *s)
{
    const size_t patch = (size_t)s->handle->needs.patch, hop = (size_t)s->hop, n = lead_rows(s) + s->pushed;
    const size_t whole = n <= patch ? patch : patch + (n - patch + hop - 1) / hop * hop;
    return s->pushed > 0 ? sm_floats_add(&s->rows, NULL, (whole - n) * bands_of(s)) : 0;
}

int sm_stream_end(sm_stream *s)
{
    const sm_needs *need = &s->handle->needs;
    int err = 0;
    if (s->ended)
        return 0;
    s->ended = true;
    if (s->pushed == 0 && s->skipped) { /* nothing but silence: that is heard */
        if ((err = sm_floats_add(&s->rows, NULL, bands_of(s))) < 0)
            return err;
        s->pushed = 1;
    }
    if (!s->pool.options.no_padding)
        err = sm_floats_add(&s->rows, NULL, (size_t)need->pad_after * bands_of(s));
    if (err == 0 && s->pool.options.whole)
        err = fill_last(s);
    if (err == 0 && s->pool.patches == 0 && s->pushed > 0 && sm_stream_ready(s) == 0 &&
        need->when_short != SM_SHORT_NONE)
        err = extend_short(s);
    return err;
}

void stream_take_patch(sm_stream *s, float *to)
{
    const size_t patch = (size_t)s->handle->needs.patch;
    memcpy(to, s->rows.data + s->at * bands_of(s), patch * bands_of(s) * sizeof *to);
    s->at += s->tiled ? rows_left(s) : (size_t)s->hop;
}

void stream_prepare(const sm_stream *s, float *patch)
{
    const sm_model *m = s->handle->model;
    if (m->prepare)
        m->prepare(m, patch, (size_t)s->handle->needs.patch, bands_of(s), s->pool.options.torch_frames);
}

sm_model_handle *stream_handle(const sm_stream *s)
{
    return s->handle;
}

int stream_take_answer(sm_stream *s, const float *scores, const float *embedding, bool heard)
{
    sm_pool_state *p = &s->pool;
    int err = s->pooling->take(p, scores);
    for (size_t i = 0; embedding && heard && i < p->n_embedding; i++)
        p->embedding_sum[i] += embedding[i];
    if (err == 0 && embedding && p->options.curve)
        err = sm_floats_add(&p->embeddings, embedding, p->n_embedding);
    for (sm_stream *head = s->head; head && err == 0; head = head->next)
        err = sm_stream_push(head, embedding, 1);
    p->patches++;
    p->heard += heard;
    return err;
}

/* ---- the answer ---- */
static int fill_result(sm_stream *s, sm_model_result *r)
{
    sm_pool_state *p = &s->pool;
    const sm_needs *need = &s->handle->needs;
    const dsp_mel_spec *mel = need->front_end ? dsp_mel_find(need->front_end) : NULL;
    const int rate = need->rate_hz, row = mel ? mel->hop : 1;
    r->model = s->handle->model;
    r->patches = p->patches;
    r->heard = p->heard;
    r->n_classes = p->n_scores;
    r->hop_s = rate > 0 ? (double)s->hop * row / rate : 0;
    if (p->n_embedding > 0 && p->patches > 0) {
        r->n_embedding = p->n_embedding;
        if (p->heard > 0 && !(r->embedding = sm_alloc(p->n_embedding, sizeof *r->embedding)))
            return SM_ENOMEM;
        for (size_t i = 0; r->embedding && i < p->n_embedding; i++)
            r->embedding[i] = (float)(p->embedding_sum[i] / (double)p->heard);
        r->embeddings = p->embeddings.data;
        p->embeddings = (sm_floats){ 0 };
    }
    return s->pooling->finish(p, r);
}

/* As new, for the next sound. */
static int restart(sm_stream *s)
{
    sm_pool_state *p = &s->pool;
    s->pooling->close(p);
    memset(p->sum, 0, p->n_scores * sizeof *p->sum);
    memset(p->embedding_sum, 0, p->n_embedding * sizeof *p->embedding_sum);
    p->curve.length = p->embeddings.length = s->rows.length = 0;
    p->patches = p->heard = s->at = s->pushed = 0;
    s->ended = s->tiled = s->skipped = false;
    const int err = s->pooling->open(p);
    return err < 0 ? err : add_lead(s);
}

int sm_stream_finish(sm_stream *s, sm_model_result *out)
{
    const sm_needs *need = &s->handle->needs;
    sm_model_result r = { .bpm = NAN, .bpm_confidence = 0 };
    int err;
    memset(out, 0, sizeof *out);
    if (!s->ended || sm_stream_ready(s) > 0)
        return sm_fail(SM_EUSAGE, "%s: the sound has not been run to its end", s->handle->model->name);
    if (s->pool.patches == 0 && s->pushed > 0)
        return sm_fail(SM_EUNSUPPORTED, "%s needs %.3f s of sound at least", s->handle->model->name,
                       need->rate_hz > 0 ? (double)need->patch / need->rate_hz : 0);
    err = fill_result(s, &r);
    if (err == 0)
        err = restart(s);
    if (err < 0)
        sm_model_result_free(&r);
    else
        *out = r;
    return err;
}
