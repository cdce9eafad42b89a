/* bench/nn_layers: whole networks with made-up weights, their time by step, beside the machine's sgemm in the same run.
 *
 *     build/gcc/bench/nn_layers [NET...] [--threads N] [--bf16] [--runs N] [--steps]
 *     build/gcc/bench/nn_layers decoder.0.rewrite --steps      (one layer of HTDemucs; rates of steps count)
 *
 * A unit of work is 10 s of audio, batched. Effective share = multiply-adds of the plain definition x 2 / time / sgemm's rate. */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- made-up weights, scaled so that numbers keep their size through a network ---- */

typedef struct block {
    struct block *next;
    char name[80];
    nn_shape shape;
    float data[];
} block;

static int made_up(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    block **first = user, *b = *first;

    while (b && strcmp(b->name, name) != 0)
        b = b->next;
    if (!b) {
        const size_t n = (size_t)nn_elements(expected), fan = n / (size_t)expected->dim[0];
        const double scale = expected->rank > 1 ? sqrt(3.0 / (double)fan) : 0.5;
        const bool positive = strstr(name, "variance") != NULL;
        b = malloc(sizeof *b + n * sizeof *b->data);
        if (!b)
            return SM_ENOMEM;
        snprintf(b->name, sizeof b->name, "%s", name);
        b->shape = *expected;
        for (size_t i = 0; i < n; i++)
            b->data[i] = (float)(scale * sm_unit(sm_unit_hash(name, 1), i) + (positive ? 1 : 0));
        b->next = *first;
        *first = b;
    }
    *out = (nn_tensor){ .type = NN_F32, .shape = b->shape, .data = b->data, .scale_axis = -1 };
    return 0;
}

/* ---- the networks ---- */

/* items: of 10 s of audio; batch: how many at a time. The rest: of one layer of HTDemucs. */
typedef struct net net;
struct net {
    const char *name;
    void (*build)(nn_graph *g, const nn_source *w, const net *n);
    int items, batch;
    int in, out, rows, columns; /* rows 0: the time branch */
};

static nn_id w_of(nn_graph *g, const nn_source *w, const char *what, nn_shape s)
{
    static int serial; /* a program of one thread: names need only differ */
    return nn_weight(g, w, nn_name(g, "%s%d", what, serial++), s);
}

static nn_id norm(nn_graph *g, const nn_source *w, nn_id x)
{
    const nn_shape c = NN_SHAPE(nn_shape_of(g, x).dim[1]);
    return nn_batch_norm(g, x, w_of(g, w, "gamma", c), w_of(g, w, "beta", c), w_of(g, w, "mean", c),
                         w_of(g, w, "variance", c), 1e-3f);
}

static nn_id conv(nn_graph *g, const nn_source *w, nn_id x, int out, int kh, int kw, const nn_conv_attrs *a, bool bias)
{
    const int64_t in = nn_shape_of(g, x).dim[1] / (a->groups ? a->groups : 1);
    return nn_conv(g, x, w_of(g, w, "conv", NN_SHAPE(out, in, kh, kw)),
                   bias ? w_of(g, w, "bias", NN_SHAPE(out)) : NN_NONE, a);
}

static void crepe(nn_graph *g, const nn_source *w, int batch, int m)
{
    static const int filters[6] = { 32, 4, 4, 4, 8, 16 };
    nn_id x = nn_input(g, "frames", NN_SHAPE(batch, 1, 1024, 1));
    for (int l = 0; l < 6; l++) {
        const nn_conv_attrs a = { .stride = { l ? 1 : 4, 1 },
                                  .pad_before = { l ? 31 : 254 },
                                  .pad_after = { l ? 32 : 254 } };
        nn_scope(g, "block%d", l + 1);
        x = nn_unary(g, NN_RELU, conv(g, w, x, filters[l] * m, l ? 64 : 512, 1, &a, true));
        x = nn_max_pool(g, norm(g, w, x), &(nn_pool_attrs){ .kernel = { 2, 1 } });
    }
    nn_scope(g, "classifier");
    x = nn_permute(g, nn_reshape(g, x, NN_SHAPE(batch, 16 * m, 4)), (int[]){ 0, 2, 1 });
    x = nn_linear(g, nn_reshape(g, x, NN_SHAPE(batch, 64 * m)), w_of(g, w, "dense", NN_SHAPE(360, 64 * m)),
                  w_of(g, w, "bias", NN_SHAPE(360)));
    nn_output(g, "activation", nn_unary(g, NN_SIGMOID, x));
}

