/* Networks that are what their file's graph says: TensorFlow.js goldens in all quantisations, and converted files. */
#include "support/model_support.h"

#include <string.h>

#define DATA "tests/data/models/"

/* golden name, node of the file */
static const char *const nodes[][2] = {
    { "activations", "model/Sigmoid" },
    { "dense_relu", "model/dense/Relu" },
    { "penultimate", "model/batch_normalization_10/batchnorm/add_1" },
    { "pool", "model/batch_normalization_9/batchnorm/add_1" },
    { NULL, NULL },
};

static sm_named mel_patch(sm_weights *front)
{
    return test_golden_input(front, "out.a", "model/Placeholder", &NN_SHAPE(1, 187, 96));
}

static void tensorflow_js_graphs_of_all_quantisations_run(void **state)
{
    static const char *const kinds[] = { "f32", "f16", "u16", "u8", "head" };
    static const char *const backends[] = { "ref", "onednn" };
    sm_weights *front = test_golden_open("tests/data/dsp/frontend_musicnn.safetensors"), *w, *golden;
    const sm_named in = mel_patch(front);
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(kinds); i++)
        for (size_t b = 0; b < SM_LENGTH(backends); b++) {
            const sm_run_options o = { .backend = backends[b], .taps = true };
            char path[128], what[64];
            sm_named *out;
            size_t n;
            if (!test_backend_there(backends[b]))
                continue;
            snprintf(path, sizeof path, DATA "tfjs_tiny_%s/model.json", kinds[i]);
            test_ok(sm_weights_open(path, &w));
            snprintf(path, sizeof path, DATA "tfjs_tiny_%s/expected.safetensors", kinds[i]);
            golden = test_golden_open(path);
            snprintf(what, sizeof what, "tfjs_tiny_%s on %s", kinds[i], backends[b]);
            test_ok(sm_model_run_tensors(NULL, w, &o, &in, 1, &out, &n));
            assert_int_equal(test_golden_compare(golden, out, n, nodes, 1e-5, what), 4);
            sm_named_free(out, n);
            sm_weights_close(w);
            sm_weights_close(golden);
        }
    sm_weights_close(front);
}

/* The hidden sum before a fused ReLU can be asked for, and is what the ReLU is made of. */
static void a_hidden_sum_is_found(void **state)
{
    sm_weights *front = test_golden_open("tests/data/dsp/frontend_musicnn.safetensors"), *w;
    const sm_named in = mel_patch(front);
    const char *const outputs[] = { "model/dense/BiasAdd", "model/dense/Relu", NULL };
    const sm_import_options o = { .batch = 1, .outputs = outputs };
    float sums[10], relus[10], *out[2] = { sums, relus };
    bool negative = false;
    (void)state;
    test_ok(sm_weights_open(DATA "tfjs_tiny_f32/model.json", &w));
    const nn_source source = sm_weights_source(w);
    assert_true(sm_import_has(sm_weights_graph(w), "model/dense/BiasAdd"));
    assert_false(sm_import_has(sm_weights_graph(w), "model/nothing/BiasAdd"));
    sm_view *v;
    test_ok(sm_view_open(NULL, w, NULL, &v));
    const nn_source view = sm_view_source(v);
    nn_graph *g = nn_graph_new();
    nn_plan *plan;
    nn_run_state *run;
    const nn_compile_options c = { .backend = "ref" };
    const void *inputs[1] = { in.tensor.data };
    (void)source;
    test_ok(sm_import_graph(g, sm_weights_graph(w), &view, &o));
    test_ok(nn_compile(g, &c, &plan));
    test_ok(nn_run_state_new(plan, &run));
    test_ok(nn_run(plan, run, inputs, out));
    for (int i = 0; i < 10; i++) {
        assert_float_equal(SM_MAX(sums[i], 0), relus[i], 1e-6);
        negative = negative || sums[i] < 0;
    }
    assert_true(negative);
    nn_run_state_free(run);
    nn_plan_free(plan);
    nn_graph_free(g);
    sm_view_close(v);
    sm_weights_close(w);
    sm_weights_close(front);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensorflow_js_graphs_of_all_quantisations_run),
        cmocka_unit_test(a_hidden_sum_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
