/* Chroma from spectral peaks, after Gomez, "Tonal description of music audio signals" (2006): only peaks that stand above their surroundings
 * count, each at its interpolated frequency, so that drums (which have none, or none that last) leave little. Registers are kept apart because the bass says
 * more about roots than the melody does. */
#include <string.h>

#include "dsp/chroma.h"
#include "dsp/framer.h"

enum {
    FRAME = 8192, /* at a quarter of DSP_RATE: 0.74 s */
    HOP = 2048,   /* 0.19 s */
    BINS = FRAME / 2,
    EDGE = 8 /* frames that count as beginning and as end: 1.5 s */
};
#define BIN_HZ (0.25 * DSP_RATE / FRAME)

typedef struct {
    float fine[CHROMA_REGISTERS][CHROMA_FINE];
    float weight;
    int chord;
    float match;
} moment;

struct chroma {
    halver half, quarter;
    framer frames;
    dsp_fft *fft;
    float *window, *windowed, *spectrum, *level;
    double *sums;
    sm_floats halved, quartered;
    int64_t samples;
    moment all, first, ring[2 * EDGE];
    float chords[CHROMA_CHORDS], first_chord[CHROMA_CHORDS], moves[CHROMA_MOVES][12];
    float loudest;
    double peak_sum, level_sum;
    int first_frames, ring_frames; /* ring_frames: frames put into the ring so far, sounding or not */
    int64_t sounding;
    int chord, chord_frames, chord_before;
    double tuning; /* running estimate, in semitones */
};

void chroma_free(chroma *c)
{
    if (!c)
        return;
    halver_free(&c->half);
    halver_free(&c->quarter);
    framer_free(&c->frames);
    dsp_fft_free(c->fft);
    sm_free(c->window);
    sm_free(c->sums);
    sm_floats_free(&c->halved);
    sm_floats_free(&c->quartered);
    sm_free(c);
}

int chroma_new(chroma **out)
{
    *out = NULL;
    chroma *c = sm_alloc_zero(1, sizeof *c);
    if (!c)
        return SM_ENOMEM;
    halver_init(&c->half);
    halver_init(&c->quarter);
    framer_init(&c->frames, FRAME, HOP, FRAME / 2);
    c->chord = c->chord_before = -1;
    int err = dsp_fft_new(FRAME, &c->fft);
    if (err == 0) {
        c->window = sm_alloc_zero(3 * FRAME + 2 + BINS, sizeof(float));
        c->sums = sm_alloc_zero(BINS + 1, sizeof *c->sums);
        err = c->window && c->sums ? 0 : SM_ENOMEM;
    }
    if (err < 0) {
        chroma_free(c);
        return err;
    }
    c->windowed = c->window + FRAME;
    c->spectrum = c->windowed + FRAME;
    c->level = c->spectrum + FRAME + 2;
    dsp_window(DSP_WINDOW_HANN_PERIODIC, FRAME, c->window);
    *out = c;
    return 0;
}

/* Semitones that the partials are off 12 equal steps from A4 = 440 Hz: the angle of their mean. -0.5..0.5; *sure 0..1 */
static double tuning_of(const moment *m, double *sure)
{
    double re = 0, im = 0, total = 0;
    for (int r = 0; r < CHROMA_REGISTERS; r++)
        for (int i = 0; i < CHROMA_FINE; i++) {
            const double a = 2 * M_PI * (i % 10) / 10.0, w = m->fine[r][i];
            re += w * cos(a);
            im += w * sin(a);
            total += w;
        }
    *sure = total > 0 ? sqrt(re * re + im * im) / total : 0;
    return total > 0 ? atan2(im, re) / (2 * M_PI) : 0;
}

/* Twelve classes of one register: tenths of semitones gathered with a raised cosine of +-0.5 semitones around the tuned ones. */
static void fold(const float *fine, double tuning, float out[12])
{
    for (int pc = 0; pc < 12; pc++) {
        float sum = 0;
        for (int d = -5; d <= 5; d++) {
            const int i = (int)lround(10 * (pc + tuning)) + d;
            const double off = (i / 10.0) - pc - tuning;
            sum += (float)(0.5 + 0.5 * cos(2 * M_PI * SM_CLAMP(off, -0.5, 0.5))) *
                   fine[(i + 10 * CHROMA_FINE) % CHROMA_FINE];
        }
        out[pc] = sum;
    }
}

