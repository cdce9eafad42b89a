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

/* ln of a positive normal float, as exact as libm's to one unit in the last place: the mantissa between sqrt(1/2) and sqrt(2), and there 2 artanh
 * of s = (m - 1) / (m + 1), |s| < 0.172, by its series; ln 2 in two parts, of which the first has few bits, so that the exponent times it is
 * exact. Of what is not finite: NaN. */
static inline float exact_log(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int32_t exponent = (int32_t)(bits - 0x3f3504f3u) >> 23; /* 0x3f3504f3: sqrt(1/2) */
    bits -= (uint32_t)exponent << 23;
    float m;
    memcpy(&m, &bits, sizeof m);
    const float f = m - 1, s = f / (2 + f), u = s * s, e = (float)exponent;
    const float r = u * (0.66666667f + u * (0.4f + u * (0.28571429f + u * 0.22222222f)));
    const float half = 0.5f * f * f; /* 2 s = f - s f and f^2 / 2: the large part stays exact */
    return e * 0.69314575f + (f - (half - (s * (half + r) + e * 1.4286068e-6f))) + (x - x);
}

#endif
