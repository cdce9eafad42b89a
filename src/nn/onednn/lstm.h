/* LSTM, the part of a step that hangs on the step before: gates of some units from the last output, then cell and output. For single
 * sequences that is a product of a matrix and a vector, which reads every weight once: memory decides. One body (lstm_body.h), compiled
 * once for each instruction set. */
#ifndef SM_NN_ONEDNN_LSTM_H
#define SM_NN_ONEDNN_LSTM_H

#include "nn/nn.h"

enum { NN_LSTM_GATES = 4 }; /* i, f, g, o */

/* `lanes` units of one step. */
typedef struct {
    const float *weights; /* [depth][gates][lanes] */
    const float *last;    /* [depth]: the last output */
    int64_t depth;
    const float *given[NN_LSTM_GATES]; /* [lanes]: what the input says, with bias */
    float *cell, *output;              /* [lanes] */
} nn_lstm_units;

typedef struct {
    const char *name;
    int lanes;
    void (*units)(const nn_lstm_units *u);
} nn_lstm_kernel;

extern const nn_lstm_kernel nn_lstm_base, nn_lstm_avx2, nn_lstm_avx512;

#endif
