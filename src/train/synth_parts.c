/* Oscillators, envelopes, filters, modes and strings. */
#include <string.h>

#include "train/synth_parts.h"

double synth_noise(synth_random *r)
{
    return sm_unit(r->stream, r->noise++);
}

double synth_draw(synth_random *r, int place)
{
    const uint64_t at = (uint64_t)(place % SYNTH_PLACES) << 40 | r->drawn[place % SYNTH_PLACES]++;
    return 0.5 + 0.5 * sm_unit(r->stream, at | (uint64_t)1 << 63); /* noise counts from 0 */
}

void synth_length(synth_sound *s, double seconds)
{
    s->n = (size_t)(fmin(seconds, 2.5) * s->rate);
    s->x = sm_alloc_zero(s->n, sizeof *s->x);
    s->failed = !s->x;
    if (s->failed)
        s->n = 0;
}

double synth_pitch(synth_sound *s, int low_midi, int high_midi)
{
    const int note = low_midi + synth_choose(s->r, high_midi - low_midi + 1);
    s->facts.pitch_hz = 440 * exp2((note - 69 + synth_between(s->r, -0.15, 0.15)) / 12);
    return s->facts.pitch_hz;
}

synth_envelope synth_shape(synth_sound *s, double attack, double hold, double t60)
{
    s->facts.attack_s = attack;
    s->facts.decay_s = fmin(hold + t60, (double)s->n * s->dt - attack);
    return (synth_envelope){ attack, t60, hold };
}

double synth_level(const synth_envelope *e, double t)
{
    if (t < e->attack)
        return 0.5 - 0.5 * cos(SYNTH_TAU / 2 * t / e->attack);
    return t < e->attack + e->hold ? 1 : synth_decay(t - e->attack - e->hold, e->t60);
}

/* Two samples around a step: the difference to one that is band-limited, after Valimaki and Huovilainen (2007). */
static double blep(double phase, double dt)
{
    if (phase < dt) {
        const double t = phase / dt;
        return t + t - t * t - 1;
    }
    if (phase > 1 - dt) {
        const double t = (phase - 1) / dt;
        return t * t + t + t + 1;
    }
    return 0;
}

double synth_osc(synth_wave w, double phase, double dt, double width)
{
    switch (w) {
    case SYNTH_SAW:
        return 2 * phase - 1 - blep(phase, dt);
    case SYNTH_SQUARE: {
        const double back = phase - width + (phase < width ? 1 : 0);
        return (phase < width ? 1 : -1) + blep(phase, dt) - blep(back, dt);
    }
    case SYNTH_TRIANGLE:
        return 1 - 4 * fabs(phase - 0.5);
    case SYNTH_SINE:
    case SYNTH_WAVES:
        break;
    }
    return sin(SYNTH_TAU * phase);
}

/* Zavalishin, The Art of VA Filter Design, section 4.1. */
void synth_filter_run(synth_filter *f, double x, double hz, double q, double dt)
{
    const double g = tan(SYNTH_TAU / 2 * fmin(hz * dt, 0.49)), k = 1 / q;
    f->high = (x - (k + g) * f->a - f->b) / (1 + k * g + g * g);
    f->band = g * f->high + f->a;
    f->low = g * f->band + f->b;
    f->a = g * f->high + f->band;
    f->b = g * f->band + f->low;
}

static size_t sample_of(const synth_sound *s, double t)
{
    return (size_t)fmin(fmax(t, 0) * s->rate, (double)s->n);
}

void synth_modes(synth_sound *s, double hz, const double *ratio, const double *level, int n, double t60, double damp,
                 double from)
{
    for (int i = 0; i < n; i++) {
        const double f = hz * ratio[i], end = t60 * pow(ratio[i], -damp), start = synth_between(s->r, 0, 1);
        if (f > 0.45 * s->rate)
            continue;
        for (size_t k = sample_of(s, from); k < s->n; k++) {
            const double t = (double)k * s->dt - from;
            if (t > 1.5 * end)
                break;
            s->x[k] += (float)(level[i] * synth_decay(t, end) * sin(SYNTH_TAU * (f * t + start)));
        }
        if (level[i] > 0.1)
            s->facts.brightness_hz = fmax(s->facts.brightness_hz, f);
    }
}

void synth_burst(synth_sound *s, double hz, double q, bool band, double level, double attack, double t60, double from)
{
    const synth_envelope e = { attack, t60, 0 };
    synth_filter f = { 0 };
    for (size_t k = sample_of(s, from); k < s->n; k++) {
        const double t = (double)k * s->dt - from;
        synth_filter_run(&f, synth_noise(s->r), hz, q, s->dt);
        s->x[k] += (float)(level * synth_level(&e, t) * (band ? f.band / q * 2 : f.high));
    }
    s->facts.brightness_hz = fmax(s->facts.brightness_hz, band ? hz : 0.4 * s->rate);
}

void synth_string(synth_sound *s, double hz, double dull, double place, double t60, double level)
{
    const double period = s->rate / hz - 0.5; /* the averaging below is half a sample late */
    const size_t length = (size_t)period;
    const double rest = period - (double)length, pick = fmax(place * period, 1);
    const double keep = pow(10, -3 / (t60 * hz)); /* of a period */
    float *line = sm_alloc_zero(length + 2, sizeof *line);
    double last = 0, tone = 0;
    size_t at = 0;
    if (!line) {
        s->failed = true;
        return;
    }
    for (size_t i = 0; i < length; i++) {
        tone += (1 - 0.8 * dull) * (synth_noise(s->r) - tone);
        line[i] = (float)tone;
    }
    for (size_t i = length; i-- > (size_t)pick;) /* a string has no motion where it is picked */
        line[i] -= line[i - (size_t)pick];
    for (size_t k = 0; k < s->n; k++) {
        const size_t next = at + 1 < length ? at + 1 : 0;
        const double y = (1 - rest) * (double)line[at] + rest * last;
        const double after = (double)line[next];
        s->x[k] += (float)(level * y);
        last = (double)line[at];
        line[at] = (float)(keep * ((1 - 0.5 * dull) * y + 0.5 * dull * after));
        at = next;
    }
    s->facts.brightness_hz = fmax(s->facts.brightness_hz, hz * (2 + 30 * (1 - dull)));
    sm_free(line);
}

void synth_drive(synth_sound *s, double gain)
{
    for (size_t k = 0; k < s->n; k++)
        s->x[k] = (float)(tanh(gain * (double)s->x[k]) / tanh(gain));
}
