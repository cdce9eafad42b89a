/* One search from text to hits. */
#include <math.h>
#include <string.h>

#include "library/search_internal.h"

int search_thesaurus(const sm_store *s, thesaurus **out)
{
    char *file = sm_printf_new("%s/thesaurus.csv", sm_store_folder(s));
    const int err = file ? thesaurus_open(file, out) : SM_ENOMEM;
    sm_free(file);
    return err;
}

static int take_options(search *r, const search_options *o)
{
    int err = o->sort ? query_add_sort(r->q, o->sort) : 0;
    if (err == 0 && o->by)
        err = query_add_aspects(r->q, o->by);
    if (err == 0 && o->like) {
        if (r->q->like)
            return sm_fail(SM_EUSAGE, "the query has a like: and so has the option");
        r->q->like = sm_arena_strdup(r->q->arena, o->like);
        err = r->q->like ? 0 : SM_ENOMEM;
    }
    if (err == 0 && r->q->n_aspects > 0 && !r->q->like)
        return sm_fail(SM_EUSAGE, "by: says what likeness means, and nothing says like what: like:FILE");
    for (size_t i = 0; i < r->q->n_sorts && err == 0; i++)
        if (!strcmp(r->q->sorts[i].field.name, "similarity") && !r->q->like)
            err = sm_fail(SM_EUSAGE, "sort:similarity needs like:FILE");
    return err;
}

static int find_alive(search *r)
{
    float *live = NULL;
    int err = sm_store_column(r->store, "live", &live, &r->n);
    r->n_bits = (r->n + 63) / 64;
    r->alive = err == 0 ? sm_alloc_zero(r->n_bits + 1, sizeof *r->alive) : NULL;
    if (err == 0 && !r->alive)
        err = SM_ENOMEM;
    for (size_t i = 0; i < r->n && err == 0 && live; i++)
        if (live[i] > 0)
            search_set(r->alive, i);
    sm_free(live);
    return err;
}

static int prepare(search *r, const search_options *o)
{
    const int threads = o->threads > 0 ? o->threads : SM_CLAMP(sm_cpu_count(), 1, 8);
    int err = sm_store_columns_refresh(r->store, r->words, false);
    if (err == 0)
        err = sm_pool_new(threads, &r->pool);
    if (err == 0)
        err = find_alive(r);
    if (err == 0)
        err = sm_store_column_texts(r->store, r->arena, &r->texts, &r->n_texts);
    if (err == 0) {
        r->leaves = sm_arena_zero(r->arena, r->q->n_leaves + 1, sizeof *r->leaves);
        err = r->leaves ? 0 : SM_ENOMEM;
    }
    return err;
}

static void count_found(search *r)
{
    r->count = 0;
    for (size_t i = 0; i < r->n; i++)
        r->count += search_bit(r->found, i);
}

int search_run(sm_store *s, const char *text, const search_options *o, search **out)
{
    *out = NULL;
    search *r = sm_alloc_zero(1, sizeof *r);
    int err = r && (r->arena = sm_arena_new()) ? 0 : SM_ENOMEM;
    if (err == 0) {
        r->store = s;
        err = search_thesaurus(s, &r->words);
    }
    if (err == 0)
        err = query_parse(text, o->no_thesaurus ? NULL : r->words, &r->q);
    if (err == 0)
        err = take_options(r, o);
    if (err == 0) {
        query_print(r->q, &r->understood);
        query_explain(r->q, &r->explained);
        sm_buffer_text(&r->understood, "");
        err = r->understood.failed || r->explained.failed ? SM_ENOMEM : prepare(r, o);
    }
    if (err == 0)
        err = search_eval(r);
    if (err == 0 && r->q->like)
        err = search_likeness(r);
    if (err == 0) {
        count_found(r);
        err = search_order(r, o);
    }
    if (err == 0)
        err = search_waiting(r, o);
    if (err < 0)
        search_free(r);
    else
        *out = r;
    return err;
}

void search_free(search *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_columns; i++) {
        sm_free(r->columns[i].values);
        rank_field_free(r->columns[i].rank);
    }
    for (size_t i = 0; r->leaves && i < r->q->n_leaves; i++)
        sm_free(r->leaves[i].text);
    rank_groups_free(&r->groups);
    sm_free(r->columns);
    sm_free(r->alive);
    sm_free(r->score);
    sm_free(r->similarity);
    sm_free(r->found);
    sm_free(r->cursor);
    sm_buffer_free(&r->understood);
    sm_buffer_free(&r->explained);
    sm_pool_free(r->pool);
    query_free(r->q);
    thesaurus_free(r->words);
    sm_arena_free(r->arena);
    sm_free(r);
}

size_t search_count(const search *r)
{
    return r->count;
}

size_t search_waiting_count(const search *r)
{
    return r->n_waiting;
}

size_t search_hits(const search *r)
{
    return r->n_hits;
}

const search_hit *search_hit_at(const search *r, size_t i)
{
    return i < r->n_hits ? &r->hits[i] : NULL;
}

typedef struct {
    search *r;
    search_path_fn fn;
    void *user;
} path_walk;

static int give_path(void *user, const char *folder, const char *name)
{
    const path_walk *w = user;
    if (!search_place_passes(w->r, folder))
        return 0;
    char *path = sm_printf_new("%s/%s", strcmp(folder, "/") ? folder : "", name);
    const int err = path ? w->fn(w->user, path) : SM_ENOMEM;
    sm_free(path);
    return err;
}

int search_each_path(search *r, search_path_fn fn, void *user)
{
    path_walk w = { r, fn, user };
    int err = 0;
    for (size_t i = 0; i < r->n_hits && err >= 0; i++)
        err = sm_store_places(r->store, r->hits[i].content, give_path, &w);
    return err;
}

const char *search_cursor(const search *r)
{
    return r->cursor;
}

const char *search_understood(const search *r)
{
    return r->understood.data;
}

const char *search_explained(const search *r)
{
    return r->explained.data;
}

bool search_approximate(const search *r)
{
    return r->approximate;
}
