/* --help and the man page, from the tables. */
#include <string.h>

#include "cli/command.h"

#define OPTION_COLUMN 32

/* The letter under which an option can be given: a common one loses its letter to an own option. */
static char letter_of(const sm_command *c, const sm_option *o)
{
    bool taken = false;

    for (const sm_option *own = c->options; own && own->name; own++) {
        if (own == o)
            return o->letter;
        taken = taken || own->letter == o->letter;
    }
    return taken ? 0 : o->letter;
}

/* "-l, --level bytes|audio|sound" */
static void option_text(const sm_command *c, const sm_option *o, char out[128])
{
    const char letter = letter_of(c, o);
    const bool value = sm_option_takes_value(o);
    char start[8] = "    ";

    if (letter)
        snprintf(start, sizeof start, "-%c, ", letter);
    snprintf(out, 128, "%s--%s%s%s", start, o->name, value ? " " : "", !value ? "" : o->values ? o->values : "VALUE");
}

static void print_option(const sm_command *c, const sm_option *o, FILE *out)
{
    char text[128];

    option_text(c, o, text);
    if (strlen(text) > OPTION_COLUMN - 2)
        fprintf(out, "  %s\n  %*s%s\n", text, OPTION_COLUMN, "", o->help);
    else
        fprintf(out, "  %-*s%s\n", OPTION_COLUMN, text, o->help);
}

static void print_commands(const sm_command *const *commands, FILE *out)
{
    for (; *commands; commands++)
        if (!(*commands)->hidden)
            fprintf(out, "  %-12s  %s\n", (*commands)->name, (*commands)->summary);
}

void sm_help_program(FILE *out)
{
    fprintf(out, "samplemind %s: know, find, split and make sounds\n\n", sm_version());
    fputs("Usage: samplemind COMMAND [OPTION]... [OPERAND]...\n\nCommands:\n", out);
    print_commands(sm_commands, out);
    fputs("\nsamplemind COMMAND --help explains a command. Options may stand anywhere; -- ends them.\n"
          "SAMPLEMIND_NAME in the environment is the default of --name. Where PATHs are taken, @LIST\n"
          "reads them from a file, one a line, and - from standard input.\n\n"
          "Exit codes: 0 all done, 1 failed, 2 wrong usage, 3 some files failed, 4 a model is missing,\n"
          "130 interrupted.\n",
          out);
}

static void print_options(const sm_command *c, FILE *out)
{
    const sm_option *o;
    size_t at = 0;

    if (c->options && c->options->name)
        fputs("\nOptions:\n", out);
    for (o = c->options; o && o->name; o++)
        print_option(c, o, out);
    fputs("\nCommon options:\n", out);
    while ((o = sm_command_common(c, &at)) != NULL)
        print_option(c, o, out);
}

void sm_help_command(const sm_command *c, const char *label, FILE *out)
{
    const char first = c->summary[0];

    fprintf(out, "Usage: %s %s%s%s\n\n", label, c->subcommands ? "COMMAND [OPTION]..." : "[OPTION]...",
            c->operands ? " " : "", c->operands ? c->operands : "");
    fprintf(out, "%c%s.\n", first >= 'a' && first <= 'z' ? first - 'a' + 'A' : first, c->summary + 1);
    if (c->description)
        fprintf(out, "\n%s\n", c->description);
    if (c->subcommands) {
        fputs("\nCommands:\n", out);
        print_commands(c->subcommands, out);
        fprintf(out, "\n%s COMMAND --help explains a command.\n", label);
    } else {
        print_options(c, out);
    }
    if (c->examples && c->examples->line)
        fputs("\nExamples:\n", out);
    for (const sm_example *e = c->examples; e && e->line; e++)
        fprintf(out, "  %s\n      %s\n", e->line, e->does);
}

/* ---- the man page ---- */

/* Text in roff: hyphens that are typed stay hyphens, and no line begins a request. */
static void man_text(const char *text, FILE *out)
{
    bool line_start = true;

    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
        line_start = *text == '\n';
    }
}

