/* The way of sounds through everything: blocks of audio -> model-free analysis, one stream a rate, one front end a kind,
 * patches batched over sounds -> networks -> records (ARCHITECTURE.md, "How a file walks through analyze"). */
#include <string.h>

#include "engine/internal.h"

enum { BLOCK_SAMPLES = 1 << 19 }; /* of all channels: 2 MB a block */

/* One sound on its way. */
typedef struct {
    sm_engine *engine;
    engine_sound *sound;
    int slot;
    sm_audio *audio; /* NULL: a buffer */
    sm_audio_info info;
    size_t buffer_at;
    float *block, *mono;
    size_t block_frames, n; /* room; frames in the block now */
    bool last;
    double started_s;
    int64_t frames_read;
    bool truncated;
    sm_hasher *hasher;
    dsp_analysis *dsp;
    dsp_result result;
    sm_resampler **resamplers; /* [n_rates] */
    sm_floats *resampled;      /* [n_rates] what the block gave */
    dsp_mel **mels;            /* [n_fronts], NULL: samples */
    sm_floats *rows;           /* [n_fronts] */
    sm_stream **streams;       /* [n_models]; NULL: has failed */
    sm_model_result *results;  /* [n_models] */
    sm_failure *failures;
    size_t n_failures, failure_capacity;
    int *errors;    /* [n_models] of the parallel parts of the last block */
    char **reasons; /* [n_models] why, kept by the thread on which it happened */
} job;

/* ---- setting up ---- */

/* A model that fails is taken out of this sound and named, and with it the heads that it feeds; running out of memory ends the
 * sound. */
static int drop_model(job *j, size_t m, int err, const char *reason)
{
    const sm_engine *e = j->engine;
    const char *name = e->models[m].model->name;
    if (err == SM_ENOMEM || err == SM_ECANCELLED)
        return err;
    err = engine_failure_add(&j->failures, &j->n_failures, &j->failure_capacity, name, reason);
    for (size_t h = m + 1; h < e->n_models && err == 0; h++) {
        if (!j->streams[h] || e->models[h].backbone != (int)m)
            continue;
        char needs[128];
        snprintf(needs, sizeof needs, "the model %s, whose embedding it needs, failed", name);
        sm_stream_free(j->streams[h]);
        j->streams[h] = NULL;
        err = engine_failure_add(&j->failures, &j->n_failures, &j->failure_capacity, e->models[h].model->name, needs);
    }
    sm_stream_free(j->streams[m]);
    j->streams[m] = NULL;
    return err;
}

static int open_audio(job *j)
{
    const engine_sound *s = j->sound;
    if (s->in_memory) {
        if (s->channels < 1 || s->channels > 8 || s->rate_hz < 8000 || s->rate_hz > 192000)
            return sm_fail(SM_EUSAGE, "%s: %d channels at %d Hz; 1 to 8 channels at 8000 to 192000 Hz are expected",
                           s->path, s->channels, s->rate_hz);
        j->info = (sm_audio_info){ .rate_hz = s->rate_hz, .channels = s->channels, .frames = (int64_t)s->frames };
        return 0;
    }
    const int err = sm_audio_open(s->path, &j->audio);
    if (err == 0)
        j->info = *sm_audio_get_info(j->audio);
    return err;
}

static engine_spare *spare_of(const job *j, size_t rate)
{
    return &j->engine->spares[(size_t)j->slot * j->engine->n_rates + rate];
}

static int take_resampler(job *j, size_t rate)
{
    engine_spare *spare = spare_of(j, rate);
    const engine_rate *to = &j->engine->rates[rate];
    if (spare->from_hz != j->info.rate_hz)
        return sm_resampler_new(to->kind, j->info.rate_hz, to->rate_hz, 1, &j->resamplers[rate]);
    j->resamplers[rate] = spare->resampler;
    *spare = (engine_spare){ 0 };
    return 0;
}

static dsp_mel **spare_mel_of(const job *j, size_t front)
{
    return &j->engine->mels[(size_t)j->slot * j->engine->n_fronts + front];
}

