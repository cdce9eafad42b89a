#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/dsp.h"
#include "support/music.h"

static dsp_tempo tempo_cut(const float *x, size_t n, size_t cut, const dsp_evidence *e)
{
    dsp_tempo_state *t = NULL;
    dsp_tempo out;
    test_ok(dsp_tempo_new(NULL, &t));
    for (size_t at = 0; at < n; at += cut)
        test_ok(dsp_tempo_push(t, x + at, SM_MIN(cut, n - at)));
    test_ok(dsp_tempo_finish(t, e, &out));
    dsp_tempo_free(t);
    return out;
}

static double bpm_of(const float *x, size_t n)
{
    dsp_tempo t = tempo_cut(x, n, SM_MAX(n, 1), NULL);
    sm_free(t.beat_times_s);
    return t.bpm;
}

typedef struct {
    const char *name, *kick, *snare, *hat;
    double from, to; /* tempi at which this is played */
    double swing, steps;
    int beats; /* a bar */
} style;

static const style styles[] = {
    { "rock", "x.......x.......", "....x.......x...", "x.x.", 80, 170, 0, 4, 4 },
    { "pop", "x.....x.x.......", "....x.......x...", "x.x.", 80, 140, 0, 4, 4 },
    { "house", "x...", "....x...", "..x.", 115, 135, 0, 4, 4 },
    { "drum and bass", "x.........x.....", "....x.......x...", "x.x.", 160, 180, 0, 4, 4 },
    { "trap", "x.....x...x.....", "........x.......", "xxxx", 125, 155, 0, 4, 4 },
    { "hip hop", "x......x..x.....", "....x.......x...", "x.x.", 75, 100, 0, 4, 4 },
    { "funk", "x.x.......x..x..", "....x..x....x...", "xxxx", 90, 120, 0, 4, 4 },
    { "shuffle", "x.......x.......", "....x.......x...", "x.x.", 90, 150, 1.0 / 6, 4, 4 },
    { "waltz", "x...........", "....x...x...", "x.x.", 90, 160, 0, 4, 3 },
    { "six eight", "x.....", "...x..", "xxx", 45, 80, 0, 3, 2 },
    { "reggae", "........x.......", "........x.......", "x.x.", 65, 90, 0, 4, 4 },
};

static size_t drum_loop(float *x, size_t room, const style *s, double bpm, double start_s)
{
    const double bar_s = s->beats * 60 / bpm;
    const size_t n = (size_t)lround((start_s + bar_s * SM_MAX(floor(12 / bar_s), 1)) * MUSIC_RATE);
    assert_true(n <= room);
    memset(x, 0, n * sizeof *x);
    music_pattern(x, n, start_s, bpm, s->steps, s->swing, MUSIC_KICK, s->kick, 0.8f);
    music_pattern(x, n, start_s, bpm, s->steps, s->swing, MUSIC_SNARE, s->snare, 0.6f);
    music_pattern(x, n, start_s, bpm, s->steps, s->swing, MUSIC_HAT, s->hat, 0.3f);
    return n;
}

enum { ROOM = 16 * MUSIC_RATE };

static void drum_loops_of_many_styles_get_tempo_and_octave_right(void **state)
{
    (void)state;
    float *x = sm_alloc(ROOM, sizeof *x);
    int all = 0, wrong = 0;
    for (size_t s = 0; s < SM_LENGTH(styles); s++)
        for (int k = 0; k < 6; k++) {
            const double bpm = round(styles[s].from + (styles[s].to - styles[s].from) * k / 5);
            const size_t n = drum_loop(x, ROOM, &styles[s], bpm, k % 2 ? 0.37 : 0);
            const double found = bpm_of(x, n);
            all++;
            if (!(fabs(found / bpm - 1) < 0.002)) { /* the length of a loop is exact */
                wrong++;
                print_message("%s at %.0f: %.2f\n", styles[s].name, bpm, found);
            }
        }
    print_message("%d of %d wrong\n", wrong, all);
    assert_int_equal(wrong, 0);
    sm_free(x);
}

