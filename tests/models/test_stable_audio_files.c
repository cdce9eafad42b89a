/* Stable Audio's files: both layouts and the converted form give the same tensors; configurations say sizes or are refused by name. */
#include "support/model_support.h"
#include "support/sound_models.h"

#include <string.h>
#include <sys/stat.h>

#include "models/oobleck.h"
#include "models/stable_audio.h"
#include "models/view.h"

/* From the mapping tables of both projects' classes (STABLE_AUDIO.md, section 12). */
static const char *const pairs[][2] = {
    { "model.model.timestep_features.weight", "transformer/time_proj.weight" },
    { "model.model.to_timestep_embed.2.bias", "transformer/timestep_proj.2.bias" },
    { "model.model.to_global_embed.0.weight", "transformer/global_proj.0.weight" },
    { "model.model.to_cond_embed.2.weight", "transformer/cross_attention_proj.2.weight" },
    { "model.model.preprocess_conv.weight", "transformer/preprocess_conv.weight" },
    { "model.model.transformer.project_in.weight", "transformer/proj_in.weight" },
    { "model.model.transformer.project_out.weight", "transformer/proj_out.weight" },
    { "model.model.transformer.layers.23.pre_norm.gamma", "transformer/transformer_blocks.23.norm1.weight" },
    { "model.model.transformer.layers.0.cross_attend_norm.beta", "transformer/transformer_blocks.0.norm2.bias" },
    { "model.model.transformer.layers.7.ff_norm.gamma", "transformer/transformer_blocks.7.norm3.weight" },
    { "model.model.transformer.layers.7.self_attn.to_out.weight",
      "transformer/transformer_blocks.7.attn1.to_out.0.weight" },
    { "model.model.transformer.layers.7.cross_attn.to_q.weight", "transformer/transformer_blocks.7.attn2.to_q.weight" },
    { "model.model.transformer.layers.12.ff.ff.0.proj.bias", "transformer/transformer_blocks.12.ff.net.0.proj.bias" },
    { "model.model.transformer.layers.12.ff.ff.2.weight", "transformer/transformer_blocks.12.ff.net.2.weight" },
    { "conditioner.conditioners.seconds_start.embedder.embedding.0.weights",
      "projection_model/start_number_conditioner.time_positional_embedding.0.weights" },
    { "conditioner.conditioners.seconds_total.embedder.embedding.1.bias",
      "projection_model/end_number_conditioner.time_positional_embedding.1.bias" },
    { "pretransform.model.encoder.layers.0.weight_v", "vae/encoder.conv1.weight_v" },
    { "pretransform.model.encoder.layers.3.layers.1.layers.3.bias", "vae/encoder.block.2.res_unit2.conv2.bias" },
    { "pretransform.model.encoder.layers.1.layers.3.alpha", "vae/encoder.block.0.snake1.alpha" },
    { "pretransform.model.encoder.layers.5.layers.4.weight_g", "vae/encoder.block.4.conv1.weight_g" },
    { "pretransform.model.encoder.layers.6.beta", "vae/encoder.snake1.beta" },
    { "pretransform.model.encoder.layers.7.bias", "vae/encoder.conv2.bias" },
    { "pretransform.model.decoder.layers.2.layers.0.beta", "vae/decoder.block.1.snake1.beta" },
    { "pretransform.model.decoder.layers.2.layers.1.weight_v", "vae/decoder.block.1.conv_t1.weight_v" },
    { "pretransform.model.decoder.layers.2.layers.4.layers.0.alpha", "vae/decoder.block.1.res_unit3.snake1.alpha" },
    { "pretransform.model.decoder.layers.7.weight_g", "vae/decoder.conv2.weight_g" },
};

static void diffusers_names_follow_from_ours(void **state)
{
    static const char *const none[] = { "model.model.transformer.rotary_pos_emb.inv_freq", "model.model.x",
                                        "model.model.transformer.layers.0.self_attn.to_qkv.weight",
                                        "pretransform.model.decoder.layers.2.layers.9.layers.1.bias", "x" };
    char name[SA_NAME];
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(pairs); i++) {
        assert_true(sa_diffusers_name(pairs[i][0], name));
        assert_string_equal(name, pairs[i][1]);
    }
    for (size_t i = 0; i < SM_LENGTH(none); i++)
        if (sa_diffusers_name(none[i], name))
            fail_msg("%s became %s", none[i], name);
}

/* ---- layouts ---- */

enum { MOST = 512 };
typedef struct {
    char name[160];
    float *values;
    size_t n;
} kept;
typedef struct {
    kept all[MOST];
    size_t n;
} tensors;

