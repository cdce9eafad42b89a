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

int print_correlation(const float a[PRINT_WAVE], const float b[PRINT_WAVE], double *out)
{
    enum { MOST_LAG = 512 };
    dsp_correlation c;
    const int err = dsp_correlate(a, PRINT_WAVE, b, PRINT_WAVE, MOST_LAG, false, &c);
    *out = fabs(c.correlation);
    return err;
}
