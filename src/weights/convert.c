/* From stored types to float32. */
#include <math.h>

#include "weights/store.h"

/* IEEE 754 half to single, exact: subnormals, infinities and NaN included. */
float w_half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = (h >> 10) & 31, fraction = h & 1023, bits;
    if (exponent == 31) {
        bits = sign | 0x7F800000 | fraction << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else if (fraction) {
        for (exponent = 113; !(fraction & 1024); exponent--)
            fraction <<= 1;
        bits = sign | exponent << 23 | (fraction & 1023) << 13;
    } else {
        bits = sign;
    }
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float brain(const uint8_t *p)
{
    const uint32_t bits = (uint32_t)w_u16(p) << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* A double beyond float's range becomes an infinity, as a cast does in practice; spelt out since C calls it undefined. */
static float narrow(double d)
{
    if (d > 3.4028235677973366e38)
        return INFINITY;
    if (d < -3.4028235677973366e38)
        return -INFINITY;
    return (float)d;
}

void w_to_f32(nn_type type, const void *src, size_t n, float *dst)
{
    const uint8_t *p = src;
    switch (type) {
    case NN_F32:
        memcpy(dst, src, n * sizeof *dst);
        break;
    case NN_F64:
        for (size_t i = 0; i < n; i++)
            dst[i] = narrow(w_f64(p + 8 * i));
        break;
    case NN_F16:
        for (size_t i = 0; i < n; i++)
            dst[i] = w_half(w_u16(p + 2 * i));
        break;
    case NN_BF16:
        for (size_t i = 0; i < n; i++)
            dst[i] = brain(p + 2 * i);
        break;
    case NN_I8:
        for (size_t i = 0; i < n; i++)
            dst[i] = (float)(int8_t)p[i];
        break;
    case NN_U8:
        for (size_t i = 0; i < n; i++)
            dst[i] = (float)p[i];
        break;
    case NN_I16:
        for (size_t i = 0; i < n; i++)
            dst[i] = (float)(int16_t)w_u16(p + 2 * i);
        break;
    case NN_U16:
        for (size_t i = 0; i < n; i++)
            dst[i] = (float)w_u16(p + 2 * i);
        break;
    case NN_I32:
        for (size_t i = 0; i < n; i++)
            dst[i] = (float)(int32_t)w_u32(p + 4 * i);
        break;
    case NN_I64:
        for (size_t i = 0; i < n; i++)
            dst[i] = (float)(int64_t)w_u64(p + 8 * i);
        break;
    case NN_BOOL:
        for (size_t i = 0; i < n; i++)
            dst[i] = p[i] ? 1.0f : 0.0f;
        break;
    case NN_TYPES:
        break;
    }
}

void w_dequantise(const w_tensor *t, const void *src, float *dst)
{
    const size_t n = (size_t)nn_elements(&t->shape);
    w_to_f32(t->type, src, n, dst);
    if (!t->scale || !n)
        return;
    /* [outer][channels][inner], one scale a channel */
    const int axis = t->scale_axis;
    size_t channels = 1, inner = 1;
    if (axis >= 0) {
        channels = (size_t)t->shape.dim[axis];
        for (int i = axis + 1; i < t->shape.rank; i++)
            inner *= (size_t)t->shape.dim[i];
    } else {
        inner = n;
    }
    for (size_t row = 0; row < n / inner; row++) {
        const float scale = t->scale[row % channels];
        const float zero = t->zero ? (float)t->zero[row % channels] : 0.0f;
        for (size_t i = 0; i < inner; i++)
            dst[row * inner + i] = scale * (dst[row * inner + i] - zero);
    }
}
