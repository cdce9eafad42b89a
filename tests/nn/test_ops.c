/* The reference kernels against the dumbest truth: numbers by hand, numpy's answers, definitions written out, identities. */
#include "support/nn_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Computes `y` of a graph of constants and compares: f32 rounding of results near 1, three times over. */
static void expect(nn_graph *g, nn_id y, nn_shape shape, const double *expected, const char *what)
{
    nn_tensor t;
    void *owned = NULL;
    char text[96];
    test_ok(nn_graph_error(g));
    test_ok(nn_constant(g, y, &t, &owned));
    if (!nn_shape_equal(&t.shape, &shape))
        fail_msg("%s: shape %s", what, nn_shape_text(&t.shape, text));
    for (int64_t i = 0; i < nn_elements(&shape); i++) {
        const double got = (double)((const float *)t.data)[i];
        if (!(fabs(got - expected[i]) <= 2e-7 * (1 + fabs(expected[i]))))
            fail_msg("%s: element %lld is %.9g, %.9g expected", what, (long long)i, got, expected[i]);
    }
    sm_free(owned);
}

static nn_id values(nn_graph *g, nn_shape shape, const double *v)
{
    float x[256];
    for (int64_t i = 0; i < nn_elements(&shape); i++)
        x[i] = (float)v[i];
    return nn_const_f32(g, shape, x);
}
#define VALUES(g, shape, ...)          values(g, shape, (const double[]){ __VA_ARGS__ })
#define EXPECT(g, y, shape, what, ...) expect(g, y, shape, (const double[]){ __VA_ARGS__ }, what)

/* 1, 2, 3, ... */
static nn_id counted(nn_graph *g, nn_shape shape)
{
    double v[256];
    for (int i = 0; i < 256; i++)
        v[i] = i + 1;
    return values(g, shape, v);
}

static void functions_have_their_known_values(void **state)
{
    static const struct {
        nn_unary_kind kind;
        double x, y; /* y to 9 digits: tables, or python's math module */
    } rows[] = {
        { NN_RELU, -2, 0 },
        { NN_RELU, 3, 3 },
        { NN_LEAKY_RELU, -2, -0.02 },
        { NN_ELU, -1, -0.632120559 },
        { NN_ELU, 2, 2 },
        { NN_SIGMOID, 0, 0.5 },
        { NN_SIGMOID, 1, 0.731058579 },
        { NN_SIGMOID, -200, 0 },
        { NN_SIGMOID, 200, 1 },
        { NN_TANH, 0.5, 0.462117157 },
        { NN_GELU, 1, 0.841344746 },
        { NN_GELU, -1, -0.158655254 },
        { NN_GELU_TANH, 1, 0.841191991 },
        { NN_SWISH, 1, 0.731058579 },
        { NN_SWISH, -1, -0.268941421 },
        { NN_EXP, 1, 2.718281828 },
        { NN_LOG, 10, 2.302585093 },
        { NN_SQRT, 2, 1.414213562 },
        { NN_RSQRT, 4, 0.5 },
        { NN_ABS, -1.5, 1.5 },
        { NN_NEG, 1.5, -1.5 },
        { NN_SQUARE, -3, 9 },
        { NN_ERF, 0.5, 0.520499878 },
        { NN_SIN, 1, 0.841470985 },
        { NN_COS, 1, 0.540302306 },
        { NN_CLIP, 7, 6 },
        { NN_CLIP, -1, 0 },
        { NN_HARD_SIGMOID, 1, 0.7 },
        { NN_HARD_SIGMOID, 9, 1 },
        { NN_HARD_SWISH, 1, 0.666666667 },
        { NN_HARD_SWISH, -4, 0 },
        { NN_HARD_SWISH, 5, 5 },
        { NN_RECIPROCAL, 4, 0.25 },
        { NN_SOFTPLUS, 0, 0.693147181 },
        { NN_SOFTPLUS, 100, 100 },
        { NN_SOFTPLUS, -100, 0 },
    };
    unsigned seen = 0;
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        nn_graph *g = nn_graph_new();
        char what[40];
        snprintf(what, sizeof what, "kind %d of %g", (int)rows[i].kind, rows[i].x);
        expect(g, nn_unary(g, rows[i].kind, values(g, NN_SHAPE(1), &rows[i].x)), NN_SHAPE(1), &rows[i].y, what);
        nn_graph_free(g);
        seen |= 1u << rows[i].kind;
    }
    assert_int_equal(seen, (1u << NN_UNARY_KINDS) - 1);
}

