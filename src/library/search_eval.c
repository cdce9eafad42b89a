/* The tree over all sounds at once: for each node which sounds it lets through (bits) and how well they fit (0..1). */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "dsp/dsp.h"
#include "library/search_internal.h"
#include "library/words.h"

enum { CHUNK = 1 << 14 };
static const double floor_of_miss = 0.05; /* of a word that is not met at all: exp(mean ln(floor + (1 - floor) s)) */
static const float least_score = 0.25f, least_class = 0.1f, least_denied = 0.5f;

typedef struct {
    uint64_t *allowed;
    float *score; /* NULL: only tests; [n], where allowed */
} part;

static int eval(search *r, const query_node *n, const uint64_t *within, part *out);

static void free_part(part *p)
{
    sm_free(p->allowed);
    sm_free(p->score);
    *p = (part){ 0 };
}

static int new_bits(const search *r, uint64_t **out)
{
    *out = sm_alloc_zero(r->n_bits + 1, sizeof **out);
    return *out ? 0 : SM_ENOMEM;
}

static int new_score(const search *r, float **out)
{
    *out = sm_alloc_zero(r->n + 1, sizeof **out);
    return *out ? 0 : SM_ENOMEM;
}

static void complement(const search *r, uint64_t *bits, const uint64_t *within)
{
    for (size_t i = 0; i < r->n_bits; i++)
        bits[i] = within[i] & ~bits[i];
}

static void intersect(const search *r, uint64_t *bits, const uint64_t *with)
{
    for (size_t i = 0; i < r->n_bits; i++)
        bits[i] &= with[i];
}

/* ---- loops over sounds, on all threads ---- */

typedef void (*each_fn)(void *user, size_t i);
typedef struct {
    const search *r;
    const uint64_t *within;
    each_fn fn;
    void *user;
} each_job;

static int each_chunk(void *user, size_t chunk, int worker)
{
    const each_job *job = user;
    const size_t end = SM_MIN((chunk + 1) * CHUNK, job->r->n);
    (void)worker;
    for (size_t i = chunk * CHUNK; i < end; i++)
        if (search_bit(job->within, i))
            job->fn(job->user, i);
    return 0;
}

/* fn writes only what belongs to i: whole words of bits belong to one chunk. */
static int each(const search *r, const uint64_t *within, each_fn fn, void *user)
{
    each_job job = { r, within, fn, user };
    return sm_pool_run(r->pool, (r->n + CHUNK - 1) / CHUNK, each_chunk, &job);
}

/* ---- texts ---- */

typedef struct {
    uint8_t *levels;
    size_t n;
    uint8_t level;
} level_walk;

static int raise_level(void *user, int64_t content)
{
    level_walk *w = user;
    if (content > 0 && (size_t)content < w->n && w->levels[content] < w->level)
        w->levels[content] = w->level;
    return 0;
}

/* A tag says it outright, a name mostly, a folder often. */
static int find_text(search *r, const char *expression, double weight, uint8_t *levels)
{
    static const struct {
        unsigned in;
        double level;
    } places[] = { { SM_WORDS_TAGS, 100 }, { SM_WORDS_NAME | SM_WORDS_DESCRIPTION, 75 }, { SM_WORDS_FOLDER, 50 } };
    int err = 0;
    for (size_t i = 0; i < SM_LENGTH(places) && err == 0; i++) {
        level_walk w = { levels, r->n, (uint8_t)(places[i].level * weight) };
        err = sm_store_words_find(r->store, places[i].in, expression, raise_level, &w);
    }
    return err;
}

/* The word, and the words that the thesaurus gives for it, at the weight of the surest. */
static int leaf_text(search *r, search_leaf *leaf)
{
    const query_node *n = leaf->node;
    sm_buffer expression = { 0 }, others = { 0 };
    double weight = 0;
    leaf->text = sm_alloc_zero(r->n + 1, 1);
    int err = leaf->text ? 0 : SM_ENOMEM;
    if (err == 0 && words_expression(n->text, n->kind == QUERY_WORD, &expression))
        err = expression.failed ? SM_ENOMEM : find_text(r, expression.data, 1, leaf->text);
    for (size_t i = 0; n->meaning && i < n->meaning->n_rows; i++)
        if (n->meaning->rows[i].kind == THESAURUS_TEXT) {
            sm_buffer_text(&others, others.length > 0 ? " OR " : "");
            words_expression(n->meaning->rows[i].target, false, &others);
            weight = SM_MAX(weight, n->meaning->rows[i].weight);
        }
    if (err == 0 && others.failed)
        err = SM_ENOMEM;
    if (err == 0 && others.length > 0)
        err = find_text(r, others.data, weight, leaf->text);
    sm_buffer_free(&expression);
    sm_buffer_free(&others);
    return err;
}

