#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/parts.h"

static dsp_pitch measure(const float *x, size_t n, size_t piece)
{
    dsp_pitch out;
    dsp_pitch_state *p;
    test_ok(dsp_pitch_new(&p));
    for (size_t at = 0; at < n; at += piece)
        test_ok(dsp_pitch_push(p, x + at, SM_MIN(piece, n - at)));
    test_ok(dsp_pitch_finish(p, &out));
    dsp_pitch_free(p);
    return out;
}

/* Sum of harmonics first..last of hz below 16 kHz with amplitude k^-slope, plus noise. */
static float *tone(double hz, int first, int last, double slope, double noise, double seconds)
{
    const size_t n = (size_t)(seconds * DSP_RATE);
    float *x = malloc((n + 1) * sizeof *x);
    const uint64_t h = sm_unit_hash("tone", 1);
    for (size_t i = 0; i < n; i++) {
        double y = noise * sm_unit(h, i);
        for (int k = first; k <= last && k * hz < 16000; k++)
            y += 0.2 * pow(k, -slope) * sin(2 * M_PI * k * hz * (double)i / DSP_RATE + k);
        x[i] = (float)y;
    }
    return x;
}

static double cents(double a, double b)
{
    return 1200 * log2(a / b);
}

/* what, harmonics, their slope, noise, seconds, lowest and highest hz */
static const struct {
    const char *what;
    int first, last;
    double slope, noise, seconds, low, high;
} kinds[] = {
    { "sine", 1, 1, 0, 0, 1, 28, 4200 },
    { "saw", 1, 1000, 1, 0, 1, 28, 4200 },
    { "saw, 12 dB above noise", 1, 1000, 1, 0.05, 1, 40, 2000 },
    { "missing fundamental", 2, 6, 0, 0, 1, 60, 1000 },
    { "odd harmonics", 1, 1, 1, 0, 0.3, 60, 2000 },
    { "impulses", 1, 40, 0, 0, 0.5, 40, 1000 },
    { "50 ms", 1, 8, 1, 0, 0.05, 100, 3000 },
    { "20 ms", 1, 8, 1, 0, 0.02, 250, 3000 },
};

static void periodic_sounds_have_their_pitch_within_5_cents(void **state)
{
    (void)state;
    for (size_t k = 0; k < SM_LENGTH(kinds); k++)
        for (double hz = kinds[k].low; hz < kinds[k].high; hz *= 1.31) {
            float *x = tone(hz, kinds[k].first, kinds[k].last, kinds[k].slope, kinds[k].noise, kinds[k].seconds);
            const dsp_pitch p = measure(x, (size_t)(kinds[k].seconds * DSP_RATE), 4096);
            if (!(fabs(cents(p.pitch_hz, hz)) < 5))
                fail_msg("%s, %.2f Hz: %.3f Hz (%.1f cents), confidence %.3f", kinds[k].what, hz, p.pitch_hz,
                         cents(p.pitch_hz, hz), p.confidence);
            free(x);
        }
}

/* The first frame is whole only when the interpolation's taps behind it have come: lengths on both sides of that. */
static void lengths_just_beside_a_frame_have_their_pitch(void **state)
{
    (void)state;
    float *x = tone(440, 1, 8, 1, 0, 0.2);
    for (size_t n = 4080; n < 4128; n++) {
        const dsp_pitch p = measure(x, n, n);
        if (!(fabs(cents(p.pitch_hz, 440)) < 5))
            fail_msg("%zu samples: %.3f Hz", n, p.pitch_hz);
    }
    free(x);
}

static void a_440_hz_sine_is_a4_exactly(void **state)
{
    (void)state;
    char name[8];
    float *x = tone(440, 1, 1, 0, 0, 2);
    const dsp_pitch p = measure(x, 2 * DSP_RATE, 4096);
    dsp_note_text(p.note_midi, name);
    assert_string_equal(name, "A4");
    assert_float_equal(p.pitch_hz, 440, 0.05);
    assert_float_equal(p.note_cents, 0, 0.2);
    assert_true(p.confidence > 0.99 && p.note_confidence > 0.99 && p.salience > 0.99);
    assert_float_equal(p.pitch_min_hz, 440, 0.2);
    assert_float_equal(p.pitch_max_hz, 440, 0.2);
    free(x);
}

