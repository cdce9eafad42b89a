#include "music.h"

#include <math.h>
#include <string.h>

#include "base/base.h"

typedef struct {
    double seconds, fall;        /* length; decay a second */
    double from_hz, to_hz, bend; /* sine that falls from from_hz to to_hz */
    double noise, tone;          /* shares; noise < 0: differentiated, so only treble */
} drum_row;

static const drum_row drums[] = {
    [MUSIC_KICK] = { 0.25, 12, 170, 50, 35, 0, 1 }, [MUSIC_SNARE] = { 0.18, 22, 260, 180, 30, 0.5, 0.4 },
    [MUSIC_HAT] = { 0.05, 90, 0, 0, 0, -0.5, 0 },   [MUSIC_CLICK] = { 0.03, 250, 1000, 1000, 1, 0, 1 },
    [MUSIC_CLAP] = { 0.15, 30, 0, 0, 0, 0.7, 0 },
};

void music_hit(float *x, size_t n, double at_s, music_drum drum, float gain)
{
    const drum_row *d = &drums[drum];
    const uint64_t hash = sm_unit_hash("drum", (uint64_t)drum);
    const size_t first = (size_t)lround(at_s * MUSIC_RATE), length = (size_t)(d->seconds * MUSIC_RATE);
    double phase = 0, before = 0;
    for (size_t i = 0; i < length && first + i < n; i++) {
        const double t = (double)i / MUSIC_RATE, white = sm_unit(hash, i);
        const double noise = d->noise < 0 ? -d->noise * (white - before) : d->noise * white;
        before = white;
        phase += 2 * M_PI * (d->to_hz + (d->from_hz - d->to_hz) * exp(-t * d->bend)) / MUSIC_RATE;
        x[first + i] += (float)(gain * exp(-t * d->fall) * (noise + d->tone * sin(phase)));
    }
}

void music_pattern(float *x, size_t n, double start_s, double bpm, double steps_per_beat, double swing, music_drum drum,
                   const char *pattern, float gain)
{
    const size_t length = strlen(pattern);
    for (size_t i = 0;; i++) {
        const double beat = (double)i / steps_per_beat, part = beat - floor(beat);
        const double at = start_s + (beat + (part > 0.4 && part < 0.6 ? swing : 0)) * 60 / bpm;
        if (at * MUSIC_RATE >= (double)n)
            break;
        if (pattern[i % length] == 'x' || pattern[i % length] == 'o')
            music_hit(x, n, at, drum, pattern[i % length] == 'o' ? 1.4f * gain : gain);
    }
}

void music_tone(float *x, size_t n, double at_s, double midi, double seconds, float gain, double a4_hz)
{
    const double hz = a4_hz * pow(2, (midi - 69) / 12);
    const size_t first = (size_t)lround(at_s * MUSIC_RATE), length = (size_t)(seconds * MUSIC_RATE);
    for (int k = 1; k <= 5; k++) {
        if (k * hz > 0.45 * MUSIC_RATE)
            break;
        for (size_t i = 0; i < length && first + i < n; i++) {
            const double t = (double)i / MUSIC_RATE;
            const double edge = SM_MIN(1.0, t / 0.01) * SM_MIN(1.0, (seconds - t) / 0.05);
            x[first + i] += (float)(gain * edge * exp(-1.2 * t) * sin(2 * M_PI * hz * k * t) / pow(k, 1.5));
        }
    }
}

void music_chord(float *x, size_t n, double at_s, int root_midi, int minor, double seconds, float gain, double a4_hz)
{
    music_tone(x, n, at_s, root_midi - 12, seconds, 1.2f * gain, a4_hz);
    music_tone(x, n, at_s, root_midi, seconds, gain, a4_hz);
    music_tone(x, n, at_s, root_midi + (minor ? 3 : 4), seconds, gain, a4_hz);
    music_tone(x, n, at_s, root_midi + 7, seconds, gain, a4_hz);
}
