/* Words to sound by MusicGen, whole, with small models of made-up weights: lengths, windows, continuation, melody, repeatability, refusals. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/generate.h"

#define DATA "tests/data/models/musicgen/pipeline/"

static sm_generator *open_model(const char *model, int threads, const char *precision)
{
    const sm_generator_options o = {
        .model = model, .t5 = DATA "t5.safetensors", .threads = threads, .precision = precision
    };
    sm_generator *g;
    test_ok(sm_generator_open(&o, &g));
    return g;
}

static sm_generator *open_small(int threads)
{
    return open_model("musicgen-small=" DATA "musicgen.safetensors", threads, NULL);
}

static sm_sound_request request(double seconds)
{
    sm_sound_request r = sm_sound_request_defaults;
    r.prompt = "warm house loop at 128 BPM";
    r.seconds = seconds;
    r.top_k = 8;
    return r;
}

/* 2 s are a window of this model: 3.5 s are three, each going on from the end of the one before. */
static void words_become_sound_of_the_length_asked_for(void **state)
{
    static const double seconds[] = { 0.2, 0.513, 2, 3.5 };
    sm_generator *g = open_small(1);
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(seconds); i++) {
        sm_sound_request r = request(seconds[i]);
        size_t bytes;
        sm_sound s;
        test_ok(sm_generator_memory(g, &r, &bytes));
        assert_true(bytes > 100000);
        test_ok(sm_generator_run(g, &r, &s));
        assert_int_equal(s.rate_hz, 32000);
        assert_int_equal(s.channels, 1);
        assert_int_equal(s.frames, llround(seconds[i] * 32000));
        assert_true(s.peak > 0);
        for (int64_t k = 0; k < s.frames; k++)
            assert_true(isfinite(s.samples[k]));
        assert_non_null(strstr(s.recipe, "\"prompt\":\"warm house loop at 128 BPM\""));
        assert_non_null(strstr(s.recipe, "\"top_k\":8"));
        assert_non_null(strstr(s.recipe, "CC BY-NC"));
        sm_sound_free(&s);
    }
    sm_generator_close(g);
}

static void the_same_seed_is_the_same_sound_on_one_thread_and_two(void **state)
{
    sm_sound s[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        sm_generator *g = open_small(i == 1 ? 2 : 1);
        sm_sound_request r = request(1);
        r.seed = i == 2 ? 8 : 7;
        test_ok(sm_generator_run(g, &r, &s[i]));
        sm_generator_close(g);
    }
    assert_memory_equal(s[0].samples, s[1].samples, (size_t)s[0].frames * sizeof(float));
    assert_true(memcmp(s[0].samples, s[2].samples, (size_t)s[0].frames * sizeof(float)) != 0);
    for (int i = 0; i < 3; i++)
        sm_sound_free(&s[i]);
}

static void write_tone(const char *path, double seconds, float level)
{
    const sm_audio_write_options o = { .rate_hz = 32000, .channels = 1, .format = SM_SAMPLE_F32 };
    const size_t n = (size_t)(seconds * 32000);
    float *x = malloc(n * sizeof *x);
    sm_audio_writer *w;
    for (size_t i = 0; i < n; i++)
        x[i] = level * (float)sin(2 * acos(-1) * 220 * (double)i / 32000);
    test_ok(sm_audio_writer_open(path, &o, &w));
    test_ok(sm_audio_writer_write(w, x, n));
    test_ok(sm_audio_writer_commit(w));
    free(x);
}

static void a_sound_is_gone_on_from_and_stays_itself(void **state)
{
    const test_place *place = *state;
    sm_generator *g = open_small(1);
    sm_sound_request r = request(1.5);
    sm_sound s;
    char path[160];
    snprintf(path, sizeof path, "%s/tone.wav", place->folder);
    write_tone(path, 0.8, 0.5f);
    r.keep = path;
    r.level = "none";
    test_ok(sm_generator_run(g, &r, &s));
    assert_int_equal(s.frames, 48000);
    for (int i = 0; i < 24000; i++) /* up to the fade at its end, as it was */
        if (fabs((double)s.samples[i] - 0.5 * sin(2 * acos(-1) * 220 * i / 32000)) > 1e-6)
            fail_msg("sample %d has changed", i);
    sm_sound_free(&s);
    sm_generator_close(g);
}

