#include "weights/fixture.h"

static void expect_common(sm_weights *w)
{
    assert_string_equal(sm_weights_format(w), "keras-h5");
    expect_unit(w, "conv1/conv1_3/kernel:0", NN_SHAPE(3, 1, 2, 4), "h5.kernel", EXACT);
    expect_unit(w, "conv1/conv1_3/bias:0", NN_SHAPE(4), "h5.bias", HALF_ULP);
    expect_unit(w, "conv1-BN/gamma:0", NN_SHAPE(5), "h5.gamma", EXACT);
    expect_stored(w, "conv1-BN/gamma:0", NN_F64, NN_SHAPE(5));
    expect_stored(w, "conv1/conv1_3/bias:0", NN_F16, NN_SHAPE(4));
    expect_values(w, "conv1-BN/scalar", -42);
    expect_values(w, "conv1-BN/flags", 1, 0, 1);
    assert_false(sm_weights_has(w, "conv1-BN/text"));
    expect_meta(w, "keras_version", "2.1.5"); /* fixed length */
    expect_meta(w, "backend", "tensorflow");  /* variable length */
    expect_meta(w, "layer_names", "[\"conv1\",\"conv1-BN\",\"long\"]");
    expect_meta(w, "weight_names:conv1", "[\"conv1_3/kernel:0\",\"conv1_3/bias:0\"]");
    expect_meta(w, "weight_names:conv1-BN", "[\"gamma:0\",\"caf\xC3\xA9:0\"]");
    expect_meta(w, "count", "3");
    expect_meta(w, "ratio", "0.5");
}

static void old_groups_and_chunked_data_are_read(void **state)
{
    static const char *const names[] = { "keras.h5", "userblock.h5" };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(names); i++) {
        sm_weights *w = fixture_open(names[i]);
        char name[16];
        assert_int_equal(sm_weights_count(w), 29);
        expect_common(w);
        for (int k = 0; k < 20; k++) { /* more than one symbol table holds */
            snprintf(name, sizeof name, "long/w%02d", k);
            expect_values(w, name, (float)k, (float)k);
        }
        expect_unit(w, "long/chunked", NN_SHAPE(7, 5, 3), "h5.chunked", EXACT);
        expect_unit(w, "long/packed", NN_SHAPE(7, 5, 3), "h5.chunked", EXACT); /* shuffle, deflate, checksum */
        expect_values(w, "long/partly", 1.5f, 1.5f, 7, 7, 1.5f, 1.5f);         /* one chunk of three was written */
        expect_values(w, "long/never", -2, -2, -2);
        sm_weights_close(w);
    }
}

static void new_groups_and_headers_are_read(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("latest.h5"); /* superblock 3, object headers 2, link messages, layout 4 */
    assert_int_equal(sm_weights_count(w), 7);
    expect_common(w);
    expect_unit(w, "latest/one", NN_SHAPE(4, 4), "h5.one", EXACT);
    expect_unit(w, "latest/plain", NN_SHAPE(4, 4), "h5.one", EXACT);
    sm_weights_close(w);
}

static void a_file_that_was_cut_says_so(void **state)
{
    sm_buffer b = { 0 };
    (void)state;
    test_ok(sm_file_read(fixture_path("keras.h5"), 1 << 20, &b));
    expect_refused(b.data, b.length - 1, SM_EFORMAT, "cut short");
    expect_refused(b.data, 20, SM_EFORMAT, "superblock is cut short");
    sm_buffer_free(&b);
}

/* One byte of packed data changed: opening is lazy, the tensor tells. */
static void damaged_chunks_are_told_by_their_tensor(void **state)
{
    sm_buffer b = { 0 };
    sm_weights *w = NULL;
    nn_tensor t;
    (void)state;
    test_ok(sm_file_read(fixture_path("latest.h5"), 1 << 20, &b));
    char *deflated = memmem(b.data, b.length, "\x78\x5E", 2);
    if (!deflated)
        deflated = memmem(b.data, b.length, "\x78\x9C", 2);
    assert_non_null(deflated);
    deflated[0] ^= 0x40;
    test_ok(sm_weights_open_memory(b.data, b.length, "bytes", &w));
    test_fails(sm_weights_get(w, "latest/one", NULL, &t), SM_EFORMAT, "\"latest/one\": a chunk cannot be decompressed");
    assert_null(t.data);
    sm_weights_close(w);
    sm_buffer_free(&b);
}

