/* Files that are listed and not analysed yet, found by their names and folders. Of anything else that is asked nothing is known, so they do
 * not pass it. They come behind all that is analysed, by path, on pages of the same kind. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "library/search_internal.h"
#include "library/words.h"

/* One of the ways in which a word may stand in a name: pieces in a row, the last one perhaps only the beginning of a word. */
typedef struct {
    const char *pieces; /* with blanks between them */
    bool prefix;
    float weight;
} form;

typedef struct {
    form *forms;
    size_t n;
} word_forms;

typedef struct {
    const char *path;
    int64_t id, size;
    float score;
} found_file;

typedef struct {
    search *r;
    word_forms *words; /* [n_leaves]: of words, phrases and name: */
    found_file *files;
    size_t n, capacity;
} waiting_search;

/* ---- words ---- */

static int add_form(search *r, word_forms *w, const char *text, bool prefix, double weight)
{
    sm_buffer expression = { 0 };
    int err = 0;
    if (words_expression(text, prefix, &expression)) { /* "dark bass" *: what the index would be asked */
        const char *end = expression.failed ? NULL : strrchr(expression.data, '"');
        const char *pieces =
            end ? sm_arena_strndup(r->arena, expression.data + 1, (size_t)(end - expression.data) - 1) : NULL;
        if (pieces)
            w->forms[w->n++] = (form){ pieces, end[1] != 0, (float)weight };
        else
            err = SM_ENOMEM;
    }
    sm_buffer_free(&expression);
    return err;
}

static int make_forms(search *r, const query_node *n, word_forms *w)
{
    const bool name = n->kind == QUERY_TEST;
    const size_t rows = n->meaning ? n->meaning->n_rows : 0;
    int err = 0;
    w->forms = sm_arena_zero(r->arena, 1 + rows + n->n_spans, sizeof *w->forms);
    if (!w->forms)
        return SM_ENOMEM;
    if (!name)
        err = add_form(r, w, n->text, n->kind == QUERY_WORD, 1);
    for (size_t k = 0; name && k < n->n_spans && err == 0; k++)
        err = add_form(r, w, n->spans[k].text, true, 1);
    for (size_t i = 0; i < rows && err == 0; i++)
        if (n->meaning->rows[i].kind == THESAURUS_TEXT)
            err = add_form(r, w, n->meaning->rows[i].target, false, n->meaning->rows[i].weight);
    return err;
}

static int make_all_forms(waiting_search *w)
{
    int err = 0;
    for (size_t i = 0; i < w->r->q->n_leaves && err == 0; i++) {
        const query_node *n = w->r->leaves[i].node;
        if (n && (n->kind != QUERY_TEST || n->field.type == QUERY_NAME))
            err = make_forms(w->r, n, &w->words[i]);
    }
    return err;
}

static size_t word_length(const char *p)
{
    return strcspn(p, " ");
}

/* ASCII case aside; the pieces in a row, from `words` on. */
static bool begins_with(const char *words, const form *f)
{
    const char *p = f->pieces;
    while (*p) {
        const size_t n = word_length(p), there = word_length(words);
        const bool last = !p[n];
        if (there < n || (there > n && !(last && f->prefix)) || strncasecmp(words, p, n) != 0)
            return false;
        p += n + !last;
        words += there;
        words += *words == ' ';
    }
    return true;
}

static float best_form(const word_forms *w, const char *words)
{
    float best = 0;
    for (const char *at = words; *at; at += word_length(at), at += *at == ' ')
        for (size_t i = 0; i < w->n; i++)
            if (w->forms[i].weight > best && begins_with(at, &w->forms[i]))
                best = w->forms[i].weight;
    return best;
}

/* ---- the tree ---- */

/* 0: it does not pass; else how well. */
static float judge(const waiting_search *w, const query_node *n, const sm_waiting_file *f);

static float judge_test(const waiting_search *w, const query_node *n, const sm_waiting_file *f)
{
    bool passes = false, known = true;
    if (n->field.type == QUERY_NAME)
        passes = best_form(&w->words[n->index], f->name_words) > 0;
    else if (n->field.type == QUERY_FOLDER)
        for (size_t k = 0; k < n->n_spans; k++)
            passes |= search_folder_matches(f->folder, n->spans[k].text);
    else /* "-bpm:" is true of it, and nothing else */
        known = n->negated && n->n_spans == 1 && n->spans[0].op == QUERY_KNOWN;
    return known && passes != n->negated;
}

static float judge_word(const waiting_search *w, const query_node *n, const sm_waiting_file *f)
{
    const word_forms *forms = &w->words[n->index];
    const float name = 0.75f * best_form(forms, f->name_words), folder = 0.5f * best_form(forms, f->folder_words);
    const float score = SM_MAX(name, folder);
    return n->negated ? score == 0 : score;
}

