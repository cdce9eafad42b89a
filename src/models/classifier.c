/* Our classifier of one-shots: instrument (and what else a file has heads for) from a log-mel picture.
 *
 * Input   patches    [N, 128 (time), 128 (mel)]   see sm_classifier_prepare
 * Output  scores     [N, classes]                 softmax of logits / temperature: calibrated probabilities
 *         embedding  [N, dense]                   the dense layer before the softmax
 *         NAME       [N, classes]                 of each further head
 *
 * Canonical tensors: conv{i}.weight [out, in, k, k] or block{i}.{conv1,conv2,skip}.weight, i = 1, 2 ..; dense.weight; each with .bias or
 * .norm.{weight,bias,running_mean,running_var}; head.NAME.{weight,bias}. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "models/classifier.h"

static const sm_classifier_base yamnet = { "yamnet", 14, sm_yamnet_picture, sm_tuned_prepare, SM_TUNED_SILENCE };
static const sm_classifier_base efficientat = { "efficientat", 17, sm_efficientat_picture, sm_mobile_prepare,
                                                SM_EFFICIENTAT_SILENCE };

/* clang-format off */
static const sm_classifier_arch archs[] = {
    /* the brief's: kernels 3x3, 32/64/128 filters, ReLU, 2x2 max-pool, flatten, dense 256, dropout .5. Without norms it hardly learns */
    { .name = "cnn", .model = "samplemind-cnn", .summary = "three blocks of convolution, ReLU and pooling, flatten, dense 256",
      .stage = { { .channels = 32, .times = 1, .pool = { 2, 2 } }, { .channels = 64, .times = 1, .pool = { 2, 2 } },
                 { .channels = 128, .times = 1, .pool = { 2, 2 } } }, .stages = 3,
      .norm_in_training = true, .pool = SM_POOL_FLATTEN, .dense = 256, .dropout = 0.5f },
    { .name = "cnn-tiny", .model = "samplemind-cnn", .summary = "an eighth of its channels: for trials",
      .stage = { { .channels = 4, .times = 1, .pool = { 2, 2 } }, { .channels = 8, .times = 1, .pool = { 2, 2 } },
                 { .channels = 16, .times = 1, .pool = { 2, 2 } } }, .stages = 3,
      .norm_in_training = true, .pool = SM_POOL_FLATTEN, .dense = 32, .dropout = 0.1f },
    /* frequency is kept until the dense layer, and each place knows its own: where a partial stands counts, when it sounds does not */
    { .name = "res-freq", .model = "samplemind", .summary = "residual, 32 to 256 channels, knows frequency, pooled over time only",
      .stage = { { .channels = 32, .times = 1, .kernel = 5, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 64, .times = 1, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 128, .times = 1, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 256, .times = 1, .stride = 2 },
                 { .channels = 128, .times = 1, .kernel = 1 } }, .stages = 5,
      .norm = true, .coordinate = true, .pool = SM_POOL_TIME, .dense = 256, .dropout = 0.3f },
    { .name = "res-freq-half", .model = "samplemind", .summary = "the same on pairs of frames averaged: half the work",
      .stage = { { .channels = 32, .times = 1, .kernel = 5, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 64, .times = 1, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 128, .times = 1, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 256, .times = 1, .stride = 2 },
                 { .channels = 128, .times = 1, .kernel = 1 } }, .stages = 5,
      .norm = true, .average = 2, .coordinate = true, .pool = SM_POOL_TIME, .dense = 256, .dropout = 0.3f },
    { .name = "res-freq-small", .model = "samplemind", .summary = "half the channels as well",
      .stage = { { .channels = 16, .times = 1, .kernel = 5, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 32, .times = 1, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 64, .times = 1, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 128, .times = 1, .stride = 2 },
                 { .channels = 64, .times = 1, .kernel = 1 } }, .stages = 5,
      .norm = true, .average = 2, .coordinate = true, .pool = SM_POOL_TIME, .dense = 256, .dropout = 0.3f },
    { .name = "res", .model = "samplemind", .summary = "residual, 7 convolutions of 16 to 128 channels, pooled over time and frequency",
      .stage = { { .channels = 16, .times = 1, .kernel = 5, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 32, .times = 1, .stride = 2 }, { SM_STAGE_RESIDUAL, .channels = 64, .times = 1, .stride = 2 },
                 { SM_STAGE_RESIDUAL, .channels = 128, .times = 1, .stride = 2 } }, .stages = 4,
      .norm = true, .pool = SM_POOL_MEAN_MAX, .dense = 256, .dropout = 0.3f },
    { .name = "vgg", .model = "samplemind", .summary = "eight plain convolutions with batch norm, pooled over time only",
      .stage = { { .channels = 16, .times = 1, .kernel = 5, .stride = 2 }, { .channels = 48, .times = 2, .pool = { 2, 2 } },
                 { .channels = 96, .times = 2, .pool = { 2, 2 } }, { .channels = 128, .times = 2, .pool = { 2, 2 } },
                 { .channels = 64, .times = 1, .kernel = 1 } }, .stages = 5,
      .norm = true, .pool = SM_POOL_TIME, .dense = 256, .dropout = 0.3f },
    /* YAMNet's convolutions, learned from two million videos, learn on: `samplemind train --on yamnet --tune` */
    { .name = "yamnet-tuned", .model = "samplemind-tuned", .summary = "YAMNet's convolutions, and one layer: for --on yamnet --tune",
      .base = &yamnet, .frames = 96, .bands = 64, .pool = SM_POOL_ALL, .dropout = 0.3f },
    { .name = "yamnet-wide", .model = "samplemind-tuned-wide", .summary = "the same with 16 bands more, up to 13.7 kHz",
      .base = &yamnet, .frames = 96, .bands = 80, .pool = SM_POOL_ALL, .dropout = 0.3f },
    { .name = "yamnet-tiny", .model = "samplemind-tuned", .summary = "an eighth of its channels: for trials",
      .base = &yamnet, .width = 8, .frames = 96, .bands = 64, .pool = SM_POOL_ALL, .dropout = 0.1f },
    /* EfficientAT's, learned from transformers that learned from AudioSet, likewise: --on efficientat --tune */
    { .name = "mobile-tuned", .model = "samplemind-mobile", .summary = "EfficientAT's convolutions, and one layer: for --on efficientat --tune",
      .base = &efficientat, .frames = 128, .bands = 128, .pool = SM_POOL_ALL, .dropout = 0.3f },
    { .name = "mobile-long", .model = "samplemind-mobile-long", .summary = "the same on 1.9 s instead of 1.3",
      .base = &efficientat, .frames = 192, .bands = 128, .pool = SM_POOL_ALL, .dropout = 0.3f },
    { .name = "mobile-tiny", .model = "samplemind-mobile", .summary = "a quarter of its channels: for trials",
      .base = &efficientat, .width = 4, .frames = 128, .bands = 128, .pool = SM_POOL_ALL, .dropout = 0.1f },
    { .name = "tiny", .model = "samplemind", .summary = "for trials: an eighth of everything",
      .stage = { { .channels = 8, .times = 1, .kernel = 5, .stride = 4 }, { SM_STAGE_RESIDUAL, .channels = 16, .times = 1, .stride = 2 },
                 { .channels = 32, .times = 1, .pool = { 2, 2 } } }, .stages = 3,
      .norm = true, .pool = SM_POOL_MEAN_MAX, .dense = 32, .dropout = 0.1f },
};
/* clang-format on */

