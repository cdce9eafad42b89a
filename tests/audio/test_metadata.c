/* Metadata of every container, from files built byte by byte. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "audio/reader.h"

/* ---- building files ---- */
static void put(sm_buffer *b, const void *bytes, size_t n)
{
    sm_buffer_add(b, bytes, n);
}
static void put_text(sm_buffer *b, const char *text)
{
    sm_buffer_add(b, text, strlen(text));
}
static void put_le(sm_buffer *b, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        put(b, &(uint8_t){ (uint8_t)(value >> 8 * i) }, 1);
}
static void put_be(sm_buffer *b, uint64_t value, int bytes)
{
    for (int i = bytes; i-- > 0;)
        put(b, &(uint8_t){ (uint8_t)(value >> 8 * i) }, 1);
}
static void put_f32(sm_buffer *b, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    put_le(b, bits, 4);
}

/* A chunk and its padding; the body is freed. */
static void put_chunk(sm_buffer *b, const char *id, sm_buffer *body, bool big)
{
    put(b, id, 4);
    big ? put_be(b, body->length, 4) : put_le(b, body->length, 4);
    put(b, body->data ? body->data : "", body->length);
    if (body->length % 2)
        put(b, "", 1);
    sm_buffer_free(body);
}

static void begin_wav(sm_buffer *b)
{
    put_text(b, "RIFF");
    put_le(b, 0, 4);
    put_text(b, "WAVEfmt ");
    put_le(b, 16, 4);
    put_le(b, 1, 2);
    put_le(b, 1, 2);
    put_le(b, 44100, 4);
    put_le(b, 88200, 4);
    put_le(b, 2, 2);
    put_le(b, 16, 2);
}

static sm_audio_metadata parse(sm_buffer *b)
{
    sm_audio_metadata m;
    assert_false(b->failed);
    test_ok(sm_audio_metadata_parse(b->data, b->length, &m));
    sm_buffer_free(b);
    return m;
}

static void has_tag(const sm_audio_metadata *m, const char *key, const char *value)
{
    const char *found = sm_meta_find(m, key);
    if (!found || strcmp(found, value) != 0)
        fail_msg("%s is \"%s\", expected \"%s\"", key, found ? found : "(none)", value);
}

/* ---- wav ---- */
static void reads_the_acid_chunk(void **state)
{
    sm_buffer b = { 0 }, c = { 0 };

    (void)state;
    begin_wav(&b);
    put_le(&c, 2 | 4, 4); /* root note valid, stretch */
    put_le(&c, 57, 2);
    put_le(&c, 0x8000, 2);
    put_f32(&c, 0);
    put_le(&c, 16, 4);
    put_le(&c, 4, 2);
    put_le(&c, 3, 2);
    put_f32(&c, 127.5f);
    put_chunk(&b, "acid", &c, false);
    sm_audio_metadata m = parse(&b);
    assert_true(m.has_acid);
    assert_int_equal(m.acid.flags, 6);
    assert_int_equal(m.acid.root_note, 57);
    assert_int_equal(m.acid.beats, 16);
    assert_int_equal(m.acid.meter_denominator, 4);
    assert_int_equal(m.acid.meter_numerator, 3);
    assert_float_equal(m.acid.tempo, 127.5, 0);
    sm_audio_metadata_free(&m);
}

static void a_tempo_that_is_no_number_is_none(void **state)
{
    static const float bad[] = { NAN, INFINITY, -120, 1e30f };

    (void)state;
    for (size_t i = 0; i < SM_LENGTH(bad); i++) {
        sm_buffer b = { 0 }, c = { 0 };
        begin_wav(&b);
        put_le(&c, 0, 8); /* no valid root note either */
        put_le(&c, 0, 8);
        put_le(&c, 0, 4);
        put_f32(&c, bad[i]);
        put_chunk(&b, "acid", &c, false);
        sm_audio_metadata m = parse(&b);
        assert_true(m.has_acid);
        assert_int_equal(m.acid.root_note, -1);
        assert_float_equal(m.acid.tempo, 0, 0);
        sm_audio_metadata_free(&m);
    }
}

