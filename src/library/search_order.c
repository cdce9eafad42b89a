/* The page of an answer: the best by the keys that were asked for, of equals the first by folder and name. Only what is shown, and what
 * ties at its edges, is looked up by path; the order is total, so that pages never repeat or skip. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "library/search_internal.h"

enum { MOST_KEYS = QUERY_MOST_SORTS, FEW = 4096 };

/* Smaller comes first; what is not known comes last. */
typedef struct {
    const float *values;
    const uint32_t *places; /* of texts: code -> place in the alphabet */
    bool descending;
} sort_key;

typedef struct {
    double key[MOST_KEYS];
    uint32_t id;
} candidate;

typedef struct {
    search *r;
    sort_key keys[MOST_KEYS];
    size_t n_keys;
    bool path_descending;
    candidate *all;
    size_t n;
} ordering;

/* ---- folders in queries ---- */

/* Case of ASCII aside, part by part: "Drums/Kicks/" is these two after each other, anywhere; the last part without its slash may go on. */
static size_t part_length(const char *p)
{
    return strcspn(p, "/");
}

static bool parts_match(const char *path, const char *wanted)
{
    while (*wanted) {
        const size_t n = part_length(wanted), there = part_length(path);
        const bool whole = wanted[n] == '/';
        if (n == 0) { /* doubled or leading slashes */
            wanted++;
            continue;
        }
        if (there < n || (whole && there != n) || strncasecmp(path, wanted, n) != 0)
            return false;
        wanted += n;
        path += there;
        path += *path == '/';
    }
    return true;
}

bool search_folder_matches(const char *folder, const char *wanted)
{
    while (*folder == '/')
        folder++;
    if (*wanted == '/')
        return parts_match(folder, wanted);
    while (*folder) {
        if (parts_match(folder, wanted))
            return true;
        folder += part_length(folder);
        while (*folder == '/')
            folder++;
    }
    return false;
}

static bool folder_passes(const query *q, const char *folder)
{
    const query_node *first = q->root && q->root->kind == QUERY_AND && !q->root->negated ? q->root->child : q->root;
    for (const query_node *n = first; n; n = n->next) {
        bool any = false;
        if (n->kind != QUERY_TEST || n->field.type != QUERY_FOLDER)
            continue;
        for (size_t k = 0; k < n->n_spans; k++)
            any |= search_folder_matches(folder, n->spans[k].text);
        if (any == n->negated)
            return false;
    }
    return true;
}

bool search_place_passes(const search *r, const char *folder)
{
    return folder_passes(r->q, folder);
}

/* ---- keys ---- */

typedef struct {
    const char *text;
    uint32_t code;
} coded;

static int by_text(const void *a, const void *b)
{
    const coded *x = a, *y = b;
    const int order = strcasecmp(x->text, y->text);
    return order != 0 ? order : strcmp(x->text, y->text);
}

static int alphabet(search *r, const uint32_t **out)
{
    coded *list = sm_arena_get(r->arena, r->n_texts + 1, sizeof *list, sizeof(void *));
    uint32_t *places = sm_arena_zero(r->arena, r->n_texts + 1, sizeof *places);
    size_t n = 0;
    if (!list || !places)
        return SM_ENOMEM;
    for (size_t i = 0; i < r->n_texts; i++)
        if (r->texts[i])
            list[n++] = (coded){ r->texts[i], (uint32_t)i };
    qsort(list, n, sizeof *list, by_text);
    for (size_t i = 0; i < n; i++)
        places[list[i].code] = (uint32_t)i;
    *out = places;
    return 0;
}

static int add_sort(ordering *o, size_t i)
{
    search *r = o->r;
    const query_field *f = &r->q->sorts[i].field;
    sort_key *k = &o->keys[o->n_keys];
    *k = (sort_key){ .descending = r->q->sorts[i].descending };
    if (!strcmp(f->name, "path")) {
        o->path_descending = k->descending;
        return 0;
    }
    o->n_keys++;
    if (f->type == QUERY_SORT) {
        /* the best first, whichever way it was written: nobody wants the worst */
        k->descending = true;
        k->values = !strcmp(f->name, "similarity") ? r->similarity : r->score;
        return 0;
    }
    int err = search_column_get(r, f->type == QUERY_NOTE ? "note_midi" : f->name, &k->values);
    if (err == 0 && (f->type == QUERY_TEXT || f->type == QUERY_KEY))
        err = alphabet(r, &k->places);
    return err;
}

static int make_keys(ordering *o)
{
    int err = 0;
    for (size_t i = 0; i < o->r->q->n_sorts && err == 0; i++)
        err = add_sort(o, i);
    if (o->r->q->n_sorts == 0 && (o->r->similarity || o->r->score))
        o->keys[o->n_keys++] =
            (sort_key){ .values = o->r->similarity ? o->r->similarity : o->r->score, .descending = true };
    return err;
}

