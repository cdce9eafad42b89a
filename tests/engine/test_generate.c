/* Words to sound files with small models of made-up weights: lengths, loops, continuations, repeatability, refusals. */
#include "support/sound_models.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "engine/generate.h"

enum { RATE = 8000, CANVAS = 4096 };

typedef struct {
    char model[192], t5[192];
} files;

static files files_of(const test_place *place, bool flow)
{
    files f;
    test_small_stable_audio(place->folder, flow);
    snprintf(f.model, sizeof f.model, "%s=%s/model.safetensors", flow ? "stable-audio-small" : "stable-audio-open",
             place->folder);
    snprintf(f.t5, sizeof f.t5, "%s/t5.safetensors", place->folder);
    return f;
}

static sm_generator *open_small(const files *f, int threads)
{
    const sm_generate_options o = { .size = sizeof o, .model = f->model, .text_encoder = f->t5, .threads = threads };
    sm_generator *g;
    test_ok(sm_generator_open(&o, &g));
    return g;
}

static sm_generate_request request(const char *prompt)
{
    sm_generate_request r;
    sm_generate_request_init(&r);
    r.prompt = prompt;
    r.steps = 2;
    return r;
}

static void a_sound_has_the_length_that_was_asked_for(void **state)
{
    const test_place *place = *state;
    const files f = files_of(place, false);
    sm_generator *g = open_small(&f, 1);
    static const double seconds[] = { 0, 0.25, 0.3131, CANVAS / (double)RATE };
    for (size_t i = 0; i < SM_LENGTH(seconds); i++) {
        sm_generate_request r = request("a drum");
        sm_generate_result *s;
        r.seconds = seconds[i];
        test_ok(sm_generate_one(g, &r, &s));
        assert_int_equal(s->frames, seconds[i] > 0 ? llround(seconds[i] * RATE) : CANVAS);
        assert_int_equal(s->channels, 2);
        assert_int_equal(s->sample_rate_hz, RATE);
        assert_int_equal(s->n_seams, 0);
        assert_true(s->peak > 0);
        assert_non_null(strstr(s->recipe, "\"prompt\":\"a drum\""));
        sm_generate_result_free(s);
    }
    sm_generator_close(g);
}

static void the_same_seed_is_the_same_file_on_one_thread_and_two(void **state)
{
    const test_place *place = *state;
    const files f = files_of(place, false);
    sm_generate_result *s[3];
    for (int i = 0; i < 3; i++) {
        sm_generator *g = open_small(&f, i == 1 ? 2 : 1);
        sm_generate_request r = request("a drum");
        r.negative = "a voice";
        r.seed = i == 2 ? 8 : 7;
        test_ok(sm_generate_one(g, &r, &s[i]));
        sm_generator_close(g);
    }
    assert_memory_equal(s[0]->samples, s[1]->samples, 2 * CANVAS * sizeof(float));
    assert_string_equal(s[0]->recipe, s[1]->recipe);
    assert_true(memcmp(s[0]->samples, s[2]->samples, 2 * CANVAS * sizeof(float)) != 0);
    for (int i = 0; i < 3; i++)
        sm_generate_result_free(s[i]);
}

static void bars_at_a_tempo_are_exact_and_join(void **state)
{
    const test_place *place = *state;
    const files f = files_of(place, true);
    static const double rows[][2] = { { 1, 640 / 2.0 }, { 0.5, 333 }, { 2, 399.9 } };
    sm_generator *g = open_small(&f, 1);
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_generate_request r = request("a loop");
        sm_generate_result *s;
        r.bars = rows[i][0];
        r.bpm = rows[i][1];
        test_ok(sm_generate_one(g, &r, &s));
        assert_int_equal(s->frames, llround(rows[i][0] * 240 / rows[i][1] * RATE));
        assert_true(s->fade_s > 0.005 && s->fade_s <= 0.03);
        assert_true(s->loop_jump < 6); /* no larger than steps inside */
        sm_generate_result_free(s);
    }
    sm_generator_close(g);
}

