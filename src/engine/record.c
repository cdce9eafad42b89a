/* One record: everything that is known about a file, as JSON, as a summary, and by field name. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/essentia.h"
#include "engine/meaning.h"
#include "engine/record.h"

enum { SCORES_SHOWN = 5 };

struct sm_record {
    sm_arena *arena; /* texts and lists of the summary */
    char *path;
    sm_buffer json, essentia;
    sm_summary summary;
    size_t n_failures, n_embeddings;
    sm_failure *failures;
    sm_embedding *embeddings;
    size_t n_opinions;
    sm_model_opinion *opinions;
};

typedef struct {
    sm_verdict instrument, genre, mood;
} verdicts;

/* ---- JSON ---- */

static void write_text_field(sm_json *j, const char *key, const char *text)
{
    sm_json_key(j, key);
    sm_json_string(j, text && *text ? text : NULL);
}

static void write_int_field(sm_json *j, const char *key, int64_t value, bool known)
{
    sm_json_key(j, key);
    if (known)
        sm_json_int(j, value);
    else
        sm_json_null(j);
}

/* Paths are bytes: one that is not UTF-8 is also given exactly. */
void sm_record_write_path(sm_json *j, const char *path)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t n = strlen(path);
    sm_json_key(j, "path");
    sm_json_string(j, path);
    if (sm_utf8_valid(path, n))
        return;
    sm_buffer text = { 0 };
    for (size_t i = 0; i < n; i += 3) {
        const unsigned char *p = (const unsigned char *)path + i;
        const size_t left = n - i;
        const uint32_t v = (uint32_t)p[0] << 16 | (left > 1 ? (uint32_t)p[1] << 8 : 0) | (left > 2 ? p[2] : 0);
        const char four[4] = { digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
                               left > 2 ? digits[v & 63] : '=' };
        sm_buffer_add(&text, four, 4);
    }
    sm_json_key(j, "path_base64");
    sm_json_string(j, text.data);
    j->out->failed |= text.failed;
    sm_buffer_free(&text);
}

static void write_file_part(sm_json *j, const sm_draft *d)
{
    const sm_audio_info *i = &d->info;
    if (i->container[0]) {
        write_int_field(j, "file_bytes", i->file_bytes, true);
        sm_json_key(j, "mtime_s");
        sm_json_f64(j, i->mtime_s);
        write_text_field(j, "container", i->container);
        write_text_field(j, "codec", i->codec);
        write_int_field(j, "bit_depth", i->bit_depth, i->bit_depth > 0);
        write_int_field(j, "bitrate_bps", i->bitrate_bps, i->bitrate_bps > 0);
    }
    write_int_field(j, "sample_rate_hz", i->rate_hz, true);
    write_int_field(j, "channels", i->channels, true);
    write_text_field(j, "audio_xxh128", d->audio_hash);
    if (d->truncated) {
        sm_json_key(j, "truncated");
        sm_json_bool(j, true);
    }
    if (d->warning)
        write_text_field(j, "warning", d->warning);
}

static void write_fields(sm_json *j, const sm_draft *d)
{
    const dsp_field *fields = NULL;
    const size_t n = dsp_fields(&fields);
    char key[16];
    for (size_t i = 0; i < n; i++) {
        sm_json_key(j, fields[i].name);
        if (d->key_notation && !strcmp(fields[i].name, "key") && d->dsp->key.tonic >= 0)
            sm_json_string(j, dsp_key_text(&d->dsp->key, d->key_notation, key));
        else
            fields[i].write(d->dsp, j);
    }
}

static void write_loops(sm_json *j, const sm_audio_metadata *m)
{
    sm_json_key(j, "smpl");
    sm_json_begin_object(j);
    write_int_field(j, "unity_note", m->smpl.unity_note, true);
    sm_json_key(j, "fine_cents");
    sm_json_f64(j, m->smpl.fine_cents);
    sm_json_key(j, "loops");
    sm_json_begin_array(j);
    for (size_t i = 0; i < m->smpl.n_loops; i++) {
        sm_json_begin_object(j);
        write_int_field(j, "start", m->smpl.loops[i].start, true);
        write_int_field(j, "end", m->smpl.loops[i].end, true);
        sm_json_end_object(j);
    }
    sm_json_end_array(j);
    sm_json_end_object(j);
}

