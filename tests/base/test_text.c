#include "support/support.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void utf8_is_what_unicode_says(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        bool valid;
    } rows[] = {
        { "", 0, true },
        { "abc\x7F", 4, true },
        { "\0", 1, true },
        { "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8E\xB5", 9, true },
        { "\xF4\x8F\xBF\xBF", 4, true },  /* U+10FFFF */
        { "\xF4\x90\x80\x80", 4, false }, /* one beyond */
        { "\xED\x9F\xBF", 3, true },
        { "\xED\xA0\x80", 3, false }, /* a surrogate */
        { "\xC0\x80", 2, false },     /* overlong forms */
        { "\xC1\xBF", 2, false },
        { "\xE0\x9F\xBF", 3, false },
        { "\xF0\x8F\xBF\xBF", 4, false },
        { "\x80", 1, false },
        { "a\xC3", 2, false }, /* cut off */
        { "\xE2\x82", 2, false },
        { "\xE2\x82\x41", 3, false },
        { "\xF5\x80\x80\x80", 4, false },
        { "\xFF", 1, false },
    };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        if (sm_utf8_valid(rows[i].text, rows[i].length) != rows[i].valid)
            fail_msg("row %zu", i);
}

static void suffixes_and_names_of_paths(void **state)
{
    (void)state;
    assert_true(sm_text_has_suffix("A.WAV", ".wav"));
    assert_false(sm_text_has_suffix("wav", ".wav"));
    assert_false(sm_text_has_suffix("a.wave", ".wav"));
    assert_string_equal(sm_path_name("/a/b.c"), "b.c");
    assert_string_equal(sm_path_name("b.c"), "b.c");
    assert_string_equal(sm_path_name("a/"), "");
}

static void the_nearest_name_is_what_was_meant(void **state)
{
    static const char *const names[] = { "analyze", "bench", "models", "pitch", "search", "separate", "serve", "top" };
    static const struct {
        const char *word, *nearest;
    } rows[] = {
        { "analyse", "analyze" },
        { "anlayze", "analyze" },
        { "ANALYZE", "analyze" },
        { "model", "models" },
        { "sep", "separate" },
        { "pich", "pitch" },
        { "saerch", "search" },
        { "xyzzy", NULL },
        { "", NULL },
        { "q", NULL },
        { "serv", "serve" },
        { "tpo", "top" },
        { "tib", NULL },
        { "mod", "models" },
        { "a-very-long-word-that-is-longer-than-any-option-anyone-would-ever-think-of-typing", NULL },
    };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        const char *got = sm_text_nearest(rows[i].word, names, SM_LENGTH(names));
        if (got != rows[i].nearest && (!got || !rows[i].nearest || strcmp(got, rows[i].nearest) != 0))
            fail_msg("%s: %s, expected %s", rows[i].word, got ? got : "none",
                     rows[i].nearest ? rows[i].nearest : "none");
    }
    assert_null(sm_text_nearest("a", NULL, 0));
}

static void whole_numbers_are_read_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } rows[] = {
        { "0", true, 0 },
        { "-17", true, -17 },
        { "+5", true, 5 },
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "0x10", false, 0 },
        { "1.0", false, 0 },
        { "1-1", false, 0 },
    };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        int64_t value = 0;
        if (sm_parse_int(rows[i].text, &value) != rows[i].good || value != rows[i].value)
            fail_msg("\"%s\": %lld", rows[i].text, (long long)value);
    }
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *text;
        bool good;
        double value;
    } rows[] = {
        { "0", true, 0 },         { "-1.5e3", true, -1500 }, { ".5", true, 0.5 },   { "5.", true, 5 },
        { "1e308", true, 1e308 }, { "1e309", false, 0 },     { "1e-400", true, 0 }, { "", false, 0 },
        { "e", false, 0 },        { "inf", false, 0 },       { "nan", false, 0 },   { "0x1p3", false, 0 },
        { " 1", false, 0 },       { "1,5", false, 0 },       { "1.5.", false, 0 },  { "--1", false, 0 },
    };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        double value = 0;
        if (sm_parse_double(rows[i].text, &value) != rows[i].good || value != rows[i].value)
            fail_msg("\"%s\": %g", rows[i].text, value);
    }
}

