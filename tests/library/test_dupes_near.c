/* Candidates among many sounds: by cells what brute force finds; fingerprints laid upon each other as the definition has it. */
#include "support/support.h"

#include <math.h>

#include "library/dupes.h"

enum { N = 3000, KINDS = 60, K = 8 };

/* Rows about some kinds; every tenth is nearly the one before it, a few are silent. */
static sm_print_row *make_rows(size_t n)
{
    sm_print_row *rows = sm_alloc_zero(n, sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        const size_t own = i % 10 == 9 ? i - 1 : i, kind = own * 7919 % KINDS;
        double energy = 0;
        for (size_t j = 0; j < PRINT_VECTOR && i % 500 != 3; j++) {
            const double level =
                60 + 55 * sm_unit(kind + 1, j / 4) + 12 * sm_unit(1000 + own, j) + 2 * sm_unit(100000 + i, j);
            rows[i].values[j] = (int8_t)SM_CLAMP(level, 0, 127);
            energy += rows[i].values[j] * rows[i].values[j];
        }
        rows[i].scale = energy > 0 ? (float)(1 / sqrt(energy)) : 0;
    }
    return rows;
}

static bool has(const size_t *near, size_t other)
{
    for (size_t j = 0; j < K; j++)
        if (near[j] == other)
            return true;
    return false;
}

static void cells_find_what_brute_force_finds(void **state)
{
    sm_print_row *rows = make_rows(N);
    size_t *truth = sm_alloc(N * K, sizeof *truth), *near[2] = { NULL };
    float *cosines = sm_alloc(N * K, sizeof *cosines), *others = sm_alloc(N * K, sizeof *others);
    size_t all = 0, found = 0;
    sm_pool *pool = NULL;
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        near[threads - 1] = sm_alloc(N * K, sizeof *truth);
        test_ok(sm_pool_new(threads, &pool));
        const sm_print_search s = { rows, N, K, 0.85F, pool, NULL, NULL };
        if (threads == 1)
            test_ok(sm_print_neighbours_of_all(&s, truth, cosines));
        test_ok(sm_print_neighbours_in_cells(&s, near[threads - 1], others));
        sm_pool_free(pool);
    }
    assert_memory_equal(near[0], near[1], N * K * sizeof *truth);
    for (size_t i = 0; i < N; i++) {
        if (rows[i].scale > 0 && i % 10 == 9 && rows[i - 1].scale > 0) { /* no twin is missed */
            assert_true(has(truth + i * K, i - 1));
            assert_true(has(near[0] + i * K, i - 1));
        }
        if (!(rows[i].scale > 0))
            assert_true(near[0][i * K] == SIZE_MAX);
        for (size_t j = 0; j < K && truth[i * K + j] != SIZE_MAX; j++) {
            all++;
            found += has(near[0] + i * K, truth[i * K + j]);
        }
        for (size_t j = 1; j < K; j++)
            assert_true(others[i * K + j] <= others[i * K + j - 1]);
    }
    assert_true(all > N);                   /* or it says nothing */
    if ((double)found < 0.97 * (double)all) /* of sounds that are only alike a few may be missed */
        fail_msg("%zu of %zu", found, all);
    sm_free(rows);
    sm_free(truth);
    sm_free(near[0]);
    sm_free(near[1]);
    sm_free(cosines);
    sm_free(others);
}

static void few_sounds_and_silence_have_cells_too(void **state)
{
    sm_print_row *rows = make_rows(5);
    size_t near[5 * K];
    float cosines[5 * K];
    sm_pool *pool = NULL;
    (void)state;
    test_ok(sm_pool_new(1, &pool));
    test_ok(sm_print_neighbours_in_cells(&(sm_print_search){ rows, 5, K, 0.1F, pool, NULL, NULL }, near, cosines));
    assert_true(near[0] < 5 && near[0] != 0);
    for (size_t i = 0; i < 5; i++)
        rows[i].scale = 0;
    test_ok(sm_print_neighbours_in_cells(&(sm_print_search){ rows, 5, K, 0.1F, pool, NULL, NULL }, near, cosines));
    assert_true(near[0] == SIZE_MAX && near[5 * K - 1] == SIZE_MAX);
    sm_pool_free(pool);
    sm_free(rows);
}

