/* ID3v2 (2.2, 2.3, 2.4), ID3v1 and APE tags: of mp3 files, and of the chunks that wav and aiff carry. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "audio/reader.h"

enum { HEADER = 10, V1_BYTES = 128, APE_FOOTER = 32, FRAME_TEXT = 1 << 18, UNSYNC_BYTES = 4 << 20, FRAMES = 4096 };

/* Three letters in 2.2, four since 2.3. */
static const sm_meta_name frame_names[] = {
    { "TIT2", "title" },       { "TT2", "title" },       { "TPE1", "artist" },     { "TP1", "artist" },
    { "TALB", "album" },       { "TAL", "album" },       { "TCON", "genre" },      { "TCO", "genre" },
    { "TBPM", "bpm" },         { "TBP", "bpm" },         { "TKEY", "initialkey" }, { "TKE", "initialkey" },
    { "COMM", "comment" },     { "COM", "comment" },     { "TYER", "date" },       { "TYE", "date" },
    { "TDRC", "date" },        { "TRCK", "track" },      { "TRK", "track" },       { "TPOS", "disc" },
    { "TPE2", "albumartist" }, { "TP2", "albumartist" }, { "TCOM", "composer" },   { "TCM", "composer" },
    { "TCOP", "copyright" },   { "TCR", "copyright" },   { "TMOO", "mood" },       { "TENC", "encodedby" },
    { "TEN", "encodedby" },    { "TSSE", "software" },   { "TSS", "software" },    { "TPUB", "publisher" },
    { "TPB", "publisher" },    { "TIT1", "grouping" },   { "TT1", "grouping" },    { "TIT3", "subtitle" },
    { "TEXT", "lyricist" },    { "TSRC", "isrc" },       { "TLAN", "language" },   { "TPE4", "remixer" },
};

/* The numbers of ID3v1's genres. */
static const char *const genres[] = {
    "Blues",
    "Classic Rock",
    "Country",
    "Dance",
    "Disco",
    "Funk",
    "Grunge",
    "Hip-Hop",
    "Jazz",
    "Metal",
    "New Age",
    "Oldies",
    "Other",
    "Pop",
    "R&B",
    "Rap",
    "Reggae",
    "Rock",
    "Techno",
    "Industrial",
    "Alternative",
    "Ska",
    "Death Metal",
    "Pranks",
    "Soundtrack",
    "Euro-Techno",
    "Ambient",
    "Trip-Hop",
    "Vocal",
    "Jazz+Funk",
    "Fusion",
    "Trance",
    "Classical",
    "Instrumental",
    "Acid",
    "House",
    "Game",
    "Sound Clip",
    "Gospel",
    "Noise",
    "AlternRock",
    "Bass",
    "Soul",
    "Punk",
    "Space",
    "Meditative",
    "Instrumental Pop",
    "Instrumental Rock",
    "Ethnic",
    "Gothic",
    "Darkwave",
    "Techno-Industrial",
    "Electronic",
    "Pop-Folk",
    "Eurodance",
    "Dream",
    "Southern Rock",
    "Comedy",
    "Cult",
    "Gangsta",
    "Top 40",
    "Christian Rap",
    "Pop/Funk",
    "Jungle",
    "Native American",
    "Cabaret",
    "New Wave",
    "Psychadelic",
    "Rave",
    "Showtunes",
    "Trailer",
    "Lo-Fi",
    "Tribal",
    "Acid Punk",
    "Acid Jazz",
    "Polka",
    "Retro",
    "Musical",
    "Rock & Roll",
    "Hard Rock",
};

static int add_text(sm_audio_metadata *meta, const char *key, const char *text)
{
    return sm_meta_tag(meta, key, SM_TEXT_UTF8, (const uint8_t *)text, strlen(text));
}

/* "(17)", "17", "(17)Rock" and "Rock" are all ways to say Rock. */
static int add_genre(sm_audio_metadata *meta, const char *text)
{
    const char *number = text + (*text == '(');
    char *after = NULL;
    const long n = isdigit((unsigned char)*number) ? strtol(number, &after, 10) : -1;

    if (n < 0)
        return add_text(meta, "genre", text);
    if (*after == ')')
        after++;
    if (*after)
        return add_text(meta, "genre", number == text ? text : after);
    return n < (long)SM_LENGTH(genres) ? add_text(meta, "genre", genres[n]) : 0;
}

/* Bytes of a text in this encoding up to and with its end. */
static size_t text_span(int encoding, const uint8_t *p, size_t n)
{
    if (encoding != 1 && encoding != 2) {
        const size_t length = strnlen((const char *)p, n);
        return SM_MIN(length + 1, n);
    }
    for (size_t i = 0; i + 1 < n; i += 2)
        if (p[i] == 0 && p[i + 1] == 0)
            return i + 2;
    return n;
}

static const sm_text_encoding encodings[4] = { SM_TEXT_LATIN1, SM_TEXT_UTF16, SM_TEXT_UTF16_BE, SM_TEXT_UTF8 };

