/* Searching a small library whose sounds are known. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "library/columns.h"
#include "library/search.h"
#include "models/model.h"

/* ---- the library ---- */

typedef struct {
    const char *folder, *name, *instrument, *kind;
    double bpm, brightness, roughness, loudness;
    const char *key;
    int note;
} sound;

/* Basses: the higher the number, the brighter and the rougher. */
static const sound sounds[] = {
    { "/lib/Drums/Kicks", "Kick_01.wav", "kick", "one_shot", NAN, 20, 10, -10, NULL, 36 },
    { "/lib/Drums/Kicks", "Kick_Dark_02.wav", "kick", "one_shot", NAN, 5, 10, -12, NULL, 33 },
    { "/lib/Drums/Kicks", "BD0025.wav", "kick", "one_shot", NAN, 30, 30, -8, NULL, 36 },
    { "/lib/Drums/Snares", "Snare 1.wav", "snare", "one_shot", NAN, 60, 50, -14, NULL, -1 },
    { "/lib/Drums/Snares", "808 Snare.wav", "snare", "one_shot", NAN, 70, 20, -16, NULL, -1 },
    { "/lib/Drums/Hats", "Closed Hat.wav", "hihat-closed", "one_shot", NAN, 90, 5, -20, NULL, -1 },
    { "/lib/Drums/Hats", "OpenHat.wav", "hihat-open", "one_shot", NAN, 95, 5, -18, NULL, -1 },
    { "/lib/Bass Loops", "Bassline_Am_124.wav", "bass", "loop", 124, 10, 80, -9, "A minor", 33 },
    { "/lib/Bass Loops", "Reese_Em_174.wav", "bass", "loop", 174, 20, 90, -7, "E minor", 28 },
    { "/lib/Bass Loops", "Clean_C_122.wav", "bass", "loop", 122, 40, 5, -15, "C major", 36 },
    { "/lib/Bass Loops", "Growl_F#m_126.wav", "bass", "loop", 126, 60, 95, -6, "F# minor", 30 },
    { "/lib/Pads", "Warm Pad.flac", "pad", "loop", 90, 30, 5, -20, "D minor", -1 },
    { "/lib/Pads", "Deep House Pad.flac", "pad", "loop", 120, 35, 5, -19, "A minor", -1 },
    { "/lib/Voices",
      "M\xC3\x84"
      "dchen.wav",
      "vocal", "one_shot", NAN, 50, 15, -13, NULL, 57 },
    { "/lib/Voices", "Vox chop (2).wav", "vocal", "one_shot", NAN, 55, 15, -13, NULL, 60 },
};

typedef struct {
    const char *folder;
    sm_store *store;
    int64_t ids[SM_LENGTH(sounds)];
} library;

static void add_number(sm_buffer *out, const char *name, double value)
{
    char text[32];
    sm_format_f64(value, text);
    sm_buffer_printf(out, ",\"%s\":%s", name, text);
}

