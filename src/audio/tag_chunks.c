/* Writing tags into files of chunks: wav, RF64, Wave64, aiff. A chunk that is there is replaced where it stands, a new one goes behind
 * the last; what is not known keeps its place and its bytes. */
#include <ctype.h>
#include <string.h>

#include "audio/tag_parts.h"

typedef enum { RIFF, RF64, WAVE64, AIFF } form;

typedef struct {
    char id[5];
    int64_t head, body, size, next; /* next: behind the padding */
} chunk;

typedef struct {
    sm_tag_job *job;
    sm_source *source;
    form form;
    chunk *chunks;
    size_t n, capacity;
    int64_t end;     /* behind the last whole chunk */
    bool lacks_pad;  /* the last chunk is odd and its padding byte is missing */
    sm_buffer added; /* new chunks */
    int64_t grows;   /* by how much all becomes longer */
} chunk_file;

static const uint8_t wave64_tail[12] = { 0xf3, 0xac, 0xd3, 0x11, 0x8c, 0xd1, 0x00, 0xc0, 0x4f, 0x8e, 0xdb, 0x8a };

/* ---- the list ---- */

static form form_of(sm_source *s)
{
    return sm_source_has(s, 0, "FORM", 4)   ? AIFF
           : sm_source_has(s, 0, "riff", 4) ? WAVE64
           : sm_source_has(s, 0, "RIFF", 4) ? RIFF
                                            : RF64;
}

static int64_t padded(const chunk_file *f, int64_t size)
{
    return f->form == WAVE64 ? (size + 7) / 8 * 8 : size + (size & 1);
}

/* One chunk's head. false: no chunk begins here. */
static bool read_head(const chunk_file *f, int64_t at, int64_t ds64_data, chunk *c)
{
    const size_t head = f->form == WAVE64 ? 24 : 8;
    uint8_t h[24];
    *c = (chunk){ .head = at, .body = at + (int64_t)head };
    if (sm_source_read_at(f->source, at, h, head) != head)
        return false;
    memcpy(c->id, h, 4);
    for (int i = 0; i < 4; i++)
        if (h[i] < 0x20 || h[i] > 0x7e)
            return false;
    if (f->form == WAVE64) {
        const uint64_t size = sm_le64(h + 16);
        if (size < 24 || size > (uint64_t)INT64_MAX / 2)
            return false;
        c->size = (int64_t)size - 24;
    } else {
        c->size = f->form == AIFF ? sm_be32(h + 4) : sm_le32(h + 4);
        if (f->form == RF64 && c->size == UINT32_MAX && !strcmp(c->id, "data"))
            c->size = ds64_data;
    }
    c->next = c->body + padded(f, c->size);
    return c->size >= 0 && c->next > at;
}

static int list_chunks(chunk_file *f)
{
    int64_t at = f->form == WAVE64 ? 40 : 12, ds64_data = -1;
    uint8_t ds64[24];
    chunk c;
    int err = 0;
    while (err == 0 && at < f->source->size && read_head(f, at, ds64_data, &c)) {
        if (c.body + c.size > f->source->size)
            return sm_fail(SM_EFORMAT, "its chunk \"%s\" goes beyond its end", c.id);
        if (!strcmp(c.id, "ds64") && c.size >= 24 && sm_source_read_at(f->source, c.body, ds64, 24) == 24 &&
            sm_le64(ds64 + 8) < (uint64_t)INT64_MAX / 2)
            ds64_data = (int64_t)sm_le64(ds64 + 8);
        f->lacks_pad = c.next > f->source->size;
        c.next = SM_MIN(c.next, f->source->size);
        if (f->n == SM_META_CHUNKS)
            return sm_fail(SM_ELIMIT, "more than %d chunks", SM_META_CHUNKS);
        err = sm_grow(&f->chunks, &f->capacity, f->n + 1, sizeof *f->chunks);
        if (err == 0)
            f->chunks[f->n++] = c;
        at = c.next;
    }
    f->end = at;
    return err;
}

static const chunk *find_chunk(const chunk_file *f, const char *id)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcasecmp(f->chunks[i].id, id))
            return &f->chunks[i];
    return NULL;
}

