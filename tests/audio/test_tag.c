/* Tags into files of every container: the audio keeps its bits, what is unknown its place, and the old bytes come back. */
#include "audio/sounds.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/tag.h"

static const char *const endings[] = { "wav", "aiff", "w64", "rf64", "flac", "ogg", "opus", "mp3" };
enum { KINDS = SM_LENGTH(endings), FRAMES = 30011, RATE = 48000 };

static void make_file(const char *folder, int kind, size_t frames, char path[256])
{
    float *x = test_sines(RATE, 1, frames);
    snprintf(path, 256, "%s/sound.%s", folder, endings[kind]);
    if (!strcmp(endings[kind], "rf64")) {
        test_write_sndfile(path, SF_FORMAT_RF64 | SF_FORMAT_PCM_16, RATE, 1, x, frames);
    } else {
        sm_audio_writer *w = NULL;
        const sm_audio_write_options o = { .rate_hz = RATE, .channels = 1, .format = SM_SAMPLE_S16 };
        test_ok(sm_audio_writer_open(path, &o, &w));
        test_ok(sm_audio_writer_write(w, x, frames));
        test_ok(sm_audio_writer_commit(w));
    }
    sm_free(x);
}

static sm_buffer bytes_of(const char *path)
{
    sm_buffer b = { 0 };
    test_ok(sm_file_read(path, 1 << 28, &b));
    return b;
}

static void assert_same_bytes(const char *path, const sm_buffer *b)
{
    sm_buffer now = bytes_of(path);
    if (now.length != b->length || memcmp(now.data, b->data, b->length) != 0)
        fail_msg("%s: %zu bytes are not the %zu that were there", path, now.length, b->length);
    sm_buffer_free(&now);
}

static sm_floats samples_of(const char *path)
{
    sm_audio *a = NULL;
    test_ok(sm_audio_open(path, &a));
    sm_floats x = test_read_rest(a, 4096);
    sm_audio_close(a);
    return x;
}

/* The value that readers find; "" for none. */
static void tag_of(const char *path, const char *key, char out[256])
{
    sm_audio *a = NULL;
    out[0] = 0;
    test_ok(sm_audio_open(path, &a));
    const sm_audio_metadata *m = sm_audio_get_metadata(a);
    for (size_t i = 0; i < m->n_tags; i++)
        if (!strcmp(m->tags[i].key, key) && !*out)
            snprintf(out, 256, "%s", m->tags[i].value);
    sm_audio_close(a);
}

static void assert_tag(const char *path, const char *key, const char *value)
{
    char found[256];
    tag_of(path, key, found);
    if (strcmp(found, value) != 0)
        fail_msg("%s: %s is \"%s\", not \"%s\"", path, key, found, value);
}

static const sm_tag_edit full = { .text = { [SM_TAG_TITLE] = "Kick \xe2\x99\xaf"
                                                             "1",
                                            [SM_TAG_COMMENT] = "8A - 6",
                                            [SM_TAG_GENRE] = "Techno",
                                            [SM_TAG_MOOD] = "dark",
                                            [SM_TAG_INSTRUMENT] = "kick",
                                            [SM_TAG_BPM] = "128",
                                            [SM_TAG_KEY] = "C#m" },
                                  .acid = true,
                                  .smpl = true,
                                  .inst = true,
                                  .acid_values = { .one_shot = false, .root_note = 49, .beats = 4, .tempo = 128 },
                                  .unity_note = 49,
                                  .fine_cents = -20,
                                  .loop = true,
                                  .frames = FRAMES };

