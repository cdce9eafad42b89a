/* Tags of files from what is known of them, and from what the user says; the journal takes them back. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audio/tag.h"
#include "library/correction.h"
#include "library/known.h"
#include "library/moves.h"

/* What can be written, by the user's names; chunks of wav are fields too. */
static const char *const chunk_names[] = { "acid", "smpl", "inst" };

/* What the user says of a field that the library has; `kept` as correction.h reads it. */
typedef struct {
    const sm_property *p;
    bool unset; /* it is taken back */
    char kept[SM_CORRECTION_SIZE];
} said;

struct sm_tagger {
    sm_known *known;
    sm_tagger_options o;
    bool fields[SM_TAG_FIELDS], chunks[3]; /* that are written where they are known */
    char *set[SM_TAG_FIELDS];              /* the user's word, for files */
    said *said;                            /* and for the library */
    size_t n_said;
    char batch[32]; /* all files of one call of the program are taken back together */
};

void sm_tagger_options_init(sm_tagger_options *o)
{
    *o = (sm_tagger_options){ .size = sizeof *o, .measured = 1, .least_confidence = 0.5 };
}

/* ---- options ---- */

static int field_of(const char *name, size_t n)
{
    for (int f = 0; f < SM_TAG_FIELDS; f++)
        if (strlen(sm_tag_field_name((sm_tag_field)f)) == n && !strncmp(sm_tag_field_name((sm_tag_field)f), name, n))
            return f;
    return -1;
}

