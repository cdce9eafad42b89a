/* Streamed products and attention to a cache: every instruction set of this CPU, every type of weights, against sums in double over the very
 * numbers that are stored; sizes beside and between what the loops take at once. */
#include "support/nn_support.h"

#include "nn/half.h"
#include "nn/onednn/stream.h"

#include <math.h>
#include <string.h>

enum { DEEPEST = 4099, WIDEST = 13, ROWS = 13 };

static size_t kernels_here(const nn_stream_kernel *out[3])
{
    sm_cpu_info cpu;
    size_t n = 0;
    sm_cpu_detect(&cpu);
    out[n++] = &nn_stream_base;
    if (cpu.avx2 && cpu.fma && cpu.f16c)
        out[n++] = &nn_stream_avx2;
    if (cpu.avx512)
        out[n++] = &nn_stream_avx512;
    return n;
}

/* Weights of one type, in memory of exactly their size, and the same numbers as floats. */
typedef struct {
    nn_stream_weights w;
    void *stored;
    float *scale, *plain;
    int32_t *sum;
} weights;

static float round_trip(nn_type type, float v, void *to, size_t i)
{
    if (type == NN_F32) {
        ((float *)to)[i] = v;
        return v;
    }
    if (type == NN_F16) {
        ((uint16_t *)to)[i] = nn_to_half(v);
        return nn_of_half(((uint16_t *)to)[i]);
    }
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    ((uint16_t *)to)[i] = (uint16_t)(bits >> 16);
    return nn_of_bf16(((uint16_t *)to)[i]);
}

static void weights_open(weights *w, nn_type type, int64_t out, int64_t depth)
{
    const size_t n = (size_t)(out * depth);
    float *made = sm_alloc(n, sizeof *made);
    *w = (weights){ .plain = sm_alloc(n, sizeof *w->plain),
                    .scale = sm_alloc((size_t)out, sizeof *w->scale),
                    .sum = sm_alloc((size_t)out, sizeof *w->sum),
                    .stored = sm_alloc(n, type == NN_F32  ? 4
                                          : type == NN_I8 ? 1
                                                          : 2) };
    assert_true(made && w->plain && w->scale && w->sum && w->stored);
    test_fill(made, n, "w", (uint64_t)depth, 0.1, 1);
    if (type == NN_I8) {
        const nn_stream_weights from = { .type = NN_F32, .data = made, .depth = depth };
        nn_stream_base.quantise(&from, 0, out, w->stored, w->scale, w->sum);
        for (size_t i = 0; i < n; i++)
            w->plain[i] = (float)((int8_t *)w->stored)[i];
    } else
        for (size_t i = 0; i < n; i++)
            w->plain[i] = round_trip(type, made[i], w->stored, i);
    w->w = (nn_stream_weights){ type, w->stored, type == NN_I8 ? w->scale : NULL, w->sum, depth };
    sm_free(made);
}

static void weights_close(weights *w)
{
    sm_free(w->stored);
    sm_free(w->scale);
    sm_free(w->sum);
    sm_free(w->plain);
}

/* Outputs first..last-1 of `rows` rows. The bound is on the error beside the sum of magnitudes: f32 sums of `depth` numbers in lanes. */
static void expect_product(const char *name, const weights *w, const float *x, int64_t rows, int64_t first,
                           int64_t last, const float *y, int64_t ldy)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t o = 0; o < ldy; o++) {
            const int64_t depth = w->w.depth;
            double sum = 0, size = 0;
            if (o < first || o >= last) {
                assert_true(y[i * ldy + o] == 77);
                continue;
            }
            for (int64_t k = 0; k < depth; k++) {
                const double p = (double)x[i * depth + k] * (double)w->plain[o * depth + k];
                sum += p;
                size += fabs(p);
            }
            const double scale = w->w.scale ? (double)w->w.scale[o] : 1;
            if (!(fabs((double)y[i * ldy + o] - scale * sum) <= 1e-6 * scale * size + 1e-30))
                fail_msg("%s, type %d, depth %d, %d rows: output %d of row %d is %.9g instead of %.9g", name,
                         (int)w->w.type, (int)depth, (int)rows, (int)o, (int)i, (double)y[i * ldy + o], scale * sum);
        }
}

