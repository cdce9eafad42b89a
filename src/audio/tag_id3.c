/* Writing ID3v2: of mp3 files, and of the chunks that wav and aiff carry. A tag keeps its version, and frames that are not written
 * now keep their bytes. */
#include <string.h>

#include "audio/tag_parts.h"

enum { HEADER = 10, MOST_TAG = 1 << 28, ROOM = 1024 };

/* Frames of 2.2, 2.3 and 2.4; those of TXXX have a description. */
typedef struct {
    const char *id[3], *description;
} frame_name;
static const frame_name names[SM_TAG_FIELDS] = {
    [SM_TAG_TITLE] = { { "TT2", "TIT2", "TIT2" }, NULL },
    [SM_TAG_COMMENT] = { { "COM", "COMM", "COMM" }, "" },
    [SM_TAG_GENRE] = { { "TCO", "TCON", "TCON" }, NULL },
    [SM_TAG_MOOD] = { { "TXX", "TXXX", "TMOO" }, "MOOD" }, /* TMOO came with 2.4 */
    [SM_TAG_INSTRUMENT] = { { "TXX", "TXXX", "TXXX" }, "INSTRUMENT" },
    [SM_TAG_BPM] = { { "TBP", "TBPM", "TBPM" }, NULL },
    [SM_TAG_KEY] = { { "TKE", "TKEY", "TKEY" }, NULL },
};

static bool is_user_text(const char *id)
{
    return !strncmp(id, "TXX", 3);
}
static bool is_comment(const char *id)
{
    return !strncmp(id, "COM", 3);
}

static uint32_t synchsafe(const uint8_t *p)
{
    return (uint32_t)(p[0] & 0x7f) << 21 | (uint32_t)(p[1] & 0x7f) << 14 | (uint32_t)(p[2] & 0x7f) << 7 | (p[3] & 0x7f);
}

static void put_synchsafe(sm_buffer *b, size_t n)
{
    const uint8_t p[4] = { (uint8_t)(n >> 21 & 0x7f), (uint8_t)(n >> 14 & 0x7f), (uint8_t)(n >> 7 & 0x7f),
                           (uint8_t)(n & 0x7f) };
    sm_buffer_add(b, p, 4);
}

/* ---- new frames ---- */

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

