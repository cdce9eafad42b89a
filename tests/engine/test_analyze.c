/* analyze over the sounds of examples/, whose truths are in examples/README.md, and over sounds made here: one answer whatever the
 * way in, the rate, the format or the number of threads. Without networks; test_models.c is about those. */
#include "engine/engine_support.h"

#include <stdlib.h>

#include "support/music.h"

#define EXAMPLES "examples/"

static sm_engine *engine;

static int open_engine(void **state)
{
    (void)state;
    engine = test_engine("/nonexistent", "", 1);
    return 0;
}

static int close_engine(void **state)
{
    (void)state;
    sm_engine_close(engine);
    return 0;
}

/* ---- the sounds of examples/ ---- */

/* NAN: null. Bounds: LUFS 0.1, as its meters agree; 1 cent, which is a tenth of what an ear tells apart; tempo 0.1 %. */
typedef struct {
    const char *file, *kind;
    double duration_s, lufs;
    const char *note;
    double hz, bpm;
    int beats;
    const char *key, *camelot;
} truth;

static const truth truths[] = {
    { "sine_440.wav", "one_shot", 1, -9.71, "A4", 440, NAN, 0, "?", NULL },
    { "silence.wav", "silence", 0.5, NAN, NULL, NAN, NAN, 0, NULL, NULL },
    { "noise.aiff", "one_shot", 1, -7.9, NULL, NAN, NAN, 0, NULL, NULL },
    { "kick.wav", "one_shot", 0.4, -15.2, "?", NAN, NAN, 0, NULL, NULL },
    { "hihat.wav", "one_shot", 0.2, -22.9, NULL, NAN, NAN, 0, NULL, NULL },
    { "bass_e1.wav", "one_shot", 1, -15.8, "E1", 41.2034, NAN, 0, "?", NULL },
    { "pluck_c4.caf", "one_shot", 1, -22.7, "C4", 261.6256, NAN, 0, "?", NULL },
    { "house_loop_128bpm.wav", "loop", 3.75, -18.6, "?", NAN, 128, 8, NULL, NULL },
    { "jungle_loop_174.ogg", "loop", 5.5172, -16.8, "?", NAN, 174, 16, NULL, NULL },
    { "cadence_a_minor.flac", "loop", 4, -17.9, NULL, NAN, 120, 8, "A minor", "8A" },
    { "melody_c_major.mp3", "loop", 4, -12.9, NULL, NAN, 120, 8, "C major", "8B" },
    { "melody_c_major.opus", "loop", 4, -12.4, NULL, NAN, 120, 8, "C major", "8B" },
    { "melody_c_major.m4a", "loop", 4, -12.5, NULL, NAN, 120, 8, "C major", "8B" },
};

static void near_or_null(const json_t *root, const char *field, double expected, double bound)
{
    if (isnan(expected))
        test_is_null(root, field);
    else
        test_near(root, field, expected, bound);
}

static bool anything(const char *text)
{
    return text && !strcmp(text, "?");
}

static void check_truth(const truth *t)
{
    char path[128];
    sm_record *r = NULL;
    snprintf(path, sizeof path, EXAMPLES "%s", t->file);
    const int err = sm_analyze_file(engine, path, &r);
    if (err == SM_EUNSUPPORTED && strstr(sm_last_error(), "FFmpeg"))
        return; /* m4a where FFmpeg's libraries are not installed */
    test_ok(err);
    json_t *root = test_json(r);
    test_is_text(root, "path", path);
    test_is_text(root, "kind", t->kind);
    test_near(root, "duration_s", t->duration_s, 0.001);
    near_or_null(root, "loudness_lufs", t->lufs, 0.1);
    if (!anything(t->note)) {
        test_is_text(root, "note_name", t->note);
        near_or_null(root, "pitch_hz", t->hz, t->hz * 0.0006); /* a cent is 0.058 % */
        if (t->note)
            test_near(root, "note_cents", 0, 1);
    }
    near_or_null(root, "bpm", t->bpm, t->bpm * 0.001);
    if (t->beats) {
        test_near(root, "beat_count", t->beats, 0);
        test_near(root, "beats_in_file", t->beats, 0.01);
        assert_int_equal(json_array_size(json_object_get(root, "beat_times_s")), t->beats);
    }
    if (!anything(t->key)) {
        test_is_text(root, "key", t->key);
        test_is_text(root, "key_camelot", t->camelot);
    }
    assert_int_equal(json_array_size(json_object_get(root, "failed")), 0);
    json_decref(root);
    sm_record_free(r);
}