/* One frame's body: an encoding byte, for comments a language, for comments and user texts a description, the text. */
static int parse_text_frame(sm_audio_metadata *meta, const char *id, const uint8_t *p, size_t n)
{
    const bool comment = strncmp(id, "COM", 3) == 0, user = strcmp(id, "TXXX") == 0 || strcmp(id, "TXX") == 0;
    const size_t prefix = comment ? 4 : 1;
    char *description = NULL, *text = NULL;
    int err = 0;

    if (n <= prefix || p[0] > 3)
        return 0;
    const int encoding = p[0];
    p += prefix;
    n -= prefix;
    if (comment || user) {
        const size_t span = text_span(encoding, p, n);
        err = sm_meta_text(encodings[encoding], p, span, &description);
        p += span;
        n -= span;
    }
    if (err == 0)
        err = sm_meta_text(encodings[encoding], p, text_span(encoding, p, n), &text);
    if (err == 0 && strncmp(id, "TCO", 3) == 0 && strcmp(id, "TCOM") != 0 && strcmp(id, "TCOP") != 0)
        err = add_genre(meta, text);
    else if (err == 0 && comment && description && *description)
        err = strncmp(description, "iTun", 4) == 0 ? 0 : add_text(meta, "comment", text); /* iTunes' own numbers */
    else if (err == 0)
        err = add_text(meta, user ? description : sm_meta_rename(frame_names, SM_LENGTH(frame_names), id), text);
    sm_free(description);
    sm_free(text);
    return err;
}

static uint32_t synchsafe(const uint8_t *p)
{
    return (uint32_t)(p[0] & 0x7f) << 21 | (uint32_t)(p[1] & 0x7f) << 14 | (uint32_t)(p[2] & 0x7f) << 7 | (p[3] & 0x7f);
}

/* Inside a tag: 0xff 0x00 stands for 0xff. Returns the new length. */
static size_t undo_unsync(uint8_t *p, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        p[out++] = p[i];
        if (p[i] == 0xff && i + 1 < n && p[i + 1] == 0)
            i++;
    }
    return out;
}

/* A frame's size; 2.4 says synchsafe, but some programs wrote plain numbers: take what leads to another frame or to the end. */
static int64_t frame_size(sm_source *s, int version, const uint8_t *h, int64_t body, int64_t end)
{
    uint8_t next[4];

    if (version == 2)
        return (int64_t)h[3] << 16 | h[4] << 8 | h[5];
    const int64_t plain = sm_be32(h + 4), safe = synchsafe(h + 4);
    if (version == 3 || plain == safe)
        return plain;
    if (body + safe == end)
        return safe;
    if (sm_source_read_at(s, body + safe, next, 4) == 4 &&
        (next[0] == 0 || (isalnum(next[0]) && isalnum(next[1]) && isalnum(next[2]) && isalnum(next[3]))))
        return safe;
    return plain;
}

/* Frames from `at` to `end`; only those with text are read, pictures are stepped over. */
static int parse_frames(sm_source *s, int version, int64_t at, int64_t end, sm_audio_metadata *meta)
{
    const size_t head = version == 2 ? 6 : 10, id_length = version == 2 ? 3 : 4;
    int err = 0;

    for (int seen = 0; err == 0 && seen < FRAMES; seen++) {
        uint8_t h[10];
        char id[5] = { 0 };
        if (at + (int64_t)head >= end || sm_source_read_at(s, at, h, head) != head || h[0] == 0)
            break;
        memcpy(id, h, id_length);
        const int64_t body = at + (int64_t)head, size = frame_size(s, version, h, body, end);
        if (size <= 0 || size > end - body)
            break;
        at = body + size;
        const int flags = version == 2 ? 0 : h[9];
        /* compressed or encrypted: not read (2.3: 0x80 0x40; 2.4: 0x08 0x04) */
        if ((id[0] != 'T' && strncmp(id, "COM", 3) != 0) || flags & (version == 3 ? 0xc0 : 0x0c))
            continue;
        size_t n = (size_t)SM_MIN(size, (int64_t)FRAME_TEXT), skip = version == 4 && flags & 1 ? 4 : 0;
        uint8_t *text = sm_alloc(n, 1);
        if (!text)
            return SM_ENOMEM;
        n = sm_source_read_at(s, body, text, n);
        if (version == 4 && flags & 2)
            n = undo_unsync(text, n);
        skip = SM_MIN(skip, n);
        err = parse_text_frame(meta, id, text + skip, n - skip);
        sm_free(text);
    }
    return err;
}

/* Where the frames of a tag begin: behind an extended header. */
static int64_t skip_extended(sm_source *s, int version, int64_t at)
{
    uint8_t h[4];
    if (sm_source_read_at(s, at, h, 4) != 4)
        return at;
    return at + (version == 4 ? (int64_t)synchsafe(h) : (int64_t)sm_be32(h) + 4);
}

