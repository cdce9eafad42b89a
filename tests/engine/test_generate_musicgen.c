/* Words to sound by MusicGen, whole, with small models of made-up weights: lengths, windows, continuation, melody, repeatability, refusals. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "engine/engine.h"

#define DATA "tests/data/models/musicgen/pipeline/"

static sm_generator *open_model(const char *model, int threads, const char *precision)
{
    const sm_generate_options o = { .size = sizeof o,
                                    .model = model,
                                    .text_encoder = DATA "t5.safetensors",
                                    .threads = threads,
                                    .precision = precision };
    sm_generator *g;
    test_ok(sm_generator_open(&o, &g));
    return g;
}

static sm_generator *open_small(int threads)
{
    return open_model("musicgen-small=" DATA "musicgen.safetensors", threads, NULL);
}

static sm_generate_request request(double seconds)
{
    sm_generate_request r;
    sm_generate_request_init(&r);
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
        sm_generate_request r = request(seconds[i]);
        double mb;
        sm_generate_result *s;
        test_ok(sm_generator_memory_mb(g, &r, &mb, NULL));
        assert_true(mb > 100);
        test_ok(sm_generate_one(g, &r, &s));
        assert_int_equal(s->sample_rate_hz, 32000);
        assert_int_equal(s->channels, 1);
        assert_int_equal(s->frames, llround(seconds[i] * 32000));
        assert_true(s->peak > 0);
        for (size_t k = 0; k < s->frames; k++)
            assert_true(isfinite(s->samples[k]));
        assert_non_null(strstr(s->recipe, "\"prompt\":\"warm house loop at 128 BPM\""));
        assert_non_null(strstr(s->recipe, "\"top_k\":8"));
        assert_non_null(strstr(s->recipe, "CC BY-NC"));
        sm_generate_result_free(s);
    }
    sm_generator_close(g);
}

static void the_same_seed_is_the_same_sound_on_one_thread_and_two(void **state)
{
    sm_generate_result *s[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        sm_generator *g = open_small(i == 1 ? 2 : 1);
        sm_generate_request r = request(1);
        r.seed = i == 2 ? 8 : 7;
        test_ok(sm_generate_one(g, &r, &s[i]));
        sm_generator_close(g);
    }
    assert_memory_equal(s[0]->samples, s[1]->samples, (size_t)s[0]->frames * sizeof(float));
    assert_true(memcmp(s[0]->samples, s[2]->samples, (size_t)s[0]->frames * sizeof(float)) != 0);
    for (int i = 0; i < 3; i++)
        sm_generate_result_free(s[i]);
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
    sm_generate_request r = request(1.5);
    sm_generate_result *s;
    char path[160];
    snprintf(path, sizeof path, "%s/tone.wav", place->folder);
    write_tone(path, 0.8, 0.5f);
    r.continue_file = path;
    r.level = "none";
    test_ok(sm_generate_one(g, &r, &s));
    assert_int_equal(s->frames, 48000);
    for (int i = 0; i < 24000; i++) /* up to the fade at its end, as it was */
        if (fabs((double)s->samples[i] - 0.5 * sin(2 * acos(-1) * 220 * i / 32000)) > 1e-6)
            fail_msg("sample %d has changed", i);
    sm_generate_result_free(s);
    sm_generator_close(g);
}

static void a_melody_is_followed(void **state)
{
    const test_place *place = *state;
    sm_generator *g = open_model("musicgen-melody=" DATA "melody.safetensors", 1, NULL);
    sm_generate_request r = request(2.5);
    sm_generate_result *plain, *with;
    char path[160];
    snprintf(path, sizeof path, "%s/tone.wav", place->folder);
    write_tone(path, 1, 0.5f);
    test_ok(sm_generate_one(g, &r, &plain));
    r.melody_file = path;
    test_ok(sm_generate_one(g, &r, &with));
    assert_int_equal(with->frames, 80000);
    assert_true(memcmp(plain->samples, with->samples, 80000 * sizeof(float)) != 0);
    sm_generate_result_free(plain);
    sm_generate_result_free(with);
    write_tone(path, 1, 0);
    test_fails(sm_generate_one(g, &r, &with), SM_EUSAGE, "silent");
    sm_generator_close(g);
}

