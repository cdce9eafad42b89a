/* Near twins: the same recording in several packs, louder, resampled, coded, or with silence in front.
 *
 * Fingerprints (kept, so that they are made once) are compared all with all. Means over blocks of the fingerprint are an
 * orthogonal projection P, so a.b <= Pa.Pb + |a - Pa| |b - Pb|: a pair whose bound is below the limit is passed over, and none
 * is lost. What the fingerprint finds is confirmed on the waveform. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/dataset_parts.h"
#include "train/dataset_print.h"
#include "base/union_find.h"

enum { BLOCK_FRAMES = 2, BLOCK_BANDS = 4, COARSE = (PRINT_FRAMES / BLOCK_FRAMES) * (PRINT_BANDS / BLOCK_BANDS) };

typedef struct {
    sm_item *item;
    int8_t print[PRINT_SIZE];
    float coarse[COARSE]; /* of the normalised fingerprint */
    float rest, scale;    /* |a - Pa|; 1 / |print| (0: silence) */
} sound;

typedef struct {
    size_t a, b;
    double cosine, correlation; /* correlation < 0: not compared yet */
} pair;

typedef struct {
    sm_dataset *d;
    const sm_dataset_twins_options *o;
    double least_cosine, least_correlation;
    sm_dataset_twins_result *out;
    sm_arena *arena;
    sm_pool *pool;
    sm_item *items;
    sound *sounds;
    size_t n;
    struct lane {
        pair *pairs;
        size_t n, capacity;
    } * lanes; /* one a worker */
    pair *pairs;
    size_t n_pairs;
} search;

/* ---- fingerprints ---- */

static int make_print(void *user, size_t i, int worker)
{
    sound **missing = user;
    float *wave = sm_alloc(PRINT_WAVE, sizeof *wave);
    char *file = sm_item_file(missing[i]->item);
    int err = wave && file ? print_wave(file, wave) : SM_ENOMEM;
    (void)worker;
    if (err == 0)
        err = print_of_wave(wave, missing[i]->print);
    if (err < 0 && err != SM_ENOMEM)
        missing[i]->item = NULL; /* gone or broken since: left out */
    sm_free(wave);
    sm_free(file);
    return err == SM_ENOMEM ? err : 0;
}

static int keep_prints(search *s, sound *const *made, size_t n)
{
    sqlite3_stmt *put = NULL, *drop = NULL;
    bool own = false;
    int err = ds_begin(s->d, &own);
    if (err == 0)
        err = ds_prepare(s->d, "DELETE FROM twins WHERE a = ?1 OR b = ?1", &drop);
    if (err == 0)
        err = ds_prepare(s->d, "INSERT OR REPLACE INTO fingerprints (item, version, sha256, print) VALUES (?,?,?,?)",
                         &put);
    for (size_t i = 0; i < n && err == 0; i++) {
        if (!made[i]->item)
            continue;
        sqlite3_bind_int64(put, 1, made[i]->item->id);
        sqlite3_bind_int(put, 2, PRINT_VERSION);
        ds_bind_text(put, 3, made[i]->item->sha256);
        sqlite3_bind_blob(put, 4, made[i]->print, PRINT_SIZE, SQLITE_STATIC);
        sqlite3_bind_int64(drop, 1, made[i]->item->id);
        err = ds_run(s->d, drop); /* comparisons with what it was before */
        if (err == 0)
            err = ds_run(s->d, put);
        s->out->read++;
    }
    sqlite3_finalize(drop);
    sqlite3_finalize(put);
    return ds_end(s->d, own, err);
}

/* The kept ones into sounds; the others' places into `missing`. */
static int load_prints(search *s, sound **missing, size_t *n_missing)
{
    sqlite3_stmt *get = NULL;
    int err = ds_prepare(s->d, "SELECT print FROM fingerprints WHERE item = ? AND version = ? AND sha256 IS ?", &get);
    for (size_t i = 0; i < s->n && err == 0; i++) {
        sqlite3_bind_int64(get, 1, s->items[i].id);
        sqlite3_bind_int(get, 2, PRINT_VERSION);
        ds_bind_text(get, 3, s->items[i].sha256);
        s->sounds[i].item = &s->items[i];
        const int more = ds_step(s->d, get);
        if (more == 1 && sqlite3_column_bytes(get, 0) == PRINT_SIZE)
            memcpy(s->sounds[i].print, sqlite3_column_blob(get, 0), PRINT_SIZE);
        else
            missing[(*n_missing)++] = &s->sounds[i];
        err = SM_MIN(more, 0);
        sqlite3_reset(get);
    }
    sqlite3_finalize(get);
    return err;
}

