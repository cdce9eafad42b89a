/* Each pass: the same values as the graph as built, and what it promises to leave. */
#include "support/nn_support.h"

#include <string.h>

#include "nn/pass.h"
#include "nn/plan_type.h"

/* Sums in double, rounded to f32 once a node: folding changes only the rounding of weights. */
static const double bound = 1e-5;

static int count(const nn_graph *g, const nn_op *op)
{
    int n = 0;
    for (nn_id id = 0; id < nn_graph_size(g); id++)
        n += nn_at(g, id)->op == op && !nn_is_constant(g, id);
    return n;
}

/* The graph after all passes, for ref, which takes any post. */
static nn_graph *rewritten(const nn_graph *g, bool taps)
{
    nn_graph *c = NULL;
    const nn_compile_options o = { .backend = "ref", .taps = taps };
    test_ok(nn_graph_clone(g, &c));
    if (!taps)
        nn_graph_keep_taps(c, NULL);
    test_ok(nn_run_passes(c, nn_find_backend("ref"), &o));
    return c;
}

typedef struct {
    const nn_op *op;
    int n;
} expected;

/* Same values on every backend, and this many nodes of these operators afterwards. */
static void check(nn_graph *g, const char *what, const expected *e)
{
    test_ok(nn_graph_error(g));
    test_nn_same(g, "ref", NULL, 5, bound, what);
    test_nn_same(g, NULL, NULL, 5, bound, what);
    nn_graph *c = rewritten(g, false);
    for (; e->op; e++)
        if (count(c, e->op) != e->n)
            fail_msg("%s: %d nodes of %s, %d expected", what, count(c, e->op), e->op->name, e->n);
    nn_graph_free(c);
    nn_graph_free(g);
}
#define CHECK(g, what, ...) check(g, what, (const expected[]){ __VA_ARGS__, { NULL, 0 } })

static nn_id norm(nn_graph *g, const nn_source *w, const char *name, nn_id x, bool gamma)
{
    const nn_shape v = NN_SHAPE(nn_shape_of(g, x).dim[1]);
    const nn_id scale = gamma ? nn_weight(g, w, nn_name(g, "%s.gamma", name), v) : NN_NONE;
    return nn_batch_norm(g, x, scale, nn_weight(g, w, nn_name(g, "%s.beta", name), v),
                         nn_weight(g, w, nn_name(g, "%s.mean", name), v),
                         nn_weight(g, w, nn_name(g, "%s.var", name), v), 1e-3f);
}

static void batch_norm_and_activation_vanish_into_the_convolution(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    const nn_source *s = test_nn_source(w);
    (void)state;
    for (int groups = 1; groups <= 8; groups *= 2) {
        nn_graph *g = nn_graph_new();
        nn_id x = nn_input(g, "x", NN_SHAPE(2, 8, 9, 7));
        x = nn_conv(g, x, nn_weight(g, s, nn_name(g, "w%d", groups), NN_SHAPE(16, 8 / groups, 3, 3)), NN_NONE,
                    &(nn_conv_attrs){ .groups = groups, .same_tf = true });
        nn_output(g, "y", nn_unary(g, NN_RELU, norm(g, s, "bn", x, groups > 1)));
        CHECK(g, "conv, norm, relu", { &nn_op_conv, 1 }, { &nn_op_affine, 0 }, { &nn_op_batch_norm, 0 },
              { &nn_op_unary, 0 });
    }
    for (int groups = 1; groups <= 2; groups++) {
        nn_graph *g = nn_graph_new();
        nn_id x = nn_input(g, "x", NN_SHAPE(2, 4, 9));
        x = nn_conv_transpose(g, x, nn_weight(g, s, nn_name(g, "t%d", groups), NN_SHAPE(4, 6 / groups, 8)),
                              nn_weight(g, s, "tb", NN_SHAPE(6)),
                              &(nn_conv_transpose_attrs){ .groups = groups, .stride = { 4 } });
        nn_output(g, "y", norm(g, s, "tbn", x, true));
        CHECK(g, "transposed conv, norm", { &nn_op_conv_transpose, 1 }, { &nn_op_affine, 0 });
    }
    test_nn_weights_free(w);
}

