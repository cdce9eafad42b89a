/* Stable Audio as a generator: words to T5's states, canvases one behind the other for what is longer than one, latents to samples. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/generate.h"
#include "models/stable_audio_run.h"

enum {
    MOST_SECONDS = 90,     /* beyond it, pieces made of continuations no longer hold together */
    OVERLAP = 110,         /* latents that a canvas shares with the one before: 5.1 s */
    SPARE = 8,             /* latents behind the piece on a fast canvas */
    LEAST_SHARE_OF_NEW = 2 /* of a canvas that overlaps, at least 1/2 is new */
};

typedef struct {
    sm_stable_audio *a;
    sm_stable_audio_facts facts;
    sm_stable_audio_request standard;
    sm_text_encoder text;
} generator;

static bool makes(const sm_model *m)
{
    return !strcmp(m->name, "stable-audio-open") || !strcmp(m->name, "stable-audio-small");
}

static void close_generator(void *state)
{
    generator *g = state;
    if (!g)
        return;
    sm_stable_audio_close(g->a);
    sm_text_encoder_close(&g->text);
    sm_free(g);
}

static double canvas_s(const generator *g)
{
    return (double)(g->facts.canvas * g->facts.ratio) / g->facts.rate_hz;
}

static int open_generator(const sm_generator_parts *p, void **state, sm_generator_facts *facts)
{
    const sm_stable_audio_options o = { .backend = p->backend, .precision = p->precision, .threads = p->threads };
    generator *g = sm_alloc_zero(1, sizeof *g);
    *state = NULL;
    if (!g)
        return SM_ENOMEM;
    int err = sm_text_encoder_open(p->home, p->text_encoder, p->backend, p->threads, &g->text);
    if (err == 0)
        err = sm_stable_audio_open(p->model, p->weights, &o, &g->a);
    if (err == 0) {
        sm_stable_audio_look(g->a, &g->facts);
        g->standard = sm_stable_audio_defaults(g->a);
        if (sm_t5_width(g->text.encoder) != g->facts.text_width)
            err = sm_fail(SM_EFORMAT, "%s gives %d numbers a token, %s takes %d", sm_weights_label(g->text.weights),
                          sm_t5_width(g->text.encoder), p->model->name, g->facts.text_width);
    }
    if (err < 0) {
        close_generator(g);
        return err;
    }
    facts->rate_hz = g->facts.rate_hz;
    facts->channels = 2;
    facts->standard_s = canvas_s(g);
    facts->side_by_side = 1;
    *state = g;
    return 0;
}

/* ---- what is asked for ---- */

static bool has_text(const char *text)
{
    return text && text[strspn(text, " \t\n")];
}

/* The original pipeline's request, without what differs from canvas to canvas. */
static sm_stable_audio_request translate(const generator *g, const sm_generate_request *r)
{
    sm_stable_audio_request q = g->standard;
    q.sampler = r->sampler ? r->sampler : q.sampler;
    q.steps = r->steps > 0 ? r->steps : q.steps;
    q.cfg = isfinite(r->guidance) ? r->guidance : q.cfg;
    q.cfg_rescale = r->rescale;
    /* enough noise for a new sound in the same rhythm */
    q.init_noise = isfinite(r->init_noise) ? r->init_noise : g->facts.flow || !strcmp(q.sampler, "v-ddim") ? 0.6 : 5;
    return q;
}

static int64_t latents_of(const generator *g, double seconds)
{
    return (int64_t)ceil(seconds * g->facts.rate_hz / (double)g->facts.ratio - 1e-9);
}

static int64_t overlap_of(const generator *g)
{
    return SM_MIN(OVERLAP, g->facts.canvas / LEAST_SHARE_OF_NEW);
}

