#include "support/support.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"

static char folder[64];

static int make_tree(void **state)
{
    static const char *const folders[] = { "a", "a/deep", "b", ".hidden" };
    static const char *const files[] = { "z.wav",   "a/1.wav",       "a/2.txt", "a/deep/3.WAV",
                                         "b/4.wav", ".hidden/5.wav", "b/.6.wav" };
    char path[200];

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_folder_new());
    for (size_t i = 0; i < SM_LENGTH(folders); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, folders[i]);
        mkdir(path, 0700);
    }
    for (size_t i = 0; i < SM_LENGTH(files); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        test_write_file(path, "", 0);
    }
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    test_folder_remove(folder);
    return 0;
}

static bool is_wav(const char *name)
{
    return sm_text_has_suffix(name, ".wav");
}

static void assert_found(const sm_strings *found, const char *const *expected, size_t n)
{
    char path[300];

    if (found->length != n)
        fail_msg("%zu paths, %zu expected", found->length, n);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, expected[i]);
        assert_string_equal(found->items[i], path);
    }
}

static void a_folder_is_walked_in_order_without_hidden_files(void **state)
{
    static const char *const expected[] = { "a/1.wav", "a/deep/3.WAV", "b/4.wav", "z.wav" };
    sm_strings found = { 0 };
    (void)state;

    test_ok(sm_cli_walk(folder, is_wav, &found));
    assert_found(&found, expected, SM_LENGTH(expected));
    sm_strings_free(&found);
}

static void links_to_files_count_and_links_to_folders_do_not_loop(void **state)
{
    static const char *const expected[] = { "a/1.wav", "a/deep/3.WAV", "b/4.wav", "b/link.wav", "z.wav" };
    sm_strings found = { 0 };
    char from[200];
    (void)state;

    snprintf(from, sizeof from, "%s/a/loop", folder);
    assert_int_equal(symlink(folder, from), 0);
    snprintf(from, sizeof from, "%s/b/link.wav", folder);
    assert_int_equal(symlink("../z.wav", from), 0);
    snprintf(from, sizeof from, "%s/b/dangling.wav", folder);
    assert_int_equal(symlink("nowhere", from), 0);
    test_ok(sm_cli_walk(folder, is_wav, &found));
    assert_found(&found, expected, SM_LENGTH(expected));
    sm_strings_free(&found);
}

static void a_file_that_was_named_is_always_taken(void **state)
{
    static const char *const expected[] = { "a/2.txt", "missing.wav" };
    sm_strings found = { 0 };
    char path[200];
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(expected); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, expected[i]);
        test_ok(sm_cli_walk(path, is_wav, &found));
    }
    assert_found(&found, expected, SM_LENGTH(expected));
    sm_strings_free(&found);
}

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
    char list[100], operand[101], plain[] = "plain";
    char *operands[] = { plain, operand };
    (void)state;

    snprintf(list, sizeof list, "%s/list", folder);
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

static int walk(void *user)
{
    sm_strings found = { 0 };
    const int err = sm_cli_walk(folder, is_wav, &found);

    (void)user;
    sm_strings_free(&found);
    return err;
}

static void any_allocation_of_walking_may_fail(void **state)
{
    (void)state;
    test_every_allocation_may_fail(walk, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_folder_is_walked_in_order_without_hidden_files, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(links_to_files_count_and_links_to_folders_do_not_loop, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(a_file_that_was_named_is_always_taken, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(lists_are_read_by_line_or_by_zero_byte, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(a_missing_list_is_named, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(any_allocation_of_walking_may_fail, make_tree, remove_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