static void every_example_has_the_values_of_its_making(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(truths); i++)
        check_truth(&truths[i]);
}

static void a_sine_has_the_levels_that_arithmetic_gives(void **state)
{
    (void)state;
    json_t *r = test_analyzed(engine, EXAMPLES "sine_440.wav");
    test_near(r, "sample_peak_dbfs", 20 * log10(0.5), 0.001);
    test_near(r, "rms_dbfs", 20 * log10(0.5 / sqrt(2)), 0.001);
    test_near(r, "true_peak_dbtp", 20 * log10(0.5), 0.02); /* the file's first and last edge ring a little */
    test_near(r, "dynamic_range_db", 20 * log10(sqrt(2)), 0.001);
    test_near(r, "zero_crossing_rate", 2 * 440 / 44100.0, 0.0001);
    test_near(r, "note_midi", 69, 0);
    test_near(r, "tuning_hz", 440, 0.1);
    test_near(r, "onset_count", 1, 0);
    test_near(r, "dc_offset", 0, 1e-4);
    test_near(r, "clipped_samples", 0, 0);
    test_near(r, "bit_depth", 16, 0);
    test_near(r, "sample_rate_hz", 44100, 0);
    test_near(r, "channels", 1, 0);
    test_near(r, "file_bytes", 44 + 88200, 0);
    test_is_text(r, "container", "wav");
    test_is_text(r, "codec", "pcm_s16");
    json_decref(r);
}

static void what_silence_does_not_have_is_null(void **state)
{
    static const char *const none[] = { "loudness_lufs",
                                        "loudness_range_lu",
                                        "true_peak_dbtp",
                                        "sample_peak_dbfs",
                                        "rms_dbfs",
                                        "bpm",
                                        "beat_times_s",
                                        "beat_count",
                                        "key",
                                        "key_camelot",
                                        "pitch_hz",
                                        "note_name",
                                        "note_midi",
                                        "attack_s",
                                        "spectral_centroid_hz",
                                        "brightness",
                                        "energy",
                                        "instrument",
                                        "bpm_candidates",
                                        "decay_s",
                                        "duration_effective_s",
                                        "warmth",
                                        "start_time_s" };
    (void)state;
    json_t *r = test_analyzed(engine, EXAMPLES "silence.wav");
    for (size_t i = 0; i < SM_LENGTH(none); i++)
        test_is_null(r, none[i]);
    test_near(r, "silence_ratio", 1, 0);
    test_near(r, "onset_count", 0, 0);
    test_near(r, "pitch_confidence", 0, 0);
    json_decref(r);
}

static void evidence_of_the_file_stands_beside_what_was_measured(void **state)
{
    (void)state;
    json_t *r = test_analyzed(engine, EXAMPLES "house_loop_128bpm.wav");
    const json_t *acid = json_object_get(r, "acid"), *smpl = json_object_get(r, "smpl");
    test_near(r, "bpm_from_name", 128, 0);
    test_near(r, "bpm_from_acid", 128, 0.01);
    assert_int_equal(json_integer_value(json_object_get(acid, "beats")), 8);
    assert_false(json_is_true(json_object_get(acid, "one_shot")));
    assert_int_equal(json_array_size(json_object_get(smpl, "loops")), 1);
    assert_true(json_is_true(json_object_get(r, "loopable")));
    /* the beats lie on the grid of 60 / 128 s, within a frame of 10 ms */
    const json_t *beats = json_object_get(r, "beat_times_s");
    for (size_t i = 0; i < json_array_size(beats); i++)
        if (fabs(json_number_value(json_array_get(beats, i)) - (double)i * 60 / 128) > 0.01)
            fail_msg("beat %zu is at %g s", i, json_number_value(json_array_get(beats, i)));
    json_decref(r);
    r = test_analyzed(engine, EXAMPLES "bass_e1.wav");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(r, "acid"), "root_note")), 28);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(r, "smpl"), "unity_note")), 28);
    json_decref(r);
}

