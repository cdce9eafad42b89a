#include "support/support.h"

#include "dsp/parts.h"
#include "dsp/sounds.h"

static dsp_result analyse(const dsp_options *o, const float *x, size_t frames, int rate, int channels, size_t piece)
{
    dsp_result out;
    dsp_analysis *a;
    test_ok(dsp_analysis_new(o, rate, channels, &a));
    for (size_t at = 0; at < frames; at += piece)
        test_ok(dsp_analysis_push(a, x + at * channels, SM_MIN(piece, frames - at)));
    test_ok(dsp_analysis_finish(a, NULL, &out));
    dsp_analysis_free(a);
    return out;
}

static float *sine(double hz, int rate, double seconds, int channels)
{
    const size_t n = (size_t)(seconds * rate);
    float *x = malloc((n * channels + 1) * sizeof *x);
    for (size_t i = 0; i < n * channels; i++)
        x[i] = (float)(0.5 * sin(2 * M_PI * hz * (double)(i / channels) / rate));
    return x;
}

/* The same answers at every rate and number of channels. A sine of 0.5 has -9.03 dBFS; at 440 Hz BS.1770's filter adds 0.01 dB
 * and its formula takes 0.69 off. */
static void a_440_hz_sine_is_what_it_is_at_every_rate(void **state)
{
    (void)state;
    static const struct {
        int rate, channels;
    } formats[] = { { 44100, 1 }, { 48000, 1 },  { 8000, 1 },  { 22050, 2 },
                    { 96000, 2 }, { 192000, 1 }, { 44100, 2 }, { 11025, 8 } };
    for (size_t i = 0; i < SM_LENGTH(formats); i++) {
        const int rate = formats[i].rate, channels = formats[i].channels;
        float *x = sine(440, rate, 1.5, channels);
        dsp_result r = analyse(NULL, x, (size_t)(rate * 3 / 2), rate, channels, 4096);
        char note[8];
        dsp_note_text(r.pitch.note_midi, note);
        assert_string_equal(note, "A4");
        assert_float_equal(r.pitch.pitch_hz, 440, 0.1);
        assert_float_equal(r.duration_s, 1.5, 1e-3);
        assert_float_equal(r.levels.sample_peak_dbfs, -6.02, rate < 10000 ? 0.2 : 0.03);
        assert_float_equal(r.levels.rms_dbfs, -9.03, 0.01);
        if (channels <= 2)
            assert_float_equal(r.levels.loudness_lufs, -9.03 - 0.68 + (channels == 2 ? 3.01 : 0),
                               rate < 40000 ? 0.3 : 0.05); /* the filter's shelf is warped at low rates */
        assert_float_equal(r.timbre.spectral_centroid_hz, 440, 15);
        assert_float_equal(r.timbre.zero_crossing_rate, 880.0 / DSP_RATE, 0.001);
        assert_int_equal(r.timbre.kind, DSP_KIND_ONE_SHOT);
        if (!r.timbre.single_event || !isnan(r.tempo.bpm))
            fail_msg("%d Hz, %d channels: %zu onsets, second at %g s", rate, channels, r.timbre.n_onsets,
                     r.timbre.n_onsets > 1 ? r.timbre.onset_times_s[1] : NAN);
        dsp_result_free(&r);
        free(x);
    }
}

static void assert_same(const dsp_result *a, const dsp_result *b)
{
    assert_true(a->duration_s == b->duration_s);
    assert_true(a->levels.loudness_lufs == b->levels.loudness_lufs &&
                a->levels.true_peak_dbtp == b->levels.true_peak_dbtp);
    assert_true(a->levels.rms_dbfs == b->levels.rms_dbfs && a->levels.start_time_s == b->levels.start_time_s);
    assert_true(a->timbre.attack_s == b->timbre.attack_s && a->timbre.brightness == b->timbre.brightness);
    assert_true(a->timbre.roughness == b->timbre.roughness && a->timbre.energy == b->timbre.energy);
    assert_true(a->timbre.kind == b->timbre.kind && a->timbre.n_onsets == b->timbre.n_onsets);
    for (size_t i = 0; i < a->timbre.n_onsets; i++)
        assert_true(a->timbre.onset_times_s[i] == b->timbre.onset_times_s[i]);
    assert_true(a->pitch.confidence == b->pitch.confidence && a->pitch.note_midi == b->pitch.note_midi);
    assert_true(a->tempo.confidence == b->tempo.confidence && a->tempo.n_beats == b->tempo.n_beats);
    assert_true((isnan(a->tempo.bpm) && isnan(b->tempo.bpm)) || a->tempo.bpm == b->tempo.bpm);
    assert_true(a->key.tonic == b->key.tonic && a->key.confidence == b->key.confidence);
}

