/* HTDemucs' bottleneck: two stacks of tokens, one a branch, that attend to themselves (even layers) and to each other (odd ones).
 * demucs/transformer.py (Rouard, Massa, Défossez 2023). Tokens are [B, N, D]. */
#include <math.h>

#include "models/htdemucs.h"

typedef struct {
    nn_graph *g;
    const nn_source *w;
    const htdemucs_size *s;
    int64_t batch, d;
} transformer;

static nn_id weight(const transformer *t, const char *layer, const char *part, nn_shape shape)
{
    return nn_weight(t->g, t->w, nn_name(t->g, "%s.%s", layer, part), shape);
}

static nn_id vector(const transformer *t, const char *layer, const char *part, int64_t n)
{
    return weight(t, layer, part, NN_SHAPE(n));
}

static nn_id tap(const transformer *t, const char *layer, const char *part, nn_id x)
{
    return nn_tap(t->g, nn_name(t->g, "%s.%s", layer, part), x);
}

/* ---- positions, in float as the original computes them ---- */

/* Time tokens: cosines in the first half, sines in the second. */
static void positions_1d(const htdemucs_size *s, int64_t n, int64_t d, float *out)
{
    const int64_t half = d / 2;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < half; k++) {
            const float phase = (float)i / powf((float)s->t_period, (float)k / (float)(half - 1));
            out[i * d + k] = cosf(phase) * (float)s->t_weight;
            out[i * d + half + k] = sinf(phase) * (float)s->t_weight;
        }
}

/* Frequency tokens, frame outer: sine and cosine in turn, of the frame in the first half and of the row in the second. */
static void positions_2d(const htdemucs_size *s, int64_t frames, int64_t rows, int64_t d, float *out)
{
    const int64_t half = d / 2;
    for (int64_t i = 0; i < frames * rows; i++)
        for (int64_t c = 0; c < half / 2; c++) {
            const float rate = expf((float)(2 * c) * (float)-(log(s->t_period) / (double)half));
            const float at[2] = { (float)(i / rows) * rate, (float)(i % rows) * rate };
            for (int p = 0; p < 2; p++) {
                out[i * d + p * half + 2 * c] = sinf(at[p]) * (float)s->t_weight;
                out[i * d + p * half + 2 * c + 1] = cosf(at[p]) * (float)s->t_weight;
            }
        }
}

/* x + its positions; rows 0: the time branch. */
static nn_id add_positions(const transformer *t, nn_id x, int64_t rows)
{
    const int64_t n = nn_shape_of(t->g, x).dim[1];
    if (nn_graph_error(t->g))
        return NN_NONE;
    float *e = sm_alloc((size_t)(n * t->d), sizeof *e);
    if (!e) {
        nn_graph_fail(t->g, SM_ENOMEM, "no memory for positions");
        return NN_NONE;
    }
    if (rows)
        positions_2d(t->s, n / rows, rows, t->d, e);
    else
        positions_1d(t->s, n, t->d, e);
    const nn_id c = nn_const_f32(t->g, NN_SHAPE(1, n, t->d), e);
    sm_free(e);
    return nn_binary(t->g, NN_ADD, x, c);
}

/* ---- layers ---- */

static nn_id layer_norm(const transformer *t, const char *layer, const char *part, nn_id x)
{
    const nn_id gamma = weight(t, layer, nn_name(t->g, "%s.weight", part), NN_SHAPE(t->d)),
                beta = weight(t, layer, nn_name(t->g, "%s.bias", part), NN_SHAPE(t->d));
    return tap(t, layer, part, nn_layer_norm(t->g, x, gamma, beta, 1e-5f));
}

/* One mean and one variance over all tokens and channels. */
static nn_id token_norm(const transformer *t, const char *layer, nn_id x)
{
    static const int swap[3] = { 0, 2, 1 };
    x = nn_group_norm(t->g, nn_permute(t->g, x, swap), vector(t, layer, "norm_out.weight", t->d),
                      vector(t, layer, "norm_out.bias", t->d), 1, 1e-5f);
    return tap(t, layer, "norm_out", nn_permute(t->g, x, swap));
}

