/* What augmentation does to a sound: finite, bounded, repeatable, and what each effect promises. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/effects.h"
#include "train/train.h"

enum { RATE = 32000, LENGTH = 40000 };

/* A tone that decays, with some noise. */
static float *make_sound(double hz)
{
    float *x = malloc(LENGTH * sizeof *x);
    const uint64_t h = sm_unit_hash("augment", 1);
    for (size_t i = 0; i < LENGTH; i++)
        x[i] = (float)(exp(-(double)i / 12000) * (0.7 * sin(2 * M_PI * hz * (double)i / RATE) + 0.02 * sm_unit(h, i)));
    return x;
}

/* Share of the energy above `hz`. */
static double energy_above(const float *x, size_t n, double hz)
{
    enum { SIZE = 4096 };
    float re_im[SIZE + 2], power[SIZE / 2 + 1];
    dsp_fft *f;
    double above = 0, all = 1e-30;
    test_ok(dsp_fft_new(SIZE, &f));
    for (size_t at = 0; at + SIZE <= n; at += SIZE) {
        dsp_fft_forward(f, x + at, re_im);
        dsp_power(re_im, SIZE / 2 + 1, power);
        for (int k = 0; k <= SIZE / 2; k++) {
            all += (double)power[k];
            above += (double)k * RATE / SIZE > hz ? (double)power[k] : 0;
        }
    }
    dsp_fft_free(f);
    return above / all;
}

static void every_row_leaves_a_finite_sound_that_is_not_too_long(void **state)
{
    float *x = make_sound(440);
    int16_t *samples = malloc(LENGTH * sizeof *samples);
    (void)state;
    for (size_t i = 0; i < LENGTH; i++)
        samples[i] = (int16_t)(20000 * x[i]);
    const sm_sound other = { .samples = samples, .length = LENGTH, .scale = 1.0f / 32768 };
    for (size_t row = 0; row <= SM_AUGMENTS; row++) { /* the last: all at once */
        sm_augment a;
        sm_augmenter *m;
        sm_floats out = { 0 };
        sm_augment_init(&a);
        for (size_t i = 0; i < SM_AUGMENTS; i++)
            a.row[i].p = row == SM_AUGMENTS || i == row;
        test_ok(sm_augmenter_new(&a, RATE, &m));
        for (uint64_t item = 0; item < 6; item++) {
            const size_t n = item == 5 ? 7 : LENGTH; /* also a very short one */
            test_ok(sm_augment_sound(m, 1, 2, item, x, n, &other, &out));
            assert_in_range(out.length, 1, 3 * RATE);
            for (size_t i = 0; i < out.length; i++)
                if (!isfinite(out.data[i]) || fabsf(out.data[i]) > 16)
                    fail_msg("row %zu, item %d: sample %zu is %g", row, (int)item, i, (double)out.data[i]);
        }
        sm_floats_free(&out);
        sm_augmenter_free(m);
    }
    free(samples);
    free(x);
}

static void the_same_seed_epoch_and_item_give_the_same_sound(void **state)
{
    float *x = make_sound(300);
    sm_augment a;
    sm_augmenter *m, *other;
    sm_floats first = { 0 }, again = { 0 };
    (void)state;
    sm_augment_init(&a);
    for (size_t i = 0; i < SM_AUGMENTS; i++)
        a.row[i].p = 1;
    test_ok(sm_augmenter_new(&a, RATE, &m));
    test_ok(sm_augmenter_new(&a, RATE, &other));
    test_ok(sm_augment_sound(m, 5, 1, 9, x, LENGTH, NULL, &first));
    test_ok(sm_augment_sound(other, 5, 1, 8, x, LENGTH, NULL, &again)); /* what came before leaves no trace */
    assert_true(again.length != first.length || memcmp(first.data, again.data, first.length * sizeof(float)) != 0);
    test_ok(sm_augment_sound(other, 5, 1, 9, x, LENGTH, NULL, &again));
    assert_int_equal(first.length, again.length);
    assert_memory_equal(first.data, again.data, first.length * sizeof(float));
    sm_floats_free(&first);
    sm_floats_free(&again);
    sm_augmenter_free(m);
    sm_augmenter_free(other);
    free(x);
}

