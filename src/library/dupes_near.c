/* The nearest neighbours of all fingerprint vectors at once: tiles of rows that stay in the cache, products in bytes. Of so many that the
 * square of their number is too much see dupes_cells.c. */
#include <string.h>

#include "library/dupes.h"

enum { TILE = 64, LANE = 32 }; /* 64 rows are 33 kB */

/* Values are 0..127: a sum of 512 is below 2^24. */
static void products_base(const sm_print_row *row, const sm_print_row *others, size_t n, int32_t *out)
{
    for (size_t j = 0; j < n; j++) {
        int32_t sum = 0;
        for (int i = 0; i < PRINT_VECTOR; i++)
            sum += (int16_t)row->values[i] * (int16_t)others[j].values[i];
        out[j] = sum;
    }
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

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) static void
products_vnni(const sm_print_row *row, const sm_print_row *others, size_t n, int32_t *out)
{
    enum { WIDE = PRINT_VECTOR / 64 };
    __m512i a[WIDE];
    for (size_t i = 0; i < WIDE; i++)
        a[i] = _mm512_loadu_si512(row->values + 64 * i);
    for (size_t j = 0; j < n; j++) {
        __m512i even = _mm512_setzero_si512(), odd = even;
        for (size_t i = 0; i < WIDE; i += 2) {
            even = _mm512_dpbusd_epi32(even, a[i], _mm512_loadu_si512(others[j].values + 64 * i));
            odd = _mm512_dpbusd_epi32(odd, a[i + 1], _mm512_loadu_si512(others[j].values + 64 * i + 64));
        }
        out[j] = _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
    }
}
#endif

sm_print_products sm_print_products_best(void)
{
#if defined(__x86_64__)
    sm_cpu_info cpu;
    sm_cpu_detect(&cpu);
    if (cpu.avx512_vnni)
        return products_vnni;
    if (cpu.avx2)
        return products_avx2;
#endif
    return products_base;
}

void sm_print_offer(int k, size_t *near, float *cosines, size_t other, float cosine)
{
    int at = k - 1;
    if (cosine < cosines[at] || (cosine <= cosines[at] && other >= near[at]))
        return;
    for (; at > 0 && (cosine > cosines[at - 1] || (cosine >= cosines[at - 1] && other < near[at - 1])); at--) {
        near[at] = near[at - 1];
        cosines[at] = cosines[at - 1];
    }
    near[at] = other;
    cosines[at] = cosine;
}

typedef struct {
    const sm_print_search *o;
    size_t first; /* of the band of tiles in hand */
    sm_print_products products;
    size_t *near;
    float *cosines;
} search;

/* One tile of rows against all. */
static int tile_rows(void *user, size_t item, int worker)
{
    search *s = user;
    const sm_print_row *rows = s->o->rows;
    const size_t k = (size_t)s->o->k, from = (s->first + item) * TILE, to = SM_MIN(from + TILE, s->o->n);
    int32_t products[TILE];
    (void)worker;
    for (size_t i = from * k; i < to * k; i++) {
        s->near[i] = SIZE_MAX;
        s->cosines[i] = s->o->least;
    }
    for (size_t other = 0; other < s->o->n; other += TILE) {
        const size_t there = SM_MIN(s->o->n - other, TILE);
        for (size_t i = from; i < to; i++) {
            if (!(rows[i].scale > 0))
                continue;
            s->products(&rows[i], rows + other, there, products);
            for (size_t j = 0; j < there; j++)
                if (other + j != i)
                    sm_print_offer(s->o->k, s->near + i * k, s->cosines + i * k, other + j,
                                   (float)products[j] * rows[i].scale * rows[other + j].scale);
        }
    }
    return 0;
}

int sm_print_neighbours_of_all(const sm_print_search *o, size_t *near, float *cosines)
{
    const size_t tiles = (o->n + TILE - 1) / TILE, at_once = 16 * (size_t)sm_pool_threads(o->pool);
    search s = { .o = o, .products = sm_print_products_best(), .near = near, .cosines = cosines };
    int err = 0;
    for (; err == 0 && s.first < tiles; s.first += at_once) {
        const sm_progress_info p = { "comparing fingerprints", (double)s.first, (double)tiles, "rows", 0 };
        if (o->progress && o->progress(o->user, &p))
            err = sm_fail(SM_ECANCELLED, "stopped");
        else
            err = sm_pool_run(o->pool, SM_MIN(tiles - s.first, at_once), tile_rows, &s);
    }
    return err;
}

int sm_print_neighbours(const sm_print_search *o, size_t *near, float *cosines)
{
    return o->n < SM_PRINT_CELLS_LEAST ? sm_print_neighbours_of_all(o, near, cosines)
                                       : sm_print_neighbours_in_cells(o, near, cosines);
}
