/* MusicGen's weights as their publishers lay them out: AudioCraft's two pickles (written by PyTorch itself, tests/data/models/musicgen/ac/make.py)
 * and Hugging Face's folder (written here by the tables of both projects' names) become the same files of ours and make the same sound. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "models/musicgen.h"

#define DATA "tests/data/models/musicgen/"
#define OURS DATA "pipeline/"

/* ---- the sound that every layout must make ---- */

static sm_generate_result *sound_of(const char *home, const char *model, const char *text_encoder)
{
    sm_generate_options o;
    sm_generate_request r;
    sm_generator *g;
    sm_generate_result *s;
    sm_generate_options_init(&o);
    o.home = home;
    o.model = model;
    o.text_encoder = text_encoder;
    o.threads = 1;
    test_ok(sm_generator_open(&o, &g));
    sm_generate_request_init(&r);
    r.prompt = "warm house loop at 128 BPM";
    r.seconds = 0.7; /* less than a window, of which Hugging Face's files say nothing */
    r.top_k = 8;
    r.seed = 5;
    test_ok(sm_generate_one(g, &r, &s));
    sm_generator_close(g);
    return s;
}

static void expect_the_sound(const char *home, const char *model)
{
    sm_generate_result *expected = sound_of(NULL, "musicgen-small=" OURS "musicgen.safetensors", OURS "t5.safetensors"),
                       *s = sound_of(home, model, NULL);
    assert_int_equal(s->frames, expected->frames);
    assert_memory_equal(s->samples, expected->samples, s->frames * sizeof(float));
    sm_generate_result_free(s);
    sm_generate_result_free(expected);
}

/* ---- files ---- */

static void copy_file(const char *from, const char *folder, const char *name)
{
    sm_buffer b = { 0 };
    char to[256];
    test_ok(sm_file_read(from, 1 << 20, &b));
    snprintf(to, sizeof to, "%s/%s", folder, name);
    test_write_file(to, b.data, b.length);
    sm_buffer_free(&b);
}

static void write_text(const char *folder, const char *name, const char *text)
{
    char to[256];
    snprintf(to, sizeof to, "%s/%s", folder, name);
    test_write_file(to, text, strlen(text));
}

static void write_tokenizer(const char *folder)
{
    sm_weights *w;
    nn_tensor t;
    char to[256];
    test_ok(sm_weights_open(OURS "t5.safetensors", &w));
    test_ok(sm_weights_get(w, "tokenizer.model", NULL, &t));
    snprintf(to, sizeof to, "%s/spiece.model", folder);
    test_write_file(to, t.data, (size_t)nn_elements(&t.shape));
    sm_weights_close(w);
}

/* ---- Hugging Face's names (MUSICGEN.md, sections 4.1 and 10.3) ---- */

typedef struct {
    sm_safetensors_writer *files[2];
    int n;       /* how many there are */
    size_t seen; /* tensors, which go to one after the other */
} hf_writer;

/* As f32, whatever it was: these files are. */
static void add(hf_writer *f, sm_weights *w, const char *from, const char *to, int64_t first, int64_t rows)
{
    nn_tensor t;
    test_ok(sm_weights_get_f32(w, from, NULL, &t));
    if (rows > 0) {
        t.data = (const float *)t.data + first * t.shape.dim[1];
        t.shape.dim[0] = rows;
    }
    test_ok(sm_safetensors_writer_add(f->files[f->seen++ % (size_t)f->n], to, &t));
}

static bool replace_start(const char *name, const char *from, const char *to, char *out, size_t size)
{
    const size_t n = strlen(from);
    if (strncmp(name, from, n) != 0)
        return false;
    snprintf(out, size, "%s%s", to, name + n);
    return true;
}

static void add_layer(hf_writer *f, sm_weights *w, const char *name)
{
    static const char *const parts[][2] = {
        { "norm1.", "self_attn_layer_norm." },
        { "norm_cross.", "encoder_attn_layer_norm." },
        { "norm2.", "final_layer_norm." },
        { "self_attn.out_proj.", "self_attn.out_proj." },
        { "cross_attention.out_proj.", "encoder_attn.out_proj." },
        { "linear1.", "fc1." },
        { "linear2.", "fc2." },
    };
    static const char *const thirds[] = { "q", "k", "v" };
    char rest[128], to[192];
    int layer, length = 0;
    assert_int_equal(sscanf(name, "transformer.layers.%d.%n", &layer, &length), 1);
    if (strstr(name, "in_proj_weight")) {
        for (int i = 0; i < 3; i++) {
            snprintf(to, sizeof to, "decoder.model.decoder.layers.%d.%s.%s_proj.weight", layer,
                     strstr(name, "cross") ? "encoder_attn" : "self_attn", thirds[i]);
            add(f, w, name, to, 32 * i, 32);
        }
        return;
    }
    for (size_t i = 0; i < SM_LENGTH(parts); i++)
        if (replace_start(name + length, parts[i][0], parts[i][1], rest, sizeof rest)) {
            snprintf(to, sizeof to, "decoder.model.decoder.layers.%d.%s", layer, rest);
            add(f, w, name, to, 0, 0);
            return;
        }
    fail_msg("%s", name);
}