static void without_any_row_a_sound_stays_as_it_is(void **state)
{
    float *x = make_sound(300);
    sm_augment a;
    sm_augmenter *m;
    sm_floats out = { 0 };
    (void)state;
    sm_augment_init(&a);
    test_ok(sm_augment_parse(&a, "none"));
    test_ok(sm_augmenter_new(&a, RATE, &m));
    test_ok(sm_augment_sound(m, 1, 1, 1, x, LENGTH, NULL, &out));
    assert_int_equal(out.length, LENGTH);
    assert_memory_equal(out.data, x, LENGTH * sizeof *x);
    sm_floats_free(&out);
    sm_augmenter_free(m);
    free(x);
}

static void reading_faster_raises_the_pitch_and_shortens(void **state)
{
    float *x = make_sound(1000);
    sm_floats out = { 0 };
    (void)state;
    test_ok(train_resample(x, LENGTH, 1.5, 1, &out));
    assert_int_equal(out.length, (LENGTH * 2 + 2) / 3);
    assert_true(energy_above(out.data, out.length, 1400) > 0.9);
    assert_true(energy_above(out.data, out.length, 1600) < 0.05);
    out.length = 0; /* as fast as it was: the same sound, but for the filter's edge */
    test_ok(train_resample(x, LENGTH, 1, 1, &out));
    double worst = 0;
    for (size_t i = 100; i < LENGTH - 100; i++)
        worst = fmax(worst, fabs((double)(out.data[i] - x[i])));
    assert_true(worst < 1e-6); /* a sinc at whole samples is 0 or 1 */
    sm_floats_free(&out);
    free(x);
}

static void stretching_keeps_the_pitch(void **state)
{
    float *x = make_sound(1000);
    sm_floats out = { 0 };
    (void)state;
    test_ok(train_stretch(x, LENGTH, RATE, 1.3, &out));
    assert_int_equal(out.length, (size_t)(LENGTH * 1.3));
    assert_true(energy_above(out.data, out.length, 950) - energy_above(out.data, out.length, 1050) > 0.85);
    sm_floats_free(&out);
    free(x);
}

static void filters_do_what_their_names_say(void **state)
{
    float *x = malloc(LENGTH * sizeof *x);
    const uint64_t h = sm_unit_hash("white", 1);
    (void)state;
    for (size_t i = 0; i < LENGTH; i++)
        x[i] = (float)sm_unit(h, i);
    const double before = energy_above(x, LENGTH, 4000);
    assert_true(fabs(before - 0.75) < 0.03); /* white: 12 of 16 kHz */
    train_filter(x, LENGTH, RATE, TRAIN_LOWPASS, 1000, 0.707, 0);
    assert_true(energy_above(x, LENGTH, 4000) < 0.03); /* two octaves above: -24 dB */
    for (size_t i = 0; i < LENGTH; i++)
        x[i] = (float)sm_unit(h, i);
    train_filter(x, LENGTH, RATE, TRAIN_HIGHPASS, 4000, 0.707, 0);
    assert_true(energy_above(x, LENGTH, 2000) > 0.99);
    for (size_t i = 0; i < LENGTH; i++)
        x[i] = (float)sm_unit(h, i);
    train_filter(x, LENGTH, RATE, TRAIN_HIGHSHELF, 4000, 0.7, -20);
    assert_true(energy_above(x, LENGTH, 8000) < 0.1);
    free(x);
}

