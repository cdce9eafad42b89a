/* What kind of file this is: silence, a one-shot, a loop or a song. Speech is not told from music here: that takes a model.
 *
 * A loop is told from a one-shot by its onsets: do they keep a common pulse, more of them than chance would, do they fill the
 * file, and is its length a whole number of pulses. The weights are a logistic regression over 2,566 one-shots (a fifth of them
 * slowed down to a third, so that length alone decides nothing) and 282 cuts of 1, 2, 4 bars and more out of loops: 91 % of the
 * cuts and 98 % of the one-shots are told right; most of the rest are single bars with three or four notes. */
#include "dsp/parts.h"

enum { PULSE_ONSETS = 128 }; /* the first that are looked at */
#define PULSE_SHORTEST_S 0.09
#define PULSE_LONGEST_S  1.0

typedef struct {
    double period_s; /* 0: none */
    double strength; /* length of the mean vector of the onsets' phases: 1 all in step */
    double evidence; /* Rayleigh's n R^2 */
} pulse;

/* The period into which the onsets fall best. */
static pulse find_pulse(const double *times, size_t n)
{
    pulse best = { 0, 0, 0 };
    n = SM_MIN(n, (size_t)PULSE_ONSETS);
    if (n < 3)
        return best;
    for (double period = PULSE_SHORTEST_S; period < PULSE_LONGEST_S; period *= 1.01) {
        double c = 0, s = 0;
        for (size_t i = 0; i < n; i++) {
            c += cos(2 * M_PI * times[i] / period);
            s += sin(2 * M_PI * times[i] / period);
        }
        const double strength = sqrt(c * c + s * s) / (double)n;
        if (strength > best.strength)
            best = (pulse){ period, strength, (double)n * strength * strength };
    }
    return best;
}

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* 1: the length is a whole number of pulses, -1: half a pulse off. */
static double length_fits(const dsp_kind_facts *f, const pulse *p)
{
    return p->period_s > 0 ? cos(2 * M_PI * f->duration_s / p->period_s) : 0;
}

static bool whole(double beats)
{
    return beats > 1.9 && fabs(beats - round(beats)) < 0.03;
}

static double loop_odds(const dsp_kind_facts *f, const pulse *p)
{
    const double n = (double)f->onsets;
    const double spread = n > 1 ? (f->onset_times_s[f->onsets - 1] - f->onset_times_s[0]) / f->duration_s : 0;
    const double tail = SM_CLAMP(f->tail_db + 60, 0, 60) / 60;
    const double in_step = n < 3 ? 0 : SM_MAX(2 * p->strength - 1, 0) * SM_MIN(1, (n - 2) / 4);
    const double evidence = SM_MIN(p->evidence, 20) / 20;
    const double length = log2(SM_MAX(f->duration_s, 0.1));
    return -5.5 + 0.35 * length + 0.6 * tail + 2 * spread + 4.6 * evidence + 2.9 * in_step +
           3.2 * evidence * length_fits(f, p) + SM_MAX(length - 3, 0) /* none of the one-shots has 8 s */ +
           (whole(f->named_beats) ? 3.5 : 0); /* "loop 128bpm", and as long as it says */
}

/* Not from data (there are too few songs): even at 45 s; a length of whole pulses speaks for a loop. */
static double song_odds(const dsp_kind_facts *f, const pulse *p)
{
    return 4 * log2(SM_MAX(f->duration_s, 0.1) / 45) - (length_fits(f, p) > 0.9 && f->duration_s < 60 ? 1 : 0);
}

static void set(dsp_timbre *out, dsp_kind kind, double confidence)
{
    out->kind = kind;
    out->kind_confidence = confidence;
}

void dsp_kind_of(const dsp_kind_facts *f, const dsp_evidence *evidence, dsp_timbre *out)
{
    out->single_event = !f->silent && f->onsets <= 1;
    out->loopable = false;
    if (f->silent) {
        set(out, DSP_KIND_SILENCE, 1);
        return;
    }
    const pulse p = find_pulse(f->onset_times_s, f->onsets);
    const double loop = loop_odds(f, &p), song = song_odds(f, &p);
    if (evidence->acid_one_shot) /* whoever made the file says so */
        set(out, DSP_KIND_ONE_SHOT, 0.95);
    else if (evidence->acid_beats > 1)
        set(out, DSP_KIND_LOOP, 0.95);
    else if (loop < 0)
        set(out, DSP_KIND_ONE_SHOT, logistic(-loop));
    else if (song < 0)
        set(out, DSP_KIND_LOOP, logistic(loop) * logistic(-song));
    else
        set(out, DSP_KIND_SONG, logistic(loop) * logistic(song));
    const bool in_time = length_fits(f, &p) > 0.8 || whole(f->beats_in_file) || whole(f->named_beats);
    out->loopable = evidence->has_loop_points || (out->kind == DSP_KIND_LOOP && in_time);
}
