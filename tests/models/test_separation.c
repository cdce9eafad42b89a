/* apply_model against the original: chunks, cross-fades, shifts, bags, short songs; and what a stream adds to it. */
#include "support/model_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/htdemucs_chunk.h"
#include "models/separation.h"
#include "models/separation_bag.h"

#define DATA  "tests/data/models/"
#define SMALL "channels=8,t_layers=2,t_heads=4,bottom=32,segment=5000"

enum { SOURCES = 4, SONG = 12000 };

/* A song's stems as they come. */
typedef struct {
    float *stems; /* [outputs][2][capacity] */
    int64_t n, capacity;
    size_t outputs;
    int64_t chunks, stop_at;
    sm_separation_progress last;
} stems;

static int take(void *user, const float *const *planes, int64_t at, size_t n)
{
    stems *s = user;
    assert_int_equal(at, s->n);
    assert_true(s->n + (int64_t)n <= s->capacity);
    for (size_t k = 0; k < 2 * s->outputs; k++)
        memcpy(s->stems + (int64_t)k * s->capacity + at, planes[k], n * sizeof(float));
    s->n += (int64_t)n;
    return 0;
}

static int count(void *user, const sm_separation_progress *p)
{
    stems *s = user;
    s->last = *p;
    s->chunks = p->chunks_done;
    return s->stop_at >= 0 && p->chunks_done >= s->stop_at;
}

static void stems_new(stems *s, size_t outputs, int64_t n)
{
    *s = (stems){ .outputs = outputs, .capacity = n, .stop_at = -1 };
    s->stems = calloc(2 * outputs * (size_t)n + 1, sizeof *s->stems);
    assert_non_null(s->stems);
}

/* The networks of made-up weights 0 .. n - 1. */
typedef struct {
    sm_weights *weights[2];
    sm_bag *bag;
} made_up;

static void bag_new(made_up *m, size_t n, const double *weights, const sm_bag_options *o)
{
    const sm_model *model = sm_model_find("htdemucs");
    const sm_bag_options standard = { .config = SMALL };
    sm_bag_network list[2];
    for (size_t i = 0; i < n; i++) {
        test_ok(sm_weights_generated(i, model->generated, &m->weights[i]));
        list[i] = (sm_bag_network){ model, m->weights[i] };
    }
    test_ok(sm_bag_open(list, n, weights, o ? o : &standard, &m->bag));
}

static void bag_free(made_up *m, size_t n)
{
    sm_bag_close(m->bag);
    for (size_t i = 0; i < n; i++)
        sm_weights_close(m->weights[i]);
}

/* mix [2][pitch]; pushed in pieces of `piece` samples. */
static void separate(sm_bag *b, const sm_separation_options *o, const float *mix, int64_t n, int64_t pitch,
                     int64_t piece, stems *out)
{
    sm_separation *s;
    test_ok(sm_separation_new(b, o, take, count, out, &s));
    for (int64_t at = 0; at < n; at += piece)
        test_ok(sm_separation_push(s, mix + at, mix + pitch + at, (size_t)SM_MIN(piece, n - at)));
    test_ok(sm_separation_end(s));
    assert_int_equal(out->n, n);
    sm_separation_free(s);
}

static const float *song(sm_weights **golden)
{
    nn_tensor mix;
    *golden = test_golden_open(DATA "htdemucs_apply_shifts0.safetensors");
    test_ok(sm_weights_get_f32(*golden, "in.mix", &NN_SHAPE(2, SONG), &mix));
    return mix.data;
}

static void expect_whole(const stems *s, sm_weights *golden, double bound, const char *what)
{
    nn_tensor t;
    test_ok(sm_weights_get_f32(golden, "out.sources", NULL, &t));
    assert_int_equal(nn_elements(&t.shape), (int64_t)(2 * s->outputs) * s->n);
    const double error = test_normalised_error(s->stems, t.data, (size_t)nn_elements(&t.shape));
    print_message("%s: %.2g\n", what, error);
    if (!(error <= bound))
        fail_msg("%s differs by %.3g", what, error);
}

/* The spec's bar for everything around the network. */
static const double bar = 1e-5;

