/* What kind of file it is, by its content alone. */
#include <ctype.h>
#include <string.h>

#include "audio/reader.h"

enum { ID3_HEADER = 10, MPEG_SEARCH = 1 << 16 };

static bool is_riff(sm_source *s)
{
    return sm_source_has(s, 0, "RIFF", 4) && sm_source_has(s, 8, "WAVE", 4);
}
static bool is_rf64(sm_source *s)
{
    return (sm_source_has(s, 0, "RF64", 4) || sm_source_has(s, 0, "BW64", 4)) && sm_source_has(s, 8, "WAVE", 4);
}
static bool is_w64(sm_source *s)
{
    return sm_source_has(s, 0, "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", 16);
}
static bool is_rifx(sm_source *s)
{
    return sm_source_has(s, 0, "RIFX", 4) && sm_source_has(s, 8, "WAVE", 4);
}
static bool is_aiff(sm_source *s)
{
    return sm_source_has(s, 0, "FORM", 4) && (sm_source_has(s, 8, "AIFF", 4) || sm_source_has(s, 8, "AIFC", 4));
}
static bool is_svx(sm_source *s)
{
    return sm_source_has(s, 0, "FORM", 4) && (sm_source_has(s, 8, "8SVX", 4) || sm_source_has(s, 8, "16SV", 4));
}
static bool is_caf(sm_source *s)
{
    return sm_source_has(s, 0, "caff\0\1", 6);
}
static bool is_flac(sm_source *s)
{
    return sm_source_has(s, 0, "fLaC", 4);
}
static bool is_ogg(sm_source *s)
{
    return sm_source_has(s, 0, "OggS", 4);
}
/* Several streams after each other (chained) or at once: the last page is not the first page's stream's. */
static bool is_ogg_of_many(sm_source *s)
{
    enum { TAIL = 1 << 16, PAGE = 27 };
    uint8_t tail[PAGE], first[PAGE];

    if (!is_ogg(s) || sm_source_read_at(s, 0, first, PAGE) != PAGE)
        return false;
    for (int64_t at = s->size - PAGE; at >= SM_MAX(s->size - TAIL, 0); at--)
        if (sm_source_read_at(s, at, tail, 4) == 4 && memcmp(tail, "OggS", 4) == 0 &&
            sm_source_read_at(s, at, tail, PAGE) == PAGE)
            return memcmp(tail + 14, first + 14, 4) != 0;
    return false;
}
static bool is_mp4(sm_source *s)
{
    return sm_source_has(s, 4, "ftyp", 4);
}
static bool is_au(sm_source *s)
{
    return sm_source_has(s, 0, ".snd", 4);
}
static bool is_voc(sm_source *s)
{
    return sm_source_has(s, 0, "Creative Voice File", 19);
}
static bool is_asf(sm_source *s)
{
    return sm_source_has(s, 0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", 8);
}
static bool is_matroska(sm_source *s)
{
    return sm_source_has(s, 0, "\x1a\x45\xdf\xa3", 4);
}
static bool is_wavpack(sm_source *s)
{
    return sm_source_has(s, 0, "wvpk", 4);
}
static bool is_ape(sm_source *s)
{
    return sm_source_has(s, 0, "MAC ", 4);
}
static bool is_adts(sm_source *s)
{
    uint8_t h[7], next[2];
    if (sm_source_read_at(s, 0, h, 7) != 7 || h[0] != 0xff || (h[1] & 0xf6) != 0xf0)
        return false;
    const int64_t length = (h[3] & 3) << 11 | h[4] << 3 | h[5] >> 5;
    return length > 7 && sm_source_read_at(s, length, next, 2) == 2 && next[0] == 0xff && (next[1] & 0xf6) == 0xf0;
}

/* ISO 11172-3, 2.4.2.3: bytes of the frame whose header this is, 0: no header. Rates and bit rates by version and layer. */
static int mpeg_frame_bytes(const uint8_t *h)
{
    static const int16_t kbps[2][3][16] = {
        { { 0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448, 0 },
          { 0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0 },
          { 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0 } },
        { { 0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 0 },
          { 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0 },
          { 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0 } },
    };
    static const int rates[3] = { 44100, 48000, 32000 };
    const int version = h[1] >> 3 & 3, layer = 4 - (h[1] >> 1 & 3),
              rate_index = h[2] >> 2 & 3; /* version 3: 1, 2: 2, 0: 2.5 */

    if (h[0] != 0xff || (h[1] & 0xe0) != 0xe0 || version == 1 || layer == 4 || rate_index == 3)
        return 0;
    const int rate = rates[rate_index] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
    const int bits = kbps[version != 3][layer - 1][h[2] >> 4] * 1000, padding = h[2] >> 1 & 1;
    if (bits == 0)
        return 0;
    if (layer == 1)
        return (12 * bits / rate + padding) * 4;
    return (layer == 3 && version != 3 ? 72 : 144) * bits / rate + padding;
}

/* Headers of one version and layer in a row, each where the frame before ends. */
static bool mpeg_chain(sm_source *s, int64_t at, int wanted)
{
    uint8_t h[4], first = 0;

    for (int seen = 0; seen < wanted; seen++) {
        if (sm_source_read_at(s, at, h, 4) != 4)
            return seen >= 2 && at >= s->size; /* a short file: as many as there are */
        if (mpeg_frame_bytes(h) == 0 || (seen > 0 && h[1] != first))
            return false;
        first = h[1];
        at += mpeg_frame_bytes(h);
    }
    return true;
}

/* Right at the beginning or behind ID3 tags; or, behind at most 64 kB of something else, so many frames in a row that they are
 * no accident. */
int64_t sm_mpeg_first_frame(sm_source *s)
{
    const int64_t first = sm_id3_length(s, 0);
    uint8_t h[4];

    if (mpeg_chain(s, first, 2))
        return first;
    for (int64_t at = first; at < first + MPEG_SEARCH && sm_source_read_at(s, at, h, 4) == 4; at++)
        if (h[0] == 0xff && mpeg_frame_bytes(h) > 0 && mpeg_chain(s, at, 8))
            return at;
    return -1;
}

static bool is_mpeg(sm_source *s)
{
    return sm_mpeg_first_frame(s) >= 0;
}

const sm_audio_kind sm_audio_kinds[] = {
    { "wav", "a wav file", is_riff, { &sm_decoder_sndfile, &sm_decoder_ffmpeg } },
    { "rf64", "an RF64 wav file", is_rf64, { &sm_decoder_sndfile, &sm_decoder_ffmpeg } },
    { "w64", "a Wave64 file", is_w64, { &sm_decoder_sndfile, &sm_decoder_ffmpeg } },
    { "wav", "a big-endian wav file", is_rifx, { &sm_decoder_sndfile } },
    { "aiff", "an aiff file", is_aiff, { &sm_decoder_sndfile, &sm_decoder_ffmpeg } },
    { "caf", "a caf file", is_caf, { &sm_decoder_sndfile, &sm_decoder_ffmpeg } },
    { "flac", "a flac file", is_flac, { &sm_decoder_sndfile, &sm_decoder_ffmpeg } },
    { "ogg", "an Ogg file of several streams", is_ogg_of_many, { &sm_decoder_ffmpeg, &sm_decoder_sndfile } },
    { "ogg", "an Ogg file", is_ogg, { &sm_decoder_sndfile, &sm_decoder_ffmpeg } },
    { "m4a", "an MP4 file", is_mp4, { &sm_decoder_ffmpeg } },
    { "au", "an au file", is_au, { &sm_decoder_sndfile, &sm_decoder_ffmpeg } },
    { "8svx", "an Amiga sound file", is_svx, { &sm_decoder_sndfile, &sm_decoder_ffmpeg } },
    { "voc", "a Creative voice file", is_voc, { &sm_decoder_sndfile, &sm_decoder_ffmpeg } },
    { "wma", "a Windows Media file", is_asf, { &sm_decoder_ffmpeg } },
    { "webm", "a Matroska or WebM file", is_matroska, { &sm_decoder_ffmpeg } },
    { "wavpack", "a WavPack file", is_wavpack, { &sm_decoder_ffmpeg } },
    { "ape", "a Monkey's Audio file", is_ape, { &sm_decoder_ffmpeg } },
    { "aac", "an AAC stream", is_adts, { &sm_decoder_ffmpeg } },
    { "mp3",
      "an MPEG audio file",
      is_mpeg,
      { &sm_decoder_mpeg, &sm_decoder_ffmpeg } }, /* the vaguest test comes last */
    { NULL, NULL, NULL, { NULL } },
};

/* ID3v2 tags may follow each other; their sizes are "synchsafe", 7 bits a byte. */
int64_t sm_id3_length(sm_source *s, int64_t at)
{
    int64_t end = at;
    uint8_t h[ID3_HEADER];

    while (sm_source_read_at(s, end, h, ID3_HEADER) == ID3_HEADER && memcmp(h, "ID3", 3) == 0 && h[3] < 0xff &&
           ((h[6] | h[7] | h[8] | h[9]) & 0x80) == 0) {
        const int64_t size = (int64_t)h[6] << 21 | h[7] << 14 | h[8] << 7 | h[9];
        end += ID3_HEADER + size + (h[5] & 0x10 ? ID3_HEADER : 0); /* 0x10: a footer */
    }
    return SM_MIN(end, s->size) - at;
}

static const sm_audio_kind *find_kind(sm_source *s)
{
    for (const sm_audio_kind *k = sm_audio_kinds; k->container; k++)
        if (k->is(s))
            return k;
    return NULL;
}

const sm_audio_kind *sm_audio_kind_find(sm_source *s)
{
    const int64_t tag = sm_id3_length(s, 0);
    const sm_audio_kind *kind = NULL;

    if (tag > 0) {
        sm_source inside = *s; /* shares the cache, which reads of this function leave in a state of its own */
        sm_source_skip(&inside, tag);
        kind = find_kind(&inside);
        s->cached = 0;
        if (kind && kind->is != is_mpeg)
            sm_source_skip(s, tag);
        if (kind)
            return kind;
    }
    return find_kind(s);
}

const char *sm_source_looks_like(sm_source *s, char out[64])
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *words;
    } known[] = {
        { "\x89PNG", 4, "a PNG image" },
        { "\xff\xd8\xff", 3, "a JPEG image" },
        { "PK\3\4", 4, "a zip archive" },
        { "\x1f\x8b", 2, "a gzip file" },
        { "%PDF", 4, "a PDF document" },
        { "MThd", 4, "a MIDI file: notes, no sound" },
        { "\x7f"
          "ELF",
          4, "a program" },
        { "GIF8", 4, "a GIF image" },
        { "SQLite format 3", 15, "a database" },
    };
    uint8_t head[512];
    const size_t n = sm_source_read_at(s, 0, head, sizeof head);
    size_t control = 0, high = 0, same = 0;

    for (size_t i = 0; i < SM_LENGTH(known); i++)
        if (n >= known[i].n && memcmp(head, known[i].bytes, known[i].n) == 0)
            return known[i].words;
    for (size_t i = 0; i < n; i++) {
        control += !isprint(head[i]) && !isspace(head[i]) && head[i] < 0x80;
        high += head[i] >= 0x80;
        same += head[i] == head[0];
    }
    if (n > 1 && same == n)
        snprintf(out, 64, "the byte %02x again and again", head[0]);
    else if (control == 0 && high < n / 4 + 1)
        snprintf(out, 64, "text");
    else
        snprintf(out, 64, "unknown bytes (%02x %02x %02x %02x)", head[0], n > 1 ? head[1] : 0, n > 2 ? head[2] : 0,
                 n > 3 ? head[3] : 0);
    return out;
}
