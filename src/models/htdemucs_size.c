/* Which HTDemucs a file holds: its constructor's arguments as the package keeps them, then the shapes of its tensors. */
#include <jansson.h>
#include <string.h>

#include "models/htdemucs.h"

const char *const htdemucs_config_keys[] = { "sources", "channels", "t_layers", "t_heads", "bottom",
                                             "segment", "nfft",     "dconv",    NULL };

static const char *const source_names[6] = { "drums", "bass", "other", "vocals", "guitar", "piano" };

void htdemucs_all_rows(const htdemucs_size *s, htdemucs_rows *out)
{
    memset(out, 0, sizeof *out);
    out->n = s->n_sources;
    for (int i = 0; i < s->n_sources; i++)
        out->rows[i][i] = 1;
}

/* ---- the official sizes ---- */

/* 6s is narrower at the bottom; a model's row says by its binding how many sources it has. */
static void official(const sm_model *m, htdemucs_size *s)
{
    const int *n_sources = m->binding;
    *s = (htdemucs_size){ .n_sources = *n_sources,
                          .rate_hz = 44100,
                          .segment = 343980,
                          .nfft = 4096,
                          .width = { 48, 96, 192, 384 },
                          .dconv_encoder = true,
                          .dconv_decoder = true,
                          .dconv_depth = 2,
                          .dconv_comp = 8,
                          .emb_weight = 0.2,
                          .emb_scale = 10,
                          .bottom = *n_sources == 6 ? 0 : 512,
                          .t_layers = 5,
                          .t_heads = 8,
                          .t_period = 10000,
                          .t_weight = 1 };
}

static void set_width(htdemucs_size *s, int64_t channels, int64_t growth)
{
    for (int i = 0; i < HTDEMUCS_DEPTH; i++, channels *= growth)
        s->width[i] = (int)channels;
}

/* ---- kwargs ---- */

/* Arguments that have one value in every official network, and only that one here. The value is also the class default, unless
 * it is said to be another by HTDEMUCS.md; an argument that is missing has it. */
static const struct {
    const char *key;
    json_type type;
    double number; /* also of true (1) and false (0) */
    const char *text;
} fixed[] = {
    { "audio_channels", JSON_INTEGER, 2, NULL },
    { "depth", JSON_INTEGER, HTDEMUCS_DEPTH, NULL },
    { "rewrite", JSON_TRUE, 1, NULL },
    { "cac", JSON_TRUE, 1, NULL },
    { "context", JSON_INTEGER, 1, NULL },
    { "context_enc", JSON_INTEGER, 0, NULL },
    { "kernel_size", JSON_INTEGER, HTDEMUCS_KERNEL, NULL },
    { "stride", JSON_INTEGER, HTDEMUCS_STRIDE, NULL },
    { "norm_starts", JSON_INTEGER, HTDEMUCS_DEPTH, NULL },
    { "use_train_segment", JSON_TRUE, 1, NULL },
    { "t_emb", JSON_STRING, 0, "sin" },
    { "t_norm_in", JSON_TRUE, 1, NULL },
    { "t_norm_first", JSON_TRUE, 1, NULL },
    { "t_norm_out", JSON_TRUE, 1, NULL },
    { "t_layer_scale", JSON_TRUE, 1, NULL },
    { "t_gelu", JSON_TRUE, 1, NULL },
    { "t_group_norm", JSON_FALSE, 0, NULL },
    { "t_norm_in_group", JSON_FALSE, 0, NULL },
    { "t_cross_first", JSON_FALSE, 0, NULL },
    { "t_sparse_self_attn", JSON_FALSE, 0, NULL },
    { "t_sparse_cross_attn", JSON_FALSE, 0, NULL },
};

static bool value_is(const json_t *v, json_type type, double number, const char *text)
{
    if (type == JSON_STRING)
        return json_is_string(v) && !strcmp(json_string_value(v), text);
    if (json_is_boolean(v))
        return json_is_true(v) == (number != 0);
    return json_is_number(v) && json_number_value(v) == number;
}

static int check_fixed(const char *label, const json_t *kwargs)
{
    for (size_t i = 0; i < SM_LENGTH(fixed); i++) {
        const json_t *v = json_object_get(kwargs, fixed[i].key);
        if (v && !value_is(v, fixed[i].type, fixed[i].number, fixed[i].text)) {
            char *text = json_dumps(v, JSON_ENCODE_ANY);
            sm_fail(SM_EUNSUPPORTED, "%s: an HTDemucs with %s = %.40s, which is not supported", label, fixed[i].key,
                    text ? text : "?");
            free(text);
            return SM_EUNSUPPORTED;
        }
    }
    const json_t *own = json_object_get(kwargs, "channels_time"), *multi = json_object_get(kwargs, "multi_freqs");
    if ((own && !json_is_null(own)) || json_array_size(multi) > 0)
        return sm_fail(SM_EUNSUPPORTED, "%s: an HTDemucs with %s, which is not supported", label,
                       own && !json_is_null(own) ? "channels_time" : "multi_freqs");
    return 0;
}

