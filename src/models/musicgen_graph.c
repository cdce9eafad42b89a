/* MusicGen's decoder: a pre-norm transformer without biases in its linear layers.
 *
 *     x += out_proj(attention(LN1(x)))                 to itself and all before, through a cache
 *     x += out_proj_c(attention(LNc(x), text))         not in melody models, nor in rows without a text (it would add zeros)
 *     x += linear2(gelu(linear1(LN2(x))))
 *     logits[k] = linears.k(LN(x))
 *
 * Canonical names are AudioCraft's. */
#include <math.h>
#include <string.h>

#include "models/musicgen_graph.h"

int musicgen_tensor(const sm_stored *s, const char *name, const nn_shape *expected, nn_tensor *out)
{
    const char *part = strchr(name, '#');
    char whole[160];
    nn_shape all;
    if (!part)
        return sm_stored_get(s, name, expected, out);
    if (part[1] < '0' || part[1] > '2' || (size_t)(part - name) >= sizeof whole || !expected)
        return sm_fail(SM_EINTERNAL, "'%s' names no part of a tensor", name);
    snprintf(whole, sizeof whole, "%.*s", (int)(part - name), name);
    all = *expected;
    all.dim[0] *= 3;
    const int err = sm_stored_get(s, whole, &all, out);
    if (err < 0)
        return err;
    out->shape = *expected;
    out->data =
        (const char *)out->data + (size_t)(part[1] - '0') * (size_t)nn_elements(expected) * nn_type_size(out->type);
    return 0;
}

static int get(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    return musicgen_tensor(user, name, expected, out);
}

nn_source musicgen_source(sm_stored *s)
{
    return (nn_source){ get, s, sm_weights_label(s->weights) };
}

typedef struct {
    nn_graph *g;
    const nn_source *w;
    const sm_musicgen_size *s;
    const musicgen_shape *shape;
    nn_id position, text;
} network;

static nn_id linear(const network *n, const char *name, nn_id x, int64_t in, int64_t out)
{
    return nn_linear(n->g, x, nn_weight(n->g, n->w, name, NN_SHAPE(out, in)), NN_NONE);
}

static nn_id norm(const network *n, const char *name, nn_id x)
{
    const nn_id gamma = nn_weight(n->g, n->w, nn_name(n->g, "%s.weight", name), NN_SHAPE(n->s->width)),
                beta = nn_weight(n->g, n->w, nn_name(n->g, "%s.bias", name), NN_SHAPE(n->s->width));
    return nn_layer_norm(n->g, x, gamma, beta, 1e-5f);
}

static float scale_of(const sm_musicgen_size *s)
{
    return 1 / sqrtf((float)(s->width / s->heads));
}

static nn_id attend_to_itself(const network *n, const char *layer, int i, nn_id x)
{
    const int64_t d = n->s->width;
    const nn_shape cache = NN_SHAPE(2, n->shape->rows, n->s->heads, n->shape->room, d / n->s->heads);
    const nn_id state = nn_state_typed(n->g, nn_name(n->g, "cache.%d", i), n->shape->half ? NN_F16 : NN_F32, cache);
    nn_id y = linear(n, nn_name(n->g, "%s.self_attn.in_proj_weight", layer), x, d, 3 * d);
    y = nn_cached_attention(n->g, y, state, n->position, scale_of(n->s));
    return linear(n, nn_name(n->g, "%s.self_attn.out_proj.weight", layer), y, d, d);
}

/* [tokens, width] as heads: [1, heads, tokens, width / heads] */
static nn_id heads(const network *n, nn_id x, int64_t tokens)
{
    static const int heads_first[4] = { 0, 2, 1, 3 };
    const nn_id y = nn_reshape(n->g, x, NN_SHAPE(1, tokens, n->s->heads, n->s->width / n->s->heads));
    return nn_permute(n->g, y, heads_first);
}

