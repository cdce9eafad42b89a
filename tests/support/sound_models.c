#include "support/sound_models.h"

#include <string.h>

#include "models/oobleck.h"
#include "models/stable_audio.h"
#include "models/t5.h"
#include "models/view.h"

enum { WIDTH = 64, COND = 32, LATENT = 16, RATIO = 8, CANVAS = 4096 };

typedef struct {
    sm_weights *w;
    sm_safetensors_writer *f;
    char seen[512][160];
    size_t n;
} copier;

static void copy(copier *c, const char *name, const nn_shape *shape)
{
    nn_tensor t;
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->seen[i], name))
            return;
    assert_true(c->n < SM_LENGTH(c->seen));
    snprintf(c->seen[c->n++], sizeof c->seen[0], "%s", name);
    test_ok(sm_weights_get_f32(c->w, name, shape, &t));
    test_ok(sm_safetensors_writer_add(c->f, name, &t));
}

/* What the graphs ask for, as the original keeps it: sizes and directions of the autoencoder's filters. */
static int see(void *user, const char *name, const nn_tensor *t)
{
    copier *c = user;
    char part[200];
    if (strncmp(name, OOBLECK_PREFIX, strlen(OOBLECK_PREFIX)) || t->shape.rank != 3) {
        copy(c, name, &t->shape);
        return 0;
    }
    snprintf(part, sizeof part, "%s_g", name);
    copy(c, part, &NN_SHAPE(t->shape.dim[0], 1, 1));
    snprintf(part, sizeof part, "%s_v", name);
    copy(c, part, &t->shape);
    return 0;
}

static void write_network(const char *path, bool flow)
{
    const sm_model *m = sm_model_find(flow ? "stable-audio-small" : "stable-audio-open");
    char config[256];
    snprintf(config, sizeof config,
             "io=%d,latent=%d,channels=8,strides=2-4,width=%d,depth=2,heads=2,cond=%d,inner=%d,global=%d,canvas=%d",
             LATENT, LATENT, WIDTH, COND, flow ? WIDTH : COND, flow ? COND : 2 * COND, CANVAS);
    const sm_model_config k = { .batch = 1, .text = config };
    copier c = { 0 };
    sm_view *v;
    nn_graph *g = nn_graph_new();
    assert_non_null(g);
    test_ok(sm_weights_generated(3, m->generated, &c.w));
    test_ok(sm_view_open(m, c.w, NULL, &v));
    test_ok(sm_safetensors_writer_open(path, &c.f));
    view_watch(v, see, &c);
    test_ok(m->build(g, m, v, &k));
    view_watch(v, NULL, NULL);
    test_ok(sm_safetensors_writer_commit(c.f));
    nn_graph_free(g);
    sm_view_close(v);
    sm_weights_close(c.w);
}

static void write_config(const char *path, bool flow)
{
    char text[4096];
    const int n = snprintf(
        text, sizeof text,
        "{\"model_type\": \"diffusion_cond\", \"sample_size\": %d, \"sample_rate\": 8000, \"audio_channels\": 2, "
        "\"model\": {"
        "\"pretransform\": {\"type\": \"autoencoder\", \"config\": {\"encoder\": {\"type\": \"oobleck\", \"config\": "
        "{}}, "
        "\"decoder\": {\"type\": \"oobleck\", \"config\": {\"final_tanh\": false}}, \"bottleneck\": {\"type\": "
        "\"vae\"}}}, "
        "\"conditioning\": {\"cond_dim\": %d, \"configs\": [{\"id\": \"prompt\", \"type\": \"t5\", \"config\": "
        "{\"t5_model_name\": \"t5-base\", \"max_length\": 16}}, %s{\"id\": \"seconds_total\", \"type\": \"number\", "
        "\"config\": {\"min_val\": 0, \"max_val\": 512}}]}, \"diffusion\": {\"type\": \"dit\", "
        "\"diffusion_objective\": \"%s\", "
        "\"cross_attention_cond_ids\": [\"prompt\", %s\"seconds_total\"], \"global_cond_ids\": [%s\"seconds_total\"], "
        "\"config\": {\"io_channels\": %d, \"embed_dim\": %d, \"depth\": 2, \"num_heads\": 2, \"cond_token_dim\": %d, "
        "\"global_cond_dim\": %d, \"project_cond_tokens\": %s, \"transformer_type\": \"continuous_transformer\"%s}}}}",
        CANVAS, COND,
        flow ? ""
             : "{\"id\": \"seconds_start\", \"type\": \"number\", \"config\": {\"min_val\": 0, \"max_val\": 512}}, ",
        flow ? "rf_denoiser" : "v", flow ? "" : "\"seconds_start\", ", flow ? "" : "\"seconds_start\", ", LATENT, WIDTH,
        COND, flow ? COND : 2 * COND, flow ? "true" : "false", flow ? ", \"attn_kwargs\": {\"qk_norm\": \"ln\"}" : "");
    assert_true(n > 0 && (size_t)n < sizeof text);
    test_write_file(path, text, (size_t)n);
}

static void t5_tensor(sm_weights *w, sm_safetensors_writer *f, const char *name, nn_shape shape)
{
    nn_tensor t;
    test_ok(sm_weights_get_f32(w, name, &shape, &t));
    test_ok(sm_safetensors_writer_add(f, name, &t));
}

