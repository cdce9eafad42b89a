/* The kernel of depth.h for one instruction set. Included behind simd_*.h and vmath_body.h. */
#include "nn/onednn/depth.h"

/* Inputs under a block of P positions of a line, from the left: each a pointer, so that what lies outside reads zeros. */
enum { DEPTH_SPAN = (NN_DEPTH_BLOCK - 1) * 2 + NN_DEPTH_WIDTH };

V_INLINE vec depth_after(vec v, nn_depth_after after)
{
    switch (after) {
    case NN_DEPTH_RELU:
        return v_max(v_zero(), v);
    case NN_DEPTH_SWISH:
        return v_swish(v);
    case NN_DEPTH_HARD_SWISH: /* NaN stays: it is the last operand of each */
        return v * v_min(v_set1(1), v_max(v_zero(), v_fma(v, v_set1(1.0f / 6), v_set1(0.5f))));
    default:
        return v;
    }
}

V_INLINE void depth_store(const nn_depth_line *d, vec *sum, int positions, int left, float *y, nn_depth_after after)
{
    for (int p = 0; p < positions; p++, y += d->channels)
        if (left >= LANES)
            v_store(y, depth_after(sum[p], after));
        else
            v_store_part(y, depth_after(sum[p], after), left);
}

/* `positions` results beside each other, all channels. An input is loaded once a filter row and goes into every sum it has a part in. */
V_INLINE void depth_block(const nn_depth_line *d, int width, int stride, int positions, int first)
{
    const int span = (positions - 1) * stride + width;
    const float *from[NN_DEPTH_ROWS][DEPTH_SPAN];

    for (int r = 0; r < d->rows; r++)
        for (int i = 0; i < span; i++) {
            const int at = first * stride - d->pad + i;
            from[r][i] = at < 0 || at >= d->in ? d->zeros : d->row[r] + (int64_t)at * d->channels;
        }
    for (int c = 0; c < d->channels; c += LANES) {
        const float *w = d->weights + (int64_t)c * d->taps + d->first_row * width * LANES;
        const int left = d->channels - c;
        const vec bias = v_load(d->bias + c);
        vec sum[NN_DEPTH_BLOCK];

        for (int p = 0; p < positions; p++)
            sum[p] = bias;
        for (int r = 0; r < d->rows; r++, w += width * LANES) {
            vec factor[NN_DEPTH_WIDTH];
            for (int k = 0; k < width; k++)
                factor[k] = v_load(w + k * LANES);
            for (int i = 0; i < span; i++) {
                const vec x = left >= LANES ? v_load(from[r][i] + c) : v_load_part(from[r][i] + c, left);
                for (int k = 0; k < width; k++)
                    if (i >= k && (i - k) % stride == 0 && (i - k) / stride < positions)
                        sum[(i - k) / stride] = v_fma(x, factor[k], sum[(i - k) / stride]);
            }
        }
        float *y = d->y + (int64_t)first * d->channels + c;
        if (d->after == NN_DEPTH_SWISH)
            depth_store(d, sum, positions, left, y, NN_DEPTH_SWISH);
        else if (d->after == NN_DEPTH_HARD_SWISH)
            depth_store(d, sum, positions, left, y, NN_DEPTH_HARD_SWISH);
        else if (d->after == NN_DEPTH_RELU)
            depth_store(d, sum, positions, left, y, NN_DEPTH_RELU);
        else
            depth_store(d, sum, positions, left, y, NN_DEPTH_NOTHING);
    }
}

V_INLINE void depth_line(const nn_depth_line *d, int width, int stride)
{
    int p = 0;

    for (; d->out - p >= 8; p += 8)
        depth_block(d, width, stride, 8, p);
    for (; d->out - p >= 4; p += 4)
        depth_block(d, width, stride, 4, p);
    if (d->out - p == 3)
        depth_block(d, width, stride, 3, p);
    else if (d->out - p == 2)
        depth_block(d, width, stride, 2, p);
    else if (d->out - p == 1)
        depth_block(d, width, stride, 1, p);
}

static void depth_any_line(const nn_depth_line *d)
{
    if (d->width == 3 && d->stride == 1)
        depth_line(d, 3, 1);
    else if (d->width == 3)
        depth_line(d, 3, 2);
    else if (d->stride == 1)
        depth_line(d, 5, 1);
    else
        depth_line(d, 5, 2);
}

const nn_depth_kernel SIMD(nn_depth) = { .name = SIMD_TEXT, .lanes = LANES, .line = depth_any_line };
