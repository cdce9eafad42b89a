/* Opening a model: its graph is built and compiled once for each batch size that comes, with one set of packed weights. */
#include <jansson.h>
#include <string.h>

#include "models/handle.h"
#include "models/tables.h"

int sm_model_compile(sm_view *v, const sm_model_config *c, const nn_compile_options *o, nn_plan **out)
{
    const sm_model *m = sm_view_model(v);
    nn_graph *g;
    int err;

    *out = NULL;
    if ((err = sm_config_check(c, m->config_keys)) < 0)
        return err;
    g = nn_graph_new();
    err = g ? m->build(g, m, v, c) : SM_ENOMEM;
    if (err == 0)
        err = nn_compile(g, o, out);
    nn_graph_free(g);
    return err < 0 ? sm_fail_prefix(err, "%s", m->name) : 0;
}

static int log2_of(int n)
{
    int step = 0;
    while (step + 1 < SM_BATCH_STEPS && 2 << step <= n)
        step++;
    return step;
}

int handle_top_step(const sm_model_handle *h)
{
    return h->fixed_batch ? 0 : log2_of(h->needs.batch);
}

int handle_threads(const sm_model_handle *h)
{
    return SM_CLAMP(h->options.threads, 1, 1024);
}

int handle_batch(const sm_model_handle *h, int step)
{
    return h->fixed_batch ? h->fixed_batch : 1 << step;
}

static int make_plan(sm_model_handle *h, int step, int threads, nn_plan **out)
{
    const sm_model_config c = { .batch = handle_batch(h, step), .variant = h->variant, .text = h->config };
    const nn_compile_options o = { .backend = h->options.backend,
                                   .precision = h->options.precision,
                                   .threads = threads,
                                   .emulate = h->options.emulate,
                                   .pack = h->pack };
    return sm_model_compile(h->view, &c, &o, out);
}

static int get_plan(sm_model_handle *h, int step, int threads, nn_plan **at, const nn_plan **out)
{
    int err = 0;
    pthread_mutex_lock(&h->lock);
    if (!*at)
        err = make_plan(h, step, threads, at);
    *out = *at;
    pthread_mutex_unlock(&h->lock);
    return err;
}

int handle_plan(sm_model_handle *h, int step, const nn_plan **out)
{
    return get_plan(h, step, 1, &h->plans[step], out);
}

int handle_split_plan(sm_model_handle *h, const nn_plan **out)
{
    return get_plan(h, 0, handle_threads(h), &h->split, out);
}

/* Which outputs the first plan has, and their sizes. */
static int look_at_outputs(sm_model_handle *h, const nn_plan *p)
{
    const nn_shape in = nn_plan_input_shape(p, 0);
    const int batch = handle_batch(h, 0);
    h->scores_at = h->embedding_at = -1;
    h->n_outputs = nn_plan_outputs(p);
    if (nn_plan_inputs(p) != 1 || h->n_outputs > 4 || nn_elements(&in) % batch)
        return sm_fail(SM_EFORMAT, "%s: a network with %d inputs and %d outputs", h->model->name, nn_plan_inputs(p),
                       h->n_outputs);
    h->n_input = (size_t)(nn_elements(&in) / batch);
    h->n_patch = (size_t)h->needs.patch * (size_t)h->needs.bands;
    if (!h->front && h->n_input != h->n_patch) {
        char text[96];
        return sm_fail(SM_EFORMAT, "%s: the network takes %s, patches are [%d, %d]", sm_weights_label(h->weights),
                       nn_shape_text(&in, text), h->needs.patch, h->needs.bands);
    }
    for (int i = 0; i < h->n_outputs; i++) {
        const nn_shape s = nn_plan_output_shape(p, i);
        const size_t n = (size_t)(nn_elements(&s) / batch);
        if (!strcmp(nn_plan_output_name(p, i), "embedding")) {
            h->embedding_at = i;
            h->n_embedding = n;
        } else if (h->scores_at < 0) {
            h->scores_at = i;
            h->n_scores = n;
        }
    }
    return h->scores_at >= 0 || h->embedding_at >= 0
               ? 0
               : sm_fail(SM_EFORMAT, "%s: a network without scores", sm_weights_label(h->weights));
}

/* Copies a list of names into the handle. */
static int own_classes(sm_model_handle *h, const char *const *names, size_t n, const char *from)
{
    const char **list = sm_arena_get(h->arena, n, sizeof *list, sizeof(void *));
    for (size_t i = 0; list && i < n; i++)
        if (!(list[i] = sm_arena_strdup(h->arena, names[i])))
            return SM_ENOMEM;
    if (!list)
        return SM_ENOMEM;
    h->classes = (sm_classes){ n, list, NULL, from };
    h->has_classes = true;
    return 0;
}