static int unknown_field(const char *name, size_t n)
{
    const char *names[SM_TAG_FIELDS + SM_LENGTH(chunk_names)];
    char *word = sm_strndup(name, n);
    if (!word)
        return SM_ENOMEM;
    for (int f = 0; f < SM_TAG_FIELDS; f++)
        names[f] = sm_tag_field_name((sm_tag_field)f);
    for (size_t i = 0; i < SM_LENGTH(chunk_names); i++)
        names[SM_TAG_FIELDS + i] = chunk_names[i];
    const char *near = sm_text_nearest(word, names, SM_LENGTH(names));
    const int err = sm_fail(SM_EUSAGE,
                            "\"%s\" is no field of tags%s%s%s; there are title, comment, genre, mood, "
                            "instrument, bpm, key, keywords, acid, smpl, inst; and for --set the fields of the library",
                            word, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    sm_free(word);
    return err;
}

static int read_fields(sm_tagger *t, const char *list)
{
    for (const char *p = list; p && *p;) {
        const size_t n = strcspn(p, ",");
        const int f = field_of(p, n);
        bool found = f >= 0;
        if (found)
            t->fields[f] = true;
        for (size_t i = 0; i < SM_LENGTH(chunk_names); i++)
            if (strlen(chunk_names[i]) == n && !strncmp(chunk_names[i], p, n))
                found = t->chunks[i] = true;
        if (!found)
            return unknown_field(p, n);
        p += n + (p[n] == ',');
    }
    if (!list) {
        for (int f = 0; f < SM_TAG_FIELDS; f++)
            t->fields[f] = f != SM_TAG_TITLE;
        for (size_t i = 0; i < SM_LENGTH(chunk_names); i++)
            t->chunks[i] = true;
    }
    return 0;
}

/* A word about a field of the library; fields that only files have are no error: *known false. */
static int add_said(sm_tagger *t, const char *field, const char *value, bool unset, bool only_files, bool *known)
{
    said *x = &t->said[t->n_said];
    *known = !(only_files && !sm_property_find(field));
    if (!*known)
        return 0;
    const int err = sm_correction_read(field, value, &x->p, x->kept);
    x->unset = unset;
    t->n_said += err == 0;
    return err;
}

static int set_text(sm_tagger *t, int f, const char *value, const char *kept)
{
    char key[8];
    if (!sm_utf8_valid(value, strlen(value)))
        return sm_fail(SM_EUSAGE, "a value that is no UTF-8");
    if (f == SM_TAG_KEY && kept && *kept) {
        sm_key_short(kept, key); /* "8A" and "A minor" are Am in files */
        value = key;
    } else if (f == SM_TAG_INSTRUMENT && kept)
        value = kept;
    sm_free(t->set[f]);
    t->set[f] = sm_strdup(value);
    return t->set[f] ? 0 : SM_ENOMEM;
}

/* A field of files, of the library, or both. */
static int set_one(sm_tagger *t, const char *text)
{
    const char *equals = strchr(text, '=');
    const size_t n = equals ? (size_t)(equals - text) : 0;
    char name[64];
    bool known = true;
    if (!equals)
        return sm_fail(SM_EUSAGE, "\"%s\": FIELD=VALUE was expected", text);
    snprintf(name, sizeof name, "%.*s", (int)SM_MIN(n, sizeof name - 1), text);
    const int f = field_of(text, n);
    const bool no_key = f == SM_TAG_KEY && !strcmp(equals + 1, "o"); /* as ID3 writes it */
    if (f < 0 && !sm_property_find(name) && strcmp(name, "note") != 0)
        return unknown_field(text, n);
    int err = add_said(t, name, no_key ? "" : equals + 1, false, f >= 0, &known);
    if (err == 0 && f == SM_TAG_BPM && equals[1] && !strcmp(t->said[t->n_said - 1].kept, "0"))
        err = sm_fail(SM_EUSAGE, "bpm=%s: a number of beats a minute was expected", equals + 1);
    return err < 0 || f < 0 ? err : set_text(t, f, equals + 1, known ? t->said[t->n_said - 1].kept : NULL);
}

static int read_set(sm_tagger *t)
{
    bool known;
    int err = 0;
    t->said = sm_alloc_zero(t->o.n_set + t->o.n_unset + 1, sizeof *t->said);
    if (!t->said)
        return SM_ENOMEM;
    for (size_t i = 0; i < t->o.n_set && err == 0; i++)
        err = set_one(t, t->o.set[i]);
    for (size_t i = 0; i < t->o.n_unset && err == 0; i++)
        err = add_said(t, t->o.unset[i], "", true, false, &known);
    return err;
}

int sm_tagger_open(const sm_tagger_options *o, sm_tagger **out)
{
    sm_tagger *t = sm_alloc_zero(1, sizeof *t);
    *out = NULL;
    if (!t)
        return SM_ENOMEM;
    memcpy(&t->o, o, SM_MIN(o->size, sizeof t->o));
    snprintf(t->batch, sizeof t->batch, "%lld.%09ld", (long long)time(NULL), (long)(fmod(sm_now_s(), 1) * 1e9));
    int err = read_fields(t, o->fields);
    if (err == 0)
        err = read_set(t);
    if (err == 0)
        err = sm_known_open(o->library, !o->dry_run, o->models, &t->known);
    if (err < 0)
        sm_tagger_close(t);
    else
        *out = t;
    return err;
}

void sm_tagger_close(sm_tagger *t)
{
    if (!t)
        return;
    for (int f = 0; f < SM_TAG_FIELDS; f++)
        sm_free(t->set[f]);
    sm_free(t->said);
    sm_known_close(t->known);
    sm_free(t);
}

/* ---- what is to be written ---- */

typedef struct {
    char bpm[32], key[8], comment[32];
    sm_buffer keywords;
} values;

static bool sure(const sm_tagger *t, const json_t *record, const char *field)
{
    return sm_known_number(record, field) >= t->o.least_confidence;
}

/* A class is written in the words of the record; with a confidence that is too small, not. A corrected one has none to fear. */
static const char *class_of(const sm_tagger *t, const json_t *record, const char *field)
{
    char confidence[48];
    snprintf(confidence, sizeof confidence, "%s_confidence", field);
    const json_t *c = json_object_get(record, confidence);
    return json_is_number(c) && !sure(t, record, confidence) ? NULL : sm_known_text(record, field);
}

static void add_keyword(values *v, const char *word)
{
    if (word && *word)
        sm_buffer_printf(&v->keywords, "%s%s", v->keywords.length ? "; " : "", word);
}

static void texts_of(const sm_tagger *t, const json_t *record, values *v, sm_tag_edit *e)
{
    const double bpm = sm_known_number(record, "bpm"), energy = sm_known_number(record, "energy");
    const char *kind = sm_known_text(record, "kind"), *camelot = sm_known_text(record, "key_camelot");
    const bool rhythmic = kind && (!strcmp(kind, "loop") || !strcmp(kind, "song"));
    if (isfinite(bpm) && bpm > 0 && sure(t, record, "bpm_confidence") && rhythmic)
        snprintf(v->bpm, sizeof v->bpm, "%.*f", SM_CLAMP(t->o.bpm_decimals, 0, 6), bpm);
    if (sure(t, record, "key_confidence"))
        sm_key_short(sm_known_text(record, "key"), v->key);
    if (*v->key && camelot && isfinite(energy) && rhythmic)
        snprintf(v->comment, sizeof v->comment, "%s - %.0f", camelot, energy); /* as DJ programs write it */
    const char *texts[SM_TAG_FIELDS] = { [SM_TAG_COMMENT] = v->comment,
                                         [SM_TAG_GENRE] = class_of(t, record, "genre"),
                                         [SM_TAG_MOOD] = class_of(t, record, "mood"),
                                         [SM_TAG_INSTRUMENT] = class_of(t, record, "instrument"),
                                         [SM_TAG_BPM] = v->bpm,
                                         [SM_TAG_KEY] = v->key };
    add_keyword(v, texts[SM_TAG_INSTRUMENT]);
    add_keyword(v, texts[SM_TAG_MOOD]);
    texts[SM_TAG_KEYWORDS] = v->keywords.data;
    for (int f = 0; f < SM_TAG_FIELDS; f++)
        if (t->fields[f] && texts[f] && *texts[f])
            e->text[f] = texts[f];
}

static void chunks_of(const sm_tagger *t, const json_t *record, sm_tag_edit *e)
{
    const double bpm = sm_known_number(record, "bpm"), note = sm_known_number(record, "note_midi"),
                 cents = sm_known_number(record, "note_cents"), duration = sm_known_number(record, "duration_s"),
                 rate = sm_known_number(record, "sample_rate_hz");
    const char *kind = sm_known_text(record, "kind");
    const bool loop = kind && !strcmp(kind, "loop"), one_shot = kind && !strcmp(kind, "one_shot");
    const bool has_note = note >= 0 && note < 128 && sure(t, record, "note_confidence");
    const bool has_tempo = loop && bpm > 0 && bpm < 1000 && sure(t, record, "bpm_confidence");
    e->unity_note = has_note ? (int)note : 60;
    e->fine_cents = has_note && isfinite(cents) ? SM_CLAMP(cents, -50, 50) : 0;
    e->loop = loop && json_is_true(json_object_get(record, "loopable"));
    e->frames = duration > 0 && rate > 0 && duration * rate < 4e9 ? llrint(duration * rate) : 0;
    e->acid_values.one_shot = one_shot;
    e->acid_values.root_note = has_note ? (int)note : -1;
    e->acid_values.tempo = has_tempo ? (float)bpm : 0;
    e->acid_values.beats = has_tempo && duration > 0 && duration < 1e5 ? (uint32_t)lrint(duration * bpm / 60) : 0;
    e->acid = t->chunks[0] && (one_shot || has_tempo);
    e->smpl = t->chunks[1] && (has_note || e->loop) && (one_shot || loop);
    e->inst = t->chunks[2] && has_note && one_shot;
}

static bool is_unset(const sm_tagger *t, const char *field)
{
    for (size_t i = 0; i < t->n_said; i++)
        if (t->said[i].unset && !strcmp(t->said[i].p->name, field))
            return true;
    return false;
}

static void user_words(const sm_tagger *t, sm_tag_edit *e)
{
    for (int f = 0; f < SM_TAG_FIELDS; f++) {
        e->overwrite[f] = t->o.overwrite || t->set[f] || is_unset(t, sm_tag_field_name((sm_tag_field)f));
        if (t->set[f])
            e->text[f] = t->set[f];
    }
    e->overwrite_chunks = t->o.overwrite;
    e->overwrite_acid = t->set[SM_TAG_BPM] != NULL; /* two tempos in one file would be worse than none */
}

/* ---- the journal ---- */

typedef struct {
    sm_tagger *t;
} journal;

static int write_journal(void *user, const char *path, const sm_tag_result *r)
{
    sm_tagger *t = ((journal *)user)->t;
    sm_buffer text = { 0 };
    sm_json j;
    int64_t id = 0;
    if (!sm_known_store(t->known))
        return sm_fail(SM_EUSAGE, "tags are written only where a library keeps the journal that takes them back");
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "batch");
    sm_json_string(&j, t->batch);
    sm_json_path(&j, "path", path);
    sm_json_key(&j, "hash_before");
    sm_json_string(&j, r->hash_before);
    sm_json_key(&j, "hash_after");
    sm_json_string(&j, r->hash_after);
    sm_json_key(&j, "mtime_ns");
    sm_json_int(&j, r->mtime_ns);
    sm_json_key(&j, "back");
    sm_json_begin_array(&j);
    for (size_t i = 0; i < r->back.n; i++) {
        sm_json_begin_object(&j);
        sm_json_key(&j, "at");
        sm_json_int(&j, r->back.parts[i].at);
        sm_json_key(&j, "remove");
        sm_json_int(&j, r->back.parts[i].remove);
        sm_json_bytes(&j, "bytes", r->back.parts[i].bytes, r->back.parts[i].n);
        sm_json_end_object(&j);
    }
    sm_json_end_array(&j);
    sm_json_end_object(&j);
    const int err = text.failed ? SM_ENOMEM : sm_store_journal_add(sm_known_store(t->known), "tag", text.data, &id);
    sm_buffer_free(&text);
    return err;
}

