#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

static char *print(const sm_table *t)
{
    char *text = NULL;
    size_t length;
    FILE *f = open_memstream(&text, &length);

    test_ok(sm_table_print(t, f));
    fclose(f);
    return text;
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    static const char *const headings[] = { "file", "bpm", "key" };
    sm_table *t = NULL;
    (void)state;

    test_ok(sm_table_new(headings, 3, &t));
    sm_table_text(t, "a.wav");
    sm_table_number(t, 128, 2);
    sm_table_text(t, "Am");
    sm_table_text(t, "long name.wav");
    sm_table_number(t, NAN, 2);
    sm_table_text(t, NULL);
    char *text = print(t);
    assert_string_equal(text, "file              bpm  key\n"
                              "a.wav          128.00  Am\n"
                              "long name.wav       -  -\n");
    free(text);
    sm_table_free(t);
    sm_table_free(NULL);
}

static void width_counts_what_a_terminal_shows(void **state)
{
    static const struct {
        const char *text;
        size_t columns;
    } rows[] = {
        { "", 0 },
        { "abc", 3 },
        { "\xC3\xA9t\xC3\xA9", 3 },
        { "e\xCC\x81", 1 },                /* a combining accent */
        { "\xE9\x9F\xB3\xE6\xA5\xBD", 4 }, /* two wide characters */
        { "\xED\x95\x9C", 2 },             /* Hangul */
        { "\xF0\x9F\x8E\xB5", 2 },         /* an emoji */
        { "\xFF\xFE", 2 },                 /* what is no character shows as one each */
    };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        if (sm_text_columns(rows[i].text) != rows[i].columns)
            fail_msg("row %zu: %zu columns, not %zu", i, sm_text_columns(rows[i].text), rows[i].columns);
}

static void names_cannot_command_the_terminal(void **state)
{
    static const char *const headings[] = { "file" };
    sm_table *t = NULL;
    (void)state;

    test_ok(sm_table_new(headings, 1, &t));
    sm_table_text(t, "a\nb\x1B[2J\x7F");
    char *text = print(t);
    assert_string_equal(text, "file\na?b?[2J?\n");
    free(text);
    sm_table_free(t);
}

static int fill_table(void *user)
{
    static const char *const headings[] = { "a", "b" };
    sm_table *t = NULL;
    FILE *nowhere = user;
    int err = sm_table_new(headings, 2, &t);

    for (int i = 0; err == 0 && i < 50; i++)
        sm_table_number(t, i, 1);
    if (err == 0)
        err = sm_table_print(t, nowhere);
    sm_table_free(t);
    return err;
}

static void any_allocation_of_a_table_may_fail(void **state)
{
    FILE *nowhere = fopen("/dev/null", "w");
    (void)state;

    test_every_allocation_may_fail(fill_table, nowhere);
    fclose(nowhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(width_counts_what_a_terminal_shows),
        cmocka_unit_test(names_cannot_command_the_terminal),
        cmocka_unit_test(any_allocation_of_a_table_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
