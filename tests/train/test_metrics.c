/* Figures against numbers worked out by hand. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "train/train.h"

static const char *const names[3] = { "kick", "snare", "pad" };

static void shares_confusions_and_calibration_are_those_worked_out_by_hand(void **state)
{
    /* truth: kick kick snare pad; said: kick snare snare kick. Both pads' and kicks' rows are exact in binary. */
    static const float p[4][3] = {
        { 0.75f, 0.125f, 0.125f }, { 0.25f, 0.5f, 0.25f }, { 0.125f, 0.75f, 0.125f }, { 0.5f, 0.25f, 0.25f }
    };
    static const size_t truth[4] = { 0, 0, 1, 2 }, family[4] = { 7, 7, 8, 9 };
    sm_scores s;
    (void)state;
    test_ok(sm_scores_make(p[0], truth, family, 4, 3, names, 1, &s));
    assert_int_equal(s.n_families, 3);
    assert_float_equal(s.top1.value, 2.0 / 4, 1e-12);
    assert_float_equal(s.top3.value, 1, 1e-12); /* three classes */
    assert_float_equal(s.macro_recall.value, (0.5 + 1 + 0) / 3, 1e-12);
    assert_float_equal(s.drums.value, 2.0 / 3, 1e-12);                        /* kick, kick, snare */
    assert_float_equal(s.macro_f1.value, (2.0 / 4 + 2.0 / 3 + 0) / 3, 1e-12); /* 2 hits / (support + said) */
    assert_int_equal(s.confusion[0 * 3 + 1], 1);
    assert_int_equal(s.confusion[2 * 3 + 0], 1);
    assert_int_equal(s.support[0], 2);
    assert_float_equal(s.precision[0], 0.5, 1e-12);
    assert_true(isnan(s.precision[2])); /* never said */
    /* bins: two answers of .75, both right: gap .25; two of .5, none right: gap .5. Each bin is half of all */
    assert_float_equal(s.ece, 0.5 * 0.25 + 0.5 * 0.5, 1e-7);
    assert_float_equal(s.ece_before, s.ece, 1e-12);
    /* by chance: both, one or none of two right; gaps .25, .25, .75 with shares 9, 6, 1 of 16, and .5, 0, .5 with 1, 2, 1 of 4.
     * The mean of 1,000 draws, of a deviation of .13, lies within 4 / sqrt(1000) of that */
    assert_float_equal(s.ece_by_chance.value, 0.5 * 0.28125 + 0.5 * 0.25, 0.017);
    assert_true(s.ece_by_chance.low >= 0.125 - 1e-9 && s.ece_by_chance.high <= 0.625 + 1e-9);
    assert_float_equal(s.nll, -(log(0.75) + log(0.25) + log(0.75) + log(0.25)) / 4, 1e-6);
    assert_true(s.top1.low <= s.top1.value && s.top1.value <= s.top1.high);
    sm_scores_free(&s);
}

static void temperature_is_undone_for_the_error_before(void **state)
{
    /* logits +-2 at T = 2: p = softmax(+-1); at T = 1: softmax(+-2) */
    const float sure = (float)(1 / (1 + exp(-2.0))), p[2][2] = { { sure, 1 - sure }, { sure, 1 - sure } };
    static const size_t truth[2] = { 0, 1 }, family[2] = { 0, 1 };
    sm_scores s;
    (void)state;
    test_ok(sm_scores_make(p[0], truth, family, 2, 2, names, 2, &s));
    assert_float_equal(s.ece, (double)sure - 0.5, 1e-6);
    assert_float_equal(s.ece_before, 1 / (1 + exp(-4.0)) - 0.5, 1e-6);
    sm_scores_free(&s);
}

static void the_fitted_temperature_gives_the_true_shares(void **state)
{
    /* three of four answers are right, logit differences are 4: softmax(4 / T) = .75 at T = 4 / log 3 */
    float logits[4][2];
    static const size_t truth[4] = { 0, 0, 0, 1 };
    (void)state;
    for (int i = 0; i < 4; i++) {
        logits[i][0] = 5;
        logits[i][1] = 1;
    }
    assert_float_equal(sm_fit_temperature(logits[0], truth, 4, 2), 4 / log(3), 1e-3);
    assert_float_equal(sm_fit_temperature(NULL, NULL, 0, 2), 1, 0);
}

/* One family of 30 that is wholly right and one that is wholly wrong: families are drawn, so both extremes must be in the interval. */
static void intervals_are_over_families_not_sounds(void **state)
{
    enum { N = 60 };
    float p[N][2];
    size_t truth[N], family[N];
    sm_scores s;
    (void)state;
    for (size_t i = 0; i < N; i++) {
        p[i][0] = 0.75f;
        p[i][1] = 0.25f;
        truth[i] = family[i] = i / 30;
    }
    test_ok(sm_scores_make(p[0], truth, family, N, 2, names, 1, &s));
    assert_float_equal(s.top1.value, 0.5, 1e-12);
    assert_float_equal(s.top1.low, 0, 0);
    assert_float_equal(s.top1.high, 1, 0);
    sm_scores_free(&s);
}

static void two_models_are_compared_on_the_same_draws(void **state)
{
    static const float right[2][2] = { { 1, 0 }, { 0, 1 } }, half[2][2] = { { 1, 0 }, { 1, 0 } };
    static const size_t truth[2] = { 0, 1 }, family[2] = { 3, 4 };
    sm_scores a, b;
    sm_figure gain;
    (void)state;
    test_ok(sm_scores_make(half[0], truth, family, 2, 2, names, 1, &a));
    test_ok(sm_scores_make(right[0], truth, family, 2, 2, names, 1, &b));
    test_ok(sm_scores_compare(&a, &b, family, &gain));
    assert_float_equal(gain.value, 0.5, 1e-12);
    assert_float_equal(gain.low, 0, 1e-12); /* never worse */
    assert_float_equal(gain.high, 1, 1e-12);
    test_ok(sm_scores_compare(&a, &a, family, &gain));
    assert_float_equal(gain.low, 0, 0);
    assert_float_equal(gain.high, 0, 0);
    b.n = 1;
    test_fails(sm_scores_compare(&a, &b, family, &gain), SM_EUSAGE, "2 and 1 sounds");
    sm_scores_free(&a);
    sm_scores_free(&b);
}

static int make(void *user)
{
    static const float p[2][2] = { { 1, 0 }, { 0.5f, 0.5f } };
    static const size_t truth[2] = { 0, 1 }, family[2] = { 0, 1 };
    sm_scores s;
    (void)user;
    const int err = sm_scores_make(p[0], truth, family, 2, 2, names, 1, &s);
    sm_scores_free(&s);
    return err;
}

static void lack_of_memory_is_told(void **state)
{
    (void)state;
    test_every_allocation_may_fail(make, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_confusions_and_calibration_are_those_worked_out_by_hand),
        cmocka_unit_test(temperature_is_undone_for_the_error_before),
        cmocka_unit_test(the_fitted_temperature_gives_the_true_shares),
        cmocka_unit_test(intervals_are_over_families_not_sounds),
        cmocka_unit_test(two_models_are_compared_on_the_same_draws),
        cmocka_unit_test(lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
