/* Writing the comments of Ogg files (Vorbis, Opus, flac). The pages from the comments' to the next that ends with a packet are made
 * anew; where that takes more or fewer pages, those behind are numbered again. RFC 3533. */
#include <string.h>

#include "audio/tag_parts.h"

enum { HEAD = 27, MOST_HEADER_PAGES = 4096 };

typedef struct {
    uint8_t head[HEAD], segments[255];
    int64_t at, body, next;
    int n; /* segments */
} page;

/* RFC 3533's checksum: polynomial 0x04c11db7, most significant bit first, from 0. */
typedef struct {
    uint32_t table[256];
} crc_table;

static void make_table(crc_table *t)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t r = i << 24;
        for (int k = 0; k < 8; k++)
            r = r & 0x80000000u ? r << 1 ^ 0x04c11db7u : r << 1;
        t->table[i] = r;
    }
}

static uint32_t crc_add(const crc_table *t, uint32_t crc, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        crc = crc << 8 ^ t->table[(crc >> 24 ^ p[i]) & 0xff];
    return crc;
}

static bool read_page(sm_source *s, int64_t at, page *p)
{
    p->at = at;
    if (sm_source_read_at(s, at, p->head, HEAD) != HEAD || memcmp(p->head, "OggS\0", 5) != 0)
        return false;
    p->n = p->head[26];
    if (sm_source_read_at(s, at + HEAD, p->segments, (size_t)p->n) != (size_t)p->n)
        return false;
    p->body = p->next = at + HEAD + p->n;
    for (int i = 0; i < p->n; i++)
        p->next += p->segments[i];
    return p->next <= s->size;
}

static uint32_t serial_of(const page *p)
{
    return sm_le32(p->head + 14);
}

/* The checksum that a page with this head has; SM_EIO when it cannot be read. */
static int page_crc(const crc_table *t, sm_source *s, const page *p, const uint8_t head[HEAD], uint32_t *out)
{
    uint8_t zeroed[HEAD], body[255 * 255];
    const size_t n = (size_t)(p->next - p->body);
    memcpy(zeroed, head, HEAD);
    memset(zeroed + 22, 0, 4);
    if (sm_source_read_at(s, p->body, body, n) != n)
        return sm_fail(SM_EIO, "the file ends while it is read");
    *out = crc_add(t, crc_add(t, crc_add(t, 0, zeroed, HEAD), p->segments, (size_t)p->n), body, n);
    return 0;
}

/* ---- the pages with the headers ---- */

typedef struct {
    sm_buffer packets; /* all packets of these pages, one after the other */
    size_t ends[64];   /* where each ends */
    size_t n;
    int64_t first, next; /* the pages: from, to before */
    uint32_t pages, sequence, serial;
} headers;

/* From the second page to the first on which the comments are complete and the last packet ends. */
static int read_headers(sm_source *s, headers *h)
{
    page p;
    if (!read_page(s, 0, &p) || !(p.head[5] & 2))
        return sm_fail(SM_EFORMAT, "the Ogg file does not begin with the beginning of a stream");
    h->serial = serial_of(&p);
    h->first = h->next = p.next;
    for (bool whole = false; !whole; h->pages++) {
        if (h->pages == MOST_HEADER_PAGES || !read_page(s, h->next, &p))
            return sm_fail(SM_EFORMAT, "the Ogg file ends within its headers");
        if (serial_of(&p) != h->serial || p.head[5] & 2)
            return sm_fail(SM_EUNSUPPORTED, "an Ogg file of several streams at once");
        if (sm_le64(p.head + 6) != 0 && sm_le64(p.head + 6) != UINT64_MAX)
            return sm_fail(SM_EFORMAT, "the Ogg file's headers share a page with its audio");
        if (h->pages == 0)
            h->sequence = sm_le32(p.head + 18);
        int64_t at = p.body;
        for (int i = 0; i < p.n; i++) {
            uint8_t body[255];
            if (sm_source_read_at(s, at, body, p.segments[i]) != p.segments[i])
                return sm_fail(SM_EIO, "the file ends while it is read");
            sm_buffer_add(&h->packets, body, p.segments[i]);
            at += p.segments[i];
            if (p.segments[i] == 255)
                continue;
            if (h->n == SM_LENGTH(h->ends))
                return sm_fail(SM_EFORMAT, "the Ogg file has more headers than any stream");
            h->ends[h->n++] = h->packets.length;
        }
        whole = h->n > 0 && p.n > 0 && p.segments[p.n - 1] < 255;
        h->next = p.next;
        if (h->packets.length > SM_TAG_BLOCK)
            return sm_fail(SM_ELIMIT, "comments of more than %d bytes", SM_TAG_BLOCK);
    }
    return h->packets.failed ? SM_ENOMEM : 0;
}

