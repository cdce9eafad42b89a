/* Fingerprints: levels of mel bands over time, compared cell by cell. The waveforms have the last word. */
#include <math.h>
#include <string.h>

#include "library/fingerprint.h"

static const float floor_db = 50;

/* ---- the wave ---- */

sm_print_cut sm_print_trim(sm_floats *wave)
{
    float peak = 0;
    size_t start = 0, end = wave->length;
    for (size_t i = 0; i < wave->length; i++)
        peak = fmaxf(peak, fabsf(wave->data[i]));
    const float least = peak * powf(10, -floor_db / 20);
    while (start < end && !(fabsf(wave->data[start]) > least))
        start++;
    while (end > start && !(fabsf(wave->data[end - 1]) > least))
        end--;
    end = SM_MIN(end, start + PRINT_MOST);
    for (size_t i = start; i < end; i++)
        wave->data[i - start] = wave->data[i] / peak;
    wave->length = end - start;
    return (sm_print_cut){ peak, (double)start / PRINT_RATE };
}

int sm_print_wave(const char *path, sm_floats *wave, sm_print_cut *cut)
{
    wave->length = 0;
    const int err = sm_sound_read(path, PRINT_RATE, PRINT_READ_S, wave, NULL);
    if (err == 0)
        *cut = sm_print_trim(wave);
    return err;
}

/* ---- the fingerprint ---- */

static int mel_powers(const float *wave, size_t n, sm_floats *rows)
{
    static const dsp_mel_spec spec = { .name = "duplicates",
                                       .rate_hz = PRINT_RATE,
                                       .frame = 512,
                                       .hop = PRINT_HOP,
                                       .fft = 512,
                                       .bands = PRINT_BANDS,
                                       .f_min = 60,
                                       .f_max = 10500,
                                       .mel_scale = DSP_MEL_HTK,
                                       .filter_shape = DSP_FILTER_LINEAR_IN_HZ,
                                       .filter_norm = DSP_FILTER_PEAK_1,
                                       .spectrum = DSP_SPECTRUM_POWER,
                                       .log_kind = DSP_LOG_NONE,
                                       .log_scale = 1,
                                       .framing = DSP_FRAMING_CENTRED,
                                       .window = DSP_WINDOW_HANN_PERIODIC };
    dsp_mel *mel = NULL;
    int err = dsp_mel_new(&spec, &mel);
    if (err == 0)
        err = dsp_mel_push(mel, wave, n, rows);
    if (err == 0)
        err = dsp_mel_finish(mel, rows);
    dsp_mel_free(mel);
    return err;
}

int sm_print_of(const float *wave, size_t n, sm_print *out)
{
    sm_floats rows = { 0 };
    float loudest = 0;
    *out = (sm_print){ 0 };
    if (n == 0)
        return 0;
    int err = mel_powers(wave, SM_MIN(n, (size_t)PRINT_MOST), &rows);
    for (size_t i = 0; i < rows.length; i++)
        loudest = fmaxf(loudest, rows.data[i]);
    if (err == 0 && loudest > 0) {
        out->cells = sm_alloc(rows.length, 1);
        err = out->cells ? 0 : SM_ENOMEM;
    }
    for (size_t i = 0; out->cells && i < rows.length; i++) {
        const float db = 10 * log10f(fmaxf(rows.data[i] / loudest, 1e-12F));
        out->cells[i] = (uint8_t)lrintf(fmaxf(db / floor_db + 1, 0) * 255);
    }
    if (out->cells)
        out->frames = (int)(rows.length / PRINT_BANDS);
    sm_floats_free(&rows);
    return err;
}

void sm_print_free(sm_print *p)
{
    sm_free(p->cells);
    *p = (sm_print){ 0 };
}

/* ---- kept: version, frames (16 bits, little-endian), cells ---- */

int sm_print_pack(const sm_print *p, sm_buffer *out)
{
    const uint8_t head[4] = { PRINT_VERSION, 0, (uint8_t)p->frames, (uint8_t)(p->frames >> 8) };
    sm_buffer_add(out, head, sizeof head);
    if (p->frames > 0)
        sm_buffer_add(out, p->cells, (size_t)p->frames * PRINT_BANDS);
    return out->failed ? SM_ENOMEM : 0;
}

