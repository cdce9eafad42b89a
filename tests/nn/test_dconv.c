/* DConv: the parts, spelled out, become one node of the onednn backend with the same values, for items and for rows of images. */
#include "support/nn_support.h"

#include "nn/onednn/onednn.h"

#include <string.h>

/* Sizes beside tiles (12), blocks (96) and lanes (16); items shorter than a filter; wide hidden layers. */
static const struct {
    int items, rows, channels, hidden, steps, branches; /* rows 0: a sequence */
    float offset;                                       /* of the input: makes means large beside deviations */
} cases[] = {
    { 1, 0, 48, 6, 1000, 2, 0 }, { 1, 9, 48, 6, 336, 2, 0 }, { 1, 2, 384, 48, 70, 2, 0 },
    { 2, 3, 8, 1, 5, 2, 0 },     { 3, 0, 17, 5, 97, 1, 0 },  { 1, 0, 40, 33, 500, 4, 0 },
    { 1, 40, 16, 2, 20, 3, 0 },  { 1, 0, 20, 20, 1, 1, 0 },  { 1, 0, 24, 3, 193, 2, 30 },
};

/* tapped: a tap inside stops the fusion, so that its parts run by themselves. */
static nn_id branch(nn_graph *g, const nn_source *w, nn_id x, int hidden, int d, bool tapped)
{
    const int c = (int)nn_shape_of(g, x).dim[1], dilation = 1 << d;
    const nn_conv_attrs a = { .dilation = { dilation }, .pad_before = { dilation }, .pad_after = { dilation } };
    nn_id y = nn_conv(g, x, nn_weight(g, w, nn_name(g, "w1 %d", d), NN_SHAPE(hidden, c, 3)),
                      nn_weight(g, w, nn_name(g, "b1 %d", d), NN_SHAPE(hidden)), &a);
    y = nn_group_norm(g, y, nn_weight(g, w, nn_name(g, "gamma1 %d", d), NN_SHAPE(hidden)),
                      nn_weight(g, w, nn_name(g, "beta1 %d", d), NN_SHAPE(hidden)), 1, 1e-5f);
    y = nn_conv(g, nn_unary(g, NN_GELU, y), nn_weight(g, w, nn_name(g, "w2 %d", d), NN_SHAPE(2 * c, hidden, 1)),
                nn_weight(g, w, nn_name(g, "b2 %d", d), NN_SHAPE(2 * c)), NULL);
    y = nn_group_norm(g, y, nn_weight(g, w, nn_name(g, "gamma2 %d", d), NN_SHAPE(2 * c)),
                      nn_weight(g, w, nn_name(g, "beta2 %d", d), NN_SHAPE(2 * c)), 1, 1e-5f);
    y = nn_binary(g, NN_MUL, nn_glu(g, tapped ? nn_tap(g, nn_name(g, "inside %d", d), y) : y, 1),
                  nn_weight(g, w, nn_name(g, "scale %d", d), NN_SHAPE(c, 1)));
    return d % 2 ? nn_binary(g, NN_ADD, y, x) : nn_binary(g, NN_ADD, x, y);
}

typedef enum { UNTAPPED, BETWEEN, INSIDE } taps;

static nn_graph *build(const nn_source *w, size_t i, taps tapped)
{
    static const int rows_first[4] = { 0, 2, 1, 3 };
    nn_graph *g = nn_graph_new();
    const int n = cases[i].items, c = cases[i].channels, rows = cases[i].rows, steps = cases[i].steps;
    nn_id x = nn_input(g, "x", rows ? NN_SHAPE(n, c, rows, steps) : NN_SHAPE(n, c, steps));

    if (cases[i].offset != 0)
        x = nn_binary(g, NN_ADD, x, nn_const_scalar(g, cases[i].offset));
    if (rows)
        x = nn_reshape(g, nn_permute(g, x, rows_first), NN_SHAPE(n * rows, c, steps));
    for (int d = 0; d < cases[i].branches; d++) {
        x = branch(g, w, x, cases[i].hidden, d, tapped == INSIDE);
        if (tapped == BETWEEN && d == 0)
            nn_tap(g, "first", x);
    }
    if (rows)
        x = nn_permute(g, nn_reshape(g, x, NN_SHAPE(n, rows, c, steps)), rows_first);
    nn_output(g, "y", x);
    return g;
}

