/* Recipes of keys, strings and synthesizers that have a pitch; winds, voices and effects are in synth_voices.c. */
#include "train/synth_parts.h"

/* Several detuned oscillators through a low-pass whose corner follows its own envelope: the classic subtractive voice. */
typedef struct {
    synth_wave wave;
    int voices;
    double cents;           /* the outermost voice's detuning */
    double width;           /* of pulses */
    double low_hz, high_hz; /* corner at rest, and at the peak of its envelope */
    double corner_t60, q;
    double vibrato_hz, vibrato_cents, vibrato_from;
    double glide; /* octaves that the note starts above its pitch, gone within 30 ms */
} subtractive;

static void add_subtractive(synth_sound *s, const subtractive *v, double hz, const synth_envelope *e, double level)
{
    double phase[16], tune[16];
    synth_filter f = { 0 };
    const int n = SM_CLAMP(v->voices, 1, 16);
    for (int i = 0; i < n; i++) {
        phase[i] = synth_between(s->r, 0, 1);
        tune[i] = n > 1 ? exp2(v->cents / 1200 * (2.0 * i / (n - 1) - 1)) : 1;
    }
    for (size_t k = 0; k < s->n; k++) {
        const double t = (double)k * s->dt, late = fmin(fmax(t - v->vibrato_from, 0) / 0.2, 1);
        const double bend =
            exp2(v->vibrato_cents / 1200 * late * sin(SYNTH_TAU * v->vibrato_hz * t) + v->glide * exp(-t / 0.03));
        double x = 0;
        for (int i = 0; i < n; i++) {
            const double f_i = fmin(hz * tune[i] * bend, 0.4 * s->rate);
            x += synth_osc(v->wave, synth_turn(&phase[i], f_i, s->dt), f_i * s->dt, v->width);
        }
        synth_filter_run(&f, x / sqrt(n), v->low_hz + (v->high_hz - v->low_hz) * synth_decay(t, v->corner_t60), v->q,
                         s->dt);
        s->x[k] += (float)(level * f.low * synth_level(e, t));
    }
    s->facts.brightness_hz = fmax(s->facts.brightness_hz, fmin(fmax(v->low_hz, v->high_hz), 0.45 * s->rate));
}

static synth_wave some_wave(synth_sound *s)
{
    return (synth_wave)synth_choose(s->r, SYNTH_WAVES);
}

static synth_wave rich_wave(synth_sound *s)
{
    return synth_chance(s->r, 0.6) ? SYNTH_SAW : SYNTH_SQUARE;
}

/* One carrier, one modulator: depth falls from `most` to `least` (radians) with its own t60. */
static void add_fm(synth_sound *s, double hz, double ratio, double most, double least, double depth_t60,
                   const synth_envelope *e, double level)
{
    double carrier = synth_between(s->r, 0, 1), modulator = synth_between(s->r, 0, 1);
    for (size_t k = 0; k < s->n; k++) {
        const double t = (double)k * s->dt, depth = least + (most - least) * synth_decay(t, depth_t60);
        synth_turn(&carrier, hz, s->dt);
        synth_turn(&modulator, hz * ratio, s->dt);
        s->x[k] += (float)(level * synth_level(e, t) * sin(SYNTH_TAU * carrier + depth * sin(SYNTH_TAU * modulator)));
    }
    s->facts.brightness_hz = fmax(s->facts.brightness_hz, fmin(hz * (1 + ratio * most), 0.45 * s->rate));
}

void synth_bass_analogue(synth_sound *s)
{
    const double hz = synth_pitch(s, 24, 47), t60 = synth_log_between(s->r, 0.3, 2.5);
    synth_length(s, synth_between(s->r, 0.35, 1.6));
    const subtractive v = { rich_wave(s),
                            1 + synth_choose(s->r, 3),
                            synth_between(s->r, 2, 15),
                            synth_between(s->r, 0.2, 0.5),
                            hz * synth_log_between(s->r, 1.5, 6),
                            hz * synth_log_between(s->r, 4, 50),
                            synth_log_between(s->r, 0.1, 1.2),
                            synth_log_between(s->r, 0.7, 6),
                            0,
                            0,
                            0,
                            synth_chance(s->r, 0.1) ? synth_between(s->r, 0.2, 1) : 0 };
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.001, 0.02), synth_between(s->r, 0, 0.3), t60);
    add_subtractive(s, &v, hz, &e, 1);
    if (synth_chance(s->r, 0.5))
        add_fm(s, hz * (synth_chance(s->r, 0.3) ? 0.5 : 1), 1, 0, 0, 1, &e, synth_between(s->r, 0.3, 0.8));
    if (synth_chance(s->r, 0.4))
        synth_drive(s, synth_log_between(s->r, 1, 6));
}

