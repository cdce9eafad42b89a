/* Pitch without a model: YIN (de Cheveigne and Kawahara, "YIN, a fundamental frequency estimator", JASA 2002), its difference
 * function by FFT, dips compared by their interpolated depth, and the period refined on its own multiples. */
#include <stdlib.h>
#include <string.h>

#include "dsp/framer.h"
#include "dsp/parts.h"

/* ---- one frame ---- */

typedef struct {
    int n, window, lag_most; /* n = window + lag_most samples of a frame */
    double lag_least;
    int size; /* of the FFT, >= n */
    dsp_fft *fft;
    float *x, *part, *re_im, *re_im_part; /* [size], [size], [size + 2] twice */
    double *difference, *dips;            /* [lag_most + 2]: d and d' */
    double *squares;                      /* [n + 1] running sums */
    double energy;                        /* of the frame in hand */
} yin;

static void yin_free(yin *y)
{
    dsp_fft_free(y->fft);
    sm_free(y->x);
    sm_free(y->difference);
    *y = (yin){ 0 };
}

static int yin_new(yin *y, int n, double rate, double f_min, double f_max)
{
    *y = (yin){ .n = n };
    y->lag_most = SM_MIN((int)(rate / f_min) + 2, n / 2);
    y->window = n - y->lag_most;
    y->lag_least = SM_MAX(rate / f_max, 2);
    for (y->size = 64; y->size < n;)
        y->size *= 2;
    int err = dsp_fft_new(y->size, &y->fft);
    const size_t size = (size_t)y->size, lags = (size_t)y->lag_most + 2;
    y->x = sm_alloc_aligned(4 * size + 4, sizeof *y->x);
    y->difference = sm_alloc_zero(2 * lags + (size_t)n + 1, sizeof *y->difference);
    if (err < 0 || !y->x || !y->difference) {
        yin_free(y);
        return SM_ENOMEM;
    }
    y->part = y->x + size;
    y->re_im = y->part + size;
    y->re_im_part = y->re_im + size + 2;
    y->dips = y->difference + lags;
    y->squares = y->dips + lags;
    return 0;
}

/* y->x: the frame without its mean, zeros after. Correlation of the first `window` samples with all, by FFT: lags up to
 * lag_most never reach round the end. */
static void difference(yin *y)
{
    memcpy(y->part, y->x, (size_t)y->window * sizeof *y->x);
    memset(y->part + y->window, 0, (size_t)(y->size - y->window) * sizeof *y->x);
    dsp_fft_forward(y->fft, y->x, y->re_im);
    dsp_fft_forward(y->fft, y->part, y->re_im_part);
    float *a = y->re_im, *const b = y->re_im_part;
    for (int k = 0; k <= y->size / 2; k++) {
        const float re = a[2 * k] * b[2 * k] + a[2 * k + 1] * b[2 * k + 1];
        const float im = a[2 * k + 1] * b[2 * k] - a[2 * k] * b[2 * k + 1];
        b[2 * k] = re;
        b[2 * k + 1] = im;
    }
    dsp_fft_inverse(y->fft, b, y->part);
    y->squares[0] = 0;
    for (int i = 0; i < y->n; i++)
        y->squares[i + 1] = y->squares[i] + (double)y->x[i] * y->x[i];
    double sum = 0;
    y->difference[0] = 0;
    y->dips[0] = 1;
    for (int lag = 1; lag <= y->lag_most; lag++) {
        const double energy = y->squares[y->window] + y->squares[lag + y->window] - y->squares[lag];
        y->difference[lag] = SM_MAX(energy - 2 * (double)y->part[lag], 0);
        sum += y->difference[lag];
        y->dips[lag] = sum > 0 ? y->difference[lag] * lag / sum : 1;
    }
}

static bool is_dip(const double *d, int lag)
{
    return d[lag] <= d[lag - 1] && d[lag] < d[lag + 1];
}

/* The bottom of the parabola through three lags: its place, and its height (not below 0). */
static double bottom(const double *d, int lag, double *height)
{
    const double a = d[lag - 1] - 2 * d[lag] + d[lag + 1], b = (d[lag + 1] - d[lag - 1]) / 2;
    const double shift = a > 0 ? SM_CLAMP(-b / a, -1, 1) : 0;
    *height = SM_MAX(d[lag] + shift * b / 2, 0);
    return lag + shift;
}

/* The first dip that is nearly as deep as the deepest; 0: none. A multiple of the period dips as deep, a part of it does not. */
static int first_deep_dip(const yin *y)
{
    double best = 1, height;
    const int from = SM_MAX((int)y->lag_least, 2);
    for (int lag = from; lag < y->lag_most; lag++)
        if (is_dip(y->dips, lag)) {
            bottom(y->dips, lag, &height);
            best = SM_MIN(best, height);
        }
    for (int lag = from; lag < y->lag_most; lag++)
        if (is_dip(y->dips, lag)) {
            bottom(y->dips, lag, &height);
            if (height <= best * 1.5 + 0.1 && best < 1)
                return lag;
        }
    return 0;
}

