/* A sound that is done, as the caller gets it: what was heard beside what was wanted, the recipe, the file. */
#include <math.h>
#include <string.h>

#include "dsp/dsp.h"
#include "engine/generate.h"

#define SURE_KEY 0.3 /* confidence below which a key is not called one: as for loops that are gone with */

/* The public part first: what is freed is the whole. */
typedef struct {
    sm_generate_result shown;
    float *samples;
    char *recipe;
    char key[16];
    sm_generate_seam seams[SM_SOUND_SEAMS];
} result;

void sm_generate_result_free(sm_generate_result *shown)
{
    result *r = (result *)shown;
    if (!r)
        return;
    sm_free(r->samples);
    sm_free(r->recipe);
    sm_free(r);
}

/* ---- what was wanted ---- */

/* Half and double are the same grid of beats. */
static bool misses_tempo(double bpm, double wanted)
{
    static const double times[] = { 1, 0.5, 2 };
    for (size_t i = 0; i < SM_LENGTH(times); i++)
        if (!isfinite(bpm) || !(wanted > 0) || fabs(bpm / wanted * times[i] - 1) <= 0.01)
            return false;
    return true;
}

/* A key and its relative have the same notes. */
static bool misses_key(const sm_sound *s, const char *wanted)
{
    int tonic, minor;
    if (s->tonic < 0 || s->key_confidence < SURE_KEY || !wanted || !dsp_key_read(wanted, &tonic, &minor))
        return false;
    const int ours = (s->tonic + (s->minor ? 3 : 0)) % 12, theirs = (tonic + (minor ? 3 : 0)) % 12;
    return ours != theirs;
}

/* ---- the recipe ---- */

static void text_key(sm_json *j, const char *key, const char *value)
{
    sm_json_key(j, key);
    sm_json_string(j, value);
}

static void number_key(sm_json *j, const char *key, double value)
{
    sm_json_key(j, key);
    sm_json_f64(j, value);
}

static void asked_keys(const sm_generate_request *r, sm_json *j)
{
    text_key(j, "prompt", r->prompt);
    if (r->negative && *r->negative)
        text_key(j, "negative", r->negative);
    if (r->bars > 0)
        number_key(j, "bars", r->bars);
    if (r->bpm > 0)
        number_key(j, "bpm", r->bpm);
    if (r->key && *r->key)
        text_key(j, "key", r->key);
    text_key(j, "level", r->level ? r->level : "auto");
}

static void seam_keys(const sm_sound *s, sm_json *j)
{
    sm_json_key(j, "seams");
    sm_json_begin_array(j);
    for (size_t i = 0; i < s->n_seams; i++) {
        sm_json_begin_object(j);
        sm_json_key(j, "at_s"), sm_json_f32(j, s->seams[i].at_s);
        sm_json_key(j, "jump"), sm_json_f32(j, s->seams[i].jump);
        sm_json_key(j, "level_db"), sm_json_f32(j, s->seams[i].level_db);
        sm_json_end_object(j);
    }
    sm_json_end_array(j);
}

static void measured_keys(const sm_generate_result *shown, const sm_sound *s, sm_json *j)
{
    number_key(j, "peak", s->peak);
    sm_json_key(j, "measured_bpm"), sm_json_f32(j, s->bpm);
    text_key(j, "measured_key", shown->key);
    if (shown->misses & SM_MISSES_TEMPO)
        sm_json_key(j, "misses_tempo"), sm_json_bool(j, true);
    if (shown->misses & SM_MISSES_KEY)
        sm_json_key(j, "misses_key"), sm_json_bool(j, true);
    if (s->fade_s > 0) {
        number_key(j, "loop_fade_s", s->fade_s);
        sm_json_key(j, "loop_jump"), sm_json_f32(j, s->loop_jump);
    }
    if (s->n_seams > 0)
        seam_keys(s, j);
}

