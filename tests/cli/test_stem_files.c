/* Stems on their way into files: formats, clip modes, nothing half-written. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/stem_files.h"

enum { FRAMES = 44100, STEMS = 2 };

/* A second of two sines; stem 0 peaks at `loud`, stem 1 at a quarter of it. */
static void make(float *x[STEMS], float loud)
{
    for (int s = 0; s < STEMS; s++) {
        x[s] = sm_alloc(2 * FRAMES, sizeof(float));
        assert_non_null(x[s]);
        for (int i = 0; i < FRAMES; i++)
            x[s][2 * i] = x[s][2 * i + 1] = loud * (s ? 0.25f : 1) * sinf(0.05f * (float)i);
    }
}

typedef struct {
    char paths[STEMS][160];
    double peak, scale;
} written;

/* Writes the second in uneven blocks and commits. */
static void write_all(const char *folder, const char *ext, sm_clip_mode clip, sm_sample_format format, float loud,
                      written *w)
{
    float *x[STEMS];
    const char *paths[STEMS];
    sm_stem_files *files = NULL;
    make(x, loud);
    for (int s = 0; s < STEMS; s++) {
        snprintf(w->paths[s], sizeof w->paths[s], "%s/deep/er/%d.%s", folder, s, ext);
        paths[s] = w->paths[s];
    }
    const sm_stem_format f = { .paths = paths, .n = STEMS, .rate_hz = 44100, .format = format, .clip = clip };
    test_ok(sm_stem_files_open(&f, &files));
    for (size_t at = 0, n = 1; at < FRAMES; at += n, n = SM_MIN(n * 3, FRAMES - at))
        test_ok(sm_stem_files_write(files, (const float *const[]){ x[0] + 2 * at, x[1] + 2 * at }, n));
    test_ok(sm_stem_files_commit(files, &w->peak, &w->scale));
    sm_free(x[0]), sm_free(x[1]);
}

/* Frames and peak of a file that was written. */
static float peak_of(const char *path, int64_t *frames, sm_audio_info *info)
{
    sm_audio *a = NULL;
    float block[2048], peak = 0;
    int64_t n;
    *frames = 0;
    test_ok(sm_audio_open(path, &a));
    *info = *sm_audio_get_info(a);
    while ((n = sm_audio_read(a, block, 1024)) > 0) {
        for (int64_t i = 0; i < 2 * n; i++)
            peak = fmaxf(peak, fabsf(block[i]));
        *frames += n;
    }
    sm_audio_close(a);
    return peak;
}

static void expect(const written *w, int stem, float peak, double tolerance, int64_t expected_frames)
{
    sm_audio_info info;
    int64_t frames;
    assert_float_equal(peak_of(w->paths[stem], &frames, &info), peak, tolerance);
    assert_int_equal(frames, expected_frames);
}

static void floats_come_out_as_they_are_above_full_scale_too(void **state)
{
    const test_place *place = *state;
    written w;
    write_all(place->folder, "wav", SM_CLIP_NONE, SM_SAMPLE_F32, 1.6f, &w);
    expect(&w, 0, 1.6f, 1e-4, FRAMES);
    expect(&w, 1, 0.4f, 1e-4, FRAMES);
    assert_float_equal(w.peak, 1.6, 1e-4);
    assert_float_equal(w.scale, 1, 0);
}

static void rescaling_takes_one_factor_for_all_stems(void **state)
{
    const test_place *place = *state;
    written w;
    write_all(place->folder, "wav", SM_CLIP_RESCALE, SM_SAMPLE_S16, 1.6f, &w);
    expect(&w, 0, 1 / 1.01f, 1e-4, FRAMES);
    expect(&w, 1, 0.25f / 1.01f, 1e-4, FRAMES); /* a quarter of the loud one, as before */
}

static void demucs_rescales_each_stem_alone(void **state)
{
    const test_place *place = *state;
    written w;
    write_all(place->folder, "wav", SM_CLIP_RESCALE_STEM, SM_SAMPLE_S16, 1.6f, &w);
    expect(&w, 0, 1 / 1.01f, 1e-4, FRAMES);
    expect(&w, 1, 0.4f, 1e-4, FRAMES);
}

static void what_does_not_clip_is_not_rescaled(void **state)
{
    const test_place *place = *state;
    written w;
    write_all(place->folder, "wav", SM_CLIP_RESCALE, SM_SAMPLE_S24, 0.9f, &w);
    expect(&w, 0, 0.9f, 1e-4, FRAMES);
    assert_float_equal(w.scale, 1, 0);
}

