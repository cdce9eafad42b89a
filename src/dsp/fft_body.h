/* The transforms of fft.h for one instruction set: included with FFT_KERNEL, the name of what it defines. */
#include "dsp/fft.h"

enum { WIDE = DSP_FFT_WIDE, PAIR = 2 * WIDE /* a number of all lanes: real parts, then imaginary ones */ };

typedef float vec __attribute__((vector_size(32)));
typedef float loose __attribute__((vector_size(32), aligned(4), may_alias));
#define INLINE static inline __attribute__((always_inline))

/* macros: what is handed on by value would be handed on differently without AVX */
#define load(p)     (*(const loose *)(p))
#define store(p, v) (*(loose *)(p) = (v))
#define backward(v) __builtin_shufflevector(v, v, 7, 6, 5, 4, 3, 2, 1, 0)

/* ---- the lanes' own transforms: Stockham's form in steps of four, two at the end where the size asks for it ---- */

/* One butterfly of four numbers, `from` floats apart; results go `to` apart. w: three twiddles, all 1 where they are not wanted. */
INLINE void four(const float *x, size_t from, float *y, size_t to, const float *w, bool turn)
{
    const vec ar = load(x), ai = load(x + WIDE), br = load(x + from), bi = load(x + from + WIDE);
    const vec cr = load(x + 2 * from), ci = load(x + 2 * from + WIDE), dr = load(x + 3 * from),
              di = load(x + 3 * from + WIDE);
    const vec sr = ar + cr, si = ai + ci, er = ar - cr, ei = ai - ci;
    const vec tr = br + dr, ti = bi + di, fr = br - dr, fi = bi - di;
    const vec r1 = er + fi, i1 = ei - fr, r2 = sr - tr, i2 = si - ti, r3 = er - fi, i3 = ei + fr; /* - j (b - d) */
    store(y, sr + tr);
    store(y + WIDE, si + ti);
    store(y + to, turn ? r1 * w[0] - i1 * w[1] : r1);
    store(y + to + WIDE, turn ? r1 * w[1] + i1 * w[0] : i1);
    store(y + 2 * to, turn ? r2 * w[2] - i2 * w[3] : r2);
    store(y + 2 * to + WIDE, turn ? r2 * w[3] + i2 * w[2] : i2);
    store(y + 3 * to, turn ? r3 * w[4] - i3 * w[5] : r3);
    store(y + 3 * to + WIDE, turn ? r3 * w[5] + i3 * w[4] : i3);
}

/* work[0] holds the numbers [each][2][8]. Which work the transforms are in. */
static int transform_lanes(const dsp_fft_plan *f)
{
    const float *w = f->steps;
    size_t length = (size_t)f->each, stride = 1;
    int at = 0;
    for (; length >= 4; length /= 4, stride *= 4, at = !at) {
        const float *x = f->work[at];
        float *y = f->work[!at];
        const size_t quarter = length / 4, from = stride * quarter * PAIR, to = stride * PAIR;
        for (size_t q = 0; q < stride; q++)
            four(x + q * PAIR, from, y + q * PAIR, to, w, false);
        w += 6;
        for (size_t p = 1; p < quarter; p++, w += 6)
            for (size_t q = 0; q < stride; q++)
                four(x + (q + stride * p) * PAIR, from, y + (q + stride * 4 * p) * PAIR, to, w, true);
    }
    if (length == 2) {
        const float *x = f->work[at];
        float *y = f->work[!at];
        for (size_t q = 0; q < stride * PAIR; q += WIDE) {
            const vec a = load(x + q), b = load(x + stride * PAIR + q);
            store(y + q, a + b);
            store(y + stride * PAIR + q, a - b);
        }
        at = !at;
    }
    return at;
}

/* ---- across the lanes ---- */

