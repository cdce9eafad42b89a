/* Walks the table of commands: what help, completion and man page are made of is whole and consistent. */
#include "cli/console.h"

static void check_option(const sm_command *c, const char *label, const sm_option *o)
{
    if (!o->help || !o->help[0] || strchr(o->help, '\n') || strlen(o->help) > 100)
        fail_msg("%s --%s: help is one line of at most 100 characters", label, o->name);
    if (o->help[strlen(o->help) - 1] == '.')
        fail_msg("%s --%s: help ends without a full stop", label, o->name);
    if (strspn(o->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(o->name) || strlen(o->name) < 1)
        fail_msg("%s --%s: lower case, digits and dashes", label, o->name);
    if ((o->type == SM_OPT_CHOICE || o->type == SM_OPT_SET) && !o->values)
        fail_msg("%s --%s: needs values", label, o->name);
    for (const sm_option *other = o + 1; other->name; other++)
        if (strcmp(o->name, other->name) == 0 || (o->letter && o->letter == other->letter))
            fail_msg("%s: --%s and --%s collide", label, o->name, other->name);
    if (c && o->offset >= c->args_size)
        fail_msg("%s --%s: its field lies outside args", label, o->name);
}

/* "a|b|c" has `word` */
static bool has_choice(const char *values, const char *word)
{
    const size_t length = strlen(word);

    for (const char *at = values; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, word, length) == 0 && (at[length] == 0 || at[length] == '|'))
            return true;
    return false;
}

static void check_defaults(const sm_command *c, const char *label)
{
    for (const sm_option *o = c->options; o && o->name && c->defaults; o++) {
        const void *field = (const char *)c->defaults + o->offset;
        if (o->type == SM_OPT_CHOICE && *(const char *const *)field &&
            !has_choice(o->values, *(const char *const *)field))
            fail_msg("%s --%s: default %s is not one of %s", label, o->name, *(const char *const *)field, o->values);
        if (o->type == SM_OPT_LIST && ((const sm_strings *)field)->length > 0)
            fail_msg("%s --%s: a list has no default", label, o->name);
    }
}

static void check_command(const sm_command *c, const char *before)
{
    char label[SM_LABEL_SIZE];

    sm_command_label(before, c->name, label);
    if (!c->summary || !c->summary[0] || strchr(c->summary, '\n') || strlen(c->summary) > 70)
        fail_msg("%s: a summary is one line of at most 70 characters", label);
    if ((c->run == NULL) == (c->subcommands == NULL))
        fail_msg("%s: either run or subcommands", label);
    if (c->least_operands > 0 && !c->operands)
        fail_msg("%s: wants operands but does not name them", label);
    for (const sm_option *o = c->options; o && o->name; o++)
        check_option(c, label, o);
    check_defaults(c, label);
    for (const sm_command *const *sub = c->subcommands; sub && *sub; sub++) {
        if (sub[1] && strcmp((*sub)->name, sub[1]->name) >= 0)
            fail_msg("%s: %s and %s are not in order", label, (*sub)->name, sub[1]->name);
        check_command(*sub, label);
    }
}

static void names_are_sorted_and_unique(void **state)
{
    (void)state;
    for (const sm_command *const *c = sm_commands; c[0] && c[1]; c++)
        if (strcmp(c[0]->name, c[1]->name) >= 0)
            fail_msg("%s stands before %s in commands.def", c[0]->name, c[1]->name);
}

static void every_command_and_option_is_described(void **state)
{
    (void)state;
    for (const sm_command *const *c = sm_commands; *c; c++)
        check_command(*c, "samplemind");
    for (const sm_option *o = sm_common_options; o->name; o++)
        check_option(NULL, "common", o);
}

/* Splits a label into words and runs it with one more. */
static console run_label(const char *label, const char *last)
{
    char copy[SM_LABEL_SIZE];
    const char *words[16] = { NULL };
    size_t n = 0;

    snprintf(copy, sizeof copy, "%s", label);
    for (char *save = NULL, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        words[n++] = word;
    words[n] = last;
    return console_run(words);
}

static void ask_command(const sm_command *c, const char *before)
{
    char label[SM_LABEL_SIZE];
    console got;

    sm_command_label(before, c->name, label);
    got = run_label(label, "--help");
    if (got.code != 0 || !strstr(got.out, "Usage: samplemind") || got.err[0])
        fail_msg("%s --help: %d, %s%s", label, got.code, got.out, got.err);
    for (const sm_option *o = c->options; o && o->name; o++)
        if (!strstr(got.out, o->help))
            fail_msg("%s --help does not tell of --%s", label, o->name);
    for (const sm_example *e = c->examples; e && e->line; e++)
        if (!strstr(got.out, e->line) || strncmp(e->line, "samplemind ", 11) != 0)
            assert_non_null(strstr(e->line, "samplemind "));
    console_free(&got);
    for (const sm_command *const *sub = c->subcommands; sub && *sub; sub++)
        ask_command(*sub, label);
    if (c->subcommands)
        return;
    got = run_label(label, "--hepl"); /* a slip of --help, which every command has */
    if (got.code != SM_EXIT_USAGE || !strstr(got.err, "--hepl") || !strstr(got.err, "did you mean --help?") ||
        got.out[0])
        fail_msg("%s --hepl: %d, %s%s", label, got.code, got.out, got.err);
    console_free(&got);
}

static void every_command_explains_itself_and_corrects_a_slip(void **state)
{
    (void)state;
    for (const sm_command *const *c = sm_commands; *c; c++)
        ask_command(*c, "");
}

static void help_lists_every_command(void **state)
{
    console got = CONSOLE("--help"), same = CONSOLE("help");
    (void)state;

    assert_int_equal(got.code, 0);
    assert_string_equal(got.out, same.out);
    for (const sm_command *const *c = sm_commands; *c; c++)
        assert_non_null(strstr(got.out, (*c)->summary));
    console_free(&got);
    console_free(&same);
}

static void the_man_page_has_every_command(void **state)
{
    console got = CONSOLE("help", "--man");
    (void)state;

    assert_int_equal(got.code, 0);
    assert_memory_equal(got.out, ".TH SAMPLEMIND 1", 16);
    for (const sm_command *const *c = sm_commands; *c; c++) {
        char heading[100];
        snprintf(heading, sizeof heading, "\n.SS %s", (*c)->name);
        if (!(*c)->hidden)
            assert_non_null(strstr(got.out, heading));
    }
    console_free(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_sorted_and_unique),
        cmocka_unit_test(every_command_and_option_is_described),
        cmocka_unit_test(every_command_explains_itself_and_corrects_a_slip),
        cmocka_unit_test(help_lists_every_command),
        cmocka_unit_test(the_man_page_has_every_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
