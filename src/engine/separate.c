/* Songs into stems: opens the networks of a model, takes a file through them in two passes (its level first), and gives what comes
 * out to the caller in blocks. The algorithm itself is models/separation.h. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "models/separation.h"

enum { BLOCK_FRAMES = 1 << 15 };

struct sm_separator {
    sm_separate_options options; /* texts not kept */
    const sm_bag_model *model;
    sm_bag_network *networks; /* [model->n] */
    sm_card **cards;          /* side by side */
    sm_bag *bag;
    sm_separation_options way;
    sm_strings stems; /* what comes out, by name */
    bool minus;       /* the last stem is the song less the first */
    size_t memory;    /* bytes, for one song */
};

void sm_separate_options_init(sm_separate_options *o)
{
    *o = (sm_separate_options){ .size = sizeof *o, .shifts = 1, .overlap = 0.25 };
}

/* ---- opening ---- */

static int check(const sm_separate_options *o)
{
    if (o->size != sizeof *o)
        return sm_fail(SM_EUSAGE, "options of %zu bytes: sm_separate_options_init has not been called", o->size);
    if (o->shifts < 0 || o->shifts > 100)
        return sm_fail(SM_EUSAGE, "shifts is %d, expected 0 to 100", o->shifts);
    if (!(o->overlap >= 0) || o->overlap > 0.99)
        return sm_fail(SM_EUSAGE, "overlap is %g, expected 0 to 0.99", o->overlap);
    if (!(o->segment_s >= 0) || !(o->max_memory_mb >= 0))
        return sm_fail(SM_EUSAGE, "segment of %g s and limit of %g MB: neither can be negative", o->segment_s,
                       o->max_memory_mb);
    if (o->threads < 0 || o->threads > 1024)
        return sm_fail(SM_EUSAGE, "threads is %d, expected 0 (one for each core) to 1024", o->threads);
    if (o->stems && o->two_stems)
        return sm_fail(SM_EUSAGE, "stems and two_stems do not go together");
    if (o->no_split && o->segment_s > 0)
        return sm_fail(SM_EUSAGE, "no_split and a segment do not go together");
    return 0;
}

static int precision_of(const char *name, nn_precision *out)
{
    static const char *const names[] = { "auto", "f32", "bf16" };
    static const nn_precision values[] = { NN_PRECISION_AUTO, NN_PRECISION_F32, NN_PRECISION_BF16 };
    for (size_t i = 0; i < SM_LENGTH(names); i++)
        if (!strcmp(name ? name : "auto", names[i])) {
            *out = values[i];
            return 0;
        }
    return sm_fail(SM_EUSAGE, "precision \"%s\" is not known; a separation is done in auto, f32 or bf16", name);
}