/* Rows of eight become columns. */
INLINE void transpose(vec v[8])
{
    vec a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        a[2 * i + 1] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            b[4 * i + 2 * k] = __builtin_shufflevector(a[4 * i + k], a[4 * i + 2 + k], 0, 1, 8, 9, 4, 5, 12, 13);
            b[4 * i + 2 * k + 1] = __builtin_shufflevector(a[4 * i + k], a[4 * i + 2 + k], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        v[i] = __builtin_shufflevector(b[i], b[4 + i], 0, 1, 2, 3, 8, 9, 10, 11);
        v[4 + i] = __builtin_shufflevector(b[i], b[4 + i], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* A DFT of the numbers 0, 2, 4, 6 (first 0) or 1, 3, 5, 7 (first 1). */
INLINE void four_of(const vec *r, const vec *i, int first, vec yr[4], vec yi[4])
{
    const vec ar = r[first], ai = i[first], br = r[first + 2], bi = i[first + 2];
    const vec cr = r[first + 4], ci = i[first + 4], dr = r[first + 6], di = i[first + 6];
    const vec sr = ar + cr, si = ai + ci, er = ar - cr, ei = ai - ci;
    const vec tr = br + dr, ti = bi + di, fr = br - dr, fi = bi - di;
    yr[0] = sr + tr, yi[0] = si + ti;
    yr[1] = er + fi, yi[1] = ei - fr;
    yr[2] = sr - tr, yi[2] = si - ti;
    yr[3] = er - fi, yi[3] = ei + fr;
}

INLINE void eight(const vec r[8], const vec i[8], float *re, float *im, size_t to)
{
    const float root = 0.70710678118654752f;
    vec ar[4], ai[4], br[4], bi[4], cr[4], ci[4];
    four_of(r, i, 0, ar, ai);
    four_of(r, i, 1, br, bi);
    cr[0] = br[0], ci[0] = bi[0];
    cr[1] = (br[1] + bi[1]) * root, ci[1] = (bi[1] - br[1]) * root;
    cr[2] = bi[2], ci[2] = -br[2];
    cr[3] = (bi[3] - br[3]) * root, ci[3] = -(bi[3] + br[3]) * root;
    for (int k = 0; k < 4; k++) {
        store(re + (size_t)k * to, ar[k] + cr[k]);
        store(im + (size_t)k * to, ai[k] + ci[k]);
        store(re + (size_t)(k + 4) * to, ar[k] - cr[k]);
        store(im + (size_t)(k + 4) * to, ai[k] - ci[k]);
    }
}

/* The DFT of the complex numbers in work[0] ([each][2][8]): real parts [half], then imaginary ones. */
static float *transform(const dsp_fft_plan *f)
{
    const int at = transform_lanes(f);
    const float *y = f->work[at], *w = f->join;
    float *z = f->work[!at];
    for (int k = 0; k < f->each; k += WIDE) {
        vec re[8], im[8];
        for (int i = 0; i < WIDE; i++, y += PAIR, w += PAIR) {
            const vec r = load(y), j = load(y + WIDE), c = load(w), s = load(w + WIDE);
            re[i] = r * c - j * s;
            im[i] = r * s + j * c;
        }
        transpose(re);
        transpose(im);
        eight(re, im, z + k, z + f->half + k, (size_t)f->each);
    }
    return z;
}

/* ---- real numbers ---- */

/* Eight complex numbers to pairs, and from them. */
INLINE void join(float *to, const vec *r, const vec *i)
{
    store(to, __builtin_shufflevector(*r, *i, 0, 8, 1, 9, 2, 10, 3, 11));
    store(to + WIDE, __builtin_shufflevector(*r, *i, 4, 12, 5, 13, 6, 14, 7, 15));
}

INLINE void part(const float *from, vec *r, vec *i)
{
    const vec a = load(from), b = load(from + WIDE);
    *r = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
    *i = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}

/* X[k] and X[half - k] from Z = even + j odd: X[k] = (Z[k] + Z*[half-k]) / 2 - j w^k (Z[k] - Z*[half-k]) / 2. */
static void forward(const dsp_fft_plan *f, const float *x, float *re_im)
{
    const int half = f->half;
    for (int m = 0; m < f->each; m++) {
        vec r, i;
        part(x + m * PAIR, &r, &i);
        store(f->work[0] + m * PAIR, r);
        store(f->work[0] + m * PAIR + WIDE, i);
    }
    const float *re = transform(f), *im = re + half;
    for (int k = 1; k <= half / 2; k += WIDE) {
        const vec zr = load(re + k), zi = load(im + k), ur = load(re + half - k - 7), ui = load(im + half - k - 7);
        const vec br = backward(ur), bi = backward(ui);
        const vec c = load(f->unpack + k - 1), s = load(f->unpack + half / 2 + k - 1);
        const vec er = (zr + br) * 0.5f, ei = (zi - bi) * 0.5f, dr = (zr - br) * 0.5f, di = (zi + bi) * 0.5f;
        const vec or = dr * s + di * c, oi = di * s - dr * c;
        const vec lr = er + or, li = ei + oi, hr = er - or, hi = oi - ei, gr = backward(hr), gi = backward(hi);
        join(re_im + 2 * (half - k - 7), &gr, &gi);
        join(re_im + 2 * k, &lr, &li);
    }
    re_im[0] = re[0] + im[0];
    re_im[2 * half] = re[0] - im[0];
    re_im[1] = re_im[2 * half + 1] = 0;
}

/* Z[k] = (X[k] + X*[half-k]) / 2 + j w^-k (X[k] - X*[half-k]) / 2, and the other way round, its parts exchanged on the way in and out. */
static void inverse(const dsp_fft_plan *f, const float *re_im, float *x)
{
    const int half = f->half;
    float *work = f->work[0], *const re = f->work[1], *const im = re + half;
    for (int k = 1; k <= half / 2; k += WIDE) {
        vec zr, zi, ur, ui;
        part(re_im + 2 * k, &zr, &zi);
        part(re_im + 2 * (half - k - 7), &ur, &ui);
        const vec br = backward(ur), bi = backward(ui);
        const vec c = load(f->unpack + k - 1), s = load(f->unpack + half / 2 + k - 1);
        const vec er = (zr + br) * 0.5f, ei = (zi - bi) * 0.5f, dr = (zr - br) * 0.5f, di = (zi + bi) * 0.5f;
        const vec or = dr * c + di * s, oi = di * c - dr * s;
        store(re + half - k - 7, backward(er + oi));
        store(im + half - k - 7, backward(or -ei));
        store(re + k, er - oi);
        store(im + k, ei + or);
    }
    re[0] = (re_im[0] + re_im[2 * half]) * 0.5f;
    im[0] = (re_im[0] - re_im[2 * half]) * 0.5f;
    for (int m = 0; m < f->each; m++) {
        store(work + m * PAIR, load(im + m * WIDE));
        store(work + m * PAIR + WIDE, load(re + m * WIDE));
    }
    const float *z = transform(f);
    for (int m = 0; m < half; m += WIDE) {
        const vec r = load(z + half + m), i = load(z + m);
        join(x + 2 * m, &r, &i);
    }
}

const dsp_fft_kernel FFT_KERNEL = { forward, inverse };