void synth_bass_fm(synth_sound *s)
{
    static const double ratios[] = { 0.5, 1, 2, 3 };
    const double hz = synth_pitch(s, 24, 47);
    synth_length(s, synth_between(s->r, 0.35, 1.5));
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.001, 0.01), synth_between(s->r, 0, 0.2),
                                         synth_log_between(s->r, 0.4, 2.5));
    add_fm(s, hz, ratios[synth_choose(s->r, 4)], synth_log_between(s->r, 1, 9), synth_between(s->r, 0, 1.5),
           synth_log_between(s->r, 0.08, 0.8), &e, 1);
}

void synth_bass_string(synth_sound *s)
{
    const double hz = synth_pitch(s, 26, 50), t60 = synth_log_between(s->r, 0.8, 4);
    synth_length(s, synth_between(s->r, 0.5, 1.6));
    synth_shape(s, 0.002, 0, t60);
    synth_string(s, hz, synth_between(s->r, 0.6, 0.95), synth_between(s->r, 0.1, 0.3), t60, 1);
    synth_burst(s, synth_between(s->r, 90, 200), 2, true, synth_between(s->r, 0.05, 0.4), 0.001, 0.12, 0);
    if (synth_chance(s->r, 0.4)) /* slapped, or the noise of a finger */
        synth_burst(s, synth_log_between(s->r, 1500, 4500), 1, true, synth_between(s->r, 0.05, 0.4), 0.0005, 0.03, 0);
}

void synth_lead_wave(synth_sound *s)
{
    const double hz = synth_pitch(s, 48, 88);
    const synth_wave wave = some_wave(s);
    double phase = 0, width = synth_chance(s->r, 0.5) ? 0.5 : synth_between(s->r, 0.1, 0.5);
    synth_length(s, synth_between(s->r, 0.3, 1.6));
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.001, 0.05), synth_between(s->r, 0.1, 1.2),
                                         synth_log_between(s->r, 0.1, 1));
    for (size_t k = 0; k < s->n; k++)
        s->x[k] = (float)(synth_level(&e, (double)k * s->dt) *
                          synth_osc(wave, synth_turn(&phase, hz, s->dt), hz * s->dt, width));
    s->facts.brightness_hz = wave == SYNTH_SINE ? hz : wave == SYNTH_TRIANGLE ? 9 * hz : 0.45 * s->rate;
}

void synth_lead_super(synth_sound *s)
{
    const double hz = synth_pitch(s, 48, 84);
    const subtractive v = { rich_wave(s),
                            1 + synth_choose(s->r, 7),
                            synth_log_between(s->r, 3, 40),
                            synth_between(s->r, 0.15, 0.5),
                            hz * synth_log_between(s->r, 3, 20),
                            hz * synth_log_between(s->r, 4, 40),
                            synth_log_between(s->r, 0.2, 2),
                            synth_log_between(s->r, 0.7, 5),
                            synth_between(s->r, 4, 7),
                            synth_chance(s->r, 0.5) ? synth_between(s->r, 5, 50) : 0,
                            synth_between(s->r, 0.1, 0.5),
                            synth_chance(s->r, 0.15) ? synth_between(s->r, -0.5, 0.5) : 0 };
    synth_length(s, synth_between(s->r, 0.3, 1.6));
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.001, 0.06), synth_between(s->r, 0.1, 1),
                                         synth_log_between(s->r, 0.2, 1.5));
    add_subtractive(s, &v, hz, &e, 1);
    if (synth_chance(s->r, 0.25)) {
        const double second = hz * (synth_chance(s->r, 0.5) ? 1.498 : 2);
        add_subtractive(s, &v, second, &e, 0.7);
    }
    if (synth_chance(s->r, 0.3))
        synth_drive(s, synth_log_between(s->r, 1, 8));
}

