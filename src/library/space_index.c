/* Files of vectors that follow the database. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/space_index.h"

enum { SAMPLE = 16384, STEP = 4096, SETTLED = 65536 };
static const double wanted_recall = 0.99;

/* ---- names ---- */

bool sm_space_name(const char *space, const char *weights, char name[SM_VECTORS_SPACE], int *version)
{
    const char *slash = strrchr(space, '/');
    int64_t number;

    if (!slash || slash == space || !sm_parse_int(slash + 1, &number) || number < 1 || number > 1000000)
        return false;
    *version = (int)number;
    const int n = snprintf(name, SM_VECTORS_SPACE, "%.*s%s%s", (int)(slash - space), space, weights ? "@" : "",
                           weights ? weights : "");
    return n > 0 && n < SM_VECTORS_SPACE - 8; /* "/VERSION" must fit behind it */
}

static char *file_of(const sm_store *s, const sm_space_index *x, const char *ending)
{
    char *path = sm_printf_new("%s/%s%s", sm_store_folder(s), x->name, ending);
    char *name = path ? path + strlen(sm_store_folder(s)) + 1 : NULL;

    for (; name && *name; name++)
        if (*name == '/')
            *name = '-';
    return path;
}

/* ---- counting what is put ---- */

typedef struct {
    uint64_t puts, replaced;
} counts;

static int read_counts(sm_store *s, int64_t space, counts *out)
{
    char name[40];
    sm_buffer value = { 0 };

    *out = (counts){ 0 };
    snprintf(name, sizeof name, "vectors %" PRId64, space);
    const int err = sm_store_state_get(s, name, &value);
    if (err == 0 && value.data)
        sscanf(value.data, "%" SCNu64 " %" SCNu64, &out->puts, &out->replaced);
    sm_buffer_free(&value);
    return err;
}

int sm_space_put(sm_store *s, int64_t content, const char *space, const char *weights, const float *vector, int dims)
{
    char name[SM_VECTORS_SPACE], text[64];
    int version;
    int64_t id;
    counts c;

    if (!sm_space_name(space, weights, name, &version))
        return sm_fail(SM_EINTERNAL, "%s: no name of a space", space);
    int err = sm_store_space(s, name, version, dims, &id);
    if (err == 0)
        err = read_counts(s, id, &c);
    if (err < 0)
        return err;
    c.replaced += sm_store_has_vector(s, content, id);
    c.puts++;
    snprintf(name, sizeof name, "vectors %" PRId64, id);
    snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, c.puts, c.replaced);
    err = sm_store_vector_put(s, content, id, vector, dims);
    return err == 0 ? sm_store_state_set(s, name, text) : err;
}

static double number_of(void *user, const char *field)
{
    double value;
    return sm_record_number(user, field, &value) == 0 ? value : (double)NAN;
}

void sm_space_aspects_of(const sm_record *r, float out[SM_ASPECT_VALUES])
{
    sm_aspect_vector(number_of, (void *)(uintptr_t)r, out);
}

/* ---- which space ---- */

typedef struct {
    const char *wanted;
    sm_space_index *best;
    int best_rank;
    sm_buffer names;
} choice;

/* 0: not this one; else the higher the better. */
static int rank_of(const choice *c, const char *name, const char *whole)
{
    const size_t base = strcspn(name, "@");

    if (!c->wanted)
        return !strcmp(name, SM_ASPECT_SPACE) ? 0 : !strncmp(name, "samplemind@", 11) ? 2 : 1;
    if (!strcmp(c->wanted, whole) || !strcmp(c->wanted, name))
        return 3;
    return strlen(c->wanted) == base && !strncmp(name, c->wanted, base);
}

static int consider(void *user, const sm_space_row *row, int64_t vectors)
{
    choice *c = user;
    char whole[SM_VECTORS_SPACE];

    const int n = snprintf(whole, sizeof whole, "%s/%d", row->name, row->version);
    if (n >= SM_VECTORS_SPACE || vectors == 0)
        return 0;
    sm_buffer_printf(&c->names, "%s%.*s", c->names.length ? ", " : "", (int)strcspn(row->name, "@"), row->name);
    if (c->names.failed)
        return SM_ENOMEM;
    const int rank = rank_of(c, row->name, whole);
    if (rank > c->best_rank || (rank > 0 && rank == c->best_rank && vectors > c->best->count)) {
        c->best_rank = rank;
        *c->best = (sm_space_index){ .id = row->id, .dims = row->dims, .count = vectors };
        memcpy(c->best->name, whole, sizeof whole);
    }
    return 0;
}