static void two_operands_broadcast_like_numpy(void **state)
{
    nn_graph *g = nn_graph_new();
    const nn_id a = counted(g, NN_SHAPE(2, 3)), row = VALUES(g, NN_SHAPE(3), 1, 2, 4),
                column = VALUES(g, NN_SHAPE(2, 1), 2, 0.5);
    (void)state;
    EXPECT(g, nn_binary(g, NN_ADD, a, row), NN_SHAPE(2, 3), "add", 2, 4, 7, 5, 7, 10);
    EXPECT(g, nn_binary(g, NN_SUB, row, a), NN_SHAPE(2, 3), "sub", 0, 0, 1, -3, -3, -2);
    EXPECT(g, nn_binary(g, NN_MUL, a, column), NN_SHAPE(2, 3), "mul", 2, 4, 6, 2, 2.5, 3);
    EXPECT(g, nn_binary(g, NN_DIV, column, row), NN_SHAPE(2, 3), "div", 2, 1, 0.5, 0.5, 0.25, 0.125);
    EXPECT(g, nn_binary(g, NN_MAX, a, row), NN_SHAPE(2, 3), "max", 1, 2, 4, 4, 5, 6);
    EXPECT(g, nn_binary(g, NN_MIN, a, nn_const_scalar(g, 2)), NN_SHAPE(2, 3), "min", 1, 2, 2, 2, 2, 2);
    EXPECT(g, nn_binary(g, NN_POW, row, column), NN_SHAPE(2, 3), "pow", 1, 4, 16, 1, 1.414213562, 2);
    nn_graph_free(g);
}

/* The definition with every index spelled out and padding looked up; 2-D. */
static double slow_conv(const float *x, const float *w, const int64_t xs[4], const int64_t ws[4],
                        const nn_conv_attrs *a, int64_t n, int64_t k, int64_t oy, int64_t ox)
{
    const int64_t filters_a_group = ws[0] / a->groups;
    double sum = 0;
    for (int64_t c = 0; c < ws[1]; c++)
        for (int64_t i = 0; i < ws[2]; i++)
            for (int64_t j = 0; j < ws[3]; j++) {
                const int64_t y = oy * a->stride[0] + i * a->dilation[0] - a->pad_before[0];
                const int64_t z = ox * a->stride[1] + j * a->dilation[1] - a->pad_before[1];
                const int64_t channel = k / filters_a_group * ws[1] + c;
                if (y >= 0 && y < xs[2] && z >= 0 && z < xs[3])
                    sum += (double)x[((n * xs[1] + channel) * xs[2] + y) * xs[3] + z] *
                           (double)w[((k * ws[1] + c) * ws[2] + i) * ws[3] + j];
            }
    return sum;
}

