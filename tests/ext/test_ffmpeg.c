/* FFmpeg's libraries at run time: found, and not found. This program has a dlopen of its own to be able to say no. */
#include "support/support.h"

#include <dlfcn.h>
#include <string.h>

#include "audio/audio.h"
#include "ext/ffmpeg.h"

static const char *missing; /* part of the name of a library that is not installed; NULL: all are */

__attribute__((visibility("default"))) void *dlopen(const char *file, int mode)
{
    void *(*real)(const char *, int) = NULL;

    if (missing && file && strstr(file, missing))
        return NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "dlopen");
    return real(file, mode);
}

static void every_function_is_there_and_loading_twice_is_fine(void **state)
{
    sm_ffmpeg f, again;

    (void)state;
    test_ok(sm_ffmpeg_load(&f));
    test_ok(sm_ffmpeg_load(&again));
    assert_memory_equal(&f, &again, sizeof f);
    AVFrame *frame = f.av_frame_alloc();
    assert_non_null(frame);
    f.av_frame_free(&frame);
    assert_null(frame);
}

/* The message of an m4a on a machine without FFmpeg says what to install. */
static void what_is_missing_is_named_with_its_package(void **state)
{
    static const char *const libraries[] = { "libavutil", "libavcodec", "libavformat" };
    sm_audio *a = NULL;

    (void)state;
    for (size_t i = 0; i < SM_LENGTH(libraries); i++) {
        missing = libraries[i];
        test_fails(sm_audio_open("tests/data/audio/tone_alac.m4a", &a), SM_EUNSUPPORTED,
                   "Debian packages libavformat59");
        assert_non_null(strstr(sm_last_error(), "tests/data/audio/tone_alac.m4a: an MP4 file"));
        assert_null(a);
    }
    missing = NULL;
    test_ok(sm_audio_open("tests/data/audio/tone_alac.m4a", &a));
    sm_audio_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_there_and_loading_twice_is_fine),
        cmocka_unit_test(what_is_missing_is_named_with_its_package),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
