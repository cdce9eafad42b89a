#include <kiss_fftr.h>
#include <string.h>

#include "dsp/fft.h"

/* Powers of two by own transforms, other sizes by KissFFT. One allocation each: KissFFT says how large its plans are. */
struct dsp_fft {
    int n;
    const dsp_fft_kernel *kernel; /* NULL: KissFFT */
    dsp_fft_plan plan;
    float *memory; /* of plan */
    kiss_fftr_cfg forward, inverse;
    kiss_fft_cpx *bins; /* n/2+1, scratch of the inverse: KissFFT does not promise to leave its input alone */
};

static kiss_fftr_cfg plan_new(int n, int inverse)
{
    size_t size = 0;
    kiss_fftr_alloc(n, inverse, NULL, &size);
    void *memory = sm_alloc_aligned(size, 1);
    return memory ? kiss_fftr_alloc(n, inverse, memory, &size) : NULL;
}

static int open_kiss(dsp_fft *f)
{
    f->forward = plan_new(f->n, 0);
    f->inverse = f->forward ? plan_new(f->n, 1) : NULL;
    f->bins = f->inverse ? sm_alloc_aligned((size_t)f->n / 2 + 1, sizeof *f->bins) : NULL;
    return f->bins ? 0 : SM_ENOMEM;
}

static int open_own(dsp_fft *f)
{
    f->memory = sm_alloc_aligned(dsp_fft_plan_floats(f->n), sizeof *f->memory);
    if (!f->memory)
        return SM_ENOMEM;
    dsp_fft_plan_fill(&f->plan, f->n, f->memory);
    f->kernel = dsp_fft_best();
    return 0;
}

int dsp_fft_new(int n, dsp_fft **out)
{
    *out = NULL;
    if (n < 2 || n % 2 != 0 || n > 1 << 24)
        return sm_fail(SM_EUSAGE, "a real FFT of %d samples was asked for, 2 to %d and even is possible", n, 1 << 24);
    dsp_fft *f = sm_alloc_zero(1, sizeof *f);
    if (!f)
        return SM_ENOMEM;
    f->n = n;
    if ((n >= DSP_FFT_LEAST && n <= DSP_FFT_MOST && !(n & (n - 1)) ? open_own : open_kiss)(f) < 0) {
        dsp_fft_free(f);
        return SM_ENOMEM;
    }
    *out = f;
    return 0;
}

void dsp_fft_free(dsp_fft *f)
{
    if (!f)
        return;
    sm_free(f->memory);
    sm_free(f->forward);
    sm_free(f->inverse);
    sm_free(f->bins);
    sm_free(f);
}

void dsp_fft_forward(dsp_fft *f, const float *x, float *re_im)
{
    if (f->kernel)
        f->kernel->forward(&f->plan, x, re_im);
    else
        kiss_fftr(f->forward, x, (kiss_fft_cpx *)(void *)re_im);
}

void dsp_fft_inverse(dsp_fft *f, const float *re_im, float *x)
{
    const float scale = f->kernel ? 2.0f / (float)f->n : 1.0f / (float)f->n;
    if (f->kernel) {
        f->kernel->inverse(&f->plan, re_im, x);
    } else {
        memcpy(f->bins, re_im, ((size_t)f->n / 2 + 1) * sizeof *f->bins);
        kiss_fftri(f->inverse, f->bins, x);
    }
    for (int i = 0; i < f->n; i++)
        x[i] *= scale;
}

void dsp_power(const float *re_im, int bins, float *out)
{
    for (int k = 0; k < bins; k++)
        out[k] = re_im[2 * k] * re_im[2 * k] + re_im[2 * k + 1] * re_im[2 * k + 1];
}

void dsp_magnitude(const float *re_im, int bins, float *out)
{
    dsp_power(re_im, bins, out);
    for (int k = 0; k < bins; k++)
        out[k] = sqrtf(out[k]);
}

/* Sum of cosines a0 - a1 cos + a2 cos 2 - a3 cos 3; Harris, "On the use of windows for harmonic analysis", 1978. */
static const struct {
    double a[4];
    bool symmetric;
} windows[] = {
    [DSP_WINDOW_HANN_PERIODIC] = { { 0.5, 0.5 }, false },
    [DSP_WINDOW_HANN_SYMMETRIC] = { { 0.5, 0.5 }, true },
    [DSP_WINDOW_BLACKMAN_HARRIS] = { { 0.35875, 0.48829, 0.14128, 0.01168 }, false },
};

void dsp_window(dsp_window_kind kind, int n, float *out)
{
    const double *a = windows[kind].a;
    const double period = windows[kind].symmetric ? SM_MAX(n - 1, 1) : n;
    const int mirror = windows[kind].symmetric ? n - 1 : n;
    for (int i = 0; 2 * i <= mirror && i < n; i++) {
        const double c = cos(2 * M_PI * i / period); /* cos 2t = 2 c^2 - 1, cos 3t = (4 c^2 - 3) c */
        out[i] = (float)(a[0] - a[1] * c + a[2] * (2 * c * c - 1) - a[3] * (4 * c * c - 3) * c);
        if (mirror - i < n)
            out[mirror - i] = out[i];
    }
}
