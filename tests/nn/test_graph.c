/* Building: messages that name node and tensor, the first error stays, rewriting keeps the books. */
#include "support/nn_support.h"

#include <string.h>

#include "nn/plan_type.h"

static void the_first_error_names_scope_operator_and_tensor(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    nn_graph *g = nn_graph_new();
    (void)state;
    nn_scope(g, "layer%d", 3);
    nn_id x = nn_input(g, "mel", NN_SHAPE(1, 3, 8, 8));
    x = nn_conv(g, x, nn_weight(g, test_nn_source(w), "conv.weight", NN_SHAPE(4, 2, 3, 3)), NN_NONE, NULL);
    assert_int_equal(x, NN_NONE);
    test_fails(nn_graph_error(g), SM_EFORMAT,
               "layer3: conv: 'conv.weight' [4, 2, 3, 3] does not fit 'mel' [1, 3, 8, 8]");
    x = nn_unary(g, NN_RELU, x); /* goes on quietly */
    nn_output(g, "y", x);
    test_fails(nn_graph_error(g), SM_EFORMAT, "conv.weight");
    nn_plan *p = NULL;
    test_fails(nn_compile(g, NULL, &p), SM_EFORMAT, "conv.weight");
    assert_null(p);
    nn_graph_free(g);
    test_nn_weights_free(w);
}

static int missing(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    (void)user, (void)expected, (void)out;
    return sm_fail(SM_ENOTFOUND, "yamnet.h5: no tensor '%s'", name);
}

static void a_missing_tensor_is_named_with_its_file(void **state)
{
    const nn_source source = { missing, NULL, "yamnet.h5" };
    nn_graph *g = nn_graph_new();
    (void)state;
    nn_scope(g, "head");
    assert_int_equal(nn_weight(g, &source, "logits/kernel", NN_SHAPE(2, 2)), NN_NONE);
    test_fails(nn_graph_error(g), SM_ENOTFOUND, "yamnet.h5: no tensor 'logits/kernel'");
    nn_graph_free(g);
}

typedef nn_id (*wrong)(nn_graph *g, nn_id x);

static nn_id wrong_axis(nn_graph *g, nn_id x)
{
    return nn_softmax(g, x, 3);
}
static nn_id wrong_halves(nn_graph *g, nn_id x)
{
    return nn_glu(g, x, 1);
}
static nn_id wrong_broadcast(nn_graph *g, nn_id x)
{
    return nn_binary(g, NN_ADD, x, nn_input(g, "b", NN_SHAPE(4)));
}
static nn_id wrong_reshape(nn_graph *g, nn_id x)
{
    return nn_reshape(g, x, NN_SHAPE(4, -1));
}
static nn_id wrong_open(nn_graph *g, nn_id x)
{
    return nn_reshape(g, x, NN_SHAPE(-1, -1));
}
static nn_id wrong_order(nn_graph *g, nn_id x)
{
    return nn_permute(g, x, (const int[]){ 0, 1, 1 });
}
static nn_id wrong_slice(nn_graph *g, nn_id x)
{
    return nn_slice(g, x, 2, 4, 4, 1);
}
static nn_id wrong_reflection(nn_graph *g, nn_id x)
{
    return nn_pad(g, x, NN_PAD_REFLECT, 1, 3, 0);
}
static nn_id wrong_window(nn_graph *g, nn_id x)
{
    return nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 9 } });
}
static nn_id wrong_matmul(nn_graph *g, nn_id x)
{
    return nn_matmul(g, x, x, false, false);
}
static nn_id wrong_groups(nn_graph *g, nn_id x)
{
    return nn_group_norm(g, x, NN_NONE, NN_NONE, 2, 1e-5f);
}
static nn_id wrong_type(nn_graph *g, nn_id x)
{
    return nn_gather(g, nn_reshape(g, x, NN_SHAPE(6, 5)), x);
}
static nn_id wrong_state(nn_graph *g, nn_id x)
{
    const nn_id y = nn_reshape(g, x, NN_SHAPE(1, 2, 3, 5));
    return nn_state_write(g, y, y, nn_input_typed(g, "at", NN_I32, NN_SHAPE(1)));
}
static nn_id wrong_rotation(nn_graph *g, nn_id x)
{
    return nn_rotary(g, nn_reshape(g, x, NN_SHAPE(1, 2, 3, 5)), x, x, 6);
}
static nn_id wrong_huge(nn_graph *g, nn_id x)
{
    (void)x;
    return nn_input(g, "huge", NN_SHAPE(INT64_MAX / 2, 4));
}
static nn_id wrong_dilation(nn_graph *g, nn_id x)
{
    return nn_conv(g, x, x, NN_NONE, &(nn_conv_attrs){ .dilation = { -1 } });
}
static nn_id wrong_nothing(nn_graph *g, nn_id x)
{
    (void)x;
    return nn_unary(g, NN_RELU, NN_NONE);
}

