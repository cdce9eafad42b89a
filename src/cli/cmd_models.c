/* models: which networks are here, and how they come, go, and are looked at. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "engine/engine.h"
#include "models/separation.h"

/* ---- list ---- */

static void list_json(sm_json *j, const sm_model *m, const sm_installed *i, bool installed)
{
    sm_json_begin_object(j);
    sm_json_key(j, "name");
    sm_json_string(j, m->name);
    sm_json_key(j, "task");
    sm_json_string(j, sm_task_name(m->task));
    sm_json_key(j, "installed");
    sm_json_bool(j, installed);
    sm_json_key(j, "file");
    sm_json_string(j, i->path);
    sm_json_key(j, "bytes");
    if (installed)
        sm_json_int(j, i->bytes);
    else
        sm_json_null(j);
    sm_json_key(j, "needs");
    sm_json_string(j, m->needs.backbone);
    sm_json_key(j, "licence");
    sm_json_string(j, m->licence);
    sm_json_key(j, "summary");
    sm_json_string(j, m->summary);
    sm_json_end_object(j);
}

static int models_list_run(sm_cli *cli, const void *args, char *const *operands, size_t n_operands)
{
    static const char *const headings[] = { "model", "task", "installed", "licence", "what it does" };
    size_t n = 0;
    const sm_model *const *all = sm_models(&n);
    const bool table = !strcmp(cli->common.format, "table");
    sm_table *t = NULL;
    sm_buffer text = { 0 };
    sm_json j;
    int err = table ? sm_table_new(headings, SM_LENGTH(headings), &t) : 0;
    (void)args, (void)operands, (void)n_operands;
    sm_json_init(&j, &text, false);
    if (err == 0 && !table)
        sm_json_begin_array(&j);
    for (size_t k = 0; k < n && err == 0; k++) {
        sm_installed i = { 0 };
        const int missing = sm_installed_read(NULL, all[k], &i);
        if (table) {
            char size[32], licence[40];
            snprintf(size, sizeof size, "%.1f MB", (double)i.bytes / 1e6);
            /* its short name: the whole is in info */
            snprintf(licence, sizeof licence, "%.*s", (int)strcspn(all[k]->licence, ":(,"), all[k]->licence);
            sm_table_text(t, all[k]->name);
            sm_table_text(t, sm_task_name(all[k]->task));
            sm_table_text(t, missing == 0 ? size : missing == SM_ENOTFOUND ? "no" : "damaged");
            sm_table_text(t, licence);
            sm_table_text(t, all[k]->summary);
        } else {
            list_json(&j, all[k], &i, missing == 0);
        }
        sm_installed_free(&i);
    }
    if (err == 0 && table) {
        err = sm_table_print(t, cli->out);
    } else if (err == 0) {
        sm_json_end_array(&j);
        err = text.failed ? SM_ENOMEM : 0;
        fprintf(cli->out, "%s\n", text.data);
    }
    sm_buffer_free(&text);
    sm_table_free(t);
    return err;
}

static const sm_command cmd_list = {
    .name = "list",
    .summary = "show all models and which are installed",
    .common = SM_COMMON_FORMAT,
    .run = models_list_run,
};

/* ---- info ---- */

static void print_tensors(sm_cli *cli, sm_weights *w)
{
    int64_t values = 0;
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        nn_tensor t;
        char shape[96];
        if (sm_weights_at(w, i, &t) < 0) {
            fprintf(cli->out, "  %s: %s\n", sm_weights_name(w, i), sm_last_error());
            continue;
        }
        values += nn_elements(&t.shape);
        if (cli->common.verbose > 0)
            fprintf(cli->out, "  %-4s %-20s %s\n", nn_type_name(t.type), nn_shape_text(&t.shape, shape),
                    sm_weights_name(w, i));
    }
    fprintf(cli->out, "tensors    %zu with %" PRId64 " values%s\n", sm_weights_count(w), values,
            cli->common.verbose > 0 ? "" : " (-v lists them)");
}

static void print_graph(sm_cli *cli, const sm_weights *w)
{
    const sm_foreign_graph *g = sm_weights_graph(w);
    char shape[96];
    if (!g)
        return;
    fprintf(cli->out, "graph      %s with %zu nodes\n", g->dialect, g->n_nodes);
    for (size_t i = 0; i < g->n_inputs; i++)
        fprintf(cli->out, "  input    %s %s %s\n", g->inputs[i].name, nn_type_name(g->inputs[i].type),
                nn_shape_text(&g->inputs[i].shape, shape));
    for (size_t i = 0; i < g->n_outputs; i++)
        fprintf(cli->out, "  output   %s\n", g->outputs[i].name);
}