static void crepes_order_becomes_posts(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    const nn_source *s = test_nn_source(w);
    nn_graph *g = nn_graph_new();
    nn_id x = nn_input(g, "x", NN_SHAPE(3, 4, 32));
    (void)state;
    for (int i = 0; i < 2; i++) {
        x = nn_conv(g, x, nn_weight(g, s, nn_name(g, "w%d", i), NN_SHAPE(4, 4, 8)),
                    nn_weight(g, s, nn_name(g, "b%d", i), NN_SHAPE(4)),
                    &(nn_conv_attrs){ .pad_before = { 3 }, .pad_after = { 4 } });
        x = norm(g, s, nn_name(g, "bn%d", i), nn_unary(g, NN_RELU, x), true);
        x = nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 2 } });
    }
    nn_output(g, "y", x);
    nn_graph *c = rewritten(g, false);
    for (nn_id id = 0; id < nn_graph_size(c); id++) {
        const nn_node *n = nn_at(c, id);
        if (n->op != &nn_op_conv)
            continue;
        assert_int_equal(n->n_posts, 2);
        assert_int_equal(n->posts[0].kind, NN_POST_UNARY);
        assert_int_equal(n->posts[1].kind, NN_POST_AFFINE);
    }
    nn_graph_free(c);
    CHECK(g, "conv, relu, norm, pool", { &nn_op_conv, 2 }, { &nn_op_affine, 0 }, { &nn_op_unary, 0 },
          { &nn_op_max_pool, 2 });
    test_nn_weights_free(w);
}

static void an_affine_goes_into_what_follows_only_without_padding(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    const nn_source *s = test_nn_source(w);
    (void)state;
    for (int pad = 0; pad <= 1; pad++)
        for (int groups = 1; groups <= 2; groups++) {
            nn_graph *g = nn_graph_new();
            nn_id x = norm(g, s, "in", nn_input(g, "x", NN_SHAPE(2, 6, 8, 5)), true);
            x = nn_conv(g, x, nn_weight(g, s, nn_name(g, "w%d", groups), NN_SHAPE(4, 6 / groups, 3, 2)), NN_NONE,
                        &(nn_conv_attrs){ .groups = groups, .pad_before = { pad } });
            nn_output(g, "y", x);
            CHECK(g, "norm, conv", { &nn_op_affine, pad }, { &nn_op_conv, 1 });
        }
    nn_graph *g = nn_graph_new();
    nn_id x = norm(g, s, "flat", nn_input(g, "x", NN_SHAPE(3, 20)), true);
    nn_output(g, "y", nn_linear(g, x, nn_weight(g, s, "lw", NN_SHAPE(7, 20)), nn_weight(g, s, "lb", NN_SHAPE(7))));
    CHECK(g, "norm, linear", { &nn_op_affine, 0 }, { &nn_op_linear, 1 });
    test_nn_weights_free(w);
}