static void weights_of_8_bits_make_sound_too(void **state)
{
    sm_generator *g = open_model("musicgen-small=" DATA "musicgen.safetensors", 1, "int8");
    sm_generate_request r = request(0.5);
    sm_generate_result *s;
    (void)state;
    test_ok(sm_generate_one(g, &r, &s));
    assert_int_equal(s->frames, 16000);
    sm_generate_result_free(s);
    sm_generator_close(g);
}

static int stop(void *user, const sm_progress_info *p)
{
    (void)user;
    assert_string_equal(p->unit, "steps");
    assert_string_equal(p->what, "musicgen-small");
    return 1;
}

/* ---- several sounds, streams, parts ---- */

enum { MOST = 8 };
typedef struct {
    sm_generate_result *sounds[MOST];
    size_t n;
    sm_floats streamed[MOST];
    double done, total;
    double stop_s; /* of streamed sound, after which the run is stopped; 0: never */
} collected;

static int take(void *user, sm_generate_result *s)
{
    collected *c = user;
    assert_true(c->n < MOST);
    assert_true(s->partial || s->index == c->n);
    c->sounds[c->n++] = s;
    return 0;
}

static int hear(void *user, size_t index, const float *interleaved, size_t frames)
{
    collected *c = user;
    assert_true(index < MOST);
    test_ok(sm_floats_add(&c->streamed[index], interleaved, frames));
    return 0;
}

static int watch(void *user, const sm_progress_info *p)
{
    collected *c = user;
    assert_true(p->done >= c->done);
    assert_true(p->done <= p->total);
    c->done = p->done;
    c->total = p->total;
    return c->stop_s > 0 && (double)c->streamed[0].length > c->stop_s * 32000;
}

static void forget(collected *c)
{
    for (size_t i = 0; i < MOST; i++) {
        sm_generate_result_free(c->sounds[i]);
        sm_floats_free(&c->streamed[i]);
    }
}

static void sounds_side_by_side_are_those_made_alone(void **state)
{
    static const char *const models[] = { "musicgen-small=" DATA "musicgen.safetensors",
                                          "musicgen-melody=" DATA "melody.safetensors" };
    sm_cpu_info cpu;
    (void)state;
    sm_cpu_detect(&cpu);
    for (size_t k = 0; k < SM_LENGTH(models); k++) {
        sm_generator *g = open_model(models[k], 1, NULL);
        collected c = { 0 };
        sm_generate_request r = request(3.5);
        double three, one;
        int at_once;
        r.n = 3;
        r.seed = 40;
        test_ok(sm_generator_memory_mb(g, &r, &three, &at_once));
        assert_int_equal(at_once, 3);
        r.one_by_one = 1;
        test_ok(sm_generator_memory_mb(g, &r, &one, &at_once));
        assert_int_equal(at_once, 1);
        assert_true(three > one);
        r.one_by_one = 0;
        test_ok(sm_generate(g, &r, take, &c));
        assert_int_equal(c.n, 3);
        for (size_t i = 0; i < 3; i++) {
            sm_generate_result *alone;
            sm_generate_request own = r;
            own.seed = 40 + i;
            test_ok(sm_generate_one(g, &own, &alone));
            assert_int_equal(alone->frames, c.sounds[i]->frames);
            assert_int_equal(c.sounds[i]->seed, 40 + i);
            if (cpu.avx512) { /* narrower products add up more rows in another order (docs/generate.md) */
                assert_memory_equal(alone->samples, c.sounds[i]->samples, alone->frames * sizeof(float));
                assert_string_equal(alone->recipe, c.sounds[i]->recipe);
            }
            sm_generate_result_free(alone);
        }
        forget(&c);
        sm_generator_close(g);
    }
}

static void sound_is_heard_while_it_is_made(void **state)
{
    const test_place *place = *state;
    sm_generator *g = open_small(1);
    char path[160];
    snprintf(path, sizeof path, "%s/tone.wav", place->folder);
    write_tone(path, 0.8, 0.5f);
    for (int way = 0; way < 3; way++) { /* plain; going on from a sound; only what is new of that */
        collected c = { 0 };
        sm_generate_request r = request(2.7);
        r.n = 2;
        r.level = "none";
        r.stream = hear;
        r.progress = watch;
        r.user = &c;
        r.continue_file = way > 0 ? path : NULL;
        r.only_new = way == 2;
        test_ok(sm_generate(g, &r, take, &c));
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(c.sounds[i]->frames, llround(2.7 * 32000));
            assert_int_equal(c.streamed[i].length, c.sounds[i]->frames);
            assert_memory_equal(c.streamed[i].data, c.sounds[i]->samples, c.sounds[i]->frames * sizeof(float));
        }
        assert_true(c.total > 0 && c.done == c.total);
        forget(&c);
    }
    sm_generator_close(g);
}