static void convolutions_follow_the_definition(void **state)
{
    static const struct {
        int64_t x[4], w[4], y[2];
        nn_conv_attrs a;
    } rows[] = {
        { { 2, 3, 5, 7 }, { 4, 3, 3, 2 }, { 3, 6 }, { .stride = { 1, 1 }, .dilation = { 1, 1 }, .groups = 1 } },
        { { 1, 4, 9, 8 },
          { 6, 2, 3, 3 },
          { 5, 3 },
          { .stride = { 2, 3 }, .dilation = { 1, 1 }, .pad_before = { 1, 0 }, .pad_after = { 2, 2 }, .groups = 2 } },
        { { 2, 5, 8, 6 },
          { 5, 1, 2, 3 },
          { 6, 4 },
          { .stride = { 1, 1 }, .dilation = { 3, 2 }, .pad_before = { 0, 2 }, .pad_after = { 1, 0 }, .groups = 5 } },
        { { 1, 1, 1, 1 },
          { 1, 1, 3, 3 },
          { 1, 1 },
          { .stride = { 1, 1 }, .dilation = { 1, 1 }, .pad_before = { 1, 1 }, .pad_after = { 1, 1 }, .groups = 1 } },
    };
    (void)state;
    for (size_t r = 0; r < SM_LENGTH(rows); r++) {
        const int64_t *xs = rows[r].x, *ws = rows[r].w, *ys = rows[r].y;
        const nn_shape x_shape = NN_SHAPE(xs[0], xs[1], xs[2], xs[3]), w_shape = NN_SHAPE(ws[0], ws[1], ws[2], ws[3]);
        static float x[1024], w[256], b[16];
        static double expected[1024];
        nn_graph *g = nn_graph_new();
        test_fill(x, (size_t)nn_elements(&x_shape), "x", r, 0, 1);
        test_fill(w, (size_t)nn_elements(&w_shape), "w", r, 0, 1);
        test_fill(b, (size_t)ws[0], "b", r, 0, 1);
        for (int64_t i = 0; i < xs[0] * ws[0] * ys[0] * ys[1]; i++) {
            const int64_t k = i / ys[1] / ys[0] % ws[0];
            expected[i] =
                slow_conv(x, w, xs, ws, &rows[r].a, i / ys[1] / ys[0] / ws[0], k, i / ys[1] % ys[0], i % ys[1]) +
                (double)b[k];
        }
        const nn_id y = nn_conv(g, nn_const_f32(g, x_shape, x), nn_const_f32(g, w_shape, w),
                                nn_const_f32(g, NN_SHAPE(ws[0]), b), &rows[r].a);
        expect(g, y, NN_SHAPE(xs[0], ws[0], ys[0], ys[1]), expected, "conv");
        nn_graph_free(g);
    }
}

static void same_padding_is_tensorflows(void **state)
{
    /* in, kernel, stride -> out, before: TensorFlow's documented formula by hand; the filter picks its first tap */
    static const struct {
        int in, kernel, stride, out, before;
    } rows[] = { { 6, 3, 2, 3, 0 }, { 5, 3, 2, 3, 1 },     { 6, 3, 1, 6, 1 },
                 { 7, 4, 1, 7, 1 }, { 1, 512, 4, 1, 255 }, { 9, 1, 4, 3, 0 } };
    (void)state;
    for (size_t r = 0; r < SM_LENGTH(rows); r++) {
        nn_graph *g = nn_graph_new();
        double expected[16];
        float w[512] = { 1 };
        for (int i = 0; i < rows[r].out; i++) {
            const int at = i * rows[r].stride - rows[r].before;
            expected[i] = at >= 0 && at < rows[r].in ? at + 1 : 0;
        }
        const nn_id y =
            nn_conv(g, counted(g, NN_SHAPE(1, 1, rows[r].in)), nn_const_f32(g, NN_SHAPE(1, 1, rows[r].kernel), w),
                    NN_NONE, &(nn_conv_attrs){ .stride = { rows[r].stride }, .same_tf = true });
        expect(g, y, NN_SHAPE(1, 1, rows[r].out), expected, "same");
        nn_graph_free(g);
    }
}