static int check(void *state, const sm_generate_request *r, double seconds)
{
    const generator *g = state;
    const sm_stable_audio_request q = translate(g, r);
    const double most = fmax(MOST_SECONDS + 1, canvas_s(g)); /* + 1: a loop's margin */
    const sa_sampler *s = sa_sampler_find(q.sampler);
    if (seconds > most || seconds > g->facts.seconds_max)
        return sm_fail(
            SM_EUSAGE,
            "%.0f s of sound; the model fills %.1f s at a time, and %d s is the most that continuing makes of it",
            seconds, canvas_s(g), MOST_SECONDS);
    if (!s)
        return sm_fail(SM_EUSAGE, "there is no sampler \"%s\"", q.sampler);
    if (r->melody_file || r->only_new)
        return sm_fail(SM_EUSAGE,
                       "Stable Audio follows no melody and hears no sound without beginning with it; MusicGen does");
    if (r->steps < 0 || r->steps > 1000)
        return sm_fail(SM_EUSAGE, "%d steps; 1 to 1000 are possible", r->steps);
    if (r->init_file && r->continue_file)
        return sm_fail(SM_EUSAGE, "a sound to start from and a sound to continue do not go together");
    if (r->init_file && seconds > canvas_s(g))
        return sm_fail(SM_EUSAGE, "a variation of %.1f s; one canvas, %.1f s, is the most", seconds, canvas_s(g));
    const bool share = g->facts.flow || !strcmp(q.sampler, "v-ddim");
    if (r->init_file && (!(q.init_noise > (share ? 0 : q.sigma_min)) || q.init_noise > (share ? 1 : 1000)))
        return sm_fail(SM_EUSAGE, "a noise level of %g; with %s it is above %g and at most %d", q.init_noise, q.sampler,
                       share ? 0 : q.sigma_min, share ? 1 : 1000);
    return 0;
}

static int memory(void *state, const sm_generate_request *r, double seconds, int n, double *bytes)
{
    generator *g = state;
    sm_stable_audio_request q = translate(g, r);
    const float nothing = 0;
    (void)n;
    size_t weights, work;
    q.prompt = &nothing; /* only its presence is looked at */
    q.latents = SM_MAX(g->facts.canvas, latents_of(g, seconds));
    const int err = sm_stable_audio_memory(g->a, &q, &weights, &work);
    if (err < 0)
        return err;
    size_t text = 0;
    for (size_t i = 0; i < sm_weights_count(g->text.weights); i++) {
        nn_tensor t;
        if (sm_weights_at(g->text.weights, i, &t) == 0)
            text += (size_t)nn_elements(&t.shape) * sizeof(float);
    }
    *bytes = (double)(weights + text + work);
    return 0;
}

/* ---- canvases ---- */

typedef struct {
    generator *g;
    const sm_generate_request *r;
    sm_generator_job *job;
    sm_stable_audio_request q;
    double seconds;
    int64_t total; /* latents of the piece */
    int64_t made;  /* latents so far, of `room` a channel */
    int64_t room;
    float *latents; /* [channels][room] */
    int64_t seams[SM_SOUND_SEAMS];
    size_t n_seams;
    double canvases, canvas; /* for progress: all and which */
} piece;

static int moved(void *user, int step, int steps)
{
    const piece *p = user;
    const double decode = 1; /* counts as a step */
    return p->job->moved(p->job->user, p->canvas * steps + step, p->canvases * steps + decode);
}

static int decoded(void *user, double done)
{
    const piece *p = user;
    const double steps = p->canvases * p->q.steps;
    return p->job->moved(p->job->user, steps + done, steps + 1);
}

/* The next canvas begins `overlap` latents before the end of what there is. */
static int next_canvas(piece *p)
{
    const int channels = p->g->facts.channels;
    const int64_t overlap = SM_MIN(p->made, overlap_of(p->g)), start = p->made - overlap, rest = p->total - start;
    const int64_t length = p->r->fast_canvas ? SM_MIN(p->g->facts.canvas, rest + SPARE) : p->g->facts.canvas;
    sm_stable_audio_request q = p->q;
    float *whole = sm_alloc((size_t)(channels * length), sizeof *whole),
          *keep = sm_alloc_zero((size_t)((channels + 1) * length), sizeof *keep);
    int err = whole && keep ? 0 : SM_ENOMEM;
    for (int c = 0; c < channels && err == 0; c++)
        memcpy(keep + c * length, p->latents + c * p->room + start, (size_t)overlap * sizeof *keep);
    for (int64_t i = 0; i < overlap && err == 0; i++)
        keep[channels * length + i] = 1;
    q.latents = length;
    q.seed = (uint32_t)(p->job->seed + (uint64_t)p->canvas);
    q.seconds_start = floor((double)(start * p->g->facts.ratio) / p->g->facts.rate_hz);
    if (overlap > 0) {
        q.keep = keep;
        q.keep_mask = keep + channels * length;
        q.init = NULL;
    }
    if (err == 0)
        err = sm_stable_audio_sample(p->g->a, &q, whole);
    const int64_t taken = SM_MIN(length, p->room - start);
    for (int c = 0; c < channels && err == 0; c++)
        memcpy(p->latents + c * p->room + p->made, whole + c * length + overlap,
               (size_t)(taken - overlap) * sizeof *whole);
    if (overlap > 0 && p->n_seams < SM_SOUND_SEAMS)
        p->seams[p->n_seams++] = p->made;
    p->made = start + taken;
    p->canvas++;
    sm_free(whole);
    sm_free(keep);
    return err;
}

