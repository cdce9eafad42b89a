/* From text to the tree: items, alternatives, groups, tests. What a word means is settled in query_words.c. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "library/query_internal.h"

enum { MOST_BYTES = 65536 };

typedef struct {
    const char *start, *p;
    query *q;
    size_t depth, items;
} parser;

static int parse_or(parser *s, query_node **out);

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int refuse(const parser *s, const char *at, const char *what)
{
    return sm_fail(SM_EUSAGE, "query, character %zu: %s", (size_t)(at - s->start) + 1, what);
}

query_node *query_node_new(query *q, query_kind kind)
{
    query_node *n = sm_arena_get(q->arena, 1, sizeof *n, sizeof(double));
    if (n)
        *n = (query_node){ .kind = kind };
    return n;
}

static int new_leaf(parser *s, query_kind kind, query_node **out)
{
    if (++s->items > QUERY_MOST_ITEMS)
        return sm_fail(SM_ELIMIT, "the query has more than %d words and tests", QUERY_MOST_ITEMS);
    *out = query_node_new(s->q, kind);
    return *out ? 0 : SM_ENOMEM;
}

/* A | that stands apart, not between two alternatives. */
static bool at_or(const char *p)
{
    return *p == '|' && (is_space(p[1]) || !p[1] || p[1] == '|' || p[1] == ')');
}

/* Text in quotes, a doubled quote being one; p stands on the first and is left behind the last. */
static int read_quoted(parser *s, sm_buffer *out)
{
    const char *open = s->p++;
    for (;; s->p++) {
        if (!*s->p)
            return refuse(s, open, "a quote without its end");
        if (*s->p == '"' && *++s->p != '"')
            break;
        sm_buffer_add(out, s->p, 1);
    }
    return 0;
}

/* Up to a blank, a |, a quote, or a ) that nothing in it opened. */
static size_t bare_length(const char *p, bool quote_ends)
{
    size_t n = 0, open = 0;
    for (; p[n] && !is_space(p[n]) && p[n] != '|' && !(quote_ends && p[n] == '"'); n++) {
        if (p[n] == ')' && open-- == 0)
            break;
        open += p[n] == '(';
    }
    return n;
}

static bool balanced(const char *text)
{
    size_t open = 0;
    for (; *text; text++)
        open += *text == '(' ? 1 : *text == ')' ? -(size_t)1 : 0;
    return open == 0;
}

/* ---- tests ---- */

static size_t identifier_length(const char *p)
{
    size_t n = 0;
    if (isalpha((unsigned char)*p) || *p == '_')
        while (isalnum((unsigned char)p[n]) || p[n] == '_')
            n++;
    return n;
}

static const char *read_operator(const char **p)
{
    static const char *const operators[] = { ">=", "<=", ">", "<", "~", "=" };
    for (size_t i = 0; i < SM_LENGTH(operators); i++)
        if (!strncmp(*p, operators[i], strlen(operators[i]))) {
            *p += strlen(operators[i]);
            return operators[i];
        }
    return NULL;
}

/* One alternative: quoted and bare parts one after the other. */
static int read_value(parser *s, sm_buffer *out)
{
    out->length = 0;
    sm_buffer_text(out, "");
    while (*s->p && !is_space(*s->p) && *s->p != '|' && *s->p != ')') {
        if (*s->p == '"') {
            const int err = read_quoted(s, out);
            if (err < 0)
                return err;
            continue;
        }
        const size_t n = bare_length(s->p, true), before = out->length;
        sm_buffer_add(out, s->p, n);
        if (!out->failed && !balanced(out->data + before))
            return refuse(s, s->p, "a ( without its )");
        s->p += n;
    }
    return out->failed ? SM_ENOMEM : 0;
}

static int known_span(const query_field *f, query_span *out)
{
    *out = (query_span){ .op = QUERY_KNOWN, .tonic = -1 };
    if (f->type == QUERY_NAME || f->type == QUERY_FOLDER || f->type >= QUERY_LIKE)
        return sm_fail(SM_EUSAGE, "%s: needs a value", f->name);
    return 0;
}