/* Filters of 1, 10, 100, ... show in each digit which tap went where. */
static void transposed_convolution_spreads_its_input(void **state)
{
    nn_graph *g = nn_graph_new();
    (void)state;
    const nn_id x = VALUES(g, NN_SHAPE(1, 1, 3), 1, 2, 3), w = VALUES(g, NN_SHAPE(1, 1, 4), 1, 10, 100, 1000);
    EXPECT(g, nn_conv_transpose(g, x, w, NN_NONE, &(nn_conv_transpose_attrs){ .stride = { 2 } }), NN_SHAPE(1, 1, 8),
           "stride 2", 1, 10, 102, 1020, 203, 2030, 300, 3000);
    EXPECT(g,
           nn_conv_transpose(g, x, w, NN_NONE,
                             &(nn_conv_transpose_attrs){
                                 .stride = { 2 }, .pad_before = { 1 }, .pad_after = { 2 }, .output_pad = { 1 } }),
           NN_SHAPE(1, 1, 6), "cut", 10, 102, 1020, 203, 2030, 300);
    EXPECT(g, nn_conv_transpose(g, x, w, NN_NONE, &(nn_conv_transpose_attrs){ .dilation = { 2 } }), NN_SHAPE(1, 1, 9),
           "dilated", 1, 2, 13, 20, 130, 200, 1300, 2000, 3000);
    /* two inputs to three channels, and in two groups: y[k] = sum over c of x[c] w[c][k] */
    const nn_id pair = VALUES(g, NN_SHAPE(1, 2, 1), 1, 10), mix = VALUES(g, NN_SHAPE(2, 3, 1), 1, 2, 3, 4, 5, 6);
    EXPECT(g, nn_conv_transpose(g, pair, mix, VALUES(g, NN_SHAPE(3), 0, 0, 1000), NULL), NN_SHAPE(1, 3, 1), "channels",
           41, 52, 1063);
    EXPECT(g, nn_conv_transpose(g, pair, mix, NN_NONE, &(nn_conv_transpose_attrs){ .groups = 2 }), NN_SHAPE(1, 6, 1),
           "groups", 1, 2, 3, 40, 50, 60);
    /* 2-D: a single number lays down the filter */
    EXPECT(g,
           nn_conv_transpose(g, VALUES(g, NN_SHAPE(1, 1, 1, 2), 1, 10), counted(g, NN_SHAPE(1, 1, 2, 2)), NN_NONE,
                             &(nn_conv_transpose_attrs){ .stride = { 1, 2 } }),
           NN_SHAPE(1, 1, 2, 4), "2-D", 1, 2, 10, 20, 3, 4, 30, 40);
    nn_graph_free(g);
}

static void products_of_matrices(void **state)
{
    nn_graph *g = nn_graph_new();
    const nn_id a = counted(g, NN_SHAPE(2, 3)), b = counted(g, NN_SHAPE(3, 2));
    (void)state;
    EXPECT(g, nn_matmul(g, a, b, false, false), NN_SHAPE(2, 2), "a b", 22, 28, 49, 64);
    EXPECT(g, nn_matmul(g, a, a, false, true), NN_SHAPE(2, 2), "a a'", 14, 32, 32, 77);
    EXPECT(g, nn_matmul(g, a, a, true, false), NN_SHAPE(3, 3), "a' a", 17, 22, 27, 22, 29, 36, 27, 36, 45);
    EXPECT(g, nn_matmul(g, a, b, true, true), NN_SHAPE(3, 3), "a' b'", 9, 19, 29, 12, 26, 40, 15, 33, 51);
    EXPECT(g,
           nn_matmul(g, counted(g, NN_SHAPE(2, 1, 1, 2)), VALUES(g, NN_SHAPE(3, 2, 1), 1, 1, 0, 1, 2, 0), false, false),
           NN_SHAPE(2, 3, 1, 1), "batches", 3, 2, 2, 7, 4, 6);
    EXPECT(g, nn_linear(g, a, VALUES(g, NN_SHAPE(2, 3), 1, 0, -1, 2, 2, 2), VALUES(g, NN_SHAPE(2), 10, 20)),
           NN_SHAPE(2, 2), "linear", 8, 32, 8, 50);
    nn_graph_free(g);
}

