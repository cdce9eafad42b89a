/* Pitch over time: CREPE with the decoders of crepe and torchcrepe, or YIN. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "engine/internal.h"

enum { PITCH_RATE = 16000, PITCH_FRAME = 1024 };

struct sm_pitch_tracker {
    sm_pitch_options options; /* texts not kept */
    bool yin;
    sm_pitch_decoder decoder;
    int hop; /* samples at 16 kHz */
    sm_weights *weights;
    sm_card *card;
    sm_model_handle *handle;
    sm_model_worker *worker;
};

void sm_pitch_options_init(sm_pitch_options *o)
{
    *o = (sm_pitch_options){ .size = sizeof *o };
}

void sm_pitch_result_free(sm_pitch_result *r)
{
    sm_free(r->time_s), sm_free(r->hz), sm_free(r->confidence), sm_free(r->rms_db), sm_free(r->activation);
    *r = (sm_pitch_result){ 0 };
}

/* ---- opening ---- */

static int check(const sm_pitch_options *o, sm_pitch_tracker *t)
{
    static const char *const decoders[] = { "crepe", "viterbi", "argmax", "weighted", "torchcrepe-viterbi" };
    const double step = o->step_ms > 0 ? o->step_ms : 10;
    if (o->size != sizeof *o)
        return sm_fail(SM_EUSAGE, "options of %zu bytes: sm_pitch_options_init has not been called", o->size);
    if (!(o->step_ms >= 0) || step < 1 || step > 1000)
        return sm_fail(SM_EUSAGE, "step is %g ms, expected 1 to 1000", o->step_ms);
    if (!(o->f_min >= 0) || !(o->f_max >= 0) || (o->f_max > 0 && o->f_max <= o->f_min))
        return sm_fail(SM_EUSAGE, "pitch range %g to %g Hz is empty", o->f_min, o->f_max);
    if (!sm_pitch_decoder_find(o->decoder ? o->decoder : "crepe", &t->decoder)) {
        const char *near = sm_text_nearest(o->decoder, decoders, SM_LENGTH(decoders));
        return sm_fail(SM_EUSAGE, "there is no decoder \"%s\"%s%s%s", o->decoder, near ? "; did you mean \"" : "",
                       near ? near : "", near ? "\"?" : "");
    }
    t->hop = (int)(PITCH_RATE * step / 1000);
    return 0;
}

static int open_network(sm_pitch_tracker *t, const char *name)
{
    const sm_model *m = NULL, *found = NULL;
    char variant[32], own[64];
    const char *file = strchr(name, '=');
    char *path = NULL;
    snprintf(own, sizeof own, "%.*s", (int)SM_MIN(file ? (size_t)(file - name) : strlen(name), sizeof own - 1), name);
    int err = sm_model_named(own, &m);
    if (err == 0 && m->task != SM_TASK_PITCH)
        err = sm_fail(SM_EUSAGE, "the model %s does not track pitch; crepe-tiny to crepe-full do", m->name);
    if (err == 0 && !(path = file ? sm_strdup(file + 1) : sm_installed_path(t->options.home, m->name)))
        err = SM_ENOMEM;
    if (err == 0 && !file && access(path, F_OK) != 0)
        err = sm_fail_prefix(sm_not_installed(SM_ENOTFOUND, m), "%s", m->name);
    if (err == 0)
        err = sm_model_open_file(path, &t->weights, &t->card, &found, variant);
    if (err == 0 && found != m)
        err = sm_fail(SM_EFORMAT, "%s: holds the model %s, expected %s", path, found->name, m->name);
    if (err == 0) {
        const sm_model_options o = { .threads = t->options.threads > 0 ? t->options.threads : sm_cpu_count(),
                                     .variant = variant };
        err = sm_model_open(m, t->weights, &o, &t->handle);
    }
    if (err == 0)
        err = sm_model_worker_new(t->handle, &t->worker);
    sm_free(path);
    return err;
}

int sm_pitch_open(const sm_pitch_options *options, sm_pitch_tracker **out)
{
    *out = NULL;
    sm_pitch_tracker *t = sm_alloc_zero(1, sizeof *t);
    if (!t)
        return SM_ENOMEM;
    int err = check(options, t);
    if (err == 0) {
        const char *name = options->model ? options->model : "crepe-full";
        t->options = *options;
        t->yin = !strcmp(name, "yin");
        if (!t->yin)
            err = open_network(t, name);
        t->options.home = t->options.model = t->options.decoder = NULL;
    }
    if (err < 0) {
        sm_pitch_close(t);
        return err;
    }
    *out = t;
    return 0;
}

void sm_pitch_close(sm_pitch_tracker *t)
{
    if (!t)
        return;
    sm_model_worker_free(t->worker);
    sm_model_close(t->handle);
    sm_card_free(t->card);
    sm_weights_close(t->weights);
    sm_free(t);
}

/* ---- one file ---- */

typedef struct {
    sm_pitch_tracker *tracker;
    sm_stream *stream; /* NULL: none */
    sm_floats *all;
} pitch_feed;