static int make_prints(search *s)
{
    enum { BATCH = 64 };
    sound **missing = sm_arena_get(s->arena, s->n, sizeof *missing, 16);
    size_t n = 0;
    int err = missing ? load_prints(s, missing, &n) : SM_ENOMEM;
    for (size_t at = 0; at < n && err == 0; at += BATCH) {
        const size_t now = SM_MIN(n - at, BATCH);
        err = ds_progress(&s->o->work, missing[at]->item->path, (double)at, (double)n, "files");
        if (err == 0)
            err = sm_pool_run(s->pool, now, make_print, missing + at);
        if (err == 0)
            err = keep_prints(s, missing + at, now);
    }
    return err;
}

/* ---- all with all ---- */

static void prepare_sound(sound *x)
{
    double energy = 0, coarse = 0;
    for (int i = 0; i < PRINT_SIZE; i++)
        energy += (double)x->print[i] * x->print[i];
    if (!x->item || !(energy > 0))
        return;
    x->scale = (float)(1 / sqrt(energy));
    for (int f = 0; f < PRINT_FRAMES; f++)
        for (int b = 0; b < PRINT_BANDS; b++)
            x->coarse[f / BLOCK_FRAMES * (PRINT_BANDS / BLOCK_BANDS) + b / BLOCK_BANDS] +=
                x->print[f * PRINT_BANDS + b];
    for (int k = 0; k < COARSE; k++) {
        x->coarse[k] *= x->scale / sqrtf(BLOCK_FRAMES * BLOCK_BANDS);
        coarse += (double)x->coarse[k] * x->coarse[k];
    }
    x->rest = (float)sqrt(fmax(1 - coarse, 0));
}

static float coarse_dot(const sound *a, const sound *b)
{
    float lanes[10] = { 0 };
    for (int k = 0; k < COARSE; k += 10)
        for (int j = 0; j < 10; j++)
            lanes[j] += a->coarse[k + j] * b->coarse[k + j];
    float sum = 0;
    for (int j = 0; j < 10; j++)
        sum += lanes[j];
    return sum;
}

static double cosine(const sound *a, const sound *b)
{
    int32_t sum = 0; /* at most 1360 * 127^2 */
    for (int i = 0; i < PRINT_SIZE; i++)
        sum += (int32_t)a->print[i] * b->print[i];
    return (double)sum * a->scale * b->scale;
}