static void norms_follow_their_formulas(void **state)
{
    nn_graph *g = nn_graph_new();
    const nn_id x = VALUES(g, NN_SHAPE(2, 2, 2), 1, 3, 5, 7, -2, 2, 0, 4);
    const nn_id two = VALUES(g, NN_SHAPE(2), 2, 3), one = VALUES(g, NN_SHAPE(2), 1, -1);
    (void)state;
    /* rows of two: (x - mean) / deviation is -1, 1 */
    EXPECT(g, nn_layer_norm(g, x, two, one, 0), NN_SHAPE(2, 2, 2), "layer", -1, 2, -1, 2, -1, 2, -1, 2);
    EXPECT(g, nn_group_norm(g, x, two, one, 2, 0), NN_SHAPE(2, 2, 2), "two groups", -1, 3, -4, 2, -1, 3, -4, 2);
    const double s = sqrt(5); /* of 1 3 5 7 and of -2 2 0 4 */
    EXPECT(g, nn_group_norm(g, x, NN_NONE, NN_NONE, 1, 0), NN_SHAPE(2, 2, 2), "one group", -3 / s, -1 / s, 1 / s, 3 / s,
           -3 / s, 1 / s, -1 / s, 3 / s);
    EXPECT(g, nn_rms_norm(g, VALUES(g, NN_SHAPE(1, 2), 3, 4), two, 0.5f), NN_SHAPE(1, 2), "rms", 6 / sqrt(13),
           12 / sqrt(13));
    EXPECT(g, nn_batch_norm(g, x, two, one, VALUES(g, NN_SHAPE(2), 1, 2), VALUES(g, NN_SHAPE(2), 3, 8), 1),
           NN_SHAPE(2, 2, 2), "batch", 1, 3, 2, 4, -2, 2, -3, 1);
    EXPECT(g, nn_affine(g, x, two, one, 1), NN_SHAPE(2, 2, 2), "affine", 3, 7, 14, 20, -3, 5, -1, 11);
    nn_graph_free(g);
}

static void gates_and_waves(void **state)
{
    nn_graph *g = nn_graph_new();
    const double h = 0.5, e = 0.731058579; /* sigmoid of 0 and 1 */
    (void)state;
    EXPECT(g, nn_glu(g, VALUES(g, NN_SHAPE(2, 4), 1, 2, 0, 1, 3, 4, 1, 0), 1), NN_SHAPE(2, 2), "glu", 1 * h, 2 * e,
           3 * e, 4 * h);
    EXPECT(g, nn_glu(g, VALUES(g, NN_SHAPE(2, 2), 1, 2, 0, 1), 0), NN_SHAPE(1, 2), "glu of rows", 1 * h, 2 * e);
    EXPECT(g,
           nn_snake(g, VALUES(g, NN_SHAPE(1, 2, 1), 0.5, 2), VALUES(g, NN_SHAPE(2), 2, 1),
                    VALUES(g, NN_SHAPE(2), 4, 0.5)),
           NN_SHAPE(1, 2, 1), "snake", 0.5 + 0.841470985 * 0.841470985 / 4, 2 + 0.909297427 * 0.909297427 * 2);
    EXPECT(g, nn_softmax(g, VALUES(g, NN_SHAPE(2, 2), 0, 1, 1000, 1000), 1), NN_SHAPE(2, 2), "softmax", 1 - e, e, h, h);
    EXPECT(g, nn_softmax(g, VALUES(g, NN_SHAPE(2, 2), 0, -1000, 1, -1000), 0), NN_SHAPE(2, 2), "softmax of columns",
           1 - e, h, e, h);
    nn_graph_free(g);
}

