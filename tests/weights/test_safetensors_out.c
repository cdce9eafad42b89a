#include "weights/fixture.h"

static void what_is_written_is_read_again(void **state)
{
    const test_place *place = *state;
    sm_weights *in = fixture_open("types.safetensors"), *again = NULL;
    sm_safetensors_writer *out = NULL;
    nn_tensor a, b;
    test_ok(sm_safetensors_writer_open(place->path, &out));
    test_ok(sm_safetensors_writer_meta(out, "made \"by\"", "a test\n"));
    for (size_t i = 0; i < sm_weights_count(in); i++) {
        test_ok(sm_weights_at(in, i, &a));
        test_ok(sm_safetensors_writer_add(out, sm_weights_name(in, i), &a));
    }
    test_ok(sm_safetensors_writer_commit(out));
    test_ok(sm_weights_open(place->path, &again));
    assert_int_equal(sm_weights_count(again), sm_weights_count(in));
    expect_meta(again, "made \"by\"", "a test\n");
    for (size_t i = 0; i < sm_weights_count(in); i++) {
        test_ok(sm_weights_at(in, i, &a));
        test_ok(sm_weights_get(again, sm_weights_name(in, i), &a.shape, &b));
        assert_int_equal(a.type, b.type);
        assert_memory_equal(a.data, b.data, (size_t)nn_elements(&a.shape) * nn_type_size(a.type));
    }
    sm_weights_close(in);
    sm_weights_close(again);
}

/* More than the piece that commit moves at a time, and not a multiple of it: 1 MiB + 12 bytes. */
static void data_larger_than_the_moving_piece_stay_whole(void **state)
{
    const test_place *place = *state;
    const int64_t n = (1 << 18) + 3;
    float *values = malloc((size_t)n * sizeof *values);
    sm_safetensors_writer *out = NULL;
    sm_weights *w = NULL;
    assert_non_null(values);
    test_fill(values, (size_t)n, "large", 0, 0, 1);
    test_ok(sm_safetensors_writer_open(place->path, &out));
    test_ok(
        sm_safetensors_writer_add(out, "large", &(nn_tensor){ .type = NN_F32, .shape = NN_SHAPE(n), .data = values }));
    test_ok(
        sm_safetensors_writer_add(out, "after", &(nn_tensor){ .type = NN_F32, .shape = NN_SHAPE(3), .data = values }));
    test_ok(sm_safetensors_writer_commit(out));
    test_ok(sm_weights_open(place->path, &w));
    expect_unit(w, "large", NN_SHAPE(n), "large", EXACT);
    expect_unit(w, "after", NN_SHAPE(3), "large", EXACT);
    sm_weights_close(w);
    free(values);
}

static void quantised_tensors_keep_their_scales(void **state)
{
    const test_place *place = *state;
    sm_weights *in = fixture_open("model.tflite"), *again = NULL;
    sm_safetensors_writer *out = NULL;
    nn_tensor a, b;
    test_ok(sm_safetensors_writer_open(place->path, &out));
    for (size_t i = 0; i < sm_weights_count(in); i++) {
        test_ok(sm_weights_at(in, i, &a));
        test_ok(sm_safetensors_writer_add(out, sm_weights_name(in, i), &a));
    }
    test_ok(sm_safetensors_writer_commit(out));
    test_ok(sm_weights_open(place->path, &again));
    for (size_t i = 0; i < sm_weights_count(in); i++) {
        const char *name = sm_weights_name(in, i);
        test_ok(sm_weights_get(again, name, NULL, &b));
        test_ok(sm_weights_at(in, i, &a));
        assert_int_equal(a.type, b.type);
        assert_int_equal(a.scale != NULL, b.scale != NULL);
        assert_int_equal(a.scale_axis, b.scale_axis);
        test_ok(sm_weights_get_f32(in, name, NULL, &a));
        test_ok(sm_weights_get_f32(again, name, &a.shape, &b));
        assert_memory_equal(a.data, b.data, (size_t)nn_elements(&a.shape) * sizeof(float));
    }
    sm_weights_close(in);
    sm_weights_close(again);
}

static void nothing_appears_before_commit_or_after_abandon(void **state)
{
    const test_place *place = *state;
    const float one = 1;
    sm_safetensors_writer *out = NULL;
    test_ok(sm_safetensors_writer_open(place->path, &out));
    test_ok(sm_safetensors_writer_add(out, "a", &(nn_tensor){ .type = NN_F32, .shape = NN_SHAPE(1), .data = &one }));
    FILE *f = fopen(place->path, "rb");
    assert_null(f);
    sm_safetensors_writer_abandon(out);
    f = fopen(place->path, "rb");
    assert_null(f);
    sm_safetensors_writer_abandon(NULL);
}

static void names_and_keys_come_once(void **state)
{
    const test_place *place = *state;
    const float one = 1;
    const nn_tensor t = { .type = NN_F32, .shape = NN_SHAPE(1), .data = &one };
    sm_safetensors_writer *out = NULL;
    test_ok(sm_safetensors_writer_open(place->path, &out));
    test_ok(sm_safetensors_writer_add(out, "a", &t));
    test_fails(sm_safetensors_writer_add(out, "a", &t), SM_EFORMAT, "two tensors are called \"a\"");
    test_ok(sm_safetensors_writer_meta(out, "k", "v"));
    test_fails(sm_safetensors_writer_meta(out, "k", "w"), SM_EUSAGE, "given twice");
    sm_safetensors_writer_abandon(out);
}

static int write_one(void *user)
{
    const float one = 1;
    sm_safetensors_writer *out = NULL;
    int err = sm_safetensors_writer_open(user, &out);
    if (err == 0 && (err = sm_safetensors_writer_meta(out, "k", "v")) == 0)
        err = sm_safetensors_writer_add(out, "a", &(nn_tensor){ .type = NN_F32, .shape = NN_SHAPE(1), .data = &one });
    if (err < 0) {
        sm_safetensors_writer_abandon(out);
        return err;
    }
    return sm_safetensors_writer_commit(out);
}

static void every_allocation_of_writing_may_fail(void **state)
{
    test_place *place = *state;
    test_every_allocation_may_fail(write_one, place->path);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(what_is_written_is_read_again),
        PLACED(data_larger_than_the_moving_piece_stay_whole),
        PLACED(quantised_tensors_keep_their_scales),
        PLACED(nothing_appears_before_commit_or_after_abandon),
        PLACED(names_and_keys_come_once),
        PLACED(every_allocation_of_writing_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
