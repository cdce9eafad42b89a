/* Groups of duplicates: files are gathered, pairs found, pairs joined, and the best of each group is put first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/union_find.h"
#include "library/dupes_parts.h"

typedef struct {
    size_t first, n; /* in files */
} group;

struct sm_dupes {
    sm_arena *arena;
    sm_dupe_sound *sounds;
    size_t n;
    sm_dupe_file *files; /* of all groups, one after the other */
    group *groups;
    size_t n_groups;
    sm_strings problems;
};

typedef struct {
    sm_dupes *d;
    const sm_dupes_options *o;
    sm_pool *pool;
    bool *known; /* by the library */
    char **failed;
    size_t first; /* of the batch in hand */
    sm_dupe_pair *pairs;
    size_t n_pairs;
    size_t *ties, *tie_starts; /* the pairs of sound i: ties[tie_starts[i]] .. before ties[tie_starts[i + 1]] */
} search;

void sm_dupes_options_init(sm_dupes_options *o)
{
    *o = (sm_dupes_options){ .size = sizeof *o, .level = SM_DUPES_SOUND };
}

/* ---- which is kept ---- */

static int compare_numbers(double a, double b)
{
    return a < b ? 1 : a > b ? -1 : 0; /* the larger one is better; NAN says nothing */
}

static int by_rule(sm_keep_rule rule, const sm_dupe_sound *a, const sm_dupe_sound *b)
{
    switch (rule) {
    case SM_KEEP_OLDEST:
        return compare_numbers(-(double)a->mtime_ns, -(double)b->mtime_ns);
    case SM_KEEP_NEWEST:
        return compare_numbers((double)a->mtime_ns, (double)b->mtime_ns);
    case SM_KEEP_LARGEST:
        return compare_numbers((double)a->bytes, (double)b->bytes);
    case SM_KEEP_SMALLEST:
        return compare_numbers(-(double)a->bytes, -(double)b->bytes);
    case SM_KEEP_SHORTEST_PATH:
        return compare_numbers(-(double)strlen(a->path), -(double)strlen(b->path));
    case SM_KEEP_BEST:
        break;
    }
    return 0;
}

int sm_dupe_better(sm_keep_rule rule, const sm_dupe_sound *a, const sm_dupe_sound *b)
{
    /* durations that differ by a codec's padding are equal */
    const double length = fabs(a->duration_s - b->duration_s) > 0.06 ? a->duration_s - b->duration_s : 0;
    const int orders[] = {
        by_rule(rule, a, b),
        compare_numbers(a->bit_depth > 0, b->bit_depth > 0),
        compare_numbers(a->channels, b->channels),
        compare_numbers(a->rate_hz, b->rate_hz),
        compare_numbers(a->bit_depth, b->bit_depth),
        compare_numbers(length, 0),
        a->bit_depth > 0 ? 0 : compare_numbers((double)a->bitrate_bps, (double)b->bitrate_bps),
        compare_numbers(-(double)a->mtime_ns, -(double)b->mtime_ns),
        compare_numbers(-(double)strlen(a->path), -(double)strlen(b->path)),
    };
    for (size_t i = 0; i < SM_LENGTH(orders); i++)
        if (orders[i])
            return orders[i];
    return strcmp(a->path, b->path);
}

/* ---- gathering ---- */

typedef struct {
    uint64_t device, inode;
    int64_t bytes;
    size_t index;
} identity;