static void add_model(hf_writer *f, sm_weights *w)
{
    static const char *const heads[][2] = {
        { "emb.", "decoder.model.decoder.embed_tokens." },
        { "linears.", "decoder.lm_heads." },
        { "out_norm.", "decoder.model.decoder.layer_norm." },
        { "condition_provider.conditioners.description.output_proj.", "enc_to_dec_proj." },
        { "condition_provider.conditioners.self_wav.output_proj.", "audio_enc_to_dec_proj." },
    };
    char to[192];
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        const char *name = sm_weights_name(w, i);
        bool done = false;
        for (size_t k = 0; k < SM_LENGTH(heads) && !done; k++)
            if ((done = replace_start(name, heads[k][0], heads[k][1], to, sizeof to)))
                add(f, w, name, to, 0, 0);
        if (!done)
            add_layer(f, w, name);
    }
}

/* "encoder.model.3.conv.conv.bias" -> "audio_encoder.encoder.layers.3.conv.bias" */
static void add_codec(hf_writer *f, sm_weights *w)
{
    static const char *const doubled[] = { ".convtr.convtr.", ".conv.conv." };
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        const char *name = sm_weights_name(w, i), *model = strstr(name, ".model.");
        char to[256], *at;
        int q;
        if (sscanf(name, "quantizer.vq.layers.%d._codebook.embed", &q) == 1)
            snprintf(to, sizeof to, "audio_encoder.quantizer.layers.%d.codebook.embed", q);
        else
            snprintf(to, sizeof to, "audio_encoder.%.*s.layers.%s", (int)(model - name), name, model + 7);
        for (size_t k = 0; k < SM_LENGTH(doubled); k++)
            if ((at = strstr(to, doubled[k]))) {
                char rest[128];
                snprintf(rest, sizeof rest, "%s", at + strlen(doubled[k]));
                snprintf(at, sizeof to - (size_t)(at - to), ".conv.%s", rest);
            }
        add(f, w, name, to, 0, 0);
    }
}

static void add_text(hf_writer *f, sm_weights *w)
{
    char to[192];
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        snprintf(to, sizeof to, "text_encoder.%s", sm_weights_name(w, i));
        if (!strstr(to, "tokenizer"))
            add(f, w, sm_weights_name(w, i), to, 0, 0);
    }
    add(f, w, "shared.weight", "text_encoder.encoder.embed_tokens.weight", 0, 0); /* the same, under its other name */
}

#define HF_CONFIG                                                                                                      \
    "{\"model_type\": \"musicgen\", \"audio_encoder\": {\"model_type\": \"encodec\", \"pad_mode\": \"constant\"}, "    \
    "\"decoder\": {\"num_attention_heads\": 4, \"activation_function\": \"gelu\", \"scale_embedding\": false}}"

static void write_hf_of(const char *model, const char *folder, int n_files)
{
    const char *const ours[] = { model, OURS "encodec.safetensors", OURS "t5.safetensors" };
    static void (*const adders[])(hf_writer *, sm_weights *) = { add_model, add_codec, add_text };
    hf_writer f = { .n = n_files };
    char path[256];
    test_ok(sm_make_directories(folder));
    for (int i = 0; i < n_files; i++) {
        if (n_files == 1)
            snprintf(path, sizeof path, "%s/model.safetensors", folder);
        else
            snprintf(path, sizeof path, "%s/model-%05d-of-%05d.safetensors", folder, i + 1, n_files);
        test_ok(sm_safetensors_writer_open(path, &f.files[i]));
    }
    for (size_t k = 0; k < SM_LENGTH(ours); k++) {
        sm_weights *w;
        test_ok(sm_weights_open(ours[k], &w));
        adders[k](&f, w);
        sm_weights_close(w);
    }
    for (int i = 0; i < n_files; i++)
        test_ok(sm_safetensors_writer_commit(f.files[i]));
    write_text(folder, "config.json", HF_CONFIG);
    write_text(folder, "generation_config.json", "{}");
    write_tokenizer(folder);
}

static void write_hf(const char *folder, int n_files)
{
    write_hf_of(OURS "musicgen.safetensors", folder, n_files);
}

