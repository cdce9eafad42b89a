#include "support/support.h"

#include <ebur128.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/parts.h"

static dsp_levels measure(const float *x, size_t frames, int rate, int channels, size_t piece)
{
    dsp_levels out;
    dsp_levels_state *s;
    test_ok(dsp_levels_new(rate, channels, &s));
    for (size_t at = 0; at < frames; at += piece)
        test_ok(dsp_levels_push(s, x + at * channels, SM_MIN(piece, frames - at)));
    test_ok(dsp_levels_finish(s, &out));
    dsp_levels_free(s);
    return out;
}

/* the same sine in the channels of `mask` */
static float *sine(double hz, double amplitude, int rate, double seconds, int channels, unsigned mask)
{
    const size_t n = (size_t)(seconds * rate);
    float *x = calloc(n * channels + 1, sizeof *x);
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < channels; c++)
            if (mask & (1u << c))
                x[i * channels + c] = (float)(amplitude * sin(2 * M_PI * hz * (double)i / rate));
    return x;
}

/* BS.1770-4: a 997 Hz sine at 0 dBFS in one front channel is -3.01 LKFS; in both +3.01 more; from the side 1.5 more;
 * nothing from the LFE. 0.05 LU: the meter's own tolerance is 0.1. */
static const struct {
    int channels;
    unsigned mask;
    int rate;
    double lufs;
} sines[] = {
    { 1, 1, 48000, -3.01 },  { 1, 1, 44100, -3.01 },         { 1, 1, 96000, -3.01 },
    { 1, 1, 8000, -3.01 },   { 2, 1, 48000, -3.01 },         { 2, 3, 48000, 0 },
    { 6, 4, 48000, -3.01 },  { 6, 16, 48000, -3.01 + 1.49 }, { 6, 8, 48000, NAN },
    { 8, 16, 48000, -3.01 }, { 8, 64, 48000, -3.01 + 1.49 }, { 7, 16, 48000, -3.01 },
    { 3, 4, 48000, -3.01 },  { 4, 8, 48000, -3.01 + 1.49 },  { 5, 8, 48000, -3.01 + 1.49 },
};

static void a_full_scale_sine_has_the_loudness_of_the_standard(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(sines); i++) {
        float *x = sine(997, 1, sines[i].rate, 5, sines[i].channels, sines[i].mask);
        const dsp_levels l = measure(x, (size_t)sines[i].rate * 5, sines[i].rate, sines[i].channels, 4096);
        if (isnan(sines[i].lufs) ? !isnan(l.loudness_lufs) : !(fabs(l.loudness_lufs - sines[i].lufs) < 0.05))
            fail_msg("row %zu: %g LUFS, %g expected", i, l.loudness_lufs, sines[i].lufs);
        free(x);
    }
}

static void a_sine_has_closed_form_peaks_and_rms(void **state)
{
    (void)state;
    float *x = sine(1000, 0.5, 48000, 4, 1, 1);
    const dsp_levels l = measure(x, 48000 * 4, 48000, 1, 999);
    assert_float_equal(l.sample_peak_dbfs, -6.0206, 1e-3);
    assert_float_equal(l.true_peak_dbtp, -6.0206, 0.02);
    assert_float_equal(l.rms_dbfs, -9.0309, 1e-3);
    assert_float_equal(l.dynamic_range_db, 3.0103, 1e-3);
    assert_float_equal(l.dc_offset, 0, 1e-6);
    assert_float_equal(l.silence_ratio, 0, 0);
    assert_float_equal(l.duration_effective_s, 4, 1e-3);
    assert_float_equal(l.loudness_range_lu, 0, 0.05);
    assert_int_equal(l.clipped_samples, 0);
    free(x);
}

/* fs/4 at 45 degrees: every sample is 3.01 dB below the wave's top (the case that true peak was made for). */
static void true_peak_sees_between_the_samples(void **state)
{
    (void)state;
    static const int rates[] = { 44100, 48000, 96000 };
    for (size_t r = 0; r < SM_LENGTH(rates); r++) {
        float x[4800];
        for (int i = 0; i < 4800; i++)
            x[i] = (float)sin(M_PI / 2 * i + M_PI / 4) * (float)(0.5 - 0.5 * cos(2 * M_PI * i / 4800));
        const dsp_levels l = measure(x, 4800, rates[r], 1, 4096);
        assert_float_equal(l.sample_peak_dbfs, -3.0103, 0.001);
        assert_float_equal(l.true_peak_dbtp, 0, 0.15); /* the standard's own filter: -0.15 at fs/4 */
    }
}

