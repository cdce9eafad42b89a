/* The form of Essentia's music extractor: its names, its nesting, and the same values as the flat record. */
#include "engine/engine_support.h"

/* What programs that read the extractor's JSON look for. */
static const char *const names[] = {
    "metadata.audio_properties.length",
    "metadata.audio_properties.sample_rate",
    "metadata.tags.file_name",
    "metadata.version.extractor",
    "lowlevel.loudness_ebu128.integrated",
    "lowlevel.loudness_ebu128.loudness_range",
    "lowlevel.spectral_centroid.mean",
    "lowlevel.spectral_rolloff.mean",
    "lowlevel.zerocrossingrate.mean",
    "rhythm.bpm",
    "rhythm.beats_count",
    "rhythm.beats_position",
    "rhythm.onset_rate",
    "tonal.key_edma.key",
    "tonal.key_edma.scale",
    "tonal.key_edma.strength",
    "tonal.tuning_frequency",
    "highlevel",
};

/* "a.b.c" of nested objects. */
static json_t *at(json_t *root, const char *path)
{
    char copy[128];
    char *save = NULL;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *name = strtok_r(copy, ".", &save); name && root; name = strtok_r(NULL, ".", &save))
        root = json_object_get(root, name);
    return root;
}

static json_t *essentia_of(const sm_record *r)
{
    json_t *root = json_loads(sm_record_json_essentia(r), JSON_REJECT_DUPLICATES, NULL);
    if (!root)
        fail_msg("not JSON: %s", sm_record_json_essentia(r));
    return root;
}

static void every_name_is_there_for_any_sound(void **state)
{
    static const char *const sounds[] = { "examples/cadence_a_minor.flac", "examples/house_loop_128bpm.wav",
                                          "examples/silence.wav", "examples/hihat.wav" };
    (void)state;
    sm_engine *e = test_engine("/nonexistent", "", 1);
    for (size_t i = 0; i < SM_LENGTH(sounds); i++) {
        sm_record *r = NULL;
        test_ok(sm_analyze_file(e, sounds[i], &r));
        json_t *root = essentia_of(r);
        for (size_t k = 0; k < SM_LENGTH(names); k++)
            if (!at(root, names[k]))
                fail_msg("%s: no %s", sounds[i], names[k]);
        json_decref(root);
        sm_record_free(r);
    }
    sm_engine_close(e);
}

static void values_are_those_of_the_record(void **state)
{
    static const char *const same[][2] = { { "lowlevel.loudness_ebu128.integrated", "loudness_lufs" },
                                           { "lowlevel.spectral_centroid.mean", "spectral_centroid_hz" },
                                           { "lowlevel.spectral_entropy.mean", "spectral_entropy" },
                                           { "rhythm.bpm", "bpm" },
                                           { "rhythm.beats_count", "beat_count" },
                                           { "tonal.tuning_frequency", "tuning_hz" },
                                           { "tonal.key_edma.strength", "key_strength" },
                                           { "metadata.audio_properties.length", "duration_s" } };
    (void)state;
    sm_engine *e = test_engine("/nonexistent", "", 1);
    sm_record *r = NULL;
    test_ok(sm_analyze_file(e, "examples/cadence_a_minor.flac", &r));
    json_t *root = essentia_of(r), *flat = test_json(r);
    for (size_t i = 0; i < SM_LENGTH(same); i++) {
        const double theirs = json_number_value(at(root, same[i][0])), ours = test_number(flat, same[i][1]);
        if (!(fabs(theirs - ours) <= 1e-6 * fabs(ours)))
            fail_msg("%s is %.9g, %s is %.9g", same[i][0], theirs, same[i][1], ours);
    }
    assert_string_equal(json_string_value(at(root, "tonal.key_edma.key")), "A");
    assert_string_equal(json_string_value(at(root, "tonal.key_edma.scale")), "minor");
    assert_int_equal(json_array_size(at(root, "rhythm.beats_position")), 8);
    json_decref(root);
    json_decref(flat);
    sm_record_free(r);
    sm_engine_close(e);
}

/* highlevel.TASK = { all: { CLASS: p }, probability, value } */
static void a_model_stands_in_highlevel_with_all_its_classes(void **state)
{
    const test_place *place = *state;
    sm_record *r = NULL;
    test_install(place->folder, "yamnet", "");
    sm_engine *e = test_engine(place->folder, "yamnet", 1);
    test_ok(sm_analyze_file(e, "examples/kick.wav", &r));
    json_t *root = essentia_of(r), *flat = test_json(r);
    const json_t *all = at(root, "highlevel.yamnet.all");
    const json_t *best = json_array_get(json_object_get(json_object_get(flat, "yamnet"), "top"), 0);
    assert_true(json_object_size(all) >= 520); /* 521 rows; no name stands twice or the reader would have refused */
    assert_string_equal(json_string_value(at(root, "highlevel.yamnet.value")),
                        json_string_value(json_array_get(best, 0)));
    assert_true(fabs(json_number_value(at(root, "highlevel.yamnet.probability")) -
                     json_number_value(json_array_get(best, 1))) < 1e-6);
    json_decref(root);
    json_decref(flat);
    sm_record_free(r);
    sm_engine_close(e);
}

static int keep(void *user, size_t index, sm_record *r, int err)
{
    (void)index, (void)err;
    *(sm_record **)user = r;
    return 0;
}

static void a_file_that_failed_says_why(void **state)
{
    (void)state;
    const char *path = "no/such.wav";
    sm_record *r = NULL;
    sm_engine *e = test_engine("/nonexistent", "", 1);
    test_ok(sm_analyze_files(e, &path, 1, keep, &r, NULL));
    json_t *root = essentia_of(r);
    assert_string_equal(json_string_value(at(root, "metadata.tags.file_name")), "such.wav");
    assert_non_null(strstr(json_string_value(at(root, "metadata.error")), "no/such.wav"));
    assert_null(at(root, "rhythm"));
    json_decref(root);
    sm_record_free(r);
    sm_engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_there_for_any_sound),
        cmocka_unit_test(values_are_those_of_the_record),
        cmocka_unit_test_setup_teardown(a_model_stands_in_highlevel_with_all_its_classes, test_place_make,
                                        test_place_remove),
        cmocka_unit_test(a_file_that_failed_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