static int info_of_file(sm_cli *cli, const char *path)
{
    sm_weights *w = NULL;
    sm_card *card = NULL;
    const sm_model *m = NULL;
    char variant[32] = "";
    int err = sm_model_open_file(path, &w, &card, &m, variant);
    const bool unknown = err == SM_ENOTFOUND && (err = sm_weights_open(path, &w)) == 0;
    if (err == 0) {
        fprintf(cli->out, "file       %s\nformat     %s\n", path, sm_weights_format(w));
        if (unknown)
            fputs("model      none that is known\n", cli->out);
        else
            fprintf(cli->out, "model      %s%s%s\ntask       %s\nlicence    %s\n", m->name,
                    *variant ? ", variant " : "", variant, sm_task_name(m->task), m->licence);
        print_tensors(cli, w);
        print_graph(cli, w);
    }
    sm_card_free(card);
    sm_weights_close(w);
    return err;
}

static int info_of_model(sm_cli *cli, const sm_model *m)
{
    sm_installed i = { 0 };
    const int missing = sm_installed_read(NULL, m, &i);
    FILE *out = cli->out;
    if (missing < 0 && missing != SM_ENOTFOUND)
        return missing;
    fprintf(out, "model      %s: %s\ntask       %s\nlicence    %s\n", m->name, m->summary, sm_task_name(m->task),
            m->licence);
    if (m->needs.backbone)
        fprintf(out, "hears      the embedding of %s\n", m->needs.backbone);
    else if (m->task == SM_TASK_STEMS)
        fprintf(out, "hears      stereo at %d Hz, chunks of %d samples every %d\n", m->needs.rate_hz, m->needs.patch,
                m->needs.hop);
    else
        fprintf(out, "hears      mono at %d Hz, %s, %d rows every %d\n", m->needs.rate_hz,
                m->needs.front_end ? m->needs.front_end : "samples", m->needs.patch, m->needs.hop);
    for (size_t k = 0; k < m->n_sources; k++)
        fprintf(out, "from       %s\n", m->sources[k].url);
    if (missing == 0)
        fprintf(out, "installed  %s (%.1f MB, from %s, SHA-256 %s)\n", i.path, (double)i.bytes / 1e6, i.source_format,
                i.source_sha256);
    else
        fprintf(out, "installed  no; get it with: samplemind models %s %s\n", m->n_sources ? "pull" : "import",
                m->n_sources ? m->name : "FILE");
    if (m->page)
        fprintf(out, "page       %s\n", m->page);
    sm_installed_free(&i);
    return 0;
}

static int models_info_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    (void)args;
    for (size_t i = 0; i < n; i++) {
        const sm_model *m = sm_model_find(operands[i]);
        const int err = m ? info_of_model(cli, m) : info_of_file(cli, operands[i]);
        if (err == SM_ENOTFOUND && !strchr(operands[i], '/') && !strchr(operands[i], '.'))
            return sm_model_named(operands[i], &m); /* meant a name: say which is near */
        if (err < 0)
            return err;
        if (i + 1 < n)
            fputc('\n', cli->out);
    }
    return 0;
}

static const sm_command cmd_info = {
    .name = "info",
    .summary = "say what a model or a weights file is",
    .operands = "NAME|FILE...",
    .least_operands = 1,
    .examples =
        (const sm_example[]){ { "samplemind models info yamnet", "what it hears, its licence, whether it is here" },
                              { "samplemind models info -v model.onnx", "tensors, inputs and outputs of a file" },
                              { 0 } },
    .run = models_info_run,
};

/* ---- import, pull, verify, remove: one after the other, failures told, the rest goes on ---- */

typedef struct {
    bool force;
} force_args;

static int batch(sm_cli *cli, const force_args *args, char *const *operands, size_t n,
                 int (*one)(sm_cli *cli, const force_args *args, const char *operand))
{
    size_t failed = 0;
    int code = 0;
    for (size_t i = 0; i < n; i++) {
        const int err = one(cli, args, operands[i]);
        if (err == SM_ECANCELLED)
            return err;
        if (err < 0) {
            sm_cli_error(cli, "%s", sm_last_error());
            failed++;
            code = err == SM_EUSAGE ? SM_EXIT_USAGE : code;
        }
    }
    return n == 1 && code ? code : sm_exit_of_batch(n - failed, failed);
}

