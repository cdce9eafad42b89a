/* Tempo: hypotheses from correlation (candidates.c), weighed by a small network (judge.c), made exact by the loop's length where it holds a
 * whole number of beats, and compared with what the file says about itself. */
#include <string.h>

#include "dsp/beats.h"
#include "dsp/judge.h"
#include "dsp/tempo_name.h"

struct dsp_tempo_state {
    rhythm *rhythm;
    double bpm_min, bpm_max;
};

int dsp_tempo_new(const dsp_options *o, dsp_tempo_state **out)
{
    *out = NULL;
    dsp_tempo_state *s = sm_alloc_zero(1, sizeof *s);
    if (!s)
        return SM_ENOMEM;
    s->bpm_min = o && o->bpm_min > 0 ? o->bpm_min : 40;
    s->bpm_max = o && o->bpm_max > 0 ? o->bpm_max : 240;
    const int err = rhythm_new(&s->rhythm);
    if (err < 0) {
        sm_free(s);
        return err;
    }
    *out = s;
    return 0;
}

void dsp_tempo_free(dsp_tempo_state *s)
{
    if (!s)
        return;
    rhythm_free(s->rhythm);
    sm_free(s);
}

int dsp_tempo_push(dsp_tempo_state *s, const float *mono, size_t n)
{
    return rhythm_push(s->rhythm, mono, n);
}

/* 0..1: is there a pulse at all? Logistic regression on loops against one-shots, noises, tones and pads (scripts/loops/fit.py). */
static double pulse_of(const tempogram *t, const tempo_candidate *c, size_t n, const tempo_candidate *best,
                       double score)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = SM_MAX(most, c[i].salience);
    const double z =
        1.0 * most + 1.76 * log(1.0 + (double)t->onsets) + 0.76 * score + 1.69 * tempo_loop_fit(t, best) - 9.0;
    return 1 / (1 + exp(-z));
}

static bool near_ratio(double a, double b, double ratio, double tolerance)
{
    return fabs(a / (b * ratio) - 1) < tolerance;
}

/* What the file states, if the sound agrees within 4 % in one of the simple ratios: then its octave counts, and its number too when it is
 * within 1 % of what was measured. */
static bool agree(double stated, double *bpm)
{
    static const double ratios[] = { 1, 2, 0.5 };
    for (size_t i = 0; i < SM_LENGTH(ratios); i++) {
        if (!near_ratio(stated, *bpm, ratios[i], 0.04))
            continue;
        *bpm *= ratios[i];
        if (near_ratio(stated, *bpm, 1, 0.01))
            *bpm = stated;
        return true;
    }
    return false;
}

/* The stated tempo makes the loop a whole number of beats. For loops without onsets, such as pads. */
static bool fits_length(double stated, double loop_s)
{
    const double beats = stated * loop_s / 60;
    return isfinite(beats) && beats > 1.5 && fabs(beats - round(beats)) < 0.02 && (int)round(beats) % 2 == 0;
}

/* Whether a and b are the same but for factors of 2 and 3 within 4 %. */
static bool same_family(double a, double b)
{
    static const double ratios[] = { 2, 0.5, 3, 1.0 / 3, 1.5, 2.0 / 3, 4, 0.25, 0.75, 4.0 / 3 };
    for (size_t i = 0; i < SM_LENGTH(ratios); i++)
        if (near_ratio(a, b, ratios[i], 0.04))
            return true;
    return false;
}

/* The winner, then the best other octave of it, then what weighs most of the rest. */
static void list_candidates(const tempo_candidate *c, size_t n, size_t best, dsp_tempo *out)
{
    bool used[TEMPO_CANDIDATES] = { false };
    size_t at = best;
    out->n_candidates = 0;
    while (out->n_candidates < SM_LENGTH(out->candidates)) {
        out->candidates[out->n_candidates].bpm = c[at].bpm;
        out->candidates[out->n_candidates++].weight = c[at].score;
        used[at] = true;
        size_t next = n;
        for (int octaves = out->n_candidates == 1; octaves >= 0 && next == n; octaves--)
            for (size_t i = 0; i < n; i++)
                if (!used[i] && (!octaves || same_family(c[i].bpm, c[best].bpm)) &&
                    (next == n || c[i].score > c[next].score))
                    next = i;
        if (next == n)
            break;
        at = next;
    }
}