static void true_peak_agrees_with_libebur128(void **state)
{
    (void)state;
    float x[2 * 9000];
    for (uint64_t seed = 0; seed < 5; seed++) {
        double ours, theirs = 0, channel;
        test_fill(x, 2 * 9000, "peak", seed, 0, 0.8);
        ebur128_state *e = ebur128_init(2, 44100, EBUR128_MODE_TRUE_PEAK);
        ebur128_add_frames_float(e, x, 9000);
        float zeros[200] = { 0 };
        ebur128_add_frames_float(e, zeros, 100);
        for (unsigned c = 0; c < 2; c++) {
            ebur128_true_peak(e, c, &channel);
            theirs = fmax(theirs, channel);
        }
        ebur128_destroy(&e);
        ours = measure(x, 9000, 44100, 2, 4096).true_peak_dbtp;
        assert_float_equal(ours, 20 * log10(theirs), 0.01);
    }
}

/* A sound below 400 ms is measured with silence behind it: appending silence changes nothing, half the length is -3 LU. */
static void short_sounds_have_the_loudness_of_one_block(void **state)
{
    (void)state;
    float *x = sine(997, 1, 48000, 1, 1, 1);
    memset(x + 9600, 0, 38400 * sizeof *x);
    const double alone = measure(x, 9600, 48000, 1, 4096).loudness_lufs;
    assert_float_equal(alone, -3.01 - 3.01, 0.1);
    assert_float_equal(measure(x, 19000, 48000, 1, 4096).loudness_lufs, alone, 0.02);
    assert_true(isfinite(measure(x, 20, 48000, 1, 4096).loudness_lufs));
    free(x);
    /* at any rate, also where a tenth of a second is no whole number of frames */
    static const int rates[] = { 8000, 11025, 12345, 16000, 22050, 32000, 44100, 88200, 96000, 192000 };
    for (size_t i = 0; i < SM_LENGTH(rates); i++) {
        x = sine(997, 1, rates[i], 0.2, 1, 1);
        const double short_one = measure(x, (size_t)rates[i] / 5, rates[i], 1, 4096).loudness_lufs;
        assert_true(fabs(short_one - alone) < 0.15); /* the weighting filter's own design moves with the rate */
        free(x);
    }
}

static void silence_and_nothing_have_no_levels(void **state)
{
    (void)state;
    float x[48000] = { 0 };
    for (int k = 0; k < 2; k++) {
        const dsp_levels l = measure(x, k ? 48000 : 0, 48000, 1, 4096);
        assert_true(isnan(l.loudness_lufs) && isnan(l.true_peak_dbtp) && isnan(l.sample_peak_dbfs) &&
                    isnan(l.rms_dbfs));
        assert_true(isnan(l.dynamic_range_db) && isnan(l.start_time_s) && isnan(l.duration_effective_s));
        assert_true(k ? l.silence_ratio == 1 : isnan(l.silence_ratio));
    }
}

static void only_runs_of_three_at_full_scale_are_clipped(void **state)
{
    (void)state;
    static const float values[] = { 1, 1, 0, -1, -1, -1, 0.5f, 1.2f, 1, 1, 1, 0, 32767 / 32768.f, 1, 1, 0.9999f };
    float x[2 * SM_LENGTH(values)];
    assert_int_equal(measure(values, SM_LENGTH(values), 44100, 1, 4096).clipped_samples, 3 + 4 + 3);
    assert_int_equal(measure(values, SM_LENGTH(values), 44100, 1, 1).clipped_samples, 3 + 4 + 3);
    for (size_t i = 0; i < SM_LENGTH(values); i++) {
        x[2 * i] = values[i];
        x[2 * i + 1] = 0.1f;
    }
    assert_int_equal(measure(x, SM_LENGTH(values), 44100, 2, 2).clipped_samples, 3 + 4 + 3);
}