static void residuals_are_added_by_the_later_branch(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    const nn_source *s = test_nn_source(w);
    nn_graph *g = nn_graph_new();
    nn_id x = nn_input(g, "x", NN_SHAPE(2, 6, 8, 5)), y = x;
    (void)state;
    for (int i = 0; i < 3; i++) {
        const nn_id before = y;
        y = nn_conv(g, y, nn_weight(g, s, nn_name(g, "w%d", i), NN_SHAPE(6, 6, 3, 3)), NN_NONE,
                    &(nn_conv_attrs){ .same_tf = true });
        y = nn_unary(g, NN_RELU, nn_binary(g, NN_ADD, i == 1 ? before : y, i == 1 ? y : before));
    }
    nn_output(g, "y", y);
    CHECK(g, "residual", { &nn_op_conv, 3 }, { &nn_op_binary, 0 }, { &nn_op_unary, 0 });

    g = nn_graph_new(); /* x + x must not be fused into x's own node */
    x = nn_conv(g, nn_input(g, "x", NN_SHAPE(1, 6, 4, 4)), nn_weight(g, s, "w0", NN_SHAPE(6, 6, 3, 3)), NN_NONE, NULL);
    nn_output(g, "y", nn_binary(g, NN_ADD, x, x));
    CHECK(g, "x + x", { &nn_op_conv, 1 }, { &nn_op_binary, 1 });

    g = nn_graph_new(); /* 1 - x and other - x are not posts; x - other is */
    const nn_id other = nn_input(g, "other", NN_SHAPE(1, 6, 2, 2));
    x = nn_conv(g, nn_input(g, "x", NN_SHAPE(1, 6, 4, 4)), nn_weight(g, s, "w0", NN_SHAPE(6, 6, 3, 3)), NN_NONE, NULL);
    nn_id z =
        nn_conv(g, nn_input(g, "z", NN_SHAPE(1, 6, 4, 4)), nn_weight(g, s, "w1", NN_SHAPE(6, 6, 3, 3)), NN_NONE, NULL);
    nn_output(g, "a", nn_binary(g, NN_SUB, other, x));
    nn_output(g, "b", nn_binary(g, NN_SUB, z, other));
    CHECK(g, "differences", { &nn_op_conv, 2 }, { &nn_op_binary, 1 });
    test_nn_weights_free(w);
}

/* What TensorFlow writes for a block with squeeze and excite: NHWC, a permutation around each convolution. */
static nn_id nhwc_conv(nn_graph *g, const nn_source *s, const char *name, nn_id x, int64_t filters, int size,
                       int groups)
{
    const int to[] = { 0, 3, 1, 2 }, from[] = { 0, 2, 3, 1 }, kernel[] = { 3, 2, 0, 1 };
    const int64_t channels = nn_shape_of(g, x).dim[3];
    const nn_id w = nn_permute(g, nn_weight(g, s, name, NN_SHAPE(size, size, channels / groups, filters)), kernel);
    const nn_id y = nn_conv(g, nn_permute(g, x, to), w, NN_NONE, &(nn_conv_attrs){ .same_tf = true, .groups = groups });
    const nn_id bias = nn_weight(g, s, nn_name(g, "%s.bias", name), NN_SHAPE(filters));
    return nn_binary(g, NN_ADD, nn_permute(g, y, from), bias);
}

static void nhwc_graphs_lose_all_their_permutations(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    const nn_source *s = test_nn_source(w);
    nn_graph *g = nn_graph_new();
    nn_id x = nn_input(g, "x", NN_SHAPE(2, 12, 10, 1));
    (void)state;
    x = nhwc_conv(g, s, "stem", x, 8, 3, 1);
    x = nn_binary(g, NN_MUL, x, nn_unary(g, NN_SIGMOID, x));
    nn_id y = nn_unary(g, NN_RELU, nhwc_conv(g, s, "deep", x, 8, 3, 8));
    nn_id squeeze = nn_reduce(g, NN_REDUCE_MEAN, y, 2 | 4, true);
    squeeze = nn_unary(g, NN_RELU, nhwc_conv(g, s, "reduce", squeeze, 4, 1, 1));
    squeeze = nn_unary(g, NN_SIGMOID, nhwc_conv(g, s, "expand", squeeze, 8, 1, 1));
    y = nn_binary(g, NN_MUL, y, squeeze);
    y = nn_binary(g, NN_ADD, nhwc_conv(g, s, "project", y, 8, 1, 1), x);
    y = nn_concat(g, (const nn_id[]){ y, nn_pad(g, nn_slice(g, x, 3, 0, 4, 1), NN_PAD_ZERO, 3, 0, 1) }, 2, 3);
    nn_output(g, "pooled", nn_reduce(g, NN_REDUCE_MEAN, y, 2 | 4, false));
    nn_output(g, "bands", nn_reduce(g, NN_REDUCE_MAX, y, 2, false)); /* [N, W, C]: one permutation must stay */
    CHECK(g, "NHWC", { &nn_op_permute, 1 }, { &nn_op_conv, 5 }, { &nn_op_affine, 0 }, { &nn_op_unary, 0 });
    test_nn_weights_free(w);
}

