/* FIR banks that equal the originals' resamplers: julius and torchaudio (windowed sinc), resampy (its table of a Kaiser-windowed
 * sinc, linearly interpolated, its step truncated to whole entries: that truncation is part of the original's sound). */
#include <math.h>
#include <string.h>

#include "audio/resample.h"

/* Terms of I0(x) = sum (x^2/4)^k / (k!)^2: for x <= 15 the 33rd is below 1e-20 of the sum. */
enum { BESSEL_TERMS = 33, LANES = 8 };

typedef struct {
    sm_fir_bank bank;
    double ratio;                /* to / from as the originals compute it */
    double scale;                /* min(1, ratio) */
    double reach;                /* how far a filter reaches to either side, in input samples */
    double bessel[BESSEL_TERMS]; /* 1 / (k!)^2 / I0(beta) */
    double *table;               /* resampy's half window, or NULL: entries are computed when needed */
} fir_maker;

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void bessel_init(fir_maker *m, double beta)
{
    double term = 1, at_beta = 0, power = 1;

    for (int k = 0; k < BESSEL_TERMS; k++) {
        if (k > 0) {
            term /= (double)k * k;
            power *= beta * beta / 4;
        }
        m->bessel[k] = term;
        at_beta += term * power;
    }
    for (int k = 0; k < BESSEL_TERMS; k++)
        m->bessel[k] /= at_beta;
}

/* h[q] = r sinc(pi r q / P) I0(beta sqrt(1 - (q / (Z P))^2)) / I0(beta) for LANES entries at once. */
static void kaiser_entries(const fir_maker *m, const int *q, double *h)
{
    const sm_fir_design *d = m->bank.design;
    const double last = (double)d->zeros * d->per_zero;
    double z[LANES], sum[LANES];

    for (int j = 0; j < LANES; j++) {
        const double u = q[j] / last;
        z[j] = d->beta * d->beta / 4 * (1 - u * u);
        sum[j] = m->bessel[BESSEL_TERMS - 1];
    }
    for (int k = BESSEL_TERMS - 2; k >= 0; k--)
        for (int j = 0; j < LANES; j++)
            sum[j] = sum[j] * z[j] + m->bessel[k];
    for (int j = 0; j < LANES; j++) {
        const double x = M_PI * d->rolloff * q[j] / d->per_zero;
        h[j] = d->rolloff * (q[j] == 0 ? 1 : sin(x) / x) * sum[j];
    }
}

/* The window's value at entry `at` and share `e` of the way to the next; past its last entry there is no next. */
static void interpolated_entries(const fir_maker *m, const int *at, double e, double *w)
{
    const int last = m->bank.design->zeros * m->bank.design->per_zero;
    double here[LANES], after[LANES];
    int next[LANES];

    for (int j = 0; j < LANES; j++)
        next[j] = SM_MIN(at[j] + 1, last);
    if (m->table) {
        for (int j = 0; j < LANES; j++) {
            here[j] = m->table[at[j]];
            after[j] = m->table[next[j]];
        }
    } else {
        kaiser_entries(m, at, here);
        kaiser_entries(m, next, after);
    }
    for (int j = 0; j < LANES; j++)
        w[j] = m->scale * (here[j] + e * (after[j] - here[j]));
}

/* One wing of resampy's filter: taps at f, f + step, ... (in share of a zero crossing); out moves by `stride`. Returns the number
 * of taps; out NULL only counts them. */
static int kaiser_wing(const fir_maker *m, double f, float *out, int stride)
{
    const sm_fir_design *d = m->bank.design;
    const int entries = d->zeros * d->per_zero + 1, step = (int)(m->scale * d->per_zero);
    const double position = f * d->per_zero;
    const int first = (int)position, count = (entries - first) / step;
    double w[LANES];
    int at[LANES];

    for (int k = 0; out && k < count; k += LANES) {
        for (int j = 0; j < LANES; j++)
            at[j] = SM_MIN(first + (k + j) * step, entries - 1);
        interpolated_entries(m, at, position - first, w);
        for (int j = 0; j < LANES && k + j < count; j++)
            out[(k + j) * stride] = (float)w[j];
    }
    return count;
}

static int kaiser_row(const fir_maker *m, int64_t i, float *out)
{
    const int64_t a = m->bank.a, b = m->bank.b;
    const double f = i < 0 ? m->scale : m->scale * ((double)(i * a % b) / (double)b);
    const int before = kaiser_wing(m, f, NULL, 0); /* x[n], x[n-1], ... */

    kaiser_wing(m, f, out + before - 1, -1);
    kaiser_wing(m, m->scale - f, out + before, 1); /* x[n+1], ... */
    return (i < 0 ? -1 : (int)(i * a / b)) - (before - 1);
}

/* sinc(pi t) cos(pi t / (2 zeros))^2 at t = (-i/b + m/a) s for every m that is inside the window. Sine and cosine go on by
 * rotation: an error of 1e-14 over a row. */