static int by_identity(const void *a, const void *b)
{
    const identity *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_bytes(const void *a, const void *b)
{
    const identity *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int problem(search *s, const char *text)
{
    return sm_strings_add(&s->d->problems, text);
}

/* Sizes, times, and each file once, whatever it is called. What is gone is a problem. */
static int look(search *s, const char *const *paths, size_t n, identity **out)
{
    identity *list = sm_alloc(n, sizeof *list);
    size_t there = 0, kept = 0;
    int err = list ? 0 : SM_ENOMEM;
    for (size_t i = 0; err == 0 && i < n; i++) {
        struct stat st;
        if (stat(paths[i], &st) < 0 || !S_ISREG(st.st_mode)) {
            char *text = sm_printf_new("%s: no such file", paths[i]);
            err = text ? problem(s, text) : SM_ENOMEM;
            sm_free(text);
            continue;
        }
        list[there++] = (identity){ (uint64_t)st.st_dev, (uint64_t)st.st_ino, st.st_size, i };
        s->d->sounds[i].mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
    if (there > 1)
        qsort(list, there, sizeof *list, by_identity);
    for (size_t i = 0; i < there; i++)
        if (kept == 0 || list[i].device != list[kept - 1].device || list[i].inode != list[kept - 1].inode)
            list[kept++] = list[i];
    if (kept > 1)
        qsort(list, kept, sizeof *list, by_bytes);
    s->d->n = kept;
    *out = list;
    return err;
}

/* Which of the files is the only one of its size: its bytes need not be hashed. */
static bool alone(const sm_dupes *d, size_t i)
{
    return (i == 0 || d->sounds[i - 1].bytes != d->sounds[i].bytes) &&
           (i + 1 == d->n || d->sounds[i + 1].bytes != d->sounds[i].bytes);
}

/* Sounds ordered by size, until all is read. */
static int gather_paths(search *s, const char *const *paths, size_t n)
{
    sm_dupes *d = s->d;
    identity *list = NULL;
    d->sounds = sm_alloc_zero(n, sizeof *d->sounds);
    int err = d->sounds ? look(s, paths, n, &list) : SM_ENOMEM;
    sm_dupe_sound *ordered = err == 0 ? sm_alloc_zero(d->n, sizeof *ordered) : NULL;
    if (err == 0 && !ordered)
        err = SM_ENOMEM;
    for (size_t i = 0; err == 0 && i < d->n; i++) {
        ordered[i] = (sm_dupe_sound){ .path = sm_arena_strdup(d->arena, paths[list[i].index]),
                                      .bytes = list[i].bytes,
                                      .mtime_ns = d->sounds[list[i].index].mtime_ns,
                                      .duration_s = NAN };
        err = ordered[i].path ? 0 : SM_ENOMEM;
    }
    sm_free(list);
    if (ordered) {
        sm_free(d->sounds);
        d->sounds = ordered;
    }
    if (err < 0)
        d->n = 0;
    return err;
}

static int read_one(void *user, size_t i, int worker)
{
    search *s = user;
    sm_dupe_sound *x = &s->d->sounds[i + s->first];
    char hex[65];
    int err = 0;
    (void)worker;
    if (s->known[i + s->first])
        return 0;
    if ((s->o->library || !alone(s->d, i + s->first)) && x->bytes > 0) { /* with a library, sizes are in no order */
        err = sm_hash_file(SM_HASH_XXH128, x->path, hex);
        if (err == 0)
            snprintf(x->hash, sizeof x->hash, "%.32s", hex);
    }
    if (err == 0 && s->o->level >= SM_DUPES_AUDIO)
        err = sm_dupe_read(x->path, x);
    if (err < 0 && err != SM_ENOMEM) {
        sm_print_free(&x->print);
        s->failed[i + s->first] = sm_strdup(sm_last_error());
        return s->failed[i + s->first] ? 0 : SM_ENOMEM;
    }
    return err;
}

static int read_all(search *s)
{
    sm_dupes *d = s->d;
    const size_t at_once = 16 * (size_t)sm_pool_threads(s->pool);
    int err = 0;
    s->failed = sm_alloc_zero(d->n, sizeof *s->failed);
    if (!s->failed)
        return SM_ENOMEM;
    for (s->first = 0; err == 0 && s->first < d->n; s->first += at_once) {
        const sm_progress_info p = { d->sounds[s->first].path, (double)s->first, (double)d->n, "files", 0 };
        if (s->o->progress && s->o->progress(s->o->user, &p))
            err = sm_fail(SM_ECANCELLED, "stopped");
        else
            err = sm_pool_run(s->pool, SM_MIN(d->n - s->first, at_once), read_one, s);
    }
    /* those that failed are out, the others by path: then what comes out does not depend on how they were given */
    size_t kept = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (s->failed[i]) {
            if (err == 0)
                err = problem(s, s->failed[i]);
            sm_free(s->failed[i]);
        } else {
            d->sounds[kept++] = d->sounds[i];
        }
    }
    d->n = kept;
    sm_free(s->failed);
    return err;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const sm_dupe_sound *)a)->path, ((const sm_dupe_sound *)b)->path);
}

