/* The frame around every command: finds it, reads its options, runs it, says what went wrong, and picks the exit code. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"

int sm_exit_code(int err)
{
    static const int codes[] = {
        [0] = 0,
        [-SM_ENOMEM] = SM_EXIT_FAILED,
        [-SM_EIO] = SM_EXIT_FAILED,
        [-SM_ENOTFOUND] = SM_EXIT_FAILED,
        [-SM_EFORMAT] = SM_EXIT_FAILED,
        [-SM_EUNSUPPORTED] = SM_EXIT_FAILED,
        [-SM_EUSAGE] = SM_EXIT_USAGE,
        [-SM_ECANCELLED] = SM_EXIT_INTERRUPTED,
        [-SM_ELIMIT] = SM_EXIT_FAILED,
        [-SM_EINTERNAL] = SM_EXIT_FAILED,
    };

    if (err > 0)
        return err;
    return -err < (int)SM_LENGTH(codes) ? codes[-err] : SM_EXIT_FAILED;
}

int sm_exit_of_batch(size_t done, size_t failed)
{
    return failed == 0 ? 0 : done == 0 ? SM_EXIT_FAILED : SM_EXIT_SOME_FAILED;
}

static void say(const sm_cli *cli, const char *format, va_list args)
{
    fputs("samplemind: ", cli->err);
    vfprintf(cli->err, format, args);
    fputc('\n', cli->err);
}

void sm_cli_error(const sm_cli *cli, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(cli, format, args);
    va_end(args);
}

void sm_cli_warn(const sm_cli *cli, const char *format, ...)
{
    va_list args;

    if (cli->common.quiet)
        return;
    va_start(args, format);
    say(cli, format, args);
    va_end(args);
}

int sm_cli_usage(const sm_cli *cli, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return sm_fail(SM_EUSAGE, "%s (see %s --help)", text, cli->label);
}

int sm_cli_flush(sm_cli *cli)
{
    if (fflush(cli->out) == 0 && !ferror(cli->out))
        return 0;
    if (!cli->out_errno)
        cli->out_errno = errno ? errno : EIO;
    return sm_fail(SM_EIO, "cannot write the results: %s", strerror(cli->out_errno));
}

/* SM_EUSAGE: `word` is none of `commands`. */
static int unknown_command(const sm_cli *cli, const sm_command *const *commands, const char *word)
{
    const char *names[64], *near;
    size_t n = 0;

    for (; *commands && n < SM_LENGTH(names); commands++)
        if (!(*commands)->hidden)
            names[n++] = (*commands)->name;
    near = sm_text_nearest(word, names, n);
    return sm_cli_usage(cli, "no such command: %s%s%s%s", word, near ? "; did you mean " : "", near ? near : "",
                        near ? "?" : "");
}

static int check_operands(const sm_cli *cli, size_t n)
{
    const sm_command *c = cli->command;

    if (n > 0 && !c->operands)
        return sm_cli_usage(cli, "%s takes no operands", c->name);
    if (n < c->least_operands)
        return sm_cli_usage(cli, "%s needs %s", c->name, c->operands);
    if (c->most_operands > 0 && n > c->most_operands)
        return sm_cli_usage(cli, "%s takes at most %zu of %s", c->name, c->most_operands, c->operands);
    return 0;
}

static int run_with_operands(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const sm_command *c = cli->command;
    sm_strings expanded = { 0 };
    int err = 0;

    if (c->paths) {
        err = sm_cli_expand(operands, n, &expanded);
        operands = expanded.items;
        n = expanded.length;
    }
    if (err == 0)
        err = check_operands(cli, n);
    if (err == 0)
        err = c->run(cli, args, operands, n);
    sm_strings_free(&expanded);
    return err;
}

/* What can be named but is not there yet is refused, not silently replaced. */
static int check_device(const sm_cli *cli)
{
    const sm_common *o = &cli->common;

    if (!(cli->command->common & SM_COMMON_DEVICE))
        return 0;
    if (o->device && strcmp(o->device, "auto") != 0 && strcmp(o->device, "cpu") != 0)
        return sm_cli_usage(cli, "--device %s: this version computes on the cpu only", o->device);
    if (o->precision && strcmp(o->precision, "int8") == 0 && !(cli->command->common & SM_COMMON_INT8))
        return sm_cli_usage(cli, "--precision int8: only generate and bench compute with weights of 8 bits");
    return 0;
}

/* Parses and runs a command without subcommands. */
static int run_command(sm_cli *cli, int argc, char *const *argv)
{
    const sm_command *c = cli->command;
    void *args = sm_alloc_zero(c->args_size, 1);
    char **operands = sm_alloc_zero((size_t)argc + 1, sizeof *operands);
    size_t n = 0;
    int err = 0;

    if (!args || !operands) {
        err = SM_ENOMEM;
        goto out;
    }
    err = sm_options_parse(c, argc, argv, args, &cli->common, operands, &n);
    if (err == SM_EUSAGE)
        err = sm_cli_usage(cli, "%s", sm_last_error());
    if (err < 0)
        goto out;
    if (cli->common.help) {
        sm_help_command(c, cli->label, cli->out);
        goto out;
    }
    if ((err = check_device(cli)) < 0)
        goto out;
    if (!cli->common.format)
        cli->common.format = cli->out_is_terminal ? "table" : "jsonl";
    err = run_with_operands(cli, args, operands, n);

out:
    if (operands && args)
        sm_options_free(c, args, &cli->common);
    sm_free(operands);
    sm_free(args);
    return err;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* Finds the command of argv[0..argc-1], going down into subcommands, and runs it. */
static int dispatch(sm_cli *cli, const sm_command *const *commands, int argc, char *const *argv)
{
    char label[SM_LABEL_SIZE] = "samplemind";

    cli->label = label;
    for (;;) {
        const sm_command *c;

        if (argc == 0)
            return sm_cli_usage(cli, "which command?");
        if (asks_for_help(argv[0])) {
            if (cli->command)
                sm_help_command(cli->command, label, cli->out);
            else
                sm_help_program(cli->out);
            return 0;
        }
        c = sm_command_find(commands, argv[0]);
        if (!c)
            return argv[0][0] == '-' ? sm_cli_usage(cli, "no such option: %s", argv[0])
                                     : unknown_command(cli, commands, argv[0]);
        cli->command = c;
        sm_command_label(label, c->name, label);
        argc--;
        argv++;
        if (!c->subcommands)
            return run_command(cli, argc, argv);
        commands = c->subcommands;
    }
}

int sm_cli_main(int argc, char *const *argv, FILE *out, FILE *err)
{
    static char version[] = "version";
    char *const version_argv[] = { version };
    sm_cli cli = {
        .out = out, .err = err, .out_is_terminal = isatty(fileno(out)), .err_is_terminal = isatty(fileno(err))
    };
    int code;

    argc = SM_MAX(argc - 1, 0);
    argv++;
    if (argc > 0 && (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0))
        code = dispatch(&cli, sm_commands, 1, version_argv);
    else
        code = dispatch(&cli, sm_commands, argc, argv);
    if (sm_cli_flush(&cli) < 0 && code >= 0)
        code = SM_EIO;
    if (code < 0 && cli.out_errno != EPIPE) /* whoever closed the pipe has what they wanted */
        sm_cli_error(&cli, "%s", code == SM_ECANCELLED ? "interrupted" : sm_last_error());
    return sm_exit_code(code);
}