static void squeezed_one_dimensional_graphs_still_fuse(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    const nn_source *s = test_nn_source(w);
    nn_graph *g = nn_graph_new();
    nn_id x = nn_input(g, "x", NN_SHAPE(2, 3, 20));
    (void)state;
    x = nn_reshape(g, x, NN_SHAPE(2, 3, 1, 20));
    x = nn_conv(g, x, nn_weight(g, s, "w", NN_SHAPE(5, 3, 1, 4)), NN_NONE, NULL);
    x = norm(g, s, "bn", nn_reshape(g, x, NN_SHAPE(2, 5, 17)), true);
    x = nn_reshape(g, nn_unary(g, NN_RELU, x), NN_SHAPE(2, 85));
    nn_output(g, "y", nn_reshape(g, nn_reshape(g, x, NN_SHAPE(170)), NN_SHAPE(2, -1)));
    CHECK(g, "squeezed", { &nn_op_conv, 1 }, { &nn_op_affine, 0 }, { &nn_op_unary, 0 }, { &nn_op_reshape, 2 });
    test_nn_weights_free(w);
}

static void patterns_become_the_operators_meant(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    const nn_source *s = test_nn_source(w);
    nn_graph *g = nn_graph_new();
    nn_id x = nn_input(g, "x", NN_SHAPE(4, 9));
    (void)state;
    x = nn_matmul(g, x, nn_weight(g, s, "m", NN_SHAPE(9, 6)), false, false);
    x = nn_binary(g, NN_DIV, nn_binary(g, NN_ADD, x, nn_weight(g, s, "b", NN_SHAPE(1, 6))), nn_const_scalar(g, 3));
    x = nn_binary(g, NN_SUB, nn_const_scalar(g, 1), x);
    x = nn_binary(g, NN_MUL, nn_unary(g, NN_SIGMOID, x), x);
    nn_output(g, "y", x);
    CHECK(g, "dense", { &nn_op_linear, 1 }, { &nn_op_matmul, 0 }, { &nn_op_binary, 0 }, { &nn_op_affine, 0 },
          { &nn_op_unary, 0 });

    g = nn_graph_new(); /* a mask varies along two axes: it stays what it is */
    x = nn_input(g, "x", NN_SHAPE(4, 9));
    nn_output(g, "y", nn_binary(g, NN_MUL, x, nn_weight(g, s, "mask", NN_SHAPE(4, 9))));
    CHECK(g, "mask", { &nn_op_binary, 1 }, { &nn_op_affine, 0 });
    test_nn_weights_free(w);
}

static void zeros_around_a_convolution_become_its_padding(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    const nn_source *s = test_nn_source(w);
    (void)state;
    for (int kind = NN_PAD_ZERO; kind <= NN_PAD_EDGE; kind++) {
        nn_graph *g = nn_graph_new();
        nn_id x = nn_input(g, "x", NN_SHAPE(2, 3, 8, 6));
        x = nn_pad(g, nn_pad(g, x, (nn_pad_kind)kind, 2, 1, 2), (nn_pad_kind)kind, 3, 0, 1);
        nn_output(g, "y",
                  nn_conv(g, x, nn_weight(g, s, "w", NN_SHAPE(4, 3, 3, 3)), NN_NONE,
                          &(nn_conv_attrs){ .stride = { 2, 2 }, .pad_before = { 0, 1 } }));
        CHECK(g, "pad, conv", { &nn_op_pad, kind == NN_PAD_ZERO ? 0 : 2 }, { &nn_op_conv, 1 });
    }
    test_nn_weights_free(w);
}

