/* Resamplers as streams: the table of kinds, and the FIR engine that all but libsoxr share. */
#include <math.h>
#include <string.h>

#include "audio/resample.h"

/* A bank above this size is not kept: its rows are computed one by one, about 70 times slower. Coprime rates up to 48 kHz fit. */
#define BANK_BYTES ((size_t)24 << 20)
enum { BLOCK = 4096, MAX_RATE = 768000 };

/* Output lengths, each as its original counts them. from = a g, to = b g. */
static int64_t length_floor(int from, int to, int64_t n)
{
    return n / from * to + n % from * to / from;
}
static int64_t length_ceil(int from, int to, int64_t n)
{
    return n / from * to + (n % from * to + from - 1) / from;
}
static int64_t length_product(int from, int to, int64_t n)
{
    return (int64_t)((double)n * ((double)to / (double)from));
}

typedef struct {
    sm_resample_kind kind;
    int64_t (*length)(int from, int to, int64_t n);
    const sm_fir_design *design; /* NULL: libsoxr */
} resample_row;

/* Windows and pass bands of the published packages: resampy's filters, julius 0.2, torchaudio's default. */
static const sm_fir_design resampy_best = {
    .zeros = 50, .per_zero = 8192, .rolloff = 0.9173473712608761, .beta = 12.984585247040012
};
static const sm_fir_design resampy_fast = {
    .zeros = 24, .per_zero = 512, .rolloff = 0.8682120388377784, .beta = 9.90322441645399
};
static const sm_fir_design resampy_old = {
    .zeros = 64, .per_zero = 512, .rolloff = 0.9475937167399596, .beta = 14.769656459379492, .adds_up = true
};
static const sm_fir_design julius = { .zeros = 24, .rolloff = 0.945, .normalise = true, .repeats_edges = true };
static const sm_fir_design torchaudio = { .zeros = 6, .rolloff = 0.99 };

static const resample_row resample_table[] = {
    { SM_RESAMPLE_SOXR, length_ceil, NULL },
    { SM_RESAMPLE_RESAMPY, length_floor, &resampy_best },
    { SM_RESAMPLE_RESAMPY_FAST, length_floor, &resampy_fast },
    { SM_RESAMPLE_RESAMPY_02, length_product, &resampy_old },
    { SM_RESAMPLE_JULIUS, length_floor, &julius },
    { SM_RESAMPLE_TORCHAUDIO, length_ceil, &torchaudio },
};

struct sm_resampler {
    const resample_row *row;
    int from_hz, to_hz, channels;
    int64_t got, made; /* frames in and out */
    /* one of these, or none of them when the rates are equal */
    sm_soxr_stream *soxr;
    sm_fir_bank *bank;
    /* the FIR engine's: a window of the input, one run of `capacity` samples a channel */
    sm_dot_function dot;
    float *one_row; /* for banks that are not kept */
    float *late;    /* row -1 of designs that add up their times; NULL: none */
    int late_start;
    double clock; /* the time of the next output, in input samples, as the original adds it up */
    float *window;
    size_t capacity, length;
    int64_t origin; /* input frame of window[0]; starts below 0 */
};

static const resample_row *find_row(sm_resample_kind kind)
{
    for (size_t i = 0; i < SM_LENGTH(resample_table); i++)
        if (resample_table[i].kind == kind)
            return &resample_table[i];
    return NULL;
}

int64_t sm_resampled_frames(sm_resample_kind kind, int from_hz, int to_hz, int64_t frames)
{
    const resample_row *row = find_row(kind);
    if (!row || frames <= 0 || from_hz <= 0 || to_hz <= 0)
        return 0;
    return from_hz == to_hz ? frames : row->length(from_hz, to_hz, frames);
}

