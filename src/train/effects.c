/* Effects in the time domain: resampling, stretching, filters, saturation, noise. */
#include <string.h>

#include "train/effects.h"

/* ---- resampling: a sinc under a Hann window, tabulated at PHASES places between two samples ---- */
enum { PHASES = 128, ZEROS = 12, MOST_TAPS = 256, LANES = 8 };

/* Each row sums to 1. Sines of neighbouring taps follow from one another by the angle-sum formulae. */
static void sinc_table(double cutoff, int taps, float *table)
{
    const double cs = cos(M_PI * cutoff), sn = sin(M_PI * cutoff), cw = cos(2 * M_PI / taps), sw = sin(2 * M_PI / taps);
    for (int p = 0; p < PHASES; p++) {
        const double t0 = 1 - taps / 2 - (double)p / PHASES;
        double s = sin(M_PI * t0 * cutoff), c = cos(M_PI * t0 * cutoff), sum = 0;
        double ws = sin(2 * M_PI * t0 / taps), wc = cos(2 * M_PI * t0 / taps);
        float *row = table + (size_t)p * (size_t)taps;
        for (int k = 0; k < taps; k++) {
            const double t = t0 + k, at = M_PI * t * cutoff, was = s, wws = ws;
            row[k] = (float)((fabs(at) < 1e-9 ? 1 : s / at) * (fabs(t) < taps / 2.0 ? 0.5 + 0.5 * wc : 0));
            sum += (double)row[k];
            s = s * cs + c * sn;
            c = c * cs - was * sn;
            ws = ws * cw + wc * sw;
            wc = wc * cw - wws * sw;
        }
        for (int k = 0; k < taps; k++)
            row[k] = (float)((double)row[k] / sum);
    }
}

/* taps is a multiple of LANES: as many sums side by side as vectors have room for */
static float dot(const float *a, const float *b, int taps)
{
    float sum[LANES] = { 0 }, all = 0;
    for (int k = 0; k < taps; k += LANES)
        for (int j = 0; j < LANES; j++)
            sum[j] += a[k + j] * b[k + j];
    for (int j = 0; j < LANES; j++)
        all += sum[j];
    return all;
}

static float dot_at_edge(const float *row, const float *x, int taps, int64_t first, int64_t n)
{
    float sum = 0;
    for (int k = (int)SM_MAX(0, -first); k < (int)SM_MIN(taps, n - first); k++)
        sum += row[k] * x[first + k];
    return sum;
}

int train_resample(const float *x, size_t n, double step, double cutoff, sm_floats *out)
{
    const double edge = SM_MIN(cutoff, 1 / SM_MAX(step, 1));
    const int taps = (2 * (int)SM_MIN(ceil(ZEROS / edge), MOST_TAPS / 2) + LANES - 1) / LANES * LANES;
    const size_t length = (size_t)ceil((double)n / step), before = out->length;
    float *table = sm_alloc((size_t)PHASES * (size_t)taps, sizeof *table);
    if (!table || sm_floats_add(out, NULL, length) < 0) {
        sm_free(table);
        return SM_ENOMEM;
    }
    sinc_table(edge, taps, table);
    for (size_t i = 0; i < length; i++) {
        const double at = (double)i * step;
        const int64_t whole = (int64_t)at, first = whole - taps / 2 + 1;
        const float *row = table + (size_t)((at - (double)whole) * PHASES) * (size_t)taps;
        out->data[before + i] = first >= 0 && first + taps <= (int64_t)n ? dot(row, x + first, taps)
                                                                         : dot_at_edge(row, x, taps, first, (int64_t)n);
    }
    sm_free(table);
    return 0;
}

/* ---- stretching: Verhelst, Roelands 1993 ---- */

/* Where near `at` the sound goes on most like `want`. */
static size_t best_place(const float *x, size_t n, size_t at, size_t want, size_t grain, size_t reach)
{
    size_t best = at;
    double most = -HUGE_VAL;
    const size_t low = at > reach ? at - reach : 0, high = SM_MIN(at + reach, n > grain ? n - grain : 0);
    for (size_t p = low; p <= high; p += 4) {
        double dot = 0, energy = 1e-9;
        for (size_t k = 0; k < grain / 2 && want + k < n; k += 4) {
            dot += (double)(x[p + k] * x[want + k]);
            energy += (double)(x[p + k] * x[p + k]);
        }
        if (dot / sqrt(energy) > most) {
            most = dot / sqrt(energy);
            best = p;
        }
    }
    return best;
}

