/* HTDemucs, Demucs v4 (Rouard, Massa, Défossez: Hybrid Transformers for Music Source Separation, 2023): a stereo chunk into its
 * sources, by a U-net over the spectrum and one over the samples that meet in a cross-transformer.
 *
 * Input   freq  [B, 4, 2048, 336]   spectrum of the chunk, left re, left im, right re, right im; mean 0, deviation 1
 *         time  [B, 2, 343980]      its samples; mean 0, deviation 1
 * Output  freq  [B, 4 S, 2048, 336] and time [B, 2 S, 343980], to be scaled back, transformed and added (htdemucs_chunk.c)
 *
 * Canonical tensors are the original's own: encoder.i, tencoder.i, decoder.i, tdecoder.i, freq_emb, channel_(up|down)sampler(_t),
 * crosstransformer.*. Official packages (.th) and the author's safetensors have them under these names. */
#include <string.h>

#include "models/htdemucs.h"
#include "models/view.h"

typedef struct {
    nn_graph *g;
    const nn_source *w;
    const htdemucs_size *s;
    const htdemucs_rows *rows;
    int64_t batch;
} network;

static nn_id weight(const network *n, const char *layer, const char *part, nn_shape shape)
{
    return nn_weight(n->g, n->w, nn_name(n->g, "%s.%s", layer, part), shape);
}

static nn_id tap(const network *n, const char *layer, const char *part, nn_id x)
{
    return nn_tap(n->g, nn_name(n->g, "%s.%s", layer, part), x);
}

/* A convolution `layer.part` with its bias. */
static nn_id conv(const network *n, const char *layer, const char *part, nn_id x, nn_shape kernel,
                  const nn_conv_attrs *a)
{
    const nn_id k = weight(n, layer, nn_name(n->g, "%s.weight", part), kernel);
    const nn_id b = weight(n, layer, nn_name(n->g, "%s.bias", part), NN_SHAPE(kernel.dim[0]));
    return nn_conv(n->g, x, k, b, a);
}

static nn_id group_norm(const network *n, const char *layer, const char *part, nn_id x)
{
    const int64_t c = nn_shape_of(n->g, x).dim[1];
    const nn_id gamma = weight(n, layer, nn_name(n->g, "%s.weight", part), NN_SHAPE(c)),
                beta = weight(n, layer, nn_name(n->g, "%s.bias", part), NN_SHAPE(c));
    return nn_group_norm(n->g, x, gamma, beta, 1, 1e-5f);
}

/* ---- residual branches along time, x [items, C, T]; statistics are of an item ---- */

static nn_id branch(const network *n, const char *layer, int d, nn_id x, int64_t c)
{
    const int64_t h = c / n->s->dconv_comp;
    const nn_conv_attrs wide = { .dilation = { 1 << d }, .pad_before = { 1 << d }, .pad_after = { 1 << d } },
                        plain = { 0 };
    const char *name = nn_name(n->g, "%s.dconv.layers.%d", layer, d);
    x = group_norm(n, name, "1", conv(n, name, "0", x, NN_SHAPE(h, c, 3), &wide));
    x = conv(n, name, "3", nn_unary(n->g, NN_GELU, x), NN_SHAPE(2 * c, h, 1), &plain);
    x = nn_glu(n->g, group_norm(n, name, "4", x), 1);
    x = nn_binary(n->g, NN_MUL, x, nn_reshape(n->g, weight(n, name, "6.scale", NN_SHAPE(c)), NN_SHAPE(c, 1)));
    return nn_tap(n->g, name, x);
}

/* x [B, C, F, T] with its F rows as items: [B F, C, T]. For one chunk in the form that moves nothing when channels come last. */
static nn_id rows_out(nn_graph *g, nn_id x, const nn_shape *s)
{
    static const int rows_first[4] = { 0, 2, 1, 3 }, batch_last[4] = { 2, 1, 3, 0 };
    x = nn_permute(g, x, s->dim[0] == 1 ? batch_last : rows_first);
    return nn_reshape(g, x, NN_SHAPE(s->dim[0] * s->dim[2], s->dim[1], s->dim[3]));
}

