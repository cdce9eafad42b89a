#include "models/stored.h"

#include <math.h>
#include <string.h>

int sm_stored_get(const sm_stored *s, const char *name, const nn_shape *expected, nn_tensor *out)
{
    char full[320];
    if (snprintf(full, sizeof full, "%s%s", s->prefix, name) >= (int)sizeof full)
        return sm_fail(SM_EFORMAT, "a tensor's name of more than %zu bytes", sizeof full - 1);
    const int err = sm_weights_get(s->weights, full, expected, out);
    if (err == 0 && out->type != NN_F32 && out->type != NN_F16 && out->type != NN_BF16)
        return sm_weights_get_f32(s->weights, full, expected, out);
    return err;
}

bool sm_stored_has(const sm_stored *s, const char *name)
{
    char full[320];
    return snprintf(full, sizeof full, "%s%s", s->prefix, name) < (int)sizeof full && sm_weights_has(s->weights, full);
}

static int get(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    return sm_stored_get(user, name, expected, out);
}

nn_source sm_stored_source(sm_stored *s)
{
    return (nn_source){ get, s, sm_weights_label(s->weights) };
}

static float of_half(uint16_t v)
{
    const int exponent = v >> 10 & 31, mantissa = v & 1023;
    const double sign = v >> 15 ? -1 : 1;
    if (exponent == 31)
        return mantissa ? NAN : (float)(sign * INFINITY);
    return (float)(sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24)));
}

void sm_stored_row(const nn_tensor *table, int64_t row, bool add, float *out)
{
    const int64_t n = table->shape.dim[1];
    const char *p = (const char *)table->data + (size_t)(row * n) * nn_type_size(table->type);
    for (int64_t i = 0; i < n; i++) {
        float v;
        uint16_t h;
        if (table->type == NN_F32) {
            memcpy(&v, p + 4 * i, sizeof v);
        } else {
            memcpy(&h, p + 2 * i, sizeof h);
            const uint32_t bits = (uint32_t)h << 16;
            memcpy(&v, &bits, sizeof v);
            if (table->type == NN_F16)
                v = of_half(h);
        }
        out[i] = add ? out[i] + v : v;
    }
}