static void every_container_takes_tags_and_keeps_its_audio(void **state)
{
    const test_place *place = *state;
    for (int kind = 0; kind < (int)KINDS; kind++) {
        char path[256], before[65], after[65];
        sm_tag_result r;
        make_file(place->folder, kind, FRAMES, path);
        sm_buffer old = bytes_of(path);
        sm_floats x = samples_of(path);
        test_ok(sm_tag_payload_hash(path, before));
        /* a rehearsal changes nothing */
        test_ok(sm_tag_write(path, &full, &(sm_tag_how){ .dry_run = true }, &r));
        assert_true(r.n >= 7 && r.writes);
        sm_tag_result_free(&r);
        assert_same_bytes(path, &old);
        test_ok(sm_tag_write(path, &full, &(sm_tag_how){ 0 }, &r));
        test_ok(sm_tag_payload_hash(path, after));
        assert_string_equal(before, after);
        sm_floats y = samples_of(path);
        if (x.length != y.length)
            fail_msg("%s: %zu samples became %zu", endings[kind], x.length, y.length);
        assert_memory_equal(x.data, y.data, x.length * sizeof *x.data);
        assert_tag(path, "title",
                   "Kick \xe2\x99\xaf"
                   "1");
        assert_tag(path, "comment", "8A - 6");
        assert_tag(path, "genre", "Techno");
        assert_tag(path, "mood", "dark");
        assert_tag(path, "instrument", "kick");
        assert_tag(path, "bpm", "128");
        assert_tag(path, "initialkey", "C#m");
        /* the same again is nothing to do, another value only by force */
        sm_tag_result again;
        test_ok(sm_tag_write(path, &full, &(sm_tag_how){ 0 }, &again));
        assert_false(again.writes);
        sm_tag_result_free(&again);
        sm_tag_edit other = { .text = { [SM_TAG_BPM] = "64", [SM_TAG_GENRE] = "" } };
        test_ok(sm_tag_write(path, &other, &(sm_tag_how){ 0 }, &again));
        assert_false(again.writes);
        assert_true(again.n == 2 && again.changes[0].kept);
        sm_tag_result_free(&again);
        sm_buffer tagged = bytes_of(path);
        other.overwrite[SM_TAG_BPM] = other.overwrite[SM_TAG_GENRE] = true;
        test_ok(sm_tag_write(path, &other, &(sm_tag_how){ 0 }, &again));
        assert_true(again.writes);
        assert_tag(path, "bpm", "64");
        assert_tag(path, "genre", "");
        assert_tag(path, "mood", "dark");
        /* and back, one step after the other */
        test_fails(sm_tag_restore(path, &r.back, r.hash_before, r.hash_after, r.mtime_ns), SM_EIO, "changed since");
        test_ok(sm_tag_restore(path, &again.back, again.hash_before, again.hash_after, again.mtime_ns));
        assert_same_bytes(path, &tagged);
        test_ok(sm_tag_restore(path, &r.back, r.hash_before, r.hash_after, r.mtime_ns));
        assert_same_bytes(path, &old);
        test_ok(sm_tag_restore(path, &r.back, r.hash_before, r.hash_after, r.mtime_ns)); /* done already */
        sm_tag_result_free(&again);
        sm_tag_result_free(&r);
        sm_buffer_free(&old);
        sm_buffer_free(&tagged);
        sm_floats_free(&x);
        sm_floats_free(&y);
    }
}

/* More than a page of Ogg holds: pages behind are numbered again; flac's padding is not enough; an ID3 tag grows. */
static void long_texts_move_the_audio_whole(void **state)
{
    const test_place *place = *state;
    char *text = sm_alloc(200001, 1);
    memset(text, 'x', 200000);
    text[200000] = 0;
    for (int kind = 0; kind < (int)KINDS; kind++) {
        char path[256];
        sm_tag_result r;
        const sm_tag_edit e = { .text = { [SM_TAG_COMMENT] = text } };
        make_file(place->folder, kind, FRAMES, path);
        sm_buffer old = bytes_of(path);
        sm_floats x = samples_of(path);
        test_ok(sm_tag_write(path, &e, &(sm_tag_how){ 0 }, &r));
        sm_floats y = samples_of(path);
        if (x.length != y.length)
            fail_msg("%s: %zu samples became %zu", endings[kind], x.length, y.length);
        assert_memory_equal(x.data, y.data, x.length * sizeof *x.data);
        test_ok(sm_tag_restore(path, &r.back, r.hash_before, r.hash_after, r.mtime_ns));
        assert_same_bytes(path, &old);
        sm_tag_result_free(&r);
        sm_floats_free(&x);
        sm_floats_free(&y);
        sm_buffer_free(&old);
    }
    sm_free(text);
}

