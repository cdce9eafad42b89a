/* Writing sound files: what comes back, what is refused, and that nothing half-written stays. */
#include "sounds.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define PLACED(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

static const char *named(const test_place *place, const char *ending)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/sound%s", place->folder, ending);
    return path;
}

static int write_all(const char *path, const sm_audio_write_options *o, const float *x, size_t frames)
{
    sm_audio_writer *w = NULL;
    int err = sm_audio_writer_open(path, o, &w);
    if (err < 0)
        return err;
    for (size_t i = 0; err == 0 && i < frames; i += 1000)
        err = sm_audio_writer_write(w, x + i * (size_t)o->channels, SM_MIN(frames - i, (size_t)1000));
    if (err < 0) {
        sm_audio_writer_abandon(w);
        return err;
    }
    return sm_audio_writer_commit(w);
}

static sm_floats read_all(const char *path, sm_audio_info *info)
{
    sm_audio *a = NULL;
    test_ok(sm_audio_open(path, &a));
    sm_floats y = test_read_rest(a, 4096);
    *info = *sm_audio_get_info(a);
    if (sm_audio_warning(a))
        fail_msg("%s", sm_audio_warning(a));
    sm_audio_close(a);
    return y;
}

static const struct {
    const char *ending;
    sm_sample_format format;
    const char *container, *codec;
    double tolerance; /* half a step: rounding is plain */
} lossless[] = {
    { ".wav", SM_SAMPLE_S16, "wav", "pcm_s16", 0.5 / 32768 },
    { ".wav", SM_SAMPLE_S24, "wav", "pcm_s24", 0.5 / 8388608 },
    { ".wav", SM_SAMPLE_F32, "wav", "pcm_f32", 0 },
    { ".flac", SM_SAMPLE_S16, "flac", "flac", 0.5 / 32768 },
    { ".flac", SM_SAMPLE_S24, "flac", "flac", 0.5 / 8388608 },
    { ".FLAC", SM_SAMPLE_S16, "flac", "flac", 0.5 / 32768 },
    { ".aiff", SM_SAMPLE_S24, "aiff", "pcm_s24", 0.5 / 8388608 },
    { ".aif", SM_SAMPLE_F32, "aiff", "pcm_f32", 0 },
    { ".caf", SM_SAMPLE_S16, "caf", "pcm_s16", 0.5 / 32768 },
    { ".w64", SM_SAMPLE_F32, "w64", "pcm_f32", 0 },
};

static void lossless_files_come_back_to_half_a_step(void **state)
{
    static const struct {
        int rate, channels;
    } shapes[] = { { 44100, 2 }, { 8000, 1 }, { 192000, 1 }, { 48000, 6 } };

    for (size_t k = 0; k < SM_LENGTH(lossless); k++)
        for (size_t j = 0; j < SM_LENGTH(shapes); j++) {
            const char *path = named(*state, lossless[k].ending);
            const sm_audio_write_options o = { .rate_hz = shapes[j].rate,
                                               .channels = shapes[j].channels,
                                               .format = lossless[k].format };
            float *x = test_sines(o.rate_hz, o.channels, 5000);
            sm_audio_info info;
            test_ok(write_all(path, &o, x, 5000));
            sm_floats y = read_all(path, &info);
            assert_string_equal(info.container, lossless[k].container);
            assert_string_equal(info.codec, lossless[k].codec);
            assert_int_equal(info.rate_hz, o.rate_hz);
            assert_int_equal(y.length, 5000 * (size_t)o.channels);
            for (size_t i = 0; i < y.length; i++)
                if (fabs((double)y.data[i] - x[i]) > lossless[k].tolerance * 1.0001)
                    fail_msg("%s %s: sample %zu is %.9g, expected %.9g", lossless[k].ending, info.codec, i,
                             (double)y.data[i], (double)x[i]);
            sm_floats_free(&y);
            sm_free(x);
        }
}

