/* MusiCNN: 50 Last.fm tags and a 200-value embedding from 3 s of log-mel (Pons et al. 2018).
 *
 * Input   model/Placeholder  [N, 187 (time), 96 (mel)]
 * Output  scores             [N, 50]    sigmoid
 *         embedding          [N, 200]   the dense layer before its ReLU
 *
 * Published as a graph (TensorFlow.js, frozen .pb, ONNX) and run as that graph. The network below is the same one from its tensors
 * alone, for made-up weights: names and layouts are those of the TensorFlow.js file, kernels [time, band, in, out]. */
#include <math.h>
#include <string.h>

#include "models/essentia.h"
#include "models/tables.h"
#include "models/view.h"

enum { PATCH = 187, BANDS = 96 };
#define NODE "model/"

static nn_id weight(nn_graph *g, const nn_source *w, const char *name, const char *part, int64_t n)
{
    return nn_weight(g, w, nn_name(g, "%s%s", name, part), NN_SHAPE(n));
}

/* y = x * mul + sub over the last axis: norms 9 and 10 */
static nn_id flat_norm(nn_graph *g, const nn_source *w, nn_id x, int i, int64_t n)
{
    const char *name = nn_name(g, NODE "batch_normalization_%d/batchnorm", i);
    x = nn_binary(g, NN_MUL, x, weight(g, w, name, "/mul", n));
    nn_tap(g, nn_name(g, "%s/mul_1", name), x);
    return nn_tap(g, nn_name(g, "%s/add_1", name), nn_binary(g, NN_ADD, x, weight(g, w, name, "/sub", n)));
}

/* conv + bias, ReLU, norm `i + 1`, on channels-first pictures. kernel: [time, band, in, out] as stored */
static nn_id conv_block(nn_graph *g, const nn_source *w, nn_id x, int i, nn_shape kernel, const nn_conv_attrs *a)
{
    static const int last[4] = { 0, 2, 3, 1 };
    const int64_t *k = kernel.dim;
    const char *conv = i == 0 ? "conv2d" : nn_name(g, "conv2d_%d", i);
    const char *norm = nn_name(g, NODE "batch_normalization_%d/FusedBatchNorm", i + 1);
    nn_id y = nn_weight(g, w, nn_name(g, "%s/kernel#3201", conv), NN_SHAPE(k[3], k[2], k[0], k[1]));
    nn_id scale = weight(g, w, norm, "/Scaled", k[3]), zero;
    float zeros[512] = { 0 };
    y = nn_unary(g, NN_RELU, nn_conv(g, x, y, weight(g, w, conv, "/bias", k[3]), a));
    nn_tap(g, nn_name(g, NODE "%s/Relu", conv), nn_permute(g, y, last));
    zero = nn_const_f32(g, NN_SHAPE(k[3]), zeros);
    nn_tap(g, nn_name(g, "%s/Mul", norm), nn_permute(g, nn_affine(g, y, scale, zero, 1), last));
    y = nn_affine(g, y, scale, weight(g, w, norm, "/Offset", k[3]), 1);
    nn_tap(g, norm, nn_permute(g, y, last));
    return y;
}

/* The five maps over all bands, each reduced to its maximum: [N, C, T, width] to [N, C, T]. */
static nn_id front(nn_graph *g, const nn_source *w, nn_id x, int i)
{
    static const struct {
        int time, band, channels;
    } map[5] = { { 7, 38, 204 }, { 7, 67, 204 }, { 128, 1, 51 }, { 64, 1, 51 }, { 32, 1, 51 } };
    static const int last4[4] = { 0, 2, 3, 1 }, last3[3] = { 0, 2, 1 };
    const bool timbral = i < 2;
    const nn_conv_attrs a = { .pad_before = { timbral ? 3 : 0 },
                              .pad_after = { timbral ? 3 : 0 },
                              .same_tf = !timbral };
    nn_id y = conv_block(g, w, x, i, NN_SHAPE(map[i].time, map[i].band, 1, map[i].channels), &a);
    const nn_shape s = nn_shape_of(g, y);
    const nn_pool_attrs whole = { .kernel = { 1, (int)s.dim[3] } };
    y = nn_max_pool(g, y, &whole);
    nn_tap(g, nn_name(g, NODE "max_pooling2d_%d/MaxPool", i), nn_permute(g, y, last4));
    y = nn_reshape(g, y, NN_SHAPE(s.dim[0], s.dim[1], s.dim[2]));
    nn_tap(g, nn_name(g, NODE "Squeeze_%d", i), nn_permute(g, y, last3));
    return y;
}