static int choose(sm_store *s, const char *name, sm_space_index *out)
{
    choice c = { .wanted = name, .best = out };
    int err = sm_store_each_space(s, consider, &c);

    if (err == 0 && c.best_rank == 0)
        err = c.names.length
                  ? sm_fail(SM_ENOTFOUND, "the library has no vectors of %s; it has %s", name ? name : "sounds",
                            c.names.data)
                  : sm_fail(SM_ENOTFOUND, "the library has no sounds that could be compared yet; scan a folder first");
    sm_buffer_free(&c.names);
    return err;
}

/* ---- the fit ---- */

typedef struct {
    float *rows;
    size_t n, room, seen, every;
    int dims;
} sample;

static int take_sample(void *user, int64_t content, const float *vector, int dims)
{
    sample *s = user;

    (void)content;
    if (dims == s->dims && s->seen++ % s->every == 0 && s->n < s->room)
        memcpy(s->rows + s->n++ * (size_t)dims, vector, (size_t)dims * sizeof *vector);
    return 0;
}

static int make_fit(sm_store *s, sm_space_index *x)
{
    const size_t most = SM_MAX((size_t)1, SM_MIN((size_t)SAMPLE, ((size_t)1 << 24) / (size_t)x->dims));
    sample all = { .dims = x->dims, .every = ((size_t)x->count + most - 1) / most, .room = most };
    int err = 0;

    all.every += all.every == 0;
    all.rows = sm_alloc_aligned(SM_MIN(most, (size_t)x->count), (size_t)x->dims * sizeof *all.rows);
    all.room = SM_MIN(most, (size_t)x->count);
    if (!all.rows)
        return SM_ENOMEM;
    err = sm_store_each_vector(s, x->id, 0, take_sample, &all);
    if (err == 0 && all.n == 0)
        err = sm_fail(SM_ENOTFOUND, "%s: the library has no vectors of it", x->name);
    if (err == 0)
        err = sm_fit_new(sm_fit_kind_of(x->name), all.rows, all.n, x->dims, (size_t)x->count, &x->fit);
    sm_free(all.rows);
    return err;
}

/* The fit that is there, unless the library has grown to twice of what it was made of. */
static int read_fit(sm_store *s, sm_space_index *x, const char *path, bool *made)
{
    int err = 0;

    *made = false;
    if (x->fit) /* it is being mended: what is compared was made by this fit */
        return 0;
    err = sm_fit_read(path, &x->fit);
    if (err == SM_ENOMEM)
        return err;
    if (x->fit && sm_fit_from(x->fit) == x->dims &&
        (sm_fit_sounds(x->fit) >= SETTLED || (size_t)x->count < 2 * sm_fit_sounds(x->fit) || !sm_store_is_writable(s)))
        return 0;
    sm_fit_free(x->fit);
    x->fit = NULL;
    *made = true;
    return make_fit(s, x);
}

/* ---- rows ---- */

typedef struct {
    const sm_space_index *x;
    sm_vectors *v;
    const sm_vectors *known; /* contents that are there already are left out; or NULL */
    int64_t ids[STEP];
    float *rows;
    size_t n;
} adder;

static int add_now(adder *a)
{
    const int err = sm_vectors_append(a->v, a->ids, a->rows, a->n);
    a->n = 0;
    return err;
}

static int add_vector(void *user, int64_t content, const float *vector, int dims)
{
    adder *a = user;

    if (dims != a->x->dims)
        return 0; /* damaged, and no reason to do without the others */
    sm_fit_apply(a->x->fit, vector, a->rows + a->n * (size_t)sm_fit_to(a->x->fit));
    a->ids[a->n++] = content;
    return a->n == STEP ? add_now(a) : 0;
}

static int adder_new(const sm_space_index *x, sm_vectors *v, adder **out)
{
    adder *a = *out = sm_alloc_zero(1, sizeof *a);
    if (!a)
        return SM_ENOMEM;
    a->x = x;
    a->v = v;
    a->rows = sm_alloc(STEP, (size_t)sm_fit_to(x->fit) * sizeof *a->rows);
    return a->rows ? 0 : SM_ENOMEM;
}

