/* Stable Audio's diffusion transformer (Peebles, Xie 2023; Evans and others 2024; stable-audio-tools, models/dit.py and transformer.py):
 * latents as tokens behind one token that says the time and the global condition. */
#include <math.h>

#include "models/stable_audio.h"

typedef struct {
    nn_graph *g;
    const nn_source *w;
    const sa_size *s;
    nn_id cosines, sines; /* of the rotary positions [n, rotated / 2] */
} network;

static int rotated(const sa_size *s)
{
    return SM_MAX(sa_head(s) / 2, 32);
}

static int kv_heads(const sa_size *s)
{
    return s->cond_inner / sa_head(s);
}

static nn_id weight(const network *n, const char *name, nn_shape shape)
{
    return nn_weight(n->g, n->w, nn_name(n->g, SA_DIT_PREFIX "%s", name), shape);
}

static nn_id tap(const network *n, const char *layer, const char *part, nn_id x)
{
    return nn_tap(n->g, nn_name(n->g, "%s.%s", layer, part), x);
}

/* Of x's last dimension; 1 where the graph has failed already, and x has none. */
static int64_t width_of(const network *n, nn_id x)
{
    const nn_shape s = nn_shape_of(n->g, x);
    return s.rank > 0 ? s.dim[s.rank - 1] : 1;
}

/* x W^T (+ b); W called NAME.weight. */
static nn_id linear(const network *n, const char *name, nn_id x, int64_t out, bool bias)
{
    const nn_id w = weight(n, nn_name(n->g, "%s.weight", name), NN_SHAPE(out, width_of(n, x)));
    return nn_linear(n->g, x, w, bias ? weight(n, nn_name(n->g, "%s.bias", name), NN_SHAPE(out)) : NN_NONE);
}

/* Rows first..last-1 of a linear layer of `all` rows. */
static nn_id linear_rows(const network *n, const char *name, nn_id x, int64_t all, int64_t first, int64_t last)
{
    const nn_id w = weight(n, nn_name(n->g, "%s.weight", name), NN_SHAPE(all, width_of(n, x))),
                b = weight(n, nn_name(n->g, "%s.bias", name), NN_SHAPE(all));
    return nn_linear(n->g, x, nn_slice(n->g, w, 0, first, last, 1), nn_slice(n->g, b, 0, first, last, 1));
}

static nn_id two_layers(const network *n, const char *name, nn_id x, int64_t out, bool bias)
{
    x = linear(n, nn_name(n->g, "%s.0", name), x, out, bias);
    return linear(n, nn_name(n->g, "%s.2", name), nn_unary(n->g, NN_SWISH, x), out, bias);
}

/* ---- what a step is told ---- */

/* t [B] -> [B, 256]: cosines, then sines; then two layers: [B, width]. */
static nn_id time_embedding(const network *n, nn_id t)
{
    const int64_t batch = nn_shape_of(n->g, t).dim[0];
    const nn_id w = weight(n, "timestep_features.weight", NN_SHAPE(128, 1));
    nn_scope(n->g, "time");
    const nn_id a = nn_binary(n->g, NN_MUL, nn_linear(n->g, nn_reshape(n->g, t, NN_SHAPE(batch, 1)), w, NN_NONE),
                              nn_const_scalar(n->g, 6.2831853071795864769f));
    const nn_id parts[2] = { nn_unary(n->g, NN_COS, a), nn_unary(n->g, NN_SIN, a) };
    const nn_id f = nn_tap(n->g, "timestep_features", nn_concat(n->g, parts, 2, 1));
    return nn_tap(n->g, "timestep_embed", two_layers(n, "to_timestep_embed", f, n->s->width, true));
}

static nn_id global_embedding(const network *n, nn_id global)
{
    nn_scope(n->g, "global");
    return nn_tap(n->g, "global_embed", two_layers(n, "to_global_embed", global, n->s->width, false));
}

static nn_id cond_embedding(const network *n, nn_id cross)
{
    nn_scope(n->g, "condition");
    return nn_tap(n->g, "cond_embed", two_layers(n, "to_cond_embed", cross, n->s->cond_inner, false));
}

/* ---- attention ---- */