static void reads_sampler_loops_with_their_end_exclusive(void **state)
{
    sm_buffer b = { 0 }, c = { 0 };

    (void)state;
    begin_wav(&b);
    put_le(&c, 0, 8);
    put_le(&c, 22675, 4);
    put_le(&c, 60, 4);
    put_le(&c, 0x80000000u, 4); /* half a semitone */
    put_le(&c, 0, 8);
    put_le(&c, 1000, 4); /* loops that it claims; one is there */
    put_le(&c, 0, 4);
    put_le(&c, 0, 4);
    put_le(&c, 1, 4);
    put_le(&c, 100, 4);
    put_le(&c, 199, 4); /* inclusive in the file */
    put_le(&c, 0, 4);
    put_le(&c, 5, 4);
    put_chunk(&b, "smpl", &c, false);
    sm_audio_metadata m = parse(&b);
    assert_true(m.has_smpl);
    assert_int_equal(m.smpl.unity_note, 60);
    assert_float_equal(m.smpl.fine_cents, 50, 1e-6);
    assert_int_equal(m.smpl.n_loops, 1);
    assert_int_equal(m.smpl.loops[0].type, 1);
    assert_int_equal(m.smpl.loops[0].start, 100);
    assert_int_equal(m.smpl.loops[0].end, 200);
    assert_int_equal(m.smpl.loops[0].plays, 5);
    sm_audio_metadata_free(&m);
}

static void reads_inst_cues_and_their_labels(void **state)
{
    sm_buffer b = { 0 }, c = { 0 };

    (void)state;
    begin_wav(&b);
    put(&c, "adtl", 4);
    put_text(&c, "labl");
    put_le(&c, 4 + 4, 4);
    put_le(&c, 7, 4);
    put(&c, "two\0", 4);
    put_text(&c, "note");
    put_le(&c, 4 + 6, 4);
    put_le(&c, 3, 4);
    put(&c, "one\xc3\xa9", 6);
    put_chunk(&b, "LIST", &c, false); /* before the cues that it names */
    put_le(&c, 2, 4);
    for (int i = 0; i < 2; i++) {
        put_le(&c, i ? 7 : 3, 4);
        put_le(&c, 0, 4);
        put_text(&c, "data");
        put_le(&c, 0, 8);
        put_le(&c, i ? 44100 : 22050, 4);
    }
    put_chunk(&b, "cue ", &c, false);
    put(&c, "\x30\xce\x06\x10\x7f\x01\x7e", 7);
    put_chunk(&b, "inst", &c, false);
    sm_audio_metadata m = parse(&b);
    assert_int_equal(m.n_cues, 2);
    assert_int_equal(m.cues[0].frame, 22050);
    assert_string_equal(m.cues[0].label, "one\xc3\xa9");
    assert_int_equal(m.cues[1].frame, 44100);
    assert_string_equal(m.cues[1].label, "two");
    assert_true(m.has_inst);
    assert_int_equal(m.inst.base_note, 48);
    assert_int_equal(m.inst.detune_cents, -50);
    assert_int_equal(m.inst.gain_db, 6);
    assert_int_equal(m.inst.key_low, 16);
    assert_int_equal(m.inst.key_high, 127);
    assert_int_equal(m.inst.velocity_low, 1);
    assert_int_equal(m.inst.velocity_high, 126);
    sm_audio_metadata_free(&m);
}

static void put_info(sm_buffer *c, const char *id, const char *value)
{
    put(c, id, 4);
    put_le(c, strlen(value) + 1, 4);
    put(c, value, strlen(value) + 1);
    if ((strlen(value) + 1) % 2)
        put(c, "", 1);
}

