/* Text: UTF-8, names, numbers in and out. Numbers use a point whatever the locale of the program that embeds us. */
#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"

/* Bytes of the UTF-8 character at s (Unicode 15, table 3-7), or 0 if it is not well formed. */
static size_t utf8_character(const unsigned char *s, size_t length)
{
    static const struct {
        unsigned char first, last, second_from, second_to, bytes;
    } rows[] = {
        { 0x00, 0x7F, 0, 0, 1 },       { 0xC2, 0xDF, 0x80, 0xBF, 2 }, { 0xE0, 0xE0, 0xA0, 0xBF, 3 },
        { 0xE1, 0xEC, 0x80, 0xBF, 3 }, { 0xED, 0xED, 0x80, 0x9F, 3 }, { 0xEE, 0xEF, 0x80, 0xBF, 3 },
        { 0xF0, 0xF0, 0x90, 0xBF, 4 }, { 0xF1, 0xF3, 0x80, 0xBF, 4 }, { 0xF4, 0xF4, 0x80, 0x8F, 4 },
    };

    for (size_t r = 0; r < SM_LENGTH(rows) && length > 0; r++) {
        const size_t bytes = rows[r].bytes;
        if (s[0] < rows[r].first || s[0] > rows[r].last)
            continue;
        if (bytes > length || (bytes > 1 && (s[1] < rows[r].second_from || s[1] > rows[r].second_to)))
            return 0;
        for (size_t k = 2; k < bytes; k++)
            if ((s[k] & 0xC0) != 0x80)
                return 0;
        return bytes;
    }
    return 0;
}

size_t sm_utf8_length(const char *s, size_t length)
{
    return utf8_character((const unsigned char *)s, length);
}

bool sm_utf8_valid(const char *s, size_t length)
{
    for (size_t at = 0; at < length;) {
        const size_t bytes = sm_utf8_length(s + at, length - at);
        if (bytes == 0)
            return false;
        at += bytes;
    }
    return true;
}

bool sm_text_has_suffix(const char *s, const char *suffix)
{
    const size_t length = strlen(s), wanted = strlen(suffix);

    return length >= wanted && strcasecmp(s + length - wanted, suffix) == 0;
}

const char *sm_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

#define LONGEST_WORD 63

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Edit distance that counts a swap of neighbours as one (optimal string alignment); case does not count. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][LONGEST_WORD + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *oldest = before;
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const bool same = lower(a[i - 1]) == lower(b[j - 1]);
            size_t best = last[j - 1] + (same ? 0 : 1);
            best = SM_MIN(best, SM_MIN(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                best = SM_MIN(best, before[j - 2] + 1);
            now[j] = best;
        }
        before = last;
        last = now;
        now = oldest;
    }
    return last[m];
}

const char *sm_text_nearest(const char *word, const char *const *candidates, size_t n)
{
    const size_t length = strlen(word);
    const char *nearest = NULL;
    size_t best = SM_MAX(length / 3, 1) + 1; /* a third of the word may be wrong */

    if (length == 0 || length > LONGEST_WORD)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const size_t other = strlen(candidates[i]);
        const bool begins = length >= 3 && other > length && strncasecmp(word, candidates[i], length) == 0;
        size_t distance;
        if (other > LONGEST_WORD)
            continue;
        distance = edit_distance(word, length, candidates[i], other);
        /* the beginning of a longer name is near too, but never nearer than a slip of one letter */
        if (begins)
            distance = SM_MIN(distance, 2);
        if (distance < best || (begins && !nearest)) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}

/* strtod and printf follow the thread's locale; between these two calls that is the C locale. Does not allocate in
 * glibc, which answers newlocale("C") with a constant. */
static locale_t c_locale_enter(locale_t *c)
{
    *c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return *c ? uselocale(*c) : (locale_t)0;
}

static void c_locale_leave(locale_t c, locale_t old)
{
    if (!c)
        return;
    uselocale(old);
    freelocale(c);
}

bool sm_parse_double(const char *s, double *out)
{
    locale_t c, old;
    char *end = NULL;
    double value;

    /* no blanks, hexadecimal, "inf" or "nan" */
    if (s[0] == 0 || s[strspn(s, "0123456789+-.eE")] != 0)
        return false;
    old = c_locale_enter(&c);
    value = strtod(s, &end);
    c_locale_leave(c, old);
    if (*end != 0 || !isfinite(value))
        return false;
    *out = value;
    return true;
}

bool sm_parse_int(const char *s, int64_t *out)
{
    char *end = NULL;
    long long value;

    if (s[0] == 0 || s[strspn(s, "0123456789+-")] != 0)
        return false;
    errno = 0;
    value = strtoll(s, &end, 10);
    if (*end != 0 || end == s || errno == ERANGE)
        return false;
    *out = value;
    return true;
}

/* 1e-05 -> 1e-5, 1e+10 -> 1e10 */
static void shorten_exponent(char *text)
{
    char *to = strchr(text, 'e'), *from;

    if (!to)
        return;
    from = ++to;
    if (*from == '-')
        to++;
    from++;
    from += strspn(from, "0");
    memmove(to, from, strlen(from) + 1);
}

/* Tries numbers of digits until one reads back; `most` always does. `reads_back` compares at the type's precision. */
static void format_shortest(double value, int least, int most, bool (*reads_back)(const char *, double), char out[32])
{
    char text[32] = "";
    locale_t c, old = c_locale_enter(&c);

    for (int digits = least; digits <= most; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (reads_back(text, value))
            break;
    }
    c_locale_leave(c, old);
    shorten_exponent(text);
    memcpy(out, text, sizeof text);
}

static bool reads_back_f32(const char *text, double value)
{
    return strtof(text, NULL) == (float)value;
}

static bool reads_back_f64(const char *text, double value)
{
    return strtod(text, NULL) == value;
}

/* Any decimal of FLT_DIG digits survives, so fewer need not be tried: %g drops the zeros. Subnormals have less. */
void sm_format_f32(float value, char out[32])
{
    if (isfinite(value))
        format_shortest(value, fabsf(value) < FLT_MIN ? 1 : FLT_DIG, FLT_DECIMAL_DIG, reads_back_f32, out);
    else
        memcpy(out, "null", 5);
}

void sm_format_f64(double value, char out[32])
{
    if (isfinite(value))
        format_shortest(value, fabs(value) < DBL_MIN ? 1 : DBL_DIG, DBL_DECIMAL_DIG, reads_back_f64, out);
    else
        memcpy(out, "null", 5);
}

int sm_strings_add_n(sm_strings *list, const char *text, size_t length)
{
    char *copy = NULL;

    if (sm_grow(&list->items, &list->capacity, list->length + 1, sizeof *list->items) < 0)
        return SM_ENOMEM;
    copy = sm_strndup(text, length);
    if (!copy)
        return SM_ENOMEM;
    list->items[list->length++] = copy;
    return 0;
}

int sm_strings_add(sm_strings *list, const char *text)
{
    return sm_strings_add_n(list, text, strlen(text));
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void sm_strings_sort(sm_strings *list)
{
    if (list->length > 1)
        qsort(list->items, list->length, sizeof *list->items, by_bytes);
}

void sm_strings_free(sm_strings *list)
{
    for (size_t i = 0; i < list->length; i++)
        sm_free(list->items[i]);
    sm_free(list->items);
    *list = (sm_strings){ 0 };
}
