#include "weights/fixture.h"

static void every_type_is_read_with_its_values(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("types.safetensors");
    assert_string_equal(sm_weights_format(w), "safetensors");
    assert_int_equal(sm_weights_count(w), 12);
    expect_unit(w, "single", NN_SHAPE(2, 3), "all", EXACT);
    expect_unit(w, "double", NN_SHAPE(2, 3), "all", EXACT);
    expect_unit(w, "half", NN_SHAPE(2, 3), "all", HALF_ULP);
    expect_unit(w, "brain", NN_SHAPE(2, 3), "all", BF16_ULP);
    expect_values(w, "u8", 0, 1, 128, 255);
    expect_values(w, "i16", -32768, 1234);
    expect_values(w, "u16", 65535, 7);
    expect_values(w, "i32", -7, 2147483648.0f); /* 2^31 - 1, rounded to float32 */
    expect_values(w, "i64", -5);
    expect_values(w, "bool", 1, 0, 1);
    expect_stored(w, "half", NN_F16, NN_SHAPE(2, 3));
    expect_stored(w, "single", NN_F32, NN_SHAPE(2, 3)); /* stands at an odd byte of the file: an aligned copy */
    expect_stored(w, "i64", NN_I64, NN_SCALAR);
    expect_stored(w, "empty", NN_F32, NN_SHAPE(0, 4));
    expect_meta(w, "model", "made up");
    expect_meta(w, "note", "caf\xC3\xA9 \"quoted\"");
    assert_null(sm_weights_meta(w, "absent"));
    assert_null(sm_weights_graph(w));
    sm_weights_close(w);
}

static void aligned_tensors_are_the_files_own_bytes(void **state)
{
    (void)state;
    _Alignas(64) char bytes[8 + 64 + 8 + 1];
    const float values[2] = { 1, -2 };
    memcpy(bytes, "\x40\0\0\0\0\0\0", 8);
    snprintf(bytes + 8, sizeof bytes - 8, "%-64s", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}");
    memcpy(bytes + 72, values, sizeof values);
    sm_weights *w = NULL;
    nn_tensor t;
    test_ok(sm_weights_open_memory(bytes, 8 + 64 + 8, "bytes", &w));
    test_ok(sm_weights_get_f32(w, "a", NULL, &t));
    assert_ptr_equal(t.data, bytes + 72);
    expect_values(w, "a", 1, -2);
    sm_weights_close(w);
}

static void headers_that_lie_are_refused(void **state)
{
    static const struct {
        const char *header, *message;
        int code, data;
    } cases[] = {
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "has 4 bytes", SM_EFORMAT, 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "the file holds 4", SM_EFORMAT, 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "the file holds 8", SM_EFORMAT, 8 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "a gap or overlap", SM_EFORMAT, 8 },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_"
          "offsets\":[2,4]}}",
          "overlap", SM_EFORMAT, 4 },
        { "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", "F8_E4M3", SM_EUNSUPPORTED, 1 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "no size", SM_EFORMAT, 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", "no size", SM_EFORMAT, 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", "impossible size",
          SM_EFORMAT, 0 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807],\"data_offsets\":[0,4]}}", "impossible size",
          SM_EFORMAT, 4 },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", "7 axes", SM_EUNSUPPORTED, 1 },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", "data_offsets", SM_EFORMAT, 1 },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,18446744073709551615]}}", "JSON", SM_EFORMAT, 1 },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_"
          "offsets\":[0,1]}}",
          "JSON", SM_EFORMAT, 1 },
        { "{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", "no dtype", SM_EFORMAT, 1 },
        { "{\"a\":7}", "no dtype", SM_EFORMAT, 1 },
        { "{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "without a name", SM_EFORMAT, 1 },
        { "{\"__metadata__\":{\"a\":1}}", "no string", SM_EFORMAT, 0 },
        { "{\"__metadata__\":[]}", "no object", SM_EFORMAT, 0 },
        { "{\"a\":", "JSON", SM_EFORMAT, 0 },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        uint8_t bytes[512] = { 0 };
        const size_t n = strlen(cases[i].header);
        bytes[0] = (uint8_t)n;
        bytes[1] = (uint8_t)(n >> 8);
        memcpy(bytes + 8, cases[i].header, n);
        expect_refused(bytes, 8 + n + (size_t)cases[i].data, cases[i].code, cases[i].message);
    }
}

static void a_header_longer_than_the_file_is_refused(void **state)
{
    (void)state;
    expect_refused("\xFF\xFF\x01\0\0\0\0\0{}", 10, SM_EFORMAT, "claims 131071 bytes");
}

static void goldens_open(void **state)
{
    (void)state;
    const char *path = test_shared("golden/yamnet/made_up_full.safetensors");
    sm_weights *w = NULL;
    if (!path)
        test_skip("no goldens: SM_SHARED");
    test_ok(sm_weights_open(path, &w));
    expect_stored(w, "in.patches", NN_F32, NN_SHAPE(2, 96, 64));
    sm_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read_with_its_values),
        cmocka_unit_test(aligned_tensors_are_the_files_own_bytes),
        cmocka_unit_test(headers_that_lie_are_refused),
        cmocka_unit_test(a_header_longer_than_the_file_is_refused),
        cmocka_unit_test(goldens_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