/* ---- tests ---- */

static void expect_imported(const char *home, const char *path, size_t n_others)
{
    const sm_model *m;
    sm_strings others = { 0 };
    test_ok(sm_models_import(home, path, false, &m, &others));
    assert_string_equal(m->name, "musicgen-small");
    assert_int_equal(others.length, n_others);
    sm_strings_free(&others);
}

static void huggingfaces_folder_is_all_that_is_needed(void **state)
{
    const test_place *place = *state;
    for (int n_files = 1; n_files <= 2; n_files++) { /* whole, and in shards as the larger models come */
        char folder[200], home[200];
        snprintf(folder, sizeof folder, "%s/hf%d", place->folder, n_files);
        snprintf(home, sizeof home, "%s/home%d", place->folder, n_files);
        write_hf(folder, n_files);
        expect_imported(home, folder, 2);
        expect_the_sound(home, "musicgen-small");
        expect_imported(home, folder, 0); /* again: what is there stays */
    }
}

/* Hugging Face's f32 numbers are copies of 16-bit ones: matrices become the same bytes as AudioCraft's. Of melody models too, whose sound
 * cannot be compared here: the length of their window, which the folder does not say, is that of the melody. */
static void numbers_of_16_bits_are_kept_as_such(void **state)
{
    static const char *const models[][2] = { { OURS "musicgen.safetensors", "musicgen-small" },
                                             { OURS "melody.safetensors", "musicgen-melody" } };
    const test_place *place = *state;
    for (size_t k = 0; k < SM_LENGTH(models); k++) {
        char folder[200];
        sm_weights *w, *from;
        nn_tensor t, u;
        const sm_model *m;
        snprintf(folder, sizeof folder, "%s/hf%zu", place->folder, k);
        write_hf_of(models[k][0], folder, 1);
        test_ok(sm_models_import(place->folder, folder, false, &m, NULL));
        assert_string_equal(m->name, models[k][1]);
        char *path = sm_installed_path(place->folder, m->name);
        test_ok(sm_weights_open(path, &w));
        test_ok(sm_weights_open(models[k][0], &from));
        assert_int_equal(sm_weights_count(w), sm_weights_count(from));
        for (size_t i = 0; i < sm_weights_count(from); i++) {
            test_ok(sm_weights_at(from, i, &t));
            test_ok(sm_weights_get(w, sm_weights_name(from, i), &t.shape, &u));
            assert_int_equal(u.type, t.shape.rank == 2 ? NN_F16 : NN_F32);
            if (u.type == t.type)
                assert_memory_equal(u.data, t.data, 2 * (size_t)nn_elements(&t.shape));
        }
        sm_weights_close(from);
        sm_weights_close(w);
        sm_free(path);
    }
}

static void audiocrafts_files_are_taken_alone_and_as_a_folder(void **state)
{
    const test_place *place = *state;
    char folder[200], home[200], model[256];
    const sm_model *m;
    snprintf(folder, sizeof folder, "%s/ac", place->folder);
    test_ok(sm_make_directories(folder));
    copy_file(DATA "ac/state_dict.bin", folder, "state_dict.bin");
    copy_file(DATA "ac/compression_state_dict.bin", folder, "compression_state_dict.bin");
    snprintf(home, sizeof home, "%s/home", place->folder);
    test_ok(sm_models_import(home, OURS "t5.safetensors", false, &m, NULL));
    expect_imported(home, folder, 1);
    expect_the_sound(home, "musicgen-small");
    snprintf(model, sizeof model, "musicgen-small=%s", folder); /* without importing: as they lie */
    expect_the_sound(home, model);
    /* each by itself */
    snprintf(home, sizeof home, "%s/other", place->folder);
    test_ok(sm_models_import(home, DATA "ac/compression_state_dict.bin", false, &m, NULL));
    assert_string_equal(m->name, "encodec");
    expect_imported(home, DATA "ac/state_dict.bin", 0);
    test_ok(sm_models_import(home, OURS "t5.safetensors", false, &m, NULL));
    expect_the_sound(home, "musicgen-small");
}

static void what_is_said_beside_tensors_stays(void **state)
{
    const test_place *place = *state;
    sm_musicgen_size s;
    const sm_model *m;
    sm_weights *w;
    test_ok(sm_models_import(place->folder, DATA "ac/state_dict.bin", false, &m, NULL));
    char *path = sm_installed_path(place->folder, "musicgen-small");
    test_ok(sm_weights_open(path, &w));
    test_ok(sm_musicgen_size_of(w, &s));
    assert_int_equal(s.heads, 4);
    assert_true(s.window_s == 2);
    assert_int_equal(s.layers, 2);
    sm_weights_close(w);
    sm_free(path);
}

