/* Labels from names.
 *
 * A name is cut into words at everything that is no letter or digit, between letters and digits, and where the case turns
 * ("HHClosed01" is hh closed 01). Rows of words.def match joined neighbours. Of overlapping matches the longer stays; of those that
 * stay the strongest decides, of equals the last. A hat without a word for how far it is open is closed unless "open", "half",
 * "semi" or "loose" stands anywhere in the name or in the folders below the one that decided.
 *
 *   confidence        strength 3   2    1
 *   of the name          .95     .85  .50
 *   of the nearest folder .90    .75  .40      times .9 for each folder further up
 *   both agree: 1 - (1-a)(1-b), at most .99;   they differ: name's, times 1 - b/2 (a hint of the name yields to the folder)
 *   two classes of equal strength in the same name: times .7;   a hat that is closed only by default: times .9 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "train/words.h"

enum { MOST_TOKENS = 32, TOKEN = 24, ROW_TOKENS = 5, KEY = 48, GLUED_LEAST = 4 };

typedef struct {
    char key[KEY]; /* its words joined */
    const char *label;
    int strength;
} word;

struct sm_words {
    word *rows; /* by key */
    size_t n, capacity;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const word *)a)->key, ((const word *)b)->key);
}

/* The rows of one SM_WORDS. */
static int add_rows(sm_words *w, const char *label, int strength, const char *words)
{
    for (const char *at = words; *at;) {
        const size_t length = strcspn(at, "|");
        if (sm_grow(&w->rows, &w->capacity, w->n + 1, sizeof *w->rows) < 0)
            return SM_ENOMEM;
        word *row = &w->rows[w->n++];
        size_t n = 0;
        for (size_t i = 0; i < length && n + 1 < KEY; i++)
            if (at[i] != ' ')
                row->key[n++] = at[i];
        row->key[n] = 0;
        row->label = *label ? label : NULL;
        row->strength = strength;
        at += length + (at[length] == '|');
    }
    return 0;
}

int sm_words_new(sm_words **out)
{
    static const struct {
        const char *label;
        int strength;
        const char *words;
    } table[] = {
#define SM_WORDS(label, strength, words) { label, strength, words },
#include "train/words.def"
#undef SM_WORDS
    };
    sm_words *w = sm_alloc_zero(1, sizeof *w);
    int err = w ? 0 : SM_ENOMEM;
    *out = NULL;
    for (size_t i = 0; i < SM_LENGTH(table) && err == 0; i++)
        err = add_rows(w, table[i].label, table[i].strength, table[i].words);
    if (err < 0) {
        sm_words_free(w);
        return err;
    }
    qsort(w->rows, w->n, sizeof *w->rows, by_key);
    *out = w;
    return 0;
}

void sm_words_free(sm_words *w)
{
    if (!w)
        return;
    sm_free(w->rows);
    sm_free(w);
}