/* [B, N, heads * head] -> [B, heads, N, head] */
static nn_id split_heads(const network *n, nn_id x, int heads)
{
    static const int heads_first[4] = { 0, 2, 1, 3 };
    const nn_shape s = nn_shape_of(n->g, x);
    return nn_permute(n->g, nn_reshape(n->g, x, NN_SHAPE(s.dim[0], s.dim[1], heads, sa_head(n->s))), heads_first);
}

static nn_id join_heads(const network *n, nn_id x)
{
    static const int tokens_first[4] = { 0, 2, 1, 3 };
    const nn_shape s = nn_shape_of(n->g, x);
    return nn_reshape(n->g, nn_permute(n->g, x, tokens_first), NN_SHAPE(s.dim[0], s.dim[2], s.dim[1] * s.dim[3]));
}

/* The norm over a head, where the model has it. */
static nn_id head_norm(const network *n, const char *layer, const char *part, nn_id x)
{
    if (!n->s->qk_norm)
        return x;
    const nn_shape v = NN_SHAPE(sa_head(n->s));
    const nn_id gamma = weight(n, nn_name(n->g, "%s.%s.weight", layer, part), v),
                beta = weight(n, nn_name(n->g, "%s.%s.bias", layer, part), v);
    return nn_layer_norm(n->g, x, gamma, beta, 1e-6f);
}

static nn_id attend(const network *n, nn_id q, nn_id k, nn_id v, nn_id mask)
{
    const nn_attention_attrs a = { .scale = 1 / sqrtf((float)sa_head(n->s)) };
    return join_heads(n, nn_attention(n->g, q, k, v, mask, NN_NONE, &a));
}

static nn_id self_attention(const network *n, const char *block, nn_id x)
{
    const char *name = nn_name(n->g, "%s.self_attn", block);
    const int64_t d = n->s->width;
    const nn_id all = linear(n, nn_name(n->g, "%s.to_qkv", name), x, 3 * d, false);
    nn_id part[3];
    for (int i = 0; i < 3; i++)
        part[i] = split_heads(n, nn_slice(n->g, all, 2, i * d, (i + 1) * d, 1), n->s->heads);
    part[0] = head_norm(n, name, "q_norm", part[0]);
    part[1] = head_norm(n, name, "k_norm", part[1]);
    for (int i = 0; i < 2; i++)
        part[i] = nn_rotary(n->g, part[i], n->cosines, n->sines, rotated(n->s));
    return linear(n, nn_name(n->g, "%s.to_out", name), attend(n, part[0], part[1], part[2], NN_NONE), d, false);
}

/* Keys and values of the condition: [B, kv heads, L, head] each. */
static void condition_heads(const network *n, const char *block, nn_id cond, nn_id *k, nn_id *v)
{
    const char *name = nn_name(n->g, "%s.cross_attn", block);
    const int64_t c = n->s->cond_inner;
    const nn_id all = linear(n, nn_name(n->g, "%s.to_kv", name), cond, 2 * c, false);
    *k = head_norm(n, name, "k_norm", split_heads(n, nn_slice(n->g, all, 2, 0, c, 1), kv_heads(n->s)));
    *v = split_heads(n, nn_slice(n->g, all, 2, c, 2 * c, 1), kv_heads(n->s));
}

static nn_id cross_attention(const network *n, const char *block, nn_id x, nn_id k, nn_id v, nn_id mask)
{
    const char *name = nn_name(n->g, "%s.cross_attn", block);
    const int64_t d = n->s->width;
    const nn_id q = split_heads(n, linear(n, nn_name(n->g, "%s.to_q", name), x, d, false), n->s->heads);
    return linear(n, nn_name(n->g, "%s.to_out", name), attend(n, head_norm(n, name, "q_norm", q), k, v, mask), d,
                  false);
}

/* ---- blocks ---- */

static nn_id norm(const network *n, const char *block, const char *part, nn_id x)
{
    const nn_shape v = NN_SHAPE(n->s->width);
    const nn_id gamma = weight(n, nn_name(n->g, "%s.%s.gamma", block, part), v),
                beta = weight(n, nn_name(n->g, "%s.%s.beta", block, part), v);
    return nn_layer_norm(n->g, x, gamma, beta, 1e-5f);
}

