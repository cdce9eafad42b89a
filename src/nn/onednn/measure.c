/* What this machine can do: the figures that results are compared with. */
#include "nn/onednn/onednn.h"
#include "nn/onednn/stream.h"

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

typedef struct {
    const nn_stream_kernel *kernel;
    const float *data;
    int64_t n, part;
    float sum[64]; /* kept, so that the reads are not left out */
} reading;

static int read_part(void *user, size_t i, int worker)
{
    reading *r = user;
    const int64_t first = (int64_t)i * r->part, n = SM_MIN(r->part, r->n - first);
    (void)worker;
    r->sum[i] = n > 0 ? r->kernel->sum(r->data + first, n) : 0;
    return 0;
}

double nn_measure_read_gbps(const float *data, size_t bytes, sm_pool *pool)
{
    reading r = { .kernel = nn_stream_best(), .data = data, .n = (int64_t)(bytes / sizeof *data) };
    const int64_t parts = pool ? SM_MIN(sm_pool_threads(pool), (int)SM_LENGTH(r.sum)) : 1;
    volatile float sum = 0;
    r.part = (r.n + parts - 1) / parts;
    const double start = sm_now_s();
    if (pool)
        sm_pool_run(pool, (size_t)parts, read_part, &r);
    else
        read_part(&r, 0, 0);
    const double seconds = sm_now_s() - start;
    for (int64_t i = 0; i < parts; i++)
        sum += r.sum[i];
    (void)sum;
    return 1e-9 * (double)bytes / SM_MAX(seconds, 1e-9);
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
