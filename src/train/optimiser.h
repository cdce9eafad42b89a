/* AdamW (Loshchilov, Hutter 2019), gradient clipping, averaged weights; on rows of floats, in chunks whose sums are added in order.
 * Private to the train room. */
#ifndef SM_TRAIN_OPTIMISER_H
#define SM_TRAIN_OPTIMISER_H

#include "train/network.h"

typedef struct {
    size_t length, stats_length;
    float *parameters, *m, *v, *average; /* [length]; average: EMA */
    float *stats;                        /* [stats_length]: running mean and variance */
    int64_t step;
} train_state;
int train_state_new(const train_network *n, train_state *out);
void train_state_free(train_state *s);

typedef struct {
    double rate, decay, clip, ema;
} train_step;
/* One step from the gradients of these shards (their mean). The same bits on any number of threads. */
int train_state_step(train_state *s, const train_network *n, const train_shard *shards, size_t n_shards,
                     const train_step *o, sm_pool *pool);
/* Linear warm-up, then half a cosine down to 1 % of `rate`. */
double train_rate_at(double rate, double warmup, int64_t step, int64_t steps);

#endif