void synth_pad_ensemble(synth_sound *s)
{
    static const double chords[][4] = { { 1 }, { 1, 1.5 }, { 1, 1.26, 1.5 }, { 1, 1.189, 1.5, 1.782 } };
    static const int notes[] = { 1, 2, 3, 4 };
    const int chord = synth_choose(s->r, 4);
    const double hz = synth_pitch(s, 40, 67), corner = synth_log_between(s->r, 500, 5000);
    const subtractive v = { synth_chance(s->r, 0.75) ? SYNTH_SAW : some_wave(s),
                            3 + synth_choose(s->r, 5),
                            synth_log_between(s->r, 6, 25),
                            synth_between(s->r, 0.2, 0.5),
                            corner,
                            corner * synth_log_between(s->r, 0.3, 2.5),
                            synth_between(s->r, 1, 6),
                            synth_between(s->r, 0.6, 2),
                            synth_between(s->r, 0.3, 5),
                            synth_between(s->r, 0, 15),
                            0,
                            0 };
    synth_length(s, synth_between(s->r, 1.4, 2));
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.08, 0.8), 1.5, 2);
    for (int i = 0; i < notes[chord]; i++)
        add_subtractive(s, &v, hz * chords[chord][i], &e, 1.0 / notes[chord]);
    if (chord > 0)
        s->facts.pitch_hz = 0;
}

void synth_pluck_string(synth_sound *s)
{
    const double hz = synth_pitch(s, 48, 88), t60 = synth_log_between(s->r, 0.5, 4);
    synth_length(s, synth_between(s->r, 0.5, 1.6));
    synth_shape(s, 0.001, 0, t60);
    synth_string(s, hz, synth_between(s->r, 0.05, 0.5), synth_between(s->r, 0.03, 0.5), t60, 1);
    if (synth_chance(s->r, 0.3)) /* a second course */
        synth_string(s, hz * synth_between(s->r, 1.001, 1.006), synth_between(s->r, 0.05, 0.5), 0.1, t60, 0.7);
    if (synth_chance(s->r, 0.25)) /* the buzz of a flat bridge */
        synth_drive(s, synth_log_between(s->r, 2, 6));
}

void synth_pluck_synth(synth_sound *s)
{
    const double hz = synth_pitch(s, 48, 84), t60 = synth_log_between(s->r, 0.15, 0.9);
    const subtractive v = { rich_wave(s),
                            1 + synth_choose(s->r, 4),
                            synth_log_between(s->r, 2, 15),
                            synth_between(s->r, 0.2, 0.5),
                            hz * synth_between(s->r, 1, 2),
                            hz * synth_log_between(s->r, 8, 50),
                            t60 * synth_between(s->r, 0.2, 0.8),
                            synth_log_between(s->r, 0.7, 5),
                            0,
                            0,
                            0,
                            0 };
    synth_length(s, t60 * 1.3 + 0.1);
    const synth_envelope e = synth_shape(s, 0.001, 0, t60);
    add_subtractive(s, &v, hz, &e, 1);
}

void synth_keys_fm(synth_sound *s)
{
    const double hz = synth_pitch(s, 36, 88), t60 = synth_log_between(s->r, 1, 5);
    synth_length(s, synth_between(s->r, 0.8, 1.6));
    const synth_envelope body = synth_shape(s, 0.002, 0, t60), tine = { 0.001, synth_log_between(s->r, 0.1, 0.6), 0 };
    add_fm(s, hz, 1, synth_log_between(s->r, 0.4, 3), 0.2, t60 * 0.5, &body, 1);
    add_fm(s, hz, synth_chance(s->r, 0.5) ? 14 : synth_between(s->r, 6, 10), synth_between(s->r, 0.2, 1), 0, 0.2, &tine,
           synth_between(s->r, 0.1, 0.5));
    if (synth_chance(s->r, 0.3)) {
        const double hz_tremolo = synth_between(s->r, 3, 7), depth = synth_between(s->r, 0.1, 0.4);
        for (size_t k = 0; k < s->n; k++)
            s->x[k] *= (float)(1 - depth * (0.5 + 0.5 * sin(SYNTH_TAU * hz_tremolo * (double)k * s->dt)));
    }
}

