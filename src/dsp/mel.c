/* Log-mel front ends: cut, window, DFT, mel filters, logarithm. What differs between models is one row of the table. */
#include <string.h>

#include "dsp/fastmath.h"
#include "dsp/framer.h"
#include "dsp/mel_scale.h"

/* clang-format off */
static const dsp_mel_spec specs[] = {
    /* AudioSet YAMNet, features.py; checked against its goldens */
    { .name = "yamnet", .rate_hz = 16000, .frame = 400, .hop = 160, .fft = 512, .bands = 64, .f_min = 125, .f_max = 7500,
      .mel_scale = DSP_MEL_HTK, .filter_shape = DSP_FILTER_LINEAR_IN_MEL, .filter_norm = DSP_FILTER_PEAK_1,
      .spectrum = DSP_SPECTRUM_MAGNITUDE, .log_kind = DSP_LOG_E, .log_scale = 1, .log_offset = 0.001,
      .window = DSP_WINDOW_HANN_PERIODIC, .framing = DSP_FRAMING_PATCHES, .patch_samples = 15600, .patch_hop = 7680 },
    /* Essentia TensorflowInputMusiCNN, also for Discogs-EffNet and MAEST */
    { .name = "musicnn", .rate_hz = 16000, .frame = 512, .hop = 256, .fft = 512, .bands = 96, .f_min = 0, .f_max = 8000,
      .mel_scale = DSP_MEL_SLANEY, .filter_shape = DSP_FILTER_LINEAR_IN_HZ, .filter_norm = DSP_FILTER_AREA_1,
      .spectrum = DSP_SPECTRUM_POWER, .log_kind = DSP_LOG_10, .log_scale = 10000, .log_offset = 1,
      .window = DSP_WINDOW_HANN_SYMMETRIC, .framing = DSP_FRAMING_CENTRED },
    /* Essentia TensorflowInputVGGish */
    { .name = "vggish", .rate_hz = 16000, .frame = 400, .hop = 160, .fft = 512, .bands = 64, .f_min = 125, .f_max = 7500,
      .mel_scale = DSP_MEL_HTK, .filter_shape = DSP_FILTER_LINEAR_IN_MEL, .filter_norm = DSP_FILTER_PEAK_1,
      .spectrum = DSP_SPECTRUM_MAGNITUDE, .log_kind = DSP_LOG_E, .log_scale = 1, .log_offset = 0.01,
      .window = DSP_WINDOW_HANN_SYMMETRIC, .framing = DSP_FRAMING_CENTRED },
    /* Essentia TensorflowInputTempoCNN; patches are standardised by the model */
    { .name = "tempocnn", .rate_hz = 11025, .frame = 1024, .hop = 512, .fft = 1024, .bands = 40, .f_min = 20, .f_max = 5000,
      .mel_scale = DSP_MEL_SLANEY, .filter_shape = DSP_FILTER_LINEAR_IN_HZ, .filter_norm = DSP_FILTER_AREA_1,
      .spectrum = DSP_SPECTRUM_MAGNITUDE, .log_kind = DSP_LOG_NONE,
      .window = DSP_WINDOW_HANN_SYMMETRIC, .framing = DSP_FRAMING_CENTRED },
    /* YAMNet's filters for a classifier of ours that stands on its convolutions: ln(1 + 1000 M), so that silence is 0 and the level can
     * still be undone (sm_tuned_prepare); with the constant ln 0.001 it is YAMNet's own */
    { .name = "samplemind-16k", .rate_hz = 16000, .frame = 400, .hop = 160, .fft = 512, .bands = 64, .f_min = 125, .f_max = 7500,
      .mel_scale = DSP_MEL_HTK, .filter_shape = DSP_FILTER_LINEAR_IN_MEL, .filter_norm = DSP_FILTER_PEAK_1,
      .spectrum = DSP_SPECTRUM_MAGNITUDE, .log_kind = DSP_LOG_E, .log_scale = 1000, .log_offset = 1,
      .window = DSP_WINDOW_HANN_PERIODIC, .framing = DSP_FRAMING_PATCHES, .patch_samples = 15600, .patch_hop = 7680 },
    /* the same with 16 bands more, as wide in mel: what cymbals, hats and shakers differ in lies above YAMNet's 7.5 kHz */
    { .name = "samplemind-wide", .rate_hz = 32000, .frame = 800, .hop = 320, .fft = 1024, .bands = 80, .f_min = 125, .f_max = 13731.711,
      .mel_scale = DSP_MEL_HTK, .filter_shape = DSP_FILTER_LINEAR_IN_MEL, .filter_norm = DSP_FILTER_PEAK_1,
      .spectrum = DSP_SPECTRUM_MAGNITUDE, .log_kind = DSP_LOG_E, .log_scale = 1000, .log_offset = 1,
      .window = DSP_WINDOW_HANN_PERIODIC, .framing = DSP_FRAMING_PATCHES, .patch_samples = 31200, .patch_hop = 15360 },
    /* our classifiers: 128 frames are 1.54 s. log10(1 + 1e10 mean power of the band; its filter's area is 1 Hz, a bin 15.625 Hz): 0 in
     * silence, so that zeros after a short sound are silence. The DFT is twice the frame so that each of the low filters has a bin */
    { .name = "samplemind", .rate_hz = 32000, .frame = 1024, .hop = 384, .fft = 2048, .bands = 128, .f_min = 30, .f_max = 16000,
      .mel_scale = DSP_MEL_HTK, .filter_shape = DSP_FILTER_LINEAR_IN_HZ, .filter_norm = DSP_FILTER_AREA_1,
      .spectrum = DSP_SPECTRUM_POWER, .log_kind = DSP_LOG_10, .log_scale = 1.5625e11, .log_offset = 1,
      .window = DSP_WINDOW_HANN_PERIODIC, .framing = DSP_FRAMING_CENTRED },
    /* EfficientAT: its networks hear (ln(M + 1e-5) + 4.5) / 5, Kaldi's mel filters. Here ln(1 + 1e5 M), so that silence is 0; the models
     * make the one of the other (sm_efficientat_prepare) */
    { .name = "efficientat", .rate_hz = 32000, .frame = 800, .hop = 320, .fft = 1024, .bands = 128, .f_min = 0, .f_max = 15000,
      .mel_scale = DSP_MEL_HTK, .filter_shape = DSP_FILTER_LINEAR_IN_MEL, .filter_norm = DSP_FILTER_PEAK_1,
      .spectrum = DSP_SPECTRUM_POWER, .log_kind = DSP_LOG_E, .log_scale = 1e5, .log_offset = 1,
      .window = DSP_WINDOW_HANN_SYMMETRIC, .framing = DSP_FRAMING_MIRROR, .pre_emphasis = 0.97 },
};
/* clang-format on */

