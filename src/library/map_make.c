/* The map of a library: sounds that have a place keep it, new ones come to their neighbours. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/layout.h"
#include "library/map_draw.h"
#include "library/similar.h"

enum { NEW_OF_TEN = 3 }; /* with more new sounds than that all are laid out again */

struct sm_layout {
    sm_arena *arena;
    sm_map_point *points;
    size_t n, placed;
    double trust;
    char space[SM_VECTORS_SPACE];
    sm_buffer drawn;
};

void sm_map_options_init(sm_map_options *o)
{
    *o = (sm_map_options){ .size = sizeof *o };
}

void sm_layout_free(sm_layout *l)
{
    if (!l)
        return;
    sm_buffer_free(&l->drawn);
    sm_arena_free(l->arena);
    sm_free(l);
}

const sm_map_point *sm_layout_points(const sm_layout *l, size_t *n)
{
    *n = l->n;
    return l->points;
}

size_t sm_layout_placed(const sm_layout *l)
{
    return l->placed;
}

double sm_layout_trustworthiness(const sm_layout *l)
{
    return l->trust;
}

int sm_layout_draw(sm_layout *l, const char *form, const char **text)
{
    const sm_map_picture p = { l->points, l->n, l->trust, l->space };

    *text = NULL;
    sm_buffer_free(&l->drawn);
    const int err = sm_map_draw(&p, form, &l->drawn);
    if (err == 0)
        *text = l->drawn.data;
    return err;
}

/* ---- which sounds ---- */

typedef struct {
    sm_store *store;
    sm_space_index space;
    const sm_map_options *o;
    sm_layout *l;
    uint32_t *rows; /* [n] */
    int64_t *contents;
    float *places, *old; /* [n][2] */
    bool *known;         /* had a place */
    size_t n, n_known;
} map_job;

static int first_file(void *user, const sm_file_row *f)
{
    *(int64_t *)user = f->id;
    return 1;
}

/* Path and class of a content; its row counts when one of its files is still there. */
static int take_row(map_job *j, size_t row, int64_t content)
{
    const sm_property *instrument = sm_property_find("instrument");
    sm_buffer path = { 0 };
    const char *name = NULL;
    int64_t file = 0;
    int err = sm_store_files_of(j->store, content, first_file, &file);

    if (err < 0 || file == 0)
        return err;
    err = sm_store_file_path(j->store, file, &path);
    if (err == 0 && instrument)
        err = sm_store_text(j->store, content, instrument, &name);
    if (err == 0) {
        sm_map_point *p = &j->l->points[j->n];
        *p = (sm_map_point){ .path = sm_arena_strdup(j->l->arena, path.data),
                             .id = file,
                             .instrument = name ? sm_arena_strdup(j->l->arena, name) : NULL };
        if (!p->path || (name && !p->instrument))
            err = SM_ENOMEM;
        j->rows[j->n] = (uint32_t)row;
        j->contents[j->n++] = content;
    }
    sm_buffer_free(&path);
    return err;
}

static int take_rows(map_job *j)
{
    const size_t rows = sm_vectors_rows(j->space.vectors);
    int err = 0;

    j->rows = sm_alloc(rows, sizeof *j->rows);
    j->contents = sm_alloc(rows, sizeof *j->contents);
    j->places = sm_alloc_zero(2 * rows, sizeof *j->places);
    j->old = sm_alloc_zero(2 * rows, sizeof *j->old);
    j->known = sm_alloc_zero(rows, sizeof *j->known);
    j->l->points = sm_arena_zero(j->l->arena, rows, sizeof *j->l->points);
    if (!j->rows || !j->contents || !j->places || !j->old || !j->known || !j->l->points)
        return SM_ENOMEM;
    for (size_t row = 0; row < rows && err == 0; row++)
        if (sm_vectors_id(j->space.vectors, row) > 0)
            err = take_row(j, row, sm_vectors_id(j->space.vectors, row));
    return err == 0 && j->n == 0 ? sm_fail(SM_ENOTFOUND, "none of the library's sounds is still there") : err;
}

/* ---- places that are kept ---- */

typedef struct {
    map_job *j;
    size_t *place_of_row; /* n: none */
} old_places;

static int take_place(void *user, int64_t content, double x, double y)
{
    const old_places *p = user;
    size_t row;
    const int err = sm_vectors_find(p->j->space.vectors, content, &row);

    if (err == SM_ENOTFOUND)
        return 0;
    if (err < 0)
        return err;
    const size_t i = p->place_of_row[row];
    if (i == SIZE_MAX || !isfinite(x) || !isfinite(y))
        return 0;
    p->j->places[2 * i] = p->j->old[2 * i] = (float)x;
    p->j->places[2 * i + 1] = p->j->old[2 * i + 1] = (float)y;
    p->j->n_known += !p->j->known[i];
    p->j->known[i] = true;
    return 0;
}