static void crepe_full(nn_graph *g, const nn_source *w, const net *n)
{
    crepe(g, w, n->batch, 32);
}

static void crepe_tiny(nn_graph *g, const nn_source *w, const net *n)
{
    crepe(g, w, n->batch, 4);
}

static void yamnet(nn_graph *g, const nn_source *w, const net *n)
{
    const int batch = n->batch;
    static const struct {
        int stride, out;
    } layer[13] = { { 1, 64 },  { 2, 128 }, { 1, 128 }, { 2, 256 }, { 1, 256 },  { 2, 512 }, { 1, 512 },
                    { 1, 512 }, { 1, 512 }, { 1, 512 }, { 1, 512 }, { 2, 1024 }, { 1, 1024 } };
    nn_id x = nn_input(g, "patches", NN_SHAPE(batch, 1, 96, 64));
    nn_scope(g, "layer1");
    x = nn_unary(g, NN_RELU,
                 norm(g, w, conv(g, w, x, 32, 3, 3, &(nn_conv_attrs){ .stride = { 2, 2 }, .same_tf = true }, false)));
    for (int i = 0; i < 13; i++) {
        const int c = (int)nn_shape_of(g, x).dim[1];
        nn_scope(g, "layer%d", i + 2);
        const nn_conv_attrs depthwise = { .stride = { layer[i].stride, layer[i].stride },
                                          .groups = c,
                                          .same_tf = true };
        x = nn_unary(g, NN_RELU, norm(g, w, conv(g, w, x, c, 3, 3, &depthwise, false)));
        x = nn_unary(g, NN_RELU, norm(g, w, conv(g, w, x, layer[i].out, 1, 1, &(nn_conv_attrs){ 0 }, false)));
    }
    nn_scope(g, "head");
    x = nn_reduce(g, NN_REDUCE_MEAN, x, 12, false);
    x = nn_linear(g, x, w_of(g, w, "dense", NN_SHAPE(521, 1024)), w_of(g, w, "bias", NN_SHAPE(521)));
    nn_output(g, "scores", nn_unary(g, NN_SIGMOID, x));
}

static nn_id musicnn_block(nn_graph *g, const nn_source *w, nn_id x, int out, int kh, int kw, const nn_conv_attrs *a)
{
    return norm(g, w, nn_unary(g, NN_RELU, conv(g, w, x, out, kh, kw, a, true)));
}

static void musicnn(nn_graph *g, const nn_source *w, const net *n)
{
    const int batch = n->batch;
    static const struct {
        int filters, kt, kf, before, after;
    } front[5] = {
        { 204, 7, 38, 3, 3 }, { 204, 7, 67, 3, 3 }, { 51, 128, 1, 63, 64 }, { 51, 64, 1, 31, 32 }, { 51, 32, 1, 15, 16 }
    };
    nn_id x = norm(g, w, nn_input(g, "mel", NN_SHAPE(batch, 1, 187, 96))), part[5], mid[4];
    for (int i = 0; i < 5; i++) {
        const nn_conv_attrs a = { .pad_before = { front[i].before }, .pad_after = { front[i].after } };
        nn_scope(g, "front%d", i + 1);
        part[i] = nn_reduce(g, NN_REDUCE_MAX, musicnn_block(g, w, x, front[i].filters, front[i].kt, front[i].kf, &a), 8,
                            true);
    }
    mid[0] = nn_concat(g, part, 5, 1);
    for (int i = 0; i < 3; i++) {
        nn_scope(g, "mid%d", i + 1);
        const nn_id y =
            musicnn_block(g, w, mid[i], 64, 7, 1, &(nn_conv_attrs){ .pad_before = { 3 }, .pad_after = { 3 } });
        mid[i + 1] = i ? nn_binary(g, NN_ADD, y, mid[i]) : y;
    }
    nn_scope(g, "back");
    x = nn_concat(g, mid, 4, 1);
    const nn_id pooled[2] = { nn_reduce(g, NN_REDUCE_MAX, x, 12, false), nn_reduce(g, NN_REDUCE_MEAN, x, 12, false) };
    x = nn_concat(g, pooled, 2, 1);
    x = nn_unary(g, NN_RELU,
                 nn_linear(g, x, w_of(g, w, "dense", NN_SHAPE(200, 1506)), w_of(g, w, "bias", NN_SHAPE(200))));
    x = nn_linear(g, x, w_of(g, w, "dense", NN_SHAPE(50, 200)), w_of(g, w, "bias", NN_SHAPE(50)));
    nn_output(g, "tags", nn_unary(g, NN_SIGMOID, x));
}

