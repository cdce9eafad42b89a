/* Stable Audio Open 1.0 and Small (Stability AI 2024 and 2025): the models and their parts as graphs.
 *
 *     samplemind models run stable-audio-open --config part=dit,latents=256,tokens=130 ...
 *
 * Parts: dit  x [B, io, T], t [B], cross [B, L, 768], global [B, G] -> v;   decoder  latent [B, 64, T] -> audio;
 * encoder  audio [B, 2, 2048 T] -> moments. Without `part` all of them are built, which is what a converted file keeps. */
#include <string.h>

#include "models/stable_audio.h"
#include "models/view.h"

static const int part_latents = 32, part_tokens = 24; /* of a part by itself: sizes that say nothing of the weights */

static int build_vae(nn_graph *g, const oobleck_size *s, const nn_source *w, const sm_model_config *c, const char *part)
{
    int err = 0;
    const int64_t n = sm_config_int(c, "latents", part_latents, 1, 1 << 16, &err), batch = SM_MAX(c->batch, 1);
    if (err < 0)
        return nn_graph_fail(g, err, "%s", sm_last_error());
    if (!*part || !strcmp(part, "decoder")) {
        const nn_id z = nn_input(g, "latent", NN_SHAPE(batch, s->latent, n));
        nn_output(g, "decoded", oobleck_decoder_layers(g, s, w, z, 0, s->blocks + 3));
    }
    if (!*part || !strcmp(part, "encoder")) {
        const nn_id x = nn_input(g, "audio", NN_SHAPE(batch, OOBLECK_AUDIO, n * oobleck_ratio(s)));
        nn_output(g, "moments", oobleck_encoder_layers(g, s, w, x, 0, s->blocks + 3));
    }
    return nn_graph_error(g);
}

/* Numbers are computed beside the graph; a converted file needs their tensors, too. */
static int ask_for_numbers(nn_graph *g, const sa_size *s, const nn_source *w)
{
    float *out = sm_alloc((size_t)s->cond_width, sizeof *out);
    int err = out ? sa_number(s, w, "seconds_total", 0, out) : SM_ENOMEM;
    if (err == 0 && s->has_start)
        err = sa_number(s, w, "seconds_start", 0, out);
    sm_free(out);
    return err < 0 ? nn_graph_fail(g, err, "%s", sm_last_error()) : 0;
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    char text[64];
    const char *part = sm_config_text(c, "part", "", text);
    sa_size s;
    int err = sa_size_read(m, sm_view_weights(v), c, &s);
    const int64_t latents = err < 0 ? 0 : sm_config_int(c, "latents", part_latents, 1, 1 << 16, &err),
                  tokens = err < 0 ? 0 : sm_config_int(c, "tokens", part_tokens, 1, 1 << 16, &err);
    if (err == 0 && *part && strcmp(part, "dit") && strcmp(part, "decoder") && strcmp(part, "encoder"))
        err = sm_fail(SM_EUSAGE, "part=%s; dit, decoder and encoder are the parts of %s", part, m->name);
    if (err < 0)
        return nn_graph_fail(g, err, "%s", sm_last_error());
    if (!*part || !strcmp(part, "dit"))
        err = sa_graph_plain(g, &s, &w, SM_MAX(c->batch, 1), (int)latents, (int)tokens);
    if (err == 0 && !*part)
        err = ask_for_numbers(g, &s, &w);
    return err == 0 && strcmp(part, "dit") ? build_vae(g, &s.vae, &w, c, part) : err;
}

static int build_oobleck(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    char text[64];
    oobleck_size s;
    const int err = oobleck_size_read(sm_view_weights(v), c, &s);
    (void)m;
    if (err < 0)
        return nn_graph_fail(g, err, "%s", sm_last_error());
    return build_vae(g, &s, &w, c, sm_config_text(c, "part", "", text));
}

/* ---- which file is whose ---- */

static bool has(sm_weights *w, const char *name)
{
    char found[SA_NAME];
    return sa_official(w, name, found);
}

/* The transformer and the autoencoder; numbers tell the two apart: Small knows no start. */
static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    const sa_size *official = m->binding;
    (void)card, (void)hint;
    variant[0] = 0;
    return has(w, SA_DIT_PREFIX "transformer.layers.0.ff.ff.0.proj.weight") &&
           has(w, SA_DIT_PREFIX "to_cond_embed.0.weight") &&
           has(w, SA_NUMBER_PREFIX "seconds_total.embedder.embedding.0.weights") &&
           has(w, SA_NUMBER_PREFIX "seconds_start.embedder.embedding.0.weights") == official->has_start;
}

