/* Writing sound files through libsndfile, under a temporary name until they are whole. */
#include <errno.h>
#include <math.h>
#include <sndfile.h>
#include <string.h>

#include "audio/audio.h"

enum { BLOCK_SAMPLES = 1 << 14 };

/* A name's ending and what it stands for. */
typedef struct {
    const char *ending;
    const char *words;
    int format;
    bool integers, floats; /* sample formats that it takes; neither: a lossy one, which has none */
    double quality;        /* VBR, 0 to 1; 0: not asked for */
    int max_channels;
    const int *rates; /* that it has, ends with 0; NULL: any */
} write_row;

static const int mpeg_rates[] = { 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 0 };
static const int opus_rates[] = { 8000, 12000, 16000, 24000, 48000, 0 };

static const write_row write_table[] = {
    { ".wav", "wav", SF_FORMAT_WAV, true, true, 0, 8, NULL },
    { ".wave", "wav", SF_FORMAT_WAV, true, true, 0, 8, NULL },
    { ".aiff", "aiff", SF_FORMAT_AIFF, true, true, 0, 8, NULL },
    { ".aif", "aiff", SF_FORMAT_AIFF, true, true, 0, 8, NULL },
    { ".caf", "caf", SF_FORMAT_CAF, true, true, 0, 8, NULL },
    { ".w64", "Wave64", SF_FORMAT_W64, true, true, 0, 8, NULL },
    { ".flac", "flac", SF_FORMAT_FLAC, true, false, 0, 8, NULL },
    { ".mp3", "mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, false, false, 0, 2, mpeg_rates },
    { ".ogg", "Ogg Vorbis", SF_FORMAT_OGG | SF_FORMAT_VORBIS, false, false, 0.7, 8, NULL },
    { ".opus", "Opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, false, false, 0.7, 8, opus_rates },
};

struct sm_audio_writer {
    const write_row *row;
    sm_audio_write_options options;
    char *path;
    sm_outfile *file;
    SNDFILE *sound;
    int *block;         /* BLOCK_SAMPLES converted samples */
    int io_errno;       /* of the first write that failed */
    int64_t bytes, end; /* place and length of the file */
    uint64_t dithered;  /* samples so far: the place in the stream of dither */
};

static sf_count_t io_length(void *user)
{
    return ((sm_audio_writer *)user)->end;
}

static sf_count_t io_seek(sf_count_t offset, int whence, void *user)
{
    sm_audio_writer *w = user;
    FILE *f = sm_outfile_stream(w->file);
    if (fseeko(f, (off_t)offset, whence) != 0)
        w->io_errno = w->io_errno ? w->io_errno : errno;
    w->bytes = ftello(f);
    return w->bytes;
}

static sf_count_t io_read(void *to, sf_count_t count, void *user)
{
    sm_audio_writer *w = user;
    const size_t got = fread(to, 1, (size_t)SM_MAX(count, 0), sm_outfile_stream(w->file));
    w->bytes += (int64_t)got;
    return (sf_count_t)got;
}

static sf_count_t io_write(const void *from, sf_count_t count, void *user)
{
    sm_audio_writer *w = user;
    errno = 0;
    const size_t put = fwrite(from, 1, (size_t)SM_MAX(count, 0), sm_outfile_stream(w->file));
    if ((sf_count_t)put < count && !w->io_errno)
        w->io_errno = errno ? errno : EIO;
    w->bytes += (int64_t)put;
    w->end = SM_MAX(w->end, w->bytes);
    return (sf_count_t)put;
}

static sf_count_t io_tell(void *user)
{
    return ((sm_audio_writer *)user)->bytes;
}

static const write_row *find_row(const char *path)
{
    for (size_t i = 0; i < SM_LENGTH(write_table); i++)
        if (sm_text_has_suffix(path, write_table[i].ending))
            return &write_table[i];
    return NULL;
}

static bool has_rate(const write_row *row, int rate_hz)
{
    for (const int *r = row->rates; r && *r; r++)
        if (*r == rate_hz)
            return true;
    return !row->rates;
}

static int check_options(const char *path, const write_row *row, const sm_audio_write_options *o)
{
    if (!row)
        return sm_fail(SM_EUNSUPPORTED,
                       "%s: the name's ending says what to write: .wav .flac .mp3 .ogg .opus .aiff .caf .w64", path);
    if (o->channels < 1 || o->channels > row->max_channels)
        return sm_fail(SM_EUNSUPPORTED, "%s: %d channels; %s takes 1 to %d", path, o->channels, row->words,
                       row->max_channels);
    if (!has_rate(row, o->rate_hz)) /* before libsndfile asks LAME, which leaks then */
        return sm_fail(SM_EUNSUPPORTED, "%s: %s has no %d Hz", path, row->words, o->rate_hz);
    if (o->format == SM_SAMPLE_F32 && row->integers && !row->floats)
        return sm_fail(SM_EUNSUPPORTED, "%s: %s holds 16 or 24 bits, not floats", path, row->words);
    return 0;
}

static int subtype(const write_row *row, sm_sample_format format)
{
    if (!row->integers)
        return 0;
    return format == SM_SAMPLE_S16 ? SF_FORMAT_PCM_16 : format == SM_SAMPLE_S24 ? SF_FORMAT_PCM_24 : SF_FORMAT_FLOAT;
}

/* libsndfile maps "compression" 0..1 on the bit rates of the MPEG version that the rate asks for. */
static void set_mp3_bitrate(SNDFILE *sound, int rate_hz, int kbps)
{
    const double most = rate_hz >= 32000 ? 320 : rate_hz >= 16000 ? 160 : 64, least = rate_hz >= 32000 ? 32 : 8;
    double compression = (most - SM_CLAMP(kbps > 0 ? kbps : 320, least, most)) / (most - least);
    int constant = SF_BITRATE_MODE_CONSTANT;

    sf_command(sound, SFC_SET_BITRATE_MODE, &constant, sizeof constant);
    sf_command(sound, SFC_SET_COMPRESSION_LEVEL, &compression, sizeof compression);
}

static void set_options(sm_audio_writer *w)
{
    const sm_audio_write_options *o = &w->options;
    double quality = w->row->quality;

    /* the PEAK chunk holds the time of day: the same samples must give the same bytes */
    sf_command(w->sound, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE);
    if (w->row->format == (SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III))
        set_mp3_bitrate(w->sound, o->rate_hz, o->mp3_bitrate_kbps);
    if (quality > 0)
        sf_command(w->sound, SFC_SET_VBR_ENCODING_QUALITY, &quality, sizeof quality);
    if (o->title)
        sf_set_string(w->sound, SF_STR_TITLE, o->title);
    if (o->comment)
        sf_set_string(w->sound, SF_STR_COMMENT, o->comment);
    if (o->software)
        sf_set_string(w->sound, SF_STR_SOFTWARE, o->software);
}

static int open_sound(sm_audio_writer *w)
{
    static SF_VIRTUAL_IO io = { io_length, io_seek, io_read, io_write, io_tell };
    const sm_audio_write_options *o = &w->options;
    SF_INFO sf = { .samplerate = o->rate_hz, .channels = o->channels };

    sf.format = w->row->format | subtype(w->row, o->format);
    /* a wav's sizes end at 4 GB */
    if (w->row->format == SF_FORMAT_WAV && o->frames_expected > ((int64_t)1 << 32) / (4 * o->channels) - 4096)
        sf.format = SF_FORMAT_RF64 | subtype(w->row, o->format);
    if (!sf_format_check(&sf))
        return sm_fail(SM_EUNSUPPORTED, "%s: %s with %d channels at %d Hz cannot be written", w->path, w->row->words,
                       o->channels, o->rate_hz);
    w->sound = sf_open_virtual(&io, SFM_WRITE, &sf, w);
    if (!w->sound)
        return sm_fail(SM_EUNSUPPORTED, "%s: %s with %d channels at %d Hz cannot be written: %s", w->path,
                       w->row->words, o->channels, o->rate_hz, sf_strerror(NULL));
    set_options(w);
    return 0;
}

int sm_audio_writer_open(const char *path, const sm_audio_write_options *o, sm_audio_writer **out)
{
    sm_audio_writer *w = NULL;
    const write_row *row = find_row(path);
    int err = check_options(path, row, o);

    *out = NULL;
    if (err < 0)
        return err;
    w = sm_alloc_zero(1, sizeof *w);
    if (!w)
        return SM_ENOMEM;
    w->row = row;
    w->options = *o;
    w->path = sm_strdup(path);
    w->block = sm_alloc(BLOCK_SAMPLES, sizeof *w->block);
    err = w->path && w->block ? sm_outfile_open(path, &w->file) : SM_ENOMEM;
    if (err == 0)
        err = open_sound(w);
    if (err < 0) {
        sm_audio_writer_abandon(w);
        return err;
    }
    *out = w;
    return 0;
}

static int write_failed(const sm_audio_writer *w)
{
    if (w->io_errno)
        return sm_fail(SM_EIO, "%s: cannot be written: %s", w->path, strerror(w->io_errno));
    return sm_fail(SM_EIO, "%s: cannot be written: %s", w->path, sf_strerror(w->sound));
}

/* Triangular noise of plus-minus one step: what is rounded away becomes noise instead of distortion. Always the same. */
static double dither(sm_audio_writer *w)
{
    const uint64_t stream = sm_unit_hash("dither", 0), i = w->dithered++;
    return 0.5 * (sm_unit(stream, 2 * i) + sm_unit(stream, 2 * i + 1));
}

/* To integers of `bits` bits, in the upper bits of an int as libsndfile wants them: x 2^(bits-1), rounded, clamped. */
static void to_integers(sm_audio_writer *w, const float *in, size_t n, int bits)
{
    const double full = (double)(1 << (bits - 1));

    for (size_t i = 0; i < n; i++) {
        double x = isnan(in[i]) ? 0 : (double)in[i] * full;
        if (w->options.dither)
            x += dither(w);
        x = SM_CLAMP(rint(x), -full, full - 1);
        w->block[i] = (int)((unsigned)(int)x << (32 - bits));
    }
}

static void to_floats(sm_audio_writer *w, const float *in, size_t n)
{
    float *out = (float *)w->block;
    for (size_t i = 0; i < n; i++)
        out[i] = isfinite(in[i]) ? in[i] : 0;
}

int sm_audio_writer_write(sm_audio_writer *w, const float *interleaved, size_t frames)
{
    const size_t channels = (size_t)w->options.channels;
    const size_t block = BLOCK_SAMPLES / channels;
    const bool integers = w->row->integers && w->options.format != SM_SAMPLE_F32;

    while (frames > 0) {
        const size_t n = SM_MIN(frames, block);
        sf_count_t put;
        if (integers) {
            to_integers(w, interleaved, n * channels, w->options.format == SM_SAMPLE_S16 ? 16 : 24);
            put = sf_writef_int(w->sound, w->block, (sf_count_t)n);
        } else {
            to_floats(w, interleaved, n * channels);
            put = sf_writef_float(w->sound, (const float *)w->block, (sf_count_t)n);
        }
        if (put != (sf_count_t)n || w->io_errno)
            return write_failed(w);
        if (w->end > (int64_t)UINT32_MAX - (1 << 20) && w->row->format == SF_FORMAT_WAV &&
            w->options.frames_expected == 0)
            return sm_fail(SM_ELIMIT, "%s: a wav holds 4 GB; write .w64, .caf or .flac", w->path);
        interleaved += n * channels;
        frames -= n;
    }
    return 0;
}

static void free_writer(sm_audio_writer *w)
{
    sm_free(w->block);
    sm_free(w->path);
    sm_free(w);
}

int sm_audio_writer_commit(sm_audio_writer *w)
{
    int err = 0;

    if (sf_close(w->sound) != 0 || w->io_errno) {
        w->sound = NULL;
        err = write_failed(w);
        sm_outfile_abandon(w->file);
    } else {
        err = sm_outfile_commit(w->file);
    }
    free_writer(w);
    return err;
}

void sm_audio_writer_abandon(sm_audio_writer *w)
{
    if (!w)
        return;
    if (w->sound)
        sf_close(w->sound);
    sm_outfile_abandon(w->file);
    free_writer(w);
}
