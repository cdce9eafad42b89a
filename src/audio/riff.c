/* RIFF, RF64 and Wave64: a bounded walk over the chunks, for what they say about the sound and for lies about its length. */
#include <math.h>
#include <string.h>

#include "audio/reader.h"

enum {
    TAIL_BYTES = 1 << 16,
    ACID_BYTES = 24,
    SMPL_BYTES = 36,
    SMPL_LOOP = 24,
    INST_BYTES = 7,
    CUE_BYTES = 24,
    BEXT_BYTES = 346
};

/* A walk over the chunks of any of the three. */
typedef struct {
    sm_source *source;
    bool wave64;
    int64_t next, end; /* of the chunk after this one; of the file */
    int64_t ds64_data; /* RF64: the data chunk's true size, -1: none */
    int seen;
    /* the chunk */
    char id[5];
    int64_t at, size; /* of its body, as declared; the size is -1 for "until the file ends" */
    int64_t size_at;  /* where its size field stands */
} chunk_walk;

static void walk_begin(chunk_walk *w, sm_source *s)
{
    *w = (chunk_walk){ .source = s, .end = s->size, .ds64_data = -1 };
    w->wave64 = sm_source_has(s, 0, "riff", 4);
    w->next = w->wave64 ? 40 : 12;
}

/* Wave64 chunks: 16 bytes whose first four are the RIFF name in small letters, then a size that counts these 24 bytes. */
static bool walk_next64(chunk_walk *w)
{
    uint8_t h[24];
    if (sm_source_read_at(w->source, w->next, h, 24) != 24)
        return false;
    memcpy(w->id, h, 4);
    const uint64_t size = sm_le64(h + 16);
    w->size_at = w->next + 16;
    w->at = w->next + 24;
    w->size = size < 24 || size > (uint64_t)INT64_MAX / 2 ? -1 : (int64_t)size - 24;
    if (w->size >= 0)
        w->next = w->at + (w->size + 7) / 8 * 8;
    return true;
}

static bool walk_next32(chunk_walk *w)
{
    uint8_t h[8];
    if (sm_source_read_at(w->source, w->next, h, 8) != 8)
        return false;
    memcpy(w->id, h, 4);
    w->size_at = w->next + 4;
    w->at = w->next + 8;
    w->size = sm_le32(h + 4);
    if (w->size == UINT32_MAX)
        w->size = strcmp(w->id, "data") == 0 ? w->ds64_data : -1;
    if (w->size >= 0)
        w->next = w->at + w->size + (w->size & 1);
    return true;
}

static bool walk_next(chunk_walk *w)
{
    uint8_t ds64[16];

    if (w->seen++ >= SM_META_CHUNKS || w->next >= w->end)
        return false;
    if (!(w->wave64 ? walk_next64(w) : walk_next32(w)))
        return false;
    if (w->size < 0)
        w->next = w->end;
    if (strcmp(w->id, "ds64") == 0 && sm_source_read_at(w->source, w->at, ds64, 16) == 16 &&
        sm_le64(ds64 + 8) < (uint64_t)INT64_MAX / 2)
        w->ds64_data = (int64_t)sm_le64(ds64 + 8);
    return true;
}

/* Does a chain of plausible chunks begin here and reach the end of the file? Then an empty data chunk is really empty. */
static bool chunks_follow(const chunk_walk *at_data)
{
    chunk_walk w = *at_data;
    bool any = false;
    while (walk_next(&w)) {
        for (int i = 0; i < 4; i++)
            if (w.id[i] < 0x20 || w.id[i] > 0x7e)
                return false;
        if (w.size < 0 || w.at + w.size > w.end)
            return false;
        any = true;
    }
    return any;
}

