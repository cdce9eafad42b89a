/* The split: families, tied together by near twins, go whole to train, val or test, so that every class gets its share of each.
 *
 * Greedy: the largest group first (of equals by a seeded hash), each to the side where the sum over classes of
 * (count - target)^2 / target becomes smallest. What a split that is kept has placed counts from the start. The naive random
 * split stands beside it: item by item within a class, ordered by a seeded hash. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/dataset_parts.h"
#include "base/union_find.h"

enum { SIDES = 3, NO_SIDE = -1 };
static const char *const side_names[SIDES] = { "train", "val", "test" };

typedef struct {
    const sm_item *item;
    size_t family, class; /* indices */
    int side;             /* kept or assigned */
    int random_side;
    uint64_t order; /* hash */
} member;

typedef struct {
    size_t first, n; /* in members, sorted by group */
    int side;
    uint64_t order;
} group;

typedef struct {
    sm_arena *arena;
    sm_item *items;
    member *members;
    size_t n, n_families, n_classes, n_groups;
    size_t *parent; /* families tied together */
    group *groups;
    double *counts, *targets; /* [SIDES][n_classes] */
    double shares[SIDES];
} splitting;

static int side_of(const char *name)
{
    for (int s = 0; name && s < SIDES; s++)
        if (!strcmp(name, side_names[s]))
            return s;
    return NO_SIDE;
}

static uint64_t hash_of(uint64_t seed, const char *a, const char *b)
{
    const uint64_t parts[3] = { seed, sm_fnv1a64(a, strlen(a)), sm_fnv1a64(b, strlen(b)) };
    uint64_t x = sm_fnv1a64(parts, sizeof parts);
    /* FNV's low bits are weak: a finaliser (MurmurHash3's) mixes them */
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
}

/* ---- names to indices ---- */

typedef struct {
    const char *text;
    size_t member;
} named;

static int by_text(const void *a, const void *b)
{
    return strcmp(((const named *)a)->text, ((const named *)b)->text);
}

/* Gives equal texts equal indices; *n_out: how many there are. */
static int number_texts(splitting *s, named *list, size_t n, bool family, size_t *n_out)
{
    size_t count = 0;
    qsort(list, n, sizeof *list, by_text);
    for (size_t i = 0; i < n; i++) {
        count += i == 0 || strcmp(list[i].text, list[i - 1].text) != 0;
        if (family)
            s->members[list[i].member].family = count - 1;
        else
            s->members[list[i].member].class = count - 1;
    }
    *n_out = count;
    return 0;
}

static int make_members(splitting *s, const sm_dataset_split_options *o)
{
    named *families = sm_arena_get(s->arena, s->n, sizeof *families, 16);
    named *classes = sm_arena_get(s->arena, s->n, sizeof *classes, 16);
    s->members = sm_arena_zero(s->arena, s->n, sizeof *s->members);
    if (!families || !classes || !s->members)
        return SM_ENOMEM;
    for (size_t i = 0; i < s->n; i++) {
        const sm_item *item = &s->items[i];
        /* without a family a sound is one by itself */
        const char *family = item->family ? item->family : sm_arena_printf(s->arena, "\1%s/%s", item->root, item->path);
        if (!family)
            return SM_ENOMEM;
        families[i] = (named){ family, i };
        classes[i] = (named){ item->label ? item->label : "", i };
        s->members[i] = (member){ .item = item,
                                  .side = o->again ? NO_SIDE : side_of(item->split),
                                  .random_side = NO_SIDE,
                                  .order = hash_of(o->seed, item->root, item->path) };
    }
    number_texts(s, families, s->n, true, &s->n_families);
    return number_texts(s, classes, s->n, false, &s->n_classes);
}

/* ---- groups ---- */

