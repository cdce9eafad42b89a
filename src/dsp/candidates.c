/* Tempo hypotheses and what is known about each. */
#include <stdlib.h>

#include "dsp/tempogram.h"

/* Distances in beats at which the judge looks. */
static const double ratios[TEMPO_RATIOS] = { 0.25, 1.0 / 3, 0.5, 2.0 / 3, 0.75, 1, 1.25, 4.0 / 3, 1.5,
                                             2,    2.5,     3,   3.5,     4,    5, 6,    7,       8 };
static const double cross_ratios[TEMPO_CROSS_RATIOS] = { 0, 0.25, 1.0 / 3, 0.5, 1, 1.5, 2, 3, 4 };
/* Numbers of beats that loops are made of. */
static const int loop_units[TEMPO_LOOP_FEATURES - 2] = { 2, 3, 4, 5, 7, 8, 16 };

static double period_of(double bpm)
{
    return 60.0 * RHYTHM_FPS / bpm;
}

/* Chords that change without an attack count too, but they are blurred. */
static const float harmony_share = 0.35f;

/* Mean correlation at the first multiples of a period. */
static double comb(const tempogram *t, double bpm, int multiples)
{
    double sum = 0;
    int n = 0;
    for (int k = 1; k <= multiples; k++) {
        const double lag = k * period_of(bpm);
        if (lag + 2 >= (double)t->lags)
            break;
        sum += (tempogram_at(t, TEMPO_ALL, lag) + harmony_share * tempogram_at(t, TEMPO_HARMONY, lag)) /
               (1 + harmony_share);
        n++;
    }
    return n ? sum / n : 0;
}

/* Straight interpolation without tolerance: for fine tuning. */
static double comb_exact(const tempogram *t, double bpm)
{
    const float *r = t->self + (size_t)TEMPO_ALL * TEMPO_LAGS, *h = t->self + (size_t)TEMPO_HARMONY * TEMPO_LAGS;
    double sum = 0;
    for (int k = 1; k <= 24; k++) {
        const double lag = k * period_of(bpm);
        if (lag + 1 >= (double)t->lags)
            break;
        const size_t i = (size_t)lag;
        const double f = lag - (double)i;
        sum += r[i] + f * (r[i + 1] - r[i]) + harmony_share * (h[i] + f * (h[i + 1] - h[i]));
    }
    return sum;
}

static double refine(const tempogram *t, double bpm)
{
    double best = bpm, most = -1e9;
    for (int i = -25; i <= 25; i++) {
        const double b = bpm * (1 + 0.001 * i), v = comb_exact(t, b);
        if (v > most) {
            most = v;
            best = b;
        }
    }
    const double left = comb_exact(t, best * 0.999), right = comb_exact(t, best * 1.001),
                 bend = left - 2 * most + right;
    if (bend < 0)
        best *= 1 + 0.001 * SM_CLAMP(0.5 * (left - right) / bend, -0.5, 0.5);
    return best;
}

/* Adds a hypothesis unless one is near or it is out of bounds. */
static size_t add(const tempogram *t, double bpm, double low, double high, tempo_candidate *out, size_t n)
{
    if (bpm < low || bpm > high || n >= TEMPO_CANDIDATES)
        return n;
    bpm = refine(t, bpm);
    if (bpm < low || bpm > high)
        return n;
    for (size_t i = 0; i < n; i++)
        if (fabs(log(out[i].bpm / bpm)) < 0.025)
            return n;
    out[n] = (tempo_candidate){ .bpm = bpm, .salience = comb(t, bpm, 4) };
    return n + 1;
}

/* The whole number of beats that is nearest to what the loop holds, if it is near: tempo from audio is good to 0.5 % or so. */
static void fit_loop(const tempogram *t, tempo_candidate *c)
{
    const double beats = t->loop_s * c->bpm / 60;
    c->loop_beats = 0;
    if (!(beats >= 1.5))
        return;
    const double whole = round(beats);
    if (fabs(beats / whole - 1) < 0.012 && fabs(beats - whole) < 0.3)
        c->loop_beats = (int)whole;
}