static int read_places(map_job *j)
{
    const size_t rows = sm_vectors_rows(j->space.vectors);
    old_places p = { j, sm_alloc(rows, sizeof *p.place_of_row) };

    if (!p.place_of_row)
        return SM_ENOMEM;
    for (size_t row = 0; row < rows; row++)
        p.place_of_row[row] = SIZE_MAX;
    for (size_t i = 0; i < j->n; i++)
        p.place_of_row[j->rows[i]] = i;
    const int err = sm_store_each_position(j->store, j->space.name, take_place, &p);
    sm_free(p.place_of_row);
    return err;
}

static int keep_places(map_job *j)
{
    bool own = false;
    int err = sm_store_begin(j->store, &own);

    for (size_t i = 0; i < j->n && err == 0; i++)
        if (!j->known[i] || j->places[2 * i] != j->old[2 * i] || j->places[2 * i + 1] != j->old[2 * i + 1]) {
            err = sm_store_position_put(j->store, j->contents[i], j->space.name, (double)j->places[2 * i],
                                        (double)j->places[2 * i + 1]);
            j->l->placed++;
        }
    return sm_store_end(j->store, own, err);
}

/* ---- the layout ---- */

static int tell(void *user, double part)
{
    const map_job *j = user;
    const sm_progress_info info = { .what = "layout", .done = 100 * part, .total = 100, .unit = "%" };
    return j->o->progress ? j->o->progress(j->o->user, &info) : 0;
}

static int lay_out(map_job *j, sm_pool *pool)
{
    const size_t fresh = j->n - j->n_known;
    const bool few = !j->o->again && j->n_known > 0 && 10 * fresh <= NEW_OF_TEN * j->n;
    sm_layout_options o = { .seed = j->o->seed,
                            .fixed = few ? j->known : NULL,
                            .progress = tell,
                            .user = j,
                            .from_places = !j->o->again && 2 * j->n_known > j->n };
    int32_t *near = NULL;
    float *cosines = NULL;
    int err = 0;

    if (few && fresh == 0)
        return 0;
    near = sm_alloc(j->n * SM_LAYOUT_NEIGHBOURS, sizeof *near);
    cosines = sm_alloc(j->n * SM_LAYOUT_NEIGHBOURS, sizeof *cosines);
    err = near && cosines ? 0 : SM_ENOMEM;
    if (err == 0)
        err = sm_layout_neighbours(j->space.vectors, pool, j->rows, j->n, near, cosines);
    if (err == 0)
        err = sm_layout_run(j->space.vectors, j->rows, j->n, near, cosines, &o, j->places);
    if (err == 0 && !few)
        sm_layout_align(j->places, j->old, j->known, j->n);
    sm_free(near);
    sm_free(cosines);
    return err;
}

static int by_path(const void *a, const void *b)
{
    const sm_map_point *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static int make(map_job *j, sm_pool *pool)
{
    int err = sm_space_index_open(j->store, pool, j->o->space, &j->space);

    if (err == 0)
        err = take_rows(j);
    if (err == 0)
        err = read_places(j);
    if (err == 0)
        err = lay_out(j, pool);
    if (err == 0)
        err = keep_places(j);
    if (err == 0)
        err = sm_layout_trust(j->space.vectors, j->rows, j->n, j->places, &j->l->trust);
    if (err < 0)
        return err;
    for (size_t i = 0; i < j->n; i++) {
        j->l->points[i].x = j->places[2 * i];
        j->l->points[i].y = j->places[2 * i + 1];
    }
    j->l->n = j->n;
    qsort(j->l->points, j->n, sizeof *j->l->points, by_path);
    memcpy(j->l->space, j->space.name, sizeof j->l->space);
    return 0;
}

int sm_map_make(const sm_map_options *o, sm_layout **out)
{
    sm_layout *l = sm_alloc_zero(1, sizeof *l);
    map_job j = { .o = o, .l = l };
    sm_pool *pool = NULL;
    int err = l && (l->arena = sm_arena_new()) ? 0 : SM_ENOMEM;

    *out = NULL;
    if (err == 0)
        err = sm_library_open_store(o->library, &j.store);
    if (err == 0)
        err = sm_pool_new(o->jobs > 0 ? o->jobs : sm_cpu_count(), &pool);
    if (err == 0)
        err = make(&j, pool);
    sm_space_index_close(&j.space);
    sm_pool_free(pool);
    sm_store_close(j.store);
    sm_free(j.rows);
    sm_free(j.contents);
    sm_free(j.places);
    sm_free(j.old);
    sm_free(j.known);
    if (err < 0)
        sm_layout_free(l);
    else
        *out = l;
    return err;
}