/* Lengths to the sample, and a sound that is the same: measured 35 to 60 dB. */
static void lossy_files_keep_length_and_sound(void **state)
{
    static const struct {
        const char *ending, *codec;
        int rate, kbps;
    } rows[] = { { ".mp3", "mp3", 44100, 0 },
                 { ".mp3", "mp3", 48000, 128 },
                 { ".mp3", "mp3", 22050, 0 },
                 { ".ogg", "vorbis", 44100, 0 },
                 { ".opus", "opus", 48000, 0 } };

    for (size_t k = 0; k < SM_LENGTH(rows); k++) {
        const char *path = named(*state, rows[k].ending);
        const size_t frames = (size_t)rows[k].rate;
        const sm_audio_write_options o = { .rate_hz = rows[k].rate, .channels = 2, .mp3_bitrate_kbps = rows[k].kbps };
        float *x = test_sines(o.rate_hz, 2, frames);
        double signal = 0, noise = 0, product = 0;
        sm_audio_info info;
        test_ok(write_all(path, &o, x, frames));
        sm_floats y = read_all(path, &info);
        assert_string_equal(info.codec, rows[k].codec);
        assert_int_equal(y.length, 2 * frames);
        for (size_t i = frames / 4; i < frames; i++) {
            signal += x[i] * x[i];
            product += x[i] * y.data[i];
        }
        const double gain = product / signal; /* LAME takes up to 5 % off, against clipping */
        for (size_t i = frames / 4; i < frames; i++)
            noise += pow(y.data[i] - gain * x[i], 2);
        if (10 * log10(signal / noise) < 28 || gain < 0.94 || gain > 1.01)
            fail_msg("%s at %d Hz: %.1f dB, gain %.3f", rows[k].ending, rows[k].rate, 10 * log10(signal / noise), gain);
        sm_floats_free(&y);
        sm_free(x);
    }
}

/* 1 s of tone at a constant rate: the file's size says which. */
static void mp3_has_the_bitrate_that_is_asked_for(void **state)
{
    static const int rates[] = { 320, 192, 128, 64 };
    float *x = test_sines(44100, 2, 441000);

    for (size_t k = 0; k < SM_LENGTH(rates); k++) {
        const char *path = named(*state, ".mp3");
        const sm_audio_write_options o = { .rate_hz = 44100, .channels = 2, .mp3_bitrate_kbps = rates[k] };
        sm_audio_info info;
        test_ok(write_all(path, &o, x, 441000));
        sm_floats y = read_all(path, &info);
        if (fabs((double)info.bitrate_bps / (rates[k] * 1000.0) - 1) > 0.02)
            fail_msg("%d kbit/s asked for, %lld bit/s written", rates[k], (long long)info.bitrate_bps);
        sm_floats_free(&y);
    }
    sm_free(x);
}

static void integers_are_rounded_and_clamped(void **state)
{
    const float x[] = { 0, 1, 2, -1, -2, 0.5f / 32768, 1.5f / 32768, -0.6f / 32768, 32767.4f / 32768, NAN };
    const double expected[] = { 0, 32767, 32767, -32768, -32768, 0, 2, -1, 32767, 0 }; /* halves go to even */
    const char *path = named(*state, ".wav");
    const sm_audio_write_options o = { .rate_hz = 44100, .channels = 1, .format = SM_SAMPLE_S16 };
    sm_audio_info info;

    test_ok(write_all(path, &o, x, SM_LENGTH(x)));
    sm_floats y = read_all(path, &info);
    for (size_t i = 0; i < SM_LENGTH(x); i++)
        if (y.data[i] * 32768.0 != expected[i])
            fail_msg("%g became %g, expected %g", (double)x[i], y.data[i] * 32768.0, expected[i]);
    sm_floats_free(&y);
}

/* A sine of half a step: rounded it is silence or a square; with dither its level survives in the mean. */
static void dither_keeps_what_rounding_loses_and_is_repeatable(void **state)
{
    enum { N = 200000 };
    sm_audio_write_options o = { .rate_hz = 44100, .channels = 1, .format = SM_SAMPLE_S16, .dither = true };
    float *x = sm_alloc(N, sizeof *x);
    double correlation = 0, power = 0;
    sm_audio_info info;

    for (size_t i = 0; i < N; i++)
        x[i] = (float)(0.4 / 32768 * sin(2 * M_PI * 0.01 * (double)i));
    test_ok(write_all(named(*state, ".wav"), &o, x, N));
    sm_floats y = read_all(named(*state, ".wav"), &info), again;
    for (size_t i = 0; i < N; i++) {
        correlation += x[i] * y.data[i];
        power += x[i] * x[i];
    }
    assert_true(fabs(correlation / power - 1) < 0.05); /* noise of 0.5 steps rms over 200,000 samples: 0.4 % */
    test_ok(write_all(named(*state, ".wav"), &o, x, N));
    again = read_all(named(*state, ".wav"), &info);
    assert_memory_equal(y.data, again.data, y.length * sizeof *y.data);
    sm_floats_free(&y);
    sm_floats_free(&again);
    o.dither = false;
    test_ok(write_all(named(*state, ".wav"), &o, x, N));
    y = read_all(named(*state, ".wav"), &info);
    for (size_t i = 0; i < N; i++)
        assert_true(y.data[i] == 0);
    sm_floats_free(&y);
    sm_free(x);
}

