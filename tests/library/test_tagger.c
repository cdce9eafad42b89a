/* Tags, exports and names where memory ends at any moment: what fails leaves a file that is the old or the new one, and undo leads back. What
 * is written is held against other readers in tests/cli/test_tag.sh. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/audio.h"
#include "audio/tag.h"
#include "library/known.h"
#include "library/library.h"

typedef struct {
    char tree[128], library[128], path[160];
    sm_buffer bytes; /* of the file as it was */
    char audio[65];
} fixture;

static void set_up(void **state, fixture *f)
{
    enum { FRAMES = 3000 };
    const test_place *place = *state;
    const sm_audio_write_options o = { .rate_hz = 22050, .channels = 1, .format = SM_SAMPLE_S16 };
    const char *const paths[] = { f->tree };
    sm_audio_writer *w = NULL;
    sm_library *l = NULL;
    sm_scan_options scan;
    float x[FRAMES];
    *f = (fixture){ 0 };
    snprintf(f->tree, sizeof f->tree, "%s/tree", place->folder);
    snprintf(f->library, sizeof f->library, "%s/library", place->folder);
    snprintf(f->path, sizeof f->path, "%s/a.wav", f->tree);
    for (int i = 0; i < FRAMES; i++)
        x[i] = (float)(0.4 * exp(-i / 600.0) * sin(0.05 * i));
    test_ok(sm_make_directories(f->tree));
    test_ok(sm_audio_writer_open(f->path, &o, &w));
    test_ok(sm_audio_writer_write(w, x, FRAMES));
    test_ok(sm_audio_writer_commit(w));
    test_ok(sm_file_read(f->path, 1 << 20, &f->bytes));
    test_ok(sm_tag_payload_hash(f->path, f->audio));
    test_ok(sm_library_open(f->library, SM_LIBRARY_CREATE, &l));
    sm_scan_options_init(&scan);
    scan.models = "";
    scan.home = place->folder;
    scan.jobs = 1;
    test_ok(sm_library_scan(l, paths, 1, &scan, NULL));
    sm_library_close(l);
}

static void assert_audio(const fixture *f)
{
    char now[65];
    test_ok(sm_tag_payload_hash(f->path, now));
    assert_string_equal(now, f->audio);
}

static int tag_once(void *user)
{
    static const char *const set[] = { "genre=House", "bpm=128", "key=8A", "kind=loop" };
    static const char *const words[] = { "dusty" };
    const fixture *f = user;
    sm_tagger *t = NULL;
    sm_tagger_options o;
    sm_tagger_options_init(&o);
    o.library = f->library;
    o.models = "";
    o.set = set;
    o.n_set = SM_LENGTH(set);
    o.add = words;
    o.n_add = SM_LENGTH(words);
    int err = sm_tagger_open(&o, &t);
    if (err == 0)
        err = sm_tagger_file(t, f->path, NULL, NULL);
    sm_tagger_close(t);
    return err;
}

static int undo_once(void *user)
{
    const fixture *f = user;
    sm_moves m = { 0 };
    const int err = sm_tag_undo(f->library, &m);
    return err == 0 && m.failed > 0 ? SM_ENOMEM : err;
}

static void tags_survive_every_failing_allocation_and_are_taken_back(void **state)
{
    fixture f;
    sm_buffer now = { 0 };
    sm_moves m = { 0 };
    set_up(state, &f);
    test_every_allocation_may_fail(tag_once, &f);
    assert_audio(&f);
    while (sm_tag_undo(f.library, &m) == 0) /* what was written before memory ended is in the journal, too */
        assert_int_equal(m.failed, 0);
    test_ok(sm_file_read(f.path, 1 << 20, &now));
    assert_int_equal(now.length, f.bytes.length);
    assert_memory_equal(now.data, f.bytes.data, now.length);
    sm_buffer_free(&now);
    /* and undo itself */
    test_ok(tag_once(&f));
    int err = SM_ENOMEM;
    for (long n = 0; err == SM_ENOMEM && n < 100000; n++) {
        sm_test_fail_allocation(n);
        err = undo_once(&f);
        sm_test_fail_allocation(-1);
        assert_audio(&f);
    }
    assert_int_equal(err, 0);
    test_ok(sm_file_read(f.path, 1 << 20, &now));
    assert_int_equal(now.length, f.bytes.length);
    assert_memory_equal(now.data, f.bytes.data, now.length);
    sm_buffer_free(&now);
    sm_buffer_free(&f.bytes);
}

static int export_all(void *user)
{
    static const sm_export_kind kinds[] = { SM_EXPORT_CSV, SM_EXPORT_JSON, SM_EXPORT_M3U8, SM_EXPORT_REKORDBOX,
                                            SM_EXPORT_ABLETON };
    const fixture *f = user;
    FILE *out = fopen("/dev/null", "w");
    size_t failed = 0;
    int err = out ? 0 : SM_EIO;
    for (size_t i = 0; err == 0 && i < SM_LENGTH(kinds); i++) {
        sm_export_options o;
        sm_export_options_init(&o);
        o.library = f->library;
        o.models = "";
        o.name = "List";
        err = sm_export(kinds[i], NULL, 0, &o, out, &failed);
    }
    if (out)
        fclose(out);
    return err;
}

static int rename_dry(void *user)
{
    const fixture *f = user;
    const char *const paths[] = { f->path };
    sm_moves m = { 0 };
    const int err = sm_rename_files(f->library, "", "{kind} {name}", paths, 1, true, &m);
    return err == 0 && m.failed > 0 ? SM_ENOMEM : err;
}

static void exports_and_names_survive_every_failing_allocation(void **state)
{
    fixture f;
    set_up(state, &f);
    test_every_allocation_may_fail(export_all, &f);
    test_every_allocation_may_fail(rename_dry, &f);
    assert_audio(&f);
    sm_buffer_free(&f.bytes);
}

static void a_file_with_other_tags_is_known_and_one_with_another_sound_is_not(void **state)
{
    fixture f;
    sm_known *k = NULL;
    int64_t before = 0, now = 0;
    sm_tag_result r;
    const sm_tag_edit e = { .text = { [SM_TAG_GENRE] = "House" } };
    set_up(state, &f);
    test_ok(sm_known_open(f.library, false, "", &k));
    test_ok(sm_known_content(k, f.path, &before));
    assert_true(before > 0);
    test_ok(sm_tag_write(f.path, &e, &(sm_tag_how){ 0 }, &r));
    sm_tag_result_free(&r);
    test_ok(sm_known_content(k, f.path, &now));
    assert_int_equal(now, before);
    f.bytes.data[2000] ^= 0x40; /* a sample */
    test_write_file(f.path, f.bytes.data, f.bytes.length);
    test_ok(sm_known_content(k, f.path, &now));
    assert_int_equal(now, 0);
    test_write_file(f.path, "RIFF", 4);
    test_ok(sm_known_content(k, f.path, &now)); /* what it is is said by who reads it */
    assert_int_equal(now, 0);
    sm_known_close(k);
    sm_buffer_free(&f.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tags_survive_every_failing_allocation_and_are_taken_back, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(exports_and_names_survive_every_failing_allocation, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(a_file_with_other_tags_is_known_and_one_with_another_sound_is_not,
                                        test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
