/* The user's word: its forms, what follows from it, where it shows, and that it stays; favourites and collections; files that are found by
 * name before they are analysed. */
#include "support/support.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/audio.h"
#include "library/correction.h"
#include "library/scan.h"

/* ---- forms ---- */

static void a_word_is_read_into_one_form_or_refused_with_what_was_expected(void **state)
{
    static const struct {
        const char *field, *value, *name, *kept; /* kept NULL: refused with `name` */
    } rows[] = {
        { "key", "Am", "key", "A minor" },
        { "key", "8A", "key", "A minor" },
        { "key", "1m", "key", "A minor" },
        { "tonality", "Bb", "key", "A# major" },
        { "key_camelot", "5b", "key", "D# major" },
        { "key", "", "key", "" },
        { "key", "H", "a key was expected", NULL },
        { "note", "C2", "note_midi", "36" },
        { "note", "Cb4", "note_midi", "59" }, /* B3: the octave counts for the letter */
        { "note_midi", "69", "note_midi", "69" },
        { "note", "C", "with its octave", NULL },
        { "note", "200", "note", NULL },
        { "kind", "One-Shot", "kind", "one_shot" },
        { "loop", "yes", "kind", "loop" },
        { "loop", "no", "kind", "one_shot" },
        { "loop", "maybe", "yes or no", NULL },
        { "kind", "kick", "were expected", NULL },
        { "loopable", "true", "loopable", "1" },
        { "instrument", "Kick", "instrument", "kick" },
        { "instrument", "my own class", "instrument", "my own class" },
        { "tempo", "174.5", "bpm", "174.5" },
        { "bpm", "-1", "bpm", NULL },
        { "bpm", "fast", "a number", NULL },
        { "bpm", "nan", "a number", NULL },
        { "brightness", "101", "between 0 and 100", NULL },
        { "channels", "2", "nothing to correct", NULL },
        { "duration_s", "1", "nothing to correct", NULL },
        { "instrumnt", "x", "did you mean \"instrument\"", NULL },
        { "genre", "\xff", "UTF-8", NULL },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        char kept[SM_CORRECTION_SIZE];
        const sm_property *p = NULL;
        const int err = sm_correction_read(rows[i].field, rows[i].value, &p, kept);
        const bool as_said = rows[i].kept ? err == 0 && !strcmp(p->name, rows[i].name) && !strcmp(kept, rows[i].kept)
                                          : err == SM_EUSAGE && strstr(sm_last_error(), rows[i].name);
        if (!as_said)
            fail_msg("%s=%s: %d \"%s\", %s", rows[i].field, rows[i].value, err, err ? "" : kept, sm_last_error());
    }
}

static const char *text_in(const json_t *record, const char *field)
{
    const char *text = json_string_value(json_object_get(record, field));
    return text ? text : "(null)";
}

static void what_follows_from_a_word_stands_in_the_record_too(void **state)
{
    json_t *r =
        json_loads("{\"key\":\"C major\",\"key_camelot\":\"8B\",\"key_confidence\":0.2,\"note_midi\":60,"
                   "\"note_cents\":31.5,\"loopable\":true,\"instrument\":\"kick\",\"instrument_confidence\":0.3}",
                   0, NULL);
    (void)state;
    test_ok(sm_correction_apply(r, "key", "F# minor"));
    test_ok(sm_correction_apply(r, "note_midi", "37"));
    test_ok(sm_correction_apply(r, "loopable", "0"));
    test_ok(sm_correction_apply(r, "instrument", "bass"));
    test_ok(sm_correction_apply(r, "instrument", "snare")); /* again: it stands in the list once */
    test_ok(sm_correction_apply(r, "of a later version", "1"));
    assert_string_equal(text_in(r, "key_camelot"), "11A");
    assert_string_equal(text_in(r, "key_openkey"), "4m");
    assert_true(json_number_value(json_object_get(r, "key_confidence")) == 1);
    assert_string_equal(text_in(r, "note_name"), "C#2");
    assert_true(json_number_value(json_object_get(r, "note_cents")) == 0);
    assert_true(json_is_false(json_object_get(r, "loopable")));
    assert_string_equal(text_in(r, "instrument"), "snare");
    assert_true(json_number_value(json_object_get(r, "instrument_confidence")) == 1);
    assert_int_equal(json_array_size(json_object_get(r, "corrected")), 4);
    test_ok(sm_correction_apply(r, "key", "")); /* there is none */
    assert_true(json_is_null(json_object_get(r, "key")) && json_is_null(json_object_get(r, "key_camelot")));
    json_decref(r);
}

/* ---- in a library ---- */

typedef struct {
    char tree[128], home[128], library[128], path[300];
    sm_library *l;
} fixture;

static const char *in_tree(fixture *f, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->tree, name);
    return f->path;
}

