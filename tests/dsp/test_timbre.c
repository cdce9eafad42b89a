#include "support/support.h"

#include "dsp/parts.h"
#include "dsp/sounds.h"

static dsp_timbre words_of(const float *x, size_t n)
{
    dsp_timbre out = { 0 };
    dsp_spectral spectral;
    dsp_shape shape;
    double *times;
    size_t count;
    dsp_envelope *e;
    dsp_onsets *o;
    dsp_spectrum *s;
    test_ok(dsp_envelope_new(&e));
    test_ok(dsp_onsets_new(e, DSP_SPECTRUM_FRAME, DSP_SPECTRUM_HOP, &o));
    test_ok(dsp_spectrum_new(o, &s));
    test_ok(dsp_envelope_push(e, x, n));
    test_ok(dsp_spectrum_push(s, x, n));
    test_ok(dsp_envelope_finish(e, &shape));
    test_ok(dsp_spectrum_finish(s, &spectral));
    test_ok(dsp_onsets_finish(o, (double)n / DSP_RATE, &times, &count));
    dsp_words(&spectral, &shape, &out);
    sm_free(times);
    dsp_spectrum_free(s);
    dsp_onsets_free(o);
    dsp_envelope_free(e);
    return out;
}

enum { KICK, DEEP, HIHAT, SNARE, PAD, SOUNDS };
static const char *const names[] = { "kick", "808", "hi-hat", "snare", "pad" };

static void words_of_all(dsp_timbre out[SOUNDS])
{
    static float *(*const make[])(size_t *) = { kick, deep_808, hihat, snare, pad };
    for (int k = 0; k < SOUNDS; k++) {
        size_t n;
        float *x = make[k](&n);
        out[k] = words_of(x, n);
        free(x);
    }
}

/* What any listener would say: each row in falling order, by 5 points at least. */
static void obvious_sounds_come_in_the_obvious_order(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        size_t offset;
        int more, less;
    } rows[] = {
        { "brightness", offsetof(dsp_timbre, brightness), HIHAT, SNARE },
        { "brightness", offsetof(dsp_timbre, brightness), SNARE, KICK },
        { "brightness", offsetof(dsp_timbre, brightness), SNARE, PAD },
        { "brightness", offsetof(dsp_timbre, brightness), PAD, DEEP },
        { "sharpness", offsetof(dsp_timbre, sharpness), HIHAT, PAD },
        { "sharpness", offsetof(dsp_timbre, sharpness), SNARE, KICK },
        { "depth", offsetof(dsp_timbre, depth), DEEP, SNARE },
        { "depth", offsetof(dsp_timbre, depth), KICK, PAD },
        { "depth", offsetof(dsp_timbre, depth), KICK, HIHAT },
        { "boominess", offsetof(dsp_timbre, boominess), DEEP, KICK },
        { "boominess", offsetof(dsp_timbre, boominess), KICK, HIHAT },
        { "hardness", offsetof(dsp_timbre, hardness), SNARE, PAD },
        { "hardness", offsetof(dsp_timbre, hardness), HIHAT, KICK },
        { "hardness", offsetof(dsp_timbre, hardness), KICK, PAD },
        { "warmth", offsetof(dsp_timbre, warmth), PAD, HIHAT },
        { "warmth", offsetof(dsp_timbre, warmth), PAD, DEEP },
    };
    dsp_timbre t[SOUNDS];
    words_of_all(t);
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        const double more = *(double *)(void *)((char *)&t[rows[i].more] + rows[i].offset);
        const double less = *(double *)(void *)((char *)&t[rows[i].less] + rows[i].offset);
        if (!(more >= less + 5))
            fail_msg("%s: %s %.1f, %s %.1f", rows[i].word, names[rows[i].more], more, names[rows[i].less], less);
    }
}

static void words_stay_between_0_and_100(void **state)
{
    (void)state;
    dsp_timbre t[SOUNDS + 2];
    size_t n;
    float *x = sound_new(1, &n);
    words_of_all(t);
    add_tone(x, n, 0, 25, 25, 1, 1e9, 0, 1);
    t[SOUNDS] = words_of(x, n);
    add_tone(x, n, 0, 20000, 20000, 1, 1e9, 0, 1);
    t[SOUNDS + 1] = words_of(x, n);
    free(x);
    for (int k = 0; k < SOUNDS + 2; k++) {
        const double words[] = { t[k].brightness, t[k].hardness, t[k].depth,    t[k].roughness,
                                 t[k].boominess,  t[k].warmth,   t[k].sharpness };
        for (size_t i = 0; i < SM_LENGTH(words); i++)
            assert_true(words[i] >= 0 && words[i] <= 100);
    }
}