/* What the file itself says; kept apart from what we measured. */
static void write_metadata(sm_json *j, const sm_audio_metadata *m)
{
    if (m->has_acid) {
        sm_json_key(j, "acid");
        sm_json_begin_object(j);
        sm_json_key(j, "one_shot");
        sm_json_bool(j, m->acid.flags & 1);
        write_int_field(j, "root_note", m->acid.root_note, m->acid.root_note >= 0);
        write_int_field(j, "beats", m->acid.beats, true);
        sm_json_key(j, "tempo");
        sm_json_f32(j, (double)m->acid.tempo);
        sm_json_end_object(j);
    }
    if (m->has_smpl)
        write_loops(j, m);
    if (m->n_cues > 0) {
        sm_json_key(j, "cues");
        sm_json_begin_array(j);
        for (size_t i = 0; i < m->n_cues; i++) {
            sm_json_begin_object(j);
            write_int_field(j, "frame", m->cues[i].frame, true);
            write_text_field(j, "label", m->cues[i].label);
            sm_json_end_object(j);
        }
        sm_json_end_array(j);
    }
    if (m->n_tags > 0) {
        sm_json_key(j, "file_tags");
        sm_json_begin_array(j); /* a key may stand more than once */
        for (size_t i = 0; i < m->n_tags; i++) {
            sm_json_begin_array(j);
            sm_json_string(j, m->tags[i].key);
            sm_json_string(j, m->tags[i].value);
            sm_json_end_array(j);
        }
        sm_json_end_array(j);
    }
}

static void write_verdict(sm_json *j, const char *name, const char *confidence, const char *scores, const sm_verdict *v)
{
    write_text_field(j, name, v->name);
    sm_json_key(j, confidence);
    sm_json_f32(j, v->name ? v->confidence : (double)NAN);
    sm_json_key(j, scores);
    sm_json_begin_object(j);
    for (size_t i = 0; i < v->n && i < SCORES_SHOWN; i++) {
        sm_json_key(j, v->scores[i].name);
        sm_json_f32(j, v->scores[i].score);
    }
    sm_json_end_object(j);
}

/* [[class, p], ...], best first. */
static void write_top(sm_json *j, const char *name, const sm_verdict *v)
{
    sm_json_key(j, name);
    sm_json_begin_array(j);
    for (size_t i = 0; i < v->n && i < SCORES_SHOWN; i++) {
        sm_json_begin_array(j);
        sm_json_string(j, v->scores[i].name);
        sm_json_f32(j, v->scores[i].score);
        sm_json_end_array(j);
    }
    sm_json_end_array(j);
}

/* Who said what: our classifiers, and another when they were not sure and it was there. */
static void write_votes(sm_json *j, const char *name, const sm_verdict *v)
{
    sm_json_key(j, name);
    sm_json_begin_array(j);
    for (size_t i = 0; i < v->n_votes; i++) {
        sm_json_begin_object(j);
        write_text_field(j, "model", v->votes[i].model);
        write_text_field(j, "class", v->votes[i].name);
        sm_json_key(j, "confidence");
        sm_json_f32(j, v->votes[i].confidence);
        sm_json_end_object(j);
    }
    sm_json_end_array(j);
}

static void write_answers(sm_json *j, const sm_draft *d)
{
    for (size_t i = 0; i < d->n_answers; i++) {
        const sm_model_answer *a = &d->answers[i];
        sm_json_key(j, a->name);
        sm_json_begin_object(j);
        sm_model_result_fields(a->result, a->classes, d->top, false, j);
        write_text_field(j, "model", a->model->official ? a->model->official : a->model->name);
        write_text_field(j, "weights", a->weights);
        sm_json_end_object(j);
    }
}

static void write_failed(sm_json *j, const sm_draft *d)
{
    sm_json_key(j, "failed");
    sm_json_begin_array(j);
    for (size_t i = 0; i < d->n_missing + d->n_failures; i++) {
        const sm_failure *f = i < d->n_missing ? &d->missing[i] : &d->failures[i - d->n_missing];
        sm_json_begin_object(j);
        write_text_field(j, "what", f->what);
        write_text_field(j, "reason", f->reason);
        sm_json_end_object(j);
    }
    sm_json_end_array(j);
}

static void write_verdicts(sm_json *j, const verdicts *v)
{
    write_verdict(j, "instrument", "instrument_confidence", "instrument_scores", &v->instrument);
    write_top(j, "instrument_top", &v->instrument);
    write_votes(j, "instrument_votes", &v->instrument);
    write_verdict(j, "genre", "genre_confidence", "genre_scores", &v->genre);
    write_verdict(j, "mood", "mood_confidence", "mood_scores", &v->mood);
}

