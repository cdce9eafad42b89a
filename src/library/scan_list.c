/* The first phase: which sounds there are, how large and how old. A folder is read whole, sorted, and held against its rows, which
 * come in nearly the same order. No file is opened. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "library/scan.h"

enum { COMMIT_ROWS = 10000 };

/* ---- a folder on disk ---- */

typedef struct {
    size_t name; /* into names */
    int64_t size, mtime_ns;
    bool seen; /* has a row */
} entry;

typedef struct {
    sm_buffer names;
    entry *entries;
    size_t n, capacity;
    const char *text; /* names.data, for comparing */
} listing;

static void listing_free(listing *l)
{
    sm_buffer_free(&l->names);
    sm_free(l->entries);
}

static int add_entry(listing *l, const char *name, const struct stat *st)
{
    if (sm_grow(&l->entries, &l->capacity, l->n + 1, sizeof *l->entries) < 0)
        return SM_ENOMEM;
    l->entries[l->n++] = (entry){ .name = l->names.length,
                                  .size = st->st_size,
                                  .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec };
    sm_buffer_add(&l->names, name, strlen(name) + 1);
    return l->names.failed ? SM_ENOMEM : 0;
}

static int by_name(const void *a, const void *b, void *names)
{
    return strcmp((const char *)names + ((const entry *)a)->name, (const char *)names + ((const entry *)b)->name);
}

/* Where a name stands, or NULL. */
static entry *find_entry(listing *l, const char *name)
{
    size_t low = 0, high = l->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = strcmp(l->text + l->entries[middle].name, name);
        if (order == 0)
            return &l->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Folders that were read, so that links do not lead to one twice or around in a circle. */
typedef struct {
    struct place {
        dev_t device;
        ino_t inode;
    } * slots;
    size_t n, capacity; /* a power of two */
} places;

static size_t place_slot(const places *p, dev_t device, ino_t inode)
{
    size_t at = (size_t)((uint64_t)inode * 0x9e3779b97f4a7c15u >> 20 ^ (uint64_t)device) & (p->capacity - 1);
    while (p->slots[at].inode != 0 && (p->slots[at].inode != inode || p->slots[at].device != device))
        at = (at + 1) & (p->capacity - 1);
    return at;
}

/* 1: new; 0: was there; or SM_ENOMEM. */
static int place_add(places *p, dev_t device, ino_t inode)
{
    if (2 * (p->n + 1) > p->capacity) {
        const places old = *p;
        p->capacity = SM_MAX(2 * old.capacity, 1024);
        p->slots = sm_alloc_zero(p->capacity, sizeof *p->slots);
        if (!p->slots) {
            *p = old;
            return SM_ENOMEM;
        }
        for (size_t i = 0; i < old.capacity; i++)
            if (old.slots[i].inode != 0)
                p->slots[place_slot(p, old.slots[i].device, old.slots[i].inode)] = old.slots[i];
        sm_free(old.slots);
    }
    const size_t at = place_slot(p, device, inode);
    if (p->slots[at].inode == inode && p->slots[at].device == device)
        return 0;
    p->slots[at].device = device;
    p->slots[at].inode = inode;
    p->n++;
    return 1;
}

/* ---- the walk ---- */

typedef struct {
    sm_scan *scan;
    sm_strings folders, links; /* still to be read, in order; links to folders come when all folders are done */
    places read;
    sm_strings unreadable;
    uint8_t *visited; /* by folder id, a bit each */
    size_t visited_bytes;
    listing listing; /* of the folder in hand; its memory is used again */
    sm_buffer path;
} walk;

static void walk_free(walk *w)
{
    sm_strings_free(&w->folders);
    sm_strings_free(&w->links);
    sm_strings_free(&w->unreadable);
    listing_free(&w->listing);
    sm_buffer_free(&w->path);
    sm_free(w->visited);
    sm_free(w->read.slots);
}

static int mark_visited(walk *w, int64_t folder)
{
    const size_t need = (size_t)folder / 8 + 1, before = w->visited_bytes;
    if (need > before) {
        if (sm_grow(&w->visited, &w->visited_bytes, need, 1) < 0)
            return SM_ENOMEM;
        memset(w->visited + before, 0, w->visited_bytes - before);
    }
    w->visited[folder / 8] |= (uint8_t)(1 << folder % 8);
    return 0;
}

static bool is_visited(const walk *w, int64_t folder)
{
    return (size_t)folder / 8 < w->visited_bytes && (w->visited[folder / 8] >> folder % 8 & 1);
}

static int add_below(walk *w, const char *folder, const char *name, sm_strings *list)
{
    w->path.length = 0;
    sm_buffer_text(&w->path, folder);
    if (strcmp(folder, "/") != 0)
        sm_buffer_text(&w->path, "/");
    sm_buffer_text(&w->path, name);
    return w->path.failed ? SM_ENOMEM : sm_strings_add(list, w->path.data);
}

static int unreadable(walk *w, const char *path, int why)
{
    w->scan->result.unreadable_folders++;
    scan_problem(w->scan, path, strerror(why));
    return sm_strings_add(&w->unreadable, path);
}

/* One name of the folder: hidden ones are left out, and the "._x.wav" that macOS leaves beside files. */
static int take_name(walk *w, const char *folder, int fd, const struct dirent *d)
{
    struct stat st;
    int type = d->d_type;
    if (d->d_name[0] == '.' || (type != DT_DIR && type != DT_REG && type != DT_LNK && type != DT_UNKNOWN))
        return 0;
    if (type == DT_DIR)
        return add_below(w, folder, d->d_name, &w->folders);
    const bool sound = sm_is_sound_name(d->d_name);
    if (type == DT_REG && !sound)
        return 0;
    if (fstatat(fd, d->d_name, &st, 0) < 0)
        return 0; /* it went away meanwhile, or a link leads nowhere */
    if (S_ISDIR(st.st_mode))
        return add_below(w, folder, d->d_name, type == DT_LNK ? &w->links : &w->folders);
    return S_ISREG(st.st_mode) && sound ? add_entry(&w->listing, d->d_name, &st) : 0;
}

/* The folder's sounds into w->listing, sorted; its folders behind those that wait. 1: read; 0: not (told, or read before). */
static int read_folder(walk *w, const char *path)
{
    struct stat st;
    const size_t first = w->folders.length;
    w->listing.n = 0;
    w->listing.names.length = 0;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return unreadable(w, path, errno);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return SM_ENOMEM;
    }
    int err = fstat(fd, &st) < 0 ? unreadable(w, path, errno) : place_add(&w->read, st.st_dev, st.st_ino);
    if (err == 1) {
        const struct dirent *d;
        err = 0;
        while (err == 0 && (errno = 0, d = readdir(dir)) != NULL)
            err = take_name(w, path, fd, d);
        if (err == 0 && errno != 0)
            err = unreadable(w, path, errno);
        else if (err == 0)
            err = 1;
    }
    closedir(dir);
    if (err < 1)
        return err;
    w->listing.text = w->listing.names.data;
    if (w->listing.n > 0)
        qsort_r(w->listing.entries, w->listing.n, sizeof(entry), by_name, w->listing.names.data);
    const sm_strings fresh = { .items = w->folders.items + first, .length = w->folders.length - first };
    if (fresh.length > 0)
        sm_strings_sort((sm_strings *)(uintptr_t)&fresh);
    return 1;
}

