/* The program: finds the command in the table and runs it. */
#include <stdio.h>

#include "samplemind.h"

int main(void)
{
    printf("samplemind %s\n", sm_version());
    return 0;
}
