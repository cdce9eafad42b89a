/* Vector functions on every instruction set that this CPU has, against libm in double. */
#include "support/support.h"

#include "nn/graph.h"
#include "nn/onednn/vmath.h"

#include <float.h>
#include <math.h>
#include <string.h>

static size_t kernels_here(const nn_vmath *out[3])
{
    sm_cpu_info cpu;
    size_t n = 0;
    sm_cpu_detect(&cpu);
    out[n++] = &nn_vmath_base;
    if (cpu.avx2 && cpu.fma)
        out[n++] = &nn_vmath_avx2;
    if (cpu.avx512)
        out[n++] = &nn_vmath_avx512;
    return n;
}

/* Bounds in units of 2^-24. relative: of the value, where it is at least `from`; absolute: everywhere. Functions built on e^x of an argument that
 * was rounded before lose |x| / 2 units there. */
static const struct {
    nn_unary_kind kind;
    const char *name;
    double low, high, relative, absolute, from;
} rows[] = {
    { NN_EXP, "exp", -87, 88.7, 3, INFINITY, 0 },
    { NN_EXP, "exp into denormals", -110, -80, INFINITY, 1e-30, 0 },
    { NN_SIGMOID, "sigmoid", -80, 80, 5, 2, 0 },
    { NN_TANH, "tanh", -30, 30, 6, 6, 0 },
    { NN_TANH, "tanh near 0", -0.01, 0.01, 6, 1, 0 },
    { NN_SWISH, "swish", -80, 80, 6, INFINITY, 0 },
    { NN_GELU, "gelu", -12, 12, 8, 8, 0.1 },
    { NN_GELU, "gelu's tail", -5, 0, 400, 2, 0 },
    { NN_GELU_TANH, "gelu_tanh", -8, 8, INFINITY, 12, 0 },
    { NN_ERF, "erf", -6, 6, 6, 3, 0 },
    { NN_ERF, "erf near 0", -0.01, 0.01, 3, 1, 0 },
    { NN_RSQRT, "rsqrt", 1e-6, 1e6, 3, INFINITY, 0 },
    { NN_SIN, "sin", -1e4, 1e4, INFINITY, 3, 0 },
    { NN_COS, "cos", -1e5, 1e5, INFINITY, 3, 0 },
    { NN_SIN, "sin of large numbers", -1e9, 1e9, INFINITY, 3, 0 },
};

enum { COUNT = 200003 };

static void functions_agree_with_libm(void **state)
{
    const nn_vmath *kernels[3];
    const size_t n = kernels_here(kernels);
    float *x = sm_alloc(COUNT, sizeof *x), *y = sm_alloc(COUNT, sizeof *y);
    (void)state;
    assert_true(x && y);
    for (size_t k = 0; k < n; k++)
        for (size_t r = 0; r < SM_LENGTH(rows); r++) {
            double relative = 0, absolute = 0;
            for (int i = 0; i < COUNT; i++)
                x[i] = (float)(rows[r].low + (rows[r].high - rows[r].low) * i / (COUNT - 1));
            kernels[k]->unary[rows[r].kind](x, y, COUNT);
            for (int i = 0; i < COUNT; i++) {
                const double truth = nn_unary_value(rows[r].kind, (double)x[i], 0, 0);
                const double error = fabs((double)y[i] - truth) * 16777216;
                absolute = fmax(absolute, error);
                if (fabs(truth) > fmax(rows[r].from, (double)FLT_MIN))
                    relative = fmax(relative, error / fabs(truth));
            }
            if (!(relative <= rows[r].relative) || !(absolute <= rows[r].absolute))
                fail_msg("%s, %s: relative %g, absolute %g units of 2^-24", kernels[k]->name, rows[r].name, relative,
                         absolute);
        }
    sm_free(x);
    sm_free(y);
}

static void ends_of_the_range_are_what_they_should_be(void **state)
{
    static const struct {
        nn_unary_kind kind;
        float x, y;
    } ends[] = {
        { NN_EXP, -INFINITY, 0 },
        { NN_EXP, INFINITY, INFINITY },
        { NN_EXP, 0, 1 },
        { NN_EXP, 100, INFINITY },
        { NN_SIGMOID, -INFINITY, 0 },
        { NN_SIGMOID, INFINITY, 1 },
        { NN_TANH, 0, 0 },
        { NN_TANH, INFINITY, 1 },
        { NN_TANH, -INFINITY, -1 },
        { NN_GELU, 0, 0 },
        { NN_GELU, 100, 100 },
        { NN_GELU, -100, 0 },
        { NN_ERF, INFINITY, 1 },
        { NN_ERF, -INFINITY, -1 },
        { NN_GELU, 1e30f, 1e30f },
        { NN_GELU, -1e5f, 0 },
        { NN_SIN, 0, 0 },
        { NN_COS, 0, 1 },
    };
    const nn_vmath *kernels[3];
    const size_t n = kernels_here(kernels);
    (void)state;
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < SM_LENGTH(ends); i++) {
            float y;
            kernels[k]->unary[ends[i].kind](&ends[i].x, &y, 1);
            if (y != ends[i].y)
                fail_msg("%s: kind %d of %g is %g", kernels[k]->name, (int)ends[i].kind, (double)ends[i].x, (double)y);
        }
        for (int kind = 0; kind < NN_UNARY_KINDS; kind++)
            if (kernels[k]->unary[kind]) {
                float y = NAN;
                kernels[k]->unary[kind](&y, &y, 1);
                if (y == y)
                    fail_msg("%s: kind %d hides a NaN", kernels[k]->name, kind);
            }
    }
}

static void arrays_of_any_length_are_done_and_nothing_behind_them(void **state)
{
    const nn_vmath *kernels[3];
    const size_t n = kernels_here(kernels);
    (void)state;
    for (size_t k = 0; k < n; k++)
        for (int kind = 0; kind < NN_UNARY_KINDS; kind++)
            for (int length = 0; length < 40 && kernels[k]->unary[kind]; length++) {
                float x[48], y[48];
                for (int i = 0; i < 48; i++) {
                    x[i] = 0.1f * (float)(i + 1);
                    y[i] = 7;
                }
                kernels[k]->unary[kind](x, y, length);
                for (int i = 0; i < 48; i++) {
                    const double truth = i < length ? nn_unary_value((nn_unary_kind)kind, (double)x[i], 0, 0) : 7;
                    if (!(fabs((double)y[i] - truth) <= 1e-6 * fmax(1, fabs(truth))))
                        fail_msg("%s: kind %d, %d numbers: place %d is %g, not %g", kernels[k]->name, kind, length, i,
                                 (double)y[i], truth);
                }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_agree_with_libm),
        cmocka_unit_test(ends_of_the_range_are_what_they_should_be),
        cmocka_unit_test(arrays_of_any_length_are_done_and_nothing_behind_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
