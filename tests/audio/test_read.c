/* Reading sound files of every kind, and those that are no sound or not what they say. */
#include "sounds.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* libsndfile 1.2.0 forgets libvorbis's info when the headers of an Ogg file are damaged; that is not ours to free. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:vorbis_info_init\n";
}

#define DATA "tests/data/audio/"

/* ---- what is written comes back ---- */

static const struct {
    int format;
    const char *container, *codec;
    int bits;
    double tolerance; /* of a sample: libsndfile scales by 32767 and cuts off, or what the codec is known to lose */
} formats[] = {
    { SF_FORMAT_WAV | SF_FORMAT_PCM_U8, "wav", "pcm_u8", 8, 2.0 / 128 },
    { SF_FORMAT_WAV | SF_FORMAT_PCM_16, "wav", "pcm_s16", 16, 2.0 / 32768 },
    { SF_FORMAT_WAV | SF_FORMAT_PCM_24, "wav", "pcm_s24", 24, 2.0 / 8388608 },
    { SF_FORMAT_WAV | SF_FORMAT_PCM_32, "wav", "pcm_s32", 32, 1e-7 },
    { SF_FORMAT_WAV | SF_FORMAT_FLOAT, "wav", "pcm_f32", 32, 0 },
    { SF_FORMAT_WAV | SF_FORMAT_DOUBLE, "wav", "pcm_f64", 64, 0 },
    { SF_FORMAT_WAV | SF_FORMAT_ULAW, "wav", "pcm_mulaw", 8, 0.04 },
    { SF_FORMAT_WAV | SF_FORMAT_ALAW, "wav", "pcm_alaw", 8, 0.04 },
    { SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, "wav", "pcm_s24", 24, 2.0 / 8388608 },
    { SF_FORMAT_WAVEX | SF_FORMAT_FLOAT, "wav", "pcm_f32", 32, 0 },
    { SF_FORMAT_RF64 | SF_FORMAT_PCM_24, "rf64", "pcm_s24", 24, 2.0 / 8388608 },
    { SF_FORMAT_W64 | SF_FORMAT_PCM_16, "w64", "pcm_s16", 16, 2.0 / 32768 },
    { SF_FORMAT_AIFF | SF_FORMAT_PCM_S8, "aiff", "pcm_s8", 8, 2.0 / 128 },
    { SF_FORMAT_AIFF | SF_FORMAT_PCM_16, "aiff", "pcm_s16", 16, 2.0 / 32768 },
    { SF_FORMAT_AIFF | SF_FORMAT_PCM_24, "aiff", "pcm_s24", 24, 2.0 / 8388608 },
    { SF_FORMAT_AIFF | SF_FORMAT_FLOAT, "aiff", "pcm_f32", 32, 0 },
    { SF_FORMAT_CAF | SF_FORMAT_PCM_24, "caf", "pcm_s24", 24, 2.0 / 8388608 },
    { SF_FORMAT_CAF | SF_FORMAT_FLOAT, "caf", "pcm_f32", 32, 0 },
    { SF_FORMAT_CAF | SF_FORMAT_ALAC_16, "caf", "alac", 16, 2.0 / 32768 },
    { SF_FORMAT_FLAC | SF_FORMAT_PCM_16, "flac", "flac", 16, 2.0 / 32768 },
    { SF_FORMAT_FLAC | SF_FORMAT_PCM_24, "flac", "flac", 24, 2.0 / 8388608 },
    { SF_FORMAT_AU | SF_FORMAT_PCM_16, "au", "pcm_s16", 16, 2.0 / 32768 },
};

