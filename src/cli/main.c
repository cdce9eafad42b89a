/* The program. */
#include "cli/command.h"

int main(int argc, char **argv)
{
    sm_cancel_install();
    return sm_cli_main(argc, argv, stdout, stderr);
}
