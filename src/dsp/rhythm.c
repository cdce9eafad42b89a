/* Spectral flux after Boeck and Widmer, "Maximum filter vibrato suppression for onset detection" (DAFx 2013), on the square root of the
 * magnitude instead of its logarithm: so the result only scales with the gain, and no reference level is needed while streaming. */
#include <string.h>

#include "dsp/framer.h"
#include "dsp/rhythm.h"

enum {
    BINS = RHYTHM_FRAME / 2,
    LAG = 2,
    SLOW = 8, /* frames that are compared as wholes for harmony */
    HISTORY = 2 * SLOW,
    SLOW_FIRST = 3,
    SLOW_LAST = 121
};

/* First bin of each band; a bin is 21.5 Hz. 0, 108, 215, 452, 904, 1809, 3596, 6503 Hz. */
static const int band_start[RHYTHM_BANDS + 1] = { 1, 5, 10, 21, 42, 84, 167, 302, BINS };

struct rhythm {
    halver half;
    framer frames;
    dsp_fft *fft;
    float *window, *windowed, *spectrum;
    float *level[HISTORY]; /* square root of the magnitude, BINS each; [0] the newest */
    sm_floats halved, flux, peaks;
    float block_peak, peak;
    size_t in_block;
    int64_t samples;
};

void rhythm_free(rhythm *r)
{
    if (!r)
        return;
    halver_free(&r->half);
    framer_free(&r->frames);
    dsp_fft_free(r->fft);
    sm_free(r->window);
    sm_floats_free(&r->halved);
    sm_floats_free(&r->flux);
    sm_floats_free(&r->peaks);
    sm_free(r);
}

int rhythm_new(rhythm **out)
{
    *out = NULL;
    rhythm *r = sm_alloc_zero(1, sizeof *r);
    if (!r)
        return SM_ENOMEM;
    halver_init(&r->half);
    framer_init(&r->frames, RHYTHM_FRAME, RHYTHM_HOP, RHYTHM_FRAME / 2);
    int err = dsp_fft_new(RHYTHM_FRAME, &r->fft);
    if (err == 0) {
        r->window = sm_alloc_zero(3 * RHYTHM_FRAME + 2 + HISTORY * BINS, sizeof(float));
        err = r->window ? 0 : SM_ENOMEM;
    }
    if (err < 0) {
        rhythm_free(r);
        return err;
    }
    r->windowed = r->window + RHYTHM_FRAME;
    r->spectrum = r->windowed + RHYTHM_FRAME;
    for (int i = 0; i < HISTORY; i++)
        r->level[i] = r->spectrum + RHYTHM_FRAME + 2 + i * BINS;
    dsp_window(DSP_WINDOW_HANN_PERIODIC, RHYTHM_FRAME, r->window);
    *out = r;
    return 0;
}

/* Growth over the level LAG frames ago, of which the loudest neighbour counts, so that a gliding tone is no onset. */
static void bands_of(const float *now, const float *before, float *out)
{
    float rise[BINS];
    rise[0] = rise[BINS - 1] = 0;
    for (int k = 1; k < BINS - 1; k++) {
        const float near = SM_MAX(SM_MAX(before[k - 1], before[k + 1]), before[k]);
        rise[k] = SM_MAX(now[k] - near, 0.0f);
    }
    for (int b = 0; b < RHYTHM_BANDS; b++) {
        float sum = 0;
        for (int k = band_start[b]; k < band_start[b + 1]; k++)
            sum += rise[k];
        out[b] = sum / (float)(band_start[b + 1] - band_start[b]);
    }
}

/* The mean of the last SLOW frames against that of the SLOW frames before. */
static float change(float *const level[HISTORY])
{
    float sum = 0;
    for (int k = SLOW_FIRST; k < SLOW_LAST; k++) {
        float now = 0, before = 0;
        for (int i = 0; i < SLOW; i++) {
            now += level[i][k];
            before += level[SLOW + i][k];
        }
        sum += SM_MAX(now - before, 0.0f);
    }
    return sum / (SLOW * (SLOW_LAST - SLOW_FIRST));
}

