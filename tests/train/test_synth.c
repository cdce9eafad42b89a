/* Sounds of our own making: every recipe over many seeds, and whether what is said of a sound is true of its samples. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "dsp/dsp.h"
#include "models/model.h"
#include "train/synth.h"

enum { RATE = 44100, SEEDS = 12 };

static void every_sound_is_whole(void **state)
{
    size_t n = 0;
    const sm_synth_recipe *r = sm_synth_recipes(&n);
    (void)state;
    assert_true(n >= 30);
    for (size_t i = 0; i < n; i++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            sm_floats x = { 0 };
            sm_synth_facts facts;
            float peak = 0;
            test_ok(sm_synth_make(i, seed, RATE, &x, &facts));
            for (size_t k = 0; k < x.length; k++) {
                if (!isfinite(x.data[k]))
                    fail_msg("%s, seed %d: sample %zu is not a number", r[i].name, (int)seed, k);
                peak = fmaxf(peak, fabsf(x.data[k]));
            }
            if (fabsf(peak - 0.89f) > 1e-3f || (double)x.length > (sm_label_most_s(r[i].label) + 1e-3) * RATE ||
                x.length < RATE / 100) /* 10 ms: the shortest clicks that drum machines have */
                fail_msg("%s, seed %d: peak %g, %zu samples", r[i].name, (int)seed, (double)peak, x.length);
            assert_true(facts.attack_s >= 0 && facts.decay_s >= 0 && facts.brightness_hz >= 0 && facts.pitch_hz >= 0);
            sm_floats_free(&x);
        }
}

static void every_class_has_a_recipe(void **state)
{
    size_t n = 0;
    const sm_synth_recipe *r = sm_synth_recipes(&n);
    (void)state;
    for (int c = 0; c < SM_INSTRUMENTS; c++) {
        size_t found = 0;
        for (size_t i = 0; i < n; i++)
            found += !strcmp(r[i].label, sm_instruments[c]);
        if (found == 0)
            fail_msg("no recipe makes a %s", sm_instruments[c]);
    }
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(r[i - 1].label, r[i].label) <= 0);
}

static void a_seed_is_a_sound(void **state)
{
    size_t n = 0;
    (void)state;
    sm_synth_recipes(&n);
    for (size_t i = 0; i < n; i++) {
        sm_floats a = { 0 }, b = { 0 }, c = { 0 };
        test_ok(sm_synth_make(i, 7, RATE, &a, NULL));
        test_ok(sm_synth_make(i, 7, RATE, &b, NULL));
        test_ok(sm_synth_make(i, 8, RATE, &c, NULL));
        assert_int_equal(a.length, b.length);
        assert_memory_equal(a.data, b.data, a.length * sizeof *a.data);
        assert_true(a.length != c.length || memcmp(a.data, c.data, a.length * sizeof *a.data) != 0);
        sm_floats_free(&a), sm_floats_free(&b), sm_floats_free(&c);
    }
}

/* The pitch that is told is the pitch that YIN hears, of recipes that are one steady tone. */
static void the_pitch_that_is_told_is_heard(void **state)
{
    static const char *const steady[] = { "pure waveform", "flute", "reed", "pluck", "FM bass", "bowed strings" };
    size_t n = 0, heard = 0, asked = 0;
    const sm_synth_recipe *r = sm_synth_recipes(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        bool wanted = false;
        for (size_t k = 0; k < SM_LENGTH(steady); k++)
            wanted = wanted || !strcmp(r[i].name, steady[k]);
        for (uint64_t seed = 0; wanted && seed < SEEDS; seed++) {
            sm_floats x = { 0 }, hz = { 0 }, sure = { 0 };
            sm_synth_facts facts;
            double best = 1e9;
            test_ok(sm_synth_make(i, seed, RATE, &x, &facts));
            test_ok(dsp_yin_track(x.data, x.length, RATE, 20, 3000, 441, &hz, &sure));
            for (size_t k = 0; k < hz.length; k++)
                if (hz.data[k] > 0)
                    best = fmin(best, fabs(12 * log2((double)hz.data[k] / facts.pitch_hz)));
            asked++;
            heard += best < 0.3;
            sm_floats_free(&x), sm_floats_free(&hz), sm_floats_free(&sure);
        }
    }
    assert_true(asked >= 60);
    /* YIN itself takes an octave now and then (FM with a ratio of one half has its fundamental an octave below) */
    if ((double)heard < 0.9 * (double)asked)
        fail_msg("%zu of %zu pitches are heard as they are told", heard, asked);
}

static void trimming_does_what_the_corpus_went_through(void **state)
{
    float x[4000] = { 0 };
    (void)state;
    for (int k = 1000; k < 3000; k++)
        x[k] = 0.5f;
    x[500] = 0.0024f;  /* 46.4 dB below the peak: silence */
    x[3500] = 0.0005f; /* 60 dB below: still the sound's end */
    assert_int_equal(sm_sound_trim(x, 4000, 1000, 10), 2501);
    assert_float_equal(x[0], 0.89, 1e-6);
    assert_float_equal(x[2500], 0.00089, 1e-6);
    for (int k = 0; k < 4000; k++)
        x[k] = 1;
    assert_int_equal(sm_sound_trim(x, 4000, 1000, 2), 2000);
    assert_float_equal(x[1949], 0.89, 1e-6);
    assert_float_equal(x[1999], 0, 1e-6); /* the end of a fade of 50 ms */
    memset(x, 0, sizeof x);
    assert_int_equal(sm_sound_trim(x, 4000, 1000, 2), 0);
}

static void wrong_requests_are_refused(void **state)
{
    sm_floats x = { 0 };
    (void)state;
    test_fails(sm_synth_make(10000, 0, RATE, &x, NULL), SM_EUSAGE, "no recipe 10000");
    test_fails(sm_synth_make(0, 0, 4000, &x, NULL), SM_EUSAGE, "4000 Hz");
    assert_int_equal(x.length, 0);
}

static void general_midi_programs_have_our_classes(void **state)
{
    (void)state;
    assert_string_equal(sm_gm_program_label(0), "keys");
    assert_string_equal(sm_gm_program_label(56), "brass");
    assert_null(sm_gm_program_label(128));
    assert_string_equal(sm_gm_drum_label(36), "kick");
    assert_string_equal(sm_gm_drum_label(42), "hihat-closed");
    assert_null(sm_gm_drum_label(5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sound_is_whole),
        cmocka_unit_test(every_class_has_a_recipe),
        cmocka_unit_test(a_seed_is_a_sound),
        cmocka_unit_test(the_pitch_that_is_told_is_heard),
        cmocka_unit_test(trimming_does_what_the_corpus_went_through),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(general_midi_programs_have_our_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
