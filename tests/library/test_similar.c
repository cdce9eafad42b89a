/* Sounds like a sound, in a library made of made-up vectors. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/similar.h"
#include "support/clustered.h"

enum { DIMS = 40 };
static const char space[] = "samplemind/1", weights[] = "0123456789abcdef";

/* Contents first..first+n-1, with a vector and descriptors each; *ids: theirs, in order. */
static int add_sounds(sm_store *s, size_t first, size_t n, int64_t *ids)
{
    static const char record[] =
        "{\"audio_xxh128\":\"00112233445566778899aabbccddeeff\",\"duration_s\":0.5,\"failed\":[]}";
    test_clustered c = { 0 };
    bool own;
    int err = test_clustered_make(&c, DIMS, 12, 10, 0.4, 3) ? sm_store_begin(s, &own) : SM_ENOMEM;

    for (size_t i = first; i < first + n && err == 0; i++) {
        sm_content_row row = { .hash = { (uint8_t)i, (uint8_t)(i >> 8), 1 }, .pipeline = 1 };
        float vector[DIMS], aspects[SM_ASPECT_VALUES];
        uint64_t random = i;
        test_clustered_row(&c, 1, i, vector);
        for (int j = 0; j < DIMS; j++)
            vector[j] += 0.2f; /* what all have in common */
        for (int j = 0; j < sm_aspect_values(); j++)
            aspects[j] = j == 5 && i % 2 ? NAN : (float)test_random_normal(&random);
        err = sm_store_content_put(s, &row, record);
        if (err == 0)
            err = sm_space_put(s, row.id, space, weights, vector, DIMS);
        if (err == 0)
            err = sm_space_put(s, row.id, "dsp/1", NULL, aspects, sm_aspect_values());
        if (ids)
            ids[i] = row.id;
    }
    err = sm_store_end(s, own, err);
    test_clustered_free(&c);
    return err;
}

/* Every score by its definition, from what sm_similar_parts says of each content. */
static size_t brute_force(sm_similar *x, const double by[SM_SIMILARITIES], const int64_t *ids, size_t n, int64_t except,
                          const uint64_t *wanted, size_t limit, sm_hit *out)
{
    sm_hit *all = sm_alloc(n, sizeof *all);
    size_t found = 0;

    assert_non_null(all);
    for (size_t i = 0; i < n; i++) {
        double parts[SM_SIMILARITIES], score = 0;
        if (ids[i] == except || (wanted && !(wanted[ids[i] / 64] >> ids[i] % 64 & 1)))
            continue;
        test_ok(sm_similar_parts(x, ids[i], parts));
        for (int p = 0; p < SM_SIMILARITIES; p++)
            score += by[p] > 0 ? by[p] * parts[p] : 0;
        all[found++] = (sm_hit){ ids[i], 0, score };
    }
    qsort(all, found, sizeof *all, sm_hit_order);
    found = SM_MIN(found, limit);
    memcpy(out, all, found * sizeof *all);
    sm_free(all);
    return found;
}

static void the_nearest_sounds_are_those_of_the_definition_whatever_counts(void **state)
{
    static const struct {
        const char *by;
        double weights[SM_SIMILARITIES];
    } cases[] = {
        { NULL, { 1, 0, 0, 0, 0 } },
        { "overall=1", { 1, 0, 0, 0, 0 } },
        { "timbre=1,pitch=0", { 0, 1, 0, 0, 0 } },
        { "pitch=0", { 0.25, 0.25, 0, 0.25, 0.25 } },
        { "overall=1,envelope=0.5,rhythm=0.5", { 0.5, 0, 0, 0.25, 0.25 } },
        { "pitch", { 0, 0, 1, 0, 0 } },
    };
    const test_place *place = *state;
    int64_t ids[700];
    uint64_t wanted[16] = { 0 };
    sm_store *s = NULL;
    sm_pool *pool = NULL;

    test_ok(sm_pool_new(2, &pool));
    test_ok(sm_store_open(place->folder, SM_STORE_CREATE, &s));
    test_ok(add_sounds(s, 0, 700, ids));
    for (size_t i = 0; i < 700; i += 37)
        wanted[ids[i] / 64] |= UINT64_C(1) << ids[i] % 64;
    for (size_t c = 0; c < SM_LENGTH(cases); c++)
        for (int filtered = 0; filtered < 2; filtered++) {
            const sm_similar_query q = { .content = ids[111], .by = cases[c].by };
            sm_similar *x = NULL;
            sm_hit hits[10], truth[10];
            size_t n;
            bool approximate = true;
            test_ok(sm_similar_open(s, c % 2 ? pool : NULL, &q, &x));
            test_ok(sm_similar_best(x, filtered ? wanted : NULL, 1024, 10, hits, &n, &approximate));
            assert_false(approximate);
            assert_int_equal(n, 10);
            assert_int_equal(n,
                             brute_force(x, cases[c].weights, ids, 700, ids[111], filtered ? wanted : NULL, 10, truth));
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(hits[i].id, truth[i].id);
                /* what aspects add is kept in f32 */
                assert_true(fabs(hits[i].score - truth[i].score) < 1e-6);
            }
            sm_similar_close(x);
        }
    sm_store_close(s);
    sm_pool_free(pool);
}

