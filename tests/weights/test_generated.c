#include "weights/fixture.h"

#include <math.h>

#include "weights/store.h"

/* What shared/tools/genweights.py prints for these. */
static void values_are_the_generators(void **state)
{
    static const struct {
        const char *name;
        nn_shape shape;
        uint64_t seed;
        float first[3];
    } cases[] = {
        { "conv.weight", NN_SHAPE(2, 3), 0U, { -0.622262955f, 0.320159793f, 0.728238702f } },
        { "conv.weight", NN_SHAPE(2, 3), 5U, { 0.0111539364f, 0.365532041f, 0.997912288f } },
        { "bn.weight", NN_SHAPE(4), 1U, { 0.90008384f, 1.08717203f, 0.920591593f } },
        { "bn/gamma:0", NN_SHAPE(4), 1U, { 0.978239715f, 0.80061239f, 0.82089597f } },
        { "bn/beta:0", NN_SHAPE(4), 1U, { 0.0884622186f, -0.0330058224f, -0.0651670322f } },
        { "x.running_mean", NN_SHAPE(4), 2U, { -0.0354204178f, -0.0130369188f, -0.0109799262f } },
        { "a/b/moving_variance:0", NN_SHAPE(4), 2U, { 0.557340205f, 1.31432104f, 1.0441488f } },
        { "x.running_var", NN_SHAPE(4), 3U, { 1.09660161f, 0.843508363f, 1.38208437f } },
        { "layer1/conv/kernel:0", NN_SHAPE(3, 3, 1, 32), 13U, { 0.112765118f, 0.128383458f, -0.0673681796f } },
        { "scalar", { 0, { 0 } }, 9U, { 0.0690280423f } },
        { "caf\xC3\xA9", NN_SHAPE(3), UINT64_MAX, { -0.019002866f, 0.0173028354f, -0.075788036f } },
        { "deep.weight", NN_SHAPE(5, 4, 3, 2, 2), 21U, { 0.0897458196f, -0.177416444f, 0.155475885f } },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        sm_weights *w = NULL;
        nn_tensor t;
        test_ok(sm_weights_generated(cases[i].seed, NULL, &w));
        test_ok(sm_weights_get_f32(w, cases[i].name, &cases[i].shape, &t));
        for (int64_t k = 0; k < SM_MIN(3, nn_elements(&cases[i].shape)); k++)
            if (((const float *)t.data)[k] != cases[i].first[k])
                fail_msg("%s[%d] is %.9g, expected %.9g", cases[i].name, (int)k, (double)((const float *)t.data)[k],
                         (double)cases[i].first[k]);
        sm_weights_close(w);
    }
}

static bool halves(const char *name, const nn_shape *shape, double *offset, double *scale)
{
    (void)shape;
    *offset = 0.5;
    *scale = 0;
    return strcmp(name, "half") == 0;
}

static void a_rule_overrides_and_the_rest_follows_the_default(void **state)
{
    sm_weights *w = NULL, *plain = NULL;
    nn_tensor a, b;
    (void)state;
    test_ok(sm_weights_generated(7, halves, &w));
    test_ok(sm_weights_generated(7, NULL, &plain));
    test_ok(sm_weights_get_f32(w, "half", &NN_SHAPE(3), &a));
    assert_true(((const float *)a.data)[0] == 0.5f && ((const float *)a.data)[2] == 0.5f);
    test_ok(sm_weights_get_f32(w, "x", &NN_SHAPE(3), &a));
    test_ok(sm_weights_get_f32(plain, "x", &NN_SHAPE(3), &b));
    assert_memory_equal(a.data, b.data, 12);
    sm_weights_close(w);
    sm_weights_close(plain);
}

static void a_tensor_is_made_once_for_each_shape(void **state)
{
    sm_weights *w = NULL;
    nn_tensor a, b, c;
    (void)state;
    test_ok(sm_weights_generated(1, NULL, &w));
    assert_string_equal(sm_weights_label(w), "generated:1");
    assert_string_equal(sm_weights_format(w), "generated");
    assert_int_equal(sm_weights_count(w), 0);
    assert_true(sm_weights_has(w, "anything"));
    test_ok(sm_weights_get_f32(w, "x", &NN_SHAPE(2, 3), &a));
    test_ok(sm_weights_get(w, "x", &NN_SHAPE(2, 3), &b));
    test_ok(sm_weights_get(w, "x", &NN_SHAPE(3, 2), &c));
    assert_ptr_equal(a.data, b.data);
    assert_ptr_not_equal(a.data, c.data);
    assert_int_equal(sm_weights_count(w), 0);
    sm_weights_close(w);
}

static void matrices_may_be_stored_in_halves(void **state)
{
    sm_weights *w = NULL, *plain = NULL;
    nn_tensor half, single, vector, exact;
    (void)state;
    test_ok(sm_weights_generated_half(1, NULL, &w));
    test_ok(sm_weights_generated(1, NULL, &plain));
    test_ok(sm_weights_get(w, "x", &NN_SHAPE(2, 3), &half));
    test_ok(sm_weights_get_f32(w, "x", &NN_SHAPE(2, 3), &single));
    test_ok(sm_weights_get(w, "b", &NN_SHAPE(6), &vector));
    test_ok(sm_weights_get(plain, "x", &NN_SHAPE(2, 3), &exact));
    assert_int_equal(half.type, NN_F16);
    assert_int_equal(single.type, NN_F32);
    assert_int_equal(vector.type, NN_F32);
    for (int i = 0; i < 6; i++) {
        assert_true(w_half(((const uint16_t *)half.data)[i]) == ((const float *)single.data)[i]);
        assert_true(fabsf(((const float *)single.data)[i] - ((const float *)exact.data)[i]) <= 0x1p-12f * 2);
    }
    sm_weights_close(w);
    sm_weights_close(plain);
}

static void shapes_are_needed_and_must_make_sense(void **state)
{
    sm_weights *w = NULL;
    nn_tensor t;
    (void)state;
    test_ok(sm_weights_generated(1, NULL, &w));
    test_fails(sm_weights_get(w, "x", NULL, &t), SM_EUSAGE, "generated:1: x needs a shape");
    test_fails(sm_weights_get(w, "x", &NN_SHAPE(-1), &t), SM_EFORMAT, "negative size");
    test_fails(sm_weights_get(w, "x", &NN_SHAPE(INT64_MAX, 2), &t), SM_EFORMAT, "impossible size");
    sm_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_the_generators),
        cmocka_unit_test(a_rule_overrides_and_the_rest_follows_the_default),
        cmocka_unit_test(a_tensor_is_made_once_for_each_shape),
        cmocka_unit_test(matrices_may_be_stored_in_halves),
        cmocka_unit_test(shapes_are_needed_and_must_make_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