/* ---- one answer, whatever the way in ---- */

static void the_same_melody_is_the_same_in_three_formats(void **state)
{
    static const char *const files[] = { "melody_c_major.mp3", "melody_c_major.opus", "melody_c_major.m4a" };
    static const struct {
        const char *field;
        double bound; /* what 64 kbit/s do to it */
    } alike[] = { { "bpm", 0.1 },    { "duration_s", 0.001 },  { "onset_count", 0 }, { "spectral_centroid_hz", 30 },
                  { "energy", 0.2 }, { "loudness_lufs", 0.5 }, { "tuning_hz", 0.2 } };
    json_t *first = test_analyzed(engine, EXAMPLES "melody_c_major.mp3");
    (void)state;
    for (size_t f = 1; f < SM_LENGTH(files); f++) {
        char path[128];
        sm_record *r = NULL;
        snprintf(path, sizeof path, EXAMPLES "%s", files[f]);
        if (sm_analyze_file(engine, path, &r) == SM_EUNSUPPORTED)
            continue; /* FFmpeg's libraries are not here */
        json_t *other = test_json(r);
        for (size_t i = 0; i < SM_LENGTH(alike); i++)
            test_near(other, alike[i].field, test_number(first, alike[i].field), alike[i].bound);
        json_decref(other);
        sm_record_free(r);
    }
    json_decref(first);
}

/* A record without what only a file has. */
static char *without_file(json_t *root)
{
    static const char *const of_file[] = { "path",        "file_bytes", "mtime_s", "container", "codec",    "bit_depth",
                                           "bitrate_bps", "acid",       "smpl",    "cues",      "file_tags" };
    for (size_t i = 0; i < SM_LENGTH(of_file); i++)
        json_object_del(root, of_file[i]);
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static void a_buffer_is_analysed_as_the_file_that_holds_it(void **state)
{
    const test_place *place = *state;
    char path[160];
    sm_record *r = NULL;
    float *x = sm_alloc_zero(2 * 2 * MUSIC_RATE, sizeof *x);
    music_pattern(x, 4 * MUSIC_RATE / 2, 0, 120, 1, 0, MUSIC_KICK, "xx", 0.5f);
    for (size_t i = 2 * MUSIC_RATE; i-- > 0;) /* to two channels, the second quieter */
        x[2 * i + 1] = 0.5f * (x[2 * i] = x[i]);
    snprintf(path, sizeof path, "%s/four_120bpm.wav", place->folder);
    const sm_audio_write_options o = { .rate_hz = MUSIC_RATE, .channels = 2, .format = SM_SAMPLE_F32 };
    sm_audio_writer *w = NULL;
    test_ok(sm_audio_writer_open(path, &o, &w));
    test_ok(sm_audio_writer_write(w, x, 2 * MUSIC_RATE));
    test_ok(sm_audio_writer_commit(w));
    char *of_file = without_file(test_analyzed(engine, path));
    test_ok(sm_analyze_buffer(engine, x, 2 * MUSIC_RATE, MUSIC_RATE, 2, "four_120bpm", &r));
    assert_string_equal(sm_record_path(r), "four_120bpm");
    char *of_buffer = without_file(test_json(r));
    assert_string_equal(of_buffer, of_file);
    free(of_file);
    free(of_buffer);
    sm_record_free(r);
    sm_free(x);
}

typedef struct {
    sm_buffer text;
    size_t next, failed;
    bool in_order;
    size_t stop_after; /* 0: never */
} gathered;

static int gather(void *user, size_t index, sm_record *r, int err)
{
    gathered *g = user;
    g->in_order = g->in_order && index == g->next++;
    g->failed += err < 0;
    sm_buffer_printf(&g->text, "%s\n", sm_record_json(r));
    sm_record_free(r);
    return g->stop_after && g->next >= g->stop_after ? SM_EIO : 0;
}

/* 3 times all examples, and in between what cannot be read. */
static size_t many_paths(const char **paths, char (*names)[128])
{
    size_t n = 0;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < SM_LENGTH(truths); i++) {
            snprintf(names[n], 128, EXAMPLES "%s", truths[i].file);
            if (i == 4)
                snprintf(names[n], 128, "no/such_%d.wav", round);
            if (i == 9)
                snprintf(names[n], 128, "Makefile");
            paths[n] = names[n];
            n++;
        }
    return n;
}