/* ---- one file ---- */

static int value_there(sm_store *s, int64_t content, const sm_property *p, char out[SM_CORRECTION_SIZE])
{
    const char *text = NULL;
    double number = (double)NAN;
    out[0] = 0;
    const int err = p->text ? sm_store_text(s, content, p, &text) : sm_store_number(s, content, p, &number);
    if (err == 0 && text)
        snprintf(out, SM_CORRECTION_SIZE, "%s", text);
    else if (err == 0 && isfinite(number))
        sm_format_f32((float)number, out);
    return err;
}

static int say(sm_tagger *t, int64_t content, const said *x, const char *path, sm_tag_told_fn told, void *user)
{
    sm_store *s = sm_known_store(t->known);
    char before[SM_CORRECTION_SIZE] = "", after[SM_CORRECTION_SIZE];
    int err = content > 0 ? value_there(s, content, x->p, before) : 0;
    if (err == 0 && content > 0 && !t->o.dry_run)
        err = sm_store_correct(s, content, x->p->name, x->unset ? NULL : x->kept);
    snprintf(after, sizeof after, "%s", x->unset ? "" : x->kept);
    if (err == 0 && x->unset && content > 0 && !t->o.dry_run)
        err = value_there(s, content, x->p, after);
    const sm_tag_told c = { x->p->name, "library", *before ? before : NULL, after, content == 0 };
    if (err == 0 && told && (content == 0 || strcmp(before, after) != 0))
        told(user, path, &c);
    return err;
}

