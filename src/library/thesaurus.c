/* The table of meanings: what ships, overridden row by row by the user's file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "library/csv.h"
#include "library/thesaurus.h"

typedef struct {
    const char *word, *target, *direction;
    thesaurus_kind kind;
    double weight;
} entry;

#define CLASS                                             THESAURUS_CLASS
#define DESCRIPTOR                                        THESAURUS_DESCRIPTOR
#define OUTPUT                                            THESAURUS_OUTPUT
#define TEXT                                              THESAURUS_TEXT
#define SM_MEANING(word, kind, target, direction, weight) { word, target, direction, kind, weight },
static const entry shipped[] = {
#include "library/thesaurus.def"
};

struct thesaurus {
    sm_arena *arena;
    thesaurus_word *words;
    size_t n_words;
};

static const char *const kind_names[] = { "class", "descriptor", "output", "text" };

const char *thesaurus_kind_name(thesaurus_kind kind)
{
    return (size_t)kind < SM_LENGTH(kind_names) ? kind_names[kind] : "?";
}

/* ---- rows of a user's file ---- */

/* Also the kinds that tables of others use: mood and genre rows name an output or "descriptor:FIELD". */
static bool read_kind(const char *text, const char **target, thesaurus_kind *out)
{
    static const struct {
        const char *name;
        thesaurus_kind kind;
    } others[] = { { "model-output", THESAURUS_OUTPUT }, { "mood", THESAURUS_OUTPUT }, { "genre", THESAURUS_OUTPUT } };
    bool found = false;
    for (size_t i = 0; i < SM_LENGTH(kind_names); i++)
        if (!strcasecmp(text, kind_names[i])) {
            *out = (thesaurus_kind)i;
            found = true;
        }
    for (size_t i = 0; i < SM_LENGTH(others); i++)
        if (!strcasecmp(text, others[i].name)) {
            *out = others[i].kind;
            found = true;
        }
    if (found && *out == THESAURUS_OUTPUT && !strncmp(*target, "descriptor:", 11)) {
        *out = THESAURUS_DESCRIPTOR;
        *target += 11;
    }
    if (found && *out == THESAURUS_OUTPUT && !strncmp(*target, "essentia:", 9))
        *target += 9;
    return found;
}

static int by_entry(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int words = strcasecmp(x->word, y->word);
    if (words != 0)
        return words;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return strcmp(x->target, y->target);
}

/* Puts a row over the one of the same word, kind and target, or at the end. */
static void override(entry *all, size_t *n, size_t n_sorted, const entry *e)
{
    entry *same = bsearch(e, all, n_sorted, sizeof *all, by_entry);
    for (size_t i = n_sorted; i < *n && !same; i++)
        if (by_entry(&all[i], e) == 0)
            same = &all[i];
    if (!same)
        same = &all[(*n)++];
    *same = *e;
}

static int user_rows(thesaurus *t, const char *file, entry **all, size_t *n)
{
    static const char *const columns[] = { "word", "kind", "target", "direction", "weight" };
    sm_csv table = { 0 };
    int at[SM_LENGTH(columns)];
    int err = sm_csv_read(file, &table);
    if (err == SM_ENOTFOUND)
        return 0;
    for (size_t c = 0; c < SM_LENGTH(columns) && err == 0; c++)
        if ((at[c] = sm_csv_column(&table, columns[c])) < 0)
            err = sm_fail(SM_EFORMAT, "%s: line 1 has no column \"%s\"", file, columns[c]);
    const size_t n_sorted = *n;
    if (err == 0) {
        entry *more = sm_realloc(*all, *n + table.rows + 1, sizeof **all);
        if (!more)
            err = SM_ENOMEM;
        else
            *all = more;
    }
    for (size_t r = 0; r < table.rows && err == 0; r++) {
        const char *cells[SM_LENGTH(columns)];
        for (size_t c = 0; c < SM_LENGTH(columns); c++)
            cells[c] = sm_csv_cell(&table, r, at[c]);
        entry e = { .word = cells[0], .target = cells[2], .direction = cells[3] ? cells[3] : "=" };
        if (!e.word || !cells[1] || !e.target || !read_kind(cells[1], &e.target, &e.kind))
            err = sm_fail(SM_EFORMAT, "%s: line %zu: expected word, kind (class, descriptor, output, text) and target",
                          file, table.lines[r]);
        else if (!cells[4] || !sm_parse_double(cells[4], &e.weight) || e.weight < 0 || e.weight > 1)
            err = sm_fail(SM_EFORMAT, "%s: line %zu: the weight is \"%s\", expected 0 to 1", file, table.lines[r],
                          cells[4] ? cells[4] : "");
        else if (!(e.word = sm_arena_strdup(t->arena, e.word)) || !(e.target = sm_arena_strdup(t->arena, e.target)) ||
                 !(e.direction = sm_arena_strdup(t->arena, e.direction)))
            err = SM_ENOMEM;
        else
            override(*all, n, n_sorted, &e);
    }
    sm_csv_free(&table);
    return err;
}

/* ---- rows as they are used ---- */

