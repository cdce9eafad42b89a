#include "support/support.h"

#include <string.h>

static void products_and_sums_that_do_not_fit_are_refused(void **state)
{
    static const struct {
        size_t a, b;
        bool mul, add;
    } rows[] = {
        { 0, SIZE_MAX, false, false },      { 1, SIZE_MAX, false, true },
        { 2, SIZE_MAX / 2, false, false },  { 2, SIZE_MAX / 2 + 1, true, false },
        { SIZE_MAX, SIZE_MAX, true, true }, { (size_t)1 << 32, (size_t)1 << 32, true, false },
    };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        size_t out = 42;
        if (sm_mul_overflow(rows[i].a, rows[i].b, &out) != rows[i].mul)
            fail_msg("row %zu: product", i);
        assert_true(out == (rows[i].mul ? 42 : rows[i].a * rows[i].b));
        out = 42;
        if (sm_add_overflow(rows[i].a, rows[i].b, &out) != rows[i].add)
            fail_msg("row %zu: sum", i);
        assert_true(out == (rows[i].add ? 42 : rows[i].a + rows[i].b));
    }
}

static void sizes_that_overflow_give_null_and_a_message(void **state)
{
    (void)state;
    sm_clear_error();
    assert_null(sm_alloc(SIZE_MAX / 2, 3));
    assert_non_null(strstr(sm_last_error(), "no memory"));
    assert_null(sm_alloc(SIZE_MAX, 1));
    assert_null(sm_alloc_zero(SIZE_MAX, SIZE_MAX));
    assert_null(sm_alloc_aligned(PTRDIFF_MAX, 1));
    void *p = sm_alloc(4, 1);
    memcpy(p, "abc", 4);
    assert_null(sm_realloc(p, SIZE_MAX / 4, 8));
    assert_string_equal(p, "abc"); /* old is still there */
    sm_free(p);
}

static void zero_bytes_are_a_block_too(void **state)
{
    const long before = sm_test_allocations_alive();
    (void)state;

    void *blocks[] = { sm_alloc(0, 8), sm_alloc_zero(8, 0), sm_alloc_aligned(0, 0), sm_realloc(NULL, 0, 1) };
    for (size_t i = 0; i < SM_LENGTH(blocks); i++)
        assert_non_null(blocks[i]);
    assert_int_equal(sm_test_allocations_alive() - before, SM_LENGTH(blocks));
    for (size_t i = 0; i < SM_LENGTH(blocks); i++)
        sm_free(blocks[i]);
    sm_free(NULL);
    assert_int_equal(sm_test_allocations_alive(), before);
}

static void blocks_are_cleared_and_aligned_as_asked(void **state)
{
    (void)state;
    for (size_t n = 1; n < 300; n += 37) {
        unsigned char *zero = sm_alloc_zero(n, 3);
        void *aligned = sm_alloc_aligned(n, 3);
        for (size_t i = 0; i < 3 * n; i++)
            assert_int_equal(zero[i], 0);
        assert_int_equal((uintptr_t)aligned % 64, 0);
        sm_free(zero);
        sm_free(aligned);
    }
}

static void the_nth_allocation_fails_once(void **state)
{
    (void)state;
    for (long n = 0; n < 3; n++) {
        sm_test_fail_allocation(n);
        for (long i = 0; i < 5; i++) {
            void *p = sm_alloc(1, 1);
            assert_true((p == NULL) == (i == n));
            sm_free(p);
        }
        assert_true(sm_test_allocation_failed());
    }
    sm_test_fail_allocation(-1);
    assert_false(sm_test_allocation_failed());
}

static void growing_keeps_items_and_doubles(void **state)
{
    int *items = NULL;
    size_t cap = 0;
    long made = sm_test_allocations_made();
    (void)state;

    for (int i = 0; i < 10000; i++) {
        test_ok(sm_grow(&items, &cap, (size_t)i + 1, sizeof *items));
        items[i] = i;
    }
    for (int i = 0; i < 10000; i++)
        assert_int_equal(items[i], i);
    assert_in_range(cap, 10000, 20000);
    assert_int_equal(sm_test_allocations_made() - made, 1); /* one block, made longer */
    const size_t old_cap = cap;
    assert_int_equal(sm_grow(&items, &cap, SIZE_MAX / 2, sizeof *items), SM_ENOMEM);
    assert_int_equal(cap, old_cap);
    assert_int_equal(items[9999], 9999);
    sm_free(items);
}

static int make_strings(void *user)
{
    char *a = sm_strdup("abc"), *b = sm_strndup("abcdef", 2), *c = sm_printf_new("%s-%d", "x", 5);
    sm_strings list = { 0 };
    int err = a && b && c ? 0 : SM_ENOMEM;

    (void)user;
    for (int i = 0; err == 0 && i < 20; i++)
        err = sm_strings_add(&list, a);
    if (err == 0) {
        assert_string_equal(a, "abc");
        assert_string_equal(b, "ab");
        assert_string_equal(c, "x-5");
        assert_string_equal(list.items[19], "abc");
    }
    sm_free(a);
    sm_free(b);
    sm_free(c);
    sm_strings_free(&list);
    return err;
}

static void strings_survive_any_failed_allocation(void **state)
{
    (void)state;
    test_every_allocation_may_fail(make_strings, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_and_sums_that_do_not_fit_are_refused),
        cmocka_unit_test(sizes_that_overflow_give_null_and_a_message),
        cmocka_unit_test(zero_bytes_are_a_block_too),
        cmocka_unit_test(blocks_are_cleared_and_aligned_as_asked),
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(growing_keeps_items_and_doubles),
        cmocka_unit_test(strings_survive_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