static void write_record(sm_json *j, const sm_draft *d, const verdicts *v)
{
    sm_json_begin_object(j);
    sm_record_write_path(j, d->path);
    if (d->dsp) {
        write_file_part(j, d);
        write_fields(j, d);
        write_verdicts(j, v);
        write_answers(j, d);
        if (d->metadata)
            write_metadata(j, d->metadata);
        sm_json_key(j, "analyzed_by");
        sm_buffer by = { 0 };
        sm_buffer_printf(&by, "samplemind %s", sm_version());
        sm_json_string(j, by.data);
        j->out->failed |= by.failed;
        sm_buffer_free(&by);
    }
    write_failed(j, d);
    sm_json_end_object(j);
}

/* ---- the summary ---- */

static int summarise(sm_record *r, const sm_draft *d, const verdicts *v)
{
    static const char *const kinds[] = { "one_shot", "loop", "song", "speech", "silence" };
    const dsp_result *p = d->dsp;
    char text[16];
    sm_summary s = { .duration_s = p->duration_s,
                     .sample_rate_hz = d->info.rate_hz,
                     .channels = d->info.channels,
                     .kind = (size_t)p->timbre.kind < SM_LENGTH(kinds) ? kinds[p->timbre.kind] : NULL,
                     .kind_confidence = p->timbre.kind_confidence,
                     .loudness_lufs = p->levels.loudness_lufs,
                     .loudness_range_lu = p->levels.loudness_range_lu,
                     .true_peak_dbtp = p->levels.true_peak_dbtp,
                     .dynamic_range_db = p->levels.dynamic_range_db,
                     .bpm = p->tempo.bpm,
                     .bpm_confidence = p->tempo.confidence,
                     .key_confidence = p->key.confidence,
                     .pitch_hz = p->pitch.pitch_hz,
                     .pitch_confidence = p->pitch.confidence,
                     .note_cents = p->pitch.note_cents,
                     .note_midi = p->pitch.note_midi,
                     .energy = p->timbre.energy,
                     .brightness = p->timbre.brightness,
                     .instrument = v->instrument.name,
                     .genre = v->genre.name,
                     .mood = v->mood.name,
                     .instrument_confidence = v->instrument.name ? v->instrument.confidence : (double)NAN,
                     .genre_confidence = v->genre.name ? v->genre.confidence : (double)NAN,
                     .mood_confidence = v->mood.name ? v->mood.confidence : (double)NAN };
    if (p->key.tonic >= 0) {
        s.key = sm_arena_strdup(r->arena, dsp_key_text(&p->key, d->key_notation ? d->key_notation : "musical", text));
        s.key_camelot = sm_arena_strdup(r->arena, dsp_key_text(&p->key, "camelot", text));
    }
    if (p->pitch.note_midi >= 0) {
        dsp_note_text(p->pitch.note_midi, text);
        s.note_name = sm_arena_strdup(r->arena, text);
    }
    bool failed = (p->key.tonic >= 0 && (!s.key || !s.key_camelot)) || (p->pitch.note_midi >= 0 && !s.note_name);
    double *beats = sm_arena_get(r->arena, p->tempo.n_beats + 1, sizeof *beats, 8);
    failed |= !beats;
    if (beats && p->tempo.n_beats > 0) {
        memcpy(beats, p->tempo.beat_times_s, p->tempo.n_beats * sizeof *beats);
        s.n_beats = p->tempo.n_beats;
        s.beat_times_s = beats;
    }
    /* class names are borrowed from models that may be closed before the record */
    const char **texts[] = { &s.instrument, &s.genre, &s.mood };
    for (size_t i = 0; i < SM_LENGTH(texts); i++)
        if (*texts[i])
            failed |= !(*texts[i] = sm_arena_strdup(r->arena, *texts[i]));
    r->summary = s;
    return failed ? SM_ENOMEM : 0;
}

static int copy_failures(sm_record *r, const sm_draft *d)
{
    r->n_failures = d->n_missing + d->n_failures;
    r->failures = sm_arena_get(r->arena, r->n_failures + 1, sizeof *r->failures, 8);
    for (size_t i = 0; r->failures && i < r->n_failures; i++) {
        const sm_failure *f = i < d->n_missing ? &d->missing[i] : &d->failures[i - d->n_missing];
        r->failures[i] = (sm_failure){ sm_arena_strdup(r->arena, f->what), sm_arena_strdup(r->arena, f->reason) };
        if (!r->failures[i].what || !r->failures[i].reason)
            return SM_ENOMEM;
    }
    return r->failures ? 0 : SM_ENOMEM;
}