static void reads_info_and_broadcast_texts(void **state)
{
    sm_buffer b = { 0 }, c = { 0 };
    char bext[602] = { 0 };

    (void)state;
    begin_wav(&b);
    put_text(&c, "INFO");
    put_info(&c, "INAM", "Kick 01");
    put_info(&c, "ISFT", "a sampler");
    put_info(&c, "IKEY", "kick; 808");
    put_info(&c, "ICMT", "Gr\xfc\xdf\x65 \x80 5"); /* Windows-1252: Grüße € 5 */
    put_info(&c, "IABC", "kept");
    put_chunk(&b, "LIST", &c, false);
    memcpy(bext, "a door", 6);
    memcpy(bext + 256, "recorder", 8);
    memcpy(bext + 320, "2024-05-06", 10);
    bext[338] = (char)0x80;
    bext[339] = (char)0xbb; /* 48000 samples since midnight */
    put(&c, bext, sizeof bext);
    put_chunk(&b, "bext", &c, false);
    sm_audio_metadata m = parse(&b);
    has_tag(&m, "title", "Kick 01");
    has_tag(&m, "software", "a sampler");
    has_tag(&m, "keywords", "kick; 808");
    has_tag(&m, "comment", "Gr\xc3\xbc\xc3\x9f\x65 \xe2\x82\xac 5");
    has_tag(&m, "iabc", "kept");
    has_tag(&m, "description", "a door");
    has_tag(&m, "originator", "recorder");
    has_tag(&m, "date", "2024-05-06");
    has_tag(&m, "time_reference", "48000");
    sm_audio_metadata_free(&m);
}

/* ---- ID3 ---- */
static void put_synchsafe(sm_buffer *b, size_t n)
{
    put(b, &(uint8_t){ n >> 21 & 127 }, 1);
    put(b, &(uint8_t){ n >> 14 & 127 }, 1);
    put(b, &(uint8_t){ n >> 7 & 127 }, 1);
    put(b, &(uint8_t){ n & 127 }, 1);
}

static void put_frame(sm_buffer *b, int version, const char *id, const void *body, size_t n)
{
    put(b, id, version == 2 ? 3 : 4);
    if (version == 2)
        put_be(b, n, 3);
    else if (version == 3)
        put_be(b, n, 4);
    else
        put_synchsafe(b, n);
    if (version > 2)
        put_le(b, 0, 2);
    put(b, body, n);
}

static void put_id3(sm_buffer *b, int version, int flags, sm_buffer *frames)
{
    put_text(b, "ID3");
    put(b, &(uint8_t){ (uint8_t)version }, 1);
    put_le(b, 0, 1);
    put_le(b, (uint64_t)flags, 1);
    put_synchsafe(b, frames->length);
    put(b, frames->data, frames->length);
    sm_buffer_free(frames);
}

/* Two frames of silence, so that it is an mp3: 128 kbit/s, 44.1 kHz. */
static void put_mpeg(sm_buffer *b)
{
    uint8_t frame[417] = { 0xff, 0xfb, 0x90, 0x00 };
    put(b, frame, sizeof frame);
    put(b, frame, sizeof frame);
}

static void reads_id3_in_all_versions_and_encodings(void **state)
{
    (void)state;
    for (int version = 2; version <= 4; version++) {
        const bool old = version == 2;
        sm_buffer b = { 0 }, f = { 0 };
        put_frame(&f, version, old ? "TT2" : "TIT2", "\0Caf\xe9", 5);
        put_frame(&f, version, old ? "TP1" : "TPE1", "\1\xff\xfeM\0\xfc\0\0\0", 9);
        put_frame(&f, version, old ? "TAL" : "TALB", "\2\0A\xd8\x3c\xdf\xb5",
                  7); /* A and a clef-like sign beyond 16 bits */
        put_frame(&f, version, old ? "PIC" : "APIC", "\0this is no text at all", 22);
        put_frame(&f, version, old ? "TBP" : "TBPM",
                  "\0"
                  "128",
                  4);
        put_frame(&f, version, old ? "TKE" : "TKEY",
                  "\0"
                  "Am",
                  4);
        put_frame(&f, version, old ? "TCO" : "TCON", "\0(17)", 5);
        put_frame(&f, version, old ? "COM" : "COMM",
                  "\0eng\0"
                  "8A - 6",
                  11);
        put_frame(&f, version, old ? "TXX" : "TXXX", "\3MOOD\0d\xc3\xa9j\xc3\xa0", 12);
        put_id3(&b, version, 0, &f);
        put_mpeg(&b);
        sm_audio_metadata m = parse(&b);
        has_tag(&m, "title", "Caf\xc3\xa9");
        has_tag(&m, "artist", "M\xc3\xbc");
        has_tag(&m, "album", "A\xf0\x9f\x8e\xb5");
        has_tag(&m, "bpm", "128");
        has_tag(&m, "initialkey", "Am");
        has_tag(&m, "genre", "Rock");
        has_tag(&m, "comment", "8A - 6");
        has_tag(&m, "mood", "d\xc3\xa9j\xc3\xa0");
        assert_int_equal(m.n_tags, 8);
        sm_audio_metadata_free(&m);
    }
}

