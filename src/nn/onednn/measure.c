/* What this machine can do: the figures that results are compared with. */
#include "nn/onednn/onednn.h"

#include <stdio.h>
#include <string.h>

double nn_measure_sgemm_gflops(int n, int threads, int runs)
{
    const size_t size = (size_t)n * (size_t)n;
    float *a = sm_alloc_aligned(size, sizeof *a), *b = sm_alloc_aligned(size, sizeof *b),
          *c = sm_alloc_aligned(size, sizeof *c);
    double best = 0;

    if (a && b && c) {
        for (size_t i = 0; i < size; i++)
            a[i] = b[i] = (float)(i % 251) / 251 - 0.5f;
        omp_set_num_threads(threads);
        dnnl_sgemm('N', 'N', n, n, n, 1, a, n, b, n, 0, c, n);
        for (int i = 0; i < runs; i++) {
            const double start = sm_now_s();
            dnnl_sgemm('N', 'N', n, n, n, 1, a, n, b, n, 0, c, n);
            best = SM_MAX(best, 2e-9 * (double)n * (double)size / (sm_now_s() - start));
        }
    }
    sm_free(a);
    sm_free(b);
    sm_free(c);
    return best;
}

double nn_measure_copy_gbps(size_t bytes, int runs)
{
    char *from = sm_alloc_aligned(bytes, 1), *to = sm_alloc_aligned(bytes, 1);
    double best = 0;

    if (from && to) {
        memset(from, 1, bytes);
        memset(to, 2, bytes);
        for (int i = 0; i < runs; i++) {
            const double start = sm_now_s();
            memcpy(to, from, bytes);
            best = SM_MAX(best, 2e-9 * (double)bytes / (sm_now_s() - start)); /* read and written */
        }
    }
    sm_free(from);
    sm_free(to);
    return best;
}

bool nn_precision_native(nn_precision p)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    if (p == NN_PRECISION_BF16)
        return cpu.avx512_bf16 || cpu.amx_bf16;
    if (p == NN_PRECISION_INT8)
        return cpu.avx512_vnni || cpu.amx_int8;
    return true;
}

const char *nn_backend_text(char out[128])
{
    const dnnl_version_t *v = dnnl_version();
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    snprintf(out, 128, "onednn %d.%d.%d (%s%s%s)", v->major, v->minor, v->patch,
             cpu.avx512 ? "AVX-512"
             : cpu.avx2 ? "AVX2"
                        : "SSE",
             cpu.avx512_bf16 ? " with BF16" : "", cpu.amx_bf16 ? ", AMX" : "");
    return out;
}
