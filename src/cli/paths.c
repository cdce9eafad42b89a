/* Operands that are lists of paths; a model that is not there. */
#include <string.h>

#include "cli/command.h"

/* Adds the records of a text: ended by zero bytes if there is one, else lines (CR LF too). Empty ones are left out. */
static int add_records(const char *text, size_t length, sm_strings *out)
{
    const bool zeros = length > 0 && memchr(text, 0, length) != NULL;
    int err = 0;

    for (size_t at = 0; err == 0 && at < length;) {
        const char *end = memchr(text + at, zeros ? 0 : '\n', length - at);
        const size_t next = end ? (size_t)(end - text) + 1 : length;
        size_t n = next - at - (end ? 1 : 0);
        if (!zeros && n > 0 && text[at + n - 1] == '\r')
            n--;
        if (n > 0)
            err = sm_strings_add_n(out, text + at, n);
        at = next;
    }
    return err;
}

#define LARGEST_LIST ((size_t)256 << 20)

static int add_list(const char *path, sm_strings *out)
{
    sm_buffer text = { 0 };
    int err = sm_file_read(path, LARGEST_LIST, &text);

    if (err == 0)
        err = add_records(text.data, text.length, out);
    sm_buffer_free(&text);
    return err;
}

int sm_cli_expand(char *const *operands, size_t n, sm_strings *out)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < n; i++) {
        if (strcmp(operands[i], "-") == 0)
            err = add_list("/dev/stdin", out);
        else if (operands[i][0] == '@')
            err = add_list(operands[i] + 1, out);
        else
            err = sm_strings_add(out, operands[i]);
    }
    return err;
}

int sm_cli_no_model(const sm_cli *cli, int err)
{
    if (err != SM_ENOTFOUND)
        return err;
    sm_cli_error(cli, "%s", sm_last_error());
    return SM_EXIT_NO_MODEL;
}