static void two_threads_write_the_same_bytes_as_one(void **state)
{
    static char names[64][128];
    const char *paths[64];
    const size_t n = many_paths(paths, names);
    gathered g[2] = { { .in_order = true }, { .in_order = true } };
    (void)state;
    for (int jobs = 1; jobs <= 2; jobs++) {
        sm_engine *e = test_engine("/nonexistent", "", jobs);
        size_t failed = 0;
        test_ok(sm_analyze_files(e, paths, n, gather, &g[jobs - 1], &failed));
        assert_int_equal(failed, 4);
        assert_int_equal(g[jobs - 1].failed, 4);
        assert_int_equal(g[jobs - 1].next, n);
        assert_true(g[jobs - 1].in_order);
        sm_engine_close(e);
    }
    assert_string_equal(g[0].text.data, g[1].text.data);
    sm_buffer_free(&g[0].text);
    sm_buffer_free(&g[1].text);
}

static void one_file_on_two_threads_is_one_file_on_one(void **state)
{
    (void)state;
    sm_engine *two = test_engine("/nonexistent", "", 2);
    sm_record *a = NULL, *b = NULL;
    test_ok(sm_analyze_file(engine, EXAMPLES "jungle_loop_174.ogg", &a));
    test_ok(sm_analyze_file(two, EXAMPLES "jungle_loop_174.ogg", &b)); /* two engines live side by side */
    assert_string_equal(sm_record_json(a), sm_record_json(b));
    sm_record_free(a);
    sm_record_free(b);
    sm_engine_close(two);
}

static void a_sink_that_fails_ends_the_work(void **state)
{
    static char names[64][128];
    const char *paths[64];
    const size_t n = many_paths(paths, names);
    const long before = sm_test_allocations_alive();
    (void)state;
    for (int jobs = 1; jobs <= 2; jobs++) {
        gathered g = { .in_order = true, .stop_after = 3 };
        sm_engine *e = test_engine("/nonexistent", "", jobs);
        assert_int_equal(sm_analyze_files(e, paths, n, gather, &g, NULL), SM_EIO);
        assert_int_equal(g.next, 3);
        sm_buffer_free(&g.text);
        sm_engine_close(e);
    }
    assert_int_equal(sm_test_allocations_alive(), before);
}

/* A drum loop and a chord, rendered at 44.1 kHz and brought to other rates, keep tempo, key and pitch. */
static void resampled(const float *x, size_t n, int rate, sm_floats *out)
{
    sm_resampler *r = NULL;
    out->length = 0;
    test_ok(sm_resampler_new(SM_RESAMPLE_SOXR, MUSIC_RATE, rate, 1, &r));
    test_ok(sm_resampler_push(r, x, n, out));
    test_ok(sm_resampler_finish(r, out));
    sm_resampler_free(r);
}

