/* Datasets of sounds that we make ourselves: from recipes, and from the notes of SoundFonts. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "models/model.h"
#include "train/dataset_parts.h"
#include "train/synth.h"

enum { DEFAULT_RATE = 44100, BATCH = 128, LOWEST_KEY = 30, HIGHEST_KEY = 96 };

/* ---- files ---- */

/* FOLDER/CLASS is made; the whole path, the caller's. */
static char *sound_path(const char *folder, const char *path)
{
    char *whole = sm_printf_new("%s/%s", folder, path);
    char *parent = whole ? sm_strndup(whole, (size_t)(sm_path_name(whole) - whole)) : NULL;
    const int err = parent ? sm_make_directories(parent) : SM_ENOMEM;
    sm_free(parent);
    if (err < 0) {
        sm_free(whole);
        return NULL;
    }
    return whole;
}

static int write_sound(const char *file, const sm_floats *x, int rate_hz)
{
    const sm_audio_write_options o = {
        .rate_hz = rate_hz, .channels = 1, .format = SM_SAMPLE_S16, .software = "SampleMind"
    };
    sm_audio_writer *w = NULL;
    int err = sm_audio_writer_open(file, &o, &w);
    if (err < 0)
        return err;
    if ((err = sm_audio_writer_write(w, x->data, x->length)) < 0) {
        sm_audio_writer_abandon(w);
        return err;
    }
    return sm_audio_writer_commit(w);
}

/* ---- recipes ---- */

/* A batch in the making, shared by the pool's threads. */
typedef struct {
    const sm_dataset_synth_options *o;
    sm_arena **arenas; /* one a thread */
    sm_item *items;    /* [BATCH] */
    size_t recipe, first;
    char *root;
    int rate_hz;
} synth_batch;

/* "analogue kick" -> "analogue-kick" */
static void dashed(const char *name, char out[64])
{
    size_t n = 0;
    for (; name[n] && n < 63; n++)
        out[n] = name[n] == ' ' ? '-' : name[n];
    out[n] = 0;
}

static char *facts_json(sm_arena *a, const sm_synth_recipe *r, uint64_t seed, const sm_synth_facts *f)
{
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "recipe"), sm_json_string(&j, r->name);
    sm_json_key(&j, "seed"), sm_json_int(&j, (int64_t)seed);
    sm_json_key(&j, "pitch_hz"), f->pitch_hz > 0 ? sm_json_f32(&j, f->pitch_hz) : sm_json_null(&j);
    sm_json_key(&j, "attack_s"), sm_json_f32(&j, f->attack_s);
    sm_json_key(&j, "decay_s"), sm_json_f32(&j, f->decay_s);
    sm_json_key(&j, "brightness_hz"), sm_json_f32(&j, f->brightness_hz);
    sm_json_end_object(&j);
    char *copy = text.failed ? NULL : sm_arena_strdup(a, text.data);
    sm_buffer_free(&text);
    return copy;
}

static int make_one(void *user, size_t i, int worker)
{
    synth_batch *b = user;
    size_t n = 0;
    const sm_synth_recipe *r = &sm_synth_recipes(&n)[b->recipe];
    const uint64_t seed = b->o->seed + b->first + i;
    sm_arena *a = b->arenas[worker];
    sm_floats x = { 0 };
    sm_synth_facts facts;
    char name[64];
    sm_item *item = &b->items[i];
    dashed(r->name, name);
    sm_item_init(item);
    item->root = b->root;
    item->path = sm_arena_printf(a, "%s/%s_%06llu.flac", r->label, name, (unsigned long long)seed);
    item->family = sm_arena_printf(a, "SampleMind/%s", name);
    item->label = r->label;
    item->label_from = "synth";
    item->confidence = 1;
    item->source = "own synthesis";
    item->licence = "own synthesis";
    item->split = b->o->split ? b->o->split : "train";
    item->split_given = true;
    int err = sm_synth_make(b->recipe, seed, b->rate_hz, &x, &facts);
    if (err == 0) {
        item->extra = facts_json(a, r, seed, &facts);
        if (facts.pitch_hz > 0)
            item->pitch_midi = 69 + 12 * log2(facts.pitch_hz / 440);
    }
    char *file = err == 0 && item->path ? sound_path(b->root, item->path) : NULL;
    if (err == 0 && (!item->path || !item->family || !item->extra || !file))
        err = file ? SM_ENOMEM : sm_fail_prefix(SM_EIO, "%s", b->root);
    if (err == 0 && access(file, F_OK) != 0)
        err = write_sound(file, &x, b->rate_hz);
    sm_free(file);
    sm_floats_free(&x);
    return err;
}

static bool wanted(const char *labels, const char *label)
{
    const size_t n = strlen(label);
    for (const char *p = labels; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strcspn(p, ",") == n && !strncmp(p, label, n))
            return true;
    return !labels;
}