static void all_scores_agree_with_the_best(void **state)
{
    const test_place *place = *state;
    int64_t ids[300];
    float similarity[512];
    sm_store *s = NULL;
    sm_similar *x = NULL;
    sm_hit hits[5];
    size_t n;
    bool approximate;

    test_ok(sm_store_open(place->folder, SM_STORE_CREATE, &s));
    test_ok(add_sounds(s, 0, 300, ids));
    const sm_similar_query q = { .content = ids[7], .by = "overall=2,timbre=1" };
    test_ok(sm_similar_open(s, NULL, &q, &x));
    test_ok(sm_similar_best(x, NULL, 0, 5, hits, &n, &approximate));
    test_ok(sm_similar_scores(s, NULL, &q, NULL, 512, similarity, &approximate));
    assert_true(isnan(similarity[0]) && isnan(similarity[511]));
    for (size_t i = 0; i < n; i++)
        assert_true(fabs((double)similarity[hits[i].id] - sm_similarity(hits[i].score)) < 1e-6);
    assert_true(fabs((double)similarity[ids[7]] - 1) < 1e-6); /* itself */
    sm_similar_close(x);
    sm_store_close(s);
}

static void best_of(sm_store *s, int64_t content, sm_hit hits[10])
{
    const sm_similar_query q = { .content = content };
    sm_similar *x = NULL;
    size_t n;
    bool approximate;

    test_ok(sm_similar_open(s, NULL, &q, &x));
    test_ok(sm_similar_best(x, NULL, 0, 10, hits, &n, &approximate));
    assert_int_equal(n, 10);
    sm_similar_close(x);
}

static void the_files_follow_the_database_and_are_made_anew_when_damaged_or_lost(void **state)
{
    const test_place *place = *state;
    int64_t ids[130];
    char path[200];
    sm_hit before[10], after[10];
    sm_store *s = NULL;
    sm_buffer file = { 0 };

    test_ok(sm_store_open(place->folder, SM_STORE_CREATE, &s));
    test_ok(add_sounds(s, 0, 100, ids));
    best_of(s, ids[3], before);
    snprintf(path, sizeof path, "%s/samplemind@%s-1.vectors", place->folder, weights);
    assert_int_equal(access(path, F_OK), 0);

    /* lost */
    assert_int_equal(unlink(path), 0);
    best_of(s, ids[3], after);
    assert_memory_equal(before, after, sizeof before);
    /* a bit of the row of the nearest sound */
    test_ok(sm_file_read(path, 1 << 28, &file));
    file.data[4096 + 1024 * (8 + 8 + 4 + 4 + 64) + before[0].row * 25 * 4] ^= 1;
    test_write_file(path, file.data, file.length);
    best_of(s, ids[3], after);
    assert_memory_equal(before, after, sizeof before);
    /* cut, and another file */
    test_write_file(path, file.data, file.length / 2);
    best_of(s, ids[3], after);
    assert_memory_equal(before, after, sizeof before);
    test_write_file(path, "hello", 5);
    best_of(s, ids[3], after);
    assert_memory_equal(before, after, sizeof before);
    sm_buffer_free(&file);

    /* more sounds, of which none is the first's neighbour by chance only; fewer; one replaced by a copy of the first */
    test_ok(add_sounds(s, 100, 30, ids));
    best_of(s, ids[120], after);
    float copy[DIMS];
    int64_t id = 0;
    test_ok(sm_store_space(s, "samplemind@0123456789abcdef", 1, DIMS, &id));
    test_ok(sm_store_vector_get(s, ids[3], id, copy, DIMS));
    test_ok(sm_space_put(s, ids[120], space, weights, copy, DIMS));
    best_of(s, ids[3], after);
    assert_int_equal(after[0].id, ids[120]);
    assert_true(after[0].score > 0.999999);
    test_ok(sm_store_content_remove(s, ids[120]));
    test_ok(sm_space_index_refresh_all(s, NULL));
    best_of(s, ids[3], after);
    for (int i = 0; i < 10; i++)
        assert_int_not_equal(after[i].id, ids[120]);
    sm_store_close(s);
}

