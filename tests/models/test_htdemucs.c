/* HTDemucs against the original: every traced layer and the output of one chunk, small and at official sizes. */
#include "support/htdemucs_support.h"

#include <string.h>

#define DATA "tests/data/models/"

#define SMALL "channels=8,t_layers=2,t_heads=4,"

static const struct {
    const char *golden, *model, *config;
    int traces;
} small[] = {
    { "htdemucs_small_4s", "htdemucs", SMALL "bottom=32,segment=9001", 149 },
    { "htdemucs_small_6s", "htdemucs_6s", SMALL "segment=6001", 145 },
};

/* Small networks agree to some 1e-6: the spec's bar is 1e-5 for each trace and for the output. */
static void small_case(size_t i, const char *backend, bool taps)
{
    const sm_model *m = sm_model_find(small[i].model);
    char path[128], what[128];
    sm_weights *golden, *w;
    nn_tensor mix;
    test_chunk c;
    snprintf(path, sizeof path, DATA "%s.safetensors", small[i].golden);
    snprintf(what, sizeof what, "%s on %s%s", small[i].golden, backend, taps ? "" : ", fused");
    golden = test_golden_open(path);
    test_ok(sm_weights_get_f32(golden, "in.mix", NULL, &mix));
    test_ok(sm_weights_generated(0, m->generated, &w));
    test_chunk_open(&c, m, w, small[i].config, backend, taps ? "" : NULL, NULL);
    test_chunk_run(&c, mix.data);
    const int compared = test_golden_compare(golden, c.got, c.n, NULL, 1e-5, what);
    if (taps && compared < small[i].traces)
        fail_msg("%s: %d tensors compared, %d expected", what, compared, small[i].traces);
    test_chunk_close(&c);
    sm_weights_close(w);
    sm_weights_close(golden);
}

static void every_traced_layer_of_small_networks_is_the_originals(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(small); i++) {
        small_case(i, "ref", true);
        if (test_backend_there("onednn"))
            small_case(i, "onednn", true);
    }
}

static void the_fused_plan_answers_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(small) && test_backend_there("onednn"); i++)
        small_case(i, "onednn", false);
}

/* ---- containers ---- */

/* A package of made-up weights rounded to float16: tensors and outputs as the original has them from it. */
static void expect_package(const char *path, const char *format)
{
    static const char *const names[] = { "encoder.0.conv.weight", "freq_emb.embedding.weight",
                                         "tdecoder.3.conv_tr.weight",
                                         "crosstransformer.layers.1.cross_attn.in_proj_weight" };
    sm_weights *w, *golden = test_golden_open(DATA "htdemucs_package_4s.safetensors"),
                   *small_golden = test_golden_open(DATA "htdemucs_small_4s.safetensors");
    sm_card *card;
    const sm_model *m;
    char variant[32];
    nn_tensor mix, t;
    test_chunk c;
    test_ok(sm_model_open_file(path, &w, &card, &m, variant));
    assert_string_equal(m->name, "htdemucs");
    assert_string_equal(sm_weights_format(w), format);
    test_ok(sm_weights_get_f32(small_golden, "in.mix", NULL, &mix));
    test_chunk_open(&c, m, w, NULL, NULL, NULL, NULL); /* no sizes given: all are in the package */
    assert_int_equal(c.net->size.segment, 9001);
    assert_string_equal(c.net->size.sources[3], "vocals");
    test_chunk_run(&c, mix.data);
    for (int k = 0; k < 4; k++) {
        char name[48];
        snprintf(name, sizeof name, "out.%s", c.net->size.sources[k]);
        test_chunk_keep(&c, name, c.out + 2 * k * 9001, NN_SHAPE(2, 9001), 1, 0);
    }
    for (size_t i = 0; i < SM_LENGTH(names); i++) {
        char official[160];
        test_ok(sm_weights_get_f32(w, htdemucs_official(w, names[i], official), NULL, &t));
        test_chunk_keep(&c, names[i], t.data, t.shape, 1, 0);
    }
    assert_int_equal(test_golden_compare(golden, c.got, c.n, NULL, 1e-5, format), 8);
    test_chunk_close(&c);
    sm_card_free(card);
    sm_weights_close(w);
    sm_weights_close(golden);
    sm_weights_close(small_golden);
}

/* The author's safetensors: the same names, and klass, args and kwargs as metadata. */
static void write_author_file(const char *from, const char *path)
{
    sm_weights *w = test_golden_open(from);
    sm_safetensors_writer *f;
    test_ok(sm_safetensors_writer_open(path, &f));
    test_ok(sm_safetensors_writer_meta(f, "klass", "demucs.htdemucs.HTDemucs"));
    test_ok(sm_safetensors_writer_meta(f, "args", "[]"));
    test_ok(sm_safetensors_writer_meta(f, "kwargs", sm_weights_meta(w, "kwargs")));
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        nn_tensor t;
        test_ok(sm_weights_at(w, i, &t));
        assert_int_equal(t.type, NN_F16);
        test_ok(sm_safetensors_writer_add(f, sm_weights_name(w, i), &t));
    }
    test_ok(sm_safetensors_writer_commit(f));
    sm_weights_close(w);
}

