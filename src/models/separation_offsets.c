/* Where the shifts start: by a seed of our own, or as Python's random module draws them in the original. */
#include "models/separation_bag.h"
#include "models/twister.h"

void offsets_own(uint64_t seed, int64_t most, size_t passes, int64_t *out)
{
    const uint64_t hash = sm_unit_hash("shift", seed);
    for (size_t i = 0; i < passes; i++)
        out[i] = SM_MIN((int64_t)((sm_unit(hash, i) + 1) / 2 * (double)(most + 1)), most);
}

/* random.randrange(n): as many of the highest bits as n has, until they are below n. */
static uint32_t twister_below(twister *t, uint32_t n)
{
    int bits = 0;
    uint32_t r;
    while (n >> bits)
        bits++;
    do
        r = twister_next(t) >> (32 - bits);
    while (r >= n);
    return r;
}

void offsets_python(uint64_t seed, int64_t most, size_t passes, int64_t length, int64_t stride, int64_t *out)
{
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    twister t;
    twister_seed_words(&t, key, key[1] ? 2 : 1);
    for (size_t i = 0; i < passes; i++) {
        out[i] = (int64_t)twister_below(&t, (uint32_t)most + 1);
        const int64_t shifted = length + most - out[i], chunks = stride ? (shifted + stride - 1) / stride : 1;
        for (int64_t k = 0; k < chunks; k++) /* the positional shift of a forward pass: randrange(1) */
            twister_below(&t, 1);
    }
}
