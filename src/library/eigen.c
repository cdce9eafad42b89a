/* Householder's reduction to a tridiagonal matrix, then QL steps with implicit shifts: Golub and Van Loan, Matrix Computations,
 * sections 8.3.1 and 8.3.3. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "library/eigen.h"

enum { MOST_STEPS = 60 };

/* v of the reflection 1 - beta v v' that takes x[0..n) to (alpha, 0, ...); v overwrites x. v is scaled to a largest value of about 1: of few
 * rows in many dimensions what is left soon is so small that its squares would be zero. */
static double reflector(double *x, size_t n, double *alpha)
{
    double scale = 0, square = 0;

    for (size_t i = 1; i < n; i++)
        scale = fmax(scale, fabs(x[i]));
    *alpha = x[0];
    if (scale == 0)
        return 0;
    scale = fmax(scale, fabs(x[0]));
    for (size_t i = 0; i < n; i++) {
        x[i] /= scale;
        square += i > 0 ? x[i] * x[i] : 0;
    }
    const double length = sqrt(x[0] * x[0] + square), to = x[0] > 0 ? -length : length;
    *alpha = scale * to;
    x[0] -= to;
    return 2 / (x[0] * x[0] + square);
}

/* a -> diagonal d, beside it e[0..n-2]; row k of a keeps the k-th reflector at k+1.., its beta in betas[k]. work: [n]. */
static void tridiagonal(double *a, size_t n, double *d, double *e, double *betas, double *work)
{
    for (size_t k = 0; k + 2 < n; k++) {
        double *v = a + k * n + k + 1, dot = 0;
        const size_t m = n - k - 1;
        const double beta = betas[k] = reflector(v, m, &e[k]);
        d[k] = a[k * n + k];
        if (beta == 0)
            continue;
        /* A <- A - v w' - w v' with p = beta A v, w = p - (beta p'v / 2) v */
        for (size_t i = 0; i < m; i++) {
            const double *row = a + (k + 1 + i) * n + k + 1;
            double sum = 0;
            for (size_t j = 0; j < m; j++)
                sum += row[j] * v[j];
            work[i] = beta * sum;
            dot += work[i] * v[i];
        }
        for (size_t i = 0; i < m; i++)
            work[i] -= beta * dot / 2 * v[i];
        for (size_t i = 0; i < m; i++) {
            double *row = a + (k + 1 + i) * n + k + 1;
            for (size_t j = 0; j < m; j++)
                row[j] -= v[i] * work[j] + work[i] * v[j];
        }
    }
    if (n >= 2) {
        d[n - 2] = a[(n - 2) * n + n - 2];
        e[n - 2] = a[(n - 2) * n + n - 1];
    }
    d[n - 1] = a[n * n - 1];
    e[n - 1] = 0;
}

/* q = H(n-3) ... H1 H0: its rows are the basis in which the matrix is tridiagonal. */
static void basis(const double *a, size_t n, const double *betas, double *q)
{
    memset(q, 0, n * n * sizeof *q);
    for (size_t i = 0; i < n; i++)
        q[i * n + i] = 1;
    for (size_t k = n < 2 ? 0 : n - 2; k-- > 0;) {
        const double *v = a + k * n + k + 1;
        const size_t m = n - k - 1;
        for (size_t i = k + 1; i < n && betas[k] != 0; i++) { /* row i of q times the reflection */
            double *row = q + i * n + k + 1, sum = 0;
            for (size_t j = 0; j < m; j++)
                sum += row[j] * v[j];
            for (size_t j = 0; j < m; j++)
                row[j] -= betas[k] * sum * v[j];
        }
    }
}

static void turn(double *x, double *y, size_t n, double c, double s)
{
    for (size_t i = 0; i < n; i++) {
        const double a = x[i], b = y[i];
        x[i] = c * a - s * b;
        y[i] = s * a + c * b;
    }
}

/* One QL step on rows low..high, turning the rows of q along. */
static void ql_step(double *d, double *e, double *q, size_t n, size_t low, size_t high)
{
    double g = (d[low + 1] - d[low]) / (2 * e[low]), r = hypot(g, 1);
    double s = 1, c = 1, p = 0;

    g = d[high] - d[low] + e[low] / (g + copysign(r, g)); /* Wilkinson's shift */
    for (size_t i = high; i-- > low;) {
        double f = s * e[i];
        const double b = c * e[i];
        r = hypot(f, g);
        e[i + 1] = r;
        if (r == 0) {
            d[i + 1] -= p;
            e[high] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        f = (d[i] - g) * s + 2 * c * b;
        p = s * f;
        d[i + 1] = g + p;
        g = c * f - b;
        turn(q + i * n, q + (i + 1) * n, n, c, s);
    }
    d[low] -= p;
    e[low] = g;
    e[high] = 0;
}

/* What is small beside the largest value counts as zero: of few rows in many dimensions most values are rounding, of each other's size. */
static int ql(double *d, double *e, double *q, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(d[i]) + (i + 1 < n ? fabs(e[i]) : 0));
    for (size_t low = 0; low < n; low++)
        for (int steps = 0;; steps++) {
            size_t high = low;
            while (high + 1 < n && fabs(e[high]) > DBL_EPSILON * largest)
                high++;
            if (high == low)
                break;
            if (steps == MOST_STEPS)
                return sm_fail(SM_EINTERNAL, "eigenvalues of a matrix of %zu rows do not converge", n);
            ql_step(d, e, q, n, low, high);
        }
    return 0;
}

/* Largest first, into a. */
static void sort_into(double *a, double *values, const double *d, const double *q, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t rank = 0, top = 0;
        for (size_t j = 0; j < n; j++)
            rank += d[j] > d[i] || (d[j] == d[i] && j < i);
        for (size_t j = 1; j < n; j++)
            if (fabs(q[i * n + j]) > fabs(q[i * n + top]))
                top = j;
        const double sign = q[i * n + top] < 0 ? -1 : 1;
        values[rank] = d[i];
        for (size_t j = 0; j < n; j++)
            a[rank * n + j] = sign * q[i * n + j];
    }
}

int sm_eigen_symmetric(double *a, double *values, size_t n)
{
    double *work = sm_alloc_zero(4 * n, sizeof *work), *q = sm_alloc(n, n * sizeof *q);
    int err = work && q ? 0 : SM_ENOMEM;

    for (size_t i = 0; i < n * n && err == 0; i++)
        if (!isfinite(a[i]))
            err = sm_fail(SM_EINTERNAL, "eigenvalues of a matrix with a value that is not finite");
    if (err == 0 && n > 0) {
        double *d = work, *e = work + n, *betas = work + 2 * n;
        tridiagonal(a, n, d, e, betas, work + 3 * n);
        basis(a, n, betas, q);
        err = ql(d, e, q, n);
        if (err == 0)
            sort_into(a, values, d, q, n);
    }
    sm_free(work);
    sm_free(q);
    return err;
}
