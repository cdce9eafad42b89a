/* The kernels of snake.h, in terms of simd_*.h. Included once by each instruction set. */
#include "nn/onednn/snake.h"

#include <math.h>

#define S_INLINE static inline __attribute__((always_inline))

/* sin^2(a), |a| <= S_LIMIT: whole turns of pi are taken off in four exact parts, then the sine's series to the 11th power, whose error at
 * pi / 2 is 6e-8. */
#define S_LIMIT 100000.0f
S_INLINE vec s_square(vec a)
{
    const vec n = v_round(a * v_set1(0.318309886f));
    vec r = v_fnma(n, v_set1(3.140625f), a);
    r = v_fnma(n, v_set1(9.651184082031250e-4f), r);
    r = v_fnma(n, v_set1(2.5331974029541016e-6f), r);
    r = v_fnma(n, v_set1(1.9841871593670811e-9f), r);
    const vec z = r * r;
    vec p = v_fma(v_set1(-2.50521084e-8f), z, v_set1(2.75573192e-6f));
    p = v_fma(p, z, v_set1(-1.98412698e-4f));
    p = v_fma(p, z, v_set1(8.33333333e-3f));
    p = v_fma(p, z, v_set1(-1.66666667e-1f));
    const vec s = v_fma(p * z, r, r);
    return s * s;
}

S_INLINE vec s_value(vec x, vec alpha, vec inverse)
{
    return v_fma(s_square(alpha * x), inverse, x);
}

S_INLINE bool s_far(vec x, vec alpha)
{
    return v_any(v_less(v_set1(S_LIMIT), v_abs(alpha * x)));
}

/* Far out the reduction no longer fits. */
static float s_plain(float x, float alpha, float inverse)
{
    const double s = sin((double)alpha * (double)x);
    return (float)((double)x + s * s * (double)inverse);
}

static void run(const float *x, float *y, int64_t n, float alpha, float inverse)
{
    const vec a = v_set1(alpha), b = v_set1(inverse);
    for (int64_t i = 0; i < n; i += LANES) {
        const int count = n - i < LANES ? (int)(n - i) : LANES;
        const vec v = count == LANES ? v_load(x + i) : v_load_part(x + i, count);
        if (s_far(v, a))
            for (int k = 0; k < count; k++)
                y[i + k] = s_plain(x[i + k], alpha, inverse);
        else if (count == LANES)
            v_store(y + i, s_value(v, a, b));
        else
            v_store_part(y + i, s_value(v, a, b), count);
    }
}

/* One vector of channels of a row. */
S_INLINE void piece(const float *x, float *y, int count, const float *alpha, const float *inverse)
{
    const vec a = count == LANES ? v_load(alpha) : v_load_part(alpha, count),
              b = count == LANES ? v_load(inverse) : v_load_part(inverse, count),
              v = count == LANES ? v_load(x) : v_load_part(x, count);
    if (s_far(v, a))
        for (int k = 0; k < count; k++)
            y[k] = s_plain(x[k], alpha[k], inverse[k]);
    else if (count == LANES)
        v_store(y, s_value(v, a, b));
    else
        v_store_part(y, s_value(v, a, b), count);
}

static void rows(const float *x, float *y, int64_t n_rows, int64_t channels, const float *alpha, const float *inverse)
{
    for (int64_t r = 0; r < n_rows; r++, x += channels, y += channels) {
        int64_t c = 0;
        for (; c + LANES <= channels; c += LANES)
            piece(x + c, y + c, LANES, alpha + c, inverse + c);
        if (c < channels)
            piece(x + c, y + c, (int)(channels - c), alpha + c, inverse + c);
    }
}

const nn_snake_kernel SIMD(nn_snake) = { .name = "snake " SIMD_TEXT, .run = run, .rows = rows };
