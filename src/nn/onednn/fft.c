/* Tables of the small transforms: radix plan, twiddles, the order of the bins. The passes themselves are in lanes_body.h. */
#include "nn/onednn/fft.h"

#include <math.h>

/* Radices in the order of the passes. Odd ones last: there the pass needs no twiddles, and theirs cost most. */
static int plan_radices(int n, int radix[NN_FFT_MAX_PASSES])
{
    static const int odd[] = { 3, 5 };
    int tail[NN_FFT_MAX_PASSES], n_tail = 0, passes = 0;

    for (size_t i = 0; i < SM_LENGTH(odd); i++)
        for (; n % odd[i] == 0 && n_tail < NN_FFT_MAX_PASSES; n /= odd[i])
            tail[n_tail++] = odd[i];
    for (; n % 4 == 0 && n != 8 && passes < NN_FFT_MAX_PASSES; n /= 4)
        radix[passes++] = 4;
    if (n > 1 && passes < NN_FFT_MAX_PASSES) {
        radix[passes++] = n; /* 2 or 8 */
        n = 1;
    }
    for (int i = 0; i < n_tail && passes < NN_FFT_MAX_PASSES; i++)
        radix[passes++] = tail[i];
    return passes;
}

static bool is_smooth(int n)
{
    static const int prime[] = { 2, 3, 5 };
    for (size_t i = 0; i < SM_LENGTH(prime); i++)
        while (n % prime[i] == 0)
            n /= prime[i];
    return n == 1;
}

/* Vector operations of a butterfly with its twiddles, counted from lanes_body.h. */
static double radix_cost(int radix)
{
    switch (radix) {
    case 2:
        return 4 + 4;
    case 3:
        return 14 + 8;
    case 4:
        return 16 + 12;
    case 5:
        return 40 + 16;
    default:
        return 56 + 28;
    }
}

double nn_fft_cost(int n)
{
    int radix[NN_FFT_MAX_PASSES];
    const int passes = plan_radices(n, radix);
    double cost = 0;

    for (int p = 0; p < passes; p++)
        cost += (double)n / radix[p] * (radix_cost(radix[p]) + 2.0 * radix[p]);
    return cost;
}

int nn_fft_length(int n)
{
    int best = -1;
    double best_cost = 0;

    /* A longer transform of better factors may be cheaper; a quarter more is as far as that goes. */
    for (int m = SM_MAX(4, n + n % 2); m <= NN_FFT_MAX && (best < 0 || m <= n + n / 4); m += 2) {
        if (!is_smooth(m) || m % 4 != 0)
            continue;
        const double cost = nn_fft_cost(m) + 4.0 * m; /* products and memory grow with the length as well */
        if (best < 0 || cost < best_cost) {
            best = m;
            best_cost = cost;
        }
    }
    return best;
}

static int make_twiddles(nn_fft *f, sm_arena *arena)
{
    int length = f->n;

    for (int p = 0; p < f->passes; p++) {
        const int radix = f->radix[p], m = length / radix;
        float *t = sm_arena_get(arena, (size_t)m * (size_t)(radix - 1) * 2, sizeof *t, 64);
        if (!t)
            return SM_ENOMEM;
        f->twiddle[p] = t;
        for (int j = 0; j < m; j++)
            for (int q = 1; q < radix; q++) {
                const double phase = -2 * M_PI * (double)((int64_t)j * q % length) / length;
                *t++ = (float)cos(phase);
                *t++ = (float)sin(phase);
            }
        length = m;
    }
    return 0;
}

/* Pass p puts the bins that are q modulo its radix into the q-th part of its block. */
static int bin_of(const nn_fft *f, int position)
{
    int length = f->n, weight = 1, bin = 0;

    for (int p = 0; p < f->passes; p++) {
        length /= f->radix[p];
        bin += position / length * weight;
        position %= length;
        weight *= f->radix[p];
    }
    return bin;
}

int nn_fft_init(nn_fft *f, int n, sm_arena *arena)
{
    int32_t *bin_at = sm_arena_get(arena, (size_t)n, sizeof *bin_at, 64);
    int32_t *position = sm_arena_get(arena, (size_t)n, sizeof *position, 64);

    if (!bin_at || !position)
        return SM_ENOMEM;
    *f = (nn_fft){ .n = n, .bin_at = bin_at, .position = position };
    f->passes = plan_radices(n, f->radix);
    for (int i = 0; i < n; i++) {
        bin_at[i] = bin_of(f, i);
        position[bin_at[i]] = i;
    }
    return make_twiddles(f, arena);
}
