/* The sound of a file, whole and mono, as training, duplicates and the verify screen want it. */
#include "audio/audio.h"

enum { PIECE = 16384, LONGEST_S = 3600 };

static int read_all(sm_audio *audio, const sm_audio_info *info, sm_resampler *resampler, double max_s, sm_floats *mono)
{
    const int64_t most = (int64_t)(SM_MIN(max_s > 0 ? max_s : LONGEST_S, LONGEST_S) * info->rate_hz);
    float *piece = sm_alloc((size_t)PIECE * (size_t)info->channels, sizeof *piece);
    float *one = sm_alloc(PIECE, sizeof *one);
    int err = piece && one ? 0 : SM_ENOMEM;
    for (int64_t done = 0; err == 0 && done < most;) {
        const int64_t n = sm_audio_read(audio, piece, (size_t)SM_MIN(most - done, PIECE));
        if (n <= 0) {
            err = (int)n;
            break;
        }
        sm_downmix(piece, (size_t)n, info->channels, one);
        err = resampler ? sm_resampler_push(resampler, one, (size_t)n, mono) : sm_floats_add(mono, one, (size_t)n);
        done += n;
    }
    if (err == 0 && resampler)
        err = sm_resampler_finish(resampler, mono);
    sm_free(piece);
    sm_free(one);
    return err;
}

int sm_sound_read(const char *file, int rate_hz, double max_s, sm_floats *mono, sm_audio_info *info)
{
    const size_t before = mono->length;
    sm_audio *audio = NULL;
    sm_resampler *resampler = NULL;
    sm_audio_info found = { 0 };
    int err = sm_audio_open(file, &audio);
    if (err == 0) {
        found = *sm_audio_get_info(audio);
        if (rate_hz > 0 && rate_hz != found.rate_hz)
            err = sm_resampler_new(SM_RESAMPLE_SOXR, found.rate_hz, rate_hz, 1, &resampler);
    }
    if (err == 0)
        err = read_all(audio, &found, resampler, max_s, mono);
    if (err < 0)
        mono->length = before;
    else if (info)
        *info = found;
    sm_resampler_free(resampler);
    sm_audio_close(audio);
    return err;
}
