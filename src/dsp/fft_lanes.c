/* A real DFT of n numbers as a complex one of n / 2: Stockham's form in steps of four (two where the size asks for it), which needs
 * no bit reversal, on lanes of independent transforms, so that every inner loop is the same arithmetic on neighbours. */
#include <math.h>

#include "dsp/fft_lanes.h"

enum { LANES = DSP_FFT_LANES, PAIR = 2 * LANES }; /* a complex number of all lanes: real parts, then imaginary ones */

struct dsp_fft_lanes {
    int half;       /* n / 2 */
    double *steps;  /* of each step of four: [length / 4][cos, -sin of one, two, three turns p / length] */
    double *unpack; /* [half / 2 + 1][cos, -sin of k / n] */
};

static int count_steps(int half)
{
    int n = 0;
    for (int length = half; length >= 4; length /= 4)
        n += length / 4;
    return n;
}

int dsp_fft_lanes_new(int n, dsp_fft_lanes **out)
{
    *out = NULL;
    if (n < 16 || n > 65536 || (n & (n - 1)))
        return sm_fail(SM_EUSAGE, "a DFT of %d numbers was asked for, a power of two from 16 to 65536 is possible", n);
    dsp_fft_lanes *f = sm_alloc_zero(1, sizeof *f);
    if (!f)
        return SM_ENOMEM;
    f->half = n / 2;
    f->steps = sm_alloc((size_t)count_steps(f->half) * 6, sizeof *f->steps);
    f->unpack = sm_alloc(((size_t)f->half / 2 + 1) * 2, sizeof *f->unpack);
    if (!f->steps || !f->unpack) {
        dsp_fft_lanes_free(f);
        return SM_ENOMEM;
    }
    double *w = f->steps;
    for (int length = f->half; length >= 4; length /= 4)
        for (int p = 0; p < length / 4; p++)
            for (int k = 1; k <= 3; k++) {
                *w++ = cos(2 * M_PI * k * p / length);
                *w++ = -sin(2 * M_PI * k * p / length);
            }
    for (int k = 0; k <= f->half / 2; k++) {
        f->unpack[2 * k] = cos(2 * M_PI * k / n);
        f->unpack[2 * k + 1] = -sin(2 * M_PI * k / n);
    }
    *out = f;
    return 0;
}

void dsp_fft_lanes_free(dsp_fft_lanes *f)
{
    if (!f)
        return;
    sm_free(f->steps);
    sm_free(f->unpack);
    sm_free(f);
}

/* One butterfly of four, `from` numbers apart; results go `to` apart. w: three twiddles. */
static void four(const double *restrict x, size_t from, double *restrict y, size_t to, const double *w)
{
    const double *a = x, *b = x + from, *c = x + 2 * from, *d = x + 3 * from;
    double *y0 = y, *y1 = y + to, *y2 = y + 2 * to, *y3 = y + 3 * to;
    for (int l = 0; l < LANES; l++) {
        const int i = l + LANES;
        const double sum_r = a[l] + c[l], sum_i = a[i] + c[i], dif_r = a[l] - c[l], dif_i = a[i] - c[i];
        const double sam_r = b[l] + d[l], sam_i = b[i] + d[i], ban_r = b[l] - d[l], ban_i = b[i] - d[i];
        const double r1 = dif_r + ban_i, i1 = dif_i - ban_r; /* - j (b - d) */
        const double r2 = sum_r - sam_r, i2 = sum_i - sam_i;
        const double r3 = dif_r - ban_i, i3 = dif_i + ban_r;
        y0[l] = sum_r + sam_r;
        y0[i] = sum_i + sam_i;
        y1[l] = r1 * w[0] - i1 * w[1];
        y1[i] = r1 * w[1] + i1 * w[0];
        y2[l] = r2 * w[2] - i2 * w[3];
        y2[i] = r2 * w[3] + i2 * w[2];
        y3[l] = r3 * w[4] - i3 * w[5];
        y3[i] = r3 * w[5] + i3 * w[4];
    }
}

static void two(const double *restrict x, size_t from, double *restrict y)
{
    for (int l = 0; l < PAIR; l++) {
        y[l] = x[l] + x[from + (size_t)l];
        y[from + (size_t)l] = x[l] - x[from + (size_t)l];
    }
}

/* |X|^2 of bins k and half - k from Z = even + j odd: X[k] = (Z[k] + Z*[half-k]) / 2 - j w^k (Z[k] - Z*[half-k]) / 2. */
static void unpack(const double *z, const double *back, double c, double s, double *low, double *high)
{
    for (int l = 0; l < LANES; l++) {
        const int i = l + LANES;
        const double er = (z[l] + back[l]) / 2, ei = (z[i] - back[i]) / 2;
        const double dr = (z[l] - back[l]) / 2, di = (z[i] + back[i]) / 2;
        const double or = dr * s + di * c, oi = di * s - dr * c; /* -j w (dr + j di) */
        low[l] = (er + or) * (er + or) + (ei + oi) * (ei + oi);
        high[l] = (er - or) * (er - or) + (ei - oi) * (ei - oi);
    }
}

void dsp_fft_lanes_power(const dsp_fft_lanes *f, double *x, double *work, double *power)
{
    const size_t half = (size_t)f->half;
    const double *w = f->steps;
    size_t length = half, stride = 1;
    for (; length >= 4; length /= 4, stride *= 4) {
        const size_t quarter = length / 4;
        for (size_t p = 0; p < quarter; p++, w += 6)
            for (size_t q = 0; q < stride; q++)
                four(x + (q + stride * p) * PAIR, stride * quarter * PAIR, work + (q + stride * 4 * p) * PAIR,
                     stride * PAIR, w);
        double *swap = x;
        x = work;
        work = swap;
    }
    if (length == 2) {
        for (size_t q = 0; q < stride; q++)
            two(x + q * PAIR, stride * PAIR, work + q * PAIR);
        x = work;
    }
    for (size_t k = 0; k <= half / 2; k++)
        unpack(x + k * PAIR, x + (half - k) % half * PAIR, f->unpack[2 * k], f->unpack[2 * k + 1], power + k * LANES,
               power + (half - k) * LANES);
}
