/* Songs into stems through the public interface, with the small made-up HTDemucs (segments of 9,001 samples). What the networks
 * compute is held against the goldens in tests/models; here it is that nothing is lost or shifted on the way. */
#include "engine/engine_support.h"

#include <pthread.h>

#define SMALL "tests/data/models/htdemucs_small_4s.th"

enum { RATE = 44100, MOST_STEMS = 8 };

/* What came out. */
typedef struct {
    sm_floats stems[MOST_STEMS];
    size_t n, frames, blocks;
    size_t stop_after; /* frames; 0: never */
} taken;

static int take(void *user, const float *const *stems, size_t frames)
{
    taken *t = user;
    t->frames += frames;
    t->blocks++;
    for (size_t i = 0; i < t->n; i++)
        if (sm_floats_add(&t->stems[i], stems[i], 2 * frames) < 0)
            return SM_ENOMEM;
    return t->stop_after && t->frames >= t->stop_after ? sm_fail(SM_EIO, "the sink is full") : 0;
}

static void drop(taken *t)
{
    for (size_t i = 0; i < MOST_STEMS; i++)
        sm_floats_free(&t->stems[i]);
    *t = (taken){ 0 };
}

static sm_separate_options options(void)
{
    sm_separate_options o;
    sm_separate_options_init(&o);
    o.model = "htdemucs=" SMALL;
    o.threads = 1;
    o.shifts = 0;
    return o;
}

static sm_separator *opened(const sm_separate_options *o)
{
    sm_separator *s = NULL;
    test_ok(sm_separator_open(o, &s));
    return s;
}

/* Two detuned sines and a click a tenth of a second: the channels differ. The caller's. */
static float *tune(size_t frames, int channels)
{
    float *x = sm_alloc(frames * (size_t)channels + 1, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < frames; i++)
        for (int c = 0; c < channels; c++)
            x[i * (size_t)channels + (size_t)c] =
                0.3f * sinf(0.03f * (float)(c + 1) * (float)i) + (i % 4410 < 40 ? 0.4f : 0);
    return x;
}

static void separate(sm_separator *s, const float *x, size_t frames, int rate, int channels, taken *t)
{
    *t = (taken){ .n = sm_separator_stems(s) };
    test_ok(sm_separate_buffer(s, x, frames, rate, channels, take, t));
}

static double apart(const float *a, const float *b, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

static void every_stem_is_as_long_as_the_song(void **state)
{
    static const struct {
        size_t frames;
        int rate, channels;
        size_t expected; /* julius: floor(frames * 44100 / rate) */
    } rows[] = { { 20000, 44100, 2, 20000 }, { 20000, 48000, 2, 18375 }, { 20001, 96000, 2, 9187 },
                 { 3001, 44100, 1, 3001 },   { 12000, 44100, 6, 12000 }, { 1, 44100, 2, 1 },
                 { 7, 8000, 1, 38 },         { 0, 44100, 2, 0 } };
    sm_separate_options o = options();
    sm_separator *s = opened(&o);
    (void)state;
    assert_int_equal(sm_separator_stems(s), 4);
    assert_string_equal(sm_separator_stem(s, 0), "drums");
    assert_string_equal(sm_separator_stem(s, 3), "vocals");
    assert_null(sm_separator_stem(s, 4));
    assert_int_equal(sm_separator_rate(s), RATE);
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        taken t;
        float *x = tune(rows[i].frames, rows[i].channels);
        separate(s, x, rows[i].frames, rows[i].rate, rows[i].channels, &t);
        if (t.frames != rows[i].expected)
            fail_msg("row %zu: %zu frames, expected %zu", i, t.frames, rows[i].expected);
        for (size_t k = 0; k < t.n; k++)
            for (size_t f = 0; f < t.stems[k].length; f++)
                assert_true(isfinite(t.stems[k].data[f]));
        drop(&t);
        sm_free(x);
    }
    sm_separator_close(s);
}

