/* A convolution's geometry, as the kernels see it: always two axes (1-D: the second has length 1). */
#ifndef SM_NN_ONEDNN_CONV_SHAPE_H
#define SM_NN_ONEDNN_CONV_SHAPE_H

#include "nn/onednn/lanes.h"

/* Ways are chosen as if a batch had at least so many items, so that plans of all batch sizes share one form of the weights. */
enum { NN_TYPICAL_BATCH = 16 };

typedef struct {
    int batch, channels, filters;
    int in[2], out[2], kernel[2], stride[2], pad[2]; /* pad: before */
    nn_fold fold;                                    /* NN_FOLD_POOL2 and NN_FOLD_ALL: along fold_axis */
    int fold_axis;
} nn_conv_shape;

/* What a filter is finished with, padded to whole groups of lanes. */
typedef struct {
    float *sign, *bias, *scale, *offset;
    bool relu;
} nn_conv_finish;

/* Where results go: channel c of group g = c / lanes, at row r (batch and the axis that is not transformed) and position t. */
typedef struct {
    int64_t row, position, group;
} nn_out_strides;

#endif