static void round_trip(const char *path, size_t row, int rate, int channels)
{
    enum { FRAMES = 3002 };
    float *x = test_sines(rate, channels, FRAMES);
    sm_audio *a = NULL;

    test_write_sndfile(path, formats[row].format, rate, channels, x, FRAMES);
    test_ok(sm_audio_open(path, &a));
    const sm_audio_info *info = sm_audio_get_info(a);
    assert_string_equal(info->container, formats[row].container);
    assert_string_equal(info->codec, formats[row].codec);
    assert_int_equal(info->bit_depth, formats[row].bits);
    assert_int_equal(info->rate_hz, rate);
    assert_int_equal(info->channels, channels);
    if (info->frames != FRAMES)
        fail_msg("%s %s, %d channels: %lld frames", info->container, info->codec, channels, (long long)info->frames);
    sm_floats y = test_read_rest(a, 1000);
    assert_int_equal(y.length, (size_t)FRAMES * (size_t)channels);
    for (size_t i = 0; i < y.length; i++)
        if (fabs(y.data[i] - x[i]) > formats[row].tolerance)
            fail_msg("%s %s, %d Hz, %d channels: sample %zu is %g, expected %g", formats[row].container,
                     formats[row].codec, rate, channels, i, (double)y.data[i], (double)x[i]);
    assert_null(sm_audio_warning(a));
    sm_floats_free(&y);
    sm_audio_close(a);
    sm_free(x);
}

/* The name says nothing: all files are called FOLDER/file. */
static void reads_every_lossless_format_by_its_content(void **state)
{
    const char *path = ((test_place *)*state)->path;
    static const struct {
        int rate, channels;
    } shapes[] = { { 44100, 1 }, { 8000, 2 }, { 192000, 6 }, { 48000, 8 } };

    for (size_t row = 0; row < SM_LENGTH(formats); row++)
        for (size_t k = 0; k < SM_LENGTH(shapes); k++) {
            SF_INFO sf = { .format = formats[row].format,
                           .samplerate = shapes[k].rate,
                           .channels = shapes[k].channels };
            if (sf_format_check(&sf))
                round_trip(path, row, shapes[k].rate, shapes[k].channels);
        }
}

/* Signal-to-noise ratio in dB against the sine that went in, away from the edges. */
static double snr_db(const sm_floats *y, int rate, int channels)
{
    const size_t frames = y->length / (size_t)channels;
    double signal = 0, noise = 0;
    for (size_t i = frames / 8; i < frames * 7 / 8; i++)
        for (int c = 0; c < channels; c++) {
            const double s = test_sine(rate, (int64_t)i, c);
            signal += s * s;
            noise += pow(y->data[i * (size_t)channels + (size_t)c] - s, 2);
        }
    return 10 * log10(signal / noise);
}

/* Length to the sample (delay and padding cut off) and the sound in its place: one sample of shift at 330 Hz would leave 26 dB. */
static void reads_lossy_formats_in_place(void **state)
{
    static const struct {
        int format, rate;
        const char *container, *codec;
        double snr_db,
            block; /* measured 33 to 60; a shift by one sample is below; frames that may fill the last block */
    } rows[] = {
        { SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, "ogg", "vorbis", 28, 0 },
        { SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000, "ogg", "opus", 28, 0 },
        { SF_FORMAT_OGG | SF_FORMAT_OPUS, 16000, "ogg", "opus", 28, 0 },
        { SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100, "mp3", "mp3", 28, 0 },
        { SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 16000, "mp3", "mp3", 28, 0 },
        { SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, 44100, "wav", "adpcm_ima", 28, 2041 },
        { SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM, 44100, "wav", "adpcm_ms", 28, 2036 },
    };
    const char *path = ((test_place *)*state)->path;

    for (size_t k = 0; k < SM_LENGTH(rows); k++) {
        const size_t frames = (size_t)rows[k].rate;
        float *x = test_sines(rows[k].rate, 2, frames);
        sm_audio *a = NULL;
        test_write_sndfile(path, rows[k].format, rows[k].rate, 2, x, frames);
        test_ok(sm_audio_open(path, &a));
        const sm_audio_info *info = sm_audio_get_info(a);
        const bool opus = strcmp(rows[k].codec, "opus") == 0;
        const int rate = opus ? 48000 : rows[k].rate;
        assert_string_equal(info->container, rows[k].container);
        assert_string_equal(info->codec, rows[k].codec);
        assert_int_equal(info->rate_hz, rate); /* Opus is 48 kHz whatever it was made from */
        assert_int_equal(info->bit_depth, 0);
        sm_floats y = test_read_rest(a, 4096);
        const double snr = snr_db(&y, rate, 2);
        const int64_t frames_read = (int64_t)y.length / 2;
        if (frames_read < rate || frames_read > rate + rows[k].block || info->frames != frames_read ||
            snr < rows[k].snr_db)
            fail_msg("%s at %d Hz: %zu frames (header: %lld), %.1f dB; expected %d and %g", rows[k].codec, rows[k].rate,
                     y.length / 2, (long long)info->frames, snr, rate, rows[k].snr_db);
        if (sm_audio_warning(a))
            fail_msg("%s", sm_audio_warning(a));
        sm_floats_free(&y);
        sm_audio_close(a);
        sm_free(x);
    }
}