void synth_keys_piano(synth_sound *s)
{
    enum { PARTIALS = 24 };
    double ratio[PARTIALS], level[PARTIALS];
    const double hz = synth_pitch(s, 28, 96), stiff = synth_log_between(s->r, 1e-4, 1.5e-3),
                 hard = synth_between(s->r, 0.5, 1.3);
    const double t60 = synth_log_between(s->r, 2, 7) * pow(220 / hz, 0.3);
    synth_length(s, synth_between(s->r, 0.8, 1.6));
    synth_shape(s, 0.002, 0, t60);
    for (int i = 0; i < PARTIALS; i++) {
        ratio[i] = (i + 1) * sqrt(1 + stiff * (i + 1) * (i + 1));
        level[i] = pow(i + 1, -hard) * fabs(sin(SYNTH_TAU / 2 * (i + 1) / 8.2)) * synth_between(s->r, 0.6, 1.2);
    }
    synth_modes(s, hz, ratio, level, PARTIALS, t60, 0.7, 0);
    synth_modes(s, hz * synth_between(s->r, 1.0003, 1.002), ratio, level, PARTIALS, t60 * 0.6, 0.7, 0);
    synth_burst(s, synth_log_between(s->r, 300, 1500), 0.8, true, synth_between(s->r, 0.03, 0.2), 0.001, 0.05, 0);
}

void synth_organ_drawbar(synth_sound *s)
{
    static const double bars[9] = { 0.5, 1.5, 1, 2, 3, 4, 5, 6, 8 };
    double level[9], phase[9] = { 0 };
    const double hz = synth_pitch(s, 36, 84), rotor = synth_between(s->r, 0.7, 7),
                 depth = synth_chance(s->r, 0.6) ? synth_between(s->r, 0, 12) : 0;
    const bool chord = synth_chance(s->r, 0.15);
    synth_length(s, synth_between(s->r, 0.8, 1.6));
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.002, 0.06), 2.5, 0.3);
    for (int i = 0; i < 9; i++)
        level[i] = synth_chance(s->r, 0.3) ? 0 : synth_between(s->r, 0.05, 1);
    level[2] = fmax(level[2], 0.6);
    for (size_t k = 0; k < s->n; k++) {
        const double t = (double)k * s->dt, bend = exp2(depth / 1200 * sin(SYNTH_TAU * rotor * t)),
                     loud = 1 - 0.02 * depth * (0.5 + 0.5 * cos(SYNTH_TAU * rotor * t));
        double x = 0;
        for (int i = 0; i < 9; i++) {
            synth_turn(&phase[i], hz * bars[i] * bend, s->dt);
            x += hz * bars[i] < 0.45 * s->rate
                     ? level[i] * (sin(SYNTH_TAU * phase[i]) + (chord ? sin(SYNTH_TAU * 1.5 * phase[i]) : 0))
                     : 0;
        }
        s->x[k] += (float)(x * loud * synth_level(&e, t));
    }
    s->facts.brightness_hz = fmin(8 * hz, 0.45 * s->rate);
    if (synth_chance(s->r, 0.5))
        synth_burst(s, 3000, 0.7, true, synth_between(s->r, 0.1, 0.6), 0.0005, 0.015, 0);
    if (synth_chance(s->r, 0.3))
        synth_drive(s, synth_log_between(s->r, 0.3, 1.5));
}

void synth_bell_bar(synth_sound *s)
{
    static const double marimba[] = { 1, 3.93, 9.9 }, glass[] = { 1, 2.756, 5.404, 8.933 };
    static const double level[] = { 1, 0.35, 0.15, 0.1 };
    const bool wood = synth_chance(s->r, 0.4);
    const double hz = synth_pitch(s, wood ? 48 : 60, wood ? 84 : 100),
                 t60 = wood ? synth_log_between(s->r, 0.25, 1.2) : synth_log_between(s->r, 1, 5);
    synth_length(s, fmin(t60 * 1.1, 1.6));
    synth_shape(s, 0.001, 0, t60);
    synth_modes(s, hz, wood ? marimba : glass, level, wood ? 3 : 4, t60, wood ? 1 : 0.6, 0);
    synth_burst(s, synth_log_between(s->r, 1000, 5000), 1, true, synth_between(s->r, 0.02, 0.2), 0.0005, 0.02, 0);
    if (!wood && synth_chance(s->r, 0.3)) /* a vibraphone's motor */
        for (size_t k = 0; k < s->n; k++)
            s->x[k] *= (float)(0.75 + 0.25 * sin(SYNTH_TAU * 5.5 * (double)k * s->dt));
}