static void equal_expressions_are_computed_once(void **state)
{
    nn_graph *g = nn_graph_new();
    const nn_id x = nn_input(g, "x", NN_SHAPE(5, 7));
    (void)state;
    nn_id sum = nn_softmax(g, nn_unary(g, NN_EXP, x), 1);
    for (int i = 0; i < 3; i++)
        sum = nn_binary(g, NN_ADD, sum, nn_softmax(g, nn_unary(g, NN_EXP, x), 1));
    nn_output(g, "y", sum);
    CHECK(g, "shared", { &nn_op_unary, 1 }, { &nn_op_softmax, 1 });
}

static void taps_stop_fusion_and_have_the_values_of_the_graph_as_built(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    const nn_source *s = test_nn_source(w);
    nn_graph *g = nn_graph_new();
    const nn_id in = nn_input(g, "x", NN_SHAPE(2, 4, 9));
    (void)state;
    nn_tap(g, "in", in);
    nn_id x = nn_tap(g, "conv", nn_conv(g, in, nn_weight(g, s, "w", NN_SHAPE(4, 4, 3)), NN_NONE, NULL));
    x = nn_tap(g, "norm", norm(g, s, "bn", x, true));
    x = nn_tap(g, "relu", nn_unary(g, NN_RELU, x));
    x = nn_tap(g, "flat", nn_reshape(g, x, NN_SHAPE(2, -1)));
    nn_output(g, "y", nn_unary(g, NN_TANH, x));
    nn_graph *c = rewritten(g, true);
    assert_int_equal(count(c, &nn_op_affine), 1);
    nn_graph_free(c);

    for (int backend = 0; backend < 2; backend++) {
        nn_plan *plans[2];
        nn_run_state *runs[2];
        test_nn_ports ports[2];
        for (int i = 0; i < 2; i++) {
            const nn_compile_options o = {
                .backend = i || backend ? "ref" : NULL, .plain = i, .taps = true, .precision = NN_PRECISION_F32
            };
            test_ok(nn_compile(g, &o, &plans[i]));
            test_ok(nn_plan_check(plans[i]));
            test_ok(nn_run_state_new(plans[i], &runs[i]));
            test_nn_ports_new(plans[i], NULL, 3, &ports[i]);
            test_ok(nn_run(plans[i], runs[i], (const void *const *)ports[i].in, ports[i].out));
        }
        assert_int_equal(nn_plan_taps(plans[0]), 5);
        for (int t = 0; t < 5; t++) {
            const char *name[2];
            nn_tensor v[2];
            for (int i = 0; i < 2; i++)
                test_ok(nn_run_tap(plans[i], runs[i], t, &name[i], &v[i]));
            assert_string_equal(name[0], name[1]);
            assert_true(nn_shape_equal(&v[0].shape, &v[1].shape));
            const double e = test_normalised_error(v[0].data, v[1].data, (size_t)nn_elements(&v[0].shape));
            if (!(e <= bound))
                fail_msg("tap %s: error %.3g", name[0], e);
        }
        for (int i = 0; i < 2; i++) {
            test_nn_ports_free(&ports[i]);
            nn_run_state_free(runs[i]);
            nn_plan_free(plans[i]);
        }
    }
    nn_graph_free(g);
    test_nn_weights_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_and_activation_vanish_into_the_convolution),
        cmocka_unit_test(crepes_order_becomes_posts),
        cmocka_unit_test(an_affine_goes_into_what_follows_only_without_padding),
        cmocka_unit_test(residuals_are_added_by_the_later_branch),
        cmocka_unit_test(nhwc_graphs_lose_all_their_permutations),
        cmocka_unit_test(squeezed_one_dimensional_graphs_still_fuse),
        cmocka_unit_test(patterns_become_the_operators_meant),
        cmocka_unit_test(zeros_around_a_convolution_become_its_padding),
        cmocka_unit_test(equal_expressions_are_computed_once),
        cmocka_unit_test(taps_stop_fusion_and_have_the_values_of_the_graph_as_built),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
