#include "models/twister.h"

#include <math.h>

#include "base/base.h"

enum { MT_N = TWISTER_WORDS, MT_M = 397, NORMAL_BLOCK = 16 };

void twister_seed(twister *t, uint32_t seed)
{
    uint32_t *s = t->state;
    s[0] = seed;
    for (uint32_t k = 1; k < MT_N; k++)
        s[k] = 1812433253u * (s[k - 1] ^ (s[k - 1] >> 30)) + k;
    t->at = MT_N;
}

void twister_seed_words(twister *t, const uint32_t *key, int n)
{
    uint32_t *s = t->state, i = 1, j = 0;
    twister_seed(t, 19650218u);
    for (int k = 0; k < SM_MAX(MT_N, n); k++) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525u)) + key[j] + j;
        j = (j + 1) % (uint32_t)n;
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
}

uint32_t twister_next(twister *t)
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

/* Uniform numbers in place become normal ones. */
static void pairs(float *x)
{
    enum { HALF = NORMAL_BLOCK / 2 };
    const double turn = 6.283185307179586476925;
    for (int j = 0; j < HALF; j++) {
        const double r = sqrt(-2 * log(1 - (double)x[j])), angle = turn * (double)x[j + HALF];
        x[j] = (float)(r * cos(angle));
        x[j + HALF] = (float)(r * sin(angle));
    }
}

static void uniforms(twister *t, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(twister_next(t) & 0xffffff) * 0x1p-24f;
}

void twister_normals(twister *t, float *out, size_t n)
{
    uniforms(t, out, n);
    for (size_t i = 0; i + NORMAL_BLOCK <= n; i += NORMAL_BLOCK)
        pairs(out + i);
    if (n % NORMAL_BLOCK && n >= NORMAL_BLOCK) { /* the last 16 anew */
        uniforms(t, out + n - NORMAL_BLOCK, NORMAL_BLOCK);
        pairs(out + n - NORMAL_BLOCK);
    }
}
