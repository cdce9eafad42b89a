/* The sounds to learn from: lists of them from a dataset, a table or a folder, and their samples in memory. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "library/csv.h"
#include "train/dataset.h"
#include "train/sounds.h"

const char *const sm_sound_heads[SM_SOUND_HEADS] = { "instrument", "genre", "mood", "energy" };

/* ---- the list ---- */

/* A list of patterns: one must fit if there are any without "-", none of those with it may. */
static bool fits(const char *list, const char *text)
{
    bool wanted = true, found = false;
    char pattern[256];
    if (!list)
        return true;
    text = text ? text : "";
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
        at += strspn(at, " ");
        const bool out = *at == '-';
        snprintf(pattern, sizeof pattern, "%.*s", (int)strcspn(at + out, ","), at + out);
        const bool hit = fnmatch(pattern, text, FNM_CASEFOLD) == 0;
        if (out && hit)
            return false;
        if (!out) {
            wanted = false;
            found |= hit;
        }
    }
    return wanted || found;
}

static sm_side side_named(const char *name)
{
    return !name || !*name          ? SM_SIDE_NONE
           : !strcmp(name, "train") ? SM_SIDE_TRAIN
           : !strcmp(name, "val")   ? SM_SIDE_VAL
           : !strcmp(name, "test")  ? SM_SIDE_TEST
                                    : SM_SIDE_NONE;
}

/* 80/10/10 by a hash: the same sound is on the same side wherever the list comes from. */
static sm_side side_of_hash(const char *purpose, const char *text)
{
    const double u = (sm_unit(sm_unit_hash(purpose, 0), sm_fnv1a64(text, strlen(text))) + 1) / 2;
    return u < 0.8 ? SM_SIDE_TRAIN : u < 0.9 ? SM_SIDE_VAL : SM_SIDE_TEST;
}

static int keep(sm_sounds *s, const char **text)
{
    if (*text && !(*text = sm_arena_strdup(s->arena, *text)))
        return SM_ENOMEM;
    return 0;
}

static int add(sm_sounds *s, const sm_sounds_filter *f, const sm_sound *sound)
{
    sm_sound x = *sound;
    int err = 0;
    if (!x.label[0] || !*x.label[0] ||
        (f && (!fits(f->licences, x.licence) || !fits(f->sources, x.source) || !fits(f->families, x.family) ||
               x.confidence < f->least_confidence)))
        return 0;
    const char **texts[] = { &x.path,     &x.family,   &x.source,   &x.licence,
                             &x.label[0], &x.label[1], &x.label[2], &x.label[3] };
    for (size_t i = 0; i < SM_LENGTH(texts) && err == 0; i++)
        err = keep(s, texts[i]);
    if (err == 0)
        err = sm_grow(&s->items, &s->capacity, s->n + 1, sizeof *s->items);
    if (err < 0)
        return err;
    if (!x.family)
        x.family = x.path;
    if (x.side == SM_SIDE_NONE)
        x.side = side_of_hash("family split", x.family);
    if (x.random_side == SM_SIDE_NONE)
        x.random_side = side_of_hash("random split", sm_path_name(x.path));
    s->items[s->n++] = x;
    return 0;
}

static int from_table(sm_sounds *s, const char *path, const sm_sounds_filter *f)
{
    sm_csv t = { 0 };
    int err = sm_csv_read(path, &t);
    if (err < 0)
        return err;
    const int at = sm_csv_column(&t, "path"), class = sm_csv_column(&t, "class");
    const int split = sm_csv_column(&t, "split"), random = sm_csv_column(&t, "random_split");
    const int family = sm_csv_column(&t, "family"), source = sm_csv_column(&t, "source"),
              licence = sm_csv_column(&t, "licence");
    if (at < 0 || class < 0)
        err = sm_fail(SM_EFORMAT, "%s: line 1 names no column \"%s\"", path, at < 0 ? "path" : "class");
    for (size_t i = 0; i < t.rows && err == 0; i++) {
        const char *name = sm_csv_cell(&t, i, at);
        if (!name) {
            err = sm_fail(SM_EFORMAT, "%s: line %zu has no path", path, t.lines[i]);
            break;
        }
        char *file =
            *name == '/' ? sm_strdup(name) : sm_printf_new("%.*s%s", (int)(sm_path_name(path) - path), path, name);
        sm_sound x = { .path = file,
                       .family = sm_csv_cell(&t, i, family),
                       .source = sm_csv_cell(&t, i, source),
                       .licence = sm_csv_cell(&t, i, licence),
                       .confidence = 1,
                       .side = side_named(sm_csv_cell(&t, i, split)),
                       .random_side = side_named(sm_csv_cell(&t, i, random)) };
        for (int h = 0; h < SM_SOUND_HEADS; h++)
            x.label[h] = sm_csv_cell(&t, i, h == 0 ? class : sm_csv_column(&t, sm_sound_heads[h]));
        err = file ? add(s, f, &x) : SM_ENOMEM;
        sm_free(file);
    }
    sm_csv_free(&t);
    return err;
}