static void pools_leave_padding_out(void **state)
{
    nn_graph *g = nn_graph_new();
    const nn_id x = VALUES(g, NN_SHAPE(1, 1, 5), -1, -2, -3, -4, -5), image = counted(g, NN_SHAPE(1, 1, 3, 3));
    (void)state;
    EXPECT(g, nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 2 } }), NN_SHAPE(1, 1, 2), "drops the rest", -1, -3);
    EXPECT(g, nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 2 }, .ceil_mode = true }), NN_SHAPE(1, 1, 3), "ceil", -1,
           -3, -5);
    EXPECT(g, nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 3 }, .stride = { 2 }, .same_tf = true }),
           NN_SHAPE(1, 1, 3), "same", -1, -2, -4);
    EXPECT(g, nn_avg_pool(g, x, &(nn_pool_attrs){ .kernel = { 3 }, .stride = { 2 }, .same_tf = true }),
           NN_SHAPE(1, 1, 3), "mean", -1.5, -3, -4.5);
    EXPECT(g,
           nn_avg_pool(g, x,
                       &(nn_pool_attrs){ .kernel = { 3 }, .stride = { 2 }, .same_tf = true, .count_padding = true }),
           NN_SHAPE(1, 1, 3), "counted", -1, -3, -3);
    EXPECT(g, nn_max_pool(g, image, &(nn_pool_attrs){ .kernel = { 2, 2 }, .stride = { 1, 1 } }), NN_SHAPE(1, 1, 2, 2),
           "2-D", 5, 6, 8, 9);
    EXPECT(g, nn_avg_pool(g, image, &(nn_pool_attrs){ .kernel = { 3, 1 } }), NN_SHAPE(1, 1, 1, 3), "columns", 4, 5, 6);
    nn_graph_free(g);
}

static void reductions_over_any_axes(void **state)
{
    nn_graph *g = nn_graph_new();
    const nn_id x = counted(g, NN_SHAPE(2, 3, 2));
    (void)state;
    EXPECT(g, nn_reduce(g, NN_REDUCE_SUM, x, 2, false), NN_SHAPE(2, 2), "sum 1", 9, 12, 27, 30);
    EXPECT(g, nn_reduce(g, NN_REDUCE_MEAN, x, 1 | 4, true), NN_SHAPE(1, 3, 1), "mean 0 2", 4.5, 6.5, 8.5);
    EXPECT(g, nn_reduce(g, NN_REDUCE_MAX, x, 4, false), NN_SHAPE(2, 3), "max 2", 2, 4, 6, 8, 10, 12);
    EXPECT(g, nn_reduce(g, NN_REDUCE_MIN, x, 7, false), NN_SCALAR, "min", 1);
    nn_graph_free(g);
}

static void moving_numbers(void **state)
{
    nn_graph *g = nn_graph_new();
    const nn_id x = counted(g, NN_SHAPE(2, 3)), line = counted(g, NN_SHAPE(4));
    (void)state;
    EXPECT(g, nn_permute(g, x, (const int[]){ 1, 0 }), NN_SHAPE(3, 2), "transpose", 1, 4, 2, 5, 3, 6);
    EXPECT(g, nn_permute(g, counted(g, NN_SHAPE(2, 1, 3)), (const int[]){ 2, 0, 1 }), NN_SHAPE(3, 2, 1), "three axes",
           1, 4, 2, 5, 3, 6);
    EXPECT(g, nn_reshape(g, x, NN_SHAPE(3, -1)), NN_SHAPE(3, 2), "reshape", 1, 2, 3, 4, 5, 6);
    EXPECT(g, nn_concat(g, (const nn_id[]){ x, VALUES(g, NN_SHAPE(2, 1), 7, 8) }, 2, -1), NN_SHAPE(2, 4), "concat", 1,
           2, 3, 7, 4, 5, 6, 8);
    EXPECT(g, nn_slice(g, x, 1, -2, 3, 1), NN_SHAPE(2, 2), "slice", 2, 3, 5, 6);
    EXPECT(g, nn_slice(g, line, 0, 0, INT64_MAX, 3), NN_SHAPE(2), "step", 1, 4);
    EXPECT(g, nn_pad(g, line, NN_PAD_REFLECT, 0, 3, 1), NN_SHAPE(8), "reflect", 4, 3, 2, 1, 2, 3, 4, 3);
    EXPECT(g, nn_pad(g, line, NN_PAD_EDGE, 0, 2, 1), NN_SHAPE(7), "edge", 1, 1, 1, 2, 3, 4, 4);
    EXPECT(g, nn_pad(g, x, NN_PAD_ZERO, 0, 1, 0), NN_SHAPE(3, 3), "zero", 0, 0, 0, 1, 2, 3, 4, 5, 6);
    const int32_t ids[] = { 1, 0, 1, 5 };
    const nn_tensor t = { .type = NN_I32, .shape = NN_SHAPE(4), .data = ids, .scale_axis = -1 };
    EXPECT(g, nn_gather(g, x, nn_const(g, &t)), NN_SHAPE(4, 3), "gather", 4, 5, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0);
    nn_graph_free(g);
}

