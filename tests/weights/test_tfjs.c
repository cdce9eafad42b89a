#include "weights/graph_text.h"

static void shards_are_joined_and_codes_decoded(void **state)
{
    nn_tensor t;
    (void)state;
    sm_weights *w = fixture_open("tfjs/model.json");
    assert_string_equal(sm_weights_format(w), "tfjs");
    assert_int_equal(sm_weights_count(w), 4);
    expect_unit(w, "bias", NN_SHAPE(4), "tfjs.bias", EXACT); /* straddles the two shards */
    expect_unit(w, "half", NN_SHAPE(4), "tfjs.bias", HALF_ULP);
    expect_stored(w, "half", NN_F16, NN_SHAPE(4));
    expect_values(w, "axis", 1);
    test_ok(sm_weights_get(w, "kernel", &NN_SHAPE(3, 4), &t));
    assert_int_equal(t.type, NN_F32);
    /* uint8: q * 0.01 - 0.75; the first bytes of the first shard */
    sm_buffer shard = { 0 };
    test_ok(sm_file_read(fixture_path("tfjs/shard1.bin"), 100, &shard));
    for (int i = 0; i < 12; i++)
        assert_true(((const float *)t.data)[i] == (float)((uint8_t)shard.data[i] * 0.01 + -0.75));
    sm_buffer_free(&shard);
    sm_weights_close(w);
}

static void the_graph_and_its_attributes_are_read(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("tfjs/model.json");
    const sm_foreign_graph *g = sm_weights_graph(w);
    expect_graph(w, false, "_FusedMatMul(x, kernel, bias) -> mm\nSoftmax(mm) -> y\n");
    const sm_foreign_node *mm = &g->nodes[0];
    const sm_foreign_attr *a = sm_foreign_attr_find(mm, "fused_ops");
    assert_int_equal(a->kind, SM_ATTR_STRINGS);
    assert_int_equal(a->n, 2);
    assert_string_equal(a->strings[0], "BiasAdd");
    assert_string_equal(a->strings[1], "Relu");
    assert_string_equal(sm_foreign_attr_find(mm, "mode")->s, "VALID");
    assert_int_equal(sm_foreign_attr_find(mm, "num_args")->i, 1);
    assert_int_equal(sm_foreign_attr_find(mm, "transpose_a")->i, 0);
    assert_true(sm_foreign_attr_find(mm, "epsilon")->f == 0.5);
    assert_int_equal(sm_foreign_attr_find(mm, "strides")->ints[1], 2);
    assert_true(nn_shape_equal(&g->inputs[0].shape, &NN_SHAPE(-1, 3)));
    assert_int_equal(g->n_outputs, 1);
    assert_string_equal(g->outputs[0].name, "y"); /* the signature says y:0 */
    sm_weights_close(w);
}

/* The fixture with one text replaced, in a folder of its own, with the shards. */
static void expect_changed_refused(const char *folder, const char *from, const char *to, int code, const char *message)
{
    sm_buffer model = { 0 }, shard = { 0 }, changed = { 0 };
    char path[256];
    sm_weights *w = NULL;
    for (int i = 1; i <= 2; i++) {
        snprintf(path, sizeof path, "tfjs/shard%d.bin", i);
        test_ok(sm_file_read(fixture_path(path), 100, &shard));
        snprintf(path, sizeof path, "%s/shard%d.bin", folder, i);
        test_write_file(path, shard.data, shard.length);
        sm_buffer_free(&shard);
    }
    test_ok(sm_file_read(fixture_path("tfjs/model.json"), 1 << 20, &model));
    const char *at = strstr(model.data, from);
    assert_non_null(at);
    sm_buffer_add(&changed, model.data, (size_t)(at - model.data));
    sm_buffer_text(&changed, to);
    sm_buffer_text(&changed, at + strlen(from));
    snprintf(path, sizeof path, "%s/model.json", folder);
    test_write_file(path, changed.data, changed.length);
    test_fails(sm_weights_open(path, &w), code, message);
    sm_buffer_free(&model);
    sm_buffer_free(&changed);
}

