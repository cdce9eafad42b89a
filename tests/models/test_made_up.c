/* Made-up weights at official sizes: every traced layer of the originals' answers. */
#include "support/model_support.h"

#include <string.h>

#define DATA "tests/data/models/"

typedef struct {
    const char *model, *golden, *config, *input, *tensor; /* input: the network's; tensor: the golden's */
    uint64_t seed;
    double bound;
    bool on_ref;  /* small enough for the slow backend */
    int at_least; /* tensors that must have been compared */
} made_up;

static const made_up cases[] = {
    { "crepe-tiny", "crepe_made_up_unit", "m=1", "frames", "in.frames", 0, 1e-5, true, 14 },
    { "crepe-tiny", "crepe_made_up_tiny", NULL, "frames", "in.frames", 0, 1e-4, true, 15 },
    { "crepe-small", "crepe_made_up_small", NULL, "frames", "in.frames", 0, 1e-4, false, 15 },
    { "crepe-medium", "crepe_made_up_medium", NULL, "frames", "in.frames", 0, 1e-4, false, 15 },
    { "crepe-large", "crepe_made_up_large", NULL, "frames", "in.frames", 0, 1e-4, false, 15 },
    { "crepe-full", "crepe_made_up_full", NULL, "frames", "in.frames", 0, 1e-4, false, 15 },
    { "yamnet", "yamnet_made_up_small", "width=8,classes=13,frames=31,bands=17", "patches", "in.patches", 0, 1e-5, true,
      30 },
    { "yamnet", "yamnet_made_up_full", NULL, "patches", "in.patches", 0, 1e-4, true, 30 },
    { "efficientat", "efficientat_made_up_small", "width=2,classes=13,frames=33,bands=30", "patches", "in.patches", 0,
      1e-5, true, 20 },
    { "efficientat", "efficientat_made_up_full", NULL, "patches", "in.patches", 0, 1e-4, true, 20 },
    { "effnet-discogs", "effnet_b0_made_up_same", NULL, "x", NULL, 21, 1e-4, true, 20 },
    { "effnet-discogs", "effnet_b0_made_up_sym", "padding=sym", "x", NULL, 21, 1e-4, false, 20 },
    { "musicnn", "musicnn_full_made_up", NULL, "model/Placeholder", NULL, 13, 1e-4, false, 59 },
};

static const char *const names[][2] = { { "model/Sigmoid", "scores" }, { "predictions", "scores" }, { NULL, NULL } };

static void run_case(const made_up *c, const char *backend, bool taps)
{
    const sm_model *m = sm_model_find(c->model);
    const sm_run_options o = { .backend = backend, .config = c->config, .taps = taps };
    char path[256], what[128];
    sm_weights *golden, *front = NULL, *w;
    sm_named in, *out;
    size_t n;

    assert_non_null(m);
    snprintf(path, sizeof path, DATA "%s.safetensors", c->golden);
    snprintf(what, sizeof what, "%s on %s%s", c->golden, backend, taps ? "" : ", fused");
    golden = test_golden_open(path);
    if (c->tensor)
        in = test_golden_input(golden, c->tensor, c->input, NULL);
    else { /* the first patch of the MusiCNN mel of signal a */
        front = test_golden_open("tests/data/dsp/frontend_musicnn.safetensors");
        in = test_golden_input(front, "out.a", c->input, &NN_SHAPE(1, m->needs.patch, 96));
    }
    test_ok(sm_weights_generated(c->seed, m->generated, &w));
    test_ok(sm_model_run_tensors(m, w, &o, &in, 1, &out, &n));
    const int compared = test_golden_compare(golden, out, n, names, c->bound, what);
    if (taps && compared < c->at_least)
        fail_msg("%s: %d tensors compared, %d expected", what, compared, c->at_least);
    sm_named_free(out, n);
    sm_weights_close(w);
    sm_weights_close(golden);
    sm_weights_close(front);
}

static void each_layer_is_the_originals(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        if (test_backend_there("onednn"))
            run_case(&cases[i], "onednn", true);
        if (cases[i].on_ref)
            run_case(&cases[i], "ref", true);
    }
}

/* Traced layers stop fusions: the plan that `analyze` runs is another one. */
static void the_fused_plan_answers_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases) && test_backend_there("onednn"); i++)
        run_case(&cases[i], "onednn", false);
}

static void unknown_sizes_are_refused(void **state)
{
    (void)state;
    const sm_model *m = sm_model_find("yamnet");
    const sm_run_options wrong = { .config = "depth=3" }, large = { .config = "width=99" };
    sm_weights *golden = test_golden_open(DATA "yamnet_made_up_full.safetensors"), *w;
    sm_named in = test_golden_input(golden, "in.patches", "patches", NULL), *out;
    size_t n;
    test_ok(sm_weights_generated(0, m->generated, &w));
    test_fails(sm_model_run_tensors(m, w, &wrong, &in, 1, &out, &n), SM_EUSAGE, "depth=3");
    test_fails(sm_model_run_tensors(m, w, &large, &in, 1, &out, &n), SM_EUSAGE, "width=99");
    snprintf(in.name, sizeof in.name, "other");
    sm_named two[2] = { in, in };
    test_fails(sm_model_run_tensors(m, w, NULL, two, 2, &out, &n), SM_ENOTFOUND, "\"patches\"");
    in.tensor.shape = NN_SHAPE(2, 95, 64);
    test_fails(sm_model_run_tensors(m, w, NULL, &in, 1, &out, &n), SM_EFORMAT, "[2, 96, 64]");
    sm_weights_close(w);
    sm_weights_close(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_is_the_originals),
        cmocka_unit_test(the_fused_plan_answers_the_same),
        cmocka_unit_test(unknown_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
