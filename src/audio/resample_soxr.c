/* libsoxr as a stream: its high-quality recipe, 32-bit float in and out, one thread. */
#include <soxr.h>

#include "audio/resample.h"

struct sm_soxr_stream {
    soxr_t soxr;
    int from_hz, to_hz, channels;
    int64_t made; /* frames given so far */
};

enum { OUT_FRAMES = 4096 };

static int soxr_open(sm_soxr_stream *s)
{
    const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
    soxr_error_t error = NULL;

    s->made = 0;
    s->soxr = soxr_create(s->from_hz, s->to_hz, (unsigned)s->channels, &error, &io, &quality, &runtime);
    if (!s->soxr)
        return sm_fail(SM_ENOMEM, "no resampler from %d to %d Hz: %s", s->from_hz, s->to_hz,
                       error ? soxr_strerror(error) : "unknown reason");
    return 0;
}

int sm_soxr_stream_new(int from_hz, int to_hz, int channels, sm_soxr_stream **out)
{
    sm_soxr_stream *s = sm_alloc_zero(1, sizeof *s);
    int err;

    *out = NULL;
    if (!s)
        return SM_ENOMEM;
    s->from_hz = from_hz;
    s->to_hz = to_hz;
    s->channels = channels;
    err = soxr_open(s);
    if (err < 0) {
        sm_free(s);
        return err;
    }
    *out = s;
    return 0;
}

/* Runs libsoxr until it has taken `frames` of `in` and gives nothing more; in NULL: the end of the input. */
static int soxr_drain(sm_soxr_stream *s, const float *in, size_t frames, sm_floats *out)
{
    const size_t channels = (size_t)s->channels;
    for (;;) {
        size_t took = 0, gave = 0;
        int err = sm_floats_add(out, NULL, OUT_FRAMES * channels);
        if (err < 0)
            return err;
        out->length -= OUT_FRAMES * channels;
        const soxr_error_t error = soxr_process(s->soxr, in, frames, &took, out->data + out->length, OUT_FRAMES, &gave);
        if (error)
            return sm_fail(SM_EINTERNAL, "resampling failed: %s", soxr_strerror(error));
        out->length += gave * channels;
        s->made += (int64_t)gave;
        if (in) {
            in += took * channels;
            frames -= took;
        }
        if (gave < OUT_FRAMES && (!in || frames == 0))
            return 0;
    }
}

int sm_soxr_stream_push(sm_soxr_stream *s, const float *in, size_t frames, sm_floats *out)
{
    return frames > 0 ? soxr_drain(s, in, frames, out) : 0;
}

int sm_soxr_stream_finish(sm_soxr_stream *s, int64_t total, sm_floats *out)
{
    int err = soxr_drain(s, NULL, 0, out);
    if (err < 0)
        return err;
    const int64_t missing = total - s->made;
    s->made = total;
    if (missing > 0)
        return sm_floats_add(out, NULL, (size_t)missing * (size_t)s->channels);
    out->length -= SM_MIN((size_t)-missing * (size_t)s->channels, out->length);
    return 0;
}

int sm_soxr_stream_reset(sm_soxr_stream *s)
{
    soxr_delete(s->soxr);
    return soxr_open(s);
}

void sm_soxr_stream_free(sm_soxr_stream *s)
{
    if (!s)
        return;
    soxr_delete(s->soxr);
    sm_free(s);
}
