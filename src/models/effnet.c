/* Discogs-EffNet: 400 music styles and a 1280-value embedding from 2 s of log-mel. EfficientNet-B0 (Tan, Le 2019) with one input
 * channel, its norms folded.
 *
 * Input   x          [N, 128 (time), 96 (mel)]
 * Output  scores     [N, 400]    sigmoid
 *         embedding  [N, 1280]   mean over the last picture
 *
 * Published as an ONNX graph and run as that graph. The network below restates it for made-up weights; how the real file pads at
 * stride 2 is the file's business, here it is an option: padding=same (TensorFlow's) or sym (half the kernel on both sides). */
#include <string.h>

#include "models/essentia.h"
#include "models/view.h"

static const struct {
    int expand, kernel, stride, out;
} block[16] = {
    { 1, 3, 1, 16 },                                                        /* [N,  16, 64, 48] */
    { 6, 3, 2, 24 },  { 6, 3, 1, 24 },                                      /* [N,  24, 32, 24] */
    { 6, 5, 2, 40 },  { 6, 5, 1, 40 },                                      /* [N,  40, 16, 12] */
    { 6, 3, 2, 80 },  { 6, 3, 1, 80 },  { 6, 3, 1, 80 },                    /* [N,  80,  8,  6] */
    { 6, 5, 1, 112 }, { 6, 5, 1, 112 }, { 6, 5, 1, 112 },                   /* [N, 112,  8,  6] */
    { 6, 5, 2, 192 }, { 6, 5, 1, 192 }, { 6, 5, 1, 192 }, { 6, 5, 1, 192 }, /* [N, 192, 4, 3] */
    { 6, 3, 1, 320 },                                                       /* [N, 320,  4,  3] */
};

typedef struct {
    nn_graph *g;
    const nn_source *w;
    bool same;
} maker;

static nn_id conv(const maker *m, nn_id x, const char *name, int64_t in, int64_t out, int kernel, int stride,
                  int groups)
{
    const int half = kernel / 2;
    const nn_conv_attrs a = { .stride = { stride, stride },
                              .groups = groups,
                              .same_tf = m->same,
                              .pad_before = { half, half },
                              .pad_after = { half, half } };
    const nn_id w = nn_weight(m->g, m->w, nn_name(m->g, "%s.weight", name), NN_SHAPE(out, in / groups, kernel, kernel));
    return nn_conv(m->g, x, w, nn_weight(m->g, m->w, nn_name(m->g, "%s.bias", name), NN_SHAPE(out)), &a);
}

static nn_id swish(const maker *m, nn_id x)
{
    return nn_unary(m->g, NN_SWISH, x);
}

static nn_id mobile_block(const maker *m, nn_id x, int i, int64_t in)
{
    const char *name = nn_name(m->g, "blocks.%d", i);
    const int64_t wide = in * block[i].expand;
    const int stride = block[i].stride;
    nn_id y = x, gate;
    if (block[i].expand > 1)
        y = swish(m, conv(m, y, nn_name(m->g, "%s.expand", name), in, wide, 1, 1, 1));
    y = swish(m, conv(m, y, nn_name(m->g, "%s.depthwise", name), wide, wide, block[i].kernel, stride, (int)wide));
    gate = nn_reduce(m->g, NN_REDUCE_MEAN, y, 1 << 2 | 1 << 3, true);
    gate = swish(m, conv(m, gate, nn_name(m->g, "%s.se_reduce", name), wide, in / 4, 1, 1, 1));
    gate = nn_unary(m->g, NN_SIGMOID, conv(m, gate, nn_name(m->g, "%s.se_expand", name), in / 4, wide, 1, 1, 1));
    y = conv(m, nn_binary(m->g, NN_MUL, y, gate), nn_name(m->g, "%s.project", name), wide, block[i].out, 1, 1, 1);
    if (stride == 1 && in == block[i].out)
        y = nn_binary(m->g, NN_ADD, y, x);
    return nn_tap(m->g, name, y);
}

