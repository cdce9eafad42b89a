/* MusicGen from words to sound: windows of codes from the language model, EnCodec's decoder behind it while the codes are still being made. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/generate.h"
#include "models/encodec.h"
#include "models/musicgen.h"

enum {
    MOST_TOKENS = 512,
    LONGEST_S = 600,
    LONGEST_PREFIX_S = 10,
    FADE = SM_MUSICGEN_RATE / 50,
    SIDE_BY_SIDE = SM_MUSICGEN_MAX_VARIATIONS
};

typedef struct {
    sm_generator_parts parts;
    char *home, *text_encoder, *backend;
    sm_weights *codec_weights; /* NULL: the model's own file has the codec */
    sm_musicgen *model;
    sm_encodec *codec;
    int channels;
    double file_bytes;
    char *words; /* whose condition is kept: several sounds of one prompt read it once */
    float *condition;
    size_t n_condition;
} generator;

static bool makes(const sm_model *m)
{
    return !strncmp(m->name, "musicgen-", 9);
}

static void close_generator(void *state)
{
    generator *g = state;
    sm_musicgen_free(g->model);
    sm_encodec_close(g->codec);
    sm_weights_close(g->codec_weights);
    sm_free(g->home);
    sm_free(g->text_encoder);
    sm_free(g->backend);
    sm_free(g->words);
    sm_free(g->condition);
    sm_free(g);
}

static double bytes_of(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? (double)s.st_size : 0;
}

/* A codec's file beside the model's (AudioCraft's name, or ours); *path NULL: none with weights in it. */
static int find_codec(const sm_weights *model, char **path)
{
    static const char *const places[] = { "compression_state_dict.bin", "encodec.safetensors" };
    int err = 0;
    for (size_t i = 0; i < SM_LENGTH(places) && err == 0 && !*path; i++) {
        sm_weights *w = NULL;
        bool there = false;
        if (!(*path = sm_weights_beside(model, places[i])))
            return SM_ENOMEM;
        if (access(*path, R_OK) == 0 && (err = sm_weights_open(*path, &w)) == 0)
            there = !sm_weights_meta(w, "pretrained"); /* else it only names another place */
        sm_weights_close(w);
        if (!there) {
            sm_free(*path);
            *path = NULL;
        }
    }
    return err;
}

/* The codec's kernels want its weights in f32, whatever the file keeps them in. */
static double widened_bytes(sm_weights *w)
{
    double bytes = 0;
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        nn_tensor t;
        bytes += sm_weights_at(w, i, &t) == 0 ? 4.0 * (double)nn_elements(&t.shape) : 0;
    }
    return bytes;
}

/* The codec beside the model's file, else the installed one. */
static int open_codec(generator *g)
{
    const sm_encodec_options o = { .backend = g->backend, .threads = g->parts.threads };
    const sm_model *m;
    sm_installed installed = { 0 };
    char *path = NULL;
    int err = find_codec(g->parts.weights, &path);
    if (err == 0 && !path && (err = sm_model_named("encodec", &m)) == 0 &&
        (err = sm_installed_read(g->home, m, &installed)) == 0) {
        path = installed.path;
        installed.path = NULL;
        sm_installed_free(&installed);
    }
    if (err == 0 && (err = sm_weights_open(path, &g->codec_weights)) == 0)
        err = sm_encodec_open(g->codec_weights, NULL, &o, &g->codec);
    if (err == 0)
        g->file_bytes += bytes_of(path) + widened_bytes(g->codec_weights);
    sm_free(path);
    return err;
}

static int check_pair(generator *g)
{
    const sm_musicgen_size *s = sm_musicgen_size_in(g->model);
    const sm_encodec_size *e = sm_encodec_sizes(g->codec);
    g->channels = s->codebooks / e->books;
    if (g->channels * e->books == s->codebooks && (g->channels == 1 || g->channels == 2) && s->card <= e->bins &&
        sm_encodec_hop(g->codec) == SM_MUSICGEN_HOP)
        return 0;
    return sm_fail(
        SM_EFORMAT,
        "the language model has %d codebooks of %d, the codec %d of %d in %d samples: not made for each other",
        s->codebooks, s->card, e->books, e->bins, sm_encodec_hop(g->codec));
}

