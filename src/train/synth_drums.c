/* Recipes of drums, cymbals and other struck things. Ranges are what machines and acoustic kits have. */
#include "train/synth_parts.h"

/* A sine whose pitch falls from `high` to `hz` within about `fall` seconds, under an envelope. */
static void falling_sine(synth_sound *s, double hz, double high, double fall, const synth_envelope *e, double level)
{
    double phase = synth_between(s->r, 0, 0.25);
    for (size_t k = 0; k < s->n; k++) {
        const double t = (double)k * s->dt;
        synth_turn(&phase, hz + (high - hz) * exp(-t / fall), s->dt);
        s->x[k] += (float)(level * synth_level(e, t) * sin(SYNTH_TAU * phase));
    }
    s->facts.pitch_hz = hz;
    s->facts.brightness_hz = fmax(s->facts.brightness_hz, high);
}

void synth_kick(synth_sound *s)
{
    const bool deep = synth_chance(s->r, 0.3); /* the long ones that are played as bass */
    const double hz = synth_log_between(s->r, 38, 70),
                 t60 = deep ? synth_between(s->r, 0.8, 2.2) : synth_log_between(s->r, 0.15, 0.7);
    synth_length(s, t60 * 1.1 + 0.02);
    const synth_envelope e = synth_shape(s, synth_between(s->r, 0.0005, 0.004), synth_between(s->r, 0, 0.06), t60);
    falling_sine(s, hz, hz * synth_log_between(s->r, 2, 14), synth_log_between(s->r, 0.008, 0.05), &e, 1);
    if (synth_chance(s->r, 0.8))
        synth_burst(s, synth_log_between(s->r, 1500, 7000), 0.8, synth_chance(s->r, 0.5),
                    synth_log_between(s->r, 0.03, 0.6), 0.0003, synth_log_between(s->r, 0.005, 0.04), 0);
    if (synth_chance(s->r, 0.4)) /* the shell of an acoustic drum */
        synth_burst(s, synth_between(s->r, 90, 300), 1.5, true, synth_between(s->r, 0.1, 0.5), 0.001,
                    synth_between(s->r, 0.08, 0.3), 0);
    if (synth_chance(s->r, 0.6))
        synth_drive(s, synth_log_between(s->r, 1, 6));
}

void synth_tom(synth_sound *s)
{
    const double hz = synth_log_between(s->r, 70, 260), t60 = synth_log_between(s->r, 0.25, 1.4);
    static const double ratio[] = { 1.59, 2.14, 2.3, 2.65 };
    const double level[] = { 0.25, 0.15, 0.1, 0.1 };
    synth_length(s, t60 * 1.1);
    const synth_envelope e = synth_shape(s, synth_between(s->r, 0.0005, 0.003), 0, t60);
    falling_sine(s, hz, hz * synth_between(s->r, 1.15, 2.2), synth_log_between(s->r, 0.02, 0.12), &e, 1);
    if (synth_chance(s->r, 0.6))
        synth_modes(s, hz, ratio, level, SM_LENGTH(ratio), t60 * 0.5, 0.6, 0);
    if (synth_chance(s->r, 0.8))
        synth_burst(s, synth_log_between(s->r, 800, 5000), 0.9, true, synth_log_between(s->r, 0.05, 0.5), 0.0005,
                    synth_log_between(s->r, 0.01, 0.12), 0);
}

void synth_snare(synth_sound *s)
{
    const double hz = synth_log_between(s->r, 140, 280), t60 = synth_log_between(s->r, 0.12, 0.6);
    const double ratio[] = { 1, synth_between(s->r, 1.5, 1.9), synth_between(s->r, 2.2, 2.9) },
                 level[] = { 0.6, 0.35, 0.15 };
    synth_length(s, t60 * 1.15 + 0.05);
    synth_shape(s, 0.001, 0, t60);
    s->facts.pitch_hz = hz;
    synth_modes(s, hz, ratio, level, SM_LENGTH(ratio), synth_between(s->r, 0.08, 0.25), 0.5, 0);
    synth_burst(s, synth_log_between(s->r, 1500, 4500), synth_between(s->r, 0.4, 0.9), true,
                synth_between(s->r, 0.4, 1.1), 0.0008, t60, 0);
    synth_burst(s, synth_log_between(s->r, 4000, 8000), 0.7, false, synth_between(s->r, 0.1, 0.5), 0.0005,
                t60 * synth_between(s->r, 0.4, 1), 0);
    if (synth_chance(s->r, 0.4))
        synth_drive(s, synth_log_between(s->r, 1, 4));
}