static void floats_have_their_shortest_form(void **state)
{
    static const struct {
        float value;
        const char *text;
    } rows[] = {
        { 0, "0" },
        { -0.0f, "-0" },
        { 0.1f, "0.1" },
        { 1.0f / 3, "0.33333334" },
        { 16777216, "16777216" },
        { 1e10f, "1e10" },
        { 5e-5f, "5e-5" },
        { 123456, "123456" },
        { 440, "440" },
        { 3.4028235e38f, "3.4028235e38" },
        { 1e-45f, "1e-45" },
        { NAN, "null" },
        { -INFINITY, "null" },
    };
    char text[32];
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_format_f32(rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
    sm_format_f64(0.1, text);
    assert_string_equal(text, "0.1");
    sm_format_f64(0.1 + 0.2, text);
    assert_string_equal(text, "0.30000000000000004");
    sm_format_f64(INFINITY, text);
    assert_string_equal(text, "null");
}

/* The truth: no shorter text of %g reads back. All exponents, mantissas from the generator. */
static void every_float_reads_back_and_none_is_longer_than_needed(void **state)
{
    const uint64_t h = sm_unit_hash("floats", 0);
    (void)state;

    for (uint32_t i = 0; i < 20000; i++) {
        const uint32_t bits = (i % 255) << 23 | (uint32_t)((sm_unit(h, i) + 1) * 4194304.0) | (i & 1u) << 31;
        char text[32], other[32];
        float value, back;

        memcpy(&value, &bits, sizeof value);
        sm_format_f32(value, text);
        back = strtof(text, NULL);
        if (memcmp(&back, &value, sizeof value) != 0)
            fail_msg("%08x: \"%s\" reads back as %a, not %a", bits, text, (double)back, (double)value);
        for (int digits = 1; digits < 9; digits++) {
            snprintf(other, sizeof other, "%.*e", digits - 1, (double)value);
            if (strtof(other, NULL) == value) {
                size_t used = 0;
                bool leading = true;
                for (const char *c = text; *c && *c != 'e'; c++) {
                    leading = leading && (*c == '0' || *c == '.' || *c == '-');
                    used += !leading && *c >= '0' && *c <= '9';
                }
                const bool zeros = !strchr(text, '.'); /* 1200000: zeros before the point are no digits */
                if (!zeros && used > (size_t)digits)
                    fail_msg("%08x: \"%s\" has %zu digits, %d would do: %s", bits, text, used, digits, other);
                break;
            }
        }
    }
}

static void numbers_have_a_point_in_every_locale(void **state)
{
    char text[32];
    double value = 0;
    (void)state;

    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        test_skip("no locale with a decimal comma is installed");
    sm_format_f64(1.5, text);
    const bool good = sm_parse_double("2.5", &value);
    setlocale(LC_NUMERIC, "C");
    assert_string_equal(text, "1.5");
    assert_true(good && value == 2.5);
}

static void strings_are_sorted_by_bytes(void **state)
{
    static const char *const words[] = { "b", "a", "B", "ab", "", "\xC3\xA9" };
    sm_strings list = { 0 };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(words); i++)
        test_ok(sm_strings_add(&list, words[i]));
    test_ok(sm_strings_add_n(&list, "abcdef", 3));
    sm_strings_sort(&list);
    assert_int_equal(list.length, 7);
    for (size_t i = 1; i < list.length; i++)
        assert_true(strcmp(list.items[i - 1], list.items[i]) < 0);
    assert_string_equal(list.items[4], "abc");
    sm_strings_free(&list);
    sm_strings_sort(&list);
    assert_int_equal(list.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_what_unicode_says),
        cmocka_unit_test(suffixes_and_names_of_paths),
        cmocka_unit_test(the_nearest_name_is_what_was_meant),
        cmocka_unit_test(whole_numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(floats_have_their_shortest_form),
        cmocka_unit_test(every_float_reads_back_and_none_is_longer_than_needed),
        cmocka_unit_test(numbers_have_a_point_in_every_locale),
        cmocka_unit_test(strings_are_sorted_by_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