/* The same for names of models, of which a bag ("htdemucs_ft") stands for all of its networks. */
static int batch_of_models(sm_cli *cli, const force_args *args, char *const *operands, size_t n,
                           int (*one)(sm_cli *cli, const force_args *args, const char *operand))
{
    sm_strings names = { 0 };
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        const sm_bag_model *bag = sm_model_find(operands[i]) ? NULL : sm_bag_find(operands[i]);
        for (size_t k = 0; k < (bag ? bag->n : 1) && err == 0; k++)
            err = sm_strings_add(&names, bag ? bag->networks[k] : operands[i]);
    }
    if (err == 0)
        err = batch(cli, args, names.items, names.length, one);
    sm_strings_free(&names);
    return err;
}

static int import_one(sm_cli *cli, const force_args *args, const char *path)
{
    const sm_model *m = NULL;
    sm_strings others = { 0 };
    const int err = sm_models_import(NULL, path, args->force, &m, &others);
    if (m)
        fprintf(cli->out, "%s: imported as %s (licence: %s)\n", path, m->name, m->licence);
    for (size_t i = 0; i < others.length; i++)
        fprintf(cli->out, "%s: imported %s, which it needs (licence: %s)\n", path, others.items[i],
                sm_model_find(others.items[i])->licence);
    sm_strings_free(&others);
    return err;
}

static int models_import_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    return batch(cli, args, operands, n, import_one);
}

static int bar_moves(void *user, const sm_progress_info *p)
{
    sm_progress *bar = user;
    if (p->total > 0)
        sm_progress_set_total(bar, p->total);
    sm_progress_set(bar, p->done);
    return sm_cancelled();
}

static int pull_one(sm_cli *cli, const force_args *args, const char *name)
{
    const sm_model *m = NULL;
    sm_progress *bar = NULL;
    int err = sm_model_named(name, &m);
    if (err == 0)
        err = sm_progress_new(cli, name, 0, "B", &bar);
    if (err == 0) {
        const sm_pull_options o = { .mirror = getenv("SAMPLEMIND_MIRROR"),
                                    .hf_token = getenv("HF_TOKEN"),
                                    .replace = args->force,
                                    .progress = bar_moves,
                                    .user = bar };
        err = sm_models_pull(NULL, m, &o);
    }
    sm_progress_free(bar);
    if (err == 0)
        fprintf(cli->out, "%s: installed (licence: %s)\n", m->name, m->licence);
    return err;
}

/* The names, and behind each what it needs besides and is not here. */
static int with_companions(sm_cli *cli, char *const *operands, size_t n, sm_strings *names)
{
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        const sm_model *m = sm_model_find(operands[i]), *needs[SM_COMPANIONS];
        const size_t n_needs = m ? sm_model_companions(m, needs, NULL) : 0;
        err = sm_strings_add(names, operands[i]);
        for (size_t k = 0; k < n_needs && err == 0; k++) {
            bool there = false;
            sm_free(sm_model_path(NULL, needs[k]->name, &there));
            for (size_t j = 0; j < n; j++)
                there |= !strcmp(operands[j], needs[k]->name);
            for (size_t j = 0; j < names->length; j++)
                there |= !strcmp(names->items[j], needs[k]->name);
            if (!there) {
                sm_cli_warn(cli, "%s also needs %s", m->name, needs[k]->name);
                err = sm_strings_add(names, needs[k]->name);
            }
        }
    }
    return err;
}

static int models_pull_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    sm_strings names = { 0 };
    sm_cancel_install();
    int err = with_companions(cli, operands, n, &names);
    if (err == 0)
        err = batch_of_models(cli, args, names.items, names.length, pull_one);
    sm_strings_free(&names);
    return err;
}

static int verify_one(sm_cli *cli, const force_args *args, const char *name)
{
    const sm_model *m = NULL;
    (void)args;
    int err = sm_model_named(name, &m);
    if (err == 0)
        err = sm_models_verify(NULL, m);
    if (err == 0)
        fprintf(cli->out, "%s: unchanged\n", m->name);
    return err;
}

/* Without names: all that are installed. */
static int models_verify_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    sm_strings names = { 0 };
    int err = 0;
    if (n == 0) {
        size_t n_all = 0;
        const sm_model *const *all = sm_models(&n_all);
        for (size_t i = 0; i < n_all && err == 0; i++) {
            sm_installed found = { 0 };
            if (sm_installed_read(NULL, all[i], &found) != SM_ENOTFOUND)
                err = sm_strings_add(&names, all[i]->name);
            sm_installed_free(&found);
        }
        operands = names.items;
        n = names.length;
    }
    if (err == 0 && (err = batch_of_models(cli, args, operands, n, verify_one)) != 0)
        err = err == SM_EXIT_USAGE ? err : SM_EXIT_NO_MODEL;
    sm_strings_free(&names);
    return err;
}

