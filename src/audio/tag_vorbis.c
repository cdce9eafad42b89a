/* Writing Vorbis comments, and the flac file that they are a block of. */
#include <string.h>

#include "audio/tag_parts.h"

enum { BLOCK_COMMENT = 4, BLOCK_PADDING = 1, MOST_BLOCKS = 1024, MOST_BLOCK = 0xffffff, NEW_PADDING = 2048 };

/* Names that a field is written under (up to the "/"), then others that mean the same and give way. Programs differ in the key's. */
static const char *const names[SM_TAG_FIELDS][6] = {
    [SM_TAG_TITLE] = { "TITLE" },           [SM_TAG_COMMENT] = { "COMMENT" },
    [SM_TAG_GENRE] = { "GENRE" },           [SM_TAG_MOOD] = { "MOOD" },
    [SM_TAG_INSTRUMENT] = { "INSTRUMENT" }, [SM_TAG_BPM] = { "BPM", "/", "TEMPO", "TBPM" },
    [SM_TAG_KEY] = { "INITIALKEY", "KEY" },
};

/* Whether a comment "NAME=value" is one of those that are written now. */
static bool replaced(const sm_tag_job *j, const uint8_t *text, size_t n)
{
    const uint8_t *equals = memchr(text, '=', n);
    const size_t length = equals ? (size_t)(equals - text) : 0;
    for (int f = 0; length > 0 && f < SM_TAG_FIELDS; f++)
        for (int k = 0; j->text[f] && k < 6 && names[f][k]; k++)
            if (strlen(names[f][k]) == length && !strncasecmp(names[f][k], (const char *)text, length))
                return true;
    return false;
}

static uint32_t add_new(sm_tag_job *j, sm_buffer *out)
{
    uint32_t added = 0;
    for (int f = 0; f < SM_TAG_FIELDS; f++)
        for (int k = 0; j->text[f] && k < 6 && names[f][k] && *names[f][k] != '/'; k++) {
            sm_tag_where(j, (sm_tag_field)f, names[f][k]);
            if (!*j->text[f])
                continue;
            sm_put_le(out, strlen(names[f][k]) + 1 + strlen(j->text[f]), 4);
            sm_buffer_printf(out, "%s=%s", names[f][k], j->text[f]);
            added++;
        }
    return added;
}

int sm_comments_rewrite(sm_tag_job *j, const uint8_t *old, size_t n, sm_buffer *out)
{
    const size_t vendor = n >= 8 ? sm_le32(old) : 0;
    size_t at = 8 + vendor, kept = 0;
    if (n > 0 && (n < 8 || vendor > n - 8))
        return sm_fail(SM_EFORMAT, "the comments are damaged: a vendor's name of %zu bytes in %zu", vendor, n);
    const uint32_t count = n > 0 ? sm_le32(old + 4 + vendor) : 0;
    if (n > 0)
        sm_buffer_add(out, old, 4 + vendor);
    else
        sm_put_le(out, 0, 4);
    const size_t count_at = out->length;
    sm_put_le(out, 0, 4);
    for (uint32_t i = 0; i < count; i++) {
        const size_t length = n - at >= 4 ? sm_le32(old + at) : SIZE_MAX;
        if (n - at < 4 || length > n - at - 4)
            return sm_fail(SM_EFORMAT, "the comments are damaged: number %u of %u goes beyond their end", i + 1, count);
        if (!replaced(j, old + at + 4, length)) {
            sm_buffer_add(out, old + at, 4 + length);
            kept++;
        }
        at += 4 + length;
    }
    const uint32_t all = (uint32_t)kept + add_new(j, out);
    if (n > at)
        sm_buffer_add(out, old + at, n - at); /* Vorbis's framing bit; what some programs keep behind */
    if (out->failed)
        return SM_ENOMEM;
    for (int i = 0; i < 4; i++)
        out->data[count_at + (size_t)i] = (char)(all >> 8 * i);
    return 0;
}

/* ---- flac ---- */

typedef struct {
    int type;
    int64_t head, size; /* the body is 4 behind the head */
} block;

/* Walks the metadata: its blocks, and where the audio begins. */
static int read_blocks(sm_source *s, block *blocks, size_t *n, int64_t *audio)
{
    int64_t at = 4;
    bool last = false;
    *n = 0;
    while (!last) {
        uint8_t h[4];
        if (*n == MOST_BLOCKS || sm_source_read_at(s, at, h, 4) != 4)
            return sm_fail(SM_EFORMAT, "the flac file's metadata has no end");
        last = h[0] & 0x80;
        blocks[*n] = (block){ h[0] & 0x7f, at, (int64_t)h[1] << 16 | h[2] << 8 | h[3] };
        if (blocks[*n].type == 127 || (*n == 0 && blocks[*n].type != 0))
            return sm_fail(SM_EFORMAT, "the flac file's metadata is damaged: a block of type %d", blocks[*n].type);
        at += 4 + blocks[(*n)++].size;
        if (at > s->size)
            return sm_fail(SM_EFORMAT, "the flac file ends within its metadata");
    }
    *audio = at;
    return 0;
}

