/* OpenL3's front ends: one window of sound as decibels below its loudest place. After kapre 0.1.4, kapre 0.3.5 and librosa 0.9, which
 * differ in mel scale, in the order of filter and root, and in what lies beyond the window's ends. */
#include <float.h>
#include <string.h>

#include "dsp/fft_lanes.h"
#include "dsp/mel_scale.h"

enum { LANES = DSP_FFT_LANES };

/* Where a band's weights are that are not zero. A narrow band may have none: it lies between two bins. */
typedef struct {
    int first, count;
    const float *weights;
} picture_band;

struct dsp_picture {
    dsp_picture_spec spec;
    int bins;
    dsp_fft_lanes *fft;
    sm_arena *arena;
    double *window; /* [fft] */
    picture_band *bands;
};

/* ---- life ---- */

static int make_band(dsp_picture *p, int band, double *row)
{
    const dsp_picture_spec *s = &p->spec;
    const double high = mel_of_hz(s->mel_scale, s->rate_hz / 2.0);
    double hz[3];
    int first = 0, end = p->bins;
    for (int i = 0; i < 3; i++)
        hz[i] = hz_of_mel(s->mel_scale, high * (band + i) / (s->bands + 1));
    for (int k = 0; k < p->bins; k++)
        row[k] = mel_triangle(hz, (double)k * s->rate_hz / s->fft) * 2 / (hz[2] - hz[0]);
    while (first < end && row[first] == 0)
        first++;
    while (end > first && row[end - 1] == 0)
        end--;
    float *weights = sm_arena_get(p->arena, (size_t)(end - first) + 1, sizeof *weights, sizeof *weights);
    if (!weights)
        return SM_ENOMEM;
    for (int k = first; k < end; k++)
        weights[k - first] = (float)row[k];
    p->bands[band] = (picture_band){ first, end - first, weights };
    return 0;
}

static int make_bands(dsp_picture *p)
{
    double *row = sm_alloc((size_t)p->bins, sizeof *row);
    int err = row ? 0 : SM_ENOMEM;
    for (int b = 0; b < p->spec.bands && err == 0; b++)
        err = make_band(p, b, row);
    sm_free(row);
    return err;
}

static bool spec_valid(const dsp_picture_spec *s)
{
    return s->rate_hz >= 1 && s->samples >= 1 && s->samples <= 1 << 24 && s->hop >= 1 && s->hop <= 1 << 20 &&
           s->frames >= 1 && s->frames <= 1 << 16 && s->pad_left >= 0 && s->bands >= 0 && s->bands <= 4096 &&
           (!s->reflect || s->fft <= s->samples);
}

int dsp_picture_new(const dsp_picture_spec *spec, dsp_picture **out)
{
    *out = NULL;
    if (!spec_valid(spec))
        return sm_fail(SM_EUSAGE, "front end '%s' has sizes that do not fit together", spec->name);
    dsp_picture *p = sm_alloc_zero(1, sizeof *p);
    if (!p)
        return SM_ENOMEM;
    p->spec = *spec;
    p->bins = spec->fft / 2 + 1;
    int err = dsp_fft_lanes_new(spec->fft, &p->fft);
    p->arena = sm_arena_new();
    p->window = err == 0 && p->arena ? sm_arena_get(p->arena, (size_t)spec->fft, sizeof *p->window, 64) : NULL;
    p->bands = p->window ? sm_arena_get(p->arena, (size_t)spec->bands + 1, sizeof *p->bands, 8) : NULL;
    if (err == 0)
        err = p->bands ? make_bands(p) : SM_ENOMEM;
    for (int i = 0; err == 0 && i < spec->fft; i++)
        p->window[i] = 0.5 - 0.5 * cos(2 * M_PI * i / spec->fft);
    if (err < 0)
        dsp_picture_free(p);
    else
        *out = p;
    return err;
}

void dsp_picture_free(dsp_picture *p)
{
    if (!p)
        return;
    dsp_fft_lanes_free(p->fft);
    sm_arena_free(p->arena);
    sm_free(p);
}

int dsp_picture_rows(const dsp_picture *p)
{
    return p->spec.bands > 0 ? p->spec.bands : p->bins;
}

float dsp_picture_weight(const dsp_picture *p, int band, int bin)
{
    const picture_band *b = &p->bands[band];
    return bin < b->first || bin >= b->first + b->count ? 0 : b->weights[bin - b->first];
}

/* ---- one window ---- */

/* The windowed samples of frame t into one lane. */
static void cut(const dsp_picture *p, const float *samples, int t, double *to)
{
    const dsp_picture_spec *s = &p->spec;
    const int64_t start = (int64_t)t * s->hop - s->pad_left, n = s->samples;
    for (int i = 0; i < s->fft; i++) {
        int64_t at = start + i;
        if (s->reflect)
            at = at < 0 ? -at : at >= n ? 2 * (n - 1) - at : at;
        to[i * LANES] = at >= 0 && at < n ? p->window[i] * (double)samples[at] : 0;
    }
}

/* Rows of `columns` frames from t on, as log values. magnitude: powers, made roots of here where filters want those. */
static void write_columns(const dsp_picture *p, double *spectrum, int t, int columns, float *out)
{
    const dsp_picture_spec *s = &p->spec;
    if (!s->power || s->bands == 0)
        for (int i = 0; i < p->bins * LANES; i++)
            spectrum[i] = sqrt(spectrum[i]);
    for (int b = 0; b < dsp_picture_rows(p); b++) {
        double sum[LANES] = { 0 };
        if (s->bands > 0) {
            const picture_band *band = &p->bands[b];
            const double *from = spectrum + band->first * LANES;
            for (int k = 0; k < band->count; k++)
                for (int l = 0; l < LANES; l++)
                    sum[l] += (double)band->weights[k] * from[k * LANES + l];
        } else
            memcpy(sum, spectrum + b * LANES, sizeof sum);
        for (int l = 0; l < columns; l++) {
            const double value = s->power && s->bands > 0 ? sqrt(sum[l]) : sum[l];
            out[(size_t)b * (size_t)s->frames + (size_t)(t + l)] = (float)(10 * log10(SM_MAX(value, 1e-10)));
        }
    }
}

int dsp_picture_make(const dsp_picture *p, const float *samples, float *out)
{
    const size_t fft = (size_t)p->spec.fft, values = (size_t)dsp_picture_rows(p) * (size_t)p->spec.frames;
    double *work = sm_alloc_aligned((2 * fft + (size_t)p->bins) * LANES, sizeof *work);
    float loudest = -FLT_MAX;
    if (!work)
        return SM_ENOMEM;
    for (int t = 0; t < p->spec.frames; t += LANES) {
        const int columns = SM_MIN(LANES, p->spec.frames - t);
        for (int l = 0; l < LANES; l++)
            cut(p, samples, t + SM_MIN(l, columns - 1), work + l);
        dsp_fft_lanes_power(p->fft, work, work + fft * LANES, work + 2 * fft * LANES);
        write_columns(p, work + 2 * fft * LANES, t, columns, out);
    }
    sm_free(work);
    for (size_t i = 0; i < values; i++)
        loudest = SM_MAX(loudest, out[i]);
    for (size_t i = 0; i < values; i++)
        out[i] = SM_MAX(out[i] - loudest, -80.0f);
    return 0;
}
