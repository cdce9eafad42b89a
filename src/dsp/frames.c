/* Plain frames of samples, as CREPE wants them: cut, centred or not, and brought to mean 0 and deviation 1. */
#include "dsp/framer.h"

struct dsp_frames {
    framer framer;
    bool centred;
    dsp_frame_norm norm;
    sm_floats *out;
};

int dsp_frames_new(int frame, int hop, bool centred, dsp_frame_norm norm, dsp_frames **out)
{
    *out = NULL;
    if (frame < 2 || frame > 1 << 20 || hop < 1)
        return sm_fail(SM_EUSAGE, "frames of %d samples every %d were asked for", frame, hop);
    dsp_frames *f = sm_alloc_zero(1, sizeof *f);
    if (!f)
        return SM_ENOMEM;
    f->centred = centred;
    f->norm = norm;
    framer_init(&f->framer, frame, hop, centred ? frame / 2 : 0);
    *out = f;
    return 0;
}

void dsp_frames_free(dsp_frames *f)
{
    if (!f)
        return;
    framer_free(&f->framer);
    sm_free(f);
}

int64_t dsp_frames_count(int frame, int hop, bool centred, int64_t n)
{
    const int64_t length = centred ? n + frame / 2 * 2 : n;
    return length < frame ? 0 : 1 + (length - frame) / hop;
}

/* Sums in double: an all but constant frame is blown up by the division, and its rounding errors with it. */
void dsp_frame_normalise(const float *x, int n, dsp_frame_norm norm, float *out)
{
    double mean = 0, square = 0;
    for (int i = 0; i < n; i++)
        mean += x[i];
    mean /= n;
    for (int i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    double scale = 1;
    if (norm == DSP_FRAME_CREPE)
        scale = 1 / SM_MAX(sqrt(square / n), 1e-8);
    else if (norm == DSP_FRAME_TORCHCREPE)
        scale = 1 / SM_MAX(sqrt(square / (n - 1)), 1e-10);
    else
        mean = 0;
    for (int i = 0; i < n; i++)
        out[i] = (float)((x[i] - mean) * scale);
}

static int keep_frame(void *user, const float *samples)
{
    dsp_frames *f = user;
    const int n = f->framer.frame;
    if (sm_floats_add(f->out, NULL, (size_t)n) < 0)
        return SM_ENOMEM;
    dsp_frame_normalise(samples, n, f->norm, f->out->data + f->out->length - n);
    return 0;
}

int dsp_frames_push(dsp_frames *f, const float *mono, size_t n, sm_floats *frames)
{
    f->out = frames;
    return framer_push(&f->framer, mono, n, keep_frame, f);
}

int dsp_frames_finish(dsp_frames *f, sm_floats *frames)
{
    f->out = frames;
    const framer *c = &f->framer;
    return framer_finish(&f->framer, dsp_frames_count(c->frame, c->hop, f->centred, c->received), keep_frame, f);
}