const sm_classifier_arch *sm_classifier_archs(size_t *n)
{
    *n = SM_LENGTH(archs);
    return archs;
}

const sm_classifier_arch *sm_classifier_arch_find(const char *name)
{
    for (size_t i = 0; i < SM_LENGTH(archs); i++)
        if (!strcmp(archs[i].name, name))
            return &archs[i];
    return NULL;
}

int sm_classifier_frames(const sm_classifier_arch *a)
{
    return a->frames ? a->frames : SM_CLASSIFIER_PATCH;
}

int sm_classifier_bands(const sm_classifier_arch *a)
{
    return a->bands ? a->bands : SM_CLASSIFIER_BANDS;
}

bool sm_classifier_is_base(const sm_classifier_arch *a, const char *tensor)
{
    return a->base && !strncmp(tensor, "layer", 5);
}

/* ---- the picture ---- */
void sm_classifier_prepare(float *patch, size_t n)
{
    /* the front end gives log10 of power, 0 for silence */
    float top = 0;
    for (size_t i = 0; i < n; i++)
        top = patch[i] > top ? patch[i] : top;
    for (size_t i = 0; i < n; i++) {
        const float db = top > 0 ? 10 * (patch[i] - top) : -SM_CLASSIFIER_RANGE_DB;
        patch[i] = (SM_MAX(db, -SM_CLASSIFIER_RANGE_DB) + SM_CLASSIFIER_RANGE_DB / 2) / (SM_CLASSIFIER_RANGE_DB / 4);
    }
}

