/* The generator: finds the model, opens it by its family, and makes of its sound what was asked for. */
#include "engine/generate.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "dsp/dsp.h"

/* One row a family of models that make sound. */
static const sm_generator_family *const families[] = { &sm_generator_stable_audio, &sm_generator_musicgen };

enum {
    PROMPT_BYTES = 8192, /* far beyond what any of the encoders' windows holds */
    MOST_SOUNDS = 1000,
    BLOCK = 4096 /* frames of a stream that are interleaved at once */
};
#define LEAST_INTERVAL_S 0.1  /* between two calls of progress */
#define SHARE_OF_FREE    0.75 /* of memory, for sounds side by side */
#define LEAST_PART_S     0.2  /* of a sound whose making was stopped */

struct sm_generator {
    const sm_generator_family *family;
    const sm_model *model;
    sm_weights *weights;
    sm_card *card;
    void *state;
    sm_generator_facts facts;
    char hash[17]; /* of the weights' file: as pinned, or computed */
};

void sm_generate_options_init(sm_generate_options *o)
{
    *o = (sm_generate_options){ .size = sizeof *o };
}

void sm_generate_request_init(sm_generate_request *r)
{
    *r = (sm_generate_request){
        .size = sizeof *r, .n = 1, .guidance = NAN, .init_noise = NAN, .top_k = 250, .temperature = 1
    };
}

/* ---- opening ---- */

static const sm_generator_family *family_of(const sm_model *m)
{
    for (size_t i = 0; m && i < SM_LENGTH(families); i++)
        if (families[i]->makes(m))
            return families[i];
    return NULL;
}

/* "NAME=FILE": the name's model, and the file. */
static int find_model(const char *text, const sm_model **m, const char **file)
{
    char name[64];
    const char *equals = strchr(text, '=');
    snprintf(name, sizeof name, "%.*s", (int)SM_MIN(strcspn(text, "="), sizeof name - 1), text);
    *file = equals ? equals + 1 : NULL;
    const int err = sm_model_named(name, m);
    if (err < 0)
        return err;
    return family_of(*m)
               ? 0
               : sm_fail(SM_EUSAGE, "%s makes no sound; the models of the families stable-audio and musicgen do", name);
}

static int precision_of(const char *name, nn_precision *out)
{
    static const char *const names[] = { "auto", "f32", "bf16", "int8" };
    static const nn_precision values[] = { NN_PRECISION_AUTO, NN_PRECISION_F32, NN_PRECISION_BF16, NN_PRECISION_INT8 };
    for (size_t i = 0; i < SM_LENGTH(names); i++)
        if (!strcmp(name ? name : "auto", names[i])) {
            *out = values[i];
            return 0;
        }
    return sm_fail(SM_EUSAGE, "precision \"%s\" is not known", name);
}

static int open_weights(sm_generator *g, const char *home, const char *file)
{
    const sm_model *found = NULL;
    char variant[32];
    char *path = NULL;
    sm_installed installed = { 0 };
    int err = 0;
    if (!file) {
        if ((err = sm_installed_read(home, g->model, &installed)) < 0)
            return err;
        if (!(path = sm_strdup(installed.path)))
            err = SM_ENOMEM;
        snprintf(g->hash, sizeof g->hash, "%.16s", installed.source_sha256);
        sm_installed_free(&installed);
    }
    if (err == 0)
        err = sm_model_open_file(file ? file : path, &g->weights, &g->card, &found, variant);
    if (err == 0 && found != g->model)
        err = sm_fail(SM_EFORMAT, "%s holds %s, not %s", file ? file : path, found->name, g->model->name);
    if (err == SM_ENOTFOUND && file && access(file, F_OK) == 0)
        err = SM_EFORMAT; /* it is there, and of no model */
    if (err == 0 && file) {
        char hex[65];
        if ((err = sm_hash_source(SM_HASH_XXH128, file, hex)) == 0)
            snprintf(g->hash, sizeof g->hash, "%.16s", hex);
    }
    sm_free(path);
    return err;
}