/* What each model's embedding says of the sound. */
static int copy_embeddings(sm_record *r, const sm_draft *d)
{
    r->embeddings = sm_arena_get(r->arena, d->n_answers + 1, sizeof *r->embeddings, 8);
    for (size_t i = 0; r->embeddings && i < d->n_answers; i++) {
        const sm_model_answer *a = &d->answers[i];
        const size_t n = a->result->n_embedding;
        if (!a->result->embedding)
            continue;
        float *values = sm_arena_get(r->arena, n, sizeof *values, 16);
        const char *model = sm_arena_strdup(r->arena, a->name), *weights = sm_arena_strdup(r->arena, a->weights);
        const char *space =
            a->model->space ? sm_arena_strdup(r->arena, a->model->space) : sm_arena_printf(r->arena, "%s/1", a->name);
        if (!values || !model || !weights || !space)
            return SM_ENOMEM;
        memcpy(values, a->result->embedding, n * sizeof *values);
        r->embeddings[r->n_embeddings++] = (sm_embedding){
            .model = model, .space = space, .weights = weights, .dims = n, .windows = a->result->heard, .values = values
        };
    }
    return r->embeddings ? 0 : SM_ENOMEM;
}

/* The models may be closed before the record. */
static int copy_opinions(sm_record *r, const sm_draft *d)
{
    bool failed = false;
    r->opinions = sm_arena_get(r->arena, d->n_answers + 1, sizeof *r->opinions, 8);
    if (!r->opinions)
        return SM_ENOMEM;
    for (size_t i = 0; i < d->n_answers && !failed; i++) {
        const sm_model_answer *a = &d->answers[i];
        const size_t n = a->result->mean && a->classes ? SM_MIN(a->result->n_classes, a->classes->n) : 0;
        sm_model_opinion *o = &r->opinions[r->n_opinions++];
        const char **names = n > 0 ? sm_arena_get(r->arena, n, sizeof *names, 8) : NULL;
        failed |= n > 0 && !names;
        for (size_t c = 0; c < n && !failed; c++)
            failed |= !(names[c] = sm_arena_strdup(r->arena, a->classes->names[c]));
        *o = (sm_model_opinion){ .model = sm_arena_strdup(r->arena, a->name),
                                 .weights = sm_arena_strdup(r->arena, a->weights),
                                 .n_classes = n,
                                 .classes = names };
        float *scores = n > 0 ? sm_arena_get(r->arena, n, sizeof *scores, 16) : NULL;
        if (scores)
            o->scores = memcpy(scores, a->result->mean, n * sizeof *scores);
        failed |= !o->model || !o->weights || (n > 0 && !scores);
    }
    return failed ? SM_ENOMEM : 0;
}

bool sm_record_opinion(const sm_record *r, size_t i, sm_model_opinion *out)
{
    *out = (sm_model_opinion){ 0 };
    if (i < r->n_opinions)
        *out = r->opinions[i];
    return i < r->n_opinions;
}

/* Silence has no instrument, whatever the networks make of it. */
static int judge(const sm_draft *d, verdicts *v)
{
    if (d->dsp && d->dsp->timbre.kind == DSP_KIND_SILENCE)
        return 0;
    int err = sm_meaning_instrument(d->answers, d->n_answers, &v->instrument);
    if (err == 0)
        err = sm_meaning_genre(d->answers, d->n_answers, &v->genre);
    if (err == 0)
        err = sm_meaning_mood(d->answers, d->n_answers, &v->mood);
    return err;
}

static void free_verdicts(verdicts *v)
{
    sm_verdict_free(&v->instrument);
    sm_verdict_free(&v->genre);
    sm_verdict_free(&v->mood);
}

int sm_record_new(const sm_draft *d, sm_record **out)
{
    verdicts v = { 0 };
    sm_json j;
    *out = NULL;
    sm_record *r = sm_alloc_zero(1, sizeof *r);
    if (!r)
        return SM_ENOMEM;
    int err = judge(d, &v);
    r->arena = sm_arena_new();
    r->path = sm_strdup(d->path);
    if (err == 0 && (!r->arena || !r->path))
        err = SM_ENOMEM;
    if (err == 0)
        err = copy_failures(r, d);
    if (err == 0)
        err = copy_embeddings(r, d);
    if (err == 0)
        err = copy_opinions(r, d);
    if (err == 0) {
        r->summary = (sm_summary){ .note_midi = -1 };
        if (d->dsp)
            err = summarise(r, d, &v);
    }
    if (err == 0) {
        sm_json_init(&j, &r->json, false);
        write_record(&j, d, &v);
        sm_json_init(&j, &r->essentia, false);
        sm_essentia_write(&j, d);
        if (r->json.failed || r->essentia.failed)
            err = sm_fail(SM_ENOMEM, "%s: no memory for the record", d->path);
    }
    free_verdicts(&v);
    if (err < 0)
        sm_record_free(r);
    else
        *out = r;
    return err;
}

