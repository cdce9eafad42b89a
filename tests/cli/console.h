/* Runs the program inside a test: what it printed, and its exit code. */
#ifndef SM_TEST_CONSOLE_H
#define SM_TEST_CONSOLE_H

#include "support/support.h"

#include "cli/command.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *out, *err; /* what was printed; freed by console_free */
    int code;
} console;

/* Words after the program's name, NULL at the end. */
static inline console console_run(const char *const *words)
{
    char program[] = "samplemind";
    char *argv[64] = { program };
    console c = { 0 };
    size_t out_length, err_length;
    FILE *out = open_memstream(&c.out, &out_length), *err = open_memstream(&c.err, &err_length);
    int argc = 1;

    while (*words)
        argv[argc++] = strdup(*words++);
    c.code = sm_cli_main(argc, argv, out, err);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    fclose(out);
    fclose(err);
    return c;
}

#define CONSOLE(...) console_run((const char *const[]){ __VA_ARGS__, NULL })

static inline void console_free(console *c)
{
    free(c->out);
    free(c->err);
}

#endif