static void the_same_samples_give_the_same_bytes(void **state)
{
    static const char *const endings[] = { ".wav", ".flac", ".mp3", ".aiff", ".caf" };
    float *x = test_sines(44100, 2, 20000);

    for (size_t k = 0; k < SM_LENGTH(endings); k++) {
        const sm_audio_write_options o = { .rate_hz = 44100,
                                           .channels = 2,
                                           .format = k == 0 ? SM_SAMPLE_F32 : SM_SAMPLE_S16 };
        sm_buffer file[2] = { { 0 } };
        for (int i = 0; i < 2; i++) {
            test_ok(write_all(named(*state, endings[k]), &o, x, 20000));
            test_ok(sm_file_read(named(*state, endings[k]), 1 << 24, &file[i]));
        }
        assert_int_equal(file[0].length, file[1].length);
        assert_memory_equal(file[0].data, file[1].data, file[0].length);
        sm_buffer_free(&file[0]);
        sm_buffer_free(&file[1]);
    }
    sm_free(x);
}

static void texts_are_written_and_read_back(void **state)
{
    static const char *const endings[] = { ".wav", ".flac", ".ogg", ".mp3" };
    float *x = test_sines(44100, 1, 5000);

    for (size_t k = 0; k < SM_LENGTH(endings); k++) {
        const sm_audio_write_options o = {
            .rate_hz = 44100, .channels = 1, .title = "A t\xc3\xaftle", .comment = "{\"prompt\": \"rain\", \"seed\": 7}"
        };
        sm_audio *a = NULL;
        int found = 0;
        test_ok(write_all(named(*state, endings[k]), &o, x, 5000));
        test_ok(sm_audio_open(named(*state, endings[k]), &a));
        const sm_audio_metadata *m = sm_audio_get_metadata(a);
        for (size_t i = 0; i < m->n_tags; i++) {
            found += strcmp(m->tags[i].key, "title") == 0 && strcmp(m->tags[i].value, o.title) == 0;
            found += strcmp(m->tags[i].key, "comment") == 0 && strcmp(m->tags[i].value, o.comment) == 0;
        }
        if (found != 2)
            fail_msg("%s: %d of 2 texts came back", endings[k], found);
        sm_audio_close(a);
    }
    sm_free(x);
}

static void refuses_what_a_container_cannot_hold(void **state)
{
    static const struct {
        const char *ending;
        sm_audio_write_options o;
        const char *says;
    } rows[] = {
        { ".xyz", { .rate_hz = 44100, .channels = 1 }, "the name's ending" },
        { "", { .rate_hz = 44100, .channels = 1 }, "the name's ending" },
        { ".mp3", { .rate_hz = 44100, .channels = 3 }, "3 channels; mp3 takes 1 to 2" },
        { ".mp3", { .rate_hz = 96000, .channels = 2 }, "mp3 has no 96000 Hz" },
        { ".opus", { .rate_hz = 44100, .channels = 2 }, "Opus has no 44100 Hz" },
        { ".flac", { .rate_hz = 44100, .channels = 2, .format = SM_SAMPLE_F32 }, "16 or 24 bits" },
        { ".wav", { .rate_hz = 44100, .channels = 0 }, "0 channels" },
        { ".wav", { .rate_hz = 0, .channels = 1 }, "0 Hz" },
    };
    sm_audio_writer *w = NULL;

    for (size_t k = 0; k < SM_LENGTH(rows); k++) {
        test_fails(sm_audio_writer_open(named(*state, rows[k].ending), &rows[k].o, &w), SM_EUNSUPPORTED, rows[k].says);
        assert_null(w);
    }
}