/* The comment packet with the job's fields. */
static int rewrite_packet(sm_tag_job *j, const uint8_t *p, size_t n, sm_buffer *out)
{
    const bool vorbis = n > 7 && !memcmp(p, "\3vorbis", 7), opus = n > 8 && !memcmp(p, "OpusTags", 8);
    const bool flac = n > 4 && (p[0] & 0x7f) == 4 && ((size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]) == n - 4;
    const size_t skip = vorbis ? 7 : opus ? 8 : 4;
    if (!vorbis && !opus && !flac)
        return sm_fail(SM_EUNSUPPORTED, "an Ogg stream that is neither Vorbis nor Opus nor flac");
    sm_buffer_add(out, p, skip);
    const int err = sm_comments_rewrite(j, p + skip, n - skip, out);
    if (err == 0 && flac) {
        const size_t size = out->length - 4;
        if (size > 0xffffff)
            return sm_fail(SM_ELIMIT, "comments of %zu bytes", size);
        for (int i = 0; i < 3; i++)
            out->data[1 + i] = (char)(size >> (16 - 8 * i));
    }
    return err;
}

/* ---- pages out ---- */

typedef struct {
    const crc_table *crc;
    sm_buffer *out;
    uint32_t serial, sequence;
    uint8_t segments[255];
    int n;
    const uint8_t *body; /* of the page in hand */
    size_t length;
    bool continued, ends; /* it begins within a packet; one ends on it */
} paginator;

static void flush_page(paginator *w)
{
    const size_t at = w->out->length;
    sm_buffer_add(w->out, "OggS\0", 5);
    sm_put_le(w->out, w->continued, 1);
    sm_put_le(w->out, w->ends ? 0 : UINT64_MAX, 8);
    sm_put_le(w->out, w->serial, 4);
    sm_put_le(w->out, w->sequence++, 4);
    sm_put_le(w->out, 0, 4);
    sm_put_le(w->out, (uint64_t)w->n, 1);
    sm_buffer_add(w->out, w->segments, (size_t)w->n);
    sm_buffer_add(w->out, w->body, w->length);
    if (!w->out->failed) {
        const uint32_t crc = crc_add(w->crc, 0, (const uint8_t *)w->out->data + at, w->out->length - at);
        for (int i = 0; i < 4; i++)
            w->out->data[at + 22 + (size_t)i] = (char)(crc >> 8 * i);
    }
    w->continued = w->n > 0 && w->segments[w->n - 1] == 255;
    w->body += w->length;
    w->length = 0;
    w->n = 0;
    w->ends = false;
}

/* bytes: all packets one after the other; ends: where each of the n ends. */
static void paginate(paginator *w, const uint8_t *bytes, const size_t *ends, size_t n)
{
    size_t at = 0;
    w->body = bytes;
    for (size_t i = 0; i < n; i++)
        for (bool more = true; more;) {
            const size_t segment = SM_MIN(ends[i] - at, (size_t)255);
            if (w->n == 255)
                flush_page(w);
            w->segments[w->n++] = (uint8_t)segment;
            w->length += segment;
            at += segment;
            more = segment == 255;
            w->ends = w->ends || !more;
        }
    flush_page(w);
}