/* Attention is two products and a softmax; key heads are repeated, masks are added. */
static void attention_is_its_formula(void **state)
{
    enum { H = 4, KV = 2, T = 3, K = 5, D = 4 };
    static float q[H * T * D], k[KV * K * D], v[KV * K * D], mask[T * K];
    (void)state;
    test_fill(q, SM_LENGTH(q), "q", 1, 0, 1);
    test_fill(k, SM_LENGTH(k), "k", 1, 0, 1);
    test_fill(v, SM_LENGTH(v), "v", 1, 0, 1);
    test_fill(mask, SM_LENGTH(mask), "mask", 1, 0, 1);
    for (int mode = 0; mode < 8; mode++) {
        const bool causal = mode & 1, masked = mode & 2, cut = mode & 4;
        const int32_t length = cut ? 4 : K;
        double expected[H * T * D] = { 0 };
        nn_graph *g = nn_graph_new();
        for (int r = 0; r < H * T; r++) {
            const int kv = r / T / 2, i = r % T;
            double p[K], sum = 0;
            for (int j = 0; j < K; j++) {
                p[j] = masked ? (double)mask[i * K + j] : 0;
                for (int d = 0; d < D; d++)
                    p[j] += 0.5 * (double)q[r * D + d] * (double)k[(kv * K + j) * D + d];
                p[j] = j >= length || (causal && j > i + length - T) ? 0 : exp(p[j]);
                sum += p[j];
            }
            for (int j = 0; j < K; j++)
                for (int d = 0; d < D; d++)
                    expected[r * D + d] += p[j] / sum * (double)v[(kv * K + j) * D + d];
        }
        const nn_tensor n = { .type = NN_I32, .shape = NN_SHAPE(1), .data = &length, .scale_axis = -1 };
        const nn_id y =
            nn_attention(g, nn_const_f32(g, NN_SHAPE(1, H, T, D), q), nn_const_f32(g, NN_SHAPE(1, KV, K, D), k),
                         nn_const_f32(g, NN_SHAPE(1, KV, K, D), v),
                         masked ? nn_const_f32(g, NN_SHAPE(T, K), mask) : NN_NONE, cut ? nn_const(g, &n) : NN_NONE,
                         &(nn_attention_attrs){ .scale = 0.5f, .causal = causal });
        expect(g, y, NN_SHAPE(1, H, T, D), expected, "attention");
        nn_graph_free(g);
    }
}

static void rotary_turns_pairs(void **state)
{
    nn_graph *g = nn_graph_new();
    (void)state;
    /* step 0 stays; step 1: the first pair by 90 degrees, the second by 180; the fifth feature passes */
    const nn_id x = VALUES(g, NN_SHAPE(1, 1, 2, 5), 1, 2, 3, 4, 5, 1, 2, 3, 4, 5);
    const nn_id cosine = VALUES(g, NN_SHAPE(2, 2), 1, 1, 0, -1), sine = VALUES(g, NN_SHAPE(2, 2), 0, 0, 1, 0);
    EXPECT(g, nn_rotary(g, x, cosine, sine, 4), NN_SHAPE(1, 1, 2, 5), "rotary", 1, 2, 3, 4, 5, -3, -2, 1, -4, 5);
    nn_graph_free(g);
}

