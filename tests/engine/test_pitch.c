/* Pitch over time: YIN and CREPE over sounds that are known, the frames' places, and the files that the command writes. */
#include "engine/engine_support.h"

#include <stdlib.h>
#include <unistd.h>

static const char *in(const test_place *place, const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", place->folder, name);
    return p;
}

static sm_pitch_tracker *tracker(const sm_pitch_options *o)
{
    sm_pitch_tracker *t = NULL;
    test_ok(sm_pitch_open(o, &t));
    return t;
}

static void yin_follows_a_sine_at_any_step_and_rate(void **state)
{
    const test_place *place = *state;
    static const struct {
        double hz, step_ms;
        int rate, channels;
    } rows[] = { { 440, 10, 44100, 1 }, { 82.4069, 5, 48000, 2 }, { 1046.502, 20, 22050, 1 }, { 220, 10, 8000, 1 } };
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_pitch_options o;
        sm_pitch_result r = { 0 };
        sm_pitch_options_init(&o);
        o.model = "yin";
        o.step_ms = rows[i].step_ms;
        float *x = test_sine(rows[i].hz, 1, rows[i].rate, rows[i].channels, 0.5);
        test_write_wav(in(place, "x.wav"), x, (size_t)rows[i].rate, rows[i].rate, rows[i].channels);
        sm_pitch_tracker *t = tracker(&o);
        test_ok(sm_pitch_file(t, in(place, "x.wav"), &r));
        assert_true(r.frames >= (size_t)(1000 / rows[i].step_ms));
        assert_true(r.frames <= (size_t)(1000 / rows[i].step_ms) + 1);
        for (size_t k = r.frames / 10; k < r.frames * 9 / 10; k++) {
            assert_true(fabs(r.time_s[k] - (double)k * rows[i].step_ms / 1000) < 1e-9);
            if (!(fabs(1200 * log2((double)r.hz[k] / rows[i].hz)) < 2) || r.confidence[k] < 0.9f) /* cents */
                fail_msg("%g Hz at %d Hz: frame %zu has %g Hz, confidence %g", rows[i].hz, rows[i].rate, k,
                         (double)r.hz[k], (double)r.confidence[k]);
            assert_true(fabs((double)r.rms_db[k] - 20 * log10(0.5 / sqrt(2))) < 0.5);
        }
        sm_pitch_result_free(&r);
        assert_null(r.hz);
        sm_pitch_close(t);
        sm_free(x);
    }
}

static void silence_has_no_pitch(void **state)
{
    sm_pitch_options o;
    sm_pitch_result r = { 0 };
    (void)state;
    sm_pitch_options_init(&o);
    o.model = "yin";
    o.silence_db = -60;
    sm_pitch_tracker *t = tracker(&o);
    test_ok(sm_pitch_file(t, "examples/silence.wav", &r));
    for (size_t k = 0; k < r.frames; k++)
        assert_true(r.hz[k] == 0 || r.confidence[k] == 0);
    assert_true(r.frames > 0 && r.rms_db[0] == -120);
    sm_pitch_result_free(&r);
    sm_pitch_close(t);
}

static void crepe_has_a_frame_each_10_ms_and_its_activation(void **state)
{
    const test_place *place = *state;
    static const char *const decoders[] = { "crepe", "viterbi", "argmax", "weighted", "torchcrepe-viterbi" };
    test_install(place->folder, "crepe-tiny", "");
    for (size_t i = 0; i < SM_LENGTH(decoders); i++) {
        sm_pitch_options o;
        sm_pitch_result r = { 0 };
        sm_pitch_options_init(&o);
        o.home = place->folder;
        o.model = "crepe-tiny";
        o.decoder = decoders[i];
        o.save_activation = 1;
        o.threads = 1;
        sm_pitch_tracker *t = tracker(&o);
        test_ok(sm_pitch_file(t, "examples/sine_440.wav", &r));
        assert_int_equal(r.frames, 101); /* centred: 1 + 16000 / 160 */
        assert_non_null(r.activation);
        for (size_t k = 0; k < r.frames * 360; k++)
            assert_true(r.activation[k] >= 0 && r.activation[k] <= 1);
        for (size_t k = 0; k < r.frames; k++) {
            assert_true(isfinite(r.hz[k]) && r.hz[k] >= 0);
            assert_true(r.confidence[k] >= 0 && r.confidence[k] <= 1);
        }
        sm_pitch_result_free(&r);
        sm_pitch_close(t);
    }
    sm_pitch_options o;
    sm_pitch_result r = { 0 };
    sm_pitch_options_init(&o);
    o.home = place->folder;
    o.model = "crepe-tiny";
    o.no_centering = 1;
    o.step_ms = 20;
    sm_pitch_tracker *t = tracker(&o);
    test_ok(sm_pitch_file(t, "examples/sine_440.wav", &r));
    assert_int_equal(r.frames, 1 + (16000 - 1024) / 320);
    assert_null(r.activation);
    sm_pitch_result_free(&r);
    sm_pitch_close(t);
}

