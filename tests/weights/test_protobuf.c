#include "weights/fixture.h"

#include "weights/protobuf.h"

static void varints_of_all_lengths_are_read(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool good;
        uint64_t value;
    } cases[] = {
        { "\0", 1, true, 0 },
        { "\x7F", 1, true, 127 },
        { "\x80\1", 2, true, 128 },
        { "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1", 10, true, UINT64_MAX },
        { "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1", 11, false, 0 }, /* longer than any number */
        { "\x80", 1, false, 0 },
        { "", 0, false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        const uint8_t *p = (const uint8_t *)cases[i].bytes;
        pb_bytes m = { p, p + cases[i].n };
        uint64_t value = 0;
        const bool good = pb_varint(&m, &value);
        if (good != cases[i].good || (good && value != cases[i].value))
            fail_msg("case %zu: %d, %llu", i, good, (unsigned long long)value);
    }
}

static void packed_and_loose_numbers_come_in_order(void **state)
{
    /* field 3: 1, then packed 2 3, field 4 between, then 300 */
    static const uint8_t bytes[] = { 0x18, 1, 0x1A, 2, 2, 3, 0x20, 9, 0x18, 0xAC, 2 };
    static const uint64_t expected[] = { 1, 2, 3, 300 };
    pb_numbers n = { { bytes, bytes + sizeof bytes }, { NULL, NULL }, 3, PB_VARINT };
    uint64_t v;
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(expected); i++) {
        assert_int_equal(pb_numbers_next(&n, &v), 1);
        assert_int_equal(v, expected[i]);
    }
    assert_int_equal(pb_numbers_next(&n, &v), 0);
}

static void fields_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *message;
    } cases[] = {
        { "\0", 1, "no field" },               /* number 0 */
        { "\x0B", 1, "wire type 3" },          /* a group */
        { "\x0D\1\2\3", 4, "beyond the end" }, /* three bytes of four */
        { "\x09\1\2\3\4\5\6\7", 8, "beyond the end" },
        { "\x0A\5abcd", 6, "beyond the end" },
        { "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1", 11, "beyond the end" },
        { "\x08\x80", 2, "beyond the end" },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        const uint8_t *p = (const uint8_t *)cases[i].bytes;
        pb_bytes m = { p, p + cases[i].n };
        pb_field f;
        test_fails(pb_next(&m, &f), SM_EFORMAT, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_of_all_lengths_are_read),
        cmocka_unit_test(packed_and_loose_numbers_come_in_order),
        cmocka_unit_test(fields_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
