/* How long the search for near duplicates takes among many sounds: fingerprints are made up, each in one of some thousand kinds and one in
 * twenty a twin of another; their neighbours are sought in cells and, of a sample, by brute force.
 *
 *     make build/gcc/bench/near_many && build/gcc/bench/near_many [SOUNDS [THREADS]]         default 100000 2
 *
 * Waveforms are not part of it: each pair that is left costs two decodings and some milliseconds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/dupes.h"

enum { KINDS = 3000, SAMPLE = 1000, EVERY_TWIN = 20 };

static void must(int err)
{
    if (err < 0) {
        fprintf(stderr, "near_many: %s\n", sm_last_error());
        exit(1);
    }
}

/* 0..1, of sound i (or kind i). */
static double draw(uint64_t what, size_t i)
{
    return 0.5 + 0.5 * sm_unit(what * 0x9E3779B97F4A7C15u, i);
}

/* Bands that swell at once and fade each in its time, about those of its kind; i: whose chances. */
static void make_print(size_t i, size_t noise, sm_print *p)
{
    const size_t kind = (size_t)(KINDS * draw(1, i) * draw(2, i));
    const uint64_t own = sm_unit_hash("near_many", i), of_kind = sm_unit_hash("kind", kind);
    const double length = 10 + 300 * draw(3, kind) * (0.8 + 0.4 * draw(4, i));
    double level[PRINT_BANDS], fade[PRINT_BANDS];
    p->frames = (int)length;
    p->cells = sm_alloc((size_t)p->frames, PRINT_BANDS);
    must(p->cells ? 0 : SM_ENOMEM);
    for (size_t b = 0; b < PRINT_BANDS; b++) {
        level[b] = 130 + 110 * sm_unit(of_kind, b / 3) + 20 * sm_unit(own, b);
        fade[b] = 3 * exp(1.2 * sm_unit(of_kind, 100 + b / 4) + 0.3 * sm_unit(own, 100 + b));
    }
    for (int t = 0; t < p->frames; t++)
        for (size_t b = 0; b < PRINT_BANDS; b++) {
            const size_t at = (size_t)t * PRINT_BANDS + b;
            const double x = level[b] - 40 * fade[b] * t / length + 12 * sm_unit(own, 1000 + at) +
                             4 * sm_unit(sm_unit_hash("noise", noise), at);
            p->cells[at] = (uint8_t)SM_CLAMP(x, 0, 255);
        }
}

static size_t origin_of(size_t i)
{
    return i % EVERY_TWIN == 1 ? i - 1 : i;
}

/* Of a sample: which of the brute force's neighbours at all and above .95, and which twins, were found from either side. */
typedef struct {
    size_t all, found, close, close_found, twins, twins_found;
} recall;

static bool has(const size_t *near, size_t k, size_t other)
{
    for (size_t j = 0; j < k; j++)
        if (near[j] == other)
            return true;
    return false;
}

static void judge(const sm_print_row *rows, size_t n, int k, float least, const size_t *near, recall *r)
{
    const sm_print_products product = sm_print_products_best();
    int32_t *products = sm_alloc(n, sizeof *products);
    size_t *truth = sm_alloc((size_t)k, sizeof *truth);
    float *cosines = sm_alloc((size_t)k, sizeof *cosines);
    must(products && truth && cosines ? 0 : SM_ENOMEM);
    for (size_t s = 0; s < SAMPLE; s++) {
        const size_t i = s * n / SAMPLE;
        for (int j = 0; j < k; j++)
            truth[j] = SIZE_MAX, cosines[j] = least;
        product(&rows[i], rows, n, products);
        for (size_t j = 0; j < n; j++)
            if (j != i && rows[j].scale > 0)
                sm_print_offer(k, truth, cosines, j, (float)products[j] * rows[i].scale * rows[j].scale);
        for (int j = 0; j < k && truth[j] != SIZE_MAX; j++) {
            const bool there =
                has(near + i * (size_t)k, (size_t)k, truth[j]) || has(near + truth[j] * (size_t)k, (size_t)k, i);
            r->all++, r->found += there;
            r->close += cosines[j] > 0.95F, r->close_found += cosines[j] > 0.95F && there;
        }
    }
    sm_free(products);
    sm_free(truth);
    sm_free(cosines);
    for (size_t i = 1; i < n; i += EVERY_TWIN, r->twins++)
        r->twins_found += has(near + i * (size_t)k, (size_t)k, i - 1) || has(near + (i - 1) * (size_t)k, (size_t)k, i);
}

