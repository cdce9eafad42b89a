/* Follows folders with inotify: what changes is listed and analysed when it has been quiet for a moment. Watches are set before the
 * first listing, so that nothing falls between. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "library/scan.h"

#define QUIET_S   1.0  /* so long nothing has happened: a copy is probably done */
#define PATIENT_S 10.0 /* then it is done in spite of what goes on */
enum { POLL_MS = 200, DEPTH = 64 };

#define EVENTS                                                                                                         \
    (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_ONLYDIR | IN_EXCL_UNLINK)

struct scan_watch {
    sm_scan *scan;
    const sm_strings *roots;
    int fd;
    char **paths; /* by watch descriptor; NULL: none */
    size_t n, capacity;
    sm_strings files, trees; /* folders in which files changed; in which folders did, or everything below */
    double first_s, last_s;  /* events that wait; 0: none */
    bool told;               /* that there are too many folders */
};

static int remember(scan_watch *w, int wd, const char *path)
{
    const size_t before = w->n, at = (size_t)wd;
    if (at >= before) {
        if (sm_grow(&w->paths, &w->capacity, at + 1, sizeof *w->paths) < 0)
            return SM_ENOMEM;
        memset(w->paths + before, 0, (at + 1 - before) * sizeof *w->paths);
        w->n = at + 1;
    }
    sm_free(w->paths[at]);
    w->paths[at] = sm_strdup(path);
    return w->paths[at] ? 0 : SM_ENOMEM;
}

static int watch_folder(scan_watch *w, const char *path)
{
    const int wd = inotify_add_watch(w->fd, path, EVENTS);
    if (wd >= 0)
        return remember(w, wd, path);
    if (errno == ENOSPC && !w->told) {
        w->told = true;
        scan_problem(w->scan, path,
                     "there are more folders than the system lets one watch (sysctl fs.inotify.max_user_watches); what "
                     "happens in the others is seen by the next scan");
    }
    return 0; /* a folder that went, or may not be read: the list tells */
}

static int watch_tree(scan_watch *w, const char *path, int depth)
{
    DIR *dir = opendir(path);
    const struct dirent *d;
    int err = watch_folder(w, path);
    while (dir && err == 0 && (d = readdir(dir)) != NULL) {
        if (d->d_type != DT_DIR || d->d_name[0] == '.' || depth >= DEPTH)
            continue;
        char *below = sm_printf_new("%s%s%s", path, strcmp(path, "/") != 0 ? "/" : "", d->d_name);
        err = below ? watch_tree(w, below, depth + 1) : SM_ENOMEM;
        sm_free(below);
    }
    if (dir)
        closedir(dir);
    return err;
}

int scan_watch_open(sm_scan *s, const sm_strings *roots, scan_watch **out)
{
    scan_watch *w = sm_alloc_zero(1, sizeof *w);
    int err = w ? 0 : SM_ENOMEM;
    *out = NULL;
    if (err < 0)
        return err;
    *w = (scan_watch){ .scan = s, .roots = roots, .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK) };
    if (w->fd < 0)
        err = sm_fail(SM_EIO, "folders cannot be watched: %s", strerror(errno));
    for (size_t i = 0; i < roots->length && err == 0; i++)
        err = watch_tree(w, roots->items[i], 0);
    if (err < 0)
        scan_watch_close(w);
    else
        *out = w;
    return err;
}

void scan_watch_close(scan_watch *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    for (size_t i = 0; i < w->n; i++)
        sm_free(w->paths[i]);
    sm_free(w->paths);
    sm_strings_free(&w->files);
    sm_strings_free(&w->trees);
    sm_free(w);
}

/* ---- events ---- */

static int add_once(sm_strings *list, const char *path)
{
    for (size_t i = 0; i < list->length; i++)
        if (!strcmp(list->items[i], path))
            return 0;
    return sm_strings_add(list, path);
}

static int take_event(scan_watch *w, const struct inotify_event *e)
{
    int err = 0;
    if (e->mask & IN_Q_OVERFLOW) {
        for (size_t i = 0; i < w->roots->length && err == 0; i++)
            err = add_once(&w->trees, w->roots->items[i]);
    } else if (e->wd >= 0 && (size_t)e->wd < w->n && w->paths[e->wd]) {
        if (e->mask & IN_IGNORED) { /* the folder went; its parent tells */
            sm_free(w->paths[e->wd]);
            w->paths[e->wd] = NULL;
            return 0;
        }
        if (e->len == 0 || (!(e->mask & IN_ISDIR) && !sm_is_sound_name(e->name)))
            return 0;
        err = add_once(e->mask & IN_ISDIR ? &w->trees : &w->files, w->paths[e->wd]);
    } else {
        return 0;
    }
    w->last_s = sm_now_s();
    if (w->first_s == 0)
        w->first_s = w->last_s;
    return err;
}

static int read_events(scan_watch *w)
{
    _Alignas(struct inotify_event) char bytes[1 << 16];
    int err = 0;
    for (ssize_t n; err == 0 && (n = read(w->fd, bytes, sizeof bytes)) > 0;)
        for (const char *p = bytes; p < bytes + n && err == 0;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)p;
            err = take_event(w, e);
            p += sizeof *e + e->len;
        }
    return err;
}

/* What waits is listed, new folders are watched, new sounds analysed. */
static int catch_up(scan_watch *w)
{
    const sm_strings trees = w->trees, files = w->files;
    int err = 0;
    w->trees = w->files = (sm_strings){ 0 };
    w->first_s = 0;
    for (size_t i = 0; i < trees.length && err == 0; i++) {
        if (!sm_is_directory(trees.items[i]))
            continue;
        err = watch_tree(w, trees.items[i], 0);
        if (err == 0)
            err = scan_list(w->scan, trees.items[i]);
    }
    for (size_t i = 0; i < files.length && err == 0; i++)
        if (sm_is_directory(files.items[i]))
            err = scan_list_folder(w->scan, files.items[i]);
    if (err == 0 && !w->scan->options->list_only)
        err = scan_analyse(w->scan);
    sm_strings_free((sm_strings *)(uintptr_t)&trees);
    sm_strings_free((sm_strings *)(uintptr_t)&files);
    return err;
}

int scan_watch_run(scan_watch *w)
{
    int err = 0;
    while (err == 0) {
        struct pollfd p = { .fd = w->fd, .events = POLLIN };
        poll(&p, 1, POLL_MS);
        err = read_events(w);
        const double now = sm_now_s();
        if (err == 0 && w->first_s > 0 && (now - w->last_s >= QUIET_S || now - w->first_s >= PATIENT_S))
            err = catch_up(w);
        if (err == 0)
            err = scan_progress(w->scan, "watching", w->scan->done, 0);
    }
    return err;
}
