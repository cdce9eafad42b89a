#include "weights/fixture.h"

static void expect_attr_int(const sm_foreign_node *n, const char *name, int64_t value)
{
    const sm_foreign_attr *a = sm_foreign_attr_find(n, name);
    assert_non_null(a);
    assert_int_equal(a->kind, SM_ATTR_INT);
    assert_int_equal(a->i, value);
}

static void expect_attr_text(const sm_foreign_node *n, const char *name, const char *value)
{
    const sm_foreign_attr *a = sm_foreign_attr_find(n, name);
    assert_non_null(a);
    assert_int_equal(a->kind, SM_ATTR_STRING);
    assert_string_equal(a->s, value);
}

static void tensors_scales_and_operators_are_read(void **state)
{
    nn_tensor t, f;
    (void)state;
    sm_weights *w = fixture_open("model.tflite");
    assert_string_equal(sm_weights_format(w), "tflite");
    assert_int_equal(sm_weights_count(w), 5); /* activations have no data */
    expect_unit(w, "conv/b", NN_SHAPE(4), "tfl.bias", EXACT);
    expect_values(w, "shape", 1, 64);
    expect_meta(w, "description", "made up");
    /* per-channel along the first axis, no zero points */
    test_ok(sm_weights_get(w, "conv/w", &NN_SHAPE(4, 3, 3, 2), &t));
    assert_int_equal(t.type, NN_I8);
    assert_int_equal(t.scale_axis, 0);
    test_ok(sm_weights_get_f32(w, "conv/w", NULL, &f));
    for (int i = 0; i < 72; i++) {
        static const float scale[] = { 0.5f, 0.25f, 0.125f, 1 };
        assert_true(((const float *)f.data)[i] == scale[i / 18] * ((const int8_t *)t.data)[i]);
    }
    /* per-channel along the last axis, with zero points */
    test_ok(sm_weights_get(w, "dw/w", NULL, &t));
    assert_int_equal(t.type, NN_U8);
    assert_int_equal(t.scale_axis, 3);
    test_ok(sm_weights_get_f32(w, "dw/w", NULL, &f));
    for (int i = 0; i < 36; i++) {
        static const float scale[] = { 0.01f, 0.02f, 0.03f, 0.04f }, zero[] = { 128, 127, 0, 255 };
        assert_true(((const float *)f.data)[i] == scale[i % 4] * ((float)((const uint8_t *)t.data)[i] - zero[i % 4]));
    }
    test_ok(sm_weights_get(w, "fc/w", NULL, &t)); /* one scale */
    assert_int_equal(t.scale_axis, -1);
    assert_true(t.scale[0] == 0.0078125f);
    sm_weights_close(w);
}

static void the_graph_has_names_options_and_order(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("model.tflite");
    const sm_foreign_graph *g = sm_weights_graph(w);
    assert_non_null(g);
    assert_string_equal(g->dialect, "tflite");
    assert_int_equal(g->n_nodes, 4);
    assert_string_equal(g->inputs[0].name, "x");
    assert_true(nn_shape_equal(&g->inputs[0].shape, &NN_SHAPE(-1, 8, 8, 2)));
    assert_string_equal(g->outputs[0].name, "scores");
    const sm_foreign_node *conv = &g->nodes[0], *dw = &g->nodes[1];
    assert_string_equal(conv->op, "CONV_2D");
    expect_attr_text(conv, "padding", "SAME");
    expect_attr_text(conv, "fused_activation_function", "RELU");
    expect_attr_int(conv, "stride_w", 2);
    expect_attr_int(conv, "dilation_w_factor", 1); /* absent: its default */
    assert_string_equal(dw->op, "DEPTHWISE_CONV_2D");
    expect_attr_text(dw, "padding", "VALID");
    expect_attr_text(dw, "fused_activation_function", "RELU6");
    expect_attr_int(dw, "dilation_h_factor", 2);
    assert_string_equal(dw->inputs[0], "conv/out");
    assert_string_equal(dw->inputs[2], "");            /* an optional input that is absent */
    assert_string_equal(dw->outputs[0], "conv/out#5"); /* a name that was taken */
    assert_null(sm_foreign_attr_find(dw, "beta"));
    assert_string_equal(g->nodes[3].op, "FULLY_CONNECTED");
    sm_weights_close(w);
}

/* Counts and scales as specs/YAMNET.md tells them; the hash is of our own dequantisation in Python. */
static void the_real_yamnet_opens(void **state)
{
    (void)state;
    const char *path = test_shared("models/yamnet/yamnet.tflite");
    sm_weights *w = NULL;
    size_t conv = 0, quantised = 0, per_channel = 0;
    if (!path)
        test_skip("no real weights: SM_SHARED");
    test_ok(sm_weights_open(path, &w));
    const sm_foreign_graph *g = sm_weights_graph(w);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const sm_foreign_node *n = &g->nodes[i];
        nn_tensor t;
        if (strcmp(n->op, "CONV_2D") != 0 && strcmp(n->op, "DEPTHWISE_CONV_2D") != 0)
            continue;
        conv++;
        test_ok(sm_weights_get(w, n->inputs[1], NULL, &t));
        quantised += t.type == NN_I8;
        per_channel += t.scale_axis == (n->op[0] == 'C' ? 0 : 3);
        assert_null(t.zero && t.zero[0] ? "a zero point" : NULL);
        assert_true(sm_weights_has(w, n->inputs[2]));
    }
    assert_int_equal(conv, 27);
    assert_int_equal(quantised, 24);
    assert_int_equal(per_channel, 24);
    assert_int_equal(g->n_inputs, 1);
    assert_int_equal(g->n_outputs, 1);
    assert_true(nn_shape_equal(&g->outputs[0].shape, &NN_SHAPE(1, 521)));
    sm_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_scales_and_operators_are_read),
        cmocka_unit_test(the_graph_has_names_options_and_order),
        cmocka_unit_test(the_real_yamnet_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
