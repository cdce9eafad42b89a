/* A file as mono sound at a model's rate, in pieces. */
#include "engine/internal.h"

enum { BLOCK = 1 << 16 };

static int report(const char *path, const sm_audio_info *info, int64_t frames, sm_progress_fn progress, void *user)
{
    const sm_progress_info p = { .what = path,
                                 .done = (double)frames / info->rate_hz,
                                 .total = info->frames > 0 ? (double)info->frames / info->rate_hz : 0,
                                 .unit = "s of audio",
                                 .audio_s = (double)frames / info->rate_hz };
    return progress && progress(user, &p) ? sm_fail(SM_ECANCELLED, "stopped at the caller's wish") : 0;
}

int engine_mono(const char *path, sm_resample_kind kind, int rate_hz, sm_progress_fn progress, void *progress_user,
                engine_mono_sink sink, void *user)
{
    sm_audio *audio = NULL;
    sm_resampler *resampler = NULL;
    sm_floats piece = { 0 };
    float *block = NULL, *mono = NULL;
    int64_t frames = 0;
    int err = sm_audio_open(path, &audio);
    if (err < 0)
        return err;
    const sm_audio_info *info = sm_audio_get_info(audio);
    block = sm_alloc((size_t)BLOCK * (size_t)info->channels, sizeof *block);
    mono = sm_alloc(BLOCK, sizeof *mono);
    err = block && mono ? sm_resampler_new(kind, info->rate_hz, rate_hz, 1, &resampler) : SM_ENOMEM;
    for (bool last = false; err == 0 && !last;) {
        const int64_t n = sm_audio_read(audio, block, BLOCK);
        last = n == 0;
        piece.length = 0;
        if (n < 0)
            err = (int)n;
        else if (last)
            err = sm_resampler_finish(resampler, &piece);
        else {
            sm_downmix(block, (size_t)n, info->channels, mono);
            err = sm_resampler_push(resampler, mono, (size_t)n, &piece);
        }
        if (err == 0)
            err = sink(user, piece.data, piece.length);
        frames += err == 0 ? n : 0;
        if (err == 0)
            err = report(path, info, frames, progress, progress_user);
    }
    sm_floats_free(&piece);
    sm_resampler_free(resampler);
    sm_free(block);
    sm_free(mono);
    sm_audio_close(audio);
    return err;
}