/* A convolution over 7 frames that sees all channels of x [N, C, T] at once; its input is a picture one channel wide. */
static nn_id middle(nn_graph *g, const nn_source *w, nn_id x, int i, nn_id *as_row)
{
    static const int columns[4] = { 0, 2, 1, 3 }, row[4] = { 0, 2, 3, 1 };
    const nn_shape s = nn_shape_of(g, x);
    const nn_conv_attrs a = { .pad_before = { 3 }, .pad_after = { 3 } };
    const char *conv = nn_name(g, "conv2d_%d", i),
               *norm = nn_name(g, NODE "batch_normalization_%d/FusedBatchNorm", i + 1);
    nn_id picture = nn_reshape(g, x, NN_SHAPE(s.dim[0], s.dim[1], s.dim[2], 1)), y, scale, zero;
    float zeros[64] = { 0 };
    /* [7, C, 1, 64] read as [64, C, 7, 1] */
    y = nn_weight(g, w, nn_name(g, "%s/kernel#3120", conv), NN_SHAPE(64, s.dim[1], 7, 1));
    y = nn_unary(g, NN_RELU, nn_conv(g, picture, y, weight(g, w, conv, "/bias", 64), &a)); /* [N, 64, T, 1] */
    nn_tap(g, nn_name(g, NODE "Pad_%d", i - 4), nn_pad(g, nn_permute(g, picture, columns), NN_PAD_ZERO, 1, 3, 3));
    nn_tap(g, nn_name(g, NODE "%s/Relu", conv), nn_permute(g, y, row));
    scale = weight(g, w, norm, "/Scaled", 64);
    zero = nn_const_f32(g, NN_SHAPE(64), zeros);
    nn_tap(g, nn_name(g, "%s/Mul", norm), nn_permute(g, nn_affine(g, y, scale, zero, 1), row));
    y = nn_affine(g, y, scale, weight(g, w, norm, "/Offset", 64), 1);
    nn_tap(g, norm, nn_permute(g, y, row));
    *as_row = nn_permute(g, y, columns); /* [N, T, 64, 1] */
    return nn_reshape(g, y, NN_SHAPE(s.dim[0], 64, s.dim[2]));
}

/* c [N, 561, T] and three residual steps of 64 channels: [N, 753, T] */
static nn_id middles(nn_graph *g, const nn_source *w, nn_id c)
{
    static const int last[3] = { 0, 2, 1 };
    nn_id parts[4] = { c }, x = c, row;
    for (int i = 0; i < 3; i++) {
        nn_id y = middle(g, w, x, 5 + i, &row);
        nn_tap(g, nn_name(g, NODE "transpose_%d", i), row);
        x = i == 0 ? y : nn_binary(g, NN_ADD, x, y);
        if (i > 0) {
            const nn_shape s = nn_shape_of(g, x);
            nn_tap(g, nn_name(g, NODE "Add_%d", i - 1),
                   nn_reshape(g, nn_permute(g, x, last), NN_SHAPE(s.dim[0], s.dim[2], s.dim[1], 1)));
        }
        parts[i + 1] = x;
    }
    return nn_concat(g, parts, 4, 1);
}

