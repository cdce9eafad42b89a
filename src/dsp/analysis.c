/* Everything model-free about one sound, in one pass:
 *
 *     interleaved, any rate ----------------------------------> levels
 *        mean of the channels -> soxr to DSP_RATE -> envelope -> spectrum -> onsets
 *                                                 -> pitch (30 s)
 *                                                 -> tempo (from 1 s on), key
 */
#include <string.h>

#include "dsp/parts.h"

enum {
    BLOCK = 4096,          /* frames or samples taken at once */
    TEMPO_LEAST = DSP_RATE /* samples: a shorter sound has no tempo of its own */
};

const dsp_options dsp_options_all = { 0, 0, true, true, true, true, true };

struct dsp_analysis {
    dsp_options options;
    int rate, channels;
    int64_t frames, samples; /* received; mono at DSP_RATE */
    float *clean, *mono;     /* [BLOCK][channels], [BLOCK] */
    sm_resampler *resampler; /* NULL: the rate is DSP_RATE */
    sm_floats resampled;
    sm_floats head; /* what tempo has not seen while the sound was short */
    dsp_levels_state *levels;
    dsp_envelope *envelope;
    dsp_onsets *onsets;
    dsp_spectrum *spectrum;
    dsp_pitch_state *pitch;
    dsp_tempo_state *tempo;
    dsp_key_state *key;
};

static bool wants_mono(const dsp_options *o)
{
    return o->tempo || o->key || o->pitch || o->timbre;
}

static int parts_new(dsp_analysis *a)
{
    const dsp_options *o = &a->options;
    int err = 0;
    a->clean = sm_alloc((size_t)BLOCK * a->channels, sizeof *a->clean);
    a->mono = sm_alloc(BLOCK, sizeof *a->mono);
    if (!a->clean || !a->mono)
        return SM_ENOMEM;
    if (o->levels || o->timbre) /* energy needs loudness */
        err = dsp_levels_new(a->rate, a->channels, &a->levels);
    if (err == 0 && wants_mono(o) && a->rate != DSP_RATE)
        err = sm_resampler_new(SM_RESAMPLE_SOXR, a->rate, DSP_RATE, 1, &a->resampler);
    if (err == 0 && o->timbre)
        err = dsp_envelope_new(&a->envelope);
    if (err == 0 && o->timbre)
        err = dsp_onsets_new(a->envelope, DSP_SPECTRUM_FRAME, DSP_SPECTRUM_HOP, &a->onsets);
    if (err == 0 && o->timbre)
        err = dsp_spectrum_new(a->onsets, &a->spectrum);
    if (err == 0 && o->pitch)
        err = dsp_pitch_new(&a->pitch);
    if (err == 0 && o->key)
        err = dsp_key_new(o, &a->key);
    return err;
}

int dsp_analysis_new(const dsp_options *o, int rate_hz, int channels, dsp_analysis **out)
{
    *out = NULL;
    if (channels < 1 || channels > 8 || rate_hz < 1000 || rate_hz > 1000000)
        return sm_fail(SM_EUSAGE, "an analysis of %d channels at %d Hz was asked for, 1 to 8 channels are possible",
                       channels, rate_hz);
    dsp_analysis *a = sm_alloc_zero(1, sizeof *a);
    if (!a)
        return SM_ENOMEM;
    a->options = o ? *o : dsp_options_all;
    a->rate = rate_hz;
    a->channels = channels;
    const int err = parts_new(a);
    if (err < 0) {
        dsp_analysis_free(a);
        return err;
    }
    *out = a;
    return 0;
}

void dsp_analysis_free(dsp_analysis *a)
{
    if (!a)
        return;
    dsp_key_free(a->key);
    dsp_tempo_free(a->tempo);
    dsp_pitch_free(a->pitch);
    dsp_spectrum_free(a->spectrum);
    dsp_onsets_free(a->onsets);
    dsp_envelope_free(a->envelope);
    dsp_levels_free(a->levels);
    sm_resampler_free(a->resampler);
    sm_floats_free(&a->resampled);
    sm_floats_free(&a->head);
    sm_free(a->clean);
    sm_free(a->mono);
    sm_free(a);
}

/* ---- mono at DSP_RATE ---- */