static void adder_free(adder *a)
{
    if (a)
        sm_free(a->rows);
    sm_free(a);
}

/* In the order of cells, once there are many, and again when a quarter lies behind them. Without cells a search is exact. */
static int sort_into_cells(sm_store *s, sm_pool *pool, sm_space_index *x, const char *path)
{
    uint64_t sorted, layout;
    const size_t rows = sm_vectors_rows(x->vectors);
    char *cells = file_of(s, x, ".cells");
    int err = cells ? 0 : SM_ENOMEM;

    sm_vectors_layout(x->vectors, &sorted, &layout);
    if (err == 0 && rows >= SM_CELLS_LEAST_ROWS && sm_vectors_about(x->vectors)->unit) {
        err = sorted > 0 ? sm_cells_open(cells, x->vectors, &x->cells) : SM_ENOTFOUND;
        const bool good = err == 0 && sorted >= rows / 4 * 3;
        err = err == SM_ENOMEM ? err : 0;
        if (err == 0 && !good && sm_store_is_writable(s)) {
            sm_cells_close(x->cells);
            x->cells = NULL;
            err = sm_cells_build(x->vectors, pool, wanted_recall, path, cells);
            sm_vectors_close(x->vectors);
            x->vectors = NULL;
            if (err == 0)
                err = sm_vectors_open(path, false, &x->vectors);
            if (err == 0)
                err = sm_cells_open(cells, x->vectors, &x->cells);
        }
    }
    sm_free(cells);
    return err;
}

static int rebuild(sm_store *s, sm_space_index *x, const char *path)
{
    sm_vectors_info info = { .fit = sm_fit_id(x->fit),
                             .dims = sm_fit_to(x->fit),
                             .unit = sm_fit_kind_is(x->fit) != SM_FIT_SCORES };
    adder *a = NULL;
    sm_vectors *v = NULL;
    counts c;
    int err = read_counts(s, x->id, &c);

    info.puts = c.puts;
    info.replaced = c.replaced;
    memcpy(info.space, x->name, sizeof info.space);
    sm_vectors_close(x->vectors);
    x->vectors = NULL;
    if (err == 0)
        err = sm_vectors_create(path, &info, &v);
    if (err == 0)
        err = adder_new(x, v, &a);
    if (err == 0)
        err = sm_store_each_vector(s, x->id, 0, add_vector, a);
    if (err == 0)
        err = add_now(a);
    if (err == 0)
        err = sm_vectors_commit(v);
    adder_free(a);
    sm_vectors_close(v);
    return err == 0 ? sm_vectors_open(path, false, &x->vectors) : err;
}

/* ---- following ---- */

typedef struct {
    sm_vectors *v;
    int64_t *missing;
    size_t n, room, found;
} comparison;

static int compare_id(void *user, int64_t content)
{
    comparison *c = user;
    size_t row;
    int err = sm_vectors_find(c->v, content, &row);

    if (err == 0)
        c->found++;
    if (err != SM_ENOTFOUND)
        return err;
    if ((err = sm_grow(&c->missing, &c->room, c->n + 1, sizeof *c->missing)) == 0)
        c->missing[c->n++] = content;
    return err;
}

static int add_missing(sm_store *s, sm_space_index *x, const comparison *c)
{
    adder *a = NULL;
    float *raw = sm_alloc((size_t)x->dims, sizeof *raw);
    int err = raw ? adder_new(x, c->v, &a) : SM_ENOMEM;

    for (size_t i = 0; i < c->n && err == 0; i++) {
        err = sm_store_vector_get(s, c->missing[i], x->id, raw, x->dims);
        if (err == 0)
            err = add_vector(a, c->missing[i], raw, x->dims);
        else if (err == SM_EFORMAT)
            err = 0; /* as in add_vector */
    }
    if (err == 0)
        err = add_now(a);
    adder_free(a);
    sm_free(raw);
    return err;
}

/* Rows of contents that are no more. Both lists of ids are complete, so what was not found is gone. */
static int remove_gone(sm_store *s, const sm_space_index *x, sm_vectors *v)
{
    int err = 0;
    for (size_t row = 0; row < sm_vectors_rows(v) && err == 0; row++) {
        const int64_t id = sm_vectors_id(v, row);
        if (id > 0 && !sm_store_has_vector(s, id, x->id))
            err = sm_vectors_remove(v, row);
    }
    return err;
}