static const char *tag(const sm_audio *a, const char *key)
{
    const sm_audio_metadata *m = sm_audio_get_metadata(a);
    for (size_t i = 0; i < m->n_tags; i++)
        if (strcmp(m->tags[i].key, key) == 0)
            return m->tags[i].value;
    return "(none)";
}

/* tone_aac.m4a: 1 s of 440 Hz at 0.5 left, 660 Hz at 0.25 right, by FFmpeg's AAC encoder: measured 26 dB. */
static void reads_m4a_through_ffmpeg(void **state)
{
    sm_audio *a = NULL;
    double noise = 0, signal = 0;

    (void)state;
    test_ok(sm_audio_open(DATA "tone_aac.m4a", &a));
    assert_string_equal(sm_audio_get_info(a)->codec, "aac");
    assert_string_equal(sm_audio_get_info(a)->container, "m4a");
    assert_string_equal(tag(a, "title"), "A tone");
    sm_floats y = test_read_rest(a, 777);
    assert_int_equal(y.length, 2 * 44100); /* without the encoder's delay and padding */
    for (size_t i = 8000; i < 40000; i++) {
        const double s = 0.5 * sin(2 * M_PI * 440 * (double)i / 44100);
        signal += s * s;
        noise += pow(y.data[2 * i] - s, 2);
    }
    assert_true(10 * log10(signal / noise) > 23);
    assert_null(sm_audio_warning(a));
    sm_floats_free(&y);
    sm_audio_close(a);
}

/* 440 Hz at 0.5, 16 bits, 22.05 kHz, in containers that only FFmpeg reads: exact to the bit. */
static void reads_alac_and_ogg_flac_through_ffmpeg(void **state)
{
    static const char *const files[] = { DATA "tone_alac.m4a", DATA "tone_flac.oga" };

    (void)state;
    for (size_t k = 0; k < SM_LENGTH(files); k++) {
        sm_audio *a = NULL;
        test_ok(sm_audio_open(files[k], &a));
        assert_int_equal(sm_audio_get_info(a)->bit_depth, 16);
        sm_floats y = test_read_rest(a, 1 << 14);
        assert_int_equal(y.length, 11025);
        for (size_t i = 0; i < y.length; i++)
            assert_true(fabs(y.data[i] - rint(32768 * 0.5 * sin(2 * M_PI * 440 * (double)i / 22050)) / 32768) < 1e-9);
        sm_floats_free(&y);
        sm_audio_close(a);
    }
}

/* 2 s of silence at the lowest bit rate, then 1 s of tone at a higher one, no Xing header: a reader that believes the first
 * frame's rate stops early. 118 MPEG frames were counted by hand in the file. */
static void reads_a_vbr_mp3_without_a_header_to_its_end(void **state)
{
    sm_audio *a = NULL;
    double last = 0;

    (void)state;
    test_ok(sm_audio_open(DATA "vbr_without_xing.mp3", &a));
    assert_int_equal(sm_audio_get_info(a)->frames, 118 * 1152);
    sm_floats y = test_read_rest(a, 4096);
    assert_int_equal(y.length, 2 * 118 * 1152);
    for (size_t i = y.length - 20000; i < y.length - 10000; i += 2)
        last = fmax(last, fabs(y.data[i]));
    assert_true(last > 0.45);
    assert_null(sm_audio_warning(a));
    sm_floats_free(&y);
    sm_audio_close(a);
}