static int fir_open(sm_resampler *r)
{
    size_t samples;
    int err = sm_fir_bank_new(r->row->design, r->from_hz, r->to_hz, BANK_BYTES, &r->bank);
    if (err < 0)
        return err;
    r->capacity = (size_t)r->bank->left + (size_t)r->bank->right + BLOCK;
    if (sm_mul_overflow(r->capacity, (size_t)r->channels, &samples))
        return sm_fail(SM_ENOMEM, "no memory for %d channels", r->channels);
    r->window = sm_alloc_aligned(samples, sizeof *r->window);
    r->one_row = sm_alloc_aligned((size_t)r->bank->taps, sizeof *r->one_row);
    r->dot = sm_dot_best();
    if (!r->window || !r->one_row)
        return SM_ENOMEM;
    if (!r->row->design->adds_up || r->to_hz > r->from_hz) /* upwards steps are whole, and both rows are one filter */
        return 0;
    if (!(r->late = sm_alloc_aligned((size_t)r->bank->taps, sizeof *r->late)))
        return SM_ENOMEM;
    r->late_start = sm_fir_bank_row(r->bank, -1, r->late);
    return 0;
}

int sm_resampler_new(sm_resample_kind kind, int from_hz, int to_hz, int channels, sm_resampler **out)
{
    sm_resampler *r = NULL;
    int err = 0;

    *out = NULL;
    if (!find_row(kind) || from_hz < 1 || to_hz < 1 || from_hz > MAX_RATE || to_hz > MAX_RATE || channels < 1)
        return sm_fail(SM_EUSAGE, "resampling from %d to %d Hz, %d channels: rates are 1 to %d Hz, channels at least 1",
                       from_hz, to_hz, channels, MAX_RATE);
    r = sm_alloc_zero(1, sizeof *r);
    if (!r)
        return SM_ENOMEM;
    r->row = find_row(kind);
    r->from_hz = from_hz;
    r->to_hz = to_hz;
    r->channels = channels;
    if (from_hz != to_hz && !r->row->design)
        err = sm_soxr_stream_new(from_hz, to_hz, channels, &r->soxr);
    else if (from_hz != to_hz)
        err = fir_open(r);
    if (err < 0) {
        sm_resampler_free(r);
        return err;
    }
    *out = r;
    return 0;
}

/* Appends to the window: frames of `in`, or (in NULL) zeros, or with `edge` one frame again and again. */
static void window_add(sm_resampler *r, const float *in, const float *edge, size_t frames)
{
    const size_t channels = (size_t)r->channels;
    for (size_t c = 0; c < channels; c++) {
        float *to = r->window + c * r->capacity + r->length;
        if (in && channels == 1)
            memcpy(to, in, frames * sizeof *to);
        else if (in)
            for (size_t i = 0; i < frames; i++)
                to[i] = in[i * channels + c];
        else
            for (size_t i = 0; i < frames; i++)
                to[i] = edge ? edge[c] : 0;
    }
    r->length += frames;
}

/* Forgets what no later output looks at. */
static void window_drop(sm_resampler *r, int64_t keep_from)
{
    const int64_t gone = SM_MIN(keep_from - r->origin, (int64_t)r->length);
    if (gone <= 0)
        return;
    r->length -= (size_t)gone;
    r->origin += gone;
    for (size_t c = 0; c < (size_t)r->channels; c++) {
        float *x = r->window + c * r->capacity;
        memmove(x, x + gone, r->length * sizeof *x);
    }
}

