/* completion: the script that lets a shell complete commands and options. */
#include "cli/command.h"

static int completion_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const int err = sm_complete_script(operands[0], cli->out);

    (void)args;
    (void)n;
    return err == SM_EUSAGE ? sm_cli_usage(cli, "%s", sm_last_error()) : err;
}

static const sm_example completion_examples[] = {
    { "source <(samplemind completion bash)", "complete in this shell" },
    { "samplemind completion fish > ~/.config/fish/completions/samplemind.fish", "complete in every fish" },
    { 0 },
};

const sm_command sm_cmd_completion = {
    .name = "completion",
    .summary = "print the completion script of a shell",
    .operands = "bash|zsh|fish",
    .least_operands = 1,
    .most_operands = 1,
    .examples = completion_examples,
    .run = completion_run,
};