int sm_print_unpack(const void *data, size_t size, sm_print *out)
{
    const uint8_t *p = data;
    *out = (sm_print){ 0 };
    if (size < 4 || p[0] != PRINT_VERSION || size != 4 + (size_t)(p[2] | p[3] << 8) * PRINT_BANDS)
        return sm_fail(SM_EFORMAT, "a kept fingerprint of %zu bytes is not of version %d", size, PRINT_VERSION);
    if (size == 4)
        return 0;
    out->cells = sm_alloc(size - 4, 1);
    if (!out->cells)
        return SM_ENOMEM;
    memcpy(out->cells, p + 4, size - 4);
    out->frames = p[2] | p[3] << 8;
    return 0;
}

/* ---- candidates ---- */

/* Where the slices end, in frames; the last one takes the rest. The first ones are longer than a shift by a frame matters. */
static const int slice_ends[PRINT_SLICES] = { 2, 4, 6, 9, 12, 16, 21, 28, 38, 51, 69, 93, 126, 170, 300, 1 << 16 };

float sm_print_vector(const sm_print *p, int8_t out[PRINT_VECTOR])
{
    float mean[PRINT_VECTOR] = { 0 }, most = 0;
    int32_t energy = 0;
    for (int s = 0, frame = 0; s < PRINT_SLICES && frame < p->frames; s++) {
        /* a slice that the sound ends in counts by how much of it there is; the long last ones as if they were 128 frames */
        const int end = SM_MIN(slice_ends[s], p->frames), length = SM_MIN(slice_ends[s] - frame, 128);
        const float share = 1 / (float)SM_MAX(length, end - frame);
        for (; frame < end; frame++)
            for (int b = 0; b < PRINT_BANDS; b++)
                mean[s * PRINT_BANDS + b] += share * p->cells[frame * PRINT_BANDS + b];
    }
    for (int i = 0; i < PRINT_VECTOR; i++)
        most = fmaxf(most, mean[i]);
    for (int i = 0; i < PRINT_VECTOR; i++) {
        out[i] = (int8_t)(most > 0 ? lrintf(mean[i] / most * 127) : 0);
        energy += out[i] * out[i];
    }
    return energy > 0 ? 1 / sqrtf((float)energy) : 0;
}

/* ---- alignment ---- */

/* Sums over n cells, a multiple of 32: of (high - low) high and of high^2, where high and low are of the two; at most
 * 547 * 32 * 255^2 < 2^31 in each. */
#if defined(__SSE2__)
#include <emmintrin.h>

static inline __m128i product_sums(__m128i a, __m128i b)
{
    const __m128i zero = _mm_setzero_si128();
    return _mm_add_epi32(_mm_madd_epi16(_mm_unpacklo_epi8(a, zero), _mm_unpacklo_epi8(b, zero)),
                         _mm_madd_epi16(_mm_unpackhi_epi8(a, zero), _mm_unpackhi_epi8(b, zero)));
}

static uint32_t lane_sum(__m128i x)
{
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(x);
}

static void compare_cells(const uint8_t *a, const uint8_t *b, size_t n, uint32_t *apart, uint32_t *whole)
{
    __m128i d = _mm_setzero_si128(), w = d;
    for (size_t i = 0; i < n; i += 16) {
        const __m128i x = _mm_loadu_si128((const void *)(a + i)), y = _mm_loadu_si128((const void *)(b + i));
        const __m128i high = _mm_max_epu8(x, y), difference = _mm_sub_epi8(high, _mm_min_epu8(x, y));
        d = _mm_add_epi32(d, product_sums(difference, high));
        w = _mm_add_epi32(w, product_sums(high, high));
    }
    *apart = lane_sum(d);
    *whole = lane_sum(w);
}
#else
static void compare_cells(const uint8_t *a, const uint8_t *b, size_t n, uint32_t *apart, uint32_t *whole)
{
    uint32_t d = 0, w = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t high = a[i] > b[i] ? a[i] : b[i], low = a[i] > b[i] ? b[i] : a[i];
        d += (high - low) * high;
        w += high * high;
    }
    *apart = d;
    *whole = w;
}
#endif