/* And back. */
static nn_id rows_back(nn_graph *g, nn_id x, const nn_shape *s)
{
    static const int channels_first[4] = { 0, 2, 1, 3 }, batch_first[4] = { 3, 1, 0, 2 };
    if (s->dim[0] == 1)
        return nn_permute(g, nn_reshape(g, x, NN_SHAPE(s->dim[2], s->dim[1], s->dim[3], 1)), batch_first);
    return nn_permute(g, nn_reshape(g, x, NN_SHAPE(s->dim[0], s->dim[2], s->dim[1], s->dim[3])), channels_first);
}

/* x [B, C, T], or [B, C, F, T] whose F rows are items of their own. */
static nn_id dconv(const network *n, const char *layer, nn_id x)
{
    const nn_shape s = nn_shape_of(n->g, x);
    if (s.rank == 4)
        x = rows_out(n->g, x, &s);
    for (int d = 0; d < n->s->dconv_depth; d++)
        x = nn_binary(n->g, NN_ADD, x, branch(n, layer, d, x, s.dim[1]));
    tap(n, layer, "dconv", x);
    return s.rank == 4 ? rows_back(n->g, x, &s) : x;
}

/* ---- encoder and decoder layers; time: x [B, C, L], frequency: x [B, C, F, T] ---- */

static nn_id encode(const network *n, const char *layer, nn_id x, int64_t c)
{
    const nn_shape s = nn_shape_of(n->g, x);
    const bool time = s.rank == 3;
    const int odd = time ? (int)(s.dim[2] % HTDEMUCS_STRIDE) : 0; /* zeros follow up to a whole number of strides */
    const nn_conv_attrs a = { .stride = { HTDEMUCS_STRIDE, 1 },
                              .pad_before = { 2 },
                              .pad_after = { 2 + (odd ? HTDEMUCS_STRIDE - odd : 0) } },
                        plain = { 0 };
    const int64_t in = s.dim[1];
    nn_scope(n->g, "%s", layer);
    x = conv(n, layer, "conv", x, time ? NN_SHAPE(c, in, HTDEMUCS_KERNEL) : NN_SHAPE(c, in, HTDEMUCS_KERNEL, 1), &a);
    x = nn_unary(n->g, NN_GELU, tap(n, layer, "conv", x));
    if (n->s->dconv_encoder)
        x = dconv(n, layer, x);
    x = conv(n, layer, "rewrite", x, time ? NN_SHAPE(2 * c, c, 1) : NN_SHAPE(2 * c, c, 1, 1), &plain);
    return nn_tap(n->g, layer, nn_glu(n->g, tap(n, layer, "rewrite", x), 1));
}

/* The last layers' filters and biases, summed into the rows that are wanted: [C, per * rows, 8(, 1)] and [per * rows]. */
static int sum_rows(const network *n, const char *layer, int64_t c, int per, nn_id *filter, nn_id *bias)
{
    const int sources = n->s->n_sources, out = n->rows->n;
    const int64_t unit = (int64_t)per * HTDEMUCS_KERNEL; /* floats of a source and an input channel */
    nn_shape fs = NN_SHAPE(c, per * sources, HTDEMUCS_KERNEL, 1);
    const nn_shape bs = NN_SHAPE(per * sources);
    nn_tensor f, b;
    fs.rank = per == 4 ? 4 : 3;
    int err = n->w->get(n->w->user, nn_name(n->g, "%s.conv_tr.weight", layer), &fs, &f);
    if (err == 0)
        err = n->w->get(n->w->user, nn_name(n->g, "%s.conv_tr.bias", layer), &bs, &b);
    if (err < 0)
        return nn_graph_fail(n->g, err, "%s", sm_last_error());
    float *sum = sm_alloc_zero((size_t)(c * out * unit + out * per), sizeof *sum);
    if (!sum)
        return nn_graph_fail(n->g, SM_ENOMEM, "no memory for the last layer's filters");
    float *sum_b = sum + c * out * unit;
    for (int r = 0; r < out; r++)
        for (int s = 0; s < sources; s++) {
            const float k = n->rows->rows[r][s];
            for (int64_t i = 0; i < c && k != 0; i++)
                for (int64_t j = 0; j < unit; j++)
                    sum[(i * out + r) * unit + j] += k * ((const float *)f.data)[(i * sources + s) * unit + j];
            for (int j = 0; j < per; j++)
                sum_b[r * per + j] += k * ((const float *)b.data)[s * per + j];
        }
    fs.dim[1] = out * per;
    *filter = nn_const_f32(n->g, fs, sum);
    *bias = nn_const_f32(n->g, NN_SHAPE(out * per), sum_b);
    sm_free(sum);
    return nn_graph_error(n->g);
}

