/* Tables of the transforms in fft_body.h, in double, and which body this CPU runs. */
#include "dsp/fft.h"

enum {
    WIDE = DSP_FFT_WIDE,
    APART = 16 /* floats: a line, so that the two halves of the work do not fall into the same sets */
};

static size_t step_floats(int each)
{
    size_t n = 0;
    for (int length = each; length >= 4; length /= 4)
        n += (size_t)length / 4 * 6;
    return (n + 15) / 16 * 16;
}

size_t dsp_fft_plan_floats(int n)
{
    const size_t half = (size_t)n / 2;
    return step_floats((int)half / WIDE) + 2 * half + half + 4 * half + 2 * APART;
}

/* e^(-2 pi j i / n) from the first quarter of the circle, which is in f->unpack. */
static void root(const dsp_fft_plan *f, int i, float *re, float *im)
{
    const int quarter = f->half / 2, turn = i / quarter % 4, at = i % quarter;
    const float c = at ? f->unpack[at - 1] : 1, s = at ? f->unpack[quarter + at - 1] : 0;
    *re = turn == 0 ? c : turn == 1 ? s : turn == 2 ? -c : -s;
    *im = turn == 0 ? s : turn == 1 ? -c : turn == 2 ? -s : c;
}

void dsp_fft_plan_fill(dsp_fft_plan *f, int n, float *memory)
{
    const int half = n / 2, each = half / WIDE;
    float *w = memory, *join = memory + step_floats(each), *unpack = join + 2 * half;
    *f = (dsp_fft_plan){ half, each, w, join, unpack, { unpack + half, unpack + 3 * half + APART } };
    for (int k = 1; k <= half / 2; k++) {
        unpack[k - 1] = (float)cos(2 * M_PI * k / n);
        unpack[half / 2 + k - 1] = (float)-sin(2 * M_PI * k / n);
    }
    for (int length = each; length >= 4; length /= 4)
        for (int p = 0; p < length / 4; p++)
            for (int k = 1; k <= 3; k++, w += 2)
                root(f, k * p * (n / length), &w[0], &w[1]);
    for (int k = 0; k < each; k++, join += 2 * WIDE)
        for (int l = 0; l < WIDE; l++)
            root(f, 2 * l * k, &join[l], &join[WIDE + l]);
}

const dsp_fft_kernel *dsp_fft_best(void)
{
    sm_cpu_info cpu;
    sm_cpu_detect(&cpu);
    return cpu.avx2 ? &dsp_fft_avx2 : &dsp_fft_base;
}
