/* The generator: finds the model, opens it by its family, and makes of its sound what was asked for. */
#include "engine/generate.h"

#include <math.h>
#include <string.h>

/* One row a family of models that make sound. */
static const sm_generator_family *const families[] = { &sm_generator_stable_audio, &sm_generator_musicgen };

const sm_sound_request sm_sound_request_defaults = {
    .cfg = NAN, .level = "auto", .init_noise = NAN, .top_k = 250, .temperature = 1
};

enum { PROMPT_BYTES = 8192 }; /* far beyond what any of the encoders' windows holds */

struct sm_generator {
    const sm_generator_family *family;
    const sm_model *model;
    sm_weights *weights;
    sm_card *card;
    void *state;
    char hash[17]; /* of the weights' names and shapes' file: as pinned, or computed */
};

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
    return family_of(*m) ? 0
                         : sm_fail(SM_EUSAGE, "%s makes no sound; stable-audio-open and stable-audio-small do", name);
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
    if (err == 0 && file) {
        char hex[65];
        if ((err = sm_hash_file(SM_HASH_XXH128, file, hex)) == 0)
            snprintf(g->hash, sizeof g->hash, "%.16s", hex);
    }
    sm_free(path);
    return err;
}

int sm_generator_open(const sm_generator_options *o, sm_generator **out)
{
    sm_generator *g = sm_alloc_zero(1, sizeof *g);
    const char *file = NULL;
    nn_precision precision = NN_PRECISION_AUTO;
    *out = NULL;
    if (!g)
        return SM_ENOMEM;
    int err = find_model(o->model, &g->model, &file);
    if (err == 0)
        err = precision_of(o->precision, &precision);
    if (err == 0)
        err = open_weights(g, o->home, file);
    if (err == 0) {
        g->family = family_of(g->model);
        const sm_generator_parts p = { .model = g->model,
                                       .weights = g->weights,
                                       .home = o->home,
                                       .t5 = o->t5,
                                       .precision = precision,
                                       .backend = o->backend,
                                       .threads = SM_MAX(o->threads, 1) };
        err = g->family->open(&p, &g->state);
    }
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

const sm_model *sm_generator_model(const sm_generator *g)
{
    return g->model;
}

/* ---- what is asked for ---- */

static bool is_loop(const sm_sound_request *r)
{
    return r->bars > 0 && r->bpm > 0;
}

static double loop_seconds(const sm_sound_request *r)
{
    return r->bars * 240 / r->bpm;
}

/* Frames of a loop. */
static int64_t loop_frames(const sm_sound_request *r, int rate_hz)
{
    return (int64_t)llround(loop_seconds(r) * rate_hz);
}

/* A loop wants a beat more: what follows its end is faded into its beginning, and its first sound may come late. */
static double wanted_seconds(sm_generator *g, const sm_sound_request *r)
{
    if (is_loop(r))
        return loop_seconds(r) + 60 / r->bpm;
    return r->seconds > 0 ? r->seconds : g->family->standard_s(g->state);
}

int sm_generator_check(sm_generator *g, const sm_sound_request *r)
{
    if (!r->prompt || !r->prompt[strspn(r->prompt, " \t\n")])
        return sm_fail(SM_EUSAGE, "an empty prompt: say in words what the sound is to be");
    if (strlen(r->prompt) > PROMPT_BYTES || (r->negative && strlen(r->negative) > PROMPT_BYTES))
        return sm_fail(SM_EUSAGE, "a prompt of %zu bytes; %d are the most, and the model reads a hundred words or so",
                       SM_MAX(strlen(r->prompt), r->negative ? strlen(r->negative) : 0), PROMPT_BYTES);
    if ((r->bars > 0) != (r->bpm > 0) && r->bars != 0)
        return sm_fail(SM_EUSAGE, "a number of bars needs a tempo: --bars 8 --bpm 128");
    if (is_loop(r) && (r->bpm < 20 || r->bpm > 400 || r->bars > 1024))
        return sm_fail(SM_EUSAGE, "%g bars at %g BPM; up to 1024 bars at 20 to 400 BPM are possible", r->bars, r->bpm);
    if (is_loop(r) && r->seconds > 0)
        return sm_fail(SM_EUSAGE, "bars and a duration do not go together: the bars say how long it is");
    if (!(r->seconds >= 0) || !isfinite(r->seconds) || !(r->bars >= 0) || !(r->bpm >= 0))
        return sm_fail(SM_EUSAGE, "a duration of %g s", r->seconds);
    if (strcmp(r->level, "auto") && strcmp(r->level, "peak") && strcmp(r->level, "none"))
        return sm_fail(SM_EUSAGE, "level \"%s\"; auto, peak and none are possible", r->level);
    sm_sound_request whole = *r;
    whole.seconds = wanted_seconds(g, r);
    return g->family->check(g->state, &whole);
}

int sm_generator_memory(sm_generator *g, const sm_sound_request *r, size_t *bytes)
{
    sm_sound_request whole = *r;
    *bytes = 0;
    const int err = sm_generator_check(g, r);
    whole.seconds = wanted_seconds(g, r);
    return err < 0 ? err : g->family->memory(g->state, &whole, bytes);
}

/* ---- the recipe ---- */

static void text_key(sm_json *j, const char *key, const char *value)
{
    sm_json_key(j, key);
    sm_json_string(j, value);
}

static void number_key(sm_json *j, const char *key, double value)
{
    sm_json_key(j, key);
    sm_json_f64(j, value);
}

static void result_keys(const sm_sound *s, sm_json *j)
{
    number_key(j, "peak", s->peak);
    sm_json_key(j, "measured_bpm");
    sm_json_f32(j, s->bpm);
    if (s->fade_s > 0) {
        number_key(j, "loop_fade_s", s->fade_s);
        sm_json_key(j, "loop_jump");
        sm_json_f32(j, s->loop_jump);
    }
    if (s->n_seams == 0)
        return;
    sm_json_key(j, "seams");
    sm_json_begin_array(j);
    for (size_t i = 0; i < s->n_seams; i++) {
        sm_json_begin_object(j);
        sm_json_key(j, "at_s"), sm_json_f32(j, s->seams[i].at_s);
        sm_json_key(j, "jump"), sm_json_f32(j, s->seams[i].jump);
        sm_json_key(j, "level_db"), sm_json_f32(j, s->seams[i].level_db);
        sm_json_end_object(j);
    }
    sm_json_end_array(j);
}

static int write_recipe(sm_generator *g, const sm_sound_request *r, sm_sound *s)
{
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    text_key(&j, "samplemind", sm_version());
    text_key(&j, "model", g->model->name);
    text_key(&j, "weights", g->hash);
    text_key(&j, "prompt", r->prompt);
    if (r->negative && *r->negative)
        text_key(&j, "negative", r->negative);
    sm_json_key(&j, "seed"), sm_json_int(&j, (int64_t)r->seed);
    if (is_loop(r)) {
        number_key(&j, "bars", r->bars);
        number_key(&j, "bpm", r->bpm);
    }
    number_key(&j, "seconds", (double)s->frames / s->rate_hz);
    text_key(&j, "level", r->level);
    g->family->recipe(g->state, r, &j);
    result_keys(s, &j);
    text_key(&j, "licence", g->model->licence);
    sm_json_end_object(&j);
    if (text.failed) {
        sm_buffer_free(&text);
        return SM_ENOMEM;
    }
    s->recipe = text.data;
    return 0;
}

int sm_generator_run(sm_generator *g, const sm_sound_request *r, sm_sound *out)
{
    sm_sound s = { .bpm = NAN, .wanted_bpm = r->bpm > 0 ? r->bpm : NAN };
    *out = (sm_sound){ 0 };
    int err = sm_generator_check(g, r);
    if (err == 0)
        err = g->family->run(g->state, r, wanted_seconds(g, r), &s);
    if (err == 0 && is_loop(r))
        err = sm_sound_loop(&s, loop_frames(r, s.rate_hz));
    if (err == 0) {
        sm_sound_level(&s, r->level);
        err = sm_sound_measure(&s);
    }
    if (err == 0)
        err = write_recipe(g, r, &s);
    if (err < 0)
        sm_sound_free(&s);
    else
        *out = s;
    return err;
}
