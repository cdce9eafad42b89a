/* The pipeline around the graphs: conditions once, the network at each step with or without guidance, a sampler, the autoencoder. */
#include "models/stable_audio_run.h"

#include <math.h>
#include <string.h>

#include "models/oobleck.h"
#include "models/stable_audio.h"
#include "models/twister.h"
#include "models/view.h"

struct sm_stable_audio {
    sm_view *view;
    sa_size size;
    nn_compile_options options;
    nn_pack *pack;
    oobleck *vae;
};

/* A plan with a place for each of its inputs and outputs by name. */
typedef struct {
    nn_plan *plan;
    nn_run_state *state;
    const void **in;
    float **out;
} bound;

/* A run: what stays the same at each step, and the network in both of its forms. */
typedef struct {
    sm_stable_audio *a;
    const sm_stable_audio_request *r;
    twister random;
    size_t n;                                             /* floats of the state */
    int branches, keys;                                   /* conditions, tokens of each */
    float *tokens, *mask, *global, *global_embed, *heads; /* heads: k.0, v.0, k.1 ... */
    size_t head_floats;                                   /* of one of them */
    bound guided, plain;
    float *both; /* [2][n] */
    float time;
} session;

/* ---- opening ---- */

int sm_stable_audio_open(const sm_model *m, sm_weights *w, const sm_stable_audio_options *o, sm_stable_audio **out)
{
    const sm_stable_audio_options standard = { 0 };
    const sm_model_config c = { .batch = 1, .text = o ? o->config : NULL };
    sm_stable_audio *a = sm_alloc_zero(1, sizeof *a);
    int err;

    *out = NULL;
    if (!a)
        return SM_ENOMEM;
    o = o ? o : &standard;
    a->options = (nn_compile_options){
        .backend = o->backend, .precision = o->precision, .threads = SM_MAX(o->threads, 1), .emulate = o->emulate
    };
    nn_compile_options exact = a->options;
    exact.precision = NN_PRECISION_F32;
    if ((err = sm_config_check(&c, m->config_keys)) < 0 || (err = sa_size_read(m, w, &c, &a->size)) < 0 ||
        (err = sm_view_open(m, w, NULL, &a->view)) < 0 || (err = nn_pack_new(&a->pack)) < 0 ||
        (err = oobleck_open(a->view, &a->size.vae, &exact, &a->vae)) < 0) {
        sm_stable_audio_close(a);
        return err;
    }
    a->options.pack = a->pack;
    *out = a;
    return 0;
}

void sm_stable_audio_close(sm_stable_audio *a)
{
    if (!a)
        return;
    oobleck_close(a->vae);
    nn_pack_free(a->pack);
    sm_view_close(a->view);
    sm_free(a);
}

void sm_stable_audio_look(const sm_stable_audio *a, sm_stable_audio_facts *out)
{
    const sa_size *s = &a->size;
    *out = (sm_stable_audio_facts){ .flow = s->flow,
                                    .channels = s->io,
                                    .text_width = s->cond_width,
                                    .prompt_tokens = s->prompt_tokens,
                                    .has_start = s->has_start,
                                    .seconds_max = s->number_max,
                                    .rate_hz = s->rate_hz,
                                    .ratio = oobleck_ratio(&s->vae),
                                    .canvas = s->canvas / oobleck_ratio(&s->vae) };
}

sm_stable_audio_request sm_stable_audio_defaults(const sm_stable_audio *a)
{
    const bool flow = a->size.flow;
    const int64_t canvas = a->size.canvas / oobleck_ratio(&a->size.vae);
    return (sm_stable_audio_request){ .latents = canvas,
                                      .seconds_total = (double)a->size.canvas / a->size.rate_hz,
                                      .sampler = flow ? "pingpong" : "dpmpp-3m-sde",
                                      .steps = flow ? 8 : 100,
                                      .cfg = flow ? 1 : 7,
                                      .cfg_to = 1,
                                      .sigma_min = 0.3,
                                      .sigma_max = 500,
                                      .rho = 1,
                                      .init_noise = 1 };
}

/* ---- plans ---- */

static void unbind(bound *b)
{
    nn_run_state_free(b->state);
    nn_plan_free(b->plan);
    sm_free(b->in);
    sm_free(b->out);
    *b = (bound){ 0 };
}