double tempo_loop_fit(const tempogram *t, const tempo_candidate *c)
{
    if (c->loop_beats == 0)
        return 0;
    const double off = (t->loop_s * c->bpm / 60 / c->loop_beats - 1) / (0.003 + 0.008 / t->loop_s);
    return exp(-off * off);
}

static float *loop_features(const tempogram *t, const tempo_candidate *c, float *f)
{
    const double beats = t->loop_s * c->bpm / 60;
    const float fit = (float)tempo_loop_fit(t, c);
    *f++ = fit;
    *f++ = (float)(isfinite(beats) ? log2(SM_CLAMP(beats, 1, 128)) / 7 : 1);
    for (size_t i = 0; i < SM_LENGTH(loop_units); i++)
        *f++ = c->loop_beats % loop_units[i] == 0 ? fit : 0;
    return f;
}

/* Triangles a quarter of an octave wide from 30 to 285 beats a minute. */
static float *prior_features(double bpm, float *f)
{
    const double at = 4 * log2(bpm / 30);
    for (int i = 0; i < TEMPO_PRIOR; i++)
        *f++ = (float)SM_MAX(0.0, 1 - fabs(at - i));
    return f;
}

static void describe(const tempogram *t, tempo_candidate *c)
{
    const double period = period_of(c->bpm);
    float *f = c->features;
    for (int g = 0; g < TEMPO_SERIES; g++)
        for (int i = 0; i < TEMPO_RATIOS; i++)
            *f++ = tempogram_at(t, g, ratios[i] * period);
    for (int p = 0; p < TEMPO_PAIRS; p++)
        for (int i = 0; i < TEMPO_CROSS_RATIOS; i++)
            *f++ = tempogram_cross(t, p, cross_ratios[i] * period);
    f = prior_features(c->bpm, f);
    f = loop_features(t, c, f);
    for (int g = 0; g < TEMPO_SERIES; g++)
        *f++ = (float)log2(t->peaks_per_frame[g] * period + 0.05);
    *f++ = (float)c->salience;
    *f++ = (float)comb(t, c->bpm, 2);
}

static int by_salience(const void *a, const void *b)
{
    const tempo_candidate *x = a, *y = b;
    return (x->salience < y->salience) - (x->salience > y->salience);
}

enum { GRID = 420 };

size_t tempogram_candidates(const tempogram *t, double bpm_min, double bpm_max, tempo_candidate out[TEMPO_CANDIDATES])
{
    static const double family[] = { 0.5, 2, 1.0 / 3, 3, 2.0 / 3, 1.5, 0.75, 4.0 / 3, 0.25, 4 };
    double salience[GRID], grid[GRID];
    size_t n = 0;
    tempo_candidate peaks[12];
    size_t n_peaks = 0;
    for (int i = 0; i < GRID; i++) {
        grid[i] = 30 * pow(2, i / 120.0); /* 30 to 340 */
        salience[i] = comb(t, grid[i], 4);
    }
    for (int i = 1; i + 1 < GRID; i++) {
        if (!(salience[i] > salience[i - 1] && salience[i] >= salience[i + 1] && salience[i] > 0.02))
            continue;
        const tempo_candidate c = { .bpm = grid[i], .salience = salience[i] };
        if (n_peaks < SM_LENGTH(peaks))
            peaks[n_peaks++] = c;
        else if (c.salience > peaks[n_peaks - 1].salience)
            peaks[n_peaks - 1] = c;
        qsort(peaks, n_peaks, sizeof *peaks, by_salience);
    }
    for (size_t i = 0; i < n_peaks; i++)
        n = add(t, peaks[i].bpm, bpm_min, bpm_max, out, n);
    for (size_t i = 0; i < SM_MIN(n_peaks, (size_t)4); i++)
        for (size_t k = 0; k < SM_LENGTH(family); k++)
            n = add(t, peaks[i].bpm * family[k], bpm_min, bpm_max, out, n);
    for (size_t i = 0; i < n; i++) {
        fit_loop(t, &out[i]);
        describe(t, &out[i]);
    }
    return n;
}
