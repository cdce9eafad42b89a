/* Progress on standard error: one line that is drawn over itself, or JSON events, at most ten a second. */
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/command.h"

#define LEAST_INTERVAL_S 0.1
#define QUIET_START_S    0.3 /* what is done sooner shows no bar */

struct sm_progress {
    FILE *out;
    bool json;
    char *what, *unit;
    double total, done;
    double began_s, drawn_s;
    bool on_screen;
    pthread_mutex_t lock; /* files end on worker threads */
};

int sm_progress_new(const sm_cli *cli, const char *what, double total, const char *unit, sm_progress **out)
{
    const char *mode = cli->common.progress ? cli->common.progress : "auto";
    const bool json = strcmp(mode, "json") == 0;
    sm_progress *p;

    *out = NULL;
    if (!json && (strcmp(mode, "none") == 0 || cli->common.quiet || !cli->err_is_terminal))
        return 0;
    p = sm_alloc_zero(1, sizeof *p);
    if (!p)
        return SM_ENOMEM;
    *p = (sm_progress){ .out = cli->err, .json = json, .total = total, .began_s = sm_now_s() };
    p->drawn_s = json ? 0 : p->began_s + QUIET_START_S - LEAST_INTERVAL_S;
    pthread_mutex_init(&p->lock, NULL);
    p->what = sm_strdup(what);
    p->unit = sm_strdup(unit);
    if (!p->what || !p->unit) {
        sm_progress_free(p);
        return SM_ENOMEM;
    }
    *out = p;
    return 0;
}

/* ---- the line: "name  43%  12.5x real time  ETA 0:41  peak 1.2 GB" ---- */

/* 1234567 -> "1.2 MB" */
static void format_bytes(double bytes, char out[32])
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    size_t u = 0;

    for (; bytes >= 999.5 && u + 1 < SM_LENGTH(units); u++)
        bytes /= 1000;
    snprintf(out, 32, u == 0 || bytes >= 99.95 ? "%.0f %s" : "%.1f %s", bytes, units[u]);
}

static void format_rate(const sm_progress *p, double per_s, char out[64])
{
    char bytes[32];

    if (strcmp(p->unit, "B") == 0) {
        format_bytes(per_s, bytes);
        snprintf(out, 64, "%s/s", bytes);
    } else if (strcmp(p->unit, "s of audio") == 0) {
        snprintf(out, 64, "%.1fx real time", per_s);
    } else {
        snprintf(out, 64, "%.1f %.24s/s", per_s, p->unit);
    }
}

static void format_time(double s, char out[32])
{
    const long whole = lround(fmin(s, 359999));

    if (whole >= 3600)
        snprintf(out, 32, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(out, 32, "%ld:%02ld", whole / 60, whole % 60);
}

static void draw(sm_progress *p, double now)
{
    const double elapsed = now - p->began_s, per_s = elapsed > 0 ? p->done / elapsed : 0;
    char rate[64], eta[32] = "", peak[32], share[32] = "";
    struct rusage usage = { 0 };

    format_rate(p, per_s, rate);
    getrusage(RUSAGE_SELF, &usage);
    format_bytes((double)usage.ru_maxrss * 1024, peak);
    if (p->total > 0) {
        snprintf(share, sizeof share, "  %3.0f%%", 100 * fmin(p->done / p->total, 1));
        if (per_s > 0)
            format_time(fmax(p->total - p->done, 0) / per_s, eta);
    }
    fprintf(p->out, "\r\033[K%s%s  %s%s%s  peak %s", p->what, share, rate, eta[0] ? "  ETA " : "", eta, peak);
    fflush(p->out);
    p->on_screen = true;
}

static void clear(sm_progress *p)
{
    if (p->on_screen)
        fputs("\r\033[K", p->out);
    fflush(p->out);
    p->on_screen = false;
}

/* ---- events ---- */

typedef struct {
    const char *event, *path, *reason;
    double done_s, total_s; /* negative: left out */
    double speed_x;
} event;

static void write_event(sm_progress *p, const event *e)
{
    sm_buffer line = { 0 };
    sm_json j;

    sm_json_init(&j, &line, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "event");
    sm_json_string(&j, e->event);
    sm_json_key(&j, "path");
    sm_json_string(&j, e->path);
    if (e->done_s >= 0) {
        sm_json_key(&j, "done_s");
        sm_json_f32(&j, e->done_s);
    }
    if (e->total_s >= 0) {
        sm_json_key(&j, "total_s");
        sm_json_f32(&j, e->total_s);
    }
    if (e->speed_x >= 0) {
        sm_json_key(&j, "speed_x");
        sm_json_f32(&j, e->speed_x);
    }
    if (e->reason) {
        sm_json_key(&j, "reason");
        sm_json_string(&j, e->reason);
    }
    sm_json_end_object(&j);
    sm_buffer_text(&line, "\n");
    if (!line.failed) { /* an event that memory does not reach for is lost, the work is not */
        fwrite(line.data, 1, line.length, p->out);
        fflush(p->out);
    }
    sm_buffer_free(&line);
}

static bool is_due(sm_progress *p, double now)
{
    if (now - p->drawn_s < LEAST_INTERVAL_S)
        return false;
    p->drawn_s = now;
    return true;
}

void sm_progress_start(sm_progress *p, const char *path, double total_s)
{
    if (!p || !p->json)
        return;
    pthread_mutex_lock(&p->lock);
    write_event(p, &(event){ .event = "start", .path = path, .done_s = -1, .total_s = total_s, .speed_x = -1 });
    pthread_mutex_unlock(&p->lock);
}

void sm_progress_file(sm_progress *p, const char *path, double done_s, double total_s)
{
    const double now = sm_now_s();

    if (!p || !p->json)
        return;
    pthread_mutex_lock(&p->lock);
    if (is_due(p, now)) {
        const double elapsed = now - p->began_s;
        write_event(p, &(event){ "progress", path, NULL, done_s, total_s, elapsed > 0 ? done_s / elapsed : -1 });
    }
    pthread_mutex_unlock(&p->lock);
}

void sm_progress_finish(sm_progress *p, const char *path, const char *failed)
{
    if (!p || !p->json)
        return;
    pthread_mutex_lock(&p->lock);
    write_event(p, &(event){ failed ? "failed" : "done", path, failed, -1, -1, -1 });
    pthread_mutex_unlock(&p->lock);
}

void sm_progress_set(sm_progress *p, double done)
{
    const double now = sm_now_s();

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->done = done;
    if (!p->json && is_due(p, now))
        draw(p, now);
    pthread_mutex_unlock(&p->lock);
}

void sm_progress_set_total(sm_progress *p, double total)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->total = total;
    pthread_mutex_unlock(&p->lock);
}

void sm_progress_clear(sm_progress *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    clear(p);
    pthread_mutex_unlock(&p->lock);
}

void sm_progress_free(sm_progress *p)
{
    if (!p)
        return;
    clear(p);
    pthread_mutex_destroy(&p->lock);
    sm_free(p->what);
    sm_free(p->unit);
    sm_free(p);
}