void sm_tuned_prepare(float *patch, size_t n)
{
    const float full = 40, floor = 0.001f;
    float top = 0;
    for (size_t i = 0; i < n; i++)
        top = patch[i] > top ? patch[i] : top;
    const float scale = top > 0 ? full / expm1f(top) : 0;
    for (size_t i = 0; i < n; i++)
        patch[i] = patch[i] > 0 ? logf(scale * expm1f(patch[i]) + floor) : SM_TUNED_SILENCE;
}

/* 1 / power gain of the front end's pre-emphasis in the middle of each band. */
static void undo_emphasis(const dsp_mel_spec *s, double inverse[SM_CLASSIFIER_BANDS])
{
    const double top = log1p(s->f_max / 700), a = s->pre_emphasis;
    for (int b = 0; b < SM_CLASSIFIER_BANDS; b++) {
        const double hz = 700 * expm1(top * (b + 1) / (SM_CLASSIFIER_BANDS + 1));
        inverse[b] = 1 / (1 + a * a - 2 * a * cos(2 * M_PI * hz / s->rate_hz));
    }
}

void sm_mobile_prepare(float *patch, size_t n)
{
    const double full = 2.3e4, floor = 1e-5;
    double inverse[SM_CLASSIFIER_BANDS], most = 0;
    undo_emphasis(dsp_mel_find("efficientat"), inverse);
    for (size_t t = 0; t + SM_CLASSIFIER_BANDS <= n; t += SM_CLASSIFIER_BANDS) {
        double power = 0;
        for (size_t b = 0; b < SM_CLASSIFIER_BANDS; b++)
            power += (double)(patch[t + b] = expm1f(patch[t + b])) * inverse[b]; /* 1e5 M from here on */
        most = SM_MAX(most, power);
    }
    const float scale = most > 0 ? (float)(full / most) : 0;
    for (size_t i = 0; i < n; i++)
        patch[i] = patch[i] > 0 ? (logf(scale * patch[i] + (float)floor) + 4.5f) / 5 : SM_EFFICIENTAT_SILENCE;
}

void sm_classifier_draw(const sm_classifier_arch *a, float *patch, size_t n)
{
    (a->base ? a->base->draw : sm_classifier_prepare)(patch, n);
}

float sm_classifier_silence(const sm_classifier_arch *a)
{
    return a->base ? a->base->silence : SM_CLASSIFIER_SILENCE;
}

static void prepare_tuned(const sm_model *m, float *patch, size_t rows, size_t bands, bool torch)
{
    (void)m, (void)torch;
    sm_tuned_prepare(patch, rows * bands);
}

static void prepare_mobile(const sm_model *m, float *patch, size_t rows, size_t bands, bool torch)
{
    (void)m, (void)torch;
    sm_mobile_prepare(patch, rows * bands);
}

static void prepare(const sm_model *m, float *patch, size_t rows, size_t bands, bool torch)
{
    (void)m, (void)torch;
    sm_classifier_prepare(patch, rows * bands);
}

/* ---- the network ---- */
static nn_id weight(nn_graph *g, const nn_source *w, const char *layer, const char *part, nn_shape shape)
{
    return nn_weight(g, w, nn_name(g, "%s.%s", layer, part), shape);
}

