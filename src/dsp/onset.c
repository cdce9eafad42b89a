/* Onsets: the SuperFlux function (Boeck and Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013) with an
 * adaptive threshold, and the exact moment from the 1 ms envelope. */
#include <stdlib.h>
#include <string.h>

#include "dsp/fastmath.h"
#include "dsp/parts.h"

enum {
    LAG = 2,   /* frames between the spectra that are compared */
    BACK = 12, /* frames before and after the one that is judged */
    AHEAD = 6,
    NEAR = 3,  /* it must be the largest of so many on each side */
    RING = 32, /* > BACK + AHEAD + 1 */
    BANDS_MOST = 128,
    BANDS_AN_OCTAVE = 12,
};
#define LOWEST_HZ  40.0
#define HIGHEST_HZ 16000.0
#define KNEE       3000.0f /* magnitudes below 1/KNEE of full scale (-70 dBFS) hardly count */
#define RISE       0.025f  /* by which an onset exceeds the mean around it, in decades, mean over bands */

typedef struct {
    double time_s, frame_s; /* exact; middle of the frame that showed it */
    float strength;
} onset;

struct dsp_onsets {
    const dsp_envelope *envelope;
    int fft;
    double frame_s; /* between frames */
    int bands;
    int edge[BANDS_MOST + 1]; /* band b: bins edge[b] .. edge[b+1] - 1 */
    float levels[LAG + 1][BANDS_MOST];
    float flux[RING];
    int64_t frames, judged;
    onset *items;
    size_t length, capacity;
};

int dsp_onsets_new(const dsp_envelope *envelope, int fft, int hop, dsp_onsets **out)
{
    *out = NULL;
    dsp_onsets *o = sm_alloc_zero(1, sizeof *o);
    if (!o)
        return SM_ENOMEM;
    o->envelope = envelope;
    o->fft = fft;
    o->frame_s = (double)hop / DSP_RATE;
    int last = 0;
    for (int i = 0; o->bands < BANDS_MOST; i++) {
        const double hz = LOWEST_HZ * pow(2, (double)i / BANDS_AN_OCTAVE);
        const int bin = (int)lround(hz * fft / DSP_RATE);
        if (hz > HIGHEST_HZ)
            break;
        if (bin > last) { /* low down several would share a bin */
            if (last > 0)
                o->bands++;
            o->edge[o->bands] = last = bin;
        }
    }
    *out = o;
    return 0;
}

void dsp_onsets_free(dsp_onsets *o)
{
    if (!o)
        return;
    sm_free(o->items);
    sm_free(o);
}

/* Mean rise over bands, against the neighbourhood of each band LAG frames ago. */
static float flux_of(const dsp_onsets *o, const float *now, const float *old)
{
    float sum = 0;
    for (int b = 0; b < o->bands; b++) {
        float most = old[b];
        if (b > 0)
            most = SM_MAX(most, old[b - 1]);
        if (b + 1 < o->bands)
            most = SM_MAX(most, old[b + 1]);
        sum += SM_MAX(now[b] - most, 0);
    }
    return sum / (float)o->bands;
}

/* The steepest step of the envelope near a frame's middle: its time, by the means of 4 ms before and after. */
static double exact_time(const dsp_onsets *o, int64_t frame)
{
    const double middle = (double)frame * o->frame_s;
    const int64_t at = (int64_t)(middle * DSP_RATE / DSP_ENVELOPE_STEP);
    float most = 0;
    int64_t best = at;
    for (int64_t i = SM_MAX(at - 22, 0); i <= at + 30; i++) {
        float rise = 0;
        for (int k = 0; k < 4; k++)
            rise += dsp_envelope_jump(o->envelope, i + k) - dsp_envelope_jump(o->envelope, i - 2 - k);
        if (rise > most * 1.0001f) {
            most = rise;
            best = i;
        }
    }
    return (double)best * DSP_ENVELOPE_STEP / DSP_RATE;
}

static int judge(dsp_onsets *o, int64_t frame)
{
    const float x = o->flux[frame % RING];
    float sum = 0;
    int count = 0;
    for (int64_t i = SM_MAX(frame - BACK, 0); i <= frame + AHEAD; i++) {
        if (i >= o->frames)
            break;
        const float y = o->flux[i % RING];
        if (i != frame && llabs(i - frame) <= NEAR && (y > x || (y == x && i < frame)))
            return 0;
        sum += y;
        count++;
    }
    if (x <= RISE + sum / (float)count)
        return 0;
    if (sm_grow(&o->items, &o->capacity, o->length + 1, sizeof *o->items) < 0)
        return SM_ENOMEM;
    o->items[o->length++] = (onset){ exact_time(o, frame), (double)frame * o->frame_s, x };
    return 0;
}

int dsp_onsets_frame(dsp_onsets *o, const float *power)
{
    float *now = o->levels[o->frames % (LAG + 1)];
    for (int b = 0; b < o->bands; b++) {
        float sum = 0;
        for (int k = o->edge[b]; k < o->edge[b + 1]; k++)
            sum += power[k];
        now[b] = sum;
    }
    for (int b = 0; b < o->bands; b++)
        now[b] = 0.30103f * fast_log2(1 + KNEE * sqrtf(now[b]));
    o->flux[o->frames % RING] = flux_of(o, now, o->levels[(o->frames + 1) % (LAG + 1)]);
    o->frames++;
    return o->frames > AHEAD ? judge(o, o->judged++) : 0;
}

static int descending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* What a strong onset of this sound is: the strongest, or the one that an eighth of them exceeds, since the first rises out of
 * silence and so towers over all others. */
static int strong_onset(const dsp_onsets *o, float *out)
{
    float *sorted = sm_alloc(o->length + 1, sizeof *sorted);
    if (!sorted)
        return SM_ENOMEM;
    sorted[0] = 0;
    for (size_t i = 0; i < o->length; i++)
        sorted[i] = o->items[i].strength;
    qsort(sorted, o->length, sizeof *sorted, descending);
    *out = sorted[o->length / 8];
    sm_free(sorted);
    return 0;
}

/* Onsets that strong ones bury are dropped, and of two within 30 ms the weaker. */
int dsp_onsets_finish(dsp_onsets *o, double duration_s, double **times, size_t *n)
{
    *times = NULL;
    *n = 0;
    int err = 0;
    while (err == 0 && o->judged < o->frames)
        err = judge(o, o->judged++);
    float strong = 0;
    if (err == 0)
        err = strong_onset(o, &strong);
    if (err < 0)
        return err;
    size_t kept = 0;
    /* A frame that reaches past the end sees the cut, which is broad-band too, but no onset. */
    const double last_s = duration_s - 0.5 * o->fft / DSP_RATE;
    for (size_t i = 0; i < o->length; i++) {
        onset x = o->items[i];
        if (x.strength < 0.05f * strong || (kept > 0 && x.frame_s > last_s))
            continue;
        if (kept > 0 && x.time_s - o->items[kept - 1].time_s < 0.03) {
            if (x.strength > o->items[kept - 1].strength)
                o->items[kept - 1] = x;
            continue;
        }
        o->items[kept++] = x;
    }
    o->length = kept;
    double *list = sm_alloc(SM_MAX(kept, 1), sizeof *list);
    if (!list)
        return SM_ENOMEM;
    for (size_t i = 0; i < kept; i++)
        list[i] = o->items[i].time_s;
    *times = list;
    *n = kept;
    return 0;
}