/* Reading on from a place gives what reading through gave there. Lossy decoders need a run-up and are equal to rounding. */
static void seeks_to_the_sample(void **state)
{
    static const char *const files[] = { DATA "tone_aac.m4a", DATA "tone_alac.m4a", DATA "vbr_without_xing.mp3", NULL };
    static const int64_t places[] = { 9000, 0, 11000, 5, 4608 };
    test_place *place = *state;

    float *x = test_sines(44100, 2, 30000);
    test_write_sndfile(place->path, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 2, x, 30000);
    for (size_t k = 0; k < SM_LENGTH(files); k++) {
        sm_audio *a = NULL;
        test_ok(sm_audio_open(files[k] ? files[k] : place->path, &a));
        const size_t channels = (size_t)sm_audio_get_info(a)->channels;
        sm_floats whole = test_read_rest(a, 4096);
        for (size_t p = 0; p < SM_LENGTH(places); p++) {
            test_ok(sm_audio_seek(a, places[p]));
            sm_floats rest = test_read_rest(a, 999);
            assert_int_equal(rest.length, whole.length - (size_t)places[p] * channels);
            for (size_t i = 0; i < rest.length; i++)
                if (fabsf(rest.data[i] - whole.data[i + (size_t)places[p] * channels]) > 1e-4f)
                    fail_msg("%s from %lld: sample %zu differs", files[k] ? files[k] : "flac", (long long)places[p], i);
            sm_floats_free(&rest);
        }
        test_fails(sm_audio_seek(a, 1 << 30), SM_EUSAGE, "does not exist");
        sm_floats_free(&whole);
        sm_audio_close(a);
    }
    sm_free(x);
}

/* ---- what is wrong is said in one sentence ---- */

static void no_sound_is_said_with_the_file_and_what_it_is(void **state)
{
    test_place *place = *state;
    sm_audio *a = NULL;
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } rows[] = {
        { "", 0, "the file is empty" },
        { "Dear diary,\nthis is no sound.\n", 30, "it holds text" },
        { "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16, "a PNG image" },
        { "\1\2\3\4\5\6\7\x08\x0e\x0f", 10, "unknown bytes (01 02 03 04)" },
        { "RIFF\4\0\0\0WAVE", 12, "a wav file that cannot be read" },
        { "fLaC", 4, "a flac file that cannot be read" },
        { "OggS", 4, "an Ogg file that cannot be read" },
    };

    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        test_write_file(place->path, rows[i].bytes, rows[i].n);
        test_fails(sm_audio_open(place->path, &a), SM_EFORMAT, rows[i].says);
        assert_non_null(strstr(sm_last_error(), place->path));
        assert_null(a);
    }
    test_fails(sm_audio_open(place->folder, &a), SM_EIO, "is a directory");
    test_fails(sm_audio_open("/dev/null", &a), SM_EIO, "is a device");
    test_fails(sm_audio_open("/nowhere/at all.wav", &a), SM_ENOTFOUND, "/nowhere/at all.wav");
    unlink(place->path);
    assert_int_equal(mkfifo(place->path, 0600), 0);
    test_fails(sm_audio_open(place->path, &a), SM_EIO, "is a pipe"); /* and does not wait for a writer */
}

static void no_permission_is_said(void **state)
{
    test_place *place = *state;
    sm_audio *a = NULL;

    if (geteuid() == 0)
        test_skip("root may read everything");
    test_write_file(place->path, "RIFF", 4);
    assert_int_equal(chmod(place->path, 0), 0);
    test_fails(sm_audio_open(place->path, &a), SM_EIO, "ermission");
}

static void names_are_bytes(void **state)
{
    test_place *place = *state;
    char path[256];
    sm_audio *a = NULL;
    const int16_t x[100] = { 1 };
    sm_buffer wav = test_wav(44100, x, 100, 236, 200);

    snprintf(path, sizeof path, "%s/na\xefve: \xff name", place->folder);
    test_write_file(path, wav.data, wav.length);
    test_ok(sm_audio_open(path, &a));
    sm_audio_close(a);
    sm_buffer_free(&wav);
}