/* The most common beat of all at every tempo from 60 to 180. */
static void a_plain_beat_is_right_from_60_to_180(void **state)
{
    (void)state;
    static const style plain = { "plain", "x.......x.......", "....x.......x...", "x.x.", 60, 180, 0, 4, 4 };
    float *x = sm_alloc(ROOM, sizeof *x);
    int wrong = 0;
    for (int bpm = 60; bpm <= 180; bpm += 5) {
        const double found = bpm_of(x, drum_loop(x, ROOM, &plain, bpm, 0));
        if (!(fabs(found / bpm - 1) < 0.002)) {
            wrong++;
            print_message("%d: %.2f\n", bpm, found);
        }
    }
    assert_int_equal(wrong, 0);
    sm_free(x);
}

static void clicks_are_counted_one_by_one(void **state)
{
    (void)state;
    const size_t n = 12 * MUSIC_RATE;
    float *x = sm_alloc(n, sizeof *x);
    for (int bpm = 60; bpm <= 180; bpm += 15) {
        memset(x, 0, n * sizeof *x);
        music_pattern(x, n, 0, bpm, 1, 0, MUSIC_CLICK, "oxxx", 0.5f);
        const double found = bpm_of(x, n);
        if (!(fabs(found / bpm - 1) < 0.01))
            fail_msg("%d clicks a minute: %.2f", bpm, found);
    }
    sm_free(x);
}

/* 128 beats a minute with the given evidence; the caller frees. */
static dsp_tempo house_with(const dsp_evidence *e, double start_s)
{
    float *x = sm_alloc(ROOM, sizeof *x);
    const size_t n = drum_loop(x, ROOM, &styles[2], 128, start_s);
    const dsp_tempo t = tempo_cut(x, n, n, e);
    sm_free(x);
    return t;
}

static void beats_fall_where_the_drums_fall(void **state)
{
    (void)state;
    const dsp_tempo t = house_with(NULL, 0.25);
    assert_true(t.n_beats >= 23 && t.n_beats <= 25); /* 6 bars */
    assert_true(t.stable);
    assert_true(t.phase_s == t.beat_times_s[0]);
    for (size_t i = 0; i < t.n_beats; i++) {
        const double truth = 0.25 + (double)i * 60 / 128; /* a hop of the envelope is 11.6 ms */
        if (!(fabs(t.beat_times_s[i] - truth) < 0.012))
            fail_msg("beat %zu at %.3f s, expected %.3f", i, t.beat_times_s[i], truth);
    }
    sm_free(t.beat_times_s);
}

static void the_length_of_a_loop_makes_its_tempo_exact(void **state)
{
    (void)state;
    const dsp_tempo t = house_with(NULL, 0);
    assert_string_equal(t.method, "loop length");
    assert_true(fabs(t.bpm - 128) < 1e-3); /* one sample of 11 s is 0.0003 beats a minute */
    assert_true(fabs(t.beats_in_file - 24) < 1e-3);
    assert_true(t.confidence > 0.8 && t.confidence <= 1);
    assert_true(t.n_candidates >= 2);
    assert_true(t.candidates[0].bpm == t.bpm && t.candidates[0].weight >= t.candidates[1].weight);
    const double octave = t.candidates[1].bpm / t.bpm;
    assert_true(fabs(octave - 0.5) < 0.02 || fabs(octave - 2) < 0.04 || fabs(octave - 1.5) < 0.03 ||
                fabs(octave * 1.5 - 1) < 0.03 || fabs(octave * 3 - 1) < 0.03);
    assert_true(isnan(t.bpm_from_name) && isnan(t.bpm_from_acid));
    sm_free(t.beat_times_s);
}

