/* YAMNet with the official weights: from audio to the right class; and the way from classes to instruments. */
#include "support/model_support.h"

#include <math.h>
#include <string.h>

#define NEEDS(name)                                                                                                    \
    if (!test_shared(name))                                                                                            \
    test_skip("needs ../shared/%s", name)

static void same_scores(sm_model_handle *h, const char *sound, const char *how)
{
    const sm_stream_options o = { .curve = true };
    char file[96], what[96];
    sm_floats rows = { 0 };
    sm_model_result r;
    nn_tensor audio, scores;
    size_t ours, theirs = 0;
    snprintf(file, sizeof file, "golden/yamnet/real_%s.safetensors", sound);
    sm_weights *golden = test_golden_open(test_shared(file));
    snprintf(what, sizeof what, "%s%s", sound, how);
    test_ok(sm_weights_get_f32(golden, "in.audio", NULL, &audio));
    test_front_end("yamnet", audio.data, (size_t)nn_elements(&audio.shape), &rows);
    test_stream_result(h, &o, rows.data, rows.length / 64, &r);
    const double worst = test_within(r.curve, golden, "real.scores", r.patches * 521, 1e-3, what);
    test_within(r.mean, golden, "real.clip_scores", 521, 1e-3, what);
    test_ok(sm_weights_get_f32(golden, "real.clip_scores", NULL, &scores));
    for (size_t i = 1; i < 521; i++)
        if (((const float *)scores.data)[i] > ((const float *)scores.data)[theirs])
            theirs = i;
    assert_int_equal(sm_model_result_top(&r, 1, &ours), 1);
    if (ours != theirs)
        fail_msg("%s: class %zu, the original's %zu", what, ours, theirs);
    const sm_named embedding = {
        "embeddings", { .type = NN_F32, .shape = NN_SHAPE((int64_t)r.patches, 1024), .data = r.embeddings }
    };
    const char *const names[][2] = { { "real.embeddings", "embeddings" }, { NULL, NULL } };
    test_golden_compare(golden, &embedding, 1, names, 1e-3, what);
    print_message("%s: %zu patches, scores within %.2g, %s %.3f\n", what, r.patches, worst,
                  sm_model_classes(h)->names[ours], r.mean[ours]);
    sm_model_result_free(&r);
    sm_floats_free(&rows);
    sm_weights_close(golden);
}

static void sounds_get_the_originals_scores(void **state)
{
    static const char *const sounds[] = { "sine440", "noise", "clicks", "silence", "kick", "voice" };
    const test_place *place = *state;
    const sm_model *m;
    sm_weights *w, *converted;
    sm_card *card;
    sm_model_handle *h, *again;
    char variant[32];
    NEEDS("models/yamnet/yamnet.tflite");
    test_ok(sm_model_open_file(test_shared("models/yamnet/yamnet.tflite"), &w, &card, &m, variant));
    assert_string_equal(m->name, "yamnet");
    test_ok(sm_model_open(m, w, NULL, &h));
    converted = test_converted(m, w, variant, card, place->path);
    test_ok(sm_model_open(m, converted, NULL, &again));
    assert_string_equal(sm_model_variant(again), "tflite");
    for (size_t i = 0; i < SM_LENGTH(sounds); i++) {
        same_scores(h, sounds[i], "");
        same_scores(again, sounds[i], ", converted");
    }
    sm_model_close(h);
    sm_model_close(again);
    sm_card_free(card);
    sm_weights_close(converted);
    sm_weights_close(w);
}

static void the_strongest_evidence_counts(void **state)
{
    size_t n;
    const sm_yamnet_evidence *rows = sm_yamnet_evidence_rows(&n);
    float scores[521] = { 0 }, evidence[SM_INSTRUMENTS];
    (void)state;
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t c = 0; c < SM_INSTRUMENTS; c++)
            known = known || !strcmp(rows[i].instrument, sm_instruments[c]);
        assert_true(known && rows[i].yamnet_index >= 0 && rows[i].yamnet_index < 521 && rows[i].weight > 0 &&
                    rows[i].weight <= 1);
    }
    for (size_t c = 1; c < SM_INSTRUMENTS; c++)
        assert_true(strcmp(sm_instruments[c - 1], sm_instruments[c]) < 0);
    scores[0] = 0.9f; /* Speech */
    scores[1] = 0.4f;
    sm_yamnet_instruments(scores, evidence);
    for (size_t c = 0; c < SM_INSTRUMENTS; c++)
        assert_float_equal(evidence[c], strcmp(sm_instruments[c], "vocal") ? 0 : 0.9f, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sounds_get_the_originals_scores, test_place_make, test_place_remove),
        cmocka_unit_test(the_strongest_evidence_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
