/* Cells of rows: the approximate search. */
#include "support/support.h"

#include <string.h>

#include "library/cells.h"
#include "support/clustered.h"

enum { ROWS = 6000, DIMS = 48, QUERIES = 100, LIMIT = 10 };

typedef struct {
    test_place *place;
    char cells[160], plain[160];
    test_clustered data;
    sm_vectors *v; /* in the order of cells */
    sm_cells *c;
} cells_case;

static int append_rows(sm_vectors *v, const test_clustered *data, size_t first, size_t n)
{
    float *rows = sm_alloc(n * DIMS, sizeof *rows);
    int64_t *ids = sm_alloc(n, sizeof *ids);
    int err = rows && ids ? 0 : SM_ENOMEM;

    for (size_t i = 0; i < n && err == 0; i++) {
        ids[i] = (int64_t)(first + i + 1);
        test_clustered_row(data, 1, first + i, rows + i * DIMS);
    }
    if (err == 0)
        err = sm_vectors_append(v, ids, rows, n);
    sm_free(rows);
    sm_free(ids);
    return err;
}

static void make(cells_case *t, void **state, sm_pool *pool, double recall)
{
    const sm_vectors_info info = { .space = "made-up/1", .dims = DIMS, .unit = true };
    sm_vectors *plain = NULL;

    memset(t, 0, sizeof *t);
    t->place = *state;
    snprintf(t->cells, sizeof t->cells, "%s.cells", t->place->path);
    snprintf(t->plain, sizeof t->plain, "%s.plain", t->place->path);
    assert_true(test_clustered_make(&t->data, DIMS, 24, 60, 0.5, 3));
    test_ok(sm_vectors_create(t->plain, &info, &plain));
    test_ok(append_rows(plain, &t->data, 0, ROWS));
    test_ok(sm_vectors_remove(plain, 17));
    test_ok(sm_cells_build(plain, pool, recall, t->place->path, t->cells));
    sm_vectors_close(plain);
    test_ok(sm_vectors_open(t->place->path, false, &t->v));
    test_ok(sm_cells_open(t->cells, t->v, &t->c));
}

static void drop(cells_case *t)
{
    sm_cells_close(t->c);
    sm_vectors_close(t->v);
    test_clustered_free(&t->data);
}

/* Of 1: how many of the nearest rows are found, in `probes` cells (0: as many as were chosen). */
static double recall_of(const cells_case *t, size_t probes)
{
    size_t found = 0;

    for (size_t i = 0; i < QUERIES; i++) {
        float query[DIMS];
        sm_hit exact[LIMIT], ours[LIMIT];
        size_t n = 0, m = 0;
        test_clustered_row(&t->data, 2, i, query);
        const sm_vectors_query q = { .vector = query, .weight = 1, .limit = LIMIT };
        test_ok(sm_vectors_search(t->v, NULL, &q, exact, &n));
        test_ok(sm_cells_search(t->c, t->v, NULL, &q, probes, ours, &m));
        for (size_t a = 0; a < m; a++) {
            assert_true(a == 0 || sm_hit_order(&ours[a - 1], &ours[a]) < 0);
            for (size_t b = 0; b < n; b++)
                found += ours[a].id == exact[b].id;
        }
    }
    return (double)found / (QUERIES * LIMIT);
}

static void a_few_cells_hold_nearly_all_of_the_nearest_rows_and_all_cells_hold_all(void **state)
{
    cells_case t;

    make(&t, state, NULL, 0.98);
    assert_int_equal(sm_vectors_rows(t.v), ROWS - 1); /* what was removed is not written again */
    assert_in_range(sm_cells_count(t.c), 64, 256);
    assert_true(sm_cells_recall(t.c) >= 0.98);
    assert_true(sm_cells_probes(t.c) < sm_cells_count(t.c) / 2);
    /* other queries than those that chose it: a thousand answers, so some 0.005 of spread */
    assert_true(recall_of(&t, 0) >= 0.965);
    assert_true(recall_of(&t, sm_cells_count(t.c)) == 1);
    drop(&t);
}