static int own(const char *text, char **out)
{
    *out = text ? sm_strdup(text) : NULL;
    return text && !*out ? SM_ENOMEM : 0;
}

static int open_generator(const sm_generator_parts *p, void **state, sm_generator_facts *facts)
{
    const sm_musicgen_options o = { .backend = p->backend, .precision = p->precision, .threads = p->threads };
    generator *g = sm_alloc_zero(1, sizeof *g);
    sm_text_encoder text;
    int err;

    *state = NULL;
    if (!g)
        return SM_ENOMEM;
    g->parts = *p;
    g->file_bytes = bytes_of(sm_weights_label(p->weights));
    if (!sm_weights_has(p->weights, "emb.0.weight") && !sm_weights_has(p->weights, "best_state.emb.0.weight"))
        err = sm_fail(SM_EUNSUPPORTED, "%s: this layout is read after: samplemind models import %s",
                      sm_weights_label(p->weights), sm_weights_label(p->weights));
    else if ((err = own(p->home, &g->home)) == 0 && (err = own(p->text_encoder, &g->text_encoder)) == 0 &&
             (err = own(p->backend, &g->backend)) == 0 && (err = open_codec(g)) == 0 &&
             (err = sm_musicgen_open(p->weights, &o, &g->model)) == 0 && (err = check_pair(g)) == 0 &&
             (err = sm_text_encoder_open(g->home, g->text_encoder, g->backend, p->threads, &text)) == 0) {
        if (sm_t5_width(text.encoder) != sm_musicgen_size_in(g->model)->text_width)
            err = sm_fail(SM_EFORMAT, "the text encoder is not the one that this model was trained with");
        sm_text_encoder_close(&text); /* opened again for each text: it is gone while the model runs */
    }
    if (err < 0) {
        close_generator(g);
        return err;
    }
    facts->rate_hz = SM_MUSICGEN_RATE;
    facts->channels = g->channels;
    facts->standard_s = sm_musicgen_size_in(g->model)->window_s;
    facts->side_by_side = SIDE_BY_SIDE;
    *state = g;
    return 0;
}

/* ---- what is asked for ---- */

static double stride_of(const generator *g, const sm_generate_request *r)
{
    const double window = sm_musicgen_size_in(g->model)->window_s;
    return r->extend_stride_s > 0 ? r->extend_stride_s : SM_MIN(18, 0.6 * window);
}

static int check_options(const generator *g, const sm_generate_request *r)
{
    const sm_musicgen_size *s = sm_musicgen_size_in(g->model);
    if (r->negative && *r->negative)
        return sm_fail(SM_EUSAGE, "MusicGen takes no negative prompt");
    if (r->init_file)
        return sm_fail(SM_EUSAGE, "MusicGen varies no sound; it goes on from one (--continue)");
    if (r->steps || r->sampler || r->rescale != 0 || r->fast_canvas)
        return sm_fail(SM_EUSAGE, "steps, sampler, rescaled guidance and canvas are Stable Audio's; MusicGen has none");
    if (r->melody_file && !s->melody)
        return sm_fail(SM_EUSAGE, "this model follows no melody; musicgen-melody does");
    return 0;
}