static int see(void *user, const char *name, const nn_tensor *t)
{
    tensors *s = user;
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->all[i].name, name))
            return 0;
    assert_true(s->n < MOST);
    kept *k = &s->all[s->n++];
    snprintf(k->name, sizeof k->name, "%s", name);
    k->n = (size_t)nn_elements(&t->shape);
    k->values = sm_alloc(k->n, sizeof(float));
    assert_non_null(k->values);
    memcpy(k->values, t->data, k->n * sizeof(float));
    return 0;
}

/* What the network is built of from this file. */
static tensors *tensors_of(const char *path, const char *model)
{
    tensors *s = sm_alloc_zero(1, sizeof *s);
    const sm_model_config c = { .batch = 1 };
    sm_weights *w;
    sm_card *card;
    const sm_model *m;
    char variant[32];
    sm_view *v;
    nn_graph *g = nn_graph_new();
    assert_true(s && g);
    test_ok(sm_model_open_file(path, &w, &card, &m, variant));
    assert_string_equal(m->name, model);
    test_ok(sm_view_open(m, w, NULL, &v));
    view_watch(v, see, s);
    test_ok(m->build(g, m, v, &c));
    nn_graph_free(g);
    sm_view_close(v);
    sm_card_free(card);
    sm_weights_close(w);
    return s;
}

static void free_tensors(tensors *s)
{
    for (size_t i = 0; i < s->n; i++)
        sm_free(s->all[i].values);
    sm_free(s);
}

static void expect_same(const char *path, const char *model, const tensors *expected)
{
    tensors *s = tensors_of(path, model);
    assert_int_equal(s->n, expected->n);
    for (size_t i = 0; i < s->n; i++) {
        assert_string_equal(s->all[i].name, expected->all[i].name);
        assert_int_equal(s->all[i].n, expected->all[i].n);
        if (memcmp(s->all[i].values, expected->all[i].values, s->all[i].n * sizeof(float)))
            fail_msg("%s: %s differs", path, s->all[i].name);
    }
    free_tensors(s);
}

/* Weight norm by its newer names, everything under a training state's key. */
static void write_newer(const char *from, const char *path)
{
    sm_weights *w;
    sm_safetensors_writer *f;
    test_ok(sm_weights_open(from, &w));
    test_ok(sm_safetensors_writer_open(path, &f));
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        const char *name = sm_weights_name(w, i);
        const size_t n = strlen(name);
        char newer[256];
        nn_tensor t;
        test_ok(sm_weights_at(w, i, &t));
        if (n > 9 && (!strcmp(name + n - 9, ".weight_g") || !strcmp(name + n - 9, ".weight_v")))
            snprintf(newer, sizeof newer, "state_dict.%.*s.parametrizations.weight.original%d", (int)n - 9, name,
                     name[n - 1] == 'v');
        else
            snprintf(newer, sizeof newer, "state_dict.%s", name);
        test_ok(sm_safetensors_writer_add(f, newer, &t));
    }
    test_ok(sm_safetensors_writer_commit(f));
    sm_weights_close(w);
}

static void every_layout_gives_the_same_network(void **state)
{
    const test_place *place = *state;
    char from[192], folder[192], other[192], config[192];
    sm_buffer text = { 0 };
    test_small_stable_audio(place->folder, false);
    snprintf(from, sizeof from, "%s/model.safetensors", place->folder);
    snprintf(folder, sizeof folder, "%s/diffusers", place->folder);
    snprintf(other, sizeof other, "%s/newer.safetensors", place->folder);
    snprintf(config, sizeof config, "%s/diffusers/model_config.json", place->folder);
    tensors *expected = tensors_of(from, "stable-audio-open");
    assert_true(expected->n > 100);
    test_diffusers_folder(from, folder);
    snprintf(other, sizeof other, "%s/model_config.json", place->folder);
    test_ok(sm_file_read(other, 1 << 16, &text));
    test_write_file(config, text.data, text.length);
    sm_buffer_free(&text);
    snprintf(other, sizeof other, "%s/newer.safetensors", place->folder);
    expect_same(folder, "stable-audio-open", expected);
    write_newer(from, other);
    expect_same(other, "stable-audio-open", expected);
    sm_weights *w;
    test_ok(sm_weights_open(from, &w));
    sm_weights_close(test_converted(sm_model_find("stable-audio-open"), w, "", NULL, place->path));
    sm_weights_close(w);
    expect_same(place->path, "stable-audio-open", expected);
    free_tensors(expected);
}

static void a_converted_file_keeps_its_configuration(void **state)
{
    const test_place *place = *state;
    const sm_model *m = sm_model_find("stable-audio-small");
    char from[192];
    sm_weights *w;
    sa_size s;
    test_small_stable_audio(place->folder, true);
    snprintf(from, sizeof from, "%s/model.safetensors", place->folder);
    test_ok(sm_weights_open(from, &w));
    sm_weights *converted = test_converted(m, w, "", NULL, place->path);
    test_ok(sa_size_read(m, converted, NULL, &s));
    assert_int_equal(s.canvas, 4096);
    assert_int_equal(s.rate_hz, 8000);
    assert_int_equal(s.heads, 2);
    assert_int_equal(s.prompt_tokens, 16);
    assert_true(s.flow && s.qk_norm && !s.has_start && s.number_max == 512);
    sm_weights_close(converted);
    sm_weights_close(w);
}