static void a_file_name_decides_only_what_the_sound_allows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double stated, bpm;
        const char *method;
    } row[] = {
        { "House_128bpm.wav", 128, 128, "file name" },
        { "house 64 BPM.wav", 64, 64, "file name" },          /* an octave: a matter of taste, so the name's */
        { "/a/140/House 97bpm.wav", 97, 128, "loop length" }, /* not so */
        { "top_loop_256bpm_x.wav", 256, 256, "file name" },
        { "House_130bpm.wav", 130, 128, "file name" }, /* octave of the name, number of the sound */
        { "house.wav", NAN, 128, "loop length" },
    };
    for (size_t i = 0; i < SM_LENGTH(row); i++) {
        const dsp_tempo t = house_with(&(dsp_evidence){ .file_name = row[i].name }, 0);
        if (!(fabs(t.bpm - row[i].bpm) < 1e-3) || strcmp(t.method, row[i].method) != 0 ||
            !(t.bpm_from_name == row[i].stated || (isnan(row[i].stated) && isnan(t.bpm_from_name))))
            fail_msg("%s: %.3f (%s), stated %.2f", row[i].name, t.bpm, t.method, t.bpm_from_name);
        sm_free(t.beat_times_s);
    }
}

static void an_acid_chunk_is_evidence_too(void **state)
{
    (void)state;
    dsp_tempo t = house_with(&(dsp_evidence){ .acid_tempo = 64 }, 0);
    assert_true(t.bpm == 64 && t.bpm_from_acid == 64);
    assert_string_equal(t.method, "acid");
    sm_free(t.beat_times_s);
    t = house_with(&(dsp_evidence){ .acid_beats = 24 }, 0);
    assert_true(fabs(t.bpm - 128) < 1e-3 && fabs(t.bpm_from_acid - 128) < 1e-3);
    sm_free(t.beat_times_s);
    t = house_with(&(dsp_evidence){ .acid_tempo = 128, .acid_one_shot = true }, 0);
    assert_true(isnan(t.bpm_from_acid));
    sm_free(t.beat_times_s);
    t = house_with(&(dsp_evidence){ .acid_tempo = 1e30 }, 0);
    assert_true(isnan(t.bpm_from_acid) && fabs(t.bpm - 128) < 1e-3);
    sm_free(t.beat_times_s);
}

static void the_answer_does_not_depend_on_the_cut(void **state)
{
    (void)state;
    static const size_t cuts[] = { 1, 999, 44100, 100003 };
    float *x = sm_alloc(ROOM, sizeof *x);
    const size_t n = drum_loop(x, ROOM, &styles[6], 103, 0.2) / 2;
    dsp_tempo whole = tempo_cut(x, n, n, NULL);
    for (size_t i = 0; i < SM_LENGTH(cuts); i++) {
        dsp_tempo t = tempo_cut(x, n, cuts[i], NULL);
        assert_true(t.bpm == whole.bpm && t.confidence == whole.confidence && t.n_beats == whole.n_beats);
        assert_memory_equal(t.beat_times_s, whole.beat_times_s, t.n_beats * sizeof *t.beat_times_s);
        sm_free(t.beat_times_s);
    }
    sm_free(whole.beat_times_s);
    sm_free(x);
}

static void loudness_does_not_matter(void **state)
{
    (void)state;
    float *x = sm_alloc(ROOM, sizeof *x);
    const size_t n = drum_loop(x, ROOM, &styles[3], 172, 0);
    const double loud = bpm_of(x, n);
    for (size_t i = 0; i < n; i++)
        x[i] *= 1.0f / 1024;
    assert_true(fabs(bpm_of(x, n) - loud) < 1e-6);
    sm_free(x);
}

/* A tempo that changes by a tenth in the middle. */
static void a_change_of_tempo_is_seen(void **state)
{
    (void)state;
    const size_t half = 24 * MUSIC_RATE, n = 2 * half;
    float *x = sm_alloc_zero(n, sizeof *x);
    music_pattern(x, half, 0, 100, 4, 0, MUSIC_KICK, "x...", 0.8f);
    music_pattern(x, half, 0, 100, 4, 0, MUSIC_SNARE, "....x...", 0.8f);
    dsp_tempo t = tempo_cut(x, half, half, NULL);
    assert_true(t.stable);
    sm_free(t.beat_times_s);
    music_pattern(x + half, half, 0, 112, 4, 0, MUSIC_KICK, "x...", 0.8f);
    music_pattern(x + half, half, 0, 112, 4, 0, MUSIC_SNARE, "....x...", 0.8f);
    t = tempo_cut(x, n, n, NULL);
    assert_false(t.stable);
    assert_true(t.n_beats > 70 && t.n_beats < 95); /* 40 and 45 */
    for (size_t i = 1; i < t.n_beats; i++)
        assert_true(t.beat_times_s[i] > t.beat_times_s[i - 1]);
    sm_free(t.beat_times_s);
    sm_free(x);
}

