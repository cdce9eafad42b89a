#include "support/support.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/dsp.h"

static char *written(const char *name, const dsp_result *r)
{
    static char text[512];
    const dsp_field *f;
    const size_t n = dsp_fields(&f);
    for (size_t i = 0; i < n; i++)
        if (strcmp(f[i].name, name) == 0) {
            sm_buffer b = { 0 };
            sm_json j;
            sm_json_init(&j, &b, false);
            f[i].write(r, &j);
            snprintf(text, sizeof text, "%s", b.data);
            sm_buffer_free(&b);
            return text;
        }
    fail_msg("no field %s", name);
    return NULL;
}

static void names_are_lower_snake_unique_and_explained(void **state)
{
    (void)state;
    const dsp_field *f;
    const size_t n = dsp_fields(&f);
    assert_true(n > 50);
    for (size_t i = 0; i < n; i++) {
        for (const char *c = f[i].name; *c; c++)
            assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_');
        assert_true(strlen(f[i].sentence) > 10 && f[i].sentence[strlen(f[i].sentence) - 1] == '.');
        assert_non_null(f[i].group);
        assert_non_null(f[i].unit);
        for (size_t k = 0; k < n; k++) {
            assert_true(i == k || strcmp(f[i].name, f[k].name) != 0);
            assert_true(!f[k].alias || strcmp(f[i].name, f[k].alias) != 0);
        }
    }
}

static void what_does_not_apply_is_null(void **state)
{
    (void)state;
    dsp_analysis *a;
    dsp_result r;
    test_ok(dsp_analysis_new(NULL, 44100, 1, &a));
    test_ok(dsp_analysis_finish(a, NULL, &r));
    dsp_analysis_free(a);
    static const char *const nulls[] = {
        "bpm",         "bpm_confidence", "beat_times_s", "beat_count", "key",
        "key_camelot", "loudness_lufs",  "pitch_hz",     "note_name",  "note_midi",
        "decay_s",     "brightness",     "energy",       "bpm_stable", "bpm_candidates"
    };
    for (size_t i = 0; i < SM_LENGTH(nulls); i++)
        assert_string_equal(written(nulls[i], &r), "null");
    assert_string_equal(written("duration_s", &r), "0");
    assert_string_equal(written("onset_times_s", &r), "[]");
    assert_string_equal(written("kind", &r), "\"silence\"");
    dsp_result_free(&r);
}

static void values_are_written_as_json(void **state)
{
    (void)state;
    double onsets[] = { 0, 0.5 };
    dsp_result r = {
        .duration_s = 1.5,
        .levels = { .loudness_lufs = -14.25, .clipped_samples = 3 },
        .tempo = { .bpm = 128, .n_candidates = 1, .candidates = { { 128, 0.75 } }, .stable = true, .method = "onsets" },
        .key = { .tonic = 9, .minor = true, .second_tonic = 0 },
        .pitch = { .pitch_hz = 110, .note_midi = 45 },
        .timbre = { .kind = DSP_KIND_LOOP, .n_onsets = 2, .onset_times_s = onsets }
    };
    assert_string_equal(written("duration_s", &r), "1.5");
    assert_string_equal(written("loudness_lufs", &r), "-14.25");
    assert_string_equal(written("clipped_samples", &r), "3");
    assert_string_equal(written("bpm", &r), "128");
    assert_string_equal(written("bpm_candidates", &r), "[[128,0.75]]");
    assert_string_equal(written("bpm_stable", &r), "true");
    assert_string_equal(written("bpm_method", &r), "\"onsets\"");
    assert_string_equal(written("key", &r), "\"A minor\"");
    assert_string_equal(written("key_camelot", &r), "\"8A\"");
    assert_string_equal(written("key_second", &r), "\"C major\"");
    assert_string_equal(written("note_name", &r), "\"A2\"");
    assert_string_equal(written("kind", &r), "\"loop\"");
    assert_string_equal(written("onset_times_s", &r), "[0,0.5]");
    assert_string_equal(written("onset_count", &r), "2");
}

static void the_page_is_what_the_table_says(void **state)
{
    (void)state;
    sm_buffer page = { 0 }, file = { 0 };
    dsp_fields_markdown(&page);
    test_ok(sm_file_read("docs/fields.md", 1 << 20, &file));
    if (strcmp(page.data, file.data) != 0) {
        const char *out = "/tmp/samplemind-fields.md";
        test_write_file(out, page.data, page.length);
        fail_msg("docs/fields.md is not what the table says; copy %s over it", out);
    }
    sm_buffer_free(&page);
    sm_buffer_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_lower_snake_unique_and_explained),
        cmocka_unit_test(what_does_not_apply_is_null),
        cmocka_unit_test(values_are_written_as_json),
        cmocka_unit_test(the_page_is_what_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