static void the_rate_of_a_file_does_not_change_the_answer(void **state)
{
    static const int rates[] = { 22050, 44100, 48000, 96000 };
    const size_t n = (size_t)(8 * 60.0 / 140 * MUSIC_RATE + 0.5), one = MUSIC_RATE;
    float *loop = sm_alloc_zero(n, sizeof *loop), *tone = sm_alloc_zero(one, sizeof *tone);
    sm_floats at = { 0 };
    (void)state;
    music_pattern(loop, n, 0, 140, 4, 0, MUSIC_KICK, "x...", 0.4f);
    music_pattern(loop, n, 0, 140, 4, 0, MUSIC_SNARE, "....x...", 0.3f);
    music_pattern(loop, n, 0, 140, 4, 0, MUSIC_HAT, "x.x.", 0.1f);
    for (int bar = 0; bar < 2; bar++) { /* F major, C major */
        music_chord(loop, n, bar * 4 * 60.0 / 140, bar ? 60 : 65, 0, 1.6, 0.1f, 440);
        music_chord(loop, n, (bar * 4 + 2) * 60.0 / 140, bar ? 65 : 58, 0, 0.8, 0.1f, 440);
    }
    music_tone(tone, one, 0, 57.25, 1, 0.5f, 440); /* A3 and a quarter of a semitone */
    for (size_t i = 0; i < SM_LENGTH(rates); i++) {
        sm_record *r = NULL, *p = NULL;
        resampled(loop, n, rates[i], &at);
        test_ok(sm_analyze_buffer(engine, at.data, at.length, rates[i], 1, "loop", &r));
        resampled(tone, one, rates[i], &at);
        test_ok(sm_analyze_buffer(engine, at.data, at.length, rates[i], 1, "tone", &p));
        json_t *a = test_json(r), *b = test_json(p);
        test_near(a, "bpm", 140, 0.14);
        test_near(a, "beat_count", 8, 0);
        test_is_text(a, "key", "F major");
        test_near(b, "note_midi", 57, 0);
        test_near(b, "note_cents", 25, 1);
        test_near(a, "sample_rate_hz", rates[i], 0);
        json_decref(a);
        json_decref(b);
        sm_record_free(r);
        sm_record_free(p);
    }
    sm_floats_free(&at);
    sm_free(loop);
    sm_free(tone);
}

/* ---- odd input ---- */

static void a_sound_may_have_no_frames_one_frame_or_nonsense_in_it(void **state)
{
    const float one = 0.5f;
    float odd[4096];
    sm_record *r = NULL;
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(odd); i++)
        odd[i] = i % 7 == 0 ? NAN : i % 11 == 0 ? INFINITY : i % 13 == 0 ? -1e30f : 0.1f;
    test_ok(sm_analyze_buffer(engine, NULL, 0, 44100, 1, NULL, &r));
    json_t *root = test_json(r);
    test_near(root, "duration_s", 0, 0);
    test_is_null(root, "loudness_lufs");
    test_is_null(root, "bpm");
    json_decref(root);
    sm_record_free(r);
    test_ok(sm_analyze_buffer(engine, &one, 1, 44100, 1, "one", &r));
    json_decref(test_json(r));
    sm_record_free(r);
    test_ok(sm_analyze_buffer(engine, odd, SM_LENGTH(odd) / 2, 8000, 2, "odd", &r));
    json_decref(test_json(r)); /* parses: there is no NaN in it */
    sm_record_free(r);
}

static void one_to_eight_channels_at_8_to_192_kHz_are_the_same_sine(void **state)
{
    static const int rates[] = { 8000, 11025, 32000, 192000 };
    (void)state;
    for (int channels = 1; channels <= 8; channels++)
        for (size_t i = 0; i < SM_LENGTH(rates); i++) {
            if (channels > 2 && channels < 8 && i > 0)
                continue;
            float *x = test_sine(440, 0.5, rates[i], channels, 0.25);
            sm_record *r = NULL;
            test_ok(sm_analyze_buffer(engine, x, (size_t)rates[i] / 2, rates[i], channels, "sine", &r));
            json_t *root = test_json(r);
            test_is_text(root, "note_name", "A4");
            test_near(root, "note_cents", 0, 1);
            test_near(root, "channels", channels, 0);
            test_near(root, "sample_peak_dbfs", 20 * log10(0.25), 0.1);
            json_decref(root);
            sm_record_free(r);
            sm_free(x);
        }
}

static void a_buffer_outside_the_ranges_is_wrong_usage(void **state)
{
    const float x[16] = { 0 };
    sm_record *r = NULL;
    (void)state;
    test_fails(sm_analyze_buffer(engine, x, 1, 44100, 9, "b", &r), SM_EUSAGE, "9 channels");
    test_fails(sm_analyze_buffer(engine, x, 1, 44100, 0, "b", &r), SM_EUSAGE, "0 channels");
    test_fails(sm_analyze_buffer(engine, x, 1, 7999, 1, "b", &r), SM_EUSAGE, "7999 Hz");
    test_fails(sm_analyze_buffer(engine, x, 1, 192001, 1, "b", &r), SM_EUSAGE, "192001 Hz");
    assert_null(r);
}

