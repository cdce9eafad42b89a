/* Loudness (libebur128: ITU-R BS.1770-4, EBU Tech 3342), peaks, and the plain facts about a signal's amplitude.
 * Works on the file's own rate and channels. */
#include <ebur128.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/parts.h"

enum {
    BLOCK = 4096, /* frames taken at once */
    TAPS = 12,    /* of each true peak phase */
    PEAKS = 256,  /* frames whose true peak is looked for at once */
    CHANNELS_MOST = 8
};
#define SILENT     1e-3f    /* -60 dBFS: below it nothing counts as sound */
#define FULL_SCALE 0.99996f /* the largest 16-bit sample is 32767/32768 */
#define RANGE_S    3.0      /* blocks of dynamic_range_db */
#define SILENCE_S  0.02     /* blocks of silence_ratio */

/* Mean square over blocks of a fixed number of frames. */
typedef struct {
    int64_t frames, filled; /* of a block; in the block that grows */
    double sum;
} block_power;

struct dsp_levels_state {
    int rate, channels;
    int64_t frames, first_loud, last_loud; /* frame numbers; first -1: none */
    ebur128_state *ebu;
    double sum[CHANNELS_MOST], square;
    float peak, true_peak;
    int64_t clipped, clip_run[CHANNELS_MOST]; /* consecutive full-scale samples so far */
    block_power range, silence;
    double *range_powers; /* mean squares of the 3-s blocks */
    size_t n_range, cap_range;
    int64_t silent_blocks, blocks;
    int phases;                                /* of the true peak filter: 4, 2 or 1 by rate */
    float taps[4][TAPS];                       /* phases 1.. */
    float reach;                               /* how much higher than all samples under it a true peak can be */
    float history[CHANNELS_MOST][TAPS];        /* the last TAPS - 1 samples of each channel, then room for none */
    float planar[TAPS + BLOCK], result[PEAKS]; /* history, then this block, of one channel; one phase's output */
};

/* ---- true peak: BS.1770-4 Annex 2, 4 times oversampling by a Hann-windowed sinc of 48 steps ---- */

static void true_peak_init(dsp_levels_state *s)
{
    s->phases = s->rate < 96000 ? 4 : s->rate < 192000 ? 2 : 1;
    const double half = TAPS / 2.0 * s->phases;
    for (int p = 1; p < s->phases; p++) {
        float sum = 0;
        for (int k = 0; k < TAPS; k++) {
            const double m = p + (double)(k - TAPS / 2) * s->phases; /* from the filter's middle */
            const double t = M_PI * m / s->phases;
            s->taps[p][k] = (float)(sin(t) / t * (0.5 + 0.5 * cos(M_PI * m / half)));
            sum += fabsf(s->taps[p][k]);
        }
        s->reach = SM_MAX(s->reach, sum * 1.0001f); /* 1.0001: what rounding may add */
    }
}

/* max |x|, by the bits: for finite floats their order is that of the numbers, and integers vectorise. */
static float peak_of(const float *x, int n)
{
    int32_t most = 0;
    for (int i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= INT32_MAX;
        most = SM_MAX(most, bits);
    }
    float peak;
    memcpy(&peak, &most, sizeof peak);
    return peak;
}

/* The phases of some frames. x: TAPS - 1 earlier samples, then n. */
static void true_peak_of(dsp_levels_state *s, const float *x, int n)
{
    for (int p = 1; p < s->phases; p++) {
        const float *h = s->taps[p];
        for (int i = 0; i < n; i++) {
            float sum = 0;
            for (int k = 0; k < TAPS; k++)
                sum += h[k] * x[i + TAPS - 1 - k];
            s->result[i] = sum;
        }
        s->true_peak = SM_MAX(s->true_peak, peak_of(s->result, n));
    }
}