static nn_id norm(nn_graph *g, const nn_source *w, const char *layer, nn_id x, int64_t n)
{
    const nn_id gamma = weight(g, w, layer, "weight", NN_SHAPE(n)), beta = weight(g, w, layer, "bias", NN_SHAPE(n));
    const nn_id mean = weight(g, w, layer, "running_mean", NN_SHAPE(n)),
                var = weight(g, w, layer, "running_var", NN_SHAPE(n));
    return nn_batch_norm(g, x, gamma, beta, mean, var, SM_CLASSIFIER_EPSILON);
}

/* Convolution k x k of the same size (divided by `stride`), with norm or bias. */
static nn_id conv(nn_graph *g, const nn_source *w, nn_id x, const char *name, int64_t out, int k, int stride,
                  bool normed)
{
    const nn_conv_attrs same = { .stride = { stride, stride },
                                 .pad_before = { k / 2, k / 2 },
                                 .pad_after = { k / 2, k / 2 } };
    const int64_t in = nn_shape_of(g, x).dim[1];
    nn_scope(g, "%s", name);
    const nn_id kernel = weight(g, w, name, "weight", NN_SHAPE(out, in, k, k));
    x = nn_conv(g, x, kernel, normed ? NN_NONE : weight(g, w, name, "bias", NN_SHAPE(out)), &same);
    return normed ? norm(g, w, nn_name(g, "%s.norm", name), x, out) : x;
}

static nn_id residual(nn_graph *g, const nn_source *w, nn_id x, int number, int64_t out, int stride)
{
    const nn_pool_attrs half = { .kernel = { stride, stride } };
    nn_id skip = x;
    nn_id y = nn_unary(g, NN_RELU, conv(g, w, x, nn_name(g, "block%d.conv1", number), out, 3, stride, true));
    y = conv(g, w, y, nn_name(g, "block%d.conv2", number), out, 3, 1, true);
    if (stride > 1)
        skip = nn_avg_pool(g, skip, &half);
    if (stride > 1 || nn_shape_of(g, x).dim[1] != out)
        skip = conv(g, w, skip, nn_name(g, "block%d.skip", number), out, 1, 1, true);
    return nn_tap(g, nn_name(g, "block%d", number), nn_unary(g, NN_RELU, nn_binary(g, NN_ADD, y, skip)));
}

static nn_id stage(nn_graph *g, const nn_source *w, const sm_classifier_arch *a, int i, nn_id x, int *number)
{
    const int kernel = a->stage[i].kernel ? a->stage[i].kernel : 3;
    const nn_pool_attrs window = { .kernel = { a->stage[i].pool[0], a->stage[i].pool[1] } };
    for (int t = 0; t < a->stage[i].times; t++, (*number)++) {
        const int stride = t == 0 && a->stage[i].stride ? a->stage[i].stride : 1;
        const char *name = nn_name(g, "conv%d", *number);
        if (a->stage[i].kind == SM_STAGE_RESIDUAL)
            x = residual(g, w, x, *number, a->stage[i].channels, stride);
        else
            x = nn_tap(g, name,
                       nn_unary(g, NN_RELU, conv(g, w, x, name, a->stage[i].channels, kernel, stride, a->norm)));
    }
    return a->stage[i].pool[0] ? nn_max_pool(g, x, &window) : x;
}

static nn_id pooled(nn_graph *g, const sm_classifier_arch *a, nn_id x)
{
    nn_shape s = nn_shape_of(g, x); /* [N, C, time, mel] */
    const int64_t n = s.dim[0];
    if (a->pool == SM_POOL_FLATTEN)
        return nn_reshape(g, x, NN_SHAPE(n, -1));
    /* pools, not reductions: these have fast kernels both ways */
    if (a->pool == SM_POOL_ALL) {
        const nn_pool_attrs all = { .kernel = { (int)s.dim[2], (int)s.dim[3] } };
        const nn_id both[2] = { nn_reshape(g, nn_avg_pool(g, x, &all), NN_SHAPE(n, -1)),
                                nn_reshape(g, nn_max_pool(g, x, &all), NN_SHAPE(n, -1)) };
        return nn_concat(g, both, 2, 1);
    }
    if (a->pool == SM_POOL_MEAN_MAX)
        x = nn_avg_pool(g, x, &(nn_pool_attrs){ .kernel = { 1, (int)s.dim[3] } });
    const nn_pool_attrs window = { .kernel = { (int)s.dim[2], 1 } };
    const nn_id parts[2] = { nn_reshape(g, nn_avg_pool(g, x, &window), NN_SHAPE(n, -1)),
                             nn_reshape(g, nn_max_pool(g, x, &window), NN_SHAPE(n, -1)) };
    return nn_concat(g, parts, 2, 1);
}