static void start_end_silence_and_offset_are_found(void **state)
{
    (void)state;
    float *x = sine(1000, 0.5, 48000, 4, 2, 2);
    memset(x, 0, 2 * 48000 * sizeof *x);                 /* 1 s of silence */
    memset(x + 2 * 3 * 48000, 0, 2 * 48000 * sizeof *x); /* and at the end */
    for (size_t i = 0; i < 48000 * 4; i++)
        x[2 * i] += 0.0005f; /* offset below the silence threshold, in the left channel */
    const dsp_levels l = measure(x, 48000 * 4, 48000, 2, 1000);
    assert_float_equal(l.start_time_s, 1, 0.001);
    assert_float_equal(l.duration_effective_s, 2, 0.001);
    assert_float_equal(l.silence_ratio, 0.5, 0.01);
    assert_float_equal(l.dc_offset, 0.0005, 1e-5);
    free(x);
}

static void a_quieter_passage_shows_in_the_loudness_range(void **state)
{
    (void)state; /* EBU Tech 3342 test 1: 20 s at -20, 20 s at -30 dBFS: 10 LU +- 1 */
    float *x = sine(1000, 0.1, 48000, 40, 2, 3);
    for (size_t i = 2 * 20 * 48000; i < 2 * 40 * 48000; i++)
        x[i] *= 0.31623f;
    const dsp_levels l = measure(x, 40 * 48000, 48000, 2, 4096);
    assert_float_equal(l.loudness_range_lu, 10, 1);
    free(x);
}

static void pieces_of_any_size_give_the_same_numbers(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 7, 4096 };
    float *x = malloc(sizeof *x * 3 * 50000);
    test_fill(x, 3 * 50000, "levels", 1, 0.01, 0.9);
    const dsp_levels whole = measure(x, 50000, 44100, 3, 50000);
    for (size_t p = 0; p < SM_LENGTH(pieces); p++) {
        const dsp_levels cut = measure(x, 50000, 44100, 3, pieces[p]);
        assert_float_equal(cut.loudness_lufs, whole.loudness_lufs, 1e-9);
        assert_true(cut.true_peak_dbtp == whole.true_peak_dbtp && cut.rms_dbfs == whole.rms_dbfs &&
                    cut.dc_offset == whole.dc_offset);
        assert_true(cut.dynamic_range_db == whole.dynamic_range_db && cut.silence_ratio == whole.silence_ratio);
    }
    free(x);
}

static void senseless_formats_are_refused(void **state)
{
    (void)state;
    dsp_levels_state *s;
    test_fails(dsp_levels_new(44100, 9, &s), SM_EUSAGE, "9 channels");
    test_fails(dsp_levels_new(0, 1, &s), SM_EUSAGE, "0 Hz");
    assert_null(s);
}

static int whole_run(void *user)
{
    dsp_levels out;
    dsp_levels_state *s;
    int err = dsp_levels_new(8000, 1, &s);
    if (err == 0)
        err = dsp_levels_push(s, user, 30000);
    if (err == 0)
        err = dsp_levels_finish(s, &out);
    dsp_levels_free(s);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    float *x = sine(500, 0.5, 8000, 4, 1, 1);
    test_every_allocation_may_fail(whole_run, x);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_scale_sine_has_the_loudness_of_the_standard),
        cmocka_unit_test(a_sine_has_closed_form_peaks_and_rms),
        cmocka_unit_test(true_peak_sees_between_the_samples),
        cmocka_unit_test(true_peak_agrees_with_libebur128),
        cmocka_unit_test(short_sounds_have_the_loudness_of_one_block),
        cmocka_unit_test(silence_and_nothing_have_no_levels),
        cmocka_unit_test(only_runs_of_three_at_full_scale_are_clipped),
        cmocka_unit_test(start_end_silence_and_offset_are_found),
        cmocka_unit_test(a_quieter_passage_shows_in_the_loudness_range),
        cmocka_unit_test(pieces_of_any_size_give_the_same_numbers),
        cmocka_unit_test(senseless_formats_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
