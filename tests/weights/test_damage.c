/* Damaged files of every container: cut at each byte, each bit turned. What opens nonetheless is read whole. Nothing may crash,
 * leak, hang or ask for memory without end; what fails must say why. */
#include "weights/fixture.h"

#include "weights/store.h"

/* One file's longest opening, in seconds of CPU: a healthy one takes well under a millisecond; sanitizers and valgrind multiply. */
#define LONGEST 2.0

static const char *const fixtures[] = {
    "types.safetensors", "package.th",   "package64.th",         "legacy.pth",
    "frozen.pb",         "model.onnx",   "model.tflite",         "keras.h5",
    "latest.h5",         "userblock.h5", "small.safetensors.gz", "small.safetensors.bz2"
};

/* Opens and reads; returns whether it opened. */
static bool try(const uint8_t *data, size_t size, const char *what)
{
    const long alive = sm_test_allocations_alive();
    const double start = sm_cpu_time_s();
    sm_weights *w = NULL;
    sm_clear_error();
    const int err = sm_weights_open_memory(data, size, "damaged", &w);
    if (err < 0 && !strstr(sm_last_error(), "damaged"))
        fail_msg("%s: %s without a proper sentence: \"%s\"", what, sm_code_name(err), sm_last_error());
    for (size_t i = 0; err == 0 && i < sm_weights_count(w); i++) {
        nn_tensor t;
        sm_weights_get_f32(w, sm_weights_name(w, i), NULL, &t);
    }
    sm_weights_close(w);
    if (sm_cpu_time_s() - start > LONGEST)
        fail_msg("%s: took %.1f s", what, sm_cpu_time_s() - start);
    if (sm_test_allocations_alive() != alive)
        fail_msg("%s: %ld blocks are left", what, sm_test_allocations_alive() - alive);
    return err == 0;
}

static uint8_t *read_fixture(const char *name, size_t *n)
{
    sm_buffer b = { 0 };
    test_ok(sm_file_read(fixture_path(name), 1 << 20, &b));
    uint8_t *copy = malloc(b.length);
    assert_non_null(copy);
    memcpy(copy, b.data, b.length);
    *n = b.length;
    sm_buffer_free(&b);
    return copy;
}

/* Each length below 4 kB, then every 97th. A cut ONNX or pb may by chance end between two fields, all others never open. */
static void files_cut_anywhere_fail_with_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(fixtures); i++) {
        size_t n;
        uint8_t *data = read_fixture(fixtures[i], &n);
        const bool wire = strstr(fixtures[i], ".pb") || strstr(fixtures[i], ".onnx");
        for (size_t cut = 0; cut < n; cut += cut < 4096 ? 1 : 97) {
            uint8_t *part = malloc(cut ? cut : 1); /* exact, for the sanitizer */
            char what[96];
            assert_non_null(part);
            memcpy(part, data, cut);
            snprintf(what, sizeof what, "%s cut at %zu of %zu", fixtures[i], cut, n);
            if (try(part, cut, what) && !wire && !strstr(fixtures[i], "tflite"))
                fail_msg("%s opens", what);
            free(part);
        }
        free(data);
    }
}

/* Every bit of the small files; of the larger ones (HDF5) one bit a byte, another one each time round. */
static void turned_bits_do_no_harm(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(fixtures); i++) {
        size_t n;
        uint8_t *data = read_fixture(fixtures[i], &n);
        const size_t step = n > 4096 ? 11 : 1;
        for (size_t bit = 0; bit < n * 8; bit += step) {
            char what[96];
            snprintf(what, sizeof what, "%s with bit %zu turned", fixtures[i], bit);
            data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            try(data, n, what);
            data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        free(data);
    }
}

/* Sizes and counts are where lies pay: each aligned word becomes all ones, then a large positive number. */
static void words_that_lie_do_no_harm(void **state)
{
    static const uint32_t lies[] = { 0xFFFFFFFF, 0x7FFFFFFF, 0x00FFFFFF };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(fixtures); i++) {
        size_t n;
        uint8_t *data = read_fixture(fixtures[i], &n);
        for (size_t at = 0; at + 4 <= n; at += n > 4096 ? 8 : 2) {
            for (size_t k = 0; k < SM_LENGTH(lies); k++) {
                char what[96];
                uint8_t kept[4];
                memcpy(kept, data + at, 4);
                memcpy(data + at, &lies[k], 4);
                snprintf(what, sizeof what, "%s with %08X at %zu", fixtures[i], lies[k], at);
                try(data, n, what);
                memcpy(data + at, kept, 4);
            }
        }
        free(data);
    }
}

static int no_shards(const sm_weights *w, const char *name, size_t limit, sm_buffer *out)
{
    (void)w;
    (void)name;
    for (size_t i = 0; i < SM_MIN(limit, 40); i++)
        sm_buffer_add(out, "\x01", 1);
    return out->failed ? SM_ENOMEM : 0;
}

/* model.json has its shards from no_shards() here: only the text is damaged. */
static void damaged_model_json_does_no_harm(void **state)
{
    size_t n;
    uint8_t *data = read_fixture("tfjs/model.json", &n);
    (void)state;
    for (size_t at = 0; at < n * 2; at++) {
        const long alive = sm_test_allocations_alive();
        uint8_t *part = malloc(n);
        assert_non_null(part);
        memcpy(part, data, n);
        if (at >= n)
            part[at - n] ^= (uint8_t)(1 << at % 8);
        sm_weights *w = w_new("damaged");
        assert_non_null(w);
        w->read_part = no_shards;
        w_set_data(w, part, at < n ? at : n);
        const int err = w_dispatch(w);
        assert_true(err == 0 || *sm_last_error());
        for (size_t i = 0; err == 0 && i < sm_weights_count(w); i++) {
            nn_tensor t;
            sm_weights_get_f32(w, sm_weights_name(w, i), NULL, &t);
        }
        sm_weights_close(w);
        assert_int_equal(sm_test_allocations_alive(), alive);
        free(part);
    }
    free(data);
}

/* Real files, cut at every 9973rd byte. */
static void real_files_cut_fail_with_a_sentence(void **state)
{
    static const char *const names[] = { "models/crepe/tiny.pth", "models/crepe/model-tiny.h5",
                                         "models/yamnet/yamnet.tflite", "golden/htdemucs/package-small-4s.th",
                                         "golden/yamnet/made_up_full.safetensors" };
    (void)state;
    if (!test_shared(names[0]))
        test_skip("no real weights: SM_SHARED");
    for (size_t i = 0; i < SM_LENGTH(names); i++) {
        sm_map *map = NULL;
        test_ok(sm_map_open(test_shared(names[i]), &map));
        for (size_t cut = 0; cut < sm_map_size(map); cut += 9973) {
            sm_weights *w = NULL;
            const int err = sm_weights_open_memory(sm_map_data(map), cut, "damaged", &w);
            if (err == 0 || !strstr(sm_last_error(), "damaged: "))
                fail_msg("%s cut at %zu: %s \"%s\"", names[i], cut, sm_code_name(err), sm_last_error());
        }
        sm_map_close(map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_cut_anywhere_fail_with_a_sentence),
        cmocka_unit_test(turned_bits_do_no_harm),
        cmocka_unit_test(words_that_lie_do_no_harm),
        cmocka_unit_test(damaged_model_json_does_no_harm),
        cmocka_unit_test(real_files_cut_fail_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