static bool rows_are_all(const network *n)
{
    htdemucs_rows all;
    htdemucs_all_rows(n->s, &all);
    return n->rows->n == all.n && !memcmp(n->rows->rows, all.rows, sizeof all.rows);
}

/* The transposed convolution, cut to `length` steps from the third one on; out 0: the last layer. */
static nn_id transposed(const network *n, const char *layer, nn_id x, int64_t out, int64_t length)
{
    const nn_shape s = nn_shape_of(n->g, x);
    const bool time = s.rank == 3;
    const int per = time ? HTDEMUCS_CHANNELS : 2 * HTDEMUCS_CHANNELS;
    const int64_t c = s.dim[1], whole = (s.dim[2] - 1) * HTDEMUCS_STRIDE + HTDEMUCS_KERNEL;
    const nn_conv_transpose_attrs full = { .stride = { HTDEMUCS_STRIDE, 1 } }, a = {
        .stride = { HTDEMUCS_STRIDE, 1 }, .pad_before = { 2 }, .pad_after = { (int)(whole - 2 - length) }
    };
    nn_id filter = NN_NONE, bias = NN_NONE;
    if (out || rows_are_all(n)) {
        out = out ? out : (int64_t)n->s->n_sources * per;
        filter = weight(n, layer, "conv_tr.weight",
                        time ? NN_SHAPE(c, out, HTDEMUCS_KERNEL) : NN_SHAPE(c, out, HTDEMUCS_KERNEL, 1));
        bias = weight(n, layer, "conv_tr.bias", NN_SHAPE(out));
    } else if (sum_rows(n, layer, c, per, &filter, &bias) < 0)
        return NN_NONE;
    tap(n, layer, "conv_tr", nn_conv_transpose(n->g, x, filter, bias, &full)); /* before the cut: only when traced */
    return nn_conv_transpose(n->g, x, filter, bias, &a);
}

static nn_id decode(const network *n, const char *layer, nn_id x, nn_id skip, int64_t out, int64_t length)
{
    const nn_conv_attrs near = { .pad_before = { 1, 1 }, .pad_after = { 1, 1 } };
    const nn_shape s = nn_shape_of(n->g, x);
    const bool time = s.rank == 3;
    const int64_t c = s.dim[1];
    nn_scope(n->g, "%s", layer);
    x = conv(n, layer, "rewrite", nn_binary(n->g, NN_ADD, x, skip),
             time ? NN_SHAPE(2 * c, c, 3) : NN_SHAPE(2 * c, c, 3, 3), &near);
    x = nn_glu(n->g, tap(n, layer, "rewrite", x), 1);
    if (n->s->dconv_decoder)
        x = dconv(n, layer, x);
    x = transposed(n, layer, tap(n, layer, "pre", x), out, length);
    return nn_tap(n->g, layer, out ? nn_unary(n->g, NN_GELU, x) : x);
}

/* ---- the bottom ---- */

/* A 1x1 convolution over x [B, C, N]. */
static nn_id sampler(const network *n, const char *name, nn_id x, int64_t out)
{
    const nn_conv_attrs plain = { 0 };
    const nn_id k = weight(n, name, "weight", NN_SHAPE(out, nn_shape_of(n->g, x).dim[1], 1));
    nn_scope(n->g, "%s", name);
    return nn_tap(n->g, name, nn_conv(n->g, x, k, weight(n, name, "bias", NN_SHAPE(out)), &plain));
}

/* x [B, C, F, T], xt [B, C, N] to tokens, through the transformer, and back. */
static void bottom(const network *n, nn_id *x, nn_id *xt)
{
    static const int frames_first[4] = { 0, 3, 2, 1 }, swap[3] = { 0, 2, 1 };
    const nn_shape s = nn_shape_of(n->g, *x);
    const int64_t b = s.dim[0], c = s.dim[1], f = s.dim[2], t = s.dim[3], d = n->s->bottom ? n->s->bottom : c;
    nn_id y = *x, yt = *xt;
    if (!n->s->t_layers || nn_graph_error(n->g))
        return;
    if (n->s->bottom) {
        y = sampler(n, "channel_upsampler", nn_reshape(n->g, y, NN_SHAPE(b, c, f * t)), d);
        yt = sampler(n, "channel_upsampler_t", yt, d);
    }
    y = nn_permute(n->g, nn_reshape(n->g, y, NN_SHAPE(b, d, f, t)), frames_first);
    y = nn_reshape(n->g, y, NN_SHAPE(b, t * f, d));
    yt = nn_permute(n->g, yt, swap);
    htdemucs_transformer(n->g, n->s, n->w, f, &y, &yt);
    y = nn_permute(n->g, nn_reshape(n->g, y, NN_SHAPE(b, t, f, d)), frames_first);
    yt = nn_permute(n->g, yt, swap);
    if (n->s->bottom) {
        y = sampler(n, "channel_downsampler", nn_reshape(n->g, y, NN_SHAPE(b, d, f * t)), c);
        yt = sampler(n, "channel_downsampler_t", yt, c);
    }
    *x = nn_reshape(n->g, y, s);
    *xt = yt;
}

