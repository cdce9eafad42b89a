/* Permutations and slices larger than the strips in which they are turned, on one thread and on several: the same numbers as ref. */
#include "support/nn_support.h"

#include <string.h>

static void numbers_arrive_where_they_should(void **state)
{
    static const struct {
        nn_shape shape;
        int order[4];
        int axis, begin, end, step; /* of a slice in front; step 0: none */
    } rows[] = {
        { { 3, { 2, 67, 131 } }, { 0, 2, 1 }, 0, 0, 0, 0 },
        { { 4, { 1, 33, 8, 70 } }, { 0, 3, 2, 1 }, 0, 0, 0, 0 },
        { { 4, { 3, 20, 5, 64 } }, { 2, 0, 3, 1 }, 0, 0, 0, 0 },
        { { 4, { 2, 6, 35, 48 } }, { 0, 2, 1, 3 }, 0, 0, 0, 0 },
        { { 2, { 100, 37 } }, { 1, 0 }, 0, 0, 0, 0 },
        { { 3, { 4, 90, 50 } }, { 1, 0, 2 }, 2, 3, 41, 1 },
        { { 3, { 4, 90, 50 } }, { 0, 1, 2 }, 1, 1, 88, 3 },
        { { 3, { 40, 9, 77 } }, { 2, 1, 0 }, 2, 0, 77, 2 },
    };
    (void)state;
    for (size_t r = 0; r < SM_LENGTH(rows); r++) {
        nn_graph *g = nn_graph_new();
        test_nn_ports expected, got;
        nn_id x = nn_input(g, "x", rows[r].shape);
        if (rows[r].step)
            x = nn_slice(g, x, rows[r].axis, rows[r].begin, rows[r].end, rows[r].step);
        nn_output(g, "y", nn_permute(g, x, rows[r].order));
        test_nn_run(g, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, r, &expected);
        for (int threads = 1; threads <= 3; threads++) {
            test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32, .threads = threads }, NULL, r, &got);
            if (memcmp(expected.out[0], got.out[0], expected.length[0] * sizeof(float)) != 0)
                fail_msg("row %zu, %d threads: other numbers", r, threads);
            test_nn_ports_free(&got);
        }
        test_nn_ports_free(&expected);
        nn_graph_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(numbers_arrive_where_they_should) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
