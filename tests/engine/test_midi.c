/* From frames of pitch to notes, and the bytes of the MIDI file. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "engine/midi.h"

enum { FRAMES = 100 };

/* 10 ms a frame, all silent at first. */
typedef struct {
    double time_s[FRAMES];
    float hz[FRAMES], confidence[FRAMES], rms_db[FRAMES];
} track;

static sm_pitch_result track_of(track *t)
{
    memset(t, 0, sizeof *t);
    for (int i = 0; i < FRAMES; i++) {
        t->time_s[i] = i * 0.01;
        t->rms_db[i] = -120;
    }
    return (sm_pitch_result){
        .frames = FRAMES, .time_s = t->time_s, .hz = t->hz, .confidence = t->confidence, .rms_db = t->rms_db
    };
}

static void play(track *t, int first, int last, double midi, double db)
{
    for (int i = first; i < last; i++) {
        t->hz[i] = (float)(440 * exp2((midi - 69) / 12));
        t->confidence[i] = 0.9f;
        t->rms_db[i] = (float)db;
    }
}

static void frames_of_one_note_in_a_row_are_a_note(void **state)
{
    track t;
    sm_pitch_result r = track_of(&t);
    sm_note *notes = NULL;
    size_t n = 0;
    (void)state;
    play(&t, 10, 30, 69.2, 0);   /* loud, a little sharp */
    play(&t, 30, 60, 71.9, -60); /* the next at once, as quiet as it gets */
    play(&t, 70, 74, 60, -20);   /* 40 ms: too short */
    test_ok(sm_notes_of_pitch(&r, 0.5, &notes, &n));
    assert_int_equal(n, 2);
    assert_int_equal(notes[0].note, 69);
    assert_int_equal(notes[1].note, 72);
    assert_true(fabs(notes[0].start_s - 0.1) < 1e-9 && fabs(notes[0].end_s - 0.3) < 1e-9);
    assert_true(fabs(notes[1].start_s - 0.3) < 1e-9 && fabs(notes[1].end_s - 0.6) < 1e-9);
    assert_int_equal(notes[0].velocity, 127);
    assert_int_equal(notes[1].velocity, 1);
    sm_free(notes);
}

static void gaps_and_slips_of_30_ms_are_bridged_and_longer_ones_are_not(void **state)
{
    track t;
    sm_pitch_result r = track_of(&t);
    sm_note *notes = NULL;
    size_t n = 0;
    (void)state;
    play(&t, 0, 40, 60, -10);
    play(&t, 10, 13, 72, -10); /* an octave's slip of three frames */
    test_ok(sm_notes_of_pitch(&r, 0.5, &notes, &n));
    assert_int_equal(n, 1);
    assert_true(fabs(notes[0].end_s - 0.4) < 1e-9);
    sm_free(notes);
    for (int i = 20; i < 24; i++)
        t.confidence[i] = 0.4f; /* four frames that are not sure */
    test_ok(sm_notes_of_pitch(&r, 0.5, &notes, &n));
    assert_int_equal(n, 2);
    assert_true(fabs(notes[0].end_s - 0.2) < 1e-9 && fabs(notes[1].start_s - 0.24) < 1e-9);
    sm_free(notes);
    test_ok(sm_notes_of_pitch(&r, 0.95, &notes, &n));
    assert_int_equal(n, 0);
    assert_null(notes);
}

static void no_frames_are_no_notes(void **state)
{
    const sm_pitch_result none = { 0 };
    sm_note *notes = NULL;
    size_t n = 7;
    (void)state;
    test_ok(sm_notes_of_pitch(&none, 0.5, &notes, &n));
    assert_int_equal(n, 0);
}

static void the_file_is_what_the_standard_says(void **state)
{
    const test_place *place = *state;
    static const sm_note notes[] = { { 0.25, 0.5, 69, 100 }, { 0.5, 1.5, 72, 1 } };
    /* 960 ticks a second: 240 = 0x81 0x70, 960 = 0x87 0x40 as lengths of seven bits a byte */
    static const unsigned char expected[] = {
        'M',  'T', 'h', 'd', 0,    0,    0,    6,    0,    0,    0,    1,    1,    0xE0, 'M',  'T', 'r',  'k',
        0,    0,   0,   31,  0,    0xFF, 0x51, 3,    7,    0xA1, 0x20, 0x81, 0x70, 0x90, 69,   100, 0x81, 0x70,
        0x80, 69,  0,   0,   0x90, 72,   1,    0x87, 0x40, 0x80, 72,   0,    0,    0xFF, 0x2F, 0
    };
    sm_buffer got = { 0 };
    test_ok(sm_midi_write(place->path, notes, SM_LENGTH(notes)));
    test_ok(sm_file_read(place->path, 1000, &got));
    assert_int_equal(got.length, 18 + 4 + (int)sizeof expected - 22);
    assert_memory_equal(got.data, expected, 18);
    assert_int_equal((unsigned char)got.data[21], got.length - 22);
    assert_memory_equal(got.data + 22, expected + 22, sizeof expected - 22);
    sm_buffer_free(&got);
    test_fails(sm_midi_write("/no/such/folder/x.mid", notes, 2), SM_ENOTFOUND, "/no/such/folder");
}

static int write_them(void *user)
{
    track t;
    sm_pitch_result r = track_of(&t);
    sm_note *notes = NULL;
    size_t n = 0;
    play(&t, 0, 30, 60, -10);
    play(&t, 40, 80, 62, -10);
    int err = sm_notes_of_pitch(&r, 0.5, &notes, &n);
    if (err == 0)
        err = sm_midi_write(user, notes, n);
    sm_free(notes);
    return err;
}

static void writing_survives_any_failed_allocation(void **state)
{
    test_place *place = *state;
    test_every_allocation_may_fail(write_them, place->path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_one_note_in_a_row_are_a_note),
        cmocka_unit_test(gaps_and_slips_of_30_ms_are_bridged_and_longer_ones_are_not),
        cmocka_unit_test(no_frames_are_no_notes),
        cmocka_unit_test_setup_teardown(the_file_is_what_the_standard_says, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(writing_survives_any_failed_allocation, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