/* The card's classes, or what a converted file keeps, or the built-in list: the first that has as many names as there are scores. */
static int find_classes(sm_model_handle *h)
{
    const sm_card *card = h->options.card;
    const char *kept = sm_weights_meta(h->weights, "classes");
    const sm_classes *own = h->model->classes      ? h->model->classes
                            : h->model->class_list ? sm_essentia_classes(h->model->class_list)
                                                   : NULL;
    int err = 0;
    if (card && card->n_classes > 0) {
        if (card->n_classes != h->n_scores)
            return sm_fail(SM_EFORMAT, "%s: %zu scores, its metadata names %zu classes", sm_weights_label(h->weights),
                           h->n_scores, card->n_classes);
        return own_classes(h, card->classes, card->n_classes, "metadata");
    }
    if (kept) {
        json_t *list = json_loads(kept, 0, NULL);
        const char **names = json_array_size(list) == h->n_scores ? sm_alloc_zero(h->n_scores, sizeof *names) : NULL;
        for (size_t i = 0; names && i < h->n_scores; i++) {
            names[i] = json_string_value(json_array_get(list, i));
            names[i] = names[i] ? names[i] : "?";
        }
        if (names)
            err = own_classes(h, names, h->n_scores, "metadata");
        sm_free(names);
        json_decref(list);
        if (err < 0 || h->has_classes)
            return err;
    }
    if (own && own->n == h->n_scores) {
        h->classes = *own;
        h->has_classes = true;
    }
    return 0;
}

/* A graph that was exported for one batch size runs at that size only. */
static int fixed_batch(const sm_foreign_graph *f)
{
    for (size_t i = 0; f && i < f->n_inputs; i++)
        if (f->inputs[i].shape.rank >= 2 && f->inputs[i].shape.dim[0] > 0)
            return (int)SM_MIN(f->inputs[i].shape.dim[0], 1024);
    return 0;
}

static int open_front(sm_model_handle *h)
{
    const sm_model_config c = { .variant = h->variant, .text = h->config };
    return h->model->patch_front ? h->model->patch_front->open(h->model, &c, &h->front) : 0;
}

static int open_parts(sm_model_handle *h)
{
    const nn_plan *first;
    int err;
    if (h->options.config) {
        const sm_model_config c = { .text = h->options.config };
        if ((err = sm_config_check(&c, h->model->config_keys)) < 0)
            return err;
        if (!(h->config = sm_strdup(h->options.config)))
            return SM_ENOMEM;
    }
    if (!(h->arena = sm_arena_new()))
        return SM_ENOMEM;
    if ((err = sm_view_open(h->model, h->weights, h->variant, &h->view)) < 0 || (err = nn_pack_new(&h->pack)) < 0)
        return err;
    if (h->model->binding)
        h->fixed_batch = fixed_batch(sm_view_graph(h->view));
    if ((err = open_front(h)) < 0 || (err = handle_plan(h, 0, &first)) < 0 || (err = look_at_outputs(h, first)) < 0)
        return err;
    return find_classes(h);
}

int sm_model_open(const sm_model *m, sm_weights *w, const sm_model_options *options, sm_model_handle **out)
{
    const char *kept = sm_weights_meta(w, "variant"), *variant;
    sm_card *card = NULL;
    sm_model_handle *h = sm_alloc_zero(1, sizeof *h);
    int err = 0;

    *out = NULL;
    if (!h)
        return SM_ENOMEM;
    if (m->task == SM_TASK_STEMS) {
        sm_free(h);
        return sm_fail(SM_EUNSUPPORTED, "%s: separates sounds, it does not describe them", m->name);
    }
    if (pthread_mutex_init(&h->lock, NULL)) {
        sm_free(h);
        return sm_fail(SM_ENOMEM, "no memory for a lock");
    }
    h->model = m;
    h->weights = w;
    h->needs = m->needs;
    if (options)
        h->options = *options;
    if (h->options.precision == NN_PRECISION_AUTO)
        h->options.precision = NN_PRECISION_F32;
    variant = h->options.variant && *h->options.variant ? h->options.variant : kept ? kept : "";
    snprintf(h->variant, sizeof h->variant, "%s", variant);
    if (m->hear)
        m->hear(m, w, h->variant, &h->needs);
    if (!h->options.card && sm_weights_meta(w, "card")) {
        const char *json = sm_weights_meta(w, "card");
        err = sm_card_parse(json, strlen(json), sm_weights_label(w), &card);
        h->options.card = card;
    }
    if (err == 0)
        err = open_parts(h);
    h->options.card = NULL;
    h->options.config = h->options.variant = NULL;
    sm_card_free(card);
    if (err < 0)
        sm_model_close(h);
    else
        *out = h;
    return err;
}

void sm_model_close(sm_model_handle *h)
{
    if (!h)
        return;
    for (int i = 0; i < SM_BATCH_STEPS; i++)
        nn_plan_free(h->plans[i]);
    nn_plan_free(h->split);
    nn_pack_free(h->pack);
    if (h->front)
        h->model->patch_front->close(h->front);
    sm_view_close(h->view);
    sm_arena_free(h->arena);
    pthread_mutex_destroy(&h->lock);
    sm_free(h->config);
    sm_free(h);
}

const sm_model *sm_model_of(const sm_model_handle *h)
{
    return h->model;
}

const sm_classes *sm_model_classes(const sm_model_handle *h)
{
    return h->has_classes ? &h->classes : NULL;
}

const sm_needs *sm_model_needs(const sm_model_handle *h)
{
    return &h->needs;
}

int sm_model_batch(const sm_model_handle *h)
{
    return handle_batch(h, handle_top_step(h)) * handle_threads(h);
}

const char *sm_model_variant(const sm_model_handle *h)
{
    return h->variant;
}

const char *sm_model_precision(const sm_model_handle *h)
{
    return h->options.precision == NN_PRECISION_BF16   ? "bf16"
           : h->options.precision == NN_PRECISION_INT8 ? "int8"
                                                       : "f32";
}

size_t sm_model_weight_bytes(const sm_model_handle *h)
{
    return nn_pack_bytes(h->pack);
}
