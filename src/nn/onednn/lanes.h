/* Own kernels that work on lanes: `lanes` channels (or signals) side by side in one vector register, so that no kernel ever
 * shuffles. One body (lanes_body.h), compiled once for each instruction set; lanes.c chooses by what the CPU has.
 *
 * A "lane array" of n complex numbers is float [n][2][lanes]: real parts, then imaginary parts. */
#ifndef SM_NN_ONEDNN_LANES_H
#define SM_NN_ONEDNN_LANES_H

#include "nn/onednn/fft.h"

enum { NN_MAX_LANES = 16 };

/* Fused behind a convolution, channel by channel: sign * v, + bias, ReLU, * scale + offset. Vectors of `channels` values,
 * padded with anything to a multiple of the lanes. */
typedef struct {
    const float *sign, *bias, *scale, *offset;
    bool relu;
} nn_lane_finish;

/* One run of an inverse transform with what comes before and after it, for a pair of rows of real numbers that travel as the
 * real and imaginary part of one complex transform. */
typedef enum { NN_FOLD_NONE, NN_FOLD_POOL2, NN_FOLD_ALL, NN_FOLD_ROWS } nn_fold;

/* Rows of the product with few input channels (conv_fft1.c): row r of the output is the sum over taps j of
 * signal[r * taps + j] times weight j, in the frequency domain. */
typedef struct {
    const nn_fft *fft;
    const float *spectra;  /* [signals][n/2 + 1][2] */
    const int32_t *signal; /* [rows][taps] */
    int taps;
    const float *weights; /* of this group of lanes: [n/2 + 1][taps][2][lanes], 1/n included */
    int outputs;          /* results per row, before folding */
    nn_fold fold;
    nn_lane_finish finish; /* at this group's first channel */
    int channels;          /* of this group that exist: 1..lanes */
    float *work;           /* [n][2][lanes]; FOLD_ROWS: and [outputs][lanes] behind it */
} nn_lane_product;

/* Input of a transform: `lead` zeros, then `count` positions, then zeros. */
typedef struct {
    const float *data;
    int lead, count;
} nn_lane_line;

typedef struct {
    float *data;
    int outputs; /* before folding */
} nn_lane_result;

typedef struct {
    const char *name;
    int lanes;
    void (*forward)(const nn_fft *f, float *z); /* in place, natural order to f->bin_at order */
    void (*inverse)(const nn_fft *f, float *z); /* in place, back; not divided by n */
    /* Rows first..first+count-1 into out + (row - first) * row_stride + output * out_stride (channels contiguous). FOLD_ROWS: all rows
     * of the call are folded into one. */
    void (*product_rows)(const nn_lane_product *p, int first, int count, float *out, int64_t row_stride,
                         int64_t out_stride);
    /* Spectra of two lines of `channels` <= lanes channels each (b NULL: one): (re, im, re + im) of bin k at
     * out[(3 k + part) * bin_stride], b's at + row_stride. Bins 0 and n/2 are real: part 0 only. */
    void (*spectrum_rows)(const nn_fft *f, const nn_lane_line *a, const nn_lane_line *b, int64_t in_stride,
                          int channels, float *work, float *out, int64_t bin_stride, int64_t row_stride);
    /* Back from three real products a bin to two rows of results, folded and finished like product_rows'. products: part p of
     * bin k at (3 k + p) * bin_stride, the second row's at + row_stride. */
    void (*product_inverse)(const nn_fft *f, const float *products, int64_t bin_stride, int64_t row_stride,
                            nn_fold fold, const nn_lane_finish *finish, int channels, float *work,
                            const nn_lane_result *a, const nn_lane_result *b, int64_t out_stride);
    /* c [m][ldc] = a [m][lda] b [k][n], n a multiple of the lanes. For products too narrow for a library's blocking. */
    void (*small_matmul)(int m, int n, int k, const float *a, int64_t lda, const float *b, float *c, int64_t ldc);
} nn_lanes;

extern const nn_lanes nn_lanes_base, nn_lanes_avx2, nn_lanes_avx512;
const nn_lanes *nn_lanes_best(void); /* on this CPU */

#endif