/* CREPE was published as .h5 and as .pth: all values are the same bits, transposed. */
static void crepe_h5_equals_crepe_pth(void **state)
{
    static const char *const pairs[][2] = { { "beta:0", "bias" },
                                            { "gamma:0", "weight" },
                                            { "moving_mean:0", "running_mean" },
                                            { "moving_variance:0", "running_var" } };
    char h5_path[512], a[96], b[96];
    sm_weights *h5 = NULL, *pth = NULL;
    nn_tensor x, y;
    size_t values = 0;
    (void)state;
    const char *path = test_shared("models/crepe/model-tiny.h5");
    if (!path)
        test_skip("no real weights: SM_SHARED");
    snprintf(h5_path, sizeof h5_path, "%s", path);
    test_ok(sm_weights_open(h5_path, &h5));
    test_ok(sm_weights_open(test_shared("models/crepe/tiny.pth"), &pth));
    assert_int_equal(sm_weights_count(h5), 38);
    expect_meta(h5, "keras_version", "2.1.5");
    expect_meta(h5, "weight_names:conv1", "[\"conv1_3/kernel:0\",\"conv1_3/bias:0\"]");
    for (int l = 1; l <= 6; l++) {
        for (size_t k = 0; k < SM_LENGTH(pairs); k++) {
            snprintf(a, sizeof a, "conv%d-BN/conv%d-BN_3/%s", l, l, pairs[k][0]);
            snprintf(b, sizeof b, "conv%d_BN.%s", l, pairs[k][1]);
            test_ok(sm_weights_get(h5, a, NULL, &x));
            test_ok(sm_weights_get(pth, b, &x.shape, &y));
            assert_memory_equal(x.data, y.data, (size_t)nn_elements(&x.shape) * 4);
            values += (size_t)nn_elements(&x.shape);
        }
        snprintf(a, sizeof a, "conv%d/conv%d_3/kernel:0", l, l);
        snprintf(b, sizeof b, "conv%d.weight", l);
        test_ok(sm_weights_get(h5, a, NULL, &x));
        const int64_t width = x.shape.dim[0], in = x.shape.dim[2], out = x.shape.dim[3];
        test_ok(sm_weights_get(pth, b, &NN_SHAPE(out, in, width, 1), &y));
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++)
                for (int64_t t = 0; t < width; t++)
                    if (((const float *)x.data)[(t * in + i) * out + o] !=
                        ((const float *)y.data)[(o * in + i) * width + t])
                        fail_msg("conv%d [%lld, %lld, %lld] differs", l, (long long)o, (long long)i, (long long)t);
        values += (size_t)nn_elements(&x.shape);
        snprintf(a, sizeof a, "conv%d/conv%d_3/bias:0", l, l);
        snprintf(b, sizeof b, "conv%d.bias", l);
        test_ok(sm_weights_get(h5, a, NULL, &x));
        test_ok(sm_weights_get(pth, b, &x.shape, &y));
        assert_memory_equal(x.data, y.data, (size_t)nn_elements(&x.shape) * 4);
        values += (size_t)nn_elements(&x.shape);
    }
    test_ok(sm_weights_get(h5, "classifier/classifier_3/kernel:0", &NN_SHAPE(256, 360), &x));
    test_ok(sm_weights_get(pth, "classifier.weight", &NN_SHAPE(360, 256), &y));
    for (int i = 0; i < 256; i++)
        for (int o = 0; o < 360; o++)
            assert_true(((const float *)x.data)[i * 360 + o] == ((const float *)y.data)[o * 256 + i]);
    assert_int_equal(values + 256 * 360 + 360, 487096); /* the parameters CREPE's authors count */
    sm_weights_close(h5);
    sm_weights_close(pth);
}

/* SHA-256 over all names and values in the order of names, made with h5py. */
static void real_files_hash_as_h5py_reads_them(void **state)
{
    static const struct {
        const char *name, *hash;
        size_t tensors;
    } files[] = {
        { "models/crepe/model-tiny.h5", "6f27aa11db1f511d29a648d753da1029868b35a7fae5d8a78db069c1ef6f0d30", 38 },
        { "models/essentia/tempocnn/deeptemp_k4.h5", "5c9992144d5bd47f678c7db4de39f0f2146d28492bb8e03727f4b26fa497334d",
          74 },
        { "models/openl3/edgel3_sea_ust_audio_emb_64.h5.gz",
          "487582a6a136ce0a14a2e3021126a28a9b85985bd50a6d3c54068cd4f12b28cb", 55 },
    };
    (void)state;
    if (!test_shared("models/crepe/model-tiny.h5"))
        test_skip("no real weights: SM_SHARED");
    for (size_t i = 0; i < SM_LENGTH(files); i++) {
        sm_weights *w = NULL;
        char hash[65];
        test_ok(sm_weights_open(test_shared(files[i].name), &w));
        assert_int_equal(sm_weights_count(w), files[i].tensors);
        hash_all(w, hash);
        if (strcmp(hash, files[i].hash) != 0)
            fail_msg("%s: %s, expected %s", files[i].name, hash, files[i].hash);
        sm_weights_close(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_groups_and_chunked_data_are_read),
        cmocka_unit_test(new_groups_and_headers_are_read),
        cmocka_unit_test(a_file_that_was_cut_says_so),
        cmocka_unit_test(damaged_chunks_are_told_by_their_tensor),
        cmocka_unit_test(crepe_h5_equals_crepe_pth),
        cmocka_unit_test(real_files_hash_as_h5py_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
