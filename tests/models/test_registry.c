/* The list of models: names, whose weights a file holds, what each hears; cards; sizes given on the command line. */
#include "support/model_support.h"

#include <stdlib.h>
#include <string.h>

static void every_row_is_whole(void **state)
{
    size_t n;
    const sm_model *const *all = sm_models(&n);
    (void)state;
    assert_true(n > 60);
    for (size_t i = 0; i < n; i++) {
        const sm_model *m = all[i];
        const sm_needs *need = &m->needs;
        if (!m->name || !m->field || !m->summary || !m->licence || !m->page || !m->build || !m->recognise ||
            !m->activation)
            fail_msg("row %zu (%s) is not whole", i, m->name ? m->name : "?");
        if (need->patch < 1 || need->hop < 1 || need->bands < 1 || need->batch < 1 || (need->batch & (need->batch - 1)))
            fail_msg("%s: patch %d, hop %d, bands %d, batch %d", m->name, need->patch, need->hop, need->bands,
                     need->batch);
        if (need->front_end) {
            const dsp_mel_spec *mel = dsp_mel_find(need->front_end);
            if (!mel || mel->rate_hz != need->rate_hz || mel->bands != need->bands)
                fail_msg("%s: its front end %s gives something else", m->name, need->front_end);
        }
        if (need->backbone && (!sm_model_find(need->backbone) || !sm_model_find(need->backbone)->embedding))
            fail_msg("%s: backbone %s gives no embedding", m->name, need->backbone);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(all[k]->name, m->name))
                fail_msg("%s is there twice", m->name);
        assert_ptr_equal(sm_model_find(m->name), m);
        if (m->official)
            assert_non_null(sm_model_find(m->official));
        for (size_t k = 0; k < m->n_sources; k++)
            assert_true(
                !strncmp(m->sources[k].url, "https://", 8) &&
                (!m->sources[k].sha256 || strlen(m->sources[k].sha256) == 64 || strlen(m->sources[k].sha256) == 40));
    }
    assert_null(sm_model_find("nothing"));
    assert_string_equal(sm_model_find("danceability")->official, "danceability-discogs-effnet-1");
    assert_string_equal(sm_model_find("msd-musicnn-1")->name, "musicnn");
}

/* Whatever is not a file's own graph runs with made-up weights: also the layouts of which no official file is at hand. */
static void each_network_of_ours_opens_and_answers(void **state)
{
    size_t n;
    const sm_model *const *all = sm_models(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        const sm_model *m = all[i];
        sm_weights *w;
        sm_model_handle *h;
        sm_model_result r;
        if (m->task >= SM_TASK_STEMS || m->needs.backbone ||
            (m->binding && !m->adapt && strcmp(m->name, "effnet-discogs")) || !strcmp(m->name, "crepe-large") ||
            !strcmp(m->name, "crepe-full"))
            continue; /* other tests' own; graphs; and the two that are large, which test_made_up runs */
        const size_t rows = (size_t)m->needs.patch + 1, bands = (size_t)m->needs.bands;
        float *x = malloc(rows * bands * sizeof *x);
        test_fill(x, rows * bands, "x", 0, 0, 1);
        test_ok(sm_weights_generated(3, m->generated, &w));
        test_ok(sm_model_open(m, w, NULL, &h));
        test_stream_result(h, NULL, x, rows, &r);
        assert_true(r.patches > 0);
        assert_string_equal(sm_model_precision(h), "f32");
        const sm_classes *c = sm_model_classes(h);
        if (m->task == SM_TASK_TAGS && (!c || c->n != r.n_classes))
            fail_msg("%s: %zu scores without names", m->name, r.n_classes);
        sm_model_result_free(&r);
        sm_model_close(h);
        sm_weights_close(w);
        free(x);
    }
}

static void tensors_of_nobody_are_refused(void **state)
{
    const test_place *place = *state;
    const float x[2] = { 1, 2 };
    const nn_tensor t = { .type = NN_F32, .shape = NN_SHAPE(2), .data = x, .scale_axis = -1 };
    sm_safetensors_writer *f;
    sm_weights *w;
    sm_card *card;
    const sm_model *m;
    char variant[32];
    test_ok(sm_safetensors_writer_open(place->path, &f));
    test_ok(sm_safetensors_writer_add(f, "conv1.weight", &t));
    test_ok(sm_safetensors_writer_commit(f));
    test_fails(sm_model_open_file(place->path, &w, &card, &m, variant), SM_ENOTFOUND, "1 tensors, but of no model");
    assert_null(w);
    assert_null(card);
    test_ok(sm_weights_open(place->path, &w));
    test_fails(sm_model_open(sm_model_find("yamnet"), w, NULL, &(sm_model_handle *){ NULL }), SM_ENOTFOUND, "");
    test_fails(sm_model_open(sm_model_find("danceability"), w, NULL, &(sm_model_handle *){ NULL }), SM_EFORMAT,
               "graph");
    sm_weights_close(w);
}