static int read_spans(parser *s, const query_field *f, const char *op, query_node *leaf, sm_buffer *text)
{
    query_span *spans = NULL;
    size_t capacity = 0, n = 0;
    int err = 0;
    bool more = true;
    while (more && err == 0) {
        const char *own = *s->p == '"' ? NULL : read_operator(&s->p);
        const char *one = own ? own : op;
        const bool quoted = *s->p == '"';
        if (++s->items > QUERY_MOST_ITEMS)
            err = sm_fail(SM_ELIMIT, "the query has more than %d words and tests", QUERY_MOST_ITEMS);
        if (err == 0)
            err = read_value(s, text);
        if (err == 0)
            err = sm_grow(&spans, &capacity, n + 1, sizeof *spans);
        if (err == 0 && !*text->data && !quoted && !strcmp(one, ":"))
            err = known_span(f, &spans[n++]);
        else if (err == 0)
            err = query_span_read(s->q->arena, f, one, text->data, &spans[n++]);
        more = *s->p == '|' && !at_or(s->p);
        s->p += more;
    }
    query_span *kept = err == 0 ? sm_arena_get(s->q->arena, n, sizeof *kept, sizeof(double)) : NULL;
    if (err == 0 && !kept)
        err = SM_ENOMEM;
    if (err == 0) {
        memcpy(kept, spans, n * sizeof *kept);
        leaf->spans = kept;
        leaf->n_spans = n;
    }
    sm_free(spans);
    return err;
}

/* like:, by:, sort: tell how to order, not what to find; they hold for the whole query. */
static int instruction(parser *s, const query_field *f, const char *at, bool negated, sm_buffer *text)
{
    if (negated || s->depth > 1)
        return sm_fail(SM_EUSAGE, "%s: holds for the whole query; it cannot be negated or stand in parentheses",
                       f->name);
    const int err = read_value(s, text);
    if (err < 0)
        return err;
    if (!*text->data)
        return sm_fail(SM_EUSAGE, "%s: needs a value", f->name);
    if (*s->p == '|' && !at_or(s->p))
        return refuse(s, s->p, "no alternatives here");
    if (f->type == QUERY_SORT)
        return query_add_sort(s->q, text->data);
    if (f->type == QUERY_BY)
        return query_add_aspects(s->q, text->data);
    if (s->q->like)
        return refuse(s, at, "a second like:");
    s->q->like = sm_arena_strdup(s->q->arena, text->data);
    return s->q->like ? 0 : SM_ENOMEM;
}

/* *out stays NULL for an instruction. */
static int parse_test(parser *s, size_t name_length, bool negated, query_node **out)
{
    char name[64];
    query_field f;
    sm_buffer text = { 0 };
    const char *at = s->p, *op = ":";
    int err = 0;
    if (name_length >= sizeof name)
        return refuse(s, at, "there is no field of so long a name");
    memcpy(name, at, name_length);
    name[name_length] = 0;
    if (!query_field_find(name, &f))
        return query_field_unknown(name);
    s->p += name_length;
    if (*s->p == ':')
        s->p++;
    else
        op = read_operator(&s->p);
    if (f.type >= QUERY_LIKE)
        err = instruction(s, &f, at, negated, &text);
    else {
        err = new_leaf(s, QUERY_TEST, out);
        if (err == 0) {
            s->items--; /* its spans count */
            (*out)->field = f;
            err = read_spans(s, &f, op, *out, &text);
        }
    }
    sm_buffer_free(&text);
    return err;
}

/* ---- words ---- */

static int parse_phrase(parser *s, query_node **out)
{
    sm_buffer text = { 0 };
    sm_buffer_text(&text, "");
    int err = read_quoted(s, &text);
    if (err == 0)
        err = new_leaf(s, QUERY_PHRASE, out);
    if (err == 0 && (text.failed || !((*out)->text = sm_arena_strdup(s->q->arena, text.data))))
        err = SM_ENOMEM;
    sm_buffer_free(&text);
    return err;
}

static int parse_word(parser *s, query_node **out)
{
    static const char *const keywords[] = { "OR", "AND", "NOT" };
    const char *at = s->p;
    const size_t n = bare_length(s->p, true);
    int err = new_leaf(s, QUERY_WORD, out);
    if (err == 0 && !((*out)->text = sm_arena_strndup(s->q->arena, s->p, n)))
        err = SM_ENOMEM;
    if (err == 0 && !balanced((*out)->text))
        return refuse(s, at, "a ( without its )");
    for (size_t i = 0; i < SM_LENGTH(keywords) && err == 0; i++)
        if (!strcmp((*out)->text, keywords[i]))
            return refuse(s, at, "OR, AND, NOT stand between others; as words they are written in quotes");
    s->p += n;
    return err;
}

/* ---- items and groups ---- */

static int parse_group(parser *s, query_node **out)
{
    const char *open = s->p++;
    if (s->depth >= QUERY_MOST_DEPTH)
        return sm_fail(SM_ELIMIT, "the query has more than %d groups in each other", QUERY_MOST_DEPTH);
    const int err = parse_or(s, out);
    if (err < 0)
        return err;
    if (*s->p != ')')
        return refuse(s, open, "a ( without its )");
    s->p++;
    return 0;
}

