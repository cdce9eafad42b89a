/* Spectra of a chunk and back, in the conventions of torch.stft / istft as Demucs uses them (demucs/hdemucs.py _spec, _ispec). */
#include <string.h>

#include "dsp/dsp.h"

enum {
    TILE = 16,      /* frames that are transposed together: one cache line of a plane's row */
    PART_TILES = 4, /* tiles a part */
    OVERLAP = 4     /* frames over a sample */
};

struct dsp_chunk {
    int n, hop, bins, frames, parts;
    int64_t samples;
    float *window; /* [n] */
};

struct dsp_chunk_work {
    dsp_fft *fft;
    float *frame;   /* [n] */
    float *spectra; /* [TILE][n + 2]: bins + 1 pairs each */
    float *sum;     /* [PART_TILES TILE hop]: overlapping frames */
};

int dsp_chunk_new(int n_fft, int64_t samples, dsp_chunk **out)
{
    dsp_chunk *c;
    *out = NULL;
    if (n_fft < 64 || n_fft > 65536 || n_fft % 8)
        return sm_fail(SM_EUSAGE, "transforms of %d samples; multiples of 8 from 64 to 65536 are possible", n_fft);
    const int hop = n_fft / 4;
    const int64_t frames = (samples + hop - 1) / hop;
    /* continued by 3/2 hop to the left and by 3/2 hop + (frames hop - samples) < 5/2 hop to the right */
    if (samples <= 5 * (int64_t)hop / 2 || frames > 1 << 24)
        return sm_fail(SM_EUSAGE, "a chunk of %lld samples is too short (or long) for transforms of %d",
                       (long long)samples, n_fft);
    c = sm_alloc_zero(1, sizeof *c);
    if (!c || !(c->window = sm_alloc_aligned((size_t)n_fft, sizeof *c->window))) {
        sm_free(c);
        return SM_ENOMEM;
    }
    c->n = n_fft;
    c->hop = hop;
    c->bins = n_fft / 2;
    c->samples = samples;
    c->frames = (int)frames;
    c->parts = (c->frames + PART_TILES * TILE - 1) / (PART_TILES * TILE);
    dsp_window(DSP_WINDOW_HANN_PERIODIC, n_fft, c->window);
    *out = c;
    return 0;
}

void dsp_chunk_free(dsp_chunk *c)
{
    if (c)
        sm_free(c->window);
    sm_free(c);
}

int dsp_chunk_work_new(const dsp_chunk *c, dsp_chunk_work **out)
{
    dsp_chunk_work *w = sm_alloc_zero(1, sizeof *w);
    const size_t n = (size_t)c->n;
    int err = w ? dsp_fft_new(c->n, &w->fft) : SM_ENOMEM;
    *out = NULL;
    if (err == 0) {
        w->frame = sm_alloc_aligned(n, sizeof *w->frame);
        w->spectra = sm_alloc_aligned(TILE * (n + 2), sizeof *w->spectra);
        w->sum = sm_alloc_aligned((size_t)PART_TILES * TILE * (size_t)c->hop, sizeof *w->sum);
        err = w->frame && w->spectra && w->sum ? 0 : SM_ENOMEM;
    }
    if (err < 0)
        dsp_chunk_work_free(w);
    else
        *out = w;
    return err;
}

void dsp_chunk_work_free(dsp_chunk_work *w)
{
    if (!w)
        return;
    dsp_fft_free(w->fft);
    sm_free(w->frame);
    sm_free(w->spectra);
    sm_free(w->sum);
    sm_free(w);
}

int dsp_chunk_frames(const dsp_chunk *c)
{
    return c->frames;
}

int dsp_chunk_parts(const dsp_chunk *c)
{
    return c->parts;
}

int64_t dsp_chunk_part(const dsp_chunk *c, int part)
{
    return SM_MIN((int64_t)part * PART_TILES * TILE * c->hop, c->samples);
}

/* ---- forward ---- */

/* Sample i of the chunk continued by reflection, edge samples not repeated. */
static float reflected(const dsp_chunk *c, const float *x, int64_t i)
{
    i = i < 0 ? -i : i;
    return x[i < c->samples ? i : 2 * (c->samples - 1) - i];
}

