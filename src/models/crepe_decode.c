/* From CREPE's activation to Hz: crepe's and torchcrepe's decoders, frame by frame. */
#include <math.h>
#include <string.h>

#include "models/crepe.h"

struct crepe_decoder {
    sm_pitch_decoder kind;
    int low, high; /* open bins */
    crepe_viterbi *viterbi;
    sm_floats waiting; /* activations of frames whose bin is not decided yet */
    size_t first;      /* frame of waiting's first row */
    sm_floats hz, confidence;
    int32_t *bins;
    size_t n_bins, cap_bins;
};

static const char *const names[] = { "crepe", "viterbi", "argmax", "weighted", "torchcrepe-viterbi" };

const char *sm_pitch_decoder_name(sm_pitch_decoder d)
{
    return (size_t)d < SM_LENGTH(names) ? names[d] : "?";
}

bool sm_pitch_decoder_find(const char *name, sm_pitch_decoder *out)
{
    for (size_t i = 0; i < SM_LENGTH(names); i++)
        if (!strcmp(names[i], name)) {
            *out = (sm_pitch_decoder)i;
            return true;
        }
    return false;
}

double crepe_cents(int bin)
{
    return 1997.3794084376191 + 20.0 * bin;
}

double crepe_hz(double cents)
{
    return 10 * exp2(cents / 1200);
}

double crepe_local_hz(const float *activation, int centre)
{
    double sum = 0, weight = 0;
    for (int b = SM_MAX(centre - 4, 0); b <= SM_MIN(centre + 4, CREPE_BINS - 1); b++) {
        sum += activation[b] * crepe_cents(b);
        weight += activation[b];
    }
    return weight > 0 ? crepe_hz(sum / weight) : 0;
}

/* torchcrepe's weighted argmax: a second sigmoid on the probabilities; bins outside the range weigh nothing. */
static double weighted_hz(const crepe_decoder *d, const float *activation, int centre)
{
    double sum = 0, weight = 0;
    for (int b = SM_MAX(centre - 4, d->low); b <= SM_MIN(centre + 4, d->high - 1); b++) {
        const double w = 1 / (1 + exp(-(double)activation[b]));
        sum += w * crepe_cents(b);
        weight += w;
    }
    return crepe_hz(sum / weight);
}

int crepe_decoder_new(sm_pitch_decoder kind, double f_min, double f_max, crepe_decoder **out)
{
    const bool torch = kind == SM_PITCH_ARGMAX || kind == SM_PITCH_WEIGHTED || kind == SM_PITCH_TORCH_VITERBI;
    crepe_decoder *d;
    int err = 0;
    *out = NULL;
    if (f_min < 0 || f_max < 0 || (f_max > 0 && f_max <= f_min) || kind >= SM_PITCH_DECODERS)
        return sm_fail(SM_EUSAGE, "a pitch range from %g to %g Hz", f_min, f_max);
    d = sm_alloc_zero(1, sizeof *d);
    if (!d)
        return SM_ENOMEM;
    d->kind = kind;
    d->high = CREPE_BINS;
    if (torch || f_min > 0 || f_max > 0) /* crepe itself has no range: all bins unless one is asked for */
        crepe_open_bins(f_min > 0 ? f_min
                        : torch   ? 50
                                  : 20,
                        f_max > 0 ? f_max
                        : torch   ? 2006
                                  : 4000,
                        &d->low, &d->high);
    if (kind == SM_PITCH_VITERBI || kind == SM_PITCH_TORCH_VITERBI)
        err = crepe_viterbi_new(kind == SM_PITCH_VITERBI ? CREPE_VITERBI_ARGMAX : CREPE_VITERBI_SOFTMAX, d->low,
                                d->high, &d->viterbi);
    if (err < 0)
        crepe_decoder_free(d);
    else
        *out = d;
    return err;
}

void crepe_decoder_free(crepe_decoder *d)
{
    if (!d)
        return;
    crepe_viterbi_free(d->viterbi);
    sm_floats_free(&d->waiting);
    sm_floats_free(&d->hz);
    sm_floats_free(&d->confidence);
    sm_free(d->bins);
    sm_free(d);
}

static int give(crepe_decoder *d, double hz, double confidence, int bin)
{
    const float h = (float)hz, c = (float)confidence;
    int err;
    if ((err = sm_floats_add(&d->hz, &h, 1)) < 0 || (err = sm_floats_add(&d->confidence, &c, 1)) < 0 ||
        (err = sm_grow(&d->bins, &d->cap_bins, d->n_bins + 1, sizeof *d->bins)) < 0)
        return err;
    d->bins[d->n_bins++] = bin;
    return 0;
}