void synth_rim(synth_sound *s)
{
    const double hz = synth_log_between(s->r, 350, 900);
    const double ratio[] = { 1, synth_between(s->r, 2.2, 3.9), synth_between(s->r, 4.2, 6.5) },
                 level[] = { 0.8, 0.7, 0.3 };
    synth_length(s, synth_between(s->r, 0.06, 0.2));
    synth_shape(s, 0.0003, 0, 0.08);
    synth_modes(s, hz, ratio, level, SM_LENGTH(ratio), synth_log_between(s->r, 0.03, 0.1), 0.3, 0);
    synth_burst(s, synth_log_between(s->r, 2500, 7000), 0.8, true, synth_between(s->r, 0.2, 0.8), 0.0002,
                synth_log_between(s->r, 0.004, 0.03), 0);
    if (synth_chance(s->r, 0.3))
        synth_drive(s, synth_log_between(s->r, 1, 5));
}

void synth_clap(synth_sound *s)
{
    const int bursts = 3 + synth_choose(s->r, 3);
    const double hz = synth_log_between(s->r, 900, 2200), q = synth_between(s->r, 1, 3),
                 tail = synth_log_between(s->r, 0.08, 0.5);
    double at = 0;
    synth_length(s, tail + 0.1);
    for (int i = 0; i < bursts; i++) {
        synth_burst(s, hz * synth_between(s->r, 0.9, 1.1), q, true, 1, 0.0005, i + 1 < bursts ? 0.02 : tail, at);
        at += synth_between(s->r, 0.006, 0.016);
    }
    synth_burst(s, 5000, 0.7, false, synth_between(s->r, 0.02, 0.2), 0.0005, tail * 0.4, 0);
    synth_shape(s, at, 0, tail);
}

/* Six squares of no common period through a high-pass, and noise: what drum machines do for metal. */
static void metal(synth_sound *s, double base, double t60, double noise)
{
    static const double ratio[6] = { 1, 1.4826, 1.8003, 2.5459, 2.6303, 3.8968 };
    double phase[6];
    synth_filter high = { 0 }, band = { 0 };
    const double corner = synth_log_between(s->r, 5000, 9000);
    const synth_envelope e = synth_shape(s, synth_between(s->r, 0.0003, 0.003), 0, t60);
    const double skew = synth_between(s->r, 0.9, 1.15);
    for (int i = 0; i < 6; i++)
        phase[i] = synth_between(s->r, 0, 1);
    for (size_t k = 0; k < s->n; k++) {
        const double t = (double)k * s->dt;
        double x = 0;
        for (int i = 0; i < 6; i++) {
            const double hz = base * pow(ratio[i], skew);
            x += synth_osc(SYNTH_SQUARE, synth_turn(&phase[i], hz, s->dt), hz * s->dt, 0.5);
        }
        synth_filter_run(&band, x / 6 + noise * synth_noise(s->r), corner, 1.2, s->dt);
        synth_filter_run(&high, band.high, corner * 0.8, 0.7, s->dt);
        s->x[k] += (float)(high.high * synth_level(&e, t));
    }
    s->facts.brightness_hz = 0.4 * s->rate;
}

void synth_hat_closed(synth_sound *s)
{
    const double t60 = synth_log_between(s->r, 0.03, 0.16);
    synth_length(s, t60 * 1.2 + 0.02);
    metal(s, synth_log_between(s->r, 180, 420), t60, synth_log_between(s->r, 0.2, 4));
}

void synth_hat_open(synth_sound *s)
{
    const double t60 = synth_log_between(s->r, 0.35, 1.4);
    synth_length(s, t60 * 1.1);
    metal(s, synth_log_between(s->r, 180, 420), t60, synth_log_between(s->r, 0.2, 4));
}