static nn_id mb_conv(nn_graph *g, const nn_source *w, nn_id x, int expand, int k, int stride, int out)
{
    const nn_id input = x;
    const int in = (int)nn_shape_of(g, x).dim[1], c = in * expand;
    if (expand > 1)
        x = nn_unary(g, NN_SWISH, conv(g, w, x, c, 1, 1, &(nn_conv_attrs){ 0 }, true));
    x = conv(g, w, x, c, k, k, &(nn_conv_attrs){ .stride = { stride, stride }, .groups = c, .same_tf = true }, true);
    x = nn_unary(g, NN_SWISH, x);
    nn_id s = nn_reduce(g, NN_REDUCE_MEAN, x, 12, true);
    s = nn_unary(g, NN_SWISH, conv(g, w, s, in / 4, 1, 1, &(nn_conv_attrs){ 0 }, true));
    s = nn_unary(g, NN_SIGMOID, conv(g, w, s, c, 1, 1, &(nn_conv_attrs){ 0 }, true));
    x = conv(g, w, nn_binary(g, NN_MUL, x, s), out, 1, 1, &(nn_conv_attrs){ 0 }, true);
    return in == out && stride == 1 ? nn_binary(g, NN_ADD, x, input) : x;
}

static void effnet(nn_graph *g, const nn_source *w, const net *n)
{
    const int batch = n->batch;
    static const struct {
        int expand, kernel, stride, out, repeat;
    } stage[7] = { { 1, 3, 1, 16, 1 },  { 6, 3, 2, 24, 2 },  { 6, 5, 2, 40, 2 }, { 6, 3, 2, 80, 3 },
                   { 6, 5, 1, 112, 3 }, { 6, 5, 2, 192, 4 }, { 6, 3, 1, 320, 1 } };
    nn_id x = nn_input(g, "mel", NN_SHAPE(batch, 1, 128, 96));
    int block_number = 0;
    nn_scope(g, "stem");
    x = nn_unary(g, NN_SWISH, conv(g, w, x, 32, 3, 3, &(nn_conv_attrs){ .stride = { 2, 2 }, .same_tf = true }, true));
    for (int s = 0; s < 7; s++)
        for (int i = 0; i < stage[s].repeat; i++) {
            nn_scope(g, "block%d", block_number++);
            x = mb_conv(g, w, x, stage[s].expand, stage[s].kernel, i ? 1 : stage[s].stride, stage[s].out);
        }
    nn_scope(g, "head");
    x = nn_reduce(g, NN_REDUCE_MEAN, nn_unary(g, NN_SWISH, conv(g, w, x, 1280, 1, 1, &(nn_conv_attrs){ 0 }, true)), 12,
                  false);
    x = nn_linear(g, x, w_of(g, w, "dense", NN_SHAPE(400, 1280)), w_of(g, w, "bias", NN_SHAPE(400)));
    nn_output(g, "styles", nn_unary(g, NN_SIGMOID, x));
}

/* A layer of HTDemucs' transformer: tokens, width, heads; kv: the tokens that are attended to. */
static nn_id heads_of(nn_graph *g, const nn_source *w, nn_id x, int heads)
{
    const nn_shape s = nn_shape_of(g, x);
    x = nn_linear(g, x, w_of(g, w, "projection", NN_SHAPE(s.dim[2], s.dim[2])), w_of(g, w, "bias", NN_SHAPE(s.dim[2])));
    return nn_permute(g, nn_reshape(g, x, NN_SHAPE(s.dim[0], s.dim[1], heads, s.dim[2] / heads)),
                      (int[]){ 0, 2, 1, 3 });
}

static nn_id token_norm(nn_graph *g, const nn_source *w, nn_id x, bool all)
{
    static const int swap[3] = { 0, 2, 1 };
    const nn_shape d = NN_SHAPE(nn_shape_of(g, x).dim[2]);
    const nn_id gamma = w_of(g, w, "gamma", d), beta = w_of(g, w, "beta", d);
    return all ? nn_permute(g, nn_group_norm(g, nn_permute(g, x, swap), gamma, beta, 1, 1e-5f), swap)
               : nn_layer_norm(g, x, gamma, beta, 1e-5f);
}

