/* Metadata of AIFF and CAF: text chunks, markers, instrument with loops, Apple Loops' tempo, ID3. */
#include <string.h>

#include "audio/reader.h"

typedef struct {
    sm_audio_metadata *meta;
    sm_source *source;
    double rate_hz;
    int64_t frames;
} aiff_file;

/* 80-bit extended: exponent biased by 16383, explicit leading one. Rates only: up to 2^31. */
static double extended(const uint8_t *p)
{
    const int exponent = (sm_be16(p) & 0x7fff) - 16383;
    const uint32_t high = sm_be32(p + 2);
    return exponent < 0 || exponent > 31 ? 0 : (double)high / (double)(1u << (31 - exponent));
}

static int parse_comm(aiff_file *f, const uint8_t *p, size_t n)
{
    if (n >= 18) {
        f->frames = sm_be32(p + 2);
        f->rate_hz = extended(p + 8);
    }
    return 0;
}

/* Pascal string: length byte, then text. */
static size_t pascal_bytes(const uint8_t *p, size_t n)
{
    return n == 0 ? 0 : SM_MIN((size_t)p[0], n - 1);
}

static int parse_mark(aiff_file *f, const uint8_t *p, size_t n)
{
    sm_audio_metadata *meta = f->meta;
    size_t count, at = 2;
    int err = 0;

    if (n < 2 || meta->cues)
        return 0;
    count = SM_MIN((size_t)sm_be16(p), (n - 2) / 7);
    meta->cues = sm_alloc_zero(count, sizeof *meta->cues);
    if (!meta->cues)
        return SM_ENOMEM;
    while (err == 0 && meta->n_cues < count && n - at >= 7) {
        struct sm_audio_cue *cue = &meta->cues[meta->n_cues++];
        const size_t length = pascal_bytes(p + at + 6, n - at - 6);
        cue->id = sm_be16(p + at);
        cue->frame = sm_be32(p + at + 2);
        if (length > 0)
            err = sm_meta_text(SM_TEXT_ANY, p + at + 7, length, &cue->label);
        at += SM_MIN(6 + length + 1 + (length + 1) % 2, n - at);
    }
    return err;
}

static int64_t marker_frame(const sm_audio_metadata *meta, uint32_t id)
{
    for (size_t i = 0; i < meta->n_cues; i++)
        if (meta->cues[i].id == id)
            return meta->cues[i].frame;
    return -1;
}

/* Notes, gain, and two loops between markers (play mode 1: forward, 2: alternating). */
static int parse_inst(aiff_file *f, const uint8_t *p, size_t n)
{
    sm_audio_metadata *meta = f->meta;

    if (n < 20 || meta->has_inst)
        return 0;
    meta->has_inst = true;
    meta->inst.base_note = p[0];
    meta->inst.detune_cents = (int8_t)p[1];
    meta->inst.key_low = p[2];
    meta->inst.key_high = p[3];
    meta->inst.velocity_low = p[4];
    meta->inst.velocity_high = p[5];
    meta->inst.gain_db = (int16_t)sm_be16(p + 6);
    meta->smpl.loops = sm_alloc_zero(2, sizeof *meta->smpl.loops);
    if (!meta->smpl.loops)
        return SM_ENOMEM;
    meta->smpl.unity_note = p[0];
    meta->smpl.fine_cents = (int8_t)p[1];
    for (int i = 0; i < 2; i++) {
        const uint8_t *q = p + 8 + 6 * i;
        const int64_t start = marker_frame(meta, sm_be16(q + 2)), end = marker_frame(meta, sm_be16(q + 4));
        if (sm_be16(q) == 0 || start < 0 || end <= start)
            continue;
        meta->has_smpl = true;
        meta->smpl.loops[meta->smpl.n_loops++] =
            (sm_audio_loop){ .start = (uint32_t)start, .end = (uint32_t)end, .type = sm_be16(q) == 2 };
    }
    return 0;
}

/* Apple Loops: version, beats, root note, scale, meter. Its tempo is beats over the length. */
static int parse_basc(aiff_file *f, const uint8_t *p, size_t n)
{
    sm_audio_metadata *meta = f->meta;

    if (n < 16 || sm_be32(p) != 1 || meta->has_acid)
        return 0;
    meta->has_acid = true;
    meta->acid.beats = sm_be32(p + 4);
    meta->acid.root_note = sm_be16(p + 8) >= 48 && sm_be16(p + 8) < 60 ? sm_be16(p + 8) : -1;
    meta->acid.flags = meta->acid.root_note >= 0 ? 2 : 0;
    meta->acid.meter_numerator = sm_be16(p + 12);
    meta->acid.meter_denominator = sm_be16(p + 14);
    if (f->frames > 0 && f->rate_hz > 0 && meta->acid.beats < 100000)
        meta->acid.tempo = (float)(meta->acid.beats * 60.0 * f->rate_hz / (double)f->frames);
    return 0;
}

static int parse_comt(aiff_file *f, const uint8_t *p, size_t n)
{
    int err = 0;
    for (size_t at = 2; err == 0 && n >= 2 && n - at >= 8;) {
        const size_t length = SM_MIN((size_t)sm_be16(p + at + 6), n - at - 8);
        err = sm_meta_tag(f->meta, "comment", SM_TEXT_ANY, p + at + 8, length);
        at += SM_MIN(8 + length + length % 2, n - at);
    }
    return err;
}

