#include "cli/console.h"

static void slips_are_named_with_the_nearest_right_word(void **state)
{
    static const struct {
        const char *words[4];
        int code;
        const char *err;
    } rows[] = {
        { { "versoin" }, 2, "samplemind: no such command: versoin; did you mean version? (see samplemind --help)\n" },
        { { "zzz" }, 2, "samplemind: no such command: zzz (see samplemind --help)\n" },
        { { NULL }, 2, "samplemind: which command? (see samplemind --help)\n" },
        { { "--nope" }, 2, "samplemind: no such option: --nope (see samplemind --help)\n" },
        { { "version", "x" }, 2, "samplemind: version takes no operands (see samplemind version --help)\n" },
        { { "completion" }, 2, "samplemind: completion needs bash|zsh|fish (see samplemind completion --help)\n" },
        { { "completion", "bash", "zsh" },
          2,
          "samplemind: completion takes at most 1 of bash|zsh|fish (see samplemind completion --help)\n" },
        { { "help", "nothing" }, 2, "samplemind: samplemind has no command nothing (see samplemind help --help)\n" },
    };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        console got = console_run(rows[i].words);
        if (got.code != rows[i].code || strcmp(got.err, rows[i].err) != 0 || got.out[0])
            fail_msg("row %zu: %d %s%s", i, got.code, got.out, got.err);
        console_free(&got);
    }
}

static void the_version_tells_of_the_machine(void **state)
{
    static const char *const ways[] = { "version", "--version", "-V" };
    char first[64];
    (void)state;

    snprintf(first, sizeof first, "samplemind %s\n", sm_version());
    for (size_t i = 0; i < SM_LENGTH(ways); i++) {
        console got = CONSOLE(ways[i]);
        assert_int_equal(got.code, 0);
        assert_memory_equal(got.out, first, strlen(first));
        assert_non_null(strstr(got.out, "cpu  "));
        console_free(&got);
    }
}

static void every_code_has_its_exit_code(void **state)
{
    (void)state;
    assert_int_equal(sm_exit_code(0), 0);
    assert_int_equal(sm_exit_code(SM_EUSAGE), 2);
    assert_int_equal(sm_exit_code(SM_ECANCELLED), 130);
    for (int code = SM_ENOMEM; code >= SM_EINTERNAL; code--)
        assert_in_range(sm_exit_code(code), 1, 130);
    assert_int_equal(sm_exit_code(-1000), 1);
    assert_int_equal(sm_exit_code(SM_EXIT_NO_MODEL), 4);
    assert_int_equal(sm_exit_of_batch(3, 0), 0);
    assert_int_equal(sm_exit_of_batch(0, 0), 0);
    assert_int_equal(sm_exit_of_batch(0, 2), 1);
    assert_int_equal(sm_exit_of_batch(1, 2), 3);
}

static void results_that_cannot_be_written_are_a_failure(void **state)
{
    char program[] = "samplemind", command[] = "version";
    char *argv[] = { program, command, NULL };
    char *text = NULL;
    size_t length;
    FILE *full = fopen("/dev/full", "w"), *err = open_memstream(&text, &length);
    (void)state;

    if (!full)
        test_skip("no /dev/full here");
    assert_int_equal(sm_cli_main(2, argv, full, err), 1);
    fclose(full);
    fclose(err);
    assert_non_null(strstr(text, "cannot write the results"));
    free(text);
}

static int print_version(void *user)
{
    console got = CONSOLE("version", "--quiet");
    const int err = got.code == 0 ? 0 : SM_ENOMEM;

    (void)user;
    console_free(&got);
    return err;
}

static void any_allocation_of_the_frame_may_fail(void **state)
{
    (void)state;
    test_every_allocation_may_fail(print_version, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_are_named_with_the_nearest_right_word),
        cmocka_unit_test(the_version_tells_of_the_machine),
        cmocka_unit_test(every_code_has_its_exit_code),
        cmocka_unit_test(results_that_cannot_be_written_are_a_failure),
        cmocka_unit_test(any_allocation_of_the_frame_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
