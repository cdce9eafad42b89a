/* EfficientAT mn04_as: 527 AudioSet classes from log-mel. MobileNetV3-Large (Howard et al. 2019) at 0.4 of its width, with squeeze and
 * excitation (Hu et al. 2018), learned from transformers (Schmid, Koutini, Widmer 2023).
 *
 * Input   patches    [N, 128 (time), 128 (mel)]   ln(1 + 1e5 M), see efficientat_prepare; any number of frames
 * Output  scores     [N, 527]   sigmoid, order of class_labels_indices.csv
 *         embedding  [N, 384]   mean over the last picture
 *
 * Canonical tensors, the batch norms folded into them (k W, beta - k mean; k = gamma / sqrt(var + 0.001)):
 *   layer1.conv.{weight,bias}, layerN.{expand,depthwise,project}.{weight,bias} and of some layerN.{squeeze,excite}.{weight,bias}
 *   (N = 2..16), layer17.conv.{weight,bias}, dense.{weight,bias}, logits.{weight,bias}
 * in the layouts of nn_conv and nn_linear; mel is the height, as there. Official: a PyTorch state dict, by its names. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/classifier.h"
#include "models/tables.h"
#include "models/view.h"

enum { BLOCKS = 15, LAYERS = BLOCKS + 2, CLASSES = 527, FRAMES = 128, BANDS = 128, TENTHS = 4 };

/* Channels at full width, and what [8, 64, 64] of the first layer becomes at 0.4 of it. Those with `gate` squeeze and excite. */
static const struct {
    int kernel, expand, out;
    bool gate;
    nn_unary_kind activation;
    int stride;
} block[BLOCKS] = {
    { 3, 16, 16, false, NN_RELU, 1 },        /* [ 8, 64, 64] */
    { 3, 64, 24, false, NN_RELU, 2 },        /* [16, 32, 32] */
    { 3, 72, 24, false, NN_RELU, 1 },        /*              */
    { 5, 72, 40, true, NN_RELU, 2 },         /* [16, 16, 16] */
    { 5, 120, 40, true, NN_RELU, 1 },        /*              */
    { 5, 120, 40, true, NN_RELU, 1 },        /*              */
    { 3, 240, 80, false, NN_HARD_SWISH, 2 }, /* [32,  8,  8] */
    { 3, 200, 80, false, NN_HARD_SWISH, 1 }, /*              */
    { 3, 184, 80, false, NN_HARD_SWISH, 1 }, /*              */
    { 3, 184, 80, false, NN_HARD_SWISH, 1 }, /*              */
    { 3, 480, 112, true, NN_HARD_SWISH, 1 }, /* [48,  8,  8] */
    { 3, 672, 112, true, NN_HARD_SWISH, 1 }, /*              */
    { 5, 672, 160, true, NN_HARD_SWISH, 2 }, /* [64,  4,  4] */
    { 5, 960, 160, true, NN_HARD_SWISH, 1 }, /*              */
    { 5, 960, 160, true, NN_HARD_SWISH, 1 }, /*              */
};

/* ---- the network ---- */

/* To a multiple of 8, but not by more than a tenth downwards (Sandler et al. 2018). */
static int64_t rounded(double channels)
{
    const int64_t n = SM_MAX(8, (int64_t)(channels + 4) / 8 * 8);
    return (double)n < 0.9 * channels ? n + 8 : n;
}

static nn_id weight(nn_graph *g, const nn_source *w, const char *layer, const char *part, nn_shape shape)
{
    return nn_weight(g, w, nn_name(g, "%s.%s", layer, part), shape);
}

static nn_id conv(nn_graph *g, const nn_source *w, nn_id x, const char *name, nn_shape kernel, int stride, int groups)
{
    const int half = (int)kernel.dim[2] / 2;
    const nn_conv_attrs a = {
        .stride = { stride, stride }, .groups = groups, .pad_before = { half, half }, .pad_after = { half, half }
    };
    return nn_conv(g, x, weight(g, w, name, "weight", kernel), weight(g, w, name, "bias", NN_SHAPE(kernel.dim[0])), &a);
}