static void sound(fixture *f, const char *name, int pitch, const char *title)
{
    enum { FRAMES = 3000 };
    const sm_audio_write_options o = { .rate_hz = 22050, .channels = 1, .format = SM_SAMPLE_S16, .title = title };
    sm_audio_writer *w = NULL;
    float x[FRAMES];
    in_tree(f, name);
    char *folder = sm_strndup(f->path, (size_t)(strrchr(f->path, '/') - f->path));
    for (int i = 0; i < FRAMES; i++)
        x[i] = (float)(0.4 * exp(-i / 600.0) * sin(0.001 * pitch * i));
    test_ok(sm_make_directories(folder));
    test_ok(sm_audio_writer_open(f->path, &o, &w));
    test_ok(sm_audio_writer_write(w, x, FRAMES));
    test_ok(sm_audio_writer_commit(w));
    sm_free(folder);
}

static sm_scan_result scan(fixture *f, bool list_only, bool again)
{
    const char *const paths[] = { f->tree };
    sm_scan_options o;
    sm_scan_result r;
    sm_scan_options_init(&o);
    o.home = f->home;
    o.models = "";
    o.jobs = 2;
    o.list_only = list_only;
    o.again = again;
    test_ok(sm_library_scan(f->l, paths, 1, &o, &r));
    return r;
}

static void set_up(void **state, fixture *f)
{
    const test_place *place = *state;
    *f = (fixture){ 0 };
    snprintf(f->tree, sizeof f->tree, "%s/tree", place->folder);
    snprintf(f->home, sizeof f->home, "%s/home", place->folder);
    snprintf(f->library, sizeof f->library, "%s/library", place->folder);
    test_ok(sm_make_directories(f->tree));
    test_ok(sm_library_open(f->library, SM_LIBRARY_CREATE, &f->l));
}

static int count_path(void *user, const char *path)
{
    assert_int_equal(access(path, R_OK), 0);
    ++*(int *)user;
    return 0;
}

static int found(fixture *f, const char *query)
{
    int n = 0;
    test_ok(sm_library_each_found(f->l, query, count_path, &n));
    return n;
}

static void assert_instrument(fixture *f, const char *name, const char *instrument, bool corrected)
{
    const char *text = NULL;
    test_ok(sm_library_record(f->l, in_tree(f, name), &text));
    json_t *r = json_loads(text, 0, NULL);
    assert_string_equal(text_in(r, "instrument"), instrument);
    assert_int_equal(json_object_get(r, "corrected") != NULL, corrected);
    json_decref(r);
}

static void the_users_word_stays_through_scans_copies_moves_and_tags_and_can_be_taken_back(void **state)
{
    fixture f;
    char moved[300];
    set_up(state, &f);
    sound(&f, "a.wav", 50, NULL);
    sound(&f, "b.wav", 60, NULL);
    scan(&f, false, false);
    test_ok(sm_library_correct(f.l, in_tree(&f, "a.wav"), "instrument", "Foley"));
    assert_instrument(&f, "a.wav", "foley", true);
    assert_int_equal(found(&f, "instrument:foley"), 1);

    scan(&f, false, true); /* --full */
    assert_instrument(&f, "a.wav", "foley", true);
    sound(&f, "sub/copy.wav", 50, NULL);
    scan(&f, false, false);
    assert_instrument(&f, "sub/copy.wav", "foley", true);
    assert_int_equal(found(&f, "instrument:foley"), 2);
    snprintf(moved, sizeof moved, "%s", in_tree(&f, "moved.wav"));
    assert_int_equal(rename(in_tree(&f, "a.wav"), moved), 0);
    assert_int_equal(unlink(in_tree(&f, "sub/copy.wav")), 0);
    scan(&f, false, false);
    assert_instrument(&f, "moved.wav", "foley", true);
    sound(&f, "moved.wav", 50, "other bytes, the same sound");
    scan(&f, false, false);
    assert_instrument(&f, "moved.wav", "foley", true);
    assert_int_equal(found(&f, "instrument:foley"), 1);

    test_ok(sm_library_correct(f.l, in_tree(&f, "moved.wav"), "instrument", NULL));
    assert_instrument(&f, "moved.wav", "(null)", false); /* no model was asked */
    assert_int_equal(found(&f, "instrument:foley"), 0);
    test_fails(sm_library_correct(f.l, in_tree(&f, "nothing.wav"), "instrument", "kick"), SM_ENOTFOUND, "");
    sm_library_close(f.l);
}

