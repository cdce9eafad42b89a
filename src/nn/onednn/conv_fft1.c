/* Few input channels, long kernels (CREPE's first block: 1 channel, 512 taps, stride 4; MusiCNN's front: 7 x 38, 128 x 1):
 * matrix products waste what a transform along one axis saves.
 *
 *   - Each line of the input along the axis is a signal; a stride s splits it into s phases, each its own signal.
 *   - Output row r (all positions along the axis, at one place of the other axis) is, bin by bin, the sum over its taps
 *     (channel, offset along the other axis, phase) of a signal's spectrum times the conjugate spectrum of the kernel's
 *     part: no products over time at all. Lanes are filters.
 *   - Two rows share one inverse transform, which stays in the first cache, and what follows (bias, ReLU, affine, maximum over
 *     a pair, over all positions or over rows) is done there: the unfolded result is never written.
 *
 * A maximum is taken before the rest of the finish, which is monotone; filters of negative scale are negated (`sign`), so that
 * it is a maximum for all. */
#include "nn/onednn/conv_fft1.h"

#include <string.h>

static int floor_div(int a, int b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* Without wrap-around into the results: see the two bounds. */
static int transform_length(const nn_conv_shape *s, int axis)
{
    const int stride = s->stride[axis];
    const int first = floor_div(-s->pad[axis], stride), last = floor_div(s->kernel[axis] - 1 - s->pad[axis], stride);
    const int in = (s->in[axis] + stride - 1) / stride;
    const int before = in - SM_MIN(first, 0);         /* what lies before the start must not meet the end */
    const int after = s->out[axis] + SM_MAX(last, 0); /* nor what lies behind the end the start */
    return nn_fft_length(SM_MAX(SM_MAX(in, s->out[axis]), SM_MAX(before, SM_MIN(after, in + SM_MAX(last, 0)))));
}

static int rows_of(const nn_conv_shape *s, int axis)
{
    return s->batch * s->out[1 - axis];
}

double nn_conv_fft1_cost(const nn_conv_shape *s, int axis, int lanes)
{
    const int n = transform_length(s, axis), taps = s->channels * s->kernel[1 - axis] * s->stride[axis];
    const int groups = (s->filters + lanes - 1) / lanes;

    if (n < 0 || taps > 64)
        return -1;
    const double product = (n / 2 + 1) * (taps * 8.0 + 8), fold = 2.0 * s->out[axis];
    const double signals = (double)s->batch * s->channels * s->in[1 - axis] * s->stride[axis] / (2.0 * lanes);
    return (rows_of(s, axis) + 1) / 2 * groups * (product + nn_fft_cost(n) + fold) +
           signals * (nn_fft_cost(n) + 8.0 * n * lanes);
}

/* Taps in the order of the packed weights: channel, offset along the other axis, phase. */
static void fill_signals(const nn_conv_fft1 *p)
{
    const nn_conv_shape *s = &p->shape;
    const int other = 1 - p->axis, phases = s->stride[p->axis];
    int32_t *to = p->signal;

    for (int b = 0; b < s->batch; b++)
        for (int o = 0; o < s->out[other]; o++)
            for (int c = 0; c < s->channels; c++)
                for (int k = 0; k < s->kernel[other]; k++) {
                    const int y = o * s->stride[other] + k - s->pad[other];
                    const bool inside = y >= 0 && y < s->in[other];
                    for (int phase = 0; phase < phases; phase++)
                        *to++ = inside ? ((b * s->channels + c) * s->in[other] + y) * phases + phase : p->signals;
                }
}

int nn_conv_fft1_init(nn_conv_fft1 *p, const nn_conv_shape *s, int axis, const nn_lanes *lanes, sm_arena *arena)
{
    const int n = transform_length(s, axis);

    if (n < 0)
        return SM_EUNSUPPORTED;
    *p = (nn_conv_fft1){ .shape = *s, .axis = axis, .lanes = lanes };
    p->taps = s->channels * s->kernel[1 - axis] * s->stride[axis];
    p->first_tap = floor_div(-s->pad[axis], s->stride[axis]);
    p->rows = rows_of(s, axis);
    p->signals = s->batch * s->channels * s->in[1 - axis] * s->stride[axis];
    p->groups = (s->filters + lanes->lanes - 1) / lanes->lanes;
    p->signal = sm_arena_get(arena, (size_t)p->rows * (size_t)p->taps, sizeof *p->signal, 64);
    if (!p->signal)
        return SM_ENOMEM;
    fill_signals(p);
    return nn_fft_init(&p->fft, n, arena);
}

size_t nn_conv_fft1_weight_floats(const nn_conv_fft1 *p)
{
    return (size_t)p->groups * (size_t)(p->fft.n / 2 + 1) * (size_t)p->taps * 2 * (size_t)p->lanes->lanes;
}

size_t nn_conv_fft1_spectra_floats(const nn_conv_fft1 *p)
{
    return ((size_t)p->signals + 1) * ((size_t)p->fft.n + 2);
}

size_t nn_conv_fft1_work_floats(const nn_conv_fft1 *p)
{
    return ((size_t)p->fft.n * 2 + (size_t)p->shape.out[p->axis]) * (size_t)p->lanes->lanes;
}

/* Kernel part (filter, tap) along the axis, scaled, at its offsets modulo n; `step` floats between neighbours. */
static void put_kernel(const nn_conv_fft1 *p, const float *weights, int filter, int tap, float scale, float *to,
                       int step)
{
    const nn_conv_shape *s = &p->shape;
    const int axis = p->axis, phases = s->stride[axis], phase = tap % phases;
    const int ko = tap / phases % s->kernel[1 - axis], c = tap / phases / s->kernel[1 - axis];
    const float *w = weights + ((int64_t)filter * s->channels + c) * s->kernel[0] * s->kernel[1];
    const int64_t along = axis == 0 ? s->kernel[1] : 1, base = axis == 0 ? ko : (int64_t)ko * s->kernel[1];

    /* tap number i reads position i - pad = phases * offset + phase */
    for (int offset = p->first_tap;; offset++) {
        const int i = offset * phases + phase + s->pad[axis];
        if (i >= s->kernel[axis])
            return;
        if (i >= 0)
            to[(int64_t)(offset < 0 ? offset + p->fft.n : offset) * step] = w[base + i * along] * scale;
    }
}

/* Conjugate spectra (a correlation) of two taps, which went through the transform as one complex number. */
static void take_spectra(const nn_conv_fft1 *p, const float *work, int tap, float *out)
{
    const int n = p->fft.n, lanes = p->lanes->lanes;

    for (int k = 0; 2 * k <= n; k++) {
        const float *a = work + (size_t)p->fft.position[k] * 2 * (size_t)lanes;
        const float *b = work + (size_t)p->fft.position[(n - k) % n] * 2 * (size_t)lanes;
        float *to = out + ((int64_t)k * p->taps + tap) * 2 * lanes;
        for (int l = 0; l < lanes; l++) {
            to[l] = 0.5f * (a[l] + b[l]);
            to[lanes + l] = 0.5f * (b[lanes + l] - a[lanes + l]);
        }
        for (int l = 0; l < lanes && tap + 1 < p->taps; l++) {
            to[2 * lanes + l] = 0.5f * (a[lanes + l] + b[lanes + l]);
            to[3 * lanes + l] = 0.5f * (a[l] - b[l]);
        }
    }
}

int nn_conv_fft1_pack(const nn_conv_fft1 *p, const float *weights, const float *sign, float *out)
{
    const int n = p->fft.n, lanes = p->lanes->lanes;
    const size_t work_floats = (size_t)n * 2 * (size_t)lanes;
    float *work = sm_alloc_aligned(work_floats, sizeof *work);

    if (!work)
        return SM_ENOMEM;
    for (int g = 0; g < p->groups; g++, out += (int64_t)(n / 2 + 1) * p->taps * 2 * lanes)
        for (int tap = 0; tap < p->taps; tap += 2) {
            memset(work, 0, work_floats * sizeof *work);
            for (int i = 0; i < 2 * lanes; i++) {
                const int filter = g * lanes + i / 2;
                if (filter < p->shape.filters && tap + i % 2 < p->taps)
                    put_kernel(p, weights, filter, tap + i % 2, sign[filter] / (float)n, work + i % 2 * lanes + i / 2,
                               2 * lanes);
            }
            p->lanes->forward(&p->fft, work);
            take_spectra(p, work, tap, out);
        }
    sm_free(work);
    return 0;
}

/* Where signal number i starts in the input, how many numbers it has, and how far apart. */
static const float *signal_at(const nn_conv_fft1 *p, const float *x, int i, int *count, int64_t *step)
{
    const nn_conv_shape *s = &p->shape;
    const int phases = s->stride[p->axis], other = 1 - p->axis, phase = i % phases;
    const int y = i / phases % s->in[other], plane = i / phases / s->in[other];
    const int64_t along = p->axis == 0 ? s->in[1] : 1, across = p->axis == 0 ? 1 : s->in[1];

    *count = (s->in[p->axis] - phase + phases - 1) / phases;
    *step = along * phases;
    return x + (int64_t)plane * s->in[0] * s->in[1] + y * across + phase * along;
}

/* Signals first.. as lanes: two a lane, as real and imaginary part. */
static void gather(const nn_conv_fft1 *p, const float *x, int first, int last, float *work)
{
    const int lanes = p->lanes->lanes;

    memset(work, 0, (size_t)p->fft.n * 2 * (size_t)lanes * sizeof *work);
    for (int i = first; i < last; i++) {
        int count;
        int64_t step;
        const float *from = signal_at(p, x, i, &count, &step);
        float *to = work + (i - first) % 2 * lanes + (i - first) / 2;
        for (int t = 0; t < count; t++)
            to[(size_t)t * 2 * (size_t)lanes] = from[t * step];
    }
}

static void scatter(const nn_conv_fft1 *p, const float *work, int first, int last, float *spectra)
{
    const int lanes = p->lanes->lanes, n = p->fft.n;

    for (int i = first; i < last; i++) {
        const int odd = (i - first) % 2;
        const float *z = work + (i - first) / 2;
        float *to = spectra + (int64_t)i * (n + 2);
        for (int k = 0; 2 * k <= n; k++, to += 2) {
            const float *a = z + (size_t)p->fft.position[k] * 2 * (size_t)lanes;
            const float *b = z + (size_t)p->fft.position[(n - k) % n] * 2 * (size_t)lanes;
            to[0] = 0.5f * (a[odd * lanes] + b[odd * lanes]);
            to[1] = odd ? 0.5f * (b[0] - a[0]) : 0.5f * (a[lanes] - b[lanes]);
        }
    }
}

void nn_conv_fft1_spectra(const nn_conv_fft1 *p, const float *x, int part, int parts, float *work, float *spectra)
{
    const int batch = 2 * p->lanes->lanes, batches = (p->signals + batch - 1) / batch;
    const int from = (int)((int64_t)batches * part / parts), to = (int)((int64_t)batches * (part + 1) / parts);

    for (int i = from; i < to; i++) {
        const int first = i * batch, last = SM_MIN(first + batch, p->signals);
        gather(p, x, first, last, work);
        p->lanes->forward(&p->fft, work);
        scatter(p, work, first, last, spectra);
    }
    if (part == 0)
        memset(spectra + (int64_t)p->signals * (p->fft.n + 2), 0, ((size_t)p->fft.n + 2) * sizeof *spectra);
}

void nn_conv_fft1_rows(const nn_conv_fft1 *p, int g, int part, int parts, const float *spectra, const float *weights,
                       const nn_conv_finish *finish, float *work, float *out, const nn_out_strides *strides)
{
    const int lanes = p->lanes->lanes, c = g * lanes;
    const bool by_item = p->shape.fold == NN_FOLD_ROWS;
    const int unit = by_item ? p->shape.out[1 - p->axis] : 2; /* rows that stay together */
    const int units = (p->rows + unit - 1) / unit;
    const int from = (int)((int64_t)units * part / parts) * unit;
    const int to = SM_MIN((int)((int64_t)units * (part + 1) / parts) * unit, p->rows);
    const nn_lane_product product = {
        .fft = &p->fft,
        .spectra = spectra,
        .signal = p->signal,
        .taps = p->taps,
        .weights = weights + (int64_t)g * (p->fft.n / 2 + 1) * p->taps * 2 * lanes,
        .outputs = p->shape.out[p->axis],
        .fold = p->shape.fold,
        .finish = { finish->sign + c, finish->bias + c, finish->scale + c, finish->offset + c, finish->relu },
        .channels = SM_MIN(lanes, p->shape.filters - c),
        .work = work,
    };

    out += g * strides->group;
    if (!by_item) {
        p->lanes->product_rows(&product, from, to - from, out + from * strides->row, strides->row, strides->position);
        return;
    }
    for (int r = from; r < to; r += unit)
        p->lanes->product_rows(&product, r, unit, out + r / unit * strides->row, 0, strides->position);
}