static int open_state(sm_generator *g, const sm_generate_options *o, nn_precision precision)
{
    const sm_generator_parts p = { .model = g->model,
                                   .weights = g->weights,
                                   .home = o->home,
                                   .text_encoder = o->text_encoder,
                                   .precision = precision,
                                   .backend = o->backend,
                                   .threads = o->threads > 0 ? o->threads : sm_cpu_count() };
    g->family = family_of(g->model);
    g->facts.model = g->model->name;
    return g->family->open(&p, &g->state, &g->facts);
}

int sm_generator_open(const sm_generate_options *o, sm_generator **out)
{
    const char *file = NULL;
    nn_precision precision = NN_PRECISION_AUTO;
    *out = NULL;
    if (o->size != sizeof *o)
        return sm_fail(SM_EUSAGE, "options of %zu bytes: sm_generate_options_init has not been called", o->size);
    if (o->threads < 0 || o->threads > 1024)
        return sm_fail(SM_EUSAGE, "threads is %d, expected 0 (one for each core) to 1024", o->threads);
    sm_generator *g = sm_alloc_zero(1, sizeof *g);
    if (!g)
        return SM_ENOMEM;
    int err = find_model(o->model ? o->model : "stable-audio-small", &g->model, &file);
    if (err == 0)
        err = precision_of(o->precision, &precision);
    if (err == 0)
        err = open_weights(g, o->home, file);
    if (err == 0)
        err = open_state(g, o, precision);
    if (err < 0)
        sm_generator_close(g);
    else
        *out = g;
    return err;
}

void sm_generator_close(sm_generator *g)
{
    if (!g)
        return;
    if (g->state)
        g->family->close(g->state);
    sm_card_free(g->card);
    sm_weights_close(g->weights);
    sm_free(g);
}

const char *sm_generator_model(const sm_generator *g)
{
    return g->model->name;
}

const char *sm_generator_licence(const sm_generator *g)
{
    return g->model->licence;
}

int sm_generator_rate(const sm_generator *g)
{
    return g->facts.rate_hz;
}

int sm_generator_channels(const sm_generator *g)
{
    return g->facts.channels;
}

/* ---- what is asked for ---- */

bool sm_generate_is_loop(const sm_generate_request *r)
{
    return r->bars > 0 && r->bpm > 0;
}

static double loop_seconds(const sm_generate_request *r)
{
    return r->bars * 240 / r->bpm;
}

/* Frames of a loop. */
static int64_t loop_frames(const sm_generate_request *r, int rate_hz)
{
    return (int64_t)llround(loop_seconds(r) * rate_hz);
}

/* A loop wants a beat more: what follows its end is faded into its beginning, and its first sound may come late. */
static double wanted_seconds(const sm_generator *g, const sm_generate_request *r)
{
    if (sm_generate_is_loop(r))
        return loop_seconds(r) + 60 / r->bpm;
    return r->seconds > 0 ? r->seconds : g->facts.standard_s;
}

static int check_words(const sm_generate_request *r)
{
    const size_t most = SM_MAX(r->prompt ? strlen(r->prompt) : 0, r->negative ? strlen(r->negative) : 0);
    int tonic, minor;
    if (!r->prompt || !r->prompt[strspn(r->prompt, " \t\r\n")])
        return sm_fail(SM_EUSAGE, "an empty prompt: say in words what the sound is to be");
    if (most > PROMPT_BYTES)
        return sm_fail(SM_EUSAGE, "a prompt of %zu bytes; %d are the most, and the model reads a hundred words or so",
                       most, PROMPT_BYTES);
    if (r->key && *r->key && !dsp_key_read(r->key, &tonic, &minor))
        return sm_fail(SM_EUSAGE, "\"%s\" is no key; \"A minor\", \"F#m\", \"Bb major\" and \"8A\" are", r->key);
    return 0;
}

