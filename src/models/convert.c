/* Opening any official file, and writing it once in our own form: a safetensors file of canonical tensors. What these are is what
 * the network asks for while it is built; nobody keeps a second list. */
#include <string.h>

#include "models/essentia.h"
#include "models/view.h"

static int open_shipped(const char *path, sm_weights **w)
{
    size_t size = 0;
    const void *data = sm_model_shipped(path + strlen(SM_BUILT_IN), &size);
    if (!data)
        return sm_fail(SM_ENOTFOUND, "%s: this program was built without it", path);
    return sm_weights_open_memory(data, size, path, w);
}

int sm_model_open_file(const char *path, sm_weights **w, sm_card **card, const sm_model **model, char variant[32])
{
    char *card_path = NULL;
    int err;

    *w = NULL;
    *card = NULL;
    *model = NULL;
    const bool built_in = !strncmp(path, SM_BUILT_IN, strlen(SM_BUILT_IN));
    if ((err = built_in ? open_shipped(path, w) : sm_weights_open(path, w)) < 0)
        return err;
    const char *kept = sm_weights_meta(*w, "samplemind") ? sm_weights_meta(*w, "card") : NULL;
    if (kept)
        err = sm_card_parse(kept, strlen(kept), path, card);
    else if (!built_in && (card_path = sm_card_path(path))) {
        err = sm_card_read(card_path, card);
        if (err == SM_EFORMAT) /* some other JSON of the same name */
            err = 0;
    }
    if (err == 0)
        err = sm_model_recognise(*w, path, *card, model, variant);
    sm_free(card_path);
    if (err < 0) {
        sm_weights_close(*w);
        sm_card_free(*card);
        *w = NULL;
        *card = NULL;
    }
    return err;
}

/* A look-up that writes down whatever is asked for. */
typedef struct {
    sm_safetensors_writer *writer;
    sm_strings seen;
    int err;
} recorder;

static bool seen_before(recorder *r, const char *name)
{
    for (size_t i = 0; i < r->seen.length; i++)
        if (!strcmp(r->seen.items[i], name))
            return true;
    r->err = sm_strings_add(&r->seen, name);
    return false;
}

static int record(void *user, const char *name, const nn_tensor *t)
{
    recorder *r = user;
    if (seen_before(r, name) || r->err < 0)
        return r->err;
    return r->err = sm_safetensors_writer_add(r->writer, name, t);
}

/* Builds the network once and keeps each tensor that it took. */
static int write_asked(const sm_model *m, sm_view *v, recorder *r)
{
    const sm_model_config c = { .batch = 1, .variant = sm_view_variant(v) };
    nn_graph *g = nn_graph_new();
    int err = g ? 0 : SM_ENOMEM;
    view_watch(v, record, r);
    if (err == 0)
        err = m->build(g, m, v, &c);
    view_watch(v, NULL, NULL);
    nn_graph_free(g);
    return err < 0 ? err : r->err;
}

/* A foreign graph keeps the tensors that its nodes read, under their own names, and its nodes as text. */
static int write_graph(sm_view *v, const sm_foreign_graph *f, recorder *r)
{
    sm_weights *w = sm_view_weights(v);
    sm_buffer text = { 0 };
    nn_tensor t;
    int err = sm_graph_write(f, &text);
    if (err == 0)
        err = sm_safetensors_writer_meta(r->writer, "graph", text.data);
    sm_buffer_free(&text);
    for (size_t i = 0; i < f->n_nodes && err == 0; i++)
        for (size_t k = 0; k < f->nodes[i].n_inputs && err == 0; k++) {
            const char *name = f->nodes[i].inputs[k];
            if (name && *name && sm_weights_has(w, name) && (err = sm_weights_get_f32(w, name, NULL, &t)) == 0)
                err = record(r, name, &t);
        }
    return err;
}

static int write_meta(sm_safetensors_writer *w, const sm_model *m, const sm_view *v, sm_weights *weights,
                      const sm_card *card, const char *sha256)
{
    char *kept = m->keep ? m->keep(weights) : NULL;
    const struct {
        const char *key, *value;
    } rows[] = {
        { "samplemind", sm_version() },
        { "model", m->name },
        { "variant", sm_view_variant(v) },
        { "source_format", sm_weights_format(weights) },
        { "source", sm_path_name(sm_weights_label(weights)) },
        { "source_sha256", sha256 },
        { "licence", m->licence },
        { "card", card ? card->json : NULL },
        { "kwargs", kept ? kept : sm_weights_meta(weights, "kwargs") }, /* a package's arguments of its network, JSON */
    };
    int err = 0;
    for (size_t i = 0; i < SM_LENGTH(rows) && err == 0; i++)
        if (rows[i].value)
            err = sm_safetensors_writer_meta(w, rows[i].key, rows[i].value);
    sm_free(kept);
    /* what a file of ours says about itself stays with it: classes, heads, front end, training */
    for (size_t i = 0; i < sm_weights_meta_count(weights) && sm_weights_meta(weights, "samplemind") && err == 0; i++) {
        const char *key = sm_weights_meta_key(weights, i);
        bool written = !strcmp(key, "classes") && card && card->n_classes > 0;
        for (size_t k = 0; k < SM_LENGTH(rows); k++)
            written |= !strcmp(key, rows[k].key);
        if (!written && !strchr(key, '@'))
            err = sm_safetensors_writer_meta(w, key, sm_weights_meta(weights, key));
    }
    if (err == 0 && card && card->n_classes > 0) {
        sm_buffer text = { 0 };
        sm_json j;
        sm_json_init(&j, &text, false);
        sm_json_begin_array(&j);
        for (size_t i = 0; i < card->n_classes; i++)
            sm_json_string(&j, card->classes[i]);
        sm_json_end_array(&j);
        err = text.failed ? SM_ENOMEM : sm_safetensors_writer_meta(w, "classes", text.data);
        sm_buffer_free(&text);
    }
    return err;
}

int sm_model_convert(const sm_model *m, sm_weights *w, const char *variant, const sm_card *card,
                     const char *source_sha256, const char *path)
{
    recorder r = { 0 };
    sm_view *v = NULL;
    int err;

    if ((err = sm_view_open(m, w, variant, &v)) < 0 || (err = sm_safetensors_writer_open(path, &r.writer)) < 0 ||
        (err = write_meta(r.writer, m, v, w, card, source_sha256)) < 0)
        goto out;
    const sm_foreign_graph *f = sm_view_graph(v);
    if (m->write) {
        err = m->write(m, w, r.writer);
    } else if (f) { /* the graph must be one that runs, before it is kept */
        const sm_model_config c = { .batch = 1 };
        nn_graph *g = nn_graph_new();
        err = g ? m->build(g, m, v, &c) : SM_ENOMEM;
        nn_graph_free(g);
        if (err == 0)
            err = write_graph(v, f, &r);
    } else
        err = write_asked(m, v, &r);
    if (err == 0) {
        err = sm_safetensors_writer_commit(r.writer);
        r.writer = NULL;
    }
out:
    if (r.writer)
        sm_safetensors_writer_abandon(r.writer);
    sm_strings_free(&r.seen);
    sm_view_close(v);
    return err;
}
