/* dataset: sounds to learn from. This file: the list of its subcommands, and what they share. */
#include <inttypes.h>
#include <string.h>

#include "cli/cmd_dataset.h"

int dataset_open(const char *path, sm_dataset_mode mode, sm_dataset **out)
{
    char *own = path ? NULL : sm_dataset_default_path();
    const int err = path || own ? sm_dataset_open(path ? path : own, mode, out)
                                : sm_fail(SM_ENOTFOUND, "no home folder is known; name the dataset with --dataset");
    sm_free(own);
    return err;
}

sm_dataset_filter dataset_filter(const dataset_choice *c)
{
    return (sm_dataset_filter){ .split = c->split,
                                .labels = c->labels,
                                .licences = c->licences,
                                .sources = c->sources,
                                .families = c->families,
                                .paths = c->paths,
                                .label_from = c->from,
                                .labelled = (int)c->labelled - (int)c->unlabelled,
                                .verified = (int)c->verified - (int)c->unverified,
                                .rejected = c->rejected,
                                .without_twins = c->no_twins,
                                .confidence_at_most = c->confidence_at_most };
}

static int on_progress(void *user, const sm_progress_info *p)
{
    dataset_working *w = user;
    if (p->total > 0)
        sm_progress_set_total(w->bar, p->total);
    sm_progress_set(w->bar, p->done);
    return sm_cancelled();
}

static void on_problem(void *user, const char *path, const char *reason)
{
    enum { TOLD = 20 };
    dataset_working *w = user;
    w->problems++;
    if (w->problems > TOLD && w->cli->common.verbose == 0)
        return;
    sm_progress_clear(w->bar);
    sm_cli_error(w->cli, "%s: %s", path, reason);
    if (w->problems == TOLD && w->cli->common.verbose == 0)
        sm_cli_error(w->cli,
                     "more of these are only counted; -v names them all, and so does \"dataset stats --broken\"");
}

int dataset_work_begin(sm_cli *cli, const char *what, dataset_working *w)
{
    *w = (dataset_working){ .cli = cli };
    w->work =
        (sm_dataset_work){ .jobs = (int)cli->common.jobs, .progress = on_progress, .problem = on_problem, .user = w };
    sm_cancel_install();
    return sm_progress_new(cli, what, 0, "files", &w->bar);
}

void dataset_work_end(dataset_working *w)
{
    sm_progress_free(w->bar);
    w->bar = NULL;
}

int dataset_print_json(sm_cli *cli, sm_buffer *text)
{
    const int err = text->failed ? sm_fail(SM_ENOMEM, "no memory for the result") : 0;
    if (err == 0)
        fprintf(cli->out, "%s\n", text->data);
    sm_buffer_free(text);
    return err;
}

int dataset_print_figures(sm_cli *cli, const char *what, const dataset_figure *f, size_t n)
{
    sm_buffer text = { 0 };
    sm_json j;
    bool first = true;
    if (!strcmp(cli->common.format, "table")) {
        fprintf(cli->out, "%s:", what);
        for (size_t i = 0; i < n; i++)
            if (f[i].value || f[i].always) {
                fprintf(cli->out, "%s %" PRId64 " %s", first ? "" : ",", f[i].value, f[i].text);
                first = false;
            }
        fputs(first ? " nothing\n" : "\n", cli->out);
        return 0;
    }
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    for (size_t i = 0; i < n; i++) {
        sm_json_key(&j, f[i].name);
        sm_json_int(&j, f[i].value);
    }
    sm_json_end_object(&j);
    return dataset_print_json(cli, &text);
}

#define SM_COMMAND(name) extern const sm_command sm_cmd_dataset_##name;
#include "cli/dataset_commands.def"
#undef SM_COMMAND

static const sm_command *const dataset_commands[] = {
#define SM_COMMAND(name) &sm_cmd_dataset_##name,
#include "cli/dataset_commands.def"
#undef SM_COMMAND
    NULL
};

const sm_command sm_cmd_dataset = {
    .name = "dataset",
    .summary = "gather, label, clean, split and export sounds to learn from",
    .description =
        "A dataset is one SQLite file that remembers which sounds there are, what they are, where they come from and "
        "under which\nlicence; the sounds stay where they lie. Every subcommand can be stopped at any time and goes on "
        "where it was.",
    .examples =
        (const sm_example[]){
            { "samplemind dataset import ~/Samples/Packs", "labels from folder and file names" },
            { "samplemind dataset autolabel && samplemind dataset verify",
              "let models propose, then look at what is doubtful" },
            { "samplemind dataset dupes && samplemind dataset split", "tie near twins together, then split by family" },
            { 0 } },
    .subcommands = dataset_commands,
};
