/* What is to be known of files before duplicates can be found among them: read from the sounds. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "library/dupes_parts.h"

enum { BLOCK = 16384 };

typedef struct {
    sm_audio *audio;
    sm_hasher *hasher;
    sm_resampler *resampler;
    float *block, *mono;
} reader;

static void reader_close(reader *r)
{
    sm_resampler_free(r->resampler);
    sm_hasher_free(r->hasher);
    sm_audio_close(r->audio);
    sm_free(r->block);
    sm_free(r->mono);
}

static int reader_open(reader *r, const char *path, sm_dupe_sound *out)
{
    int err = sm_audio_open(path, &r->audio);
    if (err < 0)
        return err;
    const sm_audio_info *info = sm_audio_get_info(r->audio);
    snprintf(out->container, sizeof out->container, "%s", info->container);
    snprintf(out->codec, sizeof out->codec, "%s", info->codec);
    out->rate_hz = info->rate_hz;
    out->channels = info->channels;
    out->bit_depth = info->bit_depth;
    out->bitrate_bps = info->bitrate_bps;
    r->block = sm_alloc((size_t)BLOCK * (size_t)info->channels, sizeof *r->block);
    r->mono = sm_alloc(BLOCK, sizeof *r->mono);
    err = r->block && r->mono ? sm_hasher_new(SM_HASH_XXH128, &r->hasher) : SM_ENOMEM;
    if (err == 0 && info->rate_hz != PRINT_RATE)
        err = sm_resampler_new(SM_RESAMPLE_SOXR, info->rate_hz, PRINT_RATE, 1, &r->resampler);
    return err;
}

/* The whole is hashed as records do it; the beginning also becomes mono at the fingerprint's rate. */
static int read_whole(reader *r, sm_dupe_sound *out, sm_floats *wave)
{
    const int64_t most = (int64_t)PRINT_READ_S * out->rate_hz;
    int64_t done = 0, n = 0;
    int err = 0;
    while (err == 0 && (n = sm_audio_read(r->audio, r->block, BLOCK)) > 0) {
        sm_hasher_add(r->hasher, r->block, (size_t)n * (size_t)out->channels * sizeof *r->block);
        const size_t heard = (size_t)SM_CLAMP(most - done, 0, n);
        if (heard > 0) {
            sm_downmix(r->block, heard, out->channels, r->mono);
            err = r->resampler ? sm_resampler_push(r->resampler, r->mono, heard, wave)
                               : sm_floats_add(wave, r->mono, heard);
        }
        done += n;
    }
    if (err == 0 && n < 0)
        err = (int)n;
    if (err == 0 && r->resampler)
        err = sm_resampler_finish(r->resampler, wave);
    if (err == 0) {
        char hex[65];
        sm_hasher_hex(r->hasher, hex);
        snprintf(out->audio_hash, sizeof out->audio_hash, "%.32s", hex);
        out->duration_s = (double)done / out->rate_hz;
    }
    return err;
}

int sm_dupe_read(const char *path, sm_dupe_sound *out)
{
    reader r = { 0 };
    sm_floats wave = { 0 };
    int err = reader_open(&r, path, out);
    if (err == 0)
        err = read_whole(&r, out, &wave);
    if (err == 0) {
        sm_print_trim(&wave);
        err = sm_print_of(wave.data, wave.length, &out->print);
    }
    if (wave.length == 0)
        out->audio_hash[0] = 0; /* silences are no duplicates of each other */
    sm_floats_free(&wave);
    reader_close(&r);
    return err;
}
