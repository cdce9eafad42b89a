#include "support/support.h"

#include "dsp/parts.h"
#include "dsp/sounds.h"

static dsp_shape measure(const float *x, size_t n, size_t piece)
{
    dsp_shape out;
    dsp_envelope *e;
    test_ok(dsp_envelope_new(&e));
    for (size_t at = 0; at < n; at += piece)
        test_ok(dsp_envelope_push(e, x + at, SM_MIN(piece, n - at)));
    test_ok(dsp_envelope_finish(e, &out));
    dsp_envelope_free(e);
    return out;
}

/* A straight rise of r seconds goes from 20 % to 90 % in 0.7 r; 2 ms: the envelope's step and the tone's own half wave. */
static void a_straight_rise_takes_seven_tenths_of_its_length(void **state)
{
    (void)state;
    static const double rises[] = { 0.01, 0.05, 0.2, 1 };
    for (size_t i = 0; i < SM_LENGTH(rises); i++) {
        size_t n;
        float *x = sound_new(2, &n);
        add_tone(x, n, 0.3, 1000, 1000, 1, 1e9, rises[i], 0.5);
        const dsp_shape s = measure(x, n, 4096);
        if (!(fabs(s.attack_s - 0.7 * rises[i]) < 0.002 + 0.02 * rises[i]))
            fail_msg("rise %g s: %g s, %g expected", rises[i], s.attack_s, 0.7 * rises[i]);
        assert_true(isnan(s.decay_s)); /* it never falls */
        assert_float_equal(s.tail_db, 0, 0.1);
        free(x);
    }
}

/* exp(-t/d) is 20 dB down after 2.303 d; HOLD lets it wait up to 20 ms. */
static void an_exponential_decays_as_its_time_constant_says(void **state)
{
    (void)state;
    static const double decays[] = { 0.03, 0.1, 0.4 };
    for (size_t i = 0; i < SM_LENGTH(decays); i++) {
        size_t n;
        float *x = sound_new(2, &n);
        add_tone(x, n, 0, 60, 60, 1, decays[i], 0, 0.8);
        const dsp_shape s = measure(x, n, 4096);
        if (!(fabs(s.decay_s - 2.303 * decays[i]) < 0.02))
            fail_msg("time constant %g s: %g s, %g expected", decays[i], s.decay_s, 2.303 * decays[i]);
        assert_float_equal(s.temporal_centroid_s, decays[i] / 2, 0.005 + 0.02 * decays[i]); /* of the square */
        assert_false(s.tail);
        free(x);
    }
}

static void a_short_hit_with_a_long_tail_reverberates(void **state)
{
    (void)state;
    size_t n;
    float *x = sound_new(2.5, &n);
    add_noise(x, n, 0, 0.01, false, 0.8);
    add_noise(x, n, 0, 0.25, false, 0.06);
    assert_true(measure(x, n, 4096).tail);
    free(x);
}

static void beats_are_roughest_near_70_hz(void **state)
{
    (void)state;
    static const double hz[] = { 4, 25, 70, 250 };
    double beating[4];
    for (int k = 0; k < 4; k++) {
        size_t n;
        float *x = sound_new(1, &n);
        for (size_t i = 0; i < n; i++) {
            const double t = (double)i / DSP_RATE;
            x[i] = (float)(0.3 * sin(2 * M_PI * 1000 * t) * (1 + cos(2 * M_PI * hz[k] * t)));
        }
        beating[k] = measure(x, n, 4096).beating;
        free(x);
    }
    assert_true(beating[0] < 0.1 && beating[1] > beating[0] && beating[2] > beating[1] && beating[3] < beating[2]);
    assert_float_equal(beating[2], 1, 0.1);
}

static void steady_tones_have_no_beats(void **state)
{
    (void)state;
    static const double hz[] = { 40, 60, 100, 440, 3000 };
    for (size_t k = 0; k < SM_LENGTH(hz); k++) {
        size_t n;
        float *x = sound_new(1, &n);
        add_tone(x, n, 0, hz[k], hz[k], 1, 1e9, 0, 0.5);
        const double beating = measure(x, n, 4096).beating;
        if (!(beating < 0.08))
            fail_msg("%g Hz: %g", hz[k], beating);
        free(x);
    }
}

static void silence_and_nothing_have_no_shape(void **state)
{
    (void)state;
    size_t n;
    float *x = sound_new(0.5, &n);
    for (int k = 0; k < 2; k++) {
        const dsp_shape s = measure(x, k ? n : 0, 1000);
        assert_true(isnan(s.attack_s) && isnan(s.decay_s) && isnan(s.temporal_centroid_s) && !s.tail);
    }
    free(x);
}

static void pieces_of_any_size_give_the_same_numbers(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 7, 4096 };
    size_t n;
    float *x = snare(&n);
    const dsp_shape whole = measure(x, n, n);
    for (size_t p = 0; p < SM_LENGTH(pieces); p++) {
        const dsp_shape cut = measure(x, n, pieces[p]);
        assert_true(cut.attack_s == whole.attack_s && cut.decay_s == whole.decay_s && cut.beating == whole.beating);
        assert_true(cut.temporal_centroid_s == whole.temporal_centroid_s && cut.tail_db == whole.tail_db);
    }
    free(x);
}

static int whole_run(void *user)
{
    dsp_shape out;
    dsp_envelope *e;
    int err = dsp_envelope_new(&e);
    if (err == 0)
        err = dsp_envelope_push(e, user, 6000);
    if (err == 0)
        err = dsp_envelope_finish(e, &out);
    dsp_envelope_free(e);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    size_t n;
    float *x = snare(&n);
    test_every_allocation_may_fail(whole_run, x);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_straight_rise_takes_seven_tenths_of_its_length),
        cmocka_unit_test(an_exponential_decays_as_its_time_constant_says),
        cmocka_unit_test(a_short_hit_with_a_long_tail_reverberates),
        cmocka_unit_test(beats_are_roughest_near_70_hz),
        cmocka_unit_test(steady_tones_have_no_beats),
        cmocka_unit_test(silence_and_nothing_have_no_shape),
        cmocka_unit_test(pieces_of_any_size_give_the_same_numbers),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