static int take_mel(job *j, size_t front)
{
    dsp_mel **spare = spare_mel_of(j, front);
    if (!*spare)
        return dsp_mel_new(dsp_mel_find(j->engine->fronts[front].name), &j->mels[front]);
    j->mels[front] = *spare;
    *spare = NULL;
    return 0;
}

/* The sound is read: the next one of this thread may have the resamplers and the front ends. */
static void leave_spares(job *j)
{
    for (size_t f = 0; f < j->engine->n_fronts; f++) {
        dsp_mel **spare = spare_mel_of(j, f);
        dsp_mel_free(*spare);
        *spare = j->mels[f]; /* finished, and so as new */
        j->mels[f] = NULL;
    }
    for (size_t r = 0; r < j->engine->n_rates; r++) {
        engine_spare *spare = spare_of(j, r);
        if (sm_resampler_reset(j->resamplers[r]) < 0)
            continue; /* no spare then: job_close frees it */
        sm_resampler_free(spare->resampler);
        *spare = (engine_spare){ j->info.rate_hz, j->resamplers[r] };
        j->resamplers[r] = NULL;
    }
}

/* Rows between windows; 0: the model's own. */
static int hop_of(const sm_engine *e, const engine_model *m)
{
    const double hop = e->options.embed_hop_s * sm_model_needs(m->handle)->rate_hz;
    return m->model->task == SM_TASK_EMBEDDING && hop > 0 ? (int)SM_CLAMP(hop, 1, 1e9) : 0;
}

static int open_streams(job *j)
{
    const sm_engine *e = j->engine;
    int err = 0;
    for (size_t r = 0; r < e->n_rates && err == 0; r++)
        err = take_resampler(j, r);
    for (size_t f = 0; f < e->n_fronts && err == 0; f++)
        if (e->fronts[f].name)
            err = take_mel(j, f);
    for (size_t m = 0; m < e->n_models && err == 0; m++) {
        const int backbone = e->models[m].backbone;
        const sm_stream_options o = { .hop = hop_of(e, &e->models[m]) };
        int failed = sm_stream_new(e->models[m].handle, &o, &j->streams[m]);
        if (failed == 0 && backbone >= 0 && !j->streams[backbone])
            failed =
                sm_fail(SM_EFORMAT, "the model %s, whose embedding it needs, failed", e->models[backbone].model->name);
        if (failed < 0)
            err = drop_model(j, m, failed, sm_last_error());
        else if (backbone >= 0)
            err = sm_stream_feed(j->streams[backbone], j->streams[m]);
    }
    return err;
}

static int job_open(job *j, sm_engine *e, engine_sound *s, int slot)
{
    *j = (job){ .engine = e, .sound = s, .slot = slot, .started_s = sm_now_s() };
    int err = open_audio(j);
    if (err < 0)
        return err;
    j->block_frames = (size_t)(BLOCK_SAMPLES / j->info.channels);
    if (j->info.frames >= 0 && (size_t)j->info.frames < j->block_frames)
        j->block_frames = (size_t)j->info.frames + 1; /* short sounds need no large block */
    j->block = sm_alloc(j->block_frames * (size_t)j->info.channels, sizeof *j->block);
    j->mono = sm_alloc(j->block_frames, sizeof *j->mono);
    j->resamplers = sm_alloc_zero(e->n_rates, sizeof *j->resamplers);
    j->resampled = sm_alloc_zero(e->n_rates, sizeof *j->resampled);
    j->mels = sm_alloc_zero(e->n_fronts, sizeof *j->mels);
    j->rows = sm_alloc_zero(e->n_fronts, sizeof *j->rows);
    j->streams = sm_alloc_zero(e->n_models, sizeof *j->streams);
    j->results = sm_alloc_zero(e->n_models, sizeof *j->results);
    j->errors = sm_alloc_zero(e->n_models, sizeof *j->errors);
    j->reasons = sm_alloc_zero(e->n_models, sizeof *j->reasons);
    if (!j->block || !j->mono || !j->resamplers || !j->resampled || !j->mels || !j->rows || !j->streams ||
        !j->results || !j->errors || !j->reasons)
        return SM_ENOMEM;
    dsp_options o = dsp_options_all;
    o.bpm_min = e->options.bpm_min;
    o.bpm_max = e->options.bpm_max;
    if ((err = sm_hasher_new(SM_HASH_XXH128, &j->hasher)) < 0 ||
        (err = dsp_analysis_new(&o, j->info.rate_hz, j->info.channels, &j->dsp)) < 0)
        return err;
    return open_streams(j);
}

