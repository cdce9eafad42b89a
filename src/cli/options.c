/* Reads the options of a command from its table: defaults, then the environment, then the command line. */
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

#define COMMON(field) offsetof(sm_common, field)

/* clang-format off */
const sm_option sm_common_options[] = {
    { 'o', "out", SM_OPT_PATH, COMMON(out), "PATH", "write there; - is standard output", SM_COMMON_OUT },
    { 0, "json", SM_OPT_SET, COMMON(format), "json", "print one JSON value", SM_COMMON_FORMAT },
    { 0, "jsonl", SM_OPT_SET, COMMON(format), "jsonl", "print one JSON object a line (default in a pipe)", SM_COMMON_FORMAT },
    { 0, "csv", SM_OPT_SET, COMMON(format), "csv", "print comma-separated values with a heading", SM_COMMON_FORMAT },
    { 0, "table", SM_OPT_SET, COMMON(format), "table", "print a table (default on a terminal)", SM_COMMON_FORMAT },
    { 0, "fields", SM_OPT_LIST, COMMON(fields), "A,B,..", "print only these fields", SM_COMMON_FIELDS },
    { 0, "key-notation", SM_OPT_CHOICE, COMMON(key_notation), "musical|camelot|openkey", "how keys are written (default: musical)", SM_COMMON_KEYS },
    { 0, "models", SM_OPT_LIST, COMMON(models), "NAME,..", "ask only these models; NAME=FILE takes these weights", SM_COMMON_MODELS },
    { 0, "no-models", SM_OPT_FLAG, COMMON(no_models), NULL, "ask no model", SM_COMMON_MODELS },
    { 'j', "jobs", SM_OPT_INT, COMMON(jobs), "0..4096", "files at once; 0: as many as there are cores (default: 0)", SM_COMMON_JOBS },
    { 0, "threads", SM_OPT_INT, COMMON(threads), "1..4096", "threads inside one network (default: 1)", SM_COMMON_THREADS },
    { 'd', "device", SM_OPT_STRING, COMMON(device), "DEVICE", "auto, cpu, cuda or cuda:N (default: auto)", SM_COMMON_DEVICE },
    { 0, "precision", SM_OPT_CHOICE, COMMON(precision), "auto|f32|bf16|int8", "arithmetic of the networks (default: auto)", SM_COMMON_DEVICE },
    { 0, "seed", SM_OPT_INT, COMMON(seed), "0..", "start of what is random (default: 0)", SM_COMMON_SEED },
    { 0, "overwrite", SM_OPT_CHOICE, COMMON(overwrite), "ask|skip|yes", "what to do with files that exist (default: ask)", SM_COMMON_OVERWRITE },
    { 0, "library", SM_OPT_PATH, COMMON(library), "DIR", "the library to use", SM_COMMON_LIBRARY },
    { 0, "progress", SM_OPT_CHOICE, COMMON(progress), "auto|none|json", "on standard error (default: auto, a line on a terminal)", SM_COMMON_PROGRESS },
    { 'q', "quiet", SM_OPT_FLAG, COMMON(quiet), NULL, "no progress and no warnings", 0 },
    { 'v', "verbose", SM_OPT_COUNT, COMMON(verbose), NULL, "say more; twice: even more", 0 },
    { 'h', "help", SM_OPT_FLAG, COMMON(help), NULL, "explain this command", 0 },
    { 0 }
};
/* clang-format on */

static const sm_option no_options[] = { { 0 } };

bool sm_option_takes_value(const sm_option *o)
{
    return o->type != SM_OPT_FLAG && o->type != SM_OPT_COUNT && o->type != SM_OPT_SET;
}

static const sm_option *own_options(const sm_command *c)
{
    return c->options ? c->options : no_options;
}

static const sm_option *find_named(const sm_option *table, const char *name, size_t length)
{
    for (; table->name; table++)
        if (strlen(table->name) == length && memcmp(table->name, name, length) == 0)
            return table;
    return NULL;
}

const sm_option *sm_command_common(const sm_command *c, size_t *at)
{
    for (;;) {
        const sm_option *o = &sm_common_options[*at];
        if (!o->name)
            return NULL;
        ++*at;
        if ((o->common == 0 || (c->common & o->common)) && !find_named(own_options(c), o->name, strlen(o->name)))
            return o;
    }
}

/* ---- one parse ---- */

typedef struct {
    const sm_command *command;
    char *args;
    sm_common *common;
    bool given[2][64]; /* on the command line, [own, common][row]: a list from the environment is then replaced */
} parse;

static bool matches(const sm_option *o, const char *name, size_t length, char letter)
{
    return name ? strlen(o->name) == length && memcmp(o->name, name, length) == 0 : o->letter == letter;
}