static int gather(search *s, const char *const *paths, size_t n)
{
    sm_dupes *d = s->d;
    int err = n > 0 ? gather_paths(s, paths, n) : 0;
    if (err == 0 && s->o->library)
        err = sm_dupe_recall(s->o->library, d->arena, &d->sounds, &s->known, &d->n);
    if (err == 0 && !s->known) {
        s->known = sm_alloc_zero(d->n, sizeof *s->known);
        err = s->known ? 0 : SM_ENOMEM;
    }
    if (err == 0)
        err = read_all(s);
    sm_free(s->known);
    if (err == 0 && d->n > 1)
        qsort(d->sounds, d->n, sizeof *d->sounds, by_path);
    return err;
}

/* ---- groups ---- */

static int index_ties(search *s)
{
    s->tie_starts = sm_alloc_zero(s->d->n + 2, sizeof *s->tie_starts);
    s->ties = sm_alloc(2 * s->n_pairs, sizeof *s->ties);
    if (!s->tie_starts || !s->ties)
        return SM_ENOMEM;
    size_t *starts = s->tie_starts + 1; /* while filling: where the next one of sound i goes */
    for (size_t i = 0; i < s->n_pairs; i++) {
        s->tie_starts[s->pairs[i].a + 2]++;
        s->tie_starts[s->pairs[i].b + 2]++;
    }
    for (size_t i = 1; i < s->d->n + 2; i++)
        s->tie_starts[i] += s->tie_starts[i - 1];
    for (size_t i = 0; i < s->n_pairs; i++) {
        s->ties[starts[s->pairs[i].a]++] = i;
        s->ties[starts[s->pairs[i].b]++] = i;
    }
    return 0;
}

/* The pair that ties `member` to its group: with the keeper where there is one, else the strongest. */
static const sm_dupe_pair *tie(const search *s, size_t member, size_t keeper)
{
    const sm_dupe_pair *best = NULL;
    for (size_t i = s->tie_starts[member]; i < s->tie_starts[member + 1]; i++) {
        const sm_dupe_pair *p = &s->pairs[s->ties[i]];
        if (p->a == keeper || p->b == keeper)
            return p;
        if (!best || p->level < best->level || (p->level == best->level && p->similarity > best->similarity))
            best = p;
    }
    return best;
}

static sm_dupe_file file_of(const search *s, size_t member, const sm_dupe_pair *p)
{
    const sm_dupe_sound *x = &s->d->sounds[member];
    sm_dupe_file f = { .path = x->path,
                       .bytes = x->bytes,
                       .duration_s = x->duration_s,
                       .container = x->container,
                       .codec = x->codec,
                       .sample_rate_hz = x->rate_hz,
                       .channels = x->channels,
                       .bit_depth = x->bit_depth,
                       .similarity = 1,
                       .correlation = NAN,
                       .offset_s = NAN,
                       .gain_db = NAN };
    if (!p)
        return f;
    const double sign = p->a == member ? 1 : -1; /* the proof speaks of b against a */
    f.like = s->d->sounds[p->a == member ? p->b : p->a].path;
    f.level = p->level;
    f.similarity = p->similarity;
    if (p->level >= SM_DUPES_SOUND) {
        f.correlation = p->proof.correlation;
        f.offset_s = sign * p->proof.lag_s;
        f.gain_db = sign * p->proof.gain_db;
    }
    return f;
}

typedef struct {
    size_t root, index;
    const char *path;
    bool keeper;
} member;

static int by_group(const void *a, const void *b)
{
    const member *x = a, *y = b;
    if (x->root != y->root)
        return x->root < y->root ? -1 : 1;
    if (x->keeper != y->keeper)
        return x->keeper ? -1 : 1;
    return strcmp(x->path, y->path);
}

static int by_keeper(const void *a, const void *b, void *user)
{
    const sm_dupe_file *files = user;
    return strcmp(files[((const group *)a)->first].path, files[((const group *)b)->first].path);
}

/* All sounds that are tied to another, ordered by group, the keeper first. */
static size_t list_members(const search *s, size_t *parent, size_t *keeper, bool *tied, member *out)
{
    const sm_dupes *d = s->d;
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        keeper[i] = i;
    for (size_t i = 0; i < s->n_pairs; i++)
        tied[s->pairs[i].a] = tied[s->pairs[i].b] = true;
    for (size_t i = 0; i < d->n; i++) {
        size_t *k = &keeper[union_find_root(parent, i)];
        if (sm_dupe_better(s->o->keep, &d->sounds[i], &d->sounds[*k]) < 0)
            *k = i;
    }
    for (size_t i = 0; i < d->n; i++)
        if (tied[i]) {
            const size_t root = union_find_root(parent, i);
            out[n++] = (member){ root, i, d->sounds[i].path, keeper[root] == i };
        }
    if (n > 1)
        qsort(out, n, sizeof *out, by_group);
    return n;
}

