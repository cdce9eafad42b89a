/* YAMNet: 521 AudioSet classes from 0.96 s of log-mel. MobileNet v1 (Howard et al. 2017).
 *
 * Input   patches    [N, 96 (time), 64 (mel)]
 * Output  scores     [N, 521]   sigmoid, order of yamnet_class_map.csv
 *         embedding  [N, 1024]  mean over the last picture
 *
 * Canonical tensors, the batch norms folded into them (W k, beta - mean k; k = 1 / sqrt(var + 1e-4), there is no gamma):
 *   layer1.conv.{weight,bias}, layerN.{depthwise,pointwise}.{weight,bias} (N = 2..14), logits.{weight,bias}
 * in the layouts of nn_conv and nn_linear. Official: Keras .h5 by names, TensorFlow Lite by the order of its operators. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/classifier.h"
#include "models/tables.h"
#include "models/view.h"

enum { LAYERS = 14, CLASSES = 521, FRAMES = 96, BANDS = 64 };

/* stride of the depthwise convolution, channels after the pointwise one */
static const struct {
    int stride, channels;
} layer[LAYERS + 1] = {
    { 0, 0 },    { 2, 32 }, /* layer1, a plain convolution  [N,   32, 48, 32] */
    { 1, 64 },              /*                              [N,   64, 48, 32] */
    { 2, 128 },             /*                              [N,  128, 24, 16] */
    { 1, 128 },             /*                                                */
    { 2, 256 },             /*                              [N,  256, 12,  8] */
    { 1, 256 },             /*                                                */
    { 2, 512 },             /*                              [N,  512,  6,  4] */
    { 1, 512 },  { 1, 512 }, { 1, 512 },
    { 1, 512 },  { 1, 512 }, { 2, 1024 }, /*                              [N, 1024,  3,  2] */
    { 1, 1024 },                          /*                                                */
};

/* ---- the network ---- */
static nn_id conv_relu(nn_graph *g, const nn_source *w, nn_id x, const char *name, nn_shape kernel, int stride,
                       int groups)
{
    static const int channel_last[4] = { 0, 2, 3, 1 };
    const nn_conv_attrs a = { .stride = { stride, stride }, .groups = groups, .same_tf = true };
    const nn_id k = nn_weight(g, w, nn_name(g, "%s.weight", name), kernel);
    const nn_id b = nn_weight(g, w, nn_name(g, "%s.bias", name), NN_SHAPE(kernel.dim[0]));
    const char *dot = strchr(name, '.');
    x = nn_unary(g, NN_RELU, nn_conv(g, x, k, b, &a));
    nn_tap(g, nn_name(g, !strcmp(dot, ".conv") ? "%.*s/relu" : "%.*s/%s_conv/relu", (int)(dot - name), name, dot + 1),
           nn_permute(g, x, channel_last));
    return x;
}

nn_id sm_yamnet_picture(nn_graph *g, const nn_source *w, nn_id x, int64_t width)
{
    int64_t in = 1, out;
    for (int i = 1; i <= LAYERS; i++, in = out) {
        out = layer[i].channels / width;
        nn_scope(g, "layer%d", i);
        if (i == 1) {
            x = conv_relu(g, w, x, "layer1.conv", NN_SHAPE(out, 1, 3, 3), layer[i].stride, 1);
            continue;
        }
        x = conv_relu(g, w, x, nn_name(g, "layer%d.depthwise", i), NN_SHAPE(in, 1, 3, 3), layer[i].stride, (int)in);
        x = conv_relu(g, w, x, nn_name(g, "layer%d.pointwise", i), NN_SHAPE(out, in, 1, 1), 1, 1);
    }
    return x;
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    int err = 0;
    const int64_t width = sm_config_int(c, "width", 1, 1, 16, &err),
                  classes = sm_config_int(c, "classes", CLASSES, 1, 65536, &err);
    const int64_t frames = sm_config_int(c, "frames", FRAMES, 1, 4096, &err),
                  bands = sm_config_int(c, "bands", BANDS, 1, 4096, &err);
    const int64_t in = layer[LAYERS].channels / width;
    nn_id x;

    (void)m;
    if (err < 0)
        return nn_graph_fail(g, err, "%s", sm_last_error());
    x = nn_input(g, "patches", NN_SHAPE(c->batch, frames, bands));
    x = nn_reshape(g, x, NN_SHAPE(c->batch, 1, frames, bands));
    x = sm_yamnet_picture(g, &w, x, width);
    x = nn_tap(g, "embeddings", nn_reduce(g, NN_REDUCE_MEAN, x, 1 << 2 | 1 << 3, false)); /* [N, 1024] */
    nn_output(g, "embedding", x);
    x = nn_linear(g, x, nn_weight(g, &w, "logits.weight", NN_SHAPE(classes, in)),
                  nn_weight(g, &w, "logits.bias", NN_SHAPE(classes)));
    nn_output(g, "scores", nn_unary(g, NN_SIGMOID, nn_tap(g, "logits", x)));
    return nn_graph_error(g);
}