void synth_cymbal(synth_sound *s)
{
    enum { PARTIALS = 48 };
    double ratio[PARTIALS], level[PARTIALS];
    const double t60 = synth_log_between(s->r, 0.9, 4), bell = synth_log_between(s->r, 260, 600);
    synth_length(s, fmin(t60, 2.5));
    for (int i = 0; i < PARTIALS; i++) {
        ratio[i] = synth_log_between(s->r, 1, 28);
        level[i] = synth_between(s->r, 0.02, 0.12) * (ratio[i] < 3 ? 1.5 : 1);
    }
    synth_shape(s, 0.002, 0, t60);
    synth_modes(s, bell, ratio, level, PARTIALS, t60 * 1.3, 0.25, 0);
    synth_burst(s, synth_log_between(s->r, 3000, 7000), 0.6, false, synth_between(s->r, 0.2, 0.9),
                synth_log_between(s->r, 0.001, 0.05), t60 * synth_between(s->r, 0.4, 0.9), 0);
}

void synth_perc_bell(synth_sound *s)
{
    const double hz = synth_log_between(s->r, 400, 1100), t60 = synth_log_between(s->r, 0.12, 0.9);
    const double ratio[] = { 1, synth_between(s->r, 1.45, 1.55), synth_between(s->r, 2.5, 2.9),
                             synth_between(s->r, 4.1, 5.4) };
    const double level[] = { 0.8, 0.8, 0.3, 0.2 };
    double a = 0, b = 0;
    synth_filter f = { 0 };
    synth_length(s, t60 * 1.1);
    const synth_envelope e = synth_shape(s, 0.0008, 0, t60);
    s->facts.pitch_hz = hz;
    if (synth_chance(s->r, 0.5)) {
        synth_modes(s, hz, ratio, level, SM_LENGTH(ratio), t60, 0.4, 0);
        synth_burst(s, 5000, 0.8, true, 0.3, 0.0003, 0.015, 0);
        return;
    }
    for (size_t k = 0; k < s->n; k++) {
        const double x = synth_osc(SYNTH_SQUARE, synth_turn(&a, hz, s->dt), hz * s->dt, 0.5) +
                         synth_osc(SYNTH_SQUARE, synth_turn(&b, hz * ratio[1], s->dt), hz * ratio[1] * s->dt, 0.5);
        synth_filter_run(&f, x, hz * 1.9, 2.5, s->dt);
        s->x[k] = (float)(f.band * synth_level(&e, (double)k * s->dt));
    }
    s->facts.brightness_hz = hz * 3;
}

void synth_perc_wood(synth_sound *s)
{
    const double hz = synth_log_between(s->r, 500, 2900), t60 = synth_log_between(s->r, 0.03, 0.16);
    const double ratio[] = { 1, synth_between(s->r, 1.6, 2.8), synth_between(s->r, 3, 5) };
    const double level[] = { 1, synth_between(s->r, 0, 0.6), synth_between(s->r, 0, 0.3) };
    synth_length(s, t60 * 1.5 + 0.02);
    synth_shape(s, 0.0005, 0, t60);
    s->facts.pitch_hz = hz;
    synth_modes(s, hz, ratio, level, SM_LENGTH(ratio), t60, 0.5, 0);
    synth_burst(s, 3000, 0.7, true, synth_between(s->r, 0.05, 0.4), 0.0003, 0.01, 0);
    if (synth_chance(s->r, 0.2)) /* guiro: scraped, not struck */
        for (double at = 0.01; at < 0.15; at += synth_between(s->r, 0.006, 0.018))
            synth_burst(s, hz, 4, true, 0.7, 0.0003, 0.012, at);
}

void synth_shaker(synth_sound *s)
{
    const int strokes = 1 + synth_choose(s->r, 3);
    const double hz = synth_log_between(s->r, 3500, 9000), q = synth_between(s->r, 0.7, 3);
    const bool jingles = synth_chance(s->r, 0.35);
    double at = 0;
    synth_length(s, 0.15 + 0.18 * strokes);
    for (int i = 0; i < strokes; i++) {
        const double attack = synth_log_between(s->r, 0.008, 0.06), t60 = synth_log_between(s->r, 0.05, 0.25);
        synth_burst(s, hz, q, synth_chance(s->r, 0.6), synth_between(s->r, 0.5, 1), attack, t60, at);
        for (int j = 0; jingles && j < 6; j++) {
            const double one[] = { 1 }, level[] = { synth_between(s->r, 0.05, 0.25) };
            synth_modes(s, synth_log_between(s->r, 4500, 11000), one, level, 1, synth_log_between(s->r, 0.05, 0.35), 0,
                        at + synth_between(s->r, 0, 0.03));
        }
        if (i == 0)
            synth_shape(s, attack, 0, t60);
        at += synth_between(s->r, 0.08, 0.2);
    }
}

