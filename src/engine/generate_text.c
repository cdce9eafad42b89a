/* The text encoder that the families share: where it lies, its tokenizer, a text as states. */
#include <string.h>

#include "engine/generate.h"

/* The tokenizer of weights that carry none: spiece.model beside them, or in diffusers' folder for it. */
static int open_tokens(sm_weights *w, sm_t5_tokens **out)
{
    static const char *const places[] = { "spiece.model", "../tokenizer/spiece.model", "../spiece.model" };
    int err = sm_t5_tokens_of(w, out);
    for (size_t i = 0; i < SM_LENGTH(places) && err == SM_ENOTFOUND; i++) {
        char *path = sm_weights_beside(w, places[i]);
        if (!path)
            return SM_ENOMEM;
        err = sm_t5_tokens_open(path, out);
        sm_free(path);
    }
    return err == SM_ENOTFOUND
               ? sm_fail(err, "%s carries no tokenizer, and there is no spiece.model beside it", sm_weights_label(w))
               : err;
}

int sm_text_encoder_open(const char *home, const char *path, const char *backend, int threads, sm_text_encoder *out)
{
    const sm_t5_options o = { .backend = backend, .threads = threads };
    bool there = true;
    sm_t5_size size;
    char *own = NULL;
    *out = (sm_text_encoder){ 0 };
    if (!path) {
        if (!(own = sm_model_path(home, "t5-base", &there)))
            return SM_ENOMEM;
        path = own;
    }
    int err = there ? sm_weights_open(path, &out->weights)
                    : sm_fail(SM_ENOTFOUND, "the text encoder t5-base is not installed; get it with: samplemind models "
                                            "pull t5-base, or name its file with --t5");
    if (err == 0 && sm_t5_size_of(out->weights, NULL, &size) < 0)
        err = sm_fail(SM_EFORMAT, "%s: these are not the weights of T5's encoder", path);
    if (err == 0)
        err = open_tokens(out->weights, &out->tokens);
    if (err == 0)
        err = sm_t5_open(out->weights, NULL, &o, &out->encoder);
    sm_free(own);
    if (err < 0)
        sm_text_encoder_close(out);
    return err;
}

void sm_text_encoder_close(sm_text_encoder *t)
{
    sm_t5_free(t->encoder);
    sm_t5_tokens_free(t->tokens);
    sm_weights_close(t->weights);
    *t = (sm_text_encoder){ 0 };
}

int sm_text_encoder_run(sm_text_encoder *t, const char *text, size_t most, float **states, size_t *n)
{
    sm_t5_ids ids = { 0 };
    *states = NULL;
    *n = 0;
    int err = sm_t5_tokens_encode(t->tokens, text, &ids);
    if (err < 0)
        return err;
    if (most > 0 && ids.n > most) { /* the end stays */
        ids.n = most;
        ids.ids[most - 1] = SM_T5_END;
    }
    float *out = sm_alloc(ids.n * (size_t)sm_t5_width(t->encoder), sizeof *out);
    err = out ? sm_t5_encode(t->encoder, ids.ids, ids.n, out) : SM_ENOMEM;
    if (err < 0) {
        sm_free(out);
    } else {
        *states = out;
        *n = ids.n;
    }
    sm_t5_ids_free(&ids);
    return err;
}

/* ---- sound files ---- */

/* All of it, interleaved at the file's own rate and channels. */
static int read_all(sm_audio *a, int64_t most, sm_floats *out)
{
    enum { BLOCK = 1 << 14 };
    const int channels = sm_audio_get_info(a)->channels;
    float *block = sm_alloc((size_t)BLOCK * (size_t)channels, sizeof *block);
    int64_t got = block ? 1 : SM_ENOMEM;
    while (got > 0 && (int64_t)(out->length / (size_t)channels) < most) {
        got = sm_audio_read(a, block, BLOCK);
        if (got > 0 && sm_floats_add(out, block, (size_t)got * (size_t)channels) < 0)
            got = SM_ENOMEM;
    }
    sm_free(block);
    return got < 0 ? (int)got : 0;
}

static int resample(const sm_floats *in, int channels, int from, int to, sm_resample_kind kind, sm_floats *out)
{
    sm_resampler *r = NULL;
    int err = sm_resampler_new(kind, from, to, channels, &r);
    if (err == 0)
        err = sm_resampler_push(r, in->data, in->length / (size_t)channels, out);
    if (err == 0)
        err = sm_resampler_finish(r, out);
    sm_resampler_free(r);
    return err;
}

int sm_stereo_read(const char *path, int rate_hz, sm_resample_kind kind, int64_t most, float **out, int64_t *frames)
{
    sm_audio *a = NULL;
    sm_floats raw = { 0 }, done = { 0 };
    float *planar = NULL;
    *out = NULL;
    *frames = 0;
    int err = sm_audio_open(path, &a);
    if (err < 0)
        return err;
    const int channels = sm_audio_get_info(a)->channels, from = sm_audio_get_info(a)->rate_hz;
    err = read_all(a, most * from / rate_hz + from, &raw);
    if (err == 0 && from != rate_hz)
        err = resample(&raw, channels, from, rate_hz, kind, &done);
    const sm_floats *all = from != rate_hz ? &done : &raw;
    const int64_t n = SM_MIN((int64_t)(all->length / (size_t)channels), most);
    if (err == 0 && n < 1)
        err = sm_fail(SM_EFORMAT, "%s holds no sound", path);
    if (err == 0 && !(planar = sm_alloc(2 * (size_t)n, sizeof *planar)))
        err = SM_ENOMEM;
    for (int64_t i = 0; i < n && err == 0; i++) {
        planar[i] = all->data[i * channels];
        planar[n + i] = all->data[i * channels + (channels > 1)];
    }
    if (err == 0) {
        *out = planar;
        *frames = n;
    }
    sm_floats_free(&raw);
    sm_floats_free(&done);
    sm_audio_close(a);
    return err;
}
