/* One sound of the second phase: hashed, its parts computed, and what became of it kept. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "audio/audio.h"
#include "library/scan.h"

int scan_sound_new(sm_scan *s, const sm_file_row *f, scan_sound **out)
{
    sm_buffer path = { 0 };
    scan_sound *x = sm_alloc_zero(1, sizeof *x);
    int err = x ? sm_store_file_path(s->store, f->id, &path) : SM_ENOMEM;
    *out = NULL;
    if (err < 0) {
        sm_buffer_free(&path);
        sm_free(x);
        return err;
    }
    x->file = *f;
    x->file.name = x->file.reason = NULL;
    x->path = path.data;
    *out = x;
    return 0;
}

void scan_sound_free(scan_sound *x)
{
    while (x) {
        scan_sound *next = x->twins;
        for (size_t i = 0; i < SM_SCAN_MOST_PARTS; i++)
            sm_buffer_free(&x->computed[i]);
        sm_record_free(x->record);
        sm_free(x->path);
        sm_free(x->reason);
        sm_free(x);
        x = next;
    }
}

/* The message of the thread without the path that it begins with. */
static int note_failure(scan_sound *x, int err, const char *message)
{
    const size_t n = strlen(x->path);
    if (!strncmp(message, x->path, n) && !strncmp(message + n, ": ", 2))
        message += n + 2;
    sm_free(x->reason);
    x->err = err;
    x->reason = sm_strdup(message);
    return x->reason ? 0 : SM_ENOMEM;
}

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

bool scan_sound_unchanged(const scan_sound *x)
{
    struct stat st;
    return stat(x->path, &st) == 0 && st.st_size == x->file.size && mtime_of(&st) == x->file.mtime_ns;
}

int scan_sound_hash(scan_sound *x)
{
    struct stat st;
    char hex[65];
    if (stat(x->path, &st) < 0) {
        x->went = errno == ENOENT || errno == ENOTDIR;
        return note_failure(x, SM_EIO, strerror(errno));
    }
    x->file.size = st.st_size; /* it may have changed since it was listed; now this is what is known of it */
    x->file.mtime_ns = mtime_of(&st);
    const int err = sm_hash_file(SM_HASH_XXH128, x->path, hex);
    if (err == SM_ENOMEM)
        return err;
    if (err < 0)
        return note_failure(x, err, sm_last_error());
    return sm_hash_from_hex(hex, x->hash) ? 0 : sm_fail(SM_EINTERNAL, "%s: its hash is \"%s\"", x->path, hex);
}

/* ---- parts ---- */

/* The first seconds, decoded. A file that cannot be read has no audio: the analysis says why. */
static int decode(const char *path, sm_scan_audio *a, float **audio)
{
    sm_audio *in = NULL;
    int err = sm_audio_open(path, &in);
    if (err < 0)
        return err;
    const sm_audio_info *info = sm_audio_get_info(in);
    const size_t most = (size_t)SM_SCAN_SECONDS * (size_t)info->rate_hz;
    size_t room = info->frames >= 0 ? SM_MIN((size_t)info->frames + 1, most) : most;
    *a = (sm_scan_audio){ .path = path, .rate_hz = info->rate_hz, .channels = info->channels };
    *audio = sm_alloc(room, sizeof(float) * (size_t)info->channels);
    err = *audio ? 0 : SM_ENOMEM;
    while (err == 0 && a->frames < room) {
        const int64_t got = sm_audio_read(in, *audio + a->frames * (size_t)info->channels, room - a->frames);
        if (got <= 0) {
            err = (int)got;
            break;
        }
        a->frames += (size_t)got;
    }
    a->whole = a->frames < room;
    a->audio = *audio;
    sm_audio_close(in);
    return err;
}

int scan_sound_compute(scan_sound *x, uint32_t parts)
{
    sm_scan_audio a = { 0 };
    float *audio = NULL;
    int err = 0;
    bool decoded = false;
    for (size_t i = 0; sm_scan_parts[i] && err == 0; i++) {
        if (!sm_scan_parts[i]->compute || !(parts >> i & 1))
            continue;
        if (!decoded && (err = decode(x->path, &a, &audio)) < 0)
            break;
        decoded = true;
        err = sm_scan_parts[i]->compute(&a, &x->computed[i]);
        if (err < 0 && err != SM_ENOMEM) {
            sm_buffer_free(&x->computed[i]);
            err = 0;
        }
    }
    sm_free(audio);
    return err == SM_ENOMEM ? err : 0;
}