int sm_print_similarity(const sm_print *a, const sm_print *b, double *out)
{
    const sm_print *longer = a->frames >= b->frames ? a : b, *shorter = longer == a ? b : a;
    const size_t frames = (size_t)longer->frames + 2 * (size_t)PRINT_SHIFT;
    *out = 0;
    if (shorter->frames == 0)
        return 0;
    /* the longer one among zeros; the shorter one in zeros of its own, shifted along */
    uint8_t *room = sm_alloc_zero(2 * frames + 2 * (size_t)PRINT_SHIFT, PRINT_BANDS);
    if (!room)
        return SM_ENOMEM;
    uint8_t *other = room + frames * PRINT_BANDS;
    memcpy(room + PRINT_SHIFT * PRINT_BANDS, longer->cells, (size_t)longer->frames * PRINT_BANDS);
    memcpy(other + 2 * PRINT_SHIFT * PRINT_BANDS, shorter->cells, (size_t)shorter->frames * PRINT_BANDS);
    for (int shift = 0; shift <= 2 * PRINT_SHIFT; shift++) {
        uint32_t apart = 0, whole = 0;
        compare_cells(room, other + (size_t)shift * PRINT_BANDS, frames * PRINT_BANDS, &apart, &whole);
        *out = fmax(*out, 1 - (double)apart / SM_MAX(whole, 1));
    }
    sm_free(room);
    return 0;
}

/* ---- the waveforms ---- */

enum { MOST_LAG = PRINT_SHIFT * PRINT_HOP, LOUD = 8192, CLICK = PRINT_RATE / 20 };

/* What two have in common around the loudest place of one: costs a tenth of comparing the whole, and tells most strangers. */
static int around_peak(const sm_floats *a, const sm_floats *b, double *out)
{
    dsp_correlation c;
    size_t at = 0;
    for (size_t i = 1; i < a->length; i++)
        if (fabsf(a->data[i]) > fabsf(a->data[at]))
            at = i;
    at = at > 2 * (size_t)MOST_LAG ? at - 2 * (size_t)MOST_LAG : 0;
    if (at + LOUD > b->length)
        at = b->length > LOUD ? b->length - LOUD : 0;
    at = SM_MIN(at, a->length - SM_MIN(a->length, LOUD));
    const int err = dsp_correlate(a->data + at, SM_MIN(a->length - at, LOUD), b->data + at,
                                  SM_MIN(b->length - at, LOUD), MOST_LAG, false, &c);
    *out = fabs(c.correlation);
    return err;
}

/* Differences between samples of the first 50 ms, where the two lie upon each other. */
static int compare_clicks(const sm_floats *a, const sm_floats *b, double lag, dsp_correlation *out)
{
    float edges[2][CLICK];
    const long whole = lrint(lag);
    const size_t from_a = whole > 0 ? (size_t)whole : 0, from_b = whole < 0 ? (size_t)-whole : 0;
    const size_t there = SM_MIN(a->length - SM_MIN(from_a, a->length), b->length - SM_MIN(from_b, b->length));
    const size_t n = there > 0 ? SM_MIN(there - 1, CLICK) : 0;
    for (size_t i = 0; i < n; i++) {
        edges[0][i] = a->data[from_a + i + 1] - a->data[from_a + i];
        edges[1][i] = b->data[from_b + i + 1] - b->data[from_b + i];
    }
    return dsp_correlate(edges[0], n, edges[1], n, 2, true, out);
}

int sm_print_prove(const sm_floats *a, const sm_floats *b, sm_print_proof *out)
{
    static const double hopeless = 0.5;
    dsp_correlation c, click;
    *out = (sm_print_proof){ 0 };
    if (SM_MIN(a->length, b->length) > 2 * LOUD) {
        const int err = around_peak(a, b, &out->correlation);
        if (err < 0 || out->correlation < hopeless)
            return err;
    }
    int err = dsp_correlate(a->data, a->length, b->data, b->length, MOST_LAG, true, &c);
    if (err == 0)
        err = compare_clicks(a, b, c.lag, &click);
    if (err < 0)
        return err;
    *out = (sm_print_proof){ .correlation = fabs(c.correlation),
                             .click = c.correlation < 0 ? fmax(-click.correlation, 0) : fmax(click.correlation, 0),
                             .lag_s = c.lag / PRINT_RATE,
                             .gain_db = 20 * log10(fmax(fabs(c.gain), 1e-6)),
                             .inverted = c.correlation < 0 };
    return 0;
}