/* ---- words ---- */

typedef struct {
    const search *r;
    const search_leaf *leaf;
    part *out;
    bool negated, needs_text;
    float least;
} word_job;

static void judge_word(void *user, size_t i)
{
    const word_job *job = user;
    const float text = search_text_score(job->leaf, i);
    const float meaning = job->leaf->n_terms > 0 ? search_meaning(job->r, job->leaf, i) : 0;
    const float score = SM_MAX(text, meaning);
    if (job->negated ? text > 0 || meaning >= least_denied : job->needs_text ? text <= 0 : score < job->least)
        return;
    search_set(job->out->allowed, i);
    if (job->out->score)
        job->out->score[i] = job->negated ? 1 - score : score;
}

/* A word without a meaning must stand there. One that is denied excludes where it stands or mostly holds; else it weighs. */
static int eval_word(search *r, search_leaf *leaf, const uint64_t *within, part *out)
{
    const query_node *n = leaf->node;
    word_job job = { .r = r, .leaf = leaf, .out = out, .negated = n->negated, .needs_text = !n->meaning };
    int err = leaf_text(r, leaf);
    if (err == 0 && n->meaning)
        err = search_terms(r, leaf);
    job.least = search_names_class(n) ? least_class : 0;
    if (err == 0 && !(n->negated && !n->meaning))
        err = new_score(r, &out->score);
    return err < 0 ? err : each(r, within, judge_word, &job);
}

/* ---- tests on columns ---- */

typedef struct {
    const search *r;
    const query_node *node;
    const float *values;
    const uint8_t *codes; /* of texts */
    part *out;
} test_job;

static void judge_number(void *user, size_t i)
{
    const test_job *job = user;
    const query_node *n = job->node;
    const double value = job->values ? (double)job->values[i] : (double)NAN;
    double nearness = 0;
    bool accepted = false;
    for (size_t k = 0; k < n->n_spans; k++) {
        const bool accepts = query_span_accepts(&n->field, &n->spans[k], value);
        accepted |= accepts;
        if (accepts)
            nearness = SM_MAX(nearness, query_span_is_target(&n->field, &n->spans[k])
                                            ? query_span_nearness(&n->field, &n->spans[k], value)
                                            : 1);
    }
    if (!accepted)
        return;
    search_set(job->out->allowed, i);
    if (job->out->score)
        job->out->score[i] = (float)nearness;
}

static void judge_text(void *user, size_t i)
{
    const test_job *job = user;
    const float code = job->values ? job->values[i] : NAN;
    if (!isnan(code) && (size_t)code < job->r->n_texts && job->codes[(size_t)code])
        search_set(job->out->allowed, i);
}

/* "hat" is no instrument of the classifier but a word for two of them. */
static bool class_by_word(const thesaurus *t, const char *text, const char *wanted)
{
    const thesaurus_word *word = t ? thesaurus_find_form(t, wanted, strlen(wanted)) : NULL;
    for (size_t i = 0; word && i < word->n_rows; i++)
        if (word->rows[i].kind == THESAURUS_CLASS && word->rows[i].weight >= 0.6 && !strcmp(word->rows[i].target, text))
            return true;
    return false;
}

static bool is_a_text(const search *r, const char *wanted)
{
    for (size_t i = 0; i < r->n_texts; i++)
        if (r->texts[i] && !strcasecmp(r->texts[i], wanted))
            return true;
    return false;
}

static bool text_fits(const search *r, const query_field *f, const query_span *s, const char *text, bool exact)
{
    int tonic, minor;
    if (s->op == QUERY_KNOWN)
        return true;
    if (f->type == QUERY_KEY)
        return dsp_key_read(text, &tonic, &minor) && s->set >> (12 * minor + tonic) & 1;
    if (f->type == QUERY_LOOP)
        return !strcmp(text, "loop") == (s->low > 0);
    if (exact) /* "keys" is a class; no need to guess */
        return !strcasecmp(text, s->text);
    return query_text_matches(text, s->text) ||
           (!strcmp(f->name, "instrument") && class_by_word(r->words, text, s->text));
}

static int text_codes(search *r, const query_node *n, const uint8_t **out)
{
    uint8_t *codes = sm_arena_zero(r->arena, r->n_texts + 1, 1);
    if (!codes)
        return SM_ENOMEM;
    for (size_t k = 0; k < n->n_spans; k++) {
        const bool exact = n->spans[k].text && is_a_text(r, n->spans[k].text);
        for (size_t i = 0; i < r->n_texts; i++)
            codes[i] |= r->texts[i] && text_fits(r, &n->field, &n->spans[k], r->texts[i], exact);
    }
    *out = codes;
    return 0;
}

