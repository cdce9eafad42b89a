/* How long the map of many sounds takes: made-up vectors of 128 values in clusters, their neighbours, the layout, and how well it shows them.
 *
 *     make build/gcc/bench/map_many && build/gcc/bench/map_many FOLDER [SOUNDS [THREADS]]     default 100000 2; some 0.7 kB a sound in FOLDER */
#include <stdlib.h>
#include <string.h>

#include "library/cells.h"
#include "library/layout.h"
#include "support/clustered.h"

enum { DIMS = 128, K = SM_LAYOUT_NEIGHBOURS, SAMPLE = 500 };

static void must(int err)
{
    if (err < 0) {
        fprintf(stderr, "map_many: %s\n", sm_last_error());
        exit(1);
    }
}

static void make_file(const char *path, size_t n)
{
    enum { STEP = 4096 };
    const sm_vectors_info info = { .space = "bench/1", .dims = DIMS, .unit = true };
    test_clustered data;
    sm_vectors *v = NULL;
    int64_t ids[STEP];
    float *values = sm_alloc(STEP * DIMS, sizeof *values);
    must(values && test_clustered_make(&data, DIMS, 32, 2000, 0.5, 1) ? 0 : SM_ENOMEM);
    must(sm_vectors_create(path, &info, &v));
    for (size_t first = 0; first < n; first += STEP) {
        const size_t now = SM_MIN((size_t)STEP, n - first);
        for (size_t i = 0; i < now; i++) {
            ids[i] = (int64_t)(first + i + 1);
            test_clustered_row(&data, 1, first + i, values + i * DIMS);
        }
        must(sm_vectors_append(v, ids, values, now));
    }
    must(sm_vectors_commit(v));
    sm_vectors_close(v);
    sm_free(values);
    test_clustered_free(&data);
}

/* Of the nearest by brute force, how many the graph has. */
static double recall_of(const sm_vectors *v, sm_pool *pool, size_t n, const int32_t *near)
{
    size_t found = 0;
    for (size_t s = 0; s < SAMPLE; s++) {
        const size_t i = s * n / SAMPLE;
        const sm_vectors_query q = {
            .vector = sm_vectors_row(v, i), .weight = 1, .limit = K, .except = sm_vectors_id(v, i)
        };
        sm_hit hits[K];
        size_t count;
        must(sm_vectors_search(v, pool, &q, hits, &count));
        for (size_t j = 0; j < count; j++)
            for (size_t k = 0; k < K; k++)
                found += near[i * K + k] == (int32_t)hits[j].row;
    }
    return (double)found / (SAMPLE * K);
}

int main(int argc, char **argv)
{
    const size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
    const int threads = argc > 3 ? atoi(argv[3]) : 2;
    char path[4096], cells_path[4096];
    sm_vectors *v = NULL;
    sm_cells *cells = NULL;
    sm_pool *pool = NULL;
    double trust = 0;
    if (argc < 2 || n < SAMPLE || threads < 1) {
        fprintf(stderr, "usage: map_many FOLDER [SOUNDS [THREADS]]    at least %d\n", SAMPLE);
        return 2;
    }
    snprintf(path, sizeof path, "%s/map-%zu.vectors", argv[1], n);
    snprintf(cells_path, sizeof cells_path, "%s/map-%zu.cells", argv[1], n);
    must(sm_pool_new(threads, &pool));
    if (sm_vectors_open(path, false, &v) < 0) {
        make_file(path, n);
        must(sm_vectors_open(path, false, &v));
    }
    if (n >= SM_CELLS_LEAST_ROWS && sm_cells_open(cells_path, v, &cells) < 0) {
        const double start = sm_now_s();
        must(sm_cells_build(v, pool, 0.99, path, cells_path));
        sm_vectors_close(v);
        must(sm_vectors_open(path, false, &v));
        must(sm_cells_open(cells_path, v, &cells));
        printf("cells made in %.1f s\n", sm_now_s() - start);
    }
    uint32_t *rows = sm_alloc(n, sizeof *rows);
    int32_t *near = sm_alloc(n * K, sizeof *near);
    float *cosines = sm_alloc(n * K, sizeof *cosines), *places = sm_alloc_zero(2 * n, sizeof *places);
    must(rows && near && cosines && places ? 0 : SM_ENOMEM);
    for (size_t i = 0; i < n; i++)
        rows[i] = (uint32_t)i;
    double start = sm_now_s();
    must(sm_layout_neighbours(v, pool, rows, n, near, cosines));
    printf("%zu sounds, %d thread%s\nneighbours         %8.2f s\n", n, threads, threads > 1 ? "s" : "",
           sm_now_s() - start);
    printf("  recall           %8.4f\n", recall_of(v, pool, n, near));
    start = sm_now_s();
    must(sm_layout_run(v, rows, n, near, cosines, &(sm_layout_options){ .seed = 1 }, places));
    printf("layout             %8.2f s\n", sm_now_s() - start);
    start = sm_now_s();
    must(sm_layout_trust(v, rows, n, places, &trust));
    printf("trustworthiness    %8.2f s   %.4f\n", sm_now_s() - start, trust);
    sm_free(rows);
    sm_free(near);
    sm_free(cosines);
    sm_free(places);
    sm_cells_close(cells);
    sm_vectors_close(v);
    sm_pool_free(pool);
    return 0;
}