/* Every class of the list must have a recipe. */
static int check_labels(const char *labels)
{
    size_t n = 0;
    const sm_synth_recipe *r = sm_synth_recipes(&n);
    for (const char *p = labels; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        const size_t length = strcspn(p, ",");
        size_t i = 0;
        while (i < n && (strlen(r[i].label) != length || strncmp(r[i].label, p, length) != 0))
            i++;
        if (i == n)
            return sm_fail(SM_EUSAGE, "no recipe makes the class \"%.*s\"; dataset synth --list shows them",
                           (int)length, p);
    }
    return 0;
}

static int make_recipe(sm_dataset *d, synth_batch *b, sm_pool *pool, double *done, double total, sm_dataset_result *out)
{
    const size_t each = (size_t)b->o->each;
    int err = 0;
    for (b->first = 0; b->first < each && err == 0; b->first += BATCH) {
        const size_t n = SM_MIN(each - b->first, (size_t)BATCH);
        err = sm_pool_run(pool, n, make_one, b);
        if (err == 0) {
            const sm_dataset_work quiet = { .jobs = b->o->work.jobs,
                                            .problem = b->o->work.problem,
                                            .user = b->o->work.user };
            err = ds_take(d, b->items, n, &quiet, false, out);
        }
        *done += (double)n;
        if (err == 0)
            err = ds_progress(&b->o->work, "synth", *done, total, "sounds");
        for (int t = 0; t < sm_pool_threads(pool); t++)
            sm_arena_back(b->arenas[t], 0);
    }
    return err;
}

static void free_arenas(sm_arena **arenas, int n)
{
    for (int t = 0; arenas && t < n; t++)
        sm_arena_free(arenas[t]);
    sm_free(arenas);
}

int sm_dataset_synth(sm_dataset *d, const sm_dataset_synth_options *o, sm_dataset_result *out)
{
    size_t n = 0;
    double done = 0, total = 0;
    sm_pool *pool = NULL;
    const sm_synth_recipe *r = sm_synth_recipes(&n);
    const int threads = o->work.jobs > 0 ? o->work.jobs : sm_cpu_count();
    synth_batch b = { .o = o, .rate_hz = o->rate_hz ? o->rate_hz : DEFAULT_RATE };
    *out = (sm_dataset_result){ 0 };
    int err = check_labels(o->labels);
    if (err == 0)
        err = sm_make_directories(o->folder);
    if (err == 0)
        err = ds_absolute(o->folder, &b.root);
    if (err == 0)
        err = sm_pool_new(threads, &pool);
    if (err == 0) {
        b.items = sm_alloc(BATCH, sizeof *b.items);
        b.arenas = sm_alloc_zero((size_t)threads, sizeof *b.arenas);
        err = b.items && b.arenas ? 0 : SM_ENOMEM;
    }
    for (int t = 0; err == 0 && t < threads; t++)
        err = (b.arenas[t] = sm_arena_new()) ? 0 : SM_ENOMEM;
    for (size_t i = 0; i < n; i++)
        total += wanted(o->labels, r[i].label) ? (double)o->each : 0;
    for (b.recipe = 0; b.recipe < n && err == 0; b.recipe++)
        if (wanted(o->labels, r[b.recipe].label))
            err = make_recipe(d, &b, pool, &done, total, out);
    free_arenas(b.arenas, threads);
    sm_pool_free(pool);
    sm_free(b.items);
    sm_free(b.root);
    return err;
}

/* ---- SoundFonts ---- */

/* What is rendered of one font, a program at a time. */
typedef struct {
    sm_dataset *d;
    const sm_dataset_soundfont_options *o;
    sm_dataset_result *out;
    sm_soundfont *font;
    char *root;
    const char *name; /* of the font, for files and families */
    int rate_hz;
} rendering;

typedef struct {
    int bank, program;
    const char *label; /* NULL or "": by the General MIDI drum map */
    const char *family, *split, *licence;
} preset;

/* One note as an item; items grow in the arena's list. A note without samples adds nothing. */
static int render_note(rendering *r, const preset *p, int key, int velocity, sm_arena *a, sm_item *items, size_t *n)
{
    const char *label = p->label && *p->label ? p->label : sm_gm_drum_label(key);
    sm_floats x = { 0 };
    sm_item item;
    if (!label)
        return 0;
    sm_item_init(&item);
    item.root = r->root;
    item.path =
        sm_arena_printf(a, "%s/%s_b%03d_p%03d_n%03d_v%03d.flac", label, r->name, p->bank, p->program, key, velocity);
    item.label = label;
    item.label_from = "synth";
    item.confidence = 1;
    item.family = p->family ? p->family : sm_arena_printf(a, "%s/%s", r->name, p->bank == 128 ? "drums" : label);
    item.source = sm_arena_printf(a, "rendered: %s", r->name);
    item.licence = p->licence;
    item.split = p->split;
    item.split_given = p->split != NULL;
    if (p->bank != 128)
        item.pitch_midi = key;
    char *file = item.path ? sound_path(r->root, item.path) : NULL;
    int err = item.path && item.family && item.source ? 0 : SM_ENOMEM;
    if (err == 0 && !file)
        err = sm_fail_prefix(SM_EIO, "%s", r->root);
    bool there = err == 0 && access(file, F_OK) == 0;
    if (err == 0 && !there) {
        const double most = sm_label_most_s(label);
        err = sm_soundfont_render(r->font, p->bank, p->program, key, velocity, 0.6 * most, most, &x);
        x.length = err == 0 ? sm_sound_trim(x.data, x.length, r->rate_hz, most) : 0;
        if (err == 0 && x.length >= (size_t)r->rate_hz / 100) {
            err = write_sound(file, &x, r->rate_hz);
            there = true;
        }
    }
    if (err == 0 && there)
        items[(*n)++] = item;
    sm_free(file);
    sm_floats_free(&x);
    return err;
}