static void wrong_operands_are_refused_with_a_reason(void **state)
{
    static const struct {
        wrong build;
        const char *message;
    } rows[] = {
        { wrong_axis, "softmax: 'x' [2, 3, 5] has no axis 3" },
        { wrong_halves, "glu: 'x' [2, 3, 5] has no halves along axis 1" },
        { wrong_broadcast, "binary: 'x' [2, 3, 5] does not broadcast with 'b' [4]" },
        { wrong_reshape, "'x' [2, 3, 5] does not reshape to [4, -1]" },
        { wrong_open, "no such shape: [-1, -1]" },
        { wrong_order, "not an order of 3 axes" },
        { wrong_slice, "nothing lies in 4 to 4 by 1 along axis 2" },
        { wrong_reflection, "too short to be reflected by 3" },
        { wrong_window, "the result would have the shape [2, 3, 0]" },
        { wrong_matmul, "'x' [2, 3, 5] does not fit 'x' [2, 3, 5]" },
        { wrong_groups, "does not split into 2 groups" },
        { wrong_type, "'x' [2, 3, 5]: f32, but i32 is expected" },
        { wrong_state, "a state is expected" },
        { wrong_rotation, "no 6 features" },
        { wrong_huge, "huge" },
        { wrong_dilation, "dilation -1" },
        { wrong_nothing, "unary: input 0 is not there" },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        nn_graph *g = nn_graph_new();
        assert_int_equal(rows[i].build(g, nn_input(g, "x", NN_SHAPE(2, 3, 5))), NN_NONE);
        if (nn_graph_error(g) >= 0 || !strstr(sm_last_error(), rows[i].message))
            fail_msg("row %zu: \"%s\"; expected \"%s\"", i, sm_last_error(), rows[i].message);
        nn_graph_free(g);
    }
}

static void replaced_nodes_and_what_only_they_used_are_gone_after_tidying(void **state)
{
    nn_graph *g = nn_graph_new();
    const nn_id x = nn_input(g, "x", NN_SHAPE(4));
    const nn_id a = nn_unary(g, NN_EXP, x), b = nn_unary(g, NN_LOG, a), c = nn_unary(g, NN_ABS, x);
    (void)state;
    nn_output(g, "y", b);
    assert_int_equal(nn_uses(g, x), 3); /* two users, and it is an input */
    nn_replace(g, b, c);
    assert_int_equal(nn_uses(g, b), 0);
    assert_int_equal(nn_uses(g, a), 0);
    assert_int_equal(nn_uses(g, x), 2);
    test_ok(nn_graph_tidy(g));
    assert_int_equal(nn_graph_size(g), 2);
    assert_true(nn_at(g, 1)->op == &nn_op_unary && nn_at(g, 1)->attrs.unary.kind == NN_ABS);
    nn_graph_free(g);
}

static void constants_convert_every_stored_type(void **state)
{
    static const double f64[] = { 1.5, -2, 0.25 };
    static const uint16_t f16[] = { 0x3e00, 0xc000, 0x3400 }, bf16[] = { 0x3fc0, 0xc000, 0x3e80 };
    static const int8_t i8[] = { 6, -8, 1 };
    static const uint8_t u8[] = { 16, 2, 11 };
    static const float quarter = 0.25f, each[] = { 0.5f, 1, 0.25f };
    static const int8_t per_channel[] = { 3, -2, 1 };
    static const int32_t ten = 10;
    const nn_tensor rows[] = {
        { NN_F64, NN_SHAPE(3), f64, NULL, NULL, -1 },   { NN_F16, NN_SHAPE(3), f16, NULL, NULL, -1 },
        { NN_BF16, NN_SHAPE(3), bf16, NULL, NULL, -1 }, { NN_I8, NN_SHAPE(3), i8, &quarter, NULL, -1 },
        { NN_U8, NN_SHAPE(3), u8, &quarter, &ten, -1 }, { NN_I8, NN_SHAPE(3), per_channel, each, NULL, 0 },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        nn_graph *g = nn_graph_new();
        nn_tensor t;
        void *owned = NULL;
        const nn_id id = nn_unary(g, NN_NEG, nn_const(g, &rows[i]));
        test_ok(nn_graph_error(g));
        test_ok(nn_constant(g, id, &t, &owned));
        const float *v = t.data;
        if (v[0] != -1.5f || v[1] != 2 || v[2] != -0.25f)
            fail_msg("row %zu: %g %g %g", i, (double)v[0], (double)v[1], (double)v[2]);
        sm_free(owned);
        nn_graph_free(g);
    }
}

static void deep_constant_expressions_neither_recurse_nor_repeat(void **state)
{
    nn_graph *g = nn_graph_new();
    nn_id x = nn_const_scalar(g, 1);
    double v = 0;
    (void)state;
    for (int i = 0; i < 60; i++) /* 2^60 if every path were walked */
        x = nn_binary(g, NN_MUL, nn_const_scalar(g, 0.5f), nn_binary(g, NN_ADD, x, x));
    for (int i = 0; i < 100000; i++)
        x = nn_unary(g, NN_NEG, x);
    test_ok(nn_graph_error(g));
    assert_true(nn_constant_scalar(g, x, &v));
    assert_true(v == 1);
    nn_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_error_names_scope_operator_and_tensor),
        cmocka_unit_test(a_missing_tensor_is_named_with_its_file),
        cmocka_unit_test(wrong_operands_are_refused_with_a_reason),
        cmocka_unit_test(replaced_nodes_and_what_only_they_used_are_gone_after_tidying),
        cmocka_unit_test(constants_convert_every_stored_type),
        cmocka_unit_test(deep_constant_expressions_neither_recurse_nor_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