static void read_format(sm_source *s, const chunk_walk *w, sm_riff_layout *out)
{
    uint8_t fmt[26] = { 0 };
    const size_t n = sm_source_read_at(s, w->at, fmt, (size_t)SM_CLAMP(w->size, 0, 26));

    if (n < 14)
        return;
    out->format_tag = sm_le16(fmt);
    out->channels = sm_le16(fmt + 2);
    out->rate_hz = (int)SM_MIN(sm_le32(fmt + 4), (uint32_t)INT32_MAX);
    out->block_align = sm_le16(fmt + 12);
    if (n >= 20)
        out->samples_per_block = sm_le16(fmt + 18); /* of ADPCM */
    if (out->format_tag == 0xfffe && n >= 26)
        out->format_tag = sm_le16(fmt + 24);
    /* PCM and float: a block is a frame, whatever the header says */
    const int bytes = n >= 16 ? (sm_le16(fmt + 14) + 7) / 8 : 0, frame = bytes * out->channels;
    if ((out->format_tag == 1 || out->format_tag == 3) && frame > 0 && out->block_align != frame &&
        out->block_align != 4 * out->channels) {
        const uint32_t per_second = (uint32_t)frame * (uint32_t)out->rate_hz;
        const uint8_t truth[6] = {
            (uint8_t)per_second, (uint8_t)(per_second >> 8), (uint8_t)(per_second >> 16), (uint8_t)(per_second >> 24),
            (uint8_t)frame,      (uint8_t)(frame >> 8)
        };
        out->block_align = frame;
        sm_source_patch_add(s, w->at + 8, truth, sizeof truth);
    }
}

void sm_riff_measure(sm_source *s, sm_riff_layout *out)
{
    chunk_walk w;
    uint8_t fact[4];

    *out = (sm_riff_layout){ 0 };
    if (!sm_source_has(s, 8, "WAVE", 4) && !sm_source_has(s, 0, "riff", 4))
        return;
    if (sm_source_has(s, 0, "RIFX", 4))
        return;
    walk_begin(&w, s);
    while (walk_next(&w)) {
        if (strcmp(w.id, "fmt ") == 0)
            read_format(s, &w, out);
        else if (strcmp(w.id, "fact") == 0 && sm_source_read_at(s, w.at, fact, 4) == 4)
            out->fact_frames = sm_le32(fact);
        else if (strcmp(w.id, "data") == 0 && out->data_at == 0) {
            const int64_t there = SM_MAX(w.end - w.at, 0);
            /* 0xffffffff, ffmpeg; 0x7fff...., sox; 0 before more bytes: written into a pipe, or by a program that died */
            const bool unfinished = w.size < 0 || (w.size == 0 && there > 0 && !chunks_follow(&w)) ||
                                    (!w.wave64 && w.ds64_data < 0 && w.size >= 0x7fff0000 && w.size > there);
            out->data_at = w.at;
            out->declared_bytes = unfinished ? -1 : w.size;
            out->unfinished = unfinished && w.size == 0;
            out->data_bytes = unfinished ? there : SM_MIN(w.size, there);
            out->tail = !unfinished && there - w.size > TAIL_BYTES && !chunks_follow(&w);
            if (unfinished || out->tail)
                break;
        }
    }
}

static void little_endian(uint64_t value, uint8_t out[8])
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

bool sm_riff_repair(sm_source *s, const sm_riff_layout *layout)
{
    uint8_t bytes[8];
    const bool wave64 = sm_source_has(s, 0, "riff", 4), rf64 = !wave64 && !sm_source_has(s, 0, "RIFF", 4);

    if (layout->data_at == 0 || layout->declared_bytes == layout->data_bytes || rf64)
        return false; /* libsndfile holds RF64's sizes against the file itself */
    if (wave64) {
        little_endian((uint64_t)layout->data_bytes + 24, bytes);
        sm_source_patch_add(s, layout->data_at - 8, bytes, 8);
        little_endian((uint64_t)s->size, bytes);
        sm_source_patch_add(s, 16, bytes, 8);
        return true;
    }
    little_endian((uint64_t)SM_MIN(layout->data_bytes, (int64_t)UINT32_MAX - 64), bytes);
    sm_source_patch_add(s, layout->data_at - 4, bytes, 4);
    little_endian((uint64_t)SM_MIN(s->size - 8, (int64_t)UINT32_MAX - 1), bytes);
    sm_source_patch_add(s, 4, bytes, 4);
    return true;
}

/* ---- what the chunks say ---- */

/* acid, 24 bytes. Readers disagree on the order of the meter's two numbers; this is libsndfile's. */
static int parse_acid(const uint8_t *p, size_t n, sm_audio_metadata *meta)
{
    uint32_t bits;

    if (n < ACID_BYTES)
        return 0;
    meta->has_acid = true;
    meta->acid.flags = sm_le32(p);
    meta->acid.root_note = meta->acid.flags & 2 && sm_le16(p + 4) < 128 ? sm_le16(p + 4) : -1;
    meta->acid.beats = sm_le32(p + 12);
    meta->acid.meter_denominator = sm_le16(p + 16);
    meta->acid.meter_numerator = sm_le16(p + 18);
    bits = sm_le32(p + 20);
    memcpy(&meta->acid.tempo, &bits, sizeof bits);
    if (!(meta->acid.tempo > 0 && meta->acid.tempo < 10000))
        meta->acid.tempo = 0;
    return 0;
}