/* By name, or by letter where name is NULL; own options hide common ones. */
static const sm_option *find_option(const parse *p, const char *name, size_t length, char letter)
{
    const sm_option *o;
    size_t at = 0;

    for (o = own_options(p->command); o->name; o++)
        if (matches(o, name, length, letter))
            return o;
    while ((o = sm_command_common(p->command, &at)) != NULL)
        if (matches(o, name, length, letter))
            return o;
    return NULL;
}

static bool is_common(const sm_option *o)
{
    return find_named(sm_common_options, o->name, strlen(o->name)) == o;
}

static void *field_of(const parse *p, const sm_option *o)
{
    return (is_common(o) ? (char *)p->common : p->args) + o->offset;
}

/* "LOW..HIGH", "LOW..": the range that a number must be in. Anything else: no range. */
static bool in_range(const char *values, double value)
{
    const char *dots = values ? strstr(values, "..") : NULL;
    double low, high;
    char text[32] = "";

    if (!dots || (size_t)(dots - values) >= sizeof text)
        return true;
    memcpy(text, values, (size_t)(dots - values));
    if (!sm_parse_double(text, &low))
        return true;
    return value >= low && (!sm_parse_double(dots + 2, &high) || value <= high);
}

/* Splits "a|b|c" (or "a,b,c") into a list of copies. */
static int split(const char *text, char separator, sm_strings *out)
{
    int err = 0;

    while (err == 0 && *text) {
        const char *end = strchrnul(text, separator);
        if (end > text)
            err = sm_strings_add_n(out, text, (size_t)(end - text));
        text = *end ? end + 1 : end;
    }
    return err;
}