/* A sine that climbs gets brighter and sharper, never deeper. */
static void words_rise_and_fall_with_what_they_name(void **state)
{
    (void)state;
    dsp_timbre last = { 0 };
    for (double hz = 40; hz < 16000; hz *= 1.5) {
        size_t n;
        float *x = sound_new(0.5, &n);
        add_tone(x, n, 0, hz, hz, 1, 1e9, 0.01, 0.5);
        const dsp_timbre t = words_of(x, n);
        if (hz > 40 &&
            !(t.brightness >= last.brightness && t.sharpness >= last.sharpness - 0.5 && t.depth <= last.depth + 0.5))
            fail_msg("%g Hz: bright %.1f after %.1f, sharp %.1f after %.1f, deep %.1f after %.1f", hz, t.brightness,
                     last.brightness, t.sharpness, last.sharpness, t.depth, last.depth);
        last = t;
        free(x);
    }
}

static void a_slower_attack_is_never_harder(void **state)
{
    (void)state;
    double last = 101;
    for (double attack = 0.001; attack < 1; attack *= 2) {
        size_t n;
        float *x = sound_new(2, &n);
        add_tone(x, n, 0, 1000, 1000, 1, 1e9, attack, 0.5);
        const double hard = words_of(x, n).hardness;
        if (!(hard <= last + 1))
            fail_msg("attack %g s: %.1f after %.1f", attack, hard, last);
        last = hard;
        free(x);
    }
    assert_true(last < 40);
}

static void deeper_beating_is_rougher(void **state)
{
    (void)state;
    double last = -1;
    for (double depth = 0; depth <= 1; depth += 0.25) {
        size_t n;
        float *x = pad(&n);
        for (size_t i = 0; i < n; i++)
            x[i] *= (float)(1 + depth * sin(2 * M_PI * 60 * (double)i / DSP_RATE));
        const double rough = words_of(x, n).roughness;
        if (!(rough > last + 3))
            fail_msg("depth %g: %.1f after %.1f", depth, rough, last);
        last = rough;
        free(x);
    }
}

static void energy_rises_with_each_of_its_causes(void **state)
{
    (void)state;
    dsp_levels l = { .loudness_lufs = -14, .rms_dbfs = -14, .dynamic_range_db = 10 };
    double last = -1;
    for (l.loudness_lufs = -60; l.loudness_lufs < 3; l.loudness_lufs += 3) {
        const double e = dsp_energy(&l, 2, 50);
        assert_true(e >= last && e >= 0 && e <= 10);
        last = e;
    }
    l.loudness_lufs = -14;
    last = -1;
    for (double density = 0; density < 20; density += 0.5) {
        const double e = dsp_energy(&l, density, 50);
        assert_true(e > last);
        last = e;
    }
    assert_true(dsp_energy(&l, 2, 80) > dsp_energy(&l, 2, 20));
    l.dynamic_range_db = 20;
    const double loose = dsp_energy(&l, 2, 50);
    l.dynamic_range_db = 7;
    assert_true(dsp_energy(&l, 2, 50) > loose);
    l.loudness_lufs = 0, l.dynamic_range_db = 3;
    assert_float_equal(dsp_energy(&l, 1e9, 100), 10, 1e-9);
    l = (dsp_levels){ .loudness_lufs = NAN, .rms_dbfs = NAN };
    assert_true(isnan(dsp_energy(&l, 0, NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(obvious_sounds_come_in_the_obvious_order),
        cmocka_unit_test(words_stay_between_0_and_100),
        cmocka_unit_test(words_rise_and_fall_with_what_they_name),
        cmocka_unit_test(a_slower_attack_is_never_harder),
        cmocka_unit_test(deeper_beating_is_rougher),
        cmocka_unit_test(energy_rises_with_each_of_its_causes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
