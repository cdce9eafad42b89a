/* The command line: what a command is, and what the frame around it offers.
 *
 * A command is one file, src/cli/cmd_NAME.c, and one row in commands.def. Parser, --help, completion and man page read its
 * tables. Options land in a struct of the command, so that commands can run twice in one process (tests do).
 *
 *     typedef struct { const char *level; double least; bool plan; } dupes_args;
 *     static const sm_option dupes_options[] = {
 *         { 'l', "level", SM_OPT_CHOICE, offsetof(dupes_args, level), "bytes|audio|sound", "how alike (default: audio)" },
 *         { 0, "least", SM_OPT_NUMBER, offsetof(dupes_args, least), "0..1", "smallest similarity that counts (default: 0.98)" },
 *         { 0, "plan", SM_OPT_FLAG, offsetof(dupes_args, plan), NULL, "print what would be removed; change nothing" },
 *         { 0 }
 *     };
 *     const sm_command sm_cmd_dupes = { .name = "dupes", .summary = "find files that are the same", .operands = "[FILE|DIR]...",
 *         .options = dupes_options, .common = SM_COMMON_FORMAT | SM_COMMON_JOBS, .args_size = sizeof(dupes_args),
 *         .defaults = &(const dupes_args){ .level = "audio", .least = 0.98 }, .run = dupes_run }; */
#ifndef SM_COMMAND_H
#define SM_COMMAND_H

#include "base/base.h"

/* ---- options ----
 * Forms: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -abc for flags. They may stand anywhere; "--" ends them. The
 * environment gives defaults: SAMPLEMIND_NAME, with "_" for "-" (flags: 1 or 0). */
typedef enum {
    SM_OPT_FLAG,   /* bool: true when given */
    SM_OPT_COUNT,  /* int: one more each time */
    SM_OPT_INT,    /* int64_t; values "LOW..HIGH", "LOW.." or a word for the help */
    SM_OPT_NUMBER, /* double; likewise */
    SM_OPT_STRING, /* const char *; values: a word for the help ("NAME") */
    SM_OPT_CHOICE, /* const char *, one of values "a|b|c" */
    SM_OPT_PATH,   /* const char *; completed as a file */
    SM_OPT_LIST,   /* sm_strings: comma-separated, repeatable; freed after run. Defaults: empty */
    SM_OPT_SET,    /* const char *: the option takes no value and stores `values`; --json and --csv of one field */
} sm_option_type;

typedef struct {
    char letter;      /* 0: none */
    const char *name; /* without dashes; NULL ends a table */
    sm_option_type type;
    size_t offset; /* in the command's args */
    const char *values;
    const char *help; /* one line */
    unsigned common;  /* in the table of common options: its SM_COMMON_ bit */
} sm_option;

/* Options that mean the same everywhere; a command names the groups that it honours. An own option of a command hides a
 * common one of the same name or letter. -q, -v and --help are always there. */
enum {
    SM_COMMON_OUT = 1 << 0,        /* -o --out */
    SM_COMMON_JOBS = 1 << 1,       /* -j --jobs */
    SM_COMMON_THREADS = 1 << 2,    /* --threads */
    SM_COMMON_DEVICE = 1 << 3,     /* -d --device, --precision */
    SM_COMMON_SEED = 1 << 4,       /* --seed */
    SM_COMMON_FORMAT = 1 << 5,     /* --json --jsonl --csv --table */
    SM_COMMON_PROGRESS = 1 << 6,   /* --progress */
    SM_COMMON_FIELDS = 1 << 7,     /* --fields */
    SM_COMMON_KEYS = 1 << 8,       /* --key-notation */
    SM_COMMON_MODELS = 1 << 9,     /* --models, --no-models */
    SM_COMMON_OVERWRITE = 1 << 10, /* --overwrite */
    SM_COMMON_LIBRARY = 1 << 11,   /* --library */
    SM_COMMON_INT8 = 1 << 12,      /* --precision int8 is meant: no option of its own */
};

typedef struct {
    const char *out;       /* NULL: not given; "-": standard output */
    int64_t jobs;          /* files at once; 0: all cores. Default 0 */
    int64_t threads;       /* inside one network. Default 1 */
    const char *device;    /* "auto", "cpu", "cuda", "cuda:N" */
    const char *precision; /* "auto", "f32", "bf16", "int8" */
    int64_t seed;
    const char *format;   /* "json", "jsonl", "csv", "table"; never NULL in run: the default for a terminal or a pipe */
    const char *progress; /* "auto", "none", "json" */
    const char *key_notation; /* "musical", "camelot", "openkey" */
    const char *overwrite;    /* "ask", "skip", "yes" */
    const char *library;      /* NULL: not given */
    sm_strings fields, models;
    bool no_models, quiet, help;
    int verbose;
} sm_common;

