/* Many channels, long kernels along one axis (CREPE's blocks 2 to 6: width 64 over 128 to 1024 channels). In the frequency
 * domain a convolution over time is a matrix product over channels in each bin: n/2 + 1 of them instead of `kernel` times
 * `length`, and three real products make a complex one:
 *
 *     p0 = xr (wi - wr)   p1 = xi (wr + wi)   p2 = (xr + xi) wr        re = p2 - p1   im = p2 + p0
 *
 * One line of the input is one transform where zeros on both sides may share their place (n >= length + the longer half of
 * the kernel); long lines are cut into tiles (overlap-save). Two lines travel as real and imaginary part.
 *
 * The spectra of a group of rows and a chunk of channels are written so that they stay in the last-level cache:
 *
 *     spectra  [3 k + part][row of group][channel of chunk]
 *     products [3 k + part][row of group][filter]               summed over chunks
 *     weights  [3 k + part][channel][filter], only the parts that exist (`lines`) */
#include "nn/onednn/conv_fft.h"

#include <dnnl.h>
#include <string.h>

enum { MAX_SMALL_COLUMNS = 64 };

/* Taps first..last of the kernel, relative to the output's position, that can meet data at all: of a kernel longer than its
 * input the rest is multiplied by padding only. */
static int first_tap(const nn_conv_shape *s)
{
    return -SM_MIN(s->pad[0], s->out[0] - 1);
}

static int last_tap(const nn_conv_shape *s)
{
    return SM_MIN(s->kernel[0] - 1 - s->pad[0], s->in[0] - 1);
}

static int untiled_length(const nn_conv_shape *s)
{
    const int before = s->in[0] - SM_MIN(first_tap(s), 0), after = s->out[0] + SM_MAX(last_tap(s), 0);
    return nn_fft_length(SM_MAX(SM_MAX(s->in[0], s->out[0]), SM_MAX(before, after)));
}

/* n: of the transform. tile: outputs that one gives. */
typedef struct {
    int n, tile, tiles;
    double cost;
} fft_choice;

static double choice_cost(const nn_conv_shape *s, int lanes, const fft_choice *c)
{
    const double rows = (double)SM_MAX(s->batch, NN_TYPICAL_BATCH) * c->tiles,
                 groups = (s->channels + lanes - 1) / lanes;
    const double columns = (s->filters + lanes - 1) / lanes;
    const double transforms = rows / 2 * (groups + columns) * (nn_fft_cost(c->n) + 8.0 * c->n);
    const double products = (1.5 * c->n - 1) * columns * s->channels;
    return transforms +
           products * (1.15 * rows + 6); /* 6: weights come from memory once, whatever the number of rows */
}

static fft_choice choose(const nn_conv_shape *s, int lanes)
{
    static const int lengths[] = { 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 512 };
    fft_choice best = { .n = untiled_length(s), .tile = s->out[0], .tiles = 1 };

    best.cost = best.n < 0 || best.n > 2048 ? -1 : choice_cost(s, lanes, &best);
    for (size_t i = 0; i < SM_LENGTH(lengths); i++) {
        fft_choice c = { .n = lengths[i], .tile = (lengths[i] - s->kernel[0] + 1) & ~1 };
        if (c.tile < 2 || c.tile >= s->out[0])
            continue;
        c.tiles = (s->out[0] + c.tile - 1) / c.tile;
        c.cost = choice_cost(s, lanes, &c);
        if (best.cost < 0 || c.cost < best.cost)
            best = c;
    }
    return best;
}

static bool is_supported(const nn_conv_shape *s)
{
    return s->in[1] == 1 && s->out[1] == 1 && s->kernel[1] == 1 && s->stride[0] == 1 && s->pad[1] == 0 &&
           (s->fold == NN_FOLD_NONE || (s->fold == NN_FOLD_POOL2 && s->fold_axis == 0));
}

double nn_conv_fft_cost(const nn_conv_shape *s, int lanes)
{
    return is_supported(s) ? choose(s, lanes).cost : -1;
}

/* Fewer channels at a time for more rows: weights of many channels come from memory, once for each group of rows. */
static void choose_block(nn_conv_fft *p, size_t cache)
{
    enum { MOST_CHANNELS = 256, LEAST_CHANNELS = 64, LEAST_ROWS = 32, MANY_ROWS = 64, MOST_ROWS = 512 };
    const int lanes = p->lanes->lanes, rows = p->rows + p->rows % 2;
    size_t fit;

    p->chunk = SM_MIN((p->shape.channels + lanes - 1) / lanes * lanes, MOST_CHANNELS);
    for (;; p->chunk /= 2) {
        fit = cache / ((size_t)p->lines * (size_t)(p->chunk + p->columns) * sizeof(float)) & ~(size_t)1;
        if (fit >= (size_t)SM_MIN(rows, MANY_ROWS) || p->chunk < 2 * LEAST_CHANNELS || p->chunk / 2 % lanes)
            break;
    }
    p->group = SM_MIN((int)SM_CLAMP(fit, (size_t)LEAST_ROWS, (size_t)MOST_ROWS), rows);
}