static void refuses_rates_and_channels_beyond_its_limits(void **state)
{
    const char *path = ((test_place *)*state)->path;
    float *x = test_sines(44100, 9, 100);
    sm_audio *a = NULL;

    test_write_sndfile(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 9, x, 100);
    test_fails(sm_audio_open(path, &a), SM_EUNSUPPORTED, "9 channels");
    test_write_sndfile(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 4000, 1, x, 100);
    test_fails(sm_audio_open(path, &a), SM_EUNSUPPORTED, "4000 Hz");
    test_write_sndfile(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 384000, 1, x, 100);
    test_fails(sm_audio_open(path, &a), SM_EUNSUPPORTED, "384000 Hz");
    test_write_sndfile(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 1, x, 0);
    test_fails(sm_audio_open(path, &a), SM_EFORMAT, "without any audio");
    sm_free(x);
}

/* ---- headers that lie ---- */

static void audio_that_is_there_is_read_whatever_the_header_says(void **state)
{
    enum { FRAMES = 88200, ALL = 2 * FRAMES };
    static int16_t x[FRAMES];
    static const struct {
        uint32_t riff, data;
        size_t cut;    /* bytes missing at the end */
        size_t frames; /* that must come out */
        const char *warning;
    } rows[] = {
        { 36 + ALL, ALL, 0, FRAMES, NULL },
        { 0xffffffff, 0xffffffff, 0, FRAMES, NULL },      /* streamed by ffmpeg */
        { 0x7ffff024, 0x7ffff000, 0, FRAMES, NULL },      /* streamed by sox */
        { 0, 0, 0, FRAMES, "header was never finished" }, /* the recorder died */
        { 36, 0, 0, FRAMES, "header was never finished" },
        { 36 + ALL, ALL, ALL / 2, FRAMES / 2, "1.000 s of the 2.000 s" },
        { 36 + ALL, ALL, ALL / 2 + 1, FRAMES / 2 - 1, "of the 2.000 s" }, /* in the middle of a sample */
        { 36 + ALL, ALL, 2, FRAMES - 1, "the last 1 frames" },
        { 36 + 4 * ALL, 4 * ALL, 0, FRAMES, "2.000 s of the 8.000 s" },
        { 1, ALL, 0, FRAMES, NULL },
        { 36 + 20000, 20000, 0, 10000, "does not explain" },
    };
    const char *path = ((test_place *)*state)->path;

    for (size_t i = 0; i < FRAMES; i++)
        x[i] = (int16_t)(i % 20011 - 10000);
    for (size_t k = 0; k < SM_LENGTH(rows); k++) {
        sm_buffer wav = test_wav(44100, x, FRAMES, rows[k].riff, rows[k].data);
        sm_audio *a = NULL;
        test_write_file(path, wav.data, wav.length - rows[k].cut);
        test_ok(sm_audio_open(path, &a));
        sm_floats y = test_read_rest(a, 4096);
        const char *warning = sm_audio_warning(a);
        if (y.length != rows[k].frames || !warning != !rows[k].warning ||
            (warning && !strstr(warning, rows[k].warning)))
            fail_msg("row %zu: %zu frames, \"%s\"; expected %zu, \"%s\"", k, y.length, warning ? warning : "",
                     rows[k].frames, rows[k].warning ? rows[k].warning : "");
        for (size_t i = 0; i < y.length; i++)
            assert_true(y.data[i] == (float)x[i] / 32768);
        sm_floats_free(&y);
        sm_audio_close(a);
        sm_buffer_free(&wav);
    }
}

static void a_wrong_block_align_is_put_right(void **state)
{
    const char *path = ((test_place *)*state)->path;
    int16_t x[1000];
    sm_audio *a = NULL;

    for (int i = 0; i < 1000; i++)
        x[i] = (int16_t)(i * 17);
    static const uint8_t wrong[] = { 0, 1, 3, 200 };
    for (size_t k = 0; k < SM_LENGTH(wrong); k++) {
        sm_buffer wav = test_wav(44100, x, 1000, 2036, 2000);
        wav.data[32] = (char)wrong[k];
        test_write_file(path, wav.data, wav.length);
        test_ok(sm_audio_open(path, &a));
        sm_floats y = test_read_rest(a, 4096);
        assert_int_equal(y.length, 1000);
        for (size_t i = 0; i < 1000; i++)
            assert_true(y.data[i] == (float)x[i] / 32768);
        sm_floats_free(&y);
        sm_audio_close(a);
        sm_buffer_free(&wav);
    }
}