/* Judges all hypotheses; scores become shares. Returns the best, and its score before that. */
static size_t judge_all(tempo_candidate *c, size_t n, double *score)
{
    float share[TEMPO_CANDIDATES];
    size_t best = 0;
    for (size_t i = 0; i < n; i++)
        judge_run(&judge_tempo, c[i].features, &share[i]);
    for (size_t i = 1; i < n; i++)
        best = share[i] > share[best] ? i : best;
    *score = share[best];
    judge_softmax(share, n);
    for (size_t i = 0; i < n; i++)
        c[i].score = share[i];
    return best;
}

/* Exact tempo from the length, the file's own word, and which of them decided. */
static void settle(const tempogram *t, tempo_candidate *c, dsp_tempo *out)
{
    out->method = "onsets";
    if (c->loop_beats > 0 && tempo_loop_fit(t, c) > 0.3) {
        c->bpm = 60.0 * c->loop_beats / t->loop_s;
        out->method = "loop length";
    }
    out->bpm = c->bpm;
    if (agree(out->bpm_from_acid, &out->bpm))
        out->method = "acid";
    if (agree(out->bpm_from_name, &out->bpm))
        out->method = "file name";
}

static int find_beats(const tempogram *t, const rhythm_view *see, dsp_tempo *out)
{
    const double steady = beats_stability(t, out->bpm);
    out->stable = steady >= 0.75;
    out->phase_s = beats_phase(t, out->bpm, see->start_s);
    if (out->stable && see->duration_s <= RHYTHM_LOOP_S)
        return beats_grid(out->bpm, out->phase_s, see->end_s, &out->beat_times_s, &out->n_beats);
    const int err = beats_follow(t, out->bpm, see->start_s, see->end_s, &out->beat_times_s, &out->n_beats);
    if (err == 0 && out->n_beats > 0)
        out->phase_s = out->beat_times_s[0];
    return err;
}

/* No rhythm in the sound: a stated tempo that fits the length is still worth telling. */
static void settle_without_pulse(const tempogram *t, dsp_tempo *out)
{
    const double stated = isfinite(out->bpm_from_name) ? out->bpm_from_name : out->bpm_from_acid;
    out->method = "none";
    if (!fits_length(stated, t->loop_s))
        return;
    out->bpm = stated;
    out->confidence = 0.3;
    out->method = isfinite(out->bpm_from_name) ? "file name" : "acid";
    out->candidates[0].bpm = stated;
    out->candidates[0].weight = 1;
    out->n_candidates = 1;
}

static int decide(dsp_tempo_state *s, const rhythm_view *see, const tempogram *t, dsp_tempo *out)
{
    tempo_candidate c[TEMPO_CANDIDATES];
    const size_t n = tempogram_candidates(t, s->bpm_min, s->bpm_max, c);
    double score = 0;
    const size_t best = n ? judge_all(c, n, &score) : 0;
    const double pulse = n ? pulse_of(t, c, n, &c[best], score) : 0;
    int err = 0;
    if (pulse < 0.15) {
        settle_without_pulse(t, out);
    } else {
        settle(t, &c[best], out);
        list_candidates(c, n, best, out);
        out->candidates[0].bpm = out->bpm;
        out->confidence = pulse * c[best].score;
    }
    if (isfinite(out->bpm)) {
        out->beats_in_file = see->duration_s * out->bpm / 60;
        err = find_beats(t, see, out);
    }
    return err;
}

int dsp_tempo_finish(dsp_tempo_state *s, const dsp_evidence *evidence, dsp_tempo *out)
{
    rhythm_view see;
    tempogram *t = NULL;
    *out = (dsp_tempo){
        .bpm = NAN, .beats_in_file = NAN, .phase_s = NAN, .method = "none", .bpm_from_name = NAN, .bpm_from_acid = NAN
    };
    int err = rhythm_finish(s->rhythm);
    if (err < 0)
        return err;
    rhythm_see(s->rhythm, &see);
    out->bpm_from_name = evidence ? tempo_from_name(evidence->file_name) : NAN;
    out->bpm_from_acid = tempo_from_acid(evidence, see.duration_s);
    if (!(see.peak > 0))
        return 0;
    err = tempogram_new(&see, &t);
    if (err == 0)
        err = decide(s, &see, t, out);
    tempogram_free(t);
    return err;
}