int nn_conv_fft_init(nn_conv_fft *p, const nn_conv_shape *s, const nn_lanes *lanes, size_t cache, sm_arena *arena)
{
    const fft_choice c = choose(s, lanes->lanes);

    if (!is_supported(s) || c.cost < 0)
        return SM_EUNSUPPORTED;
    *p = (nn_conv_fft){ .shape = *s, .lanes = lanes, .tile = c.tile, .tiles = c.tiles };
    p->first_tap = c.tiles == 1 ? first_tap(s) : 0;
    p->last_tap = c.tiles == 1 ? last_tap(s) : s->kernel[0] - 1;
    p->origin = c.tiles == 1 ? s->pad[0] : 0;
    p->rows = s->batch * c.tiles;
    p->columns = (s->filters + lanes->lanes - 1) / lanes->lanes * lanes->lanes;
    p->lines = 3 * (c.n / 2 + 1) - 4;
    choose_block(p, cache);
    return nn_fft_init(&p->fft, c.n, arena);
}

size_t nn_conv_fft_weight_floats(const nn_conv_fft *p)
{
    return (size_t)p->lines * (size_t)p->shape.channels * (size_t)p->columns;
}

void nn_conv_fft_sizes(const nn_conv_fft *p, nn_conv_fft_memory *out)
{
    const size_t rows = (size_t)(3 * (p->fft.n / 2 + 1)) * (size_t)p->group;
    out->spectra = rows * (size_t)p->chunk;
    out->products = rows * (size_t)p->columns;
    out->work = (size_t)p->fft.n * 2 * (size_t)p->lanes->lanes;
}

/* Which line of the weights holds part `part` of bin k. */
static int64_t line_of(const nn_conv_fft *p, int k, int part)
{
    (void)p;
    return k == 0 ? 0 : 3 * k - 2 + part;
}

/* Conjugate spectra (a correlation) of two channels' kernels to their three forms. z: position k and n - k of the transform. */
static void take_forms(const nn_conv_fft *p, const float *work, int channel, int column, float *out)
{
    const int n = p->fft.n, lanes = p->lanes->lanes;
    const int64_t line = (int64_t)p->shape.channels * p->columns;

    for (int k = 0; 2 * k <= n; k++) {
        const float *a = work + (size_t)p->fft.position[k] * 2 * (size_t)lanes;
        const float *b = work + (size_t)p->fft.position[(n - k) % n] * 2 * (size_t)lanes;
        for (int odd = 0; odd < 2 && channel + odd < p->shape.channels; odd++) {
            float *to = out + line_of(p, k, 0) * line + (int64_t)(channel + odd) * p->columns + column;
            const int r = odd * lanes, i = lanes - r;
            const float sign = odd ? 0.5f : -0.5f;
            for (int l = 0; l < lanes; l++) {
                const float re = 0.5f * (a[r + l] + b[r + l]), im = sign * (a[i + l] - b[i + l]);
                const bool real = k == 0 || 2 * k == n;
                to[l] = real ? re : im - re;
                if (!real) {
                    to[line + l] = re + im;
                    to[2 * line + l] = re;
                }
            }
        }
    }
}

int nn_conv_fft_pack(const nn_conv_fft *p, const float *weights, const float *sign, float *out)
{
    const int n = p->fft.n, lanes = p->lanes->lanes, kernel = p->shape.kernel[0];
    const size_t work_floats = (size_t)n * 2 * (size_t)lanes;
    float *work = sm_alloc_aligned(work_floats, sizeof *work);

    if (!work)
        return SM_ENOMEM;
    for (int c = 0; c < p->shape.channels; c += 2)
        for (int column = 0; column < p->columns; column += lanes) {
            memset(work, 0, work_floats * sizeof *work);
            for (int i = 0; i < 2 * lanes; i++) {
                const int filter = column + i / 2, channel = c + i % 2;
                if (filter >= p->shape.filters || channel >= p->shape.channels)
                    continue;
                const float *w = weights + ((int64_t)filter * p->shape.channels + channel) * kernel;
                const float scale = sign[filter] / (float)n;
                float *to = work + i % 2 * lanes + i / 2;
                for (int t = p->first_tap; t <= p->last_tap; t++)
                    to[(size_t)((t + n) % n) * 2 * (size_t)lanes] = w[t + p->origin] * scale;
            }
            p->lanes->forward(&p->fft, work);
            take_forms(p, work, c, column, out);
        }
    sm_free(work);
    return 0;
}

/* ---- running ---- */

static int group_rows(const nn_conv_fft_run *r)
{
    return SM_MIN(r->conv->group, r->conv->rows - r->first_row);
}