static const word *exactly(const sm_words *w, const char *key)
{
    size_t low = 0, high = w->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = strcmp(w->rows[middle].key, key);
        if (order == 0)
            return &w->rows[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* The row of a key, also of its plural. */
static const word *look_up(const sm_words *w, const char *key)
{
    const word *row = exactly(w, key);
    const size_t n = strlen(key);
    char single[KEY];
    for (size_t cut = 1; !row && cut <= 2 && n > cut + 2 && key[n - 1] == 's'; cut++) {
        if (cut == 2 && key[n - 2] != 'e')
            break;
        memcpy(single, key, n - cut);
        single[n - cut] = 0;
        row = exactly(w, single);
    }
    return row;
}

/* ---- cutting ---- */

typedef struct {
    char text[MOST_TOKENS][TOKEN];
    int n;
} tokens;

static int kind_of(unsigned char c)
{
    return isdigit(c) ? 1 : isupper(c) ? 2 : islower(c) ? 3 : c >= 0x80 ? 4 : 0;
}

/* Whether a word ends between a and b, with `after` behind b: "HHClosed" ends its first word before "Cl". */
static bool turns(int a, int b, int after)
{
    if ((a == 1) != (b == 1))
        return true;
    return (a == 3 && b == 2) || (a == 2 && b == 2 && after == 3);
}

static void cut(const char *name, size_t length, tokens *out)
{
    size_t fill = 0;
    int before = 0;
    out->n = 0;
    for (size_t i = 0; i <= length && out->n < MOST_TOKENS; i++) {
        const int kind = i < length ? kind_of((unsigned char)name[i]) : 0;
        const int after = i + 1 < length ? kind_of((unsigned char)name[i + 1]) : 0;
        if (fill > 0 && (kind == 0 || turns(before, kind, after))) {
            out->text[out->n++][fill] = 0;
            fill = 0;
        }
        if (kind && out->n < MOST_TOKENS && fill + 1 < TOKEN)
            out->text[out->n][fill++] = (char)tolower((unsigned char)name[i]);
        before = kind;
    }
}

/* ---- matching ---- */

typedef struct {
    const word *row;
    int start, end, strength;
} match;

/* Neighbours joined; false: too long, or a short key made of several (the letters of "C H" are no "ch"). */
static bool join(const tokens *t, int start, int end, char key[KEY])
{
    size_t n = 0;
    for (int i = start; i < end; i++) {
        const size_t length = strlen(t->text[i]);
        if (n + length + 1 > KEY)
            return false;
        memcpy(key + n, t->text[i], length + 1);
        n += length;
    }
    return end - start == 1 || n > 3;
}

/* A long word that begins or ends with a row: "hardkick", "kicksub". */
static const word *glued(const sm_words *w, const char *token)
{
    const size_t n = strlen(token);
    const word *best = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < w->n; i++) {
        const word *row = &w->rows[i];
        const size_t length = strlen(row->key);
        if (length < GLUED_LEAST || length + 3 > n || length <= longest || !row->label || row->strength < 3)
            continue;
        if (!strncmp(token, row->key, length) || !strcmp(token + n - length, row->key)) {
            best = row;
            longest = length;
        }
    }
    return best;
}

/* Longest first, so that what lies inside or across another is left out. */
static int find_matches(const sm_words *w, const tokens *t, match *out)
{
    bool taken[MOST_TOKENS] = { false };
    char key[KEY];
    int n = 0;
    for (int length = ROW_TOKENS; length > 0; length--)
        for (int start = 0; start + length <= t->n; start++) {
            bool free = true;
            for (int i = start; i < start + length; i++)
                free = free && !taken[i];
            const word *row = free && join(t, start, start + length, key) ? look_up(w, key) : NULL;
            if (!row)
                continue;
            memset(taken + start, true, (size_t)length);
            out[n++] = (match){ row, start, start + length, row->strength };
        }
    for (int i = 0; i < t->n && n < MOST_TOKENS; i++) {
        const word *row = taken[i] ? NULL : glued(w, t->text[i]);
        if (row)
            out[n++] = (match){ row, i, i + 1, row->strength - 1 };
    }
    return n;
}

typedef struct {
    const char *label, *other; /* other: of equal strength */
    int strength;
    bool opens; /* "open" stands in it */
} verdict;

static bool says_open(const tokens *t)
{
    static const char *const words[] = { "open", "opened", "half", "semi", "loose", "sizzle", "semiopen" };
    for (int i = 0; i < t->n; i++)
        for (size_t k = 0; k < SM_LENGTH(words); k++)
            if (!strcmp(t->text[i], words[k]))
                return true;
    return false;
}

static void judge(const sm_words *w, const char *name, size_t length, verdict *out)
{
    tokens t;
    match matches[MOST_TOKENS];
    int last = -1;
    *out = (verdict){ 0 };
    cut(name, length, &t);
    const int n = find_matches(w, &t, matches);
    for (int i = 0; i < n; i++) {
        const match *m = &matches[i];
        if (!m->row->label || m->strength < out->strength)
            continue;
        const bool stronger = m->strength > out->strength;
        const char *loser = stronger || !out->label ? NULL : m->start > last ? out->label : m->row->label;
        if (stronger || m->start > last) {
            out->label = m->row->label;
            last = m->start;
        }
        out->strength = m->strength;
        out->other = loser && strcmp(loser, out->label) != 0 ? loser : stronger ? NULL : out->other;
    }
    out->opens = says_open(&t);
}

/* ---- name and folders together ---- */

static double certainty(const verdict *v, bool folder)
{
    static const double of_name[] = { 0, 0.5, 0.85, 0.95 }, of_folder[] = { 0, 0.4, 0.75, 0.9 };
    return (folder ? of_folder : of_name)[v->strength] * (v->other ? 0.7 : 1);
}

/* "open" turns a hat that nothing called closed. */
static void settle_hat(sm_word_label *out, int strength, bool opens)
{
    if (strcmp(out->label, "hihat-closed") != 0 || strength == 3)
        return;
    if (opens)
        out->label = "hihat-open";
    else
        out->confidence *= 0.9;
}

void sm_words_label(const sm_words *w, const char *path, sm_word_label *out)
{
    const char *file = sm_path_name(path), *dot = strrchr(file, '.');
    verdict name, folder = { 0 };
    double weight = 1;
    *out = (sm_word_label){ 0 };
    judge(w, file, dot && dot > file ? (size_t)(dot - file) : strlen(file), &name);
    bool opens = name.opens;
    for (const char *end = file > path ? file - 1 : path; end > path && !folder.label;
         weight *= folder.label ? 1 : 0.9) {
        const char *start = end;
        while (start > path && start[-1] != '/')
            start--;
        judge(w, start, (size_t)(end - start), &folder);
        opens = opens || folder.opens;
        end = start > path ? start - 1 : path;
    }
    const double a = certainty(&name, false), b = certainty(&folder, true) * weight;
    const bool hint = name.label && name.strength == 1 && folder.strength > 1;
    const bool by_name = name.label && !hint;
    const verdict *winner = by_name ? &name : &folder;
    if (!winner->label)
        return;
    *out = (sm_word_label){ winner->label, by_name ? "name" : "folder", by_name ? a : b, winner->other };
    const bool agree = name.label && folder.label && !strcmp(name.label, folder.label);
    if (agree) {
        out->confidence = SM_MIN(1 - (1 - a) * (1 - b), 0.99);
        out->other = name.other;
    } else if (by_name && folder.label && strncmp(name.label, "hihat", 5) + strncmp(folder.label, "hihat", 5) != 0) {
        out->confidence = a * (1 - b / 2);
        out->other = folder.label;
    }
    settle_hat(out, winner->strength, opens);
}

bool sm_words_is_class(const sm_words *w, const char *folder)
{
    verdict v;
    judge(w, folder, strlen(folder), &v);
    return v.label && v.strength >= 2;
}
