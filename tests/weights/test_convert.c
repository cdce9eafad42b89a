#include "weights/fixture.h"

#include "weights/store.h"

/* From the definition: (-1)^s 2^(e-15) (1 + f/1024), subnormals 2^-14 f/1024. All 65536 codes. */
static void every_half_is_its_value(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 65536; code++) {
        const int e = (int)(code >> 10 & 31), f = (int)(code & 1023);
        const float got = w_half((uint16_t)code);
        double value = e ? ldexp(1 + f / 1024.0, e - 15) : ldexp(f / 1024.0, -14);
        if (e == 31)
            value = f ? NAN : INFINITY;
        if (code & 0x8000)
            value = -value;
        if (isnan(value) ? !isnan(got) : (double)got != value || !!signbit(got) != !!(code & 0x8000))
            fail_msg("half %04X is %.9g, expected %.9g", code, (double)got, value);
    }
}

static void floats_go_to_the_nearest_half(void **state)
{
    static const struct {
        float v;
        uint16_t want;
    } rows[] = { { 65519, 0x7BFF },        { 65520, 0x7C00 },
                 { -INFINITY, 0xFC00 },    { 0x1p-25f, 0 },
                 { 0x1.8p-24f, 2 },        { 0x1.000002p-25f, 1 },
                 { 1 + 0x1p-11f, 0x3C00 }, { 1 + 0x3p-11f, 0x3C02 },
                 { 2 - 0x1p-12f, 0x4000 }, { 0x1p-14f - 0x1p-26f, 0x0400 } };
    (void)state;
    for (uint32_t code = 0; code < 65536; code++)
        if (!isnan(w_half((uint16_t)code)))
            assert_int_equal(w_to_half(w_half((uint16_t)code)), code);
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        assert_int_equal(w_to_half(rows[i].v), rows[i].want);
    assert_true(isnan(w_half(w_to_half(NAN))));
}

/* Whatever the processor has: bits as w_half gives them, at lengths around its width and from odd addresses. */
static void rows_of_halves_equal_single_ones(void **state)
{
    (void)state;
    enum { ALL = 3 * 65536 }; /* every code, and long enough for the processor's own conversion */
    uint8_t *in = malloc(ALL * 2 + 1);
    float *out = malloc(ALL * sizeof *out);
    assert_non_null(in);
    assert_non_null(out);
    for (uint32_t i = 0; i < ALL; i++) {
        in[1 + 2 * i] = (uint8_t)i;
        in[2 + 2 * i] = (uint8_t)(i >> 8);
    }
    static const size_t lengths[] = { 0, 1, 7, 8, 9, 65536, ALL - 65536, ALL - 3, ALL - 1, ALL };
    for (size_t k = 0; k < SM_LENGTH(lengths); k++) {
        const size_t from = ALL - lengths[k];
        w_to_f32(NN_F16, in + 1 + 2 * from, lengths[k], out);
        for (size_t i = 0; i < lengths[k]; i++) {
            const float one = w_half((uint16_t)(from + i));
            if (isnan(one) ? !isnan(out[i]) : memcmp(&one, &out[i], sizeof one) != 0)
                fail_msg("half %04zX of %zu: %.9g, expected %.9g", from + i, lengths[k], (double)out[i], (double)one);
        }
    }
    free(in);
    free(out);
}

static void doubles_beyond_f32_become_infinite(void **state)
{
    (void)state;
    const double in[] = { 1e300, -1e300, 3.4028234e38, 1e-300, 0.1 };
    float out[5];
    w_to_f32(NN_F64, in, 5, out);
    assert_true(isinf(out[0]) && out[0] > 0 && isinf(out[1]) && out[1] < 0);
    assert_true(isfinite(out[2]) && out[3] == 0 && out[4] == 0.1f);
}

static void scales_of_a_middle_axis_are_applied(void **state)
{
    (void)state;
    static const float scale[] = { 1, 10, 100 };
    static const int32_t zero[] = { 0, 1, 2 };
    const int8_t codes[2 * 3 * 2] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    static const float expected[] = { 1, 2, 20, 30, 300, 400, 7, 8, 80, 90, 900, 1000 };
    const w_tensor t = { .type = NN_I8, .shape = NN_SHAPE(2, 3, 2), .scale = scale, .zero = zero, .scale_axis = 1 };
    float out[12];
    w_dequantise(&t, codes, out);
    assert_memory_equal(out, expected, sizeof out);
}

static void long_rows_are_scaled_like_short_ones(void **state)
{
    (void)state;
    enum { ROWS = 3, LENGTH = 100 };
    static const float scale[ROWS] = { 0.5f, 2, 3 };
    static const int32_t zero[ROWS] = { 1, -1, 7 };
    uint8_t codes[ROWS * LENGTH];
    float out[ROWS * LENGTH];
    const w_tensor t = {
        .type = NN_U8, .shape = NN_SHAPE(ROWS, LENGTH), .scale = scale, .zero = zero, .scale_axis = 0
    };
    const w_tensor one = { .type = NN_U8, .shape = NN_SHAPE(ROWS, LENGTH), .scale = scale, .scale_axis = -1 };
    for (int i = 0; i < ROWS * LENGTH; i++)
        codes[i] = (uint8_t)(i * 7);
    w_dequantise(&t, codes, out);
    for (int i = 0; i < ROWS * LENGTH; i++)
        assert_true(out[i] == scale[i / LENGTH] * (float)(codes[i] - zero[i / LENGTH]));
    w_dequantise(&one, codes, out);
    for (int i = 0; i < ROWS * LENGTH; i++)
        assert_true(out[i] == 0.5f * (float)codes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_is_its_value),
        cmocka_unit_test(floats_go_to_the_nearest_half),
        cmocka_unit_test(rows_of_halves_equal_single_ones),
        cmocka_unit_test(doubles_beyond_f32_become_infinite),
        cmocka_unit_test(long_rows_are_scaled_like_short_ones),
        cmocka_unit_test(scales_of_a_middle_axis_are_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