const dsp_mel_spec *dsp_mel_find(const char *name)
{
    for (size_t i = 0; i < SM_LENGTH(specs); i++)
        if (strcmp(specs[i].name, name) == 0)
            return &specs[i];
    return NULL;
}

enum { LANES = 8 }; /* a filter's products are added in so many sums, so that the compiler may use vectors */

/* A filter has few neighbours that are not zero: only these are kept. */
typedef struct {
    int first, count; /* count: rounded up to LANES, with zeros */
    const float *weights;
} mel_filter;

/* What one thread computes a frame with. */
typedef struct {
    dsp_fft *fft;
    float *samples;  /* [fft], zeros after the frame */
    float *re_im;    /* [fft/2+1][2] */
    float *spectrum; /* [fft/2+1], then LANES zeros */
} mel_worker;

struct dsp_mel {
    dsp_mel_spec spec;
    framer framer;
    sm_arena *arena; /* all that follows */
    mel_filter *filters;
    int bins;      /* of the spectrum that any filter sees, from 0 */
    float *window; /* [frame] */
    size_t pushed; /* samples, after pre-emphasis */
    float before;  /* the sample before those that come, for pre-emphasis */
    bool begun;    /* it is there */
    sm_floats emphasised;
    sm_floats edge; /* DSP_FRAMING_MIRROR: the first samples until there are enough to mirror, later the last ones */
    bool mirrored;  /* the beginning was */
    sm_pool *pool;  /* borrowed; NULL: the caller's thread alone */
    mel_worker *workers;
    int n_workers;
    sm_floats *out; /* of the push in hand */
};

/* ---- filters, in double ---- */