static void pieces_of_any_size_give_the_same_result(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 7, 4096 };
    static const int rates[] = { 44100, 48000 };
    size_t n;
    float *x = drum_loop(120, 4, &n);
    for (size_t k = 0; k < SM_LENGTH(rates); k++) {
        dsp_result whole = analyse(NULL, x, n, rates[k], 1, n);
        for (size_t p = 0; p < SM_LENGTH(pieces); p++) {
            dsp_result cut = analyse(NULL, x, n, rates[k], 1, pieces[p]);
            assert_same(&cut, &whole);
            dsp_result_free(&cut);
        }
        dsp_result_free(&whole);
    }
    free(x);
}

static void empty_short_and_silent_sounds_are_valid(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0, 1, 10, 441, 882, 50000 };
    size_t n;
    float *silence = sound_new(2, &n), *tone = sine(1000, DSP_RATE, 2, 1);
    for (size_t i = 0; i < SM_LENGTH(lengths); i++) {
        dsp_result r = analyse(NULL, silence, lengths[i], DSP_RATE, 1, 4096);
        assert_int_equal(r.timbre.kind, DSP_KIND_SILENCE);
        assert_true(isnan(r.timbre.brightness) && isnan(r.pitch.pitch_hz) && isnan(r.tempo.bpm) &&
                    r.timbre.n_onsets == 0);
        dsp_result_free(&r);
        r = analyse(NULL, tone, lengths[i], 48000, 1, 4096);
        assert_true(lengths[i] < 2 || (r.timbre.kind == DSP_KIND_ONE_SHOT && isfinite(r.timbre.brightness)));
        assert_true(lengths[i] < 882 || fabs(r.pitch.pitch_hz - 1000.0 * 48000 / 44100) < 10);
        dsp_result_free(&r);
    }
    free(silence), free(tone);
}

/* Frames and windows are powers of two: all lengths about each of them, and all the smallest. What is in them is finite or NAN, and
 * (under the address sanitizer) nothing is read or written beside a buffer. */
static void sounds_of_any_length_are_analysed(void **state)
{
    (void)state;
    float *x = sine(440, DSP_RATE, 0.8, 1);
    for (int power = 4; power <= 15; power++)
        for (int beside = -12; beside <= 14; beside += power < 13 ? 1 : 2) {
            const int n = (1 << power) + beside;
            dsp_result r = analyse(NULL, x, (size_t)n, DSP_RATE, 1, 4096);
            assert_float_equal(r.duration_s, (double)n / DSP_RATE, 1e-9);
            assert_false(isinf(r.pitch.pitch_hz) || isinf(r.timbre.brightness) || isinf(r.levels.loudness_lufs));
            if (n > 2048 && !(fabs(r.pitch.pitch_hz - 440) < 1.5))
                fail_msg("%d samples of 440 Hz: %.2f Hz", n, r.pitch.pitch_hz);
            dsp_result_free(&r);
        }
    free(x);
}

static void what_is_not_a_number_does_not_spread(void **state)
{
    (void)state;
    float *x = sine(440, DSP_RATE, 1, 1);
    x[100] = NAN, x[200] = INFINITY, x[300] = -INFINITY;
    dsp_result r = analyse(NULL, x, DSP_RATE, DSP_RATE, 1, 4096);
    assert_true(isfinite(r.levels.loudness_lufs) && isfinite(r.timbre.spectral_centroid_hz) && r.pitch.note_midi == 69);
    dsp_result_free(&r);
    free(x);
}

static void only_what_was_asked_for_is_computed(void **state)
{
    (void)state;
    const dsp_options only_levels = { .levels = true }, only_pitch = { .pitch = true };
    float *x = sine(440, DSP_RATE, 1, 1);
    dsp_result r = analyse(&only_levels, x, DSP_RATE, DSP_RATE, 1, 4096);
    assert_true(isfinite(r.levels.rms_dbfs) && isnan(r.pitch.pitch_hz) && isnan(r.timbre.brightness));
    dsp_result_free(&r);
    r = analyse(&only_pitch, x, DSP_RATE, DSP_RATE, 1, 4096);
    assert_true(isnan(r.levels.rms_dbfs) && isfinite(r.pitch.pitch_hz) && isnan(r.timbre.brightness));
    dsp_result_free(&r);
    free(x);
}

