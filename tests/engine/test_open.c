/* Which models analyze opens, and what a record says of those that answer, are missing, damaged or fail. Made-up weights of official
 * sizes stand in for real ones; real ones are taken where they lie beside the repository. */
#include "engine/engine_support.h"

#include <stdlib.h>
#include <unistd.h>

static char home[64];

static int make_home(void **state)
{
    (void)state;
    snprintf(home, sizeof home, "%s", test_folder_new());
    test_install(home, "yamnet", "");
    test_install(home, "crepe-tiny", "");
    return 0;
}

static int remove_home(void **state)
{
    (void)state;
    test_folder_remove(home);
    return 0;
}

static const char *installed(const char *name)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/models/%s.safetensors", home, name);
    return path;
}

/* ---- answers ---- */

/* Models that are there without being installed: our classifiers, in a tree that has their weights. */
static size_t shipped(void)
{
    size_t size = 0, n = 0;
    for (size_t i = 0; sm_meaning_expert(i); i++)
        n += sm_model_shipped(sm_meaning_expert(i), &size) != NULL;
    return n;
}

/* And our layer on YAMNet's embedding, once YAMNet is installed. */
static size_t layer(void)
{
    size_t size = 0;
    return sm_model_shipped("samplemind-yamnet", &size) ? 1 : 0;
}

static void what_ships_names_sounds_with_nothing_installed(void **state)
{
    static const struct {
        const char *file, *instrument;
    } rows[] = { { "examples/kick.wav", "kick" },
                 { "examples/hihat.wav", "hihat-closed" },
                 { "examples/bass_e1.wav", "bass" } };
    (void)state;
    if (!shipped())
        test_skip("this tree has no models/samplemind.safetensors");
    sm_engine *e = test_engine("/nonexistent", NULL, 1);
    assert_int_equal(sm_engine_models(e), shipped());
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        json_t *r = test_analyzed(e, rows[i].file);
        const json_t *top = json_object_get(r, "instrument_top"), *votes = json_object_get(r, "instrument_votes");
        assert_string_equal(json_string_value(json_object_get(r, "instrument")), rows[i].instrument);
        assert_string_equal(json_string_value(json_array_get(json_array_get(top, 0), 0)), rows[i].instrument);
        assert_true(json_number_value(json_object_get(r, "instrument_confidence")) ==
                    json_number_value(json_array_get(json_array_get(top, 0), 1)));
        assert_int_equal(json_array_size(votes), shipped()); /* nobody else was asked */
        assert_string_equal(json_string_value(json_object_get(json_array_get(votes, 0), "model")), "samplemind");
        json_decref(r);
    }
    sm_engine_close(e);
}

static void all_that_is_installed_answers_under_its_name(void **state)
{
    (void)state;
    sm_engine *e = test_engine(home, NULL, 1);
    assert_int_equal(sm_engine_models(e), 2 + shipped() + layer());
    assert_string_equal(sm_engine_model(e, shipped()), "yamnet");
    assert_string_equal(sm_engine_model(e, shipped() + layer() + 1), "crepe-tiny");
    assert_null(sm_engine_model(e, shipped() + layer() + 2));
    assert_int_equal(sm_engine_missing(e), 0);
    json_t *r = test_analyzed(e, "examples/sine_440.wav");
    const json_t *yamnet = json_object_get(r, "yamnet"), *top = json_object_get(yamnet, "top");
    assert_int_equal(json_array_size(top), 5);
    double before = 1;
    for (size_t i = 0; i < 5; i++) { /* best first, each a name and a probability */
        const json_t *row = json_array_get(top, i);
        const double score = json_number_value(json_array_get(row, 1));
        assert_true(json_is_string(json_array_get(row, 0)));
        assert_true(score >= 0 && score <= before);
        before = score;
    }
    assert_string_equal(json_string_value(json_object_get(yamnet, "weights")), "0123456789abcdef");
    assert_true(json_is_string(json_object_get(yamnet, "model")));
    const json_t *crepe = json_object_get(r, "crepe-tiny");
    assert_true(json_is_object(crepe));
    assert_true(json_is_number(json_object_get(crepe, "pitch_hz")) || json_is_null(json_object_get(crepe, "pitch_hz")));
    assert_true(json_object_size(json_object_get(r, "instrument_scores")) > 0); /* YAMNet speaks of it */
    test_near(r, "pitch_hz", 440, 0.1);                                         /* the measured one stays */
    json_decref(r);
    sm_engine_close(e);
}

