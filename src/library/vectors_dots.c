/* The query in whole numbers, the plain kernel, and which kernels this CPU runs. */
#include <math.h>
#include <string.h>

#include "library/vectors_dots.h"

void sm_dots_query_make(sm_dots_query *q, const float *x, size_t length, size_t padded)
{
    double largest = 0, error = 0, norm = 0;
    int64_t sum = 0;

    for (size_t j = 0; j < length; j++)
        largest = fmax(largest, fabs((double)x[j]));
    memset(q->value, 0, padded * sizeof *q->value);
    memset(q->high, 0, padded);
    memset(q->low, 0, padded);
    if (largest < 1e-30) /* zero, or so near that its scale would be */
        largest = 0;
    q->scale = largest / SM_DOTS_QUERY_MAX;
    for (size_t j = 0; j < length && largest > 0; j++) {
        const int value = (int)lrint((double)x[j] / q->scale), high = (int)floor((value + 64) / 128.0);
        const double left = (double)x[j] - q->scale * value;
        q->value[j] = (int16_t)value;
        q->high[j] = (int8_t)high;
        q->low[j] = (int8_t)(value - 128 * high);
        sum += value;
        error += left * left;
        norm += (double)x[j] * (double)x[j];
    }
    q->bias = 128 * sum;
    q->error = sqrt(error);
    q->norm = sqrt(norm);
}

static void dots_base(const uint8_t *rows, size_t padded, size_t n, const sm_dots_query *q, float *out)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *row = rows + i * padded;
        int64_t sum = -q->bias;
        for (size_t at = 0; at < padded; at += SM_DOTS_ALIGN) {
            int32_t part = 0;
            for (size_t j = at; j < at + SM_DOTS_ALIGN; j++)
                part += (int32_t)row[j] * q->value[j];
            sum += part;
        }
        out[i] = (float)sum;
    }
}

const sm_dots sm_dots_base = { "base", dots_base };

void sm_dots_all(const sm_dots *out[4])
{
    sm_cpu_info cpu;
    size_t n = 0;

    sm_cpu_detect(&cpu);
    out[n++] = &sm_dots_base;
    if (cpu.avx2)
        out[n++] = &sm_dots_avx2;
    if (cpu.avx512 && cpu.avx512_vnni)
        out[n++] = &sm_dots_vnni;
    out[n] = NULL;
}

const sm_dots *sm_dots_best(void)
{
    const sm_dots *all[4];
    size_t n = 0;

    sm_dots_all(all);
    while (all[n + 1])
        n++;
    return all[n];
}
