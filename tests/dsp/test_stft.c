#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/fft.h"

/* The truth: O(n^2), double, straight from the definition. */
static void slow_dft(const float *x, int n, double *re, double *im)
{
    for (int k = 0; k <= n / 2; k++) {
        re[k] = im[k] = 0;
        for (int t = 0; t < n; t++) {
            const double phase = -2 * M_PI * (double)((int64_t)k * t % n) / n;
            re[k] += x[t] * cos(phase);
            im[k] += x[t] * sin(phase);
        }
    }
}

/* tiny, odd halves, beside a power of two, what the models and the analysis use */
static const int lengths[] = { 2, 4, 6, 10, 34, 254, 256, 258, 400, 512, 1024, 2048, 4096, 8192 };

static void forward_matches_the_definition_and_inverse_undoes_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(lengths); i++) {
        const int n = lengths[i];
        float *x = malloc(sizeof *x * n), *back = malloc(sizeof *x * n), *got = malloc(sizeof *x * (n + 2));
        double *re = malloc(sizeof *re * (n / 2 + 1)), *im = malloc(sizeof *im * (n / 2 + 1));
        dsp_fft *f;
        test_fill(x, n, "stft", i, 0, 1);
        test_ok(dsp_fft_new(n, &f));
        slow_dft(x, n, re, im);
        dsp_fft_forward(f, x, got);
        double signal = 0, noise = 0;
        for (int k = 0; k <= n / 2; k++) {
            signal += re[k] * re[k] + im[k] * im[k];
            noise += pow(got[2 * k] - re[k], 2) + pow(got[2 * k + 1] - im[k], 2);
        }
        const double snr = 10 * log10(signal / (noise + 1e-300));
        if (snr < 125) /* float32 has 144 dB; log2(8192) = 13 rounding stages cost less than 13 dB */
            fail_msg("n = %d: %.1f dB, at least 125 expected", n, snr);
        dsp_fft_inverse(f, got, back);
        const double error = test_normalised_error(back, x, n);
        if (!(error < 1e-6))
            fail_msg("n = %d: inverse(forward(x)) differs from x by %g", n, error);
        dsp_fft_free(f);
        free(x), free(back), free(got), free(re), free(im);
    }
}

/* No fused multiply-adds, and the same order: records of one sound are the same on every machine. */
static void both_instruction_sets_give_the_same_bits(void **state)
{
    (void)state;
    if (dsp_fft_best() == &dsp_fft_base)
        test_skip("this CPU has no AVX2");
    for (int n = DSP_FFT_LEAST; n <= DSP_FFT_MOST; n *= 2) {
        const size_t bytes = sizeof(float) * ((size_t)n + 2);
        float *x = malloc(bytes), *a = malloc(bytes), *b = malloc(bytes), *memory;
        dsp_fft_plan f;
        memory = sm_alloc_aligned(dsp_fft_plan_floats(n), sizeof *memory);
        dsp_fft_plan_fill(&f, n, memory);
        test_fill(x, n, "bits", (uint64_t)n, 0, 1);
        dsp_fft_base.forward(&f, x, a);
        dsp_fft_avx2.forward(&f, x, b);
        assert_memory_equal(a, b, bytes);
        dsp_fft_base.inverse(&f, b, x);
        dsp_fft_avx2.inverse(&f, b, a);
        assert_memory_equal(x, a, sizeof(float) * (size_t)n);
        sm_free(memory);
        free(x), free(a), free(b);
    }
}

static void odd_and_empty_lengths_are_refused(void **state)
{
    (void)state;
    dsp_fft *f;
    test_fails(dsp_fft_new(0, &f), SM_EUSAGE, "even");
    test_fails(dsp_fft_new(7, &f), SM_EUSAGE, "7 samples");
    test_fails(dsp_fft_new(-2, &f), SM_EUSAGE, "even");
    assert_null(f);
}

static void windows_have_their_closed_forms(void **state)
{
    (void)state;
    float w[8], h[9], b[64];
    dsp_window(DSP_WINDOW_HANN_PERIODIC, 8, w);
    dsp_window(DSP_WINDOW_HANN_SYMMETRIC, 9, h);
    for (int i = 0; i < 8; i++) {
        assert_float_equal(w[i], pow(sin(M_PI * i / 8), 2), 1e-7);
        assert_float_equal(h[i], w[i], 1e-7); /* periodic n is symmetric n + 1 without its last zero */
    }
    assert_float_equal(h[8], 0, 1e-7);
    dsp_window(DSP_WINDOW_BLACKMAN_HARRIS, 64, b);
    assert_float_equal(b[0], 6e-5, 1e-7);
    assert_float_equal(b[32], 1, 1e-6);
}

static int make_fft(void *user)
{
    (void)user;
    dsp_fft *f;
    const int err = dsp_fft_new(512, &f);
    dsp_fft_free(f);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_every_allocation_may_fail(make_fft, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_matches_the_definition_and_inverse_undoes_it),
        cmocka_unit_test(both_instruction_sets_give_the_same_bits),
        cmocka_unit_test(odd_and_empty_lengths_are_refused),
        cmocka_unit_test(windows_have_their_closed_forms),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
