/* Saying why a hit is where it is, and a hit as values and JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "library/search_internal.h"

/* ---- why ---- */

static const char *ordinal(int n)
{
    static const char *const endings[] = { "th", "st", "nd", "rd" };
    return n % 100 >= 11 && n % 100 <= 13 ? "th" : n % 10 < 4 ? endings[n % 10] : "th";
}

static const char *text_of(search *r, const char *column, size_t i)
{
    const float *values = NULL;
    if (search_column_get(r, column, &values) < 0 || !values || isnan(values[i]) || (size_t)values[i] >= r->n_texts)
        return NULL;
    return r->texts[(size_t)values[i]];
}

static void say_rank(search *r, const search_term *t, size_t i, sm_buffer *out)
{
    const float q = rank_of(t->rank, &r->groups, i);
    const int percent = (int)lroundf(100 * q);
    const rank_among among = rank_group_of(t->rank, &r->groups, i);
    const char *group = among == RANK_AMONG_CLASS  ? text_of(r, "instrument", i)
                        : among == RANK_AMONG_KIND ? text_of(r, "kind", i)
                                                   : NULL;
    sm_buffer_printf(out, "%s %d%s percentile of %s", t->row->target, percent, ordinal(percent), group ? group : "all");
}

static void say_term(search *r, const search_term *t, size_t i, sm_buffer *out)
{
    char number[32];
    const float value = t->values ? t->values[i] : NAN;
    if (isnan(value))
        return;
    if (t->row->kind == THESAURUS_DESCRIPTOR && t->rank) {
        sm_buffer_text(out, out->length > 0 ? ", " : "");
        say_rank(r, t, i, out);
        return;
    }
    if (t->row->kind != THESAURUS_DESCRIPTOR && value < 0.005f)
        return;
    sm_buffer_text(out, out->length > 0 ? ", " : "");
    if (t->codes) {
        const char *text = (size_t)value < r->n_texts ? r->texts[(size_t)value] : NULL;
        sm_buffer_printf(out, "%s %s", t->row->target, text ? text : "");
    } else if (t->row->kind == THESAURUS_DESCRIPTOR) {
        sm_format_f32(value, number);
        sm_buffer_printf(out, "%s %s", t->row->target, number);
    } else
        sm_buffer_printf(out, "%s %.2f", t->row->target, (double)value);
}

static const char *where_text(const search_leaf *leaf, size_t i)
{
    const uint8_t level = leaf->text ? leaf->text[i] : 0;
    return level > 75 ? "in its tags" : level > 50 ? "in its name" : level > 0 ? "in its folder" : NULL;
}

static double leaf_score(const search *r, const search_leaf *leaf, size_t i, sm_buffer *by, search *mutable)
{
    const char *where = where_text(leaf, i);
    if (where)
        sm_buffer_text(by, where);
    for (size_t k = 0; k < leaf->n_terms; k++)
        say_term(mutable, &leaf->terms[k], i, by);
    const float text = search_text_score(leaf, i), meaning = leaf->n_terms > 0 ? search_meaning(r, leaf, i) : 0;
    return (double)SM_MAX(text, meaning);
}

static int say_target(search *r, const query_node *n, size_t i, sm_buffer *by, double *score)
{
    const float *values = NULL;
    const int err = search_column_get(r, n->field.name, &values);
    *score = 0;
    for (size_t k = 0; k < n->n_spans && err == 0 && values; k++)
        *score = SM_MAX(*score, query_span_nearness(&n->field, &n->spans[k], (double)values[i]));
    if (err == 0 && values && !isnan(values[i])) {
        char number[32];
        sm_format_f32(values[i], number);
        sm_buffer_printf(by, "%s %s", n->field.name, number);
    }
    return err;
}

static bool is_target(const query_node *n)
{
    for (size_t k = 0; n->kind == QUERY_TEST && k < n->n_spans; k++)
        if (query_span_is_target(&n->field, &n->spans[k]))
            return true;
    return false;
}

/* ---- the user's word ---- */

typedef struct {
    sm_buffer names;
    const char *field; /* that is looked for, or NULL */
    bool found;
} correction_list;

