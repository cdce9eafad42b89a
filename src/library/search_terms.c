/* What one word means for each sound: the rows of the thesaurus applied to columns, and where its text stands. docs/search.md has the
 * formula. */
#include <math.h>
#include <string.h>

#include "library/search_internal.h"
#include "library/words.h"

/* ---- columns ---- */

static int find_column(search *r, const char *name, search_column **out)
{
    size_t n;
    for (size_t i = 0; i < r->n_columns; i++)
        if (!strcmp(r->columns[i].name, name)) {
            *out = &r->columns[i];
            return 0;
        }
    *out = NULL;
    if (sm_grow(&r->columns, &r->c_columns, r->n_columns + 1, sizeof *r->columns) < 0)
        return SM_ENOMEM;
    search_column c = { .name = sm_arena_strdup(r->arena, name) };
    int err = c.name ? sm_store_column(r->store, name, &c.values, &n) : SM_ENOMEM;
    if (err < 0)
        return err;
    if (n < r->n || !c.values) { /* not kept, or the library has shrunk meanwhile */
        sm_free(c.values);
        c.values = NULL;
    }
    r->columns[r->n_columns] = c;
    *out = &r->columns[r->n_columns++];
    return 0;
}

int search_column_get(search *r, const char *name, const float **values)
{
    search_column *c;
    const int err = find_column(r, name, &c);
    *values = err == 0 ? c->values : NULL;
    return err;
}

int search_rank_get(search *r, const char *name, const rank_field **out)
{
    const float *classes = NULL, *kinds = NULL;
    search_column *c;
    int err = 0;
    *out = NULL;
    if (!r->grouped) {
        err = search_column_get(r, "instrument", &classes);
        if (err == 0)
            err = search_column_get(r, "kind", &kinds);
        if (err == 0)
            err = rank_groups_make(classes, kinds, r->alive, r->n, &r->groups);
        r->grouped = err == 0;
    }
    if (err == 0)
        err = find_column(r, name, &c);
    if (err == 0 && c->values && !c->rank)
        err = rank_field_new(&r->groups, c->values, &c->rank);
    if (err == 0)
        *out = c->rank;
    return err;
}

/* ---- terms ---- */

static int value_codes(search *r, const char *wanted, const uint8_t **out)
{
    uint8_t *codes = sm_arena_get(r->arena, r->n_texts + 1, 1, 1);
    if (!codes)
        return SM_ENOMEM;
    for (size_t i = 0; i < r->n_texts; i++)
        codes[i] = r->texts[i] && query_text_matches(r->texts[i], wanted);
    *out = codes;
    return 0;
}

static int descriptor_term(search *r, const thesaurus_row *row, search_term *t)
{
    query_field f;
    int err = 0;
    if (!query_field_find(row->target, &f)) /* of a user's own table */
        return 0;
    if (row->direction == THESAURUS_VALUE)
        err = value_codes(r, row->value, &t->codes);
    else if (row->direction != THESAURUS_RANGE && f.type != QUERY_BOOLEAN)
        err = search_rank_get(r, f.name, &t->rank);
    return err < 0 ? err : search_column_get(r, f.name, &t->values);
}

int search_terms(search *r, search_leaf *leaf)
{
    const thesaurus_word *word = leaf->node->meaning;
    char name[256];
    int err = 0;
    leaf->terms = sm_arena_zero(r->arena, word->n_rows + 1, sizeof *leaf->terms);
    if (!leaf->terms)
        return SM_ENOMEM;
    for (size_t i = 0; i < word->n_rows && err == 0; i++) {
        const thesaurus_row *row = &word->rows[i];
        search_term t = { .row = row };
        if (row->kind == THESAURUS_TEXT)
            continue;
        if (row->kind == THESAURUS_DESCRIPTOR)
            err = descriptor_term(r, row, &t);
        else {
            snprintf(name, sizeof name, "%s:%.200s", thesaurus_kind_name(row->kind), row->target);
            err = search_column_get(r, name, &t.values);
        }
        leaf->terms[leaf->n_terms++] = t;
    }
    return err;
}

/* 1 inside, falling to 0 over a fifth of the width outside; of an open range, a fifth of its end. */
static float in_range(const thesaurus_row *row, float value)
{
    const double v = (double)value, width = isfinite(row->low) && isfinite(row->high) ? row->high - row->low
                                            : isfinite(row->low)                      ? fabs(row->low)
                                                                                      : fabs(row->high);
    const double out = v < row->low ? row->low - v : v > row->high ? v - row->high : 0;
    if (out == 0)
        return 1;
    return width > 0 ? (float)SM_MAX(1 - out / (0.2 * width), 0) : 0;
}

/* 0..1, NAN: not known. */
static float descriptor_part(const search *r, const search_term *t, size_t i)
{
    const float value = t->values ? t->values[i] : NAN;
    if (isnan(value))
        return NAN;
    if (t->codes)
        return (size_t)value < r->n_texts && t->codes[(size_t)value];
    if (t->row->direction == THESAURUS_RANGE)
        return in_range(t->row, value);
    const float q = t->rank ? rank_of(t->rank, &r->groups, i) : value;
    return t->row->direction == THESAURUS_LESS ? 1 - q : q;
}

float search_meaning(const search *r, const search_leaf *leaf, size_t i)
{
    float class = -1, output = -1, sum = 0, weights = 0, surest = 0;
    for (size_t k = 0; k < leaf->n_terms; k++) {
        const search_term *t = &leaf->terms[k];
        const float weight = (float)t->row->weight;
        if (t->row->kind == THESAURUS_DESCRIPTOR) {
            const float part = descriptor_part(r, t, i);
            surest = SM_MAX(surest, weight);
            if (isnan(part))
                continue;
            sum += weight * part;
            weights += weight;
            continue;
        }
        const float value = t->values ? t->values[i] : NAN, part = isnan(value) ? 0 : weight * value;
        if (t->row->kind == THESAURUS_CLASS)
            class = SM_MAX(class, part);
        else
            output = SM_MAX(output, part);
    }
    const float descriptors = weights > 0 ? sum / weights : 0;
    if (class >= 0)
        return SM_MAX(surest > 0 ? class * (0.5f + 0.5f * descriptors) : class, output);
    return output >= 0 ? SM_MAX(output, surest * descriptors) : descriptors;
}

float search_text_score(const search_leaf *leaf, size_t i)
{
    return leaf->text ? (float)leaf->text[i] / 100 : 0;
}

bool search_names_class(const query_node *n)
{
    for (size_t i = 0; n->meaning && i < n->meaning->n_rows; i++)
        if (n->meaning->rows[i].kind == THESAURUS_CLASS)
            return true;
    return false;
}
