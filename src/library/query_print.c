/* The tree as a query again, and in words. */
#include <string.h>

#include "library/query.h"

/* ---- as a query ---- */

static void print_quoted(const char *text, sm_buffer *out)
{
    sm_buffer_text(out, "\"");
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            sm_buffer_text(out, "\"");
        sm_buffer_add(out, p, 1);
    }
    sm_buffer_text(out, "\"");
}

static void print_node(const query_node *n, sm_buffer *out);

static void print_children(const query_node *n, const char *between, sm_buffer *out)
{
    for (const query_node *child = n->child; child; child = child->next) {
        const bool group = child->child && !child->negated && (n->kind == QUERY_AND || child->kind == QUERY_OR);
        if (child != n->child)
            sm_buffer_text(out, between);
        sm_buffer_text(out, group ? "(" : "");
        print_node(child, out);
        sm_buffer_text(out, group ? ")" : "");
    }
}

static void print_node(const query_node *n, sm_buffer *out)
{
    if (n->negated)
        sm_buffer_text(out, "-");
    if (n->child) {
        sm_buffer_text(out, n->negated ? "(" : "");
        print_children(n, n->kind == QUERY_AND ? " " : " | ", out);
        sm_buffer_text(out, n->negated ? ")" : "");
    } else if (n->kind == QUERY_WORD)
        sm_buffer_text(out, n->text);
    else if (n->kind == QUERY_PHRASE)
        print_quoted(n->text, out);
    else {
        sm_buffer_printf(out, "%s:", n->field.name);
        for (size_t i = 0; i < n->n_spans; i++) {
            sm_buffer_text(out, i > 0 ? "|" : "");
            query_span_print(&n->field, &n->spans[i], out);
        }
    }
}

static void print_instructions(const query *q, sm_buffer *out)
{
    const char *blank = out->length > 0 ? " " : "";
    char weight[32];
    if (q->like) {
        sm_buffer_printf(out, "%slike:", blank);
        print_quoted(q->like, out);
        blank = " ";
    }
    for (size_t i = 0; i < q->n_aspects; i++) {
        sm_format_f64(q->aspects[i].weight, weight);
        sm_buffer_printf(out, "%s%s=%s", i > 0 ? "," : *blank ? " by:" : "by:", q->aspects[i].name, weight);
        blank = " ";
    }
    for (size_t i = 0; i < q->n_sorts; i++)
        sm_buffer_printf(out, "%s%s%s",
                         i > 0    ? ","
                         : *blank ? " sort:"
                                  : "sort:",
                         q->sorts[i].field.name, q->sorts[i].descending ? "-" : "");
}

void query_print(const query *q, sm_buffer *out)
{
    sm_buffer text = { 0 };
    sm_buffer_text(&text, "");
    if (q->root)
        print_node(q->root, &text);
    print_instructions(q, &text);
    sm_buffer_add(out, text.data ? text.data : "", text.length);
    out->failed |= text.failed;
    sm_buffer_free(&text);
}

/* ---- in words ---- */

static void say_row(const thesaurus_row *r, sm_buffer *out)
{
    char weight[32];
    sm_format_f64(r->weight, weight);
    if (r->kind == THESAURUS_TEXT)
        sm_buffer_printf(out, "also \"%s\"", r->target);
    else if (r->kind == THESAURUS_DESCRIPTOR && r->direction <= THESAURUS_LESS)
        sm_buffer_printf(out, "%s %s", r->direction == THESAURUS_MORE ? "more" : "less", r->target);
    else if (r->kind == THESAURUS_DESCRIPTOR)
        sm_buffer_printf(out, "%s %s", r->target, r->as_written);
    else
        sm_buffer_printf(out, "%s %s", thesaurus_kind_name(r->kind), r->target);
    if (r->weight < 1)
        sm_buffer_printf(out, " (%s)", weight);
}

static void explain_leaf(const query_node *n, sm_buffer *out)
{
    if (n->kind == QUERY_PHRASE)
        sm_buffer_printf(out, "the text \"%s\"", n->text);
    else if (n->kind == QUERY_WORD && !n->meaning)
        sm_buffer_printf(out, "\"%s\": in name, folder, tags", n->text);
    else if (n->kind == QUERY_WORD) {
        sm_buffer_printf(out, "\"%s\": in name, folder, tags; ", n->text);
        for (size_t i = 0; i < n->meaning->n_rows; i++) {
            sm_buffer_text(out, i > 0 ? ", " : "");
            say_row(&n->meaning->rows[i], out);
        }
    } else {
        sm_buffer_printf(out, "%s ", n->field.name);
        for (size_t i = 0; i < n->n_spans; i++) {
            sm_buffer_text(out, i > 0 ? ", or " : "");
            query_span_say(&n->field, &n->spans[i], out);
        }
    }
}

static void explain_node(const query_node *n, size_t depth, sm_buffer *out)
{
    sm_buffer_printf(out, "%*s%s", (int)(2 * depth), "", n->negated ? "not " : "");
    if (!n->child)
        explain_leaf(n, out);
    else
        sm_buffer_text(out, n->kind == QUERY_AND ? "all of" : "any of");
    sm_buffer_text(out, "\n");
    for (const query_node *child = n->child; child; child = child->next)
        explain_node(child, depth + 1, out);
}

void query_explain(const query *q, sm_buffer *out)
{
    if (!q->root)
        sm_buffer_text(out, "every sound\n");
    else if (q->root->kind == QUERY_AND && !q->root->negated)
        for (const query_node *child = q->root->child; child; child = child->next)
            explain_node(child, 0, out);
    else
        explain_node(q->root, 0, out);
    if (q->like)
        sm_buffer_printf(out, "ordered by likeness to %s", q->like);
    for (size_t i = 0; i < q->n_aspects; i++)
        sm_buffer_printf(out, "%s%s %g",
                         i > 0     ? ", "
                         : q->like ? " by "
                                   : "likeness by ",
                         q->aspects[i].name, q->aspects[i].weight);
    if (q->like || q->n_aspects > 0)
        sm_buffer_text(out, "\n");
    for (size_t i = 0; i < q->n_sorts; i++)
        sm_buffer_printf(out, "%s%s%s", i > 0 ? ", then " : "ordered by ", q->sorts[i].field.name,
                         q->sorts[i].descending ? ", largest first" : "");
    if (q->n_sorts > 0)
        sm_buffer_text(out, "\n");
    for (size_t i = 0; i < q->notes.length; i++)
        sm_buffer_printf(out, "note: %s\n", q->notes.items[i]);
}
