/* Where the shifts start: by a seed of our own, or as Python's random module draws them in the original. */
#include "models/separation_bag.h"

void offsets_own(uint64_t seed, int64_t most, size_t passes, int64_t *out)
{
    const uint64_t hash = sm_unit_hash("shift", seed);
    for (size_t i = 0; i < passes; i++)
        out[i] = SM_MIN((int64_t)((sm_unit(hash, i) + 1) / 2 * (double)(most + 1)), most);
}

/* MT19937 (Matsumoto, Nishimura 1998), initialised by an array of 32-bit words as CPython's random.seed(int) does. */
enum { MT_N = 624, MT_M = 397 };
typedef struct {
    uint32_t state[MT_N];
    int at;
} twister;

static void twister_seed(twister *t, uint64_t seed)
{
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    const uint32_t n_key = key[1] ? 2 : 1;
    uint32_t *s = t->state, i = 1, j = 0;
    s[0] = 19650218u;
    for (uint32_t k = 1; k < MT_N; k++)
        s[k] = 1812433253u * (s[k - 1] ^ (s[k - 1] >> 30)) + k;
    for (int k = 0; k < MT_N; k++) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525u)) + key[j] + j;
        j = (j + 1) % n_key;
        if (++i >= MT_N) {
            s[0] = s[MT_N - 1];
            i = 1;
        }
    }
    for (int k = 0; k < MT_N - 1; k++) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i >= MT_N) {
            s[0] = s[MT_N - 1];
            i = 1;
        }
    }
    s[0] = 0x80000000u;
    t->at = MT_N;
}

static uint32_t twister_next(twister *t)
{
    uint32_t *s = t->state, y;
    if (t->at == MT_N) {
        for (int k = 0; k < MT_N; k++) {
            y = (s[k] & 0x80000000u) | (s[(k + 1) % MT_N] & 0x7fffffffu);
            s[k] = s[(k + MT_M) % MT_N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        t->at = 0;
    }
    y = s[t->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
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
    twister t;
    twister_seed(&t, seed);
    for (size_t i = 0; i < passes; i++) {
        out[i] = (int64_t)twister_below(&t, (uint32_t)most + 1);
        const int64_t shifted = length + most - out[i], chunks = stride ? (shifted + stride - 1) / stride : 1;
        for (int64_t k = 0; k < chunks; k++) /* the positional shift of a forward pass: randrange(1) */
            twister_below(&t, 1);
    }
}
