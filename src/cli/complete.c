/* Completion scripts, from the tables. */
#include <string.h>

#include "cli/command.h"

/* Calls `visit` for every command that a user can run, with its words behind "samplemind": "models pull". */
static void each_command(const sm_command *const *commands, const char *before,
                         void (*visit)(const sm_command *c, const char *label, FILE *out), FILE *out)
{
    char label[SM_LABEL_SIZE];

    for (; *commands; commands++) {
        if ((*commands)->hidden)
            continue;
        sm_command_label(before, (*commands)->name, label);
        visit(*commands, label, out);
        if ((*commands)->subcommands)
            each_command((*commands)->subcommands, label, visit, out);
    }
}

/* Own options, then common ones; *at starts at 0. NULL: no more. */
static const sm_option *next_option(const sm_command *c, const sm_option **own, size_t *at)
{
    if (*own && (*own)->name)
        return (*own)++;
    return sm_command_common(c, at);
}

static void print_names(const sm_command *const *commands, FILE *out)
{
    for (const char *gap = ""; *commands; commands++)
        if (!(*commands)->hidden) {
            fprintf(out, "%s%s", gap, (*commands)->name);
            gap = " ";
        }
}

/* "a|b|c" as "a b c" */
static void print_choices(const char *values, FILE *out)
{
    for (; *values; values++)
        fputc(*values == '|' ? ' ' : *values, out);
}

/* Text inside single quotes of a shell. */
static void print_quoted(const char *text, FILE *out)
{
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
}

/* ---- bash ---- */

static void bash_words(const sm_command *c, const char *label, FILE *out)
{
    const sm_option *o, *own = c->options;
    size_t at = 0;

    fprintf(out, "        '%s') words='", label);
    if (c->subcommands)
        print_names(c->subcommands, out);
    else
        while ((o = next_option(c, &own, &at)) != NULL)
            fprintf(out, "--%s ", o->name);
    fputs("' ;;\n", out);
}

static void bash_choices(const sm_command *c, const char *label, FILE *out)
{
    const sm_option *o, *own = c->options;
    size_t at = 0;

    while (!c->subcommands && (o = next_option(c, &own, &at)) != NULL)
        if (o->type == SM_OPT_CHOICE) {
            fprintf(out, "        '%s:--%s') words='", label, o->name);
            print_choices(o->values, out);
            fputs("' ;;\n", out);
        }
}

static void bash_groups(const sm_command *c, const char *label, FILE *out)
{
    if (c->subcommands)
        fprintf(out, "            '%s') ;;\n", label);
}

static void bash(FILE *out)
{
    fputs("# bash completion of samplemind\n_samplemind()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word i words=\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n        word=${COMP_WORDS[i]}\n"
          "        case $word in -*) continue ;; esac\n"
          "        case $command in\n            '') command=$word ; continue ;;\n",
          out);
    each_command(sm_commands, "", bash_groups, out);
    fputs("            *) break ;;\n        esac\n        command=\"$command $word\"\n    done\n"
          "    case $command in\n        '') words='",
          out);
    print_names(sm_commands, out);
    fputs("' ;;\n", out);
    each_command(sm_commands, "", bash_words, out);
    fputs("    esac\n    case $command:$prev in\n", out);
    each_command(sm_commands, "", bash_choices, out);
    fputs("        *) case $words in --*) case $cur in -*) ;; *) words= ;; esac ;; esac ;;\n    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
          "complete -o default -F _samplemind samplemind\n",
          out);
}

/* ---- zsh ---- */

static void zsh_option(const sm_option *o, FILE *out)
{
    fprintf(out, " '--%s%s[", o->name, sm_option_takes_value(o) ? "=" : "");
    for (const char *c = o->help; *c; c++) {
        if (strchr("[]:\\", *c))
            fputc('\\', out);
        if (*c == '\'')
            fputs("'\\'", out);
        fputc(*c, out);
    }
    fputc(']', out);
    if (o->type == SM_OPT_CHOICE) {
        fputs(":value:(", out);
        print_choices(o->values, out);
        fputc(')', out);
    } else if (o->type == SM_OPT_PATH) {
        fputs(":file:_files", out);
    } else if (sm_option_takes_value(o)) {
        fputs(":value: ", out);
    }
    fputc('\'', out);
}