/* row[k]: the weight of bin k, which lies at bin_mel[k], in one band. */
static void band_weights(const dsp_mel_spec *s, int band, const double *bin_mel, double *row, int bins)
{
    const double low = mel_of_hz(s->mel_scale, s->f_min), high = mel_of_hz(s->mel_scale, s->f_max);
    double mel[3], hz[3];
    for (int i = 0; i < 3; i++) {
        mel[i] = low + (high - low) * (band + i) / (s->bands + 1);
        hz[i] = hz_of_mel(s->mel_scale, mel[i]);
    }
    const double scale = s->filter_norm == DSP_FILTER_AREA_1 ? 2 / (hz[2] - hz[0]) : 1;
    for (int k = 0; k < bins; k++) {
        const double f = (double)k * s->rate_hz / s->fft;
        row[k] =
            scale * (s->filter_shape == DSP_FILTER_LINEAR_IN_MEL ? mel_triangle(mel, bin_mel[k]) : mel_triangle(hz, f));
    }
}

static int filters_new(dsp_mel *m, double *row)
{
    const int bins = m->spec.fft / 2 + 1;
    double *bin_mel = row + bins;
    for (int k = 0; k < bins; k++)
        bin_mel[k] = mel_of_hz(m->spec.mel_scale, (double)k * m->spec.rate_hz / m->spec.fft);
    for (int b = 0; b < m->spec.bands; b++) {
        band_weights(&m->spec, b, bin_mel, row, bins);
        int first = 0, end = bins;
        while (first < end && row[first] == 0)
            first++;
        while (end > first && row[end - 1] == 0)
            end--;
        const int count = (end - first + LANES - 1) / LANES * LANES;
        float *weights = sm_arena_zero(m->arena, (size_t)count, sizeof *weights);
        if (!weights)
            return SM_ENOMEM;
        for (int k = first; k < end; k++)
            weights[k - first] = (float)row[k];
        m->filters[b] = (mel_filter){ first, count, weights };
        m->bins = SM_MAX(m->bins, end);
    }
    return 0;
}

/* ---- life ---- */

static bool spec_valid(const dsp_mel_spec *s)
{
    return s->frame >= 2 && s->hop >= 1 && s->frame <= s->fft && s->fft <= 1 << 20 && s->bands >= 1 &&
           s->bands <= 4096 && s->f_min >= 0 && s->f_min < s->f_max && s->f_max <= s->rate_hz / 2.0 &&
           (s->framing != DSP_FRAMING_PATCHES || (s->patch_samples >= s->frame && s->patch_hop >= 1));
}

enum { APART = 1024 }; /* floats, a page: one core's prefetcher must not take lines that another is writing */

/* Room for n threads in place of what there was. */
static int set_workers(dsp_mel *m, int n)
{
    const size_t fft = (size_t)m->spec.fft;
    mel_worker *list = sm_arena_zero(m->arena, (size_t)n, sizeof *list);
    if (!list)
        return SM_ENOMEM;
    for (int i = 0; i < n; i++) {
        mel_worker *w = &list[i];
        w->samples = sm_arena_zero(m->arena, fft, sizeof *w->samples);
        w->re_im = sm_arena_zero(m->arena, fft + 2, sizeof *w->re_im);
        w->spectrum = sm_arena_zero(m->arena, fft / 2 + 1 + APART, sizeof *w->spectrum);
        const int err = w->samples && w->re_im && w->spectrum ? dsp_fft_new(m->spec.fft, &w->fft) : SM_ENOMEM;
        if (err < 0) {
            while (i-- > 0)
                dsp_fft_free(list[i].fft);
            return err;
        }
    }
    for (int i = 0; i < m->n_workers; i++)
        dsp_fft_free(m->workers[i].fft);
    m->workers = list;
    m->n_workers = n;
    return 0;
}

int dsp_mel_share(dsp_mel *m, sm_pool *pool)
{
    const int n = pool ? sm_pool_threads(pool) : 1, err = n > m->n_workers ? set_workers(m, n) : 0;
    if (err == 0)
        m->pool = n > 1 ? pool : NULL;
    return err;
}

int dsp_mel_new(const dsp_mel_spec *spec, dsp_mel **out)
{
    *out = NULL;
    if (!spec || !spec_valid(spec))
        return sm_fail(SM_EUSAGE, "mel front end '%s' has sizes that do not fit together", spec ? spec->name : "");
    dsp_mel *m = sm_alloc_zero(1, sizeof *m);
    if (!m)
        return SM_ENOMEM;
    m->spec = *spec;
    framer_init(&m->framer, spec->frame, spec->hop, spec->framing == DSP_FRAMING_CENTRED ? (spec->frame + 1) / 2 : 0);

    double *row = sm_alloc(2 * ((size_t)spec->fft / 2 + 1), sizeof *row);
    m->arena = sm_arena_new();
    int err = row && m->arena ? 0 : SM_ENOMEM;
    if (err == 0) {
        m->filters = sm_arena_zero(m->arena, (size_t)spec->bands, sizeof *m->filters);
        m->window = sm_arena_zero(m->arena, (size_t)spec->frame, sizeof *m->window);
        err = m->filters && m->window ? set_workers(m, 1) : SM_ENOMEM;
    }
    if (err == 0)
        err = filters_new(m, row);
    sm_free(row);
    if (err < 0) {
        dsp_mel_free(m);
        return err;
    }
    dsp_window(spec->window, spec->frame, m->window);
    *out = m;
    return 0;
}