static void a_limit_of_seconds_is_said_in_the_record(void **state)
{
    sm_options o;
    sm_engine *e = NULL;
    (void)state;
    sm_options_init(&o);
    o.models = "";
    o.max_seconds = 1.5;
    test_ok(sm_engine_open(&o, &e));
    json_t *r = test_analyzed(e, EXAMPLES "melody_c_major.mp3");
    assert_true(json_is_true(json_object_get(r, "truncated")));
    test_near(r, "duration_s", 1.5, 1e-4);
    json_decref(r);
    r = test_analyzed(e, EXAMPLES "sine_440.wav");
    assert_null(json_object_get(r, "truncated")); /* it is shorter */
    test_near(r, "duration_s", 1, 1e-4);
    json_decref(r);
    sm_engine_close(e);
}

static void a_file_that_takes_too_long_is_given_up(void **state)
{
    sm_options o;
    sm_engine *e = NULL;
    sm_record *r = NULL;
    (void)state;
    sm_options_init(&o);
    o.models = "";
    o.time_limit_s = 1e-9;
    test_ok(sm_engine_open(&o, &e));
    test_fails(sm_analyze_file(e, EXAMPLES "sine_440.wav", &r), SM_ELIMIT, "sine_440.wav");
    assert_null(r);
    sm_engine_close(e);
}

static void a_name_that_is_not_utf8_is_also_given_in_bytes(void **state)
{
    const float x[8] = { 0.1f };
    sm_record *r = NULL;
    (void)state;
    test_ok(sm_analyze_buffer(engine, x, 8, 44100, 1, "dr\xFCm \"1\"\n.wav", &r));
    json_t *root = test_json(r);
    test_is_text(root, "path_base64", "ZHL8bSAiMSIKLndhdg=="); /* python3: base64.b64encode(b'dr\xfcm "1"\n.wav') */
    assert_non_null(strstr(json_string_value(json_object_get(root, "path")), "m \"1\"\n.wav"));
    json_decref(root);
    sm_record_free(r);
    test_ok(sm_analyze_buffer(engine, x, 8, 44100, 1, "dr\xC3\xBCm.wav", &r));
    root = test_json(r);
    assert_null(json_object_get(root, "path_base64"));
    test_is_text(root, "path", "dr\xC3\xBCm.wav");
    json_decref(root);
    sm_record_free(r);
}

/* ---- asking and stopping ---- */

static void wrong_options_are_named(void **state)
{
    static const struct {
        size_t offset;
        double number;
        const char *text, *part;
    } wrong[] = { { offsetof(sm_options, precision), 0, "f23", "did you mean \"f32\"" },
                  { offsetof(sm_options, backend), 0, "onedn", "onednn" },
                  { offsetof(sm_options, key_notation), 0, "kamelot", "camelot" },
                  { offsetof(sm_options, models), 0, "yamnett", "did you mean \"yamnet\"" },
                  { offsetof(sm_options, max_seconds), -1, NULL, "max_seconds -1" },
                  { offsetof(sm_options, time_limit_s), NAN, NULL, "time_limit_s" },
                  { offsetof(sm_options, bpm_min), -5, NULL, "bpm" } };
    sm_engine *e = NULL;
    sm_options o;
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(wrong); i++) {
        sm_options_init(&o);
        if (wrong[i].text)
            memcpy((char *)&o + wrong[i].offset, &wrong[i].text, sizeof wrong[i].text);
        else
            memcpy((char *)&o + wrong[i].offset, &wrong[i].number, sizeof wrong[i].number);
        test_fails(sm_engine_open(&o, &e), SM_EUSAGE, wrong[i].part);
        assert_null(e);
    }
    sm_options_init(&o);
    o.bpm_min = 100;
    o.bpm_max = 150;
    test_fails(sm_engine_open(&o, &e), SM_EUSAGE, "less than an octave");
    sm_options_init(&o);
    o.jobs = -1;
    test_fails(sm_engine_open(&o, &e), SM_EUSAGE, "jobs is -1");
    memset(&o, 0, sizeof o);
    test_fails(sm_engine_open(&o, &e), SM_EUSAGE, "sm_options_init");
}

