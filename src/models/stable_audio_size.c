/* How large a Stable Audio is: model_config.json (stable-audio-tools), the shapes of its tensors, a user's --config. What the network here
 * does not do is refused by the name that the configuration has for it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "models/stable_audio.h"

const char *const sa_config_keys[] = { "channels", "latent", "strides", "latents", "part",   "width",
                                       "depth",    "heads",  "io",      "cond",    "inner",  "global",
                                       "start",    "tokens", "qk_norm", "prompt",  "canvas", NULL };

/* ---- model_config.json ---- */

static const json_t *at(const json_t *from, const char *path)
{
    char key[64];
    while (from && *path) {
        const size_t n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        from = json_object_get(from, key);
        path += n + (path[n] == '.');
    }
    return from;
}

static int64_t integer(const json_t *from, const char *path, int64_t standard)
{
    const json_t *v = at(from, path);
    return json_is_integer(v) ? json_integer_value(v) : json_is_boolean(v) ? json_is_true(v) : standard;
}

static double number(const json_t *from, const char *path, double standard)
{
    const json_t *v = at(from, path);
    return json_is_number(v) ? json_number_value(v) : standard;
}

static bool text_is(const json_t *from, const char *path, const char *value, bool when_absent)
{
    const char *is = json_string_value(at(from, path));
    return is ? !strcmp(is, value) : when_absent;
}

/* What must have one value for this network to be the one that is here. */
static int check_fixed(const char *label, const json_t *config)
{
    static const struct {
        const char *path, *value;
        bool needed;
    } texts[] = {
        { "model_type", "diffusion_cond", true },
        { "model.diffusion.type", "dit", true },
        { "model.diffusion.config.transformer_type", "continuous_transformer", false },
        { "model.diffusion.config.global_cond_type", "prepend", false },
        { "model.pretransform.type", "autoencoder", true },
        { "model.pretransform.config.encoder.type", "oobleck", true },
        { "model.pretransform.config.decoder.type", "oobleck", true },
        { "model.pretransform.config.bottleneck.type", "vae", false },
    };
    static const struct {
        const char *path;
        int64_t value;
    } numbers[] = {
        { "model.diffusion.config.patch_size", 1 },
        { "model.diffusion.config.num_memory_tokens", 0 },
        { "model.diffusion.config.prepend_cond_dim", 0 },
        { "model.diffusion.config.input_concat_dim", 0 },
        { "model.diffusion.config.attn_kwargs.differential", 0 },
        { "model.diffusion.config.conformer", 0 },
        { "model.pretransform.config.io_channels", 2 },
        { "model.pretransform.config.decoder.config.use_snake", 1 },
        { "model.pretransform.config.encoder.config.use_snake", 1 },
    };
    for (size_t i = 0; i < SM_LENGTH(texts); i++)
        if (!text_is(config, texts[i].path, texts[i].value, !texts[i].needed)) {
            const char *is = json_string_value(at(config, texts[i].path));
            return sm_fail(SM_EUNSUPPORTED, "%s: %s is %s; only %s is here", label, texts[i].path, is ? is : "missing",
                           texts[i].value);
        }
    for (size_t i = 0; i < SM_LENGTH(numbers); i++) {
        const int64_t is = integer(config, numbers[i].path, numbers[i].value);
        if (is != numbers[i].value)
            return sm_fail(SM_EUNSUPPORTED, "%s: %s is %lld; only %lld is here", label, numbers[i].path, (long long)is,
                           (long long)numbers[i].value);
    }
    return 0;
}

/* Are these the ids in this order: (prompt,) (seconds_start,) seconds_total? */
static bool ids_are(const json_t *list, bool prompt, bool start)
{
    const char *expected[3];
    size_t n = 0;
    if (prompt)
        expected[n++] = "prompt";
    if (start)
        expected[n++] = "seconds_start";
    expected[n++] = "seconds_total";
    if (json_array_size(list) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *is = json_string_value(json_array_get(list, i));
        if (!is || strcmp(is, expected[i]))
            return false;
    }
    return true;
}

static int read_conditions(const char *label, const json_t *config, sa_size *s)
{
    const json_t *list = at(config, "model.conditioning.configs"), *ids = at(config, "model.diffusion.global_cond_ids");
    s->has_start = json_array_size(ids) == 2;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const bool prompt = text_is(one, "id", "prompt", false);
        if (!text_is(one, "type", prompt ? "t5" : "number", false))
            return sm_fail(SM_EUNSUPPORTED, "%s: a condition of type %s; a prompt by t5 and numbers are possible",
                           label, json_string_value(at(one, "type")) ? json_string_value(at(one, "type")) : "?");
        if (prompt && !text_is(one, "config.t5_model_name", "t5-base", true))
            return sm_fail(SM_EUNSUPPORTED, "%s: a prompt by %s; only t5-base is here", label,
                           json_string_value(at(one, "config.t5_model_name")));
        if (prompt) {
            s->prompt_tokens = (int)SM_CLAMP(integer(one, "config.max_length", 128), 1, 4096);
        } else {
            s->number_min = number(one, "config.min_val", s->number_min);
            s->number_max = number(one, "config.max_val", s->number_max);
        }
    }
    if (!(s->number_max > s->number_min))
        return sm_fail(SM_EFORMAT, "%s: numbers of seconds from %g to %g", label, s->number_min, s->number_max);
    if (!ids_are(at(config, "model.diffusion.cross_attention_cond_ids"), true, s->has_start) ||
        !ids_are(ids, false, s->has_start))
        return sm_fail(SM_EUNSUPPORTED,
                       "%s: conditions that are not prompt, seconds_start and seconds_total in this order", label);
    return 0;
}

