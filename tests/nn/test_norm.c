/* Norms of tokens: every instruction set of this CPU against the definition in double, also where the mean is much larger than the
 * deviation; the group norm between two permutations; threads. */
#include "support/nn_support.h"

#include "nn/onednn/norm.h"

#include <math.h>
#include <string.h>

static size_t kernels_here(const nn_norm_kernel *out[3])
{
    sm_cpu_info cpu;
    size_t n = 0;
    sm_cpu_detect(&cpu);
    out[n++] = &nn_norm_base;
    if (cpu.avx2 && cpu.fma)
        out[n++] = &nn_norm_avx2;
    if (cpu.avx512)
        out[n++] = &nn_norm_avx512;
    return n;
}

static void moments_keep_their_digits_beside_a_large_mean(void **state)
{
    static const int lengths[] = { 1, 2, 3, 15, 16, 17, 100, 2047, 2048, 2049, 50021 };
    static const double means[] = { 0, 1, -1000, 30000 };
    const nn_norm_kernel *kernels[3];
    const size_t n = kernels_here(kernels);
    float *x = sm_alloc(60000, sizeof *x);
    (void)state;
    assert_non_null(x);
    for (size_t k = 0; k < n; k++)
        for (size_t l = 0; l < SM_LENGTH(lengths); l++)
            for (size_t m = 0; m < SM_LENGTH(means); m++) {
                double sum = 0, squares = 0;
                nn_moments got;
                test_fill(x, (size_t)lengths[l], "x", l, means[m], 1);
                for (int i = 0; i < lengths[l]; i++)
                    sum += (double)x[i];
                const double mean = sum / lengths[l];
                for (int i = 0; i < lengths[l]; i++)
                    squares += ((double)x[i] - mean) * ((double)x[i] - mean);
                kernels[k]->moments(x, lengths[l], &got);
                /* f32 sums of 2048 numbers in 64 or fewer lanes, around a mean that is put right */
                if (fabs(got.mean - mean) > 1e-7 * fmax(1, fabs(mean)) ||
                    fabs(got.squares - squares) > 2e-6 * squares || got.n != lengths[l])
                    fail_msg("%s, %d numbers around %g: mean off by %g, squares %g instead of %g", kernels[k]->name,
                             lengths[l], means[m], got.mean - mean, got.squares, squares);
            }
    sm_free(x);
}

static void rows_agree_with_the_definition(void **state)
{
    static const int widths[] = { 2, 5, 8, 16, 31, 64, 100, 512, 3000 };
    const nn_norm_kernel *kernels[3];
    const size_t n = kernels_here(kernels);
    enum { ROWS = 3, WIDEST = 3000 };
    float x[ROWS * WIDEST], y[ROWS * WIDEST + 1], gamma[WIDEST], beta[WIDEST];
    (void)state;
    test_fill(gamma, WIDEST, "gamma", 0, 1, 0.5);
    test_fill(beta, WIDEST, "beta", 0, 0, 0.5);
    for (size_t k = 0; k < n; k++)
        for (size_t w = 0; w < SM_LENGTH(widths); w++)
            for (int form = 0; form < 8; form++) { /* bits: RMS, gamma, beta */
                const int width = widths[w];
                const bool rms = form & 1;
                test_fill(x, (size_t)(ROWS * width), "x", w, 2, 1);
                y[ROWS * width] = 77;
                kernels[k]->rows(x, y, ROWS, width, rms, 1e-5f, form & 2 ? gamma : NULL, form & 4 ? beta : NULL);
                for (int r = 0; r < ROWS; r++) {
                    double mean = 0, squares = 0;
                    for (int i = 0; i < width && !rms; i++)
                        mean += (double)x[r * width + i] / width;
                    for (int i = 0; i < width; i++)
                        squares += ((double)x[r * width + i] - mean) * ((double)x[r * width + i] - mean);
                    for (int i = 0; i < width; i++) {
                        const double v = ((double)x[r * width + i] - mean) / sqrt(squares / width + 1e-5);
                        const double truth = v * (form & 2 ? (double)gamma[i] : 1) + (form & 4 ? (double)beta[i] : 0);
                        if (!(fabs((double)y[r * width + i] - truth) <= 4e-6))
                            fail_msg("%s, width %d, form %d: %g, not %g", kernels[k]->name, width, form,
                                     (double)y[r * width + i], truth);
                    }
                }
                assert_true(y[ROWS * width] == 77);
            }
}

/* Norms of tokens as HTDemucs has them. */
static nn_graph *token_norms(test_nn_weights *w)
{
    static const int swap[3] = { 0, 2, 1 };
    const nn_source *from = test_nn_source(w);
    nn_graph *g = nn_graph_new();
    const nn_id x = nn_input(g, "x", NN_SHAPE(2, 700, 96));
    const nn_id gamma = nn_weight(g, from, "gamma", NN_SHAPE(96)), beta = nn_weight(g, from, "beta", NN_SHAPE(96));
    nn_output(g, "all", nn_permute(g, nn_group_norm(g, nn_permute(g, x, swap), gamma, beta, 1, 1e-5f), swap));
    nn_output(g, "each", nn_layer_norm(g, x, gamma, NN_NONE, 1e-5f));
    nn_output(g, "rms", nn_rms_norm(g, x, gamma, 1e-5f));
    return g;
}

static void a_group_norm_between_permutations_is_done_on_the_tokens(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    nn_graph *g = token_norms(w);
    const nn_profile_row *rows;
    nn_run_state *run = NULL;
    nn_plan *p = NULL;
    (void)state;
    test_nn_same(g, "onednn", NULL, 5, 2e-6, "token norms");
    test_ok(nn_compile(g, &(nn_compile_options){ .precision = NN_PRECISION_F32 }, &p));
    test_ok(nn_run_state_new(p, &run));
    const size_t n = nn_run_profile_rows(run, &rows);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++)
        if (!strstr(rows[i].kernel, "norm"))
            fail_msg("%s (%s) is left", rows[i].op, rows[i].kernel);
    nn_run_state_free(run);
    nn_plan_free(p);
    nn_graph_free(g);
    test_nn_weights_free(w);
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    nn_graph *g = token_norms(w);
    test_nn_ports one, more;
    (void)state;
    test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32 }, NULL, 1, &one);
    for (int threads = 2; threads <= 3; threads++) {
        test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32, .threads = threads }, NULL, 1, &more);
        for (int i = 0; i < one.n_out; i++)
            assert_memory_equal(one.out[i], more.out[i], one.length[i] * sizeof(float));
        test_nn_ports_free(&more);
    }
    test_nn_ports_free(&one);
    nn_graph_free(g);
    test_nn_weights_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_keep_their_digits_beside_a_large_mean),
        cmocka_unit_test(rows_agree_with_the_definition),
        cmocka_unit_test(a_group_norm_between_permutations_is_done_on_the_tokens),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