static int store_choice(const sm_option *o, const char *label, const char *value, const char **field)
{
    sm_strings choices = { 0 };
    int err = split(o->values, '|', &choices);

    for (size_t i = 0; err == 0 && i < choices.length; i++)
        if (strcmp(choices.items[i], value) == 0) {
            *field = value;
            goto out;
        }
    if (err == 0) {
        const char *near = sm_text_nearest(value, (const char *const *)choices.items, choices.length);
        err = sm_fail(SM_EUSAGE, "%s: \"%s\" is not one of %s%s%s%s", label, value, o->values,
                      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }

out:
    sm_strings_free(&choices);
    return err;
}

static int store_int(const sm_option *o, const char *label, const char *value, int64_t *field)
{
    if (!sm_parse_int(value, field))
        return sm_fail(SM_EUSAGE, "%s: \"%s\" is not a whole number", label, value);
    if (!in_range(o->values, (double)*field))
        return sm_fail(SM_EUSAGE, "%s: %s is not in %s", label, value, o->values);
    return 0;
}

static int store_number(const sm_option *o, const char *label, const char *value, double *field)
{
    if (!sm_parse_double(value, field))
        return sm_fail(SM_EUSAGE, "%s: \"%s\" is not a number", label, value);
    if (!in_range(o->values, *field))
        return sm_fail(SM_EUSAGE, "%s: %s is not in %s", label, value, o->values);
    return 0;
}

/* Stores one occurrence. `value` lives as long as the parse's results; NULL for options that take none. */
static int store(const parse *p, const sm_option *o, const char *label, const char *value)
{
    void *field = field_of(p, o);

    switch (o->type) {
    case SM_OPT_FLAG:
        *(bool *)field = true;
        return 0;
    case SM_OPT_COUNT:
        ++*(int *)field;
        return 0;
    case SM_OPT_SET:
        *(const char **)field = o->values;
        return 0;
    case SM_OPT_STRING:
    case SM_OPT_PATH:
        *(const char **)field = value;
        return 0;
    case SM_OPT_CHOICE:
        return store_choice(o, label, value, field);
    case SM_OPT_INT:
        return store_int(o, label, value, field);
    case SM_OPT_NUMBER:
        return store_number(o, label, value, field);
    case SM_OPT_LIST:
        return split(value, ',', field);
    }
    return sm_fail(SM_EINTERNAL, "%s: an option of unknown type", label);
}

/* The first time that the command line gives a list, what the environment said is forgotten. */
static void forget_environment(parse *p, const sm_option *o)
{
    const bool common = is_common(o);
    const size_t row = (size_t)(o - (common ? sm_common_options : own_options(p->command)));

    if (row >= SM_LENGTH(p->given[0]) || p->given[common][row])
        return;
    p->given[common][row] = true;
    if (o->type == SM_OPT_LIST)
        sm_strings_free(field_of(p, o));
    else if (o->type == SM_OPT_COUNT)
        *(int *)field_of(p, o) = 0;
}

/* ---- the environment ---- */

static int read_variable(const parse *p, const sm_option *o)
{
    char name[80] = "SAMPLEMIND_";
    size_t at = strlen(name);
    const char *value;

    for (const char *c = o->name; *c && at + 1 < sizeof name; c++)
        name[at++] = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
    value = getenv(name);
    if (!value || !value[0] || strcmp(o->name, "help") == 0)
        return 0;
    if (sm_option_takes_value(o))
        return store(p, o, name, value);
    if (strcmp(value, "0") == 0)
        return 0;
    if (strcmp(value, "1") != 0)
        return sm_fail(SM_EUSAGE, "%s: \"%s\" is neither 1 nor 0", name, value);
    return store(p, o, name, NULL);
}

static int read_environment(const parse *p)
{
    const sm_option *o;
    size_t at = 0;
    int err = 0;

    while (err == 0 && (o = sm_command_common(p->command, &at)) != NULL)
        err = read_variable(p, o);
    for (o = own_options(p->command); err == 0 && o->name; o++)
        err = read_variable(p, o);
    return err;
}

/* ---- the command line ---- */

static int unknown_option(const parse *p, const char *text, size_t length)
{
    const char *names[256];
    const sm_option *o;
    const char *near = NULL;
    size_t n = 0, at = 0;
    char word[80];

    for (o = own_options(p->command); o->name && n < SM_LENGTH(names); o++)
        names[n++] = o->name;
    while (n < SM_LENGTH(names) && (o = sm_command_common(p->command, &at)) != NULL)
        names[n++] = o->name;
    snprintf(word, sizeof word, "%.*s", (int)SM_MIN(length, sizeof word - 1), text);
    if (text[0] == '-' && text[1] == '-')
        near = sm_text_nearest(word + 2, names, n);
    return sm_fail(SM_EUSAGE, "no such option: %s%s%s%s", word, near ? "; did you mean --" : "", near ? near : "",
                   near ? "?" : "");
}

/* "--name", "--name=value". *i is moved past a value that stands apart. */
static int read_long(parse *p, int argc, char *const *argv, int *i)
{
    const char *text = argv[*i] + 2, *equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : strlen(text);
    const sm_option *o = find_option(p, text, length, 0);
    const char *value = equals ? equals + 1 : NULL;
    char label[80];

    if (!o)
        return unknown_option(p, argv[*i], length + 2);
    snprintf(label, sizeof label, "--%s", o->name);
    if (!sm_option_takes_value(o) && equals)
        return sm_fail(SM_EUSAGE, "%s takes no value", label);
    if (sm_option_takes_value(o) && !value) {
        if (*i + 1 >= argc)
            return sm_fail(SM_EUSAGE, "%s needs a value: %s", label, o->values ? o->values : "VALUE");
        value = argv[++*i];
    }
    forget_environment(p, o);
    return store(p, o, label, value);
}

/* "-a", "-abc", "-j4", "-j 4". */
static int read_letters(parse *p, int argc, char *const *argv, int *i)
{
    int err = 0;

    for (const char *c = argv[*i] + 1; err == 0 && *c; c++) {
        const sm_option *o = find_option(p, NULL, 0, *c);
        const char label[] = { '-', *c, 0 };
        const char *value = NULL;

        if (!o)
            return unknown_option(p, label, 2);
        if (sm_option_takes_value(o)) {
            value = c[1] ? c + 1 : *i + 1 < argc ? argv[++*i] : NULL;
            if (!value)
                return sm_fail(SM_EUSAGE, "%s needs a value: %s", label, o->values ? o->values : "VALUE");
        }
        forget_environment(p, o);
        err = store(p, o, label, value);
        if (value)
            break;
    }
    return err;
}

static const sm_common common_defaults = {
    .threads = 1,
    .device = "auto",
    .precision = "auto",
    .progress = "auto",
    .key_notation = "musical",
    .overwrite = "ask",
};

int sm_options_parse(const sm_command *c, int argc, char *const *argv, void *args, sm_common *common, char **operands,
                     size_t *n_operands)
{
    parse p = { .command = c, .args = args, .common = common };
    bool options_end = false;
    int err = 0;

    *n_operands = 0;
    *common = common_defaults;
    if (c->args_size && c->defaults)
        memcpy(args, c->defaults, c->args_size);
    else if (c->args_size)
        memset(args, 0, c->args_size);
    err = read_environment(&p);
    for (int i = 0; err == 0 && i < argc; i++) {
        if (options_end || argv[i][0] != '-' || argv[i][1] == 0)
            operands[(*n_operands)++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            options_end = true;
        else if (argv[i][1] == '-')
            err = read_long(&p, argc, argv, &i);
        else
            err = read_letters(&p, argc, argv, &i);
    }
    return err;
}

static void free_lists(const sm_option *o, char *fields)
{
    for (; o->name; o++)
        if (o->type == SM_OPT_LIST)
            sm_strings_free((sm_strings *)(void *)(fields + o->offset));
}

void sm_options_free(const sm_command *c, void *args, sm_common *common)
{
    if (args)
        free_lists(own_options(c), args);
    free_lists(sm_common_options, (char *)common);
}
