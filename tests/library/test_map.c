/* Maps: layouts of made-up sounds, and the pictures. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "library/layout.h"
#include "library/map_draw.h"
#include "support/clustered.h"

enum { ROWS = 400, DIMS = 24, K = SM_LAYOUT_NEIGHBOURS };

typedef struct {
    sm_vectors *v;
    uint32_t rows[ROWS];
    int32_t near[ROWS * K];
    float cosines[ROWS * K], places[2 * ROWS];
} map_case;

static map_case *make(void **state, sm_pool *pool)
{
    const test_place *place = *state;
    const sm_vectors_info info = { .space = "made-up/1", .dims = DIMS, .unit = true };
    map_case *t = sm_alloc_zero(1, sizeof *t);
    float *values = sm_alloc(ROWS * DIMS, sizeof *values);
    int64_t ids[ROWS];
    test_clustered c = { 0 };

    assert_true(t && values && test_clustered_make(&c, DIMS, 12, 8, 0.3, 5));
    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)i + 1;
        t->rows[i] = (uint32_t)i;
        test_clustered_row(&c, 1, i, values + i * DIMS);
    }
    test_ok(sm_vectors_create(place->path, &info, &t->v));
    test_ok(sm_vectors_append(t->v, ids, values, ROWS));
    test_ok(sm_layout_neighbours(t->v, pool, t->rows, ROWS, t->near, t->cosines));
    test_clustered_free(&c);
    sm_free(values);
    return t;
}

static void drop(map_case *t)
{
    sm_vectors_close(t->v);
    sm_free(t);
}

static void neighbours_in_truth_are_neighbours_on_the_map_and_the_same_seed_gives_the_same_map(void **state)
{
    sm_pool *pool = NULL;
    float first[2 * ROWS];
    double trust, random_trust;

    test_ok(sm_pool_new(2, &pool));
    for (int run = 0; run < 2; run++) {
        map_case *t = make(state, run ? pool : NULL);
        const sm_layout_options o = { .seed = 7 };
        test_ok(sm_layout_run(t->v, t->rows, ROWS, t->near, t->cosines, &o, t->places));
        test_ok(sm_layout_trust(t->v, t->rows, ROWS, t->places, &trust));
        /* eight clusters in the plane: umap-learn reaches some 0.97 on such data, a random map 0.5 */
        assert_true(trust > 0.93);
        if (run == 0)
            memcpy(first, t->places, sizeof first);
        else
            assert_memory_equal(first, t->places, sizeof first);
        for (size_t i = 0; i < 2 * ROWS; i++) {
            assert_true(isfinite(t->places[i]));
            t->places[i] = (float)sm_unit(3, i);
        }
        test_ok(sm_layout_trust(t->v, t->rows, ROWS, t->places, &random_trust));
        assert_true(random_trust < 0.65);
        drop(t);
    }
    sm_pool_free(pool);
}

static void sounds_that_have_a_place_keep_it_and_new_ones_come_to_their_neighbours(void **state)
{
    map_case *t = make(state, NULL);
    float before[2 * ROWS];
    bool fixed[ROWS];
    sm_layout_options o = { .seed = 7 };
    double whole, added;

    test_ok(sm_layout_run(t->v, t->rows, ROWS, t->near, t->cosines, &o, t->places));
    test_ok(sm_layout_trust(t->v, t->rows, ROWS, t->places, &whole));
    memcpy(before, t->places, sizeof before);
    for (size_t i = 0; i < ROWS; i++)
        if (!(fixed[i] = i % 10 != 0))
            t->places[2 * i] = t->places[2 * i + 1] = 0;
    o.fixed = fixed;
    test_ok(sm_layout_run(t->v, t->rows, ROWS, t->near, t->cosines, &o, t->places));
    for (size_t i = 0; i < ROWS; i++)
        assert_true(!fixed[i] || (t->places[2 * i] == before[2 * i] && t->places[2 * i + 1] == before[2 * i + 1]));
    test_ok(sm_layout_trust(t->v, t->rows, ROWS, t->places, &added));
    /* a tenth was placed without moving the others: nearly as good */
    assert_true(added > whole - 0.03);
    drop(t);
}

static void a_new_map_is_turned_to_lie_as_the_old_one_did(void **state)
{
    float old[200], turned[200];
    bool known[100];

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        old[2 * i] = (float)sm_unit(1, 2 * i);
        old[2 * i + 1] = (float)sm_unit(1, 2 * i + 1);
        known[i] = i % 3 != 0;
        /* mirrored, turned by 1, 3 times as large, moved */
        const double x = -(double)old[2 * i], y = (double)old[2 * i + 1];
        turned[2 * i] = (float)(5 + 3 * (cos(1.0) * x - sin(1.0) * y));
        turned[2 * i + 1] = (float)(-2 + 3 * (sin(1.0) * x + cos(1.0) * y));
    }
    sm_layout_align(turned, old, known, 100);
    for (size_t i = 0; i < 200; i++)
        assert_true(fabsf(turned[i] - old[i]) < 1e-5f);
}

