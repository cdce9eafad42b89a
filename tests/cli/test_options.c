#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

typedef struct {
    bool plan;
    int noise;
    int64_t top;
    double least;
    const char *name, *level, *file, *format;
    sm_strings fields;
} example_args;

/* clang-format off */
static const sm_option example_options[] = {
    { 'p', "plan", SM_OPT_FLAG, offsetof(example_args, plan), NULL, "a flag", 0 },
    { 'n', "noise", SM_OPT_COUNT, offsetof(example_args, noise), NULL, "a count", 0 },
    { 't', "top", SM_OPT_INT, offsetof(example_args, top), "1..10", "a whole number", 0 },
    { 0, "least-part", SM_OPT_NUMBER, offsetof(example_args, least), "-1..1", "a number", 0 },
    { 'N', "name", SM_OPT_STRING, offsetof(example_args, name), "NAME", "a text", 0 },
    { 'l', "level", SM_OPT_CHOICE, offsetof(example_args, level), "bytes|audio|sound", "a choice", 0 },
    { 'f', "file", SM_OPT_PATH, offsetof(example_args, file), "FILE", "a path", 0 },
    { 0, "fields", SM_OPT_LIST, offsetof(example_args, fields), "A,B,..", "a list", 0 },
    { 0, "wav", SM_OPT_SET, offsetof(example_args, format), "wav", "sets format", 0 },
    { 'q', "flac", SM_OPT_SET, offsetof(example_args, format), "flac", "sets format; takes -q from --quiet", 0 },
    { 0 },
};
/* clang-format on */

static const sm_command example = {
    .name = "example",
    .summary = "an example",
    .operands = "FILE...",
    .options = example_options,
    .common = SM_COMMON_JOBS | SM_COMMON_FORMAT | SM_COMMON_FIELDS,
    .args_size = sizeof(example_args),
    .defaults = &(const example_args){ .level = "audio", .least = 0.5, .top = 3 },
};

typedef struct {
    example_args args;
    sm_common common;
    char *operands[32];
    size_t n;
    int err;
    int argc;
    char *argv[32];
} parsed;

static parsed parse(const char *const *words)
{
    parsed p = { 0 };

    while (words[p.argc]) {
        p.argv[p.argc] = strdup(words[p.argc]);
        p.argc++;
    }
    p.err = sm_options_parse(&example, p.argc, p.argv, &p.args, &p.common, p.operands, &p.n);
    return p;
}

static void parsed_free(parsed *p)
{
    sm_options_free(&example, &p->args, &p->common);
    for (int i = 0; i < p->argc; i++)
        free(p->argv[i]);
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static void defaults_hold_where_nothing_is_said(void **state)
{
    parsed p = parse((const char *const[]){ NULL });
    (void)state;

    test_ok(p.err);
    assert_false(p.args.plan);
    assert_int_equal(p.args.top, 3);
    assert_string_equal(p.args.level, "audio");
    assert_null(p.args.name);
    assert_int_equal(p.common.jobs, 0);
    assert_int_equal(p.common.threads, 1);
    assert_string_equal(p.common.progress, "auto");
    assert_null(p.common.format);
    parsed_free(&p);
}

static void every_form_is_understood(void **state)
{
    parsed p = PARSE("a", "--top=7", "-pnn", "-j4", "--least-part", "-0.5", "-N", "x", "-lsound", "--fields", "a,,b",
                     "b", "--fields=c", "--wav", "-f", "-", "-", "--json", "--", "--plan", "-x");
    static const char *const operands[] = { "a", "b", "-", "--plan", "-x" };
    (void)state;

    test_ok(p.err);
    assert_int_equal(p.args.top, 7);
    assert_true(p.args.plan);
    assert_int_equal(p.args.noise, 2);
    assert_int_equal(p.common.jobs, 4);
    assert_true(p.args.least == -0.5);
    assert_string_equal(p.args.name, "x");
    assert_string_equal(p.args.level, "sound");
    assert_string_equal(p.args.file, "-");
    assert_string_equal(p.args.format, "wav");
    assert_string_equal(p.common.format, "json");
    assert_int_equal(p.args.fields.length, 3);
    assert_string_equal(p.args.fields.items[2], "c");
    assert_int_equal(p.common.fields.length, 0); /* the command's own --fields hides the common one */
    assert_int_equal(p.n, SM_LENGTH(operands));
    for (size_t i = 0; i < p.n; i++)
        assert_string_equal(p.operands[i], operands[i]);
    parsed_free(&p);
}

static void an_own_letter_hides_a_common_one(void **state)
{
    parsed p = PARSE("-q", "--quiet", "-pqt", "5");
    (void)state;

    test_ok(p.err);
    assert_string_equal(p.args.format, "flac");
    assert_true(p.common.quiet);
    assert_int_equal(p.args.top, 5);
    parsed_free(&p);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *words[4];
        const char *message;
    } rows[] = {
        { { "--plam" }, "no such option: --plam; did you mean --plan?" },
        { { "--zzzzzz" }, "no such option: --zzzzzz" },
        { { "--leest-part=3" }, "no such option: --leest-part; did you mean --least-part?" },
        { { "-px" }, "no such option: -x" },
        { { "--threads", "2" }, "no such option: --threads" }, /* a common one that this command does not take */
        { { "--plan=1" }, "--plan takes no value" },
        { { "--top" }, "--top needs a value: 1..10" },
        { { "-t" }, "-t needs a value: 1..10" },
        { { "--top", "x" }, "--top: \"x\" is not a whole number" },
        { { "--top", "11" }, "--top: 11 is not in 1..10" },
        { { "-t0" }, "-t: 0 is not in 1..10" },
        { { "--least-part", "1.01" }, "--least-part: 1.01 is not in -1..1" },
        { { "--least-part", "" }, "--least-part: \"\" is not a number" },
        { { "--level", "sond" }, "--level: \"sond\" is not one of bytes|audio|sound; did you mean \"sound\"?" },
        { { "--level", "audio|sound" }, "--level: \"audio|sound\" is not one of bytes|audio|sound" },
        { { "-j", "-1" }, "-j: -1 is not in 0..4096" },
    };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        parsed p = parse(rows[i].words);
        if (p.err != SM_EUSAGE || strcmp(sm_last_error(), rows[i].message) != 0)
            fail_msg("%s: %s \"%s\", expected \"%s\"", rows[i].words[0], sm_code_name(p.err), sm_last_error(),
                     rows[i].message);
        parsed_free(&p);
    }
}