static void put_head(sm_buffer *b, int type, bool last, size_t size)
{
    sm_put_be(b, (uint64_t)(type | (last ? 0x80 : 0)) << 24 | size, 4);
}

/* The comments change their length: padding behind or before gives or takes, and where there is none some is made, so that the next
 * change moves nothing. All between the first and the last block that change is written anew. */
static int splice_flac(sm_tag_job *j, const block *blocks, size_t n, size_t comment, const sm_buffer *body)
{
    sm_buffer out = { 0 };
    size_t padding = n;
    for (size_t i = 0; i < n; i++)
        if (blocks[i].type == BLOCK_PADDING)
            padding = i;
    const int64_t old = comment < n ? blocks[comment].size : -4; /* a new block brings a head */
    const int64_t grows = (int64_t)body->length - old;
    const int64_t rest = padding < n ? blocks[padding].size - grows : NEW_PADDING;
    const bool keep_padding = padding < n && rest >= 0 && rest <= MOST_BLOCK;
    int err = 0;
    if (body->length > MOST_BLOCK)
        return sm_fail(SM_ELIMIT, "comments of %zu bytes; a flac block holds %d", body->length, MOST_BLOCK);
    /* the comment block goes where it was, or behind the first block, the stream's own */
    if (comment < n) {
        put_head(&out, BLOCK_COMMENT, comment == n - 1 && padding < n, body->length);
        sm_buffer_add(&out, body->data, body->length);
        err = out.failed
                  ? SM_ENOMEM
                  : sm_splice_add(&j->splice, blocks[comment].head, 4 + blocks[comment].size, out.data, out.length);
    } else {
        put_head(&out, BLOCK_COMMENT, false, body->length);
        sm_buffer_add(&out, body->data, body->length);
        err = out.failed ? SM_ENOMEM : sm_splice_add(&j->splice, 4 + 4 + blocks[0].size, 0, out.data, out.length);
    }
    out.length = 0;
    if (err == 0 && padding < n) {
        const size_t size = (size_t)(keep_padding ? rest : NEW_PADDING);
        uint8_t *zeros = sm_alloc_zero(SM_MAX(size, (size_t)1), 1);
        put_head(&out, BLOCK_PADDING, padding == n - 1, size);
        if (zeros)
            sm_buffer_add(&out, zeros, size);
        err = zeros && !out.failed
                  ? sm_splice_add(&j->splice, blocks[padding].head, 4 + blocks[padding].size, out.data, out.length)
                  : SM_ENOMEM;
        sm_free(zeros);
    } else if (err == 0) { /* padding at the end: what was last is so no more */
        const block *last = &blocks[n - 1];
        uint8_t *zeros = sm_alloc_zero(NEW_PADDING, 1);
        const uint8_t head = (uint8_t)last->type;
        put_head(&out, BLOCK_PADDING, true, NEW_PADDING);
        if (zeros)
            sm_buffer_add(&out, zeros, NEW_PADDING);
        err = zeros && !out.failed ? sm_splice_add(&j->splice, last->head + 4 + last->size, 0, out.data, out.length)
                                   : SM_ENOMEM;
        if (err == 0 && comment != n - 1)
            err = sm_splice_add(&j->splice, last->head, 1, &head, 1);
        sm_free(zeros);
    }
    sm_buffer_free(&out);
    return err;
}

int sm_tag_plan_flac(sm_tag_job *j)
{
    block *blocks = sm_alloc(MOST_BLOCKS, sizeof *blocks);
    sm_buffer body = { 0 };
    uint8_t *old = NULL;
    size_t n = 0, comment = 0;
    int64_t audio = 0;
    int err = blocks ? read_blocks(j->source, blocks, &n, &audio) : SM_ENOMEM;
    while (err == 0 && comment < n && blocks[comment].type != BLOCK_COMMENT)
        comment++;
    if (err == 0 && comment < n)
        err = sm_read_block(j->source, blocks[comment].head + 4, blocks[comment].size, &old);
    if (err == 0)
        err = sm_comments_rewrite(j, old, comment < n ? (size_t)blocks[comment].size : 0, &body);
    if (err == 0)
        err = splice_flac(j, blocks, n, comment, &body);
    sm_buffer_free(&body);
    sm_free(old);
    sm_free(blocks);
    return err;
}

int sm_tag_payload_flac(sm_source *s, sm_hasher *h, bool *any)
{
    block *blocks = sm_alloc(MOST_BLOCKS, sizeof *blocks);
    size_t n = 0;
    int64_t audio = 0;
    int err = blocks ? read_blocks(s, blocks, &n, &audio) : SM_ENOMEM;
    if (err == 0)
        err = sm_hash_range(s, h, blocks[0].head + 4, blocks[0].size); /* what decoders need to know counts as audio */
    if (err == 0)
        err = sm_hash_range(s, h, audio, s->size - audio);
    *any = audio < s->size;
    sm_free(blocks);
    return err;
}
