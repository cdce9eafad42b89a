/* bench/vectors: searching through made-up vectors, beside the time of reading their bytes once in the same run.
 *
 *   vectors FOLDER [ROWS] [DIMS] [THREADS]     default 100000 512 1; 1000000 x 512 takes 2.6 GB in FOLDER
 *
 * Runs of everything alternate, and the best of each counts: other load slows all alike. Recall is held against sums in double over
 * all rows. The file is made once and used again. */
#include <stdlib.h>
#include <string.h>

#include "library/cells.h"
#include "support/clustered.h"

enum { QUERIES = 100, LIMIT = 10, RUNS = 7 };

typedef struct {
    sm_vectors *v;
    sm_pool *pool;
    test_clustered data;
    float *queries; /* [QUERIES][dims] */
    sm_hit *truth;  /* [QUERIES][LIMIT] */
    uint64_t *keep; /* every row with a chance of 1 % */
    sm_hit *kept;   /* the truth among these */
    size_t n_kept;
    sm_cells *cells;
    uint64_t sum;
} bench;

static void must(int err)
{
    if (err < 0) {
        fprintf(stderr, "vectors: %s\n", sm_last_error());
        exit(1);
    }
}

static void make_file(const char *path, const test_clustered *data, size_t rows, sm_pool *pool)
{
    enum { STEP = 8192 };
    sm_vectors_info info = { .space = "bench/1", .dims = data->dims, .unit = true };
    sm_vectors *v = NULL;
    int64_t ids[STEP];
    float *values = sm_alloc(STEP * (size_t)data->dims, sizeof *values);

    (void)pool;
    must(values ? sm_vectors_create(path, &info, &v) : SM_ENOMEM);
    for (size_t first = 0; first < rows; first += STEP) {
        const size_t n = SM_MIN((size_t)STEP, rows - first);
        for (size_t i = 0; i < n; i++) {
            ids[i] = (int64_t)(first + i + 1);
            test_clustered_row(data, 1, first + i, values + i * (size_t)data->dims);
        }
        must(sm_vectors_append(v, ids, values, n));
    }
    must(sm_vectors_commit(v));
    sm_vectors_close(v);
    sm_free(values);
}

/* All scores of a query in double. */
typedef struct {
    bench *b;
    sm_hit *hits, *kept;
    size_t counts[2];
} truth_job;

static int one_truth(void *user, size_t query, int worker)
{
    bench *b = user;
    const size_t rows = sm_vectors_rows(b->v), dims = (size_t)b->data.dims;
    sm_hit *all = sm_alloc(rows, sizeof *all), *some = sm_alloc(rows, sizeof *some);
    size_t n = 0;

    (void)worker;
    if (!all || !some)
        return SM_ENOMEM;
    for (size_t r = 0; r < rows; r++) {
        all[r] = (sm_hit){ sm_vectors_id(b->v, r), r,
                           sm_vectors_dot(sm_vectors_row(b->v, r), b->queries + query * dims, dims) };
        if (b->keep[r / 64] >> r % 64 & 1)
            some[n++] = all[r];
    }
    qsort(all, rows, sizeof *all, sm_hit_order);
    qsort(some, n, sizeof *some, sm_hit_order);
    memcpy(b->truth + query * LIMIT, all, LIMIT * sizeof *all);
    memcpy(b->kept + query * LIMIT, some, LIMIT * sizeof *some);
    sm_free(all);
    sm_free(some);
    return 0;
}

static size_t found(const sm_hit *hits, size_t n, const sm_hit *truth)
{
    size_t sum = 0;
    for (size_t i = 0; i < LIMIT; i++)
        for (size_t j = 0; j < n; j++)
            sum += hits[j].id == truth[i].id;
    return sum;
}

/* ---- what is timed ---- */

typedef struct {
    const bench *b;
    uint64_t *sums; /* [threads], a page apart */
    uint64_t (*read)(const uint8_t *, size_t);
} reader;

/* The exclusive or of n bytes, a multiple of 512, by the widest loads there are. */
typedef uint64_t wide __attribute__((vector_size(64), aligned(8), may_alias));