/* All rows have the same text: their queries are those of one long row. */
static nn_id attend_to_text(const network *n, const char *layer, int i, nn_id x)
{
    static const int tokens_first[4] = { 0, 2, 1, 3 };
    const nn_attention_attrs a = { .scale = scale_of(n->s) };
    const int64_t d = n->s->width, queries = (int64_t)n->shape->attending * n->shape->tokens;
    const nn_id q = linear(n, nn_name(n->g, "%s.cross_attention.in_proj_weight#0", layer), x, d, d);
    const nn_id k = nn_slice(n->g, n->text, 0, 2 * i, 2 * i + 1, 1),
                v = nn_slice(n->g, n->text, 0, 2 * i + 1, 2 * i + 2, 1);
    nn_id y = nn_attention(n->g, heads(n, q, queries), heads(n, k, n->shape->text), heads(n, v, n->shape->text),
                           NN_NONE, NN_NONE, &a);
    y = nn_reshape(n->g, nn_permute(n->g, y, tokens_first), NN_SHAPE(n->shape->attending, n->shape->tokens, d));
    return linear(n, nn_name(n->g, "%s.cross_attention.out_proj.weight", layer), y, d, d);
}

/* Rows without a text stay as they are. */
static nn_id cross(const network *n, const char *layer, int i, nn_id x)
{
    const int attending = n->shape->attending, rows = n->shape->rows;
    const nn_id with = attending < rows ? nn_slice(n->g, x, 0, 0, attending, 1) : x;
    const nn_id y = attend_to_text(n, layer, i, norm(n, nn_name(n->g, "%s.norm_cross", layer), with));
    const nn_id parts[2] = { nn_binary(n->g, NN_ADD, with, y),
                             attending < rows ? nn_slice(n->g, x, 0, attending, rows, 1) : NN_NONE };
    return attending < rows ? nn_concat(n->g, parts, 2, 0) : parts[0];
}

static nn_id run_layer(const network *n, int i, nn_id x)
{
    const char *name = nn_name(n->g, "transformer.layers.%d", i);
    const int64_t d = n->s->width, h = n->s->hidden;
    nn_scope(n->g, "layer.%d", i);
    nn_id y = attend_to_itself(n, name, i, norm(n, nn_name(n->g, "%s.norm1", name), x));
    x = nn_binary(n->g, NN_ADD, x, y);
    if (n->shape->attending)
        x = cross(n, name, i, x);
    y = linear(n, nn_name(n->g, "%s.linear1.weight", name), norm(n, nn_name(n->g, "%s.norm2", name), x), d, h);
    y = linear(n, nn_name(n->g, "%s.linear2.weight", name), nn_unary(n->g, NN_GELU, y), h, d);
    return nn_tap(n->g, nn_name(n->g, "layer.%d", i), nn_binary(n->g, NN_ADD, x, y));
}

int musicgen_graph(nn_graph *g, const nn_source *w, const sm_musicgen_size *s, const musicgen_shape *shape)
{
    network n = { g, w, s, shape, NN_NONE, NN_NONE };
    nn_id x = nn_input(g, "x", NN_SHAPE(shape->rows, shape->tokens, s->width));
    n.position = nn_input_typed(g, "position", NN_I32, NN_SHAPE(1));
    if (shape->attending)
        n.text = nn_input(g, "text", NN_SHAPE(2 * s->layers, shape->text, s->width));
    for (int i = 0; i < s->layers; i++)
        x = run_layer(&n, i, x);
    if (!shape->heads) {
        nn_output(g, "hidden", x);
        return nn_graph_error(g);
    }
    nn_scope(g, "heads");
    x = norm(&n, "out_norm", x);
    for (int k = 0; k < s->codebooks; k++)
        nn_output(g, nn_name(g, "logits.%d", k), linear(&n, nn_name(g, "linears.%d.weight", k), x, s->width, s->card));
    return nn_graph_error(g);
}

int musicgen_text_graph(nn_graph *g, const nn_source *w, const sm_musicgen_size *s, int text)
{
    const network n = { g, w, s, NULL, NN_NONE, NN_NONE };
    const nn_id c = nn_input(g, "condition", NN_SHAPE(text, s->width));
    nn_scope(g, "text");
    for (int i = 0; i < s->layers; i++)
        for (int part = 1; part <= 2; part++) {
            const char *name = nn_name(g, "transformer.layers.%d.cross_attention.in_proj_weight#%d", i, part);
            nn_output(g, nn_name(g, "%c.%d", part == 1 ? 'k' : 'v', i), linear(&n, name, c, s->width, s->width));
        }
    return nn_graph_error(g);
}