/* The user's word counts in the library too, for this sound wherever it is: all of it, or nothing. */
static int tell_library(sm_tagger *t, int64_t content, const char *path, sm_tag_told_fn told, void *user)
{
    sm_store *s = sm_known_store(t->known);
    const bool writes = content > 0 && !t->o.dry_run;
    bool own = false;
    int err = writes ? sm_store_begin(s, &own) : 0;
    for (size_t i = 0; err == 0 && i < t->n_said; i++)
        err = say(t, content, &t->said[i], path, told, user);
    for (size_t i = 0; err == 0 && writes && i < t->o.n_add; i++)
        err = sm_store_tag_add(s, content, t->o.add[i], "user");
    for (size_t i = 0; err == 0 && writes && i < t->o.n_remove; i++)
        err = sm_store_tag_remove(s, content, t->o.remove[i], NULL);
    return writes ? sm_store_end(s, own, err) : err;
}

static int write_tags(sm_tagger *t, const char *path, const sm_tag_edit *e, sm_tag_told_fn told, void *user)
{
    journal j = { t };
    const sm_tag_how how = {
        .dry_run = t->o.dry_run, .keep_mtime = t->o.keep_mtime, .before_commit = write_journal, .user = &j
    };
    sm_tag_result r;
    const int err = sm_tag_write(path, e, &how, &r);
    for (size_t i = 0; err == 0 && told && i < r.n; i++) {
        const sm_tag_told c = { r.changes[i].field, r.changes[i].where, r.changes[i].before, r.changes[i].after,
                                r.changes[i].kept };
        told(user, path, &c);
    }
    sm_tag_result_free(&r);
    return err;
}