/* UTF-16 with its mark. */
static void put_utf16(sm_buffer *b, const char *text)
{
    sm_put_le(b, 0xfeff, 2);
    for (const uint8_t *p = (const uint8_t *)text; *p;) {
        const size_t n = SM_MAX(sm_utf8_length((const char *)p, strlen((const char *)p)), (size_t)1);
        uint32_t c = n == 1 ? p[0] : n == 2 ? p[0] & 0x1fu : n == 3 ? p[0] & 0x0fu : p[0] & 0x07u;
        for (size_t i = 1; i < n; i++)
            c = c << 6 | (p[i] & 0x3f);
        p += n;
        if (c >= 0x10000) {
            sm_put_le(b, 0xd800 + ((c - 0x10000) >> 10), 2);
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        sm_put_le(b, c, 2);
    }
}

/* Encoding 0 is Latin-1 (ASCII here), 1 UTF-16, 3 UTF-8; each text but the last ends in zeros. */
static void put_text(sm_buffer *b, int encoding, const char *text, bool ends)
{
    if (encoding == 1)
        put_utf16(b, text);
    else
        sm_buffer_text(b, text);
    if (ends)
        sm_put_le(b, 0, encoding == 1 ? 2 : 1);
}

static void put_frame(sm_buffer *out, int version, const frame_name *name, const char *text)
{
    const char *id = name->id[version - 2];
    const bool described = is_user_text(id) || is_comment(id);
    const int encoding = is_ascii(text) ? 0 : version == 4 ? 3 : 1;
    sm_buffer body = { 0 };
    sm_put_le(&body, (uint64_t)encoding, 1);
    if (is_comment(id))
        sm_buffer_text(&body, "eng");
    if (described)
        put_text(&body, encoding, name->description, true);
    put_text(&body, encoding, text, false);
    sm_buffer_text(out, id);
    if (version == 2)
        sm_put_be(out, body.length, 3);
    else if (version == 3)
        sm_put_be(out, body.length, 4);
    else
        put_synchsafe(out, body.length);
    if (version > 2)
        sm_put_le(out, 0, 2);
    sm_buffer_add(out, body.data, body.length);
    out->failed = out->failed || body.failed;
    sm_buffer_free(&body);
}

/* ---- old frames ---- */

/* Whether this frame says what is written now. Of comments only those without a description, of user texts those with ours. */
static bool replaced(const sm_tag_job *j, const char *id, const uint8_t *body, size_t n)
{
    for (int f = 0; f < SM_TAG_FIELDS; f++) {
        const frame_name *name = &names[f];
        char *description = NULL;
        bool same = false;
        if (!j->text[f] || !name->id[0])
            continue;
        for (int v = 0; v < 3; v++)
            same = same || !strcmp(name->id[v], id);
        if (same && name->description && (is_comment(id) || is_user_text(id))) {
            static const sm_text_encoding encodings[] = { SM_TEXT_LATIN1, SM_TEXT_UTF16, SM_TEXT_UTF16_BE,
                                                          SM_TEXT_UTF8 };
            const size_t skip = is_comment(id) ? 4 : 1;
            same = n > skip && body[0] < 4 &&
                   sm_meta_text(encodings[body[0]], body + skip, n - skip, &description) == 0 &&
                   !strcasecmp(description, name->description);
            sm_free(description);
        }
        if (same)
            return true;
    }
    return false;
}

/* The size of a frame of 2.4; some programs wrote plain numbers: taken is what leads to another frame, to padding or to the end. */
static size_t size_of_4(const uint8_t *p, size_t at, size_t n)
{
    const size_t safe = synchsafe(p + at + 4), plain = sm_be32(p + at + 4);
    const size_t choices[2] = { safe, plain };
    for (int i = 0; i < 2; i++) {
        const size_t next = at + 10 + SM_MIN(choices[i], n);
        if (next == n ||
            (next < n && (p[next] == 0 || (next + 4 <= n && p[next] >= 'A' && p[next] <= 'Z' && p[next + 3] >= '0'))))
            return choices[i];
    }
    return safe;
}

/* Keeps what stays of the frames p[0..n). SM_EFORMAT: they do not end where they should. */
static int keep_frames(const sm_tag_job *j, int version, const uint8_t *p, size_t n, sm_buffer *out)
{
    const size_t head = version == 2 ? 6 : 10;
    for (size_t at = 0; at < n && p[at] != 0;) {
        char id[5] = { 0 };
        if (n - at < head)
            return sm_fail(SM_EFORMAT, "the ID3 tag ends within a frame");
        memcpy(id, p + at, version == 2 ? 3 : 4);
        const size_t size = version == 2   ? (size_t)p[at + 3] << 16 | (size_t)p[at + 4] << 8 | p[at + 5]
                            : version == 3 ? sm_be32(p + at + 4)
                                           : size_of_4(p, at, n);
        if (size > n - at - head)
            return sm_fail(SM_EFORMAT, "a frame of the ID3 tag goes beyond its end");
        const int flags = version == 2 ? 0 : p[at + 9];
        /* what is compressed, encrypted or grouped cannot be read, and stays */
        const bool readable = !(flags & (version == 3 ? 0xe0 : 0x4c));
        const size_t skip = version == 4 && flags & 1 && size >= 4 ? 4 : 0; /* its length before unsynchronisation */
        if (!readable || !replaced(j, id, p + at + head + skip, size - skip))
            sm_buffer_add(out, p + at, head + size);
        at += head + size;
    }
    return out->failed ? SM_ENOMEM : 0;
}

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

/* Frames of the old tag, without its head, the extended one, and zeros inserted for very old decoders. */
static int old_frames(const sm_tag_job *j, const uint8_t *old, size_t n, sm_buffer *out)
{
    const int version = old[3], flags = old[5];
    uint8_t *copy = sm_alloc(n, 1);
    if (!copy)
        return SM_ENOMEM;
    memcpy(copy, old + HEADER, n - HEADER);
    size_t length = SM_MIN((size_t)synchsafe(old + 6), n - HEADER), skip = 0;
    if (flags & 0x80 && version < 4) /* in 2.4 each frame says so itself */
        length = undo_unsync(copy, length);
    if (version > 2 && flags & 0x40 && length >= 4)
        skip = version == 4 ? synchsafe(copy) : (size_t)sm_be32(copy) + 4;
    const int err = skip > length ? sm_fail(SM_EFORMAT, "the ID3 tag's extended header goes beyond its end")
                                  : keep_frames(j, version, copy + skip, length - skip, out);
    sm_free(copy);
    return err;
}

int sm_id3_rewrite(sm_tag_job *j, const uint8_t *old, size_t n, bool fixed, size_t room, sm_buffer *out)
{
    const bool there = n > 0;
    const int version = there ? old[3] : 3;
    sm_buffer frames = { 0 };
    int err = 0;
    if (there && (n < HEADER || memcmp(old, "ID3", 3) != 0 || version < 2 || version > 4))
        return sm_fail(SM_EFORMAT, "an ID3 tag of a version that is not known");
    if (there && version == 2 && old[5] & 0x40)
        return sm_fail(SM_EUNSUPPORTED, "a compressed ID3v2.2 tag");
    if (there)
        err = old_frames(j, old, n, &frames);
    for (int f = 0; f < SM_TAG_FIELDS; f++) {
        char place[16];
        if (!j->text[f] || !names[f].id[0])
            continue;
        snprintf(place, sizeof place, "id3 %s", names[f].id[version - 2]);
        sm_tag_where(j, (sm_tag_field)f, place);
        if (*j->text[f])
            put_frame(&frames, version, &names[f], j->text[f]);
    }
    if (err == 0 && (frames.failed || frames.length > MOST_TAG - room - HEADER))
        err = frames.failed ? SM_ENOMEM : sm_fail(SM_ELIMIT, "an ID3 tag of %zu bytes", frames.length);
    if (err == 0) {
        const size_t size = fixed && there && frames.length + HEADER <= n ? n - HEADER : frames.length + room;
        uint8_t head[6] = { 'I', 'D', '3', (uint8_t)version, 0, 0 };
        if (there && version == 4)
            head[5] = old[5] & 0x80; /* frames are as they were */
        sm_buffer_add(out, head, 6);
        put_synchsafe(out, size);
        sm_buffer_add(out, frames.data, frames.length);
        uint8_t *zeros = sm_alloc_zero(size - frames.length + 1, 1);
        if (zeros)
            sm_buffer_add(out, zeros, size - frames.length);
        err = zeros && !out->failed ? 0 : SM_ENOMEM;
        sm_free(zeros);
    }
    sm_buffer_free(&frames);
    return err;
}

/* ---- mp3: the tag stands in front ---- */

int sm_tag_plan_mpeg(sm_tag_job *j)
{
    uint8_t h[HEADER], *old = NULL;
    sm_buffer tag = { 0 };
    int64_t n = 0;
    int err = 0;
    if (sm_id3_length(j->source, 0) > 0 && sm_source_read_at(j->source, 0, h, HEADER) == HEADER) {
        n = HEADER + (int64_t)synchsafe(h + 6) + (h[3] == 4 && h[5] & 0x10 ? HEADER : 0);
        if (n > j->source->size)
            return sm_fail(SM_EFORMAT, "the ID3 tag is longer than the file");
        err = sm_read_block(j->source, 0, n, &old);
    }
    if (err == 0)
        err = sm_id3_rewrite(j, old, (size_t)n, true, ROOM, &tag);
    if (err == 0)
        err = sm_splice_add(&j->splice, 0, n, tag.data, tag.length);
    sm_buffer_free(&tag);
    sm_free(old);
    return err;
}

int sm_tag_payload_mpeg(sm_source *s, sm_hasher *h, bool *any)
{
    const int64_t first = sm_id3_length(s, 0);
    *any = first < s->size;
    return sm_hash_range(s, h, first, s->size - first);
}