static int render_preset(rendering *r, const preset *p)
{
    static const int velocities[] = { 60, 110 };
    const bool drums = p->bank == 128;
    const int low = drums ? 35 : LOWEST_KEY, high = drums ? 81 : HIGHEST_KEY,
              step = drums            ? 1
                     : r->o->step > 0 ? r->o->step
                                      : 6;
    const bool soft = r->o->velocities != 1;
    sm_item items[2 * 128];
    size_t n = 0;
    sm_arena *a = sm_arena_new();
    int err = a ? 0 : SM_ENOMEM;
    for (int key = low; key <= high && err == 0; key += step)
        for (int v = soft ? 0 : 1; v < 2 && err == 0; v++)
            err = render_note(r, p, key, soft ? velocities[v] : 100, a, items, &n);
    const sm_dataset_work quiet = { .jobs = r->o->work.jobs, .problem = r->o->work.problem, .user = r->o->work.user };
    if (err == SM_ENOTFOUND) { /* a font need not have every program */
        sm_clear_error();
        err = 0;
    }
    if (err == 0)
        err = ds_take(r->d, items, n, &quiet, false, r->out);
    sm_arena_free(a);
    return err;
}

/* "/usr/share/sounds/sf2/FluidR3_GM.sf2" -> "FluidR3_GM" */
static void font_name(const char *path, char out[64])
{
    const char *name = sm_path_name(path), *dot = strrchr(name, '.');
    snprintf(out, 64, "%.*s", (int)SM_MIN(dot ? (size_t)(dot - name) : strlen(name), 63), name);
}

static int open_font(rendering *r, const char *path, char name[64])
{
    sm_soundfont_close(r->font);
    r->font = NULL;
    font_name(path, name);
    r->name = name;
    return sm_soundfont_open(path, r->rate_hz, &r->font);
}

/* A font alone: General MIDI's programs and the standard kit. */
static int render_font(rendering *r, const char *path)
{
    char name[64];
    sm_soundfont_preset found;
    int err = open_font(r, path, name);
    size_t total = 0;
    while (err == 0 && sm_soundfont_preset_at(r->font, total, &found))
        total++;
    for (size_t i = 0; err == 0 && i < total && sm_soundfont_preset_at(r->font, i, &found); i++) {
        const preset p = { .bank = found.bank,
                           .program = found.program,
                           .label = found.bank == 0 ? sm_gm_program_label(found.program) : NULL,
                           .split = r->o->split,
                           .licence = r->o->licence };
        if ((found.bank == 0 && p.label) || (found.bank == 128 && found.program == 0))
            err = render_preset(r, &p);
        if (err == 0)
            err = ds_progress(&r->o->work, name, (double)i + 1, (double)total, "presets");
    }
    return err;
}

static int render_list(rendering *r, const char *list, sm_strings *missing)
{
    sm_dataset_preset *rows = NULL;
    size_t n = 0;
    char name[64];
    const char *open = "";
    sm_arena *a = sm_arena_new();
    int err = a ? sm_dataset_debian_presets(list, NULL, a, &rows, &n) : SM_ENOMEM;
    for (size_t i = 0; i < n && err == 0; i++) {
        const preset p = {
            rows[i].bank, rows[i].program, rows[i].label, rows[i].family, rows[i].split, rows[i].licence
        };
        if (!rows[i].installed) {
            if (missing->length == 0 || strcmp(missing->items[missing->length - 1], rows[i].package) != 0)
                err = sm_strings_add(missing, rows[i].package);
            r->out->missing++;
            continue;
        }
        if (strcmp(open, rows[i].file) != 0)
            err = open_font(r, open = rows[i].file, name);
        if (err == 0)
            err = render_preset(r, &p);
        if (err == 0)
            err = ds_progress(&r->o->work, name, (double)i + 1, (double)n, "presets");
    }
    sm_arena_free(a);
    return err;
}

int sm_dataset_soundfont(sm_dataset *d, const char *source, const sm_dataset_soundfont_options *o, sm_strings *missing,
                         sm_dataset_result *out)
{
    rendering r = { .d = d, .o = o, .out = out, .rate_hz = o->rate_hz ? o->rate_hz : DEFAULT_RATE };
    *out = (sm_dataset_result){ 0 };
    int err = sm_make_directories(o->folder);
    if (err == 0)
        err = ds_absolute(o->folder, &r.root);
    if (err == 0)
        err = sm_text_has_suffix(source, ".csv") ? render_list(&r, source, missing) : render_font(&r, source);
    sm_soundfont_close(r.font);
    sm_free(r.root);
    return err;
}