static void longer_pieces_are_continued_and_their_seams_told(void **state)
{
    const test_place *place = *state;
    for (int flow = 0; flow < 2; flow++) {
        const files f = files_of(place, flow);
        sm_generator *g = open_small(&f, 1);
        sm_generate_request r = request("a long one");
        sm_generate_result *first, *s;
        test_ok(sm_generate_one(g, &r, &first));
        r.seconds = 1.2;
        test_ok(sm_generate_one(g, &r, &s));
        assert_int_equal(s->frames, 9600);
        assert_true(s->n_seams >= 1);
        for (size_t i = 0; i < s->n_seams; i++)
            assert_true(isfinite(s->seams[i].jump) && isfinite(s->seams[i].level_db) && s->seams[i].at_s > 0.5 &&
                        s->seams[i].at_s < 1.2);
        assert_non_null(strstr(s->recipe, "\"seams\""));
        sm_generate_result_free(first);
        sm_generate_result_free(s);
        sm_generator_close(g);
    }
}

static void a_sound_is_varied_or_continued(void **state)
{
    const test_place *place = *state;
    const files f = files_of(place, true);
    sm_generator *g = open_small(&f, 1);
    sm_generate_request r = request("a drum");
    sm_generate_result *s, *near, *far, *on;
    char path[192];
    r.seconds = 0.4;
    test_ok(sm_generate_one(g, &r, &s));
    snprintf(path, sizeof path, "%s/from.wav", place->folder);
    test_ok(sm_generate_result_write(s, path, "float32"));
    r.init_file = path;
    r.init_noise = 0.05;
    test_ok(sm_generate_one(g, &r, &near));
    r.init_noise = 1;
    test_ok(sm_generate_one(g, &r, &far));
    assert_true(memcmp(near->samples, far->samples, 100 * sizeof(float)) != 0);
    r.init_file = NULL;
    r.continue_file = path;
    r.seconds = 0.8;
    test_ok(sm_generate_one(g, &r, &on));
    assert_int_equal(on->frames, 6400);
    assert_true(on->n_seams >= 1);
    sm_generate_result_free(on);
    r.seconds = 0.3;
    test_fails(sm_generate_one(g, &r, &on), SM_EUSAGE, "goes on from it needs less");
    sm_generate_result_free(s);
    sm_generate_result_free(near);
    sm_generate_result_free(far);
    sm_generator_close(g);
}

static void what_cannot_be_is_said(void **state)
{
    const test_place *place = *state;
    const files f = files_of(place, true);
    sm_generator *g = open_small(&f, 1);
    char *large = malloc(10001);
    const struct {
        sm_generate_request r;
        const char *part;
    } rows[] = {
        { { .prompt = "" }, "empty prompt" },
        { { .prompt = " \n" }, "empty prompt" },
        { { .prompt = large }, "10000 bytes" },
        { { .prompt = "x", .seconds = 3600 }, "3600 s" },
        { { .prompt = "x", .seconds = -1 }, "-1 s" },
        { { .prompt = "x", .seconds = NAN }, "nan s" },
        { { .prompt = "x", .bars = 4 }, "needs a tempo" },
        { { .prompt = "x", .bars = 4, .bpm = 1000 }, "1000 BPM" },
        { { .prompt = "x", .bars = 4, .bpm = 120, .seconds = 3 }, "do not go together" },
        { { .prompt = "x", .sampler = "ddpm" }, "no sampler" },
        { { .prompt = "x", .init_file = "a.wav", .continue_file = "b.wav" }, "do not go together" },
        { { .prompt = "x", .init_file = "a.wav", .init_noise = 3 }, "noise level of 3" },
        { { .prompt = "x", .steps = 5000 }, "5000 steps" },
        { { .prompt = "x", .melody_file = "a.wav" }, "follows no melody" },
    };
    assert_non_null(large);
    memset(large, 'a', 10000);
    large[10000] = 0;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_generate_request r = rows[i].r;
        sm_generate_result *s;
        r.size = sizeof r;
        r.n = 1;
        r.guidance = NAN;
        r.level = "auto";
        r.init_noise = r.init_noise > 0 ? r.init_noise : NAN;
        test_fails(sm_generate_one(g, &r, &s), SM_EUSAGE, rows[i].part);
    }
    free(large);
    sm_generator_close(g);
    sm_generate_options o = { .size = sizeof o, .model = "yamnet" };
    test_fails(sm_generator_open(&o, &g), SM_EUSAGE, "makes no sound");
    o.model = "stable-audio-smal";
    test_fails(sm_generator_open(&o, &g), SM_EUSAGE, "did you mean");
    char other[192];
    snprintf(other, sizeof other, "stable-audio-open=%s/model.safetensors", place->folder);
    o = (sm_generate_options){ .size = sizeof o, .model = other, .text_encoder = f.t5 };
    test_fails(sm_generator_open(&o, &g), SM_EFORMAT, "holds stable-audio-small");
    o = (sm_generate_options){ .size = sizeof o, .model = f.model, .text_encoder = "/no/such/file" };
    test_fails(sm_generator_open(&o, &g), SM_ENOTFOUND, "/no/such/file");
}