static void key_of(const ordering *o, size_t id, double key[MOST_KEYS])
{
    for (size_t k = 0; k < MOST_KEYS; k++) {
        const sort_key *s = &o->keys[k];
        double value = k < o->n_keys && s->values ? (double)s->values[id] : 0;
        if (k < o->n_keys && s->values && s->places && !isnan(value))
            value = (size_t)value < o->r->n_texts ? s->places[(size_t)value] : (double)NAN;
        key[k] = isnan(value) ? INFINITY : s->descending ? -value : value;
    }
}

static int by_key(const candidate *a, const candidate *b)
{
    for (size_t k = 0; k < MOST_KEYS; k++)
        if (a->key[k] != b->key[k])
            return a->key[k] < b->key[k] ? -1 : 1;
    return 0;
}

static int by_key_of_q(const void *a, const void *b)
{
    return by_key(a, b);
}

/* Brings the `most` smallest to the front, in any order (Hoare's selection; the middle of three as pivot). */
static void select_first(candidate *a, size_t n, size_t most)
{
    size_t low = 0, high = n;
    while (high - low > 1) {
        candidate three[3] = { a[low], a[low + (high - low) / 2], a[high - 1] };
        qsort(three, 3, sizeof *three, by_key_of_q);
        const candidate pivot = three[1];
        size_t less = low, at = low, more = high; /* three parts: smaller, equal, larger */
        while (at < more) {
            const int order = by_key(&a[at], &pivot);
            candidate swap = a[at];
            if (order < 0) {
                a[at++] = a[less];
                a[less++] = swap;
            } else if (order > 0) {
                a[at] = a[--more];
                a[more] = swap;
            } else
                at++;
        }
        if (most <= less)
            high = less;
        else if (most >= more)
            low = more;
        else
            return;
    }
}

/* ---- paths ---- */

typedef struct {
    const search *r;
    sm_arena *arena;
    const char *folder, *name; /* best so far */
    bool passes;
    size_t copies;
    bool failed;
} place_pick;

static int compare_places(const char *folder_a, const char *name_a, const char *folder_b, const char *name_b)
{
    const int order = strcmp(folder_a, folder_b);
    return order != 0 ? order : strcmp(name_a, name_b);
}

static int take_place(void *user, const char *folder, const char *name)
{
    place_pick *p = user;
    const bool passes = folder_passes(p->r->q, folder);
    p->copies++;
    if (p->folder &&
        (p->passes > passes || (p->passes == passes && compare_places(p->folder, p->name, folder, name) <= 0)))
        return 0;
    p->passes = passes;
    p->folder = sm_arena_strdup(p->arena, folder);
    p->name = sm_arena_strdup(p->arena, name);
    return p->folder && p->name ? 0 : SM_ENOMEM;
}

typedef struct {
    candidate c;
    const char *folder, *name;
    size_t copies;
} placed;

static int place_of(search *r, const candidate *c, placed *out)
{
    place_pick pick = { .r = r, .arena = r->arena };
    const int err = sm_store_places(r->store, c->id, take_place, &pick);
    *out = (placed){ *c, pick.folder ? pick.folder : "", pick.name ? pick.name : "", pick.copies };
    return err;
}

static int by_key_and_place(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    const int order = by_key(&x->c, &y->c);
    return order != 0 ? order : compare_places(x->folder, x->name, y->folder, y->name);
}

static int by_place_down(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    const int order = by_key(&x->c, &y->c);
    return order != 0 ? order : compare_places(y->folder, y->name, x->folder, x->name);
}

typedef struct {
    placed *items;
    size_t n;
} page;

static int place_all(ordering *o, const candidate *from, size_t n, page *out)
{
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++)
        err = place_of(o->r, &from[i], &out->items[out->n++]);
    return err;
}

/* ---- many equals: walking the folders in order until enough are found ---- */

typedef struct {
    ordering *o;
    uint64_t *among; /* bits of those that tie; taken away as they come */
    const candidate *tie;
    const placed *after; /* or NULL */
    const char *folder;
    page *out;
    size_t most;
} tie_walk;

enum { ENOUGH = -1000 }; /* not an error code: ends the walk */

