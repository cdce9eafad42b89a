/* The file of vectors and the exact search through it. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/vectors.h"
#include "support/clustered.h"

enum { MOST = 40 };

static sm_vectors_info about(int dims)
{
    return (sm_vectors_info){ .space = "made-up/1", .fit = 7, .dims = dims, .unit = true };
}

/* n clustered rows with ids step, 2 step, ... at path. */
static void make_file(const char *path, int dims, size_t n, int64_t step, sm_vectors **out)
{
    const sm_vectors_info info = about(dims);
    float *rows = sm_alloc(SM_MAX(n, 1u) * (size_t)dims, sizeof *rows);
    int64_t *ids = sm_alloc(SM_MAX(n, 1u), sizeof *ids);
    test_clustered c = { 0 };

    assert_true(rows && ids && test_clustered_make(&c, dims, SM_MIN(dims, 24), 20, 0.4, 3));
    for (size_t i = 0; i < n; i++) {
        ids[i] = (int64_t)(i + 1) * step;
        test_clustered_row(&c, 1, i, rows + i * (size_t)dims);
    }
    test_ok(sm_vectors_create(path, &info, out));
    test_ok(sm_vectors_append(*out, ids, rows, n / 3));
    test_ok(sm_vectors_append(*out, ids + n / 3, rows + n / 3 * (size_t)dims, n - n / 3));
    test_ok(sm_vectors_commit(*out));
    test_clustered_free(&c);
    sm_free(rows);
    sm_free(ids);
}

static void make_queries(float *out, int dims, size_t n)
{
    test_clustered c = { 0 };
    assert_true(test_clustered_make(&c, dims, SM_MIN(dims, 24), 20, 0.4, 3));
    for (size_t i = 0; i < n; i++)
        test_clustered_row(&c, 2, i, out + i * (size_t)dims);
    test_clustered_free(&c);
}

/* The definition. */
static size_t brute_force(const sm_vectors *v, const sm_vectors_query *q, sm_hit *hits)
{
    const size_t rows = sm_vectors_rows(v);
    sm_hit *all = sm_alloc(SM_MAX(rows, 1u), sizeof *all);
    size_t n = 0;

    assert_non_null(all);
    for (size_t row = 0; row < rows; row++) {
        const int64_t id = sm_vectors_id(v, row);
        double dot = 0;
        if (id == 0 || id == q->except || (q->keep && !(q->keep[row / 64] >> row % 64 & 1)))
            continue;
        for (int j = 0; j < sm_vectors_about(v)->dims && q->weight > 0; j++)
            dot += (double)q->vector[j] * (double)sm_vectors_row(v, row)[j];
        all[n++] = (sm_hit){ id, row, q->weight * dot + (q->extra ? (double)q->extra[row] : 0) };
    }
    qsort(all, n, sizeof *all, sm_hit_order);
    n = SM_MIN(n, q->limit);
    memcpy(hits, all, n * sizeof *all);
    sm_free(all);
    return n;
}

static void same_hits(const sm_hit *ours, size_t n, const sm_hit *truth, size_t n_truth)
{
    assert_int_equal(n, n_truth);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(ours[i].id, truth[i].id);
        /* both sums are in double; only their order differs */
        assert_true(fabs(ours[i].score - truth[i].score) < 1e-13);
    }
}

static void each_kernel_gives_the_integers_of_the_definition(void **state)
{
    static const size_t lengths[] = { 1, 63, 64, 65, 192, 512, SM_DOTS_MOST };
    const sm_dots *kernels[4];
    sm_dots_query *q = sm_alloc(1, sizeof *q);
    uint8_t *rows = sm_alloc(5 * SM_DOTS_MOST, 1);
    float *x = sm_alloc(SM_DOTS_MOST, sizeof *x);

    (void)state;
    assert_true(q && rows && x);
    sm_dots_all(kernels);
    for (size_t l = 0; l < SM_LENGTH(lengths); l++)
        for (int extreme = 0; extreme < 2; extreme++) {
            const size_t padded = (lengths[l] + 63) / 64 * 64;
            uint64_t random = lengths[l];
            for (size_t j = 0; j < lengths[l]; j++)
                x[j] = extreme ? 1 : (float)test_random_normal(&random);
            for (size_t i = 0; i < 5 * padded; i++)
                rows[i] = extreme ? 255 : (uint8_t)(1 + test_random(&random) % 255);
            sm_dots_query_make(q, x, lengths[l], padded);
            for (size_t k = 0; kernels[k]; k++) {
                float out[5];
                kernels[k]->dots(rows, padded, 5, q, out);
                for (size_t i = 0; i < 5; i++) {
                    int64_t sum = 0;
                    for (size_t j = 0; j < padded; j++) {
                        assert_int_equal(q->value[j], q->high[j] * 128 + q->low[j]);
                        sum += (int64_t)(rows[i * padded + j] - 128) * q->value[j];
                    }
                    if (out[i] != (float)sum)
                        fail_msg("%s, %zu values, row %zu: %g, not %lld", kernels[k]->name, lengths[l], i,
                                 (double)out[i], (long long)sum);
                }
            }
        }
    sm_free(q);
    sm_free(rows);
    sm_free(x);
}

