/* The public face: options, opening, one sound or many on all threads. */
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/internal.h"

void sm_options_init(sm_options *o)
{
    *o = (sm_options){ .size = sizeof *o };
}

static int copy_text(const char **field)
{
    if (*field && !(*field = sm_strdup(*field)))
        return SM_ENOMEM;
    return 0;
}

static int one_of(const char *what, const char *value, const char *const *allowed, size_t n)
{
    if (!value)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(value, allowed[i]))
            return 0;
    const char *near = sm_text_nearest(value, allowed, n);
    return sm_fail(SM_EUSAGE, "%s \"%s\" is not known%s%s%s", what, value, near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"?" : "");
}

static int check_options(const sm_options *o)
{
    static const char *const precisions[] = { "auto", "f32", "bf16" };
    static const char *const notations[] = { "musical", "camelot", "openkey" };
    static const char *const backends[] = { "onednn", "ref" };
    int err = 0;
    if ((err = one_of("precision", o->precision, precisions, SM_LENGTH(precisions))) < 0 ||
        (err = one_of("key notation", o->key_notation, notations, SM_LENGTH(notations))) < 0 ||
        (err = one_of("backend", o->backend, backends, SM_LENGTH(backends))) < 0)
        return err;
    if (o->jobs < 0 || o->jobs > 1024)
        return sm_fail(SM_EUSAGE, "jobs is %d, expected 0 (one for each core) to 1024", o->jobs);
    if (!(o->max_seconds >= 0) || !(o->time_limit_s >= 0) || !(o->bpm_min >= 0) || !(o->bpm_max >= 0) || o->top < 0)
        return sm_fail(SM_EUSAGE, "a limit is negative: max_seconds %g, time_limit_s %g, bpm %g to %g, top %d",
                       o->max_seconds, o->time_limit_s, o->bpm_min, o->bpm_max, o->top);
    if (!(o->embed_hop_s >= 0 && o->embed_hop_s <= 3600))
        return sm_fail(SM_EUSAGE, "embed_hop_s is %g, expected 0 (a window) to 3600", o->embed_hop_s);
    if (o->bpm_min > 0 && o->bpm_max > 0 && o->bpm_max < 2 * o->bpm_min)
        return sm_fail(SM_EUSAGE, "bpm range %g to %g is less than an octave", o->bpm_min, o->bpm_max);
    return 0;
}

/* What the caller's version of the struct has; fields that came later keep their defaults. */
static int take_options(sm_engine *e, const sm_options *o)
{
    sm_options_init(&e->options);
    if (o->size < sizeof(size_t) || o->size > 4096)
        return sm_fail(SM_EUSAGE, "options of %zu bytes: sm_options_init has not been called", o->size);
    sm_options given = e->options;
    memcpy(&given, o, SM_MIN(o->size, sizeof given));
    given.size = sizeof given;
    const int err = check_options(&given);
    if (err < 0)
        return err;
    e->options = given;
    const char **texts[] = { &e->options.home, &e->options.models, &e->options.precision, &e->options.backend,
                             &e->options.key_notation };
    bool failed = false;
    for (size_t i = 0; i < SM_LENGTH(texts); i++)
        if (failed)
            *texts[i] = NULL;
        else if (copy_text(texts[i]) < 0)
            failed = true; /* from here on nothing is ours to free */
    if (failed)
        return SM_ENOMEM;
    if (e->options.top == 0)
        e->options.top = 5;
    e->jobs = e->options.jobs > 0 ? e->options.jobs : sm_cpu_count();
    return 0;
}

int sm_engine_open(const sm_options *options, sm_engine **out)
{
    *out = NULL;
    sm_engine *e = sm_alloc_zero(1, sizeof *e);
    if (!e)
        return SM_ENOMEM;
    pthread_mutex_init(&e->progress_lock, NULL);
    int err = take_options(e, options);
    if (err == 0)
        err = sm_pool_new(e->jobs, &e->pool);
    if (err == 0)
        err = engine_open_models(e);
    if (err < 0) {
        sm_engine_close(e);
        return err;
    }
    *out = e;
    return 0;
}

void sm_engine_close(sm_engine *e)
{
    if (!e)
        return;
    engine_close_models(e);
    engine_failures_free(e->missing, e->n_missing);
    sm_pool_free(e->pool);
    pthread_mutex_destroy(&e->progress_lock);
    const char *const texts[] = { e->options.home, e->options.models, e->options.precision, e->options.backend,
                                  e->options.key_notation };
    for (size_t i = 0; i < SM_LENGTH(texts); i++)
        sm_free((void *)(uintptr_t)texts[i]);
    sm_free(e);
}