/* Only where samples are so high that there may be a higher peak than those before: seldom, once the loudest place of a sound is past. */
static void true_peak_block(dsp_levels_state *s, const float *x, int n)
{
    for (int i = 0; i < n; i += PEAKS) {
        const int some = SM_MIN(n - i, PEAKS);
        if (!(peak_of(x + i, some + TAPS - 1) * s->reach <= SM_MAX(s->true_peak, s->peak)))
            true_peak_of(s, x + i, some);
    }
}

/* ---- loudness ---- */

/* BS.1770-4 weighs what comes from the side (60 to 120 degrees) by 1.41 and leaves the LFE out. Channel order as in WAVE. */
static const int channel_maps[CHANNELS_MOST + 1][CHANNELS_MOST] = {
    [1] = { EBUR128_LEFT },
    [2] = { EBUR128_LEFT, EBUR128_RIGHT },
    [3] = { EBUR128_LEFT, EBUR128_RIGHT, EBUR128_CENTER },
    [4] = { EBUR128_LEFT, EBUR128_RIGHT, EBUR128_LEFT_SURROUND, EBUR128_RIGHT_SURROUND },
    [5] = { EBUR128_LEFT, EBUR128_RIGHT, EBUR128_CENTER, EBUR128_LEFT_SURROUND, EBUR128_RIGHT_SURROUND },
    [6] = { EBUR128_LEFT, EBUR128_RIGHT, EBUR128_CENTER, EBUR128_UNUSED, EBUR128_LEFT_SURROUND,
            EBUR128_RIGHT_SURROUND },
    [7] = { EBUR128_LEFT, EBUR128_RIGHT, EBUR128_CENTER, EBUR128_UNUSED, EBUR128_Mp180, EBUR128_Mp090, EBUR128_Mm090 },
    [8] = { EBUR128_LEFT, EBUR128_RIGHT, EBUR128_CENTER, EBUR128_UNUSED, EBUR128_Mp135, EBUR128_Mm135, EBUR128_Mp090,
            EBUR128_Mm090 },
};

int dsp_levels_new(int rate_hz, int channels, dsp_levels_state **out)
{
    *out = NULL;
    if (channels < 1 || channels > CHANNELS_MOST || rate_hz < 100 || rate_hz > 1000000)
        return sm_fail(SM_EUSAGE, "levels of %d channels at %d Hz were asked for, 1 to %d channels are possible",
                       channels, rate_hz, CHANNELS_MOST);
    dsp_levels_state *s = sm_alloc_zero(1, sizeof *s);
    if (!s)
        return SM_ENOMEM;
    s->rate = rate_hz;
    s->channels = channels;
    s->first_loud = s->last_loud = -1;
    s->range.frames = (int64_t)(RANGE_S * rate_hz);
    s->silence.frames = SM_MAX((int64_t)(SILENCE_S * rate_hz), 1);
    true_peak_init(s);
    s->ebu = ebur128_init((unsigned)channels, (unsigned long)rate_hz, EBUR128_MODE_I | EBUR128_MODE_LRA);
    if (!s->ebu) {
        sm_free(s);
        return sm_fail(SM_ENOMEM, "no memory for a loudness meter");
    }
    for (int c = 0; c < channels; c++)
        ebur128_set_channel(s->ebu, (unsigned)c, channel_maps[channels][c]);
    *out = s;
    return 0;
}

void dsp_levels_free(dsp_levels_state *s)
{
    if (!s)
        return;
    ebur128_destroy(&s->ebu);
    sm_free(s->range_powers);
    sm_free(s);
}

static int loudness_push(dsp_levels_state *s, const float *interleaved, size_t frames)
{
    return ebur128_add_frames_float(s->ebu, interleaved, frames) == EBUR128_SUCCESS
               ? 0
               : sm_fail(SM_ENOMEM, "no memory for a loudness meter");
}

/* ---- one channel of a block ---- */

