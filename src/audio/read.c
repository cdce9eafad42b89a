/* Reading sound files: finds the kind, opens the first decoder that takes it, and keeps account of what came out. */
#include <math.h>
#include <string.h>

#include "audio/reader.h"

enum { MIN_RATE = 8000, MAX_RATE = 192000, MAX_CHANNELS = 8 };

struct sm_audio {
    char *path;
    sm_source source;
    const sm_audio_kind *kind;
    const sm_decoder *decoder;
    void *state;
    sm_audio_info info;
    sm_audio_metadata metadata;
    int64_t position;        /* frames given */
    int64_t declared_frames; /* what the header promised where that is more than there is; 0: no lie known */
    int64_t filling;         /* frames by which `limit` may be less than the decoder's count */
    int64_t limit;           /* frames after which the rest is a codec's padding; -1: none */
    int64_t repaired_values; /* NaN, infinity */
    bool ended, approximate;
    const char *lack; /* as in sm_decoder_info */
    char *warning;
};

static void set_warning(sm_audio *a, char *text)
{
    if (a->warning || !text)
        sm_free(text);
    else
        a->warning = text;
}

static double seconds(const sm_audio *a, int64_t frames)
{
    return (double)frames / a->info.rate_hz;
}

/* For files whose compressed payload is nearly all of them; of the others libsndfile's subtype says it. */
static int64_t mean_bitrate(const sm_audio *a, const sm_decoder_info *d)
{
    const int bits = d->bit_depth;
    if (d->bitrate_bps > 0 || a->decoder == &sm_decoder_mpeg)
        return d->bitrate_bps;
    if (strncmp(d->codec, "pcm_", 4) == 0 && bits > 0)
        return (int64_t)d->rate_hz * d->channels * bits;
    if (d->frames <= 0)
        return 0;
    return (int64_t)(8.0 * (double)a->info.file_bytes * d->rate_hz / (double)d->frames + 0.5);
}

static int check_limits(const sm_audio *a, const sm_decoder_info *d)
{
    if (d->channels < 1 || d->channels > MAX_CHANNELS)
        return sm_fail(SM_EUNSUPPORTED, "%s: %d channels; 1 to %d can be read", a->path, d->channels, MAX_CHANNELS);
    if (d->rate_hz < MIN_RATE || d->rate_hz > MAX_RATE)
        return sm_fail(SM_EUNSUPPORTED, "%s: a rate of %d Hz; %d to %d Hz can be read", a->path, d->rate_hz, MIN_RATE,
                       MAX_RATE);
    if (d->frames == 0)
        return sm_fail(SM_EFORMAT, "%s: %s without any audio in it", a->path, a->kind->words);
    return 0;
}

/* Tries the kind's decoders in order; the first one's complaint is the one that is told, but for "cannot do that", where the
 * last one's says what to do about it. */
static int open_decoder(sm_audio *a, sm_decoder_info *d)
{
    char first[512] = "";
    int first_code = 0, err = SM_EFORMAT;

    for (size_t i = 0; i < SM_LENGTH(a->kind->decoders) && a->kind->decoders[i]; i++) {
        const sm_decoder *decoder = a->kind->decoders[i];
        *d = (sm_decoder_info){ .frames = -1 };
        a->source.cursor = 0;
        a->source.read_errno = 0;
        err = decoder->open(&a->source, &a->metadata, &a->state, d);
        if (err == 0) {
            a->decoder = decoder;
            return 0;
        }
        if (err == SM_ENOMEM)
            return sm_fail_prefix(err, "%s", a->path);
        if (a->source.read_errno)
            return sm_fail(SM_EIO, "%s: %s", a->path, strerror(a->source.read_errno));
        if (!first_code) {
            first_code = err;
            snprintf(first, sizeof first, "%s", sm_last_error());
        }
    }
    if (first_code == SM_EFORMAT)
        return sm_fail(first_code, "%s: %s that cannot be read: %s", a->path, a->kind->words, first);
    return sm_fail_prefix(err, "%s: %s", a->path, a->kind->words);
}