/* "pack/kick 03.wav" -> "pack"; "kick_03.wav" -> "kick_": sounds that are numbered in a row come from one source. */
static char *family_of(const char *below)
{
    const char *slash = strchr(below, '/');
    if (slash)
        return sm_strndup(below, (size_t)(slash - below));
    size_t n = strcspn(below, ".");
    while (n > 1 && below[n - 1] >= '0' && below[n - 1] <= '9')
        n--;
    return sm_strndup(below, n);
}

static int add_file(sm_sounds *s, const sm_sounds_filter *f, const char *class, const char *file, const char *family)
{
    char *whole = sm_printf_new("%s/%s", class, family);
    const sm_sound x = { .path = file,
                         .family = whole,
                         .label = { class },
                         .confidence = 1,
                         .side = SM_SIDE_NONE,
                         .random_side = SM_SIDE_NONE };
    const int err = whole ? add(s, f, &x) : SM_ENOMEM;
    sm_free(whole);
    return err;
}

/* The sounds of one class; `at` is the length of its folder's name and the slash. */
static int add_class(sm_sounds *s, const sm_sounds_filter *f, const char *class, const sm_strings *files, size_t at)
{
    char *first = files->length > 1 ? family_of(files->items[0] + at) : NULL;
    bool lone = first != NULL;
    int err = 0;
    for (size_t i = 1; i < files->length && lone; i++) {
        char *family = family_of(files->items[i] + at);
        lone = family && !strcmp(family, first);
        sm_free(family);
    }
    sm_free(first);
    s->lone += lone;
    for (size_t i = 0; i < files->length && err == 0; i++) {
        const char *below = files->items[i] + at;
        char *family = lone ? sm_strdup(below) : family_of(below);
        err = family ? add_file(s, f, class, files->items[i], family) : SM_ENOMEM;
        sm_free(family);
    }
    return err;
}

static int from_folder(sm_sounds *s, const char *folder, const sm_sounds_filter *f)
{
    sm_strings classes = { 0 };
    int err = sm_list_directory(folder, &classes);
    for (size_t c = 0; c < classes.length && err == 0; c++) {
        sm_strings files = { 0 }, problems = { 0 };
        char *place = sm_printf_new("%s/%s", folder, classes.items[c]);
        err = place ? 0 : SM_ENOMEM;
        if (err == 0 && classes.items[c][0] != '.' && sm_is_directory(place))
            err = sm_walk(place, &files, &problems);
        if (err == 0)
            err = add_class(s, f, classes.items[c], &files, place ? strlen(place) + 1 : 0);
        sm_strings_free(&files);
        sm_strings_free(&problems);
        sm_free(place);
    }
    sm_strings_free(&classes);
    return err;
}

typedef struct {
    sm_sounds *sounds;
    const sm_sounds_filter *filter;
} adding;

static int add_item(void *user, const sm_item *item)
{
    const adding *to = user;
    char *file = sm_item_file(item);
    sm_sound x = { .path = file,
                   .family = item->family,
                   .source = item->source,
                   .licence = item->licence,
                   .confidence = item->confidence,
                   .side = side_named(item->split),
                   .random_side = side_named(item->random_split),
                   .label = { item->label, item->genre, item->mood,
                              !isfinite(item->energy) ? NULL
                              : item->energy < 3.5    ? "low"
                              : item->energy < 6.5    ? "medium"
                                                      : "high" } };
    const int err = file ? add(to->sounds, to->filter, &x) : SM_ENOMEM;
    sm_free(file);
    return err;
}

static int from_dataset(sm_sounds *s, const char *path, const sm_sounds_filter *f)
{
    const sm_dataset_filter which = { .labelled = 1, .verified = f && f->verified ? 1 : 0, .without_twins = true };
    adding to = { s, f };
    sm_dataset *d = NULL;
    int err = sm_dataset_open(path, SM_DATASET_READ, &d);
    if (err == 0)
        err = sm_dataset_each(d, &which, add_item, &to);
    sm_dataset_close(d);
    return err;
}

int sm_sounds_open(const char *data, const sm_sounds_filter *filter, sm_sounds **out)
{
    sm_sounds *s = sm_alloc_zero(1, sizeof *s);
    int err = s && (s->arena = sm_arena_new()) ? 0 : SM_ENOMEM;
    *out = NULL;
    if (err == 0)
        err = sm_is_directory(data)              ? from_folder(s, data, filter)
              : sm_text_has_suffix(data, ".csv") ? from_table(s, data, filter)
                                                 : from_dataset(s, data, filter);
    if (err == 0 && s->n == 0)
        err = sm_fail(SM_EUSAGE, "%s: no sounds with labels%s; a folder needs one folder for each class", data,
                      filter ? " that pass the filters" : "");
    if (err < 0)
        sm_sounds_close(s);
    else
        *out = s;
    return err;
}

