/* Pairs of duplicates. Exact ones are found by their hashes; near ones by the neighbours of their fingerprints, which are then laid
 * upon each other, and at last by their waveforms. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/dupes.h"

const sm_dupe_limits sm_dupe_limits_default = {
    .least_cosine = 0.85, .least_similarity = 0.75, .least_correlation = 0.85, .least_click = 0.60, .neighbours = 20
};

typedef struct {
    const sm_dupe_sound *sounds;
    size_t n;
    const sm_dupe_search *o;
    const sm_dupe_limits *limits;
    sm_dupe_pair *pairs;
    size_t n_pairs, capacity;
    size_t *starts; /* of rows of pairs with the same a */
    size_t first;   /* row of the batch in hand */
} search;

static int tell(const search *s, const char *what, size_t done, size_t total)
{
    const sm_progress_info p = { what, (double)done, (double)total, "files", 0 };
    return s->o->progress && s->o->progress(s->o->user, &p) ? sm_fail(SM_ECANCELLED, "stopped") : 0;
}

static int add_pair(search *s, sm_dupe_pair p)
{
    const int err = sm_grow(&s->pairs, &s->capacity, s->n_pairs + 1, sizeof *s->pairs);
    if (err == 0)
        s->pairs[s->n_pairs++] = p;
    return err;
}

/* ---- the same bytes, the same audio ---- */

typedef struct {
    const char *hash;
    size_t index;
} hashed;

static int by_hash(const void *a, const void *b)
{
    const hashed *x = a, *y = b;
    const int order = strcmp(x->hash, y->hash);
    return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

/* Each of a run of equal hashes is paired with the first: that ties them together. */
static int add_equal(search *s, sm_dupe_level level)
{
    hashed *list = sm_alloc(s->n, sizeof *list);
    size_t n = 0;
    int err = list ? 0 : SM_ENOMEM;
    for (size_t i = 0; err == 0 && i < s->n; i++) {
        list[n] = (hashed){ level == SM_DUPES_BYTES ? s->sounds[i].hash : s->sounds[i].audio_hash, i };
        n += *list[n].hash != 0;
    }
    if (n > 1)
        qsort(list, n, sizeof *list, by_hash);
    for (size_t i = 1, first = 0; err == 0 && i < n; i++) {
        if (strcmp(list[i].hash, list[first].hash) != 0) {
            first = i;
            continue;
        }
        const sm_dupe_sound *a = &s->sounds[list[first].index], *b = &s->sounds[list[i].index];
        if (level == SM_DUPES_AUDIO && (a->rate_hz != b->rate_hz || a->channels != b->channels))
            continue; /* the same numbers at another rate are another sound */
        err =
            add_pair(s, (sm_dupe_pair){
                            .a = list[first].index, .b = list[i].index, .level = level, .cosine = 1, .similarity = 1 });
    }
    sm_free(list);
    return err;
}

static int by_place(const void *a, const void *b)
{
    const sm_dupe_pair *x = a, *y = b;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    if (x->b != y->b)
        return x->b < y->b ? -1 : 1;
    return (int)x->level - (int)y->level;
}

/* Ordered; of what is said twice of two sounds the stronger stays. */
static void tidy(search *s)
{
    size_t kept = 0;
    if (s->n_pairs > 1)
        qsort(s->pairs, s->n_pairs, sizeof *s->pairs, by_place);
    for (size_t i = 0; i < s->n_pairs; i++)
        if (kept == 0 || s->pairs[i].a != s->pairs[kept - 1].a || s->pairs[i].b != s->pairs[kept - 1].b)
            s->pairs[kept++] = s->pairs[i];
    s->n_pairs = kept;
}

/* ---- near ones: candidates ---- */

/* The sounds that are looked at: of files with the same audio only the first. */
static int representatives(const search *s, size_t **out, size_t *n)
{
    bool *again = sm_alloc_zero(s->n, sizeof *again);
    *out = sm_alloc(s->n, sizeof **out);
    *n = 0;
    if (!again || !*out) {
        sm_free(again);
        return SM_ENOMEM;
    }
    for (size_t i = 0; i < s->n_pairs; i++)
        again[s->pairs[i].b] = true;
    for (size_t i = 0; i < s->n; i++)
        if (!again[i] && s->sounds[i].print.frames > 0)
            (*out)[(*n)++] = i;
    sm_free(again);
    return 0;
}

static int find_candidates(search *s)
{
    const size_t k = (size_t)s->limits->neighbours;
    size_t n = 0, *chosen = NULL, *near = NULL;
    float *cosines = NULL;
    sm_print_row *rows = NULL;
    int err = representatives(s, &chosen, &n);
    if (err == 0) {
        rows = sm_alloc_aligned(n, sizeof *rows);
        near = sm_alloc(n * k, sizeof *near);
        cosines = sm_alloc(n * k, sizeof *cosines);
        err = rows && near && cosines ? 0 : SM_ENOMEM;
    }
    for (size_t i = 0; err == 0 && i < n; i++)
        rows[i].scale = sm_print_vector(&s->sounds[chosen[i]].print, rows[i].values);
    if (err == 0)
        err = sm_print_neighbours(&(sm_print_search){ rows, n, (int)k, (float)s->limits->least_cosine, s->o->pool,
                                                      s->o->progress, s->o->user },
                                  near, cosines);
    for (size_t i = 0; err == 0 && i < n; i++)
        for (size_t j = 0; err == 0 && j < k && near[i * k + j] != SIZE_MAX; j++) {
            const size_t a = chosen[i], b = chosen[near[i * k + j]];
            err = add_pair(s, (sm_dupe_pair){ .a = SM_MIN(a, b),
                                              .b = SM_MAX(a, b),
                                              .level = SM_DUPES_VARIANT,
                                              .cosine = (double)cosines[i * k + j] });
        }
    sm_free(rows);
    sm_free(near);
    sm_free(cosines);
    sm_free(chosen);
    if (err == 0)
        tidy(s);
    return err;
}

/* ---- near ones: fingerprints upon each other, then waveforms ---- */

static bool is_candidate(const sm_dupe_pair *p)
{
    return p->level == SM_DUPES_VARIANT;
}

static int lay_upon(void *user, size_t i, int worker)
{
    search *s = user;
    sm_dupe_pair *p = &s->pairs[s->first + i];
    (void)worker;
    if (!is_candidate(p))
        return 0;
    return sm_print_similarity(&s->sounds[p->a].print, &s->sounds[p->b].print, &p->similarity);
}

/* All pairs of one a: its wave is read once. A file that is gone or broken since proves nothing. */
static int prove_row(void *user, size_t item, int worker)
{
    search *s = user;
    const size_t from = s->starts[s->first + item], to = s->starts[s->first + item + 1];
    sm_floats a = { 0 }, b = { 0 };
    sm_print_cut cut_a = { 0 }, cut_b = { 0 };
    int err = 0;
    (void)worker;
    for (size_t i = from; i < to && err == 0; i++) {
        sm_dupe_pair *p = &s->pairs[i];
        if (!is_candidate(p))
            continue;
        if (a.length == 0)
            err = sm_print_wave(s->sounds[p->a].path, &a, &cut_a);
        if (err == 0)
            err = sm_print_wave(s->sounds[p->b].path, &b, &cut_b);
        if (err == 0)
            err = sm_print_prove(&a, &b, &p->proof);
        if (err == 0 && p->proof.correlation > 0) { /* of the files, not of what was cut out of them */
            p->proof.gain_db += 20 * log10((double)cut_a.peak / (double)cut_b.peak);
            p->proof.lag_s += cut_a.start_s - cut_b.start_s;
        }
        if (err == 0 && p->proof.correlation >= s->limits->least_correlation &&
            p->proof.click >= s->limits->least_click)
            p->level = SM_DUPES_SOUND;
        if (err < 0 && err != SM_ENOMEM)
            err = 0;
    }
    sm_floats_free(&a);
    sm_floats_free(&b);
    return err;
}

static int in_batches(search *s, const char *what, size_t n, size_t at_once, int (*fn)(void *, size_t, int))
{
    int err = 0;
    for (s->first = 0; err == 0 && s->first < n; s->first += at_once) {
        err = tell(s, what, s->first, n);
        if (err == 0)
            err = sm_pool_run(s->o->pool, SM_MIN(n - s->first, at_once), fn, s);
    }
    return err;
}

static void drop_dissimilar(search *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n_pairs; i++)
        if (!is_candidate(&s->pairs[i]) || s->pairs[i].similarity >= s->limits->least_similarity)
            s->pairs[kept++] = s->pairs[i];
    s->n_pairs = kept;
}

