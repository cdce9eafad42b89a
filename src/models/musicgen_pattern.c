/* Where codes stand in time: the delay pattern, and the windows of generations that are longer than the model hears. */
#include "models/musicgen.h"

static int longest_delay(const sm_musicgen_size *s)
{
    int most = 0;
    for (int k = 0; k < s->codebooks; k++)
        most = SM_MAX(most, s->delays[k]);
    return most;
}

int sm_musicgen_columns(const sm_musicgen_size *s, int frames)
{
    return frames + longest_delay(s) + 1;
}

int sm_musicgen_frame(const sm_musicgen_size *s, int k, int column, int frames)
{
    const int t = column - 1 - s->delays[k];
    return t >= 0 && t < frames ? t : -1;
}

/* audiocraft/models/genmodel.py, _generate_tokens: the first window has the given prefix; each later one keeps what is behind its
 * predecessor's first stride_s. */
bool sm_musicgen_window_at(double duration_s, double window_s, double stride_s, int64_t n_prefix, int i,
                           sm_musicgen_window *out)
{
    const int64_t total = (int64_t)(duration_s * SM_MUSICGEN_FRAMES), stride = (int64_t)(SM_MUSICGEN_FRAMES * stride_s);
    int64_t offset = 0, prefix = n_prefix;
    for (int w = 0; offset + prefix < total && stride > 0; w++) {
        const double left = duration_s - (double)offset / SM_MUSICGEN_FRAMES;
        const int64_t frames = (int64_t)(SM_MIN(left, window_s) * SM_MUSICGEN_FRAMES);
        if (w == i) {
            *out = (sm_musicgen_window){ .offset = offset,
                                         .prefix = (int)prefix,
                                         .frames = (int)frames,
                                         .melody_start =
                                             (int64_t)((double)offset / SM_MUSICGEN_FRAMES * SM_MUSICGEN_RATE) };
            return true;
        }
        if (frames <= stride) /* nothing would be kept: the stride is too long */
            return false;
        prefix = frames - stride;
        offset += stride;
    }
    return false;
}