/* The same dip at 2, 3, ... periods places the period ever more exactly, as long as the sound stays periodic. */
static double refine(const yin *y, double period, double depth)
{
    for (int k = 2; (k + 0.5) * period < y->lag_most; k++) {
        int lag = (int)lround(k * period);
        double height;
        if (lag + 2 >= y->lag_most)
            break;
        lag += y->dips[lag + 1] < y->dips[lag] ? 1 : y->dips[lag - 1] < y->dips[lag] ? -1 : 0;
        if (!is_dip(y->dips, lag))
            break;
        const double place = bottom(y->difference, lag, &height) / k;
        bottom(y->dips, lag, &height);
        if (height > depth + 0.12 || fabs(place - period) > 0.6 / k)
            break;
        period = place;
    }
    return period;
}

/* A single click has no period, though all its dips are deep: is there anything 2 ms (at 22 kHz) away from the top? */
static bool is_click(const yin *y, double energy)
{
    int top = 0;
    double near = 0;
    float most = fabsf(y->x[0]);
    for (int i = 1; i < y->n; i++)
        if (fabsf(y->x[i]) > most) {
            most = fabsf(y->x[i]);
            top = i;
        }
    for (int i = SM_MAX(top - 44, 0); i < SM_MIN(top + 45, y->n); i++)
        near += (double)y->x[i] * y->x[i];
    return near > 0.9 * energy && y->n > 200;
}

enum { LANES = 4 }; /* sums side by side, so that each addition need not wait for the one before */

/* Takes the mean away; the sum of squares of what is left. */
static double centre(float *x, int n)
{
    double sum[LANES] = { 0 }, square[LANES] = { 0 };
    const int whole = n / LANES * LANES;
    for (int i = 0; i < whole; i += LANES)
        for (int l = 0; l < LANES; l++)
            sum[l] += x[i + l];
    for (int i = whole; i < n; i++)
        sum[0] += x[i];
    const float mean = (float)(((sum[0] + sum[1]) + (sum[2] + sum[3])) / n);
    for (int i = 0; i < n; i++)
        x[i] -= mean;
    for (int i = 0; i < whole; i += LANES)
        for (int l = 0; l < LANES; l++)
            square[l] += (double)x[i + l] * x[i + l];
    for (int i = whole; i < n; i++)
        square[0] += (double)x[i] * x[i];
    return (square[0] + square[1]) + (square[2] + square[3]);
}

/* The period in samples (0: none), how deep the dip is (1 - aperiodicity), and the energy of the frame in y->energy. */
static double yin_frame(yin *y, double *confidence)
{
    *confidence = 0;
    const double energy = y->energy = centre(y->x, y->n);
    memset(y->x + y->n, 0, (size_t)(y->size - y->n) * sizeof *y->x);
    if (energy < 1e-8 * y->n || is_click(y, energy)) /* -80 dBFS */
        return 0;
    difference(y);
    const int lag = first_deep_dip(y);
    if (lag == 0)
        return 0;
    double depth, ignored;
    bottom(y->dips, lag, &depth);
    const double period = refine(y, bottom(y->difference, lag, &ignored), depth);
    *confidence = SM_CLAMP(1 - depth, 0, 1);
    return period;
}

/* ---- a track of frames, at any rate ---- */

enum { VOICED_PERCENT = 80 }; /* confidence from which a frame of the track has a pitch */

int dsp_yin_track(const float *mono, size_t n, int rate_hz, double f_min, double f_max, int hop, sm_floats *hz,
                  sm_floats *confidence)
{
    if (rate_hz < 1000 || hop < 1 || !(f_min >= 5) || !(f_max > f_min) || f_max > rate_hz / 2.0)
        return sm_fail(SM_EUSAGE, "a pitch track from %g to %g Hz every %d samples at %d Hz was asked for", f_min,
                       f_max, hop, rate_hz);
    yin y;
    const int length = SM_MAX(2 * ((int)(rate_hz / f_min) + 2), rate_hz / 40);
    int err = yin_new(&y, length, rate_hz, f_min, f_max);
    for (size_t middle = 0; err == 0 && middle <= n; middle += (size_t)hop) {
        const int64_t start = (int64_t)middle - length / 2;
        for (int i = 0; i < length; i++)
            y.x[i] = start + i >= 0 && start + i < (int64_t)n ? mono[start + i] : 0;
        double sure;
        const double period = yin_frame(&y, &sure);
        const float pitch = sure * 100 >= VOICED_PERCENT && period > 0 ? (float)(rate_hz / period) : 0, c = (float)sure;
        err = sm_floats_add(hz, &pitch, 1);
        if (err == 0)
            err = sm_floats_add(confidence, &c, 1);
    }
    yin_free(&y);
    return err;
}