static int parse_name(aiff_file *f, const uint8_t *p, size_t n)
{
    return sm_meta_tag(f->meta, "title", SM_TEXT_ANY, p, n);
}
static int parse_auth(aiff_file *f, const uint8_t *p, size_t n)
{
    return sm_meta_tag(f->meta, "artist", SM_TEXT_ANY, p, n);
}
static int parse_copyright(aiff_file *f, const uint8_t *p, size_t n)
{
    return sm_meta_tag(f->meta, "copyright", SM_TEXT_ANY, p, n);
}
static int parse_anno(aiff_file *f, const uint8_t *p, size_t n)
{
    return sm_meta_tag(f->meta, "comment", SM_TEXT_ANY, p, n);
}

/* CAF's info: a count, then names and values that end in zeros. */
static int parse_caf_info(aiff_file *f, const uint8_t *p, size_t n)
{
    int err = 0;
    size_t at = 4;

    for (uint32_t left = n >= 4 ? sm_be32(p) : 0; err == 0 && left > 0 && at < n; left--) {
        char key[64];
        const size_t key_length = strnlen((const char *)p + at, n - at);
        const size_t value_at = at + key_length + 1;
        if (value_at >= n)
            break;
        snprintf(key, sizeof key, "%.*s", (int)SM_MIN(key_length, sizeof key - 1), (const char *)p + at);
        const size_t value_length = strnlen((const char *)p + value_at, n - value_at);
        static const sm_meta_name names[] = {
            { "tempo", "bpm" }, { "key signature", "initialkey" }, { "comments", "comment" }, { "encoder", "software" }
        };
        err =
            sm_meta_tag(f->meta, sm_meta_rename(names, SM_LENGTH(names), key), SM_TEXT_ANY, p + value_at, value_length);
        at = value_at + value_length + 1;
    }
    return err;
}

typedef struct {
    const char *id;
    int (*parse)(aiff_file *f, const uint8_t *p, size_t n);
    int pass; /* loops need their markers, the tempo needs the length */
} chunk_parser;

static const chunk_parser aiff_parsers[] = {
    { "COMM", parse_comm, 0 }, { "MARK", parse_mark, 0 }, { "INST", parse_inst, 1 },      { "basc", parse_basc, 1 },
    { "NAME", parse_name, 0 }, { "AUTH", parse_auth, 0 }, { "(c) ", parse_copyright, 0 }, { "ANNO", parse_anno, 0 },
    { "COMT", parse_comt, 0 }, { NULL, NULL, 0 },
};
static const chunk_parser caf_parsers[] = {
    { "info", parse_caf_info, 0 },
    { NULL, NULL, 0 },
};

static int parse_chunk(aiff_file *f, const chunk_parser *parsers, const char *id, int pass, int64_t at, int64_t size)
{
    int err = 0;

    size = SM_CLAMP(size, 0, SM_MAX(f->source->size - at, 0));
    if (pass == 1 && (strcmp(id, "ID3 ") == 0 || strcmp(id, "id3 ") == 0))
        return sm_meta_id3v2(f->source, at, at + size, f->meta);
    for (; parsers->id; parsers++) {
        if (strcmp(parsers->id, id) != 0 || parsers->pass != pass)
            continue;
        const size_t want = (size_t)SM_MIN(size, (int64_t)SM_META_BLOCK);
        uint8_t *body = sm_alloc(want, 1);
        if (!body)
            return SM_ENOMEM;
        err = parsers->parse(f, body, sm_source_read_at(f->source, at, body, want));
        sm_free(body);
        return err;
    }
    return err;
}

/* Walks chunks whose head is a name and a size of `size_bytes` bytes, big-endian. */
static int walk(aiff_file *f, const chunk_parser *parsers, int64_t first, size_t size_bytes)
{
    int err = 0;

    for (int pass = 0; err == 0 && pass < 2; pass++) {
        int64_t at = first;
        for (int seen = 0; err == 0 && seen < SM_META_CHUNKS; seen++) {
            uint8_t h[12];
            char id[5] = { 0 };
            if (sm_source_read_at(f->source, at, h, 4 + size_bytes) != 4 + size_bytes)
                break;
            memcpy(id, h, 4);
            const uint64_t size = size_bytes == 4 ? sm_be32(h + 4) : sm_be64(h + 4);
            at += 4 + (int64_t)size_bytes;
            if (size > (uint64_t)INT64_MAX / 2)
                break; /* CAF: data of unknown length is the last chunk */
            err = parse_chunk(f, parsers, id, pass, at, (int64_t)size);
            at += (int64_t)size + (size_bytes == 4 && size % 2);
        }
    }
    return err;
}

int sm_meta_aiff(sm_source *s, sm_audio_metadata *meta)
{
    return walk(&(aiff_file){ .meta = meta, .source = s }, aiff_parsers, 12, 4);
}

int sm_meta_caf(sm_source *s, sm_audio_metadata *meta)
{
    return walk(&(aiff_file){ .meta = meta, .source = s }, caf_parsers, 8, 8);
}