static void a_song_in_pieces_is_what_the_original_gives(void **state)
{
    static const int64_t pieces[] = { SONG, 1, 1777 };
    sm_separation_options o = sm_separation_defaults;
    sm_weights *golden;
    const float *mix = song(&golden);
    made_up m;
    (void)state;
    o.shifts = 0;
    bag_new(&m, 1, NULL, NULL);
    test_ok(sm_bag_select(m.bag, NULL, 0));
    assert_int_equal(sm_separation_chunks(m.bag, &o, SONG), 4);
    for (size_t i = 0; i < SM_LENGTH(pieces); i++) {
        stems s;
        stems_new(&s, SOURCES, SONG);
        separate(m.bag, &o, mix, SONG, SONG, pieces[i], &s);
        assert_int_equal(s.chunks, 4);
        expect_whole(&s, golden, bar, "no shifts");
        free(s.stems);
    }
    bag_free(&m, 1);
    sm_weights_close(golden);
}

static void shifts_are_those_of_pythons_random_numbers(void **state)
{
    sm_separation_options o = sm_separation_defaults;
    sm_weights *golden, *shifted = test_golden_open(DATA "htdemucs_apply_shifts2.safetensors");
    const float *mix = song(&golden);
    sm_separation *sep;
    int64_t offsets[2];
    made_up m;
    (void)state;
    o.shifts = 2;
    o.seed = 1234;
    o.python_random = true;
    bag_new(&m, 1, NULL, NULL);
    test_ok(sm_bag_select(m.bag, NULL, 0));
    test_fails(sm_separation_new(m.bag, &o, take, NULL, NULL, &sep), SM_EUSAGE, "length");
    o.length = SONG;
    test_ok(sm_separation_new(m.bag, &o, take, NULL, NULL, &sep));
    assert_int_equal(sm_separation_offsets(sep, offsets, 2), 2);
    assert_int_equal(offsets[0], 14441);
    assert_int_equal(offsets[1], 11620);
    sm_separation_free(sep);
    for (int parallel = 1; parallel <= 3; parallel += 2) {
        stems s;
        stems_new(&s, SOURCES, SONG);
        o.parallel = parallel;
        separate(m.bag, &o, mix, SONG, SONG, 1000, &s);
        assert_int_equal(s.chunks, 12);
        assert_int_equal(s.last.chunks_total, 12);
        expect_whole(&s, shifted, bar, "two shifts");
        free(s.stems);
    }
    bag_free(&m, 1);
    sm_weights_close(golden);
    sm_weights_close(shifted);
}

/* TAG.STEM of apply-more: 256 values each. */
static void expect_sampled(const stems *s, sm_weights *golden, const char *tag)
{
    static const char *const names[SOURCES] = { "drums", "bass", "other", "vocals" };
    sm_named list[SOURCES];
    for (int k = 0; k < SOURCES; k++) {
        float *x = sm_alloc(2 * (size_t)s->n, sizeof *x);
        assert_non_null(x);
        for (int c = 0; c < 2; c++)
            memcpy(x + c * s->n, s->stems + (2 * k + c) * s->capacity, (size_t)s->n * sizeof *x);
        snprintf(list[k].name, sizeof list[k].name, "%s.%s", tag, names[k]);
        list[k].tensor = (nn_tensor){ .type = NN_F32, .shape = NN_SHAPE(2, s->n), .data = x, .scale_axis = -1 };
    }
    assert_int_equal(test_golden_compare(golden, list, SOURCES, NULL, bar, tag), SOURCES);
    for (int k = 0; k < SOURCES; k++)
        sm_free((void *)(uintptr_t)list[k].tensor.data);
}

static void other_settings_are_the_originals_too(void **state)
{
    static const struct {
        const char *tag;
        double overlap, power, segment;
        int64_t n;
        bool no_split;
    } rows[] = {
        { "overlap10", 0.1, 1, 0, SONG, false },
        { "power2", 0.25, 2, 0, SONG, false },
        { "segment3000", 0.25, 1, 3000.0 / 44100, SONG, false },
    };
    sm_weights *golden, *more = test_golden_open(DATA "htdemucs_apply_more.safetensors");
    const float *mix = song(&golden);
    made_up m;
    (void)state;
    bag_new(&m, 1, NULL, NULL);
    test_ok(sm_bag_select(m.bag, NULL, 0));
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_separation_options o = sm_separation_defaults;
        stems s;
        o.shifts = 0;
        o.overlap = rows[i].overlap;
        o.transition_power = rows[i].power;
        o.segment_s = rows[i].segment;
        stems_new(&s, SOURCES, SONG);
        separate(m.bag, &o, mix, SONG, SONG, 500, &s);
        expect_sampled(&s, more, rows[i].tag);
        free(s.stems);
    }
    bag_free(&m, 1);
    sm_weights_close(golden);
    sm_weights_close(more);
}

