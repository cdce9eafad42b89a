#include "support/support.h"

#include <pthread.h>
#include <string.h>

static void a_failure_keeps_its_text_and_returns_its_code(void **state)
{
    (void)state;
    sm_clear_error();
    assert_string_equal(sm_last_error(), "");
    assert_int_equal(sm_fail(SM_EFORMAT, "%s:%d: found %s", "a.wav", 3, "x"), SM_EFORMAT);
    assert_string_equal(sm_last_error(), "a.wav:3: found x");
}

static void a_caller_puts_what_it_knows_in_front(void **state)
{
    (void)state;
    sm_fail(SM_EIO, "short read");
    assert_int_equal(sm_fail_prefix(SM_EIO, "tensor %s", "w"), SM_EIO);
    assert_string_equal(sm_last_error(), "tensor w: short read");
    sm_clear_error();
    sm_fail_prefix(SM_EIO, "alone");
    assert_string_equal(sm_last_error(), "alone");
}

static void a_message_may_quote_the_last_one(void **state)
{
    (void)state;
    sm_fail(SM_EIO, "inner");
    sm_fail(SM_EIO, "outer (%s)", sm_last_error());
    assert_string_equal(sm_last_error(), "outer (inner)");
}

static void a_long_text_is_cut_at_a_whole_character(void **state)
{
    char text[3001];
    (void)state;

    /* two bytes a character, after zero or one byte: the cut falls inside one of them */
    for (size_t shift = 0; shift < 2; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 1 < sizeof text; i += 2)
            memcpy(text + i, "\xC3\xA9", 2);
        text[shift + 2400] = 0;
        sm_fail(SM_EIO, "%s", text);
        const size_t length = strlen(sm_last_error());
        assert_in_range(length, 1000, 1023);
        assert_true(sm_utf8_valid(sm_last_error(), length));
        assert_string_equal(sm_last_error() + length - 3, "...");
        sm_fail_prefix(SM_EIO, "in front");
        assert_true(sm_utf8_valid(sm_last_error(), strlen(sm_last_error())));
        assert_memory_equal(sm_last_error(), "in front: ", 10);
    }
}

static void *fail_elsewhere(void *user)
{
    (void)user;
    sm_fail(SM_EIO, "elsewhere");
    return NULL;
}

static void each_thread_has_its_own_text(void **state)
{
    pthread_t thread;
    (void)state;

    sm_fail(SM_EIO, "here");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(sm_last_error(), "here");
}

static void every_code_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(sm_code_name(0), "0");
    assert_string_equal(sm_code_name(SM_ENOMEM), "SM_ENOMEM");
    assert_string_equal(sm_code_name(SM_ENOTFOUND), "SM_ENOTFOUND");
    assert_string_equal(sm_code_name(SM_ECANCELLED), "SM_ECANCELLED");
    assert_string_equal(sm_code_name(SM_EINTERNAL), "SM_EINTERNAL");
    assert_string_equal(sm_code_name(SM_EINTERNAL - 1), "?");
    assert_string_equal(sm_code_name(1), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_keeps_its_text_and_returns_its_code),
        cmocka_unit_test(a_caller_puts_what_it_knows_in_front),
        cmocka_unit_test(a_message_may_quote_the_last_one),
        cmocka_unit_test(a_long_text_is_cut_at_a_whole_character),
        cmocka_unit_test(each_thread_has_its_own_text),
        cmocka_unit_test(every_code_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