static int parse_unsynced(sm_source *s, int version, bool extended, int64_t at, int64_t end, sm_audio_metadata *meta)
{
    const size_t want = (size_t)SM_MIN(end - at, (int64_t)UNSYNC_BYTES);
    uint8_t *copy = sm_alloc(want, 1);
    sm_source plain;
    int err;

    if (!copy)
        return SM_ENOMEM;
    sm_source_memory(copy, undo_unsync(copy, sm_source_read_at(s, at, copy, want)), &plain);
    err = parse_frames(&plain, version, extended ? skip_extended(&plain, version, 0) : 0, plain.size, meta);
    sm_free(copy);
    return err;
}

int sm_meta_id3v2(sm_source *s, int64_t at, int64_t end, sm_audio_metadata *meta)
{
    uint8_t h[HEADER];
    int err = 0;

    for (int tags = 0; err == 0 && tags < 16; tags++) {
        if (sm_source_read_at(s, at, h, HEADER) != HEADER || memcmp(h, "ID3", 3) != 0 || h[3] < 2 || h[3] > 4)
            break;
        const int version = h[3], flags = h[5];
        const int64_t body = at + HEADER, tag_end = SM_MIN(body + (int64_t)synchsafe(h + 6), SM_MIN(end, s->size));
        if (tag_end < body)
            break; /* the chunk that it stands in ends inside the header */
        const bool extended = version > 2 && flags & 0x40;
        if (flags & 0x80 && version < 4) /* the whole tag; in 2.4 each frame says so itself */
            err = parse_unsynced(s, version, extended, body, tag_end, meta);
        else
            err = parse_frames(s, version, extended ? skip_extended(s, version, body) : body, tag_end, meta);
        at = tag_end + (version == 4 && flags & 0x10 ? HEADER : 0);
    }
    return err;
}

/* 128 bytes at the end: fixed fields. They only add what nothing else said. */
static int parse_v1(sm_source *s, sm_audio_metadata *meta)
{
    static const struct {
        const char *key;
        int at, length;
    } fields[] = {
        { "title", 3, 30 }, { "artist", 33, 30 }, { "album", 63, 30 }, { "date", 93, 4 }, { "comment", 97, 30 }
    };
    uint8_t p[V1_BYTES];
    int err = 0;

    if (sm_source_read_at(s, s->size - V1_BYTES, p, V1_BYTES) != V1_BYTES || memcmp(p, "TAG", 3) != 0)
        return 0;
    for (size_t i = 0; err == 0 && i < SM_LENGTH(fields); i++)
        if (!sm_meta_find(meta, fields[i].key))
            err = sm_meta_tag(meta, fields[i].key, SM_TEXT_ANY, p + fields[i].at, (size_t)fields[i].length);
    if (err == 0 && p[127] < SM_LENGTH(genres) && !sm_meta_find(meta, "genre"))
        err = add_text(meta, "genre", genres[p[127]]);
    return err;
}

/* APEv2: items of a size, flags, a name and a UTF-8 value, then a footer that says how long they are. */
static int parse_ape(sm_source *s, sm_audio_metadata *meta)
{
    static const sm_meta_name names[] = { { "year", "date" }, { "tempo", "bpm" }, { "album artist", "albumartist" } };
    const int64_t v1 = sm_source_has(s, s->size - V1_BYTES, "TAG", 3) ? V1_BYTES : 0;
    const int64_t foot = s->size - v1 - APE_FOOTER;
    uint8_t footer[APE_FOOTER], *items = NULL;
    int err = 0;

    if (sm_source_read_at(s, foot, footer, APE_FOOTER) != APE_FOOTER || memcmp(footer, "APETAGEX", 8) != 0)
        return 0;
    const int64_t length = (int64_t)sm_le32(footer + 12) - APE_FOOTER;
    if (length <= 0 || length > foot)
        return 0;
    items = sm_alloc((size_t)SM_MIN(length, (int64_t)UNSYNC_BYTES), 1);
    if (!items)
        return SM_ENOMEM;
    const size_t n = sm_source_read_at(s, foot - length, items, (size_t)SM_MIN(length, (int64_t)UNSYNC_BYTES));
    for (size_t at = 0; err == 0 && n - at > 9;) {
        const size_t value = sm_le32(items + at), name = strnlen((char *)items + at + 8, n - at - 8);
        const size_t from = at + 8 + name + 1;
        if (from > n || value > n - from)
            break;
        if ((sm_le32(items + at + 4) >> 1 & 3) == 0) /* 0: text */
            err = sm_meta_tag(meta, sm_meta_rename(names, SM_LENGTH(names), (char *)items + at + 8), SM_TEXT_UTF8,
                              items + from, value);
        at = from + value;
    }
    sm_free(items);
    return err;
}

int sm_meta_mpeg(sm_source *s, sm_audio_metadata *meta)
{
    int err = sm_meta_id3v2(s, 0, s->size, meta);
    if (err == 0)
        err = parse_ape(s, meta);
    return err < 0 ? err : parse_v1(s, meta);
}