static void what_is_missing_or_wrong_is_named(void **state)
{
    const test_place *place = *state;
    const sm_model *m;
    char folder[200], path[256];
    snprintf(folder, sizeof folder, "%s/hf", place->folder);
    write_hf(folder, 2);
    snprintf(path, sizeof path, "%s/spiece.model", folder);
    assert_int_equal(unlink(path), 0);
    test_fails(sm_models_import(place->folder, folder, false, &m, NULL), SM_ENOTFOUND, "spiece.model");
    assert_non_null(strstr(sm_last_error(), "musicgen-small is imported, but not t5-base"));
    assert_non_null(m);
    write_text(folder, "config.json", "{\"decoder\": {\"activation_function\": \"gelu_new\"}}");
    test_fails(sm_models_import(place->folder, folder, true, &m, NULL), SM_EUNSUPPORTED, "gelu_new");
    write_text(folder, "config.json", "{\"decoder\": {\"num_attention_heads\": 5}}");
    test_fails(sm_models_import(place->folder, folder, true, &m, NULL), SM_EFORMAT, "5 heads");
    snprintf(path, sizeof path, "%s/model-00002-of-00002.safetensors", folder);
    assert_int_equal(unlink(path), 0);
    test_fails(sm_models_import(place->folder, folder, false, &m, NULL), SM_EFORMAT, "1 of the 2 files");
    test_fails(sm_models_import(place->folder, DATA "ac/pretrained.bin", false, &m, NULL), SM_EFORMAT,
               "only names \"facebook/encodec_32khz\"");
}

/* Weights that are none, or of another model: what opening says. */
static void other_weights_are_refused(void **state)
{
    static const char hostile[] = "\x80\x02"
                                  "cposix\nsystem\nX\x0d\0\0\0touch hostile\x85R.";
    const test_place *place = *state;
    sm_buffer whole = { 0 };
    char model[256], path[200];
    sm_generate_options o;
    sm_generator *g;
    sm_generate_options_init(&o);
    o.text_encoder = OURS "t5.safetensors";
    snprintf(path, sizeof path, "%s/state_dict.bin", place->folder);
    snprintf(model, sizeof model, "musicgen-small=%s", path);
    o.model = model;
    test_ok(sm_file_read(DATA "ac/state_dict.bin", 1 << 20, &whole));
    for (size_t n = 0; n < whole.length; n += whole.length / 13) { /* cut off anywhere */
        test_write_file(path, whole.data, n);
        const int err = sm_generator_open(&o, &g);
        if (err != SM_EFORMAT || !strstr(sm_last_error(), path))
            fail_msg("cut to %zu bytes: %d %s", n, err, sm_last_error());
    }
    sm_buffer_free(&whole);
    test_write_file(path, hostile, sizeof hostile - 1);
    test_fails(sm_generator_open(&o, &g), SM_EUNSUPPORTED, "posix.system");
    assert_int_equal(access("hostile", F_OK), -1);
    test_write_file(path, "RIFF....WAVE", 12);
    test_fails(sm_generator_open(&o, &g), SM_EFORMAT, "not a container of weights");
    o.model = "musicgen-small=" DATA "ac/compression_state_dict.bin";
    test_fails(sm_generator_open(&o, &g), SM_EFORMAT, "holds encodec, not musicgen-small");
    o.model = "musicgen-melody=" DATA "ac/state_dict.bin";
    test_fails(sm_generator_open(&o, &g), SM_EFORMAT, "holds musicgen-small, not musicgen-melody");
    o.model = "stable-audio-small=" DATA "ac/state_dict.bin";
    test_fails(sm_generator_open(&o, &g), SM_EFORMAT, "holds musicgen-small, not stable-audio-small");
    o.model = "musicgen-small=" OURS "musicgen.safetensors";
    o.text_encoder = OURS "encodec.safetensors";
    assert_true(sm_generator_open(&o, &g) < 0);
    o.text_encoder = NULL;
    o.home = place->folder;
    test_fails(sm_generator_open(&o, &g), SM_ENOTFOUND, "models pull t5-base");
    o.model = "musicgen-small";
    test_fails(sm_generator_open(&o, &g), SM_ENOTFOUND, "models pull musicgen-small");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(huggingfaces_folder_is_all_that_is_needed, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(numbers_of_16_bits_are_kept_as_such, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(audiocrafts_files_are_taken_alone_and_as_a_folder, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(what_is_said_beside_tensors_stays, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(what_is_missing_or_wrong_is_named, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(other_weights_are_refused, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
