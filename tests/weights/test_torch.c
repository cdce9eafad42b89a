#include "weights/fixture.h"

static void expect_package(sm_weights *w)
{
    nn_tensor t, plain;
    assert_string_equal(sm_weights_format(w), "pytorch");
    expect_unit(w, "state.conv.weight", NN_SHAPE(2, 3, 4), "torch.0", EXACT);
    expect_unit(w, "state.bias", NN_SHAPE(5), "torch.1", HALF_ULP);
    expect_stored(w, "state.bias", NN_F16, NN_SHAPE(5));
    expect_unit(w, "state.brain", NN_SHAPE(2, 3), "torch.2", BF16_ULP);
    expect_stored(w, "state.steps", NN_I64, NN_SCALAR);
    test_ok(sm_weights_get(w, "state.steps", NULL, &t));
    assert_int_equal(*(const int64_t *)t.data, 1234567890123);
    /* strides [1, 4, 12] of the same storage: element [k, j, i] is [i, j, k] of the plain one */
    test_ok(sm_weights_get(w, "state.conv.weight", NULL, &plain));
    test_ok(sm_weights_get(w, "state.conv.turned", &NN_SHAPE(4, 3, 2), &t));
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 2; i++)
                assert_true(((const float *)t.data)[(k * 3 + j) * 2 + i] ==
                            ((const float *)plain.data)[(i * 3 + j) * 4 + k]);
    /* offset 13, size [3, 2], strides [4, 2] */
    test_ok(sm_weights_get(w, "state.conv.part", &NN_SHAPE(3, 2), &t));
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++)
            assert_true(((const float *)t.data)[i * 2 + j] == ((const float *)plain.data)[13 + 4 * i + 2 * j]);
    expect_meta(w, "klass", "\"demucs.htdemucs.HTDemucs\"");
    expect_meta(w, "kwargs.sources", "[\"drums\",\"bass\"]");
    expect_meta(w, "kwargs.segment", "{\"_type\":\"fraction\",\"numerator\":39,\"denominator\":5}");
    expect_meta(w, "kwargs.channels", "48");
    expect_meta(w, "kwargs.lr", "0.0003");
    expect_meta(w, "kwargs.none", "null");
    expect_meta(w, "kwargs.on", "true");
    expect_meta(w, "kwargs.big", "4294967296");
    assert_non_null(sm_weights_meta(w, "kwargs"));
    assert_null(sm_weights_meta(w, "state")); /* it holds tensors */
}

static void a_zip_package_gives_tensors_and_arguments(void **state)
{
    (void)state;
    static const char *const names[] = { "package.th", "package64.th" };
    for (size_t i = 0; i < SM_LENGTH(names); i++) {
        sm_weights *w = fixture_open(names[i]);
        assert_int_equal(sm_weights_count(w), 6);
        expect_package(w);
        sm_weights_close(w);
    }
}

static void the_older_raw_pickle_gives_the_same(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("legacy.pth");
    nn_tensor part, whole;
    assert_int_equal(sm_weights_count(w), 7);
    expect_package(w);
    /* a view of elements 2..4 of storage "1", of which the tensor takes the first two */
    test_ok(sm_weights_get(w, "state.view", &NN_SHAPE(2), &part));
    test_ok(sm_weights_get(w, "state.bias", NULL, &whole));
    assert_memory_equal(part.data, (const uint16_t *)whole.data + 2, 4);
    sm_weights_close(w);
}

/* Replaces one text of the fixture by another of the same length; data.pkl's check sum in the directory is cleared, as
 * torch.save may. */
static void change_and_refuse(const char *from, const char *to, size_t n, int code, const char *message)
{
    sm_buffer b = { 0 };
    test_ok(sm_file_read(fixture_path("package.th"), 1 << 20, &b));
    char *at = memmem(b.data, b.length, from, n);
    char *directory = memmem(b.data, b.length, "PK\1\2", 4);
    assert_non_null(at);
    assert_non_null(directory);
    memcpy(at, to, n);
    memset(directory + 16, 0, 4);
    expect_refused(b.data, b.length, code, message);
    sm_buffer_free(&b);
}

#define expect_changed_refused(from, to, code, message)                                                                \
    do {                                                                                                               \
        _Static_assert(sizeof(from) == sizeof(to), "the same length");                                                 \
        change_and_refuse(from, to, sizeof(from) - 1, code, message);                                                  \
    } while (0)

static void what_a_pickle_may_not_call_is_named(void **state)
{
    (void)state;
    expect_changed_refused("cfractions\nFraction\n", "cposix.sss\npopen.ss\n", SM_EUNSUPPORTED, "posix.sss.popen.ss");
    expect_changed_refused("cfractions\nFraction\n", "cbuiltins\neval.ssss\n", SM_EUNSUPPORTED, "not on the list");
    expect_changed_refused("ctorch\nHalfStorage\n", "ctorch\nCosyStorage\n", SM_EUNSUPPORTED, "torch.CosyStorage");
}

static void damaged_packages_are_named(void **state)
{
    (void)state;
    expect_changed_refused("X\1\0\0\0002X\3\0\0\0cpu", "X\1\0\0\0007X\3\0\0\0cpu", SM_EFORMAT,
                           "lacks the entry data/7");
    /* conv.weight of [2, 3, 4] turned into [9, 3, 4] */
    expect_changed_refused("(J\2\0\0\0J\3\0\0\0J\4\0\0\0t", "(J\11\0\0\0J\3\0\0\0J\4\0\0\0t", SM_EFORMAT,
                           "reaches beyond its storage of 24 values");
}