static void packages_say_their_own_sizes(void **state)
{
    const test_place *place = *state;
    const char *shared = test_shared("golden/htdemucs/package-small-4s-hf.safetensors");
    sm_weights *w = test_golden_open(DATA "htdemucs_small_4s.th");
    expect_package(DATA "htdemucs_small_4s.th", "pytorch");
    write_author_file(DATA "htdemucs_small_4s.th", place->path);
    expect_package(place->path, "safetensors");
    sm_weights_close(test_converted(sm_model_find("htdemucs"), w, "", NULL, place->path)); /* what import keeps */
    expect_package(place->path, "safetensors");
    sm_weights_close(w);
    if (shared)
        expect_package(shared, "safetensors");
}

static void the_networks_of_ft_are_told_by_their_files_names(void **state)
{
    static const char *const rows[][2] = { { "04573f0d-f3cf25b2.th", "htdemucs_ft_vocals" },
                                           { "f7e0c4bc.th", "htdemucs_ft_drums" },
                                           { "955717e8-8726e21a.th", "htdemucs" },
                                           { "anything.th", "htdemucs" } };
    sm_weights *w = test_golden_open(DATA "htdemucs_small_4s.th");
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        const sm_model *m;
        char variant[32];
        test_ok(sm_model_recognise(w, rows[i][0], NULL, &m, variant));
        assert_string_equal(m->name, rows[i][1]);
    }
    sm_weights_close(w);
}

static void what_is_another_network_is_refused_by_name(void **state)
{
    static const struct {
        const char *kwargs, *part;
        int code;
    } rows[] = {
        { "{\"depth\": 6}", "depth = 6", SM_EUNSUPPORTED },
        { "{\"cac\": false}", "cac = false", SM_EUNSUPPORTED },
        { "{\"t_emb\": \"cape\"}", "t_emb", SM_EUNSUPPORTED },
        { "{\"multi_freqs\": [0.5]}", "multi_freqs", SM_EUNSUPPORTED },
        { "{\"channels_time\": 24}", "channels_time", SM_EUNSUPPORTED },
        { "{\"t_heads\": 7}", "7 heads", SM_EUNSUPPORTED },
        { "{\"nfft\": 1000}", "1000 samples", SM_EUNSUPPORTED },
        { "{\"segment\": 0.01}", "segments of 441", SM_EUNSUPPORTED },
        { "{\"sources\": []}", "0 sources", SM_EUNSUPPORTED },
        { "{\"sources\": [\"a/b\"]}", "source 1", SM_EFORMAT },
        { "[]", "JSON object", SM_EFORMAT },
        { "{", "JSON object", SM_EFORMAT },
    };
    const test_place *place = *state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        const float x = 0;
        const nn_tensor t = { .type = NN_F32, .shape = NN_SHAPE(1), .data = &x, .scale_axis = -1 };
        sm_safetensors_writer *f;
        sm_weights *w;
        htdemucs_size s;
        test_ok(sm_safetensors_writer_open(place->path, &f));
        test_ok(sm_safetensors_writer_meta(f, "kwargs", rows[i].kwargs));
        test_ok(sm_safetensors_writer_add(f, "x", &t));
        test_ok(sm_safetensors_writer_commit(f));
        w = test_golden_open(place->path);
        test_fails(htdemucs_size_read(sm_model_find("htdemucs"), w, NULL, &s), rows[i].code, rows[i].part);
        sm_weights_close(w);
    }
}

/* ---- rows of the last layers ---- */

static void a_sum_of_sources_is_the_sum_of_their_rows(void **state)
{
    const sm_model *m = sm_model_find("htdemucs");
    const htdemucs_rows sums = { 2, { { 0, 1 }, { 0.5, 0, 2, 1 } } };
    sm_weights *golden = test_golden_open(DATA "htdemucs_small_4s.safetensors"), *w;
    nn_tensor mix, whole;
    test_chunk c;
    (void)state;
    test_ok(sm_weights_get_f32(golden, "in.mix", NULL, &mix));
    test_ok(sm_weights_get_f32(golden, "out.sources", NULL, &whole));
    test_ok(sm_weights_generated(0, m->generated, &w));
    test_chunk_open(&c, m, w, small[0].config, NULL, NULL, &sums);
    test_chunk_run(&c, mix.data);
    const size_t n = 2 * 9001;
    const float *x = whole.data;
    float *expected = sm_alloc(2 * n, sizeof *expected);
    assert_non_null(expected);
    for (size_t i = 0; i < n; i++) {
        expected[i] = x[n + i];
        expected[n + i] = 0.5f * x[i] + 2 * x[2 * n + i] + x[3 * n + i];
    }
    assert_true(test_normalised_error(c.out, expected, 2 * n) <= 1e-5);
    sm_free(expected);
    test_chunk_close(&c);
    sm_weights_close(w);
    sm_weights_close(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(packages_say_their_own_sizes, test_place_make, test_place_remove),
        cmocka_unit_test(the_networks_of_ft_are_told_by_their_files_names),
        cmocka_unit_test_setup_teardown(what_is_another_network_is_refused_by_name, test_place_make, test_place_remove),
        cmocka_unit_test(a_sum_of_sources_is_the_sum_of_their_rows),
        cmocka_unit_test(every_traced_layer_of_small_networks_is_the_originals),
        cmocka_unit_test(the_fused_plan_answers_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
