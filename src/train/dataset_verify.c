/* The queue of doubtful sounds, and a person's answers to it. */
#include <stdlib.h>
#include <string.h>

#include "models/model.h"
#include "train/dataset_parts.h"
#include "train/dataset_verify.h"
#include "train/words.h"

typedef struct {
    int64_t id;
    double doubt;
} entry;

typedef struct {
    sm_item before;
    size_t place;
    sm_arena *arena; /* of before */
} decision;

struct sm_verify {
    sm_dataset *d;
    entry *queue;
    size_t n, capacity, place;
    decision *done;
    size_t n_done, done_capacity;
    sm_arena *arena; /* of the view */
    sm_verify_view view;
    bool looked; /* the view is of `place` */
    sm_words *words;
};

/* ---- the queue ---- */

static int most_doubtful_first(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->doubt != y->doubt)
        return x->doubt > y->doubt ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* One row for each item and proposal, ordered by item. */
static int fill_queue(sm_verify *v, const sm_dataset_filter *f)
{
    static const char select[] = "SELECT items.id, items.label, items.confidence, p.label, p.confidence FROM items"
                                 " LEFT JOIN proposals p ON p.item = items.id AND p.model <> 'all'";
    /* the filter's columns are those of items: a subselect keeps the names apart */
    sm_buffer sql = { 0 };
    sm_strings values = { 0 };
    sqlite3_stmt *s = NULL;
    int more = 0;
    sm_buffer_printf(&sql, "%s WHERE items.id IN (SELECT id FROM items WHERE ", select);
    int err = ds_filter_sql(f, &sql, &values);
    sm_buffer_text(&sql, ") ORDER BY items.id, p.model");
    if (err == 0)
        err = sql.failed ? SM_ENOMEM : ds_prepare(v->d, sql.data, &s);
    for (size_t i = 0; i < values.length && err == 0; i++)
        ds_bind_text(s, (int)i + 1, values.items[i]);
    while (err == 0 && (more = ds_step(v->d, s)) == 1) {
        const int64_t id = sqlite3_column_int64(s, 0);
        const char *label = ds_text(s, 1), *proposed = ds_text(s, 3);
        if (v->n == 0 || v->queue[v->n - 1].id != id) {
            err = sm_grow(&v->queue, &v->capacity, v->n + 1, sizeof *v->queue);
            if (err == 0)
                v->queue[v->n++] = (entry){ id, label ? 1 - sqlite3_column_double(s, 2) : 1 };
        }
        if (err == 0 && proposed) {
            const double confidence = sqlite3_column_double(s, 4);
            v->queue[v->n - 1].doubt += label && !strcmp(label, proposed) ? -confidence / 2 : confidence;
        }
    }
    sqlite3_finalize(s);
    sm_strings_free(&values);
    sm_buffer_free(&sql);
    return err < 0 ? err : SM_MIN(more, 0);
}

int sm_verify_open(sm_dataset *d, const sm_dataset_filter *f, sm_verify **out)
{
    sm_dataset_filter unverified = f ? *f : (sm_dataset_filter){ 0 };
    sm_verify *v = sm_alloc_zero(1, sizeof *v);
    int err = v ? ds_writable(d) : SM_ENOMEM;
    *out = NULL;
    unverified.verified = -1;
    if (err == 0) {
        v->d = d;
        v->arena = sm_arena_new();
        err = v->arena ? sm_words_new(&v->words) : SM_ENOMEM;
    }
    if (err == 0)
        err = fill_queue(v, &unverified);
    if (err < 0) {
        sm_verify_close(v);
        return err;
    }
    if (v->n > 0)
        qsort(v->queue, v->n, sizeof *v->queue, most_doubtful_first);
    *out = v;
    return 0;
}

static void forget_view(sm_verify *v)
{
    sm_free(v->view.file);
    v->view = (sm_verify_view){ 0 };
    v->looked = false;
    if (v->arena)
        sm_arena_back(v->arena, 0);
}

void sm_verify_close(sm_verify *v)
{
    if (!v)
        return;
    forget_view(v);
    for (size_t i = 0; i < v->n_done; i++)
        sm_arena_free(v->done[i].arena);
    sm_free(v->done);
    sm_free(v->queue);
    sm_words_free(v->words);
    sm_arena_free(v->arena);
    sm_free(v);
}

size_t sm_verify_count(const sm_verify *v)
{
    return v->n;
}