static void job_close(job *j)
{
    const sm_engine *e = j->engine;
    for (size_t m = e->n_models; j->streams && m-- > 0;)
        sm_stream_free(j->streams[m]); /* heads before their backbones */
    for (size_t m = 0; j->results && m < e->n_models; m++)
        sm_model_result_free(&j->results[m]);
    for (size_t m = 0; j->reasons && m < e->n_models; m++)
        sm_free(j->reasons[m]);
    for (size_t f = 0; f < e->n_fronts; f++) {
        if (j->mels)
            dsp_mel_free(j->mels[f]);
        if (j->rows)
            sm_floats_free(&j->rows[f]);
    }
    for (size_t r = 0; r < e->n_rates; r++) {
        if (j->resamplers)
            sm_resampler_free(j->resamplers[r]);
        if (j->resampled)
            sm_floats_free(&j->resampled[r]);
    }
    dsp_analysis_free(j->dsp);
    dsp_result_free(&j->result);
    sm_hasher_free(j->hasher);
    engine_failures_free(j->failures, j->n_failures);
    sm_audio_close(j->audio);
    sm_free(j->block), sm_free(j->mono), sm_free(j->resamplers), sm_free(j->resampled), sm_free(j->mels);
    sm_free(j->rows), sm_free(j->streams), sm_free(j->results), sm_free(j->errors), sm_free(j->reasons);
    *j = (job){ 0 };
}

/* ---- a block of audio ---- */

static int64_t read_source(job *j, size_t frames)
{
    if (j->audio)
        return sm_audio_read(j->audio, j->block, frames);
    const size_t n = SM_MIN(frames, j->sound->frames - j->buffer_at);
    const size_t channels = (size_t)j->info.channels;
    if (n == 0)
        return 0;
    memcpy(j->block, j->sound->audio + j->buffer_at * channels, n * channels * sizeof *j->block);
    j->buffer_at += n;
    return (int64_t)n;
}

/* Reads the next block; `last` when nothing follows. */
static int read_block(job *j)
{
    const sm_options *o = &j->engine->options;
    size_t want = j->block_frames;
    if (o->max_seconds > 0) {
        const double left = o->max_seconds * j->info.rate_hz - (double)j->frames_read;
        want = left < 1 ? 0 : (size_t)SM_MIN((double)want, left);
    }
    const int64_t got = read_source(j, want > 0 ? want : 1);
    if (got < 0)
        return (int)got;
    j->truncated = want == 0 && got > 0; /* the limit is reached, and there is more */
    j->n = want > 0 ? (size_t)got : 0;
    j->last = j->n == 0;
    j->frames_read += (int64_t)j->n;
    if (o->time_limit_s > 0 && sm_now_s() - j->started_s > o->time_limit_s)
        return sm_fail(SM_ELIMIT, "%s: not done within the time limit of %g s", j->sound->path, o->time_limit_s);
    return 0;
}

/* Part 0: hash and model-free analysis; part r + 1: the stream at rate r. */
static int feed_part(void *user, size_t part, int worker)
{
    job *j = user;
    (void)worker;
    if (part == 0) {
        sm_hasher_add(j->hasher, j->block, j->n * (size_t)j->info.channels * sizeof *j->block);
        return dsp_analysis_push(j->dsp, j->block, j->n);
    }
    const size_t r = part - 1;
    j->resampled[r].length = 0;
    return j->last ? sm_resampler_finish(j->resamplers[r], &j->resampled[r])
                   : sm_resampler_push(j->resamplers[r], j->mono, j->n, &j->resampled[r]);
}

