/* Half precision (IEEE binary16) one number at a time. Private to the nn room. */
#ifndef SM_NN_HALF_H
#define SM_NN_HALF_H

#include <stdint.h>
#include <string.h>

/* Rounded to the nearest, ties to even; beyond 65504 it is infinity. */
static inline uint16_t nn_to_half(float f)
{
    uint32_t x;
    memcpy(&x, &f, sizeof x);
    const uint32_t sign = x >> 16 & 0x8000u;
    x &= 0x7FFFFFFFu;
    if (x >= 0x47800000u)
        return (uint16_t)(sign | (x > 0x7F800000u ? 0x7E00u : 0x7C00u));
    if (x < 0x38800000u) { /* below the smallest normal: let the adder round at 2^-24 */
        float v;
        memcpy(&v, &x, sizeof v);
        v += 0.5f;
        memcpy(&x, &v, sizeof x);
        return (uint16_t)(sign | (x - 0x3F000000u));
    }
    return (uint16_t)(sign | (x - 0x38000000u + 0xFFFu + (x >> 13 & 1)) >> 13);
}

static inline float nn_of_half(uint16_t h)
{
    const uint32_t rest = (uint32_t)(h & 0x7FFFu) << 13, sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t bits = rest;
    float f;
    if (rest >= 0x0F800000u) { /* infinity, NaN */
        bits |= 0x7F800000u;
    } else { /* 2^112 puts the exponent right, also of what is below the smallest normal */
        memcpy(&f, &bits, sizeof f);
        f *= 0x1p112f;
        memcpy(&bits, &f, sizeof bits);
    }
    bits |= sign;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline float nn_of_bf16(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

#endif
