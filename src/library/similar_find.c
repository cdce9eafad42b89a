/* Similar sounds of a library, for other programs: from a folder and a file to a list of paths. */
#include <math.h>
#include <string.h>

#include "library/library.h"
#include "library/similar.h"

struct sm_similar_list {
    sm_arena *arena;
    sm_similar_sound *sounds;
    size_t n;
    bool approximate;
    char space[SM_VECTORS_SPACE];
};

enum { LIMIT = 10 };

void sm_similar_options_init(sm_similar_options *o)
{
    *o = (sm_similar_options){ .size = sizeof *o, .limit = LIMIT };
}

void sm_similar_list_free(sm_similar_list *l)
{
    if (l)
        sm_arena_free(l->arena);
    sm_free(l);
}

const sm_similar_sound *sm_similar_list_sounds(const sm_similar_list *l, size_t *n)
{
    *n = l->n;
    return l->sounds;
}

const char *sm_similar_list_space(const sm_similar_list *l)
{
    return l->space;
}

int sm_similar_list_approximate(const sm_similar_list *l)
{
    return l->approximate;
}

/* ---- whose sound ---- */

static int take_content(void *user, const sm_file_row *f)
{
    *(int64_t *)user = f->content;
    return 0;
}

/* "123" is the file of that id, unless there is a file of that name. */
static int content_of_id(sm_store *s, const char *text, int64_t *content)
{
    int64_t id;
    sm_map *map = NULL;

    *content = 0;
    if (!sm_parse_int(text, &id) || id < 1)
        return 0;
    if (sm_map_open(text, &map) == 0) {
        sm_map_close(map);
        return 0;
    }
    const int err = sm_store_file_get(s, id, take_content, content);
    if (err == 0 && *content == 0)
        return sm_fail(SM_ENOTFOUND, "the file of id %s was not analysed yet", text);
    return err;
}

/* ---- paths of contents ---- */

static int first_file(void *user, const sm_file_row *f)
{
    *(int64_t *)user = f->id;
    return 1; /* one is enough */
}

static double shown(double part)
{
    return isnan(part) ? part : sm_similarity(part);
}

/* Adds a hit; a content whose files are all gone is left out. */
static int add_sound(sm_similar_list *l, sm_store *s, sm_similar *x, const sm_hit *hit)
{
    double parts[SM_SIMILARITIES];
    sm_buffer path = { 0 };
    int64_t file = 0;
    int err = sm_store_files_of(s, hit->id, first_file, &file);

    if (err < 0 || file == 0)
        return err;
    err = sm_store_file_path(s, file, &path);
    if (err == 0)
        err = sm_similar_parts(x, hit->id, parts);
    if (err == 0) {
        const char *text = sm_arena_strdup(l->arena, path.data);
        l->sounds[l->n] = (sm_similar_sound){ .path = text,
                                              .id = file,
                                              .similarity = sm_similarity(hit->score),
                                              .distance = 1 - hit->score,
                                              .overall = shown(parts[0]),
                                              .timbre = parts[1],
                                              .pitch = parts[2],
                                              .envelope = parts[3],
                                              .rhythm = parts[4] };
        l->n += text != NULL;
        err = text ? 0 : SM_ENOMEM;
    }
    sm_buffer_free(&path);
    return err;
}

/* Until there are enough whose files are still there. */
static int collect(sm_similar_list *l, sm_store *s, sm_similar *x, const uint64_t *wanted, size_t n_bits, size_t limit)
{
    int err = 0;

    l->sounds = sm_arena_zero(l->arena, limit, sizeof *l->sounds);
    if (!l->sounds)
        return SM_ENOMEM;
    for (size_t ask = limit;; ask *= 4) {
        sm_hit *hits = sm_alloc(ask, sizeof *hits);
        size_t n = 0;
        l->n = 0;
        err = hits ? sm_similar_best(x, wanted, n_bits, ask, hits, &n, &l->approximate) : SM_ENOMEM;
        for (size_t i = 0; i < n && l->n < limit && err == 0; i++)
            err = add_sound(l, s, x, &hits[i]);
        sm_free(hits);
        if (err < 0 || l->n == limit || n < ask)
            return err;
    }
}

static int find_in(sm_store *s, sm_pool *pool, const sm_similar_options *o, const char *path, sm_similar_list *l)
{
    sm_similar_query q = { .space = o->space, .by = o->by, .exact = o->exact != 0, .all_parts = true, .home = o->home };
    sm_similar *x = NULL;
    uint64_t *wanted = NULL;
    size_t n_bits = 0;
    int err = content_of_id(s, path, &q.content);

    if (err == 0 && q.content == 0)
        q.path = path;
    if (err == 0)
        err = sm_similar_where(s, o->where, &wanted, &n_bits);
    if (err == 0)
        err = sm_similar_open(s, pool, &q, &x);
    if (err == 0) {
        snprintf(l->space, sizeof l->space, "%s", sm_similar_space(x));
        err = collect(l, s, x, wanted, n_bits, o->limit ? o->limit : LIMIT);
    }
    sm_similar_close(x);
    sm_free(wanted);
    return err;
}

int sm_library_open_store(const char *folder, sm_store **out)
{
    char *path = sm_library_path(folder);
    int err = path ? sm_store_open(path, SM_STORE_WRITE, out) : SM_ENOMEM;

    if (err == SM_EIO) /* then what is there must do */
        err = sm_store_open(path, SM_STORE_READ, out);
    sm_free(path);
    return err;
}

int sm_similar_find(const sm_similar_options *o, const char *path, sm_similar_list **out)
{
    sm_similar_list *l = sm_alloc_zero(1, sizeof *l);
    sm_store *s = NULL;
    sm_pool *pool = NULL;
    int err = l && (l->arena = sm_arena_new()) ? 0 : SM_ENOMEM;

    *out = NULL;
    if (err == 0)
        err = sm_library_open_store(o->library, &s);
    if (err == 0)
        err = sm_pool_new(o->jobs > 0 ? o->jobs : sm_cpu_count(), &pool);
    if (err == 0)
        err = find_in(s, pool, o, path, l);
    sm_pool_free(pool);
    sm_store_close(s);
    if (err < 0)
        sm_similar_list_free(l);
    else
        *out = l;
    return err;
}