static void noise_clicks_and_silence_have_none(void **state)
{
    (void)state;
    static float x[DSP_RATE];
    for (int k = 0; k < 4; k++) {
        memset(x, 0, sizeof x);
        if (k == 1)
            test_fill(x, DSP_RATE, "noise", 3, 0, 0.5);
        if (k == 2) /* a snare-like burst */
            for (int i = 0; i < DSP_RATE; i++)
                x[i] = (float)(sm_unit(sm_unit_hash("burst", 1), (uint64_t)i) * exp(-i / 3000.0));
        if (k == 3)
            x[0] = x[5000] = x[23456] = 1; /* clicks without a period */
        const dsp_pitch p = measure(x, DSP_RATE, 4096);
        if (!isnan(p.pitch_hz) || p.note_midi != -1 || !(p.confidence < 0.5))
            fail_msg("case %d: %g Hz, confidence %g", k, p.pitch_hz, p.confidence);
    }
    const dsp_pitch none = measure(x, 0, 1);
    assert_true(isnan(none.pitch_hz) && none.confidence == 0 && isnan(none.note_confidence));
    assert_true(isnan(measure(x, 100, 1).pitch_hz));
}

/* An 808: a sine that falls from 160 to 49 Hz (G1) within 60 ms and then rings. */
static void a_long_808_has_the_pitch_of_its_tail(void **state)
{
    (void)state;
    static float x[DSP_RATE];
    double phase = 0;
    for (int i = 0; i < DSP_RATE; i++) {
        const double t = (double)i / DSP_RATE, hz = 49 + 111 * exp(-t / 0.02);
        phase += 2 * M_PI * hz / DSP_RATE;
        x[i] = (float)(0.9 * sin(phase) * exp(-t / 0.4));
    }
    const dsp_pitch p = measure(x, DSP_RATE, 4096);
    assert_float_equal(cents(p.pitch_hz, 49), 0, 10);
    assert_int_equal(p.note_midi, 31);
}

/* Vibrato of half a semitone, and a glide of an octave. */
static void moving_pitches_give_their_middle_and_their_range(void **state)
{
    (void)state;
    static float x[2 * DSP_RATE];
    double phase = 0;
    for (int i = 0; i < 2 * DSP_RATE; i++) {
        phase += 2 * M_PI * 220 * pow(2, 0.5 / 12 * sin(2 * M_PI * 5 * i / (double)DSP_RATE)) / DSP_RATE;
        x[i] = (float)(0.5 * sin(phase) + 0.2 * sin(2 * phase));
    }
    dsp_pitch p = measure(x, 2 * DSP_RATE, 4096);
    assert_float_equal(cents(p.pitch_hz, 220), 0, 15);
    assert_true(p.pitch_min_hz < 217 && p.pitch_min_hz > 212 && p.pitch_max_hz > 223 && p.pitch_max_hz < 228);
    phase = 0;
    for (int i = 0; i < 2 * DSP_RATE; i++) {
        phase += 2 * M_PI * 220 * pow(2, (double)i / (2 * DSP_RATE)) / DSP_RATE;
        x[i] = (float)(0.5 * sin(phase) + 0.2 * sin(2 * phase));
    }
    p = measure(x, 2 * DSP_RATE, 4096);
    assert_true(isnan(p.pitch_hz) || (p.note_confidence < 0.5 && p.pitch_max_hz > 1.7 * p.pitch_min_hz));
}

static void pieces_of_any_size_give_the_same_numbers(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 7, 4096 };
    float *x = tone(123, 1, 20, 1, 0.05, 0.5);
    for (size_t n = 2000; n < 20000; n += 8111) {
        const dsp_pitch whole = measure(x, n, n);
        for (size_t k = 0; k < SM_LENGTH(pieces); k++) {
            const dsp_pitch cut = measure(x, n, pieces[k]);
            assert_true(cut.pitch_hz == whole.pitch_hz && cut.confidence == whole.confidence);
            assert_true(cut.salience == whole.salience && cut.pitch_min_hz == whole.pitch_min_hz);
        }
    }
    free(x);
}