/* Rows part * D .. of the three stacked projections, applied and cut into heads: [B, heads, N, D / heads]. */
static nn_id project(const transformer *t, const char *name, int part, nn_id x)
{
    static const int heads_first[4] = { 0, 2, 1, 3 };
    const int64_t d = t->d, n = nn_shape_of(t->g, x).dim[1];
    const nn_id w = weight(t, name, "in_proj_weight", NN_SHAPE(3 * d, d)), b = vector(t, name, "in_proj_bias", 3 * d);
    x = nn_linear(t->g, x, nn_slice(t->g, w, 0, part * d, (part + 1) * d, 1),
                  nn_slice(t->g, b, 0, part * d, (part + 1) * d, 1));
    x = nn_reshape(t->g, x, NN_SHAPE(t->batch, n, t->s->t_heads, d / t->s->t_heads));
    return nn_permute(t->g, x, heads_first);
}

static nn_id multi_head(const transformer *t, const char *layer, const char *part, nn_id q, nn_id kv)
{
    static const int tokens_first[4] = { 0, 2, 1, 3 };
    const char *name = nn_name(t->g, "%s.%s", layer, part);
    const nn_attention_attrs a = { .scale = 1 / sqrtf((float)(t->d / t->s->t_heads)) };
    const int64_t n = nn_shape_of(t->g, q).dim[1];
    nn_id x = nn_attention(t->g, project(t, name, 0, q), project(t, name, 1, kv), project(t, name, 2, kv), NN_NONE,
                           NN_NONE, &a);
    x = nn_reshape(t->g, nn_permute(t->g, x, tokens_first), NN_SHAPE(t->batch, n, t->d));
    x = nn_linear(t->g, x, weight(t, name, "out_proj.weight", NN_SHAPE(t->d, t->d)),
                  vector(t, name, "out_proj.bias", t->d));
    return nn_tap(t->g, name, x);
}

static nn_id feed_forward(const transformer *t, const char *layer, nn_id x)
{
    const int64_t d = t->d, hidden = t->s->t_hidden;
    x = nn_linear(t->g, x, weight(t, layer, "linear1.weight", NN_SHAPE(hidden, d)),
                  vector(t, layer, "linear1.bias", hidden));
    x = nn_unary(t->g, NN_GELU, tap(t, layer, "linear1", x));
    x = nn_linear(t->g, x, weight(t, layer, "linear2.weight", NN_SHAPE(d, hidden)),
                  vector(t, layer, "linear2.bias", d));
    return tap(t, layer, "linear2", x);
}

static nn_id scaled(const transformer *t, const char *layer, const char *part, nn_id x)
{
    return nn_binary(t->g, NN_MUL, x, vector(t, layer, nn_name(t->g, "%s.scale", part), t->d));
}

/* Attention to itself (other NN_NONE) or to the other stack, then the feed-forward part; norms come first in both. */
static nn_id run_layer(const transformer *t, const char *name, nn_id x, nn_id other)
{
    const bool cross = other != NN_NONE;
    nn_scope(t->g, "%s", name);
    const nn_id q = layer_norm(t, name, "norm1", x);
    const nn_id kv = cross ? layer_norm(t, name, "norm2", other) : q;
    nn_id y = multi_head(t, name, cross ? "cross_attn" : "self_attn", q, kv);
    x = nn_binary(t->g, NN_ADD, x, scaled(t, name, "gamma_1", y));
    y = feed_forward(t, name, layer_norm(t, name, cross ? "norm3" : "norm2", x));
    x = nn_binary(t->g, NN_ADD, x, scaled(t, name, "gamma_2", y));
    return nn_tap(t->g, name, token_norm(t, name, x));
}

void htdemucs_transformer(nn_graph *g, const htdemucs_size *s, const nn_source *w, int64_t rows, nn_id *freq,
                          nn_id *time)
{
    const nn_shape f = nn_shape_of(g, *freq);
    const transformer t = { g, w, s, f.dim[0], f.dim[2] };
    if (nn_graph_error(g))
        return;
    nn_scope(g, "crosstransformer");
    nn_id x = add_positions(&t, layer_norm(&t, "crosstransformer", "norm_in", *freq), rows);
    nn_id xt = add_positions(&t, layer_norm(&t, "crosstransformer", "norm_in_t", *time), 0);
    nn_tap(g, "crosstransformer.in", x);
    nn_tap(g, "crosstransformer.in_t", xt);
    for (int i = 0; i < s->t_layers; i++) {
        const char *name = nn_name(g, "crosstransformer.layers.%d", i),
                   *name_t = nn_name(g, "crosstransformer.layers_t.%d", i);
        const nn_id old = x, old_t = xt;
        x = run_layer(&t, name, old, i % 2 ? old_t : NN_NONE);
        xt = run_layer(&t, name_t, old_t, i % 2 ? old : NN_NONE);
    }
    *freq = x;
    *time = xt;
}