static int eval_column(search *r, const query_node *n, const uint64_t *within, part *out)
{
    const bool text = n->field.type == QUERY_TEXT || n->field.type == QUERY_KEY || n->field.type == QUERY_LOOP;
    const char *name = n->field.type == QUERY_LOOP ? "kind" : n->field.type == QUERY_NOTE ? "note_midi" : n->field.name;
    test_job job = { .r = r, .node = n, .out = out };
    bool target = false;
    for (size_t k = 0; k < n->n_spans; k++)
        target |= query_span_is_target(&n->field, &n->spans[k]);
    int err = search_column_get(r, name, &job.values);
    if (err == 0 && text)
        err = text_codes(r, n, &job.codes);
    if (err == 0 && target && !n->negated)
        err = new_score(r, &out->score);
    return err < 0 ? err : each(r, within, text ? judge_text : judge_number, &job);
}

/* ---- tests on sets ---- */

typedef struct {
    search *r;
    uint64_t *bits;
    uint16_t *files; /* how many of its files were met; NULL: any is enough */
} set_walk;

static int take_id(void *user, int64_t content)
{
    set_walk *w = user;
    if (content <= 0 || (size_t)content >= w->r->n)
        return 0;
    search_set(w->bits, (size_t)content);
    if (w->files && w->files[content] < UINT16_MAX)
        w->files[content]++;
    return 0;
}

typedef struct {
    sm_arena *arena;
    const query_node *node;
    int64_t *ids;
    size_t n, capacity;
} folder_walk;

static int take_folder(void *user, int64_t id, const char *path)
{
    folder_walk *w = user;
    for (size_t k = 0; k < w->node->n_spans; k++)
        if (search_folder_matches(path, w->node->spans[k].text)) {
            if (sm_grow(&w->ids, &w->capacity, w->n + 1, sizeof *w->ids) < 0)
                return SM_ENOMEM;
            w->ids[w->n++] = id;
            break;
        }
    return 0;
}

/* Negated, it takes away what has all its files there. */
static int eval_folder(search *r, const query_node *n, set_walk *w)
{
    folder_walk folders = { .node = n };
    const float *live = NULL;
    int err = sm_store_each_folder(r->store, NULL, take_folder, &folders);
    if (err == 0 && n->negated) {
        w->files = sm_alloc_zero(r->n + 1, sizeof *w->files);
        err = w->files ? search_column_get(r, "live", &live) : SM_ENOMEM;
    }
    for (size_t i = 0; i < folders.n && err == 0; i++)
        err = sm_store_in_folder(r->store, folders.ids[i], take_id, w);
    for (size_t i = 0; i < r->n && err == 0 && live; i++)
        if (w->files[i] > 0 && (float)w->files[i] < live[i])
            w->bits[i / 64] &= ~((uint64_t)1 << i % 64);
    sm_free(w->files);
    sm_free(folders.ids);
    return err;
}

static int eval_set(search *r, const query_node *n, part *out)
{
    set_walk w = { .r = r, .bits = out->allowed };
    int err = 0;
    if (n->field.type == QUERY_FOLDER)
        return eval_folder(r, n, &w);
    for (size_t k = 0; k < n->n_spans && err == 0; k++) {
        const query_span *s = &n->spans[k];
        sm_buffer expression = { 0 };
        if (n->field.type == QUERY_TAG)
            err = sm_store_tagged(r->store, s->text, take_id, &w);
        else if (n->field.type == QUERY_COLLECTION)
            err = sm_store_collected(r->store, s->text, take_id, &w);
        else if (n->field.type == QUERY_FAVOURITE) {
            err = sm_store_favourites(r->store, take_id, &w);
            if (err == 0 && s->op == QUERY_IS && s->low == 0)
                complement(r, out->allowed, r->alive);
        } else if (words_expression(s->text, true, &expression))
            err = expression.failed ? SM_ENOMEM
                                    : sm_store_words_find(r->store, SM_WORDS_NAME, expression.data, take_id, &w);
        sm_buffer_free(&expression);
    }
    return err;
}

static int eval_test(search *r, const query_node *n, const uint64_t *within, part *out)
{
    int err = n->field.type <= QUERY_LOOP ? eval_column(r, n, within, out) : eval_set(r, n, out);
    if (err == 0 && n->negated)
        complement(r, out->allowed, within);
    return err;
}

static int eval_leaf(search *r, const query_node *n, const uint64_t *within, part *out)
{
    search_leaf *leaf = &r->leaves[n->index];
    leaf->node = n;
    int err = new_bits(r, &out->allowed);
    if (err == 0)
        err = n->kind == QUERY_TEST ? eval_test(r, n, within, out) : eval_word(r, leaf, within, out);
    if (err == 0)
        intersect(r, out->allowed, within);
    return err;
}