static void manifests_that_lie_are_refused(void **state)
{
    static const struct {
        const char *from, *to;
        int code;
        const char *message;
    } cases[] = {
        { "\"shard2.bin\"", "\"absent.bin\"", SM_ENOTFOUND, "absent.bin" },
        { "\"shard1.bin\"", "\"../shard1.bin\"", SM_EFORMAT, "no file beside it" },
        { "\"shard1.bin\"", "\"/etc/passwd\"", SM_EFORMAT, "no file beside it" },
        { "\"shard1.bin\"", "\"a/../../b\"", SM_EFORMAT, "no file beside it" },
        { ", \"shard2.bin\"", "", SM_EFORMAT, "the shards hold 17 bytes, the manifest tells 40" },
        { "[3, 4]", "[3, 3]", SM_EFORMAT, "more bytes than the manifest tells" },
        { "[3, 4]", "[3, 5]", SM_EFORMAT, "the shards hold 40 bytes, the manifest tells 43" },
        { "[3, 4]", "[3000000000, 4000000000]", SM_EFORMAT, "impossible size" },
        { "\"dtype\": \"int32\"", "\"dtype\": \"string\"", SM_EUNSUPPORTED, "type string" },
        { "\"dtype\": \"uint8\"", "\"dtype\": \"uint7\"", SM_EUNSUPPORTED, "quantised" },
        { "\"name\": \"half\", \"shape\"", "\"name\": \"bias\", \"shape\"", SM_EFORMAT,
          "two tensors are called \"bias\"" },
        { "\"weightsManifest\"", "\"weightsManifesto\"", SM_EFORMAT, "no model.json" },
        { "\"input\": [\"mm\"]", "\"input\": [\"nn\"]", SM_EFORMAT, "wants \"nn\", which nothing makes" },
        { "\"y:0\"", "\"z:0\"", SM_EFORMAT, "output \"z\" is made by nothing" },
        { "\"VkFMSUQ=\"", "\"Vk*MSUQ=\"", SM_EFORMAT, "base64" },
    };
    const test_place *place = *state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++)
        expect_changed_refused(place->folder, cases[i].from, cases[i].to, cases[i].code, cases[i].message);
}

/* Every quantisation of one network: the same names and shapes, values within half a step of the float32 file's. */
static void the_goldens_quantisations_agree(void **state)
{
    static const struct {
        const char *name;
        double step; /* of the range max - min of a tensor */
    } kinds[] = { { "u8", 0.5 / 255 }, { "u16", 0.5 / 65535 }, { "f16", 0x1p-11 } };
    char path[512];
    sm_weights *plain = NULL;
    (void)state;
    if (!test_shared("golden/essentia/tfjs_tiny_f32/model.json"))
        test_skip("no goldens: SM_SHARED");
    test_ok(sm_weights_open(test_shared("golden/essentia/tfjs_tiny_f32/model.json"), &plain));
    for (size_t k = 0; k < SM_LENGTH(kinds); k++) {
        sm_weights *w = NULL;
        snprintf(path, sizeof path, "golden/essentia/tfjs_tiny_%s/model.json", kinds[k].name);
        test_ok(sm_weights_open(test_shared(path), &w));
        assert_int_equal(sm_weights_count(w), sm_weights_count(plain));
        for (size_t i = 0; i < sm_weights_count(plain); i++) {
            const char *name = sm_weights_name(plain, i);
            nn_tensor a, b;
            double low = 0, high = 0;
            test_ok(sm_weights_get_f32(plain, name, NULL, &a));
            test_ok(sm_weights_get_f32(w, name, &a.shape, &b));
            const size_t n = (size_t)nn_elements(&a.shape);
            for (size_t q = 0; q < n; q++) {
                low = fmin(low, ((const float *)a.data)[q]);
                high = fmax(high, ((const float *)a.data)[q]);
            }
            /* 1.01: the converter shifts the range a little so that 0 is a code */
            const double bound = kinds[k].step * (high - low) * 1.01 + 1e-7 * (high - low);
            for (size_t q = 0; q < n; q++)
                if (fabs((double)((const float *)a.data)[q] - (double)((const float *)b.data)[q]) > bound)
                    fail_msg("%s %s[%zu]: %.9g, float32 %.9g, bound %g", kinds[k].name, name, q,
                             (double)((const float *)b.data)[q], (double)((const float *)a.data)[q], bound);
        }
        assert_int_equal(sm_weights_graph(w)->n_nodes, sm_weights_graph(plain)->n_nodes);
        sm_weights_close(w);
    }
    sm_weights_close(plain);
}

static void real_musicnn_opens(void **state)
{
    (void)state;
    const char *path = test_shared("models/essentia/msd-musicnn-1/model.json");
    sm_weights *w = NULL;
    if (!path)
        test_skip("no real weights: SM_SHARED");
    test_ok(sm_weights_open(path, &w));
    const sm_foreign_graph *g = sm_weights_graph(w);
    assert_string_equal(g->nodes[g->n_nodes - 1].outputs[0], "model/Sigmoid");
    assert_string_equal(g->outputs[0].name, "model/Sigmoid");
    expect_stored(w, "conv2d/kernel", NN_F32, NN_SHAPE(7, 38, 1, 204));
    sm_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_joined_and_codes_decoded),
        cmocka_unit_test(the_graph_and_its_attributes_are_read),
        cmocka_unit_test_setup_teardown(manifests_that_lie_are_refused, test_place_make, test_place_remove),
        cmocka_unit_test(the_goldens_quantisations_agree),
        cmocka_unit_test(real_musicnn_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
