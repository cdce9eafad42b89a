/* Small functions that vectorise. Private to this room. */
#ifndef DSP_FASTMATH_H
#define DSP_FASTMATH_H

#include <stdint.h>
#include <string.h>

/* log2 of a positive normal float; error below 1e-6 of the mantissa's part. The series of artanh around sqrt(2). */
static inline float fast_log2(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const float exponent = (float)((int32_t)(bits >> 23) - 127);
    bits = (bits & 0x7fffffu) | 0x3f800000u;
    float m;
    memcpy(&m, &bits, sizeof m);
    const float t = (m - 1.41421356f) / (m + 1.41421356f), u = t * t;
    return exponent + 0.5f + 2.88539008f * t * (1 + u * (0.33333333f + u * (0.2f + u * 0.14285714f)));
}

#endif