static nn_id point(nn_graph *g, const nn_source *w, nn_id x, const char *name, int64_t out)
{
    return conv(g, w, x, name, NN_SHAPE(out, nn_shape_of(g, x).dim[1], 1, 1), 1, 1);
}

static nn_id linear(nn_graph *g, const nn_source *w, nn_id x, const char *name, int64_t out)
{
    return nn_linear(g, x, weight(g, w, name, "weight", NN_SHAPE(out, nn_shape_of(g, x).dim[1])),
                     weight(g, w, name, "bias", NN_SHAPE(out)));
}

/* [N, C, mel, time] -> [N, C]; a pool, not a reduction: it has fast kernels both ways */
static nn_id mean(nn_graph *g, nn_id x)
{
    const nn_shape s = nn_shape_of(g, x);
    const nn_pool_attrs all = { .kernel = { (int)s.dim[2], (int)s.dim[3] } };
    return nn_reshape(g, nn_avg_pool(g, x, &all), NN_SHAPE(s.dim[0], s.dim[1]));
}

/* Each channel by how much all channels' means ask for it. */
static nn_id gated(nn_graph *g, const nn_source *w, nn_id x, int layer)
{
    const nn_shape s = nn_shape_of(g, x);
    const int64_t n = s.dim[1];
    nn_id y = linear(g, w, mean(g, x), nn_name(g, "layer%d.squeeze", layer), rounded((double)(n / 4)));
    y = nn_unary(g, NN_SIGMOID, linear(g, w, nn_unary(g, NN_RELU, y), nn_name(g, "layer%d.excite", layer), n));
    return nn_binary(g, NN_MUL, x, nn_reshape(g, y, NN_SHAPE(s.dim[0], n, 1, 1)));
}

static nn_id inverted_residual(nn_graph *g, const nn_source *w, nn_id x, int i, double share)
{
    const int layer = i + 2;
    const int64_t in = nn_shape_of(g, x).dim[1], wide = rounded(block[i].expand * share),
                  out = rounded(block[i].out * share);
    nn_id y = x;
    if (wide != in)
        y = nn_unary(g, block[i].activation, point(g, w, y, nn_name(g, "layer%d.expand", layer), wide));
    y = conv(g, w, y, nn_name(g, "layer%d.depthwise", layer), NN_SHAPE(wide, 1, block[i].kernel, block[i].kernel),
             block[i].stride, (int)wide);
    y = nn_unary(g, block[i].activation, y);
    if (block[i].gate)
        y = gated(g, w, y, layer);
    y = point(g, w, y, nn_name(g, "layer%d.project", layer), out);
    return block[i].stride == 1 && in == out ? nn_binary(g, NN_ADD, y, x) : y;
}

static nn_id picture(nn_graph *g, const nn_source *w, nn_id x, double share)
{
    static const int mel_first[4] = { 0, 1, 3, 2 };
    x = nn_permute(g, x, mel_first);
    nn_scope(g, "layer1");
    x = conv(g, w, x, "layer1.conv", NN_SHAPE(rounded(16 * share), 1, 3, 3), 2, 1);
    x = nn_tap(g, "layer1", nn_unary(g, NN_HARD_SWISH, x));
    for (int i = 0; i < BLOCKS; i++) {
        nn_scope(g, "layer%d", i + 2);
        x = nn_tap(g, nn_name(g, "layer%d", i + 2), inverted_residual(g, w, x, i, share));
    }
    nn_scope(g, "layer%d", LAYERS);
    x = point(g, w, x, nn_name(g, "layer%d.conv", LAYERS), 6 * nn_shape_of(g, x).dim[1]);
    return nn_tap(g, nn_name(g, "layer%d", LAYERS), nn_unary(g, NN_HARD_SWISH, x));
}