static void the_track_follows_a_melody_at_any_rate(void **state)
{
    (void)state;
    static const int rates[] = { 8000, 16000, 44100, 48000 };
    for (size_t r = 0; r < SM_LENGTH(rates); r++) {
        const int rate = rates[r], hop = rate / 100;
        const size_t n = (size_t)rate;
        float *x = malloc(n * sizeof *x);
        for (size_t i = 0; i < n; i++)
            x[i] = (float)(0.5 * sin(2 * M_PI * (i < n / 2 ? 200 : 300) * (double)i / rate));
        sm_floats hz = { 0 }, confidence = { 0 };
        test_ok(dsp_yin_track(x, n, rate, 60, 2000, hop, &hz, &confidence));
        assert_int_equal(hz.length, 101);
        assert_int_equal(confidence.length, 101);
        for (size_t t = 4; t < 97; t++)
            if (t < 46 || t > 54)
                if (!(fabs(cents(hz.data[t], t < 50 ? 200 : 300)) < 5))
                    fail_msg("%d Hz, frame %zu: %g Hz", rate, t, hz.data[t]);
        sm_floats_free(&hz);
        sm_floats_free(&confidence);
        free(x);
    }
}

static void senseless_tracks_are_refused(void **state)
{
    (void)state;
    sm_floats hz = { 0 }, confidence = { 0 };
    float x[10] = { 0 };
    test_fails(dsp_yin_track(x, 10, 44100, 100, 50, 100, &hz, &confidence), SM_EUSAGE, "100 to 50");
    test_fails(dsp_yin_track(x, 10, 44100, 50, 30000, 100, &hz, &confidence), SM_EUSAGE, "30000");
    test_fails(dsp_yin_track(x, 10, 44100, 50, 500, 0, &hz, &confidence), SM_EUSAGE, "every 0");
    test_fails(dsp_yin_track(x, 10, 44100, (double)NAN, 500, 9, &hz, &confidence), SM_EUSAGE, "nan");
}

static void notes_have_their_names(void **state)
{
    (void)state;
    static const struct {
        int midi;
        const char *text;
    } rows[] = { { 69, "A4" }, { 60, "C4" }, { 0, "C-1" }, { 127, "G9" }, { 46, "A#2" }, { -1, "" } };
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        char name[8];
        dsp_note_text(rows[i].midi, name);
        assert_string_equal(name, rows[i].text);
    }
}

static int whole_run(void *user)
{
    dsp_pitch out;
    dsp_pitch_state *p;
    sm_floats hz = { 0 }, confidence = { 0 };
    int err = dsp_pitch_new(&p);
    if (err == 0)
        err = dsp_pitch_push(p, user, 3000);
    if (err == 0)
        err = dsp_pitch_finish(p, &out);
    dsp_pitch_free(p);
    if (err == 0)
        err = dsp_yin_track(user, 3000, DSP_RATE, 100, 1000, 500, &hz, &confidence);
    sm_floats_free(&hz);
    sm_floats_free(&confidence);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    float *x = tone(300, 1, 3, 1, 0, 0.1);
    test_every_allocation_may_fail(whole_run, x);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(periodic_sounds_have_their_pitch_within_5_cents),
        cmocka_unit_test(lengths_just_beside_a_frame_have_their_pitch),
        cmocka_unit_test(a_440_hz_sine_is_a4_exactly),
        cmocka_unit_test(noise_clicks_and_silence_have_none),
        cmocka_unit_test(a_long_808_has_the_pitch_of_its_tail),
        cmocka_unit_test(moving_pitches_give_their_middle_and_their_range),
        cmocka_unit_test(pieces_of_any_size_give_the_same_numbers),
        cmocka_unit_test(the_track_follows_a_melody_at_any_rate),
        cmocka_unit_test(senseless_tracks_are_refused),
        cmocka_unit_test(notes_have_their_names),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
