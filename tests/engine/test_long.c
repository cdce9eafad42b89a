/* Long files are analysed in bounded memory: what the program holds does not grow with their length. With SM_LONG=1 also three
 * hours at 44.1 kHz stereo, which take a minute or two. */
#include "engine/engine_support.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "support/music.h"

enum { WHOLE_MB = 300 }; /* the promise: three hours in no more than this */

/* Two bars of drums and a tone, again and again, written as 16 bit. */
static void write_long(const char *path, double seconds, int rate, int channels)
{
    const sm_audio_write_options o = { .rate_hz = rate, .channels = channels, .frames_expected = 0 };
    const size_t n = (size_t)(4 * 60.0 / 125 * MUSIC_RATE), frames = (size_t)(seconds * rate);
    float *bar = sm_alloc_zero(n, sizeof *bar), *block = sm_alloc(n * (size_t)channels, sizeof *block);
    sm_audio_writer *w = NULL;
    music_pattern(bar, n, 0, 125, 4, 0, MUSIC_KICK, "x...", 0.4f);
    music_pattern(bar, n, 0, 125, 4, 0, MUSIC_HAT, "x.xx", 0.1f);
    music_tone(bar, n, 0.5, 57, 1, 0.2f, 440);
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < channels; c++)
            block[i * (size_t)channels + (size_t)c] = bar[i];
    test_ok(sm_audio_writer_open(path, &o, &w));
    for (size_t done = 0; done < frames; done += n)
        test_ok(sm_audio_writer_write(w, block, SM_MIN(n, frames - done)));
    test_ok(sm_audio_writer_commit(w));
    sm_free(bar);
    sm_free(block);
}

/* Analyses in a process of its own; gives the most memory that any so far has held, in MB. */
static double analyze(const char *path, const char *out, double seconds)
{
    char command[1024];
    struct rusage u;
    sm_buffer text = { 0 };
    snprintf(command, sizeof command, "'%s' analyze --no-models -j1 --jsonl '%s' >'%s'", test_program(), path, out);
    assert_int_equal(system(command), 0);
    test_ok(sm_file_read(out, 64 << 20, &text));
    json_t *root = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    test_near(root, "duration_s", seconds, 0.001);
    assert_null(json_object_get(root, "truncated"));
    json_decref(root);
    sm_buffer_free(&text);
    getrusage(RUSAGE_CHILDREN, &u);
    return (double)u.ru_maxrss / 1024;
}

static bool can_measure(void)
{
    const char *sanitizer = getenv("SM_SAN");
    return test_program() && !(sanitizer && *sanitizer);
}

static void memory_does_not_grow_with_the_length(void **state)
{
    const test_place *place = *state;
    char out[160];
    if (!can_measure())
        test_skip("sanitizers hold memory of their own");
    snprintf(out, sizeof out, "%s/out", place->folder);
    char *path = sm_printf_new("%s/long.wav", place->folder);
    write_long(path, 120, 16000, 1);
    const double two = analyze(path, out, 120);
    write_long(path, 1500, 16000, 1);
    const double many = analyze(path, out, 1500);
    print_message("2 min %.1f MB, 25 min %.1f MB\n", two, many);
    /* beats, onsets and band envelopes are kept: 1 MB a minute of them would be 180 MB in three hours */
    assert_true(many - two < 23);
    assert_true(many < WHOLE_MB);
    sm_free(path);
}

static void three_hours_fit_the_promise(void **state)
{
    const test_place *place = *state;
    char out[160];
    if (!can_measure() || !getenv("SM_LONG"))
        test_skip("takes minutes and 2 GB of disk: set SM_LONG=1");
    snprintf(out, sizeof out, "%s/out", place->folder);
    char *path = sm_printf_new("%s/long.wav", place->folder);
    write_long(path, 3 * 3600, 44100, 2);
    const double start = sm_now_s(), held = analyze(path, out, 3 * 3600);
    print_message("3 h of 44.1 kHz stereo: %.1f MB, %.1f s\n", held, sm_now_s() - start);
    assert_true(held < WHOLE_MB);
    sm_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_does_not_grow_with_the_length, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(three_hours_fit_the_promise, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