static int parse_smpl(const uint8_t *p, size_t n, sm_audio_metadata *meta)
{
    size_t loops;

    if (n < SMPL_BYTES || meta->has_smpl)
        return 0;
    loops = SM_MIN((size_t)sm_le32(p + 28), (n - SMPL_BYTES) / SMPL_LOOP);
    loops = SM_MIN(loops, (size_t)SM_META_POINTS);
    meta->smpl.loops = sm_alloc_zero(loops, sizeof *meta->smpl.loops);
    if (!meta->smpl.loops)
        return SM_ENOMEM;
    meta->has_smpl = true;
    meta->smpl.unity_note = (int)SM_MIN(sm_le32(p + 12), 127u);
    meta->smpl.fine_cents = sm_le32(p + 16) * (100.0 / 4294967296.0); /* of a semitone: 2^31 is 50 cents */
    meta->smpl.n_loops = loops;
    for (size_t i = 0; i < loops; i++) {
        const uint8_t *q = p + SMPL_BYTES + i * SMPL_LOOP;
        const uint32_t last = sm_le32(q + 12);
        meta->smpl.loops[i] = (sm_audio_loop){ .type = (int)SM_MIN(sm_le32(q + 4), 2u),
                                               .start = sm_le32(q + 8),
                                               .end = last == UINT32_MAX ? last : last + 1,
                                               .plays = sm_le32(q + 20) };
    }
    return 0;
}

static int parse_inst(const uint8_t *p, size_t n, sm_audio_metadata *meta)
{
    if (n < INST_BYTES)
        return 0;
    meta->has_inst = true;
    meta->inst.base_note = p[0];
    meta->inst.detune_cents = (int8_t)p[1];
    meta->inst.gain_db = (int8_t)p[2];
    meta->inst.key_low = p[3];
    meta->inst.key_high = p[4];
    meta->inst.velocity_low = p[5];
    meta->inst.velocity_high = p[6];
    return 0;
}

static int parse_cue(const uint8_t *p, size_t n, sm_audio_metadata *meta)
{
    size_t cues;

    if (n < 4 || meta->cues)
        return 0;
    cues = SM_MIN((size_t)sm_le32(p), (n - 4) / CUE_BYTES);
    cues = SM_MIN(cues, (size_t)SM_META_POINTS);
    meta->cues = sm_alloc_zero(cues, sizeof *meta->cues);
    if (!meta->cues)
        return SM_ENOMEM;
    meta->n_cues = cues;
    for (size_t i = 0; i < cues; i++) {
        meta->cues[i].id = sm_le32(p + 4 + i * CUE_BYTES);
        meta->cues[i].frame = sm_le32(p + 4 + i * CUE_BYTES + 20);
    }
    return 0;
}

static const sm_meta_name bext_names[] = {
    { "description", NULL }, { "originator", NULL }, { "originator_reference", NULL },
    { "date", NULL },        { "time", NULL },
};

/* Broadcast extension (EBU Tech 3285): fixed fields, then the coding history. */
static int parse_bext(const uint8_t *p, size_t n, sm_audio_metadata *meta)
{
    static const size_t lengths[] = { 256, 32, 32, 10, 8 };
    size_t at = 0;
    char reference[32];
    int err = 0;

    if (n < BEXT_BYTES)
        return 0;
    for (size_t i = 0; err == 0 && i < SM_LENGTH(lengths); at += lengths[i++])
        err = sm_meta_tag(meta, bext_names[i].native, SM_TEXT_ANY, p + at, lengths[i]);
    const uint64_t samples = sm_le64(p + at);
    if (err == 0 && samples > 0) {
        snprintf(reference, sizeof reference, "%llu", (unsigned long long)samples);
        err = sm_meta_tag(meta, "time_reference", SM_TEXT_ANY, (const uint8_t *)reference, strlen(reference));
    }
    return err;
}