static int64_t add_sound(library *l, size_t i)
{
    const sound *s = &sounds[i];
    sm_buffer json = { 0 };
    sm_content_row c = { .pipeline = 1 };
    float scores[SM_INSTRUMENTS];
    int64_t folder, file;
    c.hash[0] = (uint8_t)(i + 1);
    sm_buffer_printf(&json, "{\"audio_xxh128\":\"%032zx\",\"kind\":\"%s\",\"instrument\":\"%s\"", i, s->kind,
                     s->instrument);
    add_number(&json, "instrument_confidence", 0.9);
    add_number(&json, "bpm", s->bpm);
    add_number(&json, "brightness", s->brightness);
    add_number(&json, "spectral_centroid_hz", 100 + 50 * s->brightness);
    add_number(&json, "roughness", s->roughness);
    add_number(&json, "loudness_lufs", s->loudness);
    add_number(&json, "note_midi", s->note < 0 ? (double)NAN : s->note);
    add_number(&json, "duration_s", !strcmp(s->kind, "loop") ? 4 : 0.5);
    add_number(&json, "onset_count", !strcmp(s->kind, "loop") ? 8 : 1);
    sm_buffer_printf(&json, s->key ? ",\"key\":\"%s\"" : ",\"key\":null", s->key);
    if (i == 0)
        sm_buffer_text(&json, ",\"file_tags\":[[\"software\",\"Nonesuch\"],[\"title\",\"Thunderclap Special\"]]");
    sm_buffer_text(&json, "}");
    test_ok(sm_store_content_put(l->store, &c, json.data));
    for (size_t k = 0; k < SM_INSTRUMENTS; k++)
        scores[k] = !strcmp(sm_instruments[k], s->instrument) ? 0.9f : 0.004f;
    const sm_output_row o = { .model = "samplemind", .weights = "1", .n = SM_INSTRUMENTS, .scores = scores };
    test_ok(sm_store_output_put(l->store, c.id, &o, sm_instruments));
    test_ok(sm_store_folder_id(l->store, s->folder, true, &folder));
    const sm_file_row f = { .folder = folder, .content = c.id, .name = s->name, .size = 1, .state = SM_FILE_ANALYSED };
    test_ok(sm_store_file_add(l->store, &f, &file));
    sm_buffer_free(&json);
    return c.id;
}

static int make(void **state)
{
    static const char *const classes[] = { "aggressive", "not_aggressive" };
    library *l = sm_alloc_zero(1, sizeof *l);
    bool own;
    l->folder = sm_strdup(test_folder_new());
    test_ok(sm_store_open(l->folder, SM_STORE_CREATE, &l->store));
    test_ok(sm_store_begin(l->store, &own));
    test_ok(sm_store_root_put(l->store, "/lib", true));
    for (size_t i = 0; i < SM_LENGTH(sounds); i++)
        l->ids[i] = add_sound(l, i);
    const float mood[2] = { 0.95f, 0.05f };
    const sm_output_row o = { .model = "mood_aggressive-musicnn", .weights = "2", .n = 2, .scores = mood };
    test_ok(sm_store_output_put(l->store, l->ids[10], &o, classes));
    test_ok(sm_store_tag_add(l->store, l->ids[3], "to check", "user"));
    test_ok(sm_store_tag_add(l->store, l->ids[11], "Kick drum practice", "user"));
    test_ok(sm_store_favourite(l->store, l->ids[9], true));
    int64_t collection;
    test_ok(sm_store_collection(l->store, "Track 7", true, &collection));
    test_ok(sm_store_collection_put(l->store, collection, l->ids[7], true));
    test_ok(sm_store_collection_put(l->store, collection, l->ids[12], true));
    test_ok(sm_store_end(l->store, own, 0));
    *state = l;
    return 0;
}

static int unmake(void **state)
{
    library *l = *state;
    sm_store_close(l->store);
    test_folder_remove(l->folder);
    sm_free((char *)(uintptr_t)l->folder);
    sm_free(l);
    return 0;
}

/* ---- asking ---- */

static search *ask_with(library *l, const char *text, const search_options *o)
{
    search *r = NULL;
    const int err = search_run(l->store, text, o, &r);
    if (err < 0)
        fail_msg("%s: %s", text, sm_last_error());
    return r;
}

static search *ask(library *l, const char *text)
{
    return ask_with(l, text, &(const search_options){ .limit = 50, .threads = 2 });
}

/* The names of all hits with ", " between them; the caller's. */
static char *names(const search *r)
{
    sm_buffer out = { 0 };
    sm_buffer_text(&out, "");
    for (size_t i = 0; i < search_hits(r); i++)
        sm_buffer_printf(&out, "%s%s", i > 0 ? ", " : "", sm_path_name(search_hit_at(r, i)->path));
    return out.data;
}