/* ---- commands ---- */
typedef struct {
    const char *line; /* "samplemind dupes ~/Samples --plan" */
    const char *does; /* one line */
} sm_example;

typedef struct sm_cli sm_cli;
typedef struct sm_command sm_command;
struct sm_command {
    const char *name;
    const char *summary;      /* one line, lower case, no full stop */
    const char *description;  /* paragraphs for --help and the man page; may be NULL */
    const char *operands;     /* what follows the options: "FILE|DIR..."; NULL: takes none */
    size_t least_operands;    /* fewer are a usage error; of paths: counted after lists are read */
    size_t most_operands;     /* 0: any number, if operands is set */
    bool paths;               /* operands are paths: @LIST and - are read (see sm_cli_expand) */
    bool hidden;              /* from help, completion and man page */
    const sm_option *options; /* ends with { 0 }; may be NULL */
    unsigned common;
    const sm_example *examples; /* ends with { 0 }; may be NULL */
    size_t args_size;
    const void *defaults;                 /* args_size bytes; NULL: zeros */
    const sm_command *const *subcommands; /* ends with NULL; then run is NULL: `models pull` */
    /* 0; a negative SM_E code: the frame prints sm_last_error() and takes the exit code from its table; or a positive
     * exit code: what there was to say has been said. */
    int (*run)(sm_cli *cli, const void *args, char *const *operands, size_t n_operands);
};

/* The list of all commands, sorted by name, NULL at its end (commands.c). */
extern const sm_command *const sm_commands[];
const sm_command *sm_command_find(const sm_command *const *commands, const char *name); /* NULL: no such */
/* "samplemind models" and "pull": "samplemind models pull". before may be "". */
enum { SM_LABEL_SIZE = 128 };
void sm_command_label(const char *before, const char *name, char out[SM_LABEL_SIZE]);

/* ---- what a command may use while it runs ---- */
struct sm_cli {
    FILE *out, *err; /* standard output: results only; standard error: everything else */
    bool out_is_terminal, err_is_terminal;
    sm_common common;
    const sm_command *command;
    const char *label; /* "samplemind models pull", for messages */
    int out_errno;     /* why writing to out failed, once it has; see sm_cli_flush */
};

/* Exit codes of the program; everything that leaves it is one of these. */
enum {
    SM_EXIT_FAILED = 1,
    SM_EXIT_USAGE = 2,
    SM_EXIT_SOME_FAILED = 3,
    SM_EXIT_NO_MODEL = 4,
    SM_EXIT_INTERRUPTED = 130
};
int sm_exit_code(int err); /* of an SM_E code; 0 for 0 */
/* Of a batch: 0; SM_EXIT_FAILED: none was done; SM_EXIT_SOME_FAILED. */
int sm_exit_of_batch(size_t done, size_t failed);

/* Runs the program: finds the command, parses, runs, prints errors. argv[0] is the program. Returns the exit code. */
int sm_cli_main(int argc, char *const *argv, FILE *out, FILE *err);

/* "samplemind: " and a line on standard error; warn is silent with --quiet. */
void sm_cli_error(const sm_cli *cli, const char *format, ...) SM_PRINTF(2, 3);
void sm_cli_warn(const sm_cli *cli, const char *format, ...) SM_PRINTF(2, 3);
/* SM_EUSAGE, with the message ended by where help is to be had. */
int sm_cli_usage(const sm_cli *cli, const char *format, ...) SM_PRINTF(2, 3);
/* Sends on what was printed so far. SM_EIO when that, or any print before, failed: there is no sense in going on. */
int sm_cli_flush(sm_cli *cli);

/* Ctrl-C (cancel.c): the first sets a flag that long work asks for, the second ends the program. */
void sm_cancel_install(void);
bool sm_cancelled(void); /* pass it on from the engine's progress callback */
void sm_cancel_reset(void);

/* Operands as paths (paths.c): "@LIST" is replaced by the lines of LIST, "-" by those of standard input (lines, or records
 * ended by zero bytes). Adds to *out. A file whose name begins with @ is written ./@name. */
int sm_cli_expand(char *const *operands, size_t n, sm_strings *out);
/* Which sounds a command works on (sounds.c): the files that are named and all below folders; with a query, of these (none
 * named: of the whole library) those that it finds, the best first. What cannot be walked is printed and counted. */