/* The sound that the piece begins with. */
static int begin_with(piece *p, const char *path)
{
    const sm_stable_audio_facts *f = &p->g->facts;
    float *audio = NULL, *latents = NULL;
    int64_t frames = 0;
    int err = sm_stereo_read(path, f->rate_hz, SM_RESAMPLE_TORCHAUDIO, p->total * f->ratio, &audio, &frames);
    const int64_t n = frames / f->ratio;
    if (err == 0 && (n < 4 || n >= p->total))
        err = sm_fail(SM_EUSAGE,
                      "%s is %.1f s long; a piece of %.1f s that goes on from it needs less, and 0.2 s at least", path,
                      (double)frames / f->rate_hz, p->seconds);
    if (err == 0 && !(latents = sm_alloc((size_t)(f->channels * n), sizeof *latents)))
        err = SM_ENOMEM;
    if (err == 0 && frames % f->ratio) /* whole latents: planes move together */
        memmove(audio + n * f->ratio, audio + frames, (size_t)(n * f->ratio) * sizeof *audio);
    if (err == 0)
        err = sm_stable_audio_encode(p->g->a, audio, n * f->ratio, latents);
    for (int c = 0; c < f->channels && err == 0; c++)
        memcpy(p->latents + c * p->room, latents + c * n, (size_t)n * sizeof *latents);
    p->made = err == 0 ? n : 0;
    sm_free(audio);
    sm_free(latents);
    return err;
}