static void a_correction_is_shown_as_the_users_in_search(void **state)
{
    fixture f;
    sm_search *s = NULL;
    const char *json = NULL, *text = NULL;
    double number;
    set_up(state, &f);
    sound(&f, "a.wav", 50, NULL);
    sound(&f, "b.wav", 60, NULL);
    scan(&f, false, false);
    test_ok(sm_library_correct(f.l, in_tree(&f, "a.wav"), "instrument", "rim"));
    test_ok(sm_library_correct(f.l, in_tree(&f, "a.wav"), "key", "8A"));
    sm_search_options o;
    sm_search_options_init(&o);
    o.why = 1;
    test_ok(sm_library_search(f.l, "rim", &o, &s));
    assert_int_equal(sm_search_count(s), 1);
    test_ok(sm_search_json(s, 0, &json));
    assert_non_null(strstr(json, "\"corrected\":[\"instrument\",\"key\"]"));
    assert_non_null(strstr(json, "your word"));
    test_ok(sm_search_value(s, 0, "corrected", &number, &text));
    assert_string_equal(text, "instrument,key");
    test_ok(sm_search_value(s, 0, "key_camelot", &number, &text));
    assert_string_equal(text, "8A");
    sm_search_free(s);
    assert_int_equal(found(&f, "key:Am"), 1);
    sm_library_close(f.l);
}

typedef struct {
    int n;
    char line[300];
} said;

static int note_correction(void *user, const char *path, const char *field, const char *value)
{
    said *s = user;
    s->n++;
    snprintf(s->line, sizeof s->line, "%.200s %s %s", sm_path_name(path), field, value);
    return 0;
}

static void corrections_are_listed_with_a_file_that_is_there(void **state)
{
    fixture f;
    said s = { 0 };
    set_up(state, &f);
    sound(&f, "a.wav", 50, NULL);
    sound(&f, "b.wav", 60, NULL);
    scan(&f, false, false);
    test_ok(sm_library_correct(f.l, in_tree(&f, "a.wav"), "instrument", "rim"));
    test_ok(sm_library_correct(f.l, in_tree(&f, "b.wav"), "instrument", "tom"));
    assert_int_equal(unlink(in_tree(&f, "b.wav")), 0);
    scan(&f, false, false);
    test_ok(sm_library_each_correction(f.l, note_correction, &s));
    assert_int_equal(s.n, 1);
    assert_string_equal(s.line, "a.wav instrument rim");
    sm_library_close(f.l);
}

static int note_collection(void *user, const char *name, int64_t sounds)
{
    said *s = user;
    s->n++;
    snprintf(s->line, sizeof s->line, "%s %d", name, (int)sounds);
    return 0;
}

static void favourites_and_collections_hold_sounds_and_are_searched_within(void **state)
{
    fixture f;
    said s = { 0 };
    set_up(state, &f);
    sound(&f, "a.wav", 50, NULL);
    sound(&f, "copy of a.wav", 50, NULL);
    sound(&f, "b.wav", 60, NULL);
    scan(&f, false, false);
    test_ok(sm_library_favourite(f.l, in_tree(&f, "a.wav"), 1));
    test_ok(sm_library_favourite(f.l, in_tree(&f, "a.wav"), 1));
    assert_int_equal(found(&f, "fav:yes"), 2); /* the sound, so both its files */
    assert_int_equal(found(&f, "fav:no"), 1);
    test_ok(sm_library_collect(f.l, "Track 7 (\xc3\xbc)", in_tree(&f, "a.wav"), 1));
    test_ok(sm_library_collect(f.l, "Track 7 (\xc3\xbc)", in_tree(&f, "b.wav"), 1));
    assert_int_equal(found(&f, "in:\"Track 7 (\xc3\xbc)\""), 3);
    assert_int_equal(found(&f, "in:\"Track 7 (\xc3\xbc)\" fav:no"), 1);
    test_ok(sm_library_collect(f.l, "Track 7 (\xc3\xbc)", in_tree(&f, "a.wav"), 0));
    test_ok(sm_library_each_collection(f.l, note_collection, &s));
    assert_int_equal(s.n, 1);
    assert_string_equal(s.line, "Track 7 (\xc3\xbc) 1");
    test_fails(sm_library_collect(f.l, "nix", in_tree(&f, "a.wav"), 0), SM_ENOTFOUND, "no collection \"nix\"");
    test_fails(sm_library_collect(f.l, "a \"b\"", in_tree(&f, "a.wav"), 1), SM_EUSAGE, "without quotes");
    test_fails(sm_library_collect(f.l, "", in_tree(&f, "a.wav"), 1), SM_EUSAGE, "name");
    test_fails(sm_library_collect(f.l, "new", in_tree(&f, "nothing.wav"), 1), SM_ENOTFOUND, "");
    test_ok(sm_library_collection_remove(f.l, "Track 7 (\xc3\xbc)"));
    test_fails(sm_library_collection_remove(f.l, "Track 7 (\xc3\xbc)"), SM_ENOTFOUND, "no collection");
    assert_int_equal(found(&f, "collection:"), 0);
    test_ok(sm_library_favourite(f.l, in_tree(&f, "copy of a.wav"), 0));
    assert_int_equal(found(&f, "fav:yes"), 0);
    test_ok(sm_library_tag(f.l, in_tree(&f, "b.wav"), "brought back", 1));
    assert_int_equal(found(&f, "tag:\"brought back\""), 1);
    test_ok(sm_library_tag(f.l, in_tree(&f, "b.wav"), "brought back", 0));
    assert_int_equal(found(&f, "tag:"), 0);
    sm_library_close(f.l);
}