nn_id sm_efficientat_picture(nn_graph *g, const nn_source *w, nn_id x, int64_t width)
{
    return picture(g, w, x, TENTHS / 10.0 / (double)width);
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    int err = 0;
    const double share = (double)sm_config_int(c, "width", TENTHS, 1, 40, &err) / 10;
    const int64_t classes = sm_config_int(c, "classes", CLASSES, 1, 65536, &err),
                  frames = sm_config_int(c, "frames", FRAMES, 1, 4096, &err),
                  bands = sm_config_int(c, "bands", BANDS, 1, 4096, &err);
    (void)m;
    if (err < 0)
        return nn_graph_fail(g, err, "%s", sm_last_error());
    nn_id x = nn_input(g, "patches", NN_SHAPE(c->batch, frames, bands));
    x = picture(g, &w, nn_reshape(g, x, NN_SHAPE(c->batch, 1, frames, bands)), share);
    nn_scope(g, "classifier");
    x = nn_tap(g, "embeddings", mean(g, x));
    nn_output(g, "embedding", x);
    x = nn_unary(g, NN_HARD_SWISH, linear(g, &w, x, "dense", rounded(1280 * share)));
    nn_output(g, "scores", nn_unary(g, NN_SIGMOID, nn_tap(g, "logits", linear(g, &w, x, "logits", classes))));
    return nn_graph_error(g);
}

/* ---- from the official names ---- */

/* Where the parts of layer 2..16 are called: the first is missing where a block does not widen. */
static void official_path(sm_view *v, int layer, const char *part, char path[96])
{
    nn_tensor t;
    if (layer == 0)
        snprintf(path, 96, "classifier.%d", !strcmp(part, "dense") ? 2 : 5);
    else if (!strcmp(part, "conv"))
        snprintf(path, 96, "features.%d", layer - 1);
    else {
        snprintf(path, 96, "features.%d.block.0.0.weight", layer - 1);
        const bool there = sm_weights_get_f32(sm_view_weights(v), path, NULL, &t) == 0; /* of made-up weights none is */
        const bool wider = there ? t.shape.rank == 4 && t.shape.dim[2] == 1 : layer > 2;
        const bool gate = layer >= 2 && layer < LAYERS && block[layer - 2].gate;
        if (!strcmp(part, "squeeze") || !strcmp(part, "excite"))
            snprintf(path, 96, "features.%d.block.%d.conc_se_layers.0.fc%d", layer - 1, wider + 1,
                     *part == 's' ? 1 : 2);
        else
            snprintf(path, 96, "features.%d.block.%d", layer - 1,
                     *part == 'e' ? 0 : wider + (*part == 'p' ? 1 + gate : 0));
    }
}

/* gamma / sqrt(var + 0.001) of a channel, from rows of the norm. */
typedef struct {
    const float *gamma, *beta, *mean, *var;
} norm_rows;

static int read_norm(sm_view *v, const char *path, int64_t channels, norm_rows *out)
{
    static const char *const names[4] = { "weight", "bias", "running_mean", "running_var" };
    const float **rows[4] = { &out->gamma, &out->beta, &out->mean, &out->var };
    char name[128];
    nn_tensor t;
    int err = 0;
    for (int i = 0; i < 4 && err == 0; i++) {
        snprintf(name, sizeof name, "%s.1.%s", path, names[i]);
        if ((err = view_official(v, name, &NN_SHAPE(channels), &t)) == 0)
            *rows[i] = t.data;
    }
    return err;
}

static double scale_of(const norm_rows *n, int64_t channel)
{
    return (double)n->gamma[channel] / sqrt((double)n->var[channel] + 1e-3);
}

static int folded_weight(sm_view *v, const char *path, const norm_rows *n, const nn_shape *shape, nn_tensor *out)
{
    const int64_t all = nn_elements(shape), row = all / shape->dim[0];
    char name[128];
    nn_tensor t;
    snprintf(name, sizeof name, "%s.0.weight", path);
    const int err = view_official(v, name, shape, &t);
    float *x = err == 0 ? view_floats(v, (size_t)all) : NULL;
    if (!x)
        return err < 0 ? err : SM_ENOMEM;
    for (int64_t i = 0; i < all; i++)
        x[i] = (float)((double)((const float *)t.data)[i] * scale_of(n, i / row));
    *out = view_tensor(x, shape);
    return 0;
}

