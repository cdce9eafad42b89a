/* Recipes of winds, voices and effects. */
#include "train/synth_parts.h"

/* Harmonics 1..n of hz under one envelope; amp(i, loudness) says how strong the i-th is at this loudness. */
typedef struct {
    int partials;
    double roll; /* exponent: how fast partials fall when loud */
    double open; /* how much loudness opens them: 0 not at all */
    double even; /* level of even partials: a clarinet has few */
    double vibrato_hz, vibrato_cents, growl;
    double formant_hz, formant_width; /* a resonance that favours partials near it; 0: none */
} wind;

static double partial_level(const wind *w, int i, double hz, double loud)
{
    const double fall = pow(i, -w->roll - w->open * (1 - loud)), side = i % 2 == 0 ? w->even : 1;
    const double away = w->formant_hz > 0 ? log2(i * hz / w->formant_hz) / w->formant_width : 0;
    return fall * side * (w->formant_hz > 0 ? 0.3 + exp(-away * away) : 1);
}

static void blow(synth_sound *s, const wind *w, double hz, const synth_envelope *e, double level)
{
    double phase = synth_between(s->r, 0, 1), strength[32];
    const int n = SM_MIN(w->partials, 32);
    for (size_t k = 0; k < s->n; k++) {
        const double t = (double)k * s->dt, loud = synth_level(e, t), late = fmin(fmax(t - 0.25, 0) / 0.3, 1);
        const double bend =
            exp2(w->vibrato_cents / 1200 * late * sin(SYNTH_TAU * w->vibrato_hz * t) - 0.02 * (1 - loud));
        double x = 0;
        synth_turn(&phase, hz * bend, s->dt);
        for (int i = 1; i <= n; i++) {
            if (k % 64 == 0)
                strength[i - 1] = i * hz < 0.45 * s->rate ? partial_level(w, i, hz, loud) : 0;
            if (strength[i - 1] > 1e-4)
                x += strength[i - 1] * sin(SYNTH_TAU * i * phase);
        }
        s->x[k] += (float)(level * loud * x * (1 - w->growl * (0.5 + 0.5 * sin(SYNTH_TAU * 27 * t))));
    }
    s->facts.brightness_hz = fmin(hz * n, 0.45 * s->rate);
}

static void breath(synth_sound *s, double hz, double q, double level, double attack)
{
    const synth_envelope e = { attack, 3, 1.5 };
    synth_filter f = { 0 };
    for (size_t k = 0; k < s->n; k++) {
        synth_filter_run(&f, synth_noise(s->r), hz, q, s->dt);
        s->x[k] += (float)(level * f.band * synth_level(&e, (double)k * s->dt));
    }
}

void synth_brass_section(synth_sound *s)
{
    const int players = synth_chance(s->r, 0.6) ? 1 : 2 + synth_choose(s->r, 3);
    const double hz = synth_pitch(s, 36, 82);
    const wind w = { 28,
                     synth_between(s->r, 0.5, 1.4),
                     synth_between(s->r, 1, 4),
                     1,
                     synth_between(s->r, 4.5, 6.5),
                     synth_between(s->r, 0, 25),
                     0,
                     synth_chance(s->r, 0.6) ? synth_log_between(s->r, 500, 1500) : 0,
                     synth_between(s->r, 0.8, 1.6) };
    synth_length(s, synth_between(s->r, 0.4, 1.6));
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.025, 0.15), synth_between(s->r, 0.1, 1.2),
                                         synth_log_between(s->r, 0.2, 1.5));
    for (int i = 0; i < players; i++)
        blow(s, &w, hz * exp2(synth_between(s->r, -12, 12) / 1200 * (players > 1)), &e, 1.0 / players);
    breath(s, hz * 2, 1, synth_log_between(s->r, 0.001, 0.02), 0.05);
}