static int feed_front(void *user, size_t f, int worker)
{
    job *j = user;
    (void)worker;
    const sm_floats *in = &j->resampled[j->engine->fronts[f].rate];
    if (!j->mels[f])
        return 0; /* the streams take the samples themselves */
    j->rows[f].length = 0;
    const int err = dsp_mel_push(j->mels[f], in->data, in->length, &j->rows[f]);
    return err == 0 && j->last ? dsp_mel_finish(j->mels[f], &j->rows[f]) : err;
}

static int model_worker(engine_model *m, int slot, sm_model_worker **out)
{
    if (!m->workers[slot]) {
        const int err = sm_model_worker_new(m->handle, &m->workers[slot]);
        if (err < 0)
            return err;
    }
    *out = m->workers[slot];
    return 0;
}

/* Rows of the block into one model; full batches run at once. The model's own failure is kept in errors. */
static int feed_model(void *user, size_t i, int worker)
{
    job *j = user;
    engine_model *m = &j->engine->models[i];
    sm_stream *s = j->streams[i];
    (void)worker;
    j->errors[i] = 0;
    if (!s || m->front < 0)
        return 0;
    const engine_front *front = &j->engine->fronts[m->front];
    const sm_floats *rows = front->name ? &j->rows[m->front] : &j->resampled[front->rate];
    const size_t bands = (size_t)SM_MAX(sm_model_needs(m->handle)->bands, 1);
    sm_model_worker *w = NULL;
    int err = sm_stream_push(s, rows->data, rows->length / bands);
    if (err == 0 && sm_stream_ready(s) >= (size_t)sm_model_batch(m->handle) &&
        (err = model_worker(m, j->slot, &w)) == 0)
        err = sm_streams_run(w, &s, 1, false);
    if (err == 0 && j->last)
        err = sm_stream_end(s);
    j->errors[i] = err;
    if (err == 0 || err == SM_ENOMEM || err == SM_ECANCELLED)
        return err;
    j->reasons[i] = sm_strdup(sm_last_error());
    return j->reasons[i] ? 0 : SM_ENOMEM;
}

/* The parts of each step do not depend on each other: they run side by side when there is a pool for it. */
static int run_parts(sm_pool *inner, size_t n, int (*part)(void *, size_t, int), job *j)
{
    if (inner)
        return sm_pool_run(inner, n, part, j);
    for (size_t i = 0; i < n; i++) {
        const int err = part(j, i, 0);
        if (err < 0)
            return err;
    }
    return 0;
}

static int drop_failed_models(job *j)
{
    for (size_t m = 0; m < j->engine->n_models; m++)
        if (j->streams[m] && j->errors[m] < 0) {
            const int err = drop_model(j, m, j->errors[m], j->reasons[m]);
            if (err < 0)
                return err;
        }
    return 0;
}

static int feed_block(job *j, sm_pool *inner)
{
    const sm_engine *e = j->engine;
    sm_downmix(j->block, j->n, j->info.channels, j->mono);
    int err = run_parts(inner, e->n_rates + 1, feed_part, j);
    if (err == 0)
        err = run_parts(inner, e->n_fronts, feed_front, j);
    if (err == 0)
        err = run_parts(inner, e->n_models, feed_model, j);
    return err == 0 ? drop_failed_models(j) : err;
}

static int feed_sound(job *j, sm_pool *inner)
{
    int err = 0;
    while (err == 0 && !j->last)
        if ((err = read_block(j)) == 0 && (err = feed_block(j, inner)) == 0)
            err = engine_progress(j->engine, j->sound->path, 0, (double)j->n / j->info.rate_hz);
    if (err == 0)
        leave_spares(j);
    return err;
}

/* ---- what is left when all sounds of a group are read ---- */

