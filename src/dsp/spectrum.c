/* Spectra of a sound: 2,048 samples under a Hann window every 10 ms at DSP_RATE, centred; the descriptors of each frame, weighted
 * by its energy, and the mean power spectrum from which the timbre words are made. Feeds the onset detector. */
#include <string.h>

#include "dsp/fastmath.h"
#include "dsp/framer.h"
#include "dsp/parts.h"

enum {
    FRAME = DSP_SPECTRUM_FRAME,
    HOP = DSP_SPECTRUM_HOP,
    BINS = FRAME / 2 + 1,
    EARLY = 12 /* frames of the attack */
};
#define BIN_HZ ((double)DSP_RATE / FRAME)
#define SILENT 1e-8 /* -80 dBFS: a frame below it has no spectrum worth describing */

struct dsp_spectrum {
    framer framer;
    dsp_fft *fft;
    dsp_onsets *onsets; /* borrowed */
    float window[FRAME], in[FRAME], re_im[FRAME + 2], power[BINS];
    double weight;
    dsp_spectral sums; /* weighted by energy */
    double low, low2;  /* sums of the energy below 250 Hz and of its square, for its length */
    double early[EARLY], early_weight[EARLY];
    int early_filled;
};

int dsp_spectrum_new(dsp_onsets *onsets, dsp_spectrum **out)
{
    *out = NULL;
    dsp_spectrum *s = sm_alloc_zero(1, sizeof *s);
    if (!s)
        return SM_ENOMEM;
    if (dsp_fft_new(FRAME, &s->fft) < 0) {
        sm_free(s);
        return SM_ENOMEM;
    }
    s->onsets = onsets;
    framer_init(&s->framer, FRAME, HOP, FRAME / 2);
    dsp_window(DSP_WINDOW_HANN_PERIODIC, FRAME, s->window);
    for (int i = 0; i < FRAME; i++)
        s->window[i] *= 4.0f / FRAME; /* a full-scale sine has magnitude 1 */
    *out = s;
    return 0;
}

void dsp_spectrum_free(dsp_spectrum *s)
{
    if (!s)
        return;
    framer_free(&s->framer);
    dsp_fft_free(s->fft);
    sm_free(s);
}

/* Changes of sign from sample to sample; the zeros around a short sound are not part of it. */
static double crossings(const float *x, int n)
{
    int count = 0;
    while (n > 2 && x[n - 1] == 0)
        n--;
    for (; n > 2 && x[0] == 0; n--)
        x++;
    for (int i = 1; i < n; i++)
        count += (x[i] >= 0) != (x[i - 1] >= 0);
    return (double)count / (n - 1);
}

/* Sums over bins 1 .. BINS - 1: of the magnitude m, of k m, of k^2 m, of log2 p and of p log2 p. Side by side in LANES, so that
 * the compiler may use vectors without changing the order of any addition. */
enum { LANES = 8 };
typedef struct {
    double m, km, kkm, logs, plogp;
} bin_sums;

static bin_sums sum_bins(const float *power)
{
    float m[LANES] = { 0 }, km[LANES] = { 0 }, kkm[LANES] = { 0 }, logs[LANES] = { 0 }, plogp[LANES] = { 0 };
    for (int k = 1; k < BINS; k += LANES)
        for (int j = 0; j < LANES; j++) {
            const float p = power[k + j], size = sqrtf(p), at = (float)(k + j), log = fast_log2(p + 1e-20f);
            m[j] += size;
            km[j] += at * size;
            kkm[j] += at * at * size;
            logs[j] += log;
            plogp[j] += p * log;
        }
    bin_sums s = { 0 };
    for (int j = 0; j < LANES; j++) {
        s.m += m[j];
        s.km += km[j];
        s.kkm += kkm[j];
        s.logs += logs[j];
        s.plogp += plogp[j];
    }
    return s;
}

/* Bin 0 is left out everywhere: an offset is not a sound. */
static void describe(dsp_spectrum *s, const float *samples, double energy)
{
    const bin_sums sums = sum_bins(s->power);
    double part = 0;
    int roll = 1;
    for (; roll < BINS - 1 && part + s->power[roll] < 0.85 * energy; roll++)
        part += s->power[roll];
    const double centre = sums.km / sums.m, mean = energy / (BINS - 1);
    const dsp_spectral f = {
        .centroid_hz = centre * BIN_HZ,
        .spread_hz = sqrt(SM_MAX(sums.kkm / sums.m - centre * centre, 0)) * BIN_HZ,
        .rolloff_hz = roll * BIN_HZ,
        .flatness = SM_MIN(exp2(sums.logs / (BINS - 1)) / mean, 1),
        .entropy = SM_CLAMP((log2(energy) - sums.plogp / energy) / log2(BINS - 1), 0, 1),
        .crossing_rate = crossings(samples + (FRAME - HOP) / 2, HOP),
    };
    s->weight += energy;
    s->sums.centroid_hz += energy * f.centroid_hz;
    s->sums.spread_hz += energy * f.spread_hz;
    s->sums.rolloff_hz += energy * f.rolloff_hz;
    s->sums.flatness += energy * f.flatness;
    s->sums.entropy += energy * f.entropy;
    s->sums.crossing_rate += energy * f.crossing_rate;
    for (int k = 1; k < BINS; k++)
        s->sums.mean_power[k] += s->power[k];
    s->early_filled = s->early_filled == 0 ? 1 : s->early_filled;
    if (s->early_filled <= EARLY) {
        s->early[s->early_filled - 1] = f.centroid_hz;
        s->early_weight[s->early_filled - 1] = energy;
        s->early_filled++;
    }
}

static int spectrum_frame(void *user, const float *samples)
{
    dsp_spectrum *s = user;
    for (int i = 0; i < FRAME; i++)
        s->in[i] = samples[i] * s->window[i];
    dsp_fft_forward(s->fft, s->in, s->re_im);
    dsp_power(s->re_im, BINS, s->power);
    double energy = 0, low = 0;
    const int low_end = (int)(250 / BIN_HZ);
    for (int k = 1; k <= low_end; k++)
        low += s->power[k];
    for (int k = low_end + 1; k < BINS; k++)
        energy += s->power[k];
    energy += low;
    s->low += low;
    s->low2 += low * low;
    if (energy > SILENT)
        describe(s, samples, energy);
    return dsp_onsets_frame(s->onsets, s->power);
}

int dsp_spectrum_push(dsp_spectrum *s, const float *mono, size_t n)
{
    return framer_push(&s->framer, mono, n, spectrum_frame, s);
}

int dsp_spectrum_finish(dsp_spectrum *s, dsp_spectral *out)
{
    const int64_t n = s->framer.received;
    int err = n > 0 ? framer_finish(&s->framer, 1 + n / HOP, spectrum_frame, s) : 0;
    *out = s->sums;
    if (err < 0 || !(s->weight > 0)) {
        *out = (dsp_spectral){ NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0, { 0 } };
        return err;
    }
    double *const means[] = { &out->centroid_hz, &out->spread_hz, &out->rolloff_hz,
                              &out->flatness,    &out->entropy,   &out->crossing_rate };
    for (size_t i = 0; i < SM_LENGTH(means); i++)
        *means[i] /= s->weight;
    double sum = 0, weight = 0;
    for (int i = 0; i < EARLY && i < s->early_filled - 1; i++) {
        sum += s->early[i] * s->early_weight[i];
        weight += s->early_weight[i];
    }
    out->attack_centroid_hz = sum / weight;
    out->low_length_s = s->low2 > 0 ? s->low * s->low / s->low2 * HOP / DSP_RATE : 0;
    return 0;
}