/* A header that lies about where the audio ends is not built upon. */
static int check_truth(chunk_file *f)
{
    if (f->form != AIFF) {
        sm_riff_layout layout;
        sm_riff_measure(f->source, &layout);
        if (layout.data_at == 0 || layout.unfinished || layout.tail || layout.declared_bytes < 0 ||
            layout.declared_bytes != layout.data_bytes)
            return sm_fail(SM_EFORMAT, "its header does not say where the audio ends");
    } else if (!find_chunk(f, "SSND")) {
        return sm_fail(SM_EFORMAT, "it has no audio");
    }
    if (f->source->size - f->end > 1 << 16)
        return sm_fail(SM_EFORMAT, "%lld bytes that are no chunk follow the last one",
                       (long long)(f->source->size - f->end));
    return 0;
}

static int open_chunks(sm_tag_job *j, sm_source *s, chunk_file *f)
{
    *f = (chunk_file){ .job = j, .source = s, .form = form_of(s) };
    const int err = list_chunks(f);
    return err < 0 ? err : check_truth(f);
}

static void close_chunks(chunk_file *f)
{
    sm_buffer_free(&f->added);
    sm_free(f->chunks);
}

/* ---- putting chunks ---- */

static void put_chunk(const chunk_file *f, sm_buffer *out, const char *id, const void *body, size_t n)
{
    static const uint8_t zeros[8] = { 0 };
    char name[5] = { 0 };
    memcpy(name, id, 4);
    if (f->form == WAVE64) {
        for (int i = 0; i < 4; i++)
            name[i] = (char)tolower((unsigned char)name[i]);
        sm_buffer_add(out, name, 4);
        sm_buffer_add(out, wave64_tail, 12);
        sm_put_le(out, n + 24, 8);
    } else {
        sm_buffer_add(out, name, 4);
        if (f->form == AIFF)
            sm_put_be(out, n, 4);
        else
            sm_put_le(out, n, 4);
    }
    sm_buffer_add(out, body, n);
    sm_buffer_add(out, zeros, (size_t)(padded(f, (int64_t)n) - (int64_t)n));
}

/* In the place of `old`, or behind all. */
static int set_chunk(chunk_file *f, const chunk *old, const char *id, const void *body, size_t n)
{
    sm_buffer out = { 0 };
    int err = 0;
    if (!old) {
        put_chunk(f, &f->added, id, body, n);
        return f->added.failed ? SM_ENOMEM : 0;
    }
    put_chunk(f, &out, old->id, body, n);
    if (out.failed)
        err = SM_ENOMEM;
    else
        err = sm_splice_add(&f->job->splice, old->head, old->next - old->head, out.data, out.length);
    f->grows += (int64_t)out.length - (old->next - old->head);
    if (old == &f->chunks[f->n - 1])
        f->lacks_pad = false;
    sm_buffer_free(&out);
    return err;
}

/* Where new chunks go: behind the last; in Wave64 before the audio, since libsndfile hears all that follows there as samples. */
static int64_t place_of_new(const chunk_file *f)
{
    const chunk *data = f->form == WAVE64 ? find_chunk(f, "data") : NULL;
    return data ? data->head : f->end;
}

/* New chunks, and the sizes that stand at the file's beginning. */
static int finish(chunk_file *f)
{
    sm_splice *splice = &f->job->splice;
    sm_buffer added = { 0 }, size = { 0 };
    int64_t size_at = 4;
    int err = 0;
    if (f->added.length > 0) {
        if (f->lacks_pad && f->form != WAVE64)
            sm_put_le(&added, 0, 1);
        sm_buffer_add(&added, f->added.data, f->added.length);
        err = added.failed ? SM_ENOMEM : sm_splice_add(splice, place_of_new(f), 0, added.data, added.length);
        f->grows += (int64_t)added.length;
    }
    const int64_t whole = f->end + f->grows;
    if (f->form == RIFF || f->form == AIFF) {
        if (err == 0 && whole - 8 > (int64_t)UINT32_MAX)
            err = sm_fail(SM_ELIMIT, "it would be longer than the 4 GB that its header can say");
        if (f->form == AIFF)
            sm_put_be(&size, (uint64_t)(whole - 8), 4);
        else
            sm_put_le(&size, (uint64_t)(whole - 8), 4);
    } else if (f->form == RF64) {
        const chunk *ds64 = find_chunk(f, "ds64");
        if (err == 0 && (!ds64 || ds64->size < 24))
            err = sm_fail(SM_EFORMAT, "an RF64 file without its ds64 chunk");
        size_at = ds64 ? ds64->body : 0;
        sm_put_le(&size, (uint64_t)(whole - 8), 8);
    } else {
        size_at = 16;
        sm_put_le(&size, (uint64_t)whole, 8);
    }
    if (err == 0)
        err = size.failed ? SM_ENOMEM : sm_splice_add(splice, size_at, (int64_t)size.length, size.data, size.length);
    sm_buffer_free(&added);
    sm_buffer_free(&size);
    return err;
}

