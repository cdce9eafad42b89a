/* Eigenvalues and eigenvectors, held against their definition. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "library/eigen.h"
#include "support/clustered.h"

static void rows_are_eigenvectors_of_length_one_and_the_largest_value_comes_first(void **state)
{
    static const size_t sizes[] = { 1, 2, 3, 7, 64, 129 };

    (void)state;
    for (size_t s = 0; s < SM_LENGTH(sizes); s++)
        for (int kind = 0; kind < 3; kind++) { /* random; of low rank; with equal values */
            const size_t n = sizes[s];
            double *a = sm_alloc(n * n, sizeof *a), *m = sm_alloc(n * n, sizeof *m),
                   *values = sm_alloc(n, sizeof *values);
            uint64_t random = n;
            assert_true(a && m && values);
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j <= i; j++)
                    a[i * n + j] = a[j * n + i] = kind == 0   ? test_random_normal(&random)
                                                  : kind == 1 ? (double)(i + 1) * (double)(j + 1)
                                                              : (i == j ? (double)(i % 2) : 0);
            memcpy(m, a, n * n * sizeof *a);
            test_ok(sm_eigen_symmetric(a, values, n));
            double scale = 0;
            for (size_t i = 0; i < n; i++)
                scale = fmax(scale, fabs(values[i]));
            for (size_t i = 0; i < n; i++) {
                assert_true(i == 0 || values[i - 1] >= values[i]);
                for (size_t j = 0; j < n; j++) {
                    double product = 0, dot = 0;
                    for (size_t k = 0; k < n; k++) {
                        product += m[j * n + k] * a[i * n + k];
                        dot += a[i * n + k] * a[j * n + k];
                    }
                    /* backward stable: some n times the rounding of double */
                    assert_true(fabs(product - values[i] * a[i * n + j]) < 1e-13 * (double)n * (scale + 1));
                    assert_true(fabs(dot - (i == j)) < 1e-13 * (double)n);
                }
            }
            sm_free(a);
            sm_free(m);
            sm_free(values);
        }
}

static void a_value_that_is_not_finite_is_an_error(void **state)
{
    double a[] = { 1, NAN, NAN, 1 }, values[2];
    (void)state;
    test_fails(sm_eigen_symmetric(a, values, 2), SM_EINTERNAL, "not finite");
}

/* Two sounds in 512 dimensions: one value, and 511 that are rounding of float products, each as large as its neighbours. */
static void of_two_rows_in_many_dimensions_one_value_is_left(void **state)
{
    enum { N = 512 };
    double *a = sm_alloc((size_t)N * N, sizeof *a), values[N], length = 0;
    float u[N];
    uint64_t random = 3;

    (void)state;
    assert_true(a != NULL);
    for (size_t i = 0; i < N; i++) {
        u[i] = i % 4 ? 0 : (float)(1e-3 * test_random_normal(&random));
        length += (double)u[i] * (double)u[i];
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            a[i * N + j] = (double)(u[i] * u[j]);
    test_ok(sm_eigen_symmetric(a, values, N));
    assert_float_equal(values[0], length, 1e-6 * length);
    assert_true(fabs(values[1]) < 1e-6 * length && fabs(values[N - 1]) < 1e-6 * length);
    sm_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_eigenvectors_of_length_one_and_the_largest_value_comes_first),
        cmocka_unit_test(of_two_rows_in_many_dimensions_one_value_is_left),
        cmocka_unit_test(a_value_that_is_not_finite_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