static int check_lengths(const sm_generate_request *r)
{
    if (!(r->seconds >= 0) || !isfinite(r->seconds) || !(r->bars >= 0) || !(r->bpm >= 0))
        return sm_fail(SM_EUSAGE, "a duration of %g s", !(r->seconds >= 0) ? r->seconds : SM_MIN(r->bars, r->bpm));
    if (r->bars > 0 && !(r->bpm > 0))
        return sm_fail(SM_EUSAGE, "a number of bars needs a tempo: --bars 8 --bpm 128");
    if (r->bpm > 0 && (r->bpm < 20 || r->bpm > 400 || r->bars > 1024))
        return sm_fail(SM_EUSAGE, "%g bars at %g BPM; up to 1024 bars at 20 to 400 BPM are possible", r->bars, r->bpm);
    if (sm_generate_is_loop(r) && r->seconds > 0)
        return sm_fail(SM_EUSAGE, "bars and a duration do not go together: the bars say how long it is");
    return 0;
}

int sm_generator_check(sm_generator *g, const sm_generate_request *r)
{
    const char *level = r->level ? r->level : "auto";
    int err;
    if (r->size != sizeof *r)
        return sm_fail(SM_EUSAGE, "a request of %zu bytes: sm_generate_request_init has not been called", r->size);
    if ((err = check_words(r)) < 0 || (err = check_lengths(r)) < 0)
        return err;
    if (r->n < 1 || r->n > MOST_SOUNDS)
        return sm_fail(SM_EUSAGE, "%d sounds; 1 to %d are possible", r->n, MOST_SOUNDS);
    if (strcmp(level, "auto") != 0 && strcmp(level, "peak") != 0 && strcmp(level, "none") != 0)
        return sm_fail(SM_EUSAGE, "level \"%s\"; auto, peak and none are possible", level);
    if (r->only_new && !r->continue_file)
        return sm_fail(SM_EUSAGE, "only what is new: of which sound?");
    return g ? g->family->check(g->state, r, wanted_seconds(g, r)) : 0;
}

/* How many sounds of the request are made at once, and what that takes. */
static int share(sm_generator *g, const sm_generate_request *r, int *at_once, double *mb)
{
    const double seconds = wanted_seconds(g, r);
    const double limit = r->max_memory_mb > 0 ? r->max_memory_mb : SHARE_OF_FREE * sm_free_memory() / 1e6;
    int n = r->one_by_one ? 1 : SM_MIN(r->n, g->facts.side_by_side), err = 0;
    double bytes = 0;
    for (;; n--) {
        err = g->family->memory(g->state, r, seconds, n, &bytes);
        if (err < 0 || n == 1 || bytes / 1e6 <= limit)
            break;
    }
    const int groups = (r->n + n - 1) / n;
    *at_once = (r->n + groups - 1) / groups; /* of much the same size */
    *mb = bytes / 1e6;
    return err;
}

int sm_generator_memory_mb(sm_generator *g, const sm_generate_request *r, double *mb, int *side_by_side)
{
    int at_once = 0;
    *mb = 0;
    int err = sm_generator_check(g, r);
    if (err == 0)
        err = share(g, r, &at_once, mb);
    if (side_by_side)
        *side_by_side = at_once;
    return err;
}

/* ---- the run ---- */

typedef struct {
    sm_generator *g;
    const sm_generate_request *r;
    int first, n;      /* sounds of the group in hand */
    int groups, group; /* all, and those that are done */
    double told_s;     /* when progress was last told */
    sm_generate_sink sink;
    void *user;
    float *block; /* [BLOCK][channels] */
} watch;

static int moved(void *user, double done, double total)
{
    watch *w = user;
    const double now = sm_now_s(), seconds = wanted_seconds(w->g, w->r);
    if (!w->r->progress || (now - w->told_s < LEAST_INTERVAL_S && (done < total || w->group + 1 < w->groups)))
        return 0;
    w->told_s = now;
    const sm_progress_info info = { .what = w->g->model->name,
                                    .done = w->group * total + done,
                                    .total = w->groups * total,
                                    .unit = "steps",
                                    .audio_s = (w->first + (total > 0 ? w->n * done / total : 0)) * seconds };
    return w->r->progress(w->r->user, &info) ? sm_fail(SM_ECANCELLED, "stopped at the caller's wish") : 0;
}