/* ---- from Keras' names (also those of made-up weights) ---- */
/* The tensor whose path ends in `name`: the .h5 repeats the layer's name in front. */
static int keras_tensor(sm_view *v, const char *name, const nn_shape *shape, nn_tensor *out)
{
    sm_weights *w = sm_view_weights(v);
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        const char *full = sm_weights_name(w, i);
        const size_t n = strlen(full), k = strlen(name);
        if (n >= k && !strcmp(full + n - k, name) && (n == k || full[n - k - 1] == '/'))
            return view_official(v, full, shape, out);
    }
    return view_official(v, name, shape, out);
}

/* The dense layer is `logits`, or without a name in files of newer Keras: then the only matrix. */
static int keras_logits(sm_view *v, bool weight, const nn_shape *shape, nn_tensor *out)
{
    sm_weights *w = sm_view_weights(v);
    const nn_shape in_out = weight ? NN_SHAPE(shape->dim[1], shape->dim[0]) : *shape;
    const char *name = weight ? "logits/kernel:0" : "logits/bias:0";
    static const int swap[2] = { 1, 0 };
    nn_tensor t;
    int err;
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        const char *full = sm_weights_name(w, i), *end = strstr(full, "kernel:0");
        if (!end || sm_weights_at(w, i, &t) < 0 || t.shape.rank != 2)
            continue;
        if (weight)
            name = full;
        else {
            char *bias = sm_printf_new("%.*sbias:0", (int)(end - full), full);
            err = bias ? view_official(v, bias, shape, out) : SM_ENOMEM;
            sm_free(bias);
            return err;
        }
    }
    if ((err = view_official(v, name, &in_out, &t)) < 0)
        return err;
    if (weight)
        return view_permuted(v, &t, swap, out);
    *out = t;
    return 0;
}

/* 1 / sqrt(var + eps) of every channel. */
static int norm_scale(sm_view *v, const char *path, int64_t channels, double **out)
{
    char name[96];
    nn_tensor var;
    int err;
    snprintf(name, sizeof name, "%s/bn/moving_variance:0", path);
    if ((err = keras_tensor(v, name, &NN_SHAPE(channels), &var)) < 0)
        return err;
    *out = sm_alloc((size_t)channels, sizeof **out);
    for (int64_t i = 0; *out && i < channels; i++)
        (*out)[i] = 1 / sqrt((double)((const float *)var.data)[i] + 1e-4);
    return *out ? 0 : SM_ENOMEM;
}

static int keras_weight(sm_view *v, const char *path, bool depthwise, const double *scale, const nn_shape *shape,
                        nn_tensor *out)
{
    const int64_t *d = shape->dim;
    const nn_shape keras = depthwise ? NN_SHAPE(d[2], d[3], d[0], 1) : NN_SHAPE(d[2], d[3], d[1], d[0]);
    const int order[4] = { depthwise ? 2 : 3, depthwise ? 3 : 2, 0, 1 };
    const int64_t row = d[1] * d[2] * d[3];
    char name[96];
    nn_tensor t;
    int err;
    snprintf(name, sizeof name, "%s/%s:0", path, depthwise ? "depthwise_kernel" : "kernel");
    if ((err = keras_tensor(v, name, &keras, &t)) < 0 || (err = view_permuted(v, &t, order, out)) < 0)
        return err;
    float *x = (float *)out->data; /* ours: just made */
    for (int64_t i = 0; i < d[0] * row; i++)
        x[i] = (float)(x[i] * scale[i / row]);
    return 0;
}

static int keras_bias(sm_view *v, const char *path, const double *scale, const nn_shape *shape, nn_tensor *out)
{
    const int64_t n = shape->dim[0];
    nn_tensor beta, mean;
    char name[96];
    float *x;
    int err;
    snprintf(name, sizeof name, "%s/bn/beta:0", path);
    if ((err = keras_tensor(v, name, shape, &beta)) < 0)
        return err;
    snprintf(name, sizeof name, "%s/bn/moving_mean:0", path);
    if ((err = keras_tensor(v, name, shape, &mean)) < 0)
        return err;
    if (!(x = view_floats(v, (size_t)n)))
        return SM_ENOMEM;
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(((const float *)beta.data)[i] - ((const float *)mean.data)[i] * scale[i]);
    *out = view_tensor(x, shape);
    return 0;
}

static int from_keras(sm_view *v, int number, const char *part, bool weight, const nn_shape *shape, nn_tensor *out)
{
    const bool depthwise = *part == 'd';
    double *scale = NULL;
    char path[64];
    int err;
    snprintf(path, sizeof path, number == 1 ? "layer%d/conv" : "layer%d/%s_conv", number, part);
    err = norm_scale(v, path, shape->dim[0], &scale);
    if (err == 0)
        err = weight ? keras_weight(v, path, depthwise, scale, shape, out) : keras_bias(v, path, scale, shape, out);
    sm_free(scale);
    return err;
}

