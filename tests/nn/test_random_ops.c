/* Every operator on random shapes: every backend, with all passes, against the reference kernels on the graph as built. */
#include "support/nn_support.h"

#include <string.h>

static const struct {
    const char *op;
    double bound;
} bounds[] = {
    /* sums of up to a few hundred products in f32 instead of double, functions by polynomials: 1e-6 is typical */
    { "", 1e-5 },
};

static double bound_of(const char *op)
{
    for (size_t i = 0; i < SM_LENGTH(bounds); i++)
        if (!strcmp(bounds[i].op, op))
            return bounds[i].bound;
    return bounds[0].bound;
}

static void try_op(const nn_op *op, const char *backend, uint64_t seed)
{
    nn_random r = { .state = seed };
    nn_graph *g = nn_graph_new();
    assert_non_null(g);
    const nn_id y = op->random(g, &r);
    if (nn_graph_error(g) < 0)
        fail_msg("%s: %s (SM_TEST_SEED=%llu)", op->name, sm_last_error(), (unsigned long long)seed);
    nn_output(g, "y", y);
    test_nn_same(g, backend, &r, seed, bound_of(op->name), op->name);
    nn_graph_free(g);
}

static void each_backend_agrees_with_the_reference_on_random_shapes(void **state)
{
    static const char *const backends[] = {
#define NN_BACKEND(NAME) #NAME,
#include "nn/backends.def"
#undef NN_BACKEND
    };
    const uint64_t seed = test_nn_seed(1);
    (void)state;
    for (size_t b = 0; b < SM_LENGTH(backends); b++)
        for (size_t i = 0; i < nn_ops_count(); i++)
            for (uint64_t k = 0; nn_ops[i]->random && k < 60; k++)
                try_op(nn_ops[i], backends[b], seed + k);
}

static void every_operator_that_computes_has_a_generator(void **state)
{
    (void)state;
    for (size_t i = 0; i < nn_ops_count(); i++)
        if (!nn_ops[i]->ref != !nn_ops[i]->random)
            fail_msg("%s", nn_ops[i]->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_backend_agrees_with_the_reference_on_random_shapes),
        cmocka_unit_test(every_operator_that_computes_has_a_generator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