static int read_json(const char *label, const char *text, sa_size *s)
{
    json_t *config = json_loads(text, 0, NULL);
    int err = json_is_object(config) ? check_fixed(label, config)
                                     : sm_fail(SM_EFORMAT, "%s: its model_config is not a JSON object", label);
    if (err == 0)
        err = read_conditions(label, config, s);
    if (err == 0) {
        const json_t *d = at(config, "model.diffusion.config");
        const bool rectified = text_is(config, "model.diffusion.diffusion_objective", "rf_denoiser", false) ||
                               text_is(config, "model.diffusion.diffusion_objective", "rectified_flow", false);
        if (!rectified && !text_is(config, "model.diffusion.diffusion_objective", "v", true))
            err = sm_fail(SM_EUNSUPPORTED, "%s: the objective %s; v, rectified_flow and rf_denoiser are possible",
                          label, json_string_value(at(config, "model.diffusion.diffusion_objective")));
        s->flow = rectified;
        s->shift = at(config, "model.diffusion.distribution_shift_options") != NULL;
        s->io = (int)SM_CLAMP(integer(d, "io_channels", s->io), 0, 1 << 16);
        s->width = (int)SM_CLAMP(integer(d, "embed_dim", s->width), 0, 1 << 16);
        s->depth = (int)SM_CLAMP(integer(d, "depth", s->depth), 0, 1 << 16);
        s->heads = (int)SM_CLAMP(integer(d, "num_heads", s->heads), 0, 1 << 16);
        s->cond_width = (int)SM_CLAMP(integer(d, "cond_token_dim", s->cond_width), 0, 1 << 16);
        s->global_width = (int)SM_CLAMP(integer(d, "global_cond_dim", s->global_width), 0, 1 << 16);
        s->cond_inner = integer(d, "project_cond_tokens", 1) ? s->width : s->cond_width;
        s->qk_norm = text_is(d, "attn_kwargs.qk_norm", "ln", false);
        if (!s->qk_norm && at(d, "attn_kwargs.qk_norm") && !text_is(d, "attn_kwargs.qk_norm", "none", false))
            err = sm_fail(SM_EUNSUPPORTED, "%s: attn_kwargs.qk_norm is not \"ln\"", label);
        s->rate_hz = (int)SM_CLAMP(integer(config, "sample_rate", s->rate_hz), 0, 1 << 20);
        s->canvas = SM_CLAMP(integer(config, "sample_size", s->canvas), 0, 1 << 26);
        s->latent_scale = number(config, "model.pretransform.scale", 1);
        s->vae.final_tanh = integer(config, "model.pretransform.config.decoder.config.final_tanh", 0);
    }
    json_decref(config);
    return err;
}

char *sa_config_json(sm_weights *w)
{
    enum { LIMIT = 1 << 20 };
    const char *kept = sm_weights_meta(w, "kwargs"), *label = sm_weights_label(w);
    sm_buffer text = { 0 };
    if (kept)
        return sm_strdup(kept);
    if (sm_weights_count(w) == 0)
        return NULL;
    const size_t length = strlen(label), ending = sm_text_has_suffix(label, ".safetensors") ? 12 : 0;
    char *paths[2] = { sm_weights_beside(w, "model_config.json"),
                       sm_printf_new("%.*s.json", (int)(length - ending), label) }; /* the second: as `pull` keeps it */
    for (int i = 0; i < 2; i++) {
        if (paths[i] && !text.data &&
            (sm_file_read(paths[i], LIMIT, &text) < 0 || !text.data || !strstr(text.data, "\"model_type\"")))
            sm_buffer_free(&text);
        sm_free(paths[i]);
    }
    return text.data;
}

/* ---- shapes ---- */

/* Dimension `axis` of a tensor; 0: it is not there. */
static int dim(sm_weights *w, int axis, const char *name)
{
    char found[SA_NAME];
    nn_tensor t;
    return sa_official(w, name, found) && sm_weights_get(w, found, NULL, &t) == 0 && axis < t.shape.rank
               ? (int)SM_MIN(t.shape.dim[axis], 1 << 20)
               : 0;
}