static void a_picture_holds_every_sound_and_no_name_breaks_out_of_it(void **state)
{
    const sm_map_point points[] = {
        { "/a/kick.wav", "kick", 1, 0, 0 },
        { "/a/</script><b>&\"'.wav", NULL, 2, 1, 2 },
        { "/a/\xff\x01.wav", "snare", 3, -1, 5 },
    };
    const sm_map_picture p = { points, 3, 0.9, "made-up/1" };
    sm_buffer html = { 0 }, svg = { 0 }, json = { 0 }, none = { 0 };

    (void)state;
    test_ok(sm_map_draw(&p, "html", &html));
    test_ok(sm_map_draw(&p, "svg", &svg));
    test_ok(sm_map_draw(&p, "json", &json));
    test_fails(sm_map_draw(&p, "png", &none), SM_EUSAGE, "html, svg or json");
    assert_non_null(strstr(html.data, "\\u003c/script>"));
    /* the only end of a script is the page's own, and nothing is fetched */
    assert_ptr_equal(strstr(html.data, "</script>"), strstr(html.data, "</script></body></html>"));
    assert_null(strstr(html.data, "http"));
    assert_non_null(strstr(svg.data, "&#60;/script&#62;&#60;b&#62;&#38;&#34;&#39;.wav"));
    assert_null(strstr(svg.data, "<b>"));
    assert_true(sm_utf8_valid(svg.data, svg.length) && sm_utf8_valid(html.data, html.length));
    assert_non_null(strstr(json.data, "\"count\":3"));
    sm_buffer_free(&html);
    sm_buffer_free(&svg);
    sm_buffer_free(&json);
}

static bool among(const int32_t *near, int32_t other)
{
    for (int k = 0; k < K; k++)
        if (near[k] == other)
            return true;
    return false;
}

static void cells_give_nearly_the_neighbours_that_comparing_all_gives(void **state)
{
    map_case *t = make(state, NULL);
    int32_t *near[2];
    float *cosines = sm_alloc(ROWS * K, sizeof *cosines);
    sm_pool *pool = NULL;
    size_t found = 0;

    test_ok(sm_pool_new(2, &pool));
    for (int i = 0; i < 2; i++) {
        near[i] = sm_alloc(ROWS * K, sizeof **near);
        test_ok(sm_layout_neighbours_in_cells(t->v, i ? pool : NULL, t->rows, ROWS, near[i], cosines));
    }
    assert_memory_equal(near[0], near[1], ROWS * K * sizeof **near);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < K; k++) {
            found += among(near[0] + i * K, t->near[i * K + k]);
            assert_int_not_equal(near[0][i * K + k], (int32_t)i);
            if (t->near[i * K] == near[0][i * K]) /* sums in f32 and in double */
                assert_true(fabsf(t->cosines[i * K] - cosines[i * K]) < 1e-5F);
        }
    if (found < 99 * ROWS * K / 100) /* 32 of 40 cells are looked at */
        fail_msg("%zu of %d", found, ROWS * K);
    sm_pool_free(pool);
    sm_free(near[0]);
    sm_free(near[1]);
    sm_free(cosines);
    drop(t);
}

static int neighbours_again(void *user)
{
    map_case *t = user;
    return sm_layout_neighbours_in_cells(t->v, NULL, t->rows, ROWS, t->near, t->cosines);
}

static void every_allocation_of_the_cells_may_fail(void **state)
{
    map_case *t = make(state, NULL);
    test_every_allocation_may_fail(neighbours_again, t);
    drop(t);
}

static void one_sound_alone_and_copies_of_one_have_places_too(void **state)
{
    const test_place *place = *state;
    const sm_vectors_info info = { .space = "made-up/1", .dims = 2, .unit = true };
    const float values[] = { 1, 0, 1, 0, 1, 0 };
    const int64_t ids[] = { 1, 2, 3 };
    const uint32_t rows[] = { 0, 1, 2 };

    for (size_t n = 1; n <= 3; n++) {
        sm_vectors *v = NULL;
        int32_t near[3 * K];
        float cosines[3 * K], places[6];
        const sm_layout_options o = { .seed = 1 };
        test_ok(sm_vectors_create(place->path, &info, &v));
        test_ok(sm_vectors_append(v, ids, values, n));
        test_ok(sm_layout_neighbours_in_cells(v, NULL, rows, n, near, cosines));
        assert_true((near[0] < 0) == (n == 1));
        test_ok(sm_layout_neighbours(v, NULL, rows, n, near, cosines));
        test_ok(sm_layout_run(v, rows, n, near, cosines, &o, places));
        for (size_t i = 0; i < 2 * n; i++)
            assert_true(isfinite(places[i]));
        sm_vectors_close(v);
    }
}

#define PLACE(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE(neighbours_in_truth_are_neighbours_on_the_map_and_the_same_seed_gives_the_same_map),
        PLACE(sounds_that_have_a_place_keep_it_and_new_ones_come_to_their_neighbours),
        cmocka_unit_test(a_new_map_is_turned_to_lie_as_the_old_one_did),
        cmocka_unit_test(a_picture_holds_every_sound_and_no_name_breaks_out_of_it),
        PLACE(cells_give_nearly_the_neighbours_that_comparing_all_gives),
        PLACE(every_allocation_of_the_cells_may_fail),
        PLACE(one_sound_alone_and_copies_of_one_have_places_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