static int stop(void *user, const sm_progress_info *p)
{
    (void)p;
    return ++*(int *)user == 2;
}

static void a_search_in_cells_can_be_stopped(void **state)
{
    sm_print_row *rows = make_rows(N);
    size_t *near = sm_alloc(N * K, sizeof *near);
    float *cosines = sm_alloc(N * K, sizeof *cosines);
    sm_pool *pool = NULL;
    int calls = 0;
    (void)state;
    test_ok(sm_pool_new(1, &pool));
    test_fails(sm_print_neighbours_in_cells(&(sm_print_search){ rows, N, K, 0.85F, pool, stop, &calls }, near, cosines),
               SM_ECANCELLED, "stopped");
    sm_pool_free(pool);
    sm_free(rows);
    sm_free(near);
    sm_free(cosines);
}

/* ---- laid upon each other ---- */

static uint8_t cell_at(const sm_print *p, int frame, int band)
{
    return frame < 0 || frame >= p->frames ? 0 : p->cells[frame * PRINT_BANDS + band];
}

/* As fingerprint.h says it. */
static double similarity_of(const sm_print *a, const sm_print *b)
{
    double best = 0;
    for (int shift = -PRINT_SHIFT; shift <= PRINT_SHIFT; shift++) {
        double apart = 0, whole = 0;
        for (int t = -2 * PRINT_SHIFT; t < SM_MAX(a->frames, b->frames) + 2 * PRINT_SHIFT; t++)
            for (int band = 0; band < PRINT_BANDS; band++) {
                const double x = cell_at(a, t, band), y = cell_at(b, t + shift, band);
                apart += fabs(x - y) * fmax(x, y);
                whole += fmax(x, y) * fmax(x, y);
            }
        best = fmax(best, 1 - apart / fmax(whole, 1));
    }
    return best;
}

static void similarity_is_as_defined(void **state)
{
    static const int frames[] = { 1, 2, 7, 40, 40, 533 }; /* the last is the longest there is */
    sm_print prints[SM_LENGTH(frames)];
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(frames); i++) {
        prints[i].frames = frames[i];
        prints[i].cells = sm_alloc((size_t)frames[i], PRINT_BANDS);
        for (size_t j = 0; j < (size_t)frames[i] * PRINT_BANDS; j++)
            prints[i].cells[j] = i == 5 ? 255 : (uint8_t)(127.5 + 127.5 * sm_unit(i / 2 + 1, j + 32 * (i % 2)));
    }
    for (size_t i = 0; i < SM_LENGTH(frames); i++)
        for (size_t j = 0; j < SM_LENGTH(frames); j++) {
            double got = -1;
            test_ok(sm_print_similarity(&prints[i], &prints[j], &got));
            if (fabs(got - similarity_of(&prints[i], &prints[j])) > 1e-12)
                fail_msg("%d frames upon %d: %.9f, not %.9f", frames[i], frames[j], got,
                         similarity_of(&prints[i], &prints[j]));
        }
    for (size_t i = 0; i < SM_LENGTH(frames); i++)
        sm_print_free(&prints[i]);
}

static int search_few(void *user)
{
    enum { FEW = 200 };
    size_t near[FEW * K];
    float cosines[FEW * K];
    sm_pool *pool = NULL;
    int err = sm_pool_new(1, &pool);
    if (err == 0)
        err = sm_print_neighbours_in_cells(&(sm_print_search){ user, FEW, K, 0.85F, pool, NULL, NULL }, near, cosines);
    sm_pool_free(pool);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    sm_print_row *rows = make_rows(200);
    (void)state;
    test_every_allocation_may_fail(search_few, rows);
    sm_free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_find_what_brute_force_finds), cmocka_unit_test(few_sounds_and_silence_have_cells_too),
        cmocka_unit_test(a_search_in_cells_can_be_stopped),  cmocka_unit_test(similarity_is_as_defined),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
