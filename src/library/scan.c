/* A scan from outside: options, folders, the two phases. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "library/columns.h"
#include "library/scan.h"

void sm_scan_options_init(sm_scan_options *o)
{
    *o = (sm_scan_options){ .size = sizeof *o };
}

int scan_progress(sm_scan *s, const char *what, double done, double total)
{
    int stop = 0;
    if (!s->options->progress)
        return 0;
    pthread_mutex_lock(&s->callbacks);
    const double now = sm_now_s();
    if (now - s->last_report_s >= 0.1) {
        const sm_progress_info p = { .what = what, .done = done, .total = total, .unit = "files" };
        s->last_report_s = now;
        stop = s->options->progress(s->options->user, &p);
    }
    pthread_mutex_unlock(&s->callbacks);
    return stop != 0 ? sm_fail(SM_ECANCELLED, "stopped at the caller's wish") : 0;
}

void scan_problem(sm_scan *s, const char *path, const char *reason)
{
    if (!s->options->problem)
        return;
    pthread_mutex_lock(&s->callbacks);
    s->options->problem(s->options->user, path, reason);
    pthread_mutex_unlock(&s->callbacks);
}

static int take_options(const sm_scan_options *given, sm_scan_options *out)
{
    sm_scan_options_init(out);
    if (!given)
        return 0;
    if (given->size < sizeof(size_t) || given->size > 4096)
        return sm_fail(SM_EUSAGE, "options of %zu bytes: sm_scan_options_init has not been called", given->size);
    memcpy(out, given, SM_MIN(given->size, sizeof *out));
    out->size = sizeof *out;
    if (out->jobs < 0 || out->jobs > 1024)
        return sm_fail(SM_EUSAGE, "jobs is %d, expected 0 (one for each core) to 1024", out->jobs);
    return 0;
}

/* ---- which folders ---- */

static int add_root(void *user, const char *path)
{
    return sm_strings_add(user, path);
}

/* A file stands for its folder. */
static int real_root(const char *path, sm_strings *out)
{
    struct stat st;
    char *real = realpath(path, NULL);
    if (!real)
        return sm_fail(errno == ENOENT || errno == ENOTDIR ? SM_ENOTFOUND : SM_EIO, "%s: %s", path, strerror(errno));
    int err = stat(real, &st) < 0 ? sm_fail(SM_EIO, "%s: %s", path, strerror(errno)) : 0;
    if (err == 0 && !S_ISDIR(st.st_mode)) {
        char *slash = strrchr(real, '/');
        slash[slash == real] = 0;
        if (!S_ISREG(st.st_mode))
            err = sm_fail(SM_EUSAGE, "%s: neither a folder nor a file", path);
    }
    if (err == 0)
        err = sm_strings_add(out, real);
    free(real);
    return err;
}

/* Given ones must be there; remembered ones may be on a disk that is not plugged in. */
static int find_roots(sm_scan *s, const char *const *paths, size_t n, sm_strings *out)
{
    int err = 0;
    for (size_t i = 0; i < n && err == 0 && paths; i++)
        err = real_root(paths[i], out);
    if (paths || err < 0)
        return err;
    err = sm_store_each_root(s->store, add_root, out);
    if (err == 0 && out->length == 0)
        err = sm_fail(SM_EUSAGE, "%s: no folder was scanned yet; name one", sm_store_folder(s->store));
    return err;
}

static int list_roots(sm_scan *s, const sm_strings *roots)
{
    int err = 0;
    for (size_t i = 0; i < roots->length && err == 0; i++) {
        if (!sm_is_directory(roots->items[i])) {
            s->result.unreadable_folders++;
            scan_problem(s, roots->items[i], "the folder is not there; what is known of it stays");
            continue;
        }
        err = sm_store_root_put(s->store, roots->items[i], true);
        if (err == 0)
            err = scan_list(s, roots->items[i]);
    }
    return err;
}

static int count_file(void *user, const sm_file_row *f)
{
    (void)f;
    ++*(int64_t *)user;
    return 0;
}

static int scan_once(sm_scan *s, const sm_strings *roots)
{
    const double start = sm_now_s();
    int err = sm_store_state_set(s->store, SM_WAITING_STATE, "1"); /* scan_analyse takes it back */
    if (err == 0)
        err = list_roots(s, roots);
    s->result.list_s = sm_now_s() - start;
    if (err == 0 && !s->options->list_only)
        err = scan_analyse(s);
    s->result.analyse_s = sm_now_s() - start - s->result.list_s;
    return err;
}

static int begin_scan(sm_library *l, const sm_scan_options *given, sm_scan_options *o, sm_scan *s)
{
    *s = (sm_scan){ .store = l->store, .options = o };
    pthread_mutex_init(&s->callbacks, NULL);
    const int err = take_options(given, o);
    if (err == 0 && !sm_store_is_writable(l->store))
        return sm_fail(SM_EUSAGE, "%s: was opened for reading only", sm_store_folder(l->store));
    return err;
}

int sm_library_scan(sm_library *l, const char *const *paths, size_t n, const sm_scan_options *options,
                    sm_scan_result *result)
{
    sm_scan_options o;
    sm_scan s;
    sm_strings roots = { 0 };
    if (result)
        *result = (sm_scan_result){ 0 };
    int err = begin_scan(l, options, &o, &s);
    if (err == 0)
        err = find_roots(&s, paths, n, &roots);
    if (err == 0)
        err = scan_once(&s, &roots);
    if (result && (err == 0 || err == SM_ECANCELLED)) {
        if (o.list_only || err < 0)
            sm_store_files_in_state(l->store, SM_FILE_LISTED, count_file, &s.result.waiting);
        *result = s.result;
    }
    if (err == SM_ECANCELLED)
        err = sm_fail(SM_ECANCELLED, "stopped at the caller's wish");
    sm_strings_free(&roots);
    pthread_mutex_destroy(&s.callbacks);
    return err;
}

int sm_library_watch(sm_library *l, const char *const *paths, size_t n, const sm_scan_options *options)
{
    sm_scan_options o;
    sm_scan s;
    sm_strings roots = { 0 };
    scan_watch *w = NULL;
    int err = begin_scan(l, options, &o, &s);
    if (err == 0)
        err = find_roots(&s, paths, n, &roots);
    if (err == 0)
        err = scan_watch_open(&s, &roots, &w);
    if (err == 0)
        err = scan_once(&s, &roots);
    if (err == 0)
        err = scan_watch_run(w);
    scan_watch_close(w);
    sm_strings_free(&roots);
    pthread_mutex_destroy(&s.callbacks);
    return err == SM_ECANCELLED ? 0 : err;
}