static int take_member(void *user, int64_t content, const char *name)
{
    tie_walk *w = user;
    const search *r = w->o->r;
    if ((size_t)content >= r->n || !search_bit(w->among, (size_t)content))
        return 0;
    if (!folder_passes(r->q, w->folder))
        return 0;
    w->among[content / 64] &= ~((uint64_t)1 << content % 64);
    if (w->after && compare_places(w->folder, name, w->after->folder, w->after->name) <= 0)
        return 0;
    placed *p = &w->out->items[w->out->n++];
    *p = (placed){ .c = *w->tie,
                   .folder = sm_arena_strdup(r->arena, w->folder),
                   .name = sm_arena_strdup(r->arena, name) };
    p->c.id = (uint32_t)content;
    p->copies = 0;
    if (!p->folder || !p->name)
        return SM_ENOMEM;
    return w->out->n >= w->most ? ENOUGH : 0;
}

static int take_tie_folder(void *user, int64_t id, const char *path)
{
    tie_walk *w = user;
    w->folder = path;
    return sm_store_members(w->o->r->store, id, take_member, w);
}

static int walk_ties(ordering *o, const candidate *ties, size_t n, const placed *after, size_t most, page *out)
{
    tie_walk w = { .o = o, .tie = &ties[0], .after = after, .out = out, .most = most };
    w.among = sm_alloc_zero(o->r->n_bits + 1, sizeof *w.among);
    if (!w.among)
        return SM_ENOMEM;
    for (size_t i = 0; i < n; i++)
        search_set(w.among, ties[i].id);
    const int err = sm_store_each_folder(o->r->store, NULL, take_tie_folder, &w);
    sm_free(w.among);
    return err == ENOUGH ? 0 : err;
}

/* Adds the first of these equals by path, behind `after`, until the page has `most`. */
static int add_ties(ordering *o, const candidate *ties, size_t n, const placed *after, size_t most, page *out)
{
    if (n == 0 || out->n >= most)
        return 0;
    if (n > FEW && !o->path_descending)
        return walk_ties(o, ties, n, after, most, out);
    page some = { .items = sm_alloc(n, sizeof *some.items) };
    int err = some.items ? place_all(o, ties, n, &some) : SM_ENOMEM;
    if (err == 0)
        qsort(some.items, n, sizeof *some.items, o->path_descending ? by_place_down : by_key_and_place);
    for (size_t i = 0; i < n && err == 0 && out->n < most; i++) {
        const int order =
            after ? compare_places(some.items[i].folder, some.items[i].name, after->folder, after->name) : 1;
        if (o->path_descending && after ? order < 0 : order > 0)
            out->items[out->n++] = some.items[i];
    }
    sm_free(some.items);
    return err;
}

/* ---- cursors: the keys and the id of the last hit, and which query they belong to ---- */

uint64_t search_mark(const search *r)
{
    return sm_fnv1a64(r->understood.data ? r->understood.data : "", r->understood.length);
}

static int write_cursor(const ordering *o, const candidate *last, char **out)
{
    sm_buffer text = { 0 };
    sm_buffer_printf(&text, "%016" PRIx64 ".%" PRIx32, search_mark(o->r), last->id);
    for (size_t k = 0; k < o->n_keys; k++) {
        uint64_t bits;
        memcpy(&bits, &last->key[k], sizeof bits);
        sm_buffer_printf(&text, ".%016" PRIx64, bits);
    }
    if (text.failed) {
        sm_buffer_free(&text);
        return SM_ENOMEM;
    }
    *out = text.data;
    return 0;
}

static int read_cursor(const ordering *o, const char *text, candidate *out)
{
    uint64_t mark = 0;
    int used = 0, more = 0;
    *out = (candidate){ .id = 0 };
    if (sscanf(text, "%16" SCNx64 ".%8" SCNx32 "%n", &mark, &out->id, &used) < 2 || mark != search_mark(o->r))
        return sm_fail(SM_EUSAGE, "the cursor %.60s belongs to another query", text);
    for (size_t k = 0; k < o->n_keys; k++) {
        uint64_t bits = 0;
        if (sscanf(text + used, ".%16" SCNx64 "%n", &bits, &more) != 1)
            return sm_fail(SM_EUSAGE, "the cursor %.60s is cut", text);
        memcpy(&out->key[k], &bits, sizeof bits);
        if (isnan(out->key[k]))
            return sm_fail(SM_EUSAGE, "the cursor %.60s is damaged", text);
        used += more;
    }
    return 0;
}

/* ---- the page ---- */

static int gather(ordering *o)
{
    o->all = sm_alloc(o->r->count + 1, sizeof *o->all);
    if (!o->all)
        return SM_ENOMEM;
    for (size_t i = 0; i < o->r->n; i++)
        if (search_bit(o->r->found, i)) {
            candidate *c = &o->all[o->n++];
            c->id = (uint32_t)i;
            key_of(o, i, c->key);
        }
    return 0;
}