static size_t member_of(const splitting *s, int64_t id)
{
    size_t low = 0, high = s->n; /* items are ordered by id */
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (s->items[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n && s->items[low].id == id ? low : SIZE_MAX;
}

static int tie_twins(splitting *s, sm_dataset *d)
{
    sm_dataset_twin *twins = NULL;
    size_t n = 0;
    const int err = sm_dataset_twins(d, s->arena, &twins, &n);
    for (size_t i = 0; err == 0 && i < n; i++) {
        const size_t a = member_of(s, twins[i].a), b = member_of(s, twins[i].b);
        if (a != SIZE_MAX && b != SIZE_MAX)
            union_find_join(s->parent, s->members[a].family, s->members[b].family);
    }
    return err;
}

static int by_family(const void *a, const void *b)
{
    const member *x = a, *y = b;
    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    return x->item->id < y->item->id ? -1 : 1;
}

/* Sorted by group, members of one group stand together. A group whose members were placed already goes where most of them are. */
static int make_groups(splitting *s, sm_dataset_split_result *out)
{
    for (size_t i = 0; i < s->n; i++)
        s->members[i].family = union_find_root(s->parent, s->members[i].family);
    qsort(s->members, s->n, sizeof *s->members, by_family);
    s->groups = sm_arena_zero(s->arena, s->n, sizeof *s->groups);
    if (!s->groups)
        return SM_ENOMEM;
    for (size_t i = 0; i < s->n; i++) {
        if (i == 0 || s->members[i].family != s->members[i - 1].family)
            s->groups[s->n_groups++] = (group){ .first = i, .side = NO_SIDE };
        group *g = &s->groups[s->n_groups - 1];
        g->n++;
        g->order ^= s->members[i].order;
    }
    for (size_t k = 0; k < s->n_groups; k++) {
        group *g = &s->groups[k];
        size_t placed[SIDES] = { 0 }, sides = 0;
        for (size_t i = g->first; i < g->first + g->n; i++)
            if (s->members[i].side != NO_SIDE)
                placed[s->members[i].side]++;
        for (int side = 0; side < SIDES; side++) {
            sides += placed[side] > 0;
            if (placed[side] > 0 && (g->side == NO_SIDE || placed[side] > placed[g->side]))
                g->side = side;
        }
        out->torn += sides > 1;
    }
    return 0;
}

static int larger_first(const void *a, const void *b)
{
    const group *x = a, *y = b;
    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return x->first < y->first ? -1 : 1;
}

/* ---- placing ---- */

static double *count_of(splitting *s, int side, size_t class)
{
    return &s->counts[(size_t)side * s->n_classes + class];
}

static double misfit(double count, double target)
{
    return (count - target) * (count - target) / fmax(target, 0.5);
}

/* What the sum of misfits would be with the group on this side, against without it. */
static double cost_of(splitting *s, const double *classes, int side)
{
    double cost = 0;
    for (size_t c = 0; c < s->n_classes; c++) {
        const double target = s->targets[(size_t)side * s->n_classes + c], count = *count_of(s, side, c);
        if (classes[c] > 0)
            cost += misfit(count + classes[c], target) - misfit(count, target);
    }
    return cost;
}

static void add_group(splitting *s, const group *g, double *classes)
{
    memset(classes, 0, s->n_classes * sizeof *classes);
    for (size_t i = g->first; i < g->first + g->n; i++)
        classes[s->members[i].class]++;
}

static int place_groups(splitting *s)
{
    double *classes = sm_arena_get(s->arena, s->n_classes, sizeof *classes, 16);
    s->counts = sm_arena_zero(s->arena, SIDES * s->n_classes, sizeof *s->counts);
    s->targets = sm_arena_zero(s->arena, SIDES * s->n_classes, sizeof *s->targets);
    if (!classes || !s->counts || !s->targets)
        return SM_ENOMEM;
    for (size_t i = 0; i < s->n; i++)
        for (int side = 0; side < SIDES; side++) {
            s->targets[(size_t)side * s->n_classes + s->members[i].class] += s->shares[side];
            *count_of(s, side, s->members[i].class) += s->members[i].side == side;
        }
    qsort(s->groups, s->n_groups, sizeof *s->groups, larger_first);
    for (size_t k = 0; k < s->n_groups; k++) {
        group *g = &s->groups[k];
        add_group(s, g, classes);
        double least = INFINITY;
        for (int side = 0; side < SIDES && g->side == NO_SIDE; side++)
            least = s->shares[side] > 0 ? fmin(least, cost_of(s, classes, side)) : least;
        for (int side = 0; side < SIDES && g->side == NO_SIDE; side++)
            if (s->shares[side] > 0 && cost_of(s, classes, side) <= least)
                g->side = side;
        for (size_t i = g->first; i < g->first + g->n; i++)
            if (s->members[i].side == NO_SIDE) {
                s->members[i].side = g->side;
                ++*count_of(s, g->side, s->members[i].class);
            }
    }
    return 0;
}

/* ---- the naive one ---- */

static int by_class_and_order(const void *a, const void *b)
{
    const member *x = a, *y = b;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return x->item->id < y->item->id ? -1 : 1;
}

static void place_randomly(splitting *s)
{
    qsort(s->members, s->n, sizeof *s->members, by_class_and_order);
    for (size_t first = 0, end; first < s->n; first = end) {
        for (end = first; end < s->n && s->members[end].class == s->members[first].class; end++)
            ;
        const double n = (double)(end - first);
        const size_t val = first + (size_t)lround(n * s->shares[1]);
        const size_t test = val + (size_t)lround(n * s->shares[2]);
        for (size_t i = first; i < end; i++)
            s->members[i].random_side = i < val ? 1 : i < test ? 2 : 0;
    }
}

/* ---- writing ---- */

static int write_split(sm_dataset *d, splitting *s, const sm_dataset_split_options *o, sm_dataset_split_result *out)
{
    sqlite3_stmt *change = NULL;
    bool own = false;
    char number[32];
    int err = ds_begin(d, &own);
    if (err == 0)
        err = ds_prepare(d,
                         "UPDATE items SET split_given = split_given AND split IS ?1, split = ?1, random_split = ?2"
                         " WHERE id = ?3",
                         &change);
    for (size_t i = 0; i < s->n && err == 0; i++) {
        const member *m = &s->members[i];
        const bool kept = !o->again && m->item->split;
        out->kept += kept;
        out->assigned += !kept;
        ds_bind_text(change, 1, side_names[m->side]);
        ds_bind_text(change, 2, side_names[m->random_side]);
        sqlite3_bind_int64(change, 3, m->item->id);
        err = ds_run(d, change);
    }
    snprintf(number, sizeof number, "%llu", (unsigned long long)o->seed);
    if (err == 0)
        err = ds_state_set(d, "split_seed", number);
    sqlite3_finalize(change);
    return ds_end(d, own, err);
}

static int check_shares(const sm_dataset_split_options *o, double shares[SIDES])
{
    const bool none = o->val == 0 && o->test == 0;
    shares[1] = none ? 0.1 : o->val;
    shares[2] = none ? 0.1 : o->test;
    shares[0] = 1 - shares[1] - shares[2];
    if (!(shares[1] >= 0 && shares[2] >= 0 && shares[0] > 0))
        return sm_fail(SM_EUSAGE, "shares of %g for val and %g for test leave nothing to train on", o->val, o->test);
    return 0;
}

int sm_dataset_split(sm_dataset *d, const sm_dataset_split_options *o, sm_dataset_split_result *out)
{
    splitting s = { .arena = sm_arena_new() };
    int err = s.arena ? check_shares(o, s.shares) : SM_ENOMEM;
    *out = (sm_dataset_split_result){ 0 };
    if (err == 0)
        err = ds_writable(d);
    if (err == 0)
        err = sm_dataset_list(d, NULL, s.arena, &s.items, &s.n);
    if (err == 0 && s.n > 0) {
        err = make_members(&s, o);
        if (err == 0 && !(s.parent = union_find_new(s.n_families)))
            err = SM_ENOMEM;
        if (err == 0)
            err = tie_twins(&s, d);
        if (err == 0)
            err = make_groups(&s, out);
        if (err == 0)
            err = place_groups(&s);
        if (err == 0) {
            place_randomly(&s);
            err = write_split(d, &s, o, out);
        }
        out->families = (int64_t)s.n_families;
        out->groups = (int64_t)s.n_groups;
    }
    sm_free(s.parent);
    sm_arena_free(s.arena);
    return err;
}
