/* The query language: every documented example, and what must hold for any text. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "dsp/dsp.h"
#include "library/query.h"
#include "library/store.h"

static thesaurus *words;

static int open_words(void **state)
{
    (void)state;
    return thesaurus_open(NULL, &words);
}

static int close_words(void **state)
{
    (void)state;
    thesaurus_free(words);
    return 0;
}

/* The text of a query as understood; the caller's. */
static char *understood(const char *text)
{
    query *q = NULL;
    sm_buffer out = { 0 };
    test_ok(query_parse(text, words, &q));
    query_print(q, &out);
    query_free(q);
    sm_buffer_text(&out, "");
    assert_false(out.failed);
    return out.data;
}

static void assert_understood(const char *text, const char *expected)
{
    char *ours = understood(text);
    if (strcmp(ours, expected) != 0)
        fail_msg("%s: understood as \"%s\", expected \"%s\"", text, ours, expected);
    char *again = understood(ours);
    if (strcmp(ours, again) != 0)
        fail_msg("%s: \"%s\" is read again as \"%s\"", text, ours, again);
    sm_free(ours);
    sm_free(again);
}

static void assert_refused(const char *text, const char *why)
{
    query *q = NULL;
    const int err = query_parse(text, words, &q);
    if (err >= 0 || q || strncmp(sm_last_error(), why, strlen(why)) != 0)
        fail_msg("%s: %s \"%s\", expected \"%s\"", text, sm_code_name(err), sm_last_error(), why);
}

/* fn for each line of the examples with a tab in it. */
static size_t each_example(void (*fn)(const char *text, const char *expected, void *user), void *user)
{
    sm_buffer file = { 0 };
    size_t n = 0;
    test_ok(sm_file_read("tests/data/library/queries.tsv", 1 << 20, &file));
    for (char *line = file.data, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = 0;
        char *tab = strchr(line, '\t');
        if (tab) {
            *tab = 0;
            fn(line, tab + 1, user);
            n++;
        }
        if (!end)
            break;
    }
    sm_buffer_free(&file);
    return n;
}

static void check_example(const char *text, const char *expected, void *user)
{
    (void)user;
    if (*expected == '!')
        assert_refused(text, expected + 1);
    else
        assert_understood(text, expected);
}

static void every_documented_query_is_understood_as_it_says(void **state)
{
    (void)state;
    assert_true(each_example(check_example, NULL) >= 200);
}

static void find_in_page(const char *text, const char *expected, void *user)
{
    /* as in the page: in a code span, with the bars of a table escaped */
    sm_buffer row = { 0 };
    const char *const parts[] = { "| `", text, "` | ", *expected == '!' ? expected + 1 : expected };
    for (size_t i = 0; i < SM_LENGTH(parts); i++)
        for (const char *p = parts[i]; *p; p++) {
            if (*p == '|' && !(i == 0 || i == 2))
                sm_buffer_text(&row, "\\");
            if (i == 3 && p == parts[i])
                sm_buffer_text(&row, *expected == '!' ? "" : *expected ? "`" : "");
            sm_buffer_add(&row, p, 1);
        }
    if (!strstr(user, row.data))
        fail_msg("docs/search.md has no row that begins with %s", row.data);
    sm_buffer_free(&row);
}

static void every_documented_query_stands_in_the_manual(void **state)
{
    sm_buffer page = { 0 };
    (void)state;
    test_ok(sm_file_read("docs/search.md", 1 << 20, &page));
    each_example(find_in_page, page.data);
    sm_buffer_free(&page);
}

/* Pieces that mean something, put together at random. */
static void random_query(uint64_t seed, char *out, size_t size)
{
    static const char *const pieces[] = { "kick",   "dark ", " ",       "-",    "(",     ")",
                                          "|",      " | ",   "\"",      "bpm:", "key~",  "120",
                                          "..",     "~",     ">",       "<=",   "Am",    "note:",
                                          "C2",     "hi ",   "hat ",    "the ", "not ",  "OR ",
                                          "AND ",   "NOT ",  "folder:", "a/b",  "sort:", "length",
                                          "1.5e-7", "ms",    "like:",   "by:",  "x=1,",  "\xC3\xBC",
                                          "loop:",  "yes",   "tag:",    "%",    ",",     "brightness:~70 ",
                                          "=",      "\t" };
    size_t n = 0;
    out[0] = 0;
    for (uint64_t i = 0; i < 14; i++) {
        const size_t pick = (size_t)((sm_unit(sm_unit_hash("query", seed), i) + 1) / 2 * (double)SM_LENGTH(pieces));
        const size_t length = strlen(pieces[pick]);
        if (n + length + 1 > size)
            break;
        memcpy(out + n, pieces[pick], length + 1);
        n += length;
    }
}

