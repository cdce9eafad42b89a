/* The list of commands, from commands.def. */
#include <string.h>

#include "cli/command.h"

#define SM_COMMAND(name) extern const sm_command sm_cmd_##name;
#include "cli/commands.def"
#undef SM_COMMAND

const sm_command *const sm_commands[] = {
#define SM_COMMAND(name) &sm_cmd_##name,
#include "cli/commands.def"
#undef SM_COMMAND
    NULL
};

const sm_command *sm_command_find(const sm_command *const *commands, const char *name)
{
    for (; *commands; commands++)
        if (strcmp((*commands)->name, name) == 0)
            return *commands;
    return NULL;
}

void sm_command_label(const char *before, const char *name, char out[SM_LABEL_SIZE])
{
    char whole[SM_LABEL_SIZE];

    snprintf(whole, sizeof whole, "%.63s%s%.63s", before, before[0] ? " " : "", name);
    memcpy(out, whole, sizeof whole);
}