static void the_real_crepe_hears_440_Hz(void **state)
{
    sm_pitch_options o;
    sm_pitch_result r = { 0 };
    char model[4200];
    (void)state;
    const char *path = test_shared("models/crepe/model-tiny.h5");
    if (!path)
        test_skip("needs ../shared/models/crepe/model-tiny.h5");
    snprintf(model, sizeof model, "crepe-tiny=%s", path);
    sm_pitch_options_init(&o);
    o.model = model;
    sm_pitch_tracker *t = tracker(&o);
    test_ok(sm_pitch_file(t, "examples/sine_440.wav", &r));
    for (size_t k = 5; k + 5 < r.frames; k++)
        if (!(fabs(1200 * log2((double)r.hz[k] / 440)) < 10) || r.confidence[k] < 0.8f) /* half a bin, in cents */
            fail_msg("frame %zu: %g Hz, confidence %g", k, (double)r.hz[k], (double)r.confidence[k]);
    sm_pitch_result_free(&r);
    sm_pitch_close(t);
}

static void wrong_options_are_named(void **state)
{
    const test_place *place = *state;
    sm_pitch_tracker *t = NULL;
    sm_pitch_options o;
#define TRY(field, value, code, part)                                                                                  \
    do {                                                                                                               \
        sm_pitch_options_init(&o);                                                                                     \
        o.home = place->folder;                                                                                        \
        o.model = "yin";                                                                                               \
        o.field = value;                                                                                               \
        test_fails(sm_pitch_open(&o, &t), code, part);                                                                 \
        assert_null(t);                                                                                                \
    } while (0)
    TRY(step_ms, 0.5, SM_EUSAGE, "step is 0.5 ms");
    TRY(step_ms, -1, SM_EUSAGE, "step");
    TRY(step_ms, (double)NAN, SM_EUSAGE, "step");
    TRY(decoder, "vitrebi", SM_EUSAGE, "did you mean \"viterbi\"");
    TRY(f_max, -3, SM_EUSAGE, "pitch range");
    TRY(f_min, (double)NAN, SM_EUSAGE, "pitch range");
    TRY(model, "crepe-tinny", SM_EUSAGE, "did you mean \"crepe-tiny\"");
    TRY(model, "yamnet", SM_EUSAGE, "does not track pitch");
    TRY(model, NULL, SM_ENOTFOUND, "samplemind models pull crepe-full");
    TRY(model, "crepe-tiny=/no/such.h5", SM_ENOTFOUND, "/no/such.h5");
    TRY(size, 3, SM_EUSAGE, "sm_pitch_options_init");
    /* installed, but damaged: the file is named, and nobody is told to pull what is there */
    test_ok(sm_make_directories(in(place, "models")));
    test_write_file(in(place, "models/crepe-full.safetensors"), "nonsense", 8);
    TRY(model, NULL, SM_EFORMAT, "crepe-full.safetensors");
}

static int stop(void *user, const sm_progress_info *p)
{
    *(int *)user += p->done > 0;
    return 1;
}

static void a_callback_can_stop_it(void **state)
{
    sm_pitch_options o;
    sm_pitch_result r = { 0 };
    int calls = 0;
    (void)state;
    sm_pitch_options_init(&o);
    o.model = "yin";
    o.progress = stop;
    o.user = &calls;
    const long before = sm_test_allocations_alive();
    sm_pitch_tracker *t = tracker(&o);
    test_fails(sm_pitch_file(t, "examples/kick.wav", &r), SM_ECANCELLED, "stopped");
    assert_int_equal(calls, 1);
    assert_null(r.hz);
    sm_pitch_close(t);
    assert_int_equal(sm_test_allocations_alive(), before);
}