static void a_codec_takes_the_treble_and_little_of_the_tone(void **state)
{
    float *x = make_sound(700);
    sm_floats y = { 0 };
    train_scratch w = { 0 };
    (void)state;
    test_ok(sm_floats_add(&y, x, LENGTH));
    test_ok(train_codec(&w, &y, RATE, 24));
    train_scratch_free(&w);
    assert_true(test_normalised_error(y.data, x, LENGTH) < 0.25); /* steps of .6 of a band's loudest line */
    train_filter(x, LENGTH, RATE, TRAIN_HIGHPASS, 3000, 0.7, 0);  /* so that the measurement's window leaks no tone */
    train_filter(y.data, LENGTH, RATE, TRAIN_HIGHPASS, 3000, 0.7, 0);
    const double before = energy_above(x, LENGTH, 6000), after = energy_above(y.data, LENGTH, 6000);
    if (!(before > 0.05 && after < 0.01 * before))
        fail_msg("%g of what is above 3 kHz lay above 6 kHz, now %g", before, after);
    sm_floats_free(&y);
    free(x);
}

static void the_table_is_changed_by_text(void **state)
{
    sm_augment a;
    (void)state;
    sm_augment_init(&a);
    test_ok(sm_augment_parse(&a, "pitch=0.8,reverb=0.3:0.2:1.5,mixup=0"));
    assert_float_equal(a.row[SM_AUGMENT_pitch].p, 0.8, 0);
    assert_float_equal(a.row[SM_AUGMENT_reverb].high, 1.5, 0);
    assert_float_equal(a.row[SM_AUGMENT_mixup].p, 0, 0);
    test_ok(sm_augment_parse(&a, "none,gain=1:-6:0"));
    assert_float_equal(a.row[SM_AUGMENT_reverb].p, 0, 0);
    assert_float_equal(a.row[SM_AUGMENT_gain].low, -6, 0);
    test_fails(sm_augment_parse(&a, "revreb=1"), SM_EUSAGE, "did you mean \"reverb\"");
    test_fails(sm_augment_parse(&a, "reverb=2"), SM_EUSAGE, "0 to 1");
    test_fails(sm_augment_parse(&a, "reverb=1:3:2"), SM_EUSAGE, "the range goes up");
    test_fails(sm_augment_parse(&a, "reverb=x"), SM_EUSAGE, "P or P:LOW:HIGH");
}

static void masks_are_silence_and_leave_the_rest(void **state)
{
    enum { ROWS = 128, BANDS = 128 };
    float *p = malloc(ROWS * BANDS * sizeof *p);
    size_t masked = 0, kept = 0;
    sm_augment a;
    (void)state;
    sm_augment_init(&a);
    a.row[SM_AUGMENT_mask_time].p = a.row[SM_AUGMENT_mask_mel].p = 1;
    for (size_t i = 0; i < ROWS * BANDS; i++)
        p[i] = 1;
    sm_augment_picture(&a, 3, 1, 4, p, ROWS, BANDS, SM_CLASSIFIER_SILENCE);
    for (size_t i = 0; i < ROWS * BANDS; i++) {
        masked += p[i] == SM_CLASSIFIER_SILENCE;
        kept += p[i] == 1;
    }
    assert_int_equal(masked + kept, ROWS * BANDS);
    assert_in_range(masked, 4 * 128, 2 * (21 + 17) * 128);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_leaves_a_finite_sound_that_is_not_too_long),
        cmocka_unit_test(the_same_seed_epoch_and_item_give_the_same_sound),
        cmocka_unit_test(without_any_row_a_sound_stays_as_it_is),
        cmocka_unit_test(reading_faster_raises_the_pitch_and_shortens),
        cmocka_unit_test(stretching_keeps_the_pitch),
        cmocka_unit_test(filters_do_what_their_names_say),
        cmocka_unit_test(a_codec_takes_the_treble_and_little_of_the_tone),
        cmocka_unit_test(the_table_is_changed_by_text),
        cmocka_unit_test(masks_are_silence_and_leave_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