static void expect_no_tempo(const float *x, size_t n, const char *what)
{
    dsp_tempo t = tempo_cut(x, n, SM_MAX(n, 1), NULL);
    if (!isnan(t.bpm) && t.confidence > 0.25)
        fail_msg("%s: %.1f, confidence %.2f", what, t.bpm, t.confidence);
    if (isnan(t.bpm))
        assert_true(t.confidence == 0 && t.n_beats == 0 && t.n_candidates == 0);
    sm_free(t.beat_times_s);
}

static void what_has_no_rhythm_has_no_tempo(void **state)
{
    (void)state;
    const size_t n = 6 * MUSIC_RATE;
    float *x = sm_alloc_zero(n, sizeof *x);
    expect_no_tempo(x, 0, "nothing");
    expect_no_tempo(x, 1, "one sample");
    expect_no_tempo(x, n, "silence");
    music_hit(x, n, 0, MUSIC_SNARE, 0.8f);
    expect_no_tempo(x, MUSIC_RATE, "one hit");
    expect_no_tempo(x, n, "one hit and silence");
    memset(x, 0, n * sizeof *x);
    music_chord(x, n, 0, 60, 1, 6, 0.2f, 440);
    expect_no_tempo(x, n, "one chord");
    for (size_t i = 0; i < n; i++)
        x[i] = 0.1f * sinf((float)(2 * M_PI * 1000 * (double)i / MUSIC_RATE));
    expect_no_tempo(x, n, "a sine");
    for (uint64_t seed = 1; seed < 6; seed++) {
        const uint64_t hash = sm_unit_hash("noise", seed);
        for (size_t i = 0; i < n; i++)
            x[i] = 0.1f * (float)sm_unit(hash, i);
        expect_no_tempo(x, n, "noise");
    }
    sm_free(x);
}

static void bounds_are_kept(void **state)
{
    (void)state;
    float *x = sm_alloc(ROOM, sizeof *x);
    const size_t n = drum_loop(x, ROOM, &styles[0], 150, 0);
    dsp_tempo_state *s = NULL;
    dsp_tempo t;
    test_ok(dsp_tempo_new(&(dsp_options){ .bpm_min = 60, .bpm_max = 100 }, &s));
    test_ok(dsp_tempo_push(s, x, n));
    test_ok(dsp_tempo_finish(s, NULL, &t));
    assert_true(fabs(t.bpm - 75) < 0.2);
    sm_free(t.beat_times_s);
    dsp_tempo_free(s);
    sm_free(x);
}

static int make_and_free(void *user)
{
    dsp_tempo_state *s = NULL;
    dsp_tempo t = { 0 };
    const float *x = user;
    int err = dsp_tempo_new(NULL, &s);
    if (err == 0)
        err = dsp_tempo_push(s, x, 3 * MUSIC_RATE);
    if (err == 0)
        err = dsp_tempo_finish(s, NULL, &t);
    sm_free(t.beat_times_s);
    dsp_tempo_free(s);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static float x[ROOM];
    drum_loop(x, ROOM, &styles[2], 128, 0);
    test_every_allocation_may_fail(make_and_free, x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drum_loops_of_many_styles_get_tempo_and_octave_right),
        cmocka_unit_test(a_plain_beat_is_right_from_60_to_180),
        cmocka_unit_test(clicks_are_counted_one_by_one),
        cmocka_unit_test(beats_fall_where_the_drums_fall),
        cmocka_unit_test(the_length_of_a_loop_makes_its_tempo_exact),
        cmocka_unit_test(a_file_name_decides_only_what_the_sound_allows),
        cmocka_unit_test(an_acid_chunk_is_evidence_too),
        cmocka_unit_test(the_answer_does_not_depend_on_the_cut),
        cmocka_unit_test(loudness_does_not_matter),
        cmocka_unit_test(a_change_of_tempo_is_seen),
        cmocka_unit_test(what_has_no_rhythm_has_no_tempo),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