static void the_search_finds_what_brute_force_in_double_finds(void **state)
{
    static const struct {
        int dims;
        size_t rows, limit;
    } cases[] = { { 1, 5, 3 },      { 8, 0, 10 },      { 8, 1, 10 },     { 64, 1023, 10 },  { 65, 1024, 10 },
                  { 96, 1025, 40 }, { 128, 5000, 10 }, { 200, 3000, 1 }, { 512, 2500, 10 }, { 32, 100, 100 } };
    const test_place *place = *state;
    sm_pool *pool = NULL;

    test_ok(sm_pool_new(2, &pool));
    for (size_t c = 0; c < SM_LENGTH(cases); c++) {
        const int dims = cases[c].dims;
        sm_vectors *v = NULL;
        const sm_dots *kernels[4];
        float queries[4 * 512];
        sm_hit ours[100], truth[100];
        make_file(place->path, dims, cases[c].rows, 1, &v);
        make_queries(queries, dims, 4);
        sm_dots_all(kernels);
        for (size_t i = 0; i < 4; i++)
            for (size_t k = 0; kernels[k]; k++) {
                const sm_vectors_query q = { .vector = queries + i * (size_t)dims,
                                             .weight = 1,
                                             .limit = cases[c].limit,
                                             .dots = kernels[k],
                                             .except = i % 2 ? 3 : 0 };
                size_t n = 0;
                test_ok(sm_vectors_search(v, i % 3 ? NULL : pool, &q, ours, &n));
                same_hits(ours, n, truth, brute_force(v, &q, truth));
            }
        sm_vectors_close(v);
    }
    sm_pool_free(pool);
}

static void a_filter_gives_the_whole_answer_however_few_it_leaves(void **state)
{
    static const int shares[] = { 0, 1, 2, 10, 300, 999, 1000 }; /* of a thousand */
    const test_place *place = *state;
    uint64_t keep[63], random = 5;
    float query[96];
    sm_vectors *v = NULL;

    make_file(place->path, 96, 4001, 1, &v);
    make_queries(query, 96, 1);
    for (size_t s = 0; s < SM_LENGTH(shares); s++) {
        sm_hit ours[MOST], truth[MOST];
        size_t n = 0, left = 0;
        memset(keep, 0, sizeof keep);
        for (size_t row = 0; row < 4001; row++)
            if ((int)(test_random(&random) % 1000) < shares[s])
                keep[row / 64] |= UINT64_C(1) << row % 64, left++;
        const sm_vectors_query q = { .vector = query, .weight = 1, .keep = keep, .limit = MOST };
        test_ok(sm_vectors_search(v, NULL, &q, ours, &n));
        assert_int_equal(n, SM_MIN(left, (size_t)MOST));
        same_hits(ours, n, truth, brute_force(v, &q, truth));
    }
    sm_vectors_close(v);
}

static void what_else_counts_is_added_to_the_score(void **state)
{
    const test_place *place = *state;
    float query[64], extra[3000];
    uint64_t random = 9;
    sm_vectors *v = NULL;

    make_file(place->path, 64, 3000, 1, &v);
    make_queries(query, 64, 1);
    for (size_t i = 0; i < 3000; i++)
        extra[i] = (float)test_random_normal(&random);
    for (int w = 0; w < 3; w++) {
        sm_hit ours[MOST], truth[MOST];
        size_t n = 0;
        const sm_vectors_query q = { .vector = w ? query : NULL, .weight = w, .extra = extra, .limit = MOST };
        test_ok(sm_vectors_search(v, NULL, &q, ours, &n));
        same_hits(ours, n, truth, brute_force(v, &q, truth));
    }
    sm_vectors_close(v);
}

static void equal_sounds_come_in_the_order_of_their_numbers(void **state)
{
    const test_place *place = *state;
    const sm_vectors_info info = about(16);
    float rows[300 * 16];
    int64_t ids[300];
    sm_hit hits[MOST];
    sm_vectors *v = NULL;
    size_t n = 0;

    for (size_t i = 0; i < 300; i++) {
        ids[i] = (int64_t)(300 - i);
        for (size_t j = 0; j < 16; j++)
            rows[i * 16 + j] = (float)(1 + j);
    }
    test_ok(sm_vectors_create(place->path, &info, &v));
    test_ok(sm_vectors_append(v, ids, rows, 300));
    const sm_vectors_query q = { .vector = rows, .weight = 1, .limit = MOST };
    test_ok(sm_vectors_search(v, NULL, &q, hits, &n));
    assert_int_equal(n, MOST);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(hits[i].id, i + 1);
    sm_vectors_close(v);
    assert_int_not_equal(access(place->path, F_OK), 0); /* never committed */
}