static void all_branches_are_one_node_with_the_same_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        char what[40];
        test_nn_weights *w = test_nn_weights_new();
        nn_graph *g = build(test_nn_source(w), i, UNTAPPED);
        snprintf(what, sizeof what, "case %zu", i);
        test_nn_same(g, "onednn", NULL, i, 2e-6, what); /* 4e-7 measured */
        if (test_nn_steps(g, "dconv", false) != 1 || test_nn_steps(g, "group_norm", false) ||
            test_nn_steps(g, "permute", false))
            fail_msg("case %zu is not one node", i);
        nn_graph_free(g);
        test_nn_weights_free(w);
    }
}

static void a_tap_between_branches_keeps_its_value(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    nn_graph *g = build(test_nn_source(w), 0, BETWEEN);
    (void)state;
    assert_int_equal(test_nn_steps(g, "dconv", true), 2);
    nn_graph_free(g);
    test_nn_weights_free(w);
}

/* Group norm and GLU behind a convolution, in its layout: the steps that other networks use. */
static void parts_that_are_tapped_match_the_reference_on_any_number_of_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        test_nn_weights *w = test_nn_weights_new();
        nn_graph *g = build(test_nn_source(w), i, INSIDE);
        test_nn_ports expected, one, more;
        test_nn_run(g, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, i, &expected);
        test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32, .taps = true }, NULL, i, &one);
        test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32, .taps = true, .threads = 3 }, NULL, i,
                    &more);
        const double e = test_nn_error(&one, &expected);
        if (!(e < 2e-6)) /* 4e-7 measured */
            fail_msg("case %zu: error %.3g", i, e);
        if (memcmp(one.out[0], more.out[0], one.length[0] * sizeof(float)) != 0)
            fail_msg("case %zu differs on 3 threads", i);
        if (test_nn_steps(g, "dconv", true) || !test_nn_steps(g, "group_norm", true) || !test_nn_steps(g, "glu", true))
            fail_msg("case %zu is fused over its tap", i);
        test_nn_ports_free(&expected);
        test_nn_ports_free(&one);
        test_nn_ports_free(&more);
        nn_graph_free(g);
        test_nn_weights_free(w);
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        test_nn_weights *w = test_nn_weights_new();
        nn_graph *g = build(test_nn_source(w), i, UNTAPPED);
        char what[40];
        snprintf(what, sizeof what, "case %zu", i);
        test_nn_same_bits(g, i, what);
        nn_graph_free(g);
        test_nn_weights_free(w);
    }
}

/* The fused node's own reference kernel, as `ref` would run it. */
static void the_fused_node_has_a_reference_too(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    test_nn_ports expected, got;
    (void)state;
    nn_graph *g = build(test_nn_source(w), 3, UNTAPPED), *fused = NULL; /* 8 channels */
    test_nn_run(g, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, 1, &expected);
    test_ok(nn_graph_clone(g, &fused));
    for (nn_id id = 0, n = nn_graph_size(fused); id < n; id++) { /* what the pass `recognise` does */
        const nn_node node = *nn_at(fused, id);
        if (node.op == &nn_op_binary && node.attrs.binary.kind == NN_MUL)
            nn_replace(fused, id,
                       nn_affine(fused, node.inputs[0], nn_reshape(fused, node.inputs[1], NN_SHAPE(8)),
                                 nn_filled(fused, NN_SHAPE(8), 0), 1));
    }
    test_ok(nn_graph_tidy(fused));
    for (nn_id id = 0, n = nn_graph_size(fused); id < n; id++)
        test_ok(nn_dnnl_fuse_dconv(fused, id));
    test_ok(nn_graph_tidy(fused));
    test_nn_run(fused, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, 1, &got);
    const double e = test_nn_error(&got, &expected);
    if (!(e < 1e-6))
        fail_msg("error %.3g", e);
    test_nn_ports_free(&got);
    test_nn_ports_free(&expected);
    nn_graph_free(fused);
    nn_graph_free(g);
    test_nn_weights_free(w);
}

static void compiling_survives_any_failed_allocation(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    (void)state;
    nn_graph *g = build(test_nn_source(w), 3, UNTAPPED);
    test_every_allocation_may_fail(test_nn_compile_and_open, g);
    nn_graph_free(g);
    test_nn_weights_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_branches_are_one_node_with_the_same_values),
        cmocka_unit_test(a_tap_between_branches_keeps_its_value),
        cmocka_unit_test(parts_that_are_tapped_match_the_reference_on_any_number_of_threads),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(the_fused_node_has_a_reference_too),
        cmocka_unit_test(compiling_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