static int folded_bias(sm_view *v, const norm_rows *n, const nn_shape *shape, nn_tensor *out)
{
    float *x = view_floats(v, (size_t)shape->dim[0]);
    if (!x)
        return SM_ENOMEM;
    for (int64_t i = 0; i < shape->dim[0]; i++)
        x[i] = (float)((double)n->beta[i] - (double)n->mean[i] * scale_of(n, i));
    *out = view_tensor(x, shape);
    return 0;
}

/* "layer3.depthwise.weight" -> 3, "depthwise"; "dense.weight" -> 0, "dense". */
static int adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    const bool is_weight = sm_text_has_suffix(name, ".weight");
    const int layer = !strncmp(name, "layer", 5) ? (int)strtol(name + 5, NULL, 10) : 0;
    const char *from = layer > 0 ? strchr(name, '.') + 1 : name;
    char part[16], path[96], full[128];
    norm_rows norm;
    snprintf(part, sizeof part, "%.*s", (int)strcspn(from, "."), from);
    official_path(v, layer, part, path);
    if (layer == 0 || *part == 's' || !strcmp(part, "excite")) {
        snprintf(full, sizeof full, "%s.%s", path, is_weight ? "weight" : "bias");
        return view_official(v, full, expected, out);
    }
    const int err = read_norm(v, path, expected->dim[0], &norm);
    if (err < 0)
        return err;
    return is_weight ? folded_weight(v, path, &norm, expected, out) : folded_bias(v, &norm, expected, out);
}

static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    nn_tensor t;
    (void)m, (void)card, (void)hint, (void)variant;
    return sm_weights_get(w, "features.16.0.weight", &NN_SHAPE(384, 64, 1, 1), &t) == 0 &&
           sm_weights_get(w, "classifier.5.weight", &NN_SHAPE(CLASSES, 512), &t) == 0;
}

/* From ln(1 + 1e5 M) to its own (ln(M + 1e-5) + 4.5) / 5. */
static void prepare(const sm_model *m, float *patch, size_t rows, size_t bands, bool torch)
{
    (void)m, (void)torch;
    for (size_t i = 0; i < rows * bands; i++)
        patch[i] = (patch[i] + SM_EFFICIENTAT_FLOOR + 4.5f) / 5;
}

/* Kernels: uniform with variance 2 / fan_in; norms near what learned ones are. */
static bool generated(const char *name, const nn_shape *s, double *offset, double *scale)
{
    double fan_in = 1;
    for (int i = 1; i < s->rank; i++)
        fan_in *= (double)s->dim[i];
    *offset = sm_text_has_suffix(name, "running_var") || sm_text_has_suffix(name, ".1.weight") ? 1 : 0;
    *scale = s->rank >= 2 ? sqrt(6 / fan_in) : 0.2;
    return true;
}

static const sm_model_source_file sources[] = {
    { "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt", 4066513,
      "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c", NULL },
};
static const char *const keys[] = { "width", "classes", "frames", "bands", NULL };

const sm_model sm_model_efficientat = {
    .name = "efficientat",
    .official = "mn04_as_mAP_432",
    .task = SM_TASK_TAGS,
    .field = "efficientat",
    .summary = "527 kinds of sound (AudioSet), and a 384-value embedding",
    .licence = "MIT (Florian Schmid, Johannes Kepler University Linz)",
    .page = "docs/models/efficientat.md",
    .needs = { .rate_hz = 32000,
               .resample = SM_RESAMPLE_SOXR,
               .front_end = "efficientat",
               .bands = BANDS,
               .patch = FRAMES,
               .hop = FRAMES / 2,
               .when_short = SM_SHORT_ZERO,
               .batch = 16 },
    .classes = &sm_audioset_classes,
    .sources = sources,
    .n_sources = SM_LENGTH(sources),
    .bench = { 14, 10, NULL },
    .config_keys = keys,
    .activation = "sigmoid",
    .embedding = true,
    .recognise = recognise,
    .adapt = adapt,
    .generated = generated,
    .build = build,
    .prepare = prepare,
};
