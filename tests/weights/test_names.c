#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "weights/names.h"

static void many_names_keep_their_numbers(void **state)
{
    enum { MANY = 5000 };
    char(*names)[16] = calloc(MANY, sizeof *names);
    w_names m = { 0 };
    size_t value = 0;
    (void)state;
    assert_non_null(names);
    assert_false(w_names_get(&m, "n1", &value)); /* an empty map */
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "n%zu", i);
        test_ok(w_names_put(&m, names[i], i));
    }
    test_ok(w_names_put(&m, "n7", 1234567)); /* replaces */
    assert_int_equal(m.n, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_true(w_names_get(&m, names[i], &value));
        assert_int_equal(value, i == 7 ? 1234567 : i);
    }
    assert_false(w_names_get(&m, "n5000", &value));
    w_names_clear(&m);
    assert_false(w_names_get(&m, "n1", &value));
    free(names);
}

static int put_some(void *user)
{
    static const char *const names[] = { "a", "b", "c" };
    w_names m = { 0 };
    int err = 0;
    (void)user;
    for (size_t i = 0; i < SM_LENGTH(names) && err == 0; i++)
        err = w_names_put(&m, names[i], i);
    w_names_clear(&m);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_every_allocation_may_fail(put_some, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_names_keep_their_numbers),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