static void spectrum(const dsp_chunk *c, dsp_chunk_work *w, const float *x, int t, float *out)
{
    const int64_t first = (int64_t)t * c->hop - 3 * c->hop / 2;
    if (first >= 0 && first + c->n <= c->samples)
        for (int m = 0; m < c->n; m++)
            w->frame[m] = x[first + m] * c->window[m];
    else
        for (int m = 0; m < c->n; m++)
            w->frame[m] = reflected(c, x, first + m) * c->window[m];
    dsp_fft_forward(w->fft, w->frame, out);
}

void dsp_chunk_forward(const dsp_chunk *c, dsp_chunk_work *w, int part, const float *x, float *re, float *im,
                       double sum[2])
{
    const int begin = part * PART_TILES * TILE, end = SM_MIN(begin + PART_TILES * TILE, c->frames);
    const size_t pitch = (size_t)c->n + 2;
    const float scale = 1 / sqrtf((float)c->n);
    for (int t = begin; t < end; t += TILE) {
        const int k = SM_MIN(TILE, end - t);
        for (int j = 0; j < k; j++)
            spectrum(c, w, x, t + j, w->spectra + (size_t)j * pitch);
        for (int f = 0; f < c->bins; f++) {
            float *r = re + (size_t)f * (size_t)c->frames + t, *i = im + (size_t)f * (size_t)c->frames + t;
            double values = 0, squares = 0;
            for (int j = 0; j < k; j++) {
                const float *z = w->spectra + (size_t)j * pitch + 2 * (size_t)f;
                r[j] = z[0] * scale;
                i[j] = z[1] * scale;
                values += (double)r[j] + (double)i[j];
                squares += (double)r[j] * (double)r[j] + (double)i[j] * (double)i[j];
            }
            sum[0] += values;
            sum[1] += squares;
        }
    }
}

/* ---- inverse ---- */

/* Frames t .. t + k - 1 from the planes into w->spectra. */
static void gather(const dsp_chunk *c, dsp_chunk_work *w, int t, int k, const float *re, const float *im, float scale,
                   float offset)
{
    const size_t pitch = (size_t)c->n + 2;
    for (int f = 0; f < c->bins; f++) {
        const float *r = re + (size_t)f * (size_t)c->frames + t, *i = im + (size_t)f * (size_t)c->frames + t;
        for (int j = 0; j < k; j++) {
            float *z = w->spectra + (size_t)j * pitch + 2 * (size_t)f;
            z[0] = r[j] * scale + offset;
            z[1] = i[j] * scale + offset;
        }
    }
    for (int j = 0; j < k; j++) { /* bins 0 and Nyquist of a real signal are real */
        float *z = w->spectra + (size_t)j * pitch;
        z[1] = z[c->n] = z[c->n + 1] = 0;
    }
}

/* A part's samples get something from every frame that reaches into them, also from those of the parts beside. The squared windows of four frames sum to 3/2 everywhere; frames that are not there count as zeros (no renormalising at the ends). */
void dsp_chunk_inverse(const dsp_chunk *c, dsp_chunk_work *w, int part, const float *re, const float *im, float scale,
                       float offset, float *y)
{
    const int64_t begin = dsp_chunk_part(c, part), end = dsp_chunk_part(c, part + 1);
    const int64_t left = 3 * c->hop / 2; /* frame t starts at sample t hop - left */
    const int first = (int)SM_MAX((begin + left) / c->hop - (OVERLAP - 1), 0),
              last = (int)SM_MIN((end - 1 + left) / c->hop, c->frames - 1);
    const float back = sqrtf((float)c->n) / 1.5f;
    memset(w->sum, 0, (size_t)(end - begin) * sizeof *w->sum);
    for (int t = first; t <= last; t += TILE) {
        const int k = SM_MIN(TILE, last + 1 - t);
        gather(c, w, t, k, re, im, scale, offset);
        for (int j = 0; j < k; j++) {
            const int64_t at = (int64_t)(t + j) * c->hop - left - begin; /* of the frame, from the part's start */
            const int64_t from = SM_MAX(-at, 0), to = SM_MIN((int64_t)c->n, end - begin - at);
            dsp_fft_inverse(w->fft, w->spectra + (size_t)j * ((size_t)c->n + 2), w->frame);
            for (int64_t m = from; m < to; m++)
                w->sum[at + m] += w->frame[m] * c->window[m];
        }
    }
    for (int64_t i = 0; i < end - begin; i++)
        y[begin + i] += w->sum[i] * back;
}
