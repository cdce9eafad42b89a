/* The table of vmath.h for one instruction set. Included behind simd_*.h and vmath_body.h. */
#include "nn/onednn/vmath.h"

V_INLINE vec v_sin(vec x)
{
    return v_sine(x, 0);
}

V_INLINE vec v_cos(vec x)
{
    return v_sine(x, 1);
}

V_INLINE vec v_rsqrt(vec x)
{
    return v_set1(1) / v_sqrt(x);
}

#define OVER_ARRAY(NAME)                                                                                               \
    static void array_##NAME(const float *x, float *y, int64_t n)                                                      \
    {                                                                                                                  \
        int64_t i = 0;                                                                                                 \
        for (; i + LANES <= n; i += LANES)                                                                             \
            v_store(y + i, v_##NAME(v_load(x + i)));                                                                   \
        if (i < n)                                                                                                     \
            v_store_part(y + i, v_##NAME(v_load_part(x + i, (int)(n - i))), (int)(n - i));                             \
    }
OVER_ARRAY(sigmoid)
OVER_ARRAY(tanh)
OVER_ARRAY(gelu)
OVER_ARRAY(gelu_tanh)
OVER_ARRAY(swish)
OVER_ARRAY(exp)
OVER_ARRAY(erf)
OVER_ARRAY(rsqrt)

/* Far out, where the reduction no longer fits, libm takes over for the whole vector. */
#define SINE_OVER_ARRAY(NAME)                                                                                          \
    static void array_##NAME(const float *x, float *y, int64_t n)                                                      \
    {                                                                                                                  \
        float part[LANES];                                                                                             \
        for (int64_t i = 0; i < n; i += LANES) {                                                                       \
            const int count = n - i < LANES ? (int)(n - i) : LANES;                                                    \
            const vec v = v_load_part(x + i, count);                                                                   \
            v_store(part, v_##NAME(v));                                                                                \
            if (v_any(v_less(v_set1(V_SINE_LIMIT), v_abs(v))))                                                         \
                for (int k = 0; k < count; k++)                                                                        \
                    part[k] = NAME##f(x[i + k]);                                                                       \
            v_store_part(y + i, v_load(part), count);                                                                  \
        }                                                                                                              \
    }
SINE_OVER_ARRAY(sin)
SINE_OVER_ARRAY(cos)

const nn_vmath SIMD(nn_vmath) = {
    .name = SIMD_TEXT,
    .lanes = LANES,
    .unary = { [NN_SIGMOID] = array_sigmoid,
               [NN_TANH] = array_tanh,
               [NN_GELU] = array_gelu,
               [NN_GELU_TANH] = array_gelu_tanh,
               [NN_SWISH] = array_swish,
               [NN_EXP] = array_exp,
               [NN_ERF] = array_erf,
               [NN_RSQRT] = array_rsqrt,
               [NN_SIN] = array_sin,
               [NN_COS] = array_cos },
};