/* The last patches of all sounds, in common batches. Runs for one model; heads have their rows when their backbone is done. */
static int finish_model(sm_engine *e, size_t m, job *jobs, size_t n, int slot, sm_stream **list)
{
    engine_model *model = &e->models[m];
    sm_model_worker *w = NULL;
    size_t live = 0;
    int err = 0;
    for (size_t i = 0; i < n; i++) {
        sm_stream *s = jobs[i].sound->err == 0 ? jobs[i].streams[m] : NULL;
        if (!s)
            continue;
        if (model->front < 0 && (err = sm_stream_end(s)) < 0)
            break;
        list[live++] = s;
    }
    if (live == 0 || err < 0)
        return err;
    err = model_worker(model, slot, &w);
    return err == 0 ? sm_streams_run(w, list, live, true) : err;
}

typedef struct {
    sm_engine *engine;
    job *jobs;
    size_t n;
    int slot;
    sm_stream **lists; /* [n_models][n] */
    int *errors;       /* [n_models] */
    char **reasons;    /* [n_models] */
    bool heads;        /* this pass is for heads */
} finish_pass;

static int finish_part(void *user, size_t m, int worker)
{
    finish_pass *p = user;
    (void)worker;
    if ((p->engine->models[m].front < 0) != p->heads)
        return 0;
    const int err = finish_model(p->engine, m, p->jobs, p->n, p->slot, p->lists + m * p->n);
    p->errors[m] = err;
    if (err == 0 || err == SM_ENOMEM || err == SM_ECANCELLED)
        return err;
    p->reasons[m] = sm_strdup(sm_last_error());
    return p->reasons[m] ? 0 : SM_ENOMEM;
}

/* A model that failed on the group's last patches is named by each of its sounds. */
static int drop_from_group(finish_pass *p)
{
    for (size_t m = 0; m < p->engine->n_models; m++)
        for (size_t i = 0; i < p->n && p->errors[m] < 0; i++)
            if (p->jobs[i].sound->err == 0 && p->jobs[i].streams[m]) {
                const int err = drop_model(&p->jobs[i], m, p->errors[m], p->reasons[m]);
                if (err < 0)
                    return err;
            }
    return 0;
}

static int finish_models(sm_engine *e, job *jobs, size_t n, int slot, sm_pool *inner)
{
    finish_pass p = { .engine = e, .jobs = jobs, .n = n, .slot = slot };
    int err = 0;
    p.lists = sm_alloc_zero(e->n_models * n, sizeof(sm_stream *));
    p.errors = sm_alloc_zero(e->n_models, sizeof *p.errors);
    p.reasons = sm_alloc_zero(e->n_models, sizeof *p.reasons);
    if (!p.lists || !p.errors || !p.reasons)
        err = SM_ENOMEM;
    for (int pass = 0; pass < 2 && err == 0; pass++) {
        p.heads = pass == 1;
        if (inner && !p.heads) {
            err = sm_pool_run(inner, e->n_models, finish_part, &p);
        } else {
            for (size_t m = 0; m < e->n_models && err == 0; m++)
                err = finish_part(&p, m, 0);
        }
    }
    if (err == 0)
        err = drop_from_group(&p);
    for (size_t m = 0; p.reasons && m < e->n_models; m++)
        sm_free(p.reasons[m]);
    sm_free(p.reasons);
    sm_free(p.lists);
    sm_free(p.errors);
    return err;
}

/* ---- the record ---- */

static int draft_answers(job *j, sm_model_answer *answers, size_t *n)
{
    const sm_engine *e = j->engine;
    for (size_t m = 0; m < e->n_models; m++) {
        const engine_model *model = &e->models[m];
        if (!j->streams[m])
            continue;
        int err = sm_stream_finish(j->streams[m], &j->results[m]);
        if (err < 0 && (err = drop_model(j, m, err, sm_last_error())) < 0)
            return err;
        if (j->streams[m] && !model->hidden)
            answers[(*n)++] = (sm_model_answer){ .name = model->model->name,
                                                 .weights = model->hash,
                                                 .model = model->model,
                                                 .classes = sm_model_classes(model->handle),
                                                 .result = &j->results[m] };
    }
    return 0;
}