/* Compiles the graph that `build` has made, and frees it. */
static int bind(sm_stable_audio *a, nn_graph *g, int built, bound *b)
{
    int err = g ? built : SM_ENOMEM;
    *b = (bound){ 0 };
    if (err == 0)
        err = nn_compile(g, &a->options, &b->plan);
    nn_graph_free(g);
    if (err == 0)
        err = nn_run_state_new(b->plan, &b->state);
    if (err == 0) {
        b->in = sm_alloc_zero((size_t)nn_plan_inputs(b->plan), sizeof *b->in);
        b->out = sm_alloc_zero((size_t)nn_plan_outputs(b->plan), sizeof *b->out);
        err = b->in && b->out ? 0 : SM_ENOMEM;
    }
    return err;
}

/* Where keys ("k.3") or values ("v.3") of a layer lie; NULL: another name. */
static float *heads_of(const session *s, const char *name)
{
    int layer, end = 0;
    if ((name[0] != 'k' && name[0] != 'v') || sscanf(name + 1, ".%d%n", &layer, &end) != 1 || name[1 + end])
        return NULL;
    return s->heads + (size_t)(2 * layer + (name[0] == 'v')) * s->head_floats;
}

static int bind_step(session *s, int rows, int crossed, bound *b)
{
    const nn_source w = sm_view_source(s->a->view);
    const sa_form form = { (int)s->r->latents, rows, crossed, s->keys };
    nn_graph *g = nn_graph_new();
    const int err = bind(s->a, g, g ? sa_graph_step(g, &s->a->size, &w, &form) : SM_ENOMEM, b);
    for (int i = 0; err == 0 && i < nn_plan_inputs(b->plan); i++) {
        const char *name = nn_plan_input_name(b->plan, i);
        const float *heads = heads_of(s, name);
        b->in[i] = heads                     ? heads
                   : !strcmp(name, "t")      ? &s->time
                   : !strcmp(name, "global") ? s->global_embed
                   : !strcmp(name, "mask")   ? s->mask
                                             : NULL; /* x: given with each call */
    }
    return err;
}

/* ---- conditions ---- */

/* One condition as tokens: words, zeros up to prompt_tokens, numbers; zeros as one. Gives how many keys. */
static int merge_condition(session *s, const float *words, int n_words, const float *numbers, float *tokens,
                           float *mask)
{
    const sa_size *z = &s->a->size;
    const int n_numbers = 1 + z->has_start, all = z->prompt_tokens + n_numbers;
    const size_t width = (size_t)z->cond_width;
    float *cross = sm_alloc_zero((size_t)all * width, sizeof *cross);
    if (!cross)
        return SM_ENOMEM;
    memcpy(cross, words, (size_t)SM_MIN(n_words, z->prompt_tokens) * width * sizeof *cross);
    memcpy(cross + (size_t)z->prompt_tokens * width, numbers, (size_t)n_numbers * width * sizeof *cross);
    const int keys = sa_merge_zero_rows(cross, all, z->cond_width, tokens, mask);
    sm_free(cross);
    return keys;
}

/* seconds_start, seconds_total: the global condition. */
static int make_numbers(session *s)
{
    const nn_source w = sm_view_source(s->a->view);
    const sa_size *z = &s->a->size;
    int err = 0;
    if (z->has_start)
        err = sa_number(z, &w, "seconds_start", s->r->seconds_start, s->global);
    if (err == 0)
        err = sa_number(z, &w, "seconds_total", s->r->seconds_total, s->global + (z->has_start ? z->cond_width : 0));
    return err;
}