/* Nothing is spent on the tempo of one-shots: it starts when the sound turns out to be long enough to have one. */
static int push_tempo(dsp_analysis *a, const float *mono, size_t n)
{
    if (a->tempo)
        return dsp_tempo_push(a->tempo, mono, n);
    int err = sm_floats_add(&a->head, mono, n);
    if (err < 0 || a->head.length < TEMPO_LEAST)
        return err;
    err = dsp_tempo_new(&a->options, &a->tempo);
    if (err == 0)
        err = dsp_tempo_push(a->tempo, a->head.data, a->head.length);
    sm_floats_free(&a->head);
    return err;
}

static int push_mono(dsp_analysis *a, const float *mono, size_t n)
{
    int err = 0;
    while (n > 0 && err == 0) {
        const size_t part = SM_MIN(n, (size_t)BLOCK);
        if (a->envelope)
            err = dsp_envelope_push(a->envelope, mono, part);
        if (err == 0 && a->spectrum)
            err = dsp_spectrum_push(a->spectrum, mono, part);
        if (err == 0 && a->pitch)
            err = dsp_pitch_push(a->pitch, mono, part);
        if (err == 0 && a->key)
            err = dsp_key_push(a->key, mono, part);
        if (err == 0 && a->options.tempo)
            err = push_tempo(a, mono, part);
        a->samples += (int64_t)part;
        mono += part;
        n -= part;
    }
    return err;
}

static int push_resampled(dsp_analysis *a)
{
    const int err = push_mono(a, a->resampled.data, a->resampled.length);
    a->resampled.length = 0;
    return err;
}

/* ---- interleaved at the file's rate ---- */

/* One NaN would spoil every sum after it. */
static const float *cleaned(const float *x, size_t n, float *room)
{
    for (size_t i = 0; i < n; i++)
        room[i] = isfinite(x[i]) ? x[i] : 0;
    return room;
}

int dsp_analysis_push(dsp_analysis *a, const float *interleaved, size_t frames)
{
    int err = 0;
    while (frames > 0 && err == 0) {
        const size_t part = SM_MIN(frames, (size_t)BLOCK);
        const float *x = cleaned(interleaved, part * (size_t)a->channels, a->clean);
        if (a->levels)
            err = dsp_levels_push(a->levels, x, part);
        if (err == 0 && wants_mono(&a->options)) {
            sm_downmix(x, part, a->channels, a->mono);
            if (!a->resampler)
                err = push_mono(a, a->mono, part);
            else if ((err = sm_resampler_push(a->resampler, a->mono, part, &a->resampled)) == 0)
                err = push_resampled(a);
        }
        a->frames += (int64_t)part;
        interleaved += part * (size_t)a->channels;
        frames -= part;
    }
    return err;
}

/* ---- the end ---- */

static void nothing_known(dsp_result *r)
{
    *r = (dsp_result){ 0 };
    r->levels = (dsp_levels){ NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0 };
    r->tempo =
        (dsp_tempo){ .bpm = NAN, .beats_in_file = NAN, .phase_s = NAN, .bpm_from_name = NAN, .bpm_from_acid = NAN };
    r->key = (dsp_key){ .tonic = -1, .second_tonic = -1, .tuning_hz = NAN };
    r->pitch = (dsp_pitch){ NAN, NAN, NAN, 0, 0, -1, NAN, NAN };
    double *const unknown[] = {
        &r->timbre.log_attack_time,
        &r->timbre.attack_s,
        &r->timbre.decay_s,
        &r->timbre.temporal_centroid_s,
        &r->timbre.spectral_centroid_hz,
        &r->timbre.spectral_rolloff_hz,
        &r->timbre.spectral_flatness,
        &r->timbre.spectral_entropy,
        &r->timbre.zero_crossing_rate,
        &r->timbre.spectral_spread_hz,
        &r->timbre.brightness,
        &r->timbre.hardness,
        &r->timbre.depth,
        &r->timbre.roughness,
        &r->timbre.boominess,
        &r->timbre.warmth,
        &r->timbre.sharpness,
        &r->timbre.energy,
        &r->timbre.kind_confidence,
    };
    for (size_t i = 0; i < SM_LENGTH(unknown); i++)
        *unknown[i] = NAN;
}