static int build_restated(nn_graph *g, const nn_source *w, const sm_model_config *c)
{
    char padding[64];
    const maker m = { g, w, strcmp(sm_config_text(c, "padding", "same", padding), "sym") != 0 };
    nn_id x = nn_input(g, "x", NN_SHAPE(c->batch, 128, 96));
    int64_t in = 32;

    if (m.same && strcmp(padding, "same"))
        return nn_graph_fail(g, SM_EUSAGE, "config padding=%s: same or sym is expected", padding);
    x = nn_reshape(g, x, NN_SHAPE(c->batch, 1, 128, 96));
    x = nn_tap(g, "stem", swish(&m, conv(&m, x, "stem", 1, 32, 3, 2, 1))); /* [N, 32, 64, 48] */
    for (int i = 0; i < 16; in = block[i++].out) {
        nn_scope(g, "block %d", i);
        x = mobile_block(&m, x, i, in);
    }
    x = nn_tap(g, "head", swish(&m, conv(&m, x, "head", 320, 1280, 1, 1, 1)));
    x = nn_tap(g, "embedding", nn_reduce(g, NN_REDUCE_MEAN, x, 1 << 2 | 1 << 3, false));
    nn_output(g, "embedding", x);
    x = nn_linear(g, x, nn_weight(g, w, "classifier.weight", NN_SHAPE(400, 1280)),
                  nn_weight(g, w, "classifier.bias", NN_SHAPE(400)));
    nn_output(g, "scores", nn_tap(g, "predictions", nn_unary(g, NN_SIGMOID, x)));
    return nn_graph_error(g);
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    return sm_view_graph(v) ? essentia_build_graph(g, m, v, c) : build_restated(g, &w, c);
}

/* By name, or a graph from [*, 128, 96] to 400 scores and 1280 values. */
static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    const sm_foreign_graph *f = sm_weights_graph(w);
    bool scores = false, embedding = false;
    if (essentia_recognise(m, w, card, hint, variant))
        return true;
    if (!f || !strcmp(f->dialect, "tflite") || f->n_inputs != 1 || f->inputs[0].shape.rank != 3 ||
        f->inputs[0].shape.dim[1] != 128 || f->inputs[0].shape.dim[2] != 96)
        return false;
    for (size_t i = 0; i < f->n_outputs; i++) {
        const nn_shape *s = &f->outputs[i].shape;
        scores = scores || (s->rank == 2 && s->dim[1] == 400);
        embedding = embedding || (s->rank == 2 && s->dim[1] == 1280);
    }
    snprintf(variant, 32, "%s", sm_weights_format(w));
    return scores && embedding;
}

static const essentia_binding binding = {
    "genre_discogs400",
    "serving_default_melspectrogram",
    { "PartitionedCall:0", "PartitionedCall", "activations" },
    { "PartitionedCall:1", "embeddings" },
    400,
    1280,
};
static const sm_model_source_file sources[] = {
    { "https://essentia.upf.edu/models/feature-extractors/discogs-effnet/discogs-effnet-bsdynamic-1.onnx", 18027718,
      "a280825b334797cf677939db8cd5762c0392aedd0ca6415dbc1cd083f045e43c",
      "https://essentia.upf.edu/models/feature-extractors/discogs-effnet/discogs-effnet-bsdynamic-1.json" },
};
static const char *const keys[] = { "padding", NULL };

const sm_model sm_model_effnet_discogs = {
    .name = "effnet-discogs",
    .official = "discogs-effnet",
    .task = SM_TASK_TAGS,
    .field = "effnet-discogs",
    .summary = "400 music styles (Discogs), and a 1280-value embedding for heads",
    .licence = "CC BY-NC-SA 4.0 (MTG, Universitat Pompeu Fabra): not for commercial use without their licence",
    .page = "docs/models/effnet-discogs.md",
    .needs = { .rate_hz = 16000,
               .resample = SM_RESAMPLE_SOXR,
               .front_end = "musicnn",
               .bands = 96,
               .patch = 128,
               .hop = 62,
               .drop_last = 1,
               .when_short = SM_SHORT_REPEAT,
               .batch = 8 },
    .class_list = "genre_discogs400",
    .sources = sources,
    .n_sources = SM_LENGTH(sources),
    .bench = { 9, 10, NULL },
    .config_keys = keys,
    .activation = "sigmoid",
    .embedding = true,
    .binding = &binding,
    .recognise = recognise,
    .build = build,
};