/* W2 (a silu(g)): the halves of the first layer as two products, so that the gate is done behind the second one. */
static nn_id feed_forward(const network *n, const char *block, nn_id x)
{
    const char *name = nn_name(n->g, "%s.ff.ff.0.proj", block);
    const int64_t inner = 4 * (int64_t)n->s->width;
    const nn_id gate = nn_unary(n->g, NN_SWISH, linear_rows(n, name, x, 2 * inner, inner, 2 * inner));
    x = nn_binary(n->g, NN_MUL, linear_rows(n, name, x, 2 * inner, 0, inner), gate);
    return linear(n, nn_name(n->g, "%s.ff.ff.2", block), x, n->s->width, true);
}

static nn_id add(const network *n, nn_id a, nn_id b)
{
    return nn_binary(n->g, NN_ADD, a, b);
}

/* The rows that have a condition get their cross attention; x [rows, N, width], k of `crossed` rows. */
static nn_id cross_rows(const network *n, const char *block, const char *layer, nn_id x, int crossed, nn_id k, nn_id v,
                        nn_id mask)
{
    const int64_t rows = nn_shape_of(n->g, x).dim[0];
    const nn_id some = crossed < rows ? nn_slice(n->g, x, 0, 0, crossed, 1) : x;
    const nn_id y = cross_attention(n, block, norm(n, block, "cross_attend_norm", some), k, v, mask);
    const nn_id sum = add(n, some, tap(n, layer, "cross_attn", y));
    if (crossed == rows)
        return sum;
    const nn_id parts[2] = { sum, nn_slice(n->g, x, 0, crossed, rows, 1) };
    return nn_concat(n->g, parts, 2, 0);
}

/* Block i; rows: how many the result has (the first block is given one row: both branches begin alike). */
static nn_id run_block(const network *n, int i, nn_id x, int rows, int crossed, nn_id k, nn_id v, nn_id mask)
{
    const char *block = nn_name(n->g, "transformer.layers.%d", i), *layer = nn_name(n->g, "layer.%d", i);
    nn_scope(n->g, "%s", layer);
    x = add(n, x, tap(n, layer, "self_attn", self_attention(n, block, norm(n, block, "pre_norm", x))));
    if (nn_shape_of(n->g, x).dim[0] < rows) {
        const nn_id twice[2] = { x, x };
        x = nn_concat(n->g, twice, 2, 0);
    }
    x = cross_rows(n, block, layer, x, crossed, k, v, mask);
    x = add(n, x, tap(n, layer, "ff", feed_forward(n, block, norm(n, block, "ff_norm", x))));
    return nn_tap(n->g, layer, x);
}

/* ---- in and out ---- */

/* Position p, pair j: p 10000^(-2j / rotated). */
static int make_rotary(network *n, int tokens)
{
    const int half = rotated(n->s) / 2;
    float *table = sm_alloc(2 * (size_t)tokens * (size_t)half, sizeof *table);
    if (!table)
        return nn_graph_fail(n->g, SM_ENOMEM, "no memory for positions");
    float *sines = table + (size_t)tokens * (size_t)half;
    for (int p = 0; p < tokens; p++)
        for (int j = 0; j < half; j++) {
            /* in float as the original's table is: the angle of a late position depends on the rate's rounding */
            const float rate = 1 / powf(10000, (float)(2 * j) / (float)rotated(n->s)), angle = (float)p * rate;
            table[p * half + j] = (float)cos((double)angle);
            sines[p * half + j] = (float)sin((double)angle);
        }
    n->cosines = nn_const_f32(n->g, NN_SHAPE(tokens, half), table);
    n->sines = nn_const_f32(n->g, NN_SHAPE(tokens, half), sines);
    sm_free(table);
    return nn_graph_error(n->g);
}

/* A 1x1 convolution's [io, io, 1] applied to tokens [B, T, io], and added to them. */
static nn_id mix_channels(const network *n, const char *name, nn_id x)
{
    const int io = n->s->io;
    const nn_id w =
        nn_reshape(n->g, weight(n, nn_name(n->g, "%s.weight", name), NN_SHAPE(io, io, 1)), NN_SHAPE(io, io));
    return add(n, x, nn_linear(n->g, x, w, NN_NONE));
}