static void zsh_command(const sm_command *c, const char *label, FILE *out)
{
    const sm_option *o, *own = c->options;
    size_t at = 0;

    if (c->subcommands)
        return;
    fprintf(out, "        '%s') _arguments -s", label);
    while ((o = next_option(c, &own, &at)) != NULL)
        zsh_option(o, out);
    fputs(" '*:file:_files' ;;\n", out);
}

static void zsh_names(const sm_command *const *commands, FILE *out)
{
    for (; *commands; commands++) {
        if ((*commands)->hidden)
            continue;
        fprintf(out, " '%s:", (*commands)->name);
        print_quoted((*commands)->summary, out);
        fputc('\'', out);
    }
}

static void zsh_group(const sm_command *c, const char *label, FILE *out)
{
    if (!c->subcommands)
        return;
    fprintf(out, "        '%s') if (( CURRENT == 3 )); then names=(", label);
    zsh_names(c->subcommands, out);
    fputs("); _describe command names; return; fi; command=\"$words[2] $words[3]\" ;;\n", out);
}

static void zsh(FILE *out)
{
    fputs("#compdef samplemind\n_samplemind()\n{\n    local -a names\n    local command=$words[2]\n"
          "    if (( CURRENT == 2 )); then\n        names=(",
          out);
    zsh_names(sm_commands, out);
    fputs(")\n        _describe command names\n        return\n    fi\n    case $command in\n", out);
    each_command(sm_commands, "", zsh_group, out);
    fputs("    esac\n    case $command in\n", out);
    each_command(sm_commands, "", zsh_command, out);
    fputs("    esac\n}\n_samplemind \"$@\"\n", out);
}

/* ---- fish ---- */

static void fish_condition(const char *label, FILE *out)
{
    fputs("complete -c samplemind -n '", out);
    for (const char *start = label; *start;) {
        const size_t length = strcspn(start, " ");
        fprintf(out, "%s__fish_seen_subcommand_from %.*s", start > label ? "; and " : "", (int)length, start);
        start += length + (start[length] ? 1 : 0);
    }
    fputc('\'', out);
}

static void fish_command(const sm_command *c, const char *label, FILE *out)
{
    const sm_option *o, *own = c->options;
    size_t at = 0;

    for (const sm_command *const *sub = c->subcommands; sub && *sub; sub++)
        if (!(*sub)->hidden) {
            fish_condition(label, out);
            fprintf(out, " -f -a %s -d '", (*sub)->name);
            print_quoted((*sub)->summary, out);
            fputs("'\n", out);
        }
    while (!c->subcommands && (o = next_option(c, &own, &at)) != NULL) {
        fish_condition(label, out);
        fprintf(out, " -l %s%s", o->name, sm_option_takes_value(o) ? " -r" : "");
        if (o->type == SM_OPT_CHOICE) {
            fputs(" -f -a '", out);
            print_choices(o->values, out);
            fputc('\'', out);
        }
        fputs(" -d '", out);
        print_quoted(o->help, out);
        fputs("'\n", out);
    }
}

static void fish(FILE *out)
{
    fputs("# fish completion of samplemind\n", out);
    for (const sm_command *const *c = sm_commands; *c; c++)
        if (!(*c)->hidden) {
            fprintf(out, "complete -c samplemind -n __fish_use_subcommand -f -a %s -d '", (*c)->name);
            print_quoted((*c)->summary, out);
            fputs("'\n", out);
        }
    each_command(sm_commands, "", fish_command, out);
}

int sm_complete_script(const char *shell, FILE *out)
{
    static const struct {
        const char *name;
        void (*write)(FILE *out);
    } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

    for (size_t i = 0; i < SM_LENGTH(shells); i++)
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].write(out);
            return 0;
        }
    return sm_fail(SM_EUSAGE, "no completion for %s, but for bash, zsh and fish", shell);
}
