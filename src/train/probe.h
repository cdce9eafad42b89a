/* Softmax regression with a penalty on the weights: what `train --on` fits. Private to the train room. */
#ifndef SM_TRAIN_PROBE_H
#define SM_TRAIN_PROBE_H

#include "train/train.h"

typedef struct {
    size_t n, width, classes;
    const float *x;       /* [n, width] */
    const size_t *truth;  /* [n] */
    const double *weight; /* [n], sum 1 */
    double smoothing;     /* of the labels */
} probe_data;

/* Minimises sum_i weight_i cross-entropy(i) + decay / 2 |w|^2 by accelerated gradient steps (Nesterov 1983) whose length is one over a
 * bound of the curvature: no rate to choose. w [classes, width], b [classes]: where it starts, and the answer. The same numbers on any
 * number of threads. SM_ENOMEM. */
int probe_fit(const probe_data *d, double decay, int steps, sm_pool *pool, float *w, float *b);
/* logits [n, classes] */
void probe_logits(const float *x, size_t n, size_t width, size_t classes, const float *w, const float *b,
                  float *logits);

#endif