void synth_hand_membrane(synth_sound *s)
{
    static const double ratio[] = { 1, 1.59, 2.14, 2.3, 2.65, 2.92, 3.5 };
    double level[SM_LENGTH(ratio)];
    const double hz = synth_log_between(s->r, 80, 480), t60 = synth_log_between(s->r, 0.08, 0.7),
                 slap = synth_between(s->r, 0, 1);
    synth_length(s, t60 * 1.2 + 0.05);
    const synth_envelope e = synth_shape(s, 0.0008, 0, t60);
    for (size_t i = 0; i < SM_LENGTH(ratio); i++)
        level[i] = synth_between(s->r, 0.05, 0.4) * (0.3 + slap);
    falling_sine(s, hz, hz * synth_between(s->r, 1, 1.5), synth_log_between(s->r, 0.01, 0.06), &e, 1 - 0.5 * slap);
    synth_modes(s, hz, ratio, level, SM_LENGTH(ratio), t60 * 0.6, 0.5, 0);
    synth_burst(s, synth_log_between(s->r, 900, 4500), 1, true, 0.1 + 0.5 * slap, 0.0005,
                synth_log_between(s->r, 0.01, 0.05), 0);
}

void synth_foley_impact(synth_sound *s)
{
    enum { MODES = 14 };
    double ratio[MODES], level[MODES], at = 0;
    const int hits = 1 + synth_choose(s->r, 3);
    const double hz = synth_log_between(s->r, 70, 700), t60 = synth_log_between(s->r, 0.04, 0.5);
    synth_length(s, t60 + 0.2 * hits);
    synth_shape(s, 0.001, 0, t60);
    for (int i = 0; i < MODES; i++) {
        ratio[i] = synth_log_between(s->r, 1, 14);
        level[i] = synth_between(s->r, 0.02, 0.4);
    }
    for (int i = 0; i < hits; i++) {
        synth_modes(s, hz, ratio, level, MODES, t60, 0.5, at);
        synth_burst(s, synth_log_between(s->r, 300, 3000), 0.6, true, synth_between(s->r, 0.3, 1.2), 0.001,
                    synth_log_between(s->r, 0.02, 0.2), at);
        at += synth_log_between(s->r, 0.04, 0.3);
    }
}

void synth_foley_texture(synth_sound *s)
{
    const double seconds = synth_between(s->r, 0.6, 2), rattle = synth_log_between(s->r, 4, 60),
                 turn = synth_between(s->r, 0.3, 3);
    const double centre = synth_log_between(s->r, 250, 3000), q = synth_between(s->r, 0.5, 3),
                 wind = synth_between(s->r, 0, 1);
    synth_filter f = { 0 };
    synth_length(s, seconds);
    synth_shape(s, 0.02, seconds, seconds);
    for (size_t k = 0; k < s->n; k++) {
        const double t = (double)k * s->dt, swell = 0.6 + 0.4 * sin(SYNTH_TAU * turn * t);
        synth_filter_run(&f, synth_noise(s->r), centre * (1 + 0.5 * sin(SYNTH_TAU * turn * 0.7 * t + 1)), q, s->dt);
        s->x[k] = (float)(wind * swell * f.band / q);
    }
    for (double at = 0; at < seconds; at += synth_log_between(s->r, 0.3, 3) / rattle)
        synth_burst(s, centre * synth_log_between(s->r, 0.5, 4), synth_between(s->r, 0.7, 6), true,
                    synth_between(s->r, 0.1, 1), 0.0005, synth_log_between(s->r, 0.01, 0.08), at);
    s->facts.brightness_hz = centre * 2;
}