static void what_cannot_be_compared_is_said(void **state)
{
    const test_place *place = *state;
    static const struct {
        sm_similar_query q;
        int code;
        const char *part;
    } cases[] = {
        { { .content = 1, .by = "colour=1" }, SM_EUSAGE, "colour" },
        { { .content = 1, .by = "timbre=-1" }, SM_EUSAGE, "from 0 up" },
        { { .content = 1, .by = "timbre=x" }, SM_EUSAGE, "number" },
        { { .content = 1, .by = "overall=0,timbre=0,pitch=0,envelope=0,rhythm=0" }, SM_EUSAGE, "all weights are 0" },
        { { .content = 1, .space = "openl3" }, SM_ENOTFOUND, "no vectors of openl3; it has samplemind" },
        { { .content = 9999 }, SM_ENOTFOUND, "9999" },
        { { .content = 0 }, SM_EUSAGE, "similar to what" },
        { { .path = "/nowhere/kick.wav" }, SM_ENOTFOUND, "/nowhere/kick.wav" },
    };
    sm_store *s = NULL;
    sm_similar *x = NULL;

    test_ok(sm_store_open(place->folder, SM_STORE_CREATE, &s));
    const sm_similar_query any = { .content = 1 };
    test_fails(sm_similar_open(s, NULL, &any, &x), SM_ENOTFOUND, "scan a folder first");
    test_ok(add_sounds(s, 0, 5, NULL));
    for (size_t i = 0; i < SM_LENGTH(cases); i++)
        test_fails(sm_similar_open(s, NULL, &cases[i].q, &x), cases[i].code, cases[i].part);
    sm_store_close(s);
}

static void a_fit_takes_away_what_is_common_and_comes_back_from_its_file(void **state)
{
    const test_place *place = *state;
    enum { N = 400 };
    float *rows = sm_alloc(N * DIMS, sizeof *rows), out[DIMS], again[DIMS];
    test_clustered c = { 0 };
    sm_buffer file = { 0 };

    assert_true(rows && test_clustered_make(&c, DIMS, 12, 10, 0.4, 3));
    for (size_t i = 0; i < N; i++) {
        test_clustered_row(&c, 1, i, rows + i * DIMS);
        rows[i * DIMS] += 2;
    }
    for (int kind = SM_FIT_TURN; kind <= SM_FIT_SCORES; kind++) {
        sm_space_fit *f = NULL, *read = NULL;
        double mean[DIMS] = { 0 }, square[DIMS] = { 0 };
        test_ok(sm_fit_new((sm_fit_kind)kind, rows, N, DIMS, 1000, &f));
        assert_int_equal(sm_fit_to(f), DIMS);
        for (size_t i = 0; i < N; i++) {
            sm_fit_apply(f, rows + i * DIMS, out);
            for (int j = 0; j < DIMS; j++) {
                mean[j] += (double)out[j] / N;
                square[j] += (double)out[j] * (double)out[j] / N;
            }
        }
        for (int j = 0; j < DIMS; j++) {
            /* f32, made larger by whitening; scores that are cut at 4 have a mean again */
            assert_true(fabs(mean[j]) < (kind == SM_FIT_SCORES ? 0.05 : 1e-4));
            /* largest directions first; whitened, none above 1; scores have a deviation of 1 but for what is cut at 4 */
            assert_true(kind != SM_FIT_TURN || j == 0 || square[j] < square[j - 1] * 1.001 + 1e-6);
            assert_true(kind != SM_FIT_WHITEN || square[j] <= 1);
            assert_true(kind != SM_FIT_SCORES || fabs(square[j] - 1) < 0.1);
        }
        test_ok(sm_fit_write(f, place->path));
        test_ok(sm_fit_read(place->path, &read));
        assert_true(sm_fit_id(f) == sm_fit_id(read) && sm_fit_sounds(read) == 1000);
        sm_fit_apply(f, rows, out);
        sm_fit_apply(read, rows, again);
        assert_memory_equal(out, again, sizeof out);
        sm_fit_free(f);
        sm_fit_free(read);
    }
    test_ok(sm_file_read(place->path, 1 << 20, &file));
    for (size_t at = 0; at < file.length; at += 13) { /* a bit, and cut there */
        sm_space_fit *f = NULL;
        file.data[at] ^= 1;
        test_write_file(place->path, file.data, file.length);
        /* how many sounds it is of does not count as damage: nothing is computed from it */
        const int err = sm_fit_read(place->path, &f);
        assert_true(err == SM_EFORMAT || (at >= 24 && at < 32));
        sm_fit_free(f);
        file.data[at] ^= 1;
        test_write_file(place->path, file.data, at);
        test_fails(sm_fit_read(place->path, &f), SM_EFORMAT, place->path);
    }
    sm_buffer_free(&file);
    test_clustered_free(&c);
    sm_free(rows);
}

