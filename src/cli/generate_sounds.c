/* The sounds of `generate`: what their files are called, which of several are kept, what is told of each. */
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "cli/generate.h"

typedef struct {
    sm_cli *cli;
    const generate_args *args;
    const char *words;
    bool many; /* files are told apart by their seeds */
    sm_progress *bar;
    char *first;                      /* path of the sound in hand, for events */
    double seconds;                   /* of all sounds of the request in hand; negative: not known */
    sm_generate_result **kept;        /* with --tries: sounds that wait for their judgement, best first */
    size_t n_kept, most_kept, n_told; /* n_told: results printed */
} run;

/* ---- names ---- */

/* "Warm house loop, 124 BPM" -> "warm_house_loop_124_bpm" */
static void slug_of(const char *prompt, char out[49])
{
    size_t n = 0;
    for (const char *p = prompt; *p && n < 48; p++) {
        const unsigned char c = (unsigned char)*p;
        if (c >= 0x80 || isalnum(c))
            out[n++] = (char)tolower(c);
        else if (n > 0 && out[n - 1] != '_')
            out[n++] = '_';
    }
    while (n > 0 && (out[n - 1] == '_' || ((unsigned char)out[n - 1] >= 0x80 && !sm_utf8_valid(out, n))))
        n--;
    out[n] = 0;
    if (n == 0)
        snprintf(out, 49, "sound");
}

/* The caller's. -o FILE.wav is the name itself; of several, with the seed in front of the ending. A part of a sound says so. */
static char *path_of(const run *w, uint64_t seed, bool partial)
{
    const char *part = partial ? "_part" : "", *out = w->args->out ? w->args->out : ".", *name = sm_path_name(out),
               *dot = strrchr(name, '.');
    char slug[49], number[32] = "";
    slug_of(w->words, slug);
    if (sm_is_directory(out) || !dot || dot == name)
        return sm_printf_new("%s%s%s_%llu%s.wav", strcmp(out, ".") ? out : "", strcmp(out, ".") ? "/" : "", slug,
                             (unsigned long long)seed, part);
    if (w->many)
        snprintf(number, sizeof number, "_%llu", (unsigned long long)seed);
    return sm_printf_new("%.*s%s%s%s", (int)(dot - out), out, number, part, dot);
}

/* ---- what is told ---- */

static void say_in_words(FILE *out, const sm_generate_result *s, const sm_generate_request *r, const char *path)
{
    fprintf(out, "%s  %.2f s, peak %.2f", path, (double)s->frames / s->sample_rate_hz, s->peak);
    if (isfinite(s->bpm))
        fprintf(out, ", %.1f BPM%s", s->bpm, s->misses & SM_MISSES_TEMPO ? " (!)" : "");
    if (s->key)
        fprintf(out, ", %s%s", s->key, s->misses & SM_MISSES_KEY ? " (!)" : "");
    for (size_t i = 0; i < s->n_seams; i++)
        fprintf(out, "; seam at %.1f s: %.1f x, %+.1f dB", s->seams[i].at_s, s->seams[i].jump, s->seams[i].level_db);
    if (s->misses & SM_MISSES_TEMPO)
        fprintf(out, "; misses %g BPM", r->bpm);
    if (s->misses & SM_MISSES_KEY)
        fprintf(out, "%s %s", s->misses & SM_MISSES_TEMPO ? " and" : "; misses", r->key);
    fprintf(out, "%s\n", s->partial ? "; stopped here" : "");
}

static void say_as_json(sm_buffer *text, const sm_generate_result *s, const char *path)
{
    sm_json j;
    sm_json_init(&j, text, false);
    sm_json_begin_object(&j);
    sm_record_write_path(&j, path);
    sm_json_key(&j, "seed"), sm_json_int(&j, (int64_t)s->seed);
    sm_json_key(&j, "seconds"), sm_json_f64(&j, (double)s->frames / s->sample_rate_hz);
    sm_json_key(&j, "frames"), sm_json_int(&j, (int64_t)s->frames);
    sm_json_key(&j, "sample_rate_hz"), sm_json_int(&j, s->sample_rate_hz);
    sm_json_key(&j, "channels"), sm_json_int(&j, s->channels);
    sm_json_key(&j, "bpm"), sm_json_f32(&j, s->bpm);
    sm_json_key(&j, "key"), sm_json_string(&j, s->key);
    sm_json_key(&j, "misses");
    sm_json_begin_array(&j);
    if (s->misses & SM_MISSES_TEMPO)
        sm_json_string(&j, "tempo");
    if (s->misses & SM_MISSES_KEY)
        sm_json_string(&j, "key");
    sm_json_end_array(&j);
    sm_json_key(&j, "partial"), sm_json_bool(&j, s->partial);
    sm_json_key(&j, "recipe"), sm_json_raw(&j, s->recipe);
    sm_json_end_object(&j);
}