/* Makes outputs while the window holds all that their filters look at, up to `limit` frames in all (-1: no limit). */
static int fir_emit(sm_resampler *r, int64_t limit, sm_floats *out)
{
    const sm_fir_bank *bank = r->bank;
    const size_t channels = (size_t)r->channels;
    const int64_t end = r->origin + (int64_t)r->length;
    int64_t q = r->made / bank->b, i = r->made % bank->b;

    while (limit < 0 || r->made < limit) {
        const float *row = r->one_row;
        int64_t at = q * bank->a;
        if (bank->rows) {
            row = bank->rows + (size_t)i * (size_t)bank->taps;
            at += bank->starts[i];
        } else {
            if (at + i * bank->a / bank->b - bank->left + bank->taps > end)
                break; /* surely not yet: do not compute the row for nothing */
            at += sm_fir_bank_row(bank, i, r->one_row);
        }
        if (i == 0 && r->late && floor(r->clock) < (double)(q * bank->a)) {
            row = r->late;
            at = q * bank->a + r->late_start;
        }
        if (at + bank->taps > end)
            break;
        if (out->length + channels > out->capacity) {
            if (sm_grow(&out->data, &out->capacity, out->length + channels, sizeof *out->data) < 0)
                return SM_ENOMEM;
        }
        for (size_t c = 0; c < channels; c++)
            out->data[out->length++] = r->dot(row, r->window + c * r->capacity + (at - r->origin), bank->taps);
        r->made++;
        r->clock += r->late ? 1 / ((double)r->to_hz / (double)r->from_hz) : 0;
        if (++i == bank->b) {
            i = 0;
            q++;
        }
    }
    window_drop(r, r->made / bank->b * bank->a + r->made % bank->b * bank->a / bank->b - bank->left);
    return 0;
}

static int fir_push(sm_resampler *r, const float *in, size_t frames, sm_floats *out)
{
    int err = 0;

    if (r->got == 0 && frames > 0) {
        r->origin = -r->bank->left;
        r->length = 0;
        window_add(r, NULL, r->bank->design->repeats_edges ? in : NULL, (size_t)r->bank->left);
    }
    while (err == 0 && frames > 0) {
        const size_t take = SM_MIN(frames, r->capacity - r->length);
        window_add(r, in, NULL, take);
        r->got += (int64_t)take;
        in += take * (size_t)r->channels;
        frames -= take;
        err = fir_emit(r, -1, out);
    }
    return err;
}

static int fir_finish(sm_resampler *r, sm_floats *out)
{
    const int64_t total = r->row->length(r->from_hz, r->to_hz, r->got);
    const size_t channels = (size_t)r->channels;
    float *edge = NULL;
    int err = 0;

    if (r->bank->design->repeats_edges && r->length > 0) {
        edge = sm_alloc(channels, sizeof *edge);
        if (!edge)
            return SM_ENOMEM;
        for (size_t c = 0; c < channels; c++)
            edge[c] = r->window[c * r->capacity + r->length - 1];
    }
    while (err == 0 && r->made < total) {
        window_add(r, NULL, edge, r->capacity - r->length);
        err = fir_emit(r, total, out);
    }
    sm_free(edge);
    return err;
}

int sm_resampler_push(sm_resampler *r, const float *in, size_t frames, sm_floats *out)
{
    if (r->bank)
        return fir_push(r, in, frames, out);
    r->got += (int64_t)frames;
    if (r->soxr)
        return sm_soxr_stream_push(r->soxr, in, frames, out);
    return frames > 0 ? sm_floats_add(out, in, frames * (size_t)r->channels) : 0;
}

int sm_resampler_finish(sm_resampler *r, sm_floats *out)
{
    if (r->bank)
        return fir_finish(r, out);
    if (r->soxr)
        return sm_soxr_stream_finish(r->soxr, sm_resampled_frames(r->row->kind, r->from_hz, r->to_hz, r->got), out);
    return 0;
}

int sm_resampler_reset(sm_resampler *r)
{
    r->got = r->made = 0;
    r->length = 0;
    r->clock = 0;
    return r->soxr ? sm_soxr_stream_reset(r->soxr) : 0;
}

void sm_resampler_free(sm_resampler *r)
{
    if (!r)
        return;
    sm_soxr_stream_free(r->soxr);
    sm_fir_bank_free(r->bank);
    sm_free(r->one_row);
    sm_free(r->late);
    sm_free(r->window);
    sm_free(r);
}