static void a_short_song_that_is_not_split_stands_in_the_middle(void **state)
{
    sm_separation_options o = sm_separation_defaults;
    sm_weights *golden, *more = test_golden_open(DATA "htdemucs_apply_more.safetensors");
    const float *mix = song(&golden);
    sm_separation *sep;
    stems s;
    made_up m;
    (void)state;
    o.shifts = 0;
    o.no_split = true;
    bag_new(&m, 1, NULL, NULL);
    test_ok(sm_bag_select(m.bag, NULL, 0));
    stems_new(&s, SOURCES, 3001);
    separate(m.bag, &o, mix, 3001, SONG, 1000, &s);
    const sm_named whole = {
        "short", { .type = NN_F32, .shape = NN_SHAPE(SOURCES, 2, 3001), .data = s.stems, .scale_axis = -1 }
    };
    assert_int_equal(test_golden_compare(more, &whole, 1, NULL, bar, "short"), 1);
    free(s.stems);
    test_ok(sm_separation_new(m.bag, &o, NULL, NULL, NULL, &sep));
    test_fails(sm_separation_push(sep, mix, mix, 5001), SM_EUSAGE, "one chunk");
    sm_separation_free(sep);
    bag_free(&m, 1);
    sm_weights_close(golden);
    sm_weights_close(more);
}

static void a_bag_weighs_its_networks_source_by_source(void **state)
{
    static const double weights[2 * SOURCES] = { 1, 0, .5, 1, 0, 1, .25, 1 };
    sm_weights *golden, *more = test_golden_open(DATA "htdemucs_apply_more.safetensors");
    const float *mix = song(&golden);
    sm_separation_options o = sm_separation_defaults;
    sm_separation *sep;
    int64_t offsets[2];
    nn_tensor t;
    made_up m;
    stems s;
    (void)state;
    test_ok(sm_weights_get(more, "bag.offsets", NULL, &t));
    assert_int_equal(nn_elements(&t.shape), 2);
    bag_new(&m, 2, weights, NULL);
    test_ok(sm_bag_select(m.bag, NULL, 0));
    assert_int_equal(sm_bag_running(m.bag), 2);
    o.python_random = true;
    o.length = SONG;
    for (o.seed = 0; o.seed < 10000; o.seed++) { /* the golden tells the offsets, not the seed */
        offsets_python(o.seed, 22050, 2, SONG, 3750, offsets);
        if (offsets[0] == ((const int64_t *)t.data)[0] && offsets[1] == ((const int64_t *)t.data)[1])
            break;
    }
    assert_true(o.seed < 10000);
    test_ok(sm_separation_new(m.bag, &o, take, NULL, NULL, &sep));
    sm_separation_free(sep);
    stems_new(&s, SOURCES, SONG);
    separate(m.bag, &o, mix, SONG, SONG, SONG, &s);
    expect_sampled(&s, more, "bag");
    free(s.stems);
    bag_free(&m, 2);
    sm_weights_close(golden);
    sm_weights_close(more);
}

/* ---- what a stream adds ---- */

/* The song's stems by default settings but no shifts; the caller's: free(). */
static stems plain_stems(const sm_bag_output *outputs, size_t n, double mean, double deviation, const float *mix)
{
    sm_separation_options o = sm_separation_defaults;
    made_up m;
    stems s;
    o.shifts = 0;
    o.mean = mean;
    o.deviation = deviation;
    bag_new(&m, 1, NULL, NULL);
    test_ok(sm_bag_select(m.bag, outputs, n));
    stems_new(&s, n ? n : SOURCES, SONG);
    separate(m.bag, &o, mix, SONG, SONG, 3000, &s);
    bag_free(&m, 1);
    return s;
}

static void the_rest_is_the_sum_of_the_other_stems(void **state)
{
    static const sm_bag_output two[2] = { { 1u << 3 }, { 7 } };
    sm_weights *golden;
    const float *mix = song(&golden);
    stems all = plain_stems(NULL, 0, 0.01, 0.5, mix), some = plain_stems(two, 2, 0.01, 0.5, mix);
    float *rest = calloc(2 * SONG, sizeof *rest);
    (void)state;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 2 * SONG; i++)
            rest[i] += all.stems[k * 2 * SONG + i];
    assert_true(test_normalised_error(some.stems, all.stems + 3 * 2 * SONG, 2 * SONG) <= bar);
    assert_true(test_normalised_error(some.stems + 2 * SONG, rest, 2 * SONG) <= bar);
    free(rest);
    free(all.stems);
    free(some.stems);
    sm_weights_close(golden);
}

