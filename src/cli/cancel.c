/* Ctrl-C: a signal handler can only reach a variable of the process. */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cli/command.h"

static atomic_bool cancelled;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&cancelled, true);
}

void sm_cancel_install(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

    /* no SA_RESTART: a read that waits for a pipe ends; SA_RESETHAND: the second one kills */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool sm_cancelled(void)
{
    return atomic_load(&cancelled);
}

void sm_cancel_reset(void)
{
    atomic_store(&cancelled, false);
}