/* [N, 1, T, F] -> [N, 2, T, F] */
static nn_id with_coordinate(nn_graph *g, nn_id x)
{
    const nn_shape s = nn_shape_of(g, x);
    const int64_t n = s.dim[0] * s.dim[2] * s.dim[3];
    float *ramp = sm_alloc((size_t)n, sizeof *ramp);
    if (!ramp)
        return nn_graph_fail(g, SM_ENOMEM, "no memory for a channel of coordinates"), NN_NONE;
    for (int64_t i = 0; i < n; i++)
        ramp[i] = (float)(2.0 * (double)(i % s.dim[3]) / (double)(s.dim[3] - 1) - 1);
    const nn_id parts[2] = { x, nn_const_f32(g, s, ramp) };
    sm_free(ramp);
    return nn_concat(g, parts, 2, 1);
}

nn_id sm_classifier_embedding(nn_graph *g, const nn_source *w, const sm_classifier_arch *a, nn_id patches)
{
    const nn_shape s = nn_shape_of(g, patches);
    int number = 1;
    nn_id x = nn_reshape(g, patches, NN_SHAPE(s.dim[0], 1, s.dim[1], s.dim[2]));
    if (a->average > 1)
        x = nn_avg_pool(g, x, &(nn_pool_attrs){ .kernel = { a->average, 1 } });
    if (a->coordinate)
        x = with_coordinate(g, x);
    if (a->base)
        x = a->base->picture(g, w, x, SM_MAX(a->width, 1));
    for (int i = 0; i < a->stages; i++)
        x = stage(g, w, a, i, x, &number);
    nn_scope(g, "dense");
    x = pooled(g, a, x);
    if (!a->dense)
        return nn_tap(g, "dense", x);
    if (a->norm && !a->norm_in_training)
        x = nn_dropout(g, x, a->dropout); /* only in graphs that train */
    const int64_t in = nn_shape_of(g, x).dim[1];
    x = nn_linear(g, x, weight(g, w, "dense", "weight", NN_SHAPE(a->dense, in)),
                  a->norm ? NN_NONE : weight(g, w, "dense", "bias", NN_SHAPE(a->dense)));
    if (a->norm)
        x = norm(g, w, "dense.norm", x, a->dense);
    return nn_tap(g, "dense", nn_unary(g, NN_RELU, x));
}

nn_id sm_classifier_logits(nn_graph *g, const nn_source *w, const char *head, int64_t classes, nn_id embedding)
{
    const char *name = nn_name(g, "head.%s", head);
    nn_scope(g, "%s", name);
    return nn_linear(g, embedding, weight(g, w, name, "weight", NN_SHAPE(classes, nn_shape_of(g, embedding).dim[1])),
                     weight(g, w, name, "bias", NN_SHAPE(classes)));
}

/* ---- what a file says about itself ---- */
static int read_classes(json_t *list, sm_arena *a, sm_classifier_head *h)
{
    h->n_classes = json_array_size(list);
    const char **names = sm_arena_get(a, h->n_classes, sizeof *names, sizeof(void *));
    for (size_t i = 0; i < h->n_classes && names; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || !(names[i] = sm_arena_strdup(a, text)))
            return text ? SM_ENOMEM : SM_EFORMAT;
    }
    h->classes = names;
    return !names ? SM_ENOMEM : h->n_classes < 1 || h->n_classes > 65536 ? SM_EFORMAT : 0;
}

