/* What is analysed already and lacks something: a model that came later, other weights, a part of another version. Only that is made up
 * for; a record of another pipeline is made again as a whole. */
#include <stdlib.h>
#include <string.h>

#include "library/scan.h"

static const char complete[] = "complete_for"; /* state: all contents have what this engine and these parts say */

/* ---- lists of ids ---- */

static int add_id(void *user, int64_t id)
{
    scan_ids *list = user;
    if (sm_grow(&list->ids, &list->capacity, list->n + 1, sizeof *list->ids) < 0)
        return SM_ENOMEM;
    list->ids[list->n++] = id;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void sort_ids(scan_ids *list)
{
    size_t n = 0;
    if (list->n > 1)
        qsort(list->ids, list->n, sizeof *list->ids, by_id);
    for (size_t i = 0; i < list->n; i++)
        if (n == 0 || list->ids[i] != list->ids[n - 1])
            list->ids[n++] = list->ids[i];
    list->n = n;
}

/* Dropped ones stay in their place with the other sign. */
static int64_t *find_id(const scan_ids *list, int64_t id)
{
    size_t low = 0, high = list->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int64_t at = llabs(list->ids[middle]);
        if (at == id)
            return &list->ids[middle];
        if (at < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool scan_ids_has(const scan_ids *list, int64_t id)
{
    const int64_t *at = find_id(list, id);
    return at && *at > 0;
}

void scan_ids_drop(scan_ids *list, int64_t id)
{
    int64_t *at = find_id(list, id);
    if (at && *at > 0)
        *at = -*at;
}

/* ---- who speaks now ---- */

static void part_version(const sm_scan_part *p, char name[64], char version[16])
{
    snprintf(name, 64, "#%s", p->name);
    snprintf(version, 16, "%d", p->version);
}

static int signature(const sm_scan *s, sm_buffer *out)
{
    const char *name;
    sm_buffer_printf(out, "pipeline=%d", SM_PIPELINE_VERSION);
    for (size_t m = 0; (name = sm_engine_model(s->engine, m)) != NULL; m++)
        sm_buffer_printf(out, " %s=%s", name, sm_engine_model_weights(s->engine, m));
    for (size_t i = 0; sm_scan_parts[i]; i++)
        sm_buffer_printf(out, " #%s=%d", sm_scan_parts[i]->name, sm_scan_parts[i]->version);
    return out->failed ? SM_ENOMEM : 0;
}

int scan_refresh_done(sm_scan *s)
{
    sm_buffer now = { 0 }, kept = { 0 };
    int err = signature(s, &now);
    if (err == 0)
        err = sm_store_state_get(s->store, complete, &kept);
    if (err == 0 && (!kept.data || strcmp(now.data, kept.data) != 0))
        err = sm_store_state_set(s->store, complete, now.data);
    sm_buffer_free(&now);
    sm_buffer_free(&kept);
    return err;
}

/* What each content lacks. */
typedef struct {
    int64_t content;
    uint32_t parts;
    bool models;
} need;

typedef struct {
    sm_scan *scan;
    scan_ids *whole; /* to be analysed again */
    need *needs;     /* by content once they are merged */
    size_t n, capacity;
    need now;          /* what the ids that come lack */
    sm_buffer models;  /* "yamnet,musicnn": those that somebody lacks, as the options name them */
    sm_engine *engine; /* of these */
} refresh;

static int add_need(void *user, int64_t id)
{
    refresh *r = user;
    if (sm_grow(&r->needs, &r->capacity, r->n + 1, sizeof *r->needs) < 0)
        return SM_ENOMEM;
    r->needs[r->n] = r->now;
    r->needs[r->n++].content = id;
    return 0;
}

static int by_content(const void *a, const void *b)
{
    return by_id(&((const need *)a)->content, &((const need *)b)->content);
}

/* One entry a content, without those that are analysed as a whole. */
static void merge_needs(refresh *r)
{
    size_t n = 0;
    if (r->n > 1)
        qsort(r->needs, r->n, sizeof *r->needs, by_content);
    for (size_t i = 0; i < r->n; i++) {
        if (scan_ids_has(r->whole, r->needs[i].content))
            continue;
        if (n > 0 && r->needs[n - 1].content == r->needs[i].content) {
            r->needs[n - 1].parts |= r->needs[i].parts;
            r->needs[n - 1].models |= r->needs[i].models;
        } else {
            r->needs[n++] = r->needs[i];
        }
    }
    r->n = n;
}

/* The name as the options have it: "yamnet" or "yamnet=FILE". */
static void add_model_name(refresh *r, const char *name)
{
    const char *list = r->scan->options->models;
    const size_t n = strlen(name);
    sm_buffer_text(&r->models, r->models.length > 0 ? "," : "");
    for (const char *at = list; at && *at; at = *at ? at + 1 : at) {
        const size_t length = strcspn(at, ",");
        if (length > n && !strncmp(at, name, n) && at[n] == '=') {
            sm_buffer_add(&r->models, at, length);
            return;
        }
        at += length;
        if (!*at)
            break;
    }
    sm_buffer_text(&r->models, name);
}

static int find_needs(refresh *r)
{
    sm_scan *s = r->scan;
    const char *name;
    int err = sm_store_of_other_pipelines(s->store, SM_PIPELINE_VERSION, add_id, r->whole);
    for (size_t i = 0; sm_scan_parts[i] && err == 0; i++) {
        char part[64], version[16];
        part_version(sm_scan_parts[i], part, version);
        r->now = (need){ .parts = 1u << i };
        err = sm_scan_parts[i]->needs_record ? sm_store_lacking_output(s->store, part, version, add_id, r->whole)
                                             : sm_store_lacking_output(s->store, part, version, add_need, r);
    }
    r->now = (need){ .models = true };
    for (size_t m = 0; err == 0 && (name = sm_engine_model(s->engine, m)) != NULL; m++) {
        const size_t before = r->n;
        err = sm_store_lacking_output(s->store, name, sm_engine_model_weights(s->engine, m), add_need, r);
        if (r->n > before)
            add_model_name(r, name);
    }
    sort_ids(r->whole);
    merge_needs(r);
    return err == 0 && r->models.failed ? SM_ENOMEM : err;
}

/* ---- making up for it ---- */

static int take_file(void *user, const sm_file_row *f)
{
    sm_file_row *out = user;
    if (out->id == 0) {
        *out = *f;
        out->name = out->reason = NULL;
    }
    return 0;
}

static const need *need_of(const refresh *r, int64_t content)
{
    const need key = { .content = content };
    return bsearch(&key, r->needs, r->n, sizeof *r->needs, by_content);
}

static int keep_more(void *user, scan_sound *x)
{
    refresh *r = user;
    return scan_sound_keep_more(r->scan, x, r->engine, x->file.content, need_of(r, x->file.content)->parts);
}

typedef struct {
    refresh *refresh;
    scan_sound **sounds;
} computing;

static int compute_one(void *user, size_t i, int worker)
{
    const computing *c = user;
    (void)worker;
    return scan_sound_compute(c->sounds[i], need_of(c->refresh, c->sounds[i]->file.content)->parts);
}

/* Those that lack parts only: nothing for the engine. */
static int keep_parts_only(refresh *r, scan_sound **sounds, size_t n)
{
    bool own = false;
    int err = n > 0 ? sm_store_begin(r->scan->store, &own) : 0;
    for (size_t i = 0; i < n && err == 0; i++)
        if (scan_sound_unchanged(sounds[i]))
            err = keep_more(r, sounds[i]);
    err = sm_store_end(r->scan->store, own, err);
    for (size_t i = 0; i < n; i++)
        scan_sound_free(sounds[i]);
    r->scan->done += (double)n;
    return err == 0 ? scan_progress(r->scan, "what is lacking", r->scan->done, r->scan->total) : err;
}

/* Up to a few groups of sounds: heard ones in front, the others behind them. */
static int run_some(refresh *r, scan_sound **sounds, size_t heard, size_t n)
{
    enum { MOST = 64 };
    computing c = { r, sounds };
    size_t starts[MOST + 1] = { 0 }, n_groups = 0;
    int err = sm_pool_run(r->scan->pool, n, compute_one, &c);
    for (size_t at = 0; at < heard; at = starts[n_groups]) {
        starts[n_groups + 1] = SM_MIN(at + SM_GROUP_FILES, heard);
        n_groups++;
    }
    if (err < 0) {
        for (size_t i = 0; i < n; i++)
            scan_sound_free(sounds[i]);
        return err;
    }
    if (n_groups > 0)
        err = scan_run_groups(r->scan, r->engine, sounds, starts, n_groups, keep_more, r);
    if (err == 0)
        return keep_parts_only(r, sounds + heard, n - heard);
    for (size_t i = heard; i < n; i++)
        scan_sound_free(sounds[i]);
    return err;
}

static int work(refresh *r)
{
    enum { SOUNDS = 512 };
    sm_scan *s = r->scan;
    scan_sound **heard = sm_alloc(SOUNDS, sizeof(scan_sound *)), **rest = sm_alloc(SOUNDS, sizeof(scan_sound *));
    int err = heard && rest ? 0 : SM_ENOMEM;
    for (size_t at = 0; at < r->n && err == 0;) {
        size_t n_heard = 0, n_rest = 0;
        for (; at < r->n && n_heard + n_rest < SOUNDS && err == 0; at++) {
            sm_file_row f = { 0 };
            scan_sound *x = NULL;
            err = sm_store_files_of(s->store, r->needs[at].content, take_file, &f);
            if (err == 0 && f.id > 0) /* else it has no file now */
                err = scan_sound_new(s, &f, &x);
            if (!x)
                continue;
            if (r->needs[at].models)
                heard[n_heard++] = x;
            else
                rest[n_rest++] = x;
        }
        for (size_t i = 0; i < n_rest; i++)
            heard[n_heard + i] = rest[i];
        if (err == 0)
            err = run_some(r, heard, n_heard, n_heard + n_rest);
        else
            for (size_t i = 0; i < n_heard + n_rest; i++)
                scan_sound_free(heard[i]);
    }
    sm_free(heard);
    sm_free(rest);
    return err;
}

/* The models that somebody lacks, opened apart from the others. */
static int open_lacking(refresh *r)
{
    if (r->models.length == 0)
        return 0;
    return scan_engine_open(r->scan, r->models.data, &r->engine);
}

int scan_refresh(sm_scan *s, scan_ids *stale)
{
    refresh r = { .scan = s, .whole = stale };
    sm_buffer now = { 0 }, kept = { 0 };
    int err = signature(s, &now);
    if (err == 0)
        err = sm_store_state_get(s->store, complete, &kept);
    const bool same = err == 0 && kept.data && s->result.returned == 0 && !strcmp(now.data, kept.data);
    if (err == 0 && s->options->again) {
        r.now = (need){ 0 };
        err = sm_store_of_other_pipelines(s->store, -1, add_id, stale);
        sort_ids(stale);
    } else if (err == 0 && !same) {
        err = find_needs(&r);
        s->total = (double)r.n;
        if (err == 0 && r.n > 0)
            err = open_lacking(&r);
        if (err == 0)
            err = work(&r);
    }
    sm_engine_close(r.engine);
    sm_buffer_free(&r.models);
    sm_buffer_free(&now);
    sm_buffer_free(&kept);
    sm_free(r.needs);
    return err;
}
