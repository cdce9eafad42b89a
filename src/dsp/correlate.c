/* How alike two waveforms are where they lie best upon each other. */
#include <string.h>

#include "dsp/dsp.h"

/* The next length from n on that has no prime factor above 5 and is even: KissFFT is fast there. */
static int fast_length(size_t n)
{
    for (n += n & 1;; n += 2) {
        size_t rest = n;
        for (size_t p = 2; p <= 5; p += p == 2 ? 1 : 2)
            while (rest % p == 0)
                rest /= p;
        if (rest == 1)
            return (int)n;
    }
}

/* Running sums of squares: energy of the first i samples. */
static void energies(const float *x, size_t n, double *out)
{
    out[0] = 0;
    for (size_t i = 0; i < n; i++)
        out[i + 1] = out[i] + (double)x[i] * x[i];
}

typedef struct {
    const float *products; /* circular, [n] */
    int n;
    const double *ea, *eb; /* running energies */
    int na, nb;
} lags;

/* Energies of the two parts that meet at this lag; false: too little of the sounds does. */
static bool overlap(const lags *l, int lag, double *energy_a, double *energy_b)
{
    const int from_a = SM_MAX(lag, 0), from_b = SM_MAX(-lag, 0), length = SM_MIN(l->na - from_a, l->nb - from_b);
    if (length <= 0)
        return false;
    *energy_a = l->ea[from_a + length] - l->ea[from_a];
    *energy_b = l->eb[from_b + length] - l->eb[from_b];
    /* an overlap without most of the energy of both would compare tails */
    return *energy_a >= 0.5 * l->ea[l->na] && *energy_b >= 0.5 * l->eb[l->nb] && *energy_a * *energy_b > 0;
}

static double product(const lags *l, int lag)
{
    return (double)l->products[lag >= 0 ? lag : l->n + lag];
}

/* The products are samples of a band-limited function of the lag: between them by a windowed sinc. */
static double product_between(const lags *l, int lag, double fraction)
{
    enum { SIDE = 24 };
    double sum = 0;
    for (int k = -SIDE; k <= SIDE; k++) {
        const double x = k - fraction;
        const double sinc = fabs(x) < 1e-9 ? 1 : sin(M_PI * x) / (M_PI * x);
        sum += product(l, lag + k) * sinc * (0.5 + 0.5 * cos(M_PI * x / (SIDE + 1)));
    }
    return sum;
}

static void best_lag(const lags *l, int most_lag, bool between, dsp_correlation *out)
{
    double energy_a = 0, energy_b = 0;
    int best = 0;
    for (int lag = -most_lag; lag <= most_lag; lag++) {
        if (!overlap(l, lag, &energy_a, &energy_b))
            continue;
        const double r = product(l, lag) / sqrt(energy_a * energy_b);
        if (fabs(r) > fabs(out->correlation)) {
            *out = (dsp_correlation){ .correlation = r, .lag = lag, .gain = product(l, lag) / energy_b };
            best = lag;
        }
    }
    if (!between || out->correlation == 0 || !overlap(l, best, &energy_a, &energy_b))
        return;
    for (int step = -8; step <= 8; step++) {
        const double fraction = step / 16.0, p = product_between(l, best, fraction);
        const double r = p / sqrt(energy_a * energy_b);
        if (fabs(r) > fabs(out->correlation))
            *out = (dsp_correlation){ .correlation = r, .lag = best + fraction, .gain = p / energy_b };
    }
}

int dsp_correlate(const float *a, size_t na, const float *b, size_t nb, int most_lag, bool between,
                  dsp_correlation *out)
{
    *out = (dsp_correlation){ 0 };
    if (na == 0 || nb == 0)
        return 0;
    if (na > 1 << 22 || nb > 1 << 22)
        return sm_fail(SM_ELIMIT, "waveforms of %zu and %zu samples are too long to be correlated", na, nb);
    most_lag = SM_MIN(most_lag, (int)SM_MAX(na, nb));
    /* the shorter one and the lags fit behind the longer one: nothing wraps within the lags, nor within the sinc's reach */
    const int n = fast_length(SM_MAX(na, nb) + (size_t)most_lag + 64);
    const size_t bins = (size_t)n / 2 + 1;
    dsp_fft *fft = NULL;
    float *work = sm_alloc_zero((size_t)n + 4 * bins, sizeof *work);
    double *sums = sm_alloc(na + nb + 2, sizeof *sums);
    int err = work && sums ? dsp_fft_new(n, &fft) : SM_ENOMEM;
    if (err == 0) {
        float *fa = work + n, *fb = fa + 2 * bins;
        memcpy(work, a, na * sizeof *a);
        dsp_fft_forward(fft, work, fa);
        memset(work, 0, (size_t)n * sizeof *work);
        memcpy(work, b, nb * sizeof *b);
        dsp_fft_forward(fft, work, fb);
        for (size_t i = 0; i < 2 * bins; i += 2) { /* a times the conjugate of b */
            const float re = fa[i] * fb[i] + fa[i + 1] * fb[i + 1], im = fa[i + 1] * fb[i] - fa[i] * fb[i + 1];
            fa[i] = re;
            fa[i + 1] = im;
        }
        dsp_fft_inverse(fft, fa, work);
        energies(a, na, sums);
        energies(b, nb, sums + na + 1);
        best_lag(&(lags){ work, n, sums, sums + na + 1, (int)na, (int)nb }, most_lag, between, out);
        out->correlation = SM_CLAMP(out->correlation, -1, 1);
    }
    dsp_fft_free(fft);
    sm_free(work);
    sm_free(sums);
    return err;
}
