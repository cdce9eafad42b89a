/* The shape of a sound in time: a peak envelope of about 1 ms, what follows from it, and the beating inside it. */
#include <string.h>

#include "dsp/framer.h"
#include "dsp/parts.h"

enum {
    STEP = DSP_ENVELOPE_STEP,
    KEPT = 60 * DSP_RATE / STEP, /* steps kept for attack and decay: the first minute */
    RING = 1024,                 /* steps that stay readable: the last second */
    HOLD = 20,                   /* steps of a running maximum: half a wave of 25 Hz */
    BEATS = 256,                 /* steps of a roughness window */
};
#define STEP_HZ ((double)DSP_RATE / STEP)
#define HIGH_HZ 300.0 /* below it the half waves of a bass would look like beats */

/* What one step collects. */
typedef struct {
    float peak, jump; /* max |x|, max |x - 0.95 x before| */
    float full, high; /* sums of |x| and of |x above HIGH_HZ| */
    double energy;    /* sum of x^2 */
} step;

struct dsp_envelope {
    int64_t samples, steps;
    step now;
    float last;                       /* the sample before */
    float b0, a1, a2, x1, x2, y1, y2; /* Butterworth high-pass at HIGH_HZ; b = b0 (1, -2, 1) */
    float most;                       /* the largest peak */
    sm_floats kept;                   /* [steps] peaks of the first minute */
    float peaks[RING], jumps[RING];
    double energy, energy_time; /* sums of x^2 and of x^2 t, t in steps */
    framer beats;               /* of (full, high) pairs */
    dsp_fft *fft;
    float window[BEATS], weight[BEATS / 2 + 1], in[BEATS], re_im[BEATS + 2];
    double rough, rough_weight;
};

static void high_pass_init(dsp_envelope *e)
{
    const double w = tan(M_PI * HIGH_HZ / DSP_RATE), a0 = 1 + M_SQRT2 * w + w * w;
    e->b0 = (float)(1 / a0);
    e->a1 = (float)(2 * (w * w - 1) / a0);
    e->a2 = (float)((1 - M_SQRT2 * w + w * w) / a0);
}

int dsp_envelope_new(dsp_envelope **out)
{
    *out = NULL;
    dsp_envelope *e = sm_alloc_zero(1, sizeof *e);
    if (!e)
        return SM_ENOMEM;
    if (dsp_fft_new(BEATS, &e->fft) < 0) {
        sm_free(e);
        return SM_ENOMEM;
    }
    high_pass_init(e);
    framer_init(&e->beats, 2 * BEATS, BEATS, 0);
    dsp_window(DSP_WINDOW_HANN_PERIODIC, BEATS, e->window);
    /* Beats are roughest near 70 Hz (Fastl and Zwicker, Psychoacoustics, ch. 11); a bell over log frequency. */
    for (int k = 1; k <= BEATS / 2; k++) {
        const double hz = k * STEP_HZ / BEATS, octaves = log2(hz / 70);
        e->weight[k] = hz < 15 || hz > 300 ? 0 : (float)exp(-0.5 * octaves * octaves / (0.9 * 0.9));
    }
    *out = e;
    return 0;
}

void dsp_envelope_free(dsp_envelope *e)
{
    if (!e)
        return;
    sm_floats_free(&e->kept);
    framer_free(&e->beats);
    dsp_fft_free(e->fft);
    sm_free(e);
}

/* One window of beats: the depth of modulation of what lies above HIGH_HZ, measured against everything. */
static int beats_frame(void *user, const float *pairs)
{
    dsp_envelope *e = user;
    double mean = 0, depth = 0;
    for (int i = 0; i < BEATS; i++) {
        mean += pairs[2 * i] * e->window[i];
        e->in[i] = pairs[2 * i + 1] * e->window[i];
    }
    if (mean <= 1e-4 * STEP * BEATS / 2) /* -80 dBFS */
        return 0;
    dsp_fft_forward(e->fft, e->in, e->re_im);
    for (int k = 1; k <= BEATS / 2; k++) {
        const double re = e->re_im[2 * k], im = e->re_im[2 * k + 1];
        depth += e->weight[k] * (re * re + im * im);
    }
    /* A sine of depth m has (m/2 mean)^2 in its bin, (m/4)^2 in both neighbours: 1.5 times together. */
    depth = 2 * sqrt(depth / 1.5) / mean;
    e->rough += mean * mean * depth;
    e->rough_weight += mean * mean;
    return 0;
}

static int step_end(dsp_envelope *e)
{
    const step s = e->now;
    const float pair[2] = { s.full, s.high };
    e->now = (step){ 0 };
    e->peaks[e->steps % RING] = s.peak;
    e->jumps[e->steps % RING] = s.jump;
    e->most = SM_MAX(e->most, s.peak);
    e->energy += s.energy;
    e->energy_time += s.energy * ((double)e->steps + 0.5);
    e->steps++;
    int err = framer_push(&e->beats, pair, 2, beats_frame, e);
    if (err == 0 && e->kept.length < KEPT)
        err = sm_floats_add(&e->kept, &s.peak, 1);
    return err;
}

