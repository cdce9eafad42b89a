/* Building, running and comparing small networks in tests. */
#ifndef SM_TEST_NN_SUPPORT_H
#define SM_TEST_NN_SUPPORT_H

#include "support/support.h"

#include "nn/backend.h"
#include "nn/graph.h"

enum { TEST_NN_PORTS = 32 };

/* Numbers for each input of a plan, and memory for its outputs. */
typedef struct {
    void *in[TEST_NN_PORTS];
    float *out[TEST_NN_PORTS];
    size_t length[TEST_NN_PORTS]; /* of the outputs */
    int n_in, n_out;
} test_nn_ports;

/* Inputs are uniform in r's ranges (NULL: -1..1), from `seed`; i32 inputs are whole numbers of the range. */
void test_nn_ports_new(const nn_plan *p, const nn_random *r, uint64_t seed, test_nn_ports *out);
void test_nn_ports_free(test_nn_ports *t);

/* Compiles and runs once on these inputs; the graph's error, if any, fails the test. Outputs lie in *out, to be freed. */
void test_nn_run(const nn_graph *g, const nn_compile_options *o, const nn_random *r, uint64_t seed, test_nn_ports *out);
/* Largest normalised error over outputs of two runs; where one is all zero: its rms. */
double test_nn_error(const test_nn_ports *a, const test_nn_ports *b);
/* $SM_TEST_SEED or `fallback`. */
uint64_t test_nn_seed(uint64_t fallback);
/* Runs g as built on ref and compiled on `backend`; fails, naming `what` and seed, when they differ by more than `bound`. */
void test_nn_same(const nn_graph *g, const char *backend, const nn_random *r, uint64_t seed, double bound,
                  const char *what);

/* Runs g on 2, 3 and 5 threads; fails, naming `what`, when a bit of the first output is another than on one. */
void test_nn_same_bits(const nn_graph *g, uint64_t seed, const char *what);
/* Steps of the compiled graph whose operator or kernel has this name. */
int test_nn_steps(const nn_graph *g, const char *name, bool with_taps);
/* For test_every_allocation_may_fail: compiles a graph for two threads and opens a run of it. */
int test_nn_compile_and_open(void *graph);

/* Weights of any name and shape, made up and kept until freed: a source for tests. */
typedef struct test_nn_weights test_nn_weights;
test_nn_weights *test_nn_weights_new(void);
const nn_source *test_nn_source(test_nn_weights *w);
void test_nn_weights_free(test_nn_weights *w);

#endif
