/* Sounds made for tests, mono at DSP_RATE. All are the caller's to free(). */
#ifndef SM_TEST_SOUNDS_H
#define SM_TEST_SOUNDS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/dsp.h"

static inline float *sound_new(double seconds, size_t *n)
{
    *n = (size_t)(seconds * DSP_RATE);
    return calloc(*n + 1, sizeof(float));
}

/* Adds a decaying sine whose pitch falls from `from` to `to`: a kick, a tom, an 808, a bell. attack_s: linear. */
static inline void add_tone(float *x, size_t n, double at_s, double from, double to, double fall_s, double decay_s,
                            double attack_s, double amplitude)
{
    double phase = 0;
    for (size_t i = (size_t)(at_s * DSP_RATE); i < n; i++) {
        const double t = (double)i / DSP_RATE - at_s;
        const double rise = attack_s > 0 ? fmin(t / attack_s, 1) : 1;
        x[i] += (float)(amplitude * rise * sin(phase) * exp(-t / decay_s));
        phase += 2 * M_PI * (to + (from - to) * exp(-t / fall_s)) / DSP_RATE;
    }
}

/* Adds decaying noise; high: its difference, 6 dB an octave brighter. */
static inline void add_noise(float *x, size_t n, double at_s, double decay_s, bool high, double amplitude)
{
    const uint64_t h = sm_unit_hash("noise", 5);
    for (size_t i = (size_t)(at_s * DSP_RATE); i < n; i++) {
        const double t = (double)i / DSP_RATE - at_s, now = sm_unit(h, i), before = sm_unit(h, i + 1);
        x[i] += (float)(amplitude * (high ? (now - before) / 2 : now) * exp(-t / decay_s));
    }
}

static inline float *kick(size_t *n)
{
    float *x = sound_new(0.4, n);
    add_tone(x, *n, 0, 180, 50, 0.03, 0.08, 0, 0.9);
    return x;
}

static inline float *deep_808(size_t *n)
{
    float *x = sound_new(1.5, n);
    add_tone(x, *n, 0, 120, 45, 0.02, 0.6, 0, 0.9);
    return x;
}

static inline float *hihat(size_t *n)
{
    float *x = sound_new(0.15, n);
    add_noise(x, *n, 0, 0.03, true, 0.9);
    return x;
}

static inline float *snare(size_t *n)
{
    float *x = sound_new(0.4, n);
    add_noise(x, *n, 0, 0.07, false, 0.5);
    add_tone(x, *n, 0, 220, 190, 0.02, 0.06, 0, 0.5);
    return x;
}

static inline float *pad(size_t *n)
{
    float *x = sound_new(2, n);
    for (int k = 1; k <= 6; k++)
        add_tone(x, *n, 0, 220.0 * k, 220.0 * k, 1, 1e9, 0.6, 0.3 / k / k);
    return x;
}

/* kick, hat, snare, hat on eighths */
static inline float *drum_loop(double bpm, int beats, size_t *n)
{
    float *x = sound_new(beats * 60 / bpm, n);
    for (int i = 0; i < 2 * beats; i++) {
        const double at = i * 30 / bpm;
        if (i % 4 == 0)
            add_tone(x, *n, at, 180, 50, 0.03, 0.08, 0, 0.7);
        if (i % 4 == 2) {
            add_noise(x, *n, at, 0.05, false, 0.4);
            add_tone(x, *n, at, 220, 190, 0.02, 0.06, 0, 0.4);
        }
        add_noise(x, *n, at, 0.02, true, 0.15);
    }
    return x;
}

#endif