/* Its own row says that a part is there, also when it had nothing to keep. */
static int mark_part(sm_store *s, int64_t content, const sm_scan_part *part)
{
    char name[64], version[16];
    snprintf(name, sizeof name, "#%s", part->name);
    snprintf(version, sizeof version, "%d", part->version);
    return sm_store_output_put(s, content, &(const sm_output_row){ .model = name, .weights = version }, NULL);
}

static int keep_parts(sm_scan *s, scan_sound *x, int64_t content, uint32_t parts)
{
    int err = 0;
    for (size_t i = 0; sm_scan_parts[i] && err == 0; i++) {
        if (!(parts >> i & 1))
            continue;
        if (sm_scan_parts[i]->keep)
            err = sm_scan_parts[i]->keep(s->store, content, x->record, &x->computed[i]);
        if (err == 0)
            err = mark_part(s->store, content, sm_scan_parts[i]);
    }
    return err;
}

/* ---- what models said ---- */

/* A row for every model of the engine, so that one with nothing to say is not asked again. */
static int keep_outputs(sm_scan *s, const scan_sound *x, const sm_engine *engine, int64_t content)
{
    const char *name;
    int err = 0;
    for (size_t m = 0; err == 0 && (name = sm_engine_model(engine, m)) != NULL; m++) {
        sm_model_opinion o = { 0 };
        sm_output_row row = { .model = name, .weights = sm_engine_model_weights(engine, m) };
        for (size_t i = 0; sm_record_opinion(x->record, i, &o); i++)
            if (!strcmp(o.model, name)) {
                row.n = o.n_classes;
                row.scores = o.scores;
                break;
            }
        err = sm_store_output_put(s->store, content, &row, row.n > 0 ? o.classes : NULL);
    }
    return err;
}

/* ---- files ---- */

static int keep_files(sm_scan *s, scan_sound *x, const sm_content_row *c)
{
    sm_content_row before = { 0 };
    int err = 0;
    for (; x && err == 0; x = x->twins) {
        const int64_t old = x->file.content;
        if (old > 0 && old != c->id && sm_store_content_get(s->store, old, &before) == 0 &&
            !memcmp(before.audio_hash, c->audio_hash, SM_HASH_BYTES))
            err = sm_store_inherit(s->store, old, c->id);
        x->file.content = c->id;
        x->file.state = SM_FILE_ANALYSED;
        if (err == 0)
            err = sm_store_file_set(s->store, &x->file);
    }
    return err;
}

int scan_sound_keep_failure(sm_scan *s, scan_sound *x)
{
    int err = 0;
    for (scan_sound *f = x; f && err == 0; f = f->twins) {
        f->file.state = x->went ? SM_FILE_GONE : SM_FILE_BROKEN;
        f->file.content = x->went ? f->file.content : 0;
        f->file.reason = x->went ? NULL : x->reason;
        err = sm_store_file_set(s->store, &f->file);
        f->file.reason = NULL;
        s->result.gone += x->went;
        s->result.broken += !x->went;
        if (!x->went)
            scan_problem(s, f->path, x->reason);
    }
    return err;
}

int scan_sound_keep_known(sm_scan *s, scan_sound *x, int64_t content)
{
    sm_content_row c;
    int64_t gone = 0;
    int err = sm_store_content_get(s->store, content, &c);
    if (err == 0)
        err = sm_store_gone_copy(s->store, content, &gone);
    if (err == 0 && gone > 0) { /* it went from there to here */
        s->result.moved++;
        err = sm_store_file_remove(s->store, gone);
    }
    s->result.known++;
    return err == 0 ? keep_files(s, x, &c) : err;
}

int scan_sound_keep(sm_scan *s, scan_sound *x)
{
    sm_content_row c = { .pipeline = SM_PIPELINE_VERSION };
    memcpy(c.hash, x->hash, SM_HASH_BYTES);
    int err = sm_store_content_put(s->store, &c, sm_record_json(x->record));
    if (err == 0)
        err = keep_outputs(s, x, s->engine, c.id);
    if (err == 0)
        err = keep_parts(s, x, c.id, UINT32_MAX);
    if (err == 0)
        err = keep_files(s, x, &c);
    s->result.analysed++;
    for (const scan_sound *t = x->twins; t; t = t->twins)
        s->result.known++;
    return err;
}

