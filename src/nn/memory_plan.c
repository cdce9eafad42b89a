/* Which value lies where. One run state's memory:
 *
 *   [ activations: places reused within a run, by liveness ]   [ states: live between runs ]   [ scratch: of one step ]
 *
 * Values that share memory (views, parts, in-place results) form a group under one root; a group lives from its first
 * write to its last read. Groups are placed largest first, each at the lowest place that is free during its whole life
 * (greedy by size: Pisarchyk and Lee 2020, "Efficient memory management for deep neural net inference"). */
#include "nn/plan_type.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

static size_t aligned(size_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void touch(nn_plan *p, int32_t v, int step)
{
    nn_slot *s = &p->slots[nn_root(p, v, NULL)];
    s->first = s->first < 0 || step < s->first ? step : s->first;
    s->last = SM_MAX(s->last, step);
}

static void find_lives(nn_plan *p)
{
    for (size_t v = 0; v < p->n_values; v++)
        p->slots[v].first = p->slots[v].last = -1;
    for (size_t i = 0; i < p->n_steps; i++) {
        touch(p, p->steps[i].out, (int)i);
        for (int k = 0; k < p->steps[i].n_in; k++)
            touch(p, p->steps[i].in[k], (int)i);
    }
    for (size_t v = 0; v < p->n_values; v++)
        if (p->slots[v].pinned)
            touch(p, (int32_t)v, (int)p->n_steps);
}

/* Reorders that nobody reads (a backend asked, then left the node to ref) are taken out. */
static void drop_unread(nn_plan *p)
{
    size_t kept = 0;
    find_lives(p);
    for (size_t i = 0; i < p->n_steps; i++) {
        nn_step *s = &p->steps[i];
        const nn_slot *out = &p->slots[s->out];
        if (!strcmp(s->op, "reorder") && out->place == NN_IN_ARENA && out->alias < 0 && !out->pinned &&
            out->last == (int)i) {
            if (s->free_state)
                s->free_state(s->state);
            continue;
        }
        p->steps[kept] = *s;
        p->steps[kept].index = (int)kept;
        kept++;
    }
    p->n_steps = kept;
    find_lives(p);
}

/* Lets a step's result take over the memory of an input that dies with it. */
static void share_in_place(nn_plan *p, const nn_step *s)
{
    nn_slot *out = &p->slots[s->out];
    size_t at = 0;
    if (s->inplace < 0 || out->alias >= 0 || out->place != NN_IN_ARENA)
        return;
    const int32_t root = nn_root(p, s->inplace, &at);
    nn_slot *in = &p->slots[root];
    if (root == s->out || in->place != NN_IN_ARENA || in->last != s->index || at != 0 ||
        p->values[root].bytes != p->values[s->inplace].bytes || p->values[root].bytes < p->values[s->out].bytes)
        return;
    int reads =
        0; /* a convolution that is added to its own input reads it twice, and only the sum may be overwritten */
    for (int i = 0; i < s->n_in; i++)
        reads += nn_root(p, s->in[i], NULL) == root;
    if (reads > 1)
        return;
    out->alias = root;
    out->alias_at = 0;
    in->last = SM_MAX(in->last, out->last);
    in->pinned = in->pinned || out->pinned;
}

typedef struct {
    size_t bytes;
    int32_t value;
} block;

static int by_size(const void *a, const void *b)
{
    const block *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : (x->value > y->value) - (x->value < y->value);
}

static int by_place(const void *a, const void *b)
{
    const block *x = a, *y = b; /* here .bytes is the place */
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static bool together(const nn_slot *a, const nn_slot *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest gap that is wide enough among the blocks that live at the same time. busy: room for all. */
static size_t lowest_place(const nn_plan *p, const block *placed, size_t n, const block *b, block *busy)
{
    size_t count = 0, place = 0;
    for (size_t i = 0; i < n; i++)
        if (together(&p->slots[placed[i].value], &p->slots[b->value]))
            busy[count++] = (block){ p->slots[placed[i].value].offset, placed[i].value };
    qsort(busy, count, sizeof *busy, by_place);
    for (size_t i = 0; i < count; i++) {
        if (busy[i].bytes >= place + b->bytes)
            break;
        place = SM_MAX(place, busy[i].bytes + aligned(p->values[busy[i].value].bytes));
    }
    return place;
}

static int place_activations(nn_plan *p)
{
    block *blocks = sm_alloc(p->n_values + 1, sizeof *blocks), *busy = sm_alloc(p->n_values + 1, sizeof *busy);
    size_t n = 0;
    int err = 0;

    if (!blocks || !busy) {
        err = SM_ENOMEM;
        goto out;
    }
    for (size_t v = 0; v < p->n_values; v++)
        if (p->slots[v].alias < 0 && p->slots[v].place == NN_IN_ARENA && p->slots[v].first >= 0)
            blocks[n++] = (block){ aligned(p->values[v].bytes), (int32_t)v };
    qsort(blocks, n, sizeof *blocks, by_size);
    for (size_t i = 0; i < n; i++) {
        nn_slot *s = &p->slots[blocks[i].value];
        s->offset = lowest_place(p, blocks, i, &blocks[i], busy);
        p->activations = SM_MAX(p->activations, s->offset + blocks[i].bytes);
    }

out:
    sm_free(blocks);
    sm_free(busy);
    return err;
}

int nn_plan_places(nn_plan *p)
{
    drop_unread(p);
    for (size_t i = 0; i < p->n_steps; i++) {
        share_in_place(p, &p->steps[i]);
        p->scratch = SM_MAX(p->scratch, aligned(p->steps[i].scratch));
    }
    for (size_t v = 0; v < p->n_values; v++)
        if (p->slots[v].place == NN_IN_STATE && p->slots[v].alias < 0) {
            p->slots[v].offset = p->states;
            p->states += aligned(p->values[v].bytes);
        }
    return place_activations(p);
}

int nn_plan_check(const nn_plan *p)
{
    for (size_t a = 0; a < p->n_values; a++) {
        const nn_slot *x = &p->slots[a];
        if (x->alias >= 0 || x->place != NN_IN_ARENA || x->first < 0)
            continue;
        if (x->offset + p->values[a].bytes > p->activations)
            return sm_fail(SM_EINTERNAL, "value %zu lies outside of the arena", a);
        for (size_t b = a + 1; b < p->n_values; b++) {
            const nn_slot *y = &p->slots[b];
            if (y->alias < 0 && y->place == NN_IN_ARENA && y->first >= 0 && together(x, y) &&
                x->offset < y->offset + p->values[b].bytes && y->offset < x->offset + p->values[a].bytes)
                return sm_fail(SM_EINTERNAL, "values %zu and %zu live at the same time in the same memory", a, b);
        }
    }
    return 0;
}
