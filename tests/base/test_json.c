#include "support/support.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static void write_record(sm_json *j)
{
    sm_json_begin_object(j);
    sm_json_key(j, "path");
    sm_json_string(j, "a \"b\"\\\n");
    sm_json_key(j, "empty");
    sm_json_begin_array(j);
    sm_json_end_array(j);
    sm_json_key(j, "list");
    sm_json_begin_array(j);
    sm_json_int(j, -3);
    sm_json_f32(j, 0.1);
    sm_json_f64(j, 0.1);
    sm_json_f32(j, NAN);
    sm_json_bool(j, true);
    sm_json_null(j);
    sm_json_begin_object(j);
    sm_json_end_object(j);
    sm_json_raw(j, "[1,2]");
    sm_json_end_array(j);
    sm_json_key(j, "none");
    sm_json_string(j, NULL);
    sm_json_end_object(j);
}

static void a_record_has_its_commas(void **state)
{
    sm_buffer b = { 0 };
    sm_json j;
    (void)state;

    sm_json_init(&j, &b, false);
    write_record(&j);
    assert_false(b.failed);
    assert_string_equal(b.data,
                        "{\"path\":\"a \\\"b\\\"\\\\\\n\",\"empty\":[],\"list\":[-3,0.1,0.1,null,true,null,{},[1,2]],"
                        "\"none\":null}");
    sm_buffer_free(&b);
}

static void a_pretty_record_is_indented_by_two(void **state)
{
    sm_buffer b = { 0 };
    sm_json j;
    (void)state;

    sm_json_init(&j, &b, true);
    sm_json_begin_object(&j);
    sm_json_key(&j, "a");
    sm_json_begin_array(&j);
    sm_json_int(&j, 1);
    sm_json_begin_object(&j);
    sm_json_end_object(&j);
    sm_json_end_array(&j);
    sm_json_key(&j, "b");
    sm_json_int(&j, 2);
    sm_json_end_object(&j);
    assert_string_equal(b.data, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": 2\n}");
    sm_buffer_free(&b);
}

/* An independent reader accepts every byte string and gives it back, where it was UTF-8. */
static void any_text_becomes_a_valid_string(void **state)
{
    const uint64_t h = sm_unit_hash("json", 0);
    (void)state;

    for (uint64_t round = 0; round < 3000; round++) {
        char text[12];
        sm_buffer b = { 0 };
        json_error_t error;
        sm_json j;
        for (size_t i = 0; i < sizeof text - 1; i++) /* half of them plain, so that good strings happen too */
            text[i] = (char)(round % 2 ? 1 + (sm_unit(h, round * 16 + i) + 1) * 127
                                       : 1 + (sm_unit(h, round * 16 + i) + 1) * 63);
        text[sizeof text - 1] = 0;
        sm_json_init(&j, &b, false);
        sm_json_string(&j, text);
        json_t *read = json_loadb(b.data, b.length, JSON_DECODE_ANY, &error);
        if (!read)
            fail_msg("round %llu: %s in %s", (unsigned long long)round, error.text, b.data);
        if (sm_utf8_valid(text, strlen(text)))
            assert_string_equal(json_string_value(read), text);
        json_decref(read);
        sm_buffer_free(&b);
    }
}

static void bytes_that_are_no_characters_are_replaced_one_by_one(void **state)
{
    sm_buffer b = { 0 };
    sm_json j;
    (void)state;

    sm_json_init(&j, &b, false);
    sm_json_string(&j, "x\xFF\xC3(\x01\x1F\x7F\xE2\x82\xAC/\b\f\r\t");
    assert_string_equal(b.data, "\"x\xEF\xBF\xBD\xEF\xBF\xBD(\\u0001\\u001f\x7F\xE2\x82\xAC/\\b\\f\\r\\t\"");
    sm_buffer_free(&b);
}

static void nesting_works_to_64_and_fails_beyond(void **state)
{
    (void)state;
    for (int depth = 63; depth <= 65; depth++) {
        sm_buffer b = { 0 };
        sm_json j;
        sm_json_init(&j, &b, false);
        for (int i = 0; i < depth; i++)
            sm_json_begin_array(&j);
        sm_json_int(&j, 1);
        sm_json_int(&j, 2);
        for (int i = 0; i < depth; i++)
            sm_json_end_array(&j);
        assert_true(b.failed == (depth > 64));
        if (!b.failed) {
            assert_int_equal(b.length, 2 * depth + 3);
            assert_memory_equal(b.data + depth, "1,2", 3);
        }
        sm_buffer_free(&b);
    }
}

static void an_end_without_a_beginning_is_a_failure(void **state)
{
    sm_buffer b = { 0 };
    sm_json j;
    (void)state;

    sm_json_init(&j, &b, false);
    sm_json_end_object(&j);
    assert_true(b.failed);
    sm_buffer_free(&b);
    sm_json_init(&j, &b, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "a");
    sm_json_end_object(&j);
    assert_true(b.failed);
    sm_buffer_free(&b);
}

static int write_json(void *user)
{
    sm_buffer b = { 0 };
    sm_json j;
    int err;

    (void)user;
    sm_json_init(&j, &b, true);
    for (int i = 0; i < 20; i++)
        write_record(&j);
    err = b.failed ? SM_ENOMEM : 0;
    sm_buffer_free(&b);
    return err;
}

static void any_allocation_of_json_may_fail(void **state)
{
    (void)state;
    test_every_allocation_may_fail(write_json, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_has_its_commas),
        cmocka_unit_test(a_pretty_record_is_indented_by_two),
        cmocka_unit_test(any_text_becomes_a_valid_string),
        cmocka_unit_test(bytes_that_are_no_characters_are_replaced_one_by_one),
        cmocka_unit_test(nesting_works_to_64_and_fails_beyond),
        cmocka_unit_test(an_end_without_a_beginning_is_a_failure),
        cmocka_unit_test(any_allocation_of_json_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
