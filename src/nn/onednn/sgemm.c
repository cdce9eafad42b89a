/* The matrix product itself, for rooms that have rows of numbers and no network. */
#include "nn/onednn/onednn.h"

int nn_sgemm(bool transposed_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
             int64_t ldb, float *c, int64_t ldc)
{
    omp_set_num_threads(1);
    if (dnnl_sgemm('N', transposed_b ? 'T' : 'N', m, n, k, 1, a, lda, b, ldb, 0, c, ldc) != dnnl_success)
        return sm_fail(SM_ENOMEM, "no memory for a product of %lld x %lld x %lld", (long long)m, (long long)n,
                       (long long)k);
    return 0;
}
