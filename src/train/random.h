/* Random numbers by counting: what is drawn depends on the seed, the epoch, the item and the purpose, never on which thread asks
 * or when. So one thread and many train the same network. Private to the train room. */
#ifndef SM_TRAIN_RANDOM_H
#define SM_TRAIN_RANDOM_H

#include <math.h>

#include "base/base.h"

typedef struct {
    uint64_t key, at;
} train_random;

static inline train_random train_random_of(const char *purpose, uint64_t seed, uint64_t epoch, uint64_t item)
{
    /* two odd constants keep (epoch, item) pairs apart; sm_unit mixes the rest */
    return (train_random){ sm_unit_hash(purpose, seed) + epoch * 0xD6E8FEB86659FD93u + item * 0xA0761D6478BD642Fu, 0 };
}
/* [0, 1) */
static inline double train_unit(train_random *r)
{
    return (sm_unit(r->key, r->at++) + 1) / 2;
}
static inline bool train_chance(train_random *r, double p)
{
    return train_unit(r) < p;
}
static inline double train_between(train_random *r, double low, double high)
{
    return low + (high - low) * train_unit(r);
}
/* Evenly on a logarithmic scale; 0 < low <= high. */
static inline double train_between_log(train_random *r, double low, double high)
{
    return low * pow(high / low, train_unit(r));
}
static inline size_t train_below(train_random *r, size_t n)
{
    return n > 0 ? (size_t)(train_unit(r) * (double)n) % n : 0;
}
static inline double train_normal(train_random *r)
{
    const double u = train_unit(r), v = train_unit(r);
    return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v);
}
/* Beta(a, a) for 0 < a <= 1 by Johnk's method: the share of one of two mixed sounds. */
static inline double train_beta(train_random *r, double a)
{
    for (int i = 0; i < 64; i++) {
        const double x = pow(train_unit(r), 1 / a), y = pow(train_unit(r), 1 / a);
        if (x + y > 0 && x + y <= 1)
            return x / (x + y);
    }
    return 0.5;
}

#endif