static void assert_found(library *l, const char *text, const char *expected)
{
    search *r = ask(l, text);
    char *ours = names(r);
    if (strcmp(ours, expected) != 0)
        fail_msg("%s:\n  found    %s\n  expected %s", text, ours, expected);
    sm_free(ours);
    search_free(r);
}

static void tests_find_what_passes_them(void **state)
{
    static const struct {
        const char *text, *found;
    } rows[] = {
        { "bpm:120..125", "Bassline_Am_124.wav, Clean_C_122.wav, Deep House Pad.flac" },
        { "bpm~62", "Bassline_Am_124.wav, Clean_C_122.wav, Growl_F#m_126.wav" },
        { "bpm:174|90", "Reese_Em_174.wav, Warm Pad.flac" },
        { "key:Am", "Bassline_Am_124.wav, Deep House Pad.flac" },
        { "key:8A", "Bassline_Am_124.wav, Deep House Pad.flac" },
        { "key:~Am", "Bassline_Am_124.wav, Clean_C_122.wav, Reese_Em_174.wav, Deep House Pad.flac, Warm Pad.flac" },
        { "key:major", "Clean_C_122.wav" },
        { "note:C", "Clean_C_122.wav, BD0025.wav, Kick_01.wav, Vox chop (2).wav" },
        { "note:A1|E1", "Bassline_Am_124.wav, Reese_Em_174.wav, Kick_Dark_02.wav" },
        { "instrument:hat", "Closed Hat.wav, OpenHat.wav" },
        { "instrument:hihat-open", "OpenHat.wav" },
        { "loop:yes loudness:>-8", "Growl_F#m_126.wav, Reese_Em_174.wav" },
        { "loop:no length:<1s brightness:>80", "Closed Hat.wav, OpenHat.wav" },
        { "kind:oneshot note: -instrument:kick", "M\xC3\x84"
                                                 "dchen.wav, Vox chop (2).wav" },
        { "bpm: -key:~Am", "Growl_F#m_126.wav" },
        { "folder:Drums/ -folder:Kicks", "Closed Hat.wav, OpenHat.wav, 808 Snare.wav, Snare 1.wav" },
        { "folder:/lib/bass", "Bassline_Am_124.wav, Clean_C_122.wav, Growl_F#m_126.wav, Reese_Em_174.wav" },
        { "folder:bass/", "" },
        { "name:kick", "Kick_01.wav, Kick_Dark_02.wav" },
        { "tag:\"TO check\"", "Snare 1.wav" },
        { "tag:", "Snare 1.wav, Warm Pad.flac" },
        { "favourite:yes", "Clean_C_122.wav" },
        { "favourite:no key:",
          "Bassline_Am_124.wav, Growl_F#m_126.wav, Reese_Em_174.wav, Deep House Pad.flac, Warm Pad.flac" },
        { "collection:\"track 7\"", "Bassline_Am_124.wav, Deep House Pad.flac" },
        { "(loop:yes bpm:<100) | (loop:no brightness:<6)", "Kick_Dark_02.wav, Warm Pad.flac" },
        { "-(loop:yes | folder:Drums/)", "M\xC3\x84"
                                         "dchen.wav, Vox chop (2).wav" },
        { "bpm:500", "" },
    };
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        assert_found(*state, rows[i].text, rows[i].found);
}