static void rows_that_were_added_removed_or_replaced_are_what_a_new_reader_sees(void **state)
{
    const test_place *place = *state;
    sm_vectors *v = NULL, *reader = NULL;
    float query[64];
    sm_hit hits[MOST];
    size_t n = 0, row = 0;

    make_file(place->path, 64, 1500, 2, &v);
    sm_vectors_close(v);
    make_queries(query, 64, 1);
    test_ok(sm_vectors_open(place->path, false, &reader));
    assert_string_equal(sm_vectors_about(reader)->space, "made-up/1");
    assert_int_equal(sm_vectors_about(reader)->fit, 7);
    test_fails(sm_vectors_append(reader, (const int64_t[]){ 1 }, query, 1), SM_EUSAGE, "reading only");

    test_ok(sm_vectors_open(place->path, true, &v));
    test_ok(sm_vectors_append(v, (const int64_t[]){ 77777 }, query, 1));
    const sm_vectors_query q = { .vector = query, .weight = 1, .limit = 2 };
    test_ok(sm_vectors_search(v, NULL, &q, hits, &n));
    assert_int_equal(hits[0].id, 77777);
    const int64_t second = hits[1].id;
    assert_int_equal(sm_vectors_rows(reader), 1500); /* goes on seeing what it saw */
    test_ok(sm_vectors_find(v, 77777, &row));
    assert_int_equal(row, 1500);
    test_ok(sm_vectors_remove(v, row));
    assert_int_equal(sm_vectors_find(v, 77777, &row), SM_ENOTFOUND);
    assert_int_equal(sm_vectors_alive(v), 1500);
    test_ok(sm_vectors_search(v, NULL, &q, hits, &n));
    assert_int_equal(hits[0].id, second);
    test_ok(sm_vectors_put(v, 5, 88888, query));
    sm_vectors_close(v);

    sm_vectors_close(reader);
    test_ok(sm_vectors_open(place->path, false, &reader));
    assert_int_equal(sm_vectors_rows(reader), 1501);
    test_ok(sm_vectors_search(reader, NULL, &q, hits, &n));
    assert_int_equal(hits[0].id, 88888);
    for (size_t i = 0; i < 1501; i++)
        assert_true(sm_vectors_sound(reader, i));
    sm_vectors_close(reader);
}

static void a_value_that_is_not_finite_is_refused_and_nothing_is_changed(void **state)
{
    const test_place *place = *state;
    float query[64];
    sm_vectors *v = NULL;

    make_file(place->path, 64, 10, 1, &v);
    make_queries(query, 64, 1);
    query[9] = NAN;
    test_fails(sm_vectors_append(v, (const int64_t[]){ 11 }, query, 1), SM_EUSAGE, "not finite");
    query[9] = 0;
    test_fails(sm_vectors_append(v, (const int64_t[]){ 0 }, query, 1), SM_EUSAGE, "number 0");
    assert_int_equal(sm_vectors_rows(v), 10);
    test_ok(sm_vectors_append(v, (const int64_t[]){ 11 }, query, 1));
    assert_int_equal(sm_vectors_rows(v), 11);
    sm_vectors_close(v);
}

static void read_file(const char *path, sm_buffer *out)
{
    test_ok(sm_file_read(path, 1 << 28, out));
}