static void two_stems_and_chosen_ones_are_those_of_the_whole(void **state)
{
    enum { FRAMES = 21000 };
    sm_separate_options o = options();
    float *x = tune(FRAMES, 2);
    taken all, two, some, minus;
    sm_separator *s = opened(&o);
    (void)state;
    separate(s, x, FRAMES, RATE, 2, &all);
    sm_separator_close(s);

    o.two_stems = "vocals";
    s = opened(&o);
    assert_int_equal(sm_separator_stems(s), 2);
    assert_string_equal(sm_separator_stem(s, 1), "no_vocals");
    separate(s, x, FRAMES, RATE, 2, &two);
    sm_separator_close(s);

    o.other_method = "minus";
    s = opened(&o);
    assert_string_equal(sm_separator_stem(s, 1), "minus_vocals");
    separate(s, x, FRAMES, RATE, 2, &minus);
    sm_separator_close(s);

    o.two_stems = o.other_method = NULL;
    o.stems = "bass,drums";
    s = opened(&o);
    assert_int_equal(sm_separator_stems(s), 2);
    assert_string_equal(sm_separator_stem(s, 0), "bass");
    separate(s, x, FRAMES, RATE, 2, &some);
    sm_separator_close(s);

    /* sums of products in another order: float32 rounding of values below 2 */
    assert_true(apart(two.stems[0].data, all.stems[3].data, 2 * FRAMES) < 2e-5);
    assert_true(apart(some.stems[0].data, all.stems[1].data, 2 * FRAMES) < 2e-5);
    assert_true(apart(some.stems[1].data, all.stems[0].data, 2 * FRAMES) < 2e-5);
    for (size_t i = 0; i < 2 * FRAMES; i++) {
        const float rest = all.stems[0].data[i] + all.stems[1].data[i] + all.stems[2].data[i];
        assert_float_equal(two.stems[1].data[i], rest, 5e-5);
        assert_float_equal(minus.stems[1].data[i], x[i] - minus.stems[0].data[i], 1e-6);
    }
    drop(&all), drop(&two), drop(&some), drop(&minus);
    sm_free(x);
}

static void silence_stays_silent(void **state)
{
    enum { FRAMES = 15000 };
    sm_separate_options o = options();
    float *x = sm_alloc_zero(2 * FRAMES, sizeof *x);
    taken t;
    (void)state;
    o.shifts = 2;
    sm_separator *s = opened(&o);
    separate(s, x, FRAMES, RATE, 2, &t);
    for (size_t k = 0; k < t.n; k++)
        for (size_t i = 0; i < 2 * FRAMES; i++)
            assert_true(t.stems[k].data[i] == 0);
    drop(&t);
    sm_separator_close(s);
    sm_free(x);
}

static void a_file_gives_what_its_samples_give_and_a_seed_repeats(void **state)
{
    enum { FRAMES = 24000 };
    const test_place *place = *state;
    sm_separate_options o = options();
    float *x = tune(FRAMES, 2);
    taken buffer, file = { .n = 4 }, again = { .n = 4 };
    char path[160];
    o.shifts = 1; /* a random shift, the same each time */
    snprintf(path, sizeof path, "%s/song.wav", place->folder);
    test_write_wav(path, x, FRAMES, RATE, 2);
    sm_separator *s = opened(&o);
    separate(s, x, FRAMES, RATE, 2, &buffer);
    test_ok(sm_separate_file(s, path, take, &file));
    test_ok(sm_separate_file(s, path, take, &again));
    assert_int_equal(file.frames, FRAMES);
    for (size_t k = 0; k < 4; k++) {
        assert_true(apart(file.stems[k].data, again.stems[k].data, 2 * FRAMES) == 0);
        assert_true(apart(file.stems[k].data, buffer.stems[k].data, 2 * FRAMES) <
                    1e-3); /* the file has 16 bits or floats */
    }
    drop(&buffer), drop(&file), drop(&again);
    sm_separator_close(s);
    sm_free(x);
}

typedef struct {
    sm_separator *s;
    const float *x;
    taken t;
    int err;
} one_thread;

static void *run_thread(void *user)
{
    one_thread *t = user;
    t->t.n = sm_separator_stems(t->s);
    t->err = sm_separate_buffer(t->s, t->x, 15000, RATE, 2, take, &t->t);
    return NULL;
}

