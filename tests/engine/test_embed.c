/* Vectors of files: made-up OpenL3 as installed, EdgeL3's official weights as the command takes them, and what the engine keeps of a sound. */
#include "engine/engine_support.h"

#include <stdlib.h>

#include "support/model_support.h"

static const char *in(const test_place *place, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", place->folder, name);
    return path;
}

static sm_embedder *embedder(const sm_embed_options *o)
{
    sm_embedder *e = NULL;
    test_ok(sm_embed_open(o, &e));
    return e;
}

/* golden/openl3/file_mel128_512: seed 0, uncentred, every 0.5 s, 48 kHz. */
static void an_installed_model_answers_as_the_original_from_a_file(void **state)
{
    const test_place *place = *state;
    const sm_model *m = sm_model_find("openl3-mel128-music");
    sm_weights *w = NULL, *golden = test_golden_open("tests/data/models/openl3_file_mel128_512.safetensors");
    sm_embed_options o;
    sm_embed_result r = { 0 };
    char folder[200];
    nn_tensor g;
    snprintf(folder, sizeof folder, "%s/models", place->folder);
    test_ok(sm_make_directories(folder));
    char *path = sm_installed_path(place->folder, m->name);
    test_ok(sm_weights_generated(0, m->generated, &w));
    test_ok(sm_model_convert(m, w, "", NULL, "0123456789abcdef0123456789abcdef", path));
    sm_weights_close(w);
    sm_free(path);
    float *x = test_signal("openl3.mono", 112800);
    test_write_wav(in(place, "mono.wav"), x, 112800, 48000, 1);
    sm_embed_options_init(&o);
    o.home = place->folder;
    o.model = "openl3-mel128-music";
    o.hop_s = 0.5;
    o.no_centering = 1;
    sm_embedder *e = embedder(&o);
    test_ok(sm_embed_file(e, in(place, "mono.wav"), &r));
    test_ok(sm_weights_get_f32(golden, "out.mono48.embedding", NULL, &g));
    assert_int_equal(r.windows, 4);
    assert_int_equal(r.dims, 512);
    assert_false(r.silent);
    for (int i = 0; i < 4; i++)
        assert_true(r.time_s[i] == 0.5 * i);
    assert_true(test_normalised_error(r.values, g.data, 4 * 512) <= 1e-4);
    sm_embed_result_free(&r);
    assert_null(r.values);
    memset(x, 0, 48000 * sizeof *x);
    test_write_wav(in(place, "silence.wav"), x, 48000, 48000, 1);
    test_ok(sm_embed_file(e, in(place, "silence.wav"), &r)); /* the original warns only */
    assert_true(r.silent && r.windows == 1);
    sm_embed_result_free(&r);
    test_write_wav(in(place, "empty.wav"), x, 0, 48000, 1);
    test_fails(sm_embed_file(e, in(place, "empty.wav"), &r), SM_EFORMAT, "without any audio");
    test_fails(sm_embed_file(e, "/no/such.wav", &r), SM_ENOTFOUND, "/no/such.wav");
    sm_embed_close(e);
    sm_weights_close(golden);
    free(x);
}

static void the_engine_keeps_the_vector_of_a_sound(void **state)
{
    const char *weights = test_shared("models/openl3/edgel3_sea_ust_audio_emb_64.h5.gz");
    char list[400];
    sm_record *r = NULL;
    (void)state;
    if (!weights)
        test_skip("the real weights of EdgeL3 are not here");
    snprintf(list, sizeof list, "edgel3-sea=%s", weights);
    sm_engine *e = test_engine("/nonexistent", list, 1);
    assert_int_equal(sm_engine_models(e), 1);
    test_ok(sm_analyze_file(e, "examples/kick.wav", &r));
    const sm_embedding *v = sm_record_embedding_of(r, "edgel3-sea");
    assert_non_null(v);
    assert_string_equal(v->space, "edgel3-sea-kapre01/1");
    assert_int_equal(v->dims, 64);
    assert_int_equal(v->windows, 1); /* a one-shot costs one */
    json_t *root = test_json(r);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "edgel3-sea"), "dims")), 64);
    json_decref(root);
    sm_record_free(r);
    test_ok(sm_analyze_file(e, "examples/silence.wav", &r));
    assert_int_equal(sm_record_embeddings(r), 0);
    sm_record_free(r);
    sm_engine_close(e);
    static const struct {
        double hop_s;
        size_t windows;
    } hops[] = { { 0, 3 }, { 0.5, 6 }, { 0.3, 10 } }; /* 3.75 s: what is left is less than a window */
    for (size_t i = 0; i < SM_LENGTH(hops); i++) {
        sm_options o;
        sm_options_init(&o);
        o.models = list;
        o.jobs = 1;
        o.embed_hop_s = hops[i].hop_s;
        test_ok(sm_engine_open(&o, &e));
        test_ok(sm_analyze_file(e, "examples/house_loop_128bpm.wav", &r));
        assert_int_equal(sm_record_embedding(r, 0)->windows, hops[i].windows);
        sm_record_free(r);
        sm_engine_close(e);
    }
}

static void wrong_options_are_named(void **state)
{
    sm_embed_options o;
    sm_embedder *e;
    (void)state;
    memset(&o, 0, sizeof o);
    test_fails(sm_embed_open(&o, &e), SM_EUSAGE, "sm_embed_options_init");
    sm_embed_options_init(&o);
    o.home = "/nonexistent";
    test_fails(sm_embed_open(&o, &e), SM_ENOTFOUND, "models pull openl3-mel256-music");
    o.dims = 100;
    test_fails(sm_embed_open(&o, &e), SM_EUSAGE, "512 or 6144");
    o.dims = 0;
    o.hop_s = -1;
    test_fails(sm_embed_open(&o, &e), SM_EUSAGE, "every -1 s");
    o.hop_s = 0;
    o.model = "yamnet";
    test_fails(sm_embed_open(&o, &e), SM_EUSAGE, "does not embed");
    o.model = "openl3-mel256-musik";
    test_fails(sm_embed_open(&o, &e), SM_EUSAGE, "openl3-mel256-music");
    assert_null(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_installed_model_answers_as_the_original_from_a_file, test_place_make,
                                        test_place_remove),
        cmocka_unit_test(the_engine_keeps_the_vector_of_a_sound),
        cmocka_unit_test(wrong_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
