#include <string.h>

#include "dsp/halver.h"

/* Half-band low pass: sinc of half the rate times a Blackman window of 39 points; every other tap is zero, and the one in the
 * middle is a half. Taps 1, 3, .. 19 from the middle, scaled so that their sum is a quarter.
 * Flat to 0.2 of the input's rate, 73 dB down from 0.32 on. */
static const float taps[(HALVER_REACH + 1) / 2] = {
    0.3150831f,  -0.0968156f, 0.0492427f,  -0.0272806f, 0.0149289f,
    -0.0076881f, 0.0035742f,  -0.0014099f, 0.0004029f,  -0.0000375f,
};

void halver_init(halver *h)
{
    *h = (halver){ 0 };
}

void halver_free(halver *h)
{
    sm_floats_free(&h->pending);
}

/* All outputs whose neighbourhood is in pending. */
static int emit(halver *h, sm_floats *out)
{
    const size_t width = 2 * HALVER_REACH + 1;
    if (h->pending.length < width)
        return 0;
    const size_t n = (h->pending.length - width) / 2 + 1, old = out->length;
    int err = sm_floats_add(out, NULL, n);
    if (err < 0)
        return err;
    float *y = out->data + old;
    for (size_t m = 0; m < n; m++) {
        const float *x = h->pending.data + 2 * m + HALVER_REACH;
        float sum = 0.5f * x[0];
        for (int k = 0; k < (int)SM_LENGTH(taps); k++)
            sum += taps[k] * (x[2 * k + 1] + x[-2 * k - 1]);
        y[m] = sum;
    }
    sm_floats_drop(&h->pending, 2 * n);
    return 0;
}

int halver_push(halver *h, const float *mono, size_t n, sm_floats *out)
{
    int err = 0;
    if (h->received == 0 && h->pending.length == 0)
        err = sm_floats_add(&h->pending, NULL, HALVER_REACH);
    if (err == 0)
        err = sm_floats_add(&h->pending, mono, n);
    for (size_t i = err == 0 ? h->pending.length - n : h->pending.length; i < h->pending.length; i++)
        h->pending.data[i] =
            fabsf(h->pending.data[i]) < 1e6f ? h->pending.data[i] : 0; /* a float file may hold anything */
    h->received += (int64_t)n;
    return err < 0 ? err : emit(h, out);
}

int halver_finish(halver *h, sm_floats *out)
{
    if (h->received == 0)
        return 0;
    int err = sm_floats_add(&h->pending, NULL, HALVER_REACH);
    if (err == 0)
        err = emit(h, out);
    sm_floats_free(&h->pending);
    h->received = 0;
    return err;
}