static void orders_are_as_asked_and_what_is_unknown_comes_last(void **state)
{
    assert_found(*state, "key: sort:brightness",
                 "Bassline_Am_124.wav, Reese_Em_174.wav, Warm Pad.flac, Deep House Pad.flac, "
                 "Clean_C_122.wav, Growl_F#m_126.wav");
    assert_found(*state, "key: sort:brightness-",
                 "Growl_F#m_126.wav, Clean_C_122.wav, Deep House Pad.flac, Warm Pad.flac, "
                 "Reese_Em_174.wav, Bassline_Am_124.wav");
    assert_found(*state, "folder:Drums/ sort:note",
                 "Kick_Dark_02.wav, BD0025.wav, Kick_01.wav, Closed Hat.wav, OpenHat.wav, "
                 "808 Snare.wav, Snare 1.wav");
    assert_found(*state, "instrument:bass|pad sort:instrument,bpm-",
                 "Reese_Em_174.wav, Growl_F#m_126.wav, Bassline_Am_124.wav, "
                 "Clean_C_122.wav, Deep House Pad.flac, Warm Pad.flac");
    assert_found(*state, "folder:Kicks sort:path-", "Kick_Dark_02.wav, Kick_01.wav, BD0025.wav");
}

static void words_are_met_by_texts_and_by_meaning(void **state)
{
    /* BD0025 is a kick by its classifier and by a word for one; the pad has it in a tag, which comes first */
    assert_found(*state, "kick", "Warm Pad.flac, BD0025.wav, Kick_01.wav, Kick_Dark_02.wav");
    assert_found(*state, "hi hat", "Closed Hat.wav, OpenHat.wav");
    assert_found(*state,
                 "m\xC3\xA4"
                 "dchen",
                 "M\xC3\x84"
                 "dchen.wav");
    assert_found(*state, "MADCHEN",
                 "M\xC3\x84"
                 "dchen.wav");
    assert_found(*state, "\"deep house\"", "Deep House Pad.flac");
    assert_found(*state, "\"house deep\"", "");
    assert_found(*state, "thunderclap", "Kick_01.wav");
    assert_found(*state, "nonesuch", ""); /* who wrote the file is no word for it */
    assert_found(*state, "xyzzy", "");
    assert_found(*state, "xyzzy kick", ""); /* a word without a meaning must stand there */
}

static void meanings_rank_within_an_instrument(void **state)
{
    library *l = *state;
    /* few of each class here: ranks are among loops, where the four basses stand apart as their numbers do */
    search *r = ask(l, "dark aggressive basslines bpm:120..130");
    char *ours = names(r);
    assert_string_equal(ours, "Bassline_Am_124.wav, Growl_F#m_126.wav, Clean_C_122.wav");
    sm_free(ours);
    for (size_t i = 1; i < search_hits(r); i++)
        assert_true(search_hit_at(r, i - 1)->score >= search_hit_at(r, i)->score);
    search_free(r);
    assert_found(l, "bright instrument:bass", "Growl_F#m_126.wav, Clean_C_122.wav");
    assert_found(l, "bass brightness:~38", "Clean_C_122.wav, Reese_Em_174.wav, Growl_F#m_126.wav, Bassline_Am_124.wav");
}

static void what_is_denied_is_left_out(void **state)
{
    assert_found(*state, "folder:Drums/ -kick", "Closed Hat.wav, OpenHat.wav, 808 Snare.wav, Snare 1.wav");
    assert_found(*state, "snare -808", "Snare 1.wav");
    assert_found(*state, "bass -\"reese\" -aggressive", "Clean_C_122.wav, Bassline_Am_124.wav");
}

/* The score by its definition, from the reasons that are given. */
typedef struct {
    double sum;
    size_t n;
    sm_buffer text;
} reasons;

static int add_reason(void *user, const char *item, double score, const char *by)
{
    reasons *w = user;
    w->sum += log(0.05 + 0.95 * score);
    w->n++;
    sm_buffer_printf(&w->text, "%s: %s\n", item, by);
    return 0;
}

