/* What the words of a query are: known ones, two that are one, those that say nothing. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "library/query_internal.h"

/* Words of a sentence around what is looked for. */
static bool says_nothing(const char *word)
{
    static const char *const words[] = { "a",      "an",     "and",      "any",    "are",  "as",    "at",
                                         "be",     "by",     "find",     "for",    "from", "get",   "give",
                                         "got",    "have",   "i",        "in",     "is",   "it",    "like",
                                         "list",   "me",     "my",       "need",   "of",   "on",    "or",
                                         "please", "sample", "samples",  "search", "show", "some",  "something",
                                         "sound",  "sounds", "sounding", "that",   "the",  "these", "this",
                                         "to",     "very",   "want",     "which",  "with" };
    for (size_t i = 0; i < SM_LENGTH(words); i++)
        if (!strcasecmp(word, words[i]))
            return true;
    return false;
}

static bool denies(const char *word)
{
    return !strcasecmp(word, "without") || !strcasecmp(word, "not") || !strcasecmp(word, "no");
}

/* Letters, digits, # and all beyond ASCII. */
static bool is_letter(char c)
{
    return isalnum((unsigned char)c) || c == '#' || (unsigned char)c >= 0x80;
}

/* The word without what is no letter: "hi-hat" is hihat. False: nothing is left, or it is too long to be known. */
static bool bare(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text; text++)
        if (is_letter(*text)) {
            if (n + 1 >= size)
                return false;
            out[n++] = *text;
        }
    out[n] = 0;
    return n > 0;
}

static bool has_letters(const char *text)
{
    for (; *text; text++)
        if (is_letter(*text))
            return true;
    return false;
}

static int note(query *q, const char *format, const char *a, const char *b)
{
    char *text = sm_printf_new(format, a, b);
    const int err = text ? sm_strings_add(&q->notes, text) : SM_ENOMEM;
    sm_free(text);
    return err;
}

static const thesaurus_word *joined(const thesaurus *t, const query_node *a, const query_node *b)
{
    char first[64], both[128];
    if (!bare(a->text, first, sizeof first) || !bare(b->text, both, 64))
        return NULL;
    memmove(both + strlen(first), both, strlen(both) + 1);
    memcpy(both, first, strlen(first));
    return thesaurus_find_form(t, both, strlen(both));
}

static const thesaurus_word *known(const thesaurus *t, const query_node *n)
{
    char word[64];
    return t && bare(n->text, word, sizeof word) ? thesaurus_find_form(t, word, strlen(word)) : NULL;
}

static bool is_word(const query_node *n)
{
    return n && n->kind == QUERY_WORD;
}

/* "without vocals": the next item is what is left out. */
static int read_denials(query *q, query_node **list, bool *changed)
{
    for (query_node **at = list; *at;) {
        query_node *n = *at, *next = n->next;
        if (!is_word(n) || n->negated || !denies(n->text) || !next) {
            at = &n->next;
            continue;
        }
        const int err = note(q, "\"%s\" was read as - before what follows%s", n->text, "");
        if (err < 0)
            return err;
        next->negated = !next->negated;
        *changed = true;
        *at = next;
        at = &next->next;
    }
    return 0;
}

static int join_words(query *q, const thesaurus *t, query_node *list, bool *changed)
{
    for (query_node *n = list; n && t; n = n->next) {
        query_node *next = n->next;
        if (!is_word(n) || !is_word(next) || next->negated)
            continue;
        const thesaurus_word *both = joined(t, n, next);
        if (!both)
            continue;
        char *text = sm_arena_printf(q->arena, "%s %s", n->text, next->text);
        if (!text)
            return SM_ENOMEM;
        const int err = note(q, "\"%s\" was read as one word: %s", text, both->word);
        if (err < 0)
            return err;
        n->meaning = both;
        n->text = both->word;
        n->next = next->next;
        *changed = true;
    }
    return 0;
}

static bool text_without_letters(const query_node *n)
{
    return (n->kind == QUERY_WORD || n->kind == QUERY_PHRASE) && !has_letters(n->text);
}

static int note_dropped(query *q, const query_node *n, bool *changed)
{
    *changed = true;
    return note(q, text_without_letters(n) ? "\"%s\" has no letter and was left out%s" : "\"%s\" was left out%s",
                n->text, "");
}

/* What has no letter; in a list also what says nothing, if anything else is there. */
static int drop_words(query *q, query_node *group, bool *changed)
{
    for (query_node **at = &group->child; *at;) {
        query_node *n = *at;
        const bool alone = n == group->child && !n->next;
        if (text_without_letters(n) ||
            (is_word(n) && !n->meaning && group->kind == QUERY_AND && !alone && says_nothing(n->text))) {
            const int err = note_dropped(q, n, changed);
            if (err < 0)
                return err;
            *at = n->next;
        } else
            at = &n->next;
    }
    return 0;
}

static void look_up(const thesaurus *t, query_node *n, bool *changed)
{
    if (!is_word(n) || n->meaning || !(n->meaning = known(t, n)))
        return;
    *changed |= strcmp(n->text, n->meaning->word) != 0;
    n->text = n->meaning->word;
}

int query_understand_words(query *q, const thesaurus *t, query_node **at, bool *changed)
{
    query_node *n = *at;
    int err = 0;
    if (n && n->kind == QUERY_AND)
        err = read_denials(q, &n->child, changed);
    if (err == 0 && n && n->kind == QUERY_AND)
        err = join_words(q, t, n->child, changed);
    if (err < 0 || !n)
        return err;
    if (n->kind <= QUERY_OR) {
        for (query_node **child = &n->child; *child && err == 0; child = &(*child)->next)
            err = query_understand_words(q, t, child, changed);
        return err < 0 ? err : drop_words(q, n, changed);
    }
    look_up(t, n, changed);
    if (n == q->root && text_without_letters(n)) {
        *at = NULL;
        return note_dropped(q, n, changed);
    }
    return 0;
}
