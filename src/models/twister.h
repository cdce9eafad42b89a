/* MT19937 (Matsumoto, Nishimura 1998), the generator of Python's random and of PyTorch on a CPU, and what these two draw from it. Private to
 * the models room. */
#ifndef SM_MODELS_TWISTER_H
#define SM_MODELS_TWISTER_H

#include <stddef.h>
#include <stdint.h>

enum { TWISTER_WORDS = 624 };
typedef struct {
    uint32_t state[TWISTER_WORDS];
    int at;
} twister;

void twister_seed(twister *t, uint32_t seed);                    /* the classical start; torch.manual_seed */
void twister_seed_words(twister *t, const uint32_t *key, int n); /* from an array; Python's random.seed(int) */
uint32_t twister_next(twister *t);                               /* 32 random bits */
/* What torch.randn draws into a float tensor of n >= 16 values on a CPU: Box and Muller's pairs in blocks of 16, 24 bits a number. The
 * next tensor goes on where this one ended. Exact but for the last bits of logarithm, sine and cosine. */
void twister_normals(twister *t, float *out, size_t n);

#endif