static void the_score_is_what_the_reasons_make_it(void **state)
{
    static const char *const queries[] = { "dark bass", "kick", "aggressive bass brightness:~50", "bass -bright",
                                           "reese loud" };
    for (size_t q = 0; q < SM_LENGTH(queries); q++) {
        search *r = ask(*state, queries[q]);
        assert_true(search_hits(r) > 0);
        for (size_t i = 0; i < search_hits(r); i++) {
            reasons w = { 0 };
            test_ok(search_why(r, i, add_reason, &w));
            const double expected = exp(w.sum / (double)w.n);
            if (fabs(expected - search_hit_at(r, i)->score) > 1e-5)
                fail_msg("%s: hit %zu has %g, its reasons %g: %s", queries[q], i, search_hit_at(r, i)->score, expected,
                         w.text.data);
            sm_buffer_free(&w.text);
        }
        search_free(r);
    }
}

static void reasons_name_what_met_a_word(void **state)
{
    search *r = ask(*state, "dark aggressive bass bpm:126");
    reasons w = { 0 };
    assert_int_equal(search_hits(r), 1);
    test_ok(search_why(r, 0, add_reason, &w));
    assert_non_null(strstr(w.text.data, "dark: brightness "));
    assert_non_null(strstr(w.text.data, "percentile of "));
    assert_non_null(strstr(w.text.data, "mood_aggressive:aggressive 0.95"));
    assert_non_null(strstr(w.text.data, "bass: in its folder, bass 0.90"));
    assert_string_equal(search_understood(r), "dark aggressive bass bpm:126");
    assert_non_null(strstr(search_explained(r), "bpm is 126"));
    sm_buffer_free(&w.text);
    search_free(r);
}

static void pages_together_are_the_whole_answer(void **state)
{
    static const char *const queries[] = { "",     "kind:one_shot", "sort:brightness-", "sort:key",
                                           "dark", "sort:path-",    "sort:kind,note-" };
    for (size_t q = 0; q < SM_LENGTH(queries); q++)
        for (size_t limit = 1; limit < 7; limit += 2) {
            search *all = ask_with(*state, queries[q], &(const search_options){ .limit = 0 });
            char *cursor = NULL;
            size_t at = 0;
            for (size_t page = 0; page == 0 || cursor; page++) {
                search *r = ask_with(*state, queries[q], &(const search_options){ .limit = limit, .cursor = cursor });
                assert_int_equal(search_count(r), search_count(all));
                for (size_t i = 0; i < search_hits(r); i++, at++)
                    assert_string_equal(search_hit_at(r, i)->path, search_hit_at(all, at)->path);
                sm_free(cursor);
                cursor = search_cursor(r) ? sm_strdup(search_cursor(r)) : NULL;
                search_free(r);
                assert_true(page < 20);
            }
            assert_int_equal(at, search_hits(all));
            assert_int_equal(at, search_count(all));
            search_free(all);
        }
}

static void a_cursor_of_another_query_is_refused(void **state)
{
    library *l = *state;
    search *r = ask_with(l, "kind:loop", &(const search_options){ .limit = 2 }), *none = NULL;
    test_fails(search_run(l->store, "kind:one_shot", &(const search_options){ .limit = 2, .cursor = search_cursor(r) },
                          &none),
               SM_EUSAGE, "belongs to another query");
    test_fails(search_run(l->store, "kind:loop", &(const search_options){ .limit = 2, .cursor = "zzz" }, &none),
               SM_EUSAGE, "cursor");
    search_free(r);
}

