/* Own loops of training, one body (train_loops_body.h) compiled for each instruction set. A value is seen as [outer][places][lanes]: channels last
 * (outer N, lanes C) or blocked (outer N C / 16, lanes 16); the channels of outer o begin at o % blocks * lanes. */
#ifndef SM_NN_ONEDNN_TRAIN_LOOPS_H
#define SM_NN_ONEDNN_TRAIN_LOOPS_H

#include "nn/nn.h"

typedef struct {
    int64_t outer, places, lanes, blocks;
} nn_train_rows;

typedef struct {
    int64_t outer, lanes, h, w, oh, ow; /* of the pool's input and output */
    int kh, kw, sh, sw, ph, pw;
    bool relu;
    bool exact; /* windows of 2 x 2 that cover everything once: nothing needs clearing or adding */
} nn_train_pool;

typedef struct {
    const char *name;
    /* dx gets upstream where the largest x of its window is, the first of equal ones. */
    void (*max_pool_grad)(const nn_train_pool *p, const float *x, const float *upstream, float *dx);
    /* Sums over outer and places, per channel, of d and d^2, d = x - shift (upstream NULL), or of upstream and upstream d.
     * sums: [2][channels]. */
    void (*channel_sums)(const nn_train_rows *r, const float *x, const float *upstream, const float *shift,
                         double *sums);
    /* y = a (x - shift) + b, or with upstream: + c upstream; then ReLU if asked for. Vectors per channel. */
    void (*channel_affine)(const nn_train_rows *r, const float *x, const float *upstream, const float *shift,
                           const float *a, const float *b, const float *c, bool relu, float *y);
    /* y = x scale where element i is kept (nn_dropout_keeps), else 0; i counts in C order. */
    void (*dropout)(const nn_train_rows *r, uint32_t key, uint32_t threshold, float scale, const float *x, float *y);
} nn_train_loops;

extern const nn_train_loops nn_train_loops_base, nn_train_loops_avx2, nn_train_loops_avx512;

#endif
