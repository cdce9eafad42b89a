/* Oobleck over sounds of any length. Two stages: the narrow one between latents and the last stride's frames (1024 channels, a tenth of the
 * work), the wide one between these and samples. Each runs in windows that overlap by what its layers reach. */
#include "models/oobleck.h"

#include <math.h>
#include <string.h>

enum {
    NARROW_WINDOW = 256, /* latents */
    WIDE_WINDOW = 24     /* latents: 50,000 samples of 128 channels are 25 MB an activation */
};

/* A stage counts in units: positions of its narrower side. */
typedef struct {
    bool encodes;
    int first, last; /* layers */
    int64_t in_width, out_width;
    int64_t in_per, out_per; /* positions of a unit on either side; one of them is 1 */
    int64_t reach, most;     /* units of surroundings; units of a window */
} stage;

/* The stage compiled for windows of `units` units and `rest` positions more. */
typedef struct {
    const stage *s;
    int64_t units, rest;
    nn_plan *plan;
    nn_run_state *state;
    float *in, *out;
} window;

struct oobleck {
    sm_view *view;
    oobleck_size size;
    nn_compile_options options;
    nn_pack *pack;
    stage decode[2], encode[2];
};

/* ---- stages ---- */

static void set_windows(oobleck *a, int64_t narrow, int64_t wide)
{
    const int64_t deep = a->decode[0].out_per;
    a->decode[0].most = narrow + 2 * a->decode[0].reach;
    a->encode[1].most = narrow + 2 * a->encode[1].reach;
    a->decode[1].most = wide * deep + 2 * a->decode[1].reach;
    a->encode[0].most = wide * deep + 2 * a->encode[0].reach;
}

static void make_stages(oobleck *a)
{
    const oobleck_size *s = &a->size;
    const int64_t deep = s->stride[s->blocks - 1], shallow = oobleck_ratio(s) / deep;
    const int layers = s->blocks + 3;
    const int64_t inner = s->width[s->blocks - 1];
    a->decode[0] =
        (stage){ .first = 0, .last = 2, .in_width = s->latent, .out_width = inner, .in_per = 1, .out_per = deep };
    a->decode[1] = (stage){
        .first = 2, .last = layers, .in_width = inner, .out_width = OOBLECK_AUDIO, .in_per = 1, .out_per = shallow
    };
    a->encode[0] = (stage){ .encodes = true,
                            .first = 0,
                            .last = s->blocks,
                            .in_width = OOBLECK_AUDIO,
                            .out_width = inner,
                            .in_per = shallow,
                            .out_per = 1 };
    a->encode[1] = (stage){ .encodes = true,
                            .first = s->blocks,
                            .last = layers,
                            .in_width = inner,
                            .out_width = 2 * s->latent,
                            .in_per = deep,
                            .out_per = 1 };
    for (int i = 0; i < 2; i++) {
        stage *d = &a->decode[i], *e = &a->encode[i];
        d->reach = oobleck_decoder_reach(s, d->first, d->last);
        e->reach = (oobleck_encoder_reach(s, e->first, e->last) + e->in_per - 1) / e->in_per;
    }
    set_windows(a, NARROW_WINDOW, WIDE_WINDOW);
}

void oobleck_set_window(oobleck *a, int64_t latents)
{
    set_windows(a, SM_MAX(latents, 1), SM_MAX(latents, 1));
}

int oobleck_open(sm_view *v, const oobleck_size *s, const nn_compile_options *o, oobleck **out)
{
    oobleck *a = sm_alloc_zero(1, sizeof *a);
    *out = NULL;
    if (!a)
        return SM_ENOMEM;
    *a = (oobleck){ .view = v, .size = *s, .options = *o };
    const int err = nn_pack_new(&a->pack);
    if (err < 0) {
        oobleck_close(a);
        return err;
    }
    a->options.pack = a->pack;
    make_stages(a);
    *out = a;
    return 0;
}

void oobleck_close(oobleck *a)
{
    if (!a)
        return;
    nn_pack_free(a->pack);
    sm_free(a);
}

/* ---- windows ---- */