static void chunks_say_what_was_measured(void **state)
{
    const test_place *place = *state;
    char path[256];
    sm_tag_result r;
    sm_audio *a = NULL;
    make_file(place->folder, 0, FRAMES, path);
    test_ok(sm_tag_write(path, &full, &(sm_tag_how){ 0 }, &r));
    sm_tag_result_free(&r);
    test_ok(sm_audio_open(path, &a));
    const sm_audio_metadata *m = sm_audio_get_metadata(a);
    assert_true(m->has_acid && m->has_smpl && m->has_inst);
    assert_int_equal(m->acid.flags, 4 | 2 | 16);
    assert_int_equal(m->acid.root_note, 61); /* the note's name, from middle C on */
    assert_int_equal(m->acid.beats, 4);
    assert_float_equal(m->acid.tempo, 128, 0);
    assert_int_equal(m->acid.meter_numerator, 4);
    /* 20 cents below 49 are 80 above 48 */
    assert_int_equal(m->smpl.unity_note, 48);
    assert_float_equal(m->smpl.fine_cents, 80, 1e-4);
    assert_int_equal(m->smpl.n_loops, 1);
    assert_int_equal(m->smpl.loops[0].start, 0);
    assert_int_equal(m->smpl.loops[0].end, FRAMES);
    assert_int_equal(m->inst.base_note, 49);
    assert_int_equal(m->inst.detune_cents, -20);
    sm_audio_close(a);
    /* libsndfile reads them too */
    SF_INFO info = { 0 };
    SF_INSTRUMENT instrument = { 0 };
    SNDFILE *f = sf_open(path, SFM_READ, &info);
    assert_non_null(f);
    assert_int_equal(sf_command(f, SFC_GET_INSTRUMENT, &instrument, sizeof instrument), SF_TRUE);
    assert_int_equal(instrument.basenote, 48);
    sf_close(f);
}

/* A wav as it is found: a chunk that nobody knows, an odd one, padding that is missing at the end. */
static sm_buffer odd_wav(bool with_pad)
{
    const int16_t x[3] = { 1, -2, 3 };
    sm_buffer b = test_wav(44100, x, 3, 0, 5); /* 5 bytes of data: odd */
    static const char head[] = "xyzw\x03\0\0\0abc\0";
    sm_buffer out = { 0 };
    sm_buffer_add(&out, b.data, 36); /* to before the data chunk */
    sm_buffer_add(&out, head, 12);
    sm_buffer_add(&out, b.data + 36, 8 + 5);
    if (with_pad)
        sm_buffer_add(&out, "\0", 1);
    const uint32_t size = (uint32_t)out.length - 8;
    memcpy(out.data + 4, &size, 4);
    sm_buffer_free(&b);
    return out;
}

static void unknown_chunks_stay_in_their_place(void **state)
{
    const test_place *place = *state;
    for (int pad = 0; pad < 2; pad++) {
        sm_tag_result r;
        const sm_tag_edit e = { .text = { [SM_TAG_GENRE] = "House" } };
        sm_buffer b = odd_wav(pad), now;
        test_write_file(place->path, b.data, b.length);
        test_ok(sm_tag_write(place->path, &e, &(sm_tag_how){ 0 }, &r));
        now = bytes_of(place->path);
        assert_memory_equal(now.data + 8, b.data + 8, b.length - 8); /* all but the size is as it was */
        uint32_t size;
        memcpy(&size, now.data + 4, 4);
        assert_int_equal(size, now.length - 8);
        const size_t end = b.length + !pad; /* the padding is made up for */
        assert_memory_equal(now.data + end, "LIST", 4);
        assert_tag(place->path, "genre", "House");
        test_ok(sm_tag_restore(place->path, &r.back, r.hash_before, r.hash_after, r.mtime_ns));
        assert_same_bytes(place->path, &b);
        sm_tag_result_free(&r);
        sm_buffer_free(&b);
        sm_buffer_free(&now);
    }
}

