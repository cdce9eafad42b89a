#include "support/support.h"

#include "dsp/parts.h"
#include "dsp/sounds.h"

static dsp_spectral measure(const float *x, size_t n, size_t piece)
{
    dsp_spectral out;
    double *times;
    size_t count;
    dsp_envelope *e;
    dsp_onsets *o;
    dsp_spectrum *s;
    test_ok(dsp_envelope_new(&e));
    test_ok(dsp_onsets_new(e, DSP_SPECTRUM_FRAME, DSP_SPECTRUM_HOP, &o));
    test_ok(dsp_spectrum_new(o, &s));
    for (size_t at = 0; at < n; at += piece)
        test_ok(dsp_spectrum_push(s, x + at, SM_MIN(piece, n - at)));
    test_ok(dsp_spectrum_finish(s, &out));
    test_ok(dsp_onsets_finish(o, (double)n / DSP_RATE, &times, &count));
    sm_free(times);
    dsp_spectrum_free(s);
    dsp_onsets_free(o);
    dsp_envelope_free(e);
    return out;
}

static void a_sine_lies_where_it_lies(void **state)
{
    (void)state;
    static const double hz[] = { 100, 440, 1000, 5000, 15000 };
    for (size_t k = 0; k < SM_LENGTH(hz); k++) {
        size_t n;
        float *x = sound_new(1, &n);
        add_tone(x, n, 0, hz[k], hz[k], 1, 1e9, 0, 0.5);
        const dsp_spectral s = measure(x, n, 4096);
        assert_float_equal(s.centroid_hz, hz[k], 10 + hz[k] * 0.01); /* the ends of the file cut the wave */
        assert_float_equal(s.rolloff_hz, hz[k], 44);                 /* two bins */
        assert_float_equal(s.crossing_rate, 2 * hz[k] / DSP_RATE, 0.002);
        assert_true(s.flatness < 0.001 && s.entropy < 0.25);
        free(x);
    }
}

/* White noise is flat up to 22,050 Hz: centroid half of it, spread its width / sqrt(12), 85 % below 18,743 Hz; the power in a bin
 * is exponential, so flatness is exp(-0.5772) = 0.561; entropy is 1 - (1 - 0.5772) / ln 1024 = 0.939. */
static void white_noise_has_the_numbers_of_a_flat_spectrum(void **state)
{
    (void)state;
    size_t n;
    float *x = sound_new(3, &n);
    add_noise(x, n, 0, 1e9, false, 0.5);
    const dsp_spectral s = measure(x, n, 4096);
    assert_float_equal(s.centroid_hz, 11025, 110);
    assert_float_equal(s.spread_hz, 22050 / sqrt(12), 110);
    assert_float_equal(s.rolloff_hz, 0.85 * 22050, 200);
    assert_float_equal(s.flatness, 0.561, 0.01);
    assert_float_equal(s.entropy, 0.939, 0.005);
    assert_float_equal(s.crossing_rate, 0.5, 0.01);
    free(x);
}

static void descriptors_do_not_depend_on_level_or_silence_around(void **state)
{
    (void)state;
    size_t n, m;
    float *x = snare(&n), *y = sound_new(2, &m);
    for (size_t i = 0; i < n; i++)
        y[i + 44100] = 0.2f * x[i];
    const dsp_spectral a = measure(x, n, 4096), b = measure(y, m, 4096);
    assert_float_equal(b.centroid_hz / a.centroid_hz, 1, 0.03);
    assert_float_equal(b.rolloff_hz / a.rolloff_hz, 1, 0.03);
    assert_float_equal(b.entropy, a.entropy, 0.01);
    free(x), free(y);
}

static void an_offset_is_no_sound(void **state)
{
    (void)state;
    size_t n;
    float *x = sound_new(1, &n);
    add_tone(x, n, 0, 1000, 1000, 1, 1e9, 0, 0.5);
    for (size_t i = 0; i < n; i++)
        x[i] += 0.01f;
    assert_float_equal(measure(x, n, 4096).centroid_hz, 1000, 25);
    free(x);
}

static void the_bass_is_as_long_as_it_sounds(void **state)
{
    (void)state;
    size_t n;
    float *x = kick(&n);
    const double brief = measure(x, n, 4096).low_length_s;
    free(x);
    x = deep_808(&n);
    const double lasting = measure(x, n, 4096).low_length_s; /* power falls with 0.3 s: (sum e)^2 / sum e^2 = 0.6 s */
    assert_float_equal(lasting, 0.6, 0.06);
    assert_float_equal(brief, 0.08, 0.04);
    free(x);
}

static void silence_and_nothing_have_no_spectrum(void **state)
{
    (void)state;
    size_t n;
    float *x = sound_new(0.3, &n);
    for (int k = 0; k < 2; k++) {
        const dsp_spectral s = measure(x, k ? n : 0, 4096);
        assert_true(isnan(s.centroid_hz) && isnan(s.flatness) && isnan(s.crossing_rate) && isnan(s.attack_centroid_hz));
    }
    free(x);
}

static void pieces_of_any_size_give_the_same_numbers(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 7, 4096 };
    size_t n;
    float *x = snare(&n);
    const dsp_spectral whole = measure(x, n, n);
    for (size_t p = 0; p < SM_LENGTH(pieces); p++) {
        const dsp_spectral cut = measure(x, n, pieces[p]);
        assert_memory_equal(&cut, &whole, sizeof cut);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sine_lies_where_it_lies),
        cmocka_unit_test(white_noise_has_the_numbers_of_a_flat_spectrum),
        cmocka_unit_test(descriptors_do_not_depend_on_level_or_silence_around),
        cmocka_unit_test(an_offset_is_no_sound),
        cmocka_unit_test(the_bass_is_as_long_as_it_sounds),
        cmocka_unit_test(silence_and_nothing_have_no_spectrum),
        cmocka_unit_test(pieces_of_any_size_give_the_same_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