static void clamping_stops_just_below_full_scale(void **state)
{
    const test_place *place = *state;
    written w;
    write_all(place->folder, "flac", SM_CLIP_CLAMP, SM_SAMPLE_S24, 1.6f, &w);
    expect(&w, 0, 0.99f, 1e-5, FRAMES);
    expect(&w, 1, 0.4f, 1e-4, FRAMES);
}

static void lossy_kinds_keep_length_and_level(void **state)
{
    const test_place *place = *state;
    sm_audio_info info;
    int64_t frames;
    written w;
    write_all(place->folder, "mp3", SM_CLIP_RESCALE, SM_SAMPLE_F32, 0.8f, &w);
    assert_float_equal(peak_of(w.paths[0], &frames, &info), 0.8, 0.05); /* a coder's ripple */
    assert_int_equal(info.rate_hz, 44100);
    write_all(place->folder, "opus", SM_CLIP_RESCALE, SM_SAMPLE_F32, 0.8f, &w);
    assert_float_equal(peak_of(w.paths[0], &frames, &info), 0.8, 0.05);
    assert_int_equal(info.rate_hz, 48000);
    assert_in_range((uint64_t)frames, 48000 - 1, 48000 + 1);
}

static void an_abandoned_song_leaves_nothing(void **state)
{
    const test_place *place = *state;
    float *x[STEMS];
    char folder[160];
    const char *paths[STEMS] = { NULL, NULL };
    written w;
    sm_stem_files *files = NULL;
    sm_strings names = { 0 };
    make(x, 0.5f);
    for (int s = 0; s < STEMS; s++) {
        snprintf(w.paths[s], sizeof w.paths[s], "%s/gone/%d.wav", place->folder, s);
        paths[s] = w.paths[s];
    }
    for (int clip = 0; clip < SM_CLIP_MODES; clip++) {
        const sm_stem_format f = {
            .paths = paths, .n = STEMS, .rate_hz = 44100, .format = SM_SAMPLE_S16, .clip = (sm_clip_mode)clip
        };
        test_ok(sm_stem_files_open(&f, &files));
        test_ok(sm_stem_files_write(files, (const float *const *)x, FRAMES));
        sm_stem_files_abandon(files);
    }
    snprintf(folder, sizeof folder, "%s/gone", place->folder);
    test_ok(sm_list_directory(folder, &names));
    assert_int_equal(names.length, 0);
    sm_strings_free(&names);
    sm_free(x[0]), sm_free(x[1]);
}

static void a_full_disk_is_told_with_the_name_of_the_file(void **state)
{
    (void)state;
    struct stat st;
    float *x[STEMS];
    sm_stem_files *files = NULL;
    int err = 0;
    if (stat("/dev/full", &st) != 0 || !S_ISCHR(st.st_mode))
        test_skip("there is no /dev/full here");
    make(x, 0.5f);
    /* a link with an ending, as the ending chooses the container */
    const char *link = "/tmp/.samplemind-test-full.wav";
    remove(link);
    if (symlink("/dev/full", link) != 0)
        test_skip("no link can be made in /tmp");
    const char *paths[STEMS] = { link, link };
    const sm_stem_format f = { .paths = paths, .n = STEMS, .rate_hz = 44100, .format = SM_SAMPLE_F32 };
    err = sm_stem_files_open(&f, &files);
    for (int i = 0; err == 0 && i < 20; i++) /* the stream's buffer and the queue take the first ones */
        err = sm_stem_files_write(files, (const float *const *)x, FRAMES);
    assert_int_equal(err, SM_EIO);
    assert_non_null(strstr(sm_last_error(), link));
    sm_stem_files_abandon(files);
    remove(link);
    sm_free(x[0]), sm_free(x[1]);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(floats_come_out_as_they_are_above_full_scale_too),
        PLACED(rescaling_takes_one_factor_for_all_stems),
        PLACED(demucs_rescales_each_stem_alone),
        PLACED(what_does_not_clip_is_not_rescaled),
        PLACED(clamping_stops_just_below_full_scale),
        PLACED(lossy_kinds_keep_length_and_level),
        PLACED(an_abandoned_song_leaves_nothing),
        cmocka_unit_test(a_full_disk_is_told_with_the_name_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