static int read_direction(thesaurus *t, const entry *e, thesaurus_row *out)
{
    char *low = sm_arena_strdup(t->arena, e->direction), *dots;
    if (!low)
        return SM_ENOMEM;
    *out = (thesaurus_row){ .kind = e->kind,
                            .target = e->target,
                            .direction = THESAURUS_VALUE,
                            .low = -INFINITY,
                            .high = INFINITY,
                            .weight = e->weight,
                            .as_written = e->direction };
    if (!strcmp(low, "+") || !strcmp(low, "=") || !*low)
        out->direction = THESAURUS_MORE;
    else if (!strcmp(low, "-"))
        out->direction = THESAURUS_LESS;
    else if ((dots = strstr(low, ".."))) {
        *dots = 0;
        out->direction = THESAURUS_RANGE;
        if ((*low && !sm_parse_double(low, &out->low)) || (dots[2] && !sm_parse_double(dots + 2, &out->high)) ||
            !(out->low <= out->high))
            return sm_fail(SM_EFORMAT, "thesaurus: \"%s\": the range %s is none", e->word, e->direction);
    } else
        out->value = low;
    return 0;
}

static int build(thesaurus *t, const entry *all, size_t n)
{
    thesaurus_row *rows = sm_arena_get(t->arena, n, sizeof *rows, sizeof(double));
    t->words = sm_arena_get(t->arena, n, sizeof *t->words, sizeof(void *));
    if (!rows || !t->words)
        return SM_ENOMEM;
    for (size_t i = 0, used = 0; i < n; i++) {
        if (all[i].weight <= 0)
            continue;
        if (t->n_words == 0 || strcasecmp(t->words[t->n_words - 1].word, all[i].word) != 0)
            t->words[t->n_words++] = (thesaurus_word){ .word = all[i].word, .rows = &rows[used] };
        const int err = read_direction(t, &all[i], &rows[used]);
        if (err < 0)
            return err;
        t->words[t->n_words - 1].n_rows++;
        used++;
    }
    return 0;
}

int thesaurus_open(const char *file, thesaurus **out)
{
    *out = NULL;
    thesaurus *t = sm_alloc_zero(1, sizeof *t);
    size_t n = SM_LENGTH(shipped);
    entry *all = sm_alloc(n, sizeof *all);
    int err = t && all && (t->arena = sm_arena_new()) ? 0 : SM_ENOMEM;
    if (err == 0) {
        memcpy(all, shipped, sizeof shipped);
        qsort(all, n, sizeof *all, by_entry);
    }
    if (err == 0 && file)
        err = user_rows(t, file, &all, &n);
    if (err == 0) {
        qsort(all, n, sizeof *all, by_entry);
        err = build(t, all, n);
    }
    sm_free(all);
    if (err < 0)
        thesaurus_free(t);
    else
        *out = t;
    return err;
}

void thesaurus_free(thesaurus *t)
{
    if (!t)
        return;
    sm_arena_free(t->arena);
    sm_free(t);
}

size_t thesaurus_words(const thesaurus *t)
{
    return t->n_words;
}

const thesaurus_word *thesaurus_at(const thesaurus *t, size_t i)
{
    return i < t->n_words ? &t->words[i] : NULL;
}

/* ---- finding ---- */

const thesaurus_word *thesaurus_find(const thesaurus *t, const char *word, size_t length)
{
    size_t low = 0, high = t->n_words;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const char *there = t->words[middle].word;
        int order = strncasecmp(there, word, length);
        if (order == 0)
            order = there[length] ? 1 : 0;
        if (order == 0)
            return &t->words[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const thesaurus_word *thesaurus_find_form(const thesaurus *t, const char *word, size_t length)
{
    static const char *const endings[] = { "s", "es", "y", "ish", "ing", "ly", "er" };
    const thesaurus_word *found = thesaurus_find(t, word, length);
    for (size_t i = 0; i < SM_LENGTH(endings) && !found; i++) {
        const size_t n = strlen(endings[i]);
        if (length < n + 3 || strncasecmp(word + length - n, endings[i], n) != 0)
            continue;
        found = thesaurus_find(t, word, length - n);
        /* boomy: boom; punchy and snappish double or drop letters: crunchy is a word of its own, so no more is tried */
        if (!found && length >= n + 4 && word[length - n - 1] == word[length - n - 2])
            found = thesaurus_find(t, word, length - n - 1);
    }
    return found;
}

/* ---- as a file ---- */

static void add_cell(sm_buffer *out, const char *text)
{
    const bool quoted = text[strcspn(text, ",\"\n")] != 0;
    if (quoted)
        sm_buffer_text(out, "\"");
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            sm_buffer_text(out, "\"");
        sm_buffer_add(out, p, 1);
    }
    if (quoted)
        sm_buffer_text(out, "\"");
}

void thesaurus_csv(const thesaurus *t, sm_buffer *out)
{
    char weight[32];
    sm_buffer_text(out, "word,kind,target,direction,weight\n");
    for (size_t i = 0; i < t->n_words; i++)
        for (size_t r = 0; r < t->words[i].n_rows; r++) {
            const thesaurus_row *row = &t->words[i].rows[r];
            sm_format_f64(row->weight, weight);
            add_cell(out, t->words[i].word);
            sm_buffer_printf(out, ",%s,", thesaurus_kind_name(row->kind));
            add_cell(out, row->target);
            sm_buffer_printf(out, ",%s,%s\n", row->as_written, weight);
        }
}