static bool recognise_oobleck(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    (void)m, (void)card, (void)hint;
    variant[0] = 0;
    return oobleck_found(w);
}

/* ---- the models ---- */

#define LICENCE                                                                                                        \
    "Stability AI Community License: free below 1 M USD of yearly revenue, accept it at huggingface.co first; code "   \
    "MIT"
#define ROOT "https://huggingface.co/stabilityai/"
#define VAE                                                                                                            \
    {                                                                                                                  \
        .blocks = 5, .latent = 64, .width = { 128, 128, 256, 512, 1024, 2048 }, .stride = { 2, 4, 4, 8, 8 }            \
    }

static const sa_size open_size = { .io = 64,
                                   .width = 1536,
                                   .depth = 24,
                                   .heads = 24,
                                   .cond_width = 768,
                                   .cond_inner = 768,
                                   .global_width = 1536,
                                   .prompt_tokens = 128,
                                   .has_start = true,
                                   .number_max = 512,
                                   .rate_hz = 44100,
                                   .canvas = 2097152,
                                   .latent_scale = 1,
                                   .vae = VAE };
static const sa_size small_size = { .io = 64,
                                    .width = 1024,
                                    .depth = 16,
                                    .heads = 8,
                                    .cond_width = 768,
                                    .cond_inner = 1024,
                                    .global_width = 768,
                                    .qk_norm = true,
                                    .flow = true,
                                    .prompt_tokens = 64,
                                    .number_max = 256,
                                    .rate_hz = 44100,
                                    .canvas = 524288,
                                    .latent_scale = 1,
                                    .vae = VAE };

static const sm_model_source_file open_source = { ROOT "stable-audio-open-1.0/resolve/main/model.safetensors", 0, NULL,
                                                  ROOT "stable-audio-open-1.0/resolve/main/model_config.json" };
static const sm_model_source_file small_source = { ROOT "stable-audio-open-small/resolve/main/model.safetensors", 0,
                                                   NULL,
                                                   ROOT "stable-audio-open-small/resolve/main/model_config.json" };
static const sm_model_source_file vae_source = {
    ROOT "stable-audio-open-1.0/resolve/main/vae/diffusion_pytorch_model.safetensors", 0, NULL, NULL
};

#define STABLE_AUDIO(id, name_, official_, text, size, source, frames, seconds, part)                                  \
    const sm_model sm_model_##id = {                                                                                   \
        .name = name_,                                                                                                 \
        .official = official_,                                                                                         \
        .task = SM_TASK_SOUND,                                                                                         \
        .field = #id,                                                                                                  \
        .summary = text,                                                                                               \
        .licence = LICENCE,                                                                                            \
        .page = "docs/models/stable-audio.md",                                                                         \
        .needs = { .rate_hz = 44100, .bands = 2, .patch = 2048, .hop = 2048, .batch = 1 },                             \
        .sources = &source,                                                                                            \
        .n_sources = 1,                                                                                                \
        .bench = { frames, seconds, part },                                                                            \
        .config_keys = sa_config_keys,                                                                                 \
        .activation = "linear",                                                                                        \
        .binding = &size,                                                                                              \
        .recognise = recognise,                                                                                        \
        .adapt = sa_adapt,                                                                                             \
        .keep = sa_config_json,                                                                                        \
        .generated = oobleck_generated,                                                                                \
        .build = build,                                                                                                \
    }

STABLE_AUDIO(stable_audio_open, "stable-audio-open", "stable-audio-open-1.0",
             "up to 47 s of stereo from words (a step)", open_size, open_source, 1, 11.89,
             "part=dit,latents=256,tokens=24");
STABLE_AUDIO(stable_audio_small, "stable-audio-small", "stable-audio-open-small",
             "up to 12 s of stereo from words in 8 steps (a step)", small_size, small_source, 1, 11.89,
             "part=dit,latents=256,tokens=24");

const sm_model sm_model_oobleck = {
    .name = "oobleck",
    .official = "stable-audio-open-1.0-vae",
    .task = SM_TASK_SOUND,
    .field = "oobleck",
    .summary = "Stable Audio's autoencoder: stereo to latents and back",
    .licence = LICENCE,
    .page = "docs/models/stable-audio.md",
    .needs = { .rate_hz = 44100, .bands = 2, .patch = 2048, .hop = 2048, .batch = 1 },
    .sources = &vae_source,
    .n_sources = 1,
    .bench = { 1, 2.97, "part=decoder,latents=64" },
    .config_keys = oobleck_config_keys,
    .activation = "linear",
    .recognise = recognise_oobleck,
    .adapt = oobleck_adapt,
    .generated = oobleck_generated,
    .build = build_oobleck,
};