static int finish_timbre(dsp_analysis *a, dsp_result *r, dsp_shape *shape)
{
    dsp_spectral spectral;
    dsp_timbre *t = &r->timbre;
    int err = dsp_envelope_finish(a->envelope, shape);
    if (err == 0)
        err = dsp_spectrum_finish(a->spectrum, &spectral);
    if (err == 0)
        err = dsp_onsets_finish(a->onsets, r->duration_s, &t->onset_times_s, &t->n_onsets);
    if (err < 0)
        return err;
    t->attack_s = shape->attack_s;
    t->log_attack_time = log10(SM_MAX(shape->attack_s, 1e-3));
    if (isnan(shape->attack_s))
        t->log_attack_time = NAN;
    t->decay_s = shape->decay_s;
    t->temporal_centroid_s = shape->temporal_centroid_s;
    t->spectral_centroid_hz = spectral.centroid_hz;
    t->spectral_spread_hz = spectral.spread_hz;
    t->spectral_rolloff_hz = spectral.rolloff_hz;
    t->spectral_flatness = spectral.flatness;
    t->spectral_entropy = spectral.entropy;
    t->zero_crossing_rate = spectral.crossing_rate;
    dsp_words(&spectral, shape, t);
    const double sounding = isfinite(r->levels.duration_effective_s) ? SM_MAX(r->levels.duration_effective_s, 0.5) : 1;
    t->energy = dsp_energy(&r->levels, (double)t->n_onsets / sounding, t->brightness);
    return 0;
}

static void decide_kind(dsp_result *r, const dsp_shape *shape, const dsp_evidence *evidence)
{
    const double named = isfinite(r->tempo.bpm_from_acid) ? r->tempo.bpm_from_acid : r->tempo.bpm_from_name;
    const dsp_kind_facts facts = {
        .silent = isnan(r->levels.start_time_s),
        .duration_s = r->duration_s,
        .onsets = r->timbre.n_onsets,
        .onset_times_s = r->timbre.onset_times_s,
        .tail_db = shape->tail_db,
        .beats_in_file = r->tempo.beats_in_file,
        .named_beats = r->duration_s * named / 60,
    };
    dsp_kind_of(&facts, evidence, &r->timbre);
    r->timbre.reverberant = shape->tail && r->timbre.single_event;
}

/* A one-shot has no tempo, whatever its echoes do; what name and acid chunk say stays. */
static void forget_tempo(dsp_tempo *t)
{
    sm_free(t->beat_times_s);
    *t = (dsp_tempo){ .bpm = NAN,
                      .beats_in_file = NAN,
                      .phase_s = NAN,
                      .bpm_from_name = t->bpm_from_name,
                      .bpm_from_acid = t->bpm_from_acid };
}

static int finish_parts(dsp_analysis *a, const dsp_evidence *evidence, dsp_result *r)
{
    dsp_shape shape = { 0 };
    int err = 0;
    if (a->resampler)
        err = sm_resampler_finish(a->resampler, &a->resampled);
    if (err == 0 && a->resampler)
        err = push_resampled(a);
    if (err == 0 && a->levels)
        err = dsp_levels_finish(a->levels, &r->levels);
    if (err == 0 && a->spectrum)
        err = finish_timbre(a, r, &shape);
    if (err == 0 && a->pitch)
        err = dsp_pitch_finish(a->pitch, &r->pitch);
    if (err == 0 && a->key)
        err = dsp_key_finish(a->key, &r->key);
    if (err == 0 && a->tempo)
        err = dsp_tempo_finish(a->tempo, evidence, &r->tempo);
    if (err < 0 || !a->spectrum)
        return err;
    decide_kind(r, &shape, evidence);
    if (r->timbre.kind == DSP_KIND_ONE_SHOT || r->timbre.kind == DSP_KIND_SILENCE)
        forget_tempo(&r->tempo);
    return 0;
}

int dsp_analysis_finish(dsp_analysis *a, const dsp_evidence *evidence, dsp_result *out)
{
    static const dsp_evidence none;
    nothing_known(out);
    out->duration_s = (double)a->frames / a->rate;
    const int err = finish_parts(a, evidence ? evidence : &none, out);
    if (err < 0) {
        dsp_result_free(out);
        nothing_known(out);
    }
    return err;
}

void dsp_result_free(dsp_result *r)
{
    if (!r)
        return;
    sm_free(r->tempo.beat_times_s);
    sm_free(r->timbre.onset_times_s);
    r->tempo.beat_times_s = r->timbre.onset_times_s = NULL;
    r->tempo.n_beats = r->timbre.n_onsets = 0;
}