static void a_melody_is_followed(void **state)
{
    const test_place *place = *state;
    sm_generator *g = open_model("musicgen-melody=" DATA "melody.safetensors", 1, NULL);
    sm_sound_request r = request(2.5);
    sm_sound plain, with;
    char path[160];
    snprintf(path, sizeof path, "%s/tone.wav", place->folder);
    write_tone(path, 1, 0.5f);
    test_ok(sm_generator_run(g, &r, &plain));
    r.melody = path;
    test_ok(sm_generator_run(g, &r, &with));
    assert_int_equal(with.frames, 80000);
    assert_true(memcmp(plain.samples, with.samples, 80000 * sizeof(float)) != 0);
    sm_sound_free(&plain);
    sm_sound_free(&with);
    write_tone(path, 1, 0);
    test_fails(sm_generator_run(g, &r, &with), SM_EUSAGE, "silent");
    sm_generator_close(g);
}

static void weights_of_8_bits_make_sound_too(void **state)
{
    sm_generator *g = open_model("musicgen-small=" DATA "musicgen.safetensors", 1, "int8");
    sm_sound_request r = request(0.5);
    sm_sound s;
    (void)state;
    test_ok(sm_generator_run(g, &r, &s));
    assert_int_equal(s.frames, 16000);
    sm_sound_free(&s);
    sm_generator_close(g);
}

static int stop(void *user, double done, double total)
{
    (void)user;
    (void)total;
    return done > 10;
}

static void what_cannot_be_is_said_in_a_sentence(void **state)
{
    sm_generator *g = open_small(1);
    char *words = malloc(10001);
    sm_generator_options o = { .model = "musicgen-small=" DATA "encodec.safetensors" };
    sm_sound_request r = request(1);
    sm_sound s;
    (void)state;
    r.prompt = " \t";
    test_fails(sm_generator_run(g, &r, &s), SM_EUSAGE, "empty prompt");
    for (int i = 0; i < 10000; i++)
        words[i] = i % 5 == 4 ? ' ' : 'x';
    words[10000] = 0;
    r.prompt = words;
    test_fails(sm_generator_run(g, &r, &s), SM_EUSAGE, "10000");
    words[6000] = 0;
    test_fails(sm_generator_run(g, &r, &s), SM_EUSAGE, "512 tokens");
    r = request(3600);
    test_fails(sm_generator_run(g, &r, &s), SM_EUSAGE, "3600");
    r = request(0.01);
    test_fails(sm_generator_run(g, &r, &s), SM_EUSAGE, "0.01");
    r = request(1);
    r.melody = "x.wav";
    test_fails(sm_generator_run(g, &r, &s), SM_EUSAGE, "melody");
    r = request(1);
    r.negative = "drums";
    test_fails(sm_generator_run(g, &r, &s), SM_EUSAGE, "negative");
    r = request(1);
    r.progress = stop;
    test_fails(sm_generator_run(g, &r, &s), SM_ECANCELLED, "stopped");
    sm_generator_close(g);
    assert_true(sm_generator_open(&o, &g) < 0); /* another model's weights */
    assert_non_null(strstr(sm_last_error(), "encodec"));
    free(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_sound_of_the_length_asked_for),
        cmocka_unit_test(the_same_seed_is_the_same_sound_on_one_thread_and_two),
        cmocka_unit_test_setup_teardown(a_sound_is_gone_on_from_and_stays_itself, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_melody_is_followed, test_place_make, test_place_remove),
        cmocka_unit_test(weights_of_8_bits_make_sound_too),
        cmocka_unit_test(what_cannot_be_is_said_in_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