/* What is known, what the user says just now over it. */
static int record_of(sm_tagger *t, const char *path, int64_t content, json_t **out)
{
    int err = sm_known_record_of(t->known, path, content, out);
    for (size_t i = 0; err == 0 && i < t->n_said; i++)
        if (!t->said[i].unset)
            err = sm_correction_apply(*out, t->said[i].p->name, t->said[i].kept);
    return err;
}

static int write_file(sm_tagger *t, const char *path, int64_t content, sm_tag_told_fn told, void *user)
{
    sm_tag_edit e = { 0 };
    values v = { 0 };
    json_t *record = NULL;
    int err = t->o.measured ? record_of(t, path, content, &record) : 0;
    if (err == 0 && record) {
        texts_of(t, record, &v, &e);
        chunks_of(t, record, &e);
        err = v.keywords.failed ? SM_ENOMEM : 0;
    }
    user_words(t, &e);
    if (err == 0)
        err = write_tags(t, path, &e, told, user);
    sm_buffer_free(&v.keywords);
    json_decref(record);
    return err;
}

static int in_library_only(const sm_tagger *t)
{
    return t->o.n_add + t->o.n_remove > 0 || t->o.in_library;
}

int sm_tagger_file(sm_tagger *t, const char *path, sm_tag_told_fn told, void *user)
{
    int64_t content = 0;
    bool any_set = false;
    for (int f = 0; f < SM_TAG_FIELDS; f++)
        any_set = any_set || t->set[f];
    int err = sm_known_content(t->known, path, &content);
    if (err == 0 && in_library_only(t) && content == 0)
        err = sm_fail(SM_ENOTFOUND,
                      "%s: words are kept in the library, which does not know this file as it is; "
                      "samplemind scan takes it in",
                      path);
    if (err == 0 && (t->n_said > 0 || in_library_only(t)))
        err = tell_library(t, content, path, told, user);
    if (err == 0 && !t->o.in_library && (t->o.measured || any_set)) {
        err = write_file(t, path, content, told, user);
        if (err < 0 && err != SM_ENOMEM && t->n_said > 0 && content > 0 && !t->o.dry_run) {
            char why[512];
            snprintf(why, sizeof why, "%s", sm_last_error());
            err = sm_fail(err, "%s; your word is kept in the library", why);
        }
    }
    return err;
}

