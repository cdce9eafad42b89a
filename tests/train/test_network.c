/* What a network becomes in its file: the norms that it only learned with are folded into weights and biases. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "train/network.h"

enum { CLASSES = 3 };
static const char *const classes[CLASSES] = { "hat", "kick", "tone" };

/* Numbers as training leaves them: norms with means, variances and factors of their own. */
static void disturb(const train_network *n, float *parameters, float *stats)
{
    for (size_t i = 0; i < n->n_parameters; i++) {
        const train_tensor *t = &n->parameters[i];
        if (t->shape.rank < 2)
            test_fill(parameters + t->at, t->n, t->name, 5, sm_text_has_suffix(t->name, ".weight") ? 1 : 0, 0.4);
    }
    for (size_t i = 0; i < n->n_stats; i++) {
        const train_tensor *t = &n->stats[i];
        test_fill(stats + t->at, t->n, t->name, 5, sm_text_has_suffix(t->name, "var") ? 1.5 : 0.3, 1);
    }
}

static void judge(const nn_plan *plan, const float *patches, float *out)
{
    nn_run_state *state;
    test_ok(nn_run_state_new(plan, &state));
    test_ok(nn_run(plan, state, (const void *const[]){ patches }, (float *const[]){ out }));
    nn_run_state_free(state);
}

/* The bare network of the file. */
static void judge_by_file(const char *path, const float *patches, float *out)
{
    sm_weights *w;
    sm_card *card;
    const sm_model *m;
    sm_view *v;
    nn_plan *plan;
    char variant[32];
    nn_graph *g = nn_graph_new();
    test_ok(sm_model_open_file(path, &w, &card, &m, variant));
    assert_string_equal(m->name, "samplemind-cnn");
    test_ok(sm_view_open(m, w, variant, &v));
    const nn_source source = sm_view_source(v);
    const nn_id x = nn_input(g, "patches", NN_SHAPE(TRAIN_SHARD, SM_CLASSIFIER_PATCH, SM_CLASSIFIER_BANDS));
    const nn_id e = sm_classifier_embedding(g, &source, sm_classifier_arch_find(variant), x);
    nn_output(g, "logits", sm_classifier_logits(g, &source, "instrument", CLASSES, e));
    test_ok(nn_graph_error(g));
    test_ok(nn_compile(g, &(nn_compile_options){ .threads = 1 }, &plan));
    judge(plan, patches, out);
    nn_plan_free(plan);
    nn_graph_free(g);
    sm_view_close(v);
    sm_card_free(card);
    sm_weights_close(w);
}

static void assert_tensors(const char *path, size_t expected)
{
    static const char *const layers[] = { "conv1", "conv2", "conv3", "dense", "head.instrument" };
    sm_weights *w;
    nn_tensor t;
    char name[64];
    test_ok(sm_weights_open(path, &w));
    assert_int_equal(sm_weights_count(w), expected);
    for (size_t i = 0; i < SM_LENGTH(layers); i++) {
        snprintf(name, sizeof name, "%s.weight", layers[i]);
        test_ok(sm_weights_get(w, name, NULL, &t));
        snprintf(name, sizeof name, "%s.bias", layers[i]);
        test_ok(sm_weights_get(w, name, NULL, &t));
        assert_int_equal(t.type, NN_F32);
    }
    sm_weights_close(w);
}

static void a_file_without_norms_answers_as_the_network_with_them(void **state)
{
    const test_place *place = *state;
    const train_head head = { .name = "instrument", .n_classes = CLASSES, .classes = classes, .kept = true };
    const train_meta meta[] = { { "samplemind", sm_version() },
                                { "model", "samplemind-cnn" },
                                { "variant", "cnn-tiny" } };
    const size_t n_patches = (size_t)TRAIN_SHARD * SM_CLASSIFIER_PATCH * SM_CLASSIFIER_BANDS;
    float *patches = malloc(n_patches * sizeof *patches), with[TRAIN_SHARD * CLASSES], without[TRAIN_SHARD * CLASSES];
    train_network n;
    nn_plan *plan;
    test_ok(train_network_open(sm_classifier_arch_find("cnn-tiny"), &head, 1, 3, NULL, &n));
    float *parameters = malloc(n.length * sizeof *parameters), *stats = malloc(n.stats_length * sizeof *stats);
    test_ok(train_network_initial(&n, parameters, stats));
    disturb(&n, parameters, stats);
    test_fill(patches, n_patches, "patches", 1, 0, 2);
    test_ok(train_network_judge(&n, parameters, stats, &plan));
    judge(plan, patches, with);
    test_ok(train_network_write(&n, parameters, stats, &(double){ 1 }, false, meta, SM_LENGTH(meta), place->path));
    assert_tensors(place->path, 10); /* weight and bias of five layers: nothing of norms */
    judge_by_file(place->path, patches, without);
    /* other roundings of some thousand terms */
    assert_true(test_normalised_error(without, with, TRAIN_SHARD * CLASSES) < 1e-5);
    test_ok(train_network_write(&n, parameters, stats, &(double){ 1 }, true, meta, SM_LENGTH(meta), place->path));
    assert_tensors(place->path, 10);
    judge_by_file(place->path, patches, without);
    assert_true(test_normalised_error(without, with, TRAIN_SHARD * CLASSES) < 3e-3); /* 11 bits a weight */
    nn_plan_free(plan);
    train_network_close(&n);
    free(stats);
    free(parameters);
    free(patches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_without_norms_answers_as_the_network_with_them, test_place_make,
                                        test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