/* max0, mean0, max1, mean1, ...: [N, 753, T] to [N, 1506] */
static nn_id pool(nn_graph *g, nn_id z)
{
    static const int last[3] = { 0, 2, 1 };
    const nn_shape s = nn_shape_of(g, z);
    const int64_t n = s.dim[0], c = s.dim[1];
    nn_id parts[2] = { nn_reshape(g, nn_reduce(g, NN_REDUCE_MAX, z, 1 << 2, false), NN_SHAPE(n, c, 1)),
                       nn_reshape(g, nn_reduce(g, NN_REDUCE_MEAN, z, 1 << 2, false), NN_SHAPE(n, c, 1)) };
    nn_tap(g, NODE "concat_1", nn_reshape(g, nn_permute(g, z, last), NN_SHAPE(n, s.dim[2], c, 1)));
    nn_tap(g, NODE "Max", parts[0]);
    nn_tap(g, NODE "moments/Squeeze", parts[1]);
    nn_tap(g, NODE "moments/mean", nn_reshape(g, parts[1], NN_SHAPE(n, 1, c, 1)));
    z = nn_tap(g, NODE "concat_2", nn_concat(g, parts, 2, 2));
    return nn_tap(g, NODE "flatten/Reshape", nn_reshape(g, z, NN_SHAPE(n, 2 * c)));
}

static int build_restated(nn_graph *g, const nn_source *w, int batch)
{
    static const int last[4] = { 0, 2, 3, 1 }, last3[3] = { 0, 2, 1 };
    const char *norm = NODE "batch_normalization/FusedBatchNorm";
    nn_id x = nn_input(g, NODE "Placeholder", NN_SHAPE(batch, PATCH, BANDS)), c, parts[5], one;
    float zero = 0;

    x = nn_tap(g, NODE "ExpandDims", nn_reshape(g, x, NN_SHAPE(batch, PATCH, BANDS, 1)));
    x = nn_reshape(g, x, NN_SHAPE(batch, 1, PATCH, BANDS));
    one = weight(g, w, norm, "/Scaled", 1);
    nn_tap(g, nn_name(g, "%s/Mul", norm),
           nn_permute(g, nn_affine(g, x, one, nn_const_f32(g, NN_SHAPE(1), &zero), 1), last));
    x = nn_affine(g, x, one, weight(g, w, norm, "/Offset", 1), 1);
    nn_tap(g, norm, nn_permute(g, x, last));
    nn_tap(g, NODE "Pad", nn_permute(g, nn_pad(g, x, NN_PAD_ZERO, 2, 3, 3), last));
    for (int i = 0; i < 5; i++)
        parts[i] = front(g, w, x, i);
    c = nn_concat(g, parts, 5, 1); /* [N, 561, 187] */
    nn_tap(g, NODE "concat", nn_permute(g, c, last3));
    nn_tap(g, NODE "ExpandDims_1", nn_reshape(g, nn_permute(g, c, last3), NN_SHAPE(batch, PATCH, 561, 1)));
    x = flat_norm(g, w, pool(g, middles(g, w, c)), 9, 1506);
    x = nn_linear(g, x, nn_weight(g, w, "dense/kernel#10", NN_SHAPE(200, 1506)), weight(g, w, "dense", "/bias", 200));
    nn_output(g, "embedding", x);
    x = flat_norm(g, w, nn_tap(g, NODE "dense/Relu", nn_unary(g, NN_RELU, x)), 10, 200);
    x = nn_linear(g, x, nn_weight(g, w, "dense_1/kernel#10", NN_SHAPE(50, 200)), weight(g, w, "dense_1", "/bias", 50));
    x = nn_unary(g, NN_SIGMOID, nn_tap(g, NODE "dense_1/BiasAdd", x));
    nn_output(g, "scores", nn_tap(g, NODE "Sigmoid", x));
    return nn_graph_error(g);
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    return sm_view_graph(v) ? essentia_build_graph(g, m, v, c) : build_restated(g, &w, c->batch);
}