static void what_is_printed_is_read_as_the_same(void **state)
{
    size_t read = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        char text[256];
        query *q = NULL;
        random_query(seed, text, sizeof text);
        if (query_parse(text, words, &q) < 0)
            continue;
        read++;
        query_free(q);
        char *ours = understood(text);
        assert_understood(ours, ours);
        sm_free(ours);
    }
    assert_true(read > 500); /* else the pieces are ill chosen */
}

static void a_query_of_ten_thousand_characters_is_read_or_refused_with_a_reason(void **state)
{
    static const struct {
        const char *piece;
        int err;
        const char *why;
    } rows[] = {
        { "x", 0, "" },
        { "kick ", SM_ELIMIT, "more than 256" },
        { "(", SM_ELIMIT, "groups in each other" },
        { "bpm:1 ", SM_ELIMIT, "more than 256" },
        { "-", 0, "" },
        { "\"", 0, "" },
        { "| ", SM_EUSAGE, "one side of |" },
        { "the ", 0, "" },
        { "bpm:~", SM_EUSAGE, "" },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_buffer text = { 0 };
        query *q = NULL;
        while (text.length + strlen(rows[i].piece) <= 10000)
            sm_buffer_text(&text, rows[i].piece);
        const int err = query_parse(text.data, words, &q);
        if (rows[i].err < 0)
            assert_true(err < 0 && (err == rows[i].err || err == SM_EUSAGE) && strstr(sm_last_error(), rows[i].why));
        else if (err < 0)
            assert_true(err == SM_ELIMIT || err == SM_EUSAGE);
        query_free(q);
        sm_buffer_free(&text);
    }
    assert_refused("\xff\xfe", "the query is not UTF-8");
}

static int parse_whole(void *user)
{
    query *q = NULL;
    (void)user;
    int err = query_parse("find open hats (dark | -\"x\") bpm:90|120..130 key~Am like:a by:x=1 sort:bpm", words, &q);
    query_free(q);
    return err;
}

static void every_allocation_of_the_parser_may_fail(void **state)
{
    (void)state;
    test_every_allocation_may_fail(parse_whole, NULL);
}

static void keys_go_with_their_neighbours_on_the_wheel(void **state)
{
    /* the Camelot wheel as printed on every DJ's wall: 1..12 minor (A), then major (B) */
    static const char *const wheel[24] = { "G#m", "D#m", "A#m", "Fm", "Cm", "Gm", "Dm", "Am", "Em", "Bm", "F#m", "C#m",
                                           "B",   "F#",  "C#",  "G#", "D#", "A#", "F",  "C",  "G",  "D",  "A",   "E" };
    (void)state;
    for (int i = 0; i < 24; i++) {
        const int mode = i / 12, hour = i % 12;
        const int friends[4] = { i, mode * 12 + (hour + 1) % 12, mode * 12 + (hour + 11) % 12, (1 - mode) * 12 + hour };
        uint32_t expected = 0;
        int tonic, minor;
        char camelot[8];
        for (int k = 0; k < 4; k++) {
            assert_true(dsp_key_read(wheel[friends[k]], &tonic, &minor));
            expected |= 1u << (12 * minor + tonic);
        }
        snprintf(camelot, sizeof camelot, "%d%c", hour + 1, mode ? 'B' : 'A');
        assert_true(dsp_key_read(camelot, &tonic, &minor));
        assert_int_equal(query_key_compatible(tonic, minor), expected);
    }
}