/* Both conditions with as many keys; those that are too many do not count. */
static int make_tokens(session *s)
{
    const float never = -1e30f; /* its exponential is 0 */
    const sa_size *z = &s->a->size;
    const size_t most = (size_t)z->prompt_tokens + 2, width = (size_t)z->cond_width;
    float *second = s->tokens + most * width, *second_mask = s->mask + most;
    const int n = merge_condition(s, s->r->prompt, s->r->n_prompt, s->global, s->tokens, s->mask);
    int m = 0;
    if (n < 0)
        return n;
    s->keys = n;
    if (s->branches < 2)
        return 0;
    m = merge_condition(s, s->r->negative, s->r->n_negative, s->global, second, second_mask);
    if (m < 0)
        return m;
    s->keys = SM_MAX(n, m);
    for (int i = n; i < s->keys; i++) {
        memset(s->tokens + (size_t)i * width, 0, width * sizeof *s->tokens);
        s->mask[i] = never;
    }
    for (int i = m; i < s->keys; i++) {
        memset(second + (size_t)i * width, 0, width * sizeof *second);
        second_mask[i] = never;
    }
    memmove(s->tokens + (size_t)s->keys * width, second, (size_t)s->keys * width * sizeof *second);
    memmove(s->mask + s->keys, second_mask, (size_t)s->keys * sizeof *second_mask);
    return 0;
}

/* Keys and values of all layers, once. */
static int make_heads(session *s)
{
    const nn_source w = sm_view_source(s->a->view);
    const sa_size *z = &s->a->size;
    bound b;
    nn_graph *g = nn_graph_new();
    s->head_floats = (size_t)(s->branches * s->keys * z->cond_inner);
    s->heads = sm_alloc_aligned(2 * (size_t)z->depth * s->head_floats, sizeof *s->heads);
    int err = s->heads ? 0 : SM_ENOMEM;
    err = bind(s->a, g, err < 0 ? err : g ? sa_graph_conditions(g, z, &w, s->branches, s->keys) : SM_ENOMEM, &b);
    for (int i = 0; err == 0 && i < nn_plan_inputs(b.plan); i++)
        b.in[i] = strcmp(nn_plan_input_name(b.plan, i), "cross") ? s->global : s->tokens;
    for (int i = 0; err == 0 && i < nn_plan_outputs(b.plan); i++) {
        float *heads = heads_of(s, nn_plan_output_name(b.plan, i));
        b.out[i] = heads ? heads : s->global_embed;
    }
    if (err == 0)
        err = nn_run(b.plan, b.state, b.in, b.out);
    unbind(&b);
    return err;
}

/* ---- the network ---- */

static int run_bound(session *s, bound *b, const float *x, double t, float *v)
{
    float *const out[1] = { v };
    s->time = (float)t;
    for (int i = 0; i < nn_plan_inputs(b->plan); i++)
        if (!strcmp(nn_plan_input_name(b->plan, i), "x"))
            b->in[i] = x;
    return nn_run(b->plan, b->state, b->in, out);
}

static int network(void *user, const float *x, double t, float *v)
{
    session *s = user;
    const double share = s->a->size.flow ? t : sin(1.57079632679489661923 * t);
    const bool guided = s->r->cfg != 1 && share >= s->r->cfg_from && share <= s->r->cfg_to;
    int err = 0;
    if (!guided) {
        if (!s->plain.plan)
            err = bind_step(s, 1, 1, &s->plain);
        return err < 0 ? err : run_bound(s, &s->plain, x, t, v);
    }
    if (!s->guided.plan)
        err = bind_step(s, 2, s->branches, &s->guided);
    if (err == 0)
        err = run_bound(s, &s->guided, x, t, s->both);
    if (err == 0)
        sa_guide(s->both, s->both + s->n, s->a->size.io, s->r->latents, s->r->cfg, s->r->cfg_rescale, v);
    return err;
}

/* ---- a run ---- */

static int own_noise(void *user, sa_noise_use use, int i, float *out)
{
    session *s = user;
    if (s->r->noise)
        return s->r->noise(s->r->user, use, i, out);
    twister_normals(&s->random, out, s->n);
    return 0;
}

static int own_progress(void *user, int i, int steps)
{
    const session *s = user;
    return s->r->progress ? s->r->progress(s->r->user, i, steps) : 0;
}

static void session_close(session *s)
{
    unbind(&s->guided);
    unbind(&s->plain);
    sm_free(s->tokens);
    sm_free(s->heads);
    sm_free(s->both);
}