/* The words of other languages of this kind, in capitals: OR, AND, NOT. */
static bool keyword(const parser *s, const char *word)
{
    const size_t n = strlen(word);
    return !strncmp(s->p, word, n) && (is_space(s->p[n]) || !s->p[n] || s->p[n] == '(' || s->p[n] == ')');
}

static int read_minus(parser *s, bool *negated)
{
    *negated = false;
    while ((*s->p == '-' && s->p[1] && !is_space(s->p[1]) && s->p[1] != ')' && s->p[1] != '|') || keyword(s, "NOT")) {
        s->p += *s->p == '-' ? 1 : 3;
        while (is_space(*s->p))
            s->p++;
        *negated = !*negated;
        if (!*s->p || *s->p == ')' || *s->p == '|')
            return refuse(s, s->p, "nothing to leave out");
    }
    return 0;
}

/* *out stays NULL for an instruction and for an empty group. */
static int parse_one(parser *s, bool negated, query_node **out)
{
    const size_t name = identifier_length(s->p);
    if (*s->p == '(')
        return parse_group(s, out);
    if (*s->p == '"')
        return parse_phrase(s, out);
    if (name > 0 && s->p[name] && strchr(":~<>=", s->p[name]))
        return parse_test(s, name, negated, out);
    return parse_word(s, out);
}

/* One, or several joined by | without blanks: alternatives. A - in front is for all of them. */
static int parse_item(parser *s, query_node **out)
{
    query_node *list = NULL, **end = &list;
    bool all_negated = false, negated = false;
    int err = read_minus(s, &all_negated);
    for (bool first = true, more = true; more && err == 0; first = false) {
        if (!first) {
            s->depth++; /* no place for instructions */
            err = read_minus(s, &negated);
        }
        if (err == 0)
            err = parse_one(s, first ? all_negated : negated, end);
        if (!first)
            s->depth--;
        if (err == 0 && *end) {
            (*end)->negated ^= negated;
            end = &(*end)->next;
        }
        more = err == 0 && *s->p == '|' && !at_or(s->p);
        s->p += more;
    }
    if (err < 0 || !list)
        return err;
    *out = list;
    if (list->next) {
        if (!(*out = query_node_new(s->q, QUERY_OR)))
            return SM_ENOMEM;
        (*out)->child = list;
    }
    (*out)->negated ^= all_negated;
    return 0;
}

static int parse_and(parser *s, query_node **out)
{
    query_node *list = NULL, **end = &list;
    int err = 0;
    for (;;) {
        while (is_space(*s->p))
            s->p++;
        if (!*s->p || *s->p == ')' || *s->p == '|' || keyword(s, "OR"))
            break;
        if (keyword(s, "AND")) {
            s->p += 3;
            continue;
        }
        if ((err = parse_item(s, end)) < 0)
            return err;
        if (*end)
            end = &(*end)->next;
    }
    if (list && !list->next)
        *out = list;
    else if (list) {
        if (!(*out = query_node_new(s->q, QUERY_AND)))
            return SM_ENOMEM;
        (*out)->child = list;
    }
    return 0;
}

/* *out NULL: an empty group. */
static int parse_or(parser *s, query_node **out)
{
    query_node *list = NULL, **end = &list;
    s->depth++;
    for (;;) {
        const char *at = s->p;
        int err = parse_and(s, end);
        if (err < 0)
            return err;
        const bool more = *s->p == '|' || keyword(s, "OR");
        if (!*end && (more || list))
            return refuse(s, at, "nothing to find on one side of |");
        if (*end)
            end = &(*end)->next;
        if (!more)
            break;
        s->p += *s->p == '|' ? 1 : 2;
    }
    s->depth--;
    if (list && list->next) {
        if (!(*out = query_node_new(s->q, QUERY_OR)))
            return SM_ENOMEM;
        (*out)->child = list;
    } else
        *out = list;
    return 0;
}

/* ---- tidying: groups of none, of one, in groups of the same kind ---- */

/* NULL: nothing is in it. */
static query_node *tidy(query_node *n)
{
    if (!n || n->kind > QUERY_OR)
        return n;
    query_node **at = &n->child;
    while (*at) {
        query_node *next = (*at)->next, *child = tidy(*at);
        if (!child)
            *at = next;
        else if (child->kind == n->kind && !child->negated) { /* its children take its place */
            query_node *last = child->child;
            while (last->next)
                last = last->next;
            last->next = next;
            *at = child->child;
            at = &last->next;
        } else {
            child->next = next;
            *at = child;
            at = &child->next;
        }
    }
    if (n->child && !n->child->next) {
        query_node *only = n->child;
        only->negated ^= n->negated;
        return only;
    }
    return n->child ? n : NULL;
}

