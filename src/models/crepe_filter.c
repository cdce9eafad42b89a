/* torchcrepe's filters and thresholds over a pitch track. NaN: unvoiced. */
#include <math.h>
#include <string.h>

#include "models/model.h"

enum { SILENCE_FFT = 1024, SILENCE_BINS = SILENCE_FFT / 2 + 1 };

/* ---- filters: windows of `width` centred on each frame ---- */
static int check_width(size_t n, int width)
{
    return width >= 1 && (size_t)(width / 2) < SM_MAX(n, 1)
               ? 0
               : sm_fail(SM_EUSAGE, "a window of %d for %zu frames", width, n);
}

static size_t filtered_length(size_t n, int width)
{
    return n + 2 * (size_t)(width / 2) - (size_t)width + 1;
}

/* Lower median of the valid values. Frames outside are not valid, so reflected padding never shows. */
int sm_pitch_median(const float *x, size_t n, int width, float *out)
{
    float *window;
    const int err = check_width(n, width);
    if (err < 0)
        return err;
    window = sm_alloc((size_t)width, sizeof *window);
    if (!window)
        return SM_ENOMEM;
    for (size_t t = 0; t < filtered_length(n, width); t++) {
        size_t valid = 0;
        for (int k = 0; k < width; k++) {
            const int64_t i = (int64_t)t + k - width / 2;
            if (i < 0 || i >= (int64_t)n || isnan(x[i]))
                continue;
            size_t at = valid++;
            for (; at > 0 && window[at - 1] > x[i]; at--)
                window[at] = window[at - 1];
            window[at] = x[i];
        }
        out[t] = valid ? window[(valid - 1) / 2] : NAN;
    }
    sm_free(window);
    return 0;
}

/* Mean of the valid values; a mean of exactly 0 is NaN, as in the original. */
int sm_pitch_mean(const float *x, size_t n, int width, float *out)
{
    const int err = check_width(n, width);
    for (size_t t = 0; err == 0 && t < filtered_length(n, width); t++) {
        double sum = 0;
        int valid = 0;
        for (int k = 0; k < width; k++) {
            const int64_t i = (int64_t)t + k - width / 2;
            if (i >= 0 && i < (int64_t)n && !isnan(x[i])) {
                sum += x[i];
                valid++;
            }
        }
        out[t] = valid && sum != 0 ? (float)(sum / valid) : NAN;
    }
    return err;
}

/* ---- thresholds ---- */
void sm_pitch_threshold(const float *hz, const float *periodicity, size_t n, float at, float *out)
{
    for (size_t t = 0; t < n; t++)
        out[t] = periodicity[t] < at ? NAN : hz[t];
}

/* Whitens log2 pitch in place (population deviation over what is not NaN). */
static void whiten(double *x, size_t n, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    size_t valid = 0;
    for (size_t t = 0; t < n; t++)
        if (!isnan(x[t])) {
            sum += x[t];
            valid++;
        }
    *mean = valid ? sum / (double)valid : NAN;
    for (size_t t = 0; t < n; t++)
        if (!isnan(x[t]))
            squares += (x[t] - *mean) * (x[t] - *mean);
    *deviation = valid ? sqrt(squares / (double)valid) : NAN;
    for (size_t t = 0; t < n; t++)
        x[t] = (x[t] - *mean) / *deviation;
}

/* A voiced stretch stays only if somewhere it passes the upper bound; otherwise its thresholds become 1. */
static void drop_weak_stretches(const float *periodicity, size_t n, float upper, float *threshold)
{
    for (size_t i = 0; i + 1 < n;) {
        size_t end = i + 1;
        bool keep = false;
        if (!(periodicity[i] < threshold[i] && periodicity[i + 1] > threshold[i + 1])) {
            i++;
            continue;
        }
        for (; end < n && periodicity[end] > threshold[end]; end++)
            keep = keep || periodicity[end] > upper;
        for (size_t k = i + 1; k < end && !keep; k++)
            threshold[k] = 1;
        i = end;
    }
}