static void clip_channel(dsp_levels_state *s, int c, const float *x, int n)
{
    int64_t run = s->clip_run[c];
    for (int i = 0; i < n; i++) {
        if (fabsf(x[i]) < FULL_SCALE) {
            run = 0;
            continue;
        }
        run++;
        s->clipped += run == 3 ? 3 : run > 3;
    }
    s->clip_run[c] = run;
}

static void channel_block(dsp_levels_state *s, int c, const float *interleaved, int n)
{
    float *x = s->planar + TAPS - 1;
    memcpy(s->planar, s->history[c], (TAPS - 1) * sizeof *x);
    for (int i = 0; i < n; i++)
        x[i] = interleaved[(size_t)i * s->channels + c];
    const float peak = peak_of(x, n);
    s->peak = SM_MAX(s->peak, peak);
    true_peak_block(s, s->planar, n);
    double sum = s->sum[c]; /* goes on, so that the order of the additions does not depend on the cuts */
    for (int i = 0; i < n; i++)
        sum += x[i];
    s->sum[c] = sum;
    if (peak >= FULL_SCALE)
        clip_channel(s, c, x, n);
    else
        s->clip_run[c] = 0;
    memcpy(s->history[c], s->planar + n, (TAPS - 1) * sizeof *x);
}

/* ---- all channels of a block ---- */

static void silence_block_end(dsp_levels_state *s, double mean_square)
{
    s->blocks++;
    s->silent_blocks += mean_square < (double)SILENT * SILENT;
}

static int range_block_end(dsp_levels_state *s, double mean_square)
{
    if (sm_grow(&s->range_powers, &s->cap_range, s->n_range + 1, sizeof *s->range_powers) < 0)
        return SM_ENOMEM;
    s->range_powers[s->n_range++] = mean_square;
    return 0;
}

/* Adds one frame's square to both kinds of blocks. */
static int frame_power(dsp_levels_state *s, double square)
{
    int err = 0;
    s->silence.sum += square;
    if (++s->silence.filled == s->silence.frames) {
        silence_block_end(s, s->silence.sum / ((double)s->silence.frames * s->channels));
        s->square += s->silence.sum;
        s->range.sum += s->silence.sum;
        s->range.filled += s->silence.frames;
        s->silence.sum = 0;
        s->silence.filled = 0;
        if (s->range.filled >= s->range.frames) {
            err = range_block_end(s, s->range.sum / ((double)s->range.filled * s->channels));
            s->range.sum = 0;
            s->range.filled = 0;
        }
    }
    return err;
}

static int powers_block(dsp_levels_state *s, const float *x, int n)
{
    int err = 0;
    for (int i = 0; i < n && err == 0; i++, x += s->channels) {
        double square = 0;
        float peak = 0;
        for (int c = 0; c < s->channels; c++) {
            square += (double)x[c] * x[c];
            peak = SM_MAX(peak, fabsf(x[c]));
        }
        if (peak >= SILENT) {
            s->last_loud = s->frames + i;
            if (s->first_loud < 0)
                s->first_loud = s->last_loud;
        }
        err = frame_power(s, square);
    }
    return err;
}

int dsp_levels_push(dsp_levels_state *s, const float *interleaved, size_t frames)
{
    int err = 0;
    while (err == 0 && frames > 0) {
        const int n = (int)SM_MIN(frames, (size_t)BLOCK);
        err = loudness_push(s, interleaved, (size_t)n);
        for (int c = 0; c < s->channels; c++)
            channel_block(s, c, interleaved, n);
        if (err == 0)
            err = powers_block(s, interleaved, n);
        s->frames += n;
        interleaved += (size_t)n * s->channels;
        frames -= (size_t)n;
    }
    return err;
}

/* ---- the end ---- */

static double decibels(double ratio)
{
    return ratio > 0 ? 20 * log10(ratio) : NAN;
}

/* One gating block as libebur128 counts it: four tenths of a second (BS.1770), each rounded to whole frames (11,025 Hz: 4,412, not 4,410). */
static int64_t gate_frames(const dsp_levels_state *s)
{
    return 4 * (((int64_t)s->rate + 5) / 10);
}

