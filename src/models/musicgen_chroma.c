/* Chroma of a melody as MusicGen's melody models take it: a spectrogram of half a second, a chroma filter bank (Ellis' tuning-free design, as in
 * librosa.filters.chroma), and the strongest class of each frame. */
#include <math.h>
#include <string.h>

#include "models/musicgen.h"

enum { SIZE = 16384, HOP = 4096, BINS = SIZE / 2 + 1, CLASSES = SM_MUSICGEN_CHROMA };

/* Octaves above A0 of bin i; bin 0 lies an octave and a half below bin 1. */
static double semitones(int i)
{
    const double first = 12 * log2((double)SM_MUSICGEN_RATE / SIZE / 27.5);
    return i == 0 ? first - 18 : first + 12 * log2(i);
}

/* F [12, BINS]: Gaussian bumps around each class, one semitone (or one bin, where that is wider) wide, under a bell around octave 5. */
static void filters(float *f)
{
    for (int i = 0; i < BINS; i++) {
        const double b = semitones(i), width = SM_MAX(semitones(i + 1) - b, 1);
        double g[CLASSES], norm = 0;
        for (int c = 0; c < CLASSES; c++) {
            const double d = fmod(b - c + 6 + 120, 12) - 6;
            g[c] = exp(-0.5 * (2 * d / width) * (2 * d / width));
            norm += g[c] * g[c];
        }
        const double octave = (b / 12 - 5) / 2, bell = exp(-0.5 * octave * octave) / sqrt(norm);
        for (int c = 0; c < CLASSES; c++)
            f[c * BINS + i] = (float)(g[(c + 3) % CLASSES] * bell);
    }
}

typedef struct {
    dsp_fft *fft;
    float *filter, *window, *frame, *spectrum; /* [12][BINS], [SIZE], [SIZE], [BINS][2] */
    double scale;                              /* 1 / sum of window^2 */
} chroma;

static void chroma_free(chroma *c)
{
    dsp_fft_free(c->fft);
    sm_free(c->filter);
    sm_free(c->window);
    sm_free(c->frame);
    sm_free(c->spectrum);
}

static int chroma_new(chroma *c)
{
    double sum = 0;
    memset(c, 0, sizeof *c);
    c->filter = sm_alloc((size_t)CLASSES * BINS, sizeof(float));
    c->window = sm_alloc(SIZE, sizeof(float));
    c->frame = sm_alloc_aligned(SIZE, sizeof(float));
    c->spectrum = sm_alloc_aligned((size_t)2 * BINS, sizeof(float));
    const int err = dsp_fft_new(SIZE, &c->fft);
    if (err < 0 || !c->filter || !c->window || !c->frame || !c->spectrum) {
        chroma_free(c);
        return err < 0 ? err : SM_ENOMEM;
    }
    filters(c->filter);
    for (int i = 0; i < SIZE; i++) {
        c->window[i] = (float)(0.5 - 0.5 * cos(2 * acos(-1) * i / SIZE));
        sum += (double)c->window[i] * (double)c->window[i];
    }
    c->scale = 1 / sum;
    return 0;
}

/* Sample i of a sound with zeros around (to reach SIZE), reflected at both ends. */
static float sample(const float *x, int64_t n, int64_t left, int64_t padded, int64_t i)
{
    if (i < 0)
        i = -i;
    if (i >= padded)
        i = 2 * (padded - 1) - i;
    i -= left;
    return i >= 0 && i < n ? x[i] : 0;
}

static void one_frame(chroma *c, const float *x, int64_t n, int64_t left, int64_t padded, int64_t at, float *out)
{
    double power[CLASSES] = { 0 }, top = 1e-6;
    for (int i = 0; i < SIZE; i++)
        c->frame[i] = c->window[i] * sample(x, n, left, padded, at * HOP - SIZE / 2 + i);
    dsp_fft_forward(c->fft, c->frame, c->spectrum);
    for (int i = 0; i < BINS; i++) {
        const double re = (double)c->spectrum[2 * i], im = (double)c->spectrum[2 * i + 1];
        const double p = (re * re + im * im) * c->scale;
        for (int k = 0; k < CLASSES; k++)
            power[k] += (double)c->filter[k * BINS + i] * p;
    }
    for (int k = 0; k < CLASSES; k++)
        top = SM_MAX(top, power[k]);
    for (int k = 0; k < CLASSES; k++)
        out[k] = (float)(power[k] / top);
}

int sm_musicgen_chroma(const float *samples, size_t n, int frames, uint8_t *out, float **raw, size_t *n_raw)
{
    const int64_t length = (int64_t)n, padded = SM_MAX(length, SIZE), left = (padded - length) / 2;
    const int64_t most = SM_MAX(frames, 1), all = 1 + padded / HOP, count = raw ? all : SM_MIN(all, most);
    float *energy = NULL;
    chroma c = { 0 };
    int err;

    if (raw)
        *raw = NULL;
    if ((err = chroma_new(&c)) < 0)
        return err;
    if (!(energy = sm_alloc((size_t)count * CLASSES, sizeof *energy))) {
        err = SM_ENOMEM;
        goto out;
    }
    for (int64_t t = 0; t < count; t++)
        one_frame(&c, samples, length, left, padded, t, energy + t * CLASSES);
    for (int t = 0; t < frames; t++) {
        const float *e = energy + t % all * CLASSES;
        out[t] = 0;
        for (int k = 1; k < CLASSES; k++)
            if (e[k] > e[out[t]])
                out[t] = (uint8_t)k;
    }
    if (raw) {
        *raw = energy;
        *n_raw = (size_t)count;
        energy = NULL;
    }
out:
    sm_free(energy);
    chroma_free(&c);
    return err;
}