static void transformer_layer(nn_graph *g, const nn_source *w, int tokens, int others, int d)
{
    const nn_attention_attrs a = { .scale = 1 / sqrtf((float)d / 8) };
    const nn_id in = nn_input(g, "tokens", NN_SHAPE(1, SM_MAX(tokens, others), d));
    nn_id x = nn_slice(g, in, 1, 0, tokens, 1);
    nn_scope(g, "attention");
    const nn_id q = token_norm(g, w, x, false),
                kv = others ? token_norm(g, w, nn_slice(g, in, 1, 0, others, 1), false) : q;
    nn_id y = nn_attention(g, heads_of(g, w, q, 8), heads_of(g, w, kv, 8), heads_of(g, w, kv, 8), NN_NONE, NN_NONE, &a);
    y = nn_reshape(g, nn_permute(g, y, (int[]){ 0, 2, 1, 3 }), NN_SHAPE(1, tokens, d));
    y = nn_linear(g, y, w_of(g, w, "out", NN_SHAPE(d, d)), w_of(g, w, "bias", NN_SHAPE(d)));
    x = nn_binary(g, NN_ADD, x, nn_binary(g, NN_MUL, y, w_of(g, w, "gamma", NN_SHAPE(d))));
    nn_scope(g, "feed forward");
    y = nn_linear(g, token_norm(g, w, x, false), w_of(g, w, "linear1", NN_SHAPE(4 * d, d)),
                  w_of(g, w, "bias", NN_SHAPE(4 * d)));
    y = nn_linear(g, nn_unary(g, NN_GELU, y), w_of(g, w, "linear2", NN_SHAPE(d, 4 * d)),
                  w_of(g, w, "bias", NN_SHAPE(d)));
    x = nn_binary(g, NN_ADD, x, nn_binary(g, NN_MUL, y, w_of(g, w, "gamma", NN_SHAPE(d))));
    nn_output(g, "tokens", token_norm(g, w, x, true));
}

static void htdemucs_self(nn_graph *g, const nn_source *w, const net *n)
{
    (void)n;
    transformer_layer(g, w, 2688, 0, 512);
}

static void htdemucs_cross(nn_graph *g, const nn_source *w, const net *n)
{
    (void)n;
    transformer_layer(g, w, 1344, 2688, 512);
}

static void htdemucs_self6(nn_graph *g, const nn_source *w, const net *n)
{
    (void)n;
    transformer_layer(g, w, 2688, 0, 384);
}

/* ---- HTDemucs's convolution layers, one at a time: a chunk of 343,980 samples ---- */

static nn_id layer_input(nn_graph *g, const net *n)
{
    return nn_input(g, "x", n->rows ? NN_SHAPE(1, n->in, n->rows, n->columns) : NN_SHAPE(1, n->in, n->columns));
}

static nn_id layer_conv(nn_graph *g, const nn_source *w, nn_id x, int out, int kernel, bool square, const net *n)
{
    const int in = (int)nn_shape_of(g, x).dim[1], side = square ? kernel : 1;
    const nn_conv_attrs a = { .stride = { kernel == 8 ? 4 : 1 },
                              .pad_before = { kernel == 8 ? 2 : kernel / 2, square ? side / 2 : 0 },
                              .pad_after = { kernel == 8 ? 2 + (n->rows ? 0 : (4 - n->columns % 4) % 4) : kernel / 2,
                                             square ? side / 2 : 0 } };
    const nn_shape s = n->rows ? NN_SHAPE(out, in, kernel, side) : NN_SHAPE(out, in, kernel);
    return nn_conv(g, x, w_of(g, w, "conv", s), w_of(g, w, "bias", NN_SHAPE(out)), &a);
}

static void down(nn_graph *g, const nn_source *w, const net *n)
{
    nn_output(g, "y", nn_unary(g, NN_GELU, layer_conv(g, w, layer_input(g, n), n->out, 8, false, n)));
}