static double distance(const piece *p, int64_t at)
{
    double sum = 0;
    for (int c = 0; c < p->g->facts.channels; c++) {
        const float *x = p->latents + c * p->room + at;
        sum += ((double)x[0] - (double)x[-1]) * ((double)x[0] - (double)x[-1]);
    }
    return sqrt(sum);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure_seams(const piece *p, sm_sound *out)
{
    double *all = p->n_seams ? sm_alloc((size_t)p->made, sizeof *all) : NULL;
    if (p->n_seams == 0)
        return 0;
    if (!all)
        return SM_ENOMEM;
    for (int64_t i = 1; i < p->made; i++)
        all[i - 1] = distance(p, i);
    qsort(all, (size_t)p->made - 1, sizeof *all, by_size);
    const double middle = all[(p->made - 1) / 2];
    for (size_t i = 0; i < p->n_seams; i++) {
        const int64_t at = p->seams[i] * p->g->facts.ratio;
        if (at >= out->frames)
            continue;
        out->seams[out->n_seams++] = (sm_generate_seam){ .at_s = (double)at / out->rate_hz,
                                                         .jump = middle > 0 ? distance(p, p->seams[i]) / middle : 0,
                                                         .level_db = sm_sound_level_step(out, at) };
    }
    sm_free(all);
    return 0;
}

/* Latents to samples: only as many as the piece has. */
static int to_samples(piece *p, sm_sound *out)
{
    const sm_stable_audio_facts *f = &p->g->facts;
    const int64_t n = p->total * f->ratio, frames = SM_MIN((int64_t)llround(p->seconds * f->rate_hz), n);
    float *audio = sm_alloc(2 * (size_t)n, sizeof *audio),
          *made = sm_alloc((size_t)(f->channels * p->made), sizeof *made);
    int err = audio && made ? 0 : SM_ENOMEM;
    for (int c = 0; c < f->channels && err == 0; c++)
        memcpy(made + c * p->made, p->latents + c * p->room, (size_t)p->made * sizeof *made);
    if (err == 0)
        err = sm_stable_audio_decode(p->g->a, made, p->made, 0, p->total, audio, decoded, p);
    sm_free(made);
    if (err < 0) {
        sm_free(audio);
        return err;
    }
    memmove(audio + frames, audio + n, (size_t)frames * sizeof *audio);
    out->samples = audio;
    out->channels = 2;
    out->rate_hz = f->rate_hz;
    out->frames = frames;
    return 0;
}

static double count_canvases(const piece *p)
{
    const int64_t lap = overlap_of(p->g), step = p->g->facts.canvas - lap;
    int64_t made = p->made;
    double n = 0;
    for (; made < p->total; n++)
        made += made ? step : p->g->facts.canvas;
    return n;
}

static int run(void *state, sm_generator_job *job)
{
    generator *g = state;
    const sm_generate_request *r = job->request;
    const double seconds = job->seconds;
    sm_sound *out = job->sounds;
    piece p = { .g = g, .r = r, .job = job, .q = translate(g, r), .seconds = seconds, .total = latents_of(g, seconds) };
    float *words = NULL, *negative = NULL, *init = NULL;
    size_t n_words = 0, n_negative = 0;
    int err = sm_text_encoder_run(&g->text, r->prompt, (size_t)g->facts.prompt_tokens, &words, &n_words);
    if (err == 0 && has_text(r->negative))
        err = sm_text_encoder_run(&g->text, r->negative, (size_t)g->facts.prompt_tokens, &negative, &n_negative);
    if (err == 0 && r->init_file)
        err = sm_stereo_read(r->init_file, g->facts.rate_hz, SM_RESAMPLE_TORCHAUDIO, g->facts.canvas * g->facts.ratio,
                             &init, &p.q.init_samples);
    p.room = p.total + g->facts.canvas;
    if (err == 0 && !(p.latents = sm_alloc((size_t)(g->facts.channels * p.room), sizeof *p.latents)))
        err = SM_ENOMEM;
    p.q.prompt = words;
    p.q.n_prompt = (int)n_words;
    p.q.negative = negative;
    p.q.n_negative = (int)n_negative;
    p.q.init = init;
    /* training saw whole seconds; a loop is told at least a beat more than it keeps */
    p.q.seconds_total = r->bars > 0 || seconds > canvas_s(g) ? ceil(seconds) : seconds;
    p.q.progress = moved;
    p.q.user = &p;
    if (err == 0 && r->continue_file)
        err = begin_with(&p, r->continue_file);
    p.canvases = count_canvases(&p);
    while (err == 0 && p.made < p.total)
        err = next_canvas(&p);
    if (err == 0)
        err = to_samples(&p, out);
    if (err == 0)
        err = measure_seams(&p, out);
    if (err == 0) {
        const float *planes[2] = { out->samples, out->samples + out->frames };
        err = job->stream(job->user, 0, planes, (size_t)out->frames);
    }
    sm_free(words);
    sm_free(negative);
    sm_free(init);
    sm_free(p.latents);
    return err;
}

static void recipe(void *state, const sm_generate_request *r, sm_json *j)
{
    const sm_stable_audio_request q = translate(state, r);
    sm_json_key(j, "sampler"), sm_json_string(j, q.sampler);
    sm_json_key(j, "steps"), sm_json_int(j, q.steps);
    sm_json_key(j, "cfg"), sm_json_f64(j, q.cfg);
    sm_json_key(j, "rescale"), sm_json_f64(j, q.cfg_rescale);
    sm_json_key(j, "canvas"), sm_json_string(j, r->fast_canvas ? "fast" : "full");
    if (r->init_file) {
        sm_json_key(j, "init"), sm_json_string(j, sm_path_name(r->init_file));
        sm_json_key(j, "init_noise"), sm_json_f64(j, q.init_noise);
    }
    if (r->continue_file) {
        sm_json_key(j, "continue"), sm_json_string(j, sm_path_name(r->continue_file));
    }
}

const sm_generator_family sm_generator_stable_audio = { .makes = makes,
                                                        .open = open_generator,
                                                        .close = close_generator,
                                                        .check = check,
                                                        .memory = memory,
                                                        .run = run,
                                                        .recipe = recipe };