static int session_open(sm_stable_audio *a, const sm_stable_audio_request *r, session *s)
{
    const sa_size *z = &a->size;
    const size_t most = (size_t)z->prompt_tokens + 2, width = (size_t)z->cond_width;
    *s = (session){ .a = a, .r = r, .n = (size_t)z->io * (size_t)r->latents };
    s->branches = r->negative && r->cfg != 1 ? 2 : 1;
    twister_seed(&s->random, r->seed);
    s->tokens = sm_alloc_zero(2 * most * (width + 1) + (size_t)(z->global_width + z->width), sizeof *s->tokens);
    s->both = sm_alloc_aligned(2 * s->n, sizeof *s->both);
    if (!s->tokens || !s->both)
        return SM_ENOMEM;
    s->mask = s->tokens + 2 * most * width;
    s->global = s->mask + 2 * most;
    s->global_embed = s->global + z->global_width;
    int err = make_numbers(s);
    if (err == 0)
        err = make_tokens(s);
    return err < 0 ? err : make_heads(s);
}

/* Latents of the sound to start from, padded to the canvas; its noise comes behind the start's. */
static int encode_init(session *s, float *latents)
{
    const sa_size *z = &s->a->size;
    const sm_stable_audio_request *r = s->r;
    const int64_t canvas = r->init_canvas ? r->init_canvas : r->latents * oobleck_ratio(&z->vae);
    const int64_t given = SM_CLAMP(r->init_samples, 0, canvas);
    if (canvas / oobleck_ratio(&z->vae) != r->latents)
        return sm_fail(SM_EUSAGE, "a canvas of %lld samples for %lld latents", (long long)canvas,
                       (long long)r->latents);
    float *audio = sm_alloc_zero(2 * (size_t)canvas, sizeof *audio), *moments = sm_alloc(2 * s->n, sizeof *moments),
          *noise = sm_alloc(s->n, sizeof *noise);
    int err = audio && moments && noise ? 0 : SM_ENOMEM;
    for (int c = 0; c < 2 && err == 0; c++)
        memcpy(audio + c * canvas, r->init + c * r->init_samples, (size_t)given * sizeof *audio);
    if (err == 0)
        err = oobleck_encode(s->a->vae, audio, canvas, moments, NULL, NULL);
    if (err == 0) {
        twister_normals(&s->random, noise, s->n);
        oobleck_sample(&z->vae, moments, r->init_mean ? NULL : noise, r->latents, latents);
        for (size_t i = 0; i < s->n; i++)
            latents[i] = (float)((double)latents[i] / z->latent_scale);
    }
    sm_free(audio);
    sm_free(moments);
    sm_free(noise);
    return err;
}

static int check_request(const sm_stable_audio *a, const sm_stable_audio_request *r, const sa_sampler **sampler)
{
    const sa_sampler *s = sa_sampler_find(r->sampler ? r->sampler : "");
    *sampler = s;
    if (!s)
        return sm_fail(SM_EUSAGE, "there is no sampler \"%s\"", r->sampler ? r->sampler : "");
    if (s->flow != a->size.flow)
        return sm_fail(SM_EUSAGE, "the sampler %s is for %s; this one takes %s", s->name,
                       s->flow ? "models of the rectified flow" : "models of the v objective",
                       a->size.flow ? "pingpong, euler, dpmpp or rk4"
                                    : "dpmpp-3m-sde, dpmpp-2m-sde, dpmpp-2m, k-heun or v-ddim");
    if (r->latents < 1 || r->latents > 1 << 16 || (int64_t)a->size.io * r->latents < 16)
        return sm_fail(SM_EUSAGE, "%lld latents to make", (long long)r->latents);
    if (!r->prompt || r->n_prompt < 0 || r->n_negative < 0)
        return sm_fail(SM_EUSAGE, "no prompt");
    if (!(r->cfg >= -100 && r->cfg <= 100) || !(r->cfg_rescale >= 0 && r->cfg_rescale <= 1))
        return sm_fail(SM_EUSAGE, "guidance of %g rescaled by %g; up to 100 and 0 to 1 are possible", r->cfg,
                       r->cfg_rescale);
    if (!isfinite(r->seconds_start) || !isfinite(r->seconds_total))
        return sm_fail(SM_EUSAGE, "a piece from %g to %g s", r->seconds_start, r->seconds_total);
    return 0;
}

static sa_schedule schedule_of(const sm_stable_audio *a, const sm_stable_audio_request *r)
{
    return (sa_schedule){ .steps = r->steps,
                          .sigma_min = r->sigma_min,
                          .sigma_max = r->init ? r->init_noise : r->sigma_max,
                          .rho = r->rho,
                          .start = r->init ? r->init_noise : 1,
                          .shift_length = a->size.shift ? (int)r->latents : 0 };
}