static int take_frame(void *user, const float *samples)
{
    rhythm *r = user;
    float bands[RHYTHM_COLUMNS] = { 0 };
    float *oldest = r->level[HISTORY - 1];
    for (int i = HISTORY - 1; i > 0; i--)
        r->level[i] = r->level[i - 1];
    r->level[0] = oldest;
    for (int i = 0; i < RHYTHM_FRAME; i++)
        r->windowed[i] = samples[i] * r->window[i];
    dsp_fft_forward(r->fft, r->windowed, r->spectrum);
    dsp_power(r->spectrum, BINS, r->level[0]);
    for (int k = 0; k < BINS; k++)
        r->level[0][k] = sqrtf(sqrtf(r->level[0][k]));
    bands_of(r->level[0], r->level[LAG], bands);
    const size_t row = r->flux.length / RHYTHM_COLUMNS;
    if (row >= SLOW) /* the change is between the halves of the history: SLOW frames ago */
        r->flux.data[(row - SLOW) * RHYTHM_COLUMNS + RHYTHM_HARMONY] = change(r->level);
    return sm_floats_add(&r->flux, bands, RHYTHM_COLUMNS);
}

static int end_block(rhythm *r)
{
    int err = 0;
    if (r->peaks.length < (size_t)RHYTHM_LOOP_S * DSP_RATE / RHYTHM_BLOCK)
        err = sm_floats_add(&r->peaks, &r->block_peak, 1);
    r->peak = SM_MAX(r->peak, r->block_peak);
    r->block_peak = 0;
    r->in_block = 0;
    return err;
}

static int take_peaks(rhythm *r, const float *mono, size_t n)
{
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        r->block_peak = fabsf(mono[i]) < 1e6f ? SM_MAX(r->block_peak, fabsf(mono[i])) : r->block_peak;
        if (++r->in_block == RHYTHM_BLOCK)
            err = end_block(r);
    }
    r->samples += (int64_t)n;
    return err;
}

int rhythm_push(rhythm *r, const float *mono, size_t n)
{
    int err = take_peaks(r, mono, n);
    while (err == 0 && n > 0) {
        const size_t part = SM_MIN(n, (size_t)1 << 15);
        r->halved.length = 0;
        err = halver_push(&r->half, mono, part, &r->halved);
        if (err == 0)
            err = framer_push(&r->frames, r->halved.data, r->halved.length, take_frame, r);
        mono += part;
        n -= part;
    }
    return err;
}

int rhythm_finish(rhythm *r)
{
    const int64_t halved = (r->samples + 1) / 2;
    r->halved.length = 0;
    int err = r->in_block ? end_block(r) : 0;
    if (err == 0)
        err = halver_finish(&r->half, &r->halved);
    if (err == 0)
        err = framer_push(&r->frames, r->halved.data, r->halved.length, take_frame, r);
    if (err == 0)
        err = framer_finish(&r->frames, halved / RHYTHM_HOP + 1, take_frame, r);
    return err;
}

/* A frame sees a sound half a frame before its middle arrives, and the rise is fullest about one hop before the middle. */
void rhythm_see(const rhythm *r, rhythm_view *out)
{
    const float floor_level = 0.005f * r->peak;
    size_t first = 0, last = r->peaks.length;
    while (first < last && r->peaks.data[first] <= floor_level)
        first++;
    while (last > first && r->peaks.data[last - 1] <= floor_level)
        last--;
    const double block_s = (double)RHYTHM_BLOCK / DSP_RATE, duration = (double)r->samples / DSP_RATE;
    const bool whole = r->samples <= (int64_t)RHYTHM_LOOP_S * DSP_RATE;
    const size_t frames = r->flux.length / RHYTHM_COLUMNS;
    *out = (rhythm_view){ .flux = r->flux.data,
                          .frames = frames,
                          .duration_s = duration,
                          .start_s = first * block_s,
                          .end_s = whole ? SM_MIN(last * block_s, duration) : duration,
                          .peak = r->peak };
}