/* y(song) = apply((song - m) / (s + 1e-8)) (s + 1e-8) + m, for each stem. */
static void a_song_is_normalised_and_its_stems_turned_back(void **state)
{
    sm_weights *golden;
    const float *mix = song(&golden);
    const double mean = 0.02, deviation = 0.7;
    float *normal = malloc(2 * SONG * sizeof *normal);
    (void)state;
    for (int i = 0; i < 2 * SONG; i++)
        normal[i] = (mix[i] - (float)mean) / (float)(deviation + 1e-8);
    stems by_hand = plain_stems(NULL, 0, 0, 0, normal), by_stream = plain_stems(NULL, 0, mean, deviation, mix);
    for (int i = 0; i < SOURCES * 2 * SONG; i++)
        by_hand.stems[i] = by_hand.stems[i] * (float)deviation + (float)mean;
    assert_true(test_normalised_error(by_stream.stems, by_hand.stems, SOURCES * 2 * SONG) <= 1e-6);
    free(normal);
    free(by_hand.stems);
    free(by_stream.stems);
    sm_weights_close(golden);
}

static void any_length_comes_back_as_long_as_it_went_in(void **state)
{
    static const int64_t lengths[] = { 0, 1, 2, 3749, 3750, 3751, 5000, 7501 };
    static const int shifts[] = { 0, 1, 3 };
    sm_weights *golden;
    const float *mix = song(&golden);
    made_up m;
    (void)state;
    bag_new(&m, 1, NULL, NULL);
    test_ok(sm_bag_select(m.bag, &(sm_bag_output){ 1 }, 1));
    for (size_t i = 0; i < SM_LENGTH(lengths); i++)
        for (size_t k = 0; k < SM_LENGTH(shifts); k++) {
            sm_separation_options o = sm_separation_defaults;
            stems s;
            o.shifts = shifts[k];
            o.length = lengths[i];
            stems_new(&s, 1, lengths[i]);
            separate(m.bag, &o, mix, lengths[i], SONG, 1000, &s);
            assert_int_equal(s.chunks, sm_separation_chunks(m.bag, &o, lengths[i]));
            for (int64_t t = 0; t < 2 * lengths[i]; t++)
                assert_true(isfinite(s.stems[t]));
            free(s.stems);
        }
    bag_free(&m, 1);
    sm_weights_close(golden);
}

static void silence_stays_silence(void **state)
{
    static const float zeros[2 * SONG];
    (void)state;
    stems s = plain_stems(NULL, 0, 0, 0, zeros);
    for (int i = 0; i < SOURCES * 2 * SONG; i++)
        assert_true(s.stems[i] == 0);
    free(s.stems);
}

static void a_network_that_gives_nothing_wanted_is_not_run(void **state)
{
    static const double weights[2 * SOURCES] = { 1, 0, 0, 0, 0, 1, 1, 1 };
    made_up m;
    (void)state;
    bag_new(&m, 2, weights, NULL);
    test_ok(sm_bag_select(m.bag, &(sm_bag_output){ 1 }, 1));
    assert_int_equal(sm_bag_running(m.bag), 1);
    test_fails(sm_bag_select(m.bag, NULL, 0), SM_EUSAGE, "once");
    bag_free(&m, 2);
    bag_new(&m, 1, NULL, NULL);
    test_fails(sm_bag_select(m.bag, &(sm_bag_output){ 1u << 4 }, 1), SM_EUSAGE, "4 sources");
    test_fails(sm_bag_select(m.bag, &(sm_bag_output){ 0 }, 1), SM_EUSAGE, "no sum");
    bag_free(&m, 1);
}

static void it_can_be_stopped_at_any_chunk(void **state)
{
    sm_weights *golden;
    const float *mix = song(&golden);
    made_up m;
    (void)state;
    bag_new(&m, 1, NULL, NULL);
    test_ok(sm_bag_select(m.bag, NULL, 0));
    for (int64_t at = 0; at <= 4; at++) {
        sm_separation_options o = sm_separation_defaults;
        sm_separation *sep;
        stems s;
        o.shifts = 0;
        stems_new(&s, SOURCES, SONG);
        s.stop_at = at;
        test_ok(sm_separation_new(m.bag, &o, take, count, &s, &sep));
        int err = sm_separation_push(sep, mix, mix + SONG, SONG);
        if (err == 0)
            err = sm_separation_end(sep);
        assert_int_equal(err, SM_ECANCELLED);
        assert_int_equal(sm_separation_end(sep), SM_EUSAGE);
        sm_separation_free(sep);
        free(s.stems);
    }
    bag_free(&m, 1);
    sm_weights_close(golden);
}