/* x[c][f][t] + 0.2 * (10 * weight[f][c]) */
static nn_id add_embedding(const network *n, nn_id x)
{
    static const int swap[2] = { 1, 0 };
    const nn_shape s = nn_shape_of(n->g, x);
    const nn_id e = nn_weight(n->g, n->w, "freq_emb.embedding.weight", NN_SHAPE(s.dim[2], s.dim[1]));
    const nn_id whole = nn_binary(n->g, NN_MUL, e, nn_const_scalar(n->g, (float)n->s->emb_scale));
    const nn_id scaled = nn_binary(n->g, NN_MUL, nn_permute(n->g, nn_tap(n->g, "freq_emb", whole), swap),
                                   nn_const_scalar(n->g, (float)n->s->emb_weight));
    x = nn_binary(n->g, NN_ADD, x, nn_reshape(n->g, scaled, NN_SHAPE(1, s.dim[1], s.dim[2], 1)));
    return nn_tap(n->g, "encoder.0+emb", x);
}

int htdemucs_graph(nn_graph *g, const htdemucs_size *s, const nn_source *w, const htdemucs_rows *rows, int batch)
{
    const network n = { g, w, s, rows, batch };
    nn_id x = nn_input(g, "freq", NN_SHAPE(batch, 2 * HTDEMUCS_CHANNELS, s->bins, s->frames)),
          xt = nn_input(g, "time", NN_SHAPE(batch, HTDEMUCS_CHANNELS, s->segment));
    nn_id skip[HTDEMUCS_DEPTH], skip_t[HTDEMUCS_DEPTH];
    int64_t length[HTDEMUCS_DEPTH], length_t[HTDEMUCS_DEPTH]; /* before each layer */

    for (int i = 0; i < HTDEMUCS_DEPTH; i++) {
        length[i] = nn_shape_of(g, x).dim[2];
        length_t[i] = nn_shape_of(g, xt).dim[2];
        skip_t[i] = xt = encode(&n, nn_name(g, "tencoder.%d", i), xt, s->width[i]);
        x = encode(&n, nn_name(g, "encoder.%d", i), x, s->width[i]);
        if (i == 0 && s->emb_weight != 0)
            x = add_embedding(&n, x);
        skip[i] = x;
    }
    bottom(&n, &x, &xt);
    for (int i = HTDEMUCS_DEPTH - 1; i >= 0; i--) {
        const int k = HTDEMUCS_DEPTH - 1 - i;
        x = decode(&n, nn_name(g, "decoder.%d", k), x, skip[i], i ? s->width[i - 1] : 0, length[i]);
        xt = decode(&n, nn_name(g, "tdecoder.%d", k), xt, skip_t[i], i ? s->width[i - 1] : 0, length_t[i]);
    }
    nn_output(g, "freq", x);
    nn_output(g, "time", xt);
    return nn_graph_error(g);
}

/* ---- the models ---- */

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    htdemucs_size s;
    htdemucs_rows rows;
    const int err = htdemucs_size_read(m, sm_view_weights(v), c, &s);
    if (err < 0)
        return nn_graph_fail(g, err, "%s", sm_last_error());
    htdemucs_all_rows(&s, &rows);
    return htdemucs_graph(g, &s, &w, &rows, SM_MAX(c->batch, 1));
}

static int adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    char official[160];
    return view_official(v, htdemucs_official(sm_view_weights(v), name, official), expected, out);
}

