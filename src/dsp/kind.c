/* What kind of file this is: silence, a one-shot, a loop or a song. Speech is not told from music here: that takes a model. */
#include "dsp/parts.h"

/* Onsets that matter for rhythm: after the first sound and not in the last moments. */
static double onset_rate(const dsp_kind_facts *f)
{
    return f->effective_s > 0 ? (double)f->onsets / SM_MAX(f->effective_s, 0.25) : 0;
}

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* How near duration * bpm / 60 comes to a whole number of beats, 0..1; loops are cut so. */
static double whole_beats(const dsp_kind_facts *f)
{
    if (!isfinite(f->beats_in_file) || f->beats_in_file < 1.5)
        return 0;
    const double off = fabs(f->beats_in_file - round(f->beats_in_file)) / f->beats_in_file;
    return exp(-off * off / (2 * 0.004 * 0.004));
}

static double loop_odds(const dsp_kind_facts *f)
{
    const double count = log2(1 + (double)f->onsets), length = log2(SM_MAX(f->duration_s, 0.05));
    return -6.0 + 1.2 * count + 0.8 * length + 0.04 * SM_CLAMP(f->tail_db + 60, 0, 60) + 1.5 * f->tempo_confidence +
           1.0 * whole_beats(f) - 0.1 * fabs(onset_rate(f) - 5);
}

void dsp_kind_of(const dsp_kind_facts *f, const dsp_evidence *evidence, dsp_timbre *out)
{
    out->single_event = f->onsets <= 1;
    if (f->silent) {
        out->kind = DSP_KIND_SILENCE;
        out->kind_confidence = 1;
        out->single_event = false;
        return;
    }
    const double odds = loop_odds(f);
    out->kind = odds > 0 ? DSP_KIND_LOOP : DSP_KIND_ONE_SHOT;
    out->kind_confidence = logistic(fabs(odds));
    (void)evidence;
}