static void add_moment(moment *to, const moment *m)
{
    for (int r = 0; r < CHROMA_REGISTERS; r++)
        for (int i = 0; i < CHROMA_FINE; i++)
            to->fine[r][i] += m->fine[r][i];
    to->weight += m->weight;
}

/* Puts one peak into the fine histogram, shared between two neighbours. */
static void add_peak(moment *m, double hz, float weight)
{
    static const double limit[CHROMA_REGISTERS] = { 196, 784, 2960 };
    int r = 0;
    while (r < CHROMA_REGISTERS && hz > limit[r])
        r++;
    if (hz < 27 || r == CHROMA_REGISTERS)
        return;
    const double at = 10 * (12 * log2(hz / 440) + 9 + 120); /* tenths above a C */
    const int i = (int)floor(at);
    const float f = (float)(at - i);
    m->fine[r][i % CHROMA_FINE] += weight * (1 - f);
    m->fine[r][(i + 1) % CHROMA_FINE] += weight * f;
    m->weight += weight;
}

/* Peaks at least twice as high as the mean of their surroundings (+- a sixth of an octave or so) and within 50 dB of the highest. */
static void find_peaks(chroma *c, moment *m)
{
    const int low = (int)(27 / BIN_HZ), high = (int)(3000 / BIN_HZ);
    const float *a = c->level;
    float most = 0;
    c->sums[0] = 0;
    for (int k = 0; k < BINS; k++)
        c->sums[k + 1] = c->sums[k] + a[k];
    for (int k = low; k < high; k++)
        most = SM_MAX(most, a[k]);
    for (int k = low; k < high; k++) {
        if (!(a[k] > a[k - 1] && a[k] >= a[k + 1] && a[k] > 0.003f * most))
            continue;
        const int reach = 10 + k / 9;
        const int from = SM_MAX(k - reach, 0), to = SM_MIN(k + reach + 1, BINS);
        const float around = (float)((c->sums[to] - c->sums[from]) / (to - from));
        if (a[k] < 2 * around)
            continue;
        const double l = log(a[k - 1] + 1e-20), p = log(a[k] + 1e-20), r = log(a[k + 1] + 1e-20), bend = l - 2 * p + r;
        const double shift = bend < 0 ? SM_CLAMP(0.5 * (l - r) / bend, -0.5, 0.5) : 0;
        add_peak(m, (k + shift) * BIN_HZ, sqrtf(a[k] - around));
        c->peak_sum += 3.0 * a[k]; /* a Hann peak's main lobe is worth about three bins */
    }
    c->level_sum += c->sums[high] - c->sums[low];
}

/* Best triad of the moment: share of the chroma on its notes, the bass on its root. */
static void name_chord(moment *m, double tuning)
{
    float part[CHROMA_REGISTERS][12], sum[12], total = 1e-9f, best = -1;
    for (int r = 0; r < CHROMA_REGISTERS; r++)
        fold(m->fine[r], tuning, part[r]);
    for (int i = 0; i < 12; i++)
        total += sum[i] = part[0][i] + part[1][i] + 0.5f * part[2][i];
    for (int k = 0; k < CHROMA_CHORDS; k++) {
        const int root = k % 12, third = (root + (k < 12 ? 4 : 3)) % 12, fifth = (root + 7) % 12;
        const float score = (sum[root] + 0.95f * sum[third] + 0.9f * sum[fifth] + 0.3f * part[0][root]) / total;
        if (score > best) {
            best = score;
            m->chord = k;
        }
    }
    m->match = SM_MAX(best - 0.3f, 0.0f);
}

/* Where the harmony went: bass or chord root up a fourth (dominant to tonic), down a fourth (plagal), up a step, to either mode. */
static void count_move(chroma *c, int to)
{
    const int from = c->chord_before;
    if (from < 0)
        return;
    const int step = (to % 12 - from % 12 + 12) % 12, minor = to >= 12;
    int kind = -1;
    if (step == 5 && from < 12)
        kind = minor;
    else if (step == 7)
        kind = 2 + minor;
    else if (step == 2 || step == 1)
        kind = 4 + minor;
    if (kind >= 0)
        c->moves[kind][to % 12] += 1;
}

/* A chord counts from its second frame on: frames that straddle a change are often neither. */
static void follow_chord(chroma *c, const moment *m)
{
    c->chords[m->chord] += m->match;
    if (m->chord != c->chord) {
        c->chord = m->chord;
        c->chord_frames = 0;
    }
    if (++c->chord_frames == 2 && c->chord != c->chord_before) {
        count_move(c, c->chord);
        c->chord_before = c->chord;
    }
}

