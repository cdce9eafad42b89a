/* Effects in the frequency domain: a room, and what a lossy codec leaves. */
#include <string.h>

#include "train/effects.h"

/* ---- scratch ---- */
void train_scratch_free(train_scratch *w)
{
    for (int i = 0; i < TRAIN_FFT_SIZES; i++)
        dsp_fft_free(w->fft[i]);
    for (size_t i = 0; i < SM_LENGTH(w->row); i++)
        sm_floats_free(&w->row[i]);
    *w = (train_scratch){ 0 };
}

/* The transform of 2^i samples, i found for at least `least`. */
static int transform(train_scratch *w, size_t least, dsp_fft **fft, size_t *size)
{
    int i = 1;
    while (i < TRAIN_FFT_SIZES - 1 && (size_t)1 << i < least)
        i++;
    *size = (size_t)1 << i;
    const int err = w->fft[i] ? 0 : dsp_fft_new((int)*size, &w->fft[i]);
    *fft = w->fft[i];
    return err;
}

/* Row i with n zeros. */
static int cleared(train_scratch *w, size_t i, size_t n)
{
    w->row[i].length = 0;
    return sm_floats_add(&w->row[i], NULL, n);
}

/* ---- reverb: convolution with decaying noise by one long FFT ---- */
static void room(float *h, size_t n, int rate_hz, double t60_s, train_random *r)
{
    const double decay = pow(10, -3 / (t60_s * rate_hz)); /* -60 dB at t60 */
    double level = 1, dark = 0, energy = 0;
    const size_t gap = (size_t)(train_between(r, 0, 0.02) * rate_hz); /* before the first reflection */
    for (size_t i = 0; i < n; i++) {
        /* a one-pole low-pass that closes as the tail gets older: air and walls take the treble first */
        const double open = 0.25 + 0.75 * level;
        dark += open * (2 * train_unit(r) - 1 - dark);
        h[i] = i < gap ? 0 : (float)(level * dark);
        energy += (double)(h[i] * h[i]);
        level *= decay;
    }
    for (size_t i = 0; i < n && energy > 0; i++)
        h[i] /= (float)sqrt(energy);
}

int train_reverb(train_scratch *w, sm_floats *x, int rate_hz, double t60_s, double wet, size_t most, train_random *r)
{
    const size_t n = x->length, tail = SM_MIN((size_t)(t60_s * rate_hz), most);
    size_t size = 0;
    dsp_fft *fft = NULL;
    int err = transform(w, n + tail, &fft, &size);
    for (size_t i = 0; i < 4 && err == 0; i++)
        err = cleared(w, i, size + 2);
    if (err == 0 && most > n)
        err = sm_floats_add(x, NULL, SM_MIN(n + tail, most) - n);
    if (err < 0)
        return err;
    float *a = w->row[0].data, *b = w->row[1].data, *fa = w->row[2].data, *fb = w->row[3].data;
    memcpy(a, x->data, SM_MIN(n, size) * sizeof *a);
    room(b, tail, rate_hz, t60_s, r);
    dsp_fft_forward(fft, a, fa);
    dsp_fft_forward(fft, b, fb);
    for (size_t i = 0; i < size + 2; i += 2) {
        const float re = fa[i] * fb[i] - fa[i + 1] * fb[i + 1];
        fa[i + 1] = fa[i] * fb[i + 1] + fa[i + 1] * fb[i];
        fa[i] = re;
    }
    dsp_fft_inverse(fft, fa, a);
    for (size_t i = 0; i < SM_MIN(x->length, size); i++)
        x->data[i] += (float)wet * a[i];
    return 0;
}

/* ---- codec ---- */
enum { FRAME = 1024, HOP = FRAME / 2, BAND = 16 };

/* Magnitudes of each band in steps of a share of its loudest, phases kept. */
static void quantise(float *re_im, int cutoff, double step)
{
    for (int b = 0; b <= FRAME / 2; b += BAND) {
        const int end = SM_MIN(b + BAND, FRAME / 2 + 1);
        float top = 0;
        for (int k = b; k < end; k++)
            top = SM_MAX(top, hypotf(re_im[2 * k], re_im[2 * k + 1]));
        const float unit = (float)step * top;
        for (int k = b; k < end; k++) {
            const float m = hypotf(re_im[2 * k], re_im[2 * k + 1]);
            const float to = k > cutoff || unit <= 0 ? 0 : unit * roundf(m / unit);
            const float scale = m > 0 ? to / m : 0;
            re_im[2 * k] *= scale;
            re_im[2 * k + 1] *= scale;
        }
    }
}

int train_codec(train_scratch *w, sm_floats *x, int rate_hz, double kbps)
{
    /* 24 kbit/s: nothing above 5 kHz, steps of .6; 96: 16 kHz, .15 */
    const int cutoff = (int)(SM_MIN(16000, 1500 + 150 * kbps) * FRAME / rate_hz);
    const double step = 14.4 / kbps;
    const size_t n = x->length, sizes[4] = { FRAME, FRAME, FRAME + 2, n };
    size_t size;
    dsp_fft *fft = NULL;
    int err = transform(w, FRAME, &fft, &size);
    for (size_t i = 0; i < 4 && err == 0; i++)
        err = cleared(w, i, sizes[i]);
    if (err < 0)
        return err;
    float *window = w->row[0].data, *frame = w->row[1].data, *bins = w->row[2].data, *out = w->row[3].data;
    for (int i = 0; i < FRAME; i++) /* sine windows: squares at half overlap sum to 1 */
        window[i] = (float)sin(M_PI * (i + 0.5) / FRAME);
    for (int64_t at = -HOP; at < (int64_t)n; at += HOP) {
        for (int k = 0; k < FRAME; k++)
            frame[k] = at + k >= 0 && at + k < (int64_t)n ? window[k] * x->data[at + k] : 0;
        dsp_fft_forward(fft, frame, bins);
        quantise(bins, cutoff, step);
        dsp_fft_inverse(fft, bins, frame);
        for (int k = 0; k < FRAME; k++)
            if (at + k >= 0 && at + k < (int64_t)n)
                out[at + k] += window[k] * frame[k];
    }
    memcpy(x->data, out, n * sizeof *out);
    return 0;
}