static int yin_file(void *user)
{
    sm_pitch_options o;
    sm_pitch_tracker *t = NULL;
    sm_pitch_result r = { 0 };
    sm_pitch_options_init(&o);
    o.model = "yin";
    int err = sm_pitch_open(&o, &t);
    if (err == 0)
        err = sm_pitch_file(t, user, &r);
    sm_pitch_result_free(&r);
    sm_pitch_close(t);
    return err;
}

static void tracking_survives_any_failed_allocation(void **state)
{
    char path[] = "examples/hihat.wav";
    (void)state;
    test_every_allocation_may_fail(yin_file, path);
}

/* ---- the files of the command ---- */

static void the_command_writes_crepes_files(void **state)
{
    const test_place *place = *state;
    char command[1024];
    sm_buffer csv = { 0 }, npy = { 0 };
    sm_pitch_options o;
    sm_pitch_result r = { 0 };
    if (!test_program())
        test_skip("SM_PROGRAM is not set");
    test_install(place->folder, "crepe-tiny", "");
    snprintf(command, sizeof command, "SAMPLEMIND_HOME=%s '%s' pitch examples/kick.wav -c tiny -a -V -o %s >%s 2>&1",
             place->folder, test_program(), place->folder, in(place, "said"));
    assert_int_equal(system(command), 0);
    sm_pitch_options_init(&o);
    o.home = place->folder;
    o.model = "crepe-tiny";
    o.decoder = "viterbi";
    o.save_activation = 1;
    o.threads = 1;
    sm_pitch_tracker *t = tracker(&o);
    test_ok(sm_pitch_file(t, "examples/kick.wav", &r));
    test_ok(sm_file_read(in(place, "kick.f0.csv"), 1 << 20, &csv));
    test_ok(sm_file_read(in(place, "kick.activation.npy"), 1 << 20, &npy));
    char *line = strtok(csv.data, "\n"), expected[100];
    assert_string_equal(line, "time,frequency,confidence");
    for (size_t i = 0; i < r.frames; i++) {
        snprintf(expected, sizeof expected, "%.3f,%.3f,%.6f", r.time_s[i], (double)r.hz[i], (double)r.confidence[i]);
        line = strtok(NULL, "\n");
        assert_non_null(line);
        assert_string_equal(line, expected);
    }
    assert_null(strtok(NULL, "\n"));
    /* numpy: magic, 1.0, length of the header (little-endian), the dictionary, a newline at a multiple of 64; then the data */
    const unsigned char *p = (const unsigned char *)npy.data;
    assert_memory_equal(p, "\x93NUMPY\x01\x00", 8);
    const size_t header = 10 + (size_t)(p[8] | p[9] << 8);
    assert_int_equal(header % 64, 0);
    assert_int_equal(p[header - 1], '\n');
    snprintf(expected, sizeof expected, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, 360), }", r.frames);
    assert_memory_equal(p + 10, expected, strlen(expected));
    assert_int_equal(npy.length, header + r.frames * 360 * 4);
    assert_memory_equal(p + header, r.activation, r.frames * 360 * 4);
    sm_pitch_result_free(&r);
    sm_pitch_close(t);
    sm_buffer_free(&csv);
    sm_buffer_free(&npy);
}

int main(void)
{
#define AT_A_PLACE(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)
    const struct CMUnitTest tests[] = {
        AT_A_PLACE(yin_follows_a_sine_at_any_step_and_rate),
        cmocka_unit_test(silence_has_no_pitch),
        AT_A_PLACE(crepe_has_a_frame_each_10_ms_and_its_activation),
        cmocka_unit_test(the_real_crepe_hears_440_Hz),
        AT_A_PLACE(wrong_options_are_named),
        cmocka_unit_test(a_callback_can_stop_it),
        cmocka_unit_test(tracking_survives_any_failed_allocation),
        AT_A_PLACE(the_command_writes_crepes_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
