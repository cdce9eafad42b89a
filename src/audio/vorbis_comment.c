/* Vorbis comments: of flac (a metadata block) and of Ogg (the second packet of the first stream). */
#include <string.h>

#include "audio/reader.h"

enum { OGG_HEADER = 27, PAGES = 4096, FLAC_BLOCKS = 256, FLAC_COMMENT = 4 };

static const sm_meta_name names[] = {
    { "TEMPO", "bpm" },        { "TBPM", "bpm" },        { "KEY", "key" },   { "TRACKNUMBER", "track" },
    { "ENCODER", "software" }, { "DISCNUMBER", "disc" }, { "YEAR", "date" }, { "ALBUM ARTIST", "albumartist" },
};

/* Vendor string, then a count of NAME=value strings, each with its length before it. */
static int parse_comments(const uint8_t *p, size_t n, sm_audio_metadata *meta)
{
    int err = 0;
    size_t at;

    if (n < 8 || sm_le32(p) > n - 8)
        return 0;
    at = 4 + sm_le32(p);
    const uint32_t count = sm_le32(p + at);
    at += 4;
    for (uint32_t i = 0; err == 0 && i < count && n - at >= 4; i++) {
        const size_t length = SM_MIN((size_t)sm_le32(p + at), n - at - 4);
        const uint8_t *text = p + at + 4, *equals = memchr(text, '=', length);
        char key[64];
        at += 4 + length;
        if (!equals || (size_t)(equals - text) >= sizeof key)
            continue;
        memcpy(key, text, (size_t)(equals - text));
        key[equals - text] = 0;
        if (strcasecmp(key, "METADATA_BLOCK_PICTURE") == 0)
            continue;
        err = sm_meta_tag(meta, sm_meta_rename(names, SM_LENGTH(names), key), SM_TEXT_ANY, equals + 1,
                          length - (size_t)(equals + 1 - text));
    }
    return err;
}

int sm_meta_flac(sm_source *s, sm_audio_metadata *meta)
{
    int64_t at = 4;

    for (int i = 0; i < FLAC_BLOCKS; i++) {
        uint8_t h[4];
        if (sm_source_read_at(s, at, h, 4) != 4)
            break;
        const size_t size = (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
        if ((h[0] & 0x7f) == FLAC_COMMENT) {
            const size_t want = SM_MIN(size, (size_t)SM_META_BLOCK);
            uint8_t *block = sm_alloc(want, 1);
            if (!block)
                return SM_ENOMEM;
            const int err = parse_comments(block, sm_source_read_at(s, at + 4, block, want), meta);
            sm_free(block);
            return err;
        }
        if (h[0] & 0x80)
            break;
        at += 4 + (int64_t)size;
    }
    return 0;
}

/* Gathers packet 1 of the first stream, at most SM_META_BLOCK bytes of it. Pages of other streams are stepped over. */
static int second_packet(sm_source *s, sm_buffer *out)
{
    uint8_t h[OGG_HEADER], segments[255], serial[4] = { 0 };
    int64_t at = 0;
    int packet = 0;

    for (int page = 0; page < PAGES && out->length < SM_META_BLOCK; page++) {
        if (sm_source_read_at(s, at, h, OGG_HEADER) != OGG_HEADER || memcmp(h, "OggS", 4) != 0 ||
            sm_source_read_at(s, at + OGG_HEADER, segments, h[26]) != h[26])
            break;
        if (page == 0)
            memcpy(serial, h + 14, 4);
        const bool ours = memcmp(serial, h + 14, 4) == 0;
        at += OGG_HEADER + h[26];
        for (int i = 0; i < h[26]; i++) {
            uint8_t body[255];
            if (ours && packet == 1) {
                const size_t got = sm_source_read_at(s, at, body, segments[i]);
                sm_buffer_add(out, body, got);
            }
            at += segments[i];
            if (ours && segments[i] < 255 && packet++ == 1)
                return out->failed ? SM_ENOMEM : 0;
        }
    }
    return out->failed ? SM_ENOMEM : 0;
}

int sm_meta_ogg(sm_source *s, sm_audio_metadata *meta)
{
    static const struct {
        const char *magic;
        size_t n;
    } heads[] = { { "\3vorbis", 7 }, { "OpusTags", 8 }, { "\x84\0\0", 3 }, { "\4\0\0", 3 } };
    sm_buffer packet = { 0 };
    int err = second_packet(s, &packet);

    for (size_t i = 0; err == 0 && i < SM_LENGTH(heads); i++)
        if (packet.length > heads[i].n && memcmp(packet.data, heads[i].magic, heads[i].n) == 0) {
            const size_t skip = heads[i].n == 3 ? 4 : heads[i].n; /* flac in Ogg: a block's head of four bytes */
            err = parse_comments((const uint8_t *)packet.data + skip, packet.length - skip, meta);
            break;
        }
    sm_buffer_free(&packet);
    return err;
}