/* i-th model that is not only there for others. */
static const engine_model *visible(const sm_engine *e, size_t i)
{
    for (size_t m = 0; m < e->n_models; m++)
        if (!e->models[m].hidden && i-- == 0)
            return &e->models[m];
    return NULL;
}

size_t sm_engine_models(const sm_engine *e)
{
    size_t n = 0;
    while (visible(e, n))
        n++;
    return n;
}

const char *sm_engine_model_weights(const sm_engine *e, size_t i)
{
    const engine_model *m = visible(e, i);
    return m ? m->hash : NULL;
}

const char *sm_engine_model(const sm_engine *e, size_t i)
{
    const engine_model *m = visible(e, i);
    return m ? m->model->name : NULL;
}

size_t sm_engine_missing(const sm_engine *e)
{
    return e->n_missing;
}

const char *sm_engine_missing_model(const sm_engine *e, size_t i, const char **reason)
{
    *reason = i < e->n_missing ? e->missing[i].reason : NULL;
    return i < e->n_missing ? e->missing[i].what : NULL;
}

/* ---- progress ---- */

/* Starts a piece of work that reports so many units. */
static void progress_begin(sm_engine *e, double total, const char *unit)
{
    e->progress = (sm_progress_info){ .total = total, .unit = unit };
    e->last_report_s = 0;
    atomic_store(&e->cancelled, false);
}

/* Moves on and, ten times a second, tells the caller. Any thread. */
int engine_progress(sm_engine *e, const char *what, double done, double audio_s)
{
    if (!e->options.progress)
        return 0;
    pthread_mutex_lock(&e->progress_lock);
    e->progress.done += done;
    e->progress.audio_s += audio_s;
    const double now = sm_now_s();
    if (!atomic_load(&e->cancelled) && now - e->last_report_s >= 0.1) {
        e->last_report_s = now;
        e->progress.what = what;
        if (e->options.progress(e->options.user, &e->progress) != 0)
            atomic_store(&e->cancelled, true);
    }
    pthread_mutex_unlock(&e->progress_lock);
    return atomic_load(&e->cancelled) ? sm_fail(SM_ECANCELLED, "stopped at the caller's wish") : 0;
}

/* ---- one sound ---- */

static int analyze_one(sm_engine *e, engine_sound *s, sm_record **out)
{
    *out = NULL;
    progress_begin(e, 1, "files");
    const int err = engine_analyze(e, s, 1, 0, e->jobs > 1 ? e->pool : NULL);
    if (err < 0)
        return err;
    if (s->err < 0) {
        sm_record_free(s->record);
        return s->err;
    }
    *out = s->record;
    return 0;
}

int sm_analyze_file(sm_engine *e, const char *path, sm_record **out)
{
    engine_sound s = { .path = path };
    return analyze_one(e, &s, out);
}

int sm_analyze_buffer(sm_engine *e, const float *interleaved, size_t frames, int rate_hz, int channels,
                      const char *name, sm_record **out)
{
    engine_sound s = { .path = name ? name : "",
                       .in_memory = true,
                       .audio = interleaved,
                       .frames = frames,
                       .rate_hz = rate_hz,
                       .channels = channels };
    return analyze_one(e, &s, out);
}

/* ---- many sounds: groups of files on all threads, records given out in order ---- */

typedef struct {
    sm_engine *engine;
    const char *const *paths;
    size_t n;
    const size_t *groups; /* [n_groups + 1] first file of each */
    size_t *planned;      /* the same, when we planned them */
    size_t n_groups;
    pthread_mutex_t lock; /* of what follows */
    engine_sound *done;   /* [n] finished sounds that wait for their turn */
    bool *is_done;        /* [n] */
    size_t next, n_failed;
    int stopped; /* what the sink returned, once negative */
    sm_record_sink sink;
    void *user;
} many;

