#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

typedef struct {
    bool quick;
    const char *level;
    int64_t top;
} args;

static const sm_option options[] = {
    { 'q', "quick", SM_OPT_FLAG, offsetof(args, quick), NULL, "be quick", 0 },
    { 'l', "level", SM_OPT_CHOICE, offsetof(args, level), "bytes|audio|sound|everything", "how alike", 0 },
    { 0, "top", SM_OPT_INT, offsetof(args, top), "1..", "how many (default: 5)", 0 },
    { 0 },
};

static const sm_example examples[] = { { "samplemind find a.wav", "finds it" }, { 0 } };

static const sm_command leaf = { .name = "find",
                                 .summary = "find what is alike",
                                 .description = "Looks everywhere.",
                                 .operands = "FILE...",
                                 .options = options,
                                 .common = SM_COMMON_SEED,
                                 .examples = examples,
                                 .args_size = sizeof(args) };
static const sm_command secret = { .name = "secret", .summary = "not shown", .hidden = true };
static const sm_command *const leaves[] = { &leaf, &secret, NULL };
static const sm_command group = { .name = "sounds", .summary = "what to do with sounds", .subcommands = leaves };

static char *help_of(const sm_command *c, const char *label)
{
    char *text = NULL;
    size_t length;
    FILE *f = open_memstream(&text, &length);

    sm_help_command(c, label, f);
    fclose(f);
    return text;
}

static void help_of_a_command_is_complete(void **state)
{
    char *text = help_of(&leaf, "samplemind find");
    (void)state;

    assert_string_equal(text, "Usage: samplemind find [OPTION]... FILE...\n"
                              "\n"
                              "Find what is alike.\n"
                              "\n"
                              "Looks everywhere.\n"
                              "\n"
                              "Options:\n"
                              "  -q, --quick                     be quick\n"
                              "  -l, --level bytes|audio|sound|everything\n"
                              "                                  how alike\n"
                              "      --top 1..                   how many (default: 5)\n"
                              "\n"
                              "Common options:\n"
                              "      --seed 0..                  start of what is random (default: 0)\n"
                              "      --quiet                     no progress and no warnings\n" /* -q is taken */
                              "  -v, --verbose                   say more; twice: even more\n"
                              "  -h, --help                      explain this command\n"
                              "\n"
                              "Examples:\n"
                              "  samplemind find a.wav\n"
                              "      finds it\n");
    free(text);
}

static void help_of_a_group_lists_what_is_not_hidden(void **state)
{
    char *text = help_of(&group, "samplemind sounds");
    (void)state;

    assert_string_equal(text, "Usage: samplemind sounds COMMAND [OPTION]...\n"
                              "\n"
                              "What to do with sounds.\n"
                              "\n"
                              "Commands:\n"
                              "  find          find what is alike\n"
                              "\n"
                              "samplemind sounds COMMAND --help explains a command.\n");
    free(text);
}

static void labels_join_and_never_overflow(void **state)
{
    char label[SM_LABEL_SIZE], longest[200];
    (void)state;

    sm_command_label("", "find", label);
    assert_string_equal(label, "find");
    sm_command_label(label, "it", label); /* in place */
    assert_string_equal(label, "find it");
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    sm_command_label(longest, longest, label);
    assert_int_equal(strlen(label), SM_LABEL_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_of_a_command_is_complete),
        cmocka_unit_test(help_of_a_group_lists_what_is_not_hidden),
        cmocka_unit_test(labels_join_and_never_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
