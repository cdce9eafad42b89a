/* Fingerprints of the beginnings of sounds. */
#include <math.h>
#include <string.h>

#include "train/dataset.h"
#include "train/dataset_print.h"

int print_wave(const char *file, float wave[PRINT_WAVE])
{
    sm_floats mono = { 0 };
    float peak = 0;
    size_t start = 0;
    const double read_s = 3; /* a sound that begins later than this is compared as silence */
    const int err = sm_sound_read(file, PRINT_RATE, read_s, &mono, NULL);
    memset(wave, 0, PRINT_WAVE * sizeof *wave);
    for (size_t i = 0; i < mono.length; i++)
        peak = fmaxf(peak, fabsf(mono.data[i]));
    while (peak > 0 && start < mono.length && fabsf(mono.data[start]) < 0.005F * peak)
        start++;
    for (size_t i = 0; peak > 0 && i < PRINT_WAVE && start + i < mono.length; i++)
        wave[i] = mono.data[start + i] / peak;
    sm_floats_free(&mono);
    return err;
}

int print_of_wave(const float wave[PRINT_WAVE], int8_t print[PRINT_SIZE])
{
    static const dsp_mel_spec spec = { .name = "twins",
                                       .rate_hz = PRINT_RATE,
                                       .frame = 512,
                                       .hop = 256,
                                       .fft = 512,
                                       .bands = PRINT_BANDS,
                                       .f_min = 60,
                                       .f_max = 7600,
                                       .mel_scale = DSP_MEL_HTK,
                                       .filter_shape = DSP_FILTER_LINEAR_IN_HZ,
                                       .filter_norm = DSP_FILTER_PEAK_1,
                                       .spectrum = DSP_SPECTRUM_POWER,
                                       .log_kind = DSP_LOG_10,
                                       .framing = DSP_FRAMING_CENTRED,
                                       .log_offset = 1e-9,
                                       .log_scale = 1,
                                       .window = DSP_WINDOW_HANN_PERIODIC };
    dsp_mel *mel = NULL;
    sm_floats rows = { 0 };
    float loudest = -INFINITY, widest = 0;
    double sum = 0;
    int err = dsp_mel_new(&spec, &mel);
    memset(print, 0, PRINT_SIZE);
    if (err == 0)
        err = dsp_mel_push(mel, wave, PRINT_WAVE, &rows);
    if (err == 0)
        err = dsp_mel_finish(mel, &rows);
    if (err == 0 && rows.length < PRINT_SIZE)
        err = sm_fail(SM_EINTERNAL, "a fingerprint of %zu values; %d were expected", rows.length, PRINT_SIZE);
    for (size_t i = 0; i < PRINT_SIZE && err == 0; i++)
        loudest = fmaxf(loudest, rows.data[i]);
    for (size_t i = 0; i < PRINT_SIZE && err == 0; i++) {
        rows.data[i] = fmaxf(rows.data[i], loudest - 6);
        sum += rows.data[i];
    }
    for (size_t i = 0; i < PRINT_SIZE && err == 0; i++) {
        rows.data[i] -= (float)(sum / PRINT_SIZE);
        widest = fmaxf(widest, fabsf(rows.data[i]));
    }
    for (size_t i = 0; i < PRINT_SIZE && err == 0 && widest > 0; i++)
        print[i] = (int8_t)lrintf(rows.data[i] / widest * 127);
    sm_floats_free(&rows);
    dsp_mel_free(mel);
    return err;
}

/* Running sums of squares: energy of the first i samples. */
static void energies(const float *x, double *out)
{
    out[0] = 0;
    for (int i = 0; i < PRINT_WAVE; i++)
        out[i + 1] = out[i] + (double)x[i] * x[i];
}

/* The largest over lags: at lag l, a[i + l] meets b[i], and both count only where they overlap. */
static double best_lag(const float *products, int n, const double *ea, const double *eb)
{
    enum { MOST_LAG = 512 };
    double best = 0;
    for (int lag = -MOST_LAG; lag <= MOST_LAG; lag++) {
        const int overlap = PRINT_WAVE - (lag < 0 ? -lag : lag);
        const double energy_a = lag >= 0 ? ea[PRINT_WAVE] - ea[lag] : ea[overlap];
        const double energy_b = lag >= 0 ? eb[overlap] : eb[PRINT_WAVE] - eb[-lag];
        const double norm = sqrt(energy_a * energy_b);
        /* an overlap without most of the energy of both would compare tails */
        if (energy_a < 0.5 * ea[PRINT_WAVE] || energy_b < 0.5 * eb[PRINT_WAVE] || !(norm > 0))
            continue;
        best = fmax(best, fabs((double)products[lag >= 0 ? lag : n + lag]) / norm);
    }
    return fmin(best, 1);
}

int print_correlation(const float a[PRINT_WAVE], const float b[PRINT_WAVE], double *out)
{
    const int n = 18432; /* 2^11 * 9 > 2 * PRINT_WAVE: no wrap within the lags */
    const size_t pairs = (size_t)n / 2 + 1;
    dsp_fft *fft = NULL;
    float *work = sm_alloc_zero((size_t)n + 4 * pairs, sizeof *work);
    double *sums = sm_alloc(2 * (PRINT_WAVE + 1), sizeof *sums);
    int err = work && sums ? dsp_fft_new(n, &fft) : SM_ENOMEM;
    *out = 0;
    if (err == 0) {
        float *fa = work + n, *fb = fa + 2 * pairs;
        memcpy(work, a, PRINT_WAVE * sizeof *a);
        dsp_fft_forward(fft, work, fa);
        memcpy(work, b, PRINT_WAVE * sizeof *b);
        dsp_fft_forward(fft, work, fb);
        for (size_t i = 0; i < 2 * pairs; i += 2) { /* a times the conjugate of b */
            const float re = fa[i] * fb[i] + fa[i + 1] * fb[i + 1], im = fa[i + 1] * fb[i] - fa[i] * fb[i + 1];
            fa[i] = re;
            fa[i + 1] = im;
        }
        dsp_fft_inverse(fft, fa, work);
        energies(a, sums);
        energies(b, sums + PRINT_WAVE + 1);
        *out = best_lag(work, n, sums, sums + PRINT_WAVE + 1);
    }
    dsp_fft_free(fft);
    sm_free(work);
    sm_free(sums);
    return err;
}