/* What the header of a RIFF file says about its length, and the truth. */
static void look_at_riff(sm_audio *a)
{
    sm_riff_layout layout;

    sm_riff_measure(&a->source, &layout);
    if (layout.data_at == 0 || layout.rate_hz <= 0 || layout.block_align <= 0)
        return;
    sm_riff_repair(&a->source, &layout);
    if (layout.unfinished)
        a->lack = "its header was never finished";
    if (layout.tail)
        a->lack = "many bytes follow the audio that its header does not explain";
    if (layout.declared_bytes > layout.data_bytes)
        a->declared_frames = layout.declared_bytes / layout.block_align;
    if (layout.format_tag == 2 || layout.format_tag == 0x11) { /* ADPCM: the last block is filled up */
        a->limit = layout.fact_frames > 0 ? layout.fact_frames : -1;
        a->filling = layout.samples_per_block;
        a->declared_frames = 0;
    }
}

static void fill_info(sm_audio *a, const sm_decoder_info *d)
{
    a->info.rate_hz = d->rate_hz;
    a->info.channels = d->channels;
    a->info.frames = d->frames;
    a->approximate = d->approximate;
    a->declared_frames = SM_MAX(a->declared_frames, d->declared);
    if (d->lack)
        a->lack = d->lack;
    if (a->limit > 0 && (d->frames < a->limit || d->frames - a->limit >= a->filling))
        a->limit = -1; /* not the last block's filling: the fact chunk is wrong */
    if (d->limit > 0)
        a->limit = d->limit;
    if (a->limit > 0)
        a->info.frames = a->limit;
    snprintf(a->info.container, sizeof a->info.container, "%s", d->container ? d->container : a->kind->container);
    snprintf(a->info.codec, sizeof a->info.codec, "%s", d->codec);
    a->info.bit_depth = d->bit_depth;
    a->info.bitrate_bps = mean_bitrate(a, d);
}

static int open_audio(sm_audio *a)
{
    sm_decoder_info d;
    char words[64];
    int err = sm_source_open(a->path, &a->source, &a->info.mtime_s);

    if (err < 0)
        return err;
    a->info.file_bytes = a->source.size;
    err = sm_meta_source(&a->source, &a->metadata); /* first: it wants the file with its ID3 tag */
    if (err < 0)
        return err;
    a->kind = sm_audio_kind_find(&a->source);
    if (a->source.read_errno)
        return sm_fail(SM_EIO, "%s: %s", a->path, strerror(a->source.read_errno));
    if (!a->kind)
        return sm_fail(SM_EFORMAT, "%s: not a sound file: it holds %s", a->path,
                       sm_source_looks_like(&a->source, words));
    look_at_riff(a);
    err = open_decoder(a, &d);
    if (err == 0)
        err = check_limits(a, &d);
    if (err == 0)
        fill_info(a, &d);
    return err;
}

int sm_audio_open(const char *path, sm_audio **out)
{
    sm_audio *a = sm_alloc_zero(1, sizeof *a);
    int err = SM_ENOMEM;

    *out = NULL;
    if (!a)
        return SM_ENOMEM;
    a->source.fd = -1;
    a->limit = -1;
    a->path = sm_strdup(path);
    if (a->path)
        err = open_audio(a);
    if (err < 0) {
        sm_audio_close(a);
        return err;
    }
    *out = a;
    return 0;
}

const sm_audio_info *sm_audio_get_info(const sm_audio *a)
{
    return &a->info;
}

const sm_audio_metadata *sm_audio_get_metadata(const sm_audio *a)
{
    return &a->metadata;
}

/* NaN and infinities become 0; returns how many there were. */
static int64_t make_finite(float *x, size_t n)
{
    int64_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad += !(fabsf(x[i]) <= 3.4028235e38f);
    for (size_t i = 0; bad && i < n; i++)
        if (!isfinite(x[i]))
            x[i] = 0;
    return bad;
}