/* Unsynchronisation over the whole tag; sizes of 2.4 written like 2.3 by a careless program; a huge picture before the text. */
static void reads_id3_as_the_world_writes_it(void **state)
{
    sm_buffer b = { 0 }, f = { 0 };
    static uint8_t picture[300000];
    sm_audio_metadata m;

    (void)state;
    put_frame(&f, 3, "TIT2",
              "\1\xff\0\xfe"
              "a\0\0\0",
              8); /* the size is the true one: 7 */
    f.data[7] = 7;
    put_id3(&b, 3, 0x80, &f);
    put_mpeg(&b);
    m = parse(&b);
    has_tag(&m, "title", "a");
    sm_audio_metadata_free(&m);

    memset(picture, 0xff, sizeof picture);
    put_frame(&f, 3, "APIC", picture, 200); /* 200 as a plain number: as synchsafe it would be 72 */
    put_frame(&f, 3, "TIT2", "\0plain sizes", 12);
    put_id3(&b, 4, 0, &f);
    put_mpeg(&b);
    m = parse(&b);
    has_tag(&m, "title", "plain sizes");
    sm_audio_metadata_free(&m);

    put_frame(&f, 4, "APIC", picture, sizeof picture);
    put_frame(&f, 4, "TIT2", "\0behind it", 10);
    put_id3(&b, 4, 0, &f);
    put_mpeg(&b);
    m = parse(&b);
    has_tag(&m, "title", "behind it");
    sm_audio_metadata_free(&m);
}

static void old_tags_at_the_end_add_what_is_not_known(void **state)
{
    sm_buffer b = { 0 }, f = { 0 };
    uint8_t v1[128] = "TAGold title";

    (void)state;
    put_frame(&f, 3, "TIT2", "\0new title", 10);
    put_id3(&b, 3, 0, &f);
    put_mpeg(&b);
    put_le(&f, 5, 4); /* one APE item */
    put_le(&f, 0, 4);
    put(&f,
        "Tempo\0"
        "90.55",
        11);
    put(&b, f.data, f.length);
    put_text(&b, "APETAGEX");
    put_le(&b, 2000, 4);
    put_le(&b, f.length + 32, 4);
    put_le(&b, 1, 4);
    put_le(&b, 0, 8);
    put_le(&b, 0, 4);
    sm_buffer_free(&f);
    memcpy(v1 + 33, "somebody", 8);
    v1[127] = 35; /* House */
    put(&b, v1, sizeof v1);
    sm_audio_metadata m = parse(&b);
    has_tag(&m, "title", "new title");
    has_tag(&m, "bpm", "90.55");
    has_tag(&m, "artist", "somebody");
    has_tag(&m, "genre", "House");
    sm_audio_metadata_free(&m);
}

static void finds_id3_inside_wav_and_aiff(void **state)
{
    (void)state;
    for (int aiff = 0; aiff < 2; aiff++) {
        sm_buffer b = { 0 }, tag = { 0 }, f = { 0 };
        if (aiff) {
            put_text(&b, "FORM");
            put_be(&b, 0, 4);
            put_text(&b, "AIFF");
        } else {
            begin_wav(&b);
        }
        put_frame(&f, 3, "TBPM",
                  "\0"
                  "174",
                  4);
        put_id3(&tag, 3, 0, &f);
        put_chunk(&b, aiff ? "ID3 " : "id3 ", &tag, aiff);
        sm_audio_metadata m = parse(&b);
        has_tag(&m, "bpm", "174");
        sm_audio_metadata_free(&m);
    }
}

