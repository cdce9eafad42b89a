/* What is done to a generated sound: cut to bars so that it loops, levelled, measured. */
#include <math.h>
#include <string.h>

#include "dsp/dsp.h"
#include "engine/generate.h"

static float *channel(const sm_sound *s, int c)
{
    return s->samples + (size_t)c * (size_t)s->frames;
}

static double middle(const sm_sound *s, int64_t i)
{
    double sum = 0;
    for (int c = 0; c < s->channels; c++)
        sum += (double)channel(s, c)[i];
    return sum / s->channels;
}

static double peak_of(const sm_sound *s)
{
    double peak = 0;
    for (int64_t i = 0; i < s->frames * s->channels; i++)
        peak = fmax(peak, fabs((double)s->samples[i]));
    return peak;
}

/* ---- loops ---- */

/* Where sound begins, within `reach` frames; moved to a crossing of zero in the 2 ms before. */
static int64_t first_sound(const sm_sound *s, int64_t reach)
{
    const double threshold = 0.02 * peak_of(s); /* 34 dB below the peak */
    const int64_t back = s->rate_hz / 500;
    int64_t at = 0;
    while (at < reach && fabs(middle(s, at)) <= threshold)
        at++;
    if (at >= reach)
        return 0; /* it begins softly, or with a pause that is meant */
    for (int64_t i = at; i > 0 && i > at - back; i--)
        if (middle(s, i) * middle(s, i - 1) <= 0)
            return i;
    return at;
}

/* How alike n frames at a and at b are: -1..1. */
static double likeness(const sm_sound *s, int64_t a, int64_t b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int c = 0; c < s->channels; c++)
        for (int64_t i = 0; i < n; i++) {
            const double x = (double)channel(s, c)[a + i], y = (double)channel(s, c)[b + i];
            ab += x * y;
            aa += x * x;
            bb += y * y;
        }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* The first n frames at `at` become a fade from what follows the cut's end into themselves: equal power for sounds that are not alike,
 * plain weights for those that are. */
static void fade_seam(sm_sound *s, int64_t at, int64_t length, int64_t n)
{
    const bool alike = likeness(s, at, at + length, n) > 0.5;
    for (int c = 0; c < s->channels; c++) {
        float *y = channel(s, c) + at;
        for (int64_t i = 0; i < n; i++) {
            const double in = ((double)i + 0.5) / (double)n, a = alike ? in : sqrt(in),
                         b = alike ? 1 - in : sqrt(1 - in);
            y[i] = (float)(a * (double)y[i] + b * (double)y[length + i]);
        }
    }
}

/* The step from the last frame to the first, beside the rms of all steps. */
static double loop_jump(const sm_sound *s)
{
    double squares = 0, jump = 0;
    for (int c = 0; c < s->channels; c++) {
        const float *y = channel(s, c);
        for (int64_t i = 1; i < s->frames; i++)
            squares += ((double)y[i] - (double)y[i - 1]) * ((double)y[i] - (double)y[i - 1]);
        jump = fmax(jump, fabs((double)y[0] - (double)y[s->frames - 1]));
    }
    const double rms = sqrt(squares / SM_MAX((double)(s->frames - 1) * s->channels, 1));
    return rms > 0 ? jump / rms : 0;
}

int sm_sound_loop(sm_sound *s, int64_t length)
{
    const int64_t margin = s->frames - length, fade = SM_MIN(SM_MIN(s->rate_hz * 3 / 100, length / 8), margin);
    if (length < 1 || margin < 1)
        return sm_fail(SM_EINTERNAL, "%lld frames to cut %lld from", (long long)s->frames, (long long)length);
    const int64_t at = first_sound(s, margin - fade);
    fade_seam(s, at, length, fade);
    float *cut = sm_alloc((size_t)length * (size_t)s->channels, sizeof *cut);
    if (!cut)
        return SM_ENOMEM;
    for (int c = 0; c < s->channels; c++)
        memcpy(cut + c * length, channel(s, c) + at, (size_t)length * sizeof *cut);
    sm_free(s->samples);
    s->samples = cut;
    s->frames = length;
    s->fade_s = (double)fade / s->rate_hz;
    s->loop_jump = loop_jump(s);
    return 0;
}

/* ---- levels ---- */

void sm_sound_level(sm_sound *s, const char *level)
{
    level = level ? level : "auto";
    s->peak = peak_of(s);
    if (!strcmp(level, "none") || s->peak == 0 || (!strcmp(level, "auto") && s->peak <= 1))
        return;
    for (int64_t i = 0; i < s->frames * s->channels; i++)
        s->samples[i] = (float)((double)s->samples[i] / s->peak);
}

double sm_sound_level_step(const sm_sound *s, int64_t at)
{
    const int64_t n = s->rate_hz / 4;
    double power[2] = { 0, 0 };
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < n; i++) {
            const int64_t k = side ? at + i : at - 1 - i;
            for (int c = 0; c < s->channels && k >= 0 && k < s->frames; c++)
                power[side] += (double)channel(s, c)[k] * (double)channel(s, c)[k];
        }
    return power[0] > 0 && power[1] > 0 ? 10 * log10(power[1] / power[0]) : 0;
}

/* ---- tempo and key ---- */

int sm_sound_measure(sm_sound *s)
{
    enum { BLOCK = 4096 };
    const dsp_options o = { .tempo = true, .key = true };
    dsp_analysis *a = NULL;
    dsp_result r = { 0 };
    float *block = sm_alloc(BLOCK * (size_t)s->channels, sizeof *block);
    s->bpm = NAN;
    s->tonic = -1;
    int err = block ? dsp_analysis_new(&o, s->rate_hz, s->channels, &a) : SM_ENOMEM;
    for (int64_t at = 0; at < s->frames && err == 0; at += BLOCK) {
        const int64_t n = SM_MIN(BLOCK, s->frames - at);
        for (int c = 0; c < s->channels; c++)
            for (int64_t i = 0; i < n; i++)
                block[i * s->channels + c] = channel(s, c)[at + i];
        err = dsp_analysis_push(a, block, (size_t)n);
    }
    if (err == 0 && (err = dsp_analysis_finish(a, NULL, &r)) == 0) {
        const char *name = dsp_key_text(&r.key, "musical", s->key);
        s->bpm = r.tempo.bpm;
        s->tonic = name ? r.key.tonic : -1;
        s->minor = r.key.minor;
        s->key_confidence = name ? r.key.confidence : 0;
    }
    dsp_result_free(&r);
    dsp_analysis_free(a);
    sm_free(block);
    return err;
}

void sm_sound_free(sm_sound *s)
{
    sm_free(s->samples);
    *s = (sm_sound){ 0 };
}