static const sm_meta_name info_names[] = {
    { "INAM", "title" },     { "IART", "artist" },     { "IPRD", "album" },     { "IGNR", "genre" },
    { "ICMT", "comment" },   { "ISFT", "software" },   { "ICRD", "date" },      { "IKEY", "keywords" },
    { "ICOP", "copyright" }, { "IENG", "engineer" },   { "ITRK", "track" },     { "IPRT", "track" },
    { "ISBJ", "subject" },   { "ISRC", "source" },     { "ITCH", "encodedby" }, { "IMED", "medium" },
    { "IBPM", "bpm" },       { "ILNG", "language" },   { "IMUS", "composer" },  { "IWRI", "writer" },
    { "TBPM", "bpm" },       { "TKEY", "initialkey" },
};

static int parse_info(const uint8_t *p, size_t n, sm_audio_metadata *meta)
{
    int err = 0;

    for (size_t at = 0; err == 0 && n - at >= 8;) {
        char id[5] = { 0 };
        const size_t size = SM_MIN((size_t)sm_le32(p + at + 4), n - at - 8);
        memcpy(id, p + at, 4);
        err = sm_meta_tag(meta, sm_meta_rename(info_names, SM_LENGTH(info_names), id), SM_TEXT_ANY, p + at + 8, size);
        at += SM_MIN(8 + size + (size & 1), n - at);
    }
    return err;
}

/* labl and note: a cue's number and its name. The first one wins. */
static int parse_adtl(const uint8_t *p, size_t n, sm_audio_metadata *meta)
{
    int err = 0;

    for (size_t at = 0; err == 0 && n - at >= 8;) {
        const size_t size = SM_MIN((size_t)sm_le32(p + at + 4), n - at - 8);
        const bool label = memcmp(p + at, "labl", 4) == 0 || memcmp(p + at, "note", 4) == 0;
        for (size_t i = 0; label && err == 0 && size > 4 && i < meta->n_cues; i++)
            if (meta->cues[i].id == sm_le32(p + at + 8) && !meta->cues[i].label) {
                err = sm_meta_text(SM_TEXT_ANY, p + at + 12, size - 4, &meta->cues[i].label);
                break;
            }
        at += SM_MIN(8 + size + (size & 1), n - at);
    }
    return err;
}

static int parse_list(const uint8_t *p, size_t n, sm_audio_metadata *meta)
{
    if (n >= 4 && memcmp(p, "INFO", 4) == 0)
        return parse_info(p + 4, n - 4, meta);
    if (n >= 4 && memcmp(p, "adtl", 4) == 0)
        return parse_adtl(p + 4, n - 4, meta);
    return 0;
}

static const struct {
    const char *id;
    int (*parse)(const uint8_t *p, size_t n, sm_audio_metadata *meta);
    int pass; /* labels need their cues, which may come later in the file */
} chunk_parsers[] = {
    { "acid", parse_acid, 0 }, { "smpl", parse_smpl, 0 }, { "inst", parse_inst, 0 }, { "INST", parse_inst, 0 },
    { "cue ", parse_cue, 0 },  { "bext", parse_bext, 0 }, { "LIST", parse_list, 1 }, { "list", parse_list, 1 },
};

/* Reads a chunk's body, at most SM_META_BLOCK of it, and parses it. */
static int parse_chunk(sm_source *s, const chunk_walk *w, int pass, sm_audio_metadata *meta)
{
    const int64_t size = SM_CLAMP(w->size, 0, SM_MAX(w->end - w->at, 0));
    int err = 0;

    if (pass == 1 && (strcmp(w->id, "id3 ") == 0 || strcmp(w->id, "ID3 ") == 0))
        return sm_meta_id3v2(s, w->at, w->at + size, meta);
    for (size_t i = 0; i < SM_LENGTH(chunk_parsers); i++) {
        if (strcmp(chunk_parsers[i].id, w->id) != 0 || chunk_parsers[i].pass != pass)
            continue;
        const size_t want = (size_t)SM_MIN(size, (int64_t)SM_META_BLOCK);
        uint8_t *body = sm_alloc(want, 1);
        if (!body)
            return SM_ENOMEM;
        err = chunk_parsers[i].parse(body, sm_source_read_at(s, w->at, body, want), meta);
        sm_free(body);
        return err;
    }
    return err;
}

int sm_meta_riff(sm_source *s, sm_audio_metadata *meta)
{
    int err = 0;

    for (int pass = 0; err == 0 && pass < 2; pass++) {
        chunk_walk w;
        walk_begin(&w, s);
        while (err == 0 && walk_next(&w))
            err = parse_chunk(s, &w, pass, meta);
    }
    return err;
}