static int remove_one(sm_cli *cli, const force_args *args, const char *name)
{
    const sm_model *m = NULL;
    (void)args;
    int err = sm_model_named(name, &m);
    if (err == 0)
        err = sm_models_remove(NULL, m);
    if (err == 0)
        fprintf(cli->out, "%s: removed\n", m->name);
    return err;
}

static int models_remove_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    return batch_of_models(cli, args, operands, n, remove_one);
}

static const sm_option import_options[] = { { 'f', "force", SM_OPT_FLAG, offsetof(force_args, force), NULL,
                                              "also take another file than the one that was imported before", 0 },
                                            { 0 } };
static const sm_option pull_options[] = {
    { 'f', "force", SM_OPT_FLAG, offsetof(force_args, force), NULL, "get it again although it is installed", 0 }, { 0 }
};

static const sm_command cmd_import = {
    .name = "import",
    .summary = "take official weights files that you have",
    .description = "A file is recognised by its content: tflite, Keras HDF5, PyTorch, ONNX, frozen TensorFlow graph, "
                   "TensorFlow.js\n"
                   "model.json, safetensors, also packed by gzip or bzip2. An Essentia file's .json beside it is read "
                   "for its classes.",
    .operands = "FILE|FOLDER...",
    .least_operands = 1,
    .options = import_options,
    .args_size = sizeof(force_args),
    .examples =
        (const sm_example[]){
            { "samplemind models import yamnet.tflite model-tiny.h5", "both, under their own names" },
            { "samplemind models import ~/musicgen-small/", "the model, its text encoder and its codec" },
            { 0 } },
    .run = models_import_run,
};
static const sm_command cmd_pull = {
    .name = "pull",
    .summary = "download official weights, check them, install them",
    .description =
        "Files come over HTTPS from their publishers and are checked: by their hash where it is known, else by the "
        "tensors that\n"
        "they must hold; what came first is remembered. A download that breaks off is gone on with the next time.\n"
        "SAMPLEMIND_MIRROR names a mirror's base URL (the file is then MIRROR/HOST/PATH); HF_TOKEN is sent to "
        "huggingface.co\n"
        "for gated files. Licences are the publishers' own; several do not allow commercial use.",
    .operands = "NAME...",
    .least_operands = 1,
    .options = pull_options,
    .args_size = sizeof(force_args),
    .common = SM_COMMON_PROGRESS,
    .examples =
        (const sm_example[]){
            { "samplemind models pull yamnet crepe-tiny", "two models that may be used for anything" }, { 0 } },
    .run = models_pull_run,
};
static const sm_command cmd_verify = {
    .name = "verify",
    .summary = "check that installed weights are as they were when they came",
    .operands = "[NAME]...",
    .args_size = sizeof(force_args),
    .run = models_verify_run,
};
static const sm_command cmd_remove = {
    .name = "remove",
    .summary = "delete installed weights",
    .operands = "NAME...",
    .least_operands = 1,
    .args_size = sizeof(force_args),
    .run = models_remove_run,
};

/* ---- run: the bare network on given tensors ---- */

typedef struct {
    const char *weights, *config, *backend;
    bool taps, emulate;
} run_args;

static const sm_option run_options[] = {
    { 'w', "weights", SM_OPT_STRING, offsetof(run_args, weights), "FILE|generated[:SEED]",
      "weights file, or made-up weights (default: the installed ones)", 0 },
    { 0, "config", SM_OPT_STRING, offsetof(run_args, config), "K=V,..", "sizes other than the official ones", 0 },
    { 0, "backend", SM_OPT_CHOICE, offsetof(run_args, backend), "onednn|ref", "who computes (default: onednn)", 0 },
    { 0, "taps", SM_OPT_FLAG, offsetof(run_args, taps), NULL, "write the traced layers too", 0 },
    { 0, "emulate", SM_OPT_FLAG, offsetof(run_args, emulate), NULL, "also run a precision that this CPU only emulates",
      0 },
    { 0 }
};

/* "generated" or "generated:SEED"; false: a file. */
static bool is_generated(const char *text, int64_t *seed)
{
    *seed = 0;
    if (strncmp(text, "generated", 9) != 0 || (text[9] && text[9] != ':'))
        return false;
    return !text[9] || sm_parse_int(text + 10, seed);
}