static void what_changes_is_found_as_it_is_now(void **state)
{
    library *l = *state;
    int64_t folder, file;
    assert_found(l, "special instrument:pad", "");
    test_ok(sm_store_tag_add(l->store, l->ids[11], "special", "user"));
    assert_found(l, "special instrument:pad", "Warm Pad.flac");
    test_ok(sm_store_tag_remove(l->store, l->ids[11], "special", NULL));
    assert_found(l, "special instrument:pad", "");
    /* the user's word beats the classifier's, also for words */
    test_ok(sm_store_correct(l->store, l->ids[13], "instrument", "foley"));
    assert_found(l, "instrument:vocal", "Vox chop (2).wav");
    assert_found(l, "vocal", "Vox chop (2).wav");
    assert_found(l, "instrument:foley",
                 "M\xC3\x84"
                 "dchen.wav");
    test_ok(sm_store_correct(l->store, l->ids[13], "instrument", NULL));
    assert_found(l, "instrument:foley", "");
    /* a copy elsewhere is the same result, by the path that the query lets through */
    test_ok(sm_store_folder_id(l->store, "/lib/Copies", true, &folder));
    const sm_file_row f = {
        .folder = folder, .content = l->ids[8], .name = "Another.wav", .size = 1, .state = SM_FILE_ANALYSED
    };
    test_ok(sm_store_file_add(l->store, &f, &file));
    search *r = ask(l, "reese bpm:174");
    assert_int_equal(search_hits(r), 1);
    assert_int_equal(search_hit_at(r, 0)->copies, 2);
    assert_string_equal(search_hit_at(r, 0)->path, "/lib/Bass Loops/Reese_Em_174.wav");
    search_free(r);
    assert_found(l, "bpm:174 folder:Copies/", "Another.wav");
    assert_found(l, "bpm:174 -folder:Copies/", "Reese_Em_174.wav");
    assert_found(l, "another", "Reese_Em_174.wav");
    test_ok(sm_store_file_remove(l->store, file));
    assert_found(l, "another", "");
}

static int take_row(void *user, const sm_file_row *f)
{
    sm_file_row *out = user;
    *out = *f;
    return 0;
}

static void files_that_are_gone_are_not_found(void **state)
{
    library *l = *state;
    sm_file_row row;
    assert_found(l, "instrument:pad", "Deep House Pad.flac, Warm Pad.flac");
    test_ok(sm_store_file_find(l->store, "/lib/Pads/Warm Pad.flac", take_row, &row));
    row.state = SM_FILE_GONE;
    row.reason = NULL;
    row.name = "Warm Pad.flac";
    test_ok(sm_store_file_set(l->store, &row));
    assert_found(l, "instrument:pad", "Deep House Pad.flac");
    assert_found(l, "warm pad", "Deep House Pad.flac");
}

static void nothing_of_a_query_reaches_the_database_as_a_statement(void **state)
{
    static const char *const attacks[] = {
        "'; DROP TABLE files; --",
        "\" OR 1=1 --",
        "name:\"x' OR '1'='1\"",
        "tag:\"x'; DELETE FROM tags; --\"",
        "\"a\"\" OR words MATCH \"\"b\"",
        "kick* NEAR(x y)",
        "{tags}:x",
        "folder:\"%\"",
        "folder:\"_\"",
        "collection:\"') UNION SELECT 1--\"",

        "\"^kick\"",
        "rowid:1",
        "key:\"Am'--\"",
        "name:\"* OR kick\"",
        "\"NOT kick\"",
        "like:\"'\"",
    };
    library *l = *state;
    for (size_t i = 0; i < SM_LENGTH(attacks); i++) {
        search *r = NULL;
        const int err = search_run(l->store, attacks[i], &(const search_options){ .limit = 50 }, &r);
        /* refused for what it says, or an answer; never a complaint of the database */
        if (err < 0 && err != SM_EUSAGE && err != SM_ENOTFOUND && err != SM_EUNSUPPORTED)
            fail_msg("%s: %s %s", attacks[i], sm_code_name(err), sm_last_error());
        if (err == 0 && search_count(r) > 4) /* some are harmless words for the three kicks and a tag */
            fail_msg("%s finds %zu", attacks[i], search_count(r));
        search_free(r);
    }
    search *r = ask(l, "");
    assert_int_equal(search_count(r), SM_LENGTH(sounds));
    search_free(r);
    assert_found(l, "tag:\"to check\"", "Snare 1.wav");
}