/* ---- acid, smpl, inst: see the table of docs/tags.md ---- */

static int put_acid(chunk_file *f)
{
    const sm_tag_edit *e = f->job->edit;
    const int note = e->acid_values.root_note;
    uint32_t flags = e->acid_values.one_shot ? 1 : 4; /* a loop is stretched */
    uint32_t bits;
    sm_buffer b = { 0 };
    if (note >= 0 && note < 128)
        flags |= 2 | 16; /* the note's name, in the octave of middle C */
    memcpy(&bits, &e->acid_values.tempo, 4);
    sm_put_le(&b, flags, 4);
    sm_put_le(&b, (uint64_t)(note >= 0 && note < 128 ? note % 12 + 0x3c : 0x3c), 2);
    sm_put_le(&b, 0x8000, 2);
    sm_put_le(&b, 0, 4);
    sm_put_le(&b, e->acid_values.beats, 4);
    sm_put_le(&b, 4, 2);
    sm_put_le(&b, 4, 2);
    sm_put_le(&b, bits, 4);
    const int err = b.failed ? SM_ENOMEM : set_chunk(f, find_chunk(f, "acid"), "acid", b.data, b.length);
    sm_buffer_free(&b);
    return err;
}

static int put_smpl(chunk_file *f)
{
    const sm_tag_edit *e = f->job->edit;
    const chunk *fmt = find_chunk(f, "fmt ");
    uint8_t rate[4] = { 0 };
    sm_buffer b = { 0 };
    if (!fmt || sm_source_read_at(f->source, fmt->body + 4, rate, 4) != 4 || sm_le32(rate) == 0)
        return sm_fail(SM_EFORMAT, "its header has no rate");
    /* the fraction counts upwards from the note, 2^32 a semitone: a sound that is flat of a note is sharp of the one below */
    const int down = e->fine_cents < 0 && e->unity_note > 0;
    const double cents = e->fine_cents + 100 * down;
    const uint32_t fraction = (uint32_t)SM_CLAMP(cents / 100 * 4294967296.0, 0, 4294967295.0);
    const bool loop = e->loop && e->frames > 0 && e->frames <= (int64_t)UINT32_MAX;
    sm_put_le(&b, 0, 8);
    sm_put_le(&b, (uint64_t)(1e9 / sm_le32(rate) + 0.5), 4);
    sm_put_le(&b, (uint64_t)(e->unity_note - down), 4);
    sm_put_le(&b, fraction, 4);
    sm_put_le(&b, 0, 8);
    sm_put_le(&b, loop, 4);
    sm_put_le(&b, 0, 4);
    if (loop) {
        sm_put_le(&b, 0, 8);
        sm_put_le(&b, 0, 4);
        sm_put_le(&b, (uint64_t)(e->frames - 1), 4);
        sm_put_le(&b, 0, 8);
    }
    const int err = b.failed ? SM_ENOMEM : set_chunk(f, find_chunk(f, "smpl"), "smpl", b.data, b.length);
    sm_buffer_free(&b);
    return err;
}

static int put_inst(chunk_file *f)
{
    const sm_tag_edit *e = f->job->edit;
    const double cents = SM_CLAMP(e->fine_cents, -50, 50);
    const uint8_t body[7] = {
        (uint8_t)e->unity_note, (uint8_t)(int8_t)(cents < 0 ? cents - 0.5 : cents + 0.5), 0, 0, 127, 1, 127
    };
    return set_chunk(f, find_chunk(f, "inst"), "inst", body, sizeof body);
}

/* ---- LIST INFO ---- */

static const char *const info_names[SM_TAG_FIELDS] = {
    [SM_TAG_TITLE] = "INAM", [SM_TAG_COMMENT] = "ICMT", [SM_TAG_GENRE] = "IGNR", [SM_TAG_KEYWORDS] = "IKEY"
};

static void put_info(sm_buffer *out, const char *id, const char *text)
{
    const size_t n = strlen(text) + 1;
    sm_buffer_text(out, id);
    sm_put_le(out, n, 4);
    sm_buffer_add(out, text, n);
    if (n & 1)
        sm_put_le(out, 0, 1);
}

static bool info_replaced(const sm_tag_job *j, const uint8_t *id)
{
    for (int f = 0; f < SM_TAG_FIELDS; f++)
        if (j->text[f] && info_names[f] && !memcmp(info_names[f], id, 4))
            return true;
    return false;
}