static void what_came_since_is_looked_at_too(void **state)
{
    cells_case t;
    float query[DIMS];
    sm_hit hit;
    size_t n;

    make(&t, state, NULL, 0.9);
    sm_cells_close(t.c);
    sm_vectors_close(t.v);
    test_ok(sm_vectors_open(t.place->path, true, &t.v));
    test_ok(append_rows(t.v, &t.data, ROWS, 100));
    test_ok(sm_cells_open(t.cells, t.v, &t.c));
    for (size_t i = 0; i < 100; i++) {
        test_clustered_row(&t.data, 1, ROWS + i, query);
        const sm_vectors_query q = { .vector = query, .weight = 1, .limit = 1 };
        test_ok(sm_cells_search(t.c, t.v, NULL, &q, 1, &hit, &n));
        assert_int_equal(hit.id, ROWS + i + 1);
    }
    drop(&t);
}

static void one_thread_and_two_make_the_same_files(void **state)
{
    cells_case t;
    sm_buffer one = { 0 }, two = { 0 };
    sm_pool *pool = NULL;

    test_ok(sm_pool_new(2, &pool));
    for (int threads = 1; threads <= 2; threads++) {
        make(&t, state, threads == 2 ? pool : NULL, 0.95);
        drop(&t);
        test_ok(sm_file_read(t.place->path, 1 << 28, threads == 1 ? &one : &two));
    }
    assert_int_equal(one.length, two.length);
    assert_memory_equal(one.data, two.data, one.length);
    sm_buffer_free(&one);
    sm_buffer_free(&two);
    sm_pool_free(pool);
}

static void cells_that_are_damaged_or_of_other_vectors_are_refused(void **state)
{
    cells_case t;
    sm_buffer file = { 0 };
    sm_cells *c = NULL;
    sm_vectors *v = NULL;
    const sm_vectors_info info = { .space = "made-up/1", .dims = DIMS, .unit = true };

    make(&t, state, NULL, 0.9);
    test_ok(sm_file_read(t.cells, 1 << 28, &file));
    for (size_t at = 4096; at < 4096 + 8 * sm_cells_count(t.c); at += 97) { /* their numbers */
        file.data[at] ^= 4;
        test_write_file(t.cells, file.data, file.length);
        test_fails(sm_cells_open(t.cells, t.v, &c), SM_EFORMAT, "damaged");
        file.data[at] ^= 4;
    }
    test_write_file(t.cells, file.data, file.length);
    test_ok(sm_vectors_create(t.plain, &info, &v));
    test_fails(sm_cells_open(t.cells, v, &c), SM_EFORMAT, "other vectors");
    sm_vectors_close(v);
    test_fails(sm_cells_open("/nowhere/at.all", t.v, &c), SM_ENOTFOUND, "nowhere");
    sm_buffer_free(&file);
    drop(&t);
}

typedef struct {
    test_place *place;
    const char *cells, *made;
} small;

static int build_and_search(void *user)
{
    const small *t = user;
    sm_vectors *v = NULL, *sorted = NULL;
    sm_cells *c = NULL;
    float query[DIMS] = { 1 };
    sm_hit hits[2];
    size_t n;
    int err = sm_vectors_open(t->place->path, false, &v);
    const sm_vectors_query q = { .vector = query, .weight = 1, .limit = 2 };

    if (err == 0)
        err = sm_cells_build(v, NULL, 0.5, t->made, t->cells);
    if (err == 0)
        err = sm_vectors_open(t->made, false, &sorted);
    if (err == 0)
        err = sm_cells_open(t->cells, sorted, &c);
    if (err == 0)
        err = sm_cells_search(c, sorted, NULL, &q, 0, hits, &n);
    sm_cells_close(c);
    sm_vectors_close(sorted);
    sm_vectors_close(v);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    const sm_vectors_info info = { .space = "made-up/1", .dims = DIMS, .unit = true };
    char cells[160], made[160];
    small t = { *state, cells, made };
    test_clustered data;
    sm_vectors *v = NULL;

    snprintf(cells, sizeof cells, "%s.cells", t.place->path);
    snprintf(made, sizeof made, "%s.made", t.place->path);
    assert_true(test_clustered_make(&data, DIMS, 8, 3, 0.5, 3));
    test_ok(sm_vectors_create(t.place->path, &info, &v));
    test_ok(append_rows(v, &data, 0, 5)); /* each trial searches, so few */
    test_ok(sm_vectors_commit(v));
    sm_vectors_close(v);
    test_clustered_free(&data);
    test_every_allocation_may_fail(build_and_search, &t);
}

#define PLACE(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE(a_few_cells_hold_nearly_all_of_the_nearest_rows_and_all_cells_hold_all),
        PLACE(what_came_since_is_looked_at_too),
        PLACE(one_thread_and_two_make_the_same_files),
        PLACE(cells_that_are_damaged_or_of_other_vectors_are_refused),
        PLACE(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