/* ---- from TensorFlow Lite: norms are folded already; values = scale * int8 ---- */
/* The n-th convolution of the graph, or its last FULLY_CONNECTED when n < 0. */
static const sm_foreign_node *lite_operator(const sm_foreign_graph *f, int n)
{
    const sm_foreign_node *found = NULL;
    for (size_t i = 0; i < f->n_nodes; i++) {
        const char *op = f->nodes[i].op;
        if (n < 0 ? !strcmp(op, "FULLY_CONNECTED") : !strcmp(op, "CONV_2D") || !strcmp(op, "DEPTHWISE_CONV_2D")) {
            found = &f->nodes[i];
            if (n-- == 0)
                return found;
        }
    }
    return n < 0 ? found : NULL;
}

static int from_lite(sm_view *v, int number, const char *part, bool weight, const nn_shape *shape, nn_tensor *out)
{
    const sm_foreign_graph *f = sm_weights_graph(sm_view_weights(v));
    const int n = number == 0 ? -1 : number == 1 ? 0 : 2 * number - (*part == 'd' ? 3 : 2);
    const sm_foreign_node *node = lite_operator(f, n);
    const int64_t *d = shape->dim;
    static const int from_ohwi[4] = { 0, 3, 1, 2 }, from_1hwc[4] = { 3, 0, 1, 2 };
    nn_shape lite;
    nn_tensor t;
    int err;
    if (!node || node->n_inputs < 3)
        return sm_fail(SM_EFORMAT, "%s: convolution %d is missing", sm_weights_label(sm_view_weights(v)), n);
    if (!weight || number == 0)
        return view_official(v, node->inputs[weight ? 1 : 2], shape, out);
    lite = *part == 'd' ? NN_SHAPE(1, d[2], d[3], d[0]) : NN_SHAPE(d[0], d[2], d[3], d[1]);
    err = view_official(v, node->inputs[1], &lite, &t);
    return err < 0 ? err : view_permuted(v, &t, *part == 'd' ? from_1hwc : from_ohwi, out);
}

/* "layer3.depthwise.weight" -> 3, "depthwise", true; the dense layer is number 0. */
static int adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    const bool lite = !strcmp(sm_weights_format(sm_view_weights(v)), "tflite");
    const bool weight = sm_text_has_suffix(name, ".weight");
    const char *dot = strchr(name, '.');
    char part[16] = "";
    int number = 0;
    if (!strncmp(name, "layer", 5) && dot) {
        number = (int)strtol(name + 5, NULL, 10);
        snprintf(part, sizeof part, "%.*s", (int)strcspn(dot + 1, "."), dot + 1);
    }
    if (lite)
        return from_lite(v, number, part, weight, expected, out);
    return number == 0 ? keras_logits(v, weight, expected, out) : from_keras(v, number, part, weight, expected, out);
}

/* ---- recognising ---- */
static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    const sm_foreign_graph *f = sm_weights_graph(w);
    nn_tensor t;
    (void)m, (void)card, (void)hint;
    snprintf(variant, 32, "%s", sm_weights_format(w));
    if (!strcmp(sm_weights_format(w), "tflite") && f) {
        const sm_foreign_node *first = lite_operator(f, 0), *last = lite_operator(f, 26), *dense = lite_operator(f, -1);
        return first && last && !lite_operator(f, 27) && dense && dense->n_inputs > 1 &&
               sm_weights_get(w, dense->inputs[1], &NN_SHAPE(CLASSES, 1024), &t) == 0;
    }
    const char *name = sm_weights_find(w, "layer14", "pointwise_conv/kernel:0");
    return name && sm_weights_get(w, name, &NN_SHAPE(1, 1, 1024, 1024), &t) == 0;
}

/* Kernels: uniform with variance 2 / fan_in; fan_in by Keras' layouts. */
static bool generated(const char *name, const nn_shape *s, double *offset, double *scale)
{
    if (s->rank != 4 && s->rank != 2)
        return false;
    *offset = 0;
    *scale = s->rank == 2 ? sqrt(3.0 / (double)s->dim[0])
                          : sqrt(6.0 / (strstr(name, "pointwise") ? (double)s->dim[2] : 9.0));
    return true;
}

static const sm_model_source_file sources[] = {
    { "https://storage.googleapis.com/audioset/yamnet.h5", 0, NULL, NULL },
};
static const char *const keys[] = { "width", "classes", "frames", "bands", NULL };

const sm_model sm_model_yamnet = {
    .name = "yamnet",
    .task = SM_TASK_TAGS,
    .field = "yamnet",
    .summary = "521 kinds of sound (AudioSet), and a 1024-value embedding",
    .licence = "Apache-2.0 (Google)",
    .page = "docs/models/yamnet.md",
    .needs = { .rate_hz = 16000,
               .resample = SM_RESAMPLE_RESAMPY,
               .front_end = "yamnet",
               .bands = BANDS,
               .patch = FRAMES,
               .hop = 48,
               .when_short = SM_SHORT_REPEAT,
               .batch = 16 },
    .classes = &sm_yamnet_classes,
    .sources = sources,
    .n_sources = SM_LENGTH(sources),
    .bench = { 20, 10, NULL },
    .config_keys = keys,
    .activation = "sigmoid",
    .embedding = true,
    .recognise = recognise,
    .adapt = adapt,
    .generated = generated,
    .build = build,
};