static int64_t integer(const json_t *kwargs, const char *key, int64_t standard)
{
    const json_t *v = json_object_get(kwargs, key);
    return json_is_number(v) ? (int64_t)SM_CLAMP(json_number_value(v), -1e15, 1e15) : standard;
}

static double number(const json_t *kwargs, const char *key, double standard)
{
    const json_t *v = json_object_get(kwargs, key);
    return json_is_number(v) ? json_number_value(v) : standard;
}

/* int(segment * rate): a fraction {"_type": "fraction", "numerator": n, "denominator": d}, or a number of seconds. */
static int64_t segment_of(const json_t *kwargs, int rate, int64_t standard)
{
    const json_t *v = json_object_get(kwargs, "segment");
    if (json_is_number(v))
        return (int64_t)SM_CLAMP(json_number_value(v) * rate, 0, 1e9);
    const int64_t n = integer(v, "numerator", 0), d = integer(v, "denominator", 0);
    return d > 0 && n > 0 && n < 1 << 30 ? n * rate / d : standard;
}

static int read_sources(const char *label, const json_t *kwargs, htdemucs_size *s)
{
    const json_t *list = json_object_get(kwargs, "sources");
    const size_t n = json_array_size(list);
    if (!list)
        return 0;
    if (n < 1 || n > HTDEMUCS_MAX_SOURCES)
        return sm_fail(SM_EUNSUPPORTED, "%s: %zu sources, 1 to %d are possible", label, n, HTDEMUCS_MAX_SOURCES);
    s->n_sources = (int)n;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name || !*name || strchr(name, '/'))
            return sm_fail(SM_EFORMAT, "%s: its source %zu has no name", label, i + 1);
        snprintf(s->sources[i], sizeof s->sources[i], "%s", name);
    }
    return 0;
}

static int read_kwargs(const char *label, const char *text, htdemucs_size *s)
{
    json_t *kwargs = json_loads(text, JSON_DECODE_ANY, NULL);
    int err = json_is_object(kwargs) ? check_fixed(label, kwargs)
                                     : sm_fail(SM_EFORMAT, "%s: its kwargs are not a JSON object", label);
    if (err == 0)
        err = read_sources(label, kwargs, s);
    if (err == 0) {
        s->rate_hz = (int)SM_CLAMP(integer(kwargs, "samplerate", 44100), 0, 1000000);
        s->segment = segment_of(kwargs, s->rate_hz, 10 * (int64_t)s->rate_hz);
        s->nfft = (int)SM_CLAMP(integer(kwargs, "nfft", 4096), 0, 1 << 20);
        s->t_heads = (int)SM_CLAMP(integer(kwargs, "t_heads", 8), 0, 4096);
        s->t_period = number(kwargs, "t_max_period", 10000);
        s->t_weight = number(kwargs, "t_weight_pos_embed", 1);
        s->emb_scale = number(kwargs, "emb_scale", 10);
        s->emb_weight = number(kwargs, "freq_emb", 0.2);
    }
    json_decref(kwargs);
    return err;
}

/* ---- shapes ---- */

const char *htdemucs_official(sm_weights *w, const char *name, char out[160])
{
    snprintf(out, 160, "state.%s", name);
    if (sm_weights_count(w) == 0 || !sm_weights_has(w, out)) /* made-up weights have any name */
        snprintf(out, 160, "%s", name);
    return out;
}

static bool has(sm_weights *w, const char *name)
{
    char official[160];
    return sm_weights_has(w, htdemucs_official(w, name, official));
}

/* Dimension `axis` of a tensor; 0: it is not there. */
static int64_t dim(sm_weights *w, int axis, const char *name)
{
    char official[160];
    nn_tensor t;
    htdemucs_official(w, name, official);
    return sm_weights_has(w, official) && sm_weights_get(w, official, NULL, &t) == 0 && axis < t.shape.rank
               ? t.shape.dim[axis]
               : 0;
}

static int count(sm_weights *w, const char *format)
{
    char name[128];
    int n = 0;
    do
        snprintf(name, sizeof name, format, n);
    while (has(w, name) && ++n < 64);
    return n;
}