static void files_that_cannot_be_read_are_records_with_a_reason(void **state)
{
    const test_place *place = *state;
    char text[160], empty[160];
    snprintf(text, sizeof text, "%s/text.wav", place->folder);
    snprintf(empty, sizeof empty, "%s/empty.wav", place->folder);
    test_write_file(text, "This is no sound.\n", 18);
    test_write_file(empty, "", 0);
    const char *paths[] = { text, EXAMPLES "kick.wav", empty, "/no/such.wav", place->folder };
    static const char *const parts[] = { "text.wav", NULL, "empty.wav", "/no/such.wav", "" };
    gathered g = { .in_order = true };
    size_t failed = 0;
    test_ok(sm_analyze_files(engine, paths, SM_LENGTH(paths), gather, &g, &failed));
    assert_int_equal(failed, 4);
    char *line = g.text.data;
    for (size_t i = 0; i < SM_LENGTH(paths); i++) {
        char *end = strchr(line, '\n');
        *end = 0;
        json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(root);
        test_is_text(root, "path", paths[i]);
        const char *reason = test_failed_reason(root, "file");
        if (parts[i] && (!reason || !strstr(reason, parts[i]) || json_object_get(root, "duration_s")))
            fail_msg("%s: %s", paths[i], line);
        if (!parts[i])
            assert_null(reason);
        json_decref(root);
        line = end + 1;
    }
    sm_buffer_free(&g.text);
    sm_record *r = NULL;
    test_fails(sm_analyze_file(engine, text, &r), SM_EFORMAT, "text.wav");
    test_fails(sm_analyze_file(engine, "/no/such.wav", &r), SM_ENOTFOUND, "/no/such.wav");
    assert_null(r);
}

static int stop_at_once(void *user, const sm_progress_info *p)
{
    int *calls = user;
    assert_non_null(p->what);
    return ++*calls >= 1;
}

static void a_callback_can_cancel_and_nothing_is_left(void **state)
{
    static char names[64][128];
    const char *paths[64];
    const size_t n = many_paths(paths, names);
    const long before = sm_test_allocations_alive();
    (void)state;
    for (int jobs = 1; jobs <= 2; jobs++) {
        int calls = 0;
        sm_options o;
        sm_engine *e = NULL;
        gathered g = { .in_order = true };
        sm_record *r = NULL;
        sm_options_init(&o);
        o.models = "";
        o.jobs = jobs;
        o.progress = stop_at_once;
        o.user = &calls;
        test_ok(sm_engine_open(&o, &e));
        test_fails(sm_analyze_files(e, paths, n, gather, &g, NULL), SM_ECANCELLED, "stopped");
        assert_true(calls >= 1);
        assert_true(g.next < n);
        test_fails(sm_analyze_file(e, EXAMPLES "kick.wav", &r), SM_ECANCELLED, "stopped");
        assert_null(r);
        sm_buffer_free(&g.text);
        sm_engine_close(e);
    }
    assert_int_equal(sm_test_allocations_alive(), before);
}

static void numbers_are_found_by_their_field(void **state)
{
    sm_record *r = NULL;
    double x = 0;
    (void)state;
    test_ok(sm_analyze_file(engine, EXAMPLES "sine_440.wav", &r));
    test_ok(sm_record_number(r, "spectral_centroid_hz", &x));
    assert_true(x > 400 && x < 500);
    test_ok(sm_record_number(r, "bpm", &x));
    assert_true(isnan(x));
    test_ok(sm_record_number(r, "single_event", &x));
    assert_true(x == 1);
    test_fails(sm_record_number(r, "key", &x), SM_ENOTFOUND, "not a number");
    test_fails(sm_record_number(r, "bmp", &x), SM_ENOTFOUND, "no field \"bmp\"");
    const sm_summary *s = sm_record_summary(r);
    assert_int_equal(s->note_midi, 69);
    assert_string_equal(s->note_name, "A4");
    assert_string_equal(s->kind, "one_shot");
    assert_true(isnan(s->bpm));
    assert_int_equal(s->n_beats, 0);
    assert_null(s->instrument);
    sm_record_free(r);
}