static inline __attribute__((always_inline)) uint64_t xor_body(const uint8_t *bytes, size_t n)
{
    wide sums[8] = { 0 };
    for (size_t i = 0; i < n; i += sizeof sums)
        for (size_t l = 0; l < 8; l++)
            sums[l] ^= *(const wide *)(const void *)(bytes + i + l * sizeof *sums);
    for (size_t l = 1; l < 8; l++)
        sums[0] ^= sums[l];
    return sums[0][0] ^ sums[0][1] ^ sums[0][2] ^ sums[0][3] ^ sums[0][4] ^ sums[0][5] ^ sums[0][6] ^ sums[0][7];
}

static uint64_t xor_base(const uint8_t *bytes, size_t n)
{
    return xor_body(bytes, n);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t xor_avx2(const uint8_t *bytes, size_t n)
{
    return xor_body(bytes, n);
}

__attribute__((target("avx512f"))) static uint64_t xor_avx512(const uint8_t *bytes, size_t n)
{
    return xor_body(bytes, n);
}
#endif

static uint64_t (*best_xor(void))(const uint8_t *, size_t)
{
#if defined(__x86_64__)
    sm_cpu_info cpu;
    sm_cpu_detect(&cpu);
    if (cpu.avx512)
        return xor_avx512;
    if (cpu.avx2)
        return xor_avx2;
#endif
    return xor_base;
}

static int read_blocks(void *user, size_t item, int worker)
{
    const reader *r = user;
    const size_t blocks = (sm_vectors_rows(r->b->v) + SM_VECTORS_BLOCK - 1) / SM_VECTORS_BLOCK;

    for (size_t block = 16 * item; block < SM_MIN(16 * (item + 1), blocks); block++) {
        sm_vectors_block b;
        sm_vectors_block_of(r->b->v, block, &b);
        r->sums[512 * worker] ^= r->read(b.bytes, SM_VECTORS_BLOCK * sm_vectors_padded(r->b->v));
    }
    return 0;
}

static double time_reading(bench *b)
{
    const size_t blocks = (sm_vectors_rows(b->v) + SM_VECTORS_BLOCK - 1) / SM_VECTORS_BLOCK;
    uint64_t sums[512 * 64] = { 0 };
    reader r = { b, sums, best_xor() };
    const double start = sm_now_s();
    must(sm_pool_run(b->pool, (blocks + 15) / 16, read_blocks, &r));
    const double time = sm_now_s() - start;
    b->sum ^= sums[0] ^ sums[512];
    return time;
}

typedef int (*searcher)(bench *b, const sm_vectors_query *q, sm_hit *hits, size_t *n);

static int search_exact(bench *b, const sm_vectors_query *q, sm_hit *hits, size_t *n)
{
    return sm_vectors_search(b->v, b->pool, q, hits, n);
}

static int search_cells(bench *b, const sm_vectors_query *q, sm_hit *hits, size_t *n)
{
    return sm_cells_search(b->cells, b->v, b->pool, q, 0, hits, n);
}

/* One query, and how many of the true answers it found. */
static double time_search(bench *b, searcher search, size_t query, const uint64_t *keep, const sm_hit *truth,
                          size_t *right)
{
    const sm_vectors_query q = {
        .vector = b->queries + query * (size_t)b->data.dims, .weight = 1, .limit = LIMIT, .keep = keep
    };
    sm_hit hits[LIMIT];
    size_t n;
    const double start = sm_now_s();
    must(search(b, &q, hits, &n));
    const double time = sm_now_s() - start;
    *right += found(hits, n, truth + query * LIMIT);
    return time;
}

static void run(bench *b)
{
    double reading = 1e9, exact = 1e9, filtered = 1e9, approximate = 1e9, sum = 0;
    size_t right[3] = { 0 };

    for (size_t i = 0; i < QUERIES; i++) {
        if (i % 4 == 0)
            reading = fmin(reading, time_reading(b));
        exact = fmin(exact, time_search(b, search_exact, i, NULL, b->truth, &right[0]));
        filtered = fmin(filtered, time_search(b, search_exact, i, b->keep, b->kept, &right[1]));
        const double time = b->cells ? time_search(b, search_cells, i, NULL, b->truth, &right[2]) : 0;
        approximate = fmin(approximate, time);
        sum += time;
    }
    const double bytes = (double)sm_vectors_rows(b->v) * (double)sm_vectors_padded(b->v);
    printf("reading the bytes once      %8.3f ms  %6.2f GB/s\n", 1e3 * reading, 1e-9 * bytes / reading);
    printf("exact                       %8.3f ms  %6.2f of reading   recall@10 %.4f\n", 1e3 * exact, exact / reading,
           (double)right[0] / (QUERIES * LIMIT));
    printf("exact, filter that keeps 1 %% %7.3f ms  %6.2f of exact     recall@10 %.4f\n", 1e3 * filtered,
           filtered / exact, (double)right[1] / (QUERIES * LIMIT));
    if (b->cells)
        printf("in %4zu of %4zu cells        %8.3f ms  %6.3f of exact     recall@10 %.4f   (mean %.3f ms)\n",
               sm_cells_probes(b->cells), sm_cells_count(b->cells), 1e3 * approximate, approximate / exact,
               (double)right[2] / (QUERIES * LIMIT), 1e3 * sum / QUERIES);
}

static void make_queries(bench *b)
{
    const size_t rows = sm_vectors_rows(b->v);
    uint64_t random = 11;

    b->queries = sm_alloc(QUERIES * (size_t)b->data.dims, sizeof *b->queries);
    b->truth = sm_alloc(QUERIES * LIMIT, sizeof *b->truth);
    b->kept = sm_alloc(QUERIES * LIMIT, sizeof *b->kept);
    b->keep = sm_alloc_zero(rows / 64 + 1, sizeof *b->keep);
    must(b->queries && b->truth && b->kept && b->keep ? 0 : SM_ENOMEM);
    for (size_t i = 0; i < QUERIES; i++)
        test_clustered_row(&b->data, 2, i, b->queries + i * (size_t)b->data.dims);
    for (size_t r = 0; r < rows; r++)
        if (test_random(&random) % 100 == 0)
            b->keep[r / 64] |= UINT64_C(1) << r % 64;
    must(sm_pool_run(b->pool, QUERIES, one_truth, b));
}

int main(int argc, char **argv)
{
    const size_t rows = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
    const int dims = argc > 3 ? atoi(argv[3]) : 512, threads = argc > 4 ? atoi(argv[4]) : 1;
    bench b = { 0 };
    char path[4096], cells[4096];

    if (argc < 2 || rows < 1000 || dims < 1 || threads < 1 || threads > 64) {
        fprintf(stderr, "usage: vectors FOLDER [ROWS] [DIMS] [THREADS]\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/%zu-%d.vectors", argv[1], rows, dims);
    snprintf(cells, sizeof cells, "%s/%zu-%d.cells", argv[1], rows, dims);
    must(sm_pool_new(threads, &b.pool));
    must(test_clustered_make(&b.data, dims, SM_MIN(dims, 64), 2000, 0.5, 1) ? 0 : SM_ENOMEM);
    if (sm_vectors_open(path, false, &b.v) < 0) {
        make_file(path, &b.data, rows, b.pool);
        must(sm_vectors_open(path, false, &b.v));
    }
    if (rows >= SM_CELLS_LEAST_ROWS && sm_cells_open(cells, b.v, &b.cells) < 0) {
        const double start = sm_now_s();
        must(sm_cells_build(b.v, b.pool, 0.99, path, cells));
        sm_vectors_close(b.v);
        must(sm_vectors_open(path, false, &b.v));
        must(sm_cells_open(cells, b.v, &b.cells));
        printf("cells made in %.1f s\n", sm_now_s() - start);
    }
    make_queries(&b);
    printf("%zu x %d, %d thread%s, kernel %s\n", rows, dims, threads, threads > 1 ? "s" : "",
           sm_vectors_dots(b.v)->name);
    run(&b);
    sm_cells_close(b.cells);
    sm_vectors_close(b.v);
    sm_pool_free(b.pool);
    test_clustered_free(&b.data);
    return (int)(b.sum & 0);
}
