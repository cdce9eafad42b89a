#include "support/support.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"

static void the_first_signal_asks_to_stop(void **state)
{
    (void)state;
    assert_false(sm_cancelled());
    sm_cancel_install();
    raise(SIGINT);
    assert_true(sm_cancelled());
    sm_cancel_reset();
    assert_false(sm_cancelled());
    sm_cancel_install();
    raise(SIGTERM);
    assert_true(sm_cancelled());
    sm_cancel_reset();
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

static void the_second_signal_ends_the_program(void **state)
{
    int status = 0;
    pid_t child;
    (void)state;

    child = fork();
    if (child == 0) {
        sm_cancel_install();
        raise(SIGINT);
        raise(SIGINT);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_signal_asks_to_stop),
        cmocka_unit_test(the_second_signal_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
