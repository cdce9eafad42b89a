/* From stored types to float32. */
#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

/* v = q 2^(e - 10) with e >= -14, below which halves are spaced evenly; a q that rounds up to 2048 carries into the exponent. */
uint16_t w_to_half(float v)
{
    const double size = fabs((double)v);
    const unsigned sign = signbit(v) ? 0x8000u : 0;
    if (!(size < 65520)) /* or NaN */
        return (uint16_t)(sign | (isnan(v) ? 0x7E00u : 0x7C00u));
    const int e = size > 0 ? SM_MAX(ilogb(size), -14) : -14;
    return (uint16_t)(sign | ((unsigned)(e + 14) * 1024u + (unsigned)rint(scalbn(size, 10 - e))));
}

static void halves_plain(const uint8_t *p, size_t n, float *dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = w_half(w_u16(p + 2 * i));
}

#if defined(__x86_64__)
/* The processor's own conversion is exact too: eight at a time. */
__attribute__((target("avx,f16c"))) static void halves_f16c(const uint8_t *p, size_t n, float *dst)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 2 * i))));
    halves_plain(p + 2 * i, n - i, dst + i);
}
#endif

static void halves(const uint8_t *p, size_t n, float *dst)
{
#if defined(__x86_64__)
    enum { WORTH_ASKING = 1 << 17 }; /* the question costs some 100 us in a virtual machine */
    sm_cpu_info cpu = { 0 };
    if (n >= WORTH_ASKING)
        sm_cpu_detect(&cpu);
    if (cpu.f16c) {
        halves_f16c(p, n, dst);
        return;
    }
#endif
    halves_plain(p, n, dst);
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
        halves(p, n, dst);
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

static void scale_row(float *row, size_t n, float scale, float zero)
{
    for (size_t i = 0; i < n; i++)
        row[i] = scale * (row[i] - zero);
}

void w_dequantise(const w_tensor *t, const void *src, float *dst)
{
    enum { LONG_ROW = 64 }; /* from here on a row is converted and scaled while it is near */
    const size_t n = (size_t)nn_elements(&t->shape), unit = nn_type_size(t->type);
    size_t channels = 1, inner = n;
    if (n && t->scale && t->scale_axis >= 0) { /* [outer][channels][inner], one scale a channel */
        channels = (size_t)t->shape.dim[t->scale_axis];
        inner = 1;
        for (int i = t->scale_axis + 1; i < t->shape.rank; i++)
            inner *= (size_t)t->shape.dim[i];
    }
    const bool by_row = t->scale && inner >= LONG_ROW;
    if (!by_row)
        w_to_f32(t->type, src, n, dst);
    for (size_t at = 0, row = 0; t->scale && at < n; at += inner, row++) {
        const size_t c = row % channels;
        if (by_row)
            w_to_f32(t->type, (const uint8_t *)src + at * unit, inner, dst + at);
        scale_row(dst + at, inner, t->scale[c], t->zero ? (float)t->zero[c] : 0.0f);
    }
}