/* ---- what is heard beside what was wanted ---- */

static void no_keys(void *state, const sm_generate_request *r, sm_json *j)
{
    (void)state;
    (void)r;
    (void)j;
}

/* A sound whose tempo and key are known (examples/README.md), as if it had been made for this request. */
static unsigned misses_of(const char *path, double bpm, const char *key)
{
    const sm_generator_family family = { .recipe = no_keys };
    sm_generate_request r = request("x");
    const sm_result_parts p = {
        .family = &family, .model = sm_model_find("musicgen-small"), .weights = "", .request = &r
    };
    sm_sound s = { .channels = 2, .rate_hz = 44100 };
    sm_generate_result *result;
    r.bpm = bpm;
    r.key = key;
    test_ok(sm_stereo_read(path, s.rate_hz, SM_RESAMPLE_TORCHAUDIO, 1 << 24, &s.samples, &s.frames));
    test_ok(sm_sound_measure(&s));
    test_ok(sm_generate_result_new(&p, &s, &result));
    const unsigned misses = result->misses;
    assert_int_equal(strstr(result->recipe, "\"misses_tempo\":true") != NULL, (misses & SM_MISSES_TEMPO) != 0);
    assert_int_equal(strstr(result->recipe, "\"misses_key\":true") != NULL, (misses & SM_MISSES_KEY) != 0);
    sm_generate_result_free(result);
    return misses;
}