static int check(void *state, const sm_generate_request *r, double seconds)
{
    const generator *g = state;
    const sm_musicgen_size *s = sm_musicgen_size_in(g->model);
    if (!(seconds >= 0.2 && seconds <= LONGEST_S))
        return sm_fail(SM_EUSAGE, "a duration of %g s; 0.2 to %d are possible", seconds, LONGEST_S);
    if (!(r->extend_stride_s >= 0) || !(stride_of(g, r) < s->window_s))
        return sm_fail(SM_EUSAGE, "a stride of %g s leaves nothing of a window of %g s", r->extend_stride_s,
                       s->window_s);
    if (r->top_k < 0 || !(r->top_p >= 0 && r->top_p <= 1) || !(r->temperature <= 100))
        return sm_fail(SM_EUSAGE, "top_k %d, top_p %g, temperature %g: not possible", r->top_k, r->top_p,
                       r->temperature);
    if (isinf(r->guidance))
        return sm_fail(SM_EUSAGE, "guidance is infinite");
    return check_options(g, r);
}

static sm_musicgen_request translate(const sm_generate_request *r)
{
    return (sm_musicgen_request){ .guidance = isnan(r->guidance) ? 3 : r->guidance,
                                  .sampling = { .greedy = r->temperature <= 0,
                                                .top_k = r->top_k,
                                                .top_p = r->top_p,
                                                .temperature = r->temperature } };
}

static int memory(void *state, const sm_generate_request *r, double seconds, int n, double *bytes)
{
    const generator *g = state;
    sm_musicgen_request q = translate(r);
    q.variations = n;
    q.n_condition = 64;
    q.frames = (int)(SM_MIN(seconds, sm_musicgen_size_in(g->model)->window_s) * SM_MUSICGEN_FRAMES);
    /* samples: as they are made, cut, and handed over */
    const double sounds = 3.0 * sizeof(float) * n * seconds * SM_MUSICGEN_RATE * g->channels;
    *bytes = g->file_bytes + (double)sm_musicgen_memory(g->model, &q) + sounds + 120e6;
    return 0;
}

/* ---- one piece ---- */

typedef struct {
    generator *g;
    const sm_generate_request *r;
    sm_generator_job *job;
    sm_musicgen_request q;
    uint64_t seeds[SIDE_BY_SIDE];
    double seconds;
    float *melody, *original; /* mono; [channels][kept] */
    int64_t n_melody, kept;
    uint8_t *chroma;
    int32_t *prefix, *codes;     /* [n][codebooks][n_prefix or frames] */
    int n_prefix, pushed, final; /* frames; of this window: those that the decoders have, those that are final */
    sm_encodec_stream *streams[SIDE_BY_SIDE];
    sm_floats planes[SIDE_BY_SIDE][2];
    size_t told[SIDE_BY_SIDE]; /* samples of each that are mixed and handed on */
    double steps, before;      /* of all windows, of those that are done */
} piece;

static void piece_free(piece *p)
{
    for (int v = 0; v < SIDE_BY_SIDE; v++) {
        sm_encodec_stream_free(p->streams[v]);
        sm_floats_free(&p->planes[v][0]);
        sm_floats_free(&p->planes[v][1]);
    }
    sm_free(p->melody);
    sm_free(p->original);
    sm_free(p->chroma);
    sm_free(p->prefix);
    sm_free(p->codes);
    sm_free(p);
}

/* The prompt as the model takes it, kept for the sounds that follow: the encoder is there only while it reads. */
static int read_text(generator *g, const char *prompt)
{
    sm_text_encoder text;
    float *states = NULL;
    size_t n = 0;
    if (g->words && !strcmp(g->words, prompt))
        return 0;
    sm_free(g->words);
    sm_free(g->condition);
    g->words = NULL;
    g->condition = NULL;
    int err = sm_text_encoder_open(g->home, g->text_encoder, g->backend, g->parts.threads, &text);
    if (err < 0)
        return err;
    err = sm_text_encoder_run(&text, prompt, MOST_TOKENS + 1, &states, &n);
    sm_text_encoder_close(&text);
    if (err == 0 && n > MOST_TOKENS)
        err = sm_fail(SM_EUSAGE, "a prompt of more than %d tokens; the model was trained with some 40 words",
                      MOST_TOKENS);
    if (err == 0 && !(g->condition = sm_alloc(n * (size_t)sm_musicgen_size_in(g->model)->width, sizeof(float))))
        err = SM_ENOMEM;
    if (err == 0)
        err = sm_musicgen_project(g->model, states, n, g->condition);
    g->n_condition = n;
    sm_free(states);
    return err < 0 ? err : own(prompt, &g->words);
}

