/* Taking sounds in: files are read side by side, items are put one after the other, some hundred to a transaction. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "models/model.h"
#include "train/dataset_parts.h"

enum { BATCH = 128 };

typedef struct {
    sm_item *item;
    char *file;
    char sha256[65];
    char *reason;             /* why it is broken; NULL: it is not */
    bool read, unchanged;     /* its sound was read; looks as it did */
    bool known, known_broken; /* an item, or a broken file, of this path is there */
    int err;                  /* what ends the whole work */
} candidate;

void ds_problem(const sm_dataset_work *work, sm_dataset_result *result, const char *path, const char *reason)
{
    if (result)
        result->broken++;
    if (work->problem)
        work->problem(work->user, path, reason);
}

int ds_progress(const sm_dataset_work *work, const char *what, double done, double total, const char *unit)
{
    const sm_progress_info p = { .what = what, .done = done, .total = total, .unit = unit };
    if (work->progress && work->progress(work->user, &p) != 0)
        return sm_fail(SM_ECANCELLED, "stopped; the next run goes on where this one was");
    return 0;
}

int ds_class(const char *text, const char **out)
{
    for (size_t c = 0; c < SM_INSTRUMENTS; c++)
        if (!strcmp(text, sm_instruments[c])) {
            *out = sm_instruments[c];
            return 0;
        }
    const char *near = sm_text_nearest(text, sm_instruments, SM_INSTRUMENTS);
    return near ? sm_fail(SM_EUSAGE, "there is no class \"%s\"; did you mean \"%s\"?", text, near)
                : sm_fail(SM_EUSAGE, "there is no class \"%s\"; samplemind dataset label --help lists all", text);
}

int ds_absolute(const char *path, char **out)
{
    char *real = realpath(path, NULL); /* the C library's */
    *out = NULL;
    if (!real)
        return sm_fail(errno == ENOENT || errno == ENOTDIR ? SM_ENOTFOUND : SM_EIO, "%s: %s", path, strerror(errno));
    *out = sm_strdup(real);
    free(real);
    return *out ? 0 : SM_ENOMEM;
}

/* ---- reading, on any thread ---- */

static int read_sound(candidate *c)
{
    sm_audio *audio = NULL;
    float *piece = NULL;
    int64_t frames = 0, n = 0;
    int err = sm_audio_open(c->file, &audio);
    if (err < 0)
        return err;
    const sm_audio_info *info = sm_audio_get_info(audio);
    const size_t room = 16384;
    piece = sm_alloc(room * (size_t)info->channels, sizeof *piece);
    err = piece ? 0 : SM_ENOMEM;
    while (err == 0 && (n = sm_audio_read(audio, piece, room)) > 0)
        frames += n;
    if (err == 0 && n < 0)
        err = (int)n;
    if (err == 0 && frames == 0)
        err = sm_fail(SM_EFORMAT, "%s: holds no sound", c->file);
    if (err == 0) {
        c->item->duration_s = (double)frames / info->rate_hz;
        c->item->rate_hz = info->rate_hz;
        c->item->channels = info->channels;
        err = sm_hash_file(SM_HASH_SHA256, c->file, c->sha256);
    }
    sm_free(piece);
    sm_audio_close(audio);
    return err;
}

static int read_one(void *user, size_t i, int worker)
{
    candidate *c = (candidate *)user + i;
    (void)worker;
    if (!c->read)
        return 0;
    const int err = read_sound(c);
    if (err == SM_ENOMEM)
        return err;
    if (err < 0) {
        /* the reason without the path, which stands before it wherever it is shown */
        const char *text = sm_last_error();
        const size_t n = strlen(c->file);
        c->reason = sm_strdup(!strncmp(text, c->file, n) && !strncmp(text + n, ": ", 2) ? text + n + 2 : text);
        return c->reason ? 0 : SM_ENOMEM;
    }
    c->item->sha256 = c->sha256;
    return 0;
}

/* ---- what is known already ---- */

typedef struct {
    sm_dataset *d;
    const sm_dataset_work *work;
    sm_dataset_result *result;
    bool again;
    sqlite3_stmt *broken_find, *broken_put, *broken_drop;
    candidate *batch;
    sm_arena *arena; /* of one batch */
    sm_pool *pool;
} taking;

