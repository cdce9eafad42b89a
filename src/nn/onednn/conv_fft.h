/* Convolution of many channels along one axis by transforms and a matrix product per bin; see conv_fft.c. */
#ifndef SM_NN_ONEDNN_CONV_FFT_H
#define SM_NN_ONEDNN_CONV_FFT_H

#include "nn/onednn/conv_shape.h"

typedef struct {
    nn_conv_shape shape; /* axis 0 is transformed; axis 1 has kernel, input and output length 1 */
    const nn_lanes *lanes;
    nn_fft fft;
    int tile, tiles;                 /* outputs of a transform; how many it takes for a line */
    int first_tap, last_tap, origin; /* tap t of a transform is kernel number t + origin */
    int rows;                        /* batch * tiles */
    int group;                       /* rows whose spectra are in memory at a time, even */
    int chunk;                       /* channels likewise, a multiple of the lanes */
    int columns;                     /* filters, rounded up to lanes */
    int lines;                       /* real products: 3 a bin, 1 for the first and the last */
} nn_conv_fft;

/* Vector operations per run; < 0: not possible. */
double nn_conv_fft_cost(const nn_conv_shape *s, int lanes);
/* cache: bytes of the last-level cache that the spectra should fit into. */
int nn_conv_fft_init(nn_conv_fft *p, const nn_conv_shape *s, const nn_lanes *lanes, size_t cache, sm_arena *arena);
size_t nn_conv_fft_weight_floats(const nn_conv_fft *p);
/* weights [filters][channels][kernel0], multiplied by sign[filter]. SM_ENOMEM. */
int nn_conv_fft_pack(const nn_conv_fft *p, const float *weights, const float *sign, float *out);

/* Memory of a run: floats at `spectra` and `products` are shared by the workers, `work` is one worker's. */
typedef struct {
    size_t spectra, products, work;
} nn_conv_fft_memory;
void nn_conv_fft_sizes(const nn_conv_fft *p, nn_conv_fft_memory *out);

/* One run is, for each first row (0, group, ...): for each first channel (0, chunk, ...): all spectra items, then all product
 * items; then all result items. Items of one stage are independent of each other. */
typedef struct {
    const nn_conv_fft *conv;
    const float *x;
    nn_out_strides in; /* row: between batch items; position: along the axis; group: between groups of lanes */
    const float *weights;
    const nn_conv_finish *finish;
    float *out;
    nn_out_strides to; /* row: between batch items */
    float *spectra, *products;
    int first_row, first_channel;
} nn_conv_fft_run;
int nn_conv_fft_spectra_items(const nn_conv_fft_run *r);
void nn_conv_fft_spectra_item(const nn_conv_fft_run *r, int item, float *work);
int nn_conv_fft_product_items(const nn_conv_fft_run *r);
void nn_conv_fft_product_item(const nn_conv_fft_run *r, int item);
int nn_conv_fft_result_items(const nn_conv_fft_run *r);
void nn_conv_fft_result_item(const nn_conv_fft_run *r, int item, float *work);

#endif