static int read_head(json_t *x, sm_arena *a, sm_classifier_head *h)
{
    const char *name = json_string_value(json_object_get(x, "name"));
    if (!name || !*name || strlen(name) >= sizeof h->name)
        return SM_EFORMAT;
    snprintf(h->name, sizeof h->name, "%s", name);
    json_t *t = json_object_get(x, "temperature");
    h->temperature = t ? json_number_value(t) : 1;
    if (!(h->temperature >= 1e-3 && h->temperature <= 1e3))
        return SM_EFORMAT;
    return read_classes(json_object_get(x, "classes"), a, h);
}

int sm_classifier_heads(const sm_weights *w, sm_arena *a, sm_classifier_head *heads, size_t *n)
{
    const char *text = sm_weights_meta(w, "heads");
    int err = 0;
    *n = 1;
    heads[0] = (sm_classifier_head){ "instrument", SM_INSTRUMENTS, 1, sm_instruments };
    if (!text)
        return 0;
    json_t *list = json_loads(text, 0, NULL);
    *n = json_array_size(list);
    if (*n < 1 || *n > SM_CLASSIFIER_HEADS)
        err = SM_EFORMAT;
    for (size_t i = 0; i < *n && err == 0; i++)
        err = read_head(json_array_get(list, i), a, &heads[i]);
    json_decref(list);
    return err == SM_EFORMAT
               ? sm_fail(err, "%s: its metadata \"heads\" is no list of {\"name\", \"classes\", \"temperature\"}",
                         sm_weights_label(w))
               : err;
}

/* ---- the model ---- */
static const sm_classifier_arch *arch_of(const sm_model *m, const char *variant)
{
    const sm_classifier_arch *a = variant && *variant ? sm_classifier_arch_find(variant) : NULL;
    for (size_t i = 0; i < SM_LENGTH(archs) && !a && (!variant || !*variant); i++)
        a = !strcmp(archs[i].model, m->name) ? &archs[i] : NULL;
    return a;
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    const sm_classifier_arch *a = arch_of(m, c->variant);
    sm_classifier_head heads[SM_CLASSIFIER_HEADS];
    size_t n = 0;
    if (!a)
        return nn_graph_fail(g, SM_EUNSUPPORTED, "%s: an architecture \"%s\" that this version does not have",
                             sm_weights_label(sm_view_weights(v)), c->variant);
    sm_arena *arena = sm_arena_new();
    int err = arena ? sm_classifier_heads(sm_view_weights(v), arena, heads, &n) : SM_ENOMEM;
    if (err < 0) {
        sm_arena_free(arena);
        return nn_graph_fail(g, err, "%s", sm_last_error());
    }
    const nn_id x = nn_input(g, "patches", NN_SHAPE(c->batch, sm_classifier_frames(a), sm_classifier_bands(a)));
    const nn_id embedding = sm_classifier_embedding(g, &w, a, x);
    for (size_t i = 0; i < n; i++) {
        nn_id y = sm_classifier_logits(g, &w, heads[i].name, (int64_t)heads[i].n_classes, embedding);
        if (heads[i].temperature != 1)
            y = nn_binary(g, NN_MUL, y, nn_const_scalar(g, (float)(1 / heads[i].temperature)));
        nn_output(g, i == 0 ? "scores" : nn_name(g, "%s", heads[i].name), nn_softmax(g, y, 1));
    }
    if (m->embedding)
        nn_output(g, "embedding", embedding);
    sm_arena_free(arena);
    return nn_graph_error(g);
}

/* Such a file names its model itself; by tensors alone nothing is ours. */
static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    (void)m, (void)w, (void)card, (void)hint, (void)variant;
    return false;
}

static void hear(const sm_model *m, const sm_weights *w, const char *variant, sm_needs *needs)
{
    const char *name = sm_weights_meta(w, "front_end");
    const dsp_mel_spec *s = name ? dsp_mel_find(name) : NULL;
    const sm_classifier_arch *a = arch_of(m, variant);
    if (a && sm_classifier_bands(a) == needs->bands)
        needs->patch = sm_classifier_frames(a);
    if (s && s->bands == needs->bands) {
        needs->front_end = s->name;
        needs->rate_hz = s->rate_hz;
    }
}