/* Whether size and time are those that were noted; fills the candidate's. */
static int look_at(taking *t, candidate *c)
{
    struct stat s;
    sm_item known;
    if (stat(c->file, &s) < 0) {
        c->reason = sm_strdup(strerror(errno));
        return c->reason ? 0 : SM_ENOMEM;
    }
    c->item->bytes = s.st_size;
    c->item->mtime_s = (double)s.st_mtim.tv_sec + (double)s.st_mtim.tv_nsec * 1e-9;
    int err = sm_dataset_find(t->d, c->item->root, c->item->path, t->arena, &known);
    if (err == 0) {
        c->known = true;
        c->unchanged = !t->again && known.bytes == c->item->bytes && known.mtime_s == c->item->mtime_s && known.sha256;
    } else if (err == SM_ENOTFOUND) {
        sqlite3_reset(t->broken_find);
        ds_bind_text(t->broken_find, 1, c->item->root);
        ds_bind_text(t->broken_find, 2, c->item->path);
        err = ds_step(t->d, t->broken_find);
        c->known_broken = err == 1 && !t->again && sqlite3_column_int64(t->broken_find, 0) == c->item->bytes &&
                          sqlite3_column_double(t->broken_find, 1) == c->item->mtime_s;
        if (c->known_broken && !(c->reason = sm_strdup(ds_text(t->broken_find, 2))))
            err = SM_ENOMEM;
        sqlite3_reset(t->broken_find);
    }
    c->read = err >= 0 && !c->unchanged && !c->known_broken;
    return SM_MIN(err, 0);
}

static int note_broken(taking *t, const candidate *c)
{
    ds_problem(t->work, t->result, c->file, c->reason);
    if (c->known_broken || !c->item->bytes)
        return 0;
    ds_bind_text(t->broken_put, 1, c->item->root);
    ds_bind_text(t->broken_put, 2, c->item->path);
    sqlite3_bind_int64(t->broken_put, 3, c->item->bytes);
    sqlite3_bind_double(t->broken_put, 4, c->item->mtime_s);
    ds_bind_text(t->broken_put, 5, c->reason);
    return ds_run(t->d, t->broken_put);
}

static int put_one(taking *t, candidate *c)
{
    sm_dataset_result *r = t->result;
    if (c->reason)
        return note_broken(t, c);
    if (!c->known) {
        ds_bind_text(t->broken_drop, 1, c->item->root);
        ds_bind_text(t->broken_drop, 2, c->item->path);
        const int err = ds_run(t->d, t->broken_drop);
        if (err < 0)
            return err;
    }
    r->added += !c->known;
    r->unchanged += c->unchanged;
    r->updated += c->known && !c->unchanged;
    r->unlabelled += !c->known && !c->item->label;
    r->doubtful += !c->known && c->item->label && c->item->confidence < 0.7;
    return sm_dataset_put(t->d, c->item);
}

static int take_batch(taking *t, sm_item *items, size_t n)
{
    const size_t mark = sm_arena_mark(t->arena);
    bool own = false;
    int err = 0;
    memset(t->batch, 0, n * sizeof *t->batch);
    for (size_t i = 0; i < n && err == 0; i++) {
        t->batch[i].item = &items[i];
        t->batch[i].file = sm_item_file(&items[i]);
        err = t->batch[i].file ? look_at(t, &t->batch[i]) : SM_ENOMEM;
    }
    if (err == 0)
        err = sm_pool_run(t->pool, n, read_one, t->batch);
    if (err == 0 && (err = ds_begin(t->d, &own)) == 0) {
        for (size_t i = 0; i < n && err == 0; i++)
            err = put_one(t, &t->batch[i]);
        err = ds_end(t->d, own, err);
    }
    for (size_t i = 0; i < n; i++) {
        items[i].sha256 = NULL; /* pointed into the batch */
        sm_free(t->batch[i].file);
        sm_free(t->batch[i].reason);
    }
    sm_arena_back(t->arena, mark);
    return err;
}

int ds_take(sm_dataset *d, sm_item *items, size_t n, const sm_dataset_work *work, bool again, sm_dataset_result *result)
{
    taking t = { .d = d, .work = work, .result = result, .again = again };
    int err = ds_writable(d);
    if (err == 0)
        err = ds_prepare(d, "SELECT bytes, mtime_s, reason FROM broken WHERE root = ? AND path = ?", &t.broken_find);
    if (err == 0)
        err = ds_prepare(d, "INSERT OR REPLACE INTO broken (root, path, bytes, mtime_s, reason) VALUES (?,?,?,?,?)",
                         &t.broken_put);
    if (err == 0)
        err = ds_prepare(d, "DELETE FROM broken WHERE root = ? AND path = ?", &t.broken_drop);
    if (err == 0)
        err = sm_pool_new(work->jobs > 0 ? work->jobs : sm_cpu_count(), &t.pool);
    if (err == 0 && (!(t.arena = sm_arena_new()) || !(t.batch = sm_alloc_zero(BATCH, sizeof *t.batch))))
        err = SM_ENOMEM;
    for (size_t at = 0; at < n && err == 0; at += BATCH) {
        err = ds_progress(work, items[at].path, (double)at, (double)n, "files");
        if (err == 0)
            err = take_batch(&t, items + at, SM_MIN(n - at, BATCH));
    }
    if (err == 0)
        err = ds_progress(work, "", (double)n, (double)n, "files");
    sm_pool_free(t.pool);
    sm_free(t.batch);
    sm_arena_free(t.arena);
    sqlite3_finalize(t.broken_find);
    sqlite3_finalize(t.broken_put);
    sqlite3_finalize(t.broken_drop);
    return err;
}