static int not_silent(const char *path, const float *x, int64_t n)
{
    float top = 0;
    for (int64_t i = 0; i < n; i++)
        top = SM_MAX(top, fabsf(x[i]));
    return top > 1e-4f ? 0 : sm_fail(SM_EUSAGE, "%s is silent: there is nothing in it to follow", path);
}

/* Left and right made one; `x` [2][n]. */
static void to_mono(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (x[i] + x[n + i]) / 2;
}

static int add_stems(void *user, const float *const *stems, size_t frames)
{
    sm_floats *f = user;
    const int err = sm_floats_add(f, NULL, frames);
    for (size_t i = 0; i < frames && err == 0; i++)
        f->data[f->length - frames + i] =
            (stems[0][2 * i] + stems[0][2 * i + 1] + stems[1][2 * i] + stems[1][2 * i + 1]) / 2;
    return err;
}

/* The melody without drums and bass, as the original hears it, where a separating model is installed (no random shift). */
static int separate_melody(const generator *g, const char *path, sm_floats *out, bool *done)
{
    sm_separate_options o;
    sm_separator *s = NULL;
    sm_resampler *r = NULL;
    sm_floats kept = { 0 };
    sm_separate_options_init(&o);
    o.home = g->home;
    o.stems = "vocals,other";
    o.shifts = 0;
    o.threads = g->parts.threads;
    *done = false;
    if (sm_separator_open(&o, &s) < 0) {
        sm_clear_error();
        return 0;
    }
    int err = sm_separate_file(s, path, add_stems, &kept);
    if (err == 0 && (err = sm_resampler_new(SM_RESAMPLE_JULIUS, sm_separator_rate(s), SM_MUSICGEN_RATE, 1, &r)) == 0 &&
        (err = sm_resampler_push(r, kept.data, kept.length, out)) == 0)
        err = sm_resampler_finish(r, out);
    *done = err == 0;
    sm_resampler_free(r);
    sm_separator_close(s);
    sm_floats_free(&kept);
    return err;
}

static int read_melody(piece *p)
{
    const sm_musicgen_size *s = sm_musicgen_size_in(p->g->model);
    sm_floats apart = { 0 };
    bool separated = false;
    int err = sm_stereo_read(p->r->melody_file, SM_MUSICGEN_RATE, SM_RESAMPLE_JULIUS,
                             (int64_t)LONGEST_S * SM_MUSICGEN_RATE, &p->melody, &p->n_melody);
    if (err < 0 || (err = not_silent(p->r->melody_file, p->melody, 2 * p->n_melody)) < 0)
        return err;
    to_mono(p->melody, p->n_melody);
    if ((err = separate_melody(p->g, p->r->melody_file, &apart, &separated)) == 0 && separated && apart.length) {
        sm_free(p->melody);
        p->melody = apart.data;
        p->n_melody = (int64_t)apart.length;
        apart = (sm_floats){ 0 };
    }
    sm_floats_free(&apart);
    if (err == 0 && !(p->chroma = sm_alloc((size_t)s->chroma_frames, 1)))
        err = SM_ENOMEM;
    return err;
}