/* Nothing sounds before or after the signal: the true peak filter and the loudness meter see zeros there. */
static int push_zeros(dsp_levels_state *s)
{
    const int64_t missing = gate_frames(s) - s->frames;
    int err = 0;
    float *zeros = sm_alloc_zero((size_t)BLOCK * s->channels, sizeof *zeros);
    if (!zeros)
        return SM_ENOMEM;
    for (int c = 0; c < s->channels; c++) {
        memset(s->planar, 0, sizeof s->planar);
        memcpy(s->planar, s->history[c], (TAPS - 1) * sizeof *s->planar);
        true_peak_block(s, s->planar, TAPS);
    }
    for (int64_t at = 0; at < missing && err == 0; at += BLOCK)
        err = loudness_push(s, zeros, (size_t)SM_MIN(missing - at, BLOCK));
    sm_free(zeros);
    return err;
}

static int descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Peak over the root mean square of the loudest fifth of 3-s blocks: how far peaks stand out where it is loud. */
static double dynamic_range(dsp_levels_state *s)
{
    const size_t n = SM_MAX(s->n_range / 5, 1);
    double sum = 0;
    qsort(s->range_powers, s->n_range, sizeof *s->range_powers, descending);
    for (size_t i = 0; i < n && s->n_range > 0; i++)
        sum += s->range_powers[i] / (double)n;
    return sum > 0 ? decibels(s->peak / sqrt(sum)) : NAN;
}

static double dc_offset(const dsp_levels_state *s)
{
    double most = 0;
    for (int c = 0; c < s->channels && s->frames > 0; c++) {
        const double mean = s->sum[c] / (double)s->frames;
        most = fabs(mean) > fabs(most) ? mean : most;
    }
    return most;
}

/* Blocks that the end cut: they count where they are not a rest of next to nothing. */
static int last_blocks(dsp_levels_state *s)
{
    s->square += s->silence.sum;
    s->range.sum += s->silence.sum;
    s->range.filled += s->silence.filled;
    if (s->silence.filled > 0)
        silence_block_end(s, s->silence.sum / ((double)s->silence.filled * s->channels));
    if (s->range.filled > 0 && (s->n_range == 0 || s->range.filled >= s->range.frames / 2))
        return range_block_end(s, s->range.sum / ((double)s->range.filled * s->channels));
    return 0;
}

int dsp_levels_finish(dsp_levels_state *s, dsp_levels *out)
{
    *out = (dsp_levels){ NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0 };
    if (s->frames == 0)
        return 0;
    int err = push_zeros(s);
    if (err == 0)
        err = last_blocks(s);
    if (err < 0)
        return err;
    double value;
    if (ebur128_loudness_global(s->ebu, &value) == EBUR128_SUCCESS && isfinite(value))
        out->loudness_lufs = value;
    /* Tech 3342 looks at 3-s windows: a range of a shorter sound says nothing */
    if ((double)s->frames >= RANGE_S * s->rate && isfinite(out->loudness_lufs) &&
        ebur128_loudness_range(s->ebu, &value) == EBUR128_SUCCESS && isfinite(value))
        out->loudness_range_lu = value;
    out->sample_peak_dbfs = decibels(s->peak);
    out->true_peak_dbtp = decibels(SM_MAX(s->peak, s->true_peak));
    out->rms_dbfs = decibels(sqrt(s->square / ((double)s->frames * s->channels)));
    out->dynamic_range_db = dynamic_range(s);
    out->dc_offset = dc_offset(s);
    out->silence_ratio = (double)s->silent_blocks / (double)s->blocks;
    out->clipped_samples = s->clipped;
    if (s->first_loud >= 0) {
        out->start_time_s = (double)s->first_loud / s->rate;
        out->duration_effective_s = (double)(s->last_loud + 1 - s->first_loud) / s->rate;
    }
    return 0;
}