void synth_wood_flute(synth_sound *s)
{
    const double hz = synth_pitch(s, 58, 96);
    const wind w = { 6,
                     synth_between(s->r, 1.5, 3),
                     synth_between(s->r, 0, 1.5),
                     synth_between(s->r, 0.5, 1.2),
                     synth_between(s->r, 4, 6),
                     synth_between(s->r, 0, 30),
                     0,
                     0,
                     1 };
    synth_length(s, synth_between(s->r, 0.6, 1.6));
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.03, 0.2), 1.5, 1);
    blow(s, &w, hz, &e, 1);
    breath(s, hz * synth_between(s->r, 1, 2), synth_between(s->r, 0.7, 3), synth_log_between(s->r, 0.02, 0.4), 0.02);
    synth_burst(s, 2500, 0.8, true, synth_between(s->r, 0, 0.25), 0.01, 0.08, 0);
}

void synth_wood_reed(synth_sound *s)
{
    const double hz = synth_pitch(s, 40, 84);
    const wind w = { 26,
                     synth_between(s->r, 0.5, 1.3),
                     synth_between(s->r, 0.3, 2),
                     synth_chance(s->r, 0.4) ? synth_between(s->r, 0.02, 0.3) : 1,
                     synth_between(s->r, 4.5, 6),
                     synth_between(s->r, 0, 25),
                     synth_chance(s->r, 0.15) ? synth_between(s->r, 0.1, 0.5) : 0,
                     synth_log_between(s->r, 700, 2200),
                     synth_between(s->r, 0.5, 1.5) };
    synth_length(s, synth_between(s->r, 0.5, 1.6));
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.015, 0.12), 1.5, 0.8);
    blow(s, &w, hz, &e, 1);
    breath(s, synth_log_between(s->r, 1500, 4000), 0.8, synth_log_between(s->r, 0.003, 0.06), 0.02);
}

/* Five formants of a, e, i, o, u: Hz for a man (Peterson and Barney 1952, rounded), scaled for others. */
static const double vowels[5][5] = { { 730, 1090, 2440, 3400, 4500 },
                                     { 530, 1840, 2480, 3500, 4500 },
                                     { 270, 2290, 3010, 3600, 4600 },
                                     { 570, 840, 2410, 3300, 4400 },
                                     { 300, 870, 2240, 3200, 4300 } };
static const double formant_level[5] = { 1, 0.6, 0.35, 0.2, 0.12 };

void synth_vocal_vowel(synth_sound *s)
{
    const double hz = synth_pitch(s, 43, 74),
                 size = hz > 200 ? synth_between(s->r, 1.1, 1.25) : synth_between(s->r, 0.92, 1.08);
    const int from = synth_choose(s->r, 5), to = synth_chance(s->r, 0.5) ? from : synth_choose(s->r, 5);
    const double seconds = synth_between(s->r, 0.3, 1.8), air = synth_log_between(s->r, 0.005, 0.15),
                 vibrato = synth_between(s->r, 0, 45), wave = synth_between(s->r, 4.5, 6.5);
    double phase = 0, drift = 0;
    synth_filter f[5] = { { 0 } }, tilt = { 0 };
    synth_length(s, seconds);
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.01, 0.12), seconds * 0.6, 0.5);
    for (size_t k = 0; k < s->n; k++) {
        const double t = (double)k * s->dt, way = fmin(t / (0.7 * seconds), 1);
        drift += 0.0004 * synth_noise(s->r) - 0.0005 * drift;
        const double pitch = hz * exp2((vibrato / 1200) * fmin(t / 0.4, 1) * sin(SYNTH_TAU * wave * t) + drift);
        const double pulse = synth_osc(SYNTH_SAW, synth_turn(&phase, pitch, s->dt), pitch * s->dt, 0.5);
        synth_filter_run(&tilt, pulse + air * synth_noise(s->r), 900, 0.6, s->dt);
        double x = 0;
        for (int i = 0; i < 5; i++) {
            const double centre = size * (vowels[from][i] + (vowels[to][i] - vowels[from][i]) * way);
            synth_filter_run(&f[i], tilt.low + 0.2 * tilt.band, centre, 6 + 2 * i, s->dt);
            x += formant_level[i] * f[i].band / 6;
        }
        s->x[k] += (float)(x * synth_level(&e, t));
    }
    s->facts.brightness_hz = size * vowels[to][2];
    if (synth_chance(s->r, 0.4)) /* s, t, h before the vowel */
        synth_burst(s, synth_log_between(s->r, 1500, 7000), 1, true, synth_log_between(s->r, 0.01, 0.15), 0.01, 0.12,
                    0);
}