int sm_stable_audio_sample(sm_stable_audio *a, const sm_stable_audio_request *r, float *latents)
{
    const sa_schedule o = schedule_of(a, r);
    const sa_sampler *sampler;
    session s;
    float *init = NULL, *mask = NULL;
    int err = check_request(a, r, &sampler);
    if (err < 0)
        return err;
    err = session_open(a, r, &s);
    if (err == 0 && r->init && !(init = sm_alloc(s.n, sizeof *init)))
        err = SM_ENOMEM;
    if (err == 0 && r->keep && !(mask = sm_alloc(s.n, sizeof *mask)))
        err = SM_ENOMEM;
    for (size_t i = 0; mask && i < s.n; i++)
        mask[i] = r->keep_mask[i % (size_t)r->latents];
    if (err == 0) {
        const sa_sampling with = { .model = network,
                                   .noise = own_noise,
                                   .progress = own_progress,
                                   .user = &s,
                                   .keep = mask ? r->keep : NULL,
                                   .mask = mask };
        twister_normals(&s.random, latents, s.n);
        if (init)
            err = encode_init(&s, init);
        if (err == 0) {
            sa_start(sampler, &o, init, latents, s.n);
            err = sa_sample(sampler, &o, &with, latents, s.n);
        }
    }
    sm_free(init);
    sm_free(mask);
    session_close(&s);
    return err;
}

int sm_stable_audio_decode(sm_stable_audio *a, const float *latents, int64_t n, int64_t from, int64_t to, float *out,
                           int (*progress)(void *user, double done), void *user)
{
    const size_t all = (size_t)a->size.io * (size_t)SM_MAX(n, 0);
    float *scaled = sm_alloc(all, sizeof *scaled);
    if (!scaled)
        return SM_ENOMEM;
    for (size_t i = 0; i < all; i++)
        scaled[i] = (float)((double)latents[i] * a->size.latent_scale);
    const int err = oobleck_decode(a->vae, scaled, n, from, to, out, progress, user);
    sm_free(scaled);
    return err;
}

int sm_stable_audio_encode(sm_stable_audio *a, const float *audio, int64_t samples, float *latents)
{
    const int64_t n = samples / oobleck_ratio(&a->size.vae);
    const size_t all = (size_t)a->size.io * (size_t)SM_MAX(n, 0);
    float *moments = sm_alloc(2 * all, sizeof *moments);
    int err = moments ? oobleck_encode(a->vae, audio, samples, moments, NULL, NULL) : SM_ENOMEM;
    if (err == 0)
        oobleck_sample(&a->size.vae, moments, NULL, n, latents);
    for (size_t i = 0; err == 0 && i < all; i++)
        latents[i] = (float)((double)latents[i] / a->size.latent_scale);
    sm_free(moments);
    return err;
}

/* Values of all tensors that are packed. */
static double weight_values(const sa_size *s)
{
    const double w = s->width, c = s->cond_inner;
    double vae = 0;
    for (int i = 0; i < s->vae.blocks; i++) { /* of a half: three units and the resampling convolution */
        const double in = s->vae.width[i], out = s->vae.width[i + 1];
        vae += 24 * in * in + 2 * in * out * s->vae.stride[i];
    }
    return s->depth * (18 * w * w + 2 * c * c) + c * (s->cond_width + c) + w * (s->global_width + 2 * w + 256) + vae;
}

int sm_stable_audio_memory(sm_stable_audio *a, const sm_stable_audio_request *r, size_t *weights, size_t *work)
{
    enum {
        ALIVE = 14
    }; /* widths of a token that live at a time: residual, queries, keys, values, two of the inner layer (4 each) */
    const sa_sampler *sampler;
    const int err = check_request(a, r, &sampler);
    *weights = *work = 0;
    if (err < 0)
        return err;
    const int rows = r->cfg != 1 ? 2 : 1;
    const double tokens = (double)(r->latents + 1) * rows * a->size.width * ALIVE * sizeof(float);
    *weights = (size_t)(weight_values(&a->size) * sizeof(float));
    *work = SM_MAX((size_t)tokens, oobleck_memory(a->vae, r->latents));
    return 0;
}