/* Takes at most what is missing to the end of the step. */
static void step_add(dsp_envelope *e, const float *x, size_t n)
{
    step s = e->now;
    float x1 = e->x1, x2 = e->x2, y1 = e->y1, y2 = e->y2;
    for (size_t i = 0; i < n; i++) {
        const float y = e->b0 * (x[i] - 2 * x1 + x2) - e->a1 * y1 - e->a2 * y2;
        const float size = fabsf(x[i]), jump = fabsf(x[i] - 0.95f * x1);
        s.peak = SM_MAX(s.peak, size);
        s.jump = SM_MAX(s.jump, jump);
        s.full += size;
        s.high += fabsf(y);
        s.energy += (double)x[i] * x[i];
        x2 = x1, x1 = x[i];
        y2 = y1, y1 = fabsf(y) < 1e-20f ? 0 : y; /* no denormals in the tail */
    }
    e->now = s;
    e->x1 = x1, e->x2 = x2, e->y1 = y1, e->y2 = y2;
}

int dsp_envelope_push(dsp_envelope *e, const float *mono, size_t n)
{
    int err = 0;
    while (n > 0 && err == 0) {
        const size_t part = SM_MIN(n, (size_t)(STEP - e->samples % STEP));
        step_add(e, mono, part);
        mono += part;
        n -= part;
        e->samples += (int64_t)part;
        if (e->samples % STEP == 0)
            err = step_end(e);
    }
    return err;
}

float dsp_envelope_jump(const dsp_envelope *e, int64_t at)
{
    return at >= 0 && at < e->steps && at >= e->steps - RING ? e->jumps[at % RING] : 0;
}

/* ---- the end ---- */

/* Peaks with the gaps between half waves filled: the maximum of the HOLD steps up to i, or from i on. */
static float held(const sm_floats *x, int64_t i, int direction)
{
    float most = 0;
    for (int64_t k = 0; k < HOLD; k++) {
        const int64_t at = i + direction * k;
        if (at >= 0 && at < (int64_t)x->length)
            most = SM_MAX(most, x->data[at]);
    }
    return most;
}

/* Where a straight line between two steps reaches the level. */
static double crossing(double at, double before, double after, double level)
{
    return after > before ? at + (level - before) / (after - before) : at;
}

/* From 20 % to 90 % of the peak. */
static double attack_s(const sm_floats *x, float most)
{
    const double low = 0.2 * most, high = 0.9 * most;
    int64_t top = 0;
    while (top < (int64_t)x->length && x->data[top] < high)
        top++;
    int64_t foot = top;
    while (foot > 0 && held(x, foot - 1, -1) >= low)
        foot--;
    const double from = foot > 0 ? crossing((double)foot - 1, held(x, foot - 1, -1), x->data[foot], low) : 0;
    const double to = top > 0 ? crossing((double)top - 1, x->data[top - 1], x->data[top], high) : 0;
    return SM_MAX(to - from, 0) / STEP_HZ;
}

/* Steps from the peak until the sound stays `db` below it for HOLD steps; -1: never. */
static int64_t fall(const sm_floats *x, int64_t peak_at, float most, double db)
{
    const double level = most * pow(10, -db / 20);
    for (int64_t i = peak_at; i < (int64_t)x->length; i++)
        if (held(x, i, 1) < level)
            return i - peak_at;
    return -1;
}

/* A tail that falls clearly more slowly than the sound itself: 20 to 40 dB below the peak, against the first 10 dB. */
static bool has_tail(const sm_floats *x, int64_t peak_at, float most)
{
    const int64_t t10 = fall(x, peak_at, most, 10), t20 = fall(x, peak_at, most, 20), t40 = fall(x, peak_at, most, 40);
    if (t10 < 0 || t20 < 0 || t40 < 0)
        return false;
    const double early_t60 = 6 * SM_MAX(t10, 5) / STEP_HZ, late_t60 = 3 * (double)(t40 - t20) / STEP_HZ;
    return late_t60 > 0.5 && late_t60 > 3 * early_t60;
}

int dsp_envelope_finish(dsp_envelope *e, dsp_shape *out)
{
    *out = (dsp_shape){ .attack_s = NAN, .decay_s = NAN, .temporal_centroid_s = NAN, .beating = 0, .tail_db = NAN };
    if (e->samples % STEP != 0) {
        const int err = step_end(e);
        if (err < 0)
            return err;
    }
    if (e->beats.emitted == 0 && e->steps >= BEATS / 8) /* a short sound: once, zeros behind it */
        framer_finish(&e->beats, 1, beats_frame, e);
    float most = 0;
    int64_t peak_at = 0;
    for (size_t i = 0; i < e->kept.length; i++)
        if (e->kept.data[i] > most) {
            most = e->kept.data[i];
            peak_at = (int64_t)i;
        }
    if (!(most > 0) || !(e->energy > 0))
        return 0;
    out->attack_s = attack_s(&e->kept, most);
    const int64_t decay = fall(&e->kept, peak_at, most, 20);
    out->decay_s = decay >= 0 ? (double)decay / STEP_HZ : NAN;
    out->tail = has_tail(&e->kept, peak_at, most);
    out->temporal_centroid_s = e->energy_time / e->energy / STEP_HZ;
    out->beating = e->rough_weight > 0 ? e->rough / e->rough_weight : 0;
    float last = 0;
    for (int64_t i = SM_MAX(0, e->steps - 30); i < e->steps; i++)
        last = SM_MAX(last, e->peaks[i % RING]);
    out->tail_db = 20 * log10(SM_MAX(last / e->most, 1e-5));
    return 0;
}