/* ---- the pitch of a sound ---- */

enum {
    HALF_TAPS = 15, /* of the decimator, on each side */
    LENGTH = 2048,  /* of a frame, at half of DSP_RATE: 93 ms */
    FRAME = 2 * LENGTH + 2 * HALF_TAPS,
    HOP = 1024,
    LEAST = 300, /* samples at half rate from which a single short frame makes sense: 14 ms */
};
#define LOWEST_HZ  27.0
#define HIGHEST_HZ 5000.0
#define LIMIT_S    30 /* the first half minute decides */

typedef struct {
    float hz, confidence, energy;
} pitch_frame;

struct dsp_pitch_state {
    framer framer;
    yin yin;
    float taps[2 * HALF_TAPS + 1], even[LENGTH + HALF_TAPS], odd[LENGTH + HALF_TAPS];
    float half[LENGTH]; /* the last frame at half the rate: all but its first HOP / 2 samples are the next one's */
    int kept;           /* how many of them */
    pitch_frame *frames;
    size_t length, capacity;
};

/* Hann-windowed sinc. It cuts at HIGHEST_HZ, far below what half the rate needs: without the highest harmonics dips are wide
 * enough for a parabola. */
static void low_pass(float taps[2 * HALF_TAPS + 1])
{
    double sum = 0, h[2 * HALF_TAPS + 1];
    for (int i = -HALF_TAPS; i <= HALF_TAPS; i++) {
        const double t = 2 * M_PI * HIGHEST_HZ / DSP_RATE * i;
        h[i + HALF_TAPS] = (i == 0 ? 1 : sin(t) / t) * (0.5 + 0.5 * cos(M_PI * i / (HALF_TAPS + 1)));
        sum += h[i + HALF_TAPS];
    }
    for (int i = 0; i <= 2 * HALF_TAPS; i++)
        taps[i] = (float)(h[i] / sum);
}

int dsp_pitch_new(dsp_pitch_state **out)
{
    *out = NULL;
    dsp_pitch_state *p = sm_alloc_zero(1, sizeof *p);
    if (!p)
        return SM_ENOMEM;
    if (yin_new(&p->yin, LENGTH, DSP_RATE / 2.0, LOWEST_HZ, HIGHEST_HZ) < 0) {
        sm_free(p);
        return SM_ENOMEM;
    }
    framer_init(&p->framer, FRAME, HOP, HALF_TAPS);
    low_pass(p->taps);
    *out = p;
    return 0;
}

void dsp_pitch_free(dsp_pitch_state *p)
{
    if (!p)
        return;
    framer_free(&p->framer);
    yin_free(&p->yin);
    sm_free(p->frames);
    sm_free(p);
}

/* n samples at half the rate of 2 n + 2 HALF_TAPS. Even and odd samples apart, so that the loops run over neighbours. */
static void decimate(dsp_pitch_state *p, const float *x, int n, float *out)
{
    float *const halves[2] = { p->even, p->odd };
    for (int i = 0; i < n + HALF_TAPS; i++) {
        p->even[i] = x[2 * i];
        p->odd[i] = x[2 * i + 1];
    }
    for (int i = 0; i < n; i++)
        out[i] = 0;
    for (int k = 0; k <= 2 * HALF_TAPS; k++) {
        const float *in = halves[k % 2] + k / 2, h = p->taps[k];
        for (int i = 0; i < n; i++)
            out[i] += h * in[i];
    }
}

static int add_frame(dsp_pitch_state *p, yin *y, const float *samples)
{
    if (sm_grow(&p->frames, &p->capacity, p->length + 1, sizeof *p->frames) < 0)
        return SM_ENOMEM;
    memmove(p->half, p->half + HOP / 2, (size_t)p->kept * sizeof *p->half);
    decimate(p, samples + 2 * p->kept, y->n - p->kept, p->half + p->kept);
    p->kept = y->n - HOP / 2;
    memcpy(y->x, p->half, (size_t)y->n * sizeof *y->x);
    double confidence;
    const double period = yin_frame(y, &confidence);
    p->frames[p->length++] = (pitch_frame){ period > 0 ? (float)(DSP_RATE / 2.0 / period) : 0, (float)confidence,
                                            (float)(y->energy / y->n) };
    return 0;
}

static int pitch_sink(void *user, const float *samples)
{
    dsp_pitch_state *p = user;
    return add_frame(p, &p->yin, samples);
}

