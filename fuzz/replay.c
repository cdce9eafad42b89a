/* Runs a fuzz target over its corpus, without a fuzzer: what once broke it stays mended. Linked to each fuzz_NAME.c by
 * `make check`, as tests/fuzz/test_NAME. */
#include "support/support.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *target; /* NAME */

static void run_cut(const sm_buffer *input, size_t length)
{
    /* a block of its own, so that the sanitizer sees a read behind the end */
    uint8_t *copy = sm_alloc(length, 1);

    assert_non_null(copy);
    if (length > 0)
        memcpy(copy, input->data, length);
    LLVMFuzzerTestOneInput(copy, length);
    sm_free(copy);
}

static void every_input_of_the_corpus_is_survived_whole_and_cut(void **state)
{
    sm_strings names = { 0 };
    char folder[256], path[600];
    long alive;
    (void)state;

    snprintf(folder, sizeof folder, "fuzz/corpus/%s", target);
    if (sm_list_directory(folder, &names) < 0)
        test_skip("no %s below this folder", folder);
    alive = sm_test_allocations_alive();
    for (size_t i = 0; i < names.length; i++) {
        sm_buffer input = { 0 };
        snprintf(path, sizeof path, "%s/%s", folder, names.items[i]);
        test_ok(sm_file_read(path, 16 << 20, &input));
        run_cut(&input, input.length);
        for (size_t k = 1; k < 8; k++)
            run_cut(&input, input.length * k / 8);
        sm_buffer_free(&input);
        if (sm_test_allocations_alive() != alive)
            fail_msg("%s: %ld blocks are left", path, sm_test_allocations_alive() - alive);
    }
    sm_strings_free(&names);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_input_of_the_corpus_is_survived_whole_and_cut) };

    (void)argc;
    target = sm_path_name(argv[0]) + strlen("test_");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