static void the_environment_gives_defaults(void **state)
{
    (void)state;
    setenv("SAMPLEMIND_TOP", "9", 1);
    setenv("SAMPLEMIND_LEAST_PART", "0.25", 1);
    setenv("SAMPLEMIND_PLAN", "1", 1);
    setenv("SAMPLEMIND_WAV", "0", 1);
    setenv("SAMPLEMIND_FIELDS", "x,y", 1);
    setenv("SAMPLEMIND_JOBS", "2", 1);
    setenv("SAMPLEMIND_NAME", "", 1);

    parsed p = PARSE("--least-part=0.75");
    test_ok(p.err);
    assert_int_equal(p.args.top, 9);
    assert_true(p.args.least == 0.75); /* the command line wins */
    assert_true(p.args.plan);
    assert_null(p.args.format);
    assert_null(p.args.name);
    assert_int_equal(p.args.fields.length, 2);
    assert_int_equal(p.common.jobs, 2);
    parsed_free(&p);

    p = PARSE("--fields", "z"); /* and replaces a list */
    test_ok(p.err);
    assert_int_equal(p.args.fields.length, 1);
    parsed_free(&p);

    setenv("SAMPLEMIND_JOBS", "many", 1);
    p = PARSE("a");
    assert_int_equal(p.err, SM_EUSAGE);
    assert_string_equal(sm_last_error(), "SAMPLEMIND_JOBS: \"many\" is not a whole number");
    parsed_free(&p);
    static const char *const names[] = { "TOP", "LEAST_PART", "PLAN", "WAV", "FIELDS", "JOBS", "NAME" };
    for (size_t i = 0; i < SM_LENGTH(names); i++) {
        char name[40];
        snprintf(name, sizeof name, "SAMPLEMIND_%s", names[i]);
        unsetenv(name);
    }
}

static int parse_once(void *user)
{
    parsed p = PARSE("--fields", "a,b,c,d,e,f,g,h,i,j", "-lsound", "x");
    const int err = p.err;

    (void)user;
    parsed_free(&p);
    return err;
}

static void any_allocation_of_parsing_may_fail(void **state)
{
    (void)state;
    test_every_allocation_may_fail(parse_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_where_nothing_is_said), cmocka_unit_test(every_form_is_understood),
        cmocka_unit_test(an_own_letter_hides_a_common_one),    cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_environment_gives_defaults),      cmocka_unit_test(any_allocation_of_parsing_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