static int chunk_channels(const nn_conv_fft_run *r)
{
    return SM_MIN(r->conv->chunk, r->conv->shape.channels - r->first_channel);
}

/* Row `row` is tile row % tiles of a batch item. */
static nn_lane_line line_at(const nn_conv_fft_run *r, int row, int channel)
{
    const nn_conv_fft *p = r->conv;
    const float *x = r->x + (int64_t)(row / p->tiles) * r->in.row + (int64_t)(channel / p->lanes->lanes) * r->in.group;

    if (p->tiles == 1)
        return (nn_lane_line){ x, 0, p->shape.in[0] };
    const int start = row % p->tiles * p->tile - p->shape.pad[0], from = SM_MAX(start, 0);
    const int end = SM_MIN(start + p->fft.n, p->shape.in[0]);
    return (nn_lane_line){ x + (int64_t)from * r->in.position, from - start, SM_MAX(end - from, 0) };
}

static nn_lane_result result_at(const nn_conv_fft_run *r, int row, int column)
{
    const nn_conv_fft *p = r->conv;
    const int first = row % p->tiles * p->tile, pool = p->shape.fold == NN_FOLD_POOL2 ? 2 : 1;
    float *to = r->out + (int64_t)(row / p->tiles) * r->to.row + (int64_t)(column / p->lanes->lanes) * r->to.group;

    return (nn_lane_result){ to + first / pool * r->to.position, SM_MIN(p->tile, p->shape.out[0] - first) };
}

int nn_conv_fft_spectra_items(const nn_conv_fft_run *r)
{
    return (group_rows(r) + 1) / 2;
}

void nn_conv_fft_spectra_item(const nn_conv_fft_run *r, int item, float *work)
{
    const nn_conv_fft *p = r->conv;
    const int row = 2 * item, channels = chunk_channels(r), lanes = p->lanes->lanes;
    const bool two = row + 1 < group_rows(r);
    const int64_t bin = (int64_t)p->group * p->chunk;

    for (int c = 0; c < channels; c += lanes) {
        const nn_lane_line a = line_at(r, r->first_row + row, r->first_channel + c);
        const nn_lane_line b = line_at(r, r->first_row + row + two, r->first_channel + c);
        p->lanes->spectrum_rows(&p->fft, &a, two ? &b : NULL, r->in.position, SM_MIN(lanes, channels - c), work,
                                r->spectra + (int64_t)row * p->chunk + c, bin, p->chunk);
    }
}

int nn_conv_fft_product_items(const nn_conv_fft_run *r)
{
    return r->conv->fft.n / 2 + 1;
}

void nn_conv_fft_product_item(const nn_conv_fft_run *r, int k)
{
    const nn_conv_fft *p = r->conv;
    const int rows = group_rows(r), channels = chunk_channels(r), parts = k == 0 || 2 * k == p->fft.n ? 1 : 3;

    for (int part = 0; part < parts; part++) {
        const float *x = r->spectra + (int64_t)(3 * k + part) * p->group * p->chunk;
        const float *w = r->weights + (line_of(p, k, part) * p->shape.channels + r->first_channel) * p->columns;
        float *y = r->products + (int64_t)(3 * k + part) * p->group * p->columns;
        if (p->columns <= MAX_SMALL_COLUMNS && channels == p->shape.channels)
            p->lanes->small_matmul(rows, p->columns, channels, x, p->chunk, w, y, p->columns);
        else
            dnnl_sgemm('N', 'N', rows, p->columns, channels, 1, x, p->chunk, w, p->columns, r->first_channel > 0, y,
                       p->columns);
    }
}

int nn_conv_fft_result_items(const nn_conv_fft_run *r)
{
    return (group_rows(r) + 1) / 2;
}

void nn_conv_fft_result_item(const nn_conv_fft_run *r, int item, float *work)
{
    const nn_conv_fft *p = r->conv;
    const int row = 2 * item, lanes = p->lanes->lanes;
    const bool two = row + 1 < group_rows(r);

    for (int c = 0; c < p->shape.filters; c += lanes) {
        const nn_conv_finish *f = r->finish;
        const nn_lane_finish finish = { f->sign + c, f->bias + c, f->scale + c, f->offset + c, f->relu };
        const nn_lane_result first = result_at(r, r->first_row + row, c);
        const nn_lane_result second = result_at(r, r->first_row + row + two, c);
        const bool swap = two && second.outputs > first.outputs; /* the longer one goes first */
        const float *from = r->products + (int64_t)row * p->columns + c;
        p->lanes->product_inverse(&p->fft, swap ? from + p->columns : from, (int64_t)p->group * p->columns,
                                  swap ? -p->columns : p->columns, p->shape.fold, &finish,
                                  SM_MIN(lanes, p->shape.filters - c), work, swap ? &second : &first,
                                  !two   ? NULL
                                  : swap ? &first
                                         : &second,
                                  r->to.position);
    }
}
