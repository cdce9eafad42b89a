/* The second phase: what is listed becomes known. Small files first, in the order of size and id; read and hashed a few hundred at a
 * time; what has a known content is done with that; the rest is analysed in groups.
 *
 * A group is 16 files or 4 MB in that order, and is kept whole or not at all, in the order of the list. So after the program was ended at
 * any moment what is left begins where a group begins, the next scan makes the same groups, and the records are the same to
 * the last bit as if nothing had happened. */
#include <stdlib.h>
#include <string.h>

#include "library/columns.h"
#include "library/scan.h"

enum { READ_AHEAD = 128, MOST_GROUPS = 64 };

/* ---- groups of sounds through the engine ---- */

/* The engine's progress: files of this run on top of those that were done before. */
static int on_progress(void *user, const sm_progress_info *p)
{
    sm_scan *s = user;
    return scan_progress(s, p->what, s->done + p->done, s->total) < 0;
}

int scan_engine_open(sm_scan *s, const char *models, sm_engine **out)
{
    const sm_scan_options *o = s->options;
    sm_options e;
    sm_options_init(&e);
    e.home = o->home;
    e.models = models ? models : o->models;
    e.precision = o->precision;
    e.backend = o->backend;
    e.jobs = o->jobs;
    e.time_limit_s = o->time_limit_s;
    e.embed_hop_s = o->embed_hop_s;
    e.progress = on_progress;
    e.user = s;
    int err = sm_engine_open(&e, out);
    const char *reason = NULL, *name = err == 0 ? sm_engine_missing_model(*out, 0, &reason) : NULL;
    if (err == 0 && name) { /* better now than after a night */
        err = sm_fail(SM_ENOTFOUND, "%s: %s", name, reason);
        sm_engine_close(*out);
        *out = NULL;
    }
    return err;
}

typedef struct {
    sm_scan *scan;
    scan_sound **sounds;
    const size_t *starts;
    size_t group;
    int (*keep)(void *user, scan_sound *x);
    void *user;
} run;

static int keep_group(run *r)
{
    sm_scan *s = r->scan;
    const int64_t before = s->result.analysed;
    bool own = false;
    int err = sm_store_begin(s->store, &own);
    for (size_t i = r->starts[r->group]; i < r->starts[r->group + 1] && err == 0; i++) {
        scan_sound *x = r->sounds[i];
        if (x->err < 0)
            err = scan_sound_keep_failure(s, x);
        else if (scan_sound_unchanged(x))
            err = r->keep(r->user, x);
        /* else it changed meanwhile: it stays listed, the next scan reads it */
    }
    if (err == 0 &&
        s->result.analysed > before) /* how often ever: as many as there are contents, unless some were made again */
        err = sm_store_state_count(s->store, "analyses", s->result.analysed - before);
    return sm_store_end(s->store, own, err);
}

static int sink(void *user, size_t index, sm_record *record, int err)
{
    run *r = user;
    scan_sound *x = r->sounds[index];
    const char *what, *reason;
    x->record = record;
    if (err < 0) {
        sm_record_failure(record, 0, &what, &reason);
        const size_t n = strlen(x->path);
        if (reason && !strncmp(reason, x->path, n) && !strncmp(reason + n, ": ", 2))
            reason += n + 2;
        x->err = err;
        if (!(x->reason = sm_strdup(reason ? reason : "it cannot be read")))
            return SM_ENOMEM;
    }
    if (index + 1 < r->starts[r->group + 1])
        return 0;
    err = keep_group(r);
    for (size_t i = r->starts[r->group]; i < r->starts[r->group + 1]; i++) {
        scan_sound_free(r->sounds[i]);
        r->sounds[i] = NULL;
    }
    r->group++;
    return err;
}