static int compare_row(void *user, size_t a, int worker)
{
    search *s = user;
    struct lane *l = &s->lanes[worker];
    const sound *x = &s->sounds[a];
    for (size_t b = a + 1; b < s->n && x->scale > 0; b++) {
        const sound *y = &s->sounds[b];
        /* .001: the rounding of floats */
        if (!(y->scale > 0) || coarse_dot(x, y) + x->rest * y->rest + 1e-3F < s->least_cosine)
            continue;
        const double c = cosine(x, y);
        if (c < s->least_cosine)
            continue;
        if (sm_grow(&l->pairs, &l->capacity, l->n + 1, sizeof *l->pairs) < 0)
            return SM_ENOMEM;
        l->pairs[l->n++] = (pair){ a, b, c, -1 };
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return x->b < y->b ? -1 : x->b > y->b;
}

static int find_candidates(search *s)
{
    const int workers = sm_pool_threads(s->pool);
    size_t total = 0, fill = 0;
    s->lanes = sm_alloc_zero((size_t)workers, sizeof *s->lanes);
    if (!s->lanes)
        return SM_ENOMEM;
    for (size_t i = 0; i < s->n; i++)
        prepare_sound(&s->sounds[i]);
    const int err = sm_pool_run(s->pool, s->n, compare_row, s);
    for (int k = 0; k < workers; k++)
        total += s->lanes[k].n;
    s->pairs = err == 0 ? sm_arena_get(s->arena, SM_MAX(total, 1), sizeof *s->pairs, 16) : NULL;
    for (int k = 0; k < workers; k++) {
        if (s->pairs && s->lanes[k].n)
            memcpy(s->pairs + fill, s->lanes[k].pairs, s->lanes[k].n * sizeof *s->pairs);
        fill += s->lanes[k].n;
        sm_free(s->lanes[k].pairs);
    }
    sm_free(s->lanes);
    if (err < 0 || !s->pairs)
        return err < 0 ? err : SM_ENOMEM;
    s->n_pairs = total;
    s->out->candidates = (int64_t)total;
    qsort(s->pairs, total, sizeof *s->pairs, by_place);
    return 0;
}

/* ---- the waveform has the last word ---- */

/* What an earlier search compared need not be read again: both fingerprints are still those. */
static int recall(search *s)
{
    sqlite3_stmt *get = NULL;
    int err = ds_prepare(s->d, "SELECT correlation FROM twins WHERE a = ? AND b = ?", &get);
    for (size_t i = 0; i < s->n_pairs && err == 0; i++) {
        sqlite3_bind_int64(get, 1, s->sounds[s->pairs[i].a].item->id);
        sqlite3_bind_int64(get, 2, s->sounds[s->pairs[i].b].item->id);
        const int more = ds_step(s->d, get);
        if (more == 1)
            s->pairs[i].correlation = sqlite3_column_double(get, 0);
        err = SM_MIN(more, 0);
        sqlite3_reset(get);
    }
    sqlite3_finalize(get);
    return err;
}

/* All pairs of one a: its wave is read once. */
static int confirm_row(void *user, size_t row, int worker)
{
    search *s = ((void **)user)[0];
    const size_t *starts = ((void **)user)[1];
    float *waves = sm_alloc(2 * PRINT_WAVE, sizeof *waves);
    char *file = sm_item_file(s->sounds[s->pairs[starts[row]].a].item);
    bool read = false;
    int err = waves && file ? 0 : SM_ENOMEM;
    (void)worker;
    for (size_t i = starts[row]; i < starts[row + 1] && err == 0; i++) {
        if (s->pairs[i].correlation >= 0)
            continue; /* by an earlier search */
        if (!read)
            err = print_wave(file, waves);
        read = true;
        if (err < 0)
            break;
        sm_free(file);
        file = sm_item_file(s->sounds[s->pairs[i].b].item);
        s->pairs[i].correlation = 0;
        err = file ? print_wave(file, waves + PRINT_WAVE) : SM_ENOMEM;
        if (err == 0)
            err = print_correlation(waves, waves + PRINT_WAVE, &s->pairs[i].correlation);
    }
    sm_free(file);
    sm_free(waves);
    return err == SM_ENOMEM ? err : 0; /* a file that is gone confirms nothing */
}

static int confirm(search *s)
{
    enum { ROWS = 32 };
    size_t *starts = sm_arena_get(s->arena, s->n_pairs + 1, sizeof *starts, 16);
    size_t rows = 0;
    int err = starts ? recall(s) : SM_ENOMEM;
    for (size_t i = 0; i < s->n_pairs && err == 0; i++)
        if (i == 0 || s->pairs[i].a != s->pairs[i - 1].a)
            starts[rows++] = i;
    if (err == 0)
        starts[rows] = s->n_pairs;
    for (size_t at = 0; at < rows && err == 0; at += ROWS) {
        void *user[2] = { s, starts + at };
        err = ds_progress(&s->o->work, "comparing", (double)at, (double)rows, "files");
        if (err == 0)
            err = sm_pool_run(s->pool, SM_MIN(rows - at, ROWS), confirm_row, user);
    }
    return err;
}

/* ---- what came of it ---- */

static bool better(const sm_item *a, const sm_item *b)
{
    if (a->verified != b->verified)
        return a->verified;
    if (a->confidence != b->confidence)
        return a->confidence > b->confidence;
    return a->id < b->id;
}

static int write_pairs(search *s, size_t *parent)
{
    sqlite3_stmt *put = NULL;
    char limit[40];
    int err = ds_exec(s->d, "DELETE FROM twins; UPDATE items SET twin_of = NULL WHERE twin_of IS NOT NULL");
    if (err == 0)
        err = ds_prepare(s->d, "INSERT INTO twins (a, b, cosine, correlation) VALUES (?,?,?,?)", &put);
    for (size_t i = 0; i < s->n_pairs && err == 0; i++) {
        const pair *p = &s->pairs[i];
        const sm_item *a = s->sounds[p->a].item, *b = s->sounds[p->b].item;
        sqlite3_bind_int64(put, 1, a->id);
        sqlite3_bind_int64(put, 2, b->id);
        sqlite3_bind_double(put, 3, p->cosine);
        sqlite3_bind_double(put, 4, fmax(p->correlation, 0));
        err = ds_run(s->d, put);
        if (p->correlation < s->least_correlation)
            continue;
        union_find_join(parent, p->a, p->b);
        s->out->pairs++;
        s->out->across += !a->family || !b->family || strcmp(a->family, b->family) != 0;
        s->out->torn += a->split && b->split && strcmp(a->split, b->split) != 0;
    }
    sqlite3_finalize(put);
    snprintf(limit, sizeof limit, "%.17g", s->least_correlation);
    return err < 0 ? err : ds_state_set(s->d, "twins_correlation", limit);
}

static int mark_twins(search *s, size_t *parent)
{
    size_t *kept = sm_arena_get(s->arena, s->n, sizeof *kept, 16);
    bool *counted = sm_arena_zero(s->arena, s->n, sizeof *counted); /* by root: this group */
    sqlite3_stmt *mark = NULL;
    int err = kept && counted ? ds_prepare(s->d, "UPDATE items SET twin_of = ? WHERE id = ?", &mark) : SM_ENOMEM;
    for (size_t i = 0; i < s->n && err == 0; i++)
        kept[i] = i;
    for (size_t i = 0; i < s->n && err == 0; i++) {
        const size_t root = union_find_root(parent, i);
        if (root != i && better(&s->items[i], &s->items[kept[root]]))
            kept[root] = i;
    }
    for (size_t i = 0; i < s->n && err == 0; i++) {
        const size_t root = union_find_root(parent, i), keeper = kept[root];
        if (keeper == i)
            continue;
        s->out->kept += !counted[root];
        counted[root] = true;
        sqlite3_bind_int64(mark, 1, s->items[keeper].id);
        sqlite3_bind_int64(mark, 2, s->items[i].id);
        err = ds_run(s->d, mark);
        s->out->marked++;
    }
    sqlite3_finalize(mark);
    return err;
}

static int conclude(search *s)
{
    size_t *parent = union_find_new(s->n);
    bool own = false;
    int err = parent ? ds_begin(s->d, &own) : SM_ENOMEM;
    if (err == 0)
        err = write_pairs(s, parent);
    if (err == 0)
        err = mark_twins(s, parent);
    err = ds_end(s->d, own, err);
    sm_free(parent);
    return err;
}

int sm_dataset_find_twins(sm_dataset *d, const sm_dataset_twins_options *o, sm_dataset_twins_result *out)
{
    search s = { .d = d, .o = o, .out = out, .arena = sm_arena_new() };
    s.least_cosine = o->least_cosine > 0 ? o->least_cosine : 0.95;
    s.least_correlation = o->least_correlation > 0 ? o->least_correlation : 0.93;
    int err = s.arena ? ds_writable(d) : SM_ENOMEM;
    *out = (sm_dataset_twins_result){ 0 };
    if (err == 0)
        err = sm_dataset_list(d, NULL, s.arena, &s.items, &s.n);
    if (err == 0)
        err = sm_pool_new(o->work.jobs > 0 ? o->work.jobs : sm_cpu_count(), &s.pool);
    if (err == 0 && s.n > 0) {
        s.sounds = sm_alloc_zero(s.n, sizeof *s.sounds);
        err = s.sounds ? make_prints(&s) : SM_ENOMEM;
        if (err == 0)
            err = find_candidates(&s);
        if (err == 0)
            err = confirm(&s);
        if (err == 0)
            err = conclude(&s);
    }
    sm_pool_free(s.pool);
    sm_free(s.sounds);
    sm_arena_free(s.arena);
    return err;
}

int sm_dataset_twins(sm_dataset *d, sm_arena *a, sm_dataset_twin **out, size_t *n)
{
    sqlite3_stmt *s = NULL;
    sm_dataset_twin *list = NULL;
    size_t capacity = 0, found = 0;
    int more = 0;
    int err = ds_prepare(d,
                         "SELECT a, b, cosine, correlation FROM twins WHERE correlation >="
                         " (SELECT CAST(value AS REAL) FROM state WHERE name = 'twins_correlation') ORDER BY a, b",
                         &s);
    *out = NULL;
    *n = 0;
    while (err == 0 && (more = ds_step(d, s)) == 1) {
        err = sm_grow(&list, &capacity, found + 1, sizeof *list);
        if (err == 0)
            list[found++] = (sm_dataset_twin){ sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1),
                                               sqlite3_column_double(s, 2), sqlite3_column_double(s, 3) };
    }
    sqlite3_finalize(s);
    err = err < 0 ? err : SM_MIN(more, 0);
    if (err == 0 && !(*out = sm_arena_get(a, SM_MAX(found, 1), sizeof **out, 16)))
        err = SM_ENOMEM;
    if (err == 0) {
        if (found > 0)
            memcpy(*out, list, found * sizeof *list);
        *n = found;
    }
    sm_free(list);
    return err;
}
