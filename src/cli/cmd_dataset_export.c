/* dataset export: the dataset handed on. */
#include <string.h>

#include "cli/cmd_dataset.h"

typedef struct {
    const char *dataset, *files;
    bool attribution;
    dataset_choice choice;
} export_args;

static const sm_option export_options[] = { DATASET_OPTION(export_args),
                                            { 0, "files", SM_OPT_CHOICE, offsetof(export_args, files),
                                              "copy|link|hardlink", "how a folder gets its files (default: copy)", 0 },
                                            { 0, "attribution", SM_OPT_FLAG, offsetof(export_args, attribution), NULL,
                                              "print who is to be named, and nothing else", 0 },
                                            DATASET_CHOICE_OPTIONS(export_args),
                                            { 0 } };

static int print_attribution(sm_cli *cli, sm_dataset *d, const sm_dataset_filter *f)
{
    sm_buffer text = { 0 };
    const int err = sm_dataset_attribution(d, f, &text);
    if (err == 0 && text.data)
        fputs(text.data, cli->out);
    sm_buffer_free(&text);
    return err;
}

static int export_to(sm_cli *cli, const export_args *a, sm_dataset *d, const sm_dataset_filter *f)
{
    const char *to = cli->common.out;
    const sm_dataset_export_kind kind = !strcmp(a->files, "copy")   ? SM_DATASET_COPY
                                        : !strcmp(a->files, "link") ? SM_DATASET_LINK
                                                                    : SM_DATASET_HARDLINK;
    dataset_working w;
    int64_t n = 0;
    if (!strcmp(to, "-"))
        return sm_dataset_export_csv(d, f, "/dev/stdout", &n);
    const bool table = sm_text_has_suffix(to, ".csv");
    int err = dataset_work_begin(cli, "export", &w);
    if (err == 0)
        err = table ? sm_dataset_export_csv(d, f, to, &n) : sm_dataset_export_folder(d, f, to, kind, &w.work, &n);
    dataset_work_end(&w);
    if (err < 0)
        return err;
    const dataset_figure figures[] = { { table ? "rows" : "files", table ? "rows" : "files", n, true },
                                       { "missing", "that are not there any more", w.problems, false } };
    err = dataset_print_figures(cli, to, figures, SM_LENGTH(figures));
    return err < 0 ? err : sm_exit_of_batch((size_t)n, (size_t)w.problems);
}

static int export_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const export_args *a = args;
    const sm_dataset_filter f = dataset_filter(&a->choice);
    sm_dataset *d = NULL;
    (void)operands, (void)n;
    if (!a->attribution && !cli->common.out)
        return sm_cli_usage(cli, "export needs -o TABLE.csv or -o FOLDER");
    int err = dataset_open(a->dataset, SM_DATASET_READ, &d);
    if (err == 0)
        err = a->attribution ? print_attribution(cli, d, &f) : export_to(cli, a, d, &f);
    sm_dataset_close(d);
    return err;
}

const sm_command sm_cmd_dataset_export = {
    .name = "export",
    .summary = "write a table of labels, or a folder with one folder a class",
    .description =
        "-o TABLE.csv writes a table that \"dataset import\" reads back; -o FOLDER writes "
        "FOLDER/CLASS/NAME, FOLDER/labels.csv and\nFOLDER/ATTRIBUTION.txt with everybody who is to be named.",
    .options = export_options,
    .common = SM_COMMON_OUT | SM_COMMON_FORMAT | SM_COMMON_PROGRESS,
    .args_size = sizeof(export_args),
    .defaults = &(const export_args){ .files = "copy" },
    .examples = (const sm_example[]){ { "samplemind dataset export -o labels.csv", "all of it" },
                                      { "samplemind dataset export -o free --licences \"-*GPL*\" --files link",
                                        "a tree of links without what is under the GPL" },
                                      { 0 } },
    .run = export_run,
};