void synth_fx_sweep(synth_sound *s)
{
    const double seconds = synth_between(s->r, 0.5, 2.2), from = synth_log_between(s->r, 60, 6000),
                 to = synth_log_between(s->r, 60, 6000), q = synth_log_between(s->r, 0.7, 10);
    const double wobble = synth_chance(s->r, 0.4) ? synth_log_between(s->r, 2, 25) : 0,
                 tone = synth_chance(s->r, 0.6) ? 1 : 0;
    double phase = 0;
    synth_filter f = { 0 };
    synth_length(s, seconds);
    const bool rises = synth_chance(s->r, 0.5);
    const synth_envelope e = synth_shape(s, rises ? seconds * 0.8 : 0.01, rises ? 0 : seconds * 0.5, seconds * 0.5);
    for (size_t k = 0; k < s->n; k++) {
        const double t = (double)k * s->dt, hz = from * pow(to / from, t / seconds) *
                                                 (1 + (wobble > 0 ? 0.3 * sin(SYNTH_TAU * wobble * t) : 0));
        const double x = tone * synth_osc(SYNTH_SAW, synth_turn(&phase, hz, s->dt), hz * s->dt, 0.5) +
                         (1.2 - tone) * synth_noise(s->r);
        synth_filter_run(&f, x, fmin(hz * 2, 0.4 * s->rate), q, s->dt);
        s->x[k] = (float)(f.low * synth_level(&e, t));
    }
    s->facts.brightness_hz = fmin(2 * fmax(from, to), 0.4 * s->rate);
}

void synth_fx_laser(synth_sound *s)
{
    const int shots = 1 + synth_choose(s->r, 5);
    const double each = synth_log_between(s->r, 0.06, 0.5), high = synth_log_between(s->r, 1500, 12000),
                 low = synth_log_between(s->r, 60, 600);
    const bool up = synth_chance(s->r, 0.2);
    const synth_wave wave = (synth_wave)synth_choose(s->r, SYNTH_WAVES);
    double phase = 0;
    synth_length(s, fmin(shots * each, 2.2));
    synth_shape(s, 0.001, 0, each);
    for (size_t k = 0; k < s->n; k++) {
        const double t = fmod((double)k * s->dt, each) / each, way = up ? 1 - t : t;
        const double hz = fmin(low + (high - low) * exp(-6 * way), 0.4 * s->rate);
        s->x[k] = (float)((1 - t) * synth_osc(wave, synth_turn(&phase, hz, s->dt), hz * s->dt, 0.5));
    }
    s->facts.brightness_hz = high;
}

void synth_fx_impact(synth_sound *s)
{
    const double room = synth_between(s->r, 0.8, 2.5), hz = synth_log_between(s->r, 28, 80);
    double phase = 0;
    synth_filter f = { 0 };
    synth_length(s, fmin(room, 2.2));
    const synth_envelope e = synth_shape(s, 0.003, 0, room);
    for (size_t k = 0; k < s->n; k++) {
        const double t = (double)k * s->dt;
        synth_turn(&phase, hz * (1 + 2 * exp(-t / 0.06)), s->dt);
        synth_filter_run(&f, synth_noise(s->r), 200 + 6000 * synth_decay(t, room * 0.5), 0.7, s->dt);
        s->x[k] = (float)(synth_level(&e, t) * (sin(SYNTH_TAU * phase) + 0.8 * f.low));
    }
    synth_burst(s, 4000, 0.7, false, synth_between(s->r, 0.2, 1), 0.001, 0.1, 0);
    synth_drive(s, synth_log_between(s->r, 1, 6));
    s->facts.pitch_hz = 0;
}