/* ---- aiff, flac, ogg ---- */
static void reads_aiff_markers_instrument_and_apple_loops(void **state)
{
    sm_buffer b = { 0 }, c = { 0 };

    (void)state;
    put_text(&b, "FORM");
    put_be(&b, 0, 4);
    put_text(&b, "AIFF");
    put(&c, "\x45\0\0\x7f\1\x7f\0\x0c\0\1\0\1\0\2\0\0\0\0\0\0",
        20); /* note 69, 12 dB, forward loop from marker 1 to 2 */
    put_chunk(&b, "INST", &c, true);
    put_be(&c, 2, 2);
    put(&c, "\0\1\0\0\0\x64\5begin", 12);
    put(&c, "\0\2\0\0\0\xc8\3end", 10);
    put_chunk(&b, "MARK", &c, true);
    put_be(&c, 1, 4);
    put_be(&c, 8, 4); /* beats */
    put_be(&c, 50, 2);
    put_be(&c, 1, 2);
    put_be(&c, 4, 2);
    put_be(&c, 4, 2);
    put_chunk(&b, "basc", &c, true);
    put_be(&c, 2, 2);
    put_be(&c, 176400, 4); /* 4 s of frames */
    put_be(&c, 16, 2);
    put(&c, "\x40\x0e\xac\x44\0\0\0\0\0\0", 10); /* 44100 as an 80-bit float */
    put_chunk(&b, "COMM", &c, true);
    put_text(&c, "a title");
    put_chunk(&b, "NAME", &c, true);
    sm_audio_metadata m = parse(&b);
    assert_int_equal(m.n_cues, 2);
    assert_string_equal(m.cues[0].label, "begin");
    assert_int_equal(m.cues[1].frame, 200);
    assert_true(m.has_inst && m.has_smpl && m.has_acid);
    assert_int_equal(m.inst.base_note, 69);
    assert_int_equal(m.inst.gain_db, 12);
    assert_int_equal(m.smpl.n_loops, 1);
    assert_int_equal(m.smpl.loops[0].start, 100);
    assert_int_equal(m.smpl.loops[0].end, 200);
    assert_int_equal(m.acid.beats, 8);
    assert_int_equal(m.acid.root_note, 50);
    assert_float_equal(m.acid.tempo, 120, 1e-4); /* 8 beats in 4 s */
    has_tag(&m, "title", "a title");
    sm_audio_metadata_free(&m);
}

static void put_comments(sm_buffer *b)
{
    static const char *const texts[] = { "BPM=128",    "Initialkey=Am",  "GENRE=Techno",
                                         "GENRE=Acid", "no equals sign", "EMPTY=" };

    put_le(b, 3, 4);
    put_text(b, "us!");
    put_le(b, SM_LENGTH(texts), 4);
    for (size_t i = 0; i < SM_LENGTH(texts); i++) {
        put_le(b, strlen(texts[i]), 4);
        put_text(b, texts[i]);
    }
}

static void check_comments(sm_buffer *b)
{
    sm_audio_metadata m = parse(b);
    has_tag(&m, "bpm", "128");
    has_tag(&m, "initialkey", "Am");
    assert_int_equal(m.n_tags, 4); /* both genres are kept, the empty one is not */
    assert_string_equal(m.tags[3].value, "Acid");
    sm_audio_metadata_free(&m);
}

static void reads_vorbis_comments_of_flac(void **state)
{
    sm_buffer b = { 0 }, c = { 0 };

    (void)state;
    put_text(&b, "fLaC");
    put_be(&b, 34, 4);
    for (int i = 0; i < 34; i++)
        put(&b, "", 1);
    put_comments(&c);
    put_be(&b, 0x84000000u | (uint32_t)c.length, 4);
    put(&b, c.data, c.length);
    sm_buffer_free(&c);
    check_comments(&b);
}

static void put_page(sm_buffer *b, uint32_t serial, const void *body, size_t n, bool ends)
{
    put(b, "OggS\0\0", 6);
    put_le(b, 0, 8);
    put_le(b, serial, 4);
    put_le(b, 0, 8);
    const size_t segments = n / 255 + ends;
    put(b, &(uint8_t){ (uint8_t)segments }, 1);
    for (size_t i = 0; i < n / 255; i++)
        put(b, "\xff", 1);
    if (ends)
        put(b, &(uint8_t){ (uint8_t)(n % 255) }, 1);
    put(b, body, n);
}