static void no_models_means_none(void **state)
{
    (void)state;
    sm_engine *e = test_engine(home, "", 1);
    assert_int_equal(sm_engine_models(e), 0);
    json_t *r = test_analyzed(e, "examples/sine_440.wav");
    assert_null(json_object_get(r, "yamnet"));
    json_decref(r);
    sm_engine_close(e);
}

static void as_many_classes_are_told_as_were_asked_for(void **state)
{
    sm_options o;
    sm_engine *e = NULL;
    (void)state;
    sm_options_init(&o);
    o.home = home;
    o.models = "yamnet";
    o.top = 12;
    test_ok(sm_engine_open(&o, &e));
    json_t *r = test_analyzed(e, "examples/kick.wav");
    assert_int_equal(json_array_size(json_object_get(json_object_get(r, "yamnet"), "top")), 12);
    assert_null(json_object_get(r, "crepe-tiny"));
    json_decref(r);
    sm_engine_close(e);
}

static int append(void *user, size_t index, sm_record *r, int err)
{
    (void)index, (void)err;
    sm_buffer_printf(user, "%s\n", sm_record_json(r));
    sm_record_free(r);
    return 0;
}

/* Patches of several files share batches; yet each file's answer is the one that it gets alone, on one thread or two. */
static void batches_over_files_do_not_change_answers(void **state)
{
    static const char *const paths[] = {
        "examples/kick.wav",     "examples/silence.wav",  "no/such.wav",          "examples/pluck_c4.caf",
        "examples/hihat.wav",    "examples/sine_440.wav", "examples/bass_e1.wav", "Makefile",
        "examples/noise.aiff",   "examples/kick.wav",     "examples/kick.wav",    "examples/kick.wav",
        "examples/sine_440.wav", "examples/silence.wav",  "examples/bass_e1.wav", "examples/house_loop_128bpm.wav"
    };
    sm_buffer text[2] = { { 0 }, { 0 } };
    (void)state;
    for (int jobs = 1; jobs <= 2; jobs++) {
        sm_engine *e = test_engine(home, NULL, jobs);
        size_t failed = 0;
        test_ok(sm_analyze_files(e, paths, SM_LENGTH(paths), append, &text[jobs - 1], &failed));
        assert_int_equal(failed, 2);
        sm_engine_close(e);
    }
    assert_string_equal(text[0].data, text[1].data);
    sm_engine *e = test_engine(home, NULL, 1);
    char *line = text[0].data;
    for (size_t i = 0; i < SM_LENGTH(paths); i++) {
        char *end = strchr(line, '\n');
        *end = 0;
        sm_record *r = NULL;
        if (sm_analyze_file(e, paths[i], &r) == 0) {
            json_t *alone = test_json(r), *shared = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
            const json_t *a = json_object_get(json_object_get(alone, "yamnet"), "top"),
                         *b = json_object_get(json_object_get(shared, "yamnet"), "top");
            for (size_t k = 0; k < json_array_size(a); k++) { /* another batch size may round differently */
                const double x = json_number_value(json_array_get(json_array_get(a, k), 1)),
                             y = json_number_value(json_array_get(json_array_get(b, k), 1));
                if (fabs(x - y) > 1e-4)
                    fail_msg("%s: class %zu has %.7g alone and %.7g in a batch", paths[i], k, x, y);
            }
            assert_true(json_array_size(a) == 5);
            json_decref(alone);
            json_decref(shared);
        }
        sm_record_free(r);
        line = end + 1;
    }
    sm_engine_close(e);
    sm_buffer_free(&text[0]);
    sm_buffer_free(&text[1]);
}

static char *json_of(sm_engine *e, const char *path)
{
    sm_record *r = NULL;
    test_ok(sm_analyze_file(e, path, &r));
    char *text = sm_strdup(sm_record_json(r));
    sm_record_free(r);
    return text;
}