/* A converted file of another size than the model's says which tensor. */
static void a_tensor_of_a_wrong_shape_is_named(void **state)
{
    const test_place *place = *state;
    const sm_model *tiny = sm_model_find("crepe-tiny"), *small = sm_model_find("crepe-small");
    sm_model_handle *h;
    sm_weights *made_up, *w;
    test_ok(sm_weights_generated(0, tiny->generated, &made_up));
    w = test_converted(tiny, made_up, "tiny", NULL, place->path);
    test_fails(sm_model_open(small, w, NULL, &h), SM_EFORMAT, "conv1.weight is [128, 1, 512, 1]");
    assert_null(h);
    sm_weights_close(w);
    sm_weights_close(made_up);
}

static void a_card_says_what_the_makers_wrote(void **state)
{
    static const char json[] =
        "{\"name\": \"danceability\", \"link\": \"https://essentia.upf.edu/models/x/danceability-discogs-effnet-1.pb\","
        "\"classes\": [\"danceable\", \"not_danceable\"], \"schema\": {\"inputs\": [{\"name\": \"model/Placeholder\"}],"
        "\"outputs\": [{\"name\": \"model/Softmax\", \"output_purpose\": \"predictions\"}, {\"name\": \"e\", "
        "\"output_purpose\": "
        "\"embeddings\"}]}, \"inference\": {\"sample_rate\": 16000, \"algorithm\": \"TensorflowPredict2D\","
        "\"embedding_model\": {\"algorithm\": \"TensorflowPredictEffnetDiscogs\", \"model_name\": "
        "\"discogs-effnet-bs64-1\"}}}";
    static const char *const bad[] = {
        "", "[1]", "{\"a\": 1}", "{\"classes\": [1]}", "{\"classes\": [\"a\"]", "{\"schema\": 1"
    };
    sm_card *c;
    (void)state;
    test_ok(sm_card_parse(json, strlen(json), "card.json", &c));
    assert_int_equal(c->n_classes, 2);
    assert_string_equal(c->classes[1], "not_danceable");
    assert_string_equal(c->predictions, "model/Softmax");
    assert_string_equal(c->embeddings, "e");
    assert_string_equal(c->backbone, "discogs-effnet-bs64-1");
    assert_int_equal(c->rate_hz, 16000);
    assert_string_equal(c->json, json);
    sm_card_free(c);
    for (size_t i = 0; i < SM_LENGTH(bad); i++)
        test_fails(sm_card_parse(bad[i], strlen(bad[i]), "card.json", &c), SM_EFORMAT, "card.json");
    for (size_t n = 0; n < strlen(json); n++) { /* cut anywhere: an error, never a crash */
        assert_int_equal(sm_card_parse(json, n, "card.json", &c), SM_EFORMAT);
        assert_null(c);
    }
}

static void cards_lie_beside_their_models(void **state)
{
    const test_place *place = *state;
    static const char *const rows[][3] = { /* model, card, found */
                                           { "a.onnx", "a.json", "a.json" },
                                           { "b/model.json", "b.json", "b.json" },
                                           { "c/model.json", "c/c.json", "c/c.json" }
    };
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        char model[160], card[160], folder[160];
        snprintf(model, sizeof model, "%s/%s", place->folder, rows[i][0]);
        snprintf(card, sizeof card, "%s/%s", place->folder, rows[i][1]);
        snprintf(folder, sizeof folder, "%s/%c", place->folder, rows[i][0][0]);
        test_ok(sm_make_directories(folder));
        assert_null(sm_card_path(model));
        test_write_file(card, "{}", 2);
        char *found = sm_card_path(model);
        assert_non_null(found);
        assert_string_equal(found, card);
        sm_free(found);
    }
}

static void sizes_are_read_from_a_text(void **state)
{
    const sm_model_config c = { .text = "m=4,padding=sym,x=" };
    static const char *const known[] = { "m", "padding", "x", NULL }, *const few[] = { "m", NULL };
    char text[64];
    int err = 0;
    (void)state;
    assert_int_equal(sm_config_int(&c, "m", 1, 1, 9, &err), 4);
    assert_int_equal(sm_config_int(&c, "n", 7, 1, 9, &err), 7);
    assert_int_equal(err, 0);
    assert_int_equal(sm_config_int(&c, "m", 1, 5, 9, &err), 1);
    assert_int_equal(err, SM_EUSAGE);
    assert_string_equal(sm_config_text(&c, "padding", "same", text), "sym");
    assert_string_equal(sm_config_text(NULL, "padding", "same", text), "same");
    test_ok(sm_config_check(&c, known));
    test_fails(sm_config_check(&c, few), SM_EUSAGE, "padding=sym");
    test_fails(sm_config_check(&(sm_model_config){ .text = "m" }, known), SM_EUSAGE, "KEY=VALUE");
    test_ok(sm_config_check(&(sm_model_config){ .text = NULL }, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(each_network_of_ours_opens_and_answers),
        cmocka_unit_test_setup_teardown(tensors_of_nobody_are_refused, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_tensor_of_a_wrong_shape_is_named, test_place_make, test_place_remove),
        cmocka_unit_test(a_card_says_what_the_makers_wrote),
        cmocka_unit_test_setup_teardown(cards_lie_beside_their_models, test_place_make, test_place_remove),
        cmocka_unit_test(sizes_are_read_from_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