/* The end of the sound that is gone on from, in whole frames: a frame that were filled with zeros would be heard as a click. */
static int read_original(piece *p)
{
    const int64_t channels = p->g->channels, books = sm_musicgen_size_in(p->g->model)->codebooks;
    const double longest = SM_MIN(LONGEST_PREFIX_S, sm_musicgen_size_in(p->g->model)->window_s / 2),
                 most = p->r->only_new ? longest : SM_MIN(longest, p->seconds - 0.2);
    float *all = NULL;
    int64_t n;
    int err = sm_stereo_read(p->r->continue_file, SM_MUSICGEN_RATE, SM_RESAMPLE_JULIUS,
                             (int64_t)3600 * SM_MUSICGEN_RATE, &all, &n);
    if (err == 0)
        err = not_silent(p->r->continue_file, all, 2 * n);
    p->kept = SM_MIN(n, (int64_t)(SM_MAX(most, 0) * SM_MUSICGEN_RATE)) / SM_MUSICGEN_HOP * SM_MUSICGEN_HOP;
    if (err == 0 && p->kept == 0)
        err = sm_fail(SM_EUSAGE, "%s is too short to go on from, or the duration leaves no room behind it",
                      p->r->continue_file);
    if (err < 0)
        goto out;
    if (channels == 1)
        to_mono(all, n);
    p->n_prefix = (int)(p->kept / SM_MUSICGEN_HOP);
    const size_t codes = (size_t)(books * p->n_prefix);
    p->original = sm_alloc((size_t)(channels * p->kept), sizeof *p->original);
    p->prefix = sm_alloc((size_t)p->job->n * codes, sizeof *p->prefix);
    if (!p->original || !p->prefix) {
        err = SM_ENOMEM;
        goto out;
    }
    const float *planes[2] = { p->original, p->original + (channels - 1) * p->kept };
    for (int64_t c = 0; c < channels; c++)
        memcpy(p->original + c * p->kept, all + c * n + n - p->kept, (size_t)p->kept * sizeof *all);
    err = sm_encodec_encode(p->g->codec, planes, (size_t)p->kept, (int)channels, p->prefix);
    for (int v = 1; v < p->job->n && err == 0; v++)
        memcpy(p->prefix + (size_t)v * codes, p->prefix, codes * sizeof *p->prefix);
out:
    sm_free(all);
    return err;
}

/* What is new of a sound: mixed with what was given (which stays itself, up to a short fade into what was made behind it), and told. */
static int tell(piece *p, int v)
{
    const int64_t skip = p->r->only_new ? p->kept : 0, end = skip + llround(p->job->seconds * SM_MUSICGEN_RATE);
    const int64_t from = (int64_t)p->told[v], to = SM_MIN((int64_t)p->planes[v][0].length, end);
    for (int c = 0; c < p->g->channels && skip == 0; c++)
        for (int64_t i = from; i < SM_MIN(to, p->kept); i++) {
            const float given = SM_MIN((float)(p->kept - i) / FADE, 1.0f), *x = p->original + c * p->kept;
            p->planes[v][c].data[i] = (1 - given) * p->planes[v][c].data[i] + given * x[i];
        }
    p->told[v] = (size_t)SM_MAX(to, from);
    const int64_t first = SM_MAX(from, skip);
    if (to <= first)
        return 0;
    const float *planes[2] = { p->planes[v][0].data + first, p->planes[v][p->g->channels - 1].data + first };
    return p->job->stream(p->job->user, v, planes, (size_t)(to - first));
}

/* Frames up to n_frames of this window to the decoders. */
static int push(piece *p, int n_frames)
{
    const int before = p->pushed;
    const size_t frames = (size_t)p->q.frames, one = (size_t)sm_musicgen_size_in(p->g->model)->codebooks * frames;
    int err = 0;
    if (n_frames <= before)
        return 0;
    p->pushed = n_frames;
    for (int v = 0; v < p->job->n && err == 0; v++) {
        err = sm_encodec_stream_push(p->streams[v], p->codes + (size_t)v * one + before, frames,
                                     (size_t)(n_frames - before), p->planes[v]);
        if (err == 0)
            err = tell(p, v);
    }
    return err;
}