static const sm_classes instruments = { SM_INSTRUMENTS, sm_instruments, NULL, "documentation" };

#define CLASSIFIER(NAME, FIELD, SUMMARY)                                                                               \
    .name = NAME, .task = SM_TASK_TAGS, .field = FIELD, .summary = SUMMARY, .licence = "Apache-2.0",                   \
    .page = "docs/training.md", .classes = &instruments,                                                               \
    .needs = { .rate_hz = 32000,                                                                                       \
               .resample = SM_RESAMPLE_SOXR,                                                                           \
               .front_end = "samplemind",                                                                              \
               .bands = SM_CLASSIFIER_BANDS,                                                                           \
               .patch = SM_CLASSIFIER_PATCH,                                                                           \
               .hop = 4 * SM_CLASSIFIER_PATCH,                                                                         \
               .when_short = SM_SHORT_ZERO,                                                                            \
               .skip_below = 8, /* some 63 dB below full scale */                                                      \
               .batch = 32 },                                                                                          \
    .bench = { 10, 15.36, NULL }, .activation = "softmax", .embedding = true, .recognise = recognise, .build = build,  \
    .prepare = prepare, .hear = hear

const sm_model sm_model_samplemind = { CLASSIFIER("samplemind", "samplemind",
                                                  "instrument of a one-shot: 25 classes, and an embedding") };
const sm_model sm_model_samplemind_cnn = { CLASSIFIER("samplemind-cnn", "samplemind_cnn",
                                                      "instrument of a one-shot, by the simplest network") };

/* Copies of other networks' ears that have listened to one-shots: YAMNet's with its own bands, and with 16 above them; EfficientAT's. A
 * longer sound is heard once more every 6 s, as by the one above. */
#define TUNED(NAME, FIELD, RATE, FRONT_END, BANDS, PATCH, HOP, SKIP, PREPARE, SUMMARY)                                 \
    .name = NAME, .task = SM_TASK_TAGS, .field = FIELD, .summary = SUMMARY, .licence = "Apache-2.0",                   \
    .page = "docs/training.md", .classes = &instruments,                                                               \
    .needs = { .rate_hz = RATE,                                                                                        \
               .resample = SM_RESAMPLE_SOXR,                                                                           \
               .front_end = FRONT_END,                                                                                 \
               .bands = BANDS,                                                                                         \
               .patch = PATCH,                                                                                         \
               .hop = HOP,                                                                                             \
               .when_short = SM_SHORT_ZERO,                                                                            \
               .skip_below = SKIP, /* some 63 dB below full scale */                                                   \
               .batch = 32 },                                                                                          \
    .bench = { 10, 9.75, NULL }, .activation = "softmax", .recognise = recognise, .build = build, .prepare = PREPARE,  \
    .hear = hear

const sm_model sm_model_samplemind_tuned = {
    TUNED("samplemind-tuned", "samplemind-tuned", 16000, "samplemind-16k", 64, 96, 616, 4.25f, prepare_tuned,
          "instrument of a one-shot, by YAMNet's convolutions after they have learned on")
};
const sm_model sm_model_samplemind_tuned_wide = { TUNED("samplemind-tuned-wide", "samplemind-tuned-wide", 32000,
                                                        "samplemind-wide", 80, 96, 616, 4.25f, prepare_tuned,
                                                        "the same, hearing up to 13.7 kHz") };
/* The same twice, hearing 1.3 and 1.9 s at once: a hit is told by its beginning, a pad or a room by what follows. */
#define MOBILE(NAME, PATCH, SUMMARY)                                                                                   \
    TUNED(NAME, NAME, 32000, "efficientat", 128, PATCH, 600, 3, prepare_mobile, SUMMARY)
const sm_model sm_model_samplemind_mobile = { MOBILE("samplemind-mobile", 128,
                                                     "instrument of a one-shot, by EfficientAT's convolutions") };
const sm_model sm_model_samplemind_mobile_long = { MOBILE("samplemind-mobile-long", 192, "the same from two seconds") };