static int stop_when_told(void *user, const sm_progress_info *p)
{
    (void)p;
    return *(int *)user;
}

/* Resamplers, front ends and workers are kept from one sound to the next: nothing of the one before may be heard, nor of one that
 * was given up half way. */
static void a_sound_is_the_same_whatever_came_before(void **state)
{
    static const char *const between[] = { "examples/noise.aiff", "examples/hihat.wav", "examples/silence.wav",
                                           "Makefile", "examples/jungle_loop_174.ogg" };
    (void)state;
    for (int jobs = 1; jobs <= 2; jobs++) {
        int told = 0;
        sm_options o;
        sm_engine *e = NULL;
        sm_record *r = NULL;
        sm_options_init(&o);
        o.home = home;
        o.jobs = jobs;
        o.progress = stop_when_told;
        o.user = &told;
        test_ok(sm_engine_open(&o, &e));
        char *first = json_of(e, "examples/sine_440.wav");
        for (size_t i = 0; i < SM_LENGTH(between); i++) {
            told = i % 2 == 0;
            sm_analyze_file(e, between[i], &r); /* may fail */
            sm_record_free(r);
            told = 0;
            char *again = json_of(e, "examples/sine_440.wav");
            assert_string_equal(again, first);
            sm_free(again);
        }
        sm_free(first);
        sm_engine_close(e);
    }
}

static void the_models_of_one_sound_on_two_threads_answer_as_on_one(void **state)
{
    (void)state;
    sm_engine *one = test_engine(home, NULL, 1), *two = test_engine(home, NULL, 2);
    char *a = json_of(one, "examples/melody_c_major.mp3"), *b = json_of(two, "examples/melody_c_major.mp3");
    assert_string_equal(a, b);
    sm_free(a);
    sm_free(b);
    sm_engine_close(one);
    sm_engine_close(two);
}

/* ---- what is not to be had ---- */

static void a_model_that_is_asked_for_and_not_installed_is_named(void **state)
{
    const char *reason = NULL;
    (void)state;
    sm_engine *e = test_engine(home, "crepe-full,yamnet,danceability", 1);
    assert_int_equal(sm_engine_models(e), 1);
    assert_int_equal(sm_engine_missing(e), 2);
    assert_string_equal(sm_engine_missing_model(e, 0, &reason), "crepe-full");
    assert_non_null(strstr(reason, "samplemind models pull crepe-full"));
    assert_string_equal(sm_engine_missing_model(e, 1, &reason), "danceability");
    assert_null(sm_engine_missing_model(e, 2, &reason));
    assert_null(reason);
    json_t *r = test_analyzed(e, "examples/kick.wav");
    assert_non_null(test_failed_reason(r, "crepe-full"));
    assert_non_null(strstr(test_failed_reason(r, "danceability"), "models pull"));
    assert_true(json_is_object(json_object_get(r, "yamnet")));
    test_near(r, "duration_s", 0.4, 0.001);
    json_decref(r);
    sm_engine_close(e);
}

/* Cuts the installed file, or writes nonsense into it. */
static void damage(const char *name, int how)
{
    FILE *f = fopen(installed(name), "r+b");
    assert_non_null(f);
    if (how == 0)
        assert_int_equal(ftruncate(fileno(f), 5000), 0);
    else if (how == 1)
        fwrite("nonsense", 1, 8, f);
    else
        assert_int_equal(ftruncate(fileno(f), 0), 0);
    fclose(f);
}

static void damaged_weights_are_named_and_the_rest_goes_on(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        damage("crepe-tiny", how);
        for (int by_name = 0; by_name < 2; by_name++) {
            sm_engine *e = test_engine(home, by_name ? "crepe-tiny,yamnet" : NULL, 1);
            assert_int_equal(sm_engine_models(e), by_name ? 1 : 1 + shipped() + layer());
            assert_int_equal(sm_engine_missing(e), 1);
            json_t *r = test_analyzed(e, "examples/kick.wav");
            const char *reason = test_failed_reason(r, "crepe-tiny");
            if (!reason || !strstr(reason, "crepe-tiny.safetensors"))
                fail_msg("damage %d: %s", how, reason ? reason : "not named");
            assert_true(json_is_object(json_object_get(r, "yamnet")));
            json_decref(r);
            sm_engine_close(e);
        }
        test_install(home, "crepe-tiny", "");
    }
}