static int take_frame(void *user, const float *samples)
{
    chroma *c = user;
    moment m = { .chord = -1 };
    for (int i = 0; i < FRAME; i++)
        c->windowed[i] = samples[i] * c->window[i];
    dsp_fft_forward(c->fft, c->windowed, c->spectrum);
    dsp_magnitude(c->spectrum, BINS, c->level);
    find_peaks(c, &m);
    if (m.weight > 10 * c->loudest) { /* what came before was next to silence: 40 dB below */
        memset(&c->first, 0, sizeof c->first);
        memset(c->first_chord, 0, sizeof c->first_chord);
        c->first_frames = 0;
    }
    c->loudest = SM_MAX(c->loudest, m.weight);
    if (m.weight > 0.03f * c->loudest) {
        double sure;
        add_moment(&c->all, &m);
        if (c->sounding % 8 == 0)
            c->tuning = tuning_of(&c->all, &sure);
        name_chord(&m, c->tuning);
        follow_chord(c, &m);
        c->sounding++;
        if (c->first_frames < EDGE) {
            add_moment(&c->first, &m);
            c->first_chord[m.chord] += m.match;
            c->first_frames++;
        }
    }
    c->ring[c->ring_frames++ % (2 * EDGE)] = m;
    if (c->ring_frames >= 4 * EDGE)
        c->ring_frames -= 2 * EDGE;
    return 0;
}

int chroma_push(chroma *c, const float *mono, size_t n)
{
    int err = 0;
    c->samples += (int64_t)n;
    while (err == 0 && n > 0) {
        const size_t part = SM_MIN(n, (size_t)1 << 15);
        c->halved.length = c->quartered.length = 0;
        err = halver_push(&c->half, mono, part, &c->halved);
        if (err == 0)
            err = halver_push(&c->quarter, c->halved.data, c->halved.length, &c->quartered);
        if (err == 0)
            err = framer_push(&c->frames, c->quartered.data, c->quartered.length, take_frame, c);
        mono += part;
        n -= part;
    }
    return err;
}

static void gather_last(const chroma *c, moment *last, float chord[CHROMA_CHORDS])
{
    int taken = 0;
    for (int i = c->ring_frames - 1; i >= 0 && i >= c->ring_frames - 2 * EDGE && taken < EDGE; i--) {
        const moment *m = &c->ring[i % (2 * EDGE)];
        if (m->chord < 0 || m->weight <= 0.03f * c->loudest)
            continue;
        add_moment(last, m);
        chord[m->chord] += m->match;
        taken++;
    }
}

static void view(const chroma *c, chroma_view *out)
{
    moment last = { .chord = -1 };
    memset(out, 0, sizeof *out);
    const double tuning = tuning_of(&c->all, &out->tuning_sure);
    gather_last(c, &last, out->last_chord);
    for (int r = 0; r < CHROMA_REGISTERS; r++) {
        fold(c->all.fine[r], tuning, out->all[r]);
        fold(c->first.fine[r], tuning, out->first[r]);
        fold(last.fine[r], tuning, out->last[r]);
    }
    memcpy(out->chords, c->chords, sizeof out->chords);
    memcpy(out->first_chord, c->first_chord, sizeof out->first_chord);
    memcpy(out->moves, c->moves, sizeof out->moves);
    out->tuning_hz = 440 * pow(2, tuning / 12);
    out->tonal = c->level_sum > 0 ? SM_MIN(c->peak_sum / c->level_sum, 1.0) : 0;
    out->sounding_s = (double)c->sounding * HOP * 4 / DSP_RATE;
}

int chroma_finish(chroma *c, chroma_view *out)
{
    const int64_t quartered = ((c->samples + 1) / 2 + 1) / 2;
    c->halved.length = c->quartered.length = 0;
    int err = halver_finish(&c->half, &c->halved);
    if (err == 0)
        err = halver_push(&c->quarter, c->halved.data, c->halved.length, &c->quartered);
    if (err == 0)
        err = halver_finish(&c->quarter, &c->quartered);
    if (err == 0)
        err = framer_push(&c->frames, c->quartered.data, c->quartered.length, take_frame, c);
    if (err == 0 && quartered > 0)
        err = framer_finish(&c->frames, (quartered + HOP - 1) / HOP, take_frame, c);
    if (err == 0)
        view(c, out);
    return err;
}