void synth_bell_fm(synth_sound *s)
{
    static const double ratios[] = { 1.4, 3.5, 2.76, 1.414, 7.1, 5.4 };
    const double hz = synth_pitch(s, 60, 96), t60 = synth_log_between(s->r, 0.8, 5);
    synth_length(s, fmin(t60, 1.6));
    const synth_envelope e = synth_shape(s, 0.001, 0, t60);
    add_fm(s, hz, ratios[synth_choose(s->r, 6)], synth_log_between(s->r, 1, 6), 0.1, t60 * 0.5, &e, 1);
    if (synth_chance(s->r, 0.5))
        add_fm(s, hz * 2.01, ratios[synth_choose(s->r, 6)], 2, 0, t60 * 0.3, &e, 0.4);
}

void synth_guitar_string(synth_sound *s)
{
    static const double chord[] = { 1, 1.4983, 2, 2.5198, 2.9966, 4 };
    const int strings = synth_chance(s->r, 0.7) ? 1 : 3 + synth_choose(s->r, 4);
    const double hz = synth_pitch(s, 40, strings > 1 ? 50 : 76), t60 = synth_log_between(s->r, 1, 5),
                 dull = synth_between(s->r, 0.2, 0.7);
    const bool electric = synth_chance(s->r, 0.5);
    synth_length(s, synth_between(s->r, 0.8, 1.6));
    synth_shape(s, 0.002, 0, t60);
    for (int i = 0; i < strings; i++)
        synth_string(s, hz * chord[i], dull, synth_between(s->r, 0.08, 0.3), t60, 1.0 / sqrt(strings));
    if (!electric) { /* the air and the top of the box */
        synth_burst(s, 105, 6, true, 0.15, 0.002, 0.15, 0);
        synth_burst(s, 215, 6, true, 0.1, 0.002, 0.12, 0);
    } else if (synth_chance(s->r, 0.6)) {
        synth_drive(s, synth_log_between(s->r, 2, 30));
    }
    if (strings > 1)
        s->facts.pitch_hz = 0;
}

void synth_strings_bowed(synth_sound *s)
{
    const double hz = synth_pitch(s, 36, 88);
    const int players = synth_chance(s->r, 0.5) ? 1 : 3 + synth_choose(s->r, 6);
    const subtractive v = { SYNTH_SAW,
                            players,
                            synth_between(s->r, 5, 20),
                            0.5,
                            synth_log_between(s->r, 1500, 6000),
                            synth_log_between(s->r, 1500, 6000),
                            3,
                            0.8,
                            synth_between(s->r, 4.5, 6.5),
                            synth_between(s->r, 5, 40),
                            synth_between(s->r, 0, 0.4),
                            0 };
    synth_filter body[3] = { { 0 } };
    static const double bodies[3] = { 1, 1.7, 3.1 };
    const double low = synth_log_between(s->r, 180, 420);
    synth_length(s, synth_between(s->r, 0.8, 1.6));
    const synth_envelope e = synth_shape(s, synth_log_between(s->r, 0.03, 0.35), 1.5, 1);
    add_subtractive(s, &v, hz, &e, 1);
    for (size_t k = 0; k < s->n; k++) {
        double x = (double)s->x[k] * 0.5;
        for (int i = 0; i < 3; i++) {
            synth_filter_run(&body[i], (double)s->x[k], low * bodies[i], 3, s->dt);
            x += body[i].band / 3;
        }
        s->x[k] = (float)x;
    }
    synth_burst(s, synth_log_between(s->r, 2000, 5000), 0.8, true, synth_log_between(s->r, 0.005, 0.06), 0.05, 2,
                0); /* the bow's hair */
}