static int files_in(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2; /* . and .. */
}

static void nothing_is_there_until_it_is_whole(void **state)
{
    test_place *place = *state;
    const sm_audio_write_options o = { .rate_hz = 44100, .channels = 1 };
    const float x[100] = { 0.5f };
    sm_audio_writer *w = NULL;

    test_ok(sm_audio_writer_open(named(place, ".wav"), &o, &w));
    test_ok(sm_audio_writer_write(w, x, 100));
    assert_int_equal(access(named(place, ".wav"), F_OK), -1);
    sm_audio_writer_abandon(w);
    assert_int_equal(files_in(place->folder), 0);
    test_fails(sm_audio_writer_open("/nowhere/at/all.wav", &o, &w), SM_ENOTFOUND, "/nowhere/at/all.wav");
}

/* A limit on the size of files stands in for a full disk; the old file stays as it was. */
static void a_full_disk_is_said_and_leaves_no_trace(void **state)
{
    static const char *const endings[] = { ".wav", ".flac", ".mp3", ".ogg" };
    test_place *place = *state;
    const sm_audio_write_options o = { .rate_hz = 44100, .channels = 2 };
    const size_t frames = 441000;
    float *x = sm_alloc(2 * frames, sizeof *x);
    struct rlimit old;

    test_fill(x, 2 * frames, "write.noise", 1, 0, 0.9);
    signal(SIGXFSZ, SIG_IGN); /* then writing fails with EFBIG, as on a full disk with ENOSPC */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (size_t k = 0; k < SM_LENGTH(endings); k++) {
        const char *path = named(place, endings[k]);
        const struct rlimit small = { 50000, old.rlim_max };
        sm_buffer kept = { 0 };
        test_write_file(path, "old", 3);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        const int err = write_all(path, &o, x, frames);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        if (err != SM_EIO || !strstr(sm_last_error(), path))
            fail_msg("%s: %s \"%s\"", endings[k], sm_code_name(err), sm_last_error());
        test_ok(sm_file_read(path, 100, &kept));
        assert_string_equal(kept.data, "old");
        sm_buffer_free(&kept);
    }
    assert_int_equal(files_in(place->folder), (int)SM_LENGTH(endings)); /* no temporary files */
    sm_free(x);
}

static int write_one(void *user)
{
    const sm_audio_write_options o = { .rate_hz = 44100, .channels = 1, .title = "t" };
    const float x[100] = { 0.5f };
    return write_all(user, &o, x, 100);
}

static void survives_any_failed_allocation(void **state)
{
    test_place *place = *state;
    test_every_allocation_may_fail(write_one, (void *)named(place, ".wav"));
    test_every_allocation_may_fail(write_one, (void *)named(place, ".flac"));
}

static void the_mix_to_one_channel_is_the_mean(void **state)
{
    const float x[12] = { 1, 2, 3, -1, 5, 8, 0.5f, 0.25f, 0, 7, 7, 7 };
    float y[12];

    (void)state;
    sm_downmix(x, 12, 1, y);
    assert_memory_equal(x, y, sizeof x);
    sm_downmix(x, 6, 2, y);
    assert_float_equal(y[0], 1.5, 0);
    assert_float_equal(y[3], 0.375, 0);
    sm_downmix(x, 4, 3, y);
    assert_float_equal(y[0], 2, 1e-6);
    assert_float_equal(y[1], 4, 1e-6);
    assert_float_equal(y[3], 7, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(lossless_files_come_back_to_half_a_step),
        PLACED(lossy_files_keep_length_and_sound),
        PLACED(mp3_has_the_bitrate_that_is_asked_for),
        PLACED(integers_are_rounded_and_clamped),
        PLACED(dither_keeps_what_rounding_loses_and_is_repeatable),
        PLACED(the_same_samples_give_the_same_bytes),
        PLACED(texts_are_written_and_read_back),
        PLACED(refuses_what_a_container_cannot_hold),
        PLACED(nothing_is_there_until_it_is_whole),
        PLACED(a_full_disk_is_said_and_leaves_no_trace),
        PLACED(survives_any_failed_allocation),
        cmocka_unit_test(the_mix_to_one_channel_is_the_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
