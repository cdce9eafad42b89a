/* Cutting names into words. */
#include <ctype.h>
#include <string.h>

#include "library/words.h"

enum { MOST_WORD = 64 };
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789#"

typedef enum { BREAK, UPPER, LOWER, DIGIT } letter;

/* Of the character at s, *bytes long. Beyond ASCII all is a lower-case letter; the index knows better where a word ends. */
static letter kind_of(const char *s, size_t left, size_t *bytes)
{
    const unsigned char c = (unsigned char)*s;
    *bytes = 1;
    if (c >= 0x80) {
        *bytes = sm_utf8_length(s, left);
        if (*bytes > 0)
            return LOWER;
        *bytes = 1;
        return BREAK;
    }
    return isupper(c) ? UPPER : islower(c) || c == '#' ? LOWER : isdigit(c) ? DIGIT : BREAK;
}

/* Bytes of the piece at s: "HHClosed01" is HH, Closed, 01. */
static size_t piece_length(const char *s, size_t left)
{
    size_t bytes, at = 0;
    letter before = kind_of(s, left, &bytes);
    while (at < left) {
        letter now = kind_of(s + at, left - at, &bytes);
        if (bytes > 1 && before != DIGIT)
            now = before; /* whether it is a capital is not known here */
        if (now == BREAK || (now == DIGIT) != (before == DIGIT) || (now == UPPER && before == LOWER))
            break;
        if (now == UPPER && before == UPPER && at + 1 < left) {
            size_t next_bytes;
            /* the last capital before small letters begins their word, but for a plural s or a minor m: "BPMs", "FXm" */
            if (kind_of(s + at + 1, left - at - 1, &next_bytes) == LOWER && at > 0 &&
                islower((unsigned char)s[at + 1]) && at + 2 < left &&
                kind_of(s + at + 2, left - at - 2, &next_bytes) == LOWER)
                break;
        }
        before = now;
        at += bytes;
    }
    return SM_MAX(at, 1);
}

static void add_word(sm_buffer *out, const char *word, size_t length)
{
    if (out->length > 0)
        sm_buffer_text(out, " ");
    sm_buffer_add(out, word, length);
}

static void add_joined(sm_buffer *out, const thesaurus *t, const char *a, size_t n_a, const char *b, size_t n_b)
{
    char both[2 * MOST_WORD];
    if (!t || n_a == 0 || n_a > MOST_WORD || n_b > MOST_WORD)
        return;
    memcpy(both, a, n_a);
    memcpy(both + n_a, b, n_b);
    if (thesaurus_find(t, both, n_a + n_b))
        add_word(out, both, n_a + n_b);
}

static void cut(const char *text, size_t length, const thesaurus *t, sm_buffer *out)
{
    const char *last = NULL;
    size_t n_last = 0, run = 0, run_from = 0; /* pieces that touch each other, and where they began */
    bool digits = false;
    for (size_t at = 0; at <= length;) {
        size_t bytes = 1;
        const letter kind = at < length ? kind_of(text + at, length - at, &bytes) : BREAK;
        if (kind == BREAK) {
            if (run > 1 && !digits) /* DarkBass is asked for as darkbass, too */
                add_word(out, text + run_from, at - run_from);
            run = 0;
            digits = false;
            at += bytes;
            continue;
        }
        const size_t n = piece_length(text + at, length - at);
        run_from = run == 0 ? at : run_from;
        run++;
        digits |= kind == DIGIT;
        add_word(out, text + at, n);
        add_joined(out, t, last, n_last, text + at, n);
        last = text + at;
        n_last = n;
        at += n;
    }
}

void words_cut(const char *text, const thesaurus *t, sm_buffer *out)
{
    cut(text, strlen(text), t, out);
}

void words_cut_name(const char *name, const thesaurus *t, sm_buffer *out)
{
    const char *dot = strrchr(name, '.');
    const size_t length = strlen(name);
    size_t ending = 0; /* letters and digits, one letter at least: "Vol. 1" has none */
    bool letters = false;
    for (const char *p = dot && dot > name ? dot + 1 : ""; isalnum((unsigned char)*p); p++, ending++)
        letters |= isalpha((unsigned char)*p) != 0;
    cut(name, letters && ending <= 4 && !dot[1 + ending] ? (size_t)(dot - name) : length, t, out);
}

bool words_expression(const char *text, bool prefix, sm_buffer *out)
{
    const char *last = NULL;
    size_t n_last = 0, at = 0;
    const size_t length = strlen(text);
    bool any = false;
    while (at < length) {
        size_t bytes;
        if (kind_of(text + at, length - at, &bytes) == BREAK) {
            at += bytes;
            continue;
        }
        const size_t n = piece_length(text + at, length - at);
        sm_buffer_text(out, any ? " " : "\"");
        any = true;
        last = text + at;
        n_last = n;
        at += n;
        /* the last piece of what is looked for by its beginning: without a plural s */
        if (prefix && !text[at + strcspn(text + at, LETTERS)] && n > 3 && (last[n - 1] | 32) == 's' &&
            (last[n - 2] | 32) != 's')
            n_last--;
        sm_buffer_add(out, last, n_last);
    }
    if (!any)
        return false;
    sm_buffer_text(out, prefix && n_last >= 3 ? "\" *" : "\"");
    return true;
}