/* Splits off the equals of `mark` to the front; gives how many, and drops what is before it. */
static size_t equals_first(ordering *o, const candidate *mark)
{
    size_t kept = 0, equal = 0;
    for (size_t i = 0; i < o->n; i++)
        if (by_key(&o->all[i], mark) >= 0)
            o->all[kept++] = o->all[i];
    o->n = kept;
    for (size_t i = 0; i < o->n; i++)
        if (by_key(&o->all[i], mark) == 0) {
            const candidate swap = o->all[equal];
            o->all[equal++] = o->all[i];
            o->all[i] = swap;
        }
    return equal;
}

/* The best `most` of a list without regard to the cursor. */
static int best_of(ordering *o, candidate *all, size_t n, size_t most, page *out)
{
    const size_t room = most - out->n;
    if (n <= room)
        return place_all(o, all, n, out);
    select_first(all, n, room);
    candidate edge = all[0];
    for (size_t i = 1; i < room; i++)
        edge = by_key(&all[i], &edge) > 0 ? all[i] : edge;
    size_t better = 0, ties = 0;
    for (size_t i = 0; i < n; i++) { /* [better][ties][the rest] */
        const int order = by_key(&all[i], &edge);
        if (order > 0)
            continue;
        candidate one = all[i];
        all[i] = all[better + ties];
        all[better + ties] = one;
        ties++;
        if (order < 0) {
            const candidate swap = all[better];
            all[better] = one;
            all[better + ties - 1] = swap;
            better++;
            ties--;
        }
    }
    int err = place_all(o, all, better, out);
    if (err == 0)
        err = add_ties(o, all + better, ties, NULL, most, out);
    return err;
}

static int fill_page(ordering *o, const char *cursor, size_t most, page *out)
{
    candidate last;
    placed after;
    size_t equal = 0;
    int err = 0;
    if (cursor) {
        err = read_cursor(o, cursor, &last);
        if (err == 0)
            err = place_of(o->r, &last, &after);
        if (err == 0 && !after.copies)
            err = sm_fail(SM_EUSAGE, "the sound at which the cursor stands is gone; search again from the start");
        if (err == 0) {
            equal = equals_first(o, &last);
            err = add_ties(o, o->all, equal, &after, most, out);
        }
    }
    if (err == 0 && out->n < most)
        err = best_of(o, o->all + equal, o->n - equal, most, out);
    if (err == 0)
        qsort(out->items, out->n, sizeof *out->items, o->path_descending ? by_place_down : by_key_and_place);
    return err;
}

static int count_place(void *user, const char *folder, const char *name)
{
    (void)folder;
    (void)name;
    ++*(size_t *)user;
    return 0;
}

static int take_hits(ordering *o, const page *p)
{
    search *r = o->r;
    int err = 0;
    r->hits = sm_arena_get(r->arena, p->n + 1, sizeof *r->hits, sizeof(double));
    if (!r->hits)
        return SM_ENOMEM;
    for (size_t i = 0; i < p->n && err == 0; i++) {
        const placed *one = &p->items[i];
        const size_t id = one->c.id;
        const bool slash = *one->folder && one->folder[strlen(one->folder) - 1] == '/';
        search_hit *h = &r->hits[r->n_hits];
        *h = (search_hit){ .content = (int64_t)id,
                           .path = sm_arena_printf(r->arena, "%s%s%s", one->folder, slash ? "" : "/", one->name),
                           .copies = one->copies,
                           .score = r->score ? (double)r->score[id] : 1,
                           .similarity = r->similarity ? (double)r->similarity[id] : (double)NAN };
        if (!h->path)
            return SM_ENOMEM;
        if (h->copies == 0)
            err = sm_store_places(r->store, h->content, count_place, &h->copies);
        r->n_hits++;
    }
    return err;
}

int search_order(search *r, const search_options *options)
{
    ordering o = { .r = r };
    page p = { 0 };
    int64_t after;
    if (search_cursor_is_waiting(r, options->cursor, &after))
        return 0; /* all of these were shown */
    int err = make_keys(&o);
    if (err == 0)
        err = gather(&o);
    const size_t most = options->limit > 0 ? SM_MIN(options->limit, o.n) : o.n;
    const size_t before = o.n;
    p.items = err == 0 ? sm_alloc(most + 1, sizeof *p.items) : NULL;
    if (err == 0 && !p.items)
        err = SM_ENOMEM;
    if (err == 0)
        err = fill_page(&o, options->cursor, most, &p);
    if (err == 0)
        err = take_hits(&o, &p);
    if (err == 0 && options->limit > 0 && p.n == options->limit && (options->cursor || before > p.n))
        err = write_cursor(&o, &p.items[p.n - 1].c, &r->cursor);
    sm_free(o.all);
    sm_free(p.items);
    return err;
}
