/* t5-base among the models: its encoder and its tokenizer in one file, for all that read words. */
#include <string.h>

#include "models/stored.h"
#include "models/t5.h"
#include "models/view.h"

static const char *prefix_of(const sm_weights *w)
{
    static const char *const prefixes[] = { "", "text_encoder.", "text_encoder/",
                                            "conditioner.conditioners.prompt.model." };
    char name[96];
    for (size_t i = 0; sm_weights_count(w) && i < SM_LENGTH(prefixes); i++) {
        snprintf(name, sizeof name, "%sencoder.block.0.layer.0.SelfAttention.q.weight", prefixes[i]);
        if (sm_weights_has(w, name))
            return prefixes[i];
    }
    return NULL;
}

static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *name_hint, char variant[32])
{
    const char *prefix = prefix_of(w);
    sm_t5_size s;
    (void)m;
    (void)card;
    (void)name_hint;
    (void)variant;
    if (!prefix)
        return false;
    const bool is = sm_t5_size_of(w, prefix, &s) == 0;
    sm_clear_error();
    return is;
}

static bool wanted(const char *name)
{
    return !strcmp(name, "shared.weight") || !strncmp(name, "encoder.block.", 14) ||
           !strcmp(name, "encoder.final_layer_norm.weight") || !strcmp(name, SM_T5_TOKENIZER);
}

/* The tokenizer's file: beside the weights, or in diffusers' folder for it. SM_ENOTFOUND: neither. */
static int read_tokenizer(sm_weights *w, sm_buffer *text, char **path)
{
    static const char *const places[] = { "spiece.model", "tokenizer/spiece.model", "../tokenizer/spiece.model" };
    int err = SM_ENOTFOUND;
    for (size_t i = 0; i < SM_LENGTH(places) && err == SM_ENOTFOUND; i++) {
        sm_free(*path);
        *path = sm_weights_beside(w, places[i]);
        err = *path ? sm_file_read(*path, 64 << 20, text) : SM_ENOMEM;
    }
    return err == SM_ENOTFOUND ? sm_fail(err, "%s: the tokenizer of its text encoder, spiece.model, is not beside it",
                                         sm_weights_label(w))
                               : err;
}

/* spiece.model goes into the file. */
static int keep_tokenizer(sm_weights *w, sm_safetensors_writer *out)
{
    sm_t5_tokens *tokens = NULL;
    sm_buffer text = { 0 };
    char *path = NULL;
    int err = read_tokenizer(w, &text, &path);
    if (err == 0 && (err = sm_t5_tokens_open_memory(text.data, text.length, path, &tokens)) == 0) {
        const nn_tensor t = {
            .type = NN_U8, .shape = NN_SHAPE((int64_t)text.length), .data = text.data, .scale_axis = -1
        };
        err = sm_safetensors_writer_add(out, SM_T5_TOKENIZER, &t);
    }
    sm_t5_tokens_free(tokens);
    sm_buffer_free(&text);
    sm_free(path);
    return err;
}

static int keep(const sm_model *m, sm_weights *w, sm_safetensors_writer *out)
{
    const char *prefix = prefix_of(w);
    int err = prefix ? 0 : sm_fail(SM_EFORMAT, "%s: no T5 encoder", sm_weights_label(w));
    char shared[64], table[96];
    nn_tensor embedding;
    (void)m;
    if (err < 0)
        return err;
    for (size_t i = 0; i < sm_weights_count(w) && err == 0; i++) {
        const char *name = sm_weights_name(w, i);
        nn_tensor t;
        if (!strncmp(name, prefix, strlen(prefix)) && wanted(name + strlen(prefix)) &&
            (err = sm_weights_at(w, i, &t)) == 0)
            err = sm_safetensors_writer_add(out, name + strlen(prefix), &t);
    }
    snprintf(table, sizeof table, "%sencoder.embed_tokens.weight", prefix); /* the same under its other name */
    snprintf(shared, sizeof shared, "%sshared.weight", prefix);
    if (err == 0 && !sm_weights_has(w, shared) && sm_weights_has(w, table) &&
        (err = sm_weights_get(w, table, NULL, &embedding)) == 0)
        err = sm_safetensors_writer_add(out, "shared.weight", &embedding);
    return err < 0 || sm_weights_has(w, SM_T5_TOKENIZER) ? err : keep_tokenizer(w, out);
}

static const char *const keys[] = { "tokens", "layers", NULL };

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    static const sm_t5_size base = { 768, 64, 12, 3072, 12, 32128 };
    const nn_source w = sm_view_source(v);
    sm_t5_size size = base;
    int err = 0;
    (void)m;
    if (sm_weights_count(sm_view_weights(v)) && (err = sm_t5_size_of(sm_view_weights(v), NULL, &size)) < 0)
        return err;
    size.layers = (int)sm_config_int(c, "layers", size.layers, 1, size.layers, &err);
    const int64_t tokens = sm_config_int(c, "tokens", 16, 1, 512, &err);
    return err < 0 ? err : sm_t5_graph(g, &w, &size, tokens);
}

static const sm_model_source_file sources[] = {
    { .url = "https://huggingface.co/google-t5/t5-base/resolve/main/model.safetensors" },
    { .url = "https://huggingface.co/google-t5/t5-base/resolve/main/spiece.model" },
};

const sm_model sm_model_t5_base = { .name = "t5-base",
                                    .task = SM_TASK_SOUND,
                                    .field = "t5",
                                    .summary = "the words of MusicGen and Stable Audio: text encoder and tokenizer",
                                    .licence = "Apache-2.0 (Google)",
                                    .page = "docs/models/musicgen.md",
                                    .needs = { .rate_hz = 32000, .bands = 1, .patch = 640, .hop = 640, .batch = 1 },
                                    .sources = sources,
                                    .n_sources = SM_LENGTH(sources),
                                    .bench = { 1, 1, NULL },
                                    .config_keys = keys,
                                    .activation = "linear",
                                    .recognise = recognise,
                                    .write = keep,
                                    .build = build };