static int compile(oobleck *a, const stage *s, int64_t units, int64_t rest, nn_plan **out)
{
    const nn_source w = sm_view_source(a->view);
    nn_graph *g = nn_graph_new();
    int err = g ? 0 : SM_ENOMEM;
    *out = NULL;
    if (err == 0) {
        const nn_id x = nn_input(g, "x", NN_SHAPE(1, s->in_width, units * s->in_per + rest));
        nn_output(g, "y",
                  s->encodes ? oobleck_encoder_layers(g, &a->size, &w, x, s->first, s->last)
                             : oobleck_decoder_layers(g, &a->size, &w, x, s->first, s->last));
        err = nn_graph_error(g);
    }
    if (err == 0)
        err = nn_compile(g, &a->options, out);
    nn_graph_free(g);
    return err;
}

static void window_close(window *w)
{
    nn_run_state_free(w->state);
    nn_plan_free(w->plan);
    sm_free(w->in);
    sm_free(w->out);
}

static int window_open(oobleck *a, const stage *s, int64_t units, int64_t rest, window *w)
{
    *w = (window){ .s = s, .units = units, .rest = rest };
    int err = compile(a, s, units, rest, &w->plan);
    if (err < 0)
        return err;
    w->in = sm_alloc_aligned((size_t)(s->in_width * (units * s->in_per + rest)), sizeof *w->in);
    w->out = sm_alloc_aligned((size_t)(s->out_width * units * s->out_per), sizeof *w->out);
    return w->in && w->out ? nn_run_state_new(w->plan, &w->state) : SM_ENOMEM;
}

/* Units of a window for n in all: as few windows as there must be, all of one size. */
static int64_t window_units(const stage *s, int64_t n)
{
    if (n <= s->most)
        return n;
    const int64_t lap = 2 * s->reach, windows = (n - lap + s->most - lap - 1) / (s->most - lap);
    return (n - lap + windows - 1) / windows + lap;
}

/* Copies `width` lines of `n` numbers between layouts of other line lengths. */
static void copy_lines(float *to, int64_t to_length, const float *from, int64_t from_length, int64_t width, int64_t n)
{
    for (int64_t i = 0; i < width; i++)
        memcpy(to + i * to_length, from + i * from_length, (size_t)n * sizeof *to);
}

typedef struct {
    oobleck_progress call;
    void *user;
    double from, to;
} progress;

static int tell(const progress *p, double done)
{
    return p->call && p->call(p->user, p->from + (p->to - p->from) * done) ? sm_fail(SM_ECANCELLED, "interrupted") : 0;
}

/* in [in_width][length] -> out [out_width][n out_per], n = length / in_per units; numbers beyond the last whole unit are seen by the last
 * window's layers, as in the whole. */
static int run_stage(oobleck *a, const stage *s, const float *in, int64_t length, float *out, const progress *p)
{
    const int64_t n = length / s->in_per, rest = length % s->in_per, units = window_units(s, n);
    const int64_t step = units - 2 * s->reach, in_line = units * s->in_per + rest, out_line = units * s->out_per;
    window w;
    int err = window_open(a, s, units, rest, &w);
    for (int64_t at = 0, done = 0; err == 0 && done < n; at += step) {
        const int64_t from = SM_MIN(at, n - units), end = from + units == n ? n : from + units - s->reach;
        const void *inputs[1] = { w.in };
        float *const outputs[1] = { w.out };
        copy_lines(w.in, in_line, in + from * s->in_per, length, s->in_width, in_line);
        if ((err = nn_run(w.plan, w.state, inputs, outputs)) < 0)
            break;
        copy_lines(out + done * s->out_per, n * s->out_per, w.out + (done - from) * s->out_per, out_line, s->out_width,
                   (end - done) * s->out_per);
        done = end;
        err = tell(p, (double)done / (double)n);
    }
    window_close(&w);
    return err;
}

/* ---- both ways ---- */