static int make_record(job *j)
{
    const sm_engine *e = j->engine;
    const sm_options *o = &e->options;
    const engine_sound *s = j->sound;
    sm_model_answer *answers = NULL;
    sm_draft d = {
        .path = s->path, .info = j->info, .key_notation = o->key_notation, .top = o->top, .truncated = j->truncated
    };
    const dsp_evidence none = { .file_name = sm_path_name(s->path) };
    dsp_evidence evidence = none;
    int err = 0;
    if (j->audio) {
        d.metadata = sm_audio_get_metadata(j->audio);
        d.warning = j->truncated ? NULL : sm_audio_warning(j->audio);
        if (d.metadata->has_acid) {
            evidence.acid_tempo = d.metadata->acid.tempo;
            evidence.acid_beats = (int)SM_MIN(d.metadata->acid.beats, 1000000u);
            evidence.acid_one_shot = d.metadata->acid.flags & 1;
        }
        evidence.has_loop_points = d.metadata->has_smpl && d.metadata->smpl.n_loops > 0;
    }
    if ((err = dsp_analysis_finish(j->dsp, &evidence, &j->result)) < 0)
        return err;
    answers = sm_alloc_zero(e->n_models, sizeof *answers);
    if (!answers)
        return SM_ENOMEM;
    if ((err = draft_answers(j, answers, &d.n_answers)) == 0) {
        sm_hasher_hex(j->hasher, d.audio_hash);
        d.dsp = &j->result;
        d.answers = answers;
        d.missing = e->missing;
        d.n_missing = e->n_missing;
        d.failures = j->failures;
        d.n_failures = j->n_failures;
        err = sm_record_new(&d, &j->sound->record);
    }
    sm_free(answers);
    return err;
}

/* A sound that could not be read still has a record: its path and the reason. */
static int make_failed_record(engine_sound *s)
{
    char *reason = sm_strdup(sm_last_error());
    if (!reason)
        return SM_ENOMEM;
    const sm_failure f = { (char *)"file", reason };
    const sm_draft d = { .path = s->path, .failures = &f, .n_failures = 1 };
    int err = sm_record_new(&d, &s->record);
    if (err == 0)
        sm_fail(s->err, "%s", reason); /* the caller still finds why */
    sm_free(reason);
    return err;
}

/* Notes the sound's own failure; what ends everything is given back. */
static int sound_failed(engine_sound *s, int err)
{
    if (err == 0 || err == SM_ECANCELLED || err == SM_ENOMEM)
        return err;
    s->err = err;
    return make_failed_record(s);
}

int engine_analyze(sm_engine *e, engine_sound *sounds, size_t n, int slot, sm_pool *inner)
{
    job *jobs = sm_alloc_zero(n, sizeof *jobs);
    int err = jobs ? 0 : SM_ENOMEM;
    size_t opened = 0;
    for (; opened < n && err == 0; opened++) {
        engine_sound *s = &sounds[opened];
        s->record = NULL;
        s->err = 0;
        err = job_open(&jobs[opened], e, s, slot);
        if (err == 0)
            err = feed_sound(&jobs[opened], inner);
        if ((err = sound_failed(s, err)) == 0)
            err = engine_progress(e, s->path, 1, 0);
        s->audio_s = jobs[opened].info.rate_hz > 0 ? (double)jobs[opened].frames_read / jobs[opened].info.rate_hz : 0;
        sm_audio *audio = s->err < 0 ? jobs[opened].audio : NULL;
        if (audio) {
            sm_audio_close(audio);
            jobs[opened].audio = NULL;
        }
    }
    if (err == 0)
        err = finish_models(e, jobs, n, slot, inner);
    for (size_t i = 0; i < n && err == 0; i++)
        if (sounds[i].err == 0)
            err = sound_failed(&sounds[i], make_record(&jobs[i]));
    for (size_t i = 0; i < opened; i++)
        job_close(&jobs[i]);
    sm_free(jobs);
    if (err < 0)
        for (size_t i = 0; i < n; i++) {
            sm_record_free(sounds[i].record);
            sounds[i].record = NULL;
        }
    return err;
}
