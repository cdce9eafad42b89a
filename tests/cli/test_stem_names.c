/* Where the stems of a song go. */
#include "support/support.h"

#include <string.h>

#include "cli/stem_names.h"

static const sm_stem_words words = { .track_path = "/music/Björk - 01.live.flac",
                                     .stem = "no_vocals",
                                     .ext = "wav",
                                     .model = "htdemucs",
                                     .index = 3,
                                     .bpm = "128" };

static void is_named(const char *pattern, const char *expected)
{
    char *path = sm_stem_path("out", pattern, &words);
    assert_string_equal(path, expected);
    sm_free(path);
}

static void the_default_pattern_gives_the_tree_of_demucs(void **state)
{
    (void)state;
    is_named("{track}/{stem}.{ext}", "out/htdemucs/Björk - 01.live/no_vocals.wav");
}

static void every_word_is_filled_in(void **state)
{
    (void)state;
    is_named("{index}_{track}.{trackext}_{model}_{bpm}_{key}_{stem}.{ext}",
             "out/htdemucs/3_Björk - 01.live.flac_htdemucs_128_unknown_no_vocals.wav");
    is_named("a}b {stem} c.{ext}", "out/htdemucs/a}b no_vocals c.wav");
}

static void a_name_without_an_ending_and_a_hidden_file_are_whole_tracks(void **state)
{
    (void)state;
    sm_stem_words w = words;
    w.track_path = "song";
    char *path = sm_stem_path(".", "{track}-{trackext}.{stem}.{ext}", &w);
    assert_string_equal(path, "./htdemucs/song-.no_vocals.wav");
    sm_free(path);
    w.track_path = "x/.hidden";
    path = sm_stem_path(".", "{track}.{stem}.{ext}", &w);
    assert_string_equal(path, "./htdemucs/.hidden.no_vocals.wav");
    sm_free(path);
}

static void a_value_cannot_leave_its_folder(void **state)
{
    (void)state;
    sm_stem_words w = words;
    w.key = "../../C/Am";
    char *path = sm_stem_path("o", "{key}_{stem}.{ext}", &w);
    assert_string_equal(path, "o/htdemucs/..-..-C-Am_no_vocals.wav");
    sm_free(path);
}

static void bad_patterns_are_named(void **state)
{
    (void)state;
    test_ok(sm_stem_pattern_check("{track}/{stem}.{ext}"));
    test_fails(sm_stem_pattern_check("{track}/x.{ext}"), SM_EUSAGE, "{stem} is missing");
    test_fails(sm_stem_pattern_check("{track}/{stem}"), SM_EUSAGE, "{ext} is missing");
    test_fails(sm_stem_pattern_check("{trak}/{stem}.{ext}"), SM_EUSAGE, "{trak} is not known");
    test_fails(sm_stem_pattern_check("{stem}.{ext"), SM_EUSAGE, "not closed");
    test_fails(sm_stem_pattern_check("{}{stem}.{ext}"), SM_EUSAGE, "holds nothing");
    assert_true(sm_stem_pattern_has("a{bpm}", "bpm"));
    assert_false(sm_stem_pattern_has("a{bpmx}bpm", "bpm"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_pattern_gives_the_tree_of_demucs),
        cmocka_unit_test(every_word_is_filled_in),
        cmocka_unit_test(a_name_without_an_ending_and_a_hidden_file_are_whole_tracks),
        cmocka_unit_test(a_value_cannot_leave_its_folder),
        cmocka_unit_test(bad_patterns_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
