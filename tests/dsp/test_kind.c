#include "support/support.h"

#include <math.h>

#include "dsp/parts.h"

static dsp_timbre decide(dsp_kind_facts f, dsp_evidence e)
{
    dsp_timbre out = { 0 };
    dsp_kind_of(&f, &e, &out);
    return out;
}

/* n onsets every `period` seconds, each moved by up to `loose` of it */
static void onsets(double *times, size_t n, double period, double loose)
{
    for (size_t i = 0; i < n; i++)
        times[i] = period * ((double)i + (i > 0 ? loose * sm_unit(sm_unit_hash("kind", 2), i) : 0));
}

static void silence_is_silence_whatever_else(void **state)
{
    (void)state;
    const dsp_timbre t =
        decide((dsp_kind_facts){ .silent = true, .duration_s = 100, .beats_in_file = NAN, .named_beats = NAN },
               (dsp_evidence){ .has_loop_points = true });
    assert_int_equal(t.kind, DSP_KIND_SILENCE);
    assert_true(t.kind_confidence == 1 && !t.single_event && !t.loopable);
}

static void the_more_onsets_keep_a_pulse_the_surer_the_loop(void **state)
{
    (void)state;
    double times[64], last = -1;
    for (size_t n = 4; n <= 32; n *= 2) {
        onsets(times, n, 0.25, 0.02);
        const dsp_timbre t = decide((dsp_kind_facts){ .duration_s = 0.25 * (double)n,
                                                      .onsets = n,
                                                      .onset_times_s = times,
                                                      .tail_db = -20,
                                                      .beats_in_file = NAN,
                                                      .named_beats = NAN },
                                    (dsp_evidence){ 0 });
        const double loop = t.kind == DSP_KIND_LOOP ? t.kind_confidence : 1 - t.kind_confidence;
        assert_true(loop >= last);
        last = loop;
    }
    assert_true(last > 0.95);
}

static void scattered_onsets_are_one_event_of_many_parts(void **state)
{
    (void)state;
    double times[64];
    onsets(times, 8, 0.15, 0.9);
    const dsp_timbre t = decide((dsp_kind_facts){ .duration_s = 1.5,
                                                  .onsets = 8,
                                                  .onset_times_s = times,
                                                  .tail_db = -50,
                                                  .beats_in_file = NAN,
                                                  .named_beats = NAN },
                                (dsp_evidence){ 0 });
    assert_int_equal(t.kind, DSP_KIND_ONE_SHOT);
    assert_false(t.single_event);
}

static void minutes_of_rhythm_are_a_song(void **state)
{
    (void)state;
    double times[512];
    onsets(times, 512, 0.4, 0.1);
    const dsp_timbre t = decide((dsp_kind_facts){ .duration_s = 206,
                                                  .onsets = 512,
                                                  .onset_times_s = times,
                                                  .tail_db = -60,
                                                  .beats_in_file = NAN,
                                                  .named_beats = NAN },
                                (dsp_evidence){ 0 });
    assert_int_equal(t.kind, DSP_KIND_SONG);
    assert_true(t.kind_confidence > 0.95);
}

static void a_name_that_fits_the_length_is_evidence(void **state)
{
    (void)state;
    double times[3] = { 0, 0.7, 1.2 };
    dsp_kind_facts f = { .duration_s = 1.875,
                         .onsets = 3,
                         .onset_times_s = times,
                         .tail_db = -20,
                         .beats_in_file = NAN,
                         .named_beats = NAN };
    assert_int_equal(decide(f, (dsp_evidence){ 0 }).kind, DSP_KIND_ONE_SHOT);
    f.named_beats = 4;
    assert_int_equal(decide(f, (dsp_evidence){ 0 }).kind, DSP_KIND_LOOP);
    assert_true(decide(f, (dsp_evidence){ 0 }).loopable);
    f.named_beats = 3.6;
    assert_int_equal(decide(f, (dsp_evidence){ 0 }).kind, DSP_KIND_ONE_SHOT);
}

static void the_acid_chunk_decides(void **state)
{
    (void)state;
    double times[16];
    onsets(times, 16, 0.25, 0);
    const dsp_kind_facts f = {
        .duration_s = 4, .onsets = 16, .onset_times_s = times, .beats_in_file = NAN, .named_beats = NAN
    };
    assert_int_equal(decide(f, (dsp_evidence){ .acid_one_shot = true }).kind, DSP_KIND_ONE_SHOT);
    assert_int_equal(decide(f, (dsp_evidence){ .acid_beats = 8 }).kind, DSP_KIND_LOOP);
    assert_true(decide(f, (dsp_evidence){ .acid_one_shot = true, .has_loop_points = true }).loopable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_silence_whatever_else),
        cmocka_unit_test(the_more_onsets_keep_a_pulse_the_surer_the_loop),
        cmocka_unit_test(scattered_onsets_are_one_event_of_many_parts),
        cmocka_unit_test(minutes_of_rhythm_are_a_song),
        cmocka_unit_test(a_name_that_fits_the_length_is_evidence),
        cmocka_unit_test(the_acid_chunk_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
