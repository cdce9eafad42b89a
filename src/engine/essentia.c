/* metadata / lowlevel / rhythm / tonal / highlevel, with the names that programs which read Essentia's extractor look for.
 * Only what we have is written; nothing is made up to fill the form. */
#include <math.h>
#include <string.h>

#include "engine/essentia.h"

static void number(sm_json *j, const char *key, double value)
{
    sm_json_key(j, key);
    sm_json_f64(j, value);
}

static void text(sm_json *j, const char *key, const char *value)
{
    sm_json_key(j, key);
    sm_json_string(j, value);
}

static void begin(sm_json *j, const char *key)
{
    sm_json_key(j, key);
    sm_json_begin_object(j);
}

static void list(sm_json *j, const char *key, const double *values, size_t n)
{
    sm_json_key(j, key);
    sm_json_begin_array(j);
    for (size_t i = 0; i < n; i++)
        sm_json_f32(j, values[i]);
    sm_json_end_array(j);
}

static void write_metadata(sm_json *j, const sm_draft *d)
{
    begin(j, "metadata");
    begin(j, "audio_properties");
    number(j, "length", d->dsp->duration_s);
    number(j, "sample_rate", d->info.rate_hz);
    number(j, "number_channels", d->info.channels);
    number(j, "bit_rate", (double)d->info.bitrate_bps);
    text(j, "codec", d->info.codec);
    text(j, "md5_encoded", NULL);
    sm_json_end_object(j);
    begin(j, "tags");
    text(j, "file_name", sm_path_name(d->path));
    for (size_t i = 0; d->metadata && i < d->metadata->n_tags; i++) {
        size_t before = 0;
        while (before < i && strcmp(d->metadata->tags[before].key, d->metadata->tags[i].key) != 0)
            before++;
        if (before < i)
            continue; /* written with the first of its name */
        sm_json_key(j, d->metadata->tags[i].key);
        sm_json_begin_array(j);
        for (size_t k = i; k < d->metadata->n_tags; k++)
            if (!strcmp(d->metadata->tags[k].key, d->metadata->tags[i].key))
                sm_json_string(j, d->metadata->tags[k].value);
        sm_json_end_array(j);
    }
    sm_json_end_object(j);
    begin(j, "version");
    text(j, "extractor", "samplemind");
    text(j, "samplemind", sm_version());
    sm_json_end_object(j);
    sm_json_end_object(j);
}

static void mean_of(sm_json *j, const char *key, double value)
{
    begin(j, key);
    number(j, "mean", value);
    sm_json_end_object(j);
}

static void write_lowlevel(sm_json *j, const dsp_result *r)
{
    begin(j, "lowlevel");
    begin(j, "loudness_ebu128");
    number(j, "integrated", r->levels.loudness_lufs);
    number(j, "loudness_range", r->levels.loudness_range_lu);
    sm_json_end_object(j);
    mean_of(j, "spectral_centroid", r->timbre.spectral_centroid_hz);
    mean_of(j, "spectral_rolloff", r->timbre.spectral_rolloff_hz);
    mean_of(j, "spectral_entropy", r->timbre.spectral_entropy);
    mean_of(j, "zerocrossingrate", r->timbre.zero_crossing_rate);
    sm_json_end_object(j);
}

static void write_rhythm(sm_json *j, const dsp_result *r)
{
    begin(j, "rhythm");
    number(j, "bpm", r->tempo.bpm);
    number(j, "beats_count", (double)r->tempo.n_beats);
    list(j, "beats_position", r->tempo.beat_times_s, r->tempo.n_beats);
    list(j, "onset_times", r->timbre.onset_times_s, r->timbre.n_onsets);
    number(j, "onset_rate", r->duration_s > 0 ? (double)r->timbre.n_onsets / r->duration_s : 0);
    sm_json_end_object(j);
}

static void write_tonal(sm_json *j, const dsp_result *r)
{
    char name[16];
    begin(j, "tonal");
    number(j, "tuning_frequency", r->key.tuning_hz);
    begin(j, "key_edma");
    if (r->key.tonic >= 0) {
        snprintf(name, sizeof name, "%s", dsp_key_text(&r->key, "musical", (char[16]){ 0 }));
        name[strcspn(name, " ")] = 0;
        text(j, "key", name);
        text(j, "scale", r->key.minor ? "minor" : "major");
    } else {
        text(j, "key", NULL);
        text(j, "scale", NULL);
    }
    number(j, "strength", r->key.strength);
    sm_json_end_object(j);
    sm_json_end_object(j);
}

/* TASK: { value, probability, all: { CLASS: p } } */
static void write_highlevel(sm_json *j, const sm_draft *d)
{
    begin(j, "highlevel");
    for (size_t i = 0; i < d->n_answers; i++) {
        const sm_model_answer *a = &d->answers[i];
        size_t best = 0;
        if (!a->result->mean || !a->classes || sm_model_result_top(a->result, 1, &best) == 0)
            continue;
        begin(j, a->model->field ? a->model->field : a->name);
        begin(j, "all");
        for (size_t c = 0; c < a->classes->n && c < a->result->n_classes; c++) {
            sm_json_key(j, a->classes->names[c]);
            sm_json_f32(j, (double)a->result->mean[c]);
        }
        sm_json_end_object(j);
        sm_json_key(j, "probability");
        sm_json_f32(j, (double)a->result->mean[best]);
        text(j, "value", best < a->classes->n ? a->classes->names[best] : NULL);
        sm_json_end_object(j);
    }
    sm_json_end_object(j);
}

void sm_essentia_write(sm_json *j, const sm_draft *d)
{
    sm_json_begin_object(j);
    if (d->dsp) {
        write_metadata(j, d);
        write_lowlevel(j, d->dsp);
        write_rhythm(j, d->dsp);
        write_tonal(j, d->dsp);
        write_highlevel(j, d);
    } else {
        begin(j, "metadata");
        begin(j, "tags");
        text(j, "file_name", sm_path_name(d->path));
        sm_json_end_object(j);
        text(j, "error", d->n_failures > 0 ? d->failures[0].reason : NULL);
        sm_json_end_object(j);
    }
    sm_json_end_object(j);
}
