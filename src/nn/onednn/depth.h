/* Depthwise convolutions, channels last: each channel has filters of its own, so nothing is a matrix product and memory decides. One body
 * (depth_body.h), compiled once for each instruction set. */
#ifndef SM_NN_ONEDNN_DEPTH_H
#define SM_NN_ONEDNN_DEPTH_H

#include "nn/nn.h"

enum {
    NN_DEPTH_ROWS = 7,
    NN_DEPTH_WIDTH = 5,
    NN_DEPTH_BLOCK = 8
}; /* most filter rows and columns; positions of a block */

/* What is done with each sum. */
typedef enum { NN_DEPTH_NOTHING, NN_DEPTH_RELU, NN_DEPTH_SWISH, NN_DEPTH_HARD_SWISH } nn_depth_after;

/* One line of an image. */
typedef struct {
    const float *row[NN_DEPTH_ROWS]; /* input rows under the filter, [in][channels]; `rows` of them */
    int rows, first_row;             /* the filter's row that lies over row[0] */
    int in, out, channels;           /* positions of a row, of the result */
    int width, stride, pad;          /* of the filter, along the line; pad: in front */
    const float *weights;            /* [groups of lanes][rows of the filter * width][lanes] */
    int taps;                        /* of a filter */
    const float *bias;               /* [groups][lanes] */
    const float *zeros;              /* as many as there are channels: what lies outside */
    nn_depth_after after;
    float *y; /* [out][channels] */
} nn_depth_line;

typedef struct {
    const char *name;
    int lanes;
    void (*line)(const nn_depth_line *d); /* width 3 or 5, stride 1 or 2 */
} nn_depth_kernel;

extern const nn_depth_kernel nn_depth_base, nn_depth_avx2, nn_depth_avx512;
const nn_depth_kernel *nn_depth_best(void); /* on this CPU */

#endif
