/* Depthwise convolutions by own loops: every instruction set, edges, activations, several threads. */
#include "support/nn_support.h"

#include "nn/onednn/depth.h"

#include <math.h>

enum { NO_POST = NN_UNARY_KINDS };

/* Lines of every length up to beyond a block (8), filters wider and taller than the image, channels beside multiples of the lanes, pads
 * that differ on both sides. `own`: by our loops. */
static const struct {
    int n, c, h, w, kernel[2], stride[2], dilation, before[2], after[2];
    int post;
    bool bias, own;
} cases[] = {
    { 1, 16, 3, 1, { 3, 3 }, { 1, 1 }, 1, { 1, 1 }, { 1, 1 }, NN_SWISH, true, true },
    { 2, 17, 4, 2, { 3, 3 }, { 1, 1 }, 1, { 1, 1 }, { 1, 1 }, NN_RELU, true, true },
    { 1, 33, 5, 3, { 5, 5 }, { 1, 1 }, 1, { 2, 2 }, { 2, 2 }, NN_SWISH, true, true },
    { 3, 40, 4, 4, { 3, 3 }, { 1, 1 }, 1, { 0, 0 }, { 0, 0 }, NO_POST, false, true },
    { 1, 96, 9, 5, { 5, 5 }, { 2, 2 }, 1, { 1, 1 }, { 2, 2 }, NN_SWISH, true, true },
    { 1, 24, 7, 6, { 5, 5 }, { 1, 1 }, 1, { 2, 2 }, { 2, 2 }, NN_RELU, false, true },
    { 2, 18, 6, 7, { 3, 3 }, { 2, 2 }, 1, { 0, 0 }, { 1, 1 }, NN_SWISH, true, true },
    { 1, 47, 2, 23, { 3, 3 }, { 1, 1 }, 1, { 1, 1 }, { 1, 1 }, NO_POST, true, true },
    { 1, 31, 12, 24, { 7, 5 }, { 3, 2 }, 1, { 3, 0 }, { 2, 4 }, NN_RELU, true, true },
    { 2, 37, 6, 11, { 5, 5 }, { 2, 2 }, 1, { 2, 2 }, { 2, 2 }, NN_HARD_SWISH, true, true },
    { 1, 64, 1, 1, { 3, 3 }, { 1, 1 }, 1, { 1, 1 }, { 1, 1 }, NO_POST, true, true },
    { 1, 20, 3, 2, { 5, 5 }, { 1, 1 }, 1, { 4, 6 }, { 4, 5 }, NN_SWISH, true, true },
    /* not ours: other widths, strides, dilations, functions; few channels */
    { 1, 32, 9, 9, { 7, 7 }, { 1, 1 }, 1, { 3, 3 }, { 3, 3 }, NN_RELU, true, false },
    { 1, 32, 9, 9, { 3, 3 }, { 1, 3 }, 1, { 1, 1 }, { 1, 1 }, NN_RELU, true, false },
    { 1, 32, 9, 9, { 3, 3 }, { 1, 1 }, 2, { 2, 2 }, { 2, 2 }, NO_POST, true, false },
    { 1, 32, 9, 9, { 3, 3 }, { 1, 1 }, 1, { 1, 1 }, { 1, 1 }, NN_GELU, true, false },
    { 1, 3, 9, 9, { 3, 3 }, { 1, 1 }, 1, { 1, 1 }, { 1, 1 }, NN_RELU, true, false },
};

static nn_graph *layer(const nn_source *w, size_t i)
{
    nn_graph *g = nn_graph_new();
    const nn_id x = nn_input(g, "x", NN_SHAPE(cases[i].n, cases[i].c, cases[i].h, cases[i].w));
    const nn_id weight =
        nn_weight(g, w, nn_name(g, "weight%zu", i), NN_SHAPE(cases[i].c, 1, cases[i].kernel[0], cases[i].kernel[1]));
    const nn_id bias = cases[i].bias ? nn_weight(g, w, nn_name(g, "bias%zu", i), NN_SHAPE(cases[i].c)) : NN_NONE;
    const nn_conv_attrs a = { .stride = { cases[i].stride[0], cases[i].stride[1] },
                              .dilation = { cases[i].dilation, cases[i].dilation },
                              .pad_before = { cases[i].before[0], cases[i].before[1] },
                              .pad_after = { cases[i].after[0], cases[i].after[1] },
                              .groups = cases[i].c };
    const nn_id y = nn_conv(g, x, weight, bias, &a);
    nn_output(g, "y", cases[i].post == NO_POST ? y : nn_unary(g, (nn_unary_kind)cases[i].post, y));
    return g;
}

