/* Products in tiles and what stands behind them, on every instruction set that this CPU has. */
#include "support/support.h"

#include "nn/onednn/tiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t tiles_here(const nn_tiles *out[3])
{
    sm_cpu_info cpu;
    size_t n = 0;
    sm_cpu_detect(&cpu);
    out[n++] = &nn_tiles_base;
    if (cpu.avx2 && cpu.fma)
        out[n++] = &nn_tiles_avx2;
    if (cpu.avx512)
        out[n++] = &nn_tiles_avx512;
    return n;
}

static float *filled(size_t n, const char *name)
{
    float *v = sm_alloc_aligned(n, sizeof *v);
    assert_non_null(v);
    test_fill(v, n, name, 1, 0, 1);
    return v;
}

/* Rows far apart, slabs that overlap and go back, one column and two, with a start and without. */
static void products_match_the_definition(void **state)
{
    static const int64_t slab[3] = { 40, 0, 57 };
    const nn_tiles *all[3];
    const size_t n = tiles_here(all);
    (void)state;
    for (size_t t = 0; t < n; t++)
        for (int rows = 1; rows <= 30; rows++)
            for (int columns = 1; columns <= 2; columns++)
                for (int depth = 1; depth <= 19; depth += 9) {
                    const int lanes = all[t]->lanes, width = columns * lanes;
                    const int64_t ldc = 48 * lanes;
                    float *a = filled(30 * 101 + 100, "a"), *b = filled((size_t)(3 * depth * width), "b");
                    float *c = filled((size_t)(2 * ldc), "c"), *start = filled((size_t)width, "start");
                    const nn_tile_rows from = { a, 101, rows, slab, 3, depth };
                    all[t]->product(&from, b, depth == 1 ? NULL : start, columns, c, ldc);
                    for (int i = 0; i < rows; i++)
                        for (int k = 0; k < width; k++) {
                            double sum = depth == 1 ? 0 : (double)start[k];
                            for (int s = 0; s < 3; s++)
                                for (int d = 0; d < depth; d++)
                                    sum += (double)a[i * 101 + slab[s] + d] * (double)b[(s * depth + d) * width + k];
                            const double got = (double)c[k / lanes * ldc + i * lanes + k % lanes];
                            if (!(fabs(got - sum) < 1e-5)) /* up to 57 products of numbers below 2 */
                                fail_msg("%s: row %d of %d, column %d: %g, not %g", all[t]->name, i, rows, k, got, sum);
                        }
                    sm_free(a);
                    sm_free(b);
                    sm_free(c);
                    sm_free(start);
                }
}

/* Rows that go nowhere stay untouched, and so do the numbers beside a narrow row. */
static void a_gate_writes_its_rows_and_nothing_else(void **state)
{
    enum { ROWS = 13, PITCH = 40 };
    const nn_tiles *all[3];
    const size_t n = tiles_here(all);
    (void)state;
    for (size_t t = 0; t < n; t++)
        for (int channels = 1; channels <= all[t]->lanes; channels++)
            for (int residual = 0; residual < 2; residual++) {
                const int lanes = all[t]->lanes;
                float *a = filled((size_t)(ROWS * lanes), "a"), *b = filled((size_t)(ROWS * lanes), "b");
                float *v = filled(5 * NN_TILE_LANES, "vectors"), *x = filled(ROWS * PITCH, "x");
                float *y = filled(ROWS * PITCH, "y"), *before = filled(ROWS * PITCH, "y");
                int64_t at[ROWS];
                for (int i = 0; i < ROWS; i++)
                    at[i] = i % 5 == 3 ? -1 : (int64_t)i * PITCH;
                const nn_tile_gate gate = { v, v + 16, v + 32, v + 48, v + 64, residual ? x : NULL };
                all[t]->gate_store(a, b, ROWS, &gate, &(nn_tile_place){ y, at, channels });
                for (int i = 0; i < ROWS; i++)
                    for (int k = 0; k < PITCH; k++) {
                        double expected = (double)before[i * PITCH + k];
                        if (at[i] >= 0 && k < channels)
                            expected =
                                (residual ? (double)x[i * PITCH + k] : 0) +
                                (double)v[64 + k] * ((double)a[i * lanes + k] * (double)v[k] + (double)v[16 + k]) /
                                    (1 + exp(-((double)b[i * lanes + k] * (double)v[32 + k] + (double)v[48 + k])));
                        if (!(fabs((double)y[i * PITCH + k] - expected) < 1e-6))
                            fail_msg("%s, %d channels: row %d, number %d", all[t]->name, channels, i, k);
                    }
                sm_free(a);
                sm_free(b);
                sm_free(v);
                sm_free(x);
                sm_free(y);
                sm_free(before);
            }
}

