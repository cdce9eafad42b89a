/* FFmpeg as a decoder: m4a (AAC, ALAC) and whatever else libsndfile and libmpg123 refuse. Reads through our source, so that names
 * are bytes and no other file is ever opened. */
#include <string.h>

#include "audio/reader.h"
#include "ext/ffmpeg.h"

enum { IO_BYTES = 1 << 16, BAD_PACKETS = 4096, PREROLL = 8192 };

typedef struct {
    sm_ffmpeg f;
    AVFormatContext *format;
    AVIOContext *io;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    AVStream *stream;
    int rate, channels;
    int used;       /* samples of `frame` that are given; nb_samples: all */
    int64_t target; /* after a jump: the frame that is asked for, -1: no jump */
    int64_t skip;   /* frames that are still to be dropped */
    bool exact;     /* time stamps count samples */
    sm_source *source;
    int bad_packets;
    bool drained;
} ffmpeg_state;

static int io_read(void *user, uint8_t *to, int n)
{
    const size_t got = sm_source_read(user, to, (size_t)SM_MAX(n, 0));
    return got > 0 ? (int)got : AVERROR_EOF;
}

static int64_t io_seek(void *user, int64_t offset, int whence)
{
    if (whence & AVSEEK_SIZE)
        return ((sm_source *)user)->size;
    return sm_source_seek(user, offset, whence & 3);
}