static int follow(sm_store *s, sm_space_index *x, const char *path, uint64_t puts)
{
    comparison c = { 0 };
    int err;

    sm_vectors_close(x->vectors);
    x->vectors = NULL;
    err = sm_vectors_open(path, true, &c.v);
    if (err == 0)
        err = sm_store_each_vector_id(s, x->id, compare_id, &c);
    if (err == 0 && c.found < sm_vectors_alive(c.v))
        err = remove_gone(s, x, c.v);
    if (err == 0 && c.n > 0)
        err = add_missing(s, x, &c);
    if (err == 0)
        err = sm_vectors_set_seen(c.v, puts);
    sm_vectors_close(c.v);
    sm_free(c.missing);
    return err == 0 ? sm_vectors_open(path, false, &x->vectors) : err;
}

/* The files as they should be. all: also look for contents that are gone. */
static int bring_up(sm_store *s, sm_pool *pool, sm_space_index *x, bool anew, bool all)
{
    char *path = file_of(s, x, ".vectors"), *fit = file_of(s, x, ".fit");
    bool made = false;
    counts c;
    int err = path && fit ? read_counts(s, x->id, &c) : SM_ENOMEM;

    if (err == 0)
        err = read_fit(s, x, fit, &made);
    if (err == 0 && made && sm_store_is_writable(s))
        err = sm_fit_write(x->fit, fit);
    if (err == 0 && !anew && !made) {
        err = sm_vectors_open(path, false, &x->vectors);
        if (err == SM_EFORMAT || err == SM_ENOTFOUND)
            err = 0;
    }
    const sm_vectors_info *about = x->vectors ? sm_vectors_about(x->vectors) : NULL;
    const bool fits =
        about && about->fit == sm_fit_id(x->fit) && !strcmp(about->space, x->name) && about->dims == sm_fit_to(x->fit);
    if (err == 0 && !fits && !sm_store_is_writable(s))
        err = sm_fail(SM_EIO, "%s: has to be made, and the library may only be read", path);
    else if (err == 0 && (!fits || (about->replaced != c.replaced && sm_store_is_writable(s))))
        err = rebuild(s, x, path);
    else if (err == 0 && (about->puts != c.puts || all) && sm_store_is_writable(s))
        err = follow(s, x, path, c.puts);
    if (err == 0)
        err = sort_into_cells(s, pool, x, path);
    sm_free(path);
    sm_free(fit);
    return err;
}

void sm_space_index_close(sm_space_index *x)
{
    sm_cells_close(x->cells);
    sm_vectors_close(x->vectors);
    sm_fit_free(x->fit);
    *x = (sm_space_index){ 0 };
}

int sm_space_index_open(sm_store *s, sm_pool *pool, const char *name, sm_space_index *out)
{
    *out = (sm_space_index){ 0 };
    int err = choose(s, name, out);
    if (err == 0)
        err = bring_up(s, pool, out, false, false);
    if (err < 0)
        sm_space_index_close(out);
    return err;
}

int sm_space_index_mend(sm_store *s, sm_pool *pool, sm_space_index *x)
{
    sm_cells_close(x->cells);
    sm_vectors_close(x->vectors);
    x->cells = NULL;
    x->vectors = NULL;
    return bring_up(s, pool, x, true, false);
}

static int list_name(void *user, const sm_space_row *row, int64_t vectors)
{
    char whole[SM_VECTORS_SPACE];
    const int n = snprintf(whole, sizeof whole, "%s/%d", row->name, row->version);
    return vectors > 0 && n < SM_VECTORS_SPACE ? sm_strings_add(user, whole) : 0;
}

int sm_space_index_refresh_all(sm_store *s, sm_pool *pool)
{
    sm_strings names = { 0 };
    int err = sm_store_each_space(s, list_name, &names);

    for (size_t i = 0; i < names.length && err == 0; i++) {
        sm_space_index x = { 0 };
        err = choose(s, names.items[i], &x);
        if (err == 0)
            err = bring_up(s, pool, &x, false, true);
        sm_space_index_close(&x);
    }
    sm_strings_free(&names);
    return err;
}
