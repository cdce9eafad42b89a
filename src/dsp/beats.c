#include <string.h>

#include "dsp/beats.h"

/* Onset strength with the low group counted twice: where kick and bass fall is more often a beat than where hats fall. */
static float strength(const tempogram *t, size_t i)
{
    return t->onset[TEMPO_ALL * t->frames + i] + 0.5f * t->onset[i];
}

static double at(const tempogram *t, double frame)
{
    if (!(frame >= 0) || frame + 1 >= (double)t->frames)
        return 0;
    const size_t i = (size_t)frame;
    return strength(t, i) + (frame - (double)i) * (strength(t, i + 1) - strength(t, i));
}

/* A beat at time s shows in frame s * FPS + SHIFT: the rise is seen while the sound enters the window. */
static const double shift = -0.4;

double beats_phase(const tempogram *t, double bpm, double start_s)
{
    const double period = 60.0 * RHYTHM_FPS / bpm, start = start_s * RHYTHM_FPS;
    const int steps = (int)SM_CLAMP(period * 4, 8, 1024);
    double best = -1e30, phase = 0, total = 1e-9;
    for (size_t i = 0; i < t->frames; i++)
        total += fabs(strength(t, i));
    for (int k = 0; k < steps; k++) {
        const double first = start + period * (k / (double)steps - 0.1);
        double sum = 0;
        for (double x = first; x < (double)t->frames; x += period)
            sum += SM_MAX(at(t, x + shift), 0.0);
        /* Loops begin on a beat: worth as much as 6 % of all onsets, less the farther away. */
        const double off = (first - start) * 1000 / RHYTHM_FPS / 25;
        sum += 0.06 * total * exp(-off * off);
        if (sum > best) {
            best = sum;
            phase = first;
        }
    }
    return SM_MAX(phase / RHYTHM_FPS, 0.0);
}

/* Best lag near `lag` of one window, as a ratio to it; 0 when the window has no rhythm. */
static double local_ratio(const float *x, size_t n, double lag)
{
    double best = 0, ratio = 0, power = 1e-12;
    for (size_t i = 0; i < n; i++)
        power += x[i] * x[i];
    for (int l = (int)(lag * 0.9); l <= (int)(lag * 1.1) + 1 && l < (int)n; l++) {
        double sum = 0;
        for (size_t i = 0; i + (size_t)l < n; i++)
            sum += x[i] * x[i + (size_t)l];
        sum /= power * (double)(n - (size_t)l) / (double)n;
        if (sum > best) {
            best = sum;
            ratio = l / lag;
        }
    }
    return best > 0.15 ? ratio : 0;
}

double beats_stability(const tempogram *t, double bpm)
{
    const size_t window = (size_t)(12 * RHYTHM_FPS);
    const double period = 60.0 * RHYTHM_FPS / bpm, lag = period * floor(SM_MAX(350 / period, 1.0));
    size_t good = 0, all = 0;
    for (size_t a = 0; a + window <= t->frames; a += SM_MAX(window / 2, t->frames / 60)) {
        const double ratio = local_ratio(t->onset + TEMPO_ALL * t->frames + a, window, lag);
        if (ratio == 0)
            continue;
        all++;
        good += fabs(ratio - 1) < 0.02;
    }
    return all ? (double)good / (double)all : 1;
}

int beats_grid(double bpm, double phase_s, double end_s, double **out, size_t *n)
{
    const double period = 60 / bpm;
    const size_t count = end_s > phase_s ? (size_t)((end_s - phase_s) / period - 1e-6) + 1 : 0;
    *out = NULL;
    *n = 0;
    double *beats = sm_alloc(count, sizeof *beats);
    if (!beats)
        return SM_ENOMEM;
    for (size_t i = 0; i < count; i++)
        beats[i] = phase_s + (double)i * period;
    *out = beats;
    *n = count;
    return 0;
}

/* score[i] = onset[i] + best of the frames half to two periods before, less what a period off the tempo costs */
static void run_forward(const tempogram *t, double period, float *score, int32_t *from)
{
    const double tightness = 400;
    const int near = SM_MAX((int)(period / 2), 1), far = (int)(period * 2);
    double square = 1e-12;
    for (size_t i = 0; i < t->frames; i++)
        square += strength(t, i) * strength(t, i);
    const float unit = (float)sqrt(square / (double)t->frames);
    for (int i = 0; i < (int)t->frames; i++) {
        double best = 0;
        from[i] = -1;
        for (int j = SM_MAX(i - far, 0); j <= i - near; j++) {
            const double off = log((i - j) / period), v = score[j] - tightness * off * off;
            if (v > best) {
                best = v;
                from[i] = j;
            }
        }
        score[i] = strength(t, (size_t)i) / unit + (float)best;
    }
}

int beats_follow(const tempogram *t, double bpm, double start_s, double end_s, double **out, size_t *n)
{
    const double period = 60.0 * RHYTHM_FPS / bpm;
    float *score = sm_alloc(t->frames, sizeof *score);
    int32_t *from = sm_alloc(t->frames, sizeof *from);
    double *beats = NULL;
    int err = SM_ENOMEM;
    *out = NULL;
    *n = 0;
    if (!score || !from)
        goto out;
    run_forward(t, period, score, from);
    int32_t last = t->frames > 0 ? (int32_t)t->frames - 1 : -1;
    for (int32_t i = last; i >= 0 && i > (int32_t)t->frames - 1 - (int32_t)(period + 1); i--)
        last = score[i] > score[last] ? i : last;
    size_t count = 0, kept = 0;
    for (int32_t i = last; i >= 0; i = from[i])
        count++;
    beats = sm_alloc(count, sizeof *beats);
    if (!beats)
        goto out;
    for (int32_t i = last; i >= 0; i = from[i])
        beats[--count] = (i - shift) / RHYTHM_FPS, kept++;
    size_t first = 0;
    while (first < kept && beats[first] < start_s - 0.1 * 60 / bpm)
        first++;
    while (kept > first && beats[kept - 1] >= end_s)
        kept--;
    memmove(beats, beats + first, (kept - first) * sizeof *beats);
    *n = kept - first;
    *out = beats;
    beats = NULL;
    err = 0;
out:
    sm_free(score);
    sm_free(from);
    sm_free(beats);
    return err;
}