static void say_as_csv(FILE *out, const sm_generate_result *s, const char *path, bool first)
{
    if (first)
        fputs("path,seed,seconds,bpm,key,misses\n", out);
    sm_cli_csv(out, path);
    fprintf(out, ",%llu,%.6g,", (unsigned long long)s->seed, (double)s->frames / s->sample_rate_hz);
    if (isfinite(s->bpm))
        fprintf(out, "%.6g", s->bpm);
    fprintf(out, ",%s,%s%s%s\n", s->key ? s->key : "", s->misses & SM_MISSES_TEMPO ? "tempo" : "",
            s->misses == (SM_MISSES_TEMPO | SM_MISSES_KEY) ? " " : "", s->misses & SM_MISSES_KEY ? "key" : "");
}

static int tell(run *w, const sm_generate_request *r, const sm_generate_result *s, const char *path)
{
    const char *format = w->cli->common.format;
    FILE *out = w->cli->out;
    sm_buffer text = { 0 };
    int err = 0;
    sm_progress_clear(w->bar);
    if (!strcmp(format, "table")) {
        say_in_words(out, s, r, path);
    } else if (!strcmp(format, "csv")) {
        say_as_csv(out, s, path, w->n_told == 0);
    } else {
        const bool array = !strcmp(format, "json") && w->many;
        say_as_json(&text, s, path);
        if (text.failed)
            err = SM_ENOMEM;
        else
            fprintf(out, "%s%s%s", !array ? "" : w->n_told ? ",\n" : "[\n", text.data, array ? "" : "\n");
    }
    w->n_told++;
    sm_buffer_free(&text);
    return err < 0 ? err : sm_cli_flush(w->cli);
}

static void end_telling(run *w)
{
    if (!strcmp(w->cli->common.format, "json") && w->many)
        fprintf(w->cli->out, "%s]\n", w->n_told ? "\n" : "[");
}

static int watch(void *user, const sm_progress_info *p)
{
    run *w = user;
    sm_progress_set_total(w->bar, p->total);
    sm_progress_set(w->bar, p->done);
    sm_progress_file(w->bar, w->first, p->audio_s, w->seconds);
    return sm_cancelled();
}

/* ---- sounds ---- */

static int keep_file(run *w, const sm_generate_request *r, const sm_generate_result *s)
{
    char *path = path_of(w, s->seed, s->partial);
    int err = path ? sm_generate_result_write(s, path, w->args->sample) : SM_ENOMEM;
    if (path)
        sm_progress_finish(w->bar, path, err < 0 ? sm_last_error() : NULL);
    if (err == 0)
        err = tell(w, r, s, path);
    sm_free(path);
    return err;
}

/* How far a sound is from what was wanted. */
static double distance(const sm_generate_result *s, const sm_generate_request *r)
{
    const double octaves = isfinite(s->bpm) && r->bpm > 0 ? fabs(log2(s->bpm / r->bpm)) : 0;
    return (s->misses & SM_MISSES_TEMPO ? 10 + octaves : 0) + (s->misses & SM_MISSES_KEY ? 20 : 0);
}

/* Among those that wait, by distance and then by seed; the worst goes when there are too many. */
static void keep_waiting(run *w, const sm_generate_request *r, sm_generate_result *s)
{
    size_t at = w->n_kept;
    while (at > 0 && distance(w->kept[at - 1], r) > distance(s, r))
        at--;
    if (w->n_kept == w->most_kept) {
        sm_generate_result_free(at == w->n_kept ? s : w->kept[--w->n_kept]);
        if (at > w->n_kept)
            return;
    }
    memmove(w->kept + at + 1, w->kept + at, (w->n_kept - at) * sizeof *w->kept);
    w->kept[at] = s;
    w->n_kept++;
}

