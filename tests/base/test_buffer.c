#include "support/support.h"

#include <string.h>

static void bytes_are_appended_and_end_in_zero(void **state)
{
    sm_buffer b = { 0 };
    (void)state;

    sm_buffer_text(&b, "ab");
    sm_buffer_add(&b, "c\0d", 3);
    sm_buffer_printf(&b, "%d-%s", 42, "x");
    assert_int_equal(b.length, 9);
    assert_memory_equal(b.data, "abc\0d42-x", 10);
    sm_buffer_free(&b);
    assert_null(b.data);
    sm_buffer_add(&b, "", 0); /* usable again; nothing added is text too */
    assert_string_equal(b.data, "");
    sm_buffer_free(&b);
}

static void many_small_pieces_cost_few_allocations(void **state)
{
    sm_buffer b = { 0 };
    const long made = sm_test_allocations_made();
    (void)state;

    for (int i = 0; i < 100000; i++)
        sm_buffer_printf(&b, "%d,", i % 10);
    assert_false(b.failed);
    assert_int_equal(b.length, 200000);
    assert_memory_equal(b.data + 199980, "0,1,2,3,4,5,6,7,8,9,", 21);
    assert_int_equal(sm_test_allocations_made() - made, 1);
    sm_buffer_free(&b);
}

static void a_failure_stays_and_nothing_more_is_added(void **state)
{
    sm_buffer b = { 0 };
    (void)state;

    sm_buffer_text(&b, "abc");
    sm_test_fail_allocation(0);
    sm_buffer_printf(&b, "%100d", 1);
    assert_true(b.failed);
    sm_buffer_text(&b, "d");
    assert_string_equal(b.data, "abc");
    sm_buffer_free(&b);
    assert_false(b.failed);

    sm_buffer_text(&b, "abc");
    sm_buffer_add(&b, "", SIZE_MAX - 2); /* the sum overflows: refused before a byte is touched */
    assert_true(b.failed);
    sm_buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_appended_and_end_in_zero),
        cmocka_unit_test(many_small_pieces_cost_few_allocations),
        cmocka_unit_test(a_failure_stays_and_nothing_more_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