/* ---- rows against entries ---- */

/* Many rows a transaction; what was changed stays if the program ends now. */
static int begin_change(sm_scan *s)
{
    s->changes++;
    return s->own ? 0 : sm_store_begin(s->store, &s->own);
}

static int commit_changes(sm_scan *s, int err)
{
    const bool own = s->own, stopped = err == SM_ECANCELLED;
    s->own = false;
    s->changes = 0;
    if (own)
        err = sm_store_end(s->store, true, stopped ? 0 : err);
    return err == 0 && stopped ? SM_ECANCELLED : err;
}

typedef struct {
    walk *walk;
    size_t next; /* the entry that the next row probably is */
    /* rows that differ, to be changed when the walk over the rows is over */
    sm_file_row *rows;
    size_t n, capacity;
} comparison;

static int note_row(comparison *c, const sm_file_row *f)
{
    if (sm_grow(&c->rows, &c->capacity, c->n + 1, sizeof *c->rows) < 0)
        return SM_ENOMEM;
    c->rows[c->n] = *f;
    c->rows[c->n].name = c->rows[c->n].reason = NULL;
    c->n++;
    return 0;
}

/* What becomes of a row whose file is not there any more, is another now, or is there again. */
static int compare_row(void *user, const sm_file_row *f)
{
    comparison *c = user;
    sm_scan *s = c->walk->scan;
    listing *l = &c->walk->listing;
    entry *e = c->next < l->n && !strcmp(l->text + l->entries[c->next].name, f->name) ? &l->entries[c->next]
                                                                                      : find_entry(l, f->name);
    sm_file_row now = *f;
    if (!e) {
        now.state = SM_FILE_GONE;
        s->result.gone += f->state != SM_FILE_GONE;
        return f->state == SM_FILE_GONE ? 0 : note_row(c, &now);
    }
    c->next = (size_t)(e - l->entries) + 1;
    e->seen = true;
    const bool same = e->size == f->size && e->mtime_ns == f->mtime_ns;
    const bool again = s->options->retry && f->state == SM_FILE_BROKEN;
    if (same && !again && f->state != SM_FILE_GONE)
        return 0;
    s->result.returned += f->state == SM_FILE_GONE;
    s->result.changed += f->state != SM_FILE_GONE && !same;
    now.size = e->size;
    now.mtime_ns = e->mtime_ns;
    now.state = same && f->state == SM_FILE_GONE && f->content > 0 ? SM_FILE_ANALYSED : SM_FILE_LISTED;
    return note_row(c, &now);
}