/* ---- a new model's word beside the old ones ---- */

typedef struct {
    sm_store *store;
    sm_model_opinion *list;
    size_t n, capacity;
    sm_arena *arena;
} opinions;

static int take_opinion(void *user, int64_t content, const sm_output_row *row)
{
    opinions *o = user;
    sm_strings names = { 0 };
    (void)content;
    if (row->n == 0)
        return 0;
    int err = sm_grow(&o->list, &o->capacity, o->n + 1, sizeof *o->list);
    if (err == 0)
        err = sm_store_model_classes(o->store, row->model, row->weights, &names);
    if (err == 0 && names.length == row->n) {
        const char **classes = sm_arena_get(o->arena, row->n, sizeof *classes, 8);
        float *scores = sm_arena_get(o->arena, row->n, sizeof *scores, 16);
        const char *model = sm_arena_strdup(o->arena, row->model);
        err = classes && scores && model ? 0 : SM_ENOMEM;
        for (size_t i = 0; i < row->n && err == 0; i++)
            err = (classes[i] = sm_arena_strdup(o->arena, names.items[i])) ? 0 : SM_ENOMEM;
        if (err == 0) {
            memcpy(scores, row->scores, row->n * sizeof *scores);
            o->list[o->n++] = (sm_model_opinion){
                .model = model, .weights = "", .n_classes = row->n, .classes = classes, .scores = scores
            };
        }
    }
    sm_strings_free(&names);
    return err;
}

/* The verdicts of all models that have spoken, over those of the record. */
static int judge_again(sm_scan *s, int64_t content, json_t *record)
{
    opinions o = { .store = s->store, .arena = sm_arena_new() };
    sm_buffer text = { 0 };
    json_t *verdicts = NULL;
    const char *kind = json_string_value(json_object_get(record, "kind"));
    int err = o.arena ? 0 : SM_ENOMEM;
    if (kind && !strcmp(kind, "silence"))
        goto out; /* whatever the networks make of it */
    if (err == 0)
        err = sm_store_outputs_of(s->store, content, take_opinion, &o);
    if (err == 0)
        err = sm_opinions_judge(o.list, o.n, &text);
    if (err == 0 && (!(verdicts = json_loads(text.data, 0, NULL)) || json_object_update(record, verdicts) < 0))
        err = sm_fail(SM_ENOMEM, "no memory for verdicts");
out:
    json_decref(verdicts);
    sm_buffer_free(&text);
    sm_free(o.list);
    sm_arena_free(o.arena);
    return err;
}

/* The new record with what models said before that did not speak now. */
static int merge_records(sm_scan *s, const scan_sound *x, int64_t content, json_t **out)
{
    sm_buffer text = { 0 };
    int err = sm_store_record(s->store, content, &text);
    json_t *old = err == 0 ? json_loads(text.data, 0, NULL) : NULL;
    *out = json_loads(sm_record_json(x->record), 0, NULL);
    if (err == 0 && (!old || !*out || json_object_update_missing(*out, old) < 0))
        err = sm_fail(SM_ENOMEM, "%s: no memory to merge its records", x->path);
    json_decref(old);
    sm_buffer_free(&text);
    return err == 0 ? judge_again(s, content, *out) : err;
}

int scan_sound_keep_more(sm_scan *s, scan_sound *x, const sm_engine *engine, int64_t content, uint32_t parts)
{
    json_t *record = NULL;
    char *text = NULL;
    sm_content_row c = { 0 };
    int err = sm_store_content_get(s->store, content, &c);
    if (err == 0 && x->record) {
        err = keep_outputs(s, x, engine, content);
        if (err == 0)
            err = merge_records(s, x, content, &record);
        if (err == 0 && !(text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(9))))
            err = sm_fail(SM_ENOMEM, "%s: no memory for its record", x->path);
        if (err == 0)
            err = sm_store_content_put(s->store, &c, text);
    }
    if (err == 0)
        err = keep_parts(s, x, content, parts);
    s->result.refreshed += err == 0;
    free(text);
    json_decref(record);
    return err;
}