static void read_shapes(sm_weights *w, sa_size *s, bool has_json)
{
    const int width = dim(w, 0, SA_DIT_PREFIX "transformer.project_in.weight"),
              head = dim(w, 0, SA_DIT_PREFIX "transformer.layers.0.self_attn.q_norm.weight");
    char name[SA_NAME], found[SA_NAME];
    if (width < 1)
        return;
    if (!has_json && width != s->width) /* nothing says the heads: those of the family */
        s->heads = SM_MAX(width / sa_head(s), 1);
    s->width = width;
    s->io = dim(w, 1, SA_DIT_PREFIX "transformer.project_in.weight");
    s->cond_width = dim(w, 1, SA_DIT_PREFIX "to_cond_embed.0.weight");
    s->cond_inner = dim(w, 0, SA_DIT_PREFIX "to_cond_embed.0.weight");
    s->global_width = dim(w, 1, SA_DIT_PREFIX "to_global_embed.0.weight");
    s->qk_norm = head > 0;
    if (head > 0 && !has_json)
        s->heads = SM_MAX(width / head, 1);
    for (s->depth = 0; s->depth <= SA_MAX_DEPTH; s->depth++) {
        snprintf(name, sizeof name, SA_DIT_PREFIX "transformer.layers.%d.ff.ff.2.weight", s->depth);
        if (!sa_official(w, name, found))
            break;
    }
    s->has_start = dim(w, 0, SA_NUMBER_PREFIX "seconds_start.embedder.embedding.0.weights") > 0;
}

/* ---- all of it ---- */

static int check(const char *label, const sa_size *s)
{
    if (s->depth < 1 || s->depth > SA_MAX_DEPTH || s->width < 64 || s->width > 16384 || s->heads < 1 ||
        s->width % s->heads || sa_head(s) < 32 || sa_head(s) % 4)
        return sm_fail(SM_EUNSUPPORTED, "%s: %d layers of width %d with %d heads", label, s->depth, s->width, s->heads);
    if (s->cond_inner < sa_head(s) || s->cond_inner % sa_head(s) || s->heads % (s->cond_inner / sa_head(s)))
        return sm_fail(SM_EUNSUPPORTED, "%s: conditions of width %d for %d heads of %d", label, s->cond_inner, s->heads,
                       sa_head(s));
    if (s->cond_width < 1 || s->global_width != s->cond_width * (1 + s->has_start))
        return sm_fail(SM_EUNSUPPORTED, "%s: a global condition of %d for %d number%s of width %d", label,
                       s->global_width, 1 + s->has_start, s->has_start ? "s" : "", s->cond_width);
    if (s->io != s->vae.latent || s->io < 1)
        return sm_fail(SM_EFORMAT, "%s: the transformer makes %d channels, the autoencoder takes %d", label, s->io,
                       s->vae.latent);
    if (s->rate_hz < 8000 || s->rate_hz > 192000 || s->canvas < oobleck_ratio(&s->vae) || !(s->latent_scale > 0))
        return sm_fail(SM_EUNSUPPORTED, "%s: a canvas of %lld samples at %d Hz", label, (long long)s->canvas,
                       s->rate_hz);
    return 0;
}

static int read_config(const sm_model_config *c, sa_size *s)
{
    int err = 0;
    s->width = (int)sm_config_int(c, "width", s->width, 64, 16384, &err);
    s->depth = (int)sm_config_int(c, "depth", s->depth, 1, SA_MAX_DEPTH, &err);
    s->heads = (int)sm_config_int(c, "heads", s->heads, 1, 256, &err);
    s->io = (int)sm_config_int(c, "io", s->io, 1, 4096, &err);
    s->cond_width = (int)sm_config_int(c, "cond", s->cond_width, 1, 16384, &err);
    s->cond_inner = (int)sm_config_int(c, "inner", s->cond_inner, 1, 16384, &err);
    s->global_width = (int)sm_config_int(c, "global", s->global_width, 1, 16384, &err);
    s->has_start = sm_config_int(c, "start", s->has_start, 0, 1, &err);
    s->prompt_tokens = (int)sm_config_int(c, "prompt", s->prompt_tokens, 1, 4096, &err);
    s->canvas = sm_config_int(c, "canvas", s->canvas, 1, 1 << 26, &err);
    s->qk_norm = sm_config_int(c, "qk_norm", s->qk_norm, 0, 1, &err);
    return err;
}

int sa_size_read(const sm_model *m, sm_weights *w, const sm_model_config *c, sa_size *out)
{
    char *json = sa_config_json(w);
    int err = 0;
    *out = *(const sa_size *)m->binding;
    if (json)
        err = read_json(sm_weights_label(w), json, out);
    const bool tanh = out->vae.final_tanh;
    if (err == 0 && sm_weights_count(w) > 0)
        read_shapes(w, out, json != NULL);
    if (err == 0)
        err = oobleck_size_read(w, c, &out->vae);
    if (err == 0)
        err = read_config(c, out);
    out->vae.final_tanh = tanh;
    sm_free(json);
    return err < 0 ? err : check(sm_weights_label(w), out);
}