static int find_model(const char *name, const sm_bag_model **out)
{
    size_t n = 0;
    const sm_bag_model *all = sm_bags(&n);
    const char *names[32];
    if ((*out = sm_bag_find(name)))
        return 0;
    for (size_t i = 0; i < SM_MIN(n, SM_LENGTH(names)); i++)
        names[i] = all[i].name;
    const char *near = sm_text_nearest(name, names, SM_MIN(n, SM_LENGTH(names)));
    return sm_fail(SM_EUSAGE, "no model \"%s\" separates songs%s%s%s; htdemucs, htdemucs_ft and htdemucs_6s do", name,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* The k-th of "a,b,c"; the caller's. NULL: there are fewer, or no memory (*err then). */
static char *part(const char *list, size_t k, int *err)
{
    for (; k > 0 && list; k--)
        list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL;
    char *one = list ? sm_strndup(list, strcspn(list, ",")) : NULL;
    if (list && !one)
        *err = SM_ENOMEM;
    return one;
}

static int open_network(sm_separator *s, const char *home, size_t k, const char *files)
{
    const sm_model *m = NULL, *found = NULL;
    char variant[32];
    int err = sm_model_named(s->model->networks[k], &m);
    if (err < 0)
        return err;
    char *path = files ? part(files, k, &err) : sm_installed_path(home, m->name);
    if (err == 0 && !path)
        err = files ? sm_fail(SM_EUSAGE, "%s has %zu networks, but only %zu files were given", s->model->name,
                              s->model->n, k)
                    : SM_ENOMEM;
    if (err == 0 && !files && access(path, F_OK) != 0)
        err = sm_fail_prefix(sm_not_installed(SM_ENOTFOUND, m), "%s", m->name);
    if (err == 0)
        err = sm_model_open_file(path, &s->networks[k].weights, &s->cards[k], &found, variant);
    if (err == 0 && found->task != SM_TASK_STEMS)
        err = sm_fail(SM_EFORMAT, "%s: holds the model %s, expected %s", path, found->name, m->name);
    s->networks[k].model = found;
    sm_free(path);
    return err;
}

static int open_networks(sm_separator *s, const sm_separate_options *o)
{
    const char *name = o->model ? o->model : "htdemucs", *files = strchr(name, '=');
    char *own = sm_strndup(name, files ? (size_t)(files - name) : strlen(name));
    nn_precision precision = NN_PRECISION_AUTO;
    int err = own ? find_model(own, &s->model) : SM_ENOMEM;
    if (err == 0)
        err = precision_of(o->precision, &precision);
    if (err == 0) {
        s->networks = sm_alloc_zero(s->model->n, sizeof *s->networks);
        s->cards = sm_alloc_zero(s->model->n, sizeof *s->cards);
        err = s->networks && s->cards ? 0 : SM_ENOMEM;
    }
    for (size_t k = 0; err == 0 && k < s->model->n; k++)
        err = open_network(s, o->home, k, files ? files + 1 : NULL);
    if (err == 0) {
        const sm_bag_options bag = { .backend = o->backend,
                                     .precision = precision,
                                     .threads = o->threads > 0 ? o->threads : sm_cpu_count() };
        err = sm_bag_open(s->networks, s->model->n, s->model->weights, &bag, &s->bag);
    }
    sm_free(own);
    return err;
}

/* ---- which stems ---- */

static int source_named(const sm_separator *s, const char *name, size_t length, uint64_t *bit)
{
    const char *const *names;
    sm_buffer all = { 0 };
    const size_t n = sm_bag_sources(s->bag, &names);
    for (size_t i = 0; i < n; i++) {
        if (strlen(names[i]) == length && !strncmp(names[i], name, length)) {
            *bit = (uint64_t)1 << i;
            sm_buffer_free(&all);
            return 0;
        }
        sm_buffer_printf(&all, "%s%s", i ? ", " : "", names[i]);
    }
    const int err = sm_fail(SM_EUSAGE, "%s has no stem \"%.*s\"; it has %s", s->model->name, (int)length, name,
                            all.data ? all.data : "others");
    sm_buffer_free(&all);
    return err;
}

static int add_stem(sm_separator *s, const char *before, const char *name, size_t length)
{
    char *whole = sm_printf_new("%s%.*s", before, (int)length, name);
    const int err = whole ? sm_strings_add(&s->stems, whole) : SM_ENOMEM;
    sm_free(whole);
    return err;
}

static int choose_two(sm_separator *s, const sm_separate_options *o, sm_bag_output *outputs, size_t *n)
{
    const char *const *names;
    const char *method = o->other_method ? o->other_method : "add";
    const bool minus = !strcmp(method, "minus"), add = !strcmp(method, "add");
    const uint64_t all = ((uint64_t)1 << sm_bag_sources(s->bag, &names)) - 1;
    const size_t length = strlen(o->two_stems);
    uint64_t bit = 0;
    if (!minus && !add && strcmp(method, "none") != 0)
        return sm_fail(SM_EUSAGE, "other method \"%s\" is not known; there are add, minus and none", method);
    int err = source_named(s, o->two_stems, length, &bit);
    outputs[(*n)++].sources = bit;
    if (err == 0)
        err = add_stem(s, "", o->two_stems, length);
    if (err == 0 && add)
        outputs[(*n)++].sources = all & ~bit;
    if (err == 0 && (add || minus))
        err = add_stem(s, add ? "no_" : "minus_", o->two_stems, length);
    s->minus = minus;
    return err;
}

/* "vocals,drums" in the order that was asked for. */
static int choose_some(sm_separator *s, const char *list, sm_bag_output *outputs, size_t *n)
{
    int err = 0;
    uint64_t taken = 0;
    for (const char *p = list; err == 0 && p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        const size_t length = strcspn(p, ",");
        uint64_t bit = 0;
        err = source_named(s, p, length, &bit);
        if (err < 0 || (taken & bit))
            continue;
        taken |= bit;
        outputs[(*n)++].sources = bit;
        err = add_stem(s, "", p, length);
    }
    return err;
}

static int choose(sm_separator *s, const sm_separate_options *o)
{
    const char *const *names;
    sm_bag_output outputs[64];
    const size_t sources = sm_bag_sources(s->bag, &names);
    size_t n = 0;
    int err = 0;
    if (o->two_stems)
        err = choose_two(s, o, outputs, &n);
    else if (o->stems)
        err = choose_some(s, o->stems, outputs, &n);
    for (size_t i = 0; err == 0 && !o->two_stems && !o->stems && i < sources; i++)
        err = add_stem(s, "", names[i], strlen(names[i]));
    return err == 0 ? sm_bag_select(s->bag, n ? outputs : NULL, n) : err;
}

static int weigh(sm_separator *s)
{
    size_t bytes = 0;
    const int err = sm_separation_memory(s->bag, &s->way, &bytes);
    s->memory = bytes + sm_bag_weight_bytes(s->bag);
    const double mb = (double)s->memory / 1e6, most = s->options.max_memory_mb;
    if (err == 0 && most > 0 && mb > most)
        return sm_fail(SM_ELIMIT, "%s needs %.0f MB for a song, and only %.0f MB are allowed", s->model->name, mb,
                       most);
    return err;
}

int sm_separator_open(const sm_separate_options *options, sm_separator **out)
{
    *out = NULL;
    int err = check(options);
    sm_separator *s = err == 0 ? sm_alloc_zero(1, sizeof *s) : NULL;
    if (err == 0 && !s)
        err = SM_ENOMEM;
    if (err == 0) {
        s->options = *options;
        s->way = sm_separation_defaults;
        s->way.shifts = options->shifts;
        s->way.overlap = options->overlap;
        s->way.segment_s = options->segment_s;
        s->way.no_split = options->no_split != 0;
        s->way.seed = options->seed;
        err = open_networks(s, options);
    }
    if (err == 0)
        err = choose(s, options);
    if (err == 0)
        err = weigh(s);
    if (err < 0) {
        sm_separator_close(s);
        return err;
    }
    s->options.home = s->options.model = s->options.precision = s->options.backend = s->options.stems = NULL;
    s->options.two_stems = s->options.other_method = NULL;
    *out = s;
    return 0;
}

void sm_separator_close(sm_separator *s)
{
    if (!s)
        return;
    sm_bag_close(s->bag);
    for (size_t k = 0; s->model && k < s->model->n; k++) {
        if (s->cards)
            sm_card_free(s->cards[k]);
        if (s->networks)
            sm_weights_close(s->networks[k].weights);
    }
    sm_free(s->cards);
    sm_free(s->networks);
    sm_strings_free(&s->stems);
    sm_free(s);
}

size_t sm_separator_stems(const sm_separator *s)
{
    return s->stems.length;
}

const char *sm_separator_stem(const sm_separator *s, size_t i)
{
    return i < s->stems.length ? s->stems.items[i] : NULL;
}

int sm_separator_rate(const sm_separator *s)
{
    return sm_bag_rate(s->bag);
}

double sm_separator_memory_mb(const sm_separator *s)
{
    return (double)s->memory / 1e6;
}

/* ---- one song ---- */

typedef struct {
    sm_separator *s;
    const char *path;   /* of a file, or NULL */
    const float *audio; /* else in memory */
    size_t frames;
    int rate_hz, channels;
    sm_stem_sink sink;
    void *user;

    float *left, *right, *stereo; /* BLOCK_FRAMES, and twice so many */
    sm_resampler *resampler;      /* NULL: the rate is right */
    sm_floats resampled;
    sm_separation *separation; /* second pass */
    sm_reference reference;    /* first pass */
    int64_t length;            /* of the song at the model's rate, known after the first pass */
    sm_floats song;            /* minus: what came in and has not come out, interleaved */
    sm_floats out;             /* a block of all stems, each interleaved */
    int sink_err;
    char *sink_reason;
} song;

/* Where the song stands, in its seconds. SM_ECANCELLED: the caller wants no more. */
static int report(song *g, double done)
{
    const double rate = sm_bag_rate(g->s->bag);
    if (!g->s->options.progress)
        return 0;
    const sm_progress_info p = { .what = g->path ? g->path : "",
                                 .done = done / rate,
                                 .total = (double)g->length / rate,
                                 .unit = "s of audio",
                                 .audio_s = done / rate };
    return g->s->options.progress(g->s->options.user, &p) ? sm_fail(SM_ECANCELLED, "stopped at the caller's wish") : 0;
}

/* Interleaved stereo at the model's rate goes to the pass that is on. */
static int take(song *g, const float *stereo, size_t frames)
{
    int err = 0;
    for (size_t at = 0; at < frames && err == 0; at += BLOCK_FRAMES) {
        const size_t n = SM_MIN(frames - at, (size_t)BLOCK_FRAMES);
        for (size_t i = 0; i < n; i++) {
            g->left[i] = stereo[2 * (at + i)];
            g->right[i] = stereo[2 * (at + i) + 1];
        }
        if (!g->separation) {
            sm_reference_add(&g->reference, g->left, g->right, n);
            g->length += (int64_t)n;
            continue;
        }
        if (g->s->minus)
            err = sm_floats_add(&g->song, stereo + 2 * at, 2 * n);
        if (err == 0)
            err = sm_separation_push(g->separation, g->left, g->right, n);
    }
    return err;
}

/* Mono is heard on both sides, of more than two channels the first two: as demucs does. */
static int feed(song *g, const float *interleaved, size_t frames, int channels)
{
    for (size_t i = 0; i < frames; i++) {
        g->stereo[2 * i] = interleaved[i * (size_t)channels];
        g->stereo[2 * i + 1] = interleaved[i * (size_t)channels + (channels > 1 ? 1 : 0)];
    }
    if (!g->resampler)
        return take(g, g->stereo, frames);
    g->resampled.length = 0;
    const int err = sm_resampler_push(g->resampler, g->stereo, frames, &g->resampled);
    return err == 0 ? take(g, g->resampled.data, g->resampled.length / 2) : err;
}

static int start_rate(song *g, int rate_hz)
{
    if (g->resampler)
        return sm_resampler_reset(g->resampler);
    if (rate_hz == sm_bag_rate(g->s->bag))
        return 0;
    return sm_resampler_new(SM_RESAMPLE_JULIUS, rate_hz, sm_bag_rate(g->s->bag), 2, &g->resampler);
}

static int end_rate(song *g)
{
    if (!g->resampler)
        return 0;
    g->resampled.length = 0;
    const int err = sm_resampler_finish(g->resampler, &g->resampled);
    return err == 0 ? take(g, g->resampled.data, g->resampled.length / 2) : err;
}

static int pass_over_file(song *g)
{
    sm_audio *audio = NULL;
    float *block = NULL;
    int err = sm_audio_open(g->path, &audio);
    if (err < 0)
        return err;
    const sm_audio_info *info = sm_audio_get_info(audio);
    block = sm_alloc((size_t)BLOCK_FRAMES * (size_t)info->channels, sizeof *block);
    err = block ? start_rate(g, info->rate_hz) : SM_ENOMEM;
    for (bool last = false; err == 0 && !last;) {
        const int64_t n = sm_audio_read(audio, block, BLOCK_FRAMES);
        last = n == 0;
        err = n < 0 ? (int)n : last ? end_rate(g) : feed(g, block, (size_t)n, info->channels);
        if (err == 0 && !g->separation)
            err = report(g, 0);
    }
    sm_free(block);
    sm_audio_close(audio);
    return err;
}

static int pass_over_buffer(song *g)
{
    int err = start_rate(g, g->rate_hz);
    for (size_t at = 0; err == 0 && at < g->frames; at += BLOCK_FRAMES)
        err = feed(g, g->audio + at * (size_t)g->channels, SM_MIN(g->frames - at, (size_t)BLOCK_FRAMES), g->channels);
    return err == 0 ? end_rate(g) : err;
}

static int pass(song *g)
{
    return g->path ? pass_over_file(g) : pass_over_buffer(g);
}

/* ---- what comes out ---- */

static void interleave(float *out, const float *left, const float *right, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = left[i];
        out[2 * i + 1] = right[i];
    }
}

static int give(song *g, const float *const *planes, size_t n)
{
    const size_t outputs = sm_bag_outputs(g->s->bag), stems = g->s->stems.length;
    const float *blocks[64];
    g->out.length = 0;
    int err = sm_floats_add(&g->out, NULL, 2 * n * stems);
    if (err < 0)
        return err;
    for (size_t i = 0; i < outputs; i++)
        interleave(g->out.data + 2 * n * i, planes[2 * i], planes[2 * i + 1], n);
    if (g->s->minus) {
        float *rest = g->out.data + 2 * n * outputs;
        for (size_t i = 0; i < 2 * n; i++)
            rest[i] = g->song.data[i] - g->out.data[i];
        sm_floats_drop(&g->song, 2 * n);
    }
    for (size_t i = 0; i < stems; i++)
        blocks[i] = g->out.data + 2 * n * i;
    return g->sink(g->user, blocks, n);
}

/* A sink's failure is the separation's, with its own words. */
static int on_block(void *user, const float *const *planes, int64_t at, size_t n)
{
    song *g = user;
    (void)at;
    g->sink_err = give(g, planes, n);
    if (g->sink_err < 0)
        g->sink_reason = sm_strdup(sm_last_error());
    return g->sink_err < 0;
}

static int on_chunk(void *user, const sm_separation_progress *p)
{
    song *g = user;
    const double share = p->chunks_total > 0 ? (double)p->chunks_done / (double)p->chunks_total : 0;
    return report(g, share * (double)g->length) < 0;
}

static int separate(song *g)
{
    sm_separation_options o = g->s->way;
    o.length = g->length;
    sm_reference_finish(&g->reference, &o.mean, &o.deviation);
    int err = sm_separation_new(g->s->bag, &o, on_block, on_chunk, g, &g->separation);
    if (err == 0)
        err = pass(g);
    if (err == 0)
        err = sm_separation_end(g->separation);
    if (g->sink_err < 0)
        err = sm_fail(g->sink_err, "%s", g->sink_reason ? g->sink_reason : "no memory");
    return err;
}

static int run(song *g)
{
    g->left = sm_alloc(BLOCK_FRAMES, sizeof *g->left);
    g->right = sm_alloc(BLOCK_FRAMES, sizeof *g->right);
    g->stereo = sm_alloc(2 * BLOCK_FRAMES, sizeof *g->stereo);
    int err = g->left && g->right && g->stereo ? pass(g) : SM_ENOMEM;
    if (err == 0)
        err = separate(g);
    sm_separation_free(g->separation);
    sm_resampler_free(g->resampler);
    sm_floats_free(&g->resampled);
    sm_floats_free(&g->song);
    sm_floats_free(&g->out);
    sm_free(g->sink_reason);
    sm_free(g->left);
    sm_free(g->right);
    sm_free(g->stereo);
    return err;
}

int sm_separate_file(sm_separator *s, const char *path, sm_stem_sink sink, void *user)
{
    song g = { .s = s, .path = path, .sink = sink, .user = user };
    return run(&g);
}

int sm_separate_buffer(sm_separator *s, const float *interleaved, size_t frames, int rate_hz, int channels,
                       sm_stem_sink sink, void *user)
{
    song g = { .s = s,
               .audio = interleaved,
               .frames = frames,
               .rate_hz = rate_hz,
               .channels = channels,
               .sink = sink,
               .user = user };
    if (channels < 1 || channels > 8 || rate_hz < 8000 || rate_hz > 192000)
        return sm_fail(SM_EUSAGE, "%d channels at %d Hz; expected 1 to 8 at 8,000 to 192,000 Hz", channels, rate_hz);
    for (size_t i = 0; i < frames * (size_t)channels; i++)
        if (!isfinite(interleaved[i]))
            return sm_fail(SM_EFORMAT, "sample %zu is not a number", i);
    return run(&g);
}