/* The comment packet goes over two pages, with another stream's page between them. */
static void reads_vorbis_comments_of_ogg(void **state)
{
    static const char *const heads[] = { "\3vorbis", "OpusTags" };

    (void)state;
    for (size_t i = 0; i < SM_LENGTH(heads); i++) {
        sm_buffer b = { 0 }, c = { 0 };
        put_text(&c, heads[i]);
        put_comments(&c);
        while (c.length < 600)
            put(&c, "", 1);
        put_page(&b, 1, "ident", 5, true);
        put_page(&b, 1, c.data, 255, false);
        put_page(&b, 2, "other", 5, true);
        put_page(&b, 1, c.data + 255, c.length - 255, true);
        sm_buffer_free(&c);
        check_comments(&b);
    }
}

/* ---- damage ---- */

/* One file with everything in it: parsed when cut anywhere, and with any byte replaced by extremes. The sanitizers watch. */
static void survives_cuts_and_flips(void **state)
{
    sm_buffer b = { 0 }, c = { 0 }, f = { 0 };
    sm_audio_metadata m;

    (void)state;
    begin_wav(&b);
    for (int i = 0; i < 60; i++)
        put_le(&c, 1, 4);
    put_chunk(&b, "smpl", &c, false);
    for (int i = 0; i < 30; i++)
        put_le(&c, 2, 4);
    put_chunk(&b, "cue ", &c, false);
    put_text(&c, "INFO");
    put_info(&c, "INAM", "title");
    put_chunk(&b, "LIST", &c, false);
    put_frame(&f, 4, "TIT2",
              "\1\xff\xfe"
              "a\0",
              5);
    put_frame(&f, 4, "COMM", "\1eng\xff\xfe\0\0b\0", 10);
    put_id3(&c, 4, 0, &f);
    put_chunk(&b, "id3 ", &c, false);
    for (size_t n = 0; n <= b.length; n++) {
        char *copy = sm_alloc(n, 1); /* exactly so long: reading one byte too far is seen */
        memcpy(copy, b.data, n);
        test_ok(sm_audio_metadata_parse(copy, n, &m));
        sm_audio_metadata_free(&m);
        sm_free(copy);
    }
    for (size_t i = 0; i < b.length; i++) {
        const char was = b.data[i];
        static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
        for (size_t k = 0; k < SM_LENGTH(values); k++) {
            b.data[i] = (char)values[k];
            test_ok(sm_audio_metadata_parse(b.data, b.length, &m));
            sm_audio_metadata_free(&m);
        }
        b.data[i] = was;
    }
    sm_buffer_free(&b);
}

static int parse_everything(void *user)
{
    const sm_buffer *b = user;
    sm_audio_metadata m;
    const int err = sm_audio_metadata_parse(b->data, b->length, &m);
    sm_audio_metadata_free(&m);
    return err;
}

static void survives_any_failed_allocation(void **state)
{
    sm_buffer b = { 0 }, c = { 0 };

    (void)state;
    begin_wav(&b);
    put_le(&c, 1, 4);
    for (int i = 0; i < 6; i++)
        put_le(&c, 3, 4);
    put_chunk(&b, "cue ", &c, false);
    put_text(&c, "adtllabl");
    put_le(&c, 8, 4);
    put_le(&c, 3, 4);
    put_text(&c, "name");
    put_chunk(&b, "LIST", &c, false);
    put_text(&c, "INFO");
    put_info(&c, "INAM", "title");
    put_chunk(&b, "LIST", &c, false);
    test_every_allocation_may_fail(parse_everything, &b);
    sm_buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_acid_chunk),
        cmocka_unit_test(a_tempo_that_is_no_number_is_none),
        cmocka_unit_test(reads_sampler_loops_with_their_end_exclusive),
        cmocka_unit_test(reads_inst_cues_and_their_labels),
        cmocka_unit_test(reads_info_and_broadcast_texts),
        cmocka_unit_test(reads_id3_in_all_versions_and_encodings),
        cmocka_unit_test(reads_id3_as_the_world_writes_it),
        cmocka_unit_test(old_tags_at_the_end_add_what_is_not_known),
        cmocka_unit_test(finds_id3_inside_wav_and_aiff),
        cmocka_unit_test(reads_aiff_markers_instrument_and_apple_loops),
        cmocka_unit_test(reads_vorbis_comments_of_flac),
        cmocka_unit_test(reads_vorbis_comments_of_ogg),
        cmocka_unit_test(survives_cuts_and_flips),
        cmocka_unit_test(survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