static void a_file_can_be_given_for_a_model(void **state)
{
    char list[400];
    const char *reason = NULL;
    (void)state;
    snprintf(list, sizeof list, "crepe-tiny=%s", installed("crepe-tiny"));
    sm_engine *e = test_engine("/nonexistent", list, 1);
    assert_int_equal(sm_engine_models(e), 1);
    assert_int_equal(sm_engine_missing(e), 0);
    sm_engine_close(e);
    /* the file of another model is refused, and named */
    snprintf(list, sizeof list, "yamnet=%s", installed("crepe-tiny"));
    e = test_engine("/nonexistent", list, 1);
    assert_int_equal(sm_engine_models(e), 0);
    assert_string_equal(sm_engine_missing_model(e, 0, &reason), "yamnet");
    assert_non_null(strstr(reason, "holds the model crepe-tiny"));
    sm_engine_close(e);
    e = test_engine("/nonexistent", "yamnet=/no/such/file.tflite", 1);
    assert_string_equal(sm_engine_missing_model(e, 0, &reason), "yamnet");
    assert_non_null(strstr(reason, "/no/such/file.tflite"));
    sm_engine_close(e);
}

static void a_name_that_stands_twice_is_one_model(void **state)
{
    (void)state;
    sm_engine *e = test_engine(home, "yamnet,yamnet", 1);
    assert_int_equal(sm_engine_models(e), 1);
    assert_int_equal(sm_engine_missing(e), 0);
    sm_engine_close(e);
}

static void two_engines_do_not_disturb_each_other(void **state)
{
    (void)state;
    sm_engine *a = test_engine(home, NULL, 1), *b = test_engine(home, "yamnet", 2);
    json_t *x = test_analyzed(a, "examples/kick.wav"), *y = test_analyzed(b, "examples/kick.wav");
    sm_engine_close(a);
    json_t *z = test_analyzed(b, "examples/kick.wav"); /* still there */
    assert_true(json_equal(json_object_get(x, "yamnet"), json_object_get(y, "yamnet")));
    assert_true(json_equal(y, z));
    json_decref(x);
    json_decref(y);
    json_decref(z);
    sm_engine_close(b);
}

static void records_outlive_their_engine(void **state)
{
    sm_record *r = NULL;
    (void)state;
    sm_engine *e = test_engine(home, "yamnet", 1);
    test_ok(sm_analyze_file(e, "examples/kick.wav", &r));
    sm_engine_close(e);
    const sm_summary *s = sm_record_summary(r);
    if (s->instrument)
        assert_true(strlen(s->instrument) > 0);
    const sm_embedding *v = sm_record_embedding_of(r, "yamnet"); /* kick.wav is less than one patch */
    assert_non_null(v);
    assert_ptr_equal(v, sm_record_embedding(r, 0));
    assert_string_equal(v->space, "yamnet/1");
    assert_int_equal(strlen(v->weights), 16);
    assert_int_equal(v->windows, 1);
    assert_int_equal(v->dims, 1024);
    double energy = 0;
    for (size_t i = 0; i < v->dims; i++)
        energy += (double)v->values[i] * v->values[i];
    assert_true(energy > 0 && isfinite(energy));
    assert_int_equal(sm_record_embeddings(r), 1);
    assert_null(sm_record_embedding(r, 1));
    assert_null(sm_record_embedding_of(r, "crepe-tiny"));
    json_decref(test_json(r));
    sm_record_free(r);
}

/* ---- real weights ---- */

static bool import_real(const char *to, const char *name)
{
    const sm_model *m = NULL;
    const char *path = test_shared(name);
    if (!path)
        return false;
    test_ok(sm_models_import(to, path, false, &m, NULL));
    return true;
}