static void products_of_every_type_agree_with_sums_in_double(void **state)
{
    static const nn_type types[] = { NN_F32, NN_F16, NN_BF16, NN_I8 };
    static const int64_t depths[] = { 1, 2, 3, 7, 15, 16, 17, 63, 64, 65, 100, 127, 255, 256, 1024, DEEPEST };
    static const int64_t outs[] = { 1, 2, 3, 4, 5, 8, WIDEST }, some_rows[] = { 1, 2, 3, 4, 5, 6, 7, ROWS };
    const nn_stream_kernel *kernels[3];
    const nn_stream_digits *digits = nn_stream_digits_best();
    const size_t n = kernels_here(kernels);
    float *x = sm_alloc(ROWS * DEEPEST, sizeof *x), y[ROWS * WIDEST];
    (void)state;
    assert_non_null(x);
    test_fill(x, ROWS * DEEPEST, "x", 0, 0.3, 1);
    for (size_t t = 0; t < SM_LENGTH(types); t++)
        for (size_t d = 0; d < SM_LENGTH(depths); d++)
            for (size_t w = 0; w < SM_LENGTH(outs); w++) {
                weights k;
                weights_open(&k, types[t], outs[w], depths[d]);
                for (size_t r = 0; r < SM_LENGTH(some_rows); r++) {
                    const int64_t rows = some_rows[r], first = outs[w] > 4 ? 1 : 0;
                    if (depths[d] == DEEPEST && (outs[w] < 4 || rows > 3))
                        continue;
                    for (size_t i = 0; i < n + (types[t] == NN_I8 && digits); i++) {
                        for (size_t j = 0; j < ROWS * WIDEST; j++)
                            y[j] = 77;
                        if (i < n)
                            kernels[i]->product(&k.w, x, rows, first, outs[w], y, outs[w]);
                        else {
                            void *room = sm_alloc(digits->room(rows, depths[d]), 1);
                            assert_non_null(room);
                            digits->split(x, rows, depths[d], room);
                            digits->product(&k.w, room, rows, first, outs[w], y, outs[w]);
                            sm_free(room);
                        }
                        expect_product(i < n ? kernels[i]->name : digits->name, &k, x, rows, first, outs[w], y,
                                       outs[w]);
                    }
                }
                weights_close(&k);
            }
    sm_free(x);
}

/* A row of wide range: what is small beside the largest number loses digits as it would beside it in a sum; zeros and what is not finite. */
static void digits_keep_what_f32_keeps(void **state)
{
    enum { DEPTH = 200, OUT = 4 };
    const nn_stream_digits *digits = nn_stream_digits_best();
    float x[5 * DEPTH], y[5 * OUT];
    weights k;
    (void)state;
    if (!digits)
        test_skip("no CPU with products of bytes");
    test_fill(x, 5 * DEPTH, "x", 1, 0, 1);
    memset(x, 0, DEPTH * sizeof *x);
    for (int i = 0; i < DEPTH; i++) {
        x[DEPTH + i] *= 1e-36f;
        x[2 * DEPTH + i] *= i ? 1e-6f : 1;
        x[3 * DEPTH + i] *= 3e37f;
    }
    x[4 * DEPTH + 7] = INFINITY;
    weights_open(&k, NN_I8, OUT, DEPTH);
    void *room = sm_alloc(digits->room(5, DEPTH), 1);
    assert_non_null(room);
    digits->split(x, 5, DEPTH, room);
    digits->product(&k.w, room, 5, 0, OUT, y, OUT);
    for (int o = 0; o < OUT; o++)
        assert_true(y[o] == 0 && fabsf(y[OUT + o]) < 1e-32f && isnan(y[4 * OUT + o]));
    expect_product(digits->name, &k, x + 2 * DEPTH, 2, 0, OUT, y + 2 * OUT, OUT);
    sm_free(room);
    weights_close(&k);
}