/* The model and its weights. A file of no known model may still hold a graph that can be run: *m is then NULL. */
static int open_for_run(const char *name, const run_args *a, const sm_model **m, sm_weights **w, char variant[32])
{
    int64_t seed = 0;
    sm_card *card = NULL;
    char *path = NULL;
    const char *file = a->weights;
    int err = 0;
    *m = sm_model_find(name);
    if (file && is_generated(file, &seed)) {
        if ((err = sm_model_named(name, m)) < 0)
            return err;
        return sm_weights_generated((uint64_t)seed, (*m)->generated, w);
    }
    if (!file && *m) {
        if (!(path = sm_model_path(NULL, (*m)->name, NULL)))
            return SM_ENOMEM;
        file = path;
    } else if (!file) {
        file = name; /* models run FILE.onnx */
    }
    const sm_model *found = NULL;
    err = sm_model_open_file(file, w, &card, &found, variant);
    if (err == SM_ENOTFOUND && !*m && (err = sm_weights_open(file, w)) == 0 && !sm_weights_graph(*w)) {
        sm_weights_close(*w);
        *w = NULL;
        err = sm_fail(SM_EUNSUPPORTED, "%s: of no known model, and without a graph of its own", file);
    } else if (err == SM_ENOTFOUND && *m && path) {
        err = sm_fail_prefix(sm_not_installed(SM_EXIT_NO_MODEL, *m), "%s", name);
    } else if (err == 0 && found) {
        if (*m && *m != found)
            err = sm_fail(SM_EFORMAT, "%s: holds the model %s, not %s", file, found->name, name);
        *m = found;
    }
    sm_card_free(card);
    sm_free(path);
    return err;
}

static int models_run_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const run_args *a = args;
    const sm_model *m = NULL;
    sm_weights *w = NULL;
    char variant[32] = "";
    (void)n;
    if (!cli->common.out)
        return sm_cli_usage(cli, "run needs -o OUT.safetensors");
    int err = open_for_run(operands[0], a, &m, &w, variant);
    if (err > 0) {
        sm_cli_error(cli, "%s", sm_last_error());
    } else if (err == 0) {
        const char *p = cli->common.precision;
        const sm_run_options o = { .backend = a->backend,
                                   .config = a->config,
                                   .variant = *variant ? variant : NULL,
                                   .precision = !p || !strcmp(p, "auto") ? NN_PRECISION_F32
                                                : !strcmp(p, "bf16")     ? NN_PRECISION_BF16
                                                : !strcmp(p, "int8")     ? NN_PRECISION_INT8
                                                                         : NN_PRECISION_F32,
                                   .threads = (int)cli->common.threads,
                                   .taps = a->taps,
                                   .emulate = a->emulate };
        err = sm_model_run_bare(m, w, &o, operands[1], cli->common.out);
    }
    sm_weights_close(w);
    return err;
}

static const sm_command cmd_run = {
    .name = "run",
    .summary = "run the bare network on tensors, to compare it with the original",
    .description = "IN.safetensors holds the network's inputs by name (\"in.NAME\"); the output file gets \"out.NAME\" "
                   "and, with --taps, each\n"
                   "traced layer under its own name. NAME may also be a file with a graph of its own (ONNX, frozen "
                   ".pb, model.json).\n"
                   "Made-up weights depend on nothing but their names, shapes and the seed, so that anyone can compare "
                   "official sizes.",
    .operands = "NAME|FILE IN.safetensors",
    .least_operands = 2,
    .most_operands = 2,
    .options = run_options,
    .common = SM_COMMON_OUT | SM_COMMON_THREADS | SM_COMMON_DEVICE,
    .args_size = sizeof(run_args),
    .examples =
        (const sm_example[]){
            { "samplemind models run crepe-tiny --weights generated:3 --taps in.safetensors -o out.safetensors",
              "official size, made-up weights" },
            { "samplemind models run model.onnx in.safetensors -o out.safetensors", "somebody else's network" },
            { 0 } },
    .run = models_run_run,
};

static const sm_command *const models_commands[] = { &cmd_import, &cmd_info, &cmd_list,   &cmd_pull,
                                                     &cmd_remove, &cmd_run,  &cmd_verify, NULL };

const sm_command sm_cmd_models = {
    .name = "models",
    .summary = "list, download, import, check and run the networks",
    .subcommands = models_commands,
};