static void real_models_hear_what_is_there(void **state)
{
    const test_place *place = *state;
    if (!import_real(place->folder, "models/yamnet/yamnet.tflite") ||
        !import_real(place->folder, "models/crepe/model-tiny.h5") ||
        !import_real(place->folder, "models/essentia/msd-musicnn-1/model.json") ||
        !import_real(place->folder, "models/essentia/mood_happy-musicnn-msd-2/model.json") ||
        !import_real(place->folder, "models/essentia/danceability-musicnn-msd-2/model.json"))
        test_skip("the real weights in ../shared are not here");
    sm_engine *e = test_engine(place->folder, NULL, 1);
    assert_int_equal(sm_engine_models(e), 5 + shipped() + layer());
    json_t *r = test_analyzed(e, "examples/sine_440.wav");
    const json_t *top = json_object_get(json_object_get(r, "yamnet"), "top"), *best = json_array_get(top, 0);
    /* the same family as the original's answer for such a sine (golden real_sine440) */
    static const char *const tones[] = { "Telephone", "Busy signal", "Alarm", "Dial tone", "Sine wave" };
    for (size_t i = 0; i < 5; i++) {
        bool found = false;
        for (size_t k = 0; k < SM_LENGTH(tones); k++)
            found |= !strcmp(json_string_value(json_array_get(json_array_get(top, i), 0)), tones[k]);
        assert_true(found);
    }
    assert_true(json_number_value(json_array_get(best, 1)) > 0.9);
    const double hz = json_number_value(json_object_get(json_object_get(r, "crepe-tiny"), "pitch_hz"));
    if (!(fabs(1200 * log2(hz / 440)) < 5)) /* CREPE's bins are 20 cents wide; its average is finer */
        fail_msg("crepe-tiny hears %g Hz", hz);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 0);
    json_decref(r);
    r = test_analyzed(e, "examples/sine_440.wav");
    /* the official file itself, not imported: the same answer by the same weights */
    char list[4200];
    snprintf(list, sizeof list, "yamnet=%s", test_shared("models/yamnet/yamnet.tflite"));
    sm_engine *given = test_engine("/nonexistent", list, 1);
    json_t *same = test_analyzed(given, "examples/sine_440.wav");
    assert_true(json_equal(json_object_get(r, "yamnet"), json_object_get(same, "yamnet")));
    json_decref(same);
    json_decref(r);
    sm_engine_close(given);
    r = test_analyzed(e, "examples/melody_c_major.mp3");
    const json_t *moods = json_object_get(r, "mood_scores");
    const double happy = json_number_value(json_object_get(moods, "happy"));
    assert_true(json_is_number(json_object_get(moods, "happy")) && happy >= 0 && happy <= 1);
    assert_true(json_array_size(json_object_get(json_object_get(r, "musicnn"), "top")) == 5);
    const json_t *dance = json_object_get(r, "danceability-musicnn-whole");
    assert_true(json_is_string(json_object_get(dance, "value")));
    assert_true(json_number_value(json_object_get(dance, "probability")) >= 0.5); /* the better of two */
    json_decref(r);
    sm_engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ships_names_sounds_with_nothing_installed),
        cmocka_unit_test(all_that_is_installed_answers_under_its_name),
        cmocka_unit_test(no_models_means_none),
        cmocka_unit_test(as_many_classes_are_told_as_were_asked_for),
        cmocka_unit_test(batches_over_files_do_not_change_answers),
        cmocka_unit_test(a_sound_is_the_same_whatever_came_before),
        cmocka_unit_test(the_models_of_one_sound_on_two_threads_answer_as_on_one),
        cmocka_unit_test(a_model_that_is_asked_for_and_not_installed_is_named),
        cmocka_unit_test(damaged_weights_are_named_and_the_rest_goes_on),
        cmocka_unit_test(a_file_can_be_given_for_a_model),
        cmocka_unit_test(a_name_that_stands_twice_is_one_model),
        cmocka_unit_test(two_engines_do_not_disturb_each_other),
        cmocka_unit_test(records_outlive_their_engine),
        cmocka_unit_test_setup_teardown(real_models_hear_what_is_there, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