static void wide_spaces_are_narrowed_to_where_their_sounds_lie(void **state)
{
    enum { N = 300, WIDE = 700 };
    float *rows = sm_alloc(N * WIDE, sizeof *rows), a[128], b[128];
    test_clustered c = { 0 };
    sm_space_fit *f = NULL;

    (void)state;
    assert_true(rows && test_clustered_make(&c, WIDE, 10, 10, 0.4, 3));
    for (size_t i = 0; i < N; i++)
        test_clustered_row(&c, 1, i, rows + i * WIDE);
    test_ok(sm_fit_new(SM_FIT_TURN, rows, N, WIDE, N, &f));
    assert_int_equal(sm_fit_to(f), 75);
    /* all lies within ten directions, so turning keeps every distance */
    for (size_t i = 0; i + 1 < N; i += 7) {
        double before = 0, after = 0;
        sm_fit_apply(f, rows + i * WIDE, a);
        sm_fit_apply(f, rows + (i + 1) * WIDE, b);
        for (size_t j = 0; j < WIDE; j++)
            before += pow((double)rows[i * WIDE + j] - (double)rows[(i + 1) * WIDE + j], 2);
        for (int j = 0; j < 75; j++)
            after += pow((double)a[j] - (double)b[j], 2);
        assert_true(fabs(before - after) < 1e-4 * (before + 1e-3));
    }
    sm_fit_free(f);
    test_clustered_free(&c);
    sm_free(rows);
}

static void the_aspects_follow_each_other_without_gaps(void **state)
{
    int at = 0;
    (void)state;
    for (int i = 0; i < SM_ASPECTS; i++) {
        assert_int_equal(sm_aspects()[i].first, at);
        at += sm_aspects()[i].count;
    }
    assert_int_equal(at, sm_aspect_values());
    assert_true(at <= SM_ASPECT_VALUES);
}

static int search_once(void *user)
{
    sm_store *s = user;
    const sm_similar_query q = { .content = 3, .by = "overall=1,timbre=1" };
    sm_similar *x = NULL;
    sm_hit hits[3];
    size_t n;
    bool approximate;
    int err = sm_similar_open(s, NULL, &q, &x);

    if (err == 0)
        err = sm_similar_best(x, NULL, 0, 3, hits, &n, &approximate);
    sm_similar_close(x);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    const test_place *place = *state;
    sm_store *s = NULL;

    test_ok(sm_store_open(place->folder, SM_STORE_CREATE, &s));
    test_ok(add_sounds(s, 0, 6, NULL));
    test_ok(search_once(s)); /* statements are kept by the store */
    test_every_allocation_may_fail(search_once, s);
    sm_store_close(s);
}

#define PLACE(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE(the_nearest_sounds_are_those_of_the_definition_whatever_counts),
        PLACE(all_scores_agree_with_the_best),
        PLACE(the_files_follow_the_database_and_are_made_anew_when_damaged_or_lost),
        PLACE(what_cannot_be_compared_is_said),
        PLACE(a_fit_takes_away_what_is_common_and_comes_back_from_its_file),
        cmocka_unit_test(wide_spaces_are_narrowed_to_where_their_sounds_lie),
        cmocka_unit_test(the_aspects_follow_each_other_without_gaps),
        PLACE(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
