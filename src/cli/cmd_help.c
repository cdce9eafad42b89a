/* help: the list of commands, or one of them. */
#include "cli/command.h"
#include "dsp/dsp.h"

typedef struct {
    bool man, fields;
} help_args;

static const sm_option help_options[] = {
    { 0, "man", SM_OPT_FLAG, offsetof(help_args, man), NULL, "print the whole as a man page", 0 },
    { 0, "fields", SM_OPT_FLAG, offsetof(help_args, fields), NULL, "print what each field of a record means", 0 },
    { 0 },
};

static int print_fields(sm_cli *cli)
{
    sm_buffer text = { 0 };

    dsp_fields_markdown(&text);
    if (!text.failed)
        fputs(text.data, cli->out);
    const int err = text.failed ? SM_ENOMEM : 0;
    sm_buffer_free(&text);
    return err;
}

static int help_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const sm_command *const *commands = sm_commands;
    const sm_command *c = NULL;
    char label[SM_LABEL_SIZE] = "samplemind";

    if (((const help_args *)args)->man) {
        sm_help_man(cli->out);
        return 0;
    }
    if (((const help_args *)args)->fields)
        return print_fields(cli);
    for (size_t i = 0; i < n; i++) {
        c = commands ? sm_command_find(commands, operands[i]) : NULL;
        if (!c)
            return sm_cli_usage(cli, "%s has no command %s", label, operands[i]);
        sm_command_label(label, c->name, label);
        commands = c->subcommands;
    }
    if (c)
        sm_help_command(c, label, cli->out);
    else
        sm_help_program(cli->out);
    return 0;
}

const sm_command sm_cmd_help = {
    .name = "help",
    .summary = "explain a command, or list them all",
    .operands = "[COMMAND]...",
    .options = help_options,
    .args_size = sizeof(help_args),
    .run = help_run,
};