static int take(void *user, const float *mono, size_t n)
{
    pitch_feed *f = user;
    int err = sm_floats_add(f->all, mono, n);
    if (err == 0 && f->stream && (err = sm_stream_push(f->stream, mono, n)) == 0 &&
        sm_stream_ready(f->stream) >= (size_t)sm_model_batch(f->tracker->handle))
        err = sm_streams_run(f->tracker->worker, &f->stream, 1, false);
    return err;
}

/* Audio of the file as 16 kHz mono, to the stream (NULL: none) and appended to `all`. */
static int feed(sm_pitch_tracker *t, const char *path, sm_stream *stream, sm_floats *all)
{
    pitch_feed f = { t, stream, all };
    return engine_mono(path, SM_RESAMPLE_RESAMPY, PITCH_RATE, t->options.progress, t->options.user, take, &f);
}

/* Level around each frame. */
static void levels(const sm_pitch_tracker *t, const sm_floats *audio, sm_pitch_result *r)
{
    const int64_t n = (int64_t)audio->length;
    for (size_t i = 0; i < r->frames; i++) {
        const int64_t start = (int64_t)i * t->hop - (t->options.no_centering ? 0 : PITCH_FRAME / 2);
        double sum = 0;
        for (int64_t k = SM_MAX(start, 0); k < SM_MIN(start + PITCH_FRAME, n); k++)
            sum += (double)audio->data[k] * (double)audio->data[k];
        r->rms_db[i] = (float)SM_MAX(10 * log10(sum / PITCH_FRAME + 1e-30), -120.0);
    }
}

static int room(sm_pitch_result *r, size_t frames)
{
    r->frames = frames;
    r->time_s = sm_alloc(frames, sizeof *r->time_s);
    r->hz = sm_alloc_zero(frames, sizeof *r->hz);
    r->confidence = sm_alloc_zero(frames, sizeof *r->confidence);
    r->rms_db = sm_alloc(frames, sizeof *r->rms_db);
    return r->time_s && r->hz && r->confidence && r->rms_db ? 0 : SM_ENOMEM;
}

static int track_network(sm_pitch_tracker *t, const char *path, sm_floats *audio, sm_pitch_result *r)
{
    const sm_stream_options o = { .activation = t->options.save_activation,
                                  .hop = t->hop,
                                  .no_padding = t->options.no_centering,
                                  .decoder = t->decoder,
                                  .f_min = t->options.f_min,
                                  .f_max = t->options.f_max,
                                  .torch_frames = t->decoder >= SM_PITCH_ARGMAX };
    sm_stream *s = NULL;
    sm_model_result m = { 0 };
    int err = sm_stream_new(t->handle, &o, &s);
    if (err == 0)
        err = feed(t, path, s, audio);
    if (err == 0)
        err = sm_stream_end(s);
    if (err == 0)
        err = sm_streams_run(t->worker, &s, 1, true);
    if (err == 0)
        err = sm_stream_finish(s, &m);
    if (err == 0)
        err = room(r, m.patches);
    for (size_t i = 0; err == 0 && i < m.patches; i++) {
        r->hz[i] = isfinite(m.hz[i]) ? m.hz[i] : 0;
        r->confidence[i] = m.confidence[i];
    }
    if (err == 0) {
        r->activation = m.activation;
        m.activation = NULL;
    }
    sm_model_result_free(&m);
    sm_stream_free(s);
    return err;
}

static int track_yin(sm_pitch_tracker *t, const char *path, sm_floats *audio, sm_pitch_result *r)
{
    sm_floats hz = { 0 }, confidence = { 0 };
    const double f_min = t->options.f_min > 0 ? t->options.f_min : 50,
                 f_max = t->options.f_max > 0 ? t->options.f_max : 2006;
    int err = feed(t, path, NULL, audio);
    if (err == 0)
        err = dsp_yin_track(audio->data, audio->length, PITCH_RATE, f_min, f_max, t->hop, &hz, &confidence);
    if (err == 0)
        err = room(r, SM_MIN(hz.length, confidence.length));
    if (err == 0 && r->frames > 0) {
        memcpy(r->hz, hz.data, r->frames * sizeof *r->hz);
        memcpy(r->confidence, confidence.data, r->frames * sizeof *r->confidence);
    }
    sm_floats_free(&hz);
    sm_floats_free(&confidence);
    return err;
}

int sm_pitch_file(sm_pitch_tracker *t, const char *path, sm_pitch_result *out)
{
    sm_floats audio = { 0 };
    sm_pitch_result r = { 0 };
    *out = r;
    int err = t->yin ? track_yin(t, path, &audio, &r) : track_network(t, path, &audio, &r);
    if (err == 0) {
        levels(t, &audio, &r);
        for (size_t i = 0; i < r.frames; i++)
            r.time_s[i] = (double)i * t->hop / PITCH_RATE;
        if (t->options.silence_db < 0)
            err = sm_pitch_silence(audio.data, audio.length, t->hop, t->options.silence_db, r.confidence, r.frames);
    }
    sm_floats_free(&audio);
    if (err < 0)
        sm_pitch_result_free(&r);
    else
        *out = r;
    return err;
}