/* ---- not analysed yet ---- */

static void files_that_wait_are_found_by_name_behind_all_others_page_by_page(void **state)
{
    static const char *const waiting[] = { "Kicks/DarkKick_01.wav", "Kicks/kick 2.wav",      "Kicks/plain.wav",
                                           "loops/Open Hat.wav",    "loops/SubBass-F#m.wav", "loops/kickoff.wav" };
    static const struct {
        const char *query;
        size_t n;
    } rows[] = {
        { "kick", 4 }, /* two names, one folder, and by its beginning kickoff; */
        { "\"kick 2\"", 1 },
        { "kick -name:kick", 1 }, /* plain.wav, by its folder */
        { "name:kick", 3 },
        { "dark kick", 1 },
        { "openhat", 1 },
        { "open hat", 1 },
        { "folder:loops/", 3 },
        { "folder:loops/ -hat", 2 },
        { "(hat | bass) -name:sub", 1 },
        { "-(kick | hat)", 1 },
        { "kick bpm:120", 0 },  /* not known of them */
        { "kick -bpm:120", 0 }, /* nor that it is not so */
        { "kick -bpm:", 4 },
        { "xyzzy", 0 },
        { "", 6 },
    };
    fixture f;
    set_up(state, &f);
    sound(&f, "an analysed kick.wav", 50, NULL);
    scan(&f, false, false);
    for (size_t i = 0; i < SM_LENGTH(waiting); i++)
        sound(&f, waiting[i], 60 + (int)i, NULL);
    assert_int_equal(scan(&f, true, false).waiting, SM_LENGTH(waiting));
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_search *s = NULL;
        test_ok(sm_library_search(f.l, rows[i].query, NULL, &s));
        if (sm_search_waiting(s) != rows[i].n)
            fail_msg("%s: %zu files that wait, not %zu", rows[i].query, sm_search_waiting(s), rows[i].n);
        assert_int_equal(sm_search_hits(s), sm_search_count(s) + sm_search_waiting(s));
        for (size_t k = 0; k < sm_search_hits(s); k++)
            assert_int_equal(sm_search_analysed(s, k), k < sm_search_count(s));
        sm_search_free(s);
    }
    /* pages: each file once, the analysed one first */
    sm_search_options o;
    sm_search_options_init(&o);
    for (o.limit = 1; o.limit <= 8; o.limit++) {
        char *cursor = NULL;
        size_t seen = 0, pages = 0;
        for (bool more = true; more; pages++) {
            sm_search *s = NULL;
            const char *json = NULL;
            o.cursor = cursor;
            test_ok(sm_library_search(f.l, "", &o, &s));
            for (size_t k = 0; k < sm_search_hits(s); k++, seen++) {
                assert_int_equal(sm_search_analysed(s, k), seen == 0);
                test_ok(sm_search_json(s, k, &json));
                assert_int_equal(strstr(json, "\"analysed\":false") != NULL, seen > 0);
                if (seen > 0)
                    assert_string_equal(sm_search_path(s, k), in_tree(&f, waiting[seen - 1]));
            }
            sm_free(cursor);
            cursor = sm_search_cursor(s) ? sm_strdup(sm_search_cursor(s)) : NULL;
            more = cursor != NULL && pages < 20;
            sm_search_free(s);
        }
        if (seen != 1 + SM_LENGTH(waiting))
            fail_msg("pages of %zu show %zu files", o.limit, seen);
    }
    scan(&f, false, false);
    sm_search *s = NULL;
    test_ok(sm_library_search(f.l, "", NULL, &s));
    assert_int_equal(sm_search_waiting(s), 0);
    assert_int_equal(sm_search_count(s), 1 + SM_LENGTH(waiting));
    sm_search_free(s);
    sm_library_close(f.l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_is_read_into_one_form_or_refused_with_what_was_expected),
        cmocka_unit_test(what_follows_from_a_word_stands_in_the_record_too),
        cmocka_unit_test_setup_teardown(the_users_word_stays_through_scans_copies_moves_and_tags_and_can_be_taken_back,
                                        test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_correction_is_shown_as_the_users_in_search, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(corrections_are_listed_with_a_file_that_is_there, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(favourites_and_collections_hold_sounds_and_are_searched_within, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(files_that_wait_are_found_by_name_behind_all_others_page_by_page,
                                        test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