/* One unit by hand: all weights 1 for the input, 0 for the recurrence except the output gate. */
static void lstm_steps_by_hand(void **state)
{
    nn_graph *g = nn_graph_new();
    double c = 0, h = 0, expected[3];
    (void)state;
    for (int t = 0; t < 3; t++) {
        const double x = 0.5 * (t + 1);
        const double in = 1 / (1 + exp(-x)), forget = 1 / (1 + exp(-(2 * x + 1))),
                     out = 1 / (1 + exp(-(0.5 * x + 3 * h)));
        c = forget * c + in * tanh(-x);
        expected[t] = h = out * tanh(c);
    }
    const nn_id y =
        nn_lstm(g, VALUES(g, NN_SHAPE(1, 3, 1), 0.5, 1, 1.5), VALUES(g, NN_SHAPE(4, 1), 1, 2, -1, 0.5),
                VALUES(g, NN_SHAPE(4, 1), 0, 0, 0, 3), VALUES(g, NN_SHAPE(4), 0, 1, 0, 0), NN_NONE, NN_NONE);
    /* an operator that can change states is never a constant: run it */
    nn_plan *p = NULL;
    nn_run_state *r = NULL;
    float got[3];
    nn_output(g, "y", y);
    test_ok(nn_compile(g, &(nn_compile_options){ .backend = "ref" }, &p));
    test_ok(nn_run_state_new(p, &r));
    test_ok(nn_run(p, r, NULL, (float *[]){ got }));
    for (int t = 0; t < 3; t++)
        assert_true(fabs((double)got[t] - expected[t]) < 1e-7);
    nn_run_state_free(r);
    nn_plan_free(p);
    nn_graph_free(g);
}

/* Six steps at once are two runs of three with kept states. */
static void lstm_states_carry_over(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    float x[2 * 6 * 3], whole[2 * 6 * 4], part[2 * 3 * 4];
    (void)state;
    test_fill(x, SM_LENGTH(x), "lstm", 1, 0, 1);
    for (int steps = 6; steps >= 3; steps -= 3) {
        nn_graph *g = nn_graph_new();
        const nn_source *s = test_nn_source(w);
        const nn_id y = nn_lstm(g, nn_input(g, "x", NN_SHAPE(2, steps, 3)), nn_weight(g, s, "ih", NN_SHAPE(16, 3)),
                                nn_weight(g, s, "hh", NN_SHAPE(16, 4)), nn_weight(g, s, "b", NN_SHAPE(16)),
                                nn_state(g, "h", NN_SHAPE(2, 4)), nn_state(g, "c", NN_SHAPE(2, 4)));
        nn_output(g, "y", y);
        nn_plan *p = NULL;
        nn_run_state *r = NULL;
        test_ok(nn_compile(g, &(nn_compile_options){ .backend = "ref" }, &p));
        test_ok(nn_run_state_new(p, &r));
        if (steps == 6)
            test_ok(nn_run(p, r, (const void *[]){ x }, (float *[]){ whole }));
        for (int half = 0; steps == 3 && half < 2; half++) {
            float in[2 * 3 * 3];
            for (int n = 0; n < 2; n++)
                memcpy(in + n * 9, x + n * 18 + half * 9, 9 * sizeof *in);
            test_ok(nn_run(p, r, (const void *[]){ in }, (float *[]){ part }));
            for (int n = 0; n < 2; n++)
                for (int i = 0; i < 12; i++) /* the cell is kept in f32 between runs, in double within one */
                    assert_true(fabsf(part[n * 12 + i] - whole[n * 24 + half * 12 + i]) < 2e-7f);
        }
        nn_run_state_free(r);
        nn_plan_free(p);
        nn_graph_free(g);
    }
    test_nn_weights_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_have_their_known_values),
        cmocka_unit_test(two_operands_broadcast_like_numpy),
        cmocka_unit_test(convolutions_follow_the_definition),
        cmocka_unit_test(same_padding_is_tensorflows),
        cmocka_unit_test(transposed_convolution_spreads_its_input),
        cmocka_unit_test(products_of_matrices),
        cmocka_unit_test(norms_follow_their_formulas),
        cmocka_unit_test(gates_and_waves),
        cmocka_unit_test(pools_leave_padding_out),
        cmocka_unit_test(reductions_over_any_axes),
        cmocka_unit_test(moving_numbers),
        cmocka_unit_test(attention_is_its_formula),
        cmocka_unit_test(rotary_turns_pairs),
        cmocka_unit_test(lstm_steps_by_hand),
        cmocka_unit_test(lstm_states_carry_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
