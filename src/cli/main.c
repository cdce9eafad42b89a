/* The program. */
#include <signal.h>

#include "cli/command.h"

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a closed pipe and a limit on file sizes are errors of a write, not deaths */
    signal(SIGXFSZ, SIG_IGN);
    sm_cancel_install();
    return sm_cli_main(argc, argv, stdout, stderr);
}