static int note_correction(void *user, int64_t content, const char *field, const char *value, double time_s)
{
    correction_list *l = user;
    (void)content;
    (void)value;
    (void)time_s;
    l->found |= l->field && !strcmp(l->field, field);
    sm_buffer_printf(&l->names, "%s%s", l->names.length > 0 ? "," : "", field);
    return l->names.failed ? SM_ENOMEM : 0;
}

/* "instrument,key": what of this hit the user said; NULL: nothing. */
static int corrected_text(search *r, size_t i, const char **text)
{
    correction_list l = { .field = NULL };
    *text = NULL;
    int err = r->hits[i].content > 0 ? sm_store_corrections_of(r->store, r->hits[i].content, note_correction, &l) : 0;
    if (err == 0 && l.names.length > 0 && !(*text = sm_arena_strdup(r->arena, l.names.data)))
        err = SM_ENOMEM;
    sm_buffer_free(&l.names);
    return err;
}

/* Where a word or target was judged by what the user said. */
static int say_user(search *r, size_t content, const query_node *n, sm_buffer *by)
{
    int err = 0;
    bool any = false;
    for (size_t k = 0; n->meaning && k < n->meaning->n_rows && err == 0 && !any; k++) {
        const thesaurus_row *row = &n->meaning->rows[k];
        correction_list l = { .field = row->kind == THESAURUS_CLASS        ? "instrument"
                                       : row->kind == THESAURUS_DESCRIPTOR ? row->target
                                                                           : NULL };
        if (l.field)
            err = sm_store_corrections_of(r->store, (int64_t)content, note_correction, &l);
        any = l.found;
        sm_buffer_free(&l.names);
    }
    if (n->kind == QUERY_TEST) {
        correction_list l = { .field = n->field.name };
        err = sm_store_corrections_of(r->store, (int64_t)content, note_correction, &l);
        any = l.found;
        sm_buffer_free(&l.names);
    }
    if (any)
        sm_buffer_text(by, by->length > 0 ? " (your word)" : "your word");
    return err;
}

int search_why(search *r, size_t hit, search_why_fn fn, void *user)
{
    const size_t i = (size_t)r->hits[hit].content;
    int err = 0;
    if (i == 0)
        return fn(user, "name", r->hits[hit].score, "not analysed yet; found by its name");
    for (size_t k = 0; k < r->q->n_leaves && err == 0; k++) {
        const search_leaf *leaf = &r->leaves[k];
        const query_node *n = leaf->node;
        sm_buffer by = { 0 }, item = { 0 };
        double score = 0;
        if (!n || (n->kind == QUERY_TEST && !is_target(n)))
            continue;
        if (n->kind == QUERY_TEST)
            err = say_target(r, n, i, &by, &score);
        else
            score = leaf_score(r, leaf, i, &by, r);
        if (err == 0)
            err = say_user(r, i, n, &by);
        sm_buffer_printf(&item, "%s%s", n->negated ? "-" : "", n->kind == QUERY_TEST ? n->field.name : n->text);
        if (err == 0)
            err = by.failed || item.failed
                      ? SM_ENOMEM
                      : fn(user, item.data, n->negated ? 1 - score : score, by.data ? by.data : "");
        sm_buffer_free(&by);
        sm_buffer_free(&item);
    }
    return err;
}

/* ---- values ---- */

