/* The user's word: its values in one form, and what follows from them. */
#include "library/correction.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "dsp/dsp.h"
#include "library/query.h"
#include "models/model.h"

/* ---- values in ---- */

static int unknown(const char *field)
{
    const sm_property *all;
    const char *names[256];
    const size_t n = sm_properties(&all);
    for (size_t i = 0; i < n && i < SM_LENGTH(names); i++)
        names[i] = all[i].name;
    const char *near = sm_text_nearest(field, names, SM_MIN(n, SM_LENGTH(names)));
    return sm_fail(SM_EUSAGE, "there is no field \"%s\"%s%s%s", field, near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"?" : "");
}

/* What the file's own bytes say is no matter of opinion. */
static bool is_of_the_file(const char *name)
{
    static const char *const names[] = { "container",   "codec",      "sample_rate_hz", "channels",  "bit_depth",
                                         "bitrate_bps", "file_bytes", "audio_xxh128",   "audio_md5", "duration_s" };
    for (size_t i = 0; i < SM_LENGTH(names); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

static int read_key(const char *value, char kept[SM_CORRECTION_SIZE])
{
    dsp_key key = { 0 };
    int minor = 0;
    char text[16];
    if (!query_key_read(value, &key.tonic, &minor))
        return sm_fail(SM_EUSAGE, "key=%s: a key was expected: F#m, \"A minor\", Bb, 8A, 1m", value);
    key.minor = minor;
    snprintf(kept, SM_CORRECTION_SIZE, "%s", dsp_key_text(&key, "musical", text));
    return 0;
}

static int read_note(const char *value, char kept[SM_CORRECTION_SIZE])
{
    query_field f;
    query_span span = { 0 };
    sm_arena *a = sm_arena_new();
    int err = a ? 0 : SM_ENOMEM;
    if (err == 0 && query_field_find("note", &f))
        err = query_span_read(a, &f, "=", value, &span);
    if (err == 0 && span.set != 0)
        err = sm_fail(SM_EUSAGE, "note=%s: a note with its octave was expected: C2, F#3, 36", value);
    if (err == 0)
        snprintf(kept, SM_CORRECTION_SIZE, "%.0f", span.low);
    sm_arena_free(a);
    return err;
}

static int read_kind(const char *value, char kept[SM_CORRECTION_SIZE])
{
    static const char *const kinds[] = { "one_shot", "loop", "song", "speech", "silence" };
    for (size_t i = 0; i < SM_LENGTH(kinds); i++)
        if (!strcasecmp(kinds[i], value) ||
            (i == 0 && (!strcasecmp(value, "one-shot") || !strcasecmp(value, "oneshot")))) {
            snprintf(kept, SM_CORRECTION_SIZE, "%s", kinds[i]);
            return 0;
        }
    return sm_fail(SM_EUSAGE, "kind=%s: one_shot, loop, song, speech or silence were expected", value);
}

/* A class of the classifier is written as that writes it; classes of the user's own stay as they are. */
static void read_instrument(const char *value, char kept[SM_CORRECTION_SIZE])
{
    snprintf(kept, SM_CORRECTION_SIZE, "%s", value);
    for (size_t i = 0; i < SM_INSTRUMENTS; i++)
        if (!strcasecmp(sm_instruments[i], value))
            snprintf(kept, SM_CORRECTION_SIZE, "%s", sm_instruments[i]);
}

static int read_yes(const sm_property *p, const char *value, char kept[SM_CORRECTION_SIZE])
{
    static const char *const words[] = { "no", "false", "0", "yes", "true", "1" };
    for (size_t i = 0; i < SM_LENGTH(words); i++)
        if (!strcasecmp(words[i], value)) {
            snprintf(kept, SM_CORRECTION_SIZE, "%d", i >= 3);
            return 0;
        }
    return sm_fail(SM_EUSAGE, "%s=%s: yes or no were expected", p->name, value);
}

static int read_number(const sm_property *p, const char *value, char kept[SM_CORRECTION_SIZE])
{
    double number = 0;
    if (!sm_parse_double(value, &number) || !isfinite(number))
        return sm_fail(SM_EUSAGE, "%s is a number, not \"%s\"", p->name, value);
    if (number < p->low || number > p->high)
        return isnan(p->high)
                   ? sm_fail(SM_EUSAGE, "%s is %s; it is %g at least", p->name, value, p->low)
                   : sm_fail(SM_EUSAGE, "%s is %s; it lies between %g and %g", p->name, value, p->low, p->high);
    snprintf(kept, SM_CORRECTION_SIZE, "%s", value);
    return 0;
}

static bool is_boolean(const sm_property *p)
{
    return p->unit && !strcmp(p->unit, "0 or 1");
}

int sm_correction_read(const char *field, const char *value, const sm_property **out, char kept[SM_CORRECTION_SIZE])
{
    const bool note = !strcmp(field, "note") || !strcmp(field, "note_name"), loop = !strcmp(field, "loop");
    const sm_property *p = *out = sm_property_find(note ? "note_midi" : loop ? "kind" : field);
    kept[0] = 0;
    if (!p)
        return unknown(field);
    if (is_of_the_file(p->name))
        return sm_fail(SM_EUSAGE, "%s is what the file itself says; there is nothing to correct", p->name);
    if (!strcmp(p->name, "key_camelot") || !strcmp(p->name, "key_openkey"))
        *out = p = sm_property_find("key"); /* one key in three notations */
    if (!*value)
        return 0;
    if (strlen(value) >= SM_CORRECTION_SIZE || !sm_utf8_valid(value, strlen(value)))
        return sm_fail(SM_EUSAGE, "%s: a text of at most %d bytes of UTF-8 was expected", p->name,
                       SM_CORRECTION_SIZE - 1);
    if (!strcmp(p->name, "key") || !strcmp(p->name, "key_second"))
        return read_key(value, kept);
    if (!strcmp(p->name, "note_midi"))
        return read_note(value, kept);
    if (loop) {
        const int err = read_yes(p, value, kept);
        return err < 0 ? err : read_kind(*kept == '1' ? "loop" : "one_shot", kept);
    }
    if (!strcmp(p->name, "kind"))
        return read_kind(value, kept);
    if (is_boolean(p))
        return read_yes(p, value, kept);
    if (!p->text)
        return read_number(p, value, kept);
    read_instrument(value, kept);
    return 0;
}

/* ---- what follows ---- */

static int follow(const char *field, const char *value, sm_follows_fn fn, void *user)
{
    const sm_property *p = sm_property_find(field);
    return p ? fn(user, p, value) : 0;
}

static int follow_key(const char *kept, sm_follows_fn fn, void *user)
{
    static const char *const notations[][2] = { { "key_camelot", "camelot" }, { "key_openkey", "openkey" } };
    dsp_key key = { .tonic = -1 };
    int minor = 0, err = 0;
    char text[16];
    if (*kept && query_key_read(kept, &key.tonic, &minor))
        key.minor = minor;
    for (size_t i = 0; i < SM_LENGTH(notations) && err == 0; i++) {
        const char *name = dsp_key_text(&key, notations[i][1], text);
        err = follow(notations[i][0], name ? name : "", fn, user);
    }
    return err;
}

static int follow_note(const char *kept, sm_follows_fn fn, void *user)
{
    char name[8] = "";
    double midi;
    if (*kept && sm_parse_double(kept, &midi) && midi >= 0 && midi <= 127)
        dsp_note_text((int)midi, name);
    const int err = follow("note_name", name, fn, user);
    return err < 0 ? err : follow("note_cents", *kept ? "0" : "", fn, user);
}

int sm_correction_each(const char *field, const char *kept, sm_follows_fn fn, void *user)
{
    const sm_property *p = sm_property_find(field);
    char sure[64];
    int err = p ? fn(user, p, kept) : 0;
    if (!p || err < 0)
        return err; /* a field that this version does not have */
    if (!strcmp(p->name, "key"))
        err = follow_key(kept, fn, user);
    else if (!strcmp(p->name, "note_midi"))
        err = follow_note(kept, fn, user);
    snprintf(sure, sizeof sure, "%s_confidence", strcmp(p->name, "note_midi") ? p->name : "note");
    return err < 0 ? err : follow(sure, *kept ? "1" : "", fn, user);
}

/* ---- in a record ---- */

static int set_value(void *user, const sm_property *p, const char *value)
{
    json_t *record = user, *v = NULL;
    double number = 0;
    if (!*value)
        v = json_null();
    else if (p->text)
        v = json_string(value);
    else if (is_boolean(p))
        v = json_boolean(strcmp(value, "0") != 0);
    else if (sm_parse_double(value, &number))
        v = number == floor(number) && fabs(number) < 1e15 ? json_integer((json_int_t)number) : json_real(number);
    else
        v = json_null();
    return v && json_object_set_new(record, p->name, v) == 0 ? 0 : SM_ENOMEM;
}

int sm_correction_apply(json_t *record, const char *field, const char *kept)
{
    const sm_property *p = sm_property_find(field);
    json_t *list = json_object_get(record, "corrected");
    if (!p)
        return 0;
    if (!list) {
        list = json_array();
        if (!list || json_object_set_new(record, "corrected", list) < 0)
            return SM_ENOMEM;
    }
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!strcmp(json_string_value(json_array_get(list, i)), p->name))
            return sm_correction_each(field, kept, set_value, record);
    if (json_array_append_new(list, json_string(p->name)) < 0)
        return SM_ENOMEM;
    return sm_correction_each(field, kept, set_value, record);
}

static int apply_one(void *user, int64_t content, const char *field, const char *value, double time_s)
{
    (void)content;
    (void)time_s;
    return sm_correction_apply(user, field, value);
}

int sm_corrections_apply(sm_store *s, int64_t content, json_t *record)
{
    return sm_store_corrections_of(s, content, apply_one, record);
}