static int add_new(walk *w, int64_t folder)
{
    sm_scan *s = w->scan;
    int64_t id = 0, added = 0;
    const double now = (double)time(NULL);
    int err = 0;
    for (size_t i = 0; i < w->listing.n && err == 0; i++) {
        const entry *e = &w->listing.entries[i];
        if (e->seen)
            continue;
        err = begin_change(s);
        if (err == 0 && id == 0)
            err = sm_store_file_next(s->store, folder, &id);
        const sm_file_row f = { .id = id,
                                .folder = folder,
                                .name = w->listing.text + e->name,
                                .size = e->size,
                                .mtime_ns = e->mtime_ns,
                                .added_s = now };
        if (err == 0)
            err = sm_store_file_add(s->store, &f, &added);
        id++;
        s->result.added += err == 0;
    }
    return err;
}

static int compare_folder(walk *w, const char *path)
{
    sm_scan *s = w->scan;
    comparison c = { .walk = w };
    int64_t folder = 0;
    int err = sm_store_folder_id(s->store, path, false, &folder);
    if (err == 0 && folder == 0 && w->listing.n == 0)
        return 0; /* a folder of folders is not remembered */
    if (err == 0 && folder == 0) {
        err = begin_change(s);
        if (err == 0)
            err = sm_store_folder_id(s->store, path, true, &folder);
    } else if (err == 0) {
        err = sm_store_files_in(s->store, folder, compare_row, &c);
    }
    if (err == 0)
        err = mark_visited(w, folder);
    for (size_t i = 0; i < c.n && err == 0; i++) {
        err = begin_change(s);
        if (err == 0)
            err = sm_store_file_set(s->store, &c.rows[i]);
    }
    if (err == 0)
        err = add_new(w, folder);
    sm_free(c.rows);
    return err;
}

static int list_one(walk *w, const char *path)
{
    sm_scan *s = w->scan;
    int err = read_folder(w, path);
    if (err != 1)
        return err;
    s->result.folders++;
    s->result.files += (int64_t)w->listing.n;
    err = compare_folder(w, path);
    if (err == 0 && s->changes >= COMMIT_ROWS)
        err = commit_changes(s, 0);
    return err == 0 ? scan_progress(s, path, (double)s->result.files, 0) : err;
}

/* ---- what is not there any more ---- */

static bool is_below(const char *path, const char *folder)
{
    const size_t n = strlen(folder);
    return !strncmp(path, folder, n) && (path[n] == 0 || path[n] == '/' || (n > 0 && folder[n - 1] == '/'));
}

typedef struct {
    walk *walk;
    int64_t *ids;
    size_t n, capacity;
} missing;

/* A folder that could not be read may still have all its files. */
static int note_missing(void *user, int64_t id, const char *path)
{
    missing *m = user;
    if (is_visited(m->walk, id))
        return 0;
    for (size_t i = 0; i < m->walk->unreadable.length; i++)
        if (is_below(path, m->walk->unreadable.items[i]))
            return 0;
    if (sm_grow(&m->ids, &m->capacity, m->n + 1, sizeof *m->ids) < 0)
        return SM_ENOMEM;
    m->ids[m->n++] = id;
    return 0;
}

static int forget_missing(walk *w, const char *root)
{
    sm_scan *s = w->scan;
    missing m = { .walk = w };
    int err = sm_store_each_folder(s->store, root, note_missing, &m);
    for (size_t i = 0; i < m.n && err == 0; i++) {
        int64_t n = 0;
        err = begin_change(s);
        if (err == 0)
            err = sm_store_folder_gone(s->store, m.ids[i], &n);
        s->result.gone += n;
    }
    sm_free(m.ids);
    return err;
}

static int walk_all(walk *w, const char *root)
{
    int err = sm_strings_add(&w->folders, root);
    size_t folder = 0, link = 0;
    while (err == 0 && (folder < w->folders.length || link < w->links.length)) {
        err = list_one(w, folder < w->folders.length ? w->folders.items[folder++] : w->links.items[link++]);
    }
    return err < 0 ? err : forget_missing(w, root);
}

int scan_list(sm_scan *s, const char *path)
{
    walk w = { .scan = s };
    const int err = commit_changes(s, walk_all(&w, path));
    walk_free(&w);
    return err;
}

int scan_list_folder(sm_scan *s, const char *path)
{
    walk w = { .scan = s };
    const int err = commit_changes(s, list_one(&w, path));
    walk_free(&w);
    return err;
}
