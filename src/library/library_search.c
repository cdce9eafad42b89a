/* sm_library_search: a search as other programs see it. */
#include <math.h>
#include <string.h>

#include "library/library.h"
#include "library/scan.h"
#include "library/search.h"

struct sm_search {
    search *answer;
    sm_buffer json;
    sm_strings fields;
    bool why;
};

void sm_search_options_init(sm_search_options *o)
{
    *o = (sm_search_options){ .size = sizeof *o, .limit = 50 };
}

static int split_fields(const char *list, sm_strings *out)
{
    int err = 0;
    while (list && *list && err == 0) {
        const size_t n = strcspn(list, ",");
        if (n > 0)
            err = sm_strings_add_n(out, list, n);
        list += n + (list[n] == ',');
    }
    return err;
}

/* Wrong names are told before anything is looked for. */
static int check_fields(const sm_strings *fields)
{
    static const char *const others[] = { "path", "id", "score", "similarity", "copies", "corrected" };
    for (size_t i = 0; i < fields->length; i++) {
        query_field f;
        bool known =
            sm_property_find(fields->items[i]) || (query_field_find(fields->items[i], &f) && f.type <= QUERY_NOTE);
        for (size_t k = 0; k < SM_LENGTH(others) && !known; k++)
            known = !strcmp(fields->items[i], others[k]);
        if (!known)
            return query_field_unknown(fields->items[i]);
    }
    return 0;
}

int sm_library_search(sm_library *l, const char *text, const sm_search_options *options, sm_search **out)
{
    sm_search_options o;
    *out = NULL;
    sm_search_options_init(&o);
    if (options)
        memcpy(&o, options, SM_MIN(options->size, sizeof o));
    sm_search *s = sm_alloc_zero(1, sizeof *s);
    int err = s ? split_fields(o.fields, &s->fields) : SM_ENOMEM;
    if (err == 0)
        err = check_fields(&s->fields);
    if (err == 0) {
        const search_options inner = { .limit = o.limit,
                                       .cursor = o.cursor,
                                       .no_thesaurus = o.no_thesaurus,
                                       .sort = o.sort,
                                       .like = o.like,
                                       .by = o.by,
                                       .threads = o.threads };
        s->why = o.why;
        err = search_run(sm_library_store(l), text, &inner, &s->answer);
    }
    if (err < 0)
        sm_search_free(s);
    else
        *out = s;
    return err;
}

void sm_search_free(sm_search *s)
{
    if (!s)
        return;
    search_free(s->answer);
    sm_buffer_free(&s->json);
    sm_strings_free(&s->fields);
    sm_free(s);
}

size_t sm_search_count(const sm_search *s)
{
    return search_count(s->answer);
}

size_t sm_search_waiting(const sm_search *s)
{
    return search_waiting_count(s->answer);
}

int sm_search_analysed(const sm_search *s, size_t i)
{
    const search_hit *h = search_hit_at(s->answer, i);
    return h && h->content > 0;
}

size_t sm_search_hits(const sm_search *s)
{
    return search_hits(s->answer);
}

const char *sm_search_path(const sm_search *s, size_t i)
{
    const search_hit *h = search_hit_at(s->answer, i);
    return h ? h->path : NULL;
}

double sm_search_score(const sm_search *s, size_t i)
{
    const search_hit *h = search_hit_at(s->answer, i);
    return h ? h->score : (double)NAN;
}

double sm_search_similarity(const sm_search *s, size_t i)
{
    const search_hit *h = search_hit_at(s->answer, i);
    return h ? h->similarity : (double)NAN;
}

int sm_search_value(sm_search *s, size_t i, const char *field, double *number, const char **text)
{
    double own_number;
    const char *own_text;
    double *as_number = number ? number : &own_number;
    const char **as_text = text ? text : &own_text;
    *as_number = NAN;
    *as_text = NULL;
    if (i >= search_hits(s->answer))
        return sm_fail(SM_EUSAGE, "hit %zu of %zu", i, search_hits(s->answer));
    return search_value(s->answer, i, field, as_number, as_text);
}

int sm_search_json(sm_search *s, size_t i, const char **json)
{
    sm_json j;
    *json = NULL;
    if (i >= search_hits(s->answer))
        return sm_fail(SM_EUSAGE, "hit %zu of %zu", i, search_hits(s->answer));
    s->json.length = 0;
    sm_json_init(&j, &s->json, false);
    int err = search_hit_json(s->answer, i, s->fields.length > 0 ? (const char *const *)s->fields.items : NULL,
                              s->fields.length, s->why, &j);
    if (err == 0 && s->json.failed)
        err = sm_fail(SM_ENOMEM, "no memory for a hit");
    if (err == 0)
        *json = s->json.data;
    return err;
}

int sm_search_each_why(sm_search *s, size_t i, sm_search_why_fn fn, void *user)
{
    if (i >= search_hits(s->answer))
        return sm_fail(SM_EUSAGE, "hit %zu of %zu", i, search_hits(s->answer));
    return search_why(s->answer, i, fn, user);
}

const char *sm_search_cursor(const sm_search *s)
{
    return search_cursor(s->answer);
}

const char *sm_search_understood(const sm_search *s)
{
    return search_understood(s->answer);
}

const char *sm_search_explained(const sm_search *s)
{
    return search_explained(s->answer);
}

int sm_search_approximate(const sm_search *s)
{
    return search_approximate(s->answer);
}

int sm_library_each_found(sm_library *l, const char *text, sm_path_fn fn, void *user)
{
    const search_options all = { .limit = 0 };
    search *found = NULL;
    int err = search_run(sm_library_store(l), text, &all, &found);
    if (err == 0)
        err = search_each_path(found, fn, user);
    search_free(found);
    return err;
}

int sm_library_thesaurus(sm_buffer *csv)
{
    thesaurus *t = NULL;
    const int err = thesaurus_open(NULL, &t);
    if (err == 0)
        thesaurus_csv(t, csv);
    thesaurus_free(t);
    return err < 0 ? err : csv->failed ? SM_ENOMEM : 0;
}