static int read_shapes(sm_weights *w, htdemucs_size *s)
{
    const int64_t c0 = dim(w, 0, "encoder.0.conv.weight"), c1 = dim(w, 0, "encoder.1.conv.weight"),
                  hidden = dim(w, 0, "encoder.0.dconv.layers.0.0.weight"),
                  decoder_hidden = dim(w, 0, "decoder.3.dconv.layers.0.0.weight"),
                  out = dim(w, 1, "decoder.3.conv_tr.weight"), rows = dim(w, 0, "freq_emb.embedding.weight");
    if (c0 < 1 || c0 > 4096 || c1 < c0 || c1 % c0 || c1 / c0 > 8 || out < 4 || out % 4 ||
        out / 4 > HTDEMUCS_MAX_SOURCES)
        return sm_fail(SM_EFORMAT, "%s: %lld and %lld channels, %lld rows of output: not an HTDemucs of depth 4",
                       sm_weights_label(w), (long long)c0, (long long)c1, (long long)out);
    set_width(s, c0, c1 / c0);
    s->n_sources = (int)(out / 4);
    s->dconv_encoder = hidden > 0;
    s->dconv_decoder = decoder_hidden > 0;
    if (hidden > 0 || decoder_hidden > 0) {
        s->dconv_comp = (int)(c0 / SM_MAX(hidden, decoder_hidden));
        s->dconv_depth =
            count(w, hidden > 0 ? "encoder.0.dconv.layers.%d.0.weight" : "decoder.3.dconv.layers.%d.0.weight");
    }
    if (rows > 0)
        s->nfft = (int)SM_MIN(rows, 1 << 17) * 2 * HTDEMUCS_STRIDE;
    else
        s->emb_weight = 0;
    s->bottom = (int)SM_MIN(dim(w, 0, "channel_upsampler.weight"), 1 << 20);
    s->t_layers = count(w, "crosstransformer.layers.%d.linear1.weight");
    s->t_hidden = (int)SM_MIN(dim(w, 0, "crosstransformer.layers.0.linear1.weight"), 1 << 20);
    return 0;
}

/* ---- all of it ---- */

static int check(const char *label, const htdemucs_size *s)
{
    const int d = s->bottom ? s->bottom : s->width[HTDEMUCS_DEPTH - 1];
    if (s->nfft < 512 || s->nfft % 512 || s->nfft > 65536) /* four layers of stride 4 leave whole rows */
        return sm_fail(SM_EUNSUPPORTED, "%s: transforms of %d samples; multiples of 512 up to 65536 are possible",
                       label, s->nfft);
    if (s->segment <= s->nfft || s->segment > 1 << 26 || s->rate_hz < 8000 || s->rate_hz > 192000)
        return sm_fail(SM_EUNSUPPORTED, "%s: segments of %lld samples at %d Hz", label, (long long)s->segment,
                       s->rate_hz);
    if (s->t_layers < 0 || s->t_heads < 1 || d % s->t_heads || d % 4 || d < 8)
        return sm_fail(SM_EUNSUPPORTED, "%s: a transformer of width %d with %d heads", label, d, s->t_heads);
    if (s->dconv_comp < 1 || s->width[0] / s->dconv_comp < 1 || s->dconv_depth < 0 || s->dconv_depth > 16)
        return sm_fail(SM_EUNSUPPORTED, "%s: residual branches of %d channels / %d", label, s->width[0], s->dconv_comp);
    return 0;
}

static int read_config(const sm_model_config *c, htdemucs_size *s)
{
    int err = 0;
    s->n_sources = (int)sm_config_int(c, "sources", s->n_sources, 1, HTDEMUCS_MAX_SOURCES, &err);
    const int64_t channels = sm_config_int(c, "channels", s->width[0], 1, 1024, &err);
    if (channels != s->width[0])
        set_width(s, channels, s->width[1] / s->width[0]);
    s->t_layers = (int)sm_config_int(c, "t_layers", s->t_layers, 0, 64, &err);
    s->t_heads = (int)sm_config_int(c, "t_heads", s->t_heads, 1, 1024, &err);
    s->bottom = (int)sm_config_int(c, "bottom", s->bottom, 0, 8192, &err);
    s->segment = sm_config_int(c, "segment", s->segment, 1, 1 << 26, &err);
    s->nfft = (int)sm_config_int(c, "nfft", s->nfft, 512, 65536, &err);
    const int mode =
        (int)sm_config_int(c, "dconv", (s->dconv_encoder ? 1 : 0) + (s->dconv_decoder ? 2 : 0), 0, 3, &err);
    s->dconv_encoder = mode & 1;
    s->dconv_decoder = mode & 2;
    return err;
}

int htdemucs_size_read(const sm_model *m, sm_weights *w, const sm_model_config *c, htdemucs_size *out)
{
    const char *kwargs = sm_weights_meta(w, "kwargs"), *label = sm_weights_label(w);
    int err = 0;
    official(m, out);
    if (kwargs)
        err = read_kwargs(label, kwargs, out);
    if (err == 0 && sm_weights_count(w) > 0 && has(w, "encoder.0.conv.weight") && has(w, "decoder.3.conv_tr.weight"))
        err = read_shapes(w, out);
    if (err == 0)
        err = read_config(c, out);
    if (err < 0)
        return err;
    for (int i = 0; i < out->n_sources; i++)
        if (!out->sources[i][0]) {
            if (i < (int)SM_LENGTH(source_names))
                snprintf(out->sources[i], sizeof out->sources[i], "%s", source_names[i]);
            else
                snprintf(out->sources[i], sizeof out->sources[i], "source%d", i + 1);
        }
    if (!out->t_hidden)
        out->t_hidden = 4 * (out->bottom ? out->bottom : out->width[HTDEMUCS_DEPTH - 1]);
    out->hop = out->nfft / 4;
    out->bins = out->nfft / 2;
    out->frames = (int)((out->segment + out->hop - 1) / out->hop);
    return check(label, out);
}