static const chunk *find_info(const chunk_file *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcasecmp(f->chunks[i].id, "LIST") && sm_source_has(f->source, f->chunks[i].body, "INFO", 4))
            return &f->chunks[i];
    return NULL;
}

/* The entries of the old list that stay. */
static int keep_info(const sm_tag_job *j, const uint8_t *p, size_t n, sm_buffer *out)
{
    for (size_t at = 4; n - at >= 8;) {
        const size_t size = sm_le32(p + at + 4);
        if (size > n - at - 8)
            return sm_fail(SM_EFORMAT, "its LIST INFO is damaged");
        if (!info_replaced(j, p + at)) {
            sm_buffer_add(out, p + at, 8 + size);
            if (size & 1)
                sm_put_le(out, 0, 1);
        }
        at += SM_MIN(8 + size + (size & 1), n - at);
    }
    return 0;
}

static int plan_info(chunk_file *f)
{
    sm_tag_job *j = f->job;
    const chunk *old = find_info(f);
    sm_buffer list = { 0 };
    uint8_t *bytes = NULL;
    bool any = false;
    int err = 0;
    for (int k = 0; k < SM_TAG_FIELDS; k++)
        any = any || (j->text[k] && info_names[k] && (*j->text[k] || old));
    if (!any)
        return 0;
    sm_buffer_text(&list, "INFO");
    if (old)
        err = sm_read_block(f->source, old->body, old->size, &bytes);
    if (err == 0 && old)
        err = keep_info(j, bytes, (size_t)old->size, &list);
    for (int k = 0; k < SM_TAG_FIELDS; k++)
        if (j->text[k] && info_names[k]) {
            char place[16];
            snprintf(place, sizeof place, "INFO %s", info_names[k]);
            sm_tag_where(j, (sm_tag_field)k, place);
            if (*j->text[k])
                put_info(&list, info_names[k], j->text[k]);
        }
    if (err == 0)
        err = list.failed ? SM_ENOMEM : set_chunk(f, old, "LIST", list.data, list.length);
    sm_buffer_free(&list);
    sm_free(bytes);
    return err;
}

/* ---- id3 ---- */

static int plan_id3(chunk_file *f)
{
    sm_tag_job *j = f->job;
    const chunk *old = find_chunk(f, "id3 ");
    sm_buffer tag = { 0 };
    uint8_t *bytes = NULL;
    bool any = false;
    int err = 0;
    for (int k = 0; k < SM_TAG_KEYWORDS; k++)
        any = any || (j->text[k] && (*j->text[k] || old));
    if (!any)
        return 0;
    if (old)
        err = sm_read_block(f->source, old->body, old->size, &bytes);
    if (err == 0)
        err = sm_id3_rewrite(j, bytes, old ? (size_t)old->size : 0, true, 0, &tag);
    if (err == 0)
        err = set_chunk(f, old, f->form == AIFF ? "ID3 " : "id3 ", tag.data, tag.length);
    sm_buffer_free(&tag);
    sm_free(bytes);
    return err;
}

int sm_tag_plan_chunks(sm_tag_job *j)
{
    chunk_file f;
    int err = sm_source_has(j->source, 0, "RIFX", 4)
                  ? sm_fail(SM_EUNSUPPORTED, "tags are not written into big-endian wav files")
                  : 0;
    if (err < 0)
        return err;
    err = open_chunks(j, j->source, &f);
    if (err == 0 && f.form != AIFF) {
        if (j->acid)
            err = put_acid(&f);
        if (err == 0 && j->smpl)
            err = put_smpl(&f);
        if (err == 0 && j->inst)
            err = put_inst(&f);
        if (err == 0)
            err = plan_info(&f);
    }
    if (err == 0)
        err = plan_id3(&f);
    if (err == 0 && (j->splice.n > 0 || f.added.length > 0))
        err = finish(&f);
    close_chunks(&f);
    return err;
}

int sm_tag_payload_chunks(sm_source *s, sm_hasher *h, bool *any)
{
    static const char *const audio[] = { "fmt ", "fact", "data", "COMM", "SSND" };
    chunk_file f;
    int err = open_chunks(NULL, s, &f);
    for (size_t i = 0; err == 0 && i < f.n; i++)
        for (size_t k = 0; err == 0 && k < SM_LENGTH(audio); k++)
            if (!strcasecmp(f.chunks[i].id, audio[k])) {
                *any = *any || k == 2 || k == 4;
                err = sm_hash_range(s, h, f.chunks[i].body, f.chunks[i].size);
            }
    close_chunks(&f);
    return err;
}
