/* The kernels of norm.h, in terms of simd_*.h. Included once by each instruction set. */
#include "nn/onednn/norm.h"

#include <math.h>

#define N_INLINE static inline __attribute__((always_inline))

enum { BLOCK = 2048 }; /* numbers whose sum is taken in f32: a few hundred a lane at most */

N_INLINE float sum_of(const float *x, int64_t n)
{
    vec a = v_zero(), b = a, c = a, d = a;
    int64_t i = 0;

    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        a += v_load(x + i);
        b += v_load(x + i + LANES);
        c += v_load(x + i + 2 * LANES);
        d += v_load(x + i + 3 * LANES);
    }
    for (; i + LANES <= n; i += LANES)
        a += v_load(x + i);
    if (i < n)
        b += v_load_part(x + i, (int)(n - i));
    return v_sum((a + b) + (c + d));
}

/* Of x - mean, and their plain sum. */
N_INLINE float squares_of(const float *x, int64_t n, float mean, float *sum)
{
    const vec m = v_set1(mean);
    vec a = v_zero(), b = a, c = a, d = a;
    int64_t i = 0;

    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        const vec p = v_load(x + i) - m, q = v_load(x + i + LANES) - m;
        a = v_fma(p, p, a);
        b = v_fma(q, q, b);
        c += p;
        d += q;
    }
    for (; i < n; i += LANES) {
        float part[LANES];
        const int count = (int)SM_MIN(n - i, LANES);
        for (int k = 0; k < LANES; k++)
            part[k] = k < count ? x[i + k] : mean;
        const vec p = v_load(part) - m;
        a = v_fma(p, p, a);
        c += p;
    }
    *sum = v_sum(c + d);
    return v_sum(a + b);
}

/* The second pass over a block, in cache, also tells how far off the first one's mean was. */
static void moments(const float *x, int64_t n, nn_moments *out)
{
    *out = (nn_moments){ 0 };
    for (int64_t i = 0; i < n; i += BLOCK) {
        const int64_t count = SM_MIN(n - i, BLOCK);
        const float mean = sum_of(x + i, count) / (float)count;
        float off;
        const double squares = (double)squares_of(x + i, count, mean, &off), rest = (double)off / (double)count;
        const nn_moments block = { (double)count, (double)mean + rest, squares - rest * (double)off };
        nn_moments_join(out, &block);
    }
}

/* One row with a mean and a factor; what the mean lost by rounding goes into the offset. */
N_INLINE void apply_row(const float *x, float *y, int64_t width, float mean, float rest, float inverse,
                        const float *gamma, const float *beta)
{
    const vec m = v_set1(mean), s = v_set1(inverse), r = v_set1(rest);

    for (int64_t i = 0; i < width; i += LANES) {
        const int count = (int)SM_MIN(width - i, LANES);
        if (count == LANES) {
            const vec v = (v_load(x + i) - m - r) * s;
            v_store(y + i, v_fma(v, gamma ? v_load(gamma + i) : v_set1(1), beta ? v_load(beta + i) : v_zero()));
        } else {
            const vec v = (v_load_part(x + i, count) - m - r) * s;
            v_store_part(y + i,
                         v_fma(v, gamma ? v_load_part(gamma + i, count) : v_set1(1),
                               beta ? v_load_part(beta + i, count) : v_zero()),
                         count);
        }
    }
}

static void apply(const float *x, float *y, int64_t rows, int64_t width, double mean, double inverse,
                  const float *gamma, const float *beta)
{
    const float rest = (float)(mean - (double)(float)mean);

    for (int64_t r = 0; r < rows; r++)
        apply_row(x + r * width, y + r * width, width, (float)mean, rest, (float)inverse, gamma, beta);
}

static void rows(const float *x, float *y, int64_t count, int64_t width, bool rms, float eps, const float *gamma,
                 const float *beta)
{
    for (int64_t r = 0; r < count; r++, x += width, y += width) {
        nn_moments m = { 0 };
        double squares = 0;
        float sum;
        if (rms)
            for (int64_t i = 0; i < width; i += BLOCK)
                squares += (double)squares_of(x + i, SM_MIN(width - i, BLOCK), 0, &sum);
        else
            moments(x, width, &m);
        const double inverse = 1 / sqrt((rms ? squares : m.squares) / (double)width + (double)eps);
        apply(x, y, 1, width, rms ? 0 : m.mean, inverse, gamma, beta);
    }
}

const nn_norm_kernel SIMD(nn_norm) = { .name = "norm " SIMD_TEXT, .moments = moments, .apply = apply, .rows = rows };