static int stream(void *user, int i, const float *const *planes, size_t frames)
{
    const watch *w = user;
    const size_t channels = (size_t)w->g->facts.channels;
    int err = 0;
    for (size_t at = 0; w->r->stream && at < frames && err >= 0; at += BLOCK) {
        const size_t n = SM_MIN(BLOCK, frames - at);
        for (size_t k = 0; k < n; k++)
            for (size_t c = 0; c < channels; c++)
                w->block[k * channels + c] = planes[c][at + k];
        err = w->r->stream(w->r->user, (size_t)(w->first + i), w->block, n);
    }
    return SM_MIN(err, 0);
}

/* From the family's planes to what the caller gets. */
static int hand_over(const watch *w, sm_sound *s, int i, bool partial)
{
    const sm_generator *g = w->g;
    const sm_result_parts parts = { .family = g->family,
                                    .state = g->state,
                                    .model = g->model,
                                    .weights = g->hash,
                                    .request = w->r,
                                    .index = (size_t)(w->first + i),
                                    .partial = partial };
    sm_generate_result *result = NULL;
    int err = 0;
    if (partial && (double)s->frames < LEAST_PART_S * s->rate_hz)
        return 0;
    if (sm_generate_is_loop(w->r) && !partial)
        err = sm_sound_loop(s, loop_frames(w->r, s->rate_hz));
    if (err == 0) {
        sm_sound_level(s, w->r->level);
        err = sm_sound_measure(s);
    }
    if (err == 0)
        err = sm_generate_result_new(&parts, s, &result);
    if (err == 0)
        err = w->sink(w->user, result);
    return SM_MIN(err, 0);
}

static int run_group(watch *w)
{
    sm_sound *sounds = sm_alloc_zero((size_t)w->n, sizeof *sounds);
    sm_generator_job job = { .request = w->r,
                             .seconds = wanted_seconds(w->g, w->r),
                             .seed = w->r->seed + (uint64_t)w->first,
                             .n = w->n,
                             .moved = moved,
                             .stream = stream,
                             .user = w,
                             .sounds = sounds };
    int err = sounds ? w->g->family->run(w->g->state, &job) : SM_ENOMEM;
    const bool part = err == SM_ECANCELLED && job.partial;
    int handed = err == 0 || part ? 0 : err;
    for (int i = 0; i < w->n && handed == 0; i++)
        handed = hand_over(w, &sounds[i], i, part);
    for (int i = 0; sounds && i < w->n; i++)
        sm_sound_free(&sounds[i]);
    sm_free(sounds);
    if (part && handed == 0)
        handed = sm_fail(SM_ECANCELLED, "stopped at the caller's wish");
    return handed;
}

int sm_generate(sm_generator *g, const sm_generate_request *r, sm_generate_sink sink, void *user)
{
    watch w = { .g = g, .r = r, .sink = sink, .user = user };
    double mb = 0;
    int at_once = 1;
    int err = sm_generator_check(g, r);
    if (err == 0)
        err = share(g, r, &at_once, &mb);
    if (err == 0 && r->max_memory_mb > 0 && mb > r->max_memory_mb)
        err = sm_fail(SM_ELIMIT, "about %.0f MB would be needed, and %.0f MB is the limit", mb, r->max_memory_mb);
    if (err == 0 && !(w.block = sm_alloc(BLOCK * (size_t)g->facts.channels, sizeof *w.block)))
        err = SM_ENOMEM;
    w.groups = (r->n + at_once - 1) / at_once;
    for (; err == 0 && w.first < r->n; w.first += w.n, w.group++) {
        w.n = SM_MIN(at_once, r->n - w.first);
        err = run_group(&w);
    }
    sm_free(w.block);
    return err;
}

static int take(void *user, sm_generate_result *sound)
{
    *(sm_generate_result **)user = sound;
    return 0;
}

int sm_generate_one(sm_generator *g, const sm_generate_request *r, sm_generate_result **out)
{
    sm_generate_request one = *r;
    sm_generate_result *sound = NULL;
    one.n = 1;
    *out = NULL;
    const int err = sm_generate(g, &one, take, &sound);
    if (err == 0)
        *out = sound;
    else
        sm_generate_result_free(sound);
    return err;
}