static float judge_group(const waiting_search *w, const query_node *n, const sm_waiting_file *f)
{
    float all = 1, any = 0;
    for (const query_node *child = n->child; child; child = child->next) {
        const float score = judge(w, child, f);
        all = SM_MIN(all, score);
        any = SM_MAX(any, score);
    }
    const float score = n->kind == QUERY_AND ? all : any;
    return n->negated ? score == 0 : score;
}

static float judge(const waiting_search *w, const query_node *n, const sm_waiting_file *f)
{
    if (n->child)
        return judge_group(w, n, f);
    return n->kind == QUERY_TEST ? judge_test(w, n, f) : judge_word(w, n, f);
}

/* ---- the page ---- */

static int take_waiting(void *user, const sm_waiting_file *f)
{
    waiting_search *w = user;
    const float score = w->r->q->root ? judge(w, w->r->q->root, f) : 1;
    if (score <= 0)
        return 0;
    if (sm_grow(&w->files, &w->capacity, w->n + 1, sizeof *w->files) < 0)
        return SM_ENOMEM;
    const char *path = sm_arena_printf(w->r->arena, "%s/%s", strcmp(f->folder, "/") ? f->folder : "", f->name);
    w->files[w->n++] = (found_file){ path, f->id, f->size, score };
    return path ? 0 : SM_ENOMEM;
}

static int by_path(const void *a, const void *b)
{
    const found_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

/* Behind the file at which the last page ended; it may have been analysed meanwhile. */
static int find_start(const waiting_search *w, int64_t after, size_t *start)
{
    sm_buffer path = { 0 };
    int err = after > 0 ? sm_store_file_path(w->r->store, after, &path) : 0;
    *start = 0;
    if (err == SM_ENOTFOUND)
        err = sm_fail(SM_EUSAGE, "the file at which the cursor stands is gone; search again from the start");
    while (err == 0 && after > 0 && *start < w->n && strcmp(w->files[*start].path, path.data) <= 0)
        ++*start;
    sm_buffer_free(&path);
    return err;
}

static int take_page(waiting_search *w, int64_t after, size_t limit)
{
    search *r = w->r;
    size_t start = 0;
    qsort(w->files, w->n, sizeof *w->files, by_path);
    int err = find_start(w, after, &start);
    if (err < 0)
        return err;
    const size_t room = limit > 0 ? limit - SM_MIN(limit, r->n_hits) : w->n, n = SM_MIN(room, w->n - start);
    search_hit *hits = sm_arena_get(r->arena, r->n_hits + n + 1, sizeof *hits, sizeof(double));
    if (!hits)
        return SM_ENOMEM;
    if (r->n_hits > 0)
        memcpy(hits, r->hits, r->n_hits * sizeof *hits);
    for (size_t i = 0; i < n; i++) {
        const found_file *f = &w->files[start + i];
        hits[r->n_hits + i] = (search_hit){
            .path = f->path, .copies = 1, .score = (double)f->score, .similarity = (double)NAN, .bytes = f->size
        };
    }
    r->hits = hits;
    r->n_hits += n;
    if (start + n < w->n) {
        const int64_t last = n > 0 ? w->files[start + n - 1].id : after;
        r->cursor = sm_printf_new("%016" PRIx64 ".w.%" PRIx64, search_mark(r), (uint64_t)last);
        err = r->cursor ? 0 : SM_ENOMEM;
    }
    return err;
}

bool search_cursor_is_waiting(const search *r, const char *cursor, int64_t *after)
{
    uint64_t mark = 0, id = 0;
    if (!cursor || sscanf(cursor, "%16" SCNx64 ".w.%15" SCNx64, &mark, &id) != 2 || mark != search_mark(r))
        return false;
    *after = (int64_t)id;
    return true;
}

int search_waiting(search *r, const search_options *o)
{
    waiting_search w = { .r = r };
    int64_t after = 0;
    search_cursor_is_waiting(r, o->cursor, &after);
    if (r->q->like) /* what they sound like is not known */
        return 0;
    w.words = sm_arena_zero(r->arena, r->q->n_leaves + 1, sizeof *w.words);
    int err = w.words ? make_all_forms(&w) : SM_ENOMEM;
    if (err == 0)
        err = sm_store_each_waiting(r->store, r->words, take_waiting, &w);
    r->n_waiting = w.n;
    if (err == 0 && w.n > 0 && !r->cursor)
        err = take_page(&w, after, o->limit);
    sm_free(w.files);
    return err;
}
