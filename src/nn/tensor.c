/* Number types and shapes. */
#include "nn/nn.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[NN_TYPES] = {
    [NN_F32] = { "f32", 4 }, [NN_F64] = { "f64", 8 }, [NN_F16] = { "f16", 2 },   [NN_BF16] = { "bf16", 2 },
    [NN_I8] = { "i8", 1 },   [NN_U8] = { "u8", 1 },   [NN_I16] = { "i16", 2 },   [NN_U16] = { "u16", 2 },
    [NN_I32] = { "i32", 4 }, [NN_I64] = { "i64", 8 }, [NN_BOOL] = { "bool", 1 },
};

size_t nn_type_size(nn_type t)
{
    return (unsigned)t < NN_TYPES ? types[t].size : 0;
}

const char *nn_type_name(nn_type t)
{
    return (unsigned)t < NN_TYPES ? types[t].name : "?";
}

int64_t nn_elements(const nn_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 0 || __builtin_mul_overflow(n, s->dim[i], &n))
            return -1;
    return n;
}

bool nn_shape_equal(const nn_shape *a, const nn_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

const char *nn_shape_text(const nn_shape *s, char out[96])
{
    const size_t size = 96;
    size_t n = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < s->rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, i ? ", %lld" : "%lld", (long long)s->dim[i]);
    if (n < size)
        snprintf(out + n, size - n, "]");
    return out;
}