int dsp_pitch_push(dsp_pitch_state *p, const float *mono, size_t n)
{
    const int64_t room = (int64_t)LIMIT_S * DSP_RATE - p->framer.received;
    return room > 0 ? framer_push(&p->framer, mono, SM_MIN(n, (size_t)room), pitch_sink, p) : 0;
}

/* A sound shorter than a frame is one frame of its own length. */
static int short_frame(dsp_pitch_state *p)
{
    /* a frame is whole only when the taps behind it have come: so up to HALF_TAPS samples more than a frame may be here */
    const int64_t n = SM_MIN(p->framer.received / 2, (int64_t)LENGTH);
    if (n < LEAST)
        return 0;
    yin y;
    int err = yin_new(&y, (int)n, DSP_RATE / 2.0, LOWEST_HZ, HIGHEST_HZ);
    if (err < 0)
        return err;
    err = sm_floats_add(&p->framer.pending, NULL, 2 * HALF_TAPS);
    if (err == 0)
        err = add_frame(p, &y, p->framer.pending.data);
    yin_free(&y);
    return err;
}

static int by_pitch(const void *a, const void *b)
{
    const float x = ((const pitch_frame *)a)->hz, y = ((const pitch_frame *)b)->hz;
    return (x > y) - (x < y);
}

/* frames[0..n) sorted by pitch: where the weights reach `share` of their sum. */
static double weighted_quantile(const pitch_frame *f, size_t n, double share)
{
    double sum = 0, part = 0;
    for (size_t i = 0; i < n; i++)
        sum += sqrt(f[i].energy);
    for (size_t i = 0; i < n; i++) {
        part += sqrt(f[i].energy);
        if (part >= share * sum)
            return f[i].hz;
    }
    return n > 0 ? f[n - 1].hz : NAN;
}

/* Voiced frames to the front; the sums weigh a frame by its amplitude, so that a tail counts but does not decide. */
static size_t voiced_first(dsp_pitch_state *p, double *voiced_share, double *salience)
{
    size_t n = 0;
    double all = 0, voiced = 0, depth = 0;
    float most = 0;
    for (size_t i = 0; i < p->length; i++)
        most = SM_MAX(most, p->frames[i].energy);
    for (size_t i = 0; i < p->length; i++) {
        const pitch_frame f = p->frames[i];
        const double weight = sqrt(f.energy);
        if (f.energy < 1e-4f * most) /* 40 dB below the loudest */
            continue;
        all += weight;
        depth += weight * f.confidence;
        if (f.hz > 0 && f.confidence * 100 >= VOICED_PERCENT) {
            voiced += weight;
            p->frames[n++] = f;
        }
    }
    *voiced_share = all > 0 ? voiced / all : 0;
    *salience = all > 0 ? depth / all : 0;
    return n;
}

/* What part of the voiced frames lies within half a semitone of `hz`. */
static double near_share(const pitch_frame *f, size_t n, double hz)
{
    double near = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        const double weight = sqrt(f[i].energy);
        all += weight;
        near += fabs(12 * log2(f[i].hz / hz)) < 0.5 ? weight : 0;
    }
    return all > 0 ? near / all : 0;
}

int dsp_pitch_finish(dsp_pitch_state *p, dsp_pitch *out)
{
    *out = (dsp_pitch){ NAN, NAN, NAN, 0, 0, -1, NAN, NAN };
    if (p->length == 0) {
        const int err = short_frame(p);
        if (err < 0)
            return err;
    }
    double share;
    const size_t n = voiced_first(p, &share, &out->salience);
    if (n > 0)
        qsort(p->frames, n, sizeof *p->frames, by_pitch);
    const double hz = weighted_quantile(p->frames, n, 0.5);
    const double near = near_share(p->frames, n, hz);
    double depth = 0, weight = 0;
    for (size_t i = 0; i < n; i++) {
        depth += sqrt(p->frames[i].energy) * p->frames[i].confidence;
        weight += sqrt(p->frames[i].energy);
    }
    out->confidence = n > 0 ? share * depth / weight : 0;
    if (n == 0 || share < 0.35 || near < 0.2)
        return 0;
    out->pitch_hz = hz;
    out->pitch_min_hz = weighted_quantile(p->frames, n, 0.02);
    out->pitch_max_hz = weighted_quantile(p->frames, n, 0.98);
    const double note = 69 + 12 * log2(hz / 440);
    out->note_midi = (int)lround(note);
    out->note_cents = 100 * (note - out->note_midi);
    out->note_confidence = out->confidence * near;
    return 0;
}

void dsp_note_text(int midi, char out[8])
{
    static const char *const names[] = { "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B" };
    if (midi < 0 || midi > 999)
        out[0] = '\0';
    else
        snprintf(out, 8, "%s%d", names[midi % 12], midi / 12 - 1);
}