typedef struct {
    run *w;
    const sm_generate_request *r;
    bool wait;
} sink_state;

static int sink(void *user, sm_generate_result *s)
{
    const sink_state *k = user;
    if (k->wait && !s->partial) {
        keep_waiting(k->w, k->r, s);
        return 0;
    }
    const int err = keep_file(k->w, k->r, s);
    sm_generate_result_free(s);
    return err;
}

static int make(run *w, sm_generator *g, sm_generate_request *r, bool wait)
{
    sink_state k = { w, r, wait };
    sm_free(w->first);
    if (!(w->first = path_of(w, r->seed, false)))
        return SM_ENOMEM;
    w->seconds = r->bars > 0 ? r->n * r->bars * 240 / r->bpm : r->seconds > 0 ? r->n * r->seconds : -1;
    sm_progress_start(w->bar, w->first, w->seconds);
    r->progress = watch;
    r->user = w;
    const int err = sm_generate(g, r, sink, &k);
    if (err < 0 && err != SM_ECANCELLED)
        sm_progress_finish(w->bar, w->first, sm_last_error());
    return err;
}

/* Seeds whose files are not there yet, one stretch after the other. */
static int make_missing(run *w, sm_generator *g, const sm_generate_request *all)
{
    int err = 0;
    for (int i = 0; i < all->n && err == 0;) {
        sm_generate_request r = *all;
        int n = 0;
        for (; i + n < all->n; n++) {
            char *path = path_of(w, all->seed + (uint64_t)(i + n), false);
            const bool there = path && !strcmp(w->args->overwrite, "skip") && access(path, F_OK) == 0;
            if (there && n == 0)
                sm_cli_warn(w->cli, "%s is there: left as it is", path);
            sm_free(path);
            if (!path)
                return SM_ENOMEM;
            if (there)
                break;
        }
        r.seed = all->seed + (uint64_t)i;
        r.n = n;
        if (n > 0)
            err = make(w, g, &r, false);
        i += SM_MAX(n, 1);
    }
    return err;
}

static bool fits(const sm_generate_result *s)
{
    return s->misses == 0;
}

/* Rounds of as many sounds as still miss, with further seeds; what misses least is written. */
static int make_best(run *w, sm_generator *g, const sm_generate_request *all)
{
    sm_generate_request r = *all;
    int err = 0;
    w->most_kept = (size_t)all->n;
    if (!(w->kept = sm_alloc_zero(w->most_kept + 1, sizeof *w->kept)))
        return SM_ENOMEM;
    for (int64_t round = 0; round < w->args->tries && err == 0; round++) {
        size_t n_fitting = 0;
        while (n_fitting < w->n_kept && fits(w->kept[n_fitting]))
            n_fitting++;
        r.n = all->n - (int)n_fitting;
        if (r.n == 0)
            break;
        err = make(w, g, &r, true);
        r.seed += (uint64_t)r.n;
    }
    for (size_t i = 0; i < w->n_kept; i++) { /* also of a run that was stopped: these are whole */
        const int wrote = err == 0 || err == SM_ECANCELLED ? keep_file(w, all, w->kept[i]) : 0;
        err = wrote < 0 ? wrote : err;
        sm_generate_result_free(w->kept[i]);
    }
    sm_free(w->kept);
    return err;
}

int generate_sounds(sm_cli *cli, const generate_args *a, sm_generator *g, sm_generate_request *r, const char *words)
{
    run w = { .cli = cli, .args = a, .words = words, .many = r->n > 1 };
    int err = 0;
    if (a->out && !strchr(sm_path_name(a->out), '.'))
        err = sm_make_directories(a->out);
    if (err == 0)
        err = sm_progress_new(cli, sm_generator_model(g), 0, "steps", &w.bar);
    if (err == 0)
        err = a->tries > 1 ? make_best(&w, g, r) : make_missing(&w, g, r);
    end_telling(&w);
    sm_progress_free(w.bar);
    sm_free(w.first);
    return err;
}