int sm_pitch_hysteresis_threshold(const float *hz, const float *periodicity, size_t n, const sm_pitch_hysteresis *o,
                                  float *out, float *thresholds)
{
    const sm_pitch_hysteresis standard = { 0.19f, 0.31f, 0.2f, 1.7f };
    double *x = sm_alloc(n, sizeof *x), mean, deviation;
    float *threshold = sm_alloc(n, sizeof *threshold);
    int err = 0;
    o = o ? o : &standard;
    if (!x || !threshold) {
        err = SM_ENOMEM;
        goto out;
    }
    for (size_t t = 0; t < n; t++)
        x[t] = periodicity[t] < o->threshold_lower ? NAN : log2(hz[t]);
    whiten(x, n, &mean, &deviation);
    for (size_t t = 0; t < n; t++) {
        const double parabola = o->width * x[t] * x[t] - o->width * o->stds * o->stds;
        const double rise = SM_CLAMP(parabola, 0, 1 - o->threshold_lower);
        threshold[t] = isnan(parabola) ? o->threshold_lower : (float)(o->threshold_lower + rise);
    }
    drop_weak_stretches(periodicity, n, o->threshold_upper, threshold);
    for (size_t t = 0; t < n; t++)
        out[t] = periodicity[t] < threshold[t] ? NAN : (float)exp2(x[t] * deviation + mean);
    if (thresholds)
        memcpy(thresholds, threshold, n * sizeof *threshold);
out:
    sm_free(x);
    sm_free(threshold);
    return err;
}

/* ---- silence: A-weighted loudness (IEC 61672's curve, at least -80 dB) ---- */
static double a_weight(double f)
{
    static const double c[4] = { 12194.217, 20.598997, 107.65265, 737.86223 };
    const double f2 = f * f;
    const double db = 2 + 20 * (log10(c[0] * c[0]) + 2 * log10(f2) - log10(f2 + c[0] * c[0]) - log10(f2 + c[1] * c[1]) -
                                0.5 * log10(f2 + c[2] * c[2]) - 0.5 * log10(f2 + c[3] * c[3]));
    return SM_MAX(db, -80);
}

typedef struct {
    dsp_fft *fft;
    float window[SILENCE_FFT], frame[SILENCE_FFT], spectrum[2 * SILENCE_BINS + 2];
    double weight[SILENCE_BINS];
} loudness;

/* dB of each bin of frame t, at least -100 (amplitude 1e-5). */
static void frame_db(loudness *l, const float *audio, size_t samples, int64_t start, double db[SILENCE_BINS])
{
    for (int i = 0; i < SILENCE_FFT; i++) {
        const int64_t at = start + i;
        l->frame[i] = at < 0 || at >= (int64_t)samples ? 0 : audio[at] * l->window[i];
    }
    dsp_fft_forward(l->fft, l->frame, l->spectrum);
    for (int k = 0; k < SILENCE_BINS; k++) {
        const double m = hypot(l->spectrum[2 * k], l->spectrum[2 * k + 1]);
        db[k] = 20 * log10(SM_MAX(m, 1e-5));
    }
}

int sm_pitch_silence(const float *audio, size_t samples, int hop, double limit, float *periodicity, size_t frames)
{
    loudness *l = sm_alloc_zero(1, sizeof *l);
    double db[SILENCE_BINS], top = -100;
    int err = l ? dsp_fft_new(SILENCE_FFT, &l->fft) : SM_ENOMEM;
    if (err < 0)
        goto out;
    dsp_window(DSP_WINDOW_HANN_PERIODIC, SILENCE_FFT, l->window);
    for (int k = 0; k < SILENCE_BINS; k++)
        l->weight[k] = a_weight(k * 16000.0 / SILENCE_FFT);
    /* the floor of 80 dB below the loudest bin of all needs a first pass */
    for (size_t t = 0; t < frames; t++) {
        frame_db(l, audio, samples, (int64_t)t * hop - SILENCE_FFT / 2, db);
        for (int k = 0; k < SILENCE_BINS; k++)
            top = SM_MAX(top, db[k]);
    }
    for (size_t t = 0; t < frames; t++) {
        double sum = 0;
        frame_db(l, audio, samples, (int64_t)t * hop - SILENCE_FFT / 2, db);
        for (int k = 0; k < SILENCE_BINS; k++)
            sum += SM_MAX(SM_MAX(db[k], top - 80) + l->weight[k] - 20, -100);
        if (sum / SILENCE_BINS < limit)
            periodicity[t] = 0;
    }
out:
    if (l)
        dsp_fft_free(l->fft);
    sm_free(l);
    return err;
}