/* Frames of an old tag, comments of others, padding: what is not written now is as it was. */
static void other_frames_keep_their_bytes(void **state)
{
    const test_place *place = *state;
    static const char tag[] = "ID3\4\0\0\0\0\0\x40"
                              "TPE1\0\0\0\5\0\0\3Anna"
                              "PRIV\0\0\0\4\0\0\1\2\3\4"
                              "TBPM\0\0\0\4\0\0\3"
                              "120"
                              "TXXX\0\0\0\5\0\0\3a\0bc\0\0\0\0\0\0"; /* 2.4, UTF-8, six zeros of padding */
    char path[256];
    sm_tag_result r;
    make_file(place->folder, 7, FRAMES, path);
    sm_buffer old = bytes_of(path), b = { 0 }, now;
    sm_buffer_add(&b, tag, 10 + 0x40);
    size_t skip = 0;
    if (!memcmp(old.data, "ID3", 3))
        skip = 10 +
               ((size_t)old.data[6] << 21 | (size_t)old.data[7] << 14 | (size_t)old.data[8] << 7 | (size_t)old.data[9]);
    sm_buffer_add(&b, old.data + skip, old.length - skip);
    test_write_file(path, b.data, b.length);
    sm_tag_edit e = { .text = { [SM_TAG_BPM] = "121", [SM_TAG_MOOD] = "dark" }, .overwrite = { [SM_TAG_BPM] = true } };
    test_ok(sm_tag_write(path, &e, &(sm_tag_how){ 0 }, &r));
    assert_true(strstr(r.changes[0].where, "TBPM") || strstr(r.changes[1].where, "TBPM"));
    now = bytes_of(path);
    assert_non_null(memmem(now.data, now.length, tag + 10, 15));
    assert_non_null(memmem(now.data, now.length, tag + 25, 14));
    assert_non_null(memmem(now.data, now.length, "TMOO", 4)); /* 2.4 has it */
    assert_null(memmem(now.data, now.length,
                       "\0\0\3"
                       "120",
                       6));
    assert_tag(path, "artist", "Anna");
    assert_tag(path, "bpm", "121");
    assert_tag(path, "a", "bc");
    sm_tag_result_free(&r);
    sm_buffer_free(&old);
    sm_buffer_free(&b);
    sm_buffer_free(&now);
}

static void read_only_linked_and_foreign_files(void **state)
{
    const test_place *place = *state;
    char path[256], link[256];
    struct stat st;
    sm_tag_result r;
    const sm_tag_edit e = { .text = { [SM_TAG_GENRE] = "House" } };
    make_file(place->folder, 0, 1000, path);
    assert_int_equal(chmod(path, 0444), 0);
    sm_buffer old = bytes_of(path);
    test_fails(sm_tag_write(path, &e, &(sm_tag_how){ 0 }, &r), SM_EIO, "read-only");
    sm_tag_result_free(&r);
    assert_same_bytes(path, &old);
    sm_buffer_free(&old);
    assert_int_equal(chmod(path, 0640), 0);
    const struct timespec times[2] = { { .tv_sec = 5 }, { .tv_sec = 1234567, .tv_nsec = 89 } };
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    snprintf(link, sizeof link, "%s/link.wav", place->folder);
    assert_int_equal(symlink(path, link), 0);
    test_ok(sm_tag_write(link, &e, &(sm_tag_how){ .keep_mtime = true }, &r));
    sm_tag_result_free(&r);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode)); /* what it leads to was changed, not the link */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_true(st.st_mtim.tv_sec == 1234567 && st.st_mtim.tv_nsec == 89);
    test_write_file(place->path, "This is a letter.", 17);
    test_fails(sm_tag_write(place->path, &e, &(sm_tag_how){ 0 }, &r), SM_EFORMAT, "no sound file");
    test_fails(sm_tag_write("/no/such.wav", &e, &(sm_tag_how){ 0 }, &r), SM_ENOTFOUND, "such.wav");
    test_write_file(place->path,
                    "\0\0\0\x18"
                    "ftypM4A \0\0\0\0M4A mp42isom",
                    24);
    test_fails(sm_tag_write(place->path, &e, &(sm_tag_how){ 0 }, &r), SM_EUNSUPPORTED, "MP4");
}

static int refuse(void *user, const char *path, const sm_tag_result *r)
{
    (void)user;
    (void)path;
    assert_true(r->back.n > 0 && *r->hash_after && strcmp(r->hash_before, r->hash_after) != 0);
    return sm_fail(SM_ECANCELLED, "no");
}

static void nothing_is_left_when_the_journal_cannot_be_written(void **state)
{
    const test_place *place = *state;
    char path[256];
    sm_tag_result r;
    sm_strings names = { 0 };
    make_file(place->folder, 4, 1000, path);
    sm_buffer old = bytes_of(path);
    test_fails(sm_tag_write(path, &full, &(sm_tag_how){ .before_commit = refuse }, &r), SM_ECANCELLED, "no");
    sm_tag_result_free(&r);
    assert_same_bytes(path, &old);
    test_ok(sm_list_directory(place->folder, &names));
    assert_int_equal(names.length, 1);
    sm_strings_free(&names);
    sm_buffer_free(&old);
}