static double time_laying(const sm_print *prints, size_t n, const size_t *near, size_t k, size_t *pairs)
{
    double similarity = 0;
    size_t timed = 0;
    *pairs = 0;
    for (size_t i = 0; i < n * k; i++)
        *pairs += near[i] != SIZE_MAX && (near[i] > i / k || !has(near + near[i] * k, k, i / k));
    const double start = sm_now_s();
    for (size_t i = 0; i < n * k && timed < 2000; i += 37)
        if (near[i] != SIZE_MAX) {
            must(sm_print_similarity(&prints[i / k], &prints[near[i]], &similarity));
            timed++;
        }
    return timed ? (sm_now_s() - start) / (double)timed : 0;
}

int main(int argc, char **argv)
{
    const size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    const int threads = argc > 2 ? atoi(argv[2]) : 2, k = sm_dupe_limits_default.neighbours;
    if (n < SAMPLE || threads < 1) {
        fprintf(stderr, "usage: near_many [SOUNDS [THREADS]]    at least %d\n", SAMPLE);
        return 2;
    }
    sm_pool *pool = NULL;
    sm_print *prints = sm_alloc_zero(n, sizeof *prints);
    sm_print_row *rows = sm_alloc_aligned(n, sizeof *rows);
    size_t *near = sm_alloc(n * (size_t)k, sizeof *near), pairs;
    float *cosines = sm_alloc(n * (size_t)k, sizeof *cosines);
    recall r = { 0 };
    must(prints && rows && near && cosines ? sm_pool_new(threads, &pool) : SM_ENOMEM);
    for (size_t i = 0; i < n; i++)
        make_print(origin_of(i), i, &prints[i]);
    double start = sm_now_s();
    for (size_t i = 0; i < n; i++)
        rows[i].scale = sm_print_vector(&prints[i], rows[i].values);
    printf("%zu sounds, %d thread%s\nvectors of fingerprints   %9.3f s\n", n, threads, threads > 1 ? "s" : "",
           sm_now_s() - start);
    const sm_print_search s = { rows, n, k, (float)sm_dupe_limits_default.least_cosine, pool, NULL, NULL };
    start = sm_now_s();
    must(sm_print_neighbours_in_cells(&s, near, cosines));
    printf("neighbours in cells       %9.3f s\n", sm_now_s() - start);
    judge(rows, n, k, s.least, near, &r);
    printf("  found of the %d nearest  %9.4f   (%.1f a sound)\n  of those above .95       %9.4f   (%.1f a sound)\n"
           "  of twins                %9.4f\n",
           k, (double)r.found / (double)SM_MAX(r.all, 1), (double)r.all / SAMPLE,
           (double)r.close_found / (double)SM_MAX(r.close, 1), (double)r.close / SAMPLE,
           (double)r.twins_found / (double)r.twins);
    const double a_pair = time_laying(prints, n, near, (size_t)k, &pairs);
    printf("laying upon each other    %9.3f s   (%zu pairs, %.1f us each, shared by the threads)\n",
           a_pair * (double)pairs / threads, pairs, 1e6 * a_pair);
    if (n <= 100000) {
        start = sm_now_s();
        must(sm_print_neighbours_of_all(&s, near, cosines));
        printf("neighbours by brute force %9.3f s\n", sm_now_s() - start);
    }
    for (size_t i = 0; i < n; i++)
        sm_print_free(&prints[i]);
    sm_free(prints);
    sm_free(rows);
    sm_free(near);
    sm_free(cosines);
    sm_pool_free(pool);
    return 0;
}
