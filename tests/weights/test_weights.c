#include "weights/fixture.h"

#include <pthread.h>

static void files_that_are_none_are_named(void **state)
{
    const test_place *place = *state;
    sm_weights *w = NULL;
    test_fails(sm_weights_open("tests/data/weights/absent.h5", &w), SM_ENOTFOUND, "tests/data/weights/absent.h5");
    test_fails(sm_weights_open("docs", &w), SM_EIO, "docs is a folder without");
    test_write_file(place->path, "", 0);
    test_fails(sm_weights_open(place->path, &w), SM_EFORMAT, "is empty");
    test_write_file(place->path, "RIFF....WAVE", 12);
    test_fails(sm_weights_open(place->path, &w), SM_EFORMAT, "not a container of weights that is known");
    assert_non_null(strstr(sm_last_error(), place->path));
}

static void the_name_of_a_file_does_not_matter(void **state)
{
    const test_place *place = *state;
    sm_buffer b = { 0 };
    sm_weights *w = NULL;
    test_ok(sm_file_read(fixture_path("model.onnx"), 1 << 20, &b));
    test_write_file(place->path, b.data, b.length);
    test_ok(sm_weights_open(place->path, &w));
    assert_string_equal(sm_weights_format(w), "onnx");
    assert_string_equal(sm_weights_label(w), place->path);
    sm_weights_close(w);
    sm_buffer_free(&b);
}

static void messages_of_the_look_up_help(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("package.th");
    nn_tensor t;
    test_fails(sm_weights_get(w, "state.conv.wieght", NULL, &t), SM_ENOTFOUND,
               "package.th holds no tensor \"state.conv.wieght\"; the nearest name is \"state.conv.weight\"");
    test_fails(sm_weights_get(w, "state.bias", &NN_SHAPE(7), &t), SM_EFORMAT,
               "state.bias is [5] in tests/data/weights/package.th, expected [7]");
    assert_null(t.data);
    test_fails(sm_weights_at(w, 6, &t), SM_ENOTFOUND, "no tensor number 6, there are 6");
    assert_null(sm_weights_name(w, 6));
    assert_true(sm_weights_has(w, "state.bias"));
    assert_false(sm_weights_has(w, "bias"));
    sm_weights_close(w);
    sm_weights_close(NULL);
}

static void the_source_delivers_f32_once(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("package.th");
    const nn_source s = sm_weights_source(w);
    nn_tensor a, b;
    test_ok(s.get(s.user, "state.bias", &NN_SHAPE(5), &a));
    test_ok(s.get(s.user, "state.bias", NULL, &b));
    assert_int_equal(a.type, NN_F32);
    assert_ptr_equal(a.data, b.data);
    assert_string_equal(s.label, "tests/data/weights/package.th");
    sm_weights_close(w);
}

static void metadata_can_be_listed(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("types.safetensors");
    assert_int_equal(sm_weights_meta_count(w), 2);
    assert_string_equal(sm_weights_meta_key(w, 0), "model");
    assert_string_equal(sm_weights_meta_key(w, 1), "note");
    assert_null(sm_weights_meta_key(w, 2));
    sm_weights_close(w);
}

enum { THREADS = 4, ROUNDS = 50 };

typedef struct {
    sm_weights *file, *generated;
    const void *seen[3];
    int err;
} reader;

static void *read_all(void *user)
{
    reader *r = user;
    static const char *const names[] = { "state.conv.turned", "state.brain", "state.bias" };
    for (int round = 0; round < ROUNDS && r->err == 0; round++) {
        nn_tensor t;
        char name[16];
        snprintf(name, sizeof name, "w%d", round);
        for (size_t i = 0; i < SM_LENGTH(names) && r->err == 0; i++) {
            r->err = sm_weights_get_f32(r->file, names[i], NULL, &t);
            r->seen[i] = t.data;
        }
        if (r->err == 0)
            r->err = sm_weights_get_f32(r->generated, name, &NN_SHAPE(100), &t);
    }
    return NULL;
}

static void threads_share_a_file_and_see_the_same_tensors(void **state)
{
    pthread_t threads[THREADS];
    reader readers[THREADS] = { 0 };
    sm_weights *file = fixture_open("package.th"), *generated = NULL;
    (void)state;
    test_ok(sm_weights_generated(3, NULL, &generated));
    for (int i = 0; i < THREADS; i++) {
        readers[i].file = file;
        readers[i].generated = generated;
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].err, 0);
        assert_memory_equal(readers[i].seen, readers[0].seen, sizeof readers[0].seen);
    }
    sm_weights_close(file);
    sm_weights_close(generated);
}

/* Opens a file and asks for everything in it. */
static int open_and_read(void *user)
{
    sm_weights *w = NULL;
    int err = sm_weights_open(user, &w);
    for (size_t i = 0; err == 0 && i < sm_weights_count(w); i++) {
        nn_tensor t;
        err = sm_weights_get_f32(w, sm_weights_name(w, i), NULL, &t);
    }
    sm_weights_close(w);
    return err;
}

static void every_allocation_of_reading_may_fail(void **state)
{
    static const char *const names[] = {
        "types.safetensors", "package.th",           "legacy.pth",           "frozen.pb",
        "model.onnx",        "model.tflite",         "tfjs/model.json",      "keras.h5",
        "latest.h5",         "small.safetensors.gz", "small.safetensors.bz2"
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(names); i++) {
        char path[512];
        snprintf(path, sizeof path, "%s", fixture_path(names[i]));
        test_every_allocation_may_fail(open_and_read, path);
    }
}

static int generate(void *user)
{
    sm_weights *w = NULL;
    nn_tensor t;
    int err = sm_weights_generated(1, NULL, &w);
    (void)user;
    if (err == 0)
        err = sm_weights_get_f32(w, "x", &NN_SHAPE(10, 10), &t);
    sm_weights_close(w);
    return err;
}

static void every_allocation_of_generating_may_fail(void **state)
{
    (void)state;
    test_every_allocation_may_fail(generate, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_that_are_none_are_named, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(the_name_of_a_file_does_not_matter, test_place_make, test_place_remove),
        cmocka_unit_test(messages_of_the_look_up_help),
        cmocka_unit_test(the_source_delivers_f32_once),
        cmocka_unit_test(metadata_can_be_listed),
        cmocka_unit_test(threads_share_a_file_and_see_the_same_tensors),
        cmocka_unit_test(every_allocation_of_reading_may_fail),
        cmocka_unit_test(every_allocation_of_generating_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
