/* EfficientAT with the official weights: from audio to the right class. $SM_MN04 names mn04_as_mAP_432.pt. */
#include "support/model_support.h"

#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/data/models/efficientat_real.safetensors"

static void same_answers(sm_model_handle *h, const char *what)
{
    const sm_stream_options o = { .curve = true };
    sm_weights *golden = test_golden_open(GOLDEN);
    float *audio = test_signal("efficientat.real", 128 * 320);
    sm_floats rows = { 0 };
    sm_model_result r;
    nn_tensor scores;
    size_t ours[3], theirs = 0;
    test_front_end("efficientat", audio, 128 * 320, &rows);
    assert_int_equal(rows.length, 128 * 128);
    test_stream_result(h, &o, rows.data, 128, &r);
    assert_int_equal(r.patches, 1);
    const sm_named got[2] = { { "scores", { .type = NN_F32, .shape = NN_SHAPE(1, 527), .data = r.mean } },
                              { "embedding", { .type = NN_F32, .shape = NN_SHAPE(1, 384), .data = r.embedding } } };
    assert_int_equal(test_golden_compare(golden, got, 2, NULL, 1e-4, what), 2);
    test_ok(sm_weights_get_f32(golden, "real.scores", NULL, &scores));
    for (size_t i = 1; i < 527; i++)
        if (((const float *)scores.data)[i] > ((const float *)scores.data)[theirs])
            theirs = i;
    assert_int_equal(sm_model_result_top(&r, 3, ours), 3);
    assert_int_equal(ours[0], theirs);
    print_message("%s: %s %.3f\n", what, sm_model_classes(h)->names[ours[0]], (double)r.mean[ours[0]]);
    sm_model_result_free(&r);
    sm_floats_free(&rows);
    sm_weights_close(golden);
    free(audio);
}

static void a_sound_gets_the_originals_scores(void **state)
{
    const test_place *place = *state;
    const char *path = getenv("SM_MN04");
    const sm_model *m;
    sm_weights *w, *converted;
    sm_card *card;
    sm_model_handle *h, *again;
    char variant[32];
    if (!path)
        test_skip("needs the official mn04_as_mAP_432.pt, named by $SM_MN04");
    test_ok(sm_model_open_file(path, &w, &card, &m, variant));
    assert_string_equal(m->name, "efficientat");
    test_ok(sm_model_open(m, w, NULL, &h));
    converted = test_converted(m, w, variant, card, place->path);
    test_ok(sm_model_open(m, converted, NULL, &again));
    same_answers(h, "official");
    same_answers(again, "converted");
    sm_model_close(h);
    sm_model_close(again);
    sm_card_free(card);
    sm_weights_close(converted);
    sm_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_gets_the_originals_scores, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