/* x [B, io, T] and the first token [B, width] -> [B, T + 1, width] */
static nn_id enter(const network *n, nn_id x, nn_id first)
{
    static const int swap[3] = { 0, 2, 1 };
    const nn_shape s = nn_shape_of(n->g, x);
    nn_scope(n->g, "project_in");
    x = mix_channels(n, "preprocess_conv", nn_permute(n->g, x, swap));
    x = nn_tap(n->g, "project_in", linear(n, "transformer.project_in", x, n->s->width, false));
    const nn_id parts[2] = { nn_reshape(n->g, first, NN_SHAPE(s.dim[0], 1, n->s->width)), x };
    return nn_concat(n->g, parts, 2, 1);
}

static nn_id leave(const network *n, nn_id x)
{
    static const int swap[3] = { 0, 2, 1 };
    nn_scope(n->g, "project_out");
    x = nn_tap(n->g, "project_out", linear(n, "transformer.project_out", x, n->s->io, false));
    x = nn_slice(n->g, x, 1, 1, nn_shape_of(n->g, x).dim[1], 1);
    return nn_tap(n->g, "output", nn_permute(n->g, mix_channels(n, "postprocess_conv", x), swap));
}

int sa_graph_plain(nn_graph *g, const sa_size *s, const nn_source *w, int batch, int latents, int tokens)
{
    network n = { .g = g, .w = w, .s = s };
    const nn_id x = nn_input(g, "x", NN_SHAPE(batch, s->io, latents)), t = nn_input(g, "t", NN_SHAPE(batch)),
                cross = nn_input(g, "cross", NN_SHAPE(batch, tokens, s->cond_width)),
                global = nn_input(g, "global", NN_SHAPE(batch, s->global_width));
    if (make_rotary(&n, latents + 1) < 0)
        return nn_graph_error(g);
    const nn_id cond = cond_embedding(&n, cross);
    nn_id h = enter(&n, x, add(&n, time_embedding(&n, t), global_embedding(&n, global)));
    for (int i = 0; i < s->depth; i++) {
        nn_id k, v;
        condition_heads(&n, nn_name(g, "transformer.layers.%d", i), cond, &k, &v);
        h = run_block(&n, i, h, batch, batch, k, v, NN_NONE);
    }
    nn_output(g, "v", leave(&n, h));
    return nn_graph_error(g);
}

int sa_graph_conditions(nn_graph *g, const sa_size *s, const nn_source *w, int branches, int keys)
{
    const network n = { .g = g, .w = w, .s = s };
    const nn_id cross = nn_input(g, "cross", NN_SHAPE(branches, keys, s->cond_width)),
                global = nn_input(g, "global", NN_SHAPE(1, s->global_width));
    const nn_id cond = cond_embedding(&n, cross);
    nn_output(g, "global", global_embedding(&n, global));
    for (int i = 0; i < s->depth; i++) {
        nn_id k, v;
        nn_scope(g, "layer.%d", i);
        condition_heads(&n, nn_name(g, "transformer.layers.%d", i), cond, &k, &v);
        nn_output(g, nn_name(g, "k.%d", i), k);
        nn_output(g, nn_name(g, "v.%d", i), v);
    }
    return nn_graph_error(g);
}

int sa_graph_step(nn_graph *g, const sa_size *s, const nn_source *w, const sa_form *f)
{
    network n = { .g = g, .w = w, .s = s };
    const nn_shape heads = NN_SHAPE(f->crossed, kv_heads(s), f->keys, sa_head(s));
    const nn_id x = nn_input(g, "x", NN_SHAPE(1, s->io, f->latents)), t = nn_input(g, "t", NN_SHAPE(1)),
                global = nn_input(g, "global", NN_SHAPE(1, s->width)),
                mask = nn_input(g, "mask", NN_SHAPE(f->crossed, 1, 1, f->keys));
    if (make_rotary(&n, f->latents + 1) < 0)
        return nn_graph_error(g);
    nn_id h = enter(&n, x, add(&n, time_embedding(&n, t), global));
    for (int i = 0; i < s->depth; i++) {
        const nn_id k = nn_input(g, nn_name(g, "k.%d", i), heads), v = nn_input(g, nn_name(g, "v.%d", i), heads);
        h = run_block(&n, i, h, f->rows, f->crossed, k, v, mask);
    }
    nn_output(g, "v", leave(&n, h));
    return nn_graph_error(g);
}
