#include "support/support.h"

#include <math.h>
#include <string.h>

#include "dsp/dsp.h"
#include "support/music.h"

static const int natural_minor[8] = { 0, 2, 3, 5, 7, 8, 10, 12 }, harmonic_minor[8] = { 0, 2, 3, 5, 7, 8, 11, 12 };
static const int major[8] = { 0, 2, 4, 5, 7, 9, 11, 12 };

static dsp_key key_of(const float *x, size_t n, size_t cut)
{
    dsp_key_state *k = NULL;
    dsp_key key;
    test_ok(dsp_key_new(NULL, &k));
    for (size_t at = 0; at < n; at += cut)
        test_ok(dsp_key_push(k, x + at, SM_MIN(cut, n - at)));
    test_ok(dsp_key_finish(k, &key));
    dsp_key_free(k);
    return key;
}

static void expect_key(const float *x, size_t n, int tonic, bool minor, const char *what)
{
    const dsp_key k = key_of(x, n, n);
    char name[16];
    if (k.tonic != tonic || k.minor != minor)
        fail_msg("%s on %d: %s, confidence %.2f", what, tonic, dsp_key_text(&k, "musical", name) ? name : "none",
                 k.confidence);
}

/* I IV V I or i iv V i, one second each, three times: the minor one with the major dominant, as musicians play it. */
static void cadence(float *x, size_t n, int tonic, bool minor, double a4_hz)
{
    for (int k = 0; k < 12; k++) {
        static const int root[4] = { 0, 5, 7, 0 };
        music_chord(x, n, k, 60 + tonic + root[k % 4] - (tonic > 6 ? 12 : 0), minor && k % 4 != 2, 1, 0.12f, a4_hz);
    }
}

static void cadences_in_all_24_keys_get_the_key(void **state)
{
    (void)state;
    const size_t n = 12 * MUSIC_RATE;
    float *x = sm_alloc(n, sizeof *x);
    for (int i = 0; i < 24; i++) {
        memset(x, 0, n * sizeof *x);
        cadence(x, n, i % 12, i >= 12, 440);
        expect_key(x, n, i % 12, i >= 12, i >= 12 ? "minor cadence" : "major cadence");
    }
    sm_free(x);
}

static void scale(float *x, size_t n, int tonic, const int *steps)
{
    for (int k = 0; k < 16; k++) /* up and down */
        music_tone(x, n, 0.4 * k, 60 + tonic + steps[k < 8 ? k : 15 - k], 0.4, 0.3f, 440);
}

/* Natural minor has the notes of its relative major: only where it begins and ends tells them apart. */
static void scales_in_all_keys_get_the_key(void **state)
{
    (void)state;
    static const struct {
        const int *steps;
        bool minor;
        const char *name;
    } row[] = { { major, false, "major scale" },
                { harmonic_minor, true, "harmonic minor scale" },
                { natural_minor, true, "natural minor scale" } };
    const size_t n = (size_t)(6.6 * MUSIC_RATE);
    float *x = sm_alloc(n, sizeof *x);
    for (size_t r = 0; r < SM_LENGTH(row); r++)
        for (int tonic = 0; tonic < 12; tonic++) {
            memset(x, 0, n * sizeof *x);
            scale(x, n, tonic, row[r].steps);
            expect_key(x, n, tonic, row[r].minor, row[r].name);
        }
    sm_free(x);
}

static void a_detuned_piece_has_its_key_and_its_tuning(void **state)
{
    (void)state;
    static const double a4[] = { 430, 435, 440, 446, 450 };
    const size_t n = 12 * MUSIC_RATE;
    float *x = sm_alloc(n, sizeof *x);
    for (size_t i = 0; i < SM_LENGTH(a4); i++) {
        memset(x, 0, n * sizeof *x);
        cadence(x, n, 2, true, a4[i]);
        expect_key(x, n, 2, true, "detuned cadence");
        /* partials are read from bins of 1.35 Hz: 1.5 Hz at A4 is 6 cents */
        const double found = key_of(x, n, n).tuning_hz;
        if (!(fabs(found - a4[i]) < 1.5))
            fail_msg("tuned to %.1f, found %.2f", a4[i], found);
    }
    sm_free(x);
}

static void loudness_and_drums_on_top_do_not_change_the_key(void **state)
{
    (void)state;
    const size_t n = 12 * MUSIC_RATE;
    float *x = sm_alloc(n, sizeof *x);
    memset(x, 0, n * sizeof *x);
    cadence(x, n, 9, true, 440);
    music_pattern(x, n, 0, 120, 4, 0, MUSIC_KICK, "x...", 0.5f);
    music_pattern(x, n, 0, 120, 4, 0, MUSIC_SNARE, "....x...", 0.4f);
    music_pattern(x, n, 0, 120, 4, 0, MUSIC_HAT, "x.x.", 0.2f);
    expect_key(x, n, 9, true, "cadence with drums");
    for (size_t i = 0; i < n; i++)
        x[i] *= 1e-3f;
    expect_key(x, n, 9, true, "quiet cadence with drums");
    sm_free(x);
}

