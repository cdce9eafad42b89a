#include "support/support.h"

#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

static void pieces_do_not_overlap_and_are_aligned(void **state)
{
    enum { PIECES = 2000 };
    sm_arena *a = sm_arena_new();
    unsigned char *piece[PIECES];
    (void)state;

    for (size_t i = 0; i < PIECES; i++) {
        const size_t align = (size_t)1 << i % 13;
        piece[i] = sm_arena_get(a, i % 97 + 1, 1, align);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % align, 0);
        memset(piece[i], (int)(i & 0xFF), i % 97 + 1);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t k = 0; k < i % 97 + 1; k++)
            if (piece[i][k] != (i & 0xFF))
                fail_msg("piece %zu was overwritten at %zu", i, k);
    sm_arena_free(a);
}

static void large_pieces_fit(void **state)
{
    sm_arena *a = sm_arena_new();
    (void)state;

    for (size_t size = 1; size < (size_t)64 << 20; size = size * 5 + 3) {
        unsigned char *p = sm_arena_zero(a, size, 1);
        assert_non_null(p);
        assert_int_equal(p[0] | p[size / 2] | p[size - 1], 0);
    }
    sm_arena_free(a);
}

static void sizes_that_overflow_are_refused(void **state)
{
    sm_arena *a = sm_arena_new();
    (void)state;

    assert_null(sm_arena_get(a, SIZE_MAX / 2, 3, 8));
    assert_non_null(strstr(sm_last_error(), "memory"));
    assert_null(sm_arena_get(a, SIZE_MAX - 4, 1, 64));
    assert_null(sm_arena_zero(a, PTRDIFF_MAX, 1));
    assert_non_null(sm_arena_get(a, 0, 8, 8)); /* and it still works */
    sm_arena_free(a);
}

static void strings_are_copied_and_formatted(void **state)
{
    sm_arena *a = sm_arena_new();
    char *long_text;
    (void)state;

    assert_string_equal(sm_arena_strdup(a, "abc"), "abc");
    assert_string_equal(sm_arena_strndup(a, "abcdef", 3), "abc");
    assert_string_equal(sm_arena_strndup(a, "ab", 30), "ab");
    long_text = sm_arena_printf(a, "%*d", 100000, 7);
    assert_int_equal(strlen(long_text), 100000);
    assert_int_equal(long_text[99999], '7');
    sm_arena_free(a);
}

static void going_back_gives_the_place_again(void **state)
{
    sm_arena *a = sm_arena_new();
    char *kept = sm_arena_strdup(a, "kept");
    const size_t mark = sm_arena_mark(a);
    void *first = sm_arena_get(a, 100, 1, 8);
    (void)state;

    for (int round = 0; round < 3; round++) {
        sm_arena_back(a, mark);
        assert_ptr_equal(sm_arena_get(a, 100, 1, 8), first);
        for (int i = 0; i < 1000; i++)
            assert_non_null(sm_arena_get(a, 333, 1, 64)); /* into further blocks */
    }
    sm_arena_back(a, mark);
    assert_int_equal(sm_arena_mark(a), mark);
    assert_string_equal(kept, "kept");
    sm_arena_back(a, 0);
    assert_int_equal(sm_arena_mark(a), 0);
    sm_arena_free(a);
}

static void a_loop_of_mark_and_back_settles(void **state)
{
    sm_arena *a = sm_arena_new();
    long after_warm_up = 0;
    (void)state;

    for (int round = 0; round < 100; round++) {
        const size_t mark = sm_arena_mark(a);
        for (int i = 0; i < 4; i++)
            assert_non_null(sm_arena_get(a, 5000, 1, 64));
        sm_arena_back(a, mark);
        if (round == 1)
            after_warm_up = sm_test_allocations_made();
    }
    assert_int_equal(sm_test_allocations_made(), after_warm_up);
    sm_arena_free(a);
}

#ifdef WITH_ASAN
static void what_was_given_back_is_poisoned(void **state)
{
    sm_arena *a = sm_arena_new();
    const size_t mark = sm_arena_mark(a);
    char *p = sm_arena_get(a, 40, 1, 8);
    (void)state;

    assert_null(__asan_region_is_poisoned(p, 40));
    assert_true(__asan_address_is_poisoned(p + 40));
    sm_arena_back(a, mark);
    assert_true(__asan_address_is_poisoned(p));
    sm_arena_free(a);
}
#endif

static int use_arena(void *user)
{
    sm_arena *a = sm_arena_new();
    int err = a ? 0 : SM_ENOMEM;

    (void)user;
    for (int i = 0; err == 0 && i < 50; i++)
        if (!sm_arena_zero(a, 1000, 7) || !sm_arena_printf(a, "%d", i))
            err = SM_ENOMEM;
    sm_arena_free(a);
    return err;
}

static void any_allocation_of_an_arena_may_fail(void **state)
{
    (void)state;
    sm_arena_free(NULL);
    test_every_allocation_may_fail(use_arena, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_overlap_and_are_aligned), cmocka_unit_test(large_pieces_fit),
        cmocka_unit_test(sizes_that_overflow_are_refused),       cmocka_unit_test(strings_are_copied_and_formatted),
        cmocka_unit_test(going_back_gives_the_place_again),      cmocka_unit_test(a_loop_of_mark_and_back_settles),

#ifdef WITH_ASAN
        cmocka_unit_test(what_was_given_back_is_poisoned),
#endif
        cmocka_unit_test(any_allocation_of_an_arena_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