/* A container may name other files; they are not opened. */
static int refuse_open(AVFormatContext *s, AVIOContext **pb, const char *url, int flags, AVDictionary **options)
{
    (void)s, (void)pb, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static int ffmpeg_fail(const ffmpeg_state *s, int code)
{
    char text[128] = "unknown reason";
    if (code == AVERROR(ENOMEM))
        return sm_fail(SM_ENOMEM, "no memory for decoding");
    s->f.av_strerror(code, text, sizeof text);
    return sm_fail(SM_EFORMAT, "%s", text);
}

static int open_format(ffmpeg_state *s, sm_source *source)
{
    uint8_t *buffer = NULL;
    int code;

    s->format = s->f.avformat_alloc_context();
    buffer = s->f.av_malloc(IO_BYTES);
    if (buffer)
        s->io = s->f.avio_alloc_context(buffer, IO_BYTES, 0, source, io_read, NULL, io_seek);
    if (!s->format || !s->io) {
        if (!s->io)
            s->f.av_freep(&buffer);
        return sm_fail(SM_ENOMEM, "no memory for decoding");
    }
    s->format->pb = s->io;
    s->format->io_open = refuse_open;
    code = s->f.avformat_open_input(&s->format, "", NULL, NULL); /* on failure it frees the context */
    if (code >= 0)
        code = s->f.avformat_find_stream_info(s->format, NULL);
    return code < 0 ? ffmpeg_fail(s, code) : 0;
}

static int open_codec(ffmpeg_state *s)
{
    const AVCodec *codec = NULL;
    const int index = s->f.av_find_best_stream(s->format, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
    int code;

    if (index == AVERROR_STREAM_NOT_FOUND)
        return sm_fail(SM_EFORMAT, "there is no sound in it");
    if (index < 0 || !codec)
        return sm_fail(SM_EUNSUPPORTED, "no decoder for its sound");
    for (unsigned i = 0; i < s->format->nb_streams; i++)
        s->format->streams[i]->discard = (int)i == index ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    s->stream = s->format->streams[index];
    s->codec = s->f.avcodec_alloc_context3(codec);
    s->packet = s->f.av_packet_alloc();
    s->frame = s->f.av_frame_alloc();
    if (!s->codec || !s->packet || !s->frame)
        return sm_fail(SM_ENOMEM, "no memory for decoding");
    code = s->f.avcodec_parameters_to_context(s->codec, s->stream->codecpar);
    s->codec->pkt_timebase = s->stream->time_base;
    s->codec->thread_count = 1;
    if (code >= 0)
        code = s->f.avcodec_open2(s->codec, codec, NULL);
    return code < 0 ? ffmpeg_fail(s, code) : 0;
}

/* Feeds one packet, or the end. A damaged packet is left out, and counted. */
static int feed(ffmpeg_state *s)
{
    int code = s->f.av_read_frame(s->format, s->packet);

    if (code == AVERROR_EOF || (code < 0 && s->io->eof_reached)) {
        s->drained = true;
        code = s->f.avcodec_send_packet(s->codec, NULL);
        return code < 0 && code != AVERROR_EOF ? ffmpeg_fail(s, code) : 0;
    }
    if (code == 0 && s->packet->stream_index == s->stream->index)
        code = s->f.avcodec_send_packet(s->codec, s->packet);
    s->f.av_packet_unref(s->packet);
    if (code == AVERROR(ENOMEM))
        return ffmpeg_fail(s, code);
    if (code < 0 && code != AVERROR(EAGAIN) && ++s->bad_packets > BAD_PACKETS)
        return ffmpeg_fail(s, code);
    return 0;
}

/* After a seek: steps over what lies before the wanted frame. */
static int apply_target(ffmpeg_state *s)
{
    const int64_t start = s->stream->start_time == AV_NOPTS_VALUE ? 0 : s->stream->start_time;
    const int64_t pts = s->frame->best_effort_timestamp;

    if (s->target >= 0) {
        if (pts == AV_NOPTS_VALUE)
            return sm_fail(SM_EFORMAT, "no time stamps to find frame %lld by", (long long)s->target);
        const int64_t at = s->f.av_rescale_q(pts - start, s->stream->time_base, (AVRational){ 1, s->rate });
        s->skip = SM_MAX(s->target - at, 0);
        s->target = -1;
    }
    s->used = (int)SM_MIN(s->skip, (int64_t)s->frame->nb_samples);
    s->skip -= s->used;
    return 0;
}

/* The next decoded frame is in s->frame; 0: end. */
static int next_frame(ffmpeg_state *s)
{
    for (;;) {
        int code = s->f.avcodec_receive_frame(s->codec, s->frame);
        if (code == 0) {
            s->used = 0;
            code = apply_target(s);
            if (code < 0)
                return code;
            if (s->used < s->frame->nb_samples)
                return 1;
            continue;
        }
        if (code == AVERROR_EOF)
            return 0;
        if (code == AVERROR(ENOMEM) || (code != AVERROR(EAGAIN) && ++s->bad_packets > BAD_PACKETS))
            return ffmpeg_fail(s, code);
        if (s->drained)
            return 0;
        code = feed(s);
        if (code < 0)
            return code;
    }
}

static const sm_meta_name names[] = {
    { "tmpo", "bpm" },
    { "tempo", "bpm" },
    { "TBPM", "bpm" },
    { "encoder", "software" },
    { "album_artist", "albumartist" },
    { "TKEY", "initialkey" },
    { "year", "date" },
};
static const char *const not_tags[] = { "major_brand",  "minor_version", "compatible_brands",
                                        "handler_name", "vendor_id",     "creation_time",
                                        "language",     "iTunSMPB",      "gapless_playback" };

static int copy_tags(const ffmpeg_state *s, const AVDictionary *from, sm_audio_metadata *meta)
{
    const AVDictionaryEntry *e = NULL;
    int err = 0;

    while (err == 0 && (e = s->f.av_dict_get(from, "", e, AV_DICT_IGNORE_SUFFIX))) {
        bool skip = false;
        for (size_t i = 0; i < SM_LENGTH(not_tags); i++)
            skip = skip || strcasecmp(not_tags[i], e->key) == 0;
        if (!skip)
            err = sm_meta_tag(meta, sm_meta_rename(names, SM_LENGTH(names), e->key), SM_TEXT_ANY,
                              (const uint8_t *)e->value, strlen(e->value));
    }
    return err;
}

/* MP4's edit list counts samples: what comes after them is the encoder's padding, as long as it is no more than a few of its
 * blocks (else the header lies, and everything is read). */
static void trust_edit_list(ffmpeg_state *s, sm_decoder_info *info)
{
    const int block = s->stream->codecpar->frame_size;
    const int64_t all = s->stream->nb_frames * (int64_t)block;

    info->approximate = strncmp(s->format->iformat->name, "mov", 3) != 0;
    s->exact = !info->approximate && s->stream->time_base.den == s->rate;
    if (s->exact && block > 0 && all - info->frames <= 4 * (int64_t)block)
        info->limit = info->frames;
}

static void describe(ffmpeg_state *s, sm_decoder_info *info)
{
    const AVCodecParameters *p = s->stream->codecpar;
    const AVCodecDescriptor *d = s->f.avcodec_descriptor_get(p->codec_id);

    info->rate_hz = s->rate;
    info->channels = s->channels;
    info->codec = s->f.avcodec_get_name(p->codec_id);
    info->bitrate_bps = p->bit_rate > 0 ? p->bit_rate : 0;
    if (d && d->props & AV_CODEC_PROP_LOSSLESS && !(d->props & AV_CODEC_PROP_LOSSY))
        info->bit_depth = p->bits_per_raw_sample > 0 ? p->bits_per_raw_sample : p->bits_per_coded_sample;
    /* guessed from the bit rate, or of one of an Ogg file's streams: not known before the end */
    if (s->format->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE ||
        strcmp(s->format->iformat->name, "ogg") == 0)
        info->frames = -1;
    else if (s->stream->duration > 0)
        info->frames = s->f.av_rescale_q(s->stream->duration, s->stream->time_base, (AVRational){ 1, s->rate });
    else if (s->format->duration > 0)
        info->frames =
            s->f.av_rescale_q(s->format->duration, (AVRational){ 1, AV_TIME_BASE }, (AVRational){ 1, s->rate });
    else
        info->frames = -1;
    trust_edit_list(s, info);
}

static void close_stream(ffmpeg_state *s)
{
    if (s->frame)
        s->f.av_frame_free(&s->frame);
    if (s->packet)
        s->f.av_packet_free(&s->packet);
    if (s->codec)
        s->f.avcodec_free_context(&s->codec);
    if (s->format)
        s->f.avformat_close_input(&s->format);
    if (s->io) {
        s->f.av_freep(&s->io->buffer);
        s->f.avio_context_free(&s->io);
    }
}

static void ffmpeg_close(void *state)
{
    close_stream(state);
    sm_free(state);
}

static int ffmpeg_open(sm_source *source, sm_audio_metadata *meta, void **out, sm_decoder_info *info)
{
    ffmpeg_state *s = sm_alloc_zero(1, sizeof *s);
    int err;

    *out = NULL;
    if (!s)
        return SM_ENOMEM;
    s->target = -1;
    s->source = source;
    err = sm_ffmpeg_load(&s->f);
    if (err < 0) {
        sm_free(s);
        return err;
    }
    s->f.av_log_set_level(AV_LOG_QUIET);
    err = open_format(s, source);
    if (err == 0)
        err = open_codec(s);
    if (err == 0) { /* the first frame says the true rate and channels: with SBR the header has half */
        err = next_frame(s);
        err = err == 0 ? sm_fail(SM_EFORMAT, "no audio could be decoded") : SM_MIN(err, 0);
    }
    if (err == 0) {
        s->rate = s->frame->sample_rate;
        s->channels = s->frame->ch_layout.nb_channels;
        describe(s, info);
    }
    if (err == 0 && meta->n_tags == 0)
        err = copy_tags(s, s->format->metadata, meta);
    if (err == 0 && meta->n_tags == 0)
        err = copy_tags(s, s->stream->metadata, meta);
    if (err < 0) {
        ffmpeg_close(s);
        return err;
    }
    *out = s;
    return 0;
}

static float sample_u8(const void *p, size_t i)
{
    return (float)(((const uint8_t *)p)[i] - 128) / 128.0f;
}
static float sample_s16(const void *p, size_t i)
{
    return (float)((const int16_t *)p)[i] / 32768.0f;
}
static float sample_s32(const void *p, size_t i)
{
    return (float)((const int32_t *)p)[i] / 2147483648.0f;
}
static float sample_f32(const void *p, size_t i)
{
    return ((const float *)p)[i];
}
static float sample_f64(const void *p, size_t i)
{
    return (float)((const double *)p)[i];
}

static const struct {
    enum AVSampleFormat packed, planar;
    float (*sample)(const void *p, size_t i);
} sample_formats[] = {
    { AV_SAMPLE_FMT_U8, AV_SAMPLE_FMT_U8P, sample_u8 },    { AV_SAMPLE_FMT_S16, AV_SAMPLE_FMT_S16P, sample_s16 },
    { AV_SAMPLE_FMT_S32, AV_SAMPLE_FMT_S32P, sample_s32 }, { AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_FLTP, sample_f32 },
    { AV_SAMPLE_FMT_DBL, AV_SAMPLE_FMT_DBLP, sample_f64 },
};

/* n frames of the decoded frame, from s->used on, as interleaved floats. */
static int convert(const ffmpeg_state *s, float *out, size_t n)
{
    const size_t channels = (size_t)s->channels, from = (size_t)s->used;

    for (size_t k = 0; k < SM_LENGTH(sample_formats); k++) {
        const bool planar = s->frame->format == sample_formats[k].planar;
        if (!planar && s->frame->format != sample_formats[k].packed)
            continue;
        for (size_t i = 0; i < n; i++)
            for (size_t c = 0; c < channels; c++)
                out[i * channels + c] =
                    planar ? sample_formats[k].sample(s->frame->extended_data[c], from + i)
                           : sample_formats[k].sample(s->frame->extended_data[0], (from + i) * channels + c);
        return 0;
    }
    return sm_fail(SM_EUNSUPPORTED, "samples of FFmpeg's format %d", s->frame->format);
}

static int64_t ffmpeg_read(void *state, float *out, size_t frames)
{
    ffmpeg_state *s = state;
    size_t given = 0;

    if (!s->frame)
        return sm_fail(SM_EFORMAT, "going back to its beginning failed");
    while (given < frames) {
        if (s->used >= s->frame->nb_samples) {
            const int err = next_frame(s);
            if (err < 0 && given == 0)
                return err;
            if (err <= 0)
                break;
        }
        if (s->frame->sample_rate != s->rate || s->frame->ch_layout.nb_channels != s->channels) {
            if (given > 0)
                break;
            return sm_fail(SM_EFORMAT, "the stream changes from %d Hz, %d channels to %d Hz, %d channels", s->rate,
                           s->channels, s->frame->sample_rate, s->frame->ch_layout.nb_channels);
        }
        const size_t n = SM_MIN(frames - given, (size_t)(s->frame->nb_samples - s->used));
        const int err = convert(s, out + given * (size_t)s->channels, n);
        if (err < 0)
            return err;
        s->used += (int)n;
        given += n;
    }
    if (given == 0 && s->bad_packets > 0)
        return sm_fail(SM_EFORMAT, "%d damaged pieces were left out", s->bad_packets);
    return (int64_t)given;
}

/* From the beginning again: the first `frame` frames will be decoded and dropped. */
static int restart(ffmpeg_state *s, int64_t frame)
{
    int err;

    close_stream(s);
    s->source->cursor = 0;
    s->drained = false;
    s->used = 0;
    s->target = -1;
    err = open_format(s, s->source);
    if (err == 0)
        err = open_codec(s);
    s->skip = frame;
    return err;
}

/* Only MP4's time stamps are exact enough to jump by, and only away from the beginning, where the encoder's delay is cut. */
static int ffmpeg_seek(void *state, int64_t frame)
{
    ffmpeg_state *s = state;
    const int64_t before = frame - PREROLL; /* lossy codecs need a run-up */

    if (!s->frame || !s->exact || before < PREROLL)
        return restart(s, frame);
    const int64_t start = s->stream->start_time == AV_NOPTS_VALUE ? 0 : s->stream->start_time;
    const int64_t pts = start + s->f.av_rescale_q(before, (AVRational){ 1, s->rate }, s->stream->time_base);
    const int code = s->f.av_seek_frame(s->format, s->stream->index, pts, AVSEEK_FLAG_BACKWARD);
    if (code < 0)
        return restart(s, frame);
    s->f.avcodec_flush_buffers(s->codec);
    s->drained = false;
    s->used = s->frame->nb_samples;
    s->target = frame;
    s->skip = 0;
    return 0;
}

const sm_decoder sm_decoder_ffmpeg = { "FFmpeg", ffmpeg_open, ffmpeg_read, ffmpeg_seek, ffmpeg_close };
