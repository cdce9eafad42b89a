/* libsndfile as a decoder: wav, aiff, caf, flac, ogg, opus and their kin. */
#include <sndfile.h>
#include <string.h>

#include "audio/reader.h"

typedef struct {
    SNDFILE *file;
    sm_source *source;
    int channels;
} sndfile_state;

static const struct {
    int subtype;
    const char *codec;
    int bits; /* 0: lossy */
} codecs[] = {
    { SF_FORMAT_PCM_S8, "pcm_s8", 8 },       { SF_FORMAT_PCM_U8, "pcm_u8", 8 },     { SF_FORMAT_PCM_16, "pcm_s16", 16 },
    { SF_FORMAT_PCM_24, "pcm_s24", 24 },     { SF_FORMAT_PCM_32, "pcm_s32", 32 },   { SF_FORMAT_FLOAT, "pcm_f32", 32 },
    { SF_FORMAT_DOUBLE, "pcm_f64", 64 },     { SF_FORMAT_ULAW, "pcm_mulaw", 8 },    { SF_FORMAT_ALAW, "pcm_alaw", 8 },
    { SF_FORMAT_IMA_ADPCM, "adpcm_ima", 0 }, { SF_FORMAT_MS_ADPCM, "adpcm_ms", 0 }, { SF_FORMAT_GSM610, "gsm610", 0 },
    { SF_FORMAT_G721_32, "g721", 0 },        { SF_FORMAT_G723_24, "g723", 0 },      { SF_FORMAT_G723_40, "g723", 0 },
    { SF_FORMAT_VOX_ADPCM, "adpcm_vox", 0 }, { SF_FORMAT_DWVW_12, "dwvw", 12 },     { SF_FORMAT_DWVW_16, "dwvw", 16 },
    { SF_FORMAT_DWVW_24, "dwvw", 24 },       { SF_FORMAT_VORBIS, "vorbis", 0 },     { SF_FORMAT_OPUS, "opus", 0 },
    { SF_FORMAT_ALAC_16, "alac", 16 },       { SF_FORMAT_ALAC_20, "alac", 20 },     { SF_FORMAT_ALAC_24, "alac", 24 },
    { SF_FORMAT_ALAC_32, "alac", 32 },
};

static sf_count_t io_length(void *user)
{
    return ((sm_source *)user)->size;
}
static sf_count_t io_seek(sf_count_t offset, int whence, void *user)
{
    return sm_source_seek(user, offset, whence);
}
static sf_count_t io_read(void *to, sf_count_t count, void *user)
{
    return count > 0 ? (sf_count_t)sm_source_read(user, to, (size_t)count) : 0;
}
static sf_count_t io_tell(void *user)
{
    return ((sm_source *)user)->cursor;
}

static void describe(const SF_INFO *sf, sm_decoder_info *info)
{
    const int subtype = sf->format & SF_FORMAT_SUBMASK;

    info->codec = "unknown";
    for (size_t i = 0; i < SM_LENGTH(codecs); i++)
        if (codecs[i].subtype == subtype) {
            info->codec = codecs[i].codec;
            info->bit_depth = codecs[i].bits;
        }
    if ((sf->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_FLAC)
        info->codec = "flac";
    info->rate_hz = sf->samplerate;
    info->channels = sf->channels;
    /* libsndfile says SF_COUNT_MAX for an Ogg file without its last page */
    info->frames = sf->frames;
    if (sf->frames < 0 || sf->frames > (sf_count_t)1 << 48) {
        info->frames = -1;
        info->lack = "its end is missing";
    }
}

/* Opus is made of 48 kHz whatever it was made from; libsndfile would give it at the rate of its origin. */
static void opus_at_48k(SNDFILE *file, SF_INFO *sf)
{
    int rate = 48000;

    if ((sf->format & SF_FORMAT_SUBMASK) == SF_FORMAT_OPUS && sf->samplerate != rate &&
        sf_command(file, SFC_SET_ORIGINAL_SAMPLERATE, &rate, sizeof rate))
        sf_command(file, SFC_GET_CURRENT_SF_INFO, sf, sizeof *sf);
}

/* libsndfile's texts begin with "Error : " or end in a full stop, some of them. */
static int sndfile_fail(SNDFILE *file)
{
    const char *text = sf_strerror(file);
    size_t length;

    if (strncmp(text, "Error : ", 8) == 0)
        text += 8;
    length = strlen(text);
    if (length > 0 && text[length - 1] == '.')
        length--;
    return sm_fail(SM_EFORMAT, "%.*s", (int)length, text);
}

static int sndfile_open(sm_source *source, sm_audio_metadata *meta, void **out, sm_decoder_info *info)
{
    static SF_VIRTUAL_IO io = { io_length, io_seek, io_read, NULL, io_tell };
    SF_INFO sf = { 0 };
    sndfile_state *s = sm_alloc_zero(1, sizeof *s);

    (void)meta;
    *out = NULL;
    if (!s)
        return SM_ENOMEM;
    s->source = source;
    s->file = sf_open_virtual(&io, SFM_READ, &sf, source);
    if (!s->file) {
        const int err = sndfile_fail(NULL);
        sm_free(s);
        return err;
    }
    opus_at_48k(s->file, &sf);
    s->channels = sf.channels;
    describe(&sf, info);
    *out = s;
    return 0;
}

static int64_t sndfile_read(void *state, float *out, size_t frames)
{
    sndfile_state *s = state;
    const sf_count_t got = sf_readf_float(s->file, out, (sf_count_t)SM_MIN(frames, (size_t)1 << 30));

    if (got <= 0 && sf_error(s->file) != SF_ERR_NO_ERROR)
        return sndfile_fail(s->file);
    return SM_MAX(got, 0);
}

static int sndfile_seek(void *state, int64_t frame)
{
    sndfile_state *s = state;
    if (sf_seek(s->file, frame, SEEK_SET) != frame)
        return sm_fail(SM_EFORMAT, "cannot go to frame %lld: %s", (long long)frame, sf_strerror(s->file));
    return 0;
}

static void sndfile_close(void *state)
{
    sndfile_state *s = state;
    sf_close(s->file);
    sm_free(s);
}

const sm_decoder sm_decoder_sndfile = { "libsndfile", sndfile_open, sndfile_read, sndfile_seek, sndfile_close };