/* LayerScales of made-up weights are of ordinary size, so that the branches behind them count. */
static bool generated(const char *name, const nn_shape *s, double *offset, double *scale)
{
    (void)s;
    if (!sm_text_has_suffix(name, ".scale"))
        return false;
    *offset = 0.5;
    *scale = 0.25;
    return true;
}

/* The networks of htdemucs and htdemucs_ft are alike but for their numbers: the file's name tells them apart. Checked in the order of
 * models.def, where htdemucs stands behind the four. */
static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    const int *n_sources = m->binding;
    const bool plain = !strcmp(m->name, "htdemucs") || !strcmp(m->name, "htdemucs_6s");
    char last[160], time[160], cross[160];
    nn_tensor t;
    (void)card;
    variant[0] = 0;
    htdemucs_official(w, "decoder.3.conv_tr.weight", last);
    if (!sm_weights_has(w, htdemucs_official(w, "tencoder.3.rewrite.weight", time)) ||
        !sm_weights_has(w, htdemucs_official(w, "crosstransformer.norm_in.weight", cross)) ||
        !sm_weights_has(w, last) || sm_weights_get(w, last, NULL, &t) < 0 || t.shape.rank != 4 ||
        (t.shape.dim[1] == 4 * 6) != (*n_sources == 6))
        return false;
    return plain || strstr(hint, m->official) || !strcmp(hint, m->name);
}

static const int four = 4, six = 6;
#define ROOT "https://dl.fbaipublicfiles.com/demucs/hybrid_transformer/"
#define LICENCE                                                                                                        \
    "MIT or research only (Meta Platforms): the author's cards say MIT, other sources restrict the weights; code MIT"

#define HTDEMUCS(id, title, signature, sources_, chunks, text, bytes, hash)                                            \
    static const sm_model_source_file source_##id = { ROOT signature, bytes, hash, NULL };                             \
    const sm_model sm_model_##id = {                                                                                   \
        .name = #id,                                                                                                   \
        .official = title,                                                                                             \
        .task = SM_TASK_STEMS,                                                                                         \
        .field = #id,                                                                                                  \
        .summary = text,                                                                                               \
        .licence = LICENCE,                                                                                            \
        .page = "docs/models/htdemucs.md",                                                                             \
        .needs = { .rate_hz = 44100,                                                                                   \
                   .resample = SM_RESAMPLE_JULIUS,                                                                     \
                   .bands = 2,                                                                                         \
                   .patch = 343980,                                                                                    \
                   .hop = 257985,                                                                                      \
                   .when_short = SM_SHORT_ZERO,                                                                        \
                   .batch = 1 },                                                                                       \
        .sources = &source_##id,                                                                                       \
        .n_sources = 1,                                                                                                \
        .bench = { chunks, 7.8, NULL },                                                                                \
        .config_keys = htdemucs_config_keys,                                                                           \
        .activation = "linear",                                                                                        \
        .binding = &sources_,                                                                                          \
        .recognise = recognise,                                                                                        \
        .adapt = adapt,                                                                                                \
        .generated = generated,                                                                                        \
        .build = build,                                                                                                \
    }

HTDEMUCS(htdemucs_ft_drums, "f7e0c4bc", "f7e0c4bc-ba3fe64a.th", four, 0, "drums from music (htdemucs_ft)", 0, NULL);
HTDEMUCS(htdemucs_ft_bass, "d12395a8", "d12395a8-e57c48e6.th", four, 0, "bass from music (htdemucs_ft)", 0, NULL);
HTDEMUCS(htdemucs_ft_other, "92cfc3b6", "92cfc3b6-ef3bcb9c.th", four, 0,
         "what is no drums, bass or vocals (htdemucs_ft)", 0, NULL);
HTDEMUCS(htdemucs_ft_vocals, "04573f0d", "04573f0d-f3cf25b2.th", four, 0, "vocals from music (htdemucs_ft)", 0, NULL);
HTDEMUCS(htdemucs, "955717e8", "955717e8-8726e21a.th", four, 1, "music into drums, bass, other, vocals", 84141911,
         "8726e21a993978c7ba086d3872e7608d7d5bfca646ca4aca459ffda844faa8b4");
HTDEMUCS(htdemucs_6s, "5c90dfd2", "5c90dfd2-34c22ccb.th", six, 1,
         "music into drums, bass, other, vocals, guitar, piano", 54996327,
         "34c22ccb381c6f9fdbf324f04e1e2fe21aaaf293f5ded163a162697ff9a02ddd");