/* ---- and back ---- */

typedef struct {
    char batch[32];
    json_t **entries;
    int64_t *ids;
    size_t n, capacity, ids_capacity;
} batch;

/* The newest batch: entries come newest first. */
static int collect(void *user, int64_t id, double time_s, const char *what, const char *text)
{
    batch *b = user;
    json_t *entry = json_loads(text, 0, NULL);
    const char *name = json_string_value(json_object_get(entry, "batch"));
    (void)time_s;
    (void)what;
    if (!name) {
        json_decref(entry);
        return sm_fail(SM_EFORMAT, "entry %lld of the journal is damaged", (long long)id);
    }
    if (!*b->batch)
        snprintf(b->batch, sizeof b->batch, "%s", name);
    if (strcmp(name, b->batch) != 0) {
        json_decref(entry);
        return 0;
    }
    int err = sm_grow(&b->entries, &b->capacity, b->n + 1, sizeof *b->entries);
    if (err == 0)
        err = sm_grow(&b->ids, &b->ids_capacity, b->n + 1, sizeof *b->ids);
    if (err < 0) {
        json_decref(entry);
        return err;
    }
    b->entries[b->n] = entry;
    b->ids[b->n++] = id;
    return 0;
}

static int read_splice(const json_t *back, sm_splice *out)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < json_array_size(back); i++) {
        const json_t *part = json_array_get(back, i);
        sm_buffer bytes = { 0 };
        if (!sm_json_bytes_in(part, "bytes", &bytes))
            err = sm_fail(SM_EFORMAT, "the journal's old bytes are damaged");
        else
            err = bytes.failed
                      ? SM_ENOMEM
                      : sm_splice_add(out, json_integer_value(json_object_get(part, "at")),
                                      json_integer_value(json_object_get(part, "remove")), bytes.data, bytes.length);
        sm_buffer_free(&bytes);
    }
    return err;
}

static int restore(const json_t *entry, sm_moves *m)
{
    const char *before = json_string_value(json_object_get(entry, "hash_before")),
               *after = json_string_value(json_object_get(entry, "hash_after"));
    sm_buffer path = { 0 };
    sm_splice back = { 0 };
    int err = before && after && sm_json_bytes_in(entry, "path", &path)
                  ? read_splice(json_object_get(entry, "back"), &back)
                  : sm_fail(SM_EFORMAT, "an entry of the journal is damaged");
    if (err == 0 && m->told)
        m->told(m->user, path.data, path.data);
    if (err == 0)
        err = sm_tag_restore(path.data, &back, before, after, json_integer_value(json_object_get(entry, "mtime_ns")));
    if (err < 0 && err != SM_ENOMEM && m->problem)
        m->problem(m->user, path.data ? path.data : "", sm_last_error());
    m->moved += err == 0;
    m->failed += err < 0;
    sm_splice_free(&back);
    sm_buffer_free(&path);
    return err;
}

int sm_tag_undo(const char *library, sm_moves *m)
{
    batch b = { .n = 0 };
    sm_store *s = NULL;
    m->moved = m->failed = 0;
    int err = sm_store_open(library, SM_STORE_WRITE, &s);
    if (err == 0)
        err = sm_store_journal_each(s, "tag", 0, collect, &b);
    if (err == 0 && b.n == 0)
        err = sm_fail(SM_ENOTFOUND, "%s: the journal has no tags that could be taken back", library);
    for (size_t i = 0; err == 0 && i < b.n; i++) {
        const int restored = restore(b.entries[i], m);
        if (restored == SM_ENOMEM)
            err = restored;
        else if (restored == 0)
            err = sm_store_journal_remove(s, b.ids[i]);
    }
    for (size_t i = 0; i < b.n; i++)
        json_decref(b.entries[i]);
    sm_free(b.entries);
    sm_free(b.ids);
    sm_store_close(s);
    return err;
}