/* Pages behind the headers get other numbers, up to the end of the stream. */
static int renumber(sm_tag_job *j, const crc_table *t, const headers *h, uint32_t shift)
{
    page p;
    int err = 0;
    for (int64_t at = h->next; err == 0 && read_page(j->source, at, &p) && !(p.head[5] & 2); at = p.next) {
        uint8_t bytes[8];
        uint32_t crc = 0;
        if (serial_of(&p) != h->serial)
            return sm_fail(SM_EUNSUPPORTED, "an Ogg file of several streams at once");
        err = page_crc(t, j->source, &p, p.head, &crc);
        if (err == 0 && crc != sm_le32(p.head + 22))
            err = sm_fail(SM_EFORMAT, "the Ogg page at byte %lld is damaged", (long long)at);
        const uint32_t sequence = sm_le32(p.head + 18) + shift;
        for (int i = 0; i < 4; i++)
            p.head[18 + i] = (uint8_t)(sequence >> 8 * i);
        if (err == 0)
            err = page_crc(t, j->source, &p, p.head, &crc);
        memcpy(bytes, p.head + 18, 4);
        for (int i = 0; i < 4; i++)
            bytes[4 + i] = (uint8_t)(crc >> 8 * i);
        if (err == 0)
            err = sm_splice_add(&j->splice, at + 18, 8, bytes, 8);
    }
    return err;
}

int sm_tag_plan_ogg(sm_tag_job *j)
{
    headers h = { 0 };
    sm_buffer comments = { 0 }, packets = { 0 }, pages = { 0 };
    crc_table t;
    make_table(&t);
    int err = read_headers(j->source, &h);
    if (err == 0)
        err = rewrite_packet(j, (const uint8_t *)h.packets.data, h.ends[0], &comments);
    if (err == 0) {
        sm_buffer_add(&packets, comments.data, comments.length);
        sm_buffer_add(&packets, h.packets.data + h.ends[0], h.packets.length - h.ends[0]);
        const size_t grows = comments.length - h.ends[0]; /* modulo: may be less */
        for (size_t i = 0; i < h.n; i++)
            h.ends[i] += grows;
        paginator w = { .crc = &t, .out = &pages, .serial = h.serial, .sequence = h.sequence };
        if (!packets.failed)
            paginate(&w, (const uint8_t *)packets.data, h.ends, h.n);
        err = packets.failed || pages.failed
                  ? SM_ENOMEM
                  : sm_splice_add(&j->splice, h.first, h.next - h.first, pages.data, pages.length);
        const uint32_t shift = w.sequence - h.sequence - h.pages;
        if (err == 0 && shift != 0)
            err = renumber(j, &t, &h, shift);
    }
    sm_buffer_free(&h.packets);
    sm_buffer_free(&comments);
    sm_buffer_free(&packets);
    sm_buffer_free(&pages);
    return err;
}

/* The first page, the headers but the comments, and of the pages behind all but number and checksum. */
int sm_tag_payload_ogg(sm_source *s, sm_hasher *hash, bool *any)
{
    headers h = { 0 };
    page p;
    int err = read_headers(s, &h);
    if (err == 0)
        err = sm_hash_range(s, hash, 0, h.first);
    if (err == 0)
        sm_hasher_add(hash, h.packets.data + h.ends[0], h.packets.length - h.ends[0]);
    int64_t at = h.next;
    for (; err == 0 && read_page(s, at, &p); at = p.next) {
        sm_hasher_add(hash, p.head, 18);
        sm_hasher_add(hash, p.segments, (size_t)p.n);
        err = sm_hash_range(s, hash, p.body, p.next - p.body);
        *any = true;
    }
    if (err == 0)
        err = sm_hash_range(s, hash, at, s->size - at);
    sm_buffer_free(&h.packets);
    return err;
}