int search_value(search *r, size_t i, const char *field, double *number, const char **text)
{
    query_field f;
    const float *values = NULL;
    const size_t id = (size_t)r->hits[i].content;
    *number = NAN;
    *text = NULL;
    if (!strcmp(field, "corrected"))
        return corrected_text(r, i, text);
    if (!strcmp(field, "score") || !strcmp(field, "similarity")) {
        *number = *field == 's' && field[1] == 'c' ? r->hits[i].score : r->hits[i].similarity;
        return 0;
    }
    if (!strcmp(field, "copies") || !strcmp(field, "id")) {
        *number = *field == 'c' ? (double)r->hits[i].copies : id > 0 ? (double)id : (double)NAN;
        return 0;
    }
    if (!strcmp(field, "path")) {
        *text = r->hits[i].path;
        return 0;
    }
    const bool own = sm_property_find(field) != NULL; /* also key_camelot and note_name, which queries fold into one */
    if (!own && (!query_field_find(field, &f) || f.type > QUERY_NOTE))
        return query_field_unknown(field);
    if (id == 0) { /* not analysed yet: only its size is known */
        if (own && !strcmp(sm_property_find(field)->name, "file_bytes"))
            *number = (double)r->hits[i].bytes;
        return 0;
    }
    const char *name = own ? sm_property_find(field)->name : f.type == QUERY_NOTE ? "note_name" : f.name;
    const sm_property *p = sm_property_find(name);
    if (p && p->text) {
        *text = text_of(r, name, id);
        return 0;
    }
    const int err = search_column_get(r, name, &values);
    if (err == 0 && values)
        *number = (double)values[id];
    return err;
}

/* ---- as JSON ---- */

static int write_why(void *user, const char *item, double score, const char *by)
{
    sm_json *j = user;
    sm_json_begin_object(j);
    sm_json_key(j, "word");
    sm_json_string(j, item);
    sm_json_key(j, "score");
    sm_json_f32(j, score);
    sm_json_key(j, "by");
    sm_json_string(j, by);
    sm_json_end_object(j);
    return 0;
}

static int write_field(search *r, size_t i, const char *field, sm_json *j)
{
    double number;
    const char *text;
    const sm_property *p = sm_property_find(field);
    const int err = search_value(r, i, field, &number, &text);
    if (err < 0)
        return err;
    sm_json_key(j, field);
    if (text)
        sm_json_string(j, text);
    else if (p && p->unit && !strcmp(p->unit, "0 or 1") && !isnan(number))
        sm_json_bool(j, number > 0);
    else
        sm_json_f32(j, number);
    return 0;
}

/* Only where there is something: "corrected":["instrument"]. */
static int write_corrected(search *r, size_t i, sm_json *j)
{
    const char *text = NULL;
    const int err = corrected_text(r, i, &text);
    if (err < 0 || !text)
        return err;
    sm_json_key(j, "corrected");
    sm_json_begin_array(j);
    for (const char *p = text; *p;) {
        char name[64];
        const size_t n = strcspn(p, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, p);
        sm_json_string(j, name);
        p += n + (p[n] == ',');
    }
    sm_json_end_array(j);
    return 0;
}

int search_hit_json(search *r, size_t i, const char *const *fields, size_t n_fields, bool why, sm_json *j)
{
    static const char *const usual[] = { "kind", "duration_s", "instrument",    "bpm",
                                         "key",  "note_name",  "loudness_lufs", "brightness" };
    const search_hit *h = &r->hits[i];
    int err = 0;
    sm_json_begin_object(j);
    if (!fields && h->content == 0) {
        sm_record_write_path(j, h->path);
        sm_json_key(j, "analysed");
        sm_json_bool(j, false);
        sm_json_key(j, "score");
        sm_json_f32(j, h->score);
        sm_json_key(j, "file_bytes");
        sm_json_int(j, h->bytes);
    } else if (!fields) {
        sm_record_write_path(j, h->path);
        sm_json_key(j, "id");
        sm_json_int(j, h->content);
        sm_json_key(j, "score");
        sm_json_f32(j, h->score);
        if (!isnan(h->similarity)) {
            sm_json_key(j, "similarity");
            sm_json_f32(j, h->similarity);
        }
        if (h->copies > 1) {
            sm_json_key(j, "copies");
            sm_json_int(j, (int64_t)h->copies);
        }
        fields = usual;
        n_fields = SM_LENGTH(usual);
    }
    for (size_t k = 0; k < n_fields && err == 0; k++)
        err = write_field(r, i, fields[k], j);
    if (err == 0 && fields == usual)
        err = write_corrected(r, i, j);
    if (err == 0 && why) {
        sm_json_key(j, "why");
        sm_json_begin_array(j);
        err = search_why(r, i, write_why, j);
        sm_json_end_array(j);
    }
    sm_json_end_object(j);
    return err;
}