static void two_songs_at_once_do_not_disturb_each_other(void **state)
{
    sm_separate_options o = options();
    sm_separator *s = opened(&o);
    float *x = tune(15000, 2);
    one_thread threads[2] = { { .s = s, .x = x }, { .s = s, .x = x } };
    pthread_t ids[2];
    taken alone;
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, run_thread, &threads[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(ids[i], NULL);
    separate(s, x, 15000, RATE, 2, &alone);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(threads[i].err, 0);
        for (size_t k = 0; k < 4; k++)
            assert_true(apart(threads[i].t.stems[k].data, alone.stems[k].data, 2 * 15000) == 0);
        drop(&threads[i].t);
    }
    drop(&alone);
    sm_separator_close(s);
    sm_free(x);
}

static int stop_at_once(void *user, const sm_progress_info *p)
{
    int *calls = user;
    assert_true(p->done <= p->total || p->total == 0);
    return ++*calls >= 2;
}

static void it_can_be_stopped_from_both_sides(void **state)
{
    sm_separate_options o = options();
    float *x = tune(60000, 2);
    int calls = 0;
    taken t = { .n = 4, .stop_after = 1 };
    (void)state;
    sm_separator *s = opened(&o);
    test_fails(sm_separate_buffer(s, x, 60000, RATE, 2, take, &t), SM_EIO, "the sink is full");
    assert_int_equal(t.blocks, 1);
    drop(&t);
    sm_separator_close(s);
    o.progress = stop_at_once;
    o.user = &calls;
    s = opened(&o);
    t.n = 4;
    assert_int_equal(sm_separate_buffer(s, x, 60000, RATE, 2, take, &t), SM_ECANCELLED);
    assert_int_equal(calls, 2);
    assert_true(t.frames < 60000);
    drop(&t);
    sm_separator_close(s);
    sm_free(x);
}

static void wrong_options_are_named(void **state)
{
    const test_place *place = *state;
    static const float nothing[2] = { 0 };
    sm_separate_options o = options();
    sm_separator *s = NULL;
    o.stems = "vocals,guitar";
    test_fails(sm_separator_open(&o, &s), SM_EUSAGE, "no stem \"guitar\"; it has drums, bass, other, vocals");
    assert_null(s);
    o.two_stems = "vocals";
    test_fails(sm_separator_open(&o, &s), SM_EUSAGE, "do not go together");
    o = options();
    o.two_stems = "vocals";
    o.other_method = "subtract";
    test_fails(sm_separator_open(&o, &s), SM_EUSAGE, "add, minus and none");
    o = options();
    o.model = "htdemcus";
    test_fails(sm_separator_open(&o, &s), SM_EUSAGE, "did you mean \"htdemucs\"");
    o.model = "htdemucs";
    o.home = place->folder;
    test_fails(sm_separator_open(&o, &s), SM_ENOTFOUND, "models");
    o = options();
    o.overlap = 1;
    test_fails(sm_separator_open(&o, &s), SM_EUSAGE, "overlap");
    o = options();
    o.max_memory_mb = 1;
    test_fails(sm_separator_open(&o, &s), SM_ELIMIT, "needs");
    o = options();
    o.segment_s = 8;
    test_fails(sm_separator_open(&o, &s), SM_EUSAGE, "segment");
    o = options();
    o.size = 3;
    test_fails(sm_separator_open(&o, &s), SM_EUSAGE, "sm_separate_options_init");
    o = options();
    s = opened(&o);
    test_fails(sm_separate_file(s, "no-such.wav", take, NULL), SM_ENOTFOUND, "no-such.wav");
    test_fails(sm_separate_buffer(s, nothing, 1, 44100, 9, take, NULL), SM_EUSAGE, "9 channels");
    assert_true(sm_separator_memory_mb(s) > 1);
    sm_separator_close(s);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stem_is_as_long_as_the_song),
        cmocka_unit_test(two_stems_and_chosen_ones_are_those_of_the_whole),
        cmocka_unit_test(silence_stays_silent),
        PLACED(a_file_gives_what_its_samples_give_and_a_seed_repeats),
        cmocka_unit_test(two_songs_at_once_do_not_disturb_each_other),
        cmocka_unit_test(it_can_be_stopped_from_both_sides),
        PLACED(wrong_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
