/* libmpg123 as a decoder, used directly: through libsndfile a file without a Xing header ends where the first frame's bit rate
 * says, and warnings go to standard error. Here the whole file is counted first; encoder delay and padding are cut off. */
#include <math.h>
#include <mpg123.h>
#include <string.h>

#include "audio/reader.h"

/* Foreign bytes in the middle that are skipped: another track's tag with its picture. More is not audio any more. */
enum { RESYNC_BYTES = 16 << 20, REST_BYTES = 1 << 16 };
/* Frames decoded before the place of a seek: the bit reservoir reaches back over many small ones. */
enum { RUN_UP = 32 };

typedef struct {
    mpg123_handle *handle;
    sm_source *source;
    int channels;
    long rate;
    bool wild; /* samples were made 0 that no encoder can have meant */
} mpeg_state;

static mpg123_ssize_t io_read(void *user, void *to, size_t n)
{
    return (mpg123_ssize_t)sm_source_read(user, to, n);
}

static off_t io_seek(void *user, off_t offset, int whence)
{
    return (off_t)sm_source_seek(user, offset, whence);
}

static int mpeg_fail(const mpeg_state *s)
{
    const int code = mpg123_errcode(s->handle);
    if (code == MPG123_OUT_OF_MEM)
        return sm_fail(SM_ENOMEM, "no memory for the MPEG decoder");
    return sm_fail(SM_EFORMAT, "%s", code == MPG123_OK ? "no MPEG audio" : mpg123_plain_strerror(code));
}

/* Opens the stream from its start. Without `gapless` the tag's word about delay and length is not taken. */
static int open_stream(mpeg_state *s, sm_source *source, bool gapless)
{
    int channels = 0, encoding = 0;

    mpg123_close(s->handle);
    source->cursor = 0;
    mpg123_param(s->handle, MPG123_ADD_FLAGS, MPG123_QUIET | MPG123_FORCE_FLOAT | MPG123_SKIP_ID3V2, 0);
    mpg123_param(s->handle, MPG123_REMOVE_FLAGS, MPG123_AUTO_RESAMPLE | MPG123_FUZZY, 0);
    mpg123_param(s->handle, gapless ? MPG123_ADD_FLAGS : MPG123_REMOVE_FLAGS, MPG123_GAPLESS, 0);
    mpg123_param(s->handle, MPG123_RESYNC_LIMIT, RESYNC_BYTES, 0);
    mpg123_param(s->handle, MPG123_PREFRAMES, RUN_UP, 0);
    mpg123_format_all(s->handle);
    if (mpg123_replace_reader_handle(s->handle, io_read, io_seek, NULL) != MPG123_OK ||
        mpg123_open_handle(s->handle, source) != MPG123_OK ||
        mpg123_getformat(s->handle, &s->rate, &channels, &encoding) != MPG123_OK)
        return mpeg_fail(s);
    if (encoding != MPG123_ENC_FLOAT_32)
        return sm_fail(SM_EUNSUPPORTED, "this libmpg123 does not give 32-bit floats");
    s->channels = channels;
    /* a part in mono or stereo is given like the beginning; a part at another rate ends the reading */
    mpg123_format_none(s->handle);
    mpg123_format2(s->handle, 0, channels, MPG123_ENC_FLOAT_32);
    return mpg123_scan(s->handle) == MPG123_OK ? 0 : mpeg_fail(s);
}

/* MPEG frames that the first frame's Xing (or Info) tag promises: it stands where the side information ends. -1: no tag. */
static int64_t promised_frames(sm_source *source)
{
    const int64_t at = sm_mpeg_first_frame(source);
    uint8_t h[4], tag[12];

    if (at < 0 || sm_source_read_at(source, at, h, 4) != 4)
        return -1;
    const bool mpeg1 = (h[1] >> 3 & 3) == 3, mono = h[3] >> 6 == 3;
    const int side = mpeg1 ? (mono ? 17 : 32) : (mono ? 9 : 17);
    if (sm_source_read_at(source, at + 4 + side, tag, 12) != 12 ||
        (memcmp(tag, "Xing", 4) != 0 && memcmp(tag, "Info", 4) != 0) || !(tag[7] & 1))
        return -1;
    return sm_be32(tag + 8);
}