void dsp_mel_free(dsp_mel *m)
{
    if (!m)
        return;
    framer_free(&m->framer);
    sm_floats_free(&m->emphasised);
    sm_floats_free(&m->edge);
    for (int i = 0; i < m->n_workers; i++)
        dsp_fft_free(m->workers[i].fft);
    sm_arena_free(m->arena);
    sm_free(m);
}

/* ---- frames ---- */

static void log_bands(const dsp_mel_spec *s, float *x)
{
    if (s->log_kind == DSP_LOG_NONE)
        return;
    const float scale = (float)s->log_scale, offset = (float)s->log_offset;
    const float unit = s->log_kind == DSP_LOG_10 ? (float)M_LOG10E : 1.0f;
    for (int b = 0; b < s->bands; b++)
        x[b] = unit * exact_log(scale * x[b] + offset);
}

static void mel_frame(const dsp_mel *m, const mel_worker *w, const float *samples, float *out)
{
    const dsp_mel_spec *s = &m->spec;
    for (int i = 0; i < s->frame; i++)
        w->samples[i] = samples[i] * m->window[i];
    dsp_fft_forward(w->fft, w->samples, w->re_im);
    (s->spectrum == DSP_SPECTRUM_POWER ? dsp_power : dsp_magnitude)(w->re_im, m->bins, w->spectrum);
    for (int b = 0; b < s->bands; b++) {
        const mel_filter *f = &m->filters[b];
        const float *x = w->spectrum + f->first;
        float sum[LANES] = { 0 };
        for (int k = 0; k < f->count; k += LANES)
            for (int j = 0; j < LANES; j++)
                sum[j] += x[k + j] * f->weights[k + j];
        for (int width = LANES / 2; width > 0; width /= 2)
            for (int j = 0; j < width; j++)
                sum[j] += sum[j + width];
        out[b] = sum[0];
    }
    log_bands(s, out);
}

enum { FRAMES_AN_ITEM = 8 }; /* some 20 us: many times what handing out an item costs */

typedef struct {
    const dsp_mel *mel;
    const float *samples;
    float *out;
    size_t n;
} mel_block;

static int some_frames(void *user, size_t item, int worker)
{
    const mel_block *b = user;
    const dsp_mel *m = b->mel;
    const size_t first = item * FRAMES_AN_ITEM, end = SM_MIN(first + FRAMES_AN_ITEM, b->n);
    for (size_t i = first; i < end; i++)
        mel_frame(m, &m->workers[worker], b->samples + i * (size_t)m->spec.hop, b->out + i * (size_t)m->spec.bands);
    return 0;
}

static int mel_frames(void *user, const float *samples, size_t n)
{
    dsp_mel *m = user;
    const size_t floats = n * (size_t)m->spec.bands, items = (n + FRAMES_AN_ITEM - 1) / FRAMES_AN_ITEM;
    if (sm_floats_add(m->out, NULL, floats) < 0)
        return SM_ENOMEM;
    mel_block b = { m, samples, m->out->data + m->out->length - floats, n };
    if (m->pool)
        return sm_pool_run(m->pool, items, some_frames, &b);
    for (size_t i = 0; i < items; i++)
        some_frames(&b, i, 0);
    return 0;
}

int64_t dsp_mel_frames(const dsp_mel_spec *s, int64_t n)
{
    n = SM_MAX(n - (s->pre_emphasis != 0), 0);
    if (s->framing == DSP_FRAMING_MIRROR)
        return 1 + n / s->hop;
    if (s->framing == DSP_FRAMING_PATCHES) {
        const int64_t hops = n <= s->patch_samples ? 0 : (n - s->patch_samples + s->patch_hop - 1) / s->patch_hop;
        return 1 + (s->patch_samples + hops * s->patch_hop - s->frame) / s->hop;
    }
    /* Frame i starts at i * hop - lead. The first that reaches past the end (start + frame > n) and has its middle there
     * too (start + frame/2 >= n, which implies it) is the last; so is the last that starts before the end. */
    const int64_t lead = (s->frame + 1) / 2, reach = n - s->frame / 2;
    const int64_t past = SM_MAX(0, reach + lead + s->hop - 1) / s->hop; /* smallest i with both */
    const int64_t inside = SM_MAX(0, n - 1 + lead) / s->hop;            /* largest i with start < n */
    return 1 + SM_MIN(past, inside);
}