int scan_run_groups(sm_scan *s, sm_engine *engine, scan_sound **sounds, const size_t *starts, size_t n_groups,
                    int (*keep)(void *user, scan_sound *x), void *user)
{
    const size_t n = starts[n_groups];
    run r = { .scan = s, .sounds = sounds, .starts = starts, .keep = keep, .user = user };
    const char **paths = sm_alloc(n + 1, sizeof *paths);
    double files = 0;
    int err = paths ? 0 : SM_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        for (const scan_sound *x = sounds[i]; x; x = x->twins)
            files++;
        if (paths)
            paths[i] = sounds[i]->path;
    }
    if (err == 0)
        err = sm_analyze_groups(engine, paths, starts, n_groups, sink, &r);
    s->done += files;
    for (size_t i = 0; i < n; i++)
        scan_sound_free(sounds[i]);
    sm_free(paths);
    return err;
}

/* ---- what waits ---- */

typedef struct {
    sm_file_row *rows; /* without name and reason */
    size_t n, capacity;
} waiting;

static int add_waiting(void *user, const sm_file_row *f)
{
    waiting *w = user;
    if (sm_grow(&w->rows, &w->capacity, w->n + 1, sizeof *w->rows) < 0)
        return SM_ENOMEM;
    w->rows[w->n] = *f;
    w->rows[w->n].name = w->rows[w->n].reason = NULL;
    w->n++;
    return 0;
}

typedef struct {
    waiting *waiting;
    const scan_ids *stale;
} stale_walk;

static int add_stale(void *user, const sm_file_row *f)
{
    const stale_walk *w = user;
    return scan_ids_has(w->stale, f->content) ? add_waiting(w->waiting, f) : 0;
}