/* ---- groups ---- */

typedef struct {
    float *sum;
    const float *score;
} sum_job;

static void add_log(void *user, size_t i)
{
    const sum_job *job = user;
    job->sum[i] += logf((float)(floor_of_miss + (1 - floor_of_miss) * (double)job->score[i]));
}

typedef struct {
    float *sum;
    size_t n;
} mean_job;

static void take_mean(void *user, size_t i)
{
    const mean_job *job = user;
    job->sum[i] = expf(job->sum[i] / (float)job->n);
}

/* What is cheap and excludes much goes first: tests, then texts, words of a class, other words, groups. */
static int order_of(const query_node *n)
{
    if (n->child)
        return 4;
    if (n->kind == QUERY_TEST)
        return 0;
    if (!n->meaning)
        return 1;
    return search_names_class(n) ? 2 : 3;
}

/* The score of all: exp of the mean of ln(floor + (1 - floor) s) over what has one. */
static int eval_all(search *r, const query_node *first, const uint64_t *within, part *out)
{
    mean_job mean = { 0 };
    int err = new_bits(r, &out->allowed);
    if (err == 0)
        memcpy(out->allowed, within, r->n_bits * sizeof *within);
    for (int order = 0; order <= 4 && err == 0; order++)
        for (const query_node *n = first; n && err == 0; n = n->next) {
            part p = { 0 };
            if (order_of(n) != order)
                continue;
            err = eval(r, n, out->allowed, &p);
            if (err == 0)
                memcpy(out->allowed, p.allowed, r->n_bits * sizeof *p.allowed);
            if (err == 0 && p.score && !out->score)
                err = new_score(r, &out->score);
            if (err == 0 && p.score) {
                sum_job job = { out->score, p.score };
                mean.n++;
                err = each(r, out->allowed, add_log, &job);
            }
            free_part(&p);
        }
    mean.sum = out->score;
    return err == 0 && mean.sum ? each(r, out->allowed, take_mean, &mean) : err;
}

/* The best of the alternatives; one of tests alone is met wholly. */
static int eval_any(search *r, const query_node *first, const uint64_t *within, part *out)
{
    bool scored = false;
    int err = new_bits(r, &out->allowed);
    if (err == 0)
        err = new_score(r, &out->score);
    for (const query_node *n = first; n && err == 0; n = n->next) {
        part p = { 0 };
        err = eval(r, n, within, &p);
        for (size_t i = 0; i < r->n && err == 0; i++)
            if (search_bit(p.allowed, i)) {
                const float score = p.score ? p.score[i] : 1;
                search_set(out->allowed, i);
                out->score[i] = SM_MAX(out->score[i], score);
            }
        scored |= p.score != NULL;
        free_part(&p);
    }
    if (!scored) {
        sm_free(out->score);
        out->score = NULL;
    }
    return err;
}

static void deny(const search *r, part *p, const uint64_t *within)
{
    for (size_t i = 0; i < r->n && p->score; i++)
        if (search_bit(within, i)) {
            const bool met = search_bit(p->allowed, i);
            const float score = met ? p->score[i] : 0;
            p->score[i] = 1 - score;
            if (met && score < least_denied)
                p->allowed[i / 64] &= ~((uint64_t)1 << i % 64);
        }
    complement(r, p->allowed, within);
}

static int eval(search *r, const query_node *n, const uint64_t *within, part *out)
{
    if (!n->child)
        return eval_leaf(r, n, within, out);
    const int err = n->kind == QUERY_AND ? eval_all(r, n->child, within, out) : eval_any(r, n->child, within, out);
    if (err == 0 && n->negated)
        deny(r, out, within);
    return err;
}

int search_eval(search *r)
{
    const query_node *root = r->q->root;
    part p = { 0 };
    const query_node *first = root && root->kind == QUERY_AND && !root->negated ? root->child : NULL;
    query_node alone;
    if (root && !first) {
        alone = *root;
        alone.next = NULL;
        first = &alone;
    }
    int err = eval_all(r, first, r->alive, &p);
    for (size_t i = 0; i < r->n && err == 0 && p.score; i++)
        if (search_bit(p.allowed, i) && p.score[i] < least_score)
            p.allowed[i / 64] &= ~((uint64_t)1 << i % 64);
    /* the tree outlives this function, the copy of its root does not */
    for (size_t i = 0; i < r->q->n_leaves; i++)
        if (r->leaves[i].node == &alone)
            r->leaves[i].node = root;
    if (err < 0) {
        free_part(&p);
        return err;
    }
    r->found = p.allowed;
    r->score = p.score;
    return 0;
}
