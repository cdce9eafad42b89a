/* LSTM steps of each instruction set against the definition in double. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>

#include "nn/onednn/lstm.h"

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void check(const nn_lstm_kernel *kernel, int64_t depth)
{
    const size_t n = (size_t)(depth * NN_LSTM_GATES * kernel->lanes);
    float *w = malloc(n * sizeof *w), *last = malloc((size_t)depth * sizeof *last);
    float given[NN_LSTM_GATES][16], cell[16], was[16], output[16];
    nn_lstm_units u = { .weights = w, .last = last, .depth = depth, .cell = cell, .output = output };
    test_fill(w, n, "lstm.w", 0, 0, 1);
    test_fill(last, (size_t)depth, "lstm.last", 0, 0, 1);
    test_fill(given[0], sizeof given / sizeof(float), "lstm.given", 0, 0, 2);
    test_fill(cell, 16, "lstm.cell", 0, 0, 2);
    for (int i = 0; i < NN_LSTM_GATES; i++)
        u.given[i] = given[i];
    for (int l = 0; l < 16; l++)
        was[l] = cell[l];
    kernel->units(&u);
    for (int l = 0; l < kernel->lanes; l++) {
        double gate[NN_LSTM_GATES];
        for (int i = 0; i < NN_LSTM_GATES; i++) {
            gate[i] = (double)given[i][l];
            for (int64_t k = 0; k < depth; k++)
                gate[i] += (double)last[k] * (double)w[(k * NN_LSTM_GATES + i) * kernel->lanes + l];
        }
        const double c = sigmoid(gate[1]) * (double)was[l] + sigmoid(gate[0]) * tanh(gate[2]);
        /* sums of up to 67 products in float32, and functions good to some units in the last place */
        assert_true(fabs((double)cell[l] - c) <= 1e-5);
        assert_true(fabs((double)output[l] - sigmoid(gate[3]) * tanh(c)) <= 1e-5);
    }
    free(w);
    free(last);
}

static void every_kernel_is_the_definition(void **state)
{
    static const int64_t depths[] = { 0, 1, 2, 3, 16, 67 };
    const nn_lstm_kernel *kernels[3] = { &nn_lstm_base };
    size_t n = 1;
    sm_cpu_info cpu;
    (void)state;
    sm_cpu_detect(&cpu);
    if (cpu.avx2 && cpu.fma)
        kernels[n++] = &nn_lstm_avx2;
    if (cpu.avx512)
        kernels[n++] = &nn_lstm_avx512;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < SM_LENGTH(depths); k++)
            check(kernels[i], depths[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_kernel_is_the_definition) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