static void a_run_that_is_stopped_keeps_what_is_final_when_asked(void **state)
{
    sm_generator *g = open_small(1);
    sm_generate_request r = request(120);
    sm_generate_result *whole;
    (void)state;
    r.n = 2;
    r.level = "none";
    for (int keep = 0; keep < 2; keep++) {
        collected c = { .stop_s = 1 };
        r.keep_part = keep;
        r.stream = hear;
        r.progress = watch;
        r.user = &c;
        test_fails(sm_generate(g, &r, take, &c), SM_ECANCELLED, "stopped");
        assert_int_equal(c.n, keep ? 2 : 0);
        for (size_t i = 0; i < c.n; i++) {
            const sm_generate_result *s = c.sounds[i];
            assert_true(s->partial && s->frames > 32000 && s->frames < 119 * 32000);
            assert_non_null(strstr(s->recipe, "\"partial\":true"));
            assert_memory_equal(c.streamed[i].data, s->samples, s->frames * sizeof(float));
        }
        if (keep) { /* the beginning of the whole, up to where the decoder looked beyond the end */
            sm_generate_request own = request((double)c.sounds[0]->frames / 32000 + 0.5);
            own.level = "none";
            test_ok(sm_generate_one(g, &own, &whole));
            assert_memory_equal(whole->samples, c.sounds[0]->samples, (c.sounds[0]->frames - 8 * 640) * sizeof(float));
            sm_generate_result_free(whole);
        }
        forget(&c);
    }
    sm_generator_close(g);
}

static void what_cannot_be_is_said_in_a_sentence(void **state)
{
    sm_generator *g = open_small(1);
    char *words = malloc(10001);
    sm_generate_options o = { .size = sizeof o, .model = "musicgen-small=" DATA "encodec.safetensors" };
    sm_generate_request r = request(1);
    sm_generate_result *s;
    (void)state;
    r.prompt = " \t";
    test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, "empty prompt");
    for (int i = 0; i < 10000; i++)
        words[i] = i % 5 == 4 ? ' ' : 'x';
    words[10000] = 0;
    r.prompt = words;
    test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, "10000");
    words[6000] = 0;
    test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, "512 tokens");
    r = request(3600);
    test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, "3600");
    r = request(0);
    r.seconds = -0.0; /* as long as a window */
    test_ok(sm_generator_check(g, &r));
    r = request(0.01);
    test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, "0.01");
    r = request(1);
    r.melody_file = "x.wav";
    test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, "melody");
    r = request(1);
    r.negative = "drums";
    test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, "negative");
    r = request(1);
    r.steps = 8;
    test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, "MusicGen has none");
    r = request(1);
    r.key = "H dur";
    test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, "\"H dur\" is no key");
    r = request(1);
    r.max_memory_mb = 1;
    test_fails(sm_generate_one(g, &r, &s), SM_ELIMIT, "1 MB is the limit");
    r = request(1);
    r.continue_file = "/no/such.wav";
    test_fails(sm_generate_one(g, &r, &s), SM_ENOTFOUND, "/no/such.wav");
    r = request(1);
    r.n = 0;
    test_fails(sm_generator_check(g, &r), SM_EUSAGE, "0 sounds");
    r = request(1);
    r.size = 8;
    test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, "sm_generate_request_init");
    r = request(1);
    r.progress = stop;
    test_fails(sm_generate_one(g, &r, &s), SM_ECANCELLED, "stopped");
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
        cmocka_unit_test(sounds_side_by_side_are_those_made_alone),
        cmocka_unit_test_setup_teardown(sound_is_heard_while_it_is_made, test_place_make, test_place_remove),
        cmocka_unit_test(a_run_that_is_stopped_keeps_what_is_final_when_asked),
        cmocka_unit_test(what_cannot_be_is_said_in_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