static void up(nn_graph *g, const nn_source *w, const net *n)
{
    const nn_conv_transpose_attrs a = { .stride = { 4 },
                                        .pad_before = { 2 },
                                        .pad_after = { n->rows ? 2 : 2 + (4 - n->columns % 4) % 4 } };
    const nn_shape s = n->rows ? NN_SHAPE(n->in, n->out, 8, 1) : NN_SHAPE(n->in, n->out, 8);
    nn_id y = nn_conv_transpose(g, layer_input(g, n), w_of(g, w, "conv", s), w_of(g, w, "bias", NN_SHAPE(n->out)), &a);
    if (n->in > 48)
        y = nn_binary(g, NN_ADD, nn_unary(g, NN_GELU, y), nn_input(g, "skip", nn_shape_of(g, y)));
    nn_output(g, "y", y);
}

static void rewrite(nn_graph *g, const nn_source *w, const net *n)
{
    nn_output(g, "y", nn_glu(g, layer_conv(g, w, layer_input(g, n), 2 * n->out, 1, false, n), 1));
}

static void rewrite3(nn_graph *g, const nn_source *w, const net *n)
{
    nn_output(g, "y", nn_glu(g, layer_conv(g, w, layer_input(g, n), 2 * n->out, 3, n->rows > 0, n), 1));
}

static nn_id dconv_branch(nn_graph *g, const nn_source *w, nn_id x, int dilation)
{
    const int c = (int)nn_shape_of(g, x).dim[1], h = c / 8;
    const nn_conv_attrs a = { .dilation = { dilation }, .pad_before = { dilation }, .pad_after = { dilation } };
    nn_id y = nn_conv(g, x, w_of(g, w, "conv", NN_SHAPE(h, c, 3)), w_of(g, w, "bias", NN_SHAPE(h)), &a);
    y = nn_group_norm(g, y, w_of(g, w, "gamma", NN_SHAPE(h)), w_of(g, w, "beta", NN_SHAPE(h)), 1, 1e-5f);
    y = nn_conv(g, nn_unary(g, NN_GELU, y), w_of(g, w, "conv", NN_SHAPE(2 * c, h, 1)),
                w_of(g, w, "bias", NN_SHAPE(2 * c)), NULL);
    y = nn_group_norm(g, y, w_of(g, w, "gamma", NN_SHAPE(2 * c)), w_of(g, w, "beta", NN_SHAPE(2 * c)), 1, 1e-5f);
    y = nn_binary(g, NN_MUL, nn_glu(g, y, 1), w_of(g, w, "scale", NN_SHAPE(1, c, 1)));
    return nn_binary(g, NN_ADD, x, y);
}

static void dconv(nn_graph *g, const nn_source *w, const net *n)
{
    nn_id x = layer_input(g, n);
    if (n->rows) {
        x = nn_permute(g, x, (int[]){ 2, 1, 3, 0 });
        x = nn_reshape(g, x, NN_SHAPE(n->rows, n->in, n->columns));
    }
    nn_output(g, "y", dconv_branch(g, w, dconv_branch(g, w, x, 1), 2));
}