static int by_size(const void *a, const void *b)
{
    const sm_file_row *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int gather(sm_scan *s, const scan_ids *stale, waiting *w)
{
    stale_walk sw = { w, stale };
    int err = sm_store_files_in_state(s->store, SM_FILE_LISTED, add_waiting, w);
    if (err == 0 && stale->n > 0)
        err = sm_store_files_in_state(s->store, SM_FILE_ANALYSED, add_stale, &sw);
    if (err == 0 && w->n > 1)
        qsort(w->rows, w->n, sizeof *w->rows, by_size);
    return err;
}

/* ---- the queue: sounds that are hashed, unknown, and wait for their group to be full ---- */

typedef struct {
    sm_scan *scan;
    waiting waiting;
    size_t next; /* of waiting */
    scan_ids stale;
    scan_sound **sounds;
    size_t n, capacity;
} queue;

static int hash_one(void *user, size_t i, int worker)
{
    (void)worker;
    return scan_sound_hash(((scan_sound **)user)[i]);
}

/* An earlier one of the queue with the same bytes. */
static scan_sound *twin_of(queue *q, const scan_sound *x)
{
    for (size_t i = 0; i < q->n; i++)
        if (!memcmp(q->sounds[i]->hash, x->hash, SM_HASH_BYTES))
            return q->sounds[i];
    return NULL;
}

/* What becomes of a sound that was hashed: failed, known, a twin, or the end of the queue. Takes x. */
static int settle(queue *q, scan_sound *x)
{
    sm_scan *s = q->scan;
    sm_content_row known = { 0 };
    int err = x->err < 0 ? scan_sound_keep_failure(s, x) : sm_store_content_find(s->store, x->hash, &known);
    scan_sound *twin = err == 0 && x->err == 0 ? twin_of(q, x) : NULL;
    if (err == 0 && x->err == 0 && !twin) {
        if (known.id > 0 && !scan_ids_has(&q->stale, known.id)) {
            err = scan_sound_keep_known(s, x, known.id);
        } else if ((err = sm_grow(&q->sounds, &q->capacity, q->n + 1, sizeof *q->sounds)) == 0) {
            q->sounds[q->n++] = x;
            scan_ids_drop(&q->stale, known.id); /* its copies need not be analysed again */
            return 0;
        }
    }
    if (twin) {
        x->twins = twin->twins;
        twin->twins = x;
        return 0;
    }
    s->done += 1;
    scan_sound_free(x);
    return err;
}

static int read_ahead(queue *q)
{
    sm_scan *s = q->scan;
    scan_sound *sounds[READ_AHEAD] = { NULL };
    size_t n = 0;
    bool own = false;
    int err = 0;
    while (n < READ_AHEAD && q->next < q->waiting.n && err == 0)
        if ((err = scan_sound_new(s, &q->waiting.rows[q->next++], &sounds[n])) == 0)
            n++;
    if (err == 0 && n > 0)
        err = scan_progress(s, sounds[0]->path, s->done, s->total);
    if (err == 0)
        err = sm_pool_run(s->pool, n, hash_one, sounds);
    if (err == 0)
        err = sm_store_begin(s->store, &own);
    size_t i = 0;
    for (; i < n && err == 0; i++)
        err = settle(q, sounds[i]);
    for (; i < n; i++)
        scan_sound_free(sounds[i]);
    return sm_store_end(s->store, own, err);
}

/* Enough to keep all threads busy, and not so many that nothing is kept for long. */
static bool is_enough(const queue *q, size_t n_groups)
{
    return n_groups >= SM_MIN((size_t)MOST_GROUPS, 8 * (size_t)sm_pool_threads(q->scan->pool));
}

/* Cuts full groups from the front of the queue: starts[0..n]. The last may be short when nothing follows. */
static size_t cut_groups(const queue *q, bool all, size_t starts[MOST_GROUPS + 1])
{
    size_t n = 0, at = 0;
    starts[0] = 0;
    while (at < q->n && n < MOST_GROUPS) {
        int64_t bytes = 0;
        size_t end = at;
        while (end < q->n && end - at < SM_GROUP_FILES &&
               (end == at || bytes + q->sounds[end]->file.size <= SM_GROUP_BYTES))
            bytes += q->sounds[end++]->file.size;
        if (end == q->n && end - at < SM_GROUP_FILES && !all)
            break; /* the next one may belong to it */
        starts[++n] = at = end;
    }
    return n;
}

static int compute_one(void *user, size_t i, int worker)
{
    (void)worker;
    return scan_sound_compute(((scan_sound **)user)[i], UINT32_MAX);
}

static int keep_whole(void *user, scan_sound *x)
{
    return scan_sound_keep(user, x);
}

static int run_queue(queue *q, const size_t *starts, size_t n_groups)
{
    sm_scan *s = q->scan;
    const size_t n = starts[n_groups];
    int err = sm_pool_run(s->pool, n, compute_one, q->sounds);
    if (err < 0)
        return err;
    err = scan_run_groups(s, s->engine, q->sounds, starts, n_groups, keep_whole, s);
    memmove(q->sounds, q->sounds + n, (q->n - n) * sizeof *q->sounds);
    q->n -= n;
    return err;
}

static int work(queue *q)
{
    size_t starts[MOST_GROUPS + 1];
    int err = 0;
    while (err == 0) {
        const bool all = q->next == q->waiting.n;
        const size_t n_groups = cut_groups(q, all, starts);
        if (all && n_groups == 0)
            break;
        err = all || is_enough(q, n_groups) ? run_queue(q, starts, n_groups) : read_ahead(q);
    }
    return err;
}

int scan_analyse(sm_scan *s)
{
    queue q = { .scan = s };
    int err = scan_engine_open(s, NULL, &s->engine);
    if (err == 0)
        err = sm_pool_new(s->options->jobs > 0 ? s->options->jobs : sm_cpu_count(), &s->pool);
    if (err == 0)
        err = scan_refresh(s, &q.stale);
    if (err == 0)
        err = gather(s, &q.stale, &q.waiting);
    s->done = 0;
    s->total = (double)q.waiting.n;
    if (err == 0)
        err = work(&q);
    if (err == 0)
        err = scan_refresh_done(s);
    if (err == 0)
        err = sm_store_state_set(s->store, SM_WAITING_STATE, "0");
    for (size_t i = 0; sm_scan_parts[i] && err == 0; i++)
        if (sm_scan_parts[i]->finish)
            err = sm_scan_parts[i]->finish(s->store);
    for (size_t i = 0; i < q.n; i++)
        scan_sound_free(q.sounds[i]);
    sm_free(q.sounds);
    sm_free(q.waiting.rows);
    sm_free(q.stale.ids);
    sm_pool_free(s->pool);
    sm_engine_close(s->engine);
    s->pool = NULL;
    s->engine = NULL;
    return err;
}
