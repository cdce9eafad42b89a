#include "support/golden.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/dsp.h"

static sm_floats run(int hop, bool centred, dsp_frame_norm norm, const float *x, size_t n, size_t piece)
{
    sm_floats out = { 0 };
    dsp_frames *f;
    test_ok(dsp_frames_new(1024, hop, centred, norm, &f));
    for (size_t at = 0; at < n; at += piece)
        test_ok(dsp_frames_push(f, x + at, SM_MIN(piece, n - at), &out));
    test_ok(dsp_frames_finish(f, &out));
    dsp_frames_free(f);
    assert_int_equal(out.length, dsp_frames_count(1024, hop, centred, (int64_t)n) * 1024);
    return out;
}

/* The definition: frame t, sample i is x[t * hop + i - lead], zero outside. */
static void frames_are_cut_as_defined_for_hops_below_and_above_the_frame(void **state)
{
    static const int hops[] = { 1, 159, 160, 1024, 1600, 5000 };
    static const size_t lengths[] = { 0, 1, 511, 1023, 1024, 1025, 9000 };
    float x[9000];
    (void)state;
    test_fill(x, 9000, "frames", 0, 0, 1);
    for (size_t h = 0; h < SM_LENGTH(hops); h++)
        for (size_t l = 0; l < SM_LENGTH(lengths); l++)
            for (int centred = 0; centred < 2; centred++) {
                if (hops[h] == 1 && lengths[l] > 1025)
                    continue;
                const int64_t n = (int64_t)lengths[l];
                sm_floats whole = run(hops[h], centred, DSP_FRAME_AS_IT_IS, x, lengths[l], 1 << 20);
                sm_floats cut = run(hops[h], centred, DSP_FRAME_AS_IT_IS, x, lengths[l], 7);
                const int64_t expected = centred    ? 1 + n / hops[h]
                                         : n < 1024 ? 0
                                                    : 1 + (n - 1024) / hops[h]; /* CREPE.md */
                assert_int_equal(whole.length, expected * 1024);
                for (size_t i = 0; i < whole.length; i++) {
                    const int64_t at = (int64_t)(i / 1024) * hops[h] + (int64_t)(i % 1024) - (centred ? 512 : 0);
                    const float want = at >= 0 && at < n ? x[at] : 0;
                    if (whole.data[i] != want || cut.data[i] != want)
                        fail_msg("hop %d, %d samples, value %zu: %g and %g, %g expected", hops[h], (int)n, i,
                                 whole.data[i], cut.data[i], want);
                }
                sm_floats_free(&whole);
                sm_floats_free(&cut);
            }
}

static void normalised_frames_have_mean_0_and_deviation_1(void **state)
{
    (void)state;
    float x[3000];
    test_fill(x, 3000, "frames", 1, 0.5, 0.01);
    for (int k = 0; k < 2; k++) {
        const dsp_frame_norm norm = k ? DSP_FRAME_TORCHCREPE : DSP_FRAME_CREPE;
        sm_floats f = run(160, false, norm, x, 3000, 100);
        for (size_t t = 0; t < f.length / 1024; t++) {
            double mean = 0, square = 0;
            for (int i = 0; i < 1024; i++)
                mean += f.data[t * 1024 + i] / 1024.0;
            for (int i = 0; i < 1024; i++)
                square += pow(f.data[t * 1024 + i] - mean, 2);
            assert_float_equal(mean, 0, 1e-6);
            assert_float_equal(square / (k ? 1023 : 1024), 1, 1e-6);
        }
        sm_floats_free(&f);
    }
}

static void silence_and_constants_become_zeros(void **state)
{
    (void)state;
    float x[1024], out[1024];
    for (int i = 0; i < 1024; i++)
        x[i] = 0.25f;
    for (int k = 0; k < 2; k++) {
        dsp_frame_normalise(x, 1024, k ? DSP_FRAME_TORCHCREPE : DSP_FRAME_CREPE, out);
        for (int i = 0; i < 1024; i++)
            assert_true(out[i] == 0);
    }
}

static void senseless_sizes_are_refused(void **state)
{
    (void)state;
    dsp_frames *f;
    test_fails(dsp_frames_new(1024, 0, true, DSP_FRAME_CREPE, &f), SM_EUSAGE, "every 0");
    test_fails(dsp_frames_new(1, 10, true, DSP_FRAME_CREPE, &f), SM_EUSAGE, "frames of 1");
    assert_null(f);
}

static int whole_run(void *user)
{
    sm_floats out = { 0 };
    dsp_frames *f;
    int err = dsp_frames_new(1024, 160, true, DSP_FRAME_CREPE, &f);
    if (err == 0)
        err = dsp_frames_push(f, user, 2000, &out);
    if (err == 0)
        err = dsp_frames_finish(f, &out);
    dsp_frames_free(f);
    sm_floats_free(&out);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    float x[2000];
    test_fill(x, 2000, "frames", 2, 0, 1);
    test_every_allocation_may_fail(whole_run, x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_cut_as_defined_for_hops_below_and_above_the_frame),
        cmocka_unit_test(normalised_frames_have_mean_0_and_deviation_1),
        cmocka_unit_test(silence_and_constants_become_zeros),
        cmocka_unit_test(senseless_sizes_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