static void a_number_is_met_to_as_many_digits_as_were_written(void **state)
{
    static const struct {
        const char *field, *op, *value;
        double number;
        bool accepted;
    } rows[] = {
        { "bpm", ":", "120", 119.6, true },
        { "bpm", ":", "120", 120.5, false },
        { "bpm", ":", "120.0", 119.96, true },
        { "bpm", ":", "120.0", 119.6, false },
        { "bpm", ":", "120..130", 130, true },
        { "bpm", ":", "120..130", 130.01, false },
        { "bpm", ">", "120", 120, false },
        { "bpm", ">=", "120", 120, true },
        { "bpm", "~", "140", 70.5, true },
        { "bpm", "~", "140", 281, true },
        { "bpm", "~", "140", 137, false },
        { "bpm", "~", "140", 144, false },
        { "bpm", ":", "120", NAN, false },
        { "length", "<", "500ms", 0.499, true },
        { "length", "<", "500ms", 0.5, false },
        { "length", ":", "1:30", 90.4, true },
        { "channels", ":", "2", 2, true },
        { "channels", ":", "2", 1, false },
        { "note", ":", "C", 36, true },
        { "note", ":", "C", 37, false },
        { "note", ":", "C1..C2", 36, true },
        { "note", ":", "C2", 48, false },
        { "silence_ratio", "<", "10%", 0.0999, true },
    };
    (void)state;
    sm_arena *a = sm_arena_new();
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        query_field f;
        query_span s;
        assert_true(query_field_find(rows[i].field, &f));
        test_ok(query_span_read(a, &f, rows[i].op, rows[i].value, &s));
        if (query_span_accepts(&f, &s, rows[i].number) != rows[i].accepted)
            fail_msg("%s%s%s and %g", rows[i].field, rows[i].op, rows[i].value, rows[i].number);
    }
    sm_arena_free(a);
}

static void a_target_is_nearer_the_closer_a_value_lies(void **state)
{
    static const struct {
        const char *field, *value;
        double at, away, far;
    } rows[] = { { "brightness", "70", 70, 60, 30 },
                 { "loudness", "-14", -14, -17, -25 },
                 { "pitch", "440", 440, 500, 900 },
                 { "length", "1", 1, 1.3, 3 },
                 { "dc_offset", "0", 0, 0.1, 1 } };
    (void)state;
    sm_arena *a = sm_arena_new();
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        query_field f;
        query_span s;
        assert_true(query_field_find(rows[i].field, &f));
        test_ok(query_span_read(a, &f, "~", rows[i].value, &s));
        assert_true(query_span_is_target(&f, &s));
        assert_true(query_span_nearness(&f, &s, rows[i].at) == 1);
        const double between = query_span_nearness(&f, &s, rows[i].away);
        assert_true(between > 0 && between < 1);
        assert_true(query_span_nearness(&f, &s, rows[i].far) == 0);
        assert_true(query_span_nearness(&f, &s, NAN) == 0);
    }
    sm_arena_free(a);
}

static void texts_are_compared_by_their_words(void **state)
{
    static const struct {
        const char *value, *wanted;
        bool same;
    } rows[] = { { "one_shot", "oneshot", true },
                 { "one_shot", "One-Shot", true },
                 { "hihat-closed", "hihat", true },
                 { "synth-lead", "lead", true },
                 { "bass", "bas", false },
                 { "Electronic---Deep House", "deep house", true },
                 { "Electronic---House", "house", true },
                 { "bass", "", false },
                 { "keys", "key", false } };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        if (query_text_matches(rows[i].value, rows[i].wanted) != rows[i].same)
            fail_msg("%s and %s", rows[i].value, rows[i].wanted);
}

static void every_field_of_the_language_is_kept_by_the_store(void **state)
{
    query_field f;
    (void)state;
    for (size_t i = 0; query_field_at(i, &f); i++) {
        const bool made = !strcmp(f.name, "onset_rate_hz") || !strcmp(f.name, "pitch_range_st");
        if (f.type <= QUERY_KEY && !made && !sm_property_find(f.name))
            fail_msg("the store has no property %s", f.name);
    }
    assert_non_null(sm_property_find("note_midi"));
    assert_non_null(sm_property_find("note_name"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_documented_query_is_understood_as_it_says),
        cmocka_unit_test(every_documented_query_stands_in_the_manual),
        cmocka_unit_test(what_is_printed_is_read_as_the_same),
        cmocka_unit_test(a_query_of_ten_thousand_characters_is_read_or_refused_with_a_reason),
        cmocka_unit_test(every_allocation_of_the_parser_may_fail),
        cmocka_unit_test(keys_go_with_their_neighbours_on_the_wheel),
        cmocka_unit_test(a_number_is_met_to_as_many_digits_as_were_written),
        cmocka_unit_test(a_target_is_nearer_the_closer_a_value_lies),
        cmocka_unit_test(texts_are_compared_by_their_words),
        cmocka_unit_test(every_field_of_the_language_is_kept_by_the_store),
    };
    return cmocka_run_group_tests(tests, open_words, close_words);
}