static void other_configurations_are_refused_by_name(void **state)
{
    static const struct {
        const char *from, *to, *part;
    } rows[] = {
        { "\"diffusion_cond\"", "\"diffusion_cond_inpaint\"", "model_type is diffusion_cond_inpaint" },
        { "\"type\": \"dit\"", "\"type\": \"adp-cfg-1d\"", "model.diffusion.type is adp-cfg-1d" },
        { "\"continuous_transformer\"", "\"x-transformers\"", "x-transformers" },
        { "\"depth\": 2", "\"depth\": 2, \"patch_size\": 2", "patch_size is 2" },
        { "\"depth\": 2", "\"depth\": 2, \"num_memory_tokens\": 64", "num_memory_tokens is 64" },
        { "\"depth\": 2", "\"depth\": 2, \"global_cond_type\": \"adaLN\"", "global_cond_type is adaLN" },
        { "\"type\": \"t5\"", "\"type\": \"clap_text\"", "clap_text" },
        { "\"rf_denoiser\"", "\"x0\"", "objective x0" },
        { "\"num_heads\": 2", "\"num_heads\": 3", "3 heads" },
        { "\"max_val\": 512", "\"max_val\": 0", "0 to 0" },
        { "[\"prompt\", \"seconds_total\"]", "[\"seconds_total\", \"prompt\"]", "in this order" },
        { "{\"model_type\"", "[\"model_type\"", "not a JSON object" },
    };
    const test_place *place = *state;
    const sm_model *m = sm_model_find("stable-audio-small");
    char from[192], path[192];
    sm_buffer whole = { 0 };
    sm_weights *w;
    sa_size s;
    test_small_stable_audio(place->folder, true);
    snprintf(from, sizeof from, "%s/model.safetensors", place->folder);
    snprintf(path, sizeof path, "%s/model_config.json", place->folder);
    test_ok(sm_file_read(path, 1 << 16, &whole));
    test_ok(sm_weights_open(from, &w));
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        const char *at = strstr(whole.data, rows[i].from);
        sm_buffer text = { 0 };
        assert_non_null(at);
        sm_buffer_add(&text, whole.data, (size_t)(at - whole.data));
        sm_buffer_text(&text, rows[i].to);
        sm_buffer_text(&text, at + strlen(rows[i].from));
        test_write_file(path, text.data, text.length);
        const int err = sa_size_read(m, w, NULL, &s);
        if (err == 0 || !strstr(sm_last_error(), rows[i].part))
            fail_msg("%s: %d %s", rows[i].to, err, err ? sm_last_error() : "accepted");
        sm_buffer_free(&text);
    }
    sm_weights_close(w);
    sm_buffer_free(&whole);
}

static void a_tensor_that_is_missing_is_named(void **state)
{
    const test_place *place = *state;
    const sm_model_config c = { .batch = 1 };
    const sm_model *m = sm_model_find("stable-audio-open");
    sm_weights *w, *less;
    sm_safetensors_writer *f;
    sm_view *v;
    char from[192];
    nn_graph *g = nn_graph_new();
    test_small_stable_audio(place->folder, false);
    snprintf(from, sizeof from, "%s/model.safetensors", place->folder);
    test_ok(sm_weights_open(from, &w));
    test_ok(sm_safetensors_writer_open(place->path, &f));
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        nn_tensor t;
        test_ok(sm_weights_at(w, i, &t));
        if (!strstr(sm_weights_name(w, i), "layers.1.cross_attn.to_q"))
            test_ok(sm_safetensors_writer_add(f, sm_weights_name(w, i), &t));
    }
    test_ok(sm_safetensors_writer_commit(f));
    test_ok(sm_weights_open(place->path, &less));
    test_ok(sm_view_open(m, less, NULL, &v));
    test_fails(m->build(g, m, v, &c), SM_ENOTFOUND, "layers.1.cross_attn.to_q");
    nn_graph_free(g);
    sm_view_close(v);
    sm_weights_close(w);
    sm_weights_close(less);
}

static void a_folder_without_weights_is_none(void **state)
{
    const test_place *place = *state;
    sm_weights *w;
    test_fails(sm_weights_open(place->folder, &w), SM_EIO, "a folder without");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diffusers_names_follow_from_ours),
        cmocka_unit_test_setup_teardown(every_layout_gives_the_same_network, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_converted_file_keeps_its_configuration, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(other_configurations_are_refused_by_name, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_tensor_that_is_missing_is_named, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_folder_without_weights_is_none, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
