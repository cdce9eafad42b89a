/* Sound files for the tests of this room, made with libsndfile itself rather than with our writer. */
#ifndef SM_TEST_SOUNDS_H
#define SM_TEST_SOUNDS_H

#include "support/support.h"

#include <errno.h>
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"

/* Channel c is a sine of (c + 2) 110 Hz at 0.8 / (c + 1): each channel is told from the others. */
static inline double test_sine(int rate, int64_t frame, int channel)
{
    return 0.8 / (channel + 1) * sin(2 * M_PI * 110 * (channel + 2) * (double)frame / rate);
}

static inline float *test_sines(int rate, int channels, size_t frames)
{
    float *x = sm_alloc(frames * (size_t)channels, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < frames; i++)
        for (int c = 0; c < channels; c++)
            x[i * (size_t)channels + (size_t)c] = (float)test_sine(rate, (int64_t)i, c);
    return x;
}

static inline void test_write_sndfile(const char *path, int format, int rate, int channels, const float *x,
                                      size_t frames)
{
    SF_INFO sf = { .format = format, .samplerate = rate, .channels = channels };
    SNDFILE *f = sf_open(path, SFM_WRITE, &sf);
    if (!f || sf_writef_float(f, x, (sf_count_t)frames) != (sf_count_t)frames || sf_close(f) != 0)
        fail_msg("%s, format %x: %s", path, (unsigned)format, sf_strerror(f));
}

/* Reads the rest in blocks of `block` frames. */
static inline sm_floats test_read_rest(sm_audio *a, size_t block)
{
    const size_t channels = (size_t)sm_audio_get_info(a)->channels;
    float *x = sm_alloc(block * channels, sizeof *x);
    sm_floats out = { 0 };
    int64_t got;

    assert_non_null(x);
    while ((got = sm_audio_read(a, x, block)) > 0)
        test_ok(sm_floats_add(&out, x, (size_t)got * channels));
    if (got < 0)
        fail_msg("reading: %s", sm_last_error());
    sm_free(x);
    return out;
}

/* A 16-bit mono wav of `frames` frames in memory whose header says `data_bytes`. */
static inline sm_buffer test_wav(int rate, const int16_t *x, size_t frames, uint32_t riff_bytes, uint32_t data_bytes)
{
    sm_buffer b = { 0 };
    const uint32_t numbers[] = { riff_bytes,    16,        1 | 1u << 16, (uint32_t)rate, (uint32_t)rate * 2,
                                 2 | 16u << 16, data_bytes };
    sm_buffer_text(&b, "RIFF");
    sm_buffer_add(&b, &numbers[0], 4);
    sm_buffer_text(&b, "WAVEfmt ");
    sm_buffer_add(&b, &numbers[1], 20);
    sm_buffer_text(&b, "data");
    sm_buffer_add(&b, &numbers[6], 4);
    sm_buffer_add(&b, x, frames * 2);
    return b;
}

#endif