static void what_is_not_a_number_is_read_as_0_and_counted(void **state)
{
    const char *path = ((test_place *)*state)->path;
    float x[100] = { 0.25f, NAN, INFINITY, -INFINITY, 0.5f };
    sm_audio *a = NULL;

    test_write_sndfile(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 44100, 1, x, 100);
    test_ok(sm_audio_open(path, &a));
    sm_floats y = test_read_rest(a, 64);
    const float expected[5] = { 0.25f, 0, 0, 0, 0.5f };
    assert_memory_equal(y.data, expected, sizeof expected);
    assert_non_null(strstr(sm_audio_warning(a), "3 samples are not numbers"));
    sm_floats_free(&y);
    sm_audio_close(a);
}

static void a_cut_file_gives_what_is_there_and_says_so(void **state)
{
    static const struct {
        int format;
        const char *warning;
    } rows[] = { { SF_FORMAT_FLAC | SF_FORMAT_PCM_16, "after" },
                 { SF_FORMAT_OGG | SF_FORMAT_VORBIS, "its end is missing" },
                 { SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, "promises" } };
    test_place *place = *state;
    float *x = test_sines(44100, 1, 441000);

    for (size_t k = 0; k < SM_LENGTH(rows); k++) {
        sm_buffer file = { 0 };
        sm_audio *a = NULL;
        test_write_sndfile(place->path, rows[k].format, 44100, 1, x, 441000);
        test_ok(sm_file_read(place->path, 1 << 24, &file));
        test_write_file(place->path, file.data, file.length * 3 / 4);
        test_ok(sm_audio_open(place->path, &a));
        sm_floats y = test_read_rest(a, 4096);
        if (!sm_audio_warning(a) || !strstr(sm_audio_warning(a), rows[k].warning) || y.length < 100000 ||
            y.length > 400000)
            fail_msg("row %zu: %zu frames, %s", k, y.length, sm_audio_warning(a) ? sm_audio_warning(a) : "no warning");
        assert_int_equal(sm_audio_get_info(a)->frames < 0, 0); /* known at the end */
        sm_floats_free(&y);
        sm_audio_close(a);
        sm_buffer_free(&file);
    }
    sm_free(x);
}

/* ---- hostile files ---- */

/* Opens and reads to the end, whatever comes; complains when it took more work than it may: seconds of CPU, so that other load does
 * not count, and ten times as many under valgrind. */
static void read_anything(const char *path, const char *what)
{
    static float x[8 * 4096];
    sm_audio *a = NULL;
    int64_t frames = 0, got;
    const double began = sm_cpu_time_s(), most = getenv("SM_UNDER") && *getenv("SM_UNDER") ? 100 : 10;

    if (sm_audio_open(path, &a) == 0) {
        while ((got = sm_audio_read(a, x, 4096)) > 0)
            frames += got;
        sm_audio_close(a);
    } else {
        assert_null(a);
        if (!strstr(sm_last_error(), path))
            fail_msg("%s: \"%s\" does not name the file", what, sm_last_error());
    }
    if (sm_cpu_time_s() - began > most || frames > 100 * 1000 * 1000)
        fail_msg("%s: %.1f s, %lld frames", what, sm_cpu_time_s() - began, (long long)frames);
}

/* 16 MB of ff after a good beginning: once took such programs 45 minutes. */
static void bytes_that_look_like_headers_do_not_hang(void **state)
{
    enum { BYTES = 16 << 20 };
    const char *path = ((test_place *)*state)->path;
    sm_buffer mp3 = { 0 };
    uint8_t *bytes = sm_alloc(BYTES, 1);
    sm_audio *a = NULL;

    assert_non_null(bytes);
    memset(bytes, 0xff, BYTES);
    test_write_file(path, bytes, BYTES);
    test_fails(sm_audio_open(path, &a), SM_EFORMAT, "the byte ff again and again");
    test_ok(sm_file_read(DATA "vbr_without_xing.mp3", 1 << 20, &mp3));
    memcpy(bytes, mp3.data, mp3.length);
    test_write_file(path, bytes, BYTES);
    read_anything(path, "ff after an mp3");
    for (size_t i = mp3.length; i + 1 < BYTES; i += 2)
        bytes[i] = 0xff, bytes[i + 1] = 0xfb;
    test_write_file(path, bytes, BYTES);
    read_anything(path, "ff fb after an mp3");
    sm_free(bytes);
    sm_buffer_free(&mp3);
}