static const net nets[] = {
    { "crepe-full", crepe_full, 1001, 143, 0, 0, 0, 0 },
    { "crepe-tiny", crepe_tiny, 1001, 143, 0, 0, 0, 0 },
    { "musicnn", musicnn, 5, 5, 0, 0, 0, 0 },
    { "effnet", effnet, 9, 9, 0, 0, 0, 0 },
    { "yamnet", yamnet, 20, 20, 0, 0, 0, 0 },
    { "htd-self", htdemucs_self, 1, 1, 0, 0, 0, 0 },
    { "htd-cross", htdemucs_cross, 1, 1, 0, 0, 0, 0 },
    { "htd-self6", htdemucs_self6, 1, 1, 0, 0, 0, 0 },
    { "encoder.0.conv", down, 1, 1, 4, 48, 2048, 336 },
    { "encoder.1.conv", down, 1, 1, 48, 96, 512, 336 },
    { "encoder.2.conv", down, 1, 1, 96, 192, 128, 336 },
    { "encoder.3.conv", down, 1, 1, 192, 384, 32, 336 },
    { "encoder.0.dconv", dconv, 1, 1, 48, 48, 512, 336 },
    { "encoder.1.dconv", dconv, 1, 1, 96, 96, 128, 336 },
    { "encoder.2.dconv", dconv, 1, 1, 192, 192, 32, 336 },
    { "encoder.3.dconv", dconv, 1, 1, 384, 384, 8, 336 },
    { "encoder.0.rewrite", rewrite, 1, 1, 48, 48, 512, 336 },
    { "encoder.1.rewrite", rewrite, 1, 1, 96, 96, 128, 336 },
    { "encoder.2.rewrite", rewrite, 1, 1, 192, 192, 32, 336 },
    { "encoder.3.rewrite", rewrite, 1, 1, 384, 384, 8, 336 },
    { "decoder.0.rewrite", rewrite3, 1, 1, 384, 384, 8, 336 },
    { "decoder.1.rewrite", rewrite3, 1, 1, 192, 192, 32, 336 },
    { "decoder.2.rewrite", rewrite3, 1, 1, 96, 96, 128, 336 },
    { "decoder.3.rewrite", rewrite3, 1, 1, 48, 48, 512, 336 },
    { "decoder.0.conv_tr", up, 1, 1, 384, 192, 8, 336 },
    { "decoder.1.conv_tr", up, 1, 1, 192, 96, 32, 336 },
    { "decoder.2.conv_tr", up, 1, 1, 96, 48, 128, 336 },
    { "decoder.3.conv_tr", up, 1, 1, 48, 16, 512, 336 },
    { "tencoder.0.conv", down, 1, 1, 2, 48, 0, 343980 },
    { "tencoder.1.conv", down, 1, 1, 48, 96, 0, 85995 },
    { "tencoder.2.conv", down, 1, 1, 96, 192, 0, 21499 },
    { "tencoder.3.conv", down, 1, 1, 192, 384, 0, 5375 },
    { "tencoder.0.dconv", dconv, 1, 1, 48, 48, 0, 85995 },
    { "tencoder.1.dconv", dconv, 1, 1, 96, 96, 0, 21499 },
    { "tencoder.2.dconv", dconv, 1, 1, 192, 192, 0, 5375 },
    { "tencoder.3.dconv", dconv, 1, 1, 384, 384, 0, 1344 },
    { "tencoder.0.rewrite", rewrite, 1, 1, 48, 48, 0, 85995 },
    { "tencoder.1.rewrite", rewrite, 1, 1, 96, 96, 0, 21499 },
    { "tencoder.2.rewrite", rewrite, 1, 1, 192, 192, 0, 5375 },
    { "tencoder.3.rewrite", rewrite, 1, 1, 384, 384, 0, 1344 },
    { "tdecoder.0.rewrite", rewrite3, 1, 1, 384, 384, 0, 1344 },
    { "tdecoder.1.rewrite", rewrite3, 1, 1, 192, 192, 0, 5375 },
    { "tdecoder.2.rewrite", rewrite3, 1, 1, 96, 96, 0, 21499 },
    { "tdecoder.3.rewrite", rewrite3, 1, 1, 48, 48, 0, 85995 },
    { "tdecoder.0.conv_tr", up, 1, 1, 384, 192, 0, 1344 },
    { "tdecoder.1.conv_tr", up, 1, 1, 192, 96, 0, 5375 },
    { "tdecoder.2.conv_tr", up, 1, 1, 96, 48, 0, 21499 },
    { "tdecoder.3.conv_tr", up, 1, 1, 48, 8, 0, 85995 },
};

/* ---- timing ---- */

typedef struct {
    nn_compile_options compile;
    int runs;
    bool steps;
} settings;