static int moved(void *user, int step, int steps, int n_frames)
{
    piece *p = user;
    p->final = n_frames;
    const int err = n_frames - p->pushed >= SM_ENCODEC_BLOCK || step == steps ? push(p, n_frames) : 0;
    return err < 0 ? err : p->job->moved(p->job->user, p->before + step, p->steps);
}

static bool window_at(const piece *p, int i, sm_musicgen_window *w)
{
    const double whole = p->seconds + 1e-6; /* frames are counted downwards: 0.42 s less 1e-17 would be 20 of them */
    return sm_musicgen_window_at(whole, sm_musicgen_size_in(p->g->model)->window_s, stride_of(p->g, p->r), p->n_prefix,
                                 i, w);
}

/* Chroma of the melody from this window's place on, around its end. */
static int follow_melody(piece *p, const sm_musicgen_window *w)
{
    const sm_musicgen_size *s = sm_musicgen_size_in(p->g->model);
    const size_t wanted = (size_t)(s->window_s * SM_MUSICGEN_RATE), n = (size_t)p->n_melody;
    if (!p->melody)
        return 0;
    p->q.chroma = p->chroma;
    if (w->offset == 0)
        return sm_musicgen_chroma(p->melody, n, s->chroma_frames, p->chroma, NULL, NULL);
    float *part = sm_alloc(wanted, sizeof *part);
    for (size_t i = 0; part && i < wanted; i++)
        part[i] = p->melody[((size_t)w->melody_start + i) % n];
    const int err = part ? sm_musicgen_chroma(part, wanted, s->chroma_frames, p->chroma, NULL, NULL) : SM_ENOMEM;
    sm_free(part);
    return err;
}

/* The end of the window before is the beginning of the next one. */
static int keep_end(piece *p, const sm_musicgen_window *w, int frames_before)
{
    const size_t rows = (size_t)p->job->n * (size_t)sm_musicgen_size_in(p->g->model)->codebooks, n = (size_t)w->prefix;
    int32_t *end = sm_alloc(rows * n + 1, sizeof *end);
    if (!end)
        return SM_ENOMEM;
    for (size_t k = 0; k < rows && n; k++)
        memcpy(end + k * n, p->codes + (k + 1) * (size_t)frames_before - n, n * sizeof *end);
    sm_free(p->prefix);
    p->prefix = end;
    return 0;
}

static int run_windows(piece *p)
{
    const sm_musicgen_size *s = sm_musicgen_size_in(p->g->model);
    const size_t rows = (size_t)p->job->n * (size_t)s->codebooks;
    sm_musicgen_window w;
    int err = 0, before = 0;
    for (int i = 0; window_at(p, i, &w); i++)
        p->steps += sm_musicgen_columns(s, w.frames) - 1 - w.prefix;
    for (int i = 0; err == 0 && window_at(p, i, &w); before = w.frames, i++) {
        if (i > 0 && (err = keep_end(p, &w, before)) < 0)
            break;
        sm_free(p->codes);
        if (!(p->codes = sm_alloc_zero(rows * (size_t)w.frames, sizeof *p->codes)))
            return SM_ENOMEM;
        p->q.frames = w.frames;
        p->q.window = i;
        p->q.prefix = p->prefix;
        p->q.n_prefix = w.prefix;
        p->pushed = p->final = i == 0 ? 0 : w.prefix;
        if ((err = follow_melody(p, &w)) == 0)
            err = sm_musicgen_generate(p->g->model, &p->q, p->codes);
        p->before += sm_musicgen_columns(s, w.frames) - 1 - w.prefix;
    }
    return err;
}