/* A tag of 20 MB before the audio costs neither memory nor time. */
static void a_huge_tag_is_stepped_over(void **state)
{
    enum { TAG = 20 << 20 };
    const char *path = ((test_place *)*state)->path;
    sm_buffer mp3 = { 0 }, file = { 0 };
    uint8_t head[10] = { 'I', 'D', '3', 4, 0, 0, TAG >> 21 & 127, TAG >> 14 & 127, TAG >> 7 & 127, TAG & 127 };
    char *zeros = sm_alloc_zero(TAG, 1);
    sm_audio *a = NULL;

    test_ok(sm_file_read(DATA "vbr_without_xing.mp3", 1 << 20, &mp3));
    sm_buffer_add(&file, head, 10);
    sm_buffer_add(&file, zeros, TAG);
    sm_buffer_add(&file, mp3.data, mp3.length);
    test_write_file(path, file.data, file.length);
    test_ok(sm_audio_open(path, &a));
    assert_int_equal(sm_audio_get_info(a)->frames, 118 * 1152);
    assert_true(sm_audio_get_info(a)->bitrate_bps < 64000); /* the tag is not audio */
    sm_audio_close(a);
    sm_free(zeros);
    sm_buffer_free(&mp3);
    sm_buffer_free(&file);
}

static void survives_cuts_and_flips_of_every_kind(void **state)
{
    static const int kinds[] = { SF_FORMAT_WAV | SF_FORMAT_PCM_16,  SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM,
                                 SF_FORMAT_RF64 | SF_FORMAT_PCM_24, SF_FORMAT_W64 | SF_FORMAT_PCM_16,
                                 SF_FORMAT_AIFF | SF_FORMAT_PCM_24, SF_FORMAT_CAF | SF_FORMAT_PCM_16,
                                 SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_OGG | SF_FORMAT_VORBIS,
                                 SF_FORMAT_OGG | SF_FORMAT_OPUS,    SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III };
    static const char *const fixtures[] = { DATA "tone_aac.m4a", DATA "tone_alac.m4a", DATA "tone_flac.oga" };
    const char *path = ((test_place *)*state)->path;
    const int step = getenv("SM_SAN") && *getenv("SM_SAN") ? 7 : 1; /* sanitizers are slow: every seventh */
    float *x = test_sines(48000, 1, 2000);

    for (size_t k = 0; k < SM_LENGTH(kinds) + SM_LENGTH(fixtures); k++) {
        sm_buffer file = { 0 };
        char what[64];
        if (k < SM_LENGTH(kinds))
            test_write_sndfile(path, kinds[k], 48000, 1, x, 2000);
        test_ok(sm_file_read(k < SM_LENGTH(kinds) ? path : fixtures[k - SM_LENGTH(kinds)], 1 << 20, &file));
        snprintf(what, sizeof what, "kind %zu", k);
        for (size_t n = 1; n < file.length; n += n < 300 ? 5 * (size_t)step : 499) {
            test_write_file(path, file.data, n);
            read_anything(path, what);
        }
        for (size_t i = 0; i < SM_MIN(file.length, (size_t)256); i += (size_t)step) {
            static const char masks[] = { 1, (char)0x80, (char)0xff };
            file.data[i] ^= masks[i % 3];
            test_write_file(path, file.data, file.length);
            read_anything(path, what);
            file.data[i] ^= masks[i % 3];
        }
        sm_buffer_free(&file);
    }
    sm_free(x);
}