static void the_answer_does_not_depend_on_the_cut(void **state)
{
    (void)state;
    static const size_t cuts[] = { 1, 777, 44100, 200001 };
    const size_t n = 5 * MUSIC_RATE + 13;
    float *x = sm_alloc(n, sizeof *x);
    memset(x, 0, n * sizeof *x);
    cadence(x, n, 4, false, 440);
    const dsp_key whole = key_of(x, n, n);
    for (size_t i = 0; i < SM_LENGTH(cuts); i++) {
        const dsp_key k = key_of(x, n, cuts[i]);
        assert_int_equal(k.tonic, whole.tonic);
        assert_true(k.confidence == whole.confidence && k.strength == whole.strength && k.tuning_hz == whole.tuning_hz);
    }
    sm_free(x);
}

static void noise_and_drums_and_silence_have_no_key(void **state)
{
    (void)state;
    const size_t n = 6 * MUSIC_RATE;
    float *x = sm_alloc(n, sizeof *x);
    memset(x, 0, n * sizeof *x);
    assert_int_equal(key_of(x, n, n).tonic, -1);
    assert_int_equal(key_of(x, 0, 1).tonic, -1);
    assert_int_equal(key_of(x, 30, 1).tonic, -1);
    music_pattern(x, n, 0, 120, 4, 0, MUSIC_KICK, "x...x...", 0.5f);
    music_pattern(x, n, 0, 120, 4, 0, MUSIC_SNARE, "....x...", 0.4f);
    music_pattern(x, n, 0, 120, 4, 0, MUSIC_HAT, "x.x.", 0.2f);
    assert_int_equal(key_of(x, n, n).tonic, -1);
    const uint64_t hash = sm_unit_hash("noise", 1);
    for (size_t i = 0; i < n; i++)
        x[i] = 0.1f * (float)sm_unit(hash, i);
    assert_int_equal(key_of(x, n, n).tonic, -1);
    sm_free(x);
}

static void one_lone_tone_has_little_confidence(void **state)
{
    (void)state;
    const size_t n = 3 * MUSIC_RATE;
    float *x = sm_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = 0.1f * sinf((float)(2 * M_PI * 1000 * (double)i / MUSIC_RATE));
    assert_true(key_of(x, n, n).confidence < 0.1);
    memset(x, 0, n * sizeof *x);
    music_tone(x, n, 0, 57, 3, 0.3f, 440);
    assert_true(key_of(x, n, n).confidence < 0.2);
    sm_free(x);
}

/* USERS.md: C major = 8B = 1d, A minor = 8A = 1m; a fifth up is one number up. */
static void keys_have_three_spellings(void **state)
{
    (void)state;
    static const struct {
        int tonic;
        bool minor;
        const char *musical, *camelot, *openkey;
    } row[] = {
        { 0, false, "C major", "8B", "1d" },  { 9, true, "A minor", "8A", "1m" },   { 7, false, "G major", "9B", "2d" },
        { 6, true, "F# minor", "11A", "4m" }, { 5, false, "F major", "7B", "12d" }, { 8, true, "G# minor", "1A", "6m" },
        { 11, false, "B major", "1B", "6d" }, { 3, true, "D# minor", "2A", "7m" },
    };
    char text[16];
    for (size_t i = 0; i < SM_LENGTH(row); i++) {
        const dsp_key k = { .tonic = row[i].tonic, .minor = row[i].minor };
        assert_string_equal(dsp_key_text(&k, "musical", text), row[i].musical);
        assert_string_equal(dsp_key_text(&k, "camelot", text), row[i].camelot);
        assert_string_equal(dsp_key_text(&k, "openkey", text), row[i].openkey);
    }
    const dsp_key none = { .tonic = -1 };
    assert_null(dsp_key_text(&none, "musical", text));
    const dsp_key c = { .tonic = 0 };
    assert_null(dsp_key_text(&c, "solfege", text));
}

static int make_and_free(void *user)
{
    static float x[20000];
    dsp_key_state *k = NULL;
    dsp_key key;
    (void)user;
    int err = dsp_key_new(NULL, &k);
    if (err == 0)
        err = dsp_key_push(k, x, SM_LENGTH(x));
    if (err == 0)
        err = dsp_key_finish(k, &key);
    dsp_key_free(k);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_every_allocation_may_fail(make_and_free, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cadences_in_all_24_keys_get_the_key),
        cmocka_unit_test(scales_in_all_keys_get_the_key),
        cmocka_unit_test(a_detuned_piece_has_its_key_and_its_tuning),
        cmocka_unit_test(loudness_and_drums_on_top_do_not_change_the_key),
        cmocka_unit_test(the_answer_does_not_depend_on_the_cut),
        cmocka_unit_test(noise_and_drums_and_silence_have_no_key),
        cmocka_unit_test(one_lone_tone_has_little_confidence),
        cmocka_unit_test(keys_have_three_spellings),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