/* A header of 4 GB, its end a hole of the file system. */
static void a_wav_does_not_pass_4_gb(void **state)
{
    const test_place *place = *state;
    const int16_t x[1] = { 0 };
    sm_tag_result r;
    sm_buffer b = test_wav(44100, x, 1, 0xfffffff6u, 0xffffffd2u);
    const int64_t size = 44 + (int64_t)0xffffffd2u;
    test_write_file(place->path, b.data, b.length);
    sm_buffer_free(&b);
    if (truncate(place->path, size) < 0)
        test_skip("no files of 4 GB here");
    test_fails(sm_tag_write(place->path, &(sm_tag_edit){ .text = { [SM_TAG_GENRE] = "House" } },
                            &(sm_tag_how){ .dry_run = true }, &r),
               SM_ELIMIT, "4 GB");
    sm_tag_result_free(&r);
}

/* Cut short or with bytes changed: refused, or written such that the audio's bytes are the same and come back. */
static void damaged_files_are_refused_or_survive(void **state)
{
    const test_place *place = *state;
    for (int kind = 0; kind < (int)KINDS; kind++) {
        char path[256];
        make_file(place->folder, kind, 3000, path);
        sm_buffer whole = bytes_of(path);
        for (int trial = 0; trial < 60; trial++) {
            const uint64_t seed = sm_unit_hash("damage", (uint64_t)(kind * 100 + trial));
            const size_t length =
                trial < 20 ? (size_t)((sm_unit(seed, 0) + 1) / 2 * (double)whole.length) : whole.length;
            sm_buffer b = { 0 };
            sm_tag_result r;
            char before[65] = "", after[65] = "";
            sm_buffer_add(&b, whole.data, length);
            for (int k = 0; trial >= 20 && k < 3; k++) /* the beginning has the sizes */
                b.data[(size_t)((sm_unit(seed, (uint64_t)(2 * k)) + 1) / 2 * (double)SM_MIN(length, (size_t)400))] =
                    (char)(127 * sm_unit(seed, (uint64_t)(2 * k + 1)));
            test_write_file(path, b.data, b.length);
            const int known = sm_tag_payload_hash(path, before);
            const int err = sm_tag_write(path, &full, &(sm_tag_how){ 0 }, &r);
            if (err < 0) {
                assert_same_bytes(path, &b);
            } else if (r.writes) {
                assert_int_equal(known, 0);
                test_ok(sm_tag_payload_hash(path, after));
                assert_string_equal(before, after);
                test_ok(sm_tag_restore(path, &r.back, r.hash_before, r.hash_after, r.mtime_ns));
                assert_same_bytes(path, &b);
            }
            sm_tag_result_free(&r);
            sm_buffer_free(&b);
        }
        sm_buffer_free(&whole);
    }
}

static int rehearse(void *user)
{
    sm_tag_result r;
    const int err = sm_tag_write(user, &full, &(sm_tag_how){ .dry_run = true }, &r);
    sm_tag_result_free(&r);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    const test_place *place = *state;
    for (int kind = 0; kind < (int)KINDS; kind++) {
        char path[256];
        make_file(place->folder, kind, 1000, path);
        test_every_allocation_may_fail(rehearse, path);
    }
}

int main(void)
{
#define IN_A_PLACE(f) cmocka_unit_test_setup_teardown(f, test_place_make, test_place_remove)
    const struct CMUnitTest tests[] = {
        IN_A_PLACE(every_container_takes_tags_and_keeps_its_audio),
        IN_A_PLACE(long_texts_move_the_audio_whole),
        IN_A_PLACE(chunks_say_what_was_measured),
        IN_A_PLACE(unknown_chunks_stay_in_their_place),
        IN_A_PLACE(other_frames_keep_their_bytes),
        IN_A_PLACE(read_only_linked_and_foreign_files),
        IN_A_PLACE(nothing_is_left_when_the_journal_cannot_be_written),
        IN_A_PLACE(a_wav_does_not_pass_4_gb),
        IN_A_PLACE(damaged_files_are_refused_or_survive),
        IN_A_PLACE(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