void sm_sounds_close(sm_sounds *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        sm_free(s->items[i].samples);
    sm_free(s->items);
    sm_arena_free(s->arena);
    sm_free(s);
}

size_t sm_sounds_count(const sm_sounds *s)
{
    return s->n;
}

sm_sound *sm_sounds_at(sm_sounds *s, size_t i)
{
    return &s->items[i];
}

size_t sm_sounds_lone_classes(const sm_sounds *s)
{
    return s->lone;
}

int sm_sounds_rate(const sm_sounds *s)
{
    return s->rate_hz;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int sm_sounds_classes(const sm_sounds *s, sm_sound_head head, const char ***names, size_t *n)
{
    const char **list = sm_alloc(s->n, sizeof *list);
    size_t found = 0, kept = 0;
    *names = NULL;
    *n = 0;
    if (!list)
        return SM_ENOMEM;
    for (size_t i = 0; i < s->n; i++)
        if (s->items[i].label[head])
            list[found++] = s->items[i].label[head];
    qsort(list, found, sizeof *list, by_text);
    for (size_t i = 0; i < found; i++)
        if (i == 0 || strcmp(list[i], list[kept - 1]) != 0)
            list[kept++] = list[i];
    *names = list;
    *n = kept;
    return 0;
}

/* ---- samples ---- */
typedef struct {
    sm_sounds *s;
    double max_s;
    int rate_hz;
    char **reasons; /* by sound */
    sm_progress_fn progress;
    void *user;
    size_t done; /* by worker 0, for progress */
} loading;

/* Leading silence (46 dB below the peak) goes: a picture begins where the sound does. */
static size_t onset_of(const float *x, size_t n, float peak, int rate_hz)
{
    const size_t before = (size_t)(0.002 * rate_hz);
    size_t at = 0;
    while (at < n && fabsf(x[at]) < peak * 0.005f)
        at++;
    return at > before && at < n ? at - before : 0;
}

static int store(sm_sound *x, const sm_floats *mono, int rate_hz)
{
    const float *from = mono->data;
    size_t n = mono->length;
    float peak = 0;
    for (size_t i = 0; i < n; i++)
        peak = SM_MAX(peak, fabsf(from[i]));
    if (n == 0 || peak < 1e-5f)
        return sm_fail(SM_EFORMAT, "%s: %s", x->path, n == 0 ? "no audio" : "silence");
    const size_t skip = onset_of(from, n, peak, rate_hz);
    from += skip;
    n -= skip;
    x->samples = sm_alloc(n, sizeof *x->samples);
    if (!x->samples)
        return SM_ENOMEM;
    for (size_t i = 0; i < n; i++)
        x->samples[i] = (int16_t)lrintf(32767 * from[i] / peak);
    x->length = n;
    x->scale = peak / 32767;
    x->duration_s = (double)n / rate_hz;
    return 0;
}

static int load_one(void *user, size_t i, int worker)
{
    loading *l = user;
    sm_sound *x = &l->s->items[i];
    sm_floats mono = { 0 };
    int err = 0;
    if (x->samples)
        return 0;
    err = sm_sound_read(x->path, l->rate_hz, l->max_s, &mono, NULL);
    if (err == 0)
        err = store(x, &mono, l->rate_hz);
    sm_floats_free(&mono);
    if (err < 0 && err != SM_ENOMEM) {
        l->reasons[i] = sm_strdup(sm_last_error());
        err = l->reasons[i] ? 0 : SM_ENOMEM;
    }
    if (worker == 0 && l->progress && err == 0) {
        const sm_progress_info p = { x->path, (double)i, (double)l->s->n, "files", 0 };
        err = l->progress(l->user, &p) ? sm_fail(SM_ECANCELLED, "interrupted") : 0;
    }
    return err;
}

int sm_sounds_load(sm_sounds *s, int rate_hz, double max_s, int threads, sm_progress_fn progress, void *user,
                   sm_strings *problems)
{
    loading l = { .s = s, .max_s = max_s, .rate_hz = rate_hz, .progress = progress, .user = user };
    sm_pool *pool = NULL;
    if (s->rate_hz && s->rate_hz != rate_hz) /* for another front end: again */
        for (size_t i = 0; i < s->n; i++) {
            sm_free(s->items[i].samples);
            s->items[i].samples = NULL;
        }
    l.reasons = sm_alloc_zero(s->n, sizeof *l.reasons);
    int err = l.reasons ? sm_pool_new(threads > 0 ? threads : sm_cpu_count(), &pool) : SM_ENOMEM;
    if (err == 0)
        err = sm_pool_run(pool, s->n, load_one, &l);
    if (err == 0)
        s->rate_hz = rate_hz;
    for (size_t i = 0; l.reasons && i < s->n; i++) {
        if (l.reasons[i] && problems && err == 0)
            err = sm_strings_add(problems, l.reasons[i]);
        sm_free(l.reasons[i]);
    }
    sm_free(l.reasons);
    sm_pool_free(pool);
    return err;
}