/* ---- what lies beyond the ends ---- */

/* The other side of the edge: the samples to the left of the first or to the right of the last one, nearest to it first. */
static float mirrored(const sm_floats *edge, size_t i, bool end)
{
    const size_t n = edge->length;
    return i + 1 >= n ? 0 : edge->data[end ? n - 2 - i : i + 1];
}

/* Half a frame in front of the signal, whose beginning `edge` is; and that beginning itself. */
static int begin_mirrored(dsp_mel *m)
{
    const size_t half = (size_t)m->spec.frame / 2;
    sm_floats lead = { 0 };
    int err = sm_floats_add(&lead, NULL, half);
    for (size_t i = 0; i < half && err == 0; i++)
        lead.data[half - 1 - i] = mirrored(&m->edge, i, false);
    if (err == 0)
        err = framer_push_blocks(&m->framer, lead.data, half, mel_frames, m);
    if (err == 0)
        err = framer_push_blocks(&m->framer, m->edge.data, m->edge.length, mel_frames, m);
    m->mirrored = true;
    sm_floats_free(&lead);
    return err;
}

static int push_mirrored(dsp_mel *m, const float *x, size_t n)
{
    const size_t half = (size_t)m->spec.frame / 2;
    int err = sm_floats_add(&m->edge, x, n);
    if (err < 0)
        return err;
    if (m->mirrored)
        err = framer_push_blocks(&m->framer, x, n, mel_frames, m);
    else if (m->edge.length > half)
        err = begin_mirrored(m);
    if (m->mirrored && m->edge.length > half + 1)
        sm_floats_drop(&m->edge, m->edge.length - half - 1);
    return err;
}

static int finish_mirrored(dsp_mel *m, int64_t frames)
{
    const size_t half = (size_t)m->spec.frame / 2;
    sm_floats tail = { 0 };
    int err = m->mirrored ? 0 : begin_mirrored(m);
    if (err == 0)
        err = sm_floats_add(&tail, NULL, half);
    for (size_t i = 0; i < half && err == 0; i++)
        tail.data[i] = mirrored(&m->edge, i, true);
    if (err == 0)
        err = framer_push_blocks(&m->framer, tail.data, half, mel_frames, m);
    m->mirrored = false;
    m->edge.length = 0;
    sm_floats_free(&tail);
    return err < 0 ? err : framer_finish_blocks(&m->framer, frames, mel_frames, m);
}

/* ---- a sound ---- */

/* x becomes what the frames are cut from. */
static int emphasise(dsp_mel *m, const float **x, size_t *n)
{
    const float a = (float)m->spec.pre_emphasis, *from = *x;
    m->emphasised.length = 0;
    if (a == 0 || *n == 0)
        return 0;
    const int err = sm_floats_add(&m->emphasised, NULL, *n);
    float *to = m->emphasised.data, before = m->begun ? m->before : from[0];
    if (err < 0)
        return err;
    for (size_t i = 0; i < *n; i++) {
        to[i] = from[i] - a * before;
        before = from[i];
    }
    m->before = before;
    *x = to + !m->begun;
    *n -= !m->begun;
    m->begun = true;
    return 0;
}

int dsp_mel_push(dsp_mel *m, const float *mono, size_t n, sm_floats *frames)
{
    const int err = emphasise(m, &mono, &n);
    m->out = frames;
    m->pushed += n;
    if (err < 0)
        return err;
    return m->spec.framing == DSP_FRAMING_MIRROR ? push_mirrored(m, mono, n)
                                                 : framer_push_blocks(&m->framer, mono, n, mel_frames, m);
}

int dsp_mel_finish(dsp_mel *m, sm_floats *frames)
{
    const int64_t n = (int64_t)m->pushed + (m->spec.pre_emphasis != 0);
    const int64_t all = dsp_mel_frames(&m->spec, n);
    m->out = frames;
    m->pushed = 0;
    m->begun = false;
    return m->spec.framing == DSP_FRAMING_MIRROR ? finish_mirrored(m, all)
                                                 : framer_finish_blocks(&m->framer, all, mel_frames, m);
}