int sm_cli_sounds(sm_cli *cli, char *const *operands, size_t n, const char *where, sm_strings *files, size_t *problems);
/* Does one thing to each; what fails is printed and counted with the problems there were before. The batch's exit code;
 * SM_ECANCELLED, SM_ENOMEM at once. */
typedef int (*sm_cli_each_fn)(void *user, sm_cli *cli, const char *path);
int sm_cli_each(sm_cli *cli, const sm_strings *files, size_t problems, sm_cli_each_fn each, void *user);
#define SM_OPTION_WHERE(args)                                                                                          \
    {                                                                                                                  \
        'w', "where", SM_OPT_STRING, offsetof(args, where), "QUERY",                                                   \
            "what this query finds in the library (of FILE and DIR, where they are given)", 0                          \
    }
/* The library, to be asked: for writing, so that what was changed since the last scan is indexed; where it may only be read, as it is. */
struct sm_library;
int sm_cli_open_library(const sm_cli *cli, struct sm_library **out);
/* One change of the library for each sound, and what `samplemind collection` and `favourite` say of it. change: SM_E code. */
typedef int (*sm_cli_change_fn)(void *user, struct sm_library *l, const char *path);
int sm_cli_change(sm_cli *cli, const sm_strings *files, size_t problems, sm_cli_change_fn change, void *user,
                  const char *done);
/* One cell of a CSV (RFC 4180: quoted where it must be). */
void sm_cli_csv(FILE *out, const char *text);
/* Text made of JSON to the output, and freed; SM_ENOMEM where it failed. */
int sm_cli_put(sm_cli *cli, sm_buffer *text);

/* After opening a model that was asked for: SM_ENOTFOUND is told and becomes SM_EXIT_NO_MODEL; other codes stay as they are. */
int sm_cli_no_model(const sm_cli *cli, int err);
/* A table of text (table.c). Columns are as wide as their widest cell in terminal cells, numbers to the right. */
typedef struct sm_table sm_table;
int sm_table_new(const char *const *headings, size_t columns, sm_table **out);
void sm_table_free(sm_table *t);
/* One cell after the other, row by row; NULL is shown as "-". A failure is kept until print. */
void sm_table_text(sm_table *t, const char *text);
void sm_table_number(sm_table *t, double value, int decimals); /* not finite: "-" */
int sm_table_print(const sm_table *t, FILE *out);
size_t sm_text_columns(const char *text); /* terminal cells of a UTF-8 text */

/* Progress on standard error (progress.c): a line on a terminal, JSON events, or nothing. Thread-safe. NULL is accepted
 * everywhere and does nothing. `total` and `done` are in `unit`s ("files", "B", "s of audio"); total 0: not known. */
typedef struct sm_progress sm_progress;
int sm_progress_new(const sm_cli *cli, const char *what, double total, const char *unit, sm_progress **out);
void sm_progress_start(sm_progress *p, const char *path, double total_s); /* event of one file */
void sm_progress_file(sm_progress *p, const char *path, double done_s, double total_s);
void sm_progress_finish(sm_progress *p, const char *path, const char *failed); /* failed NULL: done */
void sm_progress_set(sm_progress *p, double done);                             /* of the whole */
void sm_progress_set_total(sm_progress *p, double total);
void sm_progress_clear(sm_progress *p); /* takes the line away, so that something else can be printed */
void sm_progress_free(sm_progress *p);  /* likewise */

/* ---- inside the frame (options.c, help.c, complete.c): used by main and by tests ---- */
extern const sm_option sm_common_options[]; /* into sm_common; ends with { 0 } */
bool sm_option_takes_value(const sm_option *o);
/* The common options that a command honours and does not hide, one after the other; *at starts at 0. NULL: no more. */
const sm_option *sm_command_common(const sm_command *c, size_t *at);
/* Reads defaults, environment and argv[0..argc-1] (after the command's name). Operands are borrowed from argv; *operands
 * must have room for argc. args has c->args_size bytes, zeroed or not. SM_EUSAGE: message names the option and the nearest. */
int sm_options_parse(const sm_command *c, int argc, char *const *argv, void *args, sm_common *common, char **operands,
                     size_t *n_operands);
void sm_options_free(const sm_command *c, void *args, sm_common *common);
void sm_help_program(FILE *out);
void sm_help_command(const sm_command *c, const char *label, FILE *out);
void sm_help_man(FILE *out);
int sm_complete_script(const char *shell, FILE *out); /* "bash", "zsh", "fish" */

#endif