size_t sm_verify_place(const sm_verify *v)
{
    return v->place;
}

size_t sm_verify_decided(const sm_verify *v)
{
    return v->n_done;
}

int sm_verify_look(sm_verify *v, const sm_verify_view **out)
{
    sm_proposal *proposals = NULL;
    int err = 0;
    *out = NULL;
    if (v->place >= v->n)
        return sm_fail(SM_ENOTFOUND, "no sound is left to verify");
    if (!v->looked) {
        forget_view(v);
        err = sm_dataset_get(v->d, v->queue[v->place].id, v->arena, &v->view.item);
        if (err == 0)
            err = sm_dataset_proposals(v->d, v->view.item.id, v->arena, &proposals, &v->view.n_proposals);
        if (err == 0 && !(v->view.file = sm_item_file(&v->view.item)))
            err = SM_ENOMEM;
        v->view.proposals = proposals;
        v->view.doubt = v->queue[v->place].doubt;
        v->looked = err == 0;
    }
    if (err == 0)
        *out = &v->view;
    return err;
}

/* ---- deciding ---- */

static int remember(sm_verify *v)
{
    decision made = { .place = v->place, .arena = sm_arena_new() };
    int err = made.arena ? sm_item_copy(made.arena, &v->view.item, &made.before) : SM_ENOMEM;
    if (err == 0)
        err = sm_grow(&v->done, &v->done_capacity, v->n_done + 1, sizeof *v->done);
    if (err < 0)
        sm_arena_free(made.arena);
    else
        v->done[v->n_done++] = made;
    return err;
}

static int decide(sm_verify *v, const char *label, bool rejected)
{
    int err = remember(v);
    if (err < 0)
        return err;
    err = sm_dataset_decide(v->d, v->view.item.id, label, rejected, "verify");
    if (err < 0)
        sm_arena_free(v->done[--v->n_done].arena);
    else
        sm_verify_next(v);
    return err;
}

int sm_verify_accept(sm_verify *v)
{
    const sm_verify_view *view;
    int err = sm_verify_look(v, &view);
    if (err < 0)
        return err;
    const char *label = view->item.label;
    double best = -1;
    for (size_t i = 0; i < view->n_proposals && !view->item.label; i++)
        if (view->proposals[i].confidence > best) {
            best = view->proposals[i].confidence;
            label = view->proposals[i].label;
        }
    return label ? decide(v, label, false) : sm_fail(SM_EUSAGE, "there is neither a label nor a proposal to accept");
}

int sm_verify_reject(sm_verify *v)
{
    const sm_verify_view *view;
    const int err = sm_verify_look(v, &view);
    return err < 0 ? err : decide(v, NULL, true);
}

int sm_verify_change(sm_verify *v, const char *label, bool own_classes)
{
    const sm_verify_view *view;
    int err = sm_verify_look(v, &view);
    if (err == 0 && !own_classes)
        err = ds_class(label, &label);
    return err < 0 ? err : decide(v, label, false);
}

void sm_verify_next(sm_verify *v)
{
    forget_view(v);
    v->place += v->place < v->n;
}

void sm_verify_back(sm_verify *v)
{
    forget_view(v);
    v->place -= v->place > 0;
}

int sm_verify_undo(sm_verify *v)
{
    if (v->n_done == 0)
        return sm_fail(SM_ENOTFOUND, "nothing was decided that could be taken back");
    decision *last = &v->done[v->n_done - 1];
    const int err = sm_dataset_restore(v->d, &last->before);
    if (err < 0)
        return err;
    forget_view(v);
    v->place = last->place;
    sm_arena_free(last->arena);
    v->n_done--;
    return 0;
}

const char *sm_verify_class(sm_verify *v, const char *typed)
{
    const size_t n = strlen(typed);
    const char *found = NULL;
    size_t matches = 0;
    sm_word_label word;
    for (size_t c = 0; c < SM_INSTRUMENTS && n > 0; c++) {
        if (!strcmp(sm_instruments[c], typed))
            return sm_instruments[c];
        if (!strncmp(sm_instruments[c], typed, n)) {
            found = sm_instruments[c];
            matches++;
        }
    }
    if (matches == 1)
        return found;
    sm_words_label(v->words, typed, &word);
    for (size_t c = 0; c < SM_INSTRUMENTS && word.label; c++)
        if (!strcmp(sm_instruments[c], word.label))
            return sm_instruments[c];
    return NULL;
}