static void number_leaves(query *q, query_node *n)
{
    for (; n; n = n->next)
        if (n->child)
            number_leaves(q, n->child);
        else
            n->index = q->n_leaves++;
}

int query_parse(const char *text, const thesaurus *t, query **out)
{
    *out = NULL;
    const size_t length = strlen(text);
    if (length > MOST_BYTES)
        return sm_fail(SM_ELIMIT, "the query has %zu bytes; at most %d are read", length, MOST_BYTES);
    if (!sm_utf8_valid(text, length))
        return sm_fail(SM_EUSAGE, "the query is not UTF-8");
    query *q = sm_alloc_zero(1, sizeof *q);
    parser s = { .start = text, .p = text, .q = q };
    int err = q && (q->arena = sm_arena_new()) ? 0 : SM_ENOMEM;
    if (err == 0)
        err = parse_or(&s, &q->root);
    if (err == 0 && *s.p)
        err = refuse(&s, s.p, "a ) that nothing opened; a word with one in it is written in quotes");
    for (bool changed = true; changed && err == 0;) {
        q->root = tidy(q->root);
        changed = false;
        err = query_understand_words(q, t, &q->root, &changed);
    }
    if (err < 0) {
        query_free(q);
        return err;
    }
    number_leaves(q, q->root);
    *out = q;
    return 0;
}

void query_free(query *q)
{
    if (!q)
        return;
    sm_strings_free(&q->notes);
    sm_arena_free(q->arena);
    sm_free(q);
}

/* ---- instructions, also from a program's options ---- */

int query_add_sort(query *q, const char *text)
{
    static const char *const others[] = { "score", "similarity", "path" };
    while (*text) {
        char name[64];
        size_t n = strcspn(text, ",");
        query_field f = { .name = NULL };
        if (q->n_sorts == QUERY_MOST_SORTS)
            return sm_fail(SM_ELIMIT, "sort: at most %d fields", QUERY_MOST_SORTS);
        if (n == 0 || n >= sizeof name)
            return sm_fail(SM_EUSAGE, "sort:%.60s: expected fields, such as brightness- or bpm", text);
        memcpy(name, text, n);
        name[n] = 0;
        text += n + (text[n] == ',');
        const bool descending = name[n - 1] == '-';
        if (descending || name[n - 1] == '+')
            name[n - 1] = 0;
        for (size_t i = 0; i < SM_LENGTH(others); i++)
            if (!strcasecmp(name, others[i]))
                f = (query_field){ .name = others[i], .type = QUERY_SORT, .unit = "" };
        if (!f.name && !query_field_find(name, &f))
            return query_field_unknown(name);
        if (f.type != QUERY_SORT && !query_field_sorts(&f))
            return sm_fail(SM_EUSAGE, "sort:%s: this field has no order", name);
        q->sorts[q->n_sorts].field = f;
        q->sorts[q->n_sorts++].descending = descending;
    }
    return 0;
}

int query_add_aspects(query *q, const char *text)
{
    while (*text) {
        char part[64];
        const size_t n = strcspn(text, ",");
        if (q->n_aspects == QUERY_MOST_ASPECTS)
            return sm_fail(SM_ELIMIT, "by: at most %d aspects", QUERY_MOST_ASPECTS);
        if (n == 0 || n >= sizeof part)
            return sm_fail(SM_EUSAGE, "by:%.60s: expected aspects with weights, such as timbre=1,pitch=0", text);
        memcpy(part, text, n);
        part[n] = 0;
        text += n + (text[n] == ',');
        char *equals = strchr(part, '=');
        double weight = 1;
        if (equals)
            *equals = 0;
        if (!*part || (equals && !sm_parse_double(equals + 1, &weight)) || !(weight >= 0 && weight <= 1000))
            return sm_fail(SM_EUSAGE, "by:%s: the weight of an aspect is a number from 0 to 1000", part);
        if (part[strspn(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-0123456789")])
            return sm_fail(SM_EUSAGE, "by:%s: this is the name of no aspect", part);
        if (!(q->aspects[q->n_aspects].name = sm_arena_strdup(q->arena, part)))
            return SM_ENOMEM;
        q->aspects[q->n_aspects++].weight = weight;
    }
    return 0;
}
