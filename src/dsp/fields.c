/* The table of fields, made of descriptors.def: see there. */
#include <string.h>

#include "dsp/dsp.h"

static bool known_tempo(const dsp_result *r)
{
    return isfinite(r->tempo.bpm);
}

static bool known_key(const dsp_result *r)
{
    return r->key.tonic >= 0;
}

static const char *second_key(const dsp_result *r, char text[16])
{
    const dsp_key second = { .tonic = r->key.second_tonic, .minor = r->key.second_minor };
    return known_key(r) && second.tonic >= 0 ? dsp_key_text(&second, "musical", text) : NULL;
}

static const char *note_name(const dsp_result *r, char text[16])
{
    if (r->pitch.note_midi < 0)
        return NULL;
    dsp_note_text(r->pitch.note_midi, text);
    return text;
}

const char *dsp_kind_name(dsp_kind kind)
{
    static const char *const names[] = { [DSP_KIND_ONE_SHOT] = "one_shot",
                                         [DSP_KIND_LOOP] = "loop",
                                         [DSP_KIND_SONG] = "song",
                                         [DSP_KIND_SPEECH] = "speech",
                                         [DSP_KIND_SILENCE] = "silence" };
    return (size_t)kind < SM_LENGTH(names) ? names[kind] : NULL;
}

static void write_times(const double *times, size_t n, sm_json *j)
{
    sm_json_begin_array(j);
    for (size_t i = 0; i < n; i++)
        sm_json_f32(j, times[i]);
    sm_json_end_array(j);
}

static void write_candidates(const dsp_result *r, sm_json *j)
{
    if (!known_tempo(r)) {
        sm_json_null(j);
        return;
    }
    sm_json_begin_array(j);
    for (size_t i = 0; i < r->tempo.n_candidates; i++) {
        sm_json_begin_array(j);
        sm_json_f32(j, r->tempo.candidates[i].bpm);
        sm_json_f32(j, r->tempo.candidates[i].weight);
        sm_json_end_array(j);
    }
    sm_json_end_array(j);
}

static void write_beats(const dsp_result *r, sm_json *j)
{
    if (known_tempo(r))
        write_times(r->tempo.beat_times_s, r->tempo.n_beats, j);
    else
        sm_json_null(j);
}

static void write_onsets(const dsp_result *r, sm_json *j)
{
    write_times(r->timbre.onset_times_s, r->timbre.n_onsets, j);
}

/* ---- the rows as writers ---- */

static void write_integer(int64_t value, sm_json *j)
{
    if (value < 0)
        sm_json_null(j);
    else
        sm_json_int(j, value);
}

#define WRITER(name, body)                                                                                             \
    static void field_##name(const dsp_result *r, sm_json *j)                                                          \
    {                                                                                                                  \
        char text[16];                                                                                                 \
        (void)text;                                                                                                    \
        (void)r;                                                                                                       \
        body;                                                                                                          \
    }
#define NUMBER(name, alias, unit, low, high, group, sentence, value)  WRITER(name, sm_json_f32(j, value))
#define INTEGER(name, alias, unit, low, high, group, sentence, value) WRITER(name, write_integer(value, j))
#define BOOLEAN(name, alias, group, sentence, known, value)                                                            \
    WRITER(name, if (known) sm_json_bool(j, value); else sm_json_null(j))
#define TEXT(name, alias, group, sentence, value)        WRITER(name, sm_json_string(j, value))
#define LIST(name, alias, unit, group, sentence, writer) WRITER(name, writer(r, j))
#include "dsp/descriptors.def"
#undef NUMBER
#undef INTEGER
#undef BOOLEAN
#undef TEXT
#undef LIST

/* ---- the rows as a table ---- */

#define NUMBER(name, alias, unit, low, high, group, sentence, value)                                                   \
    { #name, alias, unit, DSP_FIELD_NUMBER, low, high, group, sentence, field_##name },
#define INTEGER(name, alias, unit, low, high, group, sentence, value)                                                  \
    { #name, alias, unit, DSP_FIELD_INT, low, high, group, sentence, field_##name },
#define BOOLEAN(name, alias, group, sentence, known, value)                                                            \
    { #name, alias, "", DSP_FIELD_BOOL, 0, 1, group, sentence, field_##name },
#define TEXT(name, alias, group, sentence, value)                                                                      \
    { #name, alias, "", DSP_FIELD_TEXT, NAN, NAN, group, sentence, field_##name },
#define LIST(name, alias, unit, group, sentence, writer)                                                               \
    { #name, alias, unit, DSP_FIELD_LIST, NAN, NAN, group, sentence, field_##name },
static const dsp_field fields[] = {
#include "dsp/descriptors.def"
};

size_t dsp_fields(const dsp_field **out)
{
    *out = fields;
    return SM_LENGTH(fields);
}

/* ---- the rows as a page ---- */

static void add_range(sm_buffer *out, const dsp_field *f)
{
    char low[32], high[32];
    sm_format_f64(f->low, low);
    sm_format_f64(f->high, high);
    if (f->type == DSP_FIELD_BOOL || (isnan(f->low) && isnan(f->high)))
        sm_buffer_text(out, "");
    else
        sm_buffer_printf(out, "%s to %s", isnan(f->low) ? "-" : low, isnan(f->high) ? "-" : high);
}

void dsp_fields_markdown(sm_buffer *out)
{
    static const char *const types[] = { "number", "integer", "true or false", "text", "list" };
    const char *group = "";
    sm_buffer_text(out,
                   "# Fields that come from the audio alone\n\n"
                   "Printed by `samplemind help --fields`; do not edit. A field that does not apply is `null`. Scores "
                   "are 0 to 1, timbre words 0 to 100.\n");
    for (size_t i = 0; i < SM_LENGTH(fields); i++) {
        const dsp_field *f = &fields[i];
        if (strcmp(group, f->group) != 0)
            sm_buffer_printf(
                out, "\n## %s\n\n| field | alias | type | unit | range | what it is |\n|---|---|---|---|---|---|\n",
                group = f->group);
        sm_buffer_printf(out, "| `%s` | %s%s%s | %s | %s | ", f->name, f->alias ? "`" : "", f->alias ? f->alias : "",
                         f->alias ? "`" : "", types[f->type], f->unit);
        add_range(out, f);
        sm_buffer_printf(out, " | %s |\n", f->sentence);
    }
}