static void options_outside_their_ranges_are_refused(void **state)
{
    static const struct {
        sm_separation_options o;
        const char *part;
    } rows[] = {
        { { .shifts = -1, .overlap = 0.25, .transition_power = 1 }, "shifts" },
        { { .overlap = 1, .transition_power = 1 }, "overlap" },
        { { .overlap = NAN, .transition_power = 1 }, "overlap" },
        { { .overlap = 0.25, .transition_power = 0.5 }, "power" },
        { { .overlap = 0.25, .transition_power = 1, .segment_s = 8 }, "no longer" },
        { { .overlap = 0.25, .transition_power = 1, .parallel = -1 }, "side by side" },
    };
    made_up m;
    sm_separation *s;
    size_t bytes;
    (void)state;
    bag_new(&m, 1, NULL, NULL);
    test_fails(sm_separation_new(m.bag, NULL, take, NULL, NULL, &s), SM_EUSAGE, "not chosen");
    test_ok(sm_bag_select(m.bag, NULL, 0));
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        test_fails(sm_separation_new(m.bag, &rows[i].o, take, NULL, NULL, &s), SM_EUSAGE, rows[i].part);
        test_fails(sm_separation_memory(m.bag, &rows[i].o, &bytes), SM_EUSAGE, rows[i].part);
    }
    test_ok(sm_separation_memory(m.bag, NULL, &bytes));
    assert_true(bytes > 1 << 20 && bytes < 1 << 28);
    bag_free(&m, 1);
}

/* Each allocation from opening the bag to the last block. */
static int whole_song(void *user)
{
    const sm_model *model = sm_model_find("htdemucs");
    const sm_bag_options small = { .config = SMALL, .backend = "ref" };
    sm_separation_options o = sm_separation_defaults;
    sm_separation *s = NULL;
    sm_weights *w = NULL;
    sm_bag *b = NULL;
    static const float zeros[64]; /* silence is not computed: only what stands around the network is looked at */
    (void)user;
    int err = sm_weights_generated(0, model->generated, &w);
    if (err == 0)
        err = sm_bag_open(&(sm_bag_network){ model, w }, 1, NULL, &small, &b);
    sm_bag_close(b);
    if (err == 0) {
        made_up *m = user;
        err = sm_separation_new(m->bag, &o, NULL, NULL, NULL, &s);
    }
    if (err == 0)
        err = sm_separation_push(s, zeros, zeros, SM_LENGTH(zeros));
    if (err == 0)
        err = sm_separation_end(s);
    sm_separation_free(s);
    sm_weights_close(w);
    return err;
}

static void running_out_of_memory_is_an_error_and_no_leak(void **state)
{
    const sm_bag_options ref = { .config = SMALL, .backend = "ref" };
    made_up m;
    (void)state;
    bag_new(&m, 1, NULL, &ref);
    test_ok(sm_bag_select(m.bag, NULL, 0));
    test_every_allocation_may_fail(whole_song, &m);
    bag_free(&m, 1);
}

static void the_reference_is_mean_and_deviation_of_the_middle(void **state)
{
    static const float left[4] = { 1, 2, 3, 4 }, right[4] = { 3, 2, 1, 6 }; /* middle 2 2 2 5 */
    sm_reference r = { 0 };
    double mean, deviation;
    (void)state;
    sm_reference_finish(&r, &mean, &deviation);
    assert_true(mean == 0 && deviation == 0);
    sm_reference_add(&r, left, right, 1);
    sm_reference_add(&r, left + 1, right + 1, 3);
    sm_reference_finish(&r, &mean, &deviation);
    assert_true(fabs(mean - 2.75) < 1e-12 && fabs(deviation - 1.5) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rest_is_the_sum_of_the_other_stems),
        cmocka_unit_test(a_song_is_normalised_and_its_stems_turned_back),
        cmocka_unit_test(any_length_comes_back_as_long_as_it_went_in),
        cmocka_unit_test(silence_stays_silence),
        cmocka_unit_test(a_network_that_gives_nothing_wanted_is_not_run),
        cmocka_unit_test(it_can_be_stopped_at_any_chunk),
        cmocka_unit_test(options_outside_their_ranges_are_refused),
        cmocka_unit_test(running_out_of_memory_is_an_error_and_no_leak),
        cmocka_unit_test(the_reference_is_mean_and_deviation_of_the_middle),
        cmocka_unit_test(a_song_in_pieces_is_what_the_original_gives),
        cmocka_unit_test(shifts_are_those_of_pythons_random_numbers),
        cmocka_unit_test(other_settings_are_the_originals_too),
        cmocka_unit_test(a_short_song_that_is_not_split_stands_in_the_middle),
        cmocka_unit_test(a_bag_weighs_its_networks_source_by_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