static int sinc_row(const fir_maker *m, int64_t i, float *out)
{
    const sm_fir_design *d = m->bank.design;
    const double a = (double)m->bank.a, s = a * m->scale * d->rolloff; /* min(a, b) rolloff */
    const double centre = (double)(i * m->bank.a) / (double)m->bank.b;
    const int start = (int)ceil(centre - m->reach), end = (int)floor(centre + m->reach) + 1;
    const double step = s / a, first = ((double)start - centre) * step;
    const double turn_cos = cos(M_PI * step), turn_sin = sin(M_PI * step);
    const double half_cos = cos(M_PI * step / (2 * d->zeros)), half_sin = sin(M_PI * step / (2 * d->zeros));
    double re = cos(M_PI * first), im = sin(M_PI * first);
    double wre = cos(M_PI * first / (2 * d->zeros)), wim = sin(M_PI * first / (2 * d->zeros));
    double sum = 0;

    for (int k = 0; k < end - start; k++) {
        const double x = M_PI * (first + k * step), sinc = fabs(x) < 1e-9 ? 1 : im / x;
        const double value = sinc * wre * wre, was = re, half_was = wre;
        out[k] = (float)(d->normalise ? value : value * step);
        sum += value;
        re = re * turn_cos - im * turn_sin;
        im = im * turn_cos + was * turn_sin;
        wre = wre * half_cos - wim * half_sin;
        wim = wim * half_cos + half_was * half_sin;
    }
    for (int k = 0; d->normalise && k < end - start; k++)
        out[k] = (float)(out[k] / sum);
    return start;
}

int sm_fir_bank_row(const sm_fir_bank *bank, int64_t i, float *out)
{
    const fir_maker *m = (const fir_maker *)bank;
    memset(out, 0, (size_t)bank->taps * sizeof *out);
    return bank->design->per_zero ? kaiser_row(m, i, out) : sinc_row(m, i, out);
}

static int make_table(fir_maker *m)
{
    const int entries = m->bank.design->zeros * m->bank.design->per_zero + 1;
    double *table = sm_alloc((size_t)entries + LANES, sizeof *table);
    int q[LANES];

    if (!table)
        return SM_ENOMEM;
    for (int k = 0; k < entries; k += LANES) {
        for (int j = 0; j < LANES; j++)
            q[j] = SM_MIN(k + j, entries - 1);
        kaiser_entries(m, q, table + k);
    }
    m->table = table;
    return 0;
}

static int make_rows(fir_maker *m)
{
    sm_fir_bank *bank = &m->bank;
    const size_t b = (size_t)bank->b, taps = (size_t)bank->taps;

    bank->rows = sm_alloc_aligned(b * taps, sizeof *bank->rows);
    bank->starts = sm_alloc(b, sizeof *bank->starts);
    if (!bank->rows || !bank->starts)
        return SM_ENOMEM;
    for (int64_t i = 0; i < bank->b; i++)
        bank->starts[i] = sm_fir_bank_row(bank, i, bank->rows + (size_t)i * taps);
    return 0;
}

/* Ratio, reach and number of taps; nothing is allocated yet. */
static void measure(fir_maker *m, const sm_fir_design *design, int from_hz, int to_hz)
{
    sm_fir_bank *bank = &m->bank;
    const int64_t g = gcd(from_hz, to_hz);
    double used;

    bank->design = design;
    bank->a = from_hz / g;
    bank->b = to_hz / g;
    m->ratio = (double)to_hz / (double)from_hz;
    m->scale = SM_MIN(1.0, m->ratio);
    if (design->per_zero) {
        bessel_init(m, design->beta);
        m->reach = (double)design->zeros * design->per_zero / (int)(m->scale * design->per_zero) + 1;
    } else {
        m->reach = design->zeros / (m->scale * design->rolloff);
    }
    used = floor(2 * m->reach) + 2;
    bank->taps = ((int)used + SM_DOT_STEP - 1) / SM_DOT_STEP * SM_DOT_STEP;
    bank->left = (int)ceil(m->reach) + 1;
    bank->right = (int)bank->a + bank->taps;
}

int sm_fir_bank_new(const sm_fir_design *design, int from_hz, int to_hz, size_t max_bytes, sm_fir_bank **out)
{
    fir_maker *m = sm_alloc_zero(1, sizeof *m);
    size_t values;
    int err = 0;

    *out = NULL;
    if (!m)
        return SM_ENOMEM;
    measure(m, design, from_hz, to_hz);
    values = (size_t)m->bank.b * (size_t)m->bank.taps; /* b <= 192000, taps < 2^20: fits */
    const bool whole = values <= max_bytes / sizeof(float);
    if (design->per_zero && (!whole || 2 * values > (size_t)design->zeros * (size_t)design->per_zero))
        err = make_table(m);
    if (err == 0 && whole) {
        err = make_rows(m);
        sm_free(m->table);
        m->table = NULL;
    }
    if (err < 0) {
        sm_fir_bank_free(&m->bank);
        return err;
    }
    *out = &m->bank;
    return 0;
}

void sm_fir_bank_free(sm_fir_bank *bank)
{
    if (!bank)
        return;
    sm_free(((fir_maker *)bank)->table);
    sm_free(bank->rows);
    sm_free(bank->starts);
    sm_free(bank);
}