/* The stream is over: says what was wrong with it, if anything was. */
static void note_end(sm_audio *a)
{
    const int64_t promised = SM_MAX(a->info.frames, a->declared_frames);

    a->ended = true;
    const int64_t tolerance = a->info.rate_hz / (a->approximate ? 10 : 100);
    if (promised - a->position > tolerance)
        set_warning(a, sm_printf_new("%s: the audio ends after %.3f s of the %.3f s that its header promises", a->path,
                                     seconds(a, a->position), seconds(a, promised)));
    else if (promised > a->position && a->declared_frames > a->info.frames && !a->approximate)
        set_warning(a, sm_printf_new("%s: the last %lld frames that its header promises are missing", a->path,
                                     (long long)(promised - a->position)));
    if (a->lack)
        set_warning(a, sm_printf_new("%s: %s; %.3f s are there", a->path, a->lack, seconds(a, a->position)));
    if (a->repaired_values > 0)
        set_warning(a, sm_printf_new("%s: %lld samples are not numbers or infinite; they were read as 0", a->path,
                                     (long long)a->repaired_values));
    if (a->info.frames < 0)
        a->info.frames = a->position;
}

/* A decoder gave up in the middle: what came before is good. Nothing before: that is a failure. */
static int64_t note_damage(sm_audio *a, int err)
{
    if (err == SM_ENOMEM)
        return sm_fail_prefix(err, "%s", a->path);
    if (a->source.read_errno)
        return sm_fail(SM_EIO, "%s: %s", a->path, strerror(a->source.read_errno));
    if (a->position == 0)
        return sm_fail_prefix(err, "%s", a->path);
    if (a->info.frames > a->position)
        set_warning(a, sm_printf_new("%s: damaged after %.3f s of %.3f s: %s", a->path, seconds(a, a->position),
                                     seconds(a, a->info.frames), sm_last_error()));
    set_warning(a, sm_printf_new("%s: damaged after %.3f s: %s", a->path, seconds(a, a->position), sm_last_error()));
    note_end(a);
    return 0;
}

int64_t sm_audio_read(sm_audio *a, float *out, size_t frames)
{
    const size_t channels = (size_t)a->info.channels;
    int64_t got;

    if (a->limit > 0)
        frames = (size_t)SM_MIN((int64_t)frames, SM_MAX(a->limit - a->position, 0));
    if (a->ended || frames == 0) {
        if (a->limit > 0 && a->position >= a->limit)
            note_end(a);
        return 0;
    }
    got = a->decoder->read(a->state, out, frames);
    if (got < 0)
        return note_damage(a, (int)got);
    if (got == 0) {
        if (a->source.read_errno)
            return note_damage(a, SM_EIO);
        if (a->position == 0)
            return sm_fail(SM_EFORMAT, "%s: %s without any audio in it", a->path, a->kind->words);
        note_end(a);
        return 0;
    }
    a->repaired_values += make_finite(out, (size_t)got * channels);
    a->position += got;
    return got;
}

int sm_audio_seek(sm_audio *a, int64_t frame)
{
    int err;

    if (frame < 0 || (a->info.frames >= 0 && frame > a->info.frames))
        return sm_fail(SM_EUSAGE, "%s: frame %lld of %lld does not exist", a->path, (long long)frame,
                       (long long)a->info.frames);
    err = a->decoder->seek(a->state, frame);
    if (err < 0)
        return sm_fail_prefix(err, "%s", a->path);
    a->position = frame;
    a->ended = false;
    return 0;
}

const char *sm_audio_warning(const sm_audio *a)
{
    return a->warning;
}

void sm_audio_close(sm_audio *a)
{
    if (!a)
        return;
    if (a->decoder)
        a->decoder->close(a->state);
    sm_source_close(&a->source);
    sm_audio_metadata_free(&a->metadata);
    sm_free(a->warning);
    sm_free(a->path);
    sm_free(a);
}