static int plan_groups(many *m)
{
    int64_t bytes = 0;
    size_t files = 0;
    m->planned = sm_alloc(m->n + 1, sizeof *m->planned);
    if (!m->planned)
        return SM_ENOMEM;
    /* by the number of files only, so that the answers do not depend on the number of threads */
    const size_t most = SM_CLAMP(m->n / 8, 1, SM_GROUP_FILES);
    for (size_t i = 0; i < m->n; i++) {
        struct stat s;
        const int64_t size = stat(m->paths[i], &s) == 0 ? s.st_size : 0;
        if (i == 0 || files >= most || bytes + size > SM_GROUP_BYTES) {
            m->planned[m->n_groups++] = i;
            files = 0;
            bytes = 0;
        }
        files++;
        bytes += size;
    }
    m->planned[m->n_groups] = m->n;
    return 0;
}

/* Keeps a group's records and gives out those whose turn it is. */
static int give_out(many *m, const engine_sound *sounds, size_t first, size_t n)
{
    pthread_mutex_lock(&m->lock);
    int err = m->stopped; /* a sink that said no is not asked again by other threads */
    for (size_t i = 0; i < n; i++) {
        m->done[first + i] = sounds[i];
        m->is_done[first + i] = true;
    }
    while (err == 0 && m->next < m->n && m->is_done[m->next]) {
        engine_sound *s = &m->done[m->next];
        sm_record *record = s->record;
        s->record = NULL;
        m->n_failed += s->err < 0;
        err = m->sink(m->user, m->next, record, s->err);
        err = SM_MIN(err, 0); /* only a negative answer stops */
        m->next++;
    }
    m->stopped = err;
    pthread_mutex_unlock(&m->lock);
    return err;
}

static int analyze_group(void *user, size_t g, int worker)
{
    many *m = user;
    engine_sound sounds[SM_GROUP_FILES];
    const size_t first = m->groups[g], n = m->groups[g + 1] - first;
    for (size_t i = 0; i < n; i++)
        sounds[i] = (engine_sound){ .path = m->paths[first + i] };
    int err = engine_analyze(m->engine, sounds, n, worker, NULL);
    if (err == 0)
        err = give_out(m, sounds, first, n);
    return err;
}

/* Groups planned; sinks everything. */
static int analyze_many(many *m)
{
    sm_engine *e = m->engine;
    int err = 0;
    progress_begin(e, (double)m->n, "files");
    pthread_mutex_init(&m->lock, NULL);
    m->done = sm_alloc_zero(m->n, sizeof *m->done);
    m->is_done = sm_alloc_zero(m->n, sizeof *m->is_done);
    if (!m->done || !m->is_done)
        err = SM_ENOMEM;
    if (err == 0 && m->n == 1) { /* one file: its models side by side */
        engine_sound s = { .path = m->paths[0] };
        err = engine_analyze(e, &s, 1, 0, e->jobs > 1 ? e->pool : NULL);
        if (err == 0)
            err = give_out(m, &s, 0, 1);
    } else if (err == 0) {
        err = sm_pool_run(e->pool, m->n_groups, analyze_group, m);
    }
    for (size_t i = 0; m->done && i < m->n; i++)
        sm_record_free(m->done[i].record); /* those whose turn never came */
    sm_free(m->done);
    sm_free(m->is_done);
    pthread_mutex_destroy(&m->lock);
    return err;
}

int sm_analyze_files(sm_engine *e, const char *const *paths, size_t n, sm_record_sink sink, void *user,
                     size_t *n_failed)
{
    many m = { .engine = e, .paths = paths, .n = n, .sink = sink, .user = user };
    if (n_failed)
        *n_failed = 0;
    if (n == 0)
        return 0;
    int err = plan_groups(&m);
    if (err == 0) {
        m.groups = m.planned;
        err = analyze_many(&m);
    }
    if (n_failed)
        *n_failed = m.n_failed;
    sm_free(m.planned);
    return err;
}

int sm_analyze_groups(sm_engine *e, const char *const *paths, const size_t *starts, size_t n_groups,
                      sm_record_sink sink, void *user)
{
    many m = { .engine = e, .paths = paths, .groups = starts, .n_groups = n_groups, .sink = sink, .user = user };
    for (size_t g = 0; g < n_groups; g++)
        if (starts[g + 1] <= starts[g] || starts[g + 1] - starts[g] > SM_GROUP_FILES)
            return sm_fail(SM_EUSAGE, "a group of files from %zu to %zu", starts[g], starts[g + 1]);
    m.n = n_groups > 0 ? starts[n_groups] : 0;
    return m.n > 0 ? analyze_many(&m) : 0;
}
