#include "support/support.h"

#include <string.h>

#include "cli/command.h"

static void lists_are_read_by_line_or_by_zero_byte(void **state)
{
    static const struct {
        const char *text;
        size_t length, n;
        const char *records[3];
    } rows[] = {
        { "a\nb c\n", 6, 2, { "a", "b c" } },
        { "a\r\n\n\r\nb", 7, 2, { "a", "b" } },
        { "a\nb\0c\0", 6, 2, { "a\nb", "c" } },
        { "", 0, 0, { NULL } },
        { "\n\n", 2, 0, { NULL } },
        { "@x\n-\n", 5, 2, { "@x", "-" } }, /* records are paths, not lists again */
    };
    const char *list = ((test_place *)*state)->path;
    char operand[140], plain[] = "plain";
    char *operands[] = { plain, operand };

    snprintf(operand, sizeof operand, "@%s", list);
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_strings found = { 0 };
        test_write_file(list, rows[i].text, rows[i].length);
        test_ok(sm_cli_expand(operands, 2, &found));
        assert_int_equal(found.length, rows[i].n + 1);
        assert_string_equal(found.items[0], "plain");
        for (size_t k = 0; k < rows[i].n; k++)
            assert_string_equal(found.items[k + 1], rows[i].records[k]);
        sm_strings_free(&found);
    }
}

static void a_missing_list_is_named(void **state)
{
    char operand[] = "@/nowhere/list";
    char *operands[] = { operand };
    sm_strings found = { 0 };
    (void)state;

    test_fails(sm_cli_expand(operands, 1, &found), SM_ENOTFOUND, "/nowhere/list");
    sm_strings_free(&found);
}

static int expand(void *user)
{
    char operand[140];
    char *operands[] = { operand };
    sm_strings found = { 0 };
    int err;

    snprintf(operand, sizeof operand, "@%s", ((const test_place *)user)->path);
    err = sm_cli_expand(operands, 1, &found);
    sm_strings_free(&found);
    return err;
}

static void any_allocation_of_expanding_may_fail(void **state)
{
    test_write_file(((test_place *)*state)->path, "a\nb\nc\nd\ne\nf\ng\nh\ni\n", 18);
    test_every_allocation_may_fail(expand, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_are_read_by_line_or_by_zero_byte, test_place_make, test_place_remove),
        cmocka_unit_test(a_missing_list_is_named),
        cmocka_unit_test_setup_teardown(any_allocation_of_expanding_may_fail, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