static void man_option(const sm_command *c, const sm_option *o, FILE *out)
{
    const char *text;
    char whole[128];

    option_text(c, o, whole);
    for (text = whole; *text == ' '; text++)
        ;
    fputs(".TP\n.B ", out);
    man_text(text, out);
    fputc('\n', out);
    man_text(o->help, out);
    fputc('\n', out);
}

static void man_command(const sm_command *c, const char *label, FILE *out)
{
    char below[SM_LABEL_SIZE];

    if (c->hidden)
        return;
    for (const sm_command *const *sub = c->subcommands; sub && *sub; sub++) {
        sm_command_label(label, (*sub)->name, below);
        man_command(*sub, below, out);
    }
    if (c->subcommands)
        return;
    fputs(".SS ", out);
    man_text(label, out);
    fprintf(out, " [OPTION]...%s", c->operands ? " " : "");
    man_text(c->operands ? c->operands : "", out);
    fputs("\n", out);
    man_text(c->summary, out);
    fputs(".\n", out);
    if (c->description) {
        fputs(".PP\n", out);
        man_text(c->description, out);
        fputs("\n", out);
    }
    for (const sm_option *o = c->options; o && o->name; o++)
        man_option(c, o, out);
    for (const sm_example *e = c->examples; e && e->line; e++) {
        fputs(".PP\n", out);
        man_text(e->does, out);
        fputs(":\n.PP\n.RS\n.B ", out);
        man_text(e->line, out);
        fputs("\n.RE\n", out);
    }
}

/* The groups of common options that some command takes. */
static unsigned common_of(const sm_command *const *commands)
{
    unsigned groups = 0;

    for (; commands && *commands; commands++)
        if (!(*commands)->hidden)
            groups |= (*commands)->common | common_of((*commands)->subcommands);
    return groups;
}

void sm_help_man(FILE *out)
{
    const sm_command all = { .common = common_of(sm_commands) };
    const sm_option *o;
    size_t at = 0;

    fprintf(
        out,
        ".TH SAMPLEMIND 1 \"\" \"samplemind %s\" \"User Commands\"\n.SH NAME\n"
        "samplemind \\- know, find, split and make sounds\n.SH SYNOPSIS\n.B samplemind\n"
        ".I COMMAND\n[OPTION]... [OPERAND]...\n.SH DESCRIPTION\n"
        "Analyses sounds offline, with pretrained models that run natively. Options may stand anywhere; \\-\\- ends\n"
        "them. Results go to standard output, everything else to standard error.\n.SH COMMANDS\n",
        sm_version());
    for (const sm_command *const *c = sm_commands; *c; c++)
        man_command(*c, (*c)->name, out);
    fputs(".SH COMMON OPTIONS\nEach command takes those that make sense for it; its \\-\\-help lists them.\n", out);
    while ((o = sm_command_common(&all, &at)) != NULL)
        man_option(&all, o, out);
    fputs(".SH ENVIRONMENT\n.TP\n.B SAMPLEMIND_NAME\nThe default of \\-\\-name, for any option.\n"
          ".TP\n.B SAMPLEMIND_HOME\nThe folder of models; else samplemind in XDG_DATA_HOME or ~/.local/share.\n"
          ".TP\n.B SAMPLEMIND_MIRROR\nA base URL from which models pull takes files, as MIRROR/HOST/PATH.\n"
          ".TP\n.B HF_TOKEN\nSent to huggingface.co for files that need a login.\n"
          ".SH EXIT STATUS\n.TP\n.B 0\nall done\n.TP\n.B 1\nfailed, nothing useful made\n.TP\n.B 2\nwrong usage\n"
          ".TP\n.B 3\nsome files failed, the others are done\n.TP\n.B 4\na model or its weights are missing or do not\n"
          "verify\n.TP\n.B 130\ninterrupted\n",
          out);
}