int sm_opinions_judge(const sm_model_opinion *o, size_t n, sm_buffer *json)
{
    verdicts v = { 0 };
    sm_json j;
    size_t answered = 0;
    sm_model_answer *answers = sm_alloc_zero(n, sizeof *answers);
    sm_model_result *results = sm_alloc_zero(n, sizeof *results);
    sm_classes *classes = sm_alloc_zero(n, sizeof *classes);
    int err = answers && results && classes ? 0 : SM_ENOMEM;
    for (size_t i = 0; i < n && err == 0; i++) {
        const sm_model *model = sm_model_find(o[i].model);
        if (!model || !o[i].scores || !o[i].classes)
            continue;
        classes[i] = (sm_classes){ .n = o[i].n_classes, .names = o[i].classes };
        results[i] = (sm_model_result){ .n_classes = o[i].n_classes, .mean = (float *)(uintptr_t)o[i].scores };
        answers[answered++] = (sm_model_answer){
            .name = o[i].model, .weights = o[i].weights, .model = model, .classes = &classes[i], .result = &results[i]
        };
    }
    if (err == 0)
        err = judge(&(const sm_draft){ .answers = answers, .n_answers = answered }, &v);
    if (err == 0) {
        sm_json_init(&j, json, false);
        sm_json_begin_object(&j);
        write_verdicts(&j, &v);
        sm_json_end_object(&j);
        err = json->failed ? sm_fail(SM_ENOMEM, "no memory for verdicts") : 0;
    }
    free_verdicts(&v);
    sm_free(answers);
    sm_free(results);
    sm_free(classes);
    return err;
}

void sm_record_free(sm_record *r)
{
    if (!r)
        return;
    sm_buffer_free(&r->json);
    sm_buffer_free(&r->essentia);
    sm_arena_free(r->arena);
    sm_free(r->path);
    sm_free(r);
}

const char *sm_record_json(const sm_record *r)
{
    return r->json.data;
}

const char *sm_record_json_essentia(const sm_record *r)
{
    return r->essentia.data;
}

const char *sm_record_path(const sm_record *r)
{
    return r->path;
}

const sm_summary *sm_record_summary(const sm_record *r)
{
    return &r->summary;
}

size_t sm_record_embeddings(const sm_record *r)
{
    return r->n_embeddings;
}

const sm_embedding *sm_record_embedding(const sm_record *r, size_t i)
{
    return i < r->n_embeddings ? &r->embeddings[i] : NULL;
}

const sm_embedding *sm_record_embedding_of(const sm_record *r, const char *model)
{
    for (size_t i = 0; i < r->n_embeddings; i++)
        if (!strcmp(r->embeddings[i].model, model))
            return &r->embeddings[i];
    return NULL;
}

size_t sm_record_failures(const sm_record *r)
{
    return r->n_failures;
}

void sm_record_failure(const sm_record *r, size_t i, const char **what, const char **reason)
{
    *what = i < r->n_failures ? r->failures[i].what : NULL;
    *reason = i < r->n_failures ? r->failures[i].reason : NULL;
}

int sm_record_number(const sm_record *r, const char *field, double *out)
{
    int err = 0;
    json_t *root = json_loadb(r->json.data, r->json.length, 0, NULL);
    if (!root)
        return sm_fail(SM_ENOMEM, "no memory to read the record of %s", r->path);
    const json_t *value = json_object_get(root, field);
    if (json_is_number(value))
        *out = json_number_value(value);
    else if (json_is_boolean(value))
        *out = json_is_true(value);
    else if (json_is_null(value))
        *out = (double)NAN;
    else
        err = value ? sm_fail(SM_ENOTFOUND, "the field \"%s\" is not a number", field)
                    : sm_fail(SM_ENOTFOUND, "there is no field \"%s\"; docs/fields.md lists them", field);
    json_decref(root);
    return err;
}
