/* The nearest neighbours of all fingerprint vectors at once: tiles of rows that stay in the cache, products in bytes. */
#include <string.h>

#include "library/dupes.h"

enum { TILE = 64, LANE = 32 }; /* 64 rows are 33 kB */

/* Products of one row with `n` rows. Values are 0..127: a sum of 512 is below 2^24. */
typedef void (*products_fn)(const sm_print_row *row, const sm_print_row *others, size_t n, int32_t *out);

static inline void products_body(const sm_print_row *row, const sm_print_row *others, size_t n, int32_t *out)
{
    for (size_t j = 0; j < n; j++) {
        int32_t sum = 0;
        for (int i = 0; i < PRINT_VECTOR; i++)
            sum += (int16_t)row->values[i] * (int16_t)others[j].values[i];
        out[j] = sum;
    }
}

static void products_base(const sm_print_row *row, const sm_print_row *others, size_t n, int32_t *out)
{
    products_body(row, others, n, out);
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Values are 0..127 on both sides, so that vpmaddubsw's sums of two products fit its 16 bits. */
__attribute__((target("avx2"))) static void products_avx2(const sm_print_row *row, const sm_print_row *others, size_t n,
                                                          int32_t *out)
{
    const __m256i ones = _mm256_set1_epi16(1);
    for (size_t j = 0; j < n; j++) {
        __m256i sum = _mm256_setzero_si256();
        for (int i = 0; i < PRINT_VECTOR; i += LANE) {
            const __m256i a = _mm256_loadu_si256((const void *)(row->values + i));
            const __m256i b = _mm256_loadu_si256((const void *)(others[j].values + i));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
        }
        __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
        out[j] = _mm_cvtsi128_si32(s);
    }
}
#endif

static products_fn best_products(void)
{
#if defined(__x86_64__)
    sm_cpu_info cpu;
    sm_cpu_detect(&cpu);
    if (cpu.avx2)
        return products_avx2;
#endif
    return products_base;
}

typedef struct {
    const sm_print_row *rows;
    size_t n, first; /* of the band of tiles in hand */
    int k;
    float least;
    products_fn products;
    size_t *near;
    float *cosines;
} search;

/* Into the sorted list of the k best; of equal ones the earlier row stays first, whatever the number of threads. */
static void offer(search *s, size_t row, size_t other, float cosine)
{
    size_t *near = s->near + row * (size_t)s->k;
    float *cosines = s->cosines + row * (size_t)s->k;
    int at = s->k - 1;
    if (cosine <= cosines[at])
        return;
    for (; at > 0 && cosine > cosines[at - 1]; at--) {
        near[at] = near[at - 1];
        cosines[at] = cosines[at - 1];
    }
    near[at] = other;
    cosines[at] = cosine;
}

/* One tile of rows against all. */
static int tile_rows(void *user, size_t item, int worker)
{
    search *s = user;
    const size_t from = (s->first + item) * TILE, to = SM_MIN(from + TILE, s->n);
    int32_t products[TILE];
    (void)worker;
    for (size_t i = from * (size_t)s->k; i < to * (size_t)s->k; i++) {
        s->near[i] = SIZE_MAX;
        s->cosines[i] = s->least;
    }
    for (size_t other = 0; other < s->n; other += TILE) {
        const size_t there = SM_MIN(s->n - other, TILE);
        for (size_t i = from; i < to; i++) {
            if (!(s->rows[i].scale > 0))
                continue;
            s->products(&s->rows[i], s->rows + other, there, products);
            for (size_t j = 0; j < there; j++)
                if (other + j != i)
                    offer(s, i, other + j, (float)products[j] * s->rows[i].scale * s->rows[other + j].scale);
        }
    }
    return 0;
}

int sm_print_neighbours(const sm_print_row *rows, size_t n, int k, float least, sm_pool *pool, sm_progress_fn progress,
                        void *user, size_t *near, float *cosines)
{
    const size_t tiles = (n + TILE - 1) / TILE, at_once = 16 * (size_t)sm_pool_threads(pool);
    search s = {
        .rows = rows, .n = n, .k = k, .least = least, .products = best_products(), .near = near, .cosines = cosines
    };
    int err = 0;
    for (; err == 0 && s.first < tiles; s.first += at_once) {
        const sm_progress_info p = { "comparing fingerprints", (double)s.first, (double)tiles, "rows", 0 };
        if (progress && progress(user, &p))
            err = sm_fail(SM_ECANCELLED, "stopped");
        else
            err = sm_pool_run(pool, SM_MIN(tiles - s.first, at_once), tile_rows, &s);
    }
    return err;
}