static const char *codec_name(mpg123_handle *handle)
{
    struct mpg123_frameinfo info;
    if (mpg123_info(handle, &info) != MPG123_OK)
        return "mp3";
    return info.layer == 1 ? "mp1" : info.layer == 2 ? "mp2" : "mp3";
}

static int mpeg_open(sm_source *source, sm_audio_metadata *meta, void **out, sm_decoder_info *info)
{
    mpeg_state *s = sm_alloc_zero(1, sizeof *s);
    int64_t frames, all;
    int err = 0;

    (void)meta;
    *out = NULL;
    if (!s)
        return SM_ENOMEM;
    s->source = source;
    s->handle = mpg123_init() == MPG123_OK ? mpg123_new(NULL, NULL) : NULL;
    if (!s->handle)
        err = sm_fail(SM_ENOMEM, "no memory for the MPEG decoder");
    else
        err = open_stream(s, source, true);
    if (err == 0) {
        /* A tag that promises far less than there is belongs to the first of several tracks joined into one file. */
        frames = mpg123_length(s->handle);
        all = (int64_t)mpg123_framelength(s->handle) * mpg123_spf(s->handle);
        if (frames < 0 || all - frames > 4 * 1152 + s->rate / 2)
            err = open_stream(s, source, false);
    }
    if (err < 0) {
        mpg123_delete(s->handle);
        sm_free(s);
        return err;
    }
    info->rate_hz = (int)s->rate;
    info->channels = s->channels;
    frames = mpg123_length(s->handle);
    info->frames = frames >= 0 ? frames : -1;
    if (promised_frames(source) > mpg123_framelength(s->handle) + 1)
        info->declared = promised_frames(source) * mpg123_spf(s->handle);
    if (frames > 0)
        info->bitrate_bps =
            (int64_t)(8.0 * (double)(source->size - sm_id3_length(source, 0)) * (double)s->rate / (double)frames + 0.5);
    if (info->bitrate_bps > 500000) /* more than any layer has: most of the file is something else */
        info->bitrate_bps = 0;
    info->codec = codec_name(s->handle);
    info->container = info->codec;
    *out = s;
    return 0;
}

/* At the end: bytes behind the last frame that are neither audio nor tags, and wild samples, are worth a word. */
static int look_back(const mpeg_state *s)
{
    const int64_t last = mpg123_framepos(s->handle), rest = s->source->size - last;

    if (last > 0 && rest > REST_BYTES)
        return sm_fail(SM_EFORMAT, "the last %lld bytes of the file are not MPEG audio", (long long)rest);
    return s->wild ? sm_fail(SM_EFORMAT, "damaged frames were silenced") : 0;
}

/* What a damaged frame decodes to may be anything; 20 dB over full scale is nothing that an encoder made. */
static void silence_wild(mpeg_state *s, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) <= 10.0f)) {
            x[i] = 0;
            s->wild = true;
        }
}

static int64_t mpeg_read(void *state, float *out, size_t frames)
{
    mpeg_state *s = state;
    const size_t frame_bytes = (size_t)s->channels * sizeof *out;

    for (;;) {
        size_t done = 0;
        long rate = 0;
        int channels = 0, encoding = 0;
        const int code = mpg123_read(s->handle, (unsigned char *)out, frames * frame_bytes, &done);

        silence_wild(s, out, done / sizeof *out);
        if (done >= frame_bytes)
            return (int64_t)(done / frame_bytes);
        if (code == MPG123_DONE || code == MPG123_OK) /* OK and nothing: no reason given, the end too */
            return look_back(s);
        if (code != MPG123_NEW_FORMAT)
            return mpeg_fail(s);
        if (mpg123_getformat(s->handle, &rate, &channels, &encoding) != MPG123_OK || channels != s->channels ||
            rate != s->rate)
            return sm_fail(SM_EFORMAT, "the stream changes from %ld Hz to %ld Hz", s->rate, rate);
    }
}

static int mpeg_seek(void *state, int64_t frame)
{
    mpeg_state *s = state;
    if (mpg123_seek(s->handle, (off_t)frame, SEEK_SET) != (off_t)frame)
        return sm_fail(SM_EFORMAT, "cannot go to frame %lld", (long long)frame);
    return 0;
}

static void mpeg_close(void *state)
{
    mpeg_state *s = state;
    mpg123_delete(s->handle);
    sm_free(s);
}

const sm_decoder sm_decoder_mpeg = { "libmpg123", mpeg_open, mpeg_read, mpeg_seek, mpeg_close };