static int open_and_read(void *user)
{
    float x[4096];
    sm_audio *a = NULL;
    int err = sm_audio_open(user, &a);
    while (err == 0) {
        const int64_t got = sm_audio_read(a, x, 1024);
        if (got <= 0) {
            err = (int)got;
            break;
        }
    }
    sm_audio_close(a);
    return err;
}

static void survives_any_failed_allocation(void **state)
{
    const char *path = ((test_place *)*state)->path;
    float *x = test_sines(48000, 1, 500);

    test_write_sndfile(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 48000, 1, x, 500);
    test_every_allocation_may_fail(open_and_read, (void *)path);
    test_write_sndfile(path, SF_FORMAT_OGG | SF_FORMAT_VORBIS, 48000, 1, x, 500);
    test_every_allocation_may_fail(open_and_read, (void *)path);
    test_every_allocation_may_fail(open_and_read, (void *)DATA "tone_alac.m4a");
    test_every_allocation_may_fail(open_and_read, (void *)DATA "vbr_without_xing.mp3");
    sm_free(x);
}

/* ---- long files ---- */

static long peak_kb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* Three hours at 44.1 kHz (a file with a hole) and three hours of mp3: memory does not grow with the length. */
static void three_hours_are_read_in_little_memory(void **state)
{
    enum { FRAMES = 3 * 3600 * 44100, MP3_FRAMES = 3 * 3600 * 8000 / 576 };
    const char *path = ((test_place *)*state)->path;
    static float x[1 << 16];
    sm_buffer wav = test_wav(44100, NULL, 0, 36 + 2u * FRAMES, 2u * FRAMES), mp3 = { 0 };
    const uint8_t frame[72] = { 0xff, 0xe3, 0x18, 0xc4 }; /* MPEG 2.5, layer 3, 8 kbit/s, 8 kHz, mono: 576 samples */
    sm_audio *a = NULL;
    int64_t frames = 0, got;
    const long before = peak_kb();

    test_write_file(path, wav.data, wav.length);
    assert_int_equal(truncate(path, (off_t)wav.length + 2LL * FRAMES), 0);
    test_ok(sm_audio_open(path, &a));
    while ((got = sm_audio_read(a, x, SM_LENGTH(x))) > 0)
        frames += got;
    assert_int_equal(frames, FRAMES);
    sm_audio_close(a);
    assert_true(peak_kb() - before < 20 * 1024);

    sm_buffer_free(&wav);
    for (int i = 0; i < MP3_FRAMES; i++)
        sm_buffer_add(&mp3, frame, sizeof frame);
    test_write_file(path, mp3.data, mp3.length);
    sm_buffer_free(&mp3);
    const long between = peak_kb();
    test_ok(sm_audio_open(path, &a));
    for (frames = 0; (got = sm_audio_read(a, x, SM_LENGTH(x))) > 0;)
        frames += got;
    assert_int_equal(frames, (int64_t)MP3_FRAMES * 576);
    sm_audio_close(a);
    assert_true(peak_kb() - between < 20 * 1024);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(reads_every_lossless_format_by_its_content),
        PLACED(reads_lossy_formats_in_place),
        cmocka_unit_test(reads_m4a_through_ffmpeg),
        cmocka_unit_test(reads_alac_and_ogg_flac_through_ffmpeg),
        cmocka_unit_test(reads_a_vbr_mp3_without_a_header_to_its_end),
        PLACED(seeks_to_the_sample),
        PLACED(no_sound_is_said_with_the_file_and_what_it_is),
        PLACED(no_permission_is_said),
        PLACED(names_are_bytes),
        PLACED(refuses_rates_and_channels_beyond_its_limits),
        PLACED(audio_that_is_there_is_read_whatever_the_header_says),
        PLACED(a_wrong_block_align_is_put_right),
        PLACED(what_is_not_a_number_is_read_as_0_and_counted),
        PLACED(a_cut_file_gives_what_is_there_and_says_so),
        PLACED(bytes_that_look_like_headers_do_not_hang),
        PLACED(a_huge_tag_is_stepped_over),
        PLACED(survives_cuts_and_flips_of_every_kind),
        PLACED(survives_any_failed_allocation),
        PLACED(three_hours_are_read_in_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