static int prove(search *s)
{
    size_t rows = 0;
    s->starts = sm_alloc(s->n_pairs + 1, sizeof *s->starts);
    if (!s->starts)
        return SM_ENOMEM;
    for (size_t i = 0; i < s->n_pairs; i++)
        if (i == 0 || s->pairs[i].a != s->pairs[i - 1].a)
            s->starts[rows++] = i;
    s->starts[rows] = s->n_pairs;
    const int err = in_batches(s, "comparing waveforms", rows, 64, prove_row);
    sm_free(s->starts);
    return err;
}

static void drop_variants(search *s)
{
    size_t kept = 0;
    const double least = s->o->level < SM_DUPES_VARIANT ? INFINITY : s->limits->least_variant;
    for (size_t i = 0; i < s->n_pairs; i++)
        if (!is_candidate(&s->pairs[i]) || s->pairs[i].similarity >= least)
            s->pairs[kept++] = s->pairs[i];
    s->n_pairs = kept;
}

int sm_dupe_pairs(const sm_dupe_sound *sounds, size_t n, const sm_dupe_search *o, sm_dupe_pair **pairs, size_t *n_pairs)
{
    search s = { .sounds = sounds, .n = n, .o = o, .limits = o->limits ? o->limits : &sm_dupe_limits_default };
    *pairs = NULL;
    *n_pairs = 0;
    int err = n > 0 ? add_equal(&s, SM_DUPES_BYTES) : 0;
    if (err == 0 && n > 0 && o->level >= SM_DUPES_AUDIO)
        err = add_equal(&s, SM_DUPES_AUDIO);
    if (err == 0)
        tidy(&s);
    if (err == 0 && n > 0 && o->level >= SM_DUPES_SOUND) {
        err = find_candidates(&s);
        if (err == 0)
            err = in_batches(&s, "comparing sounds", s.n_pairs, 4096, lay_upon);
        if (err == 0) {
            drop_dissimilar(&s);
            err = prove(&s);
        }
        drop_variants(&s);
    }
    if (err < 0) {
        sm_free(s.pairs);
        return err;
    }
    *pairs = s.pairs;
    *n_pairs = s.n_pairs;
    return 0;
}