int oobleck_decode(oobleck *a, const float *latents, int64_t n, int64_t from, int64_t to, float *out,
                   oobleck_progress call, void *user)
{
    const stage *narrow = &a->decode[0], *wide = &a->decode[1];
    const int64_t deep = narrow->out_per, ratio = oobleck_ratio(&a->size);
    /* what the wanted latents' samples depend on */
    const int64_t frames = (wide->reach + deep - 1) / deep, near = narrow->reach + frames;
    const int64_t begin = SM_MAX(from - near, 0), end = SM_MIN(to + near, n);
    const int64_t begin2 = SM_MAX(from - frames, 0), end2 = SM_MIN(to + frames, n);
    const progress first = { call, user, 0, 0.1 }, second = { call, user, 0.1, 1 };
    float *some = NULL, *middle = NULL, *audio = NULL, *part = NULL;
    int err = 0;

    if (from < 0 || to <= from || to > n)
        return sm_fail(SM_EUSAGE, "latents %lld to %lld of %lld", (long long)from, (long long)to, (long long)n);
    some = sm_alloc((size_t)((end - begin) * a->size.latent), sizeof *some);
    middle = sm_alloc((size_t)((end - begin) * deep * wide->in_width), sizeof *middle);
    part = sm_alloc((size_t)((end2 - begin2) * deep * wide->in_width), sizeof *part);
    audio = sm_alloc((size_t)((end2 - begin2) * ratio * OOBLECK_AUDIO), sizeof *audio);
    if (!some || !middle || !part || !audio)
        err = SM_ENOMEM;
    if (err == 0) {
        copy_lines(some, end - begin, latents + begin, n, a->size.latent, end - begin);
        err = run_stage(a, narrow, some, end - begin, middle, &first);
    }
    if (err == 0) {
        copy_lines(part, (end2 - begin2) * deep, middle + (begin2 - begin) * deep, (end - begin) * deep, wide->in_width,
                   (end2 - begin2) * deep);
        sm_free(middle);
        middle = NULL;
        err = run_stage(a, wide, part, (end2 - begin2) * deep, audio, &second);
    }
    if (err == 0)
        copy_lines(out, (to - from) * ratio, audio + (from - begin2) * ratio, (end2 - begin2) * ratio, OOBLECK_AUDIO,
                   (to - from) * ratio);
    sm_free(some);
    sm_free(middle);
    sm_free(part);
    sm_free(audio);
    return err;
}

int oobleck_encode(oobleck *a, const float *audio, int64_t samples, float *moments, oobleck_progress call, void *user)
{
    const stage *wide = &a->encode[0], *narrow = &a->encode[1];
    const progress first = { call, user, 0, 0.9 }, second = { call, user, 0.9, 1 };
    const int64_t frames = samples / wide->in_per;
    if (samples < oobleck_ratio(&a->size))
        return sm_fail(SM_EUSAGE, "%lld samples to encode; a latent is %lld", (long long)samples,
                       (long long)oobleck_ratio(&a->size));
    float *middle = sm_alloc((size_t)(frames * wide->out_width), sizeof *middle);
    int err = middle ? run_stage(a, wide, audio, samples, middle, &first) : SM_ENOMEM;
    if (err == 0)
        err = run_stage(a, narrow, middle, frames, moments, &second);
    sm_free(middle);
    return err;
}

void oobleck_sample(const oobleck_size *s, const float *moments, const float *noise, int64_t n, float *latents)
{
    const int64_t half = s->latent * n;
    for (int64_t i = 0; i < half; i++) {
        const double x = (double)moments[half + i], soft = x > 20 ? x : log1p(exp(x));
        latents[i] = (float)((double)moments[i] + (noise ? (soft + 1e-4) * (double)noise[i] : 0));
    }
}

size_t oobleck_memory(const oobleck *a, int64_t n)
{
    enum { ALIVE = 4 }; /* activations of full width at a time: in, out, what is added, and a result */
    const stage *wide = &a->decode[1];
    const int64_t deep = a->decode[0].out_per, units = SM_MIN(wide->most, n * deep), frames = n * deep * wide->in_width,
                  samples = units * wide->out_per;
    return sizeof(float) *
           (size_t)(2 * frames + 2 * OOBLECK_AUDIO * n * oobleck_ratio(&a->size) + ALIVE * a->size.width[0] * samples);
}