static void write_text_encoder(const char *path, int64_t vocabulary)
{
    static const char *const squares[] = { "q", "k", "v", "o" };
    sm_weights *w;
    sm_safetensors_writer *f;
    char name[96];
    test_ok(sm_weights_generated(0, NULL, &w));
    test_ok(sm_safetensors_writer_open(path, &f));
    t5_tensor(w, f, "shared.weight", NN_SHAPE(vocabulary, COND));
    t5_tensor(w, f, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", NN_SHAPE(32, 2));
    for (size_t i = 0; i < SM_LENGTH(squares); i++) {
        snprintf(name, sizeof name, "encoder.block.0.layer.0.SelfAttention.%s.weight", squares[i]);
        t5_tensor(w, f, name, NN_SHAPE(COND, COND));
    }
    t5_tensor(w, f, "encoder.block.0.layer.0.layer_norm.weight", NN_SHAPE(COND));
    t5_tensor(w, f, "encoder.block.0.layer.1.layer_norm.weight", NN_SHAPE(COND));
    t5_tensor(w, f, "encoder.block.0.layer.1.DenseReluDense.wi.weight", NN_SHAPE(2 * COND, COND));
    t5_tensor(w, f, "encoder.block.0.layer.1.DenseReluDense.wo.weight", NN_SHAPE(COND, 2 * COND));
    t5_tensor(w, f, "encoder.final_layer_norm.weight", NN_SHAPE(COND));
    test_ok(sm_safetensors_writer_commit(f));
    sm_weights_close(w);
}

void test_small_stable_audio(const char *folder, bool flow)
{
    sm_buffer pieces = { 0 };
    sm_t5_tokens *tokens;
    char path[160];
    test_ok(sm_file_read("tests/data/models/t5_tiny.model", 1 << 20, &pieces));
    snprintf(path, sizeof path, "%s/spiece.model", folder);
    test_write_file(path, pieces.data, pieces.length);
    test_ok(sm_t5_tokens_open(path, &tokens));
    snprintf(path, sizeof path, "%s/t5.safetensors", folder);
    write_text_encoder(path, (int64_t)sm_t5_tokens_count(tokens));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    write_network(path, flow);
    snprintf(path, sizeof path, "%s/model_config.json", folder);
    write_config(path, flow);
    sm_t5_tokens_free(tokens);
    sm_buffer_free(&pieces);
}

/* ---- diffusers' layout ---- */

static void add_rows(sm_safetensors_writer *f, const char *name, const nn_tensor *t, int64_t first, int64_t n)
{
    nn_tensor part = *t;
    part.shape.dim[0] = n;
    part.data = (const float *)t->data + first * t->shape.dim[1];
    test_ok(sm_safetensors_writer_add(f, name, &part));
}

/* One tensor of ours as diffusers keeps it: stacked projections apart, snakes' vectors as [1, c, 1]. */
static void add_as_diffusers(sm_safetensors_writer *f, const char *name, nn_tensor t)
{
    static const char *const third[] = { "to_q", "to_k", "to_v" };
    char theirs[SA_NAME], part[SA_NAME];
    int layer;
    if (strstr(name, "to_qkv") || strstr(name, "to_kv")) {
        const int n = strstr(name, "to_qkv") ? 3 : 2;
        assert_int_equal(1, sscanf(name, "model.model.transformer.layers.%d.", &layer));
        for (int i = 0; i < n; i++) {
            snprintf(part, sizeof part, "transformer_blocks.%d.attn%d.%s.weight", layer, n == 3 ? 1 : 2,
                     third[i + 3 - n]);
            add_rows(f, part, &t, i * t.shape.dim[0] / n, t.shape.dim[0] / n);
        }
        return;
    }
    assert_true(sa_diffusers_name(name, theirs));
    if (t.shape.rank == 1 && strstr(name, "pretransform") && !strstr(name, "bias"))
        t.shape = NN_SHAPE(1, t.shape.dim[0], 1);
    if (strstr(name, "timestep_features"))
        t.shape = NN_SHAPE(t.shape.dim[0]);
    test_ok(sm_safetensors_writer_add(f, strchr(theirs, '/') + 1, &t));
}

void test_diffusers_folder(const char *from, const char *folder)
{
    static const char *const parts[][2] = { { "model.model.", "transformer" },
                                            { "pretransform.model.", "vae" },
                                            { "conditioner.conditioners.", "projection_model" } };
    sm_weights *w;
    char path[256];
    test_ok(sm_weights_open(from, &w));
    for (size_t k = 0; k < SM_LENGTH(parts); k++) {
        sm_safetensors_writer *f;
        snprintf(path, sizeof path, "%s/%s", folder, parts[k][1]);
        test_ok(sm_make_directories(path));
        snprintf(path, sizeof path, "%s/%s/diffusion_pytorch_model.safetensors", folder, parts[k][1]);
        test_ok(sm_safetensors_writer_open(path, &f));
        for (size_t i = 0; i < sm_weights_count(w); i++) {
            nn_tensor t;
            test_ok(sm_weights_at(w, i, &t));
            if (!strncmp(sm_weights_name(w, i), parts[k][0], strlen(parts[k][0])))
                add_as_diffusers(f, sm_weights_name(w, i), t);
        }
        test_ok(sm_safetensors_writer_commit(f));
    }
    sm_weights_close(w);
}
