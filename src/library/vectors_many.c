/* Many searches at once: groups of queries times blocks of rows as matrix products, ten times cheaper a query than one by one. */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "library/vectors.h"
#include "nn/nn.h"

/* SPARE more than asked for are kept, so that rounding to f32 cannot push one of the best out; the last choice is made in double. */
enum { GROUP = 128, SPARE = 16 };

typedef struct {
    float score;
    uint32_t row;
} near;

typedef struct {
    const sm_vectors *v;
    const float *queries;
    const int64_t *except;
    size_t n, limit, room; /* room = limit + SPARE */
    sm_hit *hits;
    size_t *counts;
    float *scores;  /* [threads][GROUP][BLOCK] */
    near *heaps;    /* [threads][GROUP][room]: worst on top */
    sm_hit *judged; /* [threads][room] */
} many;

static bool worse(near a, near b)
{
    return a.score < b.score || (a.score == b.score && a.row > b.row);
}

static void sift(near *heap, size_t n, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n)
            return;
        if (child + 1 < n && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], heap[at]))
            return;
        const near swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

static void add(near *heap, size_t *n, size_t room, near x)
{
    if (*n < room) {
        size_t at = (*n)++;
        for (; at > 0 && worse(x, heap[(at - 1) / 2]); at = (at - 1) / 2)
            heap[at] = heap[(at - 1) / 2];
        heap[at] = x;
    } else if (worse(heap[0], x)) {
        heap[0] = x;
        sift(heap, room, 0);
    }
}

static void take_scores(const many *m, const float *scores, const int64_t *ids, size_t first, size_t n, int64_t except,
                        near *heap, size_t *n_heap)
{
    float bar = *n_heap == m->room ? heap[0].score : -FLT_MAX;

    for (size_t i = 0; i < n; i++)
        if (scores[i] > bar && ids[i] > 0 && ids[i] != except) {
            add(heap, n_heap, m->room, (near){ scores[i], (uint32_t)(first + i) });
            if (*n_heap == m->room)
                bar = heap[0].score;
        }
}

static void judge(const many *m, size_t query, const near *heap, size_t n, sm_hit *judged)
{
    const size_t dims = (size_t)sm_vectors_about(m->v)->dims;

    for (size_t i = 0; i < n; i++) {
        const float *row = sm_vectors_row(m->v, heap[i].row);
        judged[i] = (sm_hit){ sm_vectors_id(m->v, heap[i].row), heap[i].row,
                              sm_vectors_dot(row, m->queries + query * dims, dims) };
    }
    qsort(judged, n, sizeof *judged, sm_hit_order);
    m->counts[query] = SM_MIN(n, m->limit);
    memcpy(m->hits + query * m->limit, judged, m->counts[query] * sizeof *judged);
}

static int one_group(void *user, size_t group, int worker)
{
    const many *m = user;
    const size_t first = group * GROUP, n = SM_MIN((size_t)GROUP, m->n - first), rows = sm_vectors_rows(m->v);
    const int64_t dims = sm_vectors_about(m->v)->dims;
    float *scores = m->scores + (size_t)worker * GROUP * SM_VECTORS_BLOCK;
    near *heaps = m->heaps + (size_t)worker * GROUP * m->room;
    size_t counts[GROUP] = { 0 };
    int err = 0;

    for (size_t row = 0; row < rows && err == 0; row += SM_VECTORS_BLOCK) {
        const size_t count = SM_MIN((size_t)SM_VECTORS_BLOCK, rows - row);
        sm_vectors_block b;
        sm_vectors_block_of(m->v, row / SM_VECTORS_BLOCK, &b);
        err = nn_sgemm(true, (int64_t)n, (int64_t)count, dims, m->queries + first * (size_t)dims, dims, b.values, dims,
                       scores, SM_VECTORS_BLOCK);
        for (size_t i = 0; i < n && err == 0; i++)
            take_scores(m, scores + i * SM_VECTORS_BLOCK, b.ids, row, count, m->except ? m->except[first + i] : 0,
                        heaps + i * m->room, &counts[i]);
    }
    for (size_t i = 0; i < n && err == 0; i++)
        judge(m, first + i, heaps + i * m->room, counts[i], m->judged + (size_t)worker * m->room);
    return err;
}

int sm_vectors_search_many(const sm_vectors *v, sm_pool *pool, const float *queries, size_t n, const int64_t *except,
                           size_t limit, sm_hit *hits, size_t *counts)
{
    const size_t threads = pool ? (size_t)sm_pool_threads(pool) : 1, groups = (n + GROUP - 1) / GROUP;
    many m = { .v = v,
               .queries = queries,
               .except = except,
               .n = n,
               .limit = limit,
               .room = limit + SPARE,
               .hits = hits,
               .counts = counts };
    int err = 0;

    m.scores = sm_alloc_aligned(threads * GROUP * SM_VECTORS_BLOCK, sizeof *m.scores);
    m.heaps = sm_alloc(threads * GROUP * m.room, sizeof *m.heaps);
    m.judged = sm_alloc(threads * m.room, sizeof *m.judged);
    if (!m.scores || !m.heaps || !m.judged)
        err = SM_ENOMEM;
    else if (pool)
        err = sm_pool_run(pool, groups, one_group, &m);
    else
        for (size_t i = 0; i < groups && err == 0; i++)
            err = one_group(&m, i, 0);
    sm_free(m.scores);
    sm_free(m.heaps);
    sm_free(m.judged);
    return err;
}