static void layers_match_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        char what[40];
        test_nn_weights *w = test_nn_weights_new();
        nn_graph *g = layer(test_nn_source(w), i);
        snprintf(what, sizeof what, "case %zu", i);
        test_nn_same(g, "onednn", NULL, i, 1e-6, what); /* 35 products at most */
        const bool narrow = cases[i].c < nn_depth_best()->lanes;
        if (cases[i].c > 4 && (test_nn_steps(g, "depthwise", false) > 0) != (cases[i].own && !narrow))
            fail_msg("case %zu is computed by %s", i, cases[i].own ? "others" : "own loops");
        nn_graph_free(g);
        test_nn_weights_free(w);
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases) && cases[i].own; i++) {
        test_nn_weights *w = test_nn_weights_new();
        nn_graph *g = layer(test_nn_source(w), i);
        char what[40];
        snprintf(what, sizeof what, "case %zu", i);
        test_nn_same_bits(g, i, what);
        nn_graph_free(g);
        test_nn_weights_free(w);
    }
}

/* ---- one line, every instruction set ---- */

enum { MOST_LINE = 40, MOST_CHANNELS = 40, MOST_TAPS = 3 * NN_DEPTH_WIDTH };

/* Result p of channel c, summed in double; weights as the kernel has them. */
static double defined(const nn_depth_line *d, int lanes, int p, int c)
{
    double sum = (double)d->bias[c];
    for (int r = 0; r < d->rows; r++)
        for (int k = 0; k < d->width; k++) {
            const int at = p * d->stride - d->pad + k, tap = (d->first_row + r) * d->width + k;
            if (at >= 0 && at < d->in)
                sum += (double)d->row[r][at * d->channels + c] *
                       (double)d->weights[(c / lanes * d->taps + tap) * lanes + c % lanes];
        }
    return d->after == NN_DEPTH_RELU ? fmax(sum, 0) : d->after == NN_DEPTH_SWISH ? sum / (1 + exp(-sum)) : sum;
}

static void check_line(const nn_depth_kernel *k, nn_depth_line *d, const float *x, float *y)
{
    d->in = (d->out - 1) * d->stride + d->width - d->pad - 1; /* one short of the last filter's end */
    if (d->in < 1)
        return;
    for (int r = 0; r < d->rows; r++)
        d->row[r] = x + (size_t)(r * d->in * d->channels);
    d->y = y;
    y[d->out * d->channels] = 77;
    k->line(d);
    for (int p = 0; p < d->out; p++)
        for (int c = 0; c < d->channels; c++) {
            const double e = defined(d, k->lanes, p, c), got = (double)y[p * d->channels + c];
            if (!(fabs(got - e) < 3e-6)) /* 15 products of numbers below 1, rounded 15 times */
                fail_msg("%s: width %d, stride %d, %d channels, %d of %d: %g, not %g", k->name, d->width, d->stride,
                         d->channels, p, d->out, got, e);
        }
    assert_true(y[d->out * d->channels] == 77);
}

static void lines_match_the_definition_on_every_instruction_set(void **state)
{
    static float x[3 * 2 * MOST_LINE * MOST_CHANNELS], w[(MOST_CHANNELS + 16) * MOST_TAPS],
        y[MOST_LINE * MOST_CHANNELS];
    static const float zeros[MOST_CHANNELS];
    float bias[MOST_CHANNELS + 16];
    sm_cpu_info cpu;
    (void)state;
    sm_cpu_detect(&cpu);
    test_fill(x, SM_LENGTH(x), "x", 1, 0, 1);
    test_fill(w, SM_LENGTH(w), "w", 1, 0, 0.5);
    test_fill(bias, SM_LENGTH(bias), "b", 1, 0, 1);
    const nn_depth_kernel *const all[] = { &nn_depth_base, cpu.avx2 && cpu.fma ? &nn_depth_avx2 : NULL,
                                           cpu.avx512 ? &nn_depth_avx512 : NULL };
    for (size_t i = 0; i < SM_LENGTH(all); i++)
        for (int shape = 0; all[i] && shape < 3 * 2 * 2; shape++)
            for (int channels = 1; channels <= MOST_CHANNELS; channels += 13)
                for (int out = 1; out <= 19; out++) {
                    nn_depth_line d = { .rows = 1 + shape % 3,
                                        .first_row = shape % 2,
                                        .out = out,
                                        .channels = channels,
                                        .width = shape < 6 ? 3 : 5,
                                        .stride = 1 + shape % 2,
                                        .pad = shape % 4,
                                        .weights = w,
                                        .bias = bias,
                                        .zeros = zeros,
                                        .after = (nn_depth_after)(shape % 3) };
                    d.rows = SM_MIN(d.rows, 3 - d.first_row);
                    d.taps = 3 * d.width;
                    check_line(all[i], &d, x, y);
                }
}

static void compiling_survives_any_failed_allocation(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    nn_graph *g = layer(test_nn_source(w), 4);
    (void)state;
    test_every_allocation_may_fail(test_nn_compile_and_open, g);
    nn_graph_free(g);
    test_nn_weights_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_match_the_reference),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(lines_match_the_definition_on_every_instruction_set),
        cmocka_unit_test(compiling_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