static void a_damaged_file_is_refused_or_its_row_named(void **state)
{
    const test_place *place = *state;
    const sm_vectors_info info = about(16);
    sm_buffer file = { 0 };
    sm_vectors *v = NULL;
    float query[16];
    size_t damaged = 0;

    make_file(place->path, 16, 40, 1, &v);
    sm_vectors_close(v);
    make_queries(query, 16, 1);
    read_file(place->path, &file);
    /* cut anywhere */
    for (size_t length = 0; length < file.length; length += length < 5000 ? 411 : 20011) {
        test_write_file(place->path, file.data, length);
        test_fails(sm_vectors_open(place->path, false, &v), SM_EFORMAT, place->path);
    }
    /* one of the two heads may go, not both */
    memset(file.data, 0x55, 100);
    test_write_file(place->path, file.data, file.length);
    const int one = sm_vectors_open(place->path, false, &v);
    sm_vectors_close(v);
    memset(file.data + 2048, 0x55, 100);
    test_write_file(place->path, file.data, file.length);
    test_fails(sm_vectors_open(place->path, false, &v), SM_EFORMAT, "head is damaged");
    assert_int_equal(one, 0);
    sm_buffer_free(&file);

    make_file(place->path, 16, 40, 1, &v);
    sm_vectors_close(v);
    read_file(place->path, &file);
    /* a bit anywhere behind the heads: rows say so, and no search crashes */
    for (size_t at = 4096; at < file.length; at += 4001) {
        sm_hit hits[MOST];
        size_t n;
        file.data[at] ^= 0x40;
        test_write_file(place->path, file.data, file.length);
        test_ok(sm_vectors_open(place->path, false, &v));
        size_t bad = 0;
        for (size_t i = 0; i < 40; i++)
            bad += !sm_vectors_sound(v, i);
        damaged += bad;
        const sm_vectors_query q = { .vector = query, .weight = 1, .limit = MOST };
        const int err = sm_vectors_search(v, NULL, &q, hits, &n);
        assert_true(err == 0 || err == SM_EFORMAT);
        assert_true(bad || err == 0);
        sm_vectors_close(v);
        file.data[at] ^= 0x40;
    }
    assert_true(damaged > 0);
    sm_buffer_free(&file);
    test_fails(sm_vectors_open("/nowhere/at.all", false, &v), SM_ENOTFOUND, "nowhere");
    const sm_vectors_info wide = about(SM_DOTS_MOST + 1);
    test_fails(sm_vectors_create(place->path, &wide, &v), SM_EUSAGE, "4096");
    (void)info;
}

static void many_searches_at_once_find_what_single_ones_do(void **state)
{
    const test_place *place = *state;
    enum { QUERIES = 300, DIMS = 64 };
    float *queries = sm_alloc(QUERIES * DIMS, sizeof *queries);
    sm_hit *hits = sm_alloc(QUERIES * 10, sizeof *hits), truth[10];
    size_t counts[QUERIES];
    int64_t except[QUERIES];
    sm_vectors *v = NULL;
    sm_pool *pool = NULL;

    assert_true(queries && hits);
    test_ok(sm_pool_new(2, &pool));
    make_file(place->path, DIMS, 2100, 1, &v);
    make_queries(queries, DIMS, QUERIES);
    for (int64_t i = 0; i < QUERIES; i++)
        except[i] = 7 * i;
    for (int threads = 1; threads <= 2; threads++) {
        test_ok(sm_vectors_search_many(v, threads == 1 ? NULL : pool, queries, QUERIES, except, 10, hits, counts));
        for (size_t i = 0; i < QUERIES; i++) {
            const sm_vectors_query q = { .vector = queries + i * DIMS, .weight = 1, .limit = 10, .except = except[i] };
            same_hits(hits + i * 10, counts[i], truth, brute_force(v, &q, truth));
        }
    }
    sm_vectors_close(v);
    sm_pool_free(pool);
    sm_free(queries);
    sm_free(hits);
}

static int make_open_search(void *user)
{
    const test_place *place = user;
    const sm_vectors_info info = about(16);
    const int64_t ids[] = { 1, 2, 3 };
    float rows[48];
    sm_vectors *v = NULL;
    sm_hit hits[2];
    size_t n, row, counts[1];

    for (size_t i = 0; i < 48; i++)
        rows[i] = (float)(i * i % 7);
    int err = sm_vectors_create(place->path, &info, &v);
    if (err == 0)
        err = sm_vectors_append(v, ids, rows, 3);
    if (err == 0)
        err = sm_vectors_commit(v);
    sm_vectors_close(v);
    if (err < 0)
        return err;
    err = sm_vectors_open(place->path, true, &v);
    const sm_vectors_query q = { .vector = rows, .weight = 1, .limit = 2 };
    if (err == 0)
        err = sm_vectors_search(v, NULL, &q, hits, &n);
    if (err == 0)
        err = sm_vectors_find(v, 2, &row);
    if (err == 0)
        err = sm_vectors_put(v, row, 2, rows);
    if (err == 0)
        err = sm_vectors_search_many(v, NULL, rows, 1, NULL, 2, hits, counts);
    sm_vectors_close(v);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    test_every_allocation_may_fail(make_open_search, *state);
}

#define PLACE(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kernel_gives_the_integers_of_the_definition),
        PLACE(the_search_finds_what_brute_force_in_double_finds),
        PLACE(a_filter_gives_the_whole_answer_however_few_it_leaves),
        PLACE(what_else_counts_is_added_to_the_score),
        PLACE(equal_sounds_come_in_the_order_of_their_numbers),
        PLACE(rows_that_were_added_removed_or_replaced_are_what_a_new_reader_sees),
        PLACE(a_value_that_is_not_finite_is_refused_and_nothing_is_changed),
        PLACE(a_damaged_file_is_refused_or_its_row_named),
        PLACE(many_searches_at_once_find_what_single_ones_do),
        PLACE(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