/* The decoders' rest, and what was made as the job's sounds. */
static int finish(piece *p)
{
    const int64_t channels = p->g->channels, skip = p->r->only_new ? p->kept : 0;
    int err = 0;
    for (int v = 0; v < p->job->n && err == 0; v++) {
        sm_sound *out = &p->job->sounds[v];
        if ((err = sm_encodec_stream_end(p->streams[v], p->planes[v])) < 0 || (err = tell(p, v)) < 0)
            break;
        const int64_t frames = SM_MAX((int64_t)p->told[v] - skip, 0);
        out->channels = (int)channels;
        out->rate_hz = SM_MUSICGEN_RATE;
        out->frames = frames;
        if (!(out->samples = sm_alloc((size_t)(channels * frames) + 1, sizeof *out->samples)))
            err = SM_ENOMEM;
        for (int64_t c = 0; c < channels && err == 0 && frames > 0; c++)
            memcpy(out->samples + c * frames, p->planes[v][c].data + skip, (size_t)frames * sizeof *out->samples);
        sm_floats_free(&p->planes[v][0]);
        sm_floats_free(&p->planes[v][1]);
    }
    return err;
}

/* A run that was stopped: what is final goes to the decoders and comes out as far as it is certain. */
static int finish_part(piece *p)
{
    int err = p->codes ? push(p, p->final) : 0;
    if (err == 0)
        err = finish(p);
    p->job->partial = err == 0;
    return err < 0 ? err : sm_fail(SM_ECANCELLED, "stopped at the caller's wish");
}

static int prepare(piece *p)
{
    const sm_generate_request *r = p->r;
    int err = read_text(p->g, r->prompt);
    for (int v = 0; v < p->job->n && err == 0; v++) {
        p->seeds[v] = p->job->seed + (uint64_t)v;
        err = sm_encodec_stream_new(p->g->codec, p->g->channels, &p->streams[v]);
    }
    if (err == 0 && r->melody_file)
        err = read_melody(p);
    if (err == 0 && r->continue_file)
        err = read_original(p);
    if (r->only_new)
        p->seconds += (double)p->kept / SM_MUSICGEN_RATE;
    p->q.variations = p->job->n;
    p->q.seeds = p->seeds;
    p->q.condition = p->g->condition;
    p->q.n_condition = p->g->n_condition;
    p->q.progress = moved;
    p->q.user = p;
    return err;
}

static int run(void *state, sm_generator_job *job)
{
    piece *p = sm_alloc_zero(1, sizeof *p);
    if (!p)
        return SM_ENOMEM;
    p->g = state;
    p->r = job->request;
    p->job = job;
    p->q = translate(p->r);
    p->seconds = ceil(job->seconds * SM_MUSICGEN_FRAMES - 1e-6) / SM_MUSICGEN_FRAMES; /* whole frames, cut afterwards */
    int err = prepare(p);
    if (err == 0)
        err = run_windows(p);
    if (err == 0)
        err = finish(p);
    else if (err == SM_ECANCELLED && p->r->keep_part && p->streams[0])
        err = finish_part(p);
    piece_free(p);
    return err;
}

static void recipe(void *state, const sm_generate_request *r, sm_json *j)
{
    const sm_musicgen_request q = translate(r);
    sm_json_key(j, "cfg"), sm_json_f64(j, q.guidance);
    sm_json_key(j, "top_k"), sm_json_int(j, r->top_k);
    sm_json_key(j, "top_p"), sm_json_f64(j, r->top_p);
    sm_json_key(j, "temperature"), sm_json_f64(j, r->temperature);
    sm_json_key(j, "extend_stride_s"), sm_json_f64(j, stride_of(state, r));
    if (r->melody_file)
        sm_json_key(j, "melody"), sm_json_string(j, sm_path_name(r->melody_file));
    if (r->continue_file)
        sm_json_key(j, r->only_new ? "like" : "continue"), sm_json_string(j, sm_path_name(r->continue_file));
}

const sm_generator_family sm_generator_musicgen = { .makes = makes,
                                                    .open = open_generator,
                                                    .close = close_generator,
                                                    .check = check,
                                                    .memory = memory,
                                                    .run = run,
                                                    .recipe = recipe };