static int write_recipe(const sm_result_parts *p, const sm_sound *s, result *r)
{
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    text_key(&j, "samplemind", sm_version());
    text_key(&j, "model", p->model->name);
    text_key(&j, "weights", p->weights);
    asked_keys(p->request, &j);
    sm_json_key(&j, "seed"), sm_json_int(&j, (int64_t)r->shown.seed);
    number_key(&j, "seconds", (double)s->frames / s->rate_hz);
    if (p->partial)
        sm_json_key(&j, "partial"), sm_json_bool(&j, true);
    p->family->recipe(p->state, p->request, &j);
    measured_keys(&r->shown, s, &j);
    text_key(&j, "licence", p->model->licence);
    sm_json_end_object(&j);
    if (text.failed) {
        sm_buffer_free(&text);
        return SM_ENOMEM;
    }
    r->shown.recipe = r->recipe = text.data;
    return 0;
}

/* ---- the whole ---- */

static int interleave(result *r, const sm_sound *s)
{
    const size_t frames = (size_t)s->frames, channels = (size_t)s->channels;
    if (!(r->samples = sm_alloc(frames * channels + 1, sizeof *r->samples)))
        return SM_ENOMEM;
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < frames; i++)
            r->samples[i * channels + c] = s->samples[c * frames + i];
    r->shown.samples = r->samples;
    r->shown.frames = frames;
    return 0;
}

int sm_generate_result_new(const sm_result_parts *p, sm_sound *s, sm_generate_result **out)
{
    result *r = sm_alloc_zero(1, sizeof *r);
    *out = NULL;
    if (!r)
        return SM_ENOMEM;
    const bool sure = s->tonic >= 0 && s->key_confidence >= SURE_KEY;
    snprintf(r->key, sizeof r->key, "%s", s->key);
    memcpy(r->seams, s->seams, sizeof r->seams);
    r->shown = (sm_generate_result){
        .index = p->index,
        .seed = p->request->seed + p->index,
        .channels = s->channels,
        .sample_rate_hz = s->rate_hz,
        .peak = s->peak,
        .bpm = s->bpm,
        .key = sure ? r->key : NULL,
        .key_confidence = s->key_confidence,
        .misses = (misses_tempo(s->bpm, p->request->bpm) ? (unsigned)SM_MISSES_TEMPO : 0) |
                  (misses_key(s, p->request->key) ? (unsigned)SM_MISSES_KEY : 0),
        .fade_s = s->fade_s,
        .loop_jump = s->loop_jump,
        .n_seams = s->n_seams,
        .seams = r->seams,
        .partial = p->partial,
    };
    int err = interleave(r, s);
    if (err == 0)
        err = write_recipe(p, s, r);
    sm_sound_free(s);
    if (err < 0)
        sm_generate_result_free(&r->shown);
    else
        *out = &r->shown;
    return err;
}

int sm_generate_result_write(const sm_generate_result *r, const char *path, const char *format)
{
    static const struct {
        const char *name;
        sm_sample_format format;
    } formats[] = { { "float32", SM_SAMPLE_F32 }, { "int24", SM_SAMPLE_S24 }, { "int16", SM_SAMPLE_S16 } };
    sm_audio_write_options o = { .rate_hz = r->sample_rate_hz,
                                 .channels = r->channels,
                                 .comment = r->recipe,
                                 .software = "samplemind",
                                 .frames_expected = (int64_t)r->frames };
    sm_audio_writer *w = NULL;
    size_t k = 0;
    while (k < SM_LENGTH(formats) && strcmp(format ? format : "float32", formats[k].name) != 0)
        k++;
    if (k == SM_LENGTH(formats))
        return sm_fail(SM_EUSAGE, "samples as \"%s\"; float32, int24 and int16 are possible", format);
    o.format = formats[k].format;
    o.dither = o.format != SM_SAMPLE_F32;
    int err = sm_audio_writer_open(path, &o, &w);
    if (err == 0 && (err = sm_audio_writer_write(w, r->samples, r->frames)) < 0)
        sm_audio_writer_abandon(w);
    else if (err == 0)
        err = sm_audio_writer_commit(w);
    return err;
}