/* Written by torch.save of PyTorch 1.13, in both forms and two protocols. */
static void what_torch_itself_wrote_is_read(void **state)
{
    static const char *const names[] = { "real2.pth", "real4.pth", "real2_raw.pth", "real4_raw.pth" };
    (void)state;
    for (size_t k = 0; k < SM_LENGTH(names); k++) {
        sm_weights *w = fixture_open(names[k]);
        nn_tensor a, t;
        assert_int_equal(sm_weights_count(w), 10);
        if (!strstr(names[k], "raw"))
            expect_meta(w, "klass", "\"torch.nn.modules.linear.Linear\"");
        expect_unit(w, "state.a", NN_SHAPE(4, 6), "real.a", EXACT);
        expect_unit(w, "state.half", NN_SHAPE(5), "real.h", HALF_ULP);
        expect_unit(w, "state.brain", NN_SHAPE(5), "real.b", BF16_ULP);
        expect_unit(w, "state.parameter", NN_SHAPE(2), "real.p", EXACT);
        expect_values(w, "state.flags", 1, 0);
        expect_values(w, "state.count", 7);
        expect_stored(w, "state.empty", NN_F32, NN_SHAPE(0, 3));
        test_ok(sm_weights_get(w, "state.a", NULL, &a));
        test_ok(sm_weights_get(w, "state.turned", &NN_SHAPE(6, 4), &t));
        for (int i = 0; i < 24; i++)
            assert_true(((const float *)t.data)[i] == ((const float *)a.data)[i % 4 * 6 + i / 4]);
        test_ok(sm_weights_get(w, "state.part", &NN_SHAPE(2, 3), &t));
        for (int i = 0; i < 6; i++)
            assert_true(((const float *)t.data)[i] == ((const float *)a.data)[(1 + i / 3) * 6 + i % 3 * 2]);
        test_ok(sm_weights_get(w, "state.wide", &NN_SHAPE(2, 3), &t)); /* stride 0 */
        assert_memory_equal(t.data, (const float *)t.data + 3, 12);
        sm_weights_close(w);
    }
}

static void a_script_archive_gives_its_parameters(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("real_script.pt");
    expect_unit(w, "weight", NN_SHAPE(2, 3), "real.lw", EXACT);
    expect_unit(w, "bias", NN_SHAPE(2), "real.lb", EXACT);
    sm_weights_close(w);
}

static void a_zip_of_something_else_is_refused(void **state)
{
    (void)state;
    /* an empty archive */
    expect_refused("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22, SM_EFORMAT, "without data.pkl");
    expect_refused("PK\3\4 cut short", 14, SM_EFORMAT, "no directory");
    expect_refused("\x80\2}.", 4, SM_EFORMAT, "not one of PyTorch's");
}

static void the_real_tiny_crepe_opens(void **state)
{
    (void)state;
    const char *path = test_shared("models/crepe/tiny.pth");
    sm_weights *w = NULL;
    if (!path)
        test_skip("no real weights: SM_SHARED");
    test_ok(sm_weights_open(path, &w));
    assert_int_equal(sm_weights_count(w), 44);
    expect_stored(w, "conv1.weight", NN_F32, NN_SHAPE(128, 1, 512, 1));
    expect_stored(w, "conv6_BN.num_batches_tracked", NN_I64, NN_SCALAR);
    expect_stored(w, "classifier.weight", NN_F32, NN_SHAPE(360, 256));
    sm_weights_close(w);
}

/* The same network in both forms that its makers publish. */
static void a_demucs_package_equals_its_safetensors(void **state)
{
    (void)state;
    char package[512];
    const char *path = test_shared("golden/htdemucs/package-small-4s.th");
    sm_weights *a = NULL, *b = NULL;
    size_t same = 0;
    if (!path)
        test_skip("no goldens: SM_SHARED");
    snprintf(package, sizeof package, "%s", path);
    test_ok(sm_weights_open(package, &a));
    test_ok(sm_weights_open(test_shared("golden/htdemucs/package-small-4s-hf.safetensors"), &b));
    expect_meta(a, "kwargs.segment", "{\"_type\":\"fraction\",\"numerator\":9001,\"denominator\":44100}");
    expect_meta(a, "klass", "\"demucs.htdemucs.HTDemucs\"");
    expect_meta(a, "metrics.best", "0.125"); /* a numpy scalar */
    for (size_t i = 0; i < sm_weights_count(b); i++) {
        char name[300];
        nn_tensor x, y;
        test_ok(sm_weights_at(b, i, &y));
        snprintf(name, sizeof name, "state.%s", sm_weights_name(b, i));
        test_ok(sm_weights_get(a, name, &y.shape, &x));
        assert_int_equal(x.type, y.type);
        assert_memory_equal(x.data, y.data, (size_t)nn_elements(&x.shape) * nn_type_size(x.type));
        same++;
    }
    assert_int_equal(same, 433);
    assert_int_equal(sm_weights_count(a), 433);
    sm_weights_close(a);
    sm_weights_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zip_package_gives_tensors_and_arguments),
        cmocka_unit_test(the_older_raw_pickle_gives_the_same),
        cmocka_unit_test(what_a_pickle_may_not_call_is_named),
        cmocka_unit_test(damaged_packages_are_named),
        cmocka_unit_test(what_torch_itself_wrote_is_read),
        cmocka_unit_test(a_script_archive_gives_its_parameters),
        cmocka_unit_test(a_zip_of_something_else_is_refused),
        cmocka_unit_test(the_real_tiny_crepe_opens),
        cmocka_unit_test(a_demucs_package_equals_its_safetensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