static void weights_are_rounded_to_the_nearest_of_255_steps(void **state)
{
    enum { DEPTH = 37, OUT = 3 };
    static const nn_type types[] = { NN_F32, NN_F16, NN_BF16 };
    const nn_stream_kernel *kernels[3];
    const size_t n = kernels_here(kernels);
    (void)state;
    for (size_t t = 0; t < SM_LENGTH(types); t++)
        for (size_t i = 0; i < n; i++) {
            int8_t q[OUT * DEPTH];
            float scale[OUT];
            int32_t sum[OUT];
            weights k;
            weights_open(&k, types[t], OUT, DEPTH);
            memset((char *)k.stored, 0, (types[t] == NN_F32 ? 4 : 2) * DEPTH);
            memset(k.plain, 0, DEPTH * sizeof *k.plain);
            kernels[i]->quantise(&k.w, 0, OUT, q, scale, sum);
            for (int o = 0; o < OUT; o++) {
                float top = 0;
                int total = 0;
                for (int d = 0; d < DEPTH; d++)
                    top = fmaxf(top, fabsf(k.plain[o * DEPTH + d]));
                assert_true(fabsf(scale[o] - top / 127) <= 1e-9f);
                for (int d = 0; d < DEPTH; d++) {
                    total += q[o * DEPTH + d];
                    assert_true(fabsf((float)q[o * DEPTH + d] * scale[o] - k.plain[o * DEPTH + d]) <=
                                0.5001f * scale[o]);
                }
                assert_int_equal(total, sum[o]);
            }
            weights_close(&k);
        }
}

/* softmax(scale q K^T) V in double. */
static void attend_in_double(const float *k, const float *v, const float *q, int64_t seen, int64_t d, double scale,
                             double *y)
{
    double top = -INFINITY, total = 0, *p = sm_alloc((size_t)seen, sizeof *p);
    assert_non_null(p);
    for (int64_t j = 0; j < seen; j++) {
        p[j] = 0;
        for (int64_t e = 0; e < d; e++)
            p[j] += (double)q[e] * (double)k[j * d + e];
        p[j] *= scale;
        top = fmax(top, p[j]);
    }
    for (int64_t e = 0; e < d; e++)
        y[e] = 0;
    for (int64_t j = 0; j < seen; j++) {
        p[j] = exp(p[j] - top);
        total += p[j];
    }
    for (int64_t j = 0; j < seen; j++)
        for (int64_t e = 0; e < d; e++)
            y[e] += p[j] / total * (double)v[j * d + e];
    sm_free(p);
}

static void attention_to_a_cache_agrees_with_the_definition(void **state)
{
    enum { ROOM = 333, WIDE = 128 };
    static const int64_t widths[] = { 1, 4, 15, 16, 31, 32, 48, 64, 72, WIDE },
                         lengths[] = { 1, 2, 3, 16, 17, 64, ROOM };
    const nn_stream_kernel *kernels[3];
    const size_t n = kernels_here(kernels);
    static float k[ROOM * WIDE], v[ROOM * WIDE], kept_k[ROOM * WIDE], kept_v[ROOM * WIDE], work[ROOM + 64];
    (void)state;
    for (size_t w = 0; w < SM_LENGTH(widths); w++)
        for (int half = 0; half < 2; half++)
            for (size_t i = 0; i < n; i++) {
                const int64_t d = widths[w];
                const nn_stream_cache keys = { half, kept_k, d }, values = { half, kept_v, d };
                float q[WIDE], y[WIDE + 1];
                test_fill(q, (size_t)d, "q", w, 0, 2);
                test_fill(k, (size_t)(ROOM * d), "k", w, 0.2, 1);
                test_fill(v, (size_t)(ROOM * d), "v", w, 0.1, 1);
                for (int64_t j = 0; j < ROOM; j++) {
                    kernels[i]->keep(&keys, j, k + j * d);
                    kernels[i]->keep(&values, j, v + j * d);
                }
                for (int64_t j = 0; half && j < ROOM * d; j++) {
                    k[j] = nn_of_half(nn_to_half(k[j]));
                    v[j] = nn_of_half(nn_to_half(v[j]));
                }
                for (size_t l = 0; l < SM_LENGTH(lengths); l++) {
                    double want[WIDE];
                    y[d] = 77;
                    kernels[i]->attend(&keys, &values, q, lengths[l], 0.3f, work, y);
                    attend_in_double(k, v, q, lengths[l], d, 0.3, want);
                    for (int64_t e = 0; e < d; e++) /* values up to 1.1, weights that add up to 1 */
                        if (!(fabs((double)y[e] - want[e]) <= 3e-6))
                            fail_msg("%s, %s, width %d, %d seen: [%d] is %.9g instead of %.9g", kernels[i]->name,
                                     half ? "f16" : "f32", (int)d, (int)lengths[l], (int)e, (double)y[e], want[e]);
                    assert_true(y[d] == 77);
                }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_every_type_agree_with_sums_in_double),
        cmocka_unit_test(digits_keep_what_f32_keeps),
        cmocka_unit_test(weights_are_rounded_to_the_nearest_of_255_steps),
        cmocka_unit_test(attention_to_a_cache_agrees_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