static void loops_one_shots_and_evidence_decide_the_kind(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        float *(*make)(size_t *n);
    } shots[] = { { "kick", kick }, { "808", deep_808 }, { "hi-hat", hihat }, { "snare", snare }, { "pad", pad } };
    size_t n;
    for (size_t i = 0; i < SM_LENGTH(shots); i++) {
        float *x = shots[i].make(&n);
        dsp_result r = analyse(NULL, x, n, DSP_RATE, 1, 4096);
        if (r.timbre.kind != DSP_KIND_ONE_SHOT || !isnan(r.tempo.bpm) || !r.timbre.single_event)
            fail_msg("%s: %s, %zu onsets", shots[i].what, dsp_kind_name(r.timbre.kind), r.timbre.n_onsets);
        dsp_result_free(&r);
        free(x);
    }
    for (double bpm = 60; bpm <= 180; bpm += 30)
        for (int beats = 4; beats <= 16; beats *= 2) {
            float *x = drum_loop(bpm, beats, &n);
            dsp_result r = analyse(NULL, x, n, DSP_RATE, 1, 4096);
            if (r.timbre.kind != DSP_KIND_LOOP || !r.timbre.loopable)
                fail_msg("%g bpm, %d beats: %s", bpm, beats, dsp_kind_name(r.timbre.kind));
            dsp_result_free(&r);
            free(x);
        }
}

static void the_files_own_word_wins(void **state)
{
    (void)state;
    size_t n;
    float *x = drum_loop(120, 8, &n);
    const dsp_evidence shot = { .acid_one_shot = true, .has_loop_points = true };
    dsp_analysis *a;
    dsp_result r;
    test_ok(dsp_analysis_new(NULL, DSP_RATE, 1, &a));
    test_ok(dsp_analysis_push(a, x, n));
    test_ok(dsp_analysis_finish(a, &shot, &r));
    assert_int_equal(r.timbre.kind, DSP_KIND_ONE_SHOT);
    assert_true(r.timbre.loopable && isnan(r.tempo.bpm));
    dsp_analysis_free(a);
    dsp_result_free(&r);
    free(x);
}

/* What an hour of sound may keep: lists of beats, onsets and blocks, not the sound. */
static void long_sounds_take_bounded_memory(void **state)
{
    (void)state;
    const dsp_options all_but_tempo = { .levels = true, .pitch = true, .timbre = true };
    size_t n;
    float *x = drum_loop(120, 16, &n);
    dsp_analysis *a;
    dsp_result r;
    test_ok(dsp_analysis_new(&all_but_tempo, DSP_RATE, 1, &a));
    for (int i = 0; i < 12; i++) /* 96 s */
        test_ok(dsp_analysis_push(a, x, n));
    test_ok(dsp_analysis_finish(a, NULL, &r));
    assert_int_equal(r.timbre.kind, DSP_KIND_SONG);
    assert_int_equal(r.timbre.n_onsets, 12 * 32);
    dsp_analysis_free(a);
    dsp_result_free(&r);
    free(x);
}

static void senseless_formats_are_refused(void **state)
{
    (void)state;
    dsp_analysis *a;
    test_fails(dsp_analysis_new(NULL, 44100, 0, &a), SM_EUSAGE, "0 channels");
    test_fails(dsp_analysis_new(NULL, 44100, 9, &a), SM_EUSAGE, "9 channels");
    test_fails(dsp_analysis_new(NULL, 0, 1, &a), SM_EUSAGE, "0 Hz");
    assert_null(a);
}

static int whole_run(void *user)
{
    dsp_result out = { 0 };
    dsp_analysis *a;
    int err = dsp_analysis_new(NULL, 48000, 1, &a);
    if (err == 0)
        err = dsp_analysis_push(a, user, 60000);
    if (err == 0)
        err = dsp_analysis_finish(a, NULL, &out);
    dsp_analysis_free(a);
    dsp_result_free(&out);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    size_t n;
    float *x = drum_loop(150, 4, &n);
    test_every_allocation_may_fail(whole_run, x);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_440_hz_sine_is_what_it_is_at_every_rate),
        cmocka_unit_test(pieces_of_any_size_give_the_same_result),
        cmocka_unit_test(empty_short_and_silent_sounds_are_valid),
        cmocka_unit_test(sounds_of_any_length_are_analysed),
        cmocka_unit_test(what_is_not_a_number_does_not_spread),
        cmocka_unit_test(only_what_was_asked_for_is_computed),
        cmocka_unit_test(loops_one_shots_and_evidence_decide_the_kind),
        cmocka_unit_test(the_files_own_word_wins),
        cmocka_unit_test(long_sounds_take_bounded_memory),
        cmocka_unit_test(senseless_formats_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