static void sums_and_moments_match_the_definition(void **state)
{
    const nn_tiles *all[3];
    const size_t n = tiles_here(all);
    (void)state;
    for (size_t t = 0; t < n; t++)
        for (int rows = 1; rows <= 98; rows += 97 / 4)
            for (int used = 1; used <= 40; used += 13) {
                const int lanes = all[t]->lanes, width = (used + lanes - 1) / lanes * lanes;
                float *v = filled((size_t)(rows * width), "v"), *mean = filled((size_t)width, "mean");
                float *sum = filled((size_t)width, "s"), *square = filled((size_t)width, "q");
                float *m = filled((size_t)((used + 12) * width), "m");
                all[t]->sums(v, rows, width, sum);
                all[t]->squares(v, rows, width, mean, square);
                all[t]->moments(v, rows, width, used, m);
                for (int k = 0; k < used; k++) {
                    double s = 0, q = 0;
                    for (int i = 0; i < rows; i++) {
                        s += (double)v[i * width + k];
                        q += pow((double)v[i * width + k] - (double)mean[k], 2);
                    }
                    if (!(fabs((double)sum[k] - s) < 2e-5 && fabs((double)square[k] - q) < 1e-4))
                        fail_msg("%s: %d rows, column %d of %d", all[t]->name, rows, k, used);
                    for (int j = 0; j < width; j++) {
                        double product = 0;
                        for (int i = 0; i < rows; i++)
                            product += (double)v[i * width + k] * (double)v[i * width + j];
                        if (!(fabs((double)m[k * width + j] - product) < 5e-5))
                            fail_msg("%s: moment %d, %d of %d rows", all[t]->name, k, j, rows);
                    }
                }
                sm_free(v);
                sm_free(mean);
                sm_free(sum);
                sm_free(square);
                sm_free(m);
            }
}

/* Input and filter transformed, multiplied, transformed back: the correlation, in one axis or two. The filter's transform is written
 * out here from the points. */
static void check_winograd(const nn_tiles *tiles, int axes, int taps)
{
    static const double two[3] = { 0, 1, -1 }, three[5] = { 0, M_SQRT1_2, -M_SQRT1_2, M_SQRT2, -M_SQRT2 };
    static const double g[3] = { 0.3, -0.7, 1.1 };
    const double *point = taps == 2 ? two : three;
    const int points = taps == 2 ? 3 : 5, each = taps == 2 ? 3 : 4, bins = axes == 2 ? 36 : points + 1;
    const int lanes = tiles->lanes, channels = lanes + 3, width = 2 * lanes;
    float *x = filled((size_t)(bins * channels), "x"), *v = filled((size_t)(bins * width), "v");
    float *y = filled((size_t)(16 * lanes), "y"), *bias = filled((size_t)lanes, "bias");
    double u[6];
    int64_t at[36];
    for (int i = 0; i < points; i++) {
        u[i] = g[0] + point[i] * (g[1] + (taps == 3 ? point[i] * g[2] : 0));
        for (int k = 0; k < points; k++)
            u[i] /= k == i ? 1 : point[i] - point[k];
    }
    u[points] = g[taps - 1];
    for (int i = 0; i < bins; i++)
        at[i] = i % 7 == 2 ? -1 : (int64_t)i * channels; /* some zeros */
    tiles->wino_input(axes, taps, x, at, channels, v, width);
    for (int i = 0; i < bins; i++)
        for (int k = 0; k < width; k++)
            v[i * width + k] *= (float)(axes == 2 ? u[i / 6] * u[i % 6] : u[i]);
    tiles->wino_output(axes, taps, v + lanes, width, bias, y); /* the second vector: channels lanes.. */
    for (int i = 0; i < (axes == 2 ? each : 1); i++)
        for (int j = 0; j < each; j++)
            for (int k = 0; k < 3; k++) {
                double expected = (double)bias[k];
                for (int p = 0; p < (axes == 2 ? taps : 1); p++)
                    for (int q = 0; q < taps; q++) {
                        const int from = (i + p) * (axes == 2 ? 6 : 0) + j + q;
                        if (at[from] >= 0)
                            expected += (double)x[at[from] + lanes + k] * g[q] * (axes == 2 ? g[p] : 1);
                    }
                const double got = (double)y[(i * each + j) * lanes + k];
                if (!(fabs(got - expected) < 1e-5))
                    fail_msg("%s, %d axes, %d taps, (%d, %d): %g, not %g", tiles->name, axes, taps, i, j, got,
                             expected);
            }
    sm_free(x);
    sm_free(v);
    sm_free(y);
    sm_free(bias);
}

static void winograds_transforms_give_the_correlation(void **state)
{
    const nn_tiles *all[3];
    const size_t n = tiles_here(all);
    (void)state;
    for (size_t t = 0; t < n; t++) {
        check_winograd(all[t], 1, 3);
        check_winograd(all[t], 2, 3);
        check_winograd(all[t], 1, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_the_definition),
        cmocka_unit_test(a_gate_writes_its_rows_and_nothing_else),
        cmocka_unit_test(sums_and_moments_match_the_definition),
        cmocka_unit_test(winograds_transforms_give_the_correlation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
