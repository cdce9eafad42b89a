/* Growing arrays of samples, and the mix to one channel. */
#include <string.h>

#include "audio/audio.h"

int sm_floats_add(sm_floats *f, const float *data, size_t n)
{
    size_t need;
    if (sm_add_overflow(f->length, n, &need))
        return sm_fail(SM_ENOMEM, "no memory for %zu more samples", n);
    if (sm_grow(&f->data, &f->capacity, need, sizeof *f->data) < 0)
        return SM_ENOMEM;
    if (n > 0 && data)
        memcpy(f->data + f->length, data, n * sizeof *data);
    else if (n > 0)
        memset(f->data + f->length, 0, n * sizeof *data);
    f->length = need;
    return 0;
}

void sm_floats_drop(sm_floats *f, size_t n)
{
    n = SM_MIN(n, f->length);
    if (n == 0)
        return;
    f->length -= n;
    memmove(f->data, f->data + n, f->length * sizeof *f->data);
}

void sm_floats_free(sm_floats *f)
{
    sm_free(f->data);
    *f = (sm_floats){ 0 };
}

void sm_downmix(const float *interleaved, size_t frames, int channels, float *mono)
{
    const float share = 1.0f / (float)channels;

    if (channels == 1) {
        memcpy(mono, interleaved, frames * sizeof *mono);
        return;
    }
    if (channels == 2) {
        for (size_t i = 0; i < frames; i++)
            mono[i] = 0.5f * (interleaved[2 * i] + interleaved[2 * i + 1]);
        return;
    }
    for (size_t i = 0; i < frames; i++) {
        float sum = 0;
        for (int c = 0; c < channels; c++)
            sum += interleaved[i * (size_t)channels + (size_t)c];
        mono[i] = sum * share;
    }
}