int train_stretch(const float *x, size_t n, int rate_hz, double ratio, sm_floats *out)
{
    const size_t grain = (size_t)(0.04 * rate_hz) / 2 * 2, hop = grain / 2, before = out->length;
    const size_t length = (size_t)((double)n * ratio);
    if (n < 2 * grain || sm_floats_add(out, NULL, length + grain) < 0)
        return n < 2 * grain ? sm_floats_add(out, x, n) : SM_ENOMEM;
    float *y = out->data + before;
    float *window = sm_alloc(grain, sizeof *window);
    size_t from = 0;
    if (!window)
        return SM_ENOMEM;
    for (size_t k = 0; k < grain; k++)
        window[k] = (float)(0.5 - 0.5 * cos(2 * M_PI * ((double)k + 0.5) / (double)grain));
    for (size_t at = 0; at < length; at += hop) {
        const size_t aim = SM_MIN((size_t)((double)at / ratio), n - grain);
        from = at == 0 ? 0 : best_place(x, n, aim, SM_MIN(from + hop, n - 1), grain, hop / 2);
        for (size_t k = 0; k < grain; k++) /* the attack keeps its full height: no fade in of the first grain */
            y[at + k] += (at == 0 && k < hop ? 1 : window[k]) * x[from + k];
    }
    sm_free(window);
    out->length = before + length;
    return 0;
}

/* ---- filters ---- */
void train_filter(float *x, size_t n, int rate_hz, train_filter_kind kind, double hz, double q, double gain_db)
{
    const double w = 2 * M_PI * SM_MIN(hz, 0.49 * rate_hz) / rate_hz, c = cos(w), alpha = sin(w) / (2 * q);
    const double a = pow(10, gain_db / 40), root = 2 * sqrt(a) * alpha, s = kind == TRAIN_LOWSHELF ? 1 : -1;
    double b0, b1, b2, a0, a1, a2, z1 = 0, z2 = 0;
    if (kind == TRAIN_LOWPASS || kind == TRAIN_HIGHPASS) {
        const double g = kind == TRAIN_LOWPASS ? 1 - c : 1 + c;
        b0 = b2 = g / 2;
        b1 = kind == TRAIN_LOWPASS ? g : -g;
        a0 = 1 + alpha;
        a1 = -2 * c;
        a2 = 1 - alpha;
    } else if (kind == TRAIN_PEAK) {
        b0 = 1 + alpha * a;
        b1 = a1 = -2 * c;
        b2 = 1 - alpha * a;
        a0 = 1 + alpha / a;
        a2 = 1 - alpha / a;
    } else { /* the two shelves differ in the sign of the cosine */
        b0 = a * ((a + 1) - s * (a - 1) * c + root);
        b1 = s * 2 * a * ((a - 1) - s * (a + 1) * c);
        b2 = a * ((a + 1) - s * (a - 1) * c - root);
        a0 = (a + 1) + s * (a - 1) * c + root;
        a1 = s * -2 * ((a - 1) + s * (a + 1) * c);
        a2 = (a + 1) + s * (a - 1) * c - root;
    }
    b0 /= a0, b1 /= a0, b2 /= a0, a1 /= a0, a2 /= a0;
    for (size_t i = 0; i < n; i++) { /* transposed direct form II: the shortest way from one sample to the next */
        const double in = (double)x[i], y = b0 * in + z1;
        z1 = b1 * in + z2 - a1 * y;
        z2 = b2 * in - a2 * y + 1e-18; /* no denormal numbers in the tail */
        x[i] = (float)y;
    }
}

void train_saturate(float *x, size_t n, double gain_db)
{
    const float peak = train_peak(x, n), gain = (float)pow(10, gain_db / 20), top = tanhf(gain);
    for (size_t i = 0; i < n && peak > 0; i++)
        x[i] = peak * tanhf(gain * x[i] / peak) / top;
}

void train_fade_end(float *x, size_t n, size_t length)
{
    length = SM_MIN(length, n);
    for (size_t i = 0; i < length; i++)
        x[n - 1 - i] *= (float)(0.5 - 0.5 * cos(M_PI * ((double)i + 0.5) / (double)length));
}

float train_peak(const float *x, size_t n)
{
    float peak = 0;
    for (size_t i = 0; i < n; i++)
        peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
    return peak;
}

void train_add_noise(float *x, size_t n, double level, bool pink, train_random *r)
{
    double b0 = 0, b1 = 0, b2 = 0;
    for (size_t i = 0; i < n; i++) {
        const double white = 2 * train_unit(r) - 1;
        b0 = 0.99765 * b0 + white * 0.0990460;
        b1 = 0.96300 * b1 + white * 0.2965164;
        b2 = 0.57000 * b2 + white * 1.0526913;
        x[i] += (float)(level * (pink ? 0.6 * (b0 + b1 + b2 + white * 0.1848) : 1.732 * white));
    }
}