static int make_groups(search *s)
{
    sm_dupes *d = s->d;
    size_t *parent = union_find_new(d->n), *keeper = sm_alloc(d->n, sizeof *keeper);
    bool *tied = sm_alloc_zero(d->n, sizeof *tied);
    member *members = sm_alloc(d->n, sizeof *members);
    int err = parent && keeper && tied && members ? index_ties(s) : SM_ENOMEM;
    if (err == 0) {
        for (size_t i = 0; i < s->n_pairs; i++)
            union_find_join(parent, s->pairs[i].a, s->pairs[i].b);
        const size_t n = list_members(s, parent, keeper, tied, members);
        d->files = sm_arena_get(d->arena, SM_MAX(n, 1), sizeof *d->files, 16);
        d->groups = sm_arena_get(d->arena, SM_MAX(n, 1), sizeof *d->groups, 16);
        err = d->files && d->groups ? 0 : SM_ENOMEM;
        for (size_t i = 0; err == 0 && i < n; i++) {
            if (members[i].keeper)
                d->groups[d->n_groups++] = (group){ i, 0 };
            d->groups[d->n_groups - 1].n++;
            const size_t first = d->groups[d->n_groups - 1].first;
            d->files[i] =
                file_of(s, members[i].index, i == first ? NULL : tie(s, members[i].index, members[first].index));
        }
        if (d->n_groups > 1)
            qsort_r(d->groups, d->n_groups, sizeof *d->groups, by_keeper, d->files);
    }
    sm_free(parent);
    sm_free(keeper);
    sm_free(tied);
    sm_free(members);
    return err;
}

/* ---- the result ---- */

int sm_dupes_find(const sm_dupes_options *o, const char *const *paths, size_t n, sm_dupes **out)
{
    sm_dupe_limits limits = sm_dupe_limits_default;
    search s = { .o = o };
    *out = NULL;
    if (n == 0 && !o->library)
        return sm_fail(SM_EUSAGE, "duplicates among no files, and of no library");
    if (o->least_correlation < 0 || o->least_correlation > 1)
        return sm_fail(SM_EUSAGE, "a correlation of at least %g was asked for; 0 to 1 is possible",
                       o->least_correlation);
    if (o->least_correlation > 0)
        limits.least_correlation = o->least_correlation;
    sm_dupes *d = s.d = sm_alloc_zero(1, sizeof *s.d);
    int err = d && (d->arena = sm_arena_new()) ? 0 : SM_ENOMEM;
    if (err == 0)
        err = sm_pool_new(o->jobs > 0 ? o->jobs : sm_cpu_count(), &s.pool);
    if (err == 0)
        err = gather(&s, paths, n);
    if (err == 0)
        err = sm_dupe_pairs(d->sounds, d->n, &(sm_dupe_search){ o->level, &limits, s.pool, o->progress, o->user },
                            &s.pairs, &s.n_pairs);
    if (err == 0)
        err = make_groups(&s);
    sm_free(s.pairs);
    sm_free(s.ties);
    sm_free(s.tie_starts);
    sm_pool_free(s.pool);
    if (err < 0)
        sm_dupes_free(d);
    else
        *out = d;
    return err;
}

void sm_dupes_free(sm_dupes *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++)
        sm_print_free(&d->sounds[i].print);
    sm_free(d->sounds);
    sm_strings_free(&d->problems);
    sm_arena_free(d->arena);
    sm_free(d);
}

size_t sm_dupes_files(const sm_dupes *d)
{
    return d->n;
}

size_t sm_dupes_groups(const sm_dupes *d)
{
    return d->n_groups;
}

const sm_dupe_file *sm_dupes_group(const sm_dupes *d, size_t i, size_t *n)
{
    *n = i < d->n_groups ? d->groups[i].n : 0;
    return i < d->n_groups ? &d->files[d->groups[i].first] : NULL;
}

const char *sm_dupes_problem(const sm_dupes *d, size_t i)
{
    return i < d->problems.length ? d->problems.items[i] : NULL;
}