static int by_time(const void *a, const void *b)
{
    const nn_profile_row *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static void print_steps(const nn_run_state *r, double gflops)
{
    const nn_profile_row *rows;
    const size_t n = nn_run_profile_rows(r, &rows);
    nn_profile_row *sorted = malloc(n * sizeof *sorted);
    if (!sorted)
        return;
    memcpy(sorted, rows, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_time);
    for (size_t i = 0; i < n && i < 24; i++) {
        const double s = sorted[i].seconds / (double)sorted[i].calls;
        printf("    %8.3f ms  %6.0f %%  %-10s %-24s %s\n", s * 1e3, 2e-9 * sorted[i].macs / s / gflops * 100,
               sorted[i].op, sorted[i].kernel, sorted[i].where);
    }
    free(sorted);
}

static int run_net(size_t i, const settings *s)
{
    block *weights = NULL;
    const nn_source source = { made_up, &weights, "made up" };
    const int chunks = (nets[i].items + nets[i].batch - 1) / nets[i].batch;
    nn_graph *g = nn_graph_new();
    nn_plan *plan = NULL;
    nn_run_state *state = NULL;
    nn_memory memory;
    float *in[2] = { NULL }, *out = NULL;
    double best = 1e30, gflops = 0, start = sm_now_s(), sum = 0;
    int err;

    nets[i].build(g, &source, &nets[i]);
    const double built = sm_now_s();
    if ((err = nn_compile(g, &s->compile, &plan)) < 0 || (err = nn_run_state_new(plan, &state)) < 0)
        goto out;
    const double compiled = sm_now_s();
    const nn_shape out_shape = nn_plan_output_shape(plan, 0);
    const size_t n_out = (size_t)nn_elements(&out_shape);
    out = sm_alloc_aligned(n_out, sizeof *out);
    err = out ? 0 : SM_ENOMEM;
    for (int k = 0; k < nn_plan_inputs(plan) && err == 0; k++) {
        const nn_shape in_shape = nn_plan_input_shape(plan, k);
        const size_t n_in = (size_t)nn_elements(&in_shape);
        in[k] = sm_alloc_aligned(n_in, sizeof *in[k]);
        err = in[k] ? 0 : SM_ENOMEM;
        for (size_t l = 0; in[k] && l < n_in; l++)
            in[k][l] = (float)sm_unit(7, l);
    }
    if (err < 0)
        goto out;
    for (int k = 0; k <= s->runs; k++) { /* the first warms up */
        const double rate = nn_measure_sgemm_gflops(2048, s->compile.threads, 1);
        nn_run_profile(state, s->steps && k > 0);
        start = sm_now_s();
        for (int c = 0; c < chunks && err == 0; c++)
            err = nn_run(plan, state, (const void *[]){ in[0], in[1] }, (float *[]){ out });
        if (err < 0)
            goto out;
        const double t = sm_now_s() - start;
        gflops = SM_MAX(gflops, rate);
        best = k ? SM_MIN(best, t) : best;
    }
    for (size_t k = 0; k < n_out; k++)
        sum += (double)out[k];
    const double flops = 2e-9 * nn_plan_macs(plan) / nets[i].batch * nets[i].items;
    best *= (double)nets[i].items / (nets[i].batch * chunks);
    nn_plan_memory(plan, &memory);
    printf("%-18s %9.2f ms  %8.1f GFLOP/s  sgemm %6.1f  share %5.0f %%  compile %.0f ms  weights %.1f activations %.1f "
           "scratch %.1f MB  sum %.6g\n",
           nets[i].name, best * 1e3, flops / best, gflops, flops / best / gflops * 100, (compiled - built) * 1e3,
           (double)memory.weights / 1e6, (double)memory.activations / 1e6, (double)memory.scratch / 1e6, sum);
    if (s->steps)
        print_steps(state, gflops);

out:
    if (err < 0)
        fprintf(stderr, "%s: %s\n", nets[i].name, sm_last_error());
    sm_free(in[0]);
    sm_free(in[1]);
    sm_free(out);
    nn_run_state_free(state);
    nn_plan_free(plan);
    nn_graph_free(g);
    for (block *b = weights, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    return err;
}

int main(int argc, char **argv)
{
    settings s = { .compile = { .threads = 1, .precision = NN_PRECISION_F32 }, .runs = 5 };
    bool chosen[SM_LENGTH(nets)] = { false }, any = false;
    char text[128];

    for (int a = 1; a < argc; a++) {
        if (!strcmp(argv[a], "--threads") && a + 1 < argc)
            s.compile.threads = atoi(argv[++a]);
        else if (!strcmp(argv[a], "--runs") && a + 1 < argc)
            s.runs = atoi(argv[++a]);
        else if (!strcmp(argv[a], "--bf16"))
            s.compile.precision = NN_PRECISION_BF16;
        else if (!strcmp(argv[a], "--ref"))
            s.compile.backend = "ref";
        else if (!strcmp(argv[a], "--steps"))
            s.steps = true;
        for (size_t i = 0; i < SM_LENGTH(nets); i++)
            if (!strcmp(argv[a], nets[i].name))
                any = chosen[i] = true;
    }
    printf("%s, %d threads, %s\n", nn_backend_text(text), s.compile.threads,
           s.compile.precision == NN_PRECISION_BF16 ? "bf16" : "f32");
    for (size_t i = 0; i < SM_LENGTH(nets); i++)
        if ((any ? chosen[i] : nets[i].in == 0) && run_net(i, &s) < 0)
            return 1;
    return 0;
}