/* The made-up tensors are asked for as stored: the view transposes names with a mark only of files that list their tensors. */
static int adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    const char *mark = strchr(name, '#');
    char base[128];
    nn_shape stored = *expected;
    nn_tensor t;
    int order[NN_MAX_RANK] = { 0 }, err;
    if (!mark)
        return view_official(v, name, expected, out);
    snprintf(base, sizeof base, "%.*s", (int)(mark - name), name);
    for (int k = 0; k < expected->rank; k++) {
        order[k] = mark[1 + k] - '0';
        stored.dim[order[k]] = expected->dim[k];
    }
    if (!strcmp(mark, "#3120")) { /* [7, C, 1, 64] as [64, C, 7, 1] */
        const int64_t *d = expected->dim;
        stored = NN_SHAPE(d[2], d[1], 1, d[0]);
    }
    if ((err = view_official(v, base, &stored, &t)) < 0 || (err = view_permuted(v, &t, order, out)) < 0)
        return err;
    out->shape = *expected;
    return 0;
}

/* Scales 1 +- 0.2; offsets and biases +- 0.1; kernels are stored output last: fan_in is the product of all other dimensions. */
static bool generated(const char *name, const nn_shape *s, double *offset, double *scale)
{
    const bool factor = sm_text_has_suffix(name, "Scaled") || sm_text_has_suffix(name, "mul");
    double fan_in = 1;
    for (int k = 0; k + 1 < s->rank; k++)
        fan_in *= (double)s->dim[k];
    *offset = factor ? 1 : 0;
    *scale = factor ? 0.2 : s->rank <= 1 ? 0.1 : sqrt(3 / fan_in);
    return true;
}

static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    nn_tensor t;
    if (essentia_recognise(m, w, card, hint, variant))
        return true;
    if (!sm_weights_graph(w) || !sm_weights_has(w, "conv2d/kernel") || sm_weights_has(w, "dense_2/kernel"))
        return false;
    snprintf(variant, 32, "%s", sm_weights_format(w));
    return sm_weights_get(w, "conv2d/kernel", &NN_SHAPE(7, 38, 1, 204), &t) == 0 &&
           sm_weights_get(w, "dense_1/kernel", &NN_SHAPE(200, 50), &t) == 0;
}

static const essentia_binding binding = {
    "msd",
    "model/Placeholder",
    { "model/Sigmoid", "model/Sigmoid:0", "activations" },
    { "model/dense/BiasAdd", "model/dense/BiasAdd:0", "embeddings" },
    50,
    200,
};
static const sm_model_source_file sources[] = {
    { "https://essentia.upf.edu/models/feature-extractors/musicnn/msd-musicnn-1.onnx", 0,
      "49668ffec47e52e94b96f45930bb46a28a1368d4bdfb5c05378fa834aca616e1",
      "https://essentia.upf.edu/models/feature-extractors/musicnn/msd-musicnn-1.json" },
};

const sm_model sm_model_musicnn = {
    .name = "musicnn",
    .official = "msd-musicnn-1",
    .task = SM_TASK_TAGS,
    .field = "musicnn",
    .summary = "50 music tags (Last.fm), and a 200-value embedding for heads",
    .licence = "CC BY-NC-SA 4.0 (MTG, Universitat Pompeu Fabra): not for commercial use without their licence",
    .page = "docs/models/musicnn.md",
    .needs = { .rate_hz = 16000,
               .resample = SM_RESAMPLE_SOXR,
               .front_end = "musicnn",
               .bands = BANDS,
               .patch = PATCH,
               .hop = 93,
               .when_short = SM_SHORT_REPEAT,
               .batch = 8 },
    .class_list = "msd",
    .sources = sources,
    .n_sources = SM_LENGTH(sources),
    .bench = { 5, 10, NULL },
    .activation = "sigmoid",
    .embedding = true,
    .binding = &binding,
    .recognise = recognise,
    .adapt = adapt,
    .generated = generated,
    .build = build,
};