static void the_notation_of_keys_is_chosen(void **state)
{
    static const char *const notations[][2] = { { "musical", "A minor" }, { "camelot", "8A" }, { "openkey", "1m" } };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(notations); i++) {
        sm_options o;
        sm_engine *e = NULL;
        sm_record *r = NULL;
        sm_options_init(&o);
        o.models = "";
        o.key_notation = notations[i][0];
        test_ok(sm_engine_open(&o, &e));
        test_ok(sm_analyze_file(e, EXAMPLES "cadence_a_minor.flac", &r));
        assert_string_equal(sm_record_summary(r)->key, notations[i][1]);
        assert_string_equal(sm_record_summary(r)->key_camelot, "8A");
        json_t *root = test_json(r);
        test_is_text(root, "key", notations[i][1]);
        json_decref(root);
        sm_record_free(r);
        sm_engine_close(e);
    }
}

static void the_form_of_essentia_has_its_names(void **state)
{
    sm_record *r = NULL;
    (void)state;
    test_ok(sm_analyze_file(engine, EXAMPLES "cadence_a_minor.flac", &r));
    json_t *root = json_loads(sm_record_json_essentia(r), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    double bpm = 0, lufs = 0, length = 0;
    const char *key = NULL, *scale = NULL, *name = NULL;
    json_int_t beats = 0;
    if (json_unpack(root, "{s:{s:F,s:o},s:{s:{s:s,s:s}},s:{s:{s:F}},s:{s:{s:F},s:{s:s}},s:{}}", "rhythm", "bpm", &bpm,
                    "beats_position", &(json_t *){ NULL }, "tonal", "key_edma", "key", &key, "scale", &scale,
                    "lowlevel", "loudness_ebu128", "integrated", &lufs, "metadata", "audio_properties", "length",
                    &length, "tags", "file_name", &name, "highlevel") != 0)
        fail_msg("another shape: %s", sm_record_json_essentia(r));
    assert_string_equal(key, "A");
    assert_string_equal(scale, "minor");
    assert_string_equal(name, "cadence_a_minor.flac");
    assert_true(fabs(bpm - 120) < 0.1 && fabs(lufs + 17.9) < 0.1 && fabs(length - 4) < 0.001);
    (void)beats;
    json_decref(root);
    sm_record_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_has_the_values_of_its_making),
        cmocka_unit_test(a_sine_has_the_levels_that_arithmetic_gives),
        cmocka_unit_test(what_silence_does_not_have_is_null),
        cmocka_unit_test(evidence_of_the_file_stands_beside_what_was_measured),
        cmocka_unit_test(the_same_melody_is_the_same_in_three_formats),
        cmocka_unit_test_setup_teardown(a_buffer_is_analysed_as_the_file_that_holds_it, test_place_make,
                                        test_place_remove),
        cmocka_unit_test(two_threads_write_the_same_bytes_as_one),
        cmocka_unit_test(one_file_on_two_threads_is_one_file_on_one),
        cmocka_unit_test(a_sink_that_fails_ends_the_work),
        cmocka_unit_test(the_rate_of_a_file_does_not_change_the_answer),
        cmocka_unit_test(a_sound_may_have_no_frames_one_frame_or_nonsense_in_it),
        cmocka_unit_test(one_to_eight_channels_at_8_to_192_kHz_are_the_same_sine),
        cmocka_unit_test(a_buffer_outside_the_ranges_is_wrong_usage),
        cmocka_unit_test(a_limit_of_seconds_is_said_in_the_record),
        cmocka_unit_test(a_file_that_takes_too_long_is_given_up),
        cmocka_unit_test(a_name_that_is_not_utf8_is_also_given_in_bytes),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test_setup_teardown(files_that_cannot_be_read_are_records_with_a_reason, test_place_make,
                                        test_place_remove),
        cmocka_unit_test(a_callback_can_cancel_and_nothing_is_left),
        cmocka_unit_test(numbers_are_found_by_their_field),
        cmocka_unit_test(the_notation_of_keys_is_chosen),
        cmocka_unit_test(the_form_of_essentia_has_its_names),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