static void tempo_and_key_are_held_against_what_was_wanted(void **state)
{
    static const struct {
        const char *path;
        double bpm;
        const char *key;
        unsigned misses;
    } rows[] = {
        { "examples/house_loop_128bpm.wav", 128, NULL, 0 },
        { "examples/house_loop_128bpm.wav", 64, NULL, 0 }, /* the same grid of beats */
        { "examples/house_loop_128bpm.wav", 256, NULL, 0 },
        { "examples/house_loop_128bpm.wav", 126, NULL, SM_MISSES_TEMPO },
        { "examples/house_loop_128bpm.wav", 0, NULL, 0 }, /* nothing was wanted */
        { "examples/cadence_a_minor.flac", 0, "A minor", 0 },
        { "examples/cadence_a_minor.flac", 0, "Am", 0 },
        { "examples/cadence_a_minor.flac", 0, "C major", 0 }, /* its relative: the same notes */
        { "examples/cadence_a_minor.flac", 0, "8A", 0 },
        { "examples/cadence_a_minor.flac", 0, "E minor", SM_MISSES_KEY },
        { "examples/cadence_a_minor.flac", 0, "A major", SM_MISSES_KEY },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        if (misses_of(rows[i].path, rows[i].bpm, rows[i].key) != rows[i].misses)
            fail_msg("%s, %g BPM, %s", rows[i].path, rows[i].bpm, rows[i].key ? rows[i].key : "no key");
}

/* ---- as publishers lay them out ---- */

static void copy_file(const char *from_folder, const char *from, const char *folder, const char *to)
{
    sm_buffer b = { 0 };
    char path[256];
    snprintf(path, sizeof path, "%s/%s", from_folder, from);
    test_ok(sm_file_read(path, 1 << 22, &b));
    snprintf(path, sizeof path, "%s/%s", folder, to);
    test_ok(sm_make_directories(folder));
    test_write_file(path, b.data, b.length);
    sm_buffer_free(&b);
}

static void expect_from(const char *home, const char *model, const sm_generate_result *expected)
{
    const sm_generate_options o = { .size = sizeof o, .home = home, .model = model, .threads = 1 };
    const sm_generate_request r = request("a drum");
    sm_generate_result *s;
    sm_generator *g;
    test_ok(sm_generator_open(&o, &g));
    test_ok(sm_generate_one(g, &r, &s));
    assert_int_equal(s->frames, expected->frames);
    assert_memory_equal(s->samples, expected->samples, 2 * s->frames * sizeof(float));
    sm_generate_result_free(s);
    sm_generator_close(g);
}

static void folders_of_publishers_are_imported_with_their_text_encoder(void **state)
{
    const test_place *place = *state;
    const files f = files_of(place, false);
    sm_generator *g = open_small(&f, 1);
    const sm_generate_request r = request("a drum");
    sm_generate_result *expected;
    sm_strings others = { 0 };
    const sm_model *m;
    char from[192], folder[192], part[256], home[192];
    test_ok(sm_generate_one(g, &r, &expected));
    sm_generator_close(g);
    /* diffusers: a folder a part; the configuration is only there because these sizes are nobody's */
    snprintf(from, sizeof from, "%s/model.safetensors", place->folder);
    snprintf(folder, sizeof folder, "%s/diffusers", place->folder);
    snprintf(home, sizeof home, "%s/home", place->folder);
    test_diffusers_folder(from, folder);
    copy_file(place->folder, "model_config.json", folder, "model_config.json");
    snprintf(part, sizeof part, "%s/text_encoder", folder);
    copy_file(place->folder, "t5.safetensors", part, "model.safetensors");
    snprintf(part, sizeof part, "%s/tokenizer", folder);
    copy_file(place->folder, "spiece.model", part, "spiece.model");
    test_ok(sm_models_import(home, folder, false, &m, &others));
    assert_string_equal(m->name, "stable-audio-open");
    assert_int_equal(others.length, 1);
    assert_string_equal(others.items[0], "t5-base");
    expect_from(home, "stable-audio-open", expected);
    sm_strings_free(&others);
    /* stable-audio-tools: model.safetensors and model_config.json */
    snprintf(home, sizeof home, "%s/other", place->folder);
    snprintf(folder, sizeof folder, "%s/tools", place->folder);
    copy_file(place->folder, "model.safetensors", folder, "model.safetensors");
    copy_file(place->folder, "model_config.json", folder, "model_config.json");
    test_ok(sm_models_import(home, f.t5, false, &m, NULL));
    assert_string_equal(m->name, "t5-base");
    test_ok(sm_models_import(home, folder, false, &m, NULL));
    assert_string_equal(m->name, "stable-audio-open");
    expect_from(home, "stable-audio-open", expected);
    snprintf(part, sizeof part, "stable-audio-open=%s", folder); /* as it lies */
    expect_from(home, part, expected);
    sm_generate_result_free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_has_the_length_that_was_asked_for, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(the_same_seed_is_the_same_file_on_one_thread_and_two, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(bars_at_a_tempo_are_exact_and_join, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(longer_pieces_are_continued_and_their_seams_told, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(a_sound_is_varied_or_continued, test_place_make, test_place_remove),
        cmocka_unit_test(tempo_and_key_are_held_against_what_was_wanted),
        cmocka_unit_test_setup_teardown(folders_of_publishers_are_imported_with_their_text_encoder, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_said, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