static double highest(const float *activation)
{
    float top = activation[0];
    for (int i = 1; i < CREPE_BINS; i++)
        top = SM_MAX(top, activation[i]);
    return top;
}

/* One frame whose bin is known. */
static int decided(crepe_decoder *d, const float *activation, int bin)
{
    switch (d->kind) {
    case SM_PITCH_LOCAL_AVERAGE:
    case SM_PITCH_VITERBI:
        return give(d, crepe_local_hz(activation, bin), highest(activation), bin);
    case SM_PITCH_WEIGHTED:
        return give(d, weighted_hz(d, activation, bin), activation[bin], bin);
    default:
        return give(d, crepe_hz(crepe_cents(bin)), activation[bin], bin);
    }
}

static int take(void *user, size_t frame, int bin)
{
    crepe_decoder *d = user;
    return decided(d, d->waiting.data + (frame - d->first) * CREPE_BINS, bin);
}

int crepe_decoder_push(crepe_decoder *d, const float *activation)
{
    int best = d->low, err;
    if (d->viterbi) {
        if ((err = sm_floats_add(&d->waiting, activation, CREPE_BINS)) < 0 ||
            (err = crepe_viterbi_push(d->viterbi, activation, take, d)) < 0)
            return err;
        sm_floats_drop(&d->waiting, (d->n_bins - d->first) * CREPE_BINS);
        d->first = d->n_bins;
        return 0;
    }
    for (int i = d->low + 1; i < d->high; i++)
        if (activation[i] > activation[best])
            best = i;
    return decided(d, activation, best);
}

int crepe_decoder_finish(crepe_decoder *d)
{
    return d->viterbi ? crepe_viterbi_finish(d->viterbi, take, d) : 0;
}

size_t crepe_decoder_frames(const crepe_decoder *d)
{
    return d->n_bins;
}

const float *crepe_decoder_hz(const crepe_decoder *d)
{
    return d->hz.data;
}

const float *crepe_decoder_confidence(const crepe_decoder *d)
{
    return d->confidence.data;
}

const int32_t *crepe_decoder_bins(const crepe_decoder *d)
{
    return d->bins;
}

int sm_pitch_decode(sm_pitch_decoder kind, const float *activation, size_t frames, double f_min, double f_max,
                    float *hz, float *confidence, int32_t *bins)
{
    crepe_decoder *d;
    int err = crepe_decoder_new(kind, f_min, f_max, &d);
    for (size_t t = 0; t < frames && err == 0; t++)
        err = crepe_decoder_push(d, activation + t * CREPE_BINS);
    if (err == 0)
        err = crepe_decoder_finish(d);
    if (err == 0 && frames > 0) {
        memcpy(hz, d->hz.data, frames * sizeof *hz);
        memcpy(confidence, d->confidence.data, frames * sizeof *confidence);
        if (bins)
            memcpy(bins, d->bins, frames * sizeof *bins);
    }
    crepe_decoder_free(d);
    return err;
}

/* ---- a stream's pooling ---- */
static int pool_open(sm_pool_state *p)
{
    const sm_stream_options *o = &p->options;
    return crepe_decoder_new(o->decoder, o->f_min, o->f_max, (crepe_decoder **)&p->state);
}

static int pool_take(sm_pool_state *p, const float *scores)
{
    int err = p->options.activation ? sm_floats_add(&p->curve, scores, CREPE_BINS) : 0;
    return err < 0 ? err : crepe_decoder_push(p->state, scores);
}

static int pool_finish(sm_pool_state *p, sm_model_result *r)
{
    crepe_decoder *d = p->state;
    const size_t n = p->patches;
    int err = crepe_decoder_finish(d);
    if (err < 0 || n == 0)
        return err;
    r->time_s = sm_alloc(n, sizeof *r->time_s);
    if (!r->time_s)
        return SM_ENOMEM;
    for (size_t t = 0; t < n; t++)
        r->time_s[t] = (float)((double)t * r->hop_s);
    r->hz = d->hz.data;
    r->confidence = d->confidence.data;
    r->bins = d->bins;
    d->hz = d->confidence = (sm_floats){ 0 };
    d->bins = NULL;
    d->n_bins = d->cap_bins = 0;
    if (p->options.activation) {
        r->activation = p->curve.data;
        p->curve = (sm_floats){ 0 };
    }
    return 0;
}

static void pool_close(sm_pool_state *p)
{
    crepe_decoder_free(p->state);
    p->state = NULL;
}

const sm_pooling crepe_pooling = { pool_open, pool_take, pool_finish, pool_close };