static void a_users_thesaurus_beside_the_library_counts(void **state)
{
    library *l = *state;
    static const char table[] =
        "word,kind,target,direction,weight\nwurst,class,pad,=,1\nwurst,output,mood_aggressive:not_aggressive,+,1\n";
    char path[200];
    snprintf(path, sizeof path, "%s/thesaurus.csv", l->folder);
    test_write_file(path, table, sizeof table - 1);
    assert_found(l, "wurst", "Deep House Pad.flac, Warm Pad.flac");
    search *r = ask_with(l, "wurst", &(const search_options){ .no_thesaurus = true });
    assert_int_equal(search_count(r), 0);
    search_free(r);
    test_write_file(path, "word\n", 5);
    test_fails(search_run(l->store, "wurst", &(const search_options){ .limit = 1 }, &r), SM_EFORMAT, "thesaurus.csv");
}

static void a_library_that_may_only_be_read_is_searched(void **state)
{
    library *l = *state;
    sm_store *s = NULL;
    assert_found(l, "instrument:snare", "808 Snare.wav, Snare 1.wav");
    test_ok(sm_store_open(l->folder, SM_STORE_READ, &s));
    search *r = NULL;
    test_ok(search_run(s, "snare -808", &(const search_options){ .limit = 5 }, &r));
    assert_int_equal(search_count(r), 1);
    search_free(r);
    sm_store_close(s);
}

static void a_hit_is_an_object_with_its_fields(void **state)
{
    static const char *const fields[] = { "path", "bpm", "key", "key_camelot", "loopable", "score", "note" };
    search *r = ask(*state, "bpm:124");
    sm_buffer out = { 0 };
    sm_json j;
    sm_json_init(&j, &out, false);
    test_ok(search_hit_json(r, 0, fields, SM_LENGTH(fields), true, &j));
    assert_string_equal(
        out.data,
        "{\"path\":\"/lib/Bass Loops/Bassline_Am_124.wav\",\"bpm\":124,\"key\":\"A minor\",\"key_camelot\":null,"
        "\"loopable\":null,\"score\":1,\"note\":null,\"why\":[]}");
    sm_buffer_free(&out);
    double number;
    const char *text;
    test_fails(search_value(r, 0, "bpn", &number, &text), SM_EUSAGE, "did you mean bpm");
    search_free(r);
}

static int search_once(void *user)
{
    library *l = user;
    search *r = NULL;
    const int err = search_run(l->store, "dark (kick | bass) -\"x\" bpm:1..|~90",
                               &(const search_options){ .limit = 3, .threads = 1 }, &r);
    search_free(r);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    test_ok(search_once(*state)); /* statements that the store keeps are made before */
    test_every_allocation_may_fail(search_once, *state);
}

int main(void)
{
#define WITH_LIBRARY(test) cmocka_unit_test_setup_teardown(test, make, unmake)
    const struct CMUnitTest tests[] = {
        WITH_LIBRARY(tests_find_what_passes_them),
        WITH_LIBRARY(orders_are_as_asked_and_what_is_unknown_comes_last),
        WITH_LIBRARY(words_are_met_by_texts_and_by_meaning),
        WITH_LIBRARY(meanings_rank_within_an_instrument),
        WITH_LIBRARY(what_is_denied_is_left_out),
        WITH_LIBRARY(the_score_is_what_the_reasons_make_it),
        WITH_LIBRARY(reasons_name_what_met_a_word),
        WITH_LIBRARY(pages_together_are_the_whole_answer),
        WITH_LIBRARY(a_cursor_of_another_query_is_refused),
        WITH_LIBRARY(what_changes_is_found_as_it_is_now),
        WITH_LIBRARY(files_that_are_gone_are_not_found),
        WITH_LIBRARY(nothing_of_a_query_reaches_the_database_as_a_statement),
        WITH_LIBRARY(a_users_thesaurus_beside_the_library_counts),
        WITH_LIBRARY(a_library_that_may_only_be_read_is_searched),
        WITH_LIBRARY(a_hit_is_an_object_with_its_fields),
        WITH_LIBRARY(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
